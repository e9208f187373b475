//! Envoy asks whether a request may pass (`ext_authz`, over gRPC or HTTP), on a listener of its own. The request takes the
//! whole road of one that we would carry ourselves; only the last step tells what would have been sent instead of sending
//! it ([`told`]). So sign-in pages, redirects and our own endpoints are there through Envoy as they are without.
//!
//! Envoy says which request it is by its own words, so nothing is believed that a client says of another one.

use std::{
    collections::VecDeque,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use bytes::Bytes;
use doorward_authn::x509::{self, Shown};
use doorward_core::{Permit, request::Scheme};
use doorward_envoy::{Changes, Question, Verdict};
use doorward_net::{Body, BodyError, Peer};
use http::{
    HeaderMap, HeaderName, HeaderValue, Method, Request, Response, StatusCode, Uri, Version,
    header::{CONTENT_LENGTH, CONTENT_TYPE, DATE, TRANSFER_ENCODING},
};
use http_body::{Body as _, Frame};
use http_body_util::{BodyExt, Limited};

use crate::{
    gate::Gate,
    handle::handle,
    ingress::{Connection, X_FORWARDED_HOST, X_FORWARDED_METHOD, X_FORWARDED_URI, X_ORIGINAL_METHOD},
    record::Recorded,
    respond,
};

/// Pages are far smaller.
const LARGEST_ANSWER: usize = 1024 * 1024;
/// How an HTTP service of Envoy's names what clients said of themselves.
const PARTIAL_BODY: HeaderName = HeaderName::from_static("x-envoy-auth-partial-body");
const TO_REMOVE: HeaderName = HeaderName::from_static("x-envoy-auth-headers-to-remove");
/// What a client may say about another request than the one that Envoy asks about.
const OF_ANOTHER: [HeaderName; 4] =
    [X_FORWARDED_HOST, X_FORWARDED_URI, X_FORWARDED_METHOD, X_ORIGINAL_METHOD];

/// Marks a request that stands for another: the length of its body is not the other one's.
#[derive(Clone, Copy)]
struct AskedOverHttp;

/// What would have been sent to the application.
#[derive(Clone)]
struct Told {
    /// What is left of the client's.
    headers: HeaderMap,
    target: Uri,
    /// Set in place of anything of the same names.
    set: Vec<(HeaderName, HeaderValue)>,
}

/// The last step of the road for a request that Envoy carries on itself.
pub(crate) fn told(
    _permit: Permit,
    request: &Request<Body>,
    set: Vec<(HeaderName, HeaderValue)>,
) -> Response<Body> {
    let mut response = respond::empty(StatusCode::OK);
    let (headers, target) = (request.headers().clone(), request.uri().clone());
    response.extensions_mut().insert(Told { headers, target, set });
    response
}

/// Answers a request to the listener.
pub(crate) async fn answer(
    gate: Arc<Gate>,
    connection: Arc<Connection>,
    request: Request<Body>,
) -> Response<Recorded> {
    let response = if is_grpc(&request) {
        over_grpc(gate, connection, request).await
    } else {
        let mut request = request;
        request.extensions_mut().insert(AskedOverHttp);
        over_http(check(gate, connection, request).await)
    };
    Recorded::unrecorded(response)
}

/// Whether Envoy asks over gRPC. Over HTTP it asks with the client's own path and headers, and a 200 is a yes there; every
/// answer of gRPC is a 200. So a client who asks for the path of gRPC must not get one: what comes over HTTP always has
/// a length, also where there is no body, and gRPC never has.
fn is_grpc(request: &Request<Body>) -> bool {
    let is_its_type = |value: &HeaderValue| value.as_bytes().starts_with(b"application/grpc");
    request.uri().path() == doorward_envoy::PATH
        && request.method() == Method::POST
        && request.version() == Version::HTTP_2
        && request.headers().get(CONTENT_TYPE).is_some_and(is_its_type)
        && !request.headers().contains_key(CONTENT_LENGTH)
}

async fn over_grpc(gate: Arc<Gate>, connection: Arc<Connection>, request: Request<Body>) -> Response<Body> {
    let judge = move |question: Question| {
        let (gate, connection) = (Arc::clone(&gate), as_asked(&connection, &question));
        check(gate, Arc::new(connection), question.request.map(Body::from))
    };
    let (parts, mut body) = doorward_envoy::serve(judge, request).await.into_parts();
    let mut frames = VecDeque::new();
    while let Some(Ok(frame)) = body.frame().await {
        frames.push_back(frame);
    }
    Response::from_parts(parts, Body::boxed(Frames(frames)))
}

/// The client's connection, as Envoy describes it.
fn as_asked(connection: &Connection, question: &Question) -> Connection {
    let certificate = question.certificate.as_deref();
    Connection {
        peer: question.peer.map_or_else(|| connection.peer, Peer::Ip),
        scheme: match question.scheme {
            doorward_envoy::Scheme::Http => Scheme::Http,
            doorward_envoy::Scheme::Https => Scheme::Https,
        },
        certificates: certificate.and_then(|pem| Shown::new(x509::from_header(pem.as_bytes()).into())),
        ..connection.clone()
    }
}

async fn check(gate: Arc<Gate>, connection: Arc<Connection>, mut request: Request<Body>) -> Verdict {
    // With what is not believed, so that Envoy hears that it goes.
    let (before, uri) = (request.headers().clone(), request.uri().clone());
    for name in OF_ANOTHER {
        request.headers_mut().remove(name);
    }
    let (mut parts, body) = handle(gate, connection, request).await.into_parts();
    let told = parts.extensions.remove::<Told>();
    // Reading it to its end completes the record.
    match (told, Limited::new(body, LARGEST_ANSWER).collect().await) {
        (Some(told), Ok(_)) => Verdict::Allowed(changes((&before, &uri), told, &parts.headers)),
        (None, Ok(content)) => Verdict::Denied(Response::from_parts(parts, content.to_bytes())),
        (_, Err(_)) => {
            let mut response = Response::new(Bytes::new());
            *response.status_mut() = StatusCode::INTERNAL_SERVER_ERROR;
            Verdict::Denied(response)
        }
    }
}

/// What makes the client's request the one that the application is to get.
fn changes((before, uri): (&HeaderMap, &Uri), told: Told, answer: &HeaderMap) -> Changes {
    let Told { headers, target, set: replaced } = told;
    let mut changes = Changes::default();
    for name in before.keys() {
        if replaced.iter().any(|(set, _)| set == name) {
            continue;
        }
        let (sent, left) = (before.get_all(name), headers.get_all(name));
        if !headers.contains_key(name) {
            changes.remove.push(name.clone());
        } else if sent != left {
            changes.set.extend(left.iter().map(|value| (name.clone(), value.clone())));
        }
    }
    changes.set.extend(replaced);
    let (asked, told) = (parameters(uri), parameters(&target));
    for (name, values) in &told {
        if asked.iter().all(|(other, sent)| other != name || sent != values) {
            changes.set_query.extend(values.last().map(|value| (name.clone(), value.clone())));
        }
    }
    let gone = asked.into_iter().map(|(name, _)| name);
    changes.remove_query = gone.filter(|name| told.iter().all(|(left, _)| left != name)).collect();
    let ours = |name: &HeaderName| *name == CONTENT_LENGTH || *name == DATE;
    let lines = answer.iter().filter(|(name, _)| !ours(name));
    changes.on_answer = lines.map(|(name, value)| (name.clone(), value.clone())).collect();
    changes
}

/// The values of each parameter of a query, as they are written: Envoy compares and writes them without decoding, so
/// that `t%6Fken` is to be named in this spelling.
fn parameters(uri: &Uri) -> Vec<(String, Vec<String>)> {
    let mut found: Vec<(String, Vec<String>)> = Vec::new();
    for pair in uri.query().unwrap_or_default().split('&').filter(|pair| !pair.is_empty()) {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        match found.iter_mut().find(|(known, _)| known == name) {
            Some((_, values)) => values.push(value.to_owned()),
            None => found.push((name.to_owned(), vec![value.to_owned()])),
        }
    }
    found
}

/// Whether Envoy shows less of a body than there may be: it cut it, or it shows none although none is not what the request
/// says. From HTTP/2 on a request need not say whether it has a body, and over HTTP Envoy repeats no length.
pub(crate) fn is_cut(request: &Request<Body>) -> bool {
    let headers = request.headers();
    if headers.get_all(PARTIAL_BODY).iter().any(|value| value.as_bytes().eq_ignore_ascii_case(b"true")) {
        return true;
    }
    if !request.body().is_end_stream() {
        return false;
    }
    if request.extensions().get::<AskedOverHttp>().is_some() {
        return true;
    }
    let mut lengths = headers.get_all(CONTENT_LENGTH).iter().peekable();
    let says_nothing = lengths.peek().is_none() && Version::HTTP_11 < request.version();
    says_nothing || headers.contains_key(TRANSFER_ENCODING) || lengths.any(|value| value.as_bytes() != b"0")
}

/// Envoy takes over from a 200 what it is told to take over; anything else goes to the client. So a page of ours must
/// not be a 200: the application would get the request. Parameters cannot be told there, and nobody passes with those
/// that should have gone.
fn over_http(verdict: Verdict) -> Response<Body> {
    let Changes { set, remove, set_query, remove_query, on_answer } = match verdict {
        Verdict::Denied(mut response) => {
            if response.status().is_success() {
                *response.status_mut() = StatusCode::FORBIDDEN;
            }
            return response.map(Body::from);
        }
        Verdict::Allowed(changes) => changes,
    };
    if !set_query.is_empty() || !remove_query.is_empty() {
        tracing::error!(
            "Envoy cannot be told over HTTP to change parameters of a query; let it ask over gRPC"
        );
        return respond::empty(StatusCode::INTERNAL_SERVER_ERROR);
    }
    let mut response = respond::empty(StatusCode::OK);
    let headers = response.headers_mut();
    for (name, value) in set.into_iter().chain(on_answer) {
        headers.append(name, value);
    }
    let names: Vec<&str> = remove.iter().map(HeaderName::as_str).collect();
    if let Ok(names) = HeaderValue::from_str(&names.join(","))
        && !names.is_empty()
    {
        headers.insert(TO_REMOVE, names);
    }
    response
}

/// A message that is wholly there, with its trailers.
struct Frames(VecDeque<Frame<Bytes>>);

impl http_body::Body for Frames {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(
        self: Pin<&mut Self>,
        _cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        Poll::Ready(self.get_mut().0.pop_front().map(Ok))
    }

    fn is_end_stream(&self) -> bool {
        self.0.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(lines: &[(&'static str, &'static str)]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for (name, value) in lines {
            headers.append(HeaderName::from_static(name), HeaderValue::from_static(value));
        }
        headers
    }

    fn over_http_of(changes: Changes) -> Response<Body> {
        over_http(Verdict::Allowed(changes))
    }

    #[test]
    fn a_client_of_envoy_over_http_cannot_ask_over_grpc() {
        let asked = |method: Method, version: Version, lines: &[(&'static str, &'static str)]| {
            let mut request = Request::new(Body::Empty);
            (*request.method_mut(), *request.version_mut()) = (method, version);
            *request.uri_mut() = doorward_envoy::PATH.parse().unwrap();
            *request.headers_mut() = headers(lines);
            is_grpc(&request)
        };
        let grpc = ("content-type", "application/grpc");
        assert!(asked(Method::POST, Version::HTTP_2, &[grpc]));
        assert!(asked(Method::POST, Version::HTTP_2, &[("content-type", "application/grpc+proto")]));
        assert!(!asked(Method::GET, Version::HTTP_2, &[grpc]));
        assert!(!asked(Method::POST, Version::HTTP_11, &[grpc]));
        assert!(!asked(Method::POST, Version::HTTP_2, &[]));
        assert!(!asked(Method::POST, Version::HTTP_2, &[grpc, ("te", "trailers"), ("content-length", "0")]));
    }

    #[test]
    fn a_body_that_envoy_cut_is_not_taken_for_a_whole_one() {
        // Over gRPC about a request of HTTP/1.1, of HTTP/2, and over HTTP.
        for (lines, body, expected) in [
            (&[][..], "", [false, true, true]),
            (&[("content-length", "0")], "", [false, false, true]),
            (&[("content-length", "5")], "", [true; 3]),
            (&[("transfer-encoding", "chunked")], "", [true; 3]),
            (&[("content-length", "5"), ("x-envoy-auth-partial-body", "false")], "abcde", [false; 3]),
            (&[("x-envoy-auth-partial-body", "false")], "abcde", [false; 3]),
            (&[("content-length", "9"), ("x-envoy-auth-partial-body", "true")], "abcde", [true; 3]),
            // The first line is a client's.
            (
                &[("x-envoy-auth-partial-body", "false"), ("x-envoy-auth-partial-body", "true")],
                "abcde",
                [true; 3],
            ),
            (&[("x-envoy-auth-partial-body", "false")], "", [false, true, true]),
        ] {
            let about = |version, over_http: bool| {
                let body = if body.is_empty() { Body::Empty } else { Body::from(body) };
                let mut request = Request::new(body);
                (*request.version_mut(), *request.headers_mut()) = (version, headers(lines));
                if over_http {
                    request.extensions_mut().insert(AskedOverHttp);
                }
                is_cut(&request)
            };
            let found = [(Version::HTTP_11, false), (Version::HTTP_2, false), (Version::HTTP_11, true)];
            assert_eq!(found.map(|(version, over_http)| about(version, over_http)), expected, "{lines:?}");
        }
    }

    #[test]
    fn envoy_hears_what_became_of_the_request() {
        let before = headers(&[
            ("accept", "*/*"),
            ("authorization", "Bearer client"),
            ("cookie", "a=1; _oauth2_proxy=x"),
            ("x-forwarded-user", "root"),
            ("x_forwarded_user", "root"),
        ]);
        let told = Told {
            headers: headers(&[("accept", "*/*"), ("cookie", "a=1")]),
            target: "/x?b=2&c=4&tenant=a+b%26c".parse().unwrap(),
            set: headers(&[("x-forwarded-user", "alice"), ("x-forwarded-user", "a")])
                .iter()
                .map(|(name, value)| (name.clone(), value.clone()))
                .collect(),
        };
        let answer = headers(&[("set-cookie", "s=1"), ("content-length", "0")]);
        let uri = "/x?t%6Fken=t&b=2&c=3&t%65nant=evil".parse().unwrap();
        let changes = changes((&before, &uri), told, &answer);
        let text = |lines: &[(HeaderName, HeaderValue)]| {
            lines
                .iter()
                .map(|(name, value)| format!("{name}: {}", value.to_str().unwrap()))
                .collect::<Vec<_>>()
        };
        assert_eq!(text(&changes.set), ["cookie: a=1", "x-forwarded-user: alice", "x-forwarded-user: a"]);
        assert_eq!(changes.remove, ["authorization", "x_forwarded_user"]);
        // Envoy reads and writes them as they are spelt.
        let pair = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        assert_eq!(changes.set_query, [pair("c", "4"), pair("tenant", "a+b%26c")]);
        assert_eq!(changes.remove_query, ["t%6Fken", "t%65nant"]);
        assert_eq!(text(&changes.on_answer), ["set-cookie: s=1"]);

        assert_eq!(
            over_http_of(Changes { set_query: vec![pair("c", "4")], ..Changes::default() }).status(),
            500
        );
        assert_eq!(
            over_http_of(Changes { remove_query: vec!["c".to_owned()], ..Changes::default() }).status(),
            500
        );
        let over_http = over_http_of(Changes { set_query: Vec::new(), remove_query: Vec::new(), ..changes });
        assert_eq!(over_http.status(), 200);
        assert_eq!(over_http.headers()[TO_REMOVE], "authorization,x_forwarded_user");
        assert_eq!(over_http.headers()["set-cookie"], "s=1");
    }

    #[test]
    fn over_http_no_page_of_ours_is_a_yes() {
        for (status, told) in [(200, 403), (202, 403), (302, 302), (401, 401), (503, 503)] {
            let page = Response::builder().status(status).body(Bytes::from_static(b"page")).unwrap();
            assert_eq!(over_http(Verdict::Denied(page)).status(), told);
        }
    }
}
