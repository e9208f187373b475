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
            "backchannel_logout_supported": true,
            "backchannel_logout_session_supported": true,
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

#[cfg(test)]
mod tests {
    use doorward_accounts::Rules;
    use doorward_store::Records;
    use serde_json::{Value, json};

    use crate::{
        config::{Config, Implicit, Issuer},
        testing::{ISSUER, NOW, TestServer, call, document, later, text},
    };

    #[tokio::test]
    async fn a25_both_documents_say_where_everything_is() {
        let test = TestServer::start().await;
        let paths = ["/.well-known/oauth-authorization-server", "/.well-known/openid-configuration"];
        for path in paths {
            let answer = test.send(call("GET", path)).await;
            assert_eq!(answer.headers()["content-type"], "application/json");
            assert_eq!(answer.headers()["cache-control"], "public, max-age=3600");
            assert_eq!(answer.headers()["access-control-allow-origin"], "*");
            let told = document(&answer);
            // OpenShift's seven.
            assert_eq!(text(&told, "issuer"), ISSUER);
            assert_eq!(text(&told, "authorization_endpoint"), format!("{ISSUER}/oauth/authorize"));
            assert_eq!(text(&told, "token_endpoint"), format!("{ISSUER}/oauth/token"));
            assert_eq!(told["response_types_supported"], json!(["code", "token"]));
            assert_eq!(told["code_challenge_methods_supported"], json!(["S256"]));
            let grants = ["authorization_code", "refresh_token", "client_credentials", "implicit"];
            assert_eq!(told["grant_types_supported"], json!(grants));
            let scopes = told["scopes_supported"].as_array().unwrap();
            for scope in ["user:full", "user:info", "openid", "groups", "orders:read"] {
                assert!(scopes.contains(&json!(scope)), "{scope}");
            }
            assert_eq!(told["authorization_response_iss_parameter_supported"], json!(true));
            assert!(
                told["id_token_signing_alg_values_supported"].as_array().unwrap().contains(&json!("RS256"))
            );
            for (name, value) in
                told.as_object().unwrap().iter().filter(|(name, _)| name.ends_with("_endpoint"))
            {
                let path = value.as_str().unwrap().strip_prefix(ISSUER).unwrap();
                assert!(test.server.find("any", path).is_some(), "{name}");
            }
            let head = test.send(call("HEAD", path)).await;
            assert_eq!((head.status().as_u16(), head.body().len()), (200, 0));
        }
    }

    #[tokio::test]
    async fn only_what_is_on_is_listed_and_an_issuer_with_a_path_is_found_by_both_forms() {
        let config = Config {
            implicit: Implicit::Never,
            ..Config::new(Issuer::parse("https://example.com/a").unwrap())
        };
        let test = TestServer::over(Records::memory(), config, Rules::default()).await;
        for path in ["/.well-known/oauth-authorization-server/a", "/a/.well-known/openid-configuration"] {
            let told = document(&test.send(call("GET", path)).await);
            assert_eq!(text(&told, "token_endpoint"), "https://example.com/a/oauth/token");
            assert_eq!(told["response_types_supported"], json!(["code"]));
            assert_eq!(told["grant_types_supported"], json!(["authorization_code"]));
        }
    }

    async fn kids(test: &TestServer, seconds: u64) -> Vec<String> {
        let answer = test.send(call("GET", "/oauth/jwks").at(later(seconds))).await;
        let told = document(&answer);
        let keys = told["keys"].as_array().unwrap();
        assert!(keys.iter().all(|key| ["d", "p", "q", "k"].iter().all(|private| key.get(private).is_none())));
        assert!(
            keys.iter().all(|key| ["RSA", "EC", "OKP"].contains(&key["kty"].as_str().unwrap_or_default()))
        );
        keys.iter().map(|key| key["kid"].as_str().unwrap().to_owned()).collect()
    }

    #[tokio::test]
    async fn a59_keys_are_published_before_they_sign_and_until_what_they_signed_is_over() {
        let test = TestServer::start().await;
        let kid = |token: &str| {
            let header =
                base64_simd::URL_SAFE_NO_PAD.decode_to_vec(token.split('.').next().unwrap()).unwrap();
            serde_json::from_slice::<Value>(&header).unwrap()["kid"].as_str().unwrap().to_owned()
        };
        let first = text(&test.tokens("openid").await, "id_token").to_owned();
        let before = kids(&test, 0).await;
        assert!(before.contains(&kid(&first)));
        test.accounts.rotate_keys(doorward_accounts::KeySetName::Server, NOW).await.unwrap();
        let during = kids(&test, 60).await;
        assert!(before.iter().all(|kid| during.contains(kid)) && during.len() == 2 * before.len());
        // Two hours and a little later the new one signs, and both verify.
        let code = test.code("web", "openid").await;
        let (_, early) = test.post(crate::testing::redeem(&code).basic("web", "web-secret")).await;
        assert_eq!(kid(text(&early, "id_token")), kid(&first));
        let mut rules = test.new_code("web", "openid");
        rules.redirect = doorward_accounts::CodeRedirect::Asked("https://web.example.com/cb".to_owned());
        let code = test.accounts.issue_code(rules, later(8000)).await.unwrap();
        let late = crate::testing::redeem(&code).basic("web", "web-secret").at(later(8000));
        let second = text(&test.post(late).await.1, "id_token").to_owned();
        assert_ne!(kid(&second), kid(&first));
        let ring = test.accounts.keys(later(8000)).await.unwrap();
        assert!(ring.verify(&first, later(8000)).is_ok() && ring.verify(&second, later(8000)).is_ok());
        let after = kids(&test, 8000 + 2 * 86_400).await;
        assert!(!after.contains(&kid(&first)) && after.contains(&kid(&second)));
    }
}
