//! Answers. The headers that all of them carry (norm A2) are set here and nowhere else; whoever needs another value for
//! one of them sets it first.

use bytes::Bytes;
use http::{
    HeaderName, HeaderValue, Method, StatusCode,
    header::{
        ALLOW, CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, LOCATION, PRAGMA, REFERRER_POLICY,
        RETRY_AFTER, WWW_AUTHENTICATE, X_CONTENT_TYPE_OPTIONS, X_FRAME_OPTIONS,
    },
};
use serde_json::{Value, json};

use crate::{call::Answer, endpoint::Endpoint};

/// What a page may load and do. `form-action` is widened by [`policy_with_form_target`] only.
const POLICY: &str = "default-src 'none'; style-src 'self'; img-src 'self'; form-action 'self'; frame-ancestors 'none'; \
                      base-uri 'none'";
/// How long keys and metadata may be kept by others, an hour.
const CACHEABLE: HeaderValue = HeaderValue::from_static("public, max-age=3600");

/// An answer with neither body nor meaning beyond its status.
pub(crate) fn empty(status: StatusCode) -> Answer {
    with_body(status, None, Bytes::new())
}

/// A JSON document.
pub(crate) fn json(status: StatusCode, document: &Value) -> Answer {
    with_body(status, Some("application/json"), document.to_string().into())
}

/// A page. What it shows has been escaped.
pub(crate) fn html(status: StatusCode, page: String) -> Answer {
    with_body(status, Some("text/html; charset=utf-8"), page.into())
}

/// Plain text.
pub(crate) fn text(status: StatusCode, text: &str) -> Answer {
    with_body(status, Some("text/plain; charset=utf-8"), text.to_owned().into())
}

/// A token as the whole answer; `kind` is its media type.
pub(crate) fn token(kind: &'static str, token: &str) -> Answer {
    with_body(StatusCode::OK, Some(kind), token.to_owned().into())
}

/// Sends a browser on by 302. A target that is no header value leads nowhere: 500.
pub(crate) fn redirect(target: &str) -> Answer {
    let Ok(location) = HeaderValue::from_str(target) else { return empty(StatusCode::INTERNAL_SERVER_ERROR) };
    let mut answer = empty(StatusCode::FOUND);
    answer.headers_mut().insert(LOCATION, location);
    answer
}

/// Sends a browser on by 303: it asks for the target by GET, whatever the method was.
pub(crate) fn see_other(target: &str) -> Answer {
    let mut answer = redirect(target);
    if answer.status() == StatusCode::FOUND {
        *answer.status_mut() = StatusCode::SEE_OTHER;
    }
    answer
}

/// The method is none of `allowed` (RFC 9110 section 15.5.6).
pub(crate) fn method_not_allowed(allowed: &[Method], endpoint: &Endpoint) -> Answer {
    const STATUS: StatusCode = StatusCode::METHOD_NOT_ALLOWED;
    let names: Vec<&str> = allowed.iter().map(Method::as_str).collect();
    let mut answer = match endpoint {
        Endpoint::Kubernetes(_) => {
            kubernetes_failure(STATUS, "MethodNotAllowed", "this method is not supported here")
        }
        _ => text(STATUS, "This method is not supported here.\n"),
    };
    set(&mut answer, ALLOW, &names.join(", "));
    answer
}

/// An error of the OAuth endpoints (RFC 6749 section 5.2). `description` never holds anything that was sent.
pub(crate) fn oauth_error(status: StatusCode, code: &str, description: &str) -> Answer {
    let document = match description {
        "" => json!({ "error": code }),
        _ => json!({ "error": code, "error_description": description }),
    };
    json(status, &document)
}

/// The store does not answer: neither a yes nor a no.
pub(crate) fn unavailable() -> Answer {
    let mut answer = oauth_error(
        StatusCode::SERVICE_UNAVAILABLE,
        "temporarily_unavailable",
        "the server cannot reach its store; try again",
    );
    set(&mut answer, RETRY_AFTER, "5");
    answer
}

/// Something of ours failed that no caller can mend.
pub(crate) fn server_error() -> Answer {
    oauth_error(StatusCode::INTERNAL_SERVER_ERROR, "server_error", "")
}

/// Whoever has failed too often waits: 429 (RFC 6585 section 4). The error code is borrowed from RFC 8628 section 3.5, where
/// it comes with 400 and tells a device to ask less often; nobody polls here.
pub(crate) fn too_many_failures() -> Answer {
    let mut answer =
        oauth_error(StatusCode::TOO_MANY_REQUESTS, "slow_down", "too many failed attempts; wait a while");
    set(&mut answer, RETRY_AFTER, "10");
    answer
}

/// A bearer token is missing or no good (RFC 6750 section 3). `parameters` follow the scheme and may be empty.
pub(crate) fn bearer_challenge(mut answer: Answer, parameters: &str) -> Answer {
    let challenge = format!("Bearer {parameters}");
    set(&mut answer, WWW_AUTHENTICATE, challenge.trim_end());
    answer
}

/// A failure in the words of Kubernetes (norm E10).
pub(crate) fn kubernetes_failure(status: StatusCode, reason: &'static str, message: &str) -> Answer {
    with_body(status, Some("application/json"), kubernetes_status(status, reason, message).into())
}

