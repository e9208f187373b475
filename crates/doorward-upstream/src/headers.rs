//! What happens to headers on the way: hop-by-hop headers go (RFC 9110 section 7.6.1), the peer is added to
//! `X-Forwarded-For`, identity is set last. The order matters: whatever a client names in `Connection` has been
//! removed before the identity is set, so no client can have the identity removed.

use std::{
    fmt::{self, Write as _},
    net::IpAddr,
};

use bytes::{BufMut, BytesMut};
use doorward_net::Body;
use http::{HeaderMap, HeaderName, HeaderValue, Method, Uri, header, header::Entry};
use http_body::Body as _;

pub(crate) const X_FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
pub(crate) const KEEP_ALIVE: HeaderName = HeaderName::from_static("keep-alive");
pub(crate) const PROXY_CONNECTION: HeaderName = HeaderName::from_static("proxy-connection");

const CHUNKED: HeaderValue = HeaderValue::from_static("chunked");
const TRAILERS: HeaderValue = HeaderValue::from_static("trailers");
const ZERO: HeaderValue = HeaderValue::from_static("0");

/// Names of fields that are never trailers of a request.
const NEVER_TRAILERS: [&str; 19] = [
    "authorization",
    "cache-control",
    "connection",
    "cookie",
    "expect",
    "forwarded",
    "host",
    "http2-settings",
    "keep-alive",
    "max-forwards",
    "origin",
    "range",
    "referer",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
    "user-agent",
    "via",
];

/// Beginnings of further such names.
const NEVER_TRAILER_PREFIXES: [&str; 14] = [
    "accept",
    "cf-connecting",
    "content-",
    "gap-",
    "if-",
    "proxy",
    "sec-",
    "true-client",
    "x-auth-request-",
    "x-client",
    "x-cluster-client",
    "x-forwarded-",
    "x-original-",
    "x-real-",
];

/// Removes what concerns only the connection to the client. `Trailer` keeps the names of fields that may come there.
pub(crate) fn strip_request(headers: &mut HeaderMap) {
    remove_named(headers);
    let accepts_trailers = headers.get(header::TE).is_some_and(|first| {
        has_token(first, "trailers") || headers.get_all(header::TE).iter().any(|te| has_token(te, "trailers"))
    });
    remove_hop_by_hop(headers);
    headers.remove(header::TRANSFER_ENCODING);
    if accepts_trailers {
        headers.insert(header::TE, TRAILERS);
    }
    keep_announced(headers);
}

/// Of the announced trailers leaves those that may be sent.
fn keep_announced(headers: &mut HeaderMap) {
    let Entry::Occupied(announced) = headers.entry(header::TRAILER) else { return };
    let values: Vec<HeaderValue> = announced.remove_entry_mult().1.collect();
    let may_come = |name: &&str| HeaderName::try_from(*name).is_ok_and(|name| may_trail(&name));
    let kept: Vec<&str> = values.iter().flat_map(tokens).filter(may_come).collect();
    if let Ok(value) = HeaderValue::try_from(kept.join(", "))
        && !value.is_empty()
    {
        headers.insert(header::TRAILER, value);
    }
}

/// Removes from the trailers of a request all that an application must not learn so late (RFC 9110 section 6.5.1): what
/// frames or routes the request, says who makes it or where it comes from, or what its content is. Programs that take
/// trailers for headers would believe it.
pub(crate) fn strip_trailers(trailers: &mut HeaderMap) {
    let unwanted: Vec<HeaderName> = trailers.keys().filter(|name| !may_trail(name)).cloned().collect();
    for name in unwanted {
        trailers.remove(name);
    }
}

fn may_trail(name: &HeaderName) -> bool {
    // As applications see it that fold other characters together (CGI, WSGI).
    let name = name.as_str().replace(|letter: char| !letter.is_ascii_alphanumeric(), "-");
    let starts_with = |prefix: &&str| name.starts_with(*prefix);
    !NEVER_TRAILERS.contains(&name.as_str()) && !NEVER_TRAILER_PREFIXES.iter().any(starts_with)
}

/// Removes what concerns only the connection to the application. `Trailer` stays, since trailers are passed on.
pub(crate) fn strip_response(headers: &mut HeaderMap) {
    remove_named(headers);
    // The body is framed anew. A length beside a transfer encoding is a lie (RFC 9112 section 6.3).
    if headers.remove(header::TRANSFER_ENCODING).is_some() {
        headers.remove(header::CONTENT_LENGTH);
    }
    remove_hop_by_hop(headers);
}

