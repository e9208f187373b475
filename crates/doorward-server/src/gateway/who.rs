//! Who sends a request to a route: the first of the route's authenticators who knows somebody is believed, also after
//! another found something bad. With something bad and nobody known nobody is anonymous (norm A1.2).

use std::sync::Arc;

use aws_lc_rs::digest::{SHA256, digest};
use doorward_authn::{
    chain::{self, Naming},
    gateway::{Authenticator, CookieTokens, Description, Finding, Kind, Presented, Refusal},
    x509::Shown,
};
use doorward_authz::Provenance;
use doorward_core::{Identity, Principal, Timestamp, UserInfo};
use doorward_session::{Session, SessionKey};
use http::{
    HeaderMap, HeaderValue, Method,
    header::{ORIGIN, UPGRADE},
};
use serde_json::{Map, Value};

use crate::{
    authenticate::{self, Freshness, Standing},
    explain::Shortfall,
    gate::Gate,
    gateway::{Case, RoutePlan},
    ingress::Arrival,
    providers::Offer,
};

/// Somebody known, or nobody in particular where that is allowed.
#[derive(Clone, Debug)]
pub(crate) struct Known {
    pub(crate) principal: Arc<Principal>,
    /// The same in the words of headers.
    pub(crate) session: Arc<Session>,
    pub(crate) origin: Origin,
    /// The stored session, by its name from now on.
    pub(crate) key: Option<SessionKey>,
}

/// By what somebody is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Origin {
    /// The session of a browser.
    Session,
    Credential,
}

/// Nobody is known.
#[derive(Debug)]
pub(crate) enum Unknown {
    /// No credential came; of a session that was no good, why.
    Nobody(Shortfall),
    Refused(Vec<Refusal>),
    /// Nobody can tell at the moment, and why.
    Unavailable(Vec<String>),
    /// There are two `Authorization` lines: who reads the first and who reads the last would see different people.
    Repeated,
}

/// What authentication found, and the cookies to send with whatever the answer will be.
#[derive(Debug)]
pub(crate) struct Found {
    pub(crate) who: Result<Known, Unknown>,
    pub(crate) set_cookies: Vec<HeaderValue>,
}

/// What was found on the way to somebody known.
#[derive(Default)]
struct Gathered {
    refusals: Vec<Refusal>,
    unavailable: Vec<String>,
    shortfall: Option<Shortfall>,
    set_cookies: Vec<HeaderValue>,
    anonymous: Option<Arc<str>>,
}

/// Asks the authenticators of a route in order.
pub(crate) async fn authenticate(case: &Case<'_>, plan: &RoutePlan) -> Found {
    let Case { gate, arrival, .. } = *case;
    if chain::bearer_token(arrival.headers()).is_err() {
        return Found { who: Err(Unknown::Repeated), set_cookies: Vec::new() };
    }
    let certificates = case.certificates();
    let presented = case.presented(certificates.as_deref());
    let mut gathered = Gathered::default();
    for authenticator in &plan.authenticate {
        match authenticator.kind() {
            Kind::Anonymous => gathered.anonymous = Some(Arc::clone(authenticator.name())),
            Kind::Session => {
                let by_session = Box::pin(by_session(case, plan, authenticator));
                if let Some(known) = by_session.await.take(&mut gathered) {
                    return Found { who: Ok(known), set_cookies: gathered.set_cookies };
                }
            }
            _ => match Box::pin(authenticator.attempt(&presented)).await {
                Finding::Nothing => {}
                Finding::User(principal) => {
                    let session = Arc::new(session_of(gate, &principal, arrival));
                    let known = Known { principal, session, origin: Origin::Credential, key: None };
                    return Found { who: Ok(known), set_cookies: gathered.set_cookies };
                }
                Finding::Refused(refusal) => gathered.refusals.push(refusal),
                Finding::Unavailable(why) => gathered.unavailable.push(why),
            },
        }
    }
    gathered.unknown(arrival)
}

