use std::{
    collections::VecDeque,
    env, fs,
    net::SocketAddr,
    process,
    sync::{
        Mutex,
        atomic::{AtomicUsize, Ordering},
    },
};

use bytes::Bytes;
use doorward_core::Grounds;
use doorward_net::{
    BodyError, CertificatePem, ClientCertificates, ListenAddress, Listener, TlsServerConfig,
    TlsServerOptions, TlsVersion, tls,
};
use http_body::Frame;
use http_body_util::BodyExt;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt},
    net::{TcpListener, TcpStream, UnixListener},
    sync::mpsc,
};

use super::*;
use crate::{Rewrite, RewriteError, Route, Upstreams, error::Awaited, parse_legacy_uri};

mod http2;

const OK_HELLO: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello";
const HERE: IpAddr = IpAddr::V4(std::net::Ipv4Addr::LOCALHOST);

/// An application that plays by a script: each connection is given to `play` with its number.
async fn scripted<P, F>(play: P) -> (String, Arc<AtomicUsize>)
where
    P: Fn(TcpStream, usize) -> F + 'static + Send,
    F: Future<Output = ()> + Send + 'static,
{
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let connections = Arc::new(AtomicUsize::new(0));
    let counter = Arc::clone(&connections);
    tokio::spawn(async move {
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            let number = counter.fetch_add(1, Ordering::SeqCst);
            tokio::spawn(play(stream, number));
        }
    });
    (format!("http://{address}"), connections)
}

/// Reads up to the empty line; empty if the connection ended before.
async fn read_head(stream: &mut (impl AsyncRead + Unpin)) -> String {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        match stream.read_u8().await {
            Ok(byte) => head.push(byte),
            Err(_) => return String::new(),
        }
    }
    String::from_utf8(head).unwrap()
}

/// Answers every request with its own head.
async fn echo_heads(mut stream: impl AsyncRead + AsyncWrite + Unpin) {
    loop {
        let head = read_head(&mut stream).await;
        if head.is_empty() {
            return;
        }
        let answer = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{head}", head.len());
        stream.write_all(answer.as_bytes()).await.unwrap();
    }
}

fn config(uri: &str) -> UpstreamConfig {
    let (path, id, target) = parse_legacy_uri(uri).unwrap();
    UpstreamConfig::new(path, id, target)
}

fn upstreams(config: UpstreamConfig) -> Upstreams {
    Upstreams::new(vec![config], PathForm::Decoded).unwrap()
}

fn at(path: &str) -> doorward_core::Target {
    doorward_core::Target::new(path.parse().unwrap())
}

fn permit() -> Permit {
    Permit::assertion(Grounds::Preflight)
}

fn how(identity: &[(HeaderName, HeaderValue)]) -> Forwarding<'_> {
    Forwarding { peer: Some(HERE), identity, user: "alice@example.com", worker: WorkerId(0), tether: None }
}

async fn send(upstreams: &Upstreams, request: Request<Body>) -> Result<Response<Body>, ForwardError> {
    let Route::Found(upstream) = upstreams.find(&at("/")) else { panic!("there is a root upstream") };
    upstream.forward(permit(), request, how(&[])).await
}

fn get(target: &str) -> Request<Body> {
    Request::get(target).header("host", "client.test").body(Body::Empty).unwrap()
}

async fn text(response: Response<Body>) -> String {
    let bytes = response.into_body().collect().await.unwrap().to_bytes();
    String::from_utf8(bytes.to_vec()).unwrap()
}

fn identity() -> Vec<(HeaderName, HeaderValue)> {
    vec![
        (HeaderName::from_static("x-forwarded-user"), HeaderValue::from_static("alice")),
        (HeaderName::from_static("authorization"), HeaderValue::from_static("Bearer ours")),
    ]
}

/// A real server in front of the upstreams. Sends back errors as 502.
async fn front(upstreams: Upstreams) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let upstreams = Arc::new(upstreams);
    tokio::spawn(async move {
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            let upstreams = Arc::clone(&upstreams);
            tokio::spawn(async move {
                let service = service_fn(|request: Request<hyper::body::Incoming>| {
                    let upstreams = Arc::clone(&upstreams);
                    async move { Ok::<_, BodyError>(through(&upstreams, request.map(Body::from)).await) }
                });
                let connection = hyper::server::conn::http1::Builder::new();
                let _ = connection.serve_connection(TokioIo::new(stream), service).with_upgrades().await;
            });
        }
    });
    address
}

async fn through(upstreams: &Upstreams, request: Request<Body>) -> Response<Body> {
    let Route::Found(upstream) = upstreams.find(&at("/")) else { panic!("there is a root upstream") };
    match upstream.forward(permit(), request, how(&identity())).await {
        Ok(response) => response,
        Err(error) => simple::refusal(StatusCode::BAD_GATEWAY, error.to_string().leak()),
    }
}

/// Sends raw bytes to a server, and gives back all it answers until it closes.
async fn raw(address: SocketAddr, request: &str) -> String {
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer).await;
    String::from_utf8_lossy(&answer).into_owned()
}

fn lines(head: &str) -> Vec<&str> {
    let mut lines: Vec<&str> = head.lines().filter(|line| !line.is_empty()).collect();
    lines[1..].sort_unstable();
    lines
}

