//! Policies by name, whoever evaluates them: Rego inside this process, a remote Open Policy Agent, or an authoriser of
//! Kubernetes. A question goes in, a decision comes out; what is undefined, of another type, late or faulty is never a
//! yes. Which policy a request needs is the business of `doorward-authz`.

pub mod access_review;
pub mod decision;
#[doc(hidden)]
pub mod fuzz;
mod input;
pub mod opa;
pub mod question;
pub mod rego;
mod remote;

use std::{collections::BTreeSet, sync::Arc, time::Duration};

pub use self::{
    decision::{Decision, Verdict},
    question::{Body, Expose, Facts, Question},
};

/// All policies of a configuration, by name.
#[derive(Debug, Default)]
pub struct Policies {
    policies: Vec<Policy>,
    places: rego::Places,
}

/// A policy as it is configured.
#[derive(Clone, Debug, PartialEq)]
pub struct PolicyConfig {
    pub name: Arc<str>,
    pub engine: EngineConfig,
}

/// Who evaluates it.
#[derive(Clone, Debug, PartialEq)]
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
enum Engine {
    Rego(Box<rego::Rego>),
    Opa(Box<opa::Opa>),
    AccessReview(Box<access_review::AccessReview>),
}

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

/// Nobody wants to wait for longer.
const LONGEST_TIMEOUT: Duration = Duration::from_secs(30);

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
    /// Loads all of them and tries those in Rego. What is broken is told together. Whoever calls this again, for a
    /// reload, keeps what he has if it fails.
    pub fn new(configs: Vec<PolicyConfig>) -> Result<Self, Vec<InvalidPolicy>> {
        let (mut policies, mut faults) = (Vec::new(), Vec::new());
        let mut names = BTreeSet::new();
        for PolicyConfig { name, engine } in configs {
            let mut tell = |reason| faults.push(InvalidPolicy { policy: name.to_string(), reason });
            if !names.insert(Arc::clone(&name)) {
                tell("there are two of this name".to_owned());
            }
            match Engine::new(engine) {
                Ok(engine) => policies.push(Policy { name: Arc::clone(&name), engine }),
                Err(reasons) => reasons.into_iter().for_each(&mut tell),
            }
        }
        if faults.is_empty() { Ok(Self { policies, places: rego::Places::default() }) } else { Err(faults) }
    }

    pub fn index(&self, name: &str) -> Option<PolicyIndex> {
        self.policies.iter().position(|policy| *policy.name == *name).map(PolicyIndex)
    }

    /// The policy's name, for logs; empty if it is one of other policies.
    pub fn name(&self, policy: PolicyIndex) -> &str {
        self.policies.get(policy.0).map_or("", |policy| &policy.name)
    }

    /// Asks one policy. To be awaited on a tokio runtime with timers. May be given up at any time.
    pub async fn ask(&self, policy: PolicyIndex, question: &Question<'_>) -> Result<Decision, PolicyFault> {
        let Some(policy) = self.policies.get(policy.0) else {
            return Err(PolicyFault::Evaluation("it is a policy of another configuration".to_owned()));
        };
        match &policy.engine {
            Engine::Rego(rego) => rego.ask(question, &self.places).await,
            Engine::Opa(opa) => opa.ask(question).await,
            Engine::AccessReview(authoriser) => authoriser.ask(question).await,
        }
    }
}

impl Engine {
    /// All that is wrong with a policy.
    fn new(config: EngineConfig) -> Result<Self, Vec<String>> {
        let (limit, url) = match &config {
            EngineConfig::Rego(config) => (config.timeout, None),
            EngineConfig::Opa(config) => (config.timeout, Some(&config.url)),
            EngineConfig::AccessReview(config) => (config.timeout, Some(&config.url)),
        };
        if limit.is_zero() || limit > LONGEST_TIMEOUT {
            return Err(vec![format!("`timeout` lies between 1ms and {}s", LONGEST_TIMEOUT.as_secs())]);
        }
        if url.is_some_and(|url| !matches!(url.scheme(), "http" | "https")) {
            return Err(vec!["`url` begins with http:// or https://".to_owned()]);
        }
        let told = |error: doorward_oidc::ConnectError| vec![error.to_string()];
        match config {
            EngineConfig::Rego(config) => Ok(Self::Rego(Box::new(rego::Rego::new(&config)?))),
            EngineConfig::Opa(config) => {
                opa::check(&config.url).map_err(|fault| vec![fault])?;
                Ok(Self::Opa(Box::new(opa::Opa::new(config).map_err(told)?)))
            }
            EngineConfig::AccessReview(config) => {
                Ok(Self::AccessReview(Box::new(access_review::AccessReview::new(config).map_err(told)?)))
            }
        }
    }
}

#[cfg(test)]
mod tests;
