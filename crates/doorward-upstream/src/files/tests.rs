use std::{env, os::unix::fs::symlink, process};

use http::Request;
use http_body_util::BodyExt;

use super::*;

/// A folder that is removed at the end.
struct Scratch(PathBuf);

impl Scratch {
    fn new(name: &str) -> Self {
        let folder = env::temp_dir().join(format!("doorward-upstream-{}-{name}", process::id()));
        let _ = fs::remove_dir_all(&folder);
        fs::create_dir_all(folder.join("www/sub/deep")).unwrap();
        fs::create_dir_all(folder.join("www/empty")).unwrap();
        fs::create_dir_all(folder.join("outside")).unwrap();
        fs::create_dir_all(folder.join("www-sibling")).unwrap();
        for (path, content) in [
            ("www/index.html", "<p>home</p>"),
            ("www/a.txt", "0123456789"),
            ("www/none.txt", ""),
            ("www/a b.txt", "blank"),
            ("www/ü.txt", "umlaut"),
            ("www/data.unknown-kind", "x"),
            ("www/style.css", "p{}"),
            ("www/..hidden", "dots"),
            ("www/sub/page.html", "<p>hi</p>"),
            ("www/sub/deep/index.html", "<p>deep</p>"),
            ("outside/secret.txt", "secret"),
            ("www-sibling/secret.txt", "secret"),
        ] {
            fs::write(folder.join(path), content).unwrap();
        }
        let www = folder.join("www");
        symlink("../outside/secret.txt", www.join("link-out.txt")).unwrap();
        symlink("../outside", www.join("dir-out")).unwrap();
        symlink("../www-sibling/secret.txt", www.join("link-sibling.txt")).unwrap();
        symlink("/etc/passwd", www.join("link-absolute")).unwrap();
        symlink("a.txt", www.join("link-in.txt")).unwrap();
        symlink("loop", www.join("loop")).unwrap();
        symlink("../../outside/secret.txt", www.join("empty/index.html")).unwrap();
        Self(folder)
    }

