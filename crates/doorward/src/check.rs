//! `doorward check`: what is wrong with a configuration, what is risky about it although nothing is, and on demand what
//! oauth2-proxy would do otherwise. Nobody is contacted and nothing is written, so that it can run anywhere.

use std::{
    ffi::OsString,
    fmt::Display,
    io::{self, Write as _},
    process::ExitCode,
};

use doorward_options::{LoadError, Loaded, OptionError, Source, recognised, takes_next_word};

use serde_json::{Value, json};

use crate::{
    assemble::{self, Findings, against::Difference},
    files::Files,
    reload,
    run::Failure,
};

const USAGE: &str = "\
doorward check [FILE]... [flags]
doorward check --against oauth2-proxy [--json] [FILE]... [flags]
It takes all options. A FILE is one of --config (.toml, .cfg, .conf), --alpha-config or --doorward-config (.yaml, .yml).
It ends with 0 if the configuration is valid, with or without warnings, and with 1 if it is not.
With --against it lists what oauth2-proxy would do otherwise under this very configuration; --json makes one object of it
all.";

/// The program to compare with. There is one.
const OTHER: &str = "oauth2-proxy";

/// What is to be told, and how.
#[derive(Clone, Copy, Debug)]
struct Wish {
    against: Against,
    form: Form,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Against {
    Nobody,
    OAuth2Proxy,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Form {
    Lines,
    Json,
}

/// Runs the command; `args` are what follows its name.
pub(crate) fn run(args: &[OsString]) -> Result<ExitCode, Failure> {
    let files = Files::default();
    let (wish, args) = wish(args)?;
    let args = with_files_named(&args, &files)?;
    let mut configuration = match reload::read(&args, &files) {
        Ok(Loaded::Configuration(configuration, _)) => configuration,
        Ok(Loaded::Help(_) | Loaded::Version) => return Err(usage()),
        Err(LoadError::Invalid(errors)) => {
            let findings = Findings { errors, warnings: Vec::new(), differences: Vec::new() };
            return Ok(told(wish, &findings, &[]));
        }
        Err(error @ LoadError::Usage { .. }) => {
            line(&error);
            return Ok(ExitCode::from(error.exit_code()));
        }
    };
    // The log is not opened: that would make a file, and perhaps one that the service may not write.
    configuration.options.logging_filename.clear();
    let findings = assemble::lint(&configuration, &files);
    Ok(told(wish, &findings, configuration.sources.warnings()))
}

/// Takes out what is for this command alone.
fn wish(args: &[OsString]) -> Result<(Wish, Vec<OsString>), Failure> {
    let mut wish = Wish { against: Against::Nobody, form: Form::Lines };
    let mut others = Vec::new();
    let mut words = args.iter();
    while let Some(word) = words.next() {
        let text = word.to_str().unwrap_or_default();
        let other = if let Some(other) = text.strip_prefix("--against=") {
            other
        } else if text == "--against" {
            words.next().and_then(|next| next.to_str()).unwrap_or_default()
        } else if text == "--json" {
            wish.form = Form::Json;
            continue;
        } else {
            others.push(word.clone());
            continue;
        };
        if other != OTHER {
            let message = format!("check: {other:?} cannot be compared with; write --against {OTHER}");
            return Err(Failure::Command(message));
        }
        wish.against = Against::OAuth2Proxy;
    }
    Ok((wish, others))
}

fn told(wish: Wish, findings: &Findings, sentences: &[String]) -> ExitCode {
    match wish.form {
        Form::Lines => in_lines(wish.against, findings, sentences),
        Form::Json => line(&in_json(wish.against, findings, sentences)),
    }
    if findings.errors.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// One line each, the place first, as editors and pipelines look for it.
fn in_lines(against: Against, findings: &Findings, sentences: &[String]) {
    for error in &findings.errors {
        line(&placed("error", error));
    }
    for sentence in sentences {
        line(&format!("warning: {sentence}"));
    }
    for warning in &findings.warnings {
        line(&placed("warning", warning));
    }
    if against == Against::OAuth2Proxy {
        for Difference { name, theirs, ours, switch, why, .. } in &findings.differences {
            let switch = if switch.is_empty() { String::new() } else { format!("; switch: {switch}") };
            let text = format!("difference: {name}: {OTHER}: {theirs}; doorward: {ours}; why: {why}{switch}");
            line(&plain(&text));
        }
    }
    if findings.errors.is_empty() {
        line(&"configuration is valid");
    }
}

fn in_json(against: Against, findings: &Findings, sentences: &[String]) -> Value {
    let problem = |OptionError { option, source, message, mend }: &OptionError| json!({ "place": place(source), "option": option, "message": message, "mend": mend });
    let sentence = |message: &String| json!({ "message": message });
    let difference = |Difference { name, theirs, ours, switch, why, .. }: &&Difference| {
        json!({
            "name": name,
            "oauth2_proxy": plain(theirs),
            "doorward": plain(ours),
            "why": plain(why),
            "switch": (!switch.is_empty()).then(|| plain(switch)),
        })
    };
    let warnings = sentences.iter().map(sentence).chain(findings.warnings.iter().map(problem));
    let mut told = json!({
        "valid": findings.errors.is_empty(),
        "errors": findings.errors.iter().map(problem).collect::<Vec<_>>(),
        "warnings": warnings.collect::<Vec<_>>(),
    });
    if let (Against::OAuth2Proxy, Some(told)) = (against, told.as_object_mut()) {
        told.insert("differences".to_owned(), findings.differences.iter().map(difference).collect());
    }
    told
}

/// The quotation marks of the documentation are none of a terminal.
fn plain(text: &str) -> String {
    text.replace('`', "")
}

fn placed(kind: &str, OptionError { option, source, message, mend }: &OptionError) -> String {
    let place = place(source).map(|place| format!("{place}: ")).unwrap_or_default();
    format!("{place}{kind}: {option}: {message}; {mend}")
}

fn place(source: &Source) -> Option<String> {
    match source {
        Source::Default => None,
        Source::Flag(_) | Source::Environment(_) => Some(source.to_string()),
        Source::File { path, line, column } => {
            let column = column.map_or_else(String::new, |column| format!(":{column}"));
            Some(format!("{}:{line}{column}", path.display()))
        }
    }
}

/// The arguments, with the option that a bare file belongs to.
fn with_files_named(args: &[OsString], files: &Files) -> Result<Vec<OsString>, Failure> {
    let mut named = Vec::new();
    let mut words = args.iter();
    while let Some(word) = words.next() {
        let Some(text) = word.to_str() else { return Err(usage()) };
        if text.starts_with('-') {
            named.push(word.clone());
            if takes_next_word(text) {
                named.extend(words.next().cloned());
            }
            continue;
        }
        let content = files.read_text(text.as_ref()).unwrap_or_default();
        let Some(option) = recognised(text, &content) else {
            let message = format!(
                "check: the name {text:?} does not say what kind of file it is; write --config={text}, \
                 --alpha-config={text} or --doorward-config={text}"
            );
            return Err(Failure::Command(message));
        };
        named.push(format!("--{option}={text}").into());
    }
    Ok(named)
}

fn usage() -> Failure {
    Failure::Command(format!("write\n{USAGE}"))
}

/// Nobody may be listening, and that is no failure.
fn line(text: &impl Display) {
    let _ = writeln!(io::stdout(), "{text}");
}
