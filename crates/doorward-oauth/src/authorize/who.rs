//! Who the user of a request to the authorization endpoint is (norm A3.2): the session of the browser, a password in
//! `Authorization`, the headers of a front proxy, a certificate; the first that answers.

use doorward_accounts::{Session, User};
use doorward_authn::basic::{self, Presented};
use http::header::AUTHORIZATION;

use crate::{
    OAuthServer,
    audit::{Line, Outcome},
    call::Call,
    config::{Client, ResponseStyle},
    idp::{NotSignedIn, Reason, Vouched},
};

/// Who somebody is.
#[derive(Debug)]
pub(super) enum Who {
    /// A browser that signed in before.
    Session(Box<(User, Session)>),
    /// Somebody who proves it with this very request.
    Vouched(Box<Vouched>),
    Nobody,
    /// Somebody who proved who they are, and is nobody here: why, in the words of the sign-in page.
    Refused(Reason),
    /// The credentials cannot be read: 400.
    Malformed(&'static str),
    /// Nobody can tell right now: 503.
    Unavailable(String),
}

impl OAuthServer {
    /// Finds out who is asking for this client.
    pub(super) async fn who(&self, client: &Client, call: &Call) -> Who {
        // A program has no cookies, so a browser that was lured to its address gets nothing.
        if client.responses == ResponseStyle::Pages {
            match self.session(call).await {
                Ok(Some(found)) => return Who::Session(Box::new(found)),
                Ok(None) => (),
                Err(why) => return Who::Unavailable(why.to_string()),
            }
        }
        self.proven(client, call).await
    }

    /// Who proves with this very request who they are, whatever session the browser has.
    pub(super) async fn proven(&self, client: &Client, call: &Call) -> Who {
        let mut refused = Who::Nobody;
        match self.by_password(client, call).await {
            Who::Nobody => (),
            Who::Refused(reason) => refused = Who::Refused(reason),
            other => return other,
        }
        for provider in &self.config.providers {
            match self.presented(provider, call).await {
                Ok(Some(vouched)) => return Who::Vouched(Box::new(vouched)),
                Ok(None) => (),
                Err(why) => match noted(why, &provider.name, client, call) {
                    Who::Refused(reason) => refused = Who::Refused(reason),
                    other => return other,
                },
            }
        }
        refused
    }

    /// Tries the password of the request at the providers that programs may use.
    async fn by_password(&self, client: &Client, call: &Call) -> Who {
        let mut headers = call.headers.get_all(AUTHORIZATION).iter();
        let header = headers.next();
        if headers.next().is_some() {
            return Who::Malformed("there is more than one Authorization header");
        }
        let credentials = match basic::read(header.map(http::HeaderValue::as_bytes)) {
            Presented::Nothing => return Who::Nobody,
            Presented::Malformed(_) => {
                return Who::Malformed("the credentials in Authorization cannot be read");
            }
            Presented::Credentials(credentials) => credentials,
        };
        let mut refused = Who::Nobody;
        for provider in self.config.providers.iter().filter(|provider| provider.challenges_with_basic()) {
            match self.try_password(provider, &credentials, call).await {
                Ok(vouched) => return Who::Vouched(Box::new(vouched)),
                Err(why) => match noted(why, &provider.name, client, call) {
                    Who::Refused(reason) => refused = Who::Refused(reason),
                    other => return other,
                },
            }
        }
        refused
    }
}

/// A refusal, once it is in the log.
fn noted(why: NotSignedIn, provider: &str, client: &Client, call: &Call) -> Who {
    match why {
        NotSignedIn::Refused(reason, words) => {
            let line = Line::new("login", Outcome::Deny).authenticator(provider).client_id(&client.id);
            line.reason(&words).write(call);
            Who::Refused(reason)
        }
        NotSignedIn::Unavailable(words) => Who::Unavailable(words),
    }
}
