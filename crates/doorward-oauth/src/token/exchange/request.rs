//! What a client asks to have exchanged (RFC 8693 section 2.1).

use doorward_accounts::Scopes;
use doorward_core::SecretString;

use super::{ExchangeError, Part};
use crate::params::Params;

/// What kind of token something is, or shall be (RFC 8693 section 3).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum TokenType {
    Access,
    Jwt,
    Id,
    Refresh,
}

impl TokenType {
    const ALL: [Self; 4] = [Self::Access, Self::Jwt, Self::Id, Self::Refresh];

    /// The name on the wire.
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Access => "urn:ietf:params:oauth:token-type:access_token",
            Self::Jwt => "urn:ietf:params:oauth:token-type:jwt",
            Self::Id => "urn:ietf:params:oauth:token-type:id_token",
            Self::Refresh => "urn:ietf:params:oauth:token-type:refresh_token",
        }
    }

    fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|known| known.name() == name)
    }
}

/// A token, and what the client says it is.
#[derive(Clone, Debug)]
pub(super) struct Presented {
    pub(super) token: SecretString,
    pub(super) kind: TokenType,
}

/// The parameters of an exchange, each by itself as it has to be.
#[derive(Debug)]
pub(super) struct ExchangeRequest {
    pub(super) subject: Presented,
    pub(super) actor: Option<Presented>,
    /// What the result shall be: not a refresh token.
    pub(super) requested: TokenType,
    /// Whom it shall be for, by either name.
    pub(super) audience: Vec<String>,
    pub(super) scopes: Option<Scopes>,
}

impl ExchangeRequest {
    pub(super) fn read(params: &Params) -> Result<Self, ExchangeError> {
        let subject = presented(params, Part::Subject)?.ok_or(ExchangeError::Missing("subject_token"))?;
        let actor = presented(params, Part::Actor)?;
        // A refresh token says what somebody may get, and not who is there.
        if actor.as_ref().is_some_and(|actor| actor.kind == TokenType::Refresh) {
            return Err(ExchangeError::Type("actor_token_type"));
        }
        let requested = match params.get("requested_token_type").map(TokenType::parse) {
            None => TokenType::Access,
            Some(Some(kind)) if kind != TokenType::Refresh => kind,
            Some(_) => return Err(ExchangeError::Type("requested_token_type")),
        };
        let mut audience: Vec<String> = Vec::new();
        for one in params.all("audience").chain(params.all("resource")) {
            if !audience.iter().any(|known| known == one) {
                audience.push(one.to_owned());
            }
        }
        let scopes = params.get("scope").map(Scopes::parse).transpose();
        let scopes = scopes.map_err(|why| ExchangeError::Scope(why.to_string()))?;
        Ok(Self { subject, actor, requested, audience, scopes })
    }
}

/// A token with its type: both, or neither.
fn presented(params: &Params, part: Part) -> Result<Option<Presented>, ExchangeError> {
    let (token, kind) = part.parameters();
    match (params.get(token), params.get(kind)) {
        (None, None) => Ok(None),
        (None, Some(_)) => Err(ExchangeError::Missing(token)),
        (Some(_), None) => Err(ExchangeError::Missing(kind)),
        (Some(token), Some(name)) => {
            let kind = TokenType::parse(name).ok_or(ExchangeError::Type(kind))?;
            Ok(Some(Presented { token: token.into(), kind }))
        }
    }
}
