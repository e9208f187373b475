//! Which files a policy's `files` and `data` name: files are taken as they are, folders for what lies in them and below.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

/// What is looked for in folders.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// `*.rego`, but for tests (`*_test.rego`).
    Modules,
    /// `*.json`, `*.yaml`, `*.yml`.
    Data,
}

/// A file that belongs to a policy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found {
    pub path: PathBuf,
    /// The folders between the named one and the file.
    pub under: Vec<String>,
}

/// Deeper is a loop of links.
const DEEPEST: usize = 16;
const MOST_FILES: usize = 10_000;

/// The files below `path`, by name. What begins with a dot is passed over: a mounted `ConfigMap` keeps there what its other
/// names link to.
pub fn find(path: &Path, kind: Kind) -> io::Result<Vec<Found>> {
    let mut found = Vec::new();
    if fs::metadata(path)?.is_dir() {
        walk(path, kind, &mut Vec::new(), &mut found)?;
    } else {
        found.push(Found { path: path.to_owned(), under: Vec::new() });
    }
    Ok(found)
}

fn walk(folder: &Path, kind: Kind, under: &mut Vec<String>, found: &mut Vec<Found>) -> io::Result<()> {
    let told = |why: &str| io::Error::other(format!("{}: {why}", folder.display()));
    if under.len() > DEEPEST {
        return Err(told("the folders are nested too deep"));
    }
    let mut entries = fs::read_dir(folder)?.collect::<Result<Vec<_>, _>>()?;
    entries.sort_by_key(fs::DirEntry::file_name);
    for entry in entries {
        let name = entry.file_name().into_string().map_err(|_| told("a name in it is not UTF-8"))?;
        if name.starts_with('.') {
            continue;
        }
        let path = entry.path();
        if fs::metadata(&path)?.is_dir() {
            under.push(name);
            walk(&path, kind, under, found)?;
            under.pop();
        } else if wanted(&name, kind) {
            if found.len() == MOST_FILES {
                return Err(told("too many files"));
            }
            found.push(Found { path, under: under.clone() });
        }
    }
    Ok(())
}

fn wanted(name: &str, kind: Kind) -> bool {
    let Some((stem, ending)) = name.rsplit_once('.') else { return false };
    match kind {
        Kind::Modules => ending == "rego" && !stem.ends_with("_test"),
        Kind::Data => matches!(ending, "json" | "yaml" | "yml"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn folders_are_taken_for_what_lies_in_them() {
        let root = std::env::temp_dir().join(format!("doorward-policy-files-{}", std::process::id()));
        for (name, content) in [
            ("b.rego", ""),
            ("a.rego", ""),
            ("a_test.rego", ""),
            ("notes.txt", ""),
            ("..data/a.rego", ""),
            ("roles.json", "{}"),
            ("deep/er/more.yaml", ""),
            ("deep/c.rego", ""),
        ] {
            let path = root.join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, content).unwrap();
        }
        let names = |kind| {
            let name = |found: Found| {
                (found.path.strip_prefix(&root).unwrap().display().to_string(), found.under.join("/"))
            };
            find(&root, kind).unwrap().into_iter().map(name).collect::<Vec<_>>()
        };
        let modules = [("a.rego", ""), ("b.rego", ""), ("deep/c.rego", "deep")];
        assert_eq!(names(Kind::Modules), modules.map(|(a, b)| (a.to_owned(), b.to_owned())));
        let data = [("deep/er/more.yaml", "deep/er"), ("roles.json", "")];
        assert_eq!(names(Kind::Data), data.map(|(a, b)| (a.to_owned(), b.to_owned())));

        let one = find(&root.join("notes.txt"), Kind::Modules).unwrap();
        assert_eq!(one, [Found { path: root.join("notes.txt"), under: Vec::new() }]);
        assert!(find(&root.join("none"), Kind::Data).is_err());
        fs::remove_dir_all(&root).unwrap();
    }
}
