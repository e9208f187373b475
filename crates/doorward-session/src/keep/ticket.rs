//! Sessions kept in a store, with a ticket for each in a cookie.

use std::sync::Arc;
use std::time::Duration;

use doorward_core::Timestamp;
use doorward_store::{Store, StoreError};
use http::HeaderValue;

use super::lock::{Lock, LockError};
use super::{Cleared, InvalidSession, LoadError, Loaded, Origin, SaveError, Visit};
use crate::codec::Unsealable;
use crate::codec::v7::session as codec;
use crate::cookie::config::{CookieConfig, StoredTokens};
use crate::cookie::jar::Jar;
use crate::cookie::request::RequestCookies;
use crate::session::Session;
use crate::ticket::Ticket;

/// Keeps sessions in a store.
#[derive(Debug)]
pub struct TicketKeeper {
    jar: Jar,
    store: Arc<Store>,
    /// How long the store keeps a session; without limit it keeps it for ever.
    ttl: Option<Duration>,
}

impl TicketKeeper {
    /// A keeper over `store`, which others may use at the same time.
    pub fn new(config: &CookieConfig, store: Arc<Store>) -> Self {
        let ttl = Some(config.expire).filter(|expire| !expire.is_zero());
        Self { jar: Jar::for_sessions(config), store, ttl }
    }

    pub(super) async fn load(
        &self,
        cookies: &RequestCookies<'_>,
        now: Timestamp,
    ) -> Result<Loaded, LoadError> {
        let text = cookies.get(self.jar.name.as_str()).ok_or(LoadError::Absent)?;
        let ticket = self.ticket(text, now)?;
        self.fetch(ticket).await
    }

    pub(super) async fn reload(&self, loaded: &Loaded) -> Result<Loaded, LoadError> {
        match &loaded.origin {
            Origin::Ticket(ticket) => self.fetch(ticket.clone()).await,
            Origin::Cookie(_) => Ok(loaded.clone()),
        }
    }

    async fn fetch(&self, ticket: Ticket) -> Result<Loaded, LoadError> {
        let mut sealed = self.store.get(ticket.id()).await?.ok_or(InvalidSession::NotInStore)?;
        let session = Arc::new(codec::decode(ticket.open(&mut sealed)?)?);
        Ok(Loaded { session, origin: Origin::Ticket(ticket) })
    }

    pub(super) async fn create(
        &self,
        session: &Session,
        visit: &Visit<'_>,
    ) -> Result<Vec<HeaderValue>, SaveError> {
        // A ticket that was there before the login may be known to somebody else (bugs-not-to-copy, A2).
        let lines = self.save(session, &Ticket::random(&self.jar.name)?, visit).await?;
        if let Some(old) = self.presented(visit)
            && let Err(error) = self.store.delete(old.id()).await
        {
            // The new login stands; the old session is reachable only for who holds the old cookie.
            tracing::warn!(%error, "the session before this login could not be deleted");
        }
        Ok(lines)
    }

    pub(super) async fn update(
        &self,
        session: &Session,
        loaded: &Loaded,
        visit: &Visit<'_>,
    ) -> Result<Vec<HeaderValue>, SaveError> {
        match &loaded.origin {
            Origin::Ticket(ticket) => self.save(session, ticket, visit).await,
            Origin::Cookie(_) => self.create(session, visit).await,
        }
    }

    async fn save(
        &self,
        session: &Session,
        ticket: &Ticket,
        visit: &Visit<'_>,
    ) -> Result<Vec<HeaderValue>, SaveError> {
        let created_at = session.created_at.unwrap_or(visit.now);
        let sealed = ticket.seal(&codec::encode(session, created_at, StoredTokens::All)?)?;
        self.store.set(ticket.id(), &sealed, self.ttl).await?;
        let value = self.jar.seal(ticket.encode().as_bytes(), created_at);
        let name = self.jar.name.as_str();
        let mut lines = vec![self.jar.dress.attributes(visit.host).set(name, &value)];
        lines.extend(self.jar.removals(visit, &[name.to_owned()]));
        Ok(lines)
    }

    pub(super) async fn clear(&self, visit: &Visit<'_>) -> Cleared {
        let name = self.jar.name.as_str();
        // The ticket's own cookie is removed in any case, even if the request did not show it.
        let mut set_cookies = vec![self.jar.dress.attributes(visit.host).delete(name)];
        set_cookies.extend(self.jar.removals(visit, &[name.to_owned()]));
        let store = match self.presented(visit) {
            Some(ticket) => self.store.delete(ticket.id()).await,
            None => Ok(()),
        };
        Cleared { set_cookies, store }
    }

    pub(super) async fn ready(&self) -> Result<(), StoreError> {
        self.store.ping().await
    }

    pub(super) async fn lock(&self, loaded: &Loaded) -> Result<Lock, LockError> {
        match &loaded.origin {
            Origin::Ticket(ticket) => Lock::in_store(&self.store, ticket.lock_key()).await,
            Origin::Cookie(_) => Ok(Lock::unneeded()),
        }
    }

    /// The valid ticket in the request, if there is one.
    fn presented(&self, visit: &Visit<'_>) -> Option<Ticket> {
        let text = visit.cookies.get(self.jar.name.as_str())?;
        self.ticket(text, visit.now).ok()
    }

    fn ticket(&self, text: &[u8], now: Timestamp) -> Result<Ticket, InvalidSession> {
        if text.len() > MAX_TEXT_BYTES {
            return Err(Unsealable.into());
        }
        Ok(Ticket::decode(&self.jar.open(text, now)?.payload)?)
    }
}

/// A ticket's cookie is never split and much shorter than this.
const MAX_TEXT_BYTES: usize = 4096;
