//! Verifying a signed token in compact form (RFC 7515 section 7.1, hardened after RFC 8725).
//! The algorithm is decided by configuration before any key is looked at; keys and key addresses
//! inside the token are never used. No error carries a part of the token except the algorithm name.

use serde_json::Value;

use crate::{Algorithm, KeySet, claims_check::Claims, jwk::Key, strict_json};

/// The payload of a token whose signature one of the provider's keys made.
/// What the claims say (issuer, audience, times) is still to be checked: see `claims_check`.
#[derive(Clone, Debug, PartialEq)]
pub struct VerifiedClaims {
    claims: Claims,
    token_type: Option<String>,
}

impl VerifiedClaims {
    pub const fn claims(&self) -> &Claims {
        &self.claims
    }

    pub fn into_claims(self) -> Claims {
        self.claims
    }

    /// The `typ` of the header in lower case without `application/`, e.g. `jwt`, `at+jwt`, `logout+jwt`.
    pub fn token_type(&self) -> Option<&str> {
        self.token_type.as_deref()
    }
}

/// Why a token was not believed. Comparable, and without any secret.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum VerifyError {
    #[error("the token is longer than {MAX_TOKEN_BYTES} bytes")]
    TooLong,
    #[error("the token is malformed: {0}")]
    Malformed(&'static str),
    #[error("the token is signed with {alg:?}, which is not an allowed algorithm")]
    AlgorithmNotAllowed { alg: String },
    #[error("the token demands an extension that is not understood (crit)")]
    CriticalExtension,
    #[error("the token is of the type {typ:?}, which does not count here")]
    WrongType { typ: String },
    #[error("the token does not say which key signed it (kid)")]
    NoKeyId,
    #[error("no key of the provider has the id the token names")]
    UnknownKey,
    #[error("the key the token names is not of the kind its algorithm needs")]
    KeyDoesNotFit,
    #[error("the signature of the token is wrong")]
    BadSignature,
}

impl VerifyError {
    /// Whether the provider may have changed its keys, so that a fresh key set could decide otherwise.
    pub const fn may_be_stale_keys(&self) -> bool {
        matches!(self, Self::UnknownKey | Self::KeyDoesNotFit | Self::BadSignature)
    }
}

/// Large enough for tokens with hundreds of groups.
const MAX_TOKEN_BYTES: usize = 256 * 1024;

/// What a token has to be like, beside its signature.
#[derive(Clone, Copy, Debug)]
pub struct Demands<'a> {
    pub algorithms: &'a [Algorithm],
    pub key_id: KeyId,
    pub types: Types<'a>,
}

/// Whether a token has to say which key signed it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeyId {
    /// Keys without an id are tried for every token, all keys for a token without a `kid`.
    Optional,
    /// Only a key of that very id counts.
    Required,
}

/// Values of `typ`, in lower case and without `application/`.
#[derive(Clone, Copy, Debug)]
pub enum Types<'a> {
    /// One of these.
    Only(&'a [String]),
    /// None of these; it may be missing.
    Not(&'a [&'a str]),
}

impl Types<'_> {
    fn admit(self, typ: Option<&str>) -> bool {
        match self {
            Self::Only(types) => typ.is_some_and(|typ| types.iter().any(|one| one == typ)),
            Self::Not(types) => typ.is_none_or(|typ| !types.contains(&typ)),
        }
    }
}

/// Checks form, algorithm and signature of `token`, in that order.
pub fn verify(token: &str, keys: &KeySet, allowed: &[Algorithm]) -> Result<VerifiedClaims, VerifyError> {
    let demands = Demands { algorithms: allowed, key_id: KeyId::Optional, types: Types::Not(&[]) };
    verify_demanding(token, keys, demands)
}

/// Checks form, algorithm, type, key and signature of `token`, in that order.
pub fn verify_demanding(
    token: &str,
    keys: &KeySet,
    demands: Demands<'_>,
) -> Result<VerifiedClaims, VerifyError> {
    if token.len() > MAX_TOKEN_BYTES {
        return Err(VerifyError::TooLong);
    }
    let parts = Parts::split(token)?;
    let header = Header::parse(parts.header)?;
    let algorithm = header.algorithm(demands.algorithms)?;
    if !demands.types.admit(header.token_type.as_deref()) {
        let typ = header.token_type.unwrap_or_default().chars().take(32).collect();
        return Err(VerifyError::WrongType { typ });
    }
    match (header.kid.as_deref(), demands.key_id) {
        (kid, KeyId::Optional) => verify_signature(&parts, keys.candidates(kid), algorithm)?,
        (Some(kid), KeyId::Required) => verify_signature(&parts, keys.named(kid), algorithm)?,
        (None, KeyId::Required) => return Err(VerifyError::NoKeyId),
    }
    let claims = strict_json::parse_object(&decode(parts.payload)?)
        .map_err(|_| VerifyError::Malformed("the payload is not an object with unique names"))?;
    Ok(VerifiedClaims { claims, token_type: header.token_type })
}

