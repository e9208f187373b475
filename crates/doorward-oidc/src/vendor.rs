//! What providers do that no standard says: whom their own API describes, and how it wants to be asked
//! (`providers.md` section 4). One file a provider, or a group of alike ones; here it is only told which of them is meant.
//! What a provider's API says is believed because it came over the connection to it, and for the access token that we
//! got there ourselves; never for a token that somebody presents.

mod cidaas;
mod google;
mod microsoft;
mod profile;

use std::{borrow::Cow, time::Duration};

use doorward_core::{Identity, SecretString, Timestamp, Tokens};
use doorward_jose::Claims;
use http::header;
use serde_json::Value;
use url::Url;

use crate::{
    config::{Config, ProviderKind},
    discovery::Metadata,
    http::{Answer, HttpClient, HttpError},
    identify::IdentifyError,
    printable::printable,
    provider::Shared,
};

pub(crate) use self::{google::TokenCache, microsoft::Tenants};
pub use self::{
    google::{
        Google, GoogleDirectory, UserScope,
        credentials::{
            DefaultCredentials, GoogleCredentials, GoogleEndpoints, InvalidGoogleCredentials, ServiceAccount,
            Workload,
        },
    },
    microsoft::{Azure, EntraId},
};

/// Why a provider's API named nobody.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum VendorError {
    #[error("asking the provider for {what}: {fault}")]
    Api { what: &'static str, fault: ApiFault },
    #[error(transparent)]
    Identify(#[from] IdentifyError),
    /// The user is known and is not one of those that the configuration admits. The words are for the log.
    #[error("{0}")]
    Restricted(String),
}

/// What went wrong with one request to a provider's API.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ApiFault {
    #[error(transparent)]
    Http(#[from] HttpError),
    #[error("it answered with status {0}")]
    Status(u16),
    #[error("it allows no more requests for now")]
    RateLimited,
    /// It refuses us, in its own words.
    #[error("{0}")]
    Refused(String),
    #[error("its answer is not what it promises: {0}")]
    Malformed(String),
}

impl VendorError {
    /// It may work the next time, and says nothing about the user.
    pub(crate) const fn is_passing(&self) -> bool {
        match self {
            Self::Api { fault: ApiFault::Status(status), .. } => *status >= 500,
            Self::Api {
                fault: ApiFault::Http(_) | ApiFault::RateLimited | ApiFault::Malformed(_), ..
            } => true,
            Self::Api { fault: ApiFault::Refused(_), .. } | Self::Identify(_) | Self::Restricted(_) => false,
        }
    }
}

/// How a provider's API wants to see the access token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Presentation {
    /// `Authorization: Bearer …` (RFC 6750 section 2.1).
    Bearer,
    /// The parameter `access_token` of the query (RFC 6750 section 2.3), where nothing else is understood.
    Query,
}

/// A provider's API, asked in the name of one user.
#[derive(Clone, Copy)]
pub(crate) struct Api<'a> {
    http: &'a HttpClient,
    pub(crate) config: &'a Config,
    pub(crate) profile: Option<&'a Url>,
    access: &'a SecretString,
}

impl Api<'_> {
    /// The JSON document at `url`; `what` names it in errors.
    pub(crate) async fn json(&self, what: &'static str, url: &Url) -> Result<Value, VendorError> {
        self.json_under(what, url, &[]).await
    }

    /// As [`Api::json`], with further headers.
    pub(crate) async fn json_under(
        &self,
        what: &'static str,
        url: &Url,
        headers: &[(&str, &str)],
    ) -> Result<Value, VendorError> {
        self.ask(url, headers)
            .await
            .and_then(|answer| document(&answer))
            .map_err(|fault| VendorError::Api { what, fault })
    }

    async fn ask(&self, url: &Url, headers: &[(&str, &str)]) -> Result<Answer, ApiFault> {
        let (url, header) = present(presentation(&self.config.kind), url.clone(), self.access);
        let mut request = self.http.get(url).header(header::ACCEPT, "application/json");
        if let Some(header) = &header {
            request = request.header(header::AUTHORIZATION, header.expose().as_str());
        }
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let answer = self.http.send(request).await?;
        match answer.status.as_u16() {
            200..=299 => Ok(answer),
            429 => Err(ApiFault::RateLimited),
            // The way of GitHub and others.
            403 if answer.headers.get("x-ratelimit-remaining").is_some_and(|left| left == "0") => {
                Err(ApiFault::RateLimited)
            }
            status => Err(ApiFault::Status(status)),
        }
    }
}

fn document(answer: &Answer) -> Result<Value, ApiFault> {
    serde_json::from_slice(&answer.body)
        .map_err(|error| ApiFault::Malformed(printable(&error.to_string(), 200)))
}

/// The URL and the value of `Authorization` that present an access token.
pub(crate) fn present(how: Presentation, mut url: Url, access: &SecretString) -> (Url, Option<SecretString>) {
    match how {
        Presentation::Query => {
            url.query_pairs_mut().append_pair("access_token", access.expose());
            (url, None)
        }
        Presentation::Bearer => (url, Some(format!("Bearer {}", access.expose()).into())),
    }
}

