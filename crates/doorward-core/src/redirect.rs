//! Where a browser may be sent after login or logout: never off the site, except to hosts that were listed.
//! Compatible with oauth2-proxy's rules (reference: endpoints.md section 5), but refuses control characters,
//! user information and any backslash before the query, and compares hosts case-insensitively.
//! A [`SafeRedirect`] is the proof that a text passed; it holds that very text.

use std::{fmt, net::Ipv6Addr, str::FromStr};

use percent_encoding::percent_decode_str;
use url::{Host, Url};

/// The hosts outside this site that redirects may lead to (`--whitelist-domain`).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AllowedHosts(Vec<HostPattern>);

impl AllowedHosts {
    /// Reads entries as [`HostPattern`] describes them. Empty entries are skipped; no entry means that only
    /// targets on this site are safe.
    pub fn parse(entries: &[String]) -> Result<Self, InvalidAllowedHost> {
        let written = entries.iter().map(|entry| entry.trim()).filter(|entry| !entry.is_empty());
        written.map(HostPattern::from_str).collect::<Result<_, _>>().map(Self)
    }

    /// Decides whether a browser may be sent to `target`: a path of this site, or an `http` or `https` URL whose host
    /// is listed. The text is judged as a browser would read it from a `Location` header.
    pub fn check(&self, target: &str) -> Result<SafeRedirect, Rejected> {
        if target.is_empty() {
            return Err(Rejected::Empty);
        }
        if target.chars().any(char::is_control) {
            return Err(Rejected::ControlCharacter);
        }
        if before_query(target).contains('\\') {
            return Err(Rejected::Backslash);
        }
        if target.starts_with('/') {
            check_path(target)?;
        } else if let Some(rest) = target.strip_prefix("https://").or_else(|| target.strip_prefix("http://"))
        {
            self.check_absolute(target, rest)?;
        } else {
            return Err(Rejected::NotAUrl);
        }
        Ok(SafeRedirect(target.to_owned()))
    }

    /// What is listed, as sources of a content security policy (CSP Level 3 section 2.3.1): a policy cannot tell
    /// whether a port was written, and has no way to write an IPv6 address, so it may allow more.
    pub fn policy_sources(&self) -> Vec<String> {
        self.0.iter().flat_map(HostPattern::policy_sources).collect()
    }

    fn check_absolute(&self, target: &str, rest: &str) -> Result<(), Rejected> {
        let authority = before_path(rest);
        if authority.contains('@') {
            return Err(Rejected::UserInformation);
        }
        let (host, port) = split_port(authority).ok_or(Rejected::NotAUrl)?;
        let host = plain_host(host).ok_or(Rejected::NotAUrl)?;
        // A second opinion by the algorithm that browsers use; `https://0x7f.1` for one is another host to them.
        let url = Url::parse(target).map_err(|_| Rejected::NotAUrl)?;
        if url.host_str().map(str::to_owned) != Some(host.to_string()) {
            return Err(Rejected::NotAUrl);
        }
        if self.0.iter().any(|pattern| pattern.covers_plain(&host, port)) {
            Ok(())
        } else {
            Err(Rejected::HostNotAllowed)
        }
    }
}

/// A redirect target that passed [`AllowedHosts::check`]. It has no control characters, but may have spaces and
/// non-ASCII characters, which a `Location` header has to percent-encode.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SafeRedirect(String);

impl SafeRedirect {
    /// The root of this site: where to go when no wish was expressed, or none was safe.
    pub fn root() -> Self {
        Self("/".to_owned())
    }

    /// The text exactly as it was checked.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    pub fn into_string(self) -> String {
        self.0
    }

    /// Refuses paths that lead to our own endpoints under `prefix` (e.g. `/oauth2`; nothing if it is empty), because a
    /// login that ends at the start of a login never ends. Files under `prefix/static/` are fine.
    pub fn outside(self, prefix: &str) -> Result<Self, Rejected> {
        let prefix = prefix.trim_end_matches('/');
        let path = percent_decode_str(before_query(&self.0)).decode_utf8_lossy();
        let own = match path.strip_prefix(prefix) {
            Some(rest) if !prefix.is_empty() => {
                rest.is_empty() || (rest.starts_with('/') && !rest.starts_with("/static/"))
            }
            _ => false,
        };
        if own { Err(Rejected::OwnEndpoint) } else { Ok(self) }
    }
}

