//! Telling the provider what a login asks for before the browser goes there (RFC 9126): the browser only carries a
//! reference, and can change nothing.

use std::time::Duration;

use doorward_core::Timestamp;
use serde_json::Value;
use tokio::time::timeout;
use url::Url;

use crate::{
    discovery::Metadata,
    login::{BeginError, Prepared},
    provider::Shared,
    token_endpoint::{GrantForm, TokenEndpoint, TokenRequestError},
};

/// Strangers begin logins: so many requests may be under way, and so long one waits for its turn.
pub(crate) const PUSHES: usize = 64;
const LONGEST_WAIT: Duration = Duration::from_secs(3);
const LONGEST_REFERENCE: usize = 2048;

impl Shared {
    /// Returns what the provider calls the request from now on.
    pub(crate) async fn push(
        &self,
        url: &Url,
        prepared: &Prepared,
        (metadata, now): (&Metadata, Timestamp),
    ) -> Result<String, BeginError> {
        let Ok(Ok(_place)) = timeout(LONGEST_WAIT, self.pushes.acquire()).await else {
            return Err(BeginError::TooMany);
        };
        let fields: Vec<(&str, &str)> = prepared.pairs().collect();
        // What binds the tokens to a key stands in the request itself, so there is no proof.
        let endpoint =
            TokenEndpoint { http: &self.http, url, client: self.client(metadata, now), dpop: None };
        let answer = endpoint.ask(GrantForm { fields: &fields, secrets: &[] }).await?;
        match answer.get("request_uri").and_then(Value::as_str) {
            Some(reference) if (1..=LONGEST_REFERENCE).contains(&reference.len()) => Ok(reference.to_owned()),
            _ => Err(TokenRequestError::Malformed("it has no request_uri").into()),
        }
    }
}
