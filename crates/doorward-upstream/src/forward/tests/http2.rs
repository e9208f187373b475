//! Applications that speak HTTP/2.

use std::{
    future::poll_fn,
    pin::Pin,
    task::{Context, Poll},
};

use h2::server::SendResponse;
use http::HeaderMap;
use hyper::body::Incoming;
use hyper_util::{rt::TokioExecutor, server::conn::auto};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject};
use tokio::{sync::watch, task::JoinSet, time::timeout};

use super::*;

/// Answers every request with what it looked like.
pub(super) async fn mirror(stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static) {
    let service = service_fn(|request: Request<Incoming>| async move {
        let (parts, body) = request.into_parts();
        let mut seen = vec![format!("{:?} {} {}", parts.version, parts.method, parts.uri)];
        seen.extend(parts.headers.iter().map(|(name, value)| format!("{name}: {}", value.to_str().unwrap())));
        seen[1..].sort_unstable();
        let collected = body.collect().await?;
        let trailers = collected.trailers().cloned();
        seen.push(String::from_utf8(collected.to_bytes().to_vec()).unwrap());
        seen.extend(trailers.map(|trailers| format!("trailers: {trailers:?}")));
        Ok::<_, hyper::Error>(Response::new(Body::from(seen.join("\n"))))
    });
    let _ = auto::Builder::new(TokioExecutor::new())
        .serve_connection_with_upgrades(TokioIo::new(stream), service)
        .await;
}

fn h2c(uri: &str) -> UpstreamConfig {
    config(&uri.replace("http://", "h2c://"))
}

/// An application on the level of streams: each is given to `play` with the number of its connection and its own.
async fn streams<P, F>(play: P) -> (String, Arc<AtomicUsize>)
where
    P: Fn(Request<h2::RecvStream>, SendResponse<Bytes>, [usize; 2]) -> F + 'static + Send + Sync,
    F: Future<Output = ()> + Send + 'static,
{
    let play = Arc::new(play);
    scripted(move |stream, connection| {
        let play = Arc::clone(&play);
        async move {
            let mut server =
                h2::server::Builder::new().max_concurrent_streams(2).handshake(stream).await.unwrap();
            let mut number = 0;
            while let Some(Ok((request, answer))) = server.accept().await {
                tokio::spawn(play(request, answer, [connection, number]));
                number += 1;
            }
        }
    })
    .await
}

fn answer(answer: &mut SendResponse<Bytes>) {
    let mut body = answer.send_response(Response::new(()), false).unwrap();
    body.send_data(Bytes::from_static(b"hello"), true).unwrap();
}

fn get_from(host: &'static str) -> http::request::Builder {
    Request::get("/a%2Fb?x=%20+").header("host", host)
}

#[tokio::test]
async fn the_application_sees_the_clients_request_in_http2() {
    let (uri, connections) = scripted(|stream, _| mirror(stream)).await;
    let own = uri.trim_start_matches("http://").to_owned();
    let ours = identity();
    for (pass, authority) in [(HostHeader::FromClient, "client.test:99"), (HostHeader::FromTarget, &*own)] {
        let upstreams = upstreams(UpstreamConfig { pass_host_header: pass, ..h2c(&uri) });
        let before = connections.load(Ordering::SeqCst);
        for _ in 0..2 {
            let request = get_from("client.test:99")
                .header("connection", "x-hop, x-forwarded-user")
                .header("x-hop", "1")
                .header("keep-alive", "timeout=5")
                .header("proxy-connection", "keep-alive")
                .header("http2-settings", "AAMAAABk")
                .header("te", "trailers, gzip")
                .header("x-forwarded-user", "evil")
                .header("cookie", "a=1")
                .header("cookie", "b=2")
                .body(Body::Empty)
                .unwrap();
            let Route::Found(upstream) = upstreams.find(&at("/")) else { panic!("there is a root upstream") };
            let seen = text(upstream.forward(permit(), request, how(&ours)).await.unwrap()).await;
            let expected = format!("HTTP/2.0 GET http://{authority}/a%2Fb?x=%20+");
            assert_eq!(
                lines(&seen),
                [
                    &*expected,
                    "authorization: Bearer ours",
                    "cookie: a=1; b=2",
                    "te: trailers",
                    "x-forwarded-for: 127.0.0.1",
                    "x-forwarded-user: alice",
                ]
            );
        }
        assert_eq!(connections.load(Ordering::SeqCst), before + 1);
    }
}

