//! The shared nouns. Pure: no IO, no clock, no randomness, no runtime; every other room may use this one.

#[doc(hidden)]
pub mod fuzz;
pub mod identity;
pub mod pattern;
pub mod permit;
pub mod principal;
pub mod redirect;
pub mod request;
pub mod secret;
pub mod time;
pub mod user_info;

pub use identity::{Identity, Tokens};
pub use pattern::{InvalidPattern, PathPattern, PathPatterns};
pub use permit::{Grounds, Permit, RuleId};
pub use principal::{PathParameters, Principal};
pub use request::{ClientIp, RequestFacts, Target};
pub use secret::{Secret, SecretString};
pub use time::Timestamp;
pub use user_info::UserInfo;
