//! Who somebody is, and the tokens that came with the answer.

use std::collections::BTreeMap;

use crate::{SecretString, UserInfo};

/// A person or service as an identity provider (or password file) described it.
/// Empty text means: not known.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Identity {
    /// The provider's stable id for the user (`sub`), or the name from a password file.
    pub user: String,
    pub email: String,
    pub groups: Vec<String>,
    pub preferred_username: String,
    /// Further claims that the configuration asked to keep, by name.
    pub additional: BTreeMap<String, serde_json::Value>,
}

impl Identity {
    /// Somebody who does not say who they are.
    pub fn anonymous() -> Self {
        UserInfo::anonymous().into()
    }

    /// The e-mail address, else the user id: what logs and `GAP-Auth` call the user.
    pub fn display_name(&self) -> &str {
        if self.email.is_empty() { &self.user } else { &self.email }
    }
}

/// The name serves as id and as name; no address is known.
impl From<UserInfo> for Identity {
    fn from(user: UserInfo) -> Self {
        Self {
            preferred_username: user.name.clone(),
            user: user.name,
            groups: user.groups,
            ..Self::default()
        }
    }
}

/// OAuth 2.0 tokens (RFC 6749 section 1.4) and the ID token (`OpenID Connect` Core section 2).
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Tokens {
    pub access: Option<SecretString>,
    pub id: Option<SecretString>,
    pub refresh: Option<SecretString>,
}
