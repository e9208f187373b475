//! Where in a page a position stands: HTML text, an attribute, a URL, a script, a style, a comment.
//! Follows literal markup the way a browser would, erring on the strict side; markup whose reading is ambiguous is
//! refused. The distinctions are those of Go's html/template, so that its pages mean the same here
//! (proven by the table in `tests/go_html.json`).

use std::borrow::Cow;

use super::attribute::{Attribute, classify};
use super::{css, js};

/// A position in a page.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Default)]
pub(crate) struct Context {
    pub(crate) state: State,
    pub(crate) quote: Quote,
    pub(crate) part: UrlPart,
    pub(crate) slash: Slash,
    /// For every open `${` of a script's template literal: how many braces are open in it.
    pub(crate) braces: Vec<u32>,
    pub(crate) attribute: Attribute,
    pub(crate) element: Element,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub(crate) enum State {
    #[default]
    Text,
    /// Inside of a tag, before an attribute name or the end of the tag.
    Tag,
    AttributeName,
    AfterName,
    BeforeValue,
    Comment,
    /// The content of `<textarea>` and `<title>`: text, but no tags.
    RawText,
    /// The value of an ordinary attribute.
    Value,
    Url,
    SourceSet,
    /// The `content` of a `<meta>`, before and after its `url=`.
    MetaContent,
    MetaUrl,
    Script(Script),
    Style(Style),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Script {
    /// Right behind the opening tag: nothing of the script has been written.
    Start,
    Code,
    Double,
    Single,
    Template,
    Regexp,
    BlockComment,
    LineComment,
    /// The old `<!--` and `-->` line comments.
    OpenComment,
    CloseComment,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Style {
    Code,
    Double,
    Single,
    DoubleUrl,
    SingleUrl,
    Url,
    BlockComment,
    LineComment,
}

/// What ends the attribute value one is in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub(crate) enum Quote {
    /// Not in an attribute value.
    #[default]
    Outside,
    Double,
    Single,
    /// Unquoted: white space or the end of the tag.
    Space,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub(crate) enum UrlPart {
    #[default]
    Start,
    BeforeQuery,
    QueryOrFragment,
    /// One branch was in the query, the other was not.
    Unknown,
}

/// What a `/` in a script would begin.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub(crate) enum Slash {
    #[default]
    Regexp,
    Division,
    Unknown,
}

/// The elements whose content is not ordinary markup, and `<meta>` for its attributes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub(crate) enum Element {
    #[default]
    Ordinary,
    Script,
    Style,
    Textarea,
    Title,
    Meta,
}

/// The context after the first `usize` bytes of a text, or why the text is refused.
pub(crate) type Step = Result<(Context, usize), String>;

impl State {
    pub(crate) fn is_comment(self) -> bool {
        matches!(
            self,
            Self::Comment
                | Self::Script(
                    Script::BlockComment | Script::LineComment | Script::OpenComment | Script::CloseComment
                )
                | Self::Style(Style::BlockComment | Style::LineComment)
        )
    }

    /// Literals in which a script's end tag would be harmful, and is written in another way.
    pub(crate) fn is_script_literal(self) -> bool {
        matches!(self, Self::Script(Script::Double | Script::Single | Script::Template | Script::Regexp))
    }
}

impl Context {
    pub(crate) fn tag(element: Element) -> Self {
        Self { state: State::Tag, element, ..Self::default() }
    }

    /// Where a printed value would stand: a value may begin right here, without any further character.
    pub(crate) fn nudged(mut self) -> Self {
        match self.state {
            State::Tag => self.state = State::AttributeName,
            State::BeforeValue => {
                self.state = self.attribute.value_state();
                self.quote = Quote::Space;
                self.attribute = Attribute::Ordinary;
            }
            State::AfterName => {
                self.state = State::AttributeName;
                self.attribute = Attribute::Ordinary;
            }
            _ => (),
        }
        self
    }

    /// The common context of two branches, if there is one.
    pub(crate) fn joined(self, other: Self) -> Option<Self> {
        if self == other {
            return Some(self);
        }
        if (self.state == State::Script(Script::Start)) != (other.state == State::Script(Script::Start)) {
            return self.begun().joined(other.begun());
        }
        if (Self { part: other.part, ..self.clone() }) == other {
            return Some(Self { part: UrlPart::Unknown, ..self });
        }
        if (Self { slash: other.slash, ..self.clone() }) == other {
            return Some(Self { slash: Slash::Unknown, ..self });
        }
        let nudged = (self.clone().nudged(), other.clone().nudged());
        if nudged == (self, other) {
            return None;
        }
        nudged.0.joined(nudged.1)
    }

