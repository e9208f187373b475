//! The keys that sign: made when they are first asked for, sealed in the store, and shared by all instances. There are
//! two sets, so that nothing signed for one purpose counts as anything else.
//!
//! A key is published before it signs, for as long as others may keep an old list of keys; and published after it signed
//! last, until what it signed is over. Which one signs follows from the time alone, so that instances agree.

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use doorward_core::{SecretString, Timestamp};
use doorward_jose::{
    Algorithm, Claims, KeySet, SigningError, SigningKey, VerifiedClaims, VerifyError, verify,
};
use doorward_store::{Committed, Transaction};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::{
    Accounts, NoRandomness, Unavailable, Unsealable, at,
    records::{ATTEMPTS, Read, encode, key},
    seconds,
    secrets::SEALED_MEND,
};

/// How long others may go on with an old list of keys.
const LONGEST_CACHED: Duration = Duration::from_hours(2);
/// How old our own list of keys may be.
const RELOAD_AFTER: Duration = Duration::from_mins(1);
/// How old our own list may become while the store cannot be asked.
const MOST_STALE: Duration = Duration::from_hours(1);
/// No ID token lives longer.
const LEAST_PUBLISHED: Duration = Duration::from_hours(1);

/// Why there are no keys.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum KeysError {
    #[error("the signing keys cannot be opened: {0}: {SEALED_MEND}")]
    Sealed(#[from] Unsealable),
    #[error("a signing key: {0}")]
    Key(#[from] SigningError),
    #[error(transparent)]
    Unavailable(#[from] Unavailable),
}

/// Why nothing was signed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SignError {
    #[error("there is no signing key for {0}")]
    NoKey(Algorithm),
    #[error("what is to be signed would outlive its key: `exp` is missing or too late")]
    TooLong,
    #[error("{0}")]
    Key(#[from] SigningError),
}

/// Which keys.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum KeySetName {
    /// For clients of the OAuth server: ID tokens and signed access tokens.
    Server,
    /// For applications behind the gateway.
    Gateway,
}

impl KeySetName {
    pub const ALL: [Self; 2] = [Self::Server, Self::Gateway];

    /// Where the set is kept.
    const fn record(self) -> &'static str {
        match self {
            Self::Server => key::SIGNING_KEYS,
            Self::Gateway => key::GATEWAY_SIGNING_KEYS,
        }
    }

    /// Binds a sealed key to its place: one that is copied to the other set does not open there.
    fn purpose(self, algorithm: &str, kid: &str) -> String {
        match self {
            Self::Server => format!("doorward signing key 1 {algorithm} {kid}"),
            Self::Gateway => format!("doorward gateway signing key 1 {algorithm} {kid}"),
        }
    }
}

/// What a rotation brought.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rotation {
    /// New keys are published; they sign from then on.
    Published { signs_from: Timestamp },
    /// New keys are published already; nothing was changed.
    UnderWay { signs_from: Timestamp },
}

/// The keys, as they were loaded last.
#[derive(Debug)]
pub struct KeyRing {
    keys: Vec<RingKey>,
    longest_signed: i64,
}

