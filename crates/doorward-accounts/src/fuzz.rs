//! Bodies for fuzzing: each takes any bytes, must not panic, and checks what has to hold of an answer.

use crate::{Scopes, TokenName};

/// Names of tokens, and scopes. A name has its form and is not that of a token; scopes that are read are written alike.
pub fn token(bytes: &[u8]) {
    let Ok(text) = str::from_utf8(bytes) else { return };
    for name in [TokenName::of_access(text), TokenName::of_refresh(text)].into_iter().flatten() {
        assert_ne!(name.as_str(), text);
        assert_eq!(TokenName::parse(name.as_str()), Some(name.clone()));
        assert_eq!(name.as_str().len(), text.len());
    }
    if let Some(name) = TokenName::parse(text) {
        assert_eq!(name.as_str(), text);
        assert!(text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"~-_".contains(&byte)));
    }
    if let Ok(scopes) = Scopes::parse(text) {
        let written = scopes.to_string();
        assert!(written.bytes().all(|byte| byte.is_ascii_graphic() || byte == b' '));
        assert_eq!(Scopes::parse(&written).as_ref(), Ok(&scopes));
        assert!(scopes.iter().all(|scope| scopes.contains(scope) && text.contains(scope)));
    }
}

#[cfg(test)]
mod tests {
    use doorward_testkit::corpus;

    #[test]
    fn names_and_scopes_have_their_form_or_are_none() {
        corpus::run("token", super::token);
    }
}
