//! Signed tokens of an issuer (the JWT authoriser): form, algorithm, type, key, signature, then what the claims say, in
//! this order and failing at the first.
//!
//! What was verified is kept, by the hash of the token: as long as the token lives, and as long as the issuer publishes
//! the same keys. Keys are asked for only where the token is of our issuer by its own words, so that a token of another
//! costs no call.

use std::{sync::Arc, time::Duration};

use doorward_accounts::{Accounts, InvalidToken, Origin, Source, TokenName};
use doorward_core::{Principal, Timestamp};
use doorward_jose::{
    Algorithm, AudienceRule, ClaimError, Claims, Demands, KeyId, KeySet, Types, VerifiedClaims, VerifyError,
    claims_check::{Lifetime, check_lifetime},
    jws::claimed_issuer,
    verify_demanding,
};
use doorward_oidc::{IssuerKeys, Published};
use serde_json::Value;

pub use super::claims::{ClaimNames, ClaimTest, RequiredClaim};
use super::{
    Description, TokenFinding,
    claims::{About, check_required, principal},
    derived::of_derived_token,
    kept::{self, Known, Tokens, Weighed},
};
use crate::judged::{self, Doubt, Judged, Vouched, token_id};

/// Which tokens count.
#[derive(Clone, Debug)]
pub struct JwtConfig {
    /// The `iss` of tokens, letter by letter.
    pub issuer: String,
    /// A token is for one of these; never none.
    pub audiences: Vec<String>,
    /// Empty: RS256.
    pub algorithms: Vec<Algorithm>,
    /// How far the issuer's clock may be off; at most [`JwtAuthorizer::LONGEST_LEEWAY`].
    pub leeway: Duration,
    /// Allowed values of `typ`, e.g. `at+jwt`; empty: any, but for those of tokens that are no credentials.
    pub types: Vec<String>,
    pub required_claims: Vec<RequiredClaim>,
    pub names: ClaimNames,
    /// Shared by all authenticators of the issuer, so that its keys are fetched once.
    pub keys: Arc<IssuerKeys>,
    pub revocation: Revocation,
}

/// Whether somebody may have taken a token back.
#[derive(Clone, Debug)]
pub enum Revocation {
    /// Nobody can tell: a token counts until it expires.
    None,
    /// The issuer is our own server or gateway: its store is asked each time.
    Own(Arc<Accounts>),
}

/// Why tokens cannot be judged so.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidJwtConfig {
    #[error("no audience is named, so tokens for anybody would count; name the audiences that are ours")]
    NoAudience,
    #[error("nobody's public key verifies {0}; use RS256, PS256, ES256 or EdDSA, for example")]
    Algorithm(Algorithm),
    #[error("tokens of the type {0} are no credentials; allow at+jwt or JWT, for example")]
    Type(String),
    #[error(
        "a leeway of {} seconds is too long; at most {} are possible",
        .0.as_secs(),
        JwtAuthorizer::LONGEST_LEEWAY.as_secs()
    )]
    Leeway(Duration),
}

/// Types of signed tokens that say something to somebody, but never who sends a request: what this gateway signs for
/// applications, and RFC 9701, RFC 8417, OpenID Connect Back-Channel Logout and RFC 9449.
const NO_CREDENTIALS: &[&str] =
    &["gw-id+jwt", "token-introspection+jwt", "secevent+jwt", "logout+jwt", "dpop+jwt"];
/// Of a signed answer about a token (RFC 9701 section 5).
const INTROSPECTION_TYPE: &str = "token-introspection+jwt";

/// An issuer whose signed tokens count.
#[derive(Debug)]
pub struct JwtAuthorizer {
    config: JwtConfig,
    audience: AudienceRule,
    kept: Tokens<Verified>,
}

#[derive(Clone, Debug)]
struct Verified {
    principal: Known,
    lifetime: Lifetime,
    /// Of the keys.
    version: u64,
}

/// A token that does not count, and what for.
type Flaw = (Description, String);

/// Why a token is not verified.
enum Unverified {
    Bad(Flaw),
    /// There are no keys.
    Unknown(String),
}

