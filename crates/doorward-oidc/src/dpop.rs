//! Proofs that we hold the key our tokens are bound to (RFC 9449). A proof is made for one request: `jti` never comes
//! again, and method, address and, at a resource, the token stand in it. Servers that want their nonce in it say so, and
//! are asked once more.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, PoisonError},
};

use aws_lc_rs::digest;
use doorward_core::{SecretString, Timestamp};
use doorward_jose::{ClientKey, SigningError};
use http::{HeaderName, header};
use reqwest::RequestBuilder;
use serde_json::{Value, json};
use url::Url;

use crate::{client_authentication::unique, http::Answer};

/// The key, and what servers wanted to read in the next proof.
#[derive(Debug)]
pub(crate) struct Dpop {
    key: Arc<ClientKey>,
    /// By origin (section 8.2). A provider has few.
    nonces: Mutex<BTreeMap<String, String>>,
}

pub(crate) const HEADER: HeaderName = HeaderName::from_static("dpop");
const NONCE: HeaderName = HeaderName::from_static("dpop-nonce");
/// What the authorization scheme and the type of bound tokens are called.
pub(crate) const SCHEME: &str = "DPoP";
const USE_NONCE: &str = "use_dpop_nonce";
const LONGEST_NONCE: usize = 1024;
const MOST_ORIGINS: usize = 16;

impl Dpop {
    pub(crate) fn new(key: Arc<ClientKey>) -> Self {
        Self { key, nonces: Mutex::default() }
    }

    /// What binds a code to the key already (section 10).
    pub(crate) fn thumbprint(&self) -> &str {
        self.key.thumbprint()
    }

    /// The proof of one request. `token` is shown along with it.
    pub(crate) fn proof(
        &self,
        (method, url): (&str, &Url),
        token: Option<&SecretString>,
        now: Timestamp,
    ) -> Result<SecretString, SigningError> {
        let mut target = url.clone();
        target.set_query(None);
        target.set_fragment(None);
        let mut claims = json!({"jti": unique()?, "htm": method, "htu": target.as_str(), "iat": now.seconds});
        if let Value::Object(claims) = &mut claims {
            if let Some(nonce) = self.nonce(url) {
                claims.insert("nonce".to_owned(), nonce.into());
            }
            if let Some(token) = token {
                let hash = digest::digest(&digest::SHA256, token.expose().as_bytes());
                let hash = base64_simd::URL_SAFE_NO_PAD.encode_to_string(hash.as_ref());
                claims.insert("ath".to_owned(), hash.into());
            }
        }
        self.key.sign_showing("dpop+jwt", &claims)
    }

    /// `request` with `token` and the proof that it is ours to use (section 7.1).
    pub(crate) fn authorize(
        &self,
        request: RequestBuilder,
        target: (&str, &Url),
        (token, now): (&SecretString, Timestamp),
    ) -> Result<RequestBuilder, SigningError> {
        let proof = self.proof(target, Some(token), now)?;
        let authorization = format!("{SCHEME} {}", token.expose());
        Ok(request.header(header::AUTHORIZATION, authorization).header(HEADER, proof.expose()))
    }

    /// Keeps the nonce that came with an answer of `url`. Returns whether the server refused the request for the lack of
    /// that very nonce, so that it may be tried once more.
    pub(crate) fn learn(&self, url: &Url, answer: &Answer) -> bool {
        let Some(nonce) = answer.headers.get(NONCE).and_then(|nonce| nonce.to_str().ok()) else {
            return false;
        };
        if nonce.is_empty() || LONGEST_NONCE < nonce.len() {
            return false;
        }
        let mut nonces = self.nonces.lock().unwrap_or_else(PoisonError::into_inner);
        if nonces.len() >= MOST_ORIGINS {
            nonces.clear();
        }
        nonces.insert(url.origin().ascii_serialization(), nonce.to_owned());
        wants_nonce(answer)
    }

    fn nonce(&self, url: &Url) -> Option<String> {
        let nonces = self.nonces.lock().unwrap_or_else(PoisonError::into_inner);
        nonces.get(&url.origin().ascii_serialization()).cloned()
    }
}

/// Authorization servers say so in the body, resources in a header (sections 8 and 9).
fn wants_nonce(answer: &Answer) -> bool {
    let in_body = || {
        let body = serde_json::from_slice::<Value>(&answer.body);
        body.is_ok_and(|body| body.get("error").is_some_and(|error| error == USE_NONCE))
    };
    let in_header = || {
        let challenges = answer.headers.get_all(header::WWW_AUTHENTICATE);
        challenges.iter().any(|line| line.to_str().is_ok_and(|line| line.contains(USE_NONCE)))
    };
    matches!(answer.status.as_u16(), 400 | 401) && (in_body() || in_header())
}

#[cfg(test)]
mod tests;
