//! A bounded store inside this process, for tests and demonstrations.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use crate::{Held, Listed, MAX_LISTED, Replaced, StoreError};

/// How much a memory store may hold; whatever expires first makes room for new values.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MemoryLimits {
    pub entries: usize,
    /// Keys and values together.
    pub bytes: usize,
}

impl Default for MemoryLimits {
    fn default() -> Self {
        Self { entries: 10_000, bytes: 64 * 1024 * 1024 }
    }
}

/// Expiring values in this process.
#[derive(Debug)]
pub struct MemoryStore {
    limits: MemoryLimits,
    kept: Mutex<Kept>,
}

#[derive(Debug, Default)]
struct Kept {
    entries: HashMap<String, Entry>,
    bytes: usize,
}

struct Entry {
    value: Vec<u8>,
    expires: Option<Instant>,
}

impl MemoryStore {
    /// An empty store that never grows beyond `limits`.
    pub fn new(limits: MemoryLimits) -> Self {
        Self { limits, kept: Mutex::default() }
    }

    pub(crate) fn get(&self, key: &str) -> Option<Vec<u8>> {
        self.kept().live(key, Instant::now()).map(|entry| entry.value.clone())
    }

    pub(crate) fn set(&self, key: &str, value: &[u8], ttl: Option<Duration>) -> Result<(), StoreError> {
        self.set_at(key, value, ttl, Instant::now())
    }

    pub(crate) fn replace_under(
        &self,
        lock: Held<'_>,
        key: &str,
        value: &[u8],
        ttl: Option<Duration>,
    ) -> Result<Replaced, StoreError> {
        let mut kept = self.kept();
        let now = Instant::now();
        if kept.live(lock.key, now).is_none_or(|entry| entry.value != lock.token.as_bytes()) {
            return Ok(Replaced::LockLost);
        }
        if kept.live(key, now).is_none() {
            return Ok(Replaced::NothingThere);
        }
        kept.put(self.limits, key, Entry::new(value, ttl, now), now).map(|()| Replaced::Done)
    }

    pub(crate) fn list_add(
        &self,
        key: &str,
        member: &Listed,
        now: i64,
        ttl: Duration,
    ) -> Result<(), StoreError> {
        let mut kept = self.kept();
        let mut members =
            kept.live(key, Instant::now()).map(|entry| members(&entry.value)).unwrap_or_default();
        members.retain(|other| other.expires > now && other.member != member.member);
        members.push(member.clone());
        members.sort_by_key(|member| member.expires);
        let surplus = members.len().saturating_sub(MAX_LISTED);
        let lines: Vec<String> =
            members.iter().skip(surplus).map(|one| format!("{} {}", one.expires, one.member)).collect();
        let lines = lines.join("\n");
        kept.put(self.limits, key, Entry::new(lines.as_bytes(), Some(ttl), Instant::now()), Instant::now())
    }

    pub(crate) fn list(&self, key: &str, now: i64) -> Vec<Listed> {
        let mut members = self.get(key).map(|value| members(&value)).unwrap_or_default();
        members.retain(|member| member.expires > now);
        members
    }

    pub(crate) fn delete(&self, key: &str) {
        self.kept().remove(key);
    }

    pub(crate) fn try_lock(&self, key: &str, token: &str, ttl: Duration) -> Result<bool, StoreError> {
        let mut kept = self.kept();
        let now = Instant::now();
        if kept.live(key, now).is_some_and(|entry| entry.value != token.as_bytes()) {
            return Ok(false);
        }
        kept.put(self.limits, key, Entry::new(token.as_bytes(), Some(ttl), now), now).map(|()| true)
    }

    pub(crate) fn extend_lock(&self, key: &str, token: &str, ttl: Duration) -> bool {
        let mut kept = self.kept();
        let now = Instant::now();
        match kept.live(key, now) {
            Some(entry) if entry.value == token.as_bytes() => {
                entry.expires = now.checked_add(ttl);
                true
            }
            _ => false,
        }
    }

    pub(crate) fn unlock(&self, key: &str, token: &str) -> bool {
        let mut kept = self.kept();
        let held = kept.live(key, Instant::now()).is_some_and(|entry| entry.value == token.as_bytes());
        if held {
            kept.remove(key);
        }
        held
    }

    fn set_at(&self, key: &str, value: &[u8], ttl: Option<Duration>, now: Instant) -> Result<(), StoreError> {
        self.kept().put(self.limits, key, Entry::new(value, ttl, now), now)
    }

    fn kept(&self) -> MutexGuard<'_, Kept> {
        // A panic elsewhere leaves the map whole: each change to it is completed under the lock.
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A list is kept as lines of text. Members hold no line breaks.
fn members(value: &[u8]) -> Vec<Listed> {
    let text = String::from_utf8_lossy(value);
    let read = text.lines().filter_map(|line| {
        let (expires, member) = line.split_once(' ')?;
        Some(Listed { member: member.to_owned(), expires: expires.parse().ok()? })
    });
    read.collect()
}

impl Kept {
    fn live(&mut self, key: &str, now: Instant) -> Option<&mut Entry> {
        if self.entries.get(key).is_some_and(|entry| entry.has_expired(now)) {
            self.remove(key);
        }
        self.entries.get_mut(key)
    }

