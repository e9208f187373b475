//! The structured configuration: upstreams, headers, listeners and providers as lists and records. A file in
//! oauth2-proxy's alpha form is read into it (reference page alpha-config); the flat options are turned into it by the
//! program, so that only one form is ever put to work. Values are read, not judged.

mod environment;
mod names;
pub mod native;
pub mod own;
pub(crate) mod print;
mod read;
pub(crate) mod schema;

use std::path::Path;
use std::time::Duration;

use doorward_core::SecretString;

use crate::problem::OptionError;
use crate::source::Places;

pub use names::path_of;
pub use read::Named;

/// What the structured file replaces.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Structured {
    pub inject_request_headers: Vec<Header>,
    pub inject_response_headers: Vec<Header>,
    pub metrics_server: Server,
    pub providers: Vec<Provider>,
    pub server: Server,
    pub upstreams: UpstreamSet,
}

/// `upstreamConfig`.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct UpstreamSet {
    pub proxy_raw_path: bool,
    pub upstreams: Vec<Upstream>,
}

/// Where some of the requests go.
#[expect(clippy::struct_excessive_bools, reason = "each is a switch of the file")]
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Upstream {
    pub id: String,
    /// The path served; a regular expression if there is a `rewrite_target`.
    pub path: String,
    /// Replaces what `path` matches.
    pub rewrite_target: String,
    pub uri: String,
    pub insecure_skip_tls_verify: bool,
    /// The upstream is a fixed answer.
    pub is_static: bool,
    pub static_code: Option<i64>,
    pub flush_interval: Option<Duration>,
    pub pass_host_header: Option<bool>,
    pub proxy_websockets: Option<bool>,
    pub timeout: Option<Duration>,
    pub disable_keep_alives: bool,
}

/// A header to set.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Header {
    pub name: String,
    /// Keep what the client sent under this name, and add to it.
    pub preserve_request_value: bool,
    /// Remove copies of the client under exactly this name only, not in other spellings.
    pub insecure_skip_header_normalization: bool,
    pub values: Vec<HeaderValue>,
}

/// One value of a header: exactly one of the two must be there.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct HeaderValue {
    pub secret_source: Option<SecretSource>,
    pub claim_source: Option<ClaimSource>,
}

/// A text, in one of three places: exactly one must be named.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct SecretSource {
    pub value: SecretString,
    pub from_env: String,
    pub from_file: String,
}

/// A claim of the session.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct ClaimSource {
    pub claim: String,
    pub prefix: String,
    /// Makes the value `Basic base64(claim:password)`.
    pub basic_auth_password: Option<SecretSource>,
}

/// Where to listen. An empty address or `-` switches a listener off.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Server {
    pub bind_address: String,
    pub secure_bind_address: String,
    pub tls: Option<Tls>,
}

/// Certificate and protocol of a secure listener.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Tls {
    pub cert: Option<SecretSource>,
    pub key: Option<SecretSource>,
    pub min_version: String,
    pub cipher_suites: Vec<String>,
}

/// An identity provider. Records for particular providers count for these only.
#[derive(Debug, Clone, PartialEq)]
pub struct Provider {
    pub client_id: String,
    pub client_secret: SecretString,
    pub client_secret_file: String,
    pub keycloak: Keycloak,
    pub azure: Azure,
    pub microsoft_entra_id: MicrosoftEntraId,
    pub adfs: Adfs,
    pub bitbucket: Bitbucket,
    pub github: GitHub,
    pub gitlab: GitLab,
    pub google: Google,
    pub oidc: Oidc,
    pub login_gov: LoginGov,
    pub id: String,
    /// What kind of provider it is.
    pub provider: String,
    pub name: String,
    pub ca_files: Vec<String>,
    pub use_system_trust_store: bool,
    pub login_url: String,
    pub login_url_parameters: Vec<LoginUrlParameter>,
    pub auth_request_response_mode: String,
    pub redeem_url: String,
    pub profile_url: String,
    pub skip_claims_from_profile_url: bool,
    pub resource: String,
    pub validate_url: String,
    pub scope: String,
    pub allowed_groups: Vec<String>,
    pub code_challenge_method: String,
    pub additional_claims: Vec<String>,
    pub backend_logout_url: String,
    /// This and what follows is not in oauth2-proxy, which takes no file that has a key for it.
    pub client_auth: ClientAuth,
    pub pushed_authorization_requests: Option<bool>,
    /// The key that tokens are bound to.
    pub dpop_key_file: String,
    /// The claim `acr` has to be one of these.
    pub required_acr: Vec<String>,
    /// How long ago people may have signed in at the provider.
    pub max_auth_age: Option<Duration>,
}

