//! The configurations in `docs/integrations`, or above it, taken from the page itself. A block is the fence that follows the
//! comment `<!-- block: name -->`. Only names and addresses are replaced, and each replacement must hit.

use doorward_testkit::page;
pub(crate) use doorward_testkit::page::fill;

/// The text of a block, for example `block("nginx.md", "auth_request")`.
pub(crate) fn block(page: &str, name: &str) -> String {
    page::block(&format!("integrations/{page}"), &format!("block: {name}"))
}
