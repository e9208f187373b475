//! Renewing tokens at Keycloak, with access tokens that live three seconds.

use std::collections::BTreeSet;

use crate::doorward::{Doorward, Launch};
use crate::echo::{Echo, Seen};
use crate::http::Visitor;
use crate::parts::{Keycloak, keycloak};
use crate::process::until;

async fn start(app: &Echo, keycloak: &Keycloak) -> Doorward {
    Launch::in_front_of(&app.url, keycloak)
        .client("doorward-short-lived")
        .flag("--cookie-refresh=1s")
        .flag("--pass-access-token=true")
        .start()
        .await
}

/// The access token that the application got.
fn token(page: &str) -> String {
    Seen::from_page(page).header("x-forwarded-access-token").to_owned()
}

/// Who came, as the application sees it. The order of groups means nothing.
fn identity(seen: &Seen) -> (&str, BTreeSet<&str>) {
    (seen.header("x-forwarded-email"), seen.list("x-forwarded-groups").into_iter().collect())
}

#[tokio::test(flavor = "multi_thread")]
async fn the_application_always_gets_a_living_token() {
    let app = Echo::start().await;
    let door = start(&app, keycloak().await).await;
    let mut visitor = Visitor::default();
    let page = format!("{}/page", door.url);
    let mut last = token(&visitor.log_in(&page, "alice").await.body);
    for _ in 0..3 {
        last = until("a renewed access token", async || {
            let answer = visitor.open(&page).await;
            assert_eq!(answer.status, 200, "still signed in");
            Some(token(&answer.body)).filter(|token| *token != last)
        })
        .await;
    }
    let seen = app.seen();
    assert_eq!(
        identity(&seen[0]),
        identity(&seen[seen.len() - 1]),
        "a renewal changes nothing about the person"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_login_ended_at_keycloak_ends_here_too() {
    let app = Echo::start().await;
    let keycloak = keycloak().await;
    let door = start(&app, keycloak).await;
    let mut visitor = Visitor::default();
    let page = format!("{}/page", door.url);
    assert_eq!(visitor.log_in(&page, "erin").await.status, 200);
    keycloak.end_sessions_of("erin").await;
    until("erin is sent to the login", async || {
        let answer = visitor.open(&page).await;
        (answer.status == 302).then_some(())
    })
    .await;
    let answer = visitor.follow(&page).await;
    assert!(answer.body.contains("kc-form-login"), "Keycloak asks for the password again");
}

/// doorward only: a page fetches its parts at once. With refresh tokens that work only once, the first renewal
/// must serve all of them.
#[tokio::test(flavor = "multi_thread")]
async fn requests_at_the_same_time_share_one_renewal() {
    let app = Echo::start().await;
    let mut rotating = Keycloak::at(&keycloak().await.url);
    rotating.issuer = keycloak().await.realm_with_rotation().await;
    let door = start(&app, &rotating).await;
    let mut visitor = Visitor::default();
    let page = format!("{}/page", door.url);
    let mut last = token(&visitor.log_in(&page, "alice").await.body);
    for _ in 0..2 {
        last = until("a renewed access token", async || {
            let mut parts = tokio::task::JoinSet::new();
            for number in 0..8 {
                let (mut visitor, part) = (visitor.clone(), format!("{page}/{number}"));
                parts.spawn(async move {
                    let answer = visitor.open(&part).await;
                    assert_eq!(answer.status, 200, "still signed in: {}", answer.body);
                    (visitor, token(&answer.body))
                });
            }
            let mut renewed = None;
            while let Some(part) = parts.join_next().await {
                let (later, token) = part.expect("no request fails");
                if token != last {
                    renewed = Some(token);
                    visitor = later;
                }
            }
            renewed
        })
        .await;
    }
}
