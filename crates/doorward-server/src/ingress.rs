//! One canonical parse of each request. Only this module reads forwarding headers; everything later looks at
//! the facts found here. Anything ambiguous from a trusted hop is refused rather than interpreted.

use std::{
    net::{IpAddr, Ipv6Addr},
    sync::{Arc, OnceLock},
};

use doorward_authn::x509::Shown;
use doorward_authz::Networks;
use doorward_core::{
    ClientIp, RequestFacts, Target, Timestamp,
    request::{Hop, Scheme},
};
use doorward_net::{Body, Peer, WorkerId};
use doorward_session::{RequestCookies, Visit};
use http::{
    HeaderMap, HeaderName, HeaderValue, Method, Request, StatusCode, Uri, Version,
    header::{HOST, USER_AGENT},
};

use crate::asker::Fetch;

pub const X_FORWARDED_HOST: HeaderName = HeaderName::from_static("x-forwarded-host");
pub const X_FORWARDED_PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");
pub const X_FORWARDED_URI: HeaderName = HeaderName::from_static("x-forwarded-uri");
/// Traefik and Caddy.
pub const X_FORWARDED_METHOD: HeaderName = HeaderName::from_static("x-forwarded-method");
/// The ingress controller of nginx.
pub const X_ORIGINAL_METHOD: HeaderName = HeaderName::from_static("x-original-method");
const X_FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");

/// Header lines of a request. HTTP/1.1 requests never have so many; over HTTP/2 every cookie may be a line of its own
/// (RFC 9113 section 8.2.3), and a line that costs its sender one byte costs us a hundred.
const HEADER_LINES_LIMIT: usize = 256;

/// What a connection tells about all of its requests.
#[derive(Clone, Debug)]
pub struct Connection {
    pub peer: Peer,
    pub scheme: Scheme,
    pub worker: WorkerId,
    /// What the client showed in the TLS handshake; `None` if it was not asked, or has none.
    pub certificates: Option<Arc<Shown>>,
    pub duty: Duty,
}

impl Connection {
    /// The address at the other end; none for a unix socket.
    pub(crate) fn peer_address(&self) -> Option<IpAddr> {
        match self.peer {
            Peer::Ip(address) => Some(address.ip().to_canonical()),
            Peer::Unix => None,
        }
    }
}

/// What becomes of a request that may pass.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Duty {
    /// We carry it to its application.
    Carry,
    /// Whoever asks does (`ext_authz.rs`).
    Tell,
}

/// How forwarding headers are read.
#[derive(Clone, Debug)]
pub struct Config {
    pub forwarded: Forwarded,
    pub request_id_header: HeaderName,
}

/// Whether, and from whom, `X-Forwarded-*` and the client address header are believed.
#[derive(Clone, Debug)]
pub enum Forwarded {
    Ignored,
    /// `--reverse-proxy`: believed from peers in these networks; peers on unix sockets always count as trusted.
    From {
        proxies: Networks,
        client_ip_header: HeaderName,
        strangers: StrangersHeaders,
    },
}

/// Whether applications hear what peers that are no trusted proxies say about the way of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StrangersHeaders {
    Removed,
    /// `--compat=forwarding-headers-of-strangers`.
    PassedOn,
}

/// A request with its facts.
#[derive(Debug)]
pub struct Arrival {
    pub facts: RequestFacts,
    pub request: Request<Body>,
    pub connection: Connection,
    pub request_id: RequestId,
    /// The wall clock when the request arrived; every decision about it uses this instant.
    pub now: Timestamp,
    /// The raw `X-Forwarded-Uri` of a trusted hop, as a candidate for the page to return to.
    pub forwarded_uri: Option<HeaderValue>,
}

impl Arrival {
    pub fn headers(&self) -> &HeaderMap {
        self.request.headers()
    }

    /// What cookies to be set in answer to this request depend on.
    pub fn visit<'a>(&'a self, cookies: &'a RequestCookies<'a>) -> Visit<'a> {
        Visit { cookies, host: self.facts.host_str(), now: self.now }
    }

    /// Whether a page of another site loads this address as one of its parts (Fetch Metadata). Nobody means to do
    /// anything here then. A page or frame that leads here is another matter: providers sign people out like that.
    pub fn is_embedded_elsewhere(&self) -> bool {
        let fetch = Fetch::of(self.headers());
        fetch.is_part_of_page() && fetch.is_from_another_site()
    }

    pub fn user_agent(&self) -> Option<&str> {
        self.headers().get(USER_AGENT).and_then(|value| value.to_str().ok())
    }
}

