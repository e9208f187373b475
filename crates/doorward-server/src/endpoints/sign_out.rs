//! `<prefix>/sign_out`: ends the session here, tells the provider if configured, and goes to the target, or to the provider
//! that shall end its session too.

use std::sync::Arc;

use doorward_core::{SecretString, Timestamp, Tokens};
use doorward_net::Body;
use doorward_oidc::{EndSession, Provider};
use doorward_session::Session;
use doorward_template::words::Message;
use http::{Response, StatusCode};

use crate::{
    asker::Fetch,
    authenticate::{self, Freshness, Standing, authenticate},
    form::Form,
    gate::{Gate, ProviderLogout, TokensAtSignOut},
    handle::with_cookies,
    ingress::Arrival,
    pages::Problem,
    providers::Known,
    record::Record,
    redirects::OwnEndpoints,
    respond, rounds,
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
    let mut location = location;
    let session = visitor.session();
    let provider = session.and_then(|session| gate.sign_in.providers.of_session(session));
    if let (Some(Known { client: provider, .. }), Some(session)) = (provider, session) {
        provider.backend_logout(id_token.as_ref()).await;
        // Passwords and bearer tokens are no logins of the provider that could end.
        if visitor.key.is_some() && session.tokens != Tokens::default() {
            take_back(gate, (provider, arrival.now), session);
            let back = form.first("rd").map_or("", |_| target.as_str());
            location = at_provider(gate, &arrival, (provider, id_token.as_ref()), back).unwrap_or(location);
        }
    }
    let response = match ended.store {
        Ok(()) => respond::redirect(StatusCode::FOUND, &location, &arrival.facts.method),
        Err(error) => gate.error_page(&arrival, &not_ended(error.to_string())),
    };
    let set_cookies = ended.set_cookies.into_iter().chain(rounds::forget(gate, &arrival)).collect();
    with_cookies(response, set_cookies)
}

/// Where the provider signs people out, if it is to (`--provider-logout`); the target comes back as the state. Any page
/// can send a browser here: then the provider gets no ID token, and asks its user.
fn at_provider(
    gate: &Gate,
    arrival: &Arrival,
    (provider, id_token): (&Provider, Option<&SecretString>),
    target: &str,
) -> Option<String> {
    if gate.sign_out.provider == ProviderLogout::Off {
        return None;
    }
    let end = EndSession {
        id_token: id_token.filter(|_| !Fetch::of(arrival.headers()).is_from_another_site()),
        return_to: &gate.redirects.signed_out_uri.for_request(&arrival.facts),
        state: target,
    };
    match provider.end_session_url(&end) {
        Ok(url) => Some(url),
        Err(reason) => {
            tracing::warn!(%reason, "Nobody is signed out at the provider");
            None
        }
    }
}

/// Has the provider take the tokens back (`--revoke-tokens`), without anybody waiting for it.
fn take_back(gate: &Gate, (provider, now): (&Provider, Timestamp), session: &Session) {
    if gate.sign_out.tokens == TokensAtSignOut::LeftAlone {
        return;
    }
    let Ok(place) = Arc::clone(&gate.sign_out.revocations).try_acquire_owned() else {
        tracing::warn!("So many tokens are being taken back that those of a session are left alone");
        return;
    };
    let (provider, tokens) = (provider.clone(), session.tokens.clone());
    tokio::spawn(async move {
        provider.revoke(&tokens, now).await;
        drop(place);
    });
}

/// The target with the ID token in its place, as the logout addresses of providers want it. Any page can send a browser
/// here, so the token goes nowhere if another site did, and never to this site itself, whose applications log addresses.
fn filled_in(target: &str, arrival: &Arrival, id_token: Option<&SecretString>) -> String {
    if !target.contains(ID_TOKEN_PLACEHOLDER) {
        return target.to_owned();
    }
    let from_elsewhere = Fetch::of(arrival.headers()).is_from_another_site();
    let to_this_site = target.starts_with('/');
    let token = id_token.filter(|_| !from_elsewhere && !to_this_site).map_or("", |token| token.expose());
    target.replace(ID_TOKEN_PLACEHOLDER, token)
}

fn not_ended(debug: String) -> Problem {
    Problem {
        message: Message::MaybeNotSignedOut.into(),
        explanation: Message::SessionStillStored.into(),
        debug,
        ..Problem::new(StatusCode::INTERNAL_SERVER_ERROR)
    }
}
