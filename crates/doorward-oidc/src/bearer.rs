//! A token that a client of ours presents by itself: an ID token of the provider for our audience.

use doorward_core::{SecretString, Timestamp, Tokens};

use crate::{
    config::{Protocol, ProviderKind},
    identify::IdentifyError,
    provider::{Provider, not_ready},
    redeem::{Grant, warned},
    roles::Roles,
    verify::{Believed, IdTokenError},
};

/// Why a presented token identifies nobody.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BearerError {
    #[error(transparent)]
    Token(#[from] IdTokenError),
    #[error(transparent)]
    Identify(#[from] IdentifyError),
    #[error("the provider has no keys, so tokens of it cannot be verified")]
    NotVerifiable,
}

impl Provider {
    /// Verifies a presented token like an ID token, without a nonce and without asking userinfo.
    /// The grant ends when the token does. A token that names another issuer costs no call to this one.
    pub async fn verify_bearer(&self, token: &SecretString, now: Timestamp) -> Result<Grant, BearerError> {
        let shared = self.shared();
        if shared.config.kind.protocol() == Protocol::OAuth2 {
            return Err(BearerError::NotVerifiable);
        }
        shared.verifier.names_us(token.expose()).map_err(IdTokenError::from)?;
        let metadata = shared.metadata().ok_or_else(not_ready)?;
        let Believed { claims, expires_on } = shared.id_token(token, &metadata, now).await?;
        let mut identity = shared.claim_names.bearer_identity(&claims)?;
        if shared.config.kind == ProviderKind::KeycloakOidc {
            warned(Roles::read(&claims)).append_to(&mut identity);
        }
        let tokens = Tokens { access: Some(token.clone()), id: Some(token.clone()), refresh: None };
        Ok(Grant { tokens, identity, expires_on: Some(expires_on) })
    }
}

#[cfg(test)]
mod tests;
