//! What proxies in front may say, and that nobody else may say it.

use doorward_testkit::{Browser, Request};
use serde_json::json;

use crate::support::Stage;

const BEHIND_A_PROXY: [&str; 2] = ["--reverse-proxy", "--trusted-proxy-ip=127.0.0.2"];

/// A visitor that comes straight to us, and the proxy that we trust.
fn stranger_and_proxy(stage: &Stage) -> (Browser, Browser) {
    (stage.doorward.browser_from("127.0.0.1"), stage.doorward.browser_from("127.0.0.2"))
}

fn behind_a_proxy(flags: &[&str]) -> Stage {
    Stage::launch(|launch| launch.flags(BEHIND_A_PROXY).flags(flags.iter().copied()))
}

#[test]
fn a1_the_address_of_a_client_is_believed_from_trusted_proxies_only() {
    for (option, name) in [
        ("--real-client-ip-header=X-Real-IP", "X-Real-IP"),
        ("--real-client-ip-header=X-Forwarded-For", "X-Forwarded-For"),
        ("--real-client-ip-header=CF-Connecting-IP", "CF-Connecting-IP"),
    ] {
        let stage = behind_a_proxy(&["--trusted-ip=192.0.2.7", option]);
        let (mut stranger, mut proxy) = stranger_and_proxy(&stage);
        let request = Request::get("/page").header(name, "192.0.2.7");
        assert_eq!(stranger.send(request.clone()).status, 403, "{name}");
        assert_eq!(proxy.send(request).status, 200, "{name}");
        let lines: Vec<String> = stage.doorward.log().lines().map(ToOwned::to_owned).collect();
        let refused: Vec<_> =
            lines.iter().filter(|line| line.contains("\"/page\"") && line.contains(" 403 ")).collect();
        assert!(refused.iter().all(|line| line.starts_with("127.0.0.1")), "{refused:?}");
    }
}

#[test]
fn a1_a_list_of_addresses_is_read_from_the_near_end() {
    let stage = behind_a_proxy(&["--trusted-ip=192.0.2.7", "--real-client-ip-header=X-Forwarded-For"]);
    let (_, mut proxy) = stranger_and_proxy(&stage);
    for (list, status) in [
        ("192.0.2.7", 200),
        ("198.51.100.1, 192.0.2.7", 200),
        ("198.51.100.1, 192.0.2.7, 127.0.0.2", 200),
        // The client wrote the first one itself.
        ("192.0.2.7, 198.51.100.1", 403),
        ("192.0.2.7,198.51.100.1,127.0.0.2", 403),
    ] {
        assert_eq!(
            proxy.send(Request::get("/page").header("X-Forwarded-For", list)).status,
            status,
            "{list}"
        );
    }
}

#[test]
fn an_address_that_cannot_be_read_is_trusted_by_no_rule() {
    let stage = behind_a_proxy(&["--trusted-ip=127.0.0.0/8", "--trusted-ip=0.0.0.0/0", "--trusted-ip=::/0"]);
    let (_, mut proxy) = stranger_and_proxy(&stage);
    for value in [
        "garbage",
        "999.1.1.1",
        "127.0.0.1x",
        "0x7f.1",
        "127.1",
        "[::1",
        "127.0.0.1 127.0.0.1",
        "unknown",
        "_hidden",
        ",",
    ] {
        assert_eq!(proxy.send(Request::get("/page").header("X-Real-IP", value)).status, 403, "{value:?}");
    }
}

#[test]
fn a7_the_target_of_a_proxy_opens_no_page_that_we_serve_ourselves() {
    let stage = behind_a_proxy(&["--skip-auth-route=^/open$"]);
    let (mut stranger, mut proxy) = stranger_and_proxy(&stage);
    let request = Request::get("/closed").header("X-Forwarded-Uri", "/open");
    assert_eq!(stranger.send(request.clone()).status, 403);
    assert_eq!(proxy.send(request).status, 403);
    assert!(stage.echo.seen().is_empty());
}

