use doorward_accounts::{
    LoginFacts, NewToken, NewUser, Origin, Rules, Scopes, SealKey, Source, Subject, TokenRules,
};
use doorward_oidc::{HttpConfig, IssuerKeysConfig, Trust};
use doorward_store::Records;
use doorward_testkit::{Endpoint, Fault, KeyName, Provider, Signature, Token};
use serde_json::{Map, json};
use url::Url;

use super::*;
use crate::{
    gateway::{Authenticator, CookieTokens, Finding, Kind, Presented, Sources},
    x509::Shown,
};
use aws_lc_rs::digest::{SHA256, digest};
use http::{HeaderMap, HeaderValue, header::AUTHORIZATION};

const NOW: i64 = 1_800_000_000;

fn after(seconds: i64) -> Timestamp {
    Timestamp::from_seconds(NOW + seconds)
}

/// An issuer, and us, who believe it.
struct Stage {
    issuer: Provider,
    jwt: Authenticator,
}

impl Stage {
    fn new() -> Self {
        Self::with(|_| {})
    }

    fn with(change: impl FnOnce(&mut JwtConfig)) -> Self {
        let issuer = Provider::start();
        let keys = IssuerKeysConfig {
            issuer: issuer.issuer(),
            jwks_uri: Some(Url::parse(&format!("{}/keys", issuer.issuer())).unwrap()),
            max_age: IssuerKeys::LONGEST_AGE,
            http: HttpConfig { trust: Trust::Files(Vec::new()), ..HttpConfig::default() },
        };
        let mut config = JwtConfig {
            issuer: issuer.issuer(),
            audiences: vec!["api".into(), "other-api".into()],
            algorithms: vec![Algorithm::Rs256, Algorithm::Es256, Algorithm::EdDsa],
            leeway: JwtAuthorizer::USUAL_LEEWAY,
            types: Vec::new(),
            required_claims: Vec::new(),
            names: ClaimNames::default(),
            keys: IssuerKeys::new(keys).unwrap(),
            revocation: Revocation::None,
        };
        change(&mut config);
        let jwt = Box::new(JwtAuthorizer::new(config).unwrap());
        Self { issuer, jwt: Authenticator::new("issuer".into(), Kind::Jwt(jwt, Sources::default())) }
    }

    /// The claims of a good token, with changes; null removes one.
    fn claims(&self, changes: Value) -> Value {
        let mut claims = json!({
            "iss": self.issuer.issuer(), "aud": "api", "sub": "alice", "iat": NOW, "exp": NOW + 600,
            "scope": "orders:read", "jti": "t-1",
        });
        let Value::Object(changes) = changes else { panic!() };
        let all = claims.as_object_mut().unwrap();
        all.extend(changes);
        all.retain(|_, value| !value.is_null());
        claims
    }

    fn token(&self, changes: Value) -> String {
        Token::default().sign(&self.claims(changes))
    }

    async fn ask(&self, token: &str, now: Timestamp) -> Finding {
        self.jwt.attempt(&presented(&bearer(token), now)).await
    }

    async fn found(&self, token: &str, now: Timestamp) -> String {
        name_of(self.ask(token, now).await)
    }

    fn fetches(&self) -> usize {
        self.issuer.count(Endpoint::Keys)
    }
}

fn bearer(token: &str) -> HeaderMap {
    [(AUTHORIZATION, HeaderValue::try_from(format!("Bearer {token}")).unwrap())].into_iter().collect()
}

/// The name of who was found, or the description.
fn name_of(finding: Finding) -> String {
    match finding {
        Finding::User(user) => user.user.name.clone(),
        Finding::Refused(refusal) => format!("{:?}", refusal.description),
        Finding::Unavailable(_) => "unavailable".to_owned(),
        Finding::Nothing => "nothing".to_owned(),
    }
}

