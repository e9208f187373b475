//! Listening: TCP, unix sockets and inherited file descriptors. A socket file that somebody still serves is never
//! taken over, a stale one is replaced, and ours is removed when the listener goes. Accepted sockets can be handed
//! to another thread's runtime.

use std::{
    fmt, fs,
    io::{self, ErrorKind},
    net::{SocketAddr, TcpStream as StdTcpStream},
    os::unix::{
        fs::{FileTypeExt, MetadataExt, PermissionsExt},
        net::UnixStream as StdUnixStream,
    },
    path::{Path, PathBuf},
    str::FromStr,
    sync::{Mutex, OnceLock, PoisonError, RwLock},
};

use listenfd::ListenFd;
use thiserror::Error;
use tokio::net::{TcpListener, TcpStream, UnixListener, UnixStream};

use crate::{
    socket::{self, Socket},
    tls::TlsServerConfig,
};

/// The first file descriptor that socket activation passes (`sd_listen_fds(3)`).
const FIRST_INHERITED: u32 = 3;

/// Where to listen, as users write it: `[http://]host:port`, `unix://path[,mode=0660]` or `fd:3`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ListenAddress {
    /// `host:port`. An empty host means every address of this machine.
    Tcp(String),
    Unix {
        path: PathBuf,
        /// The permission bits of the socket file; what the umask leaves if absent.
        mode: Option<u32>,
    },
    /// An inherited descriptor, by its number.
    Fd(u32),
}

/// Why a text is no address to listen on.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum InvalidListenAddress {
    #[error("the listen address {0:?} has no port")]
    NoPort(String),
    #[error("the listen address {0:?} has an invalid port")]
    Port(String),
    #[error("the listen address {0:?} has an unknown scheme; known are http, https, unix and fd")]
    Scheme(String),
    #[error("the unix listen address {0:?} has no path")]
    NoPath(String),
    #[error("the unix listen address {0:?} has an unknown option; known is mode=<octal>")]
    UnixOption(String),
    #[error("the unix listen address {0:?} has an invalid octal mode")]
    Mode(String),
    #[error("the listen address {0:?} names no inherited descriptor; the first one is fd:3")]
    Descriptor(String),
}

impl FromStr for ListenAddress {
    type Err = InvalidListenAddress;

    fn from_str(text: &str) -> Result<Self, InvalidListenAddress> {
        if let Some(("fd" | "FD", number)) = text.split_once(':') {
            let number = number.parse().ok().filter(|number| *number >= FIRST_INHERITED);
            return number.map(Self::Fd).ok_or_else(|| InvalidListenAddress::Descriptor(text.to_owned()));
        }
        match text.split_once("://") {
            Some(("unix", rest)) => parse_unix(text, rest),
            None | Some(("http" | "https", _)) => {
                let address = text.split_once("://").map_or(text, |(_, address)| address);
                parse_tcp(address.trim_end_matches('/'))
            }
            Some(_) => Err(InvalidListenAddress::Scheme(text.to_owned())),
        }
    }
}

fn parse_tcp(address: &str) -> Result<ListenAddress, InvalidListenAddress> {
    let (_, port) =
        address.rsplit_once(':').ok_or_else(|| InvalidListenAddress::NoPort(address.to_owned()))?;
    if port.ends_with(']') {
        return Err(InvalidListenAddress::NoPort(address.to_owned()));
    }
    match port.parse::<u16>() {
        Ok(_) => Ok(ListenAddress::Tcp(address.to_owned())),
        Err(_) => Err(InvalidListenAddress::Port(address.to_owned())),
    }
}

fn parse_unix(text: &str, rest: &str) -> Result<ListenAddress, InvalidListenAddress> {
    let mut parts = rest.split(',');
    let path = parts.next().filter(|path| !path.is_empty());
    let path = path.ok_or_else(|| InvalidListenAddress::NoPath(text.to_owned()))?;
    let mut mode = None;
    for option in parts {
        let Some(("mode", octal)) = option.split_once('=') else {
            return Err(InvalidListenAddress::UnixOption(text.to_owned()));
        };
        let bits = u32::from_str_radix(octal, 8).ok().filter(|bits| *bits <= 0o7777);
        mode = Some(bits.ok_or_else(|| InvalidListenAddress::Mode(text.to_owned()))?);
    }
    Ok(ListenAddress::Unix { path: path.into(), mode })
}

impl ListenAddress {
    /// Whether only one of the two can be listened on. Addresses that overlap in other ways are found out by binding.
    pub fn is_same_place(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Unix { path, .. }, Self::Unix { path: other, .. }) => path == other,
            _ => self == other,
        }
    }
}

