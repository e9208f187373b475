//! One request, one reading: the path that was judged is the path that is served.

use doorward_testkit::{Browser, Request};

use crate::support::Stage;

/// What an application could make of a target: escapes undone twice, backslashes turned, dot segments resolved.
fn most_daring_reading(target: &str) -> String {
    let path = target.split(['?', '#']).next().unwrap_or(target);
    let path = match path.strip_prefix("http://").map(|rest| rest.split_once('/')) {
        None => path.to_owned(),
        Some(rest) => format!("/{}", rest.unwrap_or_default().1),
    };
    let decode = |text: &str| percent_decoded(text.as_bytes());
    let decoded = decode(&decode(&path)).replace('\\', "/");
    let mut kept: Vec<&str> = Vec::new();
    for segment in decoded.split('/') {
        match segment.split(';').next().unwrap_or("") {
            "" | "." => {}
            ".." => _ = kept.pop(),
            _ => kept.push(segment),
        }
    }
    format!("/{}", kept.join("/"))
}

fn percent_decoded(bytes: &[u8]) -> String {
    let mut decoded = Vec::new();
    let mut rest = bytes;
    while let Some((first, tail)) = rest.split_first() {
        let digits =
            tail.get(..2).and_then(|digits| u8::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok());
        let escape = digits.filter(|_| *first == b'%');
        decoded.push(escape.unwrap_or(*first));
        rest = if escape.is_some() { &tail[2..] } else { tail };
    }
    String::from_utf8_lossy(&decoded).into_owned()
}

fn send_target(browser: &Browser, target: &str) -> String {
    let host = browser.host();
    browser.raw(format!("GET {target} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n").as_bytes())
}

const CONFUSING: [&str; 46] = [
    "/public/../admin",
    "/public/..",
    "/public/./../admin",
    "/public//../admin",
    "/public/%2e%2e/admin",
    "/public/%2E%2E/admin",
    "/public/.%2e/admin",
    "/public/%2e./admin",
    "/public/..%2fadmin",
    "/public/..%2Fadmin",
    "/public%2f..%2fadmin",
    "/public/%2e%2e%2fadmin",
    "/public/%252e%252e/admin",
    "/public/%252e%252e%252fadmin",
    "/public/..%252fadmin",
    "/public/..;/admin",
    "/public/..;x=1/admin",
    "/public/%2e%2e;/admin",
    "/public/;/../admin",
    "/public/..\\admin",
    "/public\\..\\admin",
    "/public/..%5cadmin",
    "/public/..%5Cadmin",
    "/public/%2e%2e%5cadmin",
    "/public/..%00/admin",
    "/public/%00/../admin",
    "/public/..%09/admin",
    "/public/..%23/../admin",
    "/public/%c0%ae%c0%ae/admin",
    "/public/%c0%ae%c0%ae%c0%afadmin",
    "/public/%e0%80%ae%e0%80%ae/admin",
    "/public/..%c0%afadmin",
    "/public/%u002e%u002e/admin",
    "/admin/../public/x",
    "/admin?/public/x",
    "/admin#/public/x",
    "/admin%23/public/x",
    "/admin%3f/public/x",
    "/admin;/public/x",
    "/admin/%2e%2e/public/x",
    "/admin%2f..%2fpublic/x",
    "//public/../admin",
    "/%2fpublic/../admin",
    "/./public/../admin",
    "/PUBLIC/x",
    "/Public/x",
];

#[test]
fn no_reading_of_an_open_path_reaches_a_closed_one() {
    for rule in
        ["--skip-auth-route=^/public/", "--skip-auth-route=GET=^/public/.*$", "--skip-auth-regex=^/public/"]
    {
        let stage = Stage::new(&[rule]);
        assert_eq!(stage.browser().get("/public/x").status, 200);
        for target in CONFUSING {
            send_target(&stage.browser(), target);
            send_target(&stage.browser(), &format!("http://{}{target}", stage.browser().host()));
        }
        for seen in stage.echo.seen() {
            let reading = most_daring_reading(&seen.target);
            assert!(
                reading.starts_with("/public"),
                "{rule}: {} was served, which may mean {reading}",
                seen.target
            );
        }
    }
}

#[test]
fn no_spelling_of_a_closed_path_escapes_a_rule_that_opens_all_others() {
    let stage = Stage::new(&["--skip-auth-route=!=^/admin"]);
    assert_eq!(stage.browser().get("/other").status, 200);
    for target in [
        "/admin",
        "/admin/",
        "/admin/x",
        "/%61dmin",
        "/%61%64%6d%69%6e",
        "//admin",
        "/./admin",
        "/x/../admin",
        "/x/%2e%2e/admin",
        "/x/..%2fadmin",
        "/%2fadmin",
        "/admin%2fx",
        "/x/%2e%2e%2fadmin",
        "/%2e/admin",
        "/.;/admin",
        "/;/admin",
        "/x/..;/admin",
        "/\\admin",
        "/%5cadmin",
        "/x/..%5cadmin",
        "/x/%252e%252e/admin",
        "/%2561dmin",
    ] {
        send_target(&stage.browser(), target);
    }
    for seen in stage.echo.seen() {
        let reading = most_daring_reading(&seen.target);
        assert!(!reading.starts_with("/admin"), "{} was served, which may mean {reading}", seen.target);
    }
}

