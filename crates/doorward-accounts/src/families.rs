//! Finding and taking back what was issued.

use std::collections::HashSet;

use doorward_core::Timestamp;
use doorward_store::{Committed, Transaction};

use crate::{
    AccessToken, Accounts, FamilyId, InvalidToken, LoginFacts, Scopes, Subject, TokenName, Unavailable, User,
    at,
    grants::Family,
    records::{Read, key},
    token::RefreshStart,
};

/// Families that are ended, or tokens that are removed, in one commit.
const AT_ONCE: usize = 100;

/// A refresh token that somebody asks about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RefreshStanding {
    pub family: FamilyId,
    pub client: String,
    pub subject: Subject,
    pub scopes: Scopes,
    pub audience: Vec<String>,
    pub validity: RefreshValidity,
}

/// Whether a refresh token can be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RefreshValidity {
    Valid {
        until: Timestamp,
    },
    /// Used before, not used for too long, or of a user who may not come in.
    Invalid,
}

/// What was granted to a client, and goes on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Grant {
    pub client: String,
    pub subject: Subject,
    /// As of now; `None` for clients in their own name.
    pub user: Option<User>,
    pub scopes: Scopes,
    pub login: LoginFacts,
}

impl Accounts {
    /// What a family came from, unless it was taken back or its user may not come in.
    pub async fn grant_of(&self, id: &FamilyId, now: Timestamp) -> Result<Grant, InvalidToken> {
        let family: Option<Read<Family>> = self.read(&key::family(id), now).await?;
        let Family { client, subject, scopes, login, .. } = family.ok_or(InvalidToken::Revoked)?.value;
        let user = self.user_behind(&subject, now).await?.map_err(InvalidToken::User)?;
        Ok(Grant { client, subject, user, scopes, login })
    }

    /// What is known of a refresh token; `None` if nothing, or if it was revoked.
    pub async fn look_up_refresh(
        &self,
        raw: &str,
        now: Timestamp,
    ) -> Result<Option<RefreshStanding>, Unavailable> {
        let (Some(name), Some(start)) = (TokenName::of_refresh(raw), RefreshStart::find(raw)) else {
            return Ok(None);
        };
        let id = FamilyId::of(&start);
        let family: Option<Read<Family>> = self.read(&key::family(&id), now).await?;
        let Some(Read { value: family, .. }) = family else { return Ok(None) };
        let user = self.user_behind(&family.subject, now).await?;
        let validity = match &family.refresh {
            Some(state) if state.current == name && now < at(state.idle_ends) && user.is_ok() => {
                RefreshValidity::Valid { until: at(state.idle_ends) }
            }
            _ => RefreshValidity::Invalid,
        };
        Ok(Some(RefreshStanding {
            family: id,
            client: family.client,
            subject: family.subject,
            scopes: family.scopes,
            audience: family.audience,
            validity,
        }))
    }

    /// The access token of this name, unless it was revoked or is over. Whether its user may still come in is another
    /// question: see [`Accounts::validate_name`].
    pub async fn access_token(
        &self,
        name: &TokenName,
        now: Timestamp,
    ) -> Result<Option<AccessToken>, Unavailable> {
        let token: Option<Read<AccessToken>> = self.read(&key::access(name), now).await?;
        let Some(Read { value: token, .. }) = token else { return Ok(None) };
        let family = self.records.get(&key::family(&token.family), now).await?;
        Ok((family.is_some() && token.counts(now)).then_some(token))
    }

    /// The access tokens of a user (or of `client:<id>`), by name.
    pub async fn tokens_of(&self, uid: &str, now: Timestamp) -> Result<Vec<AccessToken>, Unavailable> {
        let listed = self.list(&key::tokens_of(uid), now).await?;
        let tokens: Vec<String> = listed.iter().map(|(name, _)| key::access(name)).collect();
        let families: Vec<String> =
            listed.iter().map(|(_, family)| key::family(String::from_utf8_lossy(family))).collect();
        let keys: Vec<&str> = tokens.iter().chain(&families).map(String::as_str).collect();
        let mut found = self.records.get_many(&keys, now).await?;
        let families = found.split_off(tokens.len().min(found.len()));
        let mut own = Vec::new();
        for (token, family) in found.into_iter().zip(families) {
            if let (Some(read), Some(_)) = (Read::<AccessToken>::decode(token)?, family) {
                own.push(read.value);
            }
        }
        own.retain(|token| token.counts(now) && token.subject.uid() == uid);
        Ok(own)
    }

