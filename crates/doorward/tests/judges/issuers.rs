//! Issuers elsewhere whose tokens routes of the gateway take: oidc-provider and Authlib issue them, jose and joserfc make with
//! their keys what no issuer should, and none of them knows doorward.

use std::{
    io::{BufRead, BufReader},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
};

use doorward_testkit::{
    Answer, Browser, Doorward, Echo, Launch, Provider, Request, eventually, free_address,
};
use serde_json::{Map, Value, json};

use crate::{
    party::node,
    place::{PROGRAM, Place, SECRET, Store},
    tool,
};

/// The authenticators and routes of these tests. The cache is short, so that nobody has to wait long for its end.
const GATEWAY: &str = "
  authenticators:
    access: {type: jwt, issuer: ISSUER, audiences: [api], typ: at+jwt, algorithms: [RS256, ES256]}
    any: {type: jwt, issuer: ISSUER, audiences: [api], algorithms: [RS256, ES256]}
    asked: {type: introspection, url: ISSUER/token/introspection, clientID: gate, clientSecret: SECRET, audiences: [api],
            cacheTtl: 1s}
    kept: {type: introspection, url: ISSUER/token/introspection, clientID: gate, clientSecret: SECRET, cacheTtl: 30s}
    signed: {type: introspection, url: ISSUER/token/introspection, clientID: gate, clientSecret: SECRET, accept: jwt,
             issuer: ISSUER, audiences: [api]}
    unknown: {type: introspection, url: ISSUER/token/introspection, clientID: gate, clientSecret: wrong}
  routes:
    - {id: access, match: {path: /access/}, upstream: UPSTREAM, authenticate: access, errorFormat: aws,
       authorize: {scopes: {any: [orders:read]}}}
    - {id: any, match: {path: /any/}, upstream: UPSTREAM, authenticate: any, errorFormat: aws}
    - {id: asked, match: {path: /asked/}, upstream: UPSTREAM, authenticate: asked, errorFormat: aws}
    - {id: kept, match: {path: /kept/}, upstream: UPSTREAM, authenticate: kept, errorFormat: aws}
    - {id: signed, match: {path: /signed/}, upstream: UPSTREAM, authenticate: signed, errorFormat: aws}
    - {id: unknown, match: {path: /unknown/}, upstream: UPSTREAM, authenticate: unknown, errorFormat: aws}
";

/// A gateway in front of an application, and the issuer of its tokens.
struct Gated {
    // Dropped first: it looks for secrets in its log.
    doorward: Doorward,
    _sign_in: Provider,
    _echo: Echo,
    issuer: Issuer,
}

/// Whose program an issuer is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Maker {
    /// With jose; its tokens are signed with RS256.
    OidcProvider,
    /// With joserfc; ES256.
    Authlib,
}

const MAKERS: [Maker; 2] = [Maker::OidcProvider, Maker::Authlib];

struct Issuer {
    child: Child,
    folder: PathBuf,
    address: std::net::SocketAddr,
}

impl Drop for Issuer {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}

impl Issuer {
    fn start(maker: Maker, name: &str) -> Self {
        let folder = format!("{name}-{maker:?}-{}", std::process::id());
        let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(folder);
        std::fs::create_dir_all(&folder).unwrap();
        let address = free_address();
        let settings = json!({
            "issuer": format!("http://{address}"), "port": address.port(), "client_secret": SECRET,
        });
        let file = folder.join("issuer.json");
        std::fs::write(&file, settings.to_string()).unwrap();
        let mut command = match maker {
            Maker::OidcProvider => node(&folder, "issuer.mjs"),
            Maker::Authlib => {
                let mut command = Command::new(tool::installed("python/bin/python"));
                command.arg(tool::sources().join("python/issuer.py"));
                command
            }
        };
        let mut child = command.arg(file).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        assert!(lines.any(|line| line.is_ok_and(|line| line == "ready")), "the issuer did not start");
        // Whoever writes into a pipe that nobody reads stops some day.
        std::thread::spawn(move || lines.for_each(drop));
        Self { child, folder, address }
    }

    fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    fn send(&self, request: Request) -> Answer {
        Browser::new(self.address).send(request)
    }

    #[track_caller]
    fn order(&self, orders: &Value) {
        assert_eq!(self.send(Request::new("POST", "/order").body(&orders.to_string())).status, 200);
    }

    /// How often a path was asked for.
    fn count(&self, path: &str) -> u64 {
        self.send(Request::get("/counts")).json()[path].as_u64().unwrap_or_default()
    }

