//! Somebody whose credential is good, in all that policies and applications may hear of it.

use std::{collections::BTreeMap, sync::Arc};

use serde_json::{Map, Value};

use crate::{Timestamp, UserInfo};

/// Who sends a request to a route of the gateway, as one of its authenticators found out.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Principal {
    pub user: UserInfo,
    /// Empty if none is known, or nobody verified it.
    pub email: String,
    /// The authenticator's name in the configuration.
    pub authenticator: Arc<str>,
    /// The OAuth client that the credential was issued to; empty if there is none.
    pub client_id: String,
    /// OAuth scopes (RFC 6749 section 3.3), in the order of the credential.
    pub scopes: Vec<String>,
    /// What the token or session says besides, by claim name (RFC 7519). Nothing here was copied from the request.
    pub claims: Map<String, Value>,
    /// Who acts for the user: the `act` claim (RFC 8693 section 4.1).
    pub actor: Option<Value>,
    /// The session that the credential belongs to (`sid`), if any.
    pub session: Option<String>,
    /// Names the credential in logs and caches: a hash of it.
    pub credential: String,
    /// For a token of our own, what it came from, as tokens that are made in its place have to say: nobody else may.
    pub origin: Option<Value>,
    /// When the credential ends by itself.
    pub expires: Option<Timestamp>,
}

impl Principal {
    /// Nobody in particular.
    pub fn anonymous(authenticator: Arc<str>) -> Self {
        Self { user: UserInfo::anonymous(), authenticator, ..Self::default() }
    }

    pub fn is_anonymous(&self) -> bool {
        self.user.is_anonymous()
    }

    /// The value at a dotted path into the claims, e.g. `realm_access.roles`. A claim whose own name holds the dots
    /// comes first.
    pub fn claim(&self, path: &str) -> Option<&Value> {
        if let Some(value) = self.claims.get(path) {
            return Some(value);
        }
        let mut names = path.split('.');
        let first = self.claims.get(names.next()?)?;
        names.try_fold(first, |value, name| value.get(name))
    }
}

/// Parameters of a path template, by name.
pub type PathParameters = BTreeMap<String, String>;
