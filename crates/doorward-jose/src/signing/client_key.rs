//! A key that somebody made for us, to prove with it who we are (RFC 7523): read from a PEM file or a JWK. What it signs
//! with follows from the key, unless a name is given for it; weak keys and shared secrets are refused.

use std::fmt;

use aws_lc_rs::{
    digest,
    rsa::{KeyPairComponents, PublicKeyComponents},
    signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair, RsaKeyPair},
};
use base64_simd::URL_SAFE_NO_PAD;
use doorward_core::SecretString;
use rustls_pki_types::{
    CertificateDer, PrivateKeyDer,
    pem::{Error as PemError, PemObject as _},
};
use serde::Serialize;
use serde_json::{Map, Value};

use super::{Pair, SigningError, SigningKey};
use crate::Algorithm;

/// A private key from a file, and how the one who knows its public half calls it. Equal to another if the public halves,
/// the names and the algorithms are.
pub struct ClientKey {
    key: SigningKey,
    /// `kid`, and the thumbprint of a certificate.
    names: Map<String, Value>,
}

/// Why a file is no key to prove with who we are.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidClientKey {
    #[error("it holds neither a private key in PEM nor a JWK")]
    NoKey,
    #[error("the private key is encrypted; write it without a passphrase, and guard the file instead")]
    Encrypted,
    #[error("the key is of no usable kind: RSA with 2048 to 8192 bits, P-256 or Ed25519 is needed")]
    Unusable,
    #[error("the JWK is a public key; the private one is needed")]
    PublicOnly,
    #[error("the JWK is a shared secret; use client_secret_jwt for those")]
    Shared,
    #[error("the key cannot sign with {wanted}; it is a key for {possible}")]
    Algorithm { wanted: Algorithm, possible: &'static str },
    #[error("the JWK names the algorithm {0:?}, which is none of RS256, PS256, ES256 and EdDSA")]
    UnknownAlgorithm(String),
}

impl ClientKey {
    /// Reads a PEM file or a JWK. `algorithm` names another than the usual one of the key; `kid` is how the key is called
    /// at the other side, in place of what a JWK says. With a certificate beside the key, its thumbprint is told too
    /// (`x5t#S256`, RFC 7515 section 4.1.8), as some providers look keys up by it.
    pub fn read(
        file: &[u8],
        algorithm: Option<Algorithm>,
        kid: Option<&str>,
    ) -> Result<Self, InvalidClientKey> {
        let text = str::from_utf8(file).map_err(|_| InvalidClientKey::NoKey)?;
        let Found { pair, mut names, said } = if text.trim_start().starts_with('{') {
            of_jwk(text)?
        } else {
            Found { pair: of_pem(file)?, names: of_certificate(file), said: None }
        };
        if let Some(kid) = kid {
            names.insert("kid".to_owned(), kid.into());
        }
        let algorithm = algorithm.or(said);
        let possible: (&[Algorithm], &'static str) = match &pair {
            Pair::Rsa(_) => (&[Algorithm::Rs256, Algorithm::Ps256], "RS256 and PS256"),
            Pair::P256(_) => (&[Algorithm::Es256], "ES256"),
            Pair::Ed25519(_) => (&[Algorithm::EdDsa], "EdDSA"),
        };
        let algorithm = match (algorithm, possible.0) {
            (None, [usual, ..]) => *usual,
            (Some(wanted), all) if all.contains(&wanted) => wanted,
            (wanted, _) => {
                let wanted = wanted.unwrap_or(Algorithm::Rs256);
                return Err(InvalidClientKey::Algorithm { wanted, possible: possible.1 });
            }
        };
        let key = SigningKey::new(algorithm, pair).map_err(|_| InvalidClientKey::Unusable)?;
        Ok(Self { key, names })
    }

    pub const fn algorithm(&self) -> Algorithm {
        self.key.algorithm()
    }

    /// The thumbprint of the public key (RFC 7638), whatever it is called at the other side.
    pub fn thumbprint(&self) -> &str {
        self.key.kid()
    }

    /// The public half with nothing but what the thumbprint is made of, as a header carries it.
    pub fn bare_public_jwk(&self) -> Value {
        let mut public = self.key.public_jwk().clone();
        if let Value::Object(members) = &mut public {
            members.retain(|name, _| ["kty", "n", "e", "crv", "x", "y"].contains(&name.as_str()));
        }
        public
    }

    /// A signed token of these claims. Its header has `typ`, `alg`, and what the key is called.
    pub fn sign(&self, typ: &str, claims: &impl Serialize) -> Result<SecretString, SigningError> {
        let mut header = self.names.clone();
        header.insert("typ".to_owned(), typ.into());
        self.key.sign_under(header, claims)
    }

    /// As [`sign`](Self::sign), but the header holds the public key in place of its name (RFC 7515 section 4.1.3).
    pub fn sign_showing(&self, typ: &str, claims: &impl Serialize) -> Result<SecretString, SigningError> {
        let mut header = Map::new();
        header.insert("typ".to_owned(), typ.into());
        header.insert("jwk".to_owned(), self.bare_public_jwk());
        self.key.sign_under(header, claims)
    }
}

