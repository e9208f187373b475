//! What holds for all endpoints: headers, hostile input, and a store that does not answer.

use std::{
    fmt,
    sync::{Arc, Mutex},
    time::Duration,
};

use doorward_accounts::Rules;
use doorward_core::UserInfo;
use doorward_store::{Records, RecordsConfig, RecordsPrefix, RedisConfig, RedisServers};
use doorward_testkit::Redis;
use http::{HeaderValue, Method};
use tokio::task::JoinSet;
use tracing::{
    Event, Metadata,
    field::{Field, Visit},
    instrument::WithSubscriber as _,
    span::{Attributes, Id, Record as SpanRecord},
};

use crate::{
    Answer, Call,
    call::BODY_LIMIT,
    testing::{NOW, TestServer, call, config, document, redeem, text},
};

/// Every path, with a method that it answers.
const ENDPOINTS: [(&str, &str); 26] = [
    ("GET", "/.well-known/oauth-authorization-server"),
    ("GET", "/.well-known/openid-configuration"),
    ("GET", "/oauth/jwks"),
    ("GET", "/oauth/authorize"),
    ("POST", "/oauth/authorize"),
    ("GET", "/oauth/authorize/approve"),
    ("POST", "/oauth/authorize/approve"),
    ("GET", "/oauth/login"),
    ("POST", "/oauth/login/local"),
    ("GET", "/oauth/callback/corp"),
    ("GET", "/oauth/logout"),
    ("POST", "/oauth/logout"),
    ("POST", "/oauth/token"),
    ("POST", "/oauth/revoke"),
    ("POST", "/oauth/introspect"),
    ("GET", "/oauth/userinfo"),
    ("GET", "/oauth/token/request"),
    ("POST", "/oauth/token/display"),
    ("GET", "/oauth/token/implicit"),
    ("GET", "/oauth/style.css"),
    ("GET", "/oauth/nothing"),
    ("GET", "/apis/user.openshift.io/v1/users/~"),
    ("DELETE", "/apis/oauth.openshift.io/v1/oauthaccesstokens/sha256~secret-value"),
    ("POST", "/apis/authentication.k8s.io/v1/tokenreviews"),
    ("POST", "/apis/authentication.k8s.io/v1/selfsubjectreviews"),
    ("POST", "/apis/authorization.k8s.io/v1/subjectaccessreviews"),
];

/// Appears in hostile requests, and may appear in no answer.
const MARK: &str = "secret-value";

/// What was asked for, by the lines that the log gets.
#[derive(Clone, Debug, Default)]
struct Events(Arc<Mutex<Vec<String>>>);

impl Visit for Events {
    fn record_str(&mut self, field: &Field, value: &str) {
        if field.name() == "event" {
            self.0.lock().unwrap().push(value.to_owned());
        }
    }

    fn record_debug(&mut self, _: &Field, _: &dyn fmt::Debug) {}
}

impl tracing::Subscriber for Events {
    fn enabled(&self, _: &Metadata<'_>) -> bool {
        true
    }

    fn new_span(&self, _: &Attributes<'_>) -> Id {
        Id::from_u64(1)
    }

