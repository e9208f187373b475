use serde_json::json;

use super::*;

fn at(seconds: i64, nanos: u32) -> Timestamp {
    Timestamp { seconds, nanos }
}

#[test]
fn times_are_read_in_every_form_and_never_from_numbers() {
    let table: [(&[u8], Read<Option<Timestamp>>); 18] = [
        (b"\xd6\xff\0\0\0\x05", Ok(Some(at(5, 0)))),
        (b"\xc7\x04\xff\0\0\0\x05", Ok(Some(at(5, 0)))),
        (b"\xd7\xff\0\0\0\x04\0\0\0\x05", Ok(Some(at(5, 1)))),
        (b"\xc8\0\x08\xff\0\0\0\x04\0\0\0\x05", Ok(Some(at(5, 1)))),
        (b"\xc7\x0c\xff\0\0\0\x01\xff\xff\xff\xff\xff\xff\xff\xff", Ok(Some(at(-1, 1)))),
        (b"\xc7\x0c\xff\0\0\0\0\xff\xff\xff\xf1\x88\x6e\x09\0", Ok(None)),
        (b"\xc0", Ok(None)),
        (b"\xb41970-01-01T00:00:05Z", Ok(Some(at(5, 0)))),
        (b"\xd9\x191970-01-01T01:00:05+01:00", Ok(Some(at(5, 0)))),
        (b"\xb61969-12-31T23:59:59.5Z", Ok(Some(at(-1, 500_000_000)))),
        (b"\x92\x05\x07", Ok(Some(at(5, 7)))),
        (b"\xdc\0\x02\xff\xcd\x01\0", Ok(Some(at(-1, 256)))),
        (b"\x92\x05\xff", Err(Unsealable)),
        (b"\x05", Err(Unsealable)),
        (b"\xce\x69\x55\xc7\x10", Err(Unsealable)),
        (b"\xd6\x01\0\0\0\x05", Err(Unsealable)),
        (b"\xd7\xff\xff\xff\xff\xff\0\0\0\x05", Err(Unsealable)),
        (b"\xa3now", Err(Unsealable)),
    ];
    for (bytes, expected) in table {
        assert_eq!(Reader::new(bytes).time(), expected, "{bytes:x?}");
    }
}

#[test]
fn texts_are_read_in_every_width_and_kind() {
    let table: [&[u8]; 7] = [
        b"\xa2hi",
        b"\xd9\x02hi",
        b"\xda\0\x02hi",
        b"\xdb\0\0\0\x02hi",
        b"\xc4\x02hi",
        b"\xc5\0\x02hi",
        b"\xc6\0\0\0\x02hi",
    ];
    for bytes in table {
        assert_eq!(Reader::new(bytes).text(), Ok("hi"));
    }
    assert_eq!(Reader::new(b"\xc0").text(), Ok(""));
    for bytes in [&b"\xa2\xff\xfe"[..], b"\xa3hi", b"\x05", b"\xc2", b"\xdb\xff\xff\xff\xffhi", b"", b"\xc1"]
    {
        assert_eq!(Reader::new(bytes).text(), Err(Unsealable), "{bytes:x?}");
    }
}

#[test]
fn claimed_lengths_ask_for_no_memory() {
    assert_eq!(Reader::new(b"\xdd\xff\xff\xff\xff\xa1a").texts(), Err(Unsealable));
    assert_eq!(Reader::new(b"\xdd\xff\xff\xff\xff\xc0").value(), Err(Unsealable));
    assert_eq!(Reader::new(b"\xdf\xff\xff\xff\xff\xa1a\xc0").value(), Err(Unsealable));
    assert_eq!(Reader::new(b"\xdd\xff\xff\xff\xff\xc0").skip(), Err(Unsealable));
}

#[test]
fn depth_is_bounded_both_ways() {
    let nested = |depth: usize| [vec![0x91; depth], vec![0xc0]].concat();
    assert!(Reader::new(&nested(15)).skip().is_ok());
    assert!(Reader::new(&nested(15)).value().is_ok());
    assert_eq!(Reader::new(&nested(16)).skip(), Err(Unsealable));
    assert_eq!(Reader::new(&nested(16)).value(), Err(Unsealable));
    let mut deep = json!("leaf");
    for _ in 0..100 {
        deep = json!([deep]);
    }
    let mut writer = Writer::with_capacity(0);
    writer.map(1).unwrap();
    writer.text("claim").unwrap();
    writer.value(&deep).unwrap();
    let bytes = writer.into_bytes();
    let read = Reader::new(&bytes).value().unwrap();
    assert!(read.to_string().contains("leaf"));
}

#[test]
fn values_come_back_with_numbers_as_text() {
    let value = json!({"a": [true, false, null, "t", 1, -2.5], "b": {"c": {}}});
    let mut writer = Writer::with_capacity(0);
    writer.value(&value).unwrap();
    let bytes = writer.into_bytes();
    let expected = json!({"a": [true, false, null, "t", "1", "-2.5"], "b": {"c": {}}});
    let mut reader = Reader::new(&bytes);
    assert_eq!(reader.value(), Ok(expected));
    assert_eq!(reader.finish(), Ok(()));
    let mut reader = Reader::new(&bytes);
    reader.skip().unwrap();
    assert_eq!(reader.finish(), Ok(()));
}

#[test]
fn numbers_of_every_kind_are_read() {
    let table: [(&[u8], Value); 13] = [
        (b"\x07", json!(7)),
        (b"\xff", json!(-1)),
        (b"\xcc\xff", json!(255)),
        (b"\xcd\xff\xff", json!(65535)),
        (b"\xce\xff\xff\xff\xff", json!(4_294_967_295_u64)),
        (b"\xcf\xff\xff\xff\xff\xff\xff\xff\xff", json!(u64::MAX)),
        (b"\xd0\x80", json!(-128)),
        (b"\xd1\x80\0", json!(-32768)),
        (b"\xd2\x80\0\0\0", json!(-2_147_483_648_i64)),
        (b"\xd3\x80\0\0\0\0\0\0\0", json!(i64::MIN)),
        (b"\xca\x3f\xc0\0\0", json!(1.5)),
        (b"\xcb\x3f\xf8\0\0\0\0\0\0", json!(1.5)),
        (b"\xcb\x7f\xf8\0\0\0\0\0\0", json!(null)),
    ];
    for (bytes, expected) in table {
        assert_eq!(Reader::new(bytes).value(), Ok(expected));
        let mut reader = Reader::new(bytes);
        reader.skip().unwrap();
        assert_eq!(reader.finish(), Ok(()), "{bytes:x?}");
    }
}
