//! Slows the guessing of passwords down, account by account.
//!
//! Accounts share a fixed number of slots by a keyed hash, so the memory is bounded, unknown accounts look like known
//! ones, and nobody can push an account out. Nobody is locked out either: a throttled account still gets one try per
//! second. Pure: callers pass the time.

use std::{
    hash::{BuildHasher, RandomState},
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

/// Failures that cost nothing.
const FREE_FAILURES: u32 = 5;
/// Between two tries of a throttled account.
const GAP: Duration = Duration::from_secs(1);
/// Nobody waits longer for a turn.
const LONGEST_WAIT: Duration = Duration::from_secs(3);
/// After so long without a failure all is forgotten.
const MEMORY: Duration = Duration::from_mins(1);
const SLOTS: usize = 4096;

#[derive(Debug)]
pub(crate) struct Throttle {
    slots: Mutex<Box<[Slot]>>,
    hasher: RandomState,
}

/// When a try may happen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Turn {
    Now,
    After(Duration),
    Never,
}

impl Throttle {
    pub(crate) fn new() -> Self {
        Self { slots: Mutex::new(vec![Slot::default(); SLOTS].into()), hasher: RandomState::new() }
    }

    /// Asks for a turn, and takes it unless the answer is never.
    pub(crate) fn turn(&self, account: &str, now: Instant) -> Turn {
        self.with_slot(account, |slot| slot.turn(now)).unwrap_or(Turn::Never)
    }

    pub(crate) fn succeeded(&self, account: &str) {
        self.with_slot(account, |slot| *slot = Slot::default());
    }

    pub(crate) fn failed(&self, account: &str, now: Instant) {
        self.with_slot(account, |slot| slot.failed(now));
    }

    fn with_slot<T>(&self, account: &str, act: impl FnOnce(&mut Slot) -> T) -> Option<T> {
        let mut slots = self.slots.lock().unwrap_or_else(PoisonError::into_inner);
        let index = usize::try_from(self.hasher.hash_one(account) % SLOTS as u64).ok()?;
        slots.get_mut(index).map(act)
    }
}

#[derive(Clone, Copy, Debug, Default)]
struct Slot {
    failures: u32,
    last_failure: Option<Instant>,
    /// When the next try may happen.
    free: Option<Instant>,
}

impl Slot {
    fn turn(&mut self, now: Instant) -> Turn {
        if self.last_failure.is_none_or(|last| last + MEMORY <= now) {
            *self = Self::default();
        }
        if self.failures < FREE_FAILURES {
            return Turn::Now;
        }
        let free = self.free.unwrap_or(now).max(now);
        let wait = free.duration_since(now);
        if LONGEST_WAIT < wait {
            return Turn::Never;
        }
        self.free = Some(free + GAP);
        if wait.is_zero() { Turn::Now } else { Turn::After(wait) }
    }

    fn failed(&mut self, now: Instant) {
        self.failures = self.failures.saturating_add(1);
        self.last_failure = Some(now);
        if self.failures == FREE_FAILURES {
            self.free = Some(now + GAP);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn after_some_failures_tries_are_a_second_apart() {
        let throttle = Throttle::new();
        let start = Instant::now();
        for _ in 0..FREE_FAILURES {
            assert_eq!(throttle.turn("bob", start), Turn::Now);
            throttle.failed("bob", start);
        }
        for seconds in 1..=3 {
            assert_eq!(throttle.turn("bob", start), Turn::After(Duration::from_secs(seconds)));
        }
        assert_eq!(throttle.turn("bob", start), Turn::Never);
        assert_eq!(throttle.turn("bob", start + Duration::from_secs(1)), Turn::After(Duration::from_secs(3)));
        assert_eq!(throttle.turn("bob", start + Duration::from_secs(5)), Turn::Now);
    }

    #[test]
    fn success_and_time_forgive() {
        let throttle = Throttle::new();
        let start = Instant::now();
        let fail_often = || (0..2 * FREE_FAILURES).for_each(|_| throttle.failed("bob", start));
        fail_often();
        throttle.succeeded("bob");
        assert_eq!(throttle.turn("bob", start), Turn::Now);
        fail_often();
        assert_ne!(throttle.turn("bob", start), Turn::Now);
        assert_eq!(throttle.turn("bob", start + MEMORY), Turn::Now);
        assert_eq!(throttle.turn("bob", start + MEMORY), Turn::Now);
    }
}
