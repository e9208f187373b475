//! Somebody who asks, and a gateway to make credentials.

use std::sync::Arc;

use base64_simd::URL_SAFE_NO_PAD;
use doorward_accounts::{Accounts, Rules, SealKey};
use doorward_core::{Principal, SecretString, Timestamp, UserInfo};
use doorward_jose::{Algorithm, Claims, KeySet, verify};
use doorward_store::Records;
use http::{HeaderValue, Method};
use serde_json::{Value, json};

use crate::{Bearer, Document, Issuer, IssuerConfig, Made, PomeriumKeys};

pub(crate) const ISSUER: &str = "https://auth.example.com/gateway";
pub(crate) const NOW: Timestamp = Timestamp::from_seconds(1_700_000_000);

/// So many seconds later.
pub(crate) const fn after(seconds: i64) -> Timestamp {
    Timestamp::from_seconds(NOW.seconds + seconds)
}

pub(crate) fn accounts_in(records: &Arc<Records>) -> Arc<Accounts> {
    let rules = Rules { gateway_algorithms: vec![Algorithm::Es256, Algorithm::Rs256], ..Rules::default() };
    Arc::new(Accounts::new(Arc::clone(records), SealKey::new(&[b'k'; 32]).unwrap(), rules))
}

pub(crate) fn config() -> IssuerConfig {
    IssuerConfig {
        issuer: ISSUER.to_owned(),
        hosts: Vec::new(),
        algorithm: Algorithm::Es256,
        pomerium_keys: PomeriumKeys::NotServed,
    }
}

pub(crate) fn issuer() -> Arc<Issuer> {
    Arc::new(Issuer::new(config(), accounts_in(&Arc::new(Records::memory()))).unwrap())
}

pub(crate) fn texts(words: &[&str]) -> Vec<String> {
    words.iter().map(|word| (*word).to_owned()).collect()
}

/// Alice by an opaque token of the client `web`.
pub(crate) fn alice() -> Principal {
    let Value::Object(claims) = json!({"preferred_username": "al", "realm_access": {"roles": ["admin"]}})
    else {
        unreachable!()
    };
    Principal {
        user: UserInfo {
            name: "alice".to_owned(),
            uid: "uid-1".to_owned(),
            groups: texts(&["dev", "system:authenticated"]),
            ..UserInfo::default()
        },
        email: "alice@example.com".to_owned(),
        authenticator: "opaque".into(),
        client_id: "web".to_owned(),
        scopes: texts(&["orders:read", "orders:write", "email"]),
        claims,
        actor: None,
        session: Some("sid-1".to_owned()),
        credential: "sha256~hash-of-hers".to_owned(),
        origin: None,
        expires: Some(after(3600)),
    }
}

/// A request of somebody.
pub(crate) fn request(principal: &Principal) -> Bearer<'_> {
    Bearer {
        principal,
        presented: None,
        audience: "orders",
        max_scopes: None,
        context: None,
        request_id: "request-1",
        method: &Method::GET,
        host: "api.example.com",
        url: "https://api.example.com/orders/7",
        now: NOW,
    }
}

/// The one header that is set, without its scheme.
pub(crate) fn token_of(made: &Made) -> SecretString {
    let [(_, value)] = made.set.as_slice() else { panic!("{} headers", made.set.len()) };
    assert!(HeaderValue::is_sensitive(value));
    let text = value.to_str().unwrap();
    let token = SecretString::from(text.strip_prefix("Bearer ").unwrap_or(text));
    assert_eq!(made.secrets, std::slice::from_ref(&token));
    token
}

fn part(token: &SecretString, number: usize) -> Value {
    let part = token.expose().split('.').nth(number).unwrap();
    serde_json::from_slice(&URL_SAFE_NO_PAD.decode_to_vec(part).unwrap()).unwrap()
}

pub(crate) fn header(token: &SecretString) -> Value {
    part(token, 0)
}

/// The claims of a token that verifies with what the gateway publishes.
pub(crate) async fn verified(issuer: &Issuer, token: &SecretString) -> Claims {
    let answer = issuer.answer(Document::Keys, &Method::GET, NOW).await;
    let keys = KeySet::from_jwks(answer.body()).unwrap();
    let algorithms = [Algorithm::Es256, Algorithm::Rs256];
    verify(token.expose(), &keys, &algorithms).unwrap().into_claims()
}

/// Without what is another each time.
pub(crate) fn lasting(mut claims: Claims) -> Value {
    for name in ["iat", "exp", "jti"] {
        assert!(claims.remove(name).is_some(), "{name}");
    }
    claims.into()
}