impl fmt::Display for SafeRedirect {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Why a text is no safe redirect target. Says nothing of the text itself, so it may be logged.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Rejected {
    #[error("the redirect target is empty")]
    Empty,
    #[error("the redirect target starts with //, which leads to another host")]
    SchemeRelative,
    #[error("the redirect target has a backslash before its query")]
    Backslash,
    #[error("the redirect target has an empty or blank path segment")]
    EmptySegment,
    #[error("the redirect target has a dot segment")]
    DotSegment,
    #[error("the redirect target has a control character")]
    ControlCharacter,
    #[error("the redirect target has user information before its host")]
    UserInformation,
    #[error("the host or port of the redirect target is not listed")]
    HostNotAllowed,
    #[error("the redirect target is neither a path nor an http or https URL")]
    NotAUrl,
    #[error("the redirect target is one of our own endpoints")]
    OwnEndpoint,
}

/// One listed host: `host`, `.host` or `*.host` (both: the host and all below it), optionally with `:port` or `:*`.
/// Without a port it covers only URLs that write none. IPv6 addresses stand in brackets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HostPattern {
    reach: Reach,
    host: PlainHost,
    port: PortPattern,
}

impl HostPattern {
    /// Whether this entry covers a host (any case; IPv6 in brackets) with the port that was written beside it, if any.
    pub fn covers(&self, host: &str, port: Option<u16>) -> bool {
        plain_host(host).is_some_and(|host| self.covers_plain(&host, port))
    }

    fn policy_sources(&self) -> Vec<String> {
        let port = match self.port {
            PortPattern::Unwritten => String::new(),
            PortPattern::Exactly(port) => format!(":{port}"),
            PortPattern::Any => ":*".to_owned(),
        };
        // What is allowed over http is allowed over https too.
        match (&self.host, self.reach) {
            (PlainHost::V6(_), _) => vec!["http:".to_owned()],
            (PlainHost::Name(name), Reach::Exact) => vec![format!("http://{name}{port}")],
            (PlainHost::Name(name), Reach::WithSubdomains) => {
                vec![format!("http://{name}{port}"), format!("http://*.{name}{port}")]
            }
        }
    }

    fn covers_plain(&self, host: &PlainHost, port: Option<u16>) -> bool {
        let port_matches = match self.port {
            PortPattern::Unwritten => port.is_none(),
            PortPattern::Exactly(listed) => port == Some(listed),
            PortPattern::Any => true,
        };
        port_matches
            && match (self.reach, &self.host, host) {
                (Reach::WithSubdomains, PlainHost::Name(parent), PlainHost::Name(name)) => {
                    let above = name.strip_suffix(parent.as_str());
                    above.is_some_and(|above| above.is_empty() || above.ends_with('.'))
                }
                (_, listed, host) => listed == host,
            }
    }
}

impl FromStr for HostPattern {
    type Err = InvalidAllowedHost;

    fn from_str(entry: &str) -> Result<Self, InvalidAllowedHost> {
        let refuse = |reason| InvalidAllowedHost { entry: entry.to_owned(), reason };
        if entry.contains("://") {
            return Err(refuse("write the host alone, without a scheme"));
        }
        if entry.contains(['/', '?', '#', '@', '\\', '%']) || entry.contains(char::is_whitespace) {
            return Err(refuse("write host or host:port and nothing else"));
        }
        let (host, port) = match entry.strip_suffix(":*") {
            Some(host) => (host, PortPattern::Any),
            None => match split_port(entry) {
                Some((host, Some(port))) => (host, PortPattern::Exactly(port)),
                Some((host, None)) => (host, PortPattern::Unwritten),
                None => {
                    return Err(refuse(
                        "the port must be a number up to 65535 or *, and IPv6 needs brackets",
                    ));
                }
            },
        };
        let (reach, host) = match host.strip_prefix("*.").or_else(|| host.strip_prefix('.')) {
            Some(parent) => (Reach::WithSubdomains, parent),
            None => (Reach::Exact, host),
        };
        if host.contains('*') {
            return Err(refuse("* may stand only in front, as in *.example.com, or for the port"));
        }
        let host = listed_host(host).ok_or_else(|| refuse("this is no host name"))?;
        if reach == Reach::WithSubdomains && Host::parse(&host.to_string()).is_ok_and(|h| !is_domain(&h)) {
            return Err(refuse("an address has no subdomains; write it without the dot"));
        }
        Ok(Self { reach, host, port })
    }
}

