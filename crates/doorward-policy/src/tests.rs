use std::{
    io::{Read, Write},
    net::{SocketAddr, TcpListener},
    sync::{
        Mutex,
        atomic::{AtomicUsize, Ordering::Relaxed},
    },
    thread,
    time::Duration,
};

use doorward_core::{PathParameters, Principal, Timestamp, UserInfo};
use doorward_oidc::{HttpConfig, Trust};
use http::{HeaderMap, Method, Version};
use serde_json::{Value, json};

use super::*;

/// A server that answers each request with the next of its scripts, the last one again and again.
struct Scripted {
    address: SocketAddr,
    requests: Arc<AtomicUsize>,
    bodies: Arc<Mutex<Vec<Value>>>,
}

#[derive(Clone)]
enum Script {
    /// A status and a body.
    Answer(u16, String),
    /// Nothing, for longer than anybody waits.
    Silence,
    /// The connection is closed.
    HangUp,
}

fn ok(body: &Value) -> Script {
    Script::Answer(200, body.to_string())
}

fn serve(scripts: Vec<Script>) -> Scripted {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let (requests, bodies) = (Arc::new(AtomicUsize::new(0)), Arc::new(Mutex::new(Vec::new())));
    let (count, seen) = (Arc::clone(&requests), Arc::clone(&bodies));
    thread::spawn(move || {
        for stream in listener.incoming() {
            let (mut stream, scripts) = (stream.unwrap(), scripts.clone());
            let (count, seen) = (Arc::clone(&count), Arc::clone(&seen));
            thread::spawn(move || {
                while let Some(body) = request(&mut stream) {
                    seen.lock().unwrap().push(body);
                    let script = &scripts[count.fetch_add(1, Relaxed).min(scripts.len() - 1)];
                    match script {
                        Script::Answer(status, body) => {
                            let head =
                                format!("HTTP/1.1 {status} X\r\ncontent-length: {}\r\n\r\n", body.len());
                            let _ = stream.write_all((head + body).as_bytes());
                        }
                        // The client goes first.
                        Script::Silence => drop(stream.read(&mut [0])),
                        Script::HangUp => return,
                    }
                }
            });
        }
    });
    Scripted { address, requests, bodies }
}

/// The body of the next request on a connection.
fn request(stream: &mut impl Read) -> Option<Value> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        if stream.read(&mut byte).ok()? == 0 {
            return None;
        }
        head.push(byte[0]);
    }
    let head = String::from_utf8(head).unwrap().to_ascii_lowercase();
    let length = head.lines().find_map(|line| line.strip_prefix("content-length: "))?.parse().ok()?;
    let mut body = vec![0; length];
    stream.read_exact(&mut body).ok()?;
    serde_json::from_slice(&body).ok()
}

impl Scripted {
    fn asked(&self) -> usize {
        self.requests.load(Relaxed)
    }

    fn opa(&self) -> EngineConfig {
        opa_at(self.address)
    }

    fn access_review(&self, asks: access_review::Asks) -> EngineConfig {
        EngineConfig::AccessReview(access_review::Config {
            url: format!("http://{}/apis/authorization.k8s.io/v1/subjectaccessreviews", self.address)
                .parse()
                .unwrap(),
            token: Some("ours".into()),
            http: plain_http(),
            timeout: Duration::from_millis(500),
            asks,
            cache_allowed: Duration::from_secs(10),
            cache_denied: Duration::from_secs(10),
        })
    }
}

fn plain_http() -> HttpConfig {
    HttpConfig { trust: Trust::Files(Vec::new()), ..HttpConfig::default() }
}

fn opa_at(address: SocketAddr) -> EngineConfig {
    EngineConfig::Opa(opa::Config {
        url: format!("http://{address}/v1/data/http/authz/decision").parse().unwrap(),
        token: None,
        http: plain_http(),
        timeout: Duration::from_millis(500),
    })
}

fn rego_of(text: &str, timeout: Duration) -> EngineConfig {
    EngineConfig::Rego(rego::Config {
        modules: vec![rego::Source { path: "p.rego".into(), under: Vec::new(), content: text.to_owned() }],
        data: Vec::new(),
        query: "data.t.allow".to_owned(),
        timeout,
    })
}

