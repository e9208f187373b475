//! Who a token is about that a client presents for an exchange, and what the result inherits from it.

use doorward_accounts::{
    Activity, DerivedToken, FamilyId, InvalidToken, KeyRing, KeysError, Origin, Scopes, Source, Subject,
    TokenName, TooFar, Unavailable, User, ValidToken,
};
use doorward_authn::gateway::Finding;
use doorward_core::{Principal, Timestamp};
use serde_json::{Value, json};

use super::request::{Presented, TokenType};
use crate::{
    OAuthServer,
    claims::ID_TYPE,
    config::{Client, SubjectIssuer, TrustedIssuer},
};

/// Who a token is about.
#[derive(Clone, Debug)]
pub(super) struct Party {
    pub(super) issuer: SubjectIssuer,
    /// What tokens call it.
    pub(super) sub: String,
    /// Of whom another issuer vouches for: what that one calls it.
    pub(super) foreign: Option<Foreign>,
    /// What people call it.
    pub(super) name: String,
    pub(super) user: Option<User>,
    pub(super) session: Option<String>,
    pub(super) scopes: Scopes,
    /// Who acts for it already (RFC 8693 section 4.1).
    pub(super) act: Option<Value>,
    /// Who alone may act for it (RFC 8693 section 4.4).
    pub(super) may_act: Option<Value>,
    pub(super) origin: Origin,
    pub(super) expires: Option<Timestamp>,
    /// The beginning of a hash.
    pub(super) credential: String,
}

/// Somebody at an issuer elsewhere.
#[derive(Clone, Debug)]
pub(super) struct Foreign {
    pub(super) iss: String,
    pub(super) sub: String,
}

/// Why a token is not exchanged. The texts are for the log.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(in crate::token) enum PartyError {
    #[error("{0}")]
    Invalid(InvalidToken),
    #[error("it is not what its type says")]
    OtherType,
    #[error("it is meant for others than the client")]
    OtherAudience,
    #[error("{0}")]
    TooFar(#[from] TooFar),
    #[error("{0}")]
    Unavailable(Unavailable),
    #[error("{0}")]
    Keys(KeysError),
    /// The keys of an issuer elsewhere cannot be had.
    #[error("{0}")]
    Issuer(String),
}

impl From<Unavailable> for PartyError {
    fn from(why: Unavailable) -> Self {
        Self::Unavailable(why)
    }
}

impl From<InvalidToken> for PartyError {
    fn from(why: InvalidToken) -> Self {
        match why {
            InvalidToken::Unavailable(why) => Self::Unavailable(why),
            why => Self::Invalid(why),
        }
    }
}

impl From<KeysError> for PartyError {
    fn from(why: KeysError) -> Self {
        match why {
            KeysError::Unavailable(why) => Self::Unavailable(why),
            why => Self::Keys(why),
        }
    }
}

impl OAuthServer {
    /// Who `presented` is about, if it is valid and the client may present it: a token that is meant for others would
    /// let whoever got hold of it speak to everybody.
    pub(super) async fn party(
        &self,
        presented: &Presented,
        client: &Client,
        (keys, now): (&KeyRing, Timestamp),
    ) -> Result<Party, PartyError> {
        let token = presented.token.expose();
        match presented.kind {
            TokenType::Refresh => self.refreshing_party(token, client, now).await,
            TokenType::Id => self.identified_party(token, client, (keys, now)).await,
            TokenType::Access => match TokenName::of_access(token) {
                Some(name) => self.opaque_party(&name, client, now).await,
                None => self.signed_party(token, client, now).await,
            },
            TokenType::Jwt => self.signed_party(token, client, now).await,
        }
    }

    /// A refresh token is its client's alone (RFC 6749 section 10.4).
    async fn refreshing_party(
        &self,
        token: &str,
        client: &Client,
        now: Timestamp,
    ) -> Result<Party, PartyError> {
        let standing = self.accounts.look_up_refresh(token, now).await?.ok_or(InvalidToken::Unknown)?;
        if standing.client != client.id {
            return Err(PartyError::OtherAudience);
        }
        let doorward_accounts::RefreshValidity::Valid { until } = standing.validity else {
            return Err(InvalidToken::Expired.into());
        };
        let party = self.granted_party(&standing.family, client, now).await?;
        Ok(Party { expires: Some(until), ..party })
    }

