//! Asking servers that decide: a bounded number of questions at a time, a bounded time, and a second attempt where the
//! first met no server.

use std::time::Duration;

use bytes::Bytes;
use doorward_core::SecretString;
use doorward_oidc::{ConnectError, HttpClient, HttpConfig, HttpError};
use http::{
    StatusCode,
    header::{ACCEPT, CONTENT_TYPE},
};
use serde_json::Value;
use tokio::{sync::Semaphore, time::timeout};
use url::Url;

use crate::PolicyFault;

/// Questions under way at one server; further ones wait as long as their time allows.
const QUESTIONS: usize = 256;

/// A server that is asked by `POST`s of JSON.
#[derive(Debug)]
pub(crate) struct Remote {
    client: HttpClient,
    url: Url,
    token: Option<SecretString>,
    limit: Duration,
    questions: Semaphore,
}

impl Remote {
    /// Nobody is asked yet. `limit` is for everything together.
    pub(crate) fn new(
        url: Url,
        token: Option<SecretString>,
        http: &HttpConfig,
        limit: Duration,
    ) -> Result<Self, ConnectError> {
        let http = HttpConfig { connect_timeout: limit, total_timeout: limit, ..http.clone() };
        Ok(Self { client: HttpClient::new(&http)?, url, token, limit, questions: Semaphore::new(QUESTIONS) })
    }

    /// The answer, which is JSON under one of these statuses.
    pub(crate) async fn ask(&self, body: Bytes, good: &[StatusCode]) -> Result<Value, PolicyFault> {
        timeout(self.limit, self.exchange(body, good)).await.unwrap_or(Err(PolicyFault::Timeout))
    }

    async fn exchange(&self, body: Bytes, good: &[StatusCode]) -> Result<Value, PolicyFault> {
        let _place = self.questions.acquire().await;
        let request = || {
            let request = self.client.post(self.url.clone()).body(body.clone());
            let request = request.header(CONTENT_TYPE, "application/json").header(ACCEPT, "application/json");
            match &self.token {
                Some(token) => request.bearer_auth(token.expose()),
                None => request,
            }
        };
        let answer = match self.client.send(request()).await {
            Err(HttpError::Unreachable { .. }) => self.client.send(request()).await,
            answer => answer,
        };
        let answer = answer.map_err(|error| match error {
            HttpError::TimedOut => PolicyFault::Timeout,
            HttpError::TooLong | HttpError::Redirected => PolicyFault::Evaluation(in_our_words(&error)),
            HttpError::Certificate { .. } | HttpError::Unreachable { .. } => {
                PolicyFault::Unreachable(in_our_words(&error))
            }
        })?;
        if !good.contains(&answer.status) {
            let status = answer.status.as_u16();
            return Err(PolicyFault::Evaluation(format!(
                "the policy's server answers with the status {status}"
            )));
        }
        serde_json::from_slice(&answer.body).map_err(|_| {
            PolicyFault::WrongType("the policy's server answers with what is no JSON".to_owned())
        })
    }
}

/// The client's errors speak of providers.
fn in_our_words(error: &HttpError) -> String {
    error.to_string().replace("the provider", "the policy's server")
}
