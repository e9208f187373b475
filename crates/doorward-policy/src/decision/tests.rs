use serde_json::json;

use super::*;

fn read(result: Value) -> Result<Decision, PolicyFault> {
    Decision::read(result)
}

#[track_caller]
fn refused(result: Value) {
    let shown = result.to_string();
    assert!(matches!(read(result), Err(PolicyFault::WrongType(_))), "{shown}");
}

#[test]
fn true_allows_and_false_denies() {
    assert_eq!(read(json!(true)), Ok(Decision::plain(Verdict::Allow)));
    assert_eq!(read(json!(false)), Ok(Decision::plain(Verdict::Deny)));
    for field in ["allowed", "allow"] {
        assert_eq!(read(json!({field: true})), Ok(Decision::plain(Verdict::Allow)));
        assert_eq!(read(json!({field: false})), Ok(Decision::plain(Verdict::Deny)));
    }
    assert_eq!(read(json!({"allow": true, "allowed": true})), Ok(Decision::plain(Verdict::Allow)));
}

#[test]
fn anything_else_is_no_decision() {
    for result in [json!(null), json!(1), json!("true"), json!([]), json!([true]), json!({})] {
        refused(result);
    }
    for said in [json!("true"), json!(1), json!(null), json!([true])] {
        refused(json!({"allowed": said}));
        refused(json!({"allow": said, "allowed": true}));
    }
    refused(json!({"allowed": true, "allow": false}));
    refused(json!({"allowed": true, "http_staus": 403}));
}

#[test]
fn all_fields_are_read() {
    let decision = read(json!({
        "allowed": true,
        "headers": {"X-Tier": "gold", "x-many": ["a", "b"]},
        "response_headers_to_add": [{"x-one": "1"}, {"x-two": "2"}],
        "request_headers_to_remove": ["X-Gone"],
        "query_parameters_to_set": {"page": "1", "tag": ["a", "b"]},
        "query_parameters_to_remove": ["debug"],
        "http_status": 200,
        "dynamic_metadata": {"a": 1},
        "context": {"orders": "own"},
    }));
    let decision = decision.unwrap();
    let pair = |name: &'static str, value: &'static str| {
        (HeaderName::from_static(name), HeaderValue::from_static(value))
    };
    assert_eq!(decision.headers, [pair("x-tier", "gold"), pair("x-many", "a"), pair("x-many", "b")]);
    assert_eq!(decision.response_headers_to_add, [pair("x-one", "1"), pair("x-two", "2")]);
    assert_eq!(decision.request_headers_to_remove, ["x-gone"]);
    let parameters = [("page", "1"), ("tag", "a"), ("tag", "b")];
    assert_eq!(decision.query_parameters_to_set, parameters.map(|(n, v)| (n.to_owned(), v.to_owned())));
    assert_eq!(decision.query_parameters_to_remove, ["debug"]);
    assert_eq!(decision.context, Some(json!({"orders": "own"})));
    assert_eq!((decision.http_status, decision.body), (None, None));
}

#[test]
fn a_denial_chooses_among_the_statuses_of_failures() {
    let status = |status: Value| read(json!({"allowed": false, "http_status": status, "body": "no"}));
    let denied = status(json!(429)).unwrap();
    assert_eq!(
        (denied.http_status, denied.body.as_deref()),
        (Some(StatusCode::TOO_MANY_REQUESTS), Some("no"))
    );
    assert_eq!(status(json!(403.0)).unwrap().http_status, Some(StatusCode::FORBIDDEN));
    for wrong in
        [json!(200), json!(302), json!(399), json!(600), json!(-1), json!(403.5), json!("403"), json!(null)]
    {
        assert!(status(wrong.clone()).is_err(), "{wrong}");
    }
}

#[test]
fn headers_neither_break_lines_nor_steer_the_connection() {
    for headers in [
        json!({"x": "a\r\nset-cookie: b"}),
        json!({"x": "a\u{0}"}),
        json!({"x y": "a"}),
        json!({"": "a"}),
        json!({":path": "/admin"}),
        json!({"host": "other"}),
        json!({"Content-Length": "0"}),
        json!({"Transfer-Encoding": "chunked"}),
        json!({"connection": "x-user"}),
        json!({"x": 1}),
        json!({"x": [1]}),
        json!("x"),
        json!([["x", "y"]]),
    ] {
        refused(json!({"allowed": true, "headers": headers}));
        refused(json!({"allowed": false, "response_headers_to_add": headers}));
    }
    refused(json!({"allowed": true, "request_headers_to_remove": ["host"]}));
    refused(json!({"allowed": true, "request_headers_to_remove": "x"}));
    refused(json!({"allowed": true, "query_parameters_to_set": {"a": {"b": "c"}}}));
    refused(json!({"allowed": true, "query_parameters_to_remove": [1]}));
    refused(json!({"allowed": false, "body": {"a": 1}}));
    refused(json!({"allowed": true, "headers": {"x": vec!["v"; MOST_ITEMS + 1]}}));
}