    fn put(&mut self, limits: MemoryLimits, key: &str, entry: Entry, now: Instant) -> Result<(), StoreError> {
        let size = key.len() + entry.value.len();
        if size > limits.bytes || limits.entries == 0 {
            return Err(StoreError::Full);
        }
        self.remove(key);
        if self.entries.len() >= limits.entries || self.bytes + size > limits.bytes {
            self.remove_where(|kept| kept.has_expired(now));
        }
        while self.entries.len() >= limits.entries || self.bytes + size > limits.bytes {
            let first = self.entries.iter().filter(|(_, kept)| kept.expires.is_some());
            let Some(key) = first.min_by_key(|(_, kept)| kept.expires).map(|(key, _)| key.clone()) else {
                return Err(StoreError::Full);
            };
            self.remove(&key);
        }
        self.bytes += size;
        self.entries.insert(key.to_owned(), entry);
        Ok(())
    }

    fn remove(&mut self, key: &str) {
        if let Some((key, entry)) = self.entries.remove_entry(key) {
            self.bytes -= key.len() + entry.value.len();
        }
    }

    fn remove_where(&mut self, unwanted: impl Fn(&Entry) -> bool) {
        let bytes = &mut self.bytes;
        self.entries.retain(|key, entry| {
            let keep = !unwanted(entry);
            if !keep {
                *bytes -= key.len() + entry.value.len();
            }
            keep
        });
    }
}

impl Entry {
    fn new(value: &[u8], ttl: Option<Duration>, now: Instant) -> Self {
        // A lifetime beyond what the clock can express is as good as none.
        Self { value: value.to_vec(), expires: ttl.and_then(|ttl| now.checked_add(ttl)) }
    }

    fn has_expired(&self, now: Instant) -> bool {
        self.expires.is_some_and(|expires| expires <= now)
    }
}

impl std::fmt::Debug for Entry {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Entry").field("bytes", &self.value.len()).field("expires", &self.expires).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: Duration = Duration::from_hours(1);

    #[test]
    fn a_value_is_gone_at_its_expiry() {
        let store = MemoryStore::new(MemoryLimits::default());
        let start = Instant::now();
        store.set_at("k", b"v", Some(HOUR), start).unwrap();
        assert!(store.kept().live("k", start + Duration::from_mins(59)).is_some());
        assert!(store.kept().live("k", start + HOUR).is_none());
        assert_eq!(store.kept().bytes, 0);
    }

    #[test]
    fn a_full_store_drops_what_expires_first_and_never_what_lives_for_ever() {
        let store = MemoryStore::new(MemoryLimits { entries: 3, bytes: 1000 });
        store.set("long", b"1", Some(2 * HOUR)).unwrap();
        store.set("short", b"2", Some(HOUR)).unwrap();
        store.set("ever", b"3", None).unwrap();
        store.set("new", b"4", Some(3 * HOUR)).unwrap();
        assert_eq!(store.get("short"), None);
        assert_eq!(store.get("long").as_deref(), Some(&b"1"[..]));
        store.set("ever2", b"5", None).unwrap();
        store.set("ever3", b"6", None).unwrap();
        assert_eq!(store.set("ever4", b"7", None), Err(StoreError::Full));
        assert_eq!(store.get("ever").as_deref(), Some(&b"3"[..]));
    }

    #[test]
    fn bytes_are_bounded_and_accounted_for() {
        let store = MemoryStore::new(MemoryLimits { entries: 100, bytes: 20 });
        assert_eq!(store.set("k", &[0; 20], Some(HOUR)), Err(StoreError::Full));
        store.set("k", &[0; 19], Some(HOUR)).unwrap();
        store.set("k", &[0; 18], Some(HOUR)).unwrap();
        assert_eq!(store.kept().bytes, 19);
        store.set("l", &[0; 5], Some(HOUR)).unwrap();
        assert_eq!(store.get("k"), None);
        store.delete("l");
        assert_eq!(store.kept().bytes, 0);
    }

    #[test]
    fn what_has_expired_is_not_replaced() {
        let store = MemoryStore::new(MemoryLimits::default());
        let lock = Held { key: "l", token: "a", ttl: HOUR };
        assert_eq!(store.try_lock("l", "a", HOUR), Ok(true));
        store.set("k", b"1", Some(Duration::ZERO)).unwrap();
        assert_eq!(store.replace_under(lock, "k", b"4", None), Ok(Replaced::NothingThere));
        assert!(store.unlock("l", "a"));
        assert_eq!(store.kept().bytes, 0);
    }
}
