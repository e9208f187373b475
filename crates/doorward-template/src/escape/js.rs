//! Scripts: following them through literal text, and making values safe inside of them.
//! Facts from ECMA-262 (lexical grammar, appendix B.1.1 for HTML-like comments) and the HTML standard 4.12.1.3.

use std::fmt::Write as _;

use super::context::{Context, Script, Slash, State, Step};
use crate::value::Value;

/// How deep template literals may nest in each other.
const MAX_LITERALS: usize = 32;

/// Goes over a first part of a script.
pub(crate) fn step(context: Context, script: Script, text: &str) -> Step {
    match script {
        Script::Start => Ok((in_script(context, Script::Code), 0)),
        Script::Code => code(context, text),
        Script::Double => delimited(context, text, b"\\\""),
        Script::Single => delimited(context, text, b"\\'"),
        Script::Regexp => delimited(context, text, b"\\/[]"),
        Script::Template => template_literal(context, text),
        Script::BlockComment => Ok(match text.find("*/") {
            Some(at) => (in_script(context, Script::Code), at + 2),
            None => (context, text.len()),
        }),
        Script::LineComment | Script::OpenComment | Script::CloseComment => {
            Ok(match text.find(['\n', '\r', '\u{2028}', '\u{2029}']) {
                Some(at) => (in_script(context, Script::Code), at),
                None => (context, text.len()),
            })
        }
    }
}

fn in_script(context: Context, script: Script) -> Context {
    Context { state: State::Script(script), ..context }
}

fn literal(context: Context, script: Script) -> Context {
    Context { state: State::Script(script), slash: Slash::Regexp, ..context }
}

fn code(mut context: Context, text: &str) -> Step {
    let Some(at) = text.find(['"', '`', '\'', '/', '{', '}', '<', '-', '#']) else {
        context.slash = slash_after(text, context.slash);
        return Ok((context, text.len()));
    };
    let (before, rest) = text.split_at_checked(at).unwrap_or((text, ""));
    context.slash = slash_after(before, context.slash);
    let (next, length) = match rest.as_bytes() {
        [b'"', ..] => (literal(context, Script::Double), 1),
        [b'\'', ..] => (literal(context, Script::Single), 1),
        [b'`', ..] => (literal(context, Script::Template), 1),
        [b'/', b'/', ..] | [b'#', b'!', ..] => (in_script(context, Script::LineComment), 2),
        [b'/', b'*', ..] => (in_script(context, Script::BlockComment), 2),
        [b'/', ..] => match context.slash {
            Slash::Regexp => (in_script(context, Script::Regexp), 1),
            Slash::Division => (Context { slash: Slash::Regexp, ..context }, 1),
            Slash::Unknown => {
                let start: String = rest.chars().take(32).collect();
                return Err(format!("'/' could begin a division or a regular expression: {start:?}"));
            }
        },
        _ if rest.starts_with("<!--") => (in_script(context, Script::OpenComment), 4),
        _ if rest.starts_with("-->") => (in_script(context, Script::CloseComment), 3),
        [b'{', ..] => {
            if let Some(depth) = context.braces.last_mut() {
                *depth = depth.saturating_add(1);
            }
            context.slash = Slash::Regexp;
            (context, 1)
        }
        [b'}', ..] => (closing_brace(context), 1),
        [b'-', b'-', ..] => (Context { slash: Slash::Division, ..context }, 2),
        [b'<' | b'-', ..] => (Context { slash: Slash::Regexp, ..context }, 1),
        [_, ..] => (Context { slash: Slash::Division, ..context }, 1),
        [] => (context, 0),
    };
    Ok((next, at + length))
}

fn closing_brace(mut context: Context) -> Context {
    context.slash = Slash::Regexp;
    match context.braces.last_mut() {
        None => context,
        Some(0) => {
            context.braces.pop();
            in_script(context, Script::Template)
        }
        Some(depth) => {
            *depth -= 1;
            context
        }
    }
}

