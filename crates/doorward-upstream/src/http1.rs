//! One exchange with an HTTP/1.1 server: over an idle connection if there is one, else over a fresh one. A request is
//! sent again only if the server cannot have acted on it, or if doing it twice does no harm (RFC 9110 section 9.2.2).

use std::{
    error::Error as StdError,
    io,
    pin::{Pin, pin},
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use bytes::Bytes;
use doorward_net::{Body, BodyError, Destination, Lease, Leased, Pool, Purpose, WorkerId};
use http::{Request, Response, StatusCode, Version};
use http_body::{Body as _, Frame, SizeHint};
use hyper::{body::Incoming, client::conn::TrySendError};
use tokio::{sync::oneshot, time::timeout};

use crate::{
    error::{Awaited, ForwardError},
    headers,
};

/// A connection that was idle for this long may have been closed without our noticing yet: a copy of the request is
/// kept for it. Under load connections are never idle for so long, and nothing is copied.
const DOUBTFUL_AFTER: Duration = if cfg!(test) { Duration::ZERO } else { Duration::from_millis(100) };

/// An HTTP server and the connections to it.
#[derive(Debug)]
pub(crate) struct HttpServer {
    pub(crate) destination: Destination,
    pub(crate) pool: Arc<Pool>,
    /// Until the response headers have come; without limit if absent.
    pub(crate) timeout: Option<Duration>,
}

/// Resolves when an upload has been handed to the connection, or is given up.
type Uploaded = oneshot::Receiver<()>;

/// How an attempt failed.
enum Failure {
    /// Nothing was sent.
    Unsent(Box<Request<Body>>, hyper::Error),
    /// The connection ended before an answer began.
    Lost(hyper::Error),
    Final(ForwardError),
}

impl HttpServer {
    /// Sends a prepared request and gives back the answer without hop-by-hop headers.
    pub(crate) async fn exchange(
        &self,
        request: Request<Body>,
        worker: WorkerId,
    ) -> Result<Response<Body>, ForwardError> {
        let (mut request, mut uploaded) = watch_upload(request);
        if let Some((mut lease, idle)) = self.pool.checkout(worker) {
            let spare =
                (idle >= DOUBTFUL_AFTER).then(|| copy_if_repeatable(&request)).flatten().map(Box::new);
            match self.attempt(&mut lease, request, &mut uploaded).await {
                Ok(response) => return deliver(response, lease),
                Err(Failure::Unsent(unsent, _)) => request = *unsent,
                Err(Failure::Lost(error)) => match spare {
                    Some(copy) => request = *copy,
                    None => return Err(error.into()),
                },
                Err(Failure::Final(error)) => return Err(error),
            }
        }
        // Rare under load, and large: boxed, so that the requests that find a connection do not carry the space for it.
        Box::pin(self.exchange_afresh(request, uploaded, worker)).await
    }

    async fn exchange_afresh(
        &self,
        request: Request<Body>,
        mut uploaded: Option<Uploaded>,
        worker: WorkerId,
    ) -> Result<Response<Body>, ForwardError> {
        let connected = self.destination.connect(Purpose::Requests).await?;
        let mut lease = self.pool.adopt(connected, worker);
        match self.attempt(&mut lease, request, &mut uploaded).await {
            Ok(response) => deliver(response, lease),
            Err(Failure::Unsent(_, error) | Failure::Lost(error)) => Err(error.into()),
            Err(Failure::Final(error)) => Err(error),
        }
    }

    /// The time limit begins when the request is sent wholly: a slow upload is not the application's fault.
    async fn attempt(
        &self,
        lease: &mut Lease,
        request: Request<Body>,
        uploaded: &mut Option<Uploaded>,
    ) -> Result<Response<Incoming>, Failure> {
        let mut answer = pin!(lease.send(request));
        let Some(limit) = self.timeout else { return answer.await.map_err(Failure::from) };
        if let Some(upload) = uploaded {
            tokio::select! {
                biased;
                answered = &mut answer => return answered.map_err(Failure::from),
                _ = upload => *uploaded = None,
            }
        }
        match timeout(limit, answer).await {
            Ok(answered) => answered.map_err(Failure::from),
            Err(_elapsed) => {
                Err(Failure::Final(ForwardError::TimedOut { awaited: Awaited::ResponseHeaders, limit }))
            }
        }
    }
}

impl From<TrySendError<Request<Body>>> for Failure {
    fn from(mut error: TrySendError<Request<Body>>) -> Self {
        let unsent = error.take_message();
        let error = error.into_error();
        match unsent {
            Some(request) => Self::Unsent(Box::new(request), error),
            None if is_lost(&error) => Self::Lost(error),
            None => Self::Final(error.into()),
        }
    }
}

fn is_lost(error: &hyper::Error) -> bool {
    let cause = error.source().and_then(|cause| cause.downcast_ref::<io::Error>());
    error.is_incomplete_message()
        || error.is_closed()
        || error.is_canceled()
        || cause.is_some_and(|cause| {
            matches!(cause.kind(), io::ErrorKind::ConnectionReset | io::ErrorKind::BrokenPipe)
        })
}

/// A copy of a request that may be done twice and has no body.
fn copy_if_repeatable(request: &Request<Body>) -> Option<Request<Body>> {
    if !request.method().is_idempotent() || !request.body().is_end_stream() {
        return None;
    }
    let mut copy = Request::new(Body::Empty);
    *copy.method_mut() = request.method().clone();
    *copy.uri_mut() = request.uri().clone();
    *copy.headers_mut() = request.headers().clone();
    Some(copy)
}

fn deliver(response: Response<Incoming>, lease: Lease) -> Result<Response<Body>, ForwardError> {
    if response.status() == StatusCode::SWITCHING_PROTOCOLS {
        return Err(ForwardError::UnwantedUpgrade);
    }
    let (mut parts, content) = response.into_parts();
    headers::strip_response(&mut parts.headers);
    parts.version = Version::HTTP_11;
    let body = if content.is_end_stream() {
        lease.give_back();
        Body::Empty
    } else {
        Body::Leased(Leased::new(content, lease))
    };
    Ok(Response::from_parts(parts, body))
}

/// Lets the end of an upload be noticed. A request without body costs nothing.
fn watch_upload(request: Request<Body>) -> (Request<Body>, Option<Uploaded>) {
    if request.body().is_end_stream() {
        return (request, None);
    }
    let (finished, uploaded) = oneshot::channel();
    (request.map(|body| Body::boxed(Upload { body, _finished: finished })), Some(uploaded))
}

/// A request body. The engine drops it at its end.
struct Upload {
    body: Body,
    _finished: oneshot::Sender<()>,
}

impl http_body::Body for Upload {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        Pin::new(&mut self.body).poll_frame(cx)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
