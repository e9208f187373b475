//! Why a store operation failed. The texts hold no keys, values or passwords.

/// Why a store operation failed. `Unavailable` is apart from everything else: it may pass by itself.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum StoreError {
    /// The server cannot be reached, does not answer in time, or says that it is not ready.
    #[error("the store is unavailable: {reason}")]
    Unavailable { reason: String },
    /// An option makes it impossible to use the store.
    #[error("{option}: {reason}")]
    Misconfigured { option: &'static str, reason: String },
    /// The server is there and refused the credentials or the command for want of permission.
    #[error("the credentials were refused ({options}): {code}")]
    CredentialsRefused { options: &'static str, code: String },
    /// The server is there and refused the command.
    #[error("the store refused a command: {reason}")]
    Refused { reason: String },
    /// The store did not return what was stored a moment ago.
    #[error("the store did not return what was just stored in it")]
    Inconsistent,
    /// The memory store has no room left.
    #[error("the memory store is full")]
    Full,
}

impl StoreError {
    /// Whether the same operation may well succeed later without anybody changing anything.
    pub fn is_unavailable(&self) -> bool {
        matches!(self, Self::Unavailable { .. })
    }
}