impl JwtAuthorizer {
    pub const LONGEST_LEEWAY: Duration = Duration::from_mins(5);
    pub const USUAL_LEEWAY: Duration = Duration::from_secs(30);

    pub fn new(mut config: JwtConfig) -> Result<Self, InvalidJwtConfig> {
        let Some((first, others)) = config.audiences.split_first() else {
            return Err(InvalidJwtConfig::NoAudience);
        };
        if config.algorithms.is_empty() {
            config.algorithms.push(Algorithm::Rs256);
        }
        if let Some(algorithm) = config.algorithms.iter().find(|algorithm| !algorithm.is_verifiable()) {
            return Err(InvalidJwtConfig::Algorithm(*algorithm));
        }
        if config.leeway > Self::LONGEST_LEEWAY {
            return Err(InvalidJwtConfig::Leeway(config.leeway));
        }
        for typ in &mut config.types {
            let name = typ.to_ascii_lowercase();
            name.strip_prefix("application/").unwrap_or(&name).clone_into(typ);
            if NO_CREDENTIALS.contains(&typ.as_str()) {
                return Err(InvalidJwtConfig::Type(std::mem::take(typ)));
            }
        }
        // The client id counts only where there is no audience at all.
        let audience = AudienceRule::new(&["aud".to_owned(), "client_id".to_owned()], first, others);
        Ok(Self { config, audience, kept: kept::tokens() })
    }

    pub(crate) async fn attempt(&self, name: &Arc<str>, token: &str, now: Timestamp) -> TokenFinding {
        let verified = match self.verified(name, token, now).await {
            Ok(verified) => verified,
            Err(Unverified::Bad((description, reason))) => {
                return TokenFinding::Bad(description, Doubt { credential: token_id(token), reason });
            }
            Err(Unverified::Unknown(reason)) => {
                return TokenFinding::Unknown(Doubt { credential: token_id(token), reason });
            }
        };
        match &self.config.revocation {
            Revocation::None => TokenFinding::Known(verified.principal),
            Revocation::Own(accounts) => self.standing(accounts, verified.principal, now).await,
        }
    }

    /// What a signed answer of this issuer says about a token, to the client `client_id` (RFC 9701 section 5). `None` if it
    /// is no answer but a token in place of one.
    pub(crate) async fn introspected(
        &self,
        answer: &str,
        client_id: &str,
        now: Timestamp,
    ) -> Option<Result<Claims, String>> {
        let types = [INTROSPECTION_TYPE.to_owned()];
        let told = match self.keys(answer, Types::Only(&types), now).await {
            Ok(keys) => self.signed(answer, keys, Types::Only(&types), now).await.map(|(claims, _)| claims),
            Err(why) => Err(why),
        };
        let mut claims = match told {
            Ok(verified) => verified.into_claims(),
            Err(Unverified::Bad((Description::Untold, _))) => return None,
            Err(Unverified::Bad((_, reason)) | Unverified::Unknown(reason)) => return Some(Err(reason)),
        };
        let ours = AudienceRule::new(&["aud".to_owned()], client_id, &[]);
        if !self.is_of_issuer(&claims) || ours.check(&claims).is_err() {
            return Some(Err("the signed answer is of another issuer, or for another client".to_owned()));
        }
        match claims.remove("token_introspection") {
            Some(Value::Object(members)) => Some(Ok(members)),
            _ => Some(Err("the signed answer says nothing about the token".to_owned())),
        }
    }

    async fn verified(&self, name: &Arc<str>, token: &str, now: Timestamp) -> Result<Verified, Unverified> {
        let keys = self.keys(token, self.types(), now).await?;
        let hash = kept::hash(token);
        if let Some(Weighed { value, .. }) = self.kept.get(&hash)
            && self.still_holds(&value, keys.version(), now)
        {
            return Ok(value);
        }
        let (signed, version) = self.signed(token, keys, self.types(), now).await?;
        let (principal, lifetime) =
            self.believe(name, token, signed.into_claims(), now).map_err(Unverified::Bad)?;
        let verified = Verified { principal: Arc::new(principal), lifetime, version };
        self.kept.insert(hash, Weighed::new(verified.clone(), token.len()));
        Ok(verified)
    }

