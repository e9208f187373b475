//! The keys of an issuer whose tokens we only verify: found by its metadata or at a written address, kept for two hours at
//! most, and fetched again in the background before they are too old.
//!
//! One fetch is under way at a time, in a task of its own, so that nobody who goes away ends it for the others. A token
//! with an unknown key causes one fetch in half a minute, however many come. A failing issuer does no harm for two hours
//! more; after that, and before the first success, nobody can tell what a token is worth.

use std::{
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use arc_swap::ArcSwapOption;
use aws_lc_rs::digest::{SHA256, digest};
use doorward_core::Timestamp;
use doorward_jose::KeySet;
use http::{HeaderMap, header};
use serde_json::Value;
use tokio::{sync::Semaphore, time::Instant};
use url::{Host, Url};

use crate::{
    discovery::{self, ConnectError},
    http::{Answer, HttpClient, HttpConfig, Limits},
    printable::printable,
};

/// Where keys come from, and for how long they count.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IssuerKeysConfig {
    /// As written; compared letter by letter with the metadata.
    pub issuer: String,
    /// The key set; `None`: where the metadata say.
    pub jwks_uri: Option<Url>,
    /// At most [`IssuerKeys::LONGEST_AGE`].
    pub max_age: Duration,
    pub http: HttpConfig,
}

/// Why there can be no keys.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidIssuerKeys {
    #[error(transparent)]
    Connect(#[from] ConnectError),
    #[error("keys that come in clear could be anybody's; write an https address")]
    InClear,
    #[error(
        "keys of {} seconds are too old; at most {} are possible",
        .0.as_secs(),
        IssuerKeys::LONGEST_AGE.as_secs()
    )]
    Age(Duration),
}

/// Nobody can tell whether a token is good.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the keys of the issuer {issuer} are not available: {reason}")]
pub struct KeysUnavailable {
    pub issuer: String,
    pub reason: String,
}

/// The keys of one issuer.
#[derive(Debug)]
pub struct IssuerKeys {
    config: IssuerKeysConfig,
    http: HttpClient,
    current: ArcSwapOption<Published>,
    /// One fetch at a time; who waits for the turn usually finds the work done.
    turn: Semaphore,
    tries: Mutex<Tries>,
    /// A refresh in the background is under way.
    refreshing: AtomicBool,
}

/// What an issuer published.
#[derive(Debug)]
pub struct Published {
    keys: KeySet,
    digest: [u8; 32],
    /// How many fetches succeeded so far.
    serial: u64,
    version: u64,
    fetched: Timestamp,
    fresh_until: Timestamp,
}

#[derive(Clone, Debug, Default)]
struct Tries {
    /// The end of the last fetch that failed, and why it did.
    failed: Option<(Timestamp, String)>,
    /// The last fetch for a key that nobody knew.
    for_unknown: Option<Timestamp>,
}

/// Why keys are fetched.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Reason {
    /// There are none, or they are old.
    Due,
    UnknownKey,
}

impl Published {
    pub const fn keys(&self) -> &KeySet {
        &self.keys
    }

    /// Another number for every other content: what was verified with keys of the same version still is.
    pub const fn version(&self) -> u64 {
        self.version
    }

    fn is_fresh(&self, now: Timestamp) -> bool {
        now < self.fresh_until && self.fetched.since(now) < CLOCK_STEP
    }

    /// Whether they may serve while the issuer gives no others.
    fn is_usable(&self, now: Timestamp) -> bool {
        now < self.fresh_until.saturating_add(LONGEST_STALE) && self.fetched.since(now) < CLOCK_STEP
    }

    /// Whether the last quarter of their life has begun.
    fn is_due(&self, now: Timestamp) -> bool {
        let life = self.fresh_until.since(self.fetched);
        self.fetched.saturating_add(life * 3 / 4) <= now
    }
}

/// A refresh in the background. It is over when this is dropped, also where its runtime ends first.
struct Refresh(Arc<IssuerKeys>);

impl Drop for Refresh {
    fn drop(&mut self) {
        self.0.refreshing.store(false, Ordering::Release);
    }
}

/// How long keys serve beyond their life if no others can be fetched.
const LONGEST_STALE: Duration = Duration::from_hours(2);
/// Keys live at least that long, whatever the issuer says: as long as it takes until they may be fetched again.
const SHORTEST_AGE: Duration = Duration::from_secs(30);
/// The pause between fetches that fail while there are keys, and between those for unknown keys.
const PAUSE: Duration = Duration::from_secs(30);
/// The pause between fetches that fail while there are no keys.
const FIRST_PAUSE: Duration = Duration::from_secs(1);
/// Requests that overlap differ by less; a clock that was set back, by more.
const CLOCK_STEP: Duration = Duration::from_mins(1);
/// What AWS API Gateway allows each document.
const LIMITS: Limits = Limits { time: Some(Duration::from_millis(1500)), bytes: 150_000 };

