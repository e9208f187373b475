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
    respond,
};

const LONGEST_SID: usize = 1024;

pub(super) async fn answer(gate: &Arc<Gate>, arrival: &Arrival) -> Response<Body> {
    if !matches!(arrival.facts.method, Method::GET | Method::HEAD) {
        return respond::method_not_allowed("GET, HEAD");
    }
    let Some(provider) = &gate.sign_in.provider else { return respond::empty(StatusCode::BAD_REQUEST) };
    let form = Form::of_query(arrival.facts.target.query(), gate.access.semicolons);
    let is_ours = form.only("iss") == Some(provider.issuer());
    let sid = form.only("sid").filter(|sid| (1..=LONGEST_SID).contains(&sid.len()));
    let Some(sid) = sid.filter(|_| is_ours) else {
        tracing::info!("A front-channel logout names no session of the provider: nobody is signed out");
        return framed(respond::text_error(StatusCode::BAD_REQUEST, "Bad Request\n"), provider.issuer());
    };
    let visitor = authenticate(gate, arrival, Freshness::AsStored).await;
    let mut set_cookies = visitor.set_cookies.clone();
    if sid_of(&visitor).as_deref() == Some(sid) {
        let ended = authenticate::end_sessions(gate, arrival).await;
        set_cookies.extend(ended.set_cookies);
        if ended.store.is_err() {
            return with_cookies(respond::unavailable(), set_cookies);
        }
    }
    let response = match end_others(gate, arrival, sid).await {
        Ok(()) => respond::html(StatusCode::OK, "<!DOCTYPE html><title>Signed out</title>".to_owned()),
        Err(error) => {
            tracing::error!("A front-channel logout could not end sessions: {error}");
            respond::unavailable()
        }
    };
    with_cookies(framed(response, provider.issuer()), set_cookies)
}

/// What the provider calls the session of this browser.
fn sid_of(visitor: &Visitor) -> Option<String> {
    visitor.key.as_ref()?;
    TokenFacts::of(visitor.session()?.tokens.id.as_ref()?).sid
}

async fn end_others(gate: &Gate, arrival: &Arrival, sid: &str) -> Result<(), StoreError> {
    let Some(ledger) = &gate.sessions.ledger else { return Ok(()) };
    let keys = Box::pin(ledger.end_sid(sid, arrival.now)).await?;
    forget(gate, arrival, keys);
    Ok(())
}

/// Only pages of the provider may frame the answer.
fn framed(mut response: Response<Body>, issuer: &str) -> Response<Body> {
    let origin = Url::parse(issuer).map(|url| url.origin().ascii_serialization()).unwrap_or_default();
    let policy = format!("default-src 'none'; frame-ancestors {origin}");
    if let Ok(policy) = HeaderValue::try_from(policy) {
        response.headers_mut().insert(CONTENT_SECURITY_POLICY, policy);
    }
    response
}
