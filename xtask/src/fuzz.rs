//! Every fuzz target has seeds and an ordinary test that runs them. Without the test the seeds would prove nothing in
//! daily work, and without the target nobody would look further than they do.

use std::{collections::BTreeSet, fs, path::Path};

use crate::{Outcome, arrows::rust_files, process};

/// How tests name the seeds they run.
const RUN: &str = "corpus::run(\"";

pub(crate) fn check() -> Outcome {
    let root = process::root();
    let found = Found {
        manifest: fs::read_to_string(root.join("fuzz/Cargo.toml"))?,
        targets: targets(&root.join("fuzz/fuzz_targets"))?,
        seeded: seeded(&root.join("fuzz/corpus"))?,
        tested: tested(&root.join("crates"))?,
    };
    let faults = found.faults();
    if !faults.is_empty() {
        return Err(faults.join("\n").into());
    }
    println!("fuzz: {} targets, each with seeds and a test", found.targets.len());
    Ok(())
}

#[derive(Debug, Default)]
struct Found {
    manifest: String,
    targets: BTreeSet<String>,
    seeded: BTreeSet<String>,
    tested: BTreeSet<String>,
}

impl Found {
    fn faults(&self) -> Vec<String> {
        let mut faults = Vec::new();
        for target in &self.targets {
            if !self.manifest.contains(&format!("name = \"{target}\"")) {
                faults.push(format!("{target}: fuzz/Cargo.toml does not name this target"));
            }
            if !self.seeded.contains(target) {
                faults.push(format!("{target}: there are no seeds in fuzz/corpus/{target}"));
            }
            if !self.tested.contains(target) {
                faults.push(format!("{target}: no test calls {RUN}{target}\", …)"));
            }
        }
        let without_target = self.tested.difference(&self.targets);
        faults.extend(without_target.map(|name| format!("{name}: fuzz/fuzz_targets/{name}.rs is missing")));
        faults
    }
}

fn targets(folder: &Path) -> Outcome<BTreeSet<String>> {
    let files = rust_files(folder)?;
    Ok(files.iter().filter_map(|path| Some(path.file_stem()?.to_str()?.to_owned())).collect())
}

/// The folders that hold something.
fn seeded(folder: &Path) -> Outcome<BTreeSet<String>> {
    let mut names = BTreeSet::new();
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        if fs::read_dir(entry.path())?.next().is_some() {
            names.insert(entry.file_name().to_string_lossy().into_owned());
        }
    }
    Ok(names)
}

fn tested(folder: &Path) -> Outcome<BTreeSet<String>> {
    let mut names = BTreeSet::new();
    for path in rust_files(folder)? {
        let text = fs::read_to_string(&path)?;
        let calls = text.split(RUN).skip(1);
        names.extend(calls.filter_map(|rest| Some(rest.split_once('"')?.0.to_owned())));
    }
    Ok(names)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_target_without_seeds_or_test_is_a_fault_and_so_is_a_test_without_target() {
        let names = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
        let found = Found {
            manifest: "name = \"a\"\nname = \"b\"".to_owned(),
            targets: names(&["a", "b"]),
            seeded: names(&["a"]),
            tested: names(&["a", "c"]),
        };
        let faults = found.faults().join("\n");
        assert_eq!(faults.lines().count(), 3, "{faults}");
        assert!(faults.contains("b: there are no seeds") && faults.contains("b: no test"), "{faults}");
        assert!(faults.contains("fuzz_targets/c.rs is missing"), "{faults}");
    }
}
