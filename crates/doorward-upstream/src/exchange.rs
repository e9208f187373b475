//! One exchange with an HTTP server: over a pooled connection if there is one, else over a fresh one. A request is sent
//! again only if the server cannot have acted on it, or if doing it twice does no harm (RFC 9110 section 9.2.2), and
//! only while its content is still whole.

use std::{
    error::Error as StdError,
    io, mem,
    pin::{Pin, pin},
    sync::Arc,
    task::{Context, Poll, ready},
    time::Duration,
};

use bytes::Bytes;
use doorward_net::{Body, BodyError, Destination, Leased, Line, Pool, Stream, WorkerId};
use http::{Request, Response, StatusCode, Version};
use http_body::{Body as _, Frame, SizeHint};
use hyper::{body::Incoming, client::conn::TrySendError};
use tokio::{sync::oneshot, time::timeout};

use crate::{
    error::{Awaited, ForwardError},
    headers, http2,
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

/// How long to wait for content to come back from a connection that will not read it any more.
const RETURN_LIMIT: Duration = Duration::from_secs(1);

/// What has become of the content of a request.
enum Uploaded {
    /// There is none.
    Nothing,
    /// It is with the connection, which gives it back if it has read nothing of it.
    Pending(oneshot::Receiver<Box<Body>>),
    /// It came back whole.
    Unread(Box<Body>),
    Over,
}

/// How an attempt failed.
enum Failure {
    /// Nothing was sent.
    Unsent(Box<Request<Body>>, hyper::Error),
    /// The server says that it did nothing with the request.
    Unprocessed(hyper::Error),
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
        match self.pool.checkout(worker) {
            Some((Line::Exclusive(mut lease), idle)) => {
                let spare =
                    (idle >= DOUBTFUL_AFTER).then(|| copy_if_repeatable(&request)).flatten().map(Box::new);
                match self.attempt(lease.send(request), &mut uploaded).await {
                    Ok(response) => return deliver(response, Line::Exclusive(lease)),
                    Err(Failure::Unsent(unsent, _)) => request = *unsent,
                    Err(Failure::Lost(error) | Failure::Unprocessed(error)) => match spare {
                        Some(copy) => request = *copy,
                        None => return Err(error.into()),
                    },
                    Err(Failure::Final(error)) => return Err(error),
                }
            }
            Some((Line::Shared(stream), _)) => {
                return Box::pin(self.exchange_shared(stream, request, uploaded, worker)).await;
            }
            None => {}
        }
        // Rare under load, and large: boxed, so that the requests that find a connection do not carry the space for it.
        Box::pin(self.exchange_afresh(request, uploaded, worker)).await
    }

    async fn exchange_afresh(
        &self,
        request: Request<Body>,
        mut uploaded: Uploaded,
        worker: WorkerId,
    ) -> Result<Response<Body>, ForwardError> {
        let connected = self.destination.connect().await?;
        let mut line = self.pool.adopt(connected, worker);
        let attempted = match &mut line {
            Line::Exclusive(lease) => self.attempt(lease.send(request), &mut uploaded).await,
            Line::Shared(stream) => {
                let request = http2::translate(request, self.destination.scheme())?;
                self.attempt(stream.send(request), &mut uploaded).await
            }
        };
        match attempted {
            Ok(response) => deliver(response, line),
            Err(Failure::Unsent(_, error) | Failure::Unprocessed(error) | Failure::Lost(error)) => {
                Err(error.into())
            }
            Err(Failure::Final(error)) => Err(error),
        }
    }

    /// Over a connection that carries other requests too. It may be about to end, which only the answer tells.
    async fn exchange_shared(
        &self,
        mut stream: Stream,
        request: Request<Body>,
        mut uploaded: Uploaded,
        worker: WorkerId,
    ) -> Result<Response<Body>, ForwardError> {
        let head = copy_of_head(&request);
        let is_idempotent = request.method().is_idempotent();
        let request = http2::translate(request, self.destination.scheme())?;
        let (error, body) = match self.attempt(stream.send(request), &mut uploaded).await {
            Ok(response) => return deliver(response, Line::Shared(stream)),
            Err(Failure::Unsent(unsent, error)) => (error, Some(unsent.into_body())),
            Err(Failure::Unprocessed(error)) => (error, uploaded.unread().await),
            Err(Failure::Lost(error)) if is_idempotent => (error, uploaded.unread().await),
            Err(Failure::Lost(error)) => (error, None),
            Err(Failure::Final(error)) => return Err(error),
        };
        drop(stream);
        let Some(body) = body else { return Err(error.into()) };
        let (request, uploaded) = watch_upload(head.map(|()| body));
        self.exchange_afresh(request, uploaded, worker).await
    }

    /// The time limit begins when the request is sent wholly: a slow upload is not the application's fault.
    async fn attempt(
        &self,
        answer: impl Future<Output = Result<Response<Incoming>, TrySendError<Request<Body>>>>,
        uploaded: &mut Uploaded,
    ) -> Result<Response<Incoming>, Failure> {
        let mut answer = pin!(answer);
        let Some(limit) = self.timeout else { return answer.await.map_err(Failure::from) };
        if let Uploaded::Pending(upload) = uploaded {
            tokio::select! {
                biased;
                answered = &mut answer => return answered.map_err(Failure::from),
                returned = upload => *uploaded = returned.map_or(Uploaded::Over, Uploaded::Unread),
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
impl Uploaded {
    /// The content, if nothing of it was read.
    async fn unread(self) -> Option<Body> {
        match self {
            Self::Nothing => Some(Body::Empty),
            Self::Unread(body) => Some(*body),
            Self::Pending(returned) => timeout(RETURN_LIMIT, returned).await.ok()?.ok().map(|body| *body),
            Self::Over => None,
        }
    }
}

impl From<TrySendError<Request<Body>>> for Failure {
    fn from(mut error: TrySendError<Request<Body>>) -> Self {
        let unsent = error.take_message();
        let error = error.into_error();
        match unsent {
            Some(request) => Self::Unsent(Box::new(request), error),
            None if http2::is_unprocessed(&error) => Self::Unprocessed(error),
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
    Some(copy_of_head(request).map(|()| Body::Empty))
}

fn copy_of_head(request: &Request<Body>) -> Request<()> {
    let mut copy = Request::new(());
    *copy.method_mut() = request.method().clone();
    *copy.uri_mut() = request.uri().clone();
    *copy.headers_mut() = request.headers().clone();
    copy
}

fn deliver(response: Response<Incoming>, line: Line) -> Result<Response<Body>, ForwardError> {
    if response.status() == StatusCode::SWITCHING_PROTOCOLS {
        return Err(ForwardError::UnwantedUpgrade);
    }
    let (mut parts, content) = response.into_parts();
    headers::strip_response(&mut parts.headers);
    parts.version = Version::HTTP_11;
    let body = if content.is_end_stream() {
        line.give_back();
        Body::Empty
    } else {
        Body::Leased(Leased::new(content, line))
    };
    Ok(Response::from_parts(parts, body))
}

/// Lets the end of an upload be noticed. A request without body costs nothing.
fn watch_upload(request: Request<Body>) -> (Request<Body>, Uploaded) {
    if request.body().is_end_stream() {
        return (request, Uploaded::Nothing);
    }
    let (back, returned) = oneshot::channel();
    (
        request.map(|body| Body::boxed(Upload { body, back: Some(back), state: Reading::NotBegun })),
        Uploaded::Pending(returned),
    )
}

/// A request body. The engine drops it at its end.
struct Upload {
    body: Body,
    /// Where the content goes if it is dropped unread; `None` in the end.
    back: Option<oneshot::Sender<Box<Body>>>,
    state: Reading,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Reading {
    NotBegun,
    Begun,
}

impl Drop for Upload {
    fn drop(&mut self) {
        if let Some(back) = self.back.take()
            && self.state == Reading::NotBegun
        {
            // Mostly nobody waits for it.
            let _ = back.send(Box::new(mem::take(&mut self.body)));
        }
    }
}

impl http_body::Body for Upload {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        let mut frame = ready!(Pin::new(&mut self.body).poll_frame(cx));
        self.state = Reading::Begun;
        if let Some(Ok(frame)) = &mut frame
            && let Some(trailers) = frame.trailers_mut()
        {
            headers::strip_trailers(trailers);
            if trailers.is_empty() {
                return Poll::Ready(None);
            }
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
