//! Which crate may use which. The floors are drawn in ARCHITECTURE.md; here they are enforced, so that a change of
//! the structure is a change of this list. Also: only `doorward-authz` claims that policy let a request pass.

use std::{
    fs,
    path::{Path, PathBuf},
};

use crate::{
    Outcome,
    metadata::{Kind, Metadata, Package},
    process,
};

/// Everything a crate may use of our own. A crate that is not listed here may not exist.
const ARROWS: &[(&str, &[&str])] = &[
    ("doorward-core", &[]),
    ("doorward-template", &[]),
    ("doorward-options", &["doorward-core"]),
    ("doorward-jose", &["doorward-core"]),
    ("doorward-store", &["doorward-core"]),
    ("doorward-net", &["doorward-core"]),
    ("doorward-session", &["doorward-core", "doorward-store"]),
    ("doorward-oidc", &["doorward-core", "doorward-jose", "doorward-net"]),
    ("doorward-telemetry", &["doorward-core", "doorward-template"]),
    ("doorward-accounts", &["doorward-core", "doorward-jose", "doorward-store"]),
    // The store is for its tests alone: accounts need one.
    (
        "doorward-authn",
        &[
            "doorward-core",
            "doorward-jose",
            "doorward-store",
            "doorward-session",
            "doorward-oidc",
            "doorward-accounts",
        ],
    ),
    ("doorward-policy", &["doorward-core", "doorward-oidc"]),
    ("doorward-authz", &["doorward-core", "doorward-policy"]),
    // The store is for its tests alone, as above.
    (
        "doorward-gateway",
        &["doorward-core", "doorward-jose", "doorward-store", "doorward-oidc", "doorward-accounts"],
    ),
    // It knows Envoy's messages and nothing of ours.
    ("doorward-envoy", &[]),
    ("doorward-upstream", &["doorward-core", "doorward-net"]),
    (
        "doorward-oauth",
        &[
            "doorward-core",
            "doorward-template",
            "doorward-jose",
            "doorward-store",
            "doorward-oidc",
            "doorward-accounts",
            "doorward-authn",
            "doorward-gateway",
        ],
    ),
    (
        "doorward-server",
        &[
            "doorward-core",
            "doorward-template",
            "doorward-store",
            "doorward-net",
            "doorward-session",
            "doorward-oidc",
            "doorward-accounts",
            "doorward-telemetry",
            "doorward-authn",
            "doorward-policy",
            "doorward-gateway",
            "doorward-envoy",
            "doorward-oauth",
            "doorward-authz",
            "doorward-upstream",
        ],
    ),
    (
        "doorward",
        &[
            "doorward-core",
            "doorward-template",
            "doorward-options",
            "doorward-jose",
            "doorward-store",
            "doorward-net",
            "doorward-session",
            "doorward-oidc",
            "doorward-accounts",
            "doorward-telemetry",
            "doorward-authn",
            "doorward-policy",
            "doorward-gateway",
            "doorward-envoy",
            "doorward-oauth",
            "doorward-authz",
            "doorward-upstream",
            "doorward-server",
        ],
    ),
    (TESTKIT, &[]),
    ("xtask", &["doorward-options"]),
];

/// Fakes for tests: any crate's tests may use them, no program may.
const TESTKIT: &str = "doorward-testkit";

/// The claim that policy was asked, and the folders where it may be made.
const CLAIM: &str = "Permit::assertion";
const CLAIMANTS: [&str; 2] = ["crates/doorward-core/src/permit.rs", "crates/doorward-authz/"];

pub(crate) fn check() -> Outcome {
    let metadata = Metadata::read()?;
    let mut faults: Vec<String> = metadata.members.iter().flat_map(faults_of).collect();
    faults.extend(false_claims()?);
    if !faults.is_empty() {
        return Err(faults.join("\n").into());
    }
    println!("arrows: {} crates, each uses only what it may", metadata.members.len());
    Ok(())
}

fn faults_of(package: &Package) -> Vec<String> {
    let Some((_, allowed)) = ARROWS.iter().find(|(name, _)| *name == package.name) else {
        return vec![format!("{} has no place in xtask/src/arrows.rs", package.name)];
    };
    let ours = |name: &str| ARROWS.iter().any(|(known, _)| *known == name);
    let uses = package.dependencies.iter().filter(|dependency| ours(&dependency.name));
    uses.filter(|dependency| match (dependency.kind, dependency.name.as_str()) {
        (Kind::Dev, TESTKIT) => false,
        (_, name) => !allowed.contains(&name),
    })
    .map(|dependency| format!("{} may not use {}", package.name, dependency.name))
    .collect()
}

/// Places that claim a permit without being the policy. Tests may claim what they like.
fn false_claims() -> Outcome<Vec<String>> {
    let root = process::root();
    let mut places = Vec::new();
    for path in rust_files(&root.join("crates"))? {
        let name = path.strip_prefix(&root)?.to_string_lossy().into_owned();
        let is_test = name.contains("/tests/") || name.ends_with("/tests.rs");
        if is_test || CLAIMANTS.iter().any(|claimant| name.starts_with(claimant)) {
            continue;
        }
        let text = fs::read_to_string(&path)?;
        if program_part(&text).contains(CLAIM) {
            places.push(format!("{name}: only doorward-authz may call {CLAIM}"));
        }
    }
    Ok(places)
}

/// The text before the tests that close a file.
fn program_part(text: &str) -> &str {
    text.split_once("#[cfg(test)]\nmod tests {").map_or(text, |(program, _)| program)
}

/// All Rust sources below a folder.
pub(crate) fn rust_files(folder: &Path) -> Outcome<Vec<PathBuf>> {
    let mut files = Vec::new();
    let mut folders = vec![folder.to_path_buf()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder)? {
            let path = entry?.path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                files.push(path);
            }
        }
    }
    files.sort();
    Ok(files)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metadata::Dependency;

    #[track_caller]
    fn check(name: &str, uses: &[(&str, Kind)], expected: &[&str]) {
        let dependencies =
            uses.iter().map(|(name, kind)| Dependency { name: (*name).to_owned(), kind: *kind }).collect();
        let package = Package {
            id: String::new(),
            name: name.to_owned(),
            version: String::new(),
            license: String::new(),
            source: String::new(),
            folder: PathBuf::new(),
            dependencies,
        };
        assert_eq!(faults_of(&package), expected);
    }

    #[test]
    fn a_crate_uses_only_what_is_listed() {
        check("doorward-jose", &[("doorward-core", Kind::Normal), ("serde", Kind::Normal)], &[]);
        check(
            "doorward-core",
            &[("doorward-jose", Kind::Normal)],
            &["doorward-core may not use doorward-jose"],
        );
        check("doorward-authz", &[("doorward-net", Kind::Dev)], &["doorward-authz may not use doorward-net"]);
        check("doorward-new", &[], &["doorward-new has no place in xtask/src/arrows.rs"]);
    }

    #[test]
    fn only_tests_use_the_fakes() {
        check("doorward-oidc", &[(TESTKIT, Kind::Dev)], &[]);
        check("doorward", &[(TESTKIT, Kind::Normal)], &["doorward may not use doorward-testkit"]);
    }

    #[test]
    fn every_listed_arrow_points_to_a_crate_listed_before() {
        for (position, (name, uses)) in ARROWS.iter().enumerate() {
            for used in *uses {
                assert!(ARROWS.iter().take(position).any(|(known, _)| known == used), "{name} uses {used}");
            }
        }
    }
}
