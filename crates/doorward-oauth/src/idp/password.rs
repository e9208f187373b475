//! User name and password: against a file, against the users in the store, or at a provider that takes them. Guesses are bounded, and a user that does
//! not exist takes as long as a wrong password.

use std::time::Instant;

use doorward_accounts::ProviderLogin;
use doorward_authn::{
    Refusal,
    basic::Credentials,
    htpasswd::{GuessError, Htpasswd},
};

use super::{AMR_PASSWORD, NotSignedIn, Reason, Vouched, oidc::login_of};
use crate::{
    OAuthServer,
    call::Call,
    config::{IdentityProvider, OidcProvider, PasswordGrant, ProviderKind},
};

impl OAuthServer {
    /// Tries a password at one provider. A provider without passwords refuses all.
    pub(crate) async fn try_password(
        &self,
        provider: &IdentityProvider,
        credentials: &Credentials,
        call: &Call,
    ) -> Result<Vouched, NotSignedIn> {
        match &provider.kind {
            ProviderKind::Htpasswd(users) => check_file(users, credentials, call).await?,
            ProviderKind::Static => self.check_stored(credentials, call).await?,
            ProviderKind::Oidc(upstream) if upstream.password_grant == PasswordGrant::Used => {
                let login = self.check_upstream(provider, upstream, credentials, call).await?;
                return self.map(provider, &login, &[AMR_PASSWORD], call.now).await;
            }
            ProviderKind::Oidc(_) | ProviderKind::RequestHeader(_) | ProviderKind::X509(_) => {
                return Err(refused(Refusal::WrongCredentials));
            }
        }
        let login = ProviderLogin {
            provider: provider.name.clone(),
            user_name: credentials.user.clone(),
            ..ProviderLogin::default()
        };
        self.map(provider, &login, &[AMR_PASSWORD], call.now).await
    }

    async fn check_stored(&self, credentials: &Credentials, call: &Call) -> Result<(), NotSignedIn> {
        let look = self.accounts.check_password(&credentials.user, &credentials.password, call.now);
        match self.guesses.attempt(&credentials.user, call.client, Instant::now(), look).await {
            Ok(_user) => Ok(()),
            Err(GuessError::Refused(why)) => Err(refused(why)),
            Err(GuessError::Failed(why)) => Err(why.into()),
        }
    }

    /// Shows the password to the provider (RFC 6749 section 4.3).
    async fn check_upstream(
        &self,
        provider: &IdentityProvider,
        upstream: &OidcProvider,
        credentials: &Credentials,
        call: &Call,
    ) -> Result<ProviderLogin, NotSignedIn> {
        let look = async {
            let Ok(password) = str::from_utf8(credentials.password.expose()) else { return Ok(None) };
            match upstream.provider.sign_in(&credentials.user, &password.into(), call.now).await {
                Ok(grant) => Ok(Some(grant.identity)),
                Err(why) if why.is_invalid_grant() => Ok(None),
                Err(why) => Err(why),
            }
        };
        match self.guesses.attempt(&credentials.user, call.client, Instant::now(), look).await {
            Ok(identity) => login_of(provider, &upstream.claims, &identity).ok_or_else(|| {
                NotSignedIn::Refused(Reason::AuthenticationError, "a configured claim is missing".to_owned())
            }),
            Err(GuessError::Refused(why)) => Err(refused(why)),
            // The provider may be down, or its answer no good: either way nobody can tell.
            Err(GuessError::Failed(why)) => Err(NotSignedIn::Unavailable(why.to_string())),
        }
    }
}

async fn check_file(users: &Htpasswd, credentials: &Credentials, call: &Call) -> Result<(), NotSignedIn> {
    users.verify(credentials, call.client, Instant::now()).await.map_err(refused)
}

fn refused(why: Refusal) -> NotSignedIn {
    let reason = match why {
        Refusal::Malformed(_) | Refusal::WrongCredentials => Reason::AccessDenied,
        Refusal::Throttled | Refusal::Busy => Reason::AuthenticationError,
    };
    NotSignedIn::Refused(reason, why.to_string())
}
