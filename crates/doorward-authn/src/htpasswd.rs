//! Users and passwords from an htpasswd file (reference: providers.md section 5): bcrypt and `{SHA}`.
//!
//! How long an answer takes tells nothing about which users exist: every failure costs as much as the dearest hash of
//! the file. The dear hashes run outside of the runtime's own threads, only a few at once. What was verified a short
//! while ago is remembered by a keyed digest, because Basic clients send their password with every request.

mod file;

use std::{
    collections::HashMap,
    path::PathBuf,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use arc_swap::ArcSwap;
use aws_lc_rs::{hmac, rand::SystemRandom};
use doorward_core::Identity;
use tokio::sync::Semaphore;

pub use self::file::{Entries, InvalidHtpasswd, RowFault};
use crate::{
    Attempt, Refusal,
    basic::{self, Credentials, Presented},
    throttle::{Throttle, Turn},
    watch::{WatchHandle, spawn_watch},
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
    loaded: ArcSwap<Loaded>,
    throttle: Throttle,
    checks: Arc<Semaphore>,
    waiting: Semaphore,
}

impl Htpasswd {
    pub fn new(entries: Entries, config: Config) -> Self {
        Self {
            config,
            loaded: ArcSwap::from_pointee(Loaded::new(entries)),
            throttle: Throttle::new(),
            checks: Arc::new(Semaphore::new(MOST_CHECKS)),
            waiting: Semaphore::new(MOST_WAITING),
        }
    }

    /// Replaces all users by those of a new text; on an error the old ones stay. Forgets verified passwords.
    pub fn reload(&self, text: &str) -> Result<(), InvalidHtpasswd> {
        let entries = Entries::parse(text)?;
        self.loaded.store(Arc::new(Loaded::new(entries)));
        Ok(())
    }

    /// Keeps the users current with their file until the handle is dropped. Needs a tokio runtime.
    pub fn watch(self: &Arc<Self>, path: impl Into<PathBuf>) -> WatchHandle {
        let users = Arc::clone(self);
        spawn_watch(path, move |text| users.reload(&text).map_err(|why| why.to_string()))
    }

    /// Tries the value of an `Authorization` header. `now` is the present.
    pub async fn attempt_basic(&self, authorization: Option<&[u8]>, now: Instant) -> Attempt {
        let credentials = match basic::read(authorization) {
            Presented::Nothing => return Attempt::NotPresented,
            Presented::Malformed(why) => return Attempt::Refused(why.into()),
            Presented::Credentials(credentials) => credentials,
        };
        let email = match self.config.email {
            EmailSource::Nothing => String::new(),
            EmailSource::UserName => credentials.user.clone(),
        };
        match self.verify(&credentials, now).await {
            Ok(()) => Attempt::Accepted(Identity { email, ..self.identity(credentials.user) }),
            Err(why) => Attempt::Refused(why),
        }
    }

    /// Tries what somebody typed into the sign-in form. Such users have no e-mail address. `now` is the present.
    pub async fn attempt_form(&self, credentials: Credentials, now: Instant) -> Attempt {
        match self.verify(&credentials, now).await {
            Ok(()) => Attempt::Accepted(self.identity(credentials.user)),
            Err(why) => Attempt::Refused(why),
        }
    }

    fn identity(&self, user: String) -> Identity {
        Identity { user, groups: self.config.groups.clone(), ..Identity::default() }
    }

    async fn verify(&self, credentials: &Credentials, now: Instant) -> Result<(), Refusal> {
        let loaded = self.loaded.load_full();
        if loaded.remembers(credentials, now) {
            return Ok(());
        }
        match self.throttle.turn(&credentials.user, now) {
            Turn::Now => (),
            Turn::After(wait) => tokio::time::sleep(wait).await,
            Turn::Never => return Err(Refusal::Throttled),
        }
        let _place = self.waiting.try_acquire().map_err(|_| Refusal::Busy)?;
        if self.check(&loaded, credentials, now).await? {
            self.throttle.succeeded(&credentials.user);
            loaded.remember(credentials, now);
            Ok(())
        } else {
            self.throttle.failed(&credentials.user, now);
            Err(Refusal::WrongCredentials)
        }
    }

    async fn check(
        &self,
        loaded: &Arc<Loaded>,
        credentials: &Credentials,
        now: Instant,
    ) -> Result<bool, Refusal> {
        if loaded.entries.are_cheap() {
            return Ok(loaded.entries.verify(credentials));
        }
        let turn = Arc::clone(&self.checks).acquire_owned().await.map_err(|_| Refusal::Busy)?;
        // Of many requests that came at once with the same password only the first few reach this point in vain.
        if loaded.remembers(credentials, now) {
            return Ok(true);
        }
        let loaded = Arc::clone(loaded);
        let credentials = credentials.clone();
        let check = move || {
            let answer = loaded.entries.verify(&credentials);
            // Held by the work, not by the request: giving up a request must not let further work start.
            drop(turn);
            answer
        };
        tokio::task::spawn_blocking(check).await.map_err(|_| Refusal::Busy)
    }
}

/// One version of the file, and what was verified against it.
#[derive(Debug)]
struct Loaded {
    entries: Entries,
    /// Keys the digests below; without randomness nothing is remembered.
    key: Option<hmac::Key>,
    /// Digests of verified credentials, and until when they count.
    remembered: Mutex<HashMap<Vec<u8>, Instant>>,
}

impl Loaded {
    fn new(entries: Entries) -> Self {
        let key = hmac::Key::generate(hmac::HMAC_SHA256, &SystemRandom::new()).ok();
        Self { entries, key, remembered: Mutex::default() }
    }

    fn remembers(&self, credentials: &Credentials, now: Instant) -> bool {
        let Some(digest) = self.digest(credentials) else {
            return false;
        };
        let remembered = self.remembered.lock().unwrap_or_else(PoisonError::into_inner);
        remembered.get(&digest).is_some_and(|&until| now < until)
    }

    fn remember(&self, credentials: &Credentials, now: Instant) {
        let Some(digest) = self.digest(credentials) else {
            return;
        };
        let mut remembered = self.remembered.lock().unwrap_or_else(PoisonError::into_inner);
        if MOST_REMEMBERED <= remembered.len() {
            remembered.retain(|_, until| now < *until);
        }
        if remembered.len() < MOST_REMEMBERED {
            remembered.insert(digest, now + REMEMBERED);
        }
    }

    /// The length keeps user and password apart, so that no two pairs share a digest.
    fn digest(&self, credentials: &Credentials) -> Option<Vec<u8>> {
        let mut context = hmac::Context::with_key(self.key.as_ref()?);
        context.update(&credentials.user.len().to_be_bytes());
        context.update(credentials.user.as_bytes());
        context.update(credentials.password.expose());
        Some(context.sign().as_ref().to_vec())
    }
}

#[cfg(test)]
mod tests;
