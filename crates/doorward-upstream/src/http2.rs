//! What is different for an application that speaks HTTP/2.

use std::error::Error as StdError;

use doorward_net::Body;
use http::{
    HeaderName, Request, Uri, Version, header,
    uri::{Authority, PathAndQuery, Scheme},
};

use crate::{
    error::ForwardError,
    headers::{KEEP_ALIVE, PROXY_CONNECTION},
};

const HTTP2_SETTINGS: HeaderName = HeaderName::from_static("http2-settings");

/// Makes a request that is ready for HTTP/1.1 one for HTTP/2: the host becomes the authority, of which there is only one
/// then, and headers about the connection go (RFC 9113 sections 8.2.2 and 8.3.1).
pub(crate) fn translate(request: Request<Body>, scheme: Scheme) -> Result<Request<Body>, ForwardError> {
    let (mut parts, body) = request.into_parts();
    let host = parts.headers.remove(header::HOST);
    let authority = host.and_then(|host| Authority::try_from(host.as_bytes()).ok());
    for name in [
        header::CONNECTION,
        header::TRANSFER_ENCODING,
        header::UPGRADE,
        KEEP_ALIVE,
        PROXY_CONNECTION,
        HTTP2_SETTINGS,
    ] {
        parts.headers.remove(name);
    }
    let mut target = parts.uri.into_parts();
    target.scheme = Some(scheme);
    target.authority = Some(authority.ok_or(ForwardError::Host)?);
    target.path_and_query.get_or_insert(PathAndQuery::from_static("/"));
    parts.uri = Uri::from_parts(target).map_err(|_invalid| ForwardError::Host)?;
    parts.version = Version::HTTP_2;
    Ok(Request::from_parts(parts, body))
}

/// Whether the application says that it has not begun with the request: it refused the stream, or goes away and names
/// an earlier request as its last one (RFC 9113 section 8.7).
pub(crate) fn is_unprocessed(error: &hyper::Error) -> bool {
    let Some(cause) = error.source().and_then(|cause| cause.downcast_ref::<h2::Error>()) else {
        return false;
    };
    cause.is_remote() && (cause.is_go_away() || cause.reason() == Some(h2::Reason::REFUSED_STREAM))
}
