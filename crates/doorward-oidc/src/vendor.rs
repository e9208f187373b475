//! What providers do that no standard says: whom their own API describes, and how it wants to be asked
//! (`providers.md` section 4). One file a provider, or a group of alike ones; here it is only told which of them is meant.
//! What a provider's API says is believed because it came over the connection to it, and for the access token that we
//! got there ourselves; never for a token that somebody presents.

mod profile;

use doorward_core::{Identity, SecretString, Tokens};
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
            Self::Identify(_) | Self::Restricted(_) => false,
        }
    }
}

/// How a provider's API wants to see the access token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Presentation {
    /// `Authorization: Bearer …` (RFC 6750 section 2.1).
    Bearer,
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
        self.ask(url)
            .await
            .and_then(|answer| document(&answer))
            .map_err(|fault| VendorError::Api { what, fault })
    }

    async fn ask(&self, url: &Url) -> Result<Answer, ApiFault> {
        let (url, header) = present(presentation(&self.config.kind), url.clone(), self.access);
        let mut request = self.http.get(url).header(header::ACCEPT, "application/json");
        if let Some(header) = &header {
            request = request.header(header::AUTHORIZATION, header.expose().as_str());
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
pub(crate) fn present(how: Presentation, url: Url, access: &SecretString) -> (Url, Option<SecretString>) {
    match how {
        Presentation::Bearer => (url, Some(format!("Bearer {}", access.expose()).into())),
    }
}

/// How the validate URL and the API of a kind of provider are asked.
pub(crate) const fn presentation(kind: &ProviderKind) -> Presentation {
    match kind {
        ProviderKind::Oidc
        | ProviderKind::KeycloakOidc
        | ProviderKind::Doorward
        | ProviderKind::DigitalOcean => Presentation::Bearer,
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
            ProviderKind::Oidc | ProviderKind::KeycloakOidc | ProviderKind::Doorward => {
                Err(IdentifyError::SubjectMissing.into())
            }
        }
    }
}

#[cfg(test)]
mod tests;
