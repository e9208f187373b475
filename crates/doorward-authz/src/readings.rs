//! What a path may mean to whoever handles it next.
//!
//! A rule that opens a path judges text, and the request is then carried on as it came. Applications decode once, twice
//! or not at all, drop matrix parameters, merge slashes, trim blanks, drop control characters, and take wide letters for
//! ordinary ones. So a path is judged by every reading it could get, and a rule that opens must hold for all of them. A
//! path whose meaning cannot be pinned down is opened by no expression at all: dot segments in any spelling, NUL, bytes
//! that are not UTF-8, `%u` escapes, more than [`MOST_LAYERS`] layers of encoding. Browsers send none of these.

use std::collections::BTreeSet;

use doorward_core::Target;

/// The texts that path expressions have to be tried on.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Readings<'a> {
    /// All readers agree on the decoded path.
    One(&'a str),
    Several(BTreeSet<String>),
    /// No text is certain.
    Unclear,
}

/// The readings of a target's path; its query is never part of one.
pub(crate) fn readings(target: &Target) -> Readings<'_> {
    let raw = target.raw_path();
    if is_plain(raw) { Readings::One(target.path()) } else { study(target) }
}

/// How many times a path may be percent-encoded in itself and still be followed.
const MOST_LAYERS: usize = 3;

fn is_plain(raw: &str) -> bool {
    let is_odd = |byte| matches!(byte, b'%' | b'\\' | b';' | 0..=b' ' | 0x7F..);
    !raw.bytes().any(is_odd) && !raw.contains("//") && !raw.contains("/.")
}

fn study(target: &Target) -> Readings<'static> {
    let mut texts = BTreeSet::from([target.path().to_owned()]);
    // RFC 3986 section 6.2.2.2: escapes of ordinary characters mean the same to everybody.
    let mut layer = decode(target.raw_path().as_bytes(), Escapes::Ordinary);
    for _ in 0..=MOST_LAYERS + 1 {
        let Ok(text) = String::from_utf8(layer) else {
            return Readings::Unclear;
        };
        if is_unclear(&text) {
            return Readings::Unclear;
        }
        texts.insert(flatten(&text, str::to_owned));
        texts.insert(flatten(&text, visible));
        let next = Some(decode(text.as_bytes(), Escapes::All)).filter(|next| next != text.as_bytes());
        // Wide letters are one more layer: taken for ordinary ones they may spell an escape.
        let next = next.or_else(|| Some(narrow(&text).into_bytes()).filter(|next| next != text.as_bytes()));
        texts.insert(text);
        match next {
            Some(next) => layer = next,
            None => return Readings::Several(texts),
        }
    }
    Readings::Unclear
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Escapes {
    All,
    /// All but those of characters with a meaning in paths.
    Ordinary,
}

fn decode(text: &[u8], which: Escapes) -> Vec<u8> {
    let mut out = Vec::with_capacity(text.len());
    let mut rest = text;
    while let Some((&first, after)) = rest.split_first() {
        rest = after;
        if first == b'%'
            && let [high, low, tail @ ..] = after
            && let (Some(high), Some(low)) = (hex(*high), hex(*low))
        {
            let byte = high << 4 | low;
            if which == Escapes::All || !is_special(byte) {
                out.push(byte);
                rest = tail;
                continue;
            }
        }
        out.push(first);
    }
    out
}

const fn is_special(byte: u8) -> bool {
    matches!(byte, b'%' | b'/' | b'\\' | b';' | b'#' | b'?') || byte.is_ascii_control()
}

const fn hex(digit: u8) -> Option<u8> {
    match digit {
        b'0'..=b'9' => Some(digit - b'0'),
        b'a'..=b'f' => Some(digit - b'a' + 10),
        b'A'..=b'F' => Some(digit - b'A' + 10),
        _ => None,
    }
}

fn is_unclear(text: &str) -> bool {
    text.contains("%u")
        || text.contains("%U")
        || text.contains('\0')
        || text.split(['/', '\\']).any(is_dot_segment)
}

/// Also with parameters, with a cut tail, or with what cannot be seen: `..;x`, `.. `, `.%0a.`. More dots than two have
/// a meaning to some.
fn is_dot_segment(segment: &str) -> bool {
    let name = segment.split([';', '#', '?']).next().unwrap_or(segment);
    let mut seen = name.chars().filter(|&letter| !is_invisible(letter) && !letter.is_whitespace()).peekable();
    seen.peek().is_some() && seen.all(|letter| letter == '.')
}

/// The path in the eyes of an eager normaliser: cut at `#` and `?`, backslashes as slashes, no matrix parameters,
/// segments as `clean` leaves them, no empty ones.
fn flatten(text: &str, clean: impl Fn(&str) -> String) -> String {
    let path = text.split(['#', '?']).next().unwrap_or(text);
    let mut out = String::with_capacity(path.len());
    for segment in path.split(['/', '\\']) {
        let name = clean(segment.split(';').next().unwrap_or(segment));
        if !name.is_empty() {
            out.push('/');
            out.push_str(&name);
        }
    }
    if out.is_empty() || path.ends_with(['/', '\\']) {
        out.push('/');
    }
    out
}

