//! Asking the token endpoint (RFC 6749 sections 4.1.3, 5 and 6).
//! How to prove who we are is chosen from what the provider lists, and what worked is remembered;
//! the other way is tried only when the provider says that it does not know us. A code or refresh
//! token is therefore sent once, except to a provider that refused to look at it.

use std::{
    path::PathBuf,
    sync::atomic::{AtomicU8, Ordering},
    time::Duration,
};

use doorward_core::SecretString;
use http::{StatusCode, header};
use reqwest::RequestBuilder;
use serde_json::{Map, Value};
use url::Url;

use crate::{
    config::ClientSecret,
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

/// How we prove who we are (RFC 6749 section 2.3.1).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ClientAuth {
    #[default]
    Basic,
    Post,
}

impl ClientAuth {
    const fn other(self) -> Self {
        match self {
            Self::Basic => Self::Post,
            Self::Post => Self::Basic,
        }
    }
}

/// The way of client authentication that worked last.
#[derive(Debug, Default)]
pub(crate) struct AuthMemory(AtomicU8);

impl AuthMemory {
    fn recall(&self) -> Option<ClientAuth> {
        match self.0.load(Ordering::Relaxed) {
            1 => Some(ClientAuth::Basic),
            2 => Some(ClientAuth::Post),
            _ => None,
        }
    }

    fn remember(&self, auth: ClientAuth) {
        let number = match auth {
            ClientAuth::Basic => 1,
            ClientAuth::Post => 2,
        };
        self.0.store(number, Ordering::Relaxed);
    }
}

/// The token endpoint as one client sees it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct TokenEndpoint<'a> {
    pub(crate) http: &'a HttpClient,
    pub(crate) url: &'a Url,
    pub(crate) client_id: &'a str,
    pub(crate) client_secret: &'a ClientSecret,
    /// What the provider's metadata suggest.
    pub(crate) suggested: ClientAuth,
    pub(crate) memory: &'a AuthMemory,
}

/// The fields of a token request, and which of them must not turn up in messages.
#[derive(Clone, Copy, Debug)]
pub(crate) struct GrantForm<'a> {
    pub(crate) fields: &'a [(&'a str, &'a str)],
    pub(crate) secrets: &'a [&'a SecretString],
}

impl TokenEndpoint<'_> {
    pub(crate) async fn request(&self, form: GrantForm<'_>) -> Result<TokenAnswer, TokenRequestError> {
        let Some(secret) = read_secret(self.client_secret).await? else {
            return self.attempt(form, Credentials::Public).await;
        };
        let first = self.memory.recall().unwrap_or(self.suggested);
        match self.attempt(form, Credentials::of(first, &secret)).await {
            Err(error) if error.is_about_the_client() => {
                let second = self.attempt(form, Credentials::of(first.other(), &secret)).await;
                if second.as_ref().is_err_and(TokenRequestError::is_about_the_client) {
                    // Both ways failed: the complaint that counts is about the way the provider asked for.
                    return Err(error);
                }
                if matches!(second, Ok(_) | Err(TokenRequestError::Refused { .. })) {
                    self.memory.remember(first.other());
                }
                second
            }
            Ok(answer) => {
                self.memory.remember(first);
                Ok(answer)
            }
            Err(error) => Err(error),
        }
    }

    /// Takes a token back (RFC 7009 section 2), at the endpoint for that. Clients prove who they are as at the token
    /// endpoint; what worked there is tried, and nothing else, as nothing depends on it.
    pub(crate) async fn revoke(&self, form: GrantForm<'_>) -> Result<(), TokenRequestError> {
        let secret = read_secret(self.client_secret).await?;
        let auth = self.memory.recall().unwrap_or(self.suggested);
        let credentials = secret.as_ref().map_or(Credentials::Public, |secret| Credentials::of(auth, secret));
        let answer = self.http.send(self.build(form, credentials)).await?;
        if answer.status.is_success() {
            Ok(())
        } else {
            Err(TokenRequestError::Failed { status: answer.status.as_u16() })
        }
    }

    async fn attempt(
        &self,
        form: GrantForm<'_>,
        credentials: Credentials<'_>,
    ) -> Result<TokenAnswer, TokenRequestError> {
        let answer = self.http.send(self.build(form, credentials)).await?;
        let proofs = credentials.secret().map(|secret| proofs(self.client_id, secret)).unwrap_or_default();
        read_answer(&answer, form.secrets.iter().copied().chain(credentials.secret()).chain(&proofs))
    }

    fn build(&self, form: GrantForm<'_>, credentials: Credentials<'_>) -> RequestBuilder {
        let mut body = form_urlencoded::Serializer::new(String::new());
        body.extend_pairs(form.fields);
        let request = self.http.post(self.url.clone()).header(header::ACCEPT, "application/json");
        credentials.present(self.client_id, request, body)
    }
}