impl IssuerKeys {
    pub const LONGEST_AGE: Duration = Duration::from_hours(2);

    /// Fetches nothing yet.
    pub fn new(config: IssuerKeysConfig) -> Result<Arc<Self>, InvalidIssuerKeys> {
        let url = match &config.jwks_uri {
            Some(url) => url.clone(),
            None => discovery::document_url(&config.issuer)?,
        };
        if !is_safe(&url) {
            return Err(InvalidIssuerKeys::InClear);
        }
        if config.max_age > Self::LONGEST_AGE {
            return Err(InvalidIssuerKeys::Age(config.max_age));
        }
        Ok(Arc::new(Self {
            http: HttpClient::new(&config.http)?,
            config,
            current: ArcSwapOption::empty(),
            turn: Semaphore::new(1),
            tries: Mutex::default(),
            refreshing: AtomicBool::new(false),
        }))
    }

    pub fn issuer(&self) -> &str {
        &self.config.issuer
    }

    /// Keys that are fresh, without waiting for any. Begins to fetch others if they will soon be too old. Needs a tokio
    /// runtime.
    pub fn at_hand(self: &Arc<Self>, now: Timestamp) -> Option<Arc<Published>> {
        let current = self.current.load_full().filter(|current| current.is_fresh(now))?;
        if current.is_due(now)
            && self.may_try(Reason::Due, PAUSE, now)
            && !self.refreshing.swap(true, Ordering::AcqRel)
        {
            let (refresh, seen) = (Refresh(Arc::clone(self)), current.serial);
            tokio::spawn(async move {
                let _ = refresh.0.fetch(Reason::Due, seen, now).await;
            });
        }
        Some(current)
    }

    /// Keys, fetched if need be; old ones if there are no others to be had.
    pub async fn current(self: &Arc<Self>, now: Timestamp) -> Result<Arc<Published>, KeysUnavailable> {
        if let Some(current) = self.at_hand(now) {
            return Ok(current);
        }
        let seen = self.current.load_full();
        if let Some(old) = seen.as_ref().filter(|old| old.is_usable(now))
            && !self.may_try(Reason::Due, PAUSE, now)
        {
            return Ok(Arc::clone(old));
        }
        let serial = seen.as_ref().map_or(0, |seen| seen.serial);
        match (self.in_a_task(Reason::Due, serial, now).await, seen) {
            (Ok(fetched), _) => Ok(fetched),
            (Err(_), Some(old)) if old.is_usable(now) => Ok(old),
            (Err(reason), _) => Err(KeysUnavailable { issuer: self.config.issuer.clone(), reason }),
        }
    }

    /// Keys that are newer than those in which a key was not found; `None` if there are no others to be had now.
    pub async fn newer_than(self: &Arc<Self>, seen: &Published, now: Timestamp) -> Option<Arc<Published>> {
        // What was fetched after the request came is new enough for it.
        if seen.fetched >= now {
            return None;
        }
        self.in_a_task(Reason::UnknownKey, seen.serial, now).await.ok()
    }

    async fn in_a_task(
        self: &Arc<Self>,
        why: Reason,
        seen: u64,
        now: Timestamp,
    ) -> Result<Arc<Published>, String> {
        let this = Arc::clone(self);
        let task = tokio::spawn(async move { this.fetch(why, seen, now).await });
        task.await.map_err(|_| "the program is stopping".to_owned())?
    }

    /// Fetches keys, unless others did meanwhile, or it is too soon.
    async fn fetch(&self, why: Reason, seen: u64, now: Timestamp) -> Result<Arc<Published>, String> {
        let _turn = self.turn.acquire().await.map_err(|error| error.to_string())?;
        let current = self.current.load_full();
        if let Some(newer) = current.as_ref().filter(|current| current.serial > seen) {
            return Ok(Arc::clone(newer));
        }
        let pause = if current.is_some() { PAUSE } else { FIRST_PAUSE };
        if !self.may_try(why, pause, now) {
            return Err(self.last_failure());
        }
        if why == Reason::UnknownKey {
            self.tries().for_unknown = Some(now);
        }
        let begin = Instant::now();
        match self.ask().await {
            Ok(answer) => Ok(self.keep(answer, current.as_deref(), now)),
            Err(reason) => {
                tracing::warn!(issuer = self.config.issuer, reason, "could not fetch the issuer's keys");
                // Counted from the end: whoever waited for an issuer that hangs does not hang for it once more.
                self.tries().failed = Some((now.saturating_add(begin.elapsed()), reason.clone()));
                Err(reason)
            }
        }
    }

