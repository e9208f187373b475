//! Regular expressions as operators wrote them for Go's `regexp` package, compiled by this language's engine.
//! Both are automata with linear time. Where the two read the same text differently, Go's reading wins: its `\d`, `\w`
//! and `\s` are ASCII only, and it takes more brackets and braces literally.

use std::{fmt::Write as _, str::Chars};

use regex::{Captures, Regex, RegexSet, RegexSetBuilder};

/// An expression that is searched (not anchored) in a path.
#[derive(Clone, Debug)]
pub struct PathPattern(Regex);

impl PartialEq for PathPattern {
    fn eq(&self, other: &Self) -> bool {
        self.0.as_str() == other.0.as_str()
    }
}

impl PathPattern {
    pub fn parse(expression: &str) -> Result<Self, InvalidPattern> {
        match Regex::new(&translate(expression)) {
            Ok(regex) => Ok(Self(regex)),
            Err(why) => Err(InvalidPattern { expression: expression.to_owned(), reason: brief(&why) }),
        }
    }

    pub fn is_match(&self, text: &str) -> bool {
        self.0.is_match(text)
    }

    /// All matches with their groups, from left to right, none overlapping another.
    pub fn captures<'t>(&self, text: &'t str) -> impl Iterator<Item = Captures<'t>> {
        self.0.captures_iter(text)
    }

    /// The number of the group that is named or numbered so; the whole match has the number 0.
    pub fn group(&self, name: &str) -> Option<usize> {
        let is_number =
            name == "0" || (!name.starts_with('0') && name.bytes().all(|byte| byte.is_ascii_digit()));
        if is_number {
            return name.parse().ok().filter(|number| *number < self.0.captures_len());
        }
        self.0.capture_names().position(|known| known == Some(name))
    }
}

/// Many expressions, all tried in one pass over a text.
#[derive(Clone, Debug)]
pub struct PathPatterns(RegexSet);

/// What the engine allows one expression; so each that compiles alone compiles among others.
const SIZE_OF_ONE: usize = 10 << 20;

impl PathPatterns {
    /// # Errors
    /// None is expected of expressions that compiled alone.
    pub fn new<'a>(patterns: impl ExactSizeIterator<Item = &'a PathPattern>) -> Result<Self, InvalidPattern> {
        let size = SIZE_OF_ONE.saturating_mul(patterns.len().max(1));
        let set = RegexSetBuilder::new(patterns.map(|pattern| pattern.0.as_str())).size_limit(size).build();
        set.map(Self).map_err(|why| InvalidPattern { expression: "…".to_owned(), reason: brief(&why) })
    }

    /// Which of the patterns are found in `text`, by their places, in order.
    pub fn found_in(&self, text: &str) -> impl Iterator<Item = usize> {
        let matches = (!self.0.is_empty()).then(|| self.0.matches(text));
        matches.into_iter().flatten()
    }
}

/// A regular expression that does not compile.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("error compiling regex /{expression}/: {reason}")]
pub struct InvalidPattern {
    pub expression: String,
    pub reason: String,
}

/// The engine's message ends with the line that says what is wrong; what comes before it draws the expression.
fn brief(why: &regex::Error) -> String {
    let text = why.to_string();
    let last = text.lines().last().unwrap_or_default();
    last.trim().trim_start_matches("error: ").to_owned()
}

fn translate(expression: &str) -> String {
    let mut out = String::with_capacity(expression.len() + 16);
    let mut chars = expression.chars();
    while let Some(next) = chars.next() {
        match next {
            '\\' => escape(&mut chars, &mut out),
            '[' => class(&mut chars, &mut out),
            '{' if !is_repetition(chars.as_str()) => out.push_str("\\{"),
            other => out.push(other),
        }
    }
    out
}

/// What follows a backslash outside of brackets.
fn escape(chars: &mut Chars<'_>, out: &mut String) {
    match chars.clone().next() {
        Some('Q') => {
            chars.next();
            let rest = chars.as_str();
            let (literal, after) = rest.split_once("\\E").unwrap_or((rest, ""));
            out.push_str(&regex::escape(literal));
            *chars = after.chars();
        }
        Some('b') => {
            chars.next();
            out.push_str("(?-u:\\b)");
        }
        _ => common_escape(chars, out),
    }
}