#[tokio::test]
async fn the_application_sees_exactly_the_clients_request_with_our_headers() {
    let (uri, _) = scripted(|stream, _| echo_heads(stream)).await;
    let upstreams = upstreams(config(&uri));
    let request = Request::get("/a%2Fb/%41/;x=1?q=%20+&&e=%zz")
        .header("host", "client.test:99")
        .header("x-custom", "v1")
        .header("x-custom", "v2")
        .header("cookie", "a=1")
        .header("cookie", "b=2")
        .header("x-forwarded-for", "10.1.1.1")
        .header("x-forwarded-proto", "https")
        .header("connection", "X-Forwarded-User, x-forwarded-for, AUTHORIZATION, x-hop")
        .header("x-hop", "1")
        .header("x-forwarded-user", "evil")
        .header("authorization", "Bearer evil")
        .header("upgrade", "h2c")
        .header("te", "trailers, gzip")
        .body(Body::Empty)
        .unwrap();
    let Route::Found(upstream) = upstreams.find(&at("/")) else { panic!("there is a root upstream") };
    let response = upstream.forward(permit(), request, how(&identity())).await.unwrap();
    assert_eq!(
        lines(&text(response).await),
        [
            "GET /a%2Fb/%41/;x=1?q=%20+&&e=%zz HTTP/1.1",
            "authorization: Bearer ours",
            "cookie: a=1; b=2",
            "host: client.test:99",
            "te: trailers",
            "x-custom: v1",
            "x-custom: v2",
            "x-forwarded-for: 127.0.0.1",
            "x-forwarded-proto: https",
            "x-forwarded-user: alice",
        ]
    );
}

#[tokio::test]
async fn options_of_the_upstream_show_in_the_request() {
    let (uri, connections) = scripted(|stream, _| echo_heads(stream)).await;
    let authority = uri.trim_start_matches("http://").to_owned();
    let config = UpstreamConfig {
        pass_host_header: HostHeader::FromTarget,
        keep_alive: KeepAlive::Close,
        ..config(&uri)
    };
    let upstreams = upstreams(config);
    for count in 1..=2 {
        let head = text(send(&upstreams, get("http://proxy.test/x?y=1")).await.unwrap()).await;
        let host = format!("host: {authority}");
        assert_eq!(
            lines(&head),
            ["GET /x?y=1 HTTP/1.1", "connection: close", &host, "x-forwarded-for: 127.0.0.1"]
        );
        assert_eq!(connections.load(Ordering::SeqCst), count, "no connection is used twice");
    }
}

#[tokio::test]
async fn one_connection_serves_one_request_after_the_other() {
    let answers: [&[u8]; 5] = [
        OK_HELLO,
        b"HTTP/1.1 204 No Content\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTrailer: x-sum\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\nx-sum: 1\r\n\r\n",
        b"HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\n\r\n",
    ];
    let (uri, connections) = scripted(move |mut stream, _| async move {
        for answer in answers {
            assert!(!read_head(&mut stream).await.is_empty());
            stream.write_all(answer).await.unwrap();
        }
    })
    .await;
    let upstreams = upstreams(config(&uri));
    for _ in answers {
        let response = send(&upstreams, get("/")).await.unwrap();
        assert!(matches!(text(response).await.as_str(), "" | "hello"));
        assert_eq!(connections.load(Ordering::SeqCst), 1);
    }
}

#[tokio::test]
async fn an_answer_that_is_not_read_to_its_end_costs_its_connection() {
    let (uri, connections) = scripted(|mut stream, _| async move {
        read_head(&mut stream).await;
        let _ = stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhello").await;
        let _ = stream.read_u8().await;
    })
    .await;
    let upstreams = upstreams(config(&uri));
    for count in 1..=2 {
        drop(send(&upstreams, get("/")).await.unwrap());
        assert_eq!(connections.load(Ordering::SeqCst), count);
    }
}

/// An application that closes each connection after one answer, either at once or when the next request comes.
async fn closes_after_one(wait_for_next: usize) -> (String, Arc<AtomicUsize>) {
    scripted(move |mut stream, number| async move {
        assert!(!read_head(&mut stream).await.is_empty());
        stream.write_all(OK_HELLO).await.unwrap();
        if number < wait_for_next {
            read_head(&mut stream).await;
        }
    })
    .await
}

#[tokio::test]
async fn a_dead_idle_connection_is_replaced() {
    let (uri, connections) = closes_after_one(0).await;
    let upstreams = upstreams(config(&uri));
    for count in 1..=3 {
        let request = Request::post("/").body(Body::from("content")).unwrap();
        assert_eq!(text(send(&upstreams, request).await.unwrap()).await, "hello");
        assert_eq!(connections.load(Ordering::SeqCst), count);
        // Lets the end of the connection arrive.
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test]
async fn a_request_lost_with_an_idle_connection_is_repeated_only_if_that_is_harmless() {
    for (method, body, expected) in [
        (Method::GET, "", true),
        (Method::DELETE, "", true),
        (Method::POST, "", false),
        (Method::PUT, "x", false),
    ] {
        let (uri, connections) = closes_after_one(1).await;
        let upstreams = upstreams(config(&uri));
        text(send(&upstreams, get("/")).await.unwrap()).await;
        let request = Request::builder().method(method.clone()).uri("/").body(Body::from(body)).unwrap();
        match (send(&upstreams, request).await, expected) {
            (Ok(response), true) => assert_eq!(text(response).await, "hello"),
            (Err(ForwardError::Protocol(_)), false) => {}
            (other, _) => panic!("{method}: {other:?}"),
        }
        let used = if expected { 2 } else { 1 };
        assert_eq!(connections.load(Ordering::SeqCst), used, "{method}");
    }
}

#[tokio::test]
async fn a_fresh_connection_that_breaks_off_is_not_tried_again() {
    let (uri, connections) = scripted(|mut stream, _| async move {
        read_head(&mut stream).await;
    })
    .await;
    let error = send(&upstreams(config(&uri)), get("/")).await.unwrap_err();
    assert!(matches!(error, ForwardError::Protocol(_)), "{error:?}");
    assert!(error.to_string().starts_with("The upstream broke off"), "{error}");
    assert_eq!(connections.load(Ordering::SeqCst), 1);
}

#[tokio::test]
async fn what_is_not_http_is_an_error() {
    for answer in ["SSH-2.0-x\r\n\r\n", "HTTP/1.1 200 OK\r\nContent-Length: x\r\n\r\n"] {
        let (uri, _) = scripted(move |mut stream, _| async move {
            read_head(&mut stream).await;
            let _ = stream.write_all(answer.as_bytes()).await;
        })
        .await;
        let error = send(&upstreams(config(&uri)), get("/")).await.unwrap_err();
        assert!(matches!(error, ForwardError::Protocol(_)), "{answer}: {error:?}");
    }
}

#[tokio::test]
async fn an_application_that_is_down_is_unreachable() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let uri = format!("http://{}", listener.local_addr().unwrap());
    drop(listener);
    let error = send(&upstreams(config(&uri)), get("/")).await.unwrap_err();
    assert!(matches!(error, ForwardError::Unreachable(_)), "{error:?}");
    assert!(error.to_string().contains("refused"), "{error}");
}

