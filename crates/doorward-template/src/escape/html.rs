//! HTML text and attribute values.

use std::borrow::Cow;
use std::fmt::Write as _;

use super::context::{Context, Element, Quote, State};

/// Which characters are replaced.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Table {
    /// Text and quoted attribute values.
    Full,
    /// The same for markup that may hold character references already.
    KeepReferences,
    /// Attribute values without quotes.
    Unquoted,
    UnquotedKeepReferences,
    /// The function `html`: like `Full` but for the plus sign.
    Function,
}

/// Replaces the characters of a table; borrows when there is nothing to do.
pub(crate) fn escape(text: &str, table: Table) -> Cow<'_, str> {
    let Some(first) = text.find(|c| is_replaced(c, table)) else {
        return Cow::Borrowed(text);
    };
    let (clean, rest) = text.split_at_checked(first).unwrap_or(("", text));
    let mut out = String::with_capacity(text.len() + 32);
    out.push_str(clean);
    for c in rest.chars() {
        match c {
            c if !is_replaced(c, table) => out.push(c),
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '\0' if matches!(table, Table::Full | Table::KeepReferences | Table::Function) => {
                out.push('\u{fffd}');
            }
            '\0' => out.push_str("&#xfffd;"),
            // Writing to a string cannot fail.
            c if c.is_ascii() => drop(write!(out, "&#{};", u32::from(c))),
            c => drop(write!(out, "&#x{:x};", u32::from(c))),
        }
    }
    Cow::Owned(out)
}

fn is_replaced(c: char, table: Table) -> bool {
    match c {
        '<' | '>' | '"' | '\'' | '\0' => true,
        '+' => table != Table::Function,
        '&' => !matches!(table, Table::KeepReferences | Table::UnquotedKeepReferences),
        '\t' | '\n' | '\u{b}' | '\u{c}' | '\r' | ' ' | '=' | '`' => {
            matches!(table, Table::Unquoted | Table::UnquotedKeepReferences)
        }
        // Old browsers did not accept these without quotes.
        '\u{fdd0}'..='\u{fdef}' | '\u{fff0}'..='\u{ffff}' => {
            matches!(table, Table::Unquoted | Table::UnquotedKeepReferences)
        }
        _ => false,
    }
}

/// The text of markup, without tags, comments, scripts and styles: trusted markup in a place where only text fits.
pub(crate) fn strip_tags(markup: &str) -> Cow<'_, str> {
    if !markup.contains('<') {
        return Cow::Borrowed(markup);
    }
    let mut out = String::with_capacity(markup.len());
    let mut context = Context::default();
    let mut rest = markup;
    while !rest.is_empty() {
        // Whatever a script or style is, it is not text; their content only matters for where it ends.
        let outside =
            context.quote == Quote::Outside && matches!(context.state, State::Script(_) | State::Style(_));
        if outside {
            context.state = State::RawText;
        }
        let Ok((next, taken)) = context.step(rest) else { break };
        let (piece, tail) = rest.split_at_checked(taken).unwrap_or((rest, ""));
        let readable = context.state == State::Text
            || (context.state == State::RawText
                && !matches!(context.element, Element::Script | Element::Style));
        if readable {
            let text = if next.state == context.state { piece } else { before_tag(piece) };
            out.push_str(text);
        }
        context = next;
        rest = tail;
    }
    Cow::Owned(out)
}

/// The part of a piece of text before the tag that ends it.
pub(crate) fn before_tag(piece: &str) -> &str {
    piece.rfind('<').and_then(|at| piece.get(..at)).unwrap_or(piece)
}
