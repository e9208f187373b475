//! Routes of the gateway, from outside: who is let in by which credential, what the application gets, and how others
//! are turned away.

mod alone;
mod docs;
mod lasting;
mod mistakes;
mod policies;
mod questions;
mod road;

use doorward_testkit::{Answer, Browser, Doorward, Echo, Launch, Provider, Request};
use serde_json::{Value, json};

use crate::support::{PROGRAM, brings_session, encoded};

/// The password of the built-in server's first user, `admin`.
const PASSWORD: &str = "correct horse battery staple";

/// A gateway beside a provider and the built-in server, in front of an application.
pub(crate) struct Gated {
    // Dropped first: it looks for the provider's secrets in its log.
    pub(crate) doorward: Doorward,
    pub(crate) provider: Provider,
    pub(crate) echo: Echo,
}

/// Authenticators that are there in most of these tests.
const AUTHENTICATORS: &str = "
  authenticators:
    opaque: {type: opaque}
    jwt: {type: jwt, issuer: ISSUER, audiences: [api], groupsClaim: groups}
";

impl Gated {
    /// With this text below `gateway`, besides the usual authenticators. `ISSUER` stands for the provider, `UPSTREAM` for
    /// the application, `HERE` for the folder of the files.
    #[track_caller]
    pub(crate) fn new(gateway: &str) -> Self {
        Self::launch(gateway, |launch| launch)
    }

    #[track_caller]
    pub(crate) fn launch(gateway: &str, change: impl FnOnce(Launch) -> Launch) -> Self {
        let (provider, echo) = (Provider::start(), Echo::start());
        let doorward = change(launch(&provider, &echo, gateway)).start();
        Self { doorward, provider, echo }
    }

    /// A token of the provider for the audience `api`, with these further claims.
    pub(crate) fn jwt(&self, claims: &Value) -> String {
        self.provider.set(|knobs| {
            knobs.claims.clear();
            knobs.claim("aud", "api");
            for (name, value) in claims.as_object().unwrap() {
                knobs.claim(name, value.clone());
            }
        });
        self.provider.id_token()
    }

    /// A token of the built-in server for its user admin.
    #[track_caller]
    pub(crate) fn opaque(&self) -> String {
        let target = "/oauth/authorize?response_type=token&client_id=openshift-challenging-client";
        let request = Request::get(target).header("X-CSRF-Token", "1").basic("admin", PASSWORD);
        let answer = self.doorward.browser().send(request);
        let (_, after) = answer.location().split_once("access_token=").unwrap_or_else(|| {
            panic!("no token: {} {}", answer.status, answer.text());
        });
        after.split('&').next().unwrap().replace("%7E", "~")
    }

    pub(crate) fn ask(&self, request: Request) -> Answer {
        self.doorward.browser().send(request)
    }

    pub(crate) fn with_token(&self, target: &str, token: &str) -> Answer {
        self.ask(bearer(Request::get(target), token))
    }
}

pub(crate) fn bearer(request: Request, token: &str) -> Request {
    request.header("Authorization", &format!("Bearer {token}"))
}

/// The configuration, not started.
fn launch(provider: &Provider, echo: &Echo, gateway: &str) -> Launch {
    let launch = Launch::new(PROGRAM, provider, echo).without("upstream");
    let server = format!(
        "authServer:\n  enabled: true\n  issuer: http://{}\n  store: {{type: memory}}\n  bootstrapPasswordFile: \
         HERE/password\n  identityProviders: [{{name: local, type: static}}]\n",
        launch.address
    );
    let text = format!("{server}gateway:{AUTHENTICATORS}{gateway}")
        .replace("ISSUER", &provider.issuer())
        .replace("UPSTREAM", &echo.url())
        .replace("HERE", &launch.folder());
    launch
        .private_file("password", PASSWORD)
        .file("doorward.yaml", &text)
        .flag("--doorward-config={file:doorward.yaml}")
}

