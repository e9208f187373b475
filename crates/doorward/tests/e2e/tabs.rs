//! Several tabs, expired state, back button: each ends on the wanted page or restarts the login once; never a dead
//! end. Tests marked "doorward only" are where oauth2-proxy shows an error page or starts a login too many.

use url::Url;

use crate::browser::Browser;
use crate::doorward::{Doorward, Launch};
use crate::echo::Echo;
use crate::http::{Visitor, empty, get};
use crate::parts::keycloak;

async fn start(app: &Echo) -> Doorward {
    Launch::in_front_of(&app.url, keycloak().await).start().await
}

#[tokio::test(flavor = "multi_thread")]
async fn tabs_that_start_after_the_login_need_none() {
    let app = Echo::start().await;
    let door = start(&app).await;
    let browser = Browser::open().await;
    let (first, second) = (format!("{}/first?n=1", door.url), format!("{}/second?n=2", door.url));
    browser.goto(&first).await;
    browser.log_in("alice").await;
    browser.application_at(&first).await;
    browser.new_tab().await;
    browser.goto(&second).await;
    browser.application_at(&second).await;
}

/// doorward only.
#[tokio::test(flavor = "multi_thread")]
async fn two_tabs_that_log_in_at_once_both_end_at_their_page() {
    let app = Echo::start().await;
    let door = start(&app).await;
    let browser = Browser::open().await;
    let (first, second) = (format!("{}/first?n=1", door.url), format!("{}/second?n=2", door.url));
    let first_tab = browser.current_tab().await;
    browser.goto(&first).await;
    browser.wait_for_login_form().await;
    let second_tab = browser.new_tab().await;
    browser.goto(&second).await;
    browser.wait_for_login_form().await;

    // The first tab's login was started before the second's.
    browser.switch_to(&first_tab).await;
    browser.log_in("alice").await;
    browser.application_at(&first).await;
    browser.switch_to(&second_tab).await;
    browser.use_login_form_if_still_there("alice").await;
    browser.application_at(&second).await;
}

/// doorward only.
#[tokio::test(flavor = "multi_thread")]
async fn the_tab_that_started_last_may_finish_first() {
    let app = Echo::start().await;
    let door = start(&app).await;
    let browser = Browser::open().await;
    let (first, second) = (format!("{}/first?n=1", door.url), format!("{}/second?n=2", door.url));
    let first_tab = browser.current_tab().await;
    browser.goto(&first).await;
    browser.wait_for_login_form().await;
    browser.new_tab().await;
    browser.goto(&second).await;
    browser.log_in("alice").await;
    browser.application_at(&second).await;
    browser.switch_to(&first_tab).await;
    browser.reload().await;
    browser.use_login_form_if_still_there("alice").await;
    browser.application_at(&first).await;
}

/// doorward only.
#[tokio::test(flavor = "multi_thread")]
async fn a_login_whose_state_has_expired_starts_again_and_ends_at_the_page() {
    let app = Echo::start().await;
    let door = start(&app).await;
    let browser = Browser::open().await;
    let page = format!("{}/late?n=1", door.url);
    browser.goto(&page).await;
    browser.wait_for_login_form().await;
    browser.remove_cookies("csrf").await;
    browser.log_in("alice").await;
    browser.application_at(&page).await;
}

/// doorward only.
#[tokio::test(flavor = "multi_thread")]
async fn the_back_button_after_the_login_leads_forward_again() {
    let app = Echo::start().await;
    let door = start(&app).await;
    let browser = Browser::open().await;
    let page = format!("{}/page?n=1", door.url);
    browser.goto(&page).await;
    browser.log_in("alice").await;
    browser.application_at(&page).await;
    browser.back().await;
    browser.application_at(&page).await;
}

/// doorward only.
#[tokio::test(flavor = "multi_thread")]
async fn opening_the_callback_again_leads_to_the_page() {
    let app = Echo::start().await;
    let door = start(&app).await;
    let mut visitor = Visitor::default();
    let page = format!("{}/page?n=1", door.url);
    let form = visitor.follow(&page).await;
    let callback = visitor.submit_only(&form, "alice").await.location().expect("back to doorward");
    let first = visitor.follow(callback.as_str()).await;
    assert_eq!((first.status, first.url.as_str()), (200, page.as_str()));
    let again = visitor.follow(callback.as_str()).await;
    assert_eq!((again.status, again.url.as_str()), (200, page.as_str()), "{}", again.body);
}

