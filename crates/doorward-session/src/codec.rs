//! From bytes to sessions and back. Pure: no clock, no IO, no randomness.

pub(crate) mod v7;

/// Something presented as sealed by us is not, or not any more, or is not whole. There is nothing else to learn:
/// every failure of signature, encryption, compression and structure is this one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not sealed with this key under this name")]
pub struct Unsealable;

/// What was to be sealed does not fit the format.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Unencodable;

/// The most bytes a session may have before compression.
pub(crate) const MAX_SESSION_BYTES: usize = 1024 * 1024;
