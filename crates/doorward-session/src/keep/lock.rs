//! One at a time may refresh a session (bugs-not-to-copy, C22): refresh tokens are often good for one use only.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;

use base64_simd::URL_SAFE_NO_PAD;
use doorward_store::{Store, StoreError};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{sleep, timeout};

use super::SessionKey;
use crate::random::{self, NoRandomness};

/// The right to refresh one session. In this process it ends when this is dropped; in a store with
/// [`release`](Self::release), or else after ten seconds without [`renew`](Self::renew).
#[derive(Debug)]
#[must_use]
pub struct Lock {
    _permit: OwnedSemaphorePermit,
    held: Option<Held>,
}

#[derive(Debug)]
struct Held {
    store: Arc<Store>,
    key: String,
    token: String,
}

/// Why a session could not be locked. The session itself may be as good as ever.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LockError {
    #[error("the session is being refreshed elsewhere and it takes too long")]
    TimedOut,
    #[error(transparent)]
    NoRandomness(#[from] NoRandomness),
    #[error(transparent)]
    Unavailable(#[from] StoreError),
}

impl Lock {
    /// Holds the lock for another ten seconds from now. Worth doing every few seconds while a provider is asked.
    ///
    /// # Errors
    /// `TimedOut` if somebody else may hold it by now.
    pub async fn renew(&self) -> Result<(), LockError> {
        let Some(Held { store, key, token }) = &self.held else { return Ok(()) };
        if store.extend_lock(key, token, LOCK_TTL).await? { Ok(()) } else { Err(LockError::TimedOut) }
    }

    /// Lets the next one in. If the store cannot be told, the lock ends by itself.
    pub async fn release(self) {
        if let Some(Held { store, key, token }) = &self.held
            && let Err(error) = store.unlock(key, token).await
        {
            tracing::debug!(%error, "a session lock could not be given back and will expire");
        }
    }
}

/// The locks of this process.
#[derive(Debug, Default)]
pub(crate) struct LockTable {
    locks: Mutex<Locks>,
}

#[derive(Debug, Default)]
struct Locks {
    by_session: HashMap<SessionKey, Weak<Semaphore>>,
    /// The number of entries at which the unused ones are thrown out again.
    prune_at: usize,
}

impl LockTable {
    pub(crate) async fn lock(&self, key: SessionKey) -> Result<Lock, LockError> {
        let permit = timeout(LOCK_WAIT, self.semaphore(key).acquire_owned()).await;
        match permit {
            Ok(Ok(permit)) => Ok(Lock { _permit: permit, held: None }),
            Ok(Err(_)) | Err(_) => Err(LockError::TimedOut),
        }
    }

    pub(crate) async fn lock_in_store(
        &self,
        key: SessionKey,
        store: &Arc<Store>,
        store_key: String,
    ) -> Result<Lock, LockError> {
        let obtained = timeout(LOCK_WAIT, async {
            // Requests of this process queue here, so that only one of them at a time asks the store.
            let lock = self.lock(key).await?;
            let token = URL_SAFE_NO_PAD.encode_to_string(random::bytes::<16>()?);
            while !store.try_lock(&store_key, &token, LOCK_TTL).await? {
                sleep(LOCK_RETRY).await;
            }
            Ok(Lock { held: Some(Held { store: Arc::clone(store), key: store_key, token }), ..lock })
        });
        obtained.await.unwrap_or(Err(LockError::TimedOut))
    }

    fn semaphore(&self, key: SessionKey) -> Arc<Semaphore> {
        let mut locks = self.locks.lock().unwrap_or_else(PoisonError::into_inner);
        if locks.by_session.len() >= locks.prune_at {
            locks.by_session.retain(|_, lock| lock.strong_count() > 0);
            locks.prune_at = (2 * locks.by_session.len()).max(1024);
        }
        let slot = locks.by_session.entry(key).or_default();
        if let Some(semaphore) = slot.upgrade() {
            return semaphore;
        }
        let semaphore = Arc::new(Semaphore::new(1));
        *slot = Arc::downgrade(&semaphore);
        semaphore
    }
}

/// As long as a provider may take to answer, not the reference's two seconds.
const LOCK_TTL: Duration = Duration::from_secs(10);
const LOCK_WAIT: Duration = Duration::from_secs(12);
const LOCK_RETRY: Duration = Duration::from_millis(25);