fn template_literal(mut context: Context, text: &str) -> Step {
    let bytes = text.as_bytes();
    let mut at = 0;
    while let Some(byte) = bytes.get(at) {
        match byte {
            b'\\' if at + 1 == bytes.len() => return Err(UNFINISHED_ESCAPE.to_owned()),
            b'\\' => at += 1,
            b'$' if bytes.get(at + 1) == Some(&b'{') => {
                if context.braces.len() >= MAX_LITERALS {
                    return Err("script template literals are nested too deeply".to_owned());
                }
                context.braces.push(0);
                return Ok((literal(context, Script::Code), at + 2));
            }
            b'`' => return Ok((after_literal(context), at + 1)),
            _ => (),
        }
        at += 1;
    }
    Ok((context, text.len()))
}

/// In a string or regular expression; `specials` are its end and what may hide one.
fn delimited(context: Context, text: &str, specials: &[u8]) -> Step {
    let bytes = text.as_bytes();
    let mut in_set = false;
    let mut at = 0;
    while let Some(byte) = bytes.get(at) {
        match byte {
            _ if !specials.contains(byte) => (),
            b'\\' if at + 1 == bytes.len() => return Err(UNFINISHED_ESCAPE.to_owned()),
            b'\\' => at += 1,
            b'[' => in_set = true,
            b']' => in_set = false,
            // `</script` inside of a regular expression does not end it; it is written as `\x3C/script`.
            b'/' if is_script_end(bytes, at) => (),
            _ if in_set => (),
            _ => return Ok((after_literal(context), at + 1)),
        }
        at += 1;
    }
    if in_set {
        return Err("unfinished character set in a regular expression".to_owned());
    }
    Ok((context, text.len()))
}

const UNFINISHED_ESCAPE: &str = "unfinished escape in a script string";

fn is_script_end(bytes: &[u8], slash: usize) -> bool {
    let start = slash.saturating_sub(1);
    bytes.get(start..start + 8).is_some_and(|found| found.eq_ignore_ascii_case(b"</script"))
}

fn after_literal(context: Context) -> Context {
    Context { state: State::Script(Script::Code), slash: Slash::Division, ..context }
}

/// What a slash means after a run of script without strings, comments and regular expressions.
fn slash_after(text: &str, before: Slash) -> Slash {
    let text = text.trim_end_matches(|c: char| c.is_whitespace() || c == '\u{feff}');
    let Some(last) = text.chars().next_back() else {
        return before;
    };
    match last {
        '+' | '-' => {
            let run = text.len() - text.trim_end_matches(last).len();
            if run % 2 == 1 { Slash::Regexp } else { Slash::Division }
        }
        '.' => {
            let number = text.trim_end_matches('.').ends_with(|c: char| c.is_ascii_digit());
            if number { Slash::Division } else { Slash::Regexp }
        }
        ',' | '<' | '>' | '=' | '*' | '%' | '&' | '|' | '^' | '?' | '!' | '~' | '(' | '[' | ':' | ';'
        | '{' | '}' => Slash::Regexp,
        _ => {
            let head = text.trim_end_matches(is_name_part);
            let word = text.get(head.len()..).unwrap_or_default();
            if REGEXP_KEYWORDS.contains(&word) { Slash::Regexp } else { Slash::Division }
        }
    }
}

const REGEXP_KEYWORDS: [&str; 14] = [
    "break",
    "case",
    "continue",
    "delete",
    "do",
    "else",
    "finally",
    "in",
    "instanceof",
    "return",
    "throw",
    "try",
    "typeof",
    "void",
];

fn is_name_part(c: char) -> bool {
    c == '$' || c == '_' || c.is_ascii_alphanumeric()
}

/// Whether a `<script type>` makes its content a script, or JSON, which is escaped alike.
pub(crate) fn is_script_type(mime: &str) -> bool {
    let essence = mime.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    matches!(
        essence.as_str(),
        "" | "application/ecmascript"
            | "application/javascript"
            | "application/json"
            | "application/ld+json"
            | "application/x-ecmascript"
            | "application/x-javascript"
            | "module"
            | "text/ecmascript"
            | "text/javascript"
            | "text/javascript1.0"
            | "text/javascript1.1"
            | "text/javascript1.2"
            | "text/javascript1.3"
            | "text/javascript1.4"
            | "text/javascript1.5"
            | "text/jscript"
            | "text/livescript"
            | "text/x-ecmascript"
            | "text/x-javascript"
    )
}

