//! The address by which everybody knows this server. It is configured, and never taken from a request.

use std::fmt;

use url::{Host, Url};

/// An issuer identifier (RFC 8414 section 2): `https`, or `http` on a loopback host; no query, no fragment, no trailing
/// slash. Compared letter by letter, so the text stays as it was written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Issuer {
    text: String,
    url: Url,
}

/// Why a text is no issuer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidIssuer {
    #[error("the issuer is no URL; write it like https://auth.example.com")]
    NotAUrl,
    #[error("the issuer begins with neither https:// nor, on a loopback host, http://")]
    Insecure,
    #[error("the issuer has a user name, a query or a fragment; leave them out")]
    Decorated,
    #[error("the issuer ends with a slash; leave it out")]
    TrailingSlash,
    #[error(
        "the issuer is not written as browsers write it; write {0}",
        "host and scheme in lower case, without a standard port"
    )]
    NotNormal,
}

impl Issuer {
    /// Reads what was configured.
    pub fn parse(text: &str) -> Result<Self, InvalidIssuer> {
        let url = Url::parse(text).map_err(|_| InvalidIssuer::NotAUrl)?;
        match url.scheme() {
            "https" => (),
            "http" if is_loopback(&url) => (),
            _ => return Err(InvalidIssuer::Insecure),
        }
        if !url.username().is_empty() || url.password().is_some() || text.contains(['?', '#', '@']) {
            return Err(InvalidIssuer::Decorated);
        }
        if text.ends_with('/') {
            return Err(InvalidIssuer::TrailingSlash);
        }
        if url.as_str().trim_end_matches('/') != text {
            return Err(InvalidIssuer::NotNormal);
        }
        Ok(Self { text: text.to_owned(), url })
    }

    /// The identifier as it was written.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// The address of an endpoint: `path` begins with a slash.
    pub fn at(&self, path: &str) -> String {
        format!("{}{path}", self.text)
    }

    /// The path of the identifier: empty, or with a slash at the start and none at the end.
    pub fn path(&self) -> &str {
        self.url.path().trim_end_matches('/')
    }

    /// Scheme, host and port as browsers write them in `Origin`.
    pub fn origin(&self) -> String {
        self.url.origin().ascii_serialization()
    }

    /// Whether browsers reach us over TLS. Only then do they take cookies that are marked so.
    pub fn is_https(&self) -> bool {
        self.url.scheme() == "https"
    }
}

impl fmt::Display for Issuer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        // RFC 6761 section 6.3: names below `localhost` are loopback too.
        Some(Host::Domain(name)) => name == "localhost" || name.ends_with(".localhost"),
        None => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_issuer_is_https_or_loopback_and_nothing_but_an_address() {
        use InvalidIssuer::{Decorated, Insecure, NotAUrl, NotNormal, TrailingSlash};
        for (text, expected) in [
            ("https://auth.example.com", Ok("")),
            ("https://auth.example.com:8443", Ok("")),
            ("https://example.com/auth", Ok("/auth")),
            ("http://127.0.0.1:4180", Ok("")),
            ("http://[::1]:4180", Ok("")),
            ("http://localhost:4180/a/b", Ok("/a/b")),
            ("http://auth.localhost", Ok("")),
            ("http://auth.example.com", Err(Insecure)),
            ("http://localhost.example.com", Err(Insecure)),
            ("ftp://localhost", Err(Insecure)),
            ("auth.example.com", Err(NotAUrl)),
            ("", Err(NotAUrl)),
            ("https://auth.example.com/", Err(TrailingSlash)),
            ("https://example.com/auth/", Err(TrailingSlash)),
            ("https://auth.example.com?x", Err(Decorated)),
            ("https://auth.example.com#x", Err(Decorated)),
            ("https://me@auth.example.com", Err(Decorated)),
            ("https://Auth.example.com", Err(NotNormal)),
            ("https://auth.example.com:443", Err(NotNormal)),
            ("https://example.com/a/../b", Err(NotNormal)),
            (" https://auth.example.com", Err(NotNormal)),
        ] {
            let issuer = Issuer::parse(text);
            assert_eq!(issuer.as_ref().map(Issuer::path).map_err(|why| *why), expected, "{text}");
        }
    }
}
