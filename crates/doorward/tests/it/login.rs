//! The way to a session and back: state, code, nonce, tabs, and what an unfriendly browser or provider tries.

use doorward_testkit::{Browser, Endpoint, Fault, Launch, Request, resigned};
use serde_json::{Value, json};

use crate::refresh::{SHORT, wait_until_due};
use crate::support::{
    CSRF, SESSION, Stage, assert_login_accepted, assert_login_refused, at_once, brings_session, encoded,
};

#[test]
fn a_login_ends_at_the_wanted_page_and_opens_the_application() {
    let stage = Stage::new(&[]);
    let mut browser = stage.browser();
    assert_eq!(browser.get("/page").status, 403);
    assert!(stage.echo.seen().is_empty());
    let answer = browser.login("/page?x=1&y=%2F");
    assert_eq!((answer.status, answer.location()), (302, "/page?x=1&y=%2F"));
    let page = browser.get("/page?x=1&y=%2F");
    assert_eq!((page.status, page.json()["target"].clone()), (200, json!("/page?x=1&y=%2F")));
    assert_eq!(page.echoed().all("x-forwarded-email"), ["jane@example.com"]);
}

#[test]
fn a4_the_state_is_compared_before_the_code_is_redeemed() {
    let stage = Stage::new(&[]);
    let (mut victim, mut attacker) = (stage.browser(), stage.browser());
    victim.start("/");
    let begun = attacker.start("/");
    let callback = attacker.authorize(begun.location());
    let answer = victim.get(&callback);
    assert_eq!(answer.status, 403);
    assert!(!brings_session(&answer));
    assert_eq!(stage.provider.count(Endpoint::Token), 0);
    // The attempt it was made for is not spoilt.
    assert_eq!(attacker.get(&callback).status, 302);
}

#[test]
fn a_callback_without_the_cookie_of_its_attempt_redeems_nothing() {
    let stage = Stage::new(&[]);
    let begun = stage.browser().start("/");
    let callback = stage.browser().authorize(begun.location());
    let answer = stage.browser().get(&callback);
    assert_eq!(answer.status, 403);
    assert_eq!(stage.provider.count(Endpoint::Token), 0);
}

#[test]
fn a_broken_callback_is_refused_and_redeems_nothing() {
    let stage = Stage::new(&[]);
    let mut browser = stage.browser();
    let begun = browser.start("/");
    let sent = encoded(&begun.location_parameter("state").unwrap());
    let other = sent.replacen(|character: char| character.is_ascii_alphanumeric(), "-", 1);
    for query in [
        String::new(),
        "?code=x".into(),
        format!("?state={sent}"),
        format!("?state={sent}&code="),
        format!("?state={sent}&code=x&code=y"),
        format!("?state={sent}&state={other}&code=x"),
        format!("?state={other}&state={sent}&code=x"),
        format!("?state={other}&code=x"),
        "?state=&code=x".into(),
        "?state=%00&code=x".into(),
        "?state=:&code=x".into(),
        "?state=::::&code=x".into(),
        "?state=%ff%fe&code=%ff".into(),
        format!("?state={}&code=x", "a".repeat(30_000)),
        format!("?error=%25s%25n%25d&state={sent}"),
        format!("?code=x&state={}", sent.split("%3A").next().unwrap()),
    ] {
        let answer = browser.clone().get(&format!("/oauth2/callback{query}"));
        assert!(matches!(answer.status, 400 | 403 | 414 | 431 | 500), "{query}: {}", answer.status);
        assert!(!brings_session(&answer), "{query}");
    }
    assert_eq!(stage.provider.count(Endpoint::Token), 0);
}

#[test]
fn a5_a_failed_callback_is_logged_without_code_state_or_cookie() {
    let stage = Stage::new(&[]);
    let (mut victim, mut attacker) = (stage.browser(), stage.browser());
    victim.start("/");
    let begun = attacker.start("/");
    let sent = begun.location_parameter("state").unwrap();
    let callback = attacker.authorize(begun.location());
    assert_eq!(victim.get(&callback).status, 403);
    assert_eq!(stage.browser().get(&callback).status, 403);
    let log = stage.doorward.log();
    for secret in [sent.split(':').next().unwrap(), &attacker.cookies[CSRF]] {
        assert!(!log.contains(secret), "{secret}\n{log}");
    }
    assert!(log.lines().all(|line| line.len() < 700), "{log}");
    assert_no_code_logged(&stage);
}

