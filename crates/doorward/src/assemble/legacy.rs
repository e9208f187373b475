//! The flat options of providers, upstreams, headers and listeners, turned into the structured form as oauth2-proxy
//! turns them (reference page alpha-config, "Legacy -> alpha conversion"). Everything after this knows one form only.

use doorward_options::{
    Options,
    structured::{
        Azure, Bitbucket, ClaimSource, ClientAuth, GitHub, GitLab, Google, Header, HeaderValue, Keycloak,
        LoginGov, LoginUrlParameter, MicrosoftEntraId, Oidc, Provider, SecretSource, Server, Structured, Tls,
        Upstream, UpstreamSet,
    },
};
use doorward_upstream::{Target, parse_legacy_uri};

use super::problems::Problems;

/// The structured form of the options. Only upstreams can be unreadable; what is wrong with a value that moves as it
/// is comes out where it is put to work.
pub(crate) fn structured(options: &Options, problems: &mut Problems<'_>) -> Structured {
    Structured {
        inject_request_headers: request_headers(options),
        inject_response_headers: response_headers(options),
        metrics_server: Server {
            bind_address: options.metrics_address.clone(),
            secure_bind_address: options.metrics_secure_address.clone(),
            tls: tls(options, &options.metrics_tls_cert_file, &options.metrics_tls_key_file),
        },
        providers: vec![provider(options, problems)],
        server: server(options),
        upstreams: UpstreamSet { proxy_raw_path: false, upstreams: upstreams(options, problems) },
    }
}

/// A certificate or key replaces the plain listener by the secure one.
fn server(options: &Options) -> Server {
    let tls = tls(options, &options.tls_cert_file, &options.tls_key_file);
    match tls {
        Some(_) => {
            Server { bind_address: String::new(), secure_bind_address: options.https_address.clone(), tls }
        }
        None => Server {
            bind_address: options.http_address.clone(),
            secure_bind_address: String::new(),
            tls: None,
        },
    }
}

fn tls(options: &Options, cert: &str, key: &str) -> Option<Tls> {
    let from_file = |path: &str| {
        let source = SecretSource { from_file: path.to_owned(), ..SecretSource::default() };
        (!path.is_empty()).then_some(source)
    };
    if cert.is_empty() && key.is_empty() {
        return None;
    }
    Some(Tls {
        cert: from_file(cert),
        key: from_file(key),
        min_version: options.tls_min_version.clone(),
        cipher_suites: options.tls_cipher_suites.clone(),
    })
}

const UPSTREAM_MEND: &str = "write http://host:port/path/, https://…, h2c://…, unix:///socket, file:///folder/#/path/ or static://200";

/// The global options of upstreams are given to each.
fn upstreams(options: &Options, problems: &mut Problems<'_>) -> Vec<Upstream> {
    let mut upstreams = Vec::new();
    for uri in &options.upstreams {
        let Some((path, id, target)) = problems.take("upstream", parse_legacy_uri(uri), UPSTREAM_MEND) else {
            continue;
        };
        let upstream = Upstream {
            id,
            path,
            uri: uri.clone(),
            insecure_skip_tls_verify: options.ssl_upstream_insecure_skip_verify,
            flush_interval: Some(options.flush_interval),
            pass_host_header: Some(options.pass_host_header),
            proxy_websockets: Some(options.proxy_websockets),
            timeout: Some(options.upstream_timeout),
            disable_keep_alives: options.disable_keep_alives,
            ..Upstream::default()
        };
        upstreams.push(match target {
            Target::Static { status } => Upstream {
                uri: String::new(),
                is_static: true,
                static_code: Some(status.as_u16().into()),
                ..upstream
            },
            Target::Files { .. } => Upstream {
                uri: uri.split_once('#').map_or(uri.as_str(), |(uri, _)| uri).to_owned(),
                ..upstream
            },
            Target::Http { .. } | Target::Unix { .. } => upstream,
        });
    }
    upstreams
}

