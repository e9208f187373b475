//! Policies that decide about routes: embedded Rego and a remote agent, as the application behind sees their answers.

use std::{
    io::{BufRead as _, BufReader, Read as _, Write as _},
    net::{SocketAddr, TcpListener, TcpStream},
    sync::{Arc, Mutex},
    thread,
};

use doorward_testkit::{Request, eventually, free_address};
use serde_json::{Value, json};

use super::{Gated, bearer};

const ROUTES: &str = "  policies:
    rbac: {type: rego, files: [HERE/policy.rego], query: data.gate.decision}
  routes:
    - {id: not, match: {path: /not/}, upstream: UPSTREAM, authenticate: jwt, authorize: {not: {policy: rbac}}}
    - {id: any, match: {path: /any/}, upstream: UPSTREAM, authenticate: jwt, authorize: {any: [{policy: rbac}, {users: [root]}]}}
    - {id: all, match: {path: /}, upstream: UPSTREAM, authenticate: jwt, authorize: {policy: rbac}}
";

fn gated(policy: &str) -> Gated {
    Gated::launch(ROUTES, |launch| launch.file("policy.rego", policy))
}

/// One decision for each path.
const CASES: &str = r#"package gate
import rego.v1
decision := true if input.parsed_path[0] == "yes"
decision := false if input.parsed_path[0] == "no"
decision := "yes" if input.parsed_path[0] == "word"
decision := {"allowed": true} if input.parsed_path[0] == "document"
decision := {"allowed": "true"} if input.parsed_path[0] == "odd"
decision := 1 if input.parsed_path[0] == "conflict"
decision := 2 if input.parsed_path[0] == "conflict"
decision := to_number("x") > 1 if input.parsed_path[0] == "error"
decision := true if {input.parsed_path[0] == "not"; to_number("x") > 1}
decision := true if {input.parsed_path[0] == "any"; to_number("x") > 1}
"#;

#[test]
fn b26_b35_what_is_undefined_or_wrong_is_denied_also_below_not() {
    let gated = gated(CASES);
    let jwt = gated.jwt(&json!({"sub": "alice"}));
    for (path, expected) in [
        ("/yes", 200),
        ("/document", 200),
        ("/no", 403),
        ("/undefined", 403),
        ("/word", 403),
        ("/odd", 403),
        ("/conflict", 403),
        ("/error", 403),
        ("/not/x", 403),
        ("/any/x", 403),
    ] {
        let answer = gated.with_token(path, &jwt);
        assert_eq!(answer.status, expected, "{path}: {}", gated.doorward.log());
    }
    let root = gated.jwt(&json!({"sub": "root"}));
    assert_eq!(gated.with_token("/any/x", &root).status, 200, "another condition may hold");
    assert_eq!(gated.echo.seen().len(), 3);
}

#[test]
fn b32_a_decision_changes_request_and_answer() {
    let gated = gated(
        r#"package gate
import rego.v1
decision := {
    "allowed": input.parsed_query.go[0] == "1",
    "headers": {"X-Tenant": "acme"},
    "response_headers_to_add": {"X-Decided": "here"},
    "request_headers_to_remove": ["X-Debug"],
    "query_parameters_to_set": {"tenant": "acme"},
    "query_parameters_to_remove": ["debug"],
    "http_status": 429,
    "body": "slow down",
}
"#,
    );
    let jwt = gated.jwt(&json!({}));
    let ask = |target: &str| {
        let request = bearer(Request::get(target), &jwt);
        gated.ask(request.header("X-Tenant", "evil").header("X_Tenant", "evil").header("X-Debug", "1"))
    };
    let answer = ask("/x?go=1&tenant=evil&debug=1");
    let seen = answer.echoed();
    assert_eq!((answer.status, answer.header("x-decided")), (200, "here"));
    assert_eq!(seen.all("x-tenant"), ["acme"]);
    assert!(!seen.has("x_tenant") && !seen.has("x-debug"), "{seen:?}");
    assert_eq!(gated.echo.seen().last().unwrap().target, "/x?go=1&tenant=acme");
    let answer = ask("/x?go=2");
    assert_eq!((answer.status, answer.text().trim()), (429, "slow down"));
}

