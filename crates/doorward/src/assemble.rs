//! From options as written to the settings of every room. One module a subject; each takes the options it knows and
//! notes what is wrong with them. Everything that can be checked without the network is checked before anything is
//! contacted, and all complaints come together.

pub(crate) mod access;
pub(crate) mod against;
pub(crate) mod announce;
pub(crate) mod api_auth;
pub(crate) mod auth_server;
mod client_auth;
mod client_ca;
pub(crate) mod differences;
mod gateway;
pub(crate) mod ingress;
pub(crate) mod injection;
pub(crate) mod legacy;
pub(crate) mod listeners;
pub(crate) mod logging;
pub(crate) mod pages;
pub(crate) mod problems;
pub(crate) mod provider;
mod risks;
pub(crate) mod secret_source;
pub(crate) mod sessions;
pub(crate) mod upstreams;

use std::{borrow::Cow, iter, sync::Arc, time::Duration};

use doorward_accounts::NewUser;
use doorward_authn::{
    bearer::{BearerTokens, OnRefusal},
    htpasswd::Htpasswd,
};
use doorward_core::redirect::AllowedHosts;
use doorward_oauth::config::Consent;
use doorward_oidc::Provider;
use doorward_options::{
    Configuration, OptionError, Options, Sources, Structured,
    structured::{self, own::Own},
};
use doorward_server::{
    Gate,
    api::ApiAuth,
    gate::{
        Access, Bearer, ProviderButton, ProviderLogout, Sessions, SignIn, SignOut, Telemetry, TokensAtSignOut,
    },
    gateway::Gateway,
    inject::{ClientCopies, Injection},
    pages::Pages,
    providers::{Known, Providers},
    redirects::{self, Redirects, RelativeRedirectUrl, SecureCookies},
    refresh::{ExpiringTokens, RefreshDesk, Schedule},
    rounds::Rounds,
    routes::{GoogleChecks, Health, Routes, SessionEndpoint},
};
use doorward_session::{OwnCookies, StateEncoding};
use doorward_telemetry::Metrics;
use doorward_upstream::Upstreams;

use futures_util::future::join_all;
use http::HeaderName;
use tokio::sync::Semaphore;

use self::{
    against::{Difference, Setup},
    auth_server::{KeptAccounts, Opened, SignInAt, Surroundings},
    listeners::Listeners,
    logging::Logging,
    problems::Problems,
    sessions::{Keeping, MissingSecret},
};
use crate::{demo::GROUNDS_HEADER, files::Files};

/// No stop waits longer than this for requests under way, also where nobody set a limit: some thirty years.
const LONGEST_DRAIN: Duration = Duration::from_hours(24 * 365 * 30);

/// Whom a configuration contacts when it is put to work.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Reach {
    Everybody,
    /// Neither stores nor identity providers: for decisions about requests that nobody sends.
    Nobody,
}

/// How people sign in, before anything is contacted.
#[derive(Debug)]
pub(crate) struct Provided {
    /// With the built-in server, what is known of our sign-in there before it runs.
    /// With their ids, in order. None where nobody signs in.
    providers: Vec<(Arc<str>, doorward_oidc::Config)>,
    extra: Vec<doorward_oidc::Config>,
    at: SignInAt,
    reach: Reach,
}

/// A configuration that has been checked but has not contacted anybody.
#[derive(Debug)]
pub(crate) struct Checked {
    pub(crate) logging: Logging,
    notices: Vec<String>,
    pub listeners: Listeners,
    provided: Provided,
    own: OwnPlan,
    button: ProviderButton,
    keeping: Keeping,
    access: Access,
    htpasswd: Option<Htpasswd>,
    injection: Injection,
    upstreams: Upstreams,
    pages: Pages,
    ingress: doorward_server::ingress::Config,
    redirects: Redirects,
    /// How often sessions are refreshed; zero: never.
    refresh_period: Duration,
}

impl Checked {
    /// The same, to be tried beside the program that serves it: with empty stores of its own, and without asking
    /// identity providers.
    pub(crate) fn rehearsed(self) -> Self {
        Self {
            provided: Provided { reach: Reach::Nobody, ..self.provided },
            own: OwnPlan {
                auth_server: self.own.auth_server.map(auth_server::Plan::rehearsed),
                gateway: self.own.gateway.map(gateway::Plan::rehearsed),
                ..self.own
            },
            keeping: self.keeping.rehearsed(),
            ..self
        }
    }

