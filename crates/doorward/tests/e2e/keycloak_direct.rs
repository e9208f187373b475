//! `docs/integrations/keycloak.md`, one command: doorward with nothing behind it, and only a login to give.

use crate::browser::Browser;
use crate::docs::{block, fill};
use crate::doorward::{Doorward, Launch};
use crate::parts::{Keycloak, keycloak};
use crate::process::free_port;

async fn start_as_documented(keycloak: &Keycloak) -> Doorward {
    let port = free_port();
    let command = fill(
        &block("keycloak.md", "direct"),
        &[
            ("https://keycloak.example.com/realms/doorward", &keycloak.issuer),
            ("https://app.example.com", &format!("http://127.0.0.1:{port}")),
            ("0.0.0.0:4180", &format!("127.0.0.1:{port}")),
        ],
    );
    Launch::shell(&command, port).start().await
}

#[tokio::test(flavor = "multi_thread")]
async fn after_login_the_browser_is_at_the_page_first_asked_for() {
    let door = start_as_documented(keycloak().await).await;
    let browser = Browser::open().await;
    let page = format!("{}/reports/2026?month=11&sort=by%20name", door.url);
    browser.goto(&page).await;
    browser.log_in("alice").await;
    browser.wait_for_url(&page).await;

    browser.goto(&format!("{}/oauth2/userinfo", door.url)).await;
    let who = browser.text().await;
    assert!(who.contains("alice@example.com"), "{who}");
    assert!(who.contains("role:auditor") && who.contains("dev"), "{who}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unverified_address_may_enter_where_the_flag_says_so() {
    let door = start_as_documented(keycloak().await).await;
    let browser = Browser::open().await;
    browser.goto(&door.url).await;
    browser.log_in("bob").await;
    browser.wait_for_url(&format!("{}/", door.url)).await;
    browser.goto(&format!("{}/oauth2/userinfo", door.url)).await;
    assert!(browser.text().await.contains("bob@example.com"));
}

#[tokio::test(flavor = "multi_thread")]
async fn wrong_password_stays_at_keycloak_and_the_right_one_still_works() {
    let door = start_as_documented(keycloak().await).await;
    let browser = Browser::open().await;
    let page = format!("{}/inbox", door.url);
    browser.goto(&page).await;
    browser.wait_for_login_form().await;
    browser.run("document.querySelector('#username').value = 'alice'").await;
    browser.run("document.querySelector('#password').value = 'nonsense'").await;
    browser.click("#kc-login").await;
    browser.wait_for_text("Invalid username or password").await;
    browser.run("document.querySelector('#username').value = ''").await;
    browser.log_in("alice").await;
    browser.wait_for_url(&page).await;
}