/// doorward only. Keycloak sends people back with this error when its form was left open too long, or when the
/// login ended in another tab.
#[tokio::test(flavor = "multi_thread")]
async fn a_login_that_keycloak_gave_up_is_started_again() {
    let app = Echo::start().await;
    let door = start(&app).await;
    let mut visitor = Visitor::default();
    let page = format!("{}/page?n=1", door.url);
    let login = visitor.open(&page).await.location().expect("to Keycloak");
    let state = login.query_pairs().find(|(name, _)| name == "state").expect("a state").1.into_owned();
    let (issuer, _) = login.as_str().split_once("/protocol/").expect("Keycloak's login address");
    let mut callback = Url::parse(&format!("{}/oauth2/callback", door.url)).expect("an address");
    callback
        .query_pairs_mut()
        .append_pair("iss", issuer)
        .append_pair("error", "temporarily_unavailable")
        .append_pair("error_description", "authentication_expired")
        .append_pair("state", &state);
    let answer = visitor.log_in(callback.as_str(), "alice").await;
    assert_eq!((answer.status, answer.url.as_str()), (200, page.as_str()), "{}", answer.body);
}

/// doorward only. A browser fetches pictures of a page on its own. Their logins could only disturb that of the page.
#[tokio::test(flavor = "multi_thread")]
async fn a_picture_does_not_start_a_login() {
    let app = Echo::start().await;
    let door = start(&app).await;
    let picture = get(&format!("{}/favicon.ico", door.url))
        .header("accept", "image/avif,image/webp,image/*,*/*;q=0.8")
        .header("sec-fetch-site", "same-origin")
        .header("sec-fetch-mode", "no-cors")
        .header("sec-fetch-dest", "image");
    let answer = Visitor::default().visit(empty(picture)).await;
    assert_eq!(answer.status, 401, "{:?}", answer.headers);
    assert!(answer.set_cookies().is_empty(), "{:?}", answer.headers);
}

/// The callback of a stranger's login must not sign this person in as the stranger.
#[tokio::test(flavor = "multi_thread")]
async fn a_callback_of_another_persons_login_does_not_sign_in_as_that_person() {
    let app = Echo::start().await;
    let door = start(&app).await;
    let (mut attacker, mut victim) = (Visitor::default(), Visitor::default());
    let form = attacker.follow(&format!("{}/attacker", door.url)).await;
    let callback = attacker.submit_only(&form, "dave").await.location().expect("back to doorward");
    let answer = victim.follow(callback.as_str()).await;
    assert!(app.seen().is_empty(), "{:?}", app.seen());
    assert!(victim.cookies("_oauth2_proxy").keys().all(|name| name.contains("csrf")), "{}", answer.url);
}

/// doorward only.
#[tokio::test(flavor = "multi_thread")]
async fn without_cookies_the_login_is_restarted_once_and_then_explained() {
    let app = Echo::start().await;
    let door = start(&app).await;
    let mut visitor = Visitor::default();
    let form = visitor.follow(&format!("{}/page", door.url)).await;
    let mut answer = visitor.submit_only(&form, "alice").await;
    let mut restarts = 0;
    while let Some(location) = answer.location() {
        visitor.forget("_oauth2_proxy");
        if location.as_str().starts_with(&keycloak().await.url) {
            restarts += 1;
        }
        assert!(restarts <= 1, "restarted more than once");
        answer = visitor.open(location.as_str()).await;
    }
    assert_eq!(answer.status, 403, "{}", answer.body);
    assert!(answer.body.contains("ookie"), "the page speaks of cookies: {}", answer.body);
    assert!(app.seen().is_empty());
}

/// CVE-2026-34454: whoever opens the page wants to sign in anew.
#[tokio::test(flavor = "multi_thread")]
async fn the_sign_in_page_ends_the_session_that_somebody_left_behind() {
    let app = Echo::start().await;
    let launch = Launch::in_front_of(&app.url, keycloak().await).without("--skip-provider-button");
    let door = launch.start().await;
    let mut visitor = Visitor::default();
    let page = format!("{}/page", door.url);
    visitor.log_in(&format!("{}/oauth2/start?rd=%2Fpage", door.url), "alice").await;
    assert_eq!(visitor.open(&page).await.status, 200);
    visitor.open(&format!("{}/oauth2/sign_in", door.url)).await;
    assert_eq!(visitor.open(&page).await.status, 403);
}
