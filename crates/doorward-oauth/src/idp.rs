//! Where users come from, one module for each way. Whatever a provider says becomes a user of ours by its mapping method
//! (norm A4.5), here and nowhere else.

pub(crate) mod oidc;
pub(crate) mod password;
pub(crate) mod presented;

use doorward_accounts::{MappingError, MappingMethod, ProviderLogin, Unavailable, User};
use doorward_core::Timestamp;
use doorward_template::words::{Language, Message};

use crate::{
    OAuthServer,
    config::{IdentityProvider, LoginOffer, ProviderKind},
};

/// A password was used (RFC 8176 section 2).
pub(crate) const AMR_PASSWORD: &str = "pwd";
/// A key was shown to be held.
pub(crate) const AMR_KEY: &str = "pop";

/// Somebody whom a provider vouches for, just now.
#[derive(Clone, Debug)]
pub(crate) struct Vouched {
    pub(crate) user: User,
    pub(crate) provider: String,
    pub(crate) amr: Vec<String>,
}

/// Why somebody is nobody here. The words are those of the query of the sign-in page (norm A3.5).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Reason {
    UserRequired,
    AccessDenied,
    TokenExpired,
    AuthenticationError,
    MappingClaim,
    MappingLookup,
}

impl Reason {
    pub(crate) const ALL: [Self; 6] = [
        Self::UserRequired,
        Self::AccessDenied,
        Self::TokenExpired,
        Self::AuthenticationError,
        Self::MappingClaim,
        Self::MappingLookup,
    ];

    pub(crate) const fn word(self) -> &'static str {
        match self {
            Self::UserRequired => "user_required",
            Self::AccessDenied => "access_denied",
            Self::TokenExpired => "token_expired",
            Self::AuthenticationError => "authentication_error",
            Self::MappingClaim => "mapping_claim_error",
            Self::MappingLookup => "mapping_lookup_error",
        }
    }

    /// The English sentence, for programs.
    pub(crate) const fn sentence(self) -> &'static str {
        self.message().text(Language::English)
    }

    /// What the person reads.
    pub(crate) const fn message(self) -> Message {
        match self {
            Self::UserRequired => Message::EnterBoth,
            Self::AccessDenied => Message::WrongPassword,
            Self::TokenExpired => Message::OpenTooLong,
            Self::AuthenticationError => Message::NotJustNow,
            Self::MappingClaim => Message::NameTaken,
            Self::MappingLookup => Message::NoAccount,
        }
    }
}

/// Why nobody signed in.
#[derive(Clone, Debug)]
pub(crate) enum NotSignedIn {
    /// The person is told the reason, the log the words.
    Refused(Reason, String),
    /// Nobody can tell right now.
    Unavailable(String),
}

impl From<MappingError> for NotSignedIn {
    fn from(error: MappingError) -> Self {
        let reason = match &error {
            MappingError::Claim => Reason::MappingClaim,
            MappingError::Lookup => Reason::MappingLookup,
            MappingError::Disabled => Reason::AccessDenied,
            MappingError::ReservedName | MappingError::Exhausted => Reason::AuthenticationError,
            MappingError::Unavailable(why) => return Self::Unavailable(why.to_string()),
        };
        Self::Refused(reason, error.to_string())
    }
}

impl From<Unavailable> for NotSignedIn {
    fn from(error: Unavailable) -> Self {
        Self::Unavailable(error.to_string())
    }
}

impl IdentityProvider {
    /// Whether people can sign in with it in a browser.
    pub(crate) fn is_offered(&self) -> bool {
        self.login == LoginOffer::Offered && !matches!(self.kind, ProviderKind::X509(_))
    }
}

impl OAuthServer {
    /// The user that a provider vouches for.
    async fn map(
        &self,
        provider: &IdentityProvider,
        login: &ProviderLogin,
        amr: &[&str],
        now: Timestamp,
    ) -> Result<Vouched, NotSignedIn> {
        // A static user is who the operator says, however else they came here before.
        let method = match provider.kind {
            ProviderKind::Static => MappingMethod::Add,
            _ => provider.mapping,
        };
        let user = self.accounts.sign_in(login, method, now).await?;
        Ok(Vouched {
            user,
            provider: provider.name.clone(),
            amr: amr.iter().map(|&one| one.to_owned()).collect(),
        })
    }
}
