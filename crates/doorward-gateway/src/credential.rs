//! One of the ways to let an application know who asks, and what it makes of one request.

use doorward_core::{Principal, SecretString, Timestamp};
use http::{HeaderMap, HeaderName, HeaderValue, Method, header::AUTHORIZATION};
use serde_json::Value;

use crate::{exchange::Exchange, identity::SignedIdentity, issuer::MintError, phantom::Phantom};

/// What an application gets.
#[derive(Debug)]
pub enum Credential {
    /// Nothing but identity headers, which are the server's.
    Forwarded,
    /// What the client sent.
    Passthrough,
    /// Nothing.
    None,
    /// A signed access token.
    Jwt(Phantom),
    /// A token of a remote security token service (RFC 8693).
    Exchange(Box<Exchange>),
    /// A signed statement of who asks.
    Identity(SignedIdentity),
}

/// The request that a credential is for, which may pass.
#[derive(Clone, Copy, Debug)]
pub struct Bearer<'a> {
    pub principal: &'a Principal,
    /// The token by which the client is known, or that its session holds; only a remote security token service that is
    /// asked to exchange it ever sees it.
    pub presented: Option<&'a SecretString>,
    /// Who the credential is for: what the route says, else the origin of its upstream.
    pub audience: &'a str,
    /// The most scopes that the route hands on; `None`: all that there are.
    pub max_scopes: Option<&'a [String]>,
    /// What a policy said about the request.
    pub context: Option<&'a Value>,
    pub request_id: &'a str,
    pub method: &'a Method,
    /// The host that was asked, without port.
    pub host: &'a str,
    /// What was asked, as the client wrote it, without query (RFC 9449 section 4.2, `htu`).
    pub url: &'a str,
    pub now: Timestamp,
}

/// What to do to the request, and what must not come back.
#[derive(Clone, Debug, Default)]
pub struct Made {
    /// Headers to remove, before others are set.
    pub remove: Vec<HeaderName>,
    /// Headers to set, in place of whatever stands there. Marked as sensitive.
    pub set: Vec<(HeaderName, HeaderValue)>,
    /// What the client must not see: [`scrub`] removes it from answers.
    pub secrets: Vec<SecretString>,
}

/// Why there is no credential. Then the request is not forwarded.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CredentialFault {
    /// What is needed does not answer: 503.
    #[error("the credential for the application cannot be made: {0}")]
    Unavailable(String),
    /// The security token service does not want to exchange this one: 403.
    #[error("the credential for the application is refused: {0}")]
    Refused(String),
    /// The client's credential has ended meanwhile: 401.
    #[error("the credential of the client is over")]
    Over,
}

impl From<MintError> for CredentialFault {
    fn from(why: MintError) -> Self {
        Self::Unavailable(why.to_string())
    }
}

impl Credential {
    /// Makes the credential for a request. Nobody in particular gets none, and brings none.
    pub async fn make(&self, bearer: &Bearer<'_>) -> Result<Made, CredentialFault> {
        let mut made = match self {
            Self::Passthrough => return Ok(Made::default()),
            _ if bearer.principal.is_anonymous() => Made::default(),
            Self::Forwarded | Self::None => Made::default(),
            Self::Jwt(phantom) => phantom.make(bearer).await?,
            Self::Exchange(exchange) => exchange.make(bearer).await?,
            Self::Identity(identity) => identity.make(bearer).await?,
        };
        made.remove.push(AUTHORIZATION);
        Ok(made)
    }
}

impl Made {
    /// A token as the credential of RFC 6750.
    pub(crate) fn bearer(token: &SecretString) -> Result<Self, CredentialFault> {
        Self::in_header(AUTHORIZATION, &format!("Bearer {}", token.expose()), token)
    }

    /// A token in a header, which has `text`.
    pub(crate) fn in_header(
        name: HeaderName,
        text: &str,
        token: &SecretString,
    ) -> Result<Self, CredentialFault> {
        let no_text = |_| CredentialFault::Unavailable("the token is no text for a header".to_owned());
        let mut value = HeaderValue::from_str(text).map_err(no_text)?;
        value.set_sensitive(true);
        Ok(Self { set: vec![(name, value)], secrets: vec![token.clone()], ..Self::default() })
    }
}

/// Removes from an answer every header line that repeats a secret, and tells how many there were.
pub fn scrub(headers: &mut HeaderMap, secrets: &[SecretString]) -> usize {
    let repeats = |value: &HeaderValue| {
        secrets.iter().any(|secret| contains(value.as_bytes(), secret.expose().as_bytes()))
    };
    let telling: Vec<HeaderName> =
        headers.keys().filter(|name| headers.get_all(*name).iter().any(repeats)).cloned().collect();
    let mut removed = 0;
    for name in telling {
        let lines: Vec<HeaderValue> = headers.get_all(&name).iter().cloned().collect();
        headers.remove(&name);
        for line in lines {
            if repeats(&line) {
                removed += 1;
            } else {
                headers.append(name.clone(), line);
            }
        }
    }
    removed
}

fn contains(text: &[u8], part: &[u8]) -> bool {
    !part.is_empty() && text.windows(part.len()).any(|window| window == part)
}

#[cfg(test)]
mod tests;
