//! Signing keys of the provider, made once a process.

use std::sync::LazyLock;

use aws_lc_rs::{
    encoding::AsDer,
    rand::SystemRandom,
    rsa::KeySize,
    signature::{
        ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair, KeyPair, RSA_PKCS1_SHA256,
        RSA_PSS_SHA256, RsaEncoding, RsaKeyPair,
    },
};
use base64_simd::{STANDARD, URL_SAFE_NO_PAD};
use serde_json::{Value, json};

/// The keys that tests may use; the name is also the `kid`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeyName {
    Rsa,
    /// For rotation, and for signatures by a stranger.
    OtherRsa,
    P256,
    Ed25519,
}

enum Pair {
    Rsa(RsaKeyPair),
    P256(EcdsaKeyPair),
    Ed25519(Ed25519KeyPair),
}

static RSA: LazyLock<Pair> = LazyLock::new(|| Pair::Rsa(RsaKeyPair::generate(KeySize::Rsa2048).unwrap()));
static OTHER_RSA: LazyLock<Pair> =
    LazyLock::new(|| Pair::Rsa(RsaKeyPair::generate(KeySize::Rsa2048).unwrap()));
static P256: LazyLock<Pair> =
    LazyLock::new(|| Pair::P256(EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).unwrap()));
static ED25519: LazyLock<Pair> = LazyLock::new(|| Pair::Ed25519(Ed25519KeyPair::generate().unwrap()));

impl KeyName {
    pub const fn kid(self) -> &'static str {
        match self {
            Self::Rsa => "rsa-1",
            Self::OtherRsa => "rsa-2",
            Self::P256 => "p256-1",
            Self::Ed25519 => "ed25519-1",
        }
    }

    /// The usual algorithm of such keys (RFC 7518 section 3.1, RFC 8037).
    pub const fn algorithm(self) -> &'static str {
        match self {
            Self::Rsa | Self::OtherRsa => "RS256",
            Self::P256 => "ES256",
            Self::Ed25519 => "EdDSA",
        }
    }

    fn pair(self) -> &'static Pair {
        match self {
            Self::Rsa => &RSA,
            Self::OtherRsa => &OTHER_RSA,
            Self::P256 => &P256,
            Self::Ed25519 => &ED25519,
        }
    }

    /// The public key (RFC 7517).
    pub fn jwk(self) -> Value {
        let b64 = |bytes: &[u8]| URL_SAFE_NO_PAD.encode_to_string(bytes);
        let mut jwk = match self.pair() {
            Pair::Rsa(pair) => {
                let public = pair.public_key();
                let n = public.modulus().big_endian_without_leading_zero();
                let e = public.exponent().big_endian_without_leading_zero();
                json!({ "kty": "RSA", "n": b64(n), "e": b64(e) })
            }
            Pair::P256(pair) => {
                let point = pair.public_key().as_ref();
                json!({ "kty": "EC", "crv": "P-256", "x": b64(&point[1..33]), "y": b64(&point[33..65]) })
            }
            Pair::Ed25519(pair) => {
                json!({ "kty": "OKP", "crv": "Ed25519", "x": b64(pair.public_key().as_ref()) })
            }
        };
        jwk["kid"] = self.kid().into();
        jwk["use"] = "sig".into();
        jwk
    }

    /// The private key in PEM, for a client that signs. RSA only.
    pub fn private_pem(self) -> String {
        let Pair::Rsa(pair) = self.pair() else { panic!("only RSA keys are used this way") };
        let der: aws_lc_rs::encoding::Pkcs8V1Der<'_> = pair.as_der().unwrap();
        let text = STANDARD.encode_to_string(der.as_ref());
        format!("-----BEGIN PRIVATE KEY-----\n{text}\n-----END PRIVATE KEY-----\n")
    }

    /// The public key in PEM, as attackers feed it to a confused HMAC check. RSA only.
    pub(crate) fn public_pem(self) -> String {
        let Pair::Rsa(pair) = self.pair() else { panic!("only RSA keys are used this way") };
        let der: aws_lc_rs::encoding::PublicKeyX509Der<'_> = pair.public_key().as_der().unwrap();
        let lines = STANDARD.encode_to_string(der.as_ref());
        let lines: Vec<&str> =
            lines.as_bytes().chunks(64).map(|line| std::str::from_utf8(line).unwrap()).collect();
        format!("-----BEGIN PUBLIC KEY-----\n{}\n-----END PUBLIC KEY-----\n", lines.join("\n"))
    }

    pub(crate) fn sign(self, algorithm: &str, message: &[u8]) -> Vec<u8> {
        match self.pair() {
            Pair::Rsa(pair) => {
                let encoding: &dyn RsaEncoding =
                    if algorithm.starts_with("PS") { &RSA_PSS_SHA256 } else { &RSA_PKCS1_SHA256 };
                let mut signature = vec![0; pair.public_modulus_len()];
                pair.sign(encoding, &SystemRandom::new(), message, &mut signature).unwrap();
                signature
            }
            Pair::P256(pair) => pair.sign(&SystemRandom::new(), message).unwrap().as_ref().to_vec(),
            Pair::Ed25519(pair) => pair.sign(message).as_ref().to_vec(),
        }
    }
}
