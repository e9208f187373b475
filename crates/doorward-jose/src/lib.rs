//! What doorward accepts of JWS, JWK and JWT: a thin room around `jsonwebtoken`.
//! Pure: no IO, no clock, no randomness. It verifies with public keys only and never signs.

pub mod algorithm;
pub mod claims_check;
#[doc(hidden)]
pub mod fuzz;
pub mod jwk;
pub mod jws;
mod strict_json;

pub use algorithm::{Algorithm, UnknownAlgorithm};
pub use claims_check::{AudienceMismatch, AudienceRule, ClaimError, Claims};
pub use jwk::{InvalidKeySet, KeySet};
pub use jws::{VerifiedClaims, VerifyError, verify};
