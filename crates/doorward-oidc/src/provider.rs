//! One identity provider, ready to be asked. Cheap to clone; its background task ends with the last clone.
//! A provider that cannot be reached at the start is waited for; a provider that was misconfigured is an error.

use std::{fmt, sync::Arc, time::Duration};

use arc_swap::ArcSwapOption;
use doorward_core::{SecretString, Timestamp};
use doorward_jose::{KeySet, SigningError};
use http::{Method, header};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use reqwest::RequestBuilder;
use tokio::{sync::Semaphore, task::JoinHandle};
use url::Url;

use crate::{
    client_authentication::{AuthMemory, Client, read_assertion, read_secret},
    config::{ClientAuthentication, Config, Discovery, IssuerCheck, KeySource, Protocol, long_enough},
    discovery::{ConnectError, DiscoveryError, Metadata, ResponseIssuer, Written},
    dpop::Dpop,
    http::{Answer, HttpClient, HttpError},
    identify::ClaimNames,
    jwks::{KeyCache, KeyFetch},
    login::{self, AuthorizationRequest, BeginError, LoginStart, Prepared, WrongIssuer},
    printable::printable,
    pushed::PUSHES,
    token_endpoint::{TokenEndpoint, TokenRequestError},
    vendor::{TokenCache, is_trouble, present, presentation},
    verify::{Believed, IdTokenError, Means, Verifier},
};

/// An identity provider we are a client of.
#[derive(Clone)]
pub struct Provider {
    inner: Arc<Inner>,
}

/// What the provider says about an access token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Validity {
    Valid,
    /// The provider was asked and did not agree.
    Refused {
        status: u16,
    },
    /// The provider could not be asked.
    Unknown,
}

impl Provider {
    /// Reads keys and certificates and tries discovery once, for a short time. Must run inside a tokio runtime.
    /// Errors are mistakes only an operator can mend. If the provider does not answer, the result is not
    /// ready and a background task goes on trying.
    pub async fn connect(config: Config) -> Result<Self, ConnectError> {
        Self::connect_at(config, Pace::default()).await
    }

    pub(crate) async fn connect_at(config: Config, pace: Pace) -> Result<Self, ConnectError> {
        let shared = Arc::new(Shared::new(config, pace)?);
        shared.check_secret_file().await?;
        match shared.config.discovery {
            Discovery::Skip => shared.use_written()?,
            Discovery::ForKeys => {
                if let Err(reason) = shared.discover(Some(shared.config.http.first_discovery_timeout)).await {
                    tracing::warn!(
                        issuer = shared.config.issuer,
                        %reason,
                        "the issuer has no usable metadata, its keys are looked for at their usual place"
                    );
                    shared.use_written()?;
                }
            }
            Discovery::Fetch => {
                match shared.discover(Some(shared.config.http.first_discovery_timeout)).await {
                    Ok(()) => (),
                    Err(DiscoveryError::Lasting(mistake)) => return Err(mistake),
                    Err(DiscoveryError::Passing(reason)) => {
                        tracing::warn!(
                            issuer = shared.config.issuer,
                            reason,
                            "the identity provider does not answer yet, trying again"
                        );
                    }
                }
            }
        }
        let task = Task(tokio::spawn(maintain(Arc::clone(&shared))));
        Ok(Self { inner: Arc::new(Inner { shared, _task: task }) })
    }

    /// Whether logins can be started.
    pub fn is_ready(&self) -> bool {
        self.shared().metadata.load().is_some()
    }

    /// Whether this is the provider of that configuration, so that there is no need to connect to it again.
    pub fn is_of(&self, config: &Config) -> bool {
        self.shared().config == *config
    }

    pub fn display_name(&self) -> &str {
        &self.shared().config.display_name
    }

    /// Builds the request to send a browser to the provider with, and tells the provider about it before where that is
    /// wanted (RFC 9126): then it takes as long as a request may. The caller keeps the verifier together with state and
    /// nonce.
    pub async fn begin(
        &self,
        start: &LoginStart<'_>,
        now: Timestamp,
    ) -> Result<AuthorizationRequest, BeginError> {
        let shared = self.shared();
        let metadata = shared.metadata().ok_or(BeginError::NotReady)?;
        let mut prepared = Prepared::new(&shared.config, &metadata, start, &login::entropy()?)?;
        if let Some(dpop) = &shared.dpop {
            prepared.bind(dpop.thumbprint());
        }
        match &metadata.pushed {
            None => Ok(prepared.whole()),
            Some(url) => {
                let reference = shared.push(url, &prepared, (&metadata, now)).await?;
                Ok(prepared.referring(&shared.config.client_id, &reference))
            }
        }
    }

