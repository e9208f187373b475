//! Client certificates: a chain that leads to an authority we trust says who somebody is (subject, as Kubernetes reads it).
//!
//! That the client holds the key was proven in the TLS handshake; nothing else was looked at there. Here the chain, the
//! time, the purpose and, if there are lists, the revocation are checked by rustls and its webpki; [`Shown`] keeps for a
//! while who was found in what a connection showed.

mod shown;

use std::{
    fmt::{self, Write as _},
    sync::Arc,
    time::Duration,
};

use ::aws_lc_rs::digest::{SHA256, digest};
use doorward_core::Timestamp;
use percent_encoding::percent_decode;
use rustls::{
    CertificateError, RootCertStore,
    crypto::aws_lc_rs,
    pki_types::{CertificateDer, CertificateRevocationListDer, UnixTime, pem::PemObject},
    server::{VerifierBuilderError, WebPkiClientVerifier, danger::ClientCertVerifier},
};
use x509_cert::{
    Certificate, TbsCertificate,
    attr::AttributeTypeAndValue,
    crl::CertificateList,
    der::{
        Decode, Tag, Tagged,
        asn1::{BmpString, ObjectIdentifier},
    },
    time::Time,
};

pub use shown::Shown;

/// `commonName` and `organizationName` (RFC 4519 sections 2.3 and 2.19).
const COMMON_NAME: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.5.4.3");
const ORGANIZATION: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.5.4.10");
/// After everything that has an end.
const NEVER: Timestamp = Timestamp::from_seconds(i64::MAX);
/// The attribute by which Kubernetes names a uid.
const UID: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.6.1.4.1.57683.2");

/// The authorities whose clients are believed, and what they have revoked.
#[derive(Clone)]
pub struct ClientCa {
    verifier: Arc<dyn ClientCertVerifier>,
    /// When the first of the lists gets too old; never, if there are none.
    lists_until: Timestamp,
}

impl fmt::Debug for ClientCa {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ClientCa")
    }
}

/// Why a file gives no authorities.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidClientCa {
    #[error("it holds no certificate that can be read: {0}")]
    Certificate(String),
    #[error("it holds no certificate")]
    Empty,
    #[error("it holds no certificate revocation list that can be read: {0}")]
    Revocations(String),
}

/// The subject of a certificate that was found good.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Subject {
    /// Empty if it has none.
    pub common_name: String,
    pub organizations: Vec<String>,
    /// Empty if it has none.
    pub uid: String,
}

/// Why a certificate says nothing. For logs; the client learns only that it does not count.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadCertificate {
    #[error("the certificate has expired, or is not valid yet")]
    OutsideValidity,
    #[error("the certificate comes from no authority that is trusted here")]
    UnknownIssuer,
    #[error("the certificate is revoked, or its revocation list is missing or too old")]
    Revoked,
    #[error("the certificate is not made for clients")]
    Purpose,
    #[error("the certificate is not usable: {0}")]
    Other(String),
    #[error("the subject of the certificate cannot be read")]
    Unreadable,
    #[error("the subject of the certificate has more than one common name")]
    SeveralNames,
    #[error("the subject of the certificate has an empty uid, or more than one")]
    Uid,
}

impl ClientCa {
    /// `certificates` is PEM with one authority or more. `revocations` are lists, PEM or DER: if there are any, every
    /// certificate of a chain needs one of its issuer that is up to date (RFC 5280 section 5).
    pub fn from_pem(certificates: &[u8], revocations: &[Vec<u8>]) -> Result<Self, InvalidClientCa> {
        let mut roots = RootCertStore::empty();
        for certificate in CertificateDer::pem_slice_iter(certificates) {
            let certificate = certificate.map_err(|error| InvalidClientCa::Certificate(error.to_string()))?;
            roots.add(certificate).map_err(|error| InvalidClientCa::Certificate(error.to_string()))?;
        }
        let mut lists = Vec::new();
        for file in revocations {
            lists.extend(read_lists(file)?);
        }
        let lists_until = lists.iter().map(|list| next_update(list)).min().unwrap_or(NEVER);
        let provider = Arc::new(aws_lc_rs::default_provider());
        let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider)
            .with_crls(lists)
            .enforce_revocation_expiration()
            .build();
        match verifier {
            Ok(verifier) => Ok(Self { verifier, lists_until }),
            Err(VerifierBuilderError::NoRootAnchors) => Err(InvalidClientCa::Empty),
            Err(error) => Err(InvalidClientCa::Revocations(error.to_string())),
        }
    }

    /// Judges what a client showed: DER, its own certificate first.
    pub fn verify(&self, shown: &[Vec<u8>], now: Timestamp) -> Result<Subject, BadCertificate> {
        let Some((leaf, others)) = shown.split_first() else { return Err(BadCertificate::Unreadable) };
        let others: Vec<CertificateDer<'_>> =
            others.iter().map(|other| CertificateDer::from(other.as_slice())).collect();
        let now = UnixTime::since_unix_epoch(Duration::from_secs(u64::try_from(now.seconds).unwrap_or(0)));
        self.verifier.verify_client_cert(&CertificateDer::from(leaf.as_slice()), &others, now)?;
        subject(leaf)
    }
}

