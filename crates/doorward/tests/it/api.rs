//! Requests of programs (`apiAuth` of doorward.yaml), with real certificates over real TLS. Tests that belong to an
//! acceptance test of the reference begin with its number.

use std::{
    io::{Read, Write},
    net::{SocketAddr, TcpStream},
    sync::Arc,
};

use doorward_testkit::{
    self as testkit, Doorward, Echo, Launch, Provider, Request, certificates, free_address,
};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject};
use serde_json::Value;

use crate::support::{PROGRAM, parts};

const CERTIFICATE: &str = include_str!("tls/certificate.pem");
const KEY: &str = include_str!("tls/key.pem");
const SEAL: &str = "0123456789abcdef0123456789abcdef";
/// Of the user admin.
const PASSWORD: &str = "correct horse battery staple";

/// doorward with these lines below `apiAuth`, over TLS and without.
struct Stage {
    doorward: Doorward,
    tls: SocketAddr,
    echo: Echo,
    _provider: Provider,
}

/// What came back.
#[derive(Debug)]
struct Answer {
    status: u16,
    head: String,
    body: String,
}

impl Answer {
    fn header(&self, name: &str) -> String {
        let lines = self.head.lines().filter_map(|line| line.split_once(": "));
        let mut found = lines.filter(|(own, _)| own.eq_ignore_ascii_case(name));
        found.next().map(|(_, value)| value.to_owned()).unwrap_or_default()
    }

    fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|_| panic!("{self:?}"))
    }

    /// The values of a header that the application saw.
    fn echoed(&self, name: &str) -> Vec<String> {
        let seen = self.json();
        let lines = seen["headers"].as_array().unwrap_or_else(|| panic!("{self:?}"));
        let of =
            |line: &Value| (line[0].as_str().unwrap().to_lowercase(), line[1].as_str().unwrap().to_owned());
        lines.iter().map(of).filter(|(own, _)| own == name).map(|(_, value)| value).collect()
    }
}

impl Stage {
    fn new(api: &str, flags: &[&str]) -> Self {
        let (tls, metrics) = (free_address(), free_address());
        Self::launch(api, tls, |launch| {
            launch
                .flags(["--tls-cert-file={file:certificate.pem}", "--tls-key-file={file:key.pem}"])
                .flag(&format!("--https-address={tls}"))
                .flag(&format!("--metrics-address={metrics}"))
                .flags(flags.iter().copied())
                .start_at(metrics)
        })
    }

    /// The same without TLS, with the built-in server.
    fn plain(api: &str) -> Self {
        Self::launch(api, free_address(), Launch::start)
    }

    /// A token of the user admin, as tools on command lines get it.
    fn token(&self) -> String {
        let question = "/oauth/authorize?response_type=token&client_id=openshift-challenging-client";
        let request = Request::get(question).header("X-CSRF-Token", "1").basic("admin", PASSWORD);
        let answer = self.doorward.browser().send(request);
        let fragment =
            answer.location().split_once("access_token=").unwrap_or_else(|| panic!("{answer:?}")).1;
        fragment.split('&').next().unwrap().to_owned()
    }

    /// The answer to a request with these lines, without TLS.
    fn ask(&self, lines: &[(&str, &str)]) -> testkit::Answer {
        let request =
            lines.iter().fold(Request::get("/x"), |request, (name, value)| request.header(name, value));
        self.doorward.browser().send(request)
    }

    fn launch(api: &str, tls: SocketAddr, start: impl FnOnce(Launch) -> Doorward) -> Self {
        let (provider, echo) = parts();
        let launch = Launch::new(PROGRAM, &provider, &echo)
            .flag("--doorward-config={file:doorward.yaml}")
            .file("certificate.pem", CERTIFICATE)
            .file("key.pem", KEY)
            .file("clients.pem", certificates::CLIENTS)
            .file("clients.crl", certificates::CLIENTS_CRL)
            .file("proxies.pem", certificates::PROXIES)
            .private_file("seal", SEAL)
            .private_file("password", PASSWORD)
            .private_file("own-token", "own-secret\n");
        let folder = launch.folder();
        let server = "authServer:\n  enabled: true\n  issuer: http://ADDRESS\n  kubernetesAPI: true\n  store: {type: memory}\n  \
                      secretKeyFile: FOLDER/seal\n  bootstrapPasswordFile: FOLDER/password\n";
        // What stands before `apiAuth` belongs to the server.
        let (own, api) = api.split_once("apiAuth:\n").unwrap_or(("", api));
        let yaml = format!("{server}{own}apiAuth:\n{api}").replace("FOLDER", &folder);
        let yaml = yaml.replace("ADDRESS", &launch.address.to_string());
        let launch = launch.file("doorward.yaml", &yaml);
        Self { doorward: start(launch), tls, echo, _provider: provider }
    }

