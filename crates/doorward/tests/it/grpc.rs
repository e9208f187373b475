//! gRPC through the program, as `docs/upstreams.md` says.

use std::convert::Infallible;

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Request, Response};
use http_body_util::{BodyExt, Empty, Full, combinators::BoxBody};
use hyper::{body::Incoming, client::conn::http2::SendRequest, service::service_fn};
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::net::{TcpListener, TcpStream};

use crate::support::Stage;

const PAGE: &str = include_str!("../../../../docs/upstreams.md");

fn fields(fields: &[(&'static str, &'static str)]) -> HeaderMap {
    let mut map = HeaderMap::new();
    for (name, value) in fields {
        map.insert(HeaderName::from_static(name), HeaderValue::from_static(value));
    }
    map
}

type Content = BoxBody<Bytes, Infallible>;

/// Says in an answer's headers what the request looked like. Answers with trailers, or with nothing else.
async fn answer(request: Request<Incoming>) -> Result<Response<Content>, Infallible> {
    let (parts, content) = request.into_parts();
    let content = content.collect().await.unwrap();
    let seen = format!("{:?} {} {:?} {:?}", parts.version, parts.uri, parts.headers, content.trailers());
    let mut response = Response::builder().header("content-type", "application/grpc").header("seen", seen);
    if parts.uri.path().ends_with("/Unknown") {
        response = response.header("grpc-status", "12");
        return Ok(response.body(Empty::new().boxed()).unwrap());
    }
    let trailers = async { Some(Ok(fields(&[("grpc-status", "0"), ("grpc-message", "fine")]))) };
    Ok(response.body(Full::new(content.to_bytes()).with_trailers(trailers).boxed()).unwrap())
}

/// Serves HTTP/2 without TLS until the runtime ends.
async fn application() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    tokio::spawn(async move {
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            let builder = hyper::server::conn::http2::Builder::new(TokioExecutor::new());
            tokio::spawn(builder.serve_connection(TokioIo::new(stream), service_fn(answer)));
        }
    });
    address
}

async fn client(host: &str) -> SendRequest<Content> {
    let stream = TokioIo::new(TcpStream::connect(host).await.unwrap());
    let (client, connection) =
        hyper::client::conn::http2::handshake(TokioExecutor::new(), stream).await.unwrap();
    tokio::spawn(connection);
    client
}

fn call(host: &str, path: &str) -> Request<Content> {
    let trailers = async {
        Some(Ok(fields(&[("x-forwarded-user", "forged"), ("x_forwarded_email", "forged"), ("x-sum", "7")])))
    };
    Request::post(format!("http://{host}{path}"))
        .header("content-type", "application/grpc")
        .header("te", "trailers")
        .header("x-forwarded-user", "forged")
        .body(Full::from("\0\0\0\0\u{2}hi").with_trailers(trailers).boxed())
        .unwrap()
}

/// The flags on the page, with this application.
fn flags(application: &str) -> Vec<String> {
    let (_, after) = PAGE.split_once("<!-- block: grpc -->\n```sh\n").unwrap();
    let (flags, _) = after.split_once("\n```").unwrap();
    assert!(flags.contains("127.0.0.1:50051"), "{flags}");
    flags.replace("127.0.0.1:50051", application).split_whitespace().map(str::to_owned).collect()
}

#[test]
fn calls_pass_with_their_trailers_and_without_forged_ones() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let application = runtime.block_on(application());
    let flags = flags(&application);
    let flags = flags.iter().map(String::as_str);
    let stage = Stage::launch(|launch| launch.without("upstream").flags(flags));
    let browser = stage.browser();
    let host = &*browser.host();
    runtime.block_on(async {
        let mut client = client(host).await;
        let response = client.send_request(call(host, "/grpc.health.v1.Health/Check")).await.unwrap();
        let seen = response.headers()["seen"].to_str().unwrap().to_owned();
        assert!(seen.starts_with(&format!("HTTP/2.0 http://{host}/grpc.health.v1.Health/Check ")), "{seen}");
        assert!(seen.contains("\"te\": \"trailers\"") && seen.contains("Some({\"x-sum\": \"7\"})"), "{seen}");
        assert!(!seen.contains("forged"), "{seen}");
        let answered = response.into_body().collect().await.unwrap();
        assert_eq!(answered.trailers().unwrap()["grpc-status"], "0");
        assert_eq!(answered.to_bytes(), "\0\0\0\0\u{2}hi");

        let response = client.send_request(call(host, "/grpc.health.v1.Health/Unknown")).await.unwrap();
        assert_eq!(
            (response.status().as_u16(), &response.headers()["grpc-status"].to_str().unwrap()),
            (200, &"12")
        );
        assert!(hyper::body::Body::is_end_stream(response.body()), "an error is an answer of trailers only");

        let response = client.send_request(call(host, "/shop.Orders/List")).await.unwrap();
        assert_eq!(response.status(), 403, "nobody is signed in");
        assert!(!response.headers().contains_key("seen"));
    });
}

#[test]
fn an_answer_to_head_has_no_content_over_http2_either() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let stage = Stage::launch(|launch| launch);
    let host = stage.browser().host();
    runtime.block_on(async {
        let mut client = client(&host).await;
        for (path, status) in [("/ping", 200), ("/oauth2/sign_in", 200), ("/x", 403), ("/oauth2/auth", 401)] {
            let request = Request::head(format!("http://{host}{path}")).body(Empty::new().boxed()).unwrap();
            let answer = client.send_request(request).await.unwrap();
            assert_eq!(answer.status(), status, "{path}");
            assert!(answer.into_body().collect().await.unwrap().to_bytes().is_empty(), "{path}");
        }
    });
}
