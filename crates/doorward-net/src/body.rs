//! The one body type of all messages. An enum, so that the usual bodies cost no allocation and no dynamic call.
//! Every variant states its length exactly where it is known, which lets the HTTP engine frame the message by
//! `Content-Length`, and says truthfully whether it has ended.

use std::{
    error::Error as StdError,
    fmt, io, mem,
    pin::Pin,
    task::{Context, Poll, ready},
    time::Duration,
};

use bytes::Bytes;
use http::HeaderMap;
use http_body::{Body as _, Frame, SizeHint};
use hyper::body::Incoming;

use crate::{patience::Patience, pool::Line};

/// A body of any origin.
#[derive(Default)]
pub enum Body {
    /// No content.
    #[default]
    Empty,
    /// Content that is wholly in memory.
    Full(Bytes),
    /// Content that arrives on a connection.
    Incoming(Incoming),
    /// Content that arrives on a pooled connection.
    Leased(Leased),
    /// Anything else: files, watched uploads.
    Boxed(Pin<Box<dyn http_body::Body<Data = Bytes, Error = BodyError> + Send + Sync>>),
}

/// An answer's content together with the pooled connection it arrives on. The connection goes back to its pool when
/// the content has ended. If the content is dropped before, a connection of its own is closed, and of a shared one its
/// stream is reset.
#[derive(Debug)]
pub struct Leased {
    content: Incoming,
    line: Option<Line>,
}

impl Leased {
    pub const fn new(content: Incoming, line: Line) -> Self {
        Self { content, line: Some(line) }
    }

    fn poll_frame(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        let polled = Pin::new(&mut self.content).poll_frame(cx);
        let has_ended = match &polled {
            Poll::Pending => return Poll::Pending,
            // A failed connection is not given back: dropping the line closes it.
            Poll::Ready(Some(Err(_))) => {
                self.line = None;
                return polled.map_err(BodyError::from);
            }
            // Readers do not ask again after trailers, nor after the last frame of a body of known length.
            Poll::Ready(Some(Ok(frame))) => frame.is_trailers() || self.content.is_end_stream(),
            Poll::Ready(None) => true,
        };
        if has_ended && let Some(line) = self.line.take() {
            line.give_back();
        }
        polled.map_err(BodyError::from)
    }
}

/// A body whose sender may pause for a limited time only. Nothing is counted while nobody asks for more: a slow
/// reader is not the sender's fault.
struct Impatient<B> {
    content: B,
    patience: Patience,
}

impl<B> http_body::Body for Impatient<B>
where
    B: http_body::Body<Data = Bytes> + Unpin,
    BodyError: From<B::Error>,
{
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        let this = self.get_mut();
        if let Poll::Ready(frame) = Pin::new(&mut this.content).poll_frame(cx) {
            this.patience.rest();
            return Poll::Ready(frame.map(|frame| frame.map_err(BodyError::from)));
        }
        ready!(this.patience.poll_exhausted(cx));
        Poll::Ready(Some(Err(BodyError(Cause::Silence(this.patience.limit())))))
    }

    fn is_end_stream(&self) -> bool {
        self.content.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.content.size_hint()
    }
}

/// A body whose trailers are changed on their way.
struct Trailed<F> {
    content: Body,
    change: F,
}

impl<F: FnMut(&mut HeaderMap) + Unpin> http_body::Body for Trailed<F> {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        let this = self.get_mut();
        let mut frame = ready!(Pin::new(&mut this.content).poll_frame(cx));
        if let Some(Ok(frame)) = &mut frame
            && let Some(trailers) = frame.trailers_mut()
        {
            (this.change)(trailers);
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.content.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.content.size_hint()
    }
}

/// Why a body broke off.
#[derive(Debug)]
pub struct BodyError(Cause);

#[derive(Debug)]
enum Cause {
    Connection(hyper::Error),
    Io(io::Error),
    /// The sender paused for this long.
    Silence(Duration),
}

impl fmt::Display for BodyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Cause::Connection(error) => write!(f, "the body broke off: {error}"),
            Cause::Io(error) => write!(f, "the body could not be read: {error}"),
            Cause::Silence(limit) => write!(f, "nothing of the body came for {} s", limit.as_secs()),
        }
    }
}

impl StdError for BodyError {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        match &self.0 {
            Cause::Connection(error) => error.source(),
            Cause::Io(error) => error.source(),
            Cause::Silence(_) => None,
        }
    }
}

impl From<hyper::Error> for BodyError {
    fn from(error: hyper::Error) -> Self {
        Self(Cause::Connection(error))
    }
}

impl From<io::Error> for BodyError {
    fn from(error: io::Error) -> Self {
        Self(Cause::Io(error))
    }
}

impl Body {
    /// The body of a client's request. It breaks off when the client sends nothing of it for as long as `pause` while
    /// it is being read. A request without content costs nothing.
    pub fn upload(content: Incoming, pause: Duration) -> Self {
        if content.is_end_stream() { Self::Incoming(content) } else { Self::impatient(content, pause) }
    }

