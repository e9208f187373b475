//! Chromium, driven over `WebDriver` (W3C), which is JSON over HTTP. One driver serves the run; each test has a
//! browser profile of its own. When a test fails, what its browser showed is kept in `artefacts/failed-*.png`.

use std::path::PathBuf;
use std::sync::atomic::{AtomicU16, Ordering};
use std::{fs, thread};

use ::http::{Method, Request};
use serde_json::{Value, json};
use tokio::sync::OnceCell;
use url::Url;

use crate::echo::Seen;
use crate::http::{empty, get, send, try_send};
use crate::parts::root;
use crate::process::{Leashed, Program, find_program, free_port, until};

/// The key under which `WebDriver` names an element.
const ELEMENT: &str = "element-6066-11e4-a52e-4f735466cecf";

/// A browser window with an empty profile.
pub(crate) struct Browser {
    /// The `WebDriver` address of this session.
    session: String,
}

/// A tab of a browser.
pub(crate) struct Tab(String);

/// The shape of a screen and the colours its owner prefers.
#[derive(Clone, Copy)]
pub(crate) struct Screen {
    pub(crate) name: &'static str,
    pub(crate) width: u32,
    pub(crate) height: u32,
    pub(crate) scheme: &'static str,
}

struct Driver {
    url: String,
    _process: Leashed,
}

async fn driver() -> &'static Driver {
    static DRIVER: OnceCell<Driver> = OnceCell::const_new();
    DRIVER.get_or_init(start_driver).await
}

async fn start_driver() -> Driver {
    let port = free_port();
    let mut process =
        Program::new([find_program(&["chromedriver"]), format!("--port={port}")]).start("chromedriver");
    let url = format!("http://127.0.0.1:{port}");
    until("chromedriver answers", async || {
        process.must_run();
        try_send(empty(get(&format!("{url}/status")))).await.ok()
    })
    .await;
    Driver { url, _process: process }
}

/// A command to the driver; the error is what the driver says.
async fn command(method: Method, url: &str, body: Option<Value>) -> Result<Value, String> {
    let request = Request::builder().method(method).uri(url).header("content-type", "application/json");
    let text = body.map(|body| body.to_string()).unwrap_or_default();
    let answer = send(request.body(text.into()).expect("a valid request")).await;
    let value = answer.json()["value"].take();
    if answer.status == 200 {
        Ok(value)
    } else {
        Err(value["message"].as_str().unwrap_or_default().to_owned())
    }
}

impl Browser {
    pub(crate) async fn open() -> Self {
        let driver = driver().await;
        let options = json!({
            "binary": find_program(&["chromium", "google-chrome"]),
            "args": ["--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run",
                     "--disable-extensions", "--disable-background-networking", "--window-size=1280,800"],
        });
        let wishes = json!({ "capabilities": { "alwaysMatch": { "goog:chromeOptions": options } } });
        let made = command(Method::POST, &format!("{}/session", driver.url), Some(wishes)).await;
        let made = made.unwrap_or_else(|error| panic!("Chromium does not start: {error}"));
        let id = made["sessionId"].as_str().expect("a session");
        Self { session: format!("{}/session/{id}", driver.url) }
    }

    async fn ask(&self, what: &str) -> Value {
        let answer = command(Method::GET, &format!("{}/{what}", self.session), None).await;
        answer.unwrap_or_else(|error| panic!("{what}: {error}"))
    }

    async fn try_order(&self, what: &str, body: Value) -> Result<Value, String> {
        command(Method::POST, &format!("{}/{what}", self.session), Some(body)).await
    }

    async fn order(&self, what: &str, body: Value) -> Value {
        self.try_order(what, body).await.unwrap_or_else(|error| panic!("{what}: {error}"))
    }

    pub(crate) async fn goto(&self, url: &str) {
        self.order("url", json!({ "url": url })).await;
    }