#[test]
fn b38_what_a_policy_says_besides_stands_in_the_token_of_the_application() {
    let gated = Gated::launch(
        "  policies:
    rbac: {type: rego, files: [HERE/policy.rego], query: data.gate.decision}
  credentials:
    internal: {type: jwt}
  routes:
    - {id: all, match: {path: /}, upstream: UPSTREAM, authenticate: jwt, authorize: {policy: rbac}, credential: {use: internal, audience: app}}
",
        |launch| {
            let policy = "package gate\nimport rego.v1\ndecision := {\"allowed\": true, \"context\": {\"limit\": 7, \
                          \"user\": input.identity.user}}\n";
            launch.file("policy.rego", policy)
        },
    );
    let seen = gated.with_token("/x", &gated.jwt(&json!({"sub": "alice"}))).echoed();
    let payload = seen.all("authorization")[0].split('.').nth(1).unwrap().to_owned();
    let payload = base64_simd::URL_SAFE_NO_PAD.decode_to_vec(payload).unwrap();
    let claims: Value = serde_json::from_slice(&payload).unwrap();
    assert_eq!(claims["authz"], json!({"limit": 7, "user": "alice"}));
}

const YES: &str = "package gate\nimport rego.v1\ndecision := true\n";
const NO: &str = "package gate\nimport rego.v1\ndecision := false\n";

#[test]
fn b30_a_good_policy_is_taken_over_and_a_broken_one_changes_nothing() {
    let gated = gated(YES);
    let jwt = gated.jwt(&json!({}));
    assert_eq!(gated.with_token("/x", &jwt).status, 200);
    gated.doorward.reload_with("policy.rego", NO);
    assert_eq!(gated.with_token("/x", &jwt).status, 403);
    gated.doorward.rewrite("policy.rego", "package gate\ndecision := {\n");
    gated.doorward.wait_for_log("Configuration not reloaded, the old one stays.");
    assert_eq!(gated.with_token("/x", &jwt).status, 403);
    assert!(gated.doorward.log().contains("gateway.policies.rbac"), "{}", gated.doorward.log());
    gated.doorward.reload_with("policy.rego", YES);
    assert_eq!(gated.with_token("/x", &jwt).status, 200);
}

#[test]
fn a_file_that_comes_into_a_folder_of_policies_counts() {
    let routes = ROUTES.replace("[HERE/policy.rego]", "[HERE/policies]");
    let gated = Gated::launch(&routes, |launch| {
        std::fs::create_dir(launch.path("policies")).unwrap();
        launch.file("policies/a.rego", "package gate\nimport rego.v1\ndefault decision := false\n")
    });
    let jwt = gated.jwt(&json!({}));
    assert_eq!(gated.with_token("/x", &jwt).status, 403);
    let more = "package gate\nimport rego.v1\ndecision if input.parsed_path[0] == \"x\"\n";
    gated.doorward.rewrite("policies/b.rego", more);
    eventually("the new file counts", || gated.with_token("/x", &jwt).status == 200);
}

#[test]
fn b28_what_no_policy_may_do_is_refused_at_the_start() {
    let (provider, echo) = (super::Provider::start(), super::Echo::start());
    for call in [
        "http.send({\"method\": \"get\", \"url\": \"http://x\"})",
        "io.jwt.decode(\"x\")",
        "rand.intn(\"x\", 2)",
    ] {
        let policy = format!("package gate\nimport rego.v1\ndecision if {{\n  {call}\n}}\n");
        let exit = super::launch(&provider, &echo, ROUTES).file("policy.rego", &policy).fail();
        assert_eq!(exit.code, Some(1), "{call}");
        for part in ["gateway.policies.rbac", "policy.rego"] {
            assert!(exit.output.contains(part), "{call}: {}", exit.output);
        }
    }
}

/// What the scripted agent does with a question.
#[derive(Clone, Copy, Debug)]
enum Script {
    Answer(u16, &'static str),
    /// Nothing, for as long as the test runs.
    Silence,
}

/// A remote Open Policy Agent that answers as it is told, one question a connection.
struct Agent {
    address: SocketAddr,
    script: Arc<Mutex<Script>>,
    asked: Arc<Mutex<Vec<Value>>>,
}

impl Agent {
    fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let script = Arc::new(Mutex::new(Script::Silence));
        let asked = Arc::new(Mutex::new(Vec::new()));
        let (told, questions) = (Arc::clone(&script), Arc::clone(&asked));
        thread::spawn(move || {
            let mut silent = Vec::new();
            for mut stream in listener.incoming().map_while(Result::ok) {
                let Some(question) = read(&stream) else { continue };
                questions.lock().unwrap().push(question);
                match *told.lock().unwrap() {
                    Script::Answer(status, body) => {
                        let length = body.len();
                        let head = format!(
                            "HTTP/1.1 {status} x\r\nContent-Type: application/json\r\nContent-Length: {length}\r\n\
                             Connection: close\r\n\r\n"
                        );
                        let _gone = stream.write_all(format!("{head}{body}").as_bytes());
                    }
                    Script::Silence => silent.push(stream),
                }
            }
        });
        Self { address, script, asked }
    }
}

