//! Asking a security token service for another token in place of one (RFC 8693).

use std::{sync::Arc, time::Duration};

use doorward_core::{SecretString, Timestamp};
use url::Url;

use crate::{
    client_authentication::{AuthMemory, Client, ClientAuth},
    config::ClientAuthentication,
    discovery::ConnectError,
    http::{HttpClient, HttpConfig},
    token_endpoint::{GrantForm, TokenEndpoint, TokenRequestError},
};

/// Where to ask, and as whom.
#[derive(Clone, Debug, PartialEq)]
pub struct TokenExchangeConfig {
    pub url: Url,
    pub client_id: String,
    pub client_authentication: ClientAuthentication,
    pub http: HttpConfig,
}

/// A security token service as one client sees it.
#[derive(Clone, Debug)]
pub struct TokenExchange {
    http: HttpClient,
    url: Url,
    client_id: String,
    client_authentication: ClientAuthentication,
    memory: Arc<AuthMemory>,
}

/// What is asked for. Empty text: not said.
#[derive(Clone, Copy, Debug)]
pub struct TokenExchangeRequest<'a> {
    pub subject: &'a SecretString,
    /// What kind of token that is (RFC 8693 section 3).
    pub subject_type: &'a str,
    pub audience: &'a str,
    pub resource: &'a str,
    pub scope: &'a str,
}

/// What was given.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ExchangedToken {
    /// To be used as a bearer token.
    pub token: SecretString,
    /// `None`: the service does not say.
    pub expires_in: Option<Duration>,
}

impl TokenExchange {
    /// A client that asks nothing yet. Fails if the files of the configured trust cannot be used.
    pub fn new(config: TokenExchangeConfig) -> Result<Self, ConnectError> {
        let TokenExchangeConfig { url, client_id, client_authentication, http } = config;
        let http = HttpClient::new(&http)?;
        Ok(Self { http, url, client_id, client_authentication, memory: Arc::default() })
    }

    /// Exchanges a token for a bearer token.
    pub async fn exchange(
        &self,
        request: &TokenExchangeRequest<'_>,
        now: Timestamp,
    ) -> Result<ExchangedToken, TokenRequestError> {
        let TokenExchangeRequest { subject, subject_type, audience, resource, scope } = *request;
        let mut fields = vec![
            ("grant_type", "urn:ietf:params:oauth:grant-type:token-exchange"),
            ("subject_token", subject.expose().as_str()),
            ("subject_token_type", subject_type),
        ];
        let said = [("audience", audience), ("resource", resource), ("scope", scope)];
        fields.extend(said.into_iter().filter(|(_, value)| !value.is_empty()));
        let client = Client {
            id: &self.client_id,
            authentication: &self.client_authentication,
            issuer: "",
            token_endpoint: Some(&self.url),
            suggested: ClientAuth::Basic,
            memory: &self.memory,
            now,
        };
        let endpoint = TokenEndpoint { http: &self.http, url: &self.url, client, dpop: None };
        let answer = endpoint.request(GrantForm { fields: &fields, secrets: &[subject] }).await?;
        // `N_A` and the like: something that is no access token, or that a bearer alone may not use.
        if !answer.kind.as_deref().is_none_or(|kind| kind.eq_ignore_ascii_case("bearer")) {
            return Err(TokenRequestError::Malformed("the token_type is not Bearer"));
        }
        Ok(ExchangedToken { token: answer.access, expires_in: answer.expires_in })
    }
}
