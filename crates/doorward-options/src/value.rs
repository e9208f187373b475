//! From what was written to values, by the rules of each source (reference page options-rules, "Value syntax").
//! Two deviations, both stricter: a bare number is no duration, and blanks around list items are removed.

use std::time::Duration;

use doorward_core::{Secret, SecretString};
use toml::de::{DeInteger, DeValue};

use crate::defs::Kind;
use crate::duration::parse_duration;
use crate::problem::quoted;

/// A value in the form its source has. Never printed: it may be a secret.
pub(crate) enum Written<'a> {
    /// The values of all occurrences of the flag, at least one.
    Flags(&'a [String]),
    /// The content of an environment variable, not empty.
    Environment(String),
    /// A value of the configuration file.
    File(&'a DeValue<'a>),
    /// A value of doorward.yaml.
    Plain(&'a Plain),
}

/// A value of a YAML file, its scalars as texts.
#[derive(Clone, PartialEq, Eq)]
pub(crate) enum Plain {
    One(String),
    List(Vec<String>),
}

/// Why a value was not taken, and what to write instead.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Unreadable {
    pub(crate) message: String,
    pub(crate) mend: String,
}

impl Unreadable {
    fn new(message: impl Into<String>, mend: &str) -> Self {
        Self { message: message.into(), mend: mend.to_owned() }
    }

    pub(crate) fn not_implemented() -> Self {
        Self::new("this option is not implemented yet", "leave it out or at its default")
    }

    /// A TOML value of another type than expected. The value itself is not shown.
    fn type_of(value: &DeValue<'_>, mend: &str) -> Self {
        Self::new(format!("a value of type {} is not accepted", value.type_str()), mend)
    }
}

/// A type that options may have.
pub(crate) trait Value: Sized {
    /// Reads the words of an environment variable; also of a flag, unless `from_flags` says otherwise.
    fn from_text(kind: Kind, text: &str) -> Result<Self, Unreadable>;

    /// Reads a value of the configuration file.
    fn from_toml(kind: Kind, value: &DeValue<'_>) -> Result<Self, Unreadable>;

    /// Reads a value of doorward.yaml.
    fn from_plain(kind: Kind, value: &Plain) -> Result<Self, Unreadable> {
        match value {
            Plain::One(text) => Self::from_text(kind, text),
            Plain::List(_) => Err(Unreadable::new("a list is not accepted", "write one value")),
        }
    }

    /// Reads the occurrences of a flag: each must be readable, the last one counts.
    fn from_flags(kind: Kind, occurrences: &[String]) -> Result<Self, Unreadable> {
        let mut last = None;
        for text in occurrences {
            last = Some(Self::from_text(kind, text)?);
        }
        last.ok_or_else(|| Unreadable::new("no value is given", "give one"))
    }

    fn read(kind: Kind, written: &Written<'_>) -> Result<Self, Unreadable> {
        match written {
            Written::Flags(occurrences) => Self::from_flags(kind, occurrences),
            Written::Environment(text) => Self::from_text(kind, text),
            Written::File(value) => Self::from_toml(kind, value),
            Written::Plain(value) => Self::from_plain(kind, value),
        }
    }
}

/// The default of an option. A test reads every default in the table, so the fallback is never taken.
pub(crate) fn default_of<T: Value + Default>(kind: Kind, text: &str) -> T {
    T::from_text(kind, text).unwrap_or_default()
}

const BOOL_MEND: &str = "write true or false";

impl Value for bool {
    fn from_text(_: Kind, text: &str) -> Result<Self, Unreadable> {
        match text {
            "1" | "t" | "T" | "true" | "TRUE" | "True" => Ok(true),
            "0" | "f" | "F" | "false" | "FALSE" | "False" => Ok(false),
            _ => Err(Unreadable::new(format!("{} is neither true nor false", quoted(text)), BOOL_MEND)),
        }
    }

