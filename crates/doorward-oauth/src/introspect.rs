//! Introspection: what a token is worth and says (RFC 7662, norm A5.4), also as a signed answer (RFC 9701) and as the
//! signed token in the place of the opaque one (phantom token). Whatever is not a good token that the caller may know of
//! is answered in the same way.

use std::time::Duration;

use doorward_accounts::{
    Activity, DerivedToken, InvalidToken, KeyRing, KeysError, LoginFacts, RefreshValidity, SignError,
    TokenName, Unavailable, ValidToken,
};
use doorward_core::{SecretString, Timestamp};
use doorward_jose::Claims;
use http::{
    StatusCode,
    header::{ACCEPT, VARY},
};
use serde_json::{Value, json};

use crate::{
    OAuthServer, answer,
    audit::{Line, Outcome},
    bearer::{self, BearerError},
    call::{Answer, Call},
    claims::ACCESS_TYPE,
    client_auth::{ClientAuthError, Method},
    params::{InvalidParams, Lists, Params},
};

const EVENT: &str = "introspect";
/// The scope of bearers who may ask.
const SCOPE: &str = "introspect";
/// The longest life of a phantom token.
const PHANTOM_LIFE: Duration = Duration::from_mins(5);
const SIGNED: &str = "application/token-introspection+jwt";
const PHANTOM: &str = "application/jwt";
const OTHER_RESOURCE: &str = "the token is meant for another resource";

/// Who asks.
#[derive(Clone, Debug)]
struct Asker {
    client_id: String,
    /// The resources it answers for.
    resources: Vec<String>,
    authenticator: &'static str,
}

/// What is known of a good token.
#[derive(Debug)]
enum Found {
    Access(Box<ValidToken>),
    /// Signed by the gateway, in place of another.
    Derived(Box<DerivedToken>),
    Refresh(Value),
}