fn request_headers(options: &Options) -> Vec<Header> {
    let mut headers = Vec::new();
    if options.pass_basic_auth && !options.basic_auth_password.expose().is_empty() {
        headers.push(basic(options));
    }
    if options.pass_basic_auth || options.pass_user_headers {
        headers.push(claim("X-Forwarded-Groups", "groups"));
        if options.prefer_email_to_user {
            headers.push(claim("X-Forwarded-User", "email"));
        } else {
            headers.push(claim("X-Forwarded-User", "user"));
            headers.push(claim("X-Forwarded-Email", "email"));
        }
        headers.push(claim("X-Forwarded-Preferred-Username", "preferred_username"));
    }
    if options.pass_access_token {
        headers.push(claim("X-Forwarded-Access-Token", "access_token"));
    }
    if options.pass_authorization_header {
        headers.push(bearer());
    }
    for header in &mut headers {
        header.preserve_request_value = !options.skip_auth_strip_headers;
    }
    headers
}

fn response_headers(options: &Options) -> Vec<Header> {
    let mut headers = Vec::new();
    if options.set_xauthrequest {
        headers.push(claim("X-Auth-Request-User", "user"));
        headers.push(claim("X-Auth-Request-Email", "email"));
        headers.push(claim("X-Auth-Request-Preferred-Username", "preferred_username"));
        headers.push(claim("X-Auth-Request-Groups", "groups"));
        if options.pass_access_token {
            headers.push(claim("X-Auth-Request-Access-Token", "access_token"));
        }
    }
    if options.set_basic_auth {
        headers.push(basic(options));
    }
    if options.set_authorization_header {
        headers.push(bearer());
    }
    headers
}

fn header(name: &str, source: ClaimSource) -> Header {
    let value = HeaderValue { claim_source: Some(source), secret_source: None };
    Header { name: name.to_owned(), values: vec![value], ..Header::default() }
}

fn claim(name: &str, claim: &str) -> Header {
    header(name, ClaimSource { claim: claim.to_owned(), ..ClaimSource::default() })
}

fn bearer() -> Header {
    let source =
        ClaimSource { claim: "id_token".to_owned(), prefix: "Bearer ".to_owned(), basic_auth_password: None };
    header("Authorization", source)
}

fn basic(options: &Options) -> Header {
    let claim = if options.prefer_email_to_user { "email" } else { "user" };
    let password = SecretSource { value: options.basic_auth_password.clone(), ..SecretSource::default() };
    let source = ClaimSource {
        claim: claim.to_owned(),
        prefix: "Basic ".to_owned(),
        basic_auth_password: Some(password),
    };
    header("Authorization", source)
}

/// Restrictions of all kinds of provider move along, so that one of another kind than the provider's is refused and
/// not forgotten.
fn provider(options: &Options, problems: &Problems<'_>) -> Provider {
    let name = options.provider_display_name.clone();
    let code_challenge_method = match options.code_challenge_method.as_str() {
        "" => options.force_code_challenge_method.clone(),
        method => method.to_owned(),
    };
    Provider {
        id: if name.is_empty() {
            format!("{}={}", options.provider, options.client_id)
        } else {
            name.clone()
        },
        provider: options.provider.clone(),
        name,
        client_id: options.client_id.clone(),
        client_secret: options.client_secret.clone(),
        client_secret_file: options.client_secret_file.clone(),
        ca_files: options.provider_ca_files.clone(),
        use_system_trust_store: options.use_system_trust_store,
        login_url: options.login_url.clone(),
        login_url_parameters: login_url_parameters(options),
        auth_request_response_mode: options.auth_request_response_mode.clone(),
        redeem_url: options.redeem_url.clone(),
        profile_url: options.profile_url.clone(),
        skip_claims_from_profile_url: options.skip_claims_from_profile_url,
        resource: options.resource.clone(),
        validate_url: options.validate_url.clone(),
        scope: options.scope.clone(),
        allowed_groups: options.allowed_groups.clone(),
        code_challenge_method,
        additional_claims: Vec::new(),
        backend_logout_url: options.backend_logout_url.clone(),
        client_auth: client_auth(options),
        pushed_authorization_requests: options.pushed_authorization_requests.then_some(true),
        dpop_key_file: options.dpop_key_file.clone(),
        required_acr: options.required_acr.clone(),
        max_auth_age: Some(options.max_auth_age).filter(|age| !age.is_zero()),
        oidc: oidc(options, problems),
        ..particular(options)
    }
}

