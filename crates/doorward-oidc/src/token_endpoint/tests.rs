use http::HeaderMap;
use serde_json::json;

use super::*;
use crate::{
    ClientAuthentication, ClientSecret, HttpConfig, Trust,
    client_authentication::AuthMemory,
    testing::{Fake, Reply, now},
};

fn client<'a>(
    authentication: &'a ClientAuthentication,
    suggested: ClientAuth,
    memory: &'a AuthMemory,
) -> Client<'a> {
    Client { id: "client", authentication, issuer: "", token_endpoint: None, suggested, memory, now: now() }
}

fn answer(status: u16, media: &str, body: &str) -> Answer {
    let headers = HeaderMap::from_iter([(header::CONTENT_TYPE, media.parse().unwrap())]);
    Answer { status: StatusCode::from_u16(status).unwrap(), headers, body: body.into() }
}

fn read(status: u16, media: &str, body: &str) -> Result<TokenAnswer, TokenRequestError> {
    let secrets = [SecretString::from("c0de")];
    read_answer(&answer(status, media, body), secrets.iter())
}

const JSON: &str = "application/json; charset=utf-8";
const FORM: &str = "application/x-www-form-urlencoded";

#[test]
fn tokens_come_as_json_or_as_form_text() {
    for (media, body) in [
        (JSON, r#"{"access_token":"at","id_token":"it","refresh_token":"rt","expires_in":60}"#),
        ("text/plain", r#"{"access_token":"at","id_token":"it","refresh_token":"rt","expires_in":"60"}"#),
        (FORM, "access_token=at&id_token=it&refresh_token=rt&expires_in=60"),
    ] {
        let tokens = read(200, media, body).unwrap();
        assert_eq!(tokens.access.expose(), "at");
        assert_eq!(tokens.id.unwrap().expose(), "it");
        assert_eq!(tokens.refresh.unwrap().expose(), "rt");
        assert_eq!(tokens.expires_in, Some(Duration::from_mins(1)), "{body}");
    }
    let bare = read(201, JSON, r#"{"access_token":"at","id_token":null,"refresh_token":""}"#).unwrap();
    assert!(bare.id.is_none() && bare.refresh.is_none() && bare.expires_in.is_none());
}

#[test]
fn wrong_answers_are_errors() {
    for (media, body) in [
        (JSON, "{}"),
        (JSON, r#"{"access_token":""}"#),
        (JSON, r#"{"access_token":5}"#),
        (JSON, r#"{"access_token":"at","id_token":{}}"#),
        (JSON, r#"{"access_token":"at","refresh_token":["rt"]}"#),
        (JSON, r#"{"access_token":"at","expires_in":{}}"#),
        (JSON, r#"{"access_token":"at","expires_in":"soon"}"#),
        (JSON, r#"{"access_token": "#),
        (JSON, "[]"),
        (JSON, ""),
        ("text/html", "access_token=at"),
        (FORM, "id_token=it"),
    ] {
        let error = read(200, media, body).map(|_| ()).unwrap_err();
        assert!(matches!(error, TokenRequestError::Malformed(_)), "{body}: {error}");
    }
}

#[test]
fn a_life_of_nothing_is_not_known() {
    for (value, expected) in [
        (json!(0), None),
        (json!(-1), None),
        (json!(0.5), None),
        (json!(""), None),
        (json!(null), None),
        (json!(90.7), Some(90)),
        (json!(1e300), Some(3_155_760_000)),
    ] {
        let fields = Map::from_iter([("expires_in".to_owned(), value.clone())]);
        assert_eq!(expires_in(&fields), Ok(expected.map(Duration::from_secs)), "{value}");
    }
}

#[test]
fn a_refusal_keeps_the_providers_words_but_no_secret() {
    let body = r#"{"error":"invalid_grant","error_description":"code c0de\r\nis used %d"}"#;
    let error = read(400, JSON, body).map(|_| ()).unwrap_err();
    assert!(error.is_invalid_grant());
    assert_eq!(
        error.to_string(),
        "the provider refused the token request with status 400: invalid_grant (code [secret]\u{fffd}\u{fffd}is used %d)"
    );
    assert!(read(200, JSON, r#"{"error":"nope","access_token":"at"}"#).is_err());
    let long = format!(r#"{{"error":"{}"}}"#, "x".repeat(5000));
    assert!(read(400, JSON, &long).map(|_| ()).unwrap_err().to_string().len() < 300);
    for (status, expected) in [(500, true), (503, true), (401, true), (404, false), (302, false)] {
        let error = read(status, "text/html", "<html>").map(|_| ()).unwrap_err();
        assert_eq!(matches!(error, TokenRequestError::Failed { .. }), expected, "{status}: {error}");
    }
}

#[tokio::test]
async fn a_provider_that_echoes_our_request_does_not_put_the_secret_into_messages() {
    const SECRET: &str = "p@ss w/rd%+=&xyz";
    for suggested in [ClientAuth::Basic, ClientAuth::Post] {
        let fake = Fake::start().await;
        fake.on("/token", |seen| {
            let secret = seen.form.get("client_secret").cloned().unwrap_or_default();
            let sent = form_urlencoded::byte_serialize(secret.as_bytes()).collect::<String>();
            let header = seen.header("authorization").unwrap_or_default();
            let raw = base64_simd::STANDARD.encode_to_string(format!("client:{SECRET}"));
            let words = format!("{header} {raw} client_secret={sent}&x {secret}");
            Reply::json(400, &json!({"error": "invalid_grant", "error_description": words}))
        });
        let http = HttpClient::new(&HttpConfig { trust: Trust::Anything, ..HttpConfig::default() }).unwrap();
        let authentication = ClientAuthentication::Secret(ClientSecret::Inline(SECRET.into()));
        let memory = AuthMemory::default();
        let endpoint = TokenEndpoint {
            http: &http,
            url: &Url::parse(&format!("{}/token", fake.base)).unwrap(),
            client: client(&authentication, suggested, &memory),
            dpop: None,
        };
        let error = endpoint.request(GrantForm { fields: &[], secrets: &[] }).await.map(|_| ()).unwrap_err();
        let shown = error.to_string();
        let expected = match suggested {
            ClientAuth::Basic => "(Basic [secret]= [secret]= client_secret=&x )",
            ClientAuth::Post => "( [secret]= client_secret=[secret]&x [secret])",
        };
        assert!(shown.ends_with(expected), "{shown}");
    }
}

/// Runs requests against a provider that answers by the way the client proved itself.
async fn attempts(
    authentication: ClientAuthentication,
    suggested: ClientAuth,
    requests: usize,
    script: impl Fn(&str) -> Reply + Send + Sync + 'static,
) -> (Vec<&'static str>, Vec<bool>) {
    let fake = Fake::start().await;
    fake.on("/token", move |seen| script(way(seen)));
    let http = HttpClient::new(&HttpConfig { trust: Trust::Anything, ..HttpConfig::default() }).unwrap();
    let url = Url::parse(&format!("{}/token", fake.base)).unwrap();
    let memory = AuthMemory::default();
    let endpoint = TokenEndpoint {
        http: &http,
        url: &url,
        client: client(&authentication, suggested, &memory),
        dpop: None,
    };
    let mut outcomes = Vec::new();
    for _ in 0..requests {
        let form = GrantForm { fields: &[("code", "c")], secrets: &[] };
        outcomes.push(endpoint.request(form).await.is_ok());
    }
    (fake.seen("/token").iter().map(way).collect(), outcomes)
}

fn way(seen: &crate::testing::Seen) -> &'static str {
    match (seen.header("authorization").is_some(), seen.form.contains_key("client_secret")) {
        (true, false) => "basic",
        (false, true) => "post",
        (false, false) if seen.form.contains_key("client_id") => "public",
        _ => "both",
    }
}

fn good() -> Reply {
    Reply::json(200, &json!({"access_token": "at"}))
}

#[tokio::test]
async fn the_way_that_worked_is_remembered() {
    let secret = || ClientAuthentication::Secret(ClientSecret::Inline("s".into()));
    let body_only = |way: &str| match way {
        "post" => good(),
        _ => Reply::json(401, &json!({"error": "invalid_client"})),
    };
    let (ways, outcomes) = attempts(secret(), ClientAuth::Basic, 3, body_only).await;
    assert_eq!((ways, outcomes), (vec!["basic", "post", "post", "post"], vec![true; 3]));
    let (ways, _) = attempts(secret(), ClientAuth::Post, 2, body_only).await;
    assert_eq!(ways, ["post", "post"]);
    let (ways, _) = attempts(secret(), ClientAuth::Basic, 2, |_| good()).await;
    assert_eq!(ways, ["basic", "basic"]);
    let (ways, _) = attempts(ClientAuthentication::Public, ClientAuth::Basic, 1, |_| good()).await;
    assert_eq!(ways, ["public"]);
}

#[tokio::test]
async fn a_code_is_sent_twice_only_to_a_provider_that_does_not_know_us() {
    let refusal = |status: u16, error: &str| Reply::json(status, &json!({ "error": error }));
    for (reply, sent) in [
        (refusal(400, "invalid_grant"), 1),
        (refusal(401, "invalid_grant"), 1),
        (refusal(400, "server_error"), 1),
        (Reply::status(500), 1),
        (Reply::status(404), 1),
        (Reply::status(401), 2),
        (refusal(401, "access_denied"), 2),
        (refusal(400, "invalid_client"), 2),
    ] {
        let secret = ClientAuthentication::Secret(ClientSecret::Inline("s".into()));
        let (ways, outcomes) = attempts(secret, ClientAuth::Basic, 1, move |_| reply.clone()).await;
        assert_eq!((ways.len(), outcomes), (sent, vec![false]));
    }
}

#[tokio::test]
async fn a_chosen_way_is_the_only_one() {
    for (chosen, expected) in [(ClientAuth::Basic, "basic"), (ClientAuth::Post, "post")] {
        let only = || ClientAuthentication::SecretIn(ClientSecret::Inline("s".into()), chosen);
        let refusal = |_: &str| Reply::json(401, &json!({"error": "invalid_client"}));
        for suggested in [ClientAuth::Basic, ClientAuth::Post] {
            let (ways, outcomes) = attempts(only(), suggested, 2, refusal).await;
            assert_eq!((ways, outcomes), (vec![expected; 2], vec![false; 2]));
        }
    }
}
