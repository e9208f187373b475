//! Policies judged by Open Policy Agent itself: the same files and inputs, embedded and there; and an agent as the remote
//! one. Where a built-in function fails, the embedded engine denies whatever the agent says.

use std::{
    net::{SocketAddr, TcpStream},
    path::PathBuf,
    process::{Child, Command, Stdio},
    sync::Arc,
    time::Duration,
};

use doorward_core::{PathParameters, Principal, Timestamp, UserInfo};
use doorward_oidc::{HttpConfig, Trust};
use doorward_policy::{
    Body, Decision, EngineConfig, Expose, Facts, Policies, PolicyConfig, PolicyFault, Question, Verdict, opa,
    rego,
};
use doorward_testkit::{Echo, Request, eventually, free_address};
use http::{HeaderMap, HeaderName, HeaderValue, Method, Version};
use serde_json::{Value, json};

use crate::{
    place::{Place, Store},
    tool::installed,
};

/// Twenty policies that use what policies of web services use. Each has the package `t` and the rule `decision`.
const POLICIES: [&str; 20] = [
    "default decision := false\ndecision if input.identity.user == \"alice\"",
    "decision := input.identity.authenticated",
    "decision if \"admin\" in input.identity.groups",
    "decision if { some scope in input.identity.scopes; startswith(scope, \"orders:\") }",
    "decision if not input.identity.actor",
    "default decision := {\"allowed\": false, \"http_status\": 403}\n\
     decision := {\"allowed\": true, \"headers\": {\"x-tier\": \"gold\"}} if { input.parsed_path[0] == \"orders\"; \
     input.attributes.request.http.method == \"GET\"; \"orders:read\" in input.identity.scopes }",
    "decision if glob.match(\"/orders/*\", [\"/\"], input.attributes.request.http.path)",
    "decision if regex.match(`^/(orders|items)/[0-9]+$`, input.attributes.request.http.path)",
    "decision if net.cidr_contains(\"10.0.0.0/8\", input.attributes.source.address.socketAddress.address)",
    "decision if count(input.parsed_query) == 0\nelse := false",
    "decision if every role in input.identity.groups { role in {\"dev\", \"admin\", \"ops\"} }",
    "decision if to_number(input.parsed_path[1]) > 5",
    "bad if to_number(input.parsed_path[1]) > 5\ndecision if not bad",
    "decision := object.get(input.identity.claims, \"level\", 0) >= 2",
    "owner[path] := user if { some path, user in {\"orders\": \"alice\", \"items\": \"bob\"} }\n\
     decision if owner[input.parsed_path[0]] == input.identity.user",
    "allowed(user, path) if { user == \"alice\"; path != \"admin\" }\nallowed(user, _) if user == \"root\"\n\
     decision if allowed(input.identity.user, input.parsed_path[0])",
    "reasons contains \"user\" if input.identity.user != \"alice\"\n\
     reasons contains \"method\" if not input.attributes.request.http.method in {\"GET\", \"HEAD\"}\n\
     decision := {\"allowed\": count(reasons) == 0, \"context\": {\"reasons\": reasons}}",
    "decision := true if input.identity.user == \"alice\"\ndecision := false if input.parsed_path[0] == \"admin\"",
    "decision if { parts := split(input.attributes.request.http.path, \"/\"); lower(parts[1]) == \"orders\"; \
     concat(\"-\", parts) != \"-orders-0\"; sprintf(\"%s:%d\", [parts[1], count(parts)]) != \"x:1\" }",
    "decision := {\"allowed\": x, \"context\": {\"n\": n}} if { x := input.identity.claims.level == max([1, 3]); \
     n := sum([1 | some g in input.identity.groups; g != \"dev\"]) }",
];

/// What a request is made of.
#[derive(Clone, Debug)]
struct Case {
    user: &'static str,
    groups: Vec<String>,
    scopes: Vec<String>,
    claims: Value,
    actor: Option<Value>,
    method: Method,
    path: String,
    address: &'static str,
}

