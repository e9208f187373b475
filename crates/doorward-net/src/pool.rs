//! Idle connections to one destination, kept for the next request. One shard per worker thread: a connection is
//! driven by the worker that opened it, and its lock is uncontended. Bounded in number and in age; there is no
//! background task, old connections go when the pool is next touched.

use std::{
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use http::{Request, Response};
use hyper::{
    body::Incoming,
    client::conn::{TrySendError, http1::SendRequest},
};

use crate::{body::Body, dial::Connected};

/// How many idle connections a worker keeps for one destination.
const IDLE_PER_WORKER: usize = 64;

/// How long a connection may be idle: below the idle limits that servers usually have.
const IDLE_LIMIT: Duration = Duration::from_secs(90);

/// The number of a worker thread, counted from zero.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WorkerId(pub usize);

/// Whether connections are used for more than one request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeepAlive {
    Reuse,
    Close,
}

/// The idle connections to one destination.
pub struct Pool {
    shards: Box<[Shard]>,
    keep_alive: KeepAlive,
}

/// Aligned to a cache line, so that workers do not disturb each other.
#[derive(Default)]
#[repr(align(64))]
struct Shard {
    /// The most recently used connection is last, and is taken first.
    idle: Mutex<Vec<Idle>>,
}

struct Idle {
    connection: SendRequest<Body>,
    since: Instant,
}

/// A connection taken out of its pool, or opened for it. Dropping it closes the connection.
pub struct Lease {
    connection: SendRequest<Body>,
    pool: Arc<Pool>,
    worker: WorkerId,
}

impl Pool {
    /// An empty pool with one shard for each of so many workers.
    pub fn new(keep_alive: KeepAlive, workers: usize) -> Arc<Self> {
        let shards = match keep_alive {
            KeepAlive::Reuse => workers.max(1),
            KeepAlive::Close => 1,
        };
        Arc::new(Self { shards: (0..shards).map(|_| Shard::default()).collect(), keep_alive })
    }

    /// Takes the most recently used live connection, and says how long it was idle.
    pub fn checkout(self: &Arc<Self>, worker: WorkerId) -> Option<(Lease, Duration)> {
        let mut idle = self.shard(worker)?;
        if idle.is_empty() {
            return None;
        }
        let now = Instant::now();
        while let Some(Idle { connection, since }) = idle.pop() {
            let age = now.saturating_duration_since(since);
            // A connection that is not ready has been closed, or still carries an abandoned upload.
            if age < IDLE_LIMIT && connection.is_ready() {
                return Some((Lease { connection, pool: Arc::clone(self), worker }, age));
            }
        }
        None
    }

    /// Makes a lease of a fresh connection.
    pub fn adopt(self: &Arc<Self>, connected: Connected, worker: WorkerId) -> Lease {
        Lease { connection: connected.0, pool: Arc::clone(self), worker }
    }

    pub const fn keep_alive(&self) -> KeepAlive {
        self.keep_alive
    }

    /// How many idle connections all workers hold, living or dead.
    pub fn idle(&self) -> usize {
        self.shards.iter().map(|shard| lock(shard).len()).sum()
    }

    /// More workers than shards share them: correct, only slower.
    fn shard(&self, worker: WorkerId) -> Option<MutexGuard<'_, Vec<Idle>>> {
        let index = worker.0.checked_rem(self.shards.len())?;
        self.shards.get(index).map(lock)
    }
}

/// The connections are sound even if a thread panicked while it held the lock.
fn lock(shard: &Shard) -> MutexGuard<'_, Vec<Idle>> {
    shard.idle.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Lease {
    /// Sends a request. If nothing of it has been written, the error holds the request again.
    pub fn send(
        &mut self,
        request: Request<Body>,
    ) -> impl Future<Output = Result<Response<Incoming>, TrySendError<Request<Body>>>> + use<> {
        self.connection.try_send_request(request)
    }

    /// Puts the connection back for the next request, unless it has been closed or the pool is full.
    pub fn give_back(self) {
        let Self { connection, pool, worker } = self;
        if pool.keep_alive == KeepAlive::Close || connection.is_closed() {
            return;
        }
        let Some(mut idle) = pool.shard(worker) else { return };
        let now = Instant::now();
        let is_young = |since: Instant| now.saturating_duration_since(since) < IDLE_LIMIT;
        if idle.first().is_some_and(|oldest| !is_young(oldest.since)) {
            idle.retain(|other| is_young(other.since));
        }
        if idle.len() < IDLE_PER_WORKER {
            idle.push(Idle { connection, since: now });
        }
    }
}

impl fmt::Debug for Pool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pool").field("idle", &self.idle()).finish_non_exhaustive()
    }
}

impl fmt::Debug for Lease {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Lease").field("worker", &self.worker).finish_non_exhaustive()
    }
}