fn presented(headers: &HeaderMap, now: Timestamp) -> Presented<'_> {
    Presented {
        headers,
        query: None,
        certificates: None,
        of_connection: None,
        cookies: CookieTokens::Count,
        now,
    }
}

fn header(members: Value) -> Map<String, Value> {
    let Value::Object(members) = members else { panic!() };
    members
}

#[tokio::test]
async fn b01_a_good_token_says_who_and_what() {
    let stage = Stage::new();
    for _ in 0..2 {
        let Finding::User(user) = stage.ask(&stage.token(json!({})), after(0)).await else { panic!() };
        assert_eq!((user.user.name.as_str(), &*user.authenticator), ("alice", "issuer"));
        assert_eq!((user.scopes.join(" "), user.expires), ("orders:read".to_owned(), Some(after(600))));
        assert_eq!(user.user.groups, ["system:authenticated"]);
        assert!(user.credential.starts_with("sha256:") && user.credential.len() == 71);
    }
    for key in [KeyName::P256, KeyName::Ed25519] {
        let token = Token { key, ..Token::default() }.sign(&stage.claims(json!({})));
        assert_eq!(stage.found(&token, after(0)).await, "alice");
    }
    assert_eq!(stage.fetches(), 1);
}

#[tokio::test]
async fn b02_without_a_token_there_is_nothing_to_say() {
    let stage = Stage::new();
    assert_eq!(stage.jwt.attempt(&presented(&HeaderMap::new(), after(0))).await, Finding::Nothing);
    assert_eq!(stage.fetches(), 0);
}

#[tokio::test]
async fn b03_issuer_and_audience_are_ours() {
    let stage = Stage::new();
    for (changes, expected) in [
        (json!({"iss": "https://other.example"}), "Issuer"),
        (json!({"iss": format!("{}/", stage.issuer.issuer())}), "Issuer"),
        (json!({"iss": [stage.issuer.issuer()]}), "Issuer"),
        (json!({"iss": null}), "Issuer"),
        (json!({"aud": "theirs"}), "Audience"),
        (json!({"aud": ["theirs", "other-api"]}), "alice"),
        (json!({"aud": ["theirs"]}), "Audience"),
        (json!({"aud": []}), "Audience"),
        (json!({"aud": [["api"]]}), "Audience"),
        (json!({"aud": {"api": 1}}), "Audience"),
        (json!({"aud": "api theirs"}), "Audience"),
        (json!({"aud": "API"}), "Audience"),
        (json!({"aud": ""}), "Audience"),
        (json!({"aud": null, "client_id": "api"}), "alice"),
        (json!({"aud": null, "client_id": "theirs"}), "Audience"),
        (json!({"aud": "theirs", "client_id": "api"}), "Audience"),
        (json!({"aud": [], "client_id": "api"}), "Audience"),
        (json!({"aud": null}), "Audience"),
        (json!({"sub": null}), "Untold"),
        (json!({"sub": "system:admin"}), "Untold"),
    ] {
        assert_eq!(stage.found(&stage.token(changes.clone()), after(0)).await, expected, "{changes}");
    }
}

#[tokio::test]
async fn b04_a_token_counts_in_its_time_give_or_take_the_leeway() {
    let stage = Stage::new();
    for (changes, expected) in [
        (json!({"exp": NOW - 30}), "Expired"),
        (json!({"exp": NOW - 29}), "alice"),
        (json!({"exp": null}), "Malformed"),
        (json!({"exp": (NOW + 600).to_string()}), "Malformed"),
        (json!({"exp": 1e300}), "Malformed"),
        (json!({"exp": -1}), "Malformed"),
        (json!({"exp": 1_800_000_100.5}), "alice"),
        (json!({"nbf": NOW + 31}), "NotYetValid"),
        (json!({"nbf": NOW + 30}), "alice"),
        (json!({"iat": NOW + 31}), "NotYetValid"),
        (json!({"iat": NOW + 30}), "alice"),
        (json!({"iat": null}), "alice"),
        (json!({"nbf": "soon"}), "Malformed"),
    ] {
        assert_eq!(stage.found(&stage.token(changes.clone()), after(0)).await, expected, "{changes}");
    }
}

