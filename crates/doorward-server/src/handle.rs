//! The life of one request, from its first line to its answer. Every step is a room or module of its own:
//!
//! 1. `ingress`       the one parse: facts
//! 2. `routes`        whose road is it: a health path, an endpoint of ours, or the application
//! 3. `authenticate`  who is asking
//! 4. `authz`         may they: a permit, a login, or a denial
//! 5. outcome         forward, answer a forward-auth question, show a page, redirect
//! 6. `record`        log line and metrics, when the last byte is out
//!
//! What the built-in OAuth server knows goes from 1 to [`crate::endpoints::oauth`], and from there to 6.
//!
//! Proxying and forward-auth differ only in the last step (`proxied` and [`crate::endpoints::auth`]).

use std::{sync::Arc, time::SystemTime};

use doorward_authn::websocket;
use doorward_authz::{Constraints, Denial, DenialReason, Judged, Provenance, Verdict};
use doorward_core::{Grounds, Permit, Target, Timestamp, request::Scheme};
use doorward_net::{Body, Peer};
use doorward_oauth::Endpoint;
use doorward_telemetry::{ClientField, Pings};
use doorward_template::words::{Language, Message};
use doorward_upstream::{ForwardError, Forwarding, Route as UpstreamRoute, Upstream, asks_for_websocket};
use http::{
    HeaderValue, Method, Request, Response, StatusCode, Version,
    header::{AUTHORIZATION, SET_COOKIE},
};
use http_body::Body as _;
use serde_json::json;

use crate::{
    api::{Case, Refusal, failure},
    asker::{Asker, Sign},
    authenticate::{self, Freshness, Known, Standing, Visitor, authenticate},
    endpoints,
    explain::{self, Explanation, Outcome, Reason},
    ext_authz,
    form::Form,
    gate::{Gate, HttpsPolicy, JsonErrors, LoginsFor, ProviderButton},
    gateway::{self, Crossing, Gateway},
    ingress::{Arrival, Connection, Duty, Malformed, StrangersHeaders},
    inject::{drop_forwarding, drop_method_overrides, drop_misleading},
    login::{self, Login},
    pages::{self, Links, Problem, SignInPage},
    providers::Offer,
    record::{Query, Record, Recorded, Visibility},
    redirects::OwnEndpoints,
    respond, rounds,
    routes::Route,
    trouble, tunnels,
};

/// Answers one request.
pub(crate) async fn handle(
    gate: Arc<Gate>,
    connection: Arc<Connection>,
    request: Request<Body>,
) -> Response<Recorded> {
    // The answer to HEAD has no content (RFC 9110 section 9.3.2). Over HTTP/1.1 the engine sees to that, over HTTP/2 not.
    let is_bare = request.method() == Method::HEAD && request.version() == Version::HTTP_2;
    let answer = answered(gate, connection, request).await;
    if is_bare { answer.map(Recorded::without_content) } else { answer }
}

async fn answered(
    gate: Arc<Gate>,
    connection: Arc<Connection>,
    request: Request<Body>,
) -> Response<Recorded> {
    let now = Timestamp::from(SystemTime::now());
    let arrival = match gate.ingress.read(&connection, request, now) {
        Ok(arrival) => Box::new(arrival),
        Err(refusal) => {
            return malformed(&connection, refusal);
        }
    };
    let uri = arrival.facts.target.uri().clone();
    let (endpoint, route) = match way(&gate, &arrival, uri.path()) {
        Way::Malformed(refusal) => return malformed(&connection, refusal),
        Way::Cleaned(clean) => {
            let redirect = respond::redirect(StatusCode::MOVED_PERMANENTLY, &clean, &Method::POST);
            return Recorded::unrecorded(redirect);
        }
        Way::OAuth(endpoint) => {
            let route = endpoints::oauth::route(&endpoint);
            (Some(endpoint), route)
        }
        Way::Route(route) => (None, route),
    };
    let mut record = Record::begin(&gate, &arrival, gate.visibility(route));
    let is_probe = matches!(route, Route::Ping | Route::Ready);
    // Probes come over plain HTTP where a proxy in front ends TLS: redirected, they would never succeed. Where we
    // serve https ourselves, oauth2-proxy redirects them too.
    let redirected = !is_probe || matches!(gate.https, HttpsPolicy::Required { port: Some(_) });
    if let Some(redirect) = redirected.then(|| https_redirect(&gate, &arrival)).flatten() {
        return record.finish(redirect);
    }
    if !is_probe {
        record.count();
    }
    let response = match endpoint {
        Some(endpoint) => Box::pin(endpoints::oauth::answer(&gate, endpoint, arrival, &mut record)).await,
        None => answer(&gate, route, arrival, &mut record).await,
    };
    record.finish(response)
}

