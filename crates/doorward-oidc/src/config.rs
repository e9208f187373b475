//! What has to be known about a provider. Plain values; the words of the options end before this point.

use std::{path::PathBuf, sync::Arc, time::Duration};

use doorward_core::{SecretString, pattern::PathPattern};
use doorward_jose::{Algorithm, ClientKey, signing::LEAST_SECRET_BYTES};

use crate::{
    client_authentication::ClientAuth,
    discovery::{self, ConnectError},
    http::{self, HttpConfig},
    provider::read_pem_files,
    vendor::{self, Azure, Bitbucket, EntraId, GitHub, GitLab, Google},
};

/// Everything that describes one provider and our registration there.
#[derive(Clone, Debug, PartialEq)]
pub struct Config {
    pub kind: ProviderKind,
    /// What the sign-in page calls the provider.
    pub display_name: String,
    /// The issuer as written; compared letter by letter with discovery and tokens.
    pub issuer: String,
    pub client_id: String,
    pub client_authentication: ClientAuthentication,
    /// The scopes to ask for, separated by blanks.
    pub scope: String,
    pub discovery: Discovery,
    /// The four endpoints. What discovery says about the first three goes before what is written here.
    pub login_url: Option<String>,
    pub redeem_url: Option<String>,
    pub profile_url: Option<String>,
    pub validate_url: Option<String>,
    pub keys: KeySource,
    pub issuer_check: IssuerCheck,
    pub nonce: NonceCheck,
    pub email_verification: EmailVerification,
    /// The claim that holds the e-mail address, usually `email`; a dotted path is allowed.
    pub email_claim: String,
    /// The claim that holds the groups, usually `groups`; a dotted path is allowed.
    pub groups_claim: String,
    /// The claims that name the audience, in order; the first that exists decides. Usually `aud`.
    pub audience_claims: Vec<String>,
    /// Audiences accepted besides the client id.
    pub extra_audiences: Vec<String>,
    /// Accepted signature algorithms; empty: what discovery lists, else RS256.
    pub enabled_algorithms: Vec<Algorithm>,
    pub profile_claims: ProfileClaims,
    pub pkce: Pkce,
    pub pushed_requests: PushedRequests,
    /// Binds all tokens to this key (RFC 9449), which the provider has to offer. Who holds the tokens alone cannot use
    /// them. Instances that share sessions share the key.
    pub dpop: Option<Arc<ClientKey>>,
    pub strength: LoginStrength,
    /// `response_mode` of the authorization request, if another than the default is wanted.
    pub response_mode: Option<String>,
    /// Further parameters of the authorization request (`approval_prompt`, `prompt`, `acr_values`).
    /// They never replace a parameter of the protocol itself.
    pub login_parameters: Vec<LoginParameter>,
    /// Further claims to keep in the identity.
    pub additional_claims: Vec<String>,
    /// Called at sign-out, with `{id_token}` replaced.
    pub backend_logout_url: Option<String>,
    pub http: HttpConfig,
}

impl Config {
    /// A public client of a standard provider that is discovered, with every check on.
    pub fn new(issuer: String, client_id: String) -> Self {
        Self {
            kind: ProviderKind::Oidc,
            display_name: String::new(),
            issuer,
            client_id,
            client_authentication: ClientAuthentication::Public,
            scope: String::new(),
            discovery: Discovery::Fetch,
            login_url: None,
            redeem_url: None,
            profile_url: None,
            validate_url: None,
            keys: KeySource::Discovered,
            issuer_check: IssuerCheck::Exact,
            nonce: NonceCheck::Required,
            email_verification: EmailVerification::Required,
            email_claim: "email".to_owned(),
            groups_claim: "groups".to_owned(),
            audience_claims: vec!["aud".to_owned()],
            extra_audiences: Vec::new(),
            enabled_algorithms: Vec::new(),
            profile_claims: ProfileClaims::Fetch,
            pkce: Pkce::Auto,
            pushed_requests: PushedRequests::WhereRequired,
            dpop: None,
            strength: LoginStrength::default(),
            response_mode: None,
            login_parameters: Vec::new(),
            additional_claims: Vec::new(),
            backend_logout_url: None,
            http: HttpConfig::default(),
        }
    }

    /// Finds mistakes that need no answer of the provider to be seen.
    pub fn check(&self) -> Result<(), ConnectError> {
        if self.discovery == Discovery::Fetch {
            discovery::document_url(&self.issuer)?;
        }
        discovery::Written::parse(self)?;
        if let KeySource::Pem(files) = &self.keys {
            read_pem_files(files)?;
        }
        if self.discovery == Discovery::Skip && self.pushed_requests == PushedRequests::Always {
            return Err(ConnectError::NoPushedRequests);
        }
        match &self.client_authentication {
            ClientAuthentication::Mtls if self.http.client_identity.is_none() => {
                return Err(ConnectError::NoClientIdentity);
            }
            ClientAuthentication::SecretJwt { secret: ClientSecret::Inline(secret), .. } => {
                long_enough(secret)?;
            }
            _ => {}
        }
        http::check_files(&self.http)
    }
}

