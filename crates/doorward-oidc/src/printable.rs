//! Text of a provider made fit for log lines and pages: no control characters, limited length,
//! and without any secret we sent, should the provider repeat it.

use std::cmp::Reverse;

use doorward_core::SecretString;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

/// `text` with control characters replaced and cut after `limit` letters.
pub(crate) fn printable(text: &str, limit: usize) -> String {
    let mut letters = text.chars();
    let mut shown: String = letters
        .by_ref()
        .take(limit)
        .map(|letter| if letter.is_control() { char::REPLACEMENT_CHARACTER } else { letter })
        .collect();
    if letters.next().is_some() {
        shown.push('…');
    }
    shown
}

/// `text` without the given secrets, neither as they are nor as they go over the wire in forms and URLs.
pub(crate) fn without<'a>(text: &str, secrets: impl IntoIterator<Item = &'a SecretString>) -> String {
    let mut spellings: Vec<String> = secrets
        .into_iter()
        .map(SecretString::expose)
        .filter(|secret| !secret.is_empty())
        .flat_map(|secret| spellings(secret))
        .collect();
    // The longest first: a short one could be part of it and leave the rest behind.
    spellings.sort_unstable_by_key(|spelling| Reverse(spelling.len()));
    spellings.iter().fold(text.to_owned(), |text, spelling| text.replace(spelling.as_str(), "[secret]"))
}

/// As it is, as in a form and as in a URL (RFC 3986 section 2.1), with escapes in capital and in small letters.
fn spellings(secret: &str) -> [String; 5] {
    let form: String = form_urlencoded::byte_serialize(secret.as_bytes()).collect();
    let url = utf8_percent_encode(secret, RESERVED).to_string();
    [secret.to_owned(), with_small_escapes(&form), with_small_escapes(&url), form, url]
}

const RESERVED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

fn with_small_escapes(text: &str) -> String {
    let mut in_escape = 0_u8;
    let mut small = |letter: char| {
        if letter == '%' {
            in_escape = 2;
            return letter;
        }
        let shown = if in_escape == 0 { letter } else { letter.to_ascii_lowercase() };
        in_escape = in_escape.saturating_sub(1);
        shown
    };
    text.chars().map(&mut small).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn provider_text_is_escaped_cut_and_free_of_our_secrets() {
        for (text, shown) in [
            ("fine: %d ü", "fine: %d ü"),
            ("a\r\nb\u{1b}[31m", "a\u{fffd}\u{fffd}b\u{fffd}[31m"),
            ("0123456789012345", "012345678901…"),
        ] {
            assert_eq!(printable(text, 12), shown);
        }
        let secrets = [SecretString::from("code-1"), SecretString::from("")];
        assert_eq!(without("no such code code-1!", &secrets), "no such code [secret]!");
        let secrets = [SecretString::from("A B/+ü~"), SecretString::from("A")];
        for shown in [
            "A B/+ü~",
            "A+B%2F%2B%C3%BC%7E",
            "A+B%2f%2b%c3%bc%7e",
            "A%20B%2F%2B%C3%BC~",
            "A%20B%2f%2b%c3%bc~",
        ] {
            assert_eq!(without(&format!("<{shown}>"), &secrets), "<[secret]>", "{shown}");
        }
    }
}
