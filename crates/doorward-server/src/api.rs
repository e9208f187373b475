//! Requests of programs: who sends them is told by a certificate, a token or a proxy in front (`apiAuth` of
//! doorward.yaml), and said to the application in the form that it understands. It runs with
//! `apiAuth`, and wherever the built-in server is on, whose tokens count; nothing of it runs without both.

mod decide;
pub(crate) mod failure;
pub(crate) mod identity;
pub mod impersonation;

use doorward_authn::chain::Chain;
use doorward_core::SecretString;
use http::HeaderName;

pub(crate) use decide::Case;
pub(crate) use failure::Refusal;
pub(crate) use identity::{Caller, SESSION};
pub use impersonation::{Impersonation, ImpersonationRule, Targets};

/// `apiAuth`.
#[derive(Debug)]
pub struct ApiAuth {
    pub chain: Chain,
    pub anonymous: Anonymous,
    pub impersonation: Impersonation,
    pub identity: IdentityForm,
    pub errors: ErrorFormat,
    /// The header in which a trusted proxy hands on the certificate that its client showed: PEM, percent-encoded.
    pub certificate_header: Option<HeaderName>,
}

/// Where requests without any credential pass, as `system:anonymous`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Anonymous {
    /// Where the rules of the policy say so ([`doorward_authz::parse_anonymous_path`]), if any do.
    OnNamedPaths,
    /// Wherever somebody without an e-mail address may go.
    Everywhere,
}

/// How applications are told who sends a request.
#[derive(Clone, Debug)]
pub enum IdentityForm {
    /// By the headers that oauth2-proxy's options ask for, and no others.
    Forwarded,
    /// Also by `X-Remote-User`, `-Uid`, `-Group` and `-Extra-…`, as a front proxy of a Kubernetes API does.
    XRemote,
    /// Also by `Impersonate-User` and so on: the application is a Kubernetes API, which believes it for our own credential.
    Impersonate { credential: OwnCredential },
}

/// What we show to a Kubernetes API.
#[derive(Clone, Debug)]
pub enum OwnCredential {
    Token(SecretString),
    /// Shown in every TLS handshake, so that a request without a name would be ours.
    Certificate,
}

/// How refusals look. They differ in their bodies alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ErrorFormat {
    /// As the request asks: pages for people, a `Status` for programs.
    Auto,
    /// Always a `Status` of Kubernetes.
    Kubernetes,
    /// `{"message"}`, as the API Gateway of AWS.
    Aws,
    /// `{"error","error_description"}` (RFC 6749 section 5.2).
    OAuth2,
    /// Always a page.
    Html,
}
