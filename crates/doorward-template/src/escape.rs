//! Contextual escaping: what is done to a value depends on where in the page it stands.
//! `context` follows the page, `chain` chooses the escapers for a position, `apply` runs them.
//! A value can never leave the place it was put in, whatever it holds; trusted markup (`Value::Html`) stays markup in
//! HTML text only.

mod attribute;
mod context;
mod css;
mod html;
mod js;
mod url;

use std::borrow::Cow;

pub(crate) use self::context::{Context, State};
use self::context::{Element, Quote, Script, Slash, Style, UrlPart};
use self::html::{Table, before_tag};
use crate::print;
use crate::tree::Function;
use crate::value::Value;

/// Stands in for a value that no escaping can make harmless where it stands: the word Go uses, so that an operator who
/// looks it up finds the explanation.
const FAILSAFE: &str = "ZgotmplZ";

/// One escaping step.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Escaper {
    /// HTML text.
    Text,
    /// `<title>` and `<textarea>`.
    RawText,
    /// A quoted attribute value.
    Quoted,
    /// An attribute value without quotes.
    Unquoted,
    AttributeName,
    /// Nothing is printed into a comment.
    Comment,
    /// Refuses URLs with a scheme that runs something.
    UrlScheme,
    UrlNormal,
    UrlQuery,
    SourceSet,
    /// At the start of a `<script>`: markup of the operator is the script itself, anything else a value in it.
    ScriptBody,
    ScriptValue,
    ScriptString,
    ScriptTemplate,
    ScriptRegexp,
    StyleString,
    /// In a `<style>`: markup of the operator is style, anything else a value in it.
    StyleSheet,
    StyleValue,
    /// The functions `html` and `urlquery`, written by the author at the end of a pipeline.
    HtmlFunction,
    UrlQueryFunction,
}

/// The escapers for a value printed at a position, and the position after it.
pub(crate) fn chain(context: Context) -> Result<(Vec<Escaper>, Context), String> {
    let mut context = context.nudged();
    let mut chain = Vec::with_capacity(3);
    match context.state {
        State::Url
        | State::Style(Style::Double | Style::Single | Style::DoubleUrl | Style::SingleUrl | Style::Url) => {
            let in_string = matches!(context.state, State::Style(Style::Double | Style::Single));
            match context.part {
                UrlPart::Start | UrlPart::BeforeQuery => {
                    if context.part == UrlPart::Start {
                        chain.push(Escaper::UrlScheme);
                    }
                    chain.push(if in_string { Escaper::StyleString } else { Escaper::UrlNormal });
                }
                UrlPart::QueryOrFragment => chain.push(Escaper::UrlQuery),
                UrlPart::Unknown => {
                    return Err("a value stands where a URL may or may not be in its query".to_owned());
                }
            }
        }
        State::Script(Script::Start) => {
            chain.push(Escaper::ScriptBody);
            context.state = State::Script(Script::Code);
            context.slash = Slash::Division;
        }
        State::Script(Script::Code) => {
            chain.push(Escaper::ScriptValue);
            context.slash = Slash::Division;
        }
        State::Script(Script::Double | Script::Single) => chain.push(Escaper::ScriptString),
        State::Script(Script::Template) => chain.push(Escaper::ScriptTemplate),
        State::Script(Script::Regexp) => chain.push(Escaper::ScriptRegexp),
        State::Style(Style::Code) => {
            chain.push(if context.quote == Quote::Outside {
                Escaper::StyleSheet
            } else {
                Escaper::StyleValue
            });
        }
        State::Text => chain.push(Escaper::Text),
        State::RawText => chain.push(Escaper::RawText),
        State::Value | State::MetaContent => (),
        State::MetaUrl => chain.push(Escaper::UrlScheme),
        State::SourceSet => chain.push(Escaper::SourceSet),
        State::Tag | State::AttributeName | State::AfterName | State::BeforeValue => {
            context.state = State::AttributeName;
            chain.push(Escaper::AttributeName);
        }
        State::Comment | State::Script(_) | State::Style(_) => chain.push(Escaper::Comment),
    }
    match context.quote {
        Quote::Outside => (),
        Quote::Space => chain.push(Escaper::Unquoted),
        Quote::Double | Quote::Single => chain.push(Escaper::Quoted),
    }
    Ok((chain, context))
}

