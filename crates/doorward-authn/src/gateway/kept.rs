//! What was found out about tokens, by the hash of the whole token; bounded in bytes. Whoever takes something looks
//! whether it still holds.

use std::{hash::RandomState, sync::Arc};

use aws_lc_rs::digest::{SHA256, digest};
use doorward_core::Principal;
use quick_cache::{
    OptionsBuilder, Weighter,
    sync::{Cache, DefaultLifecycle},
};

/// A cache of one authenticator.
pub(crate) type Tokens<T> = Cache<Hash, Weighed<T>, Bytes, RandomState>;

/// SHA-256 of a token.
pub(crate) type Hash = [u8; 32];

#[derive(Clone, Debug)]
pub(crate) struct Weighed<T> {
    pub(crate) value: T,
    bytes: u64,
}

/// Weighs entries in bytes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Bytes;

impl<T> Weighter<Hash, Weighed<T>> for Bytes {
    fn weight(&self, _: &Hash, entry: &Weighed<T>) -> u64 {
        entry.bytes
    }
}

const CAPACITY: u64 = 16 * 1024 * 1024;
const ESTIMATED_ENTRIES: usize = 4096;
/// Shards divide the bytes between them, so there must not be too many for long entries to fit.
const SHARDS: usize = 16;
/// What an entry needs beside the claims.
const ENTRY_BYTES: usize = 512;
/// How much longer claims are in memory than on the wire, about.
const UNFOLDED: usize = 3;

impl<T> Weighed<T> {
    /// An entry about what `length` bytes said.
    pub(crate) const fn new(value: T, length: usize) -> Self {
        Self { value, bytes: (length * UNFOLDED + ENTRY_BYTES) as u64 }
    }
}

pub(crate) fn tokens<T: Clone>() -> Tokens<T> {
    let mut options = OptionsBuilder::new();
    options.weight_capacity(CAPACITY).estimated_items_capacity(ESTIMATED_ENTRIES).shards(SHARDS);
    let (hasher, lifecycle) = (RandomState::new(), DefaultLifecycle::default());
    match options.build() {
        Ok(options) => Cache::with_options(options, Bytes, hasher, lifecycle),
        Err(_) => Cache::with(ESTIMATED_ENTRIES, CAPACITY, Bytes, hasher, lifecycle),
    }
}

pub(crate) fn hash(token: &str) -> Hash {
    let mut hash = [0; 32];
    hash.copy_from_slice(digest(&SHA256, token.as_bytes()).as_ref());
    hash
}

/// Somebody who was found out before, shared.
pub(crate) type Known = Arc<Principal>;