fn policies(engine: EngineConfig) -> Policies {
    let named = PolicyConfig { name: "p".into(), engine };
    Policies::new(vec![named]).unwrap_or_else(|faults| panic!("{faults:?}"))
}

/// The answer to `GET path` of `user` at `seconds`.
async fn ask(policies: &Policies, user: &str, path: &str, seconds: i64) -> Result<Decision, PolicyFault> {
    let user = UserInfo {
        name: user.to_owned(),
        uid: "u-1".to_owned(),
        groups: vec!["dev".to_owned()],
        ..UserInfo::default()
    };
    let (who, params) = (Principal { user, ..Principal::default() }, PathParameters::new());
    let headers = HeaderMap::new();
    let question = Question::new(Facts {
        request_id: "r",
        time: Timestamp::from_seconds(seconds),
        method: &Method::GET,
        path_and_query: path,
        host: "api.example.com",
        scheme: "https",
        protocol: Version::HTTP_11,
        headers: &headers,
        peer: None,
        peer_principal: None,
        body: Body::NotRead,
        who: &who,
        route: "orders",
        params: &params,
        expose: Expose::Nothing { headers: &[], parameters: &[] },
    });
    policies.ask(policies.index("p").unwrap(), &question).await
}

#[expect(clippy::unnecessary_wraps, reason = "it is compared with answers")]
fn allowed() -> Result<Decision, PolicyFault> {
    Ok(Decision::plain(Verdict::Allow))
}

#[expect(clippy::unnecessary_wraps, reason = "it is compared with answers")]
fn denied() -> Result<Decision, PolicyFault> {
    Ok(Decision::plain(Verdict::Deny))
}

#[test]
fn all_that_is_wrong_is_told_together() {
    let opa = |url: &str| {
        let EngineConfig::Opa(config) = opa_at("127.0.0.1:1".parse().unwrap()) else { unreachable!() };
        EngineConfig::Opa(opa::Config { url: url.parse().unwrap(), ..config })
    };
    let second = Duration::from_secs(1);
    let faults = Policies::new(
        [
            ("one", rego_of("package t\nallow if http.send({})", second)),
            ("two", opa("http://127.0.0.1:8181/")),
            ("two", opa("ftp://127.0.0.1/v1/data/a")),
            ("slow", rego_of("package t\nallow := true", Duration::ZERO)),
        ]
        .map(|(name, engine)| PolicyConfig { name: name.into(), engine })
        .into(),
    )
    .unwrap_err();
    let told = faults.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n");
    for expected in
        ["p.rego:2:", "a rule of the data API", "two of this name", "http:// or https://", "`timeout`"]
    {
        assert!(told.contains(expected), "{told}");
    }
    assert_eq!(faults.len(), 5);
}

#[tokio::test]
async fn b26_decisions_and_faults_of_rego() {
    let policy = "package t\nallow if input.parsed_path[0] == \"yes\"\n\
        allow := false if input.parsed_path[0] == \"no\"\n\
        allow := 7 if input.parsed_path[0] == \"number\"\n\
        allow := true if input.parsed_path[0] == \"both\"\n\
        allow := false if input.parsed_path[0] == \"both\"\n\
        allow if to_number(input.parsed_path[1]) > 1";
    let policies = policies(rego_of(policy, Duration::from_secs(10)));
    assert_eq!(ask(&policies, "alice", "/yes/1", 0).await, allowed());
    assert_eq!(ask(&policies, "alice", "/no/1", 0).await, denied());
    assert_eq!(ask(&policies, "alice", "/other/1", 0).await, Err(PolicyFault::Undefined));
    assert!(matches!(ask(&policies, "alice", "/number/1", 0).await, Err(PolicyFault::WrongType(_))));
    assert!(matches!(ask(&policies, "alice", "/both/1", 0).await, Err(PolicyFault::Evaluation(_))));
    assert!(matches!(ask(&policies, "alice", "/yes/x", 0).await, Err(PolicyFault::Evaluation(_))));
}

