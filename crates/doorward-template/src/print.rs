//! Values as text, in the forms of Go's fmt package: `print`, `println`, `printf` and plain output.

use std::borrow::Cow;
use std::fmt::Write as _;

use crate::value::Value;

/// The widest field and the highest precision of `printf`.
const MAX_WIDTH: usize = 256;

/// A value where it is printed in a page: nothing for a missing one.
pub(crate) fn text(value: &Value) -> Cow<'_, str> {
    match value {
        Value::Text(text) | Value::Html(text) => Cow::Borrowed(text),
        Value::Nil => Cow::Borrowed(""),
        other => {
            let mut out = String::new();
            write_value(other, &mut out);
            Cow::Owned(out)
        }
    }
}

/// Appends a value as `%v` shows it.
pub(crate) fn write_value(value: &Value, out: &mut String) {
    match value {
        Value::Text(text) | Value::Html(text) => out.push_str(text),
        Value::Int(number) => out.push_str(&number.to_string()),
        Value::Bool(truth) => out.push_str(if *truth { "true" } else { "false" }),
        Value::Nil => out.push_str("<nil>"),
        Value::List(items) => {
            out.push('[');
            for (index, item) in items.iter().enumerate() {
                if index > 0 {
                    out.push(' ');
                }
                write_value(item, out);
            }
            out.push(']');
        }
        Value::Map(entries) => {
            out.push_str("map[");
            for (index, (key, entry)) in entries.iter().enumerate() {
                if index > 0 {
                    out.push(' ');
                }
                out.push_str(key);
                out.push(':');
                write_value(entry, out);
            }
            out.push(']');
        }
    }
}

/// `print`: a space between two arguments of which neither is text.
pub(crate) fn print(arguments: &[&Value]) -> String {
    let mut out = String::new();
    let mut after_text = true;
    for (index, value) in arguments.iter().enumerate() {
        let is_text = value.as_text().is_some();
        if index > 0 && !is_text && !after_text {
            out.push(' ');
        }
        write_value(value, &mut out);
        after_text = is_text;
    }
    out
}

/// `println`: a space between all arguments, and a line break.
pub(crate) fn println(arguments: &[&Value]) -> String {
    let mut out = String::new();
    for (index, value) in arguments.iter().enumerate() {
        if index > 0 {
            out.push(' ');
        }
        write_value(value, &mut out);
    }
    out.push('\n');
    out
}

/// What stands between `%` and the verb.
#[derive(Debug, Default)]
struct Format {
    left: bool,
    zero: bool,
    sign: Sign,
    width: usize,
    precision: Option<usize>,
}

#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
enum Sign {
    #[default]
    NegativeOnly,
    Plus,
    Space,
}

/// `printf`. A verb that does not fit its value is shown as Go shows it, not refused.
pub(crate) fn printf(format: &str, arguments: &[&Value]) -> String {
    let mut out = String::new();
    let mut arguments = arguments.iter();
    let mut rest = format;
    while let Some((before, after)) = rest.split_once('%') {
        out.push_str(before);
        let (options, after) = read_format(after);
        let mut chars = after.chars();
        let Some(verb) = chars.next() else {
            out.push_str("%!(NOVERB)");
            return out;
        };
        rest = chars.as_str();
        if verb == '%' {
            out.push('%');
            continue;
        }
        match arguments.next() {
            Some(value) => write_verb(&options, verb, value, &mut out),
            None => drop(write!(out, "%!{verb}(MISSING)")),
        }
    }
    out.push_str(rest);
    let extra: Vec<String> = arguments.map(|value| described(value)).collect();
    if !extra.is_empty() {
        let _ = write!(out, "%!(EXTRA {})", extra.join(", "));
    }
    out
}

fn described(value: &Value) -> String {
    if *value == Value::Nil {
        return "<nil>".to_owned();
    }
    let mut out = format!("{}=", value.kind());
    write_value(value, &mut out);
    out
}

fn read_format(text: &str) -> (Format, &str) {
    let mut format = Format::default();
    let mut rest = text;
    loop {
        let mut chars = rest.chars();
        match chars.next() {
            Some('-') => format.left = true,
            Some('0') => format.zero = true,
            Some('+') => format.sign = Sign::Plus,
            Some(' ') => format.sign = Sign::Space,
            Some('#') => (),
            _ => break,
        }
        rest = chars.as_str();
    }
    let (width, after) = read_number(rest);
    format.width = width.unwrap_or(0);
    rest = after;
    if let Some(after) = rest.strip_prefix('.') {
        let (precision, after) = read_number(after);
        format.precision = Some(precision.unwrap_or(0));
        rest = after;
    }
    (format, rest)
}

fn read_number(text: &str) -> (Option<usize>, &str) {
    let length = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (digits, rest) = text.split_at_checked(length).unwrap_or(("", text));
    if digits.is_empty() {
        return (None, rest);
    }
    (Some(digits.parse().unwrap_or(MAX_WIDTH).min(MAX_WIDTH)), rest)
}

