use std::{collections::BTreeMap, sync::Arc};

use doorward_oidc::{ClientAuthentication, ClientSecret, HttpConfig, LocalProvider};
use http::{Response, StatusCode};
use serde_json::Value;
use url::Url;

use super::*;
use crate::{
    Credential, Issuer, PhantomConfig,
    testing::{NOW, after, alice, issuer, request, texts, token_of, verified},
};

type Form = BTreeMap<String, String>;

/// A service that answers each request with the next of some answers, or not at all; and what it was asked.
struct Service {
    asked: tokio::task::JoinHandle<Vec<Form>>,
}

const URL: &str = "http://127.0.0.1:1/token";

type Told = Option<(u16, String)>;

fn answer(status: u16, body: &Value) -> Told {
    told(status, body).into()
}

fn told(status: u16, body: &Value) -> (u16, String) {
    (status, body.to_string())
}

fn gives(token: &str, expires_in: u64) -> Told {
    let body = json!({"access_token": token, "expires_in": expires_in, "token_type": "bearer"});
    answer(200, &body)
}

impl Service {
    fn start(answers: Vec<Told>) -> (Self, HttpConfig) {
        let (local, mut requests) = LocalProvider::new(&Url::parse(URL).unwrap());
        let asked = tokio::spawn(async move {
            let mut seen = Vec::new();
            let mut answers = answers.into_iter();
            while let Some(one) = requests.next().await {
                let mut form: Form = form_urlencoded::parse(one.request.body()).into_owned().collect();
                let auth = one.request.headers().get("authorization").map(|auth| auth.to_str().unwrap());
                form.insert("Authorization".to_owned(), auth.unwrap_or_default().to_owned());
                seen.push(form);
                let Some((status, body)) = answers.next().expect("no further request") else { continue };
                // Whoever wants the same has asked by then.
                for _ in 0..50 {
                    tokio::task::yield_now().await;
                }
                let mut response = Response::new(body.into());
                *response.status_mut() = StatusCode::from_u16(status).unwrap();
                response.headers_mut().insert("content-type", "application/json".parse().unwrap());
                let _ = one.answer.send(response);
            }
            seen
        });
        (Self { asked }, HttpConfig { local: Some(local), ..HttpConfig::default() })
    }

    /// What it was asked, once nobody can ask any more.
    async fn asked(self) -> Vec<Form> {
        self.asked.await.unwrap()
    }
}

fn config(http: HttpConfig) -> ExchangeConfig {
    ExchangeConfig {
        service: TokenExchangeConfig {
            url: Url::parse(URL).unwrap(),
            client_id: "gateway".to_owned(),
            client_authentication: ClientAuthentication::Secret(ClientSecret::Inline("secret".into())),
            http,
        },
        audience: String::new(),
        resource: String::new(),
        scopes: Vec::new(),
        subject: ExchangeSubject::Presented,
    }
}

fn credential(config: ExchangeConfig) -> Credential {
    Credential::Exchange(Box::new(Exchange::new(config).unwrap()))
}

async fn made(credential: &Credential, bearer: &Bearer<'_>) -> Result<String, CredentialFault> {
    let made = credential.make(bearer).await?;
    assert!(made.remove.contains(&http::header::AUTHORIZATION));
    Ok(token_of(&made).into_exposed())
}

#[tokio::test]
async fn the_application_gets_what_the_service_gave_until_shortly_before_its_end() {
    let answers = ["one", "two", "three", "four"].map(|token| gives(token, 100)).to_vec();
    let (service, http) = Service::start(answers);
    let resource = "https://inventory".to_owned();
    let credential = credential(ExchangeConfig { resource, ..config(http) });
    let (alice, token, other) = (alice(), SecretString::from("of-alice"), SecretString::from("renewed"));
    let bearer = Bearer { presented: Some(&token), ..request(&alice) };
    for (bearer, expected) in [
        (bearer, "one"),
        (Bearer { now: after(69), request_id: "other", ..bearer }, "one"),
        (Bearer { audience: "other", ..bearer }, "two"),
        (Bearer { presented: Some(&other), ..bearer }, "three"),
        (Bearer { now: after(70), ..bearer }, "four"),
    ] {
        assert_eq!(made(&credential, &bearer).await.unwrap(), expected);
    }
    drop(credential);
    let asked = service.asked().await;
    let expected = [
        ("Authorization", "Basic Z2F0ZXdheTpzZWNyZXQ="),
        ("audience", "orders"),
        ("grant_type", "urn:ietf:params:oauth:grant-type:token-exchange"),
        ("resource", "https://inventory"),
        ("subject_token", "of-alice"),
        ("subject_token_type", "urn:ietf:params:oauth:token-type:access_token"),
    ];
    let expected: Form = expected.map(|(name, value)| (name.to_owned(), value.to_owned())).into();
    assert_eq!((&asked[0], asked.len()), (&expected, 4));
}

#[tokio::test]
async fn of_requests_that_want_the_same_at_once_one_asks() {
    for (answers, expected) in
        [(vec![gives("one", 100)], Ok("one".to_owned())), (vec![answer(503, &json!({}))], Err(()))]
    {
        let (service, http) = Service::start(answers);
        let credential = Arc::new(credential(config(http)));
        let tasks: Vec<_> = (0..20)
            .map(|_| {
                let credential = Arc::clone(&credential);
                tokio::spawn(async move {
                    let token = SecretString::from("of-alice");
                    made(&credential, &Bearer { presented: Some(&token), ..request(&alice()) }).await
                })
            })
            .collect();
        for task in tasks {
            assert_eq!(task.await.unwrap().map_err(|_| ()), expected);
        }
        drop(credential);
        assert_eq!(service.asked().await.len(), 1);
    }
}

