//! A server for tests, and requests to it, written as they look.

pub(crate) mod browser;

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use doorward_accounts::{
    Accounts, Challenge, ChallengeMethod, CodeRedirect, LoginFacts, NewCode, NewSession, NewUser, Refreshing,
    Rules, Scopes, SealKey, Subject, TokenRules, User,
};
use doorward_core::{ClientIp, SecretString, Timestamp, UserInfo};
use doorward_gateway::{Issuer, IssuerConfig, PomeriumKeys};
use doorward_jose::Algorithm;
use doorward_store::Records;
use http::{HeaderName, HeaderValue};
use serde_json::Value;

use crate::{
    Answer, OAuthServer,
    call::Call,
    config::{
        AccessReviews, Client, ClientSecret, Config, Exchange, GrantType, Issuer as ServerIssuer,
        KubernetesApi, Resource, Reviewers, ScopeDefinition, ScopeRestriction, TokenFormat,
    },
};

/// The present, unless a test says otherwise.
pub(crate) const NOW: Timestamp = Timestamp::from_seconds(1_800_000_000);

/// A request from 192.0.2.7 without headers and body. `target` is path and query.
pub(crate) fn call(method: &str, target: &str) -> Call {
    let (path, query) = match target.split_once('?') {
        Some((path, query)) => (path, Some(query.to_owned())),
        None => (target, None),
    };
    Call {
        method: method.parse().unwrap(),
        path: path.to_owned(),
        query,
        headers: http::HeaderMap::new(),
        body: Bytes::new(),
        client: ClientIp::Known([192, 0, 2, 7].into()),
        certificates: Arc::new([]),
        of_connection: Arc::new([]),
        caller: None,
        now: NOW,
    }
}

impl Call {
    pub(crate) fn header(mut self, name: &str, value: &str) -> Self {
        self.headers.append(HeaderName::try_from(name).unwrap(), HeaderValue::from_str(value).unwrap());
        self
    }

    pub(crate) fn body(mut self, body: &[u8]) -> Self {
        self.body = Bytes::copy_from_slice(body);
        self
    }

    pub(crate) fn form(self, body: &[u8]) -> Self {
        self.header("content-type", "application/x-www-form-urlencoded").body(body)
    }

    pub(crate) fn at(mut self, now: Timestamp) -> Self {
        self.now = now;
        self
    }

    pub(crate) fn basic(self, id: &str, secret: &str) -> Self {
        let encoded = base64_simd::STANDARD.encode_to_string(format!("{id}:{secret}"));
        self.header("authorization", &format!("Basic {encoded}"))
    }

    pub(crate) fn bearer(self, token: &str) -> Self {
        self.header("authorization", &format!("Bearer {token}"))
    }

    pub(crate) fn from(mut self, caller: UserInfo) -> Self {
        self.caller = Some(caller);
        self
    }
}

/// The issuer of the test server.
pub(crate) const ISSUER: &str = "https://auth.example.com";
/// Its gateway.
pub(crate) const GATEWAY: &str = "https://auth.example.com/gateway";
pub(crate) const VERIFIER: &str = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";
/// Belongs to [`VERIFIER`] (RFC 7636 appendix B).
pub(crate) const CHALLENGE: &str = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM";

/// A server over a store in memory, with the user alice. Its clients: `web` (secret `web-secret`, all grants), `spa`
/// (public), `other` (secret `other-secret`, serves the resource `https://orders`).
#[derive(Clone, Debug)]
pub(crate) struct TestServer {
    pub(crate) server: Arc<OAuthServer>,
    pub(crate) accounts: Arc<Accounts>,
    pub(crate) alice: User,
}

pub(crate) fn config() -> Config {
    let texts = |all: &[&str]| all.iter().map(|&text| text.to_owned()).collect::<Vec<_>>();
    let web = Client {
        secrets: vec![ClientSecret::of("web-secret"), ClientSecret::of("web-secret-2")],
        redirect_uris: texts(&["https://web.example.com/cb"]),
        grant_types: vec![
            GrantType::AuthorizationCode,
            GrantType::RefreshToken,
            GrantType::ClientCredentials,
        ],
        default_scopes: Scopes::parse("openid orders:read").unwrap(),
        post_logout_redirect_uris: texts(&["https://web.example.com/bye"]),
        ..Client::new("web")
    };
    let spa = Client {
        redirect_uris: texts(&["https://spa.example.com/cb"]),
        grant_types: vec![GrantType::AuthorizationCode, GrantType::RefreshToken],
        ..Client::new("spa")
    };
    let other = Client {
        secrets: vec![ClientSecret::of("other-secret")],
        grant_types: vec![GrantType::ClientCredentials],
        scope_restrictions: vec![ScopeRestriction::Literals(texts(&["introspect"]))],
        default_scopes: Scopes::parse("introspect").unwrap(),
        resources: texts(&["https://orders"]),
        ..Client::new("other")
    };
    let resource = |uri: &str, format| Resource { uri: uri.to_owned(), scopes: Vec::new(), format };
    Config {
        kubernetes_api: KubernetesApi::On,
        clients: vec![web, spa, other],
        scopes: vec![ScopeDefinition {
            name: "orders:read".to_owned(),
            description: "See your orders".to_owned(),
            warning: String::new(),
        }],
        resources: vec![
            resource("https://orders", TokenFormat::Opaque),
            resource("https://stock", TokenFormat::Jwt),
            resource("https://bills", TokenFormat::Jwt),
        ],
        reviewers: Reviewers { users: texts(&["reviewer"]), groups: Vec::new() },
        access_reviews: AccessReviews { all_allowed: texts(&["system:masters"]) },
        own_sign_in: texts(&["https://app.example.com/oauth2/callback"]),
        ..Config::new(ServerIssuer::parse(ISSUER).unwrap())
    }
}

