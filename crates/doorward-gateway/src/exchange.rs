//! A token of a remote security token service in place of the client's (RFC 8693; norm B4, end).
//!
//! What it gave is kept until half a minute before its end, by the very token that it was given for. Of requests that
//! want the same at once, one asks, and all have its answer, also where that is a failure. The client's own token never
//! takes the place of one that could not be had.

use std::time::{Duration, Instant};

use aws_lc_rs::digest;
use doorward_core::{SecretString, Timestamp};
use doorward_oidc::{
    ConnectError, ExchangedToken, TokenExchange, TokenExchangeConfig, TokenExchangeRequest, TokenRequestError,
};
use quick_cache::{
    Weighter,
    sync::{Cache, EntryAction, EntryResult},
};
use serde_json::json;

use crate::{
    credential::{Bearer, CredentialFault, Made},
    phantom::Phantom,
};

/// How tokens are exchanged.
#[derive(Debug)]
pub struct ExchangeConfig {
    pub service: TokenExchangeConfig,
    /// Who the new token is for; empty: whom the route names.
    pub audience: String,
    /// The `resource` to name (RFC 8707); empty: none.
    pub resource: String,
    /// The scopes to ask for; empty: what the route's `maxScopes` leaves of those that there are, or what the service
    /// chooses where the route has none.
    pub scopes: Vec<String>,
    pub subject: ExchangeSubject,
}

/// What is exchanged.
#[derive(Debug)]
pub enum ExchangeSubject {
    /// The token by which the client is known, or that its session holds.
    Presented,
    /// A token signed here about whoever it is, made for the service: so nothing that the client holds gets there.
    Signed {
        phantom: Box<Phantom>,
        /// How the service calls itself.
        audience: String,
    },
}

/// Exchanges tokens.
#[derive(Debug)]
pub struct Exchange {
    service: TokenExchange,
    audience: String,
    resource: String,
    scopes: Vec<String>,
    subject: ExchangeSubject,
    kept: Cache<Key, Kept, Bytes>,
}

/// A hash of whose token was exchanged and for what.
type Key = [u8; 32];

/// What the service said.
#[derive(Clone, Debug)]
struct Kept {
    answer: Result<SecretString, CredentialFault>,
    asked: Timestamp,
    /// From then on it is asked again.
    until: Timestamp,
}

/// Weighs what was said in bytes.
#[derive(Clone, Copy, Debug)]
struct Bytes;

impl Weighter<Key, Kept> for Bytes {
    fn weight(&self, _: &Key, kept: &Kept) -> u64 {
        (kept.answer.as_ref().map_or(0, |token| token.expose().len()) + ENTRY_BYTES) as u64
    }
}

const KEPT_BYTES: u64 = 16 * 1024 * 1024;
const ESTIMATED_ENTRIES: usize = 8 * 1024;
/// What an entry needs besides the token, about.
const ENTRY_BYTES: usize = 512;
/// An application shall have this long to use a token.
const MARGIN: Duration = Duration::from_secs(30);
/// For how long a token counts whose end nobody knows.
const LIFE_UNKNOWN: Duration = Duration::from_mins(1);
/// For how long a failure is everybody's answer.
const FAILURE_LIFE: Duration = Duration::from_secs(1);
/// No application would take a header that is longer.
const LONGEST_TOKEN: usize = 16 * 1024;

const ACCESS_TOKEN: &str = "urn:ietf:params:oauth:token-type:access_token";
const JWT: &str = "urn:ietf:params:oauth:token-type:jwt";

impl Exchange {
    /// Fails if the files of the configured trust cannot be used.
    pub fn new(config: ExchangeConfig) -> Result<Self, ConnectError> {
        let ExchangeConfig { service, audience, resource, scopes, subject } = config;
        let service = TokenExchange::new(service)?;
        let kept = Cache::with_weighter(ESTIMATED_ENTRIES, KEPT_BYTES, Bytes);
        Ok(Self { service, audience, resource, scopes, subject, kept })
    }

    pub(crate) async fn make(&self, bearer: &Bearer<'_>) -> Result<Made, CredentialFault> {
        Made::bearer(&self.token(bearer).await?)
    }

