//! What was granted: families of tokens, and the access tokens in them.
//!
//! A family is what one login at one client brought, with all that refreshing adds. Every access token and every refresh
//! token names its family, and is valid only while that record is there. So taking back is one deletion, and whatever
//! else of the family is still stored is worth nothing.

use std::{fmt, time::Duration};

use doorward_core::{SecretString, Timestamp};
use doorward_store::Transaction;
use serde::{Deserialize, Serialize};

use crate::{
    Accounts, FreshToken, Scopes, TokenName, Unavailable, User, at,
    records::{encode, key},
    seconds,
    token::RefreshStart,
    validate::UserFault,
};

/// Who a token is about.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Subject {
    User {
        name: String,
        uid: String,
    },
    /// A client in its own name (RFC 6749 section 4.4).
    Client {
        id: String,
    },
}

/// How the two halves of a code belong together (RFC 7636 section 4.3).
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Challenge {
    pub method: ChallengeMethod,
    pub value: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum ChallengeMethod {
    S256,
    Plain,
}

/// How somebody signed in: what ID tokens tell of it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct LoginFacts {
    /// When, in seconds since the Unix epoch.
    pub auth_time: Option<i64>,
    pub amr: Vec<String>,
    /// The public id of the login session (`sid`).
    pub session: Option<String>,
    pub nonce: Option<String>,
}

/// Where a client departs from [`Rules`](crate::Rules).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct TokenRules {
    /// Life of access tokens; zero: for ever.
    pub access: Option<Duration>,
    /// Inactivity timeout; zero: none.
    pub inactivity: Option<Duration>,
}

/// Whether a grant brings a refresh token.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Refreshing {
    Allowed,
    NotAllowed,
}

/// The id of a family.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct FamilyId(String);

/// An access token as it is stored.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AccessToken {
    pub name: TokenName,
    pub family: FamilyId,
    pub client: String,
    pub subject: Subject,
    pub scopes: Scopes,
    /// Resources the token is for; empty: ours.
    pub audience: Vec<String>,
    /// The public id of the login session it came from.
    pub session: Option<String>,
    /// Seconds since the Unix epoch.
    pub created: i64,
    /// Seconds of life; `None`: for ever.
    pub expires_in: Option<i64>,
    pub inactivity: Option<Inactivity>,
}

/// How long a token may lie unused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Inactivity {
    /// In seconds.
    pub timeout: i64,
    /// Seconds after its creation at which the token is void, unless it is used before.
    pub until: i64,
}

/// A token to be issued without a code: implicit grant, client credentials.
#[derive(Clone, Debug)]
pub struct NewToken {
    pub client: String,
    pub subject: Subject,
    pub scopes: Scopes,
    pub audience: Vec<String>,
    pub rules: TokenRules,
    pub login: LoginFacts,
}

/// Tokens that were just issued. The only place where they are in clear.
#[derive(Clone, Debug)]
pub struct Issued {
    pub access: SecretString,
    /// The access token as it is stored; its name may serve as `jti` of a signed form.
    pub token: AccessToken,
    pub refresh: Option<SecretString>,
}

/// What a code or refresh token brought.
#[derive(Clone, Debug)]
pub struct Redeemed {
    pub issued: Issued,
    /// All scopes of the grant. Those of the token may be fewer.
    pub scopes: Scopes,
    pub login: LoginFacts,
    /// The user, as of now; `None` for clients in their own name.
    pub user: Option<User>,
}

/// Why a code or refresh token is not accepted: `invalid_grant`. For the log; clients are not told which.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidGrant {
    #[error("it is none of ours")]
    NotOurs,
    #[error("it is not known, or has expired")]
    Unknown,
    #[error("it has expired")]
    Expired,
    #[error("it was used before; everything that came of it is revoked")]
    Reused,
    #[error("what it belongs to was revoked")]
    Revoked,
    #[error("it was issued to another client")]
    OtherClient,
    #[error("the redirect URI is not that of the authorization request")]
    OtherRedirect,
    #[error("the code verifier is missing")]
    VerifierMissing,
    #[error("there is a code verifier, but the authorization request had no challenge")]
    VerifierUnasked,
    #[error("the code verifier does not fit the challenge")]
    VerifierWrong,
    #[error("{0}")]
    User(UserFault),
}

