//! `<prefix>/backchannel_logout`: the provider ends sessions (`OpenID Connect` Back-Channel Logout 1.0 sections 2.5 to 2.8).
//! Only what it signed for us counts, and only once. Nobody learns whether there was such a session.

use doorward_core::Timestamp;
use doorward_net::Body;
use doorward_oidc::{LogoutToken, LogoutTokenError};
use doorward_session::{StoreError, Whom};
use http::{Method, Response, StatusCode};
use serde_json::json;

use super::forget;
use crate::{form::Form, gate::Gate, ingress::Arrival, providers::Known, respond};

pub(super) async fn answer(gate: &Gate, mut arrival: Arrival) -> Response<Body> {
    if arrival.facts.method != Method::POST {
        return respond::method_not_allowed("POST");
    }
    // Tokens have no business in addresses, which are logged.
    if arrival.facts.target.query().is_some() {
        return refused("the token belongs into the body of the request");
    }
    let form = match Form::read(&mut arrival, gate.access.semicolons).await {
        Ok(form) => form,
        Err(error) => return respond::empty(error.status_or(StatusCode::BAD_REQUEST)),
    };
    let Some(token) = form.only("logout_token") else {
        return refused("there has to be one logout_token");
    };
    let (false, Some(ledger)) = (gate.sign_in.providers.is_empty(), &gate.sessions.ledger) else {
        return refused("no provider may end sessions here");
    };
    let (provider, token) = match Box::pin(checked(gate, token, arrival.now)).await {
        Ok(checked) => checked,
        Err(Unbelieved::Unknown) => return respond::unavailable(),
        Err(Unbelieved::Refused) => return refused("the logout_token is not valid"),
    };
    match end(gate, &arrival, ledger, (provider, token)).await {
        Ok(Some(found)) => {
            tracing::info!(found, "The provider ended sessions");
            respond::empty(StatusCode::OK)
        }
        Ok(None) => {
            tracing::warn!("A logout token came a second time");
            refused("the logout_token came before")
        }
        Err(error) => {
            tracing::error!("The sessions that the provider ended cannot be noted: {error}");
            respond::unavailable()
        }
    }
}

/// Why a token ends nothing.
enum Unbelieved {
    /// Nobody can tell right now.
    Unknown,
    Refused,
}

/// Who made a logout token, and what it says. Each provider has keys of its own, and none takes another's token.
async fn checked<'g>(
    gate: &'g Gate,
    token: &str,
    now: Timestamp,
) -> Result<(&'g Known, LogoutToken), Unbelieved> {
    let mut errors = Vec::new();
    for provider in gate.sign_in.providers.iter() {
        match provider.client.logout_token(token, now).await {
            Ok(token) => return Ok((provider, token)),
            Err(error) => errors.push(error),
        }
    }
    let words = errors.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ");
    if errors.iter().any(LogoutTokenError::is_passing) {
        tracing::error!("A logout token cannot be checked now: {words}");
        return Err(Unbelieved::Unknown);
    }
    tracing::warn!("A logout token was refused: {words}");
    Err(Unbelieved::Refused)
}

/// How many sessions the store listed; nothing if the token came before.
async fn end(
    gate: &Gate,
    arrival: &Arrival,
    ledger: &doorward_session::Ledger,
    (provider, token): (&Known, LogoutToken),
) -> Result<Option<usize>, StoreError> {
    let providers = &gate.sign_in.providers;
    let at = providers.at(provider);
    let whom = match (token.sid, token.subject) {
        (Some(sid), subject) => Whom::Sid { sid, subject, at },
        (None, Some(subject)) => Whom::Subject { subject, at },
        (None, None) => return Ok(Some(0)),
    };
    // Noted as seen before it does anything, or two at a time would both count. If the rest fails the provider is told,
    // and makes another.
    let id = if providers.is_first(provider) { token.id } else { format!("{}\n{}", provider.id, token.id) };
    if !ledger.is_first(&id, arrival.now, token.replayable_until).await? {
        return Ok(None);
    }
    let keys = ledger.end(&whom, arrival.now).await?;
    let found = keys.len();
    forget(gate, arrival, keys);
    Ok(Some(found))
}

fn refused(why: &'static str) -> Response<Body> {
    let body = json!({"error": "invalid_request", "error_description": why});
    respond::json(StatusCode::BAD_REQUEST, body.to_string().into())
}