#[tokio::test]
async fn content_goes_both_ways_and_lengths_stay() {
    let (uri, _) = scripted(|stream, _| mirror(stream)).await;
    let upstreams = upstreams(UpstreamConfig { keep_alive: KeepAlive::Close, ..h2c(&uri) });
    let request = Request::post("/").header("host", "h").body(Body::from("content")).unwrap();
    let seen = text(send(&upstreams, request).await.unwrap()).await;
    assert_eq!(
        seen, "HTTP/2.0 POST http://h/\ncontent-length: 7\nx-forwarded-for: 127.0.0.1\ncontent",
        "a length, and nothing about the connection"
    );
    let front = front(upstreams).await;
    let pieces = "3\r\none\r\n3\r\ntwo\r\n0\r\n\r\n";
    let head = "PUT / HTTP/1.1\r\nHost: h\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n\r\n";
    let answer = raw(front, &format!("{head}{pieces}")).await;
    let (_, seen) = answer.split_once("\r\n\r\n").unwrap();
    assert!(seen.starts_with("HTTP/2.0 PUT http://h/\n") && seen.ends_with("\nonetwo"), "{seen}");
    assert!(!seen.contains("transfer-encoding") && !seen.contains("connection"), "{seen}");
}

#[tokio::test]
async fn one_connection_carries_as_many_requests_as_the_application_allows() {
    let (release, released) = watch::channel(false);
    let (arrive, mut arrivals) = mpsc::unbounded_channel();
    let (uri, connections) = streams(move |request, mut response, _| {
        let (mut released, arrive) = (released.clone(), arrive.clone());
        async move {
            if request.uri().path() == "/wait" {
                arrive.send(()).unwrap();
                released.wait_for(|released| *released).await.unwrap();
            }
            answer(&mut response);
        }
    })
    .await;
    let upstreams = Arc::new(upstreams(h2c(&uri)));
    assert_eq!(text(send(&upstreams, get("/")).await.unwrap()).await, "hello");
    let mut requests = JoinSet::new();
    for _ in 0..3 {
        let upstreams = Arc::clone(&upstreams);
        requests.spawn(async move { text(send(&upstreams, get("/wait")).await.unwrap()).await });
        arrivals.recv().await.unwrap();
    }
    assert_eq!(connections.load(Ordering::SeqCst), 2, "the application allows two requests on each");
    release.send(true).unwrap();
    while let Some(answered) = requests.join_next().await {
        assert_eq!(answered.unwrap(), "hello");
    }
    assert_eq!(text(send(&upstreams, get("/")).await.unwrap()).await, "hello");
    assert_eq!(connections.load(Ordering::SeqCst), 2, "connections stay for later requests");
}

#[tokio::test]
async fn trailers_pass_with_content_and_without() {
    let (uri, _) = streams(|request, mut response, _| async move {
        let status = |code: &'static str| {
            HeaderMap::from_iter([(HeaderName::from_static("grpc-status"), HeaderValue::from_static(code))])
        };
        if request.uri().path() == "/error" {
            let mut head = Response::new(());
            *head.headers_mut() = status("5");
            response.send_response(head, true).unwrap();
        } else {
            let mut body = response.send_response(Response::new(()), false).unwrap();
            body.send_data(Bytes::from_static(b"hello"), false).unwrap();
            body.send_trailers(status("0")).unwrap();
        }
    })
    .await;
    let upstreams = upstreams(h2c(&uri));
    let collected = send(&upstreams, get("/")).await.unwrap().into_body().collect().await.unwrap();
    assert_eq!(collected.trailers().unwrap()["grpc-status"], "0");
    assert_eq!(collected.to_bytes(), "hello");
    let response = send(&upstreams, get("/error")).await.unwrap();
    assert_eq!(response.headers()["grpc-status"], "5");
    assert!(http_body::Body::is_end_stream(response.body()));
}