    /// A token of the client `worker` for the resource `orders`.
    #[track_caller]
    fn token(&self, format: &str, scope: &str) -> String {
        let resource = format!("urn:orders:{format}");
        let fields = [("grant_type", "client_credentials"), ("resource", &resource), ("scope", scope)];
        let answer = self.send(Request::form("/token", &fields).basic("worker", SECRET)).json();
        answer["access_token"].as_str().unwrap_or_else(|| panic!("no token: {answer}")).to_owned()
    }

    /// A token as jose makes it: the claims of a good one, and these; null removes one.
    #[track_caller]
    fn forged(&self, how: &str, header: &Value, changes: &Value) -> String {
        let now = seconds_now();
        let mut claims = json!({
            "iss": self.url(), "aud": "api", "sub": "alice", "iat": now, "exp": now + 600, "scope": "orders:read",
        });
        let claims: &mut Map<String, Value> = claims.as_object_mut().unwrap();
        claims.extend(changes.as_object().unwrap().clone());
        claims.retain(|_, value| !value.is_null());
        let order = json!({ "how": how, "header": header, "claims": claims });
        let answer = self.send(Request::new("POST", "/forge").body(&order.to_string())).json();
        answer["token"].as_str().unwrap_or_else(|| panic!("{how}: {answer}")).to_owned()
    }
}

fn seconds_now() -> u64 {
    std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs()
}

impl Gated {
    fn new(maker: Maker, name: &str) -> Self {
        let (sign_in, echo, issuer) = (Provider::start(), Echo::start(), Issuer::start(maker, name));
        let text = format!("gateway:{GATEWAY}")
            .replace("ISSUER", &issuer.url())
            .replace("SECRET", SECRET)
            .replace("UPSTREAM", &echo.url());
        let doorward = Launch::new(PROGRAM, &sign_in, &echo)
            .without("upstream")
            .private_file("doorward.yaml", &text)
            .flag("--doorward-config={file:doorward.yaml}")
            .start();
        Self { doorward, _sign_in: sign_in, _echo: echo, issuer }
    }

    fn get(&self, target: &str, token: &str) -> Answer {
        let request = Request::get(target).header("Authorization", &format!("Bearer {token}"));
        self.doorward.browser().send(request)
    }

    #[track_caller]
    fn refuses(&self, target: &str, token: &str, description: &str) {
        let answer = self.get(target, token);
        assert_eq!(answer.status, 401, "{description} {}", self.doorward.log());
        assert_eq!(answer.json(), json!({"message": "Unauthorized"}));
        let challenge = answer.header("www-authenticate");
        assert!(
            challenge.starts_with("Bearer") && challenge.contains("error=\"invalid_token\""),
            "{challenge}"
        );
        let told = challenge.contains(&format!("error_description=\"{description}\""));
        assert!(told || (description.is_empty() && !challenge.contains("error_description")), "{challenge}");
    }
}

#[test]
fn b01_b02_b10_b11_tokens_of_oidc_provider_are_taken_for_what_they_are() {
    tokens_are_taken_for_what_they_are(Maker::OidcProvider);
}

#[test]
fn b01_b02_b10_b11_tokens_of_authlib_are_taken_for_what_they_are() {
    tokens_are_taken_for_what_they_are(Maker::Authlib);
}

#[track_caller]
fn tokens_are_taken_for_what_they_are(maker: Maker) {
    let gated = Gated::new(maker, "tokens");
    let token = gated.issuer.token("jwt", "orders:read");
    assert_eq!(gated.get("/access/x", &token).status, 200, "{}", gated.doorward.log());
    let none = gated.doorward.browser().get("/access/x");
    assert_eq!((none.status, none.json()), (401, json!({"message": "Unauthorized"})));
    assert!(!none.header("www-authenticate").contains("error"), "{}", none.header("www-authenticate"));
    let other = gated.get("/access/x", &gated.issuer.token("jwt", "orders:write"));
    assert_eq!((other.status, other.json()), (403, json!({"message": "Forbidden"})));
    assert!(other.header("www-authenticate").contains("insufficient_scope"));
    let id_token = gated.issuer.forged("good", &json!({"typ": "JWT"}), &json!({}));
    gated.refuses("/access/x", &id_token, "");
    assert_eq!(gated.get("/any/x", &id_token).status, 200);
    assert_eq!(gated.issuer.count("/jwks"), 1, "who needs the same keys shares them");
}