/// Works an escaping function the author wrote at the end of a pipeline into a chain, so that nothing is escaped twice.
pub(crate) fn merge(
    function: Function,
    context: &Context,
    mut chain: Vec<Escaper>,
) -> Result<Vec<Escaper>, String> {
    let (own, same): (Escaper, &[Escaper]) = match function {
        Function::Html => (Escaper::HtmlFunction, &[Escaper::Text, Escaper::RawText, Escaper::Quoted]),
        Function::UrlQuery => (Escaper::UrlQueryFunction, &[Escaper::UrlQuery, Escaper::UrlNormal]),
        _ => return Ok(chain),
    };
    if function == Function::Html && context.state == State::Value && context.quote == Quote::Space {
        return Err("html is not enough in an attribute value without quotes: leave it out".to_owned());
    }
    let mut found = false;
    for escaper in &mut chain {
        if same.contains(escaper) {
            *escaper = own;
            found = true;
        }
    }
    if !found {
        chain.insert(0, own);
    }
    Ok(chain)
}

/// Runs a chain over a value.
pub(crate) fn apply<'v>(chain: &[Escaper], value: &'v Value) -> Cow<'v, str> {
    let Some((first, rest)) = chain.split_first() else {
        return print::text(value);
    };
    let mut text = first_step(*first, value);
    for escaper in rest {
        text = Cow::Owned(later_step(*escaper, text));
    }
    text
}

/// The first step sees the value itself: trusted markup and numbers are told apart from text.
fn first_step(escaper: Escaper, value: &Value) -> Cow<'_, str> {
    match (escaper, value) {
        (Escaper::Text, Value::Html(markup)) => Cow::Borrowed(markup),
        (Escaper::RawText, Value::Html(markup)) => html::escape(markup, Table::KeepReferences),
        (Escaper::Quoted, Value::Html(markup)) => {
            Cow::Owned(html::escape(&html::strip_tags(markup), Table::KeepReferences).into_owned())
        }
        (Escaper::Unquoted, Value::Html(markup)) => {
            Cow::Owned(unquoted(&html::strip_tags(markup), Table::UnquotedKeepReferences))
        }
        (Escaper::StyleSheet, Value::Html(style)) => whole(style, &["</style", "<!--"]),
        (Escaper::ScriptBody, Value::Html(script)) => whole(script, &["</script", "<script", "<!--"]),
        (Escaper::ScriptValue | Escaper::ScriptBody, value) => Cow::Owned(js::value(value)),
        (Escaper::Text | Escaper::RawText | Escaper::Quoted, Value::Text(text)) => {
            html::escape(text, Table::Full)
        }
        (escaper, value) => Cow::Owned(later_step(escaper, print::text(value))),
    }
}

fn later_step(escaper: Escaper, text: Cow<'_, str>) -> String {
    match escaper {
        Escaper::Text | Escaper::RawText | Escaper::Quoted => html::escape(&text, Table::Full).into_owned(),
        Escaper::HtmlFunction => html::escape(&text, Table::Function).into_owned(),
        Escaper::Unquoted => unquoted(&text, Table::Unquoted),
        Escaper::AttributeName => {
            let name = text.to_lowercase();
            if attribute::is_harmless_name(&name) { name } else { FAILSAFE.to_owned() }
        }
        Escaper::Comment => String::new(),
        Escaper::UrlScheme => {
            if url::is_safe(&text) {
                text.into_owned()
            } else {
                format!("#{FAILSAFE}")
            }
        }
        Escaper::UrlNormal => url::normalise(&text),
        Escaper::UrlQuery => url::encode(&text),
        Escaper::UrlQueryFunction => url::query_escape(&text),
        Escaper::SourceSet => url::source_set(&text, &format!("#{FAILSAFE}")),
        Escaper::ScriptValue | Escaper::ScriptBody => js::value(&Value::Text(text.into_owned())),
        Escaper::ScriptString => js::string(&text),
        Escaper::ScriptTemplate => js::template(&text),
        Escaper::ScriptRegexp => js::regexp(&text),
        Escaper::StyleString => css::escape(&text),
        Escaper::StyleValue | Escaper::StyleSheet => {
            css::filter_value(&text).unwrap_or_else(|| FAILSAFE.to_owned())
        }
    }
}

/// The content of a whole element, unless it would end or change the element.
fn whole<'v>(content: &'v str, forbidden: &[&str]) -> Cow<'v, str> {
    let lower = content.to_ascii_lowercase();
    if forbidden.iter().any(|word| lower.contains(word)) {
        Cow::Borrowed(FAILSAFE)
    } else {
        Cow::Borrowed(content)
    }
}

/// Never empty: `<a b={{.X}} c>` must not make `c` the value of `b`.
fn unquoted(text: &str, table: Table) -> String {
    if text.is_empty() {
        return FAILSAFE.to_owned();
    }
    html::escape(text, table).into_owned()
}

