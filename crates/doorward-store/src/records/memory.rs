//! Records in a map.

use std::{
    collections::BTreeMap,
    fmt,
    sync::{Mutex, MutexGuard, PoisonError},
};

use doorward_core::Timestamp;

use super::{Change, Committed, Transaction};

/// Records inside this process.
#[derive(Default)]
pub struct MemoryRecords(Mutex<BTreeMap<String, Kept>>);

struct Kept {
    value: Vec<u8>,
    expires: Option<Timestamp>,
}

impl fmt::Debug for MemoryRecords {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MemoryRecords").field("records", &self.map().len()).finish()
    }
}

impl Kept {
    fn is_alive(&self, now: Timestamp) -> bool {
        self.expires.is_none_or(|expires| now < expires)
    }
}

impl MemoryRecords {
    /// Nothing panics while the map is changed, so a poisoned lock guards a whole map.
    fn map(&self) -> MutexGuard<'_, BTreeMap<String, Kept>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn get_many(&self, keys: &[&str], now: Timestamp) -> Vec<Option<Vec<u8>>> {
        let map = self.map();
        let value =
            |key: &&str| map.get(*key).filter(|kept| kept.is_alive(now)).map(|kept| kept.value.clone());
        keys.iter().map(value).collect()
    }

    pub(super) fn list(&self, prefix: &str, now: Timestamp) -> Vec<(String, Vec<u8>)> {
        let map = self.map();
        let from = map.range(prefix.to_owned()..).take_while(|(key, _)| key.starts_with(prefix));
        from.filter(|(_, kept)| kept.is_alive(now))
            .map(|(key, kept)| (key.clone(), kept.value.clone()))
            .collect()
    }

    pub(super) fn commit(&self, transaction: Transaction, now: Timestamp) -> Committed {
        let mut map = self.map();
        map.retain(|_, kept| kept.is_alive(now));
        let holds = |(key, wanted): (&String, &Option<Vec<u8>>)| {
            map.get(key).map(|kept| &kept.value) == wanted.as_ref()
        };
        if !transaction.conditions.iter().all(holds) {
            return Committed::Conflict;
        }
        for (key, change) in transaction.changes {
            match change {
                Change::Put { value, expires } => map.insert(key, Kept { value, expires }),
                Change::Delete => map.remove(&key),
            };
        }
        Committed::Done
    }
}
