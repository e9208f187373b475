//! Why an upstream gave no answer, in sentences for the log. A browser learns none of this.

use std::{error::Error as StdError, fmt, time::Duration};

use doorward_net::DialError;
use thiserror::Error;

use crate::rewrite::RewriteError;

/// Why a request was not answered by the application.
#[derive(Debug, Error)]
pub enum ForwardError {
    /// The application refuses connections, or its name cannot be resolved.
    #[error("The upstream was not reached: {0}.")]
    Unreachable(#[source] DialError),
    /// The application's certificate is not trusted, or no TLS was spoken.
    #[error("No safe connection to the upstream was made: {0}.")]
    Tls(#[source] DialError),
    #[error("The upstream took too long: no {awaited} within {limit:?}.")]
    TimedOut { awaited: Awaited, limit: Duration },
    /// The connection broke off, or what came was no HTTP.
    #[error("The upstream broke off or did not speak HTTP: {}.", Chain(.0))]
    Protocol(#[source] hyper::Error),
    /// The application changed the protocol without being asked, or to another one than asked.
    #[error("The upstream switched to a protocol that was not asked for.")]
    UnwantedUpgrade,
    /// The upstream's rewrite made something of the request's path that must not be sent.
    #[error("The rewritten path cannot be sent to the upstream: {0}.")]
    Rewrite(#[from] RewriteError),
    /// HTTP/2 has a stricter idea of hosts than HTTP/1.1.
    #[error("The host of the request cannot be sent to an upstream that speaks HTTP/2.")]
    Host,
    /// The client's upload broke off: the application is not to blame.
    #[error("The client's request body broke off: {}.", Chain(.0))]
    RequestBody(#[source] hyper::Error),
    /// As [`Self::RequestBody`], while the body was collected for signing.
    #[error("The client's request body could not be read for signing: {0}.")]
    UnsignedBody(String),
}

/// What was waited for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Awaited {
    Connection,
    TlsHandshake,
    ResponseHeaders,
}

impl fmt::Display for Awaited {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Connection => "connection",
            Self::TlsHandshake => "TLS handshake",
            Self::ResponseHeaders => "response headers",
        })
    }
}

impl From<DialError> for ForwardError {
    fn from(error: DialError) -> Self {
        match error {
            DialError::TimedOut => {
                Self::TimedOut { awaited: Awaited::Connection, limit: doorward_net::dial::DIAL_LIMIT }
            }
            DialError::TlsTimedOut => {
                Self::TimedOut { awaited: Awaited::TlsHandshake, limit: doorward_net::dial::HANDSHAKE_LIMIT }
            }
            DialError::Tls(_) => Self::Tls(error),
            DialError::Unreachable(_) | DialError::Http(_) => Self::Unreachable(error),
        }
    }
}

impl From<hyper::Error> for ForwardError {
    fn from(error: hyper::Error) -> Self {
        if error.is_user() { Self::RequestBody(error) } else { Self::Protocol(error) }
    }
}

/// The engine's errors say little by themselves: the causes below them are appended.
struct Chain<'a>(&'a hyper::Error);

impl fmt::Display for Chain<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)?;
        let mut cause = self.0.source();
        while let Some(error) = cause {
            write!(f, ": {error}")?;
            cause = error.source();
        }
        Ok(())
    }
}
