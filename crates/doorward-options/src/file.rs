//! The TOML file: which key stands on which line. Keys are matched without regard to case; a key that is no option
//! is a problem, never ignored. Messages show keys and lines, no values.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use toml::de::{DeTable, DeValue};

use crate::defs::{self, OPTIONS};
use crate::problem::{OptionError, quoted};
use crate::source::Source;

/// A value and its line, counted from 1.
pub(crate) struct Entry<'a> {
    pub(crate) line: usize,
    pub(crate) value: DeValue<'a>,
}

/// The values of the file by key in lower case. All keys are keys of options.
#[derive(Default)]
pub(crate) struct File<'a> {
    path: PathBuf,
    entries: BTreeMap<String, Entry<'a>>,
}

impl<'a> File<'a> {
    /// The value under `key`.
    pub(crate) fn entry(&self, key: &str) -> Option<&Entry<'a>> {
        self.entries.get(key)
    }

    /// A line of this file as a source.
    pub(crate) fn source(&self, line: usize) -> Source {
        Source::File { path: self.path.clone(), line, column: None }
    }
}

/// Reads `text`, the content of `path`. Problems are added to `errors`; the result holds what is right.
pub(crate) fn parse<'a>(path: &Path, text: &'a str, errors: &mut Vec<OptionError>) -> File<'a> {
    let mut file = File { path: path.to_owned(), entries: BTreeMap::new() };
    let table = match DeTable::parse(text) {
        Ok(table) => table.into_inner(),
        Err(error) => {
            let start = error.span().map_or(0, |span| span.start);
            errors.push(OptionError {
                option: "config".to_owned(),
                source: file.source(line_at(text, start)),
                // Only the bare message: the error as a whole would quote the line, which may hold a secret.
                message: format!("the file named by --config is not valid TOML: {}", error.message()),
                mend: "correct the file".to_owned(),
            });
            return file;
        }
    };
    let mut pairs: Vec<_> = table.into_iter().collect();
    // Problems are told in the order of the lines.
    pairs.sort_by_key(|(key, _)| key.span().start);
    for (key, value) in pairs {
        let line = line_at(text, key.span().start);
        let lower = key.get_ref().to_ascii_lowercase();
        if !is_key(&lower) {
            errors.push(unknown_key(key.get_ref(), file.source(line)));
            continue;
        }
        let earlier = file.entries.insert(lower, Entry { line, value: value.into_inner() });
        if let Some(earlier) = earlier {
            errors.push(OptionError {
                option: key.get_ref().to_string(),
                source: file.source(line),
                message: format!("the key stands in the file twice, first in line {}", earlier.line),
                mend: "remove one of the two".to_owned(),
            });
        }
    }
    file
}

fn is_key(name: &str) -> bool {
    OPTIONS
        .iter()
        .any(|def| def.key == Some(name) || def.former.as_ref().is_some_and(|former| former.key == name))
}

fn unknown_key(key: &str, source: Source) -> OptionError {
    let (message, mend) = match defs::resembling(key).map(|def| (def.flag, def.key)) {
        Some((flag, None)) => (
            "the file must not hold this option".to_owned(),
            format!("give it on the command line as --{flag}"),
        ),
        Some((_, Some(meant))) => ("there is no such key".to_owned(), format!("write {meant}")),
        None => {
            ("there is no such key".to_owned(), "remove it, or correct it with the help of --help".to_owned())
        }
    };
    OptionError { option: shown_key(key), source, message, mend }
}

/// A key as it stands, or quoted if it could disturb the line.
fn shown_key(key: &str) -> String {
    let plain = key.len() <= 100 && key.chars().all(|c| c.is_alphanumeric() || "_-.".contains(c));
    if plain { key.to_owned() } else { quoted(key) }
}

fn line_at(text: &str, offset: usize) -> usize {
    text.bytes().take(offset).filter(|byte| *byte == b'\n').count() + 1
}