fn client_auth(options: &Options) -> ClientAuth {
    let audience = options.client_assertion_audience.as_str();
    ClientAuth {
        method: options.client_auth_method.clone(),
        key_file: options.client_key_file.clone(),
        key_id: options.client_key_id.clone(),
        algorithm: options.client_key_algorithm.clone(),
        // What nobody asked for is not printed: oauth2-proxy knows nothing of it.
        audience: if audience == "token-endpoint" { String::new() } else { audience.to_owned() },
        assertion_file: options.client_assertion_file.clone(),
        cert_file: options.client_cert_file.clone(),
        cert_key_file: options.client_cert_key_file.clone(),
    }
}

fn oidc(options: &Options, problems: &Problems<'_>) -> Oidc {
    Oidc {
        issuer_url: options.oidc_issuer_url.clone(),
        insecure_allow_unverified_email: options.insecure_oidc_allow_unverified_email,
        insecure_skip_issuer_verification: options.insecure_oidc_skip_issuer_verification,
        insecure_skip_nonce: problems
            .is_set("insecure-oidc-skip-nonce")
            .then_some(options.insecure_oidc_skip_nonce),
        skip_discovery: options.skip_oidc_discovery,
        jwks_url: options.oidc_jwks_url.clone(),
        public_key_files: options.oidc_public_key_files.clone(),
        email_claim: options.oidc_email_claim.clone(),
        groups_claim: options.oidc_groups_claim.clone(),
        user_id_claim: options.user_id_claim.clone(),
        audience_claims: options.oidc_audience_claims.clone(),
        extra_audiences: options.oidc_extra_audiences.clone(),
        enabled_signing_algs: options.oidc_enabled_signing_algs.clone(),
    }
}

/// What concerns one kind of provider.
fn particular(options: &Options) -> Provider {
    Provider {
        keycloak: Keycloak { groups: options.keycloak_groups.clone(), roles: options.allowed_roles.clone() },
        azure: Azure {
            tenant: options.azure_tenant.clone(),
            graph_group_field: options.azure_graph_group_field.clone(),
        },
        microsoft_entra_id: MicrosoftEntraId {
            allowed_tenants: options.entra_id_allowed_tenants.clone(),
            federated_token_auth: options.entra_id_federated_token_auth,
        },
        bitbucket: Bitbucket {
            team: options.bitbucket_team.clone(),
            repository: options.bitbucket_repository.clone(),
        },
        github: GitHub {
            org: options.github_org.clone(),
            team: options.github_team.clone(),
            repo: options.github_repo.clone(),
            token: options.github_token.clone(),
            users: options.github_users.clone(),
        },
        gitlab: GitLab { group: options.gitlab_groups.clone(), projects: options.gitlab_projects.clone() },
        google: Google {
            group: options.google_groups.clone(),
            admin_email: options.google_admin_email.clone(),
            service_account_json: options.google_service_account_json.clone(),
            use_application_default_credentials: options.google_use_application_default_credentials,
            target_principal: options.google_target_principal.clone(),
            use_organization_id: options.google_use_organization_id,
            admin_api_user_scope: options.google_admin_api_user_scope.clone(),
        },
        login_gov: LoginGov {
            jwt_key: options.jwt_key.clone(),
            jwt_key_file: options.jwt_key_file.clone(),
            pubjwk_url: options.pubjwk_url.clone(),
        },
        ..Provider::default()
    }
}

fn login_url_parameters(options: &Options) -> Vec<LoginUrlParameter> {
    let fixed = |name: &str, value: &str| LoginUrlParameter {
        name: name.to_owned(),
        default: vec![value.to_owned()],
        allow: Vec::new(),
    };
    let mut parameters = Vec::new();
    if !options.acr_values.is_empty() {
        parameters.push(fixed("acr_values", &options.acr_values));
    }
    parameters.push(match (options.prompt.as_str(), options.approval_prompt.as_str()) {
        ("", "") => fixed("approval_prompt", "force"),
        ("", approval) => fixed("approval_prompt", approval),
        (prompt, _) => fixed("prompt", prompt),
    });
    parameters
}