#[tokio::test]
async fn an_application_that_does_not_answer_is_given_up() {
    let (uri, _) = scripted(|mut stream, _| async move {
        read_head(&mut stream).await;
        read_head(&mut stream).await;
    })
    .await;
    let limit = Duration::from_millis(50);
    let error =
        send(&upstreams(UpstreamConfig { timeout: limit, ..config(&uri) }), get("/")).await.unwrap_err();
    assert!(matches!(error, ForwardError::TimedOut { awaited: Awaited::ResponseHeaders, .. }), "{error:?}");
    assert_eq!(error.to_string(), "The upstream took too long: no response headers within 50ms.");
}

/// A body whose pieces are sent through a channel.
struct Pieces(mpsc::Receiver<&'static str>);

impl http_body::Body for Pieces {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(
        mut self: std::pin::Pin<&mut Self>,
        cx: &mut std::task::Context<'_>,
    ) -> std::task::Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        self.0
            .poll_recv(cx)
            .map(|piece| piece.map(|piece| Ok(Frame::data(Bytes::from_static(piece.as_bytes())))))
    }
}

#[tokio::test]
async fn a_slow_upload_does_not_count_against_the_application() {
    let (uri, _) = scripted(|mut stream, _| async move {
        read_head(&mut stream).await;
        let mut body = Vec::new();
        while !body.ends_with(b"0\r\n\r\n") {
            body.push(stream.read_u8().await.unwrap());
        }
        stream.write_all(OK_HELLO).await.unwrap();
    })
    .await;
    let (pieces, receiver) = mpsc::channel(1);
    tokio::spawn(async move {
        for piece in ["a", "b", "c"] {
            tokio::time::sleep(Duration::from_millis(500)).await;
            pieces.send(piece).await.unwrap();
        }
    });
    let request = Request::post("/").body(Body::boxed(Pieces(receiver))).unwrap();
    let config = UpstreamConfig { timeout: Duration::from_secs(1), ..config(&uri) };
    assert_eq!(text(send(&upstreams(config), request).await.unwrap()).await, "hello");
}

/// A body that breaks off after its first piece.
struct BrokenOff(Option<&'static str>);

impl http_body::Body for BrokenOff {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(
        mut self: std::pin::Pin<&mut Self>,
        _cx: &mut std::task::Context<'_>,
    ) -> std::task::Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        let frame = match self.0.take() {
            Some(piece) => Ok(Frame::data(Bytes::from_static(piece.as_bytes()))),
            None => Err(std::io::Error::other("gone").into()),
        };
        std::task::Poll::Ready(Some(frame))
    }
}

#[tokio::test]
async fn an_upload_that_breaks_off_is_not_the_applications_fault_and_never_looks_complete() {
    let (arrived, mut arrivals) = mpsc::channel(1);
    let (uri, _) = scripted(move |mut stream, _| {
        let arrived = arrived.clone();
        async move {
            let mut all = String::new();
            let _ = stream.read_to_string(&mut all).await;
            arrived.send(all).await.unwrap();
        }
    })
    .await;
    let upstreams = upstreams(config(&uri));
    let request = Request::post("/").body(Body::boxed(BrokenOff(Some("half")))).unwrap();
    let error = send(&upstreams, request).await.unwrap_err();
    assert!(matches!(error, ForwardError::RequestBody(_)), "{error:?}");
    assert!(error.to_string().contains("gone"), "{error}");
    let all = arrivals.recv().await.unwrap();
    assert!(!all.contains("0\r\n\r\n"), "{all}");
    let signed = upstreams.signed_by(&Arc::new(Signer::parse("sha256:k").unwrap()));
    let request = Request::post("/").body(Body::boxed(BrokenOff(Some("half")))).unwrap();
    let error = send(&signed, request).await.unwrap_err();
    assert!(matches!(error, ForwardError::UnsignedBody(_)), "{error:?}");
}

#[tokio::test]
async fn an_http2_request_becomes_an_http1_request() {
    let (uri, _) = scripted(|stream, _| echo_heads(stream)).await;
    let request = Request::get("https://app.test:8443/x?y")
        .version(Version::HTTP_2)
        .header("cookie", "a=1")
        .header("cookie", "b=2")
        .body(Body::Empty)
        .unwrap();
    let head = text(send(&upstreams(config(&uri)), request).await.unwrap()).await;
    assert_eq!(
        lines(&head),
        ["GET /x?y HTTP/1.1", "cookie: a=1; b=2", "host: app.test:8443", "x-forwarded-for: 127.0.0.1"]
    );
}

