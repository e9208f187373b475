//! Sessions kept in a store, with a ticket for each in a cookie.

use std::sync::Arc;
use std::time::Duration;

use doorward_core::Timestamp;
use doorward_store::{Replaced, Store, StoreError};
use http::HeaderValue;

use super::lock::{Lock, LockError};
use super::{
    Cleared, InvalidSession, LoadError, Loaded, MAX_CANDIDATES, Origin, SaveError, Saved, SealedWith,
    SessionKey, Updated, Visit,
};
use crate::codec::Unsealable;
use crate::codec::v7::session as codec;
use crate::cookie::config::{CookieConfig, StoredTokens};
use crate::cookie::jar::{Jar, Unsealed};
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
        let mut failure = LoadError::Absent;
        for ticket in self.tickets(cookies, now) {
            let loaded = match ticket {
                Ok((ticket, sealed_with)) => self.fetch(ticket, sealed_with).await,
                Err(error) => Err(error.into()),
            };
            match loaded {
                // A ticket that is good no more, and was set by somebody else, must not hide the real one.
                Err(LoadError::Invalid(error)) => failure = error.into(),
                found => return found,
            }
        }
        Err(failure)
    }

    pub(super) fn presented(&self, cookies: &RequestCookies<'_>, now: Timestamp) -> Vec<SessionKey> {
        self.tickets(cookies, now).flatten().map(|(ticket, _)| SessionKey::of_ticket(&ticket)).collect()
    }

    pub(super) async fn reload(&self, loaded: &Loaded) -> Result<Loaded, LoadError> {
        match &loaded.origin {
            Origin::Ticket(ticket) => self.fetch(ticket.clone(), loaded.sealed_with).await,
            Origin::Cookie(_) => Ok(loaded.clone()),
        }
    }

    async fn fetch(&self, ticket: Ticket, sealed_with: SealedWith) -> Result<Loaded, LoadError> {
        let mut sealed = self.store.get(ticket.id()).await?.ok_or(InvalidSession::NotInStore)?;
        let session = Arc::new(codec::decode(ticket.open(&mut sealed)?)?);
        Ok(Loaded { session, origin: Origin::Ticket(ticket), sealed_with })
    }

    pub(super) async fn create(&self, session: &Session, visit: &Visit<'_>) -> Result<Saved, SaveError> {
        // A ticket that was there before the login may be known to somebody else (bugs-not-to-copy, A2).
        let ticket = Ticket::random(&self.jar.name)?;
        let sealed = Self::seal(session, &ticket, visit)?;
        self.store.set(ticket.id(), &sealed, self.ttl).await?;
        if let Err(error) = self.delete_presented(visit).await {
            // The new login stands; the old session is reachable only for who holds the old cookie.
            tracing::warn!(%error, "the session before this login could not be deleted");
        }
        let set_cookies = self.set_cookies(session, &ticket, visit);
        Ok(Saved { key: SessionKey::of_ticket(&ticket), set_cookies })
    }

    pub(super) async fn update(
        &self,
        session: &Session,
        loaded: &Loaded,
        lock: &Lock,
        visit: &Visit<'_>,
    ) -> Result<Updated, SaveError> {
        let Origin::Ticket(ticket) = &loaded.origin else { return Ok(Updated::Ended) };
        let Some(held) = lock.in_its_store() else { return Ok(Updated::Overtaken) };
        let sealed = Self::seal(session, ticket, visit)?;
        // A plain write would bring back what a sign-out has removed since the session was loaded, and undo what
        // somebody else has refreshed since the lock ran out.
        match self.store.replace_under(held, ticket.id(), &sealed, self.left(session, visit.now)).await? {
            Replaced::NothingThere => Ok(Updated::Ended),
            Replaced::LockLost => Ok(Updated::Overtaken),
            Replaced::Done => {
                let set_cookies = self.set_cookies(session, ticket, visit);
                Ok(Updated::Kept(Saved { key: SessionKey::of_ticket(ticket), set_cookies }))
            }
        }
    }

    /// Signs the ticket anew; what it opens stays as it is.
    pub(super) fn reseal(&self, loaded: &Loaded, visit: &Visit<'_>) -> Saved {
        let set_cookies = match &loaded.origin {
            Origin::Ticket(ticket) => self.set_cookies(&loaded.session, ticket, visit),
            Origin::Cookie(_) => Vec::new(),
        };
        Saved { key: loaded.key(), set_cookies }
    }

    /// How long the store keeps a session from now on. One that was not made anew by a refresh does not live longer by
    /// being written.
    fn left(&self, session: &Session, now: Timestamp) -> Option<Duration> {
        let age = session.created_at.map_or(Duration::ZERO, |created| now.since(created));
        self.ttl.map(|ttl| ttl.saturating_sub(age).max(Duration::from_secs(1)))
    }

    fn seal(session: &Session, ticket: &Ticket, visit: &Visit<'_>) -> Result<Vec<u8>, SaveError> {
        let created_at = session.created_at.unwrap_or(visit.now);
        Ok(ticket.seal(&codec::encode(session, created_at, StoredTokens::All)?)?)
    }

    fn set_cookies(&self, session: &Session, ticket: &Ticket, visit: &Visit<'_>) -> Vec<HeaderValue> {
        let value = self.jar.seal(ticket.encode().as_bytes(), session.created_at.unwrap_or(visit.now));
        let name = self.jar.name.as_str();
        let mut lines = vec![self.jar.dress.attributes(visit.host).set(name, &value)];
        lines.extend(self.jar.removals(visit, &[name.to_owned()]));
        lines
    }

    pub(super) async fn clear(&self, visit: &Visit<'_>) -> Cleared {
        let name = self.jar.name.as_str();
        // The ticket's own cookie is removed in any case, even if the request did not show it.
        let mut set_cookies = vec![self.jar.dress.attributes(visit.host).delete(name)];
        set_cookies.extend(self.jar.removals(visit, &[name.to_owned()]));
        Cleared { set_cookies, store: self.delete_presented(visit).await }
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

    async fn delete_presented(&self, visit: &Visit<'_>) -> Result<(), StoreError> {
        let mut result = Ok(());
        for (ticket, _) in self.tickets(visit.cookies, visit.now).flatten() {
            result = result.and(self.store.delete(ticket.id()).await);
        }
        result
    }

    /// The tickets in the request, as far as they verify. Whether the store knows them is still to be asked.
    fn tickets(
        &self,
        cookies: &RequestCookies<'_>,
        now: Timestamp,
    ) -> impl Iterator<Item = Result<(Ticket, SealedWith), InvalidSession>> {
        cookies.all(self.jar.name.as_str()).take(MAX_CANDIDATES).map(move |text| self.ticket(text, now))
    }

    fn ticket(&self, text: &[u8], now: Timestamp) -> Result<(Ticket, SealedWith), InvalidSession> {
        if text.len() > MAX_TEXT_BYTES {
            return Err(Unsealable.into());
        }
        let Unsealed { opened, secret: _, sealed_with } = self.jar.open(text, now)?;
        Ok((Ticket::decode(&opened.payload)?, sealed_with))
    }
}

/// A ticket's cookie is never split and much shorter than this.
const MAX_TEXT_BYTES: usize = 4096;