#[tokio::test]
async fn b04_what_is_kept_ends_with_the_token() {
    let stage = Stage::new();
    let token = stage.token(json!({"exp": NOW + 10, "nbf": NOW}));
    for (seconds, expected) in [
        (0, "alice"),
        (9, "alice"),
        (10, "alice"),
        (39, "alice"),
        (40, "Expired"),
        (5, "alice"),
        (-31, "NotYetValid"),
    ] {
        assert_eq!(stage.found(&token, after(seconds)).await, expected, "{seconds}");
    }
}

#[tokio::test]
async fn b05_forgeries_are_refused() {
    let stage = Stage::new();
    let claims = stage.claims(json!({}));
    let forged = |signature: Signature| Token { signature, ..Token::default() };
    let with = |members: Value| Token { header: header(members), ..Token::default() };
    let by = |key: KeyName, token: Token| Token { key, ..token };
    for (token, expected) in [
        (forged(Signature::Unsigned("none")), "Malformed"),
        (forged(Signature::Unsigned("None")), "Malformed"),
        (forged(Signature::Unsigned("nOnE")), "Malformed"),
        (forged(Signature::HmacWithPublicKey), "Malformed"),
        (forged(Signature::EmbeddedKey), "BadSignature"),
        (forged(Signature::Stranger), "BadSignature"),
        (forged(Signature::Corrupted), "BadSignature"),
        (forged(Signature::Missing), "BadSignature"),
        (forged(Signature::Zero), "BadSignature"),
        (by(KeyName::P256, forged(Signature::Zero)), "BadSignature"),
        (by(KeyName::Ed25519, forged(Signature::Zero)), "BadSignature"),
        (by(KeyName::P256, with(json!({"kid": "rsa-1"}))), "BadSignature"),
        (by(KeyName::Ed25519, with(json!({"kid": "p256-1"}))), "BadSignature"),
        (with(json!({"alg": "RS512"})), "Malformed"),
        (with(json!({"alg": "PS256"})), "Malformed"),
        (with(json!({"alg": null})), "Malformed"),
        (with(json!({"alg": ["RS256"]})), "Malformed"),
        (with(json!({"crit": ["exp"], "exp": 1})), "Malformed"),
        (with(json!({"crit": []})), "Malformed"),
        (with(json!({"kid": ["rsa-1"]})), "Malformed"),
        (with(json!({"typ": ["JWT"]})), "Malformed"),
        (with(json!({"b64": false})), "Malformed"),
        (with(json!({"b64": true})), "alice"),
        (with(json!({"jku": "http://127.0.0.1:1/", "x5u": "http://127.0.0.1:1/", "x5c": ["AA"]})), "alice"),
        (
            Token { payload: Some(|text| text.replacen('{', "{\"sub\":\"root\",", 1)), ..Token::default() },
            "Malformed",
        ),
        (Token { payload: Some(|_| "[]".to_owned()), ..Token::default() }, "Malformed"),
    ] {
        assert_eq!(stage.found(&token.sign(&claims), after(0)).await, expected, "{token:?}");
    }
}