impl fmt::Display for ListenAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp(address) => f.write_str(address),
            Self::Unix { path, mode: _ } => write!(f, "unix://{}", path.display()),
            Self::Fd(number) => write!(f, "fd:{number}"),
        }
    }
}

/// Why listening failed. The address is named.
#[derive(Debug, Error)]
pub enum BindError {
    #[error("cannot listen on {address}: {source}")]
    Bind { address: ListenAddress, source: io::Error },
    #[error("cannot listen on {address}: another process listens on this socket")]
    InUse { address: ListenAddress },
    #[error("cannot listen on {address}: there is a file of this name, and it is no socket")]
    NotASocket { address: ListenAddress },
    #[error("cannot listen on {address}: this descriptor was not passed to us")]
    NotInherited { address: ListenAddress },
}

/// A bound listener.
#[derive(Debug)]
pub struct Listener {
    kind: Kind,
    tls: RwLock<Option<TlsServerConfig>>,
}

#[derive(Debug)]
enum Kind {
    Tcp(TcpListener),
    Unix(UnixListener, Option<SocketFile>),
}

/// A socket file that we made, and remove again.
#[derive(Debug)]
struct SocketFile {
    path: PathBuf,
    device: u64,
    inode: u64,
}

impl Drop for SocketFile {
    fn drop(&mut self) {
        // A successor may have put its own socket here meanwhile.
        let is_ours = fs::symlink_metadata(&self.path)
            .is_ok_and(|found| found.dev() == self.device && found.ino() == self.inode);
        if is_ours && let Err(error) = fs::remove_file(&self.path) {
            tracing::warn!(%error, path = %self.path.display(), "The socket file was not removed");
        }
    }
}

/// Who is at the other end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Peer {
    /// An IPv4 client is always shown as such, also on a listener for both families.
    Ip(SocketAddr),
    Unix,
}

/// An accepted socket on the accepting thread's runtime.
#[derive(Debug)]
pub struct Accepted {
    pub socket: Socket,
    pub peer: Peer,
}

/// An accepted socket on its way to another thread.
#[derive(Debug)]
pub struct HandedOver {
    stream: StdStream,
    peer: Peer,
}

#[derive(Debug)]
enum StdStream {
    Tcp(StdTcpStream),
    Unix(StdUnixStream),
}

impl Listener {
    /// Starts listening. With a TLS configuration, connections are meant to be passed to [`crate::handshake`].
    /// Inherited descriptors are read from the environment at the first call for one, which must come before other
    /// threads run.
    pub async fn bind(address: &ListenAddress, tls: Option<TlsServerConfig>) -> Result<Self, BindError> {
        let failed = |source| BindError::Bind { address: address.clone(), source };
        let kind = match address {
            ListenAddress::Tcp(host_and_port) => Kind::Tcp(bind_tcp(host_and_port).await.map_err(failed)?),
            ListenAddress::Unix { path, mode } => {
                clear_stale(address, path).await?;
                let listener = UnixListener::bind(path).map_err(failed)?;
                let file = own_socket_file(path, *mode).map_err(failed)?;
                Kind::Unix(listener, Some(file))
            }
            ListenAddress::Fd(number) => inherit(*number)
                .map_err(failed)?
                .ok_or_else(|| BindError::NotInherited { address: address.clone() })?,
        };
        Ok(Self { kind, tls: RwLock::new(tls) })
    }

    /// Waits for the next connection. Errors concern one connection or are passing shortages (too many open files):
    /// the caller should wait a little and go on.
    pub async fn accept(&self) -> io::Result<Accepted> {
        loop {
            let accepted = match &self.kind {
                Kind::Tcp(listener) => listener.accept().await.map(|(stream, peer)| {
                    socket::tune(&stream);
                    Accepted { socket: Socket::Tcp(stream), peer: Peer::Ip(canonical(peer)) }
                }),
                Kind::Unix(listener, _file) => listener
                    .accept()
                    .await
                    .map(|(stream, _)| Accepted { socket: Socket::Unix(stream), peer: Peer::Unix }),
            };
            match accepted {
                // The client gave up while it waited to be accepted.
                Err(error) if error.kind() == ErrorKind::ConnectionAborted => {}
                accepted => return accepted,
            }
        }
    }

