//! Keys that sign, and signing a token in compact form (RFC 7515 section 7.1). Three algorithms for keys of our own:
//! RS256 with 2048 bits, ES256 and `EdDSA` (Ed25519); PS256 besides for keys that others made ([`client_key`]). A key
//! has one algorithm and never signs with another (RFC 8725 section 3.1).
//!
//! The one part of this room that needs randomness: it comes from the operating system, by way of the cryptography.

pub mod client_key;

use aws_lc_rs::{
    encoding::{AsDer as _, Pkcs8V1Der},
    hmac,
    rand::SystemRandom,
    rsa::KeySize,
    signature::{
        ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair, KeyPair as _, RSA_PKCS1_SHA256,
        RSA_PSS_SHA256, RsaKeyPair,
    },
};
use base64_simd::URL_SAFE_NO_PAD;
use doorward_core::{Secret, SecretString};
use jsonwebtoken::{
    DecodingKey,
    jwk::{Jwk, PublicKeyUse, ThumbprintHash},
};
use serde::Serialize;
use serde_json::{Map, Value};

use crate::Algorithm;

/// A private key, the algorithm it signs with, and what is published of it.
pub struct SigningKey {
    algorithm: Algorithm,
    pair: Pair,
    id: String,
    public: Value,
}

enum Pair {
    Rsa(RsaKeyPair),
    P256(EcdsaKeyPair),
    Ed25519(Ed25519KeyPair),
}

/// Why there is no such key, or no signature.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SigningError {
    #[error("{0} is not an algorithm to sign with; use RS256, ES256 or EdDSA")]
    Algorithm(Algorithm),
    #[error("the private key cannot be read: {0}")]
    UnusableKey(&'static str),
    #[error("the cryptography failed; is there randomness to be had from the operating system?")]
    Cryptography,
    #[error("the claims cannot be written as a JSON object")]
    Claims,
    #[error("the secret is shorter than {LEAST_SECRET_BYTES} bytes, which HS256 needs at least")]
    ShortSecret,
}

impl SigningKey {
    /// The algorithms that there are keys for.
    pub const ALGORITHMS: [Algorithm; 3] = [Algorithm::Rs256, Algorithm::Es256, Algorithm::EdDsa];

