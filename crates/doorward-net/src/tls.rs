//! TLS on both sides. Every configuration is built on the same named provider, and TLS 1.2 is the least we speak.
//! Verification of an upstream is switched off only by [`ServerVerification::Disabled`], for that upstream alone.

use std::{fmt, io, str::FromStr, sync::Arc, time::Duration};

use rustls::{
    CipherSuite, ClientConfig, DigitallySignedStruct, DistinguishedName, RootCertStore, ServerConfig,
    SignatureScheme, SupportedCipherSuite, SupportedProtocolVersion,
    client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier},
    crypto::{
        CryptoProvider, WebPkiSupportedAlgorithms, aws_lc_rs, verify_tls12_signature, verify_tls13_signature,
    },
    pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime, pem::PemObject},
    server::danger::{ClientCertVerified, ClientCertVerifier},
    sign::{CertifiedKey, SingleCertAndKey},
    version::{TLS12, TLS13},
};
use thiserror::Error;
use tokio::time::timeout;
use tokio_rustls::TlsAcceptor;

use crate::socket::Socket;

/// The names of HTTP's versions in ALPN (RFC 9113 section 3.2, RFC 7301 section 6).
pub(crate) const HTTP2: &[u8] = b"h2";
pub(crate) const HTTP1: &[u8] = b"http/1.1";

/// A TLS connection from a client.
pub type TlsStream = tokio_rustls::server::TlsStream<Socket>;

/// The least version that a listener accepts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum TlsVersion {
    #[default]
    Tls12,
    Tls13,
}

/// The text names no version that can be required.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("unknown TLS version {0:?}; known are TLS1.2 and TLS1.3")]
pub struct InvalidTlsVersion(String);

impl FromStr for TlsVersion {
    type Err = InvalidTlsVersion;

    fn from_str(text: &str) -> Result<Self, InvalidTlsVersion> {
        match text {
            "TLS1.2" => Ok(Self::Tls12),
            "TLS1.3" => Ok(Self::Tls13),
            other => Err(InvalidTlsVersion(other.to_owned())),
        }
    }
}

/// A certificate chain, leaf first, and its private key, both PEM.
#[derive(Clone, Copy)]
pub struct CertificatePem<'a> {
    pub chain: &'a [u8],
    pub key: &'a [u8],
}

impl fmt::Debug for CertificatePem<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("CertificatePem")
    }
}

/// What a TLS listener offers.
#[derive(Clone, Copy, Debug)]
pub struct TlsServerOptions<'a> {
    pub certificate: CertificatePem<'a>,
    pub min_version: TlsVersion,
    /// TLS 1.2 suites by their IANA names; empty for all that are sound. TLS 1.3 suites are always offered.
    pub cipher_suites: &'a [String],
    pub client_certificates: ClientCertificates,
}

/// Whether clients are asked for a certificate.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ClientCertificates {
    #[default]
    NotAsked,
    /// Asked, and never required. Whoever holds the key of a certificate may show it, be it expired or of an unknown
    /// issuer: judging it is left to those who read the request, so that a bad one gets an answer and no broken handshake.
    Asked,
}

/// The certificates that a client showed, leaf first, DER. It holds the key of the leaf; nothing else is known of them.
pub type ShownCertificates = Arc<[Vec<u8>]>;

/// Of longer chains the rest is not kept: connections stay for long, and strangers send what they like.
const KEPT_OF_CHAIN: usize = 16 * 1024;

/// What the client of a connection showed; `None` if it was not asked, or has none. A resumed session has the
/// certificates of the handshake that it goes back to.
pub fn shown_certificates(stream: &TlsStream) -> Option<ShownCertificates> {
    Some(bounded(stream.get_ref().1.peer_certificates()?))
}

