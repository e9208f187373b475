//! From source text to tokens: Go's template syntax with `{{` and `}}`, comments and trim markers.
//! Pure, linear in the length of the source; every failure carries its line.

use crate::tree::Fault;

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Token<'s> {
    pub(crate) kind: Kind<'s>,
    pub(crate) line: usize,
    pub(crate) spacing: Spacing,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Kind<'s> {
    /// Literal text outside of actions, already trimmed.
    Markup(&'s str),
    Open,
    Close,
    /// A keyword, a function, `true`, `false` or `nil`.
    Word(&'s str),
    /// `.Name` without the dot.
    Field(&'s str),
    /// `$name` with the dollar sign.
    Variable(&'s str),
    Dot,
    Quoted(String),
    Int(i64),
    Pipe,
    LeftParen,
    RightParen,
    Declare,
    Assign,
    Comma,
}

/// Whether white space stood before the token: `.A.B` is one operand, `.A .B` are two.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Spacing {
    Joined,
    Spaced,
}

const SPACES: [char; 4] = [' ', '\t', '\r', '\n'];

/// Cuts a source into tokens.
pub(crate) fn lex(source: &str) -> Result<Vec<Token<'_>>, Fault> {
    let mut lexer = Lexer { rest: source, line: 1, tokens: Vec::new() };
    while !lexer.rest.is_empty() {
        let Some((text, action)) = lexer.rest.split_once("{{") else {
            lexer.markup(lexer.rest);
            break;
        };
        let (text, skipped) = match action.strip_prefix('-').filter(|rest| rest.starts_with(SPACES)) {
            Some(_) => (text.trim_end_matches(SPACES), text),
            None => (text, text),
        };
        let line = lexer.line + newlines(skipped);
        lexer.markup(text);
        lexer.line = line;
        lexer.rest = action;
        lexer.action()?;
    }
    Ok(lexer.tokens)
}

struct Lexer<'s> {
    rest: &'s str,
    line: usize,
    tokens: Vec<Token<'s>>,
}

impl<'s> Lexer<'s> {
    fn markup(&mut self, text: &'s str) {
        if !text.is_empty() {
            self.push(Kind::Markup(text), Spacing::Joined);
        }
        self.line += newlines(text);
    }

    fn push(&mut self, kind: Kind<'s>, spacing: Spacing) {
        self.tokens.push(Token { kind, line: self.line, spacing });
    }

    fn fault<T>(&self, message: impl Into<String>) -> Result<T, Fault> {
        Err(Fault::new(self.line, message))
    }

    /// Reads one action or comment; `rest` stands right after `{{`.
    fn action(&mut self) -> Result<(), Fault> {
        let trimmed = self.rest.strip_prefix('-').and_then(|rest| rest.strip_prefix(SPACES));
        let body = trimmed.unwrap_or(self.rest);
        if let Some(comment) = body.strip_prefix("/*") {
            return self.comment(comment);
        }
        self.push(Kind::Open, Spacing::Joined);
        self.advance(body);
        loop {
            let spacing = self.skip_spaces();
            if self.close(spacing) {
                return Ok(());
            }
            self.token(spacing)?;
        }
    }

    fn comment(&mut self, body: &'s str) -> Result<(), Fault> {
        let Some((text, after)) = body.split_once("*/") else {
            return self.fault("unclosed comment");
        };
        self.line += newlines(text);
        self.rest = after;
        let spaced = after.strip_prefix(SPACES).and_then(|rest| rest.strip_prefix("-}}"));
        match (after.strip_prefix("}}"), spaced) {
            (Some(rest), _) => self.rest = rest,
            (None, Some(rest)) => {
                self.advance(rest);
                self.skip_spaces();
            }
            (None, None) => return self.fault("a comment must end right before the closing braces"),
        }
        Ok(())
    }

    fn skip_spaces(&mut self) -> Spacing {
        let rest = self.rest.trim_start_matches(SPACES);
        if rest.len() == self.rest.len() {
            return Spacing::Joined;
        }
        self.advance(rest);
        Spacing::Spaced
    }

