//! How requests are turned away, with a body in the form that the configuration says or the request asks for, and in
//! either case a challenge where credentials are missing or bad (RFC 6750 section 3).

use doorward_net::Body;
use doorward_oauth::kubernetes_status;
use doorward_template::words::{Message, Words};
use http::{
    HeaderMap, HeaderValue, Response, StatusCode,
    header::{CACHE_CONTROL, RETRY_AFTER, WWW_AUTHENTICATE},
};
use serde_json::json;

use crate::{api::ErrorFormat, asker::takes_page, gate::Gate, ingress::Arrival, pages::Problem, respond};

const NO_STORE: HeaderValue = HeaderValue::from_static("no-store");
const CHALLENGE: HeaderValue = HeaderValue::from_static("Bearer realm=\"proxy\"");
const INVALID_TOKEN: HeaderValue =
    HeaderValue::from_static("Bearer realm=\"proxy\", error=\"invalid_token\"");
const BEARER: HeaderValue = HeaderValue::from_static("Bearer");

/// Why a request is turned away, as far as its sender may know.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Refusal {
    /// No credential came.
    Unauthenticated,
    /// What came is bad.
    BadCredential,
    /// The same, and a token was among it. The text says what is wrong with it, one of few; empty to say nothing.
    BadToken(&'static str),
    /// The credential is good, and was come by too easily or too long ago (RFC 9470).
    StepUp(Wanted),
    Malformed(&'static str),
    Forbidden(String),
    /// The token does not reach so far.
    InsufficientScope,
    /// A policy wants this status, 400 to 599.
    Status(StatusCode),
    /// Nobody can tell at the moment.
    Unavailable,
}

/// What a login has to be like.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Wanted {
    /// `acr_values`, any of them; may be empty.
    pub(crate) acr: Vec<String>,
    /// Seconds.
    pub(crate) max_age: Option<u64>,
}

/// What goes into a challenge besides the error.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Challenge<'a> {
    /// `apiAuth`: our realm.
    Realm,
    /// A route of the gateway: the scopes that it asks for, separated by spaces; may be empty. The parts of the challenge
    /// are separated by spaces, as clients of AWS know it.
    Scopes(&'a str),
}

/// What the answer to a refused request looks like.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Style<'a> {
    pub(crate) format: ErrorFormat,
    pub(crate) challenge: Challenge<'a>,
}

const STEP_UP: &str = "a stronger or fresher login is needed";

impl Refusal {
    pub(crate) const fn status(&self) -> StatusCode {
        match self {
            Self::Unauthenticated | Self::BadCredential | Self::BadToken(_) | Self::StepUp(_) => {
                StatusCode::UNAUTHORIZED
            }
            Self::Malformed(_) => StatusCode::BAD_REQUEST,
            Self::Forbidden(_) | Self::InsufficientScope => StatusCode::FORBIDDEN,
            Self::Status(status) => *status,
            Self::Unavailable => StatusCode::SERVICE_UNAVAILABLE,
        }
    }

