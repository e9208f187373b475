//! One canonical parse of each request. Only this module reads forwarding headers; everything later looks at
//! the facts found here. Anything ambiguous from a trusted hop is refused rather than interpreted.

use std::{net::IpAddr, sync::OnceLock};

use doorward_authz::Networks;
use doorward_core::{
    ClientIp, RequestFacts, Target, Timestamp,
    request::{Hop, Scheme},
};
use doorward_net::{Body, Peer, WorkerId};
use doorward_session::{RequestCookies, Visit};
use http::{
    HeaderMap, HeaderName, HeaderValue, Request, StatusCode, Uri,
    header::{HOST, USER_AGENT},
    uri::PathAndQuery,
};

pub const X_FORWARDED_HOST: HeaderName = HeaderName::from_static("x-forwarded-host");
pub const X_FORWARDED_PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");
pub const X_FORWARDED_URI: HeaderName = HeaderName::from_static("x-forwarded-uri");

/// What a connection tells about all of its requests.
#[derive(Clone, Debug)]
pub struct Connection {
    pub peer: Peer,
    pub scheme: Scheme,
    pub worker: WorkerId,
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
    },
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

    pub fn user_agent(&self) -> Option<&str> {
        self.headers().get(USER_AGENT).and_then(|value| value.to_str().ok())
    }
}

/// The id that ties a request to its log lines and pages: the client's, or a random one made on first use.
#[derive(Clone, Debug)]
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
        request: Request<Body>,
        now: Timestamp,
    ) -> Result<Arrival, Malformed> {
        let headers = request.headers();
        let request_id = RequestId::new(headers.get(&self.request_id_header));
        let hop = self.hop(&connection.peer);
        let mut forwarded = ForwardedHeaders::default();
        if hop == Hop::Trusted {
            forwarded = ForwardedHeaders::read(headers)?;
        }
        if request.uri().path() == "*" || request.method() == http::Method::CONNECT {
            return Err(malformed("the request target must be a path"));
        }
        let target = Target::new(origin_form(request.uri()));
        let host = match forwarded.host {
            Some(host) => host,
            None => own_host(&request)?,
        };
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
            client: self.client(connection, headers, hop),
            hop,
        };
        let connection = connection.clone();
        Ok(Arrival { facts, request, connection, request_id, now, forwarded_uri: forwarded.uri })
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
    /// itself a trusted proxy counts, else the first one. A header that does not parse names nobody.
    fn client(&self, connection: &Connection, headers: &HeaderMap, hop: Hop) -> ClientIp {
        match (&self.forwarded, hop) {
            (Forwarded::From { proxies, client_ip_header }, Hop::Trusted) => {
                let mut lines = Vec::new();
                for value in headers.get_all(client_ip_header) {
                    let Ok(text) = value.to_str() else { return ClientIp::Unknown };
                    lines.extend(text.split(','));
                }
                client_of_list(&lines, proxies)
            }
            _ => match &connection.peer {
                Peer::Ip(address) => ClientIp::Known(address.ip().to_canonical()),
                Peer::Unix => ClientIp::Unknown,
            },
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
}

impl ForwardedHeaders {
    fn read(headers: &HeaderMap) -> Result<Self, Malformed> {
        let host = single(headers, &X_FORWARDED_HOST, "X-Forwarded-Host was sent more than once")?;
        let proto = single(headers, &X_FORWARDED_PROTO, "X-Forwarded-Proto was sent more than once")?;
        let uri = single(headers, &X_FORWARDED_URI, "X-Forwarded-Uri was sent more than once")?;
        let scheme = match proto.map(HeaderValue::as_bytes) {
            None | Some(b"") => None,
            Some(text) if text.eq_ignore_ascii_case(b"https") || text.eq_ignore_ascii_case(b"wss") => {
                Some(Scheme::Https)
            }
            Some(_) => Some(Scheme::Http),
        };
        Ok(Self { host: host.cloned(), scheme, uri: uri.cloned() })
    }
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

/// The target of the request that a trusted proxy asks about. One that does not parse is refused: it could
/// otherwise be judged as another request than the one that will be served.
fn forwarded_target(uri: &HeaderValue) -> Result<Target, Malformed> {
    let text = uri.as_bytes();
    if text.contains(&b'#') {
        return Err(malformed("X-Forwarded-Uri must not hold a fragment"));
    }
    let parsed = Uri::try_from(text).map_err(|_| malformed("X-Forwarded-Uri is not a request target"))?;
    Ok(Target::new(origin_form(&parsed)))
}

fn own_host(request: &Request<Body>) -> Result<HeaderValue, Malformed> {
    if let Some(authority) = request.uri().authority() {
        return HeaderValue::from_str(authority.as_str())
            .map_err(|_| malformed("the authority is not readable"));
    }
    Ok(single(request.headers(), &HOST, "Host was sent more than once")?
        .cloned()
        .unwrap_or(HeaderValue::from_static("")))
}

/// The path and query alone (RFC 9112 section 3.2.1), sharing the bytes of the original.
fn origin_form(uri: &Uri) -> Uri {
    if uri.scheme().is_none() && uri.authority().is_none() {
        return uri.clone();
    }
    let path = uri.path_and_query().cloned().unwrap_or(PathAndQuery::from_static("/"));
    Uri::from(path)
}
