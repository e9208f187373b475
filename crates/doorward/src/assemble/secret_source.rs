//! Texts that stand in the configuration, in a variable or in a file (reference page alpha-config).

use std::env;

use doorward_core::SecretString;
use doorward_options::structured::SecretSource;

use super::problems::Problems;

const MEND: &str = "write exactly one of value, fromEnv and fromFile";

/// The text, without the newline that editors put at the end of a file. `place` is where the source stands.
pub(crate) fn text(source: &SecretSource, place: &str, problems: &mut Problems<'_>) -> Option<SecretString> {
    let bytes = bytes(source, place, problems)?;
    let text = String::from_utf8(bytes).map_err(|_invalid| "the text is not UTF-8");
    let mut text = problems.take(place, text, "write plain text")?;
    if text.ends_with('\n') {
        text.pop();
        text.truncate(text.trim_end_matches('\r').len());
    }
    Some(text.into())
}

/// The text as bytes.
pub(crate) fn bytes(source: &SecretSource, place: &str, problems: &mut Problems<'_>) -> Option<Vec<u8>> {
    let SecretSource { value, from_env, from_file } = source;
    match (value.expose().as_str(), from_env.as_str(), from_file.as_str()) {
        (value, "", "") if !value.is_empty() => Some(value.as_bytes().to_vec()),
        ("", name, "") if !name.is_empty() => {
            let value = env::var(name)
                .map_err(|_missing| format!("error loading secret from environment: {name} is not set"));
            problems.take(place, value, "set the variable").map(String::into_bytes)
        }
        ("", "", path) if !path.is_empty() => {
            let read = problems
                .read(path)
                .map_err(|error| format!("error loading secret from file: {path:?} cannot be read: {error}"));
            problems.take(place, read, "name a file that the program may read")
        }
        _ => {
            let message = "multiple values specified for secret source, or none";
            problems.add(place, message, MEND);
            None
        }
    }
}
