//! The named authenticators of the gateway: each looks for one kind of credential, and says who it is about.
//!
//! A route lists some of them. The first who knows somebody is believed, also after another found something bad; with
//! something bad and nobody known the request is refused. Each authenticator keeps what it has verified for itself, by the
//! hash of the whole credential, so that none ever answers with what another has found.

mod binding;
mod claims;
mod derived;
pub mod introspection;
pub mod jwt;
mod kept;
pub mod source;

use std::{fmt, sync::Arc};

use doorward_accounts::{Origin, Source as TokenSource, User, ValidToken};
use doorward_core::{Principal, SecretString, Timestamp};
use http::HeaderMap;
use serde_json::{Map, Value};

use crate::{
    chain::{Opaque, TOKEN_LIMIT},
    front_proxy::{FrontProxy, IdentityHeaders},
    judged::{self, Doubt, Judged, Vouched, shortened, token_id},
    token_review::TokenReview,
    x509::{ClientCa, Shown},
};
pub use introspection::{Introspection, IntrospectionConfig};
pub use jwt::{JwtAuthorizer, JwtConfig};
pub use source::{Source, Sources};

use derived::of_derived_token;
use source::Offer;

/// One way to come in, as the configuration names it.
#[derive(Debug)]
pub struct Authenticator {
    name: Arc<str>,
    kind: Kind,
}

/// The kinds of credentials.
#[derive(Debug)]
pub enum Kind {
    /// Tokens that our own server has issued; looked up in its store each time.
    Opaque(Opaque, Sources),
    /// Signed tokens of an issuer.
    Jwt(Box<JwtAuthorizer>, Sources),
    /// Tokens of another authorization server, which is asked about them.
    Introspection(Box<Introspection>, Sources),
    /// Tokens that a Kubernetes API knows.
    TokenReview(Arc<TokenReview>, Sources),
    X509(ClientCa),
    /// The headers of a proxy in front that shows its certificate.
    RequestHeader(FrontProxy),
    /// The session of a browser: the server knows it, and nothing is found here.
    Session,
    /// Nobody in particular: the server's as well.
    Anonymous,
}

/// What a request brings.
#[derive(Clone, Copy, Debug)]
pub struct Presented<'a> {
    pub headers: &'a HeaderMap,
    /// As it came, without the question mark.
    pub query: Option<&'a str>,
    /// What the client showed in a TLS handshake.
    pub certificates: Option<&'a Shown>,
    /// What the other end of the connection showed: the same, unless that is a proxy which hands on its client's.
    pub of_connection: Option<&'a Shown>,
    /// Whether cookies may hold tokens.
    pub cookies: CookieTokens,
    pub now: Timestamp,
}

/// Whether a token in a cookie counts: browsers send cookies whoever makes them ask.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CookieTokens {
    Count,
    /// Another site made the browser send a request that may change something.
    DoNotCount,
}

/// What an authenticator says.
#[derive(Clone, Debug, PartialEq)]
pub enum Finding {
    /// There is no credential for it.
    Nothing,
    /// Shared: what was verified before is not copied.
    User(Arc<Principal>),
    Refused(Refusal),
    /// Nobody can tell at the moment, and why; for logs. 503, if nobody else knows the user.
    Unavailable(String),
}

/// A credential that is bad.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    pub authenticator: Arc<str>,
    /// Names the credential in logs: a part of its hash; `-` where there is nothing to name.
    pub credential: String,
    pub description: Description,
    /// For logs.
    pub reason: String,
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { authenticator, credential, reason, .. } = self;
        write!(f, "{authenticator} {credential}: {reason}")
    }
}

/// What the client may hear of why a token is bad. In the order in which they tell more: of what several authenticators
/// say, the greatest is worth telling.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Description {
    /// It is a certificate, or the word of a proxy, for which `WWW-Authenticate: Bearer` has no words.
    NoToken,
    /// `invalid_token`, and no more.
    Untold,
    Malformed,
    Issuer,
    UnknownKey,
    BadSignature,
    Audience,
    NotYetValid,
    Expired,
    Revoked,
}

impl Description {
    /// The `error_description` (RFC 6750 section 3); nothing of the request is ever in it.
    pub const fn text(self) -> Option<&'static str> {
        match self {
            Self::NoToken | Self::Untold => None,
            Self::Malformed => Some("the token is malformed"),
            Self::Issuer => Some("the token is of another issuer"),
            Self::UnknownKey => Some("the token is signed with an unknown key"),
            Self::BadSignature => Some("the token has a bad signature"),
            Self::Audience => Some("the token does not have a valid audience"),
            Self::NotYetValid => Some("the token is not yet valid"),
            Self::Expired => Some("the token has expired"),
            Self::Revoked => Some("the token was revoked"),
        }
    }

    /// Whether this is about a token: whether `error="invalid_token"` is to be said.
    pub const fn is_of_token(self) -> bool {
        !matches!(self, Self::NoToken)
    }
}

/// What a kind of tokens makes of one.
pub(crate) enum TokenFinding {
    Known(Arc<Principal>),
    Bad(Description, Doubt),
    Unknown(Doubt),
}