#[tokio::test]
async fn a_failure_is_never_answered_with_the_client_s_own_token() {
    let refused = |error: &str| answer(400, &json!({"error": error}));
    let long = gives(&"x".repeat(LONGEST_TOKEN + 1), 100);
    let kind = json!({"access_token": "id", "token_type": "N_A", "issued_token_type": "x"});
    for (answers, is_refused) in [
        (vec![None], false),
        (vec![answer(500, &json!({}))], false),
        (vec![answer(200, &json!({}))], false),
        (vec![answer(200, &kind)], false),
        (vec![long], false),
        (vec![refused("invalid_client"), refused("invalid_client")], false),
        (vec![refused("unauthorized_client")], false),
        (vec![refused("server_error")], false),
        (vec![refused("invalid_grant")], true),
        (vec![refused("invalid_target")], true),
        (vec![refused("access_denied")], true),
    ] {
        let (service, http) = Service::start(answers.clone());
        let credential = credential(config(http));
        let token = SecretString::from("of-alice");
        let alice = alice();
        let bearer = Bearer { presented: Some(&token), ..request(&alice) };
        let fault = made(&credential, &bearer).await.unwrap_err();
        assert_eq!(matches!(fault, CredentialFault::Refused(_)), is_refused, "{answers:?} {fault}");
        assert!(!fault.to_string().contains("of-alice") && !fault.to_string().contains("secret"), "{fault}");
        drop(credential);
        assert_eq!(service.asked().await.len(), answers.len());
    }
}

#[tokio::test]
async fn what_failed_is_tried_again_a_little_later() {
    let (_service, http) = Service::start(vec![answer(503, &json!({})), gives("one", 100)]);
    let credential = credential(config(http));
    let (alice, token) = (alice(), SecretString::from("of-alice"));
    let bearer = Bearer { presented: Some(&token), ..request(&alice) };
    assert!(made(&credential, &bearer).await.is_err());
    assert!(made(&credential, &bearer).await.is_err());
    // Asking took some time itself, which counts too.
    assert_eq!(made(&credential, &Bearer { now: after(60), ..bearer }).await.unwrap(), "one");
}

#[tokio::test]
async fn no_more_scopes_are_asked_for_than_the_route_hands_on() {
    let most = texts(&["orders:read", "email", "inventory:read"]);
    let (alice, token) = (alice(), SecretString::from("of-alice"));
    let bearer = Bearer { presented: Some(&token), ..request(&alice) };
    let limited = Bearer { max_scopes: Some(&most), ..bearer };
    for (scopes, bearer, expected) in [
        (vec![], bearer, Some(None)),
        (vec![], limited, Some(Some("orders:read email"))),
        (texts(&["inventory:read", "inventory:write"]), bearer, Some(Some("inventory:read inventory:write"))),
        (texts(&["inventory:read", "inventory:write"]), limited, Some(Some("inventory:read"))),
        // Nothing said may mean everything.
        (texts(&["inventory:write"]), limited, None),
    ] {
        let (service, http) = Service::start(vec![gives("one", 100)]);
        let credential = credential(ExchangeConfig { scopes, ..config(http) });
        let made = made(&credential, &bearer).await;
        drop(credential);
        let asked = service.asked().await;
        match expected {
            Some(scope) => assert_eq!(asked[0].get("scope").map(String::as_str), scope),
            None => assert!(asked.is_empty() && matches!(made, Err(CredentialFault::Refused(_)))),
        }
    }
}

#[tokio::test]
async fn nothing_of_the_client_s_leaves_where_the_gateway_signs_the_subject() {
    let issuer: Arc<Issuer> = issuer();
    let (service, http) = Service::start(vec![gives("one", 100)]);
    let phantom = Phantom::new(Arc::clone(&issuer), PhantomConfig::default()).unwrap();
    let subject = ExchangeSubject::Signed { phantom: Box::new(phantom), audience: "https://sts".to_owned() };
    let audience = "inventory".to_owned();
    let credential = credential(ExchangeConfig { audience, subject, ..config(http) });
    let (alice, token) = (alice(), SecretString::from("of-alice"));
    let bearer = Bearer { presented: Some(&token), ..request(&alice) };
    assert_eq!(made(&credential, &bearer).await.unwrap(), "one");
    drop(credential);
    let asked = service.asked().await.remove(0);
    assert_eq!(asked["subject_token_type"], "urn:ietf:params:oauth:token-type:jwt");
    assert_eq!(asked["audience"], "inventory");
    let claims = verified(&issuer, &asked["subject_token"].as_str().into()).await;
    assert_eq!((&claims["sub"], &claims["aud"]), (&json!("uid-1"), &json!("https://sts")));
    assert_eq!(claims["iat"], NOW.seconds);
}

#[tokio::test]
async fn who_presents_nothing_has_nothing_to_exchange() {
    let (_service, http) = Service::start(Vec::new());
    let fault = made(&credential(config(http)), &request(&alice())).await.unwrap_err();
    assert!(matches!(fault, CredentialFault::Refused(_)), "{fault}");
}
