//! Talking to a provider over HTTP: one client per provider, with its own trust, time limits and a
//! bound on what is read. Redirects are followed for documents of the same origin only, never for
//! requests that carry a code, a token or a secret. Errors never name a query or a body.
//! A provider inside this very process ([`local`]) is asked the same requests, without a network.

pub mod local;

use std::{
    error::Error as StdError,
    fmt::Write as _,
    io,
    path::PathBuf,
    sync::{Arc, OnceLock},
    time::Duration,
};

use doorward_core::Secret;
use http::{HeaderMap, Method, StatusCode, header};
use reqwest::RequestBuilder;
use rustls::{
    ClientConfig, RootCertStore,
    crypto::CryptoProvider,
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject},
};
use url::Url;

use self::{
    local::LocalProvider,
    verifier::{Belief, Verifier},
};
use crate::{discovery::ConnectError, printable::printable};

/// How to reach a provider.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HttpConfig {
    pub trust: Trust,
    /// What is shown to a provider that asks for a certificate.
    pub client_identity: Option<ClientIdentity>,
    /// For TCP and TLS together.
    pub connect_timeout: Duration,
    /// For a whole exchange, body included.
    pub total_timeout: Duration,
    /// For the first discovery, which holds up the start of the program.
    pub first_discovery_timeout: Duration,
    /// Set if the provider is part of this process: what goes to its origin takes no network.
    pub local: Option<LocalProvider>,
}

impl Default for HttpConfig {
    fn default() -> Self {
        Self {
            trust: Trust::System,
            client_identity: None,
            connect_timeout: Duration::from_secs(5),
            total_timeout: Duration::from_secs(10),
            first_discovery_timeout: Duration::from_secs(3),
            local: None,
        }
    }
}

/// Whose certificates are believed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Trust {
    /// The roots of the operating system.
    System,
    /// The certificates in these PEM files and nothing else.
    Files(Vec<CaFile>),
    FilesAndSystem(Vec<CaFile>),
    /// Any certificate (`--ssl-insecure-skip-verify`).
    Anything,
}

/// A PEM file of certificates, and what stands in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CaFile {
    pub path: PathBuf,
    pub pem: Vec<u8>,
}

/// A certificate that says who we are, with what leads to its authority, and its private key; all in PEM.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClientIdentity {
    /// Where the certificates were read, to tell of mistakes.
    pub path: PathBuf,
    pub certificates: Vec<u8>,
    pub key: Secret<Vec<u8>>,
}

impl ClientIdentity {
    fn chain_and_key(&self) -> Result<(Vec<CertificateDer<'static>>, PrivateKeyDer<'static>), ConnectError> {
        let chain = CertificateDer::pem_slice_iter(&self.certificates)
            .collect::<Result<Vec<_>, _>>()
            .map_err(|error| self.wrong(error.to_string()))?;
        if chain.is_empty() {
            return Err(self.wrong("there is no certificate in it".to_owned()));
        }
        let key = PrivateKeyDer::from_pem_slice(self.key.expose())
            .map_err(|error| self.wrong(format!("the key: {error}")))?;
        Ok((chain, key))
    }

    fn wrong(&self, reason: String) -> ConnectError {
        ConnectError::ClientIdentity { path: self.path.clone(), reason }
    }
}

/// Why an exchange brought no answer. Whoever waits may try again, except for `Certificate`.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum HttpError {
    #[error("the provider did not answer in time")]
    TimedOut,
    #[error("the provider's certificate is not trusted: {reason}")]
    Certificate { reason: String },
    #[error("the provider cannot be reached: {reason}")]
    Unreachable { reason: String },
    #[error("the provider's answer is longer than anybody reads")]
    TooLong,
    #[error("the provider redirects to another place, which is not followed")]
    Redirected,
}

/// What a provider said.
#[derive(Clone, Debug)]
pub struct Answer {
    pub status: StatusCode,
    pub headers: HeaderMap,
    pub body: Vec<u8>,
}

