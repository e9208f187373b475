//! Reads credentials from `Authorization: Basic` (RFC 7617). Pure.

use doorward_core::Secret;

/// A user name and a password, as somebody presented them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Credentials {
    pub user: String,
    /// Passwords are bytes: clients do not agree on an encoding.
    pub password: Secret<Vec<u8>>,
}

impl Credentials {
    /// Credentials from a form.
    pub fn new(user: String, password: String) -> Self {
        Self { user, password: Secret::new(password.into_bytes()) }
    }
}

/// What an `Authorization` header holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Presented {
    /// There is no header, or it is of another scheme.
    Nothing,
    Credentials(Credentials),
    Malformed(InvalidBasic),
}

/// Reads the value of an `Authorization` header, if there is one.
pub fn read(authorization: Option<&[u8]>) -> Presented {
    let Some(value) = authorization.map(<[u8]>::trim_ascii) else {
        return Presented::Nothing;
    };
    let end = value.iter().position(|&byte| byte == b' ').unwrap_or(value.len());
    let (scheme, rest) = value.split_at_checked(end).unwrap_or((value, &[]));
    if !scheme.eq_ignore_ascii_case(b"basic") {
        return Presented::Nothing;
    }
    match decode(rest.trim_ascii_start()) {
        Ok(credentials) => Presented::Credentials(credentials),
        Err(why) => Presented::Malformed(why),
    }
}

/// Why the credentials of a Basic header cannot be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidBasic {
    #[error("Basic credentials are not valid base64")]
    Base64,
    #[error("Basic credentials have no colon")]
    NoColon,
    /// No text, no name, or a control character (RFC 7617 section 2).
    #[error("the user name in Basic credentials is not usable")]
    User,
}

fn decode(token: &[u8]) -> Result<Credentials, InvalidBasic> {
    let decoded = base64_simd::STANDARD.decode_to_vec(token).map_err(|_| InvalidBasic::Base64)?;
    let mut halves = decoded.splitn(2, |&byte| byte == b':');
    let (Some(user), Some(password)) = (halves.next(), halves.next()) else {
        return Err(InvalidBasic::NoColon);
    };
    let user = str::from_utf8(user).map_err(|_| InvalidBasic::User)?;
    if user.is_empty() || user.chars().any(char::is_control) {
        return Err(InvalidBasic::User);
    }
    Ok(Credentials { user: user.to_owned(), password: Secret::new(password.to_vec()) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_header_is_read_strictly() {
        use InvalidBasic::{Base64, NoColon, User};
        let found = |user: &str, password: &[u8]| {
            Presented::Credentials(Credentials {
                user: user.to_owned(),
                password: Secret::new(password.to_vec()),
            })
        };
        let encoded = |text: &[u8]| format!("Basic {}", base64_simd::STANDARD.encode_to_string(text));
        for (value, expected) in [
            (None, Presented::Nothing),
            (Some(String::new()), Presented::Nothing),
            (Some("Bearer abc".to_owned()), Presented::Nothing),
            (Some("Basically x".to_owned()), Presented::Nothing),
            (Some("Basic Ym9iOnBhc3N3b3Jk".to_owned()), found("bob", b"password")),
            (Some("bASIC Ym9iOnBhc3N3b3Jk".to_owned()), found("bob", b"password")),
            (Some("Basic   Ym9iOnBhc3N3b3Jk ".to_owned()), found("bob", b"password")),
            (Some(encoded(b"carol:sec:ret")), found("carol", b"sec:ret")),
            (Some(encoded(b"bob:")), found("bob", b"")),
            (Some(encoded(b"bob:p\xe4ss")), found("bob", b"p\xe4ss")),
            (Some("Basic".to_owned()), Presented::Malformed(NoColon)),
            (Some("Basic %%%".to_owned()), Presented::Malformed(Base64)),
            (Some("Basic Ym9iOnBhc3N3b3Jk Ym9i".to_owned()), Presented::Malformed(Base64)),
            (Some("Basic Ym9iOg".to_owned()), Presented::Malformed(Base64)),
            (Some("Basic Ym9iOh==".to_owned()), Presented::Malformed(Base64)),
            (Some("Basic Ym9i-Og_".to_owned()), Presented::Malformed(Base64)),
            (Some(encoded(b"bob")), Presented::Malformed(NoColon)),
            (Some(encoded(b":x")), Presented::Malformed(User)),
            (Some(encoded(b"b\0b:x")), Presented::Malformed(User)),
            (Some(encoded(b"b\xffb:x")), Presented::Malformed(User)),
        ] {
            assert_eq!(read(value.as_ref().map(String::as_bytes)), expected, "{value:?}");
        }
    }

    #[test]
    fn passwords_are_not_shown() {
        let shown = format!("{:?}", Credentials::new("bob".to_owned(), "hunter2".to_owned()));
        assert!(!shown.contains("hunter2"), "{shown}");
    }
}
