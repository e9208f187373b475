//! Where users come from.

use std::sync::Arc;

use doorward_accounts::MappingMethod;
use doorward_authn::{htpasswd::Htpasswd, x509::ClientCa};
use doorward_oidc::Provider;

/// One source of users.
#[derive(Clone, Debug)]
pub struct IdentityProvider {
    /// Part of paths and of the names of identities: no slash, colon or percent sign.
    pub name: String,
    pub login: LoginOffer,
    pub challenge: ChallengeOffer,
    pub mapping: MappingMethod,
    pub kind: ProviderKind,
}

/// Whether people in a browser may sign in with a provider.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LoginOffer {
    Offered,
    NotOffered,
}

/// Whether programs may.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ChallengeOffer {
    Offered,
    NotOffered,
}

/// How a provider finds out who somebody is.
#[derive(Clone, Debug)]
pub enum ProviderKind {
    /// A file of user names and password hashes.
    Htpasswd(Arc<Htpasswd>),
    /// Users in the store that have a password.
    Static,
    /// An `OpenID Connect` provider elsewhere, to which browsers are sent.
    Oidc(Box<OidcProvider>),
    /// A front proxy that has signed the user in and says so in headers.
    RequestHeader(Box<RequestHeaderProvider>),
    /// The certificate of the client itself: its common name is the user, its organizations are the groups.
    X509(ClientCa),
}

/// A provider that browsers are sent to.
#[derive(Clone, Debug)]
pub struct OidcProvider {
    pub provider: Provider,
    pub claims: OidcClaims,
    pub password_grant: PasswordGrant,
}

/// The claims to read, each the first that has a value. An empty list: the claim that the standard has for it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct OidcClaims {
    /// What never changes of a user. Usually `sub`.
    pub id: Vec<String>,
    pub preferred_username: Vec<String>,
    pub name: Vec<String>,
    pub email: Vec<String>,
    /// Empty: this provider manages no groups.
    pub groups: Vec<String>,
}

impl OidcClaims {
    /// The configuration of a provider whose logins bring these claims. Nobody has to have an e-mail address, and one
    /// that is not verified is kept as such.
    #[must_use]
    pub fn applied_to(&self, config: doorward_oidc::Config) -> doorward_oidc::Config {
        let lists = [self.ids(), self.preferred_usernames(), self.names(), self.emails()];
        let groups = self.groups.iter().map(String::as_str);
        let mut wanted = config.additional_claims;
        for claim in lists.into_iter().flatten().chain(groups).chain(["email", "email_verified"]) {
            if !wanted.iter().any(|known| known == claim) {
                wanted.push(claim.to_owned());
            }
        }
        doorward_oidc::Config {
            additional_claims: wanted,
            email_claim: "sub".to_owned(),
            email_verification: doorward_oidc::EmailVerification::Ignored,
            ..config
        }
    }

    pub(crate) fn ids(&self) -> Vec<&str> {
        or_usual(&self.id, "sub")
    }

    pub(crate) fn preferred_usernames(&self) -> Vec<&str> {
        or_usual(&self.preferred_username, "preferred_username")
    }

    pub(crate) fn names(&self) -> Vec<&str> {
        or_usual(&self.name, "name")
    }

    pub(crate) fn emails(&self) -> Vec<&str> {
        or_usual(&self.email, "email")
    }
}

/// The claims that were configured, else the one that the standard has.
fn or_usual<'a>(configured: &'a [String], usual: &'a str) -> Vec<&'a str> {
    if configured.is_empty() { vec![usual] } else { configured.iter().map(String::as_str).collect() }
}

/// Whether passwords that programs send us are tried at the provider (RFC 6749 section 4.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PasswordGrant {
    Used,
    Unused,
}

/// What a front proxy tells, and where it signs people in.
#[derive(Clone, Debug)]
pub struct RequestHeaderProvider {
    /// Who signs the certificates of the front proxy: without one nobody is believed.
    pub client_ca: ClientCa,
    /// The common names of the certificates that are believed; empty: any that the authority signed.
    pub allowed_names: Vec<String>,
    /// The headers that hold the id of the user; the first with a value counts.
    pub headers: Vec<String>,
    pub preferred_username_headers: Vec<String>,
    pub name_headers: Vec<String>,
    pub email_headers: Vec<String>,
    /// Empty: this provider manages no groups.
    pub group_headers: Vec<String>,
    /// Where browsers are sent; `${url}` and `${query}` are replaced.
    pub login_url: Option<String>,
    /// Where programs are sent; `${url}` and `${query}` are replaced.
    pub challenge_url: Option<String>,
}

impl IdentityProvider {
    /// Whether programs are told to send a password to this provider.
    pub fn challenges_with_basic(&self) -> bool {
        let takes_passwords = match &self.kind {
            ProviderKind::Htpasswd(_) | ProviderKind::Static => true,
            ProviderKind::Oidc(provider) => provider.password_grant == PasswordGrant::Used,
            ProviderKind::RequestHeader(_) | ProviderKind::X509(_) => false,
        };
        self.challenge == ChallengeOffer::Offered && takes_passwords
    }

    /// Whether programs are sent elsewhere by this provider.
    pub fn challenges_with_redirect(&self) -> bool {
        let has_address = match &self.kind {
            ProviderKind::RequestHeader(provider) => provider.challenge_url.is_some(),
            ProviderKind::Htpasswd(_)
            | ProviderKind::Static
            | ProviderKind::Oidc(_)
            | ProviderKind::X509(_) => false,
        };
        self.challenge == ChallengeOffer::Offered && has_address
    }

    pub(super) fn check(&self, mistakes: &mut Vec<String>) {
        let name = &self.name;
        let plain = |letter: char| letter.is_ascii_alphanumeric() || matches!(letter, '-' | '_' | '.');
        if name.is_empty() || name.starts_with('.') || !name.chars().all(plain) {
            mistakes.push(format!(
                "{name:?} is no name for an identity provider; use letters, digits, -, _ and ., not at the start"
            ));
        }
        if let ProviderKind::RequestHeader(provider) = &self.kind {
            if provider.headers.is_empty() {
                mistakes
                    .push(format!("the identity provider {name:?} names no headers to read the user from"));
            }
            if self.login == LoginOffer::Offered && provider.login_url.is_none() {
                mistakes.push(format!(
                    "the identity provider {name:?} offers login and has no loginURL; give it one"
                ));
            }
            if self.challenge == ChallengeOffer::Offered && provider.challenge_url.is_none() {
                mistakes.push(format!(
                    "the identity provider {name:?} offers challenges and has no challengeURL; give it one"
                ));
            }
        }
    }
}
