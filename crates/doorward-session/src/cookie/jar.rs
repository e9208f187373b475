//! One signed cookie of ours: its name, key, lifetime and attributes, for sealing, opening and removing it.

use doorward_core::Timestamp;
use http::HeaderValue;

use super::config::{CookieConfig, CookieName};
use super::request::RequestCookies;
use super::set_cookie::{Dress, Kind};
use super::split;
use crate::codec::Unsealable;
use crate::codec::v7::envelope::{self, CLOCK_SKEW, Lifetime, Opened};
use crate::keep::{InvalidSession, SealedWith, Visit};
use crate::secret::{CookieSecret, PreviousSecret};

#[derive(Debug)]
pub(crate) struct Jar {
    pub(crate) name: CookieName,
    pub(crate) secret: CookieSecret,
    previous: Vec<PreviousSecret>,
    pub(crate) lifetime: Lifetime,
    pub(crate) dress: Dress,
}

impl Jar {
    /// For sessions and tickets.
    pub(crate) fn for_sessions(config: &CookieConfig) -> Self {
        Self::new(config, Kind { expire: config.expire, same_site: config.same_site })
    }

    /// For logins under way.
    pub(crate) fn for_logins(config: &CookieConfig) -> Self {
        let same_site = config.csrf_same_site.unwrap_or(config.same_site);
        Self::new(config, Kind { expire: config.csrf_expire, same_site })
    }

    fn new(config: &CookieConfig, kind: Kind) -> Self {
        Self {
            name: config.name.clone(),
            secret: config.secret.clone(),
            previous: config.previous.clone(),
            lifetime: Lifetime::new(kind.expire),
            dress: Dress::new(config, kind),
        }
    }

    pub(crate) fn seal(&self, payload: &[u8], signed_at: Timestamp) -> String {
        envelope::seal(&self.secret.signing, self.name.as_str(), payload, signed_at.seconds)
    }

    pub(crate) fn open(&self, text: &[u8], now: Timestamp) -> Result<Unsealed<'_>, InvalidSession> {
        self.open_as(&self.name, text, now)
    }

    /// Opens what was signed under another name of ours.
    pub(crate) fn open_as(
        &self,
        name: &CookieName,
        text: &[u8],
        now: Timestamp,
    ) -> Result<Unsealed<'_>, InvalidSession> {
        let unsealed = self.verify(name, text)?;
        if self.lifetime.admits(unsealed.opened.signed_at, now) {
            Ok(unsealed)
        } else {
            Err(InvalidSession::OutsideLifetime)
        }
    }

    fn verify(&self, name: &CookieName, text: &[u8]) -> Result<Unsealed<'_>, Unsealable> {
        let with = |secret: &CookieSecret| envelope::open(&secret.signing, name.as_str(), text);
        if let Ok(opened) = with(&self.secret) {
            return Ok(Unsealed { opened, secret: &self.secret, sealed_with: SealedWith::CurrentSecret });
        }
        let unsealed = self.previous.iter().find_map(|previous| {
            let opened = with(&previous.secret).ok().filter(|opened| previous.covers(opened.signed_at))?;
            Some(Unsealed { opened, secret: &previous.secret, sealed_with: SealedWith::PreviousSecret })
        });
        unsealed.ok_or(Unsealable)
    }

    /// The lines that remove our cookie and its parts, those that the request holds, but for the names in `kept`.
    pub(crate) fn removals(&self, visit: &Visit<'_>, kept: &[String]) -> Vec<HeaderValue> {
        let attributes = self.dress.attributes(visit.host);
        self.present(visit.cookies)
            .into_iter()
            .filter(|name| !kept.iter().any(|kept| kept == name))
            .map(|name| attributes.delete(name))
            .collect()
    }

    /// The names in the request that are ours or parts of ours, each once.
    fn present<'a>(&self, cookies: &RequestCookies<'a>) -> Vec<&'a str> {
        let mut names = Vec::new();
        for (name, _) in cookies.iter().filter(|(name, _)| split::is_ours(name, &self.name)) {
            let Ok(name) = std::str::from_utf8(name) else { continue };
            if !names.contains(&name) && names.len() < MAX_REMOVALS {
                names.push(name);
            }
        }
        names
    }
}

/// A verified value, and the secret that its payload is encrypted with.
pub(crate) struct Unsealed<'a> {
    pub(crate) opened: Opened,
    pub(crate) secret: &'a CookieSecret,
    pub(crate) sealed_with: SealedWith,
}

impl PreviousSecret {
    fn covers(&self, signed_at: i64) -> bool {
        // Requests under way at the change, and clocks, get some minutes.
        self.retired.is_none_or(|retired| signed_at <= retired.saturating_add(CLOCK_SKEW).seconds)
    }
}

/// A request cannot make us answer with more lines than this.
const MAX_REMOVALS: usize = 2 * split::MAX_PARTS;
