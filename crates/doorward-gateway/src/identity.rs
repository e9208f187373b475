//! A signed statement of who asks, for one request and a minute (norm B5.7). Besides our own shape there are those of
//! Google IAP, Cloudflare Access and Pomerium, so that applications made for these need no change but where the keys are.
//!
//! Whatever the shape, the `typ` is [`IDENTITY_TYPE`], which no door takes for a bearer token.

use std::{sync::Arc, time::Duration};

use doorward_core::{Principal, Timestamp};
use doorward_jose::{Algorithm, Claims};
use http::{HeaderName, header::AUTHORIZATION};
use serde_json::json;

use crate::{
    claims::{InvalidClaims, Selection, say, subject},
    credential::{Bearer, CredentialFault, Made},
    issuer::{IDENTITY_TYPE, Issuer, MintError, ends, sign},
};

const X_GATEWAY_IDENTITY: HeaderName = HeaderName::from_static("x-gateway-identity");
const X_GOOG_IAP_JWT_ASSERTION: HeaderName = HeaderName::from_static("x-goog-iap-jwt-assertion");
const CF_ACCESS_JWT_ASSERTION: HeaderName = HeaderName::from_static("cf-access-jwt-assertion");
const X_POMERIUM_JWT_ASSERTION: HeaderName = HeaderName::from_static("x-pomerium-jwt-assertion");

/// Headers by which applications believe to know who asks. No client may send them to a route of the gateway, whatever
/// the credential of the route.
pub const IDENTITY_HEADERS: [HeaderName; 8] = [
    X_GATEWAY_IDENTITY,
    X_GOOG_IAP_JWT_ASSERTION,
    CF_ACCESS_JWT_ASSERTION,
    X_POMERIUM_JWT_ASSERTION,
    HeaderName::from_static("x-goog-authenticated-user-email"),
    HeaderName::from_static("x-goog-authenticated-user-id"),
    HeaderName::from_static("cf-access-authenticated-user-email"),
    HeaderName::from_static("x-pomerium-claim-email"),
];

/// For how long a statement is good.
const LIFE: Duration = Duration::from_mins(1);

/// Whose shape a statement has.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum IdentityStyle {
    #[default]
    Gateway,
    Iap,
    CloudflareAccess,
    Pomerium,
}

impl IdentityStyle {
    /// The header that it stands in, where no other is configured.
    pub const fn header(self) -> HeaderName {
        match self {
            Self::Gateway => X_GATEWAY_IDENTITY,
            Self::Iap => X_GOOG_IAP_JWT_ASSERTION,
            Self::CloudflareAccess => CF_ACCESS_JWT_ASSERTION,
            Self::Pomerium => X_POMERIUM_JWT_ASSERTION,
        }
    }

    /// What applications made for it expect to be signed with.
    pub const fn algorithm(self) -> Algorithm {
        match self {
            Self::CloudflareAccess => Algorithm::Rs256,
            Self::Gateway | Self::Iap | Self::Pomerium => Algorithm::Es256,
        }
    }
}

/// Whether a statement counts for one method and address only (`htm`, `htu`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Binding {
    ToRequest,
    #[default]
    None,
}

/// How a statement is made.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct IdentityConfig {
    pub style: IdentityStyle,
    /// `None`: the one of the style. In `Authorization` it stands as a bearer token.
    pub header: Option<HeaderName>,
    /// What it says besides, as in [`crate::PhantomConfig::claims`].
    pub claims: Vec<String>,
    /// `None`: the one of the style. The accounts need keys for it.
    pub algorithm: Option<Algorithm>,
    /// What stands in `iss`, for applications that know no issuer but one; `None`: the gateway, or with the style of
    /// Pomerium the host that was asked.
    pub issuer: Option<String>,
    pub binding: Binding,
}