/// The record of a family.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Family {
    pub(crate) client: String,
    pub(crate) subject: Subject,
    pub(crate) scopes: Scopes,
    pub(crate) audience: Vec<String>,
    pub(crate) login: LoginFacts,
    /// When nothing of it can be valid any more; `None`: never.
    pub(crate) ends: Option<i64>,
    /// The access token that was issued last.
    pub(crate) access: TokenName,
    pub(crate) refresh: Option<RefreshState>,
}

/// Which refresh token of a family is the current one. Any other that leads to the family was used before.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct RefreshState {
    pub(crate) current: TokenName,
    /// Until when it is of use, if it is not used.
    pub(crate) idle_ends: i64,
    /// Until when there is any refreshing.
    pub(crate) ends: i64,
    pub(crate) previous: Option<UsedRefresh>,
}

/// A refresh token that was used.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct UsedRefresh {
    pub(crate) name: TokenName,
    pub(crate) at: i64,
    /// What it brought, sealed under itself.
    pub(crate) answer: String,
}

/// A plain challenge is the verifier.
impl fmt::Debug for Challenge {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Challenge({:?})", self.method)
    }
}

impl Subject {
    pub fn of_user(user: &User) -> Self {
        Self::User { name: user.name.clone(), uid: user.uid.clone() }
    }

    /// The name: of the user, or `client:` and the id, which no user has.
    pub fn name(&self) -> String {
        match self {
            Self::User { name, .. } => name.clone(),
            Self::Client { id } => format!("client:{id}"),
        }
    }

    /// The `sub` of tokens: the `uid` of the user, or `client:` and the id.
    pub fn uid(&self) -> String {
        match self {
            Self::User { uid, .. } => uid.clone(),
            Self::Client { id } => format!("client:{id}"),
        }
    }

    pub const fn is_client(&self) -> bool {
        matches!(self, Self::Client { .. })
    }
}

impl FamilyId {
    /// The family whose refresh tokens have this start.
    pub(crate) fn of(start: &RefreshStart) -> Self {
        Self(start.hash())
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for FamilyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl AccessToken {
    /// When the token is over; `None`: never.
    pub fn expires(&self) -> Option<Timestamp> {
        self.expires_in.map(|life| at(self.created.saturating_add(life)))
    }

    /// What is left of its life; `None`: all of it, for ever.
    pub fn remaining(&self, now: Timestamp) -> Option<Duration> {
        self.expires().map(|expires| expires.since(now.truncated()))
    }

    pub(crate) fn is_expired(&self, now: Timestamp) -> bool {
        self.expires().is_some_and(|expires| expires <= now)
    }

    pub(crate) fn is_inactive(&self, now: Timestamp) -> bool {
        self.inactivity.is_some_and(|inactivity| at(self.created.saturating_add(inactivity.until)) < now)
    }

    /// The same token, used now; `None` if that need not be written.
    pub(crate) fn used(&self, now: Timestamp) -> Option<Self> {
        let inactivity = self.inactivity?;
        if self.expires_in.is_some_and(|life| life <= inactivity.until) {
            return None;
        }
        let until = now.seconds.saturating_sub(self.created).saturating_add(inactivity.timeout);
        if until.saturating_sub(inactivity.until) < (inactivity.timeout / 3).max(1) {
            return None;
        }
        Some(Self { inactivity: Some(Inactivity { until, ..inactivity }), ..self.clone() })
    }
}

/// A family that is to be stored, with its first tokens.
pub(crate) struct Draft {
    pub(crate) id: FamilyId,
    pub(crate) issued: Issued,
    pub(crate) transaction: Transaction,
}

/// What an access token is made of.
pub(crate) struct Access<'a> {
    pub(crate) family: &'a FamilyId,
    pub(crate) scopes: Scopes,
    pub(crate) audience: Vec<String>,
    pub(crate) rules: TokenRules,
}

impl Accounts {
    /// Issues an access token by itself.
    pub async fn issue_token(&self, new: NewToken, now: Timestamp) -> Result<Issued, Unavailable> {
        let audience = new.audience.clone();
        let draft = self.draft(new, audience, Refreshing::NotAllowed, now)?;
        self.commit(draft.transaction, now).await?;
        Ok(draft.issued)
    }

