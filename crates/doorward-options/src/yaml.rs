//! A YAML file as a tree that knows its lines and columns. Reading is the business of `saphyr-parser`; this only keeps what it
//! reports. Aliases share the node they name, so that a file cannot grow in memory, and depth is limited.

use std::collections::BTreeMap;
use std::rc::Rc;

use saphyr_parser::{Event, Marker, Parser, ScalarStyle, Span, Tag};

/// Nobody nests deeper; a deeper file is a mistake or an attack.
const DEEPEST: usize = 64;

/// Where something begins, both counted from 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Position {
    pub(crate) line: usize,
    pub(crate) column: usize,
}

impl Position {
    /// Where a file begins.
    pub(crate) const START: Self = Self { line: 1, column: 1 };

    /// The parser counts columns from 0, and knows no place in an empty file.
    fn of(marker: Marker) -> Self {
        Self { line: marker.line().max(1), column: marker.col() + 1 }
    }
}

/// A node and where it begins.
#[derive(Debug)]
pub(crate) struct Node {
    pub(crate) at: Position,
    pub(crate) data: Data,
}

/// The content of a node, by the core schema of YAML 1.2.
#[derive(Debug)]
pub(crate) enum Data {
    Null,
    Bool(bool),
    Int(i64),
    Float(f64),
    Text(String),
    List(Vec<Rc<Node>>),
    Mapping(Vec<Entry>),
}

/// A key with its value.
#[derive(Debug, Clone)]
pub(crate) struct Entry {
    pub(crate) key: String,
    pub(crate) at: Position,
    pub(crate) value: Rc<Node>,
}

/// What is wrong with a file, and where. The message quotes nothing: the file may hold secrets.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Malformed {
    pub(crate) at: Position,
    pub(crate) message: String,
}

/// The document in `text`; an empty file is `Null`.
pub(crate) fn parse(text: &str) -> Result<Rc<Node>, Malformed> {
    let mut builder = Builder::default();
    for event in Parser::new_from_str(text) {
        let (event, span) = event.map_err(|error| Malformed {
            at: Position::of(*error.marker()),
            message: error.info().to_owned(),
        })?;
        builder.take(event, span)?;
    }
    Ok(builder.document.unwrap_or_else(|| Rc::new(Node { at: Position::START, data: Data::Null })))
}

#[derive(Default)]
struct Builder {
    document: Option<Rc<Node>>,
    open: Vec<Open>,
    anchors: BTreeMap<usize, Rc<Node>>,
}

/// A list or mapping whose end has not come yet.
struct Open {
    anchor: usize,
    at: Position,
    content: Content,
}

enum Content {
    List(Vec<Rc<Node>>),
    Mapping { entries: Vec<Entry>, key: Option<(String, Position)> },
}

impl Builder {
    fn take(&mut self, event: Event<'_>, span: Span) -> Result<(), Malformed> {
        let at = Position::of(span.start);
        let wrong = |message: &str| Malformed { at, message: message.to_owned() };
        match event {
            Event::Scalar(text, style, anchor, tag) => {
                let data = scalar(&text, style, tag.as_deref()).map_err(wrong)?;
                self.put(Node { at, data }, anchor)
            }
            Event::Alias(anchor) => {
                let node = self.anchors.get(&anchor).ok_or_else(|| wrong("an alias names what holds it"))?;
                self.insert(Rc::clone(node), at)
            }
            Event::SequenceStart(anchor, _) => self.open(anchor, at, Content::List(Vec::new())),
            Event::MappingStart(anchor, _) => {
                self.open(anchor, at, Content::Mapping { entries: Vec::new(), key: None })
            }
            Event::SequenceEnd | Event::MappingEnd => match self.open.pop() {
                Some(Open { anchor, at, content: Content::List(items) }) => {
                    self.put(Node { at, data: Data::List(items) }, anchor)
                }
                Some(Open { anchor, at, content: Content::Mapping { entries, .. } }) => {
                    let entries = merged(entries)?;
                    self.put(Node { at, data: Data::Mapping(entries) }, anchor)
                }
                None => Err(wrong("something ends that did not begin")),
            },
            Event::Nothing
            | Event::StreamStart
            | Event::StreamEnd
            | Event::DocumentStart(_)
            | Event::DocumentEnd => Ok(()),
        }
    }

