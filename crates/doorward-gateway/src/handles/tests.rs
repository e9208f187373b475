use std::io::Write as _;

use doorward_store::Records;
use flate2::{Compression, write::GzEncoder};
use http::{Response, StatusCode};
use serde_json::{Value, json};

use super::*;
use crate::testing::{NOW, accounts_in, after, texts};

const ACCESS: &str = "eyJhbGciOiJSUzI1NiJ9.eyJzdWIiOiJhbGljZSJ9.c2lnbmF0dXJl";
const REFRESH: &str = "a-refresh-token-of-the-application";

fn handles_of(config: HandlesConfig) -> Handles {
    Handles::new(accounts_in(&Arc::new(Records::memory())), config).unwrap()
}

fn handles() -> Handles {
    handles_of(HandlesConfig::default())
}

fn head(status: u16, headers: &[(&str, &str)]) -> response::Parts {
    let mut answer = Response::builder().status(status);
    for (name, value) in headers {
        answer = answer.header(*name, *value);
    }
    answer.body(()).unwrap().into_parts().0
}

const JSON: (&str, &str) = ("content-type", "application/json;charset=UTF-8");

fn gzip(text: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(text).unwrap();
    encoder.finish().unwrap()
}

fn tokens() -> String {
    let (access, refresh) = (ACCESS, REFRESH);
    json!({"access_token": access, "refresh_token": refresh, "expires_in": 300, "token_type": "Bearer"})
        .to_string()
}

async fn swapped(handles: &Handles, document: &Value) -> Result<Value, SwapFault> {
    let body = handles.swap_answer(&mut head(200, &[JSON]), (document.to_string().into(), &[]), NOW).await?;
    Ok(serde_json::from_slice(&body).unwrap())
}

async fn original(handles: &Handles, handle: &Value, now: Timestamp) -> Option<String> {
    let mut headers = HeaderMap::new();
    let line = format!("bearer {}", handle.as_str().unwrap());
    headers.insert("authorization", HeaderValue::from_str(&line).unwrap());
    let found = handles.realm().swap_headers(&mut headers, now).await.unwrap();
    let line = headers["authorization"].to_str().unwrap();
    assert_eq!(found.len(), usize::from(line.starts_with("Bearer ")));
    found.first().map(|original| original.expose().clone())
}

#[tokio::test]
async fn b18_clients_hold_handles_and_what_comes_back_with_them_goes_on_with_the_originals() {
    let handles = handles();
    let mut head = head(200, &[JSON, ("etag", "\"a\""), ("x-copy", ACCESS), ("content-length", "9")]);
    let body = handles.swap_answer(&mut head, (tokens().into(), &[]), NOW).await.unwrap();
    let text = str::from_utf8(&body).unwrap();
    assert!(!text.contains("eyJ") && !text.contains(REFRESH), "{text}");
    let document: Value = serde_json::from_slice(&body).unwrap();
    assert_eq!((&document["expires_in"], &document["token_type"]), (&json!(300), &json!("Bearer")));
    assert_eq!(head.headers["content-length"], body.len().to_string());
    assert!(!head.headers.contains_key("etag") && !head.headers.contains_key("x-copy"));
    // Each is good for as long as its original.
    assert_eq!(original(&handles, &document["access_token"], after(299)).await.unwrap(), ACCESS);
    assert_eq!(original(&handles, &document["access_token"], after(301)).await, None);
    assert_eq!(original(&handles, &document["refresh_token"], after(86_400)).await.unwrap(), REFRESH);
    // Refreshing: in a form, or in JSON.
    let handle = document["refresh_token"].as_str().unwrap();
    let realm = handles.realm();
    let mut kind = HeaderMap::new();
    kind.insert("content-type", HeaderValue::from_static("application/x-www-form-urlencoded"));
    assert!(realm.reads(&kind));
    let form = format!("grant_type=refresh_token&refresh_token={}&x=%26", handle.replace('~', "%7E"));
    let (body, found) = realm.swap_body(&kind, form.into(), NOW).await.unwrap();
    assert_eq!(body, format!("grant_type=refresh_token&refresh_token={REFRESH}&x=%26"));
    assert_eq!(found, [REFRESH.into()]);
    kind.insert("content-type", HeaderValue::from_static("application/json"));
    let (body, _) =
        realm.swap_body(&kind, json!({"a": [{"b": handle}]}).to_string().into(), NOW).await.unwrap();
    assert_eq!(serde_json::from_slice::<Value>(&body).unwrap(), json!({"a": [{"b": REFRESH}]}));
    // What is no handle of ours stays as it was, byte for byte.
    let other = Bytes::from_static(b"{ \"a\" : \"gwh~unknown\" }");
    assert_eq!(realm.swap_body(&kind, other.clone(), NOW).await.unwrap(), (other, Vec::new()));
}