/// The body of a request.
fn read(stream: &TcpStream) -> Option<Value> {
    let mut reader = BufReader::new(stream);
    let mut length = 0;
    loop {
        let mut line = String::new();
        if reader.read_line(&mut line).ok()? == 0 {
            return None;
        }
        let line = line.trim_end().to_ascii_lowercase();
        if line.is_empty() {
            break;
        }
        if let Some(value) = line.strip_prefix("content-length:") {
            length = value.trim().parse().ok()?;
        }
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body).ok()?;
    serde_json::from_slice(&body).ok()
}

/// A remote policy that is asked at `address`.
fn remote(address: SocketAddr) -> Gated {
    Gated::new(&format!(
        "  policies:
    opa: {{type: opa, url: 'http://{address}/v1/data/gate/decision', timeout: 2s}}
  routes:
    - {{id: not, match: {{path: /not/}}, upstream: UPSTREAM, authenticate: jwt, authorize: {{not: {{policy: opa}}}}}}
    - {{id: any, match: {{path: /any/}}, upstream: UPSTREAM, authenticate: jwt, authorize: {{any: [{{policy: opa}}, {{users: [root]}}]}}}}
    - {{id: all, match: {{path: /}}, upstream: UPSTREAM, authenticate: jwt, authorize: {{policy: opa}}}}
"
    ))
}

#[test]
fn b31_only_a_clear_yes_of_a_remote_policy_lets_in() {
    let agent = Agent::start();
    let gated = remote(agent.address);
    let jwt = gated.jwt(&json!({"sub": "alice"}));
    for (script, [all, not]) in [
        (Script::Answer(200, r#"{"result":true}"#), [200, 403]),
        (Script::Answer(200, r#"{"result":{"allowed":true}}"#), [200, 403]),
        (Script::Answer(200, r#"{"result":false}"#), [403, 200]),
        (Script::Answer(200, "{}"), [403, 403]),
        (Script::Answer(200, r#"{"result":"true"}"#), [403, 403]),
        (Script::Answer(200, "true"), [403, 403]),
        (Script::Answer(400, r#"{"code":"invalid_parameter","result":true}"#), [403, 403]),
        (Script::Answer(500, r#"{"result":true}"#), [403, 403]),
        (Script::Silence, [503, 503]),
    ] {
        *agent.script.lock().unwrap() = script;
        for (path, expected) in [("/x/y?z=1", all), ("/not/x", not)] {
            let answer = gated.with_token(path, &jwt);
            assert_eq!(answer.status, expected, "{script:?} {path}: {}", gated.doorward.log());
        }
    }
    let asked = agent.asked.lock().unwrap();
    assert_eq!(asked[0]["input"]["parsed_path"], json!(["x", "y"]));
    assert_eq!(asked[0]["input"]["identity"]["user"], "alice");
    assert!(!asked[0].to_string().contains(&jwt), "policies see no credentials unless a route says so");
    assert_eq!(gated.echo.seen().len(), 3);
}

#[test]
fn b31_where_a_remote_policy_is_not_there_it_is_a_503_and_never_a_yes() {
    let gated = remote(free_address());
    let (jwt, root) = (gated.jwt(&json!({"sub": "alice"})), gated.jwt(&json!({"sub": "root"})));
    for (path, token, expected) in [
        ("/x", &jwt, 503),
        ("/not/x", &jwt, 503),
        // Another condition that holds is enough; where none does, it is not known whether this one would have.
        ("/any/x", &root, 200),
    ] {
        let answer = gated.with_token(path, token);
        assert_eq!(answer.status, expected, "{path}: {}", gated.doorward.log());
    }
    let status = gated.with_token("/any/x", &jwt).status;
    assert!(matches!(status, 403 | 503), "{status}");
    assert_eq!(gated.echo.seen().len(), 1);
}
