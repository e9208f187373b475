//! URLs (RFC 3986): harmless schemes only, and percent-encoding by the part of the URL.

use std::fmt::Write as _;

use super::context::HTML_SPACES;

/// Whether a browser would fetch this and not run it: relative, or http, https or mailto.
pub(crate) fn is_safe(url: &str) -> bool {
    match url.split_once(':') {
        Some((scheme, _)) if !scheme.contains('/') => {
            ["http", "https", "mailto"].iter().any(|known| scheme.eq_ignore_ascii_case(known))
        }
        _ => true,
    }
}

/// Encodes all but unreserved characters, for a value in a query.
pub(crate) fn encode(text: &str) -> String {
    percent_encode(text, Reserved::Encoded)
}

/// Encodes what may not stand in a URL, and leaves what already is one.
pub(crate) fn normalise(text: &str) -> String {
    percent_encode(text, Reserved::Kept)
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Reserved {
    Kept,
    Encoded,
}

fn percent_encode(text: &str, reserved: Reserved) -> String {
    let bytes = text.as_bytes();
    let mut out = String::with_capacity(text.len() + 16);
    for (at, byte) in bytes.iter().enumerate() {
        let kept = match byte {
            b'-' | b'.' | b'_' | b'~' => true,
            b'!' | b'#' | b'$' | b'&' | b'*' | b'+' | b',' | b'/' | b':' | b';' | b'=' | b'?' | b'@'
            | b'[' | b']' => reserved == Reserved::Kept,
            b'%' => {
                reserved == Reserved::Kept
                    && bytes.get(at + 1..at + 3).is_some_and(|code| code.iter().all(u8::is_ascii_hexdigit))
            }
            other => other.is_ascii_alphanumeric(),
        };
        if kept {
            out.push(char::from(*byte));
        } else {
            // Writing to a string cannot fail.
            let _ = write!(out, "%{byte:02x}");
        }
    }
    out
}

/// As a browser's form does: a space becomes `+`. For the function `urlquery`.
pub(crate) fn query_escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 16);
    for byte in text.bytes() {
        match byte {
            b' ' => out.push('+'),
            b'-' | b'.' | b'_' | b'~' => out.push(char::from(byte)),
            byte if byte.is_ascii_alphanumeric() => out.push(char::from(byte)),
            byte => {
                // Writing to a string cannot fail.
                let _ = write!(out, "%{byte:02X}");
            }
        }
    }
    out
}

/// The list of a `srcset`: every harmful element is replaced.
pub(crate) fn source_set(text: &str, replacement: &str) -> String {
    let elements: Vec<String> = text
        .split(',')
        .map(|element| {
            let trimmed = element.trim_start_matches(HTML_SPACES);
            let lead = element.get(..element.len() - trimmed.len()).unwrap_or_default();
            let end = trimmed.find(HTML_SPACES).unwrap_or(trimmed.len());
            let (url, descriptor) = trimmed.split_at_checked(end).unwrap_or((trimmed, ""));
            let plain = descriptor.chars().all(|c| c.is_ascii_alphanumeric() || HTML_SPACES.contains(&c));
            if is_safe(url) && plain {
                format!("{lead}{}{descriptor}", normalise(url))
            } else {
                replacement.to_owned()
            }
        })
        .collect();
    elements.join(",")
}