    /// The TLS configuration for connections that are accepted now.
    pub fn tls(&self) -> Option<TlsServerConfig> {
        self.tls.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Uses another TLS configuration, or none, for connections that are accepted from now on.
    pub fn replace_tls(&self, tls: Option<TlsServerConfig>) {
        *self.tls.write().unwrap_or_else(PoisonError::into_inner) = tls;
    }

    /// The bound address of a TCP listener: with the real port if port 0 was asked for.
    pub fn local_address(&self) -> Option<SocketAddr> {
        match &self.kind {
            Kind::Tcp(listener) => listener.local_addr().ok(),
            Kind::Unix(..) => None,
        }
    }
}

impl Accepted {
    /// Takes the socket off this thread's runtime.
    pub fn into_std(self) -> io::Result<HandedOver> {
        let stream = match self.socket {
            Socket::Tcp(stream) => StdStream::Tcp(stream.into_std()?),
            Socket::Unix(stream) => StdStream::Unix(stream.into_std()?),
        };
        Ok(HandedOver { stream, peer: self.peer })
    }
}

impl HandedOver {
    /// Puts the socket on the runtime of the current thread.
    pub fn register(self) -> io::Result<Accepted> {
        let socket = match self.stream {
            StdStream::Tcp(stream) => Socket::Tcp(TcpStream::from_std(stream)?),
            StdStream::Unix(stream) => Socket::Unix(UnixStream::from_std(stream)?),
        };
        Ok(Accepted { socket, peer: self.peer })
    }

    pub const fn peer(&self) -> Peer {
        self.peer
    }
}

fn canonical(peer: SocketAddr) -> SocketAddr {
    SocketAddr::new(peer.ip().to_canonical(), peer.port())
}

async fn bind_tcp(address: &str) -> io::Result<TcpListener> {
    let Some(port) = address.strip_prefix(':') else {
        return TcpListener::bind(address).await;
    };
    // One socket for both families; a machine without IPv6 gets an IPv4 one.
    match TcpListener::bind(format!("[::]:{port}")).await {
        Err(error) if error.kind() != ErrorKind::AddrInUse && error.kind() != ErrorKind::PermissionDenied => {
            TcpListener::bind(format!("0.0.0.0:{port}")).await
        }
        bound => bound,
    }
}

/// Removes a socket file that nobody serves.
async fn clear_stale(address: &ListenAddress, path: &Path) -> Result<(), BindError> {
    let failed = |source| BindError::Bind { address: address.clone(), source };
    let found = match fs::symlink_metadata(path) {
        Ok(found) => found,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(failed(error)),
    };
    if !found.file_type().is_socket() {
        return Err(BindError::NotASocket { address: address.clone() });
    }
    match UnixStream::connect(path).await {
        Err(error) if error.kind() == ErrorKind::ConnectionRefused => fs::remove_file(path).map_err(failed),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
        Err(error) if error.kind() == ErrorKind::PermissionDenied => Err(failed(error)),
        Ok(_) | Err(_) => Err(BindError::InUse { address: address.clone() }),
    }
}

fn own_socket_file(path: &Path, permissions: Option<u32>) -> io::Result<SocketFile> {
    let made = fs::symlink_metadata(path)?;
    let file = SocketFile { path: path.to_owned(), device: made.dev(), inode: made.ino() };
    if let Some(bits) = permissions {
        fs::set_permissions(path, fs::Permissions::from_mode(bits))?;
    }
    Ok(file)
}

/// Takes an inherited listening socket; `None` if no such descriptor was passed or it is taken already.
fn inherit(number: u32) -> io::Result<Option<Kind>> {
    // Descriptors belong to the process, and are announced once: this is the one thing that has to be global.
    static INHERITED: OnceLock<Mutex<ListenFd>> = OnceLock::new();
    let mut inherited = INHERITED
        .get_or_init(|| Mutex::new(ListenFd::from_env()))
        .lock()
        .unwrap_or_else(PoisonError::into_inner);
    let Some(index) = number.checked_sub(FIRST_INHERITED).and_then(|index| usize::try_from(index).ok())
    else {
        return Ok(None);
    };
    if let Ok(tcp) = inherited.take_tcp_listener(index) {
        let Some(listener) = tcp else { return Ok(None) };
        listener.set_nonblocking(true)?;
        return TcpListener::from_std(listener).map(|listener| Some(Kind::Tcp(listener)));
    }
    let Some(listener) = inherited.take_unix_listener(index)? else { return Ok(None) };
    listener.set_nonblocking(true)?;
    UnixListener::from_std(listener).map(|listener| Some(Kind::Unix(listener, None)))
}

#[cfg(test)]
mod tests;