#[derive(Clone, Copy)]
pub(crate) enum Credentials<'a> {
    Basic(&'a SecretString),
    Post(&'a SecretString),
    Public,
}

impl<'a> Credentials<'a> {
    pub(crate) const fn of(auth: ClientAuth, secret: &'a SecretString) -> Self {
        match auth {
            ClientAuth::Basic => Self::Basic(secret),
            ClientAuth::Post => Self::Post(secret),
        }
    }

    /// A request with this form and these credentials.
    pub(crate) fn present(
        self,
        client_id: &str,
        mut request: RequestBuilder,
        mut body: form_urlencoded::Serializer<'_, String>,
    ) -> RequestBuilder {
        match self {
            Self::Basic(secret) => {
                request = request.header(header::AUTHORIZATION, basic(client_id, secret));
            }
            Self::Post(secret) => {
                body.append_pair("client_id", client_id);
                body.append_pair("client_secret", secret.expose());
            }
            Self::Public => {
                body.append_pair("client_id", client_id);
            }
        }
        request.header(header::CONTENT_TYPE, "application/x-www-form-urlencoded").body(body.finish())
    }

    const fn secret(self) -> Option<&'a SecretString> {
        match self {
            Self::Basic(secret) | Self::Post(secret) => Some(secret),
            Self::Public => None,
        }
    }
}

/// The client secret of this moment; nothing for a public client.
pub(crate) async fn read_secret(secret: &ClientSecret) -> Result<Option<SecretString>, TokenRequestError> {
    match secret {
        ClientSecret::None => Ok(None),
        ClientSecret::Inline(secret) => Ok(Some(secret.clone())),
        ClientSecret::File(path) => match tokio::fs::read_to_string(path).await {
            Ok(text) => {
                let line = text.strip_suffix('\n').unwrap_or(&text);
                Ok(Some(line.strip_suffix('\r').unwrap_or(line).into()))
            }
            Err(error) => {
                Err(TokenRequestError::ClientSecretFile { path: path.clone(), reason: error.to_string() })
            }
        },
    }
}

fn basic(client_id: &str, secret: &SecretString) -> String {
    format!("Basic {}", base64_simd::STANDARD.encode_to_string(pair(client_id, secret)))
}

/// Id and secret are form-encoded before they are joined (RFC 6749 section 2.3.1).
fn pair(client_id: &str, secret: &SecretString) -> String {
    let encode = |text: &str| form_urlencoded::byte_serialize(text.as_bytes()).collect::<String>();
    format!("{}:{}", encode(client_id), encode(secret.expose()))
}

/// The texts that stand for the secret in a Basic header, with and without the encoding inside. Without padding, so
/// that they are found with and without it.
fn proofs(client_id: &str, secret: &SecretString) -> Vec<SecretString> {
    let pairs = [pair(client_id, secret), format!("{client_id}:{}", secret.expose())];
    let codes = pairs.iter().flat_map(|pair| {
        [base64_simd::STANDARD_NO_PAD, base64_simd::URL_SAFE_NO_PAD].map(|code| code.encode_to_string(pair))
    });
    codes.map(SecretString::from).collect()
}

pub(crate) fn read_answer<'a>(
    answer: &Answer,
    secrets: impl Iterator<Item = &'a SecretString>,
) -> Result<TokenAnswer, TokenRequestError> {
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
        (None, Some(fields)) if status.is_success() => read_tokens(&fields),
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
