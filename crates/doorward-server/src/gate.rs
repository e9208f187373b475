//! One configuration, complete and immutable. Requests take whichever gate is current, so that another can be swapped in
//! whole.

use std::{sync::Arc, time::Duration};

use doorward_authn::{
    bearer::{BearerTokens, OnRefusal},
    htpasswd::Htpasswd,
};
use doorward_authz::{ApiRoutes, Policy, Semicolons};
use doorward_oauth::OAuthServer;
use doorward_session::{CsrfKeeper, Keeper, Ledger, OwnCookies, StateEncoding};
use doorward_telemetry::{Logs, Metrics};
use doorward_upstream::Upstreams;
use tokio::sync::Semaphore;

use crate::{
    api::ApiAuth, gateway::Gateway, ingress, inject::Injection, pages::Pages, providers::Providers,
    redirects::Redirects, refresh::RefreshDesk, rounds::Rounds, routes::Routes,
};

/// Everything that requests are answered with.
#[derive(Debug)]
pub struct Gate {
    pub ingress: ingress::Config,
    pub routes: Routes,
    pub redirects: Redirects,
    pub sign_in: SignIn,
    /// The built-in OAuth server, whose paths go before those of applications.
    pub oauth: Option<Arc<OAuthServer>>,
    pub sessions: Sessions,
    pub sign_out: SignOut,
    pub access: Access,
    pub injection: Injection,
    /// Set by `apiAuth` of doorward.yaml, and wherever the built-in server is on.
    pub api: Option<Box<ApiAuth>>,
    pub upstreams: Upstreams,
    /// `gateway` of doorward.yaml: its routes go before the upstreams.
    pub gateway: Option<Box<Gateway>>,
    pub pages: Pages,
    pub telemetry: Telemetry,
    pub https: HttpsPolicy,
    /// How long requests under way may go on after a stop was asked for.
    pub drain: Duration,
}

/// The ways to sign in.
#[derive(Debug)]
pub struct SignIn {
    /// None where only passwords are accepted, or nobody signs in.
    pub providers: Providers,
    pub htpasswd: Option<Arc<Htpasswd>>,
    /// Set if requests may carry bearer tokens in place of a session.
    pub bearer: Option<Bearer>,
    pub button: ProviderButton,
    pub state: StateEncoding,
}

impl SignIn {
    /// Whether anybody can sign in here.
    pub(crate) const fn is_possible(&self) -> bool {
        !self.providers.is_empty() || self.htpasswd.is_some()
    }
}

/// `--skip-jwt-bearer-tokens`.
#[derive(Debug)]
pub struct Bearer {
    pub tokens: BearerTokens,
    pub on_refusal: OnRefusal,
}

/// Whether people see a page before they are sent to the provider.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ProviderButton {
    Shown,
    Skipped,
}

/// How sessions and login attempts are kept.
#[derive(Debug)]
pub struct Sessions {
    pub keeper: Keeper,
    pub csrf: CsrfKeeper,
    pub refresh: RefreshDesk,
    /// Who goes round in circles.
    pub rounds: Rounds,
    /// `--cookie-expire`, if limited: how long a session lasts whose provider names no end.
    pub lifetime: Option<Duration>,
    pub limits: SessionLimits,
    /// Where it is noted which sessions there are and which others than their browser ended, if anybody can do that.
    pub ledger: Option<Ledger>,
    /// Those that applications do not get: of the built-in server always, ours with `--strip-own-cookies`.
    pub kept_from_applications: Vec<OwnCookies>,
}

/// How long sessions last at most. Nothing: without limit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SessionLimits {
    /// `--session-idle-timeout`: without use.
    pub idle: Option<Duration>,
    /// `--session-max-lifetime`: since the login.
    pub longest: Option<Duration>,
}

/// What a sign-out does besides ending the session here, and who else may end sessions.
#[derive(Debug)]
pub struct SignOut {
    pub provider: ProviderLogout,
    pub tokens: TokensAtSignOut,
    /// Taking tokens back goes on after the answer; so many at a time, and others are left out.
    pub revocations: Arc<Semaphore>,
    /// `--admin-group`.
    pub admin_groups: Vec<String>,
}

/// `--provider-logout`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ProviderLogout {
    On,
    Off,
}

/// `--revoke-tokens`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TokensAtSignOut {
    Revoked,
    LeftAlone,
}

/// Who may come in, and in which form others are told.
#[derive(Debug)]
pub struct Access {
    pub policy: Policy,
    pub api_routes: ApiRoutes,
    pub json_errors: JsonErrors,
    pub semicolons: Semicolons,
    pub logins_for: LoginsFor,
}

/// Which requests without a session begin a login, where no page is shown before it, and which are known for those of
/// programs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LoginsFor {
    /// Those that only read, and of them not the parts of a page and what takes no page.
    Pages,
    /// `--compat=login-for-any-request`: all that do not take JSON.
    AnyRequest,
}

/// `--force-json-errors`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum JsonErrors {
    Always,
    ForApiClients,
}

#[derive(Debug)]
pub struct Telemetry {
    pub logs: Arc<Logs>,
    pub metrics: Arc<Metrics>,
}

/// `--force-https`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HttpsPolicy {
    Optional,
    /// Plain requests are redirected; a port in the host is replaced by this one, if we serve https ourselves.
    Required {
        port: Option<u16>,
    },
}

/// Time limits of connections.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// From the first byte of a request to the end of its headers.
    pub header_read: Duration,
}
