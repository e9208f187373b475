use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use doorward_core::Identity;
use doorward_jose::{ClaimError, VerifyError};
use serde_json::{Value, json};

use super::*;
use crate::{
    AccountChoice, BearerError, CaFile, ClientAuthentication, ClientSecret, Grant, HttpConfig, IdentifyError,
    IssuerCheck, NonceCheck, ProfileClaims, PublicFailure, RedeemError, RefreshError, Trust, UserinfoError,
    testing::{Fake, NOW, Reply, STILL, Signer, callback, merge, now},
};

const METADATA: &str = "/.well-known/openid-configuration";

async fn redeem(provider: &Provider) -> Result<Grant, RedeemError> {
    provider.redeem(callback("c0de"), "http://app/cb", now()).await
}

/// A provider whose ID token has the changed claims.
async fn with_claims(changes: Value) -> (Fake, Signer) {
    let (fake, signer) = (Fake::start().await, Signer::new("k1"));
    let id = signer.sign(&fake.claims(changes));
    fake.behaves(
        &signer,
        &json!({"access_token": "at", "id_token": id, "refresh_token": "rt", "expires_in": 60}),
    );
    (fake, signer)
}

fn alice() -> Identity {
    Identity {
        user: "u-1".into(),
        email: "old@example.com".into(),
        groups: vec!["old".into()],
        ..Identity::default()
    }
}

// --- connecting ---

#[tokio::test]
async fn a_mistake_that_waiting_does_not_mend_is_an_error() {
    let (fake, signer) = (Fake::start().await, Signer::new("k"));
    fake.behaves(&signer, &json!({}));
    let config = || fake.config();
    let tls = Fake::start_tls().await;
    let cases = [
        (Config { issuer: format!("{}/", fake.base), ..config() }, "issuer"),
        (
            Config { enabled_algorithms: vec![doorward_jose::Algorithm::Rs256], ..config() },
            "signing algorithm",
        ),
        (tls.config(), "certificate"),
        (Config { keys: KeySource::Pem(vec![b"nonsense".to_vec()]), ..config() }, "public key file"),
        (Config { keys: KeySource::Pem(Vec::new()), ..config() }, "keys"),
        (Config { discovery: Discovery::Skip, ..config() }, "keys"),
        (Config { issuer: "not a url".to_owned(), ..config() }, "issuer URL"),
        (
            Config {
                client_authentication: ClientAuthentication::Secret(ClientSecret::File(
                    "/nonexistent/secret".into(),
                )),
                ..config()
            },
            "client secret file",
        ),
    ];
    for (config, word) in cases {
        let error = Provider::connect(config).await.map(|_| ()).unwrap_err();
        assert!(error.to_string().contains(word), "{error}");
    }
}

#[tokio::test]
async fn a_provider_that_is_away_is_waited_for() {
    let bad_answers = [
        Reply::status(500),
        Reply::status(404),
        Reply::Hang,
        Reply::Flood,
        Reply::typed(200, "text/html", "<html>"),
        Reply::json(200, &json!([])),
        Reply::redirect("http://169.254.169.254/"),
    ];
    for reply in bad_answers {
        let (fake, signer) = with_claims(json!({})).await;
        fake.says(METADATA, reply);
        let mut config = fake.config();
        config.http.first_discovery_timeout = Duration::from_millis(300);
        let pace = Pace { first_retry: Duration::from_millis(10), ..STILL };
        let provider = Provider::connect_at(config, pace).await.unwrap();
        assert!(!provider.is_ready());
        let start = LoginStart {
            redirect_uri: "/cb",
            state: "s",
            nonce_hash: "n",
            account: AccountChoice::Any,
            wishes: &[],
            demands: &[],
        };
        assert_eq!(provider.begin(&start, now()).await, Err(BeginError::NotReady));
        assert_eq!(redeem(&provider).await.unwrap_err().public(), PublicFailure::ProviderUnreachable);
        fake.behaves(&signer, &json!({}));
        while !provider.is_ready() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        assert!(provider.begin(&start, now()).await.unwrap().verifier.is_some());
    }
}

