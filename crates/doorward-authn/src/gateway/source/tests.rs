use http::{
    HeaderValue,
    header::{CONNECTION, UPGRADE},
};

use super::*;
use doorward_core::Timestamp;

fn headers(lines: &[(&str, &str)]) -> HeaderMap {
    let line = |(name, value): &(&str, &str)| {
        (HeaderName::try_from(*name).unwrap(), HeaderValue::from_bytes(value.as_bytes()).unwrap())
    };
    lines.iter().map(line).collect()
}

/// What is read, in order: tokens, and a cross for whatever is malformed.
fn read(sources: &[&str], raw: RawToken, headers: &HeaderMap, query: Option<&str>) -> Vec<String> {
    let sources = sources.iter().map(|text| Source::parse(text, raw).unwrap()).collect();
    let sources = Sources::new(sources).unwrap();
    let now = Timestamp::default();
    let presented = Presented {
        headers,
        query,
        certificates: None,
        of_connection: None,
        cookies: CookieTokens::Count,
        now,
    };
    let shown = |offer| match offer {
        Offer::Token(token) => token.into_owned(),
        Offer::Malformed(_) => "x".to_owned(),
    };
    sources.read(&presented).map(shown).collect()
}

const AUTHORIZATION_HEADER: &str = "$request.header.Authorization";

#[test]
fn b01_b02_a_token_is_read_from_the_places_that_are_named_and_no_others() {
    let all =
        [AUTHORIZATION_HEADER, "$request.header.X-Token", "$request.querystring.token", "$request.cookie.t"];
    for (sources, lines, query, expected) in [
        (&all[..1], &[][..], None, &[][..]),
        (&all[..1], &[("authorization", "Bearer a.b.c")], None, &["a.b.c"]),
        (&all[..1], &[("authorization", "bEARER a trailing")], None, &["a"]),
        (&all[..1], &[("authorization", "Bearer  a")], None, &[]),
        (&all[..1], &[("authorization", "Bearer")], None, &[]),
        (&all[..1], &[("authorization", "a.b.c")], None, &[]),
        (&all[..1], &[("authorization", "Basic a")], None, &[]),
        (&all[..1], &[("authorization", "Bearer a"), ("authorization", "Bearer a")], None, &["x"]),
        (&all[..1], &[("x-token", "a"), ("cookie", "t=a")], Some("token=a"), &[]),
        (&all[1..2], &[("x-token", "a.b.c")], None, &["a.b.c"]),
        (&all[1..2], &[("x-token", " bearer  a.b.c ")], None, &["a.b.c"]),
        (&all[1..2], &[("x-token", "Bearer")], None, &[]),
        (&all[1..2], &[("x-token", "")], None, &[]),
        (&all[1..2], &[("x-token", "a"), ("x-token", "b")], None, &["x"]),
        (&all[1..2], &[("authorization", "Bearer a")], None, &[]),
        (&all[2..3], &[], Some("a=1&token=a.b.c&b=2"), &["a.b.c"]),
        (&all[2..3], &[], Some("tok%65n=a%2Eb"), &["a.b"]),
        (&all[2..3], &[], Some("Token=a"), &[]),
        (&all[2..3], &[], Some("token="), &[]),
        (&all[2..3], &[], Some("token"), &[]),
        (&all[2..3], &[], Some("token=a&token=a"), &["a"]),
        (&all[2..3], &[], Some("token=a&token=b"), &["x"]),
        (&all[2..3], &[], Some("a;token=a"), &[]),
        (&all[3..], &[("cookie", "s=1; t=a.b.c; u=2")], None, &["a.b.c"]),
        (&all[3..], &[("cookie", "t=\"a\"")], None, &["a"]),
        (&all[3..], &[("cookie", "t=; t=a")], None, &["a"]),
        (&all[3..], &[("cookie", "t=a; t=b")], None, &["x"]),
        (&all[3..], &[("cookie", "t=a"), ("cookie", "t=b")], None, &["x"]),
        (&all[3..], &[("cookie", "T=a")], None, &[]),
        (
            &all,
            &[("cookie", "t=d"), ("x-token", "b"), ("authorization", "Bearer a")],
            Some("token=c"),
            &["a", "b", "c", "d"],
        ),
    ] {
        let found = read(sources, RawToken::Refused, &headers(lines), query);
        assert_eq!(found, expected, "{sources:?} {lines:?} {query:?}");
    }
}

