//! What has to be known to run the server. Plain values; the words of `doorward.yaml` end before this point.
//! [`Config::check`] finds what does not fit together, all mistakes at once.

mod builtin;
mod client;
mod issuer;
mod provider;

use std::collections::BTreeSet;

use doorward_jose::Algorithm;

pub use self::{
    builtin::{BROWSER_CLIENT, CHALLENGING_CLIENT, CLI_CLIENT, PROXY_CLIENT, secret_name},
    client::{
        Client, ClientSecret, ClientStanding, Consent, Escalation, GeneratedSecret, GrantType, ImplicitGrant,
        Pkce, PlainPkce, RedirectMatch, ResponseStyle, ScopeRestriction,
    },
    issuer::{InvalidIssuer, Issuer},
    provider::{
        ChallengeOffer, IdentityProvider, LoginOffer, OidcClaims, OidcProvider, PasswordGrant, ProviderKind,
        RequestHeaderProvider,
    },
};

/// Everything about the server that an operator decides. How long things live is told to `doorward_accounts`.
#[derive(Clone, Debug)]
pub struct Config {
    pub issuer: Issuer,
    /// The hosts (without port, lower case) on which the endpoints are served; none: on all.
    pub hosts: Vec<String>,
    pub kubernetes_api: KubernetesApi,
    pub openshift_paths: OpenShiftPaths,
    pub implicit: Implicit,
    pub session: SessionConfig,
    pub tokens_on_logout: TokensOnLogout,
    pub provider_choice: ProviderChoice,
    pub providers: Vec<IdentityProvider>,
    /// The operator's clients. One that has the id of a built-in client adds its secrets to that client, and nothing
    /// else.
    pub clients: Vec<Client>,
    /// Scopes besides those that everybody knows.
    pub scopes: Vec<ScopeDefinition>,
    pub resources: Vec<Resource>,
    pub reviewers: Reviewers,
    pub access_reviews: AccessReviews,
    /// The algorithm for whatever names none of its own.
    pub signing: Algorithm,
    /// Where our own browser sign-in returns to (client `proxy`), one URI a host; empty: there is no such client.
    pub own_sign_in: Vec<String>,
    /// Whether users are asked before our own sign-in learns who they are.
    pub own_consent: Consent,
    /// The address of the API for the command lines on the token page, e.g. `https://api.example.com:6443`.
    pub api_server_url: String,
    /// What we call ourselves in `Warning` headers (RFC 9111 section 5.5, `warn-agent`).
    pub agent: String,
}

impl Config {
    /// A server with nothing but the built-in clients, and every default of the reference. Add at least a provider.
    pub fn new(issuer: Issuer) -> Self {
        Self {
            api_server_url: issuer.as_str().to_owned(),
            issuer,
            hosts: Vec::new(),
            kubernetes_api: KubernetesApi::Off,
            openshift_paths: OpenShiftPaths::Off,
            implicit: Implicit::ChallengingClient,
            session: SessionConfig { mode: SessionMode::Sso, cookie_name: "__Host-doorward-auth".to_owned() },
            tokens_on_logout: TokensOnLogout::Keep,
            provider_choice: ProviderChoice::WhenSeveral,
            providers: Vec::new(),
            clients: Vec::new(),
            scopes: Vec::new(),
            resources: Vec::new(),
            reviewers: Reviewers::default(),
            access_reviews: AccessReviews::default(),
            signing: Algorithm::Rs256,
            own_sign_in: Vec::new(),
            own_consent: Consent::Auto,
            agent: "doorward".to_owned(),
        }
    }

    /// Finds what does not fit together. All mistakes are told, not only the first.
    pub fn check(&self) -> Result<(), ConfigError> {
        let mut mistakes = Vec::new();
        self.check_names(&mut mistakes);
        self.check_providers(&mut mistakes);
        for client in &self.clients {
            client.check(self, &mut mistakes);
        }
        for algorithm in self.clients.iter().filter_map(|client| client.id_token_alg).chain([self.signing]) {
            if !SIGNING.contains(&algorithm) {
                mistakes.push(format!("tokens cannot be signed with {algorithm}; use RS256, ES256 or EdDSA"));
            }
        }
        if mistakes.is_empty() { Ok(()) } else { Err(ConfigError { mistakes }) }
    }

