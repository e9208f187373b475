//! Token exchange (RFC 8693, norm B4): a client gets a token for somebody else in place of one that it was sent. Nothing
//! without a rule; the result is signed by the gateway, lasts no longer and holds no more than what it came from, and is
//! worth nothing any more once that is taken back.

mod party;
mod request;

use std::time::Duration;

use doorward_accounts::{KeyRing, ORIGIN, Scopes};
use doorward_core::Timestamp;
use doorward_jose::Claims;
use http::StatusCode;
use serde_json::{Value, json};

use self::{
    party::{Foreign, Party, PartyError},
    request::{ExchangeRequest, TokenType},
};
use super::TokenError;
use crate::{
    OAuthServer, answer,
    audit::{Line, Outcome},
    call::{Answer, Call},
    claims::{ACCESS_TYPE, ID_TYPE, of_user, one_or_many},
    client_auth::Authenticated,
    config::{Client, ExchangeMode, Granted, NoRule, Wanted, choose},
    params::Params,
    scope::OPENID,
};

/// The longest life of a result.
const LIFE: Duration = Duration::from_mins(5);
/// So many act for each other at most.
const MOST_ACTORS: usize = 4;
pub(super) const EVENT: &str = "exchange";

/// Which of the two tokens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Part {
    Subject,
    Actor,
}

impl Part {
    /// The token itself, and its type.
    const fn parameters(self) -> (&'static str, &'static str) {
        match self {
            Self::Subject => ("subject_token", "subject_token_type"),
            Self::Actor => ("actor_token", "actor_token_type"),
        }
    }
}

/// Why nothing was exchanged. The texts are for the log.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum ExchangeError {
    #[error("the parameter {0} is missing")]
    Missing(&'static str),
    #[error("the parameter {0} names no type that is known here, or none that can stand there")]
    Type(&'static str),
    #[error("{part}: {why}", part = .0.parameters().0, why = .1)]
    Token(Part, PartyError),
    #[error("{0}")]
    Rule(NoRule),
    #[error("{0}")]
    Scope(String),
    #[error(
        "the token names others who may act for its subject (may_act), or in words that are not known here"
    )]
    MayAct,
    #[error("the token of the actor has an actor of its own")]
    ActorActedFor,
    #[error(
        "more than {MOST_ACTORS} would act for each other, or what the token says of them cannot be read"
    )]
    TooDeep,
    #[error("there is no user whom an ID token could describe")]
    NoUser,
}

impl ExchangeError {
    /// What the client is told (norm B4).
    pub(super) fn answer(&self) -> Answer {
        let (code, description) = match self {
            Self::Missing(name) => ("invalid_request", format!("the parameter {name} is missing")),
            Self::Type(name) => {
                ("invalid_request", format!("{name} names no token type that can be used there"))
            }
            Self::Token(_, PartyError::Unavailable(_) | PartyError::Issuer(_)) => {
                return answer::unavailable();
            }
            Self::Token(_, PartyError::Keys(_)) => return answer::server_error(),
            Self::Token(part, _) => {
                ("invalid_request", format!("the {} is not valid here", part.parameters().0))
            }
            Self::Rule(NoRule::Client) => {
                ("unauthorized_client", "the client may not use this grant type".to_owned())
            }
            Self::Rule(NoRule::Subject) | Self::NoUser => {
                ("invalid_request", "the subject_token cannot be exchanged for this".to_owned())
            }
            Self::Rule(NoRule::Actor) | Self::MayAct | Self::ActorActedFor => {
                ("invalid_request", "the actor may not act for the subject".to_owned())
            }
            Self::TooDeep => {
                ("invalid_request", format!("no more than {MOST_ACTORS} may act for each other"))
            }
            Self::Rule(NoRule::Target) => (
                "invalid_target",
                "the client may not get tokens for this audience; name one that it may get them for"
                    .to_owned(),
            ),
            Self::Rule(NoRule::Scope) => (
                "invalid_scope",
                "more scopes are asked for than the client may get with this token".to_owned(),
            ),
            Self::Scope(why) => ("invalid_scope", why.clone()),
        };
        answer::oauth_error(StatusCode::BAD_REQUEST, code, &description)
    }

    pub(super) const fn outcome(&self) -> Outcome {
        match self {
            Self::Token(_, PartyError::Unavailable(_) | PartyError::Issuer(_) | PartyError::Keys(_)) => {
                Outcome::Error
            }
            _ => Outcome::Deny,
        }
    }
}

/// All that the result is made of.
struct Exchange<'a> {
    client: &'a Client,
    subject: Party,
    /// Who acts in the end, if the result says so.
    act: Option<Value>,
    granted: Granted,
    requested: TokenType,
    expires: Timestamp,
}

impl OAuthServer {
    pub(super) async fn exchange_grant(
        &self,
        call: &Call,
        params: &Params,
        caller: Authenticated<'_>,
        keys: &KeyRing,
    ) -> Result<Value, TokenError> {
        let request = ExchangeRequest::read(params)?;
        let exchange = self.exchanged(&request, caller.client, (keys, call.now)).await?;
        let claims = exchange.claims();
        let token_type = match exchange.requested {
            TokenType::Id => ID_TYPE,
            TokenType::Access | TokenType::Jwt | TokenType::Refresh => ACCESS_TYPE,
        };
        let Exchange { subject, granted, requested, expires, .. } = &exchange;
        let issuer = self.config.exchange.issuer.as_ref().ok_or(ExchangeError::Rule(NoRule::Client))?;
        let kind = (issuer.algorithm(), token_type);
        let token = issuer.mint(kind, claims, *expires, call.now).await?;
        Line::new(EVENT, Outcome::Permit)
            .user(&subject.name)
            .client_id(&caller.client.id)
            .authenticator(caller.method.name())
            .credential_name(&subject.credential)
            .audience(&granted.audience)
            .write(call);
        Ok(json!({
            "access_token": token.expose(),
            "issued_token_type": requested.name(),
            "token_type": if *requested == TokenType::Id { "N_A" } else { "Bearer" },
            "expires_in": expires.since(call.now.truncated()).as_secs(),
            "scope": granted.scopes.to_string(),
        }))
    }