#[test]
fn b03_b04_tokens_that_jose_and_joserfc_make_are_judged_by_their_claims() {
    let makers = MAKERS.map(|maker| Gated::new(maker, "claims"));
    let now = seconds_now();
    for (changes, expected) in [
        (json!({}), None),
        (json!({"iss": "https://other.example"}), Some("the token is of another issuer")),
        (json!({"aud": "theirs"}), Some("the token does not have a valid audience")),
        (json!({"aud": null, "client_id": "api"}), None),
        (json!({"aud": "theirs", "client_id": "api"}), Some("the token does not have a valid audience")),
        (json!({"exp": now - 60}), Some("the token has expired")),
        (json!({"exp": now - 10}), None),
        (json!({"exp": null}), Some("the token is malformed")),
        (json!({"nbf": now + 120}), Some("the token is not yet valid")),
        (json!({"iat": now + 120}), Some("the token is not yet valid")),
        (json!({"cnf": {"jkt": "0ZcOCORZNYy-DWpqq30jZyJGHTN0d2HglBV3uiguA4I"}}), Some("")),
        (json!({"cnf": {"x5t#S256": "bwcK0esc3ACC3DB2Y5_lESsXE8o9ltc05O89jdN-dg2"}}), Some("")),
    ] {
        for gated in &makers {
            let token = gated.issuer.forged("good", &json!({}), &changes);
            match expected {
                None => assert_eq!(gated.get("/access/x", &token).status, 200, "{changes}"),
                Some(description) => gated.refuses("/access/x", &token, description),
            }
        }
    }
}

#[test]
fn b05_b06_forgeries_of_jose_are_refused_and_cause_one_fetch() {
    let by_joserfc = Gated::new(Maker::Authlib, "forgeries");
    for (how, description) in [
        ("none", "the token is malformed"),
        ("hmac", "the token is malformed"),
        ("ecdsa", "the token has a bad signature"),
    ] {
        let token = by_joserfc.issuer.forged(how, &json!({}), &json!({}));
        by_joserfc.refuses("/access/x", &token, description);
    }
    let gated = Gated::new(Maker::OidcProvider, "forgeries");
    for (how, description) in [
        ("none", "the token is malformed"),
        ("hmac", "the token is malformed"),
        ("ecdsa", "the token has a bad signature"),
        ("embedded", "the token has a bad signature"),
        ("crit", "the token is malformed"),
        ("jwe", "the token is malformed"),
    ] {
        let token = gated.issuer.forged(how, &json!({}), &json!({}));
        gated.refuses("/access/x", &token, description);
    }
    let nameless = gated.issuer.forged("good", &json!({"kid": null}), &json!({}));
    gated.refuses("/access/x", &nameless, "the token is malformed");
    assert_eq!(gated.get("/access/x", &gated.issuer.forged("good", &json!({}), &json!({}))).status, 200);
    let before = gated.issuer.count("/jwks");
    for kid in ["two", "three", "four"] {
        let token = gated.issuer.forged("good", &json!({ "kid": kid }), &json!({}));
        gated.refuses("/access/x", &token, "the token is signed with an unknown key");
    }
    assert_eq!(gated.issuer.count("/jwks"), before + 1);
}