    pub(crate) async fn back(&self) {
        self.order("back", json!({})).await;
    }

    pub(crate) async fn reload(&self) {
        self.order("refresh", json!({})).await;
    }

    pub(crate) async fn url(&self) -> Url {
        Url::parse(self.ask("url").await.as_str().expect("an address")).expect("a valid address")
    }

    /// Runs a script in the page and gives what it returns.
    pub(crate) async fn run(&self, script: &str) -> Value {
        self.order("execute/sync", json!({ "script": script, "args": [] })).await
    }

    /// Opens what the page folds away, such as the part for whoever runs the site.
    pub(crate) async fn unfold_details(&self) {
        self.run("for (const part of document.querySelectorAll('details')) part.open = true").await;
    }

    /// The text a person reads on the page; empty while the page is changing.
    pub(crate) async fn text(&self) -> String {
        let script = json!({ "script": "return document.body ? document.body.innerText : ''", "args": [] });
        let text = self.try_order("execute/sync", script).await.unwrap_or_default();
        text.as_str().unwrap_or_default().to_owned()
    }

    /// The path of the first element that matches, for further orders.
    async fn find(&self, css: &str) -> Option<String> {
        let found = self.try_order("element", json!({ "using": "css selector", "value": css })).await.ok()?;
        Some(format!("element/{}", found[ELEMENT].as_str()?))
    }

    /// Waits for an element and clicks it.
    pub(crate) async fn click(&self, css: &str) {
        until(css, async || {
            let element = self.find(css).await?;
            self.try_order(&format!("{element}/click"), json!({})).await.ok()
        })
        .await;
    }

    /// Waits for a field and types into it.
    pub(crate) async fn fill_in(&self, css: &str, text: &str) {
        until(css, async || {
            let field = self.find(css).await?;
            self.try_order(&format!("{field}/clear"), json!({})).await.ok()?;
            self.try_order(&format!("{field}/value"), json!({ "text": text })).await.ok()
        })
        .await;
    }

    /// Waits for Keycloak's form and fills it in; the password of our users is their name.
    pub(crate) async fn log_in(&self, user: &str) {
        self.fill_in("#username", user).await;
        self.fill_in("#password", user).await;
        self.click("#kc-login").await;
    }

    pub(crate) async fn wait_for_login_form(&self) {
        until("Keycloak's login form", async || self.find("#username").await).await;
    }

    /// Uses Keycloak's form if the tab still shows it. Keycloak may notice a login in another tab and go on by
    /// itself at any moment, so nothing here must succeed.
    pub(crate) async fn use_login_form_if_still_there(&self, user: &str) {
        for field in ["#username", "#password"] {
            let Some(field) = self.find(field).await else { return };
            let _ = self.try_order(&format!("{field}/value"), json!({ "text": user })).await;
        }
        if let Some(button) = self.find("#kc-login").await {
            let _ = self.try_order(&format!("{button}/click"), json!({})).await;
        }
    }

    /// Waits until the address is this one.
    pub(crate) async fn wait_for_url(&self, url: &str) {
        let wanted = Url::parse(url).expect("a valid address");
        let arrive = async {
            while self.url().await != wanted {
                tokio::time::sleep(std::time::Duration::from_millis(50)).await;
            }
        };
        let arrived = tokio::time::timeout(std::time::Duration::from_secs(45), arrive).await;
        assert!(arrived.is_ok(), "wanted {wanted}, ended at {}:\n{}", self.url().await, self.text().await);
    }

    /// Waits until the address begins like this.
    pub(crate) async fn wait_for_url_under(&self, start: &str) {
        until(start, async || self.url().await.as_str().starts_with(start).then_some(())).await;
    }

    /// Waits for a page of the application at this address, and gives what the application saw.
    pub(crate) async fn application_at(&self, url: &str) -> Seen {
        self.wait_for_url(url).await;
        let seen = until("the application's page", async || {
            let element = self.find("#seen").await?;
            command(Method::GET, &format!("{}/{element}/text", self.session), None).await.ok()
        })
        .await;
        Seen::parse(&serde_json::from_str(seen.as_str().expect("text")).expect("the application writes JSON"))
    }

