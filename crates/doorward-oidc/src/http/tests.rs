use super::*;
use crate::testing::{Fake, Reply};

fn client(trust: Trust) -> HttpClient {
    let config = HttpConfig { trust, total_timeout: Duration::from_millis(400), ..HttpConfig::default() };
    HttpClient::new(&config).unwrap()
}

fn patient() -> HttpClient {
    HttpClient::new(&HttpConfig { trust: Trust::Files(Vec::new()), ..HttpConfig::default() }).unwrap()
}

fn url(fake: &Fake, path: &str) -> Url {
    Url::parse(&format!("{}{path}", fake.base)).unwrap()
}

#[tokio::test]
async fn what_a_provider_sends_is_limited_also_after_decompression() {
    let fake = Fake::start().await;
    fake.says("/flood", Reply::Flood);
    let headers = "Content-Encoding: gzip\r\n".to_owned();
    let body = include_bytes!("../../tests/data/zeros-16mib.gz").to_vec();
    fake.says("/bomb", Reply::Full { status: 200, headers, body });
    for path in ["/flood", "/bomb"] {
        let outcome = patient().document(&url(&fake, path), None).await.map(|_| ());
        assert_eq!(outcome, Err(HttpError::TooLong), "{path}");
    }
}

#[tokio::test]
async fn a_provider_that_never_ends_is_left() {
    let fake = Fake::start().await;
    fake.says("/hang", Reply::Hang);
    fake.says("/drip", Reply::Drip);
    for path in ["/hang", "/drip"] {
        let outcome = client(Trust::Anything).document(&url(&fake, path), None).await.map(|_| ());
        assert_eq!(outcome, Err(HttpError::TimedOut), "{path}");
    }
}

#[tokio::test]
async fn redirects_are_followed_within_the_origin_only() {
    let (fake, other) = (Fake::start().await, Fake::start().await);
    other.says("/doc", Reply::status(200));
    fake.says("/doc", Reply::status(200));
    fake.says("/near", Reply::redirect("/doc"));
    fake.says("/loop", Reply::redirect("/loop"));
    fake.says("/far", Reply::redirect(&format!("{}/doc", other.base)));
    fake.says("/metal", Reply::redirect("http://169.254.169.254/latest"));
    for (path, expected) in [
        ("/near", Ok(200)),
        ("/loop", Err(HttpError::Redirected)),
        ("/far", Err(HttpError::Redirected)),
        ("/metal", Err(HttpError::Redirected)),
    ] {
        let outcome = patient().document(&url(&fake, path), None).await.map(|answer| answer.status.as_u16());
        assert_eq!(outcome, expected, "{path}");
    }
    assert_eq!(other.count("/doc"), 0);
    let http = patient();
    let answer = http.send(http.post(url(&fake, "/near")).body("code=1")).await.unwrap();
    assert_eq!(answer.status.as_u16(), 302, "a request with a secret is never redirected");
}

#[tokio::test]
async fn certificates_are_believed_as_configured() {
    let fake = Fake::start_tls().await;
    fake.says("/doc", Reply::status(200));
    let ca = vec![CaFile { path: "ca.pem".into(), pem: include_bytes!("../../tests/data/ca.pem").to_vec() }];
    for (trust, accepted) in [
        (Trust::System, false),
        (Trust::Files(Vec::new()), false),
        (Trust::Files(ca.clone()), true),
        (Trust::FilesAndSystem(ca), true),
        (Trust::Anything, true),
    ] {
        let outcome = HttpClient::new(&HttpConfig { trust: trust.clone(), ..HttpConfig::default() })
            .unwrap()
            .document(&url(&fake, "/doc"), None)
            .await;
        match outcome {
            Ok(_) => assert!(accepted, "{trust:?}"),
            Err(error) => {
                assert!(!accepted, "{trust:?}: {error}");
                assert!(matches!(error, HttpError::Certificate { .. }), "{error:?}");
                assert!(error.to_string().contains("certificate"));
            }
        }
    }
    let none = Trust::Files(vec![CaFile { path: "README.md".into(), pem: b"no certificate".to_vec() }]);
    let outcome = HttpClient::new(&HttpConfig { trust: none, ..HttpConfig::default() }).map(|_| ());
    assert!(matches!(outcome, Err(ConnectError::CaFile { .. })), "{outcome:?}");
}

fn identity(key: &[u8]) -> ClientIdentity {
    ClientIdentity {
        path: "client.pem".into(),
        certificates: include_bytes!("../../tests/data/client.pem").to_vec(),
        key: Secret::new(key.to_vec()),
    }
}

#[tokio::test]
async fn a_certificate_is_shown_to_a_provider_that_asks_for_one() {
    let fake = Fake::start_mutual_tls().await;
    fake.says("/doc", Reply::status(200));
    let ours = identity(include_bytes!("../../tests/data/client.key"));
    for (client_identity, accepted) in [(Some(ours), true), (None, false)] {
        let settings = HttpConfig { trust: Trust::Anything, client_identity, ..HttpConfig::default() };
        let outcome = HttpClient::new(&settings).unwrap().document(&url(&fake, "/doc"), None).await;
        assert_eq!(outcome.is_ok(), accepted, "{outcome:?}");
    }
}

#[test]
fn a_certificate_without_its_own_key_is_a_mistake() {
    let keyless = ClientIdentity { certificates: Vec::new(), ..identity(b"") };
    let of_another = identity(include_bytes!("../../tests/data/server.key"));
    for (identity, word) in [(keyless, "no certificate"), (identity(b"nothing"), "key"), (of_another, "key")]
    {
        let settings = HttpConfig { client_identity: Some(identity), ..HttpConfig::default() };
        let error = HttpClient::new(&settings).map(|_| ()).unwrap_err();
        assert!(matches!(error, ConnectError::ClientIdentity { .. }), "{error:?}");
        assert!(error.to_string().to_lowercase().contains(word), "{error}");
        assert_eq!(check_files(&settings), Err(error));
        assert!(!format!("{settings:?}").contains("PRIVATE"));
    }
}

#[tokio::test]
async fn we_say_who_we_are_and_errors_name_no_query() {
    let fake = Fake::start().await;
    fake.says("/doc", Reply::status(200));
    patient().document(&url(&fake, "/doc"), None).await.unwrap();
    let agent = fake.seen("/doc").remove(0).header("user-agent").unwrap();
    assert!(agent.starts_with("doorward/"), "{agent}");
    let gone = Url::parse("http://127.0.0.1:1/x?id_token_hint=s3cret").unwrap();
    let error = patient().document(&gone, None).await.map(|_| ()).unwrap_err();
    assert!(matches!(error, HttpError::Unreachable { .. }), "{error:?}");
    assert!(!format!("{error} {error:?}").contains("s3cret"));
}
