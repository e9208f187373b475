//! From the tree of a YAML file to records. Keys are matched without regard to case; an unknown key or a value of
//! another type is a problem with its place, never ignored. Messages show keys and lines, no values.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::time::Duration;

use doorward_core::SecretString;

use super::environment::Substituted;
use crate::duration::parse_duration;
use crate::problem::{OptionError, quoted};
use crate::source::{Places, Source};
use crate::yaml::{self, Data, Entry, Node, Position};

/// A file to be read.
pub(super) struct Document<'a> {
    pub(super) path: &'a Path,
    /// The option that names it.
    pub(super) option: &'static str,
    /// What stands in it.
    pub(super) text: Substituted,
}

/// Reads a file; the result holds what is right.
pub(super) fn read<T: Readable + Default>(
    Document { path, option, text: Substituted { text, unset } }: Document<'_>,
    errors: &mut Vec<OptionError>,
) -> (T, Places) {
    let mut whole = T::default();
    let mut reader =
        Reader { file: path.to_owned(), here: String::new(), known: BTreeMap::new(), unset, errors };
    match yaml::parse(&text) {
        Ok(document) => whole.read(&document, &mut reader),
        Err(malformed) => {
            let message = format!("the file is not valid YAML: {}", malformed.message);
            reader.complain(option, malformed.at, message, "correct the file");
        }
    }
    (whole, Places { file: path.to_owned(), known: reader.known, unset: reader.unset })
}

/// Fields that say who may come in.
const RESTRICTIONS: [&str; 32] = [
    "acr",
    "algorithms",
    "all",
    "allowedGroups",
    "allowedNames",
    "allowedTenants",
    "any",
    "audiences",
    "authenticate",
    "authenticator",
    "authorize",
    "clientCommonNames",
    "clients",
    "group",
    "groups",
    "hosts",
    "match",
    "maxScopes",
    "methods",
    "literals",
    "org",
    "paths",
    "projects",
    "repo",
    "repository",
    "requiredClaims",
    "roles",
    "scopeRestrictions",
    "stepUp",
    "team",
    "typ",
    "users",
];

/// A field that can be read. What is not in the file keeps the value it has.
pub(super) trait Readable {
    fn read(&mut self, node: &Node, reader: &mut Reader<'_>);
}

/// The file being read, and where in it we are.
pub(super) struct Reader<'a> {
    file: PathBuf,
    /// For instance `providers[0].oidcConfig`.
    here: String,
    known: BTreeMap<String, Position>,
    /// Variables that are not set, by line.
    unset: Vec<(usize, String)>,
    errors: &'a mut Vec<OptionError>,
}

