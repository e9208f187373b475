//! `docs/integrations/keycloak.md`, in front of an application.

use serde_json::Value;
use tokio::net::{TcpSocket, TcpStream};

use crate::browser::Browser;
use crate::docs::{block, fill};
use crate::doorward::{Doorward, Launch};
use crate::echo::{Echo, Seen};
use crate::http::{Visitor, empty, get};
use crate::parts::{Keycloak, keycloak};
use crate::process::{free_port, until};

async fn start_as_documented(keycloak: &Keycloak, app: &Echo, changes: &[(&str, &str)]) -> Doorward {
    let port = free_port();
    let address = format!("127.0.0.1:{port}");
    let host = keycloak.url.trim_start_matches("http://");
    let text = fill(
        &block("keycloak.md", "reverse proxy"),
        &[
            ("https://keycloak.example.com/realms/doorward", &keycloak.issuer),
            ("keycloak.example.com", host),
            ("https://app.example.com", &format!("http://{address}")),
            ("0.0.0.0:4180", &address),
            ("http://127.0.0.1:8080", &app.url),
            ("cookie_secure = true", "cookie_secure = false"),
        ],
    );
    Launch::file(&fill(&text, changes), port).start().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deep_link_survives_the_login_and_the_application_learns_who_came() {
    let app = Echo::start().await;
    let door = start_as_documented(keycloak().await, &app, &[]).await;
    let browser = Browser::open().await;
    let page = format!("{}/wiki/a%20page?tab=2&q=a%2Bb&empty=", door.url);
    browser.goto(&page).await;
    browser.log_in("alice").await;
    let seen = browser.application_at(&page).await;

    assert_eq!(seen.uri, "/wiki/a%20page?tab=2&q=a%2Bb&empty=");
    assert_eq!(seen.header("x-forwarded-email"), "alice@example.com");
    assert_eq!(seen.header("x-forwarded-preferred-username"), "alice");
    let groups = seen.list("x-forwarded-groups");
    for group in ["dev", "ops", "role:auditor", "role:doorward:operator"] {
        assert!(groups.contains(&group), "{group} is not in {groups:?}");
    }
    let token = claims(seen.header("x-forwarded-access-token"));
    assert_eq!(token["preferred_username"], "alice");
    assert_eq!(token["sub"], seen.header("x-forwarded-user"), "the user is the subject");
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_reaches_the_application_before_the_login() {
    let app = Echo::start().await;
    let door = start_as_documented(keycloak().await, &app, &[]).await;
    let mut visitor = Visitor::default();
    for path in ["/", "/secret", "/oauth2/unknown", "/oauth2/../secret"] {
        visitor.open(&format!("{}{path}", door.url)).await;
    }
    assert!(app.seen().is_empty(), "{:?}", app.seen());
}

#[tokio::test(flavor = "multi_thread")]
async fn identity_headers_of_the_client_are_replaced() {
    let app = Echo::start().await;
    let door = start_as_documented(keycloak().await, &app, &[]).await;
    let mut visitor = Visitor::default();
    visitor.log_in(&door.url, "alice").await;
    let forged = get(&format!("{}/x", door.url))
        .header("x-forwarded-email", "root@example.com")
        .header("x-forwarded-groups", "admin")
        .header("x-forwarded-user", "root");
    let answer = visitor.visit(empty(forged)).await;
    let seen = Seen::from_page(&answer.body);
    assert_eq!(seen.header("x-forwarded-email"), "alice@example.com");
    assert!(!seen.header("x-forwarded-groups").contains("admin"));
    assert!(!seen.header("x-forwarded-user").contains("root"));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_sign_in_page_keeps_query_and_fragment() {
    let app = Echo::start().await;
    let changes = [("skip_provider_button = true", "skip_provider_button = false")];
    let door = start_as_documented(keycloak().await, &app, &changes).await;
    let browser = Browser::open().await;
    let page = format!("{}/wiki/page?tab=2&x=1#part-3", door.url);
    browser.goto(&page).await;
    browser.wait_for_text("Sign in with Keycloak").await;
    browser.click("form[action$='/oauth2/start'] button, form[action$='/oauth2/start'] [type=submit]").await;
    browser.log_in("alice").await;
    browser.application_at(&page).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn after_signing_out_only_of_doorward_keycloak_lets_the_person_in_again() {
    let app = Echo::start().await;
    let door = start_as_documented(keycloak().await, &app, &[]).await;
    let mut visitor = Visitor::default();
    let page = format!("{}/page", door.url);
    visitor.log_in(&page, "alice").await;
    let answer = visitor.open(&format!("{}/oauth2/sign_out?rd=%2Fgoodbye", door.url)).await;
    assert_eq!((answer.status, answer.header("location")), (302, "/goodbye"));
    assert!(visitor.cookies("_oauth2_proxy").is_empty(), "{:?}", visitor.cookies(""));
    let answer = visitor.open(&page).await;
    assert!(answer.header("location").starts_with(&keycloak().await.url), "{answer:?}");
    let answer = visitor.follow(&page).await;
    assert_eq!((answer.status, answer.url.as_str()), (200, page.as_str()));
}

#[tokio::test(flavor = "multi_thread")]
async fn after_signing_out_of_keycloak_too_another_person_can_log_in() {
    let app = Echo::start().await;
    let keycloak = keycloak().await;
    let door = start_as_documented(keycloak, &app, &[]).await;
    let browser = Browser::open().await;
    let home = format!("{}/", door.url);
    browser.goto(&home).await;
    browser.log_in("alice").await;
    browser.application_at(&home).await;

    let link = fill(
        block("keycloak.md", "sign out").trim(),
        &[
            ("https%3A%2F%2Fkeycloak.example.com", &escape(&keycloak.url)),
            ("https%253A%252F%252Fapp.example.com", &escape(&escape(&door.url))),
        ],
    );
    browser.goto(&format!("{}{link}", door.url)).await;
    browser.log_in("erin").await;
    assert_eq!(browser.application_at(&home).await.header("x-forwarded-email"), "erin@example.com");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unverified_address_is_refused_without_the_flag() {
    let app = Echo::start().await;
    let door = start_as_documented(keycloak().await, &app, &[]).await;
    let mut visitor = Visitor::default();
    let answer = visitor.log_in(&door.url, "bob").await;
    assert!(answer.status >= 400, "{} {}", answer.status, answer.url);
    assert!(
        visitor.cookies("_oauth2_proxy").keys().all(|name| name.contains("csrf")),
        "{:?}",
        visitor.cookies("")
    );
    assert!(app.seen().is_empty());
    assert!(door.log().contains("verified"), "{}", door.log());
}

/// doorward only: oauth2-proxy answers with the same status and says nothing.
#[tokio::test(flavor = "multi_thread")]
async fn doorward_tells_the_person_that_the_address_is_not_verified() {
    let app = Echo::start().await;
    let door = start_as_documented(keycloak().await, &app, &[]).await;
    let answer = Visitor::default().log_in(&door.url, "bob").await;
    assert_eq!(answer.status, 500, "{}", answer.body);
    assert!(answer.body.contains("verified"), "{}", answer.body);
}

#[tokio::test(flavor = "multi_thread")]
async fn groups_and_roles_decide_who_enters() {
    let keycloak = keycloak().await;
    let app = Echo::start().await;
    let everybody = ("email_domains = [\"example.com\"]", "email_domains = \"*\"");
    for (rule, enters, stays_out) in [
        ("allowed_groups = [\"dev\"]", "alice", "erin"),
        ("allowed_roles = [\"auditor\"]", "alice", "erin"),
        ("allowed_roles = [\"doorward:operator\"]", "alice", "dave"),
        ("allowed_groups = [\"department-07-claims\"]", "dave", "carol"),
    ] {
        let with_rule = format!("cookie_secure = false\n{rule}");
        let door =
            start_as_documented(keycloak, &app, &[everybody, ("cookie_secure = false", &with_rule)]).await;
        let answer = Visitor::default().log_in(&door.url, enters).await;
        assert_eq!(answer.status, 200, "{enters} under {rule}: {}", answer.body);
        let answer = Visitor::default().log_in(&door.url, stays_out).await;
        assert_eq!(answer.status, 403, "{stays_out} under {rule}: {}", answer.body);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_login_that_does_not_concern_a_web_page_is_an_error_and_not_a_redirect() {
    let app = Echo::start().await;
    let door = start_as_documented(keycloak().await, &app, &[]).await;
    let request = get(&format!("{}/api/items", door.url)).header("accept", "application/json");
    let answer = Visitor::default().visit(empty(request)).await;
    assert_eq!(answer.status, 401);
    assert_eq!(answer.header("content-type").split(';').next(), Some("application/json"));
}

/// doorward only: oauth2-proxy does not start without its provider.
#[tokio::test(flavor = "multi_thread")]
async fn doorward_starts_while_keycloak_is_down_and_recovers_when_it_comes_up() {
    let keycloak = keycloak().await;
    let app = Echo::start().await;
    // Bound but not listening: connections are refused, and nobody else takes the port.
    let port = free_port();
    let socket = TcpSocket::new_v4().expect("a socket");
    socket.set_reuseaddr(true).expect("an option");
    socket.bind(format!("127.0.0.1:{port}").parse().expect("an address")).expect("the port is free");
    let away = Keycloak::at(&format!("http://127.0.0.1:{port}"));
    let door = Launch::in_front_of(&app.url, &away).start().await;

    let ready = door.try_get("/ready").await.expect("an answer");
    assert_ne!(ready.status, 200, "not ready without a provider");
    let page = door.try_get("/page").await.expect("an answer");
    assert!((500..600).contains(&page.status), "{} {}", page.status, page.body);
    assert!(app.seen().is_empty());

    pass_on(socket, keycloak.url.trim_start_matches("http://").to_owned());
    until("doorward is ready", async || door.try_get("/ready").await.filter(|ready| ready.status == 200))
        .await;
    let page = format!("{}/page?x=1", door.url);
    let answer = Visitor::default().log_in(&page, "alice").await;
    assert_eq!((answer.status, answer.url.as_str()), (200, page.as_str()), "{}", answer.body);
}

/// Lets whoever connects to `socket` speak to `target`.
fn pass_on(socket: TcpSocket, target: String) {
    let listener = socket.listen(64).expect("the socket is bound");
    tokio::spawn(async move {
        while let Ok((mut near, _)) = listener.accept().await {
            let target = target.clone();
            tokio::spawn(async move {
                if let Ok(mut far) = TcpStream::connect(target).await {
                    let _ = tokio::io::copy_bidirectional(&mut near, &mut far).await;
                }
            });
        }
    });
}

fn escape(text: &str) -> String {
    url::form_urlencoded::byte_serialize(text.as_bytes()).collect()
}

/// What a token says; its signature is not this test's business.
fn claims(token: &str) -> Value {
    let payload = token.split('.').nth(1).unwrap_or_else(|| panic!("not a token: {token}"));
    let bytes = base64_simd::URL_SAFE_NO_PAD.decode_to_vec(payload).expect("base64");
    serde_json::from_slice(&bytes).expect("JSON")
}