    /// Sentences for the log, about the options and where they are written.
    pub(crate) fn notices(&self, sources: &Sources) -> Vec<String> {
        sources.warnings().iter().chain(&self.notices).cloned().collect()
    }
}

/// What doorward.yaml plans.
#[derive(Debug)]
struct OwnPlan {
    auth_server: Option<auth_server::Plan>,
    api: Option<api_auth::Plan>,
    gateway: Option<gateway::Plan>,
    demo_user: Option<NewUser>,
}

/// A gate that is ready to serve, and what the configuration after this one takes over.
#[derive(Debug)]
pub(crate) struct Assembled {
    pub gate: Arc<Gate>,
    pub listeners: Listeners,
    pub former: Former,
}

/// The configuration in use: the next one takes over from it what has not changed, so that nobody is asked again, and
/// what has to be remembered.
#[derive(Clone, Debug)]
pub(crate) struct Former {
    pub gate: Arc<Gate>,
    logging: Option<Logging>,
    providers: Vec<Provider>,
    kept: sessions::Kept,
    accounts: Option<KeptAccounts>,
    gateway_keys: gateway::KeptKeys,
    /// What was said about it.
    pub notices: Vec<String>,
}

impl Former {
    /// The logs will be opened anew.
    pub(crate) fn without_logs(self) -> Self {
        Self { logging: None, ..self }
    }
}

/// For whom the program runs.
#[derive(Clone, Debug)]
pub(crate) enum Purpose {
    Operator,
    /// `doorward demo`, with this user.
    Demo(NewUser),
}

/// In which form providers, upstreams, headers and listeners were written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Form {
    /// As options.
    Flat,
    /// As a file of their own.
    Structured,
}

/// Checks the whole configuration, and reads all files that it names.
pub(crate) fn check(
    configuration: &Configuration,
    purpose: Purpose,
    files: &Files,
    former: Option<&Former>,
) -> Result<Checked, Vec<OptionError>> {
    let mut problems = Problems::new(&configuration.sources, files);
    let (structured, form) = structured_form(configuration, &mut problems);
    let checked = examined(configuration, (&structured, form), purpose, &mut problems, former);
    let found = problems.into_found();
    match checked {
        Some(checked) if found.is_empty() => Ok(checked),
        _ => Err(found),
    }
}

/// What `doorward check` tells of a configuration.
#[derive(Debug)]
pub(crate) struct Findings {
    /// What stops the start.
    pub(crate) errors: Vec<OptionError>,
    /// What is risky although nothing is wrong.
    pub(crate) warnings: Vec<OptionError>,
    /// What oauth2-proxy would do otherwise.
    pub(crate) differences: Vec<&'static Difference>,
}

/// As [`check`], for somebody who asks what there is to tell.
pub(crate) fn lint(configuration: &Configuration, files: &Files) -> Findings {
    let mut problems = Problems::new(&configuration.sources, files);
    let (structured, form) = structured_form(configuration, &mut problems);
    let setup = Setup {
        options: &configuration.options,
        structured: &structured,
        form,
        sources: &configuration.sources,
    };
    let differences = against::met(&setup);
    let _checked = examined(configuration, (&structured, form), Purpose::Operator, &mut problems, None);
    let warnings = problems.take_warnings();
    Findings { errors: problems.into_found(), warnings, differences }
}

/// Providers, upstreams, headers and listeners as the structured file has them, and whether there is one.
fn structured_form<'c>(
    configuration: &'c Configuration,
    problems: &mut Problems<'_>,
) -> (Cow<'c, Structured>, Form) {
    match &configuration.structured {
        Some(file) => (Cow::Borrowed(file), Form::Structured),
        None => (Cow::Owned(legacy::structured(&configuration.options, problems)), Form::Flat),
    }
}

