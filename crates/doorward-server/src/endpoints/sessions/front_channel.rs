//! `<prefix>/frontchannel_logout`: a frame in a page of the provider ends a session (`OpenID Connect` Front-Channel Logout
//! 1.0 section 2). Nobody signs this, and every page can frame it. So it ends the session of that very browser, if the
//! browser shows one, and those in the store, only where the session id of the provider is named, which no stranger
//! knows; and nothing is written down about others.

use std::sync::Arc;

use doorward_net::Body;
use doorward_oidc::TokenFacts;
use doorward_session::StoreError;
use http::{HeaderValue, Method, Response, StatusCode, header::CONTENT_SECURITY_POLICY};
use url::Url;

use super::forget;
use crate::{
    authenticate::{self, Freshness, Visitor, authenticate},
    form::Form,
    gate::Gate,
    handle::with_cookies,
    ingress::Arrival,
    providers::Known,
    respond,
};

const LONGEST_SID: usize = 1024;

pub(super) async fn answer(gate: &Arc<Gate>, arrival: &Arrival) -> Response<Body> {
    if !matches!(arrival.facts.method, Method::GET | Method::HEAD) {
        return respond::method_not_allowed("GET, HEAD");
    }
    let providers = &gate.sign_in.providers;
    if providers.is_empty() {
        return respond::empty(StatusCode::BAD_REQUEST);
    }
    let form = Form::of_query(arrival.facts.target.query(), gate.access.semicolons);
    let issuer = form.only("iss").unwrap_or_default();
    // An issuer at which we are more than one client calls its sessions alike for all of them.
    let named: Vec<&Known> = providers.iter().filter(|known| known.client.issuer() == issuer).collect();
    let sid = form.only("sid").filter(|sid| (1..=LONGEST_SID).contains(&sid.len()));
    let Some(sid) = sid.filter(|_| !named.is_empty()) else {
        tracing::info!("A front-channel logout names no session of the provider: nobody is signed out");
        let issuer = providers.only().map(|only| only.client.issuer()).unwrap_or_default();
        return framed(respond::text_error(StatusCode::BAD_REQUEST, "Bad Request\n"), issuer);
    };
    let visitor = authenticate(gate, arrival, Freshness::AsStored).await;
    let mut set_cookies = visitor.set_cookies.clone();
    if sid_of(gate, &named, &visitor).as_deref() == Some(sid) {
        let ended = authenticate::end_sessions(gate, arrival).await;
        set_cookies.extend(ended.set_cookies);
        if ended.store.is_err() {
            return with_cookies(respond::unavailable(), set_cookies);
        }
    }
    let response = match end_others(gate, arrival, (&named, sid)).await {
        Ok(()) => respond::html(StatusCode::OK, "<!DOCTYPE html><title>Signed out</title>".to_owned()),
        Err(error) => {
            tracing::error!("A front-channel logout could not end sessions: {error}");
            respond::unavailable()
        }
    };
    with_cookies(framed(response, issuer), set_cookies)
}

/// What one of these providers calls the session of this browser.
fn sid_of(gate: &Gate, named: &[&Known], visitor: &Visitor) -> Option<String> {
    visitor.key.as_ref()?;
    let session = visitor.session()?;
    let provider = gate.sign_in.providers.of_session(session)?;
    named.iter().find(|known| known.id == provider.id)?;
    TokenFacts::of(session.tokens.id.as_ref()?).sid
}

async fn end_others(
    gate: &Gate,
    arrival: &Arrival,
    (named, sid): (&[&Known], &str),
) -> Result<(), StoreError> {
    let Some(ledger) = &gate.sessions.ledger else { return Ok(()) };
    for provider in named {
        let at = gate.sign_in.providers.at(provider);
        let keys = Box::pin(ledger.end_sid(sid, &at, arrival.now)).await?;
        forget(gate, arrival, keys);
    }
    Ok(())
}

/// Only pages of the provider may frame the answer, or none if nobody knows which.
fn framed(mut response: Response<Body>, issuer: &str) -> Response<Body> {
    let origin = Url::parse(issuer).map(|url| url.origin().ascii_serialization());
    let origin = origin.unwrap_or_else(|_| "'none'".to_owned());
    let policy = format!("default-src 'none'; frame-ancestors {origin}");
    if let Ok(policy) = HeaderValue::try_from(policy) {
        response.headers_mut().insert(CONTENT_SECURITY_POLICY, policy);
    }
    response
}
