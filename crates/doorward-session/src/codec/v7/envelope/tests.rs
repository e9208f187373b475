use super::*;

fn key() -> hmac::Key {
    hmac::Key::new(hmac::HMAC_SHA256, b"0123456789abcdef")
}

/// A value with the right signature for whatever its parts are.
fn signed(name: &str, payload: &str, seconds: &str) -> String {
    let tag = sign(&key(), name.as_bytes(), payload.as_bytes(), seconds.as_bytes());
    format!("{payload}|{seconds}|{}", URL_SAFE.encode_to_string(tag))
}

fn opens(name: &str, text: &str) -> bool {
    open(&key(), name, text.as_bytes()).is_ok()
}

#[test]
fn every_change_of_a_value_is_noticed() {
    let value = seal(&key(), "name", b"some payload!", 1_700_000_000);
    let opened = open(&key(), "name", value.as_bytes()).unwrap();
    assert_eq!((&opened.payload[..], opened.signed_at), (&b"some payload!"[..], 1_700_000_000));
    for at in 0..value.len() {
        for flip in [1, 2, 4, 8, 16, 32, 64, 128] {
            let mut changed = value.clone().into_bytes();
            changed[at] ^= flip;
            assert!(open(&key(), "name", &changed).is_err(), "{at} {flip}");
        }
        assert!(open(&key(), "name", &value.as_bytes()[..at]).is_err(), "{at}");
        assert!(open(&key(), "name", &value.as_bytes()[at + 1..]).is_err(), "{at}");
    }
    for extra in ["=", "A", "|", " ", "\0", "||", "AAAA"] {
        assert!(!opens("name", &format!("{value}{extra}")));
        assert!(!opens("name", &format!("{extra}{value}")));
    }
    for name in ["", "nam", "name2", "Name", "name_csrf"] {
        assert!(!opens(name, &value), "{name}");
    }
    let other = hmac::Key::new(hmac::HMAC_SHA256, b"0123456789abcdeF");
    assert!(open(&other, "name", value.as_bytes()).is_err());
}

#[test]
fn odd_forms_are_refused_even_with_the_right_signature() {
    assert!(opens("n", &signed("n", "QUJD", "1700000000")));
    assert!(opens("n", &signed("n", "QUI=", "170000000")));
    assert!(opens("n", &signed("n", "", "1700000000")));
    for payload in
        ["QUI", "QUI==", "QUJ=", "QQ=", "QR==", "QUJDQ", "Q+JD", "QUJD\n", " QUJD", "QUJD=", "===="]
    {
        assert!(!opens("n", &signed("n", payload, "1700000000")), "{payload:?}");
    }
    for seconds in [
        "",
        "0",
        "1",
        "12345678",
        "01700000000",
        "0170000000",
        "+1700000000",
        "-1700000000",
        " 1700000000",
        "1e9000000",
        "17000000000",
    ] {
        assert!(!opens("n", &signed("n", "QUJD", seconds)), "{seconds:?}");
    }
    // The same signature in another spelling.
    let value = signed("n", "QUJD", "1700000000");
    let (rest, last) = value.split_at(value.len() - 2);
    for other in "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_".chars() {
        let respelled = format!("{rest}{other}=");
        assert_eq!(opens("n", &respelled), last.starts_with(other), "{other}");
    }
    assert!(!opens("n", value.trim_end_matches('=')));
}

/// The MAC runs over name, payload and seconds without separators. Between the names that we use, and within a
/// value, moving a boundary must gain nothing.
#[test]
fn boundaries_cannot_be_moved() {
    let names = ["n", "n_csrf", "n_AAAAAAAA_csrf", "n_AAAAAAAA", "n_0"];
    for signed_name in names {
        let value = seal(&key(), signed_name, b"payload123", 1_700_000_000);
        let (payload, rest) = value.split_once('|').unwrap();
        let (seconds, mac) = rest.split_once('|').unwrap();
        let all = format!("{signed_name}{payload}{seconds}");
        for name in names {
            let Some(rest) = all.strip_prefix(name) else { continue };
            for end in 0..=rest.len() {
                let (payload, seconds) = rest.split_at(end);
                let shifted = format!("{payload}|{seconds}|{mac}");
                assert_eq!(
                    opens(name, &shifted),
                    name == signed_name && shifted == value,
                    "{name} {shifted}"
                );
            }
        }
    }
}

#[test]
fn the_end_of_a_value_is_found_whatever_follows() {
    let value = seal(&key(), "n", b"payload", 1_700_000_000);
    assert_eq!(end_of_value(value.as_bytes()), Some(value.len()));
    assert_eq!(end_of_value(format!("{value}tail|x").as_bytes()), Some(value.len()));
    assert_eq!(end_of_value(b"no value"), None);
    assert_eq!(end_of_value(b"a|b"), None);
}

#[test]
fn a_signature_is_good_for_its_lifetime_and_five_minutes_ahead() {
    let hour = Lifetime::new(Duration::from_hours(1));
    let now = Timestamp { seconds: 10_000, nanos: 0 };
    let later = Timestamp { seconds: 10_000, nanos: 1 };
    assert!(hour.admits(10_000, now));
    assert!(hour.admits(6_401, now));
    assert!(!hour.admits(6_400, now));
    assert!(!hour.admits(6_400, later));
    assert!(hour.admits(10_299, now));
    assert!(!hour.admits(10_300, now));
    assert!(hour.admits(10_300, later));
    assert!(!hour.admits(i64::MAX, now));
    let unlimited = Lifetime::new(Duration::ZERO);
    assert!(unlimited.admits(100_000_000, now));
    assert!(unlimited.admits(i64::MAX, now));
}
