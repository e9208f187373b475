//! What providers do that no standard says: whom their own API describes, and how it wants to be asked
//! (`providers.md` section 4). One file a provider, or a group of alike ones; here it is only told which of them is meant.
//! What a provider's API says is believed because it came over the connection to it, and for the access token that we
//! got there ourselves; never for a token that somebody presents. The token goes to the origins that the configuration
//! names, and nowhere else: redirects and further pages elsewhere are errors.

mod bitbucket;
mod cidaas;
mod facebook;
mod github;
mod gitlab;
mod google;
mod microsoft;
mod pages;
mod profile;

use std::{borrow::Cow, time::Duration};

use doorward_core::{Identity, SecretString, Timestamp, Tokens};
use doorward_jose::Claims;
use http::{Method, header};
use reqwest::RequestBuilder;
use serde_json::Value;
use url::Url;

pub(crate) use self::{
    bitbucket::DEFAULTS as BITBUCKET,
    facebook::DEFAULTS as FACEBOOK,
    github::DEFAULTS as GITHUB,
    gitlab::{DEFAULTS as GITLAB, userinfo as gitlab_userinfo},
};
pub use self::{
    bitbucket::{Bitbucket, BitbucketRepository},
    github::{Circle, GitHub, GitHubRepository, Team},
    gitlab::{GitLab, InvalidProject, Project},
};
use crate::{
    config::{Config, ProviderKind},
    discovery::Metadata,
    http::{Answer, HttpError},
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
    #[error("it names the next page on another server, which is not followed")]
    ForeignPage,
    #[error("its list is longer than anybody reads")]
    TooLong,
    /// The token of the configuration, not that of the user, was refused.
    #[error("it refused the configured {option} with status {status}")]
    OwnToken { option: &'static str, status: u16 },
}

impl VendorError {
    /// It may work the next time, and says nothing about the user.
    pub(crate) const fn is_passing(&self) -> bool {
        match self {
            Self::Api { fault: ApiFault::Status(status), .. } => *status >= 500,
            Self::Api {
                fault:
                    ApiFault::Http(_)
                    | ApiFault::RateLimited
                    | ApiFault::Malformed(_)
                    | ApiFault::ForeignPage
                    | ApiFault::TooLong
                    | ApiFault::OwnToken { .. },
                ..
            } => true,
            Self::Api { fault: ApiFault::Refused(_), .. } | Self::Identify(_) | Self::Restricted(_) => false,
        }
    }

    fn malformed(what: &'static str, why: impl Into<String>) -> Self {
        Self::Api { what, fault: ApiFault::Malformed(why.into()) }
    }
}

/// How a provider's API wants to see the access token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Presentation {
    /// `Authorization: Bearer …` (RFC 6750 section 2.1).
    Bearer,
    /// The parameter `access_token` of the query (RFC 6750 section 2.3), where nothing else is understood.
    Query,
    /// `Authorization: token …`.
    Token,
}

/// A provider's API, asked in the name of one user.
#[derive(Clone, Copy)]
pub(crate) struct Api<'a> {
    shared: &'a Shared,
    pub(crate) config: &'a Config,
    pub(crate) login: Option<&'a Url>,
    pub(crate) profile: Option<&'a Url>,
    pub(crate) validate: Option<&'a Url>,
    access: &'a SecretString,
}

impl<'a> Api<'a> {
    /// The same API, asked with another token.
    fn with(self, access: &'a SecretString) -> Self {
        Self { access, ..self }
    }

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
        let mut request = self.shared.question(Method::GET, url.clone(), self.access).await;
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let answer = self.send(request).await;
        answer.and_then(|answer| document(&answer)).map_err(|fault| VendorError::Api { what, fault })
    }

    /// The JSON answer to a JSON question.
    async fn post(&self, what: &'static str, url: &Url, question: &Value) -> Result<Value, VendorError> {
        let request = self.shared.question(Method::POST, url.clone(), self.access).await;
        let request = request.header(header::CONTENT_TYPE, "application/json").body(question.to_string());
        let answer = self.send(request).await;
        answer.and_then(|answer| document(&answer)).map_err(|fault| VendorError::Api { what, fault })
    }

    async fn ask(&self, url: &Url) -> Result<Answer, ApiFault> {
        self.send(self.shared.question(Method::GET, url.clone(), self.access).await).await
    }

    async fn send(&self, request: RequestBuilder) -> Result<Answer, ApiFault> {
        let answer = self.shared.http.send(request).await?;
        match answer.status.as_u16() {
            200..=299 => Ok(answer),
            300..=399 => Err(HttpError::Redirected.into()),
            _ if is_rate_limit(&answer) => Err(ApiFault::RateLimited),
            status => Err(ApiFault::Status(status)),
        }
    }
}

/// The answer says nothing about the user or the token.
pub(crate) fn is_trouble(answer: &Answer) -> bool {
    answer.status.is_server_error() || is_rate_limit(answer)
}

/// GitHub and others also say 403 to those who ask too often.
fn is_rate_limit(answer: &Answer) -> bool {
    let tells = answer.headers.contains_key(header::RETRY_AFTER)
        || answer.headers.get("x-ratelimit-remaining").is_some_and(|left| left == "0");
    answer.status.as_u16() == 429 || (answer.status.as_u16() == 403 && tells)
}

fn document(answer: &Answer) -> Result<Value, ApiFault> {
    serde_json::from_slice(&answer.body)
        .map_err(|error| ApiFault::Malformed(printable(&error.to_string(), 200)))
}