    /// The word of Kubernetes for it.
    fn reason(&self) -> &'static str {
        match self.status() {
            StatusCode::UNAUTHORIZED => "Unauthorized",
            StatusCode::BAD_REQUEST => "BadRequest",
            StatusCode::FORBIDDEN => "Forbidden",
            StatusCode::NOT_FOUND => "NotFound",
            StatusCode::METHOD_NOT_ALLOWED => "MethodNotAllowed",
            StatusCode::CONFLICT => "Conflict",
            StatusCode::PAYLOAD_TOO_LARGE => "RequestEntityTooLarge",
            StatusCode::TOO_MANY_REQUESTS => "TooManyRequests",
            StatusCode::INTERNAL_SERVER_ERROR => "InternalError",
            StatusCode::SERVICE_UNAVAILABLE => "ServiceUnavailable",
            _ => "Unknown",
        }
    }

    /// The error codes of OAuth (RFC 6749 sections 4.1.2.1 and 5.2, RFC 6750 section 3.1, RFC 9470 section 3).
    fn code(&self) -> &'static str {
        match self {
            Self::Unauthenticated | Self::BadCredential | Self::BadToken(_) => "invalid_token",
            Self::StepUp(_) => "insufficient_user_authentication",
            Self::InsufficientScope => "insufficient_scope",
            Self::Malformed(_) => "invalid_request",
            Self::Unavailable => "temporarily_unavailable",
            Self::Status(status) if status.is_server_error() => "server_error",
            Self::Forbidden(_) | Self::Status(_) => "access_denied",
        }
    }

    fn message(&self) -> &str {
        match self {
            Self::Unauthenticated | Self::BadCredential | Self::BadToken(_) => "Unauthorized",
            Self::StepUp(_) => STEP_UP,
            Self::Malformed(why) => why,
            Self::Forbidden(why) => why,
            Self::InsufficientScope => "the token does not have the scope that is needed here",
            Self::Status(status) => status.canonical_reason().unwrap_or("refused"),
            Self::Unavailable => "It cannot be told at the moment who you are. Try again shortly.",
        }
    }

    /// As OAuth describes it.
    fn description(&self) -> &str {
        match self {
            Self::Unauthenticated => "no credential was sent",
            Self::BadCredential | Self::BadToken("") => "the credential is not valid",
            Self::BadToken(why) => why,
            other => other.message(),
        }
    }

    /// What goes with the answer, whatever its body is.
    pub(crate) fn mark(&self, headers: &mut HeaderMap, challenge: Challenge<'_>) {
        headers.insert(CACHE_CONTROL, NO_STORE);
        if let Self::Unavailable | Self::Status(StatusCode::SERVICE_UNAVAILABLE) = self {
            headers.insert(RETRY_AFTER, HeaderValue::from_static("5"));
        }
        if let Some(value) = self.challenge(challenge) {
            headers.insert(WWW_AUTHENTICATE, value);
        }
    }

    fn challenge(&self, challenge: Challenge<'_>) -> Option<HeaderValue> {
        let scopes = match (self, challenge) {
            (Self::Unauthenticated | Self::BadCredential, Challenge::Realm) => return Some(CHALLENGE),
            (Self::BadToken(_), Challenge::Realm) => return Some(INVALID_TOKEN),
            (Self::Unauthenticated | Self::BadCredential, Challenge::Scopes(_)) => return Some(BEARER),
            (Self::BadToken(_) | Self::StepUp(_) | Self::InsufficientScope, Challenge::Scopes(scopes)) => {
                scopes
            }
            (Self::StepUp(_) | Self::InsufficientScope, Challenge::Realm) => "",
            _ => return None,
        };
        let mut text = String::from("Bearer");
        let mut add = |name: &str, value: &str| {
            // What would end the quotation stands in no scope and no name of a login (RFC 6749 section 3.3).
            if !value.is_empty() && !value.contains(['"', '\\']) {
                text.extend([" ", name, "=\"", value, "\""]);
            }
        };
        add("scope", scopes);
        add("error", self.code());
        match self {
            Self::BadToken(why) => add("error_description", why),
            Self::StepUp(Wanted { acr, max_age }) => {
                add("error_description", STEP_UP);
                add("acr_values", &acr.join(" "));
                add("max_age", &max_age.map(|seconds| seconds.to_string()).unwrap_or_default());
            }
            _ => {}
        }
        Some(HeaderValue::try_from(text).unwrap_or(BEARER))
    }

    fn kubernetes(&self) -> String {
        kubernetes_status(self.status(), self.reason(), self.message())
    }

    /// The words of a page; empty where the page has its own for the status.
    fn for_people(&self) -> Words {
        match self {
            Self::Unauthenticated | Self::Status(_) => Words::None,
            Self::BadCredential | Self::BadToken(_) => Message::BadCredential.into(),
            Self::Unavailable => Message::CannotTellWho.into(),
            Self::StepUp(_) => Message::StrongerLoginNeeded.into(),
            refusal @ (Self::Forbidden(_) | Self::InsufficientScope | Self::Malformed(_)) => {
                Words::english(refusal.message().to_owned())
            }
        }
    }
}

