//! What doorward accepts of JWS, JWK and JWT, and what it signs itself: a thin room around `jsonwebtoken`.
//! No IO and no clock. Verifying knows public keys only; [`signing`] alone has private ones, and needs randomness.

pub mod algorithm;
pub mod claims_check;
#[doc(hidden)]
pub mod fuzz;
pub mod jwk;
pub mod jws;
pub mod signing;
mod strict_json;

pub use algorithm::{Algorithm, UnknownAlgorithm};
pub use claims_check::{AudienceMismatch, AudienceRule, ClaimError, Claims};
pub use jwk::{InvalidKeySet, KeySet};
pub use jws::{Demands, KeyId, Types, VerifiedClaims, VerifyError, verify, verify_demanding};
pub use signing::{
    SigningError, SigningKey,
    client_key::{ClientKey, InvalidClientKey},
    sign_with_secret,
};
