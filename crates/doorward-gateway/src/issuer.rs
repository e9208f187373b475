//! The gateway as an issuer of tokens, beside the OAuth server and never mixed up with it: another issuer identifier,
//! other keys, and documents of its own by which any library verifies what it signs.

use std::{sync::Arc, time::Duration};

use aws_lc_rs::rand;
use base64_simd::URL_SAFE_NO_PAD;
use bytes::Bytes;
use doorward_accounts::{Accounts, KeyRing, KeySetName, KeysError, NoRandomness, SignError};
use doorward_core::{SecretString, Timestamp, request::is_among};
use doorward_jose::{Algorithm, Claims, VerifiedClaims};
use http::{
    HeaderValue, Method, Response, StatusCode,
    header::{
        ACCESS_CONTROL_ALLOW_ORIGIN, ALLOW, CACHE_CONTROL, CONTENT_TYPE, RETRY_AFTER, X_CONTENT_TYPE_OPTIONS,
    },
};
use serde_json::{Value, json};
use url::Url;

/// The `typ` of access tokens (RFC 9068 section 2.1).
pub const ACCESS_TYPE: &str = "at+jwt";
/// The `typ` of what tells an application who asks. No door takes it for a bearer token.
pub const IDENTITY_TYPE: &str = "gw-id+jwt";

/// How the gateway signs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IssuerConfig {
    /// The issuer identifier, e.g. `https://auth.example.com/gateway`: no query, no fragment, no slash at the end.
    pub issuer: String,
    /// Where its documents are; empty: on all hosts.
    pub hosts: Vec<String>,
    /// What is signed with where nothing else is said. The accounts need keys for it.
    pub algorithm: Algorithm,
    pub pomerium_keys: PomeriumKeys,
}

/// Whether the keys are found where applications made for Pomerium look for them, which is on every host.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum PomeriumKeys {
    Served,
    #[default]
    NotServed,
}

/// The issuer identifier is none.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "the issuer of the gateway is no address to find keys at; write it like https://auth.example.com/gateway"
)]
pub struct InvalidIssuerUrl;

