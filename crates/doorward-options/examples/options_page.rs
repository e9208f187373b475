//! Prints the reference page of all options: `cargo run -p doorward-options --example options_page > docs/options.md`.

use std::io::Write;

fn main() -> std::io::Result<()> {
    std::io::stdout().write_all(doorward_options::reference_markdown().as_bytes())
}
