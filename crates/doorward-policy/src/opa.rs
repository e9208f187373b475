//! A remote Open Policy Agent, asked by its data API (norm B5.4). Answers are not kept.

use std::time::Duration;

use doorward_core::SecretString;
use doorward_oidc::{ConnectError, HttpConfig};
use http::StatusCode;
use serde_json::{Value, json};
use url::Url;

use crate::{Decision, PolicyFault, Question, remote::Remote};

/// How long an answer takes at most, if nothing else is said.
pub const TIMEOUT: Duration = Duration::from_millis(250);

/// Where decisions are made.
#[derive(Clone, Debug, PartialEq)]
pub struct Config {
    /// The rule: `http://127.0.0.1:8181/v1/data/http/authz/decision`.
    pub url: Url,
    /// Our own token there.
    pub token: Option<SecretString>,
    /// Trust, and a certificate of ours. Its time limits are not used.
    pub http: HttpConfig,
    /// For everything together, a second attempt included.
    pub timeout: Duration,
}

/// The agent.
#[derive(Debug)]
pub(crate) struct Opa(Remote);

/// Other paths are answered in other ways.
const DATA_API: &str = "/v1/data/";

pub(crate) fn check(url: &Url) -> Result<(), String> {
    let rule = url.path().split_once(DATA_API).map_or("", |(_, rule)| rule.trim_matches('/'));
    if rule.is_empty() {
        return Err(
            "`url` names a rule of the data API, e.g. http://…/v1/data/http/authz/decision".to_owned()
        );
    }
    Ok(())
}

impl Opa {
    pub(crate) fn new(config: Config) -> Result<Self, ConnectError> {
        let Config { url, token, http, timeout } = config;
        Remote::new(url, token, &http, timeout).map(Self)
    }

    pub(crate) async fn ask(&self, question: &Question<'_>) -> Result<Decision, PolicyFault> {
        let body = json!({"input": question.input()?}).to_string();
        let answer = self.0.ask(body.into(), &[StatusCode::OK]).await.map_err(|fault| match fault {
            // One who says nothing is as good as not there; what is wrong is nothing of the request's.
            PolicyFault::Timeout => PolicyFault::Unreachable("it took too long".to_owned()),
            fault => fault,
        });
        match answer? {
            Value::Object(mut answer) => match answer.remove("result") {
                Some(result) => Decision::read(result),
                None => Err(PolicyFault::Undefined),
            },
            _ => Err(PolicyFault::WrongType("the policy's server answers with no object".to_owned())),
        }
    }
}