/// Whether HS256 may be used with this secret (RFC 7518 section 3.2).
pub(crate) fn long_enough(secret: &SecretString) -> Result<(), ConnectError> {
    if secret.expose().len() < LEAST_SECRET_BYTES { Err(ConnectError::ShortSecret) } else { Ok(()) }
}

/// A parameter of the authorization request beyond the protocol's own.
#[derive(Clone, Debug, PartialEq)]
pub struct LoginParameter {
    pub name: String,
    /// What is sent unless whoever begins the login wishes for something that is allowed. May be empty.
    pub values: Vec<String>,
    /// What may be wished for.
    pub allowed: Vec<AllowedValue>,
}

impl LoginParameter {
    /// A parameter that nobody may change.
    pub fn fixed(name: &str, value: &str) -> Self {
        Self { name: name.to_owned(), values: vec![value.to_owned()], allowed: Vec::new() }
    }

    /// The values to send, given the `(name, value)` pairs wished for: those that are allowed, else the configured.
    pub(crate) fn chosen<'a>(&'a self, wishes: &'a [(String, String)]) -> Vec<&'a str> {
        let mine = wishes.iter().filter(|(name, _)| *name == self.name).map(|(_, value)| value.as_str());
        let granted: Vec<_> =
            mine.filter(|value| self.allowed.iter().any(|rule| rule.admits(value))).collect();
        if granted.is_empty() { self.values.iter().map(String::as_str).collect() } else { granted }
    }
}

/// A value that whoever begins a login may wish for.
#[derive(Clone, Debug, PartialEq)]
pub enum AllowedValue {
    Exactly(String),
    /// The expression is searched in the value; it is the operator's to anchor it.
    Matching(PathPattern),
}

impl AllowedValue {
    fn admits(&self, value: &str) -> bool {
        match self {
            Self::Exactly(allowed) => allowed == value,
            Self::Matching(pattern) => pattern.is_match(value),
        }
    }
}

/// Which habits the provider has beyond the standard, or instead of it, with what has to be known for them
/// (`providers.md` section 3).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ProviderKind {
    /// Any OIDC provider.
    Oidc,
    /// Keycloak: the roles in the access token become groups.
    KeycloakOidc,
    /// The server in this program: users go by their names, which are unique there, and need no e-mail address.
    Doorward,
    /// Active Directory Federation Services: who has no e-mail address goes by the user principal name.
    Adfs,
    /// Microsoft's older endpoints, of version 1 or 2.
    Azure(Azure),
    Cidaas,
    /// Microsoft's endpoints of one tenant or of several.
    EntraId(EntraId),
    Google(Box<Google>),
    LoginGov,
    Bitbucket(Bitbucket),
    DigitalOcean,
    Facebook,
    GitHub(GitHub),
    /// With ID tokens; its API adds to them.
    GitLab(GitLab),
    /// Keycloak as it was known before it had ID tokens.
    Keycloak,
    LinkedIn,
    Nextcloud,
    SourceHut,
}

/// What a provider of a kind has where the configuration says nothing. Empty: nothing is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Defaults {
    /// What people call it.
    pub name: &'static str,
    pub login_url: &'static str,
    pub redeem_url: &'static str,
    pub profile_url: &'static str,
    pub validate_url: &'static str,
    pub scope: &'static str,
}

/// How a provider says who signed in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Protocol {
    /// By an ID token that is verified; endpoints and keys are discovered.
    OpenIdConnect,
    /// OAuth 2.0 alone: the provider's own API is asked with the access token. There are no keys, so nobody signs in by
    /// a bearer token.
    OAuth2,
}

impl ProviderKind {
    pub const fn protocol(&self) -> Protocol {
        match self {
            Self::Oidc
            | Self::KeycloakOidc
            | Self::Doorward
            | Self::Adfs
            | Self::Azure(_)
            | Self::Cidaas
            | Self::EntraId(_)
            | Self::Google(_)
            | Self::GitLab(_)
            | Self::LoginGov => Protocol::OpenIdConnect,
            Self::Bitbucket(_)
            | Self::DigitalOcean
            | Self::Facebook
            | Self::GitHub(_)
            | Self::Keycloak
            | Self::LinkedIn
            | Self::Nextcloud
            | Self::SourceHut => Protocol::OAuth2,
        }
    }

