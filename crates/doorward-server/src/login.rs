//! Sending a browser to an identity provider.

use std::sync::Arc;

use doorward_core::redirect::SafeRedirect;
use doorward_oidc::{AccountChoice, BeginError, LoginStart};
use doorward_session::{LoginAttempt, RequestCookies, state_parameter};
use doorward_template::words::Message;
use http::{Response, StatusCode};

use crate::{gate::Gate, handle::with_cookies, ingress::Arrival, pages::Problem, respond};
use doorward_net::Body;

/// Whether this login was begun by the person or by us, after an earlier attempt came back unusable. A login is
/// begun anew once; the mark travels in the `state` parameter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Beginning {
    ByPerson,
    Restarted,
}

/// Follows the state hash of a restarted login. A hash is base64url text, which has no dot.
const RESTARTED_MARK: &str = ".r";

/// Splits what came back as the hash part of `state`.
pub(crate) fn read_mark(hash: &str) -> (&str, Beginning) {
    match hash.strip_suffix(RESTARTED_MARK) {
        Some(hash) => (hash, Beginning::Restarted),
        None => (hash, Beginning::ByPerson),
    }
}

/// How to begin a login.
#[derive(Clone, Debug)]
pub(crate) struct Login {
    pub target: SafeRedirect,
    pub account: AccountChoice,
    pub beginning: Beginning,
    /// What else the caller of the endpoint would like to tell the provider (`loginURLParameters`).
    pub wishes: Vec<(String, String)>,
    /// What the login has to be like (`acr_values`, `max_age`).
    pub demands: Vec<(&'static str, String)>,
    /// Where, if somebody has chosen; otherwise at the only provider, or people are shown which there are.
    pub provider: Option<Arc<str>>,
}

impl Login {
    pub(crate) fn to(target: SafeRedirect) -> Self {
        let (account, beginning) = (AccountChoice::Any, Beginning::ByPerson);
        Self { target, account, beginning, wishes: Vec::new(), demands: Vec::new(), provider: None }
    }
}

/// The redirect to the provider, with the CSRF cookie of this attempt (OpenID Connect Core section 3.1.2.1).
pub(crate) async fn begin(gate: &Gate, arrival: &Arrival, login: &Login) -> Response<Body> {
    let providers = &gate.sign_in.providers;
    let chosen = match &login.provider {
        Some(id) => match providers.by_id(id) {
            Some(chosen) => Some(chosen),
            None => return respond::uncached(unknown(gate, arrival)),
        },
        None => providers.only(),
    };
    let Some(provider) = chosen else {
        if !gate.sign_in.is_possible() {
            return respond::uncached(gate.error_page(arrival, &Problem::new(StatusCode::NOT_FOUND)));
        }
        return gate.chooser(arrival, &login.target, login.account);
    };
    let mut attempt = match LoginAttempt::random() {
        Ok(attempt) => attempt,
        Err(error) => return failed(gate, arrival, &error.to_string()),
    };
    let redirect_uri = gate.redirects.redirect_uri.for_request(&arrival.facts);
    let mut hash = attempt.state_hash();
    let nonce_hash = attempt.nonce_hash();
    if login.beginning == Beginning::Restarted {
        hash.push_str(RESTARTED_MARK);
    }
    let state = state_parameter(&hash, login.target.as_str(), gate.sign_in.state);
    let start = LoginStart {
        redirect_uri: &redirect_uri,
        state: &state,
        nonce_hash: &nonce_hash,
        account: login.account,
        wishes: &login.wishes,
        demands: &login.demands,
    };
    let request = match Box::pin(provider.client.begin(&start, arrival.now)).await {
        Ok(request) => request,
        Err(error) => return refused(gate, arrival, &error),
    };
    attempt.verifier = request.verifier;
    attempt.provider = providers.mark(provider);
    let cookies = RequestCookies::new(arrival.headers());
    let set_cookies = match gate.sessions.csrf.begin(&attempt, &arrival.visit(&cookies)) {
        Ok(set_cookies) => set_cookies,
        Err(error) => return failed(gate, arrival, &error.to_string()),
    };
    let response = respond::redirect(StatusCode::FOUND, &request.url, &arrival.facts.method);
    respond::uncached(with_cookies(response, set_cookies))
}

/// Somebody chose a provider that is none of ours: nobody is sent to another in its place.
fn unknown(gate: &Gate, arrival: &Arrival) -> Response<Body> {
    let problem = Problem {
        message: Message::NoSuchProvider.into(),
        explanation: Message::ChooseAProvider.into(),
        ..Problem::new(StatusCode::NOT_FOUND)
    };
    gate.error_page(arrival, &problem)
}

fn failed(gate: &Gate, arrival: &Arrival, reason: &str) -> Response<Body> {
    tracing::error!("A login cannot begin: {reason}");
    let problem = Problem { debug: reason.to_owned(), ..Problem::new(StatusCode::INTERNAL_SERVER_ERROR) };
    respond::uncached(gate.error_page(arrival, &problem))
}

fn refused(gate: &Gate, arrival: &Arrival, error: &BeginError) -> Response<Body> {
    if !error.is_passing() {
        return failed(gate, arrival, &error.to_string());
    }
    tracing::error!("A login cannot begin: {error}");
    let problem = Problem {
        explanation: Message::IdentityProviderUnreachable.into(),
        ..Problem::new(StatusCode::SERVICE_UNAVAILABLE)
    };
    respond::uncached(gate.error_page(arrival, &problem))
}