/// Whose road a request takes.
pub(crate) enum Way<'p> {
    Malformed(Malformed),
    /// Nobody's: it is sent to the path that it means.
    Cleaned(String),
    OAuth(Endpoint),
    Route(Route<'p>),
}

/// Finds whose road a request takes. `path` is its own.
pub(crate) fn way<'p>(gate: &Gate, arrival: &Arrival, path: &'p str) -> Way<'p> {
    if has_encoded_dots(&arrival.facts.target) {
        let reason = "the path holds percent-encoded dot segments, which programs read differently";
        return Way::Malformed(Malformed { status: StatusCode::BAD_REQUEST, reason });
    }
    if let Some(clean) = clean_path(&arrival.facts.target).filter(|_| gate.cleans_paths()) {
        return Way::Cleaned(clean);
    }
    match gate.oauth.as_ref().and_then(|server| server.find(arrival.facts.host_str(), path)) {
        Some(endpoint) => Way::OAuth(endpoint),
        None => Way::Route(gate.routes.find(path, || arrival.user_agent())),
    }
}

/// The answer to a request that cannot be read. It has no record, so the message is all that the log says of it.
fn malformed(connection: &Connection, refusal: Malformed) -> Response<Recorded> {
    let peer = match connection.peer {
        Peer::Ip(address) => ClientField::Peer(address),
        Peer::Unix => ClientField::UnixPeer,
    };
    tracing::info!(
        outcome = Outcome::Deny.word(),
        reason = Reason::Malformed.word(),
        client = %peer,
        "A request was refused: {}.",
        refusal.reason
    );
    Recorded::unrecorded(pages::malformed(refusal.status, refusal.reason))
}

async fn answer(
    gate: &Arc<Gate>,
    route: Route<'_>,
    arrival: Box<Arrival>,
    record: &mut Record,
) -> Response<Body> {
    match route {
        Route::Auth => endpoints::auth::answer(gate, &arrival, record).await,
        Route::Proxied => proxied(gate, arrival, record).await,
        // Rare and large: boxed, so that the requests above, which are nearly all, do not carry the space for these.
        _ => Box::pin(own_page(gate, route, *arrival, record)).await,
    }
}

async fn own_page(
    gate: &Arc<Gate>,
    route: Route<'_>,
    arrival: Arrival,
    record: &mut Record,
) -> Response<Body> {
    match route {
        Route::Robots => gate.pages.robots(),
        Route::SignIn => respond::uncached(endpoints::sign_in::answer(gate, arrival, record).await),
        Route::Start => endpoints::start::answer(gate, arrival).await,
        Route::Callback => respond::uncached(endpoints::callback::answer(gate, arrival, record).await),
        Route::Static(file) => endpoints::static_files::answer(file, &arrival),
        Route::UserInfo => respond::uncached(endpoints::user_info::answer(gate, &arrival, record).await),
        Route::SignOut => respond::uncached(endpoints::sign_out::answer(gate, arrival, record).await),
        Route::AboutSessions(endpoint) => {
            respond::uncached(endpoints::sessions::answer(gate, endpoint, arrival, record).await)
        }
        Route::Ping => endpoints::health::ping(),
        Route::Ready => endpoints::health::ready(gate).await,
        Route::Auth | Route::Proxied | Route::OAuth | Route::OAuthToken => {
            respond::text_error(StatusCode::NOT_FOUND, "404 page not found\n")
        }
    }
}

