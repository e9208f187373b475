//! The built-in identity provider as its pages describe it: `docs/identity-provider.md`, `docs/protect-an-api.md`,
//! `docs/kubectl-and-oc.md`, `docs/oauth-server.md`, each pasted; and `doorward demo`, walked through in a real browser.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::browser::Browser;
use crate::docs::{block, fill};
use crate::doorward::{Doorward, Launch, binary};
use crate::echo::Echo;
use crate::http::{empty, get, send};
use crate::process::{find_program, free_port, scratch};
use crate::screenshots::picture;

const IDENTITY_PROVIDER: &str = "../identity-provider.md";
const PROTECT_AN_API: &str = "../protect-an-api.md";
const KUBECTL: &str = "../kubectl-and-oc.md";
const OAUTH_SERVER: &str = "../oauth-server.md";

/// The word that follows `label` in what doorward printed.
fn said(text: &str, label: &str) -> String {
    let line = text.lines().map(str::trim).find(|line| line.starts_with(&format!("{label} ")));
    let line = line.unwrap_or_else(|| panic!("no {label} in:\n{text}"));
    line.split_whitespace().nth(1).expect("a word").to_owned()
}

/// Runs commands as a page shows them, in a folder; the word `doorward` runs our binary. Gives what they print.
fn paste(folder: &Path, text: &str, variables: &[(&str, &str)]) -> String {
    let script = format!("doorward() {{ \"$DOORWARD\" \"$@\"; }}\n{text}");
    let mut shell = Command::new("sh");
    shell.args(["-eu", "-c", &script]).current_dir(folder).env("DOORWARD", binary());
    let output = shell.envs(variables.iter().copied()).output().expect("sh starts");
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success(), "{script}\n{text}{}", String::from_utf8_lossy(&output.stderr));
    text
}

/// Starts what a page says, in a folder of its own.
async fn start(folder: &Path, text: &str, port: u16) -> Doorward {
    Launch::shell(&format!("cd {}\n{text}", folder.display()), port).start().await
}

fn secret(folder: &Path, name: &str, text: &str) {
    let path = folder.join(name);
    fs::write(&path, text).expect("the folder is writable");
    fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).expect("the mode can be set");
}

/// What most pages begin with.
async fn first_start(page: &str) -> (PathBuf, Echo, Doorward) {
    let (folder, app, port) = (scratch("built-in"), Echo::start().await, free_port());
    let text = fill(
        &block(page, "start"),
        &[("127.0.0.1:4180", &format!("127.0.0.1:{port}")), ("http://127.0.0.1:8080", &app.url)],
    );
    let door = start(&folder, &text, port).await;
    (folder, app, door)
}

