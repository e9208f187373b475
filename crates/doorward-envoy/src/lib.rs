//! Envoy's questions (`envoy.service.auth.v3.Authorization/Check`, over gRPC) as the HTTP requests that they are about,
//! and verdicts as Envoy's answers. What is asked is not judged here, and what cannot be read is never a yes.

mod answer;
mod question;

use std::{fmt, net::SocketAddr, sync::Arc};

use bytes::Bytes;
use envoy_types::ext_authz::v3::pb::{Authorization, AuthorizationServer, CheckRequest, CheckResponse};
use http::{HeaderName, HeaderValue, Request, Response};
use tonic::codegen::Service as _;

pub use question::InvalidQuestion;

/// The path of the service's one method.
pub const PATH: &str = "/envoy.service.auth.v3.Authorization/Check";
/// Envoy sends as much of a body as it is told to (`with_request_body`), and all headers.
const LARGEST: usize = 4 * 1024 * 1024;

/// A request that Envoy asks about.
#[derive(Debug)]
pub struct Question {
    /// Method, path, query and headers as Envoy will send them on; `Host` among the headers. The content is what Envoy
    /// was told to show of it.
    pub request: Request<Bytes>,
    /// The other end of Envoy's connection; of a unix socket none.
    pub peer: Option<SocketAddr>,
    pub scheme: Scheme,
    /// The certificate that the client showed to Envoy: PEM, percent-encoded (`include_peer_certificate`).
    pub certificate: Option<String>,
}

/// How the client reached Envoy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scheme {
    Http,
    Https,
}

/// What Envoy is told.
#[derive(Debug)]
pub enum Verdict {
    Allowed(Changes),
    /// The client gets this answer.
    Denied(Response<Bytes>),
}

/// What Envoy changes before the request goes on, and of the answer to it.
#[derive(Debug, Default)]
pub struct Changes {
    /// Replace what the client sent under these names. A name that stands here twice has several values.
    pub set: Vec<(HeaderName, HeaderValue)>,
    /// What the client sent under these names goes no further.
    pub remove: Vec<HeaderName>,
    pub set_query: Vec<(String, String)>,
    pub remove_query: Vec<String>,
    /// Added to the answer.
    pub on_answer: Vec<(HeaderName, HeaderValue)>,
}

/// Answers one gRPC request: `judge` decides on what it asks. Any other method is answered as unimplemented.
pub async fn serve<J, F, B>(judge: J, request: Request<B>) -> Response<tonic::body::Body>
where
    J: Fn(Question) -> F + Send + Sync + 'static,
    F: Future<Output = Verdict> + Send + 'static,
    B: http_body::Body + Send + 'static,
    B::Error: Into<tonic::codegen::StdError> + Send,
{
    let server = AuthorizationServer::from_arc(Arc::new(Judge(judge)));
    match server.max_decoding_message_size(LARGEST).call(request).await {
        Ok(response) => response,
        Err(never) => match never {},
    }
}

struct Judge<J>(J);

impl<J> fmt::Debug for Judge<J> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Judge")
    }
}

#[tonic::async_trait]
impl<J, F> Authorization for Judge<J>
where
    J: Fn(Question) -> F + Send + Sync + 'static,
    F: Future<Output = Verdict> + Send + 'static,
{
    async fn check(
        &self,
        request: tonic::Request<CheckRequest>,
    ) -> Result<tonic::Response<CheckResponse>, tonic::Status> {
        let verdict = match question::read(request.into_inner()) {
            Ok(question) => (self.0)(question).await,
            Err(why) => Verdict::Denied(why.answer()),
        };
        Ok(tonic::Response::new(answer::write(verdict)))
    }
}
