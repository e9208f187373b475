//! From a matched callback to an identity: the code is redeemed, the ID token verified, claims are read.

use doorward_core::{Identity, SecretString, Timestamp, Tokens};
use doorward_jose::{AudienceMismatch, ClaimError, Claims, claims_check::instant, jws::looks_like_jws};

use crate::{
    config::{ProfileClaims, Protocol, ProviderKind},
    discovery::Metadata,
    identify::{IdentifyError, subject},
    login::MatchedCallback,
    provider::{Provider, Shared},
    roles::Roles,
    strength::WeakLogin,
    token_endpoint::{GrantForm, TokenAnswer, TokenRequestError},
    userinfo::UserinfoError,
    vendor::{Known, VendorError, gitlab_userinfo},
    verify::{Believed, IdTokenError, unverified},
};

/// What a login (or a bearer token) yields.
#[derive(Clone, Debug, PartialEq)]
pub struct Grant {
    pub tokens: Tokens,
    pub identity: Identity,
    /// When the access token ends, if the provider said so.
    pub expires_on: Option<Timestamp>,
}

/// Why a callback did not become a login. `Display` is for the log; a browser gets [`Self::public`].
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RedeemError {
    #[error("the provider's metadata are not known yet")]
    NotReady,
    #[error("the callback carries no code")]
    NoCode,
    #[error("the code could not be redeemed: {0}")]
    Token(#[from] TokenRequestError),
    #[error("the token endpoint gave no id_token")]
    NoIdToken,
    #[error("the id_token was not accepted: {0}")]
    IdToken(#[from] IdTokenError),
    #[error(transparent)]
    TooWeak(#[from] WeakLogin),
    /// The times of an ID token that is genuine do not fit ours. `ahead` is how many seconds our clock is before (behind,
    /// if negative) the time at which the token says it was issued.
    #[error("the id_token was not accepted: {error}{}", measured(*ahead))]
    Clock { error: ClaimError, ahead: Option<i64> },
    #[error("claims missing in the id_token could not be fetched: {0}")]
    Userinfo(#[from] UserinfoError),
    #[error(transparent)]
    Identify(#[from] IdentifyError),
    #[error(transparent)]
    Vendor(#[from] VendorError),
}

fn measured(ahead: Option<i64>) -> String {
    match ahead {
        Some(ahead @ 0..) => format!("; our clock is {ahead} s ahead of its iat"),
        Some(behind) => format!("; our clock is {} s behind its iat", behind.unsigned_abs()),
        None => "; it has no iat to compare with".to_owned(),
    }
}

/// What has to be mended where a login failed although the browser did all it should.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RedeemFault {
    Clock,
    Audience,
    Issuer,
    Nonce,
    RedirectUri,
    /// The provider does not know us, or not by this secret.
    Client,
    Pkce,
    /// The code is used up, too old, or of another login.
    Code,
    Unreachable,
    EmailMissing,
    EmailUnverified,
    /// The provider's own lists (organisations, teams and the like) do not name the account.
    NotAdmitted,
    /// The login was not as strong or fresh as the configuration demands.
    TooWeak,
    /// Anything else about the provider's tokens.
    Token,
}

impl RedeemError {
    /// What has to be mended.
    pub fn fault(&self) -> RedeemFault {
        match self {
            Self::Clock { .. } => RedeemFault::Clock,
            Self::Token(TokenRequestError::Refused { status, error, description }) => {
                let words = format!("{error} {}", description.as_deref().unwrap_or_default());
                refused(*status, error, &words)
            }
            Self::Token(
                TokenRequestError::Failed { status: 401 } | TokenRequestError::ClientSecretFile { .. },
            ) => RedeemFault::Client,
            Self::IdToken(IdTokenError::Claims(ClaimError::WrongIssuer { .. })) => RedeemFault::Issuer,
            Self::IdToken(IdTokenError::Claims(ClaimError::NoAudience { .. })) => RedeemFault::Audience,
            Self::NoCode => RedeemFault::Code,
            other => match other.public() {
                PublicFailure::AudienceMismatch { .. } => RedeemFault::Audience,
                PublicFailure::NonceMismatch => RedeemFault::Nonce,
                PublicFailure::EmailMissing => RedeemFault::EmailMissing,
                PublicFailure::EmailUnverified => RedeemFault::EmailUnverified,
                PublicFailure::ProviderUnreachable => RedeemFault::Unreachable,
                PublicFailure::NotAdmitted => RedeemFault::NotAdmitted,
                PublicFailure::TooWeak => RedeemFault::TooWeak,
                PublicFailure::ProviderRefused(_)
                | PublicFailure::TokenInvalid
                | PublicFailure::CodeMissing => RedeemFault::Token,
            },
        }
    }
}

/// What a provider complains about that refuses a request, by its words (RFC 6749 section 5.2 has too few of them).
fn refused(status: u16, error: &str, words: &str) -> RedeemFault {
    match wrong_with_login(words) {
        Some(fault) => fault,
        None if error == "invalid_client" || error == "unauthorized_client" => RedeemFault::Client,
        None if error == "invalid_grant" => RedeemFault::Code,
        None if status == 401 => RedeemFault::Client,
        None => RedeemFault::Token,
    }
}

/// Whether a provider's words are about the redirect URI or about PKCE. They are for people; nothing but words for people
/// may depend on it.
pub fn wrong_with_login(words: &str) -> Option<RedeemFault> {
    let words = words.to_ascii_lowercase();
    let says = |parts: &[&str]| parts.iter().any(|part| words.contains(part));
    if says(&["redirect_uri", "redirect uri", "redirect url", "redirect_url", "reply url"]) {
        Some(RedeemFault::RedirectUri)
    } else if says(&["pkce", "code_challenge", "code challenge", "code_verifier", "code verifier"]) {
        Some(RedeemFault::Pkce)
    } else {
        None
    }
}

/// What a browser may learn about a failed login.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PublicFailure {
    /// The provider said no, in these words (printable, without secrets).
    ProviderRefused(String),
    /// The token was meant for another client.
    AudienceMismatch {
        claim: String,
        values: Vec<String>,
        expected: Vec<String>,
        mend: String,
    },
    /// The token answers another login than this browser's.
    NonceMismatch,
    EmailMissing,
    EmailUnverified,
    ProviderUnreachable,
    TokenInvalid,
    /// The user is not in the organisation, team or other circle that the configuration asks the provider for.
    NotAdmitted,
    /// The login was not as strong or as fresh as this site demands.
    TooWeak,
    /// The callback itself is incomplete.
    CodeMissing,
}

impl RedeemError {
    /// The provider was asked, and the code or password is worth nothing to it.
    pub fn is_invalid_grant(&self) -> bool {
        matches!(self, Self::Token(error) if error.is_invalid_grant())
    }

    /// All that a browser may learn.
    pub fn public(&self) -> PublicFailure {
        match self {
            Self::NoCode => PublicFailure::CodeMissing,
            Self::NotReady => PublicFailure::ProviderUnreachable,
            Self::TooWeak(_) => PublicFailure::TooWeak,
            Self::Token(error) => public_token_failure(error),
            Self::IdToken(error) => public_id_token_failure(error),
            Self::Userinfo(error) if error.is_passing() => PublicFailure::ProviderUnreachable,
            Self::NoIdToken
            | Self::Clock { .. }
            | Self::Userinfo(_)
            | Self::Identify(IdentifyError::SubjectMissing | IdentifyError::NotText { .. }) => {
                PublicFailure::TokenInvalid
            }
            Self::Identify(IdentifyError::EmailMissing)
            | Self::Vendor(VendorError::Identify(IdentifyError::EmailMissing)) => PublicFailure::EmailMissing,
            Self::Identify(IdentifyError::EmailUnverified)
            | Self::Vendor(VendorError::Identify(IdentifyError::EmailUnverified)) => {
                PublicFailure::EmailUnverified
            }
            Self::Vendor(VendorError::Restricted(_)) => PublicFailure::NotAdmitted,
            Self::Vendor(error) if error.is_passing() => PublicFailure::ProviderUnreachable,
            Self::Vendor(_) => PublicFailure::TokenInvalid,
        }
    }
}

fn public_token_failure(error: &TokenRequestError) -> PublicFailure {
    match error {
        TokenRequestError::Refused { error, description, .. } => {
            PublicFailure::ProviderRefused(match description {
                Some(description) => format!("{error}: {description}"),
                None => error.clone(),
            })
        }
        TokenRequestError::Malformed(_) => PublicFailure::TokenInvalid,
        TokenRequestError::Http(_)
        | TokenRequestError::Failed { .. }
        | TokenRequestError::ClientSecretFile { .. }
        | TokenRequestError::AssertionFile { .. }
        | TokenRequestError::Assertion(_)
        | TokenRequestError::NoRedeemUrl => PublicFailure::ProviderUnreachable,
    }
}

fn public_id_token_failure(error: &IdTokenError) -> PublicFailure {
    match error {
        IdTokenError::Claims(ClaimError::Audience(mismatch)) => {
            let AudienceMismatch { claim, values, expected, mend } = mismatch.clone();
            PublicFailure::AudienceMismatch { claim, values, expected, mend }
        }
        IdTokenError::Claims(ClaimError::NoNonce | ClaimError::WrongNonce) => PublicFailure::NonceMismatch,
        IdTokenError::KeysUnavailable { .. } => PublicFailure::ProviderUnreachable,
        IdTokenError::Claims(_) | IdTokenError::Signature(_) | IdTokenError::WrongType(_) => {
            PublicFailure::TokenInvalid
        }
    }
}

impl Provider {
    /// Redeems the code of a matched callback. `redirect_uri` must be the one the login began with;
    /// `now` decides what has expired.
    pub async fn redeem(
        &self,
        callback: MatchedCallback,
        redirect_uri: &str,
        now: Timestamp,
    ) -> Result<Grant, RedeemError> {
        if callback.code.expose().is_empty() {
            return Err(RedeemError::NoCode);
        }
        let shared = self.shared();
        let metadata = shared.metadata().ok_or(RedeemError::NotReady)?;
        let mut fields = vec![
            ("grant_type", "authorization_code"),
            ("code", callback.code.expose()),
            ("redirect_uri", redirect_uri),
        ];
        let mut secrets = vec![&callback.code];
        if let Some(verifier) = &callback.verifier {
            fields.push(("code_verifier", verifier.expose()));
            secrets.push(verifier);
        }
        if let Some(resource) = Shared::resource(&shared.config, &metadata) {
            fields.push(("resource", resource));
        }
        let form = GrantForm { fields: &fields, secrets: &secrets };
        let answer = shared.token_endpoint(&metadata, now)?.request(form).await?;
        shared.grant(answer, Some(&callback.nonce_hash), (&metadata, now)).await
    }

    /// Signs a user in by a password that the provider looks at (RFC 6749 section 4.3). There is no browser, and so neither
    /// state nor nonce: only for programs, and only where the provider leaves no other way.
    pub async fn sign_in(
        &self,
        user: &str,
        password: &SecretString,
        now: Timestamp,
    ) -> Result<Grant, RedeemError> {
        let shared = self.shared();
        let metadata = shared.metadata().ok_or(RedeemError::NotReady)?;
        let fields = [
            ("grant_type", "password"),
            ("username", user),
            ("password", password.expose()),
            ("scope", &shared.config.scope),
        ];
        let form = GrantForm { fields: &fields, secrets: &[password] };
        let answer = shared.token_endpoint(&metadata, now)?.request(form).await?;
        shared.grant(answer, None, (&metadata, now)).await
    }
}

impl Shared {
    /// Whom the tokens are about. With a nonce, the ID token has to be that of the login.
    async fn grant(
        &self,
        answer: TokenAnswer,
        nonce: Option<&str>,
        (metadata, now): (&Metadata, Timestamp),
    ) -> Result<Grant, RedeemError> {
        if self.config.kind.protocol() == Protocol::OAuth2 {
            // Nothing says how strong the login was.
            self.config.strength.check(&Claims::new(), now)?;
            let tokens = Tokens { access: Some(answer.access), id: None, refresh: None };
            let identity = self.described(&tokens, metadata).await?;
            return Ok(Grant { tokens, identity, expires_on: None });
        }
        let id = answer.id.ok_or(RedeemError::NoIdToken)?;
        let believed = self.id_token(&id, metadata, now).await;
        let Believed { claims, .. } = believed.map_err(|error| of_clocks(error, &id, now))?;
        if let Some(nonce) = nonce {
            self.verifier.nonce(&claims, nonce)?;
        }
        self.config.strength.check(&claims, now)?;
        subject(&claims)?;
        let profile = self.profile(&claims, &answer.access, (metadata, now)).await?;
        let mut identity = self.claim_names.identity(&claims, profile.as_ref())?;
        if let Some(roles) = self.roles(&answer.access, &identity.user, (metadata, now)).await {
            roles.append_to(&mut identity);
        }
        let (claims, profile) = (Some(&claims), profile.as_ref());
        let known = Known { claims, profile, access: &answer.access, metadata, now };
        let identity = self.enrich(identity, known).await?;
        let expires_on = answer.expires_in.map(|life| now.saturating_add(life));
        let tokens = Tokens { access: Some(answer.access), id: Some(id), refresh: answer.refresh };
        Ok(Grant { tokens, identity, expires_on })
    }

    /// The userinfo claims, if the ID token lacks something and the configuration allows to ask; those of GitLab always.
    pub(crate) async fn profile(
        &self,
        id_claims: &Claims,
        access: &SecretString,
        (metadata, now): (&Metadata, Timestamp),
    ) -> Result<Option<Claims>, UserinfoError> {
        let at_gitlab =
            metadata.login.as_ref().filter(|_| matches!(self.config.kind, ProviderKind::GitLab(_)));
        let at_gitlab = at_gitlab.map(gitlab_userinfo);
        let Some(url) = at_gitlab.as_ref().or(metadata.profile.as_ref()) else { return Ok(None) };
        let is_asked =
            self.config.profile_claims == ProfileClaims::Fetch && !self.claim_names.are_all_in(id_claims);
        if !is_asked && !self.demands_profile() {
            return Ok(None);
        }
        self.userinfo(url, (access, id_claims), (metadata, now)).await.map(Some)
    }

    /// The roles of a Keycloak access token about `user`; nothing if there are none to be believed.
    pub(crate) async fn roles(
        &self,
        access: &SecretString,
        user: &str,
        (metadata, now): (&Metadata, Timestamp),
    ) -> Option<Roles> {
        if self.config.kind != ProviderKind::KeycloakOidc {
            return None;
        }
        if !looks_like_jws(access.expose()) {
            tracing::warn!("the access token is opaque, so no roles were read");
            return None;
        }
        let claims = match self.verifier.access_token(access.expose(), self.means(metadata), now).await {
            Ok(claims) => claims,
            Err(reason) => {
                tracing::warn!(%reason, "the access token was not believed, so no roles were read");
                return None;
            }
        };
        if claims.get("sub").is_some_and(|subject| subject.as_str() != Some(user)) {
            tracing::warn!("the access token is about somebody else, so no roles were read");
            return None;
        }
        Some(warned(Roles::read(&claims)))
    }
}

/// Measures by how much the clocks differ, if the times of a token are all that is wrong with it.
fn of_clocks(error: IdTokenError, token: &SecretString, now: Timestamp) -> RedeemError {
    let IdTokenError::Claims(
        error @ (ClaimError::Expired | ClaimError::NotYetValid | ClaimError::IssuedInFuture),
    ) = error
    else {
        return error.into();
    };
    // Its signature was found good before its times were looked at.
    let issued = unverified(token.expose()).and_then(|claims| instant(&claims, "iat").ok().flatten());
    RedeemError::Clock { error, ahead: issued.map(|issued| now.seconds - issued.seconds) }
}

/// Says so if a token's roles were not as expected.
pub(crate) fn warned(roles: Roles) -> Roles {
    if roles.was_malformed {
        tracing::warn!("some roles in the access token are not lists of texts and were left out");
    }
    roles
}
