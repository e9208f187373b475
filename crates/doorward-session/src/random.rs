//! Random bytes from the operating system, by way of the cryptography library.

use aws_lc_rs::rand;

/// The operating system gives no random bytes. Nothing can be sealed until it does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("no random bytes to be had from the operating system")]
pub struct NoRandomness;

/// As many fresh random bytes as the array holds.
pub(crate) fn bytes<const N: usize>() -> Result<[u8; N], NoRandomness> {
    let mut bytes = [0; N];
    rand::fill(&mut bytes).map_err(|_| NoRandomness)?;
    Ok(bytes)
}
