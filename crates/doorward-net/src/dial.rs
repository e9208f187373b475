//! Dialling an application: connect, shake hands, and drive the HTTP/1.1 connection on the current worker. Every
//! step has a time limit. The connection belongs to whoever holds its sending half, and ends with it.

use std::{fmt, io, path::PathBuf, sync::Arc, time::Duration};

use http::Request;
use hyper::{
    body::Incoming,
    client::conn::http1::{self, SendRequest},
    rt::{Read, Write},
};
use hyper_util::rt::TokioIo;
use rustls::{ClientConfig, pki_types::ServerName};
use thiserror::Error;
use tokio::{
    net::{TcpStream, UnixStream},
    time::timeout,
};
use tokio_rustls::TlsConnector;

use crate::{body::Body, socket};

/// How long connecting may take, name resolution included.
pub const DIAL_LIMIT: Duration = Duration::from_secs(10);

/// How long the TLS handshake may take.
pub const HANDSHAKE_LIMIT: Duration = Duration::from_secs(10);

/// Where an application listens.
#[derive(Clone, Debug)]
pub enum Destination {
    Tcp {
        /// A name or an address, an IPv6 address without brackets.
        host: Box<str>,
        port: u16,
    },
    Tls {
        host: Box<str>,
        port: u16,
        /// Whom the certificate has to name.
        name: ServerName<'static>,
        config: Arc<ClientConfig>,
    },
    Unix(PathBuf),
}

/// What a connection is opened for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// Ordinary requests, one after the other.
    Requests,
    /// One request that asks to turn the connection into a tunnel.
    Upgrade,
}

/// A driven connection that has carried nothing yet.
pub struct Connected(pub(crate) SendRequest<Body>);

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
    /// Opens a connection and spawns the task that drives it on the current runtime.
    pub async fn connect(&self, purpose: Purpose) -> Result<Connected, DialError> {
        match self {
            Self::Tcp { host, port } => drive(TokioIo::new(dial(host, *port).await?), purpose).await,
            Self::Tls { host, port, name, config } => {
                let stream = dial(host, *port).await?;
                let shaken = TlsConnector::from(Arc::clone(config)).connect(name.clone(), stream);
                let stream = timeout(HANDSHAKE_LIMIT, shaken)
                    .await
                    .map_err(|_elapsed| DialError::TlsTimedOut)?
                    .map_err(DialError::Tls)?;
                drive(TokioIo::new(stream), purpose).await
            }
            Self::Unix(path) => {
                let stream = timeout(DIAL_LIMIT, UnixStream::connect(path))
                    .await
                    .map_err(|_elapsed| DialError::TimedOut)?
                    .map_err(DialError::Unreachable)?;
                drive(TokioIo::new(stream), purpose).await
            }
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

async fn drive<I>(io: I, purpose: Purpose) -> Result<Connected, DialError>
where
    I: Read + Write + Unpin + Send + 'static,
{
    let (sender, connection) = http1::handshake::<I, Body>(io).await.map_err(DialError::Http)?;
    // Failures reach the request that is on its way; those of an idle connection concern nobody.
    match purpose {
        Purpose::Requests => {
            tokio::spawn(async move {
                if let Err(error) = connection.await {
                    tracing::debug!(%error, "A connection to an upstream ended");
                }
            });
        }
        Purpose::Upgrade => {
            tokio::spawn(async move {
                if let Err(error) = connection.with_upgrades().await {
                    tracing::debug!(%error, "A connection to an upstream ended");
                }
            });
        }
    }
    Ok(Connected(sender))
}

impl Connected {
    /// Sends the one request that an [`Purpose::Upgrade`] connection is for.
    pub async fn send(mut self, request: Request<Body>) -> Result<http::Response<Incoming>, hyper::Error> {
        self.0.send_request(request).await
    }
}

impl fmt::Debug for Connected {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Connected")
    }
}
