//! The floor: a hyper server on one thread that answers 202 with constant headers, whatever is asked. No program that
//! is built on hyper can cost less for the same answer.

use std::{convert::Infallible, net::SocketAddr};

use http_body_util::Empty;
use hyper::{
    HeaderMap, Response, StatusCode,
    body::Bytes,
    header::{HeaderName, HeaderValue},
    server::conn::http1,
    service::service_fn,
};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::{net::TcpListener, runtime::Builder, task::LocalSet};

use crate::Failure;

pub(crate) fn serve(port: &str, headers: &[&str]) -> Result<(), Failure> {
    let address = SocketAddr::from(([127, 0, 0, 1], port.parse()?));
    let headers: HeaderMap = headers.iter().map(|header| parse(header)).collect::<Result<_, _>>()?;
    let runtime = Builder::new_current_thread().enable_all().build()?;
    LocalSet::new().block_on(&runtime, accept(address, headers))
}

fn parse(header: &str) -> Result<(HeaderName, HeaderValue), Failure> {
    let (name, value) = header.split_once(": ").ok_or_else(|| format!("no header: {header}"))?;
    Ok((name.parse()?, value.parse()?))
}

async fn accept(address: SocketAddr, headers: HeaderMap) -> Result<(), Failure> {
    let listener = TcpListener::bind(address).await?;
    loop {
        let (stream, _) = listener.accept().await?;
        stream.set_nodelay(true)?;
        let headers = headers.clone();
        tokio::task::spawn_local(async move {
            let answer = service_fn(move |_| std::future::ready(Ok::<_, Infallible>(answer(&headers))));
            // A client that goes away is no news.
            let _ = http1::Builder::new()
                .timer(TokioTimer::new())
                .serve_connection(TokioIo::new(stream), answer)
                .await;
        });
    }
}

fn answer(headers: &HeaderMap) -> Response<Empty<Bytes>> {
    let mut response = Response::new(Empty::new());
    *response.status_mut() = StatusCode::ACCEPTED;
    *response.headers_mut() = headers.clone();
    response
}