#[test]
fn every_credential_that_a_route_names_lets_in_and_no_other() {
    let gated = Gated::new(
        "  routes:
    - {id: all, match: {path: /all/}, upstream: UPSTREAM, authenticate: [opaque, jwt, session]}
    - {id: tokens, match: {path: /tokens/}, upstream: UPSTREAM, authenticate: opaque}
    - {id: signed, match: {path: /signed/}, upstream: UPSTREAM, authenticate: jwt}
    - {id: people, match: {path: /people/}, upstream: UPSTREAM, authenticate: session}
    - {id: open, match: {path: /open/}, upstream: UPSTREAM, authenticate: [jwt, anonymous], authorize: {public: true}}
",
    );
    let mut person = gated.doorward.browser().logged_in();
    let (opaque, jwt) = (gated.opaque(), gated.jwt(&json!({"sub": "svc"})));
    for (path, by_opaque, by_jwt, by_session, by_nobody) in [
        ("/all/x", 200, 200, 200, 401),
        ("/tokens/x", 200, 401, 401, 401),
        ("/signed/x", 401, 200, 401, 401),
        ("/people/x", 401, 401, 200, 401),
        ("/open/x", 401, 200, 200, 200),
        ("/elsewhere", 404, 404, 404, 404),
    ] {
        let told = [
            gated.with_token(path, &opaque).status,
            gated.with_token(path, &jwt).status,
            person.send(Request::get(path).header("Accept", "application/json")).status,
            gated.ask(Request::get(path).header("Accept", "application/json")).status,
        ];
        assert_eq!(told, [by_opaque, by_jwt, by_session, by_nobody], "{path}\n{}", gated.doorward.log());
    }
    let seen = gated.with_token("/tokens/x?y=1", &opaque).echoed();
    assert!(!seen.has("authorization") && !seen.has("cookie"), "{seen:?}");
    assert_eq!(seen.all("x-forwarded-user"), ["admin"]);
    let page = gated.ask(Request::get("/people/x").header("Accept", "text/html"));
    assert!(matches!(page.status, 302 | 403), "people are led to the login: {}", page.status);
    assert!(!brings_session(&page));
}

#[test]
fn b02_b41_failures_have_the_form_that_the_route_asks_for() {
    let gated = Gated::new(
        "  routes:
    - {id: aws, match: {path: /aws/}, upstream: UPSTREAM, authenticate: jwt, errorFormat: aws, authorize: &a {scopes: {any: [orders:read]}}}
    - {id: kubernetes, match: {path: /kubernetes/}, upstream: UPSTREAM, authenticate: jwt, errorFormat: kubernetes, authorize: *a}
    - {id: oauth2, match: {path: /oauth2x/}, upstream: UPSTREAM, authenticate: jwt, errorFormat: oauth2, authorize: *a}
    - {id: html, match: {path: /html/}, upstream: UPSTREAM, authenticate: jwt, errorFormat: html, authorize: *a}
",
    );
    let (none, other) = (gated.jwt(&json!({})), gated.jwt(&json!({"aud": "other"})));
    for (path, kind, unauthorized) in [
        ("/aws/x", "application/json", "{\"message\":\"Unauthorized\"}"),
        ("/kubernetes/x", "application/json", "\"reason\":\"Unauthorized\""),
        ("/oauth2x/x", "application/json", "\"error\":\"invalid_token\""),
        ("/html/x", "text/html", "<html"),
    ] {
        let answer = gated.ask(Request::get(path));
        assert_eq!((answer.status, answer.header("www-authenticate")), (401, "Bearer"), "{path}");
        let answer = gated.with_token(path, &other);
        let challenge = answer.header("www-authenticate");
        assert_eq!(answer.status, 401, "{path}");
        assert!(answer.header("content-type").starts_with(kind), "{path}: {}", answer.header("content-type"));
        assert!(answer.text().contains(unauthorized), "{path}: {}", answer.text());
        for part in ["scope=\"orders:read\"", "error=\"invalid_token\"", "does not have a valid audience"] {
            assert!(challenge.contains(part), "{path}: {challenge}");
        }
        let answer = gated.with_token(path, &none);
        let challenge = answer.header("www-authenticate");
        assert_eq!(answer.status, 403, "{path}");
        for part in ["scope=\"orders:read\"", "error=\"insufficient_scope\""] {
            assert!(challenge.contains(part), "{path}: {challenge}");
        }
    }
    assert!(gated.echo.seen().is_empty());
}

#[test]
fn b10_any_of_the_scopes_is_enough_however_the_token_writes_them() {
    let gated = Gated::new(
        "  routes:
    - {id: orders, match: {path: /}, upstream: UPSTREAM, authenticate: jwt, authorize: {scopes: {any: [orders:read, orders:admin]}}}
",
    );
    for (claims, expected) in [
        (json!({"scope": "x orders:read"}), 200),
        (json!({"scp": ["orders:admin"]}), 200),
        (json!({"scp": "orders:read y"}), 200),
        (json!({"scope": "x", "scp": ["orders:read"]}), 200),
        (json!({"scope": "orders:reader"}), 403),
        (json!({}), 403),
    ] {
        let answer = gated.with_token("/x", &gated.jwt(&claims));
        assert_eq!(answer.status, expected, "{claims}: {}", answer.text());
    }
}

