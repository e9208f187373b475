//! HTTP/2 connections, each of which carries many requests at the same time. Like all connections they belong to one
//! worker. How many requests one carries is bounded by what the application allows, and by what is sensible for one
//! TCP connection; more requests get a further connection instead of waiting.

use std::{
    fmt,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use http::{Request, Response};
use hyper::{
    body::Incoming,
    client::conn::{TrySendError, http2::SendRequest},
};

use crate::body::Body;

/// How many requests one connection carries, if the application allows so many (RFC 9113 section 6.5.2 recommends that
/// it does).
const STREAMS_LIMIT: usize = 100;

/// A driven HTTP/2 connection.
#[derive(Clone)]
pub(crate) struct Channel {
    sender: SendRequest<Body>,
    streams: Arc<Streams>,
}

/// How many requests a connection carries, and how many it may.
#[derive(Debug)]
pub(crate) struct Streams {
    open: AtomicUsize,
    limit: AtomicUsize,
}

/// One request on a connection that it shares with others. Its answer's content is part of it.
pub struct Stream {
    sender: SendRequest<Body>,
    _open: OpenStream,
}

/// Counts as long as it lives.
struct OpenStream(Arc<Streams>);

impl Default for Streams {
    fn default() -> Self {
        Self { open: AtomicUsize::new(0), limit: AtomicUsize::new(STREAMS_LIMIT) }
    }
}

impl Streams {
    /// Takes up what the application allows by now.
    pub(crate) fn allow(&self, limit: usize) {
        self.limit.store(limit.min(STREAMS_LIMIT), Ordering::Relaxed);
    }
}

impl Drop for OpenStream {
    fn drop(&mut self) {
        self.0.open.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Channel {
    pub(crate) fn new(sender: SendRequest<Body>, streams: Arc<Streams>) -> Self {
        Self { sender, streams }
    }

    /// Whether the connection still takes requests, now or when others have ended.
    pub(crate) fn is_open(&self) -> bool {
        !self.sender.is_closed()
    }

    pub(crate) fn is_idle(&self) -> bool {
        self.streams.open.load(Ordering::Relaxed) == 0
    }

    pub(crate) fn has_room(&self) -> bool {
        self.streams.open.load(Ordering::Relaxed) < self.streams.limit.load(Ordering::Relaxed)
    }

    /// Begins one more request. Whether there is room for it is not asked here.
    pub(crate) fn open(&self) -> Stream {
        self.streams.open.fetch_add(1, Ordering::Relaxed);
        Stream { sender: self.sender.clone(), _open: OpenStream(Arc::clone(&self.streams)) }
    }
}

impl Stream {
    /// Sends the request. If nothing of it has been written, the error may hold the request again.
    pub fn send(
        &mut self,
        request: Request<Body>,
    ) -> impl Future<Output = Result<Response<Incoming>, TrySendError<Request<Body>>>> + use<> {
        self.sender.try_send_request(request)
    }
}

impl fmt::Debug for Stream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Stream")
    }
}