    fn open(&mut self, anchor: usize, at: Position, content: Content) -> Result<(), Malformed> {
        if self.open.len() >= DEEPEST {
            return Err(Malformed { at, message: format!("the nesting is deeper than {DEEPEST}") });
        }
        self.open.push(Open { anchor, at, content });
        Ok(())
    }

    fn put(&mut self, node: Node, anchor: usize) -> Result<(), Malformed> {
        let at = node.at;
        let node = Rc::new(node);
        // Anchors are numbered from 1; 0 is none.
        if anchor > 0 {
            self.anchors.insert(anchor, Rc::clone(&node));
        }
        self.insert(node, at)
    }

    fn insert(&mut self, node: Rc<Node>, at: Position) -> Result<(), Malformed> {
        let wrong = |message: String| Err(Malformed { at, message });
        match self.open.last_mut().map(|open| &mut open.content) {
            None if self.document.is_none() => self.document = Some(node),
            None if matches!(node.data, Data::Null) => {}
            None => return wrong("the file holds more than one document".to_owned()),
            Some(Content::List(items)) => items.push(node),
            Some(Content::Mapping { entries, key }) => {
                if let Some((key, at)) = key.take() {
                    entries.push(Entry { key, at, value: node });
                    return Ok(());
                }
                let Some(name) = key_text(&node.data) else {
                    return wrong("a key is neither a word nor a number".to_owned());
                };
                if let Some(earlier) = entries.iter().find(|entry| entry.key == name && name != MERGE) {
                    return wrong(format!("a key stands twice, first in line {}", earlier.at.line));
                }
                *key = Some((name, at));
            }
        }
        Ok(())
    }
}

fn key_text(data: &Data) -> Option<String> {
    match data {
        Data::Text(text) => Some(text.clone()),
        Data::Int(number) => Some(number.to_string()),
        Data::Bool(value) => Some(value.to_string()),
        Data::Null | Data::Float(_) | Data::List(_) | Data::Mapping(_) => None,
    }
}

/// The key under which a mapping takes over entries of others (YAML 1.1 merge key).
const MERGE: &str = "<<";

/// Entries with those that are merged in; what the mapping says itself comes first and wins.
fn merged(entries: Vec<Entry>) -> Result<Vec<Entry>, Malformed> {
    let (merges, mut own): (Vec<_>, Vec<_>) = entries.into_iter().partition(|entry| entry.key == MERGE);
    for Entry { at, value, .. } in &merges {
        let sources = match &value.data {
            Data::List(items) => items.as_slice(),
            _ => std::slice::from_ref(value),
        };
        for source in sources {
            let Data::Mapping(others) = &source.data else {
                return Err(Malformed { at: *at, message: "only a mapping can be merged in".to_owned() });
            };
            for other in others {
                if !own.iter().any(|entry| entry.key == other.key) {
                    own.push(other.clone());
                }
            }
        }
    }
    Ok(own)
}

fn scalar(text: &str, style: ScalarStyle, tag: Option<&Tag>) -> Result<Data, &'static str> {
    let core = tag.filter(|tag| tag.is_yaml_core_schema()).map(|tag| tag.suffix.as_str());
    match (tag, core) {
        (None, _) if style == ScalarStyle::Plain => Ok(plain(text)),
        (None, _) | (Some(_), Some("str")) => Ok(Data::Text(text.to_owned())),
        (Some(_), Some("int" | "float" | "bool" | "null")) => Ok(plain(text)),
        (Some(_), _) => Err("this tag has no meaning here"),
    }
}

fn plain(text: &str) -> Data {
    match text {
        "" | "~" | "null" | "Null" | "NULL" => Data::Null,
        "true" | "True" | "TRUE" => Data::Bool(true),
        "false" | "False" | "FALSE" => Data::Bool(false),
        _ => number(text).unwrap_or_else(|| Data::Text(text.to_owned())),
    }
}

fn number(text: &str) -> Option<Data> {
    let (radix, digits) = match text.get(..2) {
        Some("0x") => (16, text.get(2..)?),
        Some("0o") => (8, text.get(2..)?),
        _ => (10, text),
    };
    if let Ok(number) = i64::from_str_radix(digits, radix) {
        return Some(Data::Int(number));
    }
    // `f64` would also read `inf` and `nan`, which are words here.
    let numeric = text.starts_with(|first: char| first.is_ascii_digit() || "+-.".contains(first))
        && text.bytes().all(|byte| byte.is_ascii_digit() || b"+-.eE".contains(&byte));
    text.parse().ok().filter(|_| numeric).map(Data::Float)
}

