//! The clients that exist without anybody configuring them (norm A3, table of auto-created clients). They are made
//! anew from here at every start; an operator can add secrets to them and name them, and nothing else.

use doorward_accounts::Scopes;

use super::{
    Client, Config, GeneratedSecret, GrantType, Implicit, Pkce, ResponseStyle, client::ImplicitGrant,
};
use crate::authorize;

/// Shows tokens to people (`/oauth/token/request`).
pub const BROWSER_CLIENT: &str = "openshift-browser-client";
/// Programs that send a password.
pub const CHALLENGING_CLIENT: &str = "openshift-challenging-client";
/// `oc login --web`.
pub const CLI_CLIENT: &str = "openshift-cli-client";
/// Our own sign-in in a browser.
pub const PROXY_CLIENT: &str = "proxy";

/// The name under which the generated secret of a client lies in the store.
pub fn secret_name(client: &str) -> String {
    format!("client/{client}")
}

/// Whether a client of this id is made here, with or without being asked for.
pub fn is_built_in(id: &str) -> bool {
    [BROWSER_CLIENT, CHALLENGING_CLIENT, CLI_CLIENT, PROXY_CLIENT].contains(&id)
}

/// All clients of a configuration, built-in ones first.
pub(crate) fn all(config: &Config) -> Vec<Client> {
    let mut clients = vec![browser(config), challenging(config), cli(config)];
    if !config.own_sign_in.is_empty() {
        clients.push(proxy(config));
    }
    for own in &config.clients {
        match clients.iter_mut().find(|client| client.id == own.id) {
            Some(builtin) => {
                builtin.secrets.extend(own.secrets.iter().cloned());
                if !own.name.is_empty() {
                    builtin.name.clone_from(&own.name);
                }
            }
            None => clients.push(own.clone()),
        }
    }
    clients
}

fn browser(config: &Config) -> Client {
    Client {
        generated_secret: GeneratedSecret::Kept,
        redirect_uris: vec![config.issuer.at("/oauth/token/display")],
        pkce: Pkce::Optional,
        default_scopes: user_full(),
        ..Client::new(BROWSER_CLIENT)
    }
}

fn challenging(config: &Config) -> Client {
    Client {
        redirect_uris: vec![config.issuer.at("/oauth/token/implicit")],
        responses: ResponseStyle::Challenges,
        implicit: match config.implicit {
            Implicit::ChallengingClient => ImplicitGrant::Allowed,
            Implicit::Never => ImplicitGrant::Refused,
        },
        // Ansible names a method and sends no challenge.
        pkce: Pkce::Optional,
        default_scopes: user_full(),
        ..Client::new(CHALLENGING_CLIENT)
    }
}

fn cli(_config: &Config) -> Client {
    Client {
        redirect_uris: vec!["http://127.0.0.1/callback".to_owned(), "http://[::1]/callback".to_owned()],
        default_scopes: user_full(),
        ..Client::new(CLI_CLIENT)
    }
}

fn proxy(config: &Config) -> Client {
    // People know the application by where it is.
    let name = match config.own_sign_in.as_slice() {
        [only] => authorize::place(only),
        _ => authorize::place(config.issuer.as_str()),
    };
    Client {
        name,
        generated_secret: GeneratedSecret::Kept,
        redirect_uris: config.own_sign_in.clone(),
        consent: config.own_consent,
        grant_types: vec![GrantType::AuthorizationCode, GrantType::RefreshToken],
        pkce: Pkce::Optional,
        default_scopes: Scopes::parse("openid").unwrap_or_default(),
        ..Client::new(PROXY_CLIENT)
    }
}

fn user_full() -> Scopes {
    Scopes::parse("user:full").unwrap_or_default()
}