/// A segment without what cannot be seen, and without blanks around it.
fn visible(segment: &str) -> String {
    let text: String = segment.chars().filter(|&letter| !is_invisible(letter)).collect();
    text.trim().to_owned()
}

/// Control characters, and those that only shape or steer the text around them.
fn is_invisible(letter: char) -> bool {
    letter.is_control()
        || matches!(
            letter,
            '\u{AD}' | '\u{200B}'..='\u{200F}' | '\u{202A}'..='\u{202E}' | '\u{2060}'..='\u{2069}' | '\u{FEFF}'
        )
}

/// The text with compatibility forms of ASCII characters, as Unicode's NFKC and older code pages fold them: the full
/// width block (U+FF01 to U+FF5E), and look-alikes of the characters with a meaning in paths.
fn narrow(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for letter in text.chars() {
        match letter {
            '\u{2024}' | '\u{3002}' | '\u{FE52}' | '\u{FF61}' => out.push('.'),
            '\u{2025}' | '\u{FE30}' => out.push_str(".."),
            '\u{2026}' => out.push_str("..."),
            '\u{2044}' | '\u{2215}' => out.push('/'),
            '\u{2216}' | '\u{FE68}' => out.push('\\'),
            '\u{FE54}' => out.push(';'),
            '\u{FE56}' => out.push('?'),
            '\u{FE5F}' => out.push('#'),
            '\u{FE6A}' => out.push('%'),
            '\u{FF01}'..='\u{FF5E}' => out.extend(char::from_u32(u32::from(letter) - 0xFEE0)),
            other => out.push(other),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn target(uri: &str) -> Target {
        Target::new(uri.parse().unwrap())
    }

    #[test]
    fn a_plain_path_has_one_reading() {
        for path in ["/", "/public/x", "/a.b/c..d", "/x?a=//b;c%2e", "/~u/@x"] {
            let target = target(path);
            assert_eq!(readings(&target), Readings::One(target.path()), "{path}");
        }
    }

    #[test]
    fn readings_are_what_others_could_see() {
        for (path, expected) in [
            ("/a%20b", &["/a b"][..]),
            ("/%61dmin", &["/admin"]),
            ("/%C3%BC", &["/ü"]),
            ("/a%0ab", &["/a\nb", "/a%0ab", "/ab"]),
            ("/%20/a", &["/ /a", "/a"]),
            ("/%EF%BD%81", &["/a", "/\u{ff41}"]),
            ("/a\u{2044}b", &["/a/b", "/a\u{2044}b"]),
            ("/.well-known/x", &["/.well-known/x"]),
            ("/a%2fb", &["/a%2fb", "/a/b"]),
            ("//a//b", &["//a//b", "/a/b"]),
            ("/a/", &["/a/"]),
            ("/a;v=1/b", &["/a/b", "/a;v=1/b"]),
            ("/;/admin", &["/;/admin", "/admin"]),
            ("/a%5cb", &["/a%5cb", "/a/b", "/a\\b"]),
            ("/a%23/b", &["/a", "/a#/b", "/a%23/b"]),
            ("/a%3f/b", &["/a", "/a%3f/b", "/a?/b"]),
            ("/100%25", &["/100%", "/100%25"]),
            ("/a%252fb", &["/a%252fb", "/a%2fb", "/a/b"]),
            ("/%zz", &["/%zz"]),
        ] {
            let target = target(path);
            let found: Vec<String> = match readings(&target) {
                Readings::One(text) => vec![text.to_owned()],
                Readings::Several(texts) => texts.into_iter().collect(),
                Readings::Unclear => vec![],
            };
            assert_eq!(found, expected, "{path}");
        }
    }

    #[test]
    fn some_paths_have_no_certain_reading() {
        for path in [
            "/public/../admin",
            "/public/./admin",
            "/public/..",
            "/public/%2e%2e/admin",
            "/public/%2E./admin",
            "/public/..%2fadmin",
            "/public/%252e%252e/admin",
            "/public/%25252e%25252e%25252fadmin",
            "/public/%2525252e/admin",
            "/public/..;/admin",
            "/public/..;x=1/admin",
            "/public/..%3bx/admin",
            "/public/..%00/admin",
            "/public/..%20/admin",
            "/public/..%23/admin",
            "/public\\..\\admin",
            "/public%5c..%5cadmin",
            "/public/%c0%ae%c0%ae/admin",
            "/public/%e0%80%ae/admin",
            "/public/%f0%80%80%ae/admin",
            "/public/..%c0%afadmin",
            "/public/a%00b",
            "/public/caf%e9",
            "/public/..%ff",
            "/public/.%0a./admin",
            "/public/.%0d./admin",
            "/public/%EF%BC%8E%EF%BC%8E/admin",
            "/public/%EF%BC%852e./admin",
            "/public/%u002e%u002e/admin",
            "/public/%25u002e/admin",
            "/public/%252e%252e/admin/%25252e%25252e/%25252e%25252e/public",
        ] {
            assert_eq!(readings(&target(path)), Readings::Unclear, "{path}");
        }
    }
}
