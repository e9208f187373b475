//! Records that must not be lost or changed behind somebody's back: users, tokens, keys.
//!
//! One operation writes: [`Records::commit`] applies several changes together, or none of them if a condition no longer
//! holds. What was read is compared with what is there, so that of several parallel attempts to use a value that
//! may be used once, one succeeds. A commit that was answered with [`Committed::Done`] survives a crash.
//!
//! `now` is an argument: what has expired by then is not there, whatever the clock of a server says.

mod embedded;
mod memory;

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;

use doorward_core::Timestamp;

pub use self::embedded::EmbeddedRecords;
pub use self::memory::MemoryRecords;
use crate::redis::{RedisConfig, RedisRecords};
use crate::{RecordsPrefix, StoreError};

/// Where records are kept.
#[derive(Debug)]
pub enum Records {
    /// Inside this process, for tests and demonstrations: gone with the process.
    Memory(MemoryRecords),
    /// In a file that this process has for itself.
    Embedded(EmbeddedRecords),
    /// In Redis, for several processes.
    Redis(RedisRecords),
}

/// Where records are to be kept.
#[derive(Clone, Debug, PartialEq)]
pub enum RecordsConfig {
    Memory,
    /// The file is made if there is none; its folder has to be there.
    Embedded {
        path: PathBuf,
    },
    Redis {
        servers: Box<RedisConfig>,
        prefix: RecordsPrefix,
    },
}

/// Changes that are made together.
#[derive(Clone, Default)]
pub struct Transaction {
    pub(crate) conditions: BTreeMap<String, Option<Vec<u8>>>,
    pub(crate) changes: BTreeMap<String, Change>,
}

/// What becomes of a key.
#[derive(Clone, PartialEq, Eq)]
pub(crate) enum Change {
    Put {
        value: Vec<u8>,
        /// `None`: never.
        expires: Option<Timestamp>,
    },
    Delete,
}

/// What came of a transaction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Committed {
    Done,
    /// A condition did not hold: nothing was changed.
    Conflict,
}

impl Transaction {
    pub fn new() -> Self {
        Self::default()
    }

    /// Only if there is nothing under `key`.
    #[must_use]
    pub fn if_absent(mut self, key: &str) -> Self {
        self.conditions.insert(key.to_owned(), None);
        self
    }

    /// Only if exactly `value` stands under `key`.
    #[must_use]
    pub fn if_same(mut self, key: &str, value: &[u8]) -> Self {
        self.conditions.insert(key.to_owned(), Some(value.to_owned()));
        self
    }

    /// Stores `value` under `key` until `expires`, or for ever.
    #[must_use]
    pub fn put(mut self, key: &str, value: Vec<u8>, expires: Option<Timestamp>) -> Self {
        self.changes.insert(key.to_owned(), Change::Put { value, expires });
        self
    }

    #[must_use]
    pub fn delete(mut self, key: &str) -> Self {
        self.changes.insert(key.to_owned(), Change::Delete);
        self
    }
}

impl fmt::Debug for Transaction {
    /// Without values: some are hashes of passwords.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let conditions: Vec<_> = self.conditions.keys().collect();
        let changes: Vec<_> = self.changes.keys().collect();
        f.debug_struct("Transaction").field("conditions", &conditions).field("changes", &changes).finish()
    }
}

impl Records {
    /// Records inside this process.
    pub fn memory() -> Self {
        Self::Memory(MemoryRecords::default())
    }

    /// Opens what `config` names, and proves that it can be used. Has to be called on a runtime that outlives the
    /// records: connections to Redis live there.
    ///
    /// # Errors
    /// `Misconfigured` names the file and the mend (no folder, another process has the file, damage, another
    /// program's file) or the option at fault; `Unavailable` means that Redis does not answer.
    pub async fn open(config: RecordsConfig) -> Result<Self, StoreError> {
        match config {
            RecordsConfig::Memory => Ok(Self::memory()),
            RecordsConfig::Embedded { path } => EmbeddedRecords::open(path).await.map(Self::Embedded),
            RecordsConfig::Redis { servers, prefix } => {
                RedisRecords::connect(&servers, &prefix).await.map(Self::Redis)
            }
        }
    }

    /// The value under `key`, unless there is none or it has expired.
    pub async fn get(&self, key: &str, now: Timestamp) -> Result<Option<Vec<u8>>, StoreError> {
        Ok(self.get_many(&[key], now).await?.pop().flatten())
    }

    /// The values under `keys`, in their order, as they stood at one moment.
    pub async fn get_many(&self, keys: &[&str], now: Timestamp) -> Result<Vec<Option<Vec<u8>>>, StoreError> {
        match self {
            Self::Memory(records) => Ok(records.get_many(keys, now)),
            Self::Embedded(records) => records.get_many(keys, now),
            Self::Redis(records) => records.get_many(keys, now).await,
        }
    }

    /// Everything whose key begins with `prefix`, in the order of keys. What is changed meanwhile may be in it or not.
    pub async fn list(&self, prefix: &str, now: Timestamp) -> Result<Vec<(String, Vec<u8>)>, StoreError> {
        match self {
            Self::Memory(records) => Ok(records.list(prefix, now)),
            Self::Embedded(records) => records.list(prefix, now).await,
            Self::Redis(records) => records.list(prefix, now).await,
        }
    }

    /// Makes all changes of `transaction`, or none.
    ///
    /// # Errors
    /// After an error nobody knows whether the changes were made, but it was all of them or none.
    pub async fn commit(&self, transaction: Transaction, now: Timestamp) -> Result<Committed, StoreError> {
        match self {
            Self::Memory(records) => Ok(records.commit(transaction, now)),
            Self::Embedded(records) => records.commit(transaction, now).await,
            Self::Redis(records) => records.commit(&transaction, now).await,
        }
    }

    /// Asks the store for a sign of life.
    pub async fn ping(&self) -> Result<(), StoreError> {
        match self {
            Self::Memory(_) => Ok(()),
            Self::Embedded(records) => records.ping(),
            Self::Redis(records) => records.ping().await,
        }
    }
}

#[cfg(test)]
mod tests;
