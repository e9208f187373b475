//! Expiring key-value with locks ([`Store`]), and records that change together and are not lost ([`Records`]), over
//! well-kept clients.
//!
//! Values are opaque bytes: whoever stores something sealed it before. Nothing here knows sessions, cookies or
//! options. Every future is `Send` and may be polled on any tokio runtime. Errors name neither keys nor passwords.

mod error;
mod memory;
pub mod records;
mod redis;

use std::time::Duration;

pub use self::error::StoreError;
pub use self::memory::{MemoryLimits, MemoryStore};
pub use self::records::{Committed, Records, RecordsConfig, Transaction};
pub use self::redis::{
    Authorities, InvalidAuthorities, InvalidRecordsPrefix, InvalidRedisUrl, RecordsPrefix, RedisConfig,
    RedisRecords, RedisServers, RedisStore, RedisTls, RedisUrl, TlsVerification,
};

/// Where expiring values are kept.
#[derive(Debug)]
pub enum Store {
    /// Inside this process, for tests and demonstrations: gone with the process, shared with nobody.
    Memory(MemoryStore),
    Redis(RedisStore),
}

impl Store {
    /// A store inside this process that never grows beyond `limits`.
    pub fn memory(limits: MemoryLimits) -> Self {
        Self::Memory(MemoryStore::new(limits))
    }

    /// Connects to Redis and asks it for a sign of life.
    ///
    /// The connections of this store live on the runtime this is called on, which has to outlive the store.
    ///
    /// # Errors
    /// `Misconfigured` names the option at fault; `Unavailable` means that the server does not answer.
    pub async fn connect_redis(config: RedisConfig) -> Result<Self, StoreError> {
        RedisStore::connect(config).await.map(Self::Redis)
    }

    /// The value under `key`, unless there is none or it has expired.
    pub async fn get(&self, key: &str) -> Result<Option<Vec<u8>>, StoreError> {
        match self {
            Self::Memory(store) => Ok(store.get(key)),
            Self::Redis(store) => store.get(key).await,
        }
    }

    /// Stores `value` under `key`, replacing what was there. Without `ttl` it never expires.
    pub async fn set(&self, key: &str, value: &[u8], ttl: Option<Duration>) -> Result<(), StoreError> {
        match self {
            Self::Memory(store) => store.set(key, value, ttl),
            Self::Redis(store) => store.set(key, value, ttl).await,
        }
    }

    /// Stores `value` under `key` if the lock is still held and there is something to replace, in one step (in two
    /// on a cluster): what a later holder of the lock has stored is not overwritten, and what somebody has removed
    /// does not come back.
    pub async fn replace_under(
        &self,
        lock: Held<'_>,
        key: &str,
        value: &[u8],
        ttl: Option<Duration>,
    ) -> Result<Replaced, StoreError> {
        match self {
            Self::Memory(store) => store.replace_under(lock, key, value, ttl),
            Self::Redis(store) => store.replace_under(lock, key, value, ttl).await,
        }
    }

    /// The values under `keys`, each as [`get`](Self::get) has it, asked for at once. On a cluster the keys have to share
    /// a hash tag.
    pub async fn get_many(&self, keys: &[String]) -> Result<Vec<Option<Vec<u8>>>, StoreError> {
        if keys.is_empty() {
            return Ok(Vec::new());
        }
        match self {
            Self::Memory(store) => Ok(keys.iter().map(|key| store.get(key)).collect()),
            Self::Redis(store) => store.get_many(keys).await,
        }
    }

    /// Adds `member` to the list `key`, or changes when it expires. Members that have expired by `now` go, and of more
    /// than [`MAX_LISTED`] those that expire first. The list itself is gone after `ttl`, if nothing is added.
    pub async fn list_add(
        &self,
        key: &str,
        member: &Listed,
        now: i64,
        ttl: Duration,
    ) -> Result<(), StoreError> {
        match self {
            Self::Memory(store) => store.list_add(key, member, now, ttl),
            Self::Redis(store) => store.list_add(key, member, now, ttl).await,
        }
    }

