//! Configurations taken from the pages of the documentation, so that what is written there is what is tried.

use std::{fs, path::Path};

/// The fence of the page `docs/<page>` that follows the comment `<!-- marker -->`.
#[track_caller]
pub fn block(page: &str, marker: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs").join(page);
    let text = fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    let comment = format!("<!-- {marker} -->\n");
    let (_, after) = text.split_once(&comment).unwrap_or_else(|| panic!("{page} has no {marker}"));
    let fence = after.strip_prefix("``").unwrap_or_else(|| panic!("no fence after {marker} in {page}"));
    let (_, body) = fence.split_once('\n').expect("a fence has lines");
    let (code, _) = body.split_once("\n``").unwrap_or_else(|| panic!("{marker} in {page} does not end"));
    format!("{code}\n")
}

/// Replaces names by those of this run. A name that does not occur fails the test: the page has changed.
#[track_caller]
pub fn fill(text: &str, replacements: &[(&str, &str)]) -> String {
    let mut filled = text.to_owned();
    for (from, to) in replacements {
        assert!(filled.contains(from), "{from:?} is not in\n{text}");
        filled = filled.replace(from, to);
    }
    filled
}
