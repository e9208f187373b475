//! What a connection and a request may cost, and what is not even looked at.

use doorward_testkit::{Request, eventually};

use crate::support::Stage;

/// One cookie of this many bytes, in pieces as browsers keep them.
fn cookies(bytes: usize) -> String {
    (0..bytes / 4000).map(|part| format!("c{part}={}", "x".repeat(3994))).collect::<Vec<_>>().join("; ")
}

#[test]
fn large_cookies_are_taken_and_larger_ones_are_refused_with_the_right_status() {
    let mut stage = Stage::new(&["--skip-auth-route=^/open$"]);
    for (bytes, status) in [(4_000, 200), (64_000, 200), (100_000, 200), (200_000, 431)] {
        let request = Request::get("/open").header("Cookie", &cookies(bytes));
        // Of what is far too large, it may hang up before all was sent.
        match stage.browser().try_send(request) {
            Ok(answer) => assert_eq!(answer.status, status, "{bytes}"),
            Err(error) => assert_eq!(status, 431, "{bytes}: {error}"),
        }
    }
    stage.doorward.assert_alive();
}

#[test]
fn a_host_that_is_none_is_refused() {
    let stage = Stage::new(&["--skip-auth-route=.*"]);
    let status = |lines: &str, version: &str| {
        let text = format!("GET /x {version}\r\n{lines}Connection: close\r\n\r\n");
        let answer = stage.browser().raw(text.as_bytes());
        answer.split(' ').nth(1).unwrap_or("none").to_owned()
    };
    for host in ["a/..//b?x#<", "a@b", "", "evil,good", "a\\b", "a:b", "[::1"] {
        assert_eq!(status(&format!("Host: {host}\r\n"), "HTTP/1.1"), "400", "{host:?}");
    }
    assert_eq!(status("", "HTTP/1.1"), "400");
    assert!(stage.echo.seen().is_empty());
    assert_eq!(status("", "HTTP/1.0"), "200");
    for host in ["app_1.internal", "app.test:8080", "[::1]:80"] {
        assert_eq!(status(&format!("Host: {host}\r\n"), "HTTP/1.1"), "200", "{host:?}");
    }
}

#[test]
fn a_path_with_a_backslash_is_refused() {
    let stage = Stage::new(&["--skip-auth-route=.*"]);
    let mut browser = stage.browser();
    for target in ["//\\evil.example", "/\\evil.example", "/a\\b"] {
        let answer = browser.get(target);
        assert_eq!((answer.status, answer.location()), (400, ""), "{target}");
    }
    assert_eq!(browser.get("/a?b=\\c").status, 200);
}

#[test]
fn encoded_dot_segments_are_refused() {
    let stage = Stage::new(&["--skip-auth-route=.*"]);
    for target in ["/a/%2e%2e/b", "/%2E/b", "/a/.%2e", "/a/%2e./b"] {
        assert_eq!(stage.browser().get(target).status, 400, "{target}");
    }
    for target in ["/a/%2e%2e%2e/b", "/a/x%2e/b", "/a?b=/%2e%2e/"] {
        assert_ne!(stage.browser().get(target).status, 400, "{target}");
    }
}

#[test]
fn after_a_refused_tunnel_nothing_more_is_read() {
    let stage = Stage::new(&["--skip-auth-route=.*"]);
    let host = stage.browser().host();
    let text = format!(
        "CONNECT {host} HTTP/1.1\r\nHost: {host}\r\n\r\nGET /behind HTTP/1.1\r\nHost: {host}\r\n\r\n"
    );
    let answer = stage.browser().raw(text.as_bytes());
    assert!(answer.starts_with("HTTP/1.1 400 "), "{answer}");
    assert!(answer.to_ascii_lowercase().contains("\r\nconnection: close\r\n"), "{answer}");
    assert_eq!(answer.matches("HTTP/1.1 ").count(), 1, "{answer}");
    assert!(stage.echo.seen().is_empty());
}

#[test]
fn a_forwarded_target_that_is_no_path_is_refused() {
    let stage = Stage::new(&["--reverse-proxy", "--skip-auth-route=^/$"]);
    let ask =
        |uri: &str| stage.browser().send(Request::get("/oauth2/auth").header("X-Forwarded-Uri", uri)).status;
    for uri in ["public", "x:1", "*", "?x", "//a\\b", "ftp://app.test/"] {
        assert_eq!(ask(uri), 400, "{uri}");
    }
    assert_eq!((ask("/"), ask("https://app.test/"), ask("/closed")), (202, 202, 401));
}

#[test]
fn a_forwarded_method_is_one_method() {
    let stage = Stage::new(&["--reverse-proxy"]);
    let ask = |headers: &[(&str, &str)]| {
        let request = Request::get("/oauth2/auth").header("X-Forwarded-Uri", "/x");
        let request = headers.iter().fold(request, |request, (name, value)| request.header(name, value));
        stage.browser().send(request).status
    };
    for headers in [
        &[("X-Forwarded-Method", "GET, POST")][..],
        &[("X-Original-Method", "/open")],
        &[("X-Forwarded-Method", "GET"), ("X-Forwarded-Method", "POST")],
        &[("X-Forwarded-Method", "GET"), ("X-Original-Method", "POST")],
    ] {
        assert_eq!(ask(headers), 400, "{headers:?}");
    }
    assert_eq!(ask(&[("X-Forwarded-Method", "POST")]), 401);
}

#[test]
fn idle_connections_do_not_keep_others_out() {
    let mut stage = Stage::new(&["--skip-auth-route=.*"]);
    let browser = stage.browser();
    let silent: Vec<_> = (0..200).map(|_| browser.connect().unwrap()).collect();
    eventually("others are served", || browser.clone().get("/x").status == 200);
    drop(silent);
    stage.doorward.assert_alive();
}
