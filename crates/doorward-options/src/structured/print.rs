//! From records to a YAML file, four blanks an indent. What is empty is left out.

use std::fmt::Write as _;
use std::time::Duration;

use doorward_core::{Secret, SecretString};

use super::Structured;
use crate::duration::format_duration;

/// A field that can be printed.
pub(crate) trait Printable {
    fn print(&self) -> Printed;
}

/// What there is to print of a field.
pub(crate) enum Printed {
    Nothing,
    Scalar(String),
    List(Vec<Printed>),
    /// With a comment at the end of the first line.
    Commented(String, Box<Printed>),
    Mapping(Vec<(&'static str, Printed)>),
}

/// A mapping of what there is; nothing if there is nothing.
pub(super) fn mapping(entries: Vec<(&'static str, Printed)>) -> Printed {
    let entries: Vec<_> =
        entries.into_iter().filter(|(_, value)| !matches!(value, Printed::Nothing)).collect();
    if entries.is_empty() { Printed::Nothing } else { Printed::Mapping(entries) }
}

pub(super) fn yaml(structured: &Structured) -> String {
    text(&structured.print())
}

pub(super) fn text(printed: &Printed) -> String {
    let mut text = String::new();
    write(printed, 0, &mut text);
    text
}

const INDENT: usize = 4;

/// Writes lines that begin at `column`; the cursor is there already.
fn write(printed: &Printed, column: usize, text: &mut String) {
    let next_line = |text: &mut String| {
        let _ = write!(text, "{:column$}", "");
    };
    match printed {
        Printed::Nothing => text.push('\n'),
        Printed::Scalar(scalar) => {
            text.push_str(scalar);
            text.push('\n');
        }
        // Only values of a mapping have comments, and are written there.
        Printed::Commented(_, inner) => write(inner, column, text),
        Printed::List(items) => {
            for (index, item) in items.iter().enumerate() {
                if index > 0 {
                    next_line(text);
                }
                text.push_str("- ");
                write(item, column + 2, text);
            }
        }
        Printed::Mapping(entries) => {
            for (index, (key, value)) in entries.iter().enumerate() {
                if index > 0 {
                    next_line(text);
                }
                text.push_str(key);
                text.push(':');
                let (comment, value) = match value {
                    Printed::Commented(comment, inner) => (format!(" # {comment}"), inner.as_ref()),
                    value => (String::new(), value),
                };
                if let Printed::Scalar(scalar) = value {
                    let _ = writeln!(text, " {scalar}{comment}");
                } else {
                    let column = (column / INDENT + 1) * INDENT;
                    let _ = write!(text, "{comment}\n{:column$}", "");
                    write(value, column, text);
                }
            }
        }
    }
}

impl Printable for bool {
    fn print(&self) -> Printed {
        Printed::Scalar(self.to_string())
    }
}

impl Printable for i64 {
    fn print(&self) -> Printed {
        Printed::Scalar(self.to_string())
    }
}

impl Printable for Duration {
    fn print(&self) -> Printed {
        Printed::Scalar(format_duration(*self))
    }
}

impl Printable for String {
    fn print(&self) -> Printed {
        if self.is_empty() { Printed::Nothing } else { Printed::Scalar(scalar(self)) }
    }
}

impl Printable for Secret<Vec<String>> {
    fn print(&self) -> Printed {
        self.expose().print()
    }
}

impl Printable for SecretString {
    fn print(&self) -> Printed {
        self.expose().print()
    }
}

impl<T: Printable> Printable for Option<T> {
    fn print(&self) -> Printed {
        self.as_ref().map_or(Printed::Nothing, Printable::print)
    }
}

impl<T: Printable> Printable for Vec<T> {
    fn print(&self) -> Printed {
        if self.is_empty() {
            return Printed::Nothing;
        }
        Printed::List(self.iter().map(Printable::print).collect())
    }
}

/// A text as it stands where it can only be meant as that text, else in double quotes (YAML 1.2 section 7.3.1). A
/// dollar is escaped: references to the environment are replaced before YAML is read.
fn scalar(text: &str) -> String {
    let is_word = text.starts_with(|first: char| first.is_ascii_alphabetic() || "/^".contains(first))
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_-./:@+=,^".contains(&byte))
        && !text.ends_with(':')
        && !["true", "false", "yes", "no", "on", "off", "y", "n", "null"]
            .contains(&text.to_ascii_lowercase().as_str());
    if is_word {
        return text.to_owned();
    }
    let mut quoted = String::from('"');
    for letter in text.chars() {
        match letter {
            '"' | '\\' => quoted.extend(['\\', letter]),
            '$' => quoted.push_str("\\x24"),
            '\n' => quoted.push_str("\\n"),
            '\t' => quoted.push_str("\\t"),
            // Also what YAML takes for the end of a line.
            _ if letter.is_control() || matches!(letter, '\u{2028}' | '\u{2029}' | '\u{feff}') => {
                let _ = write!(quoted, "\\U{:08x}", u32::from(letter));
            }
            _ => quoted.push(letter),
        }
    }
    quoted.push('"');
    quoted
}
