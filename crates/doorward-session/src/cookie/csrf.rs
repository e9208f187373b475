//! A login under way: its secrets, kept in a signed and encrypted cookie until the provider sends the browser back
//! (wire-formats, section 5).

use std::sync::Arc;

use aws_lc_rs::constant_time::verify_slices_are_equal;
use aws_lc_rs::digest;
use base64_simd::URL_SAFE_NO_PAD;
use doorward_core::{SecretString, Timestamp};
use http::HeaderValue;

use super::config::{CookieConfig, CookieName, PerRequest};
use super::jar::{Jar, Unsealed};
use super::obstacle::CookieRules;
use super::request::RequestCookies;
use crate::codec::v7::msgpack::{Reader, Writer};
use crate::codec::{Unencodable, Unsealable};
use crate::keep::{InvalidSession, SaveError, Visit};
use crate::random;

/// The secrets of one login.
#[derive(Clone, PartialEq, Eq)]
pub struct LoginAttempt {
    /// Its hash goes into `state` (RFC 6749 section 10.12).
    pub state: [u8; 32],
    /// Its hash goes into `nonce` (`OpenID` Connect Core section 3.1.2.1); the session keeps it raw.
    pub nonce: [u8; 32],
    /// The PKCE verifier (RFC 7636), if PKCE is used.
    pub verifier: Option<SecretString>,
    /// The id of the provider to which the browser was sent, where there are several. Neither oauth2-proxy nor older
    /// versions read such an attempt: they would show the code to the provider that they know.
    pub provider: Option<Arc<str>>,
}

impl LoginAttempt {
    /// From random bytes.
    pub fn new(state: [u8; 32], nonce: [u8; 32]) -> Self {
        Self { state, nonce, verifier: None, provider: None }
    }

    /// From the operating system's random bytes.
    pub fn random() -> Result<Self, random::NoRandomness> {
        Ok(Self::new(random::bytes()?, random::bytes()?))
    }

    /// What `state` carries: 43 characters.
    pub fn state_hash(&self) -> String {
        hash(&self.state)
    }

    /// What the `nonce` parameter carries and the ID token has to return: 43 characters.
    pub fn nonce_hash(&self) -> String {
        hash(&self.nonce)
    }

    pub(crate) fn encode(&self) -> Result<Vec<u8>, Unencodable> {
        let Self { state, nonce, verifier, provider } = self;
        let mut writer = Writer::with_capacity(512);
        writer.owner(provider.as_deref())?;
        writer.map(2 + usize::from(verifier.is_some()))?;
        writer.text("s")?;
        writer.bytes(state)?;
        writer.text("n")?;
        writer.bytes(nonce)?;
        if let Some(verifier) = verifier {
            writer.text("cv")?;
            writer.text(verifier.expose())?;
        }
        Ok(writer.into_bytes())
    }

    pub(crate) fn decode(bytes: &[u8]) -> Result<Self, Unsealable> {
        let mut reader = Reader::new(bytes);
        let provider = reader.owner()?.map(Arc::from);
        let (mut state, mut nonce, mut verifier) = (None, None, None);
        for _ in 0..reader.map()? {
            match reader.bytes()? {
                b"s" => state = Some(reader.bytes()?),
                b"n" => nonce = Some(reader.bytes()?),
                b"cv" => verifier = Some(reader.text()?).filter(|text| !text.is_empty()),
                _ => reader.skip()?,
            }
        }
        reader.finish()?;
        let exact = |bytes: Option<&[u8]>| bytes.and_then(|bytes| bytes.try_into().ok()).ok_or(Unsealable);
        let (state, nonce) = (exact(state)?, exact(nonce)?);
        Ok(Self { state, nonce, verifier: verifier.map(SecretString::from), provider })
    }
}

impl std::fmt::Debug for LoginAttempt {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("LoginAttempt").finish_non_exhaustive()
    }
}

/// Why a callback belongs to no login of this browser.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CsrfError {
    /// The browser sent no cookie for it: cookies are off, or the login began elsewhere or long ago.
    #[error("the browser sent no login cookie")]
    Missing,
    /// A cookie is there and does not verify, or is too old.
    #[error("no login cookie that the browser sent is good: {0}")]
    Invalid(InvalidSession),
    /// The cookie belongs to another login. It is of no use to this one and had better be removed.
    #[error("the state returned belongs to another login than the cookie {name}")]
    Mismatch { name: CookieName },
}

/// Keeps logins under way in cookies.
#[derive(Debug)]
pub struct CsrfKeeper {
    jar: Jar,
    per_request: PerRequest,
    limit: Option<usize>,
    rules: CookieRules,
}

impl CsrfKeeper {
    /// A keeper of the login cookies that belong to the session cookie of this configuration.
    pub fn new(config: &CookieConfig) -> Self {
        let limit = config.csrf_limit.filter(|&limit| limit > 0);
        Self {
            jar: Jar::for_logins(config),
            per_request: config.csrf_per_request,
            limit,
            rules: CookieRules::new(config),
        }
    }

    /// What browsers judge our cookies by.
    pub const fn rules(&self) -> &CookieRules {
        &self.rules
    }

