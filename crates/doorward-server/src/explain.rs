//! Why a request was let in or turned away, for the log. Every refusal is explained by exactly one line: the line of the
//! authentication log where the reference has one, else an ordinary message written here. The line of the request shows
//! the same words, where its format can. docs/logging.md lists them; they are stable.

use std::borrow::Cow;

use doorward_authn::{BearerRefusal, Refusal, chain::Rejection};
use doorward_authz::{Denial, DenialReason};
use doorward_core::{Grounds, RuleId};
use doorward_session::InvalidSession;
use doorward_telemetry::{AuthLine, AuthStatus, Decision};

use crate::{
    api::failure::wants_page,
    gate::Gate,
    ingress::Arrival,
    record::{Record, shown_client},
    refresh::End,
    trouble,
};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    Permit,
    /// Somebody has to sign in first; browsers are led there, programs are told.
    Login,
    Deny,
    /// Nobody can tell right now.
    Error,
}

impl Outcome {
    pub(crate) const fn word(self) -> &'static str {
        match self {
            Self::Permit => "permit",
            Self::Login => "login",
            Self::Deny => "deny",
            Self::Error => "error",
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Reason {
    SignedIn,
    Anonymous,
    PublicRoute,
    Preflight,
    TrustedNetwork,
    LoginFinished,
    NoSession,
    OtherProvider,
    SessionNotVerified,
    SessionExpired,
    SessionNotInStore,
    SessionEnded,
    BearerRefused,
    PasswordRefused,
    EmailMissing,
    EmailMalformed,
    EmailNotAllowed,
    GroupMissing,
    QueryConstraint,
    Malformed,
    CrossSiteForm,
    IssuerMismatch,
    ProviderRefused,
    StateMalformed,
    CsrfMissing,
    CsrfMismatch,
    CookieNeedsHttps,
    CookieDomain,
    CookiePath,
    CookieSameSite,
    CookieSecretDiffers,
    LoginElsewhere,
    LoginTooSlow,
    LoginLoop,
    ClockSkew,
    AudienceMismatch,
    RedirectUriMismatch,
    ClientRefused,
    PkceMismatch,
    ProviderUnreachable,
    EmailUnverified,
    NotAdmitted,
    LoginTooWeak,
    TokenNotAccepted,
    AnswerTooLarge,
    RequestTooLarge,
    CodeMissing,
    CodeNotRedeemed,
    NonceMismatch,
    CredentialRefused,
    ImpersonationRefused,
    NoRoute,
    ScopeMissing,
    PolicyDenied,
    NotAuthorized,
    StepUpNeeded,
    NoCredential,
    NotSwapped,
    PolicyBroken,
    PolicyUnavailable,
    StoreUnavailable,
    SessionNotSaved,
    RefreshBroken,
}

impl Reason {
    pub(crate) const fn word(self) -> &'static str {
        match self {
            Self::SignedIn => "signed_in",
            Self::Anonymous => "anonymous",
            Self::PublicRoute => "public_route",
            Self::Preflight => "preflight",
            Self::TrustedNetwork => "trusted_network",
            Self::LoginFinished => "login_finished",
            Self::NoSession => "no_session",
            Self::OtherProvider => "other_provider",
            Self::SessionNotVerified => "session_not_verified",
            Self::SessionExpired => "session_expired",
            Self::SessionNotInStore => "session_not_in_store",
            Self::SessionEnded => "session_ended",
            Self::BearerRefused => "bearer_refused",
            Self::PasswordRefused => "password_refused",
            Self::EmailMissing => "email_missing",
            Self::EmailMalformed => "email_malformed",
            Self::EmailNotAllowed => "email_not_allowed",
            Self::GroupMissing => "group_missing",
            Self::QueryConstraint => "query_constraint",
            Self::Malformed => "malformed",
            Self::CrossSiteForm => "cross_site_form",
            Self::IssuerMismatch => "issuer_mismatch",
            Self::ProviderRefused => "provider_refused",
            Self::StateMalformed => "state_malformed",
            Self::CsrfMissing => "csrf_missing",
            Self::CsrfMismatch => "csrf_mismatch",
            Self::CookieNeedsHttps => "cookie_needs_https",
            Self::CookieDomain => "cookie_domain",
            Self::CookiePath => "cookie_path",
            Self::CookieSameSite => "cookie_same_site",
            Self::CookieSecretDiffers => "cookie_secret_differs",
            Self::LoginElsewhere => "login_elsewhere",
            Self::LoginTooSlow => "login_too_slow",
            Self::LoginLoop => "login_loop",
            Self::ClockSkew => "clock_skew",
            Self::AudienceMismatch => "audience_mismatch",
            Self::RedirectUriMismatch => "redirect_uri_mismatch",
            Self::ClientRefused => "client_refused",
            Self::PkceMismatch => "pkce_mismatch",
            Self::ProviderUnreachable => "provider_unreachable",
            Self::EmailUnverified => "email_unverified",
            Self::NotAdmitted => "not_admitted",
            Self::LoginTooWeak => "login_too_weak",
            Self::TokenNotAccepted => "token_not_accepted",
            Self::AnswerTooLarge => "answer_too_large",
            Self::RequestTooLarge => "request_too_large",
            Self::CodeMissing => "code_missing",
            Self::CodeNotRedeemed => "code_not_redeemed",
            Self::NonceMismatch => "nonce_mismatch",
            Self::CredentialRefused => "credential_refused",
            Self::ImpersonationRefused => "impersonation_refused",
            Self::NoRoute => "no_route",
            Self::ScopeMissing => "scope_missing",
            Self::PolicyDenied => "policy_denied",
            Self::NotAuthorized => "not_authorized",
            Self::StepUpNeeded => "step_up_needed",
            Self::NoCredential => "no_credential",
            Self::NotSwapped => "not_swapped",
            Self::PolicyBroken => "policy_broken",
            Self::PolicyUnavailable => "policy_unavailable",
            Self::StoreUnavailable => "store_unavailable",
            Self::SessionNotSaved => "session_not_saved",
            Self::RefreshBroken => "refresh_broken",
        }
    }
}

impl From<DenialReason> for Reason {
    fn from(reason: DenialReason) -> Self {
        match reason {
            DenialReason::EmailMissing => Self::EmailMissing,
            DenialReason::EmailMalformed => Self::EmailMalformed,
            DenialReason::EmailNotAllowed => Self::EmailNotAllowed,
            DenialReason::GroupMissing => Self::GroupMissing,
            DenialReason::QueryConstraint => Self::QueryConstraint,
        }
    }
}

/// One decision, explained.
#[derive(Clone, Debug)]
pub(crate) struct Explanation {
    outcome: Outcome,
    reason: Reason,
    rule: Option<RuleId>,
    message: Cow<'static, str>,
    detail: String,
    mend: Cow<'static, str>,
}

impl Explanation {
    pub(crate) fn new(outcome: Outcome, reason: Reason, message: impl Into<Cow<'static, str>>) -> Self {
        Self {
            outcome,
            reason,
            rule: None,
            message: message.into(),
            detail: String::new(),
            mend: Cow::Borrowed(""),
        }
    }