    fn files(&self, route: &str) -> Files {
        Files::new(route, PathForm::Decoded, self.0.join("www"))
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

struct Answer {
    status: u16,
    headers: HeaderMap,
    body: String,
}

impl Answer {
    fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }
}

async fn ask(files: &Files, method: Method, target: &str, headers: &[(&str, &str)]) -> Answer {
    let mut request = Request::builder().method(method).uri(target);
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let parts = request.body(()).unwrap().into_parts().0;
    let response = files.answer(&parts, parts.uri.path()).await;
    let (parts, body) = response.into_parts();
    let bytes = body.collect().await.unwrap().to_bytes();
    Answer {
        status: parts.status.as_u16(),
        headers: parts.headers,
        body: String::from_utf8(bytes.to_vec()).unwrap(),
    }
}

#[tokio::test]
async fn files_below_the_root_are_served() {
    let scratch = Scratch::new("served");
    let files = scratch.files("/");
    for (target, content_type, body) in [
        ("/", "text/html; charset=utf-8", "<p>home</p>"),
        ("/index.html", "text/html; charset=utf-8", "<p>home</p>"),
        ("/a.txt", "text/plain; charset=utf-8", "0123456789"),
        ("/a.txt?x=1", "text/plain; charset=utf-8", "0123456789"),
        ("/%61.txt", "text/plain; charset=utf-8", "0123456789"),
        ("/none.txt", "text/plain; charset=utf-8", ""),
        ("/a%20b.txt", "text/plain; charset=utf-8", "blank"),
        ("/%C3%BC.txt", "text/plain; charset=utf-8", "umlaut"),
        ("/data.unknown-kind", "application/octet-stream", "x"),
        ("/style.css", "text/css; charset=utf-8", "p{}"),
        ("/..hidden", "application/octet-stream", "dots"),
        ("/sub/page.html", "text/html; charset=utf-8", "<p>hi</p>"),
        ("/sub%2Fpage.html", "text/html; charset=utf-8", "<p>hi</p>"),
        ("/sub/deep/", "text/html; charset=utf-8", "<p>deep</p>"),
        ("/link-in.txt", "text/plain; charset=utf-8", "0123456789"),
    ] {
        let answer = ask(&files, Method::GET, target, &[]).await;
        assert_eq!((answer.status, answer.body.as_str()), (200, body), "{target}");
        assert_eq!(answer.header("content-type"), content_type, "{target}");
        assert_eq!(answer.header("content-length"), body.len().to_string(), "{target}");
        assert_eq!(answer.header("accept-ranges"), "bytes", "{target}");
        assert!(!answer.header("last-modified").is_empty(), "{target}");
    }
}

#[tokio::test]
async fn nothing_outside_the_root_is_served_and_no_folder_is_listed() {
    let scratch = Scratch::new("outside");
    let files = scratch.files("/");
    for target in [
        "/missing",
        "/../outside/secret.txt",
        "/%2e%2e/outside/secret.txt",
        "/sub/../../outside/secret.txt",
        "/sub/..%2f..%2foutside/secret.txt",
        "/..",
        "/%2e%2e",
        "/.",
        "/./a.txt",
        "/sub/./page.html",
        "//a.txt",
        "/%2Fetc/passwd",
        "//etc/passwd",
        "/sub//page.html",
        "/..%5coutside%5csecret.txt",
        "/sub%5cpage.html",
        "/a.txt%00",
        "/a.txt%00.html",
        "/%c0%ae%c0%ae/outside/secret.txt",
        "/%ff",
        "/link-out.txt",
        "/link-absolute",
        "/link-sibling.txt",
        "/dir-out/secret.txt",
        "/dir-out",
        "/dir-out/",
        "/loop",
        "/a.txt/",
        "/a.txt/x",
        "/sub/",
        "/empty/",
        "/www-sibling/secret.txt",
    ] {
        let answer = ask(&files, Method::GET, target, &[]).await;
        assert_eq!((answer.status, answer.body.as_str()), (404, "404 page not found\n"), "{target}");
    }
    let long = format!("/{}", "x".repeat(5000));
    assert_eq!(ask(&files, Method::GET, &long, &[]).await.status, 404);
}

#[tokio::test]
async fn a_folder_without_its_slash_is_redirected_on_this_site() {
    let scratch = Scratch::new("slash");
    for (route, target, location) in [
        ("/", "/sub", "/sub/"),
        ("/", "/sub?x=1&y", "/sub/?x=1&y"),
        ("/", "/sub%2Fdeep", "/sub%2Fdeep/"),
        ("/static/", "/static/sub", "/static/sub/"),
    ] {
        let answer = ask(&scratch.files(route), Method::GET, target, &[]).await;
        assert_eq!((answer.status, answer.header("location")), (301, location), "{target}");
    }
}

#[tokio::test]
async fn the_route_is_not_part_of_the_names_of_files() {
    let scratch = Scratch::new("route");
    let files = scratch.files("/static/");
    assert_eq!(ask(&files, Method::GET, "/static/a.txt", &[]).await.body, "0123456789");
    assert_eq!(ask(&files, Method::GET, "/static/", &[]).await.body, "<p>home</p>");
    assert_eq!(ask(&files, Method::GET, "/a.txt", &[]).await.status, 404);
}

#[tokio::test]
async fn an_exact_route_serves_one_file_and_devices_are_no_files() {
    let scratch = Scratch::new("exact");
    let one = Files::new("/one", PathForm::Decoded, scratch.0.join("www/a.txt"));
    assert_eq!(ask(&one, Method::GET, "/one", &[]).await.body, "0123456789");
    assert_eq!(ask(&one, Method::GET, "/one/x", &[]).await.status, 404);
    let folder = Files::new("/home", PathForm::Decoded, scratch.0.join("www"));
    assert_eq!(ask(&folder, Method::GET, "/home", &[]).await.body, "<p>home</p>");
    for (route, target) in [("/dev/null", "/dev/null"), ("/", "/"), ("/", "/x"), ("/x/", "/x/y")] {
        let null = Files::new(route, PathForm::Decoded, "/dev/null".into());
        assert_eq!(ask(&null, Method::GET, target, &[]).await.status, 404, "{target}");
    }
}

#[tokio::test]
async fn only_get_and_head_are_allowed() {
    let scratch = Scratch::new("methods");
    let files = scratch.files("/");
    for method in [Method::POST, Method::PUT, Method::DELETE, Method::OPTIONS, Method::TRACE] {
        let answer = ask(&files, method.clone(), "/a.txt", &[]).await;
        assert_eq!((answer.status, answer.header("allow")), (405, "GET, HEAD"), "{method}");
    }
    let answer = ask(&files, Method::HEAD, "/a.txt", &[]).await;
    assert_eq!((answer.status, answer.header("content-length"), answer.body.as_str()), (200, "10", ""));
}

#[tokio::test]
async fn ranges_select_one_part() {
    let scratch = Scratch::new("ranges");
    let files = scratch.files("/");
    for (range, status, content_range, body) in [
        ("bytes=2-4", 206, "bytes 2-4/10", "234"),
        ("bytes=0-0", 206, "bytes 0-0/10", "0"),
        ("bytes=7-", 206, "bytes 7-9/10", "789"),
        ("bytes=-3", 206, "bytes 7-9/10", "789"),
        ("bytes=-30", 206, "bytes 0-9/10", "0123456789"),
        ("bytes=5-99", 206, "bytes 5-9/10", "56789"),
        ("bytes=5-99999999999999999999999", 206, "bytes 5-9/10", "56789"),
        ("bytes=10-", 416, "bytes */10", ""),
        ("bytes=99999999999999999999999-", 416, "bytes */10", ""),
        ("bytes=-0", 416, "bytes */10", ""),
        ("bytes=4-2", 200, "", "0123456789"),
        ("bytes=0-1,4-5", 200, "", "0123456789"),
        ("bytes=a-b", 200, "", "0123456789"),
        ("bytes=+1-2", 200, "", "0123456789"),
        ("bytes=-", 200, "", "0123456789"),
        ("bytes=", 200, "", "0123456789"),
        ("lines=1-2", 200, "", "0123456789"),
    ] {
        let answer = ask(&files, Method::GET, "/a.txt", &[("range", range)]).await;
        assert_eq!(
            (answer.status, answer.header("content-range"), answer.body.as_str()),
            (status, content_range, body),
            "{range}"
        );
    }
    assert_eq!(ask(&files, Method::HEAD, "/a.txt", &[("range", "bytes=2-4")]).await.status, 200);
    assert_eq!(ask(&files, Method::GET, "/none.txt", &[("range", "bytes=0-")]).await.status, 416);
}

#[tokio::test]
async fn preconditions_are_weighed_by_the_date() {
    const EARLY: &str = "Sat, 01 Jan 2000 00:00:00 GMT";
    const DATE: &str = "Sun, 09 Sep 2001 01:46:40 GMT";
    const LATE: &str = "Wed, 01 Jan 2020 00:00:00 GMT";
    let scratch = Scratch::new("conditions");
    let file = fs::File::options().write(true).open(scratch.0.join("www/a.txt")).unwrap();
    file.set_modified(UNIX_EPOCH + Duration::from_millis(1_000_000_000_900)).unwrap();
    let files = scratch.files("/");
    let range = ("range", "bytes=0-1");
    for (headers, status) in [
        (&[("if-modified-since", DATE)][..], 304),
        (&[("if-modified-since", LATE)], 304),
        (&[("if-modified-since", EARLY)], 200),
        (&[("if-modified-since", "yesterday")], 200),
        (&[("if-modified-since", LATE), ("if-none-match", "\"x\"")], 200),
        (&[("if-unmodified-since", EARLY)], 412),
        (&[("if-unmodified-since", DATE)], 200),
        (&[range, ("if-range", DATE)], 206),
        (&[range, ("if-range", EARLY)], 200),
        (&[range, ("if-range", LATE)], 200),
        (&[range, ("if-range", "\"tag\"")], 200),
    ] {
        let answer = ask(&files, Method::GET, "/a.txt", headers).await;
        assert_eq!((answer.status, answer.header("last-modified")), (status, DATE), "{headers:?}");
    }
}

#[tokio::test]
async fn a_large_file_comes_whole_and_in_pieces() {
    let scratch = Scratch::new("large");
    let content: String = "0123456789abcdef".repeat(20_000);
    fs::write(scratch.0.join("www/large.txt"), &content).unwrap();
    let files = scratch.files("/");
    assert!(ask(&files, Method::GET, "/large.txt", &[]).await.body == content);
    let tail = ask(&files, Method::GET, "/large.txt", &[("range", "bytes=100000-")]).await;
    assert!(tail.body.len() == 220_000 && content.ends_with(&tail.body));
}

#[tokio::test]
async fn a_file_that_shrinks_breaks_the_answer_off() {
    let scratch = Scratch::new("shrinks");
    let path = scratch.0.join("www/large.txt");
    fs::write(&path, vec![b'x'; 4 * CHUNK]).unwrap();
    let request = Request::get("/large.txt").body(()).unwrap().into_parts().0;
    let response = scratch.files("/").answer(&request, request.uri.path()).await;
    fs::File::options().write(true).open(&path).unwrap().set_len(10).unwrap();
    assert!(response.into_body().collect().await.is_err());
}

#[test]
fn dates_that_http_cannot_express_are_left_out() {
    assert_eq!(whole_seconds(UNIX_EPOCH), None);
    assert_eq!(whole_seconds(UNIX_EPOCH - Duration::from_secs(1)), None);
    assert_eq!(whole_seconds(UNIX_EPOCH + YEAR_10000), None);
    let second = UNIX_EPOCH + Duration::from_secs(1);
    assert_eq!(whole_seconds(second + Duration::from_millis(999)), Some(second));
}
