//! What has to be known to run the server. Plain values; the words of `doorward.yaml` end before this point.
//! [`Config::check`] finds what does not fit together, all mistakes at once.

mod builtin;
mod client;
mod exchange;
mod issuer;
mod provider;

use std::{collections::BTreeSet, sync::Arc};

use doorward_accounts::Scopes;
use doorward_jose::Algorithm;
use doorward_template::words::PageLanguage;
use url::Url;

use crate::scope;

pub use self::{
    builtin::{BROWSER_CLIENT, CHALLENGING_CLIENT, CLI_CLIENT, PROXY_CLIENT, is_built_in, secret_name},
    client::{
        Client, ClientSecret, ClientStanding, Consent, Escalation, GeneratedSecret, GrantType, ImplicitGrant,
        Pkce, PlainPkce, RedirectMatch, ResponseStyle, ScopeRestriction,
    },
    exchange::{ExchangeMode, ExchangeRule, SubjectIssuer},
    issuer::{InvalidIssuer, Issuer},
    provider::{
        ChallengeOffer, IdentityProvider, LoginOffer, OidcClaims, OidcProvider, PasswordGrant, ProviderKind,
        RequestHeaderProvider,
    },
};

pub(crate) use self::exchange::{Granted, NoRule, Wanted, choose};

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
    /// The language of the pages.
    pub page_language: PageLanguage,
    pub provider_choice: ProviderChoice,
    pub providers: Vec<IdentityProvider>,
    /// The operator's clients. One that has the id of a built-in client adds its secrets and its name to that client,
    /// and nothing else.
    pub clients: Vec<Client>,
    /// Scopes besides those that everybody knows.
    pub scopes: Vec<ScopeDefinition>,
    pub resources: Vec<Resource>,
    pub reviewers: Reviewers,
    pub access_reviews: AccessReviews,
    pub exchange: Exchange,
    /// The algorithm for whatever names none of its own.
    pub signing: Algorithm,
    /// Where our own browser sign-in returns to (client `proxy`), one URI a host; empty: there is no such client.
    pub own_sign_in: Vec<String>,
    /// Where our own sign-in may lead to afterwards besides there, as sources of a content security policy, e.g.
    /// `http://*.example.com`: browsers stop a form whose redirects leave them.
    pub own_targets: Vec<String>,
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
            page_language: PageLanguage::default(),
            provider_choice: ProviderChoice::WhenSeveral,
            providers: Vec::new(),
            clients: Vec::new(),
            scopes: Vec::new(),
            resources: Vec::new(),
            reviewers: Reviewers::default(),
            access_reviews: AccessReviews::default(),
            exchange: Exchange::default(),
            signing: Algorithm::Rs256,
            own_sign_in: Vec::new(),
            own_targets: Vec::new(),
            own_consent: Consent::Auto,
            agent: "doorward".to_owned(),
        }
    }

    /// Finds what does not fit together. All mistakes are told, not only the first.
    pub fn check(&self) -> Result<(), ConfigError> {
        let mut mistakes = Vec::new();
        self.check_names(&mut mistakes);
        self.check_providers(&mut mistakes);
        self.check_words(&mut mistakes);
        for client in &self.clients {
            client.check(self, &mut mistakes);
            if let Err(why) = scope::granted(self, client, Scopes::default()) {
                mistakes
                    .push(format!("the client {:?} has default scopes that it cannot get: {why}", client.id));
            }
        }
        for rule in &self.exchange.rules {
            rule.check(self, &mut mistakes);
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

    fn check_words(&self, mistakes: &mut Vec<String>) {
        let named = self.scopes.iter().map(|scope| &scope.name);
        for name in named.chain(self.resources.iter().flat_map(|resource| &resource.scopes)) {
            if !Scopes::from_names([name.as_str()]).is_ok_and(|scopes| !scopes.is_empty()) {
                mistakes.push(format!(
                    "{name:?} is no scope; use printable ASCII without blank, quotation mark and backslash"
                ));
            }
        }
        for Resource { uri, .. } in &self.resources {
            if Url::parse(uri).is_err() || uri.contains('#') {
                mistakes
                    .push(format!("the resource {uri:?} is no absolute URI without a fragment; write one"));
            }
        }
        let cookie = &self.session.cookie_name;
        let is_letter = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
        if !cookie.starts_with("__Host-") || !cookie.bytes().all(is_letter) {
            mistakes.push(format!(
                "the session cookie cannot be named {cookie:?}; use __Host- and letters, digits, -, _ and ."
            ));
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
/// anything. No key of doorward.yaml names a group yet, so the answer is always no.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AccessReviews {
    pub all_allowed: Vec<String>,
}

/// Token exchange (RFC 8693): nobody exchanges anything without a rule.
#[derive(Clone, Debug, Default)]
pub struct Exchange {
    /// Who signs what comes of it; without rules nobody is needed.
    pub issuer: Option<Arc<doorward_gateway::Issuer>>,
    /// In order: of several that allow what is asked for, the first counts.
    pub rules: Vec<ExchangeRule>,
    /// Whose tokens may be presented besides our own, where a rule says so.
    pub issuers: Vec<TrustedIssuer>,
    /// Whom tokens of the gateway are made out to besides the resources. Clients may serve these too.
    pub audiences: Vec<String>,
}

/// An issuer of signed tokens elsewhere.
#[derive(Clone, Debug)]
pub struct TrustedIssuer {
    /// What rules call it.
    pub name: String,
    /// Of the kind that judges signed tokens.
    pub authenticator: Arc<doorward_authn::gateway::Authenticator>,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::config;

    /// The mistakes of the test configuration after `change`.
    fn mistakes(change: impl FnOnce(&mut Config)) -> Vec<String> {
        let mut config = config();
        change(&mut config);
        config.check().err().map(|error| error.mistakes).unwrap_or_default()
    }

    fn provider(name: &str) -> IdentityProvider {
        IdentityProvider {
            name: name.to_owned(),
            login: LoginOffer::Offered,
            challenge: ChallengeOffer::Offered,
            mapping: doorward_accounts::MappingMethod::Claim,
            kind: ProviderKind::Static,
        }
    }

    #[test]
    fn what_does_not_fit_together_is_told_with_its_mend() {
        type Change = fn(&mut Config);
        let cases: [(Change, &str); 17] = [
            (
                |config| config.clients[1].default_scopes = Scopes::parse("nonsense").unwrap(),
                "unknown scopes: nonsense",
            ),
            (|config| config.clients.push(Client::new("web")), "the client \"web\" is defined twice"),
            (|config| config.clients.push(Client::new("a/b")), "no client id"),
            (|config| config.clients.push(Client::new("")), "no client id"),
            (|config| config.clients.push(Client::new("proxy")), "built in"),
            (|config| config.clients[1].grant_types.push(GrantType::ClientCredentials), "has no secret"),
            (|config| config.clients[1].redirect_uris.push("/cb".to_owned()), "no absolute URL"),
            (|config| config.clients[1].redirect_uris.push("https://a/#x".to_owned()), "fragment"),
            (|config| config.clients[1].redirect_uris.push("https://u@a/".to_owned()), "user name"),
            (
                |config| config.clients[1].redirect_uris.push("javascript:alert(1)".to_owned()),
                "no application",
            ),
            (|config| config.clients[1].redirect_uris.push("https://a/b/../c".to_owned()), "dot segments"),
            (|config| config.clients[1].post_logout_redirect_uris.push("bye".to_owned()), "post-logout"),
            (|config| config.clients[1].resources.push("https://x".to_owned()), "not among the resources"),
            (|config| config.clients[1].id_token_alg = Some(Algorithm::Hs256), "cannot be signed with HS256"),
            (|config| config.resources[0].uri = "orders".to_owned(), "no absolute URI"),
            (|config| config.scopes[0].name = "orders read".to_owned(), "no scope"),
            (|config| config.session.cookie_name = "session".to_owned(), "cannot be named"),
        ];
        for (change, expected) in cases {
            let found = mistakes(change);
            assert!(found.iter().any(|mistake| mistake.contains(expected)), "{expected}: {found:?}");
        }
        assert_eq!(mistakes(|_| ()), Vec::<String>::new());
    }

    #[test]
    fn providers_have_names_of_their_own_and_challenge_in_one_way() {
        let of = |providers: Vec<IdentityProvider>| mistakes(|config| config.providers = providers).len();
        assert_eq!(of(vec![provider("local"), provider("other")]), 0);
        assert_eq!(of(vec![provider("local"), provider("local")]), 1);
        for name in ["", "a/b", "a:b", "a%b", "..", "a b"] {
            assert_eq!(of(vec![provider(name)]), 1, "{name:?}");
        }
    }

    #[test]
    fn built_in_clients_are_made_anew_and_keep_secrets_of_the_operator() {
        let mut config = config();
        let evil = Client {
            secrets: vec![ClientSecret::of("more")],
            name: "Tokens".to_owned(),
            redirect_uris: vec!["https://evil.example".to_owned()],
            ..Client::new(BROWSER_CLIENT)
        };
        config.clients.push(evil);
        let clients = config.all_clients();
        let browser = clients.iter().find(|client| client.id == BROWSER_CLIENT).unwrap();
        assert_eq!(browser.redirect_uris, ["https://auth.example.com/oauth/token/display"]);
        assert_eq!(browser.secrets, [ClientSecret::of("more")]);
        assert_eq!(browser.display_name(), "Tokens");
        let ids: Vec<&str> = clients.iter().map(|client| client.id.as_str()).collect();
        assert_eq!(ids[..4], [BROWSER_CLIENT, CHALLENGING_CLIENT, CLI_CLIENT, PROXY_CLIENT]);
        assert_eq!(clients[1].display_name(), CHALLENGING_CLIENT);
    }

    #[test]
    fn our_own_sign_in_is_called_by_the_host_that_people_see() {
        for (returns, name) in [
            (&["https://app.example.com/oauth2/callback"][..], "app.example.com"),
            (&["https://a.example.com/cb", "https://b.example.com/cb"], "auth.example.com"),
        ] {
            let mut config = config();
            config.own_sign_in = returns.iter().map(|&uri| uri.to_owned()).collect();
            let named = |config: &Config| {
                let clients = config.all_clients();
                clients.iter().find(|client| client.id == PROXY_CLIENT).unwrap().display_name().to_owned()
            };
            assert_eq!(named(&config), name);
            config.clients.push(Client { name: "The wiki".to_owned(), ..Client::new(PROXY_CLIENT) });
            assert_eq!(config.check(), Ok(()));
            assert_eq!(named(&config), "The wiki");
        }
    }
}
