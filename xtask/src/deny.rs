//! The offline part of deny.toml: licences, bans, sources, duplicates. `cargo deny` itself takes longer to build than
//! everything else together, and its advisories need a network; run it by hand and before a release.

use std::{collections::BTreeMap, fs, iter::Peekable};

use toml::{Table, Value};

use crate::{
    Outcome,
    metadata::{Metadata, Package},
    process,
};

pub(crate) fn check() -> Outcome {
    let rules = Rules::parse(&fs::read_to_string(process::root().join("deny.toml"))?)?;
    let metadata = Metadata::read()?;
    let faults = rules.faults(&metadata.used);
    if !faults.is_empty() {
        return Err(faults.join("\n").into());
    }
    println!("deny: {} packages, all by the rules of deny.toml", metadata.used.len());
    Ok(())
}

#[derive(Debug)]
struct Rules {
    licenses: Vec<String>,
    banned: Vec<String>,
    /// Packages of which there may be several versions.
    skipped: Vec<String>,
    registries: Vec<String>,
}

impl Rules {
    fn parse(text: &str) -> Outcome<Self> {
        let table: Table = text.parse()?;
        let names = |section: &str, key: &str| -> Outcome<Vec<String>> {
            let list = table.get(section).and_then(|section| section.get(key)).and_then(Value::as_array);
            let list = list.ok_or_else(|| format!("deny.toml has no list {section}.{key}"))?;
            let name = |item: &Value| item.get("crate").unwrap_or(item).as_str().map(str::to_owned);
            Ok(list.iter().filter_map(name).collect())
        };
        Ok(Self {
            licenses: names("licenses", "allow")?,
            banned: names("bans", "deny")?,
            skipped: names("bans", "skip")?
                .into_iter()
                .map(|name| before_version(&name).to_owned())
                .collect(),
            registries: names("sources", "allow-registry")?,
        })
    }

    fn faults(&self, packages: &[Package]) -> Vec<String> {
        let mut faults = Vec::new();
        let mut versions: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
        for package in packages {
            let Package { name, version, license, source, .. } = package;
            if !self.allows(license) {
                faults.push(format!("{name} {version}: the licence {license:?} is not allowed"));
            }
            if self.banned.contains(name) {
                faults.push(format!("{name} {version} is banned"));
            }
            let known = |registry: &String| source.strip_prefix("registry+") == Some(registry);
            if !source.is_empty() && !self.registries.iter().any(known) {
                faults.push(format!("{name} {version} comes from {source}"));
            }
            versions.entry(name).or_default().push(version);
        }
        let several = versions.iter().filter(|(name, versions)| versions.len() > 1 && !self.skips(name));
        faults
            .extend(several.map(|(name, versions)| format!("{name} is there as {}", versions.join(" and "))));
        faults
    }

    fn skips(&self, name: &str) -> bool {
        self.skipped.iter().any(|skipped| skipped == name)
    }

    /// Whether an SPDX expression is fulfilled by the allowed licences alone. `/` is an old spelling of OR.
    fn allows(&self, expression: &str) -> bool {
        // A licence with its exception is one name here.
        let spaced = expression
            .replace(" WITH ", "+WITH+")
            .replace('/', " OR ")
            .replace('(', " ( ")
            .replace(')', " ) ");
        let mut words = spaced.split_whitespace().peekable();
        self.any_of(&mut words) && words.next().is_none()
    }

    fn any_of<'a>(&self, words: &mut Peekable<impl Iterator<Item = &'a str>>) -> bool {
        let mut verdict = self.all_of(words);
        while words.next_if_eq(&"OR").is_some() {
            verdict |= self.all_of(words);
        }
        verdict
    }

    fn all_of<'a>(&self, words: &mut Peekable<impl Iterator<Item = &'a str>>) -> bool {
        let mut verdict = self.one(words);
        while words.next_if_eq(&"AND").is_some() {
            verdict &= self.one(words);
        }
        verdict
    }

    fn one<'a>(&self, words: &mut Peekable<impl Iterator<Item = &'a str>>) -> bool {
        match words.next() {
            Some("(") => self.any_of(words) & (words.next() == Some(")")),
            Some(license) => self.licenses.contains(&license.replace("+WITH+", " WITH ")),
            None => false,
        }
    }
}

/// The name in `name@version`.
fn before_version(package: &str) -> &str {
    package.split_once('@').map_or(package, |(name, _)| name)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rules() -> Rules {
        Rules::parse(
            r#"
            licenses.allow = ["MIT", "ISC", "Apache-2.0 WITH LLVM-exception"]
            bans.deny = [{ crate = "openssl", reason = "one TLS stack" }]
            bans.skip = ["syn@2", { crate = "base64@0.22" }]
            sources.allow-registry = ["https://index.example"]
            "#,
        )
        .unwrap()
    }

    fn package(name: &str, version: &str) -> Package {
        Package {
            id: String::new(),
            name: name.to_owned(),
            version: version.to_owned(),
            license: "MIT".to_owned(),
            source: "registry+https://index.example".to_owned(),
            folder: std::path::PathBuf::new(),
            dependencies: Vec::new(),
        }
    }

    #[track_caller]
    fn check(packages: &[Package], expected: &[&str]) {
        assert_eq!(rules().faults(packages), expected);
    }

    #[test]
    fn a_licence_expression_has_to_be_fulfilled_by_allowed_licences() {
        for (expression, allowed) in [
            ("MIT", true),
            ("GPL-3.0", false),
            ("", false),
            ("MIT/GPL-3.0", true),
            ("GPL-3.0 OR MIT", true),
            ("GPL-3.0 AND MIT", false),
            ("ISC AND (GPL-3.0 OR MIT)", true),
            ("(MIT OR ISC) AND GPL-3.0", false),
            ("GPL-3.0 OR MIT AND ISC", true),
            ("Apache-2.0 WITH LLVM-exception", true),
            ("Apache-2.0", false),
            ("MIT)", false),
            ("(MIT", false),
        ] {
            assert_eq!(rules().allows(expression), allowed, "{expression}");
        }
    }

    #[test]
    fn banned_strange_and_doubled_packages_are_named() {
        check(&[package("openssl", "1.0.0")], &["openssl 1.0.0 is banned"]);
        let stranger = Package { source: "git+https://git.example".to_owned(), ..package("x", "1.0.0") };
        check(&[stranger], &["x 1.0.0 comes from git+https://git.example"]);
        check(&[package("x", "1.0.0"), package("x", "2.0.0")], &["x is there as 1.0.0 and 2.0.0"]);
        check(&[package("syn", "1.0.0"), package("syn", "2.0.0"), package("base64", "1.0.0")], &[]);
    }
}
