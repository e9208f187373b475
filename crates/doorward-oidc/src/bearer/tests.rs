use std::time::Duration;

use serde_json::json;

use super::*;
use crate::{
    AccountChoice, BeginError, Config, Discovery, HttpConfig, KeySource, LoginStart,
    provider::Pace,
    testing::{Fake, Reply, STILL, Signer, now},
};

/// An issuer whose tokens are verified and where nobody logs in.
fn for_keys(fake: &Fake) -> Config {
    let keys = KeySource::Url(format!("{}/fixed", fake.base));
    Config { discovery: Discovery::ForKeys, keys, ..fake.config() }
}

async fn until(mut is_so: impl AsyncFnMut() -> bool) {
    let waited = async {
        while !is_so().await {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(30), waited).await.unwrap();
}

#[tokio::test]
async fn metadata_that_come_late_are_used_when_they_come() {
    let (fake, signer) = (Fake::start().await, Signer::new("k"));
    let pace = Pace { longest_retry: Duration::from_millis(5), renewal: Duration::from_millis(20), ..STILL };
    let provider = Provider::connect_at(for_keys(&fake), pace).await.unwrap();
    let token = SecretString::from(signer.sign(&fake.claims(json!({}))));
    assert!(provider.verify_bearer(&token, now()).await.is_err());
    fake.behaves(&signer, &json!({}));
    until(async || provider.verify_bearer(&token, now()).await.is_ok()).await;
    assert_eq!(fake.count("/fixed"), 0);
}

#[tokio::test]
async fn nobody_logs_in_where_only_the_keys_count() {
    let (fake, signer) = (Fake::start().await, Signer::new("k"));
    fake.behaves(&signer, &json!({}));
    let provider = Provider::connect_at(for_keys(&fake), STILL).await.unwrap();
    let start = LoginStart {
        redirect_uri: "https://app.example/oauth2/callback",
        state: "state",
        nonce_hash: "nonce",
        account: AccountChoice::Any,
        wishes: &[],
        demands: &[],
    };
    assert!(matches!(provider.begin(&start, now()).await, Err(BeginError::NoLoginUrl)));
}

#[tokio::test]
async fn whoever_waits_for_an_issuer_that_hangs_waits_once() {
    let (fake, signer) = (Fake::start().await, Signer::new("k"));
    fake.behaves(&signer, &json!({}));
    fake.says("/jwks", Reply::Hang);
    let total_timeout = Duration::from_millis(1500);
    let config = Config { http: HttpConfig { total_timeout, ..fake.config().http }, ..fake.config() };
    let provider = Provider::connect_at(config, STILL).await.unwrap();
    let token = SecretString::from(signer.sign(&fake.claims(json!({}))));
    let (first, second) =
        tokio::join!(provider.verify_bearer(&token, now()), provider.verify_bearer(&token, now()));
    assert!(first.is_err() && second.is_err());
    assert_eq!(fake.count("/jwks"), 1);
}

#[tokio::test]
async fn no_key_is_fetched_for_a_token_of_another_issuer() {
    let (fake, signer) = (Fake::start().await, Signer::new("k"));
    fake.behaves(&signer, &json!({}));
    let provider = fake.provider().await;
    for issuer in [json!("https://other.example"), json!(null), json!(7)] {
        let token = SecretString::from(signer.sign(&fake.claims(json!({ "iss": issuer }))));
        assert!(provider.verify_bearer(&token, now()).await.is_err());
    }
    assert_eq!(fake.count("/jwks"), 0);
}