/// The id that ties a request to its log lines and pages: the client's, or a random one made on first use.
#[derive(Debug)]
pub struct RequestId(OnceLock<HeaderValue>);

impl RequestId {
    fn new(given: Option<&HeaderValue>) -> Self {
        let cell = OnceLock::new();
        if let Some(value) = given.filter(|value| !value.is_empty()) {
            let _ = cell.set(value.clone());
        }
        Self(cell)
    }

    pub fn text(&self) -> String {
        String::from_utf8_lossy(self.value().as_bytes()).into_owned()
    }

    pub fn value(&self) -> &HeaderValue {
        self.0.get_or_init(|| {
            let mut buffer = uuid::Uuid::encode_buffer();
            let text = uuid::Uuid::new_v4().hyphenated().encode_lower(&mut buffer);
            HeaderValue::from_str(text).unwrap_or(HeaderValue::from_static("-"))
        })
    }
}

/// Why a request was not even looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Malformed {
    pub status: StatusCode,
    pub reason: &'static str,
}

const fn malformed(reason: &'static str) -> Malformed {
    Malformed { status: StatusCode::BAD_REQUEST, reason }
}

impl Config {
    /// Reads the facts of a request.
    pub fn read(
        &self,
        connection: &Connection,
        mut request: Request<Body>,
        now: Timestamp,
    ) -> Result<Arrival, Malformed> {
        let headers = request.headers();
        if headers.len() > HEADER_LINES_LIMIT {
            let status = StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE;
            return Err(Malformed { status, reason: "there are too many header lines" });
        }
        let request_id = RequestId::new(headers.get(&self.request_id_header));
        let hop = self.hop(&connection.peer);
        let mut forwarded = ForwardedHeaders::default();
        if hop == Hop::Trusted {
            forwarded = ForwardedHeaders::read(headers)?;
        }
        let is_authority = request.uri().scheme().is_none() && request.uri().authority().is_some();
        if is_authority || request.uri().path() == "*" || request.method() == Method::CONNECT {
            return Err(malformed("the request target must be a path"));
        }
        if request.uri().path().as_bytes().contains(&b'\\') {
            return Err(malformed("the path holds a backslash, which some programs read as a slash"));
        }
        let target = Target::new(request.uri().clone());
        let own_host = own_host(&request)?;
        let client = self.client(connection, headers, hop)?;
        if request.uri().authority().is_some() {
            // What the request names counts, and `Host` is what is left of it further on (RFC 9112 section 3.2.2): rules
            // and applications see one host.
            request.headers_mut().insert(HOST, own_host.clone());
        }
        let host = forwarded.host.unwrap_or(own_host);
        let original = forwarded.uri.as_ref().map(forwarded_target).transpose()?;
        let facts = RequestFacts {
            method: request.method().clone(),
            host,
            scheme: forwarded.scheme.or(match connection.scheme {
                Scheme::Https => Some(Scheme::Https),
                Scheme::Http => None,
            }),
            target,
            original,
            original_method: forwarded.method,
            client,
            hop,
        };
        let connection = connection.clone();
        Ok(Arrival { facts, request, connection, request_id, now, forwarded_uri: forwarded.uri })
    }

    /// What may be passed on of the forwarding headers that came over this hop. Where nobody is said to be a proxy,
    /// all of them are just headers.
    pub fn strangers_headers(&self, hop: Hop) -> StrangersHeaders {
        match &self.forwarded {
            Forwarded::From { strangers, .. } if hop == Hop::Direct => *strangers,
            _ => StrangersHeaders::PassedOn,
        }
    }

    /// The same on routes of the gateway. Where nobody is said to be a proxy, nobody has reason to speak as one.
    pub fn strangers_headers_on_routes(&self, hop: Hop) -> StrangersHeaders {
        match &self.forwarded {
            Forwarded::Ignored => StrangersHeaders::Removed,
            Forwarded::From { .. } => self.strangers_headers(hop),
        }
    }

