//! The program: read the options, check them, start serving, stop in good order.

mod assemble;
mod check;
mod demo;
mod explain;
mod files;
mod manage;
mod reload;
mod run;
mod sockets;

use std::{
    env,
    ffi::OsString,
    io::{self, Write},
    process::ExitCode,
};

use doorward_options::{Job, Loaded, Shell};

fn main() -> ExitCode {
    let args: Vec<_> = env::args_os().skip(1).collect();
    let rest = args.get(1..).unwrap_or_default();
    match args.first().and_then(|word| word.to_str()) {
        Some("demo") => return finish(run::demo(rest)),
        Some(word) if manage::COMMANDS.contains(&word) => return finish(manage::run(&args)),
        Some("check") => {
            return check::run(rest).unwrap_or_else(|failure| finish(Err(failure)));
        }
        Some("explain") => {
            return explain::run(rest).unwrap_or_else(|failure| finish(Err(failure)));
        }
        Some("completion") => return completion(rest),
        Some("convert") => return finish(run::convert_to_native(rest)),
        Some("schema") => {
            say(io::stdout(), doorward_options::schema().trim_end());
            return ExitCode::SUCCESS;
        }
        Some("man") => {
            say(io::stdout(), doorward_options::man().trim_end());
            return ExitCode::SUCCESS;
        }
        _ => {}
    }
    let files = files::Files::default();
    match reload::read(&args, &files) {
        Ok(Loaded::Help(text)) => {
            say(io::stderr(), &text);
            ExitCode::SUCCESS
        }
        Ok(Loaded::Version) => {
            let version = env!("CARGO_PKG_VERSION");
            say(io::stdout(), &format!("doorward {version} (a drop-in for oauth2-proxy v7)"));
            ExitCode::SUCCESS
        }
        Ok(Loaded::Configuration(mut configuration, job)) => finish(match job {
            Job::Serve => run::serve(args, &configuration, files),
            Job::Test => run::config_test(&mut configuration, &files),
            Job::Convert => run::convert(&configuration),
        }),
        Err(error) => {
            say(io::stderr(), &error.to_string());
            ExitCode::from(error.exit_code())
        }
    }
}

/// `doorward completion SHELL`.
fn completion(args: &[OsString]) -> ExitCode {
    let shell = match args {
        [shell] => shell.to_str().and_then(Shell::parse),
        _ => None,
    };
    let Some(shell) = shell else {
        say(io::stderr(), "completion: name a shell, one of bash, zsh and fish");
        return ExitCode::from(2);
    };
    say(io::stdout(), doorward_options::completion(shell).trim_end());
    ExitCode::SUCCESS
}

fn finish(result: Result<(), run::Failure>) -> ExitCode {
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            say(io::stderr(), &failure.to_string());
            ExitCode::FAILURE
        }
    }
}

/// Writes a line; nobody may be listening, and that is no failure.
fn say(mut stream: impl Write, text: &str) {
    let _ = writeln!(stream, "{text}");
}
