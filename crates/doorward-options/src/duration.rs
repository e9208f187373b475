//! Durations in the syntax of Go: `1h30m`, `1.5s`, `-300ms`, `0`. Both directions; exact to the nanosecond.

use std::time::Duration;

use thiserror::Error;

const SECOND: u128 = 1_000_000_000;

/// A duration as written: Go has negative ones.
pub type SignedNanoseconds = i64;

/// Why a text is no duration.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum DurationSyntax {
    /// Not a sequence of numbers with units.
    #[error("is not a duration")]
    Malformed,
    /// A number without a unit; only 0 may stand alone.
    #[error("is a duration without a unit")]
    UnitMissing,
    /// A number with an unknown unit.
    #[error("is a duration with an unknown unit")]
    UnitUnknown,
    /// More than about 292 years.
    #[error("is too long a duration")]
    TooLong,
}

/// Reads a duration in Go syntax (Go: `time.ParseDuration`), in nanoseconds. Parts of a nanosecond are dropped.
pub fn parse_duration(text: &str) -> Result<SignedNanoseconds, DurationSyntax> {
    let (negative, mut rest) = match text.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, text.strip_prefix('+').unwrap_or(text)),
    };
    if rest == "0" {
        return Ok(0);
    }
    if rest.is_empty() {
        return Err(DurationSyntax::Malformed);
    }
    let mut total: u128 = 0;
    while !rest.is_empty() {
        let (nanoseconds, tail) = component(rest)?;
        total = total.checked_add(nanoseconds).ok_or(DurationSyntax::TooLong)?;
        rest = tail;
    }
    let nanoseconds = i64::try_from(total).map_err(|_| DurationSyntax::TooLong)?;
    Ok(if negative { -nanoseconds } else { nanoseconds })
}

/// One number with its unit, in nanoseconds, and what follows.
fn component(text: &str) -> Result<(u128, &str), DurationSyntax> {
    let (whole, rest) = leading(text, |c| c.is_ascii_digit());
    let (fraction, rest) = match rest.strip_prefix('.') {
        Some(rest) => leading(rest, |c| c.is_ascii_digit()),
        None => ("", rest),
    };
    if whole.is_empty() && fraction.is_empty() {
        return Err(DurationSyntax::Malformed);
    }
    let (name, rest) = leading(rest, |c| c != '.' && !c.is_ascii_digit());
    let unit = unit(name)?;
    let whole = digits(whole)?.checked_mul(unit).ok_or(DurationSyntax::TooLong)?;
    // Fifteen places of an hour are finer than a nanosecond; further ones cannot change the result.
    let fraction: String = fraction.chars().take(15).collect();
    let scale = fraction.chars().fold(1, |scale: u128, _| scale * 10);
    let part = digits(&fraction)? * unit / scale;
    Ok((whole.checked_add(part).ok_or(DurationSyntax::TooLong)?, rest))
}

fn unit(name: &str) -> Result<u128, DurationSyntax> {
    match name {
        "" => Err(DurationSyntax::UnitMissing),
        "ns" => Ok(1),
        // The micro sign and the Greek letter look alike; Go takes both.
        "us" | "\u{b5}s" | "\u{3bc}s" => Ok(1_000),
        "ms" => Ok(1_000_000),
        "s" => Ok(SECOND),
        "m" => Ok(60 * SECOND),
        "h" => Ok(3600 * SECOND),
        _ => Err(DurationSyntax::UnitUnknown),
    }
}

fn digits(text: &str) -> Result<u128, DurationSyntax> {
    if text.is_empty() {
        return Ok(0);
    }
    text.parse().map_err(|_| DurationSyntax::TooLong)
}

/// Splits where `belongs` first fails.
fn leading(text: &str, belongs: impl Fn(char) -> bool) -> (&str, &str) {
    text.split_at(text.find(|c| !belongs(c)).unwrap_or(text.len()))
}

