//! The decision on a request that nobody sent, step by step, for `doorward explain`. Its road is that of every request
//! (`handle.rs`), with two differences: who sends it is taken as said, without any credential, and nothing goes to
//! an application. Policies are asked.

use std::{fmt, sync::Arc};

use doorward_authz::{
    Attempt, Constraints, Judged, Provenance, RuleFit, Verdict, Who,
    gateway::{Fit, Grant, Ruling, Step},
};
use doorward_core::{Identity, Principal, Timestamp, UserInfo};
use doorward_net::{Body, Peer};
use doorward_upstream::Route as UpstreamRoute;
use http::Request;
use serde_json::{Map, Value};

use crate::{
    api::Anonymous,
    gate::Gate,
    gateway::{Crossing, Gateway, OnRoute, rehearsal::Rehearsed},
    handle::{Way, crossing, https_redirect, upstream_of, way},
    ingress::{Arrival, Connection},
    routes::Route,
};

/// A request to be decided about.
#[derive(Debug)]
pub struct Rehearsal {
    pub request: Request<Body>,
    pub connection: Connection,
    /// `None`: nobody who is known.
    pub sender: Option<Sender>,
    pub now: Timestamp,
}

/// Who sends it.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Sender {
    pub name: String,
    pub email: String,
    pub groups: Vec<String>,
    pub scopes: Vec<String>,
    pub claims: Map<String, Value>,
    pub client_id: String,
    /// Who vouches, by name; empty is the first that can.
    pub authenticator: String,
}

/// What a rehearsal came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Told {
    pub lines: Vec<Line>,
    pub end: End,
}

/// One step.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Line {
    pub subject: &'static str,
    /// How many other steps it is a part of.
    pub depth: usize,
    pub text: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// An application gets it, or a forward-auth proxy hears yes.
    Passes,
    TurnedAway,
    /// We answer it ourselves.
    Ours,
}

/// Decides about a request, and tells how.
pub async fn rehearse(gate: &Arc<Gate>, rehearsal: Rehearsal) -> Told {
    let Rehearsal { request, connection, sender, now } = rehearsal;
    let mut teller = Teller::default();
    teller.say("sender", sender.as_ref().map_or_else(|| "nobody who is known".to_owned(), Sender::words));
    let arrival = match gate.ingress.read(&connection, request, now) {
        Ok(arrival) => Box::new(arrival),
        Err(refusal) => {
            return teller.end(End::TurnedAway, format!("{}: {}", refusal.status, refusal.reason));
        }
    };
    teller.say("request", request_words(&arrival));
    let uri = arrival.facts.target.uri().clone();
    let route = match way(gate, &arrival, uri.path()) {
        Way::Malformed(refusal) => {
            return teller.end(End::TurnedAway, format!("{}: {}", refusal.status, refusal.reason));
        }
        Way::Cleaned(clean) => {
            return teller.end(End::Ours, format!("sent to the path that it means: {clean}"));
        }
        Way::OAuth(_) => return teller.end(End::Ours, "the built-in OAuth server answers it"),
        Way::Route(route) => route,
    };
    if https_redirect(gate, &arrival).is_some() && !matches!(route, Route::Ping | Route::Ready) {
        return teller.end(End::Ours, "sent to the same address with https (--force-https)");
    }
    match route {
        Route::Proxied => proxied(gate, arrival, sender.as_ref(), teller).await,
        Route::Auth => question(gate, arrival, sender.as_ref(), teller).await,
        _ => teller.end(End::Ours, "an address of doorward's own"),
    }
}

/// A request for an application.
async fn proxied(
    gate: &Arc<Gate>,
    arrival: Box<Arrival>,
    sender: Option<&Sender>,
    mut teller: Teller,
) -> Told {
    if let Some((gateway, crossing)) = crossing(gate, &arrival) {
        return over_gateway(gate, (gateway, crossing, Judged::Own), (arrival, sender), teller).await;
    }
    if let Some(gateway) = &gate.gateway {
        teller.fits(gateway, &arrival, Judged::Own);
        teller.say("route", "none, so that the rules of the options decide");
    }
    let (found, judged) = upstream_of(gate, &arrival);
    match found {
        UpstreamRoute::Found(upstream) => teller.say("upstream", upstream.id().to_string()),
        UpstreamRoute::AddSlash => {
            teller.say("upstream", "none: sent to the same path with a slash");
        }
        UpstreamRoute::NotFound => teller.say("upstream", "none: whoever may pass gets a 404"),
    }
    by_rules(gate, &arrival, judged, sender, teller)
}