#[test]
fn a_target_that_is_no_path_is_refused() {
    let stage = Stage::new(&["--skip-auth-route=.*"]);
    let host = stage.browser().host();
    for line in [
        "GET * HTTP/1.1".to_owned(),
        "OPTIONS * HTTP/1.1".to_owned(),
        format!("CONNECT {host} HTTP/1.1"),
        "CONNECT evil.example:443 HTTP/1.1".to_owned(),
        "GET page HTTP/1.1".to_owned(),
        "GET /a b HTTP/1.1".to_owned(),
        "GET /a\tb HTTP/1.1".to_owned(),
        "GET /a\u{1}b HTTP/1.1".to_owned(),
        "GET  HTTP/1.1".to_owned(),
        "GET http:// HTTP/1.1".to_owned(),
    ] {
        let answer =
            stage.browser().raw(format!("{line}\r\nHost: {host}\r\nConnection: close\r\n\r\n").as_bytes());
        assert!(!answer.starts_with("HTTP/1.1 2") && !answer.starts_with("HTTP/1.1 3"), "{line:?}: {answer}");
    }
    assert!(stage.echo.seen().is_empty(), "{:?}", stage.echo.seen());
}

#[test]
fn c6_cleaning_a_path_changes_nothing_else() {
    let stage = Stage::new(&[]);
    for (target, clean) in [
        ("/a%2Fb//c?x=1&y=%20", "/a%2Fb/c?x=1&y=%20"),
        ("/a/./b", "/a/b"),
        ("/a/../b/", "/b/"),
        ("//evil.example/x", "/evil.example/x"),
    ] {
        let answer = send_target(&stage.browser(), target);
        assert!(answer.starts_with("HTTP/1.1 301"), "{answer}");
        assert!(
            answer.to_lowercase().contains(&format!("location: {}\r\n", clean.to_lowercase())),
            "{answer}"
        );
    }
}

#[test]
fn endpoints_are_found_by_their_exact_path_only() {
    let stage = Stage::new(&[]);
    for target in
        ["/oauth2/auth/", "/oauth2/%61uth", "/OAUTH2/auth", "/oauth2/auth;x", "/oauth2/auth%20", "/oauth2"]
    {
        let mut browser = stage.browser();
        assert_eq!(browser.get(target).status, 403, "{target}");
    }
    for target in ["/oauth2/static/../auth", "/oauth2/static/%2e%2e/auth", "/oauth2/static/..%2fauth"] {
        assert_ne!(stage.browser().get(target).status, 202, "{target}");
    }
    assert!(stage.echo.seen().is_empty());
}

#[test]
fn a23_folders_of_our_own_files_are_not_listed() {
    let stage = Stage::new(&[]);
    for target in [
        "/oauth2/static/",
        "/oauth2/static",
        "/oauth2/static/css/",
        "/oauth2/static/css",
        "/oauth2/static/webfonts/",
    ] {
        let answer = stage.browser().get(target);
        assert!(matches!(answer.status, 403 | 404), "{target}: {}", answer.status);
        assert!(!answer.text().contains("href=\"bulma"), "{target}");
    }
}

#[test]
fn administrative_paths_of_others_are_ordinary_paths() {
    let stage = Stage::new(&[]);
    for target in [
        "/metrics",
        "/debug/pprof/",
        "/debug/vars",
        "/-/ready",
        "/admin",
        "/.pomerium/",
        "/healthz",
        "/oauth2/metrics",
    ] {
        assert_eq!(stage.browser().get(target).status, 403, "{target}");
    }
}

