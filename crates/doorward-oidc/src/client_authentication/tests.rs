use std::{collections::BTreeSet, sync::Arc};

use doorward_jose::{ClientKey, KeySet, verify};

use super::*;
use crate::{HttpClient, HttpConfig, Trust, testing::now};

const ISSUER: &str = "https://id.example/realm";

#[test]
fn id_and_secret_are_form_encoded_before_basic() {
    let header = basic("a client", &"p@ss:w/rd%+=& x".into());
    let pair = base64_simd::STANDARD.decode_to_vec(header.strip_prefix("Basic ").unwrap()).unwrap();
    assert_eq!(String::from_utf8(pair).unwrap(), "a+client:p%40ss%3Aw%2Frd%25%2B%3D%26+x");
}

#[tokio::test]
async fn a_secret_file_is_read_anew_without_its_newline() {
    let path = std::env::temp_dir().join(format!("doorward-secret-{}", std::process::id()));
    for (written, expected) in
        [("one\n", "one"), ("two\r\n", "two"), ("three\n\n", "three\n"), ("four", "four")]
    {
        std::fs::write(&path, written).unwrap();
        let secret = read_secret(&ClientSecret::File(path.clone())).await.unwrap();
        assert_eq!(secret.expose(), expected);
    }
    std::fs::remove_file(&path).unwrap();
    let gone = read_secret(&ClientSecret::File(path)).await.map(|_| ()).unwrap_err();
    assert!(gone.to_string().contains("client secret file"), "{gone}");
}

#[tokio::test]
async fn an_assertion_file_is_read_anew_and_must_hold_something() {
    let path = std::env::temp_dir().join(format!("doorward-assertion-{}", std::process::id()));
    let authentication = ClientAuthentication::AssertionFile(path.clone());
    for (written, expected) in
        [("one.two.three\n", Some("one.two.three")), (" four ", Some("four")), ("\n", None)]
    {
        std::fs::write(&path, written).unwrap();
        let credentials = credentials(&authentication, "https://id.example/token").await;
        assert_eq!(credentials.as_ref().ok().map(assertion).as_deref(), expected, "{written:?}");
    }
    std::fs::remove_file(&path).unwrap();
    let gone = credentials(&authentication, "https://id.example/token").await.map(|_| ()).unwrap_err();
    assert!(matches!(gone, TokenRequestError::AssertionFile { .. }), "{gone}");
}

async fn credentials(
    authentication: &ClientAuthentication,
    url: &str,
) -> Result<Credentials, TokenRequestError> {
    let client = Client {
        id: "client",
        authentication,
        issuer: ISSUER,
        token_endpoint: Some(&Url::parse("https://id.example/token").unwrap()),
        suggested: ClientAuth::Basic,
        memory: &AuthMemory::default(),
        now: now(),
    };
    client.credentials(&Url::parse(url).unwrap(), client.way()).await
}

fn assertion(credentials: &Credentials) -> String {
    match credentials {
        Credentials::Assertion(token) => token.expose().clone(),
        _ => panic!("no assertion"),
    }
}

fn key() -> Arc<ClientKey> {
    let jwk = include_bytes!("../../../doorward-jose/tests/data/client_keys/p256.jwk");
    Arc::new(ClientKey::read(jwk, None, Some("mine")).unwrap())
}

fn claims(token: &str) -> Value {
    let part = token.split('.').nth(1).unwrap();
    serde_json::from_slice(&base64_simd::URL_SAFE_NO_PAD.decode_to_vec(part).unwrap()).unwrap()
}

#[tokio::test]
async fn an_assertion_names_us_twice_and_counts_five_minutes_for_one_place() {
    let key = key();
    let published = json!({"keys": [key.bare_public_jwk()]}).to_string();
    let published = KeySet::from_jwks(published.as_bytes()).unwrap();
    let secret = ClientSecret::Inline("0123456789abcdef0123456789abcdef".into());
    let audience = AssertionAudience::TokenEndpoint;
    for authentication in [
        ClientAuthentication::PrivateKeyJwt { key: Arc::clone(&key), audience: audience.clone() },
        ClientAuthentication::SecretJwt { secret, audience },
    ] {
        let token = assertion(&credentials(&authentication, "https://id.example/token").await.unwrap());
        let mut claims = claims(&token);
        let id = claims.as_object_mut().unwrap().remove("jti").unwrap();
        assert_eq!(id.as_str().unwrap().len(), 22, "128 bits");
        let issued = now().seconds;
        assert_eq!(
            claims,
            json!({
                "iss": "client", "sub": "client", "aud": "https://id.example/token",
                "iat": issued, "exp": issued + 300,
            })
        );
        if let ClientAuthentication::PrivateKeyJwt { .. } = authentication {
            verify(&token, &published, &[key.algorithm()]).unwrap();
        }
    }
}