#[tokio::test]
async fn both_bodies_stream() {
    let (saw_first, mut first_seen) = mpsc::channel(1);
    let (go_on, may_go_on) = mpsc::channel::<()>(1);
    let may_go_on = Mutex::new(Some(may_go_on));
    let (uri, _) = scripted(move |mut stream, _| {
        let saw_first = saw_first.clone();
        let mut may_go_on = may_go_on.lock().unwrap().take().unwrap();
        async move {
            let head = read_head(&mut stream).await;
            assert!(head.contains("transfer-encoding: chunked\r\n"), "{head}");
            let mut piece = [0; 8];
            stream.read_exact(&mut piece).await.unwrap();
            assert_eq!(&piece, b"3\r\none\r\n");
            saw_first.send(()).await.unwrap();
            let mut rest = [0; 13];
            stream.read_exact(&mut rest).await.unwrap();
            assert_eq!(&rest, b"3\r\ntwo\r\n0\r\n\r\n");
            stream.write_all(b"HTTP/1.1 200 OK\r\n\r\npart1").await.unwrap();
            may_go_on.recv().await.unwrap();
            stream.write_all(b"part2").await.unwrap();
        }
    })
    .await;
    let (pieces, receiver) = mpsc::channel(1);
    tokio::spawn(async move {
        pieces.send("one").await.unwrap();
        first_seen.recv().await.unwrap();
        pieces.send("two").await.unwrap();
    });
    // A method that usually has no content keeps it all the same.
    let request = Request::get("/").body(Body::boxed(Pieces(receiver))).unwrap();
    let mut response = send(&upstreams(config(&uri)), request).await.unwrap();
    let first = response.body_mut().frame().await.unwrap().unwrap().into_data().unwrap();
    assert_eq!(first, "part1");
    go_on.send(()).await.unwrap();
    assert_eq!(text(response).await, "part2");
}

/// An application that counts the bytes it gets and sends back as many.
async fn mirror() -> String {
    scripted(|stream, _| async move {
        let service = service_fn(|request: Request<hyper::body::Incoming>| async move {
            let bytes = request.into_body().collect().await?.to_bytes();
            Ok::<_, hyper::Error>(Response::new(Body::from(bytes)))
        });
        let _ =
            hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(stream), service).await;
    })
    .await
    .0
}

#[tokio::test]
async fn large_bodies_pass_both_ways_unchanged() {
    let content: Bytes = (0_u32..2_500_000).flat_map(u32::to_le_bytes).collect();
    let upstreams = upstreams(config(&mirror().await));
    for _ in 0..2 {
        let request = Request::post("/").body(Body::from(content.clone())).unwrap();
        let response = send(&upstreams, request).await.unwrap();
        assert_eq!(response.headers()["content-length"], content.len().to_string());
        assert!(response.into_body().collect().await.unwrap().to_bytes() == content);
    }
}

#[tokio::test]
async fn trailers_pass_both_ways_but_can_pose_as_nothing() {
    for (announced, sent, passed) in [
        ("X-Sum", "X-Sum: 3\r\n", "0\r\nx-sum: 3\r\n\r\n"),
        ("X-Sum, Authorization", "Authorization: evil\r\nX-Sum: 3\r\n", "0\r\nx-sum: 3\r\n\r\n"),
        ("X-Forwarded-User", "X-Forwarded-User: evil\r\n", "0\r\n\r\n"),
        ("", "X-Forwarded-User: evil\r\nContent-Length: 9\r\nX-Unannounced: 1\r\n", "0\r\n\r\n"),
    ] {
        let (uri, _) = scripted(move |mut stream, _| async move {
            let head = read_head(&mut stream).await;
            assert!(!head.contains("authorization: evil") && !head.to_lowercase().contains("trailer: x-f"), "{head}");
            let mut body = vec![0; 8 + passed.len()];
            stream.read_exact(&mut body).await.unwrap();
            assert_eq!(String::from_utf8_lossy(&body).to_lowercase(), format!("3\r\nabc\r\n{passed}"));
            let answer = "HTTP/1.1 200 OK\r\nTrailer: x-sum\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\nX-Sum: 7\r\n\r\n";
            stream.write_all(answer.as_bytes()).await.unwrap();
        })
        .await;
        let front = front(upstreams(config(&uri))).await;
        let head = format!(
            "POST / HTTP/1.1\r\nHost: h\r\nConnection: close\r\nTE: trailers\r\nTrailer: {announced}"
        );
        let content = format!("Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n{sent}\r\n");
        let answer = raw(front, &format!("{head}\r\n{content}")).await;
        assert!(answer.to_ascii_lowercase().ends_with("0\r\nx-sum: 7\r\n\r\n"), "{answer}");
    }
}

#[tokio::test]
async fn expectations_are_met() {
    let front = front(upstreams(config(&mirror().await))).await;
    let mut stream = TcpStream::connect(front).await.unwrap();
    let head = "POST / HTTP/1.1\r\nHost: h\r\nConnection: close\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\n";
    stream.write_all(head.as_bytes()).await.unwrap();
    assert!(read_head(&mut stream).await.starts_with("HTTP/1.1 100 Continue"));
    stream.write_all(b"hello").await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 200 OK") && answer.ends_with("hello"), "{answer}");
}

#[tokio::test]
async fn an_answers_hop_by_hop_headers_and_false_lengths_stop_here() {
    let (uri, _) = scripted(|mut stream, _| async move {
        read_head(&mut stream).await;
        let answer = "HTTP/1.1 200 OK\r\nConnection: X-Hop\r\nX-Hop: 1\r\nKeep-Alive: timeout=77\r\nX-Multi: a\r\n\
                      X-Multi: b\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n";
        stream.write_all(answer.as_bytes()).await.unwrap();
    })
    .await;
    let response = send(&upstreams(config(&uri)), get("/")).await.unwrap();
    let names: Vec<_> =
        response.headers().iter().map(|(name, value)| (name.as_str(), value.clone())).collect();
    assert_eq!(
        names,
        [("x-multi", HeaderValue::from_static("a")), ("x-multi", HeaderValue::from_static("b"))]
    );
    assert_eq!(text(response).await, "hello");
}

