use http::request::Builder;

use super::*;

const PROXY: &str = "10.0.0.1";
const STRANGER: &str = "203.0.113.9";

fn config(client_ip_header: &'static str) -> Config {
    let forwarded = Forwarded::From {
        proxies: Networks::parse(&["10.0.0.0/8".to_owned()]).unwrap(),
        client_ip_header: HeaderName::from_static(client_ip_header),
        strangers: StrangersHeaders::Removed,
    };
    Config { forwarded, request_id_header: HeaderName::from_static("x-request-id") }
}

fn read(config: &Config, peer: &str, request: Builder) -> Result<RequestFacts, Malformed> {
    let peer = Peer::Ip(format!("{peer}:4000").parse().unwrap());
    let connection =
        Connection { peer, scheme: Scheme::Http, worker: WorkerId(0), certificates: None, duty: Duty::Carry };
    let now = Timestamp::from(std::time::SystemTime::UNIX_EPOCH);
    config.read(&connection, request.body(Body::Empty).unwrap(), now).map(|arrival| arrival.facts)
}

/// A `GET /own` with `Host: own.test` and these headers.
fn with(headers: &[(&str, &str)]) -> Builder {
    let request = Request::get("/own").header("host", "own.test");
    headers.iter().fold(request, |request, (name, value)| request.header(*name, *value))
}

/// Host, scheme, judged method and target, client: everything that headers can change.
fn summary(facts: &RequestFacts) -> String {
    let scheme = facts.scheme.map_or("-".to_owned(), |scheme| scheme.to_string());
    let client = facts.client.known().map_or("-".to_owned(), |address| address.to_string());
    let (method, target) = (facts.judged_method(), facts.judged().path_and_query());
    format!("{} {scheme} {method} {target} {client}", facts.host_str())
}

const OWN: &str = "own.test - GET /own";

#[test]
fn a_trusted_hop_is_believed_and_nobody_else() {
    let config = config("x-real-ip");
    for (headers, believed) in [
        (&[][..], "own.test - GET /own -"),
        (&[("x-forwarded-host", "app.test:8443")], "app.test:8443 - GET /own -"),
        (&[("x-forwarded-host", "")], "own.test - GET /own -"),
        (&[("x-forwarded-proto", "https")], "own.test https GET /own -"),
        (&[("x-forwarded-proto", "WSS")], "own.test https GET /own -"),
        (&[("x-forwarded-proto", "http")], "own.test http GET /own -"),
        (&[("x-forwarded-uri", "/asked?x=1")], "own.test - GET /asked?x=1 -"),
        (&[("x-forwarded-uri", "//asked")], "own.test - GET //asked -"),
        (&[("x-forwarded-uri", "/asked?x=\\")], "own.test - GET /asked?x=\\ -"),
        (&[("x-forwarded-uri", "https://app.test/asked?x=1")], "own.test - GET /asked?x=1 -"),
        (&[("x-forwarded-uri", "HTTP://app.test")], "own.test - GET / -"),
        (&[("x-forwarded-method", "POST")], "own.test - POST /own -"),
        (&[("x-original-method", "DELETE")], "own.test - DELETE /own -"),
        (&[("x-original-method", "")], "own.test - GET /own -"),
        (&[("x-original-method", "PUT"), ("x-forwarded-method", "PUT")], "own.test - PUT /own -"),
        (&[("x-real-ip", "192.0.2.7")], "own.test - GET /own 192.0.2.7"),
        (&[("x-real-ip", "[2001:db8::7]:80")], "own.test - GET /own 2001:db8::7"),
        (&[("x-real-ip", "::ffff:192.0.2.7")], "own.test - GET /own 192.0.2.7"),
        (&[("x-real-ip", "nonsense")], "own.test - GET /own -"),
    ] {
        let trusted = read(&config, PROXY, with(headers)).unwrap();
        assert_eq!(summary(&trusted), believed, "{headers:?}");
        assert_eq!(trusted.hop, Hop::Trusted);
        let direct = read(&config, STRANGER, with(headers)).unwrap();
        assert_eq!(summary(&direct), format!("{OWN} {STRANGER}"), "{headers:?}");
        assert_eq!((direct.hop, direct.original, direct.original_method), (Hop::Direct, None, None));
        let ignoring = Config { forwarded: Forwarded::Ignored, ..config.clone() };
        let ignored = read(&ignoring, PROXY, with(headers)).unwrap();
        assert_eq!(summary(&ignored), format!("{OWN} {PROXY}"), "{headers:?}");
    }
}