    /// Sends a request over TLS with this certificate; empty for none.
    fn send(&self, certificate: &str, lines: &[&str]) -> Answer {
        let mut text = String::from("GET /x HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n");
        for line in lines {
            text.push_str(line);
            text.push_str("\r\n");
        }
        self.exchange(certificate, &format!("{text}\r\n"))
    }

    fn connect(&self, certificate: &str) -> rustls::StreamOwned<rustls::ClientConnection, TcpStream> {
        let mut roots = rustls::RootCertStore::empty();
        roots.add(CertificateDer::from_pem_slice(CERTIFICATE.as_bytes()).unwrap()).unwrap();
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let builder = rustls::ClientConfig::builder_with_provider(provider);
        let builder = builder.with_safe_default_protocol_versions().unwrap().with_root_certificates(roots);
        let config = if certificate.is_empty() {
            builder.with_no_client_auth()
        } else {
            let chain = CertificateDer::pem_slice_iter(certificate.as_bytes());
            let key = PrivateKeyDer::from_pem_slice(certificates::KEY.as_bytes()).unwrap();
            builder.with_client_auth_cert(chain.map(Result::unwrap).collect(), key).unwrap()
        };
        let session = rustls::ClientConnection::new(Arc::new(config), "localhost".try_into().unwrap());
        rustls::StreamOwned::new(session.unwrap(), TcpStream::connect(self.tls).unwrap())
    }

    fn exchange(&self, certificate: &str, text: &str) -> Answer {
        let mut stream = self.connect(certificate);
        stream.write_all(text.as_bytes()).unwrap();
        let mut bytes = Vec::new();
        // A 101 keeps the connection: its head is all there is to read.
        let mut part = [0; 4096];
        loop {
            match stream.read(&mut part) {
                Ok(0) | Err(_) => break,
                Ok(length) => bytes.extend_from_slice(&part[..length]),
            }
            if bytes.starts_with(b"HTTP/1.1 101") && bytes.ends_with(b"\r\n\r\n") {
                break;
            }
        }
        let text = String::from_utf8(bytes).unwrap();
        let (head, body) = text.split_once("\r\n\r\n").unwrap_or_else(|| panic!("{text:?}"));
        let status = head.split(' ').nth(1).unwrap().parse().unwrap();
        Answer { status, head: head.to_owned(), body: body.to_owned() }
    }
}

const X509: &str = "  x509: {clientCA: FOLDER/clients.pem}\n";
const ANONYMOUS: &str = "  anonymous: {enabled: true}\n";
const REMOTE: &str = "  identity: x-remote\n";
const FRONT: &str = "  requestHeader: {clientCA: FOLDER/proxies.pem, allowedNames: [edge]}\n";

fn stage(parts: &[&str]) -> Stage {
    Stage::new(&parts.concat(), &[])
}

#[track_caller]
fn unauthorized(answer: &Answer, challenge: &str) {
    assert_eq!(answer.status, 401, "{answer:?}");
    assert_eq!(answer.header("www-authenticate"), challenge);
    assert_eq!(answer.header("cache-control"), "no-store");
    assert_eq!(answer.header("content-type"), "application/json");
    let status = answer.json();
    assert_eq!((status["kind"].as_str(), status["code"].as_u64()), (Some("Status"), Some(401)));
}

const BARE: &str = "Bearer realm=\"proxy\"";