#[test]
fn a_token_without_a_scheme_has_to_be_allowed() {
    for (value, expected) in [
        ("a.b.c", Some("a.b.c")),
        ("Bearer a.b.c", Some("a.b.c")),
        ("  a.b.c  ", Some("a.b.c")),
        ("Basic a", None),
        ("Bearer", None),
        ("negotiate", None),
        ("", None),
    ] {
        let headers = headers(&[("authorization", value)]);
        let found = read(&[AUTHORIZATION_HEADER], RawToken::Allowed, &headers, None);
        assert_eq!(found, expected.into_iter().collect::<Vec<_>>(), "{value:?}");
    }
}

#[test]
fn what_is_no_text_is_no_missing_token() {
    let odd = |name: &str, value: &[u8]| {
        let mut headers = HeaderMap::new();
        headers.insert(HeaderName::try_from(name).unwrap(), HeaderValue::from_bytes(value).unwrap());
        headers
    };
    let bearer =
        read(&[AUTHORIZATION_HEADER], RawToken::Refused, &odd("authorization", b"Bearer \xff"), None);
    assert_eq!(bearer, ["\u{fffd}"]);
    assert_eq!(read(&["$request.header.x-token"], RawToken::Refused, &odd("x-token", b"\xff"), None), ["x"]);
    assert_eq!(read(&["$request.cookie.t"], RawToken::Refused, &odd("cookie", b"t=\xff"), None), ["x"]);
}

#[test]
fn a_websocket_may_offer_a_token_where_authorization_is_read() {
    let offer = |protocols: &str| {
        let mut headers = headers(&[("sec-websocket-protocol", protocols)]);
        headers.insert(UPGRADE, HeaderValue::from_static("websocket"));
        headers.insert(CONNECTION, HeaderValue::from_static("upgrade"));
        headers
    };
    let good = offer("base64url.bearer.authorization.k8s.io.YWJj, chat");
    assert_eq!(read(&[AUTHORIZATION_HEADER], RawToken::Refused, &good, None), ["abc"]);
    let alone = offer("base64url.bearer.authorization.k8s.io.YWJj");
    assert_eq!(read(&[AUTHORIZATION_HEADER], RawToken::Refused, &alone, None), ["x"]);
    assert!(read(&["$request.cookie.t"], RawToken::Refused, &good, None).is_empty());
    let mut both = good;
    both.insert(AUTHORIZATION, HeaderValue::from_static("Bearer first"));
    assert_eq!(read(&[AUTHORIZATION_HEADER], RawToken::Refused, &both, None), ["first", "abc"]);
}

#[test]
fn places_are_named_as_in_aws() {
    for (text, expected) in [
        ("$request.header.Authorization", Some(Source::Authorization(RawToken::Refused))),
        ("$request.header.X-Token", Some(Source::Header(HeaderName::from_static("x-token")))),
        ("$request.querystring.access_token", Some(Source::Query("access_token".into()))),
        ("$request.cookie.id", Some(Source::Cookie("id".into()))),
        ("$request.header.", None),
        ("$request.header.Cookie", None),
        ("$request.header.Sec-WebSocket-Protocol", None),
        ("$request.header.a b", None),
        ("$request.querystring.", None),
        ("$request.cookie.a;b", None),
        ("$request.cookie.a=b", None),
        ("$request.body.token", None),
        ("$context.authorizer", None),
        ("Authorization", None),
        ("", None),
    ] {
        assert_eq!(Source::parse(text, RawToken::Refused).ok(), expected, "{text}");
    }
    assert_eq!(Sources::new(Vec::new()), Err(InvalidSource::None));
}

#[test]
fn a_parameter_is_taken_out_in_every_spelling_and_the_rest_stays_as_it_is() {
    for (query, left) in [
        ("a=1&token=x&b=%7e", Some("a=1&b=%7e")),
        ("token=x", None),
        ("tok%65n=x&token=y&a", Some("a")),
        ("a=token", Some("a=token")),
        ("a=%zz&&b", Some("a=%zz&&b")),
        ("token", None),
        ("", Some("")),
    ] {
        assert_eq!(without_parameters(query, &["token"]).as_deref(), left, "{query}");
    }
}