    /// Takes an access token back. One that is not there is no error.
    pub async fn revoke_access(&self, name: &TokenName, now: Timestamp) -> Result<(), Unavailable> {
        let token: Option<Read<AccessToken>> = self.read(&key::access(name), now).await?;
        let Some(Read { value: token, .. }) = token else { return Ok(()) };
        let uid = token.subject.uid();
        let family: Option<Read<Family>> = self.read(&key::family(&token.family), now).await?;
        let mut transaction = delete_access(Transaction::new(), &uid, name.as_str());
        if family.is_some_and(|family| family.value.refresh.is_none()) {
            transaction = delete_family(transaction, &uid, token.family.as_str());
        }
        self.commit(transaction, now).await?;
        Ok(())
    }

    /// Takes everything of a family back. One that is not there is no error.
    pub async fn revoke_family(&self, id: &FamilyId, now: Timestamp) -> Result<(), Unavailable> {
        let family: Option<Read<Family>> = self.read(&key::family(id), now).await?;
        let Some(Read { value: family, .. }) = family else { return Ok(()) };
        self.end_families(&family.subject.uid(), vec![id.as_str().to_owned()], now).await
    }

    /// Takes back everything that was issued to a user.
    pub async fn revoke_all_of_user(&self, uid: &str, now: Timestamp) -> Result<(), Unavailable> {
        self.revoke_those(uid, |_| true, now).await
    }

    /// Takes back everything that was issued in a login session of a user.
    pub async fn revoke_all_of_session(
        &self,
        uid: &str,
        sid: &str,
        now: Timestamp,
    ) -> Result<(), Unavailable> {
        self.revoke_those(uid, |session| session == sid.as_bytes(), now).await
    }

    async fn revoke_those(
        &self,
        uid: &str,
        belongs: impl Fn(&[u8]) -> bool + Send,
        now: Timestamp,
    ) -> Result<(), Unavailable> {
        let mut families = self.list(&key::families_of(uid), now).await?;
        families.retain(|(_, session)| belongs(session));
        self.end_families(uid, families.into_iter().map(|(id, _)| id).collect(), now).await
    }

    /// Ends families of one user. Their records go first: with that everything of them is void. What is left of them is
    /// then removed.
    async fn end_families(&self, uid: &str, ids: Vec<String>, now: Timestamp) -> Result<(), Unavailable> {
        // Without a condition: whoever refreshes at this moment finds the family gone, or is undone with it.
        for some in ids.chunks(AT_ONCE) {
            let delete = |all: Transaction, id: &String| delete_family(all, uid, id);
            self.commit(some.iter().fold(Transaction::new(), delete), now).await?;
        }
        let ids: HashSet<&[u8]> = ids.iter().map(String::as_bytes).collect();
        let mut tokens = self.list(&key::tokens_of(uid), now).await?;
        tokens.retain(|(_, family)| ids.contains(family.as_slice()));
        for some in tokens.chunks(AT_ONCE) {
            let delete = |all: Transaction, (name, _): &(String, Vec<u8>)| delete_access(all, uid, name);
            self.commit(some.iter().fold(Transaction::new(), delete), now).await?;
        }
        Ok(())
    }

    /// Refuses a signed token until it is over by itself (RFC 7009 for tokens that are not looked up).
    pub async fn deny_jwt(&self, jti: &str, expires: Timestamp, now: Timestamp) -> Result<(), Unavailable> {
        let transaction = Transaction::new().put(&key::denied(jti), Vec::new(), Some(expires));
        let _: Committed = self.commit(transaction, now).await?;
        Ok(())
    }

    /// Whether a signed token was taken back.
    pub async fn is_denied(&self, jti: &str, now: Timestamp) -> Result<bool, Unavailable> {
        Ok(self.records.get(&key::denied(jti), now).await?.is_some())
    }
}

impl AccessToken {
    fn counts(&self, now: Timestamp) -> bool {
        !self.is_expired(now) && !self.is_inactive(now)
    }
}

fn delete_access(transaction: Transaction, uid: &str, name: &str) -> Transaction {
    transaction.delete(&key::access(name)).delete(&format!("{}{name}", key::tokens_of(uid)))
}

fn delete_family(transaction: Transaction, uid: &str, id: &str) -> Transaction {
    transaction.delete(&key::family(id)).delete(&format!("{}{id}", key::families_of(uid)))
}
