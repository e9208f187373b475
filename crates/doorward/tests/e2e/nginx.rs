//! `docs/integrations/nginx.md` with a real nginx: `auth_request`, and what ingress-nginx makes of its annotations.

use crate::browser::Browser;
use crate::docs::{block, fill};
use crate::doorward::{Doorward, Launch};
use crate::echo::{Echo, Seen};
use crate::http::{Visitor, empty, get};
use crate::parts::{Keycloak, Nginx, keycloak};
use crate::process::{free_port, until};

/// An application behind nginx behind doorward's advice. Dropped in this order.
struct Site {
    nginx: Nginx,
    door: Doorward,
    app: Echo,
    url: String,
}

const TLS_LINES: &str = "    listen 443 ssl;
    server_name app.example.com;
    ssl_certificate     /etc/nginx/app.example.com.pem;
    ssl_certificate_key /etc/nginx/app.example.com.key;
";

async fn start_doorward(keycloak: &Keycloak, site: &str, changes: &[(&str, &str)]) -> Doorward {
    let port = free_port();
    let text = fill(
        &block("nginx.md", "doorward"),
        &[
            ("127.0.0.1:4180", &format!("127.0.0.1:{port}")),
            ("https://keycloak.example.com/realms/doorward", &keycloak.issuer),
            ("https://app.example.com", site),
            ("cookie_secure = true", "cookie_secure = false"),
        ],
    );
    Launch::file(&fill(&text, changes), port).start().await
}

/// The page's `auth_request` configuration. `changes` are made to doorward's settings.
async fn start_auth_request(changes: &[(&str, &str)]) -> Site {
    let port = free_port();
    let url = format!("http://127.0.0.1:{port}");
    let app = Echo::start().await;
    let door = start_doorward(keycloak().await, &url, changes).await;
    let text = fill(
        &block("nginx.md", "auth_request"),
        &[
            (TLS_LINES, &format!("    listen 127.0.0.1:{port};\n")),
            ("127.0.0.1:4180", &door.address),
            ("http://127.0.0.1:8080", &app.url),
        ],
    );
    let nginx = Nginx::start(&text, port).await;
    Site { nginx, door, app, url }
}

/// The page's annotations, translated as ingress-nginx does.
async fn start_ingress(changes: &[(&str, &str)]) -> Site {
    let port = free_port();
    let host = format!("127.0.0.1:{port}");
    let url = format!("http://{host}");
    let app = Echo::start().await;
    let door = start_doorward(keycloak().await, &url, changes).await;
    let annotations = block("nginx.md", "ingress");
    // A test's nginx listens on a port of its own, which $host does not contain; and it has no certificate.
    let here = |value: String| fill(&value, &[("https://$host", &url)]);
    let text = fill(
        include_str!("ingress.conf"),
        &[
            ("127.0.0.1:PORT", &host),
            ("set $target AUTH_URL", &format!("set $target {}", here(annotation(&annotations, "auth-url")))),
            (
                "return 302 AUTH_SIGNIN",
                &format!("return 302 {}", here(annotation(&annotations, "auth-signin"))),
            ),
            (
                "        RESPONSE_HEADERS\n",
                &response_headers(&annotation(&annotations, "auth-response-headers")),
            ),
            ("FORWARDING", FORWARDING),
            ("proxy_pass APPLICATION", &format!("proxy_pass {}", app.url)),
            ("proxy_pass DOORWARD", &format!("proxy_pass {}", door.url)),
        ],
    );
    let nginx = Nginx::start(&text, port).await;
    Site { nginx, door, app, url }
}

/// The headers that ingress-nginx gives to every service.
const FORWARDING: &str = "proxy_set_header Host $http_host;
        proxy_set_header X-Request-ID $request_id;
        proxy_set_header X-Real-IP $remote_addr;
        proxy_set_header X-Forwarded-For $remote_addr;
        proxy_set_header X-Forwarded-Host $http_host;
        proxy_set_header X-Forwarded-Port $server_port;
        proxy_set_header X-Forwarded-Proto $scheme;
        proxy_set_header X-Forwarded-Scheme $scheme;
        proxy_set_header X-Scheme $scheme;
        proxy_buffer_size 16k;
        proxy_buffers 4 16k;";

