use std::{
    collections::HashMap,
    sync::{Arc, Mutex},
};

use aws_lc_rs::{
    rand::SystemRandom,
    rsa::KeySize,
    signature::{Ed25519KeyPair, KeyPair, RSA_PKCS1_SHA256, RsaKeyPair},
};
use doorward_core::{Identity, Tokens};
use doorward_oidc::{
    ClientAuthentication, ClientSecret, EmailVerification, HttpConfig, IdentifyError, IssuerCheck, Trust,
};
use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
};

use super::*;

const NOW: i64 = 1_700_000_000;
const DISCOVERY: &str = "/.well-known/openid-configuration";
const FIXED_KEYS: &str = "/.well-known/jwks.json";

/// An issuer on loopback with one key. It answers what its desk says, else 404.
struct Issuer {
    base: String,
    key: Ed25519KeyPair,
    desk: Arc<Mutex<Desk>>,
    task: tokio::task::JoinHandle<()>,
}

#[derive(Default)]
struct Desk {
    answers: HashMap<&'static str, Value>,
    asked: Vec<String>,
}

impl Drop for Issuer {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Issuer {
    /// An issuer that answers nothing yet.
    async fn mute() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let base = format!("http://{}", listener.local_addr().unwrap());
        let desk = Arc::new(Mutex::new(Desk::default()));
        let shared = Arc::clone(&desk);
        let task = tokio::spawn(async move {
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                tokio::spawn(serve(stream, Arc::clone(&shared)));
            }
        });
        Self { base, key: Ed25519KeyPair::generate().unwrap(), desk, task }
    }

    /// An ordinary provider.
    async fn start() -> Self {
        let issuer = Self::mute().await;
        let base = &issuer.base;
        let document = json!({
            "issuer": base, "authorization_endpoint": format!("{base}/authorize"),
            "token_endpoint": format!("{base}/token"), "jwks_uri": format!("{base}/jwks"),
            "id_token_signing_alg_values_supported": ["EdDSA"],
        });
        issuer.says(DISCOVERY, document);
        issuer.says("/jwks", issuer.jwks());
        issuer
    }

    fn says(&self, path: &'static str, answer: Value) {
        self.desk.lock().unwrap().answers.insert(path, answer);
    }

    fn asked(&self, path: &str) -> usize {
        self.desk.lock().unwrap().asked.iter().filter(|asked| *asked == path).count()
    }

    fn jwks(&self) -> Value {
        json!({"keys": [{"kty": "OKP", "crv": "Ed25519", "kid": "k", "x": base64url(self.key.public_key())}]})
    }

    /// The claims of an ordinary token, with changes; `null` removes.
    fn claims(&self, changes: &Value) -> Value {
        let mut claims = json!({
            "iss": self.base, "aud": "client", "sub": "u-1", "exp": NOW + 600, "email": "a@example.com",
            "preferred_username": "a", "groups": ["dev", "ops"],
        });
        for (name, value) in changes.as_object().unwrap() {
            match value {
                Value::Null => claims.as_object_mut().unwrap().remove(name),
                value => claims.as_object_mut().unwrap().insert(name.clone(), value.clone()),
            };
        }
        claims
    }

    fn token(&self, changes: &Value) -> String {
        self.sign(&json!({"alg": "EdDSA", "kid": "k"}), &self.claims(changes))
    }

    fn sign(&self, header: &Value, claims: &Value) -> String {
        let signed = format!("{}.{}", base64url(header.to_string()), base64url(claims.to_string()));
        format!("{signed}.{}", base64url(self.key.sign(signed.as_bytes())))
    }

    fn config(&self) -> Config {
        main_config(&self.base)
    }

    async fn provider(&self) -> Provider {
        Provider::connect(self.config()).await.unwrap()
    }

    /// This issuer as an extra one, for tokens of the audience `api`.
    async fn extra(&self) -> Provider {
        let config = extra_issuer(&format!("{}=api", self.base), &self.config()).unwrap();
        Provider::connect(config).await.unwrap()
    }
}

