//! Dialling an application: connect, shake hands, and drive the connection on the current worker. Every step has a time
//! limit. The connection belongs to whoever holds its sending half, and ends with it.
//!
//! Which version of HTTP is spoken shows only then: over TLS the application chooses by ALPN, without TLS HTTP/2 needs
//! prior knowledge. A connection that is to become a tunnel is always an HTTP/1.1 connection.

use std::{
    fmt,
    future::poll_fn,
    io,
    path::{Path, PathBuf},
    pin::Pin,
    sync::Arc,
    time::Duration,
};

use http::{Request, Response, uri::Scheme};
use hyper::{
    body::Incoming,
    client::conn::{
        http1::{self, SendRequest},
        http2,
    },
};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use rustls::{ClientConfig, pki_types::ServerName};
use thiserror::Error;
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::{TcpStream, UnixStream},
    time::timeout,
};
use tokio_rustls::{TlsConnector, client::TlsStream};

use crate::{
    body::Body,
    channel::{Channel, Streams},
    socket, tls,
};

/// How long connecting may take, name resolution included.
pub const DIAL_LIMIT: Duration = Duration::from_secs(10);

/// How long the TLS handshake may take.
pub const HANDSHAKE_LIMIT: Duration = Duration::from_secs(10);

/// More than the headers of any answer need.
const HEADERS_LIMIT: u32 = 256 * 1024;

/// How an HTTP/2 connection is found to be dead while answers are awaited on it.
const PING_INTERVAL: Duration = Duration::from_mins(1);
const PING_LIMIT: Duration = Duration::from_secs(20);

/// Where an application listens.
#[derive(Clone, Debug)]
pub enum Destination {
    Tcp {
        /// A name or an address, an IPv6 address without brackets.
        host: Box<str>,
        port: u16,
        http: Cleartext,
    },
    /// Speaks HTTP/2 if the application chooses it.
    Tls {
        host: Box<str>,
        port: u16,
        /// Whom the certificate has to name.
        name: ServerName<'static>,
        config: Arc<ClientConfig>,
    },
    Unix(PathBuf),
}

/// What is spoken without TLS, where nothing is negotiated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cleartext {
    Http1,
    /// With prior knowledge (RFC 9113 section 3.3).
    Http2,
}

/// A driven connection that has carried nothing yet.
#[derive(Debug)]
pub struct Connected(pub(crate) Protocol);

pub(crate) enum Protocol {
    Http1(SendRequest<Body>),
    Http2(Channel),
}

/// A driven HTTP/1.1 connection for one request that asks to turn it into a tunnel.
pub struct Upgradable(SendRequest<Body>);