/// A value as an expression: JSON that holds no markup and does not run into the words around it.
pub(crate) fn value(value: &Value) -> String {
    let mut json = String::new();
    write_json(value, &mut json);
    if json.starts_with(is_name_part) || json.ends_with(is_name_part) {
        return format!(" {json} ");
    }
    json
}

fn write_json(value: &Value, out: &mut String) {
    match value {
        Value::Text(text) | Value::Html(text) => write_json_text(text, out),
        Value::Int(number) => out.push_str(&number.to_string()),
        Value::Bool(truth) => out.push_str(if *truth { "true" } else { "false" }),
        Value::Nil => out.push_str("null"),
        Value::List(items) => {
            out.push('[');
            for (index, item) in items.iter().enumerate() {
                if index > 0 {
                    out.push(',');
                }
                write_json(item, out);
            }
            out.push(']');
        }
        Value::Map(entries) => {
            out.push('{');
            for (index, (key, entry)) in entries.iter().enumerate() {
                if index > 0 {
                    out.push(',');
                }
                write_json_text(key, out);
                out.push(':');
                write_json(entry, out);
            }
            out.push('}');
        }
    }
}

fn write_json_text(text: &str, out: &mut String) {
    out.push('"');
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\u{8}' => out.push_str("\\b"),
            '\u{c}' => out.push_str("\\f"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            '<' | '>' | '&' | '\u{2028}' | '\u{2029}' => write_code(c, out),
            c if c < ' ' => write_code(c, out),
            c => out.push(c),
        }
    }
    out.push('"');
}

fn write_code(c: char, out: &mut String) {
    // Writing to a string cannot fail.
    let _ = write!(out, "\\u{:04x}", u32::from(c));
}

/// A value between quotes.
pub(crate) fn string(text: &str) -> String {
    escape_with(text, |_| None)
}

/// A value between backticks: no `${` may arise.
pub(crate) fn template(text: &str) -> String {
    escape_with(text, |c| match c {
        '$' => Some("\\u0024"),
        '{' => Some("\\u007b"),
        '}' => Some("\\u007d"),
        _ => None,
    })
}

/// A value inside of a regular expression, matched literally. Never empty: `//` would be a comment.
pub(crate) fn regexp(text: &str) -> String {
    if text.is_empty() {
        return "(?:)".to_owned();
    }
    escape_with(text, |c| match c {
        '$' => Some("\\$"),
        '(' => Some("\\("),
        ')' => Some("\\)"),
        '*' => Some("\\*"),
        '-' => Some("\\-"),
        '.' => Some("\\."),
        '?' => Some("\\?"),
        '[' => Some("\\["),
        ']' => Some("\\]"),
        '^' => Some("\\^"),
        '{' => Some("\\{"),
        '|' => Some("\\|"),
        '}' => Some("\\}"),
        '`' => Some("`"),
        _ => None,
    })
}

/// Escapes what would end a string or begin markup; `more` comes first.
fn escape_with(text: &str, more: impl Fn(char) -> Option<&'static str>) -> String {
    let mut out = String::with_capacity(text.len() + 8);
    for c in text.chars() {
        if let Some(replacement) = more(c) {
            out.push_str(replacement);
            continue;
        }
        match c {
            '\t' => out.push_str("\\t"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\u{c}' => out.push_str("\\f"),
            '/' => out.push_str("\\/"),
            '\\' => out.push_str("\\\\"),
            '"' | '\'' | '`' | '&' | '+' | '<' | '>' | '\u{2028}' | '\u{2029}' => write_code(c, &mut out),
            c if c < ' ' => write_code(c, &mut out),
            c => out.push(c),
        }
    }
    out
}
