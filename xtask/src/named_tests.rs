//! The pages that promise a behaviour name the tests that hold it to its word. This compares both: a named test exists,
//! every behaviour and published flaw has its line in docs/security-tests.md, every law of the OAuth server and of the
//! gateway its line in docs/judges.md, and a test that bears the name of one stands in the line of it.

use std::{collections::BTreeSet, fs, path::Path};

use crate::{Outcome, arrows::rust_files, process};

const TABLE: &str = "docs/security-tests.md";
const LAWS: &str = "docs/judges.md";
const OTHER_PAGES: [&str; 3] = [LAWS, "docs/coming-from-oauth2-proxy.md", "docs/providers.md"];
/// The laws of the OAuth server and of API authentication: A01 to A60. Those of the gateway: B01 to B42.
const LAST_LAWS: [(char, u32); 2] = [('A', 60), ('B', 42)];
/// The behaviours of oauth2-proxy that are not to be copied: A1 to A26 and so on. A1b came later.
const BEHAVIOURS: [(char, u32); 3] = [('A', 26), ('B', 6), ('C', 35)];
/// The heading of the column that names tests.
const HEADING: &str = "held by";
/// How the line of something that does not concern doorward begins its last cell.
const NOT_OURS: &str = "none:";

pub(crate) fn check() -> Outcome {
    let root = process::root();
    let tests = tests_of_the_workspace(&root)?;
    let table = fs::read_to_string(root.join(TABLE))?;
    let laws = fs::read_to_string(root.join(LAWS))?;
    let mut faults = faults_of_table(&table);
    faults.extend(faults_of_laws(&laws));
    faults.extend(unmentioned(&table, &laws, &tests));
    for page in [TABLE].into_iter().chain(OTHER_PAGES) {
        let text = fs::read_to_string(root.join(page))?;
        faults.extend(unheld(&text).map(|subject| format!("{page}: the line of {subject} names no test")));
        let unknown = names(&text).into_iter().filter(|name| !tests.contains(name));
        faults.extend(unknown.map(|name| format!("{page} names {name}, and there is no such test")));
    }
    if !faults.is_empty() {
        return Err(faults.join("\n").into());
    }
    println!("named-tests: {} tests are named in {TABLE}, and all are there", names(&table).len());
    Ok(())
}

/// Writes into each line of the laws the tests that bear its number.
pub(crate) fn update() -> Outcome {
    let root = process::root();
    let tests = tests_of_the_workspace(&root)?;
    let others = names(&fs::read_to_string(root.join(TABLE))?);
    let page = fs::read_to_string(root.join(LAWS))?;
    fs::write(root.join(LAWS), filled_in(&page, &tests, &others))?;
    Ok(())
}

/// The page of the laws with the tests of each; those of `others` bear numbers of another list.
fn filled_in(page: &str, tests: &BTreeSet<String>, others: &BTreeSet<String>) -> String {
    let line = |line: &str| {
        let cells = line.strip_prefix("| ").map(|cells| cells.splitn(3, " | ").collect::<Vec<_>>());
        let Some([law, what, _]) = cells.as_deref() else { return format!("{line}\n") };
        let holds = |name: &&String| !others.contains(*name) && bears(name, law);
        let held: Vec<_> = tests.iter().filter(holds).map(|name| format!("`{name}`")).collect();
        if held.is_empty() {
            format!("{line}\n")
        } else {
            format!("| {law} | {what} | {} |\n", held.join(", "))
        }
    };
    page.lines().map(line).collect()
}

/// Every test as `room::function`; the tests of the program as a whole are in the rooms `it` and `e2e`.
fn tests_of_the_workspace(root: &Path) -> Outcome<BTreeSet<String>> {
    let mut tests = BTreeSet::new();
    for file in rust_files(&root.join("crates"))? {
        let path = file.strip_prefix(root)?.to_string_lossy().into_owned();
        let Some(prefix) = room(&path) else { continue };
        tests.extend(test_functions(&fs::read_to_string(file)?).map(|name| format!("{prefix}::{name}")));
    }
    Ok(tests)
}

