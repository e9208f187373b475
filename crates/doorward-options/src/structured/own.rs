//! doorward.yaml, the file of `--doorward-config`: what oauth2-proxy has no options for. It stands beside them in
//! whichever form they are. Values are read, not judged; what is absent is empty or `None`.

use std::path::Path;
use std::time::Duration;

use doorward_core::SecretString;

use super::environment;
use super::native::Native;
use super::read::{Document, Named, Readable, Reader, read};
use super::schema::{self, Described};
use crate::problem::OptionError;
use crate::source::Places;

/// Writes down under which key each field of a record stands. Each key has its line in docs/doorward-yaml.md.
macro_rules! records {
    ($($record:ident {$($field:ident: $key:literal,)*})*) => {$(
        impl Readable for $record {
            fn read(&mut self, node: &crate::yaml::Node, reader: &mut Reader<'_>) {
                let Some(mut mapping) = reader.mapping(node) else { return };
                $(mapping.field($key, &mut self.$field, reader);)*
                mapping.finish(reader);
            }
        }

        impl Described for $record {
            fn schema() -> serde_json::Value {
                schema::record([$(($key, schema::of_field(|record: &$record| &record.$field))),*])
            }
        }
    )*
        /// The keys of each record, for the page that describes them.
        #[cfg(test)]
        pub(super) const RECORDS: &[(&str, &[&str])] = &[$((stringify!($record), &[$($key),*])),*];
    };
}

pub mod gateway;

pub use gateway::Gateway;

/// The whole file.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Own {
    pub auth_server: Option<AuthServer>,
    pub api_auth: Option<ApiAuth>,
    pub gateway: Option<Gateway>,
    /// What the file says in place of options.
    pub native: Native,
}

/// `authServer`: the built-in OAuth server.
#[expect(clippy::struct_excessive_bools, reason = "each is a switch of the file")]
#[derive(Debug, Clone, Default, PartialEq)]
pub struct AuthServer {
    /// Nobody having said anything is not the same as either.
    pub enabled: Option<bool>,
    pub issuer: String,
    /// The hosts on which it answers; none: on all.
    pub hosts: Vec<String>,
    pub store: RecordStore,
    /// The file whose content seals keys and secrets in the store.
    pub secret_key_file: String,
    pub bootstrap_password_file: String,
    pub kubernetes_api: bool,
    pub openshift_paths: bool,
    /// `challengingClient` or `never`.
    pub implicit: String,
    pub signing_algorithm: String,
    pub tokens: Tokens,
    pub session: LoginSession,
    pub revoke_tokens_on_logout: bool,
    pub always_show_provider_selection: bool,
    pub identity_providers: Vec<IdentityProvider>,
    pub clients: Vec<Client>,
    pub scopes: Vec<Scope>,
    /// By the address of the resource.
    pub resources: Named<Resource>,
    pub reviewers: Reviewers,
    /// What the token page names as the address for `oc login`.
    pub api_server_url: String,
}

/// `authServer.store`.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct RecordStore {
    /// `embedded`, `redis` or `memory`.
    pub kind: String,
    pub path: String,
    pub url: SecretString,
    pub sentinel: Option<RecordSentinel>,
    /// Some servers of a cluster.
    pub cluster: Vec<SecretString>,
    pub ca_file: String,
}

/// `authServer.store.sentinel`: who knows where the master is.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct RecordSentinel {
    /// What the last one says about user, password and TLS is for the servers that they name.
    pub urls: Vec<SecretString>,
    pub master: String,
    /// Of the sentinels themselves.
    pub password: SecretString,
}

/// `authServer.tokens`.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Tokens {
    pub access_max_age: Option<Duration>,
    pub authorize_max_age: Option<Duration>,
    pub inactivity: Option<Duration>,
    pub refresh_idle: Option<Duration>,
    pub refresh_max: Option<Duration>,
    pub refresh_grace: Option<Duration>,
}

/// `authServer.session`: the server's own login sessions.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct LoginSession {
    /// `sso` or `perFlow`.
    pub mode: String,
    pub idle: Option<Duration>,
    pub max: Option<Duration>,
    pub cookie_name: String,
}

