//! The one connection to the server, replaced when it is lost.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use ::redis::aio::MultiplexedConnection;
use ::redis::{AsyncConnectionConfig, Client, Cmd, ErrorKind, FromRedisValue, RedisError, ServerErrorKind};
use tokio::runtime::Handle;
use tokio::sync::Semaphore;

use crate::StoreError;

/// A connection that is opened when first needed and again whenever it was lost.
pub(super) struct Link {
    client: Client,
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
    connection: MultiplexedConnection,
    used: Instant,
}

/// A connection together with the attempt it came from.
struct Lent {
    connection: MultiplexedConnection,
    attempt: u64,
}

impl Link {
    /// Has to be called on the runtime that connections shall live on.
    pub(super) fn new(client: Client, idle_timeout: Option<Duration>) -> Self {
        let home = Handle::current();
        Self { client, idle_timeout, home, gate: Semaphore::new(1), state: Mutex::default() }
    }

    /// Runs a command that may be repeated without harm.
    pub(super) async fn run<T: FromRedisValue>(&self, command: &Cmd) -> Result<T, StoreError> {
        let mut lent = self.lend().await?;
        match command.query_async(&mut lent.connection).await {
            Err(error) if error.is_unrecoverable_error() && !error.is_timeout() => {
                // The server may have gone away long ago; this command was only the first to notice.
                self.discard(&lent);
                lent = self.lend().await?;
                let second = command.query_async(&mut lent.connection).await;
                second.map_err(|error| self.blame(&lent, &error))
            }
            first => first.map_err(|error| self.blame(&lent, &error)),
        }
    }

    fn blame(&self, lent: &Lent, error: &RedisError) -> StoreError {
        let blamed = classify(error);
        // After a missing answer the connection may hang for minutes, and a server that takes no writes any more
        // may not be the one the name stands for now. A new connection costs little.
        if blamed.is_unavailable() || error.is_unrecoverable_error() {
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
        let client = self.client.clone();
        let connecting = self.home.spawn(async move { connect(&client).await });
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
                tracing::warn!(%failure, "connecting to the session store failed");
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
        if self.idle_timeout.is_some_and(|limit| now.duration_since(open.used) > limit) {
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
        // The client is left out: it knows the password.
        f.debug_struct("Link").field("idle_timeout", &self.idle_timeout).finish_non_exhaustive()
    }
}

async fn connect(client: &Client) -> Result<MultiplexedConnection, StoreError> {
    let config = AsyncConnectionConfig::new()
        .set_connection_timeout(Some(CONNECT_TIMEOUT))
        .set_response_timeout(Some(RESPONSE_TIMEOUT));
    let connected = client.get_multiplexed_async_connection_with_config(&config).await;
    connected.map_err(|error| classify(&error))
}

/// Sorts the client's errors. The server's own text is left out: it may repeat the arguments of a command.
fn classify(error: &RedisError) -> StoreError {
    match error.kind() {
        ErrorKind::Io => unavailable(&error.to_string()),
        ErrorKind::Server(
            kind @ (ServerErrorKind::BusyLoading
            | ServerErrorKind::TryAgain
            | ServerErrorKind::ClusterDown
            | ServerErrorKind::MasterDown
            | ServerErrorKind::ReadOnly),
        ) => unavailable(&format!("the server says {kind:?}")),
        ErrorKind::AuthenticationFailed => {
            StoreError::CredentialsRefused { code: "authentication failed".to_owned() }
        }
        ErrorKind::InvalidClientConfig => StoreError::Misconfigured {
            option: "redis_connection_url",
            reason: "the client cannot use this configuration".to_owned(),
        },
        _ => match error.code() {
            Some(code @ ("NOAUTH" | "WRONGPASS" | "NOPERM")) => {
                StoreError::CredentialsRefused { code: code.to_owned() }
            }
            Some(code) => StoreError::Refused { reason: code.to_owned() },
            None => StoreError::Refused { reason: error.category().to_owned() },
        },
    }
}

fn unavailable(reason: &str) -> StoreError {
    StoreError::Unavailable { reason: reason.to_owned() }
}

const CONNECT_TIMEOUT: Duration = Duration::from_secs(3);
const RESPONSE_TIMEOUT: Duration = Duration::from_secs(3);