/// Two hundred requests: every value of each part meets many of the others.
fn cases() -> Vec<Case> {
    let pick = |i: usize, step: usize, of: usize| (i * step + i / of) % of;
    let texts = |items: &[&str]| items.iter().map(|&item| item.to_owned()).collect::<Vec<_>>();
    let one = |i: usize| Case {
        user: ["alice", "bob", "root", ""][pick(i, 1, 4)],
        groups: [texts(&[]), texts(&["dev"]), texts(&["admin", "dev"]), texts(&["strangers"])][pick(i, 3, 4)]
            .clone(),
        scopes: [texts(&[]), texts(&["orders:read"]), texts(&["items:read", "orders:write"])][pick(i, 2, 3)]
            .clone(),
        claims: [
            json!({}),
            json!({"level": 1}),
            json!({"level": 3}),
            json!({"level": "3"}),
            json!({"level": null}),
        ][pick(i, 2, 5)]
        .clone(),
        actor: [None, Some(json!({"sub": "svc"}))][pick(i, 1, 2)].clone(),
        method: [Method::GET, Method::POST, Method::HEAD][pick(i, 1, 3)].clone(),
        path: [
            "/orders/7",
            "/orders/3",
            "/orders/x",
            "/items/12?q=1&q=2",
            "/admin",
            "/",
            "/orders/",
            "/Orders/0",
            "/orders/7?x",
            "/items/%C3%A4",
        ][pick(i, 7, 10)]
        .to_owned(),
        address: ["10.1.2.3", "192.0.2.1", "2001:db8::1"][pick(i, 2, 3)],
    };
    (0..200).map(one).collect()
}

impl Case {
    /// Asks all policies of a list; and what the input document was.
    async fn ask(
        &self,
        policies: &Policies,
        names: &[String],
    ) -> (Value, Vec<Result<Decision, PolicyFault>>) {
        let user = UserInfo {
            name: self.user.to_owned(),
            uid: "1".to_owned(),
            groups: self.groups.clone(),
            ..UserInfo::default()
        };
        let claims = self.claims.as_object().unwrap().clone();
        let (scopes, actor) = (self.scopes.clone(), self.actor.clone());
        let who =
            Principal { user, scopes, claims, actor, authenticator: "opaque".into(), ..Principal::default() };
        let mut headers = HeaderMap::new();
        headers.insert(HeaderName::from_static("accept"), HeaderValue::from_static("*/*"));
        let params = PathParameters::new();
        let question = Question::new(Facts {
            request_id: "r",
            time: Timestamp::from_seconds(1),
            method: &self.method,
            path_and_query: &self.path,
            host: "api.example.com",
            scheme: "https",
            protocol: Version::HTTP_11,
            headers: &headers,
            peer: Some(SocketAddr::new(self.address.parse().unwrap(), 50_000)),
            peer_principal: None,
            body: Body::NotRead,
            who: &who,
            route: "orders",
            params: &params,
            expose: Expose::Nothing { headers: &[], parameters: &[] },
        });
        let mut answers = Vec::new();
        for name in names {
            answers.push(policies.ask(policies.index(name).unwrap(), &question).await);
        }
        (question.input().unwrap().clone(), answers)
    }
}

/// A running agent.
struct Agent {
    process: Child,
    address: String,
    folder: PathBuf,
}

impl Agent {
    /// An agent with these files, which answers.
    fn start(name: &str, files: &[(String, String)]) -> Self {
        // The agent does not tell which port it chose itself.
        Self::start_at(free_address(), (name, files), &[])
    }

