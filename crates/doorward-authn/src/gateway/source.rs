//! Where a token stands in a request (`identitySource`, in the words of AWS API Gateway). Pure.
//!
//! A place that holds two different values is a bad token and not the first of them: who reads the first and who reads
//! the last would see different people.

use std::{borrow::Cow, fmt::Write as _};

use doorward_session::RequestCookies;
use http::{
    HeaderMap, HeaderName,
    header::{AUTHORIZATION, COOKIE, PROXY_AUTHORIZATION, SEC_WEBSOCKET_PROTOCOL, SET_COOKIE},
};

use super::{CookieTokens, Presented};
use crate::{
    chain::{authorization, second_word},
    websocket::{self, Offered},
};

/// One place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Source {
    /// `$request.header.Authorization`, and with it the subprotocols of a `WebSocket`.
    Authorization(RawToken),
    /// `$request.header.<name>`: the token, or `Bearer` and the token.
    Header(HeaderName),
    /// `$request.querystring.<name>`.
    Query(String),
    /// `$request.cookie.<name>`.
    Cookie(String),
}

/// Whether a token may stand in `Authorization` without a scheme (`allowRawToken`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum RawToken {
    #[default]
    Refused,
    Allowed,
}

/// Places in order; never none.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sources(Vec<Source>);

impl Default for Sources {
    /// `Authorization` alone.
    fn default() -> Self {
        Self(vec![Source::Authorization(RawToken::Refused)])
    }
}

/// Why a text names no place.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidSource {
    #[error(
        "{0:?} names no place of a token; write $request.header.NAME, $request.querystring.NAME or $request.cookie.NAME"
    )]
    Form(String),
    #[error("{0:?} is no name of a header, parameter or cookie that a token can stand in")]
    Name(String),
    #[error("there is no place to look for a token")]
    None,
}

/// What stands in a place. It has no `Debug`: a token is a secret.
pub(crate) enum Offer<'a> {
    Token(Cow<'a, str>),
    Malformed(String),
}

const SEVERAL: &str = "the place of the token holds more than one value";
const NOT_TEXT: &str = "the token is not text";

fn malformed<'a>(why: &str) -> Offer<'a> {
    Offer::Malformed(why.to_owned())
}

impl Source {
    /// Reads `$request.header.NAME` and so on. `raw` counts for `Authorization` alone.
    pub fn parse(text: &str, raw: RawToken) -> Result<Self, InvalidSource> {
        let place = text.strip_prefix("$request.").and_then(|place| place.split_once('.'));
        let invalid = |name: &str| InvalidSource::Name(name.to_owned());
        let cookie = |name: &str| !name.bytes().any(|byte| matches!(byte, b'=' | b';' | b',' | b'"' | b'\\'));
        let printable = |name: &str| !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_graphic());
        match place {
            Some(("header", name)) => match HeaderName::from_bytes(name.as_bytes()) {
                Ok(AUTHORIZATION) => Ok(Self::Authorization(raw)),
                Ok(COOKIE | SET_COOKIE | PROXY_AUTHORIZATION | SEC_WEBSOCKET_PROTOCOL) | Err(_) => {
                    Err(invalid(name))
                }
                Ok(header) => Ok(Self::Header(header)),
            },
            Some(("querystring", name)) if printable(name) => Ok(Self::Query(name.to_owned())),
            Some(("cookie", name)) if printable(name) && cookie(name) => Ok(Self::Cookie(name.to_owned())),
            Some(("querystring" | "cookie", name)) => Err(invalid(name)),
            _ => Err(InvalidSource::Form(text.to_owned())),
        }
    }

    fn read<'a>(&self, presented: &Presented<'a>) -> Option<Offer<'a>> {
        match self {
            Self::Authorization(raw) => in_authorization(presented.headers, *raw),
            Self::Header(name) => in_header(presented.headers, name),
            Self::Query(name) => in_query(presented.query?, name),
            Self::Cookie(name) => match presented.cookies {
                CookieTokens::Count => in_cookie(presented.headers, name),
                CookieTokens::DoNotCount => None,
            },
        }
    }
}

impl Sources {
    /// `None` in `InvalidSource` if there are none.
    pub fn new(sources: Vec<Source>) -> Result<Self, InvalidSource> {
        if sources.is_empty() { Err(InvalidSource::None) } else { Ok(Self(sources)) }
    }

    pub fn as_slice(&self) -> &[Source] {
        &self.0
    }

