//! Test bench: a provider whose every answer a test chooses, and a signer for its tokens.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex},
};

use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair};
use doorward_core::{SecretString, Timestamp};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject};
use serde_json::{Value, json};
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt},
    net::TcpListener,
};

use crate::{
    ClientAuthentication, ClientSecret, Config, HttpConfig, MatchedCallback, PendingLogin, ProviderKind,
    provider::{Pace, Provider},
};

pub(crate) const NOW: i64 = 1_700_000_000;

pub(crate) fn now() -> Timestamp {
    Timestamp::from_seconds(NOW)
}

/// One request as the fake provider saw it.
#[derive(Clone, Debug)]
pub(crate) struct Seen {
    pub(crate) path: String,
    pub(crate) head: String,
    pub(crate) form: HashMap<String, String>,
}

impl Seen {
    pub(crate) fn header(&self, name: &str) -> Option<String> {
        self.head.lines().skip(1).find_map(|line| {
            let (found, value) = line.split_once(": ")?;
            found.eq_ignore_ascii_case(name).then(|| value.to_owned())
        })
    }
}

/// What the fake provider does with a request.
#[derive(Clone)]
pub(crate) enum Reply {
    Full {
        status: u16,
        headers: String,
        body: Vec<u8>,
    },
    /// Never answers.
    Hang,
    /// Claims a gigabyte and sends until nobody listens.
    Flood,
    /// Sends a byte now and then for ever.
    Drip,
}

impl Reply {
    pub(crate) fn json(status: u16, body: &Value) -> Self {
        Self::typed(status, "application/json", body.to_string())
    }

    pub(crate) fn typed(status: u16, media: &str, body: impl Into<Vec<u8>>) -> Self {
        Self::Full { status, headers: format!("Content-Type: {media}\r\n"), body: body.into() }
    }

    pub(crate) fn status(status: u16) -> Self {
        Self::typed(status, "text/plain", "no")
    }

    pub(crate) fn redirect(to: &str) -> Self {
        Self::Full { status: 302, headers: format!("Location: {to}\r\n"), body: Vec::new() }
    }
}

type Script = Arc<dyn Fn(&Seen) -> Reply + Send + Sync>;

#[derive(Default)]
struct Desk {
    scripts: HashMap<String, Script>,
    log: Vec<Seen>,
}

/// A provider on loopback.
pub(crate) struct Fake {
    pub(crate) base: String,
    desk: Arc<Mutex<Desk>>,
    task: tokio::task::JoinHandle<()>,
}

impl Drop for Fake {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Fake {
    pub(crate) async fn start() -> Self {
        Self::listen(None).await
    }

    pub(crate) async fn start_tls() -> Self {
        Self::listen(Some(acceptor(None))).await
    }

    /// One that wants to see a certificate of the test's authority for clients.
    pub(crate) async fn start_mutual_tls() -> Self {
        let mut roots = rustls::RootCertStore::empty();
        roots
            .add(CertificateDer::from_pem_slice(include_bytes!("../tests/data/client-ca.pem")).unwrap())
            .unwrap();
        Self::listen(Some(acceptor(Some(roots)))).await
    }

    async fn listen(tls: Option<tokio_rustls::TlsAcceptor>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let scheme = if tls.is_some() { "https" } else { "http" };
        let base = format!("{scheme}://{}", listener.local_addr().unwrap());
        let desk = Arc::new(Mutex::new(Desk::default()));
        let shared = Arc::clone(&desk);
        let task = tokio::spawn(async move {
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                let (desk, tls) = (Arc::clone(&shared), tls.clone());
                tokio::spawn(async move {
                    match tls {
                        None => serve(stream, &desk).await,
                        Some(tls) => {
                            if let Ok(stream) = tls.accept(stream).await {
                                serve(stream, &desk).await;
                            }
                        }
                    }
                });
            }
        });
        Self { base, desk, task }
    }

    /// Decides what a path answers from now on.
    pub(crate) fn on(&self, path: &str, script: impl Fn(&Seen) -> Reply + Send + Sync + 'static) {
        self.desk.lock().unwrap().scripts.insert(path.to_owned(), Arc::new(script));
    }

