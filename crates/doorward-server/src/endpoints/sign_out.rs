//! `<prefix>/sign_out`: ends the session here, tells the provider if configured, and goes to the target.

use std::sync::Arc;

use doorward_net::Body;
use http::{Response, StatusCode};

use crate::{
    authenticate::{self, Freshness, Standing, authenticate},
    form::Form,
    gate::Gate,
    handle::with_cookies,
    ingress::Arrival,
    pages::Problem,
    record::Record,
    redirects::OwnEndpoints,
    respond,
};

/// In a target or in the provider's logout address, stands for the session's ID token.
const ID_TOKEN_PLACEHOLDER: &str = "{id_token}";

pub async fn answer(gate: &Arc<Gate>, mut arrival: Arrival, record: &mut Record) -> Response<Body> {
    let Ok(form) = Form::read(&mut arrival, gate.access.semicolons).await else {
        return gate.error_page(&arrival, &Problem::new(StatusCode::INTERNAL_SERVER_ERROR));
    };
    let target = gate.return_target(&arrival, form.first("rd"), OwnEndpoints::SignInAllowed);
    let visitor = authenticate(gate, &arrival, Freshness::AsStored).await;
    if matches!(visitor.standing, Standing::Forbidden) {
        return respond::forbidden();
    }
    let id_token = visitor.session().and_then(|session| {
        record.identify(session);
        session.tokens.id.clone()
    });
    let mut location = target.as_str().to_owned();
    if location.contains(ID_TOKEN_PLACEHOLDER) {
        location =
            location.replace(ID_TOKEN_PLACEHOLDER, id_token.as_ref().map_or("", |token| token.expose()));
    }
    if let (Some(provider), Some(_)) = (&gate.sign_in.provider, visitor.session()) {
        provider.backend_logout(id_token.as_ref()).await;
    }
    let mut set_cookies = visitor.set_cookies;
    if set_cookies.is_empty() {
        set_cookies = authenticate::clear(gate, &arrival).await;
    }
    with_cookies(respond::redirect(StatusCode::FOUND, &location, &arrival.facts.method), set_cookies)
}
