//! Public keys of a provider: from a JWK Set (RFC 7517) or from PEM files.
//! Keys we cannot use for verifying (encryption keys, shared secrets, unknown curves) are left out,
//! so that one exotic key at the provider does not end all logins.

use aws_lc_rs::signature::{ECDSA_P521_SHA512_FIXED, UnparsedPublicKey};
use base64_simd::URL_SAFE_NO_PAD;
use jsonwebtoken::{
    DecodingKey,
    jwk::{AlgorithmParameters, EllipticCurve, Jwk, KeyAlgorithm, KeyOperations, PublicKeyUse},
};
use serde_json::Value;

use crate::Algorithm;

/// The keys that may have signed a token.
#[derive(Clone, Debug, Default)]
pub struct KeySet {
    keys: Vec<Key>,
}

/// Why a document is not a key set.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidKeySet {
    #[error("the key set is not a JSON object with a list named keys")]
    NotAKeySet,
    #[error("the key set holds more than {MAX_KEYS} keys")]
    TooManyKeys,
    #[error("no PEM block with a public key was found")]
    NoPublicKey,
    #[error("a PEM block holds no RSA, P-256, P-384 or Ed25519 public key")]
    UnusablePublicKey,
}

/// More keys than any provider publishes; bounds the work one token can cause.
const MAX_KEYS: usize = 200;

impl KeySet {
    /// Reads a JWK Set document.
    pub fn from_jwks(json: &[u8]) -> Result<Self, InvalidKeySet> {
        let Ok(Value::Object(mut document)) = serde_json::from_slice(json) else {
            return Err(InvalidKeySet::NotAKeySet);
        };
        let Some(Value::Array(entries)) = document.remove("keys") else {
            return Err(InvalidKeySet::NotAKeySet);
        };
        if entries.len() > MAX_KEYS {
            return Err(InvalidKeySet::TooManyKeys);
        }
        Ok(Self { keys: entries.into_iter().filter_map(Key::from_json).collect() })
    }

    /// Reads every public key of a PEM file (`PUBLIC KEY`, `RSA PUBLIC KEY`). Such keys have no id
    /// and are tried for every token.
    pub fn from_pem(pem: &[u8]) -> Result<Self, InvalidKeySet> {
        let text = std::str::from_utf8(pem).map_err(|_| InvalidKeySet::NoPublicKey)?;
        let keys = public_key_blocks(text)
            .map(|block| Key::from_pem_block(&block).ok_or(InvalidKeySet::UnusablePublicKey))
            .collect::<Result<Vec<_>, _>>()?;
        if keys.is_empty() { Err(InvalidKeySet::NoPublicKey) } else { Ok(Self { keys }) }
    }

    /// Both sets together.
    #[must_use]
    pub fn joined(mut self, mut other: Self) -> Self {
        self.keys.append(&mut other.keys);
        self
    }

    pub fn len(&self) -> usize {
        self.keys.len()
    }

    pub fn is_empty(&self) -> bool {
        self.keys.is_empty()
    }

    /// The keys of exactly this id.
    pub(crate) fn named<'a>(&'a self, kid: &'a str) -> impl Iterator<Item = &'a Key> {
        self.keys.iter().filter(move |key| key.id.as_deref() == Some(kid))
    }

    /// The keys a token with this `kid` may be signed with: those of that id and those without one;
    /// without a `kid` all of them.
    pub(crate) fn candidates<'a>(&'a self, kid: Option<&'a str>) -> impl Iterator<Item = &'a Key> {
        self.keys.iter().filter(move |key| match (kid, &key.id) {
            (Some(wanted), Some(id)) => wanted == id,
            (None, _) | (_, None) => true,
        })
    }
}

/// One public key.
#[derive(Clone, Debug)]
pub(crate) struct Key {
    id: Option<String>,
    family: Family,
    /// The only algorithm the provider allows for this key, if it says so.
    only_for: Option<Algorithm>,
    material: Material,
}

#[derive(Clone, Debug)]
enum Material {
    Engine(DecodingKey),
    /// An uncompressed point.
    P521(Vec<u8>),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Family {
    Rsa,
    P256,
    P384,
    P521,
    Ed25519,
}

/// How many bytes a coordinate of P-521 has.
const P521_BYTES: usize = 66;

impl Key {
    /// Whether this key can have made a signature of that algorithm.
    pub(crate) fn fits(&self, algorithm: Algorithm) -> bool {
        let family_fits = match algorithm {
            Algorithm::Rs256
            | Algorithm::Rs384
            | Algorithm::Rs512
            | Algorithm::Ps256
            | Algorithm::Ps384
            | Algorithm::Ps512 => self.family == Family::Rsa,
            Algorithm::Es256 => self.family == Family::P256,
            Algorithm::Es384 => self.family == Family::P384,
            Algorithm::Es512 => self.family == Family::P521,
            Algorithm::EdDsa => self.family == Family::Ed25519,
            Algorithm::Hs256 | Algorithm::Hs384 | Algorithm::Hs512 => false,
        };
        family_fits && self.only_for.is_none_or(|only| only == algorithm)
    }

