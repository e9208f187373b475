//! YAML that others read as JSON, such as the data of policies.

use serde_json::{Map, Value};

use crate::yaml::{Data, Node, parse};

/// Aliases share what they name, and their copies do not: a short file could name a lot.
const MOST_VALUES: usize = 1_000_000;

/// The document in `text`. Says on which line it is wrong.
pub fn yaml_to_json(text: &str) -> Result<Value, String> {
    let wrong = |line, message: &str| format!("line {line}: {message}");
    let document = parse(text).map_err(|malformed| wrong(malformed.at.line, &malformed.message))?;
    let mut left = MOST_VALUES;
    value(&document, &mut left).map_err(|(line, message)| wrong(line, message))
}

fn value(node: &Node, left: &mut usize) -> Result<Value, (usize, &'static str)> {
    *left = left.checked_sub(1).ok_or((node.at.line, "aliases make too much of the file"))?;
    Ok(match &node.data {
        Data::Null => Value::Null,
        Data::Bool(value) => (*value).into(),
        Data::Int(value) => (*value).into(),
        Data::Float(value) => {
            let number = serde_json::Number::from_f64(*value);
            number.ok_or((node.at.line, "JSON has no such number"))?.into()
        }
        Data::Text(text) => text.clone().into(),
        Data::List(items) => {
            items.iter().map(|item| value(item, left)).collect::<Result<Vec<_>, _>>()?.into()
        }
        Data::Mapping(entries) => {
            let entry = |entry: &crate::yaml::Entry| Ok((entry.key.clone(), value(&entry.value, left)?));
            entries.iter().map(entry).collect::<Result<Map<_, _>, _>>()?.into()
        }
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn yaml_is_read_as_json() {
        let text = "a: [1, 2.5, x, null, true]\nb: &b {c: 'no'}\nd: *b\n";
        let expected = json!({"a": [1, 2.5, "x", null, true], "b": {"c": "no"}, "d": {"c": "no"}});
        assert_eq!(yaml_to_json(text), Ok(expected));
        assert!(yaml_to_json("a: [").unwrap_err().starts_with("line "));
    }

    #[test]
    fn aliases_do_not_grow_without_end() {
        let mut text = "a0: &a0 [1, 1, 1, 1, 1, 1, 1, 1, 1, 1]\n".to_owned();
        for i in 1..10 {
            let ten = vec![format!("*a{}", i - 1); 10].join(", ");
            text += &["a", &i.to_string(), ": &a", &i.to_string(), " [", &ten, "]\n"].concat();
        }
        assert!(yaml_to_json(&text).unwrap_err().contains("aliases"));
    }
}