#[test]
fn a_forward_auth_question_is_judged_by_the_target_a_trusted_proxy_names() {
    let stage = behind_a_proxy(&["--skip-auth-route=^/open$"]);
    let (stranger, proxy) = stranger_and_proxy(&stage);
    let ask = |browser: &Browser, uri: &str| {
        browser.clone().send(Request::get("/oauth2/auth").header("X-Forwarded-Uri", uri)).status
    };
    assert_eq!(ask(&proxy, "/open"), 202);
    assert_eq!(ask(&stranger, "/open"), 401);
    for uri in [
        "/closed",
        "/closed?/open",
        "/closed?x=/open",
        "/open/../closed",
        "/open%2f..%2fclosed",
        "/OPEN",
        "//open",
        "/open/",
    ] {
        assert_ne!(ask(&proxy, uri), 202, "{uri}");
    }
    // What cannot be read is never taken for something else.
    for uri in ["/open#/closed", "/closed#/open", "open", "/open\u{7f}", "http://evil.example/open x"] {
        let status = ask(&proxy, uri);
        assert!(matches!(status, 400 | 401), "{uri}: {status}");
    }
}

#[test]
fn contradicting_headers_of_a_proxy_are_refused() {
    let stage = behind_a_proxy(&["--skip-auth-route=^/open$"]);
    let (_, proxy) = stranger_and_proxy(&stage);
    for name in ["X-Forwarded-Uri", "X-Forwarded-Host", "X-Forwarded-Proto"] {
        let request = Request::get("/oauth2/auth").header(name, "/open").header(name, "/closed");
        assert_eq!(proxy.clone().send(request).status, 400, "{name}");
    }
    for name in ["X-Original-URL", "X-Original-URI", "X-Rewrite-URL", "X-Auth-Request-Redirect"] {
        let request = Request::get("/oauth2/auth").header("X-Forwarded-Uri", "/closed").header(name, "/open");
        assert_eq!(proxy.clone().send(request).status, 401, "{name}");
    }
}

#[test]
fn forwarding_headers_of_strangers_change_nothing() {
    let stage =
        behind_a_proxy(&["--trusted-ip=192.0.2.7", "--cookie-domain=x.org", "--cookie-domain=example.org"]);
    let (stranger, proxy) = stranger_and_proxy(&stage);
    let request = || {
        [
            ("X-Forwarded-For", "192.0.2.7"),
            ("X-Real-IP", "192.0.2.7"),
            ("CF-Connecting-IP", "192.0.2.7"),
            ("Forwarded", "for=192.0.2.7;host=app.example.org;proto=https"),
            ("X-Forwarded-Host", "app.example.org"),
            ("X-Forwarded-Proto", "https"),
            ("X-Forwarded-Port", "444"),
            ("X-Forwarded-Prefix", "/prefix"),
            ("X-Forwarded-Uri", "/wish"),
        ]
        .into_iter()
        .fold(Request::get("/oauth2/start"), |request, (name, value)| request.header(name, value))
    };
    let redirect_uri = |mut browser: Browser| {
        let answer = browser.send(request());
        assert_eq!(answer.status, 302);
        let domain = answer.set_cookies()[0].scope();
        (answer.location_parameter("redirect_uri").unwrap(), domain.contains("example.org"))
    };
    let host = stage.browser().host();
    assert_eq!(redirect_uri(stranger), (format!("http://{host}/oauth2/callback"), false));
    assert_eq!(redirect_uri(proxy), ("https://app.example.org/oauth2/callback".to_owned(), true));
}

#[test]
fn without_a_proxy_in_front_nobody_is_believed() {
    let stage = Stage::new(&["--trusted-ip=192.0.2.7", "--skip-auth-route=^/open$"]);
    for (name, value) in
        [("X-Real-IP", "192.0.2.7"), ("X-Forwarded-For", "192.0.2.7"), ("X-Forwarded-Uri", "/open")]
    {
        assert_eq!(stage.browser().send(Request::get("/closed").header(name, value)).status, 403, "{name}");
        assert_eq!(
            stage.browser().send(Request::get("/oauth2/auth").header(name, value)).status,
            401,
            "{name}"
        );
    }
}

#[test]
fn a_proxy_does_not_make_its_own_address_trusted() {
    let stage = behind_a_proxy(&["--trusted-ip=127.0.0.0/8"]);
    let (_, mut proxy) = stranger_and_proxy(&stage);
    assert_eq!(proxy.send(Request::get("/page").header("X-Real-IP", "192.0.2.9")).status, 403);
    assert_eq!(proxy.send(Request::get("/page")).status, 403);
}

