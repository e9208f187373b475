//! The token endpoint (RFC 6749 section 3.2, norm A5): a grant becomes tokens. Which of a thing's many flaws made it
//! worthless is told to the log only.

mod exchange;

use doorward_accounts::{
    InvalidGrant, KeyRing, KeysError, LoginFacts, NewToken, RedeemError, Redeemed, Redemption, RefreshError,
    RefreshRequest, Scopes, SignError, Subject, TokenRules, Unavailable,
};
use doorward_gateway::MintError;
use http::StatusCode;
use serde_json::{Value, json};

use self::exchange::ExchangeError;
use crate::{
    OAuthServer, answer,
    audit::{Line, Outcome},
    call::{Answer, Call},
    claims::Nonce,
    client_auth::{Authenticated, ClientAuthError, Method},
    config::{Client, GrantType, TokensOnLogout},
    params::{InvalidParams, Lists, Params},
    scope,
};

const EVENT: &str = "token";
const FOR_PEOPLE: &str =
    "openid and offline_access are for users, and a client is none; ask for other scopes";

/// Why there are no tokens. The texts are for the log.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
enum TokenError {
    #[error("{0}")]
    Params(#[from] InvalidParams),
    #[error("the parameter {0} is missing")]
    Missing(&'static str),
    #[error("the code verifier is malformed")]
    Verifier,
    #[error("the grant type is not supported")]
    UnsupportedGrant,
    #[error("{0}")]
    Client(#[from] ClientAuthError),
    #[error("the client may not use this grant type")]
    UnauthorizedClient,
    #[error("the code is not accepted: {0}")]
    Code(InvalidGrant),
    #[error("the refresh token is not accepted: {0}")]
    Refresh(InvalidGrant),
    #[error("{0}")]
    Exchange(#[from] ExchangeError),
    /// Anybody can claim to be a client that has no secret.
    #[error("the client proves nothing")]
    Unproven,
    #[error("{0}")]
    Scope(String),
    #[error("the resource is unknown, or none of those granted")]
    Target,
    #[error("the resources want different kinds of tokens")]
    MixedTargets,
    #[error("{0}")]
    Unavailable(#[from] Unavailable),
    #[error("{0}")]
    Keys(#[from] KeysError),
    #[error("{0}")]
    Sign(#[from] SignError),
}

impl From<MintError> for TokenError {
    fn from(error: MintError) -> Self {
        match error {
            MintError::Keys(why) => Self::Keys(why),
            MintError::Sign(why) => Self::Sign(why),
            MintError::Randomness(why) => Self::Unavailable(why.into()),
        }
    }
}

impl From<RedeemError> for TokenError {
    fn from(error: RedeemError) -> Self {
        match error {
            RedeemError::Invalid(why) => Self::Code(why),
            RedeemError::Target => Self::Target,
            RedeemError::Unavailable(why) => Self::Unavailable(why),
        }
    }
}

impl From<RefreshError> for TokenError {
    fn from(error: RefreshError) -> Self {
        match error {
            RefreshError::Invalid(why) => Self::Refresh(why),
            RefreshError::Scope => Self::Scope("more scopes are asked for than were granted".to_owned()),
            RefreshError::Target => Self::Target,
            RefreshError::Unavailable(why) => Self::Unavailable(why),
        }
    }
}

impl TokenError {
    /// What the client is told (RFC 6749 section 5.2).
    fn answer(&self) -> Answer {
        let (code, description) = match self {
            Self::Client(why) => return why.answer(),
            Self::Exchange(why) => return why.answer(),
            Self::Unproven => {
                return answer::oauth_error(StatusCode::UNAUTHORIZED, "invalid_client", "");
            }
            Self::Unavailable(_) | Self::Keys(KeysError::Unavailable(_)) => return answer::unavailable(),
            Self::Keys(_) | Self::Sign(_) => return answer::server_error(),
            Self::Params(why) => ("invalid_request", why.to_string()),
            Self::Missing(name) => ("invalid_request", format!("the parameter {name} is missing")),
            Self::Verifier => {
                ("invalid_request", "code_verifier has to be 43 to 128 letters, digits, and -._~".to_owned())
            }
            Self::UnsupportedGrant => (
                "unsupported_grant_type",
                "this grant type is not supported; see the metadata for those that are".to_owned(),
            ),
            Self::UnauthorizedClient => {
                ("unauthorized_client", "the client may not use this grant type".to_owned())
            }
            Self::Code(_) => ("invalid_grant", "the code is not valid".to_owned()),
            Self::Refresh(_) => ("invalid_grant", "the refresh token is not valid".to_owned()),
            Self::Scope(why) => ("invalid_scope", why.clone()),
            Self::Target => ("invalid_target", "the resource is unknown, or was not granted".to_owned()),
            Self::MixedTargets => (
                "invalid_target",
                "the resources want different kinds of tokens; ask for one at a time".to_owned(),
            ),
        };
        answer::oauth_error(StatusCode::BAD_REQUEST, code, &description)
    }

    const fn outcome(&self) -> Outcome {
        match self {
            Self::Unavailable(_)
            | Self::Keys(_)
            | Self::Sign(_)
            | Self::Client(ClientAuthError::Unavailable(_)) => Outcome::Error,
            Self::Exchange(why) => why.outcome(),
            _ => Outcome::Deny,
        }
    }
}

impl OAuthServer {
    pub(crate) async fn token(&self, call: &Call) -> Answer {
        let mut client_id = None;
        match self.grant(call, &mut client_id).await {
            Ok(document) => answer::json(StatusCode::OK, &document),
            Err(why) => {
                let event = if matches!(why, TokenError::Exchange(_)) { exchange::EVENT } else { EVENT };
                let line = Line::new(event, why.outcome()).reason(&why);
                match client_id {
                    Some(id) => line.client_id(id).write(call),
                    None => line.write(call),
                }
                why.answer()
            }
        }
    }

    /// What the request grants; tells who asks as soon as that is known.
    async fn grant<'a>(&'a self, call: &Call, client_id: &mut Option<&'a str>) -> Result<Value, TokenError> {
        let params = Params::of_form(call, Lists::Taken)?;
        let asked = params.get("grant_type").ok_or(TokenError::Missing("grant_type"))?;
        let grant = GrantType::ALL.into_iter().find(|grant| grant.name() == asked);
        let grant = grant.ok_or(TokenError::UnsupportedGrant)?;
        let caller = self.authenticate_client(call, &params).await?;
        *client_id = Some(&caller.client.id);
        if grant == GrantType::TokenExchange && caller.method == Method::None {
            return Err(TokenError::Unproven);
        }
        if !caller.client.may_use(grant) {
            return Err(TokenError::UnauthorizedClient);
        }
        // Before anything is used up: without keys there may be no answer.
        let keys = self.accounts.keys(call.now).await?;
        let made = match grant {
            GrantType::AuthorizationCode => self.code_grant(call, &params, caller, &keys).await,
            GrantType::RefreshToken => self.refresh_grant(call, &params, caller, &keys).await,
            GrantType::ClientCredentials => self.client_grant(call, &params, caller, &keys).await,
            GrantType::TokenExchange => self.exchange_grant(call, &params, caller, &keys).await,
        };
        // Who proves nothing may be guessing; who has a secret may be passing on what others guess.
        let guessed = matches!(made, Err(TokenError::Code(_) | TokenError::Refresh(_)));
        if guessed && caller.method == Method::None {
            self.throttle.failed(&caller.client.id, call.client, call.now);
        }
        made
    }

    async fn code_grant(
        &self,
        call: &Call,
        params: &Params,
        caller: Authenticated<'_>,
        keys: &KeyRing,
    ) -> Result<Value, TokenError> {
        let code = params.get("code").ok_or(TokenError::Missing("code"))?;
        let verifier = params.get("code_verifier");
        if !verifier.is_none_or(is_verifier) {
            return Err(TokenError::Verifier);
        }
        let audience = self.audience(params)?;
        let redemption = Redemption {
            client: &caller.client.id,
            redirect_uri: params.get("redirect_uri"),
            verifier,
            audience: audience.as_deref(),
        };
        let redeemed = self.accounts.redeem_code(code, &redemption, call.now).await?;
        self.end_if_signed_out(&redeemed, call).await?;
        self.granted(call, caller, (&redeemed, Nonce::Repeated), keys)
    }

    /// Where tokens end with the session that they come from, a code brings none after it either.
    async fn end_if_signed_out(&self, redeemed: &Redeemed, call: &Call) -> Result<(), TokenError> {
        let (TokensOnLogout::Revoke, Some(sid)) = (self.config.tokens_on_logout, &redeemed.login.session)
        else {
            return Ok(());
        };
        if self.accounts.is_session_open(sid, call.now).await? {
            return Ok(());
        }
        self.accounts.revoke_family(&redeemed.issued.token.family, call.now).await?;
        Err(TokenError::Code(InvalidGrant::Revoked))
    }

    async fn refresh_grant(
        &self,
        call: &Call,
        params: &Params,
        caller: Authenticated<'_>,
        keys: &KeyRing,
    ) -> Result<Value, TokenError> {
        let token = params.get("refresh_token").ok_or(TokenError::Missing("refresh_token"))?;
        let scopes = params.get("scope").map(asked_scopes).transpose()?;
        let audience = self.audience(params)?;
        let request = RefreshRequest {
            client: &caller.client.id,
            scopes: scopes.as_ref(),
            audience: audience.as_deref(),
            rules: caller.client.token_rules(),
        };
        let redeemed = self.accounts.refresh(token, &request, call.now).await?;
        self.granted(call, caller, (&redeemed, Nonce::LeftOut), keys)
    }

    async fn client_grant(
        &self,
        call: &Call,
        params: &Params,
        caller: Authenticated<'_>,
        keys: &KeyRing,
    ) -> Result<Value, TokenError> {
        if caller.method == Method::None {
            return Err(TokenError::UnauthorizedClient);
        }
        let scopes = match params.get("scope") {
            Some(text) => asked_scopes(text)?,
            None => caller.client.default_scopes.clone().filtered(|scope| !is_for_people(scope)),
        };
        let check = |scopes| scope::granted(&self.config, caller.client, scopes);
        let scopes = if scopes.is_empty() { Ok(scopes) } else { check(scopes) };
        let scopes = scopes.map_err(|why| TokenError::Scope(why.to_string()))?;
        if scopes.iter().any(is_for_people) {
            return Err(TokenError::Scope(FOR_PEOPLE.to_owned()));
        }
        let new = NewToken {
            client: caller.client.id.clone(),
            subject: Subject::Client { id: caller.client.id.clone() },
            scopes: scopes.clone(),
            audience: self.audience(params)?.unwrap_or_default(),
            rules: caller.client.token_rules(),
            login: LoginFacts::default(),
        };
        let issued = self.accounts.issue_token(new, call.now).await?;
        let redeemed = Redeemed { issued, scopes, login: LoginFacts::default(), user: None };
        self.granted(call, caller, (&redeemed, Nonce::LeftOut), keys)
    }

    /// The answer that hands out tokens (RFC 6749 section 5.1).
    fn granted(
        &self,
        call: &Call,
        Authenticated { client, method }: Authenticated<'_>,
        (redeemed, nonce): (&Redeemed, Nonce),
        keys: &KeyRing,
    ) -> Result<Value, TokenError> {
        let token = &redeemed.issued.token;
        let (access, life) = self.formed(redeemed, keys, call.now)?;
        let mut document = json!({
            "access_token": access.expose(),
            "token_type": "Bearer",
            "scope": token.scopes.to_string(),
        });
        if let Some(life) = life {
            answer::say(&mut document, "expires_in", life.as_secs());
        }
        if let Some(refresh) = &redeemed.issued.refresh {
            answer::say(&mut document, "refresh_token", refresh.expose().as_str());
        }
        if let (Some(user), true) = (&redeemed.user, token.scopes.contains("openid")) {
            let id_token = self.id_token((client, user), redeemed, (&access, nonce), (keys, call.now))?;
            answer::say(&mut document, "id_token", id_token.expose().as_str());
        }
        Line::new(EVENT, Outcome::Permit)
            .user(&token.subject.name())
            .client_id(&client.id)
            .authenticator(method.name())
            .credential(&token.name)
            .write(call);
        Ok(document)
    }

    /// The resources that a request names (RFC 8707 section 2), by either name; `None`: it names none.
    fn audience(&self, params: &Params) -> Result<Option<Vec<String>>, TokenError> {
        let mut named: Vec<String> = Vec::new();
        for uri in params.all("resource").chain(params.all("audience")) {
            if !named.iter().any(|one| one == uri) {
                named.push(uri.to_owned());
            }
        }
        match self.check_audience(&named) {
            Ok(()) if named.is_empty() => Ok(None),
            Ok(()) => Ok(Some(named)),
            Err(AudienceError::Unknown) => Err(TokenError::Target),
            Err(AudienceError::Mixed) => Err(TokenError::MixedTargets),
        }
    }

    /// Whether tokens can be asked for these resources: all are configured, and want the same kind of token.
    pub(crate) fn check_audience(&self, named: &[String]) -> Result<(), AudienceError> {
        let mut format = None;
        for uri in named {
            let resource = self.config.resources.iter().find(|resource| resource.uri == *uri);
            let resource = resource.ok_or(AudienceError::Unknown)?;
            if format.is_some_and(|format| format != resource.format) {
                return Err(AudienceError::Mixed);
            }
            format = Some(resource.format);
        }
        Ok(())
    }
}

/// Why there are no tokens for some resources: `invalid_target`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum AudienceError {
    #[error("there is no such resource")]
    Unknown,
    #[error("the resources want different kinds of tokens; ask for one at a time")]
    Mixed,
}

impl Client {
    /// Where its tokens depart from those of others.
    pub(crate) const fn token_rules(&self) -> TokenRules {
        TokenRules { access: self.access_token_max_age, inactivity: self.inactivity }
    }
}

fn asked_scopes(text: &str) -> Result<Scopes, TokenError> {
    Scopes::parse(text).map_err(|why| TokenError::Scope(why.to_string()))
}

fn is_for_people(scope: &str) -> bool {
    matches!(scope, "openid" | "offline_access")
}

/// RFC 7636 section 4.1.
fn is_verifier(text: &str) -> bool {
    (43..=128).contains(&text.len())
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~'))
}

#[cfg(test)]
mod tests;
