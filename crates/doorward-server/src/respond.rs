//! The plain answers. Only this module and [`crate::pages`] choose the status of a failure.

use doorward_core::redirect::SafeRedirect;
use doorward_net::Body;
use http::{
    HeaderName, HeaderValue, Method, Response, StatusCode,
    header::{ALLOW, CACHE_CONTROL, CONTENT_TYPE, EXPIRES, LOCATION, RETRY_AFTER, X_CONTENT_TYPE_OPTIONS},
};

const TEXT: HeaderValue = HeaderValue::from_static("text/plain; charset=utf-8");
const JSON: HeaderValue = HeaderValue::from_static("application/json");
const HTML: HeaderValue = HeaderValue::from_static("text/html; charset=utf-8");
const NOSNIFF: HeaderValue = HeaderValue::from_static("nosniff");
const NO_CACHE: HeaderValue = HeaderValue::from_static("no-cache, no-store, must-revalidate, max-age=0");
const EPOCH: HeaderValue = HeaderValue::from_static("Thu, 01 Jan 1970 00:00:00 GMT");
const X_ACCEL_EXPIRES: HeaderName = HeaderName::from_static("x-accel-expires");

/// An answer without a body.
pub(crate) fn empty(status: StatusCode) -> Response<Body> {
    let mut response = Response::new(Body::Empty);
    *response.status_mut() = status;
    response
}

/// A failure in plain text, ending in a line break as the reference's do.
pub(crate) fn text_error(status: StatusCode, text: &'static str) -> Response<Body> {
    let mut response = text_answer(status, text.into());
    response.headers_mut().insert(X_CONTENT_TYPE_OPTIONS, NOSNIFF);
    response
}

pub(crate) fn unauthorized() -> Response<Body> {
    text_error(StatusCode::UNAUTHORIZED, "Unauthorized\n")
}

pub(crate) fn forbidden() -> Response<Body> {
    text_error(StatusCode::FORBIDDEN, "Forbidden\n")
}

/// For programs while the session store is down: they may come again soon (RFC 9110 section 15.6.4).
pub(crate) fn unavailable() -> Response<Body> {
    let mut response = json(StatusCode::SERVICE_UNAVAILABLE, "{}".into());
    response.headers_mut().insert(RETRY_AFTER, HeaderValue::from_static("5"));
    response
}

pub(crate) fn text_answer(status: StatusCode, body: Body) -> Response<Body> {
    with_body(status, TEXT, body)
}

pub(crate) fn json(status: StatusCode, body: Body) -> Response<Body> {
    with_body(status, JSON, body)
}

pub(crate) fn html(status: StatusCode, body: String) -> Response<Body> {
    with_body(status, HTML, body.into())
}

fn with_body(status: StatusCode, content_type: HeaderValue, body: Body) -> Response<Body> {
    let mut response = Response::new(body);
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, content_type);
    response
}

/// 302 to a target that was found safe.
pub(crate) fn redirect_to(target: &SafeRedirect, method: &Method) -> Response<Body> {
    redirect(StatusCode::FOUND, target.as_str(), method)
}

/// A redirect. Characters that cannot stand in a header are percent-encoded, and so is the backslash, which browsers
/// take for a slash; what is left is either a valid `Location` or the root.
pub(crate) fn redirect(status: StatusCode, location: &str, method: &Method) -> Response<Body> {
    const UNSAFE: &percent_encoding::AsciiSet =
        &percent_encoding::CONTROLS.add(b' ').add(b'"').add(b'<').add(b'>').add(b'\\');
    let encoded = percent_encoding::utf8_percent_encode(location, UNSAFE).to_string();
    let value = HeaderValue::from_str(&encoded).unwrap_or(HeaderValue::from_static("/"));
    let mut response = if matches!(*method, Method::GET | Method::HEAD) {
        let link = doorward_template::escape_html(&encoded);
        html(status, format!("<a href=\"{link}\">{}</a>.\n", status.canonical_reason().unwrap_or("Found")))
    } else {
        empty(status)
    };
    response.headers_mut().insert(LOCATION, value);
    response
}

pub(crate) fn method_not_allowed(allowed: &'static str) -> Response<Body> {
    let mut response = text_error(StatusCode::METHOD_NOT_ALLOWED, "Method Not Allowed\n");
    response.headers_mut().insert(ALLOW, HeaderValue::from_static(allowed));
    response
}

/// Marks an answer as never to be stored, by browsers, proxies and nginx's own cache.
pub(crate) fn uncached(mut response: Response<Body>) -> Response<Body> {
    let headers = response.headers_mut();
    headers.insert(CACHE_CONTROL, NO_CACHE);
    headers.insert(EXPIRES, EPOCH);
    headers.insert(X_ACCEL_EXPIRES, HeaderValue::from_static("0"));
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_location_holds_nothing_that_browsers_read_differently() {
        for (location, expected) in [
            ("/a?b=c#d", "/a?b=c#d"),
            ("/\\evil.example", "/%5Cevil.example"),
            ("/a b\"<c>", "/a%20b%22%3Cc%3E"),
            ("/a\r\nSet-Cookie: a=b", "/a%0D%0ASet-Cookie:%20a=b"),
            ("/%5C", "/%5C"),
        ] {
            let response = redirect(StatusCode::FOUND, location, &Method::GET);
            assert_eq!(response.headers()[LOCATION], expected, "{location:?}");
        }
    }
}
