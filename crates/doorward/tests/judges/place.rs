//! Where the judges meet doorward: with its OAuth server, certificates for everybody, users, clients and an application.

use std::{fs, os::unix::fs::PermissionsExt, path::PathBuf, process::Command};

use doorward_testkit::{Answer, Browser, Doorward, Echo, Launch, Redis, Request, free_address};
use serde_json::{Value, json};

use crate::tool;

pub(crate) const PROGRAM: &str = env!("CARGO_BIN_EXE_doorward");
const COOKIE_SECRET: &str = "a-secret-of-exactly-32-bytes-yes";

pub(crate) const ALICE: &str = "alice";
pub(crate) const PASSWORD: &str = "a door with a ward";
/// What all confidential clients of these tests have for a secret.
pub(crate) const SECRET: &str = "a-secret-of-clients-4711";
pub(crate) const CALLBACK: &str = "https://app.example/callback";
/// A resource whose tokens are JWTs, and one of its scopes.
pub(crate) const ORDERS: &str = "https://orders.example";

/// What keeps the records of the OAuth server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Store {
    Embedded,
    Redis,
}

pub(crate) const STORES: [Store; 2] = [Store::Embedded, Store::Redis];

/// Doorward with everything that belongs to it.
pub(crate) struct Place {
    pub(crate) doorward: Doorward,
    pub(crate) echo: Echo,
    pub(crate) issuer: String,
    /// Where it listens with TLS, as `address:port`.
    pub(crate) tls_address: String,
    redis: Option<Redis>,
}

/// What a place is built on.
struct Ground {
    upstream: String,
    echo: Echo,
    redis: Option<Redis>,
    tls_address: String,
    /// By how much the clock of the program is ahead, in the words of libfaketime.
    ahead: Option<&'static str>,
}

impl Place {
    pub(crate) fn new(store: Store) -> Self {
        Self::with(store, |_| ())
    }

    /// With another configuration than the usual one.
    pub(crate) fn with(store: Store, change: impl FnOnce(&mut Value)) -> Self {
        let echo = Echo::start();
        let upstream = echo.url();
        Self::in_front_of(&upstream, echo, store, change)
    }

    pub(crate) fn in_front_of(
        upstream: &str,
        echo: Echo,
        store: Store,
        change: impl FnOnce(&mut Value),
    ) -> Self {
        let redis = (store == Store::Redis).then(|| Redis::start(&[]));
        let (upstream, tls_address) = (upstream.to_owned(), free_address().to_string());
        Self::on(Ground { upstream, echo, redis, tls_address, ahead: None }, change)
    }

    /// The same server started anew when so much time has passed. Its records have to lie in Redis.
    pub(crate) fn later(self, ahead: &'static str) -> Self {
        let Self { echo, tls_address, redis, doorward, .. } = self;
        drop(doorward);
        Self::on(Ground { upstream: echo.url(), echo, redis, tls_address, ahead: Some(ahead) }, |_| ())
    }

    fn on(ground: Ground, change: impl FnOnce(&mut Value)) -> Self {
        let Ground { upstream, echo, redis, tls_address, ahead } = ground;
        let launch = Launch::bare(PROGRAM);
        tool::run(Command::new(tool::go_judges()).arg("certificates").arg(launch.path(""))).succeeded();
        let users = launch.path("users.htpasswd");
        tool::run(Command::new("htpasswd").args(["-cbB"]).arg(users).args([ALICE, PASSWORD])).succeeded();
        let key = launch.path("seal.key");
        fs::write(&key, "a key that seals what has to be sealed").unwrap();
        fs::set_permissions(&key, fs::Permissions::from_mode(0o600)).unwrap();

        let issuer = format!("https://{tls_address}");
        let mut settings = usual_settings(&issuer, redis.as_ref());
        change(&mut settings);
        // Judges come with TLS, and our own requests without. JSON is YAML.
        let key_and_certificate = json!({
            "Key": {"fromFile": launch.path("server-key.pem")},
            "Cert": {"fromFile": launch.path("server.pem")},
        });
        let listeners = json!({
            "server": {
                "BindAddress": launch.address.to_string(),
                "SecureBindAddress": tls_address,
                "TLS": key_and_certificate,
            },
            "upstreamConfig": {"upstreams": [{"id": "application", "path": "/", "uri": upstream}]},
        });
        let launch = match ahead {
            None => launch,
            Some(ahead) => launch.variable("LD_PRELOAD", &libfaketime()).variable("FAKETIME", ahead),
        };
        let doorward = launch
            .file("doorward.yaml", &settings.to_string())
            .file("alpha.yaml", &listeners.to_string())
            .variable("DIR", "{file:}")
            .without("http-address")
            .flag("--alpha-config={file:alpha.yaml}")
            .flag("--doorward-config={file:doorward.yaml}")
            .flag(&format!("--cookie-secret={COOKIE_SECRET}"))
            .flag("--email-domain=*")
            .start();
        Self { doorward, echo, issuer, tls_address, redis }
    }

