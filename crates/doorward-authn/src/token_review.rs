//! Tokens that somebody else judges: a server that answers `TokenReview`s (`authentication.k8s.io/v1`), such as a
//! Kubernetes API. Answers are kept for seconds, by the hash of the token.

use std::{collections::BTreeMap, time::Duration};

use ::aws_lc_rs::digest::{SHA256, digest};
use doorward_core::{SecretString, Timestamp, UserInfo};
use doorward_oidc::{ConnectError, HttpClient, HttpConfig, HttpError};
use http::header::{ACCEPT, CONTENT_TYPE};
use quick_cache::sync::Cache;
use serde::Deserialize;
use tokio::sync::Semaphore;
use url::Url;

/// Answers are never kept for longer.
const LONGEST_CACHE: Duration = Duration::from_secs(10);
const CACHED_ANSWERS: usize = 1024;
/// A longer answer is not kept, so that all of them fit into 16 MiB.
const CACHED_LENGTH: usize = 16 * 1024;
/// Tokens that are being asked about at a time: made-up ones cost nothing.
const QUESTIONS: usize = 64;

/// Who judges tokens, and how he is asked.
#[derive(Clone, Debug)]
pub struct Config {
    pub url: Url,
    /// Our own token there.
    pub token: Option<SecretString>,
    pub http: HttpConfig,
    /// A token has to be for one of these; empty for any token that the reviewer accepts.
    pub audiences: Vec<String>,
    /// Whom tokens are for of which the reviewer does not say it.
    pub implicit_audiences: Vec<String>,
    /// How long answers are kept; at most ten seconds.
    pub cache: Duration,
    pub on_error: OnError,
}

/// What a reviewer who gives no answer means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OnError {
    /// The token counts as a bad one: 401.
    Refuse,
    /// Nobody can tell: 503.
    Unavailable,
}

/// The reviewer.
#[derive(Debug)]
pub struct TokenReview {
    config: Config,
    client: HttpClient,
    cache: Cache<[u8; 32], Kept>,
    questions: Semaphore,
}

#[derive(Clone, Debug)]
struct Kept {
    at: Timestamp,
    judgement: Result<UserInfo, ReviewRefusal>,
}

/// Why a token does not count.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ReviewRefusal {
    #[error("the token reviewer does not know the token")]
    Unknown,
    #[error("the token reviewer knows the token, but it is for somebody else")]
    Audience,
    #[error("the token reviewer gave no answer: {0}")]
    Unanswered(ReviewError),
}

/// Why there is no answer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ReviewError {
    #[error(transparent)]
    Http(#[from] HttpError),
    #[error("its status is {0}")]
    Status(u16),
    #[error("it is no TokenReview")]
    Unreadable,
}

impl ReviewRefusal {
    /// The configuration's answer to what nobody could tell.
    pub const fn is_unavailable(&self, on_error: OnError) -> bool {
        matches!(self, Self::Unanswered(_)) && matches!(on_error, OnError::Unavailable)
    }
}

#[derive(Debug, Default, Deserialize)]
struct Review {
    #[serde(default)]
    status: Status,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Status {
    authenticated: bool,
    user: User,
    audiences: Vec<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct User {
    username: String,
    uid: String,
    groups: Vec<String>,
    extra: BTreeMap<String, Vec<String>>,
}

impl TokenReview {
    /// Fails if the files of `config.http` cannot be used. Nobody is asked yet.
    pub fn new(config: Config) -> Result<Self, ConnectError> {
        let client = HttpClient::new(&config.http)?;
        Ok(Self { config, client, cache: Cache::new(CACHED_ANSWERS), questions: Semaphore::new(QUESTIONS) })
    }

    pub const fn on_error(&self) -> OnError {
        self.config.on_error
    }

    /// Who the token is about.
    pub async fn attempt(&self, token: &str, now: Timestamp) -> Result<UserInfo, ReviewRefusal> {
        let key = hash(token);
        let life = self.config.cache.min(LONGEST_CACHE);
        if let Some(Kept { at, judgement }) = self.cache.get(&key)
            && at <= now
            && now.since(at) < life
        {
            return judgement;
        }
        let (judgement, length) = match self.ask(token).await {
            Ok((status, length)) => (self.judge(status), length),
            // Not kept: the next request may find somebody at home.
            Err(error) => return Err(ReviewRefusal::Unanswered(error)),
        };
        if length <= CACHED_LENGTH && !life.is_zero() {
            self.cache.insert(key, Kept { at: now, judgement: judgement.clone() });
        }
        judgement
    }

    /// The answer, and its length in bytes.
    async fn ask(&self, token: &str) -> Result<(Status, usize), ReviewError> {
        let review = serde_json::json!({
            "apiVersion": "authentication.k8s.io/v1",
            "kind": "TokenReview",
            "spec": {"token": token, "audiences": self.config.audiences},
        });
        let mut request = self.client.post(self.config.url.clone());
        request = request.header(CONTENT_TYPE, "application/json").header(ACCEPT, "application/json");
        if let Some(own) = &self.config.token {
            request = request.bearer_auth(own.expose());
        }
        let _place = self.questions.acquire().await;
        let answer = self.client.send(request.body(review.to_string())).await?;
        if !matches!(answer.status.as_u16(), 200 | 201) {
            return Err(ReviewError::Status(answer.status.as_u16()));
        }
        let review: Review = serde_json::from_slice(&answer.body).map_err(|_| ReviewError::Unreadable)?;
        Ok((review.status, answer.body.len()))
    }

    fn judge(&self, status: Status) -> Result<UserInfo, ReviewRefusal> {
        let Status { authenticated, user: User { username, uid, groups, extra }, audiences } = status;
        if !authenticated {
            return Err(ReviewRefusal::Unknown);
        }
        let named = if audiences.is_empty() { &self.config.implicit_audiences } else { &audiences };
        let wanted = &self.config.audiences;
        if !wanted.is_empty() && !wanted.iter().any(|wanted| named.contains(wanted)) {
            return Err(ReviewRefusal::Audience);
        }
        Ok(UserInfo { name: username, uid, groups, extra })
    }
}

fn hash(token: &str) -> [u8; 32] {
    let mut key = [0; 32];
    key.copy_from_slice(digest(&SHA256, token.as_bytes()).as_ref());
    key
}

#[cfg(test)]
mod tests;
