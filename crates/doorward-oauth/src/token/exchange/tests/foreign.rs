//! Tokens of issuers elsewhere, which a rule names.

use std::sync::Arc;

use doorward_authn::gateway::{
    Authenticator, JwtAuthorizer, JwtConfig, Kind, Sources,
    jwt::{ClaimNames, Revocation},
};
use doorward_jose::Algorithm;
use doorward_oidc::{HttpConfig, IssuerKeys, IssuerKeysConfig, Trust};
use doorward_testkit::{Endpoint, Fault, KeyName, Provider, Signature, Token};
use url::Url;

use super::*;
use crate::config::TrustedIssuer;

/// `partner` issues tokens for `api`; orders may exchange them for inventory in its own name, reports in nobody's.
struct Stage {
    partner: Provider,
    test: TestServer,
}

impl Stage {
    async fn new() -> Self {
        let partner = Provider::start();
        let mut config = config();
        let rule = |client: &str, mode| ExchangeRule {
            client: client.to_owned(),
            subject_issuers: vec![SubjectIssuer::Trusted("partner".to_owned())],
            audiences: vec!["inventory".to_owned()],
            scopes: Scopes::parse("openid orders:read").unwrap(),
            mode,
        };
        for name in ["orders", "reports", "bills"] {
            config.clients.push(Client {
                secrets: vec![ClientSecret::of(&format!("{name}-secret"))],
                grant_types: vec![GrantType::ClientCredentials],
                ..Client::new(name)
            });
        }
        let rules = [rule("orders", ExchangeMode::Delegation), rule("reports", ExchangeMode::Impersonation)];
        config.exchange.rules.extend(rules);
        let own = ExchangeRule {
            subject_issuers: vec![SubjectIssuer::Own],
            ..rule("bills", ExchangeMode::Delegation)
        };
        config.exchange.rules.push(own);
        // The second is trusted for routes, and no rule names it.
        config.exchange.issuers = ["partner", "other"].map(|name| trusted(name, &partner)).into();
        Self { partner, test: TestServer::over(Records::memory(), config, Rules::default()).await }
    }

    /// A token of the partner's, changed; null removes a claim.
    fn token(&self, how: &Token, changes: Value) -> String {
        let mut claims = json!({
            "iss": self.partner.issuer(), "aud": "api", "sub": self.test.alice.uid, "iat": NOW.seconds,
            "exp": NOW.seconds + 120, "scope": "orders:read orders:write", "preferred_username": "alice",
            "email": "alice@example.com", "groups": ["readers", "system:masters"], "roles": ["admin"],
            "sid": "session-1",
        });
        let Value::Object(changes) = changes else { panic!() };
        let all = claims.as_object_mut().unwrap();
        all.extend(changes);
        all.retain(|_, value| !value.is_null());
        how.sign(&claims)
    }

    async fn outcome(&self, client: &str, token: &str) -> (u16, String) {
        outcome(&self.test, exchange(client, (token, ACCESS), "&audience=inventory")).await
    }

    async fn result(&self, client: &str, changes: Value) -> Claims {
        let token = self.token(&Token::default(), changes);
        let token = exchanged(&self.test, exchange(client, (&token, JWT), "&audience=inventory")).await;
        claims(&self.test, &token).await.1
    }
}

fn trusted(name: &str, issuer: &Provider) -> TrustedIssuer {
    let issuer = issuer.issuer();
    let keys = IssuerKeysConfig {
        jwks_uri: Some(Url::parse(&format!("{issuer}/keys")).unwrap()),
        issuer: issuer.clone(),
        max_age: IssuerKeys::LONGEST_AGE,
        http: HttpConfig { trust: Trust::Files(Vec::new()), ..HttpConfig::default() },
    };
    let config = JwtConfig {
        issuer,
        audiences: vec!["api".to_owned()],
        algorithms: vec![Algorithm::Rs256],
        leeway: Duration::from_secs(30),
        types: Vec::new(),
        required_claims: Vec::new(),
        names: ClaimNames { user: "preferred_username".to_owned(), ..ClaimNames::default() },
        keys: IssuerKeys::new(keys).unwrap(),
        revocation: Revocation::None,
    };
    let kind = Kind::Jwt(Box::new(JwtAuthorizer::new(config).unwrap()), Sources::default());
    let authenticator = Arc::new(Authenticator::new(name.into(), kind));
    TrustedIssuer { name: name.to_owned(), authenticator }
}

#[tokio::test]
async fn b22_a_subject_from_elsewhere_is_nobody_here_whatever_its_issuer_says() {
    let stage = Stage::new().await;
    let issuer = stage.partner.issuer();
    let token = stage.token(&Token::default(), json!({}));
    let token = exchanged(&stage.test, exchange("orders", (&token, ACCESS), "&audience=inventory")).await;
    let (_, claims) = claims(&stage.test, &token).await;
    let sub = format!("{issuer}|{}", stage.test.alice.uid);
    let expected = json!({
        "iss": GATEWAY, "sub": sub, "aud": "inventory", "scope": "orders:read", "client_id": "orders",
        "act": { "sub": "client:orders" }, "iat": NOW.seconds, "exp": NOW.seconds + 120, "jti": claims["jti"],
        "origin": claims["origin"],
    });
    assert_eq!(Value::Object(claims), expected, "neither groups nor names nor a session");
    let derived = stage.test.accounts.validate_derived(&token, GATEWAY, NOW).await.unwrap();
    assert!(derived.user.is_none() && derived.subject.is_none(), "{derived:?}");
    assert_eq!(derived.user_info.name, sub);
    assert!(derived.user_info.groups.iter().all(|group| group == "system:authenticated"), "{derived:?}");
    let more = format!("&audience=inventory&requested_token_type={ID}");
    let subject = stage.token(&Token::default(), json!({"scope": "openid"}));
    let asked = exchange("orders", (&subject, ACCESS), &more);
    assert_eq!(outcome(&stage.test, asked).await, is(400, "invalid_request"), "there is no user to describe");
}

