//! Text of a provider made fit for log lines and pages: no control characters, limited length,
//! and without any secret we sent, should the provider repeat it.

use doorward_core::SecretString;

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

/// `text` without the given secrets.
pub(crate) fn without<'a>(text: &str, secrets: impl IntoIterator<Item = &'a SecretString>) -> String {
    secrets
        .into_iter()
        .map(SecretString::expose)
        .filter(|secret| !secret.is_empty())
        .fold(text.to_owned(), |text, secret| text.replace(secret.as_str(), "[secret]"))
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
    }
}