/// An entry of the list of allowed hosts that cannot be meant.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("whitelist-domain entry {entry:?}: {reason}")]
pub struct InvalidAllowedHost {
    pub entry: String,
    pub reason: &'static str,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Reach {
    Exact,
    WithSubdomains,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum PortPattern {
    Unwritten,
    Exactly(u16),
    Any,
}

/// A host in the one spelling that is compared.
#[derive(Clone, Debug, PartialEq, Eq)]
enum PlainHost {
    /// Lower-case ASCII without empty labels. Also IPv4 addresses, in dotted decimal form.
    Name(String),
    V6(Ipv6Addr),
}

impl fmt::Display for PlainHost {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Name(name) => f.write_str(name),
            Self::V6(address) => write!(f, "[{address}]"),
        }
    }
}

/// Refuses everything that browsers, proxies or path cleaners could turn into the start of another host. Like the
/// reference, it looks at the query too.
fn check_path(target: &str) -> Result<(), Rejected> {
    if target.starts_with("//") {
        return Err(Rejected::SchemeRelative);
    }
    if percent_decode_str(before_query(target)).any(|byte| byte.is_ascii_control()) {
        return Err(Rejected::ControlCharacter);
    }
    let mut segments = target.split(['/', '\\']);
    // Only what stands between two separators counts: neither the text before the first nor that after the last.
    segments.next();
    segments.next_back();
    for segment in segments {
        match segment {
            "." | ".." => return Err(Rejected::DotSegment),
            blank if blank.chars().all(char::is_whitespace) => return Err(Rejected::EmptySegment),
            _ => (),
        }
    }
    Ok(())
}

fn before_query(target: &str) -> &str {
    target.split(['?', '#']).next().unwrap_or(target)
}

fn before_path(rest: &str) -> &str {
    rest.split(['/', '?', '#']).next().unwrap_or(rest)
}

/// Splits `host[:port]`; the brackets of IPv6 stay with the host. An empty port is no port (RFC 3986 section 3.2.3).
fn split_port(authority: &str) -> Option<(&str, Option<u16>)> {
    let (host, port) = match authority.rsplit_once(':') {
        Some((host, port)) if !port.ends_with(']') => (host, port),
        _ => (authority, ""),
    };
    if host.contains(':') && !host.starts_with('[') {
        return None;
    }
    if port.is_empty() {
        return Some((host, None));
    }
    let canonical = port.bytes().all(|byte| byte.is_ascii_digit()) && !port.starts_with('0');
    if canonical { port.parse().ok().map(|port| (host, Some(port))) } else { None }
}

/// Reads a host as it stands in a URL; `None` for anything that different readers could understand differently.
fn plain_host(host: &str) -> Option<PlainHost> {
    if let Some(inner) = host.strip_prefix('[') {
        return inner.strip_suffix(']')?.parse().ok().map(PlainHost::V6);
    }
    let plain = host.split('.').all(|label| {
        !label.is_empty()
            && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'))
    });
    plain.then(|| PlainHost::Name(host.to_ascii_lowercase()))
}

/// Reads a host that the operator wrote: international names are turned into the form that URLs carry.
fn listed_host(host: &str) -> Option<PlainHost> {
    match Host::parse(host).ok()? {
        Host::Domain(name) => plain_host(&name),
        Host::Ipv4(address) => Some(PlainHost::Name(address.to_string())),
        Host::Ipv6(address) => Some(PlainHost::V6(address)),
    }
}