#[tokio::test]
async fn trailers_of_a_request_pass_but_can_pose_as_nothing() {
    let (uri, _) = scripted(|stream, _| mirror(stream)).await;
    let front = front(upstreams(h2c(&uri))).await;
    for (sent, seen) in [
        ("X-Sum: 3\r\nX-Forwarded-User: evil\r\nCookie: evil\r\n", "\nabc\ntrailers: {\"x-sum\": \"3\"}"),
        ("X-Forwarded-User: evil\r\nAuthorization: evil\r\n", "\nabc"),
    ] {
        let head = "POST / HTTP/1.1\r\nHost: h\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n\r\n";
        let answer = raw(front, &format!("{head}3\r\nabc\r\n0\r\n{sent}\r\n")).await;
        assert!(answer.ends_with(seen) && !answer.contains("evil"), "{answer}");
    }
}

/// Content in pieces. After them it does not end.
struct Endless(VecDeque<&'static str>);

impl http_body::Body for Endless {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        match self.0.pop_front() {
            Some(piece) => Poll::Ready(Some(Ok(Frame::data(piece.into())))),
            None => Poll::Pending,
        }
    }
}

fn endless(pieces: &[&'static str]) -> Body {
    Body::boxed(Endless(pieces.iter().copied().collect()))
}

/// What an application does with a stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Reply {
    Answer,
    /// `RST_STREAM` with this code.
    Reset(u8),
    /// Goes away, and names the first stream as its last.
    GoAway,
    Close,
}

fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let mut frame = u32::try_from(payload.len()).unwrap().to_be_bytes()[1..].to_vec();
    frame.extend([kind, flags]);
    frame.extend(stream.to_be_bytes());
    frame.extend(payload);
    frame
}

/// An application on the level of frames (RFC 9113 section 6): the second stream of its first connection gets `reply`,
/// all others an answer.
async fn frames(mut stream: TcpStream, connection: usize, reply: Reply) {
    const SETTINGS: u8 = 4;
    let mut preface = [0; 24];
    stream.read_exact(&mut preface).await.unwrap();
    stream.write_all(&frame(SETTINGS, 0, 0, &[])).await.unwrap();
    loop {
        let mut head = [0; 9];
        if stream.read_exact(&mut head).await.is_err() {
            return;
        }
        let [high, middle, low, kind, flags, id @ ..] = head;
        let mut payload = vec![0; u32::from_be_bytes([0, high, middle, low]) as usize];
        stream.read_exact(&mut payload).await.unwrap();
        let id = u32::from_be_bytes(id);
        let reply = if (connection, id) == (0, 3) { reply } else { Reply::Answer };
        let frame = match (kind, reply) {
            (SETTINGS, _) if flags == 0 => frame(SETTINGS, 1, 0, &[]),
            // HEADERS: with `:status: 200`, which ends the stream.
            (1, Reply::Answer) => frame(1, 5, id, &[0x88]),
            (1, Reply::Reset(code)) => frame(3, 0, id, &[0, 0, 0, code]),
            (1, Reply::GoAway) => frame(7, 0, 0, &[0, 0, 0, 1, 0, 0, 0, 0]),
            (1, Reply::Close) => return,
            _ => continue,
        };
        stream.write_all(&frame).await.unwrap();
    }
}

