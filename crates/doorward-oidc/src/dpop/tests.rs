use std::{
    collections::{BTreeSet, HashMap},
    sync::atomic::{AtomicUsize, Ordering},
};

use doorward_jose::{KeySet, verify};

use super::*;
use crate::{
    AccountChoice, BeginError, Config, ConnectError, Grant, LoginStart, Provider, PushedRequests,
    RedeemError, TokenRequestError, Validity,
    testing::{Fake, NOW, Reply, Signer, callback, merge, now},
};

fn key() -> Arc<ClientKey> {
    let jwk = include_bytes!("../../../doorward-jose/tests/data/client_keys/p256.jwk");
    Arc::new(ClientKey::read(jwk, None, None).unwrap())
}

const METADATA: &str = "/.well-known/openid-configuration";

/// A provider whose tokens are bound, and which answers proofs as the script says.
async fn bound(metadata: Value) -> (Fake, Config) {
    let (fake, signer) = (Fake::start().await, Signer::new("k"));
    let id = signer.sign(&fake.claims(json!({"groups": null})));
    fake.behaves(&signer, &json!({"access_token": "at-1", "token_type": "DPoP", "id_token": id}));
    let mut document = fake.metadata();
    merge(&mut document, json!({"dpop_signing_alg_values_supported": ["ES256"]}));
    merge(&mut document, metadata);
    fake.says(METADATA, Reply::json(200, &document));
    let config = Config { dpop: Some(key()), ..fake.config() };
    (fake, config)
}

async fn redeem(config: Config) -> Result<Grant, RedeemError> {
    Provider::connect(config).await.unwrap().redeem(callback("c0de"), "http://app/cb", now()).await
}

/// The claims of a proof, whose signature is that of the key in its header.
#[track_caller]
fn proven(proof: &str) -> Value {
    let part = proof.split('.').next().unwrap();
    let header: Value =
        serde_json::from_slice(&base64_simd::URL_SAFE_NO_PAD.decode_to_vec(part).unwrap()).unwrap();
    assert_eq!((&header["typ"], &header["alg"]), (&json!("dpop+jwt"), &json!("ES256")));
    assert_eq!(header["jwk"], key().bare_public_jwk());
    let keys = json!({"keys": [header["jwk"]]}).to_string();
    let verified = verify(proof, &KeySet::from_jwks(keys.as_bytes()).unwrap(), &[key().algorithm()]).unwrap();
    Value::Object(verified.into_claims())
}

#[tokio::test]
async fn every_request_that_tokens_are_got_or_shown_with_has_a_proof_of_its_own() {
    let (fake, config) = bound(json!({})).await;
    let validate_url = Some(format!("{}/validate?x=1", fake.base));
    fake.says("/validate?x=1", Reply::status(200));
    fake.says("/validate", Reply::status(200));
    let provider = Provider::connect(Config { validate_url, ..config }).await.unwrap();
    provider.redeem(callback("c0de"), "http://app/cb", now()).await.unwrap();
    assert_eq!(provider.validate(&"at-1".into(), now()).await, Validity::Valid);
    // RFC 9449 section 4.2: base64url of the SHA-256 of the token.
    let hash = digest::digest(&digest::SHA256, b"at-1");
    let ath = json!(base64_simd::URL_SAFE_NO_PAD.encode_to_string(hash.as_ref()));
    let mut ids = BTreeSet::new();
    for (path, method, shown) in
        [("/token", "POST", false), ("/userinfo", "GET", true), ("/validate", "GET", true)]
    {
        let seen = fake.seen(path).into_iter().chain(fake.seen(&format!("{path}?x=1"))).next().unwrap();
        let mut claims = proven(&seen.header("dpop").unwrap());
        assert!(ids.insert(claims["jti"].take().as_str().unwrap().to_owned()));
        assert_eq!(claims["htm"], method);
        assert_eq!(claims["htu"], format!("{}{path}", fake.base));
        assert_eq!(claims["iat"], NOW);
        assert_eq!(claims.get("ath"), shown.then_some(&ath), "{path}");
        assert!(claims.get("nonce").is_none());
        assert_eq!(seen.header("authorization").is_some_and(|value| value == "DPoP at-1"), shown, "{path}");
    }
}

#[tokio::test]
async fn a_server_that_wants_its_nonce_is_asked_once_more_and_no_more() {
    let nonce = |status: u16, nonce: &str| {
        let Reply::Full { body, .. } = Reply::json(status, &json!({"error": "use_dpop_nonce"})) else {
            panic!()
        };
        Reply::Full { status, headers: format!("DPoP-Nonce: {nonce}\r\n"), body }
    };
    let (fake, config) = bound(json!({})).await;
    let id = Signer::new("k");
    fake.behaves(&id, &json!({}));
    let mut document = fake.metadata();
    merge(&mut document, json!({"dpop_signing_alg_values_supported": ["ES256"]}));
    fake.says(METADATA, Reply::json(200, &document));
    let token = id.sign(&fake.claims(json!({"groups": null})));
    let good = json!({"access_token": "at-1", "token_type": "dpop", "id_token": token});
    fake.on("/token", move |seen| match proven(&seen.header("dpop").unwrap()).get("nonce") {
        Some(given) if given == "n-1" => Reply::json(200, &good),
        _ => nonce(400, "n-1"),
    });
    fake.on("/userinfo", move |seen| match proven(&seen.header("dpop").unwrap()).get("nonce") {
        Some(given) if given == "n-2" => Reply::json(200, &json!({"sub": "u-1"})),
        _ => nonce(401, "n-2"),
    });
    redeem(config.clone()).await.unwrap();
    assert_eq!((fake.count("/token"), fake.count("/userinfo")), (2, 2));
    let tries = Arc::new(AtomicUsize::new(0));
    fake.on("/token", move |_| nonce(400, &format!("n-{}", tries.fetch_add(1, Ordering::Relaxed) + 7)));
    let error = redeem(config).await.unwrap_err();
    assert!(matches!(error, RedeemError::Token(TokenRequestError::Refused { .. })), "{error}");
    assert_eq!(fake.count("/token"), 4, "the second refusal is taken for one");
}

