//! `cargo xtask TASK`: everything that keeps this repository honest, in one place and without further tools.
#![expect(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "talking to whoever typed the command is its job"
)]

use std::process::ExitCode;

mod arrows;
mod bench;
mod ci;
mod conformance;
mod deny;
mod docs;
mod fuzz;
mod metadata;
mod named_tests;
mod process;
mod unused;

/// Whatever stops a task. It is only ever shown.
type Failure = Box<dyn std::error::Error>;
type Outcome<T = ()> = Result<T, Failure>;

const USAGE: &str = "\
cargo xtask ci [STEP]...              what has to pass before a change lands; named steps only, if any are named
cargo xtask arrows                    which crate may use which, and who may make a permit
cargo xtask deny                      licences, sources, bans and duplicates by deny.toml
cargo xtask unused                    dependencies that no source file names
cargo xtask named-tests [--update]    whether every test that docs/security-tests.md and its like name is there;
                                      --update writes those of the laws into docs/judges.md
cargo xtask fuzz                      every fuzz target has seeds and an ordinary test that runs them
cargo xtask docs [--check]            writes docs/options.md, or only says whether it is up to date
cargo xtask conformance RUNNER [--update]
                                      runs the black-box cases that ever passed; --update adds those that newly do
cargo xtask bench [OPTION]... [SET]...
                                      side by side with nginx, Envoy, a bare server; `cargo xtask bench --help`";

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match run(&words) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            eprintln!("xtask: {failure}");
            ExitCode::FAILURE
        }
    }
}

fn run(words: &[&str]) -> Outcome {
    match words {
        ["ci", steps @ ..] => ci::run(steps),
        ["arrows"] => arrows::check(),
        ["deny"] => deny::check(),
        ["unused"] => unused::check(),
        ["named-tests"] => named_tests::check(),
        ["named-tests", "--update"] => named_tests::update(),
        ["fuzz"] => fuzz::check(),
        ["docs"] => docs::write(),
        ["docs", "--check"] => docs::check(),
        ["conformance", runner] => conformance::check(runner, conformance::Newcomers::Name),
        ["conformance", runner, "--update"] => conformance::check(runner, conformance::Newcomers::Add),
        ["bench", arguments @ ..] => bench::run(arguments),
        _ => Err(USAGE.into()),
    }
}
