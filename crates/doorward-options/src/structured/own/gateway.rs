//! `gateway` of doorward.yaml: routes, and what they name. Values are read, not judged; what is absent is empty or
//! `None`. Errors find each value by its place, such as `gateway.routes[2].authorize.all[0].policy`.

use std::time::Duration;

use doorward_core::SecretString;
use serde_json::{Value, json};

use super::super::read::{Named, Readable, Reader};
use super::super::schema::{self, Described};
use crate::yaml::{Data, Node};

/// `gateway`.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Gateway {
    /// Who signs what applications get.
    pub issuer: String,
    /// For routes that say nothing else: `auto`, `aws`, `kubernetes`, `oauth2` or `html`.
    pub error_format: String,
    pub authenticators: Named<Authenticator>,
    pub policies: Named<Policy>,
    pub credentials: Named<Credential>,
    pub exchange_rules: Vec<ExchangeRule>,
    /// In the order in which they are tried.
    pub routes: Vec<Route>,
}

/// One of `gateway.authenticators`. Which fields count depends on the type.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Authenticator {
    /// `opaque`, `jwt`, `introspection`, `session`, `x509`, `requestHeader`, `tokenReview` or `anonymous`.
    pub kind: String,
    pub issuer: String,
    pub jwks_uri: String,
    pub audiences: Vec<String>,
    pub algorithms: Vec<String>,
    pub leeway: Option<Duration>,
    pub jwks_max_age: Option<Duration>,
    pub identity_source: OneOrMore,
    pub allow_raw_token: bool,
    pub typ: OneOrMore,
    pub required_claims: Named<ValueTest>,
    pub user_claim: String,
    pub groups_claim: String,
    pub email_claim: String,
    pub ca_file: String,
    pub url: String,
    pub client_id: String,
    pub client_secret: SecretString,
    pub client_secret_file: String,
    /// `basic` or `post`.
    pub client_auth: String,
    /// `json` or `jwt`.
    pub accept: String,
    pub cache_ttl: Option<Duration>,
    pub token_file: String,
    pub implicit_audience: String,
    /// `refuse` or `unavailable`.
    pub on_error: String,
    pub client_ca: String,
    pub crl_files: Vec<String>,
    pub allowed_names: Vec<String>,
    pub username_headers: Vec<String>,
    pub uid_headers: Vec<String>,
    pub group_headers: Vec<String>,
    pub extra_header_prefixes: Vec<String>,
}

/// One of `gateway.policies`. Which fields count depends on the type.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Policy {
    /// `rego`, `opa` or `subjectAccessReview`.
    pub kind: String,
    /// Files of Rego, or folders of them.
    pub files: Vec<String>,
    pub data: Vec<String>,
    pub query: String,
    pub timeout: Option<Duration>,
    pub url: String,
    pub token_file: String,
    pub ca_file: String,
    pub cert_file: String,
    pub key_file: String,
    pub cache_ttl: Option<Duration>,
    pub resource_attributes: Option<ResourceAttributes>,
}

/// `resourceAttributes` of a `SubjectAccessReview`.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct ResourceAttributes {
    pub namespace: String,
    pub verb: String,
    pub group: String,
    pub version: String,
    pub resource: String,
    pub subresource: String,
    pub name: String,
}

/// One of `gateway.credentials`. Which fields count depends on the type.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Credential {
    /// `jwt`, `exchange`, `identity`, `forwarded`, `passthrough` or `none`.
    pub kind: String,
    pub ttl: Option<Duration>,
    pub claims: Vec<String>,
    pub algorithm: String,
    pub token_url: String,
    pub client_id: String,
    pub client_secret: SecretString,
    pub client_secret_file: String,
    pub audience: String,
    pub resource: String,
    pub scopes: Vec<String>,
    /// `presented` or `signed`.
    pub subject: String,
    pub subject_audience: String,
    pub ca_file: String,
    pub header: String,
    /// `gateway`, `iap`, `cloudflareAccess` or `pomerium`.
    pub style: String,
    pub issuer: String,
    pub bind_to_request: bool,
}

/// One of `gateway.exchangeRules`: who may exchange what for what (RFC 8693).
#[derive(Debug, Clone, Default, PartialEq)]
pub struct ExchangeRule {
    pub client: String,
    pub subject_issuers: Vec<String>,
    pub audiences: Vec<String>,
    pub scopes: Vec<String>,
    /// `impersonation` or `delegation`.
    pub mode: String,
}

