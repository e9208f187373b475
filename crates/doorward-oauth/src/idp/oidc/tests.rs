use std::time::SystemTime;

use doorward_accounts::MappingMethod;
use doorward_core::Timestamp;
use doorward_oidc::{ClientAuthentication, ClientSecret, Config as OidcConfig, HttpConfig, Provider, Trust};
use doorward_testkit::{Browser as Wire, Endpoint, Provider as Fake};
use serde_json::json;

use super::*;
use crate::{
    config::{Client, ClientSecret as OwnSecret, Config, PasswordGrant},
    testing::{
        browser::{Browser, htpasswd, location, parameter, provider, server, text},
        call,
    },
};

const WEB: &str = "/oauth/authorize?client_id=web&response_type=code&scope=user%3Ainfo&state=s";

fn claims() -> OidcClaims {
    OidcClaims { groups: vec!["groups".to_owned()], ..OidcClaims::default() }
}

async fn upstream(fake: &Fake, password_grant: PasswordGrant) -> ProviderKind {
    let config = OidcConfig {
        client_authentication: ClientAuthentication::Secret(ClientSecret::Inline(Fake::CLIENT_SECRET.into())),
        scope: "openid".to_owned(),
        http: HttpConfig { trust: Trust::Files(Vec::new()), ..HttpConfig::default() },
        ..OidcConfig::new(fake.issuer(), Fake::CLIENT_ID.to_owned())
    };
    let provider = Provider::connect(claims().applied_to(config)).await.unwrap();
    ProviderKind::Oidc(Box::new(OidcProvider { provider, claims: claims(), password_grant }))
}

async fn corp(fake: &Fake) -> IdentityProvider {
    provider("corp", upstream(fake, PasswordGrant::Unused).await)
}

fn web(config: &mut Config) {
    config.clients = vec![Client {
        secrets: vec![OwnSecret::of("s")],
        redirect_uris: vec!["https://web.example/cb".to_owned()],
        ..Client::new("web")
    }];
}

fn now() -> Timestamp {
    SystemTime::now().into()
}

/// A browser that has been sent to the provider, and where it was sent.
async fn sent(server: &OAuthServer) -> (Browser, String) {
    let mut browser = Browser { now: now(), ..Browser::default() };
    let login = location(&browser.get(server, &format!("{WEB}&idp=corp")).await);
    let there = location(&browser.get(server, &login).await);
    (browser, there)
}

/// What the provider sends a browser back with: path and query of the callback.
fn back(there: &str) -> String {
    let url = url::Url::parse(there).unwrap();
    let address = url.socket_addrs(|| None).unwrap()[0];
    let answer = Wire::new(address).get(&there.replacen(&url.origin().ascii_serialization(), "", 1));
    answer.location().strip_prefix("https://auth.example.com").unwrap().to_owned()
}

#[tokio::test]
async fn a54_a_login_at_a_provider_ends_where_it_was_to_lead() {
    let fake = Fake::start();
    fake.set(|knobs| {
        knobs.claim("groups", json!(["dev", "system:unauthenticated"]));
        knobs.claim("preferred_username", "alice");
        knobs.claim("email", "alice@example.com");
    });
    let provider = corp(&fake).await;
    let server = server(|config| {
        web(config);
        config.providers = vec![provider];
    });
    let (mut browser, there) = sent(&server).await;
    for (name, value) in [
        ("redirect_uri", "https://auth.example.com/oauth/callback/corp"),
        ("response_type", "code"),
        ("code_challenge_method", "S256"),
    ] {
        assert_eq!(parameter(&there, name).as_deref(), Some(value));
    }
    assert!(parameter(&there, "nonce").is_some());
    let callback = back(&there);
    let inside = browser.get(&server, &callback).await;
    assert!(location(&inside).starts_with("/oauth/authorize?client_id=web"), "{}", text(&inside));
    assert!(
        location(&browser.get(&server, &location(&inside)).await).starts_with("https://web.example/cb?code=")
    );
    let alice = server.accounts.user("alice", now()).await.unwrap().unwrap();
    assert_eq!(alice.email, "alice@example.com");
    assert_eq!(alice.groups["corp"], ["dev"], "nobody asserts reserved groups");
    assert_eq!(alice.identities.len(), 1);
    // Once.
    let again = browser.get(&server, &callback).await;
    assert_eq!(again.status(), StatusCode::FORBIDDEN);
}

#[tokio::test]
async fn a47_a_new_login_is_a_new_one_at_the_provider_too() {
    let fake = Fake::start();
    let provider = corp(&fake).await;
    let server = server(|config| {
        web(config);
        config.providers = vec![provider];
    });
    for (wish, prompt) in [("", None), ("&prompt=login", Some("login")), ("&max_age=0", Some("login"))] {
        let mut browser = Browser { now: now(), ..Browser::default() };
        let login = location(&browser.get(&server, &format!("{WEB}&idp=corp{wish}")).await);
        let there = location(&browser.get(&server, &login).await);
        assert_eq!(parameter(&there, "prompt").as_deref(), prompt, "{wish}");
    }
}

