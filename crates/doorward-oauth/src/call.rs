//! A request to one of our endpoints, and the answer to it.

use std::sync::Arc;

use bytes::Bytes;
use doorward_core::{ClientIp, Timestamp, UserInfo};
use http::{HeaderMap, Method, Response};

/// A whole request. Its body has been read, within the limit of [`BODY_LIMIT`].
#[derive(Clone, Debug)]
pub struct Call {
    pub method: Method,
    /// As it came, percent-encoded.
    pub path: String,
    /// As it came, without the question mark.
    pub query: Option<String>,
    pub headers: HeaderMap,
    pub body: Bytes,
    pub client: ClientIp,
    /// What the client showed in a TLS handshake, leaf first, DER; empty for nothing. That it has the key is proven, and
    /// nothing else.
    pub certificates: Arc<[Vec<u8>]>,
    /// What the other end of the connection showed: the same, unless that is a proxy which hands on its client's.
    pub of_connection: Arc<[Vec<u8>]>,
    /// Who the chain of authenticators found, for the endpoints of the Kubernetes API; elsewhere `None`.
    pub caller: Option<UserInfo>,
    pub now: Timestamp,
}

/// The most bytes a body may have; with more, whoever reads the request answers 413.
pub const BODY_LIMIT: usize = 64 * 1024;

/// The answer.
pub type Answer = Response<Bytes>;
