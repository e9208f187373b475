//! Requests that a route of the gateway takes. The road has the steps of every other (`handle.rs`), each with a part
//! of the route: who is asking (`who`), may they (`road`, which asks `authz`), what the application gets (`outbound`), and
//! how others are turned away (`refused`). `subrequest` answers the questions of forward-auth proxies in the same words.
//!
//! A client's credential never goes on to an application unless the route says so, and neither does anything by which
//! applications are told who somebody is.

mod body;
mod effects;
mod handles;
mod lasting;
mod outbound;
mod refused;
pub(crate) mod rehearsal;
mod road;
mod subrequest;
mod who;

use std::{sync::Arc, time::Duration};

use doorward_authn::{chain::Naming, gateway::Authenticator};
use doorward_authz::gateway::Routes;
use doorward_gateway::{Credential, HandleRealm, Handles, Issuer};
use doorward_policy::Policies;
use doorward_session::OwnCookies;
use doorward_upstream::Upstream;
use http::HeaderName;

use crate::api::{ErrorFormat, IdentityForm};

pub(crate) use road::{Case, Crossing, OnRoute, cross};
pub(crate) use subrequest::answer as answer_question;

/// `gateway` of doorward.yaml.
#[derive(Debug)]
pub struct Gateway {
    pub routes: Routes,
    /// What is done with the requests of a route, by its place among [`Gateway::routes`].
    pub plans: Vec<RoutePlan>,
    pub policies: Arc<Policies>,
    /// For questions of forward-auth proxies that name a policy and no route: its authenticators are all that there are.
    pub questions: RoutePlan,
    /// Who signs what applications get, and tells them with which keys.
    pub issuer: Option<Arc<Issuer>>,
    /// The cookies of our sessions. Applications behind routes never get them.
    pub cookies: Vec<OwnCookies>,
    /// What leads from handles back to tokens; set where a route hands out handles.
    pub handles: Option<HandleRealm>,
    /// What people are called whom a session describes.
    pub naming: Naming,
    /// Further headers by which applications are told who somebody is: never taken from clients.
    pub identity_headers: Vec<HeaderName>,
}

/// What is done with the requests of one route.
#[derive(Debug)]
pub struct RoutePlan {
    /// In order, the first that knows somebody is believed. Never none.
    pub authenticate: Vec<Arc<Authenticator>>,
    /// The ids of the providers whose sessions count here; `None`: of all.
    pub providers: Option<Vec<Arc<str>>>,
    /// By the place of the expression that chooses it. Never none.
    pub upstreams: Vec<Upstream>,
    pub credential: CredentialUse,
    /// Who it is, in further headers.
    pub identity: IdentityForm,
    pub errors: ErrorFormat,
    /// The most of a body that policies get to see, in bytes; `None` shows them nothing of it.
    pub with_body: Option<usize>,
    pub expose: ExposeCredentials,
    /// Tokens in answers of the application become handles.
    pub token_responses: Option<Handles>,
    /// How long a `WebSocket` or a stream of events may last.
    pub max_connection_age: Option<Duration>,
}

/// What the application gets in place of the client's credential.
#[derive(Clone, Debug)]
pub struct CredentialUse {
    pub credential: Arc<Credential>,
    /// Whom it is for; empty where the credential needs nobody.
    pub audience: String,
    /// It reaches no further than these; `None` leaves it to the client's.
    pub max_scopes: Option<Vec<String>>,
}

/// `exposeCredentials`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ExposeCredentials {
    /// Policies see neither tokens nor cookies.
    Never,
    ToPolicies,
}