    /// The operator's clients and the built-in ones.
    pub(crate) fn all_clients(&self) -> Vec<Client> {
        builtin::all(self)
    }

    fn check_names(&self, mistakes: &mut Vec<String>) {
        let names: [(&str, Vec<&str>); 4] = [
            ("client", self.clients.iter().map(|client| client.id.as_str()).collect()),
            ("identity provider", self.providers.iter().map(|provider| provider.name.as_str()).collect()),
            ("scope", self.scopes.iter().map(|scope| scope.name.as_str()).collect()),
            ("resource", self.resources.iter().map(|resource| resource.uri.as_str()).collect()),
        ];
        for (what, names) in names {
            let mut seen = BTreeSet::new();
            for name in names {
                if !seen.insert(name) {
                    mistakes.push(format!("the {what} {name:?} is defined twice; remove one of them"));
                }
            }
        }
    }

    fn check_providers(&self, mistakes: &mut Vec<String>) {
        for provider in &self.providers {
            provider.check(mistakes);
        }
        let challenges =
            |wanted: fn(&IdentityProvider) -> bool| self.providers.iter().find(|one| wanted(one));
        if let (Some(basic), Some(redirect)) = (
            challenges(IdentityProvider::challenges_with_basic),
            challenges(IdentityProvider::challenges_with_redirect),
        ) {
            mistakes.push(format!(
                "the identity provider {:?} challenges with a password prompt and {:?} with a redirect, and a program \
                 can follow only one; take challengeURL or challenge away from one of them",
                basic.name, redirect.name
            ));
        }
    }
}

/// The algorithms that keys are made for.
const SIGNING: [Algorithm; 3] = [Algorithm::Rs256, Algorithm::Es256, Algorithm::EdDsa];

/// Why a server cannot be made of a configuration.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{}", mistakes.join("\n"))]
pub struct ConfigError {
    /// One sentence each.
    pub mistakes: Vec<String>,
}

/// Whether the paths below `/apis` that the reference names are ours (`kubernetesAPI`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KubernetesApi {
    On,
    Off,
}

/// Whether `/login`, `/logout` and `/oauth2callback/<provider>` are ours too (`openshiftPaths`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OpenShiftPaths {
    On,
    Off,
}

/// Who may use `response_type=token`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Implicit {
    /// The built-in challenging client, which fabric8 needs it for, and clients that are allowed to.
    ChallengingClient,
    /// Nobody.
    Never,
}

/// How the browser's own session at this server is kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SessionConfig {
    pub mode: SessionMode,
    /// Begins with `__Host-`, so that browsers take it over TLS and for this host alone.
    pub cookie_name: String,
}

/// How long a session at this server serves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SessionMode {
    /// Further clients need no further login.
    Sso,
    /// It ends with the flow it was opened for, as OpenShift does.
    PerFlow,
}

/// What becomes of the tokens of a session that ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TokensOnLogout {
    Keep,
    Revoke,
}

/// When the page to choose an identity provider is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ProviderChoice {
    WhenSeveral,
    Always,
}

/// A scope of the operator's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ScopeDefinition {
    pub name: String,
    /// For the page that asks for consent, in the words of those who read it.
    pub description: String,
    /// What can go wrong if it is given to the wrong client; empty: nothing to say.
    pub warning: String,
}

/// An API that tokens can be asked for (RFC 8707).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Resource {
    /// What clients name it by, and what becomes the audience.
    pub uri: String,
    /// The scopes that make sense there.
    pub scopes: Vec<String>,
    pub format: TokenFormat,
}

/// The form of an access token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TokenFormat {
    /// A random text; whoever gets it asks us.
    Opaque,
    /// A signed statement (RFC 9068), which is believed until it expires.
    Jwt,
}

/// Who may have tokens and permissions of others judged (`tokenreviews`, `subjectaccessreviews`).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Reviewers {
    pub users: Vec<String>,
    pub groups: Vec<String>,
}

impl Reviewers {
    /// Whether this user is one of them. Nobody is, unless named; who is anonymous never is.
    pub fn include(&self, user: &doorward_core::UserInfo) -> bool {
        !user.is_anonymous()
            && (self.users.contains(&user.name)
                || user.groups.iter().any(|group| self.groups.contains(group)))
    }
}

/// What access reviews are answered with: whoever is a member of one of these groups may do everything, nobody else
/// anything.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AccessReviews {
    pub all_allowed: Vec<String>,
}