impl Case<'_> {
    /// What the client showed in a TLS handshake, here or with a proxy in front.
    pub(crate) fn certificates(&self) -> Option<Arc<Shown>> {
        match &self.gate.api {
            Some(api) => api.certificates(self.arrival),
            None => self.arrival.connection.certificates.clone(),
        }
    }

    /// What authenticators look at.
    pub(crate) fn presented<'p>(&'p self, certificates: Option<&'p Shown>) -> Presented<'p> {
        Presented {
            headers: self.arrival.headers(),
            query: self.target().query(),
            certificates,
            of_connection: self.arrival.connection.certificates.as_deref(),
            cookies: self.cookie_tokens(),
            now: self.arrival.now,
        }
    }

    /// Pages of other sites can make a browser send its cookies along. What may change something, and what opens a
    /// WebSocket, does not count by them then.
    fn cookie_tokens(&self) -> CookieTokens {
        let headers = self.arrival.headers();
        let only_reads = matches!(*self.method(), Method::GET | Method::HEAD | Method::OPTIONS)
            && !headers.contains_key(UPGRADE);
        if only_reads || !is_of_another_site(headers, self.arrival.facts.host_str()) {
            CookieTokens::Count
        } else {
            CookieTokens::DoNotCount
        }
    }
}

/// Whether a browser says that another site's page sends this: by `Sec-Fetch-Site` (Fetch Metadata), and where browsers do
/// not send that, by an `Origin` that is not `host`.
fn is_of_another_site(headers: &HeaderMap, host: &str) -> bool {
    let mut sites = headers.get_all("sec-fetch-site").iter().peekable();
    if sites.peek().is_some() {
        return sites.any(|site| !["same-origin", "same-site", "none"].iter().any(|ours| site == ours));
    }
    headers.get_all(ORIGIN).iter().any(|origin| {
        let authority = origin.to_str().ok().and_then(|origin| origin.split_once("://"));
        authority.is_none_or(|(_, authority)| !authority.eq_ignore_ascii_case(host))
    })
}

impl Case<'_> {
    /// Whether the session of this visitor comes from a provider whose sessions count on a route. One that was made with a
    /// password comes from none.
    fn counts(&self, plan: &RoutePlan, visitor: &authenticate::Known) -> bool {
        let Some(ids) = &plan.providers else { return true };
        let provider = self.gate.sign_in.providers.of_session(&visitor.session);
        visitor.provenance == Provenance::Provider
            && provider.is_some_and(|provider| Offer::Only(ids).holds(&provider.id))
    }
}

impl Known {
    /// Somebody else in their place. What the credential says is not about them.
    pub(crate) fn acting_as(self, user: UserInfo, now: Timestamp) -> Self {
        let Principal { user: real, authenticator, credential, expires, session, .. } = &*self.principal;
        let principal = Principal {
            actor: Some(serde_json::json!({ "sub": real.name })),
            authenticator: Arc::clone(authenticator),
            credential: credential.clone(),
            expires: *expires,
            session: session.clone(),
            user: user.clone(),
            ..Principal::default()
        };
        let session = Session { created_at: Some(now), identity: Identity::from(user), ..Session::default() };
        let (principal, session) = (Arc::new(principal), Arc::new(session));
        Self { principal, session, origin: Origin::Credential, key: self.key }
    }
}

impl Gathered {
    fn unknown(self, arrival: &Arrival) -> Found {
        let Self { refusals, unavailable, shortfall, set_cookies, anonymous } = self;
        let who = match (unavailable.is_empty(), refusals.is_empty(), anonymous) {
            (false, _, _) => Err(Unknown::Unavailable(unavailable)),
            (true, false, _) => Err(Unknown::Refused(refusals)),
            (true, true, Some(name)) => Ok(nobody_in_particular(name, arrival)),
            (true, true, None) => Err(Unknown::Nobody(shortfall.unwrap_or(Shortfall::NoSession))),
        };
        Found { who, set_cookies }
    }
}

pub(crate) fn nobody_in_particular(authenticator: Arc<str>, arrival: &Arrival) -> Known {
    let session =
        Session { created_at: Some(arrival.now), identity: Identity::anonymous(), ..Session::default() };
    Known {
        principal: Arc::new(Principal::anonymous(authenticator)),
        session: Arc::new(session),
        origin: Origin::Credential,
        key: None,
    }
}

/// What a session came to.
struct BySession {
    found: Result<Known, NoSession>,
    set_cookies: Vec<HeaderValue>,
}

enum NoSession {
    /// There is none, or it is over. Browsers send what they have: a cookie of an old session is no bad credential.
    Nothing(Shortfall),
    Unavailable(String),
    ReservedName(Refusal),
}

impl BySession {
    fn take(self, gathered: &mut Gathered) -> Option<Known> {
        gathered.set_cookies.extend(self.set_cookies);
        match self.found {
            Ok(known) => return Some(known),
            Err(NoSession::Nothing(why)) => gathered.shortfall = Some(why),
            Err(NoSession::Unavailable(why)) => gathered.unavailable.push(why),
            Err(NoSession::ReservedName(refusal)) => gathered.refusals.push(refusal),
        }
        None
    }
}

