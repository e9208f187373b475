//! Sealing secrets before they are stored: AES-256-GCM (NIST SP 800-38D) under a key derived by HKDF-SHA256 (RFC 5869).
//! What is sealed is bound to its purpose, so that a value copied to another place of the store does not open there.

use std::fmt;

use aws_lc_rs::{
    aead::{AES_256_GCM, Aad, Nonce, RandomizedNonceKey},
    hkdf,
};
use base64_simd::URL_SAFE_NO_PAD;

/// Fewer bytes than this are no key.
const LEAST_BYTES: usize = 32;
const NONCE_BYTES: usize = 12;
/// Of AES-256.
const KEY_BYTES: usize = 32;

/// Seals what the store keeps secret: signing keys and generated secrets.
pub struct SealKey(RandomizedNonceKey);

/// The file with the key to seal with is too short.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the key has fewer than {LEAST_BYTES} bytes; make one with `openssl rand -base64 48`")]
pub struct InvalidSealKey;

/// Sealed with another key, for another purpose, or changed since.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("what the store holds was sealed with another key")]
pub struct Unsealable;

impl SealKey {
    /// The key from the content of a file. The end of a line behind it does not count.
    pub fn new(content: &[u8]) -> Result<Self, InvalidSealKey> {
        let content = without_line_end(content);
        if content.len() < LEAST_BYTES || content.trim_ascii().is_empty() {
            return Err(InvalidSealKey);
        }
        derive(content, "doorward accounts seal 1").map(Self).ok_or(InvalidSealKey)
    }

    /// Seals `plain`; `purpose` has to be said again to open it. `None` if there is no randomness.
    pub(crate) fn seal(&self, purpose: &str, plain: &[u8]) -> Option<String> {
        seal(&self.0, purpose, plain)
    }

    pub(crate) fn open(&self, purpose: &str, sealed: &str) -> Result<Vec<u8>, Unsealable> {
        open(&self.0, purpose, sealed)
    }
}

impl fmt::Debug for SealKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[secret]")
    }
}

/// Random bytes may happen to end like a line; then they are too few without that, and it belongs to them.
fn without_line_end(content: &[u8]) -> &[u8] {
    let line = content.strip_suffix(b"\r\n").or_else(|| content.strip_suffix(b"\n"));
    line.filter(|line| LEAST_BYTES <= line.len()).unwrap_or(content)
}

/// Seals under a raw token, so that only who presents it can open it again: the store alone yields nothing.
pub(crate) fn seal_under(token: &str, purpose: &str, plain: &[u8]) -> Option<String> {
    seal(&derive(token.as_bytes(), purpose)?, purpose, plain)
}

pub(crate) fn open_under(token: &str, purpose: &str, sealed: &str) -> Result<Vec<u8>, Unsealable> {
    open(&derive(token.as_bytes(), purpose).ok_or(Unsealable)?, purpose, sealed)
}

fn derive(secret: &[u8], purpose: &str) -> Option<RandomizedNonceKey> {
    let extracted = hkdf::Salt::new(hkdf::HKDF_SHA256, b"doorward").extract(secret);
    let mut key = [0; KEY_BYTES];
    extracted.expand(&[purpose.as_bytes()], hkdf::HKDF_SHA256).ok()?.fill(&mut key).ok()?;
    RandomizedNonceKey::new(&AES_256_GCM, &key).ok()
}

fn seal(key: &RandomizedNonceKey, purpose: &str, plain: &[u8]) -> Option<String> {
    let mut text = plain.to_vec();
    let nonce = key.seal_in_place_append_tag(Aad::from(purpose.as_bytes()), &mut text).ok()?;
    let sealed = [nonce.as_ref().as_slice(), &text].concat();
    Some(URL_SAFE_NO_PAD.encode_to_string(sealed))
}

fn open(key: &RandomizedNonceKey, purpose: &str, sealed: &str) -> Result<Vec<u8>, Unsealable> {
    let bytes = URL_SAFE_NO_PAD.decode_to_vec(sealed).map_err(|_| Unsealable)?;
    let (nonce, text) = bytes.split_at_checked(NONCE_BYTES).ok_or(Unsealable)?;
    let nonce = Nonce::try_assume_unique_for_key(nonce).map_err(|_| Unsealable)?;
    let mut text = text.to_vec();
    let plain = key.open_in_place(nonce, Aad::from(purpose.as_bytes()), &mut text).map_err(|_| Unsealable)?;
    Ok(plain.to_vec())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(letter: u8) -> SealKey {
        SealKey::new(&[letter; 32]).unwrap()
    }

    #[test]
    fn what_is_sealed_opens_with_the_same_key_for_the_same_purpose_only() {
        let sealed = key(b'k').seal("purpose", b"secret").unwrap();
        assert_eq!(key(b'k').open("purpose", &sealed).unwrap(), b"secret");
        assert_eq!(key(b'k').open("other", &sealed), Err(Unsealable));
        assert_eq!(key(b'x').open("purpose", &sealed), Err(Unsealable));
        for position in 0..sealed.len() {
            let mut changed = sealed.clone().into_bytes();
            changed[position] = if changed[position] == b'A' { b'B' } else { b'A' };
            let changed = String::from_utf8(changed).unwrap();
            assert_eq!(key(b'k').open("purpose", &changed), Err(Unsealable), "{position}");
        }
        assert_eq!(key(b'k').open("purpose", ""), Err(Unsealable));
        assert_ne!(key(b'k').seal("purpose", b"secret").unwrap(), sealed);
    }

    #[test]
    fn a_key_is_long_and_the_end_of_its_line_does_not_count() {
        assert!(SealKey::new(&[b'k'; 31]).is_err());
        assert!(SealKey::new(&[b'\n'; 40]).is_err());
        let sealed = key(b'k').seal("purpose", b"secret").unwrap();
        for end in [b"\n".as_slice(), b"\r\n"] {
            let line = [&[b'k'; 32], end].concat();
            assert!(SealKey::new(&line).unwrap().open("purpose", &sealed).is_ok());
        }
        // Bytes that merely look like a line.
        let bytes = [b"\t".as_slice(), &[b'k'; 30], b"\n"].concat();
        assert!(SealKey::new(&bytes).is_ok());
        assert_eq!(format!("{:?}", key(b'k')), "[secret]");
    }

    #[test]
    fn what_is_sealed_under_a_token_opens_with_that_token() {
        let sealed = seal_under("rt~a", "successor", b"secret").unwrap();
        assert_eq!(open_under("rt~a", "successor", &sealed).unwrap(), b"secret");
        assert_eq!(open_under("rt~b", "successor", &sealed), Err(Unsealable));
    }
}
