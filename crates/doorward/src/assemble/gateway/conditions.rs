//! Conditions of routes, as they are written and as `authz` judges them. Every name in them is resolved here.

use std::sync::Arc;

use doorward_authz::gateway::{ClaimTest, Expression, TextPattern, ValueMatch, Wanted};
use doorward_options::structured::{
    Named,
    own::gateway::{AnyOrAll, Expression as Written, Scalar, ValueTest},
};
use doorward_policy::Policies;
use serde_json::Value;

use super::parts;
use crate::assemble::problems::Problems;

/// What the conditions of a route may name.
#[derive(Clone, Copy, Debug)]
pub(super) struct Known<'a> {
    /// `None` if some of them are wrong, which has been told.
    pub(super) policies: Option<&'a Policies>,
    pub(super) policy_names: &'a [&'a str],
    /// The authenticators of the route.
    pub(super) authenticators: &'a [Arc<str>],
}

/// A written value as JSON has it.
pub(super) fn value(written: &Scalar) -> Value {
    match written {
        Scalar::Text(text) => text.as_str().into(),
        Scalar::Int(number) => (*number).into(),
        Scalar::Bool(value) => (*value).into(),
    }
}

/// The condition at `place`.
pub(super) fn expression(
    place: &str,
    written: &Written,
    known: Known<'_>,
    problems: &mut Problems<'_>,
) -> Option<Expression> {
    let key = |key: &str| format!("{place}.{key}");
    match written {
        Written::Nothing => {
            let mend =
                "write one of all, any, not, scopes, groups, users, claims, authenticator, policy and public";
            problems.add(place, "a condition without a key asks for nothing", mend);
            None
        }
        Written::All(parts) => several(&key("all"), parts, known, problems).map(Expression::All),
        Written::Any(parts) => several(&key("any"), parts, known, problems).map(Expression::Any),
        Written::Not(part) => {
            let part = expression(&key("not"), part, known, problems)?;
            Some(Expression::Not(Box::new(part)))
        }
        Written::Scopes(names) => wanted(&key("scopes"), names, problems).map(Expression::Scopes),
        Written::Groups(names) => wanted(&key("groups"), names, problems).map(Expression::Groups),
        Written::Users(names) if names.0.is_empty() => {
            problems.add(&key("users"), "nobody is named", "name somebody, or take it away");
            None
        }
        Written::Users(names) => Some(Expression::Users(names.0.clone())),
        Written::Claims(tests) => claims(&key("claims"), tests, problems),
        Written::Authenticator(names) => authenticators(&key("authenticator"), &names.0, known, problems),
        Written::Policy(name) => policy(&key("policy"), name, known, problems),
        Written::Public(true) => Some(Expression::Public),
        Written::Public(false) => {
            let mend = "take it away: without authorize everybody may who said who they are";
            problems.add(&key("public"), "only true means something", mend);
            None
        }
    }
}

fn several(
    place: &str,
    written: &[Written],
    known: Known<'_>,
    problems: &mut Problems<'_>,
) -> Option<Vec<Expression>> {
    if written.is_empty() {
        problems.add(place, "the list is empty, which would ask for nothing", "write conditions below it");
        return None;
    }
    let parts: Vec<_> = written
        .iter()
        .enumerate()
        .map(|(index, part)| expression(&format!("{place}[{index}]"), part, known, problems))
        .collect();
    parts.into_iter().collect()
}

fn wanted(place: &str, written: &AnyOrAll, problems: &mut Problems<'_>) -> Option<Wanted> {
    let wanted = match written {
        AnyOrAll { any: Some(names), all: None } => Wanted::AnyOf(names.clone()),
        AnyOrAll { any: None, all: Some(names) } => Wanted::AllOf(names.clone()),
        AnyOrAll { any: Some(_), all: Some(_) } => {
            problems.add(place, "any and all stand beside each other", "write two conditions below all");
            return None;
        }
        AnyOrAll { any: None, all: None } => {
            problems.add(place, "nothing is named", "write {any: [...]} or {all: [...]}");
            return None;
        }
    };
    let (Wanted::AnyOf(names) | Wanted::AllOf(names)) = &wanted;
    if names.is_empty() || names.iter().any(String::is_empty) {
        problems.add(place, "a name is missing", "name something, or take it away");
        return None;
    }
    Some(wanted)
}