/// Each is followed by a good request on the same connection. However it is cut, the application must never see one
/// that nobody was allowed to send.
#[test]
fn no_request_is_smuggled_behind_another() {
    let stage = Stage::new(&["--skip-auth-route=^/open"]);
    let host = stage.browser().host();
    let smuggled = format!("GET /closed HTTP/1.1\r\nHost: {host}\r\n\r\n");
    let length = smuggled.len();
    let chunk = format!("{length:x}\r\n{smuggled}\r\n0\r\n\r\n");
    let start = format!("POST /open HTTP/1.1\r\nHost: {host}\r\n");
    let requests = [
        format!(
            "{start}Content-Length: {}\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n{smuggled}",
            length + 5
        ),
        format!("{start}Transfer-Encoding: chunked\r\nContent-Length: 4\r\n\r\n{chunk}"),
        format!(
            "{start}Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n\r\n0\r\n\r\n{smuggled}"
        ),
        format!("{start}Transfer-Encoding: identity\r\nContent-Length: 0\r\n\r\n{smuggled}"),
        format!("{start}Transfer-Encoding: xchunked\r\nContent-Length: {length}\r\n\r\n{smuggled}"),
        format!("{start}Transfer-Encoding : chunked\r\nContent-Length: {length}\r\n\r\n{smuggled}"),
        format!("{start}Transfer-Encoding:\u{b}chunked\r\nContent-Length: {length}\r\n\r\n{smuggled}"),
        format!("{start}X: y\r\n Transfer-Encoding: chunked\r\nContent-Length: {length}\r\n\r\n{smuggled}"),
        format!("{start}Content-Length: 0\r\nContent-Length: {length}\r\n\r\n{smuggled}"),
        format!("{start}Content-Length: 0, {length}\r\n\r\n{smuggled}"),
        format!("{start}Content-Length: +{length}\r\n\r\n{smuggled}"),
        format!("{start}Content-Length: 0x0\r\n\r\n{smuggled}"),
        format!("{start}Content-Length: -1\r\n\r\n{smuggled}"),
        format!("{start}Content_Length: {length}\r\n\r\n{smuggled}"),
        format!("{start}Transfer-Encoding: chunked\r\n\r\n0;ext=\"\r\n\r\n{smuggled}"),
        format!("{start}Transfer-Encoding: chunked\r\n\r\n0\r\nX: y\r\n{smuggled}"),
        format!("{start}Transfer-Encoding: chunked\r\n\r\n00000000000000000\r\n\r\n{smuggled}"),
        format!("{start}Transfer-Encoding: chunked\r\n\r\n-0\r\n\r\n{smuggled}"),
        format!("{start}Transfer-Encoding: chunked\r\n\r\n0\n\n{smuggled}"),
        format!("{start}Content-Length: {length}\n\nGET /closed HTTP/1.1\nHost: {host}\n\n"),
        format!("GET /open HTTP/1.1\r\nHost: {host}\r\nContent-Length: {length}\r\n\r\n{smuggled}"),
        format!("GET /open HTTP/1.1\r\nHost: {host}\r\nX: a\rGET /closed HTTP/1.1\r\n\r\n"),
        format!("GET /open\r\nGET /closed HTTP/1.1\r\nHost: {host}\r\n\r\n"),
        format!("GET /open HTTP/1.1\nHost: {host}\n\n{smuggled}"),
        format!("GET /open HTTP/1.0\r\nHost: {host}\r\nTransfer-Encoding: chunked\r\n\r\n{chunk}"),
        format!(
            "GET /open HTTP/1.1\r\nHost: {host}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n{smuggled}"
        ),
        format!(
            "GET /open HTTP/1.1\r\nHost: {host}\r\nUpgrade: h2c\r\nConnection: Upgrade, HTTP2-Settings\r\nHTTP2-Settings: AAMAAABkAAQAAP__\r\n\r\n{smuggled}"
        ),
        format!(
            "GET /open HTTP/1.1\r\nHost: {host}\r\nExpect: 100-continue\r\nContent-Length: 0\r\n\r\n{smuggled}"
        ),
    ];
    std::thread::scope(|scope| {
        for request in &requests {
            let browser = stage.browser();
            scope.spawn(move || {
                browser.raw(
                    format!("{request}GET /open?last HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
                        .as_bytes(),
                )
            });
        }
    });
    for seen in stage.echo.seen() {
        assert!(seen.target.starts_with("/open"), "{seen:?}");
    }
}

#[test]
fn a_duplicated_host_is_refused() {
    let stage = Stage::new(&["--skip-auth-route=.*"]);
    let host = stage.browser().host();
    for lines in
        [format!("Host: {host}\r\nHost: evil.example"), format!("Host: evil.example\r\nHost: {host}")]
    {
        let answer = stage
            .browser()
            .raw(format!("GET /x HTTP/1.1\r\n{lines}\r\nConnection: close\r\n\r\n").as_bytes());
        assert!(answer.starts_with("HTTP/1.1 400"), "{answer}");
    }
    assert!(stage.echo.seen().is_empty());
}

#[test]
fn huge_headers_are_refused_and_do_no_harm() {
    let mut stage = Stage::new(&["--skip-auth-route=.*"]);
    for request in [
        Request::get(&format!("/{}", "a".repeat(2_000_000))),
        Request::get("/x").header("X-Long", &"a".repeat(2_000_000)),
        (0..5_000).fold(Request::get("/x"), |request, number| request.header(&format!("X-{number}"), "y")),
    ] {
        // Or it hangs up before all of it was read.
        if let Ok(answer) = stage.browser().try_send(request) {
            assert!(matches!(answer.status, 400 | 413 | 414 | 431), "{}", answer.status);
        }
    }
    stage.doorward.assert_alive();
    assert!(stage.echo.seen().is_empty());
}
