//! Who is asking: credentials become an attempt.
//!
//! Schemes answer one of three things, so that a bad credential is never mistaken for a missing one. Here live HTTP
//! Basic credentials checked against a password file, signed tokens checked by the issuers we trust, client certificates,
//! and the headers of proxies in front; [`chain`] puts those of API requests in order, and [`gateway`] has those that
//! routes name.

pub mod basic;
pub mod bearer;
pub mod chain;
pub mod front_proxy;
#[doc(hidden)]
pub mod fuzz;
pub mod gateway;
pub mod htpasswd;
mod judged;
mod throttle;
pub mod token_review;
pub mod websocket;
pub mod x509;

use doorward_core::Identity;

pub use bearer::{BearerAttempt, BearerRefusal, BearerTokens, InvalidExtraIssuer, OnRefusal, extra_issuer};

/// What became of the credentials of a request.
#[derive(Clone, Debug, PartialEq)]
pub enum Attempt {
    /// There were none of this scheme.
    NotPresented,
    Accepted(Identity),
    Refused(Refusal),
}

/// Why credentials were refused. For logs; the client learns only that they were.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    #[error(transparent)]
    Malformed(#[from] basic::InvalidBasic),
    /// The user does not exist or the password is another.
    #[error("unknown user or wrong password")]
    WrongCredentials,
    /// Too many wrong passwords for this user just now; the password was not looked at.
    #[error("too many failed attempts for this user")]
    Throttled,
    /// Too many passwords of all users are waiting to be checked; this one was not looked at.
    #[error("too many passwords are being checked")]
    Busy,
}
