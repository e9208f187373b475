//! Styles: following them through literal text, and making values safe inside of them.
//! Facts from the CSS syntax module, section 4 (tokens and escapes). All strings are taken for possible URLs.

use std::borrow::Cow;
use std::fmt::Write as _;

use super::context::{Context, HTML_SPACES, State, Step, Style};

/// Goes over a first part of a style.
pub(crate) fn step(context: Context, style: Style, text: &str) -> Step {
    match style {
        Style::Code => Ok(code(context, text)),
        Style::Double | Style::DoubleUrl => string(context, text, b"\""),
        Style::Single | Style::SingleUrl => string(context, text, b"'"),
        Style::Url => string(context, text, b"\t\n\x0c\r )"),
        Style::BlockComment => Ok(match text.find("*/") {
            Some(at) => (in_style(context, Style::Code), at + 2),
            None => (context, text.len()),
        }),
        Style::LineComment => Ok(match text.find(['\n', '\u{c}', '\r']) {
            Some(at) => (in_style(context, Style::Code), at),
            None => (context, text.len()),
        }),
    }
}

fn in_style(context: Context, style: Style) -> Context {
    Context { state: State::Style(style), ..context }
}

fn code(context: Context, text: &str) -> (Context, usize) {
    for (at, special) in text.match_indices(['(', '"', '\'', '/']) {
        let after = text.get(at + 1..).unwrap_or_default();
        match special {
            "(" if ends_with_url(text.get(..at).unwrap_or_default()) => {
                let value = after.trim_start_matches(HTML_SPACES);
                let (style, quote) = match value.chars().next() {
                    Some('"') => (Style::DoubleUrl, 1),
                    Some('\'') => (Style::SingleUrl, 1),
                    _ => (Style::Url, 0),
                };
                return (in_style(context, style), text.len() - value.len() + quote);
            }
            "/" if after.starts_with('/') => return (in_style(context, Style::LineComment), at + 2),
            "/" if after.starts_with('*') => return (in_style(context, Style::BlockComment), at + 2),
            "\"" => return (in_style(context, Style::Double), at + 1),
            "'" => return (in_style(context, Style::Single), at + 1),
            _ => (),
        }
    }
    (context, text.len())
}

/// Whether the word right before an opening parenthesis is `url`.
fn ends_with_url(text: &str) -> bool {
    let text = text.trim_end_matches(HTML_SPACES);
    let head = text.trim_end_matches(is_name_part);
    text.get(head.len()..).is_some_and(|word| word.eq_ignore_ascii_case("url"))
}

fn is_name_part(c: char) -> bool {
    c == '-' || c == '_' || c.is_ascii_alphanumeric() || !c.is_ascii()
}

/// In a string or URL, to one of `ends`.
fn string(mut context: Context, text: &str, ends: &[u8]) -> Step {
    let bytes = text.as_bytes();
    let mut at = 0;
    while let Some(byte) = bytes.get(at) {
        match byte {
            b'\\' if at + 1 == bytes.len() => return Err("unfinished escape in a style string".to_owned()),
            b'\\' => at += 1,
            byte if ends.contains(byte) => return Ok((in_style(context, Style::Code), at + 1)),
            _ => (),
        }
        at += 1;
    }
    context.part = context.part.after(&decode(text));
    Ok((context, text.len()))
}

/// Undoes the escapes of a style: `\` and up to six hexadecimal digits, or `\` and any character.
fn decode(text: &str) -> Cow<'_, str> {
    if !text.contains('\\') {
        return Cow::Borrowed(text);
    }
    let mut decoded = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('\\') {
        decoded.push_str(before);
        let digits = after.bytes().take(6).take_while(u8::is_ascii_hexdigit).count();
        let (number, tail) = after.split_at_checked(digits).unwrap_or(("", after));
        if number.is_empty() {
            let mut chars = after.chars();
            decoded.extend(chars.next());
            rest = chars.as_str();
            continue;
        }
        decoded.push(u32::from_str_radix(number, 16).ok().and_then(char::from_u32).unwrap_or('\u{fffd}'));
        // One white space ends the digits.
        rest = tail.strip_prefix("\r\n").or_else(|| tail.strip_prefix(HTML_SPACES)).unwrap_or(tail);
    }
    decoded.push_str(rest);
    Cow::Owned(decoded)
}

/// A value inside of a string.
pub(crate) fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 8);
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        match c {
            '\\' => out.push_str("\\\\"),
            '\0' | '\t' | '\n' | '\u{c}' | '\r' | '"' | '&' | '\'' | '(' | ')' | '+' | '/' | ':' | ';'
            | '<' | '>' | '{' | '}' => {
                // Writing to a string cannot fail.
                let _ = write!(out, "\\{:x}", u32::from(c));
                if chars.peek().is_none_or(|next| next.is_ascii_hexdigit() || HTML_SPACES.contains(next)) {
                    out.push(' ');
                }
            }
            _ => out.push(c),
        }
    }
    out
}

/// A value outside of a string: a word, a number, a colour. Anything else is refused.
pub(crate) fn filter_value(text: &str) -> Option<String> {
    const FORBIDDEN: [char; 15] =
        ['\0', '"', '\'', '(', ')', '/', ';', '@', '[', '\\', ']', '`', '{', '}', '<'];
    let decoded = decode(text);
    if decoded.contains(FORBIDDEN) || decoded.contains('>') || decoded.contains("--") {
        return None;
    }
    let word: String = decoded.chars().filter(|c| c.is_ascii() && is_name_part(*c)).collect();
    let word = word.to_ascii_lowercase();
    if word.contains("expression") || word.contains("mozbinding") {
        return None;
    }
    Some(decoded.into_owned())
}