fn annotation(yaml: &str, name: &str) -> String {
    let key = format!("nginx.ingress.kubernetes.io/{name}: ");
    let line = yaml.lines().find_map(|line| line.trim().strip_prefix(&key));
    line.unwrap_or_else(|| panic!("no annotation {name}")).trim_matches('"').to_owned()
}

fn response_headers(list: &str) -> String {
    let line = |(number, name): (usize, &str)| {
        let variable = name.to_lowercase().replace('-', "_");
        format!(
            "        auth_request_set $auth_header_{number} $upstream_http_{variable};\n        \
             proxy_set_header '{name}' $auth_header_{number};\n"
        )
    };
    list.split(", ").enumerate().map(line).collect()
}

async fn log_in_with_browser(site: &Site, page: &str) -> Seen {
    let browser = Browser::open().await;
    browser.goto(page).await;
    if browser.text().await.contains("Sign in with") {
        browser
            .click("form[action$='/oauth2/start'] button, form[action$='/oauth2/start'] [type=submit]")
            .await;
    }
    browser.log_in("alice").await;
    let seen = browser.application_at(page).await;
    assert!(!site.nginx.log().contains("[error]"), "{}", site.nginx.log());
    seen
}

#[tokio::test(flavor = "multi_thread")]
async fn auth_request_brings_the_browser_to_the_login_and_back_to_the_page() {
    let site = start_auth_request(&[]).await;
    let page = format!("{}/wiki/page?tab=2&q=a%2Bb", site.url);
    let seen = log_in_with_browser(&site, &page).await;
    assert_eq!(seen.uri, "/wiki/page?tab=2&q=a%2Bb");
    assert_eq!(seen.header("x-email"), "alice@example.com");
    assert!(!seen.header("x-user").is_empty());
    assert!(seen.list("x-groups").contains(&"role:doorward:operator"), "{:?}", seen.headers);
    assert!(seen.header("x-access-token").starts_with("ey"), "{:?}", seen.headers);
}

#[tokio::test(flavor = "multi_thread")]
async fn auth_request_without_the_sign_in_page_goes_straight_to_keycloak() {
    let skip = ("set_xauthrequest = true", "set_xauthrequest = true\nskip_provider_button = true");
    let site = start_auth_request(&[skip]).await;
    let page = format!("{}/wiki/page?tab=2&q=a%2Bb", site.url);
    let answer = Visitor::default().log_in(&page, "alice").await;
    assert_eq!((answer.status, answer.url.as_str()), (200, page.as_str()), "{}", answer.body);
}

#[tokio::test(flavor = "multi_thread")]
async fn auth_request_lets_nobody_in_without_a_login() {
    let site = start_auth_request(&[]).await;
    let mut visitor = Visitor::default();
    for (path, cookie) in [
        ("/", ""),
        ("/ops/", ""),
        ("/x", "_oauth2_proxy=garbage"),
        ("/x", "_oauth2_proxy_0=a; _oauth2_proxy_1=b"),
    ] {
        let request = get(&format!("{}{path}", site.url))
            .header("cookie", cookie)
            .header("x-email", "root@example.com");
        visitor.visit(empty(request)).await;
    }
    // The question itself is not for visitors.
    let question = visitor.get(&format!("{}/oauth2/auth", site.url)).await;
    assert_eq!(question.status, 404);
    assert!(site.app.seen().is_empty(), "{:?}", site.app.seen());
}

#[tokio::test(flavor = "multi_thread")]
async fn identity_headers_of_the_client_never_reach_the_application() {
    let everybody = Visitor::default();
    let site = start_auth_request(&[("set_xauthrequest = true", SKIP_BUTTON)]).await;
    let mut visitor = everybody.clone();
    visitor.log_in(&site.url, "carol").await;
    let forged = get(&format!("{}/x", site.url))
        .header("x-email", "root@example.com")
        .header("x-groups", "ops")
        .header("x-user", "root");
    let seen = Seen::from_page(&visitor.visit(empty(forged)).await.body);
    assert_eq!(seen.header("x-email"), "carol@elsewhere.example");
    assert!(!seen.list("x-groups").contains(&"ops"), "{:?}", seen.headers);
    assert_ne!(seen.header("x-user"), "root");
}

const SKIP_BUTTON: &str = "set_xauthrequest = true\nskip_provider_button = true";