    /// Goes on to `rest`, the end of what remains, and counts the lines left behind.
    fn advance(&mut self, rest: &'s str) {
        let passed = self.rest.len().saturating_sub(rest.len());
        self.line += newlines(self.rest.get(..passed).unwrap_or_default());
        self.rest = rest;
    }

    fn close(&mut self, spacing: Spacing) -> bool {
        if let Some(rest) = self.rest.strip_prefix("}}") {
            self.push(Kind::Close, spacing);
            self.rest = rest;
            return true;
        }
        if let (Spacing::Spaced, Some(rest)) = (spacing, self.rest.strip_prefix("-}}")) {
            self.push(Kind::Close, spacing);
            self.rest = rest;
            self.skip_spaces();
            return true;
        }
        false
    }

    fn token(&mut self, spacing: Spacing) -> Result<(), Fault> {
        let Some(first) = self.rest.chars().next() else {
            return self.fault("unclosed action");
        };
        let after = self.rest.get(first.len_utf8()..).unwrap_or_default();
        let simple = match first {
            '|' => Some(Kind::Pipe),
            '(' => Some(Kind::LeftParen),
            ')' => Some(Kind::RightParen),
            ',' => Some(Kind::Comma),
            '=' => Some(Kind::Assign),
            _ => None,
        };
        if let Some(kind) = simple {
            self.push(kind, spacing);
            self.rest = after;
            return Ok(());
        }
        match first {
            ':' => match after.strip_prefix('=') {
                Some(rest) => {
                    self.push(Kind::Declare, spacing);
                    self.rest = rest;
                    Ok(())
                }
                None => self.fault("expected :="),
            },
            '"' => self.quoted(after, spacing),
            '`' => self.raw(after, spacing),
            '\'' => self.character(after, spacing),
            '$' => {
                let (name, rest) = self.name(1)?;
                self.push(Kind::Variable(name), spacing);
                self.rest = rest;
                Ok(())
            }
            '.' if !after.starts_with(|next: char| next.is_ascii_digit()) => {
                let (name, rest) = self.name(1)?;
                let kind =
                    name.strip_prefix('.').filter(|name| !name.is_empty()).map_or(Kind::Dot, Kind::Field);
                self.push(kind, spacing);
                self.rest = rest;
                Ok(())
            }
            '.' | '+' | '-' | '0'..='9' => self.number(spacing),
            _ if is_alphanumeric(first) => {
                let (name, rest) = self.name(0)?;
                self.push(Kind::Word(name), spacing);
                self.rest = rest;
                Ok(())
            }
            _ => self.fault(format!("unexpected {first:?} in action")),
        }
    }

    /// A name after `skip` sign bytes, and what follows it, which has to be something that ends a name.
    fn name(&self, skip: usize) -> Result<(&'s str, &'s str), Fault> {
        let tail = self.rest.get(skip..).unwrap_or_default();
        let length = tail.find(|c| !is_alphanumeric(c)).unwrap_or(tail.len());
        let (name, rest) = self.rest.split_at_checked(skip + length).unwrap_or((self.rest, ""));
        match rest.chars().next() {
            None | Some(' ' | '\t' | '\r' | '\n' | '.' | ',' | '|' | ':' | ')' | '(') => Ok((name, rest)),
            Some(_) if rest.starts_with("}}") => Ok((name, rest)),
            Some(other) => self.fault(format!("unexpected {other:?} after {name}")),
        }
    }

    fn number(&mut self, spacing: Spacing) -> Result<(), Fault> {
        let unsigned = self.rest.strip_prefix(['+', '-']).unwrap_or(self.rest);
        let signs = self.rest.len() - unsigned.len();
        let length = unsigned.find(|c: char| !is_alphanumeric(c) && c != '.').unwrap_or(unsigned.len());
        let (text, rest) = self.rest.split_at_checked(signs + length).unwrap_or((self.rest, ""));
        match parse_int(text) {
            Some(number) => self.push(Kind::Int(number), spacing),
            None => return self.fault(format!("{text:?} is not a whole number")),
        }
        self.rest = rest;
        Ok(())
    }

