//! Connections that outlast their request end with the credential that opened them.

use doorward_testkit::{Connection, Request};
use serde_json::json;

use super::{Gated, bearer};
use crate::tunnels::{assert_closed, is_alive};

fn upgrade() -> Request {
    Request::get("/ws")
        .header("Connection", "Upgrade")
        .header("Upgrade", "websocket")
        .header("Sec-WebSocket-Version", "13")
        .header("Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ==")
}

fn gated(age: &str) -> Gated {
    Gated::new(&format!(
        "  routes:
    - {{id: all, match: {{path: /}}, upstream: UPSTREAM, authenticate: [opaque, jwt, anonymous], authorize: {{public: true}}{age}}}
"
    ))
}

fn open(gated: &Gated, request: Request) -> Connection {
    let mut browser = gated.doorward.browser();
    let mut line = browser.connect().unwrap();
    let answer = browser.send_on(&mut line, request).unwrap();
    assert_eq!(answer.status, 101, "{}", gated.doorward.log());
    assert!(is_alive(&mut line));
    line
}

#[test]
fn b39_a_websocket_ends_when_its_token_is_revoked_and_others_stay() {
    let gated = gated("");
    let (first, second) = (gated.opaque(), gated.opaque());
    let mut ended = open(&gated, bearer(upgrade(), &first));
    let mut other = open(&gated, bearer(upgrade(), &second));
    let mut anonymous = open(&gated, upgrade());
    let form = [("token", first.as_str()), ("client_id", "openshift-challenging-client")];
    assert_eq!(gated.ask(Request::form("/oauth/revoke", &form)).status, 200);
    assert_closed(&mut ended, 4401);
    assert!(is_alive(&mut other) && is_alive(&mut anonymous));
}

#[test]
fn b39_a_websocket_ends_with_its_token() {
    let gated = gated("");
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs();
    let jwt = gated.jwt(&json!({"sub": "svc", "exp": now + 2}));
    let mut line = open(&gated, bearer(upgrade(), &jwt));
    assert_closed(&mut line, 4401);
}

#[test]
fn b39_no_connection_is_older_than_its_route_allows() {
    let gated = gated(", maxConnectionAge: 1s");
    let mut line = open(&gated, upgrade());
    assert_closed(&mut line, 1008);
    let answer = gated.ask(Request::get("/sse").header("Accept", "text/event-stream"));
    assert_eq!(answer.status, 200);
    assert!(answer.text().contains("data:"), "it ended after what had come: {}", answer.text());
    assert_eq!(gated.ask(Request::get("/x")).status, 200);
}
