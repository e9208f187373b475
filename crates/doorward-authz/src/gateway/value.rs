//! What headers, query parameters and claims have to be.

use doorward_core::{InvalidPattern, PathPattern};

/// An expression that a whole text has to be, never only a part of it: `admin` does not hold for `notadmin`.
#[derive(Clone, Debug, PartialEq)]
pub struct TextPattern {
    whole: PathPattern,
    written: String,
}

impl TextPattern {
    /// Reads an expression as Go's `regexp` does.
    pub fn parse(expression: &str) -> Result<Self, InvalidPattern> {
        // Alone first: what is wrong by itself could be right between brackets (`a)|(b`).
        PathPattern::parse(expression)?;
        match PathPattern::parse(&format!("^(?:{expression})$")) {
            Ok(whole) => Ok(Self { whole, written: expression.to_owned() }),
            Err(fault) => Err(InvalidPattern { expression: expression.to_owned(), ..fault }),
        }
    }

    pub fn holds(&self, text: &str) -> bool {
        self.whole.is_match(text)
    }

    /// The expression as it was written.
    pub fn as_str(&self) -> &str {
        &self.written
    }
}

/// A condition on a header or a query parameter.
#[derive(Clone, Debug, PartialEq)]
pub enum ValueMatch {
    Present,
    Absent,
    Equals(String),
    OneOf(Vec<String>),
    Matches(TextPattern),
}

impl ValueMatch {
    /// Whether it holds for all of several values, or for none of them.
    pub(super) fn fit<'v>(&self, values: impl IntoIterator<Item = &'v str>) -> ValueFit {
        let mut found = None;
        for value in values {
            let holds = self.holds(value);
            match found {
                None => found = Some(holds),
                Some(earlier) if earlier == holds => (),
                Some(_) => return ValueFit::Mixed,
            }
        }
        match (found, self) {
            (None, Self::Absent) | (Some(true), _) => ValueFit::Yes,
            _ => ValueFit::No,
        }
    }

    fn holds(&self, value: &str) -> bool {
        match self {
            Self::Present => true,
            Self::Absent => false,
            Self::Equals(wanted) => value == wanted,
            Self::OneOf(wanted) => wanted.iter().any(|wanted| value == wanted),
            Self::Matches(pattern) => pattern.holds(value),
        }
    }

    /// Whether it surely holds wherever `other` does.
    pub(super) fn covers(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Present, other) => !matches!(other, Self::Absent),
            (Self::OneOf(_) | Self::Matches(_), Self::Equals(value)) => self.holds(value),
            (Self::OneOf(_) | Self::Matches(_), Self::OneOf(values)) => {
                values.iter().all(|value| self.holds(value))
            }
            _ => self == other,
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ValueFit {
    Yes,
    No,
    /// It holds for one of the values and not for another, and nobody knows which of them counts further on.
    Mixed,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_expression_is_about_the_whole_text() {
        for (expression, text, expected) in [
            ("admin", "admin", true),
            ("admin", "notadmin", false),
            ("admin", "admin\n", false),
            ("a|b", "b", true),
            ("a|b", "ab", false),
            ("a|b", "xb", false),
            ("(?i)Ops", "oPS", true),
            ("", "", true),
            ("", "x", false),
            (".*@example\\.com", "a@example.com", true),
            (".*@example\\.com", "a@example.com.evil.test", false),
            (".*", "a\nb", false),
        ] {
            assert_eq!(
                TextPattern::parse(expression).unwrap().holds(text),
                expected,
                "{expression} on {text:?}"
            );
        }
        for expression in ["(", "a)|(b", "(?x) a # b", "\\Qa"] {
            assert!(TextPattern::parse(expression).is_err(), "{expression}");
        }
    }

    #[test]
    fn values_that_disagree_settle_nothing() {
        let one = |condition: ValueMatch, values: &[&str]| condition.fit(values.iter().copied());
        let read = || ValueMatch::Equals("read".to_owned());
        for (condition, values, expected) in [
            (read(), &["read"][..], ValueFit::Yes),
            (read(), &["read", "read"], ValueFit::Yes),
            (read(), &["write"], ValueFit::No),
            (read(), &["write", "delete"], ValueFit::No),
            (read(), &["read", "delete"], ValueFit::Mixed),
            (read(), &["delete", "read"], ValueFit::Mixed),
            (read(), &[], ValueFit::No),
            (ValueMatch::Present, &["a", ""], ValueFit::Yes),
            (ValueMatch::Present, &[], ValueFit::No),
            (ValueMatch::Absent, &[], ValueFit::Yes),
            (ValueMatch::Absent, &["a"], ValueFit::No),
        ] {
            assert_eq!(one(condition.clone(), values), expected, "{condition:?} on {values:?}");
        }
    }
}
