//! `WebSocket` upgrades. The client's connection becomes a tunnel only after the application has switched protocols
//! itself, with 101 and the protocol that was asked for. Any other answer is an ordinary answer, after which the
//! client's connection is an ordinary connection. No other protocol can be upgraded to.

use doorward_net::{Body, Destination};
use http::{HeaderValue, Method, Request, Response, StatusCode, Version, header};
use http_body::Body as _;
use hyper::upgrade::{OnUpgrade, Upgraded};
use hyper_util::rt::TokioIo;
use tokio::io::copy_bidirectional;

use crate::{error::ForwardError, headers};

const CONNECTION_UPGRADE: HeaderValue = HeaderValue::from_static("Upgrade");
const WEBSOCKET: HeaderValue = HeaderValue::from_static("websocket");

/// Whether the request asks for a `WebSocket`, in any spelling (RFC 6455 section 4.2.1).
pub fn is_asked(request: &Request<Body>) -> bool {
    let headers = request.headers();
    headers.contains_key(header::UPGRADE)
        && headers.get_all(header::UPGRADE).iter().any(|value| headers::has_token(value, "websocket"))
        && headers.get_all(header::CONNECTION).iter().any(|value| headers::has_token(value, "upgrade"))
        && request.method() == Method::GET
        && request.version() == Version::HTTP_11
        && request.body().is_end_stream()
}

/// Asks the application for the upgrade, on a connection of its own.
pub(crate) async fn open(
    destination: &Destination,
    mut request: Request<Body>,
    client: OnUpgrade,
) -> Result<Response<Body>, ForwardError> {
    mark(request.headers_mut());
    let mut response = destination.connect_for_upgrade().await?.send(request).await?;
    if response.status() != StatusCode::SWITCHING_PROTOCOLS {
        headers::strip_response(response.headers_mut());
        *response.version_mut() = Version::HTTP_11;
        return Ok(response.map(Body::Incoming));
    }
    let is_websocket = |value| headers::has_token(value, "websocket");
    if !response.headers().get(header::UPGRADE).is_some_and(is_websocket) {
        return Err(ForwardError::UnwantedUpgrade);
    }
    let application = hyper::upgrade::on(&mut response);
    tokio::spawn(tunnel(client, application));
    headers::strip_response(response.headers_mut());
    mark(response.headers_mut());
    Ok(response.map(|_nothing| Body::Empty))
}

fn mark(headers: &mut http::HeaderMap) {
    headers.insert(header::CONNECTION, CONNECTION_UPGRADE);
    headers.insert(header::UPGRADE, WEBSOCKET);
}

/// Carries bytes both ways until both sides have finished.
async fn tunnel(client: OnUpgrade, application: OnUpgrade) {
    match tokio::try_join!(client, application) {
        Ok((client, application)) => carry(client, application).await,
        Err(error) => tracing::debug!(%error, "A WebSocket ended before it began"),
    }
}

async fn carry(client: Upgraded, application: Upgraded) {
    let mut client = TokioIo::new(client);
    let mut application = TokioIo::new(application);
    if let Err(error) = copy_bidirectional(&mut client, &mut application).await {
        tracing::debug!(%error, "A WebSocket broke off");
    }
}
