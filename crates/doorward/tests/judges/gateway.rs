//! Applications behind the gateway verify what it gives them, with libraries and servers that know nothing of it: jose,
//! go-oidc, `HAProxy`, Apache's `mod_oauth2`; and an authorization server behind it, on oidc-provider, whose tokens it
//! keeps.

use std::{
    fs,
    io::{BufRead, BufReader},
    net::{SocketAddr, TcpStream},
    process::{Child, Command, Stdio},
};

use doorward_testkit::{Answer, Echo, Request, eventually, free_address};
use serde_json::{Value, json};

use crate::{
    party::node,
    place::{Place, SECRET, Store},
    tool,
};

/// A server that runs for as long as this is there.
struct Running(Child);

impl Running {
    #[track_caller]
    fn start(command: &mut Command, address: SocketAddr) -> Self {
        let name = command.get_program().to_owned();
        let child = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn();
        let running = Self(child.unwrap_or_else(|error| {
            panic!("{}: {error}; run scripts/parts install", name.display());
        }));
        eventually("it listens", || TcpStream::connect(address).is_ok());
        running
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// A gateway whose routes have these credentials.
fn gated(gateway: &Value) -> Place {
    Place::with(Store::Embedded, |settings| settings["gateway"] = gateway.clone())
}

fn issuer(place: &Place) -> String {
    format!("{}/gateway", place.issuer)
}

/// What an application makes of tokens: the keys that jose finds, then its verdicts, then those of go-oidc.
#[track_caller]
fn judged(place: &Place, tokens: &[Value]) -> (Value, Vec<Value>, Vec<Value>) {
    let file = place.path("tokens.json");
    fs::write(&file, json!({"issuer": issuer(place), "tokens": tokens}).to_string()).unwrap();
    let authority = place.path("servers.pem");
    let mut jose = node(&place.path(""), "gateway.mjs");
    let mut by_jose = tool::run(jose.arg(&file).env("NODE_EXTRA_CA_CERTS", &authority)).lines();
    let keys = by_jose.remove(0)["keys"].take();
    let mut go = Command::new(tool::go_judges());
    let by_go = tool::run(go.arg("application").arg(&file).env("SSL_CERT_FILE", &authority)).lines();
    (keys, by_jose, by_go)
}

/// What an application saw in a header.
#[track_caller]
fn seen(answer: &Answer, name: &str) -> String {
    assert_eq!(answer.status, 200, "{}", answer.text());
    answer.echoed().first(name).to_owned()
}

#[track_caller]
fn token_in(answer: &Answer) -> String {
    let line = seen(answer, "authorization");
    line.strip_prefix("Bearer ").unwrap_or_else(|| panic!("no token: {line}")).to_owned()
}

#[test]
fn b12_libraries_verify_the_token_that_an_application_gets() {
    let echo = Echo::start();
    let place = gated(&json!({
        "credentials": {"internal": {"type": "jwt", "claims": ["groups", "preferred_username"]}},
        "routes": [{
            "id": "orders", "match": {"path": "/orders/"}, "upstream": echo.url(), "authenticate": ["opaque"],
            "credential": {"use": "internal", "audience": "orders", "maxScopes": ["user:full"]},
        }],
        "authenticators": {"opaque": {"type": "opaque"}},
    }));
    let opaque = place.token();
    let token = token_in(&place.get_with(&opaque, "/orders/7"));
    assert_eq!(token_in(&place.get_with(&opaque, "/orders/8")), token, "kept for a while");
    let about = |audience: &str, typ: &str, later: u32| json!({"token": token, "audience": audience, "typ": typ, "later": later});
    let tokens = [about("orders", "at+jwt", 0), about("other", "at+jwt", 0), about("orders", "at+jwt", 301)];
    let (keys, by_jose, by_go) = judged(&place, &tokens);
    for by in [&by_jose, &by_go] {
        let claims = &by[0]["claims"];
        let owner = place.owner_of(&opaque);
        assert_eq!(claims["sub"], owner["metadata"]["uid"], "{}", by[0]);
        assert_eq!((&claims["iss"], &claims["scope"]), (&json!(issuer(&place)), &json!("user:full")));
        assert_eq!(claims["client_id"], "openshift-challenging-client");
        assert_eq!(claims["preferred_username"], "alice");
        assert_eq!(claims["exp"].as_i64().unwrap() - claims["iat"].as_i64().unwrap(), 300);
        assert!(by[1].get("refused").is_some() && by[2].get("refused").is_some(), "{by:?}");
    }
    assert_eq!(by_jose[0]["header"]["alg"], "ES256");
    for key in keys.as_array().unwrap() {
        let public = ["kty", "kid", "use", "alg", "crv", "x", "y", "n", "e"];
        let members = key["members"].as_array().unwrap();
        assert!(members.iter().all(|name| public.contains(&name.as_str().unwrap())), "{key}");
    }
    // Taken back, it opens nothing from the next request on (B13).
    assert_eq!(
        place.get_with(&token, "/orders/7").status,
        401,
        "what is for applications is not for our door"
    );
}

#[test]
fn b12_haproxy_verifies_the_token_that_an_application_gets() {
    let (echo, address) = (Echo::start(), free_address());
    let upstream = format!("http://{address}");
    let route = |id: &str, audience: &str| {
        json!({
            "id": id, "match": {"path": format!("/{id}/")}, "upstream": upstream, "authenticate": ["opaque"],
            "credential": {"use": "internal", "audience": audience},
        })
    };
    let place = gated(&json!({
        "authenticators": {"opaque": {"type": "opaque"}},
        "credentials": {"internal": {"type": "jwt"}},
        "routes": [route("orders", "orders"), route("other", "other")],
    }));
    let (keys, ..) = judged(&place, &[]);
    let key = place.path("gateway-key.pem");
    fs::write(&key, keys[0]["pem"].as_str().unwrap()).unwrap();
    let file = place.path("haproxy.cfg");
    let text = format!(
        "defaults\n mode http\n timeout client 9s\n timeout server 9s\n timeout connect 9s\n\
         frontend application\n bind {address}\n\
         \x20http-request set-var(txn.alg) http_auth_bearer,jwt_header_query('$.alg')\n\
         \x20http-request set-var(txn.exp) http_auth_bearer,jwt_payload_query('$.exp','int')\n\
         \x20http-request set-var(txn.now) date()\n\
         \x20http-request deny deny_status 401 unless {{ var(txn.alg) -m str ES256 }}\n\
         \x20http-request deny deny_status 401 unless {{ http_auth_bearer,jwt_verify(txn.alg,\"{}\") -m int 1 }}\n\
         \x20http-request deny deny_status 401 if {{ var(txn.exp),sub(txn.now) -m int lt 0 }}\n\
         \x20http-request deny deny_status 401 unless {{ http_auth_bearer,jwt_payload_query('$.iss') -m str {} }}\n\
         \x20http-request deny deny_status 403 unless {{ http_auth_bearer,jwt_payload_query('$.aud') -m str orders }}\n\
         \x20default_backend echo\nbackend echo\n server one {}\n",
        key.display(),
        issuer(&place),
        echo.address(),
    );
    fs::write(&file, text).unwrap();
    let _haproxy = Running::start(Command::new("/usr/sbin/haproxy").arg("-db").arg("-f").arg(&file), address);
    let opaque = place.token();
    token_in(&place.get_with(&opaque, "/orders/7"));
    assert_eq!(place.get_with(&opaque, "/other/7").status, 403, "another audience");
    assert_eq!(echo.seen().len(), 1);
}

/// Apache with an application that takes signed identities only; with a clock that is ahead, if one is named.
fn apache(place: &Place, address: SocketAddr, application: &Echo, ahead: Option<&str>) -> Running {
    let modules = ["mpm_event", "authn_core", "authz_core", "authz_user", "oauth2", "proxy", "proxy_http"]
        .map(|name| format!("LoadModule {name}_module /usr/lib/apache2/modules/mod_{name}.so"))
        .join("\n");
    let (folder, name) = (place.path(""), format!("apache-{}", address.port()));
    let text = format!(
        "ServerRoot {folder}\nServerName 127.0.0.1\nListen {address}\nPidFile {folder}/{name}.pid\nLogLevel warn\n\
         ErrorLog {folder}/{name}.log\nUser www-data\nGroup www-data\nStartServers 1\n{modules}\n\
         OAuth2TokenVerify jwks_uri http://{}/gateway/.well-known/jwks.json\nProxyPass / {}/\n\
         <Location />\nAuthType oauth2\nOAuth2AcceptTokenIn header name=X-Gateway-Identity&type=\n<RequireAll>\n\
         Require oauth2_claim iss:{}\nRequire oauth2_claim aud:apache\nRequire oauth2_claim sub:{}\n</RequireAll>\n\
         </Location>\n",
        place.doorward.address,
        application.url(),
        issuer(place),
        place.owner_of(&place.token())["metadata"]["uid"].as_str().unwrap(),
        folder = folder.display(),
    );
    let file = place.path(&format!("{name}.conf"));
    fs::write(&file, text).unwrap();
    let mut command = Command::new("/usr/sbin/apache2");
    if let Some(ahead) = ahead {
        command.env("LD_PRELOAD", crate::place::libfaketime()).env("FAKETIME", ahead);
    }
    Running::start(command.arg("-X").arg("-f").arg(file), address)
}

#[test]
fn b37_an_application_verifies_who_asks_and_nobody_replays_it() {
    let (echo, [now, later]) = (Echo::start(), [free_address(), free_address()]);
    let route = |id: &str, upstream: String| {
        json!({
            "id": id, "match": {"path": format!("/{id}/")}, "upstream": upstream, "authenticate": ["opaque", "own"],
            "credential": {"use": "told", "audience": "apache"},
        })
    };
    let (address, upstreams) = (free_address(), [now, later].map(|address| format!("http://{address}")));
    let place = gated(&json!({
        // An operator may even take what the gateway itself signs: not this.
        "authenticators": {
            "opaque": {"type": "opaque"},
            "own": {"type": "jwt", "issuer": "https://issuer.invalid", "jwksURI": format!("http://{address}/"),
                    "audiences": ["apache"], "algorithms": ["ES256"]},
        },
        "credentials": {"told": {"type": "identity", "claims": ["email"]}},
        "routes": [
            route("echo", echo.url()), route("now", upstreams[0].clone()), route("later", upstreams[1].clone()),
        ],
    }));
    let opaque = place.token();
    let token = seen(&place.get_with(&opaque, "/echo/x"), "x-gateway-identity");
    let about =
        |later: u32| json!({"token": token, "audience": "apache", "typ": "gw-id+jwt", "later": later});
    let (_, by_jose, by_go) = judged(&place, &[about(0), about(61)]);
    for by in [&by_jose, &by_go] {
        assert_eq!(by[0]["claims"]["aud"], "apache", "{}", by[0]);
        assert!(by[0]["claims"]["rid"].is_string() && by[1].get("refused").is_some(), "{by:?}");
    }
    let _apaches = [apache(&place, now, &echo, None), apache(&place, later, &echo, Some("+2m"))];
    let answer = place.get_with(&opaque, "/now/x");
    assert_eq!(answer.status, 200, "{}", answer.text());
    assert_eq!(place.get_with(&opaque, "/later/x").status, 401, "over");
    // Whatever way it comes back by, it opens nothing.
    assert_eq!(place.get_with(&token, "/echo/x").status, 401);
    let forged = Request::get("/echo/x").header("X-Gateway-Identity", &token);
    assert_eq!(place.send(forged.header("Accept", "application/json")).status, 401);
}

/// The authorization server behind the gateway.
fn behind(place_folder: &std::path::Path, address: SocketAddr) -> Running {
    let settings = json!({
        "issuer": format!("http://{address}"), "port": address.port(), "client_id": "app",
        "client_secret": SECRET, "redirect_uri": "https://app.example/callback",
    });
    let file = place_folder.join("behind.json");
    fs::write(&file, settings.to_string()).unwrap();
    let mut command = node(place_folder, "behind.mjs");
    let mut child = command.arg(file).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    assert!(lines.any(|line| line.is_ok_and(|line| line == "ready")), "the server did not start");
    std::thread::spawn(move || lines.for_each(drop));
    Running(child)
}

#[test]
fn b18_clients_of_an_authorization_server_behind_the_gateway_hold_handles_alone() {
    log_in_behind(&json!({}), "gwh~");
}

#[test]
fn b20_of_split_tokens_clients_hold_the_signature_alone() {
    log_in_behind(&json!({"splitTokens": true}), "gws~");
}

/// Logs in, calls an API and refreshes. `prefix` is that of handles for signed tokens.
fn log_in_behind(token_responses: &Value, prefix: &str) {
    let (echo, address) = (Echo::start(), free_address());
    let server = format!("http://{address}");
    let open = |id: &str, path: &str| {
        json!({"id": id, "match": {"path": path}, "upstream": server, "authenticate": ["anonymous"],
               "authorize": {"public": true}, "credential": "passthrough"})
    };
    let mut token = open("token", "/token");
    token["tokenResponses"] = token_responses.clone();
    let place = gated(&json!({
        "authenticators": {"op": {"type": "jwt", "issuer": server, "audiences": ["api"]}},
        "routes": [
            token, open("auth", "/auth"), open("resume", "/auth/"), open("interaction", "/interaction/"),
            {"id": "api", "match": {"path": "/api/"}, "upstream": echo.url(), "authenticate": ["op"],
             "credential": "passthrough", "authorize": {"scopes": {"any": ["orders:read"]}}},
        ],
    }));
    let _server = behind(&place.path(""), address);
    let mut browser = place.browser();
    let mut target = "/auth?client_id=app&response_type=code&scope=openid%20orders:read&redirect_uri=\
                      https%3A%2F%2Fapp.example%2Fcallback"
        .to_owned();
    let mut steps = 0;
    let code = loop {
        steps += 1;
        let answer = browser.get(&target);
        let is_led_on = matches!(answer.status, 302 | 303) && steps < 9;
        assert!(is_led_on, "{target}: {} {}", answer.status, answer.text());
        let location = answer.location();
        if let Some((_, rest)) = location.split_once("callback?code=") {
            break rest.split('&').next().unwrap().to_owned();
        }
        let path = location.find("/auth").or_else(|| location.find("/interaction"));
        let path = path.and_then(|path| location.get(path..));
        target = path.unwrap_or_else(|| panic!("{location}")).to_owned();
    };
    let ask = |form: &[(&str, &str)]| {
        let answer = place.send(Request::form("/token", form).basic("app", SECRET));
        assert_eq!(answer.status, 200, "{}", answer.text());
        answer.json()
    };
    let callback = ("redirect_uri", "https://app.example/callback");
    let tokens = ask(&[("grant_type", "authorization_code"), ("code", &code), callback]);
    let handle = |tokens: &Value, name: &str, prefix: &str| {
        let handle = tokens[name].as_str().unwrap_or_else(|| panic!("{tokens}")).to_owned();
        assert!(handle.starts_with(prefix), "{name}: {handle}");
        handle
    };
    let access = handle(&tokens, "access_token", prefix);
    handle(&tokens, "id_token", prefix);
    let forwarded = token_in(&place.get_with(&access, "/api/orders"));
    assert!(forwarded.starts_with("eyJ"), "{forwarded}");
    let refresh = handle(&tokens, "refresh_token", "gwh~");
    let refreshed = ask(&[("grant_type", "refresh_token"), ("refresh_token", &refresh)]);
    token_in(&place.get_with(&handle(&refreshed, "access_token", prefix), "/api/orders"));
    // Nobody knows what another handle stands for.
    assert_eq!(place.get_with(&format!("gwh~{}", "x".repeat(43)), "/api/orders").status, 401);
    let store = fs::read(place.path("auth.db")).unwrap();
    for secret in ["eyJ".as_bytes(), forwarded.as_bytes(), access.as_bytes()] {
        assert!(!store.windows(secret.len()).any(|window| window == secret), "a token in the store");
    }
}
