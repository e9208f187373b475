//! Records in Redis: one script makes each commit, so that conditions and changes are one step for everybody.
//!
//! All keys share a hash tag and thus lie on one server of a cluster, where a script reaches them together. A record is
//! its expiry and its value. Redis removes it by itself some time after its expiry, but what counts is the `now` of who
//! asks. Two sorted sets know the names: one by name, for lists, one by expiry, from which each commit sweeps some.
//!
//! A command that is repeated after a lost connection finds the mark of its first time and changes nothing again.

use std::str::FromStr;
use std::time::Duration;

use ::redis::cmd;
use doorward_core::Timestamp;

use super::link::Link;
use super::target::{At, Target};
use super::{RedisConfig, milliseconds};
use crate::StoreError;
use crate::records::{Change, Committed, Transaction};

/// Records in Redis.
#[derive(Debug)]
pub struct RedisRecords {
    link: Box<Link>,
    /// With the braces of a hash tag, which cover all of it but the colon.
    prefix: String,
}

/// What the names of all keys of one installation begin with, so that several can share a server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RecordsPrefix(String);

/// Why a text is of no use as prefix.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a prefix is 1 to 64 letters, digits, '.', '_' or '-'")]
pub struct InvalidRecordsPrefix;

impl Default for RecordsPrefix {
    fn default() -> Self {
        Self("doorward".to_owned())
    }
}

impl FromStr for RecordsPrefix {
    type Err = InvalidRecordsPrefix;

    fn from_str(text: &str) -> Result<Self, InvalidRecordsPrefix> {
        let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"._-".contains(&byte);
        let is_usable = (1..=64).contains(&text.len()) && text.bytes().all(is_plain);
        if is_usable { Ok(Self(text.to_owned())) } else { Err(InvalidRecordsPrefix) }
    }
}

impl RedisRecords {
    pub(crate) async fn connect(config: &RedisConfig, prefix: &RecordsPrefix) -> Result<Self, StoreError> {
        let idle_timeout = config.idle_timeout.or_else(|| config.servers.last_url()?.idle_timeout);
        let target = Target::new(config).map_err(blame)?;
        let link = Box::new(Link::new(target, idle_timeout));
        let records = Self { link, prefix: format!("{{{}}}:", prefix.0) };
        records.ping().await?;
        records.warn_of_forgetfulness().await;
        Ok(records)
    }

    pub(crate) async fn get_many(
        &self,
        keys: &[&str],
        now: Timestamp,
    ) -> Result<Vec<Option<Vec<u8>>>, StoreError> {
        if keys.is_empty() {
            return Ok(Vec::new());
        }
        let mut command = cmd("MGET");
        for key in keys {
            command.arg(self.record(key));
        }
        let found: Vec<Option<Vec<u8>>> = self.run(&command).await?;
        let now = digits(now);
        Ok(found.into_iter().map(|record| alive(&record?, &now)).collect())
    }

    pub(crate) async fn list(
        &self,
        prefix: &str,
        now: Timestamp,
    ) -> Result<Vec<(String, Vec<u8>)>, StoreError> {
        let (mut from, to) = bounds(prefix);
        let now = digits(now);
        let mut found = Vec::new();
        // In parts, because a script keeps everybody else waiting.
        loop {
            let mut command = cmd("EVAL");
            command.arg(LIST).arg(2).arg(self.names()).arg(self.expiries());
            command.arg(self.record("")).arg(&from).arg(&to).arg(PART);
            let (last, part): (Vec<u8>, Part) = self.run(&command).await?;
            for (name, record) in part {
                let name = String::from_utf8(name).map_err(|_| StoreError::Inconsistent)?;
                found.extend(alive(&record, &now).map(|value| (name, value)));
            }
            if last.is_empty() {
                return Ok(found);
            }
            from = [b"(", last.as_slice()].concat();
        }
    }

    pub(crate) async fn commit(
        &self,
        transaction: &Transaction,
        now: Timestamp,
    ) -> Result<Committed, StoreError> {
        let (conditions, changes) = (&transaction.conditions, &transaction.changes);
        let mut command = cmd("EVAL");
        command.arg(COMMIT).arg(3 + conditions.len() + changes.len());
        command.arg(self.names()).arg(self.expiries()).arg(self.mark());
        for key in conditions.keys().chain(changes.keys()) {
            command.arg(self.record(key));
        }
        command.arg(self.record("")).arg(digits(now)).arg(now.seconds).arg(SWEEP + 2 * changes.len());
        command.arg(conditions.len());
        for wanted in conditions.values() {
            command.arg(u8::from(wanted.is_some())).arg(wanted.as_deref().unwrap_or_default());
        }
        for change in changes.values() {
            match change {
                Change::Delete => command.arg("").arg("").arg(""),
                Change::Put { value, expires: None } => {
                    command.arg([NEVER.as_bytes(), value].concat()).arg("").arg("")
                }
                Change::Put { value, expires: Some(at) } => {
                    // The clock of the server and those of others may differ.
                    let lifetime = at.since(now).saturating_add(SLACK);
                    command.arg([digits(*at).as_bytes(), value].concat());
                    command.arg(milliseconds(lifetime)).arg(at.seconds)
                }
            };
        }
        let done: bool = self.run(&command).await?;
        Ok(if done { Committed::Done } else { Committed::Conflict })
    }

    pub(crate) async fn ping(&self) -> Result<(), StoreError> {
        // All records lie with one server, so that one is asked.
        self.run::<u64>(cmd("EXISTS").arg(self.names())).await.map(|_| ())
    }