#[tokio::test(flavor = "multi_thread")]
async fn allowed_groups_of_a_location_bind_only_that_location() {
    let site = start_auth_request(&[("set_xauthrequest = true", SKIP_BUTTON)]).await;
    let (anywhere, ops) = (format!("{}/any", site.url), format!("{}/ops/panel?x=1", site.url));
    let mut alice = Visitor::default();
    assert_eq!(alice.log_in(&ops, "alice").await.status, 200);
    assert_eq!(alice.open(&anywhere).await.status, 200);
    let mut dave = Visitor::default();
    assert_eq!(dave.log_in(&anywhere, "dave").await.status, 200);
    assert_eq!(dave.open(&ops).await.status, 403);
    assert_eq!(dave.open(&anywhere).await.status, 200, "a refusal does not end the session");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_goes_to_the_application_and_not_into_the_question() {
    let site = start_auth_request(&[("set_xauthrequest = true", SKIP_BUTTON)]).await;
    let mut visitor = Visitor::default();
    visitor.log_in(&site.url, "alice").await;
    let body = "x".repeat(200_000);
    let upload =
        ::http::Request::post(format!("{}/upload", site.url)).body(body.clone().into()).expect("a request");
    let answer = visitor.visit(upload).await;
    assert_eq!(answer.status, 200);
    let seen = Seen::from_page(&answer.body);
    assert_eq!((seen.method.as_str(), seen.body.len()), ("POST", body.len()));
}

#[tokio::test(flavor = "multi_thread")]
async fn both_halves_of_a_renewed_session_reach_the_browser() {
    let keycloak = keycloak().await;
    let changes = [
        ("set_xauthrequest = true", SKIP_BUTTON),
        ("cookie_refresh = \"4m\"", "cookie_refresh = \"1s\""),
        ("client_id = \"doorward\"", "client_id = \"doorward-short-lived\""),
    ];
    let site = start_auth_request(&changes).await;
    let mut visitor = Visitor::default();
    let page = format!("{}/page", site.url);
    let answer = visitor.log_in(&page, "dave").await;
    assert_eq!((answer.status, answer.url.as_str()), (200, page.as_str()), "{}", answer.body);
    let halves = visitor.cookies("_oauth2_proxy");
    assert_eq!(
        halves.keys().collect::<Vec<_>>(),
        ["_oauth2_proxy_0", "_oauth2_proxy_1"],
        "dave's session is split"
    );

    // Three renewals: were one half lost, the second would find a broken session.
    let mut before = halves;
    for _ in 0..3 {
        before = until("a renewed session", async || {
            let answer = visitor.open(&page).await;
            assert_eq!(answer.status, 200, "still signed in");
            for cookie in answer.set_cookies() {
                assert_eq!(cookie.attribute("Path"), Some("/"), "{cookie:?}");
                assert_eq!(cookie.attribute("HttpOnly"), Some(""), "{cookie:?}");
            }
            let now = visitor.cookies("_oauth2_proxy");
            (now["_oauth2_proxy_0"] != before["_oauth2_proxy_0"]).then_some(now)
        })
        .await;
    }
    assert_eq!(before.len(), 2);
    let _ = (keycloak, &site.door);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_ingress_form_brings_the_browser_to_the_login_and_back_to_the_page() {
    let site = start_ingress(&[]).await;
    let page = format!("{}/wiki/page?tab=2&q=a%2Bb", site.url);
    let seen = log_in_with_browser(&site, &page).await;
    assert_eq!(seen.uri, "/wiki/page?tab=2&q=a%2Bb");
    assert_eq!(seen.header("x-auth-request-email"), "alice@example.com");
    assert!(seen.list("x-auth-request-groups").contains(&"role:auditor"), "{:?}", seen.headers);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_ingress_form_sends_strangers_to_start_with_the_whole_address() {
    let site = start_ingress(&[]).await;
    let answer = Visitor::default().open(&format!("{}/a/b?c=d&e=f", site.url)).await;
    assert_eq!(answer.status, 302);
    assert_eq!(answer.header("location"), format!("{}/oauth2/start?rd=%2Fa%2Fb%3Fc%3Dd%26e%3Df", site.url));
    assert!(site.app.seen().is_empty());
    assert!(site.door.log().contains("/oauth2/auth"), "{}", site.door.log());
}
