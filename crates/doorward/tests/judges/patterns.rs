//! The configuration of docs/patterns.md that asks Open Policy Agent, the real one, which reads the page's own policy.

use std::{
    net::{SocketAddr, TcpStream},
    process::{Child, Command, Stdio},
};

use doorward_testkit::{Answer, Doorward, Echo, Launch, Provider, Request, eventually, free_address, page};

use crate::{place::PROGRAM, tool};

/// What comes after this comment on the page, in the fence that follows it.
fn block(marker: &str) -> String {
    page::block("patterns.md", marker)
}

/// A gate that asks OPA. Both end with the test.
struct Gate {
    doorward: Doorward,
    provider: Provider,
    echo: Echo,
    opa: Child,
    opa_address: SocketAddr,
}

impl Drop for Gate {
    fn drop(&mut self) {
        let _ = self.opa.kill();
        let _ = self.opa.wait();
    }
}

impl Gate {
    fn start() -> Self {
        let (provider, echo, opa_address) = (Provider::start(), Echo::start(), free_address());
        let launch = Launch::bare(PROGRAM).without("http-address");
        let mut text = block("pattern: opa");
        for (from, to) in [
            ("0.0.0.0:4180", launch.address.to_string()),
            ("127.0.0.1:8181", opa_address.to_string()),
            ("https://idp.example.com", provider.issuer()),
            ("http://orders:8080", echo.url()),
            ("clientID: shop", format!("clientID: {}", Provider::CLIENT_ID)),
            ("/etc/doorward", launch.folder()),
        ] {
            assert!(text.contains(from), "{from} is not in\n{text}");
            text = text.replace(from, &to);
        }
        let launch = launch
            .private_file("shop.secret", Provider::CLIENT_SECRET)
            .private_file("cookie.secret", Launch::COOKIE_SECRET)
            .file("authz.rego", &block("file: authz.rego"))
            .file("roles.json", &block("file: roles.json"))
            .file("doorward.yaml", &text)
            .flag("--doorward-config={file:doorward.yaml}");
        let mut opa = Command::new(tool::installed("opa"))
            .args(["run", "--server", "--log-level=error", "--disable-telemetry", "--addr"])
            .arg(opa_address.to_string())
            .args([launch.path("authz.rego"), launch.path("roles.json")])
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        eventually("OPA listens", || {
            assert_eq!(opa.try_wait().unwrap(), None, "OPA ended at once");
            TcpStream::connect(opa_address).is_ok()
        });
        let doorward = launch.start();
        Self { doorward, provider, echo, opa, opa_address }
    }

    fn ask(&self, user: &str, target: &str) -> Answer {
        self.provider.set(|knobs| {
            knobs.claim("aud", "shop-api");
            knobs.claim("sub", user);
        });
        let token = format!("Bearer {}", self.provider.id_token());
        let request = Request::get(target).header("Authorization", &token).header("X-Tier", "platinum");
        self.doorward.browser().send(request)
    }
}

#[test]
fn a_remote_policy_decides_and_without_an_answer_nobody_gets_in() {
    let mut gate = Gate::start();
    // The first answers of OPA may take longer than the page allows.
    eventually("OPA answers in time", || gate.ask("alice", "/orders/7").status == 200);
    assert_eq!(gate.ask("alice", "/orders/7").echoed().all("x-tier"), ["gold"]);
    for (user, target) in [("bob", "/orders/8"), ("mallory", "/orders/8"), ("alice", "/payments/8")] {
        assert_eq!(gate.ask(user, target).status, 403, "{user} {target}");
    }
    let outsider = Request::get("/orders/8").header("X-Forwarded-User", "alice");
    let outsider = gate.doorward.browser().send(outsider.header("Accept", "application/json"));
    assert_eq!(outsider.status, 401);
    // A role is taken back.
    let mut opa = doorward_testkit::Browser::new(gate.opa_address);
    let answer = opa.send(Request::new("PUT", "/v1/data/roles/alice").body("[]"));
    assert_eq!(answer.status, 204, "{}", answer.text());
    assert_eq!(gate.ask("alice", "/orders/8").status, 403);
    gate.opa.kill().unwrap();
    gate.opa.wait().unwrap();
    assert_eq!(gate.ask("alice", "/orders/8").status, 503);
    for target in ["/orders/8", "/payments/8"] {
        assert_eq!(gate.echo.count(target), 0, "{target}");
    }
}
