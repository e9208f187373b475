//! The road of a request that a route takes, and the part of it that forward-auth shares: who is asking, and may they.

use std::{net::SocketAddr, sync::Arc};

use doorward_authn::gateway::{Authenticator, Kind};
use doorward_authz::{
    Constraints, Judged,
    gateway::{Asked, Exchange, Found as FoundRoute, Grant, Route, Ruling, Search, Trial, Unclear},
};
use doorward_core::{PathParameters, Principal, RequestFacts, SecretString, Target, request::Scheme};
use doorward_gateway::Document;
use doorward_net::{Body, Peer};
use doorward_policy::{Expose, Facts, Question};
use doorward_upstream::{Tether, asks_for_websocket};
use http::{HeaderMap, HeaderName, HeaderValue, Method, Response, StatusCode, Uri, header::UPGRADE};

use crate::{
    api::{Refusal, impersonation},
    authenticate::is_password_session,
    explain::{Explanation, Outcome, Reason},
    ext_authz,
    gate::Gate,
    gateway::{
        ExposeCredentials, Gateway, RoutePlan,
        body::{self, Seen},
        effects, handles, lasting, outbound, refused,
        who::{self, Known, Origin},
    },
    handle::{explanation, identify, with_cookies},
    ingress::{Arrival, Duty},
    record::Record,
    respond,
};

/// A request on its way over a route.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Case<'a> {
    pub(crate) gate: &'a Arc<Gate>,
    pub(crate) gateway: &'a Gateway,
    pub(crate) arrival: &'a Arrival,
    pub(crate) judged: Judged,
}

/// The answer to a request that goes no further.
type Turned = Box<Response<Body>>;

/// Which route a request takes.
#[derive(Debug)]
pub(crate) enum Crossing<'a> {
    Over(OnRoute<'a>),
    /// What everybody may know of the gateway as an issuer.
    Document(Document),
    Unclear(Unclear),
    /// No route is about it.
    Nowhere,
}

/// A route, with what is to be done with its requests.
#[derive(Debug)]
pub(crate) struct OnRoute<'a> {
    pub(crate) route: &'a Route,
    pub(crate) plan: &'a RoutePlan,
    pub(crate) params: PathParameters,
}

impl Gateway {
    /// What routes are matched with.
    pub(crate) fn asked(arrival: &Arrival, judged: Judged) -> Asked<'_> {
        let exchange = match judged {
            Judged::Own if asks_for_websocket(&arrival.request) => Exchange::WebSocket,
            Judged::Original if names_websocket(arrival.headers()) => Exchange::WebSocket,
            _ => Exchange::Plain,
        };
        Asked { facts: &arrival.facts, judged, headers: arrival.headers(), exchange }
    }

    /// The route of a page to which somebody is to come back: what will be asked of them there is asked of the login.
    pub(crate) fn route_of_page(&self, arrival: &Arrival, page: &str) -> Option<(&Route, &RoutePlan)> {
        let target = Target::new(page.parse().ok().filter(|uri: &Uri| uri.authority().is_none())?);
        let facts = RequestFacts { method: Method::GET, target, ..arrival.facts.clone() };
        let headers = arrival.headers();
        let asked = Asked { facts: &facts, judged: Judged::Own, headers, exchange: Exchange::Plain };
        match self.routes.find(&asked) {
            Search::Found(FoundRoute { place, route, .. }) => Some((route, self.plans.get(place)?)),
            Search::Unclear(_) | Search::NotFound => None,
        }
    }

    /// The route of a request.
    pub(crate) fn find(&self, arrival: &Arrival, judged: Judged) -> Crossing<'_> {
        let uri = arrival.facts.target.uri();
        let document =
            self.issuer.as_ref().and_then(|issuer| issuer.find(arrival.facts.host_str(), uri.path()));
        if let (Judged::Own, Some(document)) = (judged, document) {
            return Crossing::Document(document);
        }
        match self.routes.find(&Self::asked(arrival, judged)) {
            Search::Found(FoundRoute { place, route, params }) => match self.plans.get(place) {
                Some(plan) => Crossing::Over(OnRoute { route, plan, params }),
                None => Crossing::Nowhere,
            },
            Search::Unclear(why) => Crossing::Unclear(why),
            Search::NotFound => Crossing::Nowhere,
        }
    }
}

