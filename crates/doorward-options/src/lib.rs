//! The options as written: command line, environment, TOML, structured YAML. Pure: whoever calls `load` hands in the arguments,
//! the environment and a way to read files. Values are read, not judged; what they mean is decided elsewhere.
//! Compatible with oauth2-proxy v7 (reference pages options and options-rules); `tests/options.tsv` holds its names.

mod cli;
mod completion;
mod defs;
mod docs;
mod duration;
mod file;
#[doc(hidden)]
pub mod fuzz;
mod load;
mod man;
mod problem;
mod recognise;
mod source;
pub mod structured;
mod value;
mod yaml;
mod yaml_json;

pub use completion::{Shell, completion};
pub use defs::{Former, Group, Kind, OPTIONS, OptionDef, Options, Scope, Support};
pub use docs::{help, reference_markdown};
pub use duration::{DurationSyntax, SignedNanoseconds, format_duration, parse_duration};
pub use load::{Configuration, Job, Loaded, load};
pub use man::man;
pub use problem::{LoadError, OptionError, problem};
pub use recognise::{recognised, takes_next_word};
pub use source::{Source, Sources};
pub use structured::{Structured, native::to_native, schema::schema};
pub use yaml_json::yaml_to_json;