/// Hop-by-hop fields that are the same in both directions.
const HOP_BY_HOP: [HeaderName; 6] = [
    KEEP_ALIVE,
    PROXY_CONNECTION,
    header::PROXY_AUTHENTICATE,
    header::PROXY_AUTHORIZATION,
    header::TE,
    header::UPGRADE,
];

/// Most messages have none of these, which one look at the names tells.
fn remove_hop_by_hop(headers: &mut HeaderMap) {
    if headers.keys().any(|name| HOP_BY_HOP.contains(name)) {
        for name in HOP_BY_HOP {
            headers.remove(name);
        }
    }
}

/// Removes `Connection` and every header that it names.
fn remove_named(headers: &mut HeaderMap) {
    let Entry::Occupied(connection) = headers.entry(header::CONNECTION) else { return };
    let values: Vec<HeaderValue> = connection.remove_entry_mult().1.collect();
    for token in values.iter().flat_map(tokens) {
        // These say where the message goes and where it ends; no sender can mean them for one hop only.
        if !token.eq_ignore_ascii_case("host") && !token.eq_ignore_ascii_case("content-length") {
            headers.remove(token);
        }
    }
}

/// The items of a comma-separated header.
fn tokens(value: &HeaderValue) -> impl Iterator<Item = &str> {
    value.to_str().unwrap_or("").split(',').map(str::trim).filter(|token| !token.is_empty())
}

/// Whether a comma-separated header has this item, in any case.
pub(crate) fn has_token(value: &HeaderValue, wanted: &str) -> bool {
    tokens(value).any(|token| token.eq_ignore_ascii_case(wanted))
}

/// Appends the peer to the chain of addresses, on one line.
pub(crate) fn append_peer(headers: &mut HeaderMap, peer: IpAddr) {
    // The longest IPv6 address has 45 characters.
    let mut chain = BytesMut::with_capacity(48);
    for earlier in headers.get_all(X_FORWARDED_FOR) {
        chain.put_slice(earlier.as_bytes());
        chain.put_slice(b", ");
    }
    let written: fmt::Result = write!(chain, "{}", peer.to_canonical());
    if let (Ok(()), Ok(value)) = (written, HeaderValue::from_maybe_shared(chain.freeze())) {
        headers.insert(X_FORWARDED_FOR, value);
    }
}

/// Joins several `Cookie` lines as RFC 9113 section 8.2.3 says: servers expect one line.
pub(crate) fn join_cookies(headers: &mut HeaderMap) {
    let mut lines = headers.get_all(header::COOKIE).iter();
    let (Some(first), Some(second)) = (lines.next(), lines.next()) else { return };
    let mut joined = BytesMut::from(first.as_bytes());
    for line in [second].into_iter().chain(lines) {
        joined.put_slice(b"; ");
        joined.put_slice(line.as_bytes());
    }
    if let Ok(value) = HeaderValue::from_maybe_shared(joined.freeze()) {
        headers.insert(header::COOKIE, value);
    }
}

/// Sets the identity in place of anything of the same names. A name may come several times.
pub(crate) fn set_identity(headers: &mut HeaderMap, identity: &[(HeaderName, HeaderValue)]) {
    for (index, (name, value)) in identity.iter().enumerate() {
        if identity.iter().take(index).any(|(earlier, _)| earlier == name) {
            headers.append(name.clone(), value.clone());
        } else {
            headers.insert(name.clone(), value.clone());
        }
    }
}

/// States the length of the body as it is, so that the application and we agree where the request ends.
pub(crate) fn frame(method: &Method, headers: &mut HeaderMap, body: &Body) {
    headers.remove(header::TRANSFER_ENCODING);
    if body.is_end_stream() {
        headers.remove(header::TRAILER);
        // Some servers insist on a length where the method usually has content.
        if matches!(*method, Method::POST | Method::PUT | Method::PATCH) {
            headers.insert(header::CONTENT_LENGTH, ZERO);
        } else {
            headers.remove(header::CONTENT_LENGTH);
        }
        return;
    }
    if let Some(length) = body.size_hint().exact() {
        if stated_length(headers) != Some(length) {
            headers.insert(header::CONTENT_LENGTH, HeaderValue::from(length));
        }
    } else {
        headers.remove(header::CONTENT_LENGTH);
        headers.insert(header::TRANSFER_ENCODING, CHUNKED);
    }
}

