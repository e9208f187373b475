//! Raw requests: exact headers, no hidden redirects, and a visitor with a cookie jar who can log in at Keycloak
//! without a browser.

use std::collections::BTreeMap;

use ::http::header::{COOKIE, HOST, LOCATION, SET_COOKIE};
use ::http::{HeaderMap, HeaderValue, Method, Request, Response};
use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use url::Url;

const MAX_REDIRECTS: usize = 12;

/// A whole answer.
#[derive(Debug, Clone)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: HeaderMap,
    pub(crate) body: String,
    /// The address that gave this answer.
    pub(crate) url: Url,
}

impl Answer {
    /// A header's value, empty when absent.
    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.get(name).map(|value| value.to_str().expect("a printable header")).unwrap_or_default()
    }

    /// Where a redirect leads, made absolute.
    pub(crate) fn location(&self) -> Option<Url> {
        let location = self.headers.get(LOCATION)?.to_str().ok()?;
        Some(self.url.join(location).expect("a valid Location"))
    }

    pub(crate) fn set_cookies(&self) -> Vec<SetCookie> {
        self.headers
            .get_all(SET_COOKIE)
            .iter()
            .filter_map(|value| SetCookie::parse(value.to_str().ok()?))
            .collect()
    }

    pub(crate) fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.body).unwrap_or_else(|error| panic!("not JSON ({error}): {}", self.body))
    }
}

/// One `Set-Cookie` line, as far as these tests care.
#[derive(Debug, Clone)]
pub(crate) struct SetCookie {
    pub(crate) name: String,
    pub(crate) value: String,
    pub(crate) attributes: Vec<String>,
}

impl SetCookie {
    pub(crate) fn parse(line: &str) -> Option<Self> {
        let mut parts = line.split(';').map(str::trim);
        let (name, value) = parts.next()?.split_once('=')?;
        let attributes = parts.map(str::to_owned).collect();
        Some(Self { name: name.to_owned(), value: value.to_owned(), attributes })
    }

    /// An attribute's value, such as `Path`; names are compared without regard to case.
    pub(crate) fn attribute(&self, name: &str) -> Option<&str> {
        self.attributes.iter().find_map(|attribute| {
            let (key, value) = attribute.split_once('=').unwrap_or((attribute, ""));
            key.eq_ignore_ascii_case(name).then_some(value)
        })
    }

    fn deletes(&self) -> bool {
        let past = |when: &str| when.contains("1970") || when.contains("0001");
        self.attribute("Max-Age").is_some_and(|age| age.starts_with('-') || age == "0")
            || self.attribute("Expires").is_some_and(past)
            || self.value.is_empty()
    }
}

/// Sends one request and reads the whole answer. The connection is not kept.
pub(crate) async fn send(request: Request<Full<Bytes>>) -> Answer {
    let url = Url::parse(&request.uri().to_string()).expect("an absolute address");
    try_send(request).await.unwrap_or_else(|error| panic!("no answer from {url}: {error}"))
}

/// Like [`send`], for servers that may not be there.
pub(crate) async fn try_send(request: Request<Full<Bytes>>) -> Result<Answer, String> {
    let url = Url::parse(&request.uri().to_string()).expect("an absolute address");
    let client: Client<HttpConnector, Full<Bytes>> = Client::builder(TokioExecutor::new()).build_http();
    let response = client.request(request).await.map_err(|error| format!("{error:?}"))?;
    let (parts, body) = response.into_parts();
    let bytes = body.collect().await.map_err(|error| format!("{error:?}"))?.to_bytes();
    let body = String::from_utf8_lossy(&bytes).into_owned();
    Ok(Answer { status: parts.status.as_u16(), headers: parts.headers, body, url })
}

/// A GET request to build on.
pub(crate) fn get(url: &str) -> ::http::request::Builder {
    Request::builder().method(Method::GET).uri(url)
}

pub(crate) fn empty(builder: ::http::request::Builder) -> Request<Full<Bytes>> {
    builder.body(Full::default()).expect("a valid request")
}

/// A form to post.
pub(crate) fn form(url: &str, fields: &[(&str, &str)]) -> Request<Full<Bytes>> {
    let body = url::form_urlencoded::Serializer::new(String::new()).extend_pairs(fields).finish();
    Request::post(url)
        .header("content-type", "application/x-www-form-urlencoded")
        .body(Full::from(body))
        .expect("a valid request")
}

/// Copies a response into one that a small test server can give.
pub(crate) fn replay(answer: Answer) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::from(answer.body));
    *response.status_mut() = ::http::StatusCode::from_u16(answer.status).expect("a valid status");
    for (name, value) in &answer.headers {
        if name != "transfer-encoding" && name != "content-length" && name != "connection" {
            response.headers_mut().append(name, value.clone());
        }
    }
    response
}