#[tokio::test]
async fn b05_a_token_that_is_bound_to_a_key_counts_together_with_it_only() {
    let stage = Stage::new();
    let shown = |leaf: &[u8]| Shown::new([leaf.to_vec()].into());
    let hash = digest(&SHA256, b"mine");
    let hash = base64_simd::URL_SAFE_NO_PAD.encode_to_string(hash);
    let bound = stage.token(json!({"cnf": {"x5t#S256": hash}}));
    let by_dpop = stage.token(json!({"cnf": {"jkt": "0ZcOCORZNYy-DWpqq30jZyJGHTN0d2HglBV3uiguA4I"}}));
    // That it counted with its certificate does not make it count without.
    for (token, leaf, expected) in [
        (&bound, Some("mine"), "alice"),
        (&bound, Some("mine"), "alice"),
        (&bound, None, "Untold"),
        (&bound, Some("other"), "Untold"),
        (&bound, Some("mine"), "alice"),
        (&by_dpop, Some("mine"), "Untold"),
        (&by_dpop, None, "Untold"),
    ] {
        let certificates = leaf.and_then(|leaf| shown(leaf.as_bytes()));
        let headers = bearer(token);
        let presented = Presented { certificates: certificates.as_deref(), ..presented(&headers, after(0)) };
        assert_eq!(name_of(stage.jwt.attempt(&presented).await), expected, "{leaf:?}");
    }
    let refused = stage.jwt.attempt_token(&bound, after(0)).await;
    assert_eq!(name_of(refused), "Untold", "nobody shows a certificate with a token in a form");
}

#[tokio::test]
async fn b05_only_the_compact_form_of_a_signature_is_read() {
    let stage = Stage::new();
    let good = stage.token(json!({}));
    let parts: Vec<&str> = good.split('.').collect();
    let [head, payload, signature] = parts[..] else { panic!() };
    let padded = format!("{head}=.{payload}.{signature}");
    let long = Token::default().sign(&stage.claims(json!({"filler": "x".repeat(8192)})));
    for token in [
        "a",
        "a.b",
        "a.b.c",
        "..",
        &format!("{head}.{payload}"),
        &format!("{head}.{payload}.{signature}.x.y"),
        &format!(".{payload}.{signature}"),
        &format!("{good}."),
        &padded,
        &long,
    ] {
        assert_eq!(stage.found(token, after(0)).await, "Malformed", "{token:.40}");
    }
    for token in [format!("{head}.{payload}."), format!("{good}="), format!("{good}A")] {
        assert_eq!(stage.found(&token, after(0)).await, "BadSignature");
    }
    let refusal = stage.ask(&good.replace(signature, "AAAA"), after(0)).await;
    let Finding::Refused(refusal) = refusal else { panic!() };
    assert!(!refusal.to_string().contains(payload) && refusal.credential.len() == 19, "{refusal}");
}

#[tokio::test]
async fn b06_a_token_names_a_key_and_an_unknown_one_is_looked_for_once() {
    let stage = Stage::new();
    let named = |kid: Value| {
        Token { header: header(json!({ "kid": kid })), ..Token::default() }.sign(&stage.claims(json!({})))
    };
    assert_eq!(stage.found(&named(json!(null)), after(0)).await, "Malformed");
    assert_eq!(stage.fetches(), 0, "no key is needed to see that none is named");
    assert_eq!(stage.found(&named(json!("rsa-1")), after(0)).await, "alice");
    for (seconds, kid, fetches) in [
        (1, "made-up", 2),
        (2, "../../etc/passwd", 2),
        (3, "' OR 1=1 --", 2),
        (30, "made-up", 2),
        (31, "made-up", 3),
    ] {
        assert_eq!(stage.found(&named(json!(kid)), after(seconds)).await, "UnknownKey", "{kid}");
        assert_eq!(stage.fetches(), fetches, "{seconds}");
    }
}

#[tokio::test]
async fn b07_new_keys_are_found_and_what_old_ones_signed_is_forgotten() {
    let stage = Stage::new();
    let old = stage.token(json!({}));
    assert_eq!(stage.found(&old, after(0)).await, "alice");
    stage.issuer.set(|knobs| knobs.published = vec![KeyName::OtherRsa]);
    let new = Token { key: KeyName::OtherRsa, ..Token::default() }.sign(&stage.claims(json!({"sub": "bob"})));
    let stage = Arc::new(stage);
    let tasks: Vec<_> = (0..100)
        .map(|_| {
            let (stage, new) = (Arc::clone(&stage), new.clone());
            tokio::spawn(async move { stage.found(&new, after(1)).await })
        })
        .collect();
    for task in tasks {
        assert_eq!(task.await.unwrap(), "bob");
    }
    assert_eq!(stage.fetches(), 2);
    assert_eq!(
        stage.found(&old, after(1)).await,
        "UnknownKey",
        "the key that signed it is published no more"
    );
}

