//! Sockets: listen, accept, dial, TLS, pooled connections, and the one body type that all messages share.
//! Knows nothing of authentication, routes or configuration files. Every TLS configuration names its cryptography
//! provider itself, so no process-wide default can change what a connection is protected with.

pub mod body;
pub mod channel;
pub mod dial;
pub mod listener;
pub mod patience;
pub mod pool;
pub mod slots;
pub mod socket;
pub mod tls;

pub use body::{Body, BodyError, Leased};
pub use channel::Stream;
pub use dial::{Cleartext, Connected, Destination, DialError, Upgradable};
pub use listener::{Accepted, BindError, HandedOver, InvalidListenAddress, ListenAddress, Listener, Peer};
pub use patience::{Flowing, Patience};
pub use pool::{KeepAlive, Lease, Line, Pool, WorkerId};
pub use slots::{Held, Slot, Slots};
pub use socket::Socket;
pub use tls::{
    CertificatePem, ClientCertificates, InvalidTlsVersion, ServerVerification, ShownCertificates,
    TlsConfigError, TlsServerConfig, TlsServerOptions, TlsStream, TlsVersion, client_config, handshake,
    shown_certificates,
};