/// The answer to a request that `apiAuth` turns away.
pub(crate) fn answer(gate: &Gate, arrival: &Arrival, refusal: &Refusal) -> Response<Body> {
    let format = gate.api.as_ref().map_or(ErrorFormat::Kubernetes, |api| api.errors);
    let response = styled(gate, arrival, refusal, Style { format, challenge: Challenge::Realm });
    if *refusal == Refusal::Unauthenticated { gate.tell_login(response, arrival) } else { response }
}

/// The answer to a request that is turned away.
pub(crate) fn styled(gate: &Gate, arrival: &Arrival, refusal: &Refusal, style: Style<'_>) -> Response<Body> {
    let told = || Problem { message: refusal.for_people(), ..Problem::new(refusal.status()) };
    styled_for(gate, arrival, (refusal, told), style)
}

/// [`styled`], with what people are told.
pub(crate) fn styled_for(
    gate: &Gate,
    arrival: &Arrival,
    (refusal, told): (&Refusal, impl FnOnce() -> Problem),
    style: Style<'_>,
) -> Response<Body> {
    let json = |content: String| respond::json(refusal.status(), content.into());
    let mut response = match style.format {
        format if wants_page(gate, format, arrival) => gate.error_page(arrival, &told()),
        ErrorFormat::Aws => {
            json(json!({ "message": refusal.status().canonical_reason().unwrap_or("Error") }).to_string())
        }
        ErrorFormat::OAuth2 => {
            let content = json!({ "error": refusal.code(), "error_description": refusal.description() });
            json(content.to_string())
        }
        ErrorFormat::Auto | ErrorFormat::Kubernetes | ErrorFormat::Html => json(refusal.kubernetes()),
    };
    refusal.mark(response.headers_mut(), style.challenge);
    response
}

/// Whether a person is to read the answer.
pub(crate) fn wants_page(gate: &Gate, errors: ErrorFormat, arrival: &Arrival) -> bool {
    match errors {
        ErrorFormat::Html => true,
        ErrorFormat::Auto => is_for_people(gate, arrival),
        ErrorFormat::Kubernetes | ErrorFormat::Aws | ErrorFormat::OAuth2 => false,
    }
}

/// The same format for this request, whatever becomes of its headers.
pub(crate) fn settled(gate: &Gate, errors: ErrorFormat, arrival: &Arrival) -> ErrorFormat {
    match errors {
        ErrorFormat::Auto if is_for_people(gate, arrival) => ErrorFormat::Html,
        ErrorFormat::Auto => ErrorFormat::Kubernetes,
        settled => settled,
    }
}

/// Whether a person asks, by what the request says of itself.
pub(crate) fn is_for_people(gate: &Gate, arrival: &Arrival) -> bool {
    !is_api(arrival.facts.judged().path()) && !gate.wants_json(arrival) && takes_page(arrival.headers())
}

/// The paths of a Kubernetes API.
fn is_api(path: &str) -> bool {
    ["/api", "/apis"]
        .iter()
        .any(|root| path.strip_prefix(root).is_some_and(|rest| rest.is_empty() || rest.starts_with('/')))
}

#[cfg(test)]
mod tests {
    use http::header::{ACCEPT, USER_AGENT};

    use super::*;

