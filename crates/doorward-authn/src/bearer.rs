//! A signed token that a client presents by itself in `Authorization` (`providers.md` section 2, "Bearer
//! recognition" and "Extra issuers").
//!
//! What a header holds is decided without asking anybody; only what has the form of a signed token reaches an issuer.
//! Nothing is stored, and no refusal carries a part of the header.

use std::{fmt, sync::Arc};

use doorward_core::{SecretString, Timestamp};
use doorward_oidc::{
    BearerError, Config, Discovery, Grant, KeySource, NonceCheck, Pkce, ProfileClaims, Provider,
};
use url::Url;

/// The issuers whose tokens are sessions (`--skip-jwt-bearer-tokens`).
#[derive(Debug)]
pub struct BearerTokens {
    /// With the id of each at which people sign in too.
    issuers: Vec<(Option<Arc<str>>, Provider)>,
}

/// What became of an `Authorization` header.
#[derive(Clone, Debug, PartialEq)]
pub enum BearerAttempt {
    /// There is none, or it is empty.
    NotPresented,
    /// An issuer vouches for the token. The grant ends when the token does.
    Accepted {
        grant: Box<Grant>,
        /// The id of the issuer, where there are several providers and it is one of them.
        provider: Option<Arc<str>>,
    },
    Refused(BearerRefusal),
}

/// What a refusal means for the request (`--bearer-token-login-fallback`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OnRefusal {
    /// As if nothing had been presented: other schemes are asked (`true`, the default).
    TryNext,
    /// The request ends with 403, whatever the header held: even a password for another scheme (`false`).
    Forbid,
}

/// Why a header is no session. For logs; the client learns only that it is none.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BearerRefusal {
    /// Nothing that any issuer could be asked about. Ordinary where clients also send passwords.
    #[error(transparent)]
    NoToken(#[from] NoToken),
    /// One objection for every issuer, in the order they were asked.
    #[error("unable to verify the bearer token{}", Listed(.0))]
    NotVouchedFor(Vec<Objection>),
}

/// Why a header holds no signed token.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NoToken {
    #[error("the Authorization header does not consist of two words")]
    NotTwoWords,
    #[error("the Authorization header is neither Bearer nor Basic")]
    OtherScheme,
    #[error("the Bearer token has not the form of a signed token")]
    NotSigned,
    #[error("the Basic credentials are not base64 with a colon inside")]
    MalformedBasic,
    #[error("the Basic credentials hold no signed token")]
    Password,
}

/// What one issuer has against a token.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Objection {
    /// The display name of the provider; of an extra issuer its address.
    pub issuer: String,
    pub reason: BearerError,
}

impl BearerTokens {
    /// Asks `primary` first, then `extra` in their order. Without any of them every token is refused.
    pub fn new(primary: Option<Provider>, extra: Vec<Provider>) -> Self {
        Self { issuers: primary.into_iter().chain(extra).map(|issuer| (None, issuer)).collect() }
    }

    /// Asks the `providers` at which people sign in, each with its id, then `extra`, in their order.
    pub fn of_several(providers: Vec<(Arc<str>, Provider)>, extra: Vec<Provider>) -> Self {
        let providers = providers.into_iter().map(|(id, provider)| (Some(id), provider));
        Self { issuers: providers.chain(extra.into_iter().map(|issuer| (None, issuer))).collect() }
    }

    /// Tries the value of an `Authorization` header. `now` is the present.
    pub async fn attempt(&self, authorization: Option<&[u8]>, now: Timestamp) -> BearerAttempt {
        let Some(value) = authorization.filter(|value| !value.is_empty()) else {
            return BearerAttempt::NotPresented;
        };
        let token = match find(value) {
            Ok(token) => token,
            Err(why) => return BearerAttempt::Refused(why.into()),
        };
        self.ask(&token, now).await
    }

    /// Tries a bearer token, wherever it was found.
    pub async fn attempt_token(&self, token: &str, now: Timestamp) -> BearerAttempt {
        match signed_token(token.as_bytes()) {
            Some(token) => self.ask(&token, now).await,
            None => BearerAttempt::Refused(NoToken::NotSigned.into()),
        }
    }

    async fn ask(&self, token: &SecretString, now: Timestamp) -> BearerAttempt {
        let mut objections = Vec::new();
        for (id, issuer) in &self.issuers {
            match issuer.verify_bearer(token, now).await {
                Ok(grant) => {
                    let (grant, provider) = (Box::new(grant), id.clone());
                    return BearerAttempt::Accepted { grant, provider };
                }
                Err(reason) => {
                    objections.push(Objection { issuer: issuer.display_name().to_owned(), reason });
                }
            }
        }
        BearerAttempt::Refused(BearerRefusal::NotVouchedFor(objections))
    }
}

