//! Authorization codes: issued for one client, redeemed once. The commit that uses a code up is the one that makes its
//! tokens. A code that was used stays known until it would have expired: who presents it again ends what came of it
//! (RFC 6749 section 4.1.2).

use std::fmt;

use aws_lc_rs::{constant_time, digest};
use base64_simd::URL_SAFE_NO_PAD;
use doorward_core::{SecretString, Timestamp};
use doorward_store::{Committed, Transaction};
use serde::{Deserialize, Serialize};

use crate::{
    Accounts, Challenge, ChallengeMethod, FamilyId, FreshToken, InvalidGrant, LoginFacts, NewToken, Redeemed,
    Refreshing, Scopes, Subject, TokenName, TokenRules, Unavailable, at,
    records::{ATTEMPTS, Read, encode, key},
    seconds,
    validate::UserFault,
};

/// A code to be issued: what was asked for and granted.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct NewCode {
    pub client: String,
    pub subject: Subject,
    pub scopes: Scopes,
    /// Resources that were asked for (RFC 8707).
    pub audience: Vec<String>,
    pub redirect: CodeRedirect,
    pub challenge: Option<Challenge>,
    pub login: LoginFacts,
    pub rules: TokenRules,
    pub refreshing: Refreshing,
}

/// Where the code was sent.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum CodeRedirect {
    /// The authorization request said so, and the token request has to say the same.
    Asked(String),
    /// The only registered one was taken. The token request may say it or nothing.
    Only(String),
}

/// What a client says when it redeems a code. The client has proved already who it is.
#[derive(Clone, Copy)]
pub struct Redemption<'a> {
    pub client: &'a str,
    pub redirect_uri: Option<&'a str>,
    pub verifier: Option<&'a str>,
    /// Resources the access token shall be for, if the client says so: some of those that were asked for.
    pub audience: Option<&'a [String]>,
}

/// Why a code was not redeemed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RedeemError {
    #[error("the code is not accepted: {0}")]
    Invalid(#[from] InvalidGrant),
    /// `invalid_target` (RFC 8707 section 2).
    #[error("the resource was not asked for when the code was")]
    Target,
    #[error(transparent)]
    Unavailable(#[from] Unavailable),
}

/// What stands under the name of a code.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) enum Code {
    Fresh { code: Box<NewCode>, expires: i64 },
    Used { family: FamilyId },
}

impl Accounts {
    /// Issues a code.
    pub async fn issue_code(&self, new: NewCode, now: Timestamp) -> Result<SecretString, Unavailable> {
        let fresh = FreshToken::access()?;
        let expires = now.seconds.saturating_add(seconds(self.rules.code));
        let record = encode(&Code::Fresh { code: Box::new(new), expires })?;
        let transaction = Transaction::new().put(&key::code(fresh.name), record, Some(at(expires)));
        self.commit(transaction, now).await?;
        Ok(fresh.raw)
    }

    /// Redeems a code. Of several attempts one succeeds, and each of the others ends what it brought.
    pub async fn redeem_code(
        &self,
        raw: &str,
        redemption: &Redemption<'_>,
        now: Timestamp,
    ) -> Result<Redeemed, RedeemError> {
        let name = TokenName::of_access(raw).ok_or(InvalidGrant::NotOurs)?;
        let key = key::code(&name);
        for _ in 0..ATTEMPTS {
            let read: Option<Read<Code>> = self.read(&key, now).await?;
            let (code, expires, bytes) = match read {
                None => return Err(InvalidGrant::Unknown.into()),
                Some(Read { value: Code::Used { family }, .. }) => {
                    self.revoke_family(&family, now).await?;
                    return Err(InvalidGrant::Reused.into());
                }
                Some(Read { value: Code::Fresh { code, expires }, bytes }) => (*code, expires, bytes),
            };
            code.check(redemption)?;
            let audience = narrowed(&code.audience, redemption.audience).ok_or(RedeemError::Target)?;
            let user = self.user_behind(&code.subject, now).await?.map_err(InvalidGrant::User)?;
            let (scopes, login, refreshing) = (code.scopes.clone(), code.login.clone(), code.refreshing);
            let draft = self.draft(code.into_grant(), audience, refreshing, now)?;
            let spent = encode(&Code::Used { family: draft.id })?;
            let transaction = draft.transaction.if_same(&key, &bytes).put(&key, spent, Some(at(expires)));
            if self.commit(transaction, now).await? == Committed::Done {
                return Ok(Redeemed { issued: draft.issued, scopes, login, user });
            }
        }
        Err(Unavailable::Contended.into())
    }

    /// The user a grant is for, unless they may not come in any more.
    pub(crate) async fn user_behind(
        &self,
        subject: &Subject,
        now: Timestamp,
    ) -> Result<Result<Option<crate::User>, UserFault>, Unavailable> {
        let Subject::User { name, .. } = subject else { return Ok(Ok(None)) };
        Ok(UserFault::check(subject, self.user(name, now).await?))
    }
}

/// The verifier is a secret.
impl fmt::Debug for Redemption<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Redemption").field("client", &self.client).finish_non_exhaustive()
    }
}

impl NewCode {
    fn check(&self, redemption: &Redemption<'_>) -> Result<(), InvalidGrant> {
        if self.client != redemption.client {
            return Err(InvalidGrant::OtherClient);
        }
        match (&self.redirect, redemption.redirect_uri) {
            (CodeRedirect::Only(_), None) => (),
            (CodeRedirect::Asked(used) | CodeRedirect::Only(used), Some(said)) if used == said => (),
            (CodeRedirect::Asked(_) | CodeRedirect::Only(_), _) => return Err(InvalidGrant::OtherRedirect),
        }
        match (&self.challenge, redemption.verifier) {
            (None, None) => Ok(()),
            (None, Some(_)) => Err(InvalidGrant::VerifierUnasked),
            (Some(_), None) => Err(InvalidGrant::VerifierMissing),
            (Some(challenge), Some(verifier)) if challenge.fits(verifier) => Ok(()),
            (Some(_), Some(_)) => Err(InvalidGrant::VerifierWrong),
        }
    }

    fn into_grant(self) -> NewToken {
        NewToken {
            client: self.client,
            subject: self.subject,
            scopes: self.scopes,
            audience: self.audience,
            rules: self.rules,
            login: self.login,
        }
    }
}

impl Challenge {
    /// Whether `verifier` is what the challenge was made from (RFC 7636 section 4.6).
    pub fn fits(&self, verifier: &str) -> bool {
        let made = match self.method {
            ChallengeMethod::S256 => {
                URL_SAFE_NO_PAD.encode_to_string(digest::digest(&digest::SHA256, verifier.as_bytes()))
            }
            ChallengeMethod::Plain => verifier.to_owned(),
        };
        constant_time::verify_slices_are_equal(made.as_bytes(), self.value.as_bytes()).is_ok()
    }
}

/// What a token shall be for: what was granted, or some of it. `None` if more is asked for.
pub(crate) fn narrowed(granted: &[String], asked: Option<&[String]>) -> Option<Vec<String>> {
    match asked {
        None => Some(granted.to_vec()),
        Some(asked) if asked.iter().all(|one| granted.contains(one)) => Some(asked.to_vec()),
        Some(_) => None,
    }
}
