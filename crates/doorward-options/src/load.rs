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
use crate::source::{Places, Source, Sources};
use crate::structured::native::{Native, native_place};
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
        refuse_moved_flags(&line, Dialect::Alpha)?;
    }
    let file_text = text_of(&line, "config", "a TOML", read_file, &mut errors);
    let file = match &file_text {
        Some((path, text)) => file::parse(Path::new(path), text, &mut errors),
        None => File::default(),
    };
    let mut layers = Layers { line: &line, env, file: &file, own: None, dialect: Dialect::Flat };
    let own = layers.own_text(read_file, &mut errors).map(|(path, text)| {
        let (own, places) = Own::parse(Path::new(&path), &text, env, &mut errors);
        (Box::new(own), places)
    });
    layers.own = own.as_ref().map(|(own, places)| (&own.native, places));
    let native = own.as_ref().and_then(|(own, _)| own.native.structured());
    layers.dialect = match (&alpha_path, &native) {
        (Some(_), _) => Dialect::Alpha,
        (None, Some(_)) => Dialect::Native,
        (None, None) => Dialect::Flat,
    };
    if layers.dialect == Dialect::Native {
        refuse_moved_flags(&line, Dialect::Native)?;
    }
    let (options, mut sources) = layers.merge(&mut errors);
    for sentence in &line.ignored {
        sources.warn(sentence.clone());
    }
    let mut structured = text_of(&line, ALPHA, "a YAML", read_file, &mut errors).map(|(path, text)| {
        let (structured, places) = Structured::parse(Path::new(&path), &text, env, &mut errors);
        sources.note_structured(places);
        Box::new(structured)
    });
    if let Some((_, places)) = &own {
        sources.note_own(places.clone());
    }
    if let Some(native) = native {
        if alpha_path.is_some() {
            let message = format!("providers, upstreams, listeners and headers stand in --{ALPHA} too");
            let mend = format!("leave them out of doorward.yaml, or leave --{ALPHA} out");
            errors.push(problem(&sources, "doorward-config", message, mend));
        } else {
            sources.note_native();
            structured = Some(Box::new(native));
        }
    }
    let own = own.map(|(own, _)| own);
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
fn refuse_moved_flags(line: &CommandLine, dialect: Dialect) -> Result<(), LoadError> {
    let moved = OPTIONS.iter().filter(|def| def.scope == Scope::Legacy && !line.values(def.flag).is_empty());
    let problems: Vec<String> = moved
        .map(|def| {
            let (file, place) = dialect.place_of(def);
            format!("unknown flag: --{} (with {file} it is {place} in that file)", def.flag)
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

fn unreadable(option: &str, source: Source, why: Unreadable) -> OptionError {
    let Unreadable { message, mend } = why;
    OptionError { option: option.to_owned(), source, message, mend }
}

/// The layers in which options are written.
struct Layers<'a> {
    line: &'a CommandLine,
    env: &'a dyn Fn(&str) -> Option<String>,
    file: &'a File<'a>,
    /// doorward.yaml, the lowest layer but the defaults.
    own: Option<(&'a Native, &'a Places)>,
    dialect: Dialect,
}

/// Where providers, upstreams, headers and listeners are said.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Dialect {
    /// By options.
    Flat,
    /// In the file of `--alpha-config`.
    Alpha,
    /// In doorward.yaml.
    Native,
}

impl Dialect {
    /// The option that names the structured file.
    const fn option(self) -> &'static str {
        match self {
            Self::Native => "--doorward-config",
            Self::Alpha | Self::Flat => "--alpha-config",
        }
    }

    /// The file that has a place for this option, and the place.
    fn place_of(self, def: &OptionDef) -> (&'static str, String) {
        let place = path_of(def.flag);
        match self {
            Self::Native => (
                "the providers, upstreams, listeners or headers of --doorward-config",
                place.map_or("the file".to_owned(), native_place),
            ),
            Self::Alpha | Self::Flat => ("--alpha-config", place.unwrap_or("the file").to_owned()),
        }
    }
}

impl<'a> Layers<'a> {
    fn merge(&self, errors: &mut Vec<OptionError>) -> (Box<Options>, Sources) {
        let mut options = Box::new(Options::defaults());
        let mut sources = Sources::default();
        for def in OPTIONS {
            self.warn_of_near_miss(def, &mut sources);
            let Some((source, written)) = self.winner(def) else { continue };
            if self.dialect != Dialect::Flat && def.scope == Scope::Legacy {
                note_moved(def, &source, self.dialect, &mut sources, errors);
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
        if let Some(entry) = keys.find_map(|key| self.file.entry(key)) {
            return Some((self.file.source(entry.line), Written::File(&entry.value)));
        }
        let (native, places) = self.own?;
        let said = native.said(def.flag)?;
        let source = places.at(said.at);
        Some((source, Written::Plain(said.value.expose())))
    }

    /// Path and content of doorward.yaml, if one is named that can be read.
    fn own_text(
        &self,
        read_file: &dyn Fn(&Path) -> io::Result<String>,
        errors: &mut Vec<OptionError>,
    ) -> Option<(String, String)> {
        let def = defs::find("doorward-config")?;
        let (source, written) = self.winner(def)?;
        // What cannot be read as a text is told when the layers are merged.
        let path = String::read(def.kind, &written).ok().filter(|path| !path.is_empty())?;
        match read_file(Path::new(&path)) {
            Ok(text) => Some((path, text)),
            Err(error) => {
                errors.push(OptionError {
                    option: def.flag.to_owned(),
                    source,
                    message: format!("the file {} cannot be read: {error}", quoted(&path)),
                    mend: "name a YAML file that the program may read".to_owned(),
                });
                None
            }
        }
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
fn note_moved(
    def: &OptionDef,
    source: &Source,
    dialect: Dialect,
    sources: &mut Sources,
    errors: &mut Vec<OptionError>,
) {
    let (file, place) = dialect.place_of(def);
    match source {
        Source::File { .. } => errors.push(OptionError {
            option: def.key.unwrap_or(def.flag).to_owned(),
            source: source.clone(),
            message: format!("the file has invalid keys: this one cannot stand beside {file}"),
            mend: format!("move it to {place} in the file of {}", dialect.option()),
        }),
        _ if RESTRICTIONS.contains(&def.flag) => errors.push(OptionError {
            option: def.flag.to_owned(),
            source: source.clone(),
            message: format!("this restriction would be ignored beside {file}"),
            mend: format!("move it to {place} in the file of {}, or unset it", dialect.option()),
        }),
        _ => sources.warn(format!("{source} is ignored: with {file} it is {place} in that file")),
    }
}