#[test]
fn a01_nobody_is_anonymous_where_that_is_allowed() {
    let stage = stage(&[X509, ANONYMOUS, REMOTE]);
    let answer = stage.send("", &[]);
    assert_eq!(answer.echoed("x-remote-user"), ["system:anonymous"]);
    assert_eq!(answer.echoed("x-remote-group"), ["system:unauthenticated"]);
    assert_eq!(answer.echoed("x-forwarded-user"), ["system:anonymous"]);
}

#[test]
fn a01_anonymous_paths_are_open_and_others_are_not() {
    let stage = stage(&[X509, REMOTE, "  anonymous: {enabled: true, paths: [/healthz, /public/*]}\n"]);
    for (target, status) in [("/healthz", 200), ("/public/a", 200), ("/", 401), ("/healthz/x", 401)] {
        let answer =
            stage.exchange("", &format!("GET {target} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"));
        assert_eq!(answer.status, status, "{target} {answer:?}");
    }
}

#[test]
fn a02_without_a_credential_programs_get_a_status_and_browsers_a_login() {
    let stage = stage(&[X509]);
    unauthorized(&stage.send("", &["Accept: application/json"]), BARE);
    unauthorized(&stage.send("", &[]), BARE);
    let page = stage.send("", &["Accept: text/html"]);
    assert_eq!((page.status, page.header("content-type").as_str()), (403, "text/html; charset=utf-8"));
    let api = stage
        .exchange("", "GET /apis/x HTTP/1.1\r\nHost: a\r\nAccept: text/html\r\nConnection: close\r\n\r\n");
    unauthorized(&api, BARE);
    // The same question by a forward-auth proxy.
    let asked = "GET /oauth2/auth HTTP/1.1\r\nHost: a\r\nAccept: */*\r\nConnection: close\r\n\r\n";
    unauthorized(&stage.exchange("", asked), BARE);
    assert_eq!(stage.exchange(certificates::BOB, asked).status, 202);
}

#[test]
fn a07_two_authorization_lines_are_refused() {
    let stage = stage(&[X509, ANONYMOUS]);
    let answer = stage.send(certificates::BOB, &["Authorization: Bearer a", "Authorization: Bearer a"]);
    assert_eq!((answer.status, answer.json()["reason"].as_str()), (400, Some("BadRequest")));
}

#[test]
fn a08_a_token_in_the_query_counts_nowhere_and_stands_in_no_log() {
    let mut stage = stage(&[X509]);
    for target in ["/x?access_token=hunter2", "/x?access%5Ftoken=hunter2"] {
        let text = format!("GET {target} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
        assert_eq!(stage.exchange("", &text).status, 401);
    }
    assert!(!stage.doorward.whole_log().contains("hunter2"));
}

#[test]
fn a14_a_certificate_says_who_somebody_is() {
    let stage = stage(&[X509, REMOTE]);
    let answer = stage.send(certificates::BOB, &["Authorization: Basic abc"]);
    assert_eq!(answer.echoed("x-remote-user"), ["bob"]);
    assert_eq!(answer.echoed("x-remote-group"), ["dev", "ops", "system:authenticated"]);
    let id = answer.echoed("x-remote-extra-authentication.kubernetes.io%2fcredential-id");
    assert!(id.len() == 1 && id[0].starts_with("X509SHA256="), "{id:?}");
    assert_eq!(answer.echoed("x-forwarded-groups"), ["dev,ops,system:authenticated"]);
    assert!(answer.echoed("authorization").is_empty(), "it was for us");
    let carol = stage.send(certificates::CAROL, &[]);
    assert_eq!(
        (carol.echoed("x-remote-user"), carol.echoed("x-remote-uid")),
        (vec!["carol".into()], vec!["c-1".into()])
    );
}

#[test]
fn a15_a17_a20_a_bad_certificate_gets_an_answer_and_no_broken_handshake() {
    let stage = stage(&[X509, ANONYMOUS, REMOTE]);
    for certificate in [
        certificates::STRANGER,
        certificates::EXPIRED,
        certificates::FUTURE,
        certificates::SERVER_ONLY,
        certificates::TWO_UIDS,
        certificates::RESERVED_NAME,
        certificates::FRANK_ALONE,
    ] {
        unauthorized(&stage.send(certificate, &[]), BARE);
    }
    assert_eq!(stage.send(certificates::NAMELESS, &[]).echoed("x-remote-user"), ["system:anonymous"]);
    assert_eq!(stage.send(certificates::FRANK_CHAIN, &[]).echoed("x-remote-user"), ["frank"]);
    let dave = stage.send(certificates::RESERVED_GROUPS, &[]);
    assert_eq!(dave.echoed("x-remote-group"), ["dev", "system:authenticated"]);
    stage.doorward.wait_for_log("credential_refused");
    stage.doorward.wait_for_log("x509 X509SHA256=");
}

#[test]
fn a15_an_open_connection_is_judged_anew_when_the_authorities_change() {
    let stage = stage(&[X509]);
    let mut connection = stage.connect(certificates::BOB);
    let mut status = || {
        connection.write_all(b"HEAD /x HTTP/1.1\r\nHost: localhost\r\n\r\n").unwrap();
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            let mut byte = [0];
            connection.read_exact(&mut byte).unwrap();
            head.extend(byte);
        }
        String::from_utf8(head).unwrap().split(' ').nth(1).unwrap().to_owned()
    };
    assert_eq!([status(), status()], ["200", "200"]);
    stage.doorward.reload_with("clients.pem", certificates::PROXIES);
    assert_eq!([status(), status()], ["401", "401"]);
    stage.doorward.reload_with("clients.pem", certificates::CLIENTS);
    assert_eq!(status(), "200");
}