fn examined(
    configuration: &Configuration,
    (structured, form): (&Structured, Form),
    purpose: Purpose,
    problems: &mut Problems<'_>,
    former: Option<&Former>,
) -> Option<Checked> {
    let written =
        Written { options: &configuration.options, structured, form, own: configuration.own.as_deref() };
    if matches!(purpose, Purpose::Operator) {
        risks::note(&written, problems);
    }
    checked(&written, problems, purpose, former)
}

/// Everything that somebody wrote.
#[derive(Clone, Copy, Debug)]
struct Written<'a> {
    options: &'a Options,
    structured: &'a Structured,
    form: Form,
    own: Option<&'a Own>,
}

/// The structured form of a configuration, for `--convert-config-to-alpha`.
pub(crate) fn converted(configuration: &Configuration) -> Result<Structured, Vec<OptionError>> {
    if let Some(structured) = &configuration.structured {
        return Ok(Structured::clone(structured));
    }
    let files = Files::default();
    let mut problems = Problems::new(&configuration.sources, &files);
    let structured = legacy::structured(&configuration.options, &mut problems);
    let found = problems.into_found();
    if found.is_empty() { Ok(structured) } else { Err(found) }
}

fn checked(
    written: &Written<'_>,
    problems: &mut Problems<'_>,
    purpose: Purpose,
    former: Option<&Former>,
) -> Option<Checked> {
    let Written { options, structured, form, own } = *written;
    let at = auth_server::sign_in_at(structured, form, own, problems);
    let consent = match purpose {
        Purpose::Operator => Consent::Auto,
        Purpose::Demo(_) => Consent::Prompt,
    };
    let around = Surroundings { options, structured, sign_in: at, consent };
    let Plans { auth_server, api, gateway } = plans(own, around, former, problems);
    let server = auth_server.as_ref().and_then(Option::as_ref);
    let options = adapted(written, at, server, problems);
    let options = options.as_ref();
    let (written_providers, provided) = provided((options, structured), at, server, problems);
    let htpasswd = access::htpasswd(options, problems);
    let former_logging = former.and_then(|former| former.logging.as_ref());
    let logging = logging::open(options, former_logging, problems);
    let planned_api = api.as_ref().and_then(Option::as_ref);
    let planned = (planned_api, server, gateway.as_ref().and_then(Option::as_ref));
    let certificates = api_auth::client_certificates(planned, &structured.server, options, problems);
    let listeners = listeners::config(options, structured, form, certificates, problems);
    let client_copies = match (form, options.skip_auth_strip_headers) {
        (Form::Structured, _) | (Form::Flat, true) => ClientCopies::Removed,
        (Form::Flat, false) => ClientCopies::KeptUnlessReplaced,
    };
    let mut injection = injection::config(structured, form, client_copies, problems);
    let demo_user = match purpose {
        Purpose::Operator => None,
        Purpose::Demo(user) => {
            injection.explain_to_application(HeaderName::from_static(GROUNDS_HEADER));
            Some(user)
        }
    };
    let missing = match at {
        SignInAt::BuiltIn => MissingSecret::TakenFromStore,
        SignInAt::Elsewhere => MissingSecret::Refused,
        SignInAt::Nowhere => MissingSecret::MadeUp,
    };
    let keeping = sessions::config(options, &injection, missing, problems);
    let anonymous_paths = planned_api.map(|api| api.anonymous_paths.clone()).unwrap_or_default();
    let who = access::Admission { providers: &written_providers, at, anonymous_paths };
    let access = access::config(options, who, problems);
    let upstreams = upstreams::config(&structured.upstreams, form, (options, planned_api), problems);
    let configs = provided.as_ref().map(|provided| provided.providers.as_slice()).unwrap_or_default();
    let name = configs.first().map(|(_, main)| main.display_name.clone()).unwrap_or_default();
    let pages = pages::config(options, name, problems);
    let ingress = ingress::config(options, problems);
    let redirects = redirects(options, problems);
    let kinds = configs.iter().map(|(_, config)| config.kind.defaults().name);
    let providers: Vec<_> = written_providers.iter().zip(kinds).collect();
    announce::note(options, structured, &providers, problems);
    differences::note(options, structured, problems);
    Some(Checked {
        logging: logging?,
        notices: problems.take_notices(),
        listeners,
        provided: provided?,
        own: OwnPlan { auth_server: auth_server?, api: api?, gateway: gateway?, demo_user },
        button: if options.skip_provider_button { ProviderButton::Skipped } else { ProviderButton::Shown },
        keeping: keeping?,
        access: access?,
        htpasswd: htpasswd?,
        injection,
        upstreams: upstreams?,
        pages: pages?,
        ingress: ingress?,
        redirects: redirects?,
        refresh_period: options.cookie_refresh,
    })
}

