use std::{
    io::{Read, Write},
    net::TcpListener,
    sync::{
        Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
};

use doorward_jose::Algorithm;
use doorward_oidc::{ClientSecret, IssuerKeys, IssuerKeysConfig, Trust};
use doorward_testkit::{Provider, Token};
use http::{HeaderMap, HeaderValue, header::AUTHORIZATION};
use serde_json::json;

use super::*;
use crate::gateway::{
    Authenticator, CookieTokens, Finding, Kind, Presented, Sources,
    jwt::{JwtConfig, Revocation},
};

const NOW: i64 = 1_800_000_000;

fn after(seconds: i64) -> Timestamp {
    Timestamp::from_seconds(NOW + seconds)
}

/// What the server does with a question.
#[derive(Clone)]
enum Reply {
    Says(&'static str, &'static str, String),
    /// No answer.
    Hang,
}

fn secret_in(place: ClientAuth) -> ClientAuthentication {
    ClientAuthentication::SecretIn(ClientSecret::Inline("s3cret".into()), place)
}

fn json(value: &Value) -> Reply {
    Reply::Says("200 OK", "application/json", value.to_string())
}

fn status(line: &'static str) -> Reply {
    Reply::Says(line, "text/plain", "no".to_owned())
}

/// A server that gives the same answer to everybody who shows what is expected.
struct Server {
    url: Url,
    asked: Arc<AtomicUsize>,
    reply: Arc<Mutex<Reply>>,
}

impl Server {
    /// What it is asked has to hold all of `parts`.
    fn start(reply: Reply, parts: &'static [&'static str]) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = Url::parse(&format!("http://{}/introspect", listener.local_addr().unwrap())).unwrap();
        let (asked, reply) = (Arc::new(AtomicUsize::new(0)), Arc::new(Mutex::new(reply)));
        let (count, says) = (Arc::clone(&asked), Arc::clone(&reply));
        thread::spawn(move || {
            // Connections that get no answer.
            let mut hanging = Vec::new();
            for stream in listener.incoming() {
                let mut stream = stream.unwrap();
                let (mut request, mut part) = (Vec::new(), [0; 4096]);
                while !String::from_utf8_lossy(&request).contains("token_type_hint=access_token") {
                    let length = stream.read(&mut part).unwrap();
                    request.extend_from_slice(&part[..length]);
                }
                count.fetch_add(1, Ordering::SeqCst);
                let request = String::from_utf8(request).unwrap();
                let complete = parts.iter().all(|part| request.contains(part));
                match says.lock().unwrap().clone() {
                    Reply::Says(status, media, body) => {
                        let (status, length) = (if complete { status } else { "418 Teapot" }, body.len());
                        let head = format!("HTTP/1.1 {status}\r\nContent-Type: {media}\r\n");
                        let rest = format!("Content-Length: {length}\r\nConnection: close\r\n\r\n{body}");
                        stream.write_all((head + &rest).as_bytes()).unwrap();
                    }
                    Reply::Hang => hanging.push(stream),
                }
            }
        });
        Self { url, asked, reply }
    }

    fn says(&self, reply: Reply) {
        *self.reply.lock().unwrap() = reply;
    }

    fn asked(&self) -> usize {
        self.asked.load(Ordering::SeqCst)
    }

    fn config(&self) -> IntrospectionConfig {
        IntrospectionConfig {
            url: self.url.clone(),
            client_id: "gate".into(),
            client_authentication: secret_in(ClientAuth::Basic),
            accept: Accept::Json,
            cache: Introspection::LONGEST_CACHE,
            issuer: "https://as.example".into(),
            audiences: Vec::new(),
            names: ClaimNames::default(),
            http: HttpConfig { trust: Trust::Files(Vec::new()), ..HttpConfig::default() },
        }
    }

    fn authenticator(&self) -> Authenticator {
        authenticator(self.config())
    }
}

fn authenticator(config: IntrospectionConfig) -> Authenticator {
    let server = Box::new(Introspection::new(config).unwrap());
    Authenticator::new("partner".into(), Kind::Introspection(server, Sources::default()))
}

async fn ask(authenticator: &Authenticator, token: &str, now: Timestamp) -> Finding {
    let mut headers = HeaderMap::new();
    headers.insert(AUTHORIZATION, HeaderValue::try_from(format!("Bearer {token}")).unwrap());
    let presented = Presented {
        headers: &headers,
        query: None,
        certificates: None,
        of_connection: None,
        cookies: CookieTokens::Count,
        now,
    };
    authenticator.attempt(&presented).await
}

