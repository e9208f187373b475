//! Bodies for fuzzing: each takes any bytes, must not panic, and checks what has to hold of an answer.

use doorward_core::SecretString;
use doorward_jose::Claims;
use http::{HeaderMap, HeaderValue, StatusCode, header::CONTENT_TYPE};
use serde_json::Value;

use crate::{
    config::Config,
    discovery::{Metadata, Written},
    http::Answer,
    identify::ClaimNames,
    token_endpoint, userinfo,
};

const ISSUER: &str = "https://issuer.example";

/// A metadata document. What is believed names our issuer, and its endpoints are of HTTP.
pub fn discovery(bytes: &[u8]) {
    let config = config();
    let Ok(written) = Written::parse(&config) else { return };
    match Metadata::of_document(&config, &written, bytes) {
        Ok(found) => {
            let document: Option<Value> = serde_json::from_slice(bytes).ok();
            let issuer = document.as_ref().and_then(|document| document.get("issuer")?.as_str());
            assert_eq!(issuer, Some(ISSUER));
            for url in [found.login, found.redeem, found.profile, found.keys].into_iter().flatten() {
                assert!(matches!(url.scheme(), "http" | "https") && url.has_host(), "{url}");
            }
            assert!(!found.algorithms.is_empty());
        }
        Err(error) => assert_is_line(&error.to_string()),
    }
}

/// An answer of the token endpoint, as each media type. It holds an access token or says why not, never with our secret.
pub fn token_answer(bytes: &[u8]) {
    const SECRET: &str = "our-secret-zq9";
    for media in ["application/json", "text/plain", "application/x-www-form-urlencoded"] {
        for status in [StatusCode::OK, StatusCode::BAD_REQUEST] {
            let headers = HeaderMap::from_iter([(CONTENT_TYPE, HeaderValue::from_static(media))]);
            let answer = Answer { status, headers, body: bytes.to_vec() };
            match token_endpoint::read_answer(&answer, [SecretString::from(SECRET)].iter()) {
                Ok(tokens) => assert!(!tokens.access.expose().is_empty() && status == StatusCode::OK),
                Err(error) => {
                    assert_is_line(&error.to_string());
                    assert!(!error.to_string().contains(SECRET));
                }
            }
        }
    }
}

/// A userinfo answer. It is about the subject of the ID token or not believed, and never changes who that is.
pub fn userinfo(bytes: &[u8]) {
    let id = Claims::from_iter([("sub".to_owned(), Value::from("sub-1"))]);
    match userinfo::of_document(bytes, &id) {
        Ok(claims) => match ClaimNames::new(&config()).identity(&id, Some(&claims)) {
            Ok(identity) => assert!(identity.user == "sub-1" && !identity.email.is_empty()),
            Err(error) => assert_is_line(&error.to_string()),
        },
        Err(error) => assert_is_line(&error.to_string()),
    }
}

fn assert_is_line(text: &str) {
    assert!(!text.chars().any(char::is_control) && text.len() < 4000, "{text:?}");
}

fn config() -> Config {
    Config {
        scope: "openid".to_owned(),
        additional_claims: vec!["a.b".to_owned()],
        ..Config::new(ISSUER.to_owned(), "client".to_owned())
    }
}

#[cfg(test)]
mod tests {
    use doorward_testkit::corpus;

    #[test]
    fn metadata_are_ours_or_refused() {
        corpus::run("discovery", super::discovery);
    }

    #[test]
    fn a_token_answer_is_read_or_refused() {
        corpus::run("token_answer", super::token_answer);
    }

    #[test]
    fn userinfo_is_about_the_subject_or_refused() {
        corpus::run("userinfo", super::userinfo);
    }
}