/// One thread serves all requests here, as in a worker: the others are answered while the endless ones still run.
#[tokio::test]
async fn b29_an_endless_policy_is_denied_and_others_do_not_wait_for_it() {
    let policy = "package t\nallow if not slow\n\
        slow if { input.parsed_path[0] == \"slow\"; some a in numbers.range(1, 50000); \
        some b in numbers.range(1, 50000); a * b == -1 }";
    let policies = policies(rego_of(policy, Duration::from_secs(1)));
    assert_eq!(ask(&policies, "alice", "/", 0).await, allowed());
    let endless = async {
        let one = || ask(&policies, "mallory", "/slow", 0);
        let all: [_; 4] = tokio::join!(one(), one(), one(), one()).into();
        all
    };
    let mut endless = std::pin::pin!(endless);
    let others = async {
        let mut answered = 0;
        for path in ["/a", "/b", "/c"] {
            // A policy of another configuration has places of its own.
            let quick = self::policies(rego_of(
                "package t\nallow if input.parsed_path[0] != \"x\"",
                Duration::from_secs(10),
            ));
            assert_eq!(ask(&quick, "alice", path, 0).await, allowed());
            answered += 1;
        }
        answered
    };
    tokio::select! {
        biased;
        _ = &mut endless => panic!("the endless ones ended first"),
        answered = others => assert_eq!(answered, 3),
    }
    assert_eq!(endless.await, [const { Err(PolicyFault::Timeout) }; 4]);
}

