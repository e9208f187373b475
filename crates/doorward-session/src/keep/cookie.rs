//! Sessions kept in cookies.

use std::sync::Arc;

use doorward_core::Timestamp;
use http::HeaderValue;

use super::{Cleared, InvalidSession, LoadError, Loaded, Origin, SaveError, Visit};
use crate::cache::{SessionCache, Verified};
use crate::codec::Unsealable;
use crate::codec::v7::{frame, session as codec};
use crate::cookie::config::{CookieConfig, StoredTokens};
use crate::cookie::jar::Jar;
use crate::cookie::request::RequestCookies;
use crate::cookie::split::{self, Found};
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
        let Found { single, joined } = Found::new(cookies, &self.jar.name);
        let failure = match single.map(|text| self.open(text, now)) {
            Some(Ok(loaded)) => return Ok(loaded),
            Some(Err(error)) => error.into(),
            None => LoadError::Absent,
        };
        // A single cookie left over from a shorter session must not hide the parts of the real one.
        match joined.map(|text| self.open(&text, now)) {
            Some(Ok(loaded)) => Ok(loaded),
            Some(Err(error)) => Err(error.into()),
            None => Err(failure),
        }
    }

    fn open(&self, text: &[u8], now: Timestamp) -> Result<Loaded, InvalidSession> {
        if text.len() > MAX_TEXT_BYTES {
            return Err(Unsealable.into());
        }
        let verified = match self.cache.get(text) {
            Some(verified) if self.jar.lifetime.admits(verified.signed_at, now) => verified,
            Some(_) => return Err(InvalidSession::OutsideLifetime),
            None => {
                let mut opened = self.jar.open(text, now)?;
                let plain = self.jar.secret.cipher.decrypt(&mut opened.payload)?;
                let session = Arc::new(codec::decode(&frame::decompress(plain)?)?);
                let verified = Verified { session, signed_at: opened.signed_at, mac: opened.mac };
                self.cache.insert(text, verified.clone());
                verified
            }
        };
        let Verified { session, signed_at: _, mac } = verified;
        Ok(Loaded { session, origin: Origin::Cookie(mac) })
    }

    pub(super) fn create(&self, session: &Session, visit: &Visit<'_>) -> Result<Vec<HeaderValue>, SaveError> {
        let created_at = session.created_at.unwrap_or(visit.now);
        let plain = codec::encode(session, created_at, self.tokens)?;
        let sealed = self.jar.secret.cipher.encrypt(&frame::compress(&plain)?, random::bytes()?);
        let value = self.jar.seal(&sealed, created_at);
        let attributes = self.jar.dress.attributes(visit.host);
        let (mut lines, names) =
            split::lines(&self.jar.name, &value, attributes).ok_or(SaveError::TooLarge)?;
        if names.len() > 1 {
            tracing::debug!(parts = names.len(), "the session needs several cookies; a store would need one");
        }
        lines.extend(self.jar.removals(visit, &names));
        Ok(lines)
    }

    pub(super) fn clear(&self, visit: &Visit<'_>) -> Cleared {
        Cleared { set_cookies: self.jar.removals(visit, &[]), store: Ok(()) }
    }
}

/// The longest value in all parts together.
const MAX_TEXT_BYTES: usize = split::MAX_PARTS * 4096;
