//! Asking another authorization server about a token (RFC 7662): what goes there, and what comes back, unjudged.

use std::sync::Arc;

use doorward_core::{SecretString, Timestamp};
use http::{StatusCode, header};
use reqwest::RequestBuilder;
use serde_json::{Map, Value};
use url::Url;

use crate::{
    client_authentication::{AuthMemory, Client, ClientAuth, Credentials},
    config::ClientAuthentication,
    discovery::ConnectError,
    http::{HttpClient, HttpConfig, HttpError},
    token_endpoint::TokenRequestError,
};

/// Where to ask, and as whom.
#[derive(Clone, Debug, PartialEq)]
pub struct IntrospectionClientConfig {
    pub url: Url,
    pub client_id: String,
    /// A secret that may be shown in either place is shown in a header.
    pub client_authentication: ClientAuthentication,
    /// What is sent as `Accept`.
    pub accept: &'static str,
    pub http: HttpConfig,
}

/// The introspection endpoint as one client sees it.
#[derive(Clone, Debug)]
pub struct IntrospectionClient {
    config: IntrospectionClientConfig,
    http: HttpClient,
    memory: Arc<AuthMemory>,
}

/// What a server says of a token.
#[derive(Clone, Debug, PartialEq)]
pub enum Told {
    /// The members of a JSON answer (RFC 7662 section 2.2).
    Members(Map<String, Value>),
    /// A signed token: in place of the one asked about, or an answer about it (RFC 9701 section 5). Its `typ` tells.
    Signed(SecretString),
    /// Nothing is there: 204, for a token that is not active.
    Nothing,
}

/// Why a server says nothing.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum IntrospectionError {
    #[error(transparent)]
    Http(#[from] HttpError),
    /// The operator has to mend this: every token is refused meanwhile.
    #[error(
        "the introspection endpoint answered with status {status}: it does not know us; \
         correct clientID and clientSecret, or what the client may do there"
    )]
    NotKnown { status: u16 },
    #[error("the introspection endpoint answered with status {status}")]
    Status { status: u16 },
    #[error("the answer of the introspection endpoint is neither JSON nor a signed token")]
    Unreadable,
    #[error("{0}")]
    Credentials(TokenRequestError),
}

/// Far more than any honest answer.
const LONGEST_ANSWER: usize = 256 * 1024;

impl IntrospectionClient {
    /// Asks nothing yet. Fails if the files of the configured trust cannot be used.
    pub fn new(config: IntrospectionClientConfig) -> Result<Self, ConnectError> {
        Ok(Self { http: HttpClient::new(&config.http)?, config, memory: Arc::default() })
    }

    pub const fn config(&self) -> &IntrospectionClientConfig {
        &self.config
    }

    /// Asks about an access token.
    pub async fn ask(&self, token: &str, now: Timestamp) -> Result<Told, IntrospectionError> {
        let client = Client {
            id: &self.config.client_id,
            authentication: &self.config.client_authentication,
            issuer: "",
            token_endpoint: None,
            suggested: ClientAuth::Basic,
            memory: &self.memory,
            now,
        };
        let credentials = client.credentials(&self.config.url, client.way()).await;
        let credentials = credentials.map_err(IntrospectionError::Credentials)?;
        let answer = self.http.send_within(self.question(token, &credentials), LONGEST_ANSWER).await?;
        match answer.status {
            StatusCode::OK => {}
            StatusCode::NO_CONTENT => return Ok(Told::Nothing),
            StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => {
                return Err(IntrospectionError::NotKnown { status: answer.status.as_u16() });
            }
            other => return Err(IntrospectionError::Status { status: other.as_u16() }),
        }
        match answer.media_type().as_str() {
            "application/jwt" | "application/token-introspection+jwt" => {
                let text = str::from_utf8(&answer.body).map_err(|_| IntrospectionError::Unreadable)?;
                Ok(Told::Signed(text.trim().into()))
            }
            _ => match serde_json::from_slice(&answer.body) {
                Ok(Value::Object(members)) => Ok(Told::Members(members)),
                _ => Err(IntrospectionError::Unreadable),
            },
        }
    }

    fn question(&self, token: &str, credentials: &Credentials) -> RequestBuilder {
        let fields = [("token", token), ("token_type_hint", "access_token")];
        let request = self.http.post(self.config.url.clone()).header(header::ACCEPT, self.config.accept);
        credentials.present(&self.config.client_id, request, &fields)
    }
}