/// One of `gateway.routes`.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Route {
    pub id: String,
    pub matches: Match,
    pub upstream: Upstreams,
    /// Names of authenticators, in the order in which they are tried.
    pub authenticate: Option<OneOrMore>,
    /// Ids of providers: sessions of others do not count.
    pub providers: Option<OneOrMore>,
    pub authorize: Option<Expression>,
    pub credential: RouteCredential,
    pub error_format: String,
    /// How many bytes of the body policies see.
    pub with_body: Option<i64>,
    /// Whether policies see the credentials of clients.
    pub expose_credentials: bool,
    pub token_responses: Option<TokenResponses>,
    pub step_up: Option<StepUp>,
    pub max_connection_age: Option<Duration>,
    /// `forwarded`, `x-remote` or `impersonate`.
    pub identity: String,
}

/// `match` of a route. What is not written matches everything.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Match {
    pub hosts: OneOrMore,
    pub path: String,
    pub methods: OneOrMore,
    pub headers: Named<ValueTest>,
    pub query: Named<ValueTest>,
    pub websocket: Option<WebSocket>,
    pub clients: OneOrMore,
}

/// `match.websocket`: a switch, or `only`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum WebSocket {
    Switch(bool),
    Word(String),
}

impl Default for WebSocket {
    fn default() -> Self {
        Self::Switch(true)
    }
}

/// `upstream` of a route: an address, or a mapping with one, or several, each with the condition under which it is taken.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Upstreams(pub Vec<RouteUpstream>);

/// Where requests of a route go.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct RouteUpstream {
    /// None: whoever comes this far.
    pub when: Option<Expression>,
    pub url: String,
    pub timeout: Option<Duration>,
    pub pass_host_header: Option<bool>,
    pub insecure_skip_verify: bool,
    pub ca_file: String,
    pub strip_prefix: String,
    pub rewrite: String,
}

/// `credential` of a route: the name alone, or a mapping.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct RouteCredential(pub CredentialUse);

/// What the application gets in place of what the client sent.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct CredentialUse {
    /// A name of `gateway.credentials`, or `forwarded`, `passthrough` or `none`.
    pub credential: String,
    pub audience: String,
    pub max_scopes: Option<Vec<String>>,
}

/// `tokenResponses` of a route.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct TokenResponses {
    pub fields: Option<Vec<String>>,
    pub cookies: Vec<String>,
    pub split_tokens: bool,
}

/// `stepUp` of a route.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct StepUp {
    pub acr: OneOrMore,
    pub max_age: Option<Duration>,
}

/// Who may: a tree of conditions.
#[derive(Debug, Clone, Default, PartialEq)]
pub enum Expression {
    /// A mapping without a key, which is a mistake.
    #[default]
    Nothing,
    All(Vec<Self>),
    Any(Vec<Self>),
    Not(Box<Self>),
    Scopes(AnyOrAll),
    Groups(AnyOrAll),
    Users(OneOrMore),
    /// Each claim by its path.
    Claims(Named<ValueTest>),
    Authenticator(OneOrMore),
    Policy(String),
    Public(bool),
}

/// The keys of an [`Expression`], one of which is written.
#[derive(Debug, Default)]
struct ExpressionKeys {
    all: Option<Vec<Expression>>,
    any: Option<Vec<Expression>>,
    not: Option<Box<Expression>>,
    scopes: Option<AnyOrAll>,
    groups: Option<AnyOrAll>,
    users: Option<OneOrMore>,
    claims: Option<Named<ValueTest>>,
    authenticator: Option<OneOrMore>,
    policy: Option<String>,
    public: Option<bool>,
}

/// Names of which any, or all, have to be there: one of the two is written.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct AnyOrAll {
    pub any: Option<Vec<String>>,
    pub all: Option<Vec<String>>,
}

/// A test of a value: the value itself, or a mapping with one of these keys.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct ValueTest {
    pub equals: Option<Scalar>,
    pub within: Option<Vec<Scalar>>,
    /// A regular expression for the whole value.
    pub matches: Option<String>,
    pub present: Option<bool>,
}

/// The keys of a [`ValueTest`].
#[derive(Debug, Default)]
struct ValueTestKeys {
    equals: Option<Scalar>,
    within: Option<Vec<Scalar>>,
    matches: Option<String>,
    present: Option<bool>,
}

/// A value to compare with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Scalar {
    Text(String),
    Int(i64),
    Bool(bool),
}

impl Default for Scalar {
    fn default() -> Self {
        Self::Text(String::new())
    }
}