    pub(crate) fn says(&self, path: &str, reply: Reply) {
        self.on(path, move |_| reply.clone());
    }

    pub(crate) fn seen(&self, path: &str) -> Vec<Seen> {
        self.desk.lock().unwrap().log.iter().filter(|seen| seen.path == path).cloned().collect()
    }

    pub(crate) fn count(&self, path: &str) -> usize {
        self.seen(path).len()
    }

    pub(crate) fn metadata(&self) -> Value {
        let base = &self.base;
        json!({
            "issuer": base, "authorization_endpoint": format!("{base}/authorize"),
            "token_endpoint": format!("{base}/token"), "userinfo_endpoint": format!("{base}/userinfo"),
            "jwks_uri": format!("{base}/jwks"), "id_token_signing_alg_values_supported": ["EdDSA"],
            "code_challenge_methods_supported": ["S256"],
        })
    }

    /// A well-behaved provider that gives the tokens of `answer`.
    pub(crate) fn behaves(&self, signer: &Signer, answer: &Value) {
        self.says("/.well-known/openid-configuration", Reply::json(200, &self.metadata()));
        self.says("/jwks", Reply::json(200, &json!({"keys": [signer.jwk()]})));
        self.says("/token", Reply::json(200, answer));
        self.says("/userinfo", Reply::json(200, &json!({"sub": "u-1"})));
    }

    /// The claims of an ordinary ID token, with changes; `null` removes.
    pub(crate) fn claims(&self, changes: Value) -> Value {
        let mut claims = json!({
            "iss": self.base, "aud": "client", "sub": "u-1", "exp": NOW + 600, "email": "a@example.com",
            "email_verified": true, "preferred_username": "a", "groups": ["dev", "ops"], "nonce": "nonce-hash",
        });
        merge(&mut claims, changes);
        claims
    }

    pub(crate) fn config(&self) -> Config {
        Config {
            display_name: "Fake".to_owned(),
            client_authentication: ClientAuthentication::Secret(ClientSecret::Inline("s3cret+".into())),
            scope: "openid email".to_owned(),
            http: HttpConfig { trust: crate::Trust::Files(Vec::new()), ..HttpConfig::default() },
            ..Config::new(self.base.clone(), "client".to_owned())
        }
    }

    pub(crate) async fn provider(&self) -> Provider {
        Provider::connect(self.config()).await.unwrap()
    }

    pub(crate) async fn keycloak(&self) -> Provider {
        let config = Config { kind: ProviderKind::KeycloakOidc, ..self.config() };
        Provider::connect(config).await.unwrap()
    }
}

fn acceptor(clients: Option<rustls::RootCertStore>) -> tokio_rustls::TlsAcceptor {
    let certificate = CertificateDer::from_pem_slice(include_bytes!("../tests/data/server.pem")).unwrap();
    let key = PrivateKeyDer::from_pem_slice(include_bytes!("../tests/data/server.key")).unwrap();
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let builder = rustls::ServerConfig::builder_with_provider(Arc::clone(&provider))
        .with_safe_default_protocol_versions()
        .unwrap();
    let builder = match clients {
        None => builder.with_no_client_auth(),
        Some(roots) => {
            let verifier =
                rustls::server::WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider);
            builder.with_client_cert_verifier(verifier.build().unwrap())
        }
    };
    tokio_rustls::TlsAcceptor::from(Arc::new(builder.with_single_cert(vec![certificate], key).unwrap()))
}

/// Merges `changes` into an object; `null` removes.
pub(crate) fn merge(object: &mut Value, changes: Value) {
    let (Value::Object(object), Value::Object(changes)) = (object, changes) else { panic!("objects only") };
    for (name, value) in changes {
        if value.is_null() {
            object.remove(&name);
        } else {
            object.insert(name, value);
        }
    }
}

/// Background work so seldom that no test sees it, unless the test changes it.
pub(crate) const STILL: Pace = Pace {
    first_retry: std::time::Duration::from_hours(1),
    longest_retry: std::time::Duration::from_hours(1),
    renewal: std::time::Duration::from_hours(1),
    key_refetch: std::time::Duration::from_hours(1),
};

