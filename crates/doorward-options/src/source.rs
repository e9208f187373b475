//! Where a value was written, kept beside the values so that every later complaint can name the place.

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;

use crate::defs::{self, Scope};
use crate::structured;
use crate::yaml::Position;

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
        /// Column, counted from 1, where it is known.
        column: Option<usize>,
    },
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Default => f.write_str("default"),
            Self::Flag(name) => write!(f, "flag --{name}"),
            Self::Environment(name) => write!(f, "environment variable {name}"),
            Self::File { path, line, column: None } => write!(f, "{} line {line}", path.display()),
            Self::File { path, line, column: Some(column) } => {
                write!(f, "{} line {line}, column {column}", path.display())
            }
        }
    }
}

/// The source of every option, and what should be said about sources although nothing is wrong.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Sources {
    set: BTreeMap<&'static str, Source>,
    structured: Option<Places>,
    own: Option<Box<Places>>,
    /// doorward.yaml has the structured form, in words of its own.
    native: bool,
    warnings: Vec<String>,
}

/// Which line of the structured file holds what.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Places {
    pub(crate) file: PathBuf,
    /// Where what stands, by names such as `providers[0].clientID`.
    pub(crate) known: BTreeMap<String, Position>,
    /// Variables that are not set, by line.
    pub(crate) unset: Vec<(usize, String)>,
}

impl Places {
    /// Where `place` is, or what it would stand in.
    fn source(&self, place: &str) -> Source {
        let mut name = place;
        loop {
            let at = self.known.get(name);
            let parent = name.rfind(['.', '[']).and_then(|end| name.get(..end));
            match (at, parent) {
                (Some(at), _) => return self.at(*at),
                (None, Some(parent)) => name = parent,
                (None, None) => return self.at(Position::START),
            }
        }
    }

    pub(crate) fn at(&self, Position { line, column }: Position) -> Source {
        Source::File { path: self.file.clone(), line, column: Some(column) }
    }
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

    /// Under which name users know `option`, and where they wrote it. It is the name of an option, or a place in the
    /// structured file such as `upstreamConfig.upstreams[2].uri`; where there is such a file, an option that moved
    /// into it goes by its place there.
    pub(crate) fn locate(&self, option: &str) -> (String, Source) {
        let top = option.split(['.', '[']).next().unwrap_or_default();
        if structured::own::TOP.contains(&top) {
            let source = self.own.as_ref().map_or(Source::Default, |places| places.source(option));
            return (option.to_owned(), source);
        }
        let def = defs::find(option);
        let is_place = def.is_none_or(|def| def.scope == Scope::Legacy);
        if let Some(places) = self.own.as_ref().filter(|_| is_place && self.native) {
            let place = def.and_then(|def| structured::path_of(def.flag)).unwrap_or(option);
            let place = structured::native::native_place(place);
            let source = places.source(&place);
            return (place, source);
        }
        if let Some(places) = self.structured.as_ref().filter(|_| is_place) {
            let place = def.and_then(|def| structured::path_of(def.flag)).unwrap_or(option);
            return (place.to_owned(), places.source(place));
        }
        (def.map_or(option, |def| def.flag).to_owned(), self.of(option).clone())
    }

    pub(crate) fn note_structured(&mut self, places: Places) {
        self.warn_of_unset(&places);
        self.structured = Some(places);
    }

    /// As [`Sources::note_structured`], for doorward.yaml.
    pub(crate) fn note_own(&mut self, places: Places) {
        self.warn_of_unset(&places);
        self.own = Some(Box::new(places));
    }

    /// doorward.yaml has the structured form.
    pub(crate) fn note_native(&mut self) {
        self.native = true;
    }

    fn warn_of_unset(&mut self, places: &Places) {
        for (line, name) in &places.unset {
            let file = places.file.display();
            self.warnings.push(format!(
                "environment variable {name} is not set: {file} line {line} is read without it"
            ));
        }
    }

    /// The flags of the options that somebody wrote, in alphabetical order: those that the structured file replaces,
    /// and those that stand beside it.
    pub fn written(&self) -> (Vec<&'static str>, Vec<&'static str>) {
        let moves = |flag: &&str| defs::find(flag).is_some_and(|def| def.scope == Scope::Legacy);
        self.set.keys().copied().partition(moves)
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