impl Answer {
    /// The media type without parameters, in lower case.
    pub(crate) fn media_type(&self) -> String {
        let written = self.headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
        let essence = written.unwrap_or_default().split(';').next().unwrap_or_default();
        essence.trim().to_ascii_lowercase()
    }
}

/// How much of an answer is waited for.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Limits {
    pub(crate) time: Option<Duration>,
    pub(crate) bytes: usize,
}

/// The connections to one provider.
#[derive(Clone, Debug)]
pub struct HttpClient {
    client: reqwest::Client,
    local: Option<LocalProvider>,
    total_timeout: Duration,
}

/// Far more than any honest answer; counted after decompression.
const MAX_BODY_BYTES: usize = 1024 * 1024;
const MAX_REDIRECTS: usize = 3;
/// Shorter than servers usually keep idle connections, so that a login rarely meets a closed one.
const IDLE_CONNECTION_LIFE: Duration = Duration::from_secs(20);
const AGENT: &str = concat!("doorward/", env!("CARGO_PKG_VERSION"));

impl HttpClient {
    /// A client that sends nothing yet. Fails if the files of `config.trust` cannot be used.
    pub fn new(config: &HttpConfig) -> Result<Self, ConnectError> {
        let client = reqwest::Client::builder()
            .user_agent(AGENT)
            .tls_backend_preconfigured(tls(config)?)
            .redirect(reqwest::redirect::Policy::none())
            .pool_idle_timeout(IDLE_CONNECTION_LIFE)
            .connect_timeout(config.connect_timeout)
            .timeout(config.total_timeout)
            .build()
            .map_err(|error| ConnectError::Tls { reason: chain(&error.without_url()) })?;
        Ok(Self { client, local: config.local.clone(), total_timeout: config.total_timeout })
    }

    /// Fetches a public document. Redirects within the origin are followed a few times.
    pub(crate) async fn document(&self, url: &Url, limit: Option<Duration>) -> Result<Answer, HttpError> {
        self.document_within(url, Limits { time: limit, bytes: MAX_BODY_BYTES }).await
    }

    /// As [`document`](Self::document), with other limits. That of time is for all redirects together.
    pub(crate) async fn document_within(&self, url: &Url, limits: Limits) -> Result<Answer, HttpError> {
        let fetched = self.follow(url, limits);
        match limits.time {
            None => fetched.await,
            Some(limit) => tokio::time::timeout(limit, fetched).await.unwrap_or(Err(HttpError::TimedOut)),
        }
    }

    async fn follow(&self, url: &Url, limits: Limits) -> Result<Answer, HttpError> {
        let mut url = url.clone();
        for _ in 0..=MAX_REDIRECTS {
            let mut request = self.client.get(url.clone()).header(header::ACCEPT, "application/json");
            if let Some(limit) = limits.time {
                request = request.timeout(limit);
            }
            let answer = self.send_within(request, limits.bytes).await?;
            let Some(target) = redirect_target(&answer, &url) else {
                return Ok(answer);
            };
            if target.origin() != url.origin() {
                return Err(HttpError::Redirected);
            }
            url = target;
        }
        Err(HttpError::Redirected)
    }

    pub(crate) fn get(&self, url: Url) -> RequestBuilder {
        self.client.get(url)
    }

    pub(crate) fn request(&self, method: Method, url: Url) -> RequestBuilder {
        self.client.request(method, url)
    }

    /// The beginning of a `POST`.
    pub fn post(&self, url: Url) -> RequestBuilder {
        self.client.post(url)
    }

    /// Sends a request and reads the answer, whatever its status, up to the limit.
    pub async fn send(&self, request: RequestBuilder) -> Result<Answer, HttpError> {
        self.send_within(request, MAX_BODY_BYTES).await
    }

