//! What is known about a request: read once from the wire, then used by decision and forwarding alike.

use std::{borrow::Cow, fmt, net::IpAddr};

use http::{HeaderValue, Method, Uri, uri::PathAndQuery};
use percent_encoding::percent_decode_str;

/// The client as rules and logs see it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ClientIp {
    Known(IpAddr),
    /// No believable address (a unix socket peer, or a header that does not parse): no rule ever matches it.
    Unknown,
}

impl ClientIp {
    pub const fn known(self) -> Option<IpAddr> {
        match self {
            Self::Known(address) => Some(address),
            Self::Unknown => None,
        }
    }
}

/// The scheme that the client used to reach us, as far as it is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scheme {
    Http,
    Https,
}

impl fmt::Display for Scheme {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Http => "http",
            Self::Https => "https",
        })
    }
}

/// Whether the peer on the connection may speak for its clients through `X-Forwarded-*` headers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Hop {
    Direct,
    Trusted,
}

/// A request target: the path and query of one URI. The raw text is what is forwarded, and the decoded path is
/// what rules match; both come from the same bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target {
    uri: Uri,
    /// Percent-decoded path, only where it differs from the raw one.
    decoded: Option<String>,
}

/// Path and query of a target alone, byte for byte (RFC 9112 section 3.2.1). What is judged and what is sent both come
/// from here. A target that names only a host is that host's root.
pub fn origin_form(target: Uri) -> Uri {
    if target.scheme().is_none() && target.authority().is_none() {
        return target;
    }
    let Some(path_and_query) = target.into_parts().path_and_query else { return Uri::default() };
    // `http://host?query` has no path of its own; as text it has.
    if path_and_query.as_str().starts_with('?') {
        let text = path_and_query.to_string();
        return PathAndQuery::from_maybe_shared(text.into_bytes()).map(Uri::from).unwrap_or_default();
    }
    if path_and_query.as_str() == "/" { Uri::default() } else { Uri::from(path_and_query) }
}

/// Whether `host`, as a request names it, is one of `hosts`: its port, its case and a final dot do not matter. An empty list
/// means every host.
pub fn is_among(host: &str, hosts: &[String]) -> bool {
    // The colon of a port comes after the bracket of an IPv6 address.
    let name = match host.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => name,
        _ => host,
    };
    let name = name.strip_suffix('.').unwrap_or(name);
    hosts.is_empty() || hosts.iter().any(|own| own.eq_ignore_ascii_case(name))
}

impl Target {
    /// Takes the URI's path and query. Invalid UTF-8 in a decoded path becomes U+FFFD: it can then match no literal rule.
    pub fn new(uri: Uri) -> Self {
        let uri = origin_form(uri);
        let decoded = match percent_decode_str(uri.path()).decode_utf8_lossy() {
            Cow::Borrowed(_) => None,
            Cow::Owned(text) => Some(text),
        };
        Self { uri, decoded }
    }

    pub const fn uri(&self) -> &Uri {
        &self.uri
    }

    /// The path as it came, percent-encoding kept.
    pub fn raw_path(&self) -> &str {
        self.uri.path()
    }

    /// The percent-decoded path.
    pub fn path(&self) -> &str {
        self.decoded.as_deref().unwrap_or_else(|| self.uri.path())
    }

    /// The text after the first `?`, undecoded.
    pub fn query(&self) -> Option<&str> {
        self.uri.query()
    }

    /// Path and query as they came.
    pub fn path_and_query(&self) -> &str {
        self.uri.path_and_query().map_or("/", PathAndQuery::as_str)
    }
}

/// Everything that decisions may look at, read once per request by the server's ingress.
#[derive(Clone, Debug)]
pub struct RequestFacts {
    pub method: Method,
    /// The host (with port, if any) under which the client reached us: `X-Forwarded-Host` from a trusted hop, else `Host`.
    pub host: HeaderValue,
    /// The client's scheme: `X-Forwarded-Proto` from a trusted hop, else what the connection shows.
    pub scheme: Option<Scheme>,
    /// What this request itself asks for, and what would be forwarded.
    pub target: Target,
    /// The request that is being judged: equals `target`, except for forward-auth questions and page requests that a
    /// trusted proxy sends on behalf of another request (`X-Forwarded-Uri`).
    pub original: Option<Target>,
    /// The method of the request that a trusted proxy asks about (`X-Forwarded-Method`, `X-Original-Method`); `None` if
    /// it names none. The proxy's own question is mostly a `GET`, whatever it is about.
    pub original_method: Option<Method>,
    pub client: ClientIp,
    pub hop: Hop,
}

impl RequestFacts {
    /// The host as text; empty if it is missing or not printable.
    pub fn host_str(&self) -> &str {
        self.host.to_str().unwrap_or("")
    }

    /// The target of the request being judged.
    pub fn judged(&self) -> &Target {
        self.original.as_ref().unwrap_or(&self.target)
    }

    /// The method of the request being judged: belongs to [`RequestFacts::judged`] as `method` belongs to `target`.
    pub fn judged_method(&self) -> &Method {
        self.original_method.as_ref().unwrap_or(&self.method)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_target_is_its_path_and_query_byte_for_byte() {
        for (uri, expected) in [
            ("/a%2Fb/%41?x=%20+&&", "/a%2Fb/%41?x=%20+&&"),
            ("/x?", "/x?"),
            ("http://app.test/abs/x?y=1", "/abs/x?y=1"),
            ("http://app.test:81", "/"),
            ("http://app.test?q", "/?q"),
            ("http://user:pass@app.test/x", "/x"),
            ("app.test:81", "/"),
            ("*", "*"),
        ] {
            let target = Target::new(uri.parse().unwrap());
            assert_eq!(target.path_and_query(), expected, "{uri}");
            assert_eq!(target.uri().to_string(), expected, "{uri}");
        }
    }
}
