//! Users, the tokens issued to them, and the keys that sign: what the built-in OAuth server knows, and the rules by which
//! that changes. No HTTP, no pages.
//!
//! Raw tokens exist in requests and answers only; the store knows their hashes ([`token`]). Whatever may be used once is
//! used in the same commit that makes what it is used for.

pub mod scopes;
pub mod token;

pub use scopes::{InvalidScope, Scopes};
pub use token::{FreshToken, TokenName};

/// What the built-in OAuth server knows. Share it in an `Arc`.
#[derive(Debug)]
pub struct Accounts;

/// What becomes of an identity that is seen for the first time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MappingMethod {
    Claim,
    Lookup,
    Add,
    Generate,
}