fn names_websocket(headers: &HeaderMap) -> bool {
    headers.get_all(UPGRADE).iter().any(|value| value.as_bytes().eq_ignore_ascii_case(b"websocket"))
}

impl<'a> Case<'a> {
    /// What is judged, and, for a request that is carried on, forwarded.
    pub(crate) fn target(&self) -> &'a Target {
        match self.judged {
            Judged::Own => &self.arrival.facts.target,
            Judged::Original => self.arrival.facts.judged(),
        }
    }

    pub(crate) fn method(&self) -> &'a Method {
        match self.judged {
            Judged::Own => &self.arrival.facts.method,
            Judged::Original => self.arrival.facts.judged_method(),
        }
    }

    pub(crate) fn scheme(&self) -> &'static str {
        if self.arrival.facts.scheme == Some(Scheme::Https) { "https" } else { "http" }
    }

    /// Who is asking; else the answer to it, and in either case the cookies to send along.
    pub(crate) async fn authenticate(
        &self,
        on: &OnRoute<'a>,
        record: &mut Record,
    ) -> (Result<Known, Turned>, Vec<HeaderValue>) {
        let who::Found { who, set_cookies } = who::authenticate(self, on.plan).await;
        let who = match who {
            Ok(known) => self.as_asked(on, known, record),
            Err(unknown) => Err(refused::unknown(self, on, unknown, record).await.into()),
        };
        if let Ok(known) = &who {
            record.identify(&known.session);
        }
        (who, set_cookies)
    }

    /// Puts whom the sender wants to act as in their place, where that is allowed.
    fn as_asked(&self, on: &OnRoute<'a>, known: Known, record: &mut Record) -> Result<Known, Turned> {
        let Self { gate, arrival, .. } = *self;
        if !impersonation::is_asked(arrival.headers()) {
            return Ok(known);
        }
        let who = &known.principal;
        let off = impersonation::Impersonation::Off;
        let rules = gate.api.as_ref().map_or(&off, |api| &api.impersonation);
        match rules.target(&who.user, arrival.headers()) {
            Ok(user) => {
                let message = "A request acts as somebody else.";
                let explained = Explanation::new(Outcome::Permit, Reason::SignedIn, message);
                let detail = format!("{}, acting as {}", refused::words(who), user.name);
                gate.explain(arrival, record, explained.of_rule(&on.route.id).because(&detail));
                Ok(known.acting_as(user, arrival.now))
            }
            Err(why) => {
                let message = "A request to act as somebody else was refused.";
                let explained = Explanation::new(Outcome::Deny, Reason::ImpersonationRefused, message);
                let detail = format!("{}: {why}", refused::words(who));
                gate.explain(arrival, record, explained.of_rule(&on.route.id).because(&detail));
                let refusal = match why {
                    impersonation::ImpersonationRefusal::Malformed => {
                        Refusal::Malformed("the headers to act as somebody else need one Impersonate-User")
                    }
                    why => Refusal::Forbidden(why.to_string()),
                };
                Err(refused::answer(self, on, &refusal).into())
            }
        }
    }

    /// Whether they may. `headers` are those of the request without what nobody may say of themselves, `target` is what
    /// would be forwarded, and `seen` what may be seen of the body.
    pub(crate) async fn rule(
        &self,
        on: &OnRoute<'a>,
        (known, headers, target, seen): (&Known, &HeaderMap, &Target, &Seen),
        record: &mut Record,
    ) -> Result<Box<Grant>, Turned> {
        let Self { gate, arrival, .. } = *self;
        if let Err(denial) = self.is_admitted(known) {
            gate.explain(arrival, record, Explanation::denial(&denial));
            return Err(refused::forbidden(self, on, known, explanation(denial.reason).into()).into());
        }
        let mut trial = on.route.trial(&known.principal, arrival.now);
        match self.judge(on, (&mut trial, headers, target, seen)).await {
            Ruling::Permit(grant) => {
                record.permit_to(grant.permit.grounds(), &refused::words(&known.principal));
                Ok(grant)
            }
            ruling => Err(refused::ruled(self, on, (known, ruling), record).await.into()),
        }
    }

    /// What the route says to it. The parameters are those of [`Self::rule`].
    pub(crate) async fn judge(
        &self,
        on: &OnRoute<'_>,
        (trial, headers, target, seen): (&mut Trial<'_>, &HeaderMap, &Target, &Seen),
    ) -> Ruling {
        let Self { gateway, arrival, .. } = *self;
        let who = trial.who();
        let (hidden_headers, hidden_parameters) = credentials_of(&on.plan.authenticate);
        let expose = match on.plan.expose {
            ExposeCredentials::ToPolicies => Expose::Credentials,
            ExposeCredentials::Never => {
                Expose::Nothing { headers: &hidden_headers, parameters: &hidden_parameters }
            }
        };
        let facts = &arrival.facts;
        let request_id = arrival.request_id.text();
        let question = Question::new(Facts {
            request_id: &request_id,
            time: arrival.now,
            method: self.method(),
            path_and_query: target.path_and_query(),
            host: facts.host_str(),
            scheme: self.scheme(),
            protocol: arrival.request.version(),
            headers,
            peer: self.peer(),
            peer_principal: certified(on, who),
            body: seen.for_policies(),
            who,
            route: on.route.id.as_str(),
            params: &on.params,
            expose,
        });
        trial.run(&gateway.policies, &question).await
    }

    /// Somebody with a session has to be somebody who would get one now, and who fits what the question asks for.
    pub(crate) fn is_admitted(&self, known: &Known) -> Result<(), doorward_authz::Denial> {
        let identity = &known.session.identity;
        if known.origin == Origin::Session {
            self.gate.check_at_login(&known.session)?;
        }
        match (self.judged, self.arrival.facts.target.query()) {
            (Judged::Original, Some(query)) => {
                let constraints = Constraints::from_query(query, self.gate.access.semicolons);
                constraints.check(identity)?;
                constraints.check_provider(match known.origin {
                    Origin::Session if !is_password_session(&known.session) => {
                        self.gate.sign_in.providers.id_of(&known.session)
                    }
                    _ => None,
                })
            }
            _ => Ok(()),
        }
    }

    fn peer(&self) -> Option<SocketAddr> {
        let client = self.arrival.facts.client.known()?;
        match self.arrival.connection.peer {
            Peer::Ip(peer) if peer.ip().to_canonical() == client => {
                Some(SocketAddr::new(client, peer.port()))
            }
            _ => Some(SocketAddr::new(client, 0)),
        }
    }
}