/// What the tokens of a request came to.
#[derive(Default)]
struct Gathered {
    refusal: Option<Refusal>,
    unavailable: Option<String>,
}

impl Authenticator {
    pub const fn new(name: Arc<str>, kind: Kind) -> Self {
        Self { name, kind }
    }

    /// Its name in the configuration.
    pub const fn name(&self) -> &Arc<str> {
        &self.name
    }

    pub const fn kind(&self) -> &Kind {
        &self.kind
    }

    /// Looks for a credential and judges it. `Nothing` for sessions and for nobody in particular, which are the server's.
    /// That there is at most one `Authorization` line is to be seen to before ([`crate::chain::bearer_token`] tells);
    /// here two are a bad token.
    pub async fn attempt(&self, presented: &Presented<'_>) -> Finding {
        let Presented { headers, certificates, of_connection, now, .. } = *presented;
        match (&self.kind, certificates) {
            (Kind::Session | Kind::Anonymous, _) | (Kind::X509(_), None) => Finding::Nothing,
            (Kind::X509(ca), Some(shown)) => self.vouched_for(judged::certificate(ca, shown, now)),
            (Kind::RequestHeader(proxy), _) => {
                self.vouched_for(judged::front_proxy(proxy, of_connection, headers, now))
            }
            (
                Kind::Opaque(_, sources)
                | Kind::Jwt(_, sources)
                | Kind::Introspection(_, sources)
                | Kind::TokenReview(_, sources),
                _,
            ) => self.by_tokens(sources, presented).await,
        }
    }

    /// Where tokens are looked for. They are not for the application, whoever knew the user, unless a route passes them on
    /// purpose.
    pub fn consumed(&self) -> &[Source] {
        match &self.kind {
            Kind::Opaque(_, sources)
            | Kind::Jwt(_, sources)
            | Kind::Introspection(_, sources)
            | Kind::TokenReview(_, sources) => sources.as_slice(),
            Kind::X509(_) | Kind::RequestHeader(_) | Kind::Session | Kind::Anonymous => &[],
        }
    }

    /// The first token that came for it, for whoever is to exchange it.
    pub fn token(&self, presented: &Presented<'_>) -> Option<SecretString> {
        match &self.kind {
            Kind::Opaque(_, sources)
            | Kind::Jwt(_, sources)
            | Kind::Introspection(_, sources)
            | Kind::TokenReview(_, sources) => sources.read(presented).find_map(|offer| match offer {
                Offer::Token(token) => Some(SecretString::from(&*token)),
                Offer::Malformed(_) => None,
            }),
            Kind::X509(_) | Kind::RequestHeader(_) | Kind::Session | Kind::Anonymous => None,
        }
    }

    /// The headers that a proxy in front names people by: never for the application, whoever sent them.
    pub const fn identity_headers(&self) -> Option<&IdentityHeaders> {
        match &self.kind {
            Kind::RequestHeader(proxy) => Some(&proxy.headers),
            _ => None,
        }
    }

    /// Asks about each token that came, until somebody is known.
    async fn by_tokens(&self, sources: &Sources, presented: &Presented<'_>) -> Finding {
        let mut gathered = Gathered::default();
        for offer in sources.read(presented) {
            let token = match offer {
                Offer::Token(token) => token,
                Offer::Malformed(why) => {
                    gathered.refuse(self.refusal(Description::Malformed, Doubt::new("-".to_owned(), &why)));
                    continue;
                }
            };
            match self.by_token(&token, presented.certificates, presented.now).await {
                TokenFinding::Known(user) => return Finding::User(user),
                TokenFinding::Bad(description, doubt) => gathered.refuse(self.refusal(description, doubt)),
                TokenFinding::Unknown(doubt) => gathered.unavailable = Some(self.unknown(doubt)),
            }
        }
        gathered.finding()
    }

    /// Judges a token, wherever it was found; for kinds that have none, it is a bad one, and so is one that is bound to a
    /// key.
    pub async fn attempt_token(&self, token: &str, now: Timestamp) -> Finding {
        let mut gathered = Gathered::default();
        match self.by_token(token, None, now).await {
            TokenFinding::Known(user) => return Finding::User(user),
            TokenFinding::Bad(description, doubt) => gathered.refuse(self.refusal(description, doubt)),
            TokenFinding::Unknown(doubt) => gathered.unavailable = Some(self.unknown(doubt)),
        }
        gathered.finding()
    }

    /// Judges a token that came together with these certificates.
    async fn by_token(&self, token: &str, shown: Option<&Shown>, now: Timestamp) -> TokenFinding {
        match self.judge(token, now).await {
            TokenFinding::Known(user) => match binding::check(&user.claims, shown) {
                Ok(()) => TokenFinding::Known(user),
                Err(why) => TokenFinding::Bad(Description::Untold, Doubt::new(user.credential.clone(), &why)),
            },
            finding => finding,
        }
    }

