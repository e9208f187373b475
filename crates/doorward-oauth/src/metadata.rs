//! What clients find out by themselves: metadata (RFC 8414, `OpenID Connect` Discovery) and public keys. Only what is
//! switched on is listed.

use std::collections::BTreeSet;

use doorward_accounts::KeysError;
use http::StatusCode;
use serde_json::{Value, json};

use crate::{
    OAuthServer, answer,
    audit::{Line, Outcome},
    call::{Answer, Call},
    client_auth::Method,
    config::{Client, GrantType, ImplicitGrant, PlainPkce},
    scope,
};

impl OAuthServer {
    /// One document for both well-known places; readers skip what they do not know.
    pub(crate) fn metadata(&self) -> Answer {
        answer::readable_everywhere(answer::cacheable(answer::json(
            StatusCode::OK,
            &self.metadata_document(),
        )))
    }

    fn metadata_document(&self) -> Value {
        let issuer = &self.config.issuer;
        let methods = [Method::Basic, Method::Body, Method::None].map(Method::name);
        let proven = [Method::Basic, Method::Body].map(Method::name);
        let algorithms: Vec<&str> = self.accounts.rules().algorithms.iter().map(|one| one.name()).collect();
        let mut response_types = vec!["code"];
        let mut grant_types: Vec<&str> = Vec::new();
        grant_types.extend(
            GrantType::ALL
                .iter()
                .filter(|grant| self.any(|client| client.may_use(**grant)))
                .map(|grant| grant.name()),
        );
        if self.any(|client| client.implicit == ImplicitGrant::Allowed) {
            response_types.push("token");
            grant_types.push("implicit");
        }
        let mut challenge_methods = vec!["S256"];
        if self.any(|client| client.plain_pkce == PlainPkce::Allowed) {
            challenge_methods.push("plain");
        }
        json!({
            "issuer": issuer.as_str(),
            "authorization_endpoint": issuer.at("/oauth/authorize"),
            "token_endpoint": issuer.at("/oauth/token"),
            "scopes_supported": scope::known(&self.config).collect::<BTreeSet<_>>(),
            "response_types_supported": response_types,
            "grant_types_supported": grant_types,
            "code_challenge_methods_supported": challenge_methods,
            "jwks_uri": issuer.at("/oauth/jwks"),
            "revocation_endpoint": issuer.at("/oauth/revoke"),
            "revocation_endpoint_auth_methods_supported": methods,
            "introspection_endpoint": issuer.at("/oauth/introspect"),
            "introspection_endpoint_auth_methods_supported": proven,
            "introspection_signing_alg_values_supported": algorithms,
            "userinfo_endpoint": issuer.at("/oauth/userinfo"),
            "end_session_endpoint": issuer.at("/oauth/logout"),
            "token_endpoint_auth_methods_supported": methods,
            "subject_types_supported": ["public"],
            "id_token_signing_alg_values_supported": algorithms,
            "claims_supported": [
                "iss", "sub", "aud", "exp", "iat", "auth_time", "nonce", "at_hash", "amr", "sid", "name",
                "preferred_username", "updated_at", "email", "email_verified", "groups",
            ],
            "prompt_values_supported": ["none", "login", "consent", "select_account"],
            "response_modes_supported": ["query", "fragment", "form_post"],
            "authorization_response_iss_parameter_supported": true,
            "claims_parameter_supported": false,
            "request_parameter_supported": false,
            "request_uri_parameter_supported": false,
        })
    }

    fn any(&self, is: impl Fn(&Client) -> bool) -> bool {
        self.clients.values().any(|client| client.is_enabled() && is(client))
    }

    /// The public keys (RFC 7517).
    pub(crate) async fn jwks(&self, call: &Call) -> Answer {
        match self.accounts.keys(call.now).await {
            Ok(keys) => {
                let keys = answer::json(StatusCode::OK, &keys.jwks(call.now));
                answer::readable_everywhere(answer::cacheable(keys))
            }
            Err(why) => {
                Line::new("jwks", Outcome::Error).reason(&why).write(call);
                match why {
                    KeysError::Unavailable(_) => answer::unavailable(),
                    KeysError::Sealed(_) | KeysError::Key(_) => answer::server_error(),
                }
            }
        }
    }
}