/// The road to the application.
async fn proxied(gate: &Arc<Gate>, arrival: Box<Arrival>, record: &mut Record) -> Response<Body> {
    if let Some((gateway, crossing)) = crossing(gate, &arrival) {
        return Box::pin(gateway::cross(gate, gateway, (crossing, arrival), record)).await;
    }
    let (found, judged) = upstream_of(gate, &arrival);
    let decided = decide(gate, &arrival, judged, record).await;
    match decided.decision {
        Decision::Permitted { permit, visitor } => {
            let session = visitor.session().cloned();
            let grounds = permit.grounds().clone();
            let told = arrival.connection.duty == Duty::Tell;
            let response = match found {
                _ if told => {
                    let passage = Passage { permit, arrival, visitor: &visitor };
                    Box::pin(forward(gate, None, passage, record)).await
                }
                UpstreamRoute::Found(upstream) => {
                    let passage = Passage { permit, arrival, visitor: &visitor };
                    Box::pin(forward(gate, Some(upstream), passage, record)).await
                }
                UpstreamRoute::AddSlash => add_slash(&arrival),
                UpstreamRoute::NotFound => respond::text_error(StatusCode::NOT_FOUND, "404 page not found\n"),
            };
            identify(gate, response, session.as_deref(), &grounds, decided.set_cookies)
        }
        Decision::Forbidden => with_cookies(respond::forbidden(), decided.set_cookies),
        Decision::Refused(refusal) => {
            with_cookies(failure::answer(gate, &arrival, &refusal), decided.set_cookies)
        }
        Decision::Login => with_cookies(ask_for_login(gate, &arrival).await, decided.set_cookies),
        Decision::Unknown if gate.wants_json(&arrival) => respond::unavailable(),
        Decision::Unknown => {
            // 500, as oauth2-proxy answers people.
            let problem = Problem {
                explanation: Message::SessionsNotRead.into(),
                ..Problem::new(StatusCode::INTERNAL_SERVER_ERROR)
            };
            gate.error_page(&arrival, &problem)
        }
        Decision::Denied { denial, who } => {
            with_cookies(denied(gate, &arrival, &denial, &who), decided.set_cookies)
        }
    }
}

/// Where the gateway has a say in a request, and which.
pub(crate) fn crossing<'g>(gate: &'g Gate, arrival: &Arrival) -> Option<(&'g Gateway, Crossing<'g>)> {
    let gateway = gate.gateway.as_deref()?;
    let crossing = gateway.find(arrival, Judged::Own);
    let is_ours = !matches!(crossing, Crossing::Nowhere) || gate.upstreams.is_empty();
    is_ours.then_some((gateway, crossing))
}

/// The upstream of a request that no route is about, and what is judged of it.
pub(crate) fn upstream_of<'g>(gate: &'g Gate, arrival: &Arrival) -> (UpstreamRoute<'g>, Judged) {
    let found = gate.upstreams.find(&arrival.facts.target);
    // An upstream that forwards nothing answers questions of a forward-auth proxy: those concern another request.
    let judged = match &found {
        UpstreamRoute::Found(upstream) if upstream.is_static() && arrival.facts.original.is_some() => {
            Judged::Original
        }
        _ => Judged::Own,
    };
    (found, judged)
}

/// What steps 3 and 4 came to, for proxying, forward-auth and userinfo alike.
pub(crate) struct Decided {
    pub(crate) decision: Decision,
    /// To be sent with every answer: refreshed or removed sessions.
    pub(crate) set_cookies: Vec<HeaderValue>,
}