    fn record(&self, _: &Id, _: &SpanRecord<'_>) {}

    fn record_follows_from(&self, _: &Id, _: &Id) {}

    fn event(&self, event: &Event<'_>) {
        event.record(&mut self.clone());
    }

    fn enter(&self, _: &Id) {}

    fn exit(&self, _: &Id) {}
}

/// What hostile clients send, for any endpoint.
fn hostile(method: &str, path: &str) -> Vec<(&'static str, Call)> {
    let plain = || call(method, path);
    let long = format!("Bearer {MARK}{}", "x".repeat(16_000));
    let mut binary = plain();
    binary.headers.insert("authorization", HeaderValue::from_bytes(b"Basic \xff\xfe").unwrap());
    binary.headers.insert("cookie", HeaderValue::from_bytes(b"__Host-doorward-auth=\xff").unwrap());
    binary.headers.insert("accept", HeaderValue::from_bytes(b"\xff").unwrap());
    binary.headers.insert("content-type", HeaderValue::from_bytes(b"\xff").unwrap());
    let query = |query: &str| call(method, &format!("{path}?{query}"));
    let huge = format!("token={MARK}&x={}", "x".repeat(BODY_LIMIT));
    vec![
        ("nothing", plain()),
        ("a long token", plain().header("authorization", &long)),
        ("bytes in headers", binary),
        ("a repeated parameter", query(&format!("client_id={MARK}&client_id={MARK}"))),
        ("bytes in the query", query(&format!("client_id=%ff{MARK}&state=%00"))),
        ("NUL in the query", query(&format!("client_id=%00{MARK}"))),
        ("script in the query", query(&format!("client_id=<script>{MARK}</script>"))),
        ("a huge body", plain().form(huge.as_bytes())),
        ("bytes in the body", plain().form(format!("token={MARK}%ff").as_bytes())),
        ("raw bytes", plain().form(b"\xff\x00\xfe=\x01")),
        ("a repeated field", plain().form(format!("token={MARK}&token={MARK}").as_bytes())),
        ("another kind of body", plain().header("content-type", "application/json").body(MARK.as_bytes())),
        ("deep JSON", plain().header("content-type", "application/json").body("[".repeat(60_000).as_bytes())),
        ("two credentials", plain().bearer(MARK).basic("web", MARK)),
        ("credentials and more", plain().basic(MARK, MARK).form(format!("client_secret={MARK}").as_bytes())),
        (
            "many parameters",
            query(&(0..2000).map(|number| format!("p{number}=")).collect::<Vec<_>>().join("&")),
        ),
    ]
}

fn header<'a>(answer: &'a Answer, name: &str) -> &'a str {
    answer.headers().get(name).map_or("", |value| value.to_str().unwrap_or("bytes"))
}

#[tokio::test]
async fn whatever_is_sent_the_answer_is_one_and_repeats_nothing() {
    let test = TestServer::start().await;
    for (method, path) in ENDPOINTS {
        for (name, request) in hostile(method, path) {
            let answer = test.send(request).await;
            let place = format!("{method} {path}, {name}: {}", answer.status());
            assert!(answer.status().as_u16() < 500, "{place}");
            assert!(!String::from_utf8_lossy(answer.body()).contains(MARK), "{place}");
            assert!(
                answer
                    .headers()
                    .values()
                    .all(|value| !value.as_bytes().windows(12).any(|part| part == MARK.as_bytes())),
                "{place}"
            );
        }
    }
}

#[tokio::test]
async fn every_answer_forbids_framing_sniffing_and_keeping() {
    let test = TestServer::start().await;
    for (method, path) in ENDPOINTS {
        for method in [method, "PATCH", "TRACE"] {
            let answer = test.send(call(method, path)).await;
            assert_eq!(header(&answer, "x-content-type-options"), "nosniff", "{path}");
            assert_eq!(header(&answer, "x-frame-options"), "DENY", "{path}");
            assert_eq!(header(&answer, "referrer-policy"), "no-referrer", "{path}");
            assert!(header(&answer, "content-security-policy").contains("frame-ancestors 'none'"), "{path}");
            let is_public = path.contains("well-known") || path.contains("jwks") || path.contains("style");
            let kept = if is_public && method == "GET" { "public, max-age=3600" } else { "no-store" };
            assert_eq!(header(&answer, "cache-control"), kept, "{method} {path}");
            let known = path != "/oauth/nothing";
            if method != "GET" && method != "POST" && method != "DELETE" && known {
                assert_eq!(answer.status(), 405, "{method} {path}");
                assert!(
                    header(&answer, "allow").parse::<Method>().is_ok()
                        || header(&answer, "allow").contains(", ")
                );
            }
        }
    }
}

