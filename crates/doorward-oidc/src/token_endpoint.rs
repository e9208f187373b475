//! Asking the token endpoint (RFC 6749 sections 4.1.3, 5 and 6).
//! Where a secret proves who we are, how to show it is chosen from what the provider lists, and what worked is
//! remembered; the other way is tried only when the provider says that it does not know us. A code or refresh
//! token is therefore sent once, except to a provider that refused to look at it.

use std::{path::PathBuf, time::Duration};

use doorward_core::SecretString;
use doorward_jose::SigningError;
use http::{StatusCode, header};
use reqwest::RequestBuilder;
use serde_json::{Map, Value};
use url::Url;

use crate::{
    client_authentication::{Client, ClientAuth, Credentials},
    dpop::{self, Dpop},
    http::{Answer, HttpClient, HttpError},
    printable::{printable, without},
};

/// Why the token endpoint gave no tokens.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TokenRequestError {
    #[error(transparent)]
    Http(#[from] HttpError),
    /// `error` and `description` are the provider's words, printable and without our secrets.
    #[error("the provider refused the token request with status {status}: {error}{}", explained(description.as_deref()))]
    Refused { status: u16, error: String, description: Option<String> },
    #[error("the token endpoint failed with status {status}")]
    Failed { status: u16 },
    #[error("the answer of the token endpoint is malformed: {0}")]
    Malformed(&'static str),
    #[error("the client secret file {} cannot be read: {reason}", path.display())]
    ClientSecretFile { path: PathBuf, reason: String },
    #[error("the file {} with the assertion about this client cannot be used: {reason}", path.display())]
    AssertionFile { path: PathBuf, reason: String },
    #[error("no assertion about this client could be signed: {0}")]
    Assertion(SigningError),
    #[error("no redeem URL is configured")]
    NoRedeemUrl,
}

impl TokenRequestError {
    /// The grant itself (code or refresh token) is worth nothing any more.
    pub(crate) fn is_invalid_grant(&self) -> bool {
        matches!(self, Self::Refused { error, .. } if error == "invalid_grant")
    }

    /// The provider did not say that it knows us.
    fn is_about_the_client(&self) -> bool {
        match self {
            Self::Refused { status, error, .. } => {
                error == "invalid_client" || (*status == 401 && error != "invalid_grant")
            }
            Self::Failed { status } => *status == 401,
            _ => false,
        }
    }
}

fn explained(description: Option<&str>) -> String {
    description.map(|text| format!(" ({text})")).unwrap_or_default()
}

/// What the token endpoint gave. The access token is there, the rest may be.
#[derive(Debug)]
pub(crate) struct TokenAnswer {
    pub(crate) access: SecretString,
    pub(crate) id: Option<SecretString>,
    pub(crate) refresh: Option<SecretString>,
    pub(crate) expires_in: Option<Duration>,
    /// The `token_type`, if it says one.
    pub(crate) kind: Option<String>,
}

/// The token endpoint as one client sees it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct TokenEndpoint<'a> {
    pub(crate) http: &'a HttpClient,
    pub(crate) url: &'a Url,
    pub(crate) client: Client<'a>,
    /// Binds what is given to a key.
    pub(crate) dpop: Option<&'a Dpop>,
}

/// The fields of a token request, and which of them must not turn up in messages.
#[derive(Clone, Copy, Debug)]
pub(crate) struct GrantForm<'a> {
    pub(crate) fields: &'a [(&'a str, &'a str)],
    pub(crate) secrets: &'a [&'a SecretString],
}

impl TokenEndpoint<'_> {
    pub(crate) async fn request(&self, form: GrantForm<'_>) -> Result<TokenAnswer, TokenRequestError> {
        let answer = read_tokens(&self.ask(form).await?)?;
        let is_bound = answer.kind.as_deref().is_some_and(|kind| kind.eq_ignore_ascii_case(dpop::SCHEME));
        if self.dpop.is_some() && !is_bound {
            return Err(TokenRequestError::Malformed(
                "the token_type is not DPoP, so the tokens are not bound",
            ));
        }
        Ok(answer)
    }

    /// The members of a good answer.
    pub(crate) async fn ask(&self, form: GrantForm<'_>) -> Result<Map<String, Value>, TokenRequestError> {
        let first = self.client.way();
        match self.attempt(form, first).await {
            Err(error) if error.is_about_the_client() => {
                let Some(other) = self.client.other_way(first) else { return Err(error) };
                let second = self.attempt(form, other).await;
                if second.as_ref().is_err_and(TokenRequestError::is_about_the_client) {
                    // Both ways failed: the complaint that counts is about the way the provider asked for.
                    return Err(error);
                }
                if matches!(second, Ok(_) | Err(TokenRequestError::Refused { .. })) {
                    self.client.memory.remember(other);
                }
                second
            }
            Ok(answer) => {
                self.client.memory.remember(first);
                Ok(answer)
            }
            Err(error) => Err(error),
        }
    }

    /// Takes a token back (RFC 7009 section 2), at the endpoint for that. Clients prove who they are as at the token
    /// endpoint; what worked there is tried, and nothing else, as nothing depends on it.
    pub(crate) async fn revoke(&self, form: GrantForm<'_>) -> Result<(), TokenRequestError> {
        let credentials = self.client.credentials(self.url, self.client.way()).await?;
        let answer = self.http.send(self.build(form, &credentials)).await?;
        if answer.status.is_success() {
            Ok(())
        } else {
            Err(TokenRequestError::Failed { status: answer.status.as_u16() })
        }
    }

    async fn attempt(
        &self,
        form: GrantForm<'_>,
        way: ClientAuth,
    ) -> Result<Map<String, Value>, TokenRequestError> {
        let (mut answer, mut credentials) = self.send(form, way).await?;
        if let Some(dpop) = self.dpop
            && dpop.learn(self.url, &answer)
        {
            // The server did not look at the code yet: it wants to read its nonce in the proof.
            (answer, credentials) = self.send(form, way).await?;
            dpop.learn(self.url, &answer);
        }
        let ours = credentials.secrets(self.client.id);
        read_members(&answer, form.secrets.iter().copied().chain(&ours))
    }

    /// One request, with an assertion and a proof of its own.
    async fn send(
        &self,
        form: GrantForm<'_>,
        way: ClientAuth,
    ) -> Result<(Answer, Credentials), TokenRequestError> {
        let credentials = self.client.credentials(self.url, way).await?;
        let mut request = self.build(form, &credentials);
        if let Some(dpop) = self.dpop {
            let proof = dpop.proof(("POST", self.url), None, self.client.now);
            request = request.header(dpop::HEADER, proof.map_err(TokenRequestError::Assertion)?.expose());
        }
        Ok((self.http.send(request).await?, credentials))
    }

    fn build(&self, form: GrantForm<'_>, credentials: &Credentials) -> RequestBuilder {
        let request = self.http.post(self.url.clone()).header(header::ACCEPT, "application/json");
        credentials.present(self.client.id, request, form.fields)
    }
}