pub(crate) enum Decision {
    Permitted {
        permit: Permit,
        visitor: Visitor,
    },
    /// Known, but outside the constraints that the request's own query set; or a credential that ends the matter.
    Forbidden,
    Login,
    /// The session store is down: neither a yes nor a reason to sign in again.
    Unknown,
    Denied {
        denial: Denial,
        who: String,
    },
    /// A program, or anybody with a bad credential, is turned away ([`crate::api`]).
    Refused(Refusal),
}

/// Authenticate, then authorise.
pub(crate) async fn decide(
    gate: &Arc<Gate>,
    arrival: &Arrival,
    judged: Judged,
    record: &mut Record,
) -> Decided {
    if let Some(api) = &gate.api {
        let decided = Box::pin(Case { gate, api, arrival }.decide(judged, record)).await;
        return rounds::settled(gate, arrival, decided);
    }
    let mut visitor = authenticate(gate, arrival, Freshness::Renewed(judged)).await;
    let mut set_cookies = std::mem::take(&mut visitor.set_cookies);
    if let Some(session) = visitor.session() {
        record.identify(session);
    }
    if matches!(visitor.standing, Standing::Forbidden) {
        gate.explain_forbidden(arrival, record, &visitor.shortfall);
        return Decided { decision: Decision::Forbidden, set_cookies };
    }
    let decision = match gate.access.policy.decide(&arrival.facts, judged, visitor.attempt()) {
        Verdict::Permit(permit) => match constrained(gate, arrival, judged, &visitor) {
            Ok(()) => {
                explain::note(&visitor.shortfall);
                record.permit(permit.grounds());
                Decision::Permitted { permit, visitor }
            }
            Err(denial) => {
                gate.log_denial(arrival, record, &visitor, &denial);
                Decision::Forbidden
            }
        },
        Verdict::Login => match visitor.standing {
            Standing::Unknown => {
                gate.explain_unknown(arrival, record, &visitor.shortfall);
                Decision::Unknown
            }
            Standing::Forbidden | Standing::Rejected | Standing::Malformed => Decision::Forbidden,
            Standing::Nobody | Standing::Known(_) => {
                gate.explain_login(arrival, record, &visitor.shortfall);
                if set_cookies.is_empty() && gate.sessions.keeper.always_clears() {
                    set_cookies = Box::pin(authenticate::clear(gate, arrival)).await;
                }
                Decision::Login
            }
        },
        Verdict::Deny(denial) => {
            gate.log_denial(arrival, record, &visitor, &denial);
            set_cookies.extend(Box::pin(authenticate::clear(gate, arrival)).await);
            let who = visitor.session().map(|session| session.identity.display_name().to_owned());
            Decision::Denied { denial, who: who.unwrap_or_default() }
        }
    };
    rounds::settled(gate, arrival, Decided { decision, set_cookies })
}

/// `allowed_groups`, `allowed_emails` and `allowed_email_domains` in the query, and of a question `allowed_providers`; they
/// bind known visitors only.
pub(crate) fn constrained(
    gate: &Gate,
    arrival: &Arrival,
    judged: Judged,
    visitor: &Visitor,
) -> Result<(), Denial> {
    let (Some(query), Standing::Known(Known { session, provenance })) =
        (arrival.facts.target.query(), &visitor.standing)
    else {
        return Ok(());
    };
    let constraints = Constraints::from_query(query, gate.access.semicolons);
    constraints.check(&session.identity)?;
    if judged == Judged::Own {
        return Ok(());
    }
    constraints.check_provider(match (&visitor.key, provenance) {
        (Some(_), Provenance::Provider) => gate.sign_in.providers.id_of(session),
        // A token says it for itself.
        _ => session.provider.as_deref(),
    })
}

/// What goes to the application.
struct Passage<'a> {
    permit: Permit,
    arrival: Box<Arrival>,
    visitor: &'a Visitor,
}

