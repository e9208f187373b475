//! Short answers in plain text that need no application.

use doorward_net::Body;
use http::{HeaderValue, Response, StatusCode, header};

pub(crate) const PLAIN_TEXT: HeaderValue = HeaderValue::from_static("text/plain; charset=utf-8");
const NO_SNIFFING: HeaderValue = HeaderValue::from_static("nosniff");

/// The answer of a static upstream, the same for every method.
pub(crate) fn fixed(status: StatusCode) -> Response<Body> {
    // These two have no content (RFC 9110 section 6.4.1).
    if matches!(status, StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED) {
        return empty(status);
    }
    let mut response = empty(status);
    response.headers_mut().insert(header::CONTENT_TYPE, PLAIN_TEXT);
    *response.body_mut() = Body::from("Authenticated");
    response
}

/// A refusal in one line.
pub(crate) fn refusal(status: StatusCode, line: &'static str) -> Response<Body> {
    let mut response = empty(status);
    response.headers_mut().insert(header::CONTENT_TYPE, PLAIN_TEXT);
    response.headers_mut().insert(header::X_CONTENT_TYPE_OPTIONS, NO_SNIFFING);
    *response.body_mut() = Body::from(line);
    response
}

pub(crate) fn not_found() -> Response<Body> {
    refusal(StatusCode::NOT_FOUND, "404 page not found\n")
}

pub(crate) fn empty(status: StatusCode) -> Response<Body> {
    let mut response = Response::new(Body::Empty);
    *response.status_mut() = status;
    response
}
