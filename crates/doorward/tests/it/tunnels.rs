//! Open WebSockets: they end with the session that they were opened with, wherever that ends.

use doorward_testkit::{Browser, Connection, Doorward, Redis, Request};

use crate::support::Stage;

fn upgrade(target: &str) -> Request {
    Request::get(target)
        .header("Connection", "Upgrade")
        .header("Upgrade", "websocket")
        .header("Sec-WebSocket-Version", "13")
        .header("Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ==")
}

/// A WebSocket over which a frame has gone to the application, which echoes it.
pub(crate) fn opened(browser: &Browser) -> Connection {
    opened_by(&mut browser.clone())
}

/// A browser that keeps what cookies the answer brings.
fn opened_by(browser: &mut Browser) -> Connection {
    let mut line = browser.connect().unwrap();
    let answer = browser.send_on(&mut line, upgrade("/ws")).unwrap();
    assert_eq!(answer.status, 101);
    assert!(is_alive(&mut line));
    line
}

/// Whether a frame comes back. The echo sends it as it came.
pub(crate) fn is_alive(line: &mut Connection) -> bool {
    line.write(b"\x81\x02hi");
    line.read_bytes(4).is_ok_and(|bytes| bytes == b"\x81\x02hi")
}

/// Waits for the close frame, after which the connection is over.
#[track_caller]
pub(crate) fn assert_closed(line: &mut Connection, code: u16) {
    let head = line.read_bytes(4).unwrap();
    assert_eq!(head[0], 0x88, "{head:?}");
    assert_eq!(u16::from_be_bytes([head[2], head[3]]), code);
    line.read_bytes(usize::from(head[1]) - 2).unwrap();
    assert!(line.read_bytes(1).is_err(), "the connection goes on");
}

#[test]
fn b39_a_websocket_is_closed_when_its_session_is_signed_out_and_others_stay() {
    let stage = Stage::new(&[]);
    let (mut alice, bob) = (stage.logged_in(), stage.logged_in());
    let (mut first, mut second, mut other) = (opened(&alice), opened(&alice), opened(&bob));
    assert_eq!(alice.get("/oauth2/sign_out").status, 302);
    assert_closed(&mut first, 4401);
    assert_closed(&mut second, 4401);
    assert!(is_alive(&mut other));
}

#[test]
fn b39_a_refreshed_session_keeps_its_websockets_and_a_sign_out_with_the_new_cookie_closes_them() {
    let stage = Stage::new(&["--cookie-refresh=1s"]);
    let mut browser = stage.logged_in();
    // The request that opens it may already be the one that refreshes.
    let mut line = opened_by(&mut browser);
    let before = browser.cookies.clone();
    doorward_testkit::eventually("the session is refreshed", || {
        browser.get("/page");
        browser.cookies != before
    });
    assert!(is_alive(&mut line));
    browser.get("/oauth2/sign_out");
    assert_closed(&mut line, 4401);
}

fn beside(stage: &Stage, redis: &Redis) -> Doorward {
    let [kind, url] = redis.flags();
    stage.sibling(&[&kind, &url])
}

#[test]
fn b39_a_websocket_is_closed_when_another_instance_ends_its_session() {
    let redis = Redis::start(&[]);
    let [kind, url] = redis.flags();
    let stage = Stage::new(&[&kind, &url]);
    let sibling = beside(&stage, &redis);
    let browser = stage.logged_in();
    let mut line = opened(&browser);
    let mut elsewhere = sibling.browser();
    elsewhere.cookies.clone_from(&browser.cookies);
    assert_eq!(elsewhere.get("/oauth2/sign_out").status, 302);
    assert_closed(&mut line, 4401);
}
