//! What a server that is spoken to by TLS has to prove. No IO but reading the certificates of the system.

use ::redis::TlsCertificates;
use base64_simd::STANDARD;
use rustls::RootCertStore;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;

use super::url::{Endpoint, RedisUrl, Scheme};

/// TLS options. A CA file and the leave not to check certificates ask for TLS also where a URL does not.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct RedisTls {
    /// Trusted besides the certificates of the system.
    pub authorities: Option<Authorities>,
    pub verification: TlsVerification,
}

/// Whether the server has to prove who it is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum TlsVerification {
    #[default]
    Verify,
    /// Anybody on the way may read and change sessions. For tests.
    Skip,
}

/// Certificates that can all be used to verify others.
#[derive(Clone, Debug, PartialEq)]
pub struct Authorities(Vec<CertificateDer<'static>>);

/// Why a file is of no use as certificates of authorities.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidAuthorities {
    #[error("holds no certificate in PEM form")]
    Empty,
    #[error("holds a certificate that cannot be read")]
    Unreadable,
}

impl Authorities {
    /// Reads all certificates of a PEM text.
    pub fn from_pem(pem: &[u8]) -> Result<Self, InvalidAuthorities> {
        let read = CertificateDer::pem_slice_iter(pem).collect::<Result<Vec<_>, _>>();
        let certificates = read.map_err(|_| InvalidAuthorities::Unreadable)?;
        if certificates.is_empty() {
            return Err(InvalidAuthorities::Empty);
        }
        let mut roots = RootCertStore::empty();
        for certificate in &certificates {
            roots.add(certificate.clone()).map_err(|_| InvalidAuthorities::Unreadable)?;
        }
        Ok(Self(certificates))
    }

    /// These and those of the system, in the form that the client takes.
    fn with_those_of_the_system(&self) -> Vec<u8> {
        let mut pem = String::new();
        let mut roots = RootCertStore::empty();
        // Errors are left aside: like the reference, we then know fewer authorities, never more.
        let system = rustls_native_certs::load_native_certs().certs;
        let usable = system.iter().filter(|certificate| roots.add((*certificate).clone()).is_ok());
        for certificate in usable.chain(&self.0) {
            pem.push_str("-----BEGIN CERTIFICATE-----\n");
            STANDARD.encode_append(certificate, &mut pem);
            pem.push_str("\n-----END CERTIFICATE-----\n");
        }
        pem.into_bytes()
    }
}

/// How to speak to a server.
#[derive(Clone)]
pub(super) enum Transport {
    Plain,
    /// Encrypted; without certificates those of the system are trusted.
    Verified(Option<TlsCertificates>),
    Unverified,
}

impl Transport {
    /// For all servers of a kind; the URL that was written last counts (options, cluster-connection-urls).
    pub(super) fn new(tls: &RedisTls, last: Option<&RedisUrl>) -> Self {
        let scheme = match last.map(|url| &url.endpoint) {
            Some(Endpoint::Tcp { scheme, .. }) => *scheme,
            // A socket is on this machine.
            Some(Endpoint::Unix(_)) => return Self::Plain,
            None => Scheme::Redis,
        };
        let skips = tls.verification == TlsVerification::Skip;
        match (scheme, &tls.authorities) {
            _ if skips => Self::Unverified,
            (Scheme::Rediss { skip_verify: true }, _) => Self::Unverified,
            (Scheme::Redis, None) => Self::Plain,
            (Scheme::Rediss { .. }, None) => Self::Verified(None),
            (_, Some(authorities)) => {
                let root_cert = Some(authorities.with_those_of_the_system());
                Self::Verified(Some(TlsCertificates { client_tls: None, root_cert }))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn certificates_that_cannot_be_read_are_refused() {
        let table = [
            ("", InvalidAuthorities::Empty),
            ("x", InvalidAuthorities::Empty),
            ("-----BEGIN CERTIFICATE-----\n!\n-----END CERTIFICATE-----\n", InvalidAuthorities::Unreadable),
            (
                "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n",
                InvalidAuthorities::Unreadable,
            ),
        ];
        for (pem, expected) in table {
            assert_eq!(Authorities::from_pem(pem.as_bytes()).unwrap_err(), expected, "{pem}");
        }
    }
}
