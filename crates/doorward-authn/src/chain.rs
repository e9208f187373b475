//! The authenticators of API requests, in order (a union, as Kubernetes has it): a proxy in front, a client certificate,
//! a bearer token, a token among the subprotocols of a `WebSocket`.
//!
//! Each says one of three things: this is so-and-so; nothing of mine is here; what is here is bad. All are asked in order
//! and the first who knows somebody is believed, also after another found something bad. If nobody knows anybody and
//! something was bad, the request is refused: a bad credential never makes somebody anonymous. Browser sessions and
//! anonymous requests come after the chain and are the server's.

use std::{borrow::Cow, fmt, sync::Arc};

use doorward_accounts::{Accounts, ValidToken};
use doorward_core::{Identity, SecretString, Timestamp, UserInfo};
use doorward_oidc::Grant;
use http::{HeaderMap, header::AUTHORIZATION};

use crate::{
    bearer::{BearerAttempt, BearerRefusal, BearerTokens},
    front_proxy::FrontProxy,
    judged::{self, Doubt, Judged, RESERVED, Vouched, shortened},
    token_review::TokenReview,
    websocket::{self, Offered},
    x509::{ClientCa, Shown},
};

/// The name under which applications learn which credential was used.
pub(crate) const CREDENTIAL_ID: &str = "authentication.kubernetes.io/credential-id";
/// Longer tokens are refused unread.
pub const TOKEN_LIMIT: usize = 8 * 1024;

/// The authenticators of a configuration; those that are absent are not asked.
#[derive(Debug)]
pub struct Chain {
    pub front_proxy: Option<FrontProxy>,
    pub x509: Option<ClientCa>,
    /// The tokens that our own server has issued.
    pub opaque: Option<Opaque>,
    pub review: Option<TokenReview>,
    /// What people are called whom an identity provider vouches for.
    pub naming: Naming,
}

/// Tokens of our own server. A token for another resource is not one for us.
#[derive(Clone, Debug)]
pub struct Opaque {
    pub accounts: Arc<Accounts>,
    /// The resources that are ours, besides none.
    pub audiences: Vec<String>,
    /// Who signs tokens in place of others (`iss`), where the named authenticators of the gateway take these too.
    pub gateway: Option<Arc<str>>,
}

/// The name of somebody whom a session or signed token describes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Naming {
    /// The provider is our own server: its users go by their names.
    Preferred,
    /// E-mail address, else the provider's id: names are not told apart by every provider.
    Address,
}

/// What a request brings.
#[derive(Clone, Copy, Debug)]
pub struct Presented<'a> {
    /// What the client showed in a TLS handshake.
    pub certificates: Option<&'a Shown>,
    /// What the other end of the connection showed: the same, unless that is a proxy which hands on its client's.
    pub of_connection: Option<&'a Shown>,
    pub headers: &'a HeaderMap,
    /// The issuers whose signed tokens count (`--skip-jwt-bearer-tokens`).
    pub jwt: Option<&'a BearerTokens>,
    pub now: Timestamp,
}

/// Who vouches.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Authenticator {
    RequestHeader,
    X509,
    Opaque,
    Jwt,
    TokenReview,
    /// Before anybody looked at it.
    Bearer,
    WebSocket,
}

impl Authenticator {
    /// For logs.
    pub const fn word(self) -> &'static str {
        match self {
            Self::RequestHeader => "requestHeader",
            Self::X509 => "x509",
            Self::Opaque => "opaque",
            Self::Jwt => "jwt",
            Self::TokenReview => "tokenReview",
            Self::Bearer => "bearer",
            Self::WebSocket => "websocket",
        }
    }
}

/// Somebody whose credential is good.
#[derive(Clone, Debug, PartialEq)]
pub struct Authenticated {
    pub user: UserInfo,
    /// Empty if none is known, or nobody verified it.
    pub email: String,
    pub authenticator: Authenticator,
    /// Names the credential in logs: a hash.
    pub credential: String,
    /// What an issuer said, for signed tokens.
    pub grant: Option<Box<Grant>>,
    /// The id of that issuer, where there are several providers and it is one of them.
    pub provider: Option<Arc<str>>,
}

/// A credential that is bad. For logs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rejection {
    pub authenticator: Authenticator,
    pub credential: String,
    pub reason: String,
}

impl fmt::Display for Rejection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { authenticator, credential, reason } = self;
        write!(f, "{} {credential}: {reason}", authenticator.word())
    }
}

