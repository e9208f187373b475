//! Keeping sessions: in cookies, or in a store with a ticket in a cookie.
//!
//! Loading never yields a session that does not verify; a store that cannot be asked is an error of its own, and
//! so is whatever cannot be saved. A stored session that somebody has ended does not come back by being saved again;
//! one in a cookie cannot be taken back, so whoever ends it has to remember that by its [`SessionKey`].
//!
//! A cookie name may be in a request more than once: another site on the same domain can set it too. The first few
//! are tried, and the first that is good counts.

pub(crate) mod cookie;
pub(crate) mod lock;
pub(crate) mod ticket;

use std::sync::Arc;

use doorward_core::Timestamp;
use doorward_store::{Store, StoreError};
use http::HeaderValue;

use self::cookie::CookieKeeper;
use self::lock::{Lock, LockError};
use self::ticket::TicketKeeper;
use crate::codec::v7::envelope::Mac;
use crate::codec::{Unencodable, Unsealable};
use crate::cookie::config::CookieConfig;
use crate::cookie::request::RequestCookies;
use crate::random::NoRandomness;
use crate::session::Session;
use crate::ticket::{SealError, Ticket};

/// Keeps sessions.
#[derive(Debug)]
pub enum Keeper {
    /// The session itself is in the browser.
    Cookie(CookieKeeper),
    /// The session is in a store, the key to it in the browser.
    Ticket(TicketKeeper),
}

/// What a request tells about cookies to be set in answer to it.
#[derive(Clone, Copy, Debug)]
pub struct Visit<'a> {
    pub cookies: &'a RequestCookies<'a>,
    /// The host the browser asked for, with or without port; it chooses the cookies' domain.
    pub host: &'a str,
    pub now: Timestamp,
}

impl Keeper {
    /// Keeps sessions in cookies.
    pub fn cookie(config: &CookieConfig) -> Self {
        Self::Cookie(CookieKeeper::new(config))
    }

    /// Keeps sessions in `store`.
    pub fn ticket(config: &CookieConfig, store: Arc<Store>) -> Self {
        Self::Ticket(TicketKeeper::new(config, store))
    }

    /// The keys of all sessions that came with a request and are good by what the browser holds. The store is not
    /// asked.
    pub fn presented(&self, cookies: &RequestCookies<'_>, now: Timestamp) -> Vec<SessionKey> {
        match self {
            Self::Cookie(keeper) => keeper.presented(cookies, now),
            Self::Ticket(keeper) => keeper.presented(cookies, now),
        }
    }

    /// The session that came with a request.
    pub async fn load(&self, cookies: &RequestCookies<'_>, now: Timestamp) -> Result<Loaded, LoadError> {
        match self {
            Self::Cookie(keeper) => keeper.load(cookies, now),
            // Asking a store takes room that requests with the session in a cookie need not carry.
            Self::Ticket(keeper) => Box::pin(keeper.load(cookies, now)).await,
        }
    }

    /// Looks again at a session that somebody else may have refreshed in the meantime.
    pub async fn reload(&self, loaded: &Loaded) -> Result<Loaded, LoadError> {
        match self {
            Self::Cookie(_) => Ok(loaded.clone()),
            Self::Ticket(keeper) => keeper.reload(loaded).await,
        }
    }

    /// Keeps the session of a new login. Nothing that came with the request is
    /// used again: a ticket in it, which somebody may have planted, is replaced and its session deleted. In a cookie
    /// the old session stays good by itself: see [`presented`](Self::presented).
    pub async fn create(&self, session: &Session, visit: &Visit<'_>) -> Result<Saved, SaveError> {
        match self {
            Self::Cookie(keeper) => keeper.save(session, visit),
            Self::Ticket(keeper) => keeper.create(session, visit).await,
        }
    }

    /// Keeps `session` in place of the `loaded` one it was made from, under the lock of that one. A stored session
    /// that has been ended meanwhile is not kept, nor is one whose lock ran out.
    pub async fn update(
        &self,
        session: &Session,
        loaded: &Loaded,
        lock: &Lock,
        visit: &Visit<'_>,
    ) -> Result<Updated, SaveError> {
        match self {
            Self::Cookie(keeper) => keeper.save(session, visit).map(Updated::Kept),
            Self::Ticket(keeper) => keeper.update(session, loaded, lock, visit).await,
        }
    }

    /// Seals what the browser holds of a session with the current secret. The session does not change; in a cookie it
    /// has another key from then on.
    pub fn reseal(&self, loaded: &Loaded, visit: &Visit<'_>) -> Result<Saved, SaveError> {
        match self {
            Self::Cookie(keeper) => keeper.save(&loaded.session, visit),
            Self::Ticket(keeper) => Ok(keeper.reseal(loaded, visit)),
        }
    }

    /// Forgets the sessions that came with a request.
    pub async fn clear(&self, visit: &Visit<'_>) -> Cleared {
        match self {
            Self::Cookie(keeper) => keeper.clear(visit),
            Self::Ticket(keeper) => keeper.clear(visit).await,
        }
    }

    /// Whether [`clear`](Self::clear) answers with a cookie even where the request came with none, as the reference
    /// does with a store.
    pub const fn always_clears(&self) -> bool {
        matches!(self, Self::Ticket(_))
    }