    /// Waits until the page contains a text, and gives all of it.
    pub(crate) async fn wait_for_text(&self, wanted: &str) -> String {
        until(wanted, async || Some(self.text().await).filter(|text| text.contains(wanted))).await
    }

    /// Opens another tab and makes it the current one.
    pub(crate) async fn new_tab(&self) -> Tab {
        let made = self.order("window/new", json!({ "type": "tab" })).await;
        let tab = Tab(made["handle"].as_str().expect("a tab opens").to_owned());
        self.switch_to(&tab).await;
        tab
    }

    pub(crate) async fn current_tab(&self) -> Tab {
        Tab(self.ask("window").await.as_str().expect("a tab is open").to_owned())
    }

    pub(crate) async fn switch_to(&self, tab: &Tab) {
        self.order("window", json!({ "handle": tab.0 })).await;
    }

    /// Removes every cookie whose name contains `part`, on all hosts.
    pub(crate) async fn remove_cookies(&self, part: &str) {
        let all = self.developer_command("Network.getAllCookies", json!({})).await;
        for cookie in all["cookies"].as_array().expect("cookies") {
            let name = cookie["name"].as_str().unwrap_or_default();
            if name.contains(part) {
                let which = json!({ "name": name, "domain": cookie["domain"], "path": cookie["path"] });
                self.developer_command("Network.deleteCookies", which).await;
            }
        }
    }

    /// Shapes the window like a screen.
    pub(crate) async fn use_screen(&self, screen: Screen) {
        let shape = json!({
            "width": screen.width, "height": screen.height, "deviceScaleFactor": 1, "mobile": screen.width < 600,
        });
        self.developer_command("Emulation.setDeviceMetricsOverride", shape).await;
        let colours = json!({ "features": [{ "name": "prefers-color-scheme", "value": screen.scheme }] });
        self.developer_command("Emulation.setEmulatedMedia", colours).await;
    }

    /// Keeps a picture of the window in `artefacts/`.
    pub(crate) async fn keep_picture(&self, name: &str) {
        write_picture(&self.ask("screenshot").await, name);
    }

    /// A command of the Chrome `DevTools` protocol, which chromedriver passes on.
    async fn developer_command(&self, method: &str, params: Value) -> Value {
        self.order("goog/cdp/execute", json!({ "cmd": method, "params": params })).await
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        let session = self.session.clone();
        let failing = thread::panicking();
        // The test's own runtime cannot be waited for from here.
        let farewell = thread::spawn(move || {
            let runtime =
                tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
            runtime.block_on(async {
                if failing {
                    keep_failure(&session).await;
                }
                let _ = command(Method::DELETE, &session, None).await;
            });
        });
        let _ = farewell.join();
    }
}

async fn keep_failure(session: &str) {
    static NEXT: AtomicU16 = AtomicU16::new(0);
    let url = command(Method::GET, &format!("{session}/url"), None).await;
    let name = format!("failed-{}-{}.png", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
    eprintln!("the browser was at {url:?}, picture in artefacts/{name}");
    if let Ok(picture) = command(Method::GET, &format!("{session}/screenshot"), None).await {
        write_picture(&picture, &name);
    }
}

fn write_picture(base64: &Value, name: &str) {
    let bytes = base64_simd::STANDARD.decode_to_vec(base64.as_str().unwrap_or_default()).expect("base64");
    fs::write(artefact(name), bytes).expect("artefacts can be written");
}

/// The path of a file in `artefacts/`, which git ignores.
fn artefact(name: &str) -> PathBuf {
    let folder = root().join("artefacts");
    fs::create_dir_all(&folder).expect("artefacts can be made");
    folder.join(name)
}
