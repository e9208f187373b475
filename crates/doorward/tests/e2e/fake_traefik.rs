//! Traefik is not packaged where these tests run, so its requests are replayed: the `ForwardAuth` middleware, the
//! errors middleware and the service proxy, as Traefik 3 performs them. What it does is read from the YAML of the
//! page `docs/integrations/traefik.md`.

use std::ops::RangeInclusive;
use std::sync::Arc;

use ::http::header::{CONTENT_LENGTH, HOST, SET_COOKIE, TRANSFER_ENCODING};
use ::http::{HeaderMap, HeaderName, HeaderValue, Request, Response};
use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;

use crate::echo::serve;
use crate::http::{Answer, SetCookie, replay, send};

/// What the dynamic configuration says.
pub(crate) struct Rules {
    /// `forwardAuth.address`.
    pub(crate) auth_address: String,
    /// `forwardAuth.authResponseHeaders`.
    pub(crate) response_headers: Vec<String>,
    /// `forwardAuth.addAuthCookiesToResponse`.
    pub(crate) auth_cookies: Vec<String>,
    pub(crate) errors: Option<Errors>,
    /// Where the service `doorward` is.
    pub(crate) doorward: String,
    /// Where the service `app` is.
    pub(crate) application: String,
}

/// The errors middleware.
pub(crate) struct Errors {
    pub(crate) statuses: RangeInclusive<u16>,
    pub(crate) query: String,
}

impl Rules {
    /// Reads the middlewares from the page's YAML.
    pub(crate) fn from_yaml(yaml: &str, doorward: &str, application: &str) -> Self {
        let errors = yaml_list(yaml, "status").first().map(|statuses| {
            let (first, last) = statuses.split_once('-').expect("a range of statuses");
            Errors {
                statuses: first.parse().expect("a status")..=last.parse().expect("a status"),
                query: yaml_value(yaml, "query").expect("errors has a query"),
            }
        });
        assert_eq!(yaml_value(yaml, "trustForwardHeader").as_deref(), Some("false"));
        Self {
            auth_address: yaml_value(yaml, "address").expect("an address"),
            response_headers: yaml_list(yaml, "authResponseHeaders"),
            auth_cookies: yaml_list(yaml, "addAuthCookiesToResponse"),
            errors,
            doorward: doorward.to_owned(),
            application: application.to_owned(),
        }
    }
}

fn yaml_value(yaml: &str, key: &str) -> Option<String> {
    let line = yaml.lines().find_map(|line| line.trim().strip_prefix(key)?.strip_prefix(": "))?;
    Some(line.trim_matches('"').to_owned())
}

fn yaml_list(yaml: &str, key: &str) -> Vec<String> {
    yaml.lines()
        .skip_while(|line| line.trim() != format!("{key}:"))
        .skip(1)
        .map_while(|line| line.trim().strip_prefix("- "))
        .map(|item| item.trim_matches('"').to_owned())
        .collect()
}

/// Serves as Traefik with these rules; gives the address as `http://host:port`.
pub(crate) async fn start(rules: Rules) -> String {
    let rules = Arc::new(rules);
    let address = serve(move |request| {
        let rules = Arc::clone(&rules);
        async move { route(&rules, request).await }
    })
    .await;
    format!("http://{address}")
}

/// A request as the entry point receives it: without forwarding headers, since no client is trusted.
struct Incomer {
    request: Request<Bytes>,
    host: String,
}

async fn route(rules: &Rules, request: Request<Incoming>) -> Response<Full<Bytes>> {
    let (mut parts, body) = request.into_parts();
    let body = body.collect().await.map(http_body_util::Collected::to_bytes).unwrap_or_default();
    let forged: Vec<HeaderName> =
        parts.headers.keys().filter(|name| is_forwarding_header(name.as_str())).cloned().collect();
    for name in forged {
        parts.headers.remove(name);
    }
    let host = parts.headers.get(HOST).and_then(|host| host.to_str().ok()).unwrap_or_default().to_owned();
    let incomer = Incomer { request: Request::from_parts(parts, body), host };
    if incomer.request.uri().path().starts_with("/oauth2/") {
        return replay(proxy(&incomer, &rules.doorward).await);
    }
    protect(rules, incomer).await
}

fn is_forwarding_header(name: &str) -> bool {
    name.starts_with("x-forwarded-") || name == "x-real-ip"
}

