//! Envoy asks before it carries a request (`ext_authz`, over gRPC and over HTTP), on the listener of `--ext-authz-address`.

use std::{
    net::{SocketAddr, TcpStream},
    path::Path,
    process::{Child, Command, Stdio},
};

use doorward_testkit::{Answer, Browser, Echo, Launch, Provider, Request, eventually, free_address, page};
use serde_json::{Value, json};

use crate::{
    place::{PROGRAM, Place, Store},
    tool,
};

/// How Envoy asks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Way {
    Grpc,
    Http,
}

const WAYS: [Way; 2] = [Way::Grpc, Way::Http];

/// A process that ends with the test.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

impl Running {
    /// Envoy with this configuration, which makes it listen there.
    fn start(file: &Path, address: SocketAddr) -> Self {
        let mut command = Command::new(tool::installed("envoy/envoy"));
        command.arg("--config-path").arg(file).args(["--concurrency", "1", "--use-dynamic-base-id"]);
        command.args(["--log-level", "error"]).stdout(Stdio::null());
        let mut running = Self(command.spawn().unwrap());
        eventually("Envoy listens", || {
            assert_eq!(running.0.try_wait().unwrap(), None, "Envoy ended at once");
            TcpStream::connect(address).is_ok()
        });
        running
    }
}

/// Envoy in front of the application of a place.
struct Envoy {
    _process: Running,
    address: SocketAddr,
    place: Place,
}

impl Envoy {
    fn start(way: Way, change: impl FnOnce(&mut Value)) -> Self {
        let (asked, address) = (free_address(), free_address());
        let place = Place::with(Store::Embedded, |settings| {
            settings["listeners"] = json!({"ext_authz_address": asked.to_string()});
            change(settings);
        });
        let application = place.echo.address();
        let settings = configuration(way, [asked, address, application]);
        let file = place.path("envoy.json");
        std::fs::write(&file, settings.to_string()).unwrap();
        let process = Running::start(&file, address);
        Self { _process: process, address, place }
    }

    fn send(&self, request: Request) -> Answer {
        Browser::new(self.address).send(request)
    }
}

fn cluster(name: &str, address: SocketAddr, protocol: &Value) -> Value {
    json!({
        "name": name, "type": "STATIC", "connect_timeout": "5s",
        "typed_extension_protocol_options": {"envoy.extensions.upstreams.http.v3.HttpProtocolOptions": {
            "@type": "type.googleapis.com/envoy.extensions.upstreams.http.v3.HttpProtocolOptions",
            "explicit_http_config": protocol,
        }},
        "load_assignment": {"cluster_name": name, "endpoints": [{"lb_endpoints": [{"endpoint": {"address": {
            "socket_address": {"address": address.ip().to_string(), "port_value": address.port()}}}}]}]},
    })
}

fn configuration(way: Way, [asked, address, application]: [SocketAddr; 3]) -> Value {
    let every = json!({"patterns": [{"safe_regex": {"regex": ".*"}}]});
    let mut check = json!({
        "@type": "type.googleapis.com/envoy.extensions.filters.http.ext_authz.v3.ExtAuthz",
        "transport_api_version": "V3",
    });
    match way {
        Way::Grpc => {
            check["grpc_service"] = json!({"envoy_grpc": {"cluster_name": "doorward"}, "timeout": "5s"});
            check["encode_raw_headers"] = true.into();
        }
        Way::Http => {
            let server = json!({"uri": format!("http://{asked}"), "cluster": "doorward", "timeout": "5s"});
            check["allowed_headers"] = every.clone();
            check["http_service"] = json!({
                "server_uri": server,
                "authorization_response": {
                    "allowed_upstream_headers": every, "allowed_client_headers": every,
                },
            });
        }
    }
    let protocol = match way {
        Way::Grpc => json!({"http2_protocol_options": {}}),
        Way::Http => json!({"http_protocol_options": {}}),
    };
    let router = json!({"@type": "type.googleapis.com/envoy.extensions.filters.http.router.v3.Router"});
    let manager = json!({
        "@type": "type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager",
        "stat_prefix": "front",
        "route_config": {"virtual_hosts": [{"name": "all", "domains": ["*"], "routes": [
            {"match": {"prefix": "/"}, "route": {"cluster": "application"}}]}]},
        "http_filters": [
            {"name": "envoy.filters.http.ext_authz", "typed_config": check},
            {"name": "envoy.filters.http.router", "typed_config": router},
        ],
    });
    json!({"static_resources": {
        "listeners": [{
            "name": "front",
            "address": {"socket_address": {"address": address.ip().to_string(), "port_value": address.port()}},
            "filter_chains": [{"filters": [
                {"name": "envoy.filters.network.http_connection_manager", "typed_config": manager}]}],
        }],
        "clusters": [
            cluster("doorward", asked, &protocol),
            cluster("application", application, &json!({"http_protocol_options": {}})),
        ],
    }})
}

#[test]
fn who_is_known_passes_and_the_application_hears_who_it_is() {
    for way in WAYS {
        let envoy = Envoy::start(way, |_| ());
        let token = envoy.place.token();
        let request = Request::get("/orders?x=1")
            .header("Authorization", &format!("Bearer {token}"))
            .header("X-Remote-User", "root")
            .header("X_Remote_User", "root")
            .header("X-Forwarded-User", "root");
        let answer = envoy.send(request);
        assert_eq!(answer.status, 200, "{way:?} {}", answer.text());
        let seen = answer.echoed();
        assert_eq!(seen.all("x-remote-user"), ["alice"], "{way:?}");
        assert!(seen.all("authorization").is_empty(), "{way:?}: the token was for us");
        assert!(!answer.text().contains("root"), "{way:?} {}", answer.text());
    }
}

