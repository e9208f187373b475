//! From a `CheckRequest` to the HTTP request that it is about.

use std::net::{IpAddr, SocketAddr};

use bytes::Bytes;
use envoy_types::{
    ext_authz::v3::pb::{Address, CheckRequest},
    pb::envoy::{
        config::core::v3::{HeaderValue as Header, socket_address::PortSpecifier},
        service::auth::v3::attribute_context::{HttpRequest, Peer},
    },
};
use http::{
    HeaderMap, HeaderName, HeaderValue, Method, Request, Response, StatusCode, Uri, Version,
    header::{CONTENT_TYPE, HOST},
};

use crate::{Question, Scheme};

/// Why a question is about no request that could be judged. The client gets a 400.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum InvalidQuestion {
    NoRequest,
    Method,
    Path,
    Host,
    Header,
}

impl InvalidQuestion {
    pub(crate) fn answer(self) -> Response<Bytes> {
        let why = match self {
            Self::NoRequest => "The question names no request.\n",
            Self::Method => "The method cannot be read.\n",
            Self::Path => "The path cannot be read.\n",
            Self::Host => "The host cannot be read.\n",
            Self::Header => "A header cannot be read.\n",
        };
        let mut response = Response::new(Bytes::from_static(why.as_bytes()));
        *response.status_mut() = StatusCode::BAD_REQUEST;
        let text = HeaderValue::from_static("text/plain; charset=utf-8");
        response.headers_mut().insert(CONTENT_TYPE, text);
        response
    }
}

pub(crate) fn read(check: CheckRequest) -> Result<Question, InvalidQuestion> {
    let attributes = check.attributes.ok_or(InvalidQuestion::NoRequest)?;
    let http = attributes.request.and_then(|request| request.http).ok_or(InvalidQuestion::NoRequest)?;
    let peer = attributes.source.as_ref().and_then(address);
    let certificate = attributes.source.map(|peer| peer.certificate).filter(|pem| !pem.is_empty());
    // What is neither is no better than plain.
    let scheme = if http.scheme.eq_ignore_ascii_case("https") { Scheme::Https } else { Scheme::Http };
    Ok(Question { request: request(http)?, peer, scheme, certificate })
}

fn address(peer: &Peer) -> Option<SocketAddr> {
    let Address::SocketAddress(socket) = peer.address.as_ref()?.address.as_ref()? else { return None };
    let port = match socket.port_specifier {
        Some(PortSpecifier::PortValue(port)) => u16::try_from(port).ok()?,
        Some(PortSpecifier::NamedPort(_)) | None => 0,
    };
    Some(SocketAddr::new(socket.address.parse::<IpAddr>().ok()?, port))
}

fn request(http: HttpRequest) -> Result<Request<Bytes>, InvalidQuestion> {
    let method = Method::from_bytes(http.method.as_bytes()).map_err(|_| InvalidQuestion::Method)?;
    // A path alone: what names a host, too, could be judged as that host's.
    let uri = Some(&http.path).filter(|path| path.starts_with('/') || *path == "*");
    let uri: Uri = uri.and_then(|path| path.parse().ok()).ok_or(InvalidQuestion::Path)?;
    let mut headers = HeaderMap::new();
    match http.header_map {
        Some(map) => {
            for Header { key, value, raw_value } in map.headers {
                let value = if raw_value.is_empty() { value.into_bytes() } else { raw_value };
                add(&mut headers, &key, &value)?;
            }
        }
        None => {
            for (key, value) in http.headers {
                add(&mut headers, &key, value.as_bytes())?;
            }
        }
    }
    let host = HeaderValue::from_str(&http.host).map_err(|_| InvalidQuestion::Host)?;
    headers.insert(HOST, host);
    let content = if http.raw_body.is_empty() { http.body.into_bytes() } else { http.raw_body };
    let mut request = Request::new(Bytes::from(content));
    *request.method_mut() = method;
    *request.uri_mut() = uri;
    *request.headers_mut() = headers;
    *request.version_mut() = version(&http.protocol);
    Ok(request)
}

/// Pseudo headers (`:path`) say again what the message says; what else is no header could be one for somebody.
fn add(headers: &mut HeaderMap, key: &str, value: &[u8]) -> Result<(), InvalidQuestion> {
    if key.starts_with(':') {
        return Ok(());
    }
    let name = HeaderName::from_bytes(key.as_bytes()).map_err(|_| InvalidQuestion::Header)?;
    let value = HeaderValue::from_bytes(value).map_err(|_| InvalidQuestion::Header)?;
    headers.try_append(name, value).map_err(|_| InvalidQuestion::Header)?;
    Ok(())
}

fn version(protocol: &str) -> Version {
    match protocol {
        "HTTP/1.0" => Version::HTTP_10,
        "HTTP/2" => Version::HTTP_2,
        "HTTP/3" => Version::HTTP_3,
        _ => Version::HTTP_11,
    }
}

#[cfg(test)]
mod tests;
