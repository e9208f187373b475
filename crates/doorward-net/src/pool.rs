//! Connections to one destination: idle ones, kept for the next request, and those of HTTP/2, which requests share. One
//! shard per worker thread: a connection is driven by the worker that opened it, and its lock is uncontended. Idle ones
//! are bounded in number and in age; there is no background task, old connections go when the pool is next touched.

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

use crate::{
    body::Body,
    channel::{Channel, Stream},
    dial::{Connected, Protocol},
};

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
struct Shard(Mutex<Connections>);

#[derive(Default)]
struct Connections {
    /// HTTP/1.1: the most recently used connection is last, and is taken first.
    idle: Vec<Idle>,
    /// HTTP/2, the oldest first.
    shared: Vec<Shared>,
}

struct Idle {
    connection: SendRequest<Body>,
    since: Instant,
}

struct Shared {
    channel: Channel,
    /// When a request was last put on it.
    used: Instant,
}

/// What one request is sent on.
#[derive(Debug)]
pub enum Line {
    /// HTTP/1.1.
    Exclusive(Lease),
    /// HTTP/2.
    Shared(Stream),
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

    /// Takes the most recently used live connection, or a place on one that is shared, and says for how long the
    /// connection was not used.
    pub fn checkout(self: &Arc<Self>, worker: WorkerId) -> Option<(Line, Duration)> {
        let mut connections = self.shard(worker)?;
        if connections.idle.is_empty() && connections.shared.is_empty() {
            return None;
        }
        let now = Instant::now();
        while let Some(Idle { connection, since }) = connections.idle.pop() {
            let age = now.saturating_duration_since(since);
            // A connection that is not ready has been closed, or still carries an abandoned upload.
            if age < IDLE_LIMIT && connection.is_ready() {
                return Some((Line::Exclusive(Lease { connection, pool: Arc::clone(self), worker }), age));
            }
        }
        connections.place(now).map(|(stream, age)| (Line::Shared(stream), age))
    }

    /// Makes a line of a fresh connection. One that can be shared is kept at once.
    pub fn adopt(self: &Arc<Self>, connected: Connected, worker: WorkerId) -> Line {
        match connected.0 {
            Protocol::Http1(connection) => {
                Line::Exclusive(Lease { connection, pool: Arc::clone(self), worker })
            }
            Protocol::Http2(channel) => Line::Shared(self.share(channel, worker)),
        }
    }

    fn share(&self, channel: Channel, worker: WorkerId) -> Stream {
        let stream = channel.open();
        if self.keep_alive == KeepAlive::Reuse
            && let Some(mut connections) = self.shard(worker)
        {
            let now = Instant::now();
            // Of several requests that dialled at the same time the first has opened a connection for all.
            if let Some((stream, _)) = connections.place(now) {
                return stream;
            }
            connections.shared.push(Shared { channel, used: now });
        }
        stream
    }

    pub const fn keep_alive(&self) -> KeepAlive {
        self.keep_alive
    }

    /// How many idle and shared connections all workers hold, living or dead.
    pub fn connections(&self) -> usize {
        let held = self.shards.iter().map(lock).map(|held| held.idle.len() + held.shared.len());
        held.sum()
    }

    /// More workers than shards share them: correct, only slower.
    fn shard(&self, worker: WorkerId) -> Option<MutexGuard<'_, Connections>> {
        let index = worker.0.checked_rem(self.shards.len())?;
        self.shards.get(index).map(lock)
    }
}

/// The connections are sound even if a thread panicked while it held the lock.
fn lock(shard: &Shard) -> MutexGuard<'_, Connections> {
    shard.0.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Connections {
    /// A place on a shared connection, and for how long that was not used. Connections that have ended, and those that
    /// were idle for too long, go.
    fn place(&mut self, now: Instant) -> Option<(Stream, Duration)> {
        let age = |shared: &Shared| now.saturating_duration_since(shared.used);
        self.shared.retain(|shared| {
            shared.channel.is_open() && (!shared.channel.is_idle() || age(shared) < IDLE_LIMIT)
        });
        let shared = self.shared.iter_mut().find(|shared| shared.channel.has_room())?;
        let unused = age(shared);
        shared.used = now;
        Some((shared.channel.open(), unused))
    }
}

impl Line {
    /// The request is over, answer included.
    pub fn give_back(self) {
        match self {
            Self::Exclusive(lease) => lease.give_back(),
            // Its place is free when it is dropped.
            Self::Shared(_) => {}
        }
    }
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
        let Some(mut connections) = pool.shard(worker) else { return };
        let idle = &mut connections.idle;
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
        f.debug_struct("Pool").field("connections", &self.connections()).finish_non_exhaustive()
    }
}

impl fmt::Debug for Lease {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Lease").field("worker", &self.worker).finish_non_exhaustive()
    }
}
