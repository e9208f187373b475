//! Reading the provider's metadata (OIDC Discovery 1.0) and joining them with the configuration.
//! Mistakes that only an operator can mend are told apart from failures that pass.

use std::{path::PathBuf, time::Duration};

use doorward_jose::{Algorithm, InvalidKeySet};
use serde_json::{Map, Value};
use url::Url;

use crate::{
    client_authentication::ClientAuth,
    config::{Config, Discovery, IssuerCheck, KeySource, Protocol, ProviderKind, PushedRequests},
    http::{HttpClient, HttpError},
    printable::printable,
};

/// A mistake that waiting does not mend; the program should not start with it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ConnectError {
    #[error(
        "the provider's metadata name the issuer {found:?}, configured is {expected:?}; \
         configure the issuer exactly as the provider spells it"
    )]
    IssuerMismatch { expected: String, found: String },
    #[error(
        "no common signing algorithm: the provider offers [{offered}], enabled and verifiable are [{enabled}]"
    )]
    NoCommonAlgorithm { offered: String, enabled: String },
    #[error("the provider's certificate is not trusted: {reason}")]
    UntrustedCertificate { reason: String },
    #[error("the {name} {url:?} is not an absolute http or https URL")]
    InvalidUrl { name: &'static str, url: String },
    #[error("without discovery the provider's keys must come from an address or from files")]
    NoKeySource,
    #[error("the public key file number {position} cannot be used: {reason}")]
    PublicKeyFile { position: usize, reason: InvalidKeySet },
    #[error("the client secret file {} cannot be read: {reason}", path.display())]
    ClientSecretFile { path: PathBuf, reason: String },
    #[error("the file {} with the assertion about this client cannot be used: {reason}", path.display())]
    AssertionFile { path: PathBuf, reason: String },
    #[error("the client secret is shorter than 32 bytes, too short to sign with it (client_secret_jwt)")]
    ShortSecret,
    #[error("there is no certificate that proves who this client is (tls_client_auth)")]
    NoClientIdentity,
    #[error("the client certificate {} and its key cannot be used: {reason}", path.display())]
    ClientIdentity { path: PathBuf, reason: String },
    #[error("the provider takes no pushed authorization requests, or its metadata do not say where")]
    NoPushedRequests,
    #[error("the provider does not offer DPoP with {wanted}; its metadata list [{offered}]")]
    NoDpop { wanted: Algorithm, offered: String },
    #[error("the provider CA file {} cannot be used: {reason}", path.display())]
    CaFile { path: PathBuf, reason: String },
    #[error("TLS towards the provider cannot be set up: {reason}")]
    Tls { reason: String },
}

/// Why metadata are not there.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum DiscoveryError {
    #[error("{0}")]
    Lasting(ConnectError),
    #[error("{0}")]
    Passing(String),
}

/// The endpoints as the operator wrote them, proven to be URLs.
#[derive(Clone, Debug)]
pub(crate) struct Written {
    login: Option<Url>,
    redeem: Option<Url>,
    profile: Option<Url>,
    keys: Option<Url>,
    pub(crate) validate: Option<Url>,
}

impl Written {
    pub(crate) fn parse(config: &Config) -> Result<Self, ConnectError> {
        let keys = match &config.keys {
            KeySource::Url(url) => Some(url),
            KeySource::Discovered | KeySource::Pem(_) | KeySource::None => None,
        };
        Ok(Self {
            login: endpoint("login URL", config.login_url.as_ref())?,
            redeem: endpoint("redeem URL", config.redeem_url.as_ref())?,
            profile: endpoint("profile URL", config.profile_url.as_ref())?,
            keys: endpoint("JWKS URL", keys)?,
            validate: endpoint("validate URL", config.validate_url.as_ref())?,
        })
    }
}

