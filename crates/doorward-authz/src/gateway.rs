//! Routes of the gateway: which of them a request belongs to, whether somebody may pass, and to which upstream.
//!
//! Routes stand in configured order and the first that matches decides, with nothing behind it being tried. What could
//! be read as a request to another route is refused rather than interpreted ([`Unclear`]). Deciding is pure but for the
//! policies that are asked by name; it has three values, and a fault is never a yes, also below `not`.

mod expression;
mod host;
mod matching;
mod routes;
mod ruling;
mod template;
mod trial;
mod value;

pub use expression::{ClaimTest, Expression, Wanted};
pub use host::{HostPattern, InvalidHostPattern};
pub use matching::{Asked, Exchange, Match, Mismatch, Unclear, WebSocketMatch};
pub use routes::{Fit, Found, InvalidRoute, RouteFault, Routes, Search};
pub use ruling::{Denial, Effects, Fault, Grant, PolicyAnswer, Ruling, Unfulfilled};
pub use template::{InvalidTemplate, PathTemplate};
pub use trial::{Next, Step, Trial, Truth};
pub use value::{TextPattern, ValueMatch};

use std::time::Duration;

use doorward_core::{Principal, RuleId, Timestamp};

/// One route: some requests, who may send them, and where they go.
#[derive(Clone, Debug, PartialEq)]
pub struct Route {
    pub id: RuleId,
    pub matches: Match,
    /// What is asked of whoever sends such a request.
    pub authorize: Expression,
    /// Which upstream somebody's requests go to: the first whose expression holds. There are no policies in them. With
    /// none at all the route has one upstream, for everybody.
    pub upstreams: Vec<Expression>,
    pub step_up: Option<StepUp>,
}

/// How recently and how well somebody has to have signed in (RFC 9470).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct StepUp {
    /// One of these values of the claim `acr`; empty asks for none.
    pub acr: Vec<String>,
    /// The longest time since the claim `auth_time`.
    pub max_age: Option<Duration>,
}

impl Route {
    /// Whether the sender of a request may pass, and with what effects: [`Trial::run`] decides. Policies are asked only where
    /// the answer depends on them, from left to right, each once.
    pub fn trial<'a>(&'a self, who: &'a Principal, now: Timestamp) -> Trial<'a> {
        Trial::new(self, who, now)
    }

    /// The scopes that the route's expression asks for anywhere outside of `not`, for `WWW-Authenticate` (RFC 6750
    /// section 3), each once and in order.
    pub fn scopes(&self) -> Vec<&str> {
        let mut scopes = Vec::new();
        self.authorize.collect_scopes(&mut scopes);
        scopes
    }
}

#[cfg(test)]
mod tests;
