//! The built-in OAuth server: `authServer` of doorward.yaml, and what the options say of our own sign-in. [`plan`] checks
//! all that can be checked without the store; [`open`](open::open) opens the store and makes the server.

mod clients;
mod issuer;
mod open;
mod providers;
mod records;

use std::time::Duration;

use doorward_accounts::{LEAST_INACTIVITY, Rules, Scopes};
use doorward_authn::chain::Naming;
use doorward_core::SecretString;
use doorward_jose::Algorithm;
use doorward_oauth::{
    Config,
    config::{
        Client, Consent, Implicit, KubernetesApi, OpenShiftPaths, ProviderChoice, Resource, Reviewers,
        ScopeDefinition, SessionConfig, SessionMode, TokenFormat, TokensOnLogout,
    },
};
use doorward_oidc::{EmailVerification, NonceCheck, Pkce, ProviderKind};
use doorward_options::{
    Options,
    structured::{
        Oidc, Provider, Structured,
        own::{self, AuthServer, Own},
    },
};

use self::{issuer::Addresses, providers::Planned, records::records};
pub(crate) use self::{
    open::{KeptAccounts, Opened, open, open_accounts, open_records},
    records::RecordsPlan,
};
use super::{Form, gateway, problems::Problems};

/// The name by which `--provider` asks for the built-in server.
pub(crate) const PROVIDER: &str = "doorward";
/// The id of our own sign-in at the built-in server.
pub(crate) use doorward_oauth::config::PROXY_CLIENT;

/// Who signs people in at the proxy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum SignInAt {
    BuiltIn,
    Elsewhere,
    /// Nobody signs in: routes know their callers by what each request brings.
    Nowhere,
}

impl SignInAt {
    /// What people are called whom a session describes.
    pub(crate) const fn naming(self) -> Naming {
        match self {
            Self::BuiltIn => Naming::Preferred,
            Self::Elsewhere | Self::Nowhere => Naming::Address,
        }
    }
}

/// The server as configured, nothing of it opened.
#[derive(Debug)]
pub(crate) struct Plan {
    /// Without its identity providers.
    config: Config,
    providers: Vec<Planned>,
    records: RecordsPlan,
    rules: Rules,
    first_user: FirstUser,
}

impl Plan {
    /// The same server with records that nobody knows of, asking nobody.
    pub(crate) fn rehearsed(self) -> Self {
        Self { records: RecordsPlan::passing(), providers: Vec::new(), first_user: FirstUser::None, ..self }
    }

    /// What looks at the certificates of clients.
    pub(crate) fn wants_client_certificates(&self) -> Option<&str> {
        self.providers.iter().find(|planned| planned.wants_client_certificates()).map(Planned::place)
    }

    /// What looks at the certificates of front proxies.
    pub(crate) fn wants_proxy_certificates(&self) -> Option<&str> {
        self.providers.iter().find(|planned| planned.wants_proxy_certificates()).map(Planned::place)
    }

    /// Our own sign-in at the server, but for the secret and the way there. `first` is the provider as it is written.
    pub(crate) fn own_provider(&self, options: &Options, first: Option<&Provider>) -> doorward_oidc::Config {
        let issuer = &self.config.issuer;
        // Sessions that are refreshed need a token for that.
        let offline = if options.cookie_refresh.is_zero() { "" } else { " offline_access" };
        let name = first.map(|first| first.name.clone()).filter(|name| !name.is_empty());
        doorward_oidc::Config {
            kind: ProviderKind::Doorward,
            display_name: name.unwrap_or_else(|| ProviderKind::Doorward.defaults().name.to_owned()),
            scope: format!("openid email profile groups{offline}"),
            nonce: NonceCheck::Required,
            pkce: Pkce::S256,
            validate_url: Some(issuer.at("/oauth/userinfo")),
            email_verification: if options.insecure_oidc_allow_unverified_email {
                EmailVerification::Ignored
            } else {
                EmailVerification::Required
            },
            ..doorward_oidc::Config::new(issuer.as_str().to_owned(), PROXY_CLIENT.to_owned())
        }
    }