const fn is_domain(host: &Host<String>) -> bool {
    matches!(host, Host::Domain(_))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hosts(entries: &[&str]) -> AllowedHosts {
        AllowedHosts::parse(&entries.iter().map(|&entry| entry.to_owned()).collect::<Vec<_>>()).unwrap()
    }

    fn listed() -> AllowedHosts {
        hosts(&[
            ".allowed.test",
            "exact.test",
            "port.test:8443",
            "any.test:*",
            "*.wild.test",
            ".sub.port.test:9000",
            "[2001:db8::1]",
            "[2001:db8::2]:8443",
            "bücher.test",
            "",
        ])
    }

    #[test]
    fn a_policy_allows_whatever_is_listed() {
        let sources = listed().policy_sources();
        let expected = [
            "http://allowed.test",
            "http://*.allowed.test",
            "http://exact.test",
            "http://port.test:8443",
            "http://any.test:*",
            "http://wild.test",
            "http://*.wild.test",
            "http://sub.port.test:9000",
            "http://*.sub.port.test:9000",
            "http:",
            "http:",
            "http://xn--bcher-kva.test",
        ];
        assert_eq!(sources, expected);
        assert!(hosts(&[]).policy_sources().is_empty());
    }

    #[track_caller]
    fn check(target: &str, expected: Result<(), Rejected>) {
        let answer = listed().check(target);
        assert_eq!(answer.as_ref().map(|_| ()).map_err(|&why| why), expected, "{target:?}");
        if let Ok(safe) = answer {
            assert_eq!(safe.as_str(), target, "the proof holds the exact text");
        }
    }

    #[test]
    fn paths_of_this_site_are_safe() {
        for target in [
            "/",
            "/foo",
            "/foo/",
            "/foo/bar?a=b&c=d",
            "/foo#frag",
            "/a%20b?x=%2F",
            "/a:b",
            "/~user/@x",
            "/%2f%2fevil",
            "/.well-known/x",
            "/..",
            "/a b",
            "/ü",
            "/x?a=\\b",
            "/x?text=one%0D%0Atwo",
            "/\"><script>alert(1)</script>",
        ] {
            check(target, Ok(()));
        }
    }

    #[test]
    fn no_path_leads_to_another_host() {
        use Rejected::{
            Backslash, ControlCharacter, DotSegment, Empty, EmptySegment, NotAUrl, SchemeRelative,
        };
        for (target, why) in [
            ("", Empty),
            ("//evil.example", SchemeRelative),
            ("//evil.example/path", SchemeRelative),
            ("///evil.example", SchemeRelative),
            ("////evil.example", SchemeRelative),
            ("/\\evil.example", Backslash),
            ("\\\\evil.example", Backslash),
            ("\\/evil.example", Backslash),
            ("/\\/evil.example", Backslash),
            ("/\\\\evil.example", Backslash),
            ("/a\\b", Backslash),
            ("/\t/evil.example", ControlCharacter),
            ("/\n/evil.example", ControlCharacter),
            ("/\r/evil.example", ControlCharacter),
            ("/\x0b/evil.example", ControlCharacter),
            ("/\0/evil.example", ControlCharacter),
            ("/x\t/y", ControlCharacter),
            ("/x?a=\nb", ControlCharacter),
            ("/foo\r\nX-Evil: 1", ControlCharacter),
            ("/foo%0d%0aX-Evil:%201", ControlCharacter),
            ("/%00", ControlCharacter),
            ("/\u{85}x", ControlCharacter),
            ("\t//evil.example", ControlCharacter),
            (" //evil.example", NotAUrl),
            ("/ /evil.example", EmptySegment),
            ("/\u{a0}/evil.example", EmptySegment),
            ("/a//b", EmptySegment),
            ("/a?next=https://evil.example", EmptySegment),
            ("/./evil.example/..//x", DotSegment),
            ("/.//evil.example", DotSegment),
            ("/..//evil.example", DotSegment),
            ("/../evil.example", DotSegment),
            ("/a/../b", DotSegment),
            ("/./x", DotSegment),
            ("/.\\evil.example", Backslash),
            ("foo", NotAUrl),
            ("foo/bar", NotAUrl),
            (".", NotAUrl),
            ("..", NotAUrl),
            ("evil.example", NotAUrl),
            ("@evil.example", NotAUrl),
            ("?x=y", NotAUrl),
            ("#frag", NotAUrl),
            ("javascript:alert(1)", NotAUrl),
            ("data:text/html,x", NotAUrl),
            ("ftp://exact.test/", NotAUrl),
        ] {
            check(target, Err(why));
        }
    }

    #[test]
    fn listed_hosts_are_safe() {
        for target in [
            "https://a.allowed.test/x?y=1",
            "http://a.b.allowed.test",
            "https://allowed.test/",
            "https://exact.test",
            "https://EXACT.test/",
            "http://exact.test/a/b?c=d",
            "https://exact.test?@evil.example",
            "https://exact.test/?next=https://x.example",
            "https://exact.test:/",
            "https://port.test:8443/x",
            "https://any.test:1/x",
            "https://any.test:65000",
            "https://any.test/x",
            "https://a.sub.port.test:9000/",
            "https://x.wild.test/",
            "https://wild.test/",
            "https://[2001:db8::1]/",
            "https://[2001:0DB8::1]/",
            "https://[2001:db8::2]:8443/",
            "https://xn--bcher-kva.test/",
        ] {
            check(target, Ok(()));
        }
    }

    #[test]
    fn other_hosts_and_ports_are_not() {
        use Rejected::{Backslash, ControlCharacter, HostNotAllowed, NotAUrl, UserInformation};
        for (target, why) in [
            ("http://evil.example", HostNotAllowed),
            ("https://evil.example/x", HostNotAllowed),
            ("HTTP://exact.test", NotAUrl),
            ("https:exact.test", NotAUrl),
            ("https:/exact.test", NotAUrl),
            ("https:///exact.test", NotAUrl),
            ("https://", NotAUrl),
            ("https://badallowed.test", HostNotAllowed),
            ("https://notexact.test", HostNotAllowed),
            ("https://a.exact.test", HostNotAllowed),
            ("https://exact.test.evil.example", HostNotAllowed),
            ("https://exact.test.", NotAUrl),
            ("https://.allowed.test", NotAUrl),
            ("https://port.test/x", HostNotAllowed),
            ("https://port.test:8444", HostNotAllowed),
            ("https://exact.test:443", HostNotAllowed),
            ("https://exact.test:8080", HostNotAllowed),
            ("https://a.allowed.test:8443", HostNotAllowed),
            ("https://a.sub.port.test:9001", HostNotAllowed),
            ("https://[2001:db8::1]:443/", HostNotAllowed),
            ("https://[2001:db8::3]/", HostNotAllowed),
            ("https://any.test:65536", NotAUrl),
            ("https://any.test:080", NotAUrl),
            ("https://exact.test:port/", NotAUrl),
            ("https://exa%zzct.test/", NotAUrl),
            ("https://exa%63t.test/", NotAUrl),
            ("https://[::1/", NotAUrl),
            ("https://::1/", NotAUrl),
            ("https://exact。test/", NotAUrl),
            ("https://bücher.test/", NotAUrl),
            ("https://exact.test evil.example/", NotAUrl),
            ("https://0x7f.1/", NotAUrl),
            ("https://allowed.test@evil.example", UserInformation),
            ("https://allowed.test:443@evil.example/", UserInformation),
            ("https://user:pw@exact.test/", UserInformation),
            ("https://a.allowed.test:pw@evil.example", UserInformation),
            ("https://evil.example\\@allowed.test", Backslash),
            ("https://evil.example\\.allowed.test", Backslash),
            ("https://evil.example#@allowed.test", HostNotAllowed),
            ("https://evil.example?.allowed.test", HostNotAllowed),
            ("https://exact.test/\r\nX: 1", ControlCharacter),
            ("https://exact\t.test/", ControlCharacter),
        ] {
            check(target, Err(why));
        }
    }

    #[test]
    fn without_a_list_only_this_site_is_safe() {
        assert_eq!(AllowedHosts::default().check("https://exact.test/"), Err(Rejected::HostNotAllowed));
        assert!(AllowedHosts::default().check("/x").is_ok());
    }

    #[test]
    fn entries_that_cannot_be_meant_are_refused() {
        for entry in [
            "https://exact.test",
            "exact.test/",
            "user@exact.test",
            "*",
            "*.",
            ".",
            "a.*.test",
            "exact.test:port",
            "exact.test:70000",
            "::1",
            "[::1",
            ".10.0.0.1",
            "two words",
        ] {
            assert!(AllowedHosts::parse(&[entry.to_owned()]).is_err(), "{entry}");
        }
    }

    #[test]
    fn our_own_endpoints_can_be_ruled_out() {
        let outside = |target: &str| AllowedHosts::default().check(target).unwrap().outside("/oauth2");
        for target in ["/oauth2", "/oauth2/start?rd=/x", "/%6fauth2/start", "/oauth2/", "/oauth2#x"] {
            assert_eq!(outside(target), Err(Rejected::OwnEndpoint), "{target}");
        }
        for target in ["/", "/oauth2x", "/x?rd=/oauth2/start", "/oauth2/static/css/a.css"] {
            assert!(outside(target).is_ok(), "{target}");
        }
    }
}