/// What the chain came to.
#[derive(Debug, PartialEq)]
pub enum Outcome {
    User(Box<Authenticated>),
    /// No credential came.
    NoOpinion,
    /// Something came, and nothing of it is good.
    Refused(Vec<Rejection>),
    /// Nobody can tell at the moment.
    Unavailable(Vec<Rejection>),
    /// There are two `Authorization` lines: who reads the first and who reads the last would see different people.
    Repeated,
}

/// What one authenticator says.
enum Finding {
    Nothing,
    User(Box<Authenticated>),
    Refused(Rejection),
    Unavailable(Rejection),
}

/// What was found wrong so far.
#[derive(Default)]
struct Gathered {
    rejections: Vec<Rejection>,
    unavailable: Unavailable,
}

#[derive(Clone, Copy, Default, PartialEq, Eq)]
enum Unavailable {
    #[default]
    No,
    Yes,
}

impl Gathered {
    /// The user, if this is one.
    fn take(&mut self, finding: Finding) -> Option<Box<Authenticated>> {
        match finding {
            Finding::Nothing => None,
            Finding::User(user) => Some(user),
            Finding::Refused(rejection) => {
                self.rejections.push(rejection);
                None
            }
            Finding::Unavailable(rejection) => {
                self.rejections.push(rejection);
                self.unavailable = Unavailable::Yes;
                None
            }
        }
    }

    fn outcome(self) -> Outcome {
        match self.unavailable {
            Unavailable::Yes => Outcome::Unavailable(self.rejections),
            Unavailable::No if self.rejections.is_empty() => Outcome::NoOpinion,
            Unavailable::No => Outcome::Refused(self.rejections),
        }
    }
}

impl Chain {
    /// Asks everybody in order.
    pub async fn attempt(&self, presented: &Presented<'_>) -> Outcome {
        let Ok(bearer) = bearer_token(presented.headers) else { return Outcome::Repeated };
        let mut gathered = Gathered::default();
        if let Some(user) = gathered.take(self.by_front_proxy(presented)) {
            return Outcome::User(user);
        }
        if let Some(user) = gathered.take(self.by_certificate(presented)) {
            return Outcome::User(user);
        }
        if !self.reads_tokens(presented) {
            return gathered.outcome();
        }
        if let Some(token) = bearer
            && let Some(user) = self.by_token(token.expose(), presented, &mut gathered).await
        {
            return Outcome::User(user);
        }
        match websocket::read(presented.headers) {
            Offered::Nothing => {}
            Offered::Token(token) => {
                if let Some(user) = self.by_token(token.expose(), presented, &mut gathered).await {
                    return Outcome::User(user);
                }
            }
            Offered::Malformed(why) => {
                let (authenticator, reason) = (Authenticator::WebSocket, why.to_string());
                gathered.rejections.push(Rejection { authenticator, credential: "-".to_owned(), reason });
            }
        }
        gathered.outcome()
    }

    /// Without anybody who knows tokens, an `Authorization` header is the application's business.
    fn reads_tokens(&self, presented: &Presented<'_>) -> bool {
        self.opaque.is_some() || self.review.is_some() || presented.jwt.is_some()
    }

    fn by_front_proxy(&self, presented: &Presented<'_>) -> Finding {
        let Some(proxy) = &self.front_proxy else { return Finding::Nothing };
        let authenticator = Authenticator::RequestHeader;
        judged::front_proxy(proxy, presented.of_connection, presented.headers, presented.now)
            .found(authenticator, plain(authenticator))
    }

    fn by_certificate(&self, presented: &Presented<'_>) -> Finding {
        let (Some(ca), Some(shown)) = (&self.x509, presented.certificates) else {
            return Finding::Nothing;
        };
        let authenticator = Authenticator::X509;
        judged::certificate(ca, shown, presented.now).found(authenticator, plain(authenticator))
    }

    async fn by_token(
        &self,
        token: &str,
        presented: &Presented<'_>,
        gathered: &mut Gathered,
    ) -> Option<Box<Authenticated>> {
        let before = gathered.rejections.len();
        let credential = token_id(token);
        if token.len() > TOKEN_LIMIT {
            let why = "the token is longer than any that counts here";
            return gathered.take(refused(Authenticator::Bearer, credential, why));
        }
        if let Some(opaque) = &self.opaque
            && let Some(user) = gathered.take(
                judged::opaque(opaque, token, presented.now).await.found(Authenticator::Opaque, by_opaque),
            )
        {
            return Some(user);
        }
        if let Some(jwt) = presented.jwt
            && let Some(user) = gathered.take(self.by_issuer(jwt, token, presented.now).await)
        {
            return Some(user);
        }
        if let Some(review) = &self.review
            && let Some(user) = gathered.take({
                let authenticator = Authenticator::TokenReview;
                judged::review(review, token, presented.now).await.found(authenticator, plain(authenticator))
            })
        {
            return Some(user);
        }
        if gathered.rejections.len() == before {
            let why = "nobody here issues tokens of this form";
            return gathered.take(refused(Authenticator::Bearer, credential, why));
        }
        None
    }