#[derive(Debug)]
struct RingKey {
    stored: StoredKey,
    key: SigningKey,
    /// Only this key, to verify with.
    public: KeySet,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct StoredKey {
    kid: String,
    alg: String,
    /// PKCS #8, sealed.
    sealed: String,
    signs_from: i64,
    /// When it is published no more; `None`: it is not known yet, no other follows.
    ends: Option<i64>,
}

/// The rings as they were loaded last.
#[derive(Debug, Default)]
pub(crate) struct KeyCaches {
    server: Mutex<Option<KeyCache>>,
    gateway: Mutex<Option<KeyCache>>,
}

/// A ring, and when it was loaded.
#[derive(Debug)]
struct KeyCache {
    loaded: Timestamp,
    ring: Arc<KeyRing>,
}

impl KeyCaches {
    fn of(&self, set: KeySetName) -> MutexGuard<'_, Option<KeyCache>> {
        let cache = match set {
            KeySetName::Server => &self.server,
            KeySetName::Gateway => &self.gateway,
        };
        cache.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl KeyRing {
    /// Signs claims with the key that signs now. `claims` need an `exp` that is not later than the rules allow.
    pub fn sign(
        &self,
        algorithm: Algorithm,
        typ: &str,
        claims: &Claims,
        now: Timestamp,
    ) -> Result<SecretString, SignError> {
        let latest = now.seconds.saturating_add(self.longest_signed);
        if claims.get("exp").and_then(Value::as_i64).is_none_or(|exp| latest < exp) {
            return Err(SignError::TooLong);
        }
        self.sign_answer(algorithm, typ, claims, now)
    }

    /// Signs an answer that its reader believes at once and never again, and that therefore needs no `exp`.
    pub fn sign_answer(
        &self,
        algorithm: Algorithm,
        typ: &str,
        claims: &Claims,
        now: Timestamp,
    ) -> Result<SecretString, SignError> {
        let key = self.signing_key(algorithm, now).ok_or(SignError::NoKey(algorithm))?;
        Ok(key.sign(typ, claims)?)
    }

    /// What is published: a JWK Set (RFC 7517 section 5).
    pub fn jwks(&self, now: Timestamp) -> Value {
        let keys: Vec<&Value> = self.published(now).map(|own| own.key.public_jwk()).collect();
        json!({ "keys": keys })
    }

    /// Verifies what one of these keys signed. What the claims say is still to be checked.
    pub fn verify(&self, token: &str, now: Timestamp) -> Result<VerifiedClaims, VerifyError> {
        let keys = self.published(now).fold(KeySet::default(), |all, own| all.joined(own.public.clone()));
        verify(token, &keys, &SigningKey::ALGORITHMS)
    }

    /// What can be signed with now.
    pub fn algorithms(&self, now: Timestamp) -> Vec<Algorithm> {
        let signs = |algorithm: &Algorithm| self.signing_key(*algorithm, now).is_some();
        SigningKey::ALGORITHMS.into_iter().filter(signs).collect()
    }

    fn published(&self, now: Timestamp) -> impl Iterator<Item = &RingKey> {
        self.keys.iter().filter(move |own| !own.stored.is_over(now))
    }

    /// The youngest of those that may sign. The very first was made by a clock that may be ahead of ours: nobody has to
    /// wait for it.
    fn signing_key(&self, algorithm: Algorithm, now: Timestamp) -> Option<&SigningKey> {
        let fit = || self.keys.iter().filter(move |own| own.key.algorithm() == algorithm);
        let youngest =
            fit().filter(|own| own.stored.signs_from <= now.seconds).max_by_key(|own| own.stored.signs_from);
        youngest.or_else(|| fit().min_by_key(|own| own.stored.signs_from)).map(|own| &own.key)
    }
}

impl Accounts {
    /// The keys of the OAuth server: [`Self::keys_of`].
    pub async fn keys(&self, now: Timestamp) -> Result<Arc<KeyRing>, KeysError> {
        self.keys_of(KeySetName::Server, now).await
    }

    /// The signing keys of a set, made if there are none; at most a minute old.
    pub async fn keys_of(&self, set: KeySetName, now: Timestamp) -> Result<Arc<KeyRing>, KeysError> {
        let cached = self.cached(set, RELOAD_AFTER, now);
        if let Some(ring) = cached {
            return Ok(ring);
        }
        let ring = match self.load_or_make(set, now).await {
            Ok(stored) => self.open(set, stored)?,
            Err(KeysError::Unavailable(why)) => {
                return self.cached(set, MOST_STALE, now).ok_or(KeysError::Unavailable(why));
            }
            Err(why) => return Err(why),
        };
        Ok(self.cache(set, ring, now))
    }

    /// Whether keys of the set were ever made.
    pub async fn has_keys(&self, set: KeySetName, now: Timestamp) -> Result<bool, Unavailable> {
        Ok(self.records.get(set.record(), now).await?.is_some())
    }

    /// Publishes a new key of the set for each algorithm, which signs once everybody can know it.
    pub async fn rotate_keys(&self, set: KeySetName, now: Timestamp) -> Result<Rotation, KeysError> {
        let record = set.record();
        for _ in 0..ATTEMPTS {
            self.load_or_make(set, now).await?;
            let Some(read) = self.read::<Vec<StoredKey>>(record, now).await? else { continue };
            let Read { value: mut stored, bytes } = read;
            self.open(set, stored.clone())?;
            if let Some(signs_from) =
                stored.iter().map(|own| own.signs_from).filter(|from| now.seconds < *from).min()
            {
                return Ok(Rotation::UnderWay { signs_from: at(signs_from) });
            }
            // Another instance may publish it a reload later than this one.
            let signs_from = now.seconds.saturating_add(seconds(LONGEST_CACHED + 2 * RELOAD_AFTER));
            stored.retain(|own| !own.is_over(now));
            for own in &mut stored {
                // A clock that is a little behind signs with the former key a little longer.
                let last =
                    signs_from.saturating_add(self.longest_signed()).saturating_add(seconds(RELOAD_AFTER));
                own.ends = Some(own.ends.unwrap_or(last));
            }
            for algorithm in self.algorithms_of(set) {
                stored.push(self.make(set, *algorithm, signs_from).await?);
            }
            let transaction = Transaction::new().if_same(record, &bytes).put(record, encode(&stored)?, None);
            if self.commit(transaction, now).await? == Committed::Done {
                self.cache(set, self.open(set, stored)?, now);
                return Ok(Rotation::Published { signs_from: at(signs_from) });
            }
        }
        Err(Unavailable::Contended.into())
    }