#[tokio::test]
async fn a54_names_that_collide_are_mapped_as_the_provider_says() {
    for (mapping, expected) in [
        (MappingMethod::Claim, Err("already")),
        (MappingMethod::Lookup, Err("no account")),
        (MappingMethod::Generate, Ok("bob2")),
        (MappingMethod::Add, Ok("bob")),
    ] {
        let fake = Fake::start();
        fake.set(|knobs| knobs.claim("preferred_username", "bob"));
        let provider = IdentityProvider { mapping, ..corp(&fake).await };
        let server = server(|config| {
            web(config);
            config.providers = vec![htpasswd("local"), provider];
        });
        Browser { now: now(), ..Browser::default() }
            .log_in(&server, "/oauth/login/local", ("bob", "password"))
            .await;
        let (mut browser, there) = sent(&server).await;
        let answer = browser.get(&server, &back(&there)).await;
        match expected {
            Ok(name) => {
                assert_eq!(answer.status(), StatusCode::FOUND, "{mapping:?} {}", text(&answer));
                let user = server.accounts.user(name, now()).await.unwrap().unwrap();
                assert!(user.identities.iter().any(|one| one.starts_with("corp:")), "{mapping:?} {user:?}");
            }
            Err(part) => {
                assert_eq!(answer.status(), StatusCode::FORBIDDEN, "{mapping:?}");
                assert!(text(&answer).contains(part), "{mapping:?} {}", text(&answer));
                assert!(!browser.cookies.contains_key("__Host-doorward-auth"));
            }
        }
    }
}

#[tokio::test]
async fn a55_whatever_is_wrong_with_the_answer_opens_no_session() {
    let fake = Fake::start();
    let provider = corp(&fake).await;
    let server = server(|config| {
        web(config);
        config.providers = vec![provider];
    });
    let iss = |found: &str| format!("&iss={found}");
    for case in
        ["error", "nonce", "iss claim", "aud", "iss parameter", "state", "no state", "code", "browser"]
    {
        fake.set(|knobs| knobs.claims.clear());
        match case {
            "nonce" => fake.set(|knobs| knobs.claim("nonce", "another")),
            "iss claim" => fake.set(|knobs| knobs.claim("iss", "https://evil.example")),
            "aud" => fake.set(|knobs| knobs.claim("aud", "another")),
            _ => (),
        }
        let (mut browser, there) = sent(&server).await;
        let callback = back(&there);
        let state = parameter(&callback, "state").unwrap();
        let path = "/oauth/callback/corp";
        let callback = match case {
            "error" => format!("{path}?error=access_denied%0d%0a%3Cscript%3E&state={state}"),
            "iss parameter" => callback + &iss("https%3A%2F%2Fevil.example"),
            "state" => callback.replace(&state, &"A".repeat(state.len())),
            "no state" => callback.replace("state=", "other="),
            "code" => format!("{path}?code=another&state={state}"),
            _ => callback,
        };
        if case == "browser" {
            browser = Browser { now: now(), ..Browser::default() };
            browser.get(&server, "/oauth/login/local").await;
        }
        let answer = browser.get(&server, &callback).await;
        assert_eq!(answer.status(), StatusCode::FORBIDDEN, "{case}");
        assert!(!browser.cookies.contains_key("__Host-doorward-auth"), "{case}");
        assert!(!text(&answer).contains("<script") && !text(&answer).contains(&state), "{case}");
    }
    assert_eq!(server.accounts.users(now()).await.unwrap(), []);
}

#[tokio::test]
async fn a_login_at_one_provider_is_none_at_another() {
    let (fake, evil) = (Fake::start(), Fake::start());
    let (provider, other) =
        (corp(&fake).await, IdentityProvider { name: "evil".to_owned(), ..corp(&evil).await });
    let server = server(|config| {
        web(config);
        config.providers = vec![provider, other];
    });
    let (mut browser, there) = sent(&server).await;
    let mixed = back(&there).replace("/callback/corp", "/callback/evil");
    assert_eq!(browser.get(&server, &mixed).await.status(), StatusCode::FORBIDDEN);
    assert_eq!(evil.count(Endpoint::Token), 0, "the code was not sent there");
}

#[tokio::test]
async fn an_answer_by_form_is_asked_for_anew_so_that_the_cookie_comes_along() {
    let fake = Fake::start();
    let provider = corp(&fake).await;
    let server = server(|config| {
        web(config);
        config.providers = vec![provider];
    });
    let (mut browser, there) = sent(&server).await;
    let callback = back(&there);
    let (code, state) = (parameter(&callback, "code").unwrap(), parameter(&callback, "state").unwrap());
    let fields = [("code", code.as_str()), ("state", &state)];
    let again = Browser::default().post(&server, "/oauth/callback/corp", &fields).await;
    assert_eq!(again.status(), StatusCode::SEE_OTHER);
    assert_eq!(browser.get(&server, &location(&again)).await.status(), StatusCode::FOUND);
}

#[tokio::test]
async fn a_provider_that_takes_no_passwords_is_never_shown_one() {
    let fake = Fake::start();
    let provider = corp(&fake).await;
    let server = server(|config| config.providers = vec![provider]);
    let cli = "/oauth/authorize?client_id=openshift-challenging-client&response_type=code";
    let program =
        call("GET", cli).header("x-csrf-token", "1").header("authorization", "Basic Ym9iOnBhc3N3b3Jk");
    let answer = Browser::default().send(&server, program).await;
    assert_eq!(answer.status(), StatusCode::UNAUTHORIZED);
    assert!(text(&answer).contains("/oauth/token/request"));
    assert_eq!(fake.count(Endpoint::Token), 0);
}
