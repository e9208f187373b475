//! Starting doorward as its users do: flags, environment, configuration files, shell commands.

use crate::http::{Answer, empty, get, try_send};
use crate::parts::Keycloak;
use crate::process::{Leashed, Program, free_port, scratch, until};

pub(crate) const COOKIE_SECRET: &str = "a-secret-of-exactly-32-bytes-yes";

/// How to start doorward; may be started several times, for example after a stop.
#[derive(Clone)]
pub(crate) struct Launch {
    program: Program,
    port: u16,
}

/// A running doorward that answers `/ping`.
pub(crate) struct Doorward {
    process: Leashed,
    /// Where it listens, as `host:port`.
    pub(crate) address: String,
    pub(crate) url: String,
}

pub(crate) fn binary() -> String {
    std::env::var("DOORWARD_BIN").unwrap_or_else(|_| env!("CARGO_BIN_EXE_doorward").to_owned())
}

impl Launch {
    /// A reverse proxy in front of an application, with the client `doorward` of our Keycloak.
    pub(crate) fn in_front_of(application: &str, keycloak: &Keycloak) -> Self {
        Self::bare()
            .flag("--provider=keycloak-oidc")
            .flag(&format!("--oidc-issuer-url={}", keycloak.issuer))
            .flag(&format!("--upstream={application}"))
            .flag("--email-domain=*")
            .flag("--cookie-secure=false")
            .flag("--skip-provider-button")
            .own_redirect_url()
            .client("doorward")
    }

    /// Only an address; everything else is up to the caller.
    pub(crate) fn bare() -> Self {
        let port = free_port();
        Self { program: Program::new([binary()]), port }.flag(&format!("--http-address=127.0.0.1:{port}"))
    }

    /// Nothing but the binary; the address is in a file that a flag names, as `127.0.0.1:{port}`.
    pub(crate) fn at(port: u16) -> Self {
        Self { program: Program::new([binary()]), port }
    }

    /// A configuration file. The address is expected in the file, as `127.0.0.1:{port}`.
    pub(crate) fn file(text: &str, port: u16) -> Self {
        let file = scratch("config").join("doorward.cfg");
        std::fs::write(&file, text).expect("the file can be written");
        let program = Program::new([binary(), format!("--config={}", file.display())]);
        Self { program, port }
    }

    /// A shell command as it stands in a page; the word `doorward` runs our binary.
    pub(crate) fn shell(text: &str, port: u16) -> Self {
        let script = format!("doorward() {{ exec \"$DOORWARD\" \"$@\"; }}\n{text}");
        let program = Program::new(["sh", "-eu", "-c", &script]).variable("DOORWARD", binary());
        Self { program, port }
    }

    pub(crate) fn flag(mut self, flag: &str) -> Self {
        self.program.words.push(flag.to_owned());
        self
    }

    pub(crate) fn without(mut self, flag: &str) -> Self {
        self.program.words.retain(|word| word != flag);
        self
    }

    pub(crate) fn variable(mut self, name: &str, value: &str) -> Self {
        self.program = self.program.variable(name, value);
        self
    }

    /// The client at Keycloak; replaces one named before.
    pub(crate) fn client(self, id: &str) -> Self {
        self.variable("OAUTH2_PROXY_CLIENT_ID", id)
            .variable("OAUTH2_PROXY_CLIENT_SECRET", "doorward-secret")
            .variable("OAUTH2_PROXY_COOKIE_SECRET", COOKIE_SECRET)
    }

    /// The address that browsers use when it is not doorward's own, for example that of nginx.
    pub(crate) fn redirect_url(self, base: &str) -> Self {
        self.flag(&format!("--redirect-url={base}/oauth2/callback"))
    }

    fn own_redirect_url(self) -> Self {
        let base = self.url();
        self.redirect_url(&base)
    }

    pub(crate) fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    pub(crate) async fn start(&self) -> Doorward {
        let mut process = self.program.start("doorward");
        let ping = format!("{}/ping", self.url());
        until("doorward answers /ping", async || {
            process.must_run();
            try_send(empty(get(&ping))).await.ok().filter(|answer| answer.status == 200)
        })
        .await;
        Doorward { process, address: format!("127.0.0.1:{}", self.port), url: self.url() }
    }
}

impl Launch {
    /// Starts what speaks TLS only, and waits until it says that it listens.
    pub(crate) async fn start_with_tls(&self) -> Doorward {
        let mut process = self.program.start("doorward");
        until("doorward listens", async || {
            process.must_run();
            process.log().contains("Listening on").then_some(())
        })
        .await;
        let address = format!("127.0.0.1:{}", self.port);
        Doorward { process, url: format!("https://{address}"), address }
    }
}

impl Doorward {
    pub(crate) fn log(&self) -> String {
        self.process.log()
    }

    /// The status of a path, or nothing while nobody listens.
    pub(crate) async fn try_get(&self, path: &str) -> Option<Answer> {
        try_send(empty(get(&format!("{}{path}", self.url)))).await.ok()
    }
}
