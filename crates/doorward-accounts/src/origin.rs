//! Tokens that were signed for applications in place of others: what they came from stands in them, so that nothing has to
//! be stored, and taking the first one back ends all that came of it. Two questions to the store: what the token came
//! from, together with what was taken back on the way; then family and user, as for any token.

use doorward_core::{Timestamp, UserInfo};
use doorward_jose::Claims;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::{
    AccessToken, Accounts, Activity, FamilyId, InvalidToken, KeySetName, KeysError, Scopes, Subject,
    TokenName, Unavailable, User, at,
    grants::Family,
    records::{Read, key},
    validate::user_info,
};

/// The claim that holds an [`Origin`].
pub const ORIGIN: &str = "origin";
/// The `typ` of signed access tokens (RFC 9068 section 2.1).
const ACCESS_TYPE: &str = "at+jwt";
/// More tokens in between are nobody's business, and would make tokens ever longer.
const MOST_BETWEEN: usize = 4;

/// What a signed token came from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Origin {
    pub source: Source,
    /// The ids (`jti`) of the signed tokens in between, oldest first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    between: Vec<String>,
}

/// What stands at the beginning.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Source {
    /// An access token of ours.
    Token(TokenName),
    /// What was granted at a login: a refresh token or an ID token, or a token that is not named.
    Family(FamilyId),
    /// A token of this issuer, of which nothing is known here but when it ends.
    Issuer(String),
}

/// A signed token that came of another cannot come of this one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("tokens were exchanged for tokens more than {MOST_BETWEEN} times")]
pub struct TooFar;

impl Origin {
    /// That of a token which comes directly from `source`.
    pub const fn new(source: Source) -> Self {
        Self { source, between: Vec::new() }
    }

    /// That of a token which comes from the signed token `jti`, whose origin this is.
    pub fn through(mut self, jti: &str) -> Result<Self, TooFar> {
        if MOST_BETWEEN <= self.between.len() {
            return Err(TooFar);
        }
        self.between.push(jti.to_owned());
        Ok(self)
    }

    /// As a claim.
    pub fn to_claim(&self) -> Value {
        // Neither a map with keys that are no texts nor a type that fails: nothing can go wrong.
        serde_json::to_value(self).unwrap_or_default()
    }

    /// Of a token that we signed; `None` if it does not say.
    pub fn of(claims: &Claims) -> Option<Self> {
        serde_json::from_value(claims.get(ORIGIN)?.clone()).ok()
    }
}

/// A signed token that is valid now.
#[derive(Clone, Debug, PartialEq)]
pub struct DerivedToken {
    pub claims: Claims,
    pub jti: String,
    pub origin: Origin,
    /// The OAuth client that it was issued to.
    pub client: String,
    pub scopes: Scopes,
    pub audience: Vec<String>,
    pub expires: Timestamp,
    /// `None` for what an issuer elsewhere vouches for.
    pub subject: Option<Subject>,
    /// The user as of now; `None` for clients in their own name, and for whom an issuer elsewhere vouches.
    pub user: Option<User>,
    /// Who it is about, in the shape of an API.
    pub user_info: UserInfo,
}

impl Accounts {
    /// An access token that the gateway signed as `issuer`, if it is valid, and if nothing that it came from was taken
    /// back. Tokens that do not say where they came from are for applications alone, and not valid here.
    pub async fn validate_derived(
        &self,
        raw: &str,
        issuer: &str,
        now: Timestamp,
    ) -> Result<DerivedToken, InvalidToken> {
        if !doorward_jose::jws::looks_like_jws(raw) {
            return Err(InvalidToken::NotOurs);
        }
        let keys = match self.keys_of(KeySetName::Gateway, now).await {
            Ok(keys) => keys,
            Err(KeysError::Unavailable(why)) => return Err(why.into()),
            Err(KeysError::Sealed(_) | KeysError::Key(_)) => return Err(Unavailable::Unreadable.into()),
        };
        let verified = keys.verify(raw, now).map_err(|_| InvalidToken::NotOurs)?;
        if verified.token_type() != Some(ACCESS_TYPE) {
            return Err(InvalidToken::NotOurs);
        }
        self.judge_derived(verified.into_claims(), issuer, now).await
    }