/// What doorward.yaml plans, each checked.
#[expect(clippy::option_option, reason = "outer: did it work; inner: is it there")]
struct Plans {
    auth_server: Option<Option<auth_server::Plan>>,
    api: Option<Option<api_auth::Plan>>,
    gateway: Option<Option<gateway::Plan>>,
}

fn plans(
    own: Option<&Own>,
    around: Surroundings<'_>,
    former: Option<&Former>,
    problems: &mut Problems<'_>,
) -> Plans {
    let mut auth_server = auth_server::plan(own, around, problems);
    let server = auth_server.as_ref().and_then(Option::as_ref);
    let api = api_auth::plan(own, server, problems);
    let beside = gateway::Beside {
        server,
        api: api.as_ref().and_then(Option::as_ref),
        former: former.map(|former| &former.gateway_keys),
        sign_in: around.sign_in,
        providers: &around.structured.providers,
    };
    let gateway = gateway::plan(own, beside, problems);
    gateway::inline_secrets(own, around.options, problems);
    if let (Some(Some(server)), Some(Some(gateway))) = (&mut auth_server, &gateway) {
        server.keep_keys_for_gateway(gateway.algorithms());
    }
    Plans { auth_server, api, gateway }
}

/// The options, with what goes without saying where the built-in server signs people in.
fn adapted<'a>(
    Written { options, .. }: &Written<'a>,
    at: SignInAt,
    plan: Option<&auth_server::Plan>,
    problems: &Problems<'_>,
) -> Cow<'a, Options> {
    let mut adapted = Cow::Borrowed(*options);
    if at != SignInAt::BuiltIn {
        return adapted;
    }
    let nobody_restricts = options.email_domains.is_empty() && options.authenticated_emails_file.is_empty();
    // Of a server that cannot be made, its own mistakes are enough to tell.
    if nobody_restricts && plan.is_none_or(|plan| !plan.admits_strangers()) {
        adapted.to_mut().email_domains = vec!["*".to_owned()];
    }
    if plan.is_some_and(|plan| !plan.is_https()) && !problems.is_set("cookie-secure") {
        adapted.to_mut().cookie_secure = false;
    }
    if options.htpasswd_file.is_empty() && !problems.is_set("skip-provider-button") {
        adapted.to_mut().skip_provider_button = true;
    }
    let outlasts = options.cookie_expire.is_zero() || REFRESH < options.cookie_expire;
    if outlasts && !options.session_cookie_minimal && !problems.is_set("cookie-refresh") {
        adapted.to_mut().cookie_refresh = REFRESH;
    }
    adapted
}

/// How soon sessions know that a user of the built-in server was disabled or changed groups, unless the operator says
/// otherwise. The server is in this process, so asking it costs little.
const REFRESH: Duration = Duration::from_mins(5);

/// Where people sign in, as it is written and as it was understood.
fn provided(
    (options, structured): (&Options, &Structured),
    at: SignInAt,
    plan: Option<&auth_server::Plan>,
    problems: &mut Problems<'_>,
) -> (Vec<structured::Provider>, Option<Provided>) {
    let written = match at {
        SignInAt::BuiltIn => vec![auth_server::first(structured)],
        SignInAt::Elsewhere => structured.providers.clone(),
        SignInAt::Nowhere => Vec::new(),
    };
    let configs: Vec<Option<doorward_oidc::Config>> = match at {
        SignInAt::BuiltIn => {
            note_unused(structured, problems);
            let own = |first| plan.map(|plan| plan.own_provider(options, Some(first)));
            written.iter().map(own).collect()
        }
        SignInAt::Elsewhere => {
            provider::look_through(structured, problems);
            let configs = written.iter().enumerate().map(|(place, provider)| {
                problems.look_at_provider(place);
                provider::config(provider, options, problems)
            });
            let configs = configs.collect();
            problems.look_at_provider(0);
            configs
        }
        SignInAt::Nowhere => Vec::new(),
    };
    let extra =
        configs.first().and_then(Option::as_ref).map(|main| provider::extra_issuers(options, main, problems));
    let ids = written.iter().map(|provider| Arc::from(provider.id.as_str()));
    let providers: Option<Vec<_>> = ids.zip(configs).map(|(id, config)| Some((id, config?))).collect();
    let is_there = at == SignInAt::Nowhere || !written.is_empty();
    let provided = providers.filter(|_| is_there).map(|providers| Provided {
        providers,
        extra: extra.unwrap_or_default(),
        at,
        reach: Reach::Everybody,
    });
    (written, provided)
}

