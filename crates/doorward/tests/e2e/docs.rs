//! The configurations in `docs/integrations`, or above it, taken from the page itself. A block is the fence that follows the
//! comment `<!-- block: name -->`. Only names and addresses are replaced, and each replacement must hit.

use std::fs;

use crate::parts::root;

/// The text of a block, for example `block("nginx.md", "auth_request")`.
pub(crate) fn block(page: &str, name: &str) -> String {
    let path = root().join("docs/integrations").join(page);
    let text = fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    let marker = format!("<!-- block: {name} -->\n");
    let (_, after) = text.split_once(&marker).unwrap_or_else(|| panic!("{page} has no block {name}"));
    let fence = after.strip_prefix("``").unwrap_or_else(|| panic!("no fence after {name} in {page}"));
    let (_, body) = fence.split_once('\n').expect("a fence has lines");
    let (code, _) = body.split_once("\n``").unwrap_or_else(|| panic!("{name} in {page} does not end"));
    format!("{code}\n")
}

/// Replaces names by those of this run. A name that does not occur fails the test: the page has changed.
pub(crate) fn fill(text: &str, replacements: &[(&str, &str)]) -> String {
    let mut filled = text.to_owned();
    for (from, to) in replacements {
        assert!(filled.contains(from), "{from:?} is not in\n{text}");
        filled = filled.replace(from, to);
    }
    filled
}