#[test]
fn c13_https_can_be_demanded_behind_a_proxy_that_ends_tls() {
    let stage = behind_a_proxy(&["--force-https"]);
    let (mut stranger, mut proxy) = stranger_and_proxy(&stage);
    assert_eq!(proxy.send(Request::get("/page").header("X-Forwarded-Proto", "https")).status, 403);
    let redirected = proxy.send(
        Request::get("/page?x=1")
            .header("X-Forwarded-Proto", "http")
            .header("X-Forwarded-Host", "app.example.com"),
    );
    assert_eq!((redirected.status, redirected.location()), (308, "https://app.example.com/page?x=1"));
    assert_eq!(stranger.send(Request::get("/page").header("X-Forwarded-Proto", "https")).status, 308);
    for target in ["/ping", "/ready"] {
        assert_eq!(stranger.get(target).status, 200, "{target}");
    }
}

#[test]
fn what_clients_write_cannot_forge_log_lines() {
    let stage = Stage::launch(|launch| {
        launch.file("htpasswd", crate::support::BOB).flag("--htpasswd-file={file:htpasswd}")
    });
    let forged = "127.0.0.1 - x - boss [2030/01/01 00:00:00] [AuthSuccess] forged";
    let mut browser = stage.browser();
    browser.get(&format!("/a%0a{}%1b[31m", forged.replace(' ', "%20")));
    browser.send(Request::get("/x").header("User-Agent", &format!("agent\u{1b}[2J\" {forged}")));
    browser.send(Request::get("/x").header("X-Request-Id", &format!("id {forged}")));
    browser.send(Request::form(
        "/oauth2/sign_in",
        &[("username", &format!("x\r\n{forged}")), ("password", "p")],
    ));
    browser.send(Request::get("/x").basic(&format!("x\n{forged}"), "p"));
    browser.get(&format!("/oauth2/callback?error=x%0a{}", forged.replace(' ', "+")));
    browser.get(&format!("/oauth2/start?rd=/%0a{}", forged.replace(' ', "+")));
    stage.provider.set(|knobs| {
        knobs.claim("preferred_username", format!("x\n{forged}"));
        knobs.claim("groups", json!([format!("g\n{forged}")]));
    });
    browser.login("/");
    let log = stage.doorward.log();
    assert!(!log.contains('\u{1b}'), "{log}");
    assert!(!log.lines().any(|line| line.starts_with(forged)), "{log}");
}

#[test]
fn pages_do_not_reflect_the_host() {
    let stage = Stage::new(&[]);
    for header in ["Host", "X-Forwarded-Host"] {
        let answer = stage.browser().send(Request::get("/page").header(header, "evil.example"));
        assert!(!answer.text().contains("evil.example"), "{header}");
    }
}

#[test]
fn a23_where_proxies_are_named_strangers_tell_the_application_nothing_about_the_way() {
    let told = [
        ("X-Forwarded-For", "10.1.1.1"),
        ("X-Forwarded-Host", "evil.example"),
        ("X-Forwarded-Proto", "https"),
        ("X-Forwarded-Port", "444"),
        ("X-Forwarded-Prefix", "/evil"),
        ("X_Forwarded_Proto", "https"),
        ("X-Real-IP", "10.1.1.1"),
        ("Forwarded", "for=10.1.1.1"),
        ("CF-Connecting-IP", "10.1.1.1"),
    ];
    let request =
        || told.iter().fold(Request::get("/open"), |request, (name, value)| request.header(name, value));
    let heard = |stage: &Stage, source: &str| {
        let seen = stage.doorward.browser_from(source).send(request()).echoed();
        let others: Vec<_> = told.iter().skip(1).filter(|(name, _)| seen.has(name)).collect();
        (seen.all("x-forwarded-for").join(", "), others.len())
    };
    let open = "--skip-auth-route=^/open$";
    let stage = behind_a_proxy(&[open]);
    assert_eq!(heard(&stage, "127.0.0.1"), ("127.0.0.1".to_owned(), 0));
    assert_eq!(heard(&stage, "127.0.0.2"), ("10.1.1.1, 127.0.0.2".to_owned(), told.len() - 1));
    let all = told.len() - 1;
    for stage in [behind_a_proxy(&[open, "--compat=forwarding-headers-of-strangers"]), Stage::new(&[open])] {
        assert_eq!(heard(&stage, "127.0.0.1"), ("10.1.1.1, 127.0.0.1".to_owned(), all));
    }
}