/// A `Status` (`meta/v1`) about a failure, byte for byte as a Kubernetes API writes it. `reason` is the word of Kubernetes
/// for `status`; `message` may be any text.
pub fn kubernetes_status(status: StatusCode, reason: &'static str, message: &str) -> String {
    let (message, code) = (Value::from(message), status.as_u16());
    format!(
        "{{\"kind\":\"Status\",\"apiVersion\":\"v1\",\"metadata\":{{}},\"status\":\"Failure\",\"message\":{message},\
         \"reason\":\"{reason}\",\"code\":{code}}}\n"
    )
}

/// Names the scheme by which a client may prove who it is.
pub(crate) fn basic_challenge(mut answer: Answer, realm: &str) -> Answer {
    set(&mut answer, WWW_AUTHENTICATE, &format!("Basic realm=\"{realm}\""));
    answer
}

/// Lets caches keep an answer that holds nothing secret.
pub(crate) fn cacheable(mut answer: Answer) -> Answer {
    answer.headers_mut().insert(CACHE_CONTROL, CACHEABLE);
    answer
}

/// Lets scripts of any site read the answer. They send no cookies along, and none would count.
pub(crate) fn readable_everywhere(mut answer: Answer) -> Answer {
    let headers = answer.headers_mut();
    headers.insert("access-control-allow-origin", HeaderValue::from_static("*"));
    headers.insert("access-control-expose-headers", HeaderValue::from_static("WWW-Authenticate"));
    answer
}

/// The answer to a browser that asks beforehand what scripts may send (CORS preflight).
pub(crate) fn preflight() -> Answer {
    let mut answer = readable_everywhere(empty(StatusCode::NO_CONTENT));
    let headers = answer.headers_mut();
    headers.insert("access-control-allow-methods", HeaderValue::from_static("GET, POST"));
    headers.insert("access-control-allow-headers", HeaderValue::from_static("Authorization, Content-Type"));
    headers.insert("access-control-max-age", HeaderValue::from_static("600"));
    answer
}

/// The policy for a page whose form ends, by redirects, at `targets`, e.g. `https://app.example.com`.
pub(crate) fn policy_with_form_target(targets: &str) -> String {
    POLICY.replace("form-action 'self'", &format!("form-action 'self' {targets}"))
}

/// Adds a member to a document.
pub(crate) fn say(document: &mut Value, name: &str, value: impl Into<Value>) {
    if let Value::Object(members) = document {
        members.insert(name.to_owned(), value.into());
    }
}

/// Sets a header to a text of ours; one that is no header value is left out.
pub(crate) fn set(answer: &mut Answer, name: HeaderName, value: &str) {
    if let Ok(value) = HeaderValue::from_str(value) {
        answer.headers_mut().insert(name, value);
    }
}

/// Adds what every answer carries, where nobody has set another value.
pub(crate) fn finished(mut answer: Answer) -> Answer {
    let headers = answer.headers_mut();
    if !headers.contains_key(CACHE_CONTROL) {
        headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
        headers.insert(PRAGMA, HeaderValue::from_static("no-cache"));
    }
    for (name, value) in [
        (X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (REFERRER_POLICY, "no-referrer"),
        (X_FRAME_OPTIONS, "DENY"),
        (CONTENT_SECURITY_POLICY, POLICY),
    ] {
        headers.entry(name).or_insert(HeaderValue::from_static(value));
    }
    answer
}

fn with_body(status: StatusCode, kind: Option<&'static str>, body: Bytes) -> Answer {
    let mut answer = Answer::new(body);
    *answer.status_mut() = status;
    if let Some(kind) = kind {
        answer.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(kind));
    }
    answer
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_answer_carries_the_same_headers_unless_somebody_set_another() {
        let show = |answer: &Answer| {
            let lines =
                answer.headers().iter().map(|(name, value)| format!("{name}: {}", value.to_str().unwrap()));
            let mut lines: Vec<String> = lines.collect();
            lines.sort();
            lines
        };
        let plain = finished(empty(StatusCode::OK));
        assert_eq!(
            show(&plain),
            [
                "cache-control: no-store".to_owned(),
                format!("content-security-policy: {POLICY}"),
                "pragma: no-cache".to_owned(),
                "referrer-policy: no-referrer".to_owned(),
                "x-content-type-options: nosniff".to_owned(),
                "x-frame-options: DENY".to_owned(),
            ]
        );
        let kept = finished(cacheable(json(StatusCode::OK, &json!({}))));
        assert_eq!(kept.headers().get(CACHE_CONTROL).unwrap(), "public, max-age=3600");
        assert!(!kept.headers().contains_key(PRAGMA));
        assert!(
            policy_with_form_target("https://a.example")
                .contains("form-action 'self' https://a.example; frame-")
        );
    }

    #[test]
    fn a_failure_is_as_kubernetes_writes_it() {
        let answer = kubernetes_failure(StatusCode::NOT_FOUND, "NotFound", "the \"x\" is not there");
        assert_eq!(
            (answer.status(), answer.headers()[CONTENT_TYPE].as_bytes()),
            (StatusCode::NOT_FOUND, &b"application/json"[..])
        );
        assert_eq!(
            str::from_utf8(answer.body()).unwrap(),
            "{\"kind\":\"Status\",\"apiVersion\":\"v1\",\"metadata\":{},\"status\":\"Failure\",\
             \"message\":\"the \\\"x\\\" is not there\",\"reason\":\"NotFound\",\"code\":404}\n"
        );
    }

    #[test]
    fn a_redirect_cannot_bring_further_headers() {
        assert_eq!(redirect("/x\r\nSet-Cookie: a=b").status(), StatusCode::INTERNAL_SERVER_ERROR);
        assert_eq!(redirect("/x").headers().get(LOCATION).unwrap(), "/x");
    }
}
