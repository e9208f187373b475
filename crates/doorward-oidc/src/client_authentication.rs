//! Proving to a provider who we are, the same way at every endpoint that asks for it (OIDC Core section 9, RFC 7523,
//! RFC 8705). An assertion is made for one request and for one place: its `jti` never comes again, and its `aud` is no
//! other server than the one it is sent to, so that nobody can use at one provider what another was shown.

use std::{
    path::Path,
    sync::atomic::{AtomicU8, Ordering},
    time::Duration,
};

use aws_lc_rs::rand;
use doorward_core::{SecretString, Timestamp};
use doorward_jose::{SigningError, sign_with_secret};
use http::header;
use reqwest::RequestBuilder;
use serde_json::{Value, json};
use url::Url;

use crate::{
    config::{AssertionAudience, ClientAuthentication, ClientSecret},
    token_endpoint::TokenRequestError,
};

/// Where a client secret is shown (RFC 6749 section 2.3.1).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ClientAuth {
    #[default]
    Basic,
    Post,
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

    pub(crate) fn remember(&self, auth: ClientAuth) {
        let number = match auth {
            ClientAuth::Basic => 1,
            ClientAuth::Post => 2,
        };
        self.0.store(number, Ordering::Relaxed);
    }
}

/// Who asks, and what it takes to prove that.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Client<'a> {
    pub(crate) id: &'a str,
    pub(crate) authentication: &'a ClientAuthentication,
    /// Empty where there is none.
    pub(crate) issuer: &'a str,
    pub(crate) token_endpoint: Option<&'a Url>,
    /// What the provider's metadata suggest.
    pub(crate) suggested: ClientAuth,
    pub(crate) memory: &'a AuthMemory,
    pub(crate) now: Timestamp,
}

impl Client<'_> {
    /// Where to show a secret. Means nothing without one.
    pub(crate) fn way(&self) -> ClientAuth {
        match self.authentication {
            ClientAuthentication::SecretIn(_, way) => *way,
            _ => self.memory.recall().unwrap_or(self.suggested),
        }
    }

    /// Where else to show it, if the provider did not know us; nowhere unless that was left open.
    pub(crate) fn other_way(&self, way: ClientAuth) -> Option<ClientAuth> {
        let is_open = matches!(self.authentication, ClientAuthentication::Secret(_));
        is_open.then_some(match way {
            ClientAuth::Basic => ClientAuth::Post,
            ClientAuth::Post => ClientAuth::Basic,
        })
    }

    /// What goes along with one request to `url`.
    pub(crate) async fn credentials(
        &self,
        url: &Url,
        way: ClientAuth,
    ) -> Result<Credentials, TokenRequestError> {
        Ok(match self.authentication {
            ClientAuthentication::Public | ClientAuthentication::Mtls => Credentials::Name,
            ClientAuthentication::Secret(secret) | ClientAuthentication::SecretIn(secret, _) => {
                let secret = read_secret(secret).await?;
                match way {
                    ClientAuth::Basic => Credentials::Basic(secret),
                    ClientAuth::Post => Credentials::Post(secret),
                }
            }
            ClientAuthentication::SecretJwt { secret, audience } => {
                let secret = read_secret(secret).await?;
                let claims = self.claims(audience, url).map_err(TokenRequestError::Assertion)?;
                let signed = sign_with_secret(&secret, "JWT", &claims);
                Credentials::Assertion(signed.map_err(TokenRequestError::Assertion)?)
            }
            ClientAuthentication::PrivateKeyJwt { key, audience } => {
                let claims = self.claims(audience, url).map_err(TokenRequestError::Assertion)?;
                Credentials::Assertion(key.sign("JWT", &claims).map_err(TokenRequestError::Assertion)?)
            }
            ClientAuthentication::AssertionFile(path) => Credentials::Assertion(read_assertion(path).await?),
        })
    }

    /// RFC 7523 section 3, OIDC Core section 9.
    fn claims(&self, audience: &AssertionAudience, url: &Url) -> Result<Value, SigningError> {
        let issued = self.now.seconds;
        Ok(json!({
            "iss": self.id, "sub": self.id, "aud": self.audience(audience, url), "jti": unique()?,
            "iat": issued, "exp": self.now.saturating_add(ASSERTION_LIFE).seconds,
        }))
    }

    /// For whom an assertion is that goes to `url`. The token endpoint stands for its server alone: metadata that mix
    /// endpoints of several servers would otherwise have one shown what is good at another.
    fn audience<'a>(&'a self, wanted: &'a AssertionAudience, url: &'a Url) -> &'a str {
        match (wanted, self.token_endpoint) {
            (AssertionAudience::Other(text), _) => text,
            (AssertionAudience::Issuer, _) if !self.issuer.is_empty() => self.issuer,
            (AssertionAudience::TokenEndpoint, Some(token)) if token.origin() == url.origin() => {
                token.as_str()
            }
            (AssertionAudience::Issuer | AssertionAudience::TokenEndpoint, _) => url.as_str(),
        }
    }
}