fn write_verb(format: &Format, verb: char, value: &Value, out: &mut String) {
    let number = |radix: fn(u64) -> String| match value {
        Value::Int(number) => Some(signed(format, *number, radix)),
        _ => None,
    };
    let shown = match (verb, value) {
        ('v', Value::Int(_)) | ('d', _) => number(|magnitude| magnitude.to_string()),
        ('x', Value::Int(_)) => number(|magnitude| format!("{magnitude:x}")),
        ('X', Value::Int(_)) => number(|magnitude| format!("{magnitude:X}")),
        ('o', _) => number(|magnitude| format!("{magnitude:o}")),
        ('b', _) => number(|magnitude| format!("{magnitude:b}")),
        ('c', Value::Int(code)) => {
            let c = u32::try_from(*code).ok().and_then(char::from_u32).unwrap_or('\u{fffd}');
            Some(c.to_string())
        }
        ('t', Value::Bool(_)) | ('v', _) => {
            let mut shown = String::new();
            write_value(value, &mut shown);
            Some(shown)
        }
        ('s', _) => value.as_text().map(|text| cut(format, text).to_owned()),
        ('q', _) => value.as_text().map(|text| quote(cut(format, text))),
        ('x', _) => value.as_text().map(|text| hex(text, |byte| format!("{byte:02x}"))),
        ('X', _) => value.as_text().map(|text| hex(text, |byte| format!("{byte:02X}"))),
        ('T', _) => Some(value.kind().to_owned()),
        _ => None,
    };
    match shown {
        Some(shown) => pad(format, &shown, out),
        None => match value {
            Value::List(items) if verb == 's' || verb == 'd' || verb == 'q' => {
                out.push('[');
                for (index, item) in items.iter().enumerate() {
                    if index > 0 {
                        out.push(' ');
                    }
                    write_verb(format, verb, item, out);
                }
                out.push(']');
            }
            _ => drop(write!(out, "%!{verb}({})", described(value))),
        },
    }
}

fn hex(text: &str, byte: fn(u8) -> String) -> String {
    text.bytes().map(byte).collect()
}

fn signed(format: &Format, number: i64, radix: fn(u64) -> String) -> String {
    let sign = match (number < 0, format.sign) {
        (true, _) => "-",
        (false, Sign::Plus) => "+",
        (false, Sign::Space) => " ",
        (false, Sign::NegativeOnly) => "",
    };
    let digits = radix(number.unsigned_abs());
    let least = match format.precision {
        Some(precision) => precision,
        None if format.zero && !format.left => format.width.saturating_sub(sign.len()),
        None => 0,
    };
    format!("{sign}{}{digits}", "0".repeat(least.saturating_sub(digits.len())))
}

fn cut<'v>(format: &Format, text: &'v str) -> &'v str {
    let end = format.precision.and_then(|precision| text.char_indices().nth(precision));
    end.and_then(|(at, _)| text.get(..at)).unwrap_or(text)
}

fn pad(format: &Format, shown: &str, out: &mut String) {
    let missing = format.width.saturating_sub(shown.chars().count());
    let zeroes = format.zero && !format.left && format.precision.is_none();
    let padding = if zeroes { "0" } else { " " }.repeat(missing);
    if format.left {
        out.push_str(shown);
        out.push_str(&padding);
    } else {
        out.push_str(&padding);
        out.push_str(shown);
    }
}

/// Text in double quotes, with Go's escapes.
fn quote(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 2);
    out.push('"');
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\u{7}' => out.push_str("\\a"),
            '\u{8}' => out.push_str("\\b"),
            '\u{c}' => out.push_str("\\f"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            '\u{b}' => out.push_str("\\v"),
            c if c < ' ' || c == '\u{7f}' => drop(write!(out, "\\x{:02x}", u32::from(c))),
            c if is_printable(c) => out.push(c),
            c if u32::from(c) < 0x1_0000 => drop(write!(out, "\\u{:04x}", u32::from(c))),
            c => drop(write!(out, "\\U{:08x}", u32::from(c))),
        }
    }
    out.push('"');
    out
}

/// The function `js`: text for a script string, by hand.
pub(crate) fn js(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 8);
    for c in text.chars() {
        match c {
            '\\' => out.push_str("\\\\"),
            '\'' => out.push_str("\\'"),
            '"' => out.push_str("\\\""),
            '<' | '>' | '&' | '=' => drop(write!(out, "\\u{:04X}", u32::from(c))),
            c if is_printable(c) => out.push(c),
            c => drop(write!(out, "\\u{:04X}", u32::from(c))),
        }
    }
    out
}

/// Close to what Go calls printable: no controls, no separators but the space, no invisible signs.
fn is_printable(c: char) -> bool {
    let code = u32::from(c);
    let invisible = matches!(c, '\u{ad}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}')
        || matches!(c, '\u{e000}'..='\u{f8ff}' | '\u{fdd0}'..='\u{fdef}' | '\u{feff}' | '\u{fff0}'..='\u{fffb}')
        || code & 0xfffe == 0xfffe;
    c == ' ' || !(c.is_control() || c.is_whitespace() || invisible)
}