/// Why nothing was signed, or nothing verified.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum MintError {
    #[error(transparent)]
    Keys(#[from] KeysError),
    #[error(transparent)]
    Sign(#[from] SignError),
    #[error(transparent)]
    Randomness(#[from] NoRandomness),
}

/// A document of the gateway, for everybody.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Document {
    /// `OpenID Connect` Discovery and RFC 8414.
    Metadata,
    /// RFC 7517.
    Keys,
}

/// The gateway as an issuer. Share it in an `Arc`.
#[derive(Debug)]
pub struct Issuer {
    config: IssuerConfig,
    /// The path of the identifier, without a slash at the end.
    path: String,
    accounts: Arc<Accounts>,
}

impl Issuer {
    /// An issuer whose keys are the gateway's in `accounts`. Nothing is asked of the store yet.
    pub fn new(config: IssuerConfig, accounts: Arc<Accounts>) -> Result<Self, InvalidIssuerUrl> {
        let url = Url::parse(&config.issuer).map_err(|_| InvalidIssuerUrl)?;
        let is_plain = url.has_host() && url.query().is_none() && url.fragment().is_none();
        if !is_plain || config.issuer.ends_with('/') {
            return Err(InvalidIssuerUrl);
        }
        Ok(Self { path: url.path().trim_end_matches('/').to_owned(), config, accounts })
    }

    /// The identifier, as it stands in `iss`.
    pub fn as_str(&self) -> &str {
        &self.config.issuer
    }

    /// What is signed with where nothing else is said.
    pub const fn algorithm(&self) -> Algorithm {
        self.config.algorithm
    }

    pub const fn accounts(&self) -> &Arc<Accounts> {
        &self.accounts
    }

    /// The document at `path` (without query) on `host` (with or without port), if there is one.
    pub fn find(&self, host: &str, path: &str) -> Option<Document> {
        const POMERIUM: &str = "/.well-known/pomerium/jwks.json";
        if path == POMERIUM && self.config.pomerium_keys == PomeriumKeys::Served {
            return Some(Document::Keys);
        }
        if !is_among(host, &self.config.hosts) {
            return None;
        }
        match path.strip_prefix(self.path.as_str()) {
            Some("/.well-known/openid-configuration" | "/.well-known/oauth-authorization-server") => {
                return Some(Document::Metadata);
            }
            // The second is where applications made for Cloudflare Access look.
            Some("/.well-known/jwks.json" | "/cdn-cgi/access/certs") => return Some(Document::Keys),
            Some(_) | None => (),
        }
        // The inserted form (RFC 8414 section 3.1).
        let inserted = path.strip_suffix(self.path.as_str()).filter(|_| !self.path.is_empty())?;
        let is_metadata = matches!(
            inserted,
            "/.well-known/oauth-authorization-server" | "/.well-known/openid-configuration"
        );
        is_metadata.then_some(Document::Metadata)
    }

    /// Answers a request for a document. It never fails: an error is an answer.
    pub async fn answer(&self, document: Document, method: &Method, now: Timestamp) -> Response<Bytes> {
        if method != Method::GET && method != Method::HEAD {
            let mut answer = plain(StatusCode::METHOD_NOT_ALLOWED);
            answer.headers_mut().insert(ALLOW, HeaderValue::from_static("GET, HEAD"));
            return answer;
        }
        let content = match document {
            Document::Metadata => self.metadata(),
            Document::Keys => match self.accounts.keys_of(KeySetName::Gateway, now).await {
                Ok(keys) => keys.jwks(now),
                Err(why) => return unavailable(&why),
            },
        };
        let body = if method == Method::HEAD { Bytes::new() } else { content.to_string().into() };
        let mut answer = plain(StatusCode::OK);
        *answer.body_mut() = body;
        let headers = answer.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        // A new key is published for longer than this before it signs.
        headers.insert(CACHE_CONTROL, HeaderValue::from_static("public, max-age=3600"));
        headers.insert(ACCESS_CONTROL_ALLOW_ORIGIN, HeaderValue::from_static("*"));
        answer
    }

    fn metadata(&self) -> Value {
        let algorithms: Vec<&str> =
            self.accounts.rules().gateway_algorithms.iter().map(|algorithm| algorithm.name()).collect();
        json!({
            "issuer": self.as_str(),
            "jwks_uri": format!("{}/.well-known/jwks.json", self.as_str()),
            "id_token_signing_alg_values_supported": algorithms,
            "subject_types_supported": ["public"],
            // Nobody signs in here.
            "response_types_supported": [],
        })
    }

    /// Signs `claims` as this issuer: `iss`, `iat` and `exp` are set here, and `jti` unless it is there. `exp` may not be
    /// later than keys are published for.
    pub async fn mint(
        &self,
        (algorithm, typ): (Algorithm, &str),
        mut claims: Claims,
        expires: Timestamp,
        now: Timestamp,
    ) -> Result<SecretString, MintError> {
        let keys = self.accounts.keys_of(KeySetName::Gateway, now).await?;
        claims.insert("iss".to_owned(), self.as_str().into());
        sign(&keys, (algorithm, typ), claims, (expires, now))
    }

    /// Verifies what this issuer signed, whatever its `typ`; what the claims say is still to be checked. `None`: it
    /// did not.
    pub async fn verify(&self, token: &str, now: Timestamp) -> Result<Option<VerifiedClaims>, KeysError> {
        let keys = self.accounts.keys_of(KeySetName::Gateway, now).await?;
        let verified = keys.verify(token, now).ok();
        Ok(verified.filter(|token| token.claims().get("iss").and_then(Value::as_str) == Some(self.as_str())))
    }

    pub(crate) async fn keys(&self, now: Timestamp) -> Result<Arc<KeyRing>, KeysError> {
        self.accounts.keys_of(KeySetName::Gateway, now).await
    }
}

/// Signs claims that name their issuer.
pub(crate) fn sign(
    keys: &KeyRing,
    (algorithm, typ): (Algorithm, &str),
    mut claims: Claims,
    (expires, now): (Timestamp, Timestamp),
) -> Result<SecretString, MintError> {
    claims.insert("iat".to_owned(), now.seconds.into());
    claims.insert("exp".to_owned(), expires.seconds.into());
    if !claims.contains_key("jti") {
        claims.insert("jti".to_owned(), random_text()?.into());
    }
    Ok(keys.sign(algorithm, typ, &claims, now)?)
}

/// 128 random bits in base64url.
fn random_text() -> Result<String, NoRandomness> {
    let mut bytes = [0; 16];
    rand::fill(&mut bytes).map_err(|_| NoRandomness)?;
    Ok(URL_SAFE_NO_PAD.encode_to_string(bytes))
}

/// The end of something that lasts for `life` from now, but not beyond `latest`. Whole seconds, as tokens count them.
pub(crate) fn ends(now: Timestamp, life: Duration, latest: Option<Timestamp>) -> Timestamp {
    let ends = now.truncated().saturating_add(life).truncated();
    latest.map_or(ends, |latest| ends.min(latest.truncated()))
}

fn unavailable(why: &KeysError) -> Response<Bytes> {
    tracing::error!(reason = %why, "the keys of the gateway cannot be published");
    let mut answer = plain(StatusCode::SERVICE_UNAVAILABLE);
    answer.headers_mut().insert(RETRY_AFTER, HeaderValue::from_static("5"));
    answer
}

fn plain(status: StatusCode) -> Response<Bytes> {
    let mut answer = Response::new(Bytes::new());
    *answer.status_mut() = status;
    let headers = answer.headers_mut();
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    answer
}

#[cfg(test)]
mod tests;