/// `clientAuth`: how we prove to the provider who we are, if not by showing the client secret.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct ClientAuth {
    /// As in the metadata of providers (`token_endpoint_auth_methods_supported`).
    pub method: String,
    /// The private key that signs assertions.
    pub key_file: String,
    /// How the provider calls that key.
    pub key_id: String,
    pub algorithm: String,
    /// For whom assertions are: `token-endpoint`, `issuer`, or as it stands.
    pub audience: String,
    /// An assertion that somebody else keeps fresh.
    pub assertion_file: String,
    /// The certificate that is shown to the provider.
    pub cert_file: String,
    pub cert_key_file: String,
}

impl Default for Provider {
    fn default() -> Self {
        Self {
            provider: "google".to_owned(),
            client_id: String::new(),
            client_secret: SecretString::default(),
            client_secret_file: String::new(),
            keycloak: Keycloak::default(),
            azure: Azure::default(),
            microsoft_entra_id: MicrosoftEntraId::default(),
            adfs: Adfs::default(),
            bitbucket: Bitbucket::default(),
            github: GitHub::default(),
            gitlab: GitLab::default(),
            google: Google::default(),
            oidc: Oidc::default(),
            login_gov: LoginGov::default(),
            id: String::new(),
            name: String::new(),
            ca_files: Vec::new(),
            use_system_trust_store: false,
            login_url: String::new(),
            login_url_parameters: Vec::new(),
            auth_request_response_mode: String::new(),
            redeem_url: String::new(),
            profile_url: String::new(),
            skip_claims_from_profile_url: false,
            resource: String::new(),
            validate_url: String::new(),
            scope: String::new(),
            allowed_groups: Vec::new(),
            code_challenge_method: String::new(),
            additional_claims: Vec::new(),
            backend_logout_url: String::new(),
            client_auth: ClientAuth::default(),
            pushed_authorization_requests: None,
            dpop_key_file: String::new(),
            required_acr: Vec::new(),
            max_auth_age: None,
        }
    }
}

/// A parameter of the login request: its values unless the caller of `start` gives allowed ones.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct LoginUrlParameter {
    pub name: String,
    pub default: Vec<String>,
    pub allow: Vec<AllowRule>,
}

/// A value that callers may give: exactly one of the two must be there.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct AllowRule {
    pub value: Option<String>,
    /// A regular expression that the value must match somewhere.
    pub pattern: Option<String>,
}

/// `keycloakConfig`.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Keycloak {
    pub groups: Vec<String>,
    pub roles: Vec<String>,
}

/// `azureConfig`.
#[derive(Debug, Clone, PartialEq)]
pub struct Azure {
    pub tenant: String,
    pub graph_group_field: String,
}

impl Default for Azure {
    fn default() -> Self {
        Self { tenant: "common".to_owned(), graph_group_field: String::new() }
    }
}

/// `microsoftEntraIDConfig`.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct MicrosoftEntraId {
    pub allowed_tenants: Vec<String>,
    pub federated_token_auth: bool,
}

/// `ADFSConfig`.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Adfs {
    pub skip_scope: bool,
}

/// `bitbucketConfig`.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Bitbucket {
    pub team: String,
    pub repository: String,
}

/// `githubConfig`.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct GitHub {
    pub org: String,
    pub team: String,
    pub repo: String,
    pub token: SecretString,
    pub users: Vec<String>,
}

/// `gitlabConfig`.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct GitLab {
    pub group: Vec<String>,
    pub projects: Vec<String>,
}

/// `googleConfig`.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Google {
    pub group: Vec<String>,
    pub admin_email: String,
    pub service_account_json: String,
    pub use_application_default_credentials: bool,
    pub target_principal: String,
    pub use_organization_id: bool,
    pub admin_api_user_scope: String,
}

