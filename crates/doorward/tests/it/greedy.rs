//! Clients that take all they can get: connections, headers, frames, time. While each of them is at it, everybody else
//! is served, and the memory of the process stays within bounds.

use std::{
    io::{Read, Write},
    net::{SocketAddr, TcpStream},
    sync::Arc,
    thread,
};

use doorward_testkit::{Browser, Connection, Launch, Request, eventually, free_address};
use rustls::pki_types::{CertificateDer, pem::PemObject};

use crate::{
    frames::{self, Frames},
    support::{PROGRAM, Stage, at_once, parts},
};

/// Far above what the process needs, and far below what an attack without limits would fill.
const MEMORY: u64 = 300 * 1024 * 1024;

const CERTIFICATE: &str = include_str!("tls/certificate.pem");
const KEY: &str = include_str!("tls/key.pem");

fn stage() -> Stage {
    Stage::new(&["--skip-auth-route=^/open", "--skip-auth-route=^/large", "--skip-auth-route=^/held"])
}

/// Others are served, and memory has stayed within bounds.
#[track_caller]
fn assert_serving(stage: &mut Stage, during: &str) {
    let mut browser = stage.browser();
    assert_eq!(browser.get("/open").status, 200, "{during}");
    assert_eq!(browser.get("/oauth2/sign_in").status, 200, "{during}");
    stage.doorward.assert_alive();
    let peak = stage.doorward.peak_memory();
    assert!(peak < MEMORY, "{during}: {peak} bytes");
}

