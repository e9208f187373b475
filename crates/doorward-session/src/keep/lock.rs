//! One process at a time may refresh a session (bugs-not-to-copy, C22): refresh tokens are often good for one use
//! only. Within a process the caller sees to that.

use std::sync::Arc;
use std::time::Duration;

use base64_simd::URL_SAFE_NO_PAD;
use doorward_store::{Held, Store, StoreError};
use tokio::time::{sleep, timeout};

use crate::random::{self, NoRandomness};

/// The right to refresh one session. In a store it ends with [`release`](Self::release), or else after ten seconds
/// without [`renew`](Self::renew). Sessions in cookies are known to one process only and need none.
#[derive(Debug)]
#[must_use]
pub struct Lock {
    taken: Option<Taken>,
}

#[derive(Debug)]
struct Taken {
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
    pub(crate) const fn unneeded() -> Self {
        Self { taken: None }
    }

    /// Waits for the lock, but not for ever.
    pub(crate) async fn in_store(store: &Arc<Store>, key: String) -> Result<Self, LockError> {
        let token = URL_SAFE_NO_PAD.encode_to_string(random::bytes::<16>()?);
        let obtained = timeout(LOCK_WAIT, async {
            while !store.try_lock(&key, &token, LOCK_TTL).await? {
                sleep(LOCK_RETRY).await;
            }
            Ok::<_, StoreError>(())
        });
        match obtained.await {
            Ok(Ok(())) => Ok(Self { taken: Some(Taken { store: Arc::clone(store), key, token }) }),
            Ok(Err(error)) => Err(error.into()),
            Err(_) => Err(LockError::TimedOut),
        }
    }

    /// Holds the lock for another ten seconds from now. Worth doing every few seconds while a provider is asked.
    ///
    /// # Errors
    /// `TimedOut` if somebody else may hold it by now.
    pub async fn renew(&self) -> Result<(), LockError> {
        let Some(Taken { store, key, token }) = &self.taken else { return Ok(()) };
        if store.extend_lock(key, token, LOCK_TTL).await? { Ok(()) } else { Err(LockError::TimedOut) }
    }

    /// What the store needs to see whether it is still held; nothing where no store is.
    pub(crate) fn in_its_store(&self) -> Option<Held<'_>> {
        self.taken.as_ref().map(|Taken { store: _, key, token }| Held { key, token, ttl: LOCK_TTL })
    }

    /// Lets the next one in. If the store cannot be told, the lock ends by itself.
    pub async fn release(self) {
        if let Some(Taken { store, key, token }) = &self.taken
            && let Err(error) = store.unlock(key, token).await
        {
            tracing::debug!(%error, "a session lock could not be given back and will expire");
        }
    }
}

/// As long as a provider may take to answer, not the reference's two seconds.
const LOCK_TTL: Duration = Duration::from_secs(10);
const LOCK_WAIT: Duration = Duration::from_secs(12);
const LOCK_RETRY: Duration = Duration::from_millis(25);
