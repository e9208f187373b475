//! Where a value was written, kept beside the values so that every later complaint can name the place.

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;

use crate::defs;

/// Where the value of an option was written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Source {
    /// Nowhere.
    Default,
    /// On the command line, as this flag (without dashes).
    Flag(&'static str),
    /// In this environment variable.
    Environment(&'static str),
    /// In the configuration file.
    File {
        /// The file.
        path: PathBuf,
        /// Line number, counted from 1.
        line: usize,
    },
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Default => f.write_str("default"),
            Self::Flag(name) => write!(f, "flag --{name}"),
            Self::Environment(name) => write!(f, "environment variable {name}"),
            Self::File { path, line } => write!(f, "{} line {line}", path.display()),
        }
    }
}

/// The source of every option, and what should be said about sources although nothing is wrong.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Sources {
    set: BTreeMap<&'static str, Source>,
    warnings: Vec<String>,
}

impl Sources {
    /// Where the value of `option` was written. `option` is its flag (with or without dashes) or its TOML key;
    /// a name that does not exist was written nowhere.
    pub fn of(&self, option: &str) -> &Source {
        defs::find(option).and_then(|def| self.set.get(def.flag)).unwrap_or(&Source::Default)
    }

    /// Whether somebody wrote a value for `option`, be it the default. Names as for [`Sources::of`].
    pub fn is_set(&self, option: &str) -> bool {
        *self.of(option) != Source::Default
    }

    /// Sentences for the log at start: deprecated names in use, variables with a misspelt name.
    pub fn warnings(&self) -> &[String] {
        &self.warnings
    }

    pub(crate) fn note(&mut self, flag: &'static str, source: Source) {
        self.set.insert(flag, source);
    }

    pub(crate) fn warn(&mut self, sentence: String) {
        self.warnings.push(sentence);
    }
}
