//! `<prefix>/auth`: the question of a forward-auth proxy. 202 with identity headers, 401, or 403; never a redirect.

use std::sync::Arc;

use doorward_authz::Judged;
use doorward_net::Body;
use http::{Response, StatusCode};

use crate::{
    gate::Gate,
    handle::{Decision, decide, identify, with_cookies},
    ingress::Arrival,
    record::Record,
    respond,
};

pub(crate) async fn answer(gate: &Arc<Gate>, arrival: &Arrival, record: &mut Record) -> Response<Body> {
    let decided = decide(gate, arrival, Judged::Original, record).await;
    match decided.decision {
        Decision::Permitted { permit, visitor } => {
            let response = respond::empty(StatusCode::ACCEPTED);
            let session = visitor.session().map(AsRef::as_ref);
            identify(gate, response, session, permit.grounds(), decided.set_cookies)
        }
        Decision::Forbidden => with_cookies(respond::forbidden(), decided.set_cookies),
        Decision::Login | Decision::Unknown | Decision::Denied { .. } => {
            with_cookies(respond::unauthorized(), decided.set_cookies)
        }
    }
}
