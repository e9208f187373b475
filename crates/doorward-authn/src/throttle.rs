//! Slows the guessing of passwords down: of one account by one client, of one account by all clients, and of all
//! accounts by one client.
//!
//! A try costs when its turn is taken, not when it has failed, so that many at once get no further than many in a row;
//! a right password gets its cost back. The narrow budget is the strict one, so that whoever guesses at somebody
//! else's account from elsewhere uses up his own turns and not the owner's. Nobody is locked out: budgets refill.
//!
//! Budgets lie in fixed numbers of slots by a keyed hash, so the memory is bounded, unknown accounts look like known
//! ones, and nobody can push an account out. Pure: callers pass the time.

use std::{
    hash::{BuildHasher, Hash, RandomState},
    net::{IpAddr, Ipv6Addr},
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

use doorward_core::ClientIp;

/// One account guessed at by one client.
const PAIR: Budget = Budget { free: 5, gap: Duration::from_secs(1) };
/// One account guessed at by clients that never knew its password.
const ACCOUNT: Budget = Budget { free: 30, gap: Duration::from_millis(500) };
/// All accounts guessed at by one client.
const CLIENT: Budget = Budget { free: 50, gap: Duration::from_millis(250) };
/// Passwords of one account that one client presented and that are not the remembered one.
const MISSES: Budget = Budget { free: 60, gap: Duration::from_secs(1) };
/// Nobody waits longer for a turn.
const LONGEST_WAIT: Duration = Duration::from_secs(3);
const SLOTS: usize = 4096;

#[derive(Debug)]
pub(crate) struct Throttle {
    tables: Mutex<Tables>,
    hasher: RandomState,
}

/// Who tries which account. Clients count by address, those of IPv6 by the network of one subscriber (64 bits).
#[derive(Clone, Copy, Debug)]
pub(crate) struct Try<'a> {
    account: &'a str,
    client: Option<IpAddr>,
}

impl<'a> Try<'a> {
    pub(crate) fn new(account: &'a str, client: ClientIp) -> Self {
        Self { account, client: client.known().map(network) }
    }

    /// The client's network as bytes; empty if nobody knows it.
    pub(crate) fn client_bytes(&self) -> Vec<u8> {
        match self.client {
            Some(IpAddr::V4(address)) => address.octets().to_vec(),
            Some(IpAddr::V6(address)) => address.octets().to_vec(),
            None => Vec::new(),
        }
    }
}

fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V4(address) => IpAddr::V4(address),
        IpAddr::V6(address) => IpAddr::V6(Ipv6Addr::from_bits(address.to_bits() >> 64 << 64)),
    }
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
        Self { tables: Mutex::new(Tables::new()), hasher: RandomState::new() }
    }

    /// Asks for a turn, and pays for it unless the answer is never.
    pub(crate) fn turn(&self, attempt: Try<'_>, now: Instant) -> Turn {
        self.with_slots(attempt, |slots| slots.turn(now)).unwrap_or(Turn::Never)
    }

    /// The password was right: the try cost nothing, and what this client did to this account is forgotten. What it did
    /// to others is not, lest it pay for guesses with an account of its own.
    pub(crate) fn succeeded(&self, attempt: Try<'_>) {
        self.with_slots(attempt, |mut slots| {
            slots.give_back();
            *slots.pair = Pair { standing: Standing::Known, ..Pair::default() };
        });
    }

    /// The password was not looked at.
    pub(crate) fn give_back(&self, attempt: Try<'_>) {
        self.with_slots(attempt, |mut slots| slots.give_back());
    }

    /// Whether this client may learn whether a password is the remembered one of this account. A right one is known at
    /// once, so that looking is guessing too; callers report what was none with [`Self::missed`].
    pub(crate) fn may_recall(&self, attempt: Try<'_>, now: Instant) -> bool {
        self.with_slots(attempt, |slots| slots.pair.misses.wait(MISSES, now).is_zero()).unwrap_or(false)
    }

    pub(crate) fn missed(&self, attempt: Try<'_>, now: Instant) {
        self.with_slots(attempt, |slots| slots.pair.misses.pay(MISSES, now));
    }

    fn with_slots<T>(&self, attempt: Try<'_>, act: impl FnOnce(Slots<'_>) -> T) -> Option<T> {
        let pair = self.slot_of(&(attempt.account, attempt.client))?;
        let account = self.slot_of(attempt.account)?;
        let client = match &attempt.client {
            Some(client) => Some(self.slot_of(client)?),
            None => None,
        };
        let mut tables = self.tables.lock().unwrap_or_else(PoisonError::into_inner);
        let Tables { pairs, accounts, clients } = &mut *tables;
        let client = match client {
            Some(index) => Some(clients.get_mut(index)?),
            None => None,
        };
        Some(act(Slots { pair: pairs.get_mut(pair)?, account: accounts.get_mut(account)?, client }))
    }

    fn slot_of<K: Hash + ?Sized>(&self, key: &K) -> Option<usize> {
        usize::try_from(self.hasher.hash_one(key) % SLOTS as u64).ok()
    }
}

