//! Which requests a route is about (`match`): all that is asked beside host and path, and what could be read in two ways.
//! What is asked of people is in `expression`.

use std::fmt;

use doorward_core::{RequestFacts, Target};
use http::{HeaderMap, HeaderName, HeaderValue, Method};

use super::{
    host::{HostPattern, normalised},
    template::PathTemplate,
    value::{ValueFit, ValueMatch},
};
use crate::{network::Networks, policy::Judged};

/// The requests of a route: all conditions have to hold.
#[derive(Clone, Debug, PartialEq)]
pub struct Match {
    /// One of these; empty are all.
    pub hosts: Vec<HostPattern>,
    pub path: PathTemplate,
    /// One of these; empty are all. `GET` stands for `HEAD` too, which tells no more (RFC 9110 section 9.3.2).
    pub methods: Vec<Method>,
    pub headers: Vec<(HeaderName, ValueMatch)>,
    /// Parameters of the query, by their decoded names.
    pub query: Vec<(String, ValueMatch)>,
    pub websocket: WebSocketMatch,
    /// The client is within them; an unknown address is within none.
    pub clients: Option<Networks>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WebSocketMatch {
    Any,
    Only,
    Never,
}

/// What a request would begin. Whoever carries it on decides that, so that it is the same here and there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exchange {
    Plain,
    WebSocket,
}

/// A request to be matched.
#[derive(Clone, Copy, Debug)]
pub struct Asked<'a> {
    pub facts: &'a RequestFacts,
    pub judged: Judged,
    pub headers: &'a HeaderMap,
    pub exchange: Exchange,
}

impl<'a> Asked<'a> {
    pub(super) fn target(&self) -> Option<&'a Target> {
        match self.judged {
            Judged::Own => Some(&self.facts.target),
            Judged::Original => self.facts.original.as_ref(),
        }
    }

    pub(super) fn method(&self) -> &'a Method {
        match self.judged {
            Judged::Own => &self.facts.method,
            Judged::Original => self.facts.judged_method(),
        }
    }

    pub(super) fn host(&self) -> std::borrow::Cow<'a, str> {
        normalised(self.facts.host_str())
    }
}

/// Why a request is no request of a route.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Mismatch {
    Host,
    Path,
    Method,
    WebSocket,
    Client,
    Header(HeaderName),
    Query(String),
}

impl fmt::Display for Mismatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Host => f.write_str("another host"),
            Self::Path => f.write_str("another path"),
            Self::Method => f.write_str("another method"),
            Self::WebSocket => f.write_str("its condition on WebSockets"),
            Self::Client => f.write_str("the client's address"),
            Self::Header(name) => write!(f, "the header {name}"),
            Self::Query(name) => write!(f, "the query parameter {name}"),
        }
    }
}

/// Why a request is refused (400): it could be read as a request to one route or to another.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unclear {
    #[error(
        "programs read the path in different ways (dot segments, encoded or repeated slashes, control characters)"
    )]
    Path,
    #[error("programs read the path in different ways, and a policy could see only one of them")]
    PathForPolicies,
    #[error("the query parameter {0} can be read in several ways")]
    Query(String),
    #[error("the header {0} was sent several times with different values, or in several spellings")]
    Header(HeaderName),
    #[error("some programs read the method without its case; write it in capital letters")]
    Method,
    #[error("the question does not say which request it is about: X-Forwarded-Uri is missing")]
    Unnamed,
}

/// Whether conditions hold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Holds {
    Yes,
    No(Mismatch),
    Unclear(Unclear),
}

impl Match {
    /// `host` as [`normalised`] makes it.
    pub(super) fn holds_for_host(&self, host: &str) -> bool {
        self.hosts.is_empty() || self.hosts.iter().any(|pattern| pattern.holds(host))
    }

    /// All conditions but host and path.
    pub(super) fn holds_besides(&self, asked: &Asked<'_>) -> Holds {
        if !self.holds_for_method(asked.method()) {
            return Holds::No(Mismatch::Method);
        }
        match (self.websocket, asked.exchange) {
            (WebSocketMatch::Only, Exchange::Plain) | (WebSocketMatch::Never, Exchange::WebSocket) => {
                return Holds::No(Mismatch::WebSocket);
            }
            _ => (),
        }
        if let Some(networks) = &self.clients
            && !asked.facts.client.known().is_some_and(|address| networks.contains(address))
        {
            return Holds::No(Mismatch::Client);
        }
        for (name, condition) in &self.headers {
            match fit_header(asked.headers, name, condition) {
                ValueFit::Yes => (),
                ValueFit::No => return Holds::No(Mismatch::Header(name.clone())),
                ValueFit::Mixed => return Holds::Unclear(Unclear::Header(name.clone())),
            }
        }
        let query = asked.target().and_then(Target::query).unwrap_or_default();
        for (name, condition) in &self.query {
            match fit_query(query, name, condition) {
                ValueFit::Yes => (),
                ValueFit::No => return Holds::No(Mismatch::Query(name.clone())),
                ValueFit::Mixed => return Holds::Unclear(Unclear::Query(name.clone())),
            }
        }
        Holds::Yes
    }

    fn holds_for_method(&self, method: &Method) -> bool {
        self.methods.is_empty()
            || self.methods.contains(method)
            || (method == Method::HEAD && self.methods.contains(&Method::GET))
    }

