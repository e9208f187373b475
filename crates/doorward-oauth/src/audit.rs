//! One line of the log for each decision: what was decided, about whom, for which client, and why. Clients are told
//! little; the reason stands here. Tokens and codes appear by the beginning of their hash.

use std::net::IpAddr;

use doorward_accounts::TokenName;

use crate::call::Call;

/// What was decided. The words are those of `docs/logging.md`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    Permit,
    Deny,
    /// Nobody can tell right now.
    Error,
}

/// A line that is being put together. Nothing is written before [`Line::write`].
#[derive(Clone, Debug)]
#[must_use]
pub(crate) struct Line<'a> {
    outcome: Outcome,
    /// What was asked for, e.g. `token`, `introspect`.
    event: &'static str,
    user: Option<&'a str>,
    client_id: Option<&'a str>,
    authenticator: Option<&'a str>,
    credential: Option<String>,
    audience: Option<String>,
    reason: Option<String>,
}

impl<'a> Line<'a> {
    pub(crate) const fn new(event: &'static str, outcome: Outcome) -> Self {
        Self {
            outcome,
            event,
            user: None,
            client_id: None,
            authenticator: None,
            credential: None,
            audience: None,
            reason: None,
        }
    }

    /// The user that it was about.
    pub(crate) const fn user(mut self, name: &'a str) -> Self {
        self.user = Some(name);
        self
    }

    /// The OAuth client that asked, or that something was issued to.
    pub(crate) const fn client_id(mut self, id: &'a str) -> Self {
        self.client_id = Some(id);
        self
    }

    /// How they proved who they are, e.g. `password`, `client_secret_basic`, the name of an identity provider.
    pub(crate) const fn authenticator(mut self, name: &'a str) -> Self {
        self.authenticator = Some(name);
        self
    }

    /// The token that it was about. Its name is a hash, of which the beginning is shown.
    pub(crate) fn credential(mut self, name: &TokenName) -> Self {
        self.credential = Some(name.shortened());
        self
    }

    /// As [`Self::credential`], shortened already; empty: it has no name.
    pub(crate) fn credential_name(mut self, name: &str) -> Self {
        self.credential = (!name.is_empty()).then(|| name.to_owned());
        self
    }

    /// Whom it was made out to. The names are the configuration's.
    pub(crate) fn audience(mut self, audience: &[String]) -> Self {
        self.audience = Some(audience.join(" "));
        self
    }

    /// Why; never anything that came with the request.
    pub(crate) fn reason(mut self, reason: &(impl ToString + ?Sized)) -> Self {
        self.reason = Some(reason.to_string());
        self
    }

    pub(crate) fn write(self, call: &Call) {
        let Self { outcome, event, user, client_id, authenticator, credential, audience, reason } = self;
        let client = call.client.known().as_ref().map(IpAddr::to_string);
        macro_rules! say {
            ($level:ident, $outcome:literal, $message:literal) => {
                tracing::$level!(
                    outcome = $outcome,
                    event,
                    user,
                    client_id,
                    authenticator,
                    credential,
                    audience,
                    reason,
                    client,
                    $message
                )
            };
        }
        match outcome {
            Outcome::Permit => say!(info, "permit", "The OAuth server granted a request."),
            Outcome::Deny => say!(info, "deny", "The OAuth server refused a request."),
            Outcome::Error => say!(error, "error", "The OAuth server could not decide about a request."),
        }
    }
}