#[test]
fn b15_nobody_else_tells_the_application_who_it_is() {
    let gated = Gated::new(
        "  credentials:
    statement: {type: identity, header: X-Who}
  routes:
    - {id: open, match: {path: /open/}, upstream: UPSTREAM, authenticate: anonymous, authorize: {public: true}}
    - {id: known, match: {path: /known/}, upstream: UPSTREAM, authenticate: jwt, identity: x-remote, credential: {use: statement, audience: app}}
",
    );
    let jwt = gated.jwt(&json!({"sub": "svc"}));
    let forged = [
        "X-Gateway-Identity",
        "X_Gateway_Identity",
        "X-Goog-IAP-JWT-Assertion",
        "x_forwarded_user",
        "X-Forwarded-User",
        "X-Forwarded-Groups",
        "X-Forwarded-Access-Token",
        "X-Remote-User",
        "X-Remote-Group",
        "X_Remote_Extra_Scopes",
        "X-Who",
        "X_Who",
    ];
    for path in ["/open/x", "/known/x"] {
        let mut request = bearer(Request::get(path), &jwt);
        if path == "/open/x" {
            request = Request::get(path);
        }
        for name in forged {
            request = request.header(name, "root");
        }
        let seen = gated.ask(request).echoed();
        let told: Vec<_> = seen.0.iter().filter(|(_, value)| value == "root").collect();
        assert!(told.is_empty(), "{path}: {told:?}");
    }
    let seen = gated.with_token("/known/x", &jwt).echoed();
    assert_eq!(seen.all("x-remote-user"), ["svc"]);
    assert_eq!(seen.all("x-who").len(), 1);
}

#[test]
fn b34_what_can_be_read_in_several_ways_is_refused_or_forwarded_as_it_was_judged() {
    let gated = Gated::new(
        "  routes:
    - {id: admin, match: {path: /admin}, upstream: UPSTREAM, authenticate: jwt, authorize: {users: [root]}}
    - {id: admins, match: {path: /admin/}, upstream: UPSTREAM, authenticate: jwt, authorize: {users: [root]}}
    - {id: rest, match: {path: /}, upstream: UPSTREAM, authenticate: [jwt, anonymous], authorize: {public: true}}
",
    );
    for path in [
        "/a/%2e%2e/admin",
        "/a/../admin",
        "//admin",
        "/%2fadmin",
        "/a%2f..%2fadmin",
        "/admin%2fx",
        "/admin;x",
        "/admin%3bx",
        "/admin%00",
        "/a/..%5cadmin",
        "/ADMIN/../admin",
        "/%61dmin",
        "/./admin",
    ] {
        let answer = gated.doorward.browser().try_send(Request::get(path));
        let status = answer.map_or(400, |answer| answer.status);
        assert!(matches!(status, 301 | 302 | 307 | 308 | 400 | 401 | 403 | 404), "{path}: {status}");
    }
    let forwarded: Vec<String> = gated.echo.seen().into_iter().map(|seen| seen.target).collect();
    assert!(forwarded.is_empty(), "{forwarded:?}");
    assert_eq!(gated.ask(Request::get("/a%20b/c")).status, 200);
    assert_eq!(gated.echo.seen().last().unwrap().target, "/a%20b/c");
}

#[test]
fn b12_b14_the_application_gets_a_signed_token_that_anybody_can_verify_and_nobody_else_sees() {
    let gated = Gated::new(
        "  credentials:
    internal: {type: jwt, claims: [groups]}
  routes:
    - {id: orders, match: {path: /}, upstream: UPSTREAM, authenticate: [opaque], credential: {use: internal, audience: orders, maxScopes: [orders:read]}}
",
    );
    let opaque = gated.opaque();
    let seen = gated.with_token("/x", &opaque).echoed();
    let [sent] = seen.all("authorization")[..] else { panic!("{seen:?}") };
    let token = sent.strip_prefix("Bearer ").unwrap();
    assert_ne!(token, opaque);
    let part = |index: usize| -> Value {
        let text = token.split('.').nth(index).unwrap();
        serde_json::from_slice(&base64_simd::URL_SAFE_NO_PAD.decode_to_vec(text).unwrap()).unwrap()
    };
    let (header, claims) = (part(0), part(1));
    assert_eq!(header["typ"], "at+jwt");
    assert_eq!(claims["aud"], "orders");
    assert_eq!(claims.get("scope"), None, "{claims}");
    let lasts = claims["exp"].as_i64().unwrap() - claims["iat"].as_i64().unwrap();
    assert!((1..=300).contains(&lasts), "{lasts}");
    let issuer = claims["iss"].as_str().unwrap();
    assert!(issuer.ends_with("/gateway"), "{issuer}");
    let metadata = gated.ask(Request::get("/gateway/.well-known/openid-configuration"));
    assert_eq!(metadata.json()["issuer"], issuer);
    let keys = gated.ask(Request::get("/gateway/.well-known/jwks.json")).json();
    let kids: Vec<&str> =
        keys["keys"].as_array().unwrap().iter().filter_map(|key| key["kid"].as_str()).collect();
    assert!(kids.contains(&header["kid"].as_str().unwrap()), "{kids:?}");
    assert!(keys["keys"].as_array().unwrap().iter().all(|key| key.get("d").is_none()));
    // What an application repeats does not get out.
    let answer = gated.with_token(&format!("/answer?X-Seen={}", encoded(sent)), &opaque);
    assert_eq!((answer.status, answer.header("x-seen")), (200, ""), "the same token is kept and scrubbed");
    // It is no credential here.
    assert_eq!(gated.with_token("/x", token).status, 401);
}