/// Why a question is not answered at all.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
enum IntrospectError {
    #[error("{0}")]
    Params(#[from] InvalidParams),
    #[error("the parameter token is missing")]
    Missing,
    #[error("{0}")]
    Client(#[from] ClientAuthError),
    /// Anybody can claim to be a client that has no secret.
    #[error("the client proves nothing")]
    Unproven,
    #[error("{0}")]
    Bearer(#[from] BearerError),
    #[error("the bearer lacks the scope {SCOPE}")]
    Scope,
    #[error("{0}")]
    Unavailable(#[from] Unavailable),
    #[error("{0}")]
    Keys(#[from] KeysError),
    #[error("{0}")]
    Sign(#[from] SignError),
}

impl IntrospectError {
    fn answer(&self) -> Answer {
        let invalid =
            |description: &str| answer::oauth_error(StatusCode::BAD_REQUEST, "invalid_request", description);
        match self {
            Self::Params(why) => invalid(&why.to_string()),
            Self::Missing => invalid("the parameter token is missing"),
            Self::Client(why) => why.answer(),
            Self::Unproven => answer::oauth_error(StatusCode::UNAUTHORIZED, "invalid_client", ""),
            Self::Bearer(why) => why.answer(),
            Self::Scope => bearer::insufficient_scope(SCOPE),
            Self::Unavailable(_) | Self::Keys(KeysError::Unavailable(_)) => answer::unavailable(),
            Self::Keys(_) | Self::Sign(_) => answer::server_error(),
        }
    }

    const fn outcome(&self) -> Outcome {
        match self {
            Self::Unavailable(_)
            | Self::Keys(_)
            | Self::Sign(_)
            | Self::Client(ClientAuthError::Unavailable(_))
            | Self::Bearer(BearerError::Unavailable(_)) => Outcome::Error,
            _ => Outcome::Deny,
        }
    }
}

/// The form of the answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Form {
    Json,
    Signed,
    Phantom,
}

impl OAuthServer {
    pub(crate) async fn introspect(&self, call: &Call) -> Answer {
        let mut answer = match self.introspected(call).await {
            Ok(answer) => answer,
            Err(why) => {
                Line::new(EVENT, why.outcome()).reason(&why).write(call);
                why.answer()
            }
        };
        answer::set(&mut answer, VARY, "Accept");
        answer
    }

    async fn introspected(&self, call: &Call) -> Result<Answer, IntrospectError> {
        let params = Params::of_form(call, Lists::Refused)?;
        let asker = self.asker(call, &params).await?;
        let token = params.get("token").ok_or(IntrospectError::Missing)?;
        let found = match self.look_up(token, &asker, call.now).await? {
            Ok(found) => {
                let line = Line::new(EVENT, Outcome::Permit).authenticator(asker.authenticator);
                let line = line.client_id(&asker.client_id);
                match &found {
                    Found::Access(valid) => {
                        line.user(&valid.user_info.name).credential(&valid.token.name).write(call);
                    }
                    Found::Derived(token) => {
                        line.user(&token.user_info.name).credential_name(&token.jti).write(call);
                    }
                    Found::Refresh(_) => line.write(call),
                }
                Some(found)
            }
            Err(reason) => {
                let line = Line::new(EVENT, Outcome::Deny).authenticator(asker.authenticator);
                line.client_id(&asker.client_id).reason(&reason).write(call);
                None
            }
        };
        match form(call) {
            Form::Json => Ok(answer::json(StatusCode::OK, &self.document(found.as_ref()))),
            Form::Signed => {
                let keys = self.accounts.keys(call.now).await?;
                let signed = self.signed(&asker, self.document(found.as_ref()), &keys, call.now)?;
                Ok(answer::token(SIGNED, signed.expose()))
            }
            Form::Phantom => {
                let valid = match found {
                    Some(Found::Access(valid)) => valid,
                    // It is one already.
                    Some(Found::Derived(_)) => return Ok(answer::token(PHANTOM, token)),
                    Some(Found::Refresh(_)) | None => return Ok(answer::empty(StatusCode::NO_CONTENT)),
                };
                let keys = self.accounts.keys(call.now).await?;
                let phantom = self.phantom(&valid, &keys, call.now)?;
                Ok(answer::token(PHANTOM, phantom.expose()))
            }
        }
    }

    /// A client that proves who it is, or a bearer with the scope for it.
    async fn asker(&self, call: &Call, params: &Params) -> Result<Asker, IntrospectError> {
        if bearer::is_presented(&call.headers) {
            let valid = self.bearer(call).await?;
            if !valid.token.scopes.contains(SCOPE) {
                return Err(IntrospectError::Scope);
            }
            let client_id = valid.token.client;
            let resources =
                self.client(&client_id).map(|client| client.resources.clone()).unwrap_or_default();
            return Ok(Asker { client_id, resources, authenticator: "bearer" });
        }
        let caller = self.authenticate_client(call, params).await?;
        if caller.method == Method::None {
            return Err(IntrospectError::Unproven);
        }
        Ok(Asker {
            client_id: caller.client.id.clone(),
            resources: caller.client.resources.clone(),
            authenticator: caller.method.name(),
        })
    }

    /// What a token is, or why it is nothing for this asker.
    async fn look_up(
        &self,
        token: &str,
        asker: &Asker,
        now: Timestamp,
    ) -> Result<Result<Found, String>, IntrospectError> {
        if TokenName::of_refresh(token).is_some() {
            return self.look_up_refresh(token, asker, now).await;
        }
        let valid = match TokenName::of_access(token) {
            Some(name) => self.accounts.validate_name(&name, Activity::DoesNotCount, now).await,
            None => match self.name_of_signed(token, now).await? {
                Some((name, _)) => self.accounts.validate_name(&name, Activity::DoesNotCount, now).await,
                None => match self.derived(token, now).await {
                    Ok(derived) if asker.may_know(&derived.audience) => {
                        return Ok(Ok(Found::Derived(Box::new(derived))));
                    }
                    Ok(_) => return Ok(Err(OTHER_RESOURCE.to_owned())),
                    Err(why) => Err(why),
                },
            },
        };
        match valid {
            Ok(valid) if asker.may_know(&valid.token.audience) => Ok(Ok(Found::Access(Box::new(valid)))),
            Ok(_) => Ok(Err(OTHER_RESOURCE.to_owned())),
            Err(InvalidToken::Unavailable(why)) => Err(why.into()),
            Err(why) => Ok(Err(why.to_string())),
        }
    }

    async fn look_up_refresh(
        &self,
        token: &str,
        asker: &Asker,
        now: Timestamp,
    ) -> Result<Result<Found, String>, IntrospectError> {
        let Some(standing) = self.accounts.look_up_refresh(token, now).await? else {
            return Ok(Err("the refresh token is not known".to_owned()));
        };
        if standing.client != asker.client_id {
            return Ok(Err("the refresh token belongs to another client".to_owned()));
        }
        let RefreshValidity::Valid { until } = standing.validity else {
            return Ok(Err("the refresh token is of no use any more".to_owned()));
        };
        Ok(Ok(Found::Refresh(json!({
            "active": true,
            "scope": standing.scopes.to_string(),
            "client_id": standing.client,
            "username": standing.subject.name(),
            "sub": standing.subject.uid(),
            "exp": until.seconds,
            "iss": self.config.issuer.as_str(),
        }))))
    }

    /// The name of the token that a signed access token of ours stands for, if that is what `token` is and nobody took it
    /// back; and when it ends. Whether it is still valid is to be asked by that name.
    pub(crate) async fn name_of_signed(
        &self,
        token: &str,
        now: Timestamp,
    ) -> Result<Option<(TokenName, Timestamp)>, KeysError> {
        if !doorward_jose::jws::looks_like_jws(token) {
            return Ok(None);
        }
        let keys = self.accounts.keys(now).await?;
        let Ok(verified) = keys.verify(token, now) else { return Ok(None) };
        if verified.token_type() != Some(ACCESS_TYPE) {
            return Ok(None);
        }
        let text = |name: &str| verified.claims().get(name).and_then(Value::as_str);
        let expires = verified.claims().get("exp").and_then(Value::as_i64).map(Timestamp::from_seconds);
        let expires = expires.filter(|expires| now < *expires);
        if text("iss") != Some(self.config.issuer.as_str()) {
            return Ok(None);
        }
        let (Some(expires), Some(jti)) = (expires, text("jti")) else { return Ok(None) };
        if self.accounts.is_denied(jti, now).await? {
            return Ok(None);
        }
        Ok(TokenName::parse(jti).map(|name| (name, expires)))
    }

    /// A token that the gateway has signed in place of another, if it is valid.
    pub(crate) async fn derived(&self, token: &str, now: Timestamp) -> Result<DerivedToken, InvalidToken> {
        match self.gateway_issuer() {
            Some(issuer) => self.accounts.validate_derived(token, issuer, now).await,
            None => Err(InvalidToken::NotOurs),
        }
    }

    /// The name of the gateway as an issuer, if there is one.
    pub(crate) fn gateway_issuer(&self) -> Option<&str> {
        self.config.exchange.issuer.as_ref().map(|issuer| issuer.as_str())
    }

    /// RFC 7662 section 2.2.
    fn document(&self, found: Option<&Found>) -> Value {
        let valid = match found {
            None => return json!({ "active": false }),
            Some(Found::Refresh(document)) => return document.clone(),
            Some(Found::Derived(token)) => return derived_document(token),
            Some(Found::Access(valid)) => valid,
        };
        let token = &valid.token;
        let issuer = self.config.issuer.as_str();
        let audience =
            if token.audience.is_empty() { vec![issuer.to_owned()] } else { token.audience.clone() };
        let mut document = json!({
            "active": true,
            "scope": token.scopes.to_string(),
            "client_id": token.client,
            "username": token.subject.name(),
            "token_type": "Bearer",
            "iat": token.created,
            "nbf": token.created,
            "sub": token.subject.uid(),
            "aud": audience,
            "iss": issuer,
            "jti": token.name.as_str(),
            "groups": valid.user.as_ref().map(doorward_accounts::User::all_groups).unwrap_or_default(),
        });
        if let Some(expires) = token.expires() {
            answer::say(&mut document, "exp", expires.seconds);
        }
        document
    }

    /// RFC 9701 section 5. Neither `sub` nor `exp` stand outside of the answer proper, lest it pass for an access token.
    fn signed(
        &self,
        asker: &Asker,
        document: Value,
        keys: &KeyRing,
        now: Timestamp,
    ) -> Result<SecretString, SignError> {
        let mut claims = Claims::new();
        claims.insert("iss".to_owned(), self.config.issuer.as_str().into());
        claims.insert("aud".to_owned(), asker.client_id.as_str().into());
        claims.insert("iat".to_owned(), now.seconds.into());
        claims.insert("token_introspection".to_owned(), document);
        keys.sign_answer(self.config.signing, "token-introspection+jwt", &claims, now)
    }

    /// What an API behind the asker gets in place of the opaque token.
    fn phantom(&self, valid: &ValidToken, keys: &KeyRing, now: Timestamp) -> Result<SecretString, SignError> {
        let latest = now.truncated().saturating_add(PHANTOM_LIFE);
        let expires = valid.token.expires().map_or(latest, |expires| expires.min(latest));
        let issuer = [self.config.issuer.as_str().to_owned()];
        let audience = if valid.token.audience.is_empty() { &issuer[..] } else { &valid.token.audience };
        let about = (valid.user.as_ref(), &LoginFacts::default());
        let claims = self.access_claims(&valid.token, about, audience, expires);
        keys.sign(self.config.signing, ACCESS_TYPE, &claims, now)
    }
}

/// RFC 7662 section 2.2, with who acts for whom (RFC 8693 section 4).
fn derived_document(token: &DerivedToken) -> Value {
    let mut document = json!({
        "active": true,
        "scope": token.scopes.to_string(),
        "client_id": token.client,
        "username": token.user_info.name,
        "token_type": "Bearer",
        "exp": token.expires.seconds,
        "aud": token.audience,
        "jti": token.jti,
        "groups": token.user.as_ref().map(doorward_accounts::User::all_groups).unwrap_or_default(),
    });
    for name in ["iat", "sub", "iss", "act", "may_act"] {
        if let Some(value) = token.claims.get(name) {
            answer::say(&mut document, name, value.clone());
        }
    }
    if let Some(issued) = token.claims.get("iat") {
        answer::say(&mut document, "nbf", issued.clone());
    }
    document
}

impl Asker {
    /// Whether a token for these resources is its business. Tokens for none in particular are everybody's.
    fn may_know(&self, audience: &[String]) -> bool {
        audience.is_empty()
            || audience.iter().any(|one| *one == self.client_id || self.resources.contains(one))
    }
}

/// The form that the caller names first; JSON if it names none of ours.
fn form(call: &Call) -> Form {
    let lines = call.headers.get_all(ACCEPT).iter().filter_map(|line| line.to_str().ok());
    let mut kinds =
        lines.flat_map(|line| line.split(',')).map(|kind| kind.split(';').next().unwrap_or_default().trim());
    let known = kinds.find_map(|kind| match kind.to_ascii_lowercase().as_str() {
        SIGNED => Some(Form::Signed),
        PHANTOM => Some(Form::Phantom),
        "application/json" => Some(Form::Json),
        _ => None,
    });
    known.unwrap_or(Form::Json)
}

#[cfg(test)]
mod tests;