impl PartialEq for ClientKey {
    fn eq(&self, other: &Self) -> bool {
        self.thumbprint() == other.thumbprint()
            && self.algorithm() == other.algorithm()
            && self.names == other.names
    }
}

impl Eq for ClientKey {}

impl fmt::Debug for ClientKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ClientKey({:?})", self.key)
    }
}

/// What stands in a file.
struct Found {
    pair: Pair,
    names: Map<String, Value>,
    /// The algorithm, if the file names one.
    said: Option<Algorithm>,
}

fn of_pem(file: &[u8]) -> Result<Pair, InvalidClientKey> {
    let der = match PrivateKeyDer::from_pem_slice(file) {
        Ok(der) => der,
        Err(PemError::NoItemsFound) if file.windows(ENCRYPTED.len()).any(|part| part == ENCRYPTED) => {
            return Err(InvalidClientKey::Encrypted);
        }
        Err(_) => return Err(InvalidClientKey::NoKey),
    };
    let usable = match &der {
        PrivateKeyDer::Pkcs1(der) => RsaKeyPair::from_der(der.secret_pkcs1_der()).map(Pair::Rsa).ok(),
        PrivateKeyDer::Sec1(der) => {
            EcdsaKeyPair::from_private_key_der(&ECDSA_P256_SHA256_FIXED_SIGNING, der.secret_sec1_der())
                .map(Pair::P256)
                .ok()
        }
        PrivateKeyDer::Pkcs8(der) => of_pkcs8(der.secret_pkcs8_der()),
        _ => None,
    };
    usable.filter(is_strong).ok_or(InvalidClientKey::Unusable)
}

const ENCRYPTED: &[u8] = b"BEGIN ENCRYPTED PRIVATE KEY";

fn of_pkcs8(der: &[u8]) -> Option<Pair> {
    let rsa = || RsaKeyPair::from_pkcs8(der).map(Pair::Rsa).ok();
    let p256 = || EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, der).map(Pair::P256).ok();
    let ed25519 = || Ed25519KeyPair::from_pkcs8_maybe_unchecked(der).map(Pair::Ed25519).ok();
    rsa().or_else(p256).or_else(ed25519)
}

/// RFC 7518 section 3.3 asks for 2048 bits.
fn is_strong(pair: &Pair) -> bool {
    !matches!(pair, Pair::Rsa(pair) if pair.public_modulus_len() < 256)
}

fn of_certificate(file: &[u8]) -> Map<String, Value> {
    let certificate = CertificateDer::from_pem_slice(file).ok();
    let thumbprint = certificate.map(|der| digest::digest(&digest::SHA256, &der));
    let encoded = thumbprint.map(|sum| URL_SAFE_NO_PAD.encode_to_string(sum.as_ref()));
    encoded.map(|text| ("x5t#S256".to_owned(), text.into())).into_iter().collect()
}

/// A private JWK (RFC 7518 section 6, RFC 8037 section 2).
fn of_jwk(text: &str) -> Result<Found, InvalidClientKey> {
    let jwk: Map<String, Value> = serde_json::from_str(text).map_err(|_| InvalidClientKey::NoKey)?;
    let member = |name: &str| jwk.get(name).and_then(Value::as_str);
    if member("kty") == Some("oct") {
        return Err(InvalidClientKey::Shared);
    }
    if member("kty").is_none() {
        return Err(InvalidClientKey::NoKey);
    }
    if member("d").is_none() {
        return Err(InvalidClientKey::PublicOnly);
    }
    let bytes = |name: &str| {
        let text = member(name).ok_or(InvalidClientKey::Unusable)?;
        URL_SAFE_NO_PAD.decode_to_vec(text).map_err(|_| InvalidClientKey::Unusable)
    };
    let pair = match (member("kty"), member("crv")) {
        (Some("RSA"), _) => RsaKeyPair::from_components(&KeyPairComponents {
            public_key: PublicKeyComponents { n: bytes("n")?, e: bytes("e")? },
            d: bytes("d")?,
            p: bytes("p")?,
            q: bytes("q")?,
            dP: bytes("dp")?,
            dQ: bytes("dq")?,
            qInv: bytes("qi")?,
        })
        .map(Pair::Rsa)
        .ok(),
        (Some("EC"), Some("P-256")) => {
            let public = [vec![4], bytes("x")?, bytes("y")?].concat();
            EcdsaKeyPair::from_private_key_and_public_key(
                &ECDSA_P256_SHA256_FIXED_SIGNING,
                &bytes("d")?,
                &public,
            )
            .map(Pair::P256)
            .ok()
        }
        (Some("OKP"), Some("Ed25519")) => {
            Ed25519KeyPair::from_seed_and_public_key(&bytes("d")?, &bytes("x")?).map(Pair::Ed25519).ok()
        }
        _ => None,
    };
    let pair = pair.filter(is_strong).ok_or(InvalidClientKey::Unusable)?;
    let said = match member("alg") {
        None => None,
        Some(name) => {
            let known = name.parse().ok();
            Some(known.ok_or_else(|| InvalidClientKey::UnknownAlgorithm(name.chars().take(32).collect()))?)
        }
    };
    let kid = member("kid").map(|kid| ("kid".to_owned(), kid.into()));
    Ok(Found { pair, names: kid.into_iter().collect(), said })
}

#[cfg(test)]
mod tests;
