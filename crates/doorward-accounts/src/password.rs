//! Passwords of users in the store: bcrypt. Hashing and checking take a noticeable time; [`Accounts::check_password`]
//! does it outside of the runtime's own threads, a few at a time. Throttling guesses is up to the caller.

use std::{fmt, sync::Arc};

use bcrypt::HashParts;
use doorward_core::{Secret, Timestamp};
use serde::{Deserialize, Serialize};
use tokio::sync::Semaphore;

use crate::{Accounts, Standing, Unavailable, User};

/// What bcrypt looks at; what stands behind would not count.
const MOST_BYTES: usize = 72;
const COST: u32 = if cfg!(test) { 4 } else { 12 };
/// The dearest cost that is accepted; each step doubles the time.
const HIGHEST_COST: u32 = 18;
/// Passwords that are checked at the same time.
const MOST_CHECKS: usize = 4;
/// Passwords that are checked or wait for it.
const MOST_WAITING: usize = 256;

/// A bcrypt hash.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct PasswordHash(String);

/// A text is no bcrypt hash.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("this is no bcrypt hash with a cost of at most {HIGHEST_COST}; make one with `htpasswd -nB`")]
pub struct InvalidPasswordHash;

/// Why there is no hash of a password.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum UnusablePassword {
    #[error("the password is empty; choose another")]
    Empty,
    #[error("the password is longer than {MOST_BYTES} bytes; choose a shorter one")]
    TooLong,
    #[error("the password cannot be hashed; is there randomness to be had from the operating system?")]
    NotHashed,
}

impl PasswordHash {
    /// Hashes a password. Blocks for a noticeable time.
    pub fn new(password: &[u8]) -> Result<Self, UnusablePassword> {
        match password.len() {
            0 => return Err(UnusablePassword::Empty),
            1..=MOST_BYTES => (),
            _ => return Err(UnusablePassword::TooLong),
        }
        let mut salt = [0; 16];
        aws_lc_rs::rand::fill(&mut salt).map_err(|_| UnusablePassword::NotHashed)?;
        let hash = bcrypt::hash_with_salt(password, COST, salt).map_err(|_| UnusablePassword::NotHashed)?;
        Ok(Self(hash.to_string()))
    }

    /// Reads a hash as htpasswd files have it.
    pub fn parse(text: &str) -> Result<Self, InvalidPasswordHash> {
        let parts: HashParts = text.parse().map_err(|_| InvalidPasswordHash)?;
        if HIGHEST_COST < parts.get_cost() {
            return Err(InvalidPasswordHash);
        }
        Ok(Self(text.to_owned()))
    }

    /// Whether this is the hash of `password`. Blocks for a noticeable time.
    pub fn verify(&self, password: &[u8]) -> bool {
        password.len() <= MOST_BYTES && bcrypt::verify(password, &self.0).unwrap_or(false)
    }

    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }

    /// Takes as long as looking at a password.
    fn pretend(password: &[u8]) {
        let password = password.get(..MOST_BYTES).unwrap_or(password);
        let _ = std::hint::black_box(bcrypt::hash_with_salt(password, COST, [0; 16]));
    }
}

impl fmt::Debug for PasswordHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[secret]")
    }
}

/// Bounds what checking passwords may cost.
#[derive(Debug)]
pub(crate) struct Checks {
    turns: Arc<Semaphore>,
    waiting: Semaphore,
}

impl Default for Checks {
    fn default() -> Self {
        Self { turns: Arc::new(Semaphore::new(MOST_CHECKS)), waiting: Semaphore::new(MOST_WAITING) }
    }
}

impl Checks {
    /// Does dear work outside of the runtime's own threads, when it is its turn.
    pub(crate) async fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, Unavailable> {
        let _place = self.waiting.try_acquire().map_err(|_| Unavailable::Busy)?;
        let turn = Arc::clone(&self.turns).acquire_owned().await.map_err(|_| Unavailable::Busy)?;
        let work = move || {
            let result = work();
            // Held by the work, not by the request: giving up a request must not let further work start.
            drop(turn);
            result
        };
        tokio::task::spawn_blocking(work).await.map_err(|_| Unavailable::Busy)
    }
}

impl Accounts {
    /// The user of this name, if the password is theirs and they are not disabled. Takes as long for users that do not
    /// exist.
    pub async fn check_password(
        &self,
        name: &str,
        password: &Secret<Vec<u8>>,
        now: Timestamp,
    ) -> Result<Option<User>, Unavailable> {
        let user = self.user(name, now).await?;
        let password = password.clone();
        let check = move || {
            let hash = user.as_ref().and_then(|user| user.password.as_ref());
            let is_right = hash.is_some_and(|hash| hash.verify(password.expose()));
            if hash.is_none() {
                PasswordHash::pretend(password.expose());
            }
            user.filter(|user| is_right && user.standing == Standing::Active)
        };
        self.checks.run(check).await
    }
}