/// Where the built-in server signs people in, it asks other providers in their place.
fn note_unused(structured: &Structured, problems: &mut Problems<'_>) {
    for place in 1..structured.providers.len() {
        problems.notice(format!(
            "providers[{place}] is not used: the built-in server signs people in, and asks those below \
             authServer.identityProviders."
        ));
    }
}

fn redirects(options: &Options, problems: &mut Problems<'_>) -> Option<Redirects> {
    let mend = "write host, host:port or .domain";
    let allowed_hosts =
        problems.take("whitelist-domain", AllowedHosts::parse(&options.whitelist_domains), mend);
    let relative = if options.relative_redirect_url {
        RelativeRedirectUrl::SentAsIs
    } else {
        RelativeRedirectUrl::MadeAbsolute
    };
    let secure = if options.cookie_secure { SecureCookies::Yes } else { SecureCookies::No };
    let redirect_uri =
        redirects::redirect_uri(&options.redirect_url, &options.proxy_prefix, relative, secure);
    let mend = "write a URL such as https://app.example.com/oauth2/callback";
    let redirect_uri = problems.take("redirect-url", redirect_uri, mend);
    let signed_out_uri =
        redirects::signed_out_uri(&options.post_logout_redirect_url, &options.proxy_prefix, secure);
    let mend = "write a URL such as https://app.example.com/oauth2/signed_out";
    let signed_out_uri = problems.take("post-logout-redirect-url", signed_out_uri, mend);
    Some(Redirects {
        allowed_hosts: allowed_hosts?,
        redirect_uri: redirect_uri?,
        signed_out_uri: signed_out_uri?,
    })
}

/// What a sign-out does; what is going on at a reload goes on.
fn sign_out(options: &Options, former: Option<&Former>) -> SignOut {
    SignOut {
        provider: if options.provider_logout { ProviderLogout::On } else { ProviderLogout::Off },
        tokens: if options.revoke_tokens { TokensAtSignOut::Revoked } else { TokensAtSignOut::LeftAlone },
        revocations: former.map_or_else(
            || Arc::new(Semaphore::new(REVOCATIONS)),
            |former| Arc::clone(&former.gate.sign_out.revocations),
        ),
        admin_groups: options.admin_groups.clone(),
    }
}

/// So many sessions at a time have their tokens taken back.
const REVOCATIONS: usize = 64;

