//! Single logout with a real Keycloak: a sign-out here ends the session there, and Keycloak tells all other applications
//! over the back channel.

use crate::doorward::Launch;
use crate::echo::Echo;
use crate::http::Visitor;
use crate::parts::{Keycloak, Redis, keycloak};
use crate::process::until;

/// An application of its own at Keycloak, whose sessions Keycloak may end.
async fn told_by_keycloak(app: &Echo, keycloak: &Keycloak) -> Launch {
    let launch = Launch::in_front_of(&app.url, keycloak).flag("--backchannel-logout");
    let id = format!("told-{}", launch.url().rsplit(':').next().expect("a port"));
    // Cookies do not tell ports apart.
    let launch = launch.flag(&format!("--cookie-name=_{id}"));
    keycloak.client_with_back_channel(&id, &format!("{}/oauth2/backchannel_logout", launch.url())).await;
    launch.client(&id)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sign_out_at_one_application_ends_the_sessions_at_keycloak_and_at_the_others() {
    let (app, keycloak, redis) = (Echo::start().await, keycloak().await, Redis::start().await);
    let here = Launch::in_front_of(&app.url, keycloak).flag("--provider-logout").start().await;
    let in_cookies = told_by_keycloak(&app, keycloak).await.start().await;
    let in_redis = told_by_keycloak(&app, keycloak)
        .await
        .flag("--session-store-type=redis")
        .flag(&format!("--redis-connection-url={}", redis.url))
        .start()
        .await;
    let (mut alice, mut elsewhere) = (Visitor::default(), Visitor::default());
    for visitor in [&mut alice, &mut elsewhere] {
        assert_eq!(visitor.log_in(&format!("{}/page", here.url), "alice").await.status, 200);
        for other in [&in_cookies, &in_redis] {
            assert_eq!(visitor.follow(&format!("{}/page", other.url)).await.status, 200, "{}", other.log());
        }
    }
    let back = alice.follow(&format!("{}/oauth2/sign_out", here.url)).await;
    assert_eq!(back.status, 200, "{}", back.body);
    assert_eq!(back.url.path(), "/oauth2/signed_out", "{} {}", back.url, back.body);
    for other in [&in_cookies, &in_redis] {
        let page = format!("{}/page", other.url);
        until("Keycloak has told", async || (alice.clone().open(&page).await.status == 302).then_some(()))
            .await;
        assert!(other.log().contains("The provider ended sessions"), "{}", other.log());
        // The same user in another browser, which has a session of its own at Keycloak.
        assert_eq!(elsewhere.open(&page).await.status, 200);
    }
    // Keycloak knows nobody in this browser any more: it asks for the password.
    let answer = alice.follow(&format!("{}/page", in_redis.url)).await;
    assert!(answer.url.as_str().starts_with(&keycloak.url), "{}", answer.url);
}