    /// What an operator does to the records.
    #[track_caller]
    pub(crate) fn command(&self, words: &[&str]) -> String {
        let program = std::env::var("DOORWARD_BIN").unwrap_or_else(|_| PROGRAM.to_owned());
        let settings = format!("--doorward-config={}", self.path("doorward.yaml").display());
        tool::run(Command::new(program).args(words).arg(settings).env("DIR", self.path(""))).succeeded()
    }

    /// A file of this place, such as a certificate.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.doorward.path(name)
    }

    /// Somebody without cookies.
    pub(crate) fn browser(&self) -> Browser {
        self.doorward.browser()
    }

    pub(crate) fn send(&self, request: Request) -> Answer {
        self.browser().send(request)
    }

    /// A request of the API with a token.
    pub(crate) fn get_with(&self, token: &str, target: &str) -> Answer {
        let request = Request::get(target).header("Accept", "application/json");
        self.send(request.header("Authorization", &format!("Bearer {token}")))
    }

    /// What somebody gets who shows a password in the way of programs.
    pub(crate) fn challenge(&self, name: &str, password: &str) -> Answer {
        let target = "/oauth/authorize?response_type=token&client_id=openshift-challenging-client";
        self.send(Request::get(target).header("X-CSRF-Token", "1").basic(name, password))
    }

    /// A token of alice's.
    #[track_caller]
    pub(crate) fn token(&self) -> String {
        let answer = self.challenge(ALICE, PASSWORD);
        let location = answer.location();
        let fragment = location.split_once("#access_token=").unwrap_or_else(|| {
            panic!("no token: {} {location} {}", answer.status, answer.text());
        });
        fragment.1.split('&').next().unwrap().to_owned()
    }

    /// Who the server says the owner of a token is.
    #[track_caller]
    pub(crate) fn owner_of(&self, token: &str) -> Value {
        let answer = self.get_with(token, "/apis/user.openshift.io/v1/users/~");
        assert_eq!(answer.status, 200, "{}", answer.text());
        answer.json()
    }
}

pub(crate) fn libfaketime() -> String {
    let folders = fs::read_dir("/usr/lib").unwrap().map(|entry| entry.unwrap().path());
    let found = folders.map(|folder| folder.join("faketime/libfaketime.so.1")).find(|path| path.exists());
    found.expect("libfaketime is missing: run scripts/parts install").to_string_lossy().into_owned()
}

fn usual_settings(issuer: &str, redis: Option<&Redis>) -> Value {
    let store = match redis {
        None => json!({"type": "embedded", "path": "${DIR}auth.db"}),
        Some(redis) => json!({"type": "redis", "url": redis.url()}),
    };
    let code_and_refresh = json!(["authorization_code", "refresh_token"]);
    let server = json!({
        "enabled": true,
        "issuer": issuer,
        "store": store,
        "secretKeyFile": "${DIR}seal.key",
        "kubernetesAPI": true,
        "identityProviders": [
            {"name": "local", "type": "htpasswd", "file": "${DIR}users.htpasswd", "login": true, "challenge": true},
        ],
        "clients": [
            {"id": "app", "secret": SECRET, "redirectURIs": [CALLBACK, "https://app.example/other"],
             "grantMethod": "auto", "grantTypes": code_and_refresh},
            {"id": "other", "secret": SECRET, "redirectURIs": [CALLBACK], "grantMethod": "auto",
             "grantTypes": code_and_refresh, "requirePKCE": false},
            {"id": "careful", "secret": SECRET, "redirectURIs": [CALLBACK], "grantMethod": "prompt"},
            {"id": "page", "redirectURIs": [CALLBACK], "grantMethod": "auto"},
            {"id": "brief", "secret": SECRET, "redirectURIs": [CALLBACK], "grantMethod": "auto",
             "accessTokenMaxAgeSeconds": 1},
            {"id": "worker", "secret": SECRET, "grantTypes": ["client_credentials"], "defaultScopes": ["orders:read"],
             "resources": [ORDERS]},
        ],
        "scopes": [
            {"name": "orders:read", "description": "Read orders"},
            {"name": "orders:write", "description": "Change orders"},
        ],
        "resources": {ORDERS: {"scopes": ["orders:read"], "format": "jwt"}},
        "reviewers": {"users": ["reviewer"]},
    });
    json!({
        "authServer": server,
        "apiAuth": {
            "x509": {"clientCA": "${DIR}clients.pem"},
            "requestHeader": {"clientCA": "${DIR}proxies.pem", "allowedNames": ["edge"]},
            "anonymous": {"enabled": false},
            "identity": "x-remote",
        },
    })
}