/// All that one login, token request or verification needs to know about the provider.
#[derive(Clone, Debug)]
pub(crate) struct Metadata {
    pub(crate) login: Option<Url>,
    pub(crate) redeem: Option<Url>,
    pub(crate) profile: Option<Url>,
    pub(crate) keys: Option<Url>,
    /// Where browsers end their session (RP-Initiated Logout 1.0 section 2.1).
    pub(crate) end_session: Option<Url>,
    /// Where tokens are taken back (RFC 8414 section 2).
    pub(crate) revocation: Option<Url>,
    /// Where login requests are pushed to, if they are.
    pub(crate) pushed: Option<Url>,
    pub(crate) algorithms: Vec<Algorithm>,
    pub(crate) offers_s256: bool,
    pub(crate) offers_account_choice: bool,
    pub(crate) client_auth: ClientAuth,
    pub(crate) response_issuer: ResponseIssuer,
}

/// Whether authorization responses name their issuer (RFC 9207 section 3).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ResponseIssuer {
    /// All do.
    Promised,
    /// Some may.
    NotPromised,
}

impl Metadata {
    /// What is known without discovery.
    pub(crate) fn from_config(config: &Config, written: &Written) -> Result<Self, ConnectError> {
        if config.keys == KeySource::Discovered {
            return Err(ConnectError::NoKeySource);
        }
        Ok(Self {
            login: written.login.clone(),
            redeem: written.redeem.clone(),
            profile: written.profile.clone(),
            keys: written.keys.clone(),
            end_session: None,
            revocation: None,
            pushed: None,
            algorithms: algorithms(&config.enabled_algorithms, &[])?,
            offers_s256: false,
            offers_account_choice: false,
            client_auth: match (config.kind.protocol(), &config.kind) {
                // What providers without metadata understand.
                (Protocol::OAuth2, _)
                | (_, ProviderKind::Google(_) | ProviderKind::Azure(_) | ProviderKind::LoginGov) => {
                    ClientAuth::Post
                }
                (Protocol::OpenIdConnect, _) => ClientAuth::Basic,
            },
            response_issuer: ResponseIssuer::NotPromised,
        })
    }

    /// Issuers that only machines use, such as clusters, need not have endpoints for a login.
    const fn for_keys(keys: Option<Url>, algorithms: Vec<Algorithm>) -> Self {
        Self {
            login: None,
            redeem: None,
            profile: None,
            keys,
            end_session: None,
            revocation: None,
            pushed: None,
            algorithms,
            offers_s256: false,
            offers_account_choice: false,
            client_auth: ClientAuth::Basic,
            response_issuer: ResponseIssuer::NotPromised,
        }
    }

    /// Fetches the metadata document and reads it. `limit` shortens the usual time limit.
    pub(crate) async fn discover(
        config: &Config,
        written: &Written,
        http: &HttpClient,
        limit: Option<Duration>,
    ) -> Result<Self, DiscoveryError> {
        let url = document_url(&config.issuer).map_err(DiscoveryError::Lasting)?;
        let answer = http.document(&url, limit).await.map_err(|error| match error {
            HttpError::Certificate { reason } => {
                DiscoveryError::Lasting(ConnectError::UntrustedCertificate { reason })
            }
            passing => DiscoveryError::Passing(passing.to_string()),
        })?;
        if answer.status.as_u16() != 200 {
            let status = answer.status.as_u16();
            return Err(DiscoveryError::Passing(format!("the metadata were answered with status {status}")));
        }
        Self::of_document(config, written, &answer.body)
    }

    pub(crate) fn of_document(
        config: &Config,
        written: &Written,
        document: &[u8],
    ) -> Result<Self, DiscoveryError> {
        match serde_json::from_slice(document) {
            Ok(Value::Object(document)) => Self::read(config, written, &document),
            _ => Err(DiscoveryError::Passing("the metadata are not a JSON object".to_owned())),
        }
    }

