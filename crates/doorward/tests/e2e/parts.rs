//! The real parts. Keycloak is started once per run, or used if `scripts/parts up` already runs it.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use tokio::sync::OnceCell;

use crate::http::{Answer, empty, form, get, send, try_send};
use crate::process::{Leashed, Program, find_program, free_port, scratch, until, within};

/// The repository's root.
pub(crate) fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// A running Keycloak with the realm of `scripts/realm-doorward.json`.
pub(crate) struct Keycloak {
    pub(crate) url: String,
    pub(crate) issuer: String,
    /// Absent when it was started by hand; held so that it ends with the run.
    _process: Option<Leashed>,
}

/// Keycloak, ready to answer.
pub(crate) async fn keycloak() -> &'static Keycloak {
    static KEYCLOAK: OnceCell<Keycloak> = OnceCell::const_new();
    KEYCLOAK
        .get_or_init(async || match already_up().await {
            Some(keycloak) => keycloak,
            None => start_keycloak().await,
        })
        .await
}

async fn already_up() -> Option<Keycloak> {
    let settings = fs::read_to_string(root().join(".parts/run/env")).ok()?;
    let url = settings.lines().find_map(|line| line.strip_prefix("KEYCLOAK_URL="))?;
    let keycloak = Keycloak::at(url);
    keycloak.answers().await.then_some(keycloak)
}

async fn start_keycloak() -> Keycloak {
    let port = free_port();
    let script = root().join("scripts/parts");
    let mut process = Program::new(["bash", &script.to_string_lossy(), "run"])
        .variable("KEYCLOAK_PORT", port.to_string())
        .variable("PARTS_RUN", root().join(format!(".parts/run-{port}")).to_string_lossy())
        .start("keycloak");
    let keycloak = Keycloak::at(&format!("http://127.0.0.1:{port}"));
    // The first start after `scripts/parts install` builds Keycloak, which takes a minute on two slow cores.
    within(Duration::from_mins(5), "Keycloak is ready", async || {
        process.must_run();
        keycloak.answers().await.then_some(())
    })
    .await;
    Keycloak { _process: Some(process), ..keycloak }
}

impl Keycloak {
    /// A Keycloak of which only the address is known.
    pub(crate) fn at(url: &str) -> Self {
        Self { url: url.to_owned(), issuer: format!("{url}/realms/doorward"), _process: None }
    }

    async fn answers(&self) -> bool {
        let discovery = format!("{}/.well-known/openid-configuration", self.issuer);
        try_send(empty(get(&discovery))).await.is_ok_and(|answer| answer.status == 200)
    }

    /// An access token by password, as scripts and services get one.
    pub(crate) async fn access_token(&self, client: &str, user: &str) -> String {
        let url = format!("{}/protocol/openid-connect/token", self.issuer);
        let answer = send(form(
            &url,
            &[
                ("grant_type", "password"),
                ("client_id", client),
                ("client_secret", "doorward-secret"),
                ("username", user),
                ("password", user),
                ("scope", "openid"),
            ],
        ))
        .await;
        token_of(&answer)
    }

    /// Ends all logins of a user, as an administrator does.
    pub(crate) async fn end_sessions_of(&self, user: &str) {
        let token = self.administrator_token().await;
        let users = format!("{}/admin/realms/doorward/users", self.url);
        let search = get(&format!("{users}?username={user}&exact=true"));
        let found = send(empty(search.header("authorization", format!("Bearer {token}")))).await.json();
        let id = found[0]["id"].as_str().expect("the user exists").to_owned();
        let logout = ::http::Request::post(format!("{users}/{id}/logout"));
        let answer = send(empty(logout.header("authorization", format!("Bearer {token}")))).await;
        assert_eq!(answer.status, 204, "{}", answer.body);
    }

    /// Another client like `doorward`, which is told at this address when a session ends.
    pub(crate) async fn client_with_back_channel(&self, id: &str, url: &str) {
        let text = fs::read_to_string(root().join("scripts/realm-doorward.json")).expect("the realm file");
        let realm: serde_json::Value = serde_json::from_str(&text).expect("the realm is JSON");
        let clients = realm["clients"].as_array().expect("clients");
        let mut client = clients.iter().find(|one| one["clientId"] == "doorward").expect("ours").clone();
        client["clientId"] = id.into();
        client["attributes"]["backchannel.logout.url"] = url.into();
        let token = self.administrator_token().await;
        let request = ::http::Request::post(format!("{}/admin/realms/doorward/clients", self.url))
            .header("authorization", format!("Bearer {token}"))
            .header("content-type", "application/json")
            .body(client.to_string().into())
            .expect("a valid request");
        let answer = send(request).await;
        assert!(matches!(answer.status, 201 | 409), "{} {}", answer.status, answer.body);
    }

    async fn administrator_token(&self) -> String {
        let url = format!("{}/realms/master/protocol/openid-connect/token", self.url);
        let fields = [
            ("grant_type", "password"),
            ("client_id", "admin-cli"),
            ("username", "admin"),
            ("password", "admin"),
        ];
        token_of(&send(form(&url, &fields)).await)
    }