/// The subject of the certificate, if it was that by which the sender is known.
fn certified<'k>(on: &OnRoute<'_>, who: &'k Principal) -> Option<&'k str> {
    let by = on.plan.authenticate.iter().find(|one| *one.name() == who.authenticator)?;
    matches!(by.kind(), Kind::X509(_)).then_some(who.user.name.as_str())
}

/// Headers and parameters in which authenticators look for credentials.
fn credentials_of(authenticators: &[Arc<Authenticator>]) -> (Vec<HeaderName>, Vec<String>) {
    let (mut headers, mut parameters) = (Vec::new(), Vec::new());
    for source in authenticators.iter().flat_map(|authenticator| authenticator.consumed()) {
        match source {
            doorward_authn::gateway::Source::Header(name) => headers.push(name.clone()),
            doorward_authn::gateway::Source::Query(name) => parameters.push(name.clone()),
            _ => {}
        }
    }
    (headers, parameters)
}

/// Answers a request that [`Gateway::find`] found a way for.
pub(crate) async fn cross(
    gate: &Arc<Gate>,
    gateway: &Gateway,
    (crossing, mut arrival): (Crossing<'_>, Box<Arrival>),
    record: &mut Record,
) -> Response<Body> {
    let on = match crossing {
        Crossing::Over(on) => on,
        Crossing::Document(document) => return published(gateway, document, &arrival).await,
        Crossing::Unclear(why) => return refused::unclear(gate, &arrival, &why, record),
        Crossing::Nowhere => return refused::nowhere(gate, &arrival, record),
    };
    record.on_route(&on.route.id, outbound::hidden_parameters(on.plan));
    let now = arrival.now;
    let originals = handles::take_headers(gateway, arrival.request.headers_mut(), now).await;
    let case = Case { gate, gateway, arrival: &arrival, judged: Judged::Own };
    let originals = match originals {
        Ok(originals) => originals,
        Err(fault) => return refused::unswapped(&case, (&on, on.plan.errors), &fault.into(), record),
    };
    let (who, set_cookies) = case.authenticate(&on, record).await;
    let response = match who {
        Ok(known) => {
            let tether = lasting::tether(&case, &on, &known);
            // Identity headers of clients are gone before anybody decides by headers.
            outbound::scrub(gate, gateway, arrival.request.headers_mut(), arrival.facts.hop);
            let granted = Granted { on, known, originals, tether };
            authorised(gate, gateway, (granted, arrival), record).await
        }
        Err(response) => *response,
    };
    with_cookies(response, set_cookies)
}

async fn published(gateway: &Gateway, document: Document, arrival: &Arrival) -> Response<Body> {
    match &gateway.issuer {
        Some(issuer) => issuer.answer(document, &arrival.facts.method, arrival.now).await.map(Body::from),
        None => respond::text_error(StatusCode::NOT_FOUND, "404 page not found\n"),
    }
}

/// Somebody known on a route.
struct Granted<'a> {
    on: OnRoute<'a>,
    known: Known,
    /// What the client sent handles for.
    originals: Vec<SecretString>,
    tether: Option<Tether>,
}