    /// An ID token counts as long as what was granted with it (`OpenID Connect` Core section 2).
    async fn identified_party(
        &self,
        token: &str,
        client: &Client,
        (keys, now): (&KeyRing, Timestamp),
    ) -> Result<Party, PartyError> {
        let verified = keys.verify(token, now).map_err(|_| InvalidToken::NotOurs)?;
        if !verified.token_type().is_some_and(|kind| kind.eq_ignore_ascii_case(ID_TYPE)) {
            return Err(PartyError::OtherType);
        }
        let claims = verified.claims();
        let text = |name: &str| claims.get(name).and_then(Value::as_str);
        if text("iss") != Some(self.config.issuer.as_str()) {
            return Err(InvalidToken::NotOurs.into());
        }
        let expires = claims.get("exp").and_then(Value::as_i64).map(Timestamp::from_seconds);
        let expires = expires.filter(|expires| now < *expires).ok_or(InvalidToken::Expired)?;
        if text("aud") != Some(client.id.as_str()) {
            return Err(PartyError::OtherAudience);
        }
        let Some(Origin { source: Source::Family(family), .. }) = Origin::of(claims) else {
            return Err(InvalidToken::NotOurs.into());
        };
        let party = self.granted_party(&family, client, now).await?;
        Ok(Party { expires: Some(expires), ..party })
    }

    /// Who granted something to the client.
    async fn granted_party(
        &self,
        family: &FamilyId,
        client: &Client,
        now: Timestamp,
    ) -> Result<Party, PartyError> {
        let grant = self.accounts.grant_of(family, now).await?;
        if grant.client != client.id {
            return Err(PartyError::OtherAudience);
        }
        Ok(Party {
            session: grant.login.session,
            ..Party::own(
                &grant.subject,
                grant.user,
                grant.scopes,
                Origin::new(Source::Family(family.clone())),
            )
        })
    }

    async fn opaque_party(
        &self,
        name: &TokenName,
        client: &Client,
        now: Timestamp,
    ) -> Result<Party, PartyError> {
        let ValidToken { token, user, .. } = self.accounts.validate_name(name, Activity::Counts, now).await?;
        may_present(client, &token.client, &token.audience)?;
        let expires = token.expires();
        Ok(Party {
            session: token.session,
            expires,
            credential: name.shortened(),
            ..Party::own(&token.subject, user, token.scopes, Origin::new(Source::Token(name.clone())))
        })
    }

    /// A signed access token: of this server, or of its gateway.
    async fn signed_party(&self, token: &str, client: &Client, now: Timestamp) -> Result<Party, PartyError> {
        if let Some((name, expires)) = self.name_of_signed(token, now).await? {
            let party = self.opaque_party(&name, client, now).await?;
            let expires = party.expires.map_or(expires, |of_record| of_record.min(expires));
            return Ok(Party { expires: Some(expires), ..party });
        }
        match self.derived(token, now).await {
            Ok(derived) => {
                may_present(client, &derived.client, &derived.audience)?;
                Party::derived(derived)
            }
            Err(InvalidToken::NotOurs) => self.foreign_party(token, client, now).await,
            Err(why) => Err(why.into()),
        }
    }

    /// A signed token of one of the issuers whose tokens the client may present. That it is for us, the authenticator
    /// sees to.
    async fn foreign_party(&self, token: &str, client: &Client, now: Timestamp) -> Result<Party, PartyError> {
        let exchange = &self.config.exchange;
        let named = exchange.rules.iter().filter(|rule| rule.client == client.id);
        let named: Vec<&SubjectIssuer> = named.flat_map(|rule| &rule.subject_issuers).collect();
        let mut unavailable = None;
        for TrustedIssuer { name, authenticator } in &exchange.issuers {
            let issuer = SubjectIssuer::Trusted(name.clone());
            if !named.contains(&&issuer) {
                continue;
            }
            match authenticator.attempt_token(token, now).await {
                Finding::User(principal) => {
                    let ours = [Some(self.config.issuer.as_str()), self.gateway_issuer()];
                    return Party::foreign(issuer, &principal, ours);
                }
                Finding::Unavailable(why) => unavailable = Some(why),
                Finding::Refused(_) | Finding::Nothing => (),
            }
        }
        Err(unavailable.map_or(PartyError::Invalid(InvalidToken::NotOurs), PartyError::Issuer))
    }
}