/// `oidcConfig`.
#[expect(clippy::struct_excessive_bools, reason = "each is a switch of the file")]
#[derive(Debug, Clone, PartialEq)]
pub struct Oidc {
    pub issuer_url: String,
    pub insecure_allow_unverified_email: bool,
    pub insecure_skip_issuer_verification: bool,
    /// Nobody having said anything is not the same as `true`, although that is the documented default.
    pub insecure_skip_nonce: Option<bool>,
    pub skip_discovery: bool,
    pub jwks_url: String,
    pub public_key_files: Vec<String>,
    pub email_claim: String,
    pub groups_claim: String,
    pub user_id_claim: String,
    pub audience_claims: Vec<String>,
    pub extra_audiences: Vec<String>,
    pub enabled_signing_algs: Vec<String>,
}

impl Default for Oidc {
    fn default() -> Self {
        Self {
            email_claim: "email".to_owned(),
            groups_claim: "groups".to_owned(),
            user_id_claim: "email".to_owned(),
            audience_claims: vec!["aud".to_owned()],
            issuer_url: String::new(),
            insecure_allow_unverified_email: false,
            insecure_skip_issuer_verification: false,
            insecure_skip_nonce: None,
            skip_discovery: false,
            jwks_url: String::new(),
            public_key_files: Vec::new(),
            extra_audiences: Vec::new(),
            enabled_signing_algs: Vec::new(),
        }
    }
}

/// `loginGovConfig`.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct LoginGov {
    pub jwt_key: SecretString,
    pub jwt_key_file: String,
    pub pubjwk_url: String,
}

impl Structured {
    /// The configuration as a YAML file that this program and oauth2-proxy read. It holds the secrets in clear.
    pub fn to_yaml(&self) -> String {
        print::yaml(self)
    }

    /// Reads `text`, the content of the YAML file `path`, after replacing references to the environment. Problems
    /// are added to `errors`.
    pub(crate) fn parse(
        path: &Path,
        text: &str,
        env: &dyn Fn(&str) -> Option<String>,
        errors: &mut Vec<OptionError>,
    ) -> (Self, Places) {
        let text = environment::substitute(text, env);
        read::read(read::Document { path, option: "alpha-config", text }, errors)
    }
}

/// Writes down once, for reading and for printing, under which key each field of a record stands.
macro_rules! records {
    ($($record:ident {$($field:ident: $key:literal,)*})*) => {$(
        impl read::Readable for $record {
            fn read(&mut self, node: &crate::yaml::Node, reader: &mut read::Reader<'_>) {
                let Some(mut mapping) = reader.mapping(node) else { return };
                $(mapping.field($key, &mut self.$field, reader);)*
                mapping.finish(reader);
            }
        }

        impl schema::Described for $record {
            fn schema() -> serde_json::Value {
                schema::record([$(($key, schema::of_field(|record: &$record| &record.$field))),*])
            }
        }

        impl print::Printable for $record {
            fn print(&self) -> print::Printed {
                print::mapping(vec![$(($key, print::Printable::print(&self.$field)),)*])
            }
        }
    )*};
}

