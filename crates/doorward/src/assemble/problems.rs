//! Collects everything that is wrong with a configuration, so that it is reported in one go, and what is worth
//! saying about it although nothing is wrong.

use std::{borrow::Cow, fs, io, os::unix::fs::MetadataExt as _, path::Path};

use doorward_core::{Secret, SecretString};
use doorward_options::{OptionError, Source, Sources, problem, structured::path_of};

use crate::files::{Below, Files};

/// The complaints so far.
#[derive(Debug)]
pub(crate) struct Problems<'a> {
    sources: &'a Sources,
    files: &'a Files,
    found: Vec<OptionError>,
    warnings: Vec<OptionError>,
    notices: Vec<String>,
    /// The place in the list of the provider that is looked at.
    provider: usize,
}

impl<'a> Problems<'a> {
    pub(crate) const fn new(sources: &'a Sources, files: &'a Files) -> Self {
        Self { sources, files, found: Vec::new(), warnings: Vec::new(), notices: Vec::new(), provider: 0 }
    }

    /// Notes a mistake: which option, what is wrong, how to mend it.
    pub(crate) fn add(&mut self, option: &str, message: impl Into<String>, mend: impl Into<String>) {
        let place = self.of_provider_at(option);
        self.found.push(problem(self.sources, &place, message, mend));
    }

    /// From here on, options of providers mean the provider at this place of the list, the first being 0.
    pub(crate) const fn look_at_provider(&mut self, place: usize) {
        self.provider = place;
    }

    /// Flags, and places of the first provider, name those of the provider that is looked at.
    fn of_provider_at<'o>(&self, option: &'o str) -> Cow<'o, str> {
        if self.provider == 0 {
            return option.into();
        }
        let place = path_of(option).unwrap_or(option);
        match place.strip_prefix("providers[0]") {
            Some(rest) => format!("providers[{}]{rest}", self.provider).into(),
            None => option.into(),
        }
    }

    /// The value, or a note about why there is none.
    pub(crate) fn take<T, E: std::fmt::Display>(
        &mut self,
        option: &str,
        result: Result<T, E>,
        mend: &str,
    ) -> Option<T> {
        match result {
            Ok(value) => Some(value),
            Err(error) => {
                self.add(option, error.to_string(), mend);
                None
            }
        }
    }

    /// How many mistakes have been noted.
    pub(crate) const fn count(&self) -> usize {
        self.found.len()
    }

    /// Reads a file that belongs to the configuration: from now on, a change of it is a change of the configuration.
    pub(crate) fn read(&self, path: impl AsRef<Path>) -> io::Result<Vec<u8>> {
        self.files.read(path.as_ref())
    }

    /// As [`Problems::read`], for text.
    pub(crate) fn read_text(&self, path: impl AsRef<Path>) -> io::Result<String> {
        self.files.read_text(path.as_ref())
    }

    /// The files that a path of the configuration stands for: [`Files::below`].
    pub(crate) fn files_below(&self, path: &Path, endings: &[&str]) -> io::Result<Vec<Below>> {
        self.files.below(path, endings)
    }

    /// As [`Problems::read`], for a file that others may not read. `mend` says how to come by one.
    pub(crate) fn read_secret(&mut self, place: &str, path: &str, mend: &str) -> Option<Secret<Vec<u8>>> {
        let read = self.read(path).map_err(|error| format!("the file {path:?} cannot be read: {error}"));
        let content = self.take(place, read, mend)?;
        let mode = fs::metadata(path).map_or(0, |metadata| metadata.mode());
        if mode & 0o007 != 0 {
            let message =
                format!("the file {path:?} holds a secret, and everybody on this machine may read it");
            let mend = format!("chmod o-rwx {path} (in Kubernetes: defaultMode: 0440 of the volume)");
            self.add(place, message, mend);
            return None;
        }
        Some(Secret::new(content))
    }

    /// As [`Problems::read_secret`], for text; a newline at the end is not part of it.
    pub(crate) fn read_secret_text(&mut self, place: &str, path: &str, mend: &str) -> Option<SecretString> {
        let content = self.read_secret(place, path, mend)?;
        let text = String::from_utf8(content.into_exposed()).map_err(|_| "the file is not text in UTF-8");
        let text = self.take(place, text, mend)?;
        Some(text.trim_end_matches(['\r', '\n']).into())
    }

    /// A sentence for the log at start.
    pub(crate) fn notice(&mut self, sentence: impl Into<String>) {
        self.notices.push(sentence.into());
    }

    /// Notes a risk: which option or place, what it does, how to mend it. It is told at start, and by `doorward check`.
    pub(crate) fn warn(&mut self, option: &str, message: impl Into<String>, mend: impl Into<String>) {
        let place = self.of_provider_at(option);
        self.warnings.push(problem(self.sources, &place, message, mend));
    }

    /// All sentences for the log, risks last.
    pub(crate) fn take_notices(&mut self) -> Vec<String> {
        let risks = self.warnings.iter().map(|warning| format!("Risky: {warning}"));
        std::mem::take(&mut self.notices).into_iter().chain(risks).collect()
    }

    /// What is risky.
    pub(crate) fn take_warnings(&mut self) -> Vec<OptionError> {
        std::mem::take(&mut self.warnings)
    }

    /// Where an option, or a place of a structured file, is written.
    pub(crate) fn place_of(&self, option: &str) -> Source {
        problem(self.sources, option, "", "").source
    }

    /// Whether somebody wrote this option down.
    pub(crate) fn is_set(&self, option: &str) -> bool {
        self.sources.is_set(option)
    }

    pub(crate) fn into_found(self) -> Vec<OptionError> {
        self.found
    }
}
