//! Kinds of provider with ID tokens, and few habits of their own: ADFS, Cidaas, login.gov. And what the tests of the others
//! share.

use std::sync::Arc;

use doorward_core::Identity;
use doorward_jose::{Algorithm, ClientKey, SigningKey};
use serde_json::{Value, json};

use super::{ApiFault, VendorError};
use crate::{
    AssertionAudience, ClientAuthentication, Config, Discovery, Grant, IdTokenError, IdentifyError,
    KeySource, LoginStart, NonceCheck, ProviderKind, RedeemError, RefreshError, Refreshed,
    login::AccountChoice,
    provider::Provider,
    testing::{Fake, Reply, Signer, callback, now},
};

/// A provider of a kind that answers with the tokens of a login by `claims`, which change [`Fake::claims`].
pub(super) struct Stage {
    pub(super) fake: Fake,
    pub(super) signer: Signer,
}

impl Stage {
    pub(super) async fn new() -> Self {
        Self { fake: Fake::start().await, signer: Signer::new("one") }
    }

    /// What the token endpoint answers from now on.
    pub(super) fn gives(&self, claims: Value) {
        let id = self.signer.sign(&self.fake.claims(claims));
        let answer = json!({"access_token": "at", "refresh_token": "rt", "expires_in": 3600, "id_token": id});
        self.fake.behaves(&self.signer, &answer);
    }

    /// As [`Stage::gives`], of a refresh without an ID token.
    pub(super) fn gives_no_id_token(&self) {
        self.fake.says("/token", Reply::json(200, &json!({"access_token": "at", "expires_in": 3600})));
    }

    pub(super) async fn provider(&self, kind: ProviderKind) -> Provider {
        Provider::connect(Config { kind, ..self.fake.config() }).await.unwrap()
    }

    /// Logs in and returns what came of it. Userinfo says nothing but the subject.
    pub(super) async fn login(&self, kind: ProviderKind) -> Result<Grant, RedeemError> {
        redeem(&self.provider(kind).await).await
    }
}

pub(super) async fn redeem(provider: &Provider) -> Result<Grant, RedeemError> {
    provider.redeem(callback("c0de"), "http://app/cb", now()).await
}

pub(super) async fn refresh(provider: &Provider, current: &Identity) -> Result<Refreshed, RefreshError> {
    provider.refresh(&"rt".into(), current, now()).await
}

/// The parameters of an authorization request.
pub(super) async fn asked(provider: &Provider) -> Vec<(String, String)> {
    let start = LoginStart {
        redirect_uri: "http://app/cb",
        state: "state",
        nonce_hash: "nonce-hash",
        account: AccountChoice::Any,
        wishes: &[],
        demands: &[],
    };
    let url = provider.begin(&start, now()).await.unwrap().url;
    url::Url::parse(&url).unwrap().query_pairs().into_owned().collect()
}

pub(super) async fn parameter(provider: &Provider, name: &str) -> Option<String> {
    asked(provider).await.into_iter().find_map(|(found, value)| (found == name).then_some(value))
}

#[track_caller]
pub(super) fn assert_groups(grant: &Grant, groups: &[&str]) {
    assert_eq!(grant.identity.groups, groups);
}

#[tokio::test]
async fn adfs_takes_the_principal_name_where_there_is_no_address() {
    for (claims, email) in [
        (json!({"upn": "a@corp.example"}), Some("a@example.com")),
        (json!({"email": null, "upn": "a@corp.example"}), Some("a@corp.example")),
        (json!({"email": "", "upn": "a@corp.example"}), Some("a@corp.example")),
        (json!({"email": null, "upn": ""}), None),
        (json!({"email": null, "upn": {"a": 1}}), None),
        (json!({"email": null}), None),
        (json!({"email_verified": false, "upn": "a@corp.example"}), None),
    ] {
        let stage = Stage::new().await;
        stage.gives(claims.clone());
        let outcome = stage.login(ProviderKind::Adfs).await.map(|grant| grant.identity.email);
        assert_eq!(outcome.ok().as_deref(), email, "{claims}");
    }
}

