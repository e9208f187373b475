//! What has been verified before, to spare verifying it again. Bounded in bytes; only good results are kept, and
//! whoever takes one looks at its age again.

use std::hash::{Hash, Hasher, RandomState};
use std::sync::Arc;

use doorward_core::Timestamp;
use quick_cache::sync::{Cache, DefaultLifecycle};
use quick_cache::{Equivalent, OptionsBuilder, Weighter};

use crate::codec::v7::envelope::Mac;
use crate::session::Session;

/// A session that was verified, with what its cookie says of itself.
#[derive(Clone, Debug)]
pub(crate) struct Verified {
    pub(crate) session: Arc<Session>,
    pub(crate) signed_at: i64,
    pub(crate) mac: Mac,
}

/// Sessions by the complete text of their cookie.
#[derive(Debug)]
pub(crate) struct SessionCache {
    verified: Cache<CookieText, Verified, Bytes, RandomState>,
}

impl SessionCache {
    pub(crate) fn new() -> Self {
        Self { verified: cache(VERIFIED_BYTES) }
    }

    pub(crate) fn get(&self, text: &[u8]) -> Option<Verified> {
        self.verified.get(&CookieTextRef(text))
    }

    pub(crate) fn insert(&self, text: &[u8], verified: Verified) {
        self.verified.insert(CookieText(text.into()), verified);
    }
}

/// The sessions that replaced others a short while ago, by the signature of the replaced session's cookie.
#[derive(Debug)]
pub(crate) struct Successors {
    sessions: Cache<Mac, (Arc<Session>, Timestamp), Bytes, RandomState>,
}

impl Successors {
    pub(crate) fn new() -> Self {
        Self { sessions: cache(SUCCESSOR_BYTES) }
    }

    /// What replaced the session, and when.
    pub(crate) fn get(&self, replaced: &Mac) -> Option<(Arc<Session>, Timestamp)> {
        self.sessions.get(replaced)
    }

    pub(crate) fn insert(&self, replaced: Mac, session: Arc<Session>, now: Timestamp) {
        self.sessions.insert(replaced, (session, now));
    }
}

/// The whole text is compared, but only its end is hashed: it is a signature, as random as a hash can be. A forged
/// text may collide and is then found to differ.
#[derive(Debug, PartialEq, Eq)]
struct CookieText(Box<[u8]>);

struct CookieTextRef<'a>(&'a [u8]);

impl Hash for CookieText {
    fn hash<H: Hasher>(&self, state: &mut H) {
        CookieTextRef(&self.0).hash(state);
    }
}

impl Hash for CookieTextRef<'_> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        let Self(text) = self;
        state.write(text.last_chunk::<SIGNATURE_BYTES>().map_or(text, |end| end));
    }
}

impl Equivalent<CookieText> for CookieTextRef<'_> {
    fn equivalent(&self, other: &CookieText) -> bool {
        *self.0 == *other.0
    }
}

/// Weighs entries in bytes.
#[derive(Clone, Copy, Debug)]
struct Bytes;

impl Weighter<CookieText, Verified> for Bytes {
    fn weight(&self, text: &CookieText, verified: &Verified) -> u64 {
        (text.0.len() + verified.session.weight() + ENTRY_BYTES) as u64
    }
}

impl Weighter<Mac, (Arc<Session>, Timestamp)> for Bytes {
    fn weight(&self, mac: &Mac, (session, _): &(Arc<Session>, Timestamp)) -> u64 {
        (mac.len() + session.weight() + ENTRY_BYTES) as u64
    }
}

fn cache<K: Eq + Hash, V: Clone>(bytes: u64) -> Cache<K, V, Bytes, RandomState>
where
    Bytes: Weighter<K, V>,
{
    let mut options = OptionsBuilder::new();
    // Shards divide the bytes between them, so there must not be too many for long entries to fit.
    options.weight_capacity(bytes).estimated_items_capacity(ESTIMATED_ENTRIES).shards(SHARDS);
    match options.build() {
        Ok(options) => Cache::with_options(options, Bytes, RandomState::new(), DefaultLifecycle::default()),
        Err(_) => {
            Cache::with(ESTIMATED_ENTRIES, bytes, Bytes, RandomState::new(), DefaultLifecycle::default())
        }
    }
}

const VERIFIED_BYTES: u64 = 12 * 1024 * 1024;
const SUCCESSOR_BYTES: u64 = 4 * 1024 * 1024;
const ESTIMATED_ENTRIES: usize = 2048;
const SHARDS: usize = 16;
/// The cache's own needs for an entry, about.
const ENTRY_BYTES: usize = 128;
const SIGNATURE_BYTES: usize = 44;