/// A callback that matched, with the nonce of [`Fake::claims`].
pub(crate) fn callback(code: &str) -> MatchedCallback {
    let pending = PendingLogin {
        state_hash: "state".to_owned(),
        nonce_hash: "nonce-hash".to_owned(),
        verifier: Some("verifier-1".into()),
    };
    pending.accept("state", SecretString::from(code)).unwrap()
}

/// A signing key of the provider.
pub(crate) struct Signer {
    pair: Ed25519KeyPair,
    kid: String,
}

impl Signer {
    pub(crate) fn new(kid: &str) -> Self {
        Self { pair: Ed25519KeyPair::generate().unwrap(), kid: kid.to_owned() }
    }

    pub(crate) fn sign(&self, claims: &Value) -> String {
        self.sign_with(&json!({"alg": "EdDSA", "kid": self.kid}), claims)
    }

    pub(crate) fn sign_with(&self, header: &Value, claims: &Value) -> String {
        let signed = format!("{}.{}", b64(header.to_string()), b64(claims.to_string()));
        format!("{signed}.{}", b64(self.pair.sign(signed.as_bytes())))
    }

    pub(crate) fn jwk(&self) -> Value {
        json!({"kty": "OKP", "crv": "Ed25519", "kid": self.kid, "x": b64(self.pair.public_key())})
    }
}

fn b64(bytes: impl AsRef<[u8]>) -> String {
    base64_simd::URL_SAFE_NO_PAD.encode_to_string(bytes.as_ref())
}

async fn serve<S: AsyncRead + AsyncWrite + Unpin>(mut stream: S, desk: &Mutex<Desk>) {
    let Some(seen) = read_request(&mut stream).await else { return };
    let script = {
        let mut desk = desk.lock().unwrap();
        desk.log.push(seen.clone());
        desk.scripts.get(&seen.path).cloned()
    };
    match script.map_or_else(|| Reply::status(404), |script| script(&seen)) {
        Reply::Full { status, headers, body } => {
            let head = format!(
                "HTTP/1.1 {status} X\r\n{headers}Content-Length: {}\r\nConnection: close\r\n\r\n",
                body.len()
            );
            let _ = stream.write_all(head.as_bytes()).await;
            let _ = stream.write_all(&body).await;
            let _ = stream.shutdown().await;
        }
        Reply::Hang => std::future::pending().await,
        Reply::Flood => {
            let _ = stream.write_all(b"HTTP/1.1 200 X\r\nContent-Length: 1000000000\r\n\r\n").await;
            while stream.write_all(&[b' '; 8192]).await.is_ok() {}
        }
        Reply::Drip => {
            let _ = stream.write_all(b"HTTP/1.1 200 X\r\nContent-Length: 1000000000\r\n\r\n").await;
            while stream.write_all(b" ").await.is_ok() {
                tokio::time::sleep(std::time::Duration::from_millis(20)).await;
            }
        }
    }
}

async fn read_request<S: AsyncRead + Unpin>(stream: &mut S) -> Option<Seen> {
    let mut bytes = Vec::new();
    let end = loop {
        if let Some(end) = bytes.windows(4).position(|window| window == b"\r\n\r\n") {
            break end;
        }
        if stream.read_buf(&mut bytes).await.ok()? == 0 {
            return None;
        }
    };
    let head = String::from_utf8(bytes[..end].to_vec()).unwrap();
    let mut seen = Seen { path: String::new(), form: HashMap::new(), head };
    let length: usize = seen.header("content-length").and_then(|text| text.parse().ok()).unwrap_or(0);
    while bytes.len() < end + 4 + length {
        stream.read_buf(&mut bytes).await.ok()?;
    }
    let target = seen.head.split(' ').nth(1).unwrap_or_default();
    seen.path = target.split('?').next().unwrap_or_default().to_owned();
    seen.form = form_urlencoded::parse(&bytes[end + 4..]).into_owned().collect();
    Some(seen)
}