#[tokio::test]
async fn metadata_and_keys_are_renewed_and_failures_keep_the_old_ones() {
    let (fake, signer) = with_claims(json!({})).await;
    let pace = Pace { renewal: Duration::from_millis(10), longest_retry: Duration::from_millis(10), ..STILL };
    let provider = Provider::connect_at(fake.config(), pace).await.unwrap();
    redeem(&provider).await.unwrap();
    let withdrawn = Signer::new("k2");
    fake.says("/jwks", Reply::json(200, &json!({"keys": [withdrawn.jwk()]})));
    while fake.count("/jwks") < 3 {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    let gone = redeem(&provider).await.unwrap_err();
    assert_eq!(
        gone,
        RedeemError::IdToken(VerifyError::UnknownKey.into()),
        "a withdrawn key verifies nothing"
    );
    fake.behaves(&signer, &json!({"access_token": "at", "id_token": signer.sign(&fake.claims(json!({})))}));
    let seen = fake.count("/jwks");
    while fake.count("/jwks") < seen + 2 {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    fake.says("/jwks", Reply::status(500));
    fake.says(METADATA, Reply::json(200, &json!({"issuer": "https://other.example"})));
    let seen = fake.count(METADATA);
    while fake.count(METADATA) < seen + 2 {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    assert!(redeem(&provider).await.is_ok());
}

#[tokio::test]
async fn the_background_task_ends_with_the_last_clone() {
    let (fake, _signer) = with_claims(json!({})).await;
    let provider = fake.provider().await;
    let watched = Arc::downgrade(&provider.inner.shared);
    drop(provider.clone());
    assert!(watched.upgrade().is_some());
    drop(provider);
    while watched.upgrade().is_some() {
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn debug_output_shows_no_secret() {
    let (fake, _signer) = with_claims(json!({})).await;
    let shown = format!("{:?} {:?}", fake.provider().await, fake.config());
    assert!(!shown.contains("s3cret"), "{shown}");
}

#[test]
fn futures_may_move_between_threads() {
    fn check<T: Send>(_: impl Fn(&'static Provider) -> T) {}
    check(|provider| provider.redeem(callback("c"), "r", now()));
    check(|provider| async move { provider.refresh(&"r".into(), &Identity::default(), now()).await });
    check(|provider| async move { provider.validate(&"a".into(), now()).await });
    check(|provider| async move { provider.verify_bearer(&"a".into(), now()).await });
    check(|provider| provider.backend_logout(None));
    check(|_| async { Provider::connect(some_config()).await });
}

fn some_config() -> Config {
    unreachable!("only the type counts")
}

// --- redeeming ---

#[tokio::test]
async fn a_good_login_gives_tokens_identity_and_expiry() {
    let (fake, _signer) = with_claims(json!({})).await;
    let grant = redeem(&fake.provider().await).await.unwrap();
    assert_eq!(grant.identity.user, "u-1");
    assert_eq!(grant.identity.email, "a@example.com");
    assert_eq!(grant.identity.groups, ["dev", "ops"]);
    assert_eq!(grant.identity.preferred_username, "a");
    assert_eq!(grant.expires_on, Some(Timestamp::from_seconds(NOW + 60)));
    assert_eq!(grant.tokens.access, Some("at".into()));
    assert_eq!(grant.tokens.refresh, Some("rt".into()));
    let sent = fake.seen("/token").remove(0);
    assert_eq!(sent.header("authorization").as_deref(), Some("Basic Y2xpZW50OnMzY3JldCUyQg=="));
    let fields = [
        ("grant_type", "authorization_code"),
        ("code", "c0de"),
        ("redirect_uri", "http://app/cb"),
        ("code_verifier", "verifier-1"),
    ];
    assert_eq!(sent.form, fields.map(|(name, value)| (name.to_owned(), value.to_owned())).into());
    assert_eq!(fake.count("/userinfo"), 0, "nothing was missing");
}

#[tokio::test]
async fn an_id_token_that_is_not_for_this_login_is_refused() {
    let claim = |error: ClaimError| RedeemError::IdToken(error.into());
    for (changes, expected, public) in [
        (
            json!({"exp": NOW - 600, "iat": NOW - 900}),
            RedeemError::Clock { error: ClaimError::Expired, ahead: Some(900) },
            PublicFailure::TokenInvalid,
        ),
        (json!({"exp": null}), claim(ClaimError::NoExpiry), PublicFailure::TokenInvalid),
        (
            json!({"nbf": NOW + 400, "iat": NOW + 400}),
            RedeemError::Clock { error: ClaimError::NotYetValid, ahead: Some(-400) },
            PublicFailure::TokenInvalid,
        ),
        (json!({"nonce": "other"}), claim(ClaimError::WrongNonce), PublicFailure::NonceMismatch),
        (json!({"nonce": null}), claim(ClaimError::NoNonce), PublicFailure::NonceMismatch),
        (
            json!({"email_verified": false}),
            IdentifyError::EmailUnverified.into(),
            PublicFailure::EmailUnverified,
        ),
        (json!({"email": null}), IdentifyError::EmailMissing.into(), PublicFailure::EmailMissing),
    ] {
        let (fake, _signer) = with_claims(changes.clone()).await;
        let error = redeem(&fake.provider().await).await.unwrap_err();
        assert_eq!((error.public(), error), (public, expected), "{changes}");
    }
    let (fake, _signer) = with_claims(json!({"iss": "https://other.example"})).await;
    let error = redeem(&fake.provider().await).await.unwrap_err();
    assert!(matches!(error, RedeemError::IdToken(IdTokenError::Claims(ClaimError::WrongIssuer { .. }))));
    let lax = Config { issuer_check: IssuerCheck::Skip, ..fake.config() };
    assert!(redeem(&Provider::connect(lax).await.unwrap()).await.is_ok());
    assert_eq!(
        IdentifyError::EmailMissing.to_string(),
        "neither the id_token nor the profileURL set an email"
    );
}

#[tokio::test]
async fn a_wrong_audience_is_explained_to_log_and_page() {
    let (fake, _signer) = with_claims(json!({"aud": ["account"]})).await;
    let error = redeem(&fake.provider().await).await.unwrap_err();
    let sentence = "audience from claim aud with value [account] does not match with any of allowed audiences map[client:{}]";
    assert!(error.to_string().contains(sentence), "{error}");
    let PublicFailure::AudienceMismatch { claim, values, expected, mend } = error.public() else {
        panic!("{error}")
    };
    assert_eq!((claim.as_str(), values, expected), ("aud", vec!["account".into()], vec!["client".into()]));
    assert!(mend.contains("--oidc-extra-audience=account"), "{mend}");
    let wider = Config { extra_audiences: vec!["account".to_owned()], ..fake.config() };
    assert!(redeem(&Provider::connect(wider).await.unwrap()).await.is_ok());
}

#[tokio::test]
async fn the_nonce_is_checked_as_configured() {
    for (check, nonce, accepted) in [
        (NonceCheck::IfPresent, json!(null), true),
        (NonceCheck::IfPresent, json!("other"), false),
        (NonceCheck::Off, json!("other"), true),
    ] {
        let (fake, _signer) = with_claims(json!({ "nonce": nonce })).await;
        let provider = Provider::connect(Config { nonce: check, ..fake.config() }).await.unwrap();
        assert_eq!(redeem(&provider).await.is_ok(), accepted, "{check:?} {nonce}");
    }
}

#[tokio::test]
async fn hostile_token_answers_are_errors() {
    let (fake, signer) = with_claims(json!({})).await;
    let mut config = fake.config();
    config.http = HttpConfig { total_timeout: Duration::from_millis(400), ..config.http };
    let provider = Provider::connect(config).await.unwrap();
    let none = signer.sign_with(&json!({"alg": "none"}), &fake.claims(json!({})));
    let logout = signer.sign_with(&json!({"alg": "EdDSA", "typ": "logout+jwt"}), &fake.claims(json!({})));
    let of_gateway = signer.sign_with(&json!({"alg": "EdDSA", "typ": "gw-id+jwt"}), &fake.claims(json!({})));
    let bomb = include_bytes!("../../tests/data/zeros-16mib.gz").to_vec();
    let headers = "Content-Type: application/json\r\nContent-Encoding: gzip\r\n".to_owned();
    for (reply, expected) in [
        (Reply::json(200, &json!({"access_token": "at"})), PublicFailure::TokenInvalid),
        (Reply::json(200, &json!({"access_token": "at", "id_token": none})), PublicFailure::TokenInvalid),
        (Reply::json(200, &json!({"access_token": "at", "id_token": logout})), PublicFailure::TokenInvalid),
        (
            Reply::json(200, &json!({"access_token": "at", "id_token": of_gateway})),
            PublicFailure::TokenInvalid,
        ),
        (Reply::json(200, &json!({"access_token": "at", "id_token": "x"})), PublicFailure::TokenInvalid),
        (Reply::json(200, &json!({"access_token": ["at"], "id_token": 5})), PublicFailure::TokenInvalid),
        (
            Reply::json(400, &json!({"error": "invalid_grant", "error_description": "c0de is used"})),
            PublicFailure::ProviderRefused("invalid_grant: [secret] is used".to_owned()),
        ),
        (Reply::status(500), PublicFailure::ProviderUnreachable),
        (Reply::Hang, PublicFailure::ProviderUnreachable),
        (Reply::Drip, PublicFailure::ProviderUnreachable),
        (Reply::Flood, PublicFailure::ProviderUnreachable),
        (Reply::Full { status: 200, headers, body: bomb }, PublicFailure::ProviderUnreachable),
    ] {
        fake.says("/token", reply);
        let error = redeem(&provider).await.unwrap_err();
        assert_eq!(error.public(), expected, "{error}");
        let text = format!("{error} {error:?}");
        assert!(!["c0de", "s3cret", "verifier-1"].iter().any(|secret| text.contains(secret)), "{text}");
    }
    let calls = fake.count("/token");
    let empty = provider.redeem(callback(""), "r", now()).await.unwrap_err();
    assert_eq!((empty.public(), fake.count("/token")), (PublicFailure::CodeMissing, calls));
}

#[tokio::test]
async fn without_discovery_endpoints_and_keys_are_those_written() {
    let (fake, _signer) = with_claims(json!({})).await;
    let config = Config {
        discovery: Discovery::Skip,
        login_url: Some(format!("{}/authorize", fake.base)),
        redeem_url: Some(format!("{}/token", fake.base)),
        keys: KeySource::Url(format!("{}/jwks", fake.base)),
        enabled_algorithms: vec![doorward_jose::Algorithm::EdDsa],
        ..fake.config()
    };
    let provider = Provider::connect(config.clone()).await.unwrap();
    assert!(provider.is_ready() && redeem(&provider).await.is_ok());
    assert_eq!(fake.count(METADATA), 0);
    let rs256_only = Config { enabled_algorithms: Vec::new(), ..config };
    let error = redeem(&Provider::connect(rs256_only).await.unwrap()).await.unwrap_err();
    assert!(matches!(
        error,
        RedeemError::IdToken(IdTokenError::Signature(VerifyError::AlgorithmNotAllowed { .. }))
    ));
}

// --- userinfo ---

#[tokio::test]
async fn userinfo_is_asked_once_and_must_be_about_the_same_subject() {
    let (fake, signer) = with_claims(json!({"email": null, "groups": null})).await;
    let provider = fake.provider().await;
    let info = json!({"sub": "u-1", "email": "info@example.com", "groups": "solo"});
    fake.says("/userinfo", Reply::json(200, &info));
    let identity = redeem(&provider).await.unwrap().identity;
    assert_eq!((identity.email.as_str(), identity.groups), ("info@example.com", vec!["solo".to_owned()]));
    assert_eq!(fake.count("/userinfo"), 1);
    assert_eq!(fake.seen("/userinfo")[0].header("authorization").as_deref(), Some("Bearer at"));
    let jwt = |signer: &Signer| Reply::typed(200, "application/jwt", signer.sign(&info));
    fake.says("/userinfo", jwt(&signer));
    assert!(redeem(&provider).await.is_ok());
    let forged = Signer::new("k1");
    let unreachable = PublicFailure::ProviderUnreachable;
    for (reply, expected) in [
        (Reply::json(200, &json!({"sub": "u-2", "email": "x@y"})), PublicFailure::TokenInvalid),
        (Reply::json(200, &json!([])), PublicFailure::TokenInvalid),
        (Reply::typed(200, "text/html", "<html>"), PublicFailure::TokenInvalid),
        (jwt(&forged), PublicFailure::TokenInvalid),
        (Reply::status(500), unreachable.clone()),
        (Reply::Flood, unreachable),
        (Reply::json(200, &json!({"sub": "u-1"})), PublicFailure::EmailMissing),
    ] {
        fake.says("/userinfo", reply);
        let error = redeem(&provider).await.unwrap_err();
        assert_eq!(error.public(), expected, "{error}");
    }
    let calls = fake.count("/userinfo");
    let skipping = Config { profile_claims: ProfileClaims::Skip, ..fake.config() };
    let error = redeem(&Provider::connect(skipping).await.unwrap()).await.unwrap_err();
    assert_eq!((error, fake.count("/userinfo")), (IdentifyError::EmailMissing.into(), calls));
}

// --- keys ---

#[tokio::test]
async fn a_rotated_key_is_found_at_once() {
    let (fake, _old) = with_claims(json!({})).await;
    let provider = Provider::connect_at(fake.config(), STILL).await.unwrap();
    redeem(&provider).await.unwrap();
    let new = Signer::new("k2");
    fake.behaves(&new, &json!({"access_token": "at", "id_token": new.sign(&fake.claims(json!({})))}));
    assert!(redeem(&provider).await.is_ok());
    assert_eq!(fake.count("/jwks"), 2);
}

#[tokio::test]
async fn a_flood_of_unknown_keys_costs_one_fetch_per_interval() {
    let (fake, signer) = with_claims(json!({})).await;
    let provider = Provider::connect_at(fake.config(), STILL).await.unwrap();
    let good: SecretString = signer.sign(&fake.claims(json!({}))).into();
    provider.verify_bearer(&good, now()).await.unwrap();
    let flood: Vec<_> = (0..50)
        .map(|number| {
            let token = Signer::new(&format!("unknown-{number}")).sign(&fake.claims(json!({})));
            let provider = provider.clone();
            tokio::spawn(async move { provider.verify_bearer(&token.into(), now()).await })
        })
        .collect();
    for attempt in flood {
        let outcome = attempt.await.unwrap();
        assert_eq!(outcome, Err(BearerError::Token(VerifyError::UnknownKey.into())));
    }
    assert_eq!(fake.count("/jwks"), 2);
    fake.says("/jwks", Reply::status(500));
    assert!(provider.verify_bearer(&good, now()).await.is_ok());
    for garbage in ["x", "a.b.c", &signer.sign_with(&json!({"alg": "none"}), &json!({}))] {
        assert!(provider.verify_bearer(&garbage.into(), now()).await.is_err());
    }
    assert_eq!(fake.count("/jwks"), 2);
}

#[tokio::test]
async fn keys_that_cannot_be_fetched_make_no_login_but_are_tried_again() {
    let (fake, signer) = with_claims(json!({})).await;
    let pace = Pace { key_refetch: Duration::ZERO, ..STILL };
    let provider = Provider::connect_at(fake.config(), pace).await.unwrap();
    for reply in
        [Reply::status(500), Reply::typed(200, "text/html", "<html>"), Reply::json(200, &json!({"keys": 5}))]
    {
        fake.says("/jwks", reply);
        let error = redeem(&provider).await.unwrap_err();
        assert!(matches!(error, RedeemError::IdToken(IdTokenError::KeysUnavailable { .. })), "{error}");
        assert_eq!(error.public(), PublicFailure::ProviderUnreachable);
    }
    fake.says("/jwks", Reply::json(200, &json!({"keys": [signer.jwk()]})));
    redeem(&provider).await.unwrap();
    fake.says("/jwks", Reply::status(500));
    let stranger = Signer::new("k9").sign(&fake.claims(json!({})));
    assert!(provider.verify_bearer(&stranger.into(), now()).await.is_err());
    assert!(redeem(&provider).await.is_ok(), "a failing fetch keeps the old keys");
}

// --- refreshing ---

async fn refreshed(answer: Value) -> Result<crate::Refreshed, RefreshError> {
    let (fake, signer) = (Fake::start().await, Signer::new("k1"));
    fake.behaves(&signer, &answer);
    fake.provider().await.refresh(&"old-rt".into(), &alice(), now()).await
}

#[tokio::test]
async fn a_refresh_without_id_token_changes_only_tokens() {
    let refreshed = refreshed(json!({"access_token": "new-at", "expires_in": "60"})).await.unwrap();
    assert_eq!(refreshed.tokens.access, Some("new-at".into()));
    assert_eq!((refreshed.tokens.refresh, refreshed.tokens.id), (Some("old-rt".into()), None));
    assert_eq!((refreshed.identity, refreshed.expires_on), (None, Some(Timestamp::from_seconds(NOW + 60))));
}

#[tokio::test]
async fn a_new_id_token_must_verify_and_be_about_the_same_subject() {
    let stranger = Signer::new("k1");
    for (changes, expected) in [
        (json!({"nonce": null, "email": "new@example.com", "groups": ["new"]}), None),
        (json!({"sub": "u-2"}), Some(RefreshError::OtherSubject)),
        (json!({"exp": NOW - 1}), Some(RefreshError::NotVerified(ClaimError::Expired.into()))),
        (json!({"email_verified": false}), Some(IdentifyError::EmailUnverified.into())),
    ] {
        let (fake, signer) = with_claims(changes.clone()).await;
        let provider = fake.provider().await;
        let outcome = provider.refresh(&"old-rt".into(), &alice(), now()).await;
        if let Some(error) = expected {
            assert_eq!(outcome, Err(error), "{changes}");
        } else {
            let refreshed = outcome.unwrap();
            let identity = refreshed.identity.unwrap();
            assert_eq!(identity.email, "new@example.com");
            assert_eq!(identity.groups, ["new"]);
            assert_eq!(refreshed.tokens.refresh, Some("rt".into()));
        }
        let forged = stranger.sign(&fake.claims(json!({"email": "evil@example.com"})));
        fake.behaves(&signer, &json!({"access_token": "at", "id_token": forged}));
        let outcome = provider.refresh(&"old-rt".into(), &alice(), now()).await;
        assert_eq!(outcome, Err(RefreshError::NotVerified(VerifyError::BadSignature.into())));
    }
}

#[tokio::test]
async fn only_invalid_grant_means_that_the_refresh_token_is_dead() {
    for (reply, rejected) in [
        (Reply::json(400, &json!({"error": "invalid_grant"})), true),
        (Reply::json(401, &json!({"error": "invalid_client"})), false),
        (Reply::json(400, &json!({"error": "temporarily_unavailable"})), false),
        (Reply::json(200, &json!({})), false),
        (Reply::status(500), false),
        (Reply::status(429), false),
    ] {
        let (fake, _signer) = with_claims(json!({})).await;
        fake.says("/token", reply);
        let error = fake.provider().await.refresh(&"old-rt".into(), &alice(), now()).await.unwrap_err();
        assert_eq!(matches!(error, RefreshError::Rejected(_)), rejected, "{error}");
        assert_eq!(matches!(error, RefreshError::Transient(_)), !rejected, "{error}");
    }
}

#[tokio::test]
async fn userinfo_that_is_away_at_a_refresh_keeps_identity_and_tokens() {
    let (fake, _signer) = with_claims(json!({"groups": null})).await;
    fake.says("/userinfo", Reply::status(503));
    let provider = fake.provider().await;
    let refreshed = provider.refresh(&"old-rt".into(), &alice(), now()).await.unwrap();
    assert_eq!((refreshed.identity, refreshed.tokens.refresh), (None, Some("rt".into())));
    let stranger = Identity { user: "u-2".into(), ..alice() };
    assert!(provider.refresh(&"old-rt".into(), &stranger, now()).await.is_err());
    fake.says("/userinfo", Reply::json(200, &json!({"sub": "u-2"})));
    let outcome = provider.refresh(&"old-rt".into(), &alice(), now()).await;
    assert_eq!(outcome, Err(RefreshError::Userinfo(UserinfoError::OtherSubject)));
}

// --- keycloak ---

fn roles(fake: &Fake, changes: Value) -> Value {
    let mut claims = fake.claims(json!({
        "aud": "account", "nonce": null,
        "realm_access": {"roles": ["admin"]}, "resource_access": {"z": {"roles": ["q"]}, "client": {"roles": ["editor"]}},
    }));
    merge(&mut claims, changes);
    claims
}

#[tokio::test]
async fn keycloak_roles_come_from_a_verified_access_token_only() {
    let (fake, signer) = with_claims(json!({})).await;
    let id = signer.sign(&fake.claims(json!({})));
    let stranger = Signer::new("k1");
    let all = vec!["dev", "ops", "role:admin", "role:client:editor", "role:z:q"];
    let none = vec!["dev", "ops"];
    let provider = fake.keycloak().await;
    for (access, expected) in [
        (signer.sign(&roles(&fake, json!({}))), all.clone()),
        (signer.sign(&roles(&fake, json!({"sub": null}))), all),
        (stranger.sign(&roles(&fake, json!({}))), none.clone()),
        (signer.sign(&roles(&fake, json!({"sub": "u-2"}))), none.clone()),
        (signer.sign(&roles(&fake, json!({"iss": "https://other.example"}))), none.clone()),
        (signer.sign(&roles(&fake, json!({"exp": NOW - 1}))), none.clone()),
        (signer.sign_with(&json!({"alg": "none"}), &roles(&fake, json!({}))), none.clone()),
        (
            signer.sign(&roles(&fake, json!({"realm_access": 5, "resource_access": {"a": {"roles": "x"}}}))),
            none.clone(),
        ),
        ("opaque".to_owned(), none),
    ] {
        fake.says("/token", Reply::json(200, &json!({"access_token": access, "id_token": id})));
        assert_eq!(redeem(&provider).await.unwrap().identity.groups, expected);
    }
}

#[tokio::test]
async fn keycloak_roles_never_pile_up_over_refreshes() {
    let (fake, signer) = with_claims(json!({})).await;
    let provider = fake.keycloak().await;
    let access = signer.sign(&roles(&fake, json!({})));
    fake.says("/token", Reply::json(200, &json!({"access_token": access})));
    let mut identity = alice();
    for _ in 0..2 {
        identity = provider.refresh(&"rt".into(), &identity, now()).await.unwrap().identity.unwrap();
        assert_eq!(identity.groups, ["old", "role:admin", "role:client:editor", "role:z:q"]);
    }
    let access = signer.sign(&roles(&fake, json!({"resource_access": null})));
    fake.says("/token", Reply::json(200, &json!({"access_token": access})));
    let less = provider.refresh(&"rt".into(), &identity, now()).await.unwrap().identity.unwrap();
    assert_eq!(less.groups, ["old", "role:admin"], "a role taken away is gone");
    fake.says("/token", Reply::json(200, &json!({"access_token": "opaque"})));
    assert_eq!(provider.refresh(&"rt".into(), &identity, now()).await.unwrap().identity, None);
}

// --- the rest ---

#[tokio::test]
async fn a_bearer_token_is_verified_like_an_id_token() {
    let (fake, signer) = with_claims(json!({})).await;
    let provider = fake.provider().await;
    for (changes, email) in [
        (json!({"nonce": null}), Some("a@example.com")),
        (json!({"email": null, "email_verified": null}), Some("u-1")),
        (json!({"email_verified": false}), None),
        (json!({"aud": "other"}), None),
        (json!({"exp": NOW - 1}), None),
        (json!({"iss": "https://other.example"}), None),
    ] {
        let token: SecretString = signer.sign(&fake.claims(changes.clone())).into();
        let outcome = provider.verify_bearer(&token, now()).await;
        assert_eq!(outcome.as_ref().ok().map(|grant| grant.identity.email.as_str()), email, "{changes}");
        if let Ok(grant) = outcome {
            assert_eq!(grant.expires_on, Some(Timestamp::from_seconds(NOW + 600)));
            assert_eq!(
                grant.tokens,
                doorward_core::Tokens { access: Some(token.clone()), id: Some(token), refresh: None }
            );
        }
    }
    assert_eq!(fake.count("/userinfo"), 0);
}

#[tokio::test]
async fn a_kept_id_token_can_be_checked_again() {
    let (fake, signer) = with_claims(json!({})).await;
    let provider = fake.provider().await;
    let token: SecretString = signer.sign(&fake.claims(json!({}))).into();
    assert_eq!(provider.recheck(&token, None, now()).await, Ok(()));
    assert_eq!(provider.recheck(&token, Some("nonce-hash"), now()).await, Ok(()));
    assert_eq!(provider.recheck(&token, Some("other"), now()).await, Err(ClaimError::WrongNonce.into()));
    let late = Timestamp::from_seconds(NOW + 601);
    assert_eq!(provider.recheck(&token, None, late).await, Err(ClaimError::Expired.into()));
}

#[tokio::test]
async fn the_validate_url_decides_if_there_is_one() {
    let (fake, _signer) = with_claims(json!({})).await;
    assert_eq!(fake.provider().await.validate(&"at".into(), now()).await, Validity::Valid);
    let mut config = Config { validate_url: Some(format!("{}/validate", fake.base)), ..fake.config() };
    config.http.total_timeout = Duration::from_millis(300);
    let provider = Provider::connect(config).await.unwrap();
    for (reply, expected) in [
        (Reply::status(200), Validity::Valid),
        (Reply::status(204), Validity::Refused { status: 204 }),
        (Reply::status(401), Validity::Refused { status: 401 }),
        (Reply::redirect("/elsewhere"), Validity::Refused { status: 302 }),
        (Reply::Hang, Validity::Unknown),
    ] {
        fake.says("/validate", reply);
        assert_eq!(provider.validate(&"at".into(), now()).await, expected);
    }
    assert_eq!(fake.seen("/validate")[0].header("authorization").as_deref(), Some("Bearer at"));
}

#[tokio::test]
async fn the_backend_logout_carries_the_token_and_never_fails() {
    let (fake, _signer) = with_claims(json!({})).await;
    let calls = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&calls);
    fake.on("/logout", move |seen| {
        counted.fetch_add(1, Ordering::Relaxed);
        assert!(seen.head.starts_with("GET /logout?hint=a.b-c_d%26x "), "{}", seen.head);
        Reply::status(500)
    });
    let url = format!("{}/logout?hint={{id_token}}", fake.base);
    let with = |url: Option<String>| Config { backend_logout_url: url, ..fake.config() };
    let token: SecretString = "a.b-c_d&x".into();
    Provider::connect(with(Some(url))).await.unwrap().backend_logout(Some(&token)).await;
    assert_eq!(calls.load(Ordering::Relaxed), 1);
    for url in [None, Some(String::new()), Some("no url".to_owned()), Some("http://127.0.0.1:1/".to_owned())]
    {
        Provider::connect(with(url)).await.unwrap().backend_logout(None).await;
    }
    assert_eq!(calls.load(Ordering::Relaxed), 1);
}

#[tokio::test]
async fn a_provider_behind_tls_is_used_with_its_ca() {
    let (fake, signer) = (Fake::start_tls().await, Signer::new("k1"));
    fake.behaves(&signer, &json!({"access_token": "at", "id_token": signer.sign(&fake.claims(json!({})))}));
    let mut config = fake.config();
    config.http.trust = Trust::Files(vec![CaFile {
        path: "ca.pem".into(),
        pem: include_bytes!("../../tests/data/ca.pem").to_vec(),
    }]);
    assert!(redeem(&Provider::connect(config).await.unwrap()).await.is_ok());
}

#[tokio::test]
async fn an_authorization_response_names_no_other_issuer() {
    let fake = Fake::start().await;
    let own = fake.base.clone();
    let slash = format!("{own}/");
    for (promised, check, iss, accepted) in [
        (json!(null), IssuerCheck::Exact, None, true),
        (json!(null), IssuerCheck::Exact, Some(own.as_str()), true),
        (json!(null), IssuerCheck::Exact, Some("https://evil.example"), false),
        (json!(null), IssuerCheck::Exact, Some(slash.as_str()), false),
        (json!(null), IssuerCheck::Exact, Some(""), false),
        (json!(true), IssuerCheck::Exact, Some(own.as_str()), true),
        (json!(true), IssuerCheck::Exact, None, false),
        (json!(false), IssuerCheck::Exact, None, true),
        (json!(true), IssuerCheck::Skip, None, true),
        (json!(true), IssuerCheck::Skip, Some("https://evil.example"), true),
    ] {
        let mut metadata = fake.metadata();
        merge(&mut metadata, json!({ "authorization_response_iss_parameter_supported": promised }));
        fake.says("/.well-known/openid-configuration", Reply::json(200, &metadata));
        let provider = Provider::connect(Config { issuer_check: check, ..fake.config() }).await.unwrap();
        assert_eq!(provider.accepts_issuer(iss).is_ok(), accepted, "{promised} {check:?} {iss:?}");
    }
}
