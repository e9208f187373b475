//! The functions of Go's templates, over our values. Pure; a misfit is a message with kinds, never with values.

use std::borrow::Cow;
use std::cmp::Ordering;

use crate::escape;
use crate::print;
use crate::tree::Function;
use crate::value::Value;

/// What a function answers.
#[derive(Debug)]
pub(crate) enum Answer {
    Value(Value),
    /// Something inside of the first argument.
    Inside(Vec<Key>),
}

/// One step into a list or map.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Key {
    Index(usize),
    Name(String),
}

/// What lies at a path inside of a value.
pub(crate) fn follow<'v>(value: &'v Value, path: &[Key]) -> Option<&'v Value> {
    path.iter().try_fold(value, |value, key| match (value, key) {
        (Value::List(items), Key::Index(index)) => items.get(*index),
        (Value::Map(entries), Key::Name(name)) => entries.get(name),
        _ => None,
    })
}

/// Calls a function. `and` and `or` are not called here: they do not look at all of their arguments.
pub(crate) fn call(function: Function, arguments: &[&Value]) -> Result<Answer, String> {
    let value = match (function, arguments) {
        (Function::Index, [container, keys @ ..]) => return index(container, keys),
        (Function::Not, [value]) => Value::Bool(!value.is_true()),
        (Function::Len, [value]) => Value::Int(length(value)?),
        (Function::Slice, [value, bounds @ ..]) => slice(value, bounds)?,
        (Function::Print, values) => Value::Text(print::print(values)),
        (Function::Println, values) => Value::Text(print::println(values)),
        (Function::Printf, [format, values @ ..]) => match format.as_text() {
            Some(format) => Value::Text(print::printf(format, values)),
            None => return Err(format!("the format of printf must be a string, not {}", format.kind())),
        },
        (Function::Html, values) => Value::Text(escape::html_function(&joined(values))),
        (Function::Js, values) => Value::Text(print::js(&joined(values))),
        (Function::UrlQuery, values) => Value::Text(escape::url_query_function(&joined(values))),
        (Function::ToUpper, [value]) => Value::Text(each(string(function, value)?, char::to_uppercase)),
        (Function::ToLower, [value]) => Value::Text(each(string(function, value)?, char::to_lowercase)),
        (Function::Eq, [value, others @ ..]) => Value::Bool(equals_any(value, others)?),
        (Function::Ne, [left, right]) => Value::Bool(!equals(left, right)?),
        (Function::Lt, [left, right]) => Value::Bool(compare(left, right)? == Ordering::Less),
        (Function::Le, [left, right]) => Value::Bool(compare(left, right)? != Ordering::Greater),
        (Function::Gt, [left, right]) => Value::Bool(compare(left, right)? == Ordering::Greater),
        (Function::Ge, [left, right]) => Value::Bool(compare(left, right)? != Ordering::Less),
        _ => return Err(format!("wrong number of arguments for {}", function.name())),
    };
    Ok(Answer::Value(value))
}

/// All arguments of an escaping function as one text; a missing value alone is nothing.
fn joined<'v>(arguments: &[&'v Value]) -> Cow<'v, str> {
    match arguments {
        [value] => print::text(value),
        _ => Cow::Owned(print::print(arguments)),
    }
}

/// Text for a function that takes text; a missing value is empty text.
fn string(function: Function, value: &Value) -> Result<&str, String> {
    match value {
        Value::Text(text) | Value::Html(text) => Ok(text),
        Value::Nil => Ok(""),
        other => Err(format!("{} takes a string, not {}", function.name(), other.kind())),
    }
}

/// Every character in its other case, where that is one character too.
fn each<C: ExactSizeIterator<Item = char>>(text: &str, other_case: fn(char) -> C) -> String {
    text.chars()
        .map(|c| {
            let mut other = other_case(c);
            if other.len() == 1 { other.next().unwrap_or(c) } else { c }
        })
        .collect()
}

fn length(value: &Value) -> Result<i64, String> {
    let length = match value {
        Value::Text(text) | Value::Html(text) => text.len(),
        Value::List(items) => items.len(),
        Value::Map(entries) => entries.len(),
        Value::Nil => 0,
        Value::Int(_) | Value::Bool(_) => return Err(format!("{} has no length", value.kind())),
    };
    i64::try_from(length).map_err(|_| "too long".to_owned())
}

