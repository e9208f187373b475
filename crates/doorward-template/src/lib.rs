//! Existing Go-template pages and log formats: parsed, checked and run, with contextual HTML escaping; and the words
//! of our own pages in the reader's language ([`words`]).
//! Pure: no clock, no IO, no global state. Nothing here panics, recurses without bound or loops without bound,
//! whatever the template or the values.
//!
//! Road of a page: `lex` → `parse` (a tree, checked) → `plan` (a program, every printed value with its escapers) →
//! `eval` (the text). `escape` knows HTML, URLs, scripts and styles; `print` and `functions` know Go's fmt package.
//!
//! Why an engine of our own: the Rust crate for Go templates, gtmpl 0.7 (passively maintained), keeps its tree private, so
//! escaping by context cannot be put on top of it; it overflows the stack on deeply nested input; and it lacks
//! assignment, `break`, `html`, `js`, `urlquery` and `slice`. The others are engines of other languages.
//!
//! Compatibility with Go's text/template and html/template is proven by `tests/go_*.json`, made with Go itself.
//! Known differences: no floating-point numbers, no methods, no `call`; a missing field is empty (in a log line
//! `<no value>`); a `Value::Html` that is all of a `<script>`, or stands in a `<style>`, is written as it is, where Go
//! knows other types for trusted scripts and styles; a mistake is found at the start where Go finds it at the first page.

mod escape;
mod eval;
mod functions;
#[doc(hidden)]
pub mod fuzz;
mod lex;
mod parse;
mod plan;
mod print;
mod tile;
mod tree;
mod usage;
mod value;
pub mod words;

#[cfg(test)]
mod tests;

pub use self::escape::escape_html;
pub use self::eval::RenderError;
pub use self::tile::Tile;
pub use self::value::Value;

use self::plan::{Output, Program};
use self::tree::Fault;

/// The longest source in bytes.
const MAX_SOURCE: usize = 1 << 20;

/// Why a template cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("template {name}, line {line}: {message}")]
pub struct TemplateError {
    /// The name given to the template.
    pub name: String,
    /// The line of the mistake, from 1.
    pub line: usize,
    /// What is wrong, in words for the author of the template.
    pub message: String,
}

/// A part of a template that is literal text and plain fields only.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Segment {
    /// Written as it is.
    Literal(String),
    /// The value of the top-level field of this name is written.
    Field(String),
}

/// A template ready to run. Immutable.
#[derive(Debug)]
pub struct Template {
    program: Program,
    segments: Option<Vec<Segment>>,
    fields: Vec<String>,
}

impl Template {
    /// A page: values are escaped by where they stand, as Go's html/template does. `name` is the block that is run when
    /// the source defines it, else the whole source is.
    pub fn html(name: &str, source: &str) -> Result<Self, TemplateError> {
        Self::new(name, source, Output::Html)
    }

    /// A log format: values are written as they are.
    pub fn text(name: &str, source: &str) -> Result<Self, TemplateError> {
        Self::new(name, source, Output::Text)
    }

    fn new(name: &str, source: &str, output: Output) -> Result<Self, TemplateError> {
        let located =
            |fault: Fault| TemplateError { name: name.to_owned(), line: fault.line, message: fault.message };
        if source.len() > MAX_SOURCE {
            return Err(located(Fault::new(1, "the template is longer than 1 MiB")));
        }
        let mut parsed = parse::parse(source).map_err(located)?;
        let main = std::mem::take(&mut parsed.main);
        parsed.defined.entry(name.to_owned()).or_insert(main);
        let program = plan::plan(&parsed, name, output).map_err(located)?;
        let segments = match output {
            Output::Text => usage::segments(program.main()),
            Output::Html => None,
        };
        Ok(Self { segments, fields: usage::fields(&parsed, name), program })
    }

    /// Runs the template. `vars` is what `.` and `$` are at its start, as a rule a `Value::Map`.
    pub fn render(&self, vars: &Value) -> Result<String, RenderError> {
        eval::run(&self.program, vars)
    }

    /// The parts of a log format that is only literal text and plain top-level `{{.Field}}`s: it can be written without
    /// running anything. `None` for everything else, and for pages.
    pub fn segments(&self) -> Option<&[Segment]> {
        self.segments.as_deref()
    }

    /// The names of all top-level fields the template may look at, sorted.
    pub fn fields(&self) -> Vec<String> {
        self.fields.clone()
    }
}