    async fn run<T: ::redis::FromRedisValue>(&self, command: &::redis::Cmd) -> Result<T, StoreError> {
        self.link.run(command, At::ServerOfKey).await.map_err(blame)
    }

    /// Not everybody may ask for that.
    async fn warn_of_forgetfulness(&self) {
        if let Ok(said) = self.link.run::<String>(&cmd("INFO"), At::AnyServer).await {
            warnings(&said).for_each(|warning| tracing::warn!("{warning}"));
        }
    }

    fn record(&self, key: &str) -> String {
        format!("{}r:{key}", self.prefix)
    }

    fn names(&self) -> String {
        format!("{}names", self.prefix)
    }

    fn expiries(&self) -> String {
        format!("{}expiries", self.prefix)
    }

    /// A name that no other commit has.
    fn mark(&self) -> String {
        format!("{}done:{}{}", self.prefix, crate::nonce(), crate::nonce())
    }
}

/// Names and records.
type Part = Vec<(Vec<u8>, Vec<u8>)>;

/// The options at fault have other names here than for sessions.
fn blame(error: StoreError) -> StoreError {
    const OPTION: &str = "authServer.store.url";
    match error {
        StoreError::Misconfigured { reason, .. } => StoreError::Misconfigured { option: OPTION, reason },
        StoreError::CredentialsRefused { code, .. } => {
            StoreError::CredentialsRefused { options: OPTION, code }
        }
        other => other,
    }
}

/// Redis may be set up to lose what it has answered for; `info` is what it says of itself.
fn warnings(info: &str) -> impl Iterator<Item = &'static str> {
    let says = |line: &str| info.lines().any(|said| said == line);
    let has_known_policy = info.contains("maxmemory_policy:");
    let drops = has_known_policy && !says("maxmemory_policy:noeviction") && !says("maxmemory:0");
    let warnings = [
        drops.then_some(
            "Redis drops records when its memory is full, also what tells that a token was taken back: set its \
             maxmemory-policy to noeviction",
        ),
        says("aof_enabled:0").then_some(
            "Redis forgets the last changes when it crashes, also that a token was taken back: set its appendonly to yes",
        ),
    ];
    warnings.into_iter().flatten()
}

/// Names that begin with `prefix`, as a range of a sorted set.
fn bounds(prefix: &str) -> (Vec<u8>, Vec<u8>) {
    let mut end = prefix.as_bytes().to_vec();
    match end.pop() {
        None => (b"-".to_vec(), b"+".to_vec()),
        // No text ends with 255.
        Some(last) => {
            end.push(last.saturating_add(1));
            ([b"[", prefix.as_bytes()].concat(), [b"(", end.as_slice()].concat())
        }
    }
}

/// A time as digits that sort as times do, in any language. What is far beyond comes just before never.
fn digits(time: Timestamp) -> String {
    match u64::try_from(time.seconds) {
        Ok(seconds) if seconds < 999_999_999_999 => format!("{seconds:012}{:09}", time.nanos),
        Ok(_) => "999999999999000000000".to_owned(),
        Err(_) => format!("{:021}", 0),
    }
}

/// The value of a record that has not expired.
fn alive(record: &[u8], now: &str) -> Option<Vec<u8>> {
    let (expiry, value) = record.split_at_checked(NEVER.len())?;
    (expiry > now.as_bytes()).then(|| value.to_vec())
}

const NEVER: &str = "999999999999999999999";
const COMMIT: &str = include_str!("commit.lua");
const LIST: &str = include_str!("list.lua");
/// How long a record outlives its expiry in Redis if nobody sweeps it.
const SLACK: Duration = Duration::from_mins(5);
/// How many expired records are swept by a commit at most, besides what it makes room for.
const SWEEP: usize = 64;
/// How many names are read at a time.
const PART: usize = 500;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_prefix_is_plain() {
        for text in ["", "a b", "a}b", "{a", "a:b", "ä", &"a".repeat(65)] {
            assert_eq!(text.parse::<RecordsPrefix>(), Err(InvalidRecordsPrefix), "{text}");
        }
        assert_eq!("doorward".parse(), Ok(RecordsPrefix::default()));
        "a.B_0-9".parse::<RecordsPrefix>().unwrap();
    }

    #[test]
    fn times_sort_as_digits_and_none_is_never() {
        let at = |seconds, nanos| Timestamp { seconds, nanos };
        let times = [at(0, 0), at(0, 1), at(1, 0), at(9, 999_999_999), at(10, 0), at(1_800_000_000, 5)];
        let digits: Vec<_> = times.into_iter().chain([at(i64::MAX, 999_999_999)]).map(digits).collect();
        assert!(digits.is_sorted() && digits.iter().all(|digits| digits.len() == NEVER.len()), "{digits:?}");
        assert!(digits.iter().all(|digits| digits.as_str() < NEVER));
        assert_eq!(super::digits(at(-5, 3)), digits[0]);
    }

    #[test]
    fn who_forgets_is_warned_of() {
        let table = [
            ("", 0),
            ("maxmemory:0\r\nmaxmemory_policy:allkeys-lru\r\naof_enabled:1\r\n", 0),
            ("maxmemory:5\r\nmaxmemory_policy:noeviction\r\naof_enabled:1\r\n", 0),
            ("maxmemory:5\r\nmaxmemory_policy:volatile-ttl\r\naof_enabled:1\r\n", 1),
            ("maxmemory:5\r\nmaxmemory_policy:allkeys-lru\r\naof_enabled:0\r\n", 2),
        ];
        for (info, expected) in table {
            assert_eq!(warnings(info).count(), expected, "{info}");
        }
    }
}
