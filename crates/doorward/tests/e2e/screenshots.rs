//! Pictures of the pages people see, on a phone and a desktop, light and dark, kept in `artefacts/`.
//! Not a comparison with earlier pictures; but each page must fit its screen and say its piece.

use crate::browser::{Browser, Screen};
use crate::doorward::Launch;
use crate::echo::Echo;
use crate::parts::keycloak;

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