    /// How it calls itself.
    pub(crate) fn issuer(&self) -> &str {
        self.config.issuer.as_str()
    }

    /// The hosts on which it answers; none: on all.
    pub(crate) fn hosts(&self) -> &[String] {
        &self.config.hosts
    }

    /// The gateway signs with these, with keys of its own.
    pub(crate) fn keep_keys_for_gateway(&mut self, algorithms: &[Algorithm]) {
        self.rules = with_gateway_keys(self.rules.clone(), algorithms);
    }

    /// Whether browsers reach the server over TLS.
    pub(crate) fn is_https(&self) -> bool {
        self.config.issuer.is_https()
    }

    /// Whether people may sign in of whom the operator has no list.
    pub(crate) fn admits_strangers(&self) -> bool {
        self.providers.iter().any(Planned::admits_strangers)
    }
}

/// Whether there has to be a user from the first start on.
#[derive(Clone, Debug)]
enum FirstUser {
    None,
    /// With this password, or a random one that is printed.
    Admin(Option<SecretString>),
}

/// Who is to sign people in: the built-in server if it is named, or if there is a doorward.yaml and no provider.
pub(crate) fn sign_in_at(
    structured: &Structured,
    form: Form,
    own: Option<&Own>,
    problems: &Problems<'_>,
) -> SignInAt {
    let is_off =
        own.and_then(|own| own.auth_server.as_ref()).and_then(|server| server.enabled) == Some(false);
    let is_open = own.is_some() && !is_off;
    let server = own.and_then(|own| own.auth_server.as_ref()).filter(|_| is_open);
    // The configured provider is asked by the built-in server, in place of the proxy.
    if server.is_some_and(providers::asks_configured) {
        return SignInAt::BuiltIn;
    }
    if own.is_some_and(gateway::stands_alone) && asks_for_no_sign_in(structured, form, problems) {
        return SignInAt::Nowhere;
    }
    let is_ours = match form {
        Form::Flat if problems.is_set("provider") => structured.providers.iter().any(is_named),
        Form::Flat => is_open && !PROVIDER_OPTIONS.into_iter().any(|option| problems.is_set(option)),
        Form::Structured => structured.providers.first().map_or(is_open, is_named),
    };
    if is_ours { SignInAt::BuiltIn } else { SignInAt::Elsewhere }
}

/// Whether nothing beside `gateway` is about people who sign in: no provider, and no application that needs one.
fn asks_for_no_sign_in(structured: &Structured, form: Form, problems: &Problems<'_>) -> bool {
    let is_asked = match form {
        Form::Flat => {
            PROVIDER_OPTIONS.into_iter().chain(SIGN_IN_OPTIONS).any(|option| problems.is_set(option))
        }
        Form::Structured => {
            !structured.providers.is_empty()
                || SIGN_IN_OPTIONS.into_iter().any(|option| problems.is_set(option))
        }
    };
    !is_asked && structured.upstreams.upstreams.is_empty()
}

/// Whoever sets one of these wants people or tokens to be known apart from routes. An upstream that cannot be read is one
/// too.
const SIGN_IN_OPTIONS: [&str; 5] =
    ["provider", "htpasswd-file", "skip-jwt-bearer-tokens", "extra-jwt-issuers", "upstream"];

/// Whoever sets one of these has a provider.
const PROVIDER_OPTIONS: [&str; 4] = ["client-id", "client-secret", "client-secret-file", "oidc-issuer-url"];

/// The provider as it is written, where the built-in server is it: who is admitted stands there.
pub(crate) fn first(structured: &Structured) -> Provider {
    let written = structured.providers.first().cloned().unwrap_or_default();
    let oidc = Oidc { skip_discovery: true, ..written.oidc };
    Provider { provider: PROVIDER.to_owned(), client_id: PROXY_CLIENT.to_owned(), oidc, ..written }
}

fn is_named(provider: &Provider) -> bool {
    provider.provider == PROVIDER
}