/// A question of a forward-auth proxy.
async fn question(
    gate: &Arc<Gate>,
    arrival: Box<Arrival>,
    sender: Option<&Sender>,
    mut teller: Teller,
) -> Told {
    let judged = Judged::Original;
    let asked = arrival.facts.original.as_ref().map(|target| target.path_and_query().to_owned());
    teller.say(
        "question",
        asked.map_or_else(
            || "about no request that it names".to_owned(),
            |path| format!("about {} {path}", arrival.facts.judged_method()),
        ),
    );
    if let Some(gateway) = gate.gateway.as_deref().filter(|_| arrival.facts.original.is_some()) {
        let crossing = gateway.find(&arrival, judged);
        if !matches!(crossing, Crossing::Nowhere) {
            return over_gateway(gate, (gateway, crossing, judged), (arrival, sender), teller).await;
        }
        teller.fits(gateway, &arrival, judged);
        teller.say("route", "none, so that the rules of the options decide");
    }
    by_rules(gate, &arrival, judged, sender, teller)
}

/// As the rules of the options decide.
fn by_rules(
    gate: &Gate,
    arrival: &Arrival,
    judged: Judged,
    sender: Option<&Sender>,
    mut teller: Teller,
) -> Told {
    let policy = &gate.access.policy;
    for reading in policy.explain(&arrival.facts, judged) {
        match &reading.path {
            Some(path) => teller.say("path", format!("read as {path:?}")),
            None => teller.say("path", "nobody can tell how it will be read: no rule opens it"),
        }
        let is_open = reading.rules.last().is_some_and(|(_, fit)| *fit == RuleFit::Holds);
        for (id, fit) in reading.rules {
            teller.say_below("rule", 1, format!("{id}: {fit}"));
        }
        if !is_open {
            teller.say_below("rule", 1, format!("{}: what is asked of everybody", policy.default_rule()));
        }
    }
    let identity = sender.map(Sender::identity);
    let attempt = match (&identity, &gate.api) {
        (Some(identity), _) => {
            Attempt::Accepted(Who { identity, provenance: Provenance::Provider, provider: None })
        }
        (None, Some(api)) if api.anonymous == Anonymous::Everywhere => Attempt::Anonymous,
        (None, _) => Attempt::NotPresented,
    };
    match policy.decide(&arrival.facts, judged, attempt) {
        Verdict::Login => {
            teller.end(End::TurnedAway, format!("sign in first (rule {})", policy.default_rule()))
        }
        Verdict::Deny(denial) => teller.end(End::TurnedAway, denial.to_string()),
        Verdict::Permit(permit) => {
            let query = arrival.facts.target.query();
            let constraints = query.map(|query| Constraints::from_query(query, gate.access.semicolons));
            if let (Some(constraints), Some(identity)) = (constraints, &identity)
                && let Err(denial) = constraints.check(identity)
            {
                return teller.end(End::TurnedAway, denial.to_string());
            }
            teller.end(End::Passes, permit.grounds().to_string())
        }
    }
}

