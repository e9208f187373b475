//! Rego, evaluated inside this process by `regorus`.

use std::{path::PathBuf, time::Duration};

/// How long an evaluation takes at most, if nothing else is said.
pub const TIMEOUT: Duration = Duration::from_millis(50);

/// A policy in Rego.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    /// Rego, version 1. At least one.
    pub modules: Vec<Source>,
    /// JSON or YAML, below `data`.
    pub data: Vec<Source>,
    /// The rule whose value is the decision: `data.http.authz.decision`.
    pub query: String,
    pub timeout: Duration,
}

/// A file that was read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Source {
    pub path: PathBuf,
    /// Of a data file that was found in a folder: the folders between, below which its content lies in `data`.
    pub under: Vec<String>,
    pub content: String,
}
