//! User name and password: against a file, or against the users in the store. Guesses are bounded, and a user that does
//! not exist takes as long as a wrong password.

use std::time::Instant;

use doorward_accounts::ProviderLogin;
use doorward_authn::{
    Refusal,
    basic::Credentials,
    htpasswd::{GuessError, Htpasswd},
};

use super::{AMR_PASSWORD, NotSignedIn, Reason, Vouched};
use crate::{
    OAuthServer,
    call::Call,
    config::{IdentityProvider, ProviderKind},
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