#[tokio::test]
async fn no_assertion_is_like_another() {
    let authentication =
        ClientAuthentication::PrivateKeyJwt { key: key(), audience: AssertionAudience::Issuer };
    let mut seen = BTreeSet::new();
    for _ in 0..64 {
        let token = assertion(&credentials(&authentication, "https://id.example/token").await.unwrap());
        assert!(seen.insert(claims(&token)["jti"].as_str().unwrap().to_owned()));
    }
}

/// Metadata of a hostile provider may name another's token endpoint beside an endpoint of its own: what is shown there
/// must be good for nothing elsewhere.
#[tokio::test]
async fn an_assertion_is_never_for_another_server_than_the_one_it_is_sent_to() {
    let other = AssertionAudience::Other("urn:corp:id".to_owned());
    for (audience, url, expected) in [
        (AssertionAudience::TokenEndpoint, "https://id.example/token", "https://id.example/token"),
        (AssertionAudience::TokenEndpoint, "https://id.example/par", "https://id.example/token"),
        (AssertionAudience::TokenEndpoint, "https://evil.example/par", "https://evil.example/par"),
        (AssertionAudience::TokenEndpoint, "https://id.example:8443/par", "https://id.example:8443/par"),
        (AssertionAudience::TokenEndpoint, "http://id.example/par", "http://id.example/par"),
        (AssertionAudience::Issuer, "https://id.example/par", ISSUER),
        (other, "https://id.example/par", "urn:corp:id"),
    ] {
        let authentication = ClientAuthentication::PrivateKeyJwt { key: key(), audience };
        let token = assertion(&credentials(&authentication, url).await.unwrap());
        assert_eq!(claims(&token)["aud"], expected, "{url}");
    }
}

#[tokio::test]
async fn a_short_secret_signs_nothing() {
    let authentication = ClientAuthentication::SecretJwt {
        secret: ClientSecret::Inline("s3cret".into()),
        audience: AssertionAudience::Issuer,
    };
    let error = credentials(&authentication, "https://id.example/token").await.map(|_| ()).unwrap_err();
    assert_eq!(error, TokenRequestError::Assertion(SigningError::ShortSecret));
}

#[tokio::test]
async fn only_what_a_method_needs_is_sent() {
    let secret = || ClientSecret::Inline("0123456789abcdef0123456789abcdef".into());
    let audience = || AssertionAudience::TokenEndpoint;
    for (authentication, header, expected) in [
        (ClientAuthentication::Public, false, &["client_id"][..]),
        (ClientAuthentication::Mtls, false, &["client_id"]),
        (ClientAuthentication::Secret(secret()), true, &[]),
        (ClientAuthentication::SecretIn(secret(), ClientAuth::Post), false, &["client_id", "client_secret"]),
        (
            ClientAuthentication::SecretJwt { secret: secret(), audience: audience() },
            false,
            &["client_id", "client_assertion_type", "client_assertion"],
        ),
        (
            ClientAuthentication::PrivateKeyJwt { key: key(), audience: audience() },
            false,
            &["client_id", "client_assertion_type", "client_assertion"],
        ),
    ] {
        let credentials = credentials(&authentication, "https://id.example/token").await.unwrap();
        let settings = HttpConfig { trust: Trust::Anything, ..HttpConfig::default() };
        let http = HttpClient::new(&settings).unwrap();
        let request = http.post(Url::parse("https://id.example/token").unwrap());
        let request = credentials.present("client", request, &[]).build().unwrap();
        let sent = request.body().unwrap().as_bytes().unwrap();
        let names: Vec<String> = form_urlencoded::parse(sent).map(|(name, _)| name.into_owned()).collect();
        assert_eq!(names, expected, "{authentication:?}");
        assert_eq!(request.headers().contains_key(header::AUTHORIZATION), header, "{authentication:?}");
    }
}
