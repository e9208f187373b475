//! The keys of an issuer whose tokens we only verify: found by its metadata or at a written address, kept for hours, and
//! fetched again in the background before they are too old.

use std::time::Duration;

use url::{Host, Url};

use crate::{
    discovery::{self, ConnectError},
    http::{HttpClient, HttpConfig},
};

/// Where keys come from, and for how long they count.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IssuerKeysConfig {
    /// As written; compared letter by letter with the metadata.
    pub issuer: String,
    /// The key set; `None`: where the metadata say.
    pub jwks_uri: Option<Url>,
    /// At most [`IssuerKeys::LONGEST_AGE`].
    pub max_age: Duration,
    pub http: HttpConfig,
}

/// Why there can be no keys.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidIssuerKeys {
    #[error(transparent)]
    Connect(#[from] ConnectError),
    #[error("keys from {0} could be anybody's on the way; write an https address")]
    InClear(Url),
    #[error("keys of {} seconds are too old; at most {} are possible", .0.as_secs(), IssuerKeys::LONGEST_AGE.as_secs())]
    Age(Duration),
}

/// The keys of one issuer.
#[derive(Debug)]
pub struct IssuerKeys {
    config: IssuerKeysConfig,
    http: HttpClient,
}

impl IssuerKeys {
    pub const LONGEST_AGE: Duration = Duration::from_hours(2);

    /// Fetches nothing yet.
    pub fn new(config: IssuerKeysConfig) -> Result<Self, InvalidIssuerKeys> {
        let url = match &config.jwks_uri {
            Some(url) => url.clone(),
            None => discovery::document_url(&config.issuer)?,
        };
        if !is_safe(&url) {
            return Err(InvalidIssuerKeys::InClear(url));
        }
        if config.max_age > Self::LONGEST_AGE {
            return Err(InvalidIssuerKeys::Age(config.max_age));
        }
        let http = HttpClient::new(&config.http)?;
        Ok(Self { config, http })
    }

    pub fn issuer(&self) -> &str {
        let _ = &self.http;
        &self.config.issuer
    }
}

/// Nobody on the way can change what comes from there.
pub fn is_safe(url: &Url) -> bool {
    url.scheme() == "https" || (url.scheme() == "http" && is_loopback(url))
}

fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(Host::Domain(name)) => name == "localhost",
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        None => false,
    }
}
