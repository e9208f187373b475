//! Permission as a value: whoever wants to carry a request to the application must hold a [`Permit`].

use std::{fmt, sync::Arc};

/// Names the rule that decided, for logs and explanations, e.g. `skip-auth-route[0]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RuleId(Arc<str>);

impl RuleId {
    pub fn new(name: &str) -> Self {
        Self(name.into())
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for RuleId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Why a request may pass.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Grounds {
    /// An `OPTIONS` request under `--skip-auth-preflight`.
    Preflight,
    /// The path needs no authentication.
    PublicRoute(RuleId),
    /// The client's network needs no authentication.
    TrustedNetwork(RuleId),
    /// A known identity fulfils the rule's requirements.
    Rule(RuleId),
    /// Nobody said who they are, and the rule lets such requests pass (`apiAuth.anonymous`).
    Anonymous(RuleId),
    /// A known identity fulfils what a route of the gateway asks.
    Route(RuleId),
}

impl fmt::Display for Grounds {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Preflight => f.write_str("preflight request"),
            Self::PublicRoute(rule) => write!(f, "public route {rule}"),
            Self::TrustedNetwork(rule) => write!(f, "trusted network {rule}"),
            Self::Rule(rule) => write!(f, "signed in, and rule {rule} is fulfilled"),
            Self::Anonymous(rule) => write!(f, "anonymous, which rule {rule} allows"),
            Self::Route(rule) => write!(f, "known, and route {rule} is fulfilled"),
        }
    }
}

/// Proof that policy let a request pass. Forwarding consumes it. Only `doorward-authz` makes one.
#[derive(Debug)]
pub struct Permit {
    grounds: Grounds,
}

impl Permit {
    /// Claims that policy was asked and agreed. Called in `doorward-authz` alone (`cargo xtask arrows` checks).
    pub const fn assertion(grounds: Grounds) -> Self {
        Self { grounds }
    }

    pub const fn grounds(&self) -> &Grounds {
        &self.grounds
    }
}