    /// A new key. For RSA this takes a noticeable time.
    pub fn generate(algorithm: Algorithm) -> Result<Self, SigningError> {
        let failed = |_| SigningError::Cryptography;
        let pair = match algorithm {
            Algorithm::Rs256 => Pair::Rsa(RsaKeyPair::generate(KeySize::Rsa2048).map_err(failed)?),
            Algorithm::Es256 => {
                Pair::P256(EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).map_err(failed)?)
            }
            Algorithm::EdDsa => Pair::Ed25519(Ed25519KeyPair::generate().map_err(failed)?),
            other => return Err(SigningError::Algorithm(other)),
        };
        Self::new(algorithm, pair)
    }

    /// Reads what [`to_pkcs8`](Self::to_pkcs8) wrote.
    pub fn from_pkcs8(algorithm: Algorithm, der: &[u8]) -> Result<Self, SigningError> {
        let pair = match algorithm {
            Algorithm::Rs256 => Pair::Rsa(RsaKeyPair::from_pkcs8(der).map_err(|_| UNUSABLE)?),
            Algorithm::Es256 => Pair::P256(
                EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, der).map_err(|_| UNUSABLE)?,
            ),
            Algorithm::EdDsa => Pair::Ed25519(Ed25519KeyPair::from_pkcs8(der).map_err(|_| UNUSABLE)?),
            other => return Err(SigningError::Algorithm(other)),
        };
        Self::new(algorithm, pair)
    }

    /// The private key as PKCS #8 (RFC 5208), to be sealed and stored.
    pub fn to_pkcs8(&self) -> Result<Secret<Vec<u8>>, SigningError> {
        let failed = |_| SigningError::Cryptography;
        let der: Vec<u8> = match &self.pair {
            Pair::Rsa(pair) => {
                let der: Pkcs8V1Der<'_> = pair.as_der().map_err(failed)?;
                der.as_ref().to_vec()
            }
            Pair::P256(pair) => pair.to_pkcs8v1().map_err(failed)?.as_ref().to_vec(),
            Pair::Ed25519(pair) => pair.to_pkcs8v1().map_err(failed)?.as_ref().to_vec(),
        };
        Ok(Secret::new(der))
    }

    pub const fn algorithm(&self) -> Algorithm {
        self.algorithm
    }

    /// The id of the key: its thumbprint (RFC 7638).
    pub fn kid(&self) -> &str {
        &self.id
    }

    /// The public half as a JWK (RFC 7517), with `kid`, `alg` and `use`.
    pub const fn public_jwk(&self) -> &Value {
        &self.public
    }

    /// A signed token of these claims, whose header has `typ`, `alg` and `kid`.
    pub fn sign(&self, typ: &str, claims: &impl Serialize) -> Result<SecretString, SigningError> {
        let header = [("kid", self.id.clone().into()), ("typ", typ.into())];
        self.sign_under(header.map(|(name, value)| (name.to_owned(), value)).into_iter().collect(), claims)
    }

    /// A signed token of these claims with this header, to which `alg` is added.
    pub fn sign_under(
        &self,
        mut header: Map<String, Value>,
        claims: &impl Serialize,
    ) -> Result<SecretString, SigningError> {
        header.insert("alg".to_owned(), self.algorithm.name().into());
        let signed = signing_input(&header, claims)?;
        let signature = URL_SAFE_NO_PAD.encode_to_string(self.signature(signed.as_bytes())?);
        Ok(format!("{signed}.{signature}").into())
    }

    fn signature(&self, message: &[u8]) -> Result<Vec<u8>, SigningError> {
        let random = SystemRandom::new();
        let failed = |_| SigningError::Cryptography;
        match &self.pair {
            Pair::Rsa(pair) => {
                let mut signature = vec![0; pair.public_modulus_len()];
                let padding: &dyn aws_lc_rs::signature::RsaEncoding =
                    if self.algorithm == Algorithm::Ps256 { &RSA_PSS_SHA256 } else { &RSA_PKCS1_SHA256 };
                pair.sign(padding, &random, message, &mut signature).map_err(failed)?;
                Ok(signature)
            }
            Pair::P256(pair) => Ok(pair.sign(&random, message).map_err(failed)?.as_ref().to_vec()),
            Pair::Ed25519(pair) => Ok(pair.sign(message).as_ref().to_vec()),
        }
    }

    fn new(algorithm: Algorithm, pair: Pair) -> Result<Self, SigningError> {
        let public = match &pair {
            Pair::Rsa(pair) => DecodingKey::from_rsa_der(pair.public_key().as_ref()),
            Pair::P256(pair) => DecodingKey::from_ec_der(pair.public_key().as_ref()),
            Pair::Ed25519(pair) => DecodingKey::from_ed_der(pair.public_key().as_ref()),
        };
        let mut jwk = Jwk::from_decoding_key(&public, algorithm.engine()).map_err(|_| UNUSABLE)?;
        let id = jwk.thumbprint(ThumbprintHash::SHA256).map_err(|_| UNUSABLE)?;
        jwk.common.key_id = Some(id.clone());
        jwk.common.public_key_use = Some(PublicKeyUse::Signature);
        let public = serde_json::to_value(&jwk).map_err(|_| UNUSABLE)?;
        Ok(Self { algorithm, pair, id, public })
    }
}

/// Header and claims as they are signed (RFC 7515 section 5.1).
fn signing_input(header: &Map<String, Value>, claims: &impl Serialize) -> Result<String, SigningError> {
    let header = serde_json::to_vec(header).map_err(|_| SigningError::Claims)?;
    let claims = serde_json::to_vec(claims).map_err(|_| SigningError::Claims)?;
    if !claims.starts_with(b"{") {
        return Err(SigningError::Claims);
    }
    let encode = |part: Vec<u8>| URL_SAFE_NO_PAD.encode_to_string(part);
    Ok(format!("{}.{}", encode(header), encode(claims)))
}

/// The fewest bytes of a secret for HS256 (RFC 7518 section 3.2).
pub const LEAST_SECRET_BYTES: usize = 32;

/// A token of these claims under a shared secret (HS256), for the one who shares it. A short secret is refused: whoever
/// sees one token could find it by trying.
pub fn sign_with_secret(
    secret: &SecretString,
    typ: &str,
    claims: &impl Serialize,
) -> Result<SecretString, SigningError> {
    let secret = secret.expose().as_bytes();
    if secret.len() < LEAST_SECRET_BYTES {
        return Err(SigningError::ShortSecret);
    }
    let header = [("alg", Algorithm::Hs256.name()), ("typ", typ)];
    let header = header.map(|(name, value)| (name.to_owned(), value.into())).into_iter().collect();
    let signed = signing_input(&header, claims)?;
    let tag = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, secret), signed.as_bytes());
    Ok(format!("{signed}.{}", URL_SAFE_NO_PAD.encode_to_string(tag.as_ref())).into())
}

const UNUSABLE: SigningError = SigningError::UnusableKey("it is not of the kind its algorithm needs");