/// Escapes text for HTML text and quoted attribute values: the five special characters, `+` and NUL.
/// Borrows when there is nothing to escape.
pub fn escape_html(text: &str) -> Cow<'_, str> {
    html::escape(text, Table::Full)
}

/// The function `html`.
pub(crate) fn html_function(text: &str) -> String {
    html::escape(text, Table::Function).into_owned()
}

/// The function `urlquery`.
pub(crate) fn url_query_function(text: &str) -> String {
    url::query_escape(text)
}

/// Goes over literal markup: what of it is written, and the position after it.
/// Comments are left out: they are for the author. A `<` that opens nothing is escaped.
/// An error comes with the offset where it was found.
pub(crate) fn literal(start: Context, markup: &str) -> Result<(String, Context), (usize, String)> {
    let mut out = String::with_capacity(markup.len());
    let mut context = start;
    let mut rest = markup;
    while !rest.is_empty() {
        let offset = markup.len() - rest.len();
        let (next, taken) = context.step(rest).map_err(|message| (offset, message))?;
        let Some((piece, tail)) = rest.split_at_checked(taken) else {
            return Err((offset, "unreadable markup".to_owned()));
        };
        if piece.is_empty() && next == context {
            return Err((offset, "unreadable markup".to_owned()));
        }
        write_piece(&mut out, &context, &next, piece);
        context = next;
        rest = tail;
    }
    Ok((out, context))
}

fn write_piece(out: &mut String, context: &Context, next: &Context, piece: &str) {
    if context.state.is_comment() && context.quote == Quote::Outside {
        match context.state {
            // A comment with a line break in it counts as one.
            State::Script(Script::BlockComment) if piece.contains(['\n', '\r', '\u{2028}', '\u{2029}']) => {
                out.push('\n');
            }
            State::Script(Script::BlockComment) | State::Style(Style::BlockComment) => out.push(' '),
            _ => (),
        }
        return;
    }
    let opens_comment =
        next.state != context.state && next.state.is_comment() && next.quote == Quote::Outside;
    let kept = if opens_comment { without_opening(piece, next.state) } else { piece };
    match context.state {
        State::Text | State::RawText => {
            let text = if next.state == context.state || opens_comment { kept } else { before_tag(kept) };
            write_text(out, text);
            out.push_str(kept.get(text.len()..).unwrap_or_default());
        }
        state if state.is_script_literal() => write_script_literal(out, kept),
        _ => out.push_str(kept),
    }
}

/// A piece without the signs at its end that open a comment.
fn without_opening(piece: &str, comment: State) -> &str {
    let length = match comment {
        State::Comment | State::Script(Script::OpenComment) => 4,
        State::Script(Script::CloseComment) => 3,
        _ => 2,
    };
    piece.get(..piece.len().saturating_sub(length)).unwrap_or(piece)
}

/// Text in which every `<` but that of a doctype is escaped.
fn write_text(out: &mut String, text: &str) {
    const DOCTYPE: &str = "!doctype";
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('<') {
        out.push_str(before);
        let is_doctype = after.get(..DOCTYPE.len()).is_some_and(|start| start.eq_ignore_ascii_case(DOCTYPE));
        out.push_str(if is_doctype { "<" } else { "&lt;" });
        rest = after;
    }
    out.push_str(rest);
}

/// A literal of a script in which nothing opens or closes a script element (HTML standard, section 4.12.1.3).
fn write_script_literal(out: &mut String, text: &str) {
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('<') {
        out.push_str(before);
        let special = ["script", "/script", "!--"]
            .iter()
            .any(|word| after.get(..word.len()).is_some_and(|start| start.eq_ignore_ascii_case(word)));
        out.push_str(if special { "\\x3C" } else { "<" });
        rest = after;
    }
    out.push_str(rest);
}

/// A position in words, for messages.
pub(crate) fn describe(context: &Context) -> &'static str {
    match (context.state, context.element) {
        (State::Text, _) => "text",
        (State::Tag | State::AttributeName | State::AfterName | State::BeforeValue, _) => "a tag",
        (State::Comment, _) => "a comment",
        (State::RawText, _) => "a title or text area",
        (State::Value | State::MetaContent, _) => "an attribute value",
        (State::Url | State::SourceSet | State::MetaUrl, _) => "a URL",
        (State::Script(_), Element::Script) => "a script",
        (State::Script(_), _) => "an event handler",
        (State::Style(_), _) => "a style",
    }
}
