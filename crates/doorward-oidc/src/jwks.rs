//! The provider's keys: fetched when first needed, kept, and fetched again when a token names a key
//! we do not have, but never more often than the interval allows, however many such tokens come.
//! A failing fetch keeps the old keys.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use arc_swap::ArcSwap;
use doorward_jose::{Algorithm, KeySet, VerifiedClaims, verify};
use tokio::{sync::Semaphore, time::Instant};
use url::Url;

use crate::{http::HttpClient, verify::IdTokenError};

/// Where keys come from at the moment of asking.
#[derive(Clone, Copy, Debug)]
pub(crate) struct KeyFetch<'a> {
    pub(crate) http: &'a HttpClient,
    /// Nothing if the keys are fixed.
    pub(crate) url: Option<&'a Url>,
}

#[derive(Debug)]
pub(crate) struct KeyCache {
    current: ArcSwap<Snapshot>,
    /// One fetch at a time; who waits for the turn usually finds the work done.
    turn: Semaphore,
    last_try: Mutex<Option<Instant>>,
    interval: Duration,
}

#[derive(Debug)]
struct Snapshot {
    keys: KeySet,
    /// How many fetches succeeded so far.
    version: u64,
}

enum Renewal {
    Newer(Arc<Snapshot>),
    TooSoon,
    Failed(String),
}

impl KeyCache {
    /// A cache for keys that are fetched at most once per `interval`, not counting the first time.
    pub(crate) fn fetched(interval: Duration) -> Self {
        Self::new(KeySet::default(), interval)
    }

    /// Keys that never change.
    pub(crate) fn fixed(keys: KeySet) -> Self {
        Self::new(keys, Duration::ZERO)
    }

    fn new(keys: KeySet, interval: Duration) -> Self {
        Self {
            current: ArcSwap::from_pointee(Snapshot { keys, version: 0 }),
            turn: Semaphore::new(1),
            last_try: Mutex::new(None),
            interval,
        }
    }

    /// Verifies form, algorithm and signature of `token`, with fresh keys if the known ones do not fit.
    pub(crate) async fn verify(
        &self,
        token: &str,
        allowed: &[Algorithm],
        fetch: KeyFetch<'_>,
    ) -> Result<VerifiedClaims, IdTokenError> {
        let seen = self.current.load_full();
        let error = match verify(token, &seen.keys, allowed) {
            Ok(verified) => return Ok(verified),
            Err(error) => error,
        };
        let Some(url) = fetch.url.filter(|_| error.may_be_stale_keys()) else {
            return Err(error.into());
        };
        match self.newer_than(&seen, fetch.http, url).await {
            Renewal::Newer(fresh) => Ok(verify(token, &fresh.keys, allowed)?),
            Renewal::Failed(reason) if seen.version == 0 => Err(IdTokenError::KeysUnavailable { reason }),
            Renewal::TooSoon if seen.version == 0 => {
                Err(IdTokenError::KeysUnavailable { reason: "the last attempt has just failed".to_owned() })
            }
            Renewal::Failed(_) | Renewal::TooSoon => Err(error.into()),
        }
    }

    /// Fetches again if keys were ever fetched: what the provider has withdrawn shall not live on here.
    pub(crate) async fn renew(&self, fetch: KeyFetch<'_>) {
        let seen = self.current.load_full();
        if let Some(url) = fetch.url.filter(|_| seen.version > 0) {
            let Ok(_turn) = self.turn.acquire().await else { return };
            let _ = self.fetch(&seen, fetch.http, url).await;
        }
    }

    async fn newer_than(&self, seen: &Snapshot, http: &HttpClient, url: &Url) -> Renewal {
        let Ok(_turn) = self.turn.acquire().await else { return Renewal::TooSoon };
        let current = self.current.load_full();
        if current.version > seen.version {
            return Renewal::Newer(current);
        }
        if !self.may_try(current.version) {
            return Renewal::TooSoon;
        }
        self.fetch(&current, http, url).await
    }

    /// Whether a fetch is due, and if so notes it as tried. The very first success is not counted, so
    /// that a key rotated soon after the start is found at once.
    fn may_try(&self, version: u64) -> bool {
        let interval = if version == 0 { self.interval.min(FIRST_FETCH_INTERVAL) } else { self.interval };
        let mut last = self.last_try.lock().unwrap_or_else(PoisonError::into_inner);
        let now = Instant::now();
        if last.is_some_and(|last| now.duration_since(last) < interval) {
            return false;
        }
        *last = Some(now);
        true
    }

    async fn fetch(&self, current: &Snapshot, http: &HttpClient, url: &Url) -> Renewal {
        match fetch_keys(http, url).await {
            Ok(keys) => {
                tracing::debug!(keys = keys.len(), "fetched the provider's keys");
                if current.version == 0 {
                    *self.last_try.lock().unwrap_or_else(PoisonError::into_inner) = None;
                }
                let fresh = Arc::new(Snapshot { keys, version: current.version + 1 });
                self.current.store(Arc::clone(&fresh));
                Renewal::Newer(fresh)
            }
            Err(reason) => {
                tracing::warn!(%url, reason, "could not fetch the provider's keys");
                // Counted from the end: whoever waited for a provider that hangs does not hang for it once more.
                *self.last_try.lock().unwrap_or_else(PoisonError::into_inner) = Some(Instant::now());
                Renewal::Failed(reason)
            }
        }
    }
}

/// How often to try while no keys could be fetched yet.
const FIRST_FETCH_INTERVAL: Duration = Duration::from_secs(1);

async fn fetch_keys(http: &HttpClient, url: &Url) -> Result<KeySet, String> {
    let answer = http.document(url, None).await.map_err(|error| error.to_string())?;
    if !answer.status.is_success() {
        return Err(format!("the provider answered with status {}", answer.status.as_u16()));
    }
    KeySet::from_jwks(&answer.body).map_err(|error| error.to_string())
}