#[test]
fn nobody_passes_without_a_credential_or_with_a_bad_one() {
    for way in WAYS {
        let envoy = Envoy::start(way, |_| ());
        for request in [
            Request::get("/orders"),
            Request::get("/orders").header("Authorization", "Bearer sha256~bad"),
            Request::get("/orders").header("X-Forwarded-Uri", "/healthz"),
            Request::get("/orders").header("X-Remote-User", "alice"),
        ] {
            let answer = envoy.send(request.header("Accept", "application/json"));
            assert_eq!(answer.status, 401, "{way:?} {}", answer.text());
            assert!(answer.headers.has("www-authenticate"), "{way:?}");
        }
        let page = envoy.send(Request::get("/orders").header("Accept", "text/html"));
        assert!([302, 401, 403].contains(&page.status), "{way:?} {}", page.status);
        assert_eq!(envoy.place.echo.seen().len(), 0, "{way:?}");
    }
}

#[test]
fn our_own_pages_are_there_through_envoy_and_never_the_applications() {
    for (way, status) in [(Way::Grpc, 200), (Way::Http, 403)] {
        let envoy = Envoy::start(way, |_| ());
        let page = envoy.send(Request::get("/robots.txt"));
        assert_eq!((page.status, page.text().contains("Disallow")), (status, true), "{way:?}");
        assert_eq!(envoy.place.echo.seen().len(), 0, "{way:?}");
    }
}

/// A block of docs/integrations/envoy.md, with the names of this run. Each name has to occur.
fn pasted(block: &str, names: &[(&str, &str)]) -> String {
    page::fill(&page::block("integrations/envoy.md", &format!("block: {block}")), names)
}

#[test]
fn the_page_works_when_pasted() {
    let (asked, address) = (free_address(), free_address());
    let (provider, echo) = (Provider::start(), Echo::start());
    let launch = Launch::bare(PROGRAM).without("http-address");
    let settings = pasted(
        "doorward",
        &[
            ("127.0.0.1:4180", &launch.address.to_string()),
            ("127.0.0.1:4181", &asked.to_string()),
            ("keycloak-oidc", "oidc"),
            ("https://keycloak.example.com/realms/doorward", &provider.issuer()),
            ("\"doorward\"", &format!("\"{}\"", Provider::CLIENT_ID)),
            ("doorward-secret", Provider::CLIENT_SECRET),
            ("https://app.example.com", &format!("http://{address}")),
            ("cookie_secret =", "cookie_secure = false\ncookie_secret ="),
        ],
    );
    let doorward = launch.file("doorward.cfg", &settings).flag("--config={file:doorward.cfg}").start();
    let text = pasted(
        "envoy",
        &[
            ("0.0.0.0, port_value: 8080", &format!("127.0.0.1, port_value: {}", address.port())),
            ("port_value: 4181", &format!("port_value: {}", asked.port())),
            ("port_value: 8081", &format!("port_value: {}", echo.address().port())),
        ],
    );
    let file = doorward.path("envoy.yaml");
    std::fs::write(&file, text).unwrap();
    let _process = Running::start(&file, address);
    let mut browser = Browser::new(address);
    let page = browser.get("/wiki");
    assert_eq!((page.status, page.text().contains("Sign in")), (403, true), "{}", page.text());
    let mut browser = browser.logged_in();
    let answer = browser.send(Request::get("/wiki").header("X-Forwarded-User", "root"));
    assert_eq!(answer.status, 200, "{}", answer.text());
    assert!(!answer.echoed().all("x-forwarded-email").is_empty(), "{}", answer.text());
    assert!(!answer.text().contains("root"));
    assert_eq!(browser.get("/oauth2/sign_out").status, 302);
    assert_eq!(browser.get("/wiki").status, 403);
}
#[test]
fn routes_of_the_gateway_decide_for_envoy_too() {
    let envoy = Envoy::start(Way::Grpc, |settings| {
        settings["gateway"] = json!({
            "authenticators": {"own": {"type": "opaque"}},
            "routes": [
                {"id": "open", "match": {"path": "/open"}, "upstream": "http://127.0.0.1:9", "authenticate": ["anonymous"],
                 "authorize": {"public": true}},
                {"id": "orders", "match": {"path": "/orders/{id}"}, "upstream": "http://127.0.0.1:9",
                 "authenticate": ["own"], "authorize": {"users": ["alice"]}, "errorFormat": "aws"},
            ],
        });
    });
    let claims =
        Request::get("/open").header("X-Forwarded-Host", "evil.test").header("X-Forwarded-Uri", "/evil");
    let open = envoy.send(claims);
    assert_eq!(open.status, 200);
    assert!(!open.text().contains("evil"), "{}", open.text());
    let refused = envoy.send(Request::get("/orders/7"));
    assert_eq!((refused.status, refused.text().trim()), (401, r#"{"message":"Unauthorized"}"#));
    // No route is about it, so the rules of the options are.
    assert_eq!(envoy.send(Request::get("/elsewhere")).status, 401);
    let token = envoy.place.token();
    let request = Request::get("/orders/7").header("Authorization", &format!("Bearer {token}"));
    let answer = envoy.send(request);
    assert_eq!(answer.status, 200, "{}", answer.text());
    assert!(answer.echoed().all("authorization").is_empty());
}