#[test]
fn ambiguity_from_a_trusted_hop_is_refused() {
    let config = config("x-real-ip");
    for headers in [
        &[("x-forwarded-host", "a.test"), ("x-forwarded-host", "a.test")][..],
        &[("x-forwarded-host", "a.test, b.test")],
        &[("x-forwarded-host", "evil@a.test")],
        &[("x-forwarded-host", "a.test/")],
        &[("x-forwarded-proto", "http"), ("x-forwarded-proto", "https")],
        &[("x-forwarded-uri", "/a"), ("x-forwarded-uri", "/b")],
        &[("x-forwarded-uri", "/a#b")],
        &[("x-forwarded-uri", "/a b")],
        &[("x-forwarded-uri", "public")],
        &[("x-forwarded-uri", "x:1")],
        &[("x-forwarded-uri", "*")],
        &[("x-forwarded-uri", "?x=/a")],
        &[("x-forwarded-uri", "a.test/b")],
        &[("x-forwarded-uri", "http:/a")],
        &[("x-forwarded-uri", "https://")],
        &[("x-forwarded-uri", "ftp://a.test/b")],
        &[("x-forwarded-uri", "\\a")],
        &[("x-forwarded-uri", "/public\\..\\admin")],
        &[("x-forwarded-uri", "https://a.test/b\\c")],
        &[("x-forwarded-method", "GET"), ("x-forwarded-method", "GET")],
        &[("x-original-method", "GET"), ("x-original-method", "POST")],
        &[("x-forwarded-method", "POST"), ("x-original-method", "GET")],
        &[("x-forwarded-method", "GET, POST")],
        &[("x-original-method", "/open")],
        &[("x-real-ip", "192.0.2.7"), ("x-real-ip", "192.0.2.7")],
        &[("x-real-ip", "192.0.2.7"), ("x-real-ip", "")],
    ] {
        let refusal = read(&config, PROXY, with(headers)).unwrap_err();
        assert_eq!(refusal.status, StatusCode::BAD_REQUEST, "{headers:?}");
        // What a stranger says is not even read.
        let direct = read(&config, STRANGER, with(headers)).unwrap();
        assert_eq!(summary(&direct), format!("{OWN} {STRANGER}"), "{headers:?}");
    }
}

#[test]
fn of_all_client_headers_only_the_list_of_proxies_may_have_several_lines() {
    let lines = |name| with(&[(name, "192.0.2.7, 198.51.100.1"), (name, "10.0.0.2")]);
    let listed = read(&config("x-forwarded-for"), PROXY, lines("x-forwarded-for")).unwrap();
    assert_eq!(summary(&listed), format!("{OWN} 198.51.100.1"));
    for name in ["x-real-ip", "cf-connecting-ip", "x-proxyuser-ip"] {
        assert!(read(&config(name), PROXY, lines(name)).is_err(), "{name}");
        // Another header than the chosen one is not looked at.
        assert!(read(&config("x-forwarded-for"), PROXY, lines(name)).is_ok(), "{name}");
    }
}

#[test]
fn a_host_is_a_name_or_an_address_with_an_optional_port() {
    for host in [
        "a",
        "a.test",
        "A.Test",
        "a.test.",
        "a_b.svc-1",
        "a.test:80",
        "a.test:",
        "127.0.0.1",
        "127.0.0.1:4180",
        "[::1]",
        "[2001:db8::1]:443",
        "xn--bcher-kva.test",
    ] {
        assert!(is_host(host.as_bytes()), "{host}");
    }
    for host in [
        "",
        ":80",
        "a/..//b?x#<",
        "a@b",
        "evil,good",
        "a, b",
        "a b",
        " a",
        "a\\b",
        "a%2fb",
        "a;b",
        "a?b",
        "a#b",
        "a:b",
        "a:80:80",
        "a:800000",
        "a:-1",
        "a\"b",
        "a<b",
        "b\u{fc}cher",
        "[::1",
        "::1",
        "[]",
        "[a.test]",
        "[::1]x",
        "[::1]:x",
        "[fe80::1%eth0]",
    ] {
        assert!(!is_host(host.as_bytes()), "{host}");
    }
}

