//! What policies are asked about. The input document is made of it once, when the first policy needs it.

use std::{net::SocketAddr, sync::OnceLock};

use doorward_core::{PathParameters, Principal, Timestamp};
use http::{HeaderMap, HeaderName, Method, Version};
use serde_json::Value;

use crate::{PolicyFault, input};

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
    /// Neither `Authorization`, `Proxy-Authorization` and `Cookie`, nor tokens among WebSocket subprotocols, nor these
    /// headers and query parameters.
    Nothing { headers: &'a [HeaderName], parameters: &'a [String] },
    /// `exposeCredentials: true`.
    Credentials,
}

/// A request to be decided about.
#[derive(Debug)]
pub struct Question<'a> {
    facts: Facts<'a>,
    input: OnceLock<Result<Value, PolicyFault>>,
    rego: OnceLock<Result<regorus::Value, PolicyFault>>,
}

impl<'a> Question<'a> {
    /// Costs nothing as long as no policy is asked.
    pub const fn new(facts: Facts<'a>) -> Self {
        Self { facts, input: OnceLock::new(), rego: OnceLock::new() }
    }

    pub const fn facts(&self) -> &Facts<'a> {
        &self.facts
    }

    /// The input document (norm B5.2). A body that is not what its type says leaves nothing to decide about.
    pub fn input(&self) -> Result<&Value, PolicyFault> {
        self.input.get_or_init(|| input::document(&self.facts)).as_ref().map_err(Clone::clone)
    }

    /// The same, as the embedded engine wants it. Most questions are asked in one of the two ways only.
    pub(crate) fn rego_input(&self) -> Result<regorus::Value, PolicyFault> {
        self.rego.get_or_init(|| input::document(&self.facts).map(regorus::Value::from)).clone()
    }
}
