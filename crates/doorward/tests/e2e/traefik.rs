//! `docs/integrations/traefik.md`, with Traefik's requests replayed.

use crate::browser::Browser;
use crate::docs::{block, fill};
use crate::doorward::{Doorward, Launch};
use crate::echo::{Echo, Seen};
use crate::fake_traefik::{self, Rules};
use crate::http::{Visitor, empty, get, send};
use crate::parts::keycloak;
use crate::process::{free_port, scratch, until};

struct Site {
    door: Doorward,
    app: Echo,
    url: String,
}

/// The page's configuration; `middlewares` is the name of its block, `changes` are made to doorward's settings.
async fn start(middlewares: &str, changes: &[(&str, &str)]) -> Site {
    let app = Echo::start().await;
    let port = free_port();
    let address = format!("127.0.0.1:{port}");
    let settings = fill(
        &block("traefik.md", "doorward"),
        &[
            ("0.0.0.0:4180", &address),
            ("https://keycloak.example.com/realms/doorward", &keycloak().await.issuer),
            ("cookie_secure = true", "cookie_secure = false"),
        ],
    );
    let door = Launch::file(&fill(&settings, changes), port).start().await;
    let yaml = fill(&block("traefik.md", middlewares), &[("doorward:4180", &address)]);
    let url = fake_traefik::start(Rules::from_yaml(&yaml, &door.url, &app.url)).await;
    Site { door, app, url }
}

async fn start_errors_mode() -> Site {
    start("errors middleware", &[]).await
}

/// Errors mode with the page's own `sign_in.html`, which goes on to the provider by script.
async fn start_errors_mode_with_own_page() -> Site {
    let folder = scratch("templates");
    std::fs::write(folder.join("sign_in.html"), block("traefik.md", "sign_in.html")).expect("a template");
    let setting = format!("cookie_secure = false\ncustom_templates_dir = \"{}\"", folder.display());
    start("errors middleware", &[("cookie_secure = false", &setting)]).await
}

async fn start_redirect_mode(changes: &[(&str, &str)]) -> Site {
    let lines = block("traefik.md", "doorward redirect");
    let mut all = vec![("upstreams = \"file:///dev/null\"\n", lines.as_str())];
    all.extend_from_slice(changes);
    start("redirect", &all).await
}

#[track_caller]
fn assert_is_alice(seen: &Seen) {
    assert!(!seen.header("x-auth-request-user").is_empty(), "{:?}", seen.headers);
    assert_eq!(seen.header("x-auth-request-preferred-username"), "alice");
    assert!(seen.header("x-auth-request-access-token").starts_with("ey"), "{:?}", seen.headers);
    assert!(seen.list("x-auth-request-groups").contains(&"role:auditor"), "{:?}", seen.headers);
    assert!(seen.header("authorization").starts_with("Bearer ey"), "{:?}", seen.headers);
}

#[tokio::test(flavor = "multi_thread")]
async fn errors_mode_with_an_own_page_ends_at_the_page_first_asked_for() {
    let site = start_errors_mode_with_own_page().await;
    let browser = Browser::open().await;
    let page = format!("{}/wiki/page?tab=2&q=a%2Bb#part", site.url);
    browser.goto(&page).await;
    browser.log_in("alice").await;
    let seen = browser.application_at(&page).await;
    assert_is_alice(&seen);
    assert_eq!(seen.uri, "/wiki/page?tab=2&q=a%2Bb");
}