    fn read(
        config: &Config,
        written: &Written,
        document: &Map<String, Value>,
    ) -> Result<Self, DiscoveryError> {
        let document = &with_aliases(config, document);
        let found = document.get("issuer").and_then(Value::as_str).unwrap_or_default();
        if config.issuer_check == IssuerCheck::Exact && found != config.issuer {
            let (expected, found) = (config.issuer.clone(), printable(found, 300));
            return Err(DiscoveryError::Lasting(ConnectError::IssuerMismatch { expected, found }));
        }
        warn_of_method(config, document);
        check_dpop(config, document).map_err(DiscoveryError::Lasting)?;
        let algorithms =
            algorithms(&config.enabled_algorithms, &list(document, "id_token_signing_alg_values_supported"))
                .map_err(DiscoveryError::Lasting)?;
        let keys = match (&config.keys, config.discovery) {
            (KeySource::Discovered, _) | (KeySource::Url(_), Discovery::ForKeys) => {
                Some(needed(document, "jwks_uri", None)?)
            }
            (KeySource::Url(_) | KeySource::Pem(_) | KeySource::None, _) => written.keys.clone(),
        };
        if config.discovery == Discovery::ForKeys {
            return Ok(Self::for_keys(keys, algorithms));
        }
        Ok(Self {
            login: Some(needed(document, "authorization_endpoint", written.login.as_ref())?),
            redeem: Some(needed(document, "token_endpoint", written.redeem.as_ref())?),
            profile: discovered(document, "userinfo_endpoint")?.or_else(|| written.profile.clone()),
            keys,
            end_session: optional(document, "end_session_endpoint"),
            revocation: optional(document, "revocation_endpoint"),
            pushed: pushed(config, document)?,
            algorithms,
            offers_s256: list(document, "code_challenge_methods_supported").contains(&"S256"),
            offers_account_choice: list(document, "prompt_values_supported").contains(&"select_account"),
            client_auth: client_auth(&list(document, "token_endpoint_auth_methods_supported")),
            response_issuer: response_issuer(document),
        })
    }
}

/// Endpoints that want to know who asks, and may have another address for clients with a certificate.
const ALIASED: [&str; 5] = [
    "token_endpoint",
    "revocation_endpoint",
    "introspection_endpoint",
    "pushed_authorization_request_endpoint",
    "userinfo_endpoint",
];

/// The metadata as a client with a certificate reads them (RFC 8705 section 5).
fn with_aliases(config: &Config, document: &Map<String, Value>) -> Map<String, Value> {
    let mut document = document.clone();
    let aliases = document.get("mtls_endpoint_aliases").and_then(Value::as_object).cloned();
    if config.http.client_identity.is_some() {
        let aliases = aliases.into_iter().flatten();
        document.extend(aliases.filter(|(name, _)| ALIASED.contains(&name.as_str())));
    }
    document
}

/// Where login requests are pushed to; nowhere if nobody wants that.
fn pushed(config: &Config, document: &Map<String, Value>) -> Result<Option<Url>, DiscoveryError> {
    let is_required = document.get("require_pushed_authorization_requests") == Some(&Value::Bool(true));
    if !is_required && config.pushed_requests == PushedRequests::WhereRequired {
        return Ok(None);
    }
    let endpoint = discovered(document, "pushed_authorization_request_endpoint")?;
    endpoint.map(Some).ok_or(DiscoveryError::Lasting(ConnectError::NoPushedRequests))
}

/// Proofs that the provider does not look at would protect nothing (RFC 9449 section 5.1).
fn check_dpop(config: &Config, document: &Map<String, Value>) -> Result<(), ConnectError> {
    let Some(key) = &config.dpop else { return Ok(()) };
    let (wanted, offered) = (key.algorithm(), list(document, "dpop_signing_alg_values_supported"));
    if config.discovery == Discovery::ForKeys || offered.contains(&wanted.name()) {
        return Ok(());
    }
    Err(ConnectError::NoDpop { wanted, offered: printable(&offered.join(" "), 300) })
}

/// Says so if the provider does not list the way in which we prove who we are. It may work all the same.
fn warn_of_method(config: &Config, document: &Map<String, Value>) {
    let offered = list(document, "token_endpoint_auth_methods_supported");
    let Some(method) = config.client_authentication.method() else { return };
    if !offered.is_empty() && !offered.contains(&method) {
        let offered = printable(&offered.join(" "), 300);
        tracing::warn!(method, offered, "the provider does not list this client authentication");
    }
}