    /// Whether this key made `signature` (base64url) of `message`. That it fits the algorithm was seen before.
    pub(crate) fn verifies(&self, algorithm: Algorithm, message: &[u8], signature: &str) -> bool {
        match (&self.material, algorithm.engine()) {
            (Material::Engine(key), Some(engine)) => {
                jsonwebtoken::crypto::verify(signature, message, key, engine).is_ok_and(|matches| matches)
            }
            (Material::P521(point), None) if algorithm == Algorithm::Es512 => {
                let key = UnparsedPublicKey::new(&ECDSA_P521_SHA512_FIXED, point);
                let signature = URL_SAFE_NO_PAD.decode_to_vec(signature);
                signature.is_ok_and(|signature| key.verify(message, &signature).is_ok())
            }
            _ => false,
        }
    }

    fn from_json(entry: Value) -> Option<Self> {
        let jwk: Jwk = serde_json::from_value(entry).ok()?;
        let for_signing = matches!(jwk.common.public_key_use, None | Some(PublicKeyUse::Signature))
            && jwk.common.key_operations.as_ref().is_none_or(|all| all.contains(&KeyOperations::Verify));
        if !for_signing {
            return None;
        }
        let family = match &jwk.algorithm {
            AlgorithmParameters::RSA(_) => Family::Rsa,
            AlgorithmParameters::EllipticCurve(parameters) => match parameters.curve {
                EllipticCurve::P256 => Family::P256,
                EllipticCurve::P384 => Family::P384,
                EllipticCurve::P521 => Family::P521,
                _ => return None,
            },
            AlgorithmParameters::OctetKeyPair(parameters) if parameters.curve == EllipticCurve::Ed25519 => {
                Family::Ed25519
            }
            _ => return None,
        };
        let only_for = match jwk.common.key_algorithm {
            None | Some(KeyAlgorithm::UNKNOWN_ALGORITHM) => None,
            Some(named) => Some(named.to_string().parse().ok()?),
        };
        let material = match &jwk.algorithm {
            AlgorithmParameters::EllipticCurve(parameters) if family == Family::P521 => {
                Material::P521(point(&parameters.x, &parameters.y)?)
            }
            _ => Material::Engine(DecodingKey::from_jwk(&jwk).ok()?),
        };
        Some(Self { id: jwk.common.key_id, family, only_for, material })
    }

    fn from_pem_block(block: &str) -> Option<Self> {
        let bytes = block.as_bytes();
        let (family, material) = if let Ok(key) = DecodingKey::from_rsa_pem(bytes) {
            (Family::Rsa, key)
        } else if let Ok(key) = DecodingKey::from_ec_pem(bytes) {
            // An uncompressed point: one byte and two coordinates.
            match key.try_get_as_bytes().ok()?.len() {
                65 => (Family::P256, key),
                97 => (Family::P384, key),
                _ => return None,
            }
        } else {
            (Family::Ed25519, DecodingKey::from_ed_pem(bytes).ok()?)
        };
        Some(Self { id: None, family, only_for: None, material: Material::Engine(material) })
    }
}

/// A point of P-521 from its coordinates (RFC 7518 section 6.2.1): all of their bytes are there, also leading zeros.
fn point(x: &str, y: &str) -> Option<Vec<u8>> {
    let coordinate = |text: &str| {
        URL_SAFE_NO_PAD.decode_to_vec(text).ok().filter(|bytes: &Vec<u8>| bytes.len() == P521_BYTES)
    };
    Some([vec![4], coordinate(x)?, coordinate(y)?].concat())
}

/// The PEM blocks that hold public keys. Private keys and certificates are not looked at:
/// the file shall name exactly the keys that are trusted.
fn public_key_blocks(text: &str) -> impl Iterator<Item = String> {
    text.split("-----BEGIN ").skip(1).filter_map(|rest| {
        let (label, _) = rest.split_once("-----")?;
        matches!(label, "PUBLIC KEY" | "RSA PUBLIC KEY").then(|| format!("-----BEGIN {rest}"))
    })
}

#[cfg(test)]
mod tests;
