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
