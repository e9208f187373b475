use doorward_core::{PathParameters, Timestamp, UserInfo};
use http::Method;

use super::*;

const JSON: (&str, &str) = ("content-type", "application/json");
const FORM: (&str, &str) = ("content-type", "application/x-www-form-urlencoded");

fn header_map(fields: &[(&'static str, &str)]) -> HeaderMap {
    let field = |(name, value): &(&'static str, &str)| {
        (HeaderName::from_static(name), HeaderValue::from_str(value).unwrap())
    };
    let mut headers = HeaderMap::new();
    for (name, value) in fields.iter().map(field) {
        headers.append(name, value);
    }
    headers
}

fn alice() -> Principal {
    let user = UserInfo {
        name: "alice".to_owned(),
        uid: "u-1".to_owned(),
        groups: vec!["dev".to_owned()],
        ..UserInfo::default()
    };
    Principal {
        user,
        email: "alice@example.com".to_owned(),
        authenticator: "opaque".into(),
        client_id: "web".to_owned(),
        scopes: vec!["orders:read".to_owned()],
        ..Principal::default()
    }
}

fn of(path_and_query: &str, fields: &[(&'static str, &str)], body: Body<'_>) -> Result<Value, PolicyFault> {
    let headers = [HeaderName::from_static("x-api-key")];
    input(path_and_query, fields, body, Expose::Nothing { headers: &headers, parameters: &[] })
}

fn input(
    path_and_query: &str,
    fields: &[(&'static str, &str)],
    body: Body<'_>,
    expose: Expose<'_>,
) -> Result<Value, PolicyFault> {
    let facts = Facts {
        request_id: "r-1",
        time: Timestamp { seconds: 1, nanos: 5 },
        method: &Method::GET,
        path_and_query,
        host: "api.example.com",
        scheme: "https",
        protocol: Version::HTTP_11,
        headers: &header_map(fields),
        peer: Some("10.0.0.9:51422".parse().unwrap()),
        peer_principal: Some("CN=web"),
        body,
        who: &alice(),
        route: "orders",
        params: &PathParameters::from([("id".to_owned(), "7".to_owned())]),
        expose,
    };
    document(&facts)
}

#[test]
fn the_document_is_the_one_of_the_norm() {
    let accept = [("accept", "*/*")];
    let expected = json!({
        "version": {"ext_authz": "v3", "encoding": "protojson"},
        "attributes": {
            "source": {
                "address": {"socketAddress": {"address": "10.0.0.9", "portValue": 51422}},
                "principal": "CN=web",
            },
            "request": {
                "time": {"seconds": 1, "nanos": 5},
                "http": {
                    "id": "r-1", "method": "GET", "path": "/orders/7?x=1", "host": "api.example.com",
                    "scheme": "https", "protocol": "HTTP/1.1", "headers": {"accept": "*/*"}, "size": 0,
                },
            },
        },
        "parsed_path": ["orders", "7"],
        "parsed_query": {"x": ["1"]},
        "parsed_body": null,
        "truncated_body": false,
        "identity": {
            "authenticated": true, "user": "alice", "uid": "u-1", "groups": ["dev"], "scopes": ["orders:read"],
            "email": "alice@example.com", "client_id": "web", "authenticator": "opaque", "claims": {}, "actor": null,
        },
        "route": {"id": "orders", "params": {"id": "7"}},
    });
    assert_eq!(of("/orders/7?x=1", &accept, Body::NotRead), Ok(expected));
}

#[test]
fn paths_and_queries_are_decoded_part_by_part() {
    for (path_and_query, path, query) in [
        ("/", json!([""]), json!({})),
        ("/a/", json!(["a", ""]), json!({})),
        ("/a%20b/c+d", json!(["a b", "c+d"]), json!({})),
        ("/a?", json!(["a"]), json!({})),
        ("/a?b&c=1&c=2+3&d=%C3%A4", json!(["a"]), json!({"b": [""], "c": ["1", "2 3"], "d": ["ä"]})),
        ("/a?b=/c?d", json!(["a"]), json!({"b": ["/c?d"]})),
    ] {
        let document = of(path_and_query, &[], Body::NotRead).unwrap();
        assert_eq!(
            (&document["parsed_path"], &document["parsed_query"]),
            (&path, &query),
            "{path_and_query}"
        );
    }
    assert!(of("/%ff", &[], Body::NotRead).is_err());
}

#[test]
fn no_policy_sees_what_lets_somebody_in() {
    let fields = [
        ("authorization", "Bearer s3cret"),
        ("proxy-authorization", "Basic s3cret"),
        ("cookie", "session=s3cret"),
        ("x-api-key", "s3cret"),
        ("sec-websocket-protocol", "chat, base64url.bearer.authorization.k8s.io.s3cret"),
        ("x-list", "a"),
        ("x-list", "b, c"),
    ];
    let document = of("/", &fields, Body::NotRead).unwrap();
    let shown = &document["attributes"]["request"]["http"]["headers"];
    assert_eq!(*shown, json!({"x-list": "a,b, c", "sec-websocket-protocol": "chat"}));
    assert!(!document.to_string().contains("s3cret"));

    let token = ["token".to_owned()];
    for (sent, path, query) in [
        ("/a?token=s3cret", "/a", json!({})),
        ("/a?x=1&token=s3cret&y&tok%65n=s3cret", "/a?x=1&y", json!({"x": ["1"], "y": [""]})),
        ("/a?x=token&tokens=1", "/a?x=token&tokens=1", json!({"x": ["token"], "tokens": ["1"]})),
    ] {
        let document =
            input(sent, &[], Body::NotRead, Expose::Nothing { headers: &[], parameters: &token }).unwrap();
        assert_eq!(document["attributes"]["request"]["http"]["path"], path);
        assert_eq!(document["parsed_query"], query);
    }

    let exposed = input("/", &fields, Body::NotRead, Expose::Credentials).unwrap();
    let shown = &exposed["attributes"]["request"]["http"]["headers"];
    assert_eq!(shown["authorization"], "Bearer s3cret");
    assert_eq!(shown["cookie"], "session=s3cret");
}

#[test]
fn bodies_are_read_by_their_type() {
    let multipart = ("content-type", "multipart/form-data; boundary=XX");
    let parts = "--XX\r\nContent-Disposition: form-data; name=\"a\"\r\n\r\none\r\n--XX\r\n\
        Content-Disposition: form-data; name=\"f\"; filename=\"f.bin\"\r\n\r\n\u{1}\r\n--XX\r\n\
        Content-Disposition: form-data; name=\"a\"\r\n\r\ntwo\r\n--XX--\r\n";
    for (field, body, parsed) in [
        (JSON, r#"{"a":[1,2.5,"x",null,true,{"b":-1}]}"#, json!({"a": [1, 2.5, "x", null, true, {"b": -1}]})),
        (("content-type", "Application/JSON; charset=utf-8"), "1", json!(1)),
        (("content-type", "application/json;a=b; Charset=\"UTF-8\""), "1", json!(1)),
        (("content-type", "application/merge-patch+json"), "{}", json!({})),
        (JSON, "", json!(null)),
        (FORM, "a=1&a=2&b=%20", json!({"a": ["1", "2"], "b": [" "]})),
        (multipart, parts, json!({"a": ["one", "two"]})),
        (("content-type", "text/plain"), "{}", json!(null)),
        (("accept", "application/json"), "{}", json!(null)),
    ] {
        let document = of("/", &[field], Body::Whole(body.as_bytes())).unwrap();
        assert_eq!(document["parsed_body"], parsed, "{field:?} {body}");
        assert_eq!(document["truncated_body"], false);
        assert_eq!(document["attributes"]["request"]["http"]["body"], body);
        assert_eq!(document["attributes"]["request"]["http"]["size"], body.len());
    }
}

#[test]
fn a_body_that_two_would_read_in_two_ways_is_not_decided_about() {
    let multipart = ("content-type", "multipart/form-data; boundary=XX");
    for (fields, body) in [
        (vec![JSON], "{"),
        (vec![JSON], "{} {}"),
        (vec![JSON], r#"{"admin":false,"admin":true}"#),
        (vec![JSON], r#"[{"a":{"b":1,"b":1}}]"#),
        (vec![JSON, JSON], "{}"),
        (vec![("content-type", "application/json; charset=utf-7")], r#"{"role":"+AGEAZABtAGkAbg-"}"#),
        (vec![("content-type", "application/json; charset=utf-8; Charset=\"UTF-16\"")], "{}"),
        (vec![JSON, ("content-encoding", "gzip")], "{}"),
        (vec![FORM, ("content-encoding", "br")], "a=1"),
        (vec![multipart], "--YY\r\n"),
        (vec![multipart], "--XX\r\nContent-Disposition: form-data; name=\"a\"\r\n\r\none"),
        (vec![("content-type", "multipart/form-data")], "--XX--\r\n"),
    ] {
        assert!(of("/", &fields, Body::Whole(body.as_bytes())).is_err(), "{fields:?} {body}");
    }
    assert!(of("/", &[JSON], Body::Whole("[".repeat(100_000).as_bytes())).is_err());
    assert!(of("/", &[JSON], Body::Whole(b"\"\xff\"")).is_err());
}

#[test]
fn a_long_body_is_said_to_be_truncated() {
    let document = of("/", &[JSON], Body::Truncated).unwrap();
    assert_eq!((&document["truncated_body"], &document["parsed_body"]), (&json!(true), &json!(null)));
    assert_eq!(document["attributes"]["request"]["http"]["size"], -1);
    let stated = of("/", &[JSON, ("content-length", "70000")], Body::Truncated).unwrap();
    assert_eq!(stated["attributes"]["request"]["http"]["size"], 70000);
}

#[test]
fn nobody_is_not_authenticated() {
    let identity = identity(&Principal::anonymous("anonymous".into()));
    assert_eq!(identity["authenticated"], false);
    assert_eq!(identity["user"], "system:anonymous");
}
