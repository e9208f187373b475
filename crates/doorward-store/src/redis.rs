//! A plain Redis server as store, over the `redis` crate.
//!
//! One multiplexed connection serves everybody. It is opened, and its driver lives, on the runtime `connect` was
//! called on, whichever runtime a command comes from. A lost connection is noticed by the next command, which
//! opens a new one and is sent again: every command here may be repeated without harm.

mod address;
mod link;

use std::time::Duration;

use ::redis::{Cmd, FromRedisValue, cmd};
use doorward_core::SecretString;

use self::link::Link;
use crate::StoreError;

/// How to reach a Redis server.
#[derive(Clone, Debug)]
pub struct RedisConfig {
    /// `redis://[user:password@]host[:port][/database]`, `rediss://…` for TLS, or `unix:///path[?db=number]`.
    pub url: SecretString,
    /// Overrides the user in the URL.
    pub username: Option<String>,
    /// Overrides the password in the URL.
    pub password: Option<SecretString>,
    /// A connection unused for longer than this is not trusted any more and is replaced.
    pub idle_timeout: Option<Duration>,
    pub tls: RedisTls,
}

impl RedisConfig {
    /// The server at `url`, with nothing overridden.
    pub fn new(url: SecretString) -> Self {
        Self { url, username: None, password: None, idle_timeout: None, tls: RedisTls::default() }
    }
}

/// What `rediss://` asks of the server's certificate.
#[derive(Clone, Debug, Default)]
pub struct RedisTls {
    /// Certificates to trust, in PEM form; without them the system's are trusted.
    pub ca_pem: Option<Vec<u8>>,
    pub verification: TlsVerification,
}

/// Whether the server has to prove who it is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum TlsVerification {
    #[default]
    Verify,
    /// Anybody on the way may read and change sessions. For tests.
    Skip,
}

/// A Redis server.
#[derive(Debug)]
pub struct RedisStore {
    link: Box<Link>,
}

impl RedisStore {
    pub(crate) async fn connect(config: RedisConfig) -> Result<Self, StoreError> {
        let client = address::client(&config)?;
        let store = Self { link: Box::new(Link::new(client, config.idle_timeout)) };
        // Only the first command tells whether a server without password in the URL wants one.
        store.ping().await?;
        Ok(store)
    }

    pub(crate) async fn get(&self, key: &str) -> Result<Option<Vec<u8>>, StoreError> {
        self.run(cmd("GET").arg(key)).await
    }

    pub(crate) async fn set(&self, key: &str, value: &[u8], ttl: Option<Duration>) -> Result<(), StoreError> {
        let mut command = cmd("SET");
        expiring(command.arg(key).arg(value), ttl);
        self.run(&command).await
    }

    pub(crate) async fn replace(
        &self,
        key: &str,
        value: &[u8],
        ttl: Option<Duration>,
    ) -> Result<bool, StoreError> {
        let mut command = cmd("SET");
        expiring(command.arg(key).arg(value).arg("XX"), ttl);
        // The server answers OK, or nil where there was nothing.
        let done: Option<String> = self.run(&command).await?;
        Ok(done.is_some())
    }

    pub(crate) async fn delete(&self, key: &str) -> Result<(), StoreError> {
        self.run(cmd("DEL").arg(key)).await
    }

    pub(crate) async fn ping(&self) -> Result<(), StoreError> {
        self.run(&cmd("PING")).await
    }

    pub(crate) async fn try_lock(&self, key: &str, token: &str, ttl: Duration) -> Result<bool, StoreError> {
        self.run(script(OBTAIN, key, token).arg(milliseconds(ttl))).await
    }

    pub(crate) async fn extend_lock(
        &self,
        key: &str,
        token: &str,
        ttl: Duration,
    ) -> Result<bool, StoreError> {
        self.run(script(EXTEND, key, token).arg(milliseconds(ttl))).await
    }

    pub(crate) async fn unlock(&self, key: &str, token: &str) -> Result<bool, StoreError> {
        self.run(&script(RELEASE, key, token)).await
    }

    async fn run<T: FromRedisValue>(&self, command: &Cmd) -> Result<T, StoreError> {
        self.link.run(command).await
    }
}

fn expiring(set: &mut Cmd, ttl: Option<Duration>) {
    match ttl {
        None => {}
        Some(ttl) if ttl.subsec_nanos() == 0 && ttl.as_secs() > 0 => {
            set.arg("EX").arg(ttl.as_secs());
        }
        Some(ttl) => {
            set.arg("PX").arg(milliseconds(ttl));
        }
    }
}

fn script(text: &str, key: &str, token: &str) -> Cmd {
    let mut command = cmd("EVAL");
    command.arg(text).arg(1).arg(key).arg(token);
    command
}

/// Redis refuses a lifetime of zero, so the shortest is one millisecond.
fn milliseconds(ttl: Duration) -> u64 {
    u64::try_from(ttl.as_millis()).unwrap_or(u64::MAX).clamp(1, i64::MAX.unsigned_abs() / 4)
}

/// Taking a lock one already holds succeeds, so that repeating the command after a lost connection is harmless.
const OBTAIN: &str = "\
if redis.call('SET', KEYS[1], ARGV[1], 'NX', 'PX', ARGV[2]) then return 1 end \
if redis.call('GET', KEYS[1]) == ARGV[1] then return redis.call('PEXPIRE', KEYS[1], ARGV[2]) end \
return 0";
const EXTEND: &str = "\
if redis.call('GET', KEYS[1]) == ARGV[1] then return redis.call('PEXPIRE', KEYS[1], ARGV[2]) end \
return 0";
const RELEASE: &str = "\
if redis.call('GET', KEYS[1]) == ARGV[1] then return redis.call('DEL', KEYS[1]) end \
return 0";

#[cfg(test)]
mod tests;
