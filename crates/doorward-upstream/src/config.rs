//! What there is to say about one upstream.

use std::{path::PathBuf, time::Duration};

use doorward_net::{
    KeepAlive,
    tls::{Authorities, ClientIdentity, ServerVerification},
};
use http::{StatusCode, uri::Authority};

/// How long the application may take to begin its answer, unless configured.
const DEFAULT_TIMEOUT: Duration = Duration::from_secs(30);

/// One upstream, as configured.
#[derive(Clone, Debug)]
pub struct UpstreamConfig {
    /// Names the upstream in logs. Unique.
    pub id: String,
    /// The path that is routed here: with a trailing `/` everything below it, else this path only. It may hold the
    /// variables of Go's mux (`/{name}/`, `/{name:regex}/`). With a rewrite it is an expression that is searched in the
    /// decoded path instead. Unique.
    pub path: String,
    pub rewrite: Option<Rewrite>,
    pub target: Target,
    pub pass_host_header: HostHeader,
    pub websockets: WebSockets,
    /// How long the application may take to begin its answer once it has the request. Zero means no limit. Bodies and
    /// upgraded connections are not limited.
    pub timeout: Duration,
    pub keep_alive: KeepAlive,
    pub tls: TlsVerification,
    /// Shown to an `https` server that asks.
    pub identity: Option<ClientIdentity>,
}

impl UpstreamConfig {
    /// An upstream with the usual settings.
    pub fn new(path: String, id: String, target: Target) -> Self {
        Self {
            id,
            path,
            rewrite: None,
            target,
            pass_host_header: HostHeader::FromClient,
            websockets: WebSockets::Allowed,
            timeout: DEFAULT_TIMEOUT,
            keep_alive: KeepAlive::Reuse,
            tls: TlsVerification::Verify,
            identity: None,
        }
    }
}

/// Another path than the client's for the application (`upstreams.md`, "Rewrite").
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rewrite {
    /// What takes the place of each match of the path's expression: text with `$1`, `${1}` and `${name}` for groups and
    /// `$$` for a dollar. What follows a `?` is appended to the client's query.
    pub target: String,
}

/// In which form paths are compared with those of upstreams. Expressions always see the decoded path.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum PathForm {
    #[default]
    Decoded,
    /// As the client sent it (`proxyRawPath`): `%2F` is no slash.
    Raw,
}

/// What serves the requests of an upstream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Target {
    /// An HTTP server.
    Http { scheme: HttpScheme, authority: Authority },
    /// An HTTP server on a unix socket.
    Unix { socket: PathBuf },
    /// The files of a folder, or one file.
    Files { directory: PathBuf },
    /// The same short answer to every request.
    Static { status: StatusCode },
}

/// How an HTTP server is spoken to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HttpScheme {
    Http,
    /// HTTP/2 or HTTP/1.1, as the server chooses.
    Https,
    /// HTTP/2 without TLS, with prior knowledge: for servers of gRPC. Carries no `WebSockets`.
    H2c,
}

impl HttpScheme {
    /// Host and port of an authority; none if there is no host, no valid port, or a user name.
    pub(crate) fn host_and_port(self, authority: &Authority) -> Option<(&str, u16)> {
        let host = authority.host();
        let port = match (authority.as_str().strip_prefix(host)?, self) {
            ("", Self::Http | Self::H2c) => 80,
            ("", Self::Https) => 443,
            (port, _) => port.strip_prefix(':')?.parse().ok()?,
        };
        let host = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
        (!host.is_empty()).then_some((host, port))
    }
}

/// Whose `Host` header the application sees.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HostHeader {
    FromClient,
    FromTarget,
}

/// Whether `WebSocket` upgrades are carried.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WebSockets {
    Allowed,
    /// Answered 403, without asking the application.
    Refused,
}

/// Whether the certificate of an `https` upstream is verified.
#[derive(Clone, Debug)]
pub enum TlsVerification {
    /// Against the system's trusted roots.
    Verify,
    /// Against these authorities, and no others.
    Authorities(Authorities),
    Insecure,
}

impl From<TlsVerification> for ServerVerification {
    fn from(verification: TlsVerification) -> Self {
        match verification {
            TlsVerification::Verify => Self::SystemRoots,
            TlsVerification::Authorities(authorities) => Self::Authorities(authorities),
            TlsVerification::Insecure => Self::Disabled,
        }
    }
}