#[tokio::test]
async fn ambiguous_requests_are_refused_or_made_unambiguous() {
    let seen = Arc::new(Mutex::new(Vec::new()));
    let log = Arc::clone(&seen);
    let (uri, _) = scripted(move |stream, _| {
        let log = Arc::clone(&log);
        async move {
            let service = service_fn(move |request: Request<hyper::body::Incoming>| {
                let log = Arc::clone(&log);
                async move {
                    let target = request.uri().to_string();
                    let bytes = request.into_body().collect().await?.to_bytes();
                    log.lock().unwrap().push(format!("{target} {}", String::from_utf8_lossy(&bytes)));
                    Ok::<_, hyper::Error>(Response::new(Body::from("seen")))
                }
            });
            let server = hyper::server::conn::http1::Builder::new();
            let _ = server.serve_connection(TokioIo::new(stream), service).await;
        }
    })
    .await;
    let front = front(upstreams(config(&uri))).await;
    let smuggled = "GET /smuggled HTTP/1.1\r\nHost: h\r\n\r\n";
    for (headers, body, expected) in [
        // The chunks win, and the length is not forwarded.
        ("Content-Length: 42\r\nTransfer-Encoding: chunked", "3\r\nabc\r\n0\r\n\r\n", Some("/x abc")),
        ("Transfer-Encoding: chunked\r\nContent-Length: 3", "3\r\nabc\r\n0\r\n\r\n", Some("/x abc")),
        ("Transfer-Encoding: chunked", "3;ext=1\r\nabc\r\n0\r\n\r\n", Some("/x abc")),
        ("Content-Length: 3\r\nContent-Length: 3", "abc", Some("/x abc")),
        ("Content-Length: 3\r\nConnection: content-length", "abc", Some("/x abc")),
        ("Content-Length: 3\r\nContent-Length: 4", "abcd", None),
        ("Content-Length: 3, 3", "abc", None),
        ("Content-Length: +3", "abc", None),
        ("Content-Length: -3", "abc", None),
        ("Content-Length: 0x3", "abc", None),
        ("Transfer-Encoding: identity", smuggled, None),
        ("Transfer-Encoding: chunked, identity", smuggled, None),
        ("Transfer-Encoding: chunked\r\nTransfer-Encoding: identity", smuggled, None),
        ("Transfer-Encoding: xchunked", smuggled, None),
        ("Transfer-Encoding : chunked", smuggled, None),
        ("Content-Length : 3", "abc", None),
        ("X: 1\r\n Transfer-Encoding: chunked", "", None),
    ] {
        seen.lock().unwrap().clear();
        let connection = if expected.is_some() { "Connection: close\r\n" } else { "" };
        let request = format!("POST /x HTTP/1.1\r\nHost: h\r\n{connection}{headers}\r\n\r\n{body}");
        let answer = raw(front, &request).await;
        let status = if expected.is_some() { "HTTP/1.1 200" } else { "HTTP/1.1 400" };
        assert!(answer.starts_with(status), "{headers:?}: {answer}");
        let expected: Vec<String> = expected.into_iter().map(str::to_owned).collect();
        assert_eq!(*seen.lock().unwrap(), expected, "{headers:?}");
    }
}

#[tokio::test]
async fn tunnels_to_anywhere_and_targets_without_path_are_refused() {
    let (uri, connections) = scripted(|stream, _| echo_heads(stream)).await;
    let front = front(upstreams(config(&uri))).await;
    for (line, status) in
        [("CONNECT other.test:22 HTTP/1.1", "HTTP/1.1 405"), ("GET other.test:80 HTTP/1.1", "HTTP/1.1 400")]
    {
        let answer = raw(front, &format!("{line}\r\nHost: h\r\nConnection: close\r\n\r\n")).await;
        assert!(answer.starts_with(status), "{line}: {answer}");
    }
    assert_eq!(connections.load(Ordering::SeqCst), 0);
}

const SWITCHED: &str = "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
                        Sec-WebSocket-Accept: x\r\nX-Forwarded-User: theirs\r\n\r\n";

fn upgrade_request(connection: &str, upgrade: &str) -> String {
    format!(
        "GET /ws HTTP/1.1\r\nHost: h\r\nConnection: {connection}\r\nUpgrade: {upgrade}\r\nSec-WebSocket-Key: k\r\n\r\n"
    )
}

/// Accepts an upgrade, greets in the same packet, and echoes.
async fn echo_websocket(mut stream: impl AsyncRead + AsyncWrite + Unpin) {
    let head = read_head(&mut stream).await;
    for needed in ["connection: Upgrade\r\n", "upgrade: websocket\r\n", "x-forwarded-user: alice\r\n"] {
        assert!(head.contains(needed), "{head}");
    }
    stream.write_all(format!("{SWITCHED}welcome").as_bytes()).await.unwrap();
    let (mut reader, mut writer) = tokio::io::split(stream);
    let _ = tokio::io::copy(&mut reader, &mut writer).await;
}

async fn check_tunnel(front: SocketAddr, connection: &str, upgrade: &str) {
    let mut stream = TcpStream::connect(front).await.unwrap();
    stream.write_all(upgrade_request(connection, upgrade).as_bytes()).await.unwrap();
    let head = read_head(&mut stream).await.to_ascii_lowercase();
    assert!(head.starts_with("http/1.1 101"), "{connection} {upgrade}: {head}");
    for needed in ["connection: upgrade\r\n", "upgrade: websocket\r\n", "sec-websocket-accept: x\r\n"] {
        assert!(head.contains(needed), "{head}");
    }
    let mut greeting = [0; 7];
    stream.read_exact(&mut greeting).await.unwrap();
    assert_eq!(&greeting, b"welcome");
    stream.write_all(b"ping").await.unwrap();
    stream.shutdown().await.unwrap();
    let mut echoed = String::new();
    stream.read_to_string(&mut echoed).await.unwrap();
    assert_eq!(echoed, "ping");
}