// In the order of oauth2-proxy's own conversion.
records! {
    Structured {
        inject_request_headers: "injectRequestHeaders",
        inject_response_headers: "injectResponseHeaders",
        metrics_server: "metricsServer",
        providers: "providers",
        server: "server",
        upstreams: "upstreamConfig",
    }
    UpstreamSet {
        proxy_raw_path: "proxyRawPath",
        upstreams: "upstreams",
    }
    Upstream {
        id: "id",
        path: "path",
        rewrite_target: "rewriteTarget",
        uri: "uri",
        insecure_skip_tls_verify: "insecureSkipTLSVerify",
        is_static: "static",
        static_code: "staticCode",
        flush_interval: "flushInterval",
        pass_host_header: "passHostHeader",
        proxy_websockets: "proxyWebSockets",
        timeout: "timeout",
        disable_keep_alives: "disableKeepAlives",
    }
    Header {
        name: "name",
        preserve_request_value: "preserveRequestValue",
        insecure_skip_header_normalization: "InsecureSkipHeaderNormalization",
        values: "values",
    }
    HeaderValue {
        secret_source: "secretSource",
        claim_source: "claimSource",
    }
    SecretSource {
        value: "value",
        from_env: "fromEnv",
        from_file: "fromFile",
    }
    ClaimSource {
        claim: "claim",
        prefix: "prefix",
        basic_auth_password: "basicAuthPassword",
    }
    Server {
        bind_address: "bindAddress",
        secure_bind_address: "secureBindAddress",
        tls: "tls",
    }
    Tls {
        cert: "cert",
        key: "key",
        min_version: "minVersion",
        cipher_suites: "cipherSuites",
    }
    Provider {
        client_id: "clientID",
        client_secret: "clientSecret",
        client_secret_file: "clientSecretFile",
        keycloak: "keycloakConfig",
        azure: "azureConfig",
        microsoft_entra_id: "microsoftEntraIDConfig",
        adfs: "ADFSConfig",
        bitbucket: "bitbucketConfig",
        github: "githubConfig",
        gitlab: "gitlabConfig",
        google: "googleConfig",
        oidc: "oidcConfig",
        login_gov: "loginGovConfig",
        id: "id",
        provider: "provider",
        name: "name",
        ca_files: "caFiles",
        use_system_trust_store: "useSystemTrustStore",
        login_url: "loginURL",
        login_url_parameters: "loginURLParameters",
        auth_request_response_mode: "authRequestResponseMode",
        redeem_url: "redeemURL",
        profile_url: "profileURL",
        skip_claims_from_profile_url: "skipClaimsFromProfileURL",
        resource: "resource",
        validate_url: "validateURL",
        scope: "scope",
        allowed_groups: "allowedGroups",
        code_challenge_method: "code_challenge_method",
        additional_claims: "additionalClaims",
        backend_logout_url: "backendLogoutURL",
        client_auth: "clientAuth",
        pushed_authorization_requests: "pushedAuthorizationRequests",
        dpop_key_file: "dpopKeyFile",
        required_acr: "requiredACR",
        max_auth_age: "maxAuthAge",
    }
    ClientAuth {
        method: "method",
        key_file: "keyFile",
        key_id: "keyID",
        algorithm: "algorithm",
        audience: "audience",
        assertion_file: "assertionFile",
        cert_file: "certFile",
        cert_key_file: "certKeyFile",
    }
    LoginUrlParameter {
        name: "name",
        default: "default",
        allow: "allow",
    }
    AllowRule {
        value: "value",
        pattern: "pattern",
    }
    Keycloak {
        groups: "groups",
        roles: "roles",
    }
    Azure {
        tenant: "tenant",
        graph_group_field: "graphGroupField",
    }
    MicrosoftEntraId {
        allowed_tenants: "allowedTenants",
        federated_token_auth: "federatedTokenAuth",
    }
    Adfs {
        skip_scope: "skipScope",
    }
    Bitbucket {
        team: "team",
        repository: "repository",
    }
    GitHub {
        org: "org",
        team: "team",
        repo: "repo",
        token: "token",
        users: "users",
    }
    GitLab {
        group: "group",
        projects: "projects",
    }
    Google {
        group: "group",
        admin_email: "adminEmail",
        service_account_json: "serviceAccountJson",
        use_application_default_credentials: "useApplicationDefaultCredentials",
        target_principal: "targetPrincipal",
        use_organization_id: "useOrganizationID",
        admin_api_user_scope: "adminAPIUserScope",
    }
    Oidc {
        issuer_url: "issuerURL",
        insecure_allow_unverified_email: "insecureAllowUnverifiedEmail",
        insecure_skip_issuer_verification: "insecureSkipIssuerVerification",
        insecure_skip_nonce: "insecureSkipNonce",
        skip_discovery: "skipDiscovery",
        jwks_url: "jwksURL",
        public_key_files: "publicKeyFiles",
        email_claim: "emailClaim",
        groups_claim: "groupsClaim",
        user_id_claim: "userIDClaim",
        audience_claims: "audienceClaims",
        extra_audiences: "extraAudiences",
        enabled_signing_algs: "enabledSigningAlgs",
    }
    LoginGov {
        jwt_key: "jwtKey",
        jwt_key_file: "jwtKeyFile",
        pubjwk_url: "pubjwkURL",
    }
}

#[cfg(test)]
mod tests;