    /// Whether sessions can be kept right now.
    pub async fn ready(&self) -> Result<(), StoreError> {
        match self {
            Self::Cookie(_) => Ok(()),
            Self::Ticket(keeper) => keeper.ready().await,
        }
    }

    /// Waits until no other process that shares the store is refreshing the same session. After waiting,
    /// [`reload`](Self::reload). Within this process the caller refreshes a session once at a time, by its
    /// [`key`](Loaded::key).
    pub async fn lock(&self, loaded: &Loaded) -> Result<Lock, LockError> {
        match self {
            Self::Cookie(_) => Ok(Lock::unneeded()),
            Self::Ticket(keeper) => keeper.lock(loaded).await,
        }
    }
}

/// A session that came with a request, and where it came from.
#[derive(Clone, Debug)]
pub struct Loaded {
    pub session: Arc<Session>,
    origin: Origin,
    sealed_with: SealedWith,
}

/// Which secret a cookie was sealed with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SealedWith {
    CurrentSecret,
    /// It is to be [sealed anew](Keeper::reseal), for this secret will be gone some day.
    PreviousSecret,
}

#[derive(Clone, Debug)]
enum Origin {
    Cookie(Mac),
    Ticket(Ticket),
}

impl Loaded {
    pub const fn sealed_with(&self) -> SealedWith {
        self.sealed_with
    }

    /// The same for all requests with the same session and for no others. A session in a cookie gets a new one
    /// whenever it is saved.
    pub fn key(&self) -> SessionKey {
        match &self.origin {
            Origin::Cookie(mac) => SessionKey::of_cookie(*mac),
            Origin::Ticket(ticket) => SessionKey::of_ticket(ticket),
        }
    }
}

/// Names a session, for things done once for all requests that share it. Nobody without the cookie secret can
/// make two sessions with the same key.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct SessionKey(Key);

#[derive(Clone, PartialEq, Eq, Hash)]
enum Key {
    Cookie(Mac),
    Ticket(String),
}

impl SessionKey {
    const fn of_cookie(mac: Mac) -> Self {
        Self(Key::Cookie(mac))
    }

    fn of_ticket(ticket: &Ticket) -> Self {
        Self(Key::Ticket(ticket.id().to_owned()))
    }

    pub(crate) const fn of_stored(id: String) -> Self {
        Self(Key::Ticket(id))
    }

    /// What the store knows the session by, if it is kept in one.
    pub(crate) fn in_store(&self) -> Option<&str> {
        match &self.0 {
            Key::Cookie(_) => None,
            Key::Ticket(id) => Some(id),
        }
    }
}

impl std::fmt::Debug for SessionKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match &self.0 {
            Key::Cookie(_) => f.write_str("SessionKey(cookie)"),
            Key::Ticket(id) => f.debug_tuple("SessionKey").field(id).finish(),
        }
    }
}

/// What came of keeping a session in place of another.
#[derive(Clone, Debug)]
pub enum Updated {
    Kept(Saved),
    /// The store no longer knows it: a sign-out or another login came first. Nothing was kept.
    Ended,
    /// The lock ran out, so that somebody else may have refreshed the session. Nothing was kept.
    Overtaken,
}

/// A session that is kept from now on.
#[derive(Clone, Debug)]
pub struct Saved {
    /// What the session will be called when it comes back.
    pub key: SessionKey,
    /// The Set-Cookie lines.
    pub set_cookies: Vec<HeaderValue>,
}

/// What came of forgetting a session. The cookies go in any case.
#[derive(Debug)]
pub struct Cleared {
    pub set_cookies: Vec<HeaderValue>,
    /// Whether the store has forgotten it as well.
    pub store: Result<(), StoreError>,
}

/// Why there is no session.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LoadError {
    /// The request came with none.
    #[error("no session cookie")]
    Absent,
    /// It came with one that is not good; it should be cleared.
    #[error("session not valid: {0}")]
    Invalid(#[from] InvalidSession),
    /// Nobody can tell right now.
    #[error(transparent)]
    Unavailable(#[from] StoreError),
}

/// Why a session or login cookie is not good. For the log: the browser learns nothing of this.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidSession {
    #[error(transparent)]
    Unsealable(#[from] Unsealable),
    #[error("too old, or from the future")]
    OutsideLifetime,
    #[error("not in the store any more")]
    NotInStore,
}

impl From<Unsealable> for LoadError {
    fn from(unsealable: Unsealable) -> Self {
        Self::Invalid(unsealable.into())
    }
}

/// Why a session could not be kept.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SaveError {
    #[error("the session is too large to be kept")]
    TooLarge,
    #[error(transparent)]
    NoRandomness(#[from] NoRandomness),
    #[error("the session could not be encrypted")]
    Unencryptable,
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl From<Unencodable> for SaveError {
    fn from(Unencodable: Unencodable) -> Self {
        Self::TooLarge
    }
}

impl From<SealError> for SaveError {
    fn from(error: SealError) -> Self {
        match error {
            SealError::NoRandomness => NoRandomness.into(),
            SealError::Key => Self::Unencryptable,
        }
    }
}

/// How many cookies of one name are tried.
const MAX_CANDIDATES: usize = 4;