/// Redis that answers, and records in it.
async fn in_redis() -> (Redis, Records) {
    let redis = Redis::start(&[]);
    let servers = RedisServers::Single(redis.url().parse().unwrap());
    let config = RecordsConfig::Redis {
        servers: Box::new(RedisConfig::new(servers)),
        prefix: RecordsPrefix::default(),
    };
    for _ in 0..400 {
        match Records::open(config.clone()).await {
            Err(error) if error.is_unavailable() => tokio::time::sleep(Duration::from_millis(25)).await,
            opened => return (redis, opened.unwrap()),
        }
    }
    panic!("Redis does not answer")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a41_one_code_is_redeemed_once_among_several_instances() {
    let (_redis, records) = in_redis().await;
    let test = TestServer::over(records, config(), Rules::default()).await;
    let second = Arc::new(crate::OAuthServer::new(config(), Arc::clone(&test.accounts)).unwrap());
    let second = TestServer { server: second, ..test.clone() };
    test.accounts.keys(NOW).await.unwrap();
    let code = test.code("web", "openid").await;
    let mut tries = JoinSet::new();
    for number in 0..50 {
        let (test, code) = (if number % 2 == 0 { test.clone() } else { second.clone() }, code.clone());
        tries.spawn(async move { test.post(redeem(&code).basic("web", "web-secret")).await.0 });
    }
    let mut statuses = tries.join_all().await;
    statuses.sort_unstable();
    assert_eq!((statuses[0], statuses[1], statuses[49]), (200, 400, 400));
}

#[tokio::test]
async fn a_store_that_does_not_answer_is_neither_a_yes_nor_a_no() {
    let (redis, records) = in_redis().await;
    let test = TestServer::over(records, config(), Rules::default()).await;
    let tokens = test.tokens("openid offline_access user:full").await;
    let code = test.code("web", "openid").await;
    let access = text(&tokens, "access_token").to_owned();
    let caller = UserInfo { name: "reviewer".to_owned(), uid: "1".to_owned(), ..UserInfo::default() };
    drop(redis);
    let form = |path: &str, body: &str| call("POST", path).form(body.as_bytes()).basic("web", "web-secret");
    for (name, request) in [
        ("code", redeem(&code).basic("web", "web-secret")),
        (
            "refresh",
            form(
                "/oauth/token",
                &format!("grant_type=refresh_token&refresh_token={}", text(&tokens, "refresh_token")),
            ),
        ),
        ("client", form("/oauth/token", "grant_type=client_credentials&scope=orders:read")),
        (
            "generated secret",
            call("POST", "/oauth/token").form(b"grant_type=refresh_token").basic("proxy", "x"),
        ),
        ("introspect", form("/oauth/introspect", &format!("token={access}"))),
        ("introspect by a bearer", call("POST", "/oauth/introspect").form(b"token=x").bearer(&access)),
        (
            "introspect a refresh token",
            form("/oauth/introspect", &format!("token={}", text(&tokens, "refresh_token"))),
        ),
        ("revoke", form("/oauth/revoke", &format!("token={access}"))),
        ("userinfo", call("GET", "/oauth/userinfo").bearer(&access)),
    ] {
        let answer = test.send(request).await;
        assert_eq!((answer.status().as_u16(), header(&answer, "retry-after")), (503, "5"), "{name}");
        assert_eq!(text(&document(&answer), "error"), "temporarily_unavailable", "{name}");
    }
    let review = format!(r#"{{"spec":{{"token":"{access}"}}}}"#);
    let review = call("POST", "/apis/authentication.k8s.io/v1/tokenreviews").body(review.as_bytes());
    let whoami = call("GET", "/apis/user.openshift.io/v1/users/~");
    let tokens = call("GET", "/apis/oauth.openshift.io/v1/useroauthaccesstokens");
    for request in [review, whoami, tokens] {
        let answer = test.send(request.from(caller.clone())).await;
        assert_eq!(
            (answer.status().as_u16(), text(&document(&answer), "reason")),
            (503, "ServiceUnavailable")
        );
    }
    for (event, path) in [
        ("logout", "/oauth/logout"),
        ("authorize", "/oauth/authorize?client_id=web&response_type=code"),
        ("consent", "/oauth/authorize/approve?interaction=x"),
    ] {
        let events = Events::default();
        let asked =
            call("GET", path).header("cookie", "__Host-doorward-auth=x").header("accept", "text/html");
        let answer = test.send(asked).with_subscriber(events.clone()).await;
        assert_eq!(answer.status(), 503, "{event}");
        assert!(str::from_utf8(answer.body()).unwrap().contains("cannot be answered just now"), "{event}");
        assert_eq!(*events.0.lock().unwrap(), [event]);
    }
    // The keys are known for a while yet.
    assert_eq!(test.send(call("GET", "/oauth/jwks")).await.status(), 200);
}
