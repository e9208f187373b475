//! `<prefix>/sign_in`: the sign-in page, and where its password form is sent.

use std::{sync::Arc, time::Instant};

use doorward_authn::{Attempt, basic::Credentials};
use doorward_net::Body;
use doorward_session::{RequestCookies, Session};
use http::{Method, Response, StatusCode};

use crate::{
    authenticate,
    form::Form,
    gate::{Gate, ProviderButton},
    handle::with_cookies,
    ingress::Arrival,
    login::{self, Login},
    pages::Problem,
    record::{AuthStatus, Record},
    redirects::OwnEndpoints,
    respond,
};
use doorward_core::redirect::SafeRedirect;

pub async fn answer(gate: &Arc<Gate>, mut arrival: Arrival, record: &mut Record) -> Response<Body> {
    let Ok(form) = Form::read(&mut arrival, gate.access.semicolons).await else {
        return gate.error_page(&arrival, &Problem::new(StatusCode::INTERNAL_SERVER_ERROR));
    };
    let target = gate.return_target(&arrival, form.first("rd"), OwnEndpoints::Refused);
    if arrival.facts.method == Method::POST && gate.sign_in.htpasswd.is_some() {
        return with_password(gate, &arrival, &form, &target, record).await;
    }
    if gate.sign_in.button == ProviderButton::Skipped && gate.sign_in.provider.is_some() {
        return login::begin(gate, &arrival, &Login::to(target));
    }
    // Whoever comes here wants to sign in anew: a session left on a shared machine ends (CVE-2026-34454). A page of
    // another site that merely embeds this address changes nothing.
    let cleared =
        if is_cross_site(&arrival) { Vec::new() } else { authenticate::clear(gate, &arrival).await };
    with_cookies(gate.sign_in_page(&arrival, StatusCode::OK, &target, None), cleared)
}

fn is_cross_site(arrival: &Arrival) -> bool {
    let embedded = arrival.headers().get("sec-fetch-mode").is_some_and(|mode| mode != "navigate");
    embedded && arrival.headers().get("sec-fetch-site").is_some_and(|site| site == "cross-site")
}

async fn with_password(
    gate: &Arc<Gate>,
    arrival: &Arrival,
    form: &Form,
    target: &SafeRedirect,
    record: &mut Record,
) -> Response<Body> {
    let user = form.first("username").unwrap_or("");
    if user.is_empty() {
        let hint = Some("Please give a user name.");
        return gate.sign_in_page(arrival, StatusCode::BAD_REQUEST, target, hint);
    }
    let Some(htpasswd) = &gate.sign_in.htpasswd else {
        return gate.sign_in_page(arrival, StatusCode::OK, target, None);
    };
    let password = form.first("password").unwrap_or("").to_owned();
    let credentials = Credentials::new(user.to_owned(), password);
    let identity = match htpasswd.attempt_form(credentials, Instant::now()).await {
        Attempt::Accepted(identity) => identity,
        Attempt::NotPresented | Attempt::Refused(_) => {
            gate.log_auth(arrival, AuthStatus::Failure, user, "Invalid authentication via HtpasswdFile");
            let hint = Some("The user name or the password is wrong.");
            return gate.sign_in_page(arrival, StatusCode::UNAUTHORIZED, target, hint);
        }
    };
    gate.log_auth(arrival, AuthStatus::Success, user, "Authenticated via HtpasswdFile");
    let session = Arc::new(Session { created_at: Some(arrival.now), identity, ..Session::default() });
    record.identify(&session);
    let cookies = RequestCookies::new(arrival.headers());
    match gate.sessions.keeper.create(&session, &arrival.visit(&cookies)).await {
        Ok(set_cookies) => with_cookies(respond::redirect_to(target, &Method::GET), set_cookies),
        Err(error) => {
            tracing::error!("A session could not be saved: {error}");
            let problem =
                Problem { debug: error.to_string(), ..Problem::new(StatusCode::INTERNAL_SERVER_ERROR) };
            gate.error_page(arrival, &problem)
        }
    }
}
