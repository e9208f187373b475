//! The built-in OAuth 2.0 and `OpenID Connect` server, in the shape of OpenShift's.
//!
//! [`call`] says how a request comes in and an answer goes out: the whole request has been read, and who sends it is known
//! as far as the connection tells. Who the user is, this room finds out itself.
//!
//! [`OAuthServer::find`] tells which paths are ours, [`OAuthServer::answer`] answers. It never fails: errors are
//! answers, which say little, while the reason goes to the log.

#![expect(dead_code, reason = "pages and the Kubernetes API are being built")]

mod answer;
mod audit;
mod bearer;
pub mod call;
mod claims;
mod client_auth;
pub mod config;
mod endpoint;
mod introspect;
mod metadata;
mod params;
mod revoke;
mod scope;
#[cfg(test)]
mod testing;
mod throttle;
mod token;
mod userinfo;

use std::{collections::BTreeMap, sync::Arc};

use doorward_accounts::Accounts;
use http::{Method, StatusCode};
use tokio::sync::OnceCell;

pub use call::{Answer, Call};
pub use config::{Config, ConfigError};
pub use endpoint::{ApiGroup, Endpoint, KubernetesResource};

use client_auth::GeneratedSecrets;
use config::{Client, GeneratedSecret};
use throttle::Throttle;

/// The server of one configuration. Share it in an `Arc`.
#[derive(Debug)]
pub struct OAuthServer {
    config: Config,
    clients: BTreeMap<String, Client>,
    accounts: Arc<Accounts>,
    generated: GeneratedSecrets,
    throttle: Throttle,
}

impl OAuthServer {
    /// Checks the configuration. Nothing is asked of the store yet.
    pub fn new(config: Config, accounts: Arc<Accounts>) -> Result<Self, ConfigError> {
        config.check()?;
        let clients: BTreeMap<String, Client> =
            config.all_clients().into_iter().map(|client| (client.id.clone(), client)).collect();
        let generated = clients
            .values()
            .filter(|client| client.generated_secret == GeneratedSecret::Kept)
            .map(|client| (client.id.clone(), OnceCell::new()))
            .collect();
        Ok(Self { config, clients, accounts, generated, throttle: Throttle::new() })
    }

    /// The endpoint at `path` (percent-encoded, without query) on `host` (with or without port), if it is one of ours.
    pub fn find(&self, host: &str, path: &str) -> Option<Endpoint> {
        endpoint::find(&self.config, host, path)
    }

    /// Answers a request to `endpoint`, which [`Self::find`] has found.
    pub async fn answer(&self, endpoint: Endpoint, call: Call) -> Answer {
        let methods = endpoint.methods();
        let answer = if methods.is_empty() || methods.contains(&call.method) {
            self.dispatch(endpoint, &call).await
        } else {
            answer::method_not_allowed(methods)
        };
        answer::finished(without_body_for_head(answer, &call.method))
    }

    async fn dispatch(&self, endpoint: Endpoint, call: &Call) -> Answer {
        match endpoint {
            Endpoint::AuthorizationServerMetadata | Endpoint::OpenIdConfiguration => self.metadata(),
            Endpoint::Jwks => self.jwks(call).await,
            Endpoint::Token => self.token(call).await,
            Endpoint::Revoke => self.revoke(call).await,
            Endpoint::Introspect => self.introspect(call).await,
            Endpoint::UserInfo => self.userinfo(call).await,
            Endpoint::Nothing => answer::text(StatusCode::NOT_FOUND, "There is nothing here.\n"),
            _ => not_built(),
        }
    }

    /// The client of that id, unless it is disabled.
    pub(crate) fn client(&self, id: &str) -> Option<&Client> {
        self.clients.get(id).filter(|client| client.is_enabled())
    }
}

fn not_built() -> Answer {
    answer::text(StatusCode::NOT_IMPLEMENTED, "This endpoint is not there yet.\n")
}

/// RFC 9110 section 9.3.2.
fn without_body_for_head(mut answer: Answer, method: &Method) -> Answer {
    if method == Method::HEAD {
        std::mem::take(answer.body_mut());
    }
    answer
}