impl Reader<'_> {
    /// Complains of what stands at `node`.
    pub(super) fn refuse(&mut self, node: &Node, message: &str, mend: &str) {
        self.complain(&self.here.clone(), node.at, message.to_owned(), mend);
    }

    fn complain(&mut self, place: &str, at: Position, message: String, mend: &str) {
        let Position { line, column } = at;
        let source = Source::File { path: self.file.clone(), line, column: Some(column) };
        self.errors.push(OptionError { option: place.to_owned(), source, message, mend: mend.to_owned() });
    }

    /// The place where we are, for instance `providers[0].oidcConfig`.
    pub(super) fn here(&self) -> &str {
        &self.here
    }

    pub(super) fn complain_here(&mut self, at: Position, message: &str, mend: &str) {
        self.complain(&self.here.clone(), at, message.to_owned(), mend);
    }

    /// Complains of a key that no field has.
    pub(super) fn refuse_key(&mut self, key: &str, at: Position, mend: &str) {
        let separator = if self.here.is_empty() { "" } else { "." };
        let shown = if key.len() <= 100 && key.chars().all(|c| c.is_alphanumeric() || "_-.".contains(c)) {
            key.to_owned()
        } else {
            quoted(key)
        };
        let place = format!("{}{separator}{shown}", self.here);
        self.complain(&place, at, "there is no such key".to_owned(), mend);
    }

    pub(super) fn wrong_type(&mut self, node: &Node, mend: &str) {
        let found = match node.data {
            Data::Null => "nothing",
            Data::Bool(_) => "true or false",
            Data::Int(_) => "a whole number",
            Data::Float(_) => "a number",
            Data::Text(_) => "a text",
            Data::List(_) => "a list",
            Data::Mapping(_) => "a mapping",
        };
        self.complain(&self.here.clone(), node.at, format!("{found} is not accepted here"), mend);
    }

    /// Complains of a restriction of which nothing is left because a variable is not set.
    pub(super) fn refuse_lost(&mut self, node: &Node) {
        let is_empty = match &node.data {
            Data::Null => true,
            Data::List(items) => items.is_empty(),
            Data::Text(_) | Data::Bool(_) | Data::Int(_) | Data::Float(_) | Data::Mapping(_) => false,
        };
        let unset = self.unset.iter().find(|(line, _)| is_empty && *line == node.at.line);
        if let Some((_, name)) = unset.cloned() {
            let message = format!("nothing is left here, because the variable {name} is not set");
            self.complain(
                &self.here.clone(),
                node.at,
                message,
                "set it, or write ${NAME:-} with what is to stand here",
            );
        }
    }

    /// Does something one step further down.
    pub(super) fn below(&mut self, step: &str, at: Position, act: impl FnOnce(&mut Self)) {
        let length = self.here.len();
        self.here.push_str(step);
        self.known.insert(self.here.clone(), at);
        act(self);
        self.here.truncate(length);
    }

    /// The entries of a mapping; none, with a complaint, if it is none.
    pub(super) fn mapping<'n>(&mut self, node: &'n Node) -> Option<Mapping<'n>> {
        match &node.data {
            Data::Mapping(entries) => Some(Mapping { entries: entries.iter().collect(), known: Vec::new() }),
            Data::Null => None,
            _ => {
                self.wrong_type(node, "write keys with values below this one");
                None
            }
        }
    }
}

/// Entries of a mapping whose keys are names that somebody chose, in the order of the file.
#[derive(Debug, Clone, PartialEq)]
pub struct Named<T>(Vec<(String, T)>);

impl<T> Default for Named<T> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<T> Named<T> {
    /// Each name with what stands there.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &T)> {
        self.0.iter().map(|(name, value)| (name.as_str(), value))
    }
}

impl<T: Readable + Default> Readable for Named<T> {
    fn read(&mut self, node: &Node, reader: &mut Reader<'_>) {
        let Some(Mapping { entries, .. }) = reader.mapping(node) else { return };
        for Entry { key, at, value } in entries {
            reader.below(&format!(".{key}"), *at, |reader| {
                let mut read = T::default();
                read.read(value, reader);
                self.0.push((key.clone(), read));
            });
        }
    }
}

/// The value of a key; what begins on another line than the key (below it, or at an anchor) is found by the key.
fn nearest(key: Position, value: Position) -> Position {
    if key.line == value.line { value } else { key }
}

/// The entries of a mapping that no field has taken yet.
pub(super) struct Mapping<'n> {
    entries: Vec<&'n Entry>,
    known: Vec<&'static str>,
}

impl<'n> Mapping<'n> {
    /// What no field has taken, and the keys of the fields.
    pub(super) fn into_rest(self) -> (Vec<&'n Entry>, Vec<&'static str>) {
        (self.entries, self.known)
    }

