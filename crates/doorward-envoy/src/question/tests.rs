use std::collections::HashMap;

use envoy_types::pb::envoy::{
    config::core::v3::{self as core, HeaderMap as RawHeaders, SocketAddress},
    service::auth::v3::{AttributeContext, attribute_context::Request as Asked},
};

use super::*;

fn check(http: HttpRequest) -> CheckRequest {
    let socket = SocketAddress {
        address: "192.0.2.7".to_owned(),
        port_specifier: Some(PortSpecifier::PortValue(5000)),
        ..SocketAddress::default()
    };
    let address = core::Address { address: Some(Address::SocketAddress(socket)) };
    let source = Peer { address: Some(address), certificate: "-----BEGIN%20".to_owned(), ..Peer::default() };
    let request = Asked { http: Some(http), ..Asked::default() };
    let attributes =
        AttributeContext { source: Some(source), request: Some(request), ..AttributeContext::default() };
    CheckRequest { attributes: Some(attributes) }
}

fn http() -> HttpRequest {
    HttpRequest {
        method: "GET".to_owned(),
        path: "/a%2Fb?x=1".to_owned(),
        host: "app.example.com:8443".to_owned(),
        scheme: "https".to_owned(),
        protocol: "HTTP/2".to_owned(),
        headers: [(":path", "/elsewhere"), ("cookie", "a=b"), ("host", "other.example.com")]
            .map(|(key, value)| (key.to_owned(), value.to_owned()))
            .into(),
        ..HttpRequest::default()
    }
}

#[test]
fn a_question_is_the_request_that_it_is_about() {
    let question = read(check(http())).unwrap();
    assert_eq!(question.peer, Some("192.0.2.7:5000".parse().unwrap()));
    assert_eq!((question.scheme, question.certificate.as_deref()), (Scheme::Https, Some("-----BEGIN%20")));
    let request = question.request;
    assert_eq!((request.method(), request.uri().to_string().as_str()), (&Method::GET, "/a%2Fb?x=1"));
    assert_eq!(request.version(), Version::HTTP_2);
    let hosts: Vec<_> = request.headers().get_all(HOST).iter().collect();
    assert_eq!(hosts, ["app.example.com:8443"]);
    assert_eq!(request.headers().get("cookie").unwrap(), "a=b");
    assert_eq!(request.headers().len(), 2);
}

#[test]
fn repeated_headers_stay_repeated_where_envoy_tells_them() {
    let line = |key: &str, value: &str, raw: &[u8]| Header {
        key: key.to_owned(),
        value: value.to_owned(),
        raw_value: raw.to_vec(),
    };
    let lines = vec![
        line("authorization", "Bearer a", b""),
        line("authorization", "Bearer b", b""),
        line("x-raw", "", b"\xff"),
    ];
    let http =
        HttpRequest { header_map: Some(RawHeaders { headers: lines }), headers: HashMap::new(), ..http() };
    let headers = read(check(http)).unwrap().request.into_parts().0.headers;
    assert_eq!(headers.get_all("authorization").iter().count(), 2);
    assert_eq!(headers.get("x-raw").unwrap().as_bytes(), b"\xff");
}

#[test]
fn what_cannot_be_read_is_no_question() {
    let header = |key: &str, value: &str| HttpRequest {
        headers: [(key.to_owned(), value.to_owned())].into(),
        ..http()
    };
    for (http, expected) in [
        (HttpRequest { method: "GE T".to_owned(), ..http() }, InvalidQuestion::Method),
        (HttpRequest { method: String::new(), ..http() }, InvalidQuestion::Method),
        (HttpRequest { path: String::new(), ..http() }, InvalidQuestion::Path),
        (HttpRequest { path: "http://evil.example/x".to_owned(), ..http() }, InvalidQuestion::Path),
        (HttpRequest { path: "/a b".to_owned(), ..http() }, InvalidQuestion::Path),
        (HttpRequest { host: "a\nb".to_owned(), ..http() }, InvalidQuestion::Host),
        (header("x y", "1"), InvalidQuestion::Header),
        (header("x", "a\r\nb: c"), InvalidQuestion::Header),
    ] {
        assert_eq!(read(check(http)).unwrap_err(), expected);
    }
    assert_eq!(read(CheckRequest { attributes: None }).unwrap_err(), InvalidQuestion::NoRequest);
    assert_eq!(InvalidQuestion::Path.answer().status(), 400);
}