#[tokio::test]
async fn b31_only_a_clear_yes_of_a_server_is_one() {
    let wrong = |answer: &Result<Decision, PolicyFault>| matches!(answer, Err(PolicyFault::WrongType(_)));
    let failed = |answer: &Result<Decision, PolicyFault>| matches!(answer, Err(PolicyFault::Evaluation(_)));
    for (script, expected) in [
        (ok(&json!({"result": true})), allowed()),
        (ok(&json!({"result": {"allowed": true}, "decision_id": "1"})), allowed()),
        (ok(&json!({"result": false})), denied()),
        (ok(&json!({})), Err(PolicyFault::Undefined)),
        (ok(&json!({"warning": {"code": "api_usage_warning"}})), Err(PolicyFault::Undefined)),
        (Script::Silence, Err(PolicyFault::Unreachable("it took too long".to_owned()))),
    ] {
        let server = serve(vec![script]);
        assert_eq!(ask(&policies(server.opa()), "alice", "/orders/7?x=1", 0).await, expected);
        let asked = server.bodies.lock().unwrap();
        assert_eq!(asked[0]["input"]["parsed_path"], json!(["orders", "7"]));
    }
    for body in
        ["", "null", "[]", "true", "{", r#"{"result":null}"#, r#"{"result":"true"}"#, r#"{"result":{}}"#]
    {
        let server = serve(vec![Script::Answer(200, body.to_owned())]);
        let answer = ask(&policies(server.opa()), "alice", "/", 0).await;
        assert!(wrong(&answer), "{body}: {answer:?}");
    }
    let huge = format!(r#"{{"result":true,"more":"{}"}}"#, "a".repeat(2_000_000));
    let yes = r#"{"result":true}"#.to_owned();
    for script in [400, 401, 404, 500, 503, 201, 204, 302].map(|status| Script::Answer(status, yes.clone())) {
        assert!(failed(&ask(&policies(serve(vec![script]).opa()), "alice", "/", 0).await));
    }
    assert!(failed(&ask(&policies(serve(vec![Script::Answer(200, huge)]).opa()), "alice", "/", 0).await));
}

#[tokio::test]
async fn b31_a_server_that_is_not_there_is_asked_twice_and_said_to_be_unreachable() {
    let yes = ok(&json!({"result": true}));
    let server = serve(vec![Script::HangUp, yes.clone()]);
    assert_eq!(ask(&policies(server.opa()), "alice", "/", 0).await, allowed());
    assert_eq!(server.asked(), 2);

    let server = serve(vec![Script::HangUp, Script::HangUp, yes.clone()]);
    let answer = ask(&policies(server.opa()), "alice", "/", 0).await;
    assert!(answer.as_ref().is_err_and(PolicyFault::is_unreachable), "{answer:?}");

    let server = serve(vec![Script::Answer(500, String::new()), yes]);
    assert!(ask(&policies(server.opa()), "alice", "/", 0).await.is_err());
    assert_eq!(server.asked(), 1);

    let free = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let answer = ask(&policies(opa_at(free)), "alice", "/", 0).await;
    assert!(answer.is_err_and(|fault| fault.is_unreachable()));
}

fn review(status: &Value) -> Script {
    let review =
        json!({"apiVersion": "authorization.k8s.io/v1", "kind": "SubjectAccessReview", "status": status});
    Script::Answer(201, review.to_string())
}

#[tokio::test]
async fn b36_a_review_allows_if_it_does_not_also_deny() {
    let asks = || access_review::Asks::Path;
    for (status, expected) in [
        (json!({"allowed": true}), allowed()),
        (json!({"allowed": true, "denied": false, "reason": "x"}), allowed()),
        (json!({"allowed": false}), denied()),
        (json!({"allowed": false, "denied": true}), denied()),
        (json!({"allowed": true, "denied": true}), denied()),
        (json!({}), denied()),
    ] {
        let server = serve(vec![review(&status)]);
        assert_eq!(ask(&policies(server.access_review(asks())), "alice", "/orders/7?x=1", 0).await, expected);
        let spec = json!({
            "user": "alice", "uid": "u-1", "groups": ["dev"],
            "nonResourceAttributes": {"path": "/orders/7", "verb": "get"},
        });
        assert_eq!(server.bodies.lock().unwrap()[0]["spec"], spec);
    }
    let no_review = ok(&json!({"kind": "Status", "status": {"allowed": true}}));
    for script in
        [review(&json!({"allowed": "true"})), no_review, Script::Answer(500, String::new()), Script::Silence]
    {
        let answer = ask(&policies(serve(vec![script]).access_review(asks())), "alice", "/", 0).await;
        assert!(answer.as_ref().is_err_and(|fault| !fault.is_unreachable()), "{answer:?}");
    }
}

#[tokio::test]
async fn b36_answers_are_kept_for_ten_seconds_by_all_that_was_asked() {
    let attributes = access_review::ResourceAttributes {
        verb: "get".to_owned(),
        resource: "services".to_owned(),
        name: "orders".to_owned(),
        ..Default::default()
    };
    for status in [json!({"allowed": true}), json!({"denied": true})] {
        let server = serve(vec![review(&status)]);
        let policies = policies(server.access_review(access_review::Asks::Resource(attributes.clone())));
        for (user, path, seconds, asked) in [
            ("alice", "/a", 100, 1),
            ("alice", "/b", 109, 1),
            ("alice", "/a", 110, 2),
            ("bob", "/a", 110, 3),
            ("bob", "/a", 119, 3),
            // A clock that was set back.
            ("bob", "/a", 90, 4),
        ] {
            ask(&policies, user, path, seconds).await.unwrap();
            assert_eq!(server.asked(), asked, "{user} at {seconds}");
        }
        let spec = server.bodies.lock().unwrap()[0]["spec"].clone();
        assert_eq!(
            spec["resourceAttributes"],
            json!({"verb": "get", "resource": "services", "name": "orders"})
        );
    }
}

#[tokio::test]
async fn b36_the_same_question_is_asked_once_at_a_time_and_failures_are_not_kept() {
    let server = serve(vec![review(&json!({"allowed": true}))]);
    let policies = policies(server.access_review(access_review::Asks::Path));
    let one = || ask(&policies, "alice", "/", 0);
    let answers: [_; 4] = tokio::join!(one(), one(), one(), one()).into();
    assert_eq!(answers, [const { Ok(Decision::plain(Verdict::Allow)) }; 4]);
    assert_eq!(server.asked(), 1);

    let server = serve(vec![Script::Answer(500, String::new()), review(&json!({"allowed": true}))]);
    let policies = self::policies(server.access_review(access_review::Asks::Path));
    assert!(ask(&policies, "alice", "/", 0).await.is_err());
    assert_eq!(ask(&policies, "alice", "/", 0).await, allowed());
}