/// What is configured apart from the file.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Surroundings<'a> {
    pub(crate) options: &'a Options,
    pub(crate) structured: &'a Structured,
    pub(crate) sign_in: SignInAt,
    /// Whether users are asked before our own sign-in learns who they are.
    pub(crate) consent: Consent,
}

/// Checks the configuration of the server; `Some(None)` if there is to be none.
#[expect(clippy::option_option, reason = "outer: did it work; inner: is there a server")]
pub(crate) fn plan(
    own: Option<&Own>,
    around: Surroundings<'_>,
    problems: &mut Problems<'_>,
) -> Option<Option<Plan>> {
    let nothing = AuthServer::default();
    let written = own.and_then(|own| own.auth_server.as_ref());
    match (written.and_then(|server| server.enabled), around.sign_in) {
        (Some(false), SignInAt::BuiltIn) => {
            let message = "the built-in server is off, and people are to sign in with it";
            problems.add("authServer.enabled", message, "write true, or configure another provider");
            return None;
        }
        (Some(false), SignInAt::Elsewhere) | (_, SignInAt::Nowhere) => return Some(None),
        (None, SignInAt::Elsewhere) => {
            if written.is_some() {
                problems.notice(
                    "The built-in OAuth server is off, because another provider signs people in. \
                     authServer.enabled: true switches it on.",
                );
            }
            return Some(None);
        }
        (Some(true), _) | (None, SignInAt::BuiltIn) => (),
    }
    let server = written.unwrap_or(&nothing);
    if is_below(&around.options.proxy_prefix, "/oauth") {
        let message = "the built-in OAuth server has its endpoints below /oauth";
        problems.add("proxy-prefix", message, "write another prefix, such as /oauth2");
    }
    let before = problems.count();
    let addresses = issuer::addresses(server, around, problems);
    let records = records(server, problems);
    let signing = algorithm("authServer.signingAlgorithm", &server.signing_algorithm, problems);
    let rules = rules(server, problems);
    let (providers, first_user) = providers::plan(server, around, problems);
    let clients = clients::clients(server, problems);
    let issuer = addresses.as_ref().map(|addresses| addresses.issuer.as_str().to_owned());
    let config = addresses.and_then(|addresses| config(server, addresses, problems));
    let exchange = gateway::exchange(own, issuer.as_deref(), problems);
    if problems.count() > before {
        return None;
    }
    let signing = signing?.unwrap_or(Algorithm::Rs256);
    let rules = with_keys(&rules, signing, &clients);
    // A mistake in it is told where the pages of the proxy are made.
    let page_language = around.options.page_language.parse().unwrap_or_default();
    let config = Config { clients, signing, page_language, own_consent: around.consent, exchange, ..config? };
    let sketches = providers.iter().map(Planned::sketch).collect();
    if let Err(error) = (Config { providers: sketches, ..config.clone() }).check() {
        for mistake in &error.mistakes {
            let (message, mend) = mistake.rsplit_once("; ").unwrap_or((mistake, "correct it"));
            problems.add(&place_of(mistake, server, &config), message, mend);
        }
        return None;
    }
    let plan = Plan { config, providers, records: records?, rules, first_user };
    Some(Some(plan))
}

/// Where in the file a mistake stands: the sentence names what it is about. Of two of a name, the second is meant.
fn place_of(mistake: &str, server: &AuthServer, config: &Config) -> String {
    let is_about = |what: &str, name: &str| mistake.contains(&format!("{what} {name:?}"));
    if mistake.starts_with("a rule for token exchange") {
        let mut rules = config.exchange.rules.iter();
        let rule = rules.position(|rule| is_about("client", &rule.client)).unwrap_or_default();
        return format!("gateway.exchangeRules[{rule}]");
    }
    let client = server.clients.iter().rposition(|client| is_about("client", &client.id));
    let provider = server.identity_providers.iter().rposition(|provider| {
        is_about("identity provider", &provider.name)
            || mistake.starts_with(&format!("{:?} is no name", provider.name))
    });
    match (client, provider) {
        (Some(index), _) => format!("authServer.clients[{index}]"),
        (None, Some(index)) => format!("authServer.identityProviders[{index}]"),
        (None, None) if mistake.contains("cookie") => "authServer.session.cookieName".to_owned(),
        (None, None) if mistake.contains("resource") => "authServer.resources".to_owned(),
        (None, None) if mistake.contains("scope") => "authServer.scopes".to_owned(),
        (None, None) => "authServer".to_owned(),
    }
}

