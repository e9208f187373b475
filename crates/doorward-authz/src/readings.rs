//! What a path may mean to whoever handles it next.
//!
//! A rule that opens a path judges text, and the request is then carried on as it came. Applications decode once, twice
//! or not at all, drop matrix parameters, merge slashes, stop at NUL. So a path is judged by every reading it could get,
//! and a rule that opens must hold for all of them. A path whose meaning cannot be pinned down is opened by no
//! expression at all: dot segments in any spelling, overlong UTF-8, `%u` escapes, more than [`MOST_LAYERS`] layers of
//! percent-encoding. Browsers send none of these.

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
    !raw.bytes().any(|byte| matches!(byte, b'%' | b'\\' | b';')) && !raw.contains("//") && !raw.contains("/.")
}

fn study(target: &Target) -> Readings<'static> {
    let mut texts = BTreeSet::from([target.path().to_owned()]);
    // RFC 3986 section 6.2.2.2: escapes of ordinary characters mean the same to everybody.
    let mut layer = decode(target.raw_path().as_bytes(), Escapes::Ordinary);
    for _ in 0..=MOST_LAYERS + 1 {
        if is_unclear(&layer) {
            return Readings::Unclear;
        }
        texts.insert(String::from_utf8_lossy(&layer).into_owned());
        texts.insert(String::from_utf8_lossy(&flatten(&layer)).into_owned());
        let next = decode(&layer, Escapes::All);
        if next == layer {
            return Readings::Several(texts);
        }
        layer = next;
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

fn is_unclear(layer: &[u8]) -> bool {
    layer.split(|byte| matches!(byte, b'/' | b'\\')).any(is_dot_segment)
        || layer.windows(2).any(|pair| matches!(pair, [b'%', b'u' | b'U'] | [0xC0 | 0xC1, _]))
        || layer.windows(2).any(|pair| matches!(pair, [0xE0, 0x80..=0x9F] | [0xF0, 0x80..=0x8F]))
}

/// Also with parameters, with a cut tail, or between blanks: `..;x`, `..%00`, `.. `.
fn is_dot_segment(segment: &[u8]) -> bool {
    let name = segment.split(|byte| matches!(byte, b';' | b'#' | b'?' | 0)).next().unwrap_or(segment);
    matches!(name.trim_ascii(), b"." | b"..")
}

/// The path in the eyes of the most eager normaliser: cut at NUL, `#` and `?`, backslashes as slashes, no matrix
/// parameters, no empty segments.
fn flatten(layer: &[u8]) -> Vec<u8> {
    let path = layer.split(|byte| matches!(byte, b'#' | b'?' | 0)).next().unwrap_or(layer);
    let mut out = Vec::with_capacity(path.len());
    for segment in path.split(|byte| matches!(byte, b'/' | b'\\')) {
        let name = segment.split(|&byte| byte == b';').next().unwrap_or(segment);
        if !name.is_empty() {
            out.push(b'/');
            out.extend_from_slice(name);
        }
    }
    if out.is_empty() || path.ends_with(b"/") || path.ends_with(b"\\") {
        out.push(b'/');
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
            ("/caf%e9", &["/caf\u{fffd}"]),
            ("/.well-known/x", &["/.well-known/x"]),
            ("/a%2fb", &["/a%2fb", "/a/b"]),
            ("//a//b", &["//a//b", "/a/b"]),
            ("/a/", &["/a/"]),
            ("/a;v=1/b", &["/a/b", "/a;v=1/b"]),
            ("/;/admin", &["/;/admin", "/admin"]),
            ("/a%5cb", &["/a%5cb", "/a/b", "/a\\b"]),
            ("/a%23/b", &["/a", "/a#/b", "/a%23/b"]),
            ("/a%3f/b", &["/a", "/a%3f/b", "/a?/b"]),
            ("/a%00b", &["/a", "/a\0b", "/a%00b"]),
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
            "/public/%u002e%u002e/admin",
            "/public/%25u002e/admin",
            "/public/%252e%252e/admin/%25252e%25252e/%25252e%25252e/public",
        ] {
            assert_eq!(readings(&target(path)), Readings::Unclear, "{path}");
        }
    }
}