#[test]
fn b22_b23_a_token_of_oidc_provider_is_exchanged_where_a_rule_names_its_issuer() {
    const ACCESS: &str = "urn:ietf:params:oauth:token-type:access_token";
    let (issuer, echo) = (Issuer::start(Maker::OidcProvider, "exchange"), Echo::start());
    let upstream = echo.url();
    let place = Place::in_front_of(&upstream, echo, Store::Embedded, |settings| {
        let clients = settings["authServer"]["clients"].as_array_mut().unwrap();
        clients.extend(
            ["orders", "bills", "inventory"]
                .map(|id| json!({"id": id, "secret": SECRET, "grantTypes": ["client_credentials"]})),
        );
        let rule = |client: &str, issuers: &str| {
            json!({"client": client, "subjectIssuers": [issuers], "audiences": ["inventory"],
                "scopes": ["orders:read"]})
        };
        settings["gateway"] = json!({
            "authenticators": {
                "partner": {"type": "jwt", "issuer": issuer.url(), "audiences": ["api"], "typ": "at+jwt"},
                "own": {"type": "opaque", "audiences": ["inventory"]},
            },
            "exchangeRules": [rule("orders", "partner"), rule("bills", "self")],
            "routes": [{"id": "inventory", "match": {"path": "/inventory/"}, "upstream": upstream,
                "authenticate": ["own"], "authorize": {"scopes": {"any": ["orders:read"]}}}],
        });
    });
    let exchange = |client: &str, token: &str| {
        let fields = [
            ("grant_type", "urn:ietf:params:oauth:grant-type:token-exchange"),
            ("subject_token", token),
            ("subject_token_type", ACCESS),
            ("audience", "inventory"),
        ];
        place.doorward.browser().send(Request::form("/oauth/token", &fields).basic(client, SECRET))
    };
    let token = issuer.token("jwt", "orders:read orders:write");
    let answer = exchange("orders", &token);
    assert_eq!(answer.status, 200, "{} {}", answer.text(), place.doorward.log());
    let told = answer.json();
    assert_eq!((&told["scope"], &told["issued_token_type"]), (&json!("orders:read"), &json!(ACCESS)));
    let inside = told["access_token"].as_str().unwrap();
    assert_eq!(place.get_with(inside, "/inventory/7").status, 200, "{}", place.doorward.log());
    assert_eq!(place.get_with(&token, "/inventory/7").status, 401, "the partner's own opens nothing here");
    // Its issuer calls somebody alice, with a group of ours; that makes her nobody of ours.
    let alice = issuer.forged("good", &json!({}), &json!({"sub": "alice", "groups": ["admins"]}));
    let told = exchange("orders", &alice).json();
    let inside = told["access_token"].as_str().unwrap_or_else(|| panic!("{told}")).to_owned();
    let told = Request::form("/oauth/introspect", &[("token", &inside)]).basic("inventory", SECRET);
    let told = place.send(told).json();
    assert_eq!((&told["sub"], &told["groups"]), (&json!(format!("{}|alice", issuer.url())), &json!([])));
    assert_eq!(told["username"], told["sub"], "{told}");
    let now = seconds_now();
    for (client, how, changes, error) in [
        ("bills", "good", json!({}), "invalid_request"),
        ("app", "good", json!({}), "unauthorized_client"),
        ("orders", "good", json!({"aud": "inventory"}), "invalid_request"),
        ("orders", "good", json!({"iss": "https://other.example"}), "invalid_request"),
        ("orders", "good", json!({"exp": now - 60}), "invalid_request"),
        ("orders", "good", json!({"cnf": {"jkt": "x"}}), "invalid_request"),
        ("orders", "hmac", json!({}), "invalid_request"),
        ("orders", "none", json!({}), "invalid_request"),
        ("orders", "ecdsa", json!({}), "invalid_request"),
    ] {
        let answer = exchange(client, &issuer.forged(how, &json!({}), &changes)).json();
        assert_eq!(answer["error"], error, "{client} {how} {changes}: {answer}");
    }
}

#[test]
fn b16_oidc_provider_is_asked_about_its_tokens() {
    an_issuer_is_asked_about_its_tokens(Maker::OidcProvider, &["/asked/x", "/signed/x"]);
}

#[test]
fn b16_authlib_is_asked_about_its_tokens() {
    an_issuer_is_asked_about_its_tokens(Maker::Authlib, &["/asked/x"]);
}

#[track_caller]
fn an_issuer_is_asked_about_its_tokens(maker: Maker, paths: &[&str]) {
    let gated = Gated::new(maker, "introspection");
    let (token, log) = (gated.issuer.token("opaque", "orders:read"), || gated.doorward.log());
    for path in paths {
        assert_eq!(gated.get(path, &token).status, 200, "{path} {}", log());
        gated.refuses(path, "made-up", "");
    }
    let unknown = gated.get("/unknown/x", &token);
    assert_eq!(unknown.status, 503, "{}", log());
    assert!(!unknown.header("retry-after").is_empty());
    gated.doorward.wait_for_log("it does not know us; correct clientID and clientSecret");
    for orders in [json!({"status": 500}), json!({"status": 403}), json!({"hang": true})] {
        gated.issuer.order(&orders);
        assert_eq!(
            gated.get("/asked/x", &gated.issuer.token("opaque", "orders:read")).status,
            503,
            "{orders}"
        );
    }
}

#[test]
fn b17_answers_are_kept_and_a_revoked_token_ends_with_them() {
    let gated = Gated::new(Maker::OidcProvider, "kept");
    let token = gated.issuer.token("opaque", "orders:read");
    for _ in 0..100 {
        assert_eq!(gated.get("/kept/x", &token).status, 200, "{}", gated.doorward.log());
    }
    assert_eq!(gated.issuer.count("/token/introspection"), 1);
    assert_eq!(gated.get("/asked/x", &token).status, 200);
    let fields = [("token", token.as_str())];
    let revoked = gated.issuer.send(Request::form("/token/revocation", &fields).basic("worker", SECRET));
    assert_eq!(revoked.status, 200);
    eventually("the revoked token is refused", || gated.get("/asked/x", &token).status == 401);
}
