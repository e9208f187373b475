//! Names and formats of tokens. An access token or a code is `sha256~` and 43 characters; what is stored under
//! `sha256~` and the hash of these characters is all that is ever written down of it.
//!
//! Of a refresh token, `rt~` and 43 characters, the first 16 are the same for all that follow each other. So also one that
//! was used long ago leads to its family, without being stored.

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
/// How much of a refresh token its successors share: 12 bytes in base64url. Of the rest, 20 bytes are random each time.
const SHARED: usize = 16;

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

    /// Its beginning, as all logs show it.
    pub fn shortened(&self) -> String {
        self.0.chars().take(15).collect()
    }

    fn of(prefix: &str, raw: &str) -> Option<Self> {
        let part = raw.strip_prefix(prefix)?;
        if !is_random_part(part) {
            return None;
        }
        Some(Self(format!("{prefix}{}", hash(part))))
    }
}

impl fmt::Display for TokenName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

pub(crate) fn is_random_part(part: &str) -> bool {
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
        loop {
            let part = random_part()?;
            if !part.starts_with('-') {
                return Ok(Self::of(PREFIX, &part));
            }
        }
    }

    /// A refresh token that shares `start` with those before and after it.
    pub(crate) fn refresh(start: &RefreshStart) -> Result<Self, NoRandomness> {
        let rest = URL_SAFE_NO_PAD.encode_to_string(random::<20>()?);
        Ok(Self::of(REFRESH_PREFIX, &format!("{}{rest}", start.0.expose())))
    }

    fn of(prefix: &str, part: &str) -> Self {
        Self { raw: format!("{prefix}{part}").into(), name: TokenName(format!("{prefix}{}", hash(part))) }
    }
}

/// What refresh tokens that follow each other have in common. Nobody knows it who never had one of them.
#[derive(Clone, Debug)]
pub(crate) struct RefreshStart(SecretString);

impl RefreshStart {
    pub(crate) fn fresh() -> Result<Self, NoRandomness> {
        Ok(Self(URL_SAFE_NO_PAD.encode_to_string(random::<12>()?).into()))
    }

    /// That of a refresh token; `None` if `raw` cannot be one.
    pub(crate) fn find(raw: &str) -> Option<Self> {
        let part = raw.strip_prefix(REFRESH_PREFIX).filter(|part| is_random_part(part))?;
        Some(Self(part.get(..SHARED)?.into()))
    }

    /// What is stored in its place.
    pub(crate) fn hash(&self) -> String {
        hash(self.0.expose())
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
        let start = RefreshStart::fresh().unwrap();
        let (refresh, successor) =
            (FreshToken::refresh(&start).unwrap(), FreshToken::refresh(&start).unwrap());
        assert_ne!(refresh.raw, successor.raw);
        for token in [refresh, successor] {
            let raw = token.raw.expose();
            assert_eq!(raw.len(), 46);
            assert_eq!(TokenName::of_refresh(raw), Some(token.name));
            assert_eq!(TokenName::of_access(raw), None);
            assert_eq!(RefreshStart::find(raw).unwrap().hash(), start.hash());
        }
        assert!(RefreshStart::find(token.raw.expose()).is_none());
    }

    #[test]
    fn only_tokens_of_our_format_have_a_name() {
        let part = "a".repeat(43);
        for raw in ["", "sha256~", &part, &format!("sha256~{part}a"), &format!("sha256~{}", "=".repeat(43))] {
            assert_eq!(TokenName::of_access(raw), None, "{raw}");
        }
    }
}
