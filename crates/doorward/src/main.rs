//! The program: read the options, check them, start serving, stop in good order.

mod assemble;
mod demo;
mod files;
mod reload;
mod run;
mod sockets;

use std::{
    env,
    io::{self, Write},
    process::ExitCode,
};

use doorward_options::{Job, Loaded};

fn main() -> ExitCode {
    let args: Vec<_> = env::args_os().skip(1).collect();
    if args.first().is_some_and(|word| word == "demo") {
        return finish(run::demo(args.get(1..).unwrap_or_default()));
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
        Ok(Loaded::Configuration(configuration, job)) => finish(match job {
            Job::Serve => run::serve(args, &configuration, files),
            Job::Test => run::config_test(&configuration, &files),
            Job::Convert => run::convert(&configuration),
        }),
        Err(error) => {
            say(io::stderr(), &error.to_string());
            ExitCode::from(error.exit_code())
        }
    }
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
