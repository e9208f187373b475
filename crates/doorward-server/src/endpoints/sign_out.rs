//! `<prefix>/sign_out`: ends the session here, tells the provider if configured, and goes to the target.

use std::sync::Arc;

use doorward_core::SecretString;
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

pub(crate) async fn answer(gate: &Arc<Gate>, mut arrival: Arrival, record: &mut Record) -> Response<Body> {
    let form = match Form::read(&mut arrival, gate.access.semicolons).await {
        Ok(form) => form,
        Err(error) => {
            return gate
                .error_page(&arrival, &Problem::new(error.status_or(StatusCode::INTERNAL_SERVER_ERROR)));
        }
    };
    if arrival.is_embedded_elsewhere() {
        tracing::info!("A page of another site embeds the sign-out: nobody is signed out.");
        return respond::forbidden();
    }
    let target = gate.return_target(&arrival, form.first("rd"), OwnEndpoints::SignInAllowed);
    let visitor = authenticate(gate, &arrival, Freshness::AsStored).await;
    if matches!(visitor.standing, Standing::Forbidden) {
        gate.explain_forbidden(&arrival, record, &visitor.shortfall);
        return respond::forbidden();
    }
    let id_token = visitor.session().and_then(|session| {
        record.identify(session);
        session.tokens.id.clone()
    });
    let location = filled_in(target.as_str(), &arrival, id_token.as_ref());
    let ended = authenticate::end_sessions(gate, &arrival).await;
    if let (Some(provider), Some(_)) = (&gate.sign_in.provider, visitor.session()) {
        provider.backend_logout(id_token.as_ref()).await;
    }
    let response = match ended.store {
        Ok(()) => respond::redirect(StatusCode::FOUND, &location, &arrival.facts.method),
        Err(error) => gate.error_page(&arrival, &not_ended(error.to_string())),
    };
    with_cookies(response, ended.set_cookies)
}

/// The target with the ID token in its place, as the logout addresses of providers want it. Any page can send a browser
/// here, so the token goes nowhere if another site did, and never to this site itself, whose applications log addresses.
fn filled_in(target: &str, arrival: &Arrival, id_token: Option<&SecretString>) -> String {
    if !target.contains(ID_TOKEN_PLACEHOLDER) {
        return target.to_owned();
    }
    let from_elsewhere = arrival.headers().get_all("sec-fetch-site").iter().any(|site| site == "cross-site");
    let to_this_site = target.starts_with('/');
    let token = id_token.filter(|_| !from_elsewhere && !to_this_site).map_or("", |token| token.expose());
    target.replace(ID_TOKEN_PLACEHOLDER, token)
}

fn not_ended(debug: String) -> Problem {
    Problem {
        message: "You may not be signed out.".into(),
        explanation:
            "This browser has forgotten your session, but it could not be removed from the session store. \
                      Whoever else holds its cookie can use it until it expires."
                .into(),
        debug,
        ..Problem::new(StatusCode::INTERNAL_SERVER_ERROR)
    }
}