    /// As [`Self::validate_derived`], of claims that somebody has seen to be signed by the gateway.
    pub async fn judge_derived(
        &self,
        claims: Claims,
        issuer: &str,
        now: Timestamp,
    ) -> Result<DerivedToken, InvalidToken> {
        let signed = Signed::read(claims, issuer, now)?;
        let (subject, user, user_info) = self.behind(&signed, now).await?;
        let Signed { claims, jti, origin, client, scopes, audience, expires, .. } = signed;
        Ok(DerivedToken { claims, jti, origin, client, scopes, audience, expires, subject, user, user_info })
    }

    /// Who a signed token is about, if nothing that it came from was taken back.
    async fn behind(
        &self,
        signed: &Signed,
        now: Timestamp,
    ) -> Result<(Option<Subject>, Option<User>, UserInfo), InvalidToken> {
        let Origin { source, between } = &signed.origin;
        let taken_back = between.iter().chain([&signed.jti]).map(|jti| key::denied(jti));
        let keys: Vec<String> = source.key().into_iter().chain(taken_back).collect();
        let keys: Vec<&str> = keys.iter().map(String::as_str).collect();
        let mut found = self.records.get_many(&keys, now).await.map_err(Unavailable::from)?.into_iter();
        let first = source.key().and_then(|_| found.next().flatten());
        if found.any(|denied| denied.is_some()) {
            return Err(InvalidToken::Revoked);
        }
        match source {
            Source::Token(_) => {
                let token: Read<AccessToken> = Read::decode(first)?.ok_or(InvalidToken::Revoked)?;
                let valid = self.judge(token, Activity::DoesNotCount, now).await?;
                let user_info = user_info(&valid.token.subject, &signed.scopes, valid.user.as_ref());
                Ok((Some(valid.token.subject), valid.user, user_info))
            }
            Source::Family(_) => {
                let family: Read<Family> = Read::decode(first)?.ok_or(InvalidToken::Revoked)?;
                let subject = family.value.subject;
                let user = self.user_behind(&subject, now).await?.map_err(InvalidToken::User)?;
                let user_info = user_info(&subject, &signed.scopes, user.as_ref());
                Ok((Some(subject), user, user_info))
            }
            Source::Issuer(_) => Ok((None, None, signed.foreign_user())),
        }
    }
}

impl Source {
    /// Where it lies in the store, if it does.
    fn key(&self) -> Option<String> {
        match self {
            Self::Token(name) => Some(key::access(name)),
            Self::Family(id) => Some(key::family(id)),
            Self::Issuer(_) => None,
        }
    }
}

/// A token whose signature is ours, and what it says.
struct Signed {
    claims: Claims,
    jti: String,
    sub: String,
    origin: Origin,
    client: String,
    scopes: Scopes,
    audience: Vec<String>,
    expires: Timestamp,
}

impl Signed {
    fn read(claims: Claims, issuer: &str, now: Timestamp) -> Result<Self, InvalidToken> {
        let text = |name: &str| claims.get(name).and_then(Value::as_str).map(str::to_owned);
        let expires = claims.get("exp").and_then(Value::as_i64).map(at).ok_or(InvalidToken::NotOurs)?;
        let (Some(jti), Some(sub), Some(origin)) = (text("jti"), text("sub"), Origin::of(&claims)) else {
            return Err(InvalidToken::NotOurs);
        };
        if text("iss").as_deref() != Some(issuer) {
            return Err(InvalidToken::NotOurs);
        }
        if expires <= now {
            return Err(InvalidToken::Expired);
        }
        let scopes = Scopes::parse(&text("scope").unwrap_or_default()).map_err(|_| InvalidToken::NotOurs)?;
        let audience = match claims.get("aud") {
            Some(Value::String(one)) => vec![one.clone()],
            Some(Value::Array(many)) => many.iter().filter_map(Value::as_str).map(str::to_owned).collect(),
            _ => Vec::new(),
        };
        let client = text("client_id").unwrap_or_default();
        Ok(Self { claims, jti, sub, origin, client, scopes, audience, expires })
    }

    /// Somebody whom only an issuer elsewhere knows goes by what stands in the token.
    fn foreign_user(&self) -> UserInfo {
        let subject = Subject::User { name: self.sub.clone(), uid: self.sub.clone() };
        user_info(&subject, &self.scopes, None)
    }
}
