//! Bodies for fuzzing: each takes any bytes, must not panic, and checks what has to hold of an answer.

use http::HeaderMap;
use http::header::COOKIE;

use crate::codec::v7::{envelope, frame, msgpack, session};
use crate::cookie::config::{CookieName, StoredTokens};
use crate::cookie::csrf::LoginAttempt;
use crate::cookie::request::RequestCookies;
use crate::cookie::split;
use crate::cookie::state::{ReturnedState, StateEncoding, parse_state, state_parameter};
use crate::secret::CookieSecret;
use crate::ticket::Ticket;

/// A `Cookie` line, and each layer below it.
pub fn session_cookie(bytes: &[u8]) {
    for layer in [cookie_line, signed_value, cookie_secret, lz4_frame, message, session_map] {
        layer(bytes);
    }
}

/// A login's cookie, and the map inside.
pub fn login_cookie(bytes: &[u8]) {
    signed_value(bytes);
    if let Ok(attempt) = LoginAttempt::decode(bytes) {
        let written = attempt.encode().ok();
        assert!(
            written.is_some_and(|written| LoginAttempt::decode(&written).is_ok_and(|again| again == attempt))
        );
    }
}

/// A session map: what is understood is understood the same after writing it again.
fn session_map(bytes: &[u8]) {
    let Ok(read) = session::decode(bytes) else { return };
    let created_at = read.created_at.unwrap_or_default();
    if let Ok(written) = session::encode(&read, created_at, StoredTokens::All) {
        let again = session::decode(&written);
        assert!(again.is_ok());
        let mut again = again.unwrap_or_default();
        let rewritten = session::encode(&again, created_at, StoredTokens::All);
        assert!(rewritten.is_ok_and(|rewritten| rewritten == written));
        again.created_at = read.created_at;
        // Numbers in claims are written as texts.
        again.identity.additional.clone_from(&read.identity.additional);
        assert_eq!(again, read);
    }
    let _ = (read.summary(), read.age(created_at), read.claim("ac"));
}

/// Any `MessagePack` value.
fn message(bytes: &[u8]) {
    let _ = msgpack::Reader::new(bytes).value();
    let _ = msgpack::Reader::new(bytes).skip();
    let _ = msgpack::Reader::new(bytes).time();
}

/// An LZ4 frame.
fn lz4_frame(bytes: &[u8]) {
    let _ = frame::decompress(bytes);
}

/// A signed value, and a key that never made it.
fn signed_value(bytes: &[u8]) {
    if let Ok(secret) = CookieSecret::try_from(&b"0123456789abcdef"[..]) {
        assert!(envelope::open(&secret.signing, "name", bytes).is_err());
        let _ = secret.cipher.decrypt(&mut bytes.to_vec());
    }
    let _ = envelope::end_of_value(bytes);
}

/// A cookie secret.
fn cookie_secret(bytes: &[u8]) {
    let _ = CookieSecret::try_from(bytes);
}

/// A ticket, and a stored value to open with one.
pub fn ticket(bytes: &[u8]) {
    if let Ok(ticket) = Ticket::decode(bytes) {
        assert!(Ticket::decode(ticket.encode().as_bytes()).is_ok());
    }
    if let Ok(ticket) = Ticket::decode(b"id.AAECAwQFBgcICQoLDA0ODw") {
        assert!(ticket.open(&mut bytes.to_vec()).is_err());
    }
}

/// A Cookie line.
fn cookie_line(bytes: &[u8]) {
    let (Ok(line), Ok(name)) = (http::HeaderValue::from_bytes(bytes), CookieName::try_from("n")) else {
        return;
    };
    let headers = HeaderMap::from_iter([(COOKIE, line)]);
    let cookies = RequestCookies::new(&headers);
    let _ = (split::joined(&cookies, &name, 0), split::joined(&cookies, &name, 1));
    assert!(cookies.iter().count() <= bytes.len() + 1);
}

/// A `state` parameter.
pub fn state(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    for encoding in [StateEncoding::Plain, StateEncoding::Base64] {
        if let Ok(ReturnedState { hash, redirect }) = parse_state(text, encoding) {
            assert_eq!(state_parameter(&hash, &redirect, encoding), text);
        }
    }
}

#[cfg(test)]
mod tests {
    use doorward_testkit::corpus;

    use super::*;

    #[test]
    fn no_cookie_is_believed_that_we_have_not_signed() {
        corpus::run("session_cookie", session_cookie);
        corpus::run("login_cookie", login_cookie);
    }

    #[test]
    fn a_ticket_is_read_as_it_is_written_or_not_at_all() {
        corpus::run("ticket", ticket);
    }

    #[test]
    fn a_state_is_read_or_refused() {
        corpus::run("state", state);
    }
}