/// A text, or a list of them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct OneOrMore(pub Vec<String>);

records! {
    Gateway {
        issuer: "issuer",
        error_format: "errorFormat",
        authenticators: "authenticators",
        policies: "policies",
        credentials: "credentials",
        exchange_rules: "exchangeRules",
        routes: "routes",
    }
    Authenticator {
        kind: "type",
        issuer: "issuer",
        jwks_uri: "jwksUri",
        audiences: "audiences",
        algorithms: "algorithms",
        leeway: "leeway",
        jwks_max_age: "jwksMaxAge",
        identity_source: "identitySource",
        allow_raw_token: "allowRawToken",
        typ: "typ",
        required_claims: "requiredClaims",
        user_claim: "userClaim",
        groups_claim: "groupsClaim",
        email_claim: "emailClaim",
        ca_file: "caFile",
        url: "url",
        client_id: "clientID",
        client_secret: "clientSecret",
        client_secret_file: "clientSecretFile",
        client_auth: "clientAuth",
        accept: "accept",
        cache_ttl: "cacheTtl",
        token_file: "tokenFile",
        implicit_audience: "implicitAudience",
        on_error: "onError",
        client_ca: "clientCA",
        crl_files: "crlFiles",
        allowed_names: "allowedNames",
        username_headers: "usernameHeaders",
        uid_headers: "uidHeaders",
        group_headers: "groupHeaders",
        extra_header_prefixes: "extraHeaderPrefixes",
    }
    Policy {
        kind: "type",
        files: "files",
        data: "data",
        query: "query",
        timeout: "timeout",
        url: "url",
        token_file: "tokenFile",
        ca_file: "caFile",
        cert_file: "certFile",
        key_file: "keyFile",
        cache_ttl: "cacheTtl",
        resource_attributes: "resourceAttributes",
    }
    ResourceAttributes {
        namespace: "namespace",
        verb: "verb",
        group: "group",
        version: "version",
        resource: "resource",
        subresource: "subresource",
        name: "name",
    }
    Credential {
        kind: "type",
        ttl: "ttl",
        claims: "claims",
        algorithm: "algorithm",
        token_url: "tokenURL",
        client_id: "clientID",
        client_secret: "clientSecret",
        client_secret_file: "clientSecretFile",
        audience: "audience",
        resource: "resource",
        scopes: "scopes",
        subject: "subject",
        subject_audience: "subjectAudience",
        ca_file: "caFile",
        header: "header",
        style: "style",
        issuer: "issuer",
        bind_to_request: "bindToRequest",
    }
    ExchangeRule {
        client: "client",
        subject_issuers: "subjectIssuers",
        audiences: "audiences",
        scopes: "scopes",
        mode: "mode",
    }
    Route {
        id: "id",
        matches: "match",
        upstream: "upstream",
        authenticate: "authenticate",
        providers: "providers",
        authorize: "authorize",
        credential: "credential",
        error_format: "errorFormat",
        with_body: "withBody",
        expose_credentials: "exposeCredentials",
        token_responses: "tokenResponses",
        step_up: "stepUp",
        max_connection_age: "maxConnectionAge",
        identity: "identity",
    }
    Match {
        hosts: "hosts",
        path: "path",
        methods: "methods",
        headers: "headers",
        query: "query",
        websocket: "websocket",
        clients: "clients",
    }
    RouteUpstream {
        when: "when",
        url: "url",
        timeout: "timeout",
        pass_host_header: "passHostHeader",
        insecure_skip_verify: "insecureSkipVerify",
        ca_file: "caFile",
        strip_prefix: "stripPrefix",
        rewrite: "rewrite",
    }
    CredentialUse {
        credential: "use",
        audience: "audience",
        max_scopes: "maxScopes",
    }
    TokenResponses {
        fields: "fields",
        cookies: "cookies",
        split_tokens: "splitTokens",
    }
    StepUp {
        acr: "acr",
        max_age: "maxAge",
    }
    ExpressionKeys {
        all: "all",
        any: "any",
        not: "not",
        scopes: "scopes",
        groups: "groups",
        users: "users",
        claims: "claims",
        authenticator: "authenticator",
        policy: "policy",
        public: "public",
    }
    AnyOrAll {
        any: "any",
        all: "all",
    }
    ValueTestKeys {
        equals: "equals",
        within: "in",
        matches: "matches",
        present: "present",
    }
}

