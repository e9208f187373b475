//! Pictures of the pages people see, on a phone and a desktop, light and dark, kept in `artefacts/`.
//! Not a comparison with earlier pictures; but each page must fit its screen and say its piece.

use std::fs;

use crate::browser::{Browser, Screen};
use crate::doorward::Launch;
use crate::echo::Echo;
use crate::parts::keycloak;
use crate::process::scratch;

const SCREENS: [Screen; 4] = [
    Screen { name: "desktop-light", width: 1280, height: 800, scheme: "light" },
    Screen { name: "desktop-dark", width: 1280, height: 800, scheme: "dark" },
    Screen { name: "phone-light", width: 390, height: 844, scheme: "light" },
    Screen { name: "phone-dark", width: 390, height: 844, scheme: "dark" },
];

pub(crate) async fn picture(browser: &Browser, page: &str) {
    for screen in SCREENS {
        browser.use_screen(screen).await;
        let overflow = browser.run("return document.documentElement.scrollWidth - window.innerWidth").await;
        assert!(overflow.as_f64().unwrap_or(1.0) <= 0.0, "{page} is {overflow} too wide on {}", screen.name);
        browser.keep_picture(&format!("{page}-{}.png", screen.name)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn sign_in_page_error_page_and_application() {
    let app = Echo::start().await;
    let launch = Launch::in_front_of(&app.url, keycloak().await).without("--skip-provider-button");
    let door = launch.flag("--provider-display-name=Keycloak").flag("--allowed-group=dev").start().await;
    let browser = Browser::open().await;
    let page = format!("{}/page", door.url);
    browser.goto(&page).await;
    browser.wait_for_text("Sign in with Keycloak").await;
    picture(&browser, "sign-in").await;

    browser.click("form[action$='/oauth2/start'] button, form[action$='/oauth2/start'] [type=submit]").await;
    browser.log_in("carol").await;
    browser.wait_for_text("403").await;
    picture(&browser, "error").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_application_and_the_audience_page() {
    let app = Echo::start().await;
    let door = Launch::in_front_of(&app.url, keycloak().await).start().await;
    let browser = Browser::open().await;
    let page = format!("{}/page", door.url);
    browser.goto(&page).await;
    browser.log_in("alice").await;
    browser.application_at(&page).await;
    picture(&browser, "application").await;
    drop(browser);

    let door = Launch::in_front_of(&app.url, keycloak().await)
        .client("doorward-no-mappers")
        .flag("--oidc-audience-claim=intended_service")
        .start()
        .await;
    let browser = Browser::open().await;
    browser.goto(&door.url).await;
    browser.log_in("carol").await;
    browser.wait_for_url_under(&format!("{}/oauth2/callback", door.url)).await;
    browser.unfold_details().await;
    picture(&browser, "audience").await;
}

/// Two ways to sign in, and a client that users are asked about.
fn built_in_server(issuer: &str, redirect_uri: &str) -> String {
    let folder = scratch("built-in");
    let users = folder.join("users");
    fs::write(&users, "bob:{SHA}W6ph5Mm5Pz8GgiULbPgzG37mj9g=\n").expect("the file can be written");
    let file = folder.join("doorward.yaml");
    let users = users.display();
    let text = format!(
        "authServer:
  issuer: {issuer}
  store: {{type: memory}}
  kubernetesAPI: true
  identityProviders:
    - {{name: local, type: htpasswd, file: {users}, allowWeakHashes: true}}
    - {{name: staff, type: htpasswd, file: {users}, allowWeakHashes: true}}
  scopes:
    - {{name: 'orders:read', description: See your orders, warning: Also those of last year.}}
  clients:
    - {{id: shop, secret: a-secret-that-is-long-enough-for-it, redirectURIs: ['{redirect_uri}'], grantMethod: prompt}}
"
    );
    fs::write(&file, text).expect("the file can be written");
    file.display().to_string()
}

/// Browsers stop a redirect that follows a form, unless the page's policy names where it ends: only a browser can tell.
#[tokio::test(flavor = "multi_thread")]
async fn a43_pages_of_the_built_in_server_lead_through_a_whole_login() {
    let app = Echo::start().await;
    let launch = Launch::bare();
    let issuer = launch.url();
    let config = built_in_server(&issuer, &format!("{}/callback", app.url));
    let launch = launch.flag(&format!("--doorward-config={config}"));
    let door = launch.flag("--provider=doorward").flag("--upstream=static://200").start().await;
    let browser = Browser::open().await;
    let request = format!(
        "{}/oauth/authorize?client_id=shop&response_type=code&scope=openid+user:full+orders:read&state=s",
        door.url
    );
    let request =
        format!("{request}&redirect_uri={}%2Fcallback", app.url.replace(':', "%3A").replace('/', "%2F"));
    browser.goto(&request).await;
    browser.wait_for_text("staff").await;
    picture(&browser, "choice").await;
    browser.click(".ways a").await;
    browser.fill_in("#username", "bob").await;
    browser.fill_in("#password", "wrong").await;
    browser.click("button").await;
    browser.wait_for_text("is wrong").await;
    picture(&browser, "password-form").await;
    browser.fill_in("#username", "bob").await;
    browser.fill_in("#password", "password").await;
    browser.click("button").await;
    browser.wait_for_text("Also those of last year.").await;
    picture(&browser, "consent").await;
    browser.click("button[value=approve]").await;
    browser.wait_for_url_under(&format!("{}/callback?code=sha256~", app.url)).await;
    // Agreed to: from the form of a new login the way leads on to the client by redirects alone.
    browser.goto(&format!("{request}&prompt=login&idp=local")).await;
    browser.fill_in("#username", "bob").await;
    browser.fill_in("#password", "password").await;
    browser.click("button").await;
    browser.wait_for_url_under(&format!("{}/callback?code=sha256~", app.url)).await;
    browser.goto(&format!("{request}&response_mode=form_post")).await;
    browser.wait_for_url_under(&format!("{}/callback", app.url)).await;

    browser.goto(&format!("{}/oauth/token/request", door.url)).await;
    browser.wait_for_text("Display token").await;
    picture(&browser, "token-button").await;
    browser.click("button").await;
    browser.wait_for_text("oc login --token=sha256~").await;
    picture(&browser, "token").await;
    browser.goto(&format!("{}/oauth/logout", door.url)).await;
    picture(&browser, "logout").await;
    browser.goto(&format!("{}/oauth/authorize?client_id=nobody", door.url)).await;
    picture(&browser, "refused-request").await;
}
