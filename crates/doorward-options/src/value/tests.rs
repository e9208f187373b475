use super::*;
use crate::defs::OPTIONS;

#[track_caller]
fn flags(occurrences: &[&str], expected: Result<&[&str], ()>) {
    let texts: Vec<String> = occurrences.iter().map(|text| (*text).to_owned()).collect();
    let read = <Vec<String>>::from_flags(Kind::List, &texts).map_err(|_| ());
    assert_eq!(
        read,
        expected.map(|items| items.iter().map(|item| (*item).to_owned()).collect()),
        "{texts:?}"
    );
}

#[test]
fn each_list_flag_is_one_csv_record() {
    flags(&["a"], Ok(&["a"]));
    flags(&["a,b", "c"], Ok(&["a", "b", "c"]));
    flags(&["\"a,b\",c"], Ok(&["a,b", "c"]));
    flags(&["\"say \"\"hi\"\"\""], Ok(&["say \"hi\""]));
    flags(&["\"two\nlines\""], Ok(&["two\nlines"]));
    flags(&["a, b"], Ok(&["a", " b"]));
    flags(&["a\n"], Ok(&["a"]));
    flags(&["", "a"], Ok(&["a"]));
    flags(&[""], Ok(&[]));
    flags(&["a\"b"], Err(()));
    flags(&["\"a"], Err(()));
    flags(&["\"a\"b"], Err(()));
    flags(&["a\nb"], Err(()));
}

#[test]
fn empty_items_neither_stay_nor_make_an_empty_list() {
    flags(&["a,,b,"], Ok(&["a", "b"]));
    flags(&[","], Err(()));
    flags(&["\"\""], Err(()));
    flags(&["a", " "], Err(()));
}

fn from_toml<T: Value>(kind: Kind, text: &str) -> Option<T> {
    T::from_toml(kind, DeValue::parse(text).unwrap().get_ref()).ok()
}

#[test]
fn the_file_may_use_other_types_where_nothing_is_lost() {
    for (text, expected) in [
        ("true", Some(true)),
        ("\"F\"", Some(false)),
        ("0", Some(false)),
        ("2", Some(true)),
        ("\"yes\"", None),
        ("\"\"", None),
        ("[]", None),
    ] {
        assert_eq!(from_toml(Kind::Bool, text), expected, "{text}");
    }
    for (text, expected) in
        [("7", Some(7)), ("'-7'", Some(-7)), ("0x10", Some(16)), ("1.5", None), ("''", None)]
    {
        assert_eq!(from_toml::<i64>(Kind::Int, text), expected, "{text}");
    }
    for (text, expected) in [("'x'", Some("x")), ("12345", Some("12345")), ("true", None), ("1.5", None)] {
        assert_eq!(from_toml::<String>(Kind::Text, text).as_deref(), expected, "{text}");
        let secret = from_toml::<SecretString>(Kind::Secret, text);
        assert_eq!(secret, expected.map(SecretString::from), "{text}");
    }
}

#[test]
fn the_file_may_write_a_list_as_one_text() {
    let lists: [(&str, Option<&[&str]>); 7] = [
        ("'a, b'", Some(&["a", "b"])),
        ("['a,b', ' c ', 5]", Some(&["a,b", "c", "5"])),
        ("[]", Some(&[])),
        ("''", Some(&[])),
        ("['']", None),
        ("[['a']]", None),
        ("5", None),
    ];
    for (text, expected) in lists {
        let read = from_toml::<Vec<String>>(Kind::List, text);
        assert_eq!(
            read,
            expected.map(|items| items.iter().map(|item| (*item).to_owned()).collect()),
            "{text}"
        );
    }
}

#[test]
fn a_duration_needs_a_unit_and_is_not_negative() {
    let hour = Duration::from_hours(1);
    for kind in [Kind::Duration, Kind::Interval] {
        for (text, expected) in [
            ("'1h'", Some(hour)),
            ("0", Some(Duration::ZERO)),
            ("3600", None),
            ("'3600'", None),
            ("1.5", None),
        ] {
            assert_eq!(from_toml(kind, text), expected, "{text}");
        }
    }
    assert_eq!(from_toml::<Duration>(Kind::Duration, "'-1s'"), None);
    assert_eq!(from_toml(Kind::Interval, "'-1s'"), Some(Duration::ZERO));
}

#[test]
fn every_occurrence_of_a_flag_must_be_readable_and_the_last_counts() {
    let read = |texts: &[&str]| {
        let texts: Vec<String> = texts.iter().map(|text| (*text).to_owned()).collect();
        i64::from_flags(Kind::Int, &texts).ok()
    };
    assert_eq!(read(&["1", "2"]), Some(2));
    assert_eq!(read(&["x", "2"]), None);
}

#[test]
fn every_default_in_the_table_is_readable() {
    for def in OPTIONS {
        let readable = match def.kind {
            Kind::Bool | Kind::BoolWord => bool::from_text(def.kind, def.default).is_ok(),
            Kind::Int => i64::from_text(def.kind, def.default).is_ok(),
            Kind::Duration | Kind::Interval => Duration::from_text(def.kind, def.default).is_ok(),
            Kind::Text | Kind::Secret => true,
            Kind::List | Kind::SecretList => <Vec<String>>::from_text(def.kind, def.default).is_ok(),
        };
        assert!(readable, "{}", def.flag);
    }
}
