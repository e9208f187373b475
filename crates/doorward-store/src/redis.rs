//! Redis as store, over the `redis` crate: one server, the master that sentinels name, or a cluster.
//!
//! One multiplexed connection, to each server that is needed, serves everybody. It is opened, and its driver lives, on
//! the runtime `connect` was called on, whichever runtime a command comes from. A lost connection is noticed by the
//! next command, which opens a new one and is sent again: every command here may be repeated without harm.

mod failure;
mod link;
mod records;
mod sentinel;
mod target;
mod tls;
mod url;

use std::time::Duration;

use ::redis::{Cmd, FromRedisValue, cmd};
use doorward_core::SecretString;

use self::link::Link;
pub use self::records::{InvalidRecordsPrefix, RecordsPrefix, RedisRecords};
use self::target::{At, Target};
pub use self::tls::{Authorities, InvalidAuthorities, RedisTls, TlsVerification};
pub use self::url::{InvalidRedisUrl, RedisUrl};
use crate::{Held, Listed, MAX_LISTED, Replaced, StoreError};

/// How to reach Redis.
#[derive(Clone, Debug, PartialEq)]
pub struct RedisConfig {
    pub servers: RedisServers,
    /// Overrides the user in the URL that was written last.
    pub username: Option<String>,
    /// Overrides the password in that URL.
    pub password: Option<SecretString>,
    /// A connection unused for longer than this is not trusted any more and is replaced. Overrides that URL too.
    pub idle_timeout: Option<Duration>,
    pub tls: RedisTls,
}

/// Which servers there are.
#[derive(Clone, Debug, PartialEq)]
pub enum RedisServers {
    Single(RedisUrl),
    /// The sentinels know where the master is. User and TLS settings are for the servers they name.
    Sentinel {
        urls: Vec<RedisUrl>,
        master: String,
        /// For the sentinels themselves.
        password: Option<SecretString>,
    },
    /// Some servers of a cluster, which know the others. They are reached by TCP only.
    Cluster(Vec<RedisUrl>),
}

impl RedisServers {
    /// The URL whose settings count for all.
    fn last_url(&self) -> Option<&RedisUrl> {
        match self {
            Self::Single(url) => Some(url),
            Self::Sentinel { urls, .. } | Self::Cluster(urls) => urls.last(),
        }
    }
}

impl RedisConfig {
    /// These servers, with nothing overridden.
    pub fn new(servers: RedisServers) -> Self {
        Self { servers, username: None, password: None, idle_timeout: None, tls: RedisTls::default() }
    }
}

/// Redis.
#[derive(Debug)]
pub struct RedisStore {
    link: Box<Link>,
}

impl RedisStore {
    pub(crate) async fn connect(config: RedisConfig) -> Result<Self, StoreError> {
        let idle_timeout = config.idle_timeout.or_else(|| config.servers.last_url()?.idle_timeout);
        let store = Self { link: Box::new(Link::new(Target::new(&config)?, idle_timeout)) };
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

    pub(crate) async fn replace_under(
        &self,
        lock: Held<'_>,
        key: &str,
        value: &[u8],
        ttl: Option<Duration>,
    ) -> Result<Replaced, StoreError> {
        if self.link.target().is_divided() {
            return self.replace_in_two_steps(lock, key, value, ttl).await;
        }
        let mut command = cmd("EVAL");
        command.arg(REPLACE).arg(2).arg(lock.key).arg(key).arg(lock.token);
        expiring(command.arg(value), ttl);
        match self.run::<u8>(&command).await? {
            0 => Ok(Replaced::LockLost),
            1 => Ok(Replaced::NothingThere),
            _ => Ok(Replaced::Done),
        }
    }

    /// Lock and value have names of the reference's making and thus may lie on different servers of a cluster, where
    /// no script reaches both. So the lock is looked at first, and prolonged, which leaves the value much more time
    /// to be written than a command may take. Only a command that is held up on its way for longer than that, after
    /// this side has given it up, could still overwrite what a later holder stored.
    async fn replace_in_two_steps(
        &self,
        lock: Held<'_>,
        key: &str,
        value: &[u8],
        ttl: Option<Duration>,
    ) -> Result<Replaced, StoreError> {
        if !self.extend_lock(lock.key, lock.token, lock.ttl).await? {
            return Ok(Replaced::LockLost);
        }
        let mut command = cmd("SET");
        expiring(command.arg(key).arg(value).arg("XX"), ttl);
        // The server answers OK, or nil where there was nothing.
        let done: Option<String> = self.run(&command).await?;
        Ok(if done.is_some() { Replaced::Done } else { Replaced::NothingThere })
    }

    pub(crate) async fn get_many(&self, keys: &[String]) -> Result<Vec<Option<Vec<u8>>>, StoreError> {
        self.run(cmd("MGET").arg(keys)).await
    }

    pub(crate) async fn list_add(
        &self,
        key: &str,
        member: &Listed,
        now: i64,
        ttl: Duration,
    ) -> Result<(), StoreError> {
        let mut command = cmd("EVAL");
        command.arg(LIST_ADD).arg(1).arg(key).arg(member.expires).arg(&member.member);
        command.arg(now).arg(MAX_LISTED).arg(milliseconds(ttl));
        self.run(&command).await
    }

    pub(crate) async fn list(&self, key: &str, now: i64) -> Result<Vec<Listed>, StoreError> {
        let mut command = cmd("ZRANGEBYSCORE");
        command.arg(key).arg(format!("({now}")).arg("+inf").arg("WITHSCORES");
        let pairs: Vec<(String, String)> = self.run(&command).await?;
        let read = |(member, score): (String, String)| {
            // Scores are floating-point numbers; ours are whole.
            let whole = score.split('.').next()?.parse().ok()?;
            Some(Listed { member, expires: whole })
        };
        Ok(pairs.into_iter().filter_map(read).collect())
    }

    pub(crate) async fn delete(&self, key: &str) -> Result<(), StoreError> {
        self.run(cmd("DEL").arg(key)).await
    }

    pub(crate) async fn ping(&self) -> Result<(), StoreError> {
        // Of a cluster one server is asked, whichever, as the reference does: while one of them is being replaced the
        // others keep sessions all the same.
        self.link.run(&cmd("PING"), At::AnyServer).await
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
        self.link.run(command, At::ServerOfKey).await
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
/// 0: the lock is lost; 1: there is nothing to replace; 2: done.
const REPLACE: &str = "\
if redis.call('GET', KEYS[1]) ~= ARGV[1] then return 0 end \
if redis.call('SET', KEYS[2], ARGV[2], 'XX', unpack(ARGV, 3)) then return 2 end \
return 1";
const LIST_ADD: &str = "\
redis.call('ZADD', KEYS[1], ARGV[1], ARGV[2]) \
redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', ARGV[3]) \
redis.call('ZREMRANGEBYRANK', KEYS[1], 0, -1 - ARGV[4]) \
redis.call('PEXPIRE', KEYS[1], ARGV[5]) \
return redis.status_reply('OK')";
const EXTEND: &str = "\
if redis.call('GET', KEYS[1]) == ARGV[1] then return redis.call('PEXPIRE', KEYS[1], ARGV[2]) end \
return 0";
const RELEASE: &str = "\
if redis.call('GET', KEYS[1]) == ARGV[1] then return redis.call('DEL', KEYS[1]) end \
return 0";

#[cfg(test)]
mod tests;