/// The chain of errors middleware, `ForwardAuth` and application.
async fn protect(rules: &Rules, mut incomer: Incomer) -> Response<Full<Bytes>> {
    let verdict = ask(rules, &incomer).await;
    let answer = if (200..300).contains(&verdict.status) {
        for name in &rules.response_headers {
            let name: HeaderName = name.parse().expect("a header name");
            incomer.request.headers_mut().remove(&name);
            for value in verdict.headers.get_all(&name) {
                incomer.request.headers_mut().append(&name, value.clone());
            }
        }
        let mut answer = proxy(&incomer, &rules.application).await;
        add_auth_cookies(rules, &verdict, &mut answer);
        answer
    } else {
        refusal(verdict)
    };
    match &rules.errors {
        Some(errors) if errors.statuses.contains(&answer.status) => {
            replay(error_page(rules, errors, &incomer, answer.status).await)
        }
        _ => replay(answer),
    }
}

/// The question of `ForwardAuth`: always GET and without body, with the client's headers and five more.
async fn ask(rules: &Rules, incomer: &Incomer) -> Answer {
    let mut question = Request::get(&rules.auth_address).body(Full::default()).expect("a valid address");
    *question.headers_mut() = end_to_end(incomer.request.headers());
    let headers = question.headers_mut();
    headers.remove(HOST);
    headers.remove(CONTENT_LENGTH);
    let uri = incomer.request.uri().path_and_query().map_or("/", |uri| uri.as_str());
    for (name, value) in [
        ("x-forwarded-for", "127.0.0.1"),
        ("x-forwarded-method", incomer.request.method().as_str()),
        ("x-forwarded-proto", "http"),
        ("x-forwarded-host", &incomer.host),
        ("x-forwarded-uri", uri),
    ] {
        headers.insert(name, HeaderValue::from_str(value).expect("printable"));
    }
    send(question).await
}

/// `ForwardAuth` passes a refusal on, with `Location` made absolute against doorward's own address.
fn refusal(mut verdict: Answer) -> Answer {
    if let Some(location) = verdict.location() {
        let location = HeaderValue::from_str(location.as_str()).expect("printable");
        verdict.headers.insert("location", location);
    }
    verdict
}

fn add_auth_cookies(rules: &Rules, verdict: &Answer, answer: &mut Answer) {
    for value in verdict.headers.get_all(SET_COOKIE) {
        let cookie = value.to_str().ok().and_then(SetCookie::parse);
        if cookie.is_some_and(|cookie| rules.auth_cookies.contains(&cookie.name)) {
            answer.headers.append(SET_COOKIE, value.clone());
        }
    }
}

/// The errors middleware asks a service for a page, with the headers of the original request, and keeps the
/// original status.
async fn error_page(rules: &Rules, errors: &Errors, incomer: &Incomer, status: u16) -> Answer {
    let asked_for = incomer.request.uri().to_string();
    let escaped: String = url::form_urlencoded::byte_serialize(asked_for.as_bytes()).collect();
    let query = errors.query.replace("{status}", &status.to_string()).replace("{url}", &escaped);
    let mut request = Request::get(query).body(Bytes::new()).expect("a valid query");
    *request.headers_mut() = incomer.request.headers().clone();
    request.headers_mut().remove(CONTENT_LENGTH);
    request.headers_mut().remove(TRANSFER_ENCODING);
    let page = proxy(&Incomer { request, host: incomer.host.clone() }, &rules.doorward).await;
    Answer { status, ..page }
}

/// The service proxy: same method, path, headers and body, the client's host name, and forwarding headers.
async fn proxy(incomer: &Incomer, service: &str) -> Answer {
    let uri = incomer.request.uri().path_and_query().map_or("/", |uri| uri.as_str());
    let mut request = Request::builder()
        .method(incomer.request.method())
        .uri(format!("{service}{uri}"))
        .body(Full::from(incomer.request.body().clone()))
        .expect("a valid request");
    *request.headers_mut() = end_to_end(incomer.request.headers());
    let headers = request.headers_mut();
    headers.remove(CONTENT_LENGTH);
    for (name, value) in [
        ("host", incomer.host.as_str()),
        ("x-forwarded-for", "127.0.0.1"),
        ("x-forwarded-proto", "http"),
        ("x-forwarded-host", &incomer.host),
        ("x-forwarded-port", incomer.host.rsplit(':').next().unwrap_or("80")),
        ("x-forwarded-server", "traefik"),
        ("x-real-ip", "127.0.0.1"),
    ] {
        headers.insert(name, HeaderValue::from_str(value).expect("printable"));
    }
    send(request).await
}

fn end_to_end(headers: &HeaderMap) -> HeaderMap {
    let mut kept = headers.clone();
    for name in
        ["connection", "keep-alive", "proxy-connection", "te", "trailer", "transfer-encoding", "upgrade"]
    {
        kept.remove(name);
    }
    kept
}
