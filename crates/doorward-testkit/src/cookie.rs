//! Cookies as tests need them: what a `Set-Cookie` line says, and values signed at another time.

use std::time::{SystemTime, UNIX_EPOCH};

use aws_lc_rs::hmac;
use base64_simd::URL_SAFE;

/// A parsed `Set-Cookie` line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SetCookie {
    pub name: String,
    pub value: String,
    /// Attributes in their order, e.g. `Path=/` and `HttpOnly`.
    pub attributes: Vec<String>,
}

impl SetCookie {
    pub(crate) fn parse(line: &str) -> Self {
        let mut parts = line.split(';').map(str::trim);
        let (name, value) = parts.next().and_then(|pair| pair.split_once('=')).unwrap_or((line, ""));
        Self { name: name.into(), value: value.into(), attributes: parts.map(ToOwned::to_owned).collect() }
    }

    pub fn is_deletion(&self) -> bool {
        self.attributes.iter().any(|attribute| attribute.eq_ignore_ascii_case("Max-Age=0"))
    }

    /// All attributes but the lifetime, in one text.
    pub fn scope(&self) -> String {
        let lasting = |attribute: &&String| !attribute.to_ascii_lowercase().starts_with("max-age=");
        self.attributes.iter().filter(lasting).cloned().collect::<Vec<_>>().join("; ")
    }
}

/// The same content, signed as if `age_seconds` ago: an old cookie without the waiting.
pub fn resigned(secret: &str, name: &str, value: &str, age_seconds: u64) -> String {
    let payload = value.split('|').next().unwrap_or_default();
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
    signed_at(secret, name, payload, &(now - age_seconds).to_string())
}

/// Signs a payload that is base64 already: `payload|seconds|mac` over name, payload and seconds.
pub fn signed_at(secret: &str, name: &str, payload: &str, seconds: &str) -> String {
    let key = hmac::Key::new(hmac::HMAC_SHA256, secret.as_bytes());
    let mac = hmac::sign(&key, format!("{name}{payload}{seconds}").as_bytes());
    format!("{payload}|{seconds}|{}", URL_SAFE.encode_to_string(mac.as_ref()))
}
