use serde_json::json;

use super::*;
use crate::testing::{Fake, NOW, Reply, Signer, merge, now};

fn header(kind: Option<&str>) -> Value {
    match kind {
        Some(kind) => json!({"alg": "EdDSA", "kid": "k1", "typ": kind}),
        None => json!({"alg": "EdDSA", "kid": "k1"}),
    }
}

fn claims(fake: &Fake, changes: Value) -> Value {
    let mut claims = json!({
        "iss": fake.base, "aud": "client", "iat": NOW, "exp": NOW + 120, "jti": "j-1", "sub": "u-1", "sid": "s-1",
        "events": { EVENT: {} },
    });
    merge(&mut claims, changes);
    claims
}

async fn stage() -> (Fake, Signer, Provider) {
    let (fake, signer) = (Fake::start().await, Signer::new("k1"));
    fake.behaves(&signer, &json!({}));
    let provider = fake.provider().await;
    (fake, signer, provider)
}

#[tokio::test]
async fn a_logout_token_of_the_provider_names_session_and_user() {
    let (fake, signer, provider) = stage().await;
    for (kind, changes, sid, sub) in [
        (Some("logout+jwt"), json!({}), Some("s-1"), Some("u-1")),
        (Some("application/logout+jwt"), json!({"sid": null}), None, Some("u-1")),
        (Some("JWT"), json!({"sub": null}), Some("s-1"), None),
        (None, json!({"exp": null, "aud": ["other", "client"]}), Some("s-1"), Some("u-1")),
        (None, json!({"iat": NOW - 1800}), Some("s-1"), Some("u-1")),
        (None, json!({"iat": NOW + 300}), Some("s-1"), Some("u-1")),
    ] {
        let token = signer.sign_with(&header(kind), &claims(&fake, changes.clone()));
        let read = provider.logout_token(&token, now()).await.unwrap();
        assert_eq!((read.sid.as_deref(), read.subject.as_deref()), (sid, sub), "{changes}");
        assert_eq!(read.id, "j-1");
        assert!(read.replayable_until >= now());
    }
}

#[tokio::test]
async fn a_logout_token_that_is_not_quite_one_ends_nothing() {
    let (fake, signer, provider) = stage().await;
    let event = |value: Value| json!({"events": { EVENT: value }});
    for (kind, changes) in [
        (Some("at+jwt"), json!({})),
        (Some("secevent+jwt"), json!({})),
        (None, json!({"iss": "https://evil.example"})),
        (None, json!({"iss": null})),
        (None, json!({"aud": "other"})),
        (None, json!({"aud": null})),
        (None, json!({"iat": null})),
        (None, json!({"iat": "now"})),
        (None, json!({"iat": NOW + 301})),
        (None, json!({"iat": NOW - 1801})),
        (None, json!({"exp": NOW - 1})),
        (None, json!({"exp": "later"})),
        (None, json!({"jti": null})),
        (None, json!({"jti": ""})),
        (None, json!({"jti": 7})),
        (None, json!({"nonce": "n"})),
        (None, json!({"events": null})),
        (None, json!({"events": [EVENT]})),
        (None, json!({"events": {"http://schemas.openid.net/event/other": {}}})),
        (None, event(json!("yes"))),
        (None, event(json!(true))),
        (None, json!({"sub": null, "sid": null})),
        (None, json!({"sub": "", "sid": null})),
        (None, json!({"sid": ["s-1"]})),
        (None, json!({"sid": "s".repeat(1025)})),
    ] {
        let token = signer.sign_with(&header(kind), &claims(&fake, changes.clone()));
        let refused = provider.logout_token(&token, now()).await.unwrap_err();
        assert!(!refused.is_passing(), "{changes}: {refused}");
    }
    // A nonce of null is a nonce too, and what is signed by others or by nobody says nothing.
    let mut with_null = claims(&fake, json!({}));
    with_null["nonce"] = Value::Null;
    let good = claims(&fake, json!({}));
    for token in [
        signer.sign_with(&header(None), &with_null),
        Signer::new("k1").sign(&good),
        signer.sign_with(&json!({"alg": "none"}), &good),
        signer.sign(&fake.claims(json!({}))),
        "a.b.c".to_owned(),
        String::new(),
    ] {
        assert!(!provider.logout_token(&token, now()).await.unwrap_err().is_passing());
    }
}

