//! `WebSocket` upgrades. The client's connection becomes a tunnel only after the application has switched protocols
//! itself, with 101 and the protocol that was asked for. Any other answer is an ordinary answer, after which the
//! client's connection is an ordinary connection. No other protocol can be upgraded to. A tunnel with a [`Tether`] ends
//! when that says so.

use std::time::Duration;

use doorward_net::{Body, Destination};
use http::{HeaderValue, Method, Request, Response, StatusCode, Version, header};
use http_body::Body as _;
use hyper::upgrade::{OnUpgrade, Upgraded};
use hyper_util::rt::TokioIo;
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, copy, copy_bidirectional, split},
    time::timeout,
};

use crate::{
    error::ForwardError,
    headers,
    tether::{Close, FrameTracker, Tether, close_frame},
};

const CONNECTION_UPGRADE: HeaderValue = HeaderValue::from_static("Upgrade");
const WEBSOCKET: HeaderValue = HeaderValue::from_static("websocket");

/// Whether the request asks for a `WebSocket`, in any spelling (RFC 6455 section 4.2.1), so that forwarding it may
/// make a tunnel of the connection.
pub fn is_asked(request: &Request<Body>) -> bool {
    let headers = request.headers();
    headers.contains_key(header::UPGRADE)
        && headers.get_all(header::UPGRADE).iter().any(|value| headers::has_token(value, "websocket"))
        && headers.get_all(header::CONNECTION).iter().any(|value| headers::has_token(value, "upgrade"))
        && request.method() == Method::GET
        && request.version() == Version::HTTP_11
        && request.body().is_end_stream()
}

/// Asks the application for the upgrade, on a connection of its own.
pub(crate) async fn open(
    destination: &Destination,
    mut request: Request<Body>,
    client: OnUpgrade,
    tether: Option<Tether>,
) -> Result<Response<Body>, ForwardError> {
    mark(request.headers_mut());
    let mut response = destination.connect_for_upgrade().await?.send(request).await?;
    if response.status() != StatusCode::SWITCHING_PROTOCOLS {
        headers::strip_response(response.headers_mut());
        *response.version_mut() = Version::HTTP_11;
        return Ok(response.map(Body::Incoming));
    }
    let is_websocket = |value| headers::has_token(value, "websocket");
    if !response.headers().get(header::UPGRADE).is_some_and(is_websocket) {
        return Err(ForwardError::UnwantedUpgrade);
    }
    let application = hyper::upgrade::on(&mut response);
    tokio::spawn(tunnel(client, application, tether));
    headers::strip_response(response.headers_mut());
    mark(response.headers_mut());
    Ok(response.map(|_nothing| Body::Empty))
}

fn mark(headers: &mut http::HeaderMap) {
    headers.insert(header::CONNECTION, CONNECTION_UPGRADE);
    headers.insert(header::UPGRADE, WEBSOCKET);
}

/// Carries bytes both ways until both sides have finished.
async fn tunnel(client: OnUpgrade, application: OnUpgrade, tether: Option<Tether>) {
    match tokio::try_join!(client, application) {
        Ok((client, application)) => carry(client, application, tether).await,
        Err(error) => tracing::debug!(%error, "A WebSocket ended before it began"),
    }
}

async fn carry(client: Upgraded, application: Upgraded, tether: Option<Tether>) {
    let mut client = TokioIo::new(client);
    let mut application = TokioIo::new(application);
    let carried = match tether {
        Some(tether) => carry_until(client, application, tether).await,
        None => copy_bidirectional(&mut client, &mut application).await.map(|_| ()),
    };
    if let Err(error) = carried {
        tracing::debug!(%error, "A WebSocket broke off");
    }
}

/// The same until the tether ends it.
async fn carry_until<C, A>(client: C, application: A, mut tether: Tether) -> std::io::Result<()>
where
    C: AsyncRead + AsyncWrite,
    A: AsyncRead + AsyncWrite,
{
    let (mut from_client, mut to_client) = split(client);
    let (mut from_application, mut to_application) = split(application);
    let mut down = Down::default();
    let both_ways = async {
        let up = async {
            copy(&mut from_client, &mut to_application).await?;
            to_application.shutdown().await
        };
        tokio::try_join!(up, down.carry(&mut from_application, &mut to_client)).map(|_| ())
    };
    let close = tokio::select! {
        // Once it is over, nothing more goes to the application, not even what is there already.
        biased;
        close = tether.ended() => close,
        carried = both_ways => return carried,
    };
    // Whoever takes nothing of what was begun hears nothing of the end.
    let told = down.finish(close, &mut from_application, &mut to_client);
    timeout(LAST_FRAME, told).await.unwrap_or(Ok(()))
}

/// How long the frame that is under way may take to end, and the client to take it.
const LAST_FRAME: Duration = Duration::from_secs(2);
const BUFFER: usize = 8 * 1024;

/// The way from the application to the client, which can be left at any point and be gone on with.
#[derive(Default)]
struct Down {
    /// What came and was not sent yet.
    waiting: Vec<u8>,
    frames: FrameTracker,
}