/// As much of a chain as is kept. Something stands in the place of a leaf that is too long: it is not the same as none.
fn bounded(shown: &[CertificateDer<'_>]) -> ShownCertificates {
    let mut left = KEPT_OF_CHAIN;
    let mut kept = Vec::new();
    for certificate in shown {
        let Some(rest) = left.checked_sub(certificate.len()) else { break };
        left = rest;
        kept.push(certificate.to_vec());
    }
    if kept.is_empty() { Arc::from([Vec::new()]) } else { kept.into() }
}

/// Why no TLS configuration could be made.
#[derive(Debug, Error)]
pub enum TlsConfigError {
    #[error("the certificate file holds no usable PEM certificate: {0}")]
    Certificate(String),
    #[error("the certificate's key file holds no usable PEM private key: {0}")]
    Key(String),
    #[error("the certificate and its key cannot be used together: {0}")]
    Pair(#[source] rustls::Error),
    #[error("unknown TLS cipher suite {0:?}")]
    UnknownSuite(String),
    #[error("the TLS cipher suite {0:?} is insecure and not offered")]
    InsecureSuite(String),
    #[error("the TLS versions and cipher suites do not go together: {0}")]
    Suites(#[source] rustls::Error),
    #[error("the certificate authorities hold no usable PEM certificate: {0}")]
    Authorities(String),
    #[error("the system has no trusted root certificates: {0}")]
    NoRoots(String),
}

/// What a TLS listener needs.
#[derive(Clone, Debug)]
pub struct TlsServerConfig(Arc<ServerConfig>);

impl TlsServerConfig {
    /// Offers `h2` and `http/1.1` by ALPN.
    pub fn new(options: TlsServerOptions<'_>) -> Result<Self, TlsConfigError> {
        let TlsServerOptions { certificate, min_version, cipher_suites, client_certificates } = options;
        let mut provider = aws_lc_rs::default_provider();
        let certificate = load(certificate, &provider)?;
        restrict(&mut provider, cipher_suites)?;
        let versions: &[&SupportedProtocolVersion] = match min_version {
            TlsVersion::Tls12 => &[&TLS13, &TLS12],
            TlsVersion::Tls13 => &[&TLS13],
        };
        let algorithms = provider.signature_verification_algorithms;
        let builder = ServerConfig::builder_with_provider(Arc::new(provider))
            .with_protocol_versions(versions)
            .map_err(TlsConfigError::Suites)?;
        let builder = match client_certificates {
            ClientCertificates::NotAsked => builder.with_no_client_auth(),
            ClientCertificates::Asked => builder.with_client_cert_verifier(Arc::new(Unverified(algorithms))),
        };
        let mut config = builder.with_cert_resolver(Arc::new(SingleCertAndKey::from(certificate)));
        config.alpn_protocols = vec![HTTP2.to_vec(), HTTP1.to_vec()];
        Ok(Self(Arc::new(config)))
    }
}

fn load(pem: CertificatePem<'_>, provider: &CryptoProvider) -> Result<CertifiedKey, TlsConfigError> {
    let chain = CertificateDer::pem_slice_iter(pem.chain)
        .collect::<Result<Vec<_>, _>>()
        .map_err(|error| TlsConfigError::Certificate(error.to_string()))?;
    if chain.is_empty() {
        return Err(TlsConfigError::Certificate(String::from("no certificate found")));
    }
    let key =
        PrivateKeyDer::from_pem_slice(pem.key).map_err(|error| TlsConfigError::Key(error.to_string()))?;
    CertifiedKey::from_der(chain, key, provider).map_err(TlsConfigError::Pair)
}

/// Leaves the named TLS 1.2 suites, and all of TLS 1.3.
fn restrict(provider: &mut CryptoProvider, names: &[String]) -> Result<(), TlsConfigError> {
    if names.is_empty() {
        return Ok(());
    }
    let wanted = names.iter().map(|name| suite_named(name)).collect::<Result<Vec<_>, _>>()?;
    provider.cipher_suites.retain(|suite| match suite {
        SupportedCipherSuite::Tls13(_) => true,
        SupportedCipherSuite::Tls12(_) => wanted.contains(&suite.suite()),
    });
    Ok(())
}

/// The suite of an IANA name, or of one of the two shorter names that Go also knows.
fn suite_named(name: &str) -> Result<CipherSuite, TlsConfigError> {
    Ok(match name {
        "TLS_AES_128_GCM_SHA256" => CipherSuite::TLS13_AES_128_GCM_SHA256,
        "TLS_AES_256_GCM_SHA384" => CipherSuite::TLS13_AES_256_GCM_SHA384,
        "TLS_CHACHA20_POLY1305_SHA256" => CipherSuite::TLS13_CHACHA20_POLY1305_SHA256,
        "TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256" => CipherSuite::TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256,
        "TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384" => CipherSuite::TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384,
        "TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256" => CipherSuite::TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256,
        "TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384" => CipherSuite::TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384,
        "TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256" | "TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305" => {
            CipherSuite::TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256
        }
        "TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256" | "TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305" => {
            CipherSuite::TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256
        }
        insecure if INSECURE_SUITES.contains(&insecure) => {
            return Err(TlsConfigError::InsecureSuite(insecure.to_owned()));
        }
        unknown => return Err(TlsConfigError::UnknownSuite(unknown.to_owned())),
    })
}

/// Suites that users may have configured elsewhere: without forward secrecy, or with CBC or RC4.
const INSECURE_SUITES: [&str; 17] = [
    "TLS_RSA_WITH_RC4_128_SHA",
    "TLS_RSA_WITH_3DES_EDE_CBC_SHA",
    "TLS_RSA_WITH_AES_128_CBC_SHA",
    "TLS_RSA_WITH_AES_256_CBC_SHA",
    "TLS_RSA_WITH_AES_128_CBC_SHA256",
    "TLS_RSA_WITH_AES_128_GCM_SHA256",
    "TLS_RSA_WITH_AES_256_GCM_SHA384",
    "TLS_ECDHE_ECDSA_WITH_RC4_128_SHA",
    "TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA",
    "TLS_ECDHE_ECDSA_WITH_AES_256_CBC_SHA",
    "TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA256",
    "TLS_ECDHE_RSA_WITH_RC4_128_SHA",
    "TLS_ECDHE_RSA_WITH_3DES_EDE_CBC_SHA",
    "TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA",
    "TLS_ECDHE_RSA_WITH_AES_256_CBC_SHA",
    "TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA256",
    "TLS_FALLBACK_SCSV",
];

/// Shakes hands with a client, within `limit`.
pub async fn handshake(socket: Socket, config: &TlsServerConfig, limit: Duration) -> io::Result<TlsStream> {
    match timeout(limit, TlsAcceptor::from(Arc::clone(&config.0)).accept(socket)).await {
        Ok(shaken) => shaken,
        Err(_elapsed) => Err(io::Error::new(io::ErrorKind::TimedOut, "the TLS handshake took too long")),
    }
}

/// Certificate authorities of the operator's choice.
#[derive(Clone, Debug)]
pub struct Authorities(Arc<RootCertStore>);

impl Authorities {
    /// Reads a PEM bundle, in which other things may stand too. Every certificate in it has to be readable.
    pub fn from_pem(bundle: &[u8]) -> Result<Self, TlsConfigError> {
        let unusable = |why: String| TlsConfigError::Authorities(why);
        let mut roots = RootCertStore::empty();
        for certificate in CertificateDer::pem_slice_iter(bundle) {
            let certificate = certificate.map_err(|error| unusable(error.to_string()))?;
            roots.add(certificate).map_err(|error| unusable(error.to_string()))?;
        }
        if roots.is_empty() { Err(unusable("none found".to_owned())) } else { Ok(Self(Arc::new(roots))) }
    }
}

/// Whether a server's certificate is verified.
#[derive(Clone, Debug)]
pub enum ServerVerification {
    /// Against the system's trusted roots.
    SystemRoots,
    /// Against these, and no others.
    Authorities(Authorities),
    /// Not at all: anybody on the way can read and change everything.
    Disabled,
}

/// What we show to servers that ask for a certificate.
#[derive(Clone, Debug)]
pub struct ClientIdentity(Arc<CertifiedKey>);

impl ClientIdentity {
    /// Reads a chain and its key.
    pub fn from_pem(pem: CertificatePem<'_>) -> Result<Self, TlsConfigError> {
        load(pem, &aws_lc_rs::default_provider()).map(|identity| Self(Arc::new(identity)))
    }
}

/// A configuration for connections to upstreams; it offers `h2` and `http/1.1` by ALPN. Reading the system's roots takes
/// milliseconds: do it once.
pub fn client_config(
    verification: ServerVerification,
    identity: Option<ClientIdentity>,
) -> Result<Arc<ClientConfig>, TlsConfigError> {
    let provider = Arc::new(aws_lc_rs::default_provider());
    let algorithms = provider.signature_verification_algorithms;
    let builder = ClientConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&TLS13, &TLS12])
        .map_err(TlsConfigError::Suites)?;
    let builder = match verification {
        ServerVerification::SystemRoots => builder.with_root_certificates(system_roots()?),
        ServerVerification::Authorities(Authorities(roots)) => builder.with_root_certificates(roots),
        ServerVerification::Disabled => {
            builder.dangerous().with_custom_certificate_verifier(Arc::new(Unverified(algorithms)))
        }
    };
    let mut config = match identity {
        None => builder.with_no_client_auth(),
        Some(ClientIdentity(identity)) => {
            builder.with_client_cert_resolver(Arc::new(SingleCertAndKey::from(identity)))
        }
    };
    config.alpn_protocols = vec![HTTP2.to_vec(), HTTP1.to_vec()];
    Ok(Arc::new(config))
}

fn system_roots() -> Result<RootCertStore, TlsConfigError> {
    let found = rustls_native_certs::load_native_certs();
    let mut roots = RootCertStore::empty();
    let (added, _ignored) = roots.add_parsable_certificates(found.certs);
    if added == 0 {
        let why = found.errors.first().map_or_else(|| String::from("none found"), ToString::to_string);
        return Err(TlsConfigError::NoRoots(why));
    }
    Ok(roots)
}

/// Accepts every certificate, but still requires that the other side holds its key.
#[derive(Debug)]
struct Unverified(WebPkiSupportedAlgorithms);

impl ServerCertVerifier for Unverified {
    fn verify_server_cert(
        &self,
        _end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls12_signature(message, certificate, signature, &self.0)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls13_signature(message, certificate, signature, &self.0)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.supported_schemes()
    }
}

impl ClientCertVerifier for Unverified {
    fn client_auth_mandatory(&self) -> bool {
        false
    }

    /// None: clients may show what they have.
    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        &[]
    }

    fn verify_client_cert(
        &self,
        _end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _now: UnixTime,
    ) -> Result<ClientCertVerified, rustls::Error> {
        Ok(ClientCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls12_signature(message, certificate, signature, &self.0)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls13_signature(message, certificate, signature, &self.0)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.supported_schemes()
    }
}

#[cfg(test)]
mod tests;
