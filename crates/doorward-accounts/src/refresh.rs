//! Refreshing: a refresh token is used once and brings its successor (RFC 9700 section 4.14.2). One that comes again has
//! been copied, or its answer was lost. For a moment the same answer is given again; later everything ends.
//!
//! The answer is kept sealed under the token that brought it, so that the store alone yields no token.

use doorward_core::{SecretString, Timestamp};
use doorward_store::{Committed, Transaction};
use serde::{Deserialize, Serialize};

use crate::{
    AccessToken, Accounts, FamilyId, FreshToken, InvalidGrant, Issued, Redeemed, Scopes, TokenName,
    TokenRules, Unavailable, at,
    code::narrowed,
    grants::{Access, Family, RefreshState, UsedRefresh, put_access, put_family},
    records::{ATTEMPTS, Read, key},
    seal::{open_under, seal_under},
    seconds,
    token::RefreshStart,
};

/// What answers are sealed for.
const PURPOSE: &str = "doorward refresh answer 1";

/// What a client says when it refreshes. The client has proved already who it is.
#[derive(Clone, Copy, Debug)]
pub struct RefreshRequest<'a> {
    pub client: &'a str,
    /// Scopes the access token shall have, if the client says so: some of those granted.
    pub scopes: Option<&'a Scopes>,
    /// Resources the access token shall be for, if the client says so: some of those granted.
    pub audience: Option<&'a [String]>,
    /// The rules of the client as they are now.
    pub rules: TokenRules,
}