/// How long an assertion counts: as clocks differ, not as requests last. It is used once all the same.
const ASSERTION_LIFE: Duration = Duration::from_mins(5);

/// 128 bits that nobody had before.
pub(crate) fn unique() -> Result<String, SigningError> {
    let mut bytes = [0; 16];
    rand::fill(&mut bytes).map_err(|_| SigningError::Cryptography)?;
    Ok(base64_simd::URL_SAFE_NO_PAD.encode_to_string(bytes))
}

/// What one request carries about us.
pub(crate) enum Credentials {
    Basic(SecretString),
    Post(SecretString),
    /// RFC 7521 section 4.2.
    Assertion(SecretString),
    /// Nothing but the name: of a public client, or of one whose certificate proves the rest.
    Name,
}

const ASSERTION_TYPE: &str = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";

impl Credentials {
    /// A request with this form and these credentials. Whoever shows no header says its name in the form, once.
    pub(crate) fn present(
        &self,
        client_id: &str,
        mut request: RequestBuilder,
        fields: &[(&str, &str)],
    ) -> RequestBuilder {
        let mut body = form_urlencoded::Serializer::new(String::new());
        body.extend_pairs(fields);
        let is_named = fields.iter().any(|(name, _)| *name == "client_id");
        if !is_named && !matches!(self, Self::Basic(_)) {
            body.append_pair("client_id", client_id);
        }
        match self {
            Self::Basic(secret) => {
                request = request.header(header::AUTHORIZATION, basic(client_id, secret));
            }
            Self::Post(secret) => {
                body.append_pair("client_secret", secret.expose());
            }
            Self::Assertion(assertion) => {
                body.append_pair("client_assertion_type", ASSERTION_TYPE);
                body.append_pair("client_assertion", assertion.expose());
            }
            Self::Name => {}
        }
        request.header(header::CONTENT_TYPE, "application/x-www-form-urlencoded").body(body.finish())
    }

    /// All texts that must not turn up in messages.
    pub(crate) fn secrets(&self, client_id: &str) -> Vec<SecretString> {
        match self {
            Self::Basic(secret) | Self::Post(secret) => {
                let mut all = vec![secret.clone()];
                all.extend(proofs(client_id, secret));
                all
            }
            Self::Assertion(assertion) => vec![assertion.clone()],
            Self::Name => Vec::new(),
        }
    }
}

/// The client secret of this moment.
pub(crate) async fn read_secret(secret: &ClientSecret) -> Result<SecretString, TokenRequestError> {
    match secret {
        ClientSecret::Inline(secret) => Ok(secret.clone()),
        ClientSecret::File(path) => match tokio::fs::read_to_string(path).await {
            Ok(text) => {
                let line = text.strip_suffix('\n').unwrap_or(&text);
                Ok(line.strip_suffix('\r').unwrap_or(line).into())
            }
            Err(error) => {
                Err(TokenRequestError::ClientSecretFile { path: path.clone(), reason: error.to_string() })
            }
        },
    }
}

/// The assertion of this moment, which others keep fresh.
pub(crate) async fn read_assertion(path: &Path) -> Result<SecretString, TokenRequestError> {
    let wrong = |reason: String| TokenRequestError::AssertionFile { path: path.to_owned(), reason };
    let text = tokio::fs::read_to_string(path).await.map_err(|error| wrong(error.to_string()))?;
    match text.trim() {
        "" => Err(wrong("it is empty".to_owned())),
        token => Ok(token.into()),
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

#[cfg(test)]
mod tests;
