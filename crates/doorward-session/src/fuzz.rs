//! Bodies for fuzzing: each takes any bytes, must not panic, and checks what it can about the answer.
//! A test runs them over a seed corpus; a fuzzer outside may run them for longer.

use http::HeaderMap;
use http::header::COOKIE;

use crate::codec::v7::{envelope, frame, msgpack, session};
use crate::cookie::config::{CookieName, StoredTokens};
use crate::cookie::csrf::LoginAttempt;
use crate::cookie::request::RequestCookies;
use crate::cookie::split;
use crate::cookie::state::{StateEncoding, parse_state};
use crate::secret::CookieSecret;
use crate::ticket::Ticket;

/// A session map: what is understood is understood the same after writing it again.
pub fn session_map(bytes: &[u8]) {
    let Ok(read) = session::decode(bytes) else { return };
    let created_at = read.created_at.unwrap_or_default();
    let written = session::encode(&read, created_at, StoredTokens::All);
    if let Ok(written) = written {
        debug_assert!(session::decode(&written).is_ok());
    }
    let _ = (read.summary(), read.age(created_at), read.claim("ac"));
}

/// Any `MessagePack` value.
pub fn message(bytes: &[u8]) {
    let _ = msgpack::Reader::new(bytes).value();
    let _ = msgpack::Reader::new(bytes).skip();
    let _ = msgpack::Reader::new(bytes).time();
}

/// An LZ4 frame.
pub fn lz4_frame(bytes: &[u8]) {
    let _ = frame::decompress(bytes);
}

/// A signed value, and a key that never made it.
pub fn signed_value(bytes: &[u8]) {
    if let Ok(secret) = CookieSecret::try_from(&b"0123456789abcdef"[..]) {
        debug_assert!(envelope::open(&secret.signing, "name", bytes).is_err());
        let _ = secret.cipher.decrypt(&mut bytes.to_vec());
    }
    let _ = envelope::end_of_value(bytes);
}

/// A cookie secret.
pub fn cookie_secret(bytes: &[u8]) {
    let _ = CookieSecret::try_from(bytes);
}

/// A login's map.
pub fn login_map(bytes: &[u8]) {
    let _ = LoginAttempt::decode(bytes);
}

/// A ticket, and a stored value to open with one.
pub fn ticket(bytes: &[u8]) {
    if let Ok(ticket) = Ticket::decode(bytes) {
        debug_assert!(Ticket::decode(ticket.encode().as_bytes()).is_ok());
    }
    if let Ok(ticket) = Ticket::decode(b"id.ecDdFGjZTxKh474TjMqrvA") {
        debug_assert!(ticket.open(&mut bytes.to_vec()).is_err());
    }
}

/// A Cookie line.
pub fn cookie_line(bytes: &[u8]) {
    let (Ok(line), Ok(name)) = (http::HeaderValue::from_bytes(bytes), CookieName::try_from("n")) else {
        return;
    };
    let headers = HeaderMap::from_iter([(COOKIE, line)]);
    let cookies = RequestCookies::new(&headers);
    let _ = (split::joined(&cookies, &name, 0), split::joined(&cookies, &name, 1));
    debug_assert!(cookies.iter().count() <= bytes.len() + 1);
}

/// A `state` parameter.
pub fn state(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    let _ = parse_state(text, StateEncoding::Plain);
    let _ = parse_state(text, StateEncoding::Base64);
}

/// All of the above.
pub const BODIES: &[fn(&[u8])] =
    &[session_map, message, lz4_frame, signed_value, cookie_secret, login_map, ticket, cookie_line, state];
