//! Tokens of another authorization server, which is asked about them (RFC 7662). Answers are kept for seconds, by the
//! hash of the token; one question about a token is under way at a time, and whoever waits for it gets its answer too.

use std::{sync::Arc, time::Duration};

use doorward_core::Timestamp;
use doorward_jose::{
    AudienceRule, Claims,
    claims_check::{check_lifetime, instant},
};
pub use doorward_oidc::ClientAuth;
use doorward_oidc::{
    ClientAuthentication, ConnectError, HttpConfig, IntrospectionClient, IntrospectionClientConfig,
    IntrospectionError, Told, is_safe,
};
use quick_cache::sync::{EntryAction, EntryResult};
use serde_json::Value;
use tokio::{sync::Semaphore, time::Instant};
use url::Url;

use super::{
    Description, TokenFinding,
    claims::{About, ClaimNames, principal},
    jwt::JwtAuthorizer,
    kept::{self, Known, Tokens, Weighed},
};
use crate::judged::{Doubt, token_id};

/// Who is asked, and how.
#[derive(Debug)]
pub struct IntrospectionConfig {
    pub url: Url,
    pub client_id: String,
    pub client_authentication: ClientAuthentication,
    pub accept: Accept,
    /// How long good answers are kept; at most [`Introspection::LONGEST_CACHE`].
    pub cache: Duration,
    /// The `iss` that an answer has, if it has any; empty: any.
    pub issuer: String,
    /// A token is for one of these; empty: for anybody that the server names.
    pub audiences: Vec<String>,
    pub names: ClaimNames,
    /// Requests wait for an answer as long as `total_timeout`, but no longer than three seconds.
    pub http: HttpConfig,
}

/// The form of answers.
#[derive(Debug)]
pub enum Accept {
    /// JSON.
    Json,
    /// A signed token in place of the opaque one (`application/jwt`), which is verified as if the client had sent it;
    /// or a signed answer (`application/token-introspection+jwt`, RFC 9701), whichever the server gives. JSON can then
    /// only say that a token is not active.
    Jwt(Box<JwtAuthorizer>),
}

/// Why a server cannot be asked so.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidIntrospection {
    #[error(transparent)]
    Connect(#[from] ConnectError),
    #[error("tokens would be sent in clear; write an https address")]
    InClear,
    #[error(
        "an answer kept for {} seconds would count for too long; at most {} are possible",
        .0.as_secs(),
        Introspection::LONGEST_CACHE.as_secs()
    )]
    Cache(Duration),
}

/// The server that knows the tokens.
#[derive(Debug)]
pub struct Introspection {
    client: IntrospectionClient,
    accept: Accept,
    cache: Duration,
    issuer: String,
    audience: Option<AudienceRule>,
    names: ClaimNames,
    kept: Tokens<Kept>,
    questions: Semaphore,
}

#[derive(Clone, Debug)]
struct Kept {
    at: Timestamp,
    until: Timestamp,
    outcome: Outcome,
}

/// What came of a question.
#[derive(Clone, Debug)]
enum Outcome {
    Known(Known),
    Bad(Description, String),
    /// Nobody could tell.
    Unknown(String),
}

/// A request does not wait longer for an answer.
const LONGEST_WAIT: Duration = Duration::from_secs(3);
/// Refusals are kept no longer.
const LONGEST_NEGATIVE: Duration = Duration::from_secs(5);
/// For that long nobody asks again after a failure: those who waited for it do not wait once more, one after the other.
const FAILURE: Duration = Duration::from_secs(1);
/// Requests that overlap differ by less; a clock that was set back, by more.
const CLOCK_STEP: Duration = Duration::from_mins(1);
/// Tokens that are being asked about at a time: made-up ones cost nothing.
const QUESTIONS: usize = 64;

impl Kept {
    fn holds(&self, now: Timestamp) -> bool {
        now < self.until && self.at.since(now) < CLOCK_STEP
    }
}

impl Introspection {
    pub const LONGEST_CACHE: Duration = Duration::from_secs(30);

    pub fn new(config: IntrospectionConfig) -> Result<Self, InvalidIntrospection> {
        if config.cache > Self::LONGEST_CACHE {
            return Err(InvalidIntrospection::Cache(config.cache));
        }
        if !is_safe(&config.url) {
            return Err(InvalidIntrospection::InClear);
        }
        let accept = match config.accept {
            Accept::Json => "application/json",
            Accept::Jwt(_) => "application/jwt, application/token-introspection+jwt",
        };
        let audience = config.audiences.split_first();
        let audience = audience.map(|(first, others)| AudienceRule::new(&["aud".to_owned()], first, others));
        Ok(Self {
            client: IntrospectionClient::new(IntrospectionClientConfig {
                url: config.url,
                client_id: config.client_id,
                client_authentication: config.client_authentication,
                accept,
                http: config.http,
            })?,
            accept: config.accept,
            cache: config.cache,
            issuer: config.issuer,
            audience,
            names: config.names,
            kept: kept::tokens(),
            questions: Semaphore::new(QUESTIONS),
        })
    }

