//! The JSON Schema of doorward.yaml (draft 2020-12), for editors. It is made of the same records that read the file.

use std::time::Duration;

use doorward_core::SecretString;
use serde_json::{Map, Value, json};

use super::native::{self, place_of};
use super::own::{Own, gateway::Expression};
use super::read::Named;
use crate::defs::{Kind, OPTIONS, OptionDef};

/// A field whose values can be described.
pub(super) trait Described {
    fn schema() -> Value;
}

/// The schema of doorward.yaml.
pub fn schema() -> String {
    let mut whole = Own::schema();
    if let Value::Object(whole) = &mut whole {
        whole.insert("$schema".to_owned(), json!("https://json-schema.org/draft/2020-12/schema"));
        whole.insert("$defs".to_owned(), json!({"expression": Expression::definition()}));
        whole.insert("title".to_owned(), json!("doorward.yaml"));
    }
    format!("{whole:#}\n")
}

/// The schema of a record's field; `_` tells which it is.
pub(super) fn of_field<R, T: Described>(_: impl Fn(&R) -> &T) -> Value {
    T::schema()
}

/// A record with these fields and no others.
pub(super) fn record(fields: impl IntoIterator<Item = (&'static str, Value)>) -> Value {
    let properties: Map<_, _> = fields.into_iter().map(|(key, schema)| (key.to_owned(), schema)).collect();
    json!({"type": ["object", "null"], "properties": properties, "additionalProperties": false})
}

/// The options of a section of this name.
pub(super) fn section(name: &str) -> Vec<(&'static str, Value)> {
    OPTIONS
        .iter()
        .filter_map(|def| {
            place_of(def).filter(|(section, _)| *section == name).map(|(_, key)| (key, option(def)))
        })
        .collect()
}

/// The sections that hold nothing but options.
pub(super) fn plain_sections() -> Vec<(&'static str, Value)> {
    native::plain_sections().map(|name| (name, record(section(name)))).collect()
}

fn option(def: &OptionDef) -> Value {
    let kind = match def.kind {
        Kind::Bool | Kind::BoolWord => json!(["boolean", "null"]),
        Kind::Int => json!(["integer", "null"]),
        Kind::Duration | Kind::Interval | Kind::Text | Kind::Secret => json!(["string", "null"]),
        Kind::List | Kind::SecretList => json!(["array", "string", "null"]),
    };
    let mut schema = json!({"type": kind, "description": def.help});
    if let Value::Object(schema) = &mut schema {
        if matches!(def.kind, Kind::List | Kind::SecretList) {
            schema.insert("items".to_owned(), json!({"type": "string"}));
        }
        if def.deprecated.is_some() {
            schema.insert("deprecated".to_owned(), json!(true));
        }
    }
    schema
}

impl Described for bool {
    fn schema() -> Value {
        json!({"type": ["boolean", "null"]})
    }
}

impl Described for i64 {
    fn schema() -> Value {
        json!({"type": ["integer", "null"]})
    }
}

impl Described for String {
    fn schema() -> Value {
        json!({"type": ["string", "null"]})
    }
}

impl Described for SecretString {
    fn schema() -> Value {
        String::schema()
    }
}

impl Described for Duration {
    fn schema() -> Value {
        json!({"type": ["string", "number", "null"], "description": "A duration such as 90s or 1h30m."})
    }
}

impl<T: Described> Described for Box<T> {
    fn schema() -> Value {
        T::schema()
    }
}

impl<T: Described> Described for Option<T> {
    fn schema() -> Value {
        T::schema()
    }
}

impl<T: Described> Described for Vec<T> {
    fn schema() -> Value {
        json!({"type": ["array", "null"], "items": T::schema()})
    }
}

impl<T: Described> Described for Named<T> {
    fn schema() -> Value {
        json!({"type": ["object", "null"], "additionalProperties": T::schema()})
    }
}