    pub const fn defaults(&self) -> Defaults {
        match self {
            Self::Oidc => discovered("OpenID Connect"),
            Self::KeycloakOidc => discovered("Keycloak OIDC"),
            Self::Doorward => discovered("doorward"),
            Self::Adfs => discovered("ADFS"),
            Self::Azure(_) => Defaults {
                name: "Azure",
                login_url: "https://login.microsoftonline.com/common/oauth2/authorize",
                redeem_url: "https://login.microsoftonline.com/common/oauth2/token",
                profile_url: "https://graph.microsoft.com/v1.0/me",
                validate_url: "https://graph.microsoft.com/v1.0/me",
                scope: "openid",
            },
            Self::Cidaas => Defaults { scope: "openid email profile roles groups", ..discovered("CIDAAS") },
            Self::EntraId(_) => discovered("Microsoft Entra ID"),
            Self::Google(_) => Defaults {
                name: "Google",
                login_url: "https://accounts.google.com/o/oauth2/auth?access_type=offline",
                redeem_url: "https://www.googleapis.com/oauth2/v3/token",
                profile_url: "",
                validate_url: "https://www.googleapis.com/oauth2/v1/tokeninfo",
                scope: "profile email",
            },
            Self::LoginGov => Defaults {
                name: "login.gov",
                login_url: "https://secure.login.gov/openid_connect/authorize",
                redeem_url: "https://secure.login.gov/api/openid_connect/token",
                profile_url: "https://secure.login.gov/api/openid_connect/userinfo",
                validate_url: "https://secure.login.gov/api/openid_connect/userinfo",
                scope: "email openid",
            },
            Self::DigitalOcean => Defaults {
                name: "DigitalOcean",
                login_url: "https://cloud.digitalocean.com/v1/oauth/authorize",
                redeem_url: "https://cloud.digitalocean.com/v1/oauth/token",
                profile_url: "https://api.digitalocean.com/v2/account",
                validate_url: "https://api.digitalocean.com/v2/account",
                scope: "read",
            },
            Self::Bitbucket(_) => vendor::BITBUCKET,
            Self::Facebook => vendor::FACEBOOK,
            Self::GitHub(_) => vendor::GITHUB,
            Self::GitLab(_) => vendor::GITLAB,
            // Wherever a Keycloak or a Nextcloud is, only its operator knows.
            Self::Keycloak => Defaults { scope: "api", ..nowhere("Keycloak") },
            Self::Nextcloud => nowhere("Nextcloud"),
            Self::LinkedIn => Defaults {
                name: "LinkedIn",
                login_url: "https://www.linkedin.com/oauth/v2/authorization",
                redeem_url: "https://www.linkedin.com/uas/oauth2/accessToken",
                profile_url: "https://api.linkedin.com/v2/emailAddress",
                validate_url: "https://api.linkedin.com/v2/me",
                scope: "r_emailaddress r_liteprofile",
            },
            Self::SourceHut => Defaults {
                name: "SourceHut",
                login_url: "https://meta.sr.ht/oauth2/authorize",
                redeem_url: "https://meta.sr.ht/oauth2/access-token",
                profile_url: "https://meta.sr.ht/query",
                validate_url: "https://meta.sr.ht/profile",
                scope: "meta.sr.ht/PROFILE:RO",
            },
        }
    }

    /// Scopes without which a restriction of this kind cannot be asked about.
    pub fn needed_scopes(&self) -> Vec<&'static str> {
        match self {
            Self::GitLab(settings) if !settings.projects.is_empty() => vec!["read_api"],
            Self::Bitbucket(settings) => {
                let team = settings.team.as_ref().map(|_| "team");
                team.into_iter().chain(settings.repository.as_ref().map(|_| "repository")).collect()
            }
            _ => Vec::new(),
        }
    }
}

impl ProviderKind {
    /// What is known beforehand of a provider that has ID tokens and is not discovered.
    pub const fn undiscovered(&self) -> Option<Undiscovered> {
        match self {
            Self::Google(_) => Some(Undiscovered {
                issuer: "https://accounts.google.com",
                keys_url: "https://www.googleapis.com/oauth2/v3/certs",
            }),
            Self::LoginGov => Some(Undiscovered {
                issuer: "https://secure.login.gov/",
                keys_url: "https://secure.login.gov/api/openid_connect/certs",
            }),
            _ => None,
        }
    }
}

/// What metadata would tell of a provider that is not discovered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Undiscovered {
    pub issuer: &'static str,
    pub keys_url: &'static str,
}

const fn nowhere(name: &'static str) -> Defaults {
    Defaults { name, login_url: "", redeem_url: "", profile_url: "", validate_url: "", scope: "" }
}

