//! Policies by name, whoever evaluates them: Rego inside this process, a remote Open Policy Agent, or an authoriser of
//! Kubernetes. A question goes in, a decision comes out; what is undefined, of another type, late or faulty is never a
//! yes. Which policy a request needs is the business of `doorward-authz`.

pub mod access_review;
pub mod decision;
pub mod opa;
pub mod question;
pub mod rego;

use std::sync::Arc;

pub use self::{
    decision::{Decision, Verdict},
    question::{Body, Expose, Facts, Question},
};

/// All policies of a configuration, by name.
#[derive(Debug, Default)]
pub struct Policies {
    policies: Vec<Policy>,
}

/// A policy as it is configured.
#[derive(Clone, Debug)]
pub struct PolicyConfig {
    pub name: Arc<str>,
    pub engine: EngineConfig,
}

/// Who evaluates it.
#[derive(Clone, Debug)]
pub enum EngineConfig {
    Rego(rego::Config),
    Opa(opa::Config),
    AccessReview(access_review::Config),
}

#[derive(Debug)]
struct Policy {
    name: Arc<str>,
    engine: Engine,
}

#[derive(Debug)]
enum Engine {}

/// One of [`Policies`]; of no use to any other.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct PolicyIndex(usize);

impl PolicyIndex {
    /// For the tests of whoever combines decisions: the policy at a place, of whichever policies.
    #[doc(hidden)]
    pub const fn at(place: usize) -> Self {
        Self(place)
    }
}

/// A policy that cannot be put to work. The text names file and line where there are any, and the mend.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("policy {policy:?}: {reason}")]
pub struct InvalidPolicy {
    pub policy: String,
    pub reason: String,
}

/// Why there is no decision. Never a yes. The texts are for logs and name no value of the request.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PolicyFault {
    #[error("the policy decides nothing here: its result is undefined")]
    Undefined,
    #[error("the policy's result is no decision: {0}")]
    WrongType(String),
    #[error("the policy cannot be evaluated: {0}")]
    Evaluation(String),
    #[error("the policy took too long")]
    Timeout,
    #[error("the policy's server gives no answer: {0}")]
    Unreachable(String),
}

impl PolicyFault {
    /// Whether nobody was there to be asked: 503 rather than 403.
    pub const fn is_unreachable(&self) -> bool {
        matches!(self, Self::Unreachable(_))
    }
}

impl Policies {
    /// Loads all of them. A broken one is told with all others that are broken; whoever calls this again, for a reload,
    /// keeps what he has.
    pub fn new(configs: Vec<PolicyConfig>) -> Result<Self, Vec<InvalidPolicy>> {
        drop(configs);
        Ok(Self { policies: Vec::new() })
    }

    pub fn index(&self, name: &str) -> Option<PolicyIndex> {
        self.policies.iter().position(|policy| *policy.name == *name).map(PolicyIndex)
    }

    /// The policy's name, for logs; empty if it is one of other policies.
    pub fn name(&self, policy: PolicyIndex) -> &str {
        self.policies.get(policy.0).map_or("", |policy| &policy.name)
    }

    /// Asks one policy. To be awaited on a runtime with timers.
    #[expect(clippy::unused_async, reason = "the engines follow")]
    pub async fn ask(&self, policy: PolicyIndex, question: &Question<'_>) -> Result<Decision, PolicyFault> {
        let Some(policy) = self.policies.get(policy.0) else {
            return Err(PolicyFault::Evaluation("it is a policy of another configuration".to_owned()));
        };
        let _ = question;
        match policy.engine {}
    }
}