    fn still_holds(&self, verified: &Verified, version: u64, now: Timestamp) -> bool {
        let Lifetime { start, end } = verified.lifetime;
        verified.version == version && now < end && start <= now.saturating_add(self.config.leeway)
    }

    /// The keys of this moment. They are waited for only if the token is worth it.
    async fn keys(
        &self,
        token: &str,
        types: Types<'_>,
        now: Timestamp,
    ) -> Result<Arc<Published>, Unverified> {
        if let Some(keys) = self.config.keys.at_hand(now) {
            return Ok(keys);
        }
        match verify_demanding(token, &KeySet::default(), self.demands(types)) {
            Err(VerifyError::UnknownKey) => self.check_claimed_issuer(token)?,
            Err(error) => return Err(Unverified::Bad(flaw(&error))),
            Ok(_) => {}
        }
        self.config.keys.current(now).await.map_err(|error| Unverified::Unknown(error.to_string()))
    }

    /// What one of the issuer's keys signed, and the version of the keys.
    async fn signed(
        &self,
        token: &str,
        keys: Arc<Published>,
        types: Types<'_>,
        now: Timestamp,
    ) -> Result<(VerifiedClaims, u64), Unverified> {
        let verify = |keys: &Published| {
            let claims = verify_demanding(token, keys.keys(), self.demands(types))?;
            Ok((claims, keys.version()))
        };
        let outcome = match verify(&keys) {
            Err(VerifyError::UnknownKey) => {
                self.check_claimed_issuer(token)?;
                match self.config.keys.newer_than(&keys, now).await {
                    Some(newer) => verify(&newer),
                    None => Err(VerifyError::UnknownKey),
                }
            }
            outcome => outcome,
        };
        outcome.map_err(|error| Unverified::Bad(flaw(&error)))
    }

    /// What the claims of a signed token say.
    fn believe(
        &self,
        name: &Arc<str>,
        token: &str,
        claims: Claims,
        now: Timestamp,
    ) -> Result<(Principal, Lifetime), Flaw> {
        if !self.is_of_issuer(&claims) {
            return Err(self.other_issuer());
        }
        self.audience.check(&claims).map_err(|error| claim_flaw(&error))?;
        let lifetime =
            check_lifetime(&claims, self.config.leeway, now).map_err(|error| claim_flaw(&error))?;
        let about = About { authenticator: name, credential: token_id(token), expires: Some(lifetime.end) };
        let mut principal =
            principal(claims, &self.config.names, about).map_err(|reason| (Description::Untold, reason))?;
        check_required(&principal, &self.config.required_claims)?;
        if let Revocation::Own(_) = self.config.revocation {
            let name = principal.claims.get("jti").and_then(Value::as_str).and_then(TokenName::parse);
            principal.origin = name.map(|name| Origin::new(Source::Token(name)).to_claim());
        }
        Ok((principal, lifetime))
    }

    /// A token of our own, as the store knows it now: whether somebody took it back, and who its user is.
    async fn standing(&self, accounts: &Accounts, known: Known, now: Timestamp) -> TokenFinding {
        let doubt = |reason: String| Doubt { credential: known.credential.clone(), reason };
        let Some(jti) = known.claims.get("jti").and_then(Value::as_str) else {
            return TokenFinding::Bad(Description::Untold, doubt("the token has no jti".to_owned()));
        };
        let Some(name) = TokenName::parse(jti) else { return self.derived(accounts, &known, now).await };
        match accounts.is_denied(jti, now).await {
            Ok(false) => {}
            Ok(true) => {
                return TokenFinding::Bad(Description::Revoked, doubt("the token was revoked".to_owned()));
            }
            Err(error) => return TokenFinding::Unknown(doubt(error.to_string())),
        }
        match judged::own_token(accounts, (&name, &self.config.audiences), now).await {
            Judged::Good((vouched, _)) if vouched.user == known.user => TokenFinding::Known(known),
            Judged::Good((vouched, valid)) => {
                let email = valid.user.filter(|user| user.email_verified).map(|user| user.email);
                let email = email.unwrap_or_default();
                TokenFinding::Known(Arc::new(Principal { user: vouched.user, email, ..(*known).clone() }))
            }
            Judged::Bad(Doubt { reason, .. }) => TokenFinding::Bad(Description::Revoked, doubt(reason)),
            Judged::Unknown(Doubt { reason, .. }) => TokenFinding::Unknown(doubt(reason)),
            Judged::Nothing => {
                TokenFinding::Bad(Description::Revoked, doubt("the store does not know the token".to_owned()))
            }
        }
    }