impl Down {
    async fn carry<R, W>(&mut self, from: &mut R, to: &mut W) -> std::io::Result<()>
    where
        R: AsyncRead + Unpin,
        W: AsyncWrite + Unpin,
    {
        while self.receive(from).await? {
            self.send(usize::MAX, to).await?;
            to.flush().await?;
        }
        to.shutdown().await
    }

    /// The rest of the frame that is under way, then a close frame.
    async fn finish<R, W>(&mut self, close: Close, from: &mut R, to: &mut W) -> std::io::Result<()>
    where
        R: AsyncRead + Unpin,
        W: AsyncWrite + Unpin,
    {
        loop {
            let rest = self.frames.rest_of_frame(&self.waiting);
            self.send(rest, to).await?;
            if self.frames.is_between_frames() {
                break;
            }
            if !self.receive(from).await? {
                return Ok(());
            }
        }
        to.write_all(&close_frame(close)).await?;
        to.shutdown().await
    }

    /// Whether more came, if nothing is waiting.
    async fn receive<R: AsyncRead + Unpin>(&mut self, from: &mut R) -> std::io::Result<bool> {
        if self.waiting.is_empty() {
            self.waiting.reserve(BUFFER);
            from.read_buf(&mut self.waiting).await?;
        }
        Ok(!self.waiting.is_empty())
    }

    /// Sends so many of the waiting bytes, or all. What was sent is noted before anything else can happen.
    async fn send<W: AsyncWrite + Unpin>(&mut self, most: usize, to: &mut W) -> std::io::Result<()> {
        let mut left = most.min(self.waiting.len());
        while left > 0 {
            let piece = self.waiting.get(..left).unwrap_or_default();
            let written = to.write(piece).await?;
            if written == 0 {
                return Err(std::io::ErrorKind::WriteZero.into());
            }
            self.frames.advance(piece.get(..written).unwrap_or_default());
            self.waiting.drain(..written);
            left -= written;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{DuplexStream, duplex};

    use super::*;
    use crate::tether::{Hold, tether};

    /// A tunnel, with its two ends in hand.
    fn open() -> (DuplexStream, DuplexStream, Hold, tokio::task::JoinHandle<std::io::Result<()>>) {
        let (client, near) = duplex(64);
        let (far, application) = duplex(64);
        let (hold, tether) = tether();
        (client, application, hold, tokio::spawn(carry_until(near, far, tether)))
    }

    const CLOSED: &[u8] = b"\x88\x0c\x11\x31signed out";

    #[tokio::test]
    async fn a_tunnel_that_nobody_ends_is_as_any_other() {
        let (mut client, mut application, hold, done) = open();
        client.write_all(b"up").await.unwrap();
        client.shutdown().await.unwrap();
        let mut heard = String::new();
        application.read_to_string(&mut heard).await.unwrap();
        assert_eq!(heard, "up");
        application.write_all(b"down").await.unwrap();
        application.shutdown().await.unwrap();
        let mut heard = String::new();
        client.read_to_string(&mut heard).await.unwrap();
        assert_eq!(heard, "down");
        done.await.unwrap().unwrap();
        hold.released().await;
    }

    #[tokio::test]
    async fn b39_a_close_frame_comes_between_two_frames_and_nothing_goes_up_any_more() {
        // The frame under way comes to its end, in pieces; what would follow it does not come.
        let (mut client, mut application, hold, done) = open();
        application.write_all(b"\x81\x05he").await.unwrap();
        let mut heard = [0; 4];
        client.read_exact(&mut heard).await.unwrap();
        hold.end(Close::UNAUTHENTICATED);
        client.write_all(b"\x81\x80late").await.unwrap();
        application.write_all(b"llo\x81\x04next").await.unwrap();
        let mut heard = Vec::new();
        client.read_to_end(&mut heard).await.unwrap();
        assert_eq!(heard, [&b"llo"[..], CLOSED].concat());
        done.await.unwrap().unwrap();
        let mut late = Vec::new();
        application.read_to_end(&mut late).await.unwrap();
        assert!(late.is_empty(), "{late:?}");
    }

    #[tokio::test]
    async fn between_frames_the_close_frame_comes_at_once() {
        let (mut client, application, hold, done) = open();
        hold.end(Close::UNAUTHENTICATED);
        let mut heard = Vec::new();
        client.read_to_end(&mut heard).await.unwrap();
        assert_eq!(heard, CLOSED);
        done.await.unwrap().unwrap();
        drop(application);
    }

    #[tokio::test(start_paused = true)]
    async fn a_client_that_reads_nothing_and_an_application_that_goes_silent_do_not_hold_it_up() {
        let (client, mut application, hold, done) = open();
        application.write_all(&[0x82, 126, 1, 0]).await.unwrap();
        application.write_all(&[0; 100]).await.unwrap();
        hold.end(Close::UNAUTHENTICATED);
        done.await.unwrap().unwrap();
        drop(client);
        let (mut client, mut application, hold, done) = open();
        application.write_all(&[0x82, 50]).await.unwrap();
        client.read_exact(&mut [0; 2]).await.unwrap();
        hold.end(Close::UNAUTHENTICATED);
        done.await.unwrap().unwrap();
        let mut heard = Vec::new();
        client.read_to_end(&mut heard).await.unwrap();
        assert!(heard.is_empty(), "no close frame inside of another frame");
    }
}