/// The answer to a `GET` over TLS.
fn get_over_tls(address: SocketAddr, target: &str) -> String {
    let mut roots = rustls::RootCertStore::empty();
    roots.add(CertificateDer::from_pem_slice(CERTIFICATE.as_bytes()).unwrap()).unwrap();
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    let name = "localhost".try_into().unwrap();
    let session = rustls::ClientConnection::new(Arc::new(config), name).unwrap();
    let mut stream = rustls::StreamOwned::new(session, TcpStream::connect(address).unwrap());
    let request = format!("GET {target} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer
}

#[test]
fn half_a_tls_handshake_keeps_nobody_out() {
    let (provider, echo) = parts();
    let (address, metrics) = (free_address(), free_address());
    let mut doorward = Launch::new(PROGRAM, &provider, &echo)
        .file("c.pem", CERTIFICATE)
        .file("k.pem", KEY)
        .flags(["--skip-auth-route=^/open", "--tls-cert-file={file:c.pem}", "--tls-key-file={file:k.pem}"])
        .flags([&*format!("--https-address={address}"), &format!("--metrics-address={metrics}")])
        .start_at(metrics);
    // The beginning of a ClientHello of 512 bytes (RFC 8446 section 5.1), and of one that never comes.
    let silent: Vec<TcpStream> = (0..300)
        .map(|number| {
            let mut socket = TcpStream::connect(address).unwrap();
            let hello: &[u8] =
                if number % 2 == 0 { b"\x16\x03\x01\x02\0\x01\0\x01\xfc\x03\x03" } else { b"" };
            socket.write_all(hello).unwrap();
            socket
        })
        .collect();
    let answer = get_over_tls(address, "/open");
    assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
    doorward.assert_alive();
    drop(silent);
}

#[test]
fn unfinished_requests_keep_nobody_out() {
    let mut stage = stage();
    let host = stage.browser().host();
    let begun: Vec<Connection> = (0..400)
        .map(|number| {
            let mut connection = stage.browser().connect().unwrap();
            let text = match number % 4 {
                0 => format!("GET /open HTTP/1.1\r\nHost: {host}\r\nX-{number}: "),
                1 => format!(
                    "POST /open HTTP/1.1\r\nHost: {host}\r\nContent-Length: 9223372036854775807\r\n\r\n"
                ),
                2 => format!(
                    "POST /oauth2/sign_in HTTP/1.1\r\nHost: {host}\r\nContent-Length: 4000000000\r\n\
                     Content-Type: application/x-www-form-urlencoded\r\n\r\nusername="
                ),
                _ => format!(
                    "POST /open HTTP/1.1\r\nHost: {host}\r\nTransfer-Encoding: chunked\r\n\r\nfffffff\r\nx"
                ),
            };
            connection.write(text.as_bytes());
            connection
        })
        .collect();
    assert_serving(&mut stage, "unfinished requests");
    drop(begun);
}

#[test]
fn headers_without_end_are_cut_off() {
    let mut stage = stage();
    let host = stage.browser().host();
    let lines = "X-Filler: aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\r\n"
        .repeat(20_000);
    let value = format!("X-Filler: {}", "a".repeat(2_000_000));
    for endless in [lines, value] {
        let mut connection = stage.browser().connect().unwrap();
        connection.write(format!("GET /open HTTP/1.1\r\nHost: {host}\r\n").as_bytes());
        connection.write(endless.as_bytes());
        match connection.answer("GET") {
            Ok(answer) => assert_eq!(answer.status, 431),
            // It hung up before it had read all that was sent.
            Err(error) => assert_ne!(error.kind(), std::io::ErrorKind::WouldBlock, "still open"),
        }
    }
    assert_serving(&mut stage, "endless headers");
}

#[test]
fn an_endless_target_is_cut_off() {
    let stage = stage();
    let answer = stage.browser().raw(format!("GET /{} ", "a".repeat(1_000_000)).as_bytes());
    assert!(matches!(answer.split(' ').nth(1), None | Some("400" | "414" | "431")), "{answer}");
}

#[test]
fn broken_chunks_end_the_connection() {
    let stage = stage();
    let host = stage.browser().host();
    for chunks in ["zz\r\n", "-1\r\n", "fffffffffffffffff\r\n", "5\r\nhelloX\r\n", "1;\u{0}\r\nx\r\n\u{1}"] {
        let text =
            format!("POST /open HTTP/1.1\r\nHost: {host}\r\nTransfer-Encoding: chunked\r\n\r\n{chunks}");
        let answer = stage.browser().raw(text.as_bytes());
        assert!(!answer.starts_with("HTTP/1.1 2"), "{chunks:?}: {answer}");
    }
    // Extensions of chunks and trailers are read and dropped, so they need limits of their own.
    for endless in
        [format!("1;{}", "x".repeat(1_000_000)), format!("0\r\n{}", "X-Trailer: x\r\n".repeat(100_000))]
    {
        let text =
            format!("POST /open HTTP/1.1\r\nHost: {host}\r\nTransfer-Encoding: chunked\r\n\r\n{endless}");
        let answer = stage.browser().raw(text.as_bytes());
        assert!(!answer.starts_with("HTTP/1.1 2"), "{answer}");
    }
}

/// With 64 file descriptors there are places for 24 connections.
#[test]
fn when_all_places_are_taken_the_idle_make_room() {
    let mut stage = Stage::launch(|launch| launch.descriptors(64).flag("--skip-auth-route=^/(open|held)"));
    let browser = stage.browser();
    let host = browser.host();
    // Somebody who is being served, and stays it.
    let mut served = browser.connect().unwrap();
    served.write(format!("GET /held HTTP/1.1\r\nHost: {host}\r\n\r\n").as_bytes());
    eventually("the request is under way", || stage.echo.count("/held") == 1);
    let greedy: Vec<Connection> = (0..100)
        .map(|number| {
            let mut connection = browser.connect().unwrap();
            match number % 3 {
                0 => {}
                1 => connection.write(b"GET /open HTTP/1.1\r\nHo"),
                _ => connection.write(format!("GET /open HTTP/1.1\r\nHost: {host}\r\n\r\n").as_bytes()),
            }
            connection
        })
        .collect();
    for _ in 0..3 {
        assert_serving(&mut stage, "all places are taken");
    }
    stage.doorward.wait_for_log("connections are in use");
    stage.echo.release();
    assert_eq!(served.answer("GET").unwrap().text(), "held");
    drop(greedy);
}

#[test]
fn answers_that_nobody_reads_do_not_fill_the_memory() {
    let mut stage = stage();
    let host = stage.browser().host();
    let deaf: Vec<Connection> = (0..60)
        .map(|_| {
            let mut connection = stage.browser().connect().unwrap();
            // Asked for again and again: what comes later must not be answered into a buffer.
            let text = format!("GET /large HTTP/1.1\r\nHost: {host}\r\n\r\n").repeat(50);
            connection.write(text.as_bytes());
            connection
        })
        .collect();
    eventually("the answers have begun", || stage.echo.count("/large") == 60);
    assert_serving(&mut stage, "nobody reads");
    drop(deaf);
}

/// Attacks by HTTP/2 that the server ends itself.
#[test]
fn floods_of_frames_end_the_connection() {
    type Attack = fn(&mut Frames, &str) -> std::io::Result<()>;
    let attacks: [(&str, Attack); 5] = [
        ("rapid reset (CVE-2023-44487)", |frames, host| {
            for stream in (1..200_000).step_by(2) {
                let block = frames::request("GET", "/open", host);
                let flags = frames::END_HEADERS | frames::END_STREAM;
                let both = [
                    frames::frame(frames::HEADERS, flags, stream, &block),
                    frames::frame(frames::RST_STREAM, 0, stream, &8_u32.to_be_bytes()),
                ];
                frames.raw(&both.concat())?;
            }
            Ok(())
        }),
        ("made to reset (CVE-2025-8671)", |frames, host| {
            for stream in (1..200_000).step_by(2) {
                let block = frames::request("POST", "/open", host);
                // A window of zero more is an error of the stream, for which the server resets it (section 6.9).
                let both = [
                    frames::frame(frames::HEADERS, frames::END_HEADERS, stream, &block),
                    frames::frame(frames::WINDOW_UPDATE, 0, stream, &0_u32.to_be_bytes()),
                ];
                frames.raw(&both.concat())?;
            }
            Ok(())
        }),
        ("endless CONTINUATION (CVE-2024-27316)", |frames, host| {
            frames.send(frames::HEADERS, frames::END_STREAM, 1, &frames::request("GET", "/open", host))?;
            // A literal that is not to be indexed, with a new name.
            let line = [&[0][..], &frames::text("x-filler"), &frames::text(&"a".repeat(100))].concat();
            for _ in 0..20_000 {
                frames.send(frames::CONTINUATION, 0, 1, &line.repeat(20))?;
            }
            Ok(())
        }),
        ("empty CONTINUATION", |frames, host| {
            frames.send(frames::HEADERS, frames::END_STREAM, 1, &frames::request("GET", "/open", host))?;
            for _ in 0..500_000 {
                frames.send(frames::CONTINUATION, 0, 1, b"")?;
            }
            Ok(())
        }),
        ("a frame larger than allowed", |frames, _| {
            frames.raw(b"\xff\xff\xff\x01\x04\0\0\0\x01")?;
            frames.raw(&vec![0; 1_000_000])
        }),
    ];
    at_once(&attacks, |(name, attack)| {
        let mut stage = stage();
        let mut frames = Frames::open(stage.doorward.address, &[]);
        let host = stage.browser().host();
        let sent = attack(&mut frames, &host);
        assert_serving(&mut stage, name);
        if sent.is_ok() {
            frames.assert_ended(name);
        }
        assert!(stage.echo.count("/open") < 2000, "{name}: {} requests", stage.echo.count("/open"));
    });
}

/// Attacks by HTTP/2 that keep to the rules: the connection may live, at its own expense.
#[test]
fn floods_within_the_rules_cost_others_nothing() {
    type Attack = fn(&mut Frames, &str);
    let attacks: [(&str, Attack); 5] = [
        ("pings", |frames, _| {
            let pings = frames::frame(frames::PING, 0, 0, b"12345678").repeat(1000);
            while frames.raw(&pings).is_ok() {}
        }),
        ("settings", |frames, _| {
            let settings = frames::frame(frames::SETTINGS, 0, 0, &[0, 4, 0, 0, 0xff, 0xff]).repeat(1000);
            for _ in 0..200 {
                if frames.raw(&settings).is_err() {
                    break;
                }
            }
        }),
        ("empty data", |frames, host| {
            let block = frames::request("POST", "/open", host);
            let _ = frames.send(frames::HEADERS, frames::END_HEADERS, 1, &block);
            let data = frames::frame(frames::DATA, 0, 1, b"").repeat(1000);
            for _ in 0..500 {
                if frames.raw(&data).is_err() {
                    break;
                }
            }
        }),
        ("more streams than allowed", |frames, host| {
            for stream in (1..2000).step_by(2) {
                let block = frames::request("GET", "/held", host);
                let flags = frames::END_HEADERS | frames::END_STREAM;
                if frames.send(frames::HEADERS, flags, stream, &block).is_err() {
                    break;
                }
            }
        }),
        ("a shut window", |frames, host| {
            for stream in (1..1000).step_by(2) {
                let block = frames::request("GET", "/large", host);
                let flags = frames::END_HEADERS | frames::END_STREAM;
                if frames.send(frames::HEADERS, flags, stream, &block).is_err() {
                    break;
                }
            }
        }),
    ];
    at_once(&attacks, |(name, attack)| {
        let mut stage = stage();
        let host = stage.browser().host();
        let mut connections: Vec<Frames> =
            (0..3).map(|_| Frames::open(stage.doorward.address, &[(frames::INITIAL_WINDOW, 0)])).collect();
        thread::scope(|scope| {
            for frames in &mut connections {
                let host = &host;
                scope.spawn(move || attack(frames, host));
            }
        });
        assert_serving(&mut stage, name);
        let seen = stage.echo.count("/held") + stage.echo.count("/large");
        assert!(seen <= 3 * 128, "{name}: {seen} requests under way");
    });
}

#[test]
fn small_headers_that_unfold_are_not_kept() {
    let mut stage = stage();
    let host = stage.browser().host();
    let mut frames = Frames::open(stage.doorward.address, &[]);
    // One line goes into the dynamic table (RFC 7541 section 6.2.1) and is then named 3000 times: 62, the newest
    // entry, in one byte (section 6.1).
    let large = [&[0x40][..], &frames::text("x"), &frames::text(&"a".repeat(100))].concat();
    let small = [&[0x40][..], &frames::text("y"), &frames::text("")].concat();
    for (stream, line, count) in [(1, large, 3000), (3, small, 3000)] {
        let block = [frames::request("POST", "/open", &host), line, vec![0xbe; count]].concat();
        frames.send(frames::HEADERS, frames::END_HEADERS, stream, &block).unwrap();
        let status = loop {
            let frame = frames.receive().unwrap();
            if frame.kind == frames::HEADERS && frame.stream == stream {
                break frame.payload;
            }
        };
        // ":status" by its number in the static table, then three digits, plain or compressed.
        assert!(!matches!(status.first(), Some(0x88)), "stream {stream}: {status:?}");
    }
    assert!(stage.echo.seen().is_empty());
    assert_serving(&mut stage, "header bombs");
}

#[test]
fn a_target_in_another_form_reaches_the_same_place_or_nothing() {
    let stage = stage();
    let mut browser: Browser = stage.browser();
    let host = browser.host();
    for (method, target, status) in [
        ("GET", format!("http://{host}/open"), 200),
        ("GET", format!("http://{host}/closed"), 403),
        ("GET", "http://evil.example/closed".to_owned(), 403),
        ("GET", "http://a@b/open".to_owned(), 400),
        ("GET", "open".to_owned(), 400),
        ("GET", host.clone(), 400),
        ("CONNECT", host.clone(), 400),
        ("CONNECT", "/open".to_owned(), 400),
        ("OPTIONS", "*".to_owned(), 400),
        ("GET", "*".to_owned(), 400),
        ("GET", "file:///open".to_owned(), 400),
    ] {
        let answer = browser.send(Request::new(method, &target));
        assert_eq!(answer.status, status, "{method} {target}: {}", answer.text());
    }
    for seen in stage.echo.seen() {
        assert_eq!(seen.target, "/open");
    }
}

#[test]
fn the_metrics_are_not_kept_from_others() {
    let address = free_address();
    let stage = Stage::launch(|launch: Launch| launch.flag(&format!("--metrics-address={address}")));
    let metrics = Browser::new(address);
    let silent: Vec<Connection> = (0..40).map(|_| metrics.connect().unwrap()).collect();
    assert_eq!(metrics.clone().get("/metrics").status, 200);
    drop((silent, stage));
}