#[tokio::test]
async fn a_request_is_sent_again_only_if_that_is_safe() {
    const REFUSED: Reply = Reply::Reset(7);
    const CANCELLED: Reply = Reply::Reset(8);
    let unread = || endless(&[]);
    for (reply, method, body, is_answered) in [
        (REFUSED, Method::GET, Body::Empty, true),
        (REFUSED, Method::POST, Body::Empty, true),
        (REFUSED, Method::POST, unread(), true),
        (REFUSED, Method::PUT, Body::from("content"), false),
        (REFUSED, Method::POST, endless(&["content"]), false),
        (Reply::GoAway, Method::GET, Body::Empty, true),
        (Reply::GoAway, Method::POST, Body::Empty, true),
        (Reply::GoAway, Method::POST, unread(), true),
        (Reply::GoAway, Method::POST, Body::from("content"), false),
        (Reply::Close, Method::GET, Body::Empty, true),
        (Reply::Close, Method::POST, Body::Empty, false),
        (Reply::Close, Method::PUT, unread(), true),
        (Reply::Close, Method::POST, unread(), false),
        (CANCELLED, Method::GET, Body::Empty, false),
        (CANCELLED, Method::POST, Body::Empty, false),
    ] {
        let case = format!("{reply:?} {method} {body:?}");
        let (uri, connections) = scripted(move |stream, number| frames(stream, number, reply)).await;
        let upstreams = upstreams(h2c(&uri));
        assert_eq!(send(&upstreams, get("/")).await.unwrap().status(), 200);
        let request = Request::builder().method(method).header("host", "h").body(body).unwrap();
        let answered = timeout(Duration::from_secs(20), send(&upstreams, request)).await.unwrap();
        assert_eq!(answered.is_ok(), is_answered, "{case}: {answered:?}");
        let expected = if is_answered { 2 } else { 1 };
        assert_eq!(connections.load(Ordering::SeqCst), expected, "{case}");
    }
}

#[tokio::test]
async fn a_request_that_its_client_gives_up_is_reset() {
    let (report, mut reports) = mpsc::unbounded_channel();
    let (uri, connections) = streams(move |request, mut response, _| {
        let report = report.clone();
        async move {
            report.send(String::from("here")).unwrap();
            let reason = if request.uri().path() == "/unanswered" {
                poll_fn(|cx| response.poll_reset(cx)).await
            } else {
                let mut body = response.send_response(Response::new(()), false).unwrap();
                body.send_data(Bytes::from_static(b"begun"), false).unwrap();
                poll_fn(|cx| body.poll_reset(cx)).await
            };
            report
                .send(reason.map_or_else(|error| error.to_string(), |reason| format!("{reason:?}")))
                .unwrap();
        }
    })
    .await;
    let upstreams = Arc::new(upstreams(h2c(&uri)));
    for body in [Body::Empty, endless(&["content"])] {
        let request = Request::post("/unanswered").header("host", "h").body(body).unwrap();
        let asking = Arc::clone(&upstreams);
        let task = tokio::spawn(async move { send(&asking, request).await.map(drop) });
        assert_eq!(reports.recv().await.unwrap(), "here");
        task.abort();
        assert_eq!(reports.recv().await.unwrap(), "CANCEL");
    }
    let mut body = send(&upstreams, get("/")).await.unwrap().into_body();
    assert_eq!(body.frame().await.unwrap().unwrap().into_data().unwrap(), "begun");
    drop(body);
    assert_eq!(reports.recv().await.unwrap(), "here");
    assert_eq!(reports.recv().await.unwrap(), "CANCEL");
    assert_eq!(connections.load(Ordering::SeqCst), 1, "the connection outlives its requests");
}

#[tokio::test]
async fn headers_beyond_the_limit_and_silence_are_errors() {
    let (uri, _) = streams(|request, mut response, _| async move {
        if request.uri().path() == "/silence" {
            let _ = poll_fn(|cx| response.poll_reset(cx)).await;
            return;
        }
        let mut head = Response::new(());
        head.headers_mut().insert("x-large", HeaderValue::from_str(&"x".repeat(300 * 1024)).unwrap());
        let _ = response.send_response(head, true);
    })
    .await;
    let upstreams = upstreams(UpstreamConfig { timeout: Duration::from_millis(200), ..h2c(&uri) });
    let error = send(&upstreams, get("/large")).await.unwrap_err();
    assert!(matches!(error, ForwardError::Protocol(_)), "{error:?}");
    let error = send(&upstreams, get("/silence")).await.unwrap_err();
    assert!(matches!(error, ForwardError::TimedOut { .. }), "{error:?}");
}