/// A key of the kind that is believed when an issuer says nothing about its algorithms.
struct Rs256(RsaKeyPair);

impl Rs256 {
    fn new() -> Self {
        Self(RsaKeyPair::generate(KeySize::Rsa2048).unwrap())
    }

    fn jwk(&self) -> Value {
        // RSAPublicKey (RFC 8017 appendix A.1.1): two headers of together nine bytes stand before the modulus.
        let modulus = &self.0.public_key().as_ref()[9..265];
        json!({"kty": "RSA", "alg": "RS256", "kid": "r", "n": base64url(modulus), "e": "AQAB"})
    }

    fn sign(&self, claims: &Value) -> String {
        let header = json!({"alg": "RS256", "kid": "r"});
        let signed = format!("{}.{}", base64url(header.to_string()), base64url(claims.to_string()));
        let mut signature = vec![0; self.0.public_modulus_len()];
        self.0.sign(&RSA_PKCS1_SHA256, &SystemRandom::new(), signed.as_bytes(), &mut signature).unwrap();
        format!("{signed}.{}", base64url(signature))
    }
}

async fn serve(mut stream: TcpStream, desk: Arc<Mutex<Desk>>) {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        if stream.read_buf(&mut head).await.unwrap_or(0) == 0 {
            return;
        }
    }
    let path = String::from_utf8(head).unwrap().split(' ').nth(1).unwrap().to_owned();
    let answer = {
        let mut desk = desk.lock().unwrap();
        let answer = desk.answers.get(path.as_str()).cloned();
        desk.asked.push(path);
        answer
    };
    let status = if answer.is_some() { 200 } else { 404 };
    let body = answer.unwrap_or_default().to_string();
    let length = body.len();
    let answer =
        format!("HTTP/1.1 {status} X\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n{body}");
    let _ = stream.write_all(answer.as_bytes()).await;
}

fn main_config(issuer: &str) -> Config {
    Config {
        display_name: "Main".to_owned(),
        client_authentication: ClientAuthentication::Secret(ClientSecret::Inline("hunter2".into())),
        scope: "openid email".to_owned(),
        extra_audiences: vec!["more".to_owned()],
        http: HttpConfig { trust: Trust::Files(Vec::new()), ..HttpConfig::default() },
        ..Config::new(issuer.to_owned(), "client".to_owned())
    }
}

fn base64url(bytes: impl AsRef<[u8]>) -> String {
    base64_simd::URL_SAFE_NO_PAD.encode_to_string(bytes.as_ref())
}

fn basic(credentials: &str) -> String {
    format!("Basic {}", base64_simd::STANDARD.encode_to_string(credentials))
}

fn bearer(token: &str) -> String {
    format!("Bearer {token}")
}

async fn attempt(tokens: &BearerTokens, header: &str) -> BearerAttempt {
    tokens.attempt(Some(header.as_bytes()), Timestamp::from_seconds(NOW)).await
}

async fn accepted(tokens: &BearerTokens, token: &str) -> Grant {
    match attempt(tokens, &bearer(token)).await {
        BearerAttempt::Accepted { grant, provider: None } => *grant,
        other => panic!("{other:?}"),
    }
}