#[tokio::test]
async fn adfs_takes_the_principal_name_at_a_refresh_too() {
    let stage = Stage::new().await;
    stage.gives(json!({"email": null, "upn": "a@corp.example"}));
    let provider = stage.provider(ProviderKind::Adfs).await;
    let grant = redeem(&provider).await.unwrap();
    let refreshed = refresh(&provider, &grant.identity).await.unwrap();
    assert_eq!(refreshed.identity.unwrap().email, "a@corp.example");
}

#[tokio::test]
async fn without_a_scope_none_is_sent() {
    let stage = Stage::new().await;
    stage.gives(json!({}));
    let config = Config { kind: ProviderKind::Adfs, scope: String::new(), ..stage.fake.config() };
    let provider = Provider::connect(config).await.unwrap();
    assert_eq!(parameter(&provider, "scope").await, None);
}

#[tokio::test]
async fn cidaas_tells_groups_and_roles_in_the_profile() {
    for (profile, groups) in [
        (json!({"sub": "u-1"}), Ok(vec![])),
        (
            json!({"groups": [{"groupId": "g1", "roles": ["r1", "r2"]}, {"groupId": "g2"}], "roles": ["ADMIN"]}),
            Ok(vec!["g1:r1", "g1:r2", "cidaas:ADMIN"]),
        ),
        (json!({"groups": [{"groupId": "g", "roles": ["r", "r"]}]}), Ok(vec!["g:r"])),
        (json!({"groups": "g"}), Err("the groups are not a list")),
        (json!({"groups": ["g"]}), Err("a group has no groupId")),
        (json!({"groups": [{"groupId": "g", "roles": "r"}]}), Err("roles are not a list")),
        (json!({"groups": [{"groupId": "g", "roles": [{"a": 1}]}]}), Err("a role is not a text")),
        (json!({"roles": {"a": "b"}}), Err("roles are not a list")),
    ] {
        let stage = Stage::new().await;
        stage.gives(json!({"groups": [{"groupId": "from the ID token", "roles": ["x"]}]}));
        stage.fake.says("/userinfo", Reply::json(200, &profile));
        match (stage.login(ProviderKind::Cidaas).await, groups) {
            (Ok(grant), Ok(groups)) => assert_groups(&grant, &groups),
            (Err(error), Err(reason)) => assert!(error.to_string().contains(reason), "{error}"),
            (outcome, _) => panic!("{profile}: {outcome:?}"),
        }
    }
}

#[tokio::test]
async fn cidaas_is_asked_for_groups_again_at_every_refresh_and_a_fault_keeps_them() {
    let stage = Stage::new().await;
    let profile = |role: &str| Reply::json(200, &json!({"groups": [{"groupId": "g", "roles": [role]}]}));
    stage.gives(json!({}));
    stage.fake.says("/userinfo", profile("old"));
    let provider = stage.provider(ProviderKind::Cidaas).await;
    let current = redeem(&provider).await.unwrap().identity;
    stage.fake.says("/userinfo", profile("new"));
    let groups = |refreshed: Refreshed| refreshed.identity.map(|identity| identity.groups);
    let new = Some(vec!["g:new".to_owned()]);
    assert_eq!(groups(refresh(&provider, &current).await.unwrap()), new);
    stage.gives_no_id_token();
    assert_eq!(groups(refresh(&provider, &current).await.unwrap()), new, "without an ID token");
    for fault in [Reply::status(500), Reply::status(429), Reply::json(200, &json!({"groups": 1}))] {
        stage.fake.says("/userinfo", fault);
        let refreshed = refresh(&provider, &current).await.unwrap();
        assert_eq!(refreshed.identity, None, "as it was");
    }
}

/// A new private key of RSA.
pub(super) fn pem() -> String {
    let key = SigningKey::generate(Algorithm::Rs256).unwrap().to_pkcs8().unwrap();
    let text = base64_simd::STANDARD.encode_to_string(key.expose());
    format!("-----BEGIN PRIVATE KEY-----\n{text}\n-----END PRIVATE KEY-----\n")
}