/// One of `authServer.identityProviders`. Which fields count depends on the type.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct IdentityProvider {
    pub name: String,
    /// `htpasswd`, `static`, `oidc`, `oauth2-proxy` (the provider of the options), `requestHeader` or `x509`.
    pub kind: String,
    pub login: Option<bool>,
    pub challenge: Option<bool>,
    pub mapping_method: String,
    pub file: String,
    pub allow_weak_hashes: bool,
    pub issuer: String,
    pub client_id: String,
    pub client_secret: SecretString,
    pub client_secret_file: String,
    pub ca_file: String,
    pub scopes: Vec<String>,
    pub claims: ClaimLists,
    /// Passwords of challenges are shown to the provider (RFC 6749 section 4.3).
    pub password_grant: bool,
    pub client_ca: String,
    pub crl_files: Vec<String>,
    pub client_common_names: Vec<String>,
    pub headers: Vec<String>,
    pub preferred_username_headers: Vec<String>,
    pub name_headers: Vec<String>,
    pub email_headers: Vec<String>,
    pub group_headers: Vec<String>,
    pub login_url: String,
    pub challenge_url: String,
}

/// The claims of an upstream provider, each list in order of preference.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct ClaimLists {
    pub id: Vec<String>,
    pub preferred_username: Vec<String>,
    pub name: Vec<String>,
    pub email: Vec<String>,
    pub groups: Vec<String>,
}

/// One of `authServer.clients`.
#[expect(clippy::struct_excessive_bools, reason = "each is a switch of the file")]
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Client {
    pub id: String,
    /// For people.
    pub name: String,
    pub secret: SecretString,
    pub secret_file: String,
    /// Hashes of secrets, as `doorward client add` prints them.
    pub secret_hashes: Vec<String>,
    pub redirect_uris: Vec<String>,
    /// `exact` or `prefix`.
    pub redirect_match: String,
    /// `auto`, `prompt` or `deny`.
    pub grant_method: String,
    pub grant_types: Option<Vec<String>>,
    pub allow_implicit: bool,
    pub respond_with_challenges: bool,
    pub require_pkce: Option<bool>,
    pub allow_plain_pkce: bool,
    pub scope_restrictions: Vec<ScopeRestriction>,
    pub default_scopes: Vec<String>,
    pub access_token_max_age_seconds: Option<i64>,
    pub access_token_inactivity_timeout_seconds: Option<i64>,
    pub id_token_signed_response_alg: String,
    pub post_logout_redirect_uris: Vec<String>,
    pub backchannel_logout_uri: String,
    pub resources: Vec<String>,
    pub disabled: bool,
}

/// Scopes that a client may ask for.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct ScopeRestriction {
    pub literals: Vec<String>,
}

/// One of `authServer.scopes`.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Scope {
    pub name: String,
    pub description: String,
    pub warning: String,
}

/// One of `authServer.resources`.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Resource {
    pub scopes: Vec<String>,
    /// `opaque` or `jwt`.
    pub format: String,
}

/// Who may ask for reviews of others' tokens.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Reviewers {
    pub users: Vec<String>,
    pub groups: Vec<String>,
}

/// `apiAuth`: how API requests say who sends them, and how applications are told.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct ApiAuth {
    pub x509: Option<X509>,
    pub request_header: Option<RequestHeader>,
    pub anonymous: Anonymous,
    pub impersonation: Impersonation,
    pub token_review: Option<TokenReview>,
    /// `forwarded`, `x-remote` or `impersonate`.
    pub identity: String,
    pub impersonate: Option<Impersonate>,
    /// `auto` or `kubernetes`.
    pub error_format: String,
    pub trusted_client_certificate_header: String,
}

/// `apiAuth.x509`.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct X509 {
    pub client_ca: String,
    pub crl_files: Vec<String>,
}

/// `apiAuth.requestHeader`: a proxy in front that names the user.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct RequestHeader {
    pub client_ca: String,
    pub crl_files: Vec<String>,
    pub allowed_names: Vec<String>,
    pub username_headers: Vec<String>,
    pub uid_headers: Vec<String>,
    pub group_headers: Vec<String>,
    pub extra_header_prefixes: Vec<String>,
}

