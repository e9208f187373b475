//! The built-in OAuth 2.0 and `OpenID Connect` server, in the shape of OpenShift's.
//!
//! [`call`] says how a request comes in and an answer goes out: the whole request has been read, and who sends it is known
//! as far as the connection tells. Who the user is, this room finds out itself.
//!
//! [`OAuthServer::find`] tells which paths are ours, [`OAuthServer::answer`] answers. It never fails: errors are
//! answers, which say little, while the reason goes to the log.

mod answer;
mod audit;
mod authorize;
mod back_channel;
mod bearer;
pub mod call;
mod claims;
mod client_auth;
pub mod config;
mod cookies;
mod endpoint;
#[doc(hidden)]
pub mod fuzz;
mod idp;
mod introspect;
mod kubernetes;
mod login;
mod logout;
mod metadata;
mod notices;
mod pages;
mod params;
mod revoke;
mod scope;
mod sessions;
#[cfg(test)]
mod testing;
mod then;
mod throttle;
mod token;
mod token_pages;
mod userinfo;

use std::{collections::BTreeMap, sync::Arc};

use doorward_accounts::Accounts;
use doorward_authn::htpasswd::GuessLimit;
use http::{Method, StatusCode};
use tokio::sync::OnceCell;

pub use answer::kubernetes_status;
pub use call::{Answer, Call};
pub use config::{Config, ConfigError};
pub use endpoint::{ApiGroup, Endpoint, KubernetesResource};
pub use scope::is_full;
pub use sessions::Login;

use back_channel::BackChannel;
use client_auth::GeneratedSecrets;
use config::{Client, GeneratedSecret, GrantType};
use cookies::Cookies;
use pages::Pages;
use throttle::Throttle;

/// The server of one configuration. Share it in an `Arc`.
#[derive(Debug)]
pub struct OAuthServer {
    config: Config,
    clients: BTreeMap<String, Client>,
    accounts: Arc<Accounts>,
    generated: GeneratedSecrets,
    throttle: Throttle,
    cookies: Cookies,
    pages: Pages,
    /// Bounds guessing at passwords of users in the store.
    guesses: GuessLimit,
    back_channel: Option<BackChannel>,
}

impl OAuthServer {
    /// The names of the cookies of this server, which are nobody else's business: who has them is the user.
    pub fn cookie_names(&self) -> [&str; 2] {
        self.cookies.names()
    }

    /// Checks the configuration. Nothing is asked of the store yet.
    pub fn new(config: Config, accounts: Arc<Accounts>) -> Result<Self, ConfigError> {
        config.check()?;
        for algorithm in
            config.clients.iter().filter_map(|client| client.id_token_alg).chain([config.signing])
        {
            if !accounts.rules().algorithms.contains(&algorithm) {
                let mistake = format!(
                    "there are no keys for {algorithm}; name it among the algorithms of the accounts"
                );
                return Err(ConfigError { mistakes: vec![mistake] });
            }
        }
        if config.exchange.issuer.is_none() && !config.exchange.rules.is_empty() {
            let mistake = "there are rules for token exchange and nobody who signs; configure the gateway";
            return Err(ConfigError { mistakes: vec![mistake.to_owned()] });
        }
        let exchanging = config.exchanging();
        let all = config.all_clients().into_iter().map(|mut client| {
            if exchanging.contains(client.id.as_str()) && !client.may_use(GrantType::TokenExchange) {
                client.grant_types.push(GrantType::TokenExchange);
            }
            (client.id.clone(), client)
        });
        let clients: BTreeMap<String, Client> = all.collect();
        let generated = clients
            .values()
            .filter(|client| client.generated_secret == GeneratedSecret::Kept)
            .map(|client| (client.id.clone(), OnceCell::new()))
            .collect();
        let back_channel = BackChannel::for_clients(clients.values().filter(|client| client.is_enabled()))
            .map_err(|why| ConfigError { mistakes: vec![why] })?;
        let pages = Pages::new(&config).map_err(|why| ConfigError { mistakes: vec![why.to_string()] })?;
        Ok(Self {
            cookies: Cookies::new(&config),
            config,
            clients,
            accounts,
            generated,
            throttle: Throttle::new(),
            pages,
            guesses: GuessLimit::default(),
            back_channel,
        })
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
            answer::method_not_allowed(methods, &endpoint)
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
            Endpoint::Authorize => self.authorize(call).await,
            Endpoint::Approve => self.approve(call).await,
            Endpoint::Login(provider) => self.login(provider.as_deref(), call).await,
            Endpoint::Callback(provider) => self.callback(&provider, call).await,
            Endpoint::TokenRequest => self.token_request(call),
            Endpoint::TokenDisplay => self.token_display(call).await,
            Endpoint::TokenImplicit => Self::token_implicit(),
            Endpoint::Style => Pages::style(),
            Endpoint::Kubernetes(resource) => self.kubernetes(&resource, call).await,
            Endpoint::Nothing => answer::text(StatusCode::NOT_FOUND, "There is nothing here.\n"),
            Endpoint::Logout => self.logout(call).await,
        }
    }

    /// The client of that id, unless it is disabled.
    pub(crate) fn client(&self, id: &str) -> Option<&Client> {
        self.clients.get(id).filter(|client| client.is_enabled())
    }
}

/// RFC 9110 section 9.3.2.
fn without_body_for_head(mut answer: Answer, method: &Method) -> Answer {
    if method == Method::HEAD {
        std::mem::take(answer.body_mut());
    }
    answer
}

#[cfg(test)]
mod tests;