    /// The same place with a script that has begun.
    fn begun(self) -> Self {
        let state =
            if self.state == State::Script(Script::Start) { State::Script(Script::Code) } else { self.state };
        Self { state, ..self }
    }

    /// Goes over a first part of `text`, which is not empty. Never takes nothing without changing the context.
    pub(crate) fn step(&self, text: &str) -> Step {
        if self.quote != Quote::Outside {
            return self.in_value(text);
        }
        let literal =
            self.element == Element::Script && (self.state.is_script_literal() || self.state.is_comment());
        let end = if literal { None } else { end_tag(text, self.element) };
        match end {
            Some(0) => Ok((Self::default(), 0)),
            Some(end) => self.inner(text.get(..end).unwrap_or(text)),
            None => self.inner(text),
        }
    }

    /// One transition by the state alone.
    fn inner(&self, text: &str) -> Step {
        match self.state {
            State::Text => Ok(in_text(self, text)),
            State::Tag => in_tag(self, text),
            State::AttributeName => in_attribute_name(self, text),
            State::AfterName => Ok(after_name(self, text)),
            State::BeforeValue => Ok(before_value(self, text)),
            State::Comment => Ok(match text.find("-->") {
                Some(at) => (Self::default(), at + 3),
                None => (self.clone(), text.len()),
            }),
            State::RawText | State::Value => Ok((self.clone(), text.len())),
            State::Url | State::SourceSet => {
                let mut context = self.clone();
                context.part = context.part.after(text);
                Ok((context, text.len()))
            }
            State::MetaContent => Ok(match meta_url(text) {
                Some(at) => (Self { state: State::MetaUrl, ..self.clone() }, at),
                None => (self.clone(), text.len()),
            }),
            State::MetaUrl => Ok(match text.find(';') {
                Some(at) => (Self { state: State::MetaContent, ..self.clone() }, at + 1),
                None => (self.clone(), text.len()),
            }),
            State::Script(script) => js::step(self.clone(), script, text),
            State::Style(style) => css::step(self.clone(), style, text),
        }
    }

    /// In an attribute value: to its end, or through all of the text.
    fn in_value(&self, text: &str) -> Step {
        let end = match self.quote {
            Quote::Double => text.find('"'),
            Quote::Single => text.find('\''),
            Quote::Space | Quote::Outside => text.find([' ', '\t', '\n', '\u{c}', '\r', '>']),
        };
        let value = end.and_then(|end| text.get(..end)).unwrap_or(text);
        if self.quote == Quote::Space
            && let Some(bad) = value.find(['"', '\'', '<', '=', '`']).and_then(|at| value.get(at..=at))
        {
            return Err(format!("{bad:?} in an attribute value without quotes: {value:?}"));
        }
        let Some(end) = end else {
            let decoded = decode_entities(text);
            let mut context = self.clone();
            let mut rest = decoded.as_ref();
            while !rest.is_empty() {
                let (next, taken) = context.inner(rest)?;
                context = next;
                rest = rest.get(taken..).ok_or_else(|| "unreadable attribute value".to_owned())?;
            }
            return Ok((context, text.len()));
        };
        let foreign = self.state == State::Value
            && self.element == Element::Script
            && self.attribute == Attribute::ScriptType
            && !js::is_script_type(value);
        let element = if foreign { Element::Ordinary } else { self.element };
        let closing = usize::from(self.quote != Quote::Space);
        Ok((Self::tag(element), end + closing))
    }
}

impl UrlPart {
    /// The part of the URL after this text of it.
    pub(crate) fn after(self, text: &str) -> Self {
        if text.contains(['#', '?']) {
            Self::QueryOrFragment
        } else if self == Self::Start && !text.trim_start_matches(HTML_SPACES).is_empty() {
            Self::BeforeQuery
        } else {
            self
        }
    }
}

impl Element {
    fn parse(name: &str) -> Self {
        match name.to_ascii_lowercase().as_str() {
            "script" => Self::Script,
            "style" => Self::Style,
            "textarea" => Self::Textarea,
            "title" => Self::Title,
            "meta" => Self::Meta,
            _ => Self::Ordinary,
        }
    }

    /// The state of its content.
    fn content(self) -> State {
        match self {
            Self::Ordinary | Self::Meta => State::Text,
            Self::Script => State::Script(Script::Start),
            Self::Style => State::Style(Style::Code),
            Self::Textarea | Self::Title => State::RawText,
        }
    }

