//! What a decision on a request comes to.

use std::{fmt, sync::Arc};

use doorward_core::Permit;
use doorward_policy::{Decision, PolicyFault};
use http::{HeaderName, HeaderValue, StatusCode};
use serde_json::Value;

use super::StepUp;

/// The decision on a request to a route.
#[derive(Debug)]
pub enum Ruling {
    Permit(Box<Grant>),
    /// Not for this sender: 403, or a demand for a credential where the sender is anonymous.
    Deny(Box<Denial>),
    /// Allowed, once the sender has signed in again or better (RFC 9470).
    StepUp(StepUp),
    /// Nobody can tell. Never a yes.
    Fault(Fault),
}

/// A request may pass.
#[derive(Debug)]
pub struct Grant {
    pub permit: Permit,
    /// What the policies that allowed it want done besides.
    pub effects: Effects,
    /// Which of the route's upstreams it goes to, counted from 0.
    pub upstream: usize,
}

/// What policies want done with a request that they allow. Removals come before what is set.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Effects {
    /// For the application, in place of what the client sent under these names; each name stands here once.
    pub headers: Vec<(HeaderName, HeaderValue)>,
    /// For the answer, beside what the application sends.
    pub response_headers_to_add: Vec<(HeaderName, HeaderValue)>,
    pub request_headers_to_remove: Vec<HeaderName>,
    /// For the application, in place of all parameters of these names; each name stands here once.
    pub query_parameters_to_set: Vec<(String, String)>,
    pub query_parameters_to_remove: Vec<String>,
    /// For the claim `authz` of the credential that the application gets. Objects of several policies are merged by
    /// their keys.
    pub context: Option<Value>,
}

impl Effects {
    /// Adds what one more policy wants; where two want something else of the same thing, the later one gets it.
    pub(super) fn merge(&mut self, decision: &Decision) {
        for (name, value) in &decision.headers {
            set(&mut self.headers, name, value);
        }
        self.response_headers_to_add.extend(decision.response_headers_to_add.iter().cloned());
        self.request_headers_to_remove.extend(decision.request_headers_to_remove.iter().cloned());
        for (name, value) in &decision.query_parameters_to_set {
            set(&mut self.query_parameters_to_set, name, value);
        }
        self.query_parameters_to_remove.extend(decision.query_parameters_to_remove.iter().cloned());
        match (&mut self.context, &decision.context) {
            (_, None) => (),
            (Some(Value::Object(own)), Some(Value::Object(more))) => {
                own.extend(more.iter().map(|(name, value)| (name.clone(), value.clone())));
            }
            (own, Some(more)) => *own = Some(more.clone()),
        }
    }
}

fn set<N: PartialEq + Clone, V: Clone>(pairs: &mut Vec<(N, V)>, name: &N, value: &V) {
    pairs.retain(|(other, _)| other != name);
    pairs.push((name.clone(), value.clone()));
}

/// Why somebody may not pass.
#[derive(Clone, Debug, PartialEq)]
pub struct Denial {
    pub unfulfilled: Unfulfilled,
    /// Scopes of which more would let the request pass (RFC 6750 section 3.1, `insufficient_scope`); empty if scopes are
    /// not what is missing.
    pub missing_scopes: Vec<String>,
    /// How a policy wants it to be answered.
    pub answer: Option<PolicyAnswer>,
}

/// The condition that was not fulfilled; of alternatives the last one. Its text is for logs.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unfulfilled {
    #[error("the credential lacks a scope")]
    Scopes,
    #[error("the user is in none of the right groups")]
    Groups,
    #[error("the user is not among those named")]
    Users,
    #[error("the claim {0} is missing or another")]
    Claim(String),
    #[error("the credential is of another kind")]
    Authenticator,
    #[error("policy {0} denies it")]
    Policy(Arc<str>),
    #[error("nobody anonymous may pass")]
    Anonymous,
    #[error("what must not hold does")]
    Excluded,
    #[error("no upstream is for this user")]
    Upstream,
}

/// How a policy wants a request to be turned away.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PolicyAnswer {
    pub policy: Arc<str>,
    /// 400 to 599.
    pub status: Option<StatusCode>,
    pub headers: Vec<(HeaderName, HeaderValue)>,
    pub body: Option<String>,
}

impl PolicyAnswer {
    pub(super) fn new(policy: &Arc<str>, decision: &Decision) -> Self {
        let headers = decision.headers.iter().chain(&decision.response_headers_to_add).cloned().collect();
        let (status, body) = (decision.http_status, decision.body.clone());
        Self { policy: Arc::clone(policy), status, headers, body }
    }
}

/// Whether a denial wants an answer of its own.
pub(super) const fn says_how(decision: &Decision) -> bool {
    decision.http_status.is_some()
        || decision.body.is_some()
        || !decision.headers.is_empty()
        || !decision.response_headers_to_add.is_empty()
}

/// A policy that gave no decision.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    pub policy: Arc<str>,
    pub fault: PolicyFault,
}

impl Fault {
    /// 503 where nobody was there to be asked, else 403.
    pub const fn is_unreachable(&self) -> bool {
        self.fault.is_unreachable()
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "policy {}: {}", self.policy, self.fault)
    }
}
