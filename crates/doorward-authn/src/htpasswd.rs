//! Users and passwords from an htpasswd file (reference: providers.md section 5): bcrypt and `{SHA}`. [`GuessLimit`] does
//! the same for passwords that others look at.
//!
//! How long an answer takes tells nothing about which users exist: every failure costs as much as the dearest hash of
//! the file. The dear hashes run outside of the runtime's own threads, only a few at once. What was verified a short
//! while ago is remembered by a keyed digest, because Basic clients send their password with every request.

mod apr1;
mod file;

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use aws_lc_rs::{hmac, rand::SystemRandom};
use doorward_core::{ClientIp, Identity};
use tokio::sync::{OnceCell, Semaphore};

pub use self::file::{Entries, InvalidHtpasswd, RowFault, WeakHashes};
use crate::{
    Attempt, Refusal,
    basic::{self, Credentials, Presented},
    throttle::{Throttle, Try, Turn},
};

/// Passwords that are checked at the same time.
const MOST_CHECKS: usize = 4;
/// Passwords that are checked or wait for it.
const MOST_WAITING: usize = 256;
/// How long a verified password is believed without another look.
const REMEMBERED: Duration = Duration::from_mins(1);
const MOST_REMEMBERED: usize = 1024;

/// What users of the file are given.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Config {
    /// Groups of all users of the file (`--htpasswd-user-group`).
    pub groups: Vec<String>,
    pub email: EmailSource,
}

/// What becomes the e-mail address of a user who sent Basic credentials.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum EmailSource {
    #[default]
    Nothing,
    /// The user name (`--prefer-email-to-user`).
    UserName,
}

/// The users of one password file. Share it in an `Arc`.
#[derive(Debug)]
pub struct Htpasswd {
    config: Config,
    loaded: Arc<Loaded>,
    guard: Arc<Guard>,
}

impl Htpasswd {
    pub fn new(entries: Entries, config: Config) -> Self {
        Self { config, loaded: Arc::new(Loaded::new(entries)), guard: Arc::new(Guard::new()) }
    }

    /// These users in place of `former` ones. Guesses counted so far still count; what was verified is forgotten if
    /// anything about the users has changed.
    #[must_use]
    pub fn after(self, former: &Self) -> Self {
        let unchanged = self.loaded.entries == former.loaded.entries;
        let loaded = if unchanged { Arc::clone(&former.loaded) } else { self.loaded };
        Self { config: self.config, loaded, guard: Arc::clone(&former.guard) }
    }

    /// Tries the value of an `Authorization` header. Guesses are counted by account and `client`; `now` is the present.
    pub async fn attempt_basic(
        &self,
        authorization: Option<&[u8]>,
        client: ClientIp,
        now: Instant,
    ) -> Attempt {
        let credentials = match basic::read(authorization) {
            Presented::Nothing => return Attempt::NotPresented,
            Presented::Malformed(why) => return Attempt::Refused(why.into()),
            Presented::Credentials(credentials) => credentials,
        };
        let email = match self.config.email {
            EmailSource::Nothing => String::new(),
            EmailSource::UserName => credentials.user.clone(),
        };
        match self.verify(&credentials, client, now).await {
            Ok(()) => Attempt::Accepted(Identity { email, ..self.identity(credentials.user) }),
            Err(why) => Attempt::Refused(why),
        }
    }

    /// Tries what somebody typed into the sign-in form. Such users have no e-mail address. Guesses are counted by
    /// account and `client`; `now` is the present.
    pub async fn attempt_form(&self, credentials: Credentials, client: ClientIp, now: Instant) -> Attempt {
        match self.verify(&credentials, client, now).await {
            Ok(()) => Attempt::Accepted(self.identity(credentials.user)),
            Err(why) => Attempt::Refused(why),
        }
    }

    fn identity(&self, user: String) -> Identity {
        Identity { user, groups: self.config.groups.clone(), ..Identity::default() }
    }