    fn name(self) -> Option<&'static str> {
        match self {
            Self::Script => Some("script"),
            Self::Style => Some("style"),
            Self::Textarea => Some("textarea"),
            Self::Title => Some("title"),
            Self::Ordinary | Self::Meta => None,
        }
    }
}

pub(crate) const HTML_SPACES: [char; 5] = [' ', '\t', '\n', '\u{c}', '\r'];

fn in_text(context: &Context, text: &str) -> (Context, usize) {
    let all = (context.clone(), text.len());
    let mut from = 0;
    while let Some(found) = text.get(from..).and_then(|rest| rest.find('<')) {
        let open = from + found;
        let after = text.get(open + 1..).unwrap_or_default();
        if after.starts_with("!--") {
            return (Context { state: State::Comment, ..Context::default() }, open + 4);
        }
        let (slashes, name) = match after.strip_prefix('/') {
            Some(rest) => (1, rest),
            None => (0, after),
        };
        let length = tag_name(name);
        if length > 0 {
            let element = if slashes == 1 {
                Element::Ordinary
            } else {
                Element::parse(name.get(..length).unwrap_or(""))
            };
            return (Context::tag(element), open + 1 + slashes + length);
        }
        from = open + 1 + slashes;
    }
    all
}

/// The length of the tag name a text begins with: letters, digits, and single `-` or `:` between them.
fn tag_name(text: &str) -> usize {
    if !text.starts_with(|c: char| c.is_ascii_alphabetic()) {
        return 0;
    }
    let bytes = text.as_bytes();
    let mut at = 1;
    while let Some(byte) = bytes.get(at) {
        let joint = matches!(byte, b'-' | b':') && bytes.get(at + 1).is_some_and(u8::is_ascii_alphanumeric);
        match (byte.is_ascii_alphanumeric(), joint) {
            (true, _) => at += 1,
            (false, true) => at += 2,
            (false, false) => break,
        }
    }
    at
}

fn in_tag(context: &Context, text: &str) -> Step {
    let rest = text.trim_start_matches(HTML_SPACES);
    let spaces = text.len() - rest.len();
    if rest.is_empty() {
        return Ok((context.clone(), text.len()));
    }
    if rest.starts_with('>') {
        let element = if context.element == Element::Meta { Element::Ordinary } else { context.element };
        let inside = Context { state: element.content(), element, ..Context::default() };
        return Ok((inside, spaces + 1));
    }
    let length = attribute_name(rest)?;
    if length == 0 {
        return Err(format!("expected an attribute or the end of a tag: {:?}", start_of(rest)));
    }
    let name = rest.get(..length).unwrap_or_default();
    let state = if length == rest.len() { State::AttributeName } else { State::AfterName };
    let attribute = classify(context.element, name);
    let next = Context { state, element: context.element, attribute, ..Context::default() };
    Ok((next, spaces + length))
}

fn in_attribute_name(context: &Context, text: &str) -> Step {
    let length = attribute_name(text)?;
    let mut next = context.clone();
    if length != text.len() {
        next.state = State::AfterName;
    }
    Ok((next, length))
}

/// The length of the attribute name a text begins with.
fn attribute_name(text: &str) -> Result<usize, String> {
    let length = text.find([' ', '\t', '\n', '\u{c}', '\r', '=', '>', '\'', '"', '<']).unwrap_or(text.len());
    match text.get(length..).and_then(|rest| rest.chars().next()) {
        Some(bad @ ('\'' | '"' | '<')) => Err(format!("{bad:?} in an attribute name: {:?}", start_of(text))),
        _ => Ok(length),
    }
}

fn after_name(context: &Context, text: &str) -> (Context, usize) {
    let rest = text.trim_start_matches(HTML_SPACES);
    let spaces = text.len() - rest.len();
    let mut next = context.clone();
    if rest.is_empty() {
        return (next, text.len());
    }
    if rest.starts_with('=') {
        next.state = State::BeforeValue;
        return (next, spaces + 1);
    }
    next.state = State::Tag;
    (next, spaces)
}

fn before_value(context: &Context, text: &str) -> (Context, usize) {
    let rest = text.trim_start_matches(HTML_SPACES);
    let spaces = text.len() - rest.len();
    let mut next = context.clone();
    let (quote, length) = match rest.chars().next() {
        None => return (next, text.len()),
        Some('"') => (Quote::Double, 1),
        Some('\'') => (Quote::Single, 1),
        Some(_) => (Quote::Space, 0),
    };
    next.state = next.attribute.value_state();
    next.quote = quote;
    (next, spaces + length)
}