#[derive(Debug)]
struct Tables {
    pairs: Box<[Pair]>,
    accounts: Box<[Bucket]>,
    clients: Box<[Bucket]>,
}

impl Tables {
    fn new() -> Self {
        Self {
            pairs: vec![Pair::default(); SLOTS].into(),
            accounts: vec![Bucket::default(); SLOTS].into(),
            clients: vec![Bucket::default(); SLOTS].into(),
        }
    }
}

/// What one client did to one account.
#[derive(Clone, Copy, Debug, Default)]
struct Pair {
    tries: Bucket,
    misses: Bucket,
    standing: Standing,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Standing {
    #[default]
    Stranger,
    /// The client knew the password once. Strangers who guess at the account cost it nothing.
    Known,
}

/// The slots that one try is about.
struct Slots<'a> {
    pair: &'a mut Pair,
    account: &'a mut Bucket,
    /// Nothing for clients without an address: they are not one client.
    client: Option<&'a mut Bucket>,
}

impl Slots<'_> {
    fn turn(mut self, now: Instant) -> Turn {
        let mut wait = Duration::ZERO;
        self.each(|bucket, budget| wait = wait.max(bucket.wait(budget, now)));
        if LONGEST_WAIT < wait {
            return Turn::Never;
        }
        self.each(|bucket, budget| bucket.pay(budget, now));
        if wait.is_zero() { Turn::Now } else { Turn::After(wait) }
    }

    fn give_back(&mut self) {
        self.each(Bucket::give_back);
    }

    /// All buckets that a try has to pay to.
    fn each(&mut self, mut act: impl FnMut(&mut Bucket, Budget)) {
        act(&mut self.pair.tries, PAIR);
        if self.pair.standing == Standing::Stranger {
            act(self.account, ACCOUNT);
        }
        if let Some(client) = &mut self.client {
            act(client, CLIENT);
        }
    }
}

/// How many tries are free, and how long it takes until there is another.
#[derive(Clone, Copy, Debug)]
struct Budget {
    free: u32,
    gap: Duration,
}

/// What was paid and has not been refilled yet, as the instant when all will be.
#[derive(Clone, Copy, Debug, Default)]
struct Bucket(Option<Instant>);

impl Bucket {
    /// How long until a try may happen.
    fn wait(&self, budget: Budget, now: Instant) -> Duration {
        let owed = self.0.map_or(Duration::ZERO, |full| full.saturating_duration_since(now));
        (owed + budget.gap).saturating_sub(budget.gap * budget.free)
    }

    fn pay(&mut self, budget: Budget, now: Instant) {
        self.0 = Some(self.0.map_or(now, |full| full.max(now)) + budget.gap);
    }

    fn give_back(&mut self, budget: Budget) {
        self.0 = self.0.and_then(|full| full.checked_sub(budget.gap));
    }
}

#[cfg(test)]
mod tests;
