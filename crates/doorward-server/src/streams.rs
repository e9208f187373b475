//! The streams of HTTP/2 connections. Each has a window of its own, so a client may leave one answer unread while it
//! reads others: that holds a connection to an application, and is borne for a limited time.

use std::{
    cell::Cell,
    future::poll_fn,
    pin::{Pin, pin},
    task::{Context, Poll},
    time::Duration,
};

use bytes::Bytes;
use doorward_net::{BodyError, Patience};
use http_body::{Frame, SizeHint};

use crate::{presence::Busy, record::Recorded};

tokio::task_local! {
    /// Whose turn it is on the stream that is being polled. HTTP/1.1 has none.
    static TURN: Cell<Turn>;
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Turn {
    /// The answer, or more of it, is to come from us.
    #[default]
    Ours,
    /// The client has to make room for this frame, counted from the first.
    Clients(u64),
}

/// Runs each stream, and resets it when its client takes nothing of the answer for too long.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Streams {
    pub(crate) patience: Duration,
}

impl<F> hyper::rt::Executor<F> for Streams
where
    F: Future<Output = ()> + Send + 'static,
{
    fn execute(&self, stream: F) {
        tokio::spawn(TURN.scope(Cell::default(), bounded(stream, self.patience)));
    }
}

async fn bounded(stream: impl Future<Output = ()>, limit: Duration) {
    let mut stream = pin!(stream);
    let mut patience = Patience::new(limit);
    let mut before = Turn::Ours;
    poll_fn(|cx| {
        if stream.as_mut().poll(cx).is_ready() {
            return Poll::Ready(());
        }
        let turn = TURN.with(Cell::get);
        if turn != before {
            before = turn;
            patience.rest();
        }
        match turn {
            Turn::Ours => Poll::Pending,
            Turn::Clients(_) => patience.poll_exhausted(cx).map(|()| {
                tracing::debug!("An answer was given up: its client takes nothing of it.");
            }),
        }
    })
    .await;
}

/// An answer's body on its way to the client.
#[derive(Debug)]
pub(crate) struct Answering {
    body: Recorded,
    frames: u64,
    _busy: Busy,
}

impl Answering {
    pub(crate) const fn new(body: Recorded, busy: Busy) -> Self {
        Self { body, frames: 0, _busy: busy }
    }
}

impl http_body::Body for Answering {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        let this = self.get_mut();
        let polled = Pin::new(&mut this.body).poll_frame(cx);
        let turn = if polled.is_ready() {
            this.frames += 1;
            Turn::Clients(this.frames)
        } else {
            Turn::Ours
        };
        // Fails over HTTP/1.1, where the connection itself is watched.
        let _ = TURN.try_with(|shared| shared.set(turn));
        polled
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;

    use doorward_net::Body;
    use http::{Request, Response};
    use http_body_util::BodyExt;
    use hyper::{body::Incoming, server::conn::http2, service::service_fn};
    use hyper_util::rt::{TokioExecutor, TokioIo};

    use super::*;
    use crate::presence::Roll;

    const PATIENCE: Duration = Duration::from_secs(75);

    /// More than the window of a stream, in pieces.
    struct Pieces(usize);

    impl http_body::Body for Pieces {
        type Data = Bytes;
        type Error = BodyError;

        fn poll_frame(
            mut self: Pin<&mut Self>,
            _cx: &mut Context<'_>,
        ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
            let Some(left) = self.0.checked_sub(1) else { return Poll::Ready(None) };
            self.0 = left;
            Poll::Ready(Some(Ok(Frame::data(vec![b'x'; 16 * 1024].into()))))
        }
    }

    #[tokio::test]
    async fn an_answer_of_which_nothing_is_taken_is_given_up_and_others_go_on() {
        let presence = Roll::new(std::time::Instant::now()).enter(std::time::Instant::now());
        let own = std::sync::Arc::clone(&presence);
        let service = service_fn(move |request: Request<Incoming>| {
            let busy = own.begin();
            let body =
                if request.uri().path() == "/large" { Body::boxed(Pieces(64)) } else { Body::from("small") };
            let answer = Recorded::unrecorded(Response::new(body)).map(|body| Answering::new(body, busy));
            async move { Ok::<_, Infallible>(answer) }
        });
        let (near, far) = tokio::io::duplex(1024 * 1024);
        let server = http2::Builder::new(Streams { patience: PATIENCE });
        tokio::spawn(async move { server.serve_connection(TokioIo::new(near), service).await });
        let mut client = hyper::client::conn::http2::Builder::new(TokioExecutor::new());
        client.initial_stream_window_size(64 * 1024);
        let (mut sender, connection) = client.handshake(TokioIo::new(far)).await.unwrap();
        tokio::spawn(connection);
        let mut ask = |path: &str| {
            let request = Request::get(format!("http://a{path}")).body(String::new()).unwrap();
            sender.send_request(request)
        };
        tokio::time::pause();
        let unread = ask("/large").await.unwrap();
        let mut slow = ask("/large").await.unwrap();
        for _ in 0..8 {
            tokio::time::sleep(PATIENCE / 3).await;
            slow.frame().await.unwrap().unwrap();
            let small = ask("/small").await.unwrap().collect().await.unwrap().to_bytes();
            assert_eq!(small, "small");
        }
        assert!(unread.collect().await.is_err());
        assert!(slow.collect().await.is_ok());
        assert!(presence.idle_for(std::time::Instant::now()).is_some());
    }
}
