//! The black-box conformance suite, which lives outside this repository. `.ci/conformance-passing.txt` lists the cases
//! that ever passed: one of them failing fails the run, and the list only grows.

use std::{collections::BTreeSet, fs, path::PathBuf};

use serde_json::Value;

use crate::{
    Outcome,
    process::{self, Success},
};

/// What happens to cases that pass for the first time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Newcomers {
    Name,
    Add,
}

const HEADING: &str = "\
# Conformance cases that ever passed, as area/file::name. Only grows: cargo xtask conformance RUNNER --update
";

/// Runs every case of `runner` against the program and compares with the list.
pub(crate) fn check(runner: &str, newcomers: Newcomers) -> Outcome {
    let program = program();
    if !program.is_file() {
        return Err(format!("{} is missing; cargo build --release -p doorward", program.display()).into());
    }
    let report = process::root().join("target/conformance.json");
    let _ = fs::remove_file(&report);
    let arguments = [&program.to_string_lossy(), "--jobs", "4", "--report", &report.to_string_lossy()];
    // Cases that never passed may still fail, so the runner's own verdict does not count.
    let _: Success =
        process::run_lines(&mut process::command(runner, &arguments), |line| println!("{line}"))?;
    let results = Results::parse(&serde_json::from_str(&fs::read_to_string(report)?)?);
    let listed = read_list(&fs::read_to_string(list_path()).unwrap_or_default());

    let newly: Vec<_> = results.passed.difference(&listed).collect();
    if !newly.is_empty() {
        println!("\nnewly passing:");
        for case in &newly {
            println!("  {case}");
        }
        if newcomers == Newcomers::Add {
            let mut list = HEADING.to_owned();
            for case in results.passed.union(&listed) {
                list.push_str(case);
                list.push('\n');
            }
            fs::write(list_path(), list)?;
            println!("added to .ci/conformance-passing.txt");
        }
    }
    let lost: Vec<_> = listed.difference(&results.passed).collect();
    if !lost.is_empty() {
        println!("\npassed before:");
        for case in &lost {
            println!(
                "  {case}: {}",
                if results.failed.contains(*case) { "fails now" } else { "did not run" }
            );
        }
    }
    println!("\n{} passed, {} failed", listed.len() - lost.len(), lost.len());
    if lost.is_empty() {
        Ok(())
    } else {
        Err(format!("{} cases that passed before do not", lost.len()).into())
    }
}

/// The release build, or what `DOORWARD_BIN` names, as in the end-to-end tests.
fn program() -> PathBuf {
    let built = process::root().join("target/release/doorward");
    std::env::var_os("DOORWARD_BIN").map_or(built, PathBuf::from)
}

fn list_path() -> PathBuf {
    process::root().join(".ci/conformance-passing.txt")
}

fn read_list(text: &str) -> BTreeSet<String> {
    text.lines()
        .map(str::trim)
        .filter(|line| !line.is_empty() && !line.starts_with('#'))
        .map(str::to_owned)
        .collect()
}

#[derive(Debug, PartialEq, Eq)]
struct Results {
    passed: BTreeSet<String>,
    failed: BTreeSet<String>,
}

impl Results {
    fn parse(report: &Value) -> Self {
        let cases = report.get("cases").and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
        let of = |wanted: bool| {
            let mine = cases.iter().filter(|case| (case.get("ok") == Some(&Value::Bool(true))) == wanted);
            mine.filter_map(|case| case.get("id")?.as_str().map(str::to_owned)).collect()
        };
        Self { passed: of(true), failed: of(false) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_report_tells_which_cases_passed() {
        let report = serde_json::json!({"cases": [
            {"id": "a/x::one", "ok": true}, {"id": "a/x::two", "ok": false}, {"id": "a/x::three"},
        ]});
        let set = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
        let expected = Results { passed: set(&["a/x::one"]), failed: set(&["a/x::two", "a/x::three"]) };
        assert_eq!(Results::parse(&report), expected);
    }

    #[test]
    fn the_list_may_have_comments() {
        assert_eq!(read_list("# these\n\na/x::one \n").into_iter().collect::<Vec<_>>(), ["a/x::one"]);
    }
}
