//! Values that must never reach a log, a page or a `Debug` output.

use std::fmt;

/// Holds a secret. It has no `Display` and no serialisation, and its `Debug` is constant;
/// `grep expose` lists every place where a secret is used.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Secret<T>(T);

/// A secret piece of text: a token, a password, a client secret.
pub type SecretString = Secret<String>;

impl<T> Secret<T> {
    pub const fn new(value: T) -> Self {
        Self(value)
    }

    /// The secret itself. Never pass the result to a log or an error message.
    pub const fn expose(&self) -> &T {
        &self.0
    }

    pub fn into_exposed(self) -> T {
        self.0
    }
}

impl<T> fmt::Debug for Secret<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[secret]")
    }
}

impl From<&str> for SecretString {
    fn from(value: &str) -> Self {
        Self(value.to_owned())
    }
}

impl From<String> for SecretString {
    fn from(value: String) -> Self {
        Self(value)
    }
}
