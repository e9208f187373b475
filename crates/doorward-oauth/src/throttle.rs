//! Slows the guessing of secrets and codes at the endpoints for clients (norm A6): failures of one client id from one
//! address, and all failures from one address. Who makes no mistakes is never slowed down, however often they ask; only
//! beginning logins is bounded, because anybody may, and each is kept for a while.
//!
//! Budgets lie in fixed numbers of slots by a keyed hash, so that memory is bounded. Clients whose address nobody knows
//! are not counted: they are not one client. Pure: callers pass the time.

use std::{
    hash::{BuildHasher, Hash, RandomState},
    net::{IpAddr, Ipv6Addr},
    sync::{Mutex, PoisonError},
    time::Duration,
};

use doorward_core::{ClientIp, Timestamp};

/// Failures of one client id from one address. A client that redeems one code many times at once stays below.
const PAIR: Budget = Budget { free: 100, gap: Duration::from_millis(500) };
/// All failures from one address, behind which there may be many clients.
const ADDRESS: Budget = Budget { free: 400, gap: Duration::from_millis(125) };
/// Logins begun from one address.
const BEGUN: Budget = Budget { free: 600, gap: Duration::from_millis(100) };
const SLOTS: usize = 4096;

#[derive(Debug)]
pub(crate) struct Throttle {
    tables: Mutex<[Box<[Bucket]>; 2]>,
    begun: Mutex<Box<[Bucket]>>,
    hasher: RandomState,
}

/// Whether a request is looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Turn {
    Now,
    /// Too many have failed lately.
    Later,
}

impl Throttle {
    pub(crate) fn new() -> Self {
        let table = || vec![Bucket::default(); SLOTS].into_boxed_slice();
        Self {
            tables: Mutex::new([table(), table()]),
            begun: Mutex::new(table()),
            hasher: RandomState::new(),
        }
    }

    /// Whether a request that names `client_id` is looked at.
    pub(crate) fn turn(&self, client_id: &str, address: ClientIp, now: Timestamp) -> Turn {
        let mut turn = Turn::Now;
        self.each(client_id, address, |bucket, budget| {
            if bucket.is_spent(budget, now) {
                turn = Turn::Later;
            }
        });
        turn
    }

    /// It failed in a way that a guess does.
    pub(crate) fn failed(&self, client_id: &str, address: ClientIp, now: Timestamp) {
        self.each(client_id, address, |bucket, budget| bucket.pay(budget, now));
    }

    /// Whether somebody may begin a login; if so, it counts.
    pub(crate) fn begins(&self, address: ClientIp, now: Timestamp) -> Turn {
        let Some(slot) = address.known().and_then(|address| self.slot_of(&network(address))) else {
            return Turn::Now;
        };
        let mut begun = self.begun.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(bucket) = begun.get_mut(slot) else { return Turn::Now };
        if bucket.is_spent(BEGUN, now) {
            return Turn::Later;
        }
        bucket.pay(BEGUN, now);
        Turn::Now
    }

    fn each(&self, client_id: &str, address: ClientIp, mut act: impl FnMut(&mut Bucket, Budget)) {
        let Some(network) = address.known().map(network) else { return };
        let slots = [self.slot_of(&(client_id, network)), self.slot_of(&network)];
        let mut tables = self.tables.lock().unwrap_or_else(PoisonError::into_inner);
        for ((table, slot), budget) in tables.iter_mut().zip(slots).zip([PAIR, ADDRESS]) {
            if let Some(bucket) = slot.and_then(|slot| table.get_mut(slot)) {
                act(bucket, budget);
            }
        }
    }

    fn slot_of<K: Hash + ?Sized>(&self, key: &K) -> Option<usize> {
        usize::try_from(self.hasher.hash_one(key) % SLOTS as u64).ok()
    }
}

/// IPv6 addresses count by the network of one subscriber (64 bits).
fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V4(address) => IpAddr::V4(address),
        IpAddr::V6(address) => IpAddr::V6(Ipv6Addr::from_bits(address.to_bits() >> 64 << 64)),
    }
}

/// How many failures are free, and how long it takes until there is another.
#[derive(Clone, Copy, Debug)]
struct Budget {
    free: u32,
    gap: Duration,
}

/// What was paid and has not been refilled yet, as the instant when all will be.
#[derive(Clone, Copy, Debug, Default)]
struct Bucket(Timestamp);

impl Bucket {
    fn is_spent(&self, budget: Budget, now: Timestamp) -> bool {
        budget.gap * budget.free <= self.0.since(now)
    }

    fn pay(&mut self, budget: Budget, now: Timestamp) {
        // Never further than the budget, so that a wave of failures is over when it is over.
        let most = now.saturating_add(budget.gap * budget.free);
        self.0 = self.0.max(now).saturating_add(budget.gap).min(most);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::NOW;

    const HERE: ClientIp = ClientIp::Known(IpAddr::V4(std::net::Ipv4Addr::new(192, 0, 2, 7)));
    const THERE: ClientIp = ClientIp::Known(IpAddr::V4(std::net::Ipv4Addr::new(192, 0, 2, 8)));

    #[test]
    fn failures_slow_down_only_who_makes_them() {
        let throttle = Throttle::new();
        for _ in 0..100 {
            assert_eq!(throttle.turn("a", HERE, NOW), Turn::Now);
            throttle.failed("a", HERE, NOW);
        }
        assert_eq!(throttle.turn("a", HERE, NOW), Turn::Later);
        assert_eq!(throttle.turn("b", HERE, NOW), Turn::Now);
        assert_eq!(throttle.turn("a", THERE, NOW), Turn::Now);
        assert_eq!(throttle.turn("a", HERE, NOW.saturating_add(Duration::from_secs(1))), Turn::Now);
    }

    #[test]
    fn changing_the_client_id_helps_only_so_far_and_unknown_addresses_are_not_one() {
        let throttle = Throttle::new();
        for number in 0..400 {
            throttle.failed(&number.to_string(), HERE, NOW);
            throttle.failed(&number.to_string(), ClientIp::Unknown, NOW);
        }
        assert_eq!(throttle.turn("new", HERE, NOW), Turn::Later);
        assert_eq!(throttle.turn("new", ClientIp::Unknown, NOW), Turn::Now);
        assert_eq!(throttle.turn("new", THERE, NOW), Turn::Now);
    }
}