/// `index`: a missing entry of a map is nothing, a position outside of a list is an error.
fn index(container: &Value, keys: &[&Value]) -> Result<Answer, String> {
    let mut path = Vec::with_capacity(keys.len());
    let mut current = Some(container);
    for key in keys {
        let step = match (current, key) {
            (None | Some(Value::Nil), _) => return Ok(Answer::Value(Value::Nil)),
            (Some(Value::List(items)), Value::Int(position)) => Key::Index(in_range(*position, items.len())?),
            (Some(Value::Text(text) | Value::Html(text)), Value::Int(position)) => {
                let position = in_range(*position, text.len())?;
                let byte = text.as_bytes().get(position).copied().unwrap_or_default();
                return Ok(Answer::Value(Value::Int(i64::from(byte))));
            }
            (Some(Value::Map(_)), key) => match key.as_text() {
                Some(name) => Key::Name(name.to_owned()),
                None => return Err(format!("a map has no index of kind {}", key.kind())),
            },
            (Some(other), key) => return Err(format!("cannot index {} with {}", other.kind(), key.kind())),
        };
        path.push(step);
        current = follow(container, &path);
    }
    Ok(Answer::Inside(path))
}

fn in_range(position: i64, length: usize) -> Result<usize, String> {
    usize::try_from(position)
        .ok()
        .filter(|position| *position < length)
        .ok_or_else(|| format!("index {position} is out of range"))
}

fn slice(value: &Value, bounds: &[&Value]) -> Result<Value, String> {
    let length = match value {
        Value::Text(_) | Value::Html(_) if bounds.len() > 2 => {
            return Err("text has two slice bounds".to_owned());
        }
        Value::Text(text) | Value::Html(text) => text.len(),
        Value::List(items) => items.len(),
        other => return Err(format!("cannot slice {}", other.kind())),
    };
    let bound = |at: usize, default: usize| match bounds.get(at) {
        None => Ok(default),
        Some(Value::Int(position)) => usize::try_from(*position)
            .ok()
            .filter(|position| *position <= length)
            .ok_or_else(|| format!("slice bound {position} is out of range")),
        Some(other) => Err(format!("cannot slice with {}", other.kind())),
    };
    let (start, end) = (bound(0, 0)?, bound(1, length)?);
    bound(2, length)?;
    let part = match value {
        Value::Text(text) | Value::Html(text) => {
            text.get(start..end).map(|text| Value::Text(text.to_owned()))
        }
        Value::List(items) => items.get(start..end).map(|items| Value::List(items.to_vec())),
        _ => None,
    };
    part.ok_or_else(|| format!("slice {start}:{end} is out of range or cuts a character"))
}

fn equals_any(value: &Value, others: &[&Value]) -> Result<bool, String> {
    for other in others {
        if equals(value, other)? {
            return Ok(true);
        }
    }
    Ok(false)
}

/// A missing value equals a missing value only. Values of different kinds are a mistake of the author.
fn equals(left: &Value, right: &Value) -> Result<bool, String> {
    match (left, right) {
        (Value::Nil, other) | (other, Value::Nil) => Ok(*other == Value::Nil),
        (Value::Text(_) | Value::Html(_), Value::Text(_) | Value::Html(_)) => {
            Ok(left.as_text() == right.as_text())
        }
        (Value::Int(left), Value::Int(right)) => Ok(left == right),
        (Value::Bool(left), Value::Bool(right)) => Ok(left == right),
        _ => Err(format!("cannot compare {} with {}", left.kind(), right.kind())),
    }
}

fn compare(left: &Value, right: &Value) -> Result<Ordering, String> {
    match (left, right) {
        (Value::Int(left), Value::Int(right)) => Ok(left.cmp(right)),
        (Value::Text(left) | Value::Html(left), Value::Text(right) | Value::Html(right)) => {
            Ok(left.cmp(right))
        }
        _ => Err(format!("cannot order {} and {}", left.kind(), right.kind())),
    }
}
