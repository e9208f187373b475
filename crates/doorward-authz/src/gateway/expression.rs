//! What a route asks of whoever sends a request to it: a tree of conditions (norm B5.1). Judging it is in
//! [`super::Trial`]; here is what it is, and what can be told of it before any request.

use std::{fmt, sync::Arc};

use doorward_core::Principal;
use doorward_policy::PolicyIndex;
use serde_json::Value;

use super::value::TextPattern;

/// Conditions, tried from left to right and no further than needed.
#[derive(Clone, Debug, PartialEq)]
pub enum Expression {
    /// Each of them holds. The first that does not, or cannot be judged, decides.
    All(Vec<Self>),
    /// One of them holds. One that cannot be judged counts as one that does not, but leaves the whole unjudged.
    Any(Vec<Self>),
    /// It does not hold. What cannot be judged stays so.
    Not(Box<Self>),
    /// OAuth scopes of the credential.
    Scopes(Wanted),
    Groups(Wanted),
    /// The user's name is one of these.
    Users(Vec<String>),
    /// A claim by its dotted path (see [`Principal::claim`]). Of a list, one item is enough.
    Claim {
        path: String,
        test: ClaimTest,
    },
    /// One of the authenticators of these names found out who it is.
    Authenticator(Vec<Arc<str>>),
    /// The policy allows it.
    Policy {
        name: Arc<str>,
        index: PolicyIndex,
    },
    /// Everybody, also who is anonymous.
    Public,
    /// Everybody who is not anonymous.
    AnyoneKnown,
}

/// Names that somebody has to have.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Wanted {
    AnyOf(Vec<String>),
    AllOf(Vec<String>),
}

/// What a claim has to be. Texts, numbers and truth values are never taken for each other.
#[derive(Clone, Debug, PartialEq)]
pub enum ClaimTest {
    Equals(Value),
    OneOf(Vec<Value>),
    /// A text that the expression is the whole of.
    Matches(TextPattern),
}

impl Wanted {
    pub(super) fn names(&self) -> &[String] {
        match self {
            Self::AnyOf(names) | Self::AllOf(names) => names,
        }
    }

    pub(super) fn holds(&self, own: &[String]) -> bool {
        let has = |name: &String| own.contains(name);
        match self {
            Self::AnyOf(names) => names.iter().any(has),
            // Nothing at all is asked of nobody; it is refused at the start.
            Self::AllOf(names) => !names.is_empty() && names.iter().all(has),
        }
    }

    /// What is missing from `own`: of one that would be enough, all.
    pub(super) fn missing(&self, own: &[String]) -> Vec<String> {
        self.names().iter().filter(|name| !own.contains(name)).cloned().collect()
    }
}

impl ClaimTest {
    pub(super) fn holds(&self, claim: &Value) -> bool {
        let is_met = |value: &Value| match self {
            Self::Equals(wanted) => value == wanted,
            Self::OneOf(wanted) => wanted.contains(value),
            Self::Matches(pattern) => value.as_str().is_some_and(|text| pattern.holds(text)),
        };
        is_met(claim) || claim.as_array().is_some_and(|items| items.iter().any(is_met))
    }
}

impl Expression {
    /// All policies in it, from left to right.
    pub fn policies(&self) -> impl Iterator<Item = PolicyIndex> {
        let mut found = Vec::new();
        self.collect_policies(&mut found);
        found.into_iter()
    }

    /// Whether somebody anonymous could fulfil it. What a policy would say is not known, so it might.
    pub fn may_hold_for_anonymous(&self, authenticator: &Arc<str>) -> bool {
        self.prospect(&Principal::anonymous(Arc::clone(authenticator))) != Prospect::Never
    }

    fn prospect(&self, who: &Principal) -> Prospect {
        let each = |parts: &[Self]| parts.iter().map(|part| part.prospect(who)).collect::<Vec<_>>();
        match self {
            Self::All(parts) => each(parts).into_iter().min().unwrap_or(Prospect::Never),
            Self::Any(parts) => each(parts).into_iter().max().unwrap_or(Prospect::Never),
            Self::Not(part) => match part.prospect(who) {
                Prospect::Never => Prospect::Surely,
                Prospect::Perhaps => Prospect::Perhaps,
                Prospect::Surely => Prospect::Never,
            },
            Self::Policy { .. } => Prospect::Perhaps,
            simple if simple.holds_simply(who) => Prospect::Surely,
            _ => Prospect::Never,
        }
    }