/// Whether a token is the client's own, or meant for it. One for nobody in particular is for everybody.
fn may_present(client: &Client, issued_to: &str, audience: &[String]) -> Result<(), PartyError> {
    let is_its = |one: &String| *one == client.id || client.resources.contains(one);
    if issued_to == client.id || audience.is_empty() || audience.iter().any(is_its) {
        return Ok(());
    }
    Err(PartyError::OtherAudience)
}

/// Somebody in a token of the issuer `iss`, and whoever acted before, each by its issuer: names without one are that
/// issuer's, and `but` are issuers for whom it cannot speak. `None` if that cannot be said.
fn located(actor: &Value, (iss, but): (&str, [Option<&str>; 2])) -> Option<Value> {
    let mut actor = actor.as_object()?.clone();
    match actor.get("iss") {
        None => drop(actor.insert("iss".to_owned(), iss.into())),
        Some(Value::String(named)) if !but.contains(&Some(named)) => (),
        Some(_) => return None,
    }
    if let Some(before) = actor.get_mut("act") {
        *before = located(before, (iss, but))?;
    }
    Some(Value::Object(actor))
}

impl Party {
    fn own(subject: &Subject, user: Option<User>, scopes: Scopes, origin: Origin) -> Self {
        Self {
            issuer: SubjectIssuer::Own,
            sub: subject.uid(),
            foreign: None,
            name: subject.name(),
            user,
            session: None,
            scopes,
            act: None,
            may_act: None,
            origin,
            expires: None,
            credential: String::new(),
        }
    }

    /// A client that acts in its own name, and has shown who it is by asking.
    pub(super) fn client(client: &Client) -> Self {
        // Never the subject of anything, so that its origin is not looked at.
        let origin = Origin::new(Source::Issuer(String::new()));
        Self::own(&Subject::Client { id: client.id.clone() }, None, Scopes::default(), origin)
    }

    fn derived(token: DerivedToken) -> Result<Self, PartyError> {
        let DerivedToken { claims, jti, origin, scopes, expires, user, user_info, .. } = token;
        let text = |name: &str| claims.get(name).and_then(Value::as_str).map(str::to_owned);
        Ok(Self {
            issuer: SubjectIssuer::Own,
            sub: text("sub").unwrap_or_default(),
            foreign: None,
            name: user_info.name,
            user,
            session: text("sid"),
            scopes,
            act: claims.get("act").cloned(),
            may_act: claims.get("may_act").cloned(),
            origin: origin.through(&jti)?,
            expires: Some(expires),
            credential: jti,
        })
    }

    /// Nobody from elsewhere is ever called like somebody here: the result names the issuer too, also of those who act, or
    /// may. What the issuer says of groups stays with it.
    fn foreign(
        issuer: SubjectIssuer,
        principal: &Principal,
        ours: [Option<&str>; 2],
    ) -> Result<Self, PartyError> {
        let text = |name: &str| principal.claims.get(name).and_then(Value::as_str).map(str::to_owned);
        let (Some(iss), Some(sub)) = (text("iss"), text("sub")) else {
            return Err(InvalidToken::NotOurs.into());
        };
        if ours.contains(&Some(iss.as_str())) {
            return Err(InvalidToken::NotOurs.into());
        }
        let named = |claim: Option<&Value>, but| match claim {
            Some(claim) => located(claim, (&iss, but)).ok_or(InvalidToken::NotOurs).map(Some),
            None => Ok(None),
        };
        let act = named(principal.claims.get("act"), ours)?;
        // It may well let somebody of ours act.
        let may_act = named(principal.claims.get("may_act"), [None; 2])?;
        let scopes = Scopes::from_names(principal.scopes.iter().map(String::as_str));
        let called = format!("{iss}|{sub}");
        Ok(Self {
            issuer,
            name: called.clone(),
            sub: called,
            user: None,
            session: None,
            scopes: scopes.map_err(|_| InvalidToken::NotOurs)?,
            act,
            may_act,
            origin: Origin::new(Source::Issuer(iss.clone())),
            expires: principal.expires,
            credential: principal.credential.chars().take(19).collect(),
            foreign: Some(Foreign { iss, sub }),
        })
    }

    /// As an actor of a token (RFC 8693 section 4.1), with those who acted before.
    pub(super) fn acting(&self, before: Option<Value>) -> Value {
        let mut act = match &self.foreign {
            Some(Foreign { iss, sub }) => json!({ "sub": sub, "iss": iss }),
            None => json!({ "sub": self.sub }),
        };
        if let (Some(act), Some(before)) = (act.as_object_mut(), before) {
            act.insert("act".to_owned(), before);
        }
        act
    }
}
