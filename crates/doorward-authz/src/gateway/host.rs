//! Hosts of routes. Names are compared without case, port and final dot, as DNS and browsers do.

use std::{borrow::Cow, fmt, net::Ipv6Addr, str::FromStr};

/// A host (`api.example.com`, `192.0.2.1`, `[2001:db8::1]`), or all names below one (`*.example.com`, at any depth, but
/// not `example.com`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HostPattern {
    reach: Reach,
    /// As [`normalised`] makes it.
    name: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Reach {
    Exact,
    Below,
}

impl HostPattern {
    pub(super) const fn reach(&self) -> Reach {
        self.reach
    }

    pub(super) fn name(&self) -> &str {
        &self.name
    }

    /// `host` as [`normalised`] makes it.
    pub(super) fn holds(&self, host: &str) -> bool {
        match self.reach {
            Reach::Exact => host == self.name,
            Reach::Below => is_below(host, &self.name),
        }
    }

    /// Whether it holds for every host that `other` holds for.
    pub(super) fn covers(&self, other: &Self) -> bool {
        match (self.reach, other.reach) {
            (Reach::Exact, Reach::Exact) => self.name == other.name,
            (Reach::Exact, Reach::Below) => false,
            (Reach::Below, Reach::Exact) => is_below(&other.name, &self.name),
            (Reach::Below, Reach::Below) => other.name == self.name || is_below(&other.name, &self.name),
        }
    }
}

fn is_below(host: &str, parent: &str) -> bool {
    host.strip_suffix(parent).and_then(|above| above.strip_suffix('.')).is_some_and(|above| !above.is_empty())
}

/// The host of a request, as `Host` has it: without port and final dot, in small letters, IPv6 addresses in their
/// shortest form.
pub(super) fn normalised(host: &str) -> Cow<'_, str> {
    if let Some(rest) = host.strip_prefix('[') {
        let address = rest.split(']').next().unwrap_or(rest);
        return match address.parse::<Ipv6Addr>() {
            Ok(address) => Cow::Owned(format!("[{address}]")),
            Err(_) => Cow::Borrowed(""),
        };
    }
    let name = host.split(':').next().unwrap_or(host);
    let name = name.strip_suffix('.').unwrap_or(name);
    if name.bytes().any(|byte| byte.is_ascii_uppercase()) {
        Cow::Owned(name.to_ascii_lowercase())
    } else {
        Cow::Borrowed(name)
    }
}

impl FromStr for HostPattern {
    type Err = InvalidHostPattern;

    fn from_str(entry: &str) -> Result<Self, InvalidHostPattern> {
        let refuse = |reason| InvalidHostPattern { entry: entry.to_owned(), reason };
        if entry.contains("//") {
            return Err(refuse("write the host alone, without scheme and path"));
        }
        let (reach, host) = match entry.strip_prefix("*.") {
            Some(parent) => (Reach::Below, parent),
            None => (Reach::Exact, entry),
        };
        if let Some(address) = host.strip_prefix('[') {
            let address = address.strip_suffix(']').and_then(|address| address.parse::<Ipv6Addr>().ok());
            return match (reach, address) {
                (Reach::Exact, Some(address)) => Ok(Self { reach, name: format!("[{address}]") }),
                (Reach::Below, _) => Err(refuse("nothing is below an address")),
                (Reach::Exact, None) => Err(refuse("write an IPv6 address in brackets, without a port")),
            };
        }
        if host.contains(':') {
            return Err(refuse("write the host without a port; it holds for every port"));
        }
        if !host.is_ascii() {
            return Err(refuse("write the name as DNS has it (xn--…)"));
        }
        let is_of_label = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
        let name = host.strip_suffix('.').unwrap_or(host).to_ascii_lowercase();
        if name.split('.').any(|label| label.is_empty() || !label.bytes().all(is_of_label)) {
            return Err(refuse("write a host as api.example.com, or *.example.com for all names below one"));
        }
        Ok(Self { reach, name })
    }
}

impl fmt::Display for HostPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.reach {
            Reach::Exact => f.write_str(&self.name),
            Reach::Below => write!(f, "*.{}", self.name),
        }
    }
}

/// A text that is no host.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{entry:?} is no host: {reason}")]
pub struct InvalidHostPattern {
    pub entry: String,
    pub reason: &'static str,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_host_is_compared_without_case_port_and_final_dot() {
        for (pattern, host, expected) in [
            ("api.example.com", "api.example.com", true),
            ("API.example.com", "api.Example.COM", true),
            ("api.example.com.", "api.example.com", true),
            ("api.example.com", "api.example.com.", true),
            ("api.example.com", "api.example.com:8443", true),
            ("api.example.com", "api.example.com.:8443", true),
            ("api.example.com", "api.example.com:", true),
            ("api.example.com", "api.example.com..", false),
            ("api.example.com", "xapi.example.com", false),
            ("api.example.com", "api.example.com.evil.test", false),
            ("api.example.com", "example.com", false),
            ("api.example.com", "", false),
            ("*.example.com", "a.example.com", true),
            ("*.example.com", "A.b.Example.com:80", true),
            ("*.example.com", "example.com", false),
            ("*.example.com", ".example.com", false),
            ("*.example.com", "badexample.com", false),
            ("*.example.com", "a.example.com.evil.test", false),
            ("192.0.2.1", "192.0.2.1:80", true),
            ("[2001:db8::1]", "[2001:DB8:0::1]:443", true),
            ("[2001:db8::1]", "[2001:db8::2]", false),
            ("[::1]", "[nonsense]", false),
        ] {
            let parsed: HostPattern = pattern.parse().unwrap();
            assert_eq!(parsed.holds(&normalised(host)), expected, "{host} for {pattern}");
        }
    }

    #[test]
    fn what_is_no_host_is_refused() {
        for entry in [
            "",
            "*",
            "*.",
            ".example.com",
            "https://example.com",
            "example.com/x",
            "example.com:80",
            "*.*.example.com",
            "a*.example.com",
            "ex ample.com",
            "exämple.com",
            "a..b",
            "::1",
            "[::1]:80",
            "*.[::1]",
            "[x]",
        ] {
            assert!(entry.parse::<HostPattern>().is_err(), "{entry}");
        }
    }

    #[test]
    fn a_pattern_covers_what_holds_for_fewer_hosts() {
        for (wide, narrow, expected) in [
            ("a.test", "a.test", true),
            ("a.test", "*.a.test", false),
            ("*.a.test", "a.test", false),
            ("*.a.test", "b.a.test", true),
            ("*.a.test", "*.a.test", true),
            ("*.a.test", "*.b.a.test", true),
            ("*.b.a.test", "*.a.test", false),
            ("*.a.test", "*.ba.test", false),
        ] {
            let (wide_pattern, narrow_pattern): (HostPattern, HostPattern) =
                (wide.parse().unwrap(), narrow.parse().unwrap());
            assert_eq!(wide_pattern.covers(&narrow_pattern), expected, "{wide} over {narrow}");
        }
    }
}