    fn hop(&self, peer: &Peer) -> Hop {
        match (&self.forwarded, peer) {
            (Forwarded::Ignored, _) => Hop::Direct,
            (Forwarded::From { .. }, Peer::Unix) => Hop::Trusted,
            (Forwarded::From { proxies, .. }, Peer::Ip(address)) => {
                if proxies.contains(address.ip().to_canonical()) { Hop::Trusted } else { Hop::Direct }
            }
        }
    }

    /// The client's address. A header is believed from trusted hops only; of a list, the last address that is not
    /// itself a trusted proxy counts, else the first one. A header that does not parse names nobody. Every proxy may add
    /// a line to `X-Forwarded-For`; a second line of any other header is somebody else's.
    fn client(&self, connection: &Connection, headers: &HeaderMap, hop: Hop) -> Result<ClientIp, Malformed> {
        match (&self.forwarded, hop) {
            (Forwarded::From { proxies, client_ip_header, .. }, Hop::Trusted) => {
                let lines = headers.get_all(client_ip_header);
                if client_ip_header != X_FORWARDED_FOR && lines.iter().nth(1).is_some() {
                    return Err(malformed("the header of the client's address was sent more than once"));
                }
                let mut items = Vec::new();
                for line in lines {
                    let Ok(text) = line.to_str() else { return Ok(ClientIp::Unknown) };
                    items.extend(text.split(','));
                }
                Ok(client_of_list(&items, proxies))
            }
            _ => Ok(connection.peer_address().map_or(ClientIp::Unknown, ClientIp::Known)),
        }
    }
}

fn client_of_list(items: &[&str], proxies: &Networks) -> ClientIp {
    let mut outermost = ClientIp::Unknown;
    for item in items.iter().rev() {
        let Some(address) = parse_address(item.trim()) else { return ClientIp::Unknown };
        outermost = ClientIp::Known(address);
        if !proxies.contains(address) {
            break;
        }
    }
    outermost
}

/// An address with an optional port: `192.0.2.1`, `192.0.2.1:80`, `2001:db8::1`, `[2001:db8::1]:80`.
fn parse_address(text: &str) -> Option<IpAddr> {
    if let Ok(address) = text.parse::<IpAddr>() {
        return Some(address.to_canonical());
    }
    if let Ok(socket) = text.parse::<std::net::SocketAddr>() {
        return Some(socket.ip().to_canonical());
    }
    text.strip_prefix('[')?.strip_suffix(']')?.parse::<IpAddr>().ok()
}

#[derive(Default)]
struct ForwardedHeaders {
    host: Option<HeaderValue>,
    scheme: Option<Scheme>,
    uri: Option<HeaderValue>,
    method: Option<Method>,
}

impl ForwardedHeaders {
    fn read(headers: &HeaderMap) -> Result<Self, Malformed> {
        let host = single(headers, &X_FORWARDED_HOST, "X-Forwarded-Host was sent more than once")?;
        if host.is_some_and(|host| !is_host(host.as_bytes())) {
            return Err(malformed("X-Forwarded-Host is not one host with an optional port"));
        }
        let proto = single(headers, &X_FORWARDED_PROTO, "X-Forwarded-Proto was sent more than once")?;
        let uri = single(headers, &X_FORWARDED_URI, "X-Forwarded-Uri was sent more than once")?;
        let scheme = match proto.map(HeaderValue::as_bytes) {
            None | Some(b"") => None,
            Some(text) if text.eq_ignore_ascii_case(b"https") || text.eq_ignore_ascii_case(b"wss") => {
                Some(Scheme::Https)
            }
            Some(_) => Some(Scheme::Http),
        };
        Ok(Self { host: host.cloned(), scheme, uri: uri.cloned(), method: forwarded_method(headers)? })
    }
}

/// The method of the request that a trusted proxy asks about. A proxy sets one of the two headers and may hand on the
/// other as its client sent it: where they differ, nobody knows which is which.
fn forwarded_method(headers: &HeaderMap) -> Result<Option<Method>, Malformed> {
    let forwarded = single(headers, &X_FORWARDED_METHOD, "X-Forwarded-Method was sent more than once")?;
    let original = single(headers, &X_ORIGINAL_METHOD, "X-Original-Method was sent more than once")?;
    if forwarded.is_some() && original.is_some() && forwarded != original {
        return Err(malformed("X-Forwarded-Method and X-Original-Method differ"));
    }
    let Some(name) = forwarded.or(original) else { return Ok(None) };
    let method = Method::from_bytes(name.as_bytes());
    method.map(Some).map_err(|_| malformed("the forwarded method is not a method"))
}