#[tokio::test]
async fn b18_cookies_are_swapped_in_both_directions_in_every_answer() {
    let handles = handles_of(HandlesConfig { cookies: texts(&["login"]), ..HandlesConfig::default() });
    let mut head = head(
        302,
        &[
            ("set-cookie", "other=1; Path=/"),
            ("set-cookie", "login=s3cr3t-session-value; Path=/; HttpOnly; Max-Age=60; SameSite=Lax"),
            ("set-cookie", "loginx=2"),
            ("set-cookie", "login=; Max-Age=0"),
        ],
    );
    assert!(!handles.reads(&head, &[]));
    handles.swap_answer(&mut head, (Bytes::new(), &[]), NOW).await.unwrap();
    let lines: Vec<&str> =
        head.headers.get_all("set-cookie").iter().map(|line| line.to_str().unwrap()).collect();
    let handle = lines[1].strip_prefix("login=").unwrap().split(';').next().unwrap().to_owned();
    assert!(Accounts::is_handle(&handle));
    let expected = format!("login={handle}; Path=/; HttpOnly; Max-Age=60; SameSite=Lax");
    assert_eq!(lines, ["other=1; Path=/", &expected, "loginx=2", "login=; Max-Age=0"]);
    let back = async |now| {
        let mut headers = HeaderMap::new();
        headers.append("cookie", HeaderValue::from_str(&format!("a=b; login={handle};c=d")).unwrap());
        headers.append("cookie", HeaderValue::from_static("e=gwh~none"));
        let found = handles.realm().swap_headers(&mut headers, now).await.unwrap();
        let lines: Vec<String> =
            headers.get_all("cookie").iter().map(|line| line.to_str().unwrap().to_owned()).collect();
        (lines, found.len())
    };
    let original = "a=b; login=s3cr3t-session-value; c=d".to_owned();
    assert_eq!(back(after(59)).await, (vec![original, "e=gwh~none".to_owned()], 1));
    let still = format!("a=b; login={handle}; c=d");
    assert_eq!(back(after(61)).await, (vec![still, "e=gwh~none".to_owned()], 0));
}

