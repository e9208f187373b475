//! What the claims of a verified token must say (OIDC Core section 3.1.3.7, `providers.md` section 2).
//! Pure functions; `now` is always an argument.

use std::{collections::BTreeSet, time::Duration};

use doorward_core::Timestamp;
use serde_json::{Map, Value};

/// The payload of a token.
pub type Claims = Map<String, Value>;

/// Why the claims of a token were not accepted.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ClaimError {
    #[error("the token has expired (exp)")]
    Expired,
    #[error("the token does not say when it expires (exp)")]
    NoExpiry,
    #[error("the token is not valid yet (nbf)")]
    NotYetValid,
    #[error("the token was issued in the future (iat)")]
    IssuedInFuture,
    #[error("the claim {0} of the token has an impossible value")]
    Malformed(&'static str),
    #[error("the token was issued by {found:?}, expected was the issuer {expected:?}")]
    WrongIssuer { expected: String, found: String },
    #[error("{0}")]
    Audience(#[from] AudienceMismatch),
    #[error("the token has none of the audience claims [{}]", claims.join(" "))]
    NoAudience { claims: Vec<String> },
    #[error("the nonce of the token is not the one of this login")]
    WrongNonce,
    #[error("the token has no nonce")]
    NoNonce,
}

/// The token is meant for somebody else. The parts are public so that a page can show them one by one.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "audience from claim {claim} with value [{}] does not match with any of allowed audiences {}; {mend}",
    values.join(" "),
    as_set(expected)
)]
pub struct AudienceMismatch {
    /// The claim that was looked at.
    pub claim: String,
    /// What it holds, printable.
    pub values: Vec<String>,
    /// The allowed audiences, sorted.
    pub expected: Vec<String>,
    /// What the operator can do.
    pub mend: String,
}

/// How far in the future `nbf` may lie: clocks differ. The reference allows the same.
const NOT_BEFORE_LEEWAY: Duration = Duration::from_mins(5);
/// The end of the year 9999: later times are mistakes or attacks.
const LAST_PLAUSIBLE_SECOND: i64 = 253_402_300_799;
const MAX_SHOWN_VALUES: usize = 20;
const MAX_SHOWN_CHARS: usize = 200;

/// Checks `exp` (required, no leeway) and `nbf` (optional, five minutes of leeway).
/// Returns the instant of expiry.
pub fn check_times(claims: &Claims, now: Timestamp) -> Result<Timestamp, ClaimError> {
    let expiry = instant(claims, "exp")?.ok_or(ClaimError::NoExpiry)?;
    if expiry < now {
        return Err(ClaimError::Expired);
    }
    match instant(claims, "nbf")? {
        Some(start) if now.saturating_add(NOT_BEFORE_LEEWAY) < start => Err(ClaimError::NotYetValid),
        _ => Ok(expiry),
    }
}

/// When a token counts, by its own words and without leeway.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Lifetime {
    /// The later of `nbf` and `iat`; the epoch if it has neither.
    pub start: Timestamp,
    pub end: Timestamp,
}

/// Checks `exp` (required), `nbf` and `iat` (both optional), for clocks that differ by `leeway` at most.
pub fn check_lifetime(claims: &Claims, leeway: Duration, now: Timestamp) -> Result<Lifetime, ClaimError> {
    let end = instant(claims, "exp")?.ok_or(ClaimError::NoExpiry)?;
    if end.saturating_add(leeway) <= now {
        return Err(ClaimError::Expired);
    }
    let latest = now.saturating_add(leeway);
    let not_before = instant(claims, "nbf")?.unwrap_or_default();
    if latest < not_before {
        return Err(ClaimError::NotYetValid);
    }
    let issued = instant(claims, "iat")?.unwrap_or_default();
    if latest < issued {
        return Err(ClaimError::IssuedInFuture);
    }
    Ok(Lifetime { start: not_before.max(issued), end })
}

/// Checks that `iss` is exactly `expected`. Google's two spellings of itself count as one.
pub fn check_issuer(claims: &Claims, expected: &str) -> Result<(), ClaimError> {
    let found = claims.get("iss").and_then(Value::as_str).unwrap_or_default();
    let google = expected == "https://accounts.google.com" && found == "accounts.google.com";
    if found == expected || google {
        return Ok(());
    }
    Err(ClaimError::WrongIssuer { expected: expected.to_owned(), found: printable(found) })
}

