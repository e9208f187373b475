//! The one table of options: each item below makes both a row of [`OPTIONS`] and a field of [`Options`].
//! Names are written out, never computed, so that a search for any spelling ends here.

use std::time::Duration;

use doorward_core::{Secret, SecretString};

use crate::structured::print::{Printable as _, Printed};
use crate::value::{self, Unreadable, Value, Written};

/// One option as users know it.
#[derive(Debug)]
pub struct OptionDef {
    /// Name on the command line, without the two dashes.
    pub flag: &'static str,
    /// Environment variable. `None` for options that exist on the command line only.
    pub env: Option<&'static str>,
    /// Key in the TOML file; also the name of the field in [`Options`]. `None` as for `env`.
    pub key: Option<&'static str>,
    /// Older names that are still read.
    pub former: Option<Former>,
    /// How the text of a value is read.
    pub kind: Kind,
    /// The value when nobody sets one, in the syntax of an environment variable.
    pub default: &'static str,
    /// What the option is for, in a sentence or two.
    pub help: &'static str,
    /// Heading in `--help` and in the reference page.
    pub group: Group,
    /// Whether the option may stand beside an alpha configuration.
    pub scope: Scope,
    /// For deprecated options: what to do instead.
    pub deprecated: Option<&'static str>,
    /// Whether the program honours the option yet.
    pub support: Support,
}

/// Older environment and file names of an option. In one layer the older name wins, as in oauth2-proxy.
#[derive(Debug)]
pub struct Former {
    /// Environment variable.
    pub env: &'static str,
    /// Key in the TOML file.
    pub key: &'static str,
}

/// How the text of a value is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// True or false; as a flag it stands alone or with `=value`.
    Bool,
    /// True or false; as a flag it always needs a value.
    BoolWord,
    /// A whole number.
    Int,
    /// A duration in Go syntax, not negative.
    Duration,
    /// A duration in Go syntax; every negative one means zero.
    Interval,
    /// Any text.
    Text,
    /// Any text, never shown.
    Secret,
    /// A list of texts.
    List,
    /// A list of texts, never shown.
    SecretList,
}

/// Whether the program honours an option yet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Support {
    /// It does.
    Implemented,
    /// It does not: setting the option to anything but its default stops the start.
    Later,
}

/// Whether an option may stand beside an alpha configuration (reference page alpha-config).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scope {
    /// It may.
    Core,
    /// The alpha configuration has a field of its own for it.
    Legacy,
}

/// What an option is for: the headings of `--help` and of the reference page.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Group {
    /// The program itself.
    Program,
    /// Own addresses.
    Listeners,
    /// Proxies in front.
    Hops,
    /// The identity provider.
    Provider,
    /// The login request and what follows it.
    Login,
    /// Discovery and id tokens.
    OpenIdConnect,
    /// Options of particular providers.
    Particular,
    /// Who is admitted.
    Access,
    /// Requests without a login in the browser.
    Open,
    /// Cookies.
    Cookies,
    /// Kept sessions.
    Sessions,
    /// Where requests go.
    Upstreams,
    /// Headers that tell the user.
    Headers,
    /// Own pages.
    Pages,
    /// Log lines.
    Logging,
    /// Probes.
    Health,
    /// What differs from oauth2-proxy.
    Compatibility,
}

impl Group {
    /// The heading.
    pub const fn title(self) -> &'static str {
        match self {
            Self::Program => "The program",
            Self::Listeners => "Listening addresses",
            Self::Hops => "Proxies in front",
            Self::Provider => "Identity provider",
            Self::Login => "Login",
            Self::OpenIdConnect => "OpenID Connect",
            Self::Particular => "Particular providers",
            Self::Access => "Who is admitted",
            Self::Open => "Requests without a login page",
            Self::Cookies => "Cookies",
            Self::Sessions => "Sessions",
            Self::Upstreams => "Upstreams",
            Self::Headers => "Headers that tell the user",
            Self::Pages => "Pages",
            Self::Logging => "Logging",
            Self::Health => "Health checks",
            Self::Compatibility => "Compatibility",
        }
    }
}

/// The Rust type of each [`Kind`].
macro_rules! rust_type {
    (Bool) => { bool };
    (BoolWord) => { bool };
    (Int) => { i64 };
    (Duration) => { Duration };
    (Interval) => { Duration };
    (Text) => { String };
    (Secret) => { SecretString };
    (List) => { Vec<String> };
    (SecretList) => { Secret<Vec<String>> };
}

macro_rules! optional {
    () => {
        None
    };
    ($some:expr) => {
        Some($some)
    };
}

