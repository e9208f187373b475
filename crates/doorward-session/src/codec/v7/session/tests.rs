use serde_json::json;

use super::*;

#[test]
fn the_reader_is_as_tolerant_as_the_reference() {
    let table: [(&[u8], &str); 6] = [
        (b"\x90", ""),
        (b"\x80", ""),
        (b"\xde\0\x01\xa1u\xa3joe", "joe"),
        (b"\xdf\0\0\0\x01\xd9\x01u\xda\0\x03joe", "joe"),
        (b"\x83\xa1u\xa3joe\xa3new\x92\x01\x82\xa1a\xc0\x01\x02\xa1e\xc0", "joe"),
        (b"\x82\xa1u\xa3ann\xa1u\xc4\x03joe", "joe"),
    ];
    for (bytes, user) in table {
        assert_eq!(decode(bytes).unwrap().identity.user, user, "{bytes:x?}");
    }
    assert_eq!(decode(b"\x81\xa1u\xa3joe").unwrap().created_at, None);
}

#[test]
fn what_is_no_session_is_refused() {
    let table: [&[u8]; 9] = [
        b"",
        b"\xc0",
        b"\x91\xc0",
        b"\x81",
        b"\x81\xa1u",
        b"\x81\xa1u\xa3joeX",
        b"\x81\xa2ca\xce\0\0\0\x05",
        b"\x81\x01\x02",
        b"\x81\xa2ac\xa1x",
    ];
    for bytes in table {
        assert_eq!(decode(bytes), Err(Unsealable), "{bytes:x?}");
    }
}

/// The reference and older versions want a map (or an array of all its fields), and refuse the rest.
#[test]
fn a_session_that_names_its_provider_is_a_pair_of_name_and_map() {
    let at = Timestamp::from_seconds(5);
    let plain = Session { created_at: Some(at), ..Session::default() };
    let named = Session { provider: Some("partner".into()), ..plain.clone() };
    let map = encode(&plain, at, StoredTokens::All).unwrap();
    let pair = encode(&named, at, StoredTokens::All).unwrap();
    assert_eq!(map[0] & 0xf0, 0x80, "as ever");
    assert_eq!(pair, [b"\x92\xa7partner", &map[..]].concat());
    assert_eq!(decode(&pair), Ok(named));
    for bytes in
        [&b"\x92\xa0\x80"[..], b"\x92\x80\x80", b"\x92\xa1a", b"\x92\xa1a\x80X", b"\x93\xa1a\x80\x80"]
    {
        assert_eq!(decode(bytes), Err(Unsealable), "{bytes:x?}");
    }
}

#[test]
fn a_whole_session_comes_back_and_tokens_may_be_left_out() {
    let mut session = Session {
        created_at: Some(Timestamp { seconds: 5, nanos: 6 }),
        expires_on: Some(Timestamp::from_seconds(17_179_869_184)),
        tokens: Tokens { access: Some("a".into()), id: Some("i".into()), refresh: Some("r".into()) },
        nonce: Some(vec![0, 255]),
        identity: Identity {
            user: "u".to_owned(),
            email: "e".to_owned(),
            groups: vec!["g".to_owned(), String::new()],
            preferred_username: "p".to_owned(),
            additional: BTreeMap::from([("x".to_owned(), json!(["1", {"y": null}]))]),
        },
        logged_in_at: Some(Timestamp { seconds: 4, nanos: 1 }),
        seen_at: Some(Timestamp { seconds: 7, nanos: 0 }),
        provider: None,
    };
    let created_at = session.created_at.unwrap();
    let all = encode(&session, created_at, StoredTokens::All).unwrap();
    assert_eq!(decode(&all).unwrap(), session);
    let minimal = encode(&session, created_at, StoredTokens::None).unwrap();
    session.tokens = Tokens::default();
    assert_eq!(decode(&minimal).unwrap(), session);
    session.tokens.access = Some("".into());
    session.nonce = Some(vec![]);
    let without = decode(&encode(&session, created_at, StoredTokens::All).unwrap()).unwrap();
    assert_eq!((without.tokens.access, without.nonce), (None, None));
}

#[test]
fn a_session_beyond_the_limit_is_not_written() {
    let mut session = Session::default();
    session.tokens.access = Some("x".repeat(MAX_SESSION_BYTES).into());
    assert!(encode(&session, Timestamp::default(), StoredTokens::All).is_err());
}