    /// Checks the parameter `iss` of an authorization response, decoded (RFC 9207 section 2.4): it must be the issuer letter
    /// by letter, and must be there if the metadata promise it. To be asked before the code is redeemed, and of errors
    /// too. Where the issuer is not checked anything passes.
    pub fn accepts_issuer(&self, iss: Option<&str>) -> Result<(), WrongIssuer> {
        let shared = self.shared();
        if shared.config.issuer_check == IssuerCheck::Skip {
            return Ok(());
        }
        let expected = &shared.config.issuer;
        match iss {
            Some(found) if found == expected => Ok(()),
            Some(found) => {
                Err(WrongIssuer::Other { expected: expected.clone(), found: printable(found, 300) })
            }
            None if shared
                .metadata()
                .is_some_and(|known| known.response_issuer == ResponseIssuer::Promised) =>
            {
                Err(WrongIssuer::Missing)
            }
            None => Ok(()),
        }
    }

    /// Verifies the ID token of a kept session again, so that the session ends with it where nothing
    /// refreshes it. With a nonce hash also that it is the token of that login.
    pub async fn recheck(
        &self,
        id_token: &SecretString,
        nonce_hash: Option<&str>,
        now: Timestamp,
    ) -> Result<(), IdTokenError> {
        let shared = self.shared();
        if shared.config.kind.protocol() == Protocol::OAuth2 {
            return Ok(());
        }
        let metadata = shared.metadata().ok_or_else(not_ready)?;
        let believed = shared.id_token(id_token, &metadata, now).await?;
        nonce_hash.map_or(Ok(()), |expected| shared.verifier.nonce(&believed.claims, expected))
    }

    /// Asks the validate URL about an access token; without such a URL every token is valid. A provider that is asked by
    /// its own API says nothing about a token while it is in trouble.
    pub async fn validate(&self, access_token: &SecretString, now: Timestamp) -> Validity {
        let shared = self.shared();
        let Some(url) = &shared.written.validate else {
            return Validity::Valid;
        };
        let sent = match shared.config.kind.protocol() {
            Protocol::OAuth2 => {
                let request = shared.question(Method::GET, url.clone(), access_token).await;
                shared.http.send(request).await
            }
            Protocol::OpenIdConnect => {
                shared.send_with_token(|url| shared.http.get(url), url, (access_token, now)).await
            }
        };
        match sent {
            Ok(answer) if answer.status.as_u16() == 200 => Validity::Valid,
            Ok(answer) if shared.config.kind.protocol() == Protocol::OAuth2 && is_trouble(&answer) => {
                tracing::warn!(status = answer.status.as_u16(), "the validate URL gave no answer");
                Validity::Unknown
            }
            Ok(answer) => Validity::Refused { status: answer.status.as_u16() },
            Err(reason) => {
                tracing::warn!(%reason, "the validate URL could not be asked");
                Validity::Unknown
            }
        }
    }

    /// Tells the provider that a session ended, if a backend logout URL is configured.
    /// Failures are only logged: our own session is gone in any case.
    pub async fn backend_logout(&self, id_token: Option<&SecretString>) {
        let Some(template) = self.shared().config.backend_logout_url.as_deref().filter(|url| !url.is_empty())
        else {
            return;
        };
        let token = id_token.map(|token| token.expose().as_str()).unwrap_or_default();
        let token = utf8_percent_encode(token, OUTSIDE_TOKENS).to_string();
        let Ok(url) = Url::parse(&template.replace("{id_token}", &token)) else {
            tracing::warn!("the backend logout URL is not a URL");
            return;
        };
        let http = &self.shared().http;
        match http.send(http.get(url)).await {
            Ok(answer) if matches!(answer.status.as_u16(), 200 | 204) => (),
            Ok(answer) => {
                tracing::warn!(status = answer.status.as_u16(), "the provider refused the backend logout");
            }
            Err(reason) => tracing::warn!(%reason, "the backend logout did not reach the provider"),
        }
    }

    pub(crate) fn shared(&self) -> &Shared {
        &self.inner.shared
    }
}

impl fmt::Debug for Provider {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let config = &self.shared().config;
        f.debug_struct("Provider")
            .field("kind", &config.kind)
            .field("issuer", &config.issuer)
            .field("client_id", &config.client_id)
            .field("is_ready", &self.is_ready())
            .finish_non_exhaustive()
    }
}

/// How often background work is done.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Pace {
    pub(crate) first_retry: Duration,
    pub(crate) longest_retry: Duration,
    pub(crate) renewal: Duration,
    pub(crate) key_refetch: Duration,
}

impl Default for Pace {
    fn default() -> Self {
        Self {
            first_retry: Duration::from_secs(1),
            longest_retry: Duration::from_mins(1),
            renewal: Duration::from_hours(1),
            key_refetch: Duration::from_secs(10),
        }
    }
}

