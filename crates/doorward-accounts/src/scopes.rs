//! Scopes of a grant (RFC 6749 section 3.3).

use std::fmt;

use serde::{Deserialize, Serialize};

/// Scopes in the order in which they were asked for, each once.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Scopes(Vec<String>);

/// A scope holds a character that none may hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a scope consists of printable ASCII characters other than quotation mark and backslash")]
pub struct InvalidScope;

impl Scopes {
    /// Reads a list separated by spaces. An empty text has no scopes.
    pub fn parse(text: &str) -> Result<Self, InvalidScope> {
        Self::from_names(text.split(' ').filter(|scope| !scope.is_empty()))
    }

    /// Scopes from single names.
    pub fn from_names<'a>(names: impl IntoIterator<Item = &'a str>) -> Result<Self, InvalidScope> {
        let mut scopes = Self::default();
        for name in names {
            if name.is_empty() || !name.bytes().all(is_scope_character) {
                return Err(InvalidScope);
            }
            scopes.add(name);
        }
        Ok(scopes)
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub fn contains(&self, scope: &str) -> bool {
        self.0.iter().any(|own| own == scope)
    }

    pub fn is_subset(&self, of: &Self) -> bool {
        self.iter().all(|scope| of.contains(scope))
    }

    pub fn iter(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(String::as_str)
    }

    /// These and those of `other`.
    #[must_use]
    pub fn with(mut self, other: &Self) -> Self {
        for scope in other.iter() {
            self.add(scope);
        }
        self
    }

    /// Those of these that `other` has not.
    #[must_use]
    pub fn without(mut self, other: &Self) -> Self {
        self.0.retain(|scope| !other.contains(scope));
        self
    }

    /// Those of these for which `keep` says yes.
    #[must_use]
    pub fn filtered(mut self, keep: impl Fn(&str) -> bool) -> Self {
        self.0.retain(|scope| keep(scope));
        self
    }

    fn add(&mut self, scope: &str) {
        if !self.contains(scope) {
            self.0.push(scope.to_owned());
        }
    }
}

impl fmt::Display for Scopes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (position, scope) in self.iter().enumerate() {
            if 0 < position {
                f.write_str(" ")?;
            }
            f.write_str(scope)?;
        }
        Ok(())
    }
}

const fn is_scope_character(byte: u8) -> bool {
    matches!(byte, 0x21 | 0x23..=0x5b | 0x5d..=0x7e)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, expected: Result<&str, InvalidScope>) {
        assert_eq!(
            Scopes::parse(text).map(|scopes| scopes.to_string()),
            expected.map(str::to_owned),
            "{text:?}"
        );
    }

    #[test]
    fn scopes_keep_their_order_and_stand_once() {
        check("", Ok(""));
        check("openid", Ok("openid"));
        check(" openid  profile openid ", Ok("openid profile"));
        check("user:full role:admin:default:!", Ok("user:full role:admin:default:!"));
        for text in ["a\"b", "a\\b", "a\tb", "a\nb", "ä", "a\u{7f}"] {
            check(text, Err(InvalidScope));
        }
    }

    #[test]
    fn narrower_scopes_are_a_subset() {
        let scopes = |text| Scopes::parse(text).unwrap();
        assert!(scopes("b a").is_subset(&scopes("a b c")));
        assert!(scopes("").is_subset(&scopes("")));
        assert!(!scopes("a d").is_subset(&scopes("a b c")));
        assert_eq!(scopes("a b").with(&scopes("c b")), scopes("a b c"));
        assert_eq!(scopes("a b c").without(&scopes("b")), scopes("a c"));
    }
}