    /// Reads the field under `key`.
    pub(super) fn field(&mut self, key: &'static str, field: &mut impl Readable, reader: &mut Reader<'_>) {
        self.known.push(key);
        let separator = if reader.here.is_empty() { "" } else { "." };
        let (mine, others): (Vec<_>, Vec<_>) =
            self.entries.iter().partition(|entry| entry.key.eq_ignore_ascii_case(key));
        self.entries = others;
        for (index, Entry { at, value, .. }) in mine.into_iter().enumerate() {
            reader.below(&format!("{separator}{key}"), nearest(*at, value.at), |reader| {
                if index > 0 {
                    let message = "the key stands here twice".to_owned();
                    reader.complain(&reader.here.clone(), *at, message, "remove one of the two");
                }
                if RESTRICTIONS.contains(&key) {
                    reader.refuse_lost(value);
                }
                // A key without a value says nothing.
                if !matches!(value.data, Data::Null) {
                    field.read(value, reader);
                }
            });
        }
    }

    /// Complains of entries that no field took.
    pub(super) fn finish(self, reader: &mut Reader<'_>) {
        let mend = format!("write one of {}, or remove it", self.known.join(", "));
        for Entry { key, at, .. } in self.entries {
            reader.refuse_key(key, *at, &mend);
        }
    }
}

impl Readable for bool {
    fn read(&mut self, node: &Node, reader: &mut Reader<'_>) {
        match node.data {
            Data::Bool(value) => *self = value,
            _ => reader.wrong_type(node, "write true or false, without quotes"),
        }
    }
}

impl Readable for i64 {
    fn read(&mut self, node: &Node, reader: &mut Reader<'_>) {
        match node.data {
            Data::Int(value) => *self = value,
            _ => reader.wrong_type(node, "write a whole number, without quotes"),
        }
    }
}

impl Readable for String {
    fn read(&mut self, node: &Node, reader: &mut Reader<'_>) {
        match &node.data {
            Data::Text(text) => text.clone_into(self),
            _ => reader.wrong_type(node, "write a text; one that looks like something else needs quotes"),
        }
    }
}

impl Readable for SecretString {
    fn read(&mut self, node: &Node, reader: &mut Reader<'_>) {
        let mut text = String::new();
        text.read(node, reader);
        *self = text.into();
    }
}

impl Readable for Duration {
    /// Text in Go syntax, or a number of seconds with a decimal point. A negative one means none, as zero does.
    fn read(&mut self, node: &Node, reader: &mut Reader<'_>) {
        const MEND: &str = "write numbers with units, such as 90s or 1h30m; only 0 needs no unit";
        match &node.data {
            Data::Text(text) => match parse_duration(text) {
                Ok(nanoseconds) => *self = Self::from_nanos(u64::try_from(nanoseconds).unwrap_or(0)),
                Err(why) => {
                    let message = format!("{} {why}", quoted(text));
                    reader.complain(&reader.here.clone(), node.at, message, MEND);
                }
            },
            Data::Float(seconds) => *self = Self::try_from_secs_f64(seconds.max(0.0)).unwrap_or(Self::MAX),
            Data::Int(0) => *self = Self::ZERO,
            // oauth2-proxy takes a bare number for nanoseconds, which nobody means.
            Data::Int(number) => {
                let message = format!("{number} is a duration without a unit");
                reader.complain(&reader.here.clone(), node.at, message, MEND);
            }
            _ => reader.wrong_type(node, MEND),
        }
    }
}

impl<T: Readable + Default> Readable for Option<T> {
    fn read(&mut self, node: &Node, reader: &mut Reader<'_>) {
        self.get_or_insert_default().read(node, reader);
    }
}

impl<T: Readable> Readable for Box<T> {
    fn read(&mut self, node: &Node, reader: &mut Reader<'_>) {
        T::read(self, node, reader);
    }
}

impl<T: Readable + Default> Readable for Vec<T> {
    fn read(&mut self, node: &Node, reader: &mut Reader<'_>) {
        let Data::List(items) = &node.data else {
            return reader.wrong_type(node, "write a list, each item after a dash");
        };
        self.clear();
        for (index, item) in items.iter().enumerate() {
            let item: &Rc<Node> = item;
            let mut value = T::default();
            reader.below(&format!("[{index}]"), item.at, |reader| value.read(item, reader));
            self.push(value);
        }
    }
}
