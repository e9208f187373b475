use doorward_core::{Identity, Tokens};
use serde_json::{Value, json};

use super::*;
use crate::{
    BearerError, Config, Discovery, Grant, KeySource, NonceCheck, RedeemError, RefreshError,
    provider::Provider,
    testing::{Fake, Reply, callback, now},
};

/// A provider of a kind whose every endpoint is on loopback.
async fn provider(fake: &Fake, kind: ProviderKind) -> Provider {
    let at = |path: &str| Some(format!("{}{path}", fake.base));
    let config = Config {
        kind,
        issuer: String::new(),
        discovery: Discovery::Skip,
        keys: KeySource::None,
        nonce: NonceCheck::Off,
        login_url: at("/authorize"),
        redeem_url: at("/token"),
        profile_url: at("/profile"),
        validate_url: at("/validate"),
        ..fake.config()
    };
    Provider::connect(config).await.unwrap()
}

async fn login(fake: &Fake, kind: ProviderKind) -> Result<Grant, RedeemError> {
    let tokens = json!({"access_token": "at", "refresh_token": "rt", "expires_in": 60, "id_token": "x.y.z"});
    fake.says("/token", Reply::json(200, &tokens));
    provider(fake, kind).await.redeem(callback("c0de"), "http://app/cb", now()).await
}

fn of_email(email: &str) -> Identity {
    Identity { email: email.to_owned(), ..Identity::default() }
}

#[tokio::test]
async fn the_profile_says_who_signed_in() {
    for (kind, profile, email) in
        [(ProviderKind::DigitalOcean, json!({"account": {"email": "a@example.com"}}), "a@example.com")]
    {
        let fake = Fake::start().await;
        fake.says("/profile", Reply::json(200, &profile));
        let grant = login(&fake, kind).await.unwrap();
        assert_eq!(grant.identity, of_email(email));
        // The reference keeps nothing but the access token, and takes the lifetime of the cookie.
        assert_eq!(grant.tokens, Tokens { access: Some("at".into()), id: None, refresh: None });
        assert_eq!(grant.expires_on, None);
        let asked = fake.seen("/profile").remove(0);
        assert_eq!(asked.header("authorization").as_deref(), Some("Bearer at"));
        // Our secret goes into the form, as providers of this age want it.
        assert_eq!(fake.seen("/token")[0].form.get("client_secret").map(String::as_str), Some("s3cret+"));
    }
}

#[tokio::test]
async fn a_profile_without_an_address_names_nobody() {
    for profile in
        [json!({}), json!({"account": {"email": ""}}), json!({"account": {"email": ["a@b"]}}), json!([])]
    {
        let fake = Fake::start().await;
        fake.says("/profile", Reply::json(200, &profile));
        let error = login(&fake, ProviderKind::DigitalOcean).await.unwrap_err();
        assert_eq!(error, RedeemError::Vendor(IdentifyError::EmailMissing.into()), "{profile}");
    }
}

#[tokio::test]
async fn reading_anew_replaces_the_identity_and_a_fault_of_the_provider_changes_nothing() {
    let fake = Fake::start().await;
    let of = |profile: Value| Reply::json(200, &profile);
    let tokens = Tokens { access: Some("at".into()), id: None, refresh: None };
    let provider = provider(&fake, ProviderKind::DigitalOcean).await;
    let current = Identity { groups: vec!["g".into()], ..of_email("a@example.com") };
    fake.says("/profile", of(json!({"account": {"email": "a@example.com"}})));
    let refreshed = provider.reread(&tokens, &current).await.unwrap();
    assert_eq!((refreshed.identity, refreshed.tokens), (Some(of_email("a@example.com")), tokens.clone()));
    fake.says("/profile", of(json!({"account": {"email": "b@example.com"}})));
    assert_eq!(provider.reread(&tokens, &current).await, Err(RefreshError::OtherSubject));
    for (reply, ends) in [
        (Reply::status(401), true),
        (Reply::status(404), true),
        (Reply::status(429), false),
        (Reply::status(500), false),
        (Reply::typed(200, "text/html", "<html>"), false),
        (of(json!({"account": {}})), true),
    ] {
        fake.says("/profile", reply);
        let error = provider.reread(&tokens, &current).await.unwrap_err();
        assert_eq!(error.ends_the_session(), ends, "{error}");
    }
}

#[tokio::test]
async fn nobody_signs_in_by_a_token_that_nothing_can_verify() {
    let fake = Fake::start().await;
    let provider = provider(&fake, ProviderKind::DigitalOcean).await;
    let refused = provider.verify_bearer(&"eyJh.eyJh.c2ln".into(), now()).await;
    assert_eq!(refused, Err(BearerError::NotVerifiable));
}