    fn impatient<B>(content: B, limit: Duration) -> Self
    where
        B: http_body::Body<Data = Bytes> + Unpin + Send + Sync + 'static,
        BodyError: From<B::Error>,
    {
        Self::boxed(Impatient { content, patience: Patience::new(limit) })
    }

    /// The same body with other trailers.
    #[must_use]
    pub fn with_trailers<F>(self, change: F) -> Self
    where
        F: FnMut(&mut HeaderMap) + Unpin + Send + Sync + 'static,
    {
        if self.is_end_stream() { self } else { Self::boxed(Trailed { content: self, change }) }
    }

    /// A body of a type for which there is no variant.
    pub fn boxed<B>(body: B) -> Self
    where
        B: http_body::Body<Data = Bytes, Error = BodyError> + Send + Sync + 'static,
    {
        Self::Boxed(Box::pin(body))
    }
}

impl http_body::Body for Body {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        match self.get_mut() {
            Self::Empty => Poll::Ready(None),
            Self::Full(bytes) if bytes.is_empty() => Poll::Ready(None),
            Self::Full(bytes) => Poll::Ready(Some(Ok(Frame::data(mem::take(bytes))))),
            Self::Incoming(incoming) => Pin::new(incoming).poll_frame(cx).map_err(BodyError::from),
            Self::Leased(leased) => leased.poll_frame(cx),
            Self::Boxed(body) => body.as_mut().poll_frame(cx),
        }
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Self::Empty => true,
            Self::Full(bytes) => bytes.is_empty(),
            Self::Incoming(incoming) => incoming.is_end_stream(),
            Self::Leased(leased) => leased.content.is_end_stream(),
            Self::Boxed(body) => body.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Empty => SizeHint::with_exact(0),
            Self::Full(bytes) => SizeHint::with_exact(bytes.len() as u64),
            Self::Incoming(incoming) => incoming.size_hint(),
            Self::Leased(leased) => leased.content.size_hint(),
            Self::Boxed(body) => body.size_hint(),
        }
    }
}

impl fmt::Debug for Body {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Empty => "Body::Empty",
            Self::Full(_) => "Body::Full",
            Self::Incoming(_) => "Body::Incoming",
            Self::Leased(_) => "Body::Leased",
            Self::Boxed(_) => "Body::Boxed",
        })
    }
}

impl From<Bytes> for Body {
    fn from(bytes: Bytes) -> Self {
        Self::Full(bytes)
    }
}

impl From<Vec<u8>> for Body {
    fn from(bytes: Vec<u8>) -> Self {
        Self::Full(bytes.into())
    }
}

impl From<String> for Body {
    fn from(text: String) -> Self {
        Self::Full(text.into())
    }
}

impl From<&'static str> for Body {
    fn from(text: &'static str) -> Self {
        Self::Full(Bytes::from_static(text.as_bytes()))
    }
}

impl From<Incoming> for Body {
    fn from(incoming: Incoming) -> Self {
        Self::Incoming(incoming)
    }
}

#[cfg(test)]
mod tests {
    use http_body_util::BodyExt;

    use super::*;

    #[tokio::test]
    async fn a_body_in_memory_states_its_length_and_its_end() {
        for (body, length) in [(Body::Empty, 0), (Body::from(""), 0), (Body::from("seven b"), 7)] {
            assert_eq!(body.size_hint().exact(), Some(length), "{body:?}");
            assert_eq!(body.is_end_stream(), length == 0, "{body:?}");
            let collected = body.collect().await.unwrap().to_bytes();
            assert_eq!(collected.len() as u64, length);
        }
    }

    #[tokio::test]
    async fn a_full_body_has_ended_after_its_only_frame() {
        let mut body = Body::from(String::from("once"));
        assert_eq!(body.frame().await.unwrap().unwrap().into_data().unwrap(), "once");
        assert!(body.is_end_stream());
        assert!(body.frame().await.is_none());
    }

    /// Gives its frames one by one, then nothing more without ending.
    struct Stuck(Vec<&'static str>);

    impl http_body::Body for Stuck {
        type Data = Bytes;
        type Error = io::Error;

        fn poll_frame(
            mut self: Pin<&mut Self>,
            _cx: &mut Context<'_>,
        ) -> Poll<Option<io::Result<Frame<Bytes>>>> {
            match self.0.pop() {
                Some(text) => Poll::Ready(Some(Ok(Frame::data(text.into())))),
                None => Poll::Pending,
            }
        }
    }

    #[tokio::test]
    async fn an_upload_that_pauses_for_too_long_breaks_off() {
        let mut body = Body::impatient(Stuck(vec!["two", "one"]), Duration::from_millis(10));
        for expected in ["one", "two"] {
            assert_eq!(body.frame().await.unwrap().unwrap().into_data().unwrap(), expected);
        }
        let error = body.frame().await.unwrap().unwrap_err();
        assert!(error.to_string().contains("nothing of the body came"), "{error}");
    }
}