    pub(crate) fn permit(grounds: &Grounds) -> Self {
        let (reason, rule) = match grounds {
            Grounds::Preflight => (Reason::Preflight, None),
            Grounds::PublicRoute(rule) => (Reason::PublicRoute, Some(rule)),
            Grounds::TrustedNetwork(rule) => (Reason::TrustedNetwork, Some(rule)),
            Grounds::Rule(rule) | Grounds::Route(rule) => (Reason::SignedIn, Some(rule)),
            Grounds::Anonymous(rule) => (Reason::Anonymous, Some(rule)),
        };
        Self { rule: rule.cloned(), ..Self::new(Outcome::Permit, reason, "") }
    }

    pub(crate) fn denial(denial: &Denial) -> Self {
        let options = match denial.reason {
            DenialReason::EmailMissing | DenialReason::EmailMalformed | DenialReason::EmailNotAllowed => {
                "asked by --email-domain or --authenticated-emails-file"
            }
            DenialReason::GroupMissing => "asked by --allowed-group or --allowed-role",
            DenialReason::QueryConstraint => "asked by the query of the request",
        };
        Self {
            rule: Some(denial.rule.clone()),
            ..Self::new(Outcome::Deny, denial.reason.into(), denial.reason.to_string())
        }
        .because(options)
        .mended_by(trouble::mend_of_denial(denial.reason))
    }

    /// How the operator mends it.
    #[must_use]
    pub(crate) fn mended_by(self, mend: impl Into<Cow<'static, str>>) -> Self {
        Self { mend: mend.into(), ..self }
    }

    /// More about what was found wrong.
    #[must_use]
    pub(crate) fn and(mut self, more: &str) -> Self {
        self.detail.push_str("; ");
        self.detail.push_str(more);
        self
    }