impl Readable for Expression {
    fn read(&mut self, node: &Node, reader: &mut Reader<'_>) {
        let mut keys = ExpressionKeys::default();
        keys.read(node, reader);
        let ExpressionKeys { all, any, not, scopes, groups, users, claims, authenticator, policy, public } =
            keys;
        let written = [
            all.map(Self::All),
            any.map(Self::Any),
            not.map(Self::Not),
            scopes.map(Self::Scopes),
            groups.map(Self::Groups),
            users.map(Self::Users),
            claims.map(Self::Claims),
            authenticator.map(Self::Authenticator),
            policy.map(Self::Policy),
            public.map(Self::Public),
        ];
        let mut written = written.into_iter().flatten();
        *self = written.next().unwrap_or_default();
        if written.next().is_some() {
            reader.refuse(node, "a condition has one key only", "put several into a list below all or any");
        }
    }
}

impl Readable for ValueTest {
    fn read(&mut self, node: &Node, reader: &mut Reader<'_>) {
        if !matches!(node.data, Data::Mapping(_)) {
            return self.equals.read(node, reader);
        }
        let mut keys = ValueTestKeys::default();
        keys.read(node, reader);
        let ValueTestKeys { equals, within, matches, present } = keys;
        *self = Self { equals, within, matches, present };
    }
}

impl Readable for Scalar {
    fn read(&mut self, node: &Node, reader: &mut Reader<'_>) {
        *self = match &node.data {
            Data::Text(text) => Self::Text(text.clone()),
            Data::Int(number) => Self::Int(*number),
            Data::Bool(value) => Self::Bool(*value),
            Data::Null | Data::Float(_) | Data::List(_) | Data::Mapping(_) => {
                return reader.wrong_type(node, "write a text, a whole number, true or false");
            }
        };
    }
}

impl Readable for OneOrMore {
    fn read(&mut self, node: &Node, reader: &mut Reader<'_>) {
        if let Data::Text(text) = &node.data {
            self.0 = vec![text.clone()];
        } else {
            self.0.read(node, reader);
        }
    }
}

impl Readable for WebSocket {
    fn read(&mut self, node: &Node, reader: &mut Reader<'_>) {
        match &node.data {
            Data::Bool(value) => *self = Self::Switch(*value),
            Data::Text(text) => *self = Self::Word(text.clone()),
            _ => reader.wrong_type(node, "write true, false or only"),
        }
    }
}

impl Readable for Upstreams {
    fn read(&mut self, node: &Node, reader: &mut Reader<'_>) {
        match &node.data {
            Data::List(_) => self.0.read(node, reader),
            Data::Text(url) => self.0 = vec![RouteUpstream { url: url.clone(), ..RouteUpstream::default() }],
            Data::Mapping(_) => {
                let mut only = RouteUpstream::default();
                only.read(node, reader);
                self.0 = vec![only];
            }
            _ => reader.wrong_type(node, "write a URL, keys with values, or a list of them"),
        }
    }
}

impl Readable for RouteCredential {
    fn read(&mut self, node: &Node, reader: &mut Reader<'_>) {
        if let Data::Text(name) = &node.data {
            self.0.credential.clone_from(name);
        } else {
            self.0.read(node, reader);
        }
    }
}

impl Described for Expression {
    fn schema() -> Value {
        // It holds expressions itself: defined once, by `schema::definitions`.
        json!({"$ref": "#/$defs/expression"})
    }
}

impl Expression {
    /// What the reference of its schema stands for.
    pub(in crate::structured) fn definition() -> Value {
        ExpressionKeys::schema()
    }
}

impl Described for ValueTest {
    fn schema() -> Value {
        json!({"anyOf": [Scalar::schema(), ValueTestKeys::schema()]})
    }
}

impl Described for Scalar {
    fn schema() -> Value {
        json!({"type": ["string", "integer", "boolean"]})
    }
}

impl Described for OneOrMore {
    fn schema() -> Value {
        json!({"type": ["string", "array", "null"], "items": {"type": "string"}})
    }
}

impl Described for WebSocket {
    fn schema() -> Value {
        json!({"enum": [true, false, "only"]})
    }
}

impl Described for Upstreams {
    fn schema() -> Value {
        let upstream = RouteUpstream::schema();
        json!({"anyOf": [{"type": "string"}, upstream, {"type": "array", "items": upstream}]})
    }
}

impl Described for RouteCredential {
    fn schema() -> Value {
        json!({"anyOf": [{"type": "string"}, CredentialUse::schema()]})
    }
}

#[cfg(test)]
mod tests;