    /// What stands in the places, in order; of a `WebSocket`, last, what its subprotocols offer.
    pub(crate) fn read<'a>(&'a self, presented: &'a Presented<'a>) -> impl Iterator<Item = Offer<'a>> {
        let reads_authorization = self.0.iter().any(|source| matches!(source, Source::Authorization(_)));
        let subprotocol = reads_authorization.then(|| in_subprotocol(presented.headers)).flatten();
        self.0.iter().filter_map(|source| source.read(presented)).chain(subprotocol)
    }
}

fn in_authorization(headers: &HeaderMap, raw: RawToken) -> Option<Offer<'_>> {
    let Ok(line) = authorization(headers) else { return Some(malformed(SEVERAL)) };
    match line? {
        Cow::Borrowed(line) => of_line(line.trim(), raw).map(|token| Offer::Token(Cow::Borrowed(token))),
        Cow::Owned(line) => of_line(line.trim(), raw).map(|token| Offer::Token(Cow::Owned(token.to_owned()))),
    }
}

fn of_line(line: &str, raw: RawToken) -> Option<&str> {
    second_word(line).or_else(|| (raw == RawToken::Allowed && is_raw(line)).then_some(line))
}

/// A single word that is no scheme without its credentials.
fn is_raw(line: &str) -> bool {
    let is_scheme = ["bearer", "basic", "digest", "negotiate", "dpop"]
        .into_iter()
        .any(|scheme| line.eq_ignore_ascii_case(scheme));
    !line.is_empty() && !line.contains(' ') && !is_scheme
}

fn in_header<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Option<Offer<'a>> {
    let mut lines = headers.get_all(name).iter();
    let line = lines.next()?;
    if lines.next().is_some() {
        return Some(malformed(SEVERAL));
    }
    let Ok(line) = str::from_utf8(line.as_bytes()) else { return Some(malformed(NOT_TEXT)) };
    let line = line.trim();
    let is_bearer = |word: &str| word.eq_ignore_ascii_case("bearer");
    let token = match line.split_once(' ') {
        Some((scheme, token)) if is_bearer(scheme) => token.trim(),
        None if is_bearer(line) => "",
        _ => line,
    };
    (!token.is_empty()).then_some(Offer::Token(Cow::Borrowed(token)))
}

fn in_query<'a>(query: &'a str, name: &str) -> Option<Offer<'a>> {
    let found = form_urlencoded::parse(query.as_bytes()).filter(|(other, _)| other == name);
    single(found.map(|(_, value)| value).filter(|value| !value.is_empty()))
}

fn in_cookie<'a>(headers: &'a HeaderMap, name: &str) -> Option<Offer<'a>> {
    let cookies = RequestCookies::new(headers);
    let mut values = cookies.all(name).filter(|value| !value.is_empty());
    let first = values.next()?;
    if values.any(|other| other != first) {
        return Some(malformed(SEVERAL));
    }
    Some(str::from_utf8(first).map_or(malformed(NOT_TEXT), |token| Offer::Token(Cow::Borrowed(token))))
}

fn in_subprotocol(headers: &HeaderMap) -> Option<Offer<'static>> {
    match websocket::read(headers) {
        Offered::Nothing => None,
        Offered::Token(token) => Some(Offer::Token(Cow::Owned(token.into_exposed()))),
        Offered::Malformed(why) => Some(malformed(&why.to_string())),
    }
}

/// The one value, however often it comes.
fn single<'a>(mut values: impl Iterator<Item = Cow<'a, str>>) -> Option<Offer<'a>> {
    let first = values.next()?;
    if values.any(|other| other != first) { Some(malformed(SEVERAL)) } else { Some(Offer::Token(first)) }
}

/// A query without these parameters, for applications and logs; every other byte of it stays. Names are compared as they
/// are read, so another spelling of one is gone too. `None` if nothing is left.
pub fn without_parameters<'a>(query: &'a str, names: &[&str]) -> Option<Cow<'a, str>> {
    let is_named = |piece: &str| {
        let parameter = form_urlencoded::parse(piece.as_bytes()).next();
        parameter.is_some_and(|(name, _)| names.contains(&&*name))
    };
    if !query.split('&').any(is_named) {
        return Some(Cow::Borrowed(query));
    }
    let mut kept = String::with_capacity(query.len());
    for piece in query.split('&').filter(|piece| !is_named(piece)) {
        let and = if kept.is_empty() { "" } else { "&" };
        let _ = write!(kept, "{and}{piece}");
    }
    (!kept.is_empty()).then_some(Cow::Owned(kept))
}

#[cfg(test)]
mod tests;