    /// For conditions that neither contain others nor ask a policy; those hold for nobody.
    pub(super) fn holds_simply(&self, who: &Principal) -> bool {
        match self {
            Self::Scopes(wanted) => wanted.holds(&who.scopes),
            Self::Groups(wanted) => wanted.holds(&who.user.groups),
            Self::Users(names) => names.contains(&who.user.name),
            Self::Claim { path, test } => who.claim(path).is_some_and(|claim| test.holds(claim)),
            Self::Authenticator(names) => names.contains(&who.authenticator),
            Self::Public => true,
            Self::AnyoneKnown => !who.is_anonymous(),
            Self::All(_) | Self::Any(_) | Self::Not(_) | Self::Policy { .. } => false,
        }
    }

    /// The kind of the first condition that is empty, which nobody can have meant.
    pub(super) fn first_empty(&self) -> Option<&'static str> {
        let empty = |is_empty: bool, name| is_empty.then_some(name);
        match self {
            Self::All(parts) => empty(parts.is_empty(), "all").or_else(|| first_empty_of(parts)),
            Self::Any(parts) => empty(parts.is_empty(), "any").or_else(|| first_empty_of(parts)),
            Self::Not(part) => part.first_empty(),
            Self::Scopes(wanted) => empty(wanted.names().is_empty(), "scopes"),
            Self::Groups(wanted) => empty(wanted.names().is_empty(), "groups"),
            Self::Users(names) => empty(names.is_empty(), "users"),
            Self::Authenticator(names) => empty(names.is_empty(), "authenticator"),
            Self::Claim { path, test } => match test {
                ClaimTest::OneOf(values) => empty(values.is_empty() || path.is_empty(), "claims"),
                ClaimTest::Equals(_) | ClaimTest::Matches(_) => empty(path.is_empty(), "claims"),
            },
            Self::Policy { .. } | Self::Public | Self::AnyoneKnown => None,
        }
    }

    pub(super) fn collect_scopes<'a>(&'a self, scopes: &mut Vec<&'a str>) {
        match self {
            Self::All(parts) | Self::Any(parts) => parts.iter().for_each(|part| part.collect_scopes(scopes)),
            Self::Scopes(wanted) => {
                for name in wanted.names() {
                    if !scopes.contains(&name.as_str()) {
                        scopes.push(name);
                    }
                }
            }
            _ => (),
        }
    }

    fn collect_policies(&self, found: &mut Vec<PolicyIndex>) {
        match self {
            Self::All(parts) | Self::Any(parts) => parts.iter().for_each(|part| part.collect_policies(found)),
            Self::Not(part) => part.collect_policies(found),
            Self::Policy { index, .. } => found.push(*index),
            _ => (),
        }
    }
}

fn first_empty_of(parts: &[Expression]) -> Option<&'static str> {
    parts.iter().find_map(Expression::first_empty)
}

/// Whether an expression will hold, as far as it is known without any policy.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Prospect {
    Never,
    Perhaps,
    Surely,
}

/// One line, without what other conditions it holds.
impl fmt::Display for Expression {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::All(_) => f.write_str("all"),
            Self::Any(_) => f.write_str("any"),
            Self::Not(_) => f.write_str("not"),
            Self::Scopes(wanted) => write!(f, "scopes: {wanted}"),
            Self::Groups(wanted) => write!(f, "groups: {wanted}"),
            Self::Users(names) => write!(f, "users: {}", names.join(", ")),
            Self::Claim { path, test } => write!(f, "claim {path} {test}"),
            Self::Authenticator(names) => write!(f, "authenticator: {}", names.join(", ")),
            Self::Policy { name, .. } => write!(f, "policy {name}"),
            Self::Public => f.write_str("public"),
            Self::AnyoneKnown => f.write_str("anybody known"),
        }
    }
}

impl fmt::Display for Wanted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::AnyOf(names) => write!(f, "any of {}", names.join(", ")),
            Self::AllOf(names) => write!(f, "all of {}", names.join(", ")),
        }
    }
}

impl fmt::Display for ClaimTest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Equals(value) => write!(f, "equals {value}"),
            Self::OneOf(values) => {
                let values: Vec<String> = values.iter().map(Value::to_string).collect();
                write!(f, "is one of {}", values.join(", "))
            }
            Self::Matches(pattern) => write!(f, "matches {}", pattern.as_str()),
        }
    }
}