    fn keep(
        &self,
        (keys, answer): (KeySet, Answer),
        former: Option<&Published>,
        now: Timestamp,
    ) -> Arc<Published> {
        let mut hash = [0; 32];
        hash.copy_from_slice(digest(&SHA256, &answer.body).as_ref());
        let (serial, version) = match former {
            None => (1, 1),
            Some(former) if former.digest == hash => (former.serial + 1, former.version),
            Some(former) => (former.serial + 1, former.version + 1),
        };
        let age = max_age(&answer.headers).map_or(self.config.max_age, |age| age.min(self.config.max_age));
        let fresh_until = now.saturating_add(age.max(SHORTEST_AGE));
        tracing::debug!(issuer = self.config.issuer, keys = keys.len(), version, "fetched the issuer's keys");
        let published =
            Arc::new(Published { keys, digest: hash, serial, version, fetched: now, fresh_until });
        self.current.store(Some(Arc::clone(&published)));
        self.tries().failed = None;
        published
    }

    /// Whether the last try of its kind was long enough ago.
    fn may_try(&self, why: Reason, pause: Duration, now: Timestamp) -> bool {
        let tries = self.tries();
        let is_over = |last: Timestamp, pause| now.since(last) >= pause || last.since(now) > CLOCK_STEP;
        match why {
            Reason::Due => tries.failed.as_ref().is_none_or(|(last, _)| is_over(*last, pause)),
            Reason::UnknownKey => tries.for_unknown.is_none_or(|last| is_over(last, PAUSE)),
        }
    }

    fn last_failure(&self) -> String {
        let last = self.tries().failed.as_ref().map(|(_, reason)| reason.clone());
        last.unwrap_or_else(|| "they were fetched just now".to_owned())
    }

    fn tries(&self) -> MutexGuard<'_, Tries> {
        self.tries.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn ask(&self) -> Result<(KeySet, Answer), String> {
        let url = match &self.config.jwks_uri {
            Some(url) => url.clone(),
            None => self.discover().await?,
        };
        let answer = self.document(&url).await?;
        let keys = KeySet::from_jwks(&answer.body).map_err(|error| error.to_string())?;
        Ok((keys, answer))
    }

    /// Where the metadata say that the keys are (`OpenID Connect` Discovery section 4.3).
    async fn discover(&self) -> Result<Url, String> {
        let url = discovery::document_url(&self.config.issuer).map_err(|error| error.to_string())?;
        let answer = self.document(&url).await?;
        let Ok(Value::Object(metadata)) = serde_json::from_slice(&answer.body) else {
            return Err("the metadata are not a JSON object".to_owned());
        };
        let text = |name: &str| metadata.get(name).and_then(Value::as_str).unwrap_or_default();
        let issuer = text("issuer");
        if issuer != self.config.issuer {
            return Err(format!("the metadata name the issuer {:?}", printable(issuer, 300)));
        }
        let keys = Url::parse(text("jwks_uri")).map_err(|_| "the metadata name no jwks_uri".to_owned())?;
        // Somebody far away does not send us to our own loopback interface.
        if keys.scheme() != "https" && !(is_loopback(&url) && is_safe(&keys)) {
            return Err("the jwks_uri in the metadata is not an https address".to_owned());
        }
        Ok(keys)
    }

    async fn document(&self, url: &Url) -> Result<Answer, String> {
        let answer = self.http.document_within(url, LIMITS).await.map_err(|error| error.to_string())?;
        match answer.status.as_u16() {
            200 => Ok(answer),
            status => Err(format!("{} was answered with status {status}", printable(url.path(), 300))),
        }
    }
}

/// How long an answer may be kept, by its own words (RFC 9111 section 5.2.2); `None` if it has none.
fn max_age(headers: &HeaderMap) -> Option<Duration> {
    let lines = headers.get_all(header::CACHE_CONTROL).iter().filter_map(|line| line.to_str().ok());
    let mut found = None;
    for directive in lines.flat_map(|line| line.split(',')) {
        let (name, value) = directive.split_once('=').unwrap_or((directive, ""));
        match name.trim().to_ascii_lowercase().as_str() {
            "no-store" | "no-cache" => return Some(Duration::ZERO),
            "max-age" => found = value.trim().trim_matches('"').parse().ok().map(Duration::from_secs),
            _ => {}
        }
    }
    let age = headers.get(header::AGE).and_then(|age| age.to_str().ok()?.trim().parse().ok());
    found.map(|found| found.saturating_sub(age.map_or(Duration::ZERO, Duration::from_secs)))
}

/// Whether nobody on the way can read or change what goes there: https, or this very machine.
pub fn is_safe(url: &Url) -> bool {
    url.scheme() == "https" || (url.scheme() == "http" && is_loopback(url))
}

fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(Host::Domain(name)) => name == "localhost",
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        None => false,
    }
}

#[cfg(test)]
mod tests;
