//! Dependencies that nothing names. A dependency counts as used when its name stands as a word in any Rust source of
//! the crate: simple, and wrong only on the safe side.

use std::fs;

use crate::{
    Outcome,
    arrows::rust_files,
    metadata::{Metadata, Package},
};

pub(crate) fn check() -> Outcome {
    let metadata = Metadata::read()?;
    let mut faults = Vec::new();
    for package in &metadata.members {
        let text = sources(package)?;
        let unused = package
            .dependencies
            .iter()
            .filter(|dependency| !names(&text, &dependency.name.replace('-', "_")));
        faults.extend(unused.map(|dependency| format!("{} never names {}", package.name, dependency.name)));
    }
    if !faults.is_empty() {
        return Err(faults.join("\n").into());
    }
    println!("unused: every dependency is named somewhere");
    Ok(())
}

fn sources(package: &Package) -> Outcome<String> {
    let texts: Vec<_> =
        rust_files(&package.folder)?.into_iter().map(fs::read_to_string).collect::<Result<_, _>>()?;
    Ok(texts.concat())
}

fn names(text: &str, word: &str) -> bool {
    let is_part = |char: char| char.is_ascii_alphanumeric() || char == '_';
    text.match_indices(word).any(|(start, _)| {
        let before = text.get(..start).and_then(|text| text.chars().next_back());
        let after = text.get(start + word.len()..).and_then(|text| text.chars().next());
        !before.is_some_and(is_part) && !after.is_some_and(is_part)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_counts_only_as_a_whole_word() {
        assert!(names("use http::Uri;", "http"));
        assert!(names("http", "http"));
        assert!(!names("use http_body::Body; let https = 1;", "http"));
    }
}