/// The issuer of what is exchanged.
fn gateway() -> IssuerConfig {
    IssuerConfig {
        issuer: GATEWAY.to_owned(),
        hosts: Vec::new(),
        algorithm: Algorithm::Es256,
        pomerium_keys: PomeriumKeys::NotServed,
    }
}

impl TestServer {
    pub(crate) async fn start() -> Self {
        Self::over(Records::memory(), config(), Rules::default()).await
    }

    /// ES256 is there beside RS256, which takes long to make keys for.
    pub(crate) async fn over(records: Records, config: Config, rules: Rules) -> Self {
        let rules = Rules { algorithms: vec![Algorithm::Rs256, Algorithm::Es256, Algorithm::EdDsa], ..rules };
        let seal = SealKey::new(b"0123456789abcdef0123456789ABCDEF").unwrap();
        let accounts = Arc::new(Accounts::new(Arc::new(records), seal, rules));
        let new = NewUser {
            name: "alice".to_owned(),
            full_name: "Alice Liddell".to_owned(),
            email: "alice@example.com".to_owned(),
            groups: vec!["readers".to_owned()],
            identities: vec!["local:alice".to_owned()],
            password: None,
        };
        let alice = accounts.add_user(new, NOW).await.unwrap();
        let issuer = Issuer::new(gateway(), Arc::clone(&accounts)).unwrap();
        let exchange = Exchange { issuer: Some(Arc::new(issuer)), ..config.exchange };
        let config = Config { exchange, ..config };
        let server = Arc::new(OAuthServer::new(config, Arc::clone(&accounts)).unwrap());
        Self { server, accounts, alice }
    }

    /// Sends a request to whichever endpoint its path names.
    pub(crate) async fn send(&self, call: Call) -> Answer {
        let endpoint = self.server.find("auth.example.com", &call.path).unwrap();
        self.server.answer(endpoint, call).await
    }

    /// Signs alice in: the cookie of her browser, and the id of her session.
    pub(crate) async fn signed_in(&self) -> (String, String) {
        let new = NewSession {
            subject: Subject::of_user(&self.alice),
            provider: "local".to_owned(),
            amr: vec!["pwd".to_owned()],
        };
        let (raw, session) = self.accounts.open_session(new, NOW).await.unwrap();
        (format!("__Host-doorward-auth={}", raw.expose()), session.sid)
    }

    /// Posts a form; the answer as status and JSON.
    pub(crate) async fn post(&self, call: Call) -> (u16, Value) {
        let answer = self.send(call).await;
        (answer.status().as_u16(), document(&answer))
    }

    /// What the authorization endpoint keeps of a code for alice at `web`, with PKCE.
    pub(crate) fn new_code(&self, client: &str, scopes: &str) -> NewCode {
        NewCode {
            client: client.to_owned(),
            subject: Subject::of_user(&self.alice),
            scopes: Scopes::parse(scopes).unwrap(),
            audience: Vec::new(),
            redirect: CodeRedirect::Asked(format!("https://{client}.example.com/cb")),
            challenge: Some(Challenge { method: ChallengeMethod::S256, value: CHALLENGE.to_owned() }),
            login: LoginFacts {
                auth_time: Some(NOW.seconds - 60),
                amr: vec!["pwd".to_owned()],
                session: Some("session-1".to_owned()),
                nonce: Some("n-1".to_owned()),
            },
            rules: TokenRules::default(),
            refreshing: Refreshing::Allowed,
        }
    }

    pub(crate) async fn code(&self, client: &str, scopes: &str) -> SecretString {
        self.accounts.issue_code(self.new_code(client, scopes), NOW).await.unwrap()
    }

    /// Redeems a fresh code of alice at `web` as it should be; the answer of the token endpoint.
    pub(crate) async fn tokens(&self, scopes: &str) -> Value {
        self.tokens_of(self.new_code("web", scopes)).await
    }

    pub(crate) async fn tokens_of(&self, code: NewCode) -> Value {
        let code = self.accounts.issue_code(code, NOW).await.unwrap();
        let (status, document) = self.post(redeem(&code).basic("web", "web-secret")).await;
        assert_eq!(status, 200, "{document}");
        document
    }
}

/// The request that redeems a code of `web`, without the client's secret.
pub(crate) fn redeem(code: &SecretString) -> Call {
    let form = format!(
        "grant_type=authorization_code&code={}&redirect_uri=https%3A%2F%2Fweb.example.com%2Fcb&code_verifier={VERIFIER}",
        code.expose()
    );
    call("POST", "/oauth/token").form(form.as_bytes())
}

/// The JSON of an answer; null if there is none.
pub(crate) fn document(answer: &Answer) -> Value {
    serde_json::from_slice(answer.body()).unwrap_or_default()
}

pub(crate) fn text<'a>(document: &'a Value, name: &str) -> &'a str {
    document[name].as_str().unwrap_or_else(|| panic!("no {name} in {document}"))
}

pub(crate) fn later(seconds: u64) -> Timestamp {
    NOW.saturating_add(Duration::from_secs(seconds))
}