/// As a route of the gateway decides.
async fn over_gateway(
    gate: &Arc<Gate>,
    (gateway, crossing, judged): (&Gateway, Crossing<'_>, Judged),
    (arrival, sender): (Box<Arrival>, Option<&Sender>),
    mut teller: Teller,
) -> Told {
    if matches!(crossing, Crossing::Document(_)) {
        return teller.end(End::Ours, "what everybody may know of the gateway as an issuer");
    }
    teller.fits(gateway, &arrival, judged);
    let on = match crossing {
        Crossing::Over(on) => on,
        Crossing::Document(_) | Crossing::Nowhere => {
            return teller.end(End::TurnedAway, "404: no route is about it");
        }
        Crossing::Unclear(why) => return teller.end(End::TurnedAway, format!("400: {why}")),
    };
    for (name, value) in &on.params {
        teller.say_below("route", 1, format!("{name} is {value:?}"));
    }
    teller.authenticators(&on);
    let rehearsed = crate::gateway::rehearsal::decide(gate, gateway, (&on, judged), (arrival, sender)).await;
    let (ruling, steps, taken) = match rehearsed {
        Rehearsed::Ruled { ruling, steps, taken } => (ruling, steps, taken),
        Rehearsed::Ended(why) => {
            return teller.end(End::TurnedAway, format!("{why} (route {})", on.route.id));
        }
    };
    teller.say("known", taken);
    for step in steps {
        teller.step(&step);
    }
    teller.ruling(&on, ruling)
}

impl Sender {
    fn words(&self) -> String {
        let Self { name, email, groups, scopes, claims, client_id, authenticator: _ } = self;
        let mut words = name.clone();
        for (what, values) in [("groups", groups), ("scopes", scopes)] {
            if !values.is_empty() {
                words = format!("{words}, {what} {}", values.join(" "));
            }
        }
        for (what, value) in [("e-mail", email), ("client", client_id)] {
            if !value.is_empty() {
                words = format!("{words}, {what} {value}");
            }
        }
        for (name, value) in claims {
            words = format!("{words}, claim {name} {value}");
        }
        words
    }

    /// As an identity provider would describe them.
    pub(crate) fn identity(&self) -> Identity {
        Identity {
            user: self.name.clone(),
            preferred_username: self.name.clone(),
            email: self.email.clone(),
            groups: self.groups.clone(),
            additional: self.claims.iter().map(|(name, value)| (name.clone(), value.clone())).collect(),
        }
    }

    /// As a credential would describe them.
    pub(crate) fn principal(&self, authenticator: &Arc<str>) -> Principal {
        let user = UserInfo { name: self.name.clone(), groups: self.groups.clone(), ..UserInfo::default() };
        Principal {
            user: user.authenticated(),
            email: self.email.clone(),
            authenticator: Arc::clone(authenticator),
            client_id: self.client_id.clone(),
            scopes: self.scopes.clone(),
            claims: self.claims.clone(),
            ..Principal::default()
        }
    }
}

fn request_words(arrival: &Arrival) -> String {
    let facts = &arrival.facts;
    let scheme = facts.scheme.map_or_else(|| "http".to_owned(), |scheme| scheme.to_string());
    let from = match (facts.client.known(), &arrival.connection.peer) {
        (Some(address), _) => address.to_string(),
        (None, Peer::Ip(_)) => "an unknown address".to_owned(),
        (None, Peer::Unix) => "a unix socket".to_owned(),
    };
    let target = facts.target.path_and_query();
    format!("{} {scheme}://{}{target} from {from}", facts.method, facts.host_str())
}

/// Gathers the lines.
#[derive(Debug, Default)]
struct Teller {
    lines: Vec<Line>,
}

impl Teller {
    fn say(&mut self, subject: &'static str, text: impl Into<String>) {
        self.say_below(subject, 0, text);
    }

    fn say_below(&mut self, subject: &'static str, depth: usize, text: impl Into<String>) {
        self.lines.push(Line { subject, depth, text: text.into() });
    }

    fn end(mut self, end: End, text: impl fmt::Display) -> Told {
        let word = match end {
            End::Passes => "permit",
            End::TurnedAway => "turned away",
            End::Ours => "answered here",
        };
        self.say("decision", format!("{word}: {text}"));
        Told { lines: self.lines, end }
    }

    /// Which routes were looked at.
    fn fits(&mut self, gateway: &Gateway, arrival: &Arrival, judged: Judged) {
        for (route, fit) in gateway.explain(arrival, judged) {
            let text = match fit {
                Fit::Found => "yes".to_owned(),
                Fit::Mismatch(why) => format!("no: {why}"),
                Fit::Unclear(why) => format!("cannot be told: {why}"),
            };
            self.say("route", format!("{}: {text}", route.id));
        }
    }

    fn authenticators(&mut self, on: &OnRoute<'_>) {
        let names: Vec<&str> = on.plan.authenticate.iter().map(|one| one.name().as_ref()).collect();
        self.say("asked", format!("{} (in this order)", names.join(", ")));
    }

    fn step(&mut self, step: &Step) {
        let Step { depth, what, truth, why } = step;
        let because = if why.is_empty() { String::new() } else { format!(": {why}") };
        self.say_below("authorize", *depth, format!("{what}: {truth}{because}"));
    }

    fn ruling(mut self, on: &OnRoute<'_>, ruling: Ruling) -> Told {
        let route = &on.route.id;
        match ruling {
            Ruling::Permit(grant) => {
                let Grant { permit, effects, upstream } = *grant;
                let names = effects.headers.iter().map(|(name, _)| name.as_str());
                let names: Vec<&str> = names.collect();
                if !names.is_empty() {
                    self.say("policies", format!("set the headers {}", names.join(", ")));
                }
                if let Some(context) = &effects.context {
                    self.say("policies", format!("tell the application {context}"));
                }
                match on.plan.upstreams.get(upstream) {
                    Some(chosen) => self.say("upstream", format!("{} (upstream {upstream})", chosen.id())),
                    None => self.say("upstream", "none".to_owned()),
                }
                self.say("credential", on.plan.credential.words());
                self.end(End::Passes, permit.grounds().to_string())
            }
            Ruling::Deny(denial) => {
                let mut text = format!("{} (route {route})", denial.unfulfilled);
                if !denial.missing_scopes.is_empty() {
                    text = format!("{text}; missing scopes {}", denial.missing_scopes.join(" "));
                }
                if let Some(status) = denial.answer.and_then(|answer| answer.status) {
                    text = format!("{text}; the policy answers {}", status.as_u16());
                }
                self.end(End::TurnedAway, text)
            }
            Ruling::StepUp(wanted) => self.end(
                End::TurnedAway,
                format!("a stronger or fresher login is needed: {wanted} (route {route})"),
            ),
            Ruling::Fault(fault) => {
                let status = if fault.is_unreachable() { 503 } else { 403 };
                self.end(End::TurnedAway, format!("{status}: {fault} (route {route})"))
            }
        }
    }
}