fn read_lists(file: &[u8]) -> Result<Vec<CertificateRevocationListDer<'static>>, InvalidClientCa> {
    // A DER file begins with a sequence, which no PEM file does.
    if file.first() == Some(&0x30) {
        return Ok(vec![CertificateRevocationListDer::from(file.to_vec())]);
    }
    let lists: Result<Vec<_>, _> = CertificateRevocationListDer::pem_slice_iter(file).collect();
    let lists = lists.map_err(|error| InvalidClientCa::Revocations(error.to_string()))?;
    if lists.is_empty() { Err(InvalidClientCa::Revocations("there is none".to_owned())) } else { Ok(lists) }
}

/// When a list should be replaced; long ago if it does not say so.
fn next_update(list: &[u8]) -> Timestamp {
    let read: Option<CertificateList> = CertificateList::from_der(list).ok();
    read.and_then(|list| list.tbs_cert_list.next_update).map(timestamp).unwrap_or_default()
}

/// The last moment of a certificate; long ago if it cannot be read.
fn end(certificate: &[u8]) -> Timestamp {
    let read = Certificate::from_der(certificate);
    read.map(|read| timestamp(read.tbs_certificate().validity().not_after)).unwrap_or_default()
}

fn timestamp(time: Time) -> Timestamp {
    Timestamp::from_seconds(i64::try_from(time.to_unix_duration().as_secs()).unwrap_or(0))
}

impl From<rustls::Error> for BadCertificate {
    fn from(error: rustls::Error) -> Self {
        use CertificateError as E;
        let rustls::Error::InvalidCertificate(reason) = error else { return Self::Other(error.to_string()) };
        match reason {
            E::Expired | E::ExpiredContext { .. } | E::NotValidYet | E::NotValidYetContext { .. } => {
                Self::OutsideValidity
            }
            E::UnknownIssuer | E::BadSignature => Self::UnknownIssuer,
            E::Revoked
            | E::UnknownRevocationStatus
            | E::ExpiredRevocationList
            | E::ExpiredRevocationListContext { .. } => Self::Revoked,
            E::InvalidPurpose | E::InvalidPurposeContext { .. } => Self::Purpose,
            // Its words are those of a fixed list: nothing of the certificate stands in them.
            other => Self::Other(other.to_string()),
        }
    }
}

/// The certificates in a header of a proxy: PEM, percent-encoded, as nginx's `$ssl_client_escaped_cert`. What cannot be read
/// is a certificate that nobody trusts, and an empty header none.
pub fn from_header(value: &[u8]) -> Vec<Vec<u8>> {
    if value.is_empty() {
        return Vec::new();
    }
    let pem: Vec<u8> = percent_decode(value).collect();
    let read: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&pem).collect();
    match read {
        Ok(chain) if !chain.is_empty() => chain.iter().map(|certificate| certificate.to_vec()).collect(),
        _ => vec![Vec::new()],
    }
}

/// What names a certificate in logs and to applications: the hash of its DER.
pub fn credential_id(leaf: &[u8]) -> String {
    format!("X509SHA256={}", hex(digest(&SHA256, leaf).as_ref()))
}

/// In lower case.
pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

/// Reads the subject. Other attributes are of no interest, whatever they hold.
pub(crate) fn subject(leaf: &[u8]) -> Result<Subject, BadCertificate> {
    let certificate = Certificate::from_der(leaf).map_err(|_| BadCertificate::Unreadable)?;
    let tbs: &TbsCertificate = certificate.tbs_certificate();
    let values = |oid: ObjectIdentifier| {
        tbs.subject()
            .iter()
            .filter(move |attribute| attribute.oid == oid)
            .map(text)
            .collect::<Result<Vec<_>, _>>()
    };
    let mut names = values(COMMON_NAME)?;
    if names.len() > 1 {
        return Err(BadCertificate::SeveralNames);
    }
    let mut uids = values(UID)?;
    if uids.len() > 1 || uids.iter().any(String::is_empty) {
        return Err(BadCertificate::Uid);
    }
    Ok(Subject {
        common_name: names.pop().unwrap_or_default(),
        organizations: values(ORGANIZATION)?,
        uid: uids.pop().unwrap_or_default(),
    })
}

/// The text of an attribute. Only encodings are read that every reader understands alike, and no control characters: a
/// name with a NUL inside ends early for some.
fn text(attribute: &AttributeTypeAndValue) -> Result<String, BadCertificate> {
    let value = &attribute.value;
    let text = match value.tag() {
        Tag::Utf8String | Tag::PrintableString | Tag::Ia5String | Tag::NumericString => {
            str::from_utf8(value.value()).map(ToOwned::to_owned).map_err(|_| BadCertificate::Unreadable)?
        }
        // Nobody agrees on anything beyond ASCII in it.
        Tag::TeletexString if value.value().is_ascii() => String::from_utf8_lossy(value.value()).into_owned(),
        Tag::BmpString => value.decode_as::<BmpString>().map_err(|_| BadCertificate::Unreadable)?.to_string(),
        _ => return Err(BadCertificate::Unreadable),
    };
    if text.chars().any(char::is_control) { Err(BadCertificate::Unreadable) } else { Ok(text) }
}

#[cfg(test)]
mod tests;
