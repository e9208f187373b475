//! The questions of forward-auth proxies (`<prefix>/auth`) about requests that a route is about. 202 with the headers that
//! the application is to get; else the route's own answer, and never a redirect.
//!
//! The route is the one that matches the request in question. If none does, the options' rules judge it where there are
//! upstreams of theirs, and else it is refused. A question may also name the route (`?route=<id>`), or a policy that
//! everybody known is to be judged by (`?policy=<name>`).

use std::sync::Arc;

use doorward_authz::{
    Judged,
    gateway::{Effects, Expression, Grant, Match, PathTemplate, Route, Unclear, WebSocketMatch},
};
use doorward_core::{PathParameters, RuleId, Target};
use doorward_net::Body;
use http::{Response, StatusCode};

use crate::{
    form::Form,
    gate::Gate,
    gateway::{
        Gateway,
        body::Seen,
        effects, outbound, refused,
        road::{Case, Crossing, OnRoute},
        who::Known,
    },
    handle::{identify, with_cookies},
    ingress::Arrival,
    record::Record,
    respond,
};

/// Answers a question; `None` if it concerns no route.
pub(crate) async fn answer(
    gate: &Arc<Gate>,
    gateway: &Gateway,
    arrival: &Arrival,
    record: &mut Record,
) -> Option<Response<Body>> {
    let case = Case { gate, gateway, arrival, judged: Judged::Original };
    let query = Form::of_query(arrival.facts.target.query(), gate.access.semicolons);
    let is_named = arrival.facts.original.is_some();
    if 1 < query.all("route").chain(query.all("policy")).count() {
        // Which of them a proxy meant, and which its client added, nobody knows.
        let words = "a question names one route or one policy, and once";
        return Some(refused::unanswerable(&case, words, record));
    }
    match (query.first("route"), query.first("policy")) {
        (None, None) if !is_named => None,
        (None, None) => match gateway.find(arrival, Judged::Original) {
            Crossing::Over(on) => Some(judge(&case, &on, record).await),
            Crossing::Unclear(why) => Some(refused::unclear(gate, arrival, &why, record)),
            // As for a request that would be carried on.
            Crossing::Nowhere if gate.upstreams.is_empty() => {
                Some(refused::unanswerable(&case, "no route is about the request", record))
            }
            Crossing::Nowhere | Crossing::Document(_) => None,
        },
        (Some(id), _) => Some(by_route(&case, id, record).await),
        (None, Some(name)) => Some(by_policy(&case, name, record).await),
    }
}

/// As the route of this id judges it, whether or not it matches.
async fn by_route(case: &Case<'_>, id: &str, record: &mut Record) -> Response<Body> {
    let Case { gateway, .. } = *case;
    let mut named = gateway.routes.iter().zip(&gateway.plans);
    let Some((route, plan)) = named.find(|(route, _)| route.id.as_str() == id) else {
        return refused::unanswerable(case, "the question names no route that there is", record);
    };
    let asks_policies = route.authorize.policies().next().is_some();
    let params = match params(case, if asks_policies { Judges::Path } else { Judges::Sender }) {
        Ok(params) => params,
        Err(why) => return refused::unclear(case.gate, case.arrival, &why, record),
    };
    judge(case, &OnRoute { route, plan, params }, record).await
}

/// As a policy judges it, asked about somebody whom any authenticator knows.
async fn by_policy(case: &Case<'_>, name: &str, record: &mut Record) -> Response<Body> {
    let Case { gateway, .. } = *case;
    let Some(index) = gateway.policies.index(name) else {
        return refused::unanswerable(case, "the question names no policy that there is", record);
    };
    let params = match params(case, Judges::Path) {
        Ok(params) => params,
        Err(why) => return refused::unclear(case.gate, case.arrival, &why, record),
    };
    let route = Route {
        id: RuleId::new(&format!("policy:{name}")),
        matches: Match {
            hosts: Vec::new(),
            path: PathTemplate::everything(),
            methods: Vec::new(),
            headers: Vec::new(),
            query: Vec::new(),
            websocket: WebSocketMatch::Any,
            clients: None,
        },
        authorize: Expression::Policy { name: name.into(), index },
        upstreams: Vec::new(),
        step_up: None,
    };
    judge(case, &OnRoute { route: &route, plan: &gateway.questions, params }, record).await
}

/// What is looked at.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Judges {
    Sender,
    Path,
}

/// The parameters of the path in question, if the routes know it. Policies judge no path that can be read in several ways,
/// and none that nobody named.
fn params(case: &Case<'_>, judges: Judges) -> Result<PathParameters, Unclear> {
    match case.gateway.find(case.arrival, Judged::Original) {
        Crossing::Over(on) => Ok(on.params),
        Crossing::Unclear(why) if judges == Judges::Path => Err(why),
        _ if judges == Judges::Path && case.arrival.facts.original.is_none() => Err(Unclear::Unnamed),
        _ => Ok(PathParameters::new()),
    }
}

/// Proxies show no body. A policy that wants to see one is told that it did not, or it would take it for none.
pub(super) const fn unseen(on: &OnRoute<'_>) -> Seen {
    match on.plan.with_body {
        Some(_) => Seen::Truncated,
        None => Seen::Nothing,
    }
}

async fn judge(case: &Case<'_>, on: &OnRoute<'_>, record: &mut Record) -> Response<Body> {
    let Case { gate, gateway, arrival, .. } = *case;
    record.on_route(&on.route.id, Vec::new());
    let (who, set_cookies) = case.authenticate(on, record).await;
    let response = match who {
        Err(response) => *response,
        Ok(known) => {
            let mut headers = arrival.headers().clone();
            outbound::scrub(gate, gateway, &mut headers, arrival.facts.hop);
            let target = outbound::without_credentials(case.target(), on.plan);
            let target = target.as_ref().unwrap_or_else(|| case.target());
            match case.rule(on, (&known, &headers, target, &unseen(on)), record).await {
                Ok(grant) => accepted(case, on, (&known, *grant), record).await,
                Err(response) => *response,
            }
        }
    };
    with_cookies(response, set_cookies)
}

/// What policies want changed that whoever asks cannot change: it only adds headers to a request.
fn beyond_headers(case: &Case<'_>, effects: &Effects) -> Option<&'static str> {
    let target = case.target();
    let is_changed = |new: Target| new.path_and_query() != target.path_and_query();
    if effects::rewritten(target, effects).is_some_and(is_changed) {
        return Some("query_parameters_to_set or query_parameters_to_remove");
    }
    (!effects.request_headers_to_remove.is_empty()).then_some("request_headers_to_remove")
}

async fn accepted(
    case: &Case<'_>,
    on: &OnRoute<'_>,
    (known, grant): (&Known, Grant),
    record: &mut Record,
) -> Response<Body> {
    let Grant { permit, effects, .. } = grant;
    if let Some(change) = beyond_headers(case, &effects) {
        return refused::unchangeable(case, on, (known, change), record);
    }
    let outbound = match outbound::prepare(case, on, (known, &effects, permit.grounds())).await {
        Ok(outbound) => outbound,
        Err(fault) => return refused::no_credential(case, on, (known, &fault), record),
    };
    let response = respond::empty(StatusCode::ACCEPTED);
    let mut response = identify(case.gate, response, Some(&known.session), permit.grounds(), Vec::new());
    let headers = response.headers_mut();
    for (name, _) in &outbound.set {
        headers.remove(name);
    }
    for (name, value) in outbound.set {
        headers.append(name, value);
    }
    response
}