/// Expects that every issuer was asked and objected; the objections as text.
async fn objections(tokens: &BearerTokens, token: &str) -> String {
    match attempt(tokens, &bearer(token)).await {
        BearerAttempt::Refused(refusal @ BearerRefusal::NotVouchedFor(_)) => {
            let texts = format!("{refusal} {refusal:?}");
            let parts: Vec<&str> = token.split('.').filter(|part| !part.is_empty()).collect();
            assert!(parts.iter().all(|part| !texts.contains(part)), "the token is shown: {texts}");
            refusal.to_string()
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_header_holds_a_token_in_exactly_these_forms() {
    use NoToken::{MalformedBasic, NotSigned, NotTwoWords, OtherScheme, Password};
    const TOKEN: &str = "eyA-_9.eyB.s-_9";
    for (header, expected) in [
        (bearer(TOKEN), Ok(())),
        (bearer("ey.ey.s"), Ok(())),
        (format!("bearer {TOKEN}"), Err(OtherScheme)),
        (format!("BEARER {TOKEN}"), Err(OtherScheme)),
        (format!("Bearer  {TOKEN}"), Err(NotTwoWords)),
        (format!("Bearer {TOKEN} "), Err(NotTwoWords)),
        (format!(" Bearer {TOKEN}"), Err(NotTwoWords)),
        (format!("Bearer\t{TOKEN}"), Err(NotTwoWords)),
        (format!("Bearer {TOKEN},x"), Err(NotSigned)),
        (TOKEN.to_owned(), Err(NotTwoWords)),
        ("Bearer".to_owned(), Err(NotTwoWords)),
        ("Bearer ".to_owned(), Err(NotSigned)),
        (" ".to_owned(), Err(OtherScheme)),
        (bearer("opaque"), Err(NotSigned)),
        (bearer("ey.ey"), Err(NotSigned)),
        (bearer("ey.ey."), Err(NotSigned)),
        (bearer("ey..s"), Err(NotSigned)),
        (bearer("e.ey.s"), Err(NotSigned)),
        (bearer("ey.fy.s"), Err(NotSigned)),
        (bearer("ey.ey.s.t"), Err(NotSigned)),
        (bearer("ey.ey.s.t.u"), Err(NotSigned)),
        (bearer("ey=.ey.s"), Err(NotSigned)),
        (bearer("ey.ey+.s"), Err(NotSigned)),
        (bearer("ey.ey.s\n"), Err(NotSigned)),
        (bearer("ey.ey.\u{e9}"), Err(NotSigned)),
        (format!("Token {TOKEN}"), Err(OtherScheme)),
        (format!("DPoP {TOKEN}"), Err(OtherScheme)),
        (basic(&format!("{TOKEN}:")), Ok(())),
        (basic(&format!("{TOKEN}:x-oauth-basic")), Ok(())),
        (basic(&format!("{TOKEN}:X-OAUTH-BASIC")), Err(Password)),
        (basic(&format!("{TOKEN}:secret")), Err(Password)),
        (basic(&format!("{TOKEN}:{TOKEN}")), Err(Password)),
        (basic(&format!(":{TOKEN}")), Ok(())),
        (basic(&format!("anybody:{TOKEN}")), Ok(())),
        (basic(&format!("anybody:{TOKEN}:")), Err(Password)),
        (basic("bob:password"), Err(Password)),
        (basic(":"), Err(Password)),
        (basic(TOKEN), Err(MalformedBasic)),
        (format!("Basic {TOKEN}"), Err(MalformedBasic)),
        ("Basic %%%".to_owned(), Err(MalformedBasic)),
        (basic(&format!("{TOKEN}:")).to_lowercase(), Err(OtherScheme)),
    ] {
        assert_eq!(find(header.as_bytes()).map(|_| ()), expected, "{header:?}");
    }
    assert_eq!(find(bearer(TOKEN).as_bytes()), Ok(TOKEN.into()));
    assert_eq!(find(basic(&format!("{TOKEN}:")).as_bytes()), Ok(TOKEN.into()));
    assert_eq!(find(basic(&format!("x:{TOKEN}")).as_bytes()), Ok(TOKEN.into()));
    assert_eq!(find(b"Bearer ey\xff.ey.s"), Err(NotSigned));
    assert_eq!(find(b"\xff\xfe \xfd"), Err(OtherScheme));
}

#[tokio::test]
async fn nothing_presented_differs_from_something_unusable() {
    let tokens = BearerTokens::new(None, Vec::new());
    let now = Timestamp::from_seconds(NOW);
    assert_eq!(tokens.attempt(None, now).await, BearerAttempt::NotPresented);
    assert_eq!(tokens.attempt(Some(b""), now).await, BearerAttempt::NotPresented);
    assert_eq!(
        attempt(&tokens, &basic("bob:password")).await,
        BearerAttempt::Refused(BearerRefusal::NoToken(NoToken::Password))
    );
    assert_eq!(objections(&tokens, "ey.ey.s").await, "unable to verify the bearer token");
}

#[tokio::test]
async fn a_token_of_the_provider_is_a_session_in_every_form() {
    let issuer = Issuer::start().await;
    let tokens = BearerTokens::new(Some(issuer.provider().await), Vec::new());
    let token = issuer.token(&json!({}));
    let expected = Grant {
        tokens: Tokens {
            access: Some(token.as_str().into()),
            id: Some(token.as_str().into()),
            refresh: None,
        },
        identity: Identity {
            user: "u-1".to_owned(),
            email: "a@example.com".to_owned(),
            groups: vec!["dev".to_owned(), "ops".to_owned()],
            preferred_username: "a".to_owned(),
            ..Identity::default()
        },
        expires_on: Some(Timestamp::from_seconds(NOW + 600)),
    };
    for header in [
        bearer(&token),
        basic(&format!("{token}:")),
        basic(&format!("{token}:x-oauth-basic")),
        basic(&format!("git:{token}")),
    ] {
        assert_eq!(
            attempt(&tokens, &header).await,
            BearerAttempt::Accepted { grant: Box::new(expected.clone()), provider: None }
        );
    }
    let shown = format!("{tokens:?} {:?}", attempt(&tokens, &bearer(&token)).await);
    assert!(!shown.contains(&token) && !shown.contains("hunter2"), "{shown}");
}

#[tokio::test]
async fn only_a_sound_token_for_us_is_a_session() {
    let issuer = Issuer::start().await;
    let stranger = Issuer::start().await;
    let tokens = BearerTokens::new(Some(issuer.provider().await), Vec::new());
    for changes in [
        json!({"exp": NOW - 1}),
        json!({"exp": null}),
        json!({"exp": "1700000600"}),
        json!({"exp": 1e300}),
        json!({"nbf": NOW + 400}),
        json!({"aud": "other"}),
        json!({"aud": null}),
        json!({"aud": []}),
        json!({"aud": [["client"]]}),
        json!({"aud": {"client": true}}),
        json!({"iss": null}),
        json!({"iss": "https://other.example"}),
        json!({"iss": [issuer.base]}),
        json!({"iss": format!("{}/", issuer.base)}),
        json!({"email_verified": false}),
        json!({"email_verified": "false"}),
        json!({"email": null, "sub": null}),
    ] {
        let said = objections(&tokens, &issuer.token(&changes)).await;
        assert!(said.starts_with("unable to verify the bearer token: Main: "), "{said}");
    }
    let claims = issuer.claims(&json!({}));
    let jwk = &stranger.jwks()["keys"][0];
    for header in [
        json!({"alg": "none", "kid": "k"}),
        json!({"alg": "HS256", "kid": "k"}),
        json!({"alg": "RS256", "kid": "k"}),
        json!({"alg": "EdDSA", "kid": "../../k"}),
        json!({"alg": "EdDSA", "kid": "k", "crit": ["exp"]}),
        json!({"alg": "EdDSA", "kid": "k", "typ": "logout+jwt"}),
    ] {
        objections(&tokens, &issuer.sign(&header, &claims)).await;
    }
    for header in [
        json!({"alg": "EdDSA", "kid": "k"}),
        json!({"alg": "EdDSA"}),
        json!({"alg": "EdDSA", "kid": "k", "jwk": jwk}),
        json!({"alg": "EdDSA", "kid": "k", "jku": format!("{}/jwks", stranger.base)}),
    ] {
        objections(&tokens, &stranger.sign(&header, &claims)).await;
    }
    assert_eq!(stranger.asked("/jwks"), 0);
    accepted(&tokens, &issuer.token(&json!({"aud": ["other", "more"]}))).await;
}

#[tokio::test]
async fn without_an_address_the_subject_stands_in() {
    let issuer = Issuer::start().await;
    let tokens = BearerTokens::new(Some(issuer.provider().await), vec![issuer.extra().await]);
    for audience in ["client", "api"] {
        let token = issuer.token(&json!({"aud": audience, "email": null, "groups": null}));
        let identity = accepted(&tokens, &token).await.identity;
        assert_eq!((identity.email.as_str(), identity.groups.len()), ("u-1", 0), "{audience}");
    }
}

#[tokio::test]
async fn an_extra_issuer_vouches_for_its_own_tokens_and_audience() {
    let (main, extra) = (Issuer::start().await, Issuer::start().await);
    let tokens = BearerTokens::new(Some(main.provider().await), vec![extra.extra().await]);
    accepted(&tokens, &main.token(&json!({}))).await;
    accepted(&tokens, &extra.token(&json!({"aud": "api"}))).await;
    accepted(&tokens, &extra.token(&json!({"aud": ["x", "more"]}))).await;
    for token in [
        main.token(&json!({"aud": "api"})),
        extra.token(&json!({"aud": "client"})),
        main.token(&json!({"iss": extra.base, "aud": "api"})),
        extra.token(&json!({"iss": main.base})),
        extra.token(&json!({"aud": "api", "email_verified": false})),
    ] {
        let said = objections(&tokens, &token).await;
        assert!(said.contains(": Main: ") && said.contains(&format!("; {}: ", extra.base)), "{said}");
    }
}

#[tokio::test]
async fn what_the_main_configuration_says_of_claims_does_not_count_for_extra_issuers() {
    let issuer = Issuer::start().await;
    let main = Config {
        issuer_check: IssuerCheck::Skip,
        email_verification: EmailVerification::Ignored,
        email_claim: "upn".to_owned(),
        groups_claim: "roles".to_owned(),
        audience_claims: vec!["azp".to_owned(), "aud".to_owned()],
        ..issuer.config()
    };
    let config = extra_issuer(&format!("{}=api", issuer.base), &main).unwrap();
    let tokens = BearerTokens::new(None, vec![Provider::connect(config).await.unwrap()]);
    let token = issuer.token(&json!({"azp": "api", "upn": "u@p.n", "roles": ["root"]}));
    let identity = accepted(&tokens, &token).await.identity;
    assert_eq!((identity.email.as_str(), identity.groups.len()), ("a@example.com", 2));
    objections(&tokens, &issuer.token(&json!({"azp": "x", "aud": "api"}))).await;
    objections(&tokens, &issuer.token(&json!({"azp": "api", "iss": "https://other.example"}))).await;
    let unverified =
        objections(&tokens, &issuer.token(&json!({"azp": "api", "email_verified": false}))).await;
    assert!(unverified.ends_with(&IdentifyError::EmailUnverified.to_string()), "{unverified}");
}

#[tokio::test]
async fn extra_issuers_need_neither_endpoints_nor_a_metadata_document() {
    // A cluster that signs tokens for its services: nobody logs in there.
    let cluster = Issuer::mute().await;
    cluster.says(
        DISCOVERY,
        json!({
            "issuer": cluster.base, "jwks_uri": format!("{}/openid/v1/jwks", cluster.base),
            "authorization_endpoint": "urn:kubernetes:programmatic_authorization",
            "id_token_signing_alg_values_supported": ["EdDSA"],
        }),
    );
    cluster.says("/openid/v1/jwks", cluster.jwks());
    let tokens = BearerTokens::new(None, vec![cluster.extra().await]);
    accepted(&tokens, &cluster.token(&json!({"aud": ["api"]}))).await;
    assert_eq!(cluster.asked(FIXED_KEYS), 0);

    // Without metadata the keys are at a fixed place, and only RS256 is believed.
    let bare = Issuer::mute().await;
    let signer = Rs256::new();
    bare.says(FIXED_KEYS, json!({"keys": [signer.jwk(), bare.jwks()["keys"][0]]}));
    let tokens = BearerTokens::new(None, vec![bare.extra().await]);
    assert_eq!(bare.asked(FIXED_KEYS), 0);
    accepted(&tokens, &signer.sign(&bare.claims(&json!({"aud": "api"})))).await;
    objections(&tokens, &bare.token(&json!({"aud": "api"}))).await;
    assert_eq!(bare.asked(FIXED_KEYS), 1);
}

#[tokio::test]
async fn metadata_of_an_extra_issuer_that_speak_of_another_issuer_are_not_used() {
    let (extra, other) = (Issuer::mute().await, Issuer::start().await);
    extra.says(
        DISCOVERY,
        json!({"issuer": other.base, "jwks_uri": format!("{}/jwks", other.base), "id_token_signing_alg_values_supported": ["EdDSA"]}),
    );
    let tokens = BearerTokens::new(None, vec![extra.extra().await]);
    objections(&tokens, &other.token(&json!({"iss": extra.base, "aud": "api"}))).await;
    objections(&tokens, &other.token(&json!({"aud": "api"}))).await;
    assert_eq!(other.asked("/jwks"), 0);
}

#[tokio::test]
async fn a_dead_extra_issuer_stops_neither_the_start_nor_the_others() {
    let (main, last) = (Issuer::start().await, Issuer::start().await);
    let dead = Issuer::mute().await.base.clone();
    let config = extra_issuer(&format!("{dead}=api"), &main.config()).unwrap();
    let dead_extra = Provider::connect(config).await.unwrap();
    let tokens = BearerTokens::new(Some(main.provider().await), vec![dead_extra, last.extra().await]);
    accepted(&tokens, &main.token(&json!({}))).await;
    accepted(&tokens, &last.token(&json!({"aud": "api"}))).await;
    let claims = last.claims(&json!({"iss": dead, "aud": "api"}));
    let said = objections(&tokens, &last.sign(&json!({"alg": "RS256", "kid": "k"}), &claims)).await;
    assert!(said.contains("not available"), "{said}");
}

#[tokio::test]
async fn a_token_of_one_issuer_costs_the_others_nothing() {
    let (main, extra) = (Issuer::start().await, Issuer::start().await);
    let tokens = BearerTokens::new(Some(main.provider().await), vec![extra.extra().await]);
    accepted(&tokens, &extra.token(&json!({"aud": "api"}))).await;
    objections(&tokens, &extra.token(&json!({"iss": "https://other.example"}))).await;
    assert_eq!((main.asked("/jwks"), extra.asked("/jwks")), (0, 1));
}

#[test]
fn an_entry_names_an_issuer_and_an_audience() {
    use InvalidExtraIssuer::{Issuer, NoAudience};
    let main = main_config("https://main.example");
    for (entry, expected) in [
        (
            "https://id.example=api",
            Ok(("https://id.example", "api", "https://id.example/.well-known/jwks.json")),
        ),
        (
            "https://id.example/r/=a=b",
            Ok(("https://id.example/r/", "a=b", "https://id.example/r/.well-known/jwks.json")),
        ),
        ("https://id.example", Err(NoAudience)),
        ("https://id.example=", Err(NoAudience)),
        ("", Err(NoAudience)),
        ("=api", Err(Issuer)),
        ("id.example=api", Err(Issuer)),
        ("file:///etc/passwd=api", Err(Issuer)),
        ("https://user:password@id.example=api", Err(Issuer)),
    ] {
        let found = extra_issuer(entry, &main).map(|config| (config.issuer, config.client_id, config.keys));
        let expected = expected.map(|(issuer, audience, keys)| {
            (issuer.to_owned(), audience.to_owned(), KeySource::Url(keys.to_owned()))
        });
        assert_eq!(found, expected, "{entry}");
    }
}

#[test]
fn bearer_tokens_and_their_attempts_cross_threads() {
    fn crosses(_: &(impl Send + Sync)) {}
    fn moves(_: &impl Send) {}
    let tokens = BearerTokens::new(None, Vec::new());
    crosses(&tokens);
    moves(&tokens.attempt(None, Timestamp::from_seconds(NOW)));
}