    /// A family with its first tokens; the access token is for `audience`, which may be less than the family's.
    pub(crate) fn draft(
        &self,
        new: NewToken,
        audience: Vec<String>,
        refreshing: Refreshing,
        now: Timestamp,
    ) -> Result<Draft, Unavailable> {
        let start = RefreshStart::fresh()?;
        let id = FamilyId::of(&start);
        let fresh = FreshToken::access()?;
        let mut family = Family {
            client: new.client,
            subject: new.subject,
            scopes: new.scopes,
            audience: new.audience,
            login: new.login,
            ends: Some(now.seconds),
            access: fresh.name.clone(),
            refresh: None,
        };
        let access = Access { family: &id, scopes: family.scopes.clone(), audience, rules: new.rules };
        let token = self.access_token_of(&family, access, fresh.name, now);
        let transaction = put_access(Transaction::new(), &token)?;
        let mut refresh = None;
        if refreshing == Refreshing::Allowed {
            let fresh = FreshToken::refresh(&start)?;
            let ends = now.seconds.saturating_add(seconds(self.rules.refresh_absolute));
            family.refresh = Some(RefreshState {
                current: fresh.name.clone(),
                idle_ends: self.idle_ends(ends, now),
                ends,
                previous: None,
            });
            refresh = Some(fresh.raw);
        }
        family.cover(&token);
        let transaction = put_family(transaction, &id, &family)?;
        Ok(Draft { id, issued: Issued { access: fresh.raw, token, refresh }, transaction })
    }

    pub(crate) fn access_token_of(
        &self,
        family: &Family,
        access: Access<'_>,
        name: TokenName,
        now: Timestamp,
    ) -> AccessToken {
        let positive = |duration: Duration| (!duration.is_zero()).then(|| seconds(duration).max(1));
        let timeout = positive(access.rules.inactivity.unwrap_or(self.rules.inactivity));
        AccessToken {
            name,
            family: access.family.clone(),
            client: family.client.clone(),
            subject: family.subject.clone(),
            scopes: access.scopes,
            audience: access.audience,
            session: family.login.session.clone(),
            created: now.seconds,
            expires_in: positive(access.rules.access.unwrap_or(self.rules.access)),
            inactivity: timeout.map(|timeout| Inactivity { timeout, until: timeout }),
        }
    }

    pub(crate) fn idle_ends(&self, ends: i64, now: Timestamp) -> i64 {
        now.seconds.saturating_add(seconds(self.rules.refresh_idle)).min(ends)
    }
}

impl Family {
    /// Makes the family last as long as its tokens.
    pub(crate) fn cover(&mut self, token: &AccessToken) {
        let refresh = self.refresh.as_ref().map(|refresh| refresh.ends);
        self.ends = match (self.ends, token.expires()) {
            (Some(ends), Some(expires)) => Some(ends.max(expires.seconds).max(refresh.unwrap_or(i64::MIN))),
            _ => None,
        };
    }
}

pub(crate) fn put_access(transaction: Transaction, token: &AccessToken) -> Result<Transaction, Unavailable> {
    let index = format!("{}{}", key::tokens_of(&token.subject.uid()), token.name);
    Ok(transaction.put(&key::access(&token.name), encode(token)?, token.expires()).put(
        &index,
        token.family.as_str().into(),
        token.expires(),
    ))
}

pub(crate) fn put_family(
    transaction: Transaction,
    id: &FamilyId,
    family: &Family,
) -> Result<Transaction, Unavailable> {
    let index = format!("{}{id}", key::families_of(&family.subject.uid()));
    let session = family.login.session.clone().unwrap_or_default();
    let expires = family.ends.map(at);
    Ok(transaction.put(&key::family(id), encode(family)?, expires).put(&index, session.into_bytes(), expires))
}
