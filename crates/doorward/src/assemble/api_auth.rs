//! API authentication: `apiAuth` of doorward.yaml, and the tokens of the built-in server.

use std::{sync::Arc, time::Duration};

use doorward_accounts::Accounts;
use doorward_authn::{
    chain::{Chain, Opaque},
    front_proxy::{FrontProxy, IdentityHeaders},
    token_review::{self, OnError, TokenReview},
    x509::ClientCa,
};
use doorward_net::{
    CertificatePem, ClientCertificates,
    tls::{Authorities, ClientIdentity},
};
use doorward_oidc::{CaFile, HttpConfig, Trust};
use doorward_options::{
    Options,
    structured::{
        Server,
        own::{self, Own},
    },
};
use doorward_server::api::{
    Anonymous, ApiAuth, ErrorFormat, IdentityForm, Impersonation, ImpersonationRule, OwnCredential, Targets,
};
use http::HeaderName;
use url::Url;

use super::{auth_server, auth_server::SignInAt, client_ca, gateway, problems::Problems};

/// The longest time for which answers of a token reviewer may be kept.
const LONGEST_CACHE: Duration = Duration::from_secs(10);

/// The configuration, checked; what belongs to the built-in server comes with [`Plan::ready`].
#[derive(Debug)]
pub(crate) struct Plan {
    front_proxy: Option<FrontProxy>,
    x509: Option<ClientCa>,
    review: Option<TokenReview>,
    anonymous: Anonymous,
    /// Where nobody has to say who they are.
    pub(crate) anonymous_paths: Vec<String>,
    impersonation: Impersonation,
    identity: IdentityForm,
    pub(crate) towards: Towards,
    errors: ErrorFormat,
    certificate_header: Option<HeaderName>,
}

/// Checks the configuration; `Some(None)` if there is neither `apiAuth` nor a server whose tokens have to be known.
#[expect(clippy::option_option, reason = "outer: did it work; inner: is there any")]
pub(crate) fn plan(
    own: Option<&Own>,
    server: Option<&auth_server::Plan>,
    problems: &mut Problems<'_>,
) -> Option<Option<Plan>> {
    let nothing = own::ApiAuth::default();
    let written = match (own.and_then(|own| own.api_auth.as_ref()), server) {
        (Some(written), _) => written,
        (None, Some(_)) => &nothing,
        (None, None) => return Some(None),
    };
    let before = problems.count();
    let x509 = written.x509.as_ref().map(|x509| {
        client_ca::read("apiAuth.x509", (x509.client_ca.as_str(), x509.crl_files.as_slice()), problems)
    });
    let front_proxy =
        written.request_header.as_ref().map(|proxy| front_proxy("apiAuth.requestHeader", proxy, problems));
    let review =
        written.token_review.as_ref().map(|review| token_review("apiAuth.tokenReview", review, problems));
    let (anonymous, anonymous_paths) = anonymous(&written.anonymous, problems);
    let impersonation = impersonation(&written.impersonation, problems);
    let identity = identity(written, problems);
    let towards = match &written.impersonate {
        Some(own) => towards(own, problems),
        None => Some(Towards::default()),
    };
    let errors = match written.error_format.as_str() {
        "" | "auto" => Some(ErrorFormat::Auto),
        "kubernetes" => Some(ErrorFormat::Kubernetes),
        _ => auth_server::unknown("apiAuth.errorFormat", "write auto or kubernetes", problems),
    };
    let certificate_header = Some(&written.trusted_client_certificate_header).filter(|name| !name.is_empty());
    let certificate_header =
        certificate_header.map(|name| header("apiAuth.trustedClientCertificateHeader", name, problems));
    if problems.count() > before {
        return None;
    }
    Some(Some(Plan {
        front_proxy: front_proxy.flatten(),
        x509: x509.flatten(),
        review: review.flatten(),
        anonymous,
        anonymous_paths,
        impersonation,
        identity: identity?,
        towards: towards?,
        errors: errors?,
        certificate_header: certificate_header.flatten(),
    }))
}

impl Plan {
    /// How applications are told who it is, unless a route says otherwise.
    pub(crate) const fn identity(&self) -> &IdentityForm {
        &self.identity
    }

