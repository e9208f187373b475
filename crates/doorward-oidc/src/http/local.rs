//! A provider that is part of this process. Requests to its origin, and to no other, are handed over through a queue;
//! they and the answers are those that would otherwise go over the network, so nothing else has to know.

use std::time::Duration;

use ::http::{Request, Response};
use bytes::Bytes;
use tokio::{
    sync::{mpsc, oneshot},
    time::timeout,
};
use url::{Origin, Url};

use super::{Answer, HttpError, MAX_BODY_BYTES};

/// How many requests may wait. More than browsers can log in at the same time; whoever finds it full waits.
const QUEUE: usize = 64;

/// The way to a provider in this process. Equal to its clones alone.
#[derive(Clone, Debug)]
pub struct LocalProvider {
    origin: Origin,
    requests: mpsc::Sender<LocalRequest>,
}

/// The other end: what comes out has to be answered.
#[derive(Debug)]
pub struct LocalRequests(mpsc::Receiver<LocalRequest>);

/// One request. Dropping it unanswered is answering that the provider cannot be reached.
#[derive(Debug)]
pub struct LocalRequest {
    /// With an absolute URI.
    pub request: Request<Bytes>,
    pub answer: oneshot::Sender<Response<Bytes>>,
}

impl PartialEq for LocalProvider {
    fn eq(&self, other: &Self) -> bool {
        self.origin == other.origin && self.requests.same_channel(&other.requests)
    }
}

impl Eq for LocalProvider {}

impl LocalRequests {
    /// The next request; `None` once nobody is left who could send one.
    pub async fn next(&mut self) -> Option<LocalRequest> {
        self.0.recv().await
    }
}

impl LocalProvider {
    /// The way to the provider with this issuer, and where its requests come out.
    pub fn new(issuer: &Url) -> (Self, LocalRequests) {
        let (requests, received) = mpsc::channel(QUEUE);
        (Self { origin: issuer.origin(), requests }, LocalRequests(received))
    }

    /// Whether a request to `url` is one for this provider.
    pub(crate) fn is_at(&self, url: &Url) -> bool {
        url.origin() == self.origin
    }

    /// Sends a request, and waits for the answer for at most `limit`.
    pub(super) async fn send(&self, request: reqwest::Request, limit: Duration) -> Result<Answer, HttpError> {
        let request = whole(request)?;
        let (answer, answered) = oneshot::channel();
        let exchange = async {
            self.requests.send(LocalRequest { request, answer }).await.ok()?;
            answered.await.ok()
        };
        let response = timeout(limit, exchange).await.map_err(|_elapsed| HttpError::TimedOut)?;
        let (head, body) = response.ok_or_else(|| unreachable("it is stopping"))?.into_parts();
        if body.len() > MAX_BODY_BYTES {
            return Err(HttpError::TooLong);
        }
        Ok(Answer { status: head.status, headers: head.headers, body: body.into() })
    }
}

/// The request with its body in memory. Ours are forms and texts, never streams.
fn whole(request: reqwest::Request) -> Result<Request<Bytes>, HttpError> {
    let request = Request::<reqwest::Body>::try_from(request);
    let (head, body) = request.map_err(|_invalid| unreachable("the request has no valid URL"))?.into_parts();
    let body = body.as_bytes().map(Bytes::copy_from_slice).unwrap_or_default();
    Ok(Request::from_parts(head, body))
}

fn unreachable(reason: &str) -> HttpError {
    HttpError::Unreachable { reason: reason.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        HttpConfig,
        http::HttpClient,
        testing::{Fake, Reply},
    };

    fn client(local: LocalProvider) -> HttpClient {
        let total_timeout = Duration::from_secs(10);
        HttpClient::new(&HttpConfig { local: Some(local), total_timeout, ..HttpConfig::default() }).unwrap()
    }

    fn url(text: &str) -> Url {
        Url::parse(text).unwrap()
    }

    #[tokio::test]
    async fn a_request_to_the_issuer_comes_out_as_it_went_in() {
        let (local, mut requests) = LocalProvider::new(&url("https://auth.example.com/sub"));
        let http = client(local);
        let serve = async {
            let LocalRequest { request, answer } = requests.next().await.unwrap();
            let response = Response::builder().status(401).header("x-here", "yes").body("no".into()).unwrap();
            answer.send(response).unwrap();
            request
        };
        let request =
            http.post(url("https://auth.example.com:443/oauth/token?x=1")).bearer_auth("t").body("code=1");
        let (answer, request) = tokio::join!(http.send(request), serve);
        let answer = answer.unwrap();
        assert_eq!((answer.status.as_u16(), answer.body.as_slice()), (401, &b"no"[..]));
        assert_eq!(answer.headers["x-here"], "yes");
        assert_eq!((request.method().as_str(), request.body().as_ref()), ("POST", &b"code=1"[..]));
        assert_eq!(request.uri(), "https://auth.example.com/oauth/token?x=1");
        assert_eq!(request.headers()["authorization"], "Bearer t");
    }

    #[tokio::test]
    async fn other_origins_go_over_the_network() {
        let fake = Fake::start().await;
        fake.says("/doc", Reply::status(204));
        let (local, mut requests) = LocalProvider::new(&url("http://127.0.0.1:1"));
        let answer = client(local).document(&url(&format!("{}/doc", fake.base)), None).await.unwrap();
        assert_eq!(answer.status.as_u16(), 204);
        assert!(requests.next().await.is_none(), "nothing came this way");
    }

    #[tokio::test]
    async fn who_gives_no_answer_cannot_be_reached() {
        let (local, requests) = LocalProvider::new(&url("http://127.0.0.1:1"));
        let http = client(local.clone());
        drop(requests);
        let outcome = http.document(&url("http://127.0.0.1:1/"), None).await.map(|_| ());
        assert!(matches!(outcome, Err(HttpError::Unreachable { .. })), "{outcome:?}");
        let (local, _requests) = LocalProvider::new(&url("http://127.0.0.1:1"));
        let outcome =
            client(local).document(&url("http://127.0.0.1:1/"), Some(Duration::ZERO)).await.map(|_| ());
        assert_eq!(outcome, Err(HttpError::TimedOut));
    }
}