    fn from_toml(kind: Kind, value: &DeValue<'_>) -> Result<Self, Unreadable> {
        match value {
            DeValue::Boolean(value) => Ok(*value),
            DeValue::String(text) => Self::from_text(kind, text),
            DeValue::Integer(number) => Ok(integer(number)? != 0),
            _ => Err(Unreadable::type_of(value, BOOL_MEND)),
        }
    }
}

const INT_MEND: &str = "write a whole number";

impl Value for i64 {
    fn from_text(_: Kind, text: &str) -> Result<Self, Unreadable> {
        text.parse().map_err(|_| Unreadable::new(format!("{} is not a whole number", quoted(text)), INT_MEND))
    }

    fn from_toml(kind: Kind, value: &DeValue<'_>) -> Result<Self, Unreadable> {
        match value {
            DeValue::Integer(number) => integer(number),
            DeValue::String(text) => Self::from_text(kind, text),
            _ => Err(Unreadable::type_of(value, INT_MEND)),
        }
    }
}

fn integer(number: &DeInteger<'_>) -> Result<i64, Unreadable> {
    i64::from_str_radix(number.as_str(), number.radix())
        .map_err(|_| Unreadable::new("the number is too large", "write a smaller one, or a text in quotes"))
}

const DURATION_MEND: &str = "write numbers with units, such as 90s, 1h30m or 168h; only 0 needs no unit";

impl Value for Duration {
    fn from_text(kind: Kind, text: &str) -> Result<Self, Unreadable> {
        let nanoseconds = parse_duration(text)
            .map_err(|why| Unreadable::new(format!("{} {why}", quoted(text)), DURATION_MEND))?;
        match (u64::try_from(nanoseconds), kind) {
            (Ok(nanoseconds), _) => Ok(Self::from_nanos(nanoseconds)),
            (Err(_), Kind::Interval) => Ok(Self::ZERO),
            (Err(_), _) => {
                Err(Unreadable::new(format!("{} is negative", quoted(text)), "write a duration of 0 or more"))
            }
        }
    }

    fn from_toml(kind: Kind, value: &DeValue<'_>) -> Result<Self, Unreadable> {
        match value {
            DeValue::String(text) => Self::from_text(kind, text),
            // oauth2-proxy takes a bare number for nanoseconds, which nobody means.
            DeValue::Integer(number) => match integer(number)? {
                0 => Ok(Self::ZERO),
                number => {
                    Err(Unreadable::new(format!("{number} is a duration without a unit"), DURATION_MEND))
                }
            },
            _ => Err(Unreadable::type_of(value, DURATION_MEND)),
        }
    }
}

const TEXT_MEND: &str = "write a text in quotes";

impl Value for String {
    fn from_text(_: Kind, text: &str) -> Result<Self, Unreadable> {
        Ok(text.to_owned())
    }

    fn from_toml(_: Kind, value: &DeValue<'_>) -> Result<Self, Unreadable> {
        match value {
            DeValue::String(text) => Ok(text.clone().into_owned()),
            // Client ids that consist of digits are often written without quotes.
            DeValue::Integer(number) => Ok(integer(number)?.to_string()),
            _ => Err(Unreadable::type_of(value, TEXT_MEND)),
        }
    }
}

impl Value for SecretString {
    fn from_text(_: Kind, text: &str) -> Result<Self, Unreadable> {
        Ok(Self::from(text))
    }

    fn from_toml(_: Kind, value: &DeValue<'_>) -> Result<Self, Unreadable> {
        match value {
            DeValue::String(text) => Ok(Self::from(&**text)),
            DeValue::Integer(number) => Ok(Self::new(integer(number)?.to_string())),
            _ => Err(Unreadable::type_of(value, TEXT_MEND)),
        }
    }
}

const LIST_MEND: &str = "write a list of texts, or one text with commas";

impl Value for Vec<String> {
    fn from_text(_: Kind, text: &str) -> Result<Self, Unreadable> {
        if text.is_empty() {
            return Ok(Self::new());
        }
        items(text.split(',').map(|item| item.trim().to_owned()).collect())
    }