fn claims(place: &str, tests: &Named<ValueTest>, problems: &mut Problems<'_>) -> Option<Expression> {
    let mut parts = Vec::new();
    let mut are_sound = true;
    for (path, test) in tests.iter() {
        let test = claim_test(&format!("{place}.{path}"), test, problems);
        are_sound &= test.is_some();
        parts.extend(test.map(|test| Expression::Claim { path: path.to_owned(), test }));
    }
    if tests.iter().next().is_none() {
        problems.add(place, "no claim is named", "write claims with their values");
        return None;
    }
    if parts.len() == 1 && are_sound { parts.pop() } else { are_sound.then_some(Expression::All(parts)) }
}

fn claim_test(place: &str, written: &ValueTest, problems: &mut Problems<'_>) -> Option<ClaimTest> {
    match written {
        ValueTest { equals: Some(wanted), within: None, matches: None, present: None } => {
            Some(ClaimTest::Equals(value(wanted)))
        }
        ValueTest { equals: None, within: Some(wanted), matches: None, present: None }
            if !wanted.is_empty() =>
        {
            Some(ClaimTest::OneOf(wanted.iter().map(value).collect()))
        }
        ValueTest { equals: None, within: None, matches: Some(expression), present: None } => {
            pattern(place, expression, problems).map(ClaimTest::Matches)
        }
        _ => {
            problems.add(
                place,
                "the claim is not tested, or by more than one test",
                "write equals, in or matches",
            );
            None
        }
    }
}

fn pattern(place: &str, expression: &str, problems: &mut Problems<'_>) -> Option<TextPattern> {
    let place = format!("{place}.matches");
    problems.take(&place, TextPattern::parse(expression), "write a regular expression for the whole value")
}

/// What a header or query parameter has to be.
pub(super) fn value_match(
    place: &str,
    written: &ValueTest,
    problems: &mut Problems<'_>,
) -> Option<ValueMatch> {
    let text = |value: &Scalar| match value {
        Scalar::Text(text) => text.clone(),
        Scalar::Int(number) => number.to_string(),
        Scalar::Bool(value) => value.to_string(),
    };
    match written {
        ValueTest { equals: Some(wanted), within: None, matches: None, present: None } => {
            Some(ValueMatch::Equals(text(wanted)))
        }
        ValueTest { equals: None, within: Some(wanted), matches: None, present: None }
            if !wanted.is_empty() =>
        {
            Some(ValueMatch::OneOf(wanted.iter().map(text).collect()))
        }
        ValueTest { equals: None, within: None, matches: Some(expression), present: None } => {
            pattern(place, expression, problems).map(ValueMatch::Matches)
        }
        ValueTest { equals: None, within: None, matches: None, present: Some(true) } => {
            Some(ValueMatch::Present)
        }
        ValueTest { equals: None, within: None, matches: None, present: Some(false) } => {
            Some(ValueMatch::Absent)
        }
        _ => {
            let message = "the value is not tested, or by more than one test";
            problems.add(place, message, "write equals, in, matches or present");
            None
        }
    }
}

fn authenticators(
    place: &str,
    names: &[String],
    known: Known<'_>,
    problems: &mut Problems<'_>,
) -> Option<Expression> {
    if names.is_empty() {
        problems.add(place, "no authenticator is named", "name one of the route's");
        return None;
    }
    let mut found = Vec::new();
    for name in names {
        if let Some(own) = known.authenticators.iter().find(|own| ***own == **name) {
            found.push(Arc::clone(own));
        } else {
            let own: Vec<&str> = known.authenticators.iter().map(|name| &**name).collect();
            let message = format!("{name:?} is none of the authenticators of this route");
            problems.add(place, message, parts::mend_of(name, &own));
        }
    }
    (found.len() == names.len()).then_some(Expression::Authenticator(found))
}

fn policy(place: &str, name: &str, known: Known<'_>, problems: &mut Problems<'_>) -> Option<Expression> {
    if !known.policy_names.contains(&name) {
        let mend = parts::mend_of(name, known.policy_names);
        problems.add(place, format!("there is no policy {name:?} below gateway.policies"), mend);
        return None;
    }
    // Where some policies are wrong, that has been told.
    let Some(index) = known.policies?.index(name) else {
        problems.add(place, format!("the policy {name:?} was not loaded"), "report this");
        return None;
    };
    Some(Expression::Policy { name: name.into(), index })
}
