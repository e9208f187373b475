//! The text of Set-Cookie lines (wire-formats, section 8).

use std::fmt::Write as _;
use std::time::Duration;

use http::HeaderValue;

use super::config::{CookieConfig, CookieTransport, SameSite, ScriptAccess};

/// The attributes of our cookies, written out beforehand for each domain that may be chosen.
#[derive(Debug)]
pub(crate) struct Dress {
    /// Longest domain first; never empty.
    choices: Vec<Attributes>,
    /// Without configured domains there is nothing to match.
    fallback: Attributes,
}

/// Everything after the value.
#[derive(Debug)]
pub(crate) struct Attributes {
    /// The domain in lower case without leading dot.
    domain: String,
    set: String,
    delete: String,
}

/// What differs between the cookies of a session and of a login.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Kind {
    pub(crate) expire: Duration,
    pub(crate) same_site: SameSite,
}

impl Dress {
    pub(crate) fn new(config: &CookieConfig, kind: Kind) -> Self {
        let mut domains: Vec<&str> = config.domains.iter().map(String::as_str).collect();
        domains.sort_by_key(|domain| std::cmp::Reverse(domain.len()));
        let fallback = domains.last().map_or("", |domain| domain);
        Self {
            fallback: Attributes::new(config, kind, fallback),
            choices: domains.iter().map(|domain| Attributes::new(config, kind, domain)).collect(),
        }
    }

    /// The attributes for a request to `host`: those of the longest domain it belongs to, else of the shortest.
    pub(crate) fn attributes(&self, host: &str) -> &Attributes {
        if self.choices.is_empty() {
            return &self.fallback;
        }
        let name = without_port(host);
        self.choices.iter().find(|choice| belongs(name, &choice.domain)).unwrap_or_else(|| {
            tracing::warn!(?host, domain = self.fallback.domain, "the host belongs to no cookie_domain");
            &self.fallback
        })
    }
}

impl Attributes {
    fn new(config: &CookieConfig, kind: Kind, domain: &str) -> Self {
        let mut before = String::new();
        let path: String = config.path.chars().filter(|&c| c != ';' && matches!(c, ' '..='~')).collect();
        if !path.is_empty() {
            let _ = write!(before, "; Path={path}");
        }
        let domain = domain.strip_prefix('.').unwrap_or(domain);
        if is_domain(domain) {
            let _ = write!(before, "; Domain={domain}");
        }
        let mut after = String::new();
        if config.script_access == ScriptAccess::Forbidden {
            after.push_str("; HttpOnly");
        }
        if config.transport == CookieTransport::HttpsOnly {
            after.push_str("; Secure");
        }
        after.push_str(match kind.same_site {
            SameSite::Unset => "",
            SameSite::Lax => "; SameSite=Lax",
            SameSite::Strict => "; SameSite=Strict",
            SameSite::None => "; SameSite=None",
        });
        let set = match kind.expire.as_secs() {
            0 => format!("{before}{after}"),
            seconds => format!("{before}; Max-Age={seconds}{after}"),
        };
        Self { domain: domain.to_ascii_lowercase(), set, delete: format!("{before}; Max-Age=0{after}") }
    }

    /// Bytes of the line that sets a cookie.
    pub(crate) fn length(&self, name: &str, value: &str) -> usize {
        name.len() + 1 + value.len() + self.set.len()
    }

    /// The line that sets a cookie. `name` and `value` are our own texts without blanks, commas and semicolons.
    pub(crate) fn set(&self, name: &str, value: &str) -> HeaderValue {
        line(format!("{name}={value}{}", self.set))
    }

    /// The line that removes a cookie: the attributes it was set with, no value, no lifetime.
    pub(crate) fn delete(&self, name: &str) -> HeaderValue {
        line(format!("{name}={}", self.delete))
    }
}

fn line(text: String) -> HeaderValue {
    // Names are tokens, values are ours, attributes are filtered: there is nothing a header could not hold. Should
    // there be all the same, a browser passes over the empty line and the user has to log in again.
    let mut value = HeaderValue::try_from(text).unwrap_or(HeaderValue::from_static(""));
    value.set_sensitive(true);
    value
}

/// Whether `host` is `domain` or below it. Letters count the same in either case; the boundary is a dot
/// (bugs-not-to-copy, C10).
pub(crate) fn belongs(host: &str, domain: &str) -> bool {
    let Some(at) = host.len().checked_sub(domain.len()) else { return false };
    match (host.get(..at), host.get(at..)) {
        (Some(before), Some(tail)) => {
            tail.eq_ignore_ascii_case(domain) && (before.is_empty() || before.ends_with('.'))
        }
        _ => false,
    }
}

/// The host of `host[:port]`; an IPv6 address keeps its brackets.
pub(crate) fn without_port(host: &str) -> &str {
    match host.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) && !name.ends_with(':') => name,
        _ => host,
    }
}

/// Whether a text may stand as Domain: a DNS name, or an IPv4 address.
fn is_domain(text: &str) -> bool {
    let is_label = |label: &str| {
        (1..=63).contains(&label.len())
            && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
            && !label.starts_with('-')
            && !label.ends_with('-')
    };
    let is_name = || {
        text.len() <= 255
            && text.split('.').all(is_label)
            && text.bytes().any(|byte| byte.is_ascii_alphabetic())
    };
    text.parse::<std::net::Ipv4Addr>().is_ok() || is_name()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tests::config;

    #[track_caller]
    fn check_host(domains: &[&str], host: &str, expected: Option<&str>) {
        let mut config = config();
        config.domains = domains.iter().map(|&domain| domain.to_owned()).collect();
        let dress = Dress::new(&config, Kind { expire: config.expire, same_site: config.same_site });
        let line = dress.attributes(host).set("n", "v");
        let domain = line.to_str().unwrap().split("; ").find_map(|part| part.strip_prefix("Domain="));
        assert_eq!(domain, expected, "{host}");
    }

    #[test]
    fn the_longest_domain_on_a_label_boundary_is_chosen_and_else_the_shortest() {
        let domains = ["example.com", ".b.example.com", "other.test"];
        check_host(&domains, "a.b.example.com", Some("b.example.com"));
        check_host(&domains, "b.example.com", Some("b.example.com"));
        check_host(&domains, "A.B.EXAMPLE.com:8080", Some("b.example.com"));
        check_host(&domains, "xb.example.com", Some("example.com"));
        check_host(&domains, "evilother.test", Some("other.test"));
        check_host(&domains, "evilexample.com", Some("other.test"));
        check_host(&domains, "", Some("other.test"));
        check_host(&["evil.test", "a.example.com"], "evila.example.com", Some("evil.test"));
        check_host(&["127.0.0.1"], "127.0.0.1:4180", Some("127.0.0.1"));
        check_host(&[], "example.com", None);
        check_host(&["bad domain", "x:1", ""], "example.com", None);
        check_host(&["münchen.de"], "münchen.de", None);
    }

    #[test]
    fn a_path_cannot_smuggle_attributes() {
        let mut config = config();
        config.path = "/a;Domain=evil\r\nX: ä b".to_owned();
        config.domains = vec![];
        let dress = Dress::new(&config, Kind { expire: Duration::ZERO, same_site: SameSite::Unset });
        let line = dress.attributes("h").set("n", "v");
        assert_eq!(line.to_str().unwrap(), "n=v; Path=/aDomain=evilX:  b; HttpOnly; Secure");
    }
}