/// The room of `crates/doorward-oidc/src/x.rs` is `oidc`, that of `crates/doorward/tests/it/x.rs` is `it`.
fn room(path: &str) -> Option<&str> {
    let (name, inside) = path.strip_prefix("crates/")?.split_once('/')?;
    if let ("doorward", Some(test)) = (name, inside.strip_prefix("tests/")) {
        return test.split('/').next();
    }
    Some(name.strip_prefix("doorward-").unwrap_or(name))
}

/// The functions that follow `#[test]` or `#[tokio::test]`.
fn test_functions(source: &str) -> impl Iterator<Item = &str> {
    let mut is_test = false;
    source.lines().filter_map(move |line| {
        let line = line.trim_start();
        is_test |= line.starts_with("#[test]") || line.starts_with("#[tokio::test");
        let (_, name) = line.strip_prefix("async ").unwrap_or(line).split_once("fn ").filter(|_| is_test)?;
        is_test = false;
        name.split(['(', '<']).next()
    })
}

/// What stands between backquotes and looks like the name of a test.
fn names(text: &str) -> BTreeSet<String> {
    let is_name = |word: &str| {
        word.split_once("::").is_some_and(|(room, test)| {
            let is_word = |text: &str| text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
            is_word(room) && is_word(test) && !test.is_empty()
        })
    };
    text.split('`').filter(|word| is_name(word)).map(ToOwned::to_owned).collect()
}

/// Rows of the tables whose last column names tests.
fn rows(page: &str) -> impl Iterator<Item = Vec<&str>> {
    let lines = page.lines().filter_map(|line| line.strip_prefix("| ")?.strip_suffix(" |"));
    lines.map(|line| line.split(" | ").collect::<Vec<_>>()).filter(|cells| cells.last() != Some(&HEADING))
}

/// What a row is about, if nothing holds it to its word.
fn unheld(page: &str) -> impl Iterator<Item = &str> {
    rows(page).filter_map(|cells| {
        let (subject, held_by) = (cells.first()?, cells.last()?);
        (names(held_by).is_empty() && !held_by.starts_with(NOT_OURS)).then_some(*subject)
    })
}

fn faults_of_table(table: &str) -> Vec<String> {
    let mut faults = Vec::new();
    let mut subjects = BTreeSet::new();
    for cells in rows(table) {
        let (Some(subject), Some(held_by)) = (cells.first(), cells.last()) else { continue };
        subjects.insert((*subject).to_owned());
        if held_by.starts_with(NOT_OURS) {
            continue;
        }
        let named = names(held_by);
        for flaw in subject.split(", ").filter(|text| text.starts_with("CVE-") || text.starts_with("GHSA-")) {
            let part = flaw.trim_start_matches("CVE-").to_ascii_lowercase().replace('-', "_");
            if !named.iter().any(|name| name.contains(&part)) {
                faults.push(format!("{TABLE}: no test in the line of {flaw} is named after it"));
            }
        }
    }
    for (letter, last) in BEHAVIOURS {
        let missing = (1..=last).map(|number| format!("{letter}{number}"));
        let missing = missing.filter(|entry| !subjects.contains(entry));
        faults.extend(missing.map(|entry| format!("{TABLE} has no line for {entry}")));
    }
    faults
}

/// Tests that bear a number and stand on no page.
fn unmentioned(table: &str, laws: &str, tests: &BTreeSet<String>) -> Vec<String> {
    let (listed, lawful) = (names(table), names(laws));
    let is_missing =
        |name: &&String| is_named_after_something(name) && !listed.contains(*name) && !lawful.contains(*name);
    let missing = tests.iter().filter(is_missing);
    missing
        .map(|name| format!("neither {TABLE} nor {LAWS} mentions {name}; cargo xtask named-tests --update"))
        .collect()
}

