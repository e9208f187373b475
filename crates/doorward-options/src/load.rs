//! The layers put together: flag, then environment, then file, then default; the first that speaks wins.
//! Every problem of every layer is reported at once.

use std::ffi::OsString;
use std::io;
use std::path::Path;

use crate::cli::{self, CommandLine};
use crate::defs::{self, Kind, OPTIONS, OptionDef, Options, Scope};
use crate::docs;
use crate::file::{self, File};
use crate::problem::{LoadError, OptionError, problem, quoted};
use crate::source::{Source, Sources};
use crate::structured::own::Own;
use crate::structured::{Structured, path_of};
use crate::value::{Unreadable, Value, Written};

/// What the command line asks for.
#[derive(Debug)]
pub enum Loaded {
    /// Print this text and stop with status 0.
    Help(String),
    /// Print the version and stop with status 0.
    Version,
    /// Do a job with the configuration.
    Configuration(Configuration, Job),
}

/// Everything that was written.
#[derive(Debug)]
pub struct Configuration {
    /// The value of every option.
    pub options: Box<Options>,
    /// What the file of `--alpha-config` holds. It replaces the options of scope `Legacy`.
    pub structured: Option<Box<Structured>>,
    /// What the file of `--doorward-config` holds.
    pub own: Option<Box<Own>>,
    /// Where each value was written, and warnings about that.
    pub sources: Sources,
}

/// What to do with a configuration.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Job {
    /// Serve.
    Serve,
    /// `--config-test`: say whether they are valid.
    Test,
    /// `--convert-config-to-alpha`: print them in the structured form.
    Convert,
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
    let job = match (meta_bool(&line, "config-test", &mut errors), meta_bool(&line, CONVERT, &mut errors)) {
        (true, _) => Job::Test,
        (false, true) => Job::Convert,
        (false, false) => Job::Serve,
    };
    let alpha_path = line.values(ALPHA).last().filter(|path| !path.is_empty());
    if alpha_path.is_some() {
        refuse_moved_flags(&line)?;
    }
    let file_text = text_of(&line, "config", "a TOML", read_file, &mut errors);
    let file = match &file_text {
        Some((path, text)) => file::parse(Path::new(path), text, &mut errors),
        None => File::default(),
    };
    let dialect = if alpha_path.is_some() { Dialect::Structured } else { Dialect::Flat };
    let (options, mut sources) = Layers { line: &line, env, file: &file, dialect }.merge(&mut errors);
    for sentence in &line.ignored {
        sources.warn(sentence.clone());
    }
    let structured = text_of(&line, ALPHA, "a YAML", read_file, &mut errors).map(|(path, text)| {
        let (structured, places) = Structured::parse(Path::new(&path), &text, env, &mut errors);
        sources.note_structured(places);
        Box::new(structured)
    });
    let own = own_text(&options, &sources, read_file, &mut errors).map(|text| {
        let (own, places) = Own::parse(Path::new(&options.doorward_config), &text, env, &mut errors);
        sources.note_own(places);
        Box::new(own)
    });
    if errors.is_empty() {
        Ok(Loaded::Configuration(Configuration { options, structured, own, sources }, job))
    } else {
        Err(LoadError::Invalid(errors))
    }
}

/// Options that say who may come in and that the structured file replaces.
const RESTRICTIONS: [&str; 12] = [
    "allowed-group",
    "allowed-role",
    "bitbucket-repository",
    "bitbucket-team",
    "entra-id-allowed-tenant",
    "github-org",
    "github-repo",
    "github-team",
    "gitlab-group",
    "gitlab-project",
    "google-group",
    "keycloak-group",
];
const ALPHA: &str = "alpha-config";
const CONVERT: &str = "convert-config-to-alpha";

/// A flag that moved into the structured file is as unknown as a misspelt one.
fn refuse_moved_flags(line: &CommandLine) -> Result<(), LoadError> {
    let moved = OPTIONS.iter().filter(|def| def.scope == Scope::Legacy && !line.values(def.flag).is_empty());
    let problems: Vec<String> = moved
        .map(|def| {
            let place = path_of(def.flag).unwrap_or("the file");
            format!("unknown flag: --{} (with --{ALPHA} it is {place} in that file)", def.flag)
        })
        .collect();
    if problems.is_empty() { Ok(()) } else { Err(LoadError::Usage { message: problems.join("\n") }) }
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

/// Path and content of the file that `flag` names, if it names one that can be read.
fn text_of(
    line: &CommandLine,
    flag: &'static str,
    kind: &str,
    read_file: &dyn Fn(&Path) -> io::Result<String>,
    errors: &mut Vec<OptionError>,
) -> Option<(String, String)> {
    let path = line.values(flag).last().filter(|path| !path.is_empty())?;
    match read_file(Path::new(path)) {
        Ok(text) => Some((path.clone(), text)),
        Err(error) => {
            errors.push(OptionError {
                option: flag.to_owned(),
                source: Source::Flag(flag),
                message: format!("the file {} cannot be read: {error}", quoted(path)),
                mend: format!("name {kind} file that the program may read"),
            });
            None
        }
    }
}

/// The content of doorward.yaml, if one is named that can be read.
fn own_text(
    options: &Options,
    sources: &Sources,
    read_file: &dyn Fn(&Path) -> io::Result<String>,
    errors: &mut Vec<OptionError>,
) -> Option<String> {
    let path = Some(options.doorward_config.as_str()).filter(|path| !path.is_empty())?;
    let read = read_file(Path::new(path));
    read.map_err(|error| {
        let message = format!("the file {} cannot be read: {error}", quoted(path));
        let mend = "name a YAML file that the program may read";
        errors.push(problem(sources, "doorward-config", message, mend));
    })
    .ok()
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
    dialect: Dialect,
}

/// Whether a structured file stands beside the options.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Dialect {
    Flat,
    Structured,
}

impl<'a> Layers<'a> {
    fn merge(&self, errors: &mut Vec<OptionError>) -> (Box<Options>, Sources) {
        let mut options = Box::new(Options::defaults());
        let mut sources = Sources::default();
        for def in OPTIONS {
            self.warn_of_near_miss(def, &mut sources);
            let Some((source, written)) = self.winner(def) else { continue };
            if self.dialect == Dialect::Structured && def.scope == Scope::Legacy {
                note_moved(def, &source, &mut sources, errors);
                continue;
            }
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

/// An option that the structured file replaces was written nevertheless. As in oauth2-proxy a variable is
/// ignored, though not silently, and a key of the file is a mistake.
fn note_moved(def: &OptionDef, source: &Source, sources: &mut Sources, errors: &mut Vec<OptionError>) {
    let place = path_of(def.flag).unwrap_or("the file");
    match source {
        Source::File { .. } => errors.push(OptionError {
            option: def.key.unwrap_or(def.flag).to_owned(),
            source: source.clone(),
            message: format!("the file has invalid keys: this one cannot stand beside --{ALPHA}"),
            mend: format!("move it to {place} in the file of --{ALPHA}"),
        }),
        _ if RESTRICTIONS.contains(&def.flag) => errors.push(OptionError {
            option: def.flag.to_owned(),
            source: source.clone(),
            message: format!("this restriction would be ignored beside --{ALPHA}"),
            mend: format!("move it to {place} in the file of --{ALPHA}, or unset it"),
        }),
        _ => sources.warn(format!("{source} is ignored: with --{ALPHA} it is {place} in that file")),
    }
}