/// Carries a request on; without an upstream, tells what would be carried.
async fn forward(
    gate: &Arc<Gate>,
    upstream: Option<&Upstream>,
    passage: Passage<'_>,
    record: &mut Record,
) -> Response<Body> {
    let Passage { permit, mut arrival, visitor } = passage;
    if let Some(upstream) = upstream {
        record.route(upstream.id());
    }
    let session = visitor.session();
    let mut request = std::mem::take(&mut arrival.request);
    gate.injection.scrub(request.headers_mut(), session.map(AsRef::as_ref));
    if let Some(api) = &gate.api {
        gate.injection.scrub_all(request.headers_mut());
        api.scrub(request.headers_mut());
        if visitor.caller.is_some() {
            // It was for us, and has done its work.
            request.headers_mut().remove(AUTHORIZATION);
        }
    }
    drop_misleading(request.headers_mut(), arrival.facts.hop);
    if session.is_none() {
        // A rule that opens a path may name a method.
        drop_method_overrides(request.headers_mut());
    }
    if gate.ingress.strangers_headers(arrival.facts.hop) == StrangersHeaders::Removed {
        drop_forwarding(request.headers_mut());
    }
    for ours in &gate.sessions.kept_from_applications {
        ours.remove_from(request.headers_mut());
    }
    let tether =
        if asks_for_websocket(&request) { tunnels::tether_of_session(gate, &arrival, visitor) } else { None };
    // A header may go on from what the client sent, of which nothing is left here that must not pass.
    let mut identity =
        gate.injection.for_request(request.headers(), session.map(AsRef::as_ref), permit.grounds());
    if let Some(api) = &gate.api {
        api.tell(&mut identity, visitor.caller.as_deref());
    }
    let Some(upstream) = upstream else { return ext_authz::told(permit, &request, identity) };
    let how = Forwarding {
        peer: arrival.connection.peer_address(),
        identity: &identity,
        user: session.map_or("", |session| session.identity.display_name()),
        worker: arrival.connection.worker,
        tether: tether.as_ref(),
    };
    if may_have_trailers(&request) {
        let gate = Arc::clone(gate);
        let hop = arrival.facts.hop;
        request = request.map(|body| {
            body.with_trailers(move |trailers| {
                gate.injection.scrub_trailers(trailers);
                if let Some(api) = &gate.api {
                    api.scrub(trailers);
                }
                drop_misleading(trailers, hop);
                if gate.ingress.strangers_headers(hop) == StrangersHeaders::Removed {
                    drop_forwarding(trailers);
                }
            })
        });
    }
    match upstream.forward(permit, request, how).await {
        Ok(mut response) => {
            trouble::note_refusal(gate, &arrival, response.status());
            if gate.api.is_some() && response.status() == StatusCode::SWITCHING_PROTOCOLS {
                // An application may repeat what it was offered by somebody else.
                websocket::strip(response.headers_mut());
            }
            response
        }
        Err(error) => {
            tracing::error!("Error proxying to upstream server: {error}");
            gate.error_page(&arrival, &not_forwarded(&error))
        }
    }
}

/// In HTTP/1.1 only content of unstated length can have trailers (RFC 9112 section 7.1.2).
pub(crate) fn may_have_trailers(request: &Request<Body>) -> bool {
    let body = request.body();
    !body.is_end_stream() && (request.version() == Version::HTTP_2 || body.size_hint().exact().is_none())
}

pub(crate) fn not_forwarded(error: &ForwardError) -> Problem {
    let problem = match error {
        // The application was not asked: the operator's rewrite does not fit the path.
        ForwardError::Rewrite(_) => Problem::new(StatusCode::INTERNAL_SERVER_ERROR),
        _ => Problem { message: Message::UpstreamProblem.into(), ..Problem::new(StatusCode::BAD_GATEWAY) },
    };
    Problem { debug: error.to_string(), links: Links::None, ..problem }
}

/// No session where one is needed: JSON for programs, the provider or the sign-in page for people.
pub(crate) async fn ask_for_login(gate: &Gate, arrival: &Arrival) -> Response<Body> {
    ask_for_login_at(gate, arrival, Offer::All).await
}

