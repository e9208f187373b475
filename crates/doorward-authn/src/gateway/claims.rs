//! Somebody as the claims of a token describe them, whether it was signed or somebody was asked about it. Pure.

use std::sync::Arc;

use doorward_core::{PathPattern, Principal, Timestamp, UserInfo};
use serde_json::{Map, Value};

use super::Description;
use crate::judged::{RESERVED, admit_foreign};

/// The claim that its issuer alone gives out (RFC 7519 section 4.1.2).
const SUBJECT: &str = "sub";
/// What the names of clients begin with that act in their own name.
const CLIENTS: &str = "client:";

/// A claim that a token needs.
#[derive(Clone, Debug, PartialEq)]
pub struct RequiredClaim {
    /// A dotted path is allowed.
    pub name: String,
    pub test: ClaimTest,
}

/// What a claim has to be. Of a list, one of the items.
#[derive(Clone, Debug, PartialEq)]
pub enum ClaimTest {
    Present,
    Absent,
    OneOf(Vec<Value>),
    /// Text in which the expression is found; it is the operator's to anchor it.
    Matches(PathPattern),
}

/// Which claims say who somebody is. Dotted paths are allowed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClaimNames {
    pub user: String,
    pub groups: String,
    pub email: String,
}

impl Default for ClaimNames {
    /// `sub`, for nothing else is unique at every issuer (OpenID Connect Core section 5.7).
    fn default() -> Self {
        Self { user: SUBJECT.to_owned(), groups: "groups".to_owned(), email: "email".to_owned() }
    }
}

impl RequiredClaim {
    fn holds(&self, principal: &Principal) -> bool {
        let claim = principal.claim(&self.name).filter(|value| !value.is_null());
        let Some(value) = claim else { return self.test == ClaimTest::Absent };
        let any = |test: &dyn Fn(&Value) -> bool| match value {
            Value::Array(items) => items.iter().any(test),
            single => test(single),
        };
        match &self.test {
            ClaimTest::Present => true,
            ClaimTest::Absent => false,
            ClaimTest::OneOf(values) => any(&|item| values.contains(item)),
            ClaimTest::Matches(pattern) => {
                any(&|item| item.as_str().is_some_and(|text| pattern.is_match(text)))
            }
        }
    }
}

/// What is known of somebody beside the claims.
pub(crate) struct About<'a> {
    pub(crate) authenticator: &'a Arc<str>,
    pub(crate) credential: String,
    pub(crate) expires: Option<Timestamp>,
}

/// Whom the claims describe, or why they describe nobody.
pub(crate) fn principal(
    claims: Map<String, Value>,
    names: &ClaimNames,
    about: About<'_>,
) -> Result<Principal, String> {
    let text = |name: &str| claims.get(name).and_then(Value::as_str).unwrap_or_default().to_owned();
    let client_id = Some(text("client_id")).filter(|id| !id.is_empty()).unwrap_or_else(|| text("azp"));
    let (subject, session) = (text("sub"), Some(text("sid")).filter(|sid| !sid.is_empty()));
    let scopes = scopes(&claims);
    let actor = claims.get("act").filter(|act| act.is_object()).cloned();
    let mut principal = Principal {
        authenticator: Arc::clone(about.authenticator),
        client_id,
        scopes,
        claims,
        actor,
        session,
        credential: about.credential,
        expires: about.expires,
        ..Principal::default()
    };
    let user_name = principal.claim(&names.user).and_then(Value::as_str).unwrap_or_default();
    if user_name.is_empty() {
        return Err(format!("the claim {:?} names nobody", names.user));
    }
    if names.user != SUBJECT && user_name.starts_with(CLIENTS) {
        // Other claims than the subject may be the user's own choice.
        return Err(format!("the claim {:?} begins with {CLIENTS}, as only names of clients do", names.user));
    }
    let groups = principal.claim(&names.groups).map(texts).unwrap_or_default();
    let user = UserInfo { name: user_name.to_owned(), uid: subject, groups, ..UserInfo::default() };
    let email = email(&principal, names);
    principal.user = admit_foreign(user).ok_or(RESERVED)?;
    principal.email = email;
    Ok(principal)
}

/// Whether all claims are there that have to be.
pub(crate) fn check_required(
    principal: &Principal,
    required: &[RequiredClaim],
) -> Result<(), (Description, String)> {
    match required.iter().find(|claim| !claim.holds(principal)) {
        None => Ok(()),
        Some(claim) => Err((
            Description::Untold,
            format!("the claim {:?} is not what requiredClaims demand", claim.name),
        )),
    }
}

/// The address, unless the issuer says that nobody verified it. It stands in headers and logs.
fn email(principal: &Principal, names: &ClaimNames) -> String {
    let unverified = names.email == "email"
        && matches!(principal.claims.get("email_verified"), Some(Value::Bool(false) | Value::String(_)))
        && principal.claims.get("email_verified").and_then(Value::as_str) != Some("true");
    let address = principal.claim(&names.email).and_then(Value::as_str).unwrap_or_default();
    if unverified || address.chars().any(char::is_control) { String::new() } else { address.to_owned() }
}

/// Those of `scope` and of `scp`, each once; either is a list, or a text with spaces between them.
fn scopes(claims: &Map<String, Value>) -> Vec<String> {
    let mut scopes = Vec::new();
    for value in ["scope", "scp"].into_iter().filter_map(|name| claims.get(name)) {
        for text in texts(value) {
            for scope in text.split(' ').filter(|scope| !scope.is_empty()) {
                if !scopes.iter().any(|known| known == scope) {
                    scopes.push(scope.to_owned());
                }
            }
        }
    }
    scopes
}

/// A text, or the texts of a list.
fn texts(value: &Value) -> Vec<String> {
    match value {
        Value::String(text) => vec![text.clone()],
        Value::Array(items) => items.iter().filter_map(Value::as_str).map(str::to_owned).collect(),
        _ => Vec::new(),
    }
}

#[cfg(test)]
mod tests;
