//! What `cargo xtask bench` needs besides programs that others make: `bench-parts floor PORT [HEADER]...`, a server
//! that does nothing but answer, and `bench-parts provider PORT`, a provider that agrees to every login.
#![expect(clippy::print_stderr, reason = "the bench shows what its parts say")]

use std::process::ExitCode;

mod floor;
mod provider;

type Failure = Box<dyn std::error::Error>;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let outcome = match words.as_slice() {
        ["floor", port, headers @ ..] => floor::serve(port, headers),
        ["provider", port] => provider::serve(port),
        _ => Err("bench-parts floor PORT [HEADER]... | bench-parts provider PORT".into()),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            eprintln!("bench-parts: {failure}");
            ExitCode::FAILURE
        }
    }
}
