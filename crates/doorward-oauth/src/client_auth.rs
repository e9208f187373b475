//! Who the client is that asks at the token endpoint and its like (RFC 6749 section 2.3, norm A5).
//!
//! One method counts; two at once are an error and not a choice. Whatever is wrong looks the same from outside: an
//! unknown client, a wrong secret, a secret that is missing.

use std::collections::BTreeMap;

use base64_simd::STANDARD;
use doorward_accounts::SecretError;
use doorward_core::{SecretString, Timestamp};
use http::{HeaderMap, StatusCode, header::AUTHORIZATION};
use tokio::sync::OnceCell;

use crate::{
    OAuthServer, answer,
    call::{Answer, Call},
    config::{Client, ClientSecret, secret_name},
    params::Params,
    throttle::Turn,
};

/// A client that is who it says, as far as it can prove that.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Authenticated<'a> {
    pub(crate) client: &'a Client,
    pub(crate) method: Method,
}

/// How a client proves who it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Method {
    /// In the `Authorization` header.
    Basic,
    /// In the body.
    Body,
    /// Not at all: it only says its name.
    None,
}

impl Method {
    /// The name in metadata (RFC 8414 section 2) and in the log.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Basic => "client_secret_basic",
            Self::Body => "client_secret_post",
            Self::None => "none",
        }
    }
}

/// Why it is not known which client asks. The texts are for the log.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum ClientAuthError {
    #[error("the Authorization header cannot be read as client credentials")]
    Malformed,
    #[error("the client uses a scheme that is no client authentication here")]
    OtherScheme,
    #[error("the client authenticates in two ways at once")]
    TwoMethods,
    #[error("no client is named")]
    Missing,
    #[error("there is no such client, or it is disabled")]
    Unknown(Scheme),
    /// With the id of a client that there is.
    #[error("the secret of the client {1:?} is wrong")]
    WrongSecret(Scheme, String),
    #[error("the client {1:?} has a secret and did not send it")]
    NoSecret(Scheme, String),
    #[error("too many attempts from this address have failed lately")]
    TooMany,
    #[error("{0}")]
    Unavailable(SecretError),
}

/// Whether the client used the `Authorization` header; then the answer names the scheme (RFC 6749 section 5.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Scheme {
    Basic,
    Other,
}

impl ClientAuthError {
    /// What the client is told.
    pub(crate) fn answer(&self) -> Answer {
        let scheme = match self {
            Self::Malformed => {
                let description = "the Authorization header is no client id and secret in Basic form";
                return answer::oauth_error(StatusCode::BAD_REQUEST, "invalid_request", description);
            }
            Self::TwoMethods => {
                let description = "the client authenticates in two ways at once; use one";
                return answer::oauth_error(StatusCode::BAD_REQUEST, "invalid_request", description);
            }
            Self::Unavailable(SecretError::Unavailable(_)) => return answer::unavailable(),
            Self::Unavailable(SecretError::Sealed(_)) => return answer::server_error(),
            Self::TooMany => return answer::too_many_failures(),
            Self::OtherScheme => Scheme::Basic,
            Self::Missing => Scheme::Other,
            Self::Unknown(scheme) | Self::WrongSecret(scheme, _) | Self::NoSecret(scheme, _) => *scheme,
        };
        let refusal = answer::oauth_error(StatusCode::UNAUTHORIZED, "invalid_client", "");
        match scheme {
            Scheme::Basic => answer::basic_challenge(refusal, "oauth"),
            Scheme::Other => refusal,
        }
    }
}

/// What a request says about its client.
#[derive(Debug, PartialEq, Eq)]
struct Claimed {
    id: String,
    secret: Option<SecretString>,
    scheme: Scheme,
}

/// Hashes of the secrets that we generated, by client, once they have been asked for. They are the same for all instances
/// and starts.
pub(crate) type GeneratedSecrets = BTreeMap<String, OnceCell<ClientSecret>>;

