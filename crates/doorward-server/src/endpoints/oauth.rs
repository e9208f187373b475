//! The endpoints of the built-in OAuth server: the whole request is read, and handed over. What it means is not this
//! room's business.

use std::sync::Arc;

use doorward_authn::x509::Shown;
use doorward_net::Body;
use doorward_oauth::{Call, Endpoint, KubernetesResource, call::BODY_LIMIT};
use http::{Response, StatusCode};

use crate::{
    api::{Case, failure},
    form,
    gate::Gate,
    ingress::Arrival,
    record::Record,
    respond,
    routes::Route,
};

/// The road of a request to `endpoint`, which decides what the log shows of it.
pub(crate) const fn route(endpoint: &Endpoint) -> Route<'static> {
    match endpoint {
        Endpoint::Kubernetes(KubernetesResource::OwnToken(_) | KubernetesResource::Token(_)) => {
            Route::OAuthToken
        }
        _ => Route::OAuth,
    }
}

pub(crate) async fn answer(
    gate: &Arc<Gate>,
    endpoint: Endpoint,
    arrival: Box<Arrival>,
    record: &mut Record,
) -> Response<Body> {
    let Some(server) = &gate.oauth else {
        return respond::text_error(StatusCode::NOT_FOUND, "404 page not found\n");
    };
    let of_connection = arrival.connection.certificates.clone();
    let certificates =
        gate.api.as_ref().map_or_else(|| of_connection.clone(), |api| api.certificates(&arrival));
    let caller = match (&gate.api, &endpoint) {
        (Some(api), Endpoint::Kubernetes(_)) => {
            match (Case { gate, api, arrival: &arrival }).caller(record).await {
                Ok(caller) => caller,
                Err(refusal) => return failure::answer(gate, &arrival, &refusal),
            }
        }
        _ => None,
    };
    let Arrival { facts, request, now, .. } = *arrival;
    let (head, body) = request.into_parts();
    let body = match form::whole(body, BODY_LIMIT).await {
        Ok(body) => body,
        Err(why) => {
            let status = why.status_or(StatusCode::PAYLOAD_TOO_LARGE);
            return respond::text_error(status, "the body is too long, or did not come in time\n");
        }
    };
    let call = Call {
        method: head.method,
        path: facts.target.raw_path().to_owned(),
        query: facts.target.query().map(ToOwned::to_owned),
        headers: head.headers,
        body,
        client: facts.client,
        certificates: shown(certificates),
        of_connection: shown(of_connection),
        caller,
        now,
    };
    server.answer(endpoint, call).await.map(Body::from)
}

/// The certificates as they came; none for nothing.
fn shown(certificates: Option<Arc<Shown>>) -> Arc<[Vec<u8>]> {
    certificates.map_or_else(|| Arc::from([]), |shown| Arc::clone(shown.certificates()))
}