/// What follows a backslash anywhere.
fn common_escape(chars: &mut Chars<'_>, out: &mut String) {
    let Some(next) = chars.next() else {
        out.push('\\');
        return;
    };
    match next {
        'd' => out.push_str("[0-9]"),
        'D' => out.push_str("[^0-9]"),
        'w' => out.push_str("[0-9A-Za-z_]"),
        'W' => out.push_str("[^0-9A-Za-z_]"),
        's' => out.push_str("[\\t\\n\\x0C\\r ]"),
        'S' => out.push_str("[^\\t\\n\\x0C\\r ]"),
        '<' | '>' => out.push(next),
        // `\x{…}` and `\p{…}`: the braces are no repetition.
        'x' | 'p' | 'P' if chars.as_str().starts_with('{') => {
            let _ = write!(out, "\\{next}");
            copy_through(chars, '}', out);
        }
        other => {
            let _ = write!(out, "\\{other}");
        }
    }
}

/// A bracketed class, after its opening bracket.
fn class(chars: &mut Chars<'_>, out: &mut String) {
    out.push('[');
    if chars.as_str().starts_with('^') {
        chars.next();
        out.push('^');
    }
    if chars.as_str().starts_with(']') {
        chars.next();
        out.push_str("\\]");
    }
    while let Some(next) = chars.next() {
        match next {
            ']' => {
                out.push(']');
                return;
            }
            '\\' => common_escape(chars, out),
            '[' if chars.as_str().starts_with(':') && chars.as_str().contains(":]") => {
                out.push('[');
                copy_through(chars, ']', out);
            }
            '[' | '&' | '~' => {
                let _ = write!(out, "\\{next}");
            }
            '-' if chars.as_str().starts_with('-') => out.push_str("\\-"),
            other => out.push(other),
        }
    }
}

fn copy_through(chars: &mut Chars<'_>, last: char, out: &mut String) {
    for next in chars.by_ref() {
        out.push(next);
        if next == last {
            return;
        }
    }
}

/// Whether the text after an opening brace makes it a repetition: `n}`, `n,}` or `n,m}`.
fn is_repetition(rest: &str) -> bool {
    let Some((inside, _)) = rest.split_once('}') else {
        return false;
    };
    let is_number = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    match inside.split_once(',') {
        Some((least, most)) => is_number(least) && (most.is_empty() || is_number(most)),
        None => is_number(inside),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn expressions_mean_what_they_mean_in_go() {
        for (expression, text, expected) in [
            ("^/api", "/api/x", true),
            ("/open$", "/x/open", true),
            ("/open$", "/open\n", false),
            (r"^/v\d+/", "/v12/", true),
            (r"^/v\d+/", "/v\u{0661}/", false),
            (r"^/\w+$", "/a_1", true),
            (r"^/\w+$", "/\u{e4}", false),
            (r"^/[\w-]+$", "/a-b", true),
            (r"^/[^\d]+$", "/ab", true),
            (r"^/[^\d]+$", "/a1", false),
            (r"^/[\D]$", "/1", false),
            ("^/[[]$", "/[", true),
            ("^/[]]$", "/]", true),
            ("^/[a&&b]$", "/&", true),
            ("^/[--/]$", "/.", true),
            ("^/[[:digit:]]$", "/7", true),
            ("^/a{2}$", "/aa", true),
            ("^/a{2,}$", "/aaa", true),
            ("^/a{,2}$", "/a{,2}", true),
            ("^/{id}$", "/{id}", true),
            (r"^/\x{41}$", "/A", true),
            (r"^/\p{Greek}$", "/λ", true),
            (r"^/\Qa.b\E$", "/a.b", true),
            (r"^/\Qa.b\E$", "/axb", false),
            (r"^/\<x\>$", "/<x>", true),
            (r"\bcat\b", "/a cat", true),
            (r"\bcat\b", "/concat", false),
            (r"(?i)^/API", "/api", true),
            (r"^/(?P<name>a|b)/\.x", "/a/.x", true),
            ("ü", "/ü", true),
            ("", "/anything", true),
        ] {
            assert_eq!(
                PathPattern::parse(expression).unwrap().is_match(text),
                expected,
                "{expression} on {text:?}"
            );
        }
    }

    #[test]
    fn groups_have_numbers_and_names() {
        let pattern = PathPattern::parse("^/(?P<year>[0-9]+)/(.*)$").unwrap();
        for (name, expected) in [
            ("0", Some(0)),
            ("1", Some(1)),
            ("2", Some(2)),
            ("year", Some(1)),
            ("3", None),
            ("01", None),
            ("", None),
        ] {
            assert_eq!(pattern.group(name), expected, "{name:?}");
        }
    }

    #[test]
    fn what_does_not_compile_is_named() {
        for expression in ["^/(open", "[a", "*", r"\", r"(\1)"] {
            let error = PathPattern::parse(expression).unwrap_err();
            assert!(
                error.to_string().starts_with(&format!("error compiling regex /{expression}/: ")),
                "{error}"
            );
            assert!(!error.reason.is_empty() && !error.reason.contains('\n'), "{error}");
        }
    }
}