    /// Whether it surely holds for every request that `other` holds for.
    pub(super) fn covers(&self, other: &Self) -> bool {
        let hosts = self.hosts.is_empty()
            || (!other.hosts.is_empty()
                && other.hosts.iter().all(|host| self.hosts.iter().any(|own| own.covers(host))));
        let methods = self.methods.is_empty()
            || (!other.methods.is_empty()
                && other.methods.iter().all(|method| self.holds_for_method(method)));
        let clients = match (&self.clients, &other.clients) {
            (None, _) => true,
            (Some(own), Some(other)) => own.cover(other),
            (Some(_), None) => false,
        };
        hosts
            && self.path.covers(&other.path)
            && methods
            && (self.websocket == WebSocketMatch::Any || self.websocket == other.websocket)
            && clients
            && all_covered(&self.headers, &other.headers)
            && all_covered(&self.query, &other.query)
    }

    /// Whether no request can be one of these at all.
    pub(super) fn is_impossible(&self) -> bool {
        // RFC 6455 section 4.1: the opening handshake is a GET.
        self.websocket == WebSocketMatch::Only && !self.holds_for_method(&Method::GET)
    }
}

/// Each of `own` has to hold wherever all of `other` do.
fn all_covered<N: PartialEq>(own: &[(N, ValueMatch)], other: &[(N, ValueMatch)]) -> bool {
    own.iter().all(|(name, condition)| {
        other.iter().any(|(its_name, its)| its_name == name && condition.covers(its))
    })
}

/// Some programs take other characters of a name for dashes (CGI, WSGI, PHP): whether the condition holds must not depend
/// on it. Bytes that are not text are a value that no condition but a presence is about.
fn fit_header(headers: &HeaderMap, name: &HeaderName, condition: &ValueMatch) -> ValueFit {
    let is_spelling = |other: &HeaderName| {
        let fold = |byte: u8| if byte.is_ascii_alphanumeric() { byte } else { b'-' };
        other.as_str().bytes().map(fold).eq(name.as_str().bytes().map(fold))
    };
    let own = condition.fit(headers.get_all(name).iter().map(text_of));
    if !headers.keys().any(|other| other != name && is_spelling(other)) {
        return own;
    }
    let all = headers.iter().filter(|(other, _)| is_spelling(other)).map(|(_, value)| text_of(value));
    if condition.fit(all) == own { own } else { ValueFit::Mixed }
}

fn text_of(value: &HeaderValue) -> &str {
    value.to_str().unwrap_or("\u{FFFD}")
}

/// Some programs split a query at semicolons too, and some take names without their case. A condition that holds in the
/// eyes of one and not of another is settled by nobody.
fn fit_query(query: &str, name: &str, condition: &ValueMatch) -> ValueFit {
    let own = fit_parameters(query, condition, |key| key == name);
    if query.is_empty() {
        return own;
    }
    let caseless = fit_parameters(query, condition, |key| key.eq_ignore_ascii_case(name));
    if own != caseless {
        return ValueFit::Mixed;
    }
    if query.contains(';') {
        let split = query.replace(';', "&");
        if own != fit_parameters(&split, condition, |key| key.eq_ignore_ascii_case(name)) {
            return ValueFit::Mixed;
        }
    }
    own
}

fn fit_parameters(query: &str, condition: &ValueMatch, is_meant: impl Fn(&str) -> bool) -> ValueFit {
    let pairs = form_urlencoded::parse(query.as_bytes()).filter(|(key, _)| is_meant(key));
    let values: Vec<_> = pairs.map(|(_, value)| value).collect();
    condition.fit(values.iter().map(AsRef::as_ref))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_query_is_one_thing_to_all_who_read_it() {
        let read = ValueMatch::Equals("read".to_owned());
        for (query, expected) in [
            ("action=read", ValueFit::Yes),
            ("x=1&action=read&y", ValueFit::Yes),
            ("%61ction=rea%64", ValueFit::Yes),
            ("action=read&action=read", ValueFit::Yes),
            ("action=delete", ValueFit::No),
            ("actions=read", ValueFit::No),
            ("", ValueFit::No),
            ("action", ValueFit::No),
            ("action=Read", ValueFit::No),
            ("x=action=read", ValueFit::No),
            ("action=read&action=delete", ValueFit::Mixed),
            ("action=delete&action=read", ValueFit::Mixed),
            ("action=read&%61ction=delete", ValueFit::Mixed),
            ("action=read&Action=delete", ValueFit::Mixed),
            ("Action=read", ValueFit::Mixed),
            ("x=1;action=read", ValueFit::Mixed),
            ("action=read;action=delete", ValueFit::Mixed),
            ("action=read;x", ValueFit::Mixed),
            ("x=1;y=2", ValueFit::No),
            ("action=delete&x=;", ValueFit::No),
        ] {
            assert_eq!(fit_query(query, "action", &read), expected, "{query}");
        }
        for (query, expected) in [
            ("", ValueFit::Yes),
            ("x", ValueFit::Yes),
            ("debug", ValueFit::No),
            ("debug=&debug=1", ValueFit::No),
            ("x;debug", ValueFit::Mixed),
            ("DEBUG=1", ValueFit::Mixed),
        ] {
            assert_eq!(fit_query(query, "debug", &ValueMatch::Absent), expected, "{query}");
        }
    }

    #[test]
    fn header_lines_that_disagree_settle_nothing() {
        let name = HeaderName::from_static("x-env");
        let prod = ValueMatch::Equals("prod".to_owned());
        for (lines, expected) in [
            (&["prod"][..], ValueFit::Yes),
            (&["prod", "prod"], ValueFit::Yes),
            (&["test"], ValueFit::No),
            (&[], ValueFit::No),
            (&["prod", "test"], ValueFit::Mixed),
            (&["prod, test"], ValueFit::No),
            (&["pr\u{e4}d"], ValueFit::No),
        ] {
            let mut headers = HeaderMap::new();
            for line in lines {
                headers.append(&name, HeaderValue::from_str(line).unwrap());
            }
            assert_eq!(fit_header(&headers, &name, &prod), expected, "{lines:?}");
        }
    }
}
