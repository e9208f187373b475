//! What has been verified before, to spare verifying it again. Bounded in bytes; only good results are kept, and
//! whoever takes one looks at its age again.

use std::hash::{Hash, Hasher, RandomState};
use std::sync::Arc;

use quick_cache::sync::{Cache, DefaultLifecycle};
use quick_cache::{Equivalent, OptionsBuilder, Weighter};

use crate::codec::v7::envelope::Mac;
use crate::keep::SealedWith;
use crate::session::Session;

/// A session that was verified, with what its cookie says of itself.
#[derive(Clone, Debug)]
pub(crate) struct Verified {
    pub(crate) session: Arc<Session>,
    pub(crate) signed_at: i64,
    pub(crate) mac: Mac,
    pub(crate) sealed_with: SealedWith,
}

/// Sessions by the complete text of their cookie.
#[derive(Debug)]
pub(crate) struct SessionCache {
    verified: Cache<CookieText, Verified, Bytes, RandomState>,
}

impl SessionCache {
    pub(crate) fn new() -> Self {
        let hasher = RandomState::new();
        let mut options = OptionsBuilder::new();
        // Shards divide the bytes between them, so there must not be too many for long entries to fit.
        options.weight_capacity(VERIFIED_BYTES).estimated_items_capacity(ESTIMATED_ENTRIES).shards(SHARDS);
        let lifecycle = DefaultLifecycle::default();
        let verified = if let Ok(options) = options.build() {
            Cache::with_options(options, Bytes, hasher, lifecycle)
        } else {
            Cache::with(ESTIMATED_ENTRIES, VERIFIED_BYTES, Bytes, hasher, lifecycle)
        };
        Self { verified }
    }

    pub(crate) fn get(&self, text: &[u8]) -> Option<Verified> {
        self.verified.get(&CookieTextRef(text))
    }

    pub(crate) fn insert(&self, text: &[u8], verified: Verified) {
        self.verified.insert(CookieText(text.into()), verified);
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

const VERIFIED_BYTES: u64 = 16 * 1024 * 1024;
const ESTIMATED_ENTRIES: usize = 2048;
const SHARDS: usize = 16;
/// The cache's own needs for an entry, about.
const ENTRY_BYTES: usize = 128;
const SIGNATURE_BYTES: usize = 44;