#[tokio::test]
async fn a_websocket_is_a_tunnel_whatever_the_spelling() {
    let (uri, _) = scripted(|stream, _| echo_websocket(stream)).await;
    let front = front(upstreams(config(&uri))).await;
    for (connection, upgrade) in [
        ("Upgrade", "websocket"),
        ("keep-alive, Upgrade", "WebSocket"),
        ("UPGRADE, x-forwarded-user", "websocket"),
        ("upgrade", "h2c, websocket"),
    ] {
        check_tunnel(front, connection, upgrade).await;
    }
}

#[tokio::test]
async fn requests_and_websockets_pass_over_a_unix_socket() {
    let path = env::temp_dir().join(format!("doorward-upstream-{}.sock", process::id()));
    let _ = fs::remove_file(&path);
    let listener = UnixListener::bind(&path).unwrap();
    tokio::spawn(async move {
        let (stream, _) = listener.accept().await.unwrap();
        tokio::spawn(echo_heads(stream));
        let (stream, _) = listener.accept().await.unwrap();
        tokio::spawn(echo_websocket(stream));
    });
    let upstreams = upstreams(config(&format!("unix://{}", path.display())));
    let head = text(send(&upstreams, Request::get("/x?y=1").body(Body::Empty).unwrap()).await.unwrap()).await;
    assert_eq!(lines(&head), ["GET /x?y=1 HTTP/1.1", "host: localhost", "x-forwarded-for: 127.0.0.1"]);
    check_tunnel(front(upstreams).await, "Upgrade", "websocket").await;
    fs::remove_file(&path).unwrap();
}

#[tokio::test]
async fn a_refused_upgrade_leaves_an_ordinary_connection() {
    for answer in [
        "HTTP/1.1 404 Not Found\r\nContent-Length: 5\r\n\r\nnope!",
        "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\nnope!",
    ] {
        let heads = Arc::new(Mutex::new(VecDeque::new()));
        let log = Arc::clone(&heads);
        let (uri, _) = scripted(move |mut stream, _| {
            let log = Arc::clone(&log);
            async move {
                loop {
                    let head = read_head(&mut stream).await;
                    if head.is_empty() {
                        return;
                    }
                    let is_upgrade = head.contains("upgrade: websocket");
                    log.lock().unwrap().push_back(head);
                    let answer = if is_upgrade { answer.as_bytes() } else { OK_HELLO };
                    stream.write_all(answer).await.unwrap();
                }
            }
        })
        .await;
        let front = front(upstreams(config(&uri))).await;
        let second = "GET /second HTTP/1.1\r\nHost: h\r\nX-Forwarded-User: evil\r\nConnection: close\r\n\r\n";
        // The second request is sent at once, as a client would that takes the connection for a tunnel.
        let answers = raw(front, &format!("{}{second}", upgrade_request("Upgrade", "websocket"))).await;
        assert!(answers.contains("nope!HTTP/1.1 200 OK\r\n") && answers.ends_with("hello"), "{answers}");
        let (first_answer, _) = answers.split_once("nope!").unwrap();
        assert!(!first_answer.to_ascii_lowercase().contains("upgrade"), "{first_answer}");
        let heads = heads.lock().unwrap();
        assert_eq!(heads.len(), 2);
        assert!(heads[1].starts_with("GET /second ") && heads[1].contains("x-forwarded-user: alice\r\n"));
        assert!(!heads[1].contains("evil"));
    }
}

#[tokio::test]
async fn websockets_that_are_off_do_not_reach_the_application() {
    let (uri, connections) = scripted(|stream, _| echo_websocket(stream)).await;
    let refused = UpstreamConfig { websockets: WebSockets::Refused, ..config(&uri) };
    let front = front(upstreams(refused)).await;
    let mut stream = TcpStream::connect(front).await.unwrap();
    stream.write_all(upgrade_request("keep-alive, upgrade", "websocket").as_bytes()).await.unwrap();
    let head = read_head(&mut stream).await;
    assert!(head.starts_with("HTTP/1.1 403"), "{head}");
    assert!(head.contains("text/plain"), "{head}");
    assert_eq!(connections.load(Ordering::SeqCst), 0);
}

#[tokio::test]
async fn only_asked_for_protocols_are_switched_to() {
    for (upgrade, expected_upstream) in [("h2c", "-"), ("websocket", "upgrade: websocket")] {
        let (uri, _) = scripted(move |mut stream, _| async move {
            let head = read_head(&mut stream).await;
            assert_eq!(head.contains("upgrade"), expected_upstream != "-", "{head}");
            stream
                .write_all(b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: h2c\r\nConnection: Upgrade\r\n\r\n")
                .await
                .unwrap();
            read_head(&mut stream).await;
        })
        .await;
        let front = front(upstreams(config(&uri))).await;
        let mut stream = TcpStream::connect(front).await.unwrap();
        stream.write_all(upgrade_request("Upgrade, HTTP2-Settings", upgrade).as_bytes()).await.unwrap();
        let head = read_head(&mut stream).await;
        assert!(head.starts_with("HTTP/1.1 502"), "{upgrade}: {head}");
    }
}

const CERTIFICATE: CertificatePem<'_> = CertificatePem {
    chain: include_bytes!("../../../doorward-net/tests/tls/cert.pem"),
    key: include_bytes!("../../../doorward-net/tests/tls/key.pem"),
};

fn server_tls() -> TlsServerConfig {
    TlsServerConfig::new(TlsServerOptions {
        certificate: CERTIFICATE,
        min_version: TlsVersion::Tls12,
        cipher_suites: &[],
        client_certificates: ClientCertificates::NotAsked,
    })
    .unwrap()
}