#[track_caller]
fn assert_no_code_logged(stage: &Stage) {
    let log = stage.doorward.log();
    for code in stage.provider.codes() {
        let line = log.lines().find(|line| line.contains(&code));
        assert_eq!(line, None, "a code is logged");
    }
}

#[test]
fn a6_the_words_of_the_provider_are_shown_as_text() {
    let stage = Stage::new(&[]);
    for (sent, shown) in [
        ("%d%s%n", "%d%s%n"),
        ("<script>alert(1)</script>", "&lt;script&gt;alert(1)&lt;/script&gt;"),
        ("\"><img src=x>", "&gt;&lt;img src=x&gt;"),
        ("{{.Message}}", "{{.Message}}"),
    ] {
        for name in ["error", "error_description"] {
            let error = if name == "error" { "" } else { "error=access_denied&" };
            let answer = stage.browser().get(&format!("/oauth2/callback?{error}{name}={}", encoded(sent)));
            assert_eq!(answer.status, 403, "{name} {sent}");
            let page = answer.text();
            assert!(
                !page.contains("<script>alert") && !page.contains("<img src=x") && !page.contains("MISSING")
            );
            assert!(name != "error" || page.contains(shown), "{sent}\n{page}");
        }
    }
    let long = "x".repeat(20_000);
    let page = stage.browser().get(&format!("/oauth2/callback?error={long}")).text();
    assert!(page.matches('x').count() < 2_000);
    let longest = stage.doorward.log().lines().filter(|line| !line.contains("GET - ")).map(str::len).max();
    assert!(longest.is_some_and(|length| length < 2_000), "{longest:?}");
}

#[test]
fn a12_pkce_and_nonce_are_used_without_being_asked_for() {
    let stage = Stage::new(&[]);
    assert_login_accepted(&stage, "the provider checks the verifier");
    let begun = &stage.provider.calls(Endpoint::Authorize)[0].parameters;
    assert_eq!(begun["code_challenge_method"], "S256");
    assert_eq!(begun["nonce"].len(), 43);
    assert!(stage.provider.calls(Endpoint::Token)[0].parameters.contains_key("code_verifier"));
    stage.provider.set(|knobs| knobs.claim("nonce", "another one"));
    assert_eq!(assert_login_refused(&stage, "a nonce of another login").status, 403);
    stage.provider.set(|knobs| knobs.claim("nonce", Value::Null));
    assert_login_accepted(&stage, "providers that do not return the nonce keep working");
}

#[test]
fn a_nonce_can_be_required() {
    let stage = Stage::new(&["--insecure-oidc-skip-nonce=false"]);
    assert_login_accepted(&stage, "with nonce");
    stage.provider.set(|knobs| knobs.claim("nonce", Value::Null));
    assert_login_refused(&stage, "without nonce");
}

#[test]
fn pkce_is_not_forced_on_a_provider_that_does_not_know_it() {
    let without = |provider: &doorward_testkit::Provider| {
        provider
            .set(|knobs| _ = knobs.discovery.insert("code_challenge_methods_supported".into(), Value::Null));
    };
    let stage = Stage::before(without, |launch| launch);
    assert_login_accepted(&stage, "no challenge, no verifier");
    assert!(!stage.provider.calls(Endpoint::Authorize)[0].parameters.contains_key("code_challenge"));
}

#[test]
fn a17_userinfo_of_another_subject_is_not_believed() {
    let stage = Stage::new(&[]);
    stage.provider.set(|knobs| {
        knobs.claim("email", Value::Null);
        knobs.user_info.insert("sub".into(), "somebody-else".into());
        knobs.user_info.insert("email".into(), "boss@example.com".into());
    });
    assert_login_refused(&stage, "the subjects differ");
    stage.provider.set(|knobs| _ = knobs.user_info.insert("sub".into(), "sub-1".into()));
    assert_login_accepted(&stage, "the subjects agree");
}

