//! Names and formats of tokens. An access token or a code is `sha256~` and 43 characters; what is stored under
//! `sha256~` and the hash of these characters is all that is ever written down of it.

use std::fmt;

use aws_lc_rs::{digest, rand};
use base64_simd::URL_SAFE_NO_PAD;
use doorward_core::SecretString;
use serde::{Deserialize, Serialize};

/// What access tokens, codes, and the names of both begin with.
const PREFIX: &str = "sha256~";
/// What refresh tokens begin with; their names do as well.
const REFRESH_PREFIX: &str = "rt~";
/// 32 bytes in base64url.
const LENGTH: usize = 43;

/// The operating system gives no random bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("no random bytes to be had from the operating system")]
pub struct NoRandomness;

/// The name under which a token is stored: a hash, from which the token cannot be found.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct TokenName(String);

impl TokenName {
    /// The name of an access token or code; `None` if `raw` cannot be one.
    pub fn of_access(raw: &str) -> Option<Self> {
        Self::of(PREFIX, raw)
    }

    /// The name of a refresh token; `None` if `raw` cannot be one.
    pub fn of_refresh(raw: &str) -> Option<Self> {
        Self::of(REFRESH_PREFIX, raw)
    }

    /// A name as it stands in a path, e.g. to delete a token by it; `None` if it cannot be one.
    pub fn parse(name: &str) -> Option<Self> {
        let part = name.strip_prefix(PREFIX).or_else(|| name.strip_prefix(REFRESH_PREFIX))?;
        is_random_part(part).then(|| Self(name.to_owned()))
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }

    fn of(prefix: &str, raw: &str) -> Option<Self> {
        let part = raw.strip_prefix(prefix)?;
        if !is_random_part(part) {
            return None;
        }
        let hash = digest::digest(&digest::SHA256, part.as_bytes());
        Some(Self(format!("{prefix}{}", URL_SAFE_NO_PAD.encode_to_string(hash))))
    }
}

impl fmt::Display for TokenName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

fn is_random_part(part: &str) -> bool {
    part.len() == LENGTH
        && part.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_')
}

/// A token that was just made.
#[derive(Clone, Debug)]
pub struct FreshToken {
    pub raw: SecretString,
    pub name: TokenName,
}

impl FreshToken {
    /// An access token or code: `sha256~` and 32 random bytes. The first character after the prefix is never `-`, which
    /// command lines take for an option.
    pub fn access() -> Result<Self, NoRandomness> {
        Self::new(PREFIX)
    }

    /// A refresh token.
    pub fn refresh() -> Result<Self, NoRandomness> {
        Self::new(REFRESH_PREFIX)
    }

    fn new(prefix: &str) -> Result<Self, NoRandomness> {
        loop {
            let part = random_part()?;
            if part.starts_with('-') {
                continue;
            }
            let hash = digest::digest(&digest::SHA256, part.as_bytes());
            let name = TokenName(format!("{prefix}{}", URL_SAFE_NO_PAD.encode_to_string(hash)));
            return Ok(Self { raw: format!("{prefix}{part}").into(), name });
        }
    }
}

/// 32 random bytes in base64url.
pub(crate) fn random_part() -> Result<String, NoRandomness> {
    Ok(URL_SAFE_NO_PAD.encode_to_string(random::<32>()?))
}

pub(crate) fn random<const LENGTH: usize>() -> Result<[u8; LENGTH], NoRandomness> {
    let mut bytes = [0; LENGTH];
    rand::fill(&mut bytes).map_err(|_| NoRandomness)?;
    Ok(bytes)
}

/// What is stored in place of a secret that is no token.
pub(crate) fn hash(secret: &str) -> String {
    URL_SAFE_NO_PAD.encode_to_string(digest::digest(&digest::SHA256, secret.as_bytes()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fresh_token_is_found_under_its_name_and_says_nothing_of_itself() {
        let token = FreshToken::access().unwrap();
        assert_eq!(token.raw.expose().len(), 50);
        assert_eq!(TokenName::of_access(token.raw.expose()), Some(token.name.clone()));
        assert_eq!(TokenName::parse(token.name.as_str()), Some(token.name.clone()));
        assert!(!format!("{token:?}").contains(token.raw.expose()));
        let refresh = FreshToken::refresh().unwrap();
        assert_eq!(TokenName::of_refresh(refresh.raw.expose()), Some(refresh.name));
        assert_eq!(TokenName::of_access(refresh.raw.expose()), None);
    }

    #[test]
    fn only_tokens_of_our_format_have_a_name() {
        let part = "a".repeat(43);
        for raw in ["", "sha256~", &part, &format!("sha256~{part}a"), &format!("sha256~{}", "=".repeat(43))] {
            assert_eq!(TokenName::of_access(raw), None, "{raw}");
        }
    }
}
