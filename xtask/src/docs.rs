//! The options page, docs/options.md: made from the table that the program reads its options by.

use std::{fs, path::PathBuf};

use crate::{Outcome, process};

pub(crate) fn write() -> Outcome {
    if let Some(folder) = path().parent() {
        fs::create_dir_all(folder)?;
    }
    fs::write(path(), doorward_options::reference_markdown())?;
    println!("docs: wrote docs/options.md");
    Ok(())
}

pub(crate) fn check() -> Outcome {
    let written = fs::read_to_string(path()).unwrap_or_default();
    if written != doorward_options::reference_markdown() {
        return Err("docs/options.md is not what the program says; run `cargo xtask docs`".into());
    }
    println!("docs: docs/options.md is up to date");
    Ok(())
}

fn path() -> PathBuf {
    process::root().join("docs/options.md")
}