#[tokio::test]
async fn an_untrusted_certificate_is_refused_unless_verification_is_off() {
    let address = ListenAddress::Tcp("127.0.0.1:0".into());
    let listener = Listener::bind(&address, Some(server_tls())).await.unwrap();
    let uri = format!("https://{}", listener.local_address().unwrap());
    tokio::spawn(async move {
        loop {
            let accepted = listener.accept().await.unwrap();
            let shaken =
                tls::handshake(accepted.socket, &listener.tls().unwrap(), Duration::from_secs(10)).await;
            if let Ok(stream) = shaken {
                tokio::spawn(http2::mirror(stream));
            }
        }
    });
    let insecure = upstreams(UpstreamConfig { tls: TlsVerification::Insecure, ..config(&uri) });
    for _ in 0..2 {
        let seen = text(send(&insecure, get("/x")).await.unwrap()).await;
        assert!(seen.starts_with("HTTP/2.0 GET https://client.test/x\n"), "{seen}");
    }
    match Upstreams::new(vec![config(&uri)], PathForm::Decoded) {
        Ok(verifying) => {
            let error = send(&verifying, get("/x")).await.unwrap_err();
            assert!(matches!(error, ForwardError::Tls(_)), "{error:?}");
        }
        // A machine without trusted roots trusts nobody.
        Err(error) => assert!(matches!(error, InvalidUpstreams::Tls(_)), "{error}"),
    }
}

#[tokio::test]
async fn signed_requests_carry_their_signature_and_their_length() {
    let (uri, _) = scripted(|stream, _| echo_heads(stream)).await;
    let signer = Arc::new(Signer::parse("sha256:topsecret").unwrap());
    let upstreams = upstreams(config(&uri)).signed_by(&signer);
    let request = Request::get("/").header("gap-auth", "evil").header("gap-signature", "evil");
    let request = request.header("host", "h").body(Body::Empty).unwrap();
    let head = text(send(&upstreams, request).await.unwrap()).await;
    let lines = lines(&head);
    assert_eq!(lines[1], "gap-auth: alice@example.com");
    assert!(lines[2].starts_with("gap-signature: sha256 "), "{head}");
    assert_eq!(lines.len(), 5, "{head}");
}

#[tokio::test]
async fn a_static_upstream_gives_its_answer_to_every_method() {
    for (uri, body) in
        [("static://202", "Authenticated"), ("static://204", ""), ("static://404", "Authenticated")]
    {
        let upstreams = upstreams(config(uri));
        for method in [Method::GET, Method::POST, Method::DELETE] {
            let request = Request::builder().method(method).uri("/x").body(Body::from("abc")).unwrap();
            let response = send(&upstreams, request).await.unwrap();
            assert_eq!(response.status().as_str(), uri.trim_start_matches("static://"));
            let content_type = response.headers().get("content-type").cloned();
            assert_eq!(content_type.is_some(), !body.is_empty());
            assert_eq!(text(response).await, body);
        }
    }
}

#[tokio::test]
async fn a_dev_null_upstream_starts_and_has_nothing() {
    let upstreams = upstreams(config("file:///dev/null"));
    let Route::Found(upstream) = upstreams.find(&at("/dev/null")) else { panic!("the path is routed") };
    let response = upstream.forward(permit(), get("/dev/null"), how(&[])).await.unwrap();
    assert_eq!(response.status(), StatusCode::NOT_FOUND);
    assert!(matches!(upstreams.find(&at("/")), Route::NotFound));
}

fn rewrite(path: &str, target: &str, config: UpstreamConfig) -> UpstreamConfig {
    UpstreamConfig { path: path.into(), rewrite: Some(Rewrite { target: target.into() }), ..config }
}

#[tokio::test]
async fn a_rewritten_request_differs_from_the_clients_in_its_target_only() {
    let (uri, connections) = scripted(|stream, _| echo_heads(stream)).await;
    let upstreams = upstreams(rewrite("^/(.*)$", "/v1/$1?by=us", config(&uri)));
    for (target, line, host) in [
        ("/a%2Fb?x=%20+", "GET /v1/a%2Fb?x=%20+&by=us HTTP/1.1", "host: client.test"),
        ("http://proxy.test/x", "GET /v1/x?by=us HTTP/1.1", "host: proxy.test"),
    ] {
        let head = text(send(&upstreams, get(target)).await.unwrap()).await;
        assert_eq!(lines(&head), [line, host, "x-forwarded-for: 127.0.0.1"]);
    }
    let before = connections.load(Ordering::SeqCst);
    let bad = self::upstreams(rewrite("^/u-(.*)$|^/$", "/$1", config(&uri)));
    let Route::Found(upstream) = bad.find(&at("/u-..")) else { panic!("the expression matches") };
    let error = upstream.forward(permit(), get("/u-../admin"), how(&[])).await.unwrap_err();
    assert!(matches!(error, ForwardError::Rewrite(RewriteError::DotSegment)), "{error}");
    assert_eq!(connections.load(Ordering::SeqCst), before, "nothing was forwarded");
}

#[tokio::test]
async fn a_rewritten_websocket_goes_to_the_rewritten_path() {
    let (uri, _) = scripted(|mut stream, _| async move {
        let head = read_head(&mut stream).await;
        assert!(head.starts_with("GET /socket?from=ws HTTP/1.1\r\n"), "{head}");
        stream.write_all(SWITCHED.as_bytes()).await.unwrap();
    })
    .await;
    let front = front(upstreams(rewrite("^/(ws)?$", "/socket?from=$1", config(&uri)))).await;
    let mut stream = TcpStream::connect(front).await.unwrap();
    stream.write_all(upgrade_request("Upgrade", "websocket").as_bytes()).await.unwrap();
    assert!(read_head(&mut stream).await.starts_with("HTTP/1.1 101"));
}

