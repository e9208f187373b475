//! Programs that users or operators let act for them.

use std::{fmt, time::Duration};

use aws_lc_rs::{constant_time, digest};
use base64_simd::URL_SAFE_NO_PAD;
use doorward_accounts::Scopes;
use doorward_jose::Algorithm;
use url::Url;

use super::{Config, PROXY_CLIENT};

/// A client (RFC 6749 section 2).
#[derive(Clone, Debug)]
pub struct Client {
    pub id: String,
    /// What people read in place of the id; empty: the id.
    pub name: String,
    /// Any of them proves that it is this client.
    pub secrets: Vec<ClientSecret>,
    pub generated_secret: GeneratedSecret,
    /// Absolute URIs. Those of loopback addresses over http match with any port (RFC 8252 section 7.3).
    pub redirect_uris: Vec<String>,
    pub redirect_match: RedirectMatch,
    pub consent: Consent,
    pub grant_types: Vec<GrantType>,
    pub implicit: ImplicitGrant,
    pub responses: ResponseStyle,
    pub pkce: Pkce,
    pub plain_pkce: PlainPkce,
    /// A scope has to fit one of them; none: any scope that is known.
    pub scope_restrictions: Vec<ScopeRestriction>,
    /// What it is given if it asks for nothing.
    pub default_scopes: Scopes,
    /// In place of the server's; zero: its tokens never expire.
    pub access_token_max_age: Option<Duration>,
    /// In place of the server's; zero: its tokens do not end by being unused.
    pub inactivity: Option<Duration>,
    /// In place of [`Config::signing`].
    pub id_token_alg: Option<Algorithm>,
    /// Where a logout that it asks for may lead to; exact.
    pub post_logout_redirect_uris: Vec<String>,
    /// Where it hears that a login has ended (`OpenID Connect` Back-Channel Logout 1.0 section 2.2).
    pub back_channel_logout_uri: Option<Url>,
    /// The resources (by URI) that it serves: it may ask about tokens that are meant for them.
    pub resources: Vec<String>,
    pub standing: ClientStanding,
}

/// Whether we made a secret for the client ourselves, on the first start.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum GeneratedSecret {
    /// It lies in the store under [`super::secret_name`].
    Kept,
    None,
}

/// How the redirect URI of a request is compared with the registered ones.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RedirectMatch {
    /// Letter by letter (RFC 9700 section 2.1).
    Exact,
    /// Same scheme and host; the same path or one below it; any query. As OpenShift does.
    Prefix,
}

/// Whether users are asked before a client gets a token (`grantMethod`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Consent {
    /// Nobody is asked.
    Auto,
    /// Once for each scope.
    Prompt,
    /// No user may use it.
    Deny,
}

/// What a client may come to the token endpoint with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum GrantType {
    AuthorizationCode,
    RefreshToken,
    ClientCredentials,
    /// RFC 8693. Clients have it by being named in a rule.
    TokenExchange,
}

impl GrantType {
    /// All of them, in the order in which metadata list them.
    pub const ALL: [Self; 4] =
        [Self::AuthorizationCode, Self::RefreshToken, Self::ClientCredentials, Self::TokenExchange];

    /// The name on the wire.
    pub const fn name(self) -> &'static str {
        match self {
            Self::AuthorizationCode => "authorization_code",
            Self::RefreshToken => "refresh_token",
            Self::ClientCredentials => "client_credentials",
            Self::TokenExchange => "urn:ietf:params:oauth:grant-type:token-exchange",
        }
    }
}

/// Whether a client may get tokens in the fragment of its redirect URI.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ImplicitGrant {
    Allowed,
    Refused,
}

/// How a client is told that the user has to sign in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ResponseStyle {
    /// By pages.
    Pages,
    /// By challenges, for programs without a browser (`respondWithChallenges`).
    Challenges,
}

/// Whether a client has to bind its codes to a verifier (RFC 7636).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pkce {
    Required,
    Optional,
}

/// Whether the verifier may be its own challenge.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PlainPkce {
    Allowed,
    Refused,
}

/// What a scope may be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ScopeRestriction {
    /// One of these.
    Literals(Vec<String>),
    /// `role:<name>:<namespace>[:!]` with one of these names and namespaces; `*` among them stands for any. No key of
    /// doorward.yaml makes one yet.
    Roles { names: Vec<String>, namespaces: Vec<String>, escalation: Escalation },
}

/// Whether a role scope may end with `:!`, which lets its bearer read secrets and gain more rights.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Escalation {
    Allowed,
    Refused,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ClientStanding {
    Enabled,
    /// It gets nothing any more. What it got before lasts until it is taken back or over.
    Disabled,
}

/// What is kept of a client's secret: its SHA-256. Secrets are made by machines; against guessing their length protects.
#[derive(Clone, PartialEq, Eq)]
pub struct ClientSecret([u8; 32]);

/// How the text of a hash begins.
const HASH: &str = "sha256:";

impl ClientSecret {
    pub fn of(secret: &str) -> Self {
        let mut hash = [0; 32];
        hash.copy_from_slice(digest::digest(&digest::SHA256, secret.as_bytes()).as_ref());
        Self(hash)
    }

    /// Reads what [`Self::hash`] wrote.
    pub fn from_hash(text: &str) -> Option<Self> {
        let mut hash = [0; 32];
        let decoded = URL_SAFE_NO_PAD.decode_to_vec(text.strip_prefix(HASH)?).ok()?;
        (decoded.len() == hash.len()).then(|| hash.copy_from_slice(&decoded))?;
        Some(Self(hash))
    }

