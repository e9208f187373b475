//! Users, the tokens issued to them, and the keys that sign: what the built-in OAuth server knows, and the rules by which
//! that changes. No HTTP, no pages.
//!
//! Raw tokens exist in requests and answers only; the store knows their hashes ([`token`]). Whatever may be used once is
//! used in the same commit that makes what it is used for.
//!
//! Tokens that belong together are a *family* ([`grants`]): one record, and with it gone none of them is valid.

mod code;
mod consents;
mod families;
#[doc(hidden)]
pub mod fuzz;
pub mod grants;
pub mod handles;
pub mod keys;
mod once;
mod origin;
pub mod password;
mod records;
mod refresh;
pub mod scopes;
pub mod seal;
mod secrets;
pub mod sessions;
mod sign_in;
pub mod token;
pub mod users;
mod validate;

use std::{sync::Arc, time::Duration};

use doorward_core::Timestamp;
use doorward_jose::Algorithm;
use doorward_store::{Records, StoreError};

pub use self::{
    code::{CodeRedirect, NewCode, RedeemError, Redemption},
    families::{Grant, RefreshStanding, RefreshValidity},
    grants::{
        AccessToken, Challenge, ChallengeMethod, FamilyId, Inactivity, InvalidGrant, Issued, LoginFacts,
        NewToken, Redeemed, Refreshing, Subject, TokenRules,
    },
    handles::{HandleForm, Original},
    keys::{KeyRing, KeySetName, KeysError, Rotation, SignError},
    origin::{DerivedToken, ORIGIN, Origin, Source, TooFar},
    password::{InvalidPasswordHash, PasswordHash, UnusablePassword},
    refresh::{RefreshError, RefreshRequest},
    scopes::{InvalidScope, Scopes},
    seal::{InvalidSealKey, SealKey, Unsealable},
    secrets::SecretError,
    sessions::{NewSession, Session, SignedIn},
    sign_in::{MappingError, MappingMethod, ProviderLogin},
    token::{FreshToken, NoRandomness, TokenName},
    users::{
        AddUserError, BOOTSTRAP_USER, Bootstrap, BootstrapError, ChangeUserError, NewUser, Standing, User,
    },
    validate::{Activity, InvalidToken, SCOPES_EXTRA, UserFault, ValidToken},
};
use crate::{keys::KeyCaches, password::Checks};

/// The smallest inactivity timeout that may be configured.
pub const LEAST_INACTIVITY: Duration = Duration::from_mins(5);

/// For how long things count.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rules {
    /// A code, until it is redeemed.
    pub code: Duration,
    /// An access token; zero: for ever.
    pub access: Duration,
    /// An access token that is not used; zero: that does not matter. Otherwise at least [`LEAST_INACTIVITY`].
    pub inactivity: Duration,
    /// A refresh token that is not used.
    pub refresh_idle: Duration,
    /// All refreshing since the grant.
    pub refresh_absolute: Duration,
    /// For how long a refresh token that was used yields the same answer again, in case that was lost; zero: never.
    pub refresh_grace: Duration,
    /// A login session that is not used.
    pub session_idle: Duration,
    /// Any login session.
    pub session_absolute: Duration,
    /// What there are signing keys for. The first is the usual one.
    pub algorithms: Vec<Algorithm>,
    /// What the gateway has signing keys for.
    pub gateway_algorithms: Vec<Algorithm>,
    /// The longest life of anything that is signed; a key that signs no more is published for as long.
    pub longest_signed: Duration,
}

impl Default for Rules {
    fn default() -> Self {
        const HOUR: Duration = Duration::from_hours(1);
        const DAY: Duration = Duration::from_hours(24);
        Self {
            code: Duration::from_mins(5),
            access: DAY,
            inactivity: Duration::ZERO,
            refresh_idle: 7 * DAY,
            refresh_absolute: 30 * DAY,
            refresh_grace: Duration::from_secs(5),
            session_idle: HOUR,
            session_absolute: 12 * HOUR,
            algorithms: vec![Algorithm::Rs256],
            gateway_algorithms: vec![Algorithm::Es256],
            longest_signed: DAY,
        }
    }
}

/// What the built-in OAuth server knows. Share it in an `Arc`.
#[derive(Debug)]
pub struct Accounts {
    records: Arc<Records>,
    seal: SealKey,
    rules: Rules,
    keys: KeyCaches,
    checks: Checks,
}

/// Nobody is at fault, and nothing was decided: what was asked may succeed later. Answer 503 (or 500), never a yes.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unavailable {
    #[error("{0}")]
    Store(#[from] StoreError),
    #[error("{0}")]
    NoRandomness(#[from] NoRandomness),
    #[error("a record was changed by others again and again")]
    Contended,
    #[error("too many passwords are being checked")]
    Busy,
    #[error("a record in the store cannot be read; was it written by a newer version?")]
    Unreadable,
}

impl Accounts {
    /// Accounts in `records`, whose secrets are sealed with `seal`.
    pub fn new(records: Arc<Records>, seal: SealKey, rules: Rules) -> Self {
        Self { records, seal, rules, keys: KeyCaches::default(), checks: Checks::default() }
    }

    pub const fn rules(&self) -> &Rules {
        &self.rules
    }

    /// Asks the store for a sign of life.
    pub async fn ping(&self) -> Result<(), StoreError> {
        self.records.ping().await
    }
}

/// Far beyond any life; keeps sums with times of this age from overflowing.
const MOST_SECONDS: u64 = 1 << 40;

/// Whole seconds, as records count them.
const fn seconds(duration: Duration) -> i64 {
    let seconds = duration.as_secs();
    (if seconds < MOST_SECONDS { seconds } else { MOST_SECONDS }).cast_signed()
}

/// The moment `second` begins.
const fn at(second: i64) -> Timestamp {
    Timestamp::from_seconds(second)
}

#[cfg(test)]
mod tests;