/// Somebody who visits pages and keeps cookies, per host name as browsers do.
#[derive(Debug, Default, Clone)]
pub(crate) struct Visitor {
    /// (host, path, name) → value.
    jar: BTreeMap<(String, String, String), String>,
}

impl Visitor {
    pub(crate) async fn get(&mut self, url: &str) -> Answer {
        self.visit(empty(get(url))).await
    }

    /// A GET as a browser opens a page.
    pub(crate) async fn open(&mut self, url: &str) -> Answer {
        self.visit(empty(get(url).header("accept", "text/html"))).await
    }

    /// Sends a request with the jar's cookies and keeps what comes back.
    pub(crate) async fn visit(&mut self, mut request: Request<Full<Bytes>>) -> Answer {
        let url = Url::parse(&request.uri().to_string()).expect("an absolute address");
        let cookies = self.cookie_header(&url);
        if !cookies.is_empty() {
            request.headers_mut().insert(COOKIE, HeaderValue::from_str(&cookies).expect("printable cookies"));
        }
        request.headers_mut().remove(HOST);
        let answer = send(request).await;
        for cookie in answer.set_cookies() {
            self.keep(&url, cookie);
        }
        answer
    }

    /// Opens a page and follows redirects to the end.
    pub(crate) async fn follow(&mut self, url: &str) -> Answer {
        let answer = self.open(url).await;
        self.follow_from(answer).await
    }

    async fn follow_from(&mut self, mut answer: Answer) -> Answer {
        for _ in 0..MAX_REDIRECTS {
            let Some(location) = answer.location() else { return answer };
            answer = self.open(location.as_str()).await;
        }
        panic!("still redirected after {MAX_REDIRECTS} hops: {}", answer.url)
    }

    /// Opens a page, logs in at Keycloak's form as `user` (the password is the name), and follows to the end.
    pub(crate) async fn log_in(&mut self, url: &str, user: &str) -> Answer {
        let form = self.follow(url).await;
        self.submit_login(&form, user).await
    }

    /// Fills in Keycloak's form and follows to the end.
    pub(crate) async fn submit_login(&mut self, page: &Answer, user: &str) -> Answer {
        let answer = self.submit_only(page, user).await;
        self.follow_from(answer).await
    }

    /// Fills in Keycloak's form and stops at its answer, the redirect to the callback.
    pub(crate) async fn submit_only(&mut self, page: &Answer, user: &str) -> Answer {
        let action = login_action(&page.body)
            .unwrap_or_else(|| panic!("not Keycloak's form: {} {}\n{}", page.status, page.url, page.body));
        let action = page.url.join(&action).expect("a valid action");
        self.visit(form(action.as_str(), &[("username", user), ("password", user), ("credentialId", "")]))
            .await
    }

    /// The `Cookie` header for an address.
    pub(crate) fn cookie_header(&self, url: &Url) -> String {
        let host = url.host_str().unwrap_or_default();
        let pairs: Vec<String> = self
            .jar
            .iter()
            .filter(|((owner, path, _), _)| owner == host && url.path().starts_with(path.as_str()))
            .map(|((_, _, name), value)| format!("{name}={value}"))
            .collect();
        pairs.join("; ")
    }

    /// Names and values of the kept cookies whose name starts with `prefix`.
    pub(crate) fn cookies(&self, prefix: &str) -> BTreeMap<String, String> {
        let named = self.jar.iter().filter(|((_, _, name), _)| name.starts_with(prefix));
        named.map(|((_, _, name), value)| (name.clone(), value.clone())).collect()
    }

    /// Forgets the cookies whose name starts with `prefix`.
    pub(crate) fn forget(&mut self, prefix: &str) {
        self.jar.retain(|(_, _, name), _| !name.starts_with(prefix));
    }

    fn keep(&mut self, url: &Url, cookie: SetCookie) {
        let host = url.host_str().unwrap_or_default().to_owned();
        let path = cookie.attribute("Path").unwrap_or("/").to_owned();
        let key = (host, path, cookie.name.clone());
        if cookie.deletes() {
            self.jar.remove(&key);
        } else {
            self.jar.insert(key, cookie.value);
        }
    }
}

/// The address Keycloak's login form posts to.
fn login_action(page: &str) -> Option<String> {
    let (_, after) = page.split_once("id=\"kc-form-login\"")?;
    let (_, after) = after.split_once("action=\"")?;
    let (action, _) = after.split_once('"')?;
    Some(action.replace("&amp;", "&"))
}
