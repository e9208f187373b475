//! Bodies for fuzzing: each takes any bytes, must not panic, and checks what has to hold of an answer.

use doorward_core::Timestamp;
use http::{
    HeaderMap, HeaderName, HeaderValue,
    header::{CONNECTION, SEC_WEBSOCKET_PROTOCOL, UPGRADE},
};

use crate::{
    basic::{self, Presented},
    bearer,
    gateway::{
        self, Source, Sources,
        source::{Offer, RawToken, without_parameters},
    },
    websocket::{self, Offered},
    x509,
};

/// An `Authorization` header. Credentials have a usable name, and a token is of letters that may go into a log or URL.
pub fn authorization(bytes: &[u8]) {
    if let Presented::Credentials(credentials) = basic::read(Some(bytes)) {
        let user = &credentials.user;
        assert!(!user.is_empty() && !user.contains(':') && !user.chars().any(char::is_control));
        let text = [user.as_bytes(), b":", credentials.password.expose()].concat();
        let again = format!("Basic {}", base64_simd::STANDARD.encode_to_string(text));
        assert_eq!(basic::read(Some(again.as_bytes())), Presented::Credentials(credentials));
    }
    if let Ok(token) = bearer::find(bytes) {
        assert_eq!(token.expose().split('.').count(), 3);
        assert!(token.expose().bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte)));
    }
}

/// The subprotocols of a `WebSocket`, a line each. Once they are stripped, no token is left.
pub fn subprotocol(bytes: &[u8]) {
    let mut headers = HeaderMap::new();
    headers.insert(UPGRADE, HeaderValue::from_static("websocket"));
    headers.insert(CONNECTION, HeaderValue::from_static("Upgrade"));
    for line in bytes.split(|byte| *byte == b'\n').take(100) {
        if let Ok(line) = HeaderValue::from_bytes(line) {
            headers.append(SEC_WEBSOCKET_PROTOCOL, line);
        }
    }
    if let Offered::Token(token) = websocket::read(&headers) {
        assert!(!token.expose().is_empty());
    }
    websocket::strip(&mut headers);
    assert_eq!(websocket::read(&headers), Offered::Nothing);
    let left: Vec<&HeaderValue> = headers.get_all(SEC_WEBSOCKET_PROTOCOL).iter().collect();
    let prefix = websocket::PREFIX.as_bytes();
    assert!(left.iter().all(|line| line.as_bytes().windows(prefix.len()).all(|part| part != prefix)));
}

/// A request in which a token may stand: a query, then headers, a line each. A token is never empty, one of `Authorization`
/// is a single word, and a query is without the parameter once that was taken out.
pub fn token_source(bytes: &[u8]) {
    let mut lines = bytes.split(|byte| *byte == b'\n').take(100);
    let query = lines.next().and_then(|line| str::from_utf8(line).ok());
    let mut headers = HeaderMap::new();
    for line in lines {
        let mut halves = line.splitn(2, |byte| *byte == b':');
        let name = halves.next().and_then(|name| HeaderName::from_bytes(name).ok());
        let value = halves.next().and_then(|value| HeaderValue::from_bytes(value.trim_ascii()).ok());
        if let Some((name, value)) = name.zip(value) {
            headers.append(name, value);
        }
    }
    let tokens = |source: &str, query: Option<&str>| {
        let source = Source::parse(source, RawToken::Allowed).ok();
        let Ok(sources) = Sources::new(source.into_iter().collect()) else { return Vec::new() };
        let (certificates, now) = (None, Timestamp::default());
        let presented = gateway::Presented {
            headers: &headers,
            query,
            certificates,
            of_connection: None,
            cookies: gateway::CookieTokens::Count,
            now,
        };
        let found = sources.read(&presented).map(|offer| match offer {
            Offer::Token(token) => Some(token.into_owned()),
            Offer::Malformed(_) => None,
        });
        found.collect::<Vec<_>>()
    };
    for source in ["$request.header.x-token", "$request.cookie.token", "$request.querystring.token"] {
        let found = tokens(source, query);
        assert!(found.len() <= 1 && found.iter().flatten().all(|token| !token.is_empty()));
    }
    // The last is what a `WebSocket` offers, which may hold anything.
    let found = tokens("$request.header.authorization", query);
    assert!(found.len() <= 2 && found.iter().flatten().all(|token| !token.is_empty()));
    if found.len() == 2 || websocket::read(&headers) == Offered::Nothing {
        assert!(found.first().is_none_or(|token| token.as_ref().is_none_or(|token| !token.contains(' '))));
    }
    if let Some(left) = query.and_then(|query| without_parameters(query, &["token"])) {
        assert!(tokens("$request.querystring.token", Some(&left)).is_empty());
    }
}

/// A certificate, or a header with one. A name that is read may stand in a header and in a log.
pub fn certificate(bytes: &[u8]) {
    if let Ok(subject) = x509::subject(bytes) {
        let texts = subject.organizations.iter().chain([&subject.common_name, &subject.uid]);
        assert!(texts.into_iter().all(|text| !text.chars().any(char::is_control)));
    }
    assert_eq!(x509::from_header(bytes).is_empty(), bytes.is_empty());
}

#[cfg(test)]
mod tests {
    use doorward_testkit::corpus;

    #[test]
    fn no_token_is_left_among_the_subprotocols() {
        corpus::run("subprotocol", super::subprotocol);
    }

    #[test]
    fn a_token_is_read_from_its_place_and_taken_out_of_it() {
        corpus::run("token_source", super::token_source);
    }

    #[test]
    fn a_subject_is_text_or_nothing() {
        corpus::run("certificate", super::certificate);
    }

    #[test]
    fn credentials_are_read_as_they_are_written_or_not_at_all() {
        corpus::run("authorization", super::authorization);
    }
}
