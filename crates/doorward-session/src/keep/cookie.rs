//! Sessions kept in cookies.

use std::borrow::Cow;
use std::sync::Arc;

use doorward_core::Timestamp;

use super::{
    Cleared, InvalidSession, LoadError, Loaded, MAX_CANDIDATES, Origin, SaveError, Saved, SessionKey, Visit,
};
use crate::cache::{SessionCache, Verified};
use crate::codec::Unsealable;
use crate::codec::v7::{envelope, frame, session as codec};
use crate::cookie::config::{CookieConfig, StoredTokens};
use crate::cookie::jar::{Jar, Unsealed};
use crate::cookie::request::RequestCookies;
use crate::cookie::split;
use crate::random;
use crate::session::Session;

/// Keeps sessions in cookies.
#[derive(Debug)]
pub struct CookieKeeper {
    jar: Jar,
    tokens: StoredTokens,
    cache: SessionCache,
}

impl CookieKeeper {
    /// A keeper with empty caches.
    pub fn new(config: &CookieConfig) -> Self {
        Self { jar: Jar::for_sessions(config), tokens: config.stored_tokens, cache: SessionCache::new() }
    }

    pub(super) fn load(&self, cookies: &RequestCookies<'_>, now: Timestamp) -> Result<Loaded, LoadError> {
        let mut failure = LoadError::Absent;
        for candidate in self.candidates(cookies) {
            match self.open(&candidate, now) {
                Ok(loaded) => return Ok(loaded),
                Err(error) => failure = error.into(),
            }
        }
        Err(failure)
    }

    pub(super) fn presented(&self, cookies: &RequestCookies<'_>, now: Timestamp) -> Vec<SessionKey> {
        let good = self.candidates(cookies).filter_map(|text| self.open(&text, now).ok());
        good.map(|loaded| loaded.key()).collect()
    }

    /// What may be a session: single cookies first, then what is put together from parts. A single cookie left over
    /// from a shorter session must not hide the parts of the real one.
    fn candidates<'a>(&self, cookies: &RequestCookies<'a>) -> impl Iterator<Item = Cow<'a, [u8]>> {
        let singles = cookies.all(self.jar.name.as_str()).take(MAX_CANDIDATES).map(Cow::Borrowed);
        let joined = (0..MAX_CANDIDATES).map_while(|nth| split::joined(cookies, &self.jar.name, nth));
        singles.chain(joined)
    }

    fn open(&self, text: &[u8], now: Timestamp) -> Result<Loaded, InvalidSession> {
        if text.len() > MAX_TEXT_BYTES {
            return Err(Unsealable.into());
        }
        let verified = match self.cache.get(text) {
            Some(verified) if self.jar.lifetime.admits(verified.signed_at, now) => verified,
            Some(_) => return Err(InvalidSession::OutsideLifetime),
            None => {
                let Unsealed { mut opened, secret, sealed_with } = self.jar.open(text, now)?;
                let plain = secret.cipher.decrypt(&mut opened.payload)?;
                let session = Arc::new(codec::decode(&frame::decompress(plain)?)?);
                let verified =
                    Verified { session, signed_at: opened.signed_at, mac: opened.mac, sealed_with };
                self.cache.insert(text, verified.clone());
                verified
            }
        };
        let Verified { session, signed_at: _, mac, sealed_with } = verified;
        Ok(Loaded { session, origin: Origin::Cookie(mac), sealed_with })
    }

    pub(super) fn save(&self, session: &Session, visit: &Visit<'_>) -> Result<Saved, SaveError> {
        let created_at = session.created_at.unwrap_or(visit.now);
        let plain = codec::encode(session, created_at, self.tokens)?;
        let sealed = self.jar.secret.cipher.encrypt(&frame::compress(&plain)?, random::bytes()?);
        let value = self.jar.seal(&sealed, created_at);
        let mac = envelope::signature(&value).map_err(|Unsealable| SaveError::Unencryptable)?;
        let attributes = self.jar.dress.attributes(visit.host);
        let (mut set_cookies, names) =
            split::lines(&self.jar.name, &value, attributes).ok_or(SaveError::TooLarge)?;
        if names.len() > 1 {
            tracing::debug!(parts = names.len(), "the session needs several cookies; a store would need one");
        }
        set_cookies.extend(self.jar.removals(visit, &names));
        Ok(Saved { key: SessionKey::of_cookie(mac), set_cookies })
    }

    pub(super) fn clear(&self, visit: &Visit<'_>) -> Cleared {
        Cleared { set_cookies: self.jar.removals(visit, &[]), store: Ok(()) }
    }
}

/// The longest value in all parts together.
const MAX_TEXT_BYTES: usize = split::MAX_PARTS * 4096;