    async fn token(&self, bearer: &Bearer<'_>) -> Result<SecretString, CredentialFault> {
        let scope = self.scope(bearer)?;
        let (subject, subject_type) = self.subject(bearer).await?;
        let audience = if self.audience.is_empty() { bearer.audience } else { &self.audience };
        let request = TokenExchangeRequest {
            subject: &subject,
            subject_type,
            audience,
            resource: &self.resource,
            scope: &scope,
        };
        let now = bearer.now;
        let still_counts = |_: &Key, kept: &mut Kept| {
            if now < kept.until && kept.asked <= now.saturating_add(MARGIN) {
                EntryAction::Retain(kept.answer.clone())
            } else {
                EntryAction::ReplaceWithGuard
            }
        };
        let guard = match self
            .kept
            .entry_async(&key_of(&bearer.principal.credential, &request), still_counts)
            .await
        {
            EntryResult::Retained(answer) => return answer,
            EntryResult::Vacant(guard) | EntryResult::Replaced(guard, _) => guard,
            // Neither is asked for.
            EntryResult::Removed(..) | EntryResult::Timeout => {
                return Err(CredentialFault::Unavailable("the cache of tokens gave none".to_owned()));
            }
        };
        let kept = self.ask(&request, now).await;
        let answer = kept.answer.clone();
        // It may have been evicted meanwhile; then nobody waits.
        let _ = guard.insert(kept);
        answer
    }

    async fn ask(&self, request: &TokenExchangeRequest<'_>, now: Timestamp) -> Kept {
        let begun = Instant::now();
        let answer = self.service.exchange(request, now).await;
        let (answer, until) = match answer {
            Ok(ExchangedToken { token, .. }) if LONGEST_TOKEN < token.expose().len() => {
                let why = "the security token service gave a token that is too long for a header".to_owned();
                (Err(CredentialFault::Unavailable(why)), None)
            }
            Ok(ExchangedToken { token, expires_in }) => {
                let life = expires_in.map_or(LIFE_UNKNOWN, |life| life.saturating_sub(MARGIN));
                (Ok(token), Some(now.saturating_add(life)))
            }
            Err(why) => (Err(fault(&why)), None),
        };
        let until = until.unwrap_or_else(|| now.saturating_add(begun.elapsed() + FAILURE_LIFE));
        Kept { answer, asked: now, until }
    }

    async fn subject(&self, bearer: &Bearer<'_>) -> Result<(SecretString, &'static str), CredentialFault> {
        match &self.subject {
            ExchangeSubject::Presented => match bearer.presented {
                Some(token) => Ok((token.clone(), ACCESS_TOKEN)),
                None => Err(CredentialFault::Refused("there is no token to exchange".to_owned())),
            },
            ExchangeSubject::Signed { phantom, audience } => {
                let for_service = Bearer { audience, context: None, ..*bearer };
                Ok((phantom.token(&for_service).await?, JWT))
            }
        }
    }

    /// The scopes to ask for. With a limit there has to be one: nothing said may mean all.
    fn scope(&self, bearer: &Bearer<'_>) -> Result<String, CredentialFault> {
        let wanted = match (self.scopes.as_slice(), bearer.max_scopes) {
            ([], None) => return Ok(String::new()),
            ([], Some(_)) => &bearer.principal.scopes,
            (wanted, _) => wanted,
        };
        let is_allowed = |scope: &&String| bearer.max_scopes.is_none_or(|most| most.contains(scope));
        let scopes: Vec<&str> = wanted.iter().filter(is_allowed).map(String::as_str).collect();
        if scopes.is_empty() {
            return Err(CredentialFault::Refused("none of its scopes may be handed on".to_owned()));
        }
        Ok(scopes.join(" "))
    }
}

/// What the service said about the one who asks is theirs; anything else is ours to mend.
fn fault(why: &TokenRequestError) -> CredentialFault {
    const THEIRS: [&str; 5] =
        ["invalid_request", "invalid_grant", "invalid_scope", "invalid_target", "access_denied"];
    match why {
        TokenRequestError::Refused { error, .. } if THEIRS.contains(&error.as_str()) => {
            CredentialFault::Refused(why.to_string())
        }
        _ => CredentialFault::Unavailable(why.to_string()),
    }
}

fn key_of(credential: &str, request: &TokenExchangeRequest<'_>) -> Key {
    let TokenExchangeRequest { subject, subject_type, audience, resource, scope } = *request;
    let all = json!([credential, subject.expose(), subject_type, audience, resource, scope]);
    let mut key = Key::default();
    let hash = digest::digest(&digest::SHA256, all.to_string().as_bytes());
    key.iter_mut().zip(hash.as_ref()).for_each(|(to, from)| *to = *from);
    key
}

#[cfg(test)]
mod tests;