/// Why there are no new tokens.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RefreshError {
    #[error("the refresh token is not accepted: {0}")]
    Invalid(#[from] InvalidGrant),
    /// `invalid_scope`; the refresh token is still good.
    #[error("more scopes are asked for than were granted")]
    Scope,
    /// `invalid_target` (RFC 8707 section 2); the refresh token is still good.
    #[error("the resource is none of those that were granted")]
    Target,
    #[error(transparent)]
    Unavailable(#[from] Unavailable),
}

/// What a refresh token brought, to be sealed.
#[derive(Serialize, Deserialize)]
struct Answer {
    access: String,
    refresh: String,
}

impl Accounts {
    /// New tokens for a refresh token, which is used up with that. Using it again ends the family, except at once.
    pub async fn refresh(
        &self,
        raw: &str,
        request: &RefreshRequest<'_>,
        now: Timestamp,
    ) -> Result<Redeemed, RefreshError> {
        let presented = Presented::read(raw).ok_or(InvalidGrant::NotOurs)?;
        for _ in 0..ATTEMPTS {
            let read = self.read(&key::family(&presented.family), now).await?;
            let Some(Read { value: family, bytes }): Option<Read<Family>> = read else {
                return Err(InvalidGrant::Unknown.into());
            };
            if family.client != request.client {
                return Err(InvalidGrant::OtherClient.into());
            }
            let Some(state) = &family.refresh else { return Err(InvalidGrant::Unknown.into()) };
            let standing = self.standing(state, &presented.name, now);
            if standing == Use::Again {
                self.revoke_family(&presented.family, now).await?;
                return Err(InvalidGrant::Reused.into());
            }
            let user = self.user_behind(&family.subject, now).await?.map_err(InvalidGrant::User)?;
            let issued = match standing {
                Use::Late => return Err(InvalidGrant::Expired.into()),
                Use::First => self.rotate(&presented, (family.clone(), &bytes), request, now).await?,
                Use::AtOnceAgain | Use::Again => Some(self.repeat(raw, state, request, now).await?),
            };
            if let Some(issued) = issued {
                return Ok(Redeemed { issued, scopes: family.scopes, login: family.login, user });
            }
        }
        Err(Unavailable::Contended.into())
    }

    fn standing(&self, state: &RefreshState, name: &TokenName, now: Timestamp) -> Use {
        if state.current == *name {
            return if at(state.idle_ends) <= now { Use::Late } else { Use::First };
        }
        let grace = self.rules.refresh_grace;
        match &state.previous {
            Some(used) if used.name == *name && !grace.is_zero() => {
                let ends = at(used.at.saturating_add(seconds(grace)));
                if now.truncated() <= ends { Use::AtOnceAgain } else { Use::Again }
            }
            _ => Use::Again,
        }
    }

    /// `None` if somebody else was faster.
    async fn rotate(
        &self,
        presented: &Presented<'_>,
        (mut family, bytes): (Family, &[u8]),
        request: &RefreshRequest<'_>,
        now: Timestamp,
    ) -> Result<Option<Issued>, RefreshError> {
        let scopes = match request.scopes {
            Some(scopes) if !scopes.is_subset(&family.scopes) => return Err(RefreshError::Scope),
            Some(scopes) => scopes.clone(),
            None => family.scopes.clone(),
        };
        let audience = narrowed(&family.audience, request.audience).ok_or(RefreshError::Target)?;
        let (fresh, successor) = (
            FreshToken::access().map_err(Unavailable::from)?,
            FreshToken::refresh(&presented.start).map_err(Unavailable::from)?,
        );
        let access = Access { family: &presented.family, scopes, audience, rules: request.rules };
        let token = self.access_token_of(&family, access, fresh.name.clone(), now);
        let answer = Answer { access: fresh.raw.expose().clone(), refresh: successor.raw.expose().clone() };
        let answer = answer.seal(presented.raw)?;
        if let Some(state) = &mut family.refresh {
            state.idle_ends = self.idle_ends(state.ends, now);
            state.current = successor.name.clone();
            state.previous = Some(UsedRefresh { name: presented.name.clone(), at: now.seconds, answer });
        }
        family.access = fresh.name;
        family.cover(&token);
        let transaction = Transaction::new().if_same(&key::family(&presented.family), bytes);
        let transaction = put_access(transaction, &token)?;
        let transaction = put_family(transaction, &presented.family, &family)?;
        let committed = self.commit(transaction, now).await?;
        let issued = Issued { access: fresh.raw, token, refresh: Some(successor.raw) };
        Ok((committed == Committed::Done).then_some(issued))
    }

    /// The answer that was given a moment ago.
    async fn repeat(
        &self,
        raw: &str,
        state: &RefreshState,
        request: &RefreshRequest<'_>,
        now: Timestamp,
    ) -> Result<Issued, RefreshError> {
        let answer = state.previous.as_ref().and_then(|used| Answer::open(raw, &used.answer));
        let answer = answer.ok_or(Unavailable::Unreadable)?;
        let name = TokenName::of_access(&answer.access).ok_or(Unavailable::Unreadable)?;
        let token: Option<Read<AccessToken>> = self.read(&key::access(&name), now).await?;
        let token = token.ok_or(InvalidGrant::Revoked)?.value;
        if request.scopes.is_some_and(|scopes| !token.scopes.is_subset(scopes)) {
            return Err(RefreshError::Scope);
        }
        if request.audience.is_some_and(|audience| audience != token.audience) {
            return Err(RefreshError::Target);
        }
        Ok(Issued { access: answer.access.into(), token, refresh: Some(answer.refresh.into()) })
    }
}

/// The how-manieth use of a refresh token this is.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Use {
    First,
    /// The first, too late.
    Late,
    /// The second, so soon that the answer to the first may have been lost.
    AtOnceAgain,
    Again,
}

/// A refresh token as it came, and where it leads.
struct Presented<'a> {
    raw: &'a str,
    name: TokenName,
    start: RefreshStart,
    family: FamilyId,
}

impl<'a> Presented<'a> {
    fn read(raw: &'a str) -> Option<Self> {
        let (name, start) = (TokenName::of_refresh(raw)?, RefreshStart::find(raw)?);
        let family = FamilyId::of(&start);
        Some(Self { raw, name, start, family })
    }
}

impl Answer {
    fn seal(&self, under: &str) -> Result<String, Unavailable> {
        let plain = SecretString::new(serde_json::to_string(self).map_err(|_| Unavailable::Unreadable)?);
        seal_under(under, PURPOSE, plain.expose().as_bytes())
            .ok_or(Unavailable::NoRandomness(crate::NoRandomness))
    }

    fn open(under: &str, sealed: &str) -> Option<Self> {
        let plain = open_under(under, PURPOSE, sealed).ok()?;
        serde_json::from_slice(&plain).ok()
    }
}