    pub(crate) async fn attempt(&self, name: &Arc<str>, token: &str, now: Timestamp) -> TokenFinding {
        let doubt = |reason| Doubt { credential: token_id(token), reason };
        match self.outcome(name, token, now).await {
            Outcome::Known(user) => TokenFinding::Known(user),
            Outcome::Bad(description, reason) => TokenFinding::Bad(description, doubt(reason)),
            Outcome::Unknown(reason) => TokenFinding::Unknown(doubt(reason)),
        }
    }

    /// What is kept, or a new answer.
    async fn outcome(&self, name: &Arc<str>, token: &str, now: Timestamp) -> Outcome {
        let hash = kept::hash(token);
        if let Some(Weighed { value, .. }) = self.kept.get(&hash)
            && value.holds(now)
        {
            return value.outcome;
        }
        let entry = self.kept.entry_async(&hash, |_, entry| {
            if entry.value.holds(now) {
                EntryAction::Retain(entry.value.outcome.clone())
            } else {
                EntryAction::ReplaceWithGuard
            }
        });
        match entry.await {
            EntryResult::Retained(outcome) => outcome,
            EntryResult::Vacant(place) | EntryResult::Replaced(place, _) => {
                let (kept, length) = self.ask(name, token, now).await;
                let outcome = kept.outcome.clone();
                // If it does not fit, the next request asks again.
                let _ = place.insert(Weighed::new(kept, length));
                outcome
            }
            EntryResult::Removed(..) | EntryResult::Timeout => {
                Outcome::Unknown("the cache failed".to_owned())
            }
        }
    }

    /// A new answer, and how long what it says is.
    async fn ask(&self, name: &Arc<str>, token: &str, now: Timestamp) -> (Kept, usize) {
        let begin = Instant::now();
        let limit = self.client.config().http.total_timeout.min(LONGEST_WAIT);
        let told = tokio::time::timeout(limit, async {
            let _place = self.questions.acquire().await;
            self.client.ask(token, now).await
        });
        let outcome = match told.await {
            Err(_) => Outcome::Unknown("the introspection endpoint did not answer in time".to_owned()),
            Ok(Err(error)) => unanswered(&error, self.client.config()),
            Ok(Ok(told)) => self.judge(name, token, told, now).await,
        };
        let ends = |life: Duration| now.saturating_add(life);
        let (until, length) = match &outcome {
            Outcome::Known(user) => {
                let end = user.expires.unwrap_or_else(|| ends(self.cache));
                (end.min(ends(self.cache)), length_of(&user.claims))
            }
            Outcome::Bad(_, reason) => (ends(self.cache.min(LONGEST_NEGATIVE)), reason.len()),
            Outcome::Unknown(reason) => (ends(begin.elapsed() + FAILURE), reason.len()),
        };
        (Kept { at: now, until, outcome }, length)
    }

    async fn judge(&self, name: &Arc<str>, token: &str, told: Told, now: Timestamp) -> Outcome {
        match (told, &self.accept) {
            (Told::Nothing, _) => not_active(),
            (Told::Members(members), Accept::Json) => self.judge_members(name, token, members, now),
            (Told::Members(members), Accept::Jwt(_)) => match members.get("active") {
                Some(Value::Bool(false)) => not_active(),
                _ => Outcome::Unknown(
                    "the introspection endpoint gave an answer without a signature".to_owned(),
                ),
            },
            (Told::Signed(signed), Accept::Jwt(issuer)) => {
                let client_id = &self.client.config().client_id;
                match issuer.introspected(signed.expose(), client_id, now).await {
                    Some(Ok(members)) => self.judge_members(name, token, members, now),
                    Some(Err(reason)) => Outcome::Unknown(reason),
                    None => match issuer.attempt(name, signed.expose(), now).await {
                        TokenFinding::Known(user) => Outcome::Known(renamed(user, token)),
                        TokenFinding::Bad(description, doubt) => Outcome::Bad(description, doubt.reason),
                        TokenFinding::Unknown(doubt) => Outcome::Unknown(doubt.reason),
                    },
                }
            }
            (Told::Signed(_), Accept::Json) => {
                Outcome::Unknown("the introspection endpoint gave no JSON; write accept: jwt".to_owned())
            }
        }
    }

