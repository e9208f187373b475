//! The values a template can see. Closed set, owned, without any behaviour of its own.

use std::collections::BTreeMap;

/// A value given to a template or made by one.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Value {
    /// Untrusted text: escaped wherever it is printed.
    Text(String),
    /// Markup the operator wrote: printed as it stands in HTML text, and made harmless everywhere else.
    Html(String),
    /// A whole number.
    Int(i64),
    /// True or false.
    Bool(bool),
    /// A list, for `range`.
    List(Vec<Value>),
    /// Named values, for `.Name`.
    Map(BTreeMap<String, Value>),
    /// What a missing field is.
    #[default]
    Nil,
}

impl Value {
    /// The text of a string value, whether trusted or not.
    pub(crate) fn as_text(&self) -> Option<&str> {
        match self {
            Self::Text(text) | Self::Html(text) => Some(text),
            Self::Int(_) | Self::Bool(_) | Self::List(_) | Self::Map(_) | Self::Nil => None,
        }
    }

    /// Truth as `if` sees it: everything but the empty value of its kind.
    pub(crate) fn is_true(&self) -> bool {
        match self {
            Self::Text(text) | Self::Html(text) => !text.is_empty(),
            Self::Int(number) => *number != 0,
            Self::Bool(truth) => *truth,
            Self::List(items) => !items.is_empty(),
            Self::Map(entries) => !entries.is_empty(),
            Self::Nil => false,
        }
    }

    /// The name of the kind, as Go's formatting functions print it.
    pub(crate) fn kind(&self) -> &'static str {
        match self {
            Self::Text(_) => "string",
            Self::Html(_) => "template.HTML",
            Self::Int(_) => "int",
            Self::Bool(_) => "bool",
            Self::List(_) => "[]interface {}",
            Self::Map(_) => "map[string]interface {}",
            Self::Nil => "<nil>",
        }
    }

    /// Rough size in bytes, to charge copies to the budget of a rendering.
    pub(crate) fn weight(&self) -> usize {
        const NODE: usize = 16;
        match self {
            Self::Text(text) | Self::Html(text) => NODE + text.len(),
            Self::List(items) => NODE + items.iter().map(Self::weight).sum::<usize>(),
            Self::Map(entries) => {
                NODE + entries.iter().map(|(key, value)| key.len() + value.weight()).sum::<usize>()
            }
            Self::Int(_) | Self::Bool(_) | Self::Nil => NODE,
        }
    }
}

impl From<&str> for Value {
    fn from(text: &str) -> Self {
        Self::Text(text.to_owned())
    }
}

impl From<String> for Value {
    fn from(text: String) -> Self {
        Self::Text(text)
    }
}

impl From<i64> for Value {
    fn from(number: i64) -> Self {
        Self::Int(number)
    }
}

impl From<u16> for Value {
    fn from(number: u16) -> Self {
        Self::Int(i64::from(number))
    }
}

impl From<bool> for Value {
    fn from(truth: bool) -> Self {
        Self::Bool(truth)
    }
}

impl From<Vec<Self>> for Value {
    fn from(items: Vec<Self>) -> Self {
        Self::List(items)
    }
}

impl From<BTreeMap<String, Self>> for Value {
    fn from(entries: BTreeMap<String, Self>) -> Self {
        Self::Map(entries)
    }
}

impl<const N: usize> From<[(&str, Self); N]> for Value {
    fn from(entries: [(&str, Self); N]) -> Self {
        Self::Map(entries.into_iter().map(|(key, value)| (key.to_owned(), value)).collect())
    }
}

impl FromIterator<(String, Self)> for Value {
    fn from_iter<I: IntoIterator<Item = (String, Self)>>(entries: I) -> Self {
        Self::Map(entries.into_iter().collect())
    }
}