#[tokio::test]
async fn b19_compressed_answers_are_swapped_and_what_cannot_be_looked_into_is_a_bad_gateway() {
    let handles = handles();
    let long = json!({"access_token": ACCESS, "x": "y".repeat(MOST_BODY)}).to_string();
    let unknown = "is compressed in an unknown way";
    let (no_json, too_long) = ("is no JSON document", "is longer than 1 MiB");
    for (headers, body, expected) in [
        (vec![JSON], tokens().into_bytes(), None),
        (vec![("content-type", "application/token+json")], tokens().into_bytes(), None),
        (vec![JSON, ("content-encoding", "identity")], tokens().into_bytes(), None),
        (vec![JSON, ("content-encoding", "GZIP")], gzip(tokens().as_bytes()), None),
        (
            vec![JSON, ("content-encoding", "gzip")],
            tokens().into_bytes(),
            Some("is not compressed as it says"),
        ),
        (vec![JSON, ("content-encoding", "br")], tokens().into_bytes(), Some(unknown)),
        (vec![JSON, ("content-encoding", "gzip, gzip")], tokens().into_bytes(), Some(unknown)),
        (
            vec![JSON, ("content-encoding", "identity"), ("content-encoding", "gzip")],
            tokens().into_bytes(),
            Some(unknown),
        ),
        (vec![JSON], long.clone().into_bytes(), Some(too_long)),
        (vec![JSON, ("content-encoding", "gzip")], gzip(long.as_bytes()), Some(too_long)),
        (vec![("content-type", "text/html")], tokens().into_bytes(), Some(no_json)),
        (vec![], tokens().into_bytes(), Some(no_json)),
        (vec![JSON], tokens().into_bytes()[1..].to_vec(), Some(no_json)),
        (
            vec![JSON, ("content-range", "bytes 0-1/2")],
            tokens().into_bytes(),
            Some("is a part of a document"),
        ),
    ] {
        let mut head = head(200, &headers);
        assert!(handles.reads(&head, &[]));
        match (handles.swap_answer(&mut head, (body.into(), &[]), NOW).await, expected) {
            (Ok(body), None) => {
                let document: Value = serde_json::from_slice(&body).unwrap();
                assert_eq!(original(&handles, &document["access_token"], NOW).await.unwrap(), ACCESS);
                assert!(!head.headers.contains_key("content-encoding"));
            }
            (result, expected) => {
                assert_eq!(result.err(), expected.map(SwapFault::Unswappable), "{headers:?}");
            }
        }
    }
}

#[tokio::test]
async fn b18_a_token_is_found_wherever_it_stands_or_nothing_is_let_through() {
    let fields =
        texts(&["access_token", "$.AuthenticationResult.AccessToken", "tokens.*.value", "list.1", "a.b"]);
    let handles = handles_of(HandlesConfig { fields, ..HandlesConfig::default() });
    let document = json!({
        "access_token": ACCESS, "token": ACCESS, "nothing": null,
        "AuthenticationResult": {"AccessToken": "second", "expires_in": 60},
        "tokens": [{"value": "third"}, {"value": null}, {"other": "kept"}],
        "list": ["kept", "fourth"],
        "a.b": "fifth",
    });
    let told = swapped(&handles, &document).await.unwrap();
    assert_eq!(told["access_token"], told["token"]);
    assert_eq!(told["tokens"][2]["other"], "kept");
    assert_eq!(told["list"][0], "kept");
    for (value, expected) in [
        (&told["access_token"], ACCESS),
        (&told["AuthenticationResult"]["AccessToken"], "second"),
        (&told["tokens"][0]["value"], "third"),
        (&told["list"][1], "fourth"),
        (&told["a.b"], "fifth"),
    ] {
        assert_eq!(original(&handles, value, after(59)).await.as_deref(), Some(expected));
    }
    assert_eq!(original(&handles, &told["AuthenticationResult"]["AccessToken"], after(61)).await, None);
    for (document, reason) in [
        (json!({"access_token": {"value": ACCESS}}), "has a field to replace that is no text"),
        (json!({"access_token": [ACCESS]}), "has a field to replace that is no text"),
        (
            json!({"access_token": ACCESS, "url": format!("https://a?t={ACCESS}")}),
            "repeats a token inside another text",
        ),
        (json!({"access_token": ACCESS, ACCESS: 1}), "repeats a token inside another text"),
    ] {
        assert_eq!(swapped(&handles, &document).await, Err(SwapFault::Unswappable(reason)));
    }
    // A reader that takes the first of two is told no more than we looked into.
    let twice = format!("{{\"access_token\":\"{ACCESS}\",\"access_token\":null}}");
    let body = handles.swap_answer(&mut head(200, &[JSON]), (twice.into(), &[]), NOW).await.unwrap();
    assert_eq!(body, "{\"access_token\":null}");
    for wrong in ["", "a..b", "$.", "a[0]", "$"] {
        let config = HandlesConfig { fields: texts(&[wrong]), ..HandlesConfig::default() };
        assert!(Handles::new(accounts_in(&Arc::new(Records::memory())), config).is_err(), "{wrong}");
    }
}