    fn start_at(free: SocketAddr, (name, files): (&str, &[(String, String)]), flags: &[String]) -> Self {
        let folder =
            PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(format!("opa-{name}-{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        for (name, text) in files {
            std::fs::write(folder.join(name), text).unwrap();
        }
        let process = Command::new(installed("opa"))
            .args(["run", "--server", "--skip-version-check", "--log-level=error", "--addr"])
            .arg(free.to_string())
            .args(flags)
            .arg(&folder)
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        let mut agent = Self { process, address: free.to_string(), folder };
        eventually("the agent listens", || {
            assert_eq!(agent.process.try_wait().unwrap(), None, "the agent ended at once");
            TcpStream::connect(free).is_ok()
        });
        agent
    }

    fn policy(&self, path: &str) -> EngineConfig {
        EngineConfig::Opa(opa::Config {
            url: format!("http://{}/v1/data/{path}", self.address).parse().unwrap(),
            token: None,
            http: HttpConfig { trust: Trust::Files(Vec::new()), ..HttpConfig::default() },
            timeout: Duration::from_secs(20),
        })
    }
}

impl Drop for Agent {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}

fn embedded(text: &str, query: &str) -> EngineConfig {
    EngineConfig::Rego(rego::Config {
        modules: vec![rego::Source { path: "p.rego".into(), under: Vec::new(), content: text.to_owned() }],
        data: Vec::new(),
        query: query.to_owned(),
        timeout: Duration::from_secs(20),
    })
}

fn policies(engines: Vec<EngineConfig>) -> (Policies, Vec<String>) {
    let names: Vec<_> = (0..engines.len()).map(|i| format!("p{i}")).collect();
    let configs = engines.into_iter().zip(&names).map(|(engine, name)| {
        let name = Arc::from(name.as_str());
        PolicyConfig { name, engine }
    });
    (Policies::new(configs.collect()).unwrap(), names)
}

#[tokio::test]
async fn b27_embedded_policies_decide_as_open_policy_agent_does() {
    let text = |i: usize| format!("package t{i}\n{}", POLICIES[i]);
    let files: Vec<_> = (0..POLICIES.len()).map(|i| (format!("p{i}.rego"), text(i))).collect();
    let agent = Agent::start("b27", &files);
    let here = (0..POLICIES.len()).map(|i| embedded(&text(i), &format!("data.t{i}.decision"))).collect();
    let there = (0..POLICIES.len()).map(|i| agent.policy(&format!("t{i}/decision"))).collect();
    let ((here, names), (there, _)) = (policies(here), policies(there));
    let (mut same, mut stricter) = (0, 0);
    for case in cases() {
        let (input, ours) = case.ask(&here, &names).await;
        let (_, theirs) = case.ask(&there, &names).await;
        for (i, (ours, theirs)) in ours.into_iter().zip(theirs).enumerate() {
            match (&ours, &theirs) {
                (Ok(_) | Err(PolicyFault::Undefined | PolicyFault::WrongType(_)), _) => {
                    assert_eq!(ours, theirs, "{}\n{input}", POLICIES[i]);
                    same += 1;
                }
                // Conflicting rules: an error there too, with another status.
                (Err(PolicyFault::Evaluation(_)), Err(_)) => same += 1,
                // A built-in function failed, which is undefined there.
                (Err(PolicyFault::Evaluation(why)), Ok(_)) => {
                    assert!(
                        why.contains("to_number") || why.contains("net.cidr_contains"),
                        "{why}\n{}",
                        POLICIES[i]
                    );
                    stricter += 1;
                }
                _ => panic!("{ours:?} and {theirs:?}: {}\n{input}", POLICIES[i]),
            }
        }
    }
    assert_eq!(same + stricter, 200 * 20);
    assert!(stricter > 0 && stricter < 400, "{stricter}");
}

#[tokio::test]
async fn b26_what_is_no_clear_yes_is_none_in_either_engine() {
    let rules = "decision := true if input.parsed_path[0] in {\"yes\", \"both\"}\n\
        decision := false if input.parsed_path[0] in {\"no\", \"both\"}\n\
        decision := 7 if input.parsed_path[0] == \"number\"";
    let text = format!("package t\n{rules}");
    let agent = Agent::start("b26", &[("p.rego".to_owned(), text.clone())]);
    let (both, names) = policies(vec![embedded(&text, "data.t.decision"), agent.policy("t/decision")]);
    for (path, expected) in [("/yes", Some(Verdict::Allow)), ("/no", Some(Verdict::Deny)), ("/other", None)] {
        let case = Case { path: path.to_owned(), ..cases().remove(0) };
        let (_, answers) = case.ask(&both, &names).await;
        for answer in answers {
            assert_eq!(answer.ok().map(|decision| decision.verdict), expected, "{path}");
        }
    }
    for path in ["/both", "/number"] {
        let case = Case { path: path.to_owned(), ..cases().remove(0) };
        let (_, answers) = case.ask(&both, &names).await;
        assert!(
            answers.iter().all(|answer| answer.as_ref().is_err_and(|fault| !fault.is_unreachable())),
            "{path}"
        );
    }
}

#[tokio::test]
async fn b31_a_remote_agent_allows_by_a_result_alone() {
    let agent = Agent::start(
        "b31",
        &[("p.rego".to_owned(), "package t\nyes := true\nno := false\nnever if 1 == 2".to_owned())],
    );
    let paths = ["t/yes", "t/no", "t/never", "no/such/rule", "t"];
    let (there, names) = policies(paths.map(|path| agent.policy(path)).into());
    let case = cases().remove(0);
    let (_, answers) = case.ask(&there, &names).await;
    assert_eq!(answers[0], Ok(Decision::plain(Verdict::Allow)));
    assert_eq!(answers[1], Ok(Decision::plain(Verdict::Deny)));
    assert_eq!(answers[2], Err(PolicyFault::Undefined));
    assert_eq!(answers[3], Err(PolicyFault::Undefined));
    assert!(matches!(answers[4], Err(PolicyFault::WrongType(_))));
    drop(agent);
    let (_, answers) = case.ask(&there, &names).await;
    assert!(answers.iter().all(|answer| answer.as_ref().is_err_and(PolicyFault::is_unreachable)));
}

#[test]
fn b31_an_agent_that_demands_a_certificate_is_shown_ours() {
    let (echo, address) = (Echo::start(), free_address());
    let upstream = echo.url();
    let place = Place::in_front_of(&upstream, echo, Store::Embedded, |settings| {
        let policy = |who: &str| {
            let mut policy = json!({"type": "opa", "url": format!("https://{address}/v1/data/t/yes"),
                "caFile": "${DIR}servers.pem", "timeout": "10s"});
            if !who.is_empty() {
                policy["certFile"] = format!("${{DIR}}{who}.pem").into();
                policy["keyFile"] = format!("${{DIR}}{who}-key.pem").into();
            }
            policy
        };
        let route = |name: &str| {
            json!({"id": name, "match": {"path": format!("/{name}")}, "upstream": upstream,
                "authenticate": ["anonymous"], "authorize": {"policy": name}})
        };
        let routes = ["shown", "stranger", "without"].map(route);
        settings["gateway"] = json!({
            "policies": {"shown": policy("bob"), "stranger": policy("bob-of-strangers"), "without": policy("")},
            "routes": routes,
        });
    });
    let file = |name: &str| place.path(name).display().to_string();
    let flags = [
        format!("--tls-cert-file={}", file("server.pem")),
        format!("--tls-private-key-file={}", file("server-key.pem")),
        format!("--tls-ca-cert-file={}", file("clients.pem")),
        "--authentication=tls".to_owned(),
    ];
    let policy = ("p.rego".to_owned(), "package t\nyes := true".to_owned());
    let _agent = Agent::start_at(address, ("mtls", &[policy]), &flags);
    for (path, expected) in [("/shown", 200), ("/stranger", 503), ("/without", 503)] {
        let answer = place.send(Request::get(path));
        assert_eq!(answer.status, expected, "{path} {}", place.doorward.log());
    }
}

/// In the manner of the Envoy plugin's tutorials: roles by user, paths and methods by role, and what is said about a
/// refusal. Where those decode a token, this reads the identity.
const ENVOY_STYLE: &str = r#"package envoy.authz

import rego.v1

default allow := false

roles := {"alice": "guest", "bob": "admin"}

http_request := input.attributes.request.http

allow if {
	roles[input.identity.user] == "guest"
	http_request.method == "GET"
	input.parsed_path == ["people"]
}

allow if {
	roles[input.identity.user] == "admin"
	http_request.method in {"GET", "POST"}
	glob.match("/people*", ["/"], http_request.path)
}

status_code := 200 if {
	allow
} else := 401 if {
	not input.identity.user
} else := 403

body := "not for you" if status_code == 403

result["allowed"] := allow

result["headers"] := {"x-role": roles[input.identity.user]}

result["http_status"] := status_code

result["body"] := body
"#;

#[tokio::test]
async fn b33_a_policy_for_the_envoy_plugin_answers_as_it_says() {
    let agent = Agent::start("b33", &[("p.rego".to_owned(), ENVOY_STYLE.to_owned())]);
    let (both, names) =
        policies(vec![embedded(ENVOY_STYLE, "data.envoy.authz.result"), agent.policy("envoy/authz/result")]);
    for (user, method, path, allowed) in [
        ("alice", Method::GET, "/people", true),
        ("alice", Method::POST, "/people", false),
        ("alice", Method::GET, "/people/1", false),
        ("bob", Method::POST, "/people", true),
        ("bob", Method::DELETE, "/people", false),
        ("carol", Method::GET, "/people", false),
    ] {
        let case = Case { user, method: method.clone(), path: path.to_owned(), ..cases().remove(0) };
        let (_, answers) = case.ask(&both, &names).await;
        for answer in answers {
            let decision = answer.unwrap();
            let said =
                (decision.verdict == Verdict::Allow, decision.http_status.map(|status| status.as_u16()));
            assert_eq!(
                said,
                if allowed { (true, None) } else { (false, Some(403)) },
                "{user} {method} {path}"
            );
            if allowed {
                assert_eq!(decision.headers[0].0, "x-role");
            } else {
                assert_eq!(decision.body.as_deref(), Some("not for you"));
            }
        }
    }
}