/// Why no connection came about.
#[derive(Debug, Error)]
pub enum DialError {
    #[error("it refused or could not be reached: {0}")]
    Unreachable(#[source] io::Error),
    #[error("it did not accept the connection within {} seconds", DIAL_LIMIT.as_secs())]
    TimedOut,
    #[error("the TLS handshake failed: {0}")]
    Tls(#[source] io::Error),
    #[error("the TLS handshake was not finished within {} seconds", HANDSHAKE_LIMIT.as_secs())]
    TlsTimedOut,
    #[error("HTTP could not be started: {0}")]
    Http(#[source] hyper::Error),
}

impl Destination {
    /// Opens a connection for requests and spawns the task that drives it on the current runtime.
    pub async fn connect(&self) -> Result<Connected, DialError> {
        Ok(Connected(match self {
            Self::Tcp { host, port, http: Cleartext::Http1 } => {
                Protocol::Http1(speak_http1(dial(host, *port).await?).await?)
            }
            Self::Tcp { host, port, http: Cleartext::Http2 } => {
                Protocol::Http2(speak_http2(dial(host, *port).await?).await?)
            }
            Self::Tls { host, port, name, config } => {
                let connector = TlsConnector::from(Arc::clone(config));
                let shaken = connector.connect(name.clone(), dial(host, *port).await?);
                let stream = in_time(shaken).await?;
                if stream.get_ref().1.alpn_protocol() == Some(tls::HTTP2) {
                    Protocol::Http2(speak_http2(stream).await?)
                } else {
                    Protocol::Http1(speak_http1(stream).await?)
                }
            }
            Self::Unix(path) => Protocol::Http1(speak_http1(dial_unix(path).await?).await?),
        }))
    }

    /// Opens an HTTP/1.1 connection for one request that asks to turn it into a tunnel.
    pub async fn connect_for_upgrade(&self) -> Result<Upgradable, DialError> {
        match self {
            Self::Tcp { host, port, http: _ } => speak_upgradable(dial(host, *port).await?).await,
            Self::Tls { host, port, name, config } => {
                let connector = TlsConnector::from(Arc::clone(config));
                let connector = connector.with_alpn(vec![tls::HTTP1.to_vec()]);
                let shaken = connector.connect(name.clone(), dial(host, *port).await?);
                speak_upgradable(in_time(shaken).await?).await
            }
            Self::Unix(path) => speak_upgradable(dial_unix(path).await?).await,
        }
    }

    /// The scheme of requests, as HTTP/2 wants to know it.
    pub const fn scheme(&self) -> Scheme {
        match self {
            Self::Tcp { .. } | Self::Unix(_) => Scheme::HTTP,
            Self::Tls { .. } => Scheme::HTTPS,
        }
    }
}

async fn dial(host: &str, port: u16) -> Result<TcpStream, DialError> {
    let stream = timeout(DIAL_LIMIT, TcpStream::connect((host, port)))
        .await
        .map_err(|_elapsed| DialError::TimedOut)?
        .map_err(DialError::Unreachable)?;
    socket::tune(&stream);
    Ok(stream)
}

async fn dial_unix(path: &Path) -> Result<UnixStream, DialError> {
    timeout(DIAL_LIMIT, UnixStream::connect(path))
        .await
        .map_err(|_elapsed| DialError::TimedOut)?
        .map_err(DialError::Unreachable)
}

async fn in_time(
    handshake: impl Future<Output = io::Result<TlsStream<TcpStream>>>,
) -> Result<TlsStream<TcpStream>, DialError> {
    let shaken = timeout(HANDSHAKE_LIMIT, handshake).await.map_err(|_elapsed| DialError::TlsTimedOut)?;
    shaken.map_err(DialError::Tls)
}

/// Failures reach the request that is on its way; those of an idle connection concern nobody.
async fn drive(connection: impl Future<Output = Result<(), hyper::Error>>) {
    if let Err(error) = connection.await {
        tracing::debug!(%error, "A connection to an upstream ended");
    }
}

/// Of an answer no more is read at once than this; its headers have to fit into it.
const READ_BUFFER: usize = 128 * 1024;

async fn speak_http1<S>(stream: S) -> Result<SendRequest<Body>, DialError>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let handshake = http1::Builder::new().max_buf_size(READ_BUFFER).handshake(TokioIo::new(stream));
    let (sender, connection) = handshake.await.map_err(DialError::Http)?;
    tokio::spawn(drive(connection));
    Ok(sender)
}

async fn speak_upgradable<S>(stream: S) -> Result<Upgradable, DialError>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let (sender, connection) = http1::handshake(TokioIo::new(stream)).await.map_err(DialError::Http)?;
    tokio::spawn(drive(connection.with_upgrades()));
    Ok(Upgradable(sender))
}

async fn speak_http2<S>(stream: S) -> Result<Channel, DialError>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let handshake = http2::Builder::new(TokioExecutor::new())
        .timer(TokioTimer::new())
        .max_header_list_size(HEADERS_LIMIT)
        .keep_alive_interval(PING_INTERVAL)
        .keep_alive_timeout(PING_LIMIT)
        .handshake(TokioIo::new(stream));
    let (sender, mut connection) = handshake.await.map_err(DialError::Http)?;
    let streams = Arc::new(Streams::default());
    let shared = Arc::clone(&streams);
    tokio::spawn(drive(poll_fn(move |cx| {
        let polled = Pin::new(&mut connection).poll(cx);
        shared.allow(connection.current_max_send_streams());
        polled
    })));
    Ok(Channel::new(sender, streams))
}

impl Upgradable {
    pub async fn send(mut self, request: Request<Body>) -> Result<Response<Incoming>, hyper::Error> {
        self.0.send_request(request).await
    }
}

impl fmt::Debug for Protocol {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Http1(_) => "Http1",
            Self::Http2(_) => "Http2",
        })
    }
}

impl fmt::Debug for Upgradable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Upgradable")
    }
}