    /// The members of the list `key` that have not expired by `now`, in the order of their expiry.
    pub async fn list(&self, key: &str, now: i64) -> Result<Vec<Listed>, StoreError> {
        match self {
            Self::Memory(store) => Ok(store.list(key, now)),
            Self::Redis(store) => store.list(key, now).await,
        }
    }

    /// Removes `key`; a key that is not there is no error.
    pub async fn delete(&self, key: &str) -> Result<(), StoreError> {
        match self {
            Self::Memory(store) => {
                store.delete(key);
                Ok(())
            }
            Self::Redis(store) => store.delete(key).await,
        }
    }

    /// Asks the store for a sign of life.
    pub async fn ping(&self) -> Result<(), StoreError> {
        match self {
            Self::Memory(_) => Ok(()),
            Self::Redis(store) => store.ping().await,
        }
    }

    /// Proves that the store really keeps, returns and removes a value (wire-formats, section 7). The key is
    /// `<name>-healthcheck-<nonce>` and would expire after a minute if this were interrupted.
    pub async fn probe(&self, name: &str) -> Result<(), StoreError> {
        let nonce = nonce();
        let key = format!("{name}-healthcheck-{nonce}");
        self.set(&key, nonce.as_bytes(), Some(PROBE_TTL)).await?;
        let read_back = self.get(&key).await?;
        self.delete(&key).await?;
        if read_back.as_deref() == Some(nonce.as_bytes()) { Ok(()) } else { Err(StoreError::Inconsistent) }
    }

    /// Takes the lock `key` for `ttl` if it is free or already held under the same `token`.
    /// Interoperable with the reference's lock (wire-formats, section 7).
    ///
    /// Returns whether the lock is now held under `token`.
    pub async fn try_lock(&self, key: &str, token: &str, ttl: Duration) -> Result<bool, StoreError> {
        match self {
            Self::Memory(store) => store.try_lock(key, token, ttl),
            Self::Redis(store) => store.try_lock(key, token, ttl).await,
        }
    }

    /// Prolongs the lock `key` to `ttl` from now. Returns whether it was still held under `token`.
    pub async fn extend_lock(&self, key: &str, token: &str, ttl: Duration) -> Result<bool, StoreError> {
        match self {
            Self::Memory(store) => Ok(store.extend_lock(key, token, ttl)),
            Self::Redis(store) => store.extend_lock(key, token, ttl).await,
        }
    }

    /// Gives the lock `key` back. Returns whether it was still held under `token`; nobody else's lock is touched.
    pub async fn unlock(&self, key: &str, token: &str) -> Result<bool, StoreError> {
        match self {
            Self::Memory(store) => Ok(store.unlock(key, token)),
            Self::Redis(store) => store.unlock(key, token).await,
        }
    }
}

/// A member of a list, and when it expires, in seconds since the Unix epoch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listed {
    pub member: String,
    pub expires: i64,
}

/// A list has no more members than this.
pub const MAX_LISTED: usize = 1000;

/// A lock that was taken, and may have been lost since.
#[derive(Clone, Copy, Debug)]
pub struct Held<'a> {
    pub key: &'a str,
    pub token: &'a str,
    /// For how long it is held whenever it is prolonged.
    pub ttl: Duration,
}

/// What came of replacing a value under a lock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Replaced {
    Done,
    /// Somebody has removed the value.
    NothingThere,
    /// The lock ran out; somebody else may hold it, or have held it.
    LockLost,
}

/// Text that no other probe uses at the same time. Only uniqueness matters, so the seed of the standard hasher,
/// which is fresh for each one, is enough.
fn nonce() -> String {
    use std::hash::{BuildHasher as _, Hasher as _, RandomState};
    format!("{:016x}", RandomState::new().build_hasher().finish())
}

const PROBE_TTL: Duration = Duration::from_mins(1);

#[cfg(test)]
mod tests;
