//! Carrying requests to the application and answers back.

use std::{
    io::{Read, Write},
    net::{TcpListener, TcpStream},
    os::unix::net::UnixListener,
    sync::Arc,
    thread,
};

use doorward_testkit::{Browser, Connection, Launch, Request, eventually, free_address};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject};

use crate::support::{PROGRAM, SESSION, Stage, parts};

/// A self-signed certificate for localhost, valid for a hundred years.
const CERTIFICATE: &str = include_str!("tls/certificate.pem");
const KEY: &str = include_str!("tls/key.pem");

/// A TLS application that greets everybody. Lives until the test process ends.
fn tls_application() -> u16 {
    let certificate = CertificateDer::from_pem_slice(CERTIFICATE.as_bytes()).unwrap();
    let key = PrivateKeyDer::from_pem_slice(KEY.as_bytes()).unwrap();
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![certificate], key)
        .unwrap();
    let config = Arc::new(config);
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let session = rustls::ServerConnection::new(Arc::clone(&config)).unwrap();
            let mut stream = rustls::StreamOwned::new(session, stream);
            if matches!(stream.read(&mut [0; 4096]), Ok(1..)) {
                let _ = stream
                    .write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 7\r\nConnection: close\r\n\r\nwelcome");
                stream.conn.send_close_notify();
                let _ = stream.flush();
            }
        }
    });
    port
}

#[test]
fn a3_trust_in_the_provider_is_no_trust_in_the_application() {
    let port = tls_application();
    let (provider, echo) = parts();
    let upstream = format!("--upstream=https://localhost:{port}");
    let statuses = |flags: &[&str]| {
        let launch = Launch::new(PROGRAM, &provider, &echo).without("upstream").flag(&upstream);
        let doorward = launch.file("ca.pem", CERTIFICATE).flags(flags.iter().copied()).start();
        doorward.browser().logged_in().get("/").status
    };
    assert_eq!(statuses(&[]), 502);
    assert_eq!(statuses(&["--ssl-insecure-skip-verify"]), 502);
    assert_eq!(statuses(&["--provider-ca-file={file:ca.pem}"]), 502);
    assert_eq!(statuses(&["--ssl-upstream-insecure-skip-verify"]), 200);
}

fn upgrade(target: &str) -> Request {
    Request::get(target)
        .header("Connection", "Upgrade")
        .header("Upgrade", "websocket")
        .header("Sec-WebSocket-Version", "13")
        .header("Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ==")
}

fn upgraded(browser: &Browser, target: &str) -> (u16, Connection) {
    let mut line = browser.connect().unwrap();
    let answer = browser.clone().send_on(&mut line, upgrade(target)).unwrap();
    (answer.status, line)
}

#[test]
fn a_websocket_goes_through_with_a_session_only() {
    let stage = Stage::new(&[]);
    let (status, _) = upgraded(&stage.browser(), "/ws");
    assert_eq!(status, 403);
    assert!(stage.echo.seen().is_empty());
    let (status, mut line) = upgraded(&stage.logged_in(), "/ws");
    assert_eq!(status, 101);
    line.write(b"hello through the door");
    assert_eq!(line.read_bytes(22).unwrap(), b"hello through the door");
    assert_eq!(stage.echo.seen()[0].headers.all("x-forwarded-user"), ["sub-1"]);
    drop(line);
    eventually("the upgrade is logged", || {
        stage.doorward.log().lines().any(|line| line.contains("\"/ws\"") && line.contains(" 101 "))
    });
}

#[test]
fn c16_a_failed_websocket_has_a_page_and_no_websocket_can_be_refused() {
    let (provider, echo) = parts();
    let dead = "--upstream=http://127.0.0.1:9";
    let doorward = Launch::new(PROGRAM, &provider, &echo).without("upstream").flag(dead).start();
    let browser = doorward.browser().logged_in();
    let mut line = browser.connect().unwrap();
    let answer = browser.clone().send_on(&mut line, upgrade("/ws")).unwrap();
    assert_eq!(answer.status, 502);
    assert!(!answer.body.is_empty());

    let stage = Stage::new(&["--proxy-websockets=false"]);
    let (status, _) = upgraded(&stage.logged_in(), "/ws");
    assert!(matches!(status, 400 | 403 | 426 | 501), "{status}");
    assert!(stage.echo.seen().iter().all(|seen| !seen.headers.has("upgrade")));
    assert_eq!(stage.logged_in().get("/page").status, 200);
}

#[test]
fn c16_a_websocket_over_a_unix_socket_works() {
    let folder = std::env::temp_dir().join(format!("doorward-it-unix-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    let path = folder.join("app.sock");
    let _ = std::fs::remove_file(&path);
    let listener = UnixListener::bind(&path).unwrap();
    thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            let mut buffer = [0; 4096];
            if !matches!(stream.read(&mut buffer), Ok(1..)) {
                continue;
            }
            let head =
                "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n";
            let _ = stream.write_all(head.as_bytes());
            while let Ok(length @ 1..) = stream.read(&mut buffer) {
                let _ = stream.write_all(&buffer[..length]);
            }
        }
    });
    let (provider, echo) = parts();
    let upstream = format!("--upstream=unix://{}", path.display());
    let doorward = Launch::new(PROGRAM, &provider, &echo).without("upstream").flag(&upstream).start();
    let (status, mut line) = upgraded(&doorward.browser().logged_in(), "/ws");
    assert_eq!(status, 101);
    line.write(b"ping");
    assert_eq!(line.read_bytes(4).unwrap(), b"ping");
    drop(doorward);
    let _ = std::fs::remove_dir_all(&folder);
}