#[test]
fn a_revoked_certificate_is_none() {
    let x509 = "  x509: {clientCA: FOLDER/clients.pem, crlFiles: [FOLDER/clients.crl]}\n";
    let stage = stage(&[x509]);
    unauthorized(&stage.send(certificates::REVOKED, &[]), BARE);
    assert_eq!(stage.send(certificates::BOB, &[]).status, 200);
}

#[test]
fn a18_a19_a_proxy_in_front_names_people_and_nobody_else_does() {
    let stage = stage(&[FRONT, X509, REMOTE]);
    let claims = [
        "X-Remote-User: alice",
        "X-Remote-Uid: u-1",
        "X-Remote-Group: dev",
        "X-Remote-Group: system:unauthenticated",
        "X-Remote-Extra-Acme.com%2fProject: p1",
        "X_Remote_User: root",
        "X-Forwarded-User: root",
        "x_forwarded_groups: root",
    ];
    let answer = stage.send(certificates::EDGE, &claims);
    assert_eq!(answer.echoed("x-remote-user"), ["alice"]);
    assert_eq!(answer.echoed("x-remote-uid"), ["u-1"]);
    assert_eq!(answer.echoed("x-remote-group"), ["dev", "system:authenticated"]);
    assert_eq!(answer.echoed("x-remote-extra-acme.com%2fproject"), ["p1"]);
    assert_eq!(answer.echoed("x-forwarded-user"), ["alice"]);
    assert!(!answer.body.contains("root"), "{answer:?}");
    let bob = stage.send(certificates::BOB, &claims);
    assert_eq!(bob.echoed("x-remote-user"), ["bob"]);
    assert!(!bob.body.contains("alice") && !bob.body.contains("u-1"), "{bob:?}");
    unauthorized(&stage.send("", &claims), BARE);
    unauthorized(&stage.send(certificates::OTHER_EDGE, &claims), BARE);
}

#[test]
fn a21_acting_as_somebody_else_is_an_error_where_it_is_off() {
    let stage = stage(&[X509, ANONYMOUS]);
    for line in ["Impersonate-User: alice", "impersonate_user: alice", "Impersonate-Group: dev"] {
        for certificate in [certificates::BOB, ""] {
            let answer = stage.send(certificate, &[line]);
            assert_eq!((answer.status, answer.json()["reason"].as_str()), (403, Some("Forbidden")), "{line}");
        }
    }
    assert!(stage.echo.seen().is_empty());
}

