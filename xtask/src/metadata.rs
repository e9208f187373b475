//! What `cargo metadata` says about this workspace, in our own words.

use std::{collections::HashSet, path::PathBuf};

use serde_json::Value;

use crate::{Outcome, process};

/// When a dependency is used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Normal,
    Build,
    /// By tests only.
    Dev,
}

#[derive(Clone, Debug)]
pub(crate) struct Dependency {
    pub(crate) name: String,
    pub(crate) kind: Kind,
}

#[derive(Clone, Debug)]
pub(crate) struct Package {
    pub(crate) id: String,
    pub(crate) name: String,
    pub(crate) version: String,
    pub(crate) license: String,
    /// Where it comes from; empty for our own crates.
    pub(crate) source: String,
    pub(crate) folder: PathBuf,
    pub(crate) dependencies: Vec<Dependency>,
}

#[derive(Debug)]
pub(crate) struct Metadata {
    /// Our own crates.
    pub(crate) members: Vec<Package>,
    /// Everything that is compiled for this platform, our own crates included.
    pub(crate) used: Vec<Package>,
}

impl Metadata {
    pub(crate) fn read() -> Outcome<Self> {
        let arguments = ["metadata", "--format-version=1", "--locked", "--all-features"];
        let metadata = process::output(&mut process::cargo(&arguments))?;
        // `cargo metadata` also lists what only a feature that is off would bring in; `cargo tree` does not.
        let arguments =
            ["tree", "--locked", "--workspace", "--all-features", "--prefix=none", "--format={p}"];
        Self::parse(&serde_json::from_str(&metadata)?, &process::output(&mut process::cargo(&arguments))?)
    }

    fn parse(metadata: &Value, tree: &str) -> Outcome<Self> {
        let packages: Vec<_> = list(metadata, "packages").iter().map(package).collect::<Outcome<_>>()?;
        let members: Vec<_> = list(metadata, "workspace_members").iter().filter_map(Value::as_str).collect();
        let used: HashSet<_> = tree.lines().filter_map(name_and_version).collect();
        Ok(Self {
            members: packages
                .iter()
                .filter(|package| members.contains(&package.id.as_str()))
                .cloned()
                .collect(),
            used: packages
                .into_iter()
                .filter(|package| used.contains(&(package.name.as_str(), package.version.as_str())))
                .collect(),
        })
    }
}

fn package(value: &Value) -> Outcome<Package> {
    let manifest = PathBuf::from(text(value, "manifest_path"));
    let dependencies = list(value, "dependencies").iter().map(|dependency| Dependency {
        name: text(dependency, "name").to_owned(),
        kind: match text(dependency, "kind") {
            "dev" => Kind::Dev,
            "build" => Kind::Build,
            _ => Kind::Normal,
        },
    });
    Ok(Package {
        id: text(value, "id").to_owned(),
        name: text(value, "name").to_owned(),
        version: text(value, "version").to_owned(),
        license: text(value, "license").to_owned(),
        source: text(value, "source").to_owned(),
        folder: manifest.parent().ok_or("a package without folder")?.to_path_buf(),
        dependencies: dependencies.collect(),
    })
}

/// Reads `name v1.2.3 (what follows)`.
fn name_and_version(line: &str) -> Option<(&str, &str)> {
    let mut words = line.split(' ');
    Some((words.next()?, words.next()?.strip_prefix('v')?))
}

fn text<'a>(value: &'a Value, name: &str) -> &'a str {
    value.get(name).and_then(Value::as_str).unwrap_or_default()
}

fn list<'a>(value: &'a Value, name: &str) -> &'a [Value] {
    value.get(name).and_then(Value::as_array).map_or(&[], Vec::as_slice)
}