    /// The setting of the server room. `accounts` are those of the built-in server, whose tokens count.
    pub(crate) fn ready(self, accounts: Option<&Arc<Accounts>>, at: SignInAt) -> Box<ApiAuth> {
        let opaque = accounts.map(|accounts| Opaque {
            accounts: Arc::clone(accounts),
            audiences: Vec::new(),
            gateway: None,
        });
        Box::new(ApiAuth {
            chain: Chain {
                front_proxy: self.front_proxy,
                x509: self.x509,
                opaque,
                review: self.review,
                naming: at.naming(),
            },
            anonymous: self.anonymous,
            impersonation: self.impersonation,
            identity: self.identity,
            errors: self.errors,
            certificate_header: self.certificate_header,
        })
    }
}

/// Whether clients are asked for certificates. If so, there has to be a way on which one can come. Only TLS brings that of
/// a front proxy; that of a client may also stand in a header of a trusted proxy.
pub(crate) fn client_certificates(
    (api, server, gateway): (Option<&Plan>, Option<&auth_server::Plan>, Option<&gateway::Plan>),
    listener: &Server,
    options: &Options,
    problems: &mut Problems<'_>,
) -> ClientCertificates {
    let has_header = api.is_some_and(|api| api.certificate_header.is_some());
    if has_header && !options.reverse_proxy {
        let message = "no proxy is trusted, so nobody looks at this header";
        let mend = "switch on --reverse-proxy, or take the header away";
        problems.add("apiAuth.trustedClientCertificateHeader", message, mend);
    }
    let of_proxy = api.and_then(|api| api.front_proxy.as_ref()).map(|_| "apiAuth.requestHeader");
    let of_proxy = of_proxy.or_else(|| server.and_then(auth_server::Plan::wants_proxy_certificates));
    let of_proxy = of_proxy.or_else(|| gateway.and_then(gateway::Plan::wants_proxy_certificates));
    let of_client = api.and_then(|api| api.x509.as_ref()).map(|_| "apiAuth.x509");
    let of_client = of_client.or_else(|| server.and_then(auth_server::Plan::wants_client_certificates));
    let of_client = of_client.or_else(|| gateway.and_then(gateway::Plan::wants_client_certificates));
    let is_secure = !matches!(listener.secure_bind_address.as_str(), "" | "-");
    let message = "client certificates come over TLS, and no listener speaks it";
    if let (Some(place), false) = (of_proxy, is_secure) {
        let mend = "give the program a certificate (--tls-cert-file and --tls-key-file)";
        problems.add(place, message, mend);
    }
    if let (Some(place), false) = (of_client, is_secure || has_header) {
        let mend = "give the program a certificate (--tls-cert-file and --tls-key-file), or name the header of a trusted \
                    proxy in apiAuth.trustedClientCertificateHeader";
        problems.add(place, message, mend);
    }
    if of_proxy.or(of_client).is_some() { ClientCertificates::Asked } else { ClientCertificates::NotAsked }
}

fn header(place: &str, name: &str, problems: &mut Problems<'_>) -> Option<HeaderName> {
    let parsed = HeaderName::from_bytes(name.as_bytes()).map_err(|_| format!("{name:?} is no header name"));
    problems.take(place, parsed, "write a header name")
}

/// Those that are written, or the usual ones.
fn headers(
    place: &str,
    written: &[String],
    usual: Vec<HeaderName>,
    problems: &mut Problems<'_>,
) -> Option<Vec<HeaderName>> {
    if written.is_empty() {
        return Some(usual);
    }
    let read: Vec<_> = written.iter().map(|name| header(place, name, problems)).collect();
    read.into_iter().collect()
}

/// A proxy in front that names the user, written at `place`.
pub(super) fn front_proxy(
    place: &str,
    written: &own::RequestHeader,
    problems: &mut Problems<'_>,
) -> Option<FrontProxy> {
    let of = |key: &str| format!("{place}.{key}");
    let ca = client_ca::read(place, (written.client_ca.as_str(), written.crl_files.as_slice()), problems);
    let usual = IdentityHeaders::default();
    let user = headers(&of("usernameHeaders"), &written.username_headers, usual.user, problems);
    let uid = headers(&of("uidHeaders"), &written.uid_headers, usual.uid, problems);
    let groups = headers(&of("groupHeaders"), &written.group_headers, usual.groups, problems);
    let mut extra_prefixes = usual.extra_prefixes;
    if !written.extra_header_prefixes.is_empty() {
        let ends = |prefix: &String| prefix.ends_with('-');
        if !written.extra_header_prefixes.iter().all(ends) {
            let mend = "write for example X-Remote-Extra-";
            problems.add(&of("extraHeaderPrefixes"), "a prefix ends with a dash", mend);
        }
        extra_prefixes = written.extra_header_prefixes.iter().map(|prefix| prefix.to_lowercase()).collect();
    }
    if written.allowed_names.is_empty() {
        problems.notice(format!(
            "Every certificate of {place}.clientCA may name any user. allowedNames restricts that to proxies."
        ));
    }
    let headers = IdentityHeaders { user: user?, uid: uid?, groups: groups?, extra_prefixes };
    Some(FrontProxy { ca: ca?, allowed_names: written.allowed_names.clone(), headers })
}