#[tokio::test]
async fn b23_without_a_rule_for_its_issuer_a_token_from_elsewhere_is_not_exchanged() {
    let stage = Stage::new().await;
    let token = stage.token(&Token::default(), json!({}));
    assert_eq!(stage.outcome("orders", &token).await, is(200, ""));
    // Of its own issuers it may exchange tokens for the same audience.
    assert_eq!(stage.outcome("bills", &token).await, is(400, "invalid_request"));
    assert_eq!(stage.outcome("web", &token).await, is(400, "unauthorized_client"));
    // What may be brought of others opens nothing of ours.
    let tokens = stage.test.tokens("openid orders:read").await;
    assert_eq!(stage.outcome("orders", text(&tokens, "access_token")).await, is(400, "invalid_request"));
    for (more, error) in [
        ("&audience=bills", "invalid_target"),
        ("&audience=inventory&scope=orders:write", "invalid_scope"),
        ("&audience=inventory&scope=openid", "invalid_scope"),
    ] {
        let asked = exchange("orders", (&token, ACCESS), more);
        assert_eq!(outcome(&stage.test, asked).await, is(400, error), "{more}");
    }
}

#[tokio::test]
async fn b23_a_token_from_elsewhere_is_looked_at_as_at_the_door() {
    let stage = Stage::new().await;
    let rsa = Token::default();
    let now = NOW.seconds;
    for (how, changes, why) in [
        (&rsa, json!({"aud": "theirs"}), "for others"),
        (&rsa, json!({"aud": null}), "for nobody"),
        (&rsa, json!({"aud": "orders"}), "for the client, which is not its door"),
        (&rsa, json!({"iss": "https://elsewhere.example.com"}), "of another issuer"),
        (&rsa, json!({"iss": ISSUER}), "of us, says the other one's key"),
        (&rsa, json!({"iss": GATEWAY}), "of our gateway, says the other one's key"),
        (&rsa, json!({"exp": now - 60}), "expired"),
        (&rsa, json!({"exp": null}), "without an end"),
        (&rsa, json!({"nbf": now + 90}), "not yet valid"),
        (&rsa, json!({"sub": null}), "about nobody"),
        (&Token { key: KeyName::P256, ..Token::default() }, json!({}), "of an algorithm that is not allowed"),
        (&Token { key: KeyName::OtherRsa, ..Token::default() }, json!({}), "of an unknown key"),
        (&Token { signature: Signature::HmacWithPublicKey, ..Token::default() }, json!({}), "confused"),
        (&Token { signature: Signature::Unsigned("none"), ..Token::default() }, json!({}), "unsigned"),
        (&rsa, json!({"act": "orders"}), "with an actor that cannot be read"),
        (&rsa, json!({"act": {"sub": "client:web", "iss": ISSUER}}), "with an actor of ours"),
        (&rsa, json!({"act": {"sub": "a", "act": {"sub": "b", "iss": GATEWAY}}}), "with one before"),
        (&rsa, json!({"may_act": {"sub": "client:orders"}}), "for an actor elsewhere"),
        (&rsa, json!({"may_act": {"sub": "client:web", "iss": ISSUER}}), "for another actor"),
    ] {
        let token = stage.token(how, changes);
        assert_eq!(stage.outcome("orders", &token).await, is(400, "invalid_request"), "{why}");
    }
}

#[tokio::test]
async fn b24_whoever_acted_elsewhere_is_named_with_that_issuer() {
    let stage = Stage::new().await;
    let issuer = stage.partner.issuer();
    let acted =
        json!({"act": {"sub": "client:web", "act": {"sub": "robot", "iss": "https://third.example.com"}}});
    let before = json!({"sub": "client:web", "iss": issuer, "act": {"sub": "robot", "iss": "https://third.example.com"}});
    assert_eq!(stage.result("reports", acted.clone()).await["act"], before);
    let mut expected = json!({"sub": "client:orders"});
    expected["act"] = before;
    assert_eq!(stage.result("orders", acted).await["act"], expected);
    let allowed = json!({"may_act": {"sub": "client:orders", "iss": ISSUER}});
    assert_eq!(stage.result("orders", allowed.clone()).await["may_act"], allowed["may_act"]);
    assert!(!stage.result("reports", json!({})).await.contains_key("act"));
}

#[tokio::test]
async fn without_the_keys_of_an_issuer_its_tokens_are_not_judged() {
    let stage = Stage::new().await;
    stage.partner.fail(Endpoint::Keys, Fault::Status(500, ""));
    let token = stage.token(&Token::default(), json!({}));
    assert_eq!(stage.outcome("orders", &token).await.0, 503);
    stage.partner.mend(Endpoint::Keys);
}