    /// Signs with a new key from now on, as an administrator decides. The old ones stay published.
    pub(crate) async fn change_key(&self) {
        let bearer = format!("Bearer {}", self.administrator_token().await);
        let realm = format!("{}/admin/realms/doorward", self.url);
        let found = send(empty(get(&realm).header("authorization", &bearer))).await.json();
        let key = serde_json::json!({
            "name": "a new key", "parentId": found["id"],
            "providerType": "org.keycloak.keys.KeyProvider", "providerId": "rsa-generated",
            "config": {"priority": ["1000"], "enabled": ["true"], "active": ["true"], "algorithm": ["RS256"]},
        });
        let request = ::http::Request::post(format!("{realm}/components"))
            .header("authorization", bearer)
            .header("content-type", "application/json")
            .body(key.to_string().into())
            .expect("a valid request");
        let answer = send(request).await;
        assert_eq!(answer.status, 201, "{}", answer.body);
    }

    /// A second realm like ours in which each refresh token works once, as careful administrators set it.
    pub(crate) async fn realm_with_rotation(&self) -> String {
        static MADE: OnceCell<()> = OnceCell::const_new();
        MADE.get_or_init(async || self.make_realm_with_rotation().await).await;
        format!("{}/realms/doorward-rotating", self.url)
    }

    async fn make_realm_with_rotation(&self) {
        let text = fs::read_to_string(root().join("scripts/realm-doorward.json")).expect("the realm file");
        let mut realm: serde_json::Value = serde_json::from_str(&text).expect("the realm is JSON");
        realm["realm"] = "doorward-rotating".into();
        realm["revokeRefreshToken"] = true.into();
        realm["refreshTokenMaxReuse"] = 0.into();
        for user in realm["users"].as_array_mut().expect("users") {
            user["realmRoles"] = serde_json::json!([]);
        }
        let token = self.administrator_token().await;
        let request = ::http::Request::post(format!("{}/admin/realms", self.url))
            .header("authorization", format!("Bearer {token}"))
            .header("content-type", "application/json")
            .body(realm.to_string().into())
            .expect("a valid request");
        let answer = send(request).await;
        assert!(matches!(answer.status, 201 | 409), "{} {}", answer.status, answer.body);
    }
}

fn token_of(answer: &Answer) -> String {
    let json = answer.json();
    json["access_token"].as_str().unwrap_or_else(|| panic!("no token: {json}")).to_owned()
}

/// A Redis server of the test's own.
pub(crate) struct Redis {
    pub(crate) url: String,
    port: u16,
    _process: Leashed,
}

impl Redis {
    pub(crate) async fn start() -> Self {
        let port = free_port();
        let mut process = Program::new([
            &*find_program(&["redis-server"]),
            "--port",
            &port.to_string(),
            "--bind",
            "127.0.0.1",
            "--save",
            "",
            "--dir",
            &scratch("redis-data").to_string_lossy(),
        ])
        .start("redis");
        until("Redis listens", async || {
            process.must_run();
            tokio::net::TcpStream::connect(("127.0.0.1", port)).await.ok()
        })
        .await;
        Self { url: format!("redis://127.0.0.1:{port}"), port, _process: process }
    }

    /// The names of all keys.
    pub(crate) fn keys(&self) -> Vec<String> {
        let output = std::process::Command::new(find_program(&["redis-cli"]))
            .args(["-p", &self.port.to_string(), "--raw", "keys", "*"])
            .output()
            .expect("redis-cli runs");
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        text.lines().filter(|line| !line.is_empty()).map(str::to_owned).collect()
    }
}

/// nginx with the given text inside its `http` block.
pub(crate) struct Nginx {
    process: Leashed,
}

impl Nginx {
    /// `port` is the one that the text listens on.
    pub(crate) async fn start(http_block: &str, port: u16) -> Self {
        let folder = scratch("nginx");
        let place = folder.to_string_lossy();
        let modules = "/etc/nginx/modules-enabled/*.conf";
        let text = format!(
            "daemon off;\nuser root;\npid {place}/nginx.pid;\nerror_log stderr info;\nworker_processes 1;\n\
             include {modules};\nevents {{}}\nhttp {{\naccess_log {place}/access.log;\n\
             client_body_temp_path {place}/body;\nproxy_temp_path {place}/proxy;\n\
             fastcgi_temp_path {place}/fastcgi;\nuwsgi_temp_path {place}/uwsgi;\nscgi_temp_path {place}/scgi;\n\
             {http_block}\n}}\n"
        );
        let file = folder.join("nginx.conf");
        fs::write(&file, text).expect("the configuration can be written");
        let program = find_program(&["nginx"]);
        let mut process =
            Program::new([&program, "-e", "stderr", "-c", &file.to_string_lossy()]).start("nginx");
        until("nginx listens", async || {
            process.must_run();
            tokio::net::TcpStream::connect(("127.0.0.1", port)).await.ok()
        })
        .await;
        Self { process }
    }

    pub(crate) fn log(&self) -> String {
        self.process.log()
    }
}