/// Contacts what has to be there at start (session store, provider) unless that has been done, and builds the gate.
pub(crate) async fn connect(
    checked: Checked,
    configuration: &Configuration,
    former: Option<&Former>,
) -> Result<Assembled, Vec<OptionError>> {
    let Configuration { options, sources, .. } = configuration;
    let no_files = Files::default();
    let mut problems = Problems::new(sources, &no_files);
    let notices = checked.notices(sources);
    let Checked {
        logging,
        notices: _,
        listeners,
        provided,
        own,
        button,
        keeping,
        access,
        htpasswd,
        injection,
        upstreams,
        pages,
        ingress,
        redirects,
        refresh_period,
    } = checked;
    let own = Box::pin(open_own(own, (options, provided.at), former, &mut problems)).await;
    let Some(OwnParts { opened, api, gateway, gateway_keys, accounts }) = own else {
        return Err(problems.into_found());
    };
    let state = state(options, &provided);
    let contacted = contact(provided, opened.as_ref(), (options, former), &mut problems).await;
    let kept = keep(keeping, opened.as_ref(), former, &mut problems).await;
    let metrics = metrics(former, &mut problems);
    let (Some(Contacted { providers: known, bearer, all: providers }), Some((keepers, kept)), Some(metrics)) =
        (contacted, kept, metrics)
    else {
        return Err(problems.into_found());
    };
    let htpasswd = htpasswd.map(|users| succeeding(users, former));
    let refresh = desk(schedule(refresh_period, &injection), former);
    let gate = Arc::new(Gate {
        ingress,
        routes: routes(options),
        redirects,
        oauth: opened.as_ref().map(|opened| Arc::clone(&opened.server)),
        sign_in: SignIn { providers: known, htpasswd, bearer, button, state },
        sessions: kept_sessions(keepers, refresh, options, opened.as_ref()),
        sign_out: sign_out(options, former),
        access,
        api,
        injection,
        upstreams,
        gateway,
        pages,
        telemetry: Telemetry { logs: Arc::clone(&logging.logs), metrics },
        https: listeners.https,
        drain: drain(options),
    });
    let (gate_of_former, logging) = (Arc::clone(&gate), Some(logging));
    let former = Former { gate: gate_of_former, logging, providers, kept, accounts, gateway_keys, notices };
    Ok(Assembled { gate, listeners, former })
}

fn state(options: &Options, provided: &Provided) -> StateEncoding {
    // ADFS decodes what it returns once more than others: letters and digits survive that.
    let is_decoded_twice =
        provided.providers.iter().any(|(_, config)| config.kind == doorward_oidc::ProviderKind::Adfs);
    if options.encode_state || is_decoded_twice { StateEncoding::Base64 } else { StateEncoding::Plain }
}

/// How long requests under way may go on after a stop.
fn drain(options: &Options) -> Duration {
    Some(options.shutdown_timeout).filter(|limit| !limit.is_zero()).unwrap_or(LONGEST_DRAIN)
}

/// What is counted goes on across configurations.
fn metrics(former: Option<&Former>, problems: &mut Problems<'_>) -> Option<Arc<Metrics>> {
    match former {
        Some(former) => Some(Arc::clone(&former.gate.telemetry.metrics)),
        None => problems.take("metrics-address", Metrics::new().map(Arc::new), "report this"),
    }
}

fn kept_sessions(
    keepers: sessions::Keepers,
    refresh: RefreshDesk,
    options: &Options,
    opened: Option<&Opened>,
) -> Sessions {
    let sessions::Keepers { sessions: keeper, logins: csrf, ledger } = keepers;
    Sessions {
        keeper,
        csrf,
        refresh,
        rounds: Rounds::default(),
        lifetime: Some(options.cookie_expire).filter(|expire| !expire.is_zero()),
        limits: sessions::limits(options),
        ledger,
        kept_from_applications: kept_from_applications(options, opened),
    }
}

/// The cookies that applications do not get. With that of the built-in server, an application could get tokens for any
/// client in the name of whoever visits it.
fn kept_from_applications(options: &Options, opened: Option<&Opened>) -> Vec<OwnCookies> {
    let ours = options.strip_own_cookies.then_some(options.cookie_name.as_str());
    let servers = opened.into_iter().flat_map(|opened| opened.server.cookie_names());
    ours.into_iter().chain(servers).map(OwnCookies::of).collect()
}

/// Where sessions are refreshed; what was going on before goes on.
fn desk(schedule: Schedule, former: Option<&Former>) -> RefreshDesk {
    match former {
        Some(former) => former.gate.sessions.refresh.rescheduled(schedule),
        None => RefreshDesk::new(schedule),
    }
}

/// Password users, with what is known of those before them.
fn succeeding(users: Htpasswd, former: Option<&Former>) -> Arc<Htpasswd> {
    Arc::new(match former.and_then(|former| former.gate.sign_in.htpasswd.as_ref()) {
        Some(former) => users.after(former),
        None => users,
    })
}