/// login.gov, with a key of ours.
async fn login_gov(stage: &Stage) -> Provider {
    let at = |path: &str| Some(format!("{}{path}", stage.fake.base));
    let key = Arc::new(ClientKey::read(pem().as_bytes(), Some(Algorithm::Rs256), None).unwrap());
    let config = Config {
        kind: ProviderKind::LoginGov,
        discovery: Discovery::Skip,
        login_url: at("/authorize"),
        redeem_url: at("/token"),
        profile_url: at("/userinfo"),
        keys: KeySource::Url(format!("{}/jwks", stage.fake.base)),
        enabled_algorithms: vec![Algorithm::EdDsa],
        nonce: NonceCheck::Required,
        client_authentication: ClientAuthentication::PrivateKeyJwt {
            key,
            audience: AssertionAudience::TokenEndpoint,
        },
        ..stage.fake.config()
    };
    Provider::connect(config).await.unwrap()
}

#[tokio::test]
async fn login_gov_proves_the_client_by_a_key_and_tells_verified_addresses_in_the_profile() {
    for (profile, email) in [
        (
            json!({"sub": "u-1", "email": "a@agency.example", "email_verified": true}),
            Some("a@agency.example"),
        ),
        (json!({"sub": "u-1", "email": "a@agency.example", "email_verified": false}), None),
        (json!({"sub": "u-1", "email": "a@agency.example"}), None),
        (json!({"sub": "u-2", "email": "a@agency.example", "email_verified": true}), None),
        (json!({"sub": "u-1", "email_verified": true}), None),
        (json!([]), None),
    ] {
        let stage = Stage::new().await;
        stage.gives(json!({"email": null, "email_verified": null, "groups": null}));
        stage.fake.says("/userinfo", Reply::json(200, &profile));
        let provider = login_gov(&stage).await;
        let outcome = redeem(&provider).await.map(|grant| grant.identity.email);
        assert_eq!(outcome.ok().as_deref(), email, "{profile}");
        let form = stage.fake.seen("/token").remove(0).form;
        let kind = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";
        assert_eq!(form.get("client_assertion_type").map(String::as_str), Some(kind));
        assert!(form.get("client_assertion").is_some_and(|assertion| assertion.split('.').count() == 3));
        assert_eq!(form.get("client_secret"), None);
    }
}

#[tokio::test]
async fn login_gov_answers_the_attempt_it_was_asked_by_and_signs_with_the_key_it_names() {
    let stage = Stage::new().await;
    stage.gives(json!({"nonce": "of-another-attempt"}));
    let provider = login_gov(&stage).await;
    assert_eq!(parameter(&provider, "nonce").await.as_deref(), Some("nonce-hash"));
    assert!(matches!(redeem(&provider).await, Err(RedeemError::IdToken(IdTokenError::Claims(_)))));
    // The first key of the set is another's: the token names its own.
    let other = Signer::new("other");
    stage.gives(json!({}));
    stage.fake.says("/jwks", Reply::json(200, &json!({"keys": [other.jwk(), stage.signer.jwk()]})));
    let provider = login_gov(&stage).await;
    assert!(redeem(&provider).await.is_ok());
}

#[test]
fn a_fault_passes_and_a_refusal_does_not() {
    let fault = |fault| VendorError::Api { what: "x", fault };
    for (error, passes) in [
        (fault(ApiFault::Status(500)), true),
        (fault(ApiFault::Status(403)), false),
        (fault(ApiFault::RateLimited), true),
        (fault(ApiFault::Malformed(String::new())), true),
        (fault(ApiFault::Refused(String::new())), false),
        (VendorError::Restricted(String::new()), false),
        (IdentifyError::EmailMissing.into(), false),
    ] {
        assert_eq!(error.is_passing(), passes, "{error:?}");
    }
}