impl std::fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "SigningKey({} {})", self.algorithm, self.id)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::{KeySet, verify};

    fn key_set(keys: &[&SigningKey]) -> KeySet {
        let keys: Vec<&Value> = keys.iter().map(|key| key.public_jwk()).collect();
        KeySet::from_jwks(&serde_json::to_vec(&json!({ "keys": keys })).unwrap()).unwrap()
    }

    #[test]
    fn what_a_key_signs_verifies_with_what_is_published_of_it_and_with_nothing_else() {
        for algorithm in SigningKey::ALGORITHMS {
            let (key, other) =
                (SigningKey::generate(algorithm).unwrap(), SigningKey::generate(algorithm).unwrap());
            let token = key.sign("at+jwt", &json!({"sub": "alice"})).unwrap();
            let verified = verify(token.expose(), &key_set(&[&other, &key]), &[algorithm]).unwrap();
            assert_eq!(verified.token_type(), Some("at+jwt"));
            assert_eq!(verified.claims().get("sub"), Some(&json!("alice")));
            assert!(verify(token.expose(), &key_set(&[&other]), &[algorithm]).is_err());
        }
    }

    #[test]
    fn a_stored_key_is_the_same_key_and_of_no_other_algorithm() {
        for algorithm in SigningKey::ALGORITHMS {
            let key = SigningKey::generate(algorithm).unwrap();
            let stored = key.to_pkcs8().unwrap();
            let again = SigningKey::from_pkcs8(algorithm, stored.expose()).unwrap();
            assert_eq!((again.kid(), again.public_jwk()), (key.kid(), key.public_jwk()));
            let token = again.sign("JWT", &json!({})).unwrap();
            assert!(verify(token.expose(), &key_set(&[&key]), &[algorithm]).is_ok());
            for other in SigningKey::ALGORITHMS.into_iter().filter(|other| *other != algorithm) {
                assert!(SigningKey::from_pkcs8(other, stored.expose()).is_err(), "{algorithm} as {other}");
            }
            assert!(SigningKey::from_pkcs8(algorithm, b"not a key").is_err());
        }
        assert_eq!(
            SigningKey::generate(Algorithm::Hs256).unwrap_err(),
            SigningError::Algorithm(Algorithm::Hs256)
        );
    }

    #[test]
    fn nothing_private_is_published_or_printed() {
        for algorithm in SigningKey::ALGORITHMS {
            let key = SigningKey::generate(algorithm).unwrap();
            let mut names: Vec<&str> =
                key.public_jwk().as_object().unwrap().keys().map(String::as_str).collect();
            names.retain(|name| !["kid", "alg", "use", "kty", "n", "e", "crv", "x", "y"].contains(name));
            assert!(names.is_empty(), "{algorithm}: {names:?}");
            assert_eq!(format!("{key:?}"), format!("SigningKey({algorithm} {})", key.kid()));
        }
    }

    /// The key and thumbprint of RFC 8037, appendix A.
    #[test]
    fn the_id_of_a_key_is_the_thumbprint_of_the_standard() {
        let mut der = b"\x30\x2e\x02\x01\x00\x30\x05\x06\x03\x2b\x65\x70\x04\x22\x04\x20".to_vec();
        der.extend(URL_SAFE_NO_PAD.decode_to_vec("nWGxne_9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A").unwrap());
        let key = SigningKey::from_pkcs8(Algorithm::EdDsa, &der).unwrap();
        assert_eq!(key.kid(), "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k");
    }

    /// RFC 7515, appendix A.1, has a secret of 64 bytes that are no text; so the check is against the cryptography itself.
    #[test]
    fn a_shared_secret_signs_what_its_owner_verifies_and_a_short_one_signs_nothing() {
        let secret = SecretString::from("0123456789abcdef0123456789abcdef");
        let token = sign_with_secret(&secret, "JWT", &json!({"sub": "client"})).unwrap();
        let (signed, tag) = token.expose().rsplit_once('.').unwrap();
        let key = hmac::Key::new(hmac::HMAC_SHA256, secret.expose().as_bytes());
        hmac::verify(&key, signed.as_bytes(), &URL_SAFE_NO_PAD.decode_to_vec(tag).unwrap()).unwrap();
        let header = URL_SAFE_NO_PAD.decode_to_vec(signed.split('.').next().unwrap()).unwrap();
        let header: Value = serde_json::from_slice(&header).unwrap();
        assert_eq!(header, json!({"alg": "HS256", "typ": "JWT"}));
        let short =
            sign_with_secret(&SecretString::from("0123456789abcdef0123456789abcde"), "JWT", &json!({}));
        assert_eq!(short.unwrap_err(), SigningError::ShortSecret);
    }

    #[test]
    fn only_objects_are_claims() {
        let key = SigningKey::generate(Algorithm::EdDsa).unwrap();
        assert_eq!(key.sign("JWT", &json!(["a"])).unwrap_err(), SigningError::Claims);
    }
}
