//! What policies are asked about. The input document is made of it once, when the first policy needs it.

use std::net::SocketAddr;

use doorward_core::{PathParameters, Principal, Timestamp};
use http::{HeaderMap, HeaderName, Method, Version};

/// A request and who sends it. All of it is what will be forwarded, never what was first sent.
#[derive(Clone, Debug)]
pub struct Facts<'a> {
    pub request_id: &'a str,
    pub time: Timestamp,
    pub method: &'a Method,
    /// The path that is forwarded, with its query (`/orders/7?x=1`). It can be read in one way only.
    pub path_and_query: &'a str,
    pub host: &'a str,
    /// `http` or `https`, as the client sees it.
    pub scheme: &'a str,
    pub protocol: Version,
    pub headers: &'a HeaderMap,
    /// The client's address, and its port if it is known.
    pub peer: Option<SocketAddr>,
    /// The subject of a client certificate that was verified.
    pub peer_principal: Option<&'a str>,
    pub body: Body<'a>,
    pub who: &'a Principal,
    /// The route's id.
    pub route: &'a str,
    pub params: &'a PathParameters,
    pub expose: Expose<'a>,
}

/// As much of a request's body as policies may see.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Body<'a> {
    /// The route has no `withBody`, or the request no body.
    NotRead,
    Whole(&'a [u8]),
    /// It is longer than `withBody`.
    Truncated,
}

/// Whether policies see what lets somebody in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Expose<'a> {
    /// Neither `Authorization`, `Proxy-Authorization` and `Cookie`, nor these headers and query parameters.
    Nothing { headers: &'a [HeaderName], parameters: &'a [String] },
    /// `exposeCredentials: true`.
    Credentials,
}

/// A request to be decided about.
#[derive(Debug)]
pub struct Question<'a> {
    facts: Facts<'a>,
}

impl<'a> Question<'a> {
    /// Costs nothing as long as no policy is asked.
    pub const fn new(facts: Facts<'a>) -> Self {
        Self { facts }
    }

    pub const fn facts(&self) -> &Facts<'a> {
        &self.facts
    }
}
