//! Tokens of another authorization server, which is asked about them (RFC 7662). Answers are kept for seconds, by the
//! hash of the token; one question about a token is under way at a time.

use std::{sync::Arc, time::Duration};

use doorward_core::Timestamp;
use doorward_oidc::{ClientSecret, HttpConfig};
use url::Url;

use super::{
    TokenFinding,
    jwt::{ClaimNames, JwtAuthorizer},
};
use crate::judged::{Doubt, token_id};

/// Who is asked, and how.
#[derive(Debug)]
pub struct IntrospectionConfig {
    pub url: Url,
    pub client_id: String,
    pub client_secret: ClientSecret,
    pub client_auth: ClientAuth,
    pub accept: Accept,
    /// How long good answers are kept; at most [`Introspection::LONGEST_CACHE`].
    pub cache: Duration,
    /// The `iss` that an answer has, if it has any; empty: any.
    pub issuer: String,
    /// A token is for one of these; empty: for anybody that the server names.
    pub audiences: Vec<String>,
    pub names: ClaimNames,
    pub http: HttpConfig,
}

/// How we prove who we are (RFC 6749 section 2.3.1).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ClientAuth {
    #[default]
    Basic,
    Post,
}

/// The form of answers.
#[derive(Debug)]
pub enum Accept {
    /// JSON.
    Json,
    /// A signed token in place of the opaque one (`application/jwt`), which is verified as if the client had sent it;
    /// or a signed answer (`application/token-introspection+jwt`, RFC 9701), whichever the server gives.
    Jwt(Box<JwtAuthorizer>),
}

/// Why a server cannot be asked so.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidIntrospection {
    #[error(transparent)]
    Connect(#[from] doorward_oidc::ConnectError),
    #[error("tokens would be sent in clear; write an https address")]
    InClear,
    #[error("an answer kept for {} seconds would count for too long; at most {} are possible", .0.as_secs(), Introspection::LONGEST_CACHE.as_secs())]
    Cache(Duration),
}

/// The server that knows the tokens.
#[derive(Debug)]
pub struct Introspection {
    config: IntrospectionConfig,
}

impl Introspection {
    pub const LONGEST_CACHE: Duration = Duration::from_secs(30);

    pub fn new(config: IntrospectionConfig) -> Result<Self, InvalidIntrospection> {
        if config.cache > Self::LONGEST_CACHE {
            return Err(InvalidIntrospection::Cache(config.cache));
        }
        Ok(Self { config })
    }

    #[expect(clippy::unused_async, reason = "the server will be waited for")]
    pub(crate) async fn attempt(&self, name: &Arc<str>, token: &str, now: Timestamp) -> TokenFinding {
        let _ = (&self.config, name, now);
        TokenFinding::Unknown(Doubt::new(token_id(token), "nobody is asked yet"))
    }
}
