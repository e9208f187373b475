use std::collections::BTreeMap;

use serde_json::json;

use super::*;

fn at(seconds: i64, nanos: u32) -> Timestamp {
    Timestamp { seconds, nanos }
}

fn session() -> Session {
    Session {
        created_at: Some(at(1_767_225_600, 123_456_789)),
        expires_on: Some(at(1_767_229_200, 0)),
        tokens: Tokens { access: Some("at".into()), id: Some("it".into()), refresh: Some("rt".into()) },
        nonce: None,
        identity: Identity {
            user: "sub-1".to_owned(),
            email: "jane@example.com".to_owned(),
            groups: vec!["g1".to_owned(), String::new(), "g2".to_owned()],
            preferred_username: "jane".to_owned(),
            additional: BTreeMap::from([
                ("tenant".to_owned(), json!("acme")),
                ("email".to_owned(), json!("shadowed")),
                ("mixed".to_owned(), json!(["a", 1, true, null, {"b": 2}, ""])),
                ("object".to_owned(), json!({"z": 1, "a": [2]})),
                ("number".to_owned(), json!(1.5)),
                ("nothing".to_owned(), json!(null)),
            ]),
        },
        ..Session::default()
    }
}

#[test]
fn claims_are_texts_and_empty_ones_are_left_out() {
    let table: [(&str, &[&str]); 16] = [
        ("access_token", &["at"]),
        ("id_token", &["it"]),
        ("refresh_token", &["rt"]),
        ("created_at", &["2026-01-01 00:00:00.123456789 +0000 UTC"]),
        ("expires_on", &["2026-01-01 01:00:00 +0000 UTC"]),
        ("email", &["jane@example.com"]),
        ("user", &["sub-1"]),
        ("groups", &["g1", "g2"]),
        ("preferred_username", &["jane"]),
        ("tenant", &["acme"]),
        ("mixed", &["a", "1", "true", "{\"b\":2}"]),
        ("object", &["{\"a\":[2],\"z\":1}"]),
        ("number", &["1.5"]),
        ("nothing", &[]),
        ("absent", &[]),
        ("", &[]),
    ];
    for (name, expected) in table {
        assert_eq!(session().claim(name), expected, "{name}");
        let known = ["tenant", "mixed", "object", "number", "nothing"];
        assert!(known.contains(&name) || Session::default().claim(name).is_empty(), "{name}");
    }
}

#[test]
fn b3_times_that_a_session_lacks_are_no_claims() {
    // As of the password file, or of a bearer token of another issuer.
    let bare = Session { created_at: None, expires_on: None, ..session() };
    for name in ["created_at", "expires_on"] {
        assert!(bare.claim(name).is_empty(), "{name}");
    }
}

#[test]
fn the_summary_names_tokens_and_shows_none() {
    let mut session = session();
    session.tokens = Tokens {
        access: Some("hidden-1".into()),
        id: Some("hidden-2".into()),
        refresh: Some("hidden-3".into()),
    };
    assert_eq!(
        session.summary(),
        "Session{email:jane@example.com user:sub-1 PreferredUsername:jane token:true id_token:true \
         created:2026-01-01 00:00:00.123456789 +0000 UTC expires:2026-01-01 01:00:00 +0000 UTC \
         refresh_token:true groups:[g1  g2]}"
    );
    assert!(!format!("{session:?}").contains("hidden"));
    assert_eq!(Session::default().summary(), "Session{email: user: PreferredUsername: refresh_token:false}");
}

#[test]
fn the_summary_is_one_line_whatever_a_provider_says() {
    let mut session = Session::default();
    session.identity.email = "a\r\nb\u{1b}[31m\u{85}ä".to_owned();
    let summary = session.summary();
    assert!(!summary.contains(char::is_control), "{summary}");
    assert!(summary.contains("a\\r\\nb\\u{1b}[31m\\u{85}ä"), "{summary}");
}

#[test]
fn age_counts_from_the_creation_to_the_second_that_has_begun() {
    let created = |seconds, nanos| Session { created_at: Some(at(seconds, nanos)), ..Session::default() };
    assert_eq!(Session::default().age(at(5, 0)), None);
    assert_eq!(created(10, 0).age(at(13, 999_999_999)), Some(Duration::from_secs(3)));
    assert_eq!(created(10, 500_000_000).age(at(11, 900_000_000)), Some(Duration::from_millis(500)));
    assert_eq!(created(10, 0).age(at(5, 0)), Some(Duration::ZERO));
}

#[test]
fn a_session_has_expired_after_its_instant_of_expiry() {
    let until = |seconds, nanos| Session { expires_on: Some(at(seconds, nanos)), ..Session::default() };
    assert!(!Session::default().is_expired(at(i64::MAX, 0)));
    assert!(!until(10, 0).is_expired(at(10, 0)));
    assert!(until(10, 0).is_expired(at(10, 1)));
    assert!(!until(10, 5).is_expired(at(10, 4)));
}

#[test]
fn times_are_written_as_go_writes_them() {
    let table = [
        (at(0, 0), Some("1970-01-01 00:00:00 +0000 UTC")),
        (at(1, 500_000_000), Some("1970-01-01 00:00:01.5 +0000 UTC")),
        (at(-1, 999_000_000), Some("1969-12-31 23:59:59.999 +0000 UTC")),
        (at(-1, 0), Some("1969-12-31 23:59:59 +0000 UTC")),
        (at(1, 10), Some("1970-01-01 00:00:01.00000001 +0000 UTC")),
        (at(i64::MAX, 0), None),
        (at(i64::MIN, 0), None),
    ];
    for (at, expected) in table {
        assert_eq!(go_time_text(at).as_deref(), expected);
    }
}