#[tokio::test]
async fn b08_without_keys_nobody_can_tell_and_kept_ones_serve_on() {
    let stage = Stage::new();
    stage.issuer.fail(Endpoint::Keys, Fault::Status(500, "down"));
    assert_eq!(stage.found(&stage.token(json!({})), after(0)).await, "unavailable");
    stage.issuer.mend(Endpoint::Keys);
    assert_eq!(stage.found(&stage.token(json!({})), after(5)).await, "alice");
    stage.issuer.fail(Endpoint::Keys, Fault::Close);
    let lasting = stage.token(json!({"exp": NOW + 100_000}));
    for seconds in [60, 7300, 7310] {
        assert_eq!(stage.found(&lasting, after(seconds)).await, "alice", "{seconds}");
    }
    assert_eq!(stage.found(&lasting, after(14_500)).await, "unavailable");
    assert_eq!(stage.found("a.b.c", after(14_600)).await, "Malformed", "for that no key is needed");
}

#[tokio::test]
async fn b11_the_type_is_one_of_those_that_count() {
    let typed = |stage: &Stage, typ: Value| {
        Token { header: header(json!({ "typ": typ })), ..Token::default() }.sign(&stage.claims(json!({})))
    };
    let strict = Stage::with(|config| config.types = vec!["application/AT+JWT".into()]);
    for (typ, expected) in [
        (json!("at+jwt"), "alice"),
        (json!("application/at+jwt"), "alice"),
        (json!("JWT"), "Untold"),
        (json!(null), "Untold"),
        (json!(["at+jwt"]), "Malformed"),
    ] {
        assert_eq!(strict.found(&typed(&strict, typ.clone()), after(0)).await, expected, "{typ}");
    }
    let any = Stage::new();
    for (typ, expected) in [
        (json!("JWT"), "alice"),
        (json!("at+jwt"), "alice"),
        (json!(null), "alice"),
        (json!("logout+jwt"), "Untold"),
        (json!("token-introspection+jwt"), "Untold"),
        (json!("dpop+jwt"), "Untold"),
    ] {
        assert_eq!(any.found(&typed(&any, typ.clone()), after(0)).await, expected, "{typ}");
    }
}

#[tokio::test]
async fn b37_what_is_signed_for_applications_is_no_credential_at_the_front_door() {
    let stage = Stage::new();
    for typ in ["gw-id+jwt", "GW-ID+JWT", "application/gw-id+jwt"] {
        let token = Token { header: header(json!({ "typ": typ })), ..Token::default() };
        assert_eq!(stage.found(&token.sign(&stage.claims(json!({}))), after(0)).await, "Untold", "{typ}");
    }
    assert_eq!(stage.fetches(), 0);
}

#[tokio::test]
async fn a_token_of_another_issuer_costs_no_call() {
    let stage = Stage::new();
    let foreign = Token { header: header(json!({"kid": "theirs"})), ..Token::default() }
        .sign(&stage.claims(json!({"iss": "https://other.example"})));
    assert_eq!(stage.found(&foreign, after(0)).await, "Issuer");
    assert_eq!(stage.fetches(), 0);
    stage.found(&stage.token(json!({})), after(0)).await;
    assert_eq!(stage.found(&foreign, after(1)).await, "Issuer");
    assert_eq!(stage.fetches(), 1);
}

#[tokio::test]
async fn claims_that_are_required_are_checked_each_time() {
    let required = RequiredClaim { name: "tenant".into(), test: ClaimTest::OneOf(vec![json!("acme")]) };
    let stage = Stage::with(|config| config.required_claims = vec![required]);
    for (changes, expected) in [(json!({"tenant": "acme"}), "alice"), (json!({}), "Untold")] {
        for _ in 0..2 {
            assert_eq!(stage.found(&stage.token(changes.clone()), after(0)).await, expected);
        }
    }
}