/// `apiAuth.anonymous`.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Anonymous {
    pub enabled: bool,
    /// None: everywhere.
    pub paths: Option<Vec<String>>,
}

/// `apiAuth.impersonation`.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Impersonation {
    pub enabled: bool,
    pub rules: Vec<ImpersonationRule>,
}

/// Who may act as whom.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct ImpersonationRule {
    pub users: Vec<String>,
    pub groups: Vec<String>,
    pub may_be: ImpersonationTargets,
}

/// As whom somebody may act.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct ImpersonationTargets {
    pub users: Vec<String>,
    pub groups: Vec<String>,
}

/// `apiAuth.tokenReview`: somebody else who judges tokens.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct TokenReview {
    pub url: String,
    pub token_file: String,
    pub ca_file: String,
    pub audiences: Vec<String>,
    pub implicit_audience: String,
    pub cache_ttl: Option<Duration>,
    /// `refuse` or `unavailable`.
    pub on_error: String,
}

/// `apiAuth.impersonate`: our own credential at the Kubernetes API behind us.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Impersonate {
    pub token_file: String,
    pub cert_file: String,
    pub key_file: String,
    pub ca_file: String,
}

impl Readable for Own {
    fn read(&mut self, node: &crate::yaml::Node, reader: &mut Reader<'_>) {
        let Some(mut mapping) = reader.mapping(node) else { return };
        mapping.field("authServer", &mut self.auth_server, reader);
        mapping.field("apiAuth", &mut self.api_auth, reader);
        mapping.field("gateway", &mut self.gateway, reader);
        self.native.read(&mut mapping, reader);
        mapping.finish(reader);
    }
}

impl Described for Own {
    fn schema() -> serde_json::Value {
        let own = [
            ("authServer", AuthServer::schema()),
            ("apiAuth", ApiAuth::schema()),
            ("gateway", Gateway::schema()),
        ];
        schema::record(own.into_iter().chain(Native::fields()))
    }
}

