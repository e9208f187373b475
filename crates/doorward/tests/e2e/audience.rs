//! The mistake most people make with Keycloak: no audience mapper. The log and the page must name the claim, its
//! values, what was expected, and what to do. The tests of the wording are for doorward only.

use crate::browser::Browser;
use crate::doorward::{Doorward, Launch};
use crate::echo::Echo;
use crate::http::{Answer, Visitor, empty, get, send};
use crate::parts::keycloak;

/// A claim with a wrong audience, as the client `doorward-no-mappers` writes it.
async fn start_reading_the_wrong_claim(app: &Echo) -> Doorward {
    Launch::in_front_of(&app.url, keycloak().await)
        .client("doorward-no-mappers")
        .flag("--oidc-audience-claim=intended_service")
        .start()
        .await
}

/// Takes Keycloak's access tokens as bearer tokens.
async fn start_with_bearer_tokens(app: &Echo, client: &str) -> Doorward {
    Launch::in_front_of(&app.url, keycloak().await)
        .client(client)
        .flag("--skip-jwt-bearer-tokens=true")
        .flag("--bearer-token-login-fallback=false")
        .start()
        .await
}

async fn call_with_token(door: &Doorward, client: &str) -> Answer {
    let token = keycloak().await.access_token(client, "carol").await;
    let request = get(&format!("{}/api", door.url)).header("authorization", format!("Bearer {token}"));
    send(empty(request)).await
}

#[track_caller]
fn assert_names_the_mistake(text: &str, claim: &str, expected: &str) {
    for word in [claim, "account", expected] {
        assert!(text.contains(word), "{word:?} is missing in: {text}");
    }
    assert!(text.to_lowercase().contains("audience mapper"), "how to mend it is missing in: {text}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_login_with_a_wrong_audience_is_refused() {
    let app = Echo::start().await;
    let door = start_reading_the_wrong_claim(&app).await;
    let mut visitor = Visitor::default();
    let answer = visitor.log_in(&door.url, "carol").await;
    assert!(answer.status >= 400, "{}", answer.status);
    assert!(app.seen().is_empty());
    let log = door.log();
    assert!(log.contains("audience") && log.contains("intended_service") && log.contains("account"), "{log}");
}

/// doorward only.
#[tokio::test(flavor = "multi_thread")]
async fn log_and_page_name_the_claim_its_values_and_the_mend() {
    let app = Echo::start().await;
    let door = start_reading_the_wrong_claim(&app).await;
    let browser = Browser::open().await;
    browser.goto(&format!("{}/page", door.url)).await;
    browser.log_in("carol").await;
    browser.wait_for_text("intended_service").await;
    browser.unfold_details().await;
    let page = browser.text().await;
    assert_names_the_mistake(&page, "intended_service", "doorward-no-mappers");
    let log = door.log();
    let line = log.lines().find(|line| line.contains("intended_service") && line.contains("account"));
    assert_names_the_mistake(line.unwrap_or(&log), "intended_service", "doorward-no-mappers");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_access_token_made_with_the_audience_mapper_is_accepted() {
    let app = Echo::start().await;
    let door = start_with_bearer_tokens(&app, "doorward").await;
    let answer = call_with_token(&door, "doorward").await;
    assert_eq!(answer.status, 200, "{}", answer.body);
    let seen = app.seen();
    assert_eq!(seen[0].header("x-forwarded-email"), "carol@elsewhere.example");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_access_token_made_without_the_audience_mapper_is_refused() {
    let app = Echo::start().await;
    let door = start_with_bearer_tokens(&app, "doorward-no-mappers").await;
    let answer = call_with_token(&door, "doorward-no-mappers").await;
    assert_eq!(answer.status, 403, "{}", answer.body);
    assert!(app.seen().is_empty());
}

/// doorward only.
#[tokio::test(flavor = "multi_thread")]
async fn the_log_names_the_mistake_for_bearer_tokens_too() {
    let app = Echo::start().await;
    let door = start_with_bearer_tokens(&app, "doorward-no-mappers").await;
    call_with_token(&door, "doorward-no-mappers").await;
    let log = door.log();
    let line = log.lines().find(|line| line.contains("aud") && line.contains("account"));
    assert_names_the_mistake(line.unwrap_or(&log), "aud", "doorward-no-mappers");
}