#[tokio::test]
async fn a_rewrite_names_files_below_the_folder_only() {
    let scratch = env::temp_dir().join(format!("doorward-upstream-rewrite-{}", process::id()));
    let _ = fs::remove_dir_all(&scratch);
    fs::create_dir_all(scratch.join("www/docs")).unwrap();
    fs::write(scratch.join("www/docs/a b.txt"), "below").unwrap();
    fs::write(scratch.join("www/docs/index.html"), "index").unwrap();
    fs::write(scratch.join("secret.txt"), "secret").unwrap();
    let files = Target::Files { directory: scratch.join("www") };
    let config = UpstreamConfig::new("x".into(), "files".into(), files);
    for form in [PathForm::Decoded, PathForm::Raw] {
        let rewritten = rewrite("^/public/(.*)$", "/docs/$1", config.clone());
        let folder =
            rewrite("^/manual(/.*)?$", "/docs$1", UpstreamConfig { id: "2".into(), ..config.clone() });
        let upstreams = Upstreams::new(vec![rewritten, folder], form).unwrap();
        for (target, expected) in [
            ("/public/a%20b.txt", "200 below"),
            ("/public/", "200 index"),
            ("/manual/", "200 index"),
            ("/manual", "301 /manual/"),
            ("/public/..%2F..%2Fsecret.txt", "404 404 page not found\n"),
            ("/public/..%5C..%5Csecret.txt", "404 404 page not found\n"),
            ("/public/%2e%2e%2Fdocs%2Fa%20b.txt", "404 404 page not found\n"),
            ("/public/%2Fetc/passwd", "404 404 page not found\n"),
            ("/public/a%20b.txt%00", "404 404 page not found\n"),
        ] {
            let Route::Found(upstream) = upstreams.find(&at(target)) else { panic!("{target} matches") };
            let response = upstream.forward(permit(), get(target), how(&[])).await.unwrap();
            let status = response.status().as_u16();
            let location = response.headers().get("location").map(|to| to.to_str().unwrap().to_owned());
            let said = match location {
                Some(location) => location,
                None => text(response).await,
            };
            assert_eq!(format!("{status} {said}"), expected, "{target} {form:?}");
        }
        let Route::Found(upstream) = upstreams.find(&at("/public/x")) else { panic!("it matches") };
        let error = upstream.forward(permit(), get("/public/../secret.txt"), how(&[])).await.unwrap_err();
        assert!(matches!(error, ForwardError::Rewrite(RewriteError::DotSegment)), "{error}");
    }
    fs::remove_dir_all(&scratch).unwrap();
}

#[tokio::test]
async fn files_are_found_on_raw_paths() {
    let scratch = env::temp_dir().join(format!("doorward-upstream-raw-{}", process::id()));
    let _ = fs::remove_dir_all(&scratch);
    fs::create_dir_all(scratch.join("www")).unwrap();
    fs::write(scratch.join("www/a b.txt"), "below").unwrap();
    fs::write(scratch.join("secret.txt"), "secret").unwrap();
    let files = Target::Files { directory: scratch.join("www") };
    let config = UpstreamConfig::new("/s%2Fx/".into(), "files".into(), files);
    let upstreams = Upstreams::new(vec![config], PathForm::Raw).unwrap();
    for (target, expected) in [
        ("/s%2Fx/a%20b.txt", 200),
        ("/s%2Fx/..%2Fsecret.txt", 404),
        ("/s%2Fx/%2e%2e/secret.txt", 404),
        ("/s%2Fx/%2Fetc/passwd", 404),
    ] {
        let Route::Found(upstream) = upstreams.find(&at(target)) else { panic!("{target} matches") };
        let response = upstream.forward(permit(), get(target), how(&[])).await.unwrap();
        assert_eq!(response.status(), expected, "{target}");
    }
    fs::remove_dir_all(&scratch).unwrap();
}

#[tokio::test]
async fn every_upstream_has_options_of_its_own() {
    let (uri, connections) = scripted(|stream, _| echo_heads(stream)).await;
    let (slow, _) = scripted(|mut stream, _| async move {
        read_head(&mut stream).await;
        read_head(&mut stream).await;
    })
    .await;
    let at_path =
        |path: &str, uri: &str| UpstreamConfig { path: path.into(), id: path.into(), ..config(uri) };
    let upstreams = Upstreams::new(
        vec![
            at_path("/usual", &uri),
            UpstreamConfig { pass_host_header: HostHeader::FromTarget, ..at_path("/host", &uri) },
            UpstreamConfig { keep_alive: KeepAlive::Close, ..at_path("/close", &uri) },
            UpstreamConfig { websockets: WebSockets::Refused, ..at_path("/no-ws", &uri) },
            UpstreamConfig { timeout: Duration::from_millis(10), ..at_path("/timeout", &slow) },
        ],
        PathForm::Decoded,
    )
    .unwrap();
    let ask = async |path: &str, request: Request<Body>| {
        let Route::Found(upstream) = upstreams.find(&at(path)) else { panic!("{path} is routed") };
        upstream.forward(permit(), request, how(&[])).await
    };
    let head = async |path: &str| text(ask(path, get(path)).await.unwrap()).await;
    assert!(head("/usual").await.contains("host: client.test\r\n"));
    assert!(!head("/host").await.contains("client.test"));
    assert!(head("/close").await.contains("connection: close\r\n"));
    assert!(!head("/usual").await.contains("connection"));
    assert_eq!(connections.load(Ordering::SeqCst), 3, "upstreams do not share connections");
    let upgrade = || Request::get("/").header("connection", "upgrade").header("upgrade", "websocket");
    let refused = ask("/no-ws", upgrade().body(Body::Empty).unwrap()).await.unwrap();
    assert_eq!(refused.status(), 403);
    assert_ne!(ask("/host", upgrade().body(Body::Empty).unwrap()).await.unwrap().status(), 403);
    let error = ask("/timeout", get("/timeout")).await.unwrap_err();
    assert!(matches!(error, ForwardError::TimedOut { .. }), "{error}");
}
