//! Bodies for fuzzing: each takes any bytes, must not panic, and checks what has to hold of an answer.

use doorward_authz::Networks;
use doorward_core::{Timestamp, UserInfo, request::Scheme};
use doorward_net::{Body, Peer, WorkerId};
use http::{HeaderMap, HeaderName, HeaderValue, Request};
use url::Url;

use crate::api::{Impersonation, ImpersonationRule, Targets, impersonation};
use crate::ingress::{Config, Connection, Duty, Forwarded, StrangersHeaders};

/// Header lines that a trusted proxy sent. What is believed is one host, and a target that begins with a path.
pub fn forwarded(bytes: &[u8]) {
    let mut request = Request::new(Body::Empty);
    request.headers_mut().insert(http::header::HOST, HeaderValue::from_static("own.example"));
    for line in bytes.split(|byte| *byte == b'\n').take(100) {
        let mut halves = line.splitn(2, |byte| *byte == b':');
        if let (Some(name), Some(value)) = (halves.next(), halves.next())
            && let (Ok(name), Ok(value)) =
                (HeaderName::from_bytes(name), HeaderValue::from_bytes(value.trim_ascii()))
        {
            request.headers_mut().append(name, value);
        }
    }
    let Some((config, connection)) = trusting() else { return };
    let Ok(arrival) = config.read(&connection, request, Timestamp::default()) else { return };
    let host = arrival.facts.host_str();
    match Url::parse(&format!("https://{host}/own")) {
        Ok(url) => assert!(url.has_host() && url.path() == "/own" && url.username().is_empty(), "{host:?}"),
        // Browsers do not know it, as with a name that ends in a number: then at least it means nothing else.
        Err(_) => {
            assert!(
                host.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"._-:".contains(&byte)),
                "{host:?}"
            );
        }
    }
    for target in [&arrival.facts.target, arrival.facts.judged()] {
        assert!(target.raw_path().starts_with('/') && !target.raw_path().contains(['\\', '#', ' ']));
    }
}

/// Header lines that ask to act as somebody else. Nobody is acted as whom no rule allows.
pub fn impersonation(bytes: &[u8]) {
    let mut headers = HeaderMap::new();
    for line in bytes.split(|byte| *byte == b'\n').take(100) {
        let mut halves = line.splitn(2, |byte| *byte == b':');
        if let (Some(name), Some(value)) = (halves.next(), halves.next())
            && let (Ok(name), Ok(value)) =
                (HeaderName::from_bytes(name), HeaderValue::from_bytes(value.trim_ascii()))
        {
            headers.append(name, value);
        }
    }
    let owned = |name: &str| vec![name.to_owned()];
    let rule = ImpersonationRule {
        users: owned("bob"),
        groups: Vec::new(),
        may_be: Targets { users: owned("alice"), groups: owned("dev") },
    };
    let bob = UserInfo { name: "bob".to_owned(), ..UserInfo::default() }.authenticated();
    if let Ok(target) = Impersonation::By(vec![rule]).target(&bob, &headers) {
        assert!(impersonation::is_asked(&headers) && target.name == "alice");
        assert!(target.groups.iter().all(|group| group == "dev" || group == "system:authenticated"));
    }
}

/// Whoever is connected is a proxy that we believe.
fn trusting() -> Option<(Config, Connection)> {
    let forwarded = Forwarded::From {
        proxies: Networks::parse(&["10.0.0.0/8".to_owned()]).ok()?,
        client_ip_header: HeaderName::from_static("x-forwarded-for"),
        strangers: StrangersHeaders::Removed,
    };
    let config = Config { forwarded, request_id_header: HeaderName::from_static("x-request-id") };
    let (peer, scheme, worker) = (Peer::Unix, Scheme::Http, WorkerId(0));
    Some((config, Connection { peer, scheme, worker, certificates: None, duty: Duty::Carry }))
}

#[cfg(test)]
mod tests {
    use doorward_testkit::corpus;

    #[test]
    fn nobody_acts_as_whom_no_rule_allows() {
        corpus::run("impersonation", super::impersonation);
    }

    #[test]
    fn what_a_proxy_says_is_well_formed_or_refused() {
        corpus::run("forwarded", super::forwarded);
    }
}