/// Whether `path` is `top` or lies below it.
fn is_below(path: &str, top: &str) -> bool {
    path.strip_prefix(top).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

/// The rules with all that is signed: ID tokens live for an hour, signed access tokens as long as any access token.
fn with_keys(rules: &Rules, signing: Algorithm, clients: &[Client]) -> Rules {
    let mut algorithms = Vec::new();
    let of_clients = clients.iter().filter_map(|client| client.id_token_alg);
    // RS256 is there in any case (OpenID Connect Core section 15.1).
    for algorithm in [signing].into_iter().chain(of_clients).chain([Algorithm::Rs256]) {
        if !algorithms.contains(&algorithm) {
            algorithms.push(algorithm);
        }
    }
    let of_clients = clients.iter().filter_map(|client| client.access_token_max_age);
    let longest_signed = of_clients.chain([rules.access, Duration::from_hours(1)]).max().unwrap_or_default();
    Rules { algorithms, longest_signed, ..rules.clone() }
}

/// The rules with what the gateway signs with.
pub(crate) fn with_gateway_keys(mut rules: Rules, algorithms: &[Algorithm]) -> Rules {
    for algorithm in algorithms {
        if !rules.gateway_algorithms.contains(algorithm) {
            rules.gateway_algorithms.push(*algorithm);
        }
    }
    rules
}

/// Where the records are and by which rules they change, for commands that work on them without a server.
pub(crate) fn for_commands(server: &AuthServer, problems: &mut Problems<'_>) -> Option<(RecordsPlan, Rules)> {
    let before = problems.count();
    let records = records(server, problems);
    let signing = algorithm("authServer.signingAlgorithm", &server.signing_algorithm, problems);
    let clients = clients::clients(server, problems);
    let rules = rules(server, problems);
    let rules = with_keys(&rules, signing?.unwrap_or(Algorithm::Rs256), &clients);
    (problems.count() == before).then_some((records?, rules))
}

fn config(server: &AuthServer, addresses: Addresses, problems: &mut Problems<'_>) -> Option<Config> {
    let implicit = match server.implicit.as_str() {
        "" | "challengingClient" => Some(Implicit::ChallengingClient),
        "never" => Some(Implicit::Never),
        _ => unknown("authServer.implicit", "write challengingClient or never", problems),
    };
    let mode = match server.session.mode.as_str() {
        "" | "sso" => Some(SessionMode::Sso),
        "perFlow" => Some(SessionMode::PerFlow),
        _ => unknown("authServer.session.mode", "write sso or perFlow", problems),
    };
    let resources = resources(server, problems);
    let mut config = Config::new(addresses.issuer);
    if !server.session.cookie_name.is_empty() {
        config.session.cookie_name.clone_from(&server.session.cookie_name);
    }
    if !server.api_server_url.is_empty() {
        config.api_server_url.clone_from(&server.api_server_url);
    }
    let session = SessionConfig { mode: mode?, ..config.session };
    let scopes = server.scopes.iter().map(|own::Scope { name, description, warning }| ScopeDefinition {
        name: name.clone(),
        description: description.clone(),
        warning: warning.clone(),
    });
    Some(Config {
        hosts: addresses.hosts,
        own_sign_in: addresses.own_sign_in,
        own_targets: addresses.own_targets,
        kubernetes_api: if server.kubernetes_api { KubernetesApi::On } else { KubernetesApi::Off },
        openshift_paths: if server.openshift_paths { OpenShiftPaths::On } else { OpenShiftPaths::Off },
        implicit: implicit?,
        session,
        tokens_on_logout: if server.revoke_tokens_on_logout {
            TokensOnLogout::Revoke
        } else {
            TokensOnLogout::Keep
        },
        provider_choice: if server.always_show_provider_selection {
            ProviderChoice::Always
        } else {
            ProviderChoice::WhenSeveral
        },
        scopes: scopes.collect(),
        resources: resources?,
        reviewers: Reviewers {
            users: server.reviewers.users.clone(),
            groups: server.reviewers.groups.clone(),
        },
        ..config
    })
}

pub(crate) fn unknown<T>(place: &str, mend: &str, problems: &mut Problems<'_>) -> Option<T> {
    problems.add(place, "there is no such value", mend);
    None
}

/// `Some(None)` if nothing is written.
#[expect(clippy::option_option, reason = "outer: did it work; inner: is there one")]
fn algorithm(place: &str, text: &str, problems: &mut Problems<'_>) -> Option<Option<Algorithm>> {
    match text {
        "" => Some(None),
        "RS256" => Some(Some(Algorithm::Rs256)),
        "ES256" => Some(Some(Algorithm::Es256)),
        "EdDSA" => Some(Some(Algorithm::EdDsa)),
        _ => unknown(place, "write RS256, ES256 or EdDSA", problems),
    }
}

fn resources(server: &AuthServer, problems: &mut Problems<'_>) -> Option<Vec<Resource>> {
    let mut resources = Vec::new();
    for (uri, resource) in server.resources.iter() {
        let place = format!("authServer.resources.{uri}.format");
        let format = match resource.format.as_str() {
            "" | "opaque" => TokenFormat::Opaque,
            "jwt" => TokenFormat::Jwt,
            _ => return unknown(&place, "write opaque or jwt", problems),
        };
        resources.push(Resource { uri: uri.to_owned(), scopes: resource.scopes.clone(), format });
    }
    Some(resources)
}

/// How long tokens and sessions live.
fn rules(server: &AuthServer, problems: &mut Problems<'_>) -> Rules {
    let usual = Rules::default();
    let own::Tokens {
        access_max_age,
        authorize_max_age,
        inactivity,
        refresh_idle,
        refresh_max,
        refresh_grace,
    } = &server.tokens;
    let own::LoginSession { idle, max, .. } = &server.session;
    for (place, given) in [
        ("authServer.tokens.accessMaxAge", access_max_age),
        ("authServer.tokens.authorizeMaxAge", authorize_max_age),
        ("authServer.tokens.refreshIdle", refresh_idle),
        ("authServer.tokens.refreshMax", refresh_max),
        ("authServer.session.idle", idle),
        ("authServer.session.max", max),
    ] {
        if given.is_some_and(|given| given < Duration::from_secs(1)) {
            let message = "nothing would be valid for so short a time";
            problems.add(
                place,
                message,
                "write a longer time, such as 1h; only clients may have endless tokens",
            );
        }
    }
    inactivity_is_sound("authServer.tokens.inactivity", *inactivity, problems);
    Rules {
        access: access_max_age.unwrap_or(usual.access),
        code: authorize_max_age.unwrap_or(usual.code),
        inactivity: inactivity.unwrap_or(usual.inactivity),
        refresh_idle: refresh_idle.unwrap_or(usual.refresh_idle),
        refresh_absolute: refresh_max.unwrap_or(usual.refresh_absolute),
        refresh_grace: refresh_grace.unwrap_or(usual.refresh_grace),
        session_idle: idle.unwrap_or(usual.session_idle),
        session_absolute: max.unwrap_or(usual.session_absolute),
        ..usual
    }
}

fn inactivity_is_sound(place: &str, inactivity: Option<Duration>, problems: &mut Problems<'_>) {
    if inactivity.is_some_and(|time| !time.is_zero() && time < LEAST_INACTIVITY) {
        let message =
            format!("tokens cannot end after less than {} seconds unused", LEAST_INACTIVITY.as_secs());
        problems.add(place, message, "write a longer time, or 0 for no such limit");
    }
}

/// A list of scopes.
fn scopes(place: &str, written: &[String], problems: &mut Problems<'_>) -> Option<Scopes> {
    let mend = "write names without blanks, quotes and backslashes, each an item of the list";
    problems.take(place, Scopes::parse(&written.join(" ")), mend)
}