/// The built-in server, if there is to be one.
async fn open_server(
    (plan, demo_user): (Option<auth_server::Plan>, Option<NewUser>),
    gateway: Option<&gateway::Plan>,
    former: Option<&Former>,
    problems: &mut Problems<'_>,
) -> Option<Option<Opened>> {
    let Some(plan) = plan else { return Some(None) };
    let kept = former.and_then(|former| former.accounts.as_ref());
    let signer = gateway.and_then(gateway::Plan::issuer).cloned();
    let issuers = gateway.map(gateway::Plan::trusted_issuers).unwrap_or_default();
    let opened = auth_server::open((plan, signer, issuers), kept, problems).await?;
    if let Some(user) = demo_user {
        opened.add(user, problems).await?;
    }
    Some(Some(opened))
}

/// What doorward.yaml came to.
#[derive(Debug)]
struct OwnParts {
    opened: Option<Opened>,
    api: Option<Box<ApiAuth>>,
    gateway: Option<Box<Gateway>>,
    gateway_keys: gateway::KeptKeys,
    /// The store, if anything needs one.
    accounts: Option<KeptAccounts>,
}

async fn open_own(
    plan: OwnPlan,
    (options, at): (&Options, SignInAt),
    former: Option<&Former>,
    problems: &mut Problems<'_>,
) -> Option<OwnParts> {
    let OwnPlan { auth_server, api, mut gateway, demo_user } = plan;
    let opened = Box::pin(open_server((auth_server, demo_user), gateway.as_ref(), former, problems)).await?;
    let kept = former.and_then(|former| former.accounts.as_ref());
    let accounts = match (&opened, gateway.as_mut().and_then(gateway::Plan::take_records)) {
        (Some(opened), _) => Some(opened.kept.clone()),
        (None, Some(records)) => Some(auth_server::open_accounts(records, kept, problems).await?),
        (None, None) => None,
    };
    let api = api.map(|api| api.ready(opened.as_ref().map(|opened| &opened.accounts), at));
    let (gateway, gateway_keys) = match gateway {
        Some(plan) => {
            let around = (options, opened.as_ref(), at);
            let ready = open_gateway(plan, around, accounts.as_ref(), problems)?;
            (Some(ready.gateway), ready.keys)
        }
        None => (None, gateway::KeptKeys::default()),
    };
    Some(OwnParts { opened, api, gateway, gateway_keys, accounts })
}

fn open_gateway(
    plan: gateway::Plan,
    (options, opened, at): (&Options, Option<&Opened>, SignInAt),
    accounts: Option<&KeptAccounts>,
    problems: &mut Problems<'_>,
) -> Option<gateway::Ready> {
    let accounts = accounts.map(KeptAccounts::accounts);
    let cookies = session_cookies(options, opened);
    let signer = match opened {
        Some(opened) => opened.signer.clone(),
        None => gateway::signer(plan.issuer(), accounts, problems),
    };
    plan.ready((accounts, signer), (cookies, at.naming()), problems)
}

/// The cookies of our own sessions and of the built-in server's.
fn session_cookies(options: &Options, opened: Option<&Opened>) -> Vec<OwnCookies> {
    let servers = opened.into_iter().flat_map(|opened| opened.server.cookie_names());
    iter::once(options.cookie_name.as_str()).chain(servers).map(OwnCookies::of).collect()
}

/// The keepers of sessions, with a cookie secret of the built-in server's where nobody wrote one.
async fn keep(
    keeping: Keeping,
    opened: Option<&Opened>,
    former: Option<&Former>,
    problems: &mut Problems<'_>,
) -> Option<(sessions::Keepers, sessions::Kept)> {
    let secret = match opened.filter(|_| keeping.needs_stored_secret()) {
        Some(opened) => opened.cookie_secret(problems).await,
        None => None,
    };
    sessions::connect(keeping, secret, former.map(|former| &former.kept), problems).await
}

/// Providers that are connected to.
#[derive(Debug, Default)]
struct Contacted {
    providers: Providers,
    bearer: Option<Bearer>,
    all: Vec<Provider>,
}

/// Expiring tokens are of interest if sessions are refreshed anyway, or if a header carries a token.
fn schedule(period: Duration, injection: &Injection) -> Schedule {
    let tokens = if period.is_zero() && injection.token_claims().next().is_none() {
        ExpiringTokens::LeftAlone
    } else {
        ExpiringTokens::Refreshed
    };
    Schedule { period, tokens }
}

