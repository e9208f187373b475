use doorward_core::SecretString;
use http::Method;
use serde_json::Value;

use super::*;
use crate::{
    Credential,
    testing::{ISSUER, NOW, after, alice, header, issuer, lasting, request, texts, token_of, verified},
};

fn styled(issuer: &Arc<Issuer>, config: IdentityConfig) -> Credential {
    Credential::Identity(SignedIdentity::new(Arc::clone(issuer), config).unwrap())
}

/// Header name, token header without its key, and lasting claims.
async fn made(config: IdentityConfig, bearer: &Bearer<'_>) -> (HeaderName, Value, Value) {
    let issuer = issuer();
    let made = styled(&issuer, config).make(bearer).await.unwrap();
    assert!(made.remove.contains(&AUTHORIZATION));
    let token: SecretString = token_of(&made);
    let mut head = header(&token);
    head.as_object_mut().unwrap().remove("kid");
    let claims = verified(&issuer, &token).await;
    assert_eq!((&claims["iat"], &claims["exp"]), (&json!(NOW.seconds), &json!(NOW.seconds + 60)));
    (made.set[0].0.clone(), head, lasting(claims))
}

#[tokio::test]
async fn b37_the_application_is_told_who_asks_for_a_minute() {
    let (alice, context) = (alice(), json!({"orders": "own"}));
    let bearer = Bearer { context: Some(&context), ..request(&alice) };
    let config = IdentityConfig { claims: texts(&["email"]), ..IdentityConfig::default() };
    let expected = json!({
        "iss": ISSUER, "aud": "orders", "sub": "uid-1", "groups": ["dev", "system:authenticated"],
        "email": "alice@example.com", "authz": {"orders": "own"}, "rid": "request-1",
    });
    let head = json!({"alg": "ES256", "typ": "gw-id+jwt"});
    assert_eq!(made(config, &bearer).await, (X_GATEWAY_IDENTITY, head.clone(), expected));
    // In Authorization it is a bearer token, and may be for this request only.
    let config = IdentityConfig {
        header: Some(AUTHORIZATION),
        binding: Binding::ToRequest,
        ..IdentityConfig::default()
    };
    let (name, bound_head, claims) = made(config, &Bearer { method: &Method::POST, ..request(&alice) }).await;
    assert_eq!((name, bound_head), (AUTHORIZATION, head));
    assert_eq!(
        (&claims["htm"], &claims["htu"]),
        (&json!("POST"), &json!("https://api.example.com/orders/7"))
    );
}

#[tokio::test]
async fn b37_the_shapes_of_others_are_theirs() {
    let alice = alice();
    let bearer = request(&alice);
    let with =
        |style, claims: &[&str]| IdentityConfig { style, claims: texts(claims), ..IdentityConfig::default() };
    assert_eq!(
        made(with(IdentityStyle::Iap, &[]), &bearer).await,
        (
            X_GOOG_IAP_JWT_ASSERTION,
            json!({"alg": "ES256", "typ": "gw-id+jwt"}),
            json!({"iss": ISSUER, "aud": "orders", "sub": "uid-1", "email": "alice@example.com",
                   "hd": "example.com", "rid": "request-1"}),
        )
    );
    assert_eq!(
        made(with(IdentityStyle::CloudflareAccess, &["groups"]), &bearer).await,
        (
            CF_ACCESS_JWT_ASSERTION,
            json!({"alg": "RS256", "typ": "gw-id+jwt"}),
            json!({"iss": ISSUER, "aud": ["orders"], "sub": "uid-1", "email": "alice@example.com",
                   "type": "app", "nbf": NOW.seconds, "rid": "request-1",
                   "custom": {"groups": ["dev", "system:authenticated"]}}),
        )
    );
    assert_eq!(
        made(with(IdentityStyle::Pomerium, &[]), &bearer).await,
        (
            X_POMERIUM_JWT_ASSERTION,
            json!({"alg": "ES256", "typ": "gw-id+jwt"}),
            json!({"iss": "api.example.com", "aud": "api.example.com", "sub": "uid-1", "user": "uid-1",
                   "email": "alice@example.com", "name": "alice", "sid": "sid-1", "rid": "request-1",
                   "groups": ["dev", "system:authenticated"]}),
        )
    );
    let config = IdentityConfig {
        issuer: Some("https://cloud.google.com/iap".to_owned()),
        ..with(IdentityStyle::Iap, &[])
    };
    assert_eq!(made(config, &bearer).await.2["iss"], "https://cloud.google.com/iap");
}

#[tokio::test]
async fn b37_it_ends_with_the_credential_and_is_about_nobody_who_is_not_known() {
    let issuer = issuer();
    let identity = styled(&issuer, IdentityConfig::default());
    let soon = Principal { expires: Some(after(5)), ..alice() };
    let token = token_of(&identity.make(&request(&soon)).await.unwrap());
    assert_eq!(verified(&issuer, &token).await["exp"], NOW.seconds + 5);
    let over = Principal { expires: Some(NOW), ..alice() };
    assert_eq!(identity.make(&request(&over)).await.unwrap_err(), CredentialFault::Over);
    let nobody = Principal::anonymous("anonymous".into());
    let made = identity.make(&request(&nobody)).await.unwrap();
    assert!(made.set.is_empty() && made.remove.contains(&AUTHORIZATION));
}

#[test]
fn b15_the_headers_that_it_is_told_in_are_nobody_elses() {
    for style in
        [IdentityStyle::Gateway, IdentityStyle::Iap, IdentityStyle::CloudflareAccess, IdentityStyle::Pomerium]
    {
        assert!(IDENTITY_HEADERS.contains(&style.header()));
    }
    for name in ["host", "cookie", "content-length"] {
        let header = Some(HeaderName::from_static(name));
        let config = IdentityConfig { header, ..IdentityConfig::default() };
        assert!(SignedIdentity::new(issuer(), config).is_err(), "{name}");
    }
}