    /// What the store holds, with a key for every algorithm of the rules. Of several instances that start at once, one
    /// makes them.
    async fn load_or_make(&self, set: KeySetName, now: Timestamp) -> Result<Vec<StoredKey>, KeysError> {
        let record = set.record();
        for _ in 0..ATTEMPTS {
            let read: Option<Read<Vec<StoredKey>>> = self.read(record, now).await?;
            let (mut stored, transaction) = match read {
                None => (Vec::new(), Transaction::new().if_absent(record)),
                Some(Read { value, bytes }) => (value, Transaction::new().if_same(record, &bytes)),
            };
            // One that ends has a successor, unless its algorithm was not wanted for a while.
            let is_missing = |algorithm: &&Algorithm| {
                !stored.iter().any(|own| own.alg == algorithm.name() && own.ends.is_none())
            };
            let missing: Vec<Algorithm> =
                self.algorithms_of(set).iter().filter(is_missing).copied().collect();
            if missing.is_empty() {
                return Ok(stored);
            }
            // Never a new key beside some that cannot be opened: that would hide that the seal key is the wrong one.
            self.open(set, stored.clone())?;
            for algorithm in missing {
                stored.push(self.make(set, algorithm, now.seconds).await?);
            }
            let transaction = transaction.put(record, encode(&stored)?, None);
            if self.commit(transaction, now).await? == Committed::Done {
                return Ok(stored);
            }
        }
        Err(Unavailable::Contended.into())
    }

    async fn make(
        &self,
        set: KeySetName,
        algorithm: Algorithm,
        signs_from: i64,
    ) -> Result<StoredKey, KeysError> {
        // Finding primes takes its time.
        let made = tokio::task::spawn_blocking(move || SigningKey::generate(algorithm)).await;
        let key = made.map_err(|_| Unavailable::Contended)??;
        let (kid, alg) = (key.kid().to_owned(), algorithm.name().to_owned());
        let sealed = self.seal.seal(&set.purpose(&alg, &kid), key.to_pkcs8()?.expose());
        let sealed = sealed.ok_or(Unavailable::NoRandomness(NoRandomness))?;
        Ok(StoredKey { kid, alg, sealed, signs_from, ends: None })
    }

    fn open(&self, set: KeySetName, stored: Vec<StoredKey>) -> Result<KeyRing, KeysError> {
        let open = |stored: StoredKey| {
            let der = self.seal.open(&set.purpose(&stored.alg, &stored.kid), &stored.sealed)?;
            let algorithm = stored.alg.parse().map_err(|_| Unavailable::Unreadable)?;
            let key = SigningKey::from_pkcs8(algorithm, &der)?;
            let published = serde_json::to_vec(&json!({ "keys": [key.public_jwk()] }));
            let public = KeySet::from_jwks(&published.map_err(|_| Unavailable::Unreadable)?);
            let public = public.map_err(|_| Unavailable::Unreadable)?;
            Ok(RingKey { stored, key, public })
        };
        let keys = stored.into_iter().map(open).collect::<Result<_, KeysError>>()?;
        Ok(KeyRing { keys, longest_signed: self.longest_signed() })
    }

    fn algorithms_of(&self, set: KeySetName) -> &[Algorithm] {
        match set {
            KeySetName::Server => &self.rules.algorithms,
            KeySetName::Gateway => &self.rules.gateway_algorithms,
        }
    }

    fn longest_signed(&self) -> i64 {
        seconds(self.rules.longest_signed.max(self.rules.access).max(LEAST_PUBLISHED))
    }

    fn cached(&self, set: KeySetName, at_most: Duration, now: Timestamp) -> Option<Arc<KeyRing>> {
        let cache = self.keys.of(set);
        let cache = cache.as_ref()?;
        let apart = now.since(cache.loaded).max(cache.loaded.since(now));
        (apart < at_most).then(|| Arc::clone(&cache.ring))
    }

    fn cache(&self, set: KeySetName, ring: KeyRing, now: Timestamp) -> Arc<KeyRing> {
        let ring = Arc::new(ring);
        *self.keys.of(set) = Some(KeyCache { loaded: now, ring: Arc::clone(&ring) });
        ring
    }
}

impl StoredKey {
    fn is_over(&self, now: Timestamp) -> bool {
        self.ends.is_some_and(|ends| at(ends) <= now)
    }
}
