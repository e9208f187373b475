//! Two real providers at once, Keycloak and oidc-provider, in Chromium: people choose, sign in, change over, and sign out
//! at the provider where they signed in.

use std::fs;
use std::os::unix::fs::symlink;

use crate::browser::Browser;
use crate::doorward::{COOKIE_SECRET, Launch};
use crate::echo::Echo;
use crate::http::{empty, get, send, try_send};
use crate::parts::{keycloak, root};
use crate::process::{Leashed, Program, free_port, scratch, until};
use crate::screenshots::picture;

/// oidc-provider, which signs everybody in as paul.
struct Partner {
    issuer: String,
    _process: Leashed,
}

impl Partner {
    /// For a doorward at this address.
    async fn start(door: &str) -> Self {
        let folder = scratch("partner");
        let sources = root().join("crates/doorward/tests/judges/node");
        fs::copy(sources.join("provider.mjs"), folder.join("provider.mjs")).expect("the script is there");
        let modules = root().join(".parts/judges/node/node_modules");
        assert!(modules.exists(), "oidc-provider is missing: run scripts/judges.sh install node");
        // Node looks for modules in the folder of the script.
        symlink(modules.canonicalize().expect("a folder"), folder.join("node_modules")).expect("a link");
        let port = free_port();
        let issuer = format!("http://127.0.0.1:{port}");
        let settings = serde_json::json!({
            "issuer": issuer, "port": port, "client_id": "app-of-example", "client_secret": "partner-secret",
            "redirect_uri": format!("{door}/oauth2/callback"),
            "post_logout_redirect_uri": format!("{door}/oauth2/signed_out"),
        });
        fs::write(folder.join("settings.json"), settings.to_string()).expect("the file can be written");
        let words = ["provider.mjs", "settings.json"].map(|name| folder.join(name).display().to_string());
        let mut process = Program::new(["node".to_owned()].into_iter().chain(words)).start("oidc-provider");
        let discovery = format!("{issuer}/.well-known/openid-configuration");
        until("oidc-provider answers", async || {
            process.must_run();
            try_send(empty(get(&discovery))).await.ok().filter(|answer| answer.status == 200)
        })
        .await;
        let who = serde_json::json!({
            "who": { "sub": "paul", "email": "paul@partner.example", "email_verified": true, "groups": ["project"] },
        });
        let order = ::http::Request::post(format!("{issuer}/order"));
        assert_eq!(send(order.body(who.to_string().into()).expect("a valid request")).await.status, 200);
        Self { issuer, _process: process }
    }
}

fn yaml(door: &str, app: &str, issuers: (&str, &str)) -> String {
    let (staff, partner) = issuers;
    let address = door.trim_start_matches("http://");
    format!(
        "providers:
  - {{id: staff, provider: oidc, name: Example Corp, clientID: doorward, clientSecret: doorward-secret,
     oidcConfig: {{issuerURL: '{staff}'}}}}
  - {{id: partner, provider: oidc, name: Partner Inc., clientID: app-of-example, clientSecret: partner-secret,
     oidcConfig: {{issuerURL: '{partner}'}}, allowedGroups: [project], scope: openid email groups}}
gateway:
  routes:
    - {{id: admin, match: {{path: /admin/}}, upstream: '{app}', authenticate: [session], providers: [staff]}}
upstreams: [{{id: app, path: /, uri: '{app}'}}]
headers: {{request: [{{name: X-Forwarded-Email, values: [{{claimSource: {{claim: email}}}}]}}]}}
listeners: {{main: {{bindAddress: '{address}'}}}}
access: {{email_domains: ['*']}}
cookies: {{cookie_secure: false, cookie_secret: {COOKIE_SECRET}}}
"
    )
}

/// The button of a provider.
fn button(id: &str) -> String {
    format!("form:has(input[name=provider][value={id}]) button")
}

#[tokio::test(flavor = "multi_thread")]
async fn people_choose_sign_in_change_over_and_sign_out_where_they_signed_in() {
    let app = Echo::start().await;
    let port = free_port();
    let door = format!("http://127.0.0.1:{port}");
    let partner = Partner::start(&door).await;
    let file = scratch("several-providers").join("doorward.yaml");
    let text = yaml(&door, &app.url, (&keycloak().await.issuer, &partner.issuer));
    fs::write(&file, text).expect("the file can be written");
    let launch = Launch::at(port).flag(&format!("--doorward-config={}", file.display()));
    let launch = launch.flag("--provider-logout").flag(&format!("--redirect-url={door}/oauth2/callback"));
    let door = launch.start().await;
    let browser = Browser::open().await;
    let page = format!("{}/page?a=1", door.url);

    // Choose, and sign in at Keycloak.
    browser.goto(&page).await;
    browser.wait_for_text("Sign in with Partner Inc.").await;
    picture(&browser, "chooser").await;
    browser.click(&button("staff")).await;
    browser.log_in("alice").await;
    assert_eq!(browser.application_at(&page).await.header("x-forwarded-email"), "alice@example.com");

    // Change over.
    browser.goto(&format!("{}/oauth2/sign_in?rd=/page?a=1", door.url)).await;
    browser.click(&button("partner")).await;
    assert_eq!(browser.application_at(&page).await.header("x-forwarded-email"), "paul@partner.example");

    // A page for people of the other provider, where the login of before still counts.
    let admin = format!("{}/admin/users", door.url);
    browser.goto(&admin).await;
    let text = browser.wait_for_text("Sign in with Example Corp").await;
    assert!(!text.contains("Partner"), "{text}");
    picture(&browser, "chooser-of-a-route").await;
    browser.click(&button("staff")).await;
    assert_eq!(browser.application_at(&admin).await.header("x-forwarded-email"), "alice@example.com");

    // Each signs out where they signed in: Keycloak knows alice no more, and oidc-provider asks first.
    browser.goto(&format!("{}/oauth2/sign_out", door.url)).await;
    browser.wait_for_url_under(&format!("{}/oauth2/signed_out", door.url)).await;
    picture(&browser, "signed-out-of-one").await;
    browser.goto(&page).await;
    browser.click(&button("staff")).await;
    browser.wait_for_login_form().await;
    browser.goto(&page).await;
    browser.click(&button("partner")).await;
    browser.application_at(&page).await;
    browser.goto(&format!("{}/oauth2/sign_out", door.url)).await;
    browser.wait_for_url_under(&partner.issuer).await;
    browser.click("button[name=logout]").await;
    browser.wait_for_url_under(&format!("{}/oauth2/signed_out", door.url)).await;
    browser.goto(&page).await;
    browser.wait_for_text("Sign in with Partner Inc.").await;
}
