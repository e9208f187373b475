//! `doorward check`: what is wrong with a configuration, and what is risky about it although nothing is. Nobody is
//! contacted and nothing is written, so that it can run anywhere.

use std::{
    ffi::OsString,
    fmt::Display,
    io::{self, Write as _},
    process::ExitCode,
};

use doorward_options::{Configuration, LoadError, Loaded, OptionError, Source, recognised, takes_next_word};

use crate::{
    assemble::{self, Findings},
    files::Files,
    reload,
    run::Failure,
};

const USAGE: &str = "\
doorward check [FILE]... [flags]
It takes all options. A FILE is one of --config (.toml, .cfg, .conf), --alpha-config or --doorward-config (.yaml, .yml).
It ends with 0 if the configuration is valid, with or without warnings, and with 1 if it is not.";

/// Runs the command; `args` are what follows its name.
pub(crate) fn run(args: &[OsString]) -> Result<ExitCode, Failure> {
    let files = Files::default();
    let args = with_files_named(args, &files)?;
    let mut configuration = match reload::read(&args, &files) {
        Ok(Loaded::Configuration(configuration, _)) => configuration,
        Ok(Loaded::Help(_) | Loaded::Version) => return Err(usage()),
        Err(LoadError::Invalid(errors)) => {
            told(&Findings { errors, warnings: Vec::new() }, &[]);
            return Ok(ExitCode::FAILURE);
        }
        Err(error @ LoadError::Usage { .. }) => {
            line(&error);
            return Ok(ExitCode::from(error.exit_code()));
        }
    };
    Ok(checked(&mut configuration, &files))
}

fn checked(configuration: &mut Configuration, files: &Files) -> ExitCode {
    // The log is not opened: that would make a file, and perhaps one that the service may not write.
    configuration.options.logging_filename.clear();
    let findings = assemble::lint(configuration, files);
    told(&findings, configuration.sources.warnings());
    if findings.errors.is_empty() {
        line(&"configuration is valid");
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}

/// One line each, the place first, as editors and pipelines look for it.
fn told(Findings { errors, warnings }: &Findings, sentences: &[String]) {
    for error in errors {
        line(&placed("error", error));
    }
    for sentence in sentences {
        line(&format!("warning: {sentence}"));
    }
    for warning in warnings {
        line(&placed("warning", warning));
    }
}

fn placed(kind: &str, OptionError { option, source, message, mend }: &OptionError) -> String {
    let place = match source {
        Source::Default => String::new(),
        Source::Flag(_) | Source::Environment(_) => format!("{source}: "),
        Source::File { path, line, column } => {
            let column = column.map_or_else(String::new, |column| format!(":{column}"));
            format!("{}:{line}{column}: ", path.display())
        }
    };
    format!("{place}{kind}: {option}: {message}; {mend}")
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