/// Each law has its line, and in it a test that bears its number (`a26_and_a27_…` bears two), or why there is none.
fn faults_of_laws(page: &str) -> Vec<String> {
    let held: Vec<_> = rows(page).collect();
    let is_held = |law: &String| {
        let mut lines = held.iter().filter(|cells| cells.first() == Some(&law.as_str()));
        lines.any(|cells| {
            let held_by = cells.last().unwrap_or(&"");
            held_by.starts_with(NOT_OURS) || names(held_by).iter().any(|name| bears(name, law))
        })
    };
    let laws = LAST_LAWS
        .iter()
        .flat_map(|(letter, last)| (1..=*last).map(move |number| format!("{letter}{number:02}")));
    let missing = laws.filter(|law| !is_held(law));
    missing.map(|law| format!("{LAWS} names no test of {law} that bears its number")).collect()
}

/// Whether the number of a law is a word of a test's name.
fn bears(test: &str, law: &str) -> bool {
    test.split("::").flat_map(|part| part.split('_')).any(|word| word.eq_ignore_ascii_case(law))
}

/// `a7_…`, `c12_…`, `cve_…`, `ghsa_…`.
fn is_named_after_something(test: &str) -> bool {
    let first = test.split_once("::").map_or(test, |(_, name)| name).split('_').next().unwrap_or("");
    let number = first.strip_prefix(['a', 'b', 'c']).unwrap_or("").trim_end_matches('b');
    matches!(first, "cve" | "ghsa")
        || (!number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tests_are_found_with_their_room() {
        for (path, expected) in [
            ("crates/doorward-oidc/src/login/tests.rs", Some("oidc")),
            ("crates/doorward/tests/it/paths.rs", Some("it")),
            ("crates/doorward/tests/e2e/tabs.rs", Some("e2e")),
            ("crates/doorward/src/run.rs", Some("doorward")),
            ("xtask/src/main.rs", None),
        ] {
            assert_eq!(room(path), expected, "{path}");
        }
        let source = "#[test]\nfn one() {}\nfn helper() {}\n#[tokio::test]\nasync fn two() {}";
        assert_eq!(test_functions(source).collect::<Vec<_>>(), ["one", "two"]);
    }

    #[track_caller]
    fn check(table: &str, fault: &str) {
        let faults = faults_of_table(table);
        let about: Vec<_> = faults.iter().filter(|text| !text.contains("has no line for")).collect();
        assert_eq!(about.is_empty(), fault.is_empty(), "{about:?}");
        assert!(about.is_empty() || about.iter().any(|text| text.contains(fault)), "{about:?}");
    }

    #[test]
    fn a_line_without_its_test_is_a_fault() {
        let whole = "| A1 | x | `it::a1_x` |\n| CVE-2020-1, CVE-2020-2 | x | `it::cve_2020_1_x` |";
        check(whole, "no test in the line of CVE-2020-2");
        check(&whole.replace(", CVE-2020-2", ""), "");
        let tests = ["it::a1_x", "it::cve_2020_1_x", "it::other"].map(str::to_owned).into();
        assert_eq!(unmentioned(whole, "", &tests), Vec::<String>::new());
        assert_eq!(unmentioned("", "| A01 | x | `it::a1_x` |", &tests).len(), 1);
        let page =
            "| entry | held by |\n|---|---|\n| A1 | later |\n| A2 | `it::a` |\n| A3 | none: not here |";
        assert_eq!(unheld(page).collect::<Vec<_>>(), ["A1"]);
        assert_eq!(faults_of_laws("| A02 | x | `it::a1_and_a02_x` |").len(), 59 + 42);
        let page = "# Laws\n| A02 | x | `it::gone` |\n| A03 | y | later |\n";
        let tests = ["it::a2_x", "it::a02_x", "e2e::a02_z", "it::a02_other"].map(str::to_owned).into();
        let others = ["it::a02_other".to_owned()].into();
        let expected = "# Laws\n| A02 | x | `e2e::a02_z`, `it::a02_x` |\n| A03 | y | later |\n";
        assert_eq!(filled_in(page, &tests, &others), expected);
        let nothing = faults_of_table("");
        assert_eq!(nothing.len(), 26 + 6 + 35, "{nothing:?}");
    }
}