    async fn by_issuer(&self, issuers: &BearerTokens, token: &str, now: Timestamp) -> Finding {
        let (authenticator, credential) = (Authenticator::Jwt, token_id(token));
        match issuers.attempt_token(token, now).await {
            BearerAttempt::NotPresented | BearerAttempt::Refused(BearerRefusal::NoToken(_)) => {
                Finding::Nothing
            }
            BearerAttempt::Refused(why) => refused(authenticator, credential, &why),
            BearerAttempt::Accepted { grant, provider } => match user_of(&grant.identity, self.naming) {
                Some(user) => Finding::User(Box::new(Authenticated {
                    user,
                    email: grant.identity.email.clone(),
                    authenticator,
                    credential,
                    grant: Some(grant),
                    provider,
                })),
                None => refused(authenticator, credential, RESERVED),
            },
        }
    }
}

impl<T> Judged<T> {
    /// In the words of this module.
    fn found(self, authenticator: Authenticator, who: impl FnOnce(T) -> Authenticated) -> Finding {
        let rejection = |Doubt { credential, reason }: Doubt| {
            let credential = shortened(&credential).to_owned();
            Rejection { authenticator, credential, reason }
        };
        match self {
            Self::Nothing => Finding::Nothing,
            Self::Good(found) => Finding::User(Box::new(who(found))),
            Self::Bad(doubt) => Finding::Refused(rejection(doubt)),
            Self::Unknown(doubt) => Finding::Unavailable(rejection(doubt)),
        }
    }
}

/// Somebody of whom no more is known.
fn plain(authenticator: Authenticator) -> impl FnOnce(Vouched) -> Authenticated {
    move |Vouched { user, credential }| Authenticated {
        user,
        email: String::new(),
        authenticator,
        credential: shortened(&credential).to_owned(),
        grant: None,
        provider: None,
    }
}

fn by_opaque((vouched, valid): (Vouched, ValidToken)) -> Authenticated {
    let email = valid.user.filter(|user| user.email_verified).map(|user| user.email).unwrap_or_default();
    Authenticated { email, ..plain(Authenticator::Opaque)(vouched) }
}

/// Somebody as an identity provider describes them. What begins with `system:` is for the operators of clusters to give
/// out, and not for identity providers: such groups are dropped, and nobody may be called so.
pub fn user_of(identity: &Identity, naming: Naming) -> Option<UserInfo> {
    let name = match naming {
        Naming::Preferred if !identity.preferred_username.is_empty() => identity.preferred_username.as_str(),
        _ => identity.display_name(),
    };
    let (name, uid) = (name.to_owned(), identity.user.clone());
    judged::admit_foreign(UserInfo { name, uid, groups: identity.groups.clone(), ..UserInfo::default() })
}

fn refused(authenticator: Authenticator, credential: String, why: &(impl ToString + ?Sized)) -> Finding {
    Finding::Refused(Rejection { authenticator, credential, reason: why.to_string() })
}

/// Two `Authorization` lines.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RepeatedAuthorization;

/// The bearer token of a request: the second word of the header, if the first is `Bearer` in any case. Nothing where a
/// second space stands in its place.
pub fn bearer_token(headers: &HeaderMap) -> Result<Option<SecretString>, RepeatedAuthorization> {
    Ok(authorization(headers)?.and_then(|line| second_word(line.trim()).map(SecretString::from)))
}

/// The `Authorization` header. What is no text is no token of anybody's, and must not pass for no token at all.
pub(crate) fn authorization(headers: &HeaderMap) -> Result<Option<Cow<'_, str>>, RepeatedAuthorization> {
    let mut lines = headers.get_all(AUTHORIZATION).iter();
    let line = lines.next();
    if lines.next().is_some() {
        return Err(RepeatedAuthorization);
    }
    Ok(line.map(|line| String::from_utf8_lossy(line.as_bytes())))
}

/// The token of a header whose first word is `Bearer`.
pub(crate) fn second_word(line: &str) -> Option<&str> {
    let mut words = line.split(' ');
    let is_bearer = words.next().is_some_and(|scheme| scheme.eq_ignore_ascii_case("bearer"));
    words.next().filter(|token| is_bearer && !token.is_empty())
}

/// Names a token in logs, by a part of its hash.
fn token_id(token: &str) -> String {
    shortened(&judged::token_id(token)).to_owned()
}

#[cfg(test)]
mod tests;