/// [`ask_for_login`] where not every provider will do.
pub(crate) async fn ask_for_login_at(gate: &Gate, arrival: &Arrival, offer: Offer<'_>) -> Response<Body> {
    if gate.wants_json(arrival) {
        return gate.sign_in_needed(arrival);
    }
    let target = gate.return_target(arrival, gate.wished_target(arrival).as_deref(), OwnEndpoints::Refused);
    // A login would lose the body of other requests: their sender has to see that they were not carried out.
    let begins = gate.access.logins_for == LoginsFor::AnyRequest
        || matches!(arrival.facts.method, Method::GET | Method::HEAD);
    let only = gate.sign_in.providers.only_of(offer);
    if let Some(only) = only.filter(|_| begins && gate.sign_in.button == ProviderButton::Skipped) {
        let provider = Some(Arc::clone(&only.id));
        return login::begin(gate, arrival, &Login { provider, ..Login::to(target) }).await;
    }
    let asked = SignInPage { offer: Some(offer), ..SignInPage::new(StatusCode::FORBIDDEN) };
    respond::uncached(gate.sign_in_page(arrival, &target, asked))
}

fn denied(gate: &Gate, arrival: &Arrival, denial: &Denial, who: &str) -> Response<Body> {
    match gate.asker(arrival) {
        _ if gate.access.json_errors == JsonErrors::Always => {
            respond::json(StatusCode::FORBIDDEN, "{}".into())
        }
        Asker::Program(Sign::PartOfPage | Sign::Preflight | Sign::TakesNoPage) => {
            let told = json!({ "error": "access_denied", "message": explanation(denial.reason).text(Language::English) });
            respond::json(StatusCode::FORBIDDEN, told.to_string().into())
        }
        Asker::Program(Sign::Configured | Sign::TakesJson) | Asker::Person => {
            gate.error_page(arrival, &Problem::denied(denial, who))
        }
    }
}

impl Problem {
    /// The page for somebody who is known but not allowed in.
    pub(crate) fn denied(denial: &Denial, who: &str) -> Self {
        Self {
            explanation: explanation(denial.reason).into(),
            signed_in_as: who.to_owned(),
            ..Self::new(StatusCode::FORBIDDEN)
        }
    }
}

pub(crate) const fn explanation(reason: DenialReason) -> Message {
    match reason {
        DenialReason::EmailMissing => Message::EmailAbsent,
        DenialReason::EmailMalformed => Message::EmailMalformed,
        DenialReason::EmailNotAllowed => Message::EmailNotAllowed,
        DenialReason::GroupMissing => Message::GroupMissing,
        DenialReason::QueryConstraint => Message::NotAmongAllowed,
    }
}

/// Puts identity and cookies on an answer.
pub(crate) fn identify(
    gate: &Gate,
    mut response: Response<Body>,
    session: Option<&doorward_session::Session>,
    grounds: &Grounds,
    set_cookies: Vec<HeaderValue>,
) -> Response<Body> {
    gate.injection.write_answer(response.headers_mut(), session, grounds);
    with_cookies(response, set_cookies)
}

pub(crate) fn with_cookies(mut response: Response<Body>, set_cookies: Vec<HeaderValue>) -> Response<Body> {
    for cookie in set_cookies {
        response.headers_mut().append(SET_COOKIE, cookie);
    }
    response
}

fn add_slash(arrival: &Arrival) -> Response<Body> {
    let target = &arrival.facts.target;
    let query = target.query().map(|query| format!("?{query}")).unwrap_or_default();
    let location = format!("{}/{query}", target.raw_path());
    respond::redirect(StatusCode::MOVED_PERMANENTLY, &location, &arrival.facts.method)
}