    /// As [`send`](Self::send), with another limit of the answer's length in bytes.
    pub async fn send_within(&self, request: RequestBuilder, bytes: usize) -> Result<Answer, HttpError> {
        let request = request.build().map_err(classify)?;
        if let Some(local) = self.local.as_ref().filter(|local| local.is_at(request.url())) {
            let limit = request.timeout().copied().unwrap_or(self.total_timeout);
            let answer = local.send(request, limit).await?;
            return if answer.body.len() > bytes { Err(HttpError::TooLong) } else { Ok(answer) };
        }
        let mut response = self.client.execute(request).await.map_err(classify)?;
        let (status, headers) = (response.status(), response.headers().clone());
        let mut body = Vec::new();
        while let Some(chunk) = response.chunk().await.map_err(classify)? {
            if body.len() + chunk.len() > bytes {
                return Err(HttpError::TooLong);
            }
            body.extend_from_slice(&chunk);
        }
        Ok(Answer { status, headers, body })
    }
}

fn redirect_target(answer: &Answer, base: &Url) -> Option<Url> {
    if !matches!(answer.status.as_u16(), 301 | 302 | 303 | 307 | 308) {
        return None;
    }
    let location = answer.headers.get(header::LOCATION)?.to_str().ok()?;
    base.join(location).ok()
}

fn classify(error: reqwest::Error) -> HttpError {
    let error = error.without_url();
    if let Some(reason) = certificate_complaint(&error) {
        return HttpError::Certificate { reason };
    }
    if error.is_timeout() {
        return HttpError::TimedOut;
    }
    HttpError::Unreachable { reason: chain(&error) }
}

/// The TLS library's complaint about a certificate, wherever it hides in the chain of causes.
fn certificate_complaint(error: &reqwest::Error) -> Option<String> {
    let mut next = error.source();
    while let Some(cause) = next {
        if let Some(rustls::Error::InvalidCertificate(reason)) = tls_error(cause) {
            return Some(printable(&reason.to_string(), 300));
        }
        next = cause.source();
    }
    None
}

/// IO errors wrap others without naming them as their source, sometimes twice.
fn tls_error<'a>(cause: &'a (dyn StdError + 'static)) -> Option<&'a rustls::Error> {
    cause.downcast_ref::<rustls::Error>().or_else(|| tls_error(cause.downcast_ref::<io::Error>()?.get_ref()?))
}

fn chain(error: &dyn StdError) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(cause) = next {
        let _ = write!(text, ": {cause}");
        next = cause.source();
    }
    printable(&text, 400)
}

fn tls(settings: &HttpConfig) -> Result<ClientConfig, ConnectError> {
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let builder = ClientConfig::builder_with_provider(Arc::clone(&provider))
        .with_safe_default_protocol_versions()
        .map_err(|error| ConnectError::Tls { reason: error.to_string() })?;
    let verified_by = |belief| {
        let verifier = Verifier { provider: Arc::clone(&provider), belief };
        builder.clone().dangerous().with_custom_certificate_verifier(Arc::new(verifier))
    };
    let builder = match &settings.trust {
        Trust::System => verified_by(Belief::System(OnceLock::new())),
        Trust::Anything => verified_by(Belief::Anything),
        Trust::Files(files) => builder.with_root_certificates(add_files(RootCertStore::empty(), files)?),
        Trust::FilesAndSystem(files) => {
            let mut roots = RootCertStore::empty();
            add_system_roots(&mut roots);
            builder.with_root_certificates(add_files(roots, files)?)
        }
    };
    let mut config = match &settings.client_identity {
        None => builder.with_no_client_auth(),
        Some(identity) => {
            let (chain, key) = identity.chain_and_key()?;
            // This also finds out whether key and certificate belong together.
            builder.with_client_auth_cert(chain, key).map_err(|error| identity.wrong(error.to_string()))?
        }
    };
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Ok(config)
}

fn add_system_roots(roots: &mut RootCertStore) {
    let found = rustls_native_certs::load_native_certs();
    let (added, _) = roots.add_parsable_certificates(found.certs);
    if added == 0 {
        tracing::warn!(
            "the operating system offers no root certificates, https providers will not be trusted"
        );
    }
}

