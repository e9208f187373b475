//! Bodies for fuzzing: each takes any bytes, must not panic, and checks what has to hold of an answer.

use crate::{
    basic::{self, Presented},
    bearer,
};

/// An `Authorization` header. Credentials have a usable name, and a token is of letters that may go into a log or URL.
pub fn authorization(bytes: &[u8]) {
    if let Presented::Credentials(credentials) = basic::read(Some(bytes)) {
        let user = &credentials.user;
        assert!(!user.is_empty() && !user.contains(':') && !user.chars().any(char::is_control));
        let text = [user.as_bytes(), b":", credentials.password.expose()].concat();
        let again = format!("Basic {}", base64_simd::STANDARD.encode_to_string(text));
        assert_eq!(basic::read(Some(again.as_bytes())), Presented::Credentials(credentials));
    }
    if let Ok(token) = bearer::find(bytes) {
        assert_eq!(token.expose().split('.').count(), 3);
        assert!(token.expose().bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte)));
    }
}

#[cfg(test)]
mod tests {
    use doorward_testkit::corpus;

    #[test]
    fn credentials_are_read_as_they_are_written_or_not_at_all() {
        corpus::run("authorization", super::authorization);
    }
}
