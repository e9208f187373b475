//! Users, the tokens issued to them, and the keys that sign: what the built-in OAuth server knows, and the rules by which
//! that changes. No HTTP, no pages.
//!
//! Raw tokens exist in requests and answers only; the store knows their hashes ([`token`]). Whatever may be used once is
//! used in the same commit that makes what it is used for.

pub mod token;

pub use token::{FreshToken, TokenName};