#[test]
fn c14_a_code_is_redeemed_once_whatever_the_provider_says() {
    for (status, body) in [(400, r#"{"error":"invalid_grant"}"#), (500, "oops"), (503, "")] {
        let stage = Stage::new(&[]);
        stage.provider.fail(Endpoint::Token, Fault::Status(status, body));
        assert_login_refused(&stage, body);
        assert_eq!(stage.provider.count(Endpoint::Token), 1, "after {status}");
    }
}

#[test]
fn c14_client_authentication_follows_what_the_provider_lists() {
    let post_only = |provider: &doorward_testkit::Provider| {
        let methods = json!(["client_secret_post"]);
        provider
            .set(|knobs| _ = knobs.discovery.insert("token_endpoint_auth_methods_supported".into(), methods));
    };
    let stage = Stage::before(post_only, |launch| launch);
    assert_login_accepted(&stage, "credentials in the form");
    let calls = stage.provider.calls(Endpoint::Token);
    assert_eq!(calls.len(), 1);
    assert!(!calls[0].headers.has("authorization"));
}

#[test]
fn a_used_code_gives_no_second_session() {
    let stage = Stage::new(&[]);
    let mut browser = stage.browser();
    let begun = browser.start("/");
    let mut thief = browser.clone();
    let callback = browser.authorize(begun.location());
    assert_eq!(browser.get(&callback).status, 302);
    let answer = thief.get(&callback);
    assert!(answer.status >= 400, "{}", answer.status);
    assert!(!brings_session(&answer));
}

#[test]
fn going_back_to_the_callback_with_a_session_leads_to_the_wanted_page() {
    let stage = Stage::new(&[]);
    let mut browser = stage.browser();
    let begun = browser.start("/wanted");
    let callback = browser.authorize(begun.location());
    assert_eq!(browser.get(&callback).status, 302);
    let again = browser.get(&callback);
    assert_eq!((again.status, again.location()), (302, "/wanted"));
    assert_eq!(stage.provider.count(Endpoint::Token), 1);
    assert_eq!(browser.get("/oauth2/auth").status, 202);
}

#[test]
fn a_tab_that_lost_its_attempt_begins_anew_once_and_ends_at_its_own_page() {
    let stage = Stage::new(&[]);
    let mut browser = stage.browser();
    let first = browser.start("/first");
    browser.start("/second");
    let lost = browser.authorize(first.location());
    let page = browser.get(&lost);
    assert_eq!(page.status, 403);
    let again = refresh_target(page.header("refresh"));
    let restarted = browser.get(&again);
    assert_eq!(restarted.status, 302);
    let callback = browser.authorize(restarted.location());
    let answer = browser.clone().get(&callback);
    assert_eq!((answer.status, answer.location()), (302, "/first"));
    // Had that failed as well, a person would have to decide.
    browser.cookies.remove(CSRF);
    let dead_end = browser.get(&callback);
    assert_eq!((dead_end.status, dead_end.header("refresh")), (403, ""));
}

fn refresh_target(header: &str) -> String {
    let target = header.split_once("url=").unwrap_or_else(|| panic!("no Refresh header: {header:?}")).1;
    target.trim_matches('"').to_owned()
}

#[test]
fn a_late_tab_of_somebody_who_is_signed_in_goes_to_its_page() {
    let stage = Stage::new(&[]);
    let mut browser = stage.browser();
    let first = browser.start("/first");
    let second = browser.start("/second");
    let (lost, good) = (browser.authorize(first.location()), browser.authorize(second.location()));
    assert_eq!(browser.get(&good).location(), "/second");
    let answer = browser.get(&lost);
    assert_eq!((answer.status, answer.location()), (302, "/first"));
}

#[test]
fn with_a_cookie_for_each_attempt_both_tabs_finish() {
    let stage = Stage::new(&["--cookie-csrf-per-request"]);
    let mut browser = stage.browser();
    let first = browser.start("/first");
    let second = browser.start("/second");
    for (begun, page) in [(first, "/first"), (second, "/second")] {
        let callback = browser.authorize(begun.location());
        let answer = browser.get(&callback);
        assert_eq!((answer.status, answer.location()), (302, page));
    }
}

#[test]
fn an_attempt_that_took_too_long_is_begun_anew() {
    let stage = Stage::new(&[]);
    let mut browser = stage.browser();
    let begun = browser.start("/wanted");
    let old = resigned(Launch::COOKIE_SECRET, CSRF, &browser.cookies[CSRF], 3600);
    browser.cookies.insert(CSRF.into(), old);
    let callback = browser.authorize(begun.location());
    let page = browser.get(&callback);
    assert_eq!(page.status, 403);
    assert_eq!(stage.provider.count(Endpoint::Token), 0);
    let again = browser.get(&refresh_target(page.header("refresh")));
    let callback = browser.authorize(again.location());
    assert_eq!(browser.get(&callback).location(), "/wanted");
}

#[test]
fn a_provider_in_trouble_gives_an_error_page_and_no_session() {
    let faults = [
        Fault::Status(500, "oops"),
        Fault::Status(302, ""),
        Fault::Close,
        Fault::Malformed,
        Fault::HugeBody,
        Fault::GzipBomb,
        Fault::Drip,
        Fault::Hang,
    ];
    at_once(&faults, |&fault| {
        let mut stage = Stage::new(&[]);
        stage.provider.fail(Endpoint::Token, fault);
        assert_login_refused(&stage, &format!("{fault:?}"));
        stage.provider.mend(Endpoint::Token);
        assert_login_accepted(&stage, &format!("after {fault:?}"));
        stage.doorward.assert_alive();
    });
}

#[test]
fn an_answer_without_the_needed_tokens_is_no_login() {
    let stage = Stage::new(&[]);
    for (member, value) in [
        ("id_token", Value::Null),
        ("id_token", json!("")),
        ("id_token", json!(7)),
        ("access_token", Value::Null),
    ] {
        stage.provider.set(|knobs| {
            knobs.token_answer.clear();
            knobs.token_answer.insert(member.into(), value.clone());
        });
        assert_login_refused(&stage, &format!("{member} is {value}"));
    }
}

#[test]
fn the_callback_may_be_posted() {
    let stage = Stage::new(&["--auth-request-response-mode=form_post"]);
    let mut browser = stage.browser();
    let begun = browser.start("/page");
    let callback = browser.authorize(begun.location());
    let body = callback.split_once('?').unwrap().1;
    let post = Request::new("POST", "/oauth2/callback")
        .header("Content-Type", "application/x-www-form-urlencoded")
        .body(body);
    let answer = browser.send(post);
    assert_eq!((answer.status, answer.location()), (302, "/page"));
}

#[test]
fn nothing_secret_is_logged_even_if_tokens_are_passed_on() {
    let stage = Stage::new(&[
        "--pass-access-token",
        "--set-xauthrequest",
        "--set-authorization-header",
        "--pass-authorization-header",
        "--show-debug-on-error",
        SHORT,
    ]);
    let mut browser = stage.logged_in();
    assert_eq!(browser.get("/page").status, 200);
    wait_until_due();
    assert_eq!(browser.get("/oauth2/auth").status, 202);
    browser.get("/oauth2/userinfo");
    let session = browser.cookies[SESSION].clone();
    stage.provider.fail(Endpoint::Token, Fault::Status(400, r#"{"error":"invalid_grant"}"#));
    browser.login("/");
    browser.get("/oauth2/sign_out");
    assert!(!stage.doorward.log().contains(&session));
    assert_no_code_logged(&stage);
    // The tokens and secrets are looked for when the stage is dropped, here and in all other tests.
}

#[test]
fn our_pages_cannot_be_framed_cached_or_sniffed() {
    let stage = Stage::new(&[]);
    for target in ["/page", "/oauth2/sign_in", "/oauth2/callback?error=x", "/oauth2/callback"] {
        let answer = stage.browser().get(target);
        assert_eq!(answer.header("x-content-type-options"), "nosniff", "{target}");
        assert!(answer.header("content-security-policy").contains("frame-ancestors 'none'"), "{target}");
        assert!(answer.header("cache-control").contains("no-store"), "{target}");
        assert!(!answer.text().contains("javascript:"), "{target}");
    }
    let start = stage.browser().start("/");
    assert!(start.header("cache-control").contains("no-store"));
}

#[test]
fn c18_dates_in_headers_end_in_gmt() {
    let stage = Stage::new(&[]);
    assert_eq!(stage.browser().get("/oauth2/sign_in").header("expires"), "Thu, 01 Jan 1970 00:00:00 GMT");
}

#[test]
fn a20_a_wish_by_header_counts_from_a_trusted_proxy_only() {
    let stage = Stage::new(&["--reverse-proxy", "--trusted-proxy-ip=127.0.0.2"]);
    for (source, expected) in [("127.0.0.1", "/"), ("127.0.0.2", "/wish")] {
        let mut browser: Browser = stage.doorward.browser_from(source);
        let begun = browser.send(Request::get("/oauth2/start").header("X-Auth-Request-Redirect", "/wish"));
        let callback = browser.authorize(begun.location());
        assert_eq!(browser.get(&callback).location(), expected, "from {source}");
    }
}
