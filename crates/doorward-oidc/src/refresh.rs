//! Renewing tokens with a refresh token (RFC 6749 section 6, OIDC Core section 12).
//! A new ID token must be about the same subject, otherwise nothing at all is taken over.

use doorward_core::{Identity, SecretString, Timestamp, Tokens};
use doorward_jose::Claims;

use crate::{
    config::{Protocol, ProviderKind},
    discovery::Metadata,
    identify::IdentifyError,
    provider::{Provider, Shared},
    token_endpoint::{GrantForm, TokenRequestError},
    userinfo::UserinfoError,
    vendor::{Known, VendorError},
    verify::{Believed, IdTokenError},
};

/// What a refresh changes.
#[derive(Clone, Debug, PartialEq)]
pub struct Refreshed {
    /// The access token is new; the refresh token is new or the old one; the ID token is there only
    /// if a new one came, otherwise the old one stays.
    pub tokens: Tokens,
    /// When the new access token ends, if the provider said so.
    pub expires_on: Option<Timestamp>,
    /// Who the user is now; nothing: as before.
    pub identity: Option<Identity>,
}

/// Why a refresh changed nothing.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RefreshError {
    /// The refresh token is worth nothing any more (`invalid_grant`): the session cannot be refreshed again.
    #[error("the provider no longer accepts the refresh token: {0}")]
    Rejected(TokenRequestError),
    /// The provider could not be asked, failed, or does not know us as a client. Later may be better.
    #[error("the refresh did not work this time: {0}")]
    Transient(TokenRequestError),
    #[error("the refresh did not work this time: the provider's metadata are not known yet")]
    NotReady,
    #[error("the new id_token was not accepted: {0}")]
    NotVerified(#[from] IdTokenError),
    #[error("the new id_token is about another subject than the session")]
    OtherSubject,
    #[error("the new claims were not accepted: {0}")]
    Userinfo(UserinfoError),
    #[error("the new claims were not accepted: {0}")]
    Identify(#[from] IdentifyError),
    #[error("the user could not be read anew: {0}")]
    Vendor(#[from] VendorError),
}

impl RefreshError {
    /// The provider has said, in words that count, that this login is no more or is somebody else's. Everything else
    /// may be better later.
    pub const fn ends_the_session(&self) -> bool {
        match self {
            Self::Rejected(_) | Self::OtherSubject | Self::Identify(_) => true,
            Self::Vendor(error) => !error.is_passing(),
            Self::Transient(_) | Self::NotReady | Self::NotVerified(_) | Self::Userinfo(_) => false,
        }
    }
}

impl Provider {
    /// Renews a session by what `tokens` can do: the refresh token is used, or, at a provider without, the user is read
    /// anew. Nothing if there is no way to renew it.
    pub async fn renew(
        &self,
        tokens: &Tokens,
        current: &Identity,
        now: Timestamp,
    ) -> Option<Result<Refreshed, RefreshError>> {
        match (self.shared().config.kind.protocol(), &tokens.refresh) {
            (_, Some(refresh_token)) => Some(self.refresh(refresh_token, current, now).await),
            (Protocol::OAuth2, None) => Some(self.reread(tokens, current).await),
            (Protocol::OpenIdConnect, None) => None,
        }
    }

    /// Asks the provider's API anew who the user of an access token is, and in which groups.
    pub(crate) async fn reread(
        &self,
        tokens: &Tokens,
        current: &Identity,
    ) -> Result<Refreshed, RefreshError> {
        let shared = self.shared();
        let metadata = shared.metadata().ok_or(RefreshError::NotReady)?;
        let identity = shared.described(tokens, &metadata).await?;
        if !is_same_user(&identity, current) {
            return Err(RefreshError::OtherSubject);
        }
        Ok(Refreshed { tokens: tokens.clone(), expires_on: None, identity: Some(identity) })
    }

    /// Renews the tokens of `current`'s session. `now` decides what has expired.
    pub async fn refresh(
        &self,
        refresh_token: &SecretString,
        current: &Identity,
        now: Timestamp,
    ) -> Result<Refreshed, RefreshError> {
        let shared = self.shared();
        let metadata = shared.metadata().ok_or(RefreshError::NotReady)?;
        let fields = [("grant_type", "refresh_token"), ("refresh_token", refresh_token.expose())];
        let form = GrantForm { fields: &fields, secrets: &[refresh_token] };
        let endpoint = shared.token_endpoint(&metadata, now).map_err(RefreshError::Transient)?;
        let answer = endpoint.request(form).await.map_err(|error| {
            if error.is_invalid_grant() {
                RefreshError::Rejected(error)
            } else {
                RefreshError::Transient(error)
            }
        })?;
        let identity = match &answer.id {
            Some(id) => {
                let believed = shared.id_token(id, &metadata, now).await?;
                shared.renewed_identity(&believed, &answer.access, current, (&metadata, now)).await?
            }
            None => shared.renewed_without_id_token(&answer.access, current, (&metadata, now)).await?,
        };
        Ok(Refreshed {
            tokens: Tokens {
                access: Some(answer.access),
                id: answer.id,
                refresh: answer.refresh.or_else(|| Some(refresh_token.clone())),
            },
            expires_on: answer.expires_in.map(|life| now.saturating_add(life)),
            identity,
        })
    }
}

/// Users go by their names, or by their addresses where the provider gives no names.
fn is_same_user(new: &Identity, current: &Identity) -> bool {
    if new.user.is_empty() || current.user.is_empty() {
        new.email == current.email
    } else {
        new.user == current.user
    }
}

/// At a fault of the provider's API what was known last goes on to count.
fn or_last_known(read: Result<Identity, VendorError>) -> Result<Option<Identity>, VendorError> {
    match read {
        Ok(identity) => Ok(Some(identity)),
        Err(reason) if reason.is_passing() => {
            tracing::warn!(%reason, "groups could not be read at a refresh, the identity stays as it was");
            Ok(None)
        }
        Err(reason) => Err(reason),
    }
}

impl Shared {
    async fn renewed_identity(
        &self,
        believed: &Believed,
        access: &SecretString,
        current: &Identity,
        at: (&Metadata, Timestamp),
    ) -> Result<Option<Identity>, RefreshError> {
        let user = self.claim_names.user(&believed.claims)?;
        let profile = match self.profile(&believed.claims, access, at).await {
            Ok(profile) => profile,
            // The tokens are good and the refresh token may be used up: keep them and the identity as it was.
            Err(reason) if reason.is_passing() && user == current.user => {
                tracing::warn!(%reason, "userinfo could not be asked at a refresh, the identity stays as it was");
                return Ok(self.with_renewed_roles(access, current, at).await);
            }
            Err(reason) => return Err(RefreshError::Userinfo(reason)),
        };
        let mut identity = self.claim_names.identity(&believed.claims, profile.as_ref())?;
        if !is_same_user(&identity, current) {
            return Err(RefreshError::OtherSubject);
        }
        if let Some(roles) = self.roles(access, &identity.user, at).await {
            roles.append_to(&mut identity);
        }
        let (claims, profile, (metadata, now)) = (Some(&believed.claims), profile.as_ref(), at);
        let known = Known { claims, profile, access, metadata, now };
        Ok(or_last_known(self.enrich(identity, known).await)?)
    }

    /// Roles and groups may have changed although no new ID token says so.
    async fn renewed_without_id_token(
        &self,
        access: &SecretString,
        current: &Identity,
        at: (&Metadata, Timestamp),
    ) -> Result<Option<Identity>, RefreshError> {
        let (metadata, now) = at;
        let profile = match self.config.kind {
            ProviderKind::Cidaas => {
                let about = Claims::from_iter([("sub".to_owned(), current.user.clone().into())]);
                match self.profile(&about, access, at).await {
                    Ok(profile) => profile,
                    Err(reason) if reason.is_passing() => {
                        tracing::warn!(%reason, "userinfo could not be asked at a refresh, the groups stay");
                        return Ok(None);
                    }
                    Err(reason) => return Err(RefreshError::Userinfo(reason)),
                }
            }
            ProviderKind::Google(_) => None,
            _ => return Ok(self.with_renewed_roles(access, current, at).await),
        };
        let known = Known { claims: None, profile: profile.as_ref(), access, metadata, now };
        Ok(or_last_known(self.enrich(current.clone(), known).await)?)
    }

    /// Without a new ID token only Keycloak's roles can have changed: they are in the access token.
    async fn with_renewed_roles(
        &self,
        access: &SecretString,
        current: &Identity,
        at: (&Metadata, Timestamp),
    ) -> Option<Identity> {
        if self.config.kind != ProviderKind::KeycloakOidc {
            return None;
        }
        let roles = self.roles(access, &current.user, at).await?;
        let mut identity = current.clone();
        roles.replace_in(&mut identity);
        Some(identity)
    }
}
