//! Sessions in a real Redis.

use crate::doorward::Launch;
use crate::echo::{Echo, Seen};
use crate::http::Visitor;
use crate::parts::{Redis, keycloak};
use crate::process::until;

async fn launch(app: &Echo, redis: &Redis) -> Launch {
    Launch::in_front_of(&app.url, keycloak().await)
        .flag("--session-store-type=redis")
        .flag(&format!("--redis-connection-url={}", redis.url))
        .flag("--pass-access-token=true")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_restart_of_doorward_keeps_the_login() {
    let (app, redis) = (Echo::start().await, Redis::start().await);
    let launch = launch(&app, &redis).await;
    let mut visitor = Visitor::default();
    let page = format!("{}/page", launch.url());

    let door = launch.start().await;
    assert_eq!(visitor.log_in(&page, "dave").await.status, 200);
    drop(door);
    let door = launch.start().await;
    let answer = visitor.open(&page).await;
    assert_eq!(answer.status, 200, "{}\n{}", answer.body, door.log());
    assert_eq!(Seen::from_page(&answer.body).header("x-forwarded-email"), "dave@example.com");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_cookie_is_one_and_small_however_large_the_session() {
    let (app, redis) = (Echo::start().await, Redis::start().await);
    let door = launch(&app, &redis).await.start().await;
    let mut visitor = Visitor::default();
    visitor.log_in(&door.url, "dave").await;
    let cookies = visitor.cookies("_oauth2_proxy");
    assert_eq!(cookies.keys().collect::<Vec<_>>(), ["_oauth2_proxy"]);
    assert!(cookies["_oauth2_proxy"].len() < 400, "{cookies:?}");
    assert_eq!(redis.keys().len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn signing_out_deletes_the_session_and_the_old_cookie_is_worthless() {
    let (app, redis) = (Echo::start().await, Redis::start().await);
    let door = launch(&app, &redis).await.start().await;
    let mut visitor = Visitor::default();
    let page = format!("{}/page", door.url);
    visitor.log_in(&page, "alice").await;
    assert_eq!(redis.keys().len(), 1);

    let mut thief = visitor.clone();
    visitor.open(&format!("{}/oauth2/sign_out", door.url)).await;
    assert!(redis.keys().is_empty(), "{:?}", redis.keys());
    assert!(visitor.cookies("_oauth2_proxy").is_empty());
    assert_eq!(thief.open(&page).await.status, 302, "back to the login");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_renewal_keeps_the_ticket() {
    let (app, redis) = (Echo::start().await, Redis::start().await);
    let launch = launch(&app, &redis).await.client("doorward-short-lived").flag("--cookie-refresh=1s");
    let door = launch.start().await;
    let mut visitor = Visitor::default();
    let page = format!("{}/page", door.url);
    let answer = visitor.log_in(&page, "alice").await;
    let first = Seen::from_page(&answer.body).header("x-forwarded-access-token").to_owned();
    let keys = redis.keys();
    until("a renewed access token", async || {
        let answer = visitor.open(&page).await;
        assert_eq!(answer.status, 200, "still signed in");
        (Seen::from_page(&answer.body).header("x-forwarded-access-token") != first).then_some(())
    })
    .await;
    let sessions: Vec<String> = redis.keys().into_iter().filter(|key| !key.contains("lock")).collect();
    assert_eq!(sessions, keys);
}

/// doorward only: oauth2-proxy writes a new session under whatever ticket the browser brings.
#[tokio::test(flavor = "multi_thread")]
async fn a_ticket_from_before_the_login_is_not_used_after_it() {
    let (app, redis) = (Echo::start().await, Redis::start().await);
    let door = launch(&app, &redis).await.start().await;
    let page = format!("{}/page", door.url);
    let mut attacker = Visitor::default();
    attacker.log_in(&page, "carol").await;
    // The attacker plants the cookie of an own session; the victim logs in with it in the browser.
    let mut victim = attacker.clone();
    let start = format!("{}/oauth2/start?rd=%2Fpage", door.url);
    victim.forget("KEYCLOAK");
    victim.forget("AUTH_SESSION");
    let answer = victim.log_in(&start, "alice").await;
    assert_eq!(Seen::from_page(&answer.body).header("x-forwarded-email"), "alice@example.com");
    let answer = attacker.open(&page).await;
    assert!(!answer.body.contains("alice@example.com"), "{}", answer.body);
}