    /// Whether there is to be an exchange, and what of.
    async fn exchanged<'a>(
        &self,
        request: &ExchangeRequest,
        client: &'a Client,
        at: (&KeyRing, Timestamp),
    ) -> Result<Exchange<'a>, ExchangeError> {
        let of = |part| move |why| ExchangeError::Token(part, why);
        let subject = self.party(&request.subject, client, at).await.map_err(of(Part::Subject))?;
        let actor = match &request.actor {
            None => None,
            Some(actor) => Some(self.party(actor, client, at).await.map_err(of(Part::Actor))?),
        };
        let granted = choose(
            &self.config.exchange.rules,
            Wanted {
                client: &client.id,
                subject: &subject.issuer,
                actor: actor.as_ref().map(|actor| &actor.issuer),
                audience: &request.audience,
                scopes: request.scopes.as_ref(),
                held: &subject.scopes,
            },
        )
        .map_err(ExchangeError::Rule)?;
        if request.requested == TokenType::Id {
            check_id_token(&subject, &granted.scopes)?;
        }
        let ends = [subject.expires, actor.as_ref().and_then(|actor| actor.expires)];
        let latest = at.1.truncated().saturating_add(LIFE);
        let expires = ends.into_iter().flatten().fold(latest, Timestamp::min);
        let actor = actor.unwrap_or_else(|| Party::client(client));
        if actor.act.is_some() {
            return Err(ExchangeError::ActorActedFor);
        }
        if !self.may_act(&subject, &actor) {
            return Err(ExchangeError::MayAct);
        }
        let before = subject.act.clone();
        let act = match granted.mode {
            ExchangeMode::Impersonation => before,
            ExchangeMode::Delegation => Some(actor.acting(before)),
        };
        if act.as_ref().is_some_and(|act| depth(act).is_none_or(|depth| MOST_ACTORS < depth)) {
            return Err(ExchangeError::TooDeep);
        }
        Ok(Exchange { client, subject, act, granted, requested: request.requested, expires })
    }

    /// Whether the subject's token lets this actor act (RFC 8693 section 4.4). What it says in words that are not known
    /// here may be a condition that does not hold.
    fn may_act(&self, subject: &Party, actor: &Party) -> bool {
        let Some(may_act) = &subject.may_act else { return true };
        let Some(named) = may_act.as_object() else { return false };
        let ours = [Some(self.config.issuer.as_str()), self.gateway_issuer()];
        let (sub, is_issuer) = match &actor.foreign {
            Some(Foreign { iss, sub }) => (sub, named.get("iss").is_some_and(|one| one == iss.as_str())),
            None => (&actor.sub, named.get("iss").is_none_or(|one| ours.contains(&one.as_str()))),
        };
        let is_sub = named.get("sub").is_some_and(|one| one == sub.as_str());
        is_sub && is_issuer && named.keys().all(|name| matches!(name.as_str(), "sub" | "iss"))
    }
}

/// An ID token describes a user, to those who may know who that is.
fn check_id_token(subject: &Party, scopes: &Scopes) -> Result<(), ExchangeError> {
    if subject.user.is_none() {
        return Err(ExchangeError::NoUser);
    }
    if scopes.contains(OPENID) { Ok(()) } else { Err(ExchangeError::Rule(NoRule::Scope)) }
}

/// How many act for each other; `None` if that cannot be read.
fn depth(act: &Value) -> Option<usize> {
    let mut depth = 0;
    let mut next = Some(act);
    while let Some(act) = next {
        let members = act.as_object().filter(|members| members.get("sub").is_some_and(Value::is_string))?;
        depth += 1;
        next = members.get("act");
    }
    Some(depth)
}

impl Exchange<'_> {
    /// What the result says. Who signs it, when, for how long and under which id is the signer's to add.
    fn claims(&self) -> Claims {
        let Self { client, subject, act, granted, requested, .. } = self;
        let mut claims = match &subject.user {
            Some(user) => of_user(user, &granted.scopes),
            None => Claims::new(),
        };
        let mut say = |name: &str, value: Value| claims.insert(name.to_owned(), value);
        say("sub", subject.sub.as_str().into());
        say("aud", one_or_many(&granted.audience));
        if *requested == TokenType::Id {
            // It says who somebody is, and is nothing to come in with: so it does not say what it came from.
            say("azp", client.id.as_str().into());
        } else {
            say(ORIGIN, subject.origin.to_claim());
            say("client_id", client.id.as_str().into());
            say("scope", granted.scopes.to_string().into());
        }
        if let Some(session) = &subject.session {
            say("sid", session.as_str().into());
        }
        if let Some(act) = act {
            say("act", act.clone());
        }
        if let Some(may_act) = &subject.may_act {
            say("may_act", may_act.clone());
        }
        claims
    }
}

#[cfg(test)]
mod tests;
