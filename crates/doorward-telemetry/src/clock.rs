//! Times as text. Nothing here reads a clock. The text of the current second is kept per thread, because a busy
//! server writes many lines in one second.

use std::{cell::Cell, io::Write as _};

use doorward_core::Timestamp;

use crate::logs::TimeZone;

const LENGTH: usize = "2006/01/02 15:04:05".len();

#[derive(Clone, Copy)]
struct Kept {
    second: i64,
    zone: TimeZone,
    text: [u8; LENGTH],
}

thread_local! {
    static KEPT: Cell<Option<Kept>> = const { Cell::new(None) };
}

/// Appends `2006/01/02 15:04:05`.
pub(crate) fn push_timestamp(out: &mut Vec<u8>, at: Timestamp, zone: TimeZone) {
    if let Some(kept) = KEPT.get().filter(|kept| kept.second == at.seconds && kept.zone == zone) {
        out.extend_from_slice(&kept.text);
        return;
    }
    let start = out.len();
    let time = civil(at, zone);
    // Writing to a vector cannot fail.
    let _ = write!(
        out,
        "{:04}/{:02}/{:02} {:02}:{:02}:{:02}",
        time.year(),
        time.month(),
        time.day(),
        time.hour(),
        time.minute(),
        time.second()
    );
    if let Some(text) = out.get(start..).and_then(|text| text.try_into().ok()) {
        KEPT.set(Some(Kept { second: at.seconds, zone, text }));
    }
}

/// A time in UTC with milliseconds (RFC 3339): `2006-01-02T15:04:05.000Z`.
pub(crate) fn rfc3339(at: Timestamp) -> String {
    let time = civil(at, TimeZone::Utc);
    format!(
        "{:04}-{:02}-{:02}T{:02}:{:02}:{:02}.{:03}Z",
        time.year(),
        time.month(),
        time.day(),
        time.hour(),
        time.minute(),
        time.second(),
        at.nanos / 1_000_000
    )
}

/// The part of a rotated file's name that tells when it was rotated: `2006-01-02T15-04-05.000`.
/// Such names sort by time.
pub(crate) fn file_name_time(at: Timestamp, zone: TimeZone) -> String {
    let time = civil(at, zone);
    format!(
        "{:04}-{:02}-{:02}T{:02}-{:02}-{:02}.{:03}",
        time.year(),
        time.month(),
        time.day(),
        time.hour(),
        time.minute(),
        time.second(),
        at.nanos / 1_000_000
    )
}

/// The wall clock's reading; times beyond the calendar read as its first instant.
fn civil(at: Timestamp, zone: TimeZone) -> jiff::civil::DateTime {
    let instant = jiff::Timestamp::from_second(at.seconds).unwrap_or(jiff::Timestamp::UNIX_EPOCH);
    match zone {
        TimeZone::Local => jiff::tz::TimeZone::system().to_datetime(instant),
        TimeZone::Utc => jiff::tz::TimeZone::UTC.to_datetime(instant),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(seconds: i64, expected: &str) {
        let mut out = b"> ".to_vec();
        push_timestamp(&mut out, Timestamp::from_seconds(seconds), TimeZone::Utc);
        assert_eq!(String::from_utf8(out).unwrap(), format!("> {expected}"));
    }

    #[test]
    fn a_time_is_written_the_same_from_memory() {
        for _ in 0..2 {
            check(1_795_332_897, "2026/11/22 07:34:57");
        }
        check(1_795_332_898, "2026/11/22 07:34:58");
        check(0, "1970/01/01 00:00:00");
        check(i64::MAX, "1970/01/01 00:00:00");
    }

    #[test]
    fn file_names_carry_milliseconds() {
        let at = Timestamp { seconds: 1_795_332_897, nanos: 7_999_999 };
        assert_eq!(file_name_time(at, TimeZone::Utc), "2026-11-22T07-34-57.007");
        assert_eq!(rfc3339(at), "2026-11-22T07:34:57.007Z");
    }
}