/// The road of somebody known.
async fn authorised(
    gate: &Arc<Gate>,
    gateway: &Gateway,
    (granted, mut arrival): (Granted<'_>, Box<Arrival>),
    record: &mut Record,
) -> Response<Body> {
    let Granted { on, known, originals, tether } = granted;
    let seen = match on.plan.with_body {
        None => Seen::Nothing,
        Some(_) if arrival.connection.duty == Duty::Tell && ext_authz::is_cut(&arrival.request) => {
            Seen::Truncated
        }
        Some(most) => match body::look(arrival.request.body_mut(), most).await {
            Ok(seen) => seen,
            Err(why) => {
                let case = Case { gate, gateway, arrival: &arrival, judged: Judged::Own };
                return refused::unreadable(&case, &on, why, record);
            }
        },
    };
    let case = Case { gate, gateway, arrival: &arrival, judged: Judged::Own };
    let target = outbound::without_credentials(case.target(), on.plan);
    let target = target.as_ref().unwrap_or_else(|| case.target());
    let judged = (&known, arrival.headers(), target, &seen);
    let grant = match case.rule(&on, judged, record).await {
        Ok(grant) => *grant,
        Err(response) => return *response,
    };
    let Grant { permit, effects, upstream } = grant;
    let Some(upstream) = on.plan.upstreams.get(upstream) else {
        return refused::answer(&case, &on, &Refusal::Status(StatusCode::INTERNAL_SERVER_ERROR));
    };
    let target = effects::rewritten(target, &effects).unwrap_or_else(|| target.clone());
    let outbound = match outbound::prepare(&case, &on, (&known, &effects, permit.grounds())).await {
        Ok(outbound) => outbound.keeping(originals),
        Err(fault) => return refused::no_credential(&case, &on, (&known, &fault), record),
    };
    let grounds = permit.grounds().clone();
    let session = Arc::clone(&known.session);
    let carried = outbound::Carried { permit, outbound, target, tether, on: &on };
    let response = outbound::carry(gate, gateway, (upstream, carried, arrival), record).await;
    let mut response = identify(gate, response, Some(&session), &grounds, Vec::new());
    effects::mark_answer(response.headers_mut(), effects.response_headers_to_add.iter());
    response
}
