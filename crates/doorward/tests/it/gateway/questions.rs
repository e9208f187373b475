//! The questions of forward-auth proxies about requests that a route is about.

use doorward_testkit::{Answer, Launch, Request};
use serde_json::json;

use super::{Gated, bearer};

fn gated() -> Gated {
    Gated::launch(
        "  credentials:
    internal: {type: jwt}
  routes:
    - {id: orders, match: {hosts: [api.test], path: '/orders/{id}', methods: [GET]}, upstream: UPSTREAM, authenticate: [opaque, jwt], authorize: {any: [{scopes: {any: [orders:read]}}, {authenticator: opaque}]}, credential: {use: internal, audience: orders}, errorFormat: aws}
    - {id: people, match: {path: /people/}, upstream: UPSTREAM, authenticate: session}
",
        |launch: Launch| launch.flag("--reverse-proxy").flag("--trusted-proxy-ip=127.0.0.1"),
    )
}

#[test]
fn a_policy_that_changes_more_than_headers_lets_nobody_in_through_a_forward_auth_proxy() {
    let policy = r#"package gate
import rego.v1
decision := {"allowed": true, "headers": {"x-tier": "gold"}} if input.parsed_path[0] == "header"
decision := {"allowed": true, "query_parameters_to_set": {"tenant": "acme"}} if input.parsed_path[0] == "set"
decision := {"allowed": true, "query_parameters_to_remove": ["debug"]} if input.parsed_path[0] == "remove"
decision := {"allowed": true, "request_headers_to_remove": ["x-debug"]} if input.parsed_path[0] == "gone"
"#;
    let gated = Gated::launch(
        "  policies:
    changes: {type: rego, files: [HERE/policy.rego], query: data.gate.decision}
  routes:
    - {id: all, match: {path: /}, upstream: UPSTREAM, authenticate: anonymous, authorize: {policy: changes}}
",
        |launch| {
            let launch = launch.file("policy.rego", policy);
            launch.flag("--reverse-proxy").flag("--trusted-proxy-ip=127.0.0.1")
        },
    );
    for (uri, expected) in [
        ("/header", 202),
        ("/set", 403),
        ("/set?tenant=other", 403),
        ("/set?tenant=acme", 202),
        ("/remove?debug=1", 403),
        ("/remove?x=1", 202),
        ("/gone", 403),
    ] {
        let answer = gated.ask(question(uri));
        assert_eq!(answer.status, expected, "{uri}: {}", gated.doorward.log());
        assert_eq!(gated.ask(Request::get(uri)).status, 200, "carried by ourselves, {uri}");
    }
    gated.doorward.wait_for_log("let doorward carry the requests of this route");
}

#[test]
fn a_token_in_a_cookie_does_not_count_where_another_site_makes_the_browser_send_it() {
    let gated = Gated::new(
        "    own: {type: jwt, issuer: ISSUER, audiences: [api], identitySource: [$request.cookie.token]}
  routes:
    - {id: all, match: {path: /}, upstream: UPSTREAM, authenticate: own, errorFormat: aws}
",
    );
    let cookie = format!("token={}", gated.jwt(&json!({"sub": "alice"})));
    let host = gated.doorward.browser().host();
    let (ours, theirs) = (format!("http://{host}"), "https://evil.example");
    for (method, header, value, expected) in [
        ("POST", "x-nothing", "", 200),
        ("POST", "sec-fetch-site", "same-origin", 200),
        ("POST", "sec-fetch-site", "same-site", 200),
        ("POST", "sec-fetch-site", "none", 200),
        ("POST", "sec-fetch-site", "cross-site", 401),
        ("POST", "origin", &ours, 200),
        ("POST", "origin", theirs, 401),
        ("POST", "origin", "null", 401),
        ("DELETE", "origin", theirs, 401),
        ("GET", "sec-fetch-site", "cross-site", 200),
        ("GET", "origin", theirs, 200),
    ] {
        let request = Request::new(method, "/x").header("Cookie", &cookie).header(header, value);
        assert_eq!(gated.ask(request).status, expected, "{method} {header}: {value}");
    }
}

fn question(uri: &str) -> Request {
    Request::get("/oauth2/auth").header("X-Forwarded-Uri", uri).header("X-Forwarded-Host", "api.test")
}

impl Gated {
    fn answers(&self, request: Request, token: &str) -> Answer {
        self.ask(bearer(request, token))
    }
}

#[test]
fn a_question_is_judged_as_the_request_that_it_is_about() {
    let gated = gated();
    let mut person = gated.doorward.browser().logged_in();
    let (opaque, good, poor) =
        (gated.opaque(), gated.jwt(&json!({"scope": "orders:read"})), gated.jwt(&json!({})));
    let answer = gated.answers(question("/orders/7?x=1"), &opaque);
    assert_eq!(answer.status, 202, "{}", gated.doorward.log());
    let token = answer.header("authorization").strip_prefix("Bearer ey").unwrap();
    assert_ne!(token, opaque);
    assert_eq!(answer.header("x-forwarded-user"), "admin");
    assert_eq!(gated.answers(question("/orders/7"), &good).status, 202);
    let answer = gated.answers(question("/orders/7"), &poor);
    assert_eq!((answer.status, answer.text().as_str()), (403, "{\"message\":\"Forbidden\"}"));
    assert!(answer.header("www-authenticate").contains("insufficient_scope"));
    let answer = gated.ask(question("/orders/7"));
    assert_eq!((answer.status, answer.text().as_str()), (401, "{\"message\":\"Unauthorized\"}"));
    for (request, expected) in [
        (question("/orders/7").header("X-Forwarded-Method", "POST"), 403),
        (question("/elsewhere"), 403),
        (question("/orders/a%2fb"), 400),
        (question("/orders/../admin"), 400),
    ] {
        let said = format!("{request:?}");
        let status = gated.answers(request, &good).status;
        assert_eq!(status, expected, "{said}\n{}", gated.doorward.log());
    }
    let answer = person.send(question("/people/x").header("Accept", "text/html"));
    assert_eq!(answer.status, 202);
    let stranger = gated.ask(question("/people/x").header("Accept", "text/html"));
    assert_eq!(stranger.status, 401, "never a redirect");
    assert!(gated.echo.seen().is_empty());
}

#[test]
fn a_question_may_name_a_route_and_nothing_that_is_not_there() {
    let gated = gated();
    let (good, poor) = (gated.jwt(&json!({"scope": "orders:read"})), gated.jwt(&json!({})));
    let ask = |target: &str, uri: Option<&str>, token: &str| {
        let request = Request::get(target);
        let request = match uri {
            Some(uri) => request.header("X-Forwarded-Uri", uri),
            None => request,
        };
        gated.answers(request, token).status
    };
    for (target, uri, token, expected) in [
        ("/oauth2/auth?route=orders", None, &good, 202),
        ("/oauth2/auth?route=orders", Some("/other"), &good, 202),
        ("/oauth2/auth?route=orders", None, &poor, 403),
        ("/oauth2/auth?route=nothing", Some("/orders/7"), &good, 403),
        ("/oauth2/auth?policy=nothing", Some("/x/7"), &good, 403),
        ("/oauth2/auth?policy=nothing&route=orders", Some("/x/7"), &good, 403),
        ("/oauth2/auth?route=orders&route=orders", Some("/orders/7"), &good, 403),
    ] {
        assert_eq!(ask(target, uri, token), expected, "{target} {uri:?}\n{}", gated.doorward.log());
    }
}