/// The name of who was found, or the description.
async fn found(authenticator: &Authenticator, token: &str, now: Timestamp) -> String {
    match ask(authenticator, token, now).await {
        Finding::User(user) => user.user.name.clone(),
        Finding::Refused(refusal) => format!("{:?}", refusal.description),
        Finding::Unavailable(_) => "unavailable".to_owned(),
        Finding::Nothing => "nothing".to_owned(),
    }
}

fn active(changes: Value) -> Value {
    let mut answer = json!({
        "active": true, "sub": "alice", "client_id": "web", "scope": "orders:read", "token_type": "Bearer",
        "exp": NOW + 600, "iss": "https://as.example",
    });
    let (Some(all), Value::Object(changes)) = (answer.as_object_mut(), changes) else { panic!() };
    all.extend(changes);
    all.retain(|_, value| !value.is_null());
    answer
}

#[tokio::test]
async fn b16_what_the_server_says_counts_and_what_it_cannot_say_is_no_refusal() {
    for (reply, expected) in [
        (json(&active(json!({}))), "alice"),
        (json(&json!({"active": false})), "Untold"),
        (json(&json!({"active": false, "sub": "alice"})), "Untold"),
        (Reply::Says("204 No Content", "text/plain", String::new()), "Untold"),
        (json(&active(json!({"active": "true"}))), "unavailable"),
        (json(&active(json!({"active": 1}))), "unavailable"),
        (json(&active(json!({"active": null}))), "unavailable"),
        (json(&json!([])), "unavailable"),
        (Reply::Says("200 OK", "application/json", "{\"active\": tr".into()), "unavailable"),
        (Reply::Says("200 OK", "application/jwt", "a.b.c".into()), "unavailable"),
        (status("401 Unauthorized"), "unavailable"),
        (status("403 Forbidden"), "unavailable"),
        (status("400 Bad Request"), "unavailable"),
        (status("302 Found"), "unavailable"),
        (status("500 Broken"), "unavailable"),
    ] {
        let shown = match &reply {
            Reply::Says(line, _, body) => format!("{line} {body}"),
            Reply::Hang => String::new(),
        };
        let server = Server::start(reply, &[]);
        assert_eq!(found(&server.authenticator(), "t", after(0)).await, expected, "{shown}");
    }
}

/// The clock stands still but for waiting.
#[tokio::test(start_paused = true)]
async fn b16_a_server_that_is_slow_or_away_is_no_refusal() {
    let server = Server::start(Reply::Hang, &[]);
    assert_eq!(found(&server.authenticator(), "t", after(0)).await, "unavailable");
    let nowhere = Url::parse("http://127.0.0.1:1/").unwrap();
    let away = authenticator(IntrospectionConfig { url: nowhere, ..server.config() });
    assert_eq!(found(&away, "t", after(0)).await, "unavailable");
}

#[tokio::test]
async fn b16_an_answer_has_to_be_about_an_access_token_for_us() {
    for (changes, audiences, expected) in [
        (json!({"iss": "https://other.example"}), &[][..], "Issuer"),
        (json!({"iss": null}), &[], "alice"),
        (json!({"aud": ["api", "x"]}), &["api"], "alice"),
        (json!({"aud": "api"}), &["api"], "alice"),
        (json!({"aud": "x"}), &["api"], "Audience"),
        (json!({}), &["api"], "Audience"),
        (json!({"client_id": "api"}), &["api"], "Audience"),
        (json!({"exp": NOW}), &[], "Expired"),
        (json!({"exp": NOW - 60}), &[], "Untold"),
        (json!({"exp": "soon"}), &[], "Untold"),
        (json!({"exp": null}), &[], "alice"),
        (json!({"nbf": NOW + 60}), &[], "NotYetValid"),
        (json!({"exp": null, "nbf": NOW + 60}), &[], "NotYetValid"),
        (json!({"exp": null, "nbf": "soon"}), &[], "Untold"),
        (json!({"cnf": {"jkt": "0ZcOCORZNYy-DWpqq30jZyJGHTN0d2HglBV3uiguA4I"}}), &[], "Untold"),
        (json!({"token_type": "refresh_token"}), &[], "Untold"),
        (json!({"token_type": "DPoP"}), &[], "Untold"),
        (json!({"token_type": "bearer"}), &[], "alice"),
        (json!({"token_type": null}), &[], "alice"),
        (json!({"token_use": "refresh_token"}), &[], "Untold"),
        (json!({"typ": "Refresh"}), &[], "Untold"),
        (json!({"typ": "ID"}), &[], "Untold"),
        (json!({"typ": "Bearer"}), &[], "alice"),
        (json!({"sub": null}), &[], "client:web"),
        (json!({"sub": null, "client_id": null}), &[], "Untold"),
        (json!({"sub": "system:admin"}), &[], "Untold"),
    ] {
        let server = Server::start(json(&active(changes.clone())), &[]);
        let audiences = audiences.iter().map(ToString::to_string).collect();
        let authenticator = authenticator(IntrospectionConfig { audiences, ..server.config() });
        assert_eq!(found(&authenticator, "t", after(0)).await, expected, "{changes}");
    }
}

