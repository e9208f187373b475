//! Answers that several endpoints give, and small things that all pages need.

use doorward_template::words::{Message, Words};
use http::StatusCode;

use crate::{
    OAuthServer, answer,
    audit::{Line, Outcome},
    authorize::{sentence, wants_page},
    call::{Answer, Call},
    config::IdentityProvider,
    pages::Notice,
};

impl OAuthServer {
    /// A path of ours as browsers see it.
    pub(crate) fn path(&self, path: &str) -> String {
        format!("{}{path}", self.config.issuer.path())
    }

    pub(crate) fn provider(&self, name: &str) -> Option<&IdentityProvider> {
        self.config.providers.iter().find(|provider| provider.name == name)
    }

    /// The providers that people can sign in with.
    pub(crate) fn offered(&self) -> impl Iterator<Item = &IdentityProvider> {
        self.config.providers.iter().filter(|provider| provider.is_offered())
    }

    /// Nobody can tell right now: a page for people, else JSON. `event` is what was asked for, for the log.
    pub(crate) fn no_store(&self, event: &'static str, call: &Call, why: &str) -> Answer {
        Line::new(event, Outcome::Error).reason(why).write(call);
        let plain = answer::unavailable();
        if !wants_page(call) {
            return plain;
        }
        let mut page = self.pages.to(call).notice(Notice {
            explanation: Message::WaitAndTryAgain.into(),
            mend: Words::english("The store cannot be reached; the log says more."),
            ..Notice::new(StatusCode::SERVICE_UNAVAILABLE, Message::NotAvailable, Message::NoAnswerNow)
        });
        if let Some(wait) = plain.headers().get(http::header::RETRY_AFTER) {
            page.headers_mut().insert(http::header::RETRY_AFTER, wait.clone());
        }
        page
    }

    /// Too many logins were begun at this address.
    pub(crate) fn too_many_logins(&self, call: &Call) -> Answer {
        Line::new("login", Outcome::Deny).reason("too many logins were begun from this address").write(call);
        let mut page = self.pages.to(call).notice(Notice {
            explanation: Message::WaitAndTryAgain.into(),
            ..Notice::new(StatusCode::TOO_MANY_REQUESTS, Message::NotNow, Message::TooManySignIns)
        });
        answer::set(&mut page, http::header::RETRY_AFTER, "10");
        page
    }

    /// The request cannot be read; `why` holds nothing that was sent.
    pub(crate) fn notice_of_request(&self, why: &str, call: &Call) -> Answer {
        self.pages.to(call).notice(Notice {
            explanation: Message::LinkIsWrong.into(),
            ..Notice::new(StatusCode::BAD_REQUEST, Message::RequestNotRead, Words::english(sentence(why)))
        })
    }

    pub(crate) fn notice_of_nothing(&self, call: &Call) -> Answer {
        self.pages.to(call).notice(Notice::new(
            StatusCode::NOT_FOUND,
            Message::NotFoundHere,
            Message::NoSuchPage,
        ))
    }

    /// A form that does not come from a page of ours.
    pub(crate) fn refused_form(&self, call: &Call) -> Answer {
        Line::new("form", Outcome::Deny).reason("the form does not come from our page").write(call);
        self.pages.to(call).notice(Notice {
            explanation: Message::ReloadAndTryAgain.into(),
            ..Notice::new(StatusCode::FORBIDDEN, Message::FormNotAccepted, Message::FormTooOld)
        })
    }
}