/// The URL and the value of `Authorization` that present an access token.
pub(crate) fn present(how: Presentation, mut url: Url, access: &SecretString) -> (Url, Option<SecretString>) {
    let header = |scheme: &str| Some(format!("{scheme} {}", access.expose()).into());
    match how {
        Presentation::Query => {
            url.query_pairs_mut().append_pair("access_token", access.expose());
            (url, None)
        }
        Presentation::Bearer => (url, header("Bearer")),
        Presentation::Token => (url, header("token")),
    }
}

/// How the validate URL and the API of a kind of provider are asked.
pub(crate) const fn presentation(kind: &ProviderKind) -> Presentation {
    match kind {
        ProviderKind::GitHub(_) => Presentation::Token,
        ProviderKind::Google(_) => Presentation::Query,
        ProviderKind::Oidc
        | ProviderKind::KeycloakOidc
        | ProviderKind::Doorward
        | ProviderKind::Adfs
        | ProviderKind::Azure(_)
        | ProviderKind::Cidaas
        | ProviderKind::DigitalOcean
        | ProviderKind::EntraId(_)
        | ProviderKind::LoginGov
        | ProviderKind::GitLab(_)
        | ProviderKind::Bitbucket(_)
        | ProviderKind::Facebook
        | ProviderKind::Keycloak
        | ProviderKind::LinkedIn
        | ProviderKind::Nextcloud
        | ProviderKind::SourceHut => Presentation::Bearer,
    }
}

impl Shared {
    /// A request to the provider's API, or to the validate URL, in the name of the user of an access token.
    pub(crate) async fn question(&self, method: Method, url: Url, access: &SecretString) -> RequestBuilder {
        let kind = &self.config.kind;
        let (mut url, header) = present(presentation(kind), url, access);
        if matches!(kind, ProviderKind::Facebook) {
            facebook::prove(&mut url, access, &self.config.client_authentication).await;
        }
        let accept = if matches!(kind, ProviderKind::GitHub(_)) {
            "application/vnd.github.v3+json"
        } else {
            "application/json"
        };
        let mut request = self.http.request(method, url).header(header::ACCEPT, accept);
        if matches!(kind, ProviderKind::LinkedIn) {
            request = request.header("x-li-format", "json");
        }
        match header {
            Some(header) => request.header(header::AUTHORIZATION, header.expose().as_str()),
            None => request,
        }
    }

    fn api<'a>(&'a self, metadata: &'a Metadata, access: &'a SecretString) -> Api<'a> {
        Api {
            shared: self,
            config: &self.config,
            login: metadata.login.as_ref(),
            profile: metadata.profile.as_ref(),
            validate: self.written.validate.as_ref(),
            access,
        }
    }

    /// Whom the API of a provider without ID tokens describes.
    pub(crate) async fn described(
        &self,
        tokens: &Tokens,
        metadata: &Metadata,
    ) -> Result<Identity, VendorError> {
        let what = "the user";
        let missing = || VendorError::malformed(what, "there is no access token");
        let access = tokens.access.as_ref().ok_or_else(missing)?;
        let asked = self.ask_who(self.api(metadata, access));
        match tokio::time::timeout(WHOLE_TIME, asked).await {
            Ok(identity) => identity,
            Err(_) => Err(VendorError::Api { what, fault: HttpError::TimedOut.into() }),
        }
    }

    async fn ask_who(&self, api: Api<'_>) -> Result<Identity, VendorError> {
        match &self.config.kind {
            ProviderKind::GitHub(settings) => github::describe(api, settings).await,
            ProviderKind::Bitbucket(settings) => bitbucket::describe(api, settings).await,
            ProviderKind::DigitalOcean => profile::digital_ocean(api).await,
            ProviderKind::Facebook => facebook::describe(api).await,
            ProviderKind::Keycloak => profile::keycloak(api).await,
            ProviderKind::LinkedIn => profile::linked_in(api).await,
            ProviderKind::Nextcloud => profile::nextcloud(api).await,
            ProviderKind::SourceHut => profile::source_hut(api).await,
            // They have ID tokens, and never come here.
            ProviderKind::Oidc
            | ProviderKind::KeycloakOidc
            | ProviderKind::Doorward
            | ProviderKind::Adfs
            | ProviderKind::Azure(_)
            | ProviderKind::Cidaas
            | ProviderKind::EntraId(_)
            | ProviderKind::Google(_)
            | ProviderKind::GitLab(_)
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
        let api = self.api(metadata, access);
        match &self.config.kind {
            ProviderKind::GitLab(settings) => gitlab::enrich(api, settings, identity, profile).await,
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
        matches!(self.config.kind, ProviderKind::Cidaas | ProviderKind::GitLab(_))
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

/// A text that says something.
fn text(value: Option<&Value>) -> Option<&str> {
    value.and_then(Value::as_str).filter(|text| !text.is_empty())
}

/// A list of texts; nothing at all is an empty list.
fn texts(what: &'static str, value: Option<&Value>) -> Result<Vec<String>, VendorError> {
    let wrong = || VendorError::malformed(what, "it is not a list of texts");
    match value {
        None | Some(Value::Null) => Ok(Vec::new()),
        Some(Value::Array(items)) => {
            items.iter().map(|item| item.as_str().map(str::to_owned).ok_or_else(wrong)).collect()
        }
        Some(_) => Err(wrong()),
    }
}

/// The place below `root` that `segments` lead to; whatever they hold, each is one segment.
fn below(root: &Url, segments: &[&str]) -> Url {
    let mut url = root.clone();
    // Never an error: the configuration takes http and https alone.
    if let Ok(mut path) = url.path_segments_mut() {
        path.pop_if_empty().extend(segments);
    }
    url
}

#[cfg(test)]
mod tests;
#[cfg(test)]
mod tests_of_id_tokens;
