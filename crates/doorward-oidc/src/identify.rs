//! From claims to an identity (`providers.md` section 2). Pure: the claims are already believed.
//! A claim is looked up in the ID token, then in userinfo; by its literal name, then as a dotted path.

use std::collections::BTreeMap;

use doorward_core::Identity;
use doorward_jose::Claims;
use serde_json::{Number, Value};

use crate::config::{Config, EmailVerification, ProviderKind};

/// Why believed claims do not make an identity we accept.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum IdentifyError {
    #[error("neither the id_token nor the profileURL set an email")]
    EmailMissing,
    #[error("the provider says that the e-mail address is not verified")]
    EmailUnverified,
    /// OpenID Connect Core section 2: every ID token has one.
    #[error("the id_token names no subject (sub)")]
    SubjectMissing,
    #[error("the claim {claim} is a list or an object, which names nobody")]
    NotText { claim: String },
}

/// Which claims make an identity.
#[derive(Debug)]
pub(crate) struct ClaimNames {
    email: String,
    groups: String,
    additional: Vec<String>,
    email_verification: EmailVerification,
    /// Whether an address counts that the provider says nothing about.
    unsaid: Unsaid,
    /// Where the address is looked for if the claim for it is empty.
    instead_of_email: &'static [&'static str],
    needed: Needed,
    naming: Naming,
}

/// What it means that a provider does not say whether an address is verified.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Unsaid {
    Verified,
    Unverified,
}

/// For what userinfo is asked if the ID token lacks it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Needed {
    Everything,
    /// There, nothing else would be found.
    Email,
    /// There is nobody to ask.
    Nothing,
}

/// What a user is called.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Naming {
    /// By the subject, and there must be an e-mail address.
    Subject,
    /// By the name at the provider, which gives none twice.
    Name,
    /// By `nickname`, which GitLab gives nobody twice, and there must be an e-mail address.
    Nickname,
}

impl ClaimNames {
    pub(crate) fn new(config: &Config) -> Self {
        // Another claim than "email" is not what the provider's email_verified speaks about.
        let verifiable = config.email_claim == "email";
        Self {
            email: config.email_claim.clone(),
            groups: config.groups_claim.clone(),
            additional: config.additional_claims.clone(),
            email_verification: if verifiable {
                config.email_verification
            } else {
                EmailVerification::Ignored
            },
            unsaid: match config.kind {
                ProviderKind::Google(_) | ProviderKind::LoginGov => Unsaid::Unverified,
                _ => Unsaid::Verified,
            },
            instead_of_email: match config.kind {
                ProviderKind::Adfs => &["upn"],
                ProviderKind::Azure(_) => &["mail", "otherMails", "userPrincipalName"],
                _ => &[],
            },
            needed: match config.kind {
                ProviderKind::Azure(_) => Needed::Email,
                ProviderKind::Google(_) => Needed::Nothing,
                _ => Needed::Everything,
            },
            naming: match config.kind {
                ProviderKind::Doorward => Naming::Name,
                ProviderKind::GitLab(_) => Naming::Nickname,
                _ => Naming::Subject,
            },
        }
    }

    /// Whether the ID token has every claim, so that userinfo need not be asked. The subject is never asked for: the ID
    /// token has it, or is worth nothing.
    pub(crate) fn are_all_in(&self, id: &Claims) -> bool {
        match self.needed {
            Needed::Everything => (),
            Needed::Email => return lookup(id, &self.email).is_some(),
            Needed::Nothing => return true,
        }
        let fixed = ["preferred_username", self.email.as_str(), self.groups.as_str()];
        let verified = (self.email_verification == EmailVerification::Required).then_some("email_verified");
        let mut wanted = fixed.into_iter().chain(verified).chain(self.additional.iter().map(String::as_str));
        wanted.all(|name| lookup(id, name).is_some())
    }

    /// The identity of a login: the ID token itself must name its subject, and there must be an e-mail address.
    pub(crate) fn identity(&self, id: &Claims, profile: Option<&Claims>) -> Result<Identity, IdentifyError> {
        subject(id)?;
        let identity = self.identity_without_email_check(id, profile)?;
        let needs_email = self.naming != Naming::Name;
        if needs_email && identity.email.is_empty() { Err(IdentifyError::EmailMissing) } else { Ok(identity) }
    }

    /// The identity of a bearer token: without an address the subject stands in for it.
    pub(crate) fn bearer_identity(&self, claims: &Claims) -> Result<Identity, IdentifyError> {
        let mut identity = self.identity_without_email_check(claims, None)?;
        if identity.email.is_empty() {
            identity.email.clone_from(&identity.user);
        }
        if identity.email.is_empty() { Err(IdentifyError::EmailMissing) } else { Ok(identity) }
    }