/// Makes `OPTIONS`, `Options` and `assign` from the items below. An item reads:
/// help; `field: Kind = "default",` flag, variable, scope, support, and where it applies `deprecated` and
/// `former` names. The items under `meta` exist on the command line only and have no field.
macro_rules! options {
    (
        meta $meta_group:ident {$(
            $(#[doc = $meta_help:literal])+
            $meta_flag:literal: $meta_kind:ident = $meta_default:literal, $meta_support:ident;
        )*}
        $($group:ident {$(
            $(#[doc = $help:literal])+
            $field:ident: $kind:ident = $default:literal,
                $flag:literal, $env:literal, $scope:ident, $support:ident
                $(, deprecated $note:literal)?
                $(, former $former_env:literal $former_key:literal)?;
        )*})*
    ) => {
        /// Every option, ordered by group.
        pub static OPTIONS: &[OptionDef] = &[
            $(OptionDef {
                flag: $meta_flag,
                env: None,
                key: None,
                former: None,
                kind: Kind::$meta_kind,
                default: $meta_default,
                help: concat!($($meta_help),+).trim_ascii(),
                group: Group::$meta_group,
                scope: Scope::Core,
                deprecated: None,
                support: Support::$meta_support,
            },)*
            $($(OptionDef {
                flag: $flag,
                env: Some($env),
                key: Some(stringify!($field)),
                former: optional!($(Former { env: $former_env, key: $former_key })?),
                kind: Kind::$kind,
                default: $default,
                help: concat!($($help),+).trim_ascii(),
                group: Group::$group,
                scope: Scope::$scope,
                deprecated: optional!($($note)?),
                support: Support::$support,
            },)*)*
        ];

        /// The value of every option, each under its TOML key. Read, not yet judged: a text may still be no URL.
        #[expect(clippy::doc_markdown, reason = "the sentences are printed as plain text by --help")]
        #[derive(Debug, Clone, PartialEq, Eq)]
        pub struct Options {
            $($($(#[doc = $help])+ pub $field: rust_type!($kind),)*)*
        }

        impl Options {
            /// The options when nobody sets any.
            pub fn defaults() -> Self {
                Self { $($($field: value::default_of(Kind::$kind, $default),)*)* }
            }
        }

        /// Reads `written` into the field of `def`. The field must still hold its default.
        pub(crate) fn assign(options: &mut Options, def: &OptionDef, written: &Written<'_>) -> Result<(), Unreadable> {
            match def.flag {
                $($($flag => put(&mut options.$field, def, written),)*)*
                // The remaining options have no field; their values are read where they are used.
                _ => Ok(()),
            }
        }

        /// The value of `def` as YAML has it.
        pub(crate) fn printed(options: &Options, def: &OptionDef) -> Printed {
            match def.flag {
                $($($flag => options.$field.print(),)*)*
                _ => Printed::Nothing,
            }
        }
    };
}

fn put<T: Value + PartialEq>(
    field: &mut T,
    def: &OptionDef,
    written: &Written<'_>,
) -> Result<(), Unreadable> {
    let value = T::read(def.kind, written)?;
    if def.support == Support::Later && value != *field {
        return Err(Unreadable::not_implemented());
    }
    *field = value;
    Ok(())
}

/// The option with this flag (with or without dashes), TOML key or former key.
pub(crate) fn find(name: &str) -> Option<&'static OptionDef> {
    let bare = name.strip_prefix("--").unwrap_or(name);
    OPTIONS.iter().find(|def| {
        def.flag == bare
            || def.key == Some(bare)
            || def.former.as_ref().is_some_and(|former| former.key == bare)
    })
}

/// The option somebody probably meant by `name`: the same words with other separators, case or number.
pub(crate) fn resembling(name: &str) -> Option<&'static OptionDef> {
    let sought = words(name);
    OPTIONS.iter().find(|def| {
        let key = def.key.map(words);
        words(def.flag) == sought || key.as_ref() == Some(&sought)
    })
}

fn words(name: &str) -> String {
    name.trim_start_matches("oauth2_proxy_").to_ascii_lowercase().replace('_', "-")
}

#[rustfmt::skip]
options! {
    meta Program {
        /// Path of a TOML file to read options from.
        "config": Text = "", Implemented;
        /// Path of a structured YAML file that replaces the provider, upstream, header and listener
        /// options.
        "alpha-config": Text = "", Implemented;
        /// Load and check the configuration, say whether it is valid, and stop.
        "config-test": Bool = "false", Implemented;
        /// Print the configuration in the structured YAML form and stop.
        "convert-config-to-alpha": Bool = "false", Implemented;
        /// Print the name and version of the program and stop.
        "version": Bool = "false", Implemented;
    }

    Program {
        /// Path of a YAML file for what oauth2-proxy has no options for: the built-in OAuth server, API
        /// authentication and routes. It may hold the other options too, or stand beside them in any form.
        doorward_config: Text = "",
            "doorward-config", "OAUTH2_PROXY_DOORWARD_CONFIG", Core, Implemented;
    }

    Listeners {
        /// Address for plain HTTP: host:port, unix:///path (optionally ,mode=0660) or fd:N. "-" or nothing
        /// switches it off.
        http_address: Text = "127.0.0.1:4180",
            "http-address", "OAUTH2_PROXY_HTTP_ADDRESS", Legacy, Implemented;
        /// Address for HTTPS. It takes effect once a certificate or key is given, and then replaces the
        /// plain HTTP address.
        https_address: Text = ":443",
            "https-address", "OAUTH2_PROXY_HTTPS_ADDRESS", Legacy, Implemented;
        /// Address on which Envoy asks whether requests may pass (ext_authz, over gRPC and HTTP). Nothing means
        /// off. Only Envoy should reach it.
        ext_authz_address: Text = "",
            "ext-authz-address", "OAUTH2_PROXY_EXT_AUTHZ_ADDRESS", Core, Implemented;
        /// Send plain HTTP requests to the same URL under https.
        force_https: Bool = "false",
            "force-https", "OAUTH2_PROXY_FORCE_HTTPS", Core, Implemented;
        /// PEM file with the certificate chain of the HTTPS address.
        tls_cert_file: Text = "",
            "tls-cert-file", "OAUTH2_PROXY_TLS_CERT_FILE", Legacy, Implemented;
        /// PEM file with the private key of the HTTPS address.
        tls_key_file: Text = "",
            "tls-key-file", "OAUTH2_PROXY_TLS_KEY_FILE", Legacy, Implemented;
        /// Oldest TLS version offered to clients: TLS1.2 or TLS1.3.
        tls_min_version: Text = "",
            "tls-min-version", "OAUTH2_PROXY_TLS_MIN_VERSION", Legacy, Implemented;
        /// TLS 1.2 cipher suites offered to clients, by their IANA names.
        tls_cipher_suites: List = "",
            "tls-cipher-suite", "OAUTH2_PROXY_TLS_CIPHER_SUITES", Legacy, Implemented;
        /// Address that serves metrics over plain HTTP. Nothing means off.
        metrics_address: Text = "",
            "metrics-address", "OAUTH2_PROXY_METRICS_ADDRESS", Legacy, Implemented;
        /// Address that serves metrics over HTTPS. Nothing means off.
        metrics_secure_address: Text = "",
            "metrics-secure-address", "OAUTH2_PROXY_METRICS_SECURE_ADDRESS", Legacy, Implemented;
        /// PEM file with the certificate chain of the metrics address.
        metrics_tls_cert_file: Text = "",
            "metrics-tls-cert-file", "OAUTH2_PROXY_METRICS_TLS_CERT_FILE", Legacy, Implemented;
        /// PEM file with the private key of the metrics address.
        metrics_tls_key_file: Text = "",
            "metrics-tls-key-file", "OAUTH2_PROXY_METRICS_TLS_KEY_FILE", Legacy, Implemented;
        /// How long requests under way may go on when the program is asked to stop. 0 means as long as they
        /// want.
        shutdown_timeout: Duration = "30s",
            "shutdown-timeout", "OAUTH2_PROXY_SHUTDOWN_TIMEOUT", Core, Implemented;
    }

    Hops {
        /// Another proxy stands in front: believe its X-Forwarded-* headers and its client address header.
        reverse_proxy: Bool = "false",
            "reverse-proxy", "OAUTH2_PROXY_REVERSE_PROXY", Core, Implemented;
        /// Header in which the proxy in front reports the client address: X-Forwarded-For, X-Real-IP,
        /// X-ProxyUser-IP, X-Envoy-External-Address or CF-Connecting-IP.
        real_client_ip_header: Text = "X-Real-IP",
            "real-client-ip-header", "OAUTH2_PROXY_REAL_CLIENT_IP_HEADER", Core, Implemented;
        /// Addresses or networks of the proxies in front. Forwarding headers of other peers are not
        /// believed. Nothing means this machine and private networks.
        trusted_proxy_ips: List = "",
            "trusted-proxy-ip", "OAUTH2_PROXY_TRUSTED_PROXY_IPS", Core, Implemented;
        /// Let a semicolon separate query parameters, as an ampersand does.
        allow_query_semicolons: Bool = "false",
            "allow-query-semicolons", "OAUTH2_PROXY_ALLOW_QUERY_SEMICOLONS", Core, Implemented;
        /// Header from which the id of a request is taken. Without it a random id is made.
        request_id_header: Text = "X-Request-Id",
            "request-id-header", "OAUTH2_PROXY_REQUEST_ID_HEADER", Core, Implemented;
    }

    Provider {
        /// Kind of the identity provider.
        provider: Text = "google",
            "provider", "OAUTH2_PROXY_PROVIDER", Legacy, Implemented;
        /// Client id given by the provider.
        client_id: Text = "",
            "client-id", "OAUTH2_PROXY_CLIENT_ID", Legacy, Implemented;
        /// Client secret given by the provider.
        client_secret: Secret = "",
            "client-secret", "OAUTH2_PROXY_CLIENT_SECRET", Legacy, Implemented;
        /// File that holds the client secret. Used when client-secret is empty.
        client_secret_file: Text = "",
            "client-secret-file", "OAUTH2_PROXY_CLIENT_SECRET_FILE", Legacy, Implemented;
        /// How to prove to the provider who we are: client_secret_basic, client_secret_post, client_secret_jwt,
        /// private_key_jwt, tls_client_auth, self_signed_tls_client_auth or none. Nothing means the client secret, shown as
        /// the provider prefers. Not in oauth2-proxy.
        client_auth_method: Text = "",
            "client-auth-method", "OAUTH2_PROXY_CLIENT_AUTH_METHOD", Legacy, Implemented;
        /// Private key for private_key_jwt, as PEM or JWK: RSA, P-256 or Ed25519. Not in oauth2-proxy.
        client_key_file: Text = "",
            "client-key-file", "OAUTH2_PROXY_CLIENT_KEY_FILE", Legacy, Implemented;
        /// How the provider calls that key (kid), if it has to be told. Not in oauth2-proxy.
        client_key_id: Text = "",
            "client-key-id", "OAUTH2_PROXY_CLIENT_KEY_ID", Legacy, Implemented;
        /// Algorithm of that key, if it is not the usual one of its kind: PS256 for RSA. Not in oauth2-proxy.
        client_key_algorithm: Text = "",
            "client-key-algorithm", "OAUTH2_PROXY_CLIENT_KEY_ALGORITHM", Legacy, Implemented;
        /// For whom signed assertions are: token-endpoint, issuer, or any other text as it stands. Not in oauth2-proxy.
        client_assertion_audience: Text = "token-endpoint",
            "client-assertion-audience", "OAUTH2_PROXY_CLIENT_ASSERTION_AUDIENCE", Legacy, Implemented;
        /// File with an assertion that a platform keeps fresh, in place of client-key-file. It is read for every request.
        /// Not in oauth2-proxy.
        client_assertion_file: Text = "",
            "client-assertion-file", "OAUTH2_PROXY_CLIENT_ASSERTION_FILE", Legacy, Implemented;
        /// PEM file with the certificate, and those that lead to its authority, that is shown to the provider. Not in
        /// oauth2-proxy.
        client_cert_file: Text = "",
            "client-cert-file", "OAUTH2_PROXY_CLIENT_CERT_FILE", Legacy, Implemented;
        /// PEM file with the private key of that certificate. Not in oauth2-proxy.
        client_cert_key_file: Text = "",
            "client-cert-key-file", "OAUTH2_PROXY_CLIENT_CERT_KEY_FILE", Legacy, Implemented;
        /// Tell the provider what a login asks for before the browser goes there (RFC 9126). Where the provider demands it,
        /// that is done anyway. Not in oauth2-proxy.
        pushed_authorization_requests: Bool = "false",
            "pushed-authorization-requests", "OAUTH2_PROXY_PUSHED_AUTHORIZATION_REQUESTS", Legacy, Implemented;
        /// Private key, as PEM or JWK, that all tokens of the provider are bound to (DPoP, RFC 9449). Not in oauth2-proxy.
        dpop_key_file: Text = "",
            "dpop-key-file", "OAUTH2_PROXY_DPOP_KEY_FILE", Legacy, Implemented;
        /// Name of the provider on the login page.
        provider_display_name: Text = "",
            "provider-display-name", "OAUTH2_PROXY_PROVIDER_DISPLAY_NAME", Legacy, Implemented;
        /// PEM files with the authorities accepted for connections to the provider, instead of those of the
        /// system.
        provider_ca_files: List = "",
            "provider-ca-file", "OAUTH2_PROXY_PROVIDER_CA_FILES", Legacy, Implemented;
        /// Accept the authorities of the system beside those of provider-ca-file.
        use_system_trust_store: Bool = "false",
            "use-system-trust-store", "OAUTH2_PROXY_USE_SYSTEM_TRUST_STORE", Legacy, Implemented;
        /// Do not check the certificate of the provider. Unsafe.
        ssl_insecure_skip_verify: Bool = "false",
            "ssl-insecure-skip-verify", "OAUTH2_PROXY_SSL_INSECURE_SKIP_VERIFY", Core, Implemented;
        /// Authorization endpoint of the provider. Discovery sets it where there is discovery.
        login_url: Text = "",
            "login-url", "OAUTH2_PROXY_LOGIN_URL", Legacy, Implemented;
        /// Token endpoint of the provider. Discovery sets it where there is discovery.
        redeem_url: Text = "",
            "redeem-url", "OAUTH2_PROXY_REDEEM_URL", Legacy, Implemented;
        /// Userinfo endpoint of the provider. Discovery sets it where there is discovery.
        profile_url: Text = "",
            "profile-url", "OAUTH2_PROXY_PROFILE_URL", Legacy, Implemented;
        /// Endpoint at which an access token is checked.
        validate_url: Text = "",
            "validate-url", "OAUTH2_PROXY_VALIDATE_URL", Legacy, Implemented;
        /// URL called when somebody signs out. {id_token} in it stands for the id token of the session.
        backend_logout_url: Text = "",
            "backend-logout-url", "OAUTH2_PROXY_BACKEND_LOGOUT_URL", Legacy, Implemented;
        /// Whoever signs out here signs out at the provider too: the browser is sent to its end_session_endpoint
        /// and returns to /oauth2/signed_out, which has to be registered there. Not in oauth2-proxy.
        provider_logout: Bool = "false",
            "provider-logout", "OAUTH2_PROXY_PROVIDER_LOGOUT", Core, Implemented;
        /// Where the provider sends browsers after provider-logout. Without a path, /oauth2/signed_out is appended;
        /// without anything, the host of the request is used. Not in oauth2-proxy.
        post_logout_redirect_url: Text = "",
            "post-logout-redirect-url", "OAUTH2_PROXY_POST_LOGOUT_REDIRECT_URL", Core, Implemented;
        /// Ask the provider at a sign-out to take back the refresh and access token of the session. Not in
        /// oauth2-proxy.
        revoke_tokens: Bool = "false",
            "revoke-tokens", "OAUTH2_PROXY_REVOKE_TOKENS", Core, Implemented;
        /// Never ask the userinfo endpoint for claims that the id token lacks.
        skip_claims_from_profile_url: Bool = "false",
            "skip-claims-from-profile-url", "OAUTH2_PROXY_SKIP_CLAIMS_FROM_PROFILE_URL", Legacy, Implemented;
    }

    Login {
        /// Callback URL registered with the provider. Without a path, the callback path is appended;
        /// without a host, the host of the request is used.
        redirect_url: Text = "",
            "redirect-url", "OAUTH2_PROXY_REDIRECT_URL", Core, Implemented;
        /// Send redirect-url as it is written even when it has no host.
        relative_redirect_url: Bool = "false",
            "relative-redirect-url", "OAUTH2_PROXY_RELATIVE_REDIRECT_URL", Core, Implemented;
        /// Scopes to ask for. Nothing means the usual ones of the provider.
        scope: Text = "",
            "scope", "OAUTH2_PROXY_SCOPE", Legacy, Implemented;
        /// Value of the prompt parameter of the login request. It replaces approval-prompt.
        prompt: Text = "",
            "prompt", "OAUTH2_PROXY_PROMPT", Legacy, Implemented;
        /// Value of the approval_prompt parameter of the login request.
        approval_prompt: Text = "force",
            "approval-prompt", "OAUTH2_PROXY_APPROVAL_PROMPT", Legacy, Implemented,
            deprecated "use prompt";
        /// Value of the acr_values parameter of the login request.
        acr_values: Text = "",
            "acr-values", "OAUTH2_PROXY_ACR_VALUES", Legacy, Implemented;
        /// Refuse logins whose id token does not name one of these in its claim acr. They are asked for (acr_values). Not in
        /// oauth2-proxy.
        required_acr: List = "",
            "required-acr", "OAUTH2_PROXY_REQUIRED_ACR", Legacy, Implemented;
        /// Refuse logins of people who signed in at the provider longer ago than this (auth_time), give or take a minute. It
        /// is asked for (max_age). 0 means any. Not in oauth2-proxy.
        max_auth_age: Duration = "0s",
            "max-auth-age", "OAUTH2_PROXY_MAX_AUTH_AGE", Legacy, Implemented;
        /// Value of the response_mode parameter of the login request, such as form_post.
        auth_request_response_mode: Text = "",
            "auth-request-response-mode", "OAUTH2_PROXY_AUTH_REQUEST_RESPONSE_MODE", Legacy, Implemented;
        /// PKCE method: S256 or plain.
        code_challenge_method: Text = "",
            "code-challenge-method", "OAUTH2_PROXY_CODE_CHALLENGE_METHOD", Legacy, Implemented;
        /// PKCE method, used when code-challenge-method is empty.
        force_code_challenge_method: Text = "",
            "force-code-challenge-method", "OAUTH2_PROXY_FORCE_CODE_CHALLENGE_METHOD", Legacy, Implemented,
            deprecated "use code-challenge-method";
        /// Encode the state parameter in base64url, for providers that spoil other characters.
        encode_state: Bool = "false",
            "encode-state", "OAUTH2_PROXY_ENCODE_STATE", Core, Implemented;
        /// Hosts to which a login or logout may lead besides our own, as host or host:port. A leading dot
        /// or *. also admits all subdomains; the port * admits every port.
        whitelist_domains: List = "",
            "whitelist-domain", "OAUTH2_PROXY_WHITELIST_DOMAINS", Core, Implemented;
    }

    OpenIdConnect {
        /// Issuer. Its endpoints and keys are discovered below this URL.
        oidc_issuer_url: Text = "",
            "oidc-issuer-url", "OAUTH2_PROXY_OIDC_ISSUER_URL", Legacy, Implemented;
        /// URL of the signing keys when there is no discovery.
        oidc_jwks_url: Text = "",
            "oidc-jwks-url", "OAUTH2_PROXY_OIDC_JWKS_URL", Legacy, Implemented;
        /// PEM files with the signing keys when there is no discovery. Not together with oidc-jwks-url.
        oidc_public_key_files: List = "",
            "oidc-public-key-file", "OAUTH2_PROXY_OIDC_PUBLIC_KEY_FILES", Legacy, Implemented;
        /// Take the endpoints from the options instead of discovering them.
        skip_oidc_discovery: Bool = "false",
            "skip-oidc-discovery", "OAUTH2_PROXY_SKIP_OIDC_DISCOVERY", Legacy, Implemented;
        /// Claims to search for the audience. The first one present decides.
        oidc_audience_claims: List = "aud",
            "oidc-audience-claim", "OAUTH2_PROXY_OIDC_AUDIENCE_CLAIMS", Legacy, Implemented;
        /// Audiences accepted besides the client id.
        oidc_extra_audiences: List = "",
            "oidc-extra-audience", "OAUTH2_PROXY_OIDC_EXTRA_AUDIENCES", Legacy, Implemented;
        /// Claim that holds the e-mail address. Dots lead into nested claims.
        oidc_email_claim: Text = "email",
            "oidc-email-claim", "OAUTH2_PROXY_OIDC_EMAIL_CLAIM", Legacy, Implemented;
        /// Claim that holds the groups. Dots lead into nested claims.
        oidc_groups_claim: Text = "groups",
            "oidc-groups-claim", "OAUTH2_PROXY_OIDC_GROUPS_CLAIM", Legacy, Implemented;
        /// Signature algorithms accepted for id tokens.
        oidc_enabled_signing_algs: List = "",
            "oidc-enabled-signing-alg", "OAUTH2_PROXY_OIDC_ENABLED_SIGNING_ALGS", Legacy, Implemented;
        /// Claim that holds the e-mail address, unless oidc-email-claim names one.
        user_id_claim: Text = "email",
            "user-id-claim", "OAUTH2_PROXY_USER_ID_CLAIM", Legacy, Implemented,
            deprecated "use oidc-email-claim";
        /// Accept e-mail addresses that the provider marks as not verified.
        insecure_oidc_allow_unverified_email: Bool = "false",
            "insecure-oidc-allow-unverified-email", "OAUTH2_PROXY_INSECURE_OIDC_ALLOW_UNVERIFIED_EMAIL", Legacy, Implemented;
        /// Do not compare the issuer with the one in the discovery document and in tokens. Unsafe.
        insecure_oidc_skip_issuer_verification: Bool = "false",
            "insecure-oidc-skip-issuer-verification", "OAUTH2_PROXY_INSECURE_OIDC_SKIP_ISSUER_VERIFICATION", Legacy, Implemented;
        /// Log in without the OpenID Connect nonce. Where nobody sets this, a nonce is sent, and checked if
        /// it comes back; false demands that it does.
        insecure_oidc_skip_nonce: Bool = "true",
            "insecure-oidc-skip-nonce", "OAUTH2_PROXY_INSECURE_OIDC_SKIP_NONCE", Legacy, Implemented;
    }

    Particular {
        /// Microsoft Graph field that names a group, such as id or displayName.
        azure_graph_group_field: Text = "",
            "azure-graph-group-field", "OAUTH2_PROXY_AZURE_GRAPH_GROUP_FIELD", Legacy, Implemented;
        /// Tenant in the endpoints of the azure provider.
        azure_tenant: Text = "common",
            "azure-tenant", "OAUTH2_PROXY_AZURE_TENANT", Legacy, Implemented;
        /// Admit only who may write to this repository, as workspace/name (provider bitbucket).
        bitbucket_repository: Text = "",
            "bitbucket-repository", "OAUTH2_PROXY_BITBUCKET_REPOSITORY", Legacy, Implemented;
        /// Admit only members of this workspace, formerly called team (provider bitbucket).
        bitbucket_team: Text = "",
            "bitbucket-team", "OAUTH2_PROXY_BITBUCKET_TEAM", Legacy, Implemented;
        /// Tenants whose tokens are accepted.
        entra_id_allowed_tenants: List = "",
            "entra-id-allowed-tenant", "OAUTH2_PROXY_ENTRA_ID_ALLOWED_TENANTS", Legacy, Implemented;
        /// Authenticate as client with the federated token of an Azure workload instead of a secret.
        entra_id_federated_token_auth: Bool = "false",
            "entra-id-federated-token-auth", "OAUTH2_PROXY_ENTRA_ID_FEDERATED_TOKEN_AUTH", Legacy, Implemented;
        /// Admit only members of this organisation (provider github).
        github_org: Text = "",
            "github-org", "OAUTH2_PROXY_GITHUB_ORG", Legacy, Implemented;
        /// Admit only who may push to this repository, or read it if it is private, as owner/name (provider github).
        github_repo: Text = "",
            "github-repo", "OAUTH2_PROXY_GITHUB_REPO", Legacy, Implemented;
        /// Admit only members of one of these teams, separated by commas: slugs with github-org, else org:slug
        /// (provider github).
        github_team: Text = "",
            "github-team", "OAUTH2_PROXY_GITHUB_TEAM", Legacy, Implemented;
        /// Token for asking who collaborates in github-repo, in place of what users may do there (provider github).
        github_token: Secret = "",
            "github-token", "OAUTH2_PROXY_GITHUB_TOKEN", Legacy, Implemented;
        /// Login names admitted regardless of organisation, team and repository (provider github).
        github_users: List = "",
            "github-user", "OAUTH2_PROXY_GITHUB_USERS", Legacy, Implemented;
        /// Admit only members of one of these groups (provider gitlab). Those of allowed-group and gitlab-project
        /// count as well.
        gitlab_groups: List = "",
            "gitlab-group", "OAUTH2_PROXY_GITLAB_GROUPS", Legacy, Implemented;
        /// Admit only members of one of these projects, as namespace/project=level, the level being 10, 20, 30 or
        /// 40 (provider gitlab).
        gitlab_projects: List = "",
            "gitlab-project", "OAUTH2_PROXY_GITLAB_PROJECTS", Legacy, Implemented;
        /// Scope for looking up the organisation id of a user: cloud, user, or read-only.
        google_admin_api_user_scope: Text = "",
            "google-admin-api-user-scope", "OAUTH2_PROXY_GOOGLE_ADMIN_API_USER_SCOPE", Legacy, Implemented;
        /// Workspace administrator on whose behalf the directory is asked.
        google_admin_email: Text = "",
            "google-admin-email", "OAUTH2_PROXY_GOOGLE_ADMIN_EMAIL", Legacy, Implemented;
        /// Admit only members of one of these Workspace groups. Needs credentials for the directory.
        google_groups: List = "",
            "google-group", "OAUTH2_PROXY_GOOGLE_GROUPS", Legacy, Implemented,
            former "OAUTH2_PROXY_GOOGLE_GROUP" "google_group";
        /// Path of the key file of the service account.
        google_service_account_json: Text = "",
            "google-service-account-json", "OAUTH2_PROXY_GOOGLE_SERVICE_ACCOUNT_JSON", Legacy, Implemented;
        /// Service account to impersonate with the default credentials.
        google_target_principal: Text = "",
            "google-target-principal", "OAUTH2_PROXY_GOOGLE_TARGET_PRINCIPAL", Legacy, Implemented;
        /// Use the default credentials of the environment instead of a key file.
        google_use_application_default_credentials: BoolWord = "false",
            "google-use-application-default-credentials", "OAUTH2_PROXY_GOOGLE_USE_APPLICATION_DEFAULT_CREDENTIALS", Legacy, Implemented;
        /// Take the external id in the organisation as preferred user name.
        google_use_organization_id: BoolWord = "false",
            "google-use-organization-id", "OAUTH2_PROXY_GOOGLE_USE_ORGANIZATION_ID", Legacy, Implemented;
        /// Private key for login.gov, as PEM text.
        jwt_key: Secret = "",
            "jwt-key", "OAUTH2_PROXY_JWT_KEY", Legacy, Implemented;
        /// PEM file with the private key for login.gov.
        jwt_key_file: Text = "",
            "jwt-key-file", "OAUTH2_PROXY_JWT_KEY_FILE", Legacy, Implemented;
        /// Admit only members of one of these groups (provider keycloak).
        keycloak_groups: List = "",
            "keycloak-group", "OAUTH2_PROXY_KEYCLOAK_GROUPS", Legacy, Implemented;
        /// URL of the public keys of login.gov.
        pubjwk_url: Text = "",
            "pubjwk-url", "OAUTH2_PROXY_PUBJWK_URL", Legacy, Implemented;
        /// Resource to ask for (azure, adfs).
        resource: Text = "",
            "resource", "OAUTH2_PROXY_RESOURCE", Legacy, Implemented;
    }

    Access {
        /// Domains of the e-mail addresses admitted. * admits every address; a leading dot or *. admits
        /// subdomains only.
        email_domains: List = "",
            "email-domain", "OAUTH2_PROXY_EMAIL_DOMAINS", Core, Implemented;
        /// File with the e-mail addresses admitted, one a line. It is read again when it changes.
        authenticated_emails_file: Text = "",
            "authenticated-emails-file", "OAUTH2_PROXY_AUTHENTICATED_EMAILS_FILE", Core, Implemented;
        /// Admit only members of one of these groups.
        allowed_groups: List = "",
            "allowed-group", "OAUTH2_PROXY_ALLOWED_GROUPS", Legacy, Implemented;
        /// Admit only holders of one of these roles (provider keycloak-oidc).
        allowed_roles: List = "",
            "allowed-role", "OAUTH2_PROXY_ALLOWED_ROLES", Legacy, Implemented;
        /// File with users and password hashes (bcrypt, or SHA-1 marked {SHA}). It is read again when it
        /// changes.
        htpasswd_file: Text = "",
            "htpasswd-file", "OAUTH2_PROXY_HTPASSWD_FILE", Core, Implemented;
        /// Groups given to users of the htpasswd file.
        htpasswd_user_groups: List = "",
            "htpasswd-user-group", "OAUTH2_PROXY_HTPASSWD_USER_GROUPS", Core, Implemented;
        /// Show a form for user name and password on the login page when there is an htpasswd file.
        display_htpasswd_form: Bool = "true",
            "display-htpasswd-form", "OAUTH2_PROXY_DISPLAY_HTPASSWD_FORM", Core, Implemented;
    }

    Open {
        /// Requests that need no login, as METHOD=regex, METHOD!=regex, regex or !=regex. The expression is
        /// matched against the path.
        skip_auth_routes: List = "",
            "skip-auth-route", "OAUTH2_PROXY_SKIP_AUTH_ROUTES", Core, Implemented;
        /// Expressions for paths that need no login, whatever the method.
        skip_auth_regex: List = "",
            "skip-auth-regex", "OAUTH2_PROXY_SKIP_AUTH_REGEX", Core, Implemented,
            deprecated "use skip-auth-route";
        /// Let every OPTIONS request through without login.
        skip_auth_preflight: Bool = "false",
            "skip-auth-preflight", "OAUTH2_PROXY_SKIP_AUTH_PREFLIGHT", Core, Implemented;
        /// Addresses or networks of clients that need no login.
        trusted_ips: List = "",
            "trusted-ip", "OAUTH2_PROXY_TRUSTED_IPS", Core, Implemented;
        /// Accept verified tokens in the Authorization header instead of a session.
        skip_jwt_bearer_tokens: Bool = "false",
            "skip-jwt-bearer-tokens", "OAUTH2_PROXY_SKIP_JWT_BEARER_TOKENS", Core, Implemented;
        /// With skip-jwt-bearer-tokens: treat a request with an unusable token as one without it. When off,
        /// such a request gets 403.
        bearer_token_login_fallback: Bool = "true",
            "bearer-token-login-fallback", "OAUTH2_PROXY_BEARER_TOKEN_LOGIN_FALLBACK", Core, Implemented;
        /// With skip-jwt-bearer-tokens: further issuers whose tokens are accepted, as issuer=audience.
        extra_jwt_issuers: List = "",
            "extra-jwt-issuers", "OAUTH2_PROXY_EXTRA_JWT_ISSUERS", Core, Implemented;
        /// Expressions for request URIs of programs: without login they get 401 instead of the login page.
        api_routes: List = "",
            "api-route", "OAUTH2_PROXY_API_ROUTES", Core, Implemented;
        /// Answer every request without login with 401 and every refused one with 403, as JSON.
        force_json_errors: Bool = "false",
            "force-json-errors", "OAUTH2_PROXY_FORCE_JSON_ERRORS", Core, Implemented;
    }

    Cookies {
        /// Name of the session cookie. The names of the other cookies begin with it.
        cookie_name: Text = "_oauth2_proxy",
            "cookie-name", "OAUTH2_PROXY_COOKIE_NAME", Core, Implemented;
        /// Key for sealing cookies and sessions: 16, 24 or 32 bytes, as they are or in base64url.
        cookie_secret: Secret = "",
            "cookie-secret", "OAUTH2_PROXY_COOKIE_SECRET", Core, Implemented;
        /// File that holds the cookie secret. Used when cookie-secret is empty.
        cookie_secret_file: Text = "",
            "cookie-secret-file", "OAUTH2_PROXY_COOKIE_SECRET_FILE", Core, Implemented;
        /// Cookie secrets of before. What was sealed with one of them is still read, and sealed anew with
        /// cookie-secret. Not in oauth2-proxy.
        cookie_secret_previous: SecretList = "",
            "cookie-secret-previous", "OAUTH2_PROXY_COOKIE_SECRET_PREVIOUS", Core, Implemented;
        /// File that holds cookie secrets of before, one per line. Used when cookie-secret-previous is
        /// empty. Not in oauth2-proxy.
        cookie_secret_previous_file: Text = "",
            "cookie-secret-previous-file", "OAUTH2_PROXY_COOKIE_SECRET_PREVIOUS_FILE", Core, Implemented;
        /// Domains for the cookies. The longest one that fits the host of the request is used.
        cookie_domains: List = "",
            "cookie-domain", "OAUTH2_PROXY_COOKIE_DOMAINS", Core, Implemented;
        /// Path attribute of the cookies.
        cookie_path: Text = "/",
            "cookie-path", "OAUTH2_PROXY_COOKIE_PATH", Core, Implemented;
        /// How long a session lasts. 0 means until the browser is closed, with no limit on our side.
        cookie_expire: Duration = "168h0m0s",
            "cookie-expire", "OAUTH2_PROXY_COOKIE_EXPIRE", Core, Implemented;
        /// Refresh a session once it is older than this. 0 means never.
        cookie_refresh: Duration = "0s",
            "cookie-refresh", "OAUTH2_PROXY_COOKIE_REFRESH", Core, Implemented;
        /// Send cookies over HTTPS only.
        cookie_secure: Bool = "true",
            "cookie-secure", "OAUTH2_PROXY_COOKIE_SECURE", Core, Implemented;
        /// Hide cookies from scripts.
        cookie_httponly: Bool = "true",
            "cookie-httponly", "OAUTH2_PROXY_COOKIE_HTTPONLY", Core, Implemented;
        /// SameSite attribute of the session cookie: lax, strict, none or nothing.
        cookie_samesite: Text = "",
            "cookie-samesite", "OAUTH2_PROXY_COOKIE_SAMESITE", Core, Implemented;
        /// Keep the cookies of this program from applications: with a session cookie they could act as the
        /// person whose it is.
        strip_own_cookies: Bool = "false",
            "strip-own-cookies", "OAUTH2_PROXY_STRIP_OWN_COOKIES", Core, Implemented;
        /// Use a separate cookie for every login attempt, so that logins in several tabs do not disturb
        /// each other.
        cookie_csrf_per_request: Bool = "false",
            "cookie-csrf-per-request", "OAUTH2_PROXY_COOKIE_CSRF_PER_REQUEST", Core, Implemented;
        /// With cookie-csrf-per-request: how many such cookies a browser may hold. The oldest go first; 0
        /// means no limit.
        cookie_csrf_per_request_limit: Int = "0",
            "cookie-csrf-per-request-limit", "OAUTH2_PROXY_COOKIE_CSRF_PER_REQUEST_LIMIT", Core, Implemented;
        /// How long a login attempt may take. 0 means until the browser is closed.
        cookie_csrf_expire: Duration = "15m0s",
            "cookie-csrf-expire", "OAUTH2_PROXY_COOKIE_CSRF_EXPIRE", Core, Implemented;
        /// SameSite attribute of the cookie of a login attempt. Nothing means that of cookie-samesite.
        cookie_csrf_samesite: Text = "",
            "cookie-csrf-samesite", "OAUTH2_PROXY_COOKIE_CSRF_SAMESITE", Core, Implemented;
    }

    Sessions {
        /// Where sessions are kept: cookie or redis.
        session_store_type: Text = "cookie",
            "session-store-type", "OAUTH2_PROXY_SESSION_STORE_TYPE", Core, Implemented;
        /// Leave the tokens of the provider out of sessions kept in cookies.
        session_cookie_minimal: Bool = "false",
            "session-cookie-minimal", "OAUTH2_PROXY_SESSION_COOKIE_MINIMAL", Core, Implemented;
        /// End a session that was not used for so long. 0 means never, and 10s is the least. Not in oauth2-proxy.
        session_idle_timeout: Duration = "0s",
            "session-idle-timeout", "OAUTH2_PROXY_SESSION_IDLE_TIMEOUT", Core, Implemented;
        /// End a session so long after its login, however often it was refreshed. 0 means never. Not in
        /// oauth2-proxy.
        session_max_lifetime: Duration = "0s",
            "session-max-lifetime", "OAUTH2_PROXY_SESSION_MAX_LIFETIME", Core, Implemented;
        /// Let the provider end sessions by a POST to /oauth2/backchannel_logout. Not in oauth2-proxy.
        backchannel_logout: Bool = "false",
            "backchannel-logout", "OAUTH2_PROXY_BACKCHANNEL_LOGOUT", Core, Implemented;
        /// Let pages of the provider end sessions by a frame of /oauth2/frontchannel_logout. Not in oauth2-proxy.
        frontchannel_logout: Bool = "false",
            "frontchannel-logout", "OAUTH2_PROXY_FRONTCHANNEL_LOGOUT", Core, Implemented;
        /// Groups whose members may list and end sessions of others at /oauth2/admin/sessions. Not in
        /// oauth2-proxy.
        admin_groups: List = "",
            "admin-group", "OAUTH2_PROXY_ADMIN_GROUPS", Core, Implemented;
        /// Where sessions in cookies are noted that somebody else ended: memory (of this instance) or redis, by the
        /// redis options. Sessions in Redis are noted there. Not in oauth2-proxy.
        session_ledger_type: Text = "memory",
            "session-ledger-type", "OAUTH2_PROXY_SESSION_LEDGER_TYPE", Core, Implemented;
        /// URL of a single Redis server: redis://user:password@host:port/database, the same with rediss://
        /// for TLS, or unix:///path. The settings db, dial_timeout, read_timeout, conn_max_idle_time and
        /// skip_verify may follow a question mark; others of oauth2-proxy are accepted and have no effect.
        redis_connection_url: Secret = "",
            "redis-connection-url", "OAUTH2_PROXY_REDIS_CONNECTION_URL", Core, Implemented;
        /// User name for Redis. It replaces the one in the URL.
        redis_username: Text = "",
            "redis-username", "OAUTH2_PROXY_REDIS_USERNAME", Core, Implemented;
        /// Password for Redis. It replaces the one in the URL.
        redis_password: Secret = "",
            "redis-password", "OAUTH2_PROXY_REDIS_PASSWORD", Core, Implemented;
        /// Seconds after which an idle connection to Redis is closed. 0 means never.
        redis_connection_idle_timeout: Int = "0",
            "redis-connection-idle-timeout", "OAUTH2_PROXY_REDIS_CONNECTION_IDLE_TIMEOUT", Core, Implemented;
        /// PEM file with authorities accepted for TLS connections to Redis besides those of the system. It asks for
        /// TLS whatever the URL says.
        redis_ca_path: Text = "",
            "redis-ca-path", "OAUTH2_PROXY_REDIS_CA_PATH", Core, Implemented;
        /// Do not check the certificate of Redis. It asks for TLS whatever the URL says. Unsafe.
        redis_insecure_skip_tls_verify: Bool = "false",
            "redis-insecure-skip-tls-verify", "OAUTH2_PROXY_REDIS_INSECURE_SKIP_TLS_VERIFY", Core, Implemented;
        /// Find the Redis server with the help of sentinels, also after they have chosen another one.
        redis_use_sentinel: Bool = "false",
            "redis-use-sentinel", "OAUTH2_PROXY_REDIS_USE_SENTINEL", Core, Implemented;
        /// URLs of the sentinels. What the last one says about user, password and TLS is for the servers that they
        /// name; TLS is for the sentinels too.
        redis_sentinel_connection_urls: SecretList = "",
            "redis-sentinel-connection-urls", "OAUTH2_PROXY_REDIS_SENTINEL_CONNECTION_URLS", Core, Implemented;
        /// Name under which the sentinels know the Redis server.
        redis_sentinel_master_name: Text = "",
            "redis-sentinel-master-name", "OAUTH2_PROXY_REDIS_SENTINEL_MASTER_NAME", Core, Implemented;
        /// Password of the sentinels themselves.
        redis_sentinel_password: Secret = "",
            "redis-sentinel-password", "OAUTH2_PROXY_REDIS_SENTINEL_PASSWORD", Core, Implemented;
        /// Talk to a Redis cluster.
        redis_use_cluster: Bool = "false",
            "redis-use-cluster", "OAUTH2_PROXY_REDIS_USE_CLUSTER", Core, Implemented;
        /// URLs of some nodes of the Redis cluster, which name the others. What the last one says about user,
        /// password and TLS counts for all. With TLS the nodes have to announce names that their certificates hold.
        redis_cluster_connection_urls: SecretList = "",
            "redis-cluster-connection-urls", "OAUTH2_PROXY_REDIS_CLUSTER_CONNECTION_URLS", Core, Implemented;
    }

    Upstreams {
        /// Where requests go: http://, https://, h2c:// (HTTP/2 without TLS), unix:///socket, file:///folder#/path or
        /// static://code. The path of the URL is the path that is served.
        upstreams: List = "",
            "upstream", "OAUTH2_PROXY_UPSTREAMS", Legacy, Implemented;
        /// How long to wait for the response headers of an upstream.
        upstream_timeout: Duration = "30s",
            "upstream-timeout", "OAUTH2_PROXY_UPSTREAM_TIMEOUT", Legacy, Implemented;
        /// Accepted without effect: every part of a response is passed on as it arrives.
        flush_interval: Interval = "1s",
            "flush-interval", "OAUTH2_PROXY_FLUSH_INTERVAL", Legacy, Implemented;
        /// Keep the Host header of the client towards upstreams.
        pass_host_header: Bool = "true",
            "pass-host-header", "OAUTH2_PROXY_PASS_HOST_HEADER", Legacy, Implemented;
        /// Pass WebSocket connections on to upstreams.
        proxy_websockets: Bool = "true",
            "proxy-websockets", "OAUTH2_PROXY_PROXY_WEBSOCKETS", Legacy, Implemented;
        /// Use a new connection for every request to an upstream.
        disable_keep_alives: Bool = "false",
            "disable-keep-alives", "OAUTH2_PROXY_DISABLE_KEEP_ALIVES", Legacy, Implemented;
        /// Do not check the certificates of https upstreams. Unsafe.
        ssl_upstream_insecure_skip_verify: Bool = "false",
            "ssl-upstream-insecure-skip-verify", "OAUTH2_PROXY_SSL_UPSTREAM_INSECURE_SKIP_VERIFY", Legacy, Implemented;
        /// Sign requests to upstreams with this key, as algorithm:key (header GAP-Signature).
        signature_key: Secret = "",
            "signature-key", "OAUTH2_PROXY_SIGNATURE_KEY", Core, Implemented,
            deprecated "there is no replacement";
    }

    Headers {
        /// Tell upstreams the user in X-Forwarded-User, -Email, -Groups and -Preferred-Username.
        pass_user_headers: Bool = "true",
            "pass-user-headers", "OAUTH2_PROXY_PASS_USER_HEADERS", Legacy, Implemented;
        /// Tell upstreams the user, and with basic-auth-password also send a Basic Authorization header.
        pass_basic_auth: Bool = "true",
            "pass-basic-auth", "OAUTH2_PROXY_PASS_BASIC_AUTH", Legacy, Implemented;
        /// Password in the Basic Authorization headers of pass-basic-auth and set-basic-auth.
        basic_auth_password: Secret = "",
            "basic-auth-password", "OAUTH2_PROXY_BASIC_AUTH_PASSWORD", Legacy, Implemented;
        /// Give the e-mail address where a user name is asked for.
        prefer_email_to_user: Bool = "false",
            "prefer-email-to-user", "OAUTH2_PROXY_PREFER_EMAIL_TO_USER", Legacy, Implemented;
        /// Tell upstreams the access token in X-Forwarded-Access-Token.
        pass_access_token: Bool = "false",
            "pass-access-token", "OAUTH2_PROXY_PASS_ACCESS_TOKEN", Legacy, Implemented;
        /// Send upstreams the id token in a Bearer Authorization header.
        pass_authorization_header: Bool = "false",
            "pass-authorization-header", "OAUTH2_PROXY_PASS_AUTHORIZATION_HEADER", Legacy, Implemented;
        /// Tell the user in the response headers X-Auth-Request-User, -Email, -Groups and
        /// -Preferred-Username.
        set_xauthrequest: Bool = "false",
            "set-xauthrequest", "OAUTH2_PROXY_SET_XAUTHREQUEST", Legacy, Implemented;
        /// Give the id token in a Bearer Authorization header of the response.
        set_authorization_header: Bool = "false",
            "set-authorization-header", "OAUTH2_PROXY_SET_AUTHORIZATION_HEADER", Legacy, Implemented;
        /// Give a Basic Authorization header in the response. It needs basic-auth-password.
        set_basic_auth: Bool = "false",
            "set-basic-auth", "OAUTH2_PROXY_SET_BASIC_AUTH", Legacy, Implemented;
        /// Remove what clients themselves put into the headers that we set for upstreams.
        skip_auth_strip_headers: Bool = "true",
            "skip-auth-strip-headers", "OAUTH2_PROXY_SKIP_AUTH_STRIP_HEADERS", Legacy, Implemented;
    }

    Pages {
        /// Path under which our own endpoints lie.
        proxy_prefix: Text = "/oauth2",
            "proxy-prefix", "OAUTH2_PROXY_PROXY_PREFIX", Core, Implemented;
        /// Go to the provider at once instead of showing the login page.
        skip_provider_button: Bool = "false",
            "skip-provider-button", "OAUTH2_PROXY_SKIP_PROVIDER_BUTTON", Core, Implemented;
        /// HTML above the login button. "-" shows none; nothing shows a text made from email-domain.
        banner: Text = "",
            "banner", "OAUTH2_PROXY_BANNER", Core, Implemented;
        /// HTML at the foot of pages. "-" shows none; nothing shows the name and version of the program.
        footer: Text = "",
            "footer", "OAUTH2_PROXY_FOOTER", Core, Implemented;
        /// Logo of the login page: an image file, an https URL, or "-" for none.
        custom_sign_in_logo: Text = "",
            "custom-sign-in-logo", "OAUTH2_PROXY_CUSTOM_SIGN_IN_LOGO", Core, Implemented;
        /// Language of our own pages: auto (the one that the browser asks for), en, de, es, fr, ja, ko or zh.
        /// Pages of custom-templates-dir are as they are. Not in oauth2-proxy.
        page_language: Text = "auto",
            "page-language", "OAUTH2_PROXY_PAGE_LANGUAGE", Core, Implemented;
        /// Folder with own pages: sign_in.html, error.html and robots.txt.
        custom_templates_dir: Text = "",
            "custom-templates-dir", "OAUTH2_PROXY_CUSTOM_TEMPLATES_DIR", Core, Implemented;
        /// Show the technical reason on error pages. Not for the public.
        show_debug_on_error: Bool = "false",
            "show-debug-on-error", "OAUTH2_PROXY_SHOW_DEBUG_ON_ERROR", Core, Implemented;
    }

    Logging {
        /// Form of all log lines: text, by the templates below, or json, one object a line, which also tells how each
        /// request was decided and why.
        log_format: Text = "text",
            "log-format", "OAUTH2_PROXY_LOG_FORMAT", Core, Implemented;
        /// File for the log instead of the standard output.
        logging_filename: Text = "",
            "logging-filename", "OAUTH2_PROXY_LOGGING_FILENAME", Core, Implemented;
        /// Megabytes after which a new log file is begun.
        logging_max_size: Int = "100",
            "logging-max-size", "OAUTH2_PROXY_LOGGING_MAX_SIZE", Core, Implemented;
        /// Days for which old log files are kept.
        logging_max_age: Int = "7",
            "logging-max-age", "OAUTH2_PROXY_LOGGING_MAX_AGE", Core, Implemented;
        /// How many old log files are kept. 0 means any number.
        logging_max_backups: Int = "0",
            "logging-max-backups", "OAUTH2_PROXY_LOGGING_MAX_BACKUPS", Core, Implemented;
        /// Use local time in the log instead of UTC.
        logging_local_time: Bool = "true",
            "logging-local-time", "OAUTH2_PROXY_LOGGING_LOCAL_TIME", Core, Implemented;
        /// Compress old log files.
        logging_compress: Bool = "false",
            "logging-compress", "OAUTH2_PROXY_LOGGING_COMPRESS", Core, Implemented;
        /// Write the lines that tell what the program does.
        standard_logging: Bool = "true",
            "standard-logging", "OAUTH2_PROXY_STANDARD_LOGGING", Core, Implemented;
        /// Template of these lines.
        standard_logging_format: Text = "[{{.Timestamp}}] [{{.File}}] {{.Message}}",
            "standard-logging-format", "OAUTH2_PROXY_STANDARD_LOGGING_FORMAT", Core, Implemented;
        /// Write a line for every attempt to log in.
        auth_logging: Bool = "true",
            "auth-logging", "OAUTH2_PROXY_AUTH_LOGGING", Core, Implemented;
        /// Template of the lines for attempts to log in.
        auth_logging_format: Text = "{{.Client}} - {{.RequestID}} - {{.Username}} [{{.Timestamp}}] [{{.Status}}] {{.Message}}",
            "auth-logging-format", "OAUTH2_PROXY_AUTH_LOGGING_FORMAT", Core, Implemented;
        /// Write a line for every request.
        request_logging: Bool = "true",
            "request-logging", "OAUTH2_PROXY_REQUEST_LOGGING", Core, Implemented;
        /// Template of the lines for requests.
        request_logging_format: Text = "{{.Client}} - {{.RequestID}} - {{.Username}} [{{.Timestamp}}] {{.Host}} {{.RequestMethod}} {{.Upstream}} {{.RequestURI}} {{.Protocol}} {{.UserAgent}} {{.StatusCode}} {{.ResponseSize}} {{.RequestDuration}}",
            "request-logging-format", "OAUTH2_PROXY_REQUEST_LOGGING_FORMAT", Core, Implemented;
        /// Paths of requests that are not logged.
        exclude_logging_paths: List = "",
            "exclude-logging-path", "OAUTH2_PROXY_EXCLUDE_LOGGING_PATHS", Core, Implemented;
        /// Do not log requests to ping-path and ready-path.
        silence_ping_logging: Bool = "false",
            "silence-ping-logging", "OAUTH2_PROXY_SILENCE_PING_LOGGING", Core, Implemented;
        /// Write errors where the rest of the log goes instead of to the standard error output.
        errors_to_info_log: Bool = "false",
            "errors-to-info-log", "OAUTH2_PROXY_ERRORS_TO_INFO_LOG", Core, Implemented;
    }

    Health {
        /// Path that answers as long as the program runs. Nothing means off.
        ping_path: Text = "/ping",
            "ping-path", "OAUTH2_PROXY_PING_PATH", Core, Implemented;
        /// Answer ping-path and ready-path only to this User-Agent.
        ping_user_agent: Text = "",
            "ping-user-agent", "OAUTH2_PROXY_PING_USER_AGENT", Core, Implemented;
        /// Path that answers when requests can be served. Nothing means off.
        ready_path: Text = "/ready",
            "ready-path", "OAUTH2_PROXY_READY_PATH", Core, Implemented;
        /// Also answer /liveness_check and /readiness_check for the load balancer of Google Cloud.
        gcp_healthchecks: Bool = "false",
            "gcp-healthchecks", "OAUTH2_PROXY_GCP_HEALTHCHECKS", Core, Implemented,
            deprecated "use ping-path and ready-path";
    }

    Compatibility {
        /// Names of unsafe behaviours of oauth2-proxy to bring back: login-for-any-request,
        /// forwarding-headers-of-strangers. docs/coming-from-oauth2-proxy.md says what each gives up.
        compat: List = "",
            "compat", "OAUTH2_PROXY_COMPAT", Core, Implemented;
    }
}