/// Letters of a compact token stay as they are in a URL.
const OUTSIDE_TOKENS: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'.').remove(b'~');

struct Inner {
    shared: Arc<Shared>,
    _task: Task,
}

/// A background task that ends with its owner.
struct Task(JoinHandle<()>);

impl Drop for Task {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// What requests and the background task both use.
pub(crate) struct Shared {
    pub(crate) config: Config,
    pub(crate) written: Written,
    pub(crate) http: HttpClient,
    pub(crate) verifier: Verifier,
    pub(crate) claim_names: ClaimNames,
    metadata: ArcSwapOption<Metadata>,
    auth_memory: AuthMemory,
    dpop: Option<Dpop>,
    pub(crate) pushes: Semaphore,
    /// What Google's directory is asked with.
    pub(crate) directory_token: TokenCache,
    pace: Pace,
}

impl Shared {
    fn new(config: Config, pace: Pace) -> Result<Self, ConnectError> {
        let keys = match &config.keys {
            KeySource::Pem(files) => KeyCache::fixed(read_pem_files(files)?),
            KeySource::None => KeyCache::fixed(KeySet::default()),
            KeySource::Discovered | KeySource::Url(_) => KeyCache::fetched(pace.key_refetch),
        };
        Ok(Self {
            written: Written::parse(&config)?,
            http: HttpClient::new(&config.http)?,
            verifier: Verifier::new(&config, keys),
            claim_names: ClaimNames::new(&config),
            metadata: ArcSwapOption::empty(),
            auth_memory: AuthMemory::default(),
            dpop: config.dpop.clone().map(Dpop::new),
            pushes: Semaphore::new(PUSHES),
            directory_token: TokenCache::default(),
            config,
            pace,
        })
    }

    /// The endpoint for taking tokens back, if there is one.
    pub(crate) fn revocation_endpoint<'a>(
        &'a self,
        metadata: &'a Metadata,
        now: Timestamp,
    ) -> Option<TokenEndpoint<'a>> {
        let url = metadata.revocation.as_ref()?;
        Some(TokenEndpoint { http: &self.http, url, client: self.client(metadata, now), dpop: None })
    }

    /// We, as the provider knows us.
    pub(crate) fn client<'a>(&'a self, metadata: &'a Metadata, now: Timestamp) -> Client<'a> {
        Client {
            id: &self.config.client_id,
            authentication: &self.config.client_authentication,
            issuer: &self.config.issuer,
            token_endpoint: metadata.redeem.as_ref(),
            suggested: metadata.client_auth,
            memory: &self.auth_memory,
            now,
        }
    }

    /// Whether the files are there that prove who we are.
    async fn check_secret_file(&self) -> Result<(), ConnectError> {
        let read = match &self.config.client_authentication {
            ClientAuthentication::Secret(secret) | ClientAuthentication::SecretIn(secret, _) => {
                read_secret(secret).await.map(drop)
            }
            ClientAuthentication::SecretJwt { secret, .. } => match read_secret(secret).await {
                Ok(secret) => return long_enough(&secret),
                Err(error) => Err(error),
            },
            ClientAuthentication::AssertionFile(path) => read_assertion(path).await.map(drop),
            ClientAuthentication::Public
            | ClientAuthentication::PrivateKeyJwt { .. }
            | ClientAuthentication::Mtls => Ok(()),
        };
        match read {
            Err(TokenRequestError::ClientSecretFile { path, reason }) => {
                Err(ConnectError::ClientSecretFile { path, reason })
            }
            Err(TokenRequestError::AssertionFile { path, reason }) => {
                Err(ConnectError::AssertionFile { path, reason })
            }
            _ => Ok(()),
        }
    }

    /// Sends a `GET` to `url` with an access token of ours, in the way that such tokens are shown.
    pub(crate) async fn send_with_token(
        &self,
        request: impl Fn(Url) -> RequestBuilder,
        url: &Url,
        token: (&SecretString, Timestamp),
    ) -> Result<Answer, HttpError> {
        let Some(dpop) = &self.dpop else {
            let (url, header) = present(presentation(&self.config.kind), url.clone(), token.0);
            let request = match &header {
                Some(header) => request(url).header(header::AUTHORIZATION, header.expose().as_str()),
                None => request(url),
            };
            return self.http.send(request).await;
        };
        let unsigned = |error: SigningError| HttpError::Unreachable { reason: error.to_string() };
        let signed = || dpop.authorize(request(url.clone()), ("GET", url), token).map_err(unsigned);
        let answer = self.http.send(signed()?).await?;
        if dpop.learn(url, &answer) { self.http.send(signed()?).await } else { Ok(answer) }
    }

    /// What is known about the provider now; nothing before the first successful discovery.
    pub(crate) fn metadata(&self) -> Option<Arc<Metadata>> {
        self.metadata.load_full()
    }

    pub(crate) fn means<'a>(&'a self, metadata: &'a Metadata) -> Means<'a> {
        Means { algorithms: &metadata.algorithms, fetch: self.key_fetch(metadata) }
    }

    pub(crate) fn token_endpoint<'a>(
        &'a self,
        metadata: &'a Metadata,
        now: Timestamp,
    ) -> Result<TokenEndpoint<'a>, TokenRequestError> {
        let url = metadata.redeem.as_ref().ok_or(TokenRequestError::NoRedeemUrl)?;
        Ok(TokenEndpoint {
            http: &self.http,
            url,
            client: self.client(metadata, now),
            dpop: self.dpop.as_ref(),
        })
    }

    pub(crate) async fn id_token(
        &self,
        token: &SecretString,
        metadata: &Metadata,
        now: Timestamp,
    ) -> Result<Believed, IdTokenError> {
        self.verifier.id_token(token.expose(), self.means(metadata), now).await
    }

    fn key_fetch<'a>(&'a self, metadata: &'a Metadata) -> KeyFetch<'a> {
        KeyFetch { http: &self.http, url: metadata.keys.as_ref() }
    }

    /// Goes by what is written in the configuration.
    fn use_written(&self) -> Result<(), ConnectError> {
        let metadata = Metadata::from_config(&self.config, &self.written)?;
        self.metadata.store(Some(Arc::new(metadata)));
        Ok(())
    }

    async fn discover(&self, limit: Option<Duration>) -> Result<(), DiscoveryError> {
        let metadata = Metadata::discover(&self.config, &self.written, &self.http, limit).await?;
        self.metadata.store(Some(Arc::new(metadata)));
        Ok(())
    }
}

