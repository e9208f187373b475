//! The session and how it is kept: codecs, cookies, tickets, CSRF cookies.
//!
//! Reads and writes the oauth2-proxy v7 formats (reference page wire-formats; vectors in `tests/vectors.json`).
//! No clock: callers pass `now`. Whatever does not verify is the same `Unsealable`, and is no session.

mod cache;
mod codec;
mod cookie;
#[doc(hidden)]
pub mod fuzz;
mod keep;
mod ledger;
mod random;
mod secret;
mod session;
mod ticket;

pub use self::codec::Unsealable;
pub use self::cookie::config::{
    CookieConfig, CookieName, CookieTransport, InvalidCookieName, PerRequest, SameSite, ScriptAccess,
    StoredTokens,
};
pub use self::cookie::csrf::{CsrfError, CsrfKeeper, LoginAttempt};
pub use self::cookie::obstacle::{Coming, CookieKind, CookieRules, Obstacle, Presented, Transport, Way};
pub use self::cookie::own::OwnCookies;
pub use self::cookie::request::RequestCookies;
pub use self::cookie::state::{InvalidState, ReturnedState, StateEncoding, parse_state, state_parameter};
pub use self::keep::cookie::CookieKeeper;
pub use self::keep::lock::{Lock, LockError};
pub use self::keep::ticket::TicketKeeper;
pub use self::keep::{
    Cleared, InvalidSession, Keeper, LoadError, Loaded, SaveError, Saved, SealedWith, SessionKey, Updated,
    Visit,
};
pub use self::ledger::{At, Ledger, ListedSession, Names, Tickets, Whom};
pub use self::random::NoRandomness;
pub use self::secret::{CookieSecret, InvalidCookieSecret, PreviousSecret};
pub use self::session::Session;
/// Why a store cannot be asked.
pub use doorward_store::StoreError;

#[cfg(test)]
mod tests;