#[cfg(test)]
mod tests {
    use std::fmt::Write as _;

    use super::*;

    fn shown(node: &Node) -> String {
        match &node.data {
            Data::Null => "null".to_owned(),
            Data::Bool(value) => value.to_string(),
            Data::Int(value) => value.to_string(),
            Data::Float(value) => format!("{value:?}"),
            Data::Text(text) => format!("{text:?}"),
            Data::List(items) => {
                format!("[{}]", items.iter().map(|item| shown(item)).collect::<Vec<_>>().join(" "))
            }
            Data::Mapping(entries) => {
                let entries = entries
                    .iter()
                    .map(|entry| format!("{}@{}:{}", entry.key, entry.at.line, shown(&entry.value)));
                format!("{{{}}}", entries.collect::<Vec<_>>().join(" "))
            }
        }
    }

    #[track_caller]
    fn check(text: &str, expected: &str) {
        assert_eq!(shown(&parse(text).unwrap()), expected);
    }

    #[test]
    fn values_have_types_and_keys_have_lines() {
        check("", "null");
        check("---\n...\n", "null");
        check(
            "a: 1\nb: [x, 'y', \"1\", true, 1.5, ~, yes]\n",
            r#"{a@1:1 b@2:["x" "y" "1" true 1.5 null "yes"]}"#,
        );
        check("a:\n  b: |\n    two\n    lines\n  c:\n", "{a@1:{b@2:\"two\\nlines\\n\" c@5:null}}");
        check(
            "a: 0x10\nb: -3\nc: 0o17\nd: .5\ne: inf\nf: 1e3\ng: 1-2\n",
            r#"{a@1:16 b@2:-3 c@3:15 d@4:0.5 e@5:"inf" f@6:1000.0 g@7:"1-2"}"#,
        );
        check("a: !!str 1\n", r#"{a@1:"1"}"#);
        check("a: &x {b: 1, c: 2}\nd:\n  <<: *x\n  c: 3\n", "{a@1:{b@1:1 c@1:2} d@2:{c@4:3 b@1:1}}");
        check("a: 1\n---\n", "{a@1:1}");
    }

    #[track_caller]
    fn check_refused(text: &str, line: usize, part: &str) {
        let error = parse(text).map(|node| shown(&node)).unwrap_err();
        assert!(error.at.line == line && error.message.contains(part), "{error:?}");
    }

    #[test]
    fn mistakes_are_reported_with_their_line() {
        check_refused("a: 1\nb: 2\na: 3\n", 3, "twice, first in line 1");
        check_refused("a: 1\n---\nb: 2\n", 3, "more than one document");
        check_refused("a: !thing 1\n", 1, "tag");
        check_refused("[a]: 1\n", 1, "key");
        check_refused("a: &x [*x]\n", 1, "alias");
        check_refused("a:\n  <<: 1\n", 2, "merged");
        check_refused(&format!("{}{}", "[".repeat(80), "]".repeat(80)), 1, "deeper");
        check_refused(&"[".repeat(100_000), 1, "limit");
    }

    #[test]
    fn columns_are_those_that_editors_show() {
        let node = parse("a:\n  b: [x, {c: 1}]\n").unwrap();
        let Data::Mapping(entries) = &node.data else { panic!() };
        let Data::Mapping(entries) = &entries[0].value.data else { panic!() };
        assert_eq!(entries[0].at, Position { line: 2, column: 3 });
        let Data::List(items) = &entries[0].value.data else { panic!() };
        assert_eq!(items[0].at, Position { line: 2, column: 7 });
        let Data::Mapping(entries) = &items[1].data else { panic!() };
        assert_eq!((items[1].at.column, entries[0].at.column, entries[0].value.at.column), (10, 11, 14));
    }

    #[test]
    fn aliases_do_not_multiply() {
        let mut text = "a0: &a0 [x, x, x, x, x, x, x, x, x]\n".to_owned();
        for level in 1..40 {
            let alias = vec![format!("*a{}", level - 1); 9].join(", ");
            let _ = writeln!(text, "a{level}: &a{level} [{alias}]");
        }
        assert!(matches!(&parse(&text).unwrap().data, Data::Mapping(entries) if entries.len() == 40));
    }
}