/// Whom a token must be meant for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AudienceRule {
    claims: Vec<String>,
    client_id: String,
    allowed: BTreeSet<String>,
}

impl AudienceRule {
    /// `claims` are the claims to look at in order, usually `aud` alone. Allowed are the client itself
    /// and the `extra` audiences.
    pub fn new(claims: &[String], client_id: &str, extra: &[String]) -> Self {
        let allowed = extra.iter().cloned().chain([client_id.to_owned()]).collect();
        Self { claims: claims.to_vec(), client_id: client_id.to_owned(), allowed }
    }

    /// The first of the claims that exists decides, and one of its values must be allowed.
    /// Values that are not text never match.
    pub fn check(&self, claims: &Claims) -> Result<(), ClaimError> {
        let deciding = self
            .claims
            .iter()
            .find_map(|name| claims.get(name).filter(|value| !value.is_null()).map(|value| (name, value)));
        let Some((claim, value)) = deciding else {
            return Err(ClaimError::NoAudience { claims: self.claims.clone() });
        };
        let values = match value {
            Value::Array(list) => list.as_slice(),
            single => std::slice::from_ref(single),
        };
        if values.iter().filter_map(Value::as_str).any(|value| self.allowed.contains(value)) {
            return Ok(());
        }
        let values: Vec<String> = values.iter().take(MAX_SHOWN_VALUES).map(shown).collect();
        let mend = self.mend(values.first().map_or("AUDIENCE", String::as_str));
        let expected = self.allowed.iter().cloned().collect();
        Err(AudienceMismatch { claim: claim.clone(), values, expected, mend }.into())
    }

    fn mend(&self, value: &str) -> String {
        format!(
            "add an audience mapper for {} at the provider, or accept this audience with --oidc-extra-audience={value}",
            self.client_id
        )
    }
}

/// Checks that the token answers the login that sent `expected` (OIDC Core section 3.1.3.7, 11).
pub fn check_nonce(claims: &Claims, expected: &str) -> Result<(), ClaimError> {
    match claims.get("nonce") {
        None | Some(Value::Null) => Err(ClaimError::NoNonce),
        Some(Value::String(found)) if !expected.is_empty() && found == expected => Ok(()),
        Some(_) => Err(ClaimError::WrongNonce),
    }
}

/// Reads a point in time in seconds since 1970 (a JSON number, RFC 7519 section 2 `NumericDate`), of the years 1970 to
/// 9999. Nothing if the claim is not there.
pub fn instant(claims: &Claims, name: &'static str) -> Result<Option<Timestamp>, ClaimError> {
    let number = match claims.get(name) {
        None | Some(Value::Null) => return Ok(None),
        Some(Value::Number(number)) => number,
        Some(_) => return Err(ClaimError::Malformed(name)),
    };
    let seconds = number.as_i64().or_else(|| number.as_f64().and_then(whole_seconds));
    match seconds {
        Some(seconds) if (0..=LAST_PLAUSIBLE_SECOND).contains(&seconds) => {
            Ok(Some(Timestamp::from_seconds(seconds)))
        }
        _ => Err(ClaimError::Malformed(name)),
    }
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_precision_loss,
    reason = "the range is checked first, and dropping the fraction is meant"
)]
fn whole_seconds(seconds: f64) -> Option<i64> {
    (0.0..=LAST_PLAUSIBLE_SECOND as f64).contains(&seconds).then_some(seconds as i64)
}

fn shown(value: &Value) -> String {
    match value {
        Value::String(text) => printable(text),
        other => printable(&other.to_string()),
    }
}

/// Text from outside, fit for a log line.
fn printable(text: &str) -> String {
    text.chars()
        .take(MAX_SHOWN_CHARS)
        .map(|letter| if letter.is_control() { char::REPLACEMENT_CHARACTER } else { letter })
        .collect()
}

/// The form operators know from the proxy we replace and search their logs for.
fn as_set(values: &[String]) -> String {
    let entries: Vec<String> = values.iter().map(|value| format!("{value}:{{}}")).collect();
    format!("map[{}]", entries.join(" "))
}

#[cfg(test)]
mod tests;