/// How the validate URL and the API of a kind of provider are asked.
pub(crate) const fn presentation(kind: &ProviderKind) -> Presentation {
    match kind {
        ProviderKind::Google(_) => Presentation::Query,
        ProviderKind::Oidc
        | ProviderKind::KeycloakOidc
        | ProviderKind::Doorward
        | ProviderKind::Adfs
        | ProviderKind::Azure(_)
        | ProviderKind::Cidaas
        | ProviderKind::DigitalOcean
        | ProviderKind::EntraId(_)
        | ProviderKind::LoginGov => Presentation::Bearer,
    }
}

impl Shared {
    /// Whom the API of a provider without ID tokens describes.
    pub(crate) async fn described(
        &self,
        tokens: &Tokens,
        metadata: &Metadata,
    ) -> Result<Identity, VendorError> {
        let missing = VendorError::Api {
            what: "the user",
            fault: ApiFault::Malformed("there is no access token".to_owned()),
        };
        let access = tokens.access.as_ref().ok_or(missing)?;
        let api = Api { http: &self.http, config: &self.config, profile: metadata.profile.as_ref(), access };
        match &self.config.kind {
            ProviderKind::DigitalOcean => profile::digital_ocean(api).await,
            // They have ID tokens, and never come here.
            ProviderKind::Oidc
            | ProviderKind::KeycloakOidc
            | ProviderKind::Doorward
            | ProviderKind::Adfs
            | ProviderKind::Azure(_)
            | ProviderKind::Cidaas
            | ProviderKind::EntraId(_)
            | ProviderKind::Google(_)
            | ProviderKind::LoginGov => Err(IdentifyError::SubjectMissing.into()),
        }
    }

    /// Adds to a believed identity what only the API of its kind of provider says. An error at a login refuses it; at a
    /// refresh, one that passes leaves the identity as it was.
    pub(crate) async fn enrich(&self, identity: Identity, known: Known<'_>) -> Result<Identity, VendorError> {
        let enriched = self.enriched(identity, known);
        tokio::time::timeout(WHOLE_TIME, enriched)
            .await
            .unwrap_or(Err(VendorError::Api { what: "groups", fault: ApiFault::Http(HttpError::TimedOut) }))
    }

    async fn enriched(&self, identity: Identity, known: Known<'_>) -> Result<Identity, VendorError> {
        let Known { claims, profile, access, metadata, now } = known;
        let api = Api { http: &self.http, config: &self.config, profile: metadata.profile.as_ref(), access };
        match &self.config.kind {
            ProviderKind::EntraId(_) => microsoft::entra_id(api, identity, claims).await,
            ProviderKind::Azure(settings) => {
                microsoft::azure((api, settings), identity, (claims, metadata.login.as_ref())).await
            }
            ProviderKind::Cidaas => match profile.or(claims) {
                Some(told) => cidaas::with_groups(identity, told, &self.config.groups_claim),
                None => Ok(identity),
            },
            ProviderKind::Google(settings) => {
                let asking = google::Asking { http: &self.http, cache: &self.directory_token, now };
                google::enrich(settings, identity, asking).await
            }
            _ => Ok(identity),
        }
    }

    /// Whether the profile has to be asked although an ID token may say all; nothing if that depends on the ID token.
    pub(crate) const fn demands_profile(&self) -> bool {
        matches!(self.config.kind, ProviderKind::Cidaas)
    }

    /// The scope to ask for.
    pub(crate) fn scope<'a>(config: &'a Config, metadata: &Metadata) -> Cow<'a, str> {
        match config.kind {
            ProviderKind::Azure(_) => microsoft::azure_scope(&config.scope, metadata).into(),
            _ => Cow::Borrowed(&config.scope),
        }
    }

    /// The parameter `resource`, of login and redemption alike.
    pub(crate) fn resource<'a>(config: &'a Config, metadata: &Metadata) -> Option<&'a str> {
        match &config.kind {
            ProviderKind::Azure(settings) => microsoft::azure_resource(settings, metadata),
            _ => None,
        }
    }
}

/// What is known of somebody besides the identity that an ID token gave.
#[derive(Clone, Copy)]
pub(crate) struct Known<'a> {
    /// The claims of the ID token; nothing if a refresh brought none.
    pub(crate) claims: Option<&'a Claims>,
    /// The answer of the userinfo endpoint, if it was asked.
    pub(crate) profile: Option<&'a Claims>,
    pub(crate) access: &'a SecretString,
    pub(crate) metadata: &'a Metadata,
    pub(crate) now: Timestamp,
}

/// For all requests about one user together, however many pages there are.
const WHOLE_TIME: Duration = Duration::from_secs(30);

#[cfg(test)]
mod tests;
#[cfg(test)]
mod tests_of_id_tokens;