/// Somebody else who judges tokens, written at `place`.
pub(super) fn token_review(
    place: &str,
    written: &own::TokenReview,
    problems: &mut Problems<'_>,
) -> Option<TokenReview> {
    let place = |key: &str| format!("{place}.{key}");
    let url = Url::parse(&written.url).map_err(|error| format!("{:?}: {error}", written.url));
    let mend = "write https://…/apis/authentication.k8s.io/v1/tokenreviews";
    let url = problems.take(&place("url"), url, mend);
    let is_safe = |url: &Url| {
        let host = url.host_str().unwrap_or_default();
        url.scheme() == "https" || matches!(host, "127.0.0.1" | "[::1]" | "localhost")
    };
    if url.as_ref().is_some_and(|url| !is_safe(url)) {
        problems.add(&place("url"), "tokens would be sent in clear", "write an https address");
    }
    let token = match written.token_file.as_str() {
        "" => None,
        path => problems.read_secret_text(&place("tokenFile"), path, "name a file with our token there"),
    };
    let trust = if written.ca_file.is_empty() {
        Some(Trust::System)
    } else {
        let path = &written.ca_file;
        let pem = problems.read(path).map_err(|error| format!("the file {path:?} cannot be read: {error}"));
        let pem = problems.take(&place("caFile"), pem, "name a PEM file that the program may read");
        pem.map(|pem| Trust::Files(vec![CaFile { path: path.into(), pem }]))
    };
    let cache = written.cache_ttl.unwrap_or(LONGEST_CACHE);
    if cache > LONGEST_CACHE {
        let message = "what is revoked would count for longer than 10s";
        problems.add(&place("cacheTtl"), message, "write 10s or less");
    }
    let on_error = match written.on_error.as_str() {
        "" | "refuse" => Some(OnError::Refuse),
        "unavailable" => Some(OnError::Unavailable),
        _ => auth_server::unknown(&place("onError"), "write refuse or unavailable", problems),
    };
    let implicit = Some(written.implicit_audience.clone()).filter(|audience| !audience.is_empty());
    let config = token_review::Config {
        url: url?,
        token,
        http: HttpConfig { trust: trust?, ..HttpConfig::default() },
        audiences: written.audiences.clone(),
        implicit_audiences: implicit.into_iter().collect(),
        cache,
        on_error: on_error?,
    };
    problems.take(
        &place("caFile"),
        TokenReview::new(config),
        "name a PEM file with certificates of authorities",
    )
}

fn anonymous(written: &own::Anonymous, problems: &mut Problems<'_>) -> (Anonymous, Vec<String>) {
    match (written.enabled, &written.paths) {
        (false, None) => (Anonymous::OnNamedPaths, Vec::new()),
        (false, Some(_)) => {
            let message = "paths are named, and anonymous requests are off";
            problems.add("apiAuth.anonymous", message, "write enabled: true, or take the paths away");
            (Anonymous::OnNamedPaths, Vec::new())
        }
        (true, None) => (Anonymous::Everywhere, Vec::new()),
        (true, Some(paths)) => {
            for (index, path) in paths.iter().enumerate() {
                let place = format!("apiAuth.anonymous.paths[{index}]");
                let mend = "write a path such as /healthz, or /public/* for all below one";
                problems.take(&place, doorward_authz::parse_anonymous_path(path).map(drop), mend);
            }
            (Anonymous::OnNamedPaths, paths.clone())
        }
    }
}