/// `--force-https`: the same address with https, where the client is known to have come without.
pub(crate) fn https_redirect(gate: &Gate, arrival: &Arrival) -> Option<Response<Body>> {
    let HttpsPolicy::Required { port } = gate.https else { return None };
    if arrival.facts.scheme == Some(Scheme::Https) {
        return None;
    }
    let host = arrival.facts.host_str();
    let host = match (port, host.rsplit_once(':')) {
        (Some(port), Some((name, digits))) if digits.bytes().all(|byte| byte.is_ascii_digit()) => {
            if port == 443 { name.to_owned() } else { format!("{name}:{port}") }
        }
        _ => host.to_owned(),
    };
    let location = format!("https://{host}{}", arrival.facts.target.path_and_query());
    Some(respond::redirect(StatusCode::PERMANENT_REDIRECT, &location, &arrival.facts.method))
}

impl Gate {
    fn visibility(&self, route: Route<'_>) -> Visibility {
        match route {
            Route::Ping | Route::Ready if self.telemetry.logs.pings() == Pings::Silent => Visibility::Silent,
            Route::Callback | Route::OAuth | Route::AboutSessions(_) => Visibility::Logged(Query::Hidden),
            Route::OAuthToken => Visibility::Logged(Query::HiddenWithName),
            _ => Visibility::Logged(Query::Shown),
        }
    }

    /// Whether odd paths are redirected to what they mean. Where there are routes alone, they are refused.
    fn cleans_paths(&self) -> bool {
        self.gateway.is_none() || !self.upstreams.is_empty()
    }

    pub(crate) fn log_denial(
        &self,
        arrival: &Arrival,
        record: &mut Record,
        visitor: &Visitor,
        denial: &Denial,
    ) {
        let Some(session) = visitor.session() else { return };
        let user = session.identity.display_name();
        let consequence = match denial.reason {
            DenialReason::QueryConstraint => "",
            _ => "removing session ",
        };
        let message =
            format!("Invalid authorization via session ({denial}): {consequence}{}", session.summary());
        self.explain_as(arrival, record, (user, &message), Explanation::denial(denial));
    }

    /// The return target that the query wishes for.
    pub(crate) fn wished_target(&self, arrival: &Arrival) -> Option<String> {
        let form = Form::of_query(arrival.facts.target.query(), self.access.semicolons);
        form.first("rd").map(ToOwned::to_owned)
    }
}

/// Whether a segment is `.` or `..` only after decoding: what is judged here could be something else further on.
fn has_encoded_dots(target: &Target) -> bool {
    let path = target.raw_path();
    path.contains('%')
        && path.split('/').any(|segment| {
            let plain = segment.replace("%2e", ".").replace("%2E", ".");
            plain != segment && matches!(plain.as_str(), "." | "..")
        })
}

/// The path without `//`, `/./` and `/../`, if it had any. Escapes and the query stay as they were.
fn clean_path(target: &Target) -> Option<String> {
    let path = target.raw_path();
    let odd = path.contains("//") || path.split('/').any(|segment| segment == "." || segment == "..");
    if !odd {
        return None;
    }
    let mut kept: Vec<&str> = Vec::new();
    for segment in path.split('/') {
        match segment {
            "" | "." => {}
            ".." => {
                kept.pop();
            }
            _ => kept.push(segment),
        }
    }
    let mut clean = format!("/{}", kept.join("/"));
    if path.ends_with('/') && clean.len() > 1 {
        clean.push('/');
    }
    if let Some(query) = target.query() {
        clean.push('?');
        clean.push_str(query);
    }
    Some(clean)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(target: &str, expected: Option<&str>) {
        let target = Target::new(target.parse().unwrap());
        assert_eq!(clean_path(&target).as_deref(), expected);
    }

    #[test]
    fn odd_paths_are_cleaned_and_everything_else_is_left_alone() {
        check("/a//b?x=1", Some("/a/b?x=1"));
        check("//evil.example/x", Some("/evil.example/x"));
        check("/a%2Fb//c", Some("/a%2Fb/c"));
        check("/a/../b/", Some("/b/"));
        check("/a/./b", Some("/a/b"));
        check("/..", Some("/"));
        check("/a//", Some("/a/"));
        check("/a/", None);
        check("/", None);
        check("/a%2F%2Fb", None);
        check("/a/%2e%2e/b", None);
        check("/x?a=//b", None);
    }
}
