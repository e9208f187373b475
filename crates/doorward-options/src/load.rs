//! The layers put together: flag, then environment, then file, then default; the first that speaks wins.
//! Every problem of every layer is reported at once.

use std::ffi::OsString;
use std::io;
use std::path::Path;

use crate::cli::{self, CommandLine};
use crate::defs::{self, Kind, OPTIONS, OptionDef, Options, Support};
use crate::docs;
use crate::file::{self, File};
use crate::problem::{LoadError, OptionError, quoted};
use crate::source::{Source, Sources};
use crate::value::{Unreadable, Value, Written};

/// What the command line asks for.
#[derive(Debug)]
pub enum Loaded {
    /// Print this text and stop with status 0.
    Help(String),
    /// Print the version and stop with status 0.
    Version,
    /// Run, or with `config_test` only say whether the options are valid.
    Options {
        /// The value of every option.
        options: Box<Options>,
        /// Where each value was written, and warnings about that.
        sources: Sources,
        /// Whether `--config-test` is given.
        config_test: bool,
    },
}

/// Reads the options from `args` (without the name of the program), the environment `env` and the file named by
/// `--config`. An empty variable counts as not set.
pub fn load(
    args: &[OsString],
    env: &dyn Fn(&str) -> Option<String>,
    read_file: &dyn Fn(&Path) -> io::Result<String>,
) -> Result<Loaded, LoadError> {
    let line = cli::parse(args);
    if line.help {
        return Ok(Loaded::Help(docs::help()));
    }
    let mut errors = Vec::new();
    // Asking for the version succeeds whatever else is wrong, as scripts rely on it.
    if meta_bool(&line, "version", &mut errors) {
        return Ok(Loaded::Version);
    }
    if !line.problems.is_empty() {
        return Err(LoadError::Usage { message: line.problems.join("\n") });
    }
    let config_test = meta_bool(&line, "config-test", &mut errors);
    refuse_later_modes(&line, &mut errors);

    let text = config_text(&line, read_file, &mut errors);
    let file = match &text {
        Some((path, text)) => file::parse(Path::new(path), text, &mut errors),
        None => File::default(),
    };
    // The alpha configuration will be a further layer here: it replaces what its fields cover.
    let (options, sources) = Layers { line: &line, env, file: &file }.merge(&mut errors);
    if errors.is_empty() {
        Ok(Loaded::Options { options, sources, config_test })
    } else {
        Err(LoadError::Invalid(errors))
    }
}

/// The value of a flag that exists on the command line only; false if it cannot be read.
fn meta_bool(line: &CommandLine, flag: &'static str, errors: &mut Vec<OptionError>) -> bool {
    let values = line.values(flag);
    if values.is_empty() {
        return false;
    }
    bool::from_flags(Kind::Bool, values).unwrap_or_else(|why| {
        errors.push(unreadable(flag, Source::Flag(flag), why));
        false
    })
}

fn refuse_later_modes(line: &CommandLine, errors: &mut Vec<OptionError>) {
    for def in OPTIONS.iter().filter(|def| def.key.is_none() && def.support == Support::Later) {
        let wanted = match def.kind {
            Kind::Bool => meta_bool(line, def.flag, errors),
            _ => line.values(def.flag).last().is_some_and(|value| !value.is_empty()),
        };
        if wanted {
            errors.push(unreadable(def.flag, Source::Flag(def.flag), Unreadable::not_implemented()));
        }
    }
}

/// Path and content of the configuration file, if one is named and can be read.
fn config_text(
    line: &CommandLine,
    read_file: &dyn Fn(&Path) -> io::Result<String>,
    errors: &mut Vec<OptionError>,
) -> Option<(String, String)> {
    let path = line.values("config").last().filter(|path| !path.is_empty())?;
    match read_file(Path::new(path)) {
        Ok(text) => Some((path.clone(), text)),
        Err(error) => {
            errors.push(OptionError {
                option: "config".to_owned(),
                source: Source::Flag("config"),
                message: format!("the file {} cannot be read: {error}", quoted(path)),
                mend: "name a TOML file that the program may read".to_owned(),
            });
            None
        }
    }
}

fn unreadable(option: &str, source: Source, why: Unreadable) -> OptionError {
    let Unreadable { message, mend } = why;
    OptionError { option: option.to_owned(), source, message, mend }
}

/// The layers in which options are written.
struct Layers<'a> {
    line: &'a CommandLine,
    env: &'a dyn Fn(&str) -> Option<String>,
    file: &'a File<'a>,
}

impl<'a> Layers<'a> {
    fn merge(&self, errors: &mut Vec<OptionError>) -> (Box<Options>, Sources) {
        let mut options = Box::new(Options::defaults());
        let mut sources = Sources::default();
        for def in OPTIONS {
            self.warn_of_near_miss(def, &mut sources);
            let Some((source, written)) = self.winner(def) else { continue };
            if let Err(why) = defs::assign(&mut options, def, &written) {
                errors.push(unreadable(def.flag, source.clone(), why));
            }
            if let Some(note) = def.deprecated {
                sources.warn(format!("{} is deprecated ({source}); {note}", def.flag));
            }
            sources.note(def.flag, source);
        }
        (options, sources)
    }

    /// The highest layer that holds a value for this option.
    fn winner(&self, def: &'static OptionDef) -> Option<(Source, Written<'a>)> {
        // Options without a key are the business of the caller.
        let (env, key) = (def.env?, def.key?);
        let values = self.line.values(def.flag);
        if !values.is_empty() {
            return Some((Source::Flag(def.flag), Written::Flags(values)));
        }
        let former = def.former.as_ref();
        for name in former.map(|former| former.env).into_iter().chain([env]) {
            if let Some(text) = self.variable(name) {
                return Some((Source::Environment(name), Written::Environment(text)));
            }
        }
        let mut keys = former.map(|former| former.key).into_iter().chain([key]);
        let entry = keys.find_map(|key| self.file.entry(key))?;
        Some((self.file.source(entry.line), Written::File(&entry.value)))
    }

    fn variable(&self, name: &str) -> Option<String> {
        (self.env)(name).filter(|text| !text.is_empty())
    }

    /// The variables of lists have plural names. The singular is ignored, as in oauth2-proxy, but not silently.
    fn warn_of_near_miss(&self, def: &OptionDef, sources: &mut Sources) {
        let Some(env) = def.env else { return };
        let near = format!("OAUTH2_PROXY_{}", def.flag.replace('-', "_").to_ascii_uppercase());
        let known = near == env || def.former.as_ref().is_some_and(|former| former.env == near);
        if !known && self.variable(&near).is_some() {
            sources.warn(format!("environment variable {near} is ignored; the name is {env}"));
        }
    }
}