    /// What the members of an answer say (RFC 7662 section 2.2).
    fn judge_members(&self, name: &Arc<str>, token: &str, mut members: Claims, now: Timestamp) -> Outcome {
        match members.remove("active") {
            Some(Value::Bool(true)) => {}
            Some(Value::Bool(false)) => return not_active(),
            _ => return Outcome::Unknown("the answer does not say whether the token is active".to_owned()),
        }
        let refused = |description, reason: &str| Outcome::Bad(description, reason.to_owned());
        if !is_access_token(&members) {
            return refused(Description::Untold, "the token is none that a bearer may use here");
        }
        let text = |name: &str| members.get(name).and_then(Value::as_str);
        if !self.issuer.is_empty() && text("iss").is_some_and(|issuer| issuer != self.issuer) {
            return refused(Description::Issuer, "the token is of another issuer");
        }
        if self.audience.as_ref().is_some_and(|audience| audience.check(&members).is_err()) {
            return refused(Description::Audience, "the token is for none of the audiences");
        }
        let latest = now.saturating_add(JwtAuthorizer::USUAL_LEEWAY);
        match instant(&members, "nbf") {
            Ok(start) if start.is_none_or(|start| start <= latest) => {}
            Ok(_) => return refused(Description::NotYetValid, "the token is not valid yet"),
            Err(why) => return Outcome::Bad(Description::Untold, why.to_string()),
        }
        let mut expires = None;
        if members.get("exp").is_some_and(|exp| !exp.is_null()) {
            match check_lifetime(&members, JwtAuthorizer::USUAL_LEEWAY, now) {
                Ok(lifetime) if lifetime.end > now => expires = Some(lifetime.end),
                Ok(_) => return refused(Description::Expired, "the token has expired"),
                Err(why) => return Outcome::Bad(Description::Untold, why.to_string()),
            }
        }
        if text("sub").is_none_or(str::is_empty)
            && let Some(client) = text("client_id").filter(|client| !client.is_empty())
        {
            // A client in its own name: never the name of a user.
            let subject = format!("client:{client}");
            members.insert("sub".to_owned(), subject.into());
        }
        let about = About { authenticator: name, credential: token_id(token), expires };
        match principal(members, &self.names, about) {
            Ok(user) => Outcome::Known(Arc::new(user)),
            Err(reason) => Outcome::Bad(Description::Untold, reason),
        }
    }
}

/// Whether an answer is about a token for a resource. Refresh tokens and ID tokens are active at some servers too. What
/// a token is bound to is looked at with each request (`binding`).
fn is_access_token(members: &Claims) -> bool {
    let is = |name: &str, allowed: &[&str]| match members.get(name) {
        None | Some(Value::Null) => true,
        Some(Value::String(kind)) => allowed.iter().any(|one| kind.eq_ignore_ascii_case(one)),
        Some(_) => false,
    };
    let is_other = |name: &str, others: &[&str]| {
        let kind = members.get(name).and_then(Value::as_str);
        kind.is_some_and(|kind| others.iter().any(|other| kind.eq_ignore_ascii_case(other)))
    };
    is("token_type", &["bearer", "access_token"])
        && is("token_use", &["access_token", "access"])
        && !is_other("typ", &["refresh", "offline", "id", "logout"])
}

fn not_active() -> Outcome {
    Outcome::Bad(Description::Untold, "the token is not active".to_owned())
}

/// The failure of an exchange. What the operator has to mend is told loudly.
fn unanswered(error: &IntrospectionError, client: &IntrospectionClientConfig) -> Outcome {
    let url = &client.url;
    let host = url.host_str().unwrap_or_default();
    match error {
        IntrospectionError::NotKnown { .. } | IntrospectionError::Credentials(_) => {
            tracing::error!(host, client_id = client.client_id, %error, "no token can be introspected");
        }
        _ => tracing::warn!(host, %error, "a token could not be introspected"),
    }
    Outcome::Unknown(error.to_string())
}

/// Whom a token in place of another is about, by the name of what the client has.
fn renamed(user: Known, token: &str) -> Known {
    let mut user = Arc::unwrap_or_clone(user);
    user.credential = token_id(token);
    Arc::new(user)
}

fn length_of(claims: &Claims) -> usize {
    serde_json::to_vec(claims).map_or(0, |text| text.len())
}

#[cfg(test)]
mod tests;
