//! Bodies for fuzzing: each takes any bytes, must not panic, and checks what has to hold of an answer.

use crate::load::{Configuration, Job, Loaded, load};
use crate::problem::LoadError;

/// A configuration file in TOML. Every complaint is one line that names a mend.
pub fn toml(bytes: &[u8]) {
    let Ok(text) = str::from_utf8(bytes) else { return };
    loaded("--config=doorward.cfg", text);
}

/// The files in YAML: as for TOML, and what was read of a structured one is read again from what is printed of it.
pub fn yaml(bytes: &[u8]) {
    let Ok(text) = str::from_utf8(bytes) else { return };
    loaded("--doorward-config=doorward.yaml", text);
    let Some(Configuration { structured: Some(structured), .. }) = loaded(YAML, text) else { return };
    let printed = structured.to_yaml();
    let again = loaded(YAML, &printed).and_then(|again| again.structured);
    assert_eq!(again.as_ref(), Some(&structured), "{printed}");
}

const YAML: &str = "--alpha-config=doorward.yaml";

/// What the file that `flag` names makes of `text`, if it is valid.
#[expect(clippy::panic, reason = "to fail is what a body for fuzzing is there for")]
fn loaded(flag: &str, text: &str) -> Option<Configuration> {
    match load(&[flag.into()], &|_| None, &|_| Ok(text.to_owned())) {
        Ok(Loaded::Configuration(configuration, job)) => {
            assert_eq!(job, Job::Serve);
            Some(configuration)
        }
        Err(LoadError::Invalid(errors)) => {
            assert!(!errors.is_empty());
            for error in errors {
                assert!(!error.mend.is_empty());
                assert!(!error.to_string().chars().any(char::is_control), "{error}");
            }
            None
        }
        other => panic!("nothing but a file was given: {other:?}"),
    }
}

#[cfg(test)]
mod tests {
    use doorward_testkit::corpus;

    #[test]
    fn a_file_is_read_or_complained_about_line_by_line() {
        corpus::run("toml", super::toml);
    }

    #[test]
    fn a_structured_file_is_read_and_printed_alike() {
        corpus::run("yaml", super::yaml);
    }
}