    #[test]
    fn a02_a_status_is_as_kubernetes_writes_it() {
        assert_eq!(
            Refusal::BadToken("").kubernetes(),
            "{\"kind\":\"Status\",\"apiVersion\":\"v1\",\"metadata\":{},\"status\":\"Failure\",\
             \"message\":\"Unauthorized\",\"reason\":\"Unauthorized\",\"code\":401}\n"
        );
        let forbidden = Refusal::Forbidden("\"quoted\"".into()).kubernetes();
        let read: serde_json::Value = serde_json::from_str(&forbidden).unwrap();
        assert_eq!((read["message"].as_str(), read["code"].as_u64()), (Some("\"quoted\""), Some(403)));
    }

    fn challenged(refusal: &Refusal, challenge: Challenge<'_>) -> Option<String> {
        let mut headers = HeaderMap::new();
        refusal.mark(&mut headers, challenge);
        assert_eq!(headers[CACHE_CONTROL], "no-store");
        headers.get(WWW_AUTHENTICATE).map(|value| value.to_str().unwrap().to_owned())
    }

    #[test]
    fn a_challenge_names_an_error_only_where_a_token_came() {
        for (refusal, expected) in [
            (Refusal::Unauthenticated, Some("Bearer realm=\"proxy\"")),
            (Refusal::BadCredential, Some("Bearer realm=\"proxy\"")),
            (Refusal::BadToken(""), Some("Bearer realm=\"proxy\", error=\"invalid_token\"")),
            (Refusal::Unavailable, None),
            (Refusal::Malformed("x"), None),
        ] {
            assert_eq!(challenged(&refusal, Challenge::Realm).as_deref(), expected);
        }
    }

    #[test]
    fn b02_b10_a_route_says_which_scopes_it_asks_for_once_a_token_came() {
        let step_up = |acr: &[&str], max_age| {
            Refusal::StepUp(Wanted { acr: acr.iter().map(ToString::to_string).collect(), max_age })
        };
        for (refusal, scopes, expected) in [
            (Refusal::Unauthenticated, "orders:read", Some("Bearer")),
            (Refusal::BadCredential, "orders:read", Some("Bearer")),
            (
                Refusal::BadToken("the token does not have a valid audience"),
                "orders:read",
                Some(
                    "Bearer scope=\"orders:read\" error=\"invalid_token\" \
                     error_description=\"the token does not have a valid audience\"",
                ),
            ),
            (Refusal::BadToken(""), "", Some("Bearer error=\"invalid_token\"")),
            (
                Refusal::InsufficientScope,
                "orders:read orders:write",
                Some("Bearer scope=\"orders:read orders:write\" error=\"insufficient_scope\""),
            ),
            (Refusal::InsufficientScope, "a\"b", Some("Bearer error=\"insufficient_scope\"")),
            (
                step_up(&["gold", "silver"], Some(300)),
                "",
                Some(
                    "Bearer error=\"insufficient_user_authentication\" \
                     error_description=\"a stronger or fresher login is needed\" acr_values=\"gold silver\" \
                     max_age=\"300\"",
                ),
            ),
            (Refusal::Forbidden("x".into()), "orders:read", None),
            (Refusal::Status(StatusCode::TOO_MANY_REQUESTS), "orders:read", None),
        ] {
            assert_eq!(challenged(&refusal, Challenge::Scopes(scopes)).as_deref(), expected);
        }
    }

    #[test]
    fn whoever_cannot_be_told_apart_now_may_come_again_soon() {
        for refusal in [Refusal::Unavailable, Refusal::Status(StatusCode::SERVICE_UNAVAILABLE)] {
            let mut headers = HeaderMap::new();
            refusal.mark(&mut headers, Challenge::Scopes(""));
            assert_eq!(headers[RETRY_AFTER], "5");
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
            assert_eq!(takes_page(&headers), expected, "{accept:?} {agent}");
        }
        for (path, expected) in
            [("/api", true), ("/apis/x", true), ("/api/v1", true), ("/apix", false), ("/", false)]
        {
            assert_eq!(is_api(path), expected, "{path}");
        }
    }
}
