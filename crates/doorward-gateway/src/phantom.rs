//! A signed access token in place of the client's credential: outside it is opaque and can be taken back at once, inside
//! any library verifies it (norm B3.2).
//!
//! Tokens are kept for a while, because signing takes longer than anything else here. That saves nobody from being
//! asked who they are: whoever gets here has been, for this very request. What is kept is found by everything that the
//! token says, so that whatever changes (groups, scopes, what a policy added) makes another.

use std::{sync::Arc, time::Duration};

use aws_lc_rs::digest;
use doorward_accounts::ORIGIN;
use doorward_core::{SecretString, Timestamp};
use doorward_jose::{Algorithm, Claims};
use quick_cache::{Weighter, sync::Cache};
use serde_json::{Value, json};

use crate::{
    claims::{InvalidClaims, Selection, say, subject},
    credential::{Bearer, CredentialFault, Made},
    issuer::{ACCESS_TYPE, Issuer, ends},
};

/// How a token is made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PhantomConfig {
    /// For how long it is good, unless the client's credential ends before; at most [`Phantom::LONGEST`].
    pub ttl: Duration,
    /// What it says besides: `groups`, `email`, `preferred_username`, `authenticator`, or paths of claims.
    pub claims: Vec<String>,
    pub algorithm: Algorithm,
}

impl Default for PhantomConfig {
    fn default() -> Self {
        Self { ttl: Phantom::LONGEST, claims: Vec::new(), algorithm: Algorithm::Es256 }
    }
}

/// What is wrong with a [`PhantomConfig`].
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidPhantom {
    #[error("ttl is below 1s or above 5m")]
    Life,
    #[error(transparent)]
    Claims(#[from] InvalidClaims),
}

/// Makes signed access tokens.
#[derive(Debug)]
pub struct Phantom {
    issuer: Arc<Issuer>,
    ttl: Duration,
    selection: Selection,
    algorithm: Algorithm,
    kept: Cache<Key, Arc<Kept>, Bytes>,
}

/// A hash of whose credential it is and of everything that the token says.
type Key = [u8; 32];

/// A token that was made before.
#[derive(Debug)]
struct Kept {
    token: SecretString,
    made: Timestamp,
    /// From then on a new one is made, so that every application has time to use it.
    fresh_until: Timestamp,
}

/// Weighs tokens in bytes.
#[derive(Clone, Copy, Debug)]
struct Bytes;

impl Weighter<Key, Arc<Kept>> for Bytes {
    fn weight(&self, _: &Key, kept: &Arc<Kept>) -> u64 {
        (kept.token.expose().len() + ENTRY_BYTES) as u64
    }
}

const KEPT_BYTES: u64 = 16 * 1024 * 1024;
const ESTIMATED_ENTRIES: usize = 16 * 1024;
/// What an entry needs besides the token, about.
const ENTRY_BYTES: usize = 160;

impl Phantom {
    /// No token is good for longer.
    pub const LONGEST: Duration = Duration::from_mins(5);

    pub fn new(issuer: Arc<Issuer>, config: PhantomConfig) -> Result<Self, InvalidPhantom> {
        if !(Duration::from_secs(1)..=Self::LONGEST).contains(&config.ttl) {
            return Err(InvalidPhantom::Life);
        }
        Ok(Self {
            issuer,
            ttl: config.ttl,
            selection: Selection::new(config.claims)?,
            algorithm: config.algorithm,
            kept: Cache::with_weighter(ESTIMATED_ENTRIES, KEPT_BYTES, Bytes),
        })
    }

    pub(crate) async fn make(&self, bearer: &Bearer<'_>) -> Result<Made, CredentialFault> {
        Made::bearer(&self.token(bearer).await?)
    }

    /// The token: kept, or newly signed.
    pub(crate) async fn token(&self, bearer: &Bearer<'_>) -> Result<SecretString, CredentialFault> {
        let now = bearer.now;
        let expires = ends(now, self.ttl, bearer.principal.expires);
        if expires <= now {
            return Err(CredentialFault::Over);
        }
        let claims = self.claims(bearer);
        let key = key_of(bearer, &claims);
        if let Some(kept) = self.kept.get(&key).filter(|kept| kept.made <= now && now < kept.fresh_until) {
            return Ok(kept.token.clone());
        }
        let token = self.issuer.mint((self.algorithm, ACCESS_TYPE), claims, expires, now).await?;
        let fresh_until = now.saturating_add(expires.since(now) / 2);
        self.kept.insert(key, Arc::new(Kept { token: token.clone(), made: now, fresh_until }));
        Ok(token)
    }

    /// Everything but when and how often.
    fn claims(&self, bearer: &Bearer<'_>) -> Claims {
        let who = bearer.principal;
        let mut claims = Claims::new();
        self.selection.add_to(&mut claims, who);
        say(&mut claims, "sub", subject(who).unwrap_or_default());
        say(&mut claims, "aud", bearer.audience);
        say(&mut claims, "client_id", &who.client_id);
        say(&mut claims, "scope", &scopes(bearer));
        say(&mut claims, "sid", who.session.as_deref().unwrap_or_default());
        if let Some(actor) = &who.actor {
            claims.insert("act".to_owned(), actor.clone());
        }
        // An application may exchange it for another (RFC 8693), as long as the client's own counts.
        if let Some(origin) = &who.origin {
            claims.insert(ORIGIN.to_owned(), origin.clone());
            if let Some(may_act) = who.claims.get("may_act") {
                claims.insert("may_act".to_owned(), may_act.clone());
            }
        }
        if let Some(context) = bearer.context {
            claims.insert("authz".to_owned(), context.clone());
        }
        claims
    }
}

/// The scopes that are handed on.
fn scopes(bearer: &Bearer<'_>) -> String {
    let is_handed_on = |scope: &&String| bearer.max_scopes.is_none_or(|most| most.contains(scope));
    let scopes: Vec<&str> = bearer.principal.scopes.iter().filter(is_handed_on).map(String::as_str).collect();
    scopes.join(" ")
}

fn key_of(bearer: &Bearer<'_>, claims: &Claims) -> Key {
    let who = bearer.principal;
    let expires = who.expires.map(|expires| expires.seconds);
    let all: Value = json!([who.credential, &*who.authenticator, expires, claims]);
    let mut key = Key::default();
    let hash = digest::digest(&digest::SHA256, all.to_string().as_bytes());
    key.iter_mut().zip(hash.as_ref()).for_each(|(to, from)| *to = *from);
    key
}

#[cfg(test)]
mod tests;
