//! How our cookies are named, dressed and sealed.

use std::time::Duration;

use crate::secret::{CookieSecret, PreviousSecret};

/// How our cookies are named, dressed and sealed. One value serves the session's and the login's cookies.
#[derive(Clone, Debug)]
pub struct CookieConfig {
    pub name: CookieName,
    /// Without one the attribute is left out.
    pub path: String,
    /// The longest that the request's host belongs to is used. Without any, cookies stay with the host itself.
    pub domains: Vec<String>,
    pub transport: CookieTransport,
    pub script_access: ScriptAccess,
    pub same_site: SameSite,
    /// How long a session's cookie and stored session live. Zero: as long as the browser, and no check here.
    pub expire: Duration,
    /// The same for a login under way.
    pub csrf_expire: Duration,
    /// For the login's cookie in place of `same_site`.
    pub csrf_same_site: Option<SameSite>,
    pub csrf_per_request: PerRequest,
    /// How many logins under way a browser may have when another begins; only for `PerRequest::Separate`.
    pub csrf_limit: Option<usize>,
    /// Which tokens go into a session cookie. A stored session always holds all.
    pub stored_tokens: StoredTokens,
    pub secret: CookieSecret,
    /// What was sealed with these is read as well; nothing is sealed with them.
    pub previous: Vec<PreviousSecret>,
}

/// The name of a cookie: an HTTP token (RFC 6265 section 4.1.1) of at most 256 characters.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct CookieName(String);

/// A text cannot be the name of a cookie.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidCookieName {
    #[error("cookie_name must have 1 to 256 characters, but has {0}")]
    Length(usize),
    #[error("cookie_name may hold letters, digits and !#$%&'*+-.^_`|~ only")]
    Character,
}

impl CookieName {
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Another cookie's name made of this one's; `rest` has to consist of token characters.
    pub(crate) fn derived(&self, rest: &str) -> Self {
        Self(format!("{}{rest}", self.0))
    }
}

impl TryFrom<String> for CookieName {
    type Error = InvalidCookieName;

    fn try_from(name: String) -> Result<Self, InvalidCookieName> {
        if !(1..=MAX_NAME_BYTES).contains(&name.len()) {
            return Err(InvalidCookieName::Length(name.len()));
        }
        let is_token = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
        if name.bytes().all(is_token) { Ok(Self(name)) } else { Err(InvalidCookieName::Character) }
    }
}

impl TryFrom<&str> for CookieName {
    type Error = InvalidCookieName;

    fn try_from(name: &str) -> Result<Self, InvalidCookieName> {
        name.to_owned().try_into()
    }
}

impl std::fmt::Display for CookieName {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

/// Which connections a browser may send the cookie over (`Secure`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CookieTransport {
    HttpsOnly,
    Any,
}

/// Whether scripts of the page may read the cookie (`HttpOnly` forbids it).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ScriptAccess {
    Forbidden,
    Allowed,
}

/// The attribute `SameSite`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SameSite {
    /// The attribute is left out; browsers take that for `Lax`.
    Unset,
    Lax,
    Strict,
    None,
}

/// Whether logins of one browser share a cookie, the later overwriting the earlier, or have one each.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PerRequest {
    Shared,
    Separate,
}

/// Which tokens are kept with a session (session-cookie-minimal).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StoredTokens {
    All,
    None,
}

pub(crate) const MAX_NAME_BYTES: usize = 256;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cookie_name_is_a_token_of_bounded_length() {
        for good in ["_oauth2_proxy", "__Host-x", "a.b", &"x".repeat(256)] {
            assert!(CookieName::try_from(good).is_ok(), "{good}");
        }
        for bad in ["", "a b", "a;b", "a=b", "ä", "a\n", "a,b", "a\"b", &"x".repeat(257)] {
            assert!(CookieName::try_from(bad).is_err(), "{bad}");
        }
    }
}
