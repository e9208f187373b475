//! Signed tokens, good and forged (RFC 7515, RFC 7519).

use aws_lc_rs::hmac;
use base64_simd::URL_SAFE_NO_PAD;
use serde_json::{Map, Value, json};

use crate::keys::KeyName;

/// How a token is signed, or made to look as if.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Signature {
    Good,
    /// A bit of the signature is wrong.
    Corrupted,
    /// Nothing where the signature should be, under the algorithm of the key.
    Missing,
    /// `alg: none` in this spelling.
    Unsigned(&'static str),
    /// HMAC, keyed with the text of the public key.
    HmacWithPublicKey,
    /// By a stranger, whose public key is given in the header member `jwk`.
    EmbeddedKey,
    /// By a stranger, under the `kid` of the right key.
    Stranger,
    /// All zero bytes, of the right length for the key.
    Zero,
}

/// How to make tokens.
#[derive(Clone, Debug)]
pub struct Token {
    pub key: KeyName,
    /// Instead of the usual algorithm of the key.
    pub algorithm: Option<&'static str>,
    pub signature: Signature,
    /// Further members of the header; null removes one.
    pub header: Map<String, Value>,
    /// The last touch on the payload's text, for what no JSON library would write.
    pub payload: Option<fn(String) -> String>,
}

impl Default for Token {
    fn default() -> Self {
        Self {
            key: KeyName::Rsa,
            algorithm: None,
            signature: Signature::Good,
            header: Map::new(),
            payload: None,
        }
    }
}

impl Token {
    /// The compact form of these claims.
    pub fn sign(&self, claims: &Value) -> String {
        let algorithm = self.algorithm.unwrap_or_else(|| self.key.algorithm());
        let mut header = json!({ "alg": algorithm, "typ": "JWT", "kid": self.key.kid() });
        match self.signature {
            Signature::Unsigned(spelling) => header["alg"] = spelling.into(),
            Signature::HmacWithPublicKey => header["alg"] = "HS256".into(),
            Signature::EmbeddedKey => header["jwk"] = KeyName::OtherRsa.jwk(),
            _ => (),
        }
        overlay(&mut header, &self.header);
        let mut payload = claims.to_string();
        if let Some(touch) = self.payload {
            payload = touch(payload);
        }
        let signed = format!("{}.{}", encode(header.to_string()), encode(payload));
        format!("{signed}.{}", encode(self.signature_of(algorithm, signed.as_bytes())))
    }

    fn signature_of(&self, algorithm: &str, message: &[u8]) -> Vec<u8> {
        match self.signature {
            Signature::Good => self.key.sign(algorithm, message),
            Signature::Corrupted => {
                let mut signature = self.key.sign(algorithm, message);
                signature[10] ^= 1;
                signature
            }
            Signature::Missing | Signature::Unsigned(_) => Vec::new(),
            Signature::HmacWithPublicKey => {
                let key = hmac::Key::new(hmac::HMAC_SHA256, self.key.public_pem().as_bytes());
                hmac::sign(&key, message).as_ref().to_vec()
            }
            Signature::EmbeddedKey | Signature::Stranger => KeyName::OtherRsa.sign("RS256", message),
            Signature::Zero => vec![0; self.key.sign(algorithm, message).len()],
        }
    }
}

fn encode(bytes: impl AsRef<[u8]>) -> String {
    URL_SAFE_NO_PAD.encode_to_string(bytes)
}

/// Puts members over those of an object; null removes one.
pub(crate) fn overlay(object: &mut Value, members: &Map<String, Value>) {
    let Value::Object(object) = object else { panic!("members belong to an object") };
    for (name, value) in members {
        if value.is_null() {
            object.remove(name);
        } else {
            object.insert(name.clone(), value.clone());
        }
    }
}
