//! Programs are told what people are shown (docs/api-clients.md).

use doorward_testkit::{Answer, Request};
use serde_json::Value;

use crate::support::Stage;

const PAGES: &str = "text/html,application/xhtml+xml,*/*;q=0.8";

/// An address of this stage.
fn at(stage: &Stage, target: &str) -> String {
    format!("http://{}{target}", stage.browser().host())
}

#[track_caller]
fn login_url(answer: &Answer) -> String {
    let body: Value = answer.json();
    assert_eq!(body["error"], "login_required");
    body["login_url"].as_str().unwrap().to_owned()
}

/// Each kind of program, and what it says of itself.
fn programs() -> [Request; 7] {
    [
        Request::get("/orders?x=1").header("Accept", PAGES).header("X-Requested-With", "XMLHttpRequest"),
        Request::get("/orders?x=1").header("Accept", "*/*").header("Sec-Fetch-Mode", "cors"),
        Request::get("/orders?x=1")
            .header("Accept", "application/json")
            .header("Sec-Fetch-Mode", "same-origin"),
        Request::get("/orders?x=1").header("Sec-Fetch-Dest", "image"),
        Request::get("/orders?x=1").header("Accept", "*/*").header("User-Agent", "curl/8.5.0"),
        Request::get("/orders?x=1").header("Accept", "application/xml"),
        Request::new("OPTIONS", "/orders?x=1")
            .header("Origin", "https://app.example.com")
            .header("Access-Control-Request-Method", "PUT"),
    ]
}

#[test]
fn programs_get_answers_that_programs_read() {
    for flags in [&[][..], &["--skip-provider-button"]] {
        let stage = Stage::new(flags);
        let endpoint = if flags.is_empty() { "sign_in" } else { "start" };
        for request in programs() {
            let answer = stage.browser().send(request.clone());
            assert_eq!((answer.status, answer.location()), (401, ""), "{request:?}");
            assert_eq!(answer.header("content-type"), "application/json", "{request:?}");
            let url = login_url(&answer);
            assert!(url.starts_with(&at(&stage, &format!("/oauth2/{endpoint}?rd="))), "{url}");
            assert_eq!(answer.header("x-login-url"), url);
            assert!(answer.set_cookies().is_empty(), "no login is begun: {request:?}");
        }
        // What oauth2-proxy knows for a program gets its answer, and a header besides.
        let answer = stage.browser().send(Request::get("/").header("Accept", "application/json"));
        assert_eq!((answer.status, answer.text().as_str()), (401, "{}"));
        assert!(answer.header("x-login-url").ends_with("?rd=%2F"));
        let navigation = Request::get("/").header("Accept", PAGES).header("Sec-Fetch-Mode", "navigate");
        let shown = stage.browser().send(navigation);
        assert_eq!(shown.status, if flags.is_empty() { 403 } else { 302 });
    }
}

#[test]
fn a_login_url_leads_back_to_the_page_of_a_script_and_nowhere_else() {
    let stage = Stage::new(&["--skip-provider-button"]);
    let own = at(&stage, "/shop?page=2#x");
    for (referer, target) in [
        (own.as_str(), "%2Fshop%3Fpage%3D2"),
        ("https://evil.example/", "%2F"),
        ("//evil.example/", "%2F"),
        ("/\\evil.example", "%2F"),
        ("", "%2F"),
    ] {
        let request = Request::get("/api/orders").header("Sec-Fetch-Mode", "cors").header("Referer", referer);
        let url = login_url(&stage.browser().send(request));
        assert!(url.ends_with(&format!("/oauth2/start?rd={target}")), "{referer}: {url}");
    }
    // The address works.
    let request = Request::get("/api/orders").header("Sec-Fetch-Mode", "cors").header("Referer", &own);
    let mut browser = stage.browser();
    let url = login_url(&browser.send(request));
    let begun = browser.get(url.strip_prefix(&at(&stage, "")).unwrap());
    assert!(begun.location().starts_with(&stage.provider.issuer()), "{}", begun.location());
    let fixed = Stage::new(&["--redirect-url=https://auth.example.com/oauth2/callback"]);
    let url = login_url(&fixed.browser().send(Request::get("/x").header("Accept", "text/css")));
    assert_eq!(url, "https://auth.example.com/oauth2/sign_in?rd=%2Fx");
}

#[test]
fn a_refused_question_says_where_to_sign_in() {
    let stage = Stage::new(&["--reverse-proxy", "--skip-jwt-bearer-tokens"]);
    let question = |request: Request| {
        request
            .header("X-Forwarded-Host", "app.example.com")
            .header("X-Forwarded-Proto", "https")
            .header("X-Forwarded-Uri", "/orders?x=1")
    };
    let person = question(Request::get("/oauth2/auth").header("Accept", PAGES));
    let answer = stage.browser().send(person);
    assert_eq!((answer.status, answer.text().as_str()), (401, "Unauthorized\n"));
    assert!(answer.header("x-login-url").starts_with("https://app.example.com/oauth2/sign_in?rd="));
    assert!(answer.header("x-login-url").ends_with("%2Forders%3Fx%3D1"), "{}", answer.header("x-login-url"));
    assert!(answer.header("www-authenticate").starts_with("Bearer"));
    let script = question(Request::get("/oauth2/auth").header("Sec-Fetch-Mode", "cors"));
    let answer = stage.browser().send(script);
    assert_eq!(answer.status, 401);
    assert_eq!(login_url(&answer), answer.header("x-login-url"));
    let plain = stage.browser().get("/oauth2/auth");
    assert_eq!((plain.status, plain.text().as_str()), (401, "Unauthorized\n"));
}

#[test]
fn programs_that_may_not_are_told_so_too() {
    let stage = Stage::new(&[]);
    let mut browser = stage.logged_in();
    let stricter = stage.sibling(&["--allowed-group=nobody"]);
    let mut there = stricter.browser();
    there.cookies = browser.cookies.clone();
    let answer = there.send(Request::get("/page").header("Sec-Fetch-Mode", "cors"));
    assert_eq!((answer.status, answer.json()["error"].as_str()), (403, Some("access_denied")));
    assert_eq!(browser.get("/page").status, 200);
}

#[test]
fn the_rule_of_oauth2_proxy_can_be_had_back() {
    let stage = Stage::new(&["--compat=login-for-any-request", "--skip-jwt-bearer-tokens"]);
    for request in programs() {
        let json = format!("{request:?}").contains("application/json");
        let answer = stage.browser().send(request.clone());
        assert_eq!(answer.status, if json { 401 } else { 403 }, "{request:?}");
        assert_eq!(answer.text() == "{}", json, "{request:?}");
        assert_eq!((answer.header("x-login-url"), answer.header("www-authenticate")), ("", ""));
    }
    let answer = stage.browser().send(Request::get("/oauth2/auth").header("Sec-Fetch-Mode", "cors"));
    assert_eq!((answer.text().as_str(), answer.header("x-login-url")), ("Unauthorized\n", ""));
}