#[test]
fn an_application_that_hangs_up_gives_a_page_without_details() {
    let stage = Stage::new(&[]);
    let answer = stage.logged_in().get("/close");
    assert_eq!(answer.status, 502);
    assert!(answer.text().contains("There was a problem connecting to the upstream server."));
    let address = stage.echo.address().to_string();
    assert!(!answer.text().contains(&address), "{}", answer.text());
}

#[test]
fn events_arrive_as_they_happen() {
    let stage = Stage::new(&[]);
    let browser = stage.logged_in();
    let mut line = browser.connect().unwrap();
    let request = format!("GET /sse HTTP/1.1\r\nHost: x\r\nCookie: {}\r\n\r\n", browser.cookie_header());
    line.write(request.as_bytes());
    let mut text = String::new();
    while !text.contains("data: first") {
        text.push_str(&String::from_utf8_lossy(&line.read_bytes(1).unwrap()));
    }
    stage.echo.release();
    assert!(line.rest().contains("data: last"));
}

#[test]
fn bodies_and_targets_arrive_unchanged() {
    let stage = Stage::new(&[]);
    let mut browser = stage.logged_in();
    let target = "/a%2Fb/%7e?x=%20+&y=%zz&&";
    let answer = browser.send(Request::new("PUT", target).body("line one\r\nline two"));
    assert_eq!(answer.json()["target"], target);
    let seen = stage.echo.seen().pop().unwrap();
    assert_eq!((seen.method.as_str(), seen.body.as_slice()), ("PUT", &b"line one\r\nline two"[..]));
}

#[test]
fn c3_the_path_of_an_upstream_is_its_route() {
    let (provider, echo) = parts();
    let upstream = format!("--upstream={}/app/", echo.url());
    let launch = Launch::new(PROGRAM, &provider, &echo).without("upstream").flag(&upstream);
    let doorward = launch.start();
    let mut browser = doorward.browser().logged_in();
    assert_eq!(browser.get("/app/x").json()["target"], "/app/x");
    assert_eq!(browser.get("/other").status, 404);
}

#[test]
fn c35_http2_is_offered_to_tls_clients() {
    let (provider, echo) = parts();
    let (address, metrics) = (free_address(), free_address());
    let doorward = Launch::new(PROGRAM, &provider, &echo)
        .file("certificate.pem", CERTIFICATE)
        .file("key.pem", KEY)
        .flags(["--tls-cert-file={file:certificate.pem}", "--tls-key-file={file:key.pem}"])
        .flag(&format!("--https-address={address}"))
        .flag(&format!("--metrics-address={metrics}"))
        .start_at(metrics);
    let mut roots = rustls::RootCertStore::empty();
    roots.add(CertificateDer::from_pem_slice(CERTIFICATE.as_bytes()).unwrap()).unwrap();
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let builder = rustls::ClientConfig::builder_with_provider(provider);
    let mut config = builder
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    for (offered, chosen) in [(&[&b"h2"[..], b"http/1.1"][..], &b"h2"[..]), (&[b"http/1.1"], b"http/1.1")] {
        config.alpn_protocols = offered.iter().map(|name| name.to_vec()).collect();
        let session =
            rustls::ClientConnection::new(Arc::new(config.clone()), "localhost".try_into().unwrap());
        let mut stream = rustls::StreamOwned::new(session.unwrap(), TcpStream::connect(address).unwrap());
        stream.conn.complete_io(&mut stream.sock).unwrap();
        assert_eq!(stream.conn.alpn_protocol(), Some(chosen));
        if chosen == b"h2" {
            // The preface and empty settings; the server answers with a frame of settings, which is type 4.
            stream.write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0").unwrap();
            let mut frame = [0; 9];
            stream.read_exact(&mut frame).unwrap();
            assert_eq!(frame[3], 4);
        }
    }
    drop(doorward);
}

#[test]
fn two_visitors_of_one_connection_are_two() {
    // A proxy in front sends requests of different people over one connection.
    let stage = Stage::new(&[]);
    let jane = stage.logged_in().cookies[SESSION].clone();
    stage.provider.set(|knobs| {
        knobs.claim("sub", "sub-2");
        knobs.claim("email", "joe@example.com");
    });
    let joe = stage.logged_in().cookies[SESSION].clone();
    let mut browser = stage.browser();
    let mut line = browser.connect().unwrap();
    for (cookie, expected) in [(&jane, "sub-1"), (&joe, "sub-2"), (&jane, "sub-1"), (&joe, "sub-2")] {
        let request = Request::get("/page").header("Cookie", &format!("{SESSION}={cookie}"));
        let answer = browser.send_on(&mut line, request).unwrap();
        assert_eq!(answer.echoed().all("x-forwarded-user"), [expected]);
    }
    let answer = browser.send_on(&mut line, Request::get("/page").header("Cookie", "a=b")).unwrap();
    assert_eq!(answer.status, 403);
}