#[tokio::test]
async fn a_logout_token_that_cannot_be_checked_now_may_come_again() {
    let (fake, signer, provider) = stage().await;
    fake.says("/jwks", Reply::status(503));
    let token = signer.sign(&claims(&fake, json!({})));
    assert!(provider.logout_token(&token, now()).await.unwrap_err().is_passing());
}

#[tokio::test]
async fn a_browser_is_sent_to_sign_out_with_all_that_the_provider_needs() {
    let (fake, signer) = (Fake::start().await, Signer::new("k1"));
    fake.behaves(&signer, &json!({}));
    let id_token: SecretString = "a.b.c".into();
    let end = EndSession { id_token: Some(&id_token), return_to: "https://app/x?y", state: "/p?q=1&r" };
    assert_eq!(fake.provider().await.end_session_url(&end), Err(NoEndSession::NotOffered));
    for (endpoint, prefix) in [("/end", "/end?"), ("/end?tenant=1", "/end?tenant=1&")] {
        let mut metadata = fake.metadata();
        merge(&mut metadata, json!({"end_session_endpoint": format!("{}{endpoint}", fake.base)}));
        fake.says("/.well-known/openid-configuration", Reply::json(200, &metadata));
        let provider = fake.provider().await;
        let rest =
            "client_id=client&post_logout_redirect_uri=https%3A%2F%2Fapp%2Fx%3Fy&state=%2Fp%3Fq%3D1%26r";
        let url = provider.end_session_url(&end).unwrap();
        assert_eq!(url, format!("{}{prefix}id_token_hint=a.b.c&{rest}", fake.base));
        let url = provider.end_session_url(&EndSession { id_token: None, ..end }).unwrap();
        assert_eq!(url, format!("{}{prefix}{rest}", fake.base));
    }
}

#[tokio::test]
async fn tokens_are_taken_back_refresh_token_first_and_failures_are_borne() {
    let (fake, signer) = (Fake::start().await, Signer::new("k1"));
    fake.behaves(&signer, &json!({}));
    let mut metadata = fake.metadata();
    merge(&mut metadata, json!({"revocation_endpoint": format!("{}/revoke", fake.base)}));
    fake.says("/.well-known/openid-configuration", Reply::json(200, &metadata));
    fake.says("/revoke", Reply::status(503));
    let tokens =
        Tokens { access: Some("at-1".into()), id: Some("a.b.c".into()), refresh: Some("rt-1".into()) };
    fake.provider().await.revoke(&tokens, now()).await;
    let seen = fake.seen("/revoke");
    let forms: Vec<_> = seen
        .iter()
        .map(|seen| (seen.form["token"].as_str(), seen.form["token_type_hint"].as_str()))
        .collect();
    assert_eq!(forms, [("rt-1", "refresh_token"), ("at-1", "access_token")]);
    assert!(
        seen.iter().all(|seen| seen.header("authorization").is_some_and(|line| line.starts_with("Basic ")))
    );
    // Without tokens, or without an endpoint, nobody is asked.
    fake.provider().await.revoke(&Tokens::default(), now()).await;
    assert_eq!(fake.count("/revoke"), 2);
}

#[test]
fn the_facts_of_a_kept_token_are_read_and_nothing_else_is_believed_of_it() {
    let token = |claims: Value| {
        let payload = base64_simd::URL_SAFE_NO_PAD.encode_to_string(claims.to_string());
        SecretString::from(format!("x.{payload}.y"))
    };
    let facts = TokenFacts::of(&token(json!({"sub": "u-1", "sid": "s-1"})));
    assert_eq!((facts.subject.as_deref(), facts.sid.as_deref()), (Some("u-1"), Some("s-1")));
    for odd in [token(json!({"sub": 1, "sid": ["s"]})), "x".into(), "x.!.y".into(), token(json!([]))] {
        assert_eq!(TokenFacts::of(&odd), TokenFacts::default());
    }
}