    /// What the user of an ID token is called, as far as that token alone says it.
    pub(crate) fn user(&self, id: &Claims) -> Result<String, IdentifyError> {
        subject(id)?;
        Ok(self.identity_without_email_check(id, None)?.user)
    }

    fn identity_without_email_check(
        &self,
        id: &Claims,
        profile: Option<&Claims>,
    ) -> Result<Identity, IdentifyError> {
        let find = |name: &str| lookup(id, name).or_else(|| profile.and_then(|claims| lookup(claims, name)));
        let text = |name: &str| find(name).map(as_text).unwrap_or_default();
        if self.email_verification == EmailVerification::Required
            && find("email_verified").is_some_and(|value| !is_true(value))
        {
            return Err(IdentifyError::EmailUnverified);
        }
        let additional: BTreeMap<String, Value> =
            self.additional.iter().filter_map(|name| Some((name.clone(), find(name)?.clone()))).collect();
        let name = |claim: &str| find(claim).map_or_else(|| Ok(String::new()), |value| as_name(claim, value));
        let subject = name("sub")?;
        let chosen = match self.naming {
            Naming::Subject => String::new(),
            Naming::Name => name("preferred_username")?,
            Naming::Nickname => name("nickname")?,
        };
        // Without a name, nobody is let in under another's.
        let user = if chosen.is_empty() { subject } else { chosen };
        let mut email = name(&self.email)?;
        if !email.is_empty()
            && (self.unsaid, self.email_verification) == (Unsaid::Unverified, EmailVerification::Required)
            && find("email_verified").is_none()
        {
            return Err(IdentifyError::EmailUnverified);
        }
        if email.is_empty() {
            let mut others = self.instead_of_email.iter().filter_map(|claim| find(claim));
            others.find_map(first_text).unwrap_or_default().clone_into(&mut email);
        }
        Ok(Identity {
            user,
            email,
            groups: find(&self.groups).map(as_list).unwrap_or_default(),
            preferred_username: text("preferred_username"),
            additional,
        })
    }
}

/// A text, or the first of a list.
fn first_text(value: &Value) -> Option<&str> {
    let value = value.as_array().map_or(Some(value), |all| all.first())?;
    value.as_str().filter(|text| !text.is_empty())
}

/// The subject, which the ID token alone states.
pub(crate) fn subject(id: &Claims) -> Result<String, IdentifyError> {
    let subject = lookup(id, "sub").map_or(Ok(String::new()), |value| as_name("sub", value))?;
    if subject.is_empty() { Err(IdentifyError::SubjectMissing) } else { Ok(subject) }
}

/// The value of a claim; `null` counts as absent.
fn lookup<'a>(claims: &'a Claims, name: &str) -> Option<&'a Value> {
    let present = |value: &&Value| !value.is_null();
    if let Some(value) = claims.get(name).filter(present) {
        return Some(value);
    }
    let (first, rest) = name.split_once('.')?;
    let mut value = claims.get(first)?;
    for step in rest.split('.') {
        value = value.as_object()?.get(step)?;
    }
    Some(value).filter(present)
}

fn as_text(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Number(number) => number_text(number),
        other => other.to_string(),
    }
}

/// The text of a claim that tells people apart. The JSON text of a list would be a name that nobody gave.
fn as_name(claim: &str, value: &Value) -> Result<String, IdentifyError> {
    match value {
        Value::Array(_) | Value::Object(_) => Err(IdentifyError::NotText { claim: claim.to_owned() }),
        scalar => Ok(as_text(scalar)),
    }
}

/// A whole number has no decimal point, however the provider wrote it.
fn number_text(number: &Number) -> String {
    let text = number.to_string();
    match text.strip_suffix(".0") {
        Some(whole) if whole.bytes().all(|byte| byte.is_ascii_digit() || byte == b'-') => whole.to_owned(),
        _ => text,
    }
}

/// A list item by item; a single value is a list of one.
fn as_list(value: &Value) -> Vec<String> {
    match value {
        Value::Array(items) => items.iter().filter(|item| !item.is_null()).map(as_text).collect(),
        single => vec![as_text(single)],
    }
}

/// Providers write `email_verified` as a truth value, a text or a number. What is not clearly true is false.
fn is_true(value: &Value) -> bool {
    match value {
        Value::Bool(verified) => *verified,
        Value::String(text) => matches!(text.to_ascii_lowercase().as_str(), "true" | "t" | "1"),
        Value::Number(number) => number.as_i64() == Some(1),
        Value::Null | Value::Array(_) | Value::Object(_) => false,
    }
}

#[cfg(test)]
mod tests;