async fn fill_in_form(browser: &Browser, user: &str, password: &str) {
    browser.fill_in("#username", user).await;
    browser.fill_in("#password", password).await;
    browser.click("button[type=submit]").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_demo_from_sign_in_to_sign_out() {
    let port = free_port();
    let door = Launch::shell(&format!("doorward demo 127.0.0.1:{port}"), port).start().await;
    let password = said(&door.log(), "password");
    let browser = Browser::open().await;
    browser.goto(&door.url).await;
    browser.wait_for_text("Sign in").await;
    picture(&browser, "demo-login").await;

    fill_in_form(&browser, "demo", "not this").await;
    browser.wait_for_url_under(&format!("{}/oauth/login/local?reason=access_denied", door.url)).await;
    picture(&browser, "demo-login-refused").await;
    fill_in_form(&browser, "demo", &password).await;

    browser.wait_for_text("Allow").await;
    picture(&browser, "demo-consent").await;
    browser.click("button[value=approve]").await;

    browser.wait_for_text("Hello, demo").await;
    picture(&browser, "demo-application").await;

    browser.click("a[href='/oauth/token/request']").await;
    browser.wait_for_text("Display token").await;
    picture(&browser, "demo-token-request").await;
    browser.click("button[type=submit]").await;
    let page = browser.wait_for_text("sha256~").await;
    picture(&browser, "demo-token").await;
    let token = page.split_whitespace().find(|word| word.starts_with("sha256~")).expect("a token");
    let request = get(&format!("{}/", door.url)).header("authorization", format!("Bearer {token}"));
    let answer = send(empty(request)).await;
    assert_eq!(answer.status, 200, "{}", answer.body);
    assert!(answer.body.contains("Hello, demo"));

    browser.goto(&door.url).await;
    browser.wait_for_text("Hello, demo").await;
    browser.click("a[href*='/sign_out']").await;
    browser.wait_for_url_under(&format!("{}/oauth/logout", door.url)).await;
    picture(&browser, "demo-sign-out").await;
    browser.click("button[type=submit]").await;
    browser.wait_for_text("signed out").await;
    picture(&browser, "demo-signed-out").await;
    browser.goto(&door.url).await;
    browser.wait_for_url_under(&format!("{}/oauth/login", door.url)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_first_start_signs_people_in() {
    let (folder, app, door) = first_start(IDENTITY_PROVIDER).await;
    let password = said(&door.log(), "password");
    let browser = Browser::open().await;
    let page = format!("{}/page", door.url);
    browser.goto(&page).await;
    browser.wait_for_text("Sign in").await;
    fill_in_form(&browser, "admin", &password).await;
    let seen = browser.application_at(&page).await;
    assert_eq!(seen.header("x-forwarded-user"), "admin");
    assert!(folder.join("doorward.db").exists() && folder.join("doorward.db.key").exists());
    assert!(!app.seen().is_empty());
}

/// Chromium applies `form-action` to every redirect that follows a form, up to the page that was wanted first.
#[tokio::test(flavor = "multi_thread")]
async fn signing_in_leads_to_a_page_on_another_listed_host() {
    let (folder, app) = (scratch("built-in"), Echo::start().await);
    fs::write(folder.join("doorward.yaml"), "authServer: {store: {type: memory}}\n")
        .expect("a writable folder");
    let listed = app.url.replace("http://", "");
    let door = Launch::bare()
        .flag(&format!("--doorward-config={}/doorward.yaml", folder.display()))
        .flag(&format!("--whitelist-domain={listed}"))
        .flag("--upstream=static://200")
        .start()
        .await;
    let password = said(&door.log(), "password");
    let browser = Browser::open().await;
    let page = format!("{}/page", app.url);
    browser.goto(&format!("{}/oauth2/start?rd={page}", door.url)).await;
    browser.wait_for_text("Sign in").await;
    fill_in_form(&browser, "admin", &password).await;
    browser.application_at(&page).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_server_for_other_people() {
    let (folder, app, port) = (scratch("built-in"), Echo::start().await, free_port());
    let url = format!("http://127.0.0.1:{port}");
    let here = folder.display().to_string();
    let yaml = fill(
        &block(IDENTITY_PROVIDER, "yaml"),
        &[
            ("https://auth.example.com", &url),
            ("/var/lib/doorward", &here),
            ("/etc/doorward/seal.key", &format!("{here}/seal.key")),
            ("/etc/doorward/grafana.secret", &format!("{here}/grafana.secret")),
        ],
    );
    fs::write(folder.join("doorward.yaml"), yaml).expect("the folder is writable");
    secret(&folder, "grafana.secret", "a-secret-of-grafana\n");
    paste(&folder, "(umask 077; openssl rand -base64 48 > seal.key)", &[]);
    let serve = fill(
        &block(IDENTITY_PROVIDER, "serve"),
        &[
            ("127.0.0.1:4180", &format!("127.0.0.1:{port}")),
            ("https://app.example.com", &url),
            ("http://127.0.0.1:8080", &app.url),
        ],
    );
    let door = start(&folder, &serve, port).await;
    let document = send(empty(get(&format!("{url}/.well-known/openid-configuration")))).await;
    assert_eq!(document.json()["issuer"], url.as_str());
    let authorize = format!(
        "{url}/oauth/authorize?client_id=grafana&response_type=code&scope=openid&redirect_uri={}",
        "https%3A%2F%2Fgrafana.example.com%2Flogin%2Fgeneric_oauth"
    );
    let answer = send(empty(get(&authorize))).await;
    assert!(answer.header("location").contains("/oauth/login/"), "{}\n{}", answer.body, door.log());
}

#[tokio::test(flavor = "multi_thread")]
async fn users_and_where_they_come_from() {
    let folder = scratch("built-in");
    let said = paste(&folder, &block(IDENTITY_PROVIDER, "users"), &[]);
    assert!(said.contains("alice  active"), "{said}");

    let here = folder.display().to_string();
    let providers = block(IDENTITY_PROVIDER, "providers");
    let providers = fill(&providers, &[("/etc/doorward", &here)]);
    fs::write(folder.join("doorward.yaml"), providers).expect("the folder is writable");
    let user = "carol:$2y$05$LPKMUjHbAD5TOi5XJXKZTOhbjw7bwYsUKA8jfTzqFhgYdQUO6kP3a\n";
    fs::write(folder.join("users.htpasswd"), user).expect("the folder is writable");
    secret(&folder, "corp.secret", "a secret");
    let test = "doorward --config-test --doorward-config=doorward.yaml --upstream=static://200";
    paste(&folder, &format!("{test} --email-domain=example.com"), &[]);

    let presented = fill(&block(IDENTITY_PROVIDER, "presented"), &[("/etc/doorward", &here)]);
    fs::write(folder.join("doorward.yaml"), presented).expect("the folder is writable");
    certificates(&folder);
    for authority in ["people.pem", "portal.pem"] {
        fs::copy(folder.join("ca.pem"), folder.join(authority)).expect("the folder is writable");
    }
    paste(&folder, &format!("{test} {OVER_TLS}"), &[]);
}

/// What a file without addresses needs to be right, where certificates are looked at.
const OVER_TLS: &str =
    "--tls-cert-file=tls.pem --tls-key-file=tls.key --redirect-url=https://app.example.com/oauth2/callback";

#[test]
fn clients_and_resources_stand_for_themselves() {
    let folder = scratch("built-in");
    for name in ["grafana", "report", "orders"] {
        secret(&folder, &format!("{name}.secret"), "a secret\n");
    }
    certificates(&folder);
    for name in ["clients", "resources", "exchange"] {
        fs::write(folder.join("doorward.yaml"), block(OAUTH_SERVER, name)).expect("the folder is writable");
        let test = "doorward --config-test --doorward-config=doorward.yaml --upstream=static://200";
        paste(&folder, &format!("{test} {OVER_TLS}"), &[]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_api_is_protected_by_tokens() {
    let (folder, app, door) = first_start(PROTECT_AN_API).await;
    let password = said(&door.log(), "password");
    let at = [("127.0.0.1:4180", door.address.as_str())];
    let token = fill(&block(PROTECT_AN_API, "token"), &at);
    let token = paste(&folder, &token, &[("NAME", "admin"), ("PASSWORD", &password)]);
    let token = token.trim();
    assert!(token.starts_with("sha256~"), "{token:?}\n{}", door.log());
    paste(&folder, &fill(&block(PROTECT_AN_API, "use"), &at), &[("TOKEN", token)]);
    let seen = app.seen();
    let seen = seen.iter().find(|seen| seen.uri == "/orders").expect("the API was asked");
    assert_eq!((seen.header("x-forwarded-user"), seen.header("authorization")), ("admin", ""));

    let yaml = fill(&block(PROTECT_AN_API, "yaml"), &[("/etc/doorward", &folder.display().to_string())]);
    fs::write(folder.join("api.yaml"), yaml).expect("the folder is writable");
    certificates(&folder);
    fs::copy(folder.join("ca.pem"), folder.join("clients.pem")).expect("the folder is writable");
    paste(
        &folder,
        &format!("doorward --config-test --doorward-config=api.yaml --upstream=static://200 {OVER_TLS}"),
        &[],
    );
}

/// An authority and a certificate for this machine, as operators make them.
fn certificates(folder: &Path) {
    paste(
        folder,
        "openssl req -x509 -newkey rsa:2048 -nodes -subj /CN=ca -days 2 -keyout ca.key -out ca.pem 2>/dev/null\n\
         openssl req -newkey rsa:2048 -nodes -subj /CN=127.0.0.1 -keyout tls.key -out tls.csr 2>/dev/null\n\
         echo subjectAltName=IP:127.0.0.1 > names\n\
         openssl x509 -req -in tls.csr -CA ca.pem -CAkey ca.key -CAcreateserial -days 2 -extfile names -out tls.pem \
         2>/dev/null",
        &[],
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn kubectl_comes_through() {
    let (folder, app, port) = (scratch("built-in"), Echo::start().await, free_port());
    let here = folder.display().to_string();
    certificates(&folder);
    secret(&folder, "service-account.token", "a-token-of-a-service-account\n");
    let address = format!("127.0.0.1:{port}");
    let yaml = fill(
        &block(KUBECTL, "yaml"),
        &[
            ("api.example.com:6443", &address),
            ("/var/lib/doorward", &here),
            ("/etc/doorward/service-account.token", &format!("{here}/service-account.token")),
        ],
    );
    let rules = fill(&block(KUBECTL, "impersonation"), &[("groups: [admins]", "users: [admin]")]);
    let rules = rules.strip_prefix("apiAuth:\n").expect("it goes under apiAuth");
    fs::write(folder.join("doorward.yaml"), format!("{yaml}{rules}")).expect("the folder is writable");
    let serve = fill(
        &block(KUBECTL, "serve"),
        &[
            ("0.0.0.0:6443", &address),
            ("/etc/doorward", &here),
            ("https://kubernetes.example.com:6443", &app.url),
        ],
    );
    let door = Launch::shell(&format!("cd {here}\n{serve}"), port).start_with_tls().await;
    let password = said(&door.log(), "password");
    let token =
        fill(&block(PROTECT_AN_API, "token"), &[("http://127.0.0.1:4180", &format!("https://{address}"))]);
    let token = fill(&token, &[("curl -si", "curl --cacert ca.pem -si")]);
    let token = paste(&folder, &token, &[("NAME", "admin"), ("PASSWORD", &password)]);
    let token = token.trim();
    find_program(&["kubectl"]);
    let commands = fill(
        &block(KUBECTL, "kubectl"),
        &[("api.example.com:6443", &address), ("/etc/doorward/ca.pem", "ca.pem")],
    );
    let variables = [("TOKEN", token), ("KUBECONFIG", "kubeconfig"), ("HOME", here.as_str())];
    let said = paste(&folder, &commands, &variables);
    assert!(said.contains("admin"), "{said}\n{}", door.log());

    let raw = "kubectl --context=doorward get --raw /api/v1/namespaces";
    paste(&folder, raw, &variables);
    let seen = app.seen();
    let seen = seen.iter().find(|seen| seen.uri == "/api/v1/namespaces").expect("the API was asked");
    assert_eq!(seen.header("impersonate-user"), "admin");
    assert_eq!(seen.header("authorization"), "Bearer a-token-of-a-service-account");

    let raw = "kubectl --context=doorward --as=alice --as-group=dev get --raw /api/v1/pods";
    paste(&folder, raw, &variables);
    let seen = app.seen();
    let seen = seen.iter().find(|seen| seen.uri == "/api/v1/pods").expect("the API was asked");
    assert_eq!(seen.header("impersonate-user"), "alice");
    let refused = "! kubectl --context=doorward --as=carol get --raw /api/v1/nodes";
    paste(&folder, refused, &variables);
    assert!(!app.seen().iter().any(|seen| seen.uri == "/api/v1/nodes"));
}
