//! Liveness and readiness. Neither needs authentication, and neither says anything about the configuration.

use doorward_net::Body;
use http::{Response, StatusCode};

use crate::{gate::Gate, respond};

/// The process answers.
pub(crate) fn ping() -> Response<Body> {
    respond::text_answer(StatusCode::OK, "OK".into())
}

/// Sessions can be read, and people can sign in.
pub(crate) async fn ready(gate: &Gate) -> Response<Body> {
    if let Err(error) = gate.sessions.keeper.ready().await {
        tracing::warn!("Not ready: {error}");
        return respond::text_answer(
            StatusCode::INTERNAL_SERVER_ERROR,
            "error: the session store is unavailable\n".into(),
        );
    }
    if !gate.sign_in.providers.is_any_ready() {
        let text = "error: the identity provider has not answered yet\n";
        return respond::text_answer(StatusCode::SERVICE_UNAVAILABLE, text.into());
    }
    respond::text_answer(StatusCode::OK, "OK".into())
}