async fn by_session(case: &Case<'_>, plan: &RoutePlan, authenticator: &Authenticator) -> BySession {
    let Case { gate, gateway, arrival, .. } = *case;
    let visitor = authenticate::by_stored_session(gate, arrival, Freshness::RenewedWhenDue).await;
    let found = match visitor.standing {
        Standing::Known(known) if !case.counts(plan, &known) => {
            Err(NoSession::Nothing(Shortfall::OtherProvider))
        }
        Standing::Known(known) => principal_of(&known.session, authenticator.name(), gateway.naming)
            .map_or_else(
                || {
                    let reason = Shortfall::ReservedName.detail();
                    let (authenticator, credential) = (Arc::clone(authenticator.name()), "-".to_owned());
                    let description = Description::NoToken;
                    Err(NoSession::ReservedName(Refusal { authenticator, credential, description, reason }))
                },
                |principal| {
                    let (principal, session) = (Arc::new(principal), known.session);
                    Ok(Known { principal, session, origin: Origin::Session, key: visitor.key })
                },
            ),
        Standing::Unknown => Err(NoSession::Unavailable(visitor.shortfall.detail())),
        _ => Err(NoSession::Nothing(visitor.shortfall)),
    };
    BySession { found, set_cookies: visitor.set_cookies }
}

/// Somebody with a session. The claims are those of the ID token that the session was made with, and those that were
/// taken up at the login; `None` if nobody may be called so.
pub(crate) fn principal_of(session: &Session, authenticator: &Arc<str>, naming: Naming) -> Option<Principal> {
    let Identity { user, email, groups, preferred_username, additional } = &session.identity;
    let mut claims =
        session.tokens.id.as_ref().and_then(|token| claims_of(token.expose())).unwrap_or_default();
    claims.extend(additional.iter().map(|(name, value)| (name.clone(), value.clone())));
    let mut say = |name: &str, value: &str| {
        if !value.is_empty() {
            claims.insert(name.to_owned(), value.into());
        }
    };
    say("sub", user);
    say("email", email);
    say("preferred_username", preferred_username);
    if !groups.is_empty() {
        claims.insert("groups".to_owned(), groups.clone().into());
    }
    let text = |name: &str| claims.get(name).and_then(Value::as_str).map(ToOwned::to_owned);
    let sid = text("sid");
    let credential = {
        let created = session.created_at.map(|at| (at.seconds, at.nanos));
        let provider = session.provider.as_ref().map(|id| format!("\n{id}")).unwrap_or_default();
        let named = format!("{user}\n{}\n{created:?}{provider}", sid.as_deref().unwrap_or_default());
        let hash = digest(&SHA256, named.as_bytes());
        // Enough to tell sessions apart in logs.
        base64_simd::URL_SAFE_NO_PAD.encode_to_string(hash.as_ref().get(..9).unwrap_or_default())
    };
    Some(Principal {
        user: chain::user_of(&session.identity, naming)?,
        email: email.clone(),
        authenticator: Arc::clone(authenticator),
        client_id: text("azp").unwrap_or_default(),
        scopes: text("scope")
            .map(|scopes| scopes.split(' ').map(ToOwned::to_owned).collect())
            .unwrap_or_default(),
        session: sid,
        credential,
        claims,
        ..Principal::default()
    })
}

/// The claims of a token that was verified when the session was made, and has been sealed since.
fn claims_of(id_token: &str) -> Option<Map<String, Value>> {
    let payload = id_token.split('.').nth(1)?;
    let bytes = base64_simd::URL_SAFE_NO_PAD.decode_to_vec(payload).ok()?;
    serde_json::from_slice(&bytes).ok()
}

/// Somebody with another credential, as the headers of [`crate::inject`] describe people. It lives for one request.
pub(crate) fn session_of(gate: &Gate, principal: &Principal, arrival: &Arrival) -> Session {
    let wanted = gate.injection.additional_claims();
    let additional =
        wanted.filter_map(|name| Some((name.to_owned(), principal.claim(name)?.clone()))).collect();
    let identity =
        Identity { email: principal.email.clone(), additional, ..Identity::from(principal.user.clone()) };
    Session { created_at: Some(arrival.now), identity, ..Session::default() }
}

/// Of what several authenticators say, what is worth telling the client.
pub(crate) fn worth_telling(refusals: &[Refusal]) -> Description {
    refusals.iter().map(|refusal| refusal.description).max().unwrap_or(Description::NoToken)
}
