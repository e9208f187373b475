//! Where browsers are sent: the page to return to after login or logout, and the `redirect_uri` of the login.

use doorward_core::{
    RequestFacts,
    redirect::{AllowedHosts, SafeRedirect},
    request::{Hop, Scheme},
};
use http::HeaderName;
use url::Url;

use crate::{
    gate::Gate,
    ingress::{Arrival, Forwarded},
    routes::Routes,
};

const X_AUTH_REQUEST_REDIRECT: HeaderName = HeaderName::from_static("x-auth-request-redirect");

/// Redirect settings.
#[derive(Clone, Debug)]
pub struct Redirects {
    pub allowed_hosts: AllowedHosts,
    pub redirect_uri: RedirectUri,
    /// Where the provider sends browsers after a sign-out.
    pub signed_out_uri: RedirectUri,
}

/// How the `redirect_uri` of an authorization request (RFC 6749 section 4.1.1) is made.
#[derive(Clone, Debug)]
pub enum RedirectUri {
    /// As configured.
    Fixed(String),
    /// This path on the host that the browser used; the scheme is https whenever cookies are secure.
    FromRequest { path: String, secure: SecureCookies },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SecureCookies {
    Yes,
    No,
}

impl RedirectUri {
    pub fn for_request(&self, facts: &RequestFacts) -> String {
        match self {
            Self::Fixed(url) => url.clone(),
            Self::FromRequest { path, secure } => {
                let scheme = match secure {
                    SecureCookies::Yes => Scheme::Https,
                    SecureCookies::No => facts.scheme.unwrap_or(Scheme::Http),
                };
                format!("{scheme}://{}{path}", facts.host_str())
            }
        }
    }
}

/// Whether a return target may be one of our own endpoints.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OwnEndpoints {
    /// After a login they would only start another one.
    Refused,
    /// After a sign-out the sign-in page is a sensible place.
    SignInAllowed,
}

impl Gate {
    /// The page to return to: the first candidate that is safe, in the reference's order (endpoints.md section 4).
    /// `rd` is the form value of that name.
    pub fn return_target(&self, arrival: &Arrival, rd: Option<&str>, own: OwnEndpoints) -> SafeRedirect {
        self.candidates(arrival, rd)
            .into_iter()
            .find_map(|candidate| accept(&self.redirects, &self.routes, &candidate, own))
            .unwrap_or_else(SafeRedirect::root)
    }

    fn candidates(&self, arrival: &Arrival, rd: Option<&str>) -> Vec<String> {
        let facts = &arrival.facts;
        let mut found = Vec::with_capacity(4);
        found.extend(rd.map(ToOwned::to_owned));
        let believes_header =
            matches!(self.ingress.forwarded, Forwarded::Ignored) || facts.hop == Hop::Trusted;
        if believes_header {
            found.extend(arrival.headers().get(X_AUTH_REQUEST_REDIRECT).and_then(text));
        }
        let uri = arrival.forwarded_uri.as_ref().and_then(text);
        let uri = uri.unwrap_or_else(|| facts.target.path_and_query().to_owned());
        let page = if self.routes.is_own(&uri) { "/".to_owned() } else { uri };
        let own_host = arrival.headers().get(http::header::HOST);
        if facts.hop == Hop::Trusted && own_host.is_some_and(|host| host != facts.host) {
            let scheme = facts.scheme.unwrap_or(Scheme::Http);
            found.push(format!("{scheme}://{}{page}", facts.host_str()));
        }
        found.push(page);
        found
    }
}

/// One candidate, checked.
pub fn accept(
    redirects: &Redirects,
    routes: &Routes,
    candidate: &str,
    own: OwnEndpoints,
) -> Option<SafeRedirect> {
    let safe = match redirects.allowed_hosts.check(candidate) {
        Ok(safe) => safe,
        Err(reason) => {
            if !candidate.is_empty() {
                tracing::info!("A redirect target was refused: {reason}.");
            }
            return None;
        }
    };
    if own == OwnEndpoints::SignInAllowed {
        let path = safe.as_str().split(['?', '#']).next().unwrap_or("");
        if matches!(path.strip_prefix(&routes.prefix), Some("/sign_in" | "/start")) {
            return Some(safe);
        }
    }
    safe.outside(&routes.prefix).ok()
}

fn text(value: &http::HeaderValue) -> Option<String> {
    std::str::from_utf8(value.as_bytes()).ok().filter(|text| !text.is_empty()).map(ToOwned::to_owned)
}

/// Compiles `--redirect-url`, `--relative-redirect-url`, `--proxy-prefix` and `--cookie-secure`.
pub fn redirect_uri(
    configured: &str,
    prefix: &str,
    relative: RelativeRedirectUrl,
    secure: SecureCookies,
) -> Result<RedirectUri, url::ParseError> {
    own_uri(configured, format!("{prefix}/callback"), relative, secure)
}

/// Compiles `--post-logout-redirect-url`, `--proxy-prefix` and `--cookie-secure`.
pub fn signed_out_uri(
    configured: &str,
    prefix: &str,
    secure: SecureCookies,
) -> Result<RedirectUri, url::ParseError> {
    own_uri(configured, format!("{prefix}/signed_out"), RelativeRedirectUrl::MadeAbsolute, secure)
}

fn own_uri(
    configured: &str,
    callback: String,
    relative: RelativeRedirectUrl,
    secure: SecureCookies,
) -> Result<RedirectUri, url::ParseError> {
    if relative == RelativeRedirectUrl::SentAsIs {
        return Ok(RedirectUri::Fixed(if configured.is_empty() { callback } else { configured.to_owned() }));
    }
    if configured.is_empty() {
        return Ok(RedirectUri::FromRequest { path: callback, secure });
    }
    match Url::parse(configured) {
        Ok(url) if url.has_host() => {
            let bare = matches!(url.path(), "" | "/") && !configured.ends_with('/');
            Ok(RedirectUri::Fixed(if bare {
                format!("{configured}{callback}")
            } else {
                configured.to_owned()
            }))
        }
        Err(url::ParseError::RelativeUrlWithoutBase) if configured.starts_with('/') => {
            Ok(RedirectUri::FromRequest { path: configured.to_owned(), secure })
        }
        Ok(_) => Err(url::ParseError::EmptyHost),
        Err(error) => Err(error),
    }
}

/// `--relative-redirect-url`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RelativeRedirectUrl {
    SentAsIs,
    MadeAbsolute,
}