fn impersonation(written: &own::Impersonation, problems: &mut Problems<'_>) -> Impersonation {
    if !written.enabled {
        if !written.rules.is_empty() {
            let message = "there are rules, and impersonation is off";
            problems.add("apiAuth.impersonation", message, "write enabled: true, or take the rules away");
        }
        return Impersonation::Off;
    }
    for (index, rule) in written.rules.iter().enumerate() {
        let place = format!("apiAuth.impersonation.rules[{index}]");
        if rule.users.is_empty() && rule.groups.is_empty() {
            problems.add(&place, "the rule is for nobody", "write users or groups");
        }
        if rule.may_be == own::ImpersonationTargets::default() {
            problems.add(&place, "the rule allows nothing", "write mayBe with users or groups");
        }
    }
    let rules = written.rules.iter().map(|rule| ImpersonationRule {
        users: rule.users.clone(),
        groups: rule.groups.clone(),
        may_be: Targets { users: rule.may_be.users.clone(), groups: rule.may_be.groups.clone() },
    });
    Impersonation::By(rules.collect())
}

/// How the connections to applications behind us begin.
#[derive(Debug, Default)]
pub(crate) struct Towards {
    /// What we show.
    pub(crate) identity: Option<ClientIdentity>,
    /// Who vouches for them, in place of the system's roots.
    pub(crate) authorities: Option<Authorities>,
}

fn towards(own: &own::Impersonate, problems: &mut Problems<'_>) -> Option<Towards> {
    let mut towards = Towards::default();
    let place = |key: &str| format!("apiAuth.impersonate.{key}");
    let mend = "name a PEM file that the program may read";
    match (own.cert_file.as_str(), own.key_file.as_str()) {
        ("", "") => {}
        (certificate, key) => {
            let chain = problems.read(certificate).map_err(|error| error.to_string());
            let chain = problems.take(&place("certFile"), chain, mend);
            let key = problems.read_secret(&place("keyFile"), key, mend);
            let (chain, key) = (chain?, key?);
            let pem = CertificatePem { chain: &chain, key: key.expose() };
            let mend = "give a certificate chain and its private key in PEM";
            towards.identity =
                Some(problems.take(&place("certFile"), ClientIdentity::from_pem(pem), mend)?);
        }
    }
    if !own.ca_file.is_empty() {
        let read = problems.read(&own.ca_file).map_err(|error| error.to_string());
        let bundle = problems.take(&place("caFile"), read, mend)?;
        towards.authorities = Some(problems.take(&place("caFile"), Authorities::from_pem(&bundle), mend)?);
    }
    Some(towards)
}

fn identity(written: &own::ApiAuth, problems: &mut Problems<'_>) -> Option<IdentityForm> {
    let credential = written.impersonate.as_ref();
    match (written.identity.as_str(), credential) {
        ("" | "forwarded", None) => Some(IdentityForm::Forwarded),
        ("x-remote", None) => Some(IdentityForm::XRemote),
        ("impersonate", Some(own)) => {
            let mend = "name a file with the token of a service account that may impersonate";
            let credential = match (own.token_file.as_str(), own.cert_file.as_str()) {
                ("", "") => {
                    let message = "missing setting: our own credential";
                    problems.add("apiAuth.impersonate", message, "write tokenFile, or certFile and keyFile");
                    return None;
                }
                (_, "") => {
                    let token =
                        problems.read_secret_text("apiAuth.impersonate.tokenFile", &own.token_file, mend)?;
                    OwnCredential::Token(token)
                }
                ("", _) => OwnCredential::Certificate,
                (_, _) => {
                    let message = "a token and a certificate of ours: which is used is the API's choice";
                    problems.add("apiAuth.impersonate", message, "write tokenFile, or certFile and keyFile");
                    return None;
                }
            };
            Some(IdentityForm::Impersonate { credential })
        }
        ("impersonate", None) => {
            let message = "a Kubernetes API believes this of nobody without a credential";
            problems.add(
                "apiAuth.identity",
                message,
                "write apiAuth.impersonate with our own tokenFile, or certFile and keyFile",
            );
            None
        }
        ("" | "forwarded" | "x-remote", Some(_)) => {
            let message = "our own credential is sent with identity: impersonate only";
            problems.add("apiAuth.impersonate", message, "take it away, or write identity: impersonate");
            None
        }
        _ => auth_server::unknown("apiAuth.identity", "write forwarded, x-remote or impersonate", problems),
    }
}