const fn discovered(name: &'static str) -> Defaults {
    Defaults { scope: "openid email profile", ..nowhere(name) }
}

/// How we prove to the provider who we are, at every endpoint that wants to know.
#[derive(Clone, Debug, PartialEq)]
pub enum ClientAuthentication {
    /// `none`: a public client, which only says its name.
    Public,
    /// By the secret itself, shown as the provider prefers: in a header or in the form, in the other place if the provider
    /// does not know us.
    Secret(ClientSecret),
    /// `client_secret_basic` or `client_secret_post`, and no other way.
    SecretIn(ClientSecret, ClientAuth),
    /// `client_secret_jwt`: by an assertion under the secret (HS256), which has at least 32 bytes.
    SecretJwt { secret: ClientSecret, audience: AssertionAudience },
    /// `private_key_jwt`: by an assertion that our key signed.
    PrivateKeyJwt { key: Arc<ClientKey>, audience: AssertionAudience },
    /// By an assertion that somebody else made about us, such as a platform's token of a workload. The file is read again
    /// for every request.
    AssertionFile(PathBuf),
    /// `tls_client_auth` or `self_signed_tls_client_auth` (RFC 8705): by [`HttpConfig::client_identity`].
    Mtls,
}

impl ClientAuthentication {
    /// What the method is called (OIDC Core section 9, RFC 8705 section 2.1.1), if it has one name.
    pub const fn method(&self) -> Option<&'static str> {
        match self {
            Self::Public => Some("none"),
            Self::SecretIn(_, ClientAuth::Basic) => Some("client_secret_basic"),
            Self::SecretIn(_, ClientAuth::Post) => Some("client_secret_post"),
            Self::SecretJwt { .. } => Some("client_secret_jwt"),
            Self::PrivateKeyJwt { .. } | Self::AssertionFile(_) => Some("private_key_jwt"),
            Self::Secret(_) | Self::Mtls => None,
        }
    }
}

/// For whom an assertion of ours is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum AssertionAudience {
    /// The URL of the token endpoint, as OIDC Core section 9 has it; at endpoints of another origin, their own URL.
    #[default]
    TokenEndpoint,
    /// The provider's issuer; where there is none, the URL that is asked.
    Issuer,
    /// What the provider wants to read there.
    Other(String),
}

/// Our secret at the provider.
#[derive(Clone, Debug, PartialEq)]
pub enum ClientSecret {
    Inline(SecretString),
    /// Read again at every token request, so that a rotated secret needs no restart.
    /// One newline at the end is not part of the secret.
    File(PathBuf),
}

/// Whether the provider's metadata are fetched.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Discovery {
    Fetch,
    Skip,
    /// Only to find the keys: tokens are verified and nobody logs in. A `jwks_uri` in the metadata goes before a
    /// [`KeySource::Url`], which counts as long as there are no usable metadata; their lack is never an error.
    ForKeys,
}

/// Where the keys come from that sign the provider's tokens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum KeySource {
    /// From the `jwks_uri` of the metadata.
    Discovered,
    /// From the key set at this address.
    Url(String),
    /// These PEM files, by content.
    Pem(Vec<Vec<u8>>),
    /// There are none, and no token is verified.
    None,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum IssuerCheck {
    Exact,
    /// Neither metadata nor tokens need to name the configured issuer.
    Skip,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NonceCheck {
    /// Sent, and the ID token must carry it.
    Required,
    /// Sent; an ID token that carries one must carry this one.
    IfPresent,
    /// Neither sent nor looked at.
    Off,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EmailVerification {
    /// An address the provider calls unverified is refused. Only the claim `email` can be unverified.
    Required,
    Ignored,
}

/// Whether claims missing in the ID token are asked for at the userinfo endpoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ProfileClaims {
    Fetch,
    Skip,
}

/// Whether what a login asks for goes to the provider without the browser (RFC 9126), which then cannot change it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum PushedRequests {
    /// If the provider's metadata say that it has to.
    #[default]
    WhereRequired,
    /// Always; a provider that does not offer it is a mistake.
    Always,
}

/// What the ID token of a login has to say, beyond what the provider makes of the request.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LoginStrength {
    /// `acr` has to be one of these; empty: anything. They are asked for in this order.
    pub acr: Vec<String>,
    /// The person must have signed in at the provider this long ago at most (`auth_time`), give or take a minute.
    pub max_age: Option<Duration>,
}

/// Proof Key for Code Exchange (RFC 7636).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Pkce {
    /// S256 when discovery lists it.
    Auto,
    S256,
    Plain,
    Off,
    /// A method we do not know: starting a login fails, so that nothing unprotected is sent.
    Unsupported(String),
}
