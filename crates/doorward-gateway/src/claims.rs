//! What tokens say of somebody, from what is known of them.

use doorward_core::Principal;
use doorward_jose::Claims;
use serde_json::{Value, json};

/// What the gateway alone says; nobody selects these.
const RESERVED: [&str; 16] = [
    "iss",
    "sub",
    "aud",
    "exp",
    "nbf",
    "iat",
    "jti",
    "client_id",
    "scope",
    "act",
    "may_act",
    "sid",
    "authz",
    "rid",
    "cnf",
    "origin",
];

/// Claims that cannot be selected.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the claim {name:?} says what the gateway itself says; leave it out")]
pub struct InvalidClaims {
    pub name: String,
}

/// The claims that an operator selected, checked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Selection(Vec<String>);

impl Selection {
    /// `groups`, `email`, `email_verified`, `preferred_username`, `authenticator`, or the path of any claim of the token
    /// or session, which stands under the same text.
    pub(crate) fn new(names: Vec<String>) -> Result<Self, InvalidClaims> {
        match names.iter().find(|name| RESERVED.contains(&name.as_str())) {
            Some(name) => Err(InvalidClaims { name: name.clone() }),
            None => Ok(Self(names)),
        }
    }

    /// Adds what is known.
    pub(crate) fn add_to(&self, claims: &mut Claims, who: &Principal) {
        for name in &self.0 {
            if let Some(value) = selected(who, name) {
                claims.insert(name.clone(), value);
            }
        }
    }
}

fn selected(who: &Principal, name: &str) -> Option<Value> {
    let text = |text: &str| (!text.is_empty()).then(|| Value::from(text));
    match name {
        "groups" => (!who.user.groups.is_empty()).then(|| json!(who.user.groups)),
        "email" => text(&who.email),
        "email_verified" => (!who.email.is_empty()).then_some(Value::Bool(true)),
        "authenticator" => text(&who.authenticator),
        "preferred_username" => who.claim(name).cloned().or_else(|| text(&who.user.name)),
        path => who.claim(path).cloned(),
    }
}

/// Who it is, for `sub`: the id that is never given anew, else the name. `None` for nobody in particular.
pub(crate) fn subject(who: &Principal) -> Option<&str> {
    if who.is_anonymous() {
        return None;
    }
    [&who.user.uid, &who.user.name].into_iter().find(|text| !text.is_empty()).map(String::as_str)
}

/// Adds a text, unless it is empty.
pub(crate) fn say(claims: &mut Claims, name: &str, text: &str) {
    if !text.is_empty() {
        claims.insert(name.to_owned(), text.into());
    }
}