/// Writes a duration as Go prints it: `168h0m0s`, `1.5s`, `300ms`, `0s`.
pub fn format_duration(duration: Duration) -> String {
    let nanoseconds = duration.as_nanos();
    if nanoseconds == 0 {
        return "0s".to_owned();
    }
    if nanoseconds < SECOND {
        let (unit, name) = match nanoseconds {
            0..1_000 => (1, "ns"),
            1_000..1_000_000 => (1_000, "\u{b5}s"),
            _ => (1_000_000, "ms"),
        };
        return format!("{}{name}", decimal(nanoseconds, unit));
    }
    let seconds = duration.as_secs();
    let last = decimal(nanoseconds % (60 * SECOND), SECOND);
    match (seconds / 3600, seconds / 60 % 60) {
        (0, 0) => format!("{last}s"),
        (0, minutes) => format!("{minutes}m{last}s"),
        (hours, minutes) => format!("{hours}h{minutes}m{last}s"),
    }
}

/// `value / unit` without trailing zeros; `unit` is a power of ten.
fn decimal(value: u128, unit: u128) -> String {
    let fraction = value % unit;
    if fraction == 0 {
        return (value / unit).to_string();
    }
    let width = unit.ilog10() as usize;
    let places = format!("{fraction:0width$}");
    format!("{}.{}", value / unit, places.trim_end_matches('0'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_go_reads() {
        let minute = 60_000_000_000;
        let table = [
            ("0", Ok(0)),
            ("-0", Ok(0)),
            ("0s", Ok(0)),
            ("1h30m", Ok(90 * minute)),
            ("300ms", Ok(300_000_000)),
            ("1.5s", Ok(1_500_000_000)),
            (".5s", Ok(500_000_000)),
            ("1.s", Ok(1_000_000_000)),
            ("+5m", Ok(5 * minute)),
            ("-1m", Ok(-minute)),
            ("1us2\u{b5}s3\u{3bc}s4ns", Ok(6_004)),
            ("0.3333333333333333333h", Ok(1_199_999_999_999)),
            ("2562047h47m16.854775807s", Ok(i64::MAX)),
            ("2562047h47m16.854775808s", Err(DurationSyntax::TooLong)),
            ("99999999999999999999999999999999999999999h", Err(DurationSyntax::TooLong)),
            ("340282366920938463463374607431768211455h", Err(DurationSyntax::TooLong)),
            ("", Err(DurationSyntax::Malformed)),
            ("-", Err(DurationSyntax::Malformed)),
            (".", Err(DurationSyntax::Malformed)),
            (".s", Err(DurationSyntax::Malformed)),
            ("soon", Err(DurationSyntax::Malformed)),
            ("--1s", Err(DurationSyntax::Malformed)),
            ("1h ", Err(DurationSyntax::UnitUnknown)),
            ("60", Err(DurationSyntax::UnitMissing)),
            ("1h30", Err(DurationSyntax::UnitMissing)),
            ("7d", Err(DurationSyntax::UnitUnknown)),
        ];
        for (text, expected) in table {
            assert_eq!(parse_duration(text), expected, "{text:?}");
        }
    }

    #[test]
    fn writes_what_go_writes() {
        let table = [
            (0, "0s"),
            (1, "1ns"),
            (1_100, "1.1\u{b5}s"),
            (2_200_000, "2.2ms"),
            (300_000_000, "300ms"),
            (1_500_000_000, "1.5s"),
            (60_000_000_000, "1m0s"),
            (61_050_000_000, "1m1.05s"),
            (3_600_000_000_000, "1h0m0s"),
            (604_800_000_000_000, "168h0m0s"),
            (5_025_001_000_000, "1h23m45.001s"),
        ];
        for (nanoseconds, expected) in table {
            let duration = Duration::from_nanos(nanoseconds);
            assert_eq!(format_duration(duration), expected);
            assert_eq!(parse_duration(expected).ok(), i64::try_from(nanoseconds).ok(), "{expected}");
        }
    }
}
