//! Records that must not be lost or changed behind somebody's back: users, tokens, keys.
//!
//! One operation writes: [`Records::commit`] applies several changes together, or none of them if a condition no longer
//! holds. What was read is compared with what is there, so that of several parallel attempts to use a value that
//! may be used once, one succeeds. A commit that was answered with [`Committed::Done`] survives a crash.
//!
//! `now` is an argument: what has expired by then is not there, whatever the clock of a server says.

mod memory;

use std::collections::BTreeMap;

use doorward_core::Timestamp;

pub use self::memory::MemoryRecords;
use crate::StoreError;

/// Where records are kept.
#[derive(Debug)]
pub enum Records {
    /// Inside this process, for tests and demonstrations: gone with the process.
    Memory(MemoryRecords),
}

/// Changes that are made together.
#[derive(Clone, Debug, Default)]
pub struct Transaction {
    conditions: BTreeMap<String, Option<Vec<u8>>>,
    changes: BTreeMap<String, Change>,
}

/// What becomes of a key.
#[derive(Clone, Debug, PartialEq, Eq)]
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

#[expect(clippy::unused_async, reason = "stores outside of this process have to be waited for")]
impl Records {
    /// Records inside this process.
    pub fn memory() -> Self {
        Self::Memory(MemoryRecords::default())
    }

    /// The value under `key`, unless there is none or it has expired.
    pub async fn get(&self, key: &str, now: Timestamp) -> Result<Option<Vec<u8>>, StoreError> {
        Ok(self.get_many(&[key], now).await?.pop().flatten())
    }

    /// The values under `keys`, in their order, as they stood at one moment.
    pub async fn get_many(&self, keys: &[&str], now: Timestamp) -> Result<Vec<Option<Vec<u8>>>, StoreError> {
        match self {
            Self::Memory(records) => Ok(records.get_many(keys, now)),
        }
    }

    /// Everything whose key begins with `prefix`, in the order of keys.
    pub async fn list(&self, prefix: &str, now: Timestamp) -> Result<Vec<(String, Vec<u8>)>, StoreError> {
        match self {
            Self::Memory(records) => Ok(records.list(prefix, now)),
        }
    }

    /// Makes all changes of `transaction`, or none.
    pub async fn commit(&self, transaction: Transaction, now: Timestamp) -> Result<Committed, StoreError> {
        match self {
            Self::Memory(records) => Ok(records.commit(transaction, now)),
        }
    }

    /// Asks the store for a sign of life.
    pub async fn ping(&self) -> Result<(), StoreError> {
        match self {
            Self::Memory(_) => Ok(()),
        }
    }
}