    fn raw(&mut self, after: &'s str, spacing: Spacing) -> Result<(), Fault> {
        let Some((text, rest)) = after.split_once('`') else {
            return self.fault("unterminated raw string");
        };
        self.push(Kind::Quoted(text.replace('\r', "")), spacing);
        self.line += newlines(text);
        self.rest = rest;
        Ok(())
    }

    fn quoted(&mut self, after: &'s str, spacing: Spacing) -> Result<(), Fault> {
        let mut text = String::new();
        let mut chars = after.chars();
        loop {
            match chars.next() {
                Some('"') => break,
                Some('\\') => match unescape(&mut chars, '"') {
                    Some(c) => text.push(c),
                    None => return self.fault("bad escape in a string"),
                },
                None | Some('\n') => return self.fault("unterminated string"),
                Some(c) => text.push(c),
            }
        }
        self.push(Kind::Quoted(text), spacing);
        self.rest = chars.as_str();
        Ok(())
    }

    fn character(&mut self, after: &'s str, spacing: Spacing) -> Result<(), Fault> {
        let mut chars = after.chars();
        let value = match chars.next() {
            Some('\\') => unescape(&mut chars, '\''),
            Some('\'' | '\n') | None => None,
            Some(c) => Some(c),
        };
        let (Some(value), Some('\'')) = (value, chars.next()) else {
            return self.fault("bad character constant");
        };
        self.push(Kind::Int(i64::from(u32::from(value))), spacing);
        self.rest = chars.as_str();
        Ok(())
    }
}

/// Reads what follows a backslash, by Go's rules. Bytes that are no text by themselves are refused.
fn unescape(chars: &mut std::str::Chars<'_>, quote: char) -> Option<char> {
    let simple = match chars.next()? {
        'a' => '\u{7}',
        'b' => '\u{8}',
        'f' => '\u{c}',
        'n' => '\n',
        'r' => '\r',
        't' => '\t',
        'v' => '\u{b}',
        '\\' => '\\',
        'x' => return code(chars, 2).filter(char::is_ascii),
        'u' => return code(chars, 4),
        'U' => return code(chars, 8),
        first @ '0'..='7' => {
            let digits: String =
                [Some(first), chars.next(), chars.next()].into_iter().collect::<Option<_>>()?;
            return u32::from_str_radix(&digits, 8).ok().and_then(char::from_u32).filter(char::is_ascii);
        }
        other if other == quote => other,
        _ => return None,
    };
    Some(simple)
}

fn code(chars: &mut std::str::Chars<'_>, length: usize) -> Option<char> {
    let digits: String = chars.by_ref().take(length).collect();
    if digits.len() != length || !digits.chars().all(|c| c.is_ascii_hexdigit()) {
        return None;
    }
    u32::from_str_radix(&digits, 16).ok().and_then(char::from_u32)
}

/// A whole number as Go writes it: sign, `0x`, `0o`, `0b` or a leading zero, underscores between digits.
fn parse_int(text: &str) -> Option<i64> {
    let (sign, digits) = match (text.strip_prefix('-'), text.strip_prefix('+')) {
        (Some(digits), _) => ("-", digits),
        (None, Some(digits)) => ("", digits),
        (None, None) => ("", text),
    };
    let lower = digits.to_ascii_lowercase().replace('_', "");
    let (radix, digits) = match lower.get(..2) {
        Some("0x") => (16, lower.get(2..)?),
        Some("0o") => (8, lower.get(2..)?),
        Some("0b") => (2, lower.get(2..)?),
        Some(two) if two.starts_with('0') => (8, lower.get(1..)?),
        _ => (10, lower.as_str()),
    };
    if digits.starts_with(['+', '-']) {
        return None;
    }
    i64::from_str_radix(&format!("{sign}{digits}"), radix).ok()
}

fn is_alphanumeric(c: char) -> bool {
    c == '_' || c.is_alphanumeric()
}

fn newlines(text: &str) -> usize {
    text.bytes().filter(|byte| *byte == b'\n').count()
}
