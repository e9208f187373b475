//! What can be wrong with the options, each problem with its option, its source and its mend. No message shows
//! the value of a secret.

use std::fmt;

use thiserror::Error;

use crate::source::{Source, Sources};

/// Why there are no options.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum LoadError {
    /// The command line does not parse: the process ends with status 2.
    #[error("{message}")]
    Usage {
        /// One line for each problem, worded as oauth2-proxy words them.
        message: String,
    },
    /// Options cannot be read or are not implemented: the process ends with status 1. All problems together.
    #[error("{}", lines(.0))]
    Invalid(Vec<OptionError>),
}

impl LoadError {
    /// Exit status of the process.
    pub const fn exit_code(&self) -> u8 {
        match self {
            Self::Usage { .. } => 2,
            Self::Invalid(_) => 1,
        }
    }
}

fn lines(errors: &[OptionError]) -> String {
    errors.iter().map(OptionError::to_string).collect::<Vec<_>>().join("\n")
}

/// One problem with one option, printed as one line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OptionError {
    /// Flag of the option without dashes, a place in the structured file, or a key of a file that is none.
    pub option: String,
    /// Where its value was written.
    pub source: Source,
    /// What is wrong.
    pub message: String,
    /// What to do about it.
    pub mend: String,
}

impl fmt::Display for OptionError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { option, source, message, mend } = self;
        write!(f, "{option}: {message} ({source}); {mend}")
    }
}

// Written out because a derive would take the field `source` for a cause.
impl std::error::Error for OptionError {}

/// A problem with an option found after reading, for instance that a text is no URL. `option` is a flag, a TOML key, or
/// a place in the structured file; the error names what the user wrote and where.
pub fn problem(
    sources: &Sources,
    option: &str,
    message: impl Into<String>,
    mend: impl Into<String>,
) -> OptionError {
    let (option, source) = sources.locate(option);
    OptionError { option, source, message: message.into(), mend: mend.into() }
}

/// Text of a user inside a message: quoted, on one line, not endless.
pub(crate) fn quoted(text: &str) -> String {
    const LONGEST: usize = 100;
    if text.chars().count() <= LONGEST {
        return format!("{text:?}");
    }
    let beginning: String = text.chars().take(LONGEST).collect();
    format!("{beginning:?}\u{2026}")
}