#[tokio::test]
async fn a_token_of_our_own_counts_while_the_store_says_so() {
    let seal = SealKey::new(&[7; 32]).unwrap();
    let accounts = Arc::new(Accounts::new(Arc::new(Records::memory()), seal, Rules::default()));
    let new = NewUser { name: "carol".into(), groups: vec!["dev".into()], ..NewUser::default() };
    let carol = accounts.add_user(new, after(0)).await.unwrap();
    let issue = |audience: &str| NewToken {
        client: "web".into(),
        subject: Subject::of_user(&carol),
        scopes: Scopes::parse("orders:read").unwrap(),
        audience: vec![audience.into()],
        rules: TokenRules::default(),
        login: LoginFacts::default(),
    };
    let name = accounts.issue_token(issue("api"), after(0)).await.unwrap().token.name;
    let other = accounts.issue_token(issue("theirs"), after(0)).await.unwrap().token.name;
    let stage = Stage::with(|config| config.revocation = Revocation::Own(Arc::clone(&accounts)));
    let signed = |jti: &str| stage.token(json!({"jti": jti, "sub": carol.uid}));
    let Finding::User(user) = stage.ask(&signed(name.as_str()), after(0)).await else { panic!() };
    assert_eq!(user.user.name, "carol");
    assert_eq!(user.user.groups, ["dev", "system:authenticated"]);
    assert_eq!(stage.found(&signed(other.as_str()), after(0)).await, "Revoked");
    assert_eq!(stage.found(&stage.token(json!({"jti": null})), after(0)).await, "Untold");
    // What is signed for applications alone says nothing of where it came from; what came of an exchange does.
    let for_applications = stage.token(json!({"jti": "made-for-an-application"}));
    assert_eq!(stage.found(&for_applications, after(0)).await, "Revoked");
    let origin = Origin::new(Source::Token(name.clone())).to_claim();
    let exchanged = stage.token(json!({"jti": "of-an-exchange", "sub": carol.uid, "origin": origin}));
    assert_eq!(stage.found(&exchanged, after(0)).await, "carol");
    accounts.deny_jwt("of-an-exchange", after(600), after(0)).await.unwrap();
    assert_eq!(stage.found(&exchanged, after(1)).await, "Revoked");
    let exchanged = stage.token(json!({"jti": "of-another", "sub": carol.uid, "origin": origin}));
    accounts.revoke_access(&name, after(1)).await.unwrap();
    assert_eq!(stage.found(&signed(name.as_str()), after(1)).await, "Revoked");
    assert_eq!(stage.found(&exchanged, after(1)).await, "Revoked");
}

#[tokio::test]
async fn what_nobody_should_configure_is_refused() {
    let stage = Stage::new();
    let Kind::Jwt(jwt, _) = stage.jwt.kind() else { panic!() };
    let changed = |change: fn(&mut JwtConfig)| {
        let mut config = jwt.config.clone();
        change(&mut config);
        JwtAuthorizer::new(config).err()
    };
    for (change, expected) in [
        ((|config| config.audiences.clear()) as fn(&mut JwtConfig), InvalidJwtConfig::NoAudience),
        (|config| config.algorithms = vec![Algorithm::Hs256], InvalidJwtConfig::Algorithm(Algorithm::Hs256)),
        (
            |config| config.leeway = Duration::from_secs(301),
            InvalidJwtConfig::Leeway(Duration::from_secs(301)),
        ),
        (|config| config.types = vec!["gw-id+jwt".into()], InvalidJwtConfig::Type("gw-id+jwt".into())),
    ] {
        assert_eq!(changed(change), Some(expected));
    }
    assert_eq!(changed(|config| config.algorithms.clear()), None);
}