#[test]
fn the_user_chooses_the_upstream() {
    let other = Echo::start();
    let gated = Gated::new(&format!(
        "  routes:
    - id: tenants
      match: {{path: '/t/{{tenant}}/**'}}
      authenticate: jwt
      upstream:
        - {{when: {{groups: {{any: [beta]}}}}, url: '{}', stripPrefix: /t}}
        - {{url: UPSTREAM, rewrite: '/of/{{tenant}}'}}
",
        other.url()
    ));
    assert_eq!(gated.with_token("/t/a/b", &gated.jwt(&json!({"groups": ["beta"]}))).status, 200);
    assert_eq!(other.seen().last().unwrap().target, "/a/b");
    assert_eq!(gated.with_token("/t/a/b", &gated.jwt(&json!({"groups": ["x"]}))).status, 200);
    assert_eq!(gated.echo.seen().last().unwrap().target, "/of/ab");
}

#[test]
fn a_route_is_chosen_by_host_method_header_and_query() {
    let gated = Gated::new(
        "  routes:
    - {id: host, match: {hosts: ['*.a.test'], path: /x}, upstream: UPSTREAM, authenticate: anonymous, authorize: {public: true}}
    - {id: method, match: {path: /x, methods: [POST]}, upstream: UPSTREAM, authenticate: anonymous, authorize: {public: true}}
    - {id: header, match: {path: /x, headers: {X-Beta: '1'}}, upstream: UPSTREAM, authenticate: anonymous, authorize: {public: true}}
    - {id: query, match: {path: /x, query: {v: {in: [2, 3]}}}, upstream: UPSTREAM, authenticate: anonymous, authorize: {public: true}}
    - {id: rest, match: {path: /x}, upstream: UPSTREAM, authenticate: jwt}
",
    );
    for (request, expected) in [
        (Request::get("/x").header("Host", "b.a.test"), 200),
        (Request::get("/x").header("Host", "a.test"), 401),
        (Request::new("POST", "/x"), 200),
        (Request::new("PUT", "/x"), 401),
        (Request::get("/x").header("X-Beta", "1"), 200),
        (Request::get("/x").header("X-Beta", "2"), 401),
        (Request::get("/x?v=3"), 200),
        (Request::get("/x?v=4"), 401),
        (Request::get("/y"), 404),
    ] {
        let said = format!("{request:?}");
        assert_eq!(gated.ask(request).status, expected, "{said}");
    }
}

#[test]
fn a_gateway_needs_no_built_in_server() {
    let (provider, echo) = (Provider::start(), Echo::start());
    let text = format!(
        "authServer: {{enabled: false, store: {{path: HERE/gateway.db}}}}
gateway:
  issuer: http://127.0.0.1:1/gateway
  authenticators: {{jwt: {{type: jwt, issuer: {}, audiences: [api]}}}}
  credentials: {{internal: {{type: jwt}}}}
  routes:
    - {{id: all, match: {{path: /}}, upstream: {}, authenticate: [jwt], credential: {{use: internal, audience: app}}}}
",
        provider.issuer(),
        echo.url()
    );
    let launch = Launch::new(PROGRAM, &provider, &echo).without("upstream");
    let text = text.replace("HERE", &launch.folder());
    let doorward = launch.file("doorward.yaml", &text).flag("--doorward-config={file:doorward.yaml}").start();
    provider.set(|knobs| knobs.claim("aud", "api"));
    let mut browser: Browser = doorward.browser();
    let seen = browser.send(bearer(Request::get("/x"), &provider.id_token())).echoed();
    assert!(seen.all("authorization")[0].starts_with("Bearer ey"));
    assert_eq!(browser.get("/gateway/.well-known/jwks.json").status, 200);
    assert_eq!(browser.get("/oauth/authorize").status, 401);
}