/// The one stated length; none if there are several.
fn stated_length(headers: &HeaderMap) -> Option<u64> {
    let mut lengths = headers.get_all(header::CONTENT_LENGTH).iter();
    match (lengths.next(), lengths.next()) {
        (Some(length), None) => length.to_str().ok()?.parse().ok(),
        _ => None,
    }
}

/// The host that the client addressed: an absolute target says more than `Host` (RFC 9112 section 3.2.2).
pub(crate) fn keep_client_host(headers: &mut HeaderMap, target: &Uri, fallback: &HeaderValue) {
    if let Some(authority) = target.authority() {
        let authority = authority.as_str();
        let host = authority.rsplit_once('@').map_or(authority, |(_user_info, host)| host);
        let host = HeaderValue::from_str(host).unwrap_or_else(|_| fallback.clone());
        headers.insert(header::HOST, host);
        return;
    }
    let mut hosts = headers.get_all(header::HOST).iter();
    match (hosts.next(), hosts.next()) {
        (Some(_), None) => {}
        (None, _) => {
            headers.insert(header::HOST, fallback.clone());
        }
        (Some(first), Some(_)) => {
            let first = first.clone();
            headers.insert(header::HOST, first);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(lines: &[(&str, &str)]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for (name, value) in lines {
            headers.append(name.parse::<HeaderName>().unwrap(), value.parse().unwrap());
        }
        headers
    }

    #[track_caller]
    fn check(change: impl Fn(&mut HeaderMap), before: &[(&str, &str)], after: &[(&str, &str)]) {
        let mut changed = headers(before);
        change(&mut changed);
        assert_eq!(changed, headers(after), "{before:?}");
    }

    #[test]
    fn hop_by_hop_headers_of_a_request_go() {
        check(
            strip_request,
            &[
                ("connection", "X-Hop, close"),
                ("connection", "x-other ,,"),
                ("x-hop", "1"),
                ("x-other", "1"),
                ("keep-alive", "timeout=5"),
                ("proxy-connection", "keep-alive"),
                ("proxy-authorization", "Basic eDp5"),
                ("proxy-authenticate", "Basic"),
                ("te", "gzip"),
                ("trailer", "x-forwarded-user, authorization, Content-Length"),
                ("transfer-encoding", "chunked"),
                ("upgrade", "h2c"),
                ("http2-settings", "AAMAAABk"),
                ("x-stay", "1"),
                ("host", "h"),
            ],
            &[("http2-settings", "AAMAAABk"), ("x-stay", "1"), ("host", "h")],
        );
        check(strip_request, &[("te", "gzip"), ("te", "deflate, Trailers")], &[("te", "trailers")]);
        check(
            strip_request,
            &[("trailer", "X-Sum, Cookie"), ("trailer", "grpc-status, b@d,X-Real-IP")],
            &[("trailer", "X-Sum, grpc-status")],
        );
        check(strip_request, &[("connection", "trailer"), ("trailer", "x-sum")], &[]);
        check(strip_request, &[("connection", "te"), ("te", "trailers")], &[]);
        check(
            strip_request,
            &[("connection", "Host, Content-Length"), ("host", "h"), ("content-length", "3")],
            &[("host", "h"), ("content-length", "3")],
        );
    }

    #[test]
    fn trailers_of_a_request_can_pose_as_nothing() {
        check(
            strip_trailers,
            &[
                ("x-forwarded-user", "evil"),
                ("x-forwarded-for", "10.0.0.1"),
                ("x_forwarded_for", "10.0.0.1"),
                ("x.real.ip", "10.0.0.1"),
                ("transfer_encoding", "chunked"),
                ("cf-connecting-ip", "10.0.0.1"),
                ("x-auth-request-email", "evil"),
                ("gap-auth", "evil"),
                ("authorization", "Basic eDp5"),
                ("cookie", "a=b"),
                ("host", "evil.test"),
                ("content-length", "3"),
                ("content-type", "text/html"),
                ("transfer-encoding", "chunked"),
                ("proxy", "evil.test"),
                ("te", "trailers"),
                ("x-checksum", "1"),
                ("grpc-status", "0"),
            ],
            &[("x-checksum", "1"), ("grpc-status", "0")],
        );
    }

    #[test]
    fn hop_by_hop_headers_of_a_response_go() {
        check(
            strip_response,
            &[
                ("connection", "x-hop"),
                ("x-hop", "1"),
                ("keep-alive", "timeout=5"),
                ("transfer-encoding", "chunked"),
                ("content-length", "5"),
                ("upgrade", "h2"),
                ("proxy-authenticate", "Basic"),
                ("trailer", "x-sum"),
                ("set-cookie", "a=b"),
                ("set-cookie", "c=d"),
            ],
            &[("trailer", "x-sum"), ("set-cookie", "a=b"), ("set-cookie", "c=d")],
        );
        check(strip_response, &[("content-length", "5")], &[("content-length", "5")]);
    }

    #[test]
    fn the_peer_ends_the_chain_of_addresses() {
        let v4 = IpAddr::from([127, 0, 0, 1]);
        check(|headers| append_peer(headers, v4), &[], &[("x-forwarded-for", "127.0.0.1")]);
        check(
            |headers| append_peer(headers, v4),
            &[("x-forwarded-for", "10.1.1.1, 10.2.2.2"), ("x-forwarded-for", "junk")],
            &[("x-forwarded-for", "10.1.1.1, 10.2.2.2, junk, 127.0.0.1")],
        );
        let mapped: IpAddr = "::ffff:10.0.0.1".parse().unwrap();
        check(|headers| append_peer(headers, mapped), &[], &[("x-forwarded-for", "10.0.0.1")]);
        let v6: IpAddr = "2001:db8::1".parse().unwrap();
        check(|headers| append_peer(headers, v6), &[], &[("x-forwarded-for", "2001:db8::1")]);
    }

    #[test]
    fn several_cookie_lines_become_one_and_nothing_else_is_joined() {
        check(
            join_cookies,
            &[("cookie", "a=1"), ("x", "1"), ("cookie", "b=2; c=3"), ("x", "2"), ("cookie", "d=4")],
            &[("cookie", "a=1; b=2; c=3; d=4"), ("x", "1"), ("x", "2")],
        );
        check(join_cookies, &[("cookie", "a=1")], &[("cookie", "a=1")]);
        check(join_cookies, &[], &[]);
    }

    #[test]
    fn identity_replaces_and_never_appends() {
        let user = HeaderName::from_static("x-forwarded-user");
        let group = HeaderName::from_static("x-group");
        let identity = [
            (user, HeaderValue::from_static("alice")),
            (group.clone(), HeaderValue::from_static("a")),
            (group, HeaderValue::from_static("b")),
        ];
        check(
            |headers| set_identity(headers, &identity),
            &[("x-forwarded-user", "evil"), ("x-forwarded-user", "evil2"), ("x-group", "root")],
            &[("x-forwarded-user", "alice"), ("x-group", "a"), ("x-group", "b")],
        );
    }

    #[test]
    fn the_stated_length_is_the_length_of_the_body() {
        let frame_as = |method: Method, body: &'static str| {
            move |headers: &mut HeaderMap| frame(&method, headers, &Body::from(body))
        };
        let stated = &[("content-length", "5"), ("transfer-encoding", "chunked")];
        check(frame_as(Method::POST, "abc"), stated, &[("content-length", "3")]);
        check(frame_as(Method::POST, ""), stated, &[("content-length", "0")]);
        check(frame_as(Method::GET, ""), stated, &[]);
        check(frame_as(Method::GET, "abc"), &[], &[("content-length", "3")]);
    }

    #[test]
    fn an_absolute_target_says_the_host() {
        for (target, expected) in [
            ("/x", "from-header"),
            ("http://app.test/x", "app.test"),
            ("http://app.test:81?q", "app.test:81"),
            ("http://user:pass@app.test/x", "app.test"),
        ] {
            let mut headers = headers(&[("host", "from-header")]);
            keep_client_host(&mut headers, &target.parse().unwrap(), &HeaderValue::from_static("fallback"));
            assert_eq!(headers["host"], expected, "{target}");
        }
    }

    #[test]
    fn there_is_always_one_host() {
        let fallback = HeaderValue::from_static("fallback");
        let keep = |headers: &mut HeaderMap| keep_client_host(headers, &Uri::from_static("/"), &fallback);
        check(keep, &[("host", "a"), ("host", "b")], &[("host", "a")]);
        check(keep, &[], &[("host", "fallback")]);
    }
}
