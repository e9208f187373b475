//! Keycloak as the issuer of tokens for a route of the gateway.

use std::fs;

use crate::doorward::{Doorward, Launch};
use crate::echo::Echo;
use crate::http::{empty, get, send};
use crate::parts::keycloak;
use crate::process::scratch;

async fn status_with(door: &Doorward, token: &str) -> u16 {
    let request = get(&format!("{}/api/x", door.url)).header("authorization", format!("Bearer {token}"));
    send(empty(request)).await.status
}

#[tokio::test(flavor = "multi_thread")]
async fn b01_b07_tokens_of_keycloak_count_before_and_after_it_changes_its_key() {
    let (app, keycloak) = (Echo::start().await, keycloak().await);
    let file = scratch("gateway").join("doorward.yaml");
    let (issuer, upstream) = (&keycloak.issuer, &app.url);
    let text = format!(
        "gateway:
  authenticators:
    keycloak: {{type: jwt, issuer: '{issuer}', audiences: [account], userClaim: preferred_username}}
  routes:
    - {{id: api, match: {{path: /api/}}, upstream: '{upstream}', authenticate: keycloak, authorize: {{users: carol}}}}
"
    );
    fs::write(&file, text).expect("the file can be written");
    let flag = format!("--doorward-config={}", file.display());
    let door = Launch::in_front_of(&app.url, keycloak).flag(&flag).start().await;
    let old = keycloak.access_token("doorward", "carol").await;
    assert_eq!(status_with(&door, &old).await, 200, "{}", door.log());
    let forged = format!("{}AAAA", old.split_at(old.len() - 4).0);
    assert_eq!(status_with(&door, &forged).await, 401);
    keycloak.change_key().await;
    let new = keycloak.access_token("doorward", "carol").await;
    assert_ne!(old.split('.').next(), new.split('.').next(), "the header names another key");
    for _ in 0..100 {
        assert_eq!(status_with(&door, &new).await, 200, "{}", door.log());
    }
    assert_eq!(status_with(&door, &old).await, 200, "the old key is still published");
}