    /// The rule that decided.
    #[must_use]
    pub(crate) fn of_rule(self, rule: &RuleId) -> Self {
        Self { rule: Some(rule.clone()), ..self }
    }

    /// What was found wrong.
    #[must_use]
    pub(crate) fn because(mut self, detail: &(impl ToString + ?Sized)) -> Self {
        self.detail = detail.to_string();
        self
    }

    /// Whether an operator may have to mend something: what the reference writes among its errors too. Strangers without
    /// a session are none.
    fn is_trouble(&self) -> bool {
        self.outcome == Outcome::Error
            || matches!(
                self.reason,
                Reason::IssuerMismatch
                    | Reason::ProviderRefused
                    | Reason::StateMalformed
                    | Reason::CodeMissing
                    | Reason::CodeNotRedeemed
                    | Reason::CookieNeedsHttps
                    | Reason::CookieDomain
                    | Reason::CookiePath
                    | Reason::CookieSameSite
                    | Reason::CookieSecretDiffers
                    | Reason::LoginElsewhere
                    | Reason::LoginLoop
                    | Reason::ClockSkew
                    | Reason::AudienceMismatch
                    | Reason::RedirectUriMismatch
                    | Reason::ClientRefused
                    | Reason::PkceMismatch
                    | Reason::ProviderUnreachable
                    | Reason::TokenNotAccepted
                    | Reason::AnswerTooLarge
                    | Reason::RequestTooLarge
            )
    }

    /// The same in words.
    pub(crate) fn words(&self) -> Decision<'_> {
        Decision {
            outcome: self.outcome.word(),
            reason: self.reason.word(),
            rule: self.rule.as_ref().map_or("", RuleId::as_str),
            message: &self.message,
            detail: &self.detail,
            mend: &self.mend,
        }
    }
}

/// What a request fell short of. It matters only if the request is not let in all the same.
#[derive(Clone, Debug)]
pub(crate) enum Shortfall {
    NoSession,
    /// The session comes from a provider that does not count on the route.
    OtherProvider,
    Bearer(BearerRefusal),
    /// The authentication log has its line already.
    Password(Refusal),
    Session(InvalidSession),
    Ended(End),
    /// Nobody can tell, because of this.
    Store(String),
    RefreshBroken,
    /// Credentials of the API, none of which is good, or of which nobody can tell.
    Credentials(Vec<Rejection>),
    /// A provider vouches for somebody under a name that nobody may have.
    ReservedName,
}

impl Shortfall {
    /// The reason to name if both hold: a credential that somebody sent counts more than a cookie, which browsers send by
    /// themselves; a header that holds no token may be meant for somebody else.
    #[must_use]
    pub(crate) fn or(self, stored: Self) -> Self {
        match self {
            Self::NoSession => stored,
            Self::Bearer(BearerRefusal::NoToken(_)) if !matches!(stored, Self::NoSession) => stored,
            presented => presented,
        }
    }

    pub(crate) fn reason(&self) -> Reason {
        match self {
            Self::NoSession => Reason::NoSession,
            Self::OtherProvider => Reason::OtherProvider,
            Self::Bearer(_) => Reason::BearerRefused,
            Self::Password(_) => Reason::PasswordRefused,
            Self::Session(InvalidSession::Unsealable(_)) => Reason::SessionNotVerified,
            Self::Session(InvalidSession::OutsideLifetime)
            | Self::Ended(End::Expired | End::TooOld | End::Unused) => Reason::SessionExpired,
            Self::Session(InvalidSession::NotInStore) => Reason::SessionNotInStore,
            Self::Ended(_) => Reason::SessionEnded,
            Self::Store(_) => Reason::StoreUnavailable,
            Self::RefreshBroken => Reason::RefreshBroken,
            Self::Credentials(_) | Self::ReservedName => Reason::CredentialRefused,
        }
    }

    pub(crate) fn detail(&self) -> String {
        match self {
            Self::NoSession => String::new(),
            Self::OtherProvider => {
                "the session comes from a provider that the route does not take".to_owned()
            }
            Self::Bearer(refusal) => {
                format!("Error retrieving session from token in Authorization header: {refusal}")
            }
            Self::Password(refusal) => refusal.to_string(),
            Self::Session(why) => format!("Error loading cookied session: {why}, removing session"),
            Self::Ended(why) => why.to_string(),
            Self::Store(error) => error.clone(),
            Self::RefreshBroken => "the refresh of the session broke off".to_owned(),
            Self::Credentials(rejections) => {
                rejections.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ")
            }
            Self::ReservedName => "the name in the session is empty, reserved or unreadable".to_owned(),
        }
    }
}