records! {
    AuthServer {
        enabled: "enabled",
        issuer: "issuer",
        hosts: "hosts",
        store: "store",
        secret_key_file: "secretKeyFile",
        bootstrap_password_file: "bootstrapPasswordFile",
        kubernetes_api: "kubernetesAPI",
        openshift_paths: "openshiftPaths",
        implicit: "implicit",
        signing_algorithm: "signingAlgorithm",
        tokens: "tokens",
        session: "session",
        revoke_tokens_on_logout: "revokeTokensOnLogout",
        always_show_provider_selection: "alwaysShowProviderSelection",
        identity_providers: "identityProviders",
        clients: "clients",
        scopes: "scopes",
        resources: "resources",
        reviewers: "reviewers",
        api_server_url: "apiServerURL",
    }
    RecordStore {
        kind: "type",
        path: "path",
        url: "url",
        sentinel: "sentinel",
        cluster: "cluster",
        ca_file: "caFile",
    }
    RecordSentinel {
        urls: "urls",
        master: "master",
        password: "password",
    }
    Tokens {
        access_max_age: "accessMaxAge",
        authorize_max_age: "authorizeMaxAge",
        inactivity: "inactivity",
        refresh_idle: "refreshIdle",
        refresh_max: "refreshMax",
        refresh_grace: "refreshGrace",
    }
    LoginSession {
        mode: "mode",
        idle: "idle",
        max: "max",
        cookie_name: "cookieName",
    }
    IdentityProvider {
        name: "name",
        kind: "type",
        login: "login",
        challenge: "challenge",
        mapping_method: "mappingMethod",
        file: "file",
        allow_weak_hashes: "allowWeakHashes",
        issuer: "issuer",
        client_id: "clientID",
        client_secret: "clientSecret",
        client_secret_file: "clientSecretFile",
        ca_file: "caFile",
        scopes: "scopes",
        claims: "claims",
        password_grant: "passwordGrant",
        client_ca: "clientCA",
        crl_files: "crlFiles",
        client_common_names: "clientCommonNames",
        headers: "headers",
        preferred_username_headers: "preferredUsernameHeaders",
        name_headers: "nameHeaders",
        email_headers: "emailHeaders",
        group_headers: "groupHeaders",
        login_url: "loginURL",
        challenge_url: "challengeURL",
    }
    ClaimLists {
        id: "id",
        preferred_username: "preferredUsername",
        name: "name",
        email: "email",
        groups: "groups",
    }
    Client {
        id: "id",
        name: "name",
        secret: "secret",
        secret_file: "secretFile",
        secret_hashes: "secretHashes",
        redirect_uris: "redirectURIs",
        redirect_match: "redirectMatch",
        grant_method: "grantMethod",
        grant_types: "grantTypes",
        allow_implicit: "allowImplicit",
        respond_with_challenges: "respondWithChallenges",
        require_pkce: "requirePKCE",
        allow_plain_pkce: "allowPlainPKCE",
        scope_restrictions: "scopeRestrictions",
        default_scopes: "defaultScopes",
        access_token_max_age_seconds: "accessTokenMaxAgeSeconds",
        access_token_inactivity_timeout_seconds: "accessTokenInactivityTimeoutSeconds",
        id_token_signed_response_alg: "idTokenSignedResponseAlg",
        post_logout_redirect_uris: "postLogoutRedirectURIs",
        backchannel_logout_uri: "backchannelLogoutURI",
        resources: "resources",
        disabled: "disabled",
    }
    ScopeRestriction {
        literals: "literals",
    }
    Scope {
        name: "name",
        description: "description",
        warning: "warning",
    }
    Resource {
        scopes: "scopes",
        format: "format",
    }
    Reviewers {
        users: "users",
        groups: "groups",
    }
    ApiAuth {
        x509: "x509",
        request_header: "requestHeader",
        anonymous: "anonymous",
        impersonation: "impersonation",
        token_review: "tokenReview",
        identity: "identity",
        impersonate: "impersonate",
        error_format: "errorFormat",
        trusted_client_certificate_header: "trustedClientCertificateHeader",
    }
    X509 {
        client_ca: "clientCA",
        crl_files: "crlFiles",
    }
    RequestHeader {
        client_ca: "clientCA",
        crl_files: "crlFiles",
        allowed_names: "allowedNames",
        username_headers: "usernameHeaders",
        uid_headers: "uidHeaders",
        group_headers: "groupHeaders",
        extra_header_prefixes: "extraHeaderPrefixes",
    }
    Anonymous {
        enabled: "enabled",
        paths: "paths",
    }
    Impersonation {
        enabled: "enabled",
        rules: "rules",
    }
    ImpersonationRule {
        users: "users",
        groups: "groups",
        may_be: "mayBe",
    }
    ImpersonationTargets {
        users: "users",
        groups: "groups",
    }
    TokenReview {
        url: "url",
        token_file: "tokenFile",
        ca_file: "caFile",
        audiences: "audiences",
        implicit_audience: "implicitAudience",
        cache_ttl: "cacheTtl",
        on_error: "onError",
    }
    Impersonate {
        token_file: "tokenFile",
        cert_file: "certFile",
        key_file: "keyFile",
        ca_file: "caFile",
    }
}

/// The keys at the top of the file, under which its places begin.
pub(crate) const TOP: [&str; 3] = ["authServer", "apiAuth", "gateway"];

impl Own {
    /// Reads `text`, the content of the YAML file `path`, after replacing references to the environment. Problems
    /// are added to `errors`.
    pub(crate) fn parse(
        path: &Path,
        text: &str,
        env: &dyn Fn(&str) -> Option<String>,
        errors: &mut Vec<OptionError>,
    ) -> (Self, Places) {
        // Requests fill these in (`loginURL`, `challengeURL`, `identitySource`), not the environment.
        let env = |name: &str| match name {
            "url" | "query" => Some(format!("${{{name}}}")),
            "request" => Some("$request".to_owned()),
            _ => env(name),
        };
        let document =
            Document { path, option: "doorward-config", text: environment::substitute(text, &env) };
        read(document, errors)
    }
}

#[cfg(test)]
mod tests;
