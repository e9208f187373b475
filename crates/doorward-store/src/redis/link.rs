//! The one connection to the server, replaced when it is lost.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use ::redis::{Cmd, FromRedisValue, RedisError};
use tokio::runtime::Handle;
use tokio::sync::Semaphore;

use super::failure::{Login, classify, is_demoted, unavailable};
use super::target::{At, Connection, Target};
use crate::StoreError;

/// A connection that is opened when first needed and again whenever it was lost.
pub(super) struct Link {
    target: Arc<Target>,
    idle_timeout: Option<Duration>,
    /// Where connections live, whoever asks for them.
    home: Handle,
    /// Held while connecting, so that a crowd of requests makes one attempt between them.
    gate: Semaphore,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    open: Option<Open>,
    /// Counts the attempts to connect; tells one connection from the next.
    attempts: u64,
    /// How the last attempt failed, if it did.
    failure: Option<StoreError>,
}

struct Open {
    connection: Connection,
    used: Instant,
}

/// A connection together with the attempt it came from.
struct Lent {
    connection: Connection,
    attempt: u64,
}

impl Link {
    /// Has to be called on the runtime that connections shall live on.
    pub(super) fn new(target: Target, idle_timeout: Option<Duration>) -> Self {
        let (target, home) = (Arc::new(target), Handle::current());
        Self { target, idle_timeout, home, gate: Semaphore::new(1), state: Mutex::default() }
    }

    pub(super) fn target(&self) -> &Target {
        &self.target
    }

    /// Runs a command that may be repeated without harm.
    pub(super) async fn run<T: FromRedisValue>(&self, command: &Cmd, at: At) -> Result<T, StoreError> {
        let mut lent = self.lend().await?;
        match lent.connection.run(command, at).await {
            Err(error) if is_lost(&error) => {
                // The server may have gone away, or become a replica, long ago; this was only the first to notice.
                self.discard(&lent);
                lent = self.lend().await?;
                let second = lent.connection.run(command, at).await;
                second.map_err(|error| self.blame(&lent, &error))
            }
            first => first.map_err(|error| self.blame(&lent, &error)),
        }
    }

    fn blame(&self, lent: &Lent, error: &RedisError) -> StoreError {
        let blamed = classify(error, Login::Server);
        // After a missing answer the connection may hang for minutes, and a server that takes no writes any more
        // may not be the one the name stands for now. A new connection costs little.
        let is_suspect = blamed.is_unavailable() && !lent.connection.mends_itself();
        if is_suspect || is_lost(error) {
            self.discard(lent);
        }
        blamed
    }

    async fn lend(&self) -> Result<Lent, StoreError> {
        let seen = match self.open_connection() {
            Ok(lent) => return Ok(lent),
            Err(attempts) => attempts,
        };
        let closed = |_| unavailable("shutting down");
        let _gate = self.gate.acquire().await.map_err(closed)?;
        match self.open_connection() {
            Ok(lent) => return Ok(lent),
            // Somebody else tried while this request waited: their failure is this one's too.
            Err(attempts) if attempts != seen => {
                if let Some(failure) = self.state().failure.clone() {
                    return Err(failure);
                }
            }
            Err(_) => {}
        }
        let target = Arc::clone(&self.target);
        let connecting = self.home.spawn(async move { target.connect().await });
        let connected = connecting.await.unwrap_or_else(|_| Err(unavailable("shutting down")));
        let mut state = self.state();
        state.attempts += 1;
        match connected {
            Ok(connection) => {
                state.failure = None;
                state.open = Some(Open { connection: connection.clone(), used: Instant::now() });
                Ok(Lent { connection, attempt: state.attempts })
            }
            Err(failure) => {
                tracing::warn!(%failure, "connecting to the store failed");
                state.failure = Some(failure.clone());
                Err(failure)
            }
        }
    }

    /// The open connection, or else the number of attempts made so far.
    fn open_connection(&self) -> Result<Lent, u64> {
        let mut state = self.state();
        let attempt = state.attempts;
        let now = Instant::now();
        let Some(open) = &mut state.open else { return Err(attempt) };
        let is_idle = self.idle_timeout.is_some_and(|limit| now.duration_since(open.used) > limit);
        if is_idle || open.connection.is_outdated() {
            state.open = None;
            return Err(attempt);
        }
        open.used = now;
        Ok(Lent { connection: open.connection.clone(), attempt })
    }

    fn discard(&self, lent: &Lent) {
        let mut state = self.state();
        if state.attempts == lent.attempt {
            state.open = None;
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // Nothing can panic between the changes made under this lock.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl std::fmt::Debug for Link {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // The target is left out: it knows the password.
        f.debug_struct("Link").field("idle_timeout", &self.idle_timeout).finish_non_exhaustive()
    }
}

/// Whether a new connection is what is needed.
fn is_lost(error: &RedisError) -> bool {
    (error.is_unrecoverable_error() && !error.is_timeout()) || is_demoted(error)
}