impl Gate {
    /// Explains a decision by an ordinary message, and in the request's line.
    pub(crate) fn explain(&self, arrival: &Arrival, record: &mut Record, explanation: Explanation) {
        self.say(arrival, &explanation);
        record.decide(explanation);
    }

    /// Explains something by an ordinary message alone.
    pub(crate) fn say(&self, arrival: &Arrival, explanation: &Explanation) {
        let Decision { outcome, reason, rule, message, detail, mend } = explanation.words();
        let [rule, detail, mend] = [rule, detail, mend].map(|text| (!text.is_empty()).then_some(text));
        let facts = &arrival.facts;
        macro_rules! say {
            ($level:ident) => {
                tracing::$level!(
                    outcome,
                    reason,
                    rule,
                    detail,
                    mend,
                    client = %shown_client(self, arrival),
                    request_id = arrival.request_id.text(),
                    method = facts.method.as_str(),
                    path = facts.target.path(),
                    "{message}"
                )
            };
        }
        if explanation.is_trouble() {
            say!(error);
        } else {
            say!(info);
        }
    }

    /// Explains a refusal by a line of the authentication log, in the reference's words, and in the request's line.
    pub(crate) fn explain_as(
        &self,
        arrival: &Arrival,
        record: &mut Record,
        (user, message): (&str, &str),
        explanation: Explanation,
    ) {
        self.telemetry.logs.auth(&AuthLine {
            status: AuthStatus::Failure,
            message,
            decision: Some(explanation.words()),
            ..self.auth_line(arrival, user)
        });
        record.decide(explanation);
    }

    /// Explains that somebody has to sign in, in the reference's words.
    pub(crate) fn explain_login(&self, arrival: &Arrival, record: &mut Record, shortfall: &Shortfall) {
        let ends_here = self.routes.is_own(arrival.facts.target.path())
            || self.wants_json(arrival)
            || self.api.as_ref().is_some_and(|api| !wants_page(self, api.errors, arrival));
        let message = if ends_here {
            "No valid authentication in request. Access Denied."
        } else {
            "No valid authentication in request. Initiating login."
        };
        let explanation =
            Explanation::new(Outcome::Login, shortfall.reason(), message).because(&shortfall.detail());
        match shortfall {
            Shortfall::Password(_) => record.decide(explanation),
            _ => self.explain(arrival, record, explanation),
        }
    }

    /// Explains that a credential ended the matter (`--bearer-token-login-fallback=false`).
    pub(crate) fn explain_forbidden(&self, arrival: &Arrival, record: &mut Record, shortfall: &Shortfall) {
        let message = "The Authorization header is no valid bearer token, and nothing else may be tried.";
        let explanation =
            Explanation::new(Outcome::Deny, shortfall.reason(), message).because(&shortfall.detail());
        self.explain(arrival, record, explanation);
    }

    /// Explains that credentials of the API are bad.
    pub(crate) fn explain_rejected(&self, arrival: &Arrival, record: &mut Record, shortfall: &Shortfall) {
        let message = "The credentials of a request were refused.";
        let explanation =
            Explanation::new(Outcome::Deny, shortfall.reason(), message).because(&shortfall.detail());
        self.explain(arrival, record, explanation);
    }

    /// Explains that the session store, or whoever knows the credentials, cannot be asked.
    pub(crate) fn explain_unknown(&self, arrival: &Arrival, record: &mut Record, shortfall: &Shortfall) {
        let (reason, message) = match shortfall {
            Shortfall::Credentials(_) => {
                (Reason::StoreUnavailable, "Nobody can tell whether the credentials of a request are good.")
            }
            other => (other.reason(), "The session store cannot be asked."),
        };
        let explanation = Explanation::new(Outcome::Error, reason, message).because(&shortfall.detail());
        self.explain(arrival, record, explanation.mended_by(trouble::STORE));
    }
}

/// Says what was wrong with a request that was let in without it.
pub(crate) fn note(shortfall: &Shortfall) {
    match shortfall {
        Shortfall::Bearer(BearerRefusal::NotVouchedFor(_)) | Shortfall::Session(_) => {
            tracing::info!("{}.", shortfall.detail());
        }
        Shortfall::Store(error) => tracing::error!("The session store cannot be asked: {error}"),
        _ => {}
    }
}
