//! Everything that has to pass before a change lands, in the order of the time it takes. Stops at the first failure.
//! The last line is always `N passed, M failed`, the sums of what the test binaries said.

use std::process::Command;

use crate::{
    Outcome, arrows, deny, docs, fuzz, named_tests,
    process::{self, Success},
    unused,
};

/// How many tests passed and failed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Count {
    passed: u64,
    failed: u64,
}

type Step = (&'static str, fn(&mut Count) -> Outcome);

const STEPS: &[Step] = &[
    ("fmt", |_| process::run(&mut process::cargo(&["fmt", "--all", "--check"]))),
    ("arrows", |_| arrows::check()),
    ("deny", |_| deny::check()),
    ("unused", |_| unused::check()),
    ("named-tests", |_| named_tests::check()),
    ("fuzz", |_| fuzz::check()),
    ("parts", |_| process::run(&mut process::command("scripts/parts", &["install"]))),
    ("clippy", |_| clippy()),
    ("build", |_| {
        process::run(&mut process::cargo(&["build", "--locked", "--release", "--package", "doorward"]))
    }),
    ("test", test),
    ("doc", |_| doc()),
    ("docs", |_| docs::check()),
];

pub(crate) fn run(wanted: &[&str]) -> Outcome {
    let known = |step: &&str| STEPS.iter().any(|(name, _)| name == step);
    if let Some(step) = wanted.iter().find(|step| !known(step)) {
        let names: Vec<_> = STEPS.iter().map(|(name, _)| *name).collect();
        return Err(format!("no step is named {step}; there are {}", names.join(", ")).into());
    }
    let mut count = Count::default();
    let mut outcome = Ok(());
    for (name, step) in STEPS.iter().filter(|(name, _)| wanted.is_empty() || wanted.contains(name)) {
        println!("\n=== {name}");
        outcome = step(&mut count).map_err(|failure| format!("{name}: {failure}").into());
        if outcome.is_err() {
            // A step that fails without a failing test must not look like success to whoever reads the last line.
            count.failed = count.failed.max(1);
            break;
        }
    }
    if let Err(failure) = &outcome {
        println!("\n{failure}");
    }
    println!("\n{} passed, {} failed", count.passed, count.failed);
    outcome
}

fn clippy() -> Outcome {
    let arguments =
        ["clippy", "--locked", "--workspace", "--all-targets", "--all-features", "--", "--deny", "warnings"];
    process::run(&mut process::cargo(&arguments))
}

fn doc() -> Outcome {
    let arguments = ["doc", "--locked", "--workspace", "--no-deps", "--document-private-items"];
    process::run(process::cargo(&arguments).env("RUSTDOCFLAGS", "--deny warnings"))
}

/// All tests, the slow ones with real parts included: a part that is missing is a failure, never a skipped test.
fn test(count: &mut Count) -> Outcome {
    let mut command: Command = process::cargo(&["test", "--locked", "--workspace", "--no-fail-fast"]);
    command
        .env("DOORWARD_BIN", process::root().join("target/release/doorward"))
        .env("DOORWARD_REQUIRE_PARTS", "1");
    let success = process::run_lines(&mut command, |line| {
        println!("{line}");
        if let Some(more) = parse_result(line) {
            count.passed += more.passed;
            count.failed += more.failed;
        }
    })?;
    match success {
        Success::Yes if count.passed == 0 => Err("no test ran".into()),
        Success::Yes => Ok(()),
        Success::No => Err("tests failed".into()),
    }
}

/// Reads `test result: ok. 33 passed; 0 failed; …`.
fn parse_result(line: &str) -> Option<Count> {
    let (_, counts) = line.strip_prefix("test result: ")?.split_once(". ")?;
    let number = |name: &str| {
        let count = counts.split("; ").find_map(|part| part.strip_suffix(name))?;
        count.trim().parse().ok()
    };
    Some(Count { passed: number(" passed")?, failed: number(" failed")? })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn results_are_read_from_the_lines_of_test_binaries() {
        let line = "test result: FAILED. 33 passed; 2 failed; 1 ignored; 0 measured; 0 filtered out; finished in 0.01s";
        assert_eq!(parse_result(line), Some(Count { passed: 33, failed: 2 }));
        let line =
            "test result: ok. 0 passed; 0 failed; 0 ignored; 0 measured; 0 filtered out; finished in 0.00s";
        assert_eq!(parse_result(line), Some(Count::default()));
        assert_eq!(parse_result("test a_test ... ok"), None);
    }
}