fn single<'a>(
    headers: &'a HeaderMap,
    name: &HeaderName,
    reason: &'static str,
) -> Result<Option<&'a HeaderValue>, Malformed> {
    let mut values = headers.get_all(name).iter();
    let first = values.next();
    if values.next().is_some() {
        return Err(malformed(reason));
    }
    Ok(first.filter(|value| !value.is_empty()))
}

/// The target of the request that a trusted proxy asks about: a path, or an absolute URL of which the path counts.
/// Anything else is refused: it could otherwise be judged as another request than the one that will be served.
fn forwarded_target(uri: &HeaderValue) -> Result<Target, Malformed> {
    let text = uri.as_bytes();
    if text.contains(&b'#') {
        return Err(malformed("X-Forwarded-Uri must not hold a fragment"));
    }
    let parsed = Uri::try_from(text).map_err(|_| malformed("X-Forwarded-Uri is not a request target"))?;
    let is_path = text.starts_with(b"/");
    let is_absolute = matches!(parsed.scheme_str(), Some("http" | "https")) && parsed.authority().is_some();
    if !is_path && !is_absolute {
        return Err(malformed("X-Forwarded-Uri is neither a path nor an absolute URL"));
    }
    if parsed.path().as_bytes().contains(&b'\\') {
        return Err(malformed("X-Forwarded-Uri holds a backslash, which some programs read as a slash"));
    }
    Ok(Target::new(parsed))
}

/// The host that the request itself names. A `Host` that is repeated, missing from HTTP/1.1 or no host is refused, also
/// where another one counts (RFC 9112 section 3.2).
fn own_host(request: &Request<Body>) -> Result<HeaderValue, Malformed> {
    let mut lines = request.headers().get_all(HOST).iter();
    let line = lines.next();
    if lines.next().is_some() {
        return Err(malformed("Host was sent more than once"));
    }
    if line.is_some_and(|host| !is_host(host.as_bytes())) {
        return Err(malformed("Host is not a host with an optional port"));
    }
    match (line, request.uri().authority()) {
        (None, _) if request.version() == Version::HTTP_11 => Err(malformed("Host is missing")),
        (_, Some(authority)) if !is_host(authority.as_str().as_bytes()) => {
            Err(malformed("the authority is not a host with an optional port"))
        }
        (_, Some(authority)) => {
            HeaderValue::from_str(authority.as_str()).map_err(|_| malformed("the authority is not readable"))
        }
        (Some(host), None) => Ok(host.clone()),
        (None, None) if request.version() < Version::HTTP_11 => Ok(HeaderValue::from_static("")),
        (None, None) => Err(malformed("the authority is missing")),
    }
}

/// Whether a text is a name or address with an optional port (`uri-host [":" port]`, RFC 9110 section 7.2). Of the names
/// that RFC 3986 knows, only those are taken that a DNS or a container network has: what else it allows (commas,
/// escapes, semicolons) means something in the places where hosts are written to.
fn is_host(text: &[u8]) -> bool {
    let port = match text {
        [b'[', address @ ..] => after_address(address),
        _ => after_name(text),
    };
    port.is_some_and(|port| port.is_empty() || port.strip_prefix(b":").is_some_and(is_port))
}

/// What follows an IPv6 address, of which the opening bracket is gone.
fn after_address(text: &[u8]) -> Option<&[u8]> {
    let end = text.iter().position(|byte| *byte == b']')?;
    let address = std::str::from_utf8(text.get(..end)?).ok()?;
    address.parse::<Ipv6Addr>().ok()?;
    text.get(end + 1..)
}

/// What follows a name or an IPv4 address.
fn after_name(text: &[u8]) -> Option<&[u8]> {
    let is_of_name = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b'_');
    let end = text.iter().position(|byte| !is_of_name(byte)).unwrap_or(text.len());
    if end == 0 { None } else { text.get(end..) }
}

fn is_port(digits: &[u8]) -> bool {
    let number = || str::from_utf8(digits).ok()?.parse::<u16>().ok();
    digits.iter().all(u8::is_ascii_digit) && (digits.is_empty() || number().is_some())
}

#[cfg(test)]
mod tests;
