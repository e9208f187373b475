//! How API requests are turned away: with a `Status` of Kubernetes for programs, a page for people, and in either case a
//! challenge where credentials are missing or bad (RFC 6750 section 3).

use doorward_net::Body;
use doorward_oauth::kubernetes_status;
use http::{
    HeaderMap, HeaderValue, Response, StatusCode,
    header::{ACCEPT, CACHE_CONTROL, RETRY_AFTER, USER_AGENT, WWW_AUTHENTICATE},
};

use crate::{
    api::{ApiAuth, ErrorFormat},
    gate::Gate,
    ingress::Arrival,
    pages::Problem,
    respond,
};

const NO_STORE: HeaderValue = HeaderValue::from_static("no-store");
const CHALLENGE: HeaderValue = HeaderValue::from_static("Bearer realm=\"proxy\"");
const INVALID_TOKEN: HeaderValue =
    HeaderValue::from_static("Bearer realm=\"proxy\", error=\"invalid_token\"");

/// Why a request is turned away, as far as its sender may know.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Refusal {
    /// No credential came.
    Unauthenticated,
    /// What came is bad.
    BadCredential,
    /// The same, and a token was among it.
    BadToken,
    Malformed(&'static str),
    Forbidden(String),
    /// Nobody can tell at the moment.
    Unavailable,
}

impl Refusal {
    pub(crate) const fn status(&self) -> StatusCode {
        match self {
            Self::Unauthenticated | Self::BadCredential | Self::BadToken => StatusCode::UNAUTHORIZED,
            Self::Malformed(_) => StatusCode::BAD_REQUEST,
            Self::Forbidden(_) => StatusCode::FORBIDDEN,
            Self::Unavailable => StatusCode::SERVICE_UNAVAILABLE,
        }
    }

    /// The word of Kubernetes for it.
    const fn reason(&self) -> &'static str {
        match self {
            Self::Unauthenticated | Self::BadCredential | Self::BadToken => "Unauthorized",
            Self::Malformed(_) => "BadRequest",
            Self::Forbidden(_) => "Forbidden",
            Self::Unavailable => "ServiceUnavailable",
        }
    }

    fn message(&self) -> &str {
        match self {
            Self::Unauthenticated | Self::BadCredential | Self::BadToken => "Unauthorized",
            Self::Malformed(why) => why,
            Self::Forbidden(why) => why,
            Self::Unavailable => "It cannot be told at the moment who you are. Try again shortly.",
        }
    }

    /// What goes with the answer, whatever its body is.
    pub(crate) fn mark(&self, headers: &mut HeaderMap) {
        headers.insert(CACHE_CONTROL, NO_STORE);
        match self {
            Self::Unauthenticated | Self::BadCredential => headers.insert(WWW_AUTHENTICATE, CHALLENGE),
            Self::BadToken => headers.insert(WWW_AUTHENTICATE, INVALID_TOKEN),
            Self::Unavailable => headers.insert(RETRY_AFTER, HeaderValue::from_static("5")),
            Self::Malformed(_) | Self::Forbidden(_) => None,
        };
    }

    fn kubernetes(&self) -> String {
        kubernetes_status(self.status(), self.reason(), self.message())
    }
}

/// The answer to a request that is turned away.
pub(crate) fn answer(gate: &Gate, arrival: &Arrival, refusal: &Refusal) -> Response<Body> {
    let for_people = gate.api.as_ref().is_some_and(|api| wants_page(gate, api, arrival));
    let mut response = if for_people {
        let message = match refusal {
            // The page has its own sentence for it.
            Refusal::Unauthenticated => String::new(),
            Refusal::BadCredential | Refusal::BadToken => {
                "What you sent to identify yourself is not valid.".into()
            }
            refusal => refusal.message().to_owned(),
        };
        gate.error_page(arrival, &Problem { message, ..Problem::new(refusal.status()) })
    } else {
        respond::json(refusal.status(), refusal.kubernetes().into())
    };
    refusal.mark(response.headers_mut());
    response
}

