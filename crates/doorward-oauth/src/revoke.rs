//! Taking tokens back (RFC 7009, norm A5.3). Tokens that are not there any more are an answer like any other: nobody
//! learns which tokens exist.

use doorward_accounts::{InvalidToken, KeysError, TokenName, Unavailable};
use doorward_core::Timestamp;
use http::StatusCode;
use serde_json::Value;

use crate::{
    OAuthServer, answer,
    audit::{Line, Outcome},
    call::{Answer, Call},
    claims::ACCESS_TYPE,
    client_auth::ClientAuthError,
    params::{InvalidParams, Lists, Params},
};

const EVENT: &str = "revoke";

/// Why nothing was taken back. The texts are for the log.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
enum RevokeError {
    #[error("{0}")]
    Params(#[from] InvalidParams),
    #[error("the parameter token is missing")]
    Missing,
    #[error("{0}")]
    Client(#[from] ClientAuthError),
    #[error("the token belongs to another client")]
    OtherClient,
    #[error("{0}")]
    Unavailable(#[from] Unavailable),
    #[error("{0}")]
    Keys(#[from] KeysError),
}

impl RevokeError {
    fn answer(&self) -> Answer {
        let invalid =
            |description: &str| answer::oauth_error(StatusCode::BAD_REQUEST, "invalid_request", description);
        match self {
            Self::Params(why) => invalid(&why.to_string()),
            Self::Missing => invalid("the parameter token is missing"),
            Self::Client(why) => why.answer(),
            Self::OtherClient => invalid("the token belongs to another client"),
            Self::Unavailable(_) | Self::Keys(KeysError::Unavailable(_)) => answer::unavailable(),
            Self::Keys(_) => answer::server_error(),
        }
    }

    const fn outcome(&self) -> Outcome {
        match self {
            Self::Unavailable(_) | Self::Keys(_) | Self::Client(ClientAuthError::Unavailable(_)) => {
                Outcome::Error
            }
            _ => Outcome::Deny,
        }
    }
}

/// What a revocation did, for the log.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Revoked {
    Nothing,
    Access(TokenName),
    /// Signed by the gateway; its id.
    Derived(String),
    Family,
}

impl OAuthServer {
    pub(crate) async fn revoke(&self, call: &Call) -> Answer {
        match self.revoked(call).await {
            Ok(()) => answer::empty(StatusCode::OK),
            Err(why) => {
                Line::new(EVENT, why.outcome()).reason(&why).write(call);
                why.answer()
            }
        }
    }

    async fn revoked(&self, call: &Call) -> Result<(), RevokeError> {
        let params = Params::of_form(call, Lists::Refused)?;
        let caller = self.authenticate_client(call, &params).await?;
        let token = params.get("token").ok_or(RevokeError::Missing)?;
        let revoked = self.take_back(token, &caller.client.id, call.now).await?;
        let line = Line::new(EVENT, Outcome::Permit)
            .client_id(&caller.client.id)
            .authenticator(caller.method.name());
        match revoked {
            Revoked::Nothing => line.reason("there is no such token").write(call),
            Revoked::Access(name) => line.credential(&name).write(call),
            Revoked::Derived(jti) => line.credential_name(&jti).write(call),
            Revoked::Family => line.reason("a refresh token, and all that came of it").write(call),
        }
        Ok(())
    }

    /// Takes `token` back, whatever it is; the hint that clients may send is not needed.
    async fn take_back(&self, token: &str, client: &str, now: Timestamp) -> Result<Revoked, RevokeError> {
        if let Some(name) = TokenName::of_access(token) {
            return self.take_back_access(name, client, now).await;
        }
        if TokenName::of_refresh(token).is_some() {
            let Some(standing) = self.accounts.look_up_refresh(token, now).await? else {
                return Ok(Revoked::Nothing);
            };
            if standing.client != client {
                return Err(RevokeError::OtherClient);
            }
            self.accounts.revoke_family(&standing.family, now).await?;
            return Ok(Revoked::Family);
        }
        self.take_back_signed(token, client, now).await
    }

    async fn take_back_access(
        &self,
        name: TokenName,
        client: &str,
        now: Timestamp,
    ) -> Result<Revoked, RevokeError> {
        let Some(token) = self.accounts.access_token(&name, now).await? else { return Ok(Revoked::Nothing) };
        if token.client != client {
            return Err(RevokeError::OtherClient);
        }
        self.accounts.revoke_access(&name, now).await?;
        Ok(Revoked::Access(name))
    }

    /// A signed token is taken back twice: what it stands for is gone, and its id is refused until it is over, for those
    /// who look at nothing else.
    async fn take_back_signed(
        &self,
        token: &str,
        client: &str,
        now: Timestamp,
    ) -> Result<Revoked, RevokeError> {
        if !doorward_jose::jws::looks_like_jws(token) {
            return Ok(Revoked::Nothing);
        }
        let keys = self.accounts.keys(now).await?;
        let Ok(verified) = keys.verify(token, now) else {
            return self.take_back_derived(token, client, now).await;
        };
        let claims = verified.claims();
        let text = |name: &str| claims.get(name).and_then(Value::as_str);
        let is_ours =
            verified.token_type() == Some(ACCESS_TYPE) && text("iss") == Some(self.config.issuer.as_str());
        let (true, Some(jti), Some(exp)) = (is_ours, text("jti"), claims.get("exp").and_then(Value::as_i64))
        else {
            return Ok(Revoked::Nothing);
        };
        if text("client_id") != Some(client) {
            return Err(RevokeError::OtherClient);
        }
        let Some(name) = TokenName::parse(jti) else { return Ok(Revoked::Nothing) };
        if now.seconds < exp {
            self.accounts.deny_jwt(jti, Timestamp::from_seconds(exp), now).await?;
        }
        self.accounts.revoke_access(&name, now).await?;
        Ok(Revoked::Access(name))
    }

    /// A token that came of an exchange stands for nothing in the store: its id is refused, and with it whatever came of
    /// it in turn.
    async fn take_back_derived(
        &self,
        token: &str,
        client: &str,
        now: Timestamp,
    ) -> Result<Revoked, RevokeError> {
        let derived = match self.derived(token, now).await {
            Ok(derived) => derived,
            Err(InvalidToken::Unavailable(why)) => return Err(why.into()),
            Err(_) => return Ok(Revoked::Nothing),
        };
        if derived.client != client {
            return Err(RevokeError::OtherClient);
        }
        self.accounts.deny_jwt(&derived.jti, derived.expires, now).await?;
        Ok(Revoked::Derived(derived.jti))
    }
}
