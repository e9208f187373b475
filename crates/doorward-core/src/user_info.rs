//! What a credential of an API request says about its bearer, in the shape that Kubernetes uses (`user.Info`).

use std::collections::BTreeMap;

/// Everybody who is known, whoever vouched for them.
pub const AUTHENTICATED: &str = "system:authenticated";
/// Everybody who is not.
pub const UNAUTHENTICATED: &str = "system:unauthenticated";
/// The name of those who are not.
pub const ANONYMOUS: &str = "system:anonymous";

/// A person or service. Empty text means: not known.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct UserInfo {
    pub name: String,
    /// Never the same for two users, also where a name is given anew.
    pub uid: String,
    pub groups: Vec<String>,
    /// Further facts, by name; e.g. `scopes.authorization.openshift.io`.
    pub extra: BTreeMap<String, Vec<String>>,
}

impl UserInfo {
    /// Somebody who presented no credential, where that is allowed.
    pub fn anonymous() -> Self {
        Self { name: ANONYMOUS.to_owned(), groups: vec![UNAUTHENTICATED.to_owned()], ..Self::default() }
    }

    pub fn is_anonymous(&self) -> bool {
        self.name == ANONYMOUS
    }

    /// Drops the groups that nobody may assert, and adds the one that everybody known is in.
    #[must_use]
    pub fn authenticated(mut self) -> Self {
        self.groups.retain(|group| group != AUTHENTICATED && group != UNAUTHENTICATED);
        self.groups.push(AUTHENTICATED.to_owned());
        self
    }
}
