//! Carry a permitted request to the application: over HTTP, over a unix socket, to a folder of files, or to a fixed
//! answer. Nothing is forwarded without a [`doorward_core::Permit`]. This crate decides nothing about who may pass,
//! and it trusts nothing that a client says about itself: identity headers are set after everything that a client
//! could use to remove them.

mod config;
mod error;
mod exchange;
mod files;
mod forward;
mod headers;
mod http2;
mod legacy;
mod rewrite;
mod routes;
mod signature;
mod simple;
mod template;
mod tether;
mod websocket;

pub use config::{
    HostHeader, HttpScheme, PathForm, Rewrite, Target, TlsVerification, UpstreamConfig, WebSockets,
};
pub use doorward_net::{KeepAlive, WorkerId};
pub use error::{Awaited, ForwardError};
pub use forward::{Forwarding, Upstream};
pub use legacy::{UpstreamUriError, parse_legacy_uri};
pub use rewrite::{InvalidRewrite, RewriteError};
pub use routes::{InvalidUpstreams, Route, Upstreams};
pub use signature::{InvalidSignatureKey, Signer};
pub use template::InvalidTemplate;
pub use tether::{Close, Hold, Tether, tether};
pub use websocket::is_asked as asks_for_websocket;