#[tokio::test]
async fn an_application_without_http2_is_an_error_for_h2c() {
    let (uri, _) = scripted(|mut stream, _| async move {
        let _ = read_head(&mut stream).await;
        let _ = stream.write_all(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n").await;
    })
    .await;
    let error = send(&upstreams(h2c(&uri)), get("/")).await.unwrap_err();
    assert!(matches!(error, ForwardError::Protocol(_)), "{error:?}");
}

#[tokio::test]
async fn websockets_are_refused_on_h2c() {
    let (uri, connections) = scripted(|stream, _| echo_websocket(stream)).await;
    let front = front(upstreams(h2c(&uri))).await;
    let answer = raw(front, &upgrade_request("close, upgrade", "websocket")).await;
    assert!(answer.starts_with("HTTP/1.1 403"), "{answer}");
    assert_eq!(connections.load(Ordering::SeqCst), 0);
}

/// An application behind TLS that offers these protocols. Gives each connection to `play` with the chosen one.
async fn behind_tls<P, F>(protocols: &[&[u8]], play: P) -> String
where
    P: Fn(tokio_rustls::server::TlsStream<TcpStream>, Option<Vec<u8>>) -> F + 'static + Send + Sync,
    F: Future<Output = ()> + Send + 'static,
{
    let chain = CertificateDer::pem_slice_iter(CERTIFICATE.chain).collect::<Result<_, _>>().unwrap();
    let key = PrivateKeyDer::from_pem_slice(CERTIFICATE.key).unwrap();
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let builder = rustls::ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
    let mut config = builder.unwrap().with_no_client_auth().with_single_cert(chain, key).unwrap();
    config.alpn_protocols = protocols.iter().map(|protocol| protocol.to_vec()).collect();
    let acceptor = tokio_rustls::TlsAcceptor::from(Arc::new(config));
    let play = Arc::new(play);
    let (uri, _) = scripted(move |stream, _| {
        let (acceptor, play) = (acceptor.clone(), Arc::clone(&play));
        async move {
            let stream = acceptor.accept(stream).await.unwrap();
            let chosen = stream.get_ref().1.alpn_protocol().map(<[u8]>::to_vec);
            play(stream, chosen).await;
        }
    })
    .await;
    uri.replace("http://", "https://")
}

#[tokio::test]
async fn the_application_chooses_the_version_of_http_behind_tls() {
    for (protocols, seen) in [
        (&[&b"h2"[..], b"http/1.1"][..], "HTTP/2.0 GET https://client.test/x\n"),
        (&[b"http/1.1", b"h2"], "HTTP/1.1 GET /x\nhost: client.test\n"),
        (&[b"http/1.1"], "HTTP/1.1 GET /x\nhost: client.test\n"),
        (&[], "HTTP/1.1 GET /x\nhost: client.test\n"),
    ] {
        let uri = behind_tls(protocols, |stream, _| mirror(stream)).await;
        let upstreams = upstreams(UpstreamConfig { tls: TlsVerification::Insecure, ..config(&uri) });
        for _ in 0..2 {
            let answer = text(send(&upstreams, get("/x")).await.unwrap()).await;
            assert!(answer.starts_with(seen), "{answer}");
        }
    }
}

#[tokio::test]
async fn websockets_stay_on_http1_behind_tls() {
    let uri = behind_tls(&[b"h2", b"http/1.1"], |stream, chosen| async move {
        match chosen.as_deref() {
            Some(b"http/1.1") => echo_websocket(stream).await,
            _ => mirror(stream).await,
        }
    })
    .await;
    let upstreams = upstreams(UpstreamConfig { tls: TlsVerification::Insecure, ..config(&uri) });
    assert!(text(send(&upstreams, get("/x")).await.unwrap()).await.starts_with("HTTP/2.0 GET"));
    check_tunnel(front(upstreams).await, "Upgrade", "websocket").await;
}
