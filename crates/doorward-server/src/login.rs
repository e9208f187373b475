//! Sending a browser to an identity provider.

use std::sync::Arc;

use doorward_core::redirect::SafeRedirect;
use doorward_oidc::{AccountChoice, BeginError, LoginStart};
use doorward_session::{LoginAttempt, RequestCookies, state_parameter};
use doorward_template::words::Message;
use http::{Response, StatusCode};

use crate::{
    explain::{Explanation, Outcome, Reason},
    gate::Gate,
    handle::with_cookies,
    ingress::Arrival,
    pages::Problem,
    respond,
    trouble::{self, Demands, Elsewhere},
};
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

/// Precedes that of a login that ends at a host which does not get its cookie: nothing but the log depends on it.
const ELSEWHERE_MARK: &str = ".o";

/// Splits what came back as the hash part of `state`.
pub(crate) fn read_mark(hash: &str) -> (&str, Beginning, Elsewhere) {
    let (hash, beginning) = match hash.strip_suffix(RESTARTED_MARK) {
        Some(hash) => (hash, Beginning::Restarted),
        None => (hash, Beginning::ByPerson),
    };
    match hash.strip_suffix(ELSEWHERE_MARK) {
        Some(hash) => (hash, beginning, Elsewhere::Yes),
        None => (hash, beginning, Elsewhere::No),
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
    let demands = if login.demands.is_empty() { Demands::None } else { Demands::Some };
    if let Some(stopped) =
        (login.account == AccountChoice::Any).then(|| trouble::stop_round(gate, arrival, demands)).flatten()
    {
        return respond::uncached(stopped);
    }
    let mut attempt = match LoginAttempt::random() {
        Ok(attempt) => attempt,
        Err(error) => return failed(gate, arrival, &error.to_string()),
    };
    let redirect_uri = gate.redirects.redirect_uri.for_request(&arrival.facts);
    let mut hash = attempt.state_hash();
    let nonce_hash = attempt.nonce_hash();
    if Elsewhere::of(gate, &arrival.facts, &redirect_uri) == Elsewhere::Yes {
        hash.push_str(ELSEWHERE_MARK);
    }
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
    let explanation = Explanation::new(Outcome::Error, Reason::ProviderUnreachable, "A login cannot begin.");
    let mend = "see whether this machine reaches the provider: name, network, proxy, certificate (--provider-ca-file)";
    gate.say(arrival, &explanation.because(error).mended_by(mend));
    let problem = Problem {
        explanation: Message::IdentityProviderUnreachable.into(),
        ..Problem::new(StatusCode::SERVICE_UNAVAILABLE)
    };
    respond::uncached(gate.error_page(arrival, &problem))
}