/// Where the metadata are: below the issuer, of which one trailing slash is dropped.
pub(crate) fn document_url(issuer: &str) -> Result<Url, ConnectError> {
    let base = issuer.strip_suffix('/').unwrap_or(issuer);
    parse_endpoint(&format!("{base}/.well-known/openid-configuration"))
        .ok_or_else(|| ConnectError::InvalidUrl { name: "issuer URL", url: issuer.to_owned() })
}

fn endpoint(name: &'static str, written: Option<&String>) -> Result<Option<Url>, ConnectError> {
    match written.filter(|url| !url.is_empty()) {
        None => Ok(None),
        Some(url) => match parse_endpoint(url) {
            Some(url) => Ok(Some(url)),
            None => Err(ConnectError::InvalidUrl { name, url: printable(url, 300) }),
        },
    }
}

fn parse_endpoint(url: &str) -> Option<Url> {
    Url::parse(url).ok().filter(|url| matches!(url.scheme(), "http" | "https") && url.has_host())
}

fn discovered(document: &Map<String, Value>, name: &'static str) -> Result<Option<Url>, DiscoveryError> {
    match document.get(name) {
        None | Some(Value::Null) => Ok(None),
        Some(value) => value
            .as_str()
            .and_then(parse_endpoint)
            .map(Some)
            .ok_or_else(|| DiscoveryError::Passing(format!("the {name} in the metadata is not a URL"))),
    }
}

/// An endpoint that logins do without: one that cannot be read is none.
fn optional(document: &Map<String, Value>, name: &'static str) -> Option<Url> {
    discovered(document, name).unwrap_or_else(|reason| {
        tracing::warn!(%reason, "an endpoint of the provider is not used");
        None
    })
}

fn needed(
    document: &Map<String, Value>,
    name: &'static str,
    written: Option<&Url>,
) -> Result<Url, DiscoveryError> {
    discovered(document, name)?
        .or_else(|| written.cloned())
        .ok_or_else(|| DiscoveryError::Passing(format!("the metadata name no {name}")))
}

fn list<'a>(document: &'a Map<String, Value>, name: &str) -> Vec<&'a str> {
    match document.get(name) {
        Some(Value::Array(items)) => items.iter().filter_map(Value::as_str).collect(),
        _ => Vec::new(),
    }
}

/// Enabled and offered algorithms in common; whichever is empty does not restrict; neither: RS256.
fn algorithms(enabled: &[Algorithm], offered: &[&str]) -> Result<Vec<Algorithm>, ConnectError> {
    let known: Vec<Algorithm> = offered.iter().filter_map(|name| name.parse().ok()).collect();
    let wanted = match (enabled, offered) {
        ([], []) => vec![Algorithm::Rs256],
        (enabled, []) => enabled.to_vec(),
        ([], _) => known,
        (enabled, _) => known.into_iter().filter(|algorithm| enabled.contains(algorithm)).collect(),
    };
    let usable: Vec<Algorithm> = wanted.into_iter().filter(|algorithm| algorithm.is_verifiable()).collect();
    if usable.is_empty() {
        let enabled: Vec<&str> = enabled.iter().map(|algorithm| algorithm.name()).collect();
        return Err(ConnectError::NoCommonAlgorithm {
            offered: printable(&offered.join(" "), 300),
            enabled: enabled.join(" "),
        });
    }
    Ok(usable)
}

fn response_issuer(document: &Map<String, Value>) -> ResponseIssuer {
    match document.get("authorization_response_iss_parameter_supported") {
        Some(Value::Bool(true)) => ResponseIssuer::Promised,
        _ => ResponseIssuer::NotPromised,
    }
}

/// How to prove who we are, by what the provider lists; Basic is its default (Discovery section 3).
fn client_auth(methods: &[&str]) -> ClientAuth {
    let offers = |method: &str| methods.contains(&method);
    if !offers("client_secret_basic") && (offers("client_secret_post") || offers("none")) {
        ClientAuth::Post
    } else {
        ClientAuth::Basic
    }
}

#[cfg(test)]
mod tests;