    /// What a configuration may name in place of the secret.
    pub fn hash(&self) -> String {
        format!("{HASH}{}", URL_SAFE_NO_PAD.encode_to_string(self.0))
    }

    /// Whether both are of the same secret, in constant time.
    pub fn is(&self, other: &Self) -> bool {
        constant_time::verify_slices_are_equal(&self.0, &other.0).is_ok()
    }
}

impl fmt::Debug for ClientSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[secret]")
    }
}

impl Client {
    /// A client that signs users in with a code, and is asked for nothing special. It is public until a secret is added.
    pub fn new(id: &str) -> Self {
        Self {
            id: id.to_owned(),
            name: String::new(),
            secrets: Vec::new(),
            generated_secret: GeneratedSecret::None,
            redirect_uris: Vec::new(),
            redirect_match: RedirectMatch::Exact,
            consent: Consent::Auto,
            grant_types: vec![GrantType::AuthorizationCode],
            implicit: ImplicitGrant::Refused,
            responses: ResponseStyle::Pages,
            pkce: Pkce::Required,
            plain_pkce: PlainPkce::Refused,
            scope_restrictions: Vec::new(),
            default_scopes: Scopes::default(),
            access_token_max_age: None,
            inactivity: None,
            id_token_alg: None,
            post_logout_redirect_uris: Vec::new(),
            back_channel_logout_uri: None,
            resources: Vec::new(),
            standing: ClientStanding::Enabled,
        }
    }

    /// What pages call it. It proves nothing, and decides nothing.
    pub fn display_name(&self) -> &str {
        if self.name.is_empty() { &self.id } else { &self.name }
    }

    /// Whether it has no secret, so that anybody can claim to be it.
    pub fn is_public(&self) -> bool {
        self.secrets.is_empty() && self.generated_secret == GeneratedSecret::None
    }

    pub fn may_use(&self, grant: GrantType) -> bool {
        self.grant_types.contains(&grant)
    }

    pub fn is_enabled(&self) -> bool {
        self.standing == ClientStanding::Enabled
    }

    pub(super) fn check(&self, config: &Config, mistakes: &mut Vec<String>) {
        let id = &self.id;
        let printable = |byte: u8| (0x20..0x7f).contains(&byte);
        if id.is_empty() || !id.bytes().all(printable) || id.contains([':', '/', '%']) {
            mistakes.push(format!(
                "{id:?} is no client id; use printable ASCII without colon, slash and percent sign"
            ));
        }
        let adds_nothing = self.secrets.is_empty() && self.name.is_empty();
        if id == PROXY_CLIENT && !config.own_sign_in.is_empty() && adds_nothing {
            mistakes.push(format!("the client {id:?} is built in; choose another id"));
        }
        if self.is_public() && self.may_use(GrantType::ClientCredentials) {
            mistakes.push(format!(
                "the client {id:?} may use client_credentials and has no secret; give it one, or take the grant away"
            ));
        }
        for uri in &self.redirect_uris {
            if let Err(why) = check_redirect(uri) {
                mistakes.push(format!("the client {id:?} has the redirect URI {uri:?}, which {why}"));
            }
        }
        for uri in &self.post_logout_redirect_uris {
            if let Err(why) = check_redirect(uri) {
                mistakes
                    .push(format!("the client {id:?} has the post-logout redirect URI {uri:?}, which {why}"));
            }
        }
        if let Some(uri) = &self.back_channel_logout_uri
            && let Err(why) = check_back_channel(uri)
        {
            mistakes.push(format!("the client {id:?} has the back-channel logout URI {uri}, which {why}"));
        }
        if self.may_use(GrantType::TokenExchange) && !config.exchanging().contains(id.as_str()) {
            mistakes.push(format!(
                "the client {id:?} may use token exchange and no rule names it; add one to the rules, or take the \
                 grant away"
            ));
        }
        let audiences = config.exchange.rules.iter().flat_map(|rule| &rule.audiences);
        let audiences: Vec<&String> = audiences.chain(&config.exchange.audiences).collect();
        for resource in &self.resources {
            let is_known = config.resources.iter().any(|known| known.uri == *resource);
            if !is_known && !audiences.contains(&resource) {
                mistakes
                    .push(format!("the client {id:?} serves {resource:?}, which is not among the resources"));
            }
        }
    }
}

/// Somewhere that nobody on the way can keep from hearing it.
fn check_back_channel(uri: &Url) -> Result<(), &'static str> {
    if !doorward_oidc::is_safe(uri) {
        return Err("could be read and changed on the way; use https, or http within this machine");
    }
    if uri.fragment().is_some() || !uri.username().is_empty() || uri.password().is_some() {
        return Err("has a fragment or a user name; leave it out");
    }
    Ok(())
}

/// An absolute URI without fragment and user information (RFC 6749 section 3.1.2), whose path is what it seems.
fn check_redirect(uri: &str) -> Result<(), &'static str> {
    let url = Url::parse(uri).map_err(|_| "is no absolute URL; write it out in full")?;
    if uri.contains('#') {
        return Err("has a fragment; leave it out");
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err("has a user name; leave it out");
    }
    if matches!(url.scheme(), "javascript" | "data" | "vbscript" | "file" | "blob" | "about") {
        return Err("leads to no application; use https or a scheme of the application's own");
    }
    let path = uri.split('?').next().unwrap_or_default();
    if path.split('/').any(|segment| matches!(segment, "." | "..")) {
        return Err("has dot segments; write the path without them");
    }
    Ok(())
}