#[test]
fn a_request_names_its_host_once_and_readably() {
    let config = config("x-real-ip");
    let request = |target: &str, version, hosts: &[&str]| {
        let request = Request::get(target).version(version);
        hosts.iter().fold(request, |request, host| request.header("host", *host))
    };
    for (target, version, hosts, expected) in [
        ("/", Version::HTTP_11, &["a.test"][..], Some("a.test")),
        ("/", Version::HTTP_11, &[], None),
        ("/", Version::HTTP_11, &[""], None),
        ("/", Version::HTTP_11, &["a@b"], None),
        ("/", Version::HTTP_11, &["a.test", "a.test"], None),
        ("/", Version::HTTP_10, &[], Some("")),
        ("/", Version::HTTP_10, &["a.test"], Some("a.test")),
        ("/", Version::HTTP_10, &["a,b"], None),
        ("http://b.test/", Version::HTTP_11, &["a.test"], Some("b.test")),
        ("http://b.test/", Version::HTTP_11, &[], None),
        ("http://b.test/", Version::HTTP_11, &["a/b"], None),
        ("http://u@b.test/", Version::HTTP_11, &["a.test"], None),
        ("https://b.test/", Version::HTTP_2, &[], Some("b.test")),
        ("https://u@b.test/", Version::HTTP_2, &[], None),
        ("/", Version::HTTP_2, &["a.test"], Some("a.test")),
        ("/", Version::HTTP_2, &[], None),
    ] {
        for peer in [STRANGER, PROXY] {
            let facts = read(&config, peer, request(target, version, hosts));
            let host = facts.as_ref().ok().map(RequestFacts::host_str);
            assert_eq!(host, expected, "{target} {version:?} {hosts:?}");
        }
        // A forwarded host does not make up for one that cannot be read.
        let forwarded = request(target, version, hosts).header("x-forwarded-host", "app.test");
        let facts = read(&config, PROXY, forwarded);
        let host = facts.as_ref().ok().map(RequestFacts::host_str);
        assert_eq!(host, expected.map(|_| "app.test"), "{target} {version:?} {hosts:?}");
    }
}

#[test]
fn a_target_is_a_path_without_backslashes() {
    let config = config("x-real-ip");
    for (method, target, expected) in [
        (Method::GET, "/a?b=c", Some("/a?b=c")),
        (Method::GET, "http://own.test/a?b", Some("/a?b")),
        (Method::GET, "http://own.test?b", Some("/?b")),
        (Method::GET, "/a?b=\\c", Some("/a?b=\\c")),
        (Method::GET, "/a%5Cb", Some("/a%5Cb")),
        (Method::GET, "//\\evil.example", None),
        (Method::GET, "/\\evil.example", None),
        (Method::GET, "/public/..\\admin", None),
        (Method::GET, "http://own.test/\\a", None),
        (Method::OPTIONS, "*", None),
        (Method::CONNECT, "own.test:443", None),
    ] {
        let request = Request::builder().method(&method).uri(target).header("host", "own.test");
        let facts = read(&config, STRANGER, request);
        let found = facts.as_ref().ok().map(|facts| facts.target.path_and_query());
        assert_eq!(found, expected, "{method} {target}");
    }
}

#[test]
fn rules_and_applications_see_the_same_host() {
    let read = |version: Version, target: &str, host: Option<&str>| {
        let mut request = Request::builder().uri(target).version(version).body(Body::Empty).unwrap();
        if let Some(host) = host {
            request.headers_mut().insert("host", host.parse().unwrap());
        }
        let peer = Peer::Ip(format!("{STRANGER}:4000").parse().unwrap());
        let connection = Connection {
            peer,
            scheme: Scheme::Http,
            worker: WorkerId(0),
            certificates: None,
            duty: Duty::Carry,
        };
        let now = Timestamp::from(std::time::SystemTime::UNIX_EPOCH);
        let arrival = config("x-real-ip").read(&connection, request, now).unwrap();
        let line = arrival.headers().get("host").map(|host| host.to_str().unwrap().to_owned());
        (arrival.facts.host_str().to_owned(), line.unwrap_or_default())
    };
    let both = |host: &str| (host.to_owned(), host.to_owned());
    assert_eq!(read(Version::HTTP_11, "/x", Some("a.test")), both("a.test"));
    assert_eq!(read(Version::HTTP_11, "http://b.test/x", Some("a.test")), both("b.test"));
    assert_eq!(read(Version::HTTP_2, "https://b.test:8443/x", None), both("b.test:8443"));
    assert_eq!(read(Version::HTTP_2, "https://b.test/x", Some("a.test")), both("b.test"));
    assert_eq!(read(Version::HTTP_2, "/x", Some("a.test")), both("a.test"));
}