    /// A token that the gateway has signed in place of another stands for none in the store: it counts as long as what it
    /// came from. What it signs for applications alone counts nowhere here.
    async fn derived(&self, accounts: &Accounts, known: &Known, now: Timestamp) -> TokenFinding {
        let doubt = |reason: String| Doubt { credential: known.credential.clone(), reason };
        match accounts.judge_derived(known.claims.clone(), &self.config.issuer, now).await {
            Ok(derived) => match judged::admit(derived.user_info.clone()) {
                Some(user) => {
                    let vouched = Vouched { user, credential: known.credential.clone() };
                    TokenFinding::Known(Arc::new(of_derived_token(&known.authenticator, vouched, derived)))
                }
                None => TokenFinding::Bad(Description::Untold, doubt(judged::RESERVED.to_owned())),
            },
            Err(InvalidToken::Unavailable(error)) => TokenFinding::Unknown(doubt(error.to_string())),
            Err(InvalidToken::Expired) => {
                TokenFinding::Bad(Description::Expired, doubt("it is over".to_owned()))
            }
            Err(why) => TokenFinding::Bad(Description::Revoked, doubt(why.to_string())),
        }
    }

    fn types(&self) -> Types<'_> {
        match self.config.types.as_slice() {
            [] => Types::Not(NO_CREDENTIALS),
            types => Types::Only(types),
        }
    }

    fn demands<'a>(&'a self, types: Types<'a>) -> Demands<'a> {
        Demands { algorithms: &self.config.algorithms, key_id: KeyId::Required, types }
    }

    fn is_of_issuer(&self, claims: &Claims) -> bool {
        claims.get("iss").and_then(Value::as_str) == Some(&self.config.issuer)
    }

    fn check_claimed_issuer(&self, token: &str) -> Result<(), Unverified> {
        match claimed_issuer(token) {
            Some(issuer) if issuer == self.config.issuer => Ok(()),
            _ => Err(Unverified::Bad(self.other_issuer())),
        }
    }

    fn other_issuer(&self) -> Flaw {
        (Description::Issuer, format!("the token was not issued by {:?}", self.config.issuer))
    }
}

fn flaw(error: &VerifyError) -> Flaw {
    use VerifyError as E;
    let description = match error {
        E::TooLong | E::Malformed(_) | E::AlgorithmNotAllowed { .. } | E::CriticalExtension | E::NoKeyId => {
            Description::Malformed
        }
        E::WrongType { .. } => Description::Untold,
        E::UnknownKey => Description::UnknownKey,
        E::KeyDoesNotFit | E::BadSignature => Description::BadSignature,
    };
    (description, error.to_string())
}

fn claim_flaw(error: &ClaimError) -> Flaw {
    use ClaimError as E;
    let description = match error {
        E::Expired => Description::Expired,
        E::NotYetValid | E::IssuedInFuture => Description::NotYetValid,
        E::WrongIssuer { .. } => Description::Issuer,
        E::Audience(mismatch) => {
            let values = mismatch.values.join(" ");
            let reason = format!("the token is for [{values}], and none of that stands in audiences");
            return (Description::Audience, reason);
        }
        E::NoAudience { .. } => Description::Audience,
        E::NoExpiry | E::Malformed(_) | E::WrongNonce | E::NoNonce => Description::Malformed,
    };
    (description, error.to_string())
}

#[cfg(test)]
mod tests;