/// Where the end tag of a special element begins.
fn end_tag(text: &str, element: Element) -> Option<usize> {
    let name = element.name()?;
    text.match_indices("</").map(|(at, _)| at).find(|at| {
        let rest = text.get(at + 2..).unwrap_or_default();
        let (found, after) = rest.split_at_checked(name.len()).unwrap_or(("", rest));
        found.eq_ignore_ascii_case(name) && after.starts_with(['>', ' ', '\t', '\n', '\u{c}', '\r', '/'])
    })
}

/// Right behind the `url=` of a `<meta content>`.
fn meta_url(text: &str) -> Option<usize> {
    let lower = text.to_ascii_lowercase();
    lower.match_indices("url").find_map(|(at, _)| {
        let rest = text.get(at + 3..)?.trim_start_matches(HTML_SPACES);
        let after = rest.strip_prefix('=')?;
        Some(text.len() - after.len())
    })
}

fn start_of(text: &str) -> String {
    text.chars().take(32).collect()
}

/// Decodes the character references in a part of an attribute value. Names of characters that mean nothing to a
/// script, a style or a URL all become U+FFFD: only the context matters here.
fn decode_entities(text: &str) -> Cow<'_, str> {
    if !text.contains('&') {
        return Cow::Borrowed(text);
    }
    let mut decoded = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('&') {
        decoded.push_str(before);
        if let Some((c, length)) = entity(after) {
            decoded.push(c);
            rest = after.get(length..).unwrap_or_default();
        } else {
            decoded.push('&');
            rest = after;
        }
    }
    decoded.push_str(rest);
    Cow::Owned(decoded)
}

/// The character of the reference a text begins with, the ampersand taken, and the length of the reference.
fn entity(text: &str) -> Option<(char, usize)> {
    if let Some(digits) = text.strip_prefix('#') {
        let (radix, digits, prefix) = match digits.strip_prefix(['x', 'X']) {
            Some(hex) => (16, hex, 2),
            None => (10, digits, 1),
        };
        let length = digits.find(|c: char| !c.is_digit(radix)).unwrap_or(digits.len());
        let number = digits.get(..length).filter(|digits| !digits.is_empty())?;
        let c = u32::from_str_radix(number, radix).ok().and_then(char::from_u32).unwrap_or('\u{fffd}');
        let semicolon = usize::from(digits.get(length..).is_some_and(|rest| rest.starts_with(';')));
        return Some((c, prefix + length + semicolon));
    }
    // These six need no semicolon.
    let legacy = [
        ("quot", '"'),
        ("QUOT", '"'),
        ("amp", '&'),
        ("AMP", '&'),
        ("lt", '<'),
        ("gt", '>'),
        ("LT", '<'),
        ("GT", '>'),
    ];
    let length = text.find(|c: char| !c.is_ascii_alphanumeric()).unwrap_or(text.len());
    if length > 0 && text.get(length..).is_some_and(|rest| rest.starts_with(';')) {
        return Some((named(text.get(..length).unwrap_or_default()), length + 1));
    }
    legacy.iter().find(|(name, _)| text.starts_with(name)).map(|(name, c)| (*c, name.len()))
}

/// The ASCII characters that have a name (HTML standard, section 13.5).
fn named(name: &str) -> char {
    match name {
        "quot" | "QUOT" => '"',
        "apos" => '\'',
        "amp" | "AMP" => '&',
        "lt" | "LT" => '<',
        "gt" | "GT" => '>',
        "num" => '#',
        "quest" => '?',
        "sol" => '/',
        "bsol" => '\\',
        "colon" => ':',
        "semi" => ';',
        "lpar" => '(',
        "rpar" => ')',
        "lbrace" | "lcub" => '{',
        "rbrace" | "rcub" => '}',
        "lbrack" | "lsqb" => '[',
        "rbrack" | "rsqb" => ']',
        "grave" | "DiacriticalGrave" => '`',
        "dollar" => '$',
        "ast" | "midast" => '*',
        "excl" => '!',
        "equals" => '=',
        "comma" => ',',
        "period" => '.',
        "plus" => '+',
        "percnt" => '%',
        "commat" => '@',
        "Hat" => '^',
        "lowbar" | "UnderBar" => '_',
        "vert" | "verbar" | "VerticalLine" => '|',
        "NewLine" => '\n',
        "Tab" => '\t',
        "nbsp" | "NonBreakingSpace" => '\u{a0}',
        _ => '\u{fffd}',
    }
}