/// Why an entry of `--extra-jwt-issuers` cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidExtraIssuer {
    // No text repeats the entry: a URL may hold a password.
    #[error("invalid jwt verifier uri=audience spec")]
    NoAudience,
    #[error("the issuer is not an absolute http or https URL without user and password")]
    Issuer,
}

fn has_user(url: &Url) -> bool {
    !url.username().is_empty() || url.password().is_some()
}

/// How to verify tokens of an entry `issuer=audience` of `--extra-jwt-issuers`. The claims that name the audience,
/// further audiences and the way to reach issuers are those of the `main` provider. Which claims make an identity is
/// fixed, and an address called unverified is always refused.
pub fn extra_issuer(entry: &str, main: &Config) -> Result<Config, InvalidExtraIssuer> {
    let (issuer, audience) = entry
        .split_once('=')
        // An empty audience would accept tokens for nobody in particular.
        .filter(|(_, audience)| !audience.is_empty())
        .ok_or(InvalidExtraIssuer::NoAudience)?;
    if !Url::parse(issuer)
        .is_ok_and(|url| matches!(url.scheme(), "http" | "https") && url.has_host() && !has_user(&url))
    {
        return Err(InvalidExtraIssuer::Issuer);
    }
    let base = issuer.strip_suffix('/').unwrap_or(issuer);
    Ok(Config {
        display_name: issuer.to_owned(),
        discovery: Discovery::ForKeys,
        keys: KeySource::Url(format!("{base}/.well-known/jwks.json")),
        nonce: NonceCheck::Off,
        audience_claims: main.audience_claims.clone(),
        extra_audiences: main.extra_audiences.clone(),
        profile_claims: ProfileClaims::Skip,
        pkce: Pkce::Off,
        http: main.http.clone(),
        ..Config::new(issuer.to_owned(), audience.to_owned())
    })
}

/// The token in the value of a header: two words with one blank between them, the scheme spelled exactly.
pub(crate) fn find(value: &[u8]) -> Result<SecretString, NoToken> {
    let mut words = value.split(|&byte| byte == b' ');
    let (Some(scheme), Some(word), None) = (words.next(), words.next(), words.next()) else {
        return Err(NoToken::NotTwoWords);
    };
    match scheme {
        b"Bearer" => signed_token(word).ok_or(NoToken::NotSigned),
        b"Basic" => in_basic(word),
        _ => Err(NoToken::OtherScheme),
    }
}

/// Clients that know passwords only send the token as user, with no or a fixed password, or as password.
fn in_basic(word: &[u8]) -> Result<SecretString, NoToken> {
    let decoded = base64_simd::STANDARD.decode_to_vec(word).map_err(|_| NoToken::MalformedBasic)?;
    let mut halves = decoded.splitn(2, |&byte| byte == b':');
    let (Some(user), Some(password)) = (halves.next(), halves.next()) else {
        return Err(NoToken::MalformedBasic);
    };
    match signed_token(user) {
        Some(token) if matches!(password, b"" | b"x-oauth-basic") => Ok(token),
        // A user who looks like a token but has a password of his own is not looked into further.
        Some(_) => Err(NoToken::Password),
        None => signed_token(password).ok_or(NoToken::Password),
    }
}

/// `word` if it has three parts of base64url, the first two of which begin like a JSON object and may end there.
fn signed_token(word: &[u8]) -> Option<SecretString> {
    let mut parts = word.split(|&byte| byte == b'.');
    let (Some(header), Some(claims), Some(signature), None) =
        (parts.next(), parts.next(), parts.next(), parts.next())
    else {
        return None;
    };
    let is_token = [header, claims].iter().all(|part| part.starts_with(b"ey"))
        && !signature.is_empty()
        && [header, claims, signature].into_iter().flatten().copied().all(is_base64url);
    let text = str::from_utf8(word).ok().filter(|_| is_token)?;
    Some(text.into())
}

const fn is_base64url(byte: u8) -> bool {
    matches!(byte, b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_')
}

/// Objections one after the other.
struct Listed<'a>(&'a [Objection]);

impl fmt::Display for Listed<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (position, Objection { issuer, reason }) in self.0.iter().enumerate() {
            let before = if position == 0 { ": " } else { "; " };
            write!(f, "{before}{issuer}: {reason}")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
