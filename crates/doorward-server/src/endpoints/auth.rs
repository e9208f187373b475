//! `<prefix>/auth`: the question of a forward-auth proxy. 202 with identity headers, 401, or 403; never a redirect.

use std::sync::Arc;

use doorward_authz::Judged;
use doorward_net::Body;
use http::{Response, StatusCode};

use crate::{
    api::{
        Refusal,
        failure::{self, Challenge},
    },
    gate::Gate,
    gateway,
    handle::{Decision, decide, identify, with_cookies},
    ingress::Arrival,
    record::Record,
    respond,
};

pub(crate) async fn answer(gate: &Arc<Gate>, arrival: &Arrival, record: &mut Record) -> Response<Body> {
    if let Some(gateway) = &gate.gateway
        && let Some(response) = Box::pin(gateway::answer_question(gate, gateway, arrival, record)).await
    {
        return response;
    }
    let decided = decide(gate, arrival, Judged::Original, record).await;
    match decided.decision {
        Decision::Permitted { permit, visitor } => {
            let response = respond::empty(StatusCode::ACCEPTED);
            let session = visitor.session().map(AsRef::as_ref);
            let mut response = identify(gate, response, session, permit.grounds(), decided.set_cookies);
            if let Some(api) = &gate.api {
                api.tell_proxy(response.headers_mut(), visitor.caller.as_deref());
            }
            response
        }
        Decision::Refused(refusal) => {
            with_cookies(failure::answer(gate, arrival, &refusal), decided.set_cookies)
        }
        Decision::Login if gate.api.is_some() => {
            let response = gate.sign_in_needed_behind(arrival);
            let mut response = with_cookies(response, decided.set_cookies);
            Refusal::Unauthenticated.mark(response.headers_mut(), Challenge::Realm);
            response
        }
        Decision::Forbidden => with_cookies(respond::forbidden(), decided.set_cookies),
        Decision::Login => with_cookies(gate.sign_in_needed_behind(arrival), decided.set_cookies),
        Decision::Unknown | Decision::Denied { .. } => {
            with_cookies(respond::unauthorized(), decided.set_cookies)
        }
    }
}