/// The providers, and those besides whose bearer tokens are accepted.
async fn contact(
    Provided { providers, extra, at, reach }: Provided,
    opened: Option<&Opened>,
    (options, former): (&Options, Option<&Former>),
    problems: &mut Problems<'_>,
) -> Option<Contacted> {
    if providers.is_empty() || reach == Reach::Nobody {
        return Some(Contacted::default());
    }
    let mut attempts = Vec::new();
    for (id, config) in providers {
        let config = match (at, opened) {
            (SignInAt::BuiltIn, Some(opened)) => opened.own_provider(config, problems).await?,
            (SignInAt::BuiltIn, None) => return None,
            (SignInAt::Elsewhere | SignInAt::Nowhere, _) => config,
        };
        attempts.push(async move { (id, connected(config, former).await) });
    }
    let mut known = Vec::new();
    // At the same time, or those that do not answer would be waited for one by one.
    for (place, (id, connected)) in join_all(attempts).await.into_iter().enumerate() {
        problems.look_at_provider(place);
        match connected {
            Ok(client) => known.push(Known { id, client }),
            Err(error) => {
                let mend = provider::connect_mend(&error);
                problems.add(provider::option_of(&error), error.to_string(), mend);
            }
        }
    }
    problems.look_at_provider(0);
    if problems.count() > 0 {
        return None;
    }
    let mut all: Vec<Provider> = known.iter().map(|known| known.client.clone()).collect();
    if !options.skip_jwt_bearer_tokens {
        return Some(Contacted { providers: Providers::new(known), bearer: None, all });
    }
    let mut issuers = Vec::new();
    for config in extra {
        let mend = "correct the issuer's address";
        issuers.push(problems.take("extra-jwt-issuers", connected(config, former).await, mend)?);
    }
    all.extend(issuers.iter().cloned());
    let on_refusal = if options.bearer_token_login_fallback { OnRefusal::TryNext } else { OnRefusal::Forbid };
    // The ID tokens of the built-in server tell a client who signed in. They are no credentials: nobody can take them back,
    // and they know no scopes. Its access tokens are.
    let tokens = match (at, known.as_slice()) {
        (SignInAt::BuiltIn, _) => BearerTokens::new(None, issuers),
        (_, [only]) => BearerTokens::new(Some(only.client.clone()), issuers),
        (_, several) => {
            let several = several.iter().map(|known| (Arc::clone(&known.id), known.client.clone()));
            BearerTokens::of_several(several.collect(), issuers)
        }
    };
    let bearer = Some(Bearer { tokens, on_refusal });
    Some(Contacted { providers: Providers::new(known), bearer, all })
}

/// A provider that is connected to already keeps what it knows: metadata and keys.
async fn connected(
    config: doorward_oidc::Config,
    former: Option<&Former>,
) -> Result<Provider, doorward_oidc::ConnectError> {
    let known = former.and_then(|former| former.providers.iter().find(|provider| provider.is_of(&config)));
    match known {
        Some(provider) => Ok(provider.clone()),
        None => Provider::connect(config).await,
    }
}

fn routes(options: &Options) -> Routes {
    let user_agent = (!options.ping_user_agent.is_empty()).then(|| options.ping_user_agent.clone());
    Routes {
        prefix: options.proxy_prefix.trim_end_matches('/').to_owned(),
        health: Health {
            ping_path: options.ping_path.clone(),
            ready_path: options.ready_path.clone(),
            user_agent,
            google: if options.gcp_healthchecks { GoogleChecks::Answered } else { GoogleChecks::NotAnswered },
        },
        about_sessions: about_sessions(options),
    }
}

/// The endpoints about sessions that somebody switched on.
fn about_sessions(options: &Options) -> Vec<SessionEndpoint> {
    let all = [
        (options.provider_logout, SessionEndpoint::SignedOut),
        (options.backchannel_logout, SessionEndpoint::BackChannelLogout),
        (options.frontchannel_logout, SessionEndpoint::FrontChannelLogout),
        (!options.admin_groups.is_empty(), SessionEndpoint::Admin),
    ];
    all.into_iter().filter_map(|(is_on, endpoint)| is_on.then_some(endpoint)).collect()
}
