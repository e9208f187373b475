//! An authoriser of Kubernetes, asked by `SubjectAccessReview`s (`authorization.k8s.io/v1`, norm B5.6).

use std::time::Duration;

use doorward_core::SecretString;
use doorward_oidc::HttpConfig;
use url::Url;

/// How long an answer takes at most, if nothing else is said.
pub const TIMEOUT: Duration = Duration::from_secs(1);
/// Answers are never kept for longer.
pub const LONGEST_CACHE: Duration = Duration::from_secs(10);

/// Who decides, and about what.
#[derive(Clone, Debug)]
pub struct Config {
    /// `https://…/apis/authorization.k8s.io/v1/subjectaccessreviews`.
    pub url: Url,
    /// Our own token there.
    pub token: Option<SecretString>,
    /// Trust and a certificate of ours. Its time limits are not used.
    pub http: HttpConfig,
    pub timeout: Duration,
    pub asks: Asks,
    /// How long a yes is kept; at most [`LONGEST_CACHE`].
    pub cache_allowed: Duration,
    /// How long a no is kept; at most [`LONGEST_CACHE`].
    pub cache_denied: Duration,
}

/// What somebody is asked to be allowed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Asks {
    /// The request's path, with its method in lower case as the verb.
    Path,
    /// The same for all requests of the route.
    Resource(ResourceAttributes),
}

/// The fields of `resourceAttributes`. Empty ones are left out.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ResourceAttributes {
    pub namespace: String,
    pub verb: String,
    pub group: String,
    pub version: String,
    pub resource: String,
    pub subresource: String,
    pub name: String,
}
