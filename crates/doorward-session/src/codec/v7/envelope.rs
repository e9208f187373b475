//! The signed value: `base64(payload)|unix seconds|base64(HMAC-SHA256)` (wire-formats, section 2).
//!
//! The MAC covers name, payload and seconds without separators. So that no signature is good for anything but
//! what it was made for, a reader here insists on canonical base64 and on seconds of nine or ten digits without
//! sign or leading zero (bugs-not-to-copy, A13).

use std::time::Duration;

use aws_lc_rs::constant_time::verify_slices_are_equal;
use aws_lc_rs::hmac;
use base64_simd::{AsOut as _, URL_SAFE};
use doorward_core::Timestamp;
use memchr::memchr;

use crate::codec::Unsealable;

/// A verified value.
pub(crate) struct Opened {
    pub(crate) payload: Vec<u8>,
    /// Unix seconds under the signature. Whether that is recent enough is still to be asked.
    pub(crate) signed_at: i64,
    /// The signature. It identifies the value: nobody else can make two values with the same one.
    pub(crate) mac: Mac,
}

pub(crate) type Mac = [u8; 32];

/// Signs `payload` under `name`, which is the name before any splitting.
pub(crate) fn seal(key: &hmac::Key, name: &str, payload: &[u8], seconds: i64) -> String {
    let mut text = URL_SAFE.encode_to_string(payload);
    let seconds = seconds.to_string();
    let tag = sign(key, name.as_bytes(), text.as_bytes(), seconds.as_bytes());
    text.reserve(seconds.len() + 2 + MAC_TEXT_BYTES);
    text.push('|');
    text.push_str(&seconds);
    text.push('|');
    URL_SAFE.encode_append(tag.as_ref(), &mut text);
    text
}

/// Verifies a value signed under `name`.
pub(crate) fn open(key: &hmac::Key, name: &str, text: &[u8]) -> Result<Opened, Unsealable> {
    let (payload, rest) = cut(text)?;
    let (seconds, signature) = cut(rest)?;
    let mac = mac(signature)?;
    let signed_at = parse_seconds(seconds)?;
    let expected = sign(key, name.as_bytes(), payload, seconds);
    verify_slices_are_equal(expected.as_ref(), &mac).map_err(|_| Unsealable)?;
    let payload = URL_SAFE.decode_to_vec(payload).map_err(|_| Unsealable)?;
    Ok(Opened { payload, signed_at, mac })
}

/// The signature of a value that was just sealed; it is not verified here.
pub(crate) fn signature(sealed: &str) -> Result<Mac, Unsealable> {
    mac(sealed.as_bytes().last_chunk::<MAC_TEXT_BYTES>().ok_or(Unsealable)?)
}

/// Where the value at the beginning of `text` ends if it is one at all, whatever follows it.
pub(crate) fn end_of_value(text: &[u8]) -> Option<usize> {
    let first = memchr(b'|', text)?;
    let second = memchr(b'|', text.get(first + 1..)?)?;
    Some(first + second + 2 + MAC_TEXT_BYTES)
}

fn sign(key: &hmac::Key, name: &[u8], payload: &[u8], seconds: &[u8]) -> hmac::Tag {
    let mut context = hmac::Context::with_key(key);
    context.update(name);
    context.update(payload);
    context.update(seconds);
    context.sign()
}

fn cut(text: &[u8]) -> Result<(&[u8], &[u8]), Unsealable> {
    let at = memchr(b'|', text).ok_or(Unsealable)?;
    let (head, tail) = text.split_at_checked(at).ok_or(Unsealable)?;
    Ok((head, tail.get(1..).ok_or(Unsealable)?))
}

fn mac(text: &[u8]) -> Result<Mac, Unsealable> {
    // The decoder needs room for what as many characters could at most mean.
    let mut decoded = [0; MAC_TEXT_BYTES / 4 * 3];
    if text.len() != MAC_TEXT_BYTES {
        return Err(Unsealable);
    }
    let decoded = URL_SAFE.decode(text, decoded.as_mut_slice().as_out()).map_err(|_| Unsealable)?;
    Mac::try_from(&*decoded).map_err(|_| Unsealable)
}

fn parse_seconds(text: &[u8]) -> Result<i64, Unsealable> {
    match text {
        [b'1'..=b'9', rest @ ..] if matches!(rest.len(), 8 | 9) && rest.iter().all(u8::is_ascii_digit) => {
            Ok(text.iter().fold(0, |value, digit| value * 10 + i64::from(digit - b'0')))
        }
        _ => Err(Unsealable),
    }
}

/// How long a signature is good for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Lifetime {
    /// As long as the browser keeps the cookie; its age is not looked at.
    Unlimited,
    Limited(Duration),
}

impl Lifetime {
    /// Zero means without limit.
    pub(crate) fn new(expire: Duration) -> Self {
        if expire.is_zero() { Self::Unlimited } else { Self::Limited(expire) }
    }

    /// Whether something signed at `signed_at` (Unix seconds) is good now: not older than the lifetime and not
    /// from more than five minutes in the future.
    pub(crate) fn admits(self, signed_at: i64, now: Timestamp) -> bool {
        let signed_at = Timestamp::from_seconds(signed_at);
        match self {
            Self::Unlimited => true,
            Self::Limited(lifetime) => {
                now < signed_at.saturating_add(lifetime) && signed_at < now.saturating_add(CLOCK_SKEW)
            }
        }
    }
}

const MAC_TEXT_BYTES: usize = 44;
pub(crate) const CLOCK_SKEW: Duration = Duration::from_mins(5);

#[cfg(test)]
mod tests;