impl OAuthServer {
    /// Finds out which client sends `call`, with these parameters in its body.
    pub(crate) async fn authenticate_client(
        &self,
        call: &Call,
        params: &Params,
    ) -> Result<Authenticated<'_>, ClientAuthError> {
        let claimed = claimed(&call.headers, params)?;
        let id = claimed.id.clone();
        if self.throttle.turn(&id, call.client, call.now) == Turn::Later {
            return Err(ClientAuthError::TooMany);
        }
        let outcome = self.prove(claimed, call.now).await;
        if matches!(outcome, Err(ClientAuthError::Unknown(_) | ClientAuthError::WrongSecret(..))) {
            self.throttle.failed(&id, call.client, call.now);
        }
        outcome
    }

    async fn prove(&self, claimed: Claimed, now: Timestamp) -> Result<Authenticated<'_>, ClientAuthError> {
        let Claimed { id, secret, scheme } = claimed;
        let client = self.client(&id).ok_or(ClientAuthError::Unknown(scheme))?;
        let Some(secret) = secret else {
            return if client.is_public() {
                Ok(Authenticated { client, method: Method::None })
            } else {
                Err(ClientAuthError::NoSecret(scheme, id))
            };
        };
        if !self.is_secret_of(client, &secret, now).await? {
            return Err(ClientAuthError::WrongSecret(scheme, id));
        }
        let method = match scheme {
            Scheme::Basic => Method::Basic,
            Scheme::Other => Method::Body,
        };
        Ok(Authenticated { client, method })
    }

    /// Compares with all secrets of the client, whichever fits.
    async fn is_secret_of(
        &self,
        client: &Client,
        secret: &SecretString,
        now: Timestamp,
    ) -> Result<bool, ClientAuthError> {
        let presented = ClientSecret::of(secret.expose());
        let mut fits = false;
        for own in &client.secrets {
            fits |= own.is(&presented);
        }
        if let Some(generated) = self.generated.get(&client.id) {
            let ask = || self.ask_generated(&client.id, now);
            fits |= generated.get_or_try_init(ask).await?.is(&presented);
        }
        Ok(fits)
    }

    async fn ask_generated(&self, id: &str, now: Timestamp) -> Result<ClientSecret, ClientAuthError> {
        let secret = self.accounts.generated_secret(&secret_name(id), now).await;
        secret.map(|secret| ClientSecret::of(secret.expose())).map_err(ClientAuthError::Unavailable)
    }
}

/// Reads who the client says it is.
fn claimed(headers: &HeaderMap, params: &Params) -> Result<Claimed, ClientAuthError> {
    let (id, secret) = (params.get("client_id"), params.get("client_secret"));
    let Some((basic_id, basic_secret)) = basic(headers)? else {
        let id = id.ok_or(ClientAuthError::Missing)?.to_owned();
        return Ok(Claimed { id, secret: secret.map(SecretString::from), scheme: Scheme::Other });
    };
    // A body that repeats the id is no second method; one that names another client is.
    if secret.is_some() || id.is_some_and(|id| id != basic_id) {
        return Err(ClientAuthError::TwoMethods);
    }
    let secret = (!basic_secret.expose().is_empty()).then_some(basic_secret);
    Ok(Claimed { id: basic_id, secret, scheme: Scheme::Basic })
}

/// Both halves of Basic credentials, each form-encoded before they were put together (RFC 6749 section 2.3.1). Another
/// scheme is no client authentication, and none is known here, so it is an error.
fn basic(headers: &HeaderMap) -> Result<Option<(String, SecretString)>, ClientAuthError> {
    let mut values = headers.get_all(AUTHORIZATION).iter();
    let Some(value) = values.next() else { return Ok(None) };
    if values.next().is_some() {
        return Err(ClientAuthError::TwoMethods);
    }
    let value = value.to_str().map_err(|_| ClientAuthError::Malformed)?.trim();
    let (scheme, encoded) = value.split_once(' ').unwrap_or((value, ""));
    if !scheme.eq_ignore_ascii_case("basic") {
        return Err(ClientAuthError::OtherScheme);
    }
    let decoded = STANDARD.decode_to_vec(encoded.trim()).map_err(|_| ClientAuthError::Malformed)?;
    let decoded = String::from_utf8(decoded).map_err(|_| ClientAuthError::Malformed)?;
    let (id, secret) = decoded.split_once(':').ok_or(ClientAuthError::Malformed)?;
    let (id, secret) = (form_decoded(id)?, form_decoded(secret)?);
    if id.is_empty() { Err(ClientAuthError::Malformed) } else { Ok(Some((id, secret.into()))) }
}

fn form_decoded(text: &str) -> Result<String, ClientAuthError> {
    let text = text.replace('+', " ");
    let decoded =
        percent_encoding::percent_decode_str(&text).decode_utf8().map_err(|_| ClientAuthError::Malformed)?;
    if decoded.contains('\0') { Err(ClientAuthError::Malformed) } else { Ok(decoded.into_owned()) }
}
