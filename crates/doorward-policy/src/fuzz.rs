//! Bodies for fuzzing: each takes any bytes, must not panic, and checks what has to hold of an answer.

use doorward_core::{PathParameters, Principal, Timestamp};
use http::{HeaderMap, HeaderValue, Method, Version, header};

use crate::{Body, Decision, Expose, Facts, Question, Verdict};

/// A policy's result. What is a decision changes no line and steers no connection.
pub fn decision(bytes: &[u8]) {
    let Ok(result) = serde_json::from_slice::<serde_json::Value>(bytes) else { return };
    let allows =
        result == true || ["allow", "allowed"].iter().any(|name| result.get(name) == Some(&true.into()));
    let Ok(decision) = Decision::read(result) else { return };
    assert_eq!(decision.verdict == Verdict::Allow, allows);
    let names = decision.headers.iter().chain(&decision.response_headers_to_add).map(|(name, _)| name);
    for name in names.chain(&decision.request_headers_to_remove) {
        assert!(!matches!(name.as_str(), "host" | "content-length" | "transfer-encoding" | "connection"));
    }
    for (_, value) in decision.headers.iter().chain(&decision.response_headers_to_add) {
        assert!(!value.as_bytes().iter().any(|byte| matches!(byte, b'\r' | b'\n' | 0)));
    }
    let status = decision.http_status.map(|status| status.as_u16());
    assert!(status.is_none_or(|status| !allows && (400..=599).contains(&status)));
}

/// A request: its target, its content type and its body, a line each but for the last. No credential gets into the
/// document, and what does can be written.
pub fn policy_input(bytes: &[u8]) {
    const SECRET: &str = "our-secret-zq9";
    let mut lines = bytes.splitn(3, |byte| *byte == b'\n');
    let Some(Ok(target)) = lines.next().map(str::from_utf8) else { return };
    let mut headers = HeaderMap::new();
    if let Some(Ok(content_type)) = lines.next().map(HeaderValue::from_bytes) {
        headers.insert(header::CONTENT_TYPE, content_type);
    }
    for name in [header::AUTHORIZATION, header::COOKIE] {
        headers.insert(name, HeaderValue::from_static(SECRET));
    }
    let body = lines.next().unwrap_or_default();
    let (nobody, params) = (Principal::anonymous("anonymous".into()), PathParameters::new());
    let question = Question::new(Facts {
        request_id: "",
        time: Timestamp::default(),
        method: &Method::POST,
        path_and_query: target,
        host: "",
        scheme: "https",
        protocol: Version::HTTP_2,
        headers: &headers,
        peer: None,
        peer_principal: None,
        body: Body::Whole(body),
        who: &nobody,
        route: "",
        params: &params,
        expose: Expose::Nothing { headers: &[], parameters: &[] },
    });
    let Ok(input) = question.input() else { return };
    let sent = bytes.windows(SECRET.len()).any(|window| window == SECRET.as_bytes());
    assert!(sent || !input.to_string().contains(SECRET));
    assert!(question.rego_input().is_ok());
}

#[cfg(test)]
mod tests {
    use doorward_testkit::corpus;

    #[test]
    fn a_decision_changes_no_line() {
        corpus::run("decision", super::decision);
    }

    #[test]
    fn no_credential_gets_into_the_input() {
        corpus::run("policy_input", super::policy_input);
    }
}