pub(crate) fn read_answer<'a>(
    answer: &Answer,
    secrets: impl Iterator<Item = &'a SecretString>,
) -> Result<TokenAnswer, TokenRequestError> {
    read_tokens(&read_members(answer, secrets)?)
}

/// The members of an answer that is no refusal.
fn read_members<'a>(
    answer: &Answer,
    secrets: impl Iterator<Item = &'a SecretString>,
) -> Result<Map<String, Value>, TokenRequestError> {
    let fields = read_fields(answer);
    let status = answer.status;
    let error = fields.as_ref().and_then(|fields| text(fields, "error"));
    match (error, fields) {
        (Some(error), Some(fields)) => {
            let secrets: Vec<&SecretString> = secrets.collect();
            let clean =
                |words: &str, limit: usize| printable(&without(words, secrets.iter().copied()), limit);
            let description = text(&fields, "error_description").map(|words| clean(&words, 300));
            Err(TokenRequestError::Refused {
                status: status.as_u16(),
                error: clean(&error, 100),
                description,
            })
        }
        (None, Some(fields)) if status.is_success() => Ok(fields),
        (None, None) if status.is_success() => {
            Err(TokenRequestError::Malformed("it is neither a JSON object nor a form"))
        }
        _ if status.is_server_error() || status == StatusCode::UNAUTHORIZED => {
            Err(TokenRequestError::Failed { status: status.as_u16() })
        }
        _ => {
            let error =
                if status.is_redirection() { "a redirect, which is not followed" } else { "no reason given" };
            let (status, error) = (status.as_u16(), error.to_owned());
            Err(TokenRequestError::Refused { status, error, description: None })
        }
    }
}

/// JSON, or the form text of some older providers.
fn read_fields(answer: &Answer) -> Option<Map<String, Value>> {
    if matches!(answer.media_type().as_str(), "application/x-www-form-urlencoded" | "text/plain")
        && answer.body.first() != Some(&b'{')
    {
        let pairs = form_urlencoded::parse(&answer.body);
        return Some(pairs.map(|(name, value)| (name.into_owned(), value.into_owned().into())).collect());
    }
    match serde_json::from_slice(&answer.body) {
        Ok(Value::Object(fields)) => Some(fields),
        _ => None,
    }
}

fn read_tokens(fields: &Map<String, Value>) -> Result<TokenAnswer, TokenRequestError> {
    use TokenRequestError::Malformed;
    let token = |name: &str, complaint: &'static str| match fields.get(name) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(token)) => {
            Ok(Some(token).filter(|token| !token.is_empty()).map(|token| token.clone().into()))
        }
        Some(_) => Err(Malformed(complaint)),
    };
    Ok(TokenAnswer {
        access: token("access_token", "the access_token is not a text")?
            .ok_or(Malformed("it has no access_token"))?,
        id: token("id_token", "the id_token is not a text")?,
        refresh: token("refresh_token", "the refresh_token is not a text")?,
        expires_in: expires_in(fields)?,
        kind: text(fields, "token_type"),
    })
}

/// Seconds as a number or as digits in a text; nothing, zero and less mean: not known.
fn expires_in(fields: &Map<String, Value>) -> Result<Option<Duration>, TokenRequestError> {
    const WRONG: TokenRequestError = TokenRequestError::Malformed("expires_in is not a number of seconds");
    let seconds = match fields.get("expires_in") {
        None | Some(Value::Null) => return Ok(None),
        Some(Value::Number(number)) => number.as_f64().ok_or(WRONG)?,
        Some(Value::String(text)) if text.is_empty() => return Ok(None),
        Some(Value::String(text)) => text.trim().parse().map_err(|_| WRONG)?,
        Some(_) => return Err(WRONG),
    };
    if seconds.is_nan() {
        return Err(WRONG);
    }
    Ok((seconds >= 1.0).then(|| Duration::from_secs_f64(seconds.min(LONGEST_LIFE_SECONDS).floor())))
}

/// About a century; keeps later arithmetic in range.
const LONGEST_LIFE_SECONDS: f64 = 3_155_760_000.0;

fn text(fields: &Map<String, Value>, name: &str) -> Option<String> {
    fields.get(name).and_then(Value::as_str).filter(|text| !text.is_empty()).map(str::to_owned)
}

#[cfg(test)]
mod tests;