    /// Tries a user name and a password, wherever they came from. Guesses are counted by account and `client`; `now` is
    /// the present.
    pub async fn verify(
        &self,
        credentials: &Credentials,
        client: ClientIp,
        now: Instant,
    ) -> Result<(), Refusal> {
        let loaded = &self.loaded;
        let attempt = Try::new(&credentials.user, client);
        let Some(digest) = loaded.digest(credentials, attempt) else {
            return self.guard.look(&loaded.entries, credentials, attempt, now).await;
        };
        if self.guard.throttle.may_recall(attempt, now) {
            if loaded.remembers(&digest, now) {
                return Ok(());
            }
            self.guard.throttle.missed(attempt, now);
        }
        // A page brings many requests with the same password at once: they are one try, and get one answer.
        let shared = Shared::join(&loaded.underway, &digest);
        let look = || async {
            let answer = self.guard.look(&loaded.entries, credentials, attempt, now).await;
            if answer.is_ok() {
                loaded.remember(&digest, now);
            }
            answer
        };
        *shared.cell.get_or_init(look).await
    }
}

/// Bounds what guessing can do.
#[derive(Debug)]
struct Guard {
    throttle: Throttle,
    checks: Arc<Semaphore>,
    waiting: Semaphore,
}

impl Guard {
    fn new() -> Self {
        Self {
            throttle: Throttle::new(),
            checks: Arc::new(Semaphore::new(MOST_CHECKS)),
            waiting: Semaphore::new(MOST_WAITING),
        }
    }

    /// One look at a password, as soon as it is its turn.
    async fn look(
        &self,
        entries: &Arc<Entries>,
        credentials: &Credentials,
        attempt: Try<'_>,
        now: Instant,
    ) -> Result<(), Refusal> {
        self.turn(attempt, now).await?;
        match self.check(entries, credentials).await {
            Ok(true) => {
                self.throttle.succeeded(attempt);
                Ok(())
            }
            Ok(false) => Err(Refusal::WrongCredentials),
            Err(Busy) => {
                self.throttle.give_back(attempt);
                Err(Refusal::Busy)
            }
        }
    }

    /// Waits until a try may happen.
    async fn turn(&self, attempt: Try<'_>, now: Instant) -> Result<(), Refusal> {
        match self.throttle.turn(attempt, now) {
            Turn::Now => Ok(()),
            Turn::After(wait) => {
                tokio::time::sleep(wait).await;
                Ok(())
            }
            Turn::Never => Err(Refusal::Throttled),
        }
    }

    async fn check(&self, entries: &Arc<Entries>, credentials: &Credentials) -> Result<bool, Busy> {
        let _place = self.waiting.try_acquire().map_err(|_| Busy)?;
        if entries.are_cheap() {
            return Ok(entries.verify(credentials));
        }
        let turn = Arc::clone(&self.checks).acquire_owned().await.map_err(|_| Busy)?;
        let entries = Arc::clone(entries);
        let credentials = credentials.clone();
        let check = move || {
            let answer = entries.verify(&credentials);
            // Held by the work, not by the request: giving up a request must not let further work start.
            drop(turn);
            answer
        };
        tokio::task::spawn_blocking(check).await.map_err(|_| Busy)
    }
}

/// Bounds guessing at passwords that somebody else looks at, as for those of files. Share it in an `Arc`.
#[derive(Debug)]
pub struct GuessLimit(Guard);

/// Why a password got nobody in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum GuessError<E> {
    Refused(Refusal),
    /// It could not be looked at.
    Failed(E),
}

impl Default for GuessLimit {
    fn default() -> Self {
        Self(Guard::new())
    }
}