    /// The Set-Cookie lines that begin a login. Where each login has its own cookie and the request came with more
    /// of them than the limit, the oldest beyond it are removed.
    pub fn begin(&self, attempt: &LoginAttempt, visit: &Visit<'_>) -> Result<Vec<HeaderValue>, SaveError> {
        let name = self.name(&attempt.state_hash());
        let plain = attempt.encode()?;
        let sealed = self.jar.secret.cipher.encrypt(&plain, random::bytes()?);
        let seconds = visit.now.seconds;
        let value =
            crate::codec::v7::envelope::seal(&self.jar.secret.signing, name.as_str(), &sealed, seconds);
        let attributes = self.jar.dress.attributes(visit.host);
        let mut lines = vec![attributes.set(name.as_str(), &value)];
        let surplus = self.surplus(visit, &name);
        lines.extend(surplus.iter().map(|name| attributes.delete(name)));
        Ok(lines)
    }

    /// The login that a returned state belongs to. Of several cookies with its name the first that verifies counts.
    ///
    /// The hash is compared here, in constant time: an attempt that is returned is the one that was begun.
    pub fn find(
        &self,
        state_hash: &str,
        cookies: &RequestCookies<'_>,
        now: Timestamp,
    ) -> Result<(LoginAttempt, CookieName), CsrfError> {
        let name = self.name(state_hash);
        let mut failure = CsrfError::Missing;
        let mut texts = cookies.all(name.as_str()).take(MAX_COOKIES);
        let attempt = loop {
            match texts.next().map(|text| self.open(&name, text, now)) {
                Some(Ok((attempt, _))) => break attempt,
                Some(Err(error)) => failure = CsrfError::Invalid(error),
                None => return Err(failure),
            }
        };
        drop(texts);
        match verify_slices_are_equal(attempt.state_hash().as_bytes(), state_hash.as_bytes()) {
            Ok(()) => Ok((attempt, name)),
            Err(_) => Err(CsrfError::Mismatch { name }),
        }
    }

    /// The line that removes a login's cookie.
    pub fn clear(&self, name: &CookieName, host: &str) -> HeaderValue {
        self.jar.dress.attributes(host).delete(name.as_str())
    }

    fn open(
        &self,
        name: &CookieName,
        text: &[u8],
        now: Timestamp,
    ) -> Result<(LoginAttempt, i64), InvalidSession> {
        if text.len() > MAX_COOKIE_BYTES {
            return Err(Unsealable.into());
        }
        let Unsealed { mut opened, secret, sealed_with: _ } = self.jar.open_as(name, text, now)?;
        let plain = secret.cipher.decrypt(&mut opened.payload)?;
        Ok((LoginAttempt::decode(plain)?, opened.signed_at))
    }

    /// The cookie of the login with this state hash. A hash that cannot be ours has no cookie of its own.
    fn name(&self, state_hash: &str) -> CookieName {
        match (self.per_request, state_hash.as_bytes().first_chunk::<NAME_CHARACTERS>()) {
            (PerRequest::Separate, Some(start)) if start.iter().copied().all(is_base64) => {
                let start: String = start.iter().copied().map(char::from).collect();
                self.jar.name.derived(&format!("_{start}_csrf"))
            }
            (PerRequest::Separate | PerRequest::Shared, _) => self.jar.name.derived("_csrf"),
        }
    }

    /// The names of login cookies in the request beyond the limit, oldest first. What does not verify is of no use
    /// to anybody and counts as oldest.
    fn surplus(&self, visit: &Visit<'_>, new: &CookieName) -> Vec<String> {
        let (PerRequest::Separate, Some(limit)) = (self.per_request, self.limit) else { return Vec::new() };
        let ours = visit.cookies.iter().filter_map(|(name, text)| Some((self.login_name(name)?, text)));
        let mut present: Vec<(CookieName, i64)> = Vec::new();
        for (name, text) in ours.filter(|(name, _)| name != new).take(MAX_COOKIES) {
            let signed_at = self.open(&name, text, visit.now).map_or(i64::MIN, |(_, signed_at)| signed_at);
            if let Some((_, other)) = present.iter_mut().find(|(other, _)| *other == name) {
                *other = signed_at.max(*other);
            } else {
                present.push((name, signed_at));
            }
        }
        present.sort_by_key(|(_, signed_at)| *signed_at);
        present.truncate(present.len().saturating_sub(limit));
        present.into_iter().map(|(name, _)| name.as_str().to_owned()).collect()
    }

    fn login_name(&self, name: &[u8]) -> Option<CookieName> {
        let rest = name.strip_prefix(self.jar.name.as_str().as_bytes())?;
        let start = rest.strip_prefix(b"_")?.strip_suffix(b"_csrf")?;
        if start.len() != NAME_CHARACTERS || !start.iter().copied().all(is_base64) {
            return None;
        }
        Some(self.jar.name.derived(std::str::from_utf8(rest).ok()?))
    }
}

fn is_base64(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_')
}

fn hash(secret: &[u8; 32]) -> String {
    URL_SAFE_NO_PAD.encode_to_string(digest::digest(&digest::SHA256, secret))
}

/// Characters of the state hash in the name of a login's own cookie.
const NAME_CHARACTERS: usize = 8;
/// A login's cookie is never split, so no browser sends more.
const MAX_COOKIE_BYTES: usize = 8 * 1024;
/// A request cannot make us verify more than this.
const MAX_COOKIES: usize = 64;

#[cfg(test)]
mod tests;
