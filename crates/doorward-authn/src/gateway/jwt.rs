//! Signed tokens of an issuer (the JWT authoriser): form, algorithm, type, key, signature, then what the claims say, in
//! this order and failing at the first.
//!
//! What was verified is kept, by the hash of the token: as long as the token lives, and as long as the issuer publishes
//! the same keys.

use std::{sync::Arc, time::Duration};

use doorward_accounts::Accounts;
use doorward_core::Timestamp;
use doorward_jose::Algorithm;
use doorward_oidc::IssuerKeys;
use serde_json::Value;

use super::TokenFinding;
use crate::judged::{Doubt, token_id};

/// Which tokens count.
#[derive(Clone, Debug)]
pub struct JwtConfig {
    /// The `iss` of tokens, letter by letter.
    pub issuer: String,
    /// A token is for one of these; never none.
    pub audiences: Vec<String>,
    /// Empty: RS256.
    pub algorithms: Vec<Algorithm>,
    /// How far the issuer's clock may be off; at most [`JwtAuthorizer::LONGEST_LEEWAY`].
    pub leeway: Duration,
    /// Allowed values of `typ`, e.g. `at+jwt`; empty: any, but for those of tokens that are no credentials.
    pub types: Vec<String>,
    pub required_claims: Vec<RequiredClaim>,
    pub names: ClaimNames,
    /// Shared by all authenticators of the issuer, so that its keys are fetched once.
    pub keys: Arc<IssuerKeys>,
    pub revocation: Revocation,
}

/// A claim that a token needs.
#[derive(Clone, Debug, PartialEq)]
pub struct RequiredClaim {
    /// A dotted path is allowed.
    pub name: String,
    /// It is one of these, or a list that holds one of them. Empty: it is there.
    pub values: Vec<Value>,
}

/// Which claims say who somebody is. Dotted paths are allowed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClaimNames {
    pub user: String,
    pub groups: String,
    pub email: String,
}

impl Default for ClaimNames {
    /// `sub`, for nothing else is unique at every issuer (OpenID Connect Core section 5.7).
    fn default() -> Self {
        Self { user: "sub".to_owned(), groups: "groups".to_owned(), email: "email".to_owned() }
    }
}

/// Whether somebody may have taken a token back.
#[derive(Clone, Debug)]
pub enum Revocation {
    /// Nobody can tell: a token counts until it expires.
    None,
    /// The issuer is our own server or gateway: its store is asked each time.
    Own(Arc<Accounts>),
}

/// Why tokens cannot be judged so.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidJwtConfig {
    #[error("no audience is named, so tokens for anybody would count; name the audiences that are ours")]
    NoAudience,
    #[error("nobody's public key verifies {0}; use RS256, PS256, ES256 or EdDSA, for example")]
    Algorithm(Algorithm),
    #[error("a leeway of {} seconds is too long; at most {} are possible", .0.as_secs(), JwtAuthorizer::LONGEST_LEEWAY.as_secs())]
    Leeway(Duration),
}

/// An issuer whose signed tokens count.
#[derive(Debug)]
pub struct JwtAuthorizer {
    config: JwtConfig,
}

impl JwtAuthorizer {
    pub const LONGEST_LEEWAY: Duration = Duration::from_mins(5);
    pub const USUAL_LEEWAY: Duration = Duration::from_secs(30);

    pub fn new(config: JwtConfig) -> Result<Self, InvalidJwtConfig> {
        if config.audiences.is_empty() {
            return Err(InvalidJwtConfig::NoAudience);
        }
        if let Some(algorithm) = config.algorithms.iter().find(|algorithm| !algorithm.is_verifiable()) {
            return Err(InvalidJwtConfig::Algorithm(*algorithm));
        }
        if config.leeway > Self::LONGEST_LEEWAY {
            return Err(InvalidJwtConfig::Leeway(config.leeway));
        }
        Ok(Self { config })
    }

    #[expect(clippy::unused_async, reason = "keys will be waited for")]
    pub(crate) async fn attempt(&self, name: &Arc<str>, token: &str, now: Timestamp) -> TokenFinding {
        let _ = (&self.config, name, now);
        TokenFinding::Unknown(Doubt::new(token_id(token), "signed tokens are not judged yet"))
    }
}