impl GuessLimit {
    /// Looks at a password of `user` as soon as it is its turn. `look` finds nothing if the password is wrong, and takes
    /// as long for users that do not exist. Guesses are counted by account and `client`; `now` is the present.
    pub async fn attempt<T, E>(
        &self,
        user: &str,
        client: ClientIp,
        now: Instant,
        look: impl Future<Output = Result<Option<T>, E>>,
    ) -> Result<T, GuessError<E>> {
        let attempt = Try::new(user, client);
        self.0.turn(attempt, now).await.map_err(GuessError::Refused)?;
        let Ok(_place) = self.0.waiting.try_acquire() else {
            self.0.throttle.give_back(attempt);
            return Err(GuessError::Refused(Refusal::Busy));
        };
        match look.await {
            Ok(Some(found)) => {
                self.0.throttle.succeeded(attempt);
                Ok(found)
            }
            Ok(None) => Err(GuessError::Refused(Refusal::WrongCredentials)),
            Err(failure) => {
                self.0.throttle.give_back(attempt);
                Err(GuessError::Failed(failure))
            }
        }
    }
}

/// The password was not looked at.
struct Busy;

type Answer = OnceCell<Result<(), Refusal>>;
/// Answers that are being found, by the digest of what is asked.
type Underway = Mutex<HashMap<Vec<u8>, Arc<Answer>>>;

/// A share in an answer. The last one to leave takes it away.
struct Shared<'a> {
    underway: &'a Underway,
    digest: &'a [u8],
    cell: Arc<Answer>,
}

impl<'a> Shared<'a> {
    fn join(underway: &'a Underway, digest: &'a [u8]) -> Self {
        let mut answers = underway.lock().unwrap_or_else(PoisonError::into_inner);
        let cell = Arc::clone(answers.entry(digest.to_vec()).or_default());
        drop(answers);
        Self { underway, digest, cell }
    }
}

impl Drop for Shared<'_> {
    fn drop(&mut self) {
        let mut answers = self.underway.lock().unwrap_or_else(PoisonError::into_inner);
        // Gives up this share first, so that of two who leave at once the later one sees that nobody is left.
        self.cell = Arc::default();
        if answers.get(self.digest).is_some_and(|cell| Arc::strong_count(cell) == 1) {
            answers.remove(self.digest);
        }
    }
}

/// One version of the file, and what was verified against it.
#[derive(Debug)]
struct Loaded {
    entries: Arc<Entries>,
    /// Keys the digests below; without randomness nothing is remembered.
    key: Option<hmac::Key>,
    /// Digests of verified credentials, and until when they count.
    remembered: Mutex<HashMap<Vec<u8>, Instant>>,
    underway: Underway,
}

impl Loaded {
    fn new(entries: Entries) -> Self {
        let key = hmac::Key::generate(hmac::HMAC_SHA256, &SystemRandom::new()).ok();
        Self { entries: Arc::new(entries), key, remembered: Mutex::default(), underway: Mutex::default() }
    }

    fn remembers(&self, digest: &[u8], now: Instant) -> bool {
        let remembered = self.remembered.lock().unwrap_or_else(PoisonError::into_inner);
        remembered.get(digest).is_some_and(|&until| now < until)
    }

    fn remember(&self, digest: &[u8], now: Instant) {
        let mut remembered = self.remembered.lock().unwrap_or_else(PoisonError::into_inner);
        if MOST_REMEMBERED <= remembered.len() {
            remembered.retain(|_, until| now < *until);
        }
        if remembered.len() < MOST_REMEMBERED {
            remembered.insert(digest.to_vec(), now + REMEMBERED);
        }
    }

    /// The client is part of it, so that nobody else profits from what one client proved. Lengths keep the parts apart:
    /// no two triples share a digest.
    fn digest(&self, credentials: &Credentials, attempt: Try<'_>) -> Option<Vec<u8>> {
        let mut context = hmac::Context::with_key(self.key.as_ref()?);
        for part in [attempt.client_bytes().as_slice(), credentials.user.as_bytes()] {
            context.update(&part.len().to_be_bytes());
            context.update(part);
        }
        context.update(credentials.password.expose());
        Some(context.sign().as_ref().to_vec())
    }
}

#[cfg(test)]
mod tests;
