//! A remote Open Policy Agent, asked by its data API (norm B5.4).

use std::time::Duration;

use doorward_core::SecretString;
use doorward_oidc::HttpConfig;
use url::Url;

/// How long an answer takes at most, if nothing else is said.
pub const TIMEOUT: Duration = Duration::from_millis(250);

/// Where decisions are made.
#[derive(Clone, Debug)]
pub struct Config {
    /// The rule: `http://127.0.0.1:8181/v1/data/http/authz/decision`.
    pub url: Url,
    /// Our own token there.
    pub token: Option<SecretString>,
    /// Trust and a certificate of ours. Its time limits are not used.
    pub http: HttpConfig,
    /// For everything together, a second attempt included.
    pub timeout: Duration,
}