    fn from_toml(kind: Kind, value: &DeValue<'_>) -> Result<Self, Unreadable> {
        match value {
            DeValue::String(text) => Self::from_text(kind, text),
            DeValue::Array(array) if array.is_empty() => Ok(Self::new()),
            DeValue::Array(array) => {
                let texts: Result<Self, Unreadable> = array
                    .iter()
                    .map(|item| Ok(String::from_toml(kind, item.get_ref())?.trim().to_owned()))
                    .collect();
                items(texts?)
            }
            _ => Err(Unreadable::type_of(value, LIST_MEND)),
        }
    }

    fn from_plain(kind: Kind, value: &Plain) -> Result<Self, Unreadable> {
        match value {
            Plain::One(text) => Self::from_text(kind, text),
            Plain::List(list) if list.is_empty() => Ok(Self::new()),
            Plain::List(list) => items(list.iter().map(|item| item.trim().to_owned()).collect()),
        }
    }

    /// Each occurrence is a CSV record and adds its items; an empty one adds none.
    fn from_flags(_: Kind, occurrences: &[String]) -> Result<Self, Unreadable> {
        let mut all = Self::new();
        for text in occurrences.iter().filter(|text| !text.is_empty()) {
            all.extend(items(csv_record(text)?)?);
        }
        Ok(all)
    }
}

impl Value for Secret<Vec<String>> {
    fn from_text(kind: Kind, text: &str) -> Result<Self, Unreadable> {
        Vec::from_text(kind, text).map(Self::new)
    }

    fn from_toml(kind: Kind, value: &DeValue<'_>) -> Result<Self, Unreadable> {
        Vec::from_toml(kind, value).map(Self::new)
    }

    fn from_plain(kind: Kind, value: &Plain) -> Result<Self, Unreadable> {
        Vec::from_plain(kind, value).map(Self::new)
    }

    fn from_flags(kind: Kind, occurrences: &[String]) -> Result<Self, Unreadable> {
        Vec::from_flags(kind, occurrences).map(Self::new)
    }
}

/// Drops empty items, which stray commas leave behind: an empty expression would match every path. A list of
/// nothing but empty items is refused, because an empty list of groups would admit everybody.
fn items(mut items: Vec<String>) -> Result<Vec<String>, Unreadable> {
    items.retain(|item| !item.trim().is_empty());
    if items.is_empty() {
        return Err(Unreadable::new(
            "the list has only empty items",
            "write the items, or leave the option out",
        ));
    }
    Ok(items)
}

/// One CSV record by the rules of pflag (Go: encoding/csv): commas separate, double quotes protect, two of them
/// within quotes stand for one. The text is not empty. Messages do not show it.
fn csv_record(text: &str) -> Result<Vec<String>, Unreadable> {
    const MEND: &str =
        "put an item with commas or quotes wholly in double quotes, and double the quotes in it";
    let mut fields = Vec::new();
    let mut rest = text.trim_end_matches(['\r', '\n']);
    loop {
        let next = if let Some(opened) = rest.strip_prefix('"') {
            let (field, tail) =
                quoted_field(opened).ok_or_else(|| Unreadable::new("a double quote is not closed", MEND))?;
            fields.push(field);
            if tail.is_empty() {
                return Ok(fields);
            }
            tail.strip_prefix(',')
                .map(Some)
                .ok_or_else(|| Unreadable::new("text follows a closing double quote", MEND))?
        } else {
            let (field, next) =
                rest.split_once(',').map_or((rest, None), |(field, next)| (field, Some(next)));
            if field.contains('"') {
                return Err(Unreadable::new("a double quote stands within an item", MEND));
            }
            // Go would read the first line and drop the others without a word.
            if field.contains(['\r', '\n']) {
                return Err(Unreadable::new("the list has more than one line", MEND));
            }
            fields.push(field.to_owned());
            next
        };
        match next {
            Some(next) => rest = next,
            None => return Ok(fields),
        }
    }
}

/// The content up to the closing quote, and what follows it.
fn quoted_field(opened: &str) -> Option<(String, &str)> {
    let mut field = String::new();
    let mut rest = opened;
    loop {
        let (part, tail) = rest.split_once('"')?;
        field.push_str(part);
        match tail.strip_prefix('"') {
            Some(tail) => {
                field.push('"');
                rest = tail;
            }
            None => return Some((field, tail)),
        }
    }
}

#[cfg(test)]
mod tests;
