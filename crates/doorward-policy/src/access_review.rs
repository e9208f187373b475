//! An authoriser of Kubernetes, asked by `SubjectAccessReview`s (`authorization.k8s.io/v1`, norm B5.6). Its answers are
//! kept for seconds, by a hash of all that was asked.

use std::time::Duration;

use aws_lc_rs::digest::{SHA256, digest};
use bytes::Bytes;
use doorward_core::{SecretString, Timestamp};
use doorward_oidc::{ConnectError, HttpConfig};
use http::StatusCode;
use quick_cache::sync::Cache;
use serde_json::{Map, Value, json};
use tokio::time::timeout;
use url::Url;

use crate::{Decision, PolicyFault, Question, Verdict, input, remote::Remote};

/// How long an answer takes at most, if nothing else is said.
pub const TIMEOUT: Duration = Duration::from_secs(1);
/// Answers are never kept for longer.
pub const LONGEST_CACHE: Duration = Duration::from_secs(10);
/// Each takes a hundred bytes or so.
const CACHED_ANSWERS: usize = 4096;

/// Who decides, and about what.
#[derive(Clone, Debug, PartialEq)]
pub struct Config {
    /// `https://…/apis/authorization.k8s.io/v1/subjectaccessreviews`.
    pub url: Url,
    /// Our own token there.
    pub token: Option<SecretString>,
    /// Trust, and a certificate of ours. Its time limits are not used.
    pub http: HttpConfig,
    pub timeout: Duration,
    pub asks: Asks,
    /// How long a yes is kept; at most [`LONGEST_CACHE`].
    pub cache_allowed: Duration,
    /// How long a no is kept; at most [`LONGEST_CACHE`].
    pub cache_denied: Duration,
}

/// What somebody is asked to be allowed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Asks {
    /// The request's path, with its method in lower case as the verb.
    Path,
    /// The same for all requests.
    Resource(ResourceAttributes),
}

/// The fields of `resourceAttributes`. Empty ones are left out.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ResourceAttributes {
    pub namespace: String,
    pub verb: String,
    pub group: String,
    pub version: String,
    pub resource: String,
    pub subresource: String,
    pub name: String,
}

/// The authoriser.
#[derive(Debug)]
pub(crate) struct AccessReview {
    remote: Remote,
    limit: Duration,
    asks: Asks,
    cache_allowed: Duration,
    cache_denied: Duration,
    cache: Cache<[u8; 32], Kept>,
}

#[derive(Clone, Copy, Debug)]
struct Kept {
    at: Timestamp,
    verdict: Verdict,
}

impl AccessReview {
    pub(crate) fn new(config: Config) -> Result<Self, ConnectError> {
        let Config { url, token, http, timeout, asks, cache_allowed, cache_denied } = config;
        Ok(Self {
            remote: Remote::new(url, token, &http, timeout)?,
            limit: timeout,
            asks,
            cache_allowed: cache_allowed.min(LONGEST_CACHE),
            cache_denied: cache_denied.min(LONGEST_CACHE),
            cache: Cache::new(CACHED_ANSWERS),
        })
    }

    pub(crate) async fn ask(&self, question: &Question<'_>) -> Result<Decision, PolicyFault> {
        let review = self.review(question)?.to_string();
        let now = question.facts().time;
        let mut key = [0; 32];
        key.copy_from_slice(digest(&SHA256, review.as_bytes()).as_ref());
        // Whoever waits for another's answer waits no longer than for one of his own.
        let verdict = timeout(self.limit, self.known_or_asked(key, review.into(), now)).await;
        verdict.unwrap_or(Err(PolicyFault::Timeout)).map(Decision::plain)
    }

    async fn known_or_asked(
        &self,
        key: [u8; 32],
        review: Bytes,
        now: Timestamp,
    ) -> Result<Verdict, PolicyFault> {
        self.cache.remove_if(&key, |kept| !self.is_fresh(kept, now));
        match self.cache.get_value_or_guard_async(&key).await {
            Ok(kept) => Ok(kept.verdict),
            // The only one to ask this at this time. Without an answer the next one asks.
            Err(guard) => {
                let answer = self.remote.ask(review, &[StatusCode::OK, StatusCode::CREATED]).await?;
                let verdict = verdict(&answer)?;
                if !self.life(verdict).is_zero() {
                    let _ = guard.insert(Kept { at: now, verdict });
                }
                Ok(verdict)
            }
        }
    }

    const fn life(&self, verdict: Verdict) -> Duration {
        match verdict {
            Verdict::Allow => self.cache_allowed,
            Verdict::Deny => self.cache_denied,
        }
    }

    fn is_fresh(&self, kept: &Kept, now: Timestamp) -> bool {
        // Requests are not asked about in the order of their times; those of a clock set back are asked anew.
        let apart = now.since(kept.at).max(kept.at.since(now));
        apart < self.life(kept.verdict)
    }

    fn review(&self, question: &Question<'_>) -> Result<Value, PolicyFault> {
        let facts = question.facts();
        let user = &facts.who.user;
        let mut spec = json!({"user": user.name, "groups": user.groups});
        if let Some(spec) = spec.as_object_mut() {
            if !user.uid.is_empty() {
                spec.insert("uid".to_owned(), user.uid.clone().into());
            }
            if !user.extra.is_empty() {
                spec.insert("extra".to_owned(), json!(user.extra));
            }
            let (name, attributes) = match &self.asks {
                Asks::Resource(attributes) => ("resourceAttributes", attributes.to_json()),
                Asks::Path => {
                    let (path, _) = input::split(facts.path_and_query);
                    let path = format!("/{}", input::parsed_path(path)?.join("/"));
                    let verb = facts.method.as_str().to_ascii_lowercase();
                    ("nonResourceAttributes", json!({"path": path, "verb": verb}))
                }
            };
            spec.insert(name.to_owned(), attributes);
        }
        Ok(json!({"apiVersion": "authorization.k8s.io/v1", "kind": "SubjectAccessReview", "spec": spec}))
    }
}

impl ResourceAttributes {
    fn to_json(&self) -> Value {
        let Self { namespace, verb, group, version, resource, subresource, name } = self;
        let fields = [
            ("namespace", namespace),
            ("verb", verb),
            ("group", group),
            ("version", version),
            ("resource", resource),
            ("subresource", subresource),
            ("name", name),
        ];
        let given = fields.into_iter().filter(|(_, value)| !value.is_empty());
        given.map(|(field, value)| (field.to_owned(), value.clone().into())).collect::<Map<_, _>>().into()
    }
}

/// Both a yes and a no is a no, and so is neither: an authoriser that has no opinion allows nothing.
fn verdict(answer: &Value) -> Result<Verdict, PolicyFault> {
    let wrong = |what: &str| Err(PolicyFault::WrongType(format!("the policy's server answers with {what}")));
    if answer.get("kind").and_then(Value::as_str) != Some("SubjectAccessReview") {
        return wrong("no SubjectAccessReview");
    }
    let said = |name: &str| match answer.get("status").and_then(|status| status.get(name)) {
        None | Some(Value::Null) => Some(false),
        Some(Value::Bool(said)) => Some(*said),
        Some(_) => None,
    };
    match (said("allowed"), said("denied")) {
        (Some(true), Some(false)) => Ok(Verdict::Allow),
        (Some(_), Some(_)) => Ok(Verdict::Deny),
        _ => wrong("a review that neither allows nor denies"),
    }
}