/// Whether the certificates in files can be used.
pub(crate) fn check_files(settings: &HttpConfig) -> Result<(), ConnectError> {
    match (&settings.trust, &settings.client_identity) {
        (_, Some(_)) => tls(settings).map(drop),
        (Trust::Files(files) | Trust::FilesAndSystem(files), None) => {
            add_files(RootCertStore::empty(), files).map(drop)
        }
        (Trust::System | Trust::Anything, None) => Ok(()),
    }
}

fn add_files(mut roots: RootCertStore, files: &[CaFile]) -> Result<RootCertStore, ConnectError> {
    for CaFile { path, pem } in files {
        let wrong = |reason: String| ConnectError::CaFile { path: path.clone(), reason };
        let certificates = CertificateDer::pem_slice_iter(pem)
            .collect::<Result<Vec<_>, _>>()
            .map_err(|error| wrong(error.to_string()))?;
        if certificates.is_empty() {
            return Err(wrong("it holds no certificate".to_owned()));
        }
        for certificate in certificates {
            roots.add(certificate).map_err(|error| wrong(error.to_string()))?;
        }
    }
    Ok(roots)
}

/// Verifiers of our own making. Both demand, as every verifier must, that the peer holds the certificate's key.
mod verifier {
    use std::sync::{Arc, OnceLock};

    use rustls::{
        DigitallySignedStruct, Error, RootCertStore, SignatureScheme,
        client::{
            WebPkiServerVerifier,
            danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier},
        },
        crypto::{verify_tls12_signature, verify_tls13_signature},
        pki_types::{CertificateDer, ServerName, UnixTime},
    };

    use super::CryptoProvider;

    #[derive(Debug)]
    pub(super) struct Verifier {
        pub(super) provider: Arc<CryptoProvider>,
        pub(super) belief: Belief,
    }

    /// Whose certificates are believed.
    #[derive(Debug)]
    pub(super) enum Belief {
        /// The roots of the operating system, read when the first certificate is to be verified: reading them takes
        /// longer than all the rest of a start, and holds megabytes that a provider without TLS never needs.
        System(OnceLock<Result<Arc<WebPkiServerVerifier>, Error>>),
        /// Everybody's, as the operator asked ([`super::Trust::Anything`]).
        Anything,
    }

    fn system_verifier(provider: &Arc<CryptoProvider>) -> Result<Arc<WebPkiServerVerifier>, Error> {
        let mut roots = RootCertStore::empty();
        super::add_system_roots(&mut roots);
        WebPkiServerVerifier::builder_with_provider(Arc::new(roots), Arc::clone(provider))
            .build()
            .map_err(|error| Error::General(error.to_string()))
    }

    impl ServerCertVerifier for Verifier {
        fn verify_server_cert(
            &self,
            certificate: &CertificateDer<'_>,
            intermediates: &[CertificateDer<'_>],
            name: &ServerName<'_>,
            ocsp: &[u8],
            now: UnixTime,
        ) -> Result<ServerCertVerified, Error> {
            match &self.belief {
                Belief::Anything => Ok(ServerCertVerified::assertion()),
                Belief::System(verifier) => verifier
                    .get_or_init(|| system_verifier(&self.provider))
                    .clone()?
                    .verify_server_cert(certificate, intermediates, name, ocsp, now),
            }
        }

        fn verify_tls12_signature(
            &self,
            message: &[u8],
            certificate: &CertificateDer<'_>,
            signed: &DigitallySignedStruct,
        ) -> Result<HandshakeSignatureValid, Error> {
            let algorithms = &self.provider.signature_verification_algorithms;
            verify_tls12_signature(message, certificate, signed, algorithms)
        }

        fn verify_tls13_signature(
            &self,
            message: &[u8],
            certificate: &CertificateDer<'_>,
            signed: &DigitallySignedStruct,
        ) -> Result<HandshakeSignatureValid, Error> {
            let algorithms = &self.provider.signature_verification_algorithms;
            verify_tls13_signature(message, certificate, signed, algorithms)
        }

        fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
            self.provider.signature_verification_algorithms.supported_schemes()
        }
    }
}

#[cfg(test)]
mod tests;
