//! Whether an access token is valid, and who it is about. Two questions to the store: the token; then its family and its
//! user together. Groups are those the user has now.

use doorward_core::{Timestamp, UserInfo};
use doorward_store::Transaction;

use crate::{
    AccessToken, Accounts, Scopes, Standing, Subject, TokenName, Unavailable, User,
    grants::put_access,
    records::{Read, key},
};

/// Under which name the scopes of a token are told to API clients.
pub const SCOPES_EXTRA: &str = "scopes.authorization.openshift.io";

/// Whether looking at a token counts as using it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Activity {
    Counts,
    DoesNotCount,
}

/// A token that is valid now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ValidToken {
    pub token: AccessToken,
    /// `None` for a client in its own name.
    pub user: Option<User>,
    /// Who it is about, in the shape of an API.
    pub user_info: UserInfo,
}

/// Why a token is not valid. For the log only: outside they all look the same, but for the last.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidToken {
    #[error("the token is none of ours")]
    NotOurs,
    #[error("the token is not known, or has expired")]
    Unknown,
    #[error("the token has expired")]
    Expired,
    #[error("the token was revoked")]
    Revoked,
    #[error("the token was not used for too long")]
    Inactive,
    #[error("{0}")]
    User(UserFault),
    /// Nothing was found out: 503.
    #[error(transparent)]
    Unavailable(#[from] Unavailable),
}

/// Why what was issued to a user is of no use.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum UserFault {
    #[error("there is no such user any more")]
    Gone,
    #[error("it was issued to an earlier user of this name")]
    UidChanged,
    #[error("the user is disabled")]
    Disabled,
}

impl UserFault {
    /// The user of `subject`, if it is the same one and may come in.
    pub(crate) fn check(subject: &Subject, user: Option<User>) -> Result<Option<User>, Self> {
        let Subject::User { uid, .. } = subject else { return Ok(None) };
        let user = user.ok_or(Self::Gone)?;
        if user.uid != *uid {
            return Err(Self::UidChanged);
        }
        match user.standing {
            Standing::Active => Ok(Some(user)),
            Standing::Disabled => Err(Self::Disabled),
        }
    }
}

impl Accounts {
    /// The access token `raw`, if it is valid.
    pub async fn validate(
        &self,
        raw: &str,
        activity: Activity,
        now: Timestamp,
    ) -> Result<ValidToken, InvalidToken> {
        let name = TokenName::of_access(raw).ok_or(InvalidToken::NotOurs)?;
        self.validate_name(&name, activity, now).await
    }

    /// The access token of this name, if it is valid. A name proves nothing: this is for signed tokens that bear it as
    /// `jti`.
    pub async fn validate_name(
        &self,
        name: &TokenName,
        activity: Activity,
        now: Timestamp,
    ) -> Result<ValidToken, InvalidToken> {
        let token: Option<Read<AccessToken>> = self.read(&key::access(name), now).await?;
        self.judge(token.ok_or(InvalidToken::Unknown)?, activity, now).await
    }

    /// Whether a token that was found is valid.
    pub(crate) async fn judge(
        &self,
        Read { value: token, bytes }: Read<AccessToken>,
        activity: Activity,
        now: Timestamp,
    ) -> Result<ValidToken, InvalidToken> {
        let family = key::family(&token.family);
        let (family, user) = match &token.subject {
            Subject::User { name, .. } => {
                let keys = [family.as_str(), &key::user(name)];
                let found = self.records.get_many(&keys, now).await.map_err(Unavailable::from)?;
                let mut found = found.into_iter();
                (found.next().flatten(), Read::decode(found.next().flatten())?)
            }
            Subject::Client { .. } => {
                (self.records.get(&family, now).await.map_err(Unavailable::from)?, None)
            }
        };
        if token.is_expired(now) {
            return Err(InvalidToken::Expired);
        }
        if family.is_none() {
            return Err(InvalidToken::Revoked);
        }
        let user = user.map(|user: Read<User>| user.value);
        let user = UserFault::check(&token.subject, user).map_err(InvalidToken::User)?;
        if token.is_inactive(now) {
            return Err(InvalidToken::Inactive);
        }
        let token = match activity {
            Activity::Counts => self.note_use(token, &bytes, now).await,
            Activity::DoesNotCount => token,
        };
        let user_info = user_info(&token.subject, &token.scopes, user.as_ref());
        Ok(ValidToken { token, user, user_info })
    }

    /// Writes that a token was used. If that fails, or somebody else was faster, the token is as good as before: it only
    /// times out sooner.
    pub(crate) async fn note_use(&self, token: AccessToken, bytes: &[u8], now: Timestamp) -> AccessToken {
        let Some(used) = token.used(now) else { return token };
        let transaction = Transaction::new().if_same(&key::access(&token.name), bytes);
        let Ok(transaction) = put_access(transaction, &used) else { return token };
        let _ = self.commit(transaction, now).await;
        used
    }
}

pub(crate) fn user_info(subject: &Subject, scopes: &Scopes, user: Option<&User>) -> UserInfo {
    let mut info = match user {
        Some(user) => user.user_info(),
        None => UserInfo { name: subject.name(), uid: subject.uid(), ..UserInfo::default() }.authenticated(),
    };
    info.extra.insert(SCOPES_EXTRA.to_owned(), scopes.iter().map(str::to_owned).collect());
    info
}
