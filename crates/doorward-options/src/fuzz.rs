//! Bodies for fuzzing: each takes any bytes, must not panic, and checks what has to hold of an answer.

use crate::load::{Loaded, load};
use crate::problem::LoadError;

/// A configuration file in TOML. Every complaint is one line that names a mend.
pub fn toml(bytes: &[u8]) {
    let Ok(text) = str::from_utf8(bytes) else { return };
    let loaded = load(&["--config=doorward.cfg".into()], &|_| None, &|_| Ok(text.to_owned()));
    match loaded {
        Ok(loaded) => assert!(matches!(loaded, Loaded::Options { config_test: false, .. })),
        Err(LoadError::Invalid(errors)) => {
            assert!(!errors.is_empty());
            for error in errors {
                assert!(!error.mend.is_empty());
                assert!(!error.to_string().chars().any(char::is_control), "{error}");
            }
        }
        Err(LoadError::Usage { message }) => assert!(message.is_empty(), "nothing is wrong with the flags"),
    }
}

#[cfg(test)]
mod tests {
    use doorward_testkit::corpus;

    #[test]
    fn a_file_is_read_or_complained_about_line_by_line() {
        corpus::run("toml", super::toml);
    }
}
