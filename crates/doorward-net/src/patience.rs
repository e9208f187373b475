//! How long the other side of a connection may make us wait at a stretch. Waiting costs a timer, and that is made only
//! when somebody has to be waited for at all.

use std::{
    io::{self, IoSlice},
    pin::Pin,
    task::{Context, Poll, ready},
    time::Duration,
};

use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    time::{Instant, Sleep, sleep},
};

/// Counts the time of one wait after another.
#[derive(Debug)]
pub struct Patience {
    limit: Duration,
    timer: Option<Pin<Box<Sleep>>>,
    wait: Wait,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Wait {
    Running,
    Over,
}

impl Patience {
    pub const fn new(limit: Duration) -> Self {
        Self { limit, timer: None, wait: Wait::Over }
    }

    pub const fn limit(&self) -> Duration {
        self.limit
    }

    /// What was waited for has come; the next wait counts anew.
    pub const fn rest(&mut self) {
        self.wait = Wait::Over;
    }

    /// Goes on waiting; ready when it has been for too long.
    pub fn poll_exhausted(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let limit = self.limit;
        let timer = self.timer.get_or_insert_with(|| Box::pin(sleep(limit)));
        if self.wait == Wait::Over {
            self.wait = Wait::Running;
            timer.as_mut().reset(Instant::now() + limit);
        }
        timer.as_mut().poll(cx)
    }
}

/// A stream that breaks off when its reader takes nothing for too long of what is written. The kernel alone would wait
/// for ever, as long as the reader's machine answers that it has no room (RFC 9293 section 3.8.6.1).
#[derive(Debug)]
pub struct Flowing<S> {
    stream: S,
    patience: Patience,
}

impl<S> Flowing<S> {
    pub const fn new(stream: S, limit: Duration) -> Self {
        Self { stream, patience: Patience::new(limit) }
    }

    fn watched<T>(&mut self, polled: Poll<io::Result<T>>, cx: &mut Context<'_>) -> Poll<io::Result<T>> {
        if polled.is_ready() {
            self.patience.rest();
            return polled;
        }
        ready!(self.patience.poll_exhausted(cx));
        Poll::Ready(Err(io::Error::new(io::ErrorKind::TimedOut, "nothing of what was sent is being read")))
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Flowing<S> {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_read(cx, buffer)
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Flowing<S> {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let polled = Pin::new(&mut this.stream).poll_write(cx, bytes);
        this.watched(polled, cx)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let polled = Pin::new(&mut this.stream).poll_write_vectored(cx, slices);
        this.watched(polled, cx)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let polled = Pin::new(&mut this.stream).poll_flush(cx);
        this.watched(polled, cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let polled = Pin::new(&mut this.stream).poll_shutdown(cx);
        this.watched(polled, cx)
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    use super::*;

    #[tokio::test]
    async fn a_reader_who_takes_nothing_is_given_up_and_a_slow_one_is_not() {
        let (near, mut far) = tokio::io::duplex(4);
        let mut near = Flowing::new(near, Duration::from_secs(1));
        tokio::time::pause();
        for _ in 0..5 {
            near.write_all(b"four").await.unwrap();
            let reading = async {
                sleep(Duration::from_millis(900)).await;
                far.read_exact(&mut [0; 4]).await.unwrap();
            };
            let (written, ()) = tokio::join!(near.write_all(b"more"), reading);
            written.unwrap();
            far.read_exact(&mut [0; 4]).await.unwrap();
        }
        near.write_all(b"last").await.unwrap();
        let error = near.write_all(b"lost").await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::TimedOut);
    }
}