/// The `iss` that a token claims to have. Nothing was verified: it serves to see that nobody here need be asked about it.
pub fn claimed_issuer(token: &str) -> Option<String> {
    let payload = decode(Parts::split(token).ok()?.payload).ok()?;
    match strict_json::parse_object(&payload).ok()?.remove("iss") {
        Some(Value::String(issuer)) => Some(issuer),
        _ => None,
    }
}

/// Whether a text has the outer form of a compact JWS. Says nothing about trust.
pub fn looks_like_jws(token: &str) -> bool {
    Parts::split(token).is_ok_and(|parts| Header::parse(parts.header).is_ok())
}

struct Parts<'a> {
    header: &'a str,
    payload: &'a str,
    signature: &'a str,
    /// What was signed: header, dot, payload.
    signed: &'a str,
}

impl<'a> Parts<'a> {
    fn split(token: &'a str) -> Result<Self, VerifyError> {
        const WRONG: VerifyError = VerifyError::Malformed("it does not consist of three parts");
        let (signed, signature) = token.rsplit_once('.').ok_or(WRONG)?;
        let (header, payload) = signed.split_once('.').ok_or(WRONG)?;
        if header.is_empty() || payload.is_empty() || payload.contains('.') {
            return Err(WRONG);
        }
        Ok(Self { header, payload, signature, signed })
    }
}

struct Header {
    alg: String,
    kid: Option<String>,
    token_type: Option<String>,
}

impl Header {
    fn parse(encoded: &str) -> Result<Self, VerifyError> {
        let mut fields = strict_json::parse_object(&decode(encoded)?)
            .map_err(|_| VerifyError::Malformed("the header is not an object with unique names"))?;
        if fields.contains_key("crit") {
            return Err(VerifyError::CriticalExtension);
        }
        let Some(Value::String(alg)) = fields.remove("alg") else {
            return Err(VerifyError::Malformed("the header names no algorithm"));
        };
        let kid = match fields.remove("kid") {
            None | Some(Value::Null) => None,
            Some(Value::String(kid)) => Some(kid),
            Some(_) => return Err(VerifyError::Malformed("the key id is not a text")),
        };
        let token_type = match fields.remove("typ") {
            Some(Value::String(name)) => {
                let name = name.to_ascii_lowercase();
                Some(name.strip_prefix("application/").map(str::to_owned).unwrap_or(name))
            }
            None | Some(Value::Null) => None,
            Some(_) => return Err(VerifyError::Malformed("the type is not a text")),
        };
        if fields.get("b64").is_some_and(|encoded| *encoded != Value::Bool(true)) {
            // Another reader would take the very text of the payload for what was signed (RFC 7797 section 3).
            return Err(VerifyError::Malformed("the payload is said not to be base64url"));
        }
        Ok(Self { alg, kid, token_type })
    }

    fn algorithm(&self, allowed: &[Algorithm]) -> Result<Algorithm, VerifyError> {
        self.alg
            .parse()
            .ok()
            .filter(|algorithm: &Algorithm| algorithm.is_verifiable() && allowed.contains(algorithm))
            .ok_or_else(|| VerifyError::AlgorithmNotAllowed { alg: self.alg.chars().take(32).collect() })
    }
}

fn verify_signature<'a>(
    parts: &Parts<'_>,
    candidates: impl Iterator<Item = &'a Key>,
    algorithm: Algorithm,
) -> Result<(), VerifyError> {
    let mut outcome = VerifyError::UnknownKey;
    for key in candidates {
        if !key.fits(algorithm) {
            if outcome == VerifyError::UnknownKey {
                outcome = VerifyError::KeyDoesNotFit;
            }
            continue;
        }
        if key.verifies(algorithm, parts.signed.as_bytes(), parts.signature) {
            return Ok(());
        }
        outcome = VerifyError::BadSignature;
    }
    Err(outcome)
}

fn decode(part: &str) -> Result<Vec<u8>, VerifyError> {
    base64_simd::URL_SAFE_NO_PAD
        .decode_to_vec(part)
        .map_err(|_| VerifyError::Malformed("a part is not base64url without padding"))
}

#[cfg(test)]
mod tests;
