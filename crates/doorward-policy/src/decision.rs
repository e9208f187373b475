//! What a policy answered: the decision document (norm B5.3), read strictly.

use http::{HeaderName, HeaderValue, StatusCode};
use serde_json::Value;

/// Whether the request may go on, and what is to happen besides.
#[derive(Clone, Debug, PartialEq)]
pub struct Decision {
    pub verdict: Verdict,
    /// Of an allowed request: for the application, in place of what the client sent under these names. Of a denied one:
    /// for the answer.
    pub headers: Vec<(HeaderName, HeaderValue)>,
    /// For the answer, also where it comes from the application.
    pub response_headers_to_add: Vec<(HeaderName, HeaderValue)>,
    /// The application does not get these.
    pub request_headers_to_remove: Vec<HeaderName>,
    /// For the application, in place of all parameters of these names.
    pub query_parameters_to_set: Vec<(String, String)>,
    pub query_parameters_to_remove: Vec<String>,
    /// Of a denied request alone: 400 to 599.
    pub http_status: Option<StatusCode>,
    /// The answer to a denied request.
    pub body: Option<String>,
    /// For the claim `authz` of the credential that the application gets.
    pub context: Option<Value>,
}

/// Yes or no.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    Allow,
    Deny,
}

impl Decision {
    /// The verdict and nothing besides.
    pub const fn plain(verdict: Verdict) -> Self {
        Self {
            verdict,
            headers: Vec::new(),
            response_headers_to_add: Vec::new(),
            request_headers_to_remove: Vec::new(),
            query_parameters_to_set: Vec::new(),
            query_parameters_to_remove: Vec::new(),
            http_status: None,
            body: None,
            context: None,
        }
    }
}