#[test]
fn a22_a_rule_lets_somebody_act_as_others() {
    let rules = "  impersonation:\n    enabled: true\n    rules:\n      - {groups: [ops], mayBe: {users: [alice], groups: [dev]}}\n";
    let mut stage = stage(&[X509, REMOTE, rules]);
    let answer = stage.send(certificates::BOB, &["Impersonate-User: alice", "Impersonate-Group: dev"]);
    assert_eq!(answer.echoed("x-remote-user"), ["alice"]);
    assert_eq!(answer.echoed("x-remote-group"), ["dev", "system:authenticated"]);
    assert!(answer.echoed("impersonate-user").is_empty());
    for (lines, status) in [
        (&["Impersonate-Group: dev"][..], 400),
        (&["Impersonate-User: carol"], 403),
        (&["Impersonate-User: alice", "Impersonate-Group: ops"], 403),
    ] {
        assert_eq!(stage.send(certificates::BOB, lines).status, status, "{lines:?}");
    }
    assert_eq!(stage.send(certificates::CAROL, &["Impersonate-User: alice"]).status, 403);
    unauthorized(&stage.send("", &["Impersonate-User: alice"]), BARE);
    assert!(stage.doorward.whole_log().contains("acting as alice"));
}

#[test]
fn an_api_hears_the_user_and_our_own_credential() {
    let own = "  identity: impersonate\n  impersonate: {tokenFile: FOLDER/own-token}\n";
    let stage = Stage::new(&[X509, own].concat(), &["--skip-auth-route=^/open"]);
    let answer = stage.send(certificates::BOB, &["Authorization: Bearer theirs"]);
    assert_eq!(answer.echoed("impersonate-user"), ["bob"]);
    assert_eq!(answer.echoed("impersonate-group"), ["dev", "ops", "system:authenticated"]);
    assert_eq!(answer.echoed("authorization"), ["Bearer own-secret"]);
    let open = stage.exchange("", "GET /open HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
    assert_eq!(open.status, 200);
    assert!(!open.body.contains("own-secret"), "nobody is nobody, and not us: {open:?}");
}

#[test]
fn an_api_may_know_us_by_a_certificate_and_nobody_acts_as_us() {
    let rules = "  identity: x-remote\n  impersonation:\n    enabled: true\n    rules:\n      - {groups: [ops], mayBe: {users: [carol]}}\n";
    let mut api = Stage::new(&[X509, rules].concat(), &[]);
    let own = "  identity: impersonate\n  impersonate: {certFile: FOLDER/own.pem, keyFile: FOLDER/own-key, caFile: FOLDER/certificate.pem}\n";
    let (tls, metrics) = (free_address(), free_address());
    let stage = Stage::launch(&[X509, own].concat(), tls, |launch| {
        launch
            .without("upstream")
            .flag(&format!("--upstream=https://localhost:{}", api.tls.port()))
            .file("own.pem", certificates::BOB)
            .private_file("own-key", certificates::KEY)
            .flags(["--tls-cert-file={file:certificate.pem}", "--tls-key-file={file:key.pem}"])
            .flag(&format!("--https-address={tls}"))
            .flag(&format!("--metrics-address={metrics}"))
            .flag("--skip-auth-route=^/open")
            .start_at(metrics)
    });
    // The API knows who asks, and as whom; a uid is more than this one lets anybody take on.
    assert_eq!(stage.send(certificates::CAROL, &["Authorization: Bearer theirs"]).status, 403);
    let open = stage.exchange("", "GET /open HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
    // It came as system:anonymous, whom this API lets nobody be; as us it would have passed.
    assert_eq!(open.status, 403, "{open:?}");
    assert!(api.doorward.whole_log().contains("bob by x509"));
}

#[test]
fn policy_decides_about_certificates_too() {
    let stage = Stage::new(X509, &["--allowed-group=dev"]);
    assert_eq!(stage.send(certificates::BOB, &[]).status, 200);
    let carol = stage.send(certificates::CAROL, &[]);
    assert_eq!((carol.status, carol.json()["reason"].as_str()), (403, Some("Forbidden")));
    let page = stage.send(certificates::CAROL, &["Accept: text/html"]);
    assert_eq!((page.status, page.header("content-type").as_str()), (403, "text/html; charset=utf-8"));
}

#[test]
fn a_browsers_session_is_one_of_the_chain() {
    let stage = Stage::plain(REMOTE);
    let mut browser = stage.doorward.browser().logged_in();
    let answer = browser.get("/x");
    assert_eq!(answer.echoed().all("x-remote-user"), ["jane@example.com"]);
    assert_eq!(answer.echoed().all("x-remote-group").last(), Some(&"system:authenticated"));
    let spoofed = browser.send(Request::get("/x").header("X-Remote-User", "root"));
    assert_eq!(spoofed.echoed().all("x-remote-user"), ["jane@example.com"]);
}

#[test]
fn a03_a04_a05_a06_a_token_of_ours_counts_and_a_bad_one_makes_nobody_anonymous() {
    let mut stage = Stage::plain(&[ANONYMOUS, REMOTE].concat());
    let token = stage.token();
    for value in [format!("Bearer {token}"), format!("bEaReR {token} trailing")] {
        let answer = stage.ask(&[("Authorization", &value)]);
        assert_eq!(answer.echoed().all("x-remote-user"), ["admin"], "{value}");
        assert_eq!(answer.echoed().all("x-remote-group").last(), Some(&"system:authenticated"));
        assert!(!answer.text().contains(&token), "it was for us");
    }
    let unknown = format!("Bearer sha256~{}", "x".repeat(43));
    for value in [unknown.as_str(), "Bearer x"] {
        let answer = stage.ask(&[("Authorization", value)]);
        let challenge = answer.header("www-authenticate");
        assert_eq!((answer.status, challenge), (401, "Bearer realm=\"proxy\", error=\"invalid_token\""));
        assert_eq!(answer.json()["reason"], "Unauthorized");
    }
    for value in ["Bearer", &format!("Bearer  {token}"), "Basic eDp5"] {
        let answer = stage.ask(&[("Authorization", value)]);
        assert_eq!(answer.echoed().all("x-remote-user"), ["system:anonymous"], "{value}");
    }
    let log = stage.doorward.whole_log();
    assert!(!log.contains(&token) && log.contains("opaque sha256~"), "{log}");
}

#[test]
fn a09_a10_a11_a13_a_token_may_be_a_subprotocol_and_goes_no_further() {
    let mut stage = Stage::plain(&[ANONYMOUS, REMOTE].concat());
    let token = stage.token();
    let item = |token: &[u8]| {
        format!("base64url.bearer.authorization.k8s.io.{}", base64(token).trim_end_matches('='))
    };
    let good = item(token.as_bytes());
    let open = |stage: &Stage, protocols: &str, authorization: &str| {
        let mut text = format!(
            "GET /ws HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
             Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\
             Sec-WebSocket-Protocol: {protocols}\r\n"
        );
        if !authorization.is_empty() {
            text = format!("{text}Authorization: {authorization}\r\n");
        }
        head(stage.doorward.address, &format!("{text}\r\n"))
    };
    let bearer = format!("Bearer {token}");
    let bad = item(b"sha256~bad");
    for (protocols, authorization) in [(format!("{good}, chat"), ""), (format!("chat, {bad}"), &bearer)] {
        let answer = open(&stage, &protocols, authorization);
        assert!(answer.starts_with("HTTP/1.1 101"), "{protocols}: {answer}");
        assert!(!answer.contains("base64url."), "{answer}");
        let seen = stage.echo.seen();
        let last = &seen.last().unwrap().headers;
        assert_eq!(last.all("sec-websocket-protocol"), ["chat"]);
        assert_eq!(last.all("x-remote-user"), ["admin"]);
        assert!(last.all("authorization").is_empty());
    }
    let count = stage.echo.seen().len();
    for protocols in [
        good.clone(),
        format!("{good}, {good}, chat"),
        format!("{good}=, chat"),
        format!("{}, chat", item(b"\xff")),
        format!("{bad}, chat"),
    ] {
        let answer = open(&stage, &protocols, "");
        assert!(answer.starts_with("HTTP/1.1 401"), "{protocols}: {answer}");
    }
    assert_eq!(stage.echo.seen().len(), count, "nothing of it reaches the application");
    // A12: without an upgrade it is no credential, and is not passed on all the same.
    let plain = stage.ask(&[("Sec-WebSocket-Protocol", &format!("{good}, chat"))]);
    assert_eq!(plain.echoed().all("x-remote-user"), ["system:anonymous"]);
    assert_eq!(plain.echoed().all("sec-websocket-protocol"), ["chat"]);
    let log = stage.doorward.whole_log();
    assert!(!log.contains(&token) && !log.contains(&good));
}

fn base64(bytes: &[u8]) -> String {
    const LETTERS: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    let mut text = String::new();
    for part in bytes.chunks(3) {
        let number =
            part.iter().fold(0usize, |sum, byte| sum << 8 | usize::from(*byte)) << (8 * (3 - part.len()));
        for place in 0..=part.len() {
            text.push(char::from(LETTERS[number >> (18 - 6 * place) & 63]));
        }
    }
    text
}

/// The head of the answer to a request, which may be an upgrade.
fn head(address: SocketAddr, text: &str) -> String {
    let mut stream = TcpStream::connect(address).unwrap();
    stream.write_all(text.as_bytes()).unwrap();
    let (mut bytes, mut byte) = (Vec::new(), [0]);
    while !bytes.ends_with(b"\r\n\r\n") {
        stream.read_exact(&mut byte).unwrap();
        bytes.push(byte[0]);
    }
    String::from_utf8(bytes).unwrap()
}

#[test]
fn a16_the_first_good_credential_wins_over_a_bad_one() {
    let api = [X509, REMOTE].concat();
    let stage = Stage::new(&api, &[]);
    let bad = "Authorization: Bearer bad";
    assert_eq!(stage.send(certificates::BOB, &[bad]).echoed("x-remote-user"), ["bob"]);
    unauthorized(
        &stage.send(certificates::STRANGER, &[bad]),
        "Bearer realm=\"proxy\", error=\"invalid_token\"",
    );
}

#[test]
fn our_own_api_hears_who_calls_from_the_chain() {
    let stage = Stage::new(&X509.replace("  x509", "  errorFormat: auto\n  x509"), &[]);
    let post = "POST /apis/authentication.k8s.io/v1/selfsubjectreviews HTTP/1.1\r\nHost: a\r\n\
                Content-Length: 2\r\nConnection: close\r\n\r\n{}";
    let bob = stage.exchange(certificates::BOB, post);
    assert_eq!(
        (bob.status, bob.json()["status"]["userInfo"]["username"].as_str()),
        (201, Some("bob")),
        "{bob:?}"
    );
    for (certificate, challenge) in [("", BARE), (certificates::STRANGER, BARE)] {
        assert_eq!(stage.exchange(certificate, post).status, 401, "{challenge}");
    }
}

#[test]
fn a_trusted_proxy_hands_on_the_certificate_of_its_client_and_is_not_taken_for_it() {
    let header = "  trustedClientCertificateHeader: ssl-client-cert\n";
    let api = [X509, FRONT, REMOTE, header].concat();
    let trusted = Stage::new(&api, &["--reverse-proxy=true", "--trusted-proxy-ip=127.0.0.1"]);
    let stranger = Stage::new(&api, &["--reverse-proxy=true", "--trusted-proxy-ip=192.0.2.1"]);
    let bob = format!("SSL-Client-Cert: {}", escaped(certificates::BOB));
    let expired = format!("SSL-Client-Cert: {}", escaped(certificates::EXPIRED));
    let alice = "X-Remote-User: alice";
    for (stage, certificate, lines, expected) in [
        (&trusted, "", &[bob.as_str()][..], "bob"),
        (&trusted, certificates::CAROL, &[&bob], "bob"),
        (&trusted, certificates::CAROL, &[], ""),
        (&trusted, certificates::CAROL, &["SSL-Client-Cert:"], ""),
        (&trusted, certificates::CAROL, &[&bob, &bob], ""),
        (&trusted, "", &[&expired], ""),
        (&trusted, certificates::EDGE, &[alice], "alice"),
        (&stranger, "", &[&bob], ""),
        (&stranger, certificates::CAROL, &[&bob], "carol"),
    ] {
        let answer = stage.send(certificate, lines);
        if expected.is_empty() {
            unauthorized(&answer, BARE);
        } else {
            assert_eq!(answer.echoed("x-remote-user"), [expected], "{lines:?}");
            assert!(answer.echoed("ssl-client-cert").is_empty());
        }
    }
}

#[test]
fn the_built_in_server_too_knows_the_client_of_a_trusted_proxy_and_does_not_take_one_for_the_other() {
    let api = "  identityProviders:\n    - {name: local, type: static}\n    \
               - {name: edge, type: requestHeader, clientCA: FOLDER/proxies.pem, headers: [X-Remote-User], login: false}\n    \
               - {name: cards, type: x509, clientCA: FOLDER/clients.pem}\n\
               apiAuth:\n  identity: x-remote\n  trustedClientCertificateHeader: ssl-client-cert\n";
    let trusted = Stage::new(api, &["--reverse-proxy=true", "--trusted-proxy-ip=127.0.0.1"]);
    let stranger = Stage::new(api, &["--reverse-proxy=true", "--trusted-proxy-ip=192.0.2.1"]);
    let bob = format!("SSL-Client-Cert: {}", escaped(certificates::BOB));
    let alice = "X-Remote-User: alice";
    for (stage, certificate, lines, expected) in [
        (&trusted, "", &[bob.as_str()][..], "bob"),
        (&trusted, certificates::CAROL, &[&bob], "bob"),
        (&trusted, certificates::CAROL, &[], ""),
        (&trusted, certificates::EDGE, &[alice], "alice"),
        (&stranger, "", &[&bob], ""),
        (&stranger, certificates::CAROL, &[&bob], "carol"),
    ] {
        let question = "/oauth/authorize?response_type=token&client_id=openshift-challenging-client";
        let host = stage.doorward.address;
        let text = format!(
            "GET {question} HTTP/1.1\r\nHost: {host}\r\nX-CSRF-Token: 1\r\nConnection: close\r\n{}\r\n",
            lines.iter().flat_map(|line| [line, "\r\n"]).collect::<String>()
        );
        let answer = stage.exchange(certificate, &text);
        if expected.is_empty() {
            assert_eq!(answer.status, 401, "{certificate} {lines:?} {answer:?}");
            continue;
        }
        let location = answer.header("location");
        let token = location.split_once("access_token=").unwrap_or_else(|| panic!("{lines:?} {answer:?}")).1;
        let token = token.split('&').next().unwrap();
        let seen = stage.send("", &[&format!("Authorization: Bearer {token}")]);
        assert_eq!(seen.echoed("x-remote-user"), [expected], "{lines:?}");
    }
}

/// As nginx writes it.
fn escaped(pem: &str) -> String {
    pem.replace('\n', "%0A").replace(' ', "%20").replace('+', "%2B").replace('/', "%2F").replace('=', "%3D")
}

#[test]
fn a_bad_password_makes_nobody_anonymous() {
    let api = [ANONYMOUS, REMOTE].concat();
    let stage = Stage::launch(&api, free_address(), |launch| {
        let launch = launch.file("users", "bob:{SHA}W6ph5Mm5Pz8GgiULbPgzG37mj9g=\n");
        launch.flag("--htpasswd-file={file:users}").start()
    });
    // bob:password, then bob:guess, and what is no password at all.
    let good = stage.ask(&[("Authorization", "Basic Ym9iOnBhc3N3b3Jk")]);
    assert_eq!(good.echoed().all("x-remote-user"), ["bob"]);
    for value in ["Basic Ym9iOmd1ZXNz", "Basic !"] {
        let answer = stage.ask(&[("Authorization", value)]);
        assert_eq!((answer.status, answer.header("www-authenticate")), (401, BARE), "{value}");
    }
}

#[test]
fn applications_never_get_the_cookies_of_the_built_in_server() {
    let stage = Stage::plain(ANONYMOUS);
    let answer = stage.ask(&[("Cookie", "a=1; doorward-auth=session; doorward-auth-csrf=browser; b=2")]);
    assert_eq!(answer.echoed().all("cookie"), ["a=1; b=2"]);
}
