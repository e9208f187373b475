//! Believing a token of the provider: signature first, then what its claims say.

use doorward_core::Timestamp;
use doorward_jose::{
    Algorithm, AudienceRule, ClaimError, Claims, VerifiedClaims, VerifyError,
    claims_check::{check_issuer, check_nonce, check_times},
};

use crate::{
    config::{Config, IssuerCheck, NonceCheck, ProviderKind},
    jwks::{KeyCache, KeyFetch},
    vendor::Tenants,
};

/// Why a token of the provider was not believed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum IdTokenError {
    #[error(transparent)]
    Signature(#[from] VerifyError),
    #[error(transparent)]
    Claims(#[from] ClaimError),
    #[error("the token is of the type {0:?}, which does not identify anybody")]
    WrongType(String),
    #[error("the provider's keys are not available: {reason}")]
    KeysUnavailable { reason: String },
}

/// What a token must fulfil, fixed by the configuration.
#[derive(Debug)]
pub(crate) struct Verifier {
    issuers: Issuers,
    audience: AudienceRule,
    nonce: NonceCheck,
    keys: KeyCache,
}

/// Whose tokens are believed.
#[derive(Debug)]
enum Issuers {
    Any,
    One(String),
    Tenants(Tenants),
}

impl Issuers {
    fn new(config: &Config) -> Self {
        let only = (config.issuer_check == IssuerCheck::Exact).then(|| config.issuer.clone());
        match (&config.kind, only) {
            (ProviderKind::EntraId(settings), only) => {
                Self::Tenants(Tenants::new(&config.issuer, only, settings))
            }
            (_, Some(only)) => Self::One(only),
            (_, None) => Self::Any,
        }
    }
}

/// The provider's side of a verification.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Means<'a> {
    pub(crate) algorithms: &'a [Algorithm],
    pub(crate) fetch: KeyFetch<'a>,
}

/// What a token says of itself, whoever made it.
pub(crate) fn unverified(token: &str) -> Option<Claims> {
    let json = base64_simd::URL_SAFE_NO_PAD.decode_to_vec(token.split('.').nth(1)?).ok()?;
    serde_json::from_slice(&json).ok()
}

impl Verifier {
    pub(crate) fn new(config: &Config, keys: KeyCache) -> Self {
        Self {
            issuers: Issuers::new(config),
            audience: AudienceRule::new(&config.audience_claims, &config.client_id, &config.extra_audiences),
            nonce: config.nonce,
            keys,
        }
    }

    pub(crate) const fn keys(&self) -> &KeyCache {
        &self.keys
    }

    /// An ID token: signature, type, issuer, times, audience.
    pub(crate) async fn id_token(
        &self,
        token: &str,
        means: Means<'_>,
        now: Timestamp,
    ) -> Result<Believed, IdTokenError> {
        let verified = self.signed(token, means).await?;
        // The second is what a gateway signs for applications behind it.
        if let Some(name @ ("logout+jwt" | "gw-id+jwt")) = verified.token_type() {
            return Err(IdTokenError::WrongType(name.to_owned()));
        }
        self.issuer(verified.claims())?;
        let expires_on = check_times(verified.claims(), now)?;
        self.audience.check(verified.claims())?;
        Ok(Believed { claims: verified.into_claims(), expires_on })
    }

    /// An access token of this issuer. Its audience is the resource it is for, not we.
    pub(crate) async fn access_token(
        &self,
        token: &str,
        means: Means<'_>,
        now: Timestamp,
    ) -> Result<Claims, IdTokenError> {
        let verified = self.signed(token, means).await?;
        self.issuer(verified.claims())?;
        check_times(verified.claims(), now)?;
        Ok(verified.into_claims())
    }

    /// A signed userinfo answer (OIDC Core section 5.3.2). It names its issuer and audience
    /// or leaves them out.
    pub(crate) async fn userinfo(&self, token: &str, means: Means<'_>) -> Result<Claims, IdTokenError> {
        let verified = self.signed(token, means).await?;
        if verified.claims().contains_key("iss") {
            self.issuer(verified.claims())?;
        }
        if verified.claims().contains_key("aud") {
            self.audience.check(verified.claims())?;
        }
        Ok(verified.into_claims())
    }

    /// Whether the token answers the login that sent `expected`.
    pub(crate) fn nonce(&self, claims: &Claims, expected: &str) -> Result<(), IdTokenError> {
        match (self.nonce, check_nonce(claims, expected)) {
            (NonceCheck::Off, _) | (NonceCheck::IfPresent, Err(ClaimError::NoNonce)) => Ok(()),
            (NonceCheck::Required | NonceCheck::IfPresent, outcome) => Ok(outcome?),
        }
    }

    /// A token of this issuer, whatever it is for: signature and issuer alone.
    pub(crate) async fn of_issuer(
        &self,
        token: &str,
        means: Means<'_>,
    ) -> Result<VerifiedClaims, IdTokenError> {
        let verified = self.signed(token, means).await?;
        self.issuer(verified.claims())?;
        Ok(verified)
    }

    /// Refuses a token that calls itself another issuer's, before any key is fetched for it. Proves nothing about
    /// other tokens: what cannot be read is left for verification to refuse.
    pub(crate) fn names_us(&self, token: &str) -> Result<(), ClaimError> {
        unverified(token).map_or(Ok(()), |claims| self.issuer(&claims))
    }

    async fn signed(&self, token: &str, means: Means<'_>) -> Result<VerifiedClaims, IdTokenError> {
        self.keys.verify(token, means.algorithms, means.fetch).await
    }

    fn issuer(&self, claims: &Claims) -> Result<(), ClaimError> {
        match &self.issuers {
            Issuers::Any => Ok(()),
            Issuers::One(expected) => check_issuer(claims, expected),
            Issuers::Tenants(tenants) => tenants.check(claims),
        }
    }
}

/// The claims of an ID token that passed every check but the nonce.
#[derive(Debug)]
pub(crate) struct Believed {
    pub(crate) claims: Claims,
    pub(crate) expires_on: Timestamp,
}
