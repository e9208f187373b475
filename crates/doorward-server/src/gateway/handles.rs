//! Handles in place of tokens, on the way in and out (norm B3.3): clients hold handles, and what lies behind the gateway
//! sees originals only.

use doorward_core::{SecretString, Timestamp};
use doorward_gateway::{Handles, MOST_BODY, SwapFault};
use doorward_net::Body;
use http::{HeaderMap, Request, Response};

use crate::{
    form::{self, UnreadableForm},
    gateway::Gateway,
};

/// Why a request or its answer does not go on.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Unswapped {
    #[error(transparent)]
    Fault(#[from] SwapFault),
    /// 413 or 408.
    #[error("the body of the request could not be read: {0}")]
    Request(UnreadableForm),
    /// 502: there may be tokens in it.
    #[error("the body of the answer could not be read: it is too long, broke off, or took too long")]
    Answer,
}

/// Replaces handles in headers, before anybody judges them. Gives the originals, which must not come back in an answer.
pub(crate) async fn take_headers(
    gateway: &Gateway,
    headers: &mut HeaderMap,
    now: Timestamp,
) -> Result<Vec<SecretString>, SwapFault> {
    match &gateway.handles {
        Some(realm) => realm.swap_headers(headers, now).await,
        None => Ok(Vec::new()),
    }
}

/// Replaces handles in the body of a request, and makes it such that its answer can be looked into. Gives the originals.
pub(crate) async fn take_body(
    handles: &Handles,
    request: &mut Request<Body>,
    now: Timestamp,
) -> Result<Vec<SecretString>, Unswapped> {
    handles.prepare(request.headers_mut());
    if !handles.realm().reads(request.headers()) {
        return Ok(Vec::new());
    }
    let body =
        form::whole(std::mem::take(request.body_mut()), MOST_BODY).await.map_err(Unswapped::Request)?;
    let (body, originals) = handles.realm().swap_body(request.headers(), body, now).await?;
    *request.body_mut() = Body::from(body);
    Ok(originals)
}

/// Replaces tokens in an answer by handles. `sent` are those that went to the application.
pub(crate) async fn give(
    handles: &Handles,
    (response, sent): (Response<Body>, &[SecretString]),
    now: Timestamp,
) -> Result<Response<Body>, Unswapped> {
    let (mut head, body) = response.into_parts();
    if !handles.reads(&head, sent) {
        handles.swap_answer(&mut head, (bytes::Bytes::new(), sent), now).await?;
        return Ok(Response::from_parts(head, body));
    }
    let body = form::whole(body, MOST_BODY).await.map_err(|_| Unswapped::Answer)?;
    let body = handles.swap_answer(&mut head, (body, sent), now).await?;
    Ok(Response::from_parts(head, Body::from(body)))
}
