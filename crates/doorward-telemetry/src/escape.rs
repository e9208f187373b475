//! Values as they may appear in a log line. Pure.
//! Control characters, line separators, terminal sequences, invisible and bidirectional marks never pass as they are:
//! they become the escapes of a Go string literal.

/// What happens to blanks in a value that is not quoted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Blanks {
    /// The value is free text at the end of a line.
    Keep,
    /// The value is one column: a blank in it would let its sender invent further columns.
    Escape,
}

/// Appends a Go string literal (`%q`): in double quotes, not valid UTF-8 as `\xff`.
pub(crate) fn quoted(out: &mut Vec<u8>, text: &[u8]) {
    out.push(b'"');
    if text.iter().all(|byte| matches!(byte, b' '..=b'~') && !matches!(byte, b'"' | b'\\')) {
        out.extend_from_slice(text);
    } else {
        for chunk in text.utf8_chunks() {
            for char in chunk.valid().chars() {
                if matches!(char, '"' | '\\') {
                    out.push(b'\\');
                }
                push_char(out, char);
            }
            chunk.invalid().iter().for_each(|byte| push_hex(out, *byte));
        }
    }
    out.push(b'"');
}

/// Appends a value without quotes. Printable text, also beyond ASCII, stays as it is.
pub(crate) fn plain(out: &mut Vec<u8>, text: &[u8], blanks: Blanks) {
    if text.iter().all(|byte| matches!(byte, b'!'..=b'~') || (*byte == b' ' && blanks == Blanks::Keep)) {
        out.extend_from_slice(text);
        return;
    }
    for chunk in text.utf8_chunks() {
        for char in chunk.valid().chars() {
            match (char, blanks) {
                (' ', Blanks::Escape) => push_hex(out, b' '),
                _ => push_char(out, char),
            }
        }
        chunk.invalid().iter().for_each(|byte| push_hex(out, *byte));
    }
}

fn push_char(out: &mut Vec<u8>, char: char) {
    if is_printable(char) {
        let mut bytes = [0; 4];
        out.extend_from_slice(char.encode_utf8(&mut bytes).as_bytes());
        return;
    }
    match char {
        '\x07' => out.extend_from_slice(b"\\a"),
        '\x08' => out.extend_from_slice(b"\\b"),
        '\x0c' => out.extend_from_slice(b"\\f"),
        '\n' => out.extend_from_slice(b"\\n"),
        '\r' => out.extend_from_slice(b"\\r"),
        '\t' => out.extend_from_slice(b"\\t"),
        '\x0b' => out.extend_from_slice(b"\\v"),
        _ => match u32::from(char) {
            code @ 0..=0x7f => push_hex(out, u8::try_from(code).unwrap_or_default()),
            code @ 0x80..=0xffff => out.extend_from_slice(format!("\\u{code:04x}").as_bytes()),
            code => out.extend_from_slice(format!("\\U{code:08x}").as_bytes()),
        },
    }
}

fn push_hex(out: &mut Vec<u8>, byte: u8) {
    let digit = |value: u8| if value < 10 { b'0' + value } else { b'a' + value - 10 };
    out.extend_from_slice(&[b'\\', b'x', digit(byte >> 4), digit(byte & 0xf)]);
}

/// Letters, marks, numbers, punctuation, symbols and the ASCII blank (Go's `strconv.IsPrint`).
pub(crate) fn is_printable(char: char) -> bool {
    if char.is_ascii() {
        return matches!(char, ' '..='~');
    }
    // The standard library's table of printable characters is only reachable through escaping. The letter in front
    // keeps combining marks, which Go prints, from being escaped for standing first.
    let mut text = String::with_capacity(5);
    text.push('x');
    text.push(char);
    text.escape_debug().count() == 2
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &[u8], in_quotes: &str, as_column: &str, as_message: &str) {
        let render = |write: &dyn Fn(&mut Vec<u8>)| {
            let mut out = Vec::new();
            write(&mut out);
            String::from_utf8(out).unwrap()
        };
        assert_eq!(render(&|out| quoted(out, text)), in_quotes);
        assert_eq!(render(&|out| plain(out, text, Blanks::Escape)), as_column);
        assert_eq!(render(&|out| plain(out, text, Blanks::Keep)), as_message);
    }

    #[test]
    fn ordinary_values_stay_as_they_are() {
        check(b"", r#""""#, "", "");
        check(b"/a?b=c%20d", r#""/a?b=c%20d""#, "/a?b=c%20d", "/a?b=c%20d");
        check("Grüße 日本".as_bytes(), r#""Grüße 日本""#, r"Grüße\x20日本", "Grüße 日本");
        check("e\u{301}".as_bytes(), "\"e\u{301}\"", "e\u{301}", "e\u{301}");
    }

    #[test]
    fn quotes_and_backslashes_are_escaped_inside_quotes_only() {
        check(br#"a"b\c"#, r#""a\"b\\c""#, r#"a"b\c"#, r#"a"b\c"#);
    }

    #[test]
    fn no_value_breaks_a_line_or_steers_a_terminal() {
        check(b"a\r\nb", r#""a\r\nb""#, r"a\r\nb", r"a\r\nb");
        check(
            b"\x1b[31m\x07\x08\x0b\x0c\t",
            r#""\x1b[31m\a\b\v\f\t""#,
            r"\x1b[31m\a\b\v\f\t",
            r"\x1b[31m\a\b\v\f\t",
        );
        check(b"\0\x7f", r#""\x00\x7f""#, r"\x00\x7f", r"\x00\x7f");
        check(
            "\u{85}\u{9b}\u{2028}".as_bytes(),
            r#""\u0085\u009b\u2028""#,
            r"\u0085\u009b\u2028",
            r"\u0085\u009b\u2028",
        );
    }

    #[test]
    fn nothing_invisible_or_reordering_passes() {
        check(
            "\u{202e}\u{200b}\u{a0}".as_bytes(),
            r#""\u202e\u200b\u00a0""#,
            r"\u202e\u200b\u00a0",
            r"\u202e\u200b\u00a0",
        );
        check("\u{e0001}".as_bytes(), r#""\U000e0001""#, r"\U000e0001", r"\U000e0001");
    }

    #[test]
    fn bytes_that_are_no_text_are_shown_as_numbers() {
        check(b"a\xff\xc3", r#""a\xff\xc3""#, r"a\xff\xc3", r"a\xff\xc3");
    }
}