#[tokio::test]
async fn tokens_that_are_not_bound_are_not_taken() {
    let (fake, config) = bound(json!({})).await;
    for kind in [json!("Bearer"), Value::Null] {
        fake.says("/token", Reply::json(200, &json!({"access_token": "at", "token_type": kind})));
        let error = redeem(config.clone()).await.unwrap_err();
        assert!(error.to_string().contains("token_type is not DPoP"), "{error}");
    }
}

#[tokio::test]
async fn a_provider_that_does_not_look_at_our_proofs_is_a_mistake() {
    for offered in [Value::Null, json!([]), json!(["RS256"]), json!("ES256")] {
        let (_fake, config) = bound(json!({"dpop_signing_alg_values_supported": offered})).await;
        let error = Provider::connect(config).await.map(|_| ()).unwrap_err();
        assert!(matches!(error, ConnectError::NoDpop { .. }), "{error}");
    }
}

const START: LoginStart<'static> = LoginStart {
    redirect_uri: "http://app/cb",
    state: "st4te",
    nonce_hash: "n",
    account: AccountChoice::Any,
    wishes: &[],
    demands: &[],
};

fn query(url: &str) -> HashMap<String, String> {
    Url::parse(url).unwrap().query_pairs().into_owned().collect()
}

#[tokio::test]
async fn the_code_is_bound_to_the_key_from_the_beginning() {
    let (_fake, config) = bound(json!({})).await;
    let begun = Provider::connect(config).await.unwrap().begin(&START, now()).await.unwrap();
    assert_eq!(query(&begun.url)["dpop_jkt"], key().thumbprint());
}

#[tokio::test]
async fn a_request_is_pushed_where_the_provider_demands_it_or_we_want_it() {
    let endpoint = |fake: &Fake| json!(format!("{}/par", fake.base));
    for (required, wanted, pushed) in [
        (json!(true), PushedRequests::WhereRequired, true),
        (json!(false), PushedRequests::WhereRequired, false),
        (Value::Null, PushedRequests::WhereRequired, false),
        (Value::Null, PushedRequests::Always, true),
    ] {
        let (fake, config) = bound(json!({})).await;
        let mut document = fake.metadata();
        merge(
            &mut document,
            json!({
                "require_pushed_authorization_requests": required,
                "pushed_authorization_request_endpoint": endpoint(&fake),
            }),
        );
        fake.says(METADATA, Reply::json(200, &document));
        fake.says("/par", Reply::json(201, &json!({"request_uri": "urn:r:1", "expires_in": 60})));
        let config = Config { dpop: None, pushed_requests: wanted, ..config };
        let begun = Provider::connect(config).await.unwrap().begin(&START, now()).await.unwrap();
        let query = query(&begun.url);
        if pushed {
            assert_eq!(query.len(), 2, "{query:?}");
            assert_eq!((query["client_id"].as_str(), query["request_uri"].as_str()), ("client", "urn:r:1"));
            let seen = fake.seen("/par").remove(0);
            assert_eq!((seen.form["state"].as_str(), seen.form["client_id"].as_str()), ("st4te", "client"));
            assert!(seen.form.contains_key("code_challenge") && seen.header("authorization").is_some());
        } else {
            assert!(fake.seen("/par").is_empty() && query["state"] == "st4te");
        }
    }
}

#[tokio::test]
async fn a_request_that_was_not_taken_begins_no_login() {
    let (fake, config) = bound(json!({})).await;
    let mut document = fake.metadata();
    let endpoint = format!("{}/par", fake.base);
    merge(&mut document, json!({"pushed_authorization_request_endpoint": endpoint}));
    merge(&mut document, json!({"require_pushed_authorization_requests": true}));
    fake.says(METADATA, Reply::json(200, &document));
    let provider = Provider::connect(Config { dpop: None, ..config }).await.unwrap();
    for (reply, passes) in [
        (Reply::json(400, &json!({"error": "invalid_request"})), false),
        (Reply::json(201, &json!({"expires_in": 60})), false),
        (Reply::json(201, &json!({"request_uri": ""})), false),
        (Reply::json(201, &json!({"request_uri": "x".repeat(4000)})), false),
        (Reply::redirect("/token"), false),
        (Reply::status(503), true),
    ] {
        fake.says("/par", reply);
        let error = provider.begin(&START, now()).await.unwrap_err();
        assert!(matches!(error, BeginError::Pushed(_)), "{error}");
        assert_eq!(error.is_passing(), passes, "{error}");
    }
}

#[tokio::test]
async fn a_demand_that_the_provider_cannot_fulfil_is_a_mistake() {
    for (document, wanted) in [
        (json!({"require_pushed_authorization_requests": true}), PushedRequests::WhereRequired),
        (json!({}), PushedRequests::Always),
    ] {
        let (_fake, config) = bound(document).await;
        let config = Config { dpop: None, pushed_requests: wanted, ..config };
        let error = Provider::connect(config).await.map(|_| ()).unwrap_err();
        assert_eq!(error, ConnectError::NoPushedRequests);
    }
}
