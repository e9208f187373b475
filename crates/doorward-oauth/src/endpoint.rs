//! Which paths are ours (norm A2), and by which methods they are asked.

use doorward_core::{SecretString, request::is_among};
use http::Method;
use percent_encoding::percent_decode_str;

use crate::config::{Config, KubernetesApi, OpenShiftPaths};

/// One of our endpoints, with what its path says.
#[derive(Clone, Debug)]
pub enum Endpoint {
    /// RFC 8414.
    AuthorizationServerMetadata,
    /// `OpenID Connect` Discovery.
    OpenIdConfiguration,
    Jwks,
    Authorize,
    /// The page that asks for consent.
    Approve,
    /// The sign-in page of a provider, or of the only one.
    Login(Option<String>),
    /// Where a provider sends browsers back to.
    Callback(String),
    Logout,
    Token,
    Revoke,
    Introspect,
    UserInfo,
    TokenRequest,
    TokenDisplay,
    TokenImplicit,
    /// What our pages look like.
    Style,
    Kubernetes(KubernetesResource),
    /// Below `/oauth/`, and nothing is there.
    Nothing,
}

/// One of the resources of the Kubernetes API. Names are kept like secrets, because somebody may have put a token in
/// their place.
#[derive(Clone, Debug)]
pub enum KubernetesResource {
    /// `users/~`
    OwnUser,
    OwnTokens,
    OwnToken(SecretString),
    Token(SecretString),
    TokenReviews,
    SelfSubjectReviews,
    SubjectAccessReviews,
    SelfSubjectAccessReviews,
    /// What there is in one of the groups.
    Group(&'static ApiGroup),
    /// In one of the groups, and not there.
    Nothing,
}

/// A group of resources, for clients that ask what there is.
#[derive(Debug)]
pub struct ApiGroup {
    pub(crate) name: &'static str,
    /// Resource, kind, verbs.
    pub(crate) resources: &'static [(&'static str, &'static str, &'static [&'static str])],
}

/// The groups of which all paths are ours, version `v1` each.
const GROUPS: [ApiGroup; 4] = [
    ApiGroup { name: "user.openshift.io", resources: &[("users", "User", &["get"])] },
    ApiGroup {
        name: "oauth.openshift.io",
        resources: &[
            ("useroauthaccesstokens", "UserOAuthAccessToken", &["delete", "get", "list"]),
            ("oauthaccesstokens", "OAuthAccessToken", &["delete"]),
        ],
    },
    ApiGroup {
        name: "authentication.k8s.io",
        resources: &[
            ("tokenreviews", "TokenReview", &["create"]),
            ("selfsubjectreviews", "SelfSubjectReview", &["create"]),
        ],
    },
    ApiGroup {
        name: "authorization.k8s.io",
        resources: &[
            ("subjectaccessreviews", "SubjectAccessReview", &["create"]),
            ("selfsubjectaccessreviews", "SelfSubjectAccessReview", &["create"]),
        ],
    },
];
static ALL_GROUPS: &[ApiGroup] = &GROUPS;

/// The endpoint at `path` on `host`, if it is one of ours. `host` may have a port; `path` is percent-encoded.
pub(crate) fn find(config: &Config, host: &str, path: &str) -> Option<Endpoint> {
    if !is_among(host, &config.hosts) {
        return None;
    }
    let segments = segments(path)?;
    let segments: Vec<&str> = segments.iter().map(String::as_str).collect();
    let prefix: Vec<&str> = config.issuer.path().split('/').skip(1).collect();
    // An issuer with a path has its endpoints below it, and its metadata also at the inserted form (RFC 8414 section 3.1).
    let inner = segments.strip_prefix(prefix.as_slice()).unwrap_or(&segments);
    match inner {
        [".well-known", document, rest @ ..] if rest.is_empty() || rest == prefix => well_known(document),
        ["oauth", rest @ ..] if !rest.is_empty() => Some(oauth(rest)),
        ["apis", group, rest @ ..] if config.kubernetes_api == KubernetesApi::On => kubernetes(group, rest),
        ["login"] if config.openshift_paths == OpenShiftPaths::On => Some(Endpoint::Login(None)),
        ["login", provider] if config.openshift_paths == OpenShiftPaths::On => {
            Some(Endpoint::Login(Some((*provider).to_owned())))
        }
        ["logout"] if config.openshift_paths == OpenShiftPaths::On => Some(Endpoint::Logout),
        ["oauth2callback", provider] if config.openshift_paths == OpenShiftPaths::On => {
            Some(Endpoint::Callback((*provider).to_owned()))
        }
        _ => None,
    }
}

fn well_known(document: &str) -> Option<Endpoint> {
    match document {
        "oauth-authorization-server" => Some(Endpoint::AuthorizationServerMetadata),
        "openid-configuration" => Some(Endpoint::OpenIdConfiguration),
        _ => None,
    }
}

fn oauth(rest: &[&str]) -> Endpoint {
    match rest {
        ["jwks"] => Endpoint::Jwks,
        ["authorize"] => Endpoint::Authorize,
        ["authorize", "approve"] => Endpoint::Approve,
        ["login"] => Endpoint::Login(None),
        ["login", provider] => Endpoint::Login(Some((*provider).to_owned())),
        ["callback", provider] => Endpoint::Callback((*provider).to_owned()),
        ["logout"] => Endpoint::Logout,
        ["token"] => Endpoint::Token,
        ["revoke"] => Endpoint::Revoke,
        ["introspect"] => Endpoint::Introspect,
        ["userinfo"] => Endpoint::UserInfo,
        ["token", "request"] => Endpoint::TokenRequest,
        ["token", "display"] => Endpoint::TokenDisplay,
        ["token", "implicit"] => Endpoint::TokenImplicit,
        ["style.css"] => Endpoint::Style,
        _ => Endpoint::Nothing,
    }
}

fn kubernetes(group: &str, rest: &[&str]) -> Option<Endpoint> {
    use KubernetesResource as Resource;
    let group = ALL_GROUPS.iter().find(|known| known.name == group)?;
    let resource = match (group.name, rest) {
        (_, ["v1"]) => Resource::Group(group),
        ("user.openshift.io", ["v1", "users", "~"]) => Resource::OwnUser,
        ("oauth.openshift.io", ["v1", "useroauthaccesstokens"]) => Resource::OwnTokens,
        ("oauth.openshift.io", ["v1", "useroauthaccesstokens", name]) => Resource::OwnToken((*name).into()),
        ("oauth.openshift.io", ["v1", "oauthaccesstokens", name]) => Resource::Token((*name).into()),
        ("authentication.k8s.io", ["v1", "tokenreviews"]) => Resource::TokenReviews,
        ("authentication.k8s.io", ["v1", "selfsubjectreviews"]) => Resource::SelfSubjectReviews,
        ("authorization.k8s.io", ["v1", "subjectaccessreviews"]) => Resource::SubjectAccessReviews,
        ("authorization.k8s.io", ["v1", "selfsubjectaccessreviews"]) => Resource::SelfSubjectAccessReviews,
        _ => Resource::Nothing,
    };
    Some(Endpoint::Kubernetes(resource))
}

impl Endpoint {
    /// The methods that it answers; none: it is not there.
    pub(crate) fn methods(&self) -> &'static [Method] {
        use KubernetesResource as Resource;
        match self {
            Self::AuthorizationServerMetadata | Self::OpenIdConfiguration | Self::Jwks | Self::Style => {
                &[Method::GET, Method::HEAD]
            }
            Self::TokenRequest | Self::TokenImplicit => &[Method::GET],
            Self::Authorize
            | Self::Approve
            | Self::Login(_)
            | Self::Callback(_)
            | Self::Logout
            | Self::TokenDisplay => &[Method::GET, Method::POST],
            Self::UserInfo => &[Method::GET, Method::POST, Method::OPTIONS],
            Self::Token | Self::Revoke | Self::Introspect => &[Method::POST],
            Self::Kubernetes(resource) => match resource {
                Resource::OwnUser | Resource::OwnTokens | Resource::Group(_) => &[Method::GET],
                Resource::OwnToken(_) => &[Method::GET, Method::DELETE],
                Resource::Token(_) => &[Method::DELETE],
                Resource::TokenReviews
                | Resource::SelfSubjectReviews
                | Resource::SubjectAccessReviews
                | Resource::SelfSubjectAccessReviews => &[Method::POST],
                Resource::Nothing => &[],
            },
            Self::Nothing => &[],
        }
    }
}

/// The parts of a path, decoded. `None` if it is none that could be ours.
fn segments(path: &str) -> Option<Vec<String>> {
    let path = path.strip_prefix('/')?;
    let decode = |part: &str| percent_decode_str(part).decode_utf8().ok().map(std::borrow::Cow::into_owned);
    path.split('/').map(decode).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Issuer;

    fn found(config: &Config, host: &str, path: &str) -> String {
        find(config, host, path).map_or_else(|| "none".to_owned(), |endpoint| format!("{endpoint:?}"))
    }

    #[test]
    fn only_paths_of_the_reference_are_ours() {
        let plain = Config::new(Issuer::parse("https://auth.example.com").unwrap());
        let full = Config {
            kubernetes_api: KubernetesApi::On,
            openshift_paths: OpenShiftPaths::On,
            hosts: vec!["auth.example.com".to_owned(), "[::1]".to_owned()],
            ..plain.clone()
        };
        let inner = Config { issuer: Issuer::parse("https://example.com/a/b").unwrap(), ..plain.clone() };
        for (config, host, path, expected) in [
            (&plain, "any", "/oauth/token", "Token"),
            (&plain, "any", "/o%61uth/token", "Token"),
            (&plain, "any", "/oauth/token/", "Nothing"),
            (&plain, "any", "/oauth/other", "Nothing"),
            (&plain, "any", "/oauth//token", "Nothing"),
            (&plain, "any", "/oauth%2ftoken", "none"),
            (&plain, "any", "/oauth", "none"),
            (&plain, "any", "/oauth2/callback", "none"),
            (&plain, "any", "/OAUTH/token", "none"),
            (&plain, "any", "/oauth/login", "Login(None)"),
            (&plain, "any", "/oauth/login/local", "Login(Some(\"local\"))"),
            (&plain, "any", "/oauth/authorize/approve", "Approve"),
            (&plain, "any", "/.well-known/oauth-authorization-server", "AuthorizationServerMetadata"),
            (&plain, "any", "/.well-known/openid-configuration", "OpenIdConfiguration"),
            (&plain, "any", "/.well-known/openid-configuration/a", "none"),
            (&plain, "any", "/.well-known/security.txt", "none"),
            (&plain, "any", "/login", "none"),
            (&plain, "any", "/apis/user.openshift.io/v1/users/~", "none"),
            (&full, "other", "/oauth/token", "none"),
            (&full, "AUTH.example.com:8443", "/oauth/token", "Token"),
            (&full, "auth.example.com.", "/oauth/token", "Token"),
            (&full, "[::1]:80", "/oauth/token", "Token"),
            (&full, "[::1]", "/oauth/token", "Token"),
            (&full, "auth.example.com", "/login", "Login(None)"),
            (&full, "auth.example.com", "/oauth2callback/corp", "Callback(\"corp\")"),
            (&full, "auth.example.com", "/apis/user.openshift.io/v1/users/~", "Kubernetes(OwnUser)"),
            (&full, "auth.example.com", "/apis/user.openshift.io/v1/users/%7E", "Kubernetes(OwnUser)"),
            (&full, "auth.example.com", "/apis/user.openshift.io/v1/users/bob", "Kubernetes(Nothing)"),
            (
                &full,
                "auth.example.com",
                "/apis/oauth.openshift.io/v1/useroauthaccesstokens/sha256~x",
                "Kubernetes(OwnToken([secret]))",
            ),
            (&full, "auth.example.com", "/apis/apps/v1/deployments", "none"),
            (&full, "auth.example.com", "/apis", "none"),
            (&inner, "any", "/a/b/oauth/token", "Token"),
            (&inner, "any", "/oauth/token", "Token"),
            (&inner, "any", "/a/oauth/token", "none"),
            (&inner, "any", "/.well-known/oauth-authorization-server/a/b", "AuthorizationServerMetadata"),
            (&inner, "any", "/.well-known/oauth-authorization-server/a", "none"),
            (&inner, "any", "/a/b/.well-known/openid-configuration", "OpenIdConfiguration"),
        ] {
            assert_eq!(found(config, host, path), expected, "{host} {path}");
        }
    }
}
