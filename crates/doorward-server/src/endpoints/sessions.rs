//! Endpoints about sessions that oauth2-proxy does not have; each is there only if it is switched on.

mod admin;
mod back_channel;
mod front_channel;

use std::sync::Arc;

use doorward_net::Body;
use doorward_session::SessionKey;
use http::{Response, StatusCode};

use crate::{
    form::Form,
    gate::Gate,
    ingress::Arrival,
    record::Record,
    redirects::{OwnEndpoints, accept},
    respond,
    routes::SessionEndpoint,
};

pub(crate) async fn answer(
    gate: &Arc<Gate>,
    endpoint: SessionEndpoint,
    arrival: Arrival,
    record: &mut Record,
) -> Response<Body> {
    match endpoint {
        SessionEndpoint::SignedOut => signed_out(gate, &arrival),
        SessionEndpoint::BackChannelLogout => back_channel::answer(gate, arrival).await,
        SessionEndpoint::FrontChannelLogout => front_channel::answer(gate, &arrival).await,
        SessionEndpoint::Admin => admin::answer(gate, &arrival, record).await,
    }
}

/// A browser comes back from the provider. The state is the page that the sign-out was to lead to; anybody can write one,
/// so it is judged as any other such wish.
fn signed_out(gate: &Gate, arrival: &Arrival) -> Response<Body> {
    let form = Form::of_query(arrival.facts.target.query(), gate.access.semicolons);
    let target = form
        .only("state")
        .and_then(|state| accept(&gate.redirects, &gate.routes, state, OwnEndpoints::SignInAllowed));
    match target {
        Some(target) => respond::redirect(StatusCode::FOUND, target.as_str(), &arrival.facts.method),
        None => gate.signed_out_page(arrival),
    }
}

/// Forgets sessions that are no more: refreshes under way and open connections of this process.
fn forget(gate: &Gate, arrival: &Arrival, keys: Vec<SessionKey>) {
    gate.sessions.refresh.end(keys, arrival.now);
}