#[tokio::test]
async fn b16_we_prove_who_we_are_and_nothing_of_it_is_told() {
    const BASIC: &[&str] = &[
        "authorization: Basic Z2F0ZTpzM2NyZXQ=",
        "accept: application/json",
        "token=a%2Bb%26c&token_type_hint",
    ];
    const POST: &[&str] = &["client_id=gate&client_secret=s3cret"];
    for (parts, auth) in [(BASIC, ClientAuth::Basic), (POST, ClientAuth::Post)] {
        let server = Server::start(json(&active(json!({}))), parts);
        // The form is complete once its last parameter has come; those of `Post` come after the hint.
        let config = IntrospectionConfig { client_authentication: secret_in(auth), ..server.config() };
        assert_eq!(found(&authenticator(config), "a+b&c", after(0)).await, "alice", "{auth:?}");
    }
    let server = Server::start(status("401 Unauthorized"), &[]);
    let Finding::Unavailable(why) = ask(&server.authenticator(), "raw-token", after(0)).await else {
        panic!()
    };
    assert!(
        why.contains("does not know us") && !why.contains("s3cret") && !why.contains("raw-token"),
        "{why}"
    );
}

#[tokio::test]
async fn b17_answers_are_kept_for_their_time_and_a_revoked_token_ends_with_it() {
    let server = Server::start(json(&active(json!({}))), &[]);
    let partner = server.authenticator();
    for _ in 0..100 {
        assert_eq!(found(&partner, "t", after(0)).await, "alice");
    }
    assert_eq!(server.asked(), 1);
    server.says(json(&json!({"active": false})));
    for (token, seconds, expected, asked) in [
        ("t", 29, "alice", 1),
        ("u", 29, "Untold", 2),
        ("t", 30, "Untold", 3),
        ("t", 34, "Untold", 3),
        ("t", 35, "Untold", 4),
        ("t", -40, "Untold", 5),
    ] {
        assert_eq!(found(&partner, token, after(seconds)).await, expected, "{token} {seconds}");
        assert_eq!(server.asked(), asked, "{token} {seconds}");
    }
}

#[tokio::test]
async fn b17_nothing_is_kept_beyond_the_end_of_a_token_and_nothing_where_that_is_forbidden() {
    let server = Server::start(json(&active(json!({"exp": NOW + 10}))), &[]);
    let partner = server.authenticator();
    for (seconds, expected, asked) in [(0, "alice", 1), (9, "alice", 1), (10, "Expired", 2)] {
        assert_eq!(found(&partner, "t", after(seconds)).await, expected);
        assert_eq!(server.asked(), asked, "{seconds}");
    }
    let server = Server::start(json(&active(json!({}))), &[]);
    let partner = authenticator(IntrospectionConfig { cache: Duration::ZERO, ..server.config() });
    for asked in 1..4 {
        assert_eq!(found(&partner, "t", after(0)).await, "alice");
        assert_eq!(server.asked(), asked);
    }
}

#[tokio::test]
async fn b17_many_who_ask_about_a_token_cause_one_question_also_if_it_fails() {
    for (reply, expected) in [(json(&active(json!({}))), "alice"), (status("503 Busy"), "unavailable")] {
        let server = Server::start(reply, &[]);
        let partner = Arc::new(server.authenticator());
        let tasks: Vec<_> = (0..100)
            .map(|_| {
                let partner = Arc::clone(&partner);
                tokio::spawn(async move { found(&partner, "t", after(0)).await })
            })
            .collect();
        for task in tasks {
            assert_eq!(task.await.unwrap(), expected);
        }
        assert_eq!(server.asked(), 1);
        assert_eq!(found(&partner, "u", after(0)).await, expected);
        assert_eq!(server.asked(), 2, "another token is another question");
        server.says(json(&active(json!({"sub": "bob"}))));
        assert_eq!(found(&partner, "t", after(40)).await, "bob");
    }
}