/// Whether a person is to read the answer.
pub(crate) fn wants_page(gate: &Gate, api: &ApiAuth, arrival: &Arrival) -> bool {
    api.errors == ErrorFormat::Auto
        && !is_api(arrival.facts.judged().path())
        && !gate.wants_json(arrival)
        && is_browser(arrival.headers())
}

/// The paths of a Kubernetes API.
fn is_api(path: &str) -> bool {
    ["/api", "/apis"]
        .iter()
        .any(|root| path.strip_prefix(root).is_some_and(|rest| rest.is_empty() || rest.starts_with('/')))
}

/// Whoever asks for HTML; and browsers that take anything.
fn is_browser(headers: &HeaderMap) -> bool {
    let lines = headers.get_all(ACCEPT).iter().filter_map(|value| value.to_str().ok());
    let mut media =
        lines.flat_map(|line| line.split(',')).map(|item| item.split(';').next().unwrap_or("").trim());
    let mut has_choice = false;
    let asks_for_html = media.any(|media| {
        has_choice |= !media.is_empty() && media != "*/*";
        media.eq_ignore_ascii_case("text/html")
    });
    let is_mozilla = || {
        let agent = headers.get(USER_AGENT).and_then(|value| value.to_str().ok());
        agent.is_some_and(|agent| agent.starts_with("Mozilla"))
    };
    asks_for_html || (!has_choice && is_mozilla())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a02_a_status_is_as_kubernetes_writes_it() {
        assert_eq!(
            Refusal::BadToken.kubernetes(),
            "{\"kind\":\"Status\",\"apiVersion\":\"v1\",\"metadata\":{},\"status\":\"Failure\",\
             \"message\":\"Unauthorized\",\"reason\":\"Unauthorized\",\"code\":401}\n"
        );
        let forbidden = Refusal::Forbidden("\"quoted\"".into()).kubernetes();
        let read: serde_json::Value = serde_json::from_str(&forbidden).unwrap();
        assert_eq!((read["message"].as_str(), read["code"].as_u64()), (Some("\"quoted\""), Some(403)));
    }

    #[test]
    fn a_challenge_names_an_error_only_where_a_token_came() {
        for (refusal, expected) in [
            (Refusal::Unauthenticated, Some("Bearer realm=\"proxy\"")),
            (Refusal::BadCredential, Some("Bearer realm=\"proxy\"")),
            (Refusal::BadToken, Some("Bearer realm=\"proxy\", error=\"invalid_token\"")),
            (Refusal::Unavailable, None),
            (Refusal::Malformed("x"), None),
        ] {
            let mut headers = HeaderMap::new();
            refusal.mark(&mut headers);
            assert_eq!(headers.get(WWW_AUTHENTICATE).map(|value| value.to_str().unwrap()), expected);
            assert_eq!(headers[CACHE_CONTROL], "no-store");
        }
    }

    #[test]
    fn pages_are_for_browsers_and_those_who_ask_for_html() {
        const FIREFOX: &str = "Mozilla/5.0";
        for (accept, agent, expected) in [
            (Some("text/html,application/xhtml+xml,*/*;q=0.8"), FIREFOX, true),
            (Some("text/html"), "curl/8", true),
            (Some("*/*"), FIREFOX, true),
            (None, FIREFOX, true),
            (Some("image/png"), FIREFOX, false),
            (Some("*/*"), "curl/8", false),
            (None, "curl/8", false),
            (Some("application/json, */*"), "kubectl", false),
        ] {
            let mut headers = HeaderMap::new();
            headers.insert(USER_AGENT, HeaderValue::from_static(agent));
            if let Some(accept) = accept {
                headers.insert(ACCEPT, HeaderValue::from_static(accept));
            }
            assert_eq!(is_browser(&headers), expected, "{accept:?} {agent}");
        }
        for (path, expected) in
            [("/api", true), ("/apis/x", true), ("/api/v1", true), ("/apix", false), ("/", false)]
        {
            assert_eq!(is_api(path), expected, "{path}");
        }
    }
}
