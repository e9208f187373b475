//! The application behind the door. It answers every request with what it received, and remembers it.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::future::Future;
use std::sync::{Arc, Mutex};

use ::http::{HeaderMap, Request, Response};
use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use tokio::net::TcpListener;

use crate::process::free_port;

/// What the application saw of one request. Header names are in lower case.
#[derive(Debug, Clone)]
pub(crate) struct Seen {
    pub(crate) method: String,
    pub(crate) uri: String,
    pub(crate) headers: BTreeMap<String, String>,
    pub(crate) body: String,
}

impl Seen {
    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", String::as_str)
    }

    /// The items of a comma list.
    pub(crate) fn list(&self, name: &str) -> Vec<&str> {
        self.header(name).split(',').map(str::trim).filter(|item| !item.is_empty()).collect()
    }

    pub(crate) fn parse(page: &Value) -> Self {
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let headers = page["headers"].as_object().expect("headers");
        Self {
            method: text(&page["method"]),
            uri: text(&page["uri"]),
            headers: headers.iter().map(|(name, value)| (name.clone(), text(value))).collect(),
            body: text(&page["body"]),
        }
    }

    /// Reads the page that the application gave.
    pub(crate) fn from_page(page: &str) -> Self {
        let (_, after) =
            page.split_once("<pre id=\"seen\">").unwrap_or_else(|| panic!("not the application:\n{page}"));
        let (json, _) = after.split_once("</pre>").expect("the element ends");
        let json = json.replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&");
        Self::parse(&serde_json::from_str(&json).expect("the application writes JSON"))
    }
}

/// A running application.
pub(crate) struct Echo {
    pub(crate) url: String,
    seen: Arc<Mutex<Vec<Seen>>>,
}

impl Echo {
    pub(crate) async fn start() -> Self {
        let seen = Arc::new(Mutex::new(Vec::new()));
        let memory = Arc::clone(&seen);
        let address = serve(move |request| {
            let memory = Arc::clone(&memory);
            async move {
                let seen = receive(request).await;
                let page = page(&seen);
                memory.lock().expect("no test panics while holding it").push(seen);
                page
            }
        })
        .await;
        Self { url: format!("http://{address}"), seen }
    }

    /// Every request that reached the application so far.
    pub(crate) fn seen(&self) -> Vec<Seen> {
        self.seen.lock().expect("no test panics while holding it").clone()
    }
}

/// Serves HTTP/1.1 on a free port until the test's runtime ends; gives the address as `host:port`.
pub(crate) async fn serve<H, F>(handle: H) -> String
where
    H: Fn(Request<Incoming>) -> F + Clone + Send + 'static,
    F: Future<Output = Response<Full<Bytes>>> + Send + 'static,
{
    let address = format!("127.0.0.1:{}", free_port());
    let listener = TcpListener::bind(&address).await.expect("the port is free");
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let handle = handle.clone();
            let service = service_fn(move |request| {
                let answer = handle(request);
                async move { Ok::<_, Infallible>(answer.await) }
            });
            tokio::spawn(http1::Builder::new().serve_connection(TokioIo::new(stream), service));
        }
    });
    address
}

async fn receive(request: Request<Incoming>) -> Seen {
    let (parts, body) = request.into_parts();
    let bytes = body.collect().await.map(http_body_util::Collected::to_bytes).unwrap_or_default();
    Seen {
        method: parts.method.to_string(),
        uri: parts.uri.to_string(),
        headers: joined(&parts.headers),
        body: String::from_utf8_lossy(&bytes).into_owned(),
    }
}

fn joined(headers: &HeaderMap) -> BTreeMap<String, String> {
    let mut joined: BTreeMap<String, String> = BTreeMap::new();
    for (name, value) in headers {
        let value = String::from_utf8_lossy(value.as_bytes());
        let entry = joined.entry(name.to_string()).or_default();
        if !entry.is_empty() {
            entry.push(',');
        }
        entry.push_str(&value);
    }
    joined
}

const STYLE: &str = "
:root { color-scheme: light dark; font: 16px/1.5 system-ui, sans-serif }
body { margin: 0 auto; max-width: 52rem; padding: 1.5rem }
pre { white-space: pre-wrap; overflow-wrap: anywhere; padding: 1rem; border: 1px solid #8886; border-radius: .5rem }";

fn page(seen: &Seen) -> Response<Full<Bytes>> {
    let json = json!({ "method": seen.method, "uri": seen.uri, "headers": seen.headers, "body": seen.body });
    let json = serde_json::to_string_pretty(&json).expect("JSON of strings");
    let json = json.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;");
    let html = format!(
        "<!doctype html><html lang=\"en\"><head><meta charset=\"utf-8\"><title>The application</title>\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\"><link rel=\"icon\" href=\"data:,\">\
         <style>{STYLE}</style></head><body><h1>The application</h1>\
         <p><a id=\"sign-out\" href=\"/oauth2/sign_out\">Sign out</a></p>\
         <pre id=\"seen\">{json}</pre></body></html>"
    );
    Response::builder()
        .header("content-type", "text/html; charset=utf-8")
        .header("cache-control", "no-store")
        .body(Full::from(html))
        .expect("a valid response")
}