#[tokio::test]
async fn two_authenticators_never_share_an_answer() {
    let (first, second) =
        (Server::start(json(&active(json!({}))), &[]), Server::start(json(&json!({"active": false})), &[]));
    assert_eq!(found(&first.authenticator(), "t", after(0)).await, "alice");
    assert_eq!(found(&second.authenticator(), "t", after(0)).await, "Untold");
}

fn signed_by(issuer: &Provider) -> Box<JwtAuthorizer> {
    let keys = IssuerKeysConfig {
        issuer: issuer.issuer(),
        jwks_uri: None,
        max_age: IssuerKeys::LONGEST_AGE,
        http: HttpConfig { trust: Trust::Files(Vec::new()), ..HttpConfig::default() },
    };
    let config = JwtConfig {
        issuer: issuer.issuer(),
        audiences: vec!["api".into()],
        algorithms: vec![Algorithm::Rs256],
        leeway: JwtAuthorizer::USUAL_LEEWAY,
        types: Vec::new(),
        required_claims: Vec::new(),
        names: ClaimNames::default(),
        keys: IssuerKeys::new(keys).unwrap(),
        revocation: Revocation::None,
    };
    Box::new(JwtAuthorizer::new(config).unwrap())
}

#[tokio::test]
async fn b16_a_signed_answer_is_verified() {
    let issuer = Provider::start();
    let typed = |typ: &str| {
        let header = json!({ "typ": typ });
        Token { header: header.as_object().unwrap().clone(), ..Token::default() }
    };
    let signed = |media, token: String| Reply::Says("200 OK", media, token);
    let (jwt, answer) = ("application/jwt", "application/token-introspection+jwt");
    let phantom = |aud: &str, exp: i64| {
        typed("at+jwt").sign(&json!({"iss": issuer.issuer(), "aud": aud, "sub": "alice", "exp": exp}))
    };
    let told = |typ: &str, aud: &str, iss: &str, members: Value| {
        typed(typ).sign(&json!({"iss": iss, "aud": aud, "iat": NOW, "token_introspection": members}))
    };
    let (ours, members) = (issuer.issuer(), active(json!({"iss": null})));
    let type_name = "token-introspection+jwt";
    for (reply, expected) in [
        (signed(jwt, phantom("api", NOW + 600)), "alice"),
        (signed(jwt, phantom("theirs", NOW + 600)), "Audience"),
        (signed(jwt, phantom("api", NOW - 600)), "Expired"),
        (signed(jwt, "a.b.c".to_owned()), "unavailable"),
        (signed(answer, told(type_name, "gate", &ours, members.clone())), "alice"),
        (signed(jwt, told(type_name, "gate", &ours, members.clone())), "alice"),
        (signed(answer, told(type_name, "gate", &ours, json!({"active": false}))), "Untold"),
        (signed(answer, told(type_name, "other-client", &ours, members.clone())), "unavailable"),
        (signed(answer, told(type_name, "gate", "https://other.example", members.clone())), "unavailable"),
        (signed(answer, told(type_name, "gate", &ours, json!("active"))), "unavailable"),
        // Claims about a token are not claims of one.
        (signed(answer, told("at+jwt", "gate", &ours, members.clone())), "Audience"),
        (json(&members), "unavailable"),
        (json(&json!({"active": false})), "Untold"),
        (Reply::Says("204 No Content", "text/plain", String::new()), "Untold"),
    ] {
        let shown = match &reply {
            Reply::Says(_, media, body) => format!("{media} {body:.60}"),
            Reply::Hang => String::new(),
        };
        let server = Server::start(reply, &["accept: application/jwt, application/token-introspection+jwt"]);
        let accept = Accept::Jwt(signed_by(&issuer));
        let partner = authenticator(IntrospectionConfig { accept, ..server.config() });
        assert_eq!(found(&partner, "t", after(0)).await, expected, "{shown}");
    }
}

#[tokio::test]
async fn what_nobody_should_configure_is_refused() {
    let server = Server::start(Reply::Hang, &[]);
    let in_clear = Url::parse("http://as.example/introspect").unwrap();
    let refused = |config| Introspection::new(config).err();
    assert_eq!(
        refused(IntrospectionConfig { url: in_clear, ..server.config() }),
        Some(InvalidIntrospection::InClear)
    );
    let long = Duration::from_secs(31);
    assert_eq!(
        refused(IntrospectionConfig { cache: long, ..server.config() }),
        Some(InvalidIntrospection::Cache(long))
    );
}