/// doorward only: the page of oauth2-proxy does not know where it was shown, and ends at `/`.
#[tokio::test(flavor = "multi_thread")]
async fn errors_mode_with_the_built_in_page_ends_at_the_page_first_asked_for() {
    let site = start_errors_mode().await;
    let browser = Browser::open().await;
    let page = format!("{}/wiki/page?tab=2&q=a%2Bb#part", site.url);
    browser.goto(&page).await;
    browser.wait_for_text("Sign in with Keycloak").await;
    browser.click("form[action$='/oauth2/start'] button, form[action$='/oauth2/start'] [type=submit]").await;
    browser.log_in("alice").await;
    assert_is_alice(&browser.application_at(&page).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn errors_mode_shows_the_sign_in_page_with_the_status_of_the_refusal() {
    let site = start_errors_mode().await;
    let answer = Visitor::default().open(&format!("{}/wiki", site.url)).await;
    assert_eq!(answer.status, 401);
    assert!(answer.body.contains("Sign in with Keycloak"), "{}", answer.body);
    assert!(answer.header("content-type").starts_with("text/html"));
    assert!(site.app.seen().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn redirect_mode_ends_at_the_page_first_asked_for() {
    let site = start_redirect_mode(&[]).await;
    let browser = Browser::open().await;
    let page = format!("{}/wiki/page?tab=2&q=a%2Bb", site.url);
    browser.goto(&page).await;
    browser.log_in("alice").await;
    let seen = browser.application_at(&page).await;
    assert_is_alice(&seen);
    assert_eq!(seen.uri, "/wiki/page?tab=2&q=a%2Bb");
}

#[tokio::test(flavor = "multi_thread")]
async fn redirect_mode_uses_proof_keys() {
    let site = start_redirect_mode(&[]).await;
    let answer = Visitor::default().open(&format!("{}/wiki", site.url)).await;
    assert_eq!(answer.status, 302);
    let login = answer.location().expect("to Keycloak");
    let query: Vec<(String, String)> = login.query_pairs().into_owned().collect();
    assert!(query.contains(&("code_challenge_method".into(), "S256".into())), "{login}");
    assert!(query.contains(&("redirect_uri".into(), format!("{}/oauth2/callback", site.url))), "{login}");
}

#[tokio::test(flavor = "multi_thread")]
async fn identity_headers_of_the_client_never_reach_the_application() {
    let site = start_redirect_mode(&[]).await;
    let mut visitor = Visitor::default();
    // carol is in no group, so the group header tells whether a missing value lets a forged one through.
    visitor.log_in(&site.url, "carol").await;
    let forged = get(&format!("{}/x", site.url))
        .header("x-auth-request-user", "root")
        .header("x-auth-request-groups", "admin")
        .header("x-auth-request-preferred-username", "root")
        .header("x-auth-request-access-token", "forged")
        .header("authorization", "Bearer forged");
    let seen = Seen::from_page(&visitor.visit(empty(forged)).await.body);
    for name in
        ["x-auth-request-user", "x-auth-request-groups", "x-auth-request-access-token", "authorization"]
    {
        let value = seen.header(name);
        assert!(!["root", "admin", "forged", "Bearer forged"].contains(&value), "{name}: {value}");
    }
    assert_eq!(seen.header("x-auth-request-preferred-username"), "carol");
}

#[tokio::test(flavor = "multi_thread")]
async fn forwarding_headers_of_the_client_change_nothing() {
    let site = start_redirect_mode(&[]).await;
    let request = get(&format!("{}/wiki", site.url))
        .header("accept", "text/html")
        .header("x-forwarded-uri", "/elsewhere")
        .header("x-forwarded-host", "evil.example");
    let answer = send(empty(request)).await;
    let login = answer.location().expect("to Keycloak");
    assert!(!login.as_str().contains("evil.example") && !login.as_str().contains("elsewhere"), "{login}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_renewed_session_reaches_the_browser() {
    let changes = [
        ("cookie_secure = false", "cookie_secure = false\ncookie_refresh = \"1s\""),
        ("client_id = \"doorward\"", "client_id = \"doorward-short-lived\""),
    ];
    let site = start_redirect_mode(&changes).await;
    let mut visitor = Visitor::default();
    let page = format!("{}/page", site.url);
    visitor.log_in(&page, "dave").await;
    let mut before = visitor.cookies("_oauth2_proxy");
    assert!(before.len() > 1, "dave's session is split: {:?}", before.keys());
    for _ in 0..2 {
        before = until("a renewed session", async || {
            assert_eq!(visitor.open(&page).await.status, 200, "still signed in");
            let now = visitor.cookies("_oauth2_proxy");
            (now != before).then_some(now)
        })
        .await;
    }
    assert!(!site.door.log().contains("panic"));
}