    async fn judge(&self, token: &str, now: Timestamp) -> TokenFinding {
        if token.len() > TOKEN_LIMIT {
            let why = "the token is longer than any that counts here";
            return TokenFinding::Bad(Description::Malformed, Doubt::new(token_id(token), why));
        }
        match &self.kind {
            Kind::Opaque(own, _) => match judged::opaque(own, token, now).await {
                Judged::Nothing => {
                    let judged = judged::derived(own, token, now).await;
                    judged
                        .of_token(token, |(vouched, derived)| of_derived_token(&self.name, vouched, derived))
                }
                judged => judged.of_token(token, |(vouched, valid)| of_own_token(&self.name, vouched, valid)),
            },
            Kind::Jwt(jwt, _) => jwt.attempt(&self.name, token, now).await,
            Kind::Introspection(server, _) => server.attempt(&self.name, token, now).await,
            Kind::TokenReview(review, _) => {
                let judged = judged::review(review, token, now).await;
                judged.of_token(token, |vouched| plain(&self.name, vouched))
            }
            Kind::X509(_) | Kind::RequestHeader(_) | Kind::Session | Kind::Anonymous => {
                TokenFinding::Bad(Description::Untold, Doubt::new(token_id(token), "it is no token"))
            }
        }
    }

    fn vouched_for(&self, judged: Judged) -> Finding {
        match judged {
            Judged::Nothing => Finding::Nothing,
            Judged::Good(vouched) => Finding::User(Arc::new(plain(&self.name, vouched))),
            Judged::Bad(doubt) => Finding::Refused(self.refusal(Description::NoToken, doubt)),
            Judged::Unknown(doubt) => Finding::Unavailable(self.unknown(doubt)),
        }
    }

    fn unknown(&self, doubt: Doubt) -> String {
        self.refusal(Description::Untold, doubt).to_string()
    }

    fn refusal(&self, description: Description, Doubt { credential, reason }: Doubt) -> Refusal {
        let credential = shortened(&credential).to_owned();
        Refusal { authenticator: Arc::clone(&self.name), credential, description, reason }
    }
}

impl Gathered {
    /// Keeps what tells the client most.
    fn refuse(&mut self, refusal: Refusal) {
        if self.refusal.as_ref().is_none_or(|kept| kept.description < refusal.description) {
            self.refusal = Some(refusal);
        }
    }

    fn finding(self) -> Finding {
        match (self.unavailable, self.refusal) {
            (Some(why), _) => Finding::Unavailable(why),
            (None, Some(refusal)) => Finding::Refused(refusal),
            (None, None) => Finding::Nothing,
        }
    }
}

impl<T> Judged<T> {
    /// A token that is of nobody's kind is a bad one: it makes nobody anonymous.
    fn of_token(self, token: &str, who: impl FnOnce(T) -> Principal) -> TokenFinding {
        match self {
            Self::Good(found) => TokenFinding::Known(Arc::new(who(found))),
            Self::Bad(doubt) => TokenFinding::Bad(Description::Untold, doubt),
            Self::Unknown(doubt) => TokenFinding::Unknown(doubt),
            Self::Nothing => {
                let why = "it has not the form of the tokens that count here";
                TokenFinding::Bad(Description::Untold, Doubt::new(token_id(token), why))
            }
        }
    }
}

/// Somebody of whom no more is known.
fn plain(name: &Arc<str>, Vouched { user, credential }: Vouched) -> Principal {
    Principal { user, credential, authenticator: Arc::clone(name), ..Principal::default() }
}

/// Whom a token of our own server is about. The claims are those that a signed form of it has.
pub(crate) fn of_own_token(name: &Arc<str>, vouched: Vouched, valid: ValidToken) -> Principal {
    let ValidToken { token, user, .. } = valid;
    let mut claims = Map::new();
    let mut say = |name: &str, value: Value| claims.insert(name.to_owned(), value);
    say("sub", vouched.user.uid.as_str().into());
    say("client_id", token.client.as_str().into());
    say("scope", token.scopes.to_string().into());
    say("iat", token.created.into());
    if let Some(expires) = token.expires() {
        say("exp", expires.seconds.into());
    }
    if !token.audience.is_empty() {
        say("aud", token.audience.clone().into());
    }
    if let Some(session) = &token.session {
        say("sid", session.as_str().into());
    }
    let email = user.map(|user| describe(user, &mut say)).unwrap_or_default();
    Principal {
        email,
        origin: Some(Origin::new(TokenSource::Token(token.name.clone())).to_claim()),
        client_id: token.client.clone(),
        scopes: token.scopes.iter().map(str::to_owned).collect(),
        claims,
        expires: token.expires(),
        session: token.session,
        ..plain(name, vouched)
    }
}

/// Says what is known of a user; what comes back is the address, if somebody has verified it.
fn describe(user: User, say: &mut impl FnMut(&str, Value) -> Option<Value>) -> String {
    say("groups", user.all_groups().into());
    say("preferred_username", user.name.into());
    if !user.full_name.is_empty() {
        say("name", user.full_name.into());
    }
    if user.email.is_empty() {
        return String::new();
    }
    say("email", user.email.as_str().into());
    say("email_verified", user.email_verified.into());
    if user.email_verified { user.email } else { String::new() }
}

#[cfg(test)]
mod tests;
