//! The cookie secret and the two keys made from it (wire-formats, section 1).

use aws_lc_rs::hmac;
use doorward_core::Timestamp;

use crate::codec::v7::cipher::CookieCipher;

/// The key that signs cookies and the key that encrypts them, both from the one configured secret.
#[derive(Clone)]
pub struct CookieSecret {
    pub(crate) signing: hmac::Key,
    pub(crate) cipher: CookieCipher,
    reading: Reading,
}

/// A secret that was the cookie secret before.
#[derive(Clone, Debug)]
pub struct PreviousSecret {
    pub secret: CookieSecret,
    /// When it stopped being the cookie secret: what claims to be sealed later is not read. Without this, nobody knows,
    /// because others may still seal with it.
    pub retired: Option<Timestamp>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Reading {
    Plain,
    Base64,
    /// Usable as it stands, but it also decodes to a usable key, which the format prefers.
    Base64ThoughPlainWouldDo,
}

/// A cookie secret has the wrong length. It is not repeated here.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "cookie_secret must be 16, 24, or 32 bytes, as they stand or in URL-safe base64, to create an AES cipher, \
     but is {length} bytes"
)]
pub struct InvalidCookieSecret {
    /// Bytes of the secret as given.
    pub length: usize,
}

impl CookieSecret {
    /// Whether the secret looks like 16, 24 or 32 plain bytes but is taken as base64 of a shorter key: 32 letters
    /// and digits make a key of 24 bytes. Compatibility demands it; whoever starts the program should be told.
    pub fn is_ambiguous(&self) -> bool {
        self.reading == Reading::Base64ThoughPlainWouldDo
    }
}

impl TryFrom<&[u8]> for CookieSecret {
    type Error = InvalidCookieSecret;

    fn try_from(raw: &[u8]) -> Result<Self, InvalidCookieSecret> {
        // The signing key is never decoded.
        let signing = hmac::Key::new(hmac::HMAC_SHA256, raw);
        let plain = CookieCipher::new(raw);
        let decoded = decode(raw).and_then(|key| CookieCipher::new(&key));
        let (cipher, reading) = match (decoded, plain) {
            (Some(cipher), None) => (cipher, Reading::Base64),
            (Some(cipher), Some(_)) => (cipher, Reading::Base64ThoughPlainWouldDo),
            (None, Some(cipher)) => (cipher, Reading::Plain),
            (None, None) => return Err(InvalidCookieSecret { length: raw.len() }),
        };
        Ok(Self { signing, cipher, reading })
    }
}

impl std::fmt::Debug for CookieSecret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("[secret]")
    }
}

/// URL-safe base64 as leniently as existing secrets were read: padding is optional, line ends inside are skipped
/// and surplus bits at the end are ignored. Data from outside is never read with this.
fn decode(raw: &[u8]) -> Option<Vec<u8>> {
    let end = raw.iter().rposition(|&byte| byte != b'=').map_or(0, |last| last + 1);
    let mut decoded = Vec::with_capacity(raw.len());
    let (mut bits, mut count) = (0_u32, 0_u32);
    for &byte in raw.get(..end)?.iter().filter(|byte| !matches!(byte, b'\r' | b'\n')) {
        let sextet = match byte {
            b'A'..=b'Z' => byte - b'A',
            b'a'..=b'z' => byte - b'a' + 26,
            b'0'..=b'9' => byte - b'0' + 52,
            b'-' => 62,
            b'_' => 63,
            _ => return None,
        };
        bits = (bits << 6) | u32::from(sextet);
        count += 6;
        if count >= 8 {
            count -= 8;
            let [.., low] = (bits >> count).to_be_bytes();
            decoded.push(low);
            bits &= (1 << count) - 1;
        }
    }
    // A single left-over character carries no whole byte.
    (count != 6).then_some(decoded)
}