/// What is wrong with an [`IdentityConfig`].
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidIdentity {
    #[error(transparent)]
    Claims(#[from] InvalidClaims),
    #[error("the header {0} has a meaning of its own; use X-Gateway-Identity or Authorization")]
    Header(HeaderName),
}

/// Makes signed statements.
#[derive(Debug)]
pub struct SignedIdentity {
    issuer: Arc<Issuer>,
    config: IdentityConfig,
    selection: Selection,
    header: HeaderName,
    algorithm: Algorithm,
}

impl SignedIdentity {
    pub fn new(issuer: Arc<Issuer>, config: IdentityConfig) -> Result<Self, InvalidIdentity> {
        const TAKEN: [&str; 7] =
            ["host", "cookie", "content-length", "transfer-encoding", "connection", "upgrade", "te"];
        let header = config.header.clone().unwrap_or_else(|| config.style.header());
        if TAKEN.contains(&header.as_str()) {
            return Err(InvalidIdentity::Header(header));
        }
        let selection = Selection::new(config.claims.clone())?;
        let algorithm = config.algorithm.unwrap_or_else(|| config.style.algorithm());
        Ok(Self { issuer, config, selection, header, algorithm })
    }

    /// What it signs with: the accounts need keys for it.
    pub const fn algorithm(&self) -> Algorithm {
        self.algorithm
    }

    /// The header that it sets.
    pub const fn header(&self) -> &HeaderName {
        &self.header
    }

    pub(crate) async fn make(&self, bearer: &Bearer<'_>) -> Result<Made, CredentialFault> {
        let Some(sub) = subject(bearer.principal) else { return Ok(Made::default()) };
        let now = bearer.now;
        let expires = ends(now, LIFE, bearer.principal.expires);
        if expires <= now {
            return Err(CredentialFault::Over);
        }
        let claims = self.claims(bearer, sub);
        let keys = self.issuer.keys(now).await.map_err(MintError::from)?;
        let token = sign(&keys, (self.algorithm, IDENTITY_TYPE), claims, (expires, now))?;
        let text = match &self.header {
            name if *name == AUTHORIZATION => format!("Bearer {}", token.expose()),
            _ => token.expose().clone(),
        };
        Made::in_header(self.header.clone(), &text, &token)
    }

    fn claims(&self, bearer: &Bearer<'_>, sub: &str) -> Claims {
        let who = bearer.principal;
        let mut claims = Claims::new();
        self.selection.add_to(&mut claims, who);
        match self.config.style {
            IdentityStyle::Gateway => (),
            IdentityStyle::Iap => add_iap(&mut claims, who),
            IdentityStyle::CloudflareAccess => claims = of_cloudflare(claims, who, bearer.now),
            IdentityStyle::Pomerium => add_pomerium(&mut claims, who, sub),
        }
        let (iss, aud) = match self.config.style {
            IdentityStyle::Pomerium => (bearer.host, json!(bearer.host)),
            IdentityStyle::CloudflareAccess => (self.issuer.as_str(), json!([bearer.audience])),
            IdentityStyle::Gateway | IdentityStyle::Iap => (self.issuer.as_str(), json!(bearer.audience)),
        };
        say(&mut claims, "iss", self.config.issuer.as_deref().unwrap_or(iss));
        claims.insert("aud".to_owned(), aud);
        say(&mut claims, "sub", sub);
        if self.config.style == IdentityStyle::Gateway && !who.user.groups.is_empty() {
            claims.insert("groups".to_owned(), json!(who.user.groups));
        }
        if let Some(context) = bearer.context {
            claims.insert("authz".to_owned(), context.clone());
        }
        say(&mut claims, "rid", bearer.request_id);
        if self.config.binding == Binding::ToRequest {
            say(&mut claims, "htm", bearer.method.as_str());
            say(&mut claims, "htu", bearer.url);
        }
        claims
    }
}

/// Google IAP: the address, and the domain it is in.
fn add_iap(claims: &mut Claims, who: &Principal) {
    say(claims, "email", &who.email);
    if let Some((_, domain)) = who.email.rsplit_once('@') {
        say(claims, "hd", domain);
    }
}

/// Cloudflare Access: further claims stand below `custom`.
fn of_cloudflare(custom: Claims, who: &Principal, now: Timestamp) -> Claims {
    let mut claims = Claims::new();
    say(&mut claims, "email", &who.email);
    claims.insert("nbf".to_owned(), now.seconds.into());
    claims.insert("type".to_owned(), "app".into());
    if !custom.is_empty() {
        claims.insert("custom".to_owned(), custom.into());
    }
    claims
}

/// Pomerium: user, address, groups, session.
fn add_pomerium(claims: &mut Claims, who: &Principal, sub: &str) {
    say(claims, "user", sub);
    say(claims, "email", &who.email);
    say(claims, "name", &who.user.name);
    say(claims, "sid", who.session.as_deref().unwrap_or_default());
    claims.insert("groups".to_owned(), json!(who.user.groups));
}

#[cfg(test)]
mod tests;