#[tokio::test]
async fn what_has_no_body_or_is_an_error_is_not_looked_into() {
    let handles = handles();
    for status in [400, 401, 302, 503] {
        let mut head = head(status, &[("content-type", "text/html")]);
        assert!(!handles.reads(&head, &[]));
        assert_eq!(handles.swap_answer(&mut head, (Bytes::new(), &[]), NOW).await, Ok(Bytes::new()));
    }
    // 204, and answers to HEAD.
    let mut empty = head(204, &[("content-length", "77")]);
    assert_eq!(handles.swap_answer(&mut empty, (Bytes::new(), &[]), NOW).await, Ok(Bytes::new()));
    assert_eq!(empty.headers["content-length"], "77");
    assert_eq!(empty.status, StatusCode::NO_CONTENT);
}

#[tokio::test]
async fn a_handle_means_nothing_in_another_realm() {
    let accounts = accounts_in(&Arc::new(Records::memory()));
    let realm = |name: &str| {
        let config = HandlesConfig { realm: name.to_owned(), ..HandlesConfig::default() };
        Handles::new(Arc::clone(&accounts), config).unwrap()
    };
    let told = swapped(&realm("one"), &json!({"access_token": ACCESS})).await.unwrap();
    assert_eq!(original(&realm("two"), &told["access_token"], NOW).await, None);
    assert_eq!(original(&realm("one"), &told["access_token"], NOW).await.as_deref(), Some(ACCESS));
}

#[tokio::test]
async fn b20_of_a_split_token_the_client_holds_the_signature_alone() {
    let handles = handles_of(HandlesConfig { form: HandleForm::Signature, ..HandlesConfig::default() });
    let signature = "c2lnbmF0dXJl".repeat(8);
    let token = format!("eyJhbGciOiJSUzI1NiJ9.eyJzdWIiOiJhbGljZSJ9.{signature}");
    let document = json!({"access_token": token, "refresh_token": REFRESH});
    let told = swapped(&handles, &document).await.unwrap();
    assert_eq!(told["access_token"], format!("gws~{signature}"));
    assert_eq!(original(&handles, &told["access_token"], NOW).await, Some(token));
    assert_eq!(original(&handles, &told["refresh_token"], NOW).await.as_deref(), Some(REFRESH));
}

#[tokio::test]
async fn b19_an_application_that_repeats_what_a_handle_stands_for_is_not_heard() {
    let handles = handles();
    let sent = [REFRESH.into()];
    let error = format!("{{\"error\":\"invalid_scope\",\"error_description\":\"unknown scope {REFRESH}\"}}");
    let compressed = gzip(error.as_bytes());
    for (status, headers, body) in [
        (400, vec![JSON], Bytes::from(error.clone())),
        (400, vec![], error.clone().into()),
        (302, vec![], error.clone().into()),
        (500, vec![("content-encoding", "gzip")], compressed.into()),
        (400, vec![("content-encoding", "br")], Bytes::from_static(b"?")),
        (200, vec![JSON], error.clone().into()),
        (200, vec![JSON], json!({ "given": REFRESH }).to_string().into()),
    ] {
        let mut head = head(status, &headers);
        assert!(handles.reads(&head, &sent));
        let answer = handles.swap_answer(&mut head, (body, &sent), NOW).await;
        assert!(matches!(answer, Err(SwapFault::Unswappable(_))), "{status} {headers:?}");
    }
    // The same token again is a handle again, and other failures pass as they are.
    let same = json!({ "refresh_token": REFRESH }).to_string();
    let body = handles.swap_answer(&mut head(200, &[JSON]), (same.into(), &sent), NOW).await.unwrap();
    assert!(str::from_utf8(&body).unwrap().contains("gwh~"));
    let other = Bytes::from_static(b"{ \"error\": \"invalid_grant\" }");
    let passed = handles.swap_answer(&mut head(400, &[JSON]), (other.clone(), &sent), NOW).await;
    assert_eq!(passed, Ok(other));
    let mut moved = head(302, &[("location", &format!("https://x.test/?t={REFRESH}"))]);
    handles.swap_answer(&mut moved, (Bytes::new(), &sent), NOW).await.unwrap();
    assert!(!moved.headers.contains_key("location"));
    assert!(!handles.reads(&head(101, &[]), &sent));
}