pub(crate) fn not_ready() -> IdTokenError {
    IdTokenError::KeysUnavailable { reason: "its metadata are not known yet".to_owned() }
}

pub(crate) fn read_pem_files(files: &[Vec<u8>]) -> Result<KeySet, ConnectError> {
    let mut all = KeySet::default();
    for (position, pem) in files.iter().enumerate() {
        let keys = KeySet::from_pem(pem)
            .map_err(|reason| ConnectError::PublicKeyFile { position: position + 1, reason })?;
        all = all.joined(keys);
    }
    if all.is_empty() { Err(ConnectError::NoKeySource) } else { Ok(all) }
}

/// Tries discovery until it works, then renews metadata and keys from time to time.
async fn maintain(shared: Arc<Shared>) {
    let mut retry = shared.pace.first_retry;
    while shared.metadata().is_none() {
        tokio::time::sleep(retry).await;
        retry = retry.saturating_mul(2).min(shared.pace.longest_retry);
        match shared.discover(None).await {
            Ok(()) => tracing::info!(issuer = shared.config.issuer, "the identity provider is ready"),
            Err(DiscoveryError::Lasting(mistake)) => {
                tracing::error!(issuer = shared.config.issuer, %mistake, "the identity provider cannot be used");
            }
            Err(DiscoveryError::Passing(reason)) => {
                tracing::warn!(
                    issuer = shared.config.issuer,
                    reason,
                    "the identity provider does not answer yet"
                );
            }
        }
    }
    let mut pause = match shared.config.discovery {
        Discovery::Fetch | Discovery::Skip => shared.pace.renewal,
        Discovery::ForKeys => shared.pace.longest_retry,
    };
    loop {
        tokio::time::sleep(pause).await;
        pause = shared.renew(pause).await;
    }
}

impl Shared {
    /// Fetches metadata and keys again, `waited` after the last time; what fails keeps its old value.
    /// Returns when to come again.
    async fn renew(&self, waited: Duration) -> Duration {
        let mut pause = self.pace.renewal;
        if self.config.discovery != Discovery::Skip
            && let Err(reason) = self.discover(None).await
        {
            pause = self.renewal_failed(&reason, waited);
        }
        if let Some(metadata) = self.metadata() {
            self.verifier.keys().renew(self.key_fetch(&metadata)).await;
        }
        pause
    }

    fn renewal_failed(&self, reason: &DiscoveryError, waited: Duration) -> Duration {
        let issuer = &self.config.issuer;
        if self.config.discovery == Discovery::ForKeys {
            // It may never have any: ask ever more seldom.
            tracing::debug!(issuer, %reason, "the issuer still has no usable metadata");
            return waited.saturating_mul(2).min(self.pace.renewal);
        }
        tracing::warn!(issuer, %reason, "the provider's metadata could not be renewed");
        self.pace.longest_retry
    }
}

#[cfg(test)]
mod tests;
