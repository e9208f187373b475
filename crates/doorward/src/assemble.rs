//! From options as written to the settings of every room. One module a subject; each takes the options it knows and
//! notes what is wrong with them. Everything that can be checked without the network is checked before anything is
//! contacted, and all complaints come together.

pub(crate) mod access;
pub(crate) mod announce;
pub(crate) mod differences;
pub(crate) mod ingress;
pub(crate) mod injection;
pub(crate) mod legacy;
pub(crate) mod listeners;
pub(crate) mod logging;
pub(crate) mod pages;
pub(crate) mod problems;
pub(crate) mod provider;
pub(crate) mod secret_source;
pub(crate) mod sessions;
pub(crate) mod upstreams;

use std::{borrow::Cow, sync::Arc};

use doorward_authn::{
    bearer::{BearerTokens, OnRefusal},
    htpasswd::Htpasswd,
    watch::{WatchHandle, spawn_watch},
};
use doorward_authz::EmailFile;
use doorward_core::redirect::AllowedHosts;
use doorward_oidc::Provider;
use doorward_options::{OptionError, Options, Sources, Structured};
use doorward_server::{
    Gate,
    gate::{Bearer, ProviderButton, Sessions, SignIn, Telemetry},
    inject::{ClientCopies, Injection},
    pages::Pages,
    redirects::{self, Redirects, RelativeRedirectUrl, SecureCookies},
    refresh::{ExpiringTokens, RefreshDesk, Schedule},
    routes::{GoogleChecks, Health, Routes},
};
use doorward_session::{OwnCookies, StateEncoding};
use doorward_telemetry::{Logs, Metrics};
use doorward_upstream::Upstreams;

use http::HeaderName;

use self::{access::Compiled, listeners::Listeners, problems::Problems, sessions::Keeping};
use crate::demo::GROUNDS_HEADER;

/// How people sign in, before anything is contacted.
#[derive(Debug)]
pub(crate) enum Provided {
    Provider {
        main: Box<doorward_oidc::Config>,
        extra: Vec<doorward_oidc::Config>,
    },
    /// `doorward demo`: the password file alone.
    PasswordsOnly,
}

/// A configuration that has been checked but has not contacted anybody.
#[derive(Debug)]
pub(crate) struct Checked {
    pub(crate) logs: Arc<Logs>,
    /// Sentences for the log at start.
    pub(crate) notices: Vec<String>,
    pub listeners: Listeners,
    provided: Provided,
    keeping: Keeping,
    access: Compiled,
    htpasswd: Option<Arc<Htpasswd>>,
    injection: Injection,
    upstreams: Upstreams,
    pages: Pages,
    ingress: doorward_server::ingress::Config,
    redirects: Redirects,
    files: WatchedFiles,
}

/// Files that are read again when they change.
#[derive(Debug)]
struct WatchedFiles {
    emails: String,
    htpasswd: String,
}

/// A gate that is ready to serve, and what keeps its lists current.
#[derive(Debug)]
pub(crate) struct Assembled {
    pub gate: Gate,
    pub watches: Vec<WatchHandle>,
}

/// Who vouches for users: options, or the demo's built-in password.
#[derive(Debug)]
pub(crate) enum SignInSource {
    Options,
    Demo { htpasswd: String, banner: String },
}

/// In which form providers, upstreams, headers and listeners were written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Form {
    /// As options.
    Flat,
    /// As a file of their own.
    Structured,
}

/// Checks all options, and the structured file if there is one.
pub(crate) fn check(
    options: &Options,
    file: Option<&Structured>,
    sources: &Sources,
    source: SignInSource,
) -> Result<Checked, Vec<OptionError>> {
    let mut problems = Problems::new(sources);
    let checked = if let Some(file) = file {
        checked((options, file, Form::Structured), &mut problems, source)
    } else {
        let structured = legacy::structured(options, &mut problems);
        checked((options, &structured, Form::Flat), &mut problems, source)
    };
    let found = problems.into_found();
    match checked {
        Some(checked) if found.is_empty() => Ok(checked),
        _ => Err(found),
    }
}

/// The options as the structured form has them, for `--convert-config-to-alpha`, and what is wrong with them.
pub(crate) fn converted(options: &Options, sources: &Sources) -> (Structured, Vec<OptionError>) {
    let mut problems = Problems::new(sources);
    let structured = legacy::structured(options, &mut problems);
    (structured, problems.into_found())
}

fn checked(
    (options, structured, form): (&Options, &Structured, Form),
    problems: &mut Problems<'_>,
    source: SignInSource,
) -> Option<Checked> {
    let mut options = Cow::Borrowed(options);
    let mut first_provider = None;
    let (provided, htpasswd) = match source {
        SignInSource::Options => {
            first_provider = provider::first(structured, problems);
            let provider = first_provider.and_then(|first| provider::config(first, &options, problems));
            let provider = provider.map(|main| {
                let extra = provider::extra_issuers(&options, &main, problems);
                Provided::Provider { main: Box::new(main), extra }
            });
            (provider, access::htpasswd(&options, problems))
        }
        SignInSource::Demo { htpasswd, banner } => {
            options.to_mut().banner = banner;
            (Some(Provided::PasswordsOnly), access::parse_htpasswd(&options, &htpasswd, problems).map(Some))
        }
    };
    let options = options.as_ref();
    let logs = logging::open(options, problems);
    let listeners = listeners::config(options, structured, form, problems);
    let client_copies = match (form, options.skip_auth_strip_headers) {
        (Form::Structured, _) | (Form::Flat, true) => ClientCopies::Removed,
        (Form::Flat, false) => ClientCopies::KeptUnlessReplaced,
    };
    let mut injection = injection::config(structured, form, client_copies, problems);
    if matches!(provided, Some(Provided::PasswordsOnly)) {
        injection.explain_to_application(HeaderName::from_static(GROUNDS_HEADER));
    }
    let keeping = sessions::config(options, &injection, problems);
    let access = access::config(options, first_provider, problems);
    let upstreams = upstreams::config(&structured.upstreams, form, options, problems);
    let name = match &provided {
        Some(Provided::Provider { main, .. }) => main.display_name.clone(),
        _ => String::new(),
    };
    let pages = pages::config(options, name, problems);
    let ingress = ingress::config(options, problems);
    let redirects = redirects(options, problems);
    if let (Some(Provided::Provider { main, .. }), Some(first)) = (&provided, first_provider) {
        for line in announce::lines(options, structured, first, main.kind.name()) {
            problems.notice(line);
        }
    }
    differences::note(options, structured, problems);
    Some(Checked {
        logs: logs?,
        notices: problems.take_notices(),
        listeners,
        provided: provided?,
        keeping: keeping?,
        access: access?,
        htpasswd: htpasswd?,
        injection,
        upstreams: upstreams?,
        pages: pages?,
        ingress: ingress?,
        redirects: redirects?,
        files: WatchedFiles {
            emails: options.authenticated_emails_file.clone(),
            htpasswd: options.htpasswd_file.clone(),
        },
    })
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
    Some(Redirects { allowed_hosts: allowed_hosts?, redirect_uri: redirect_uri? })
}

/// Contacts what has to be there at start (session store, provider) and builds the gate.
pub(crate) async fn connect(
    checked: Checked,
    options: &Options,
    sources: &Sources,
) -> Result<(Assembled, Listeners), Vec<OptionError>> {
    let mut problems = Problems::new(sources);
    let Checked {
        logs,
        notices: _,
        listeners,
        provided,
        keeping,
        access,
        htpasswd,
        injection,
        upstreams,
        pages,
        ingress,
        redirects,
        files,
    } = checked;
    let contacted = contact(provided, options, &mut problems).await;
    let lifetime = keeping.lifetime();
    let kept = sessions::connect(keeping, &mut problems).await;
    let metrics = problems.take("metrics-address", Metrics::new(), "report this");
    let (Some((provider, bearer)), Some((keeper, csrf)), Some(metrics)) = (contacted, kept, metrics) else {
        return Err(problems.into_found());
    };
    let watches = watches(&files, &access, htpasswd.as_ref());
    let schedule = Schedule {
        period: options.cookie_refresh,
        tokens: if options.cookie_refresh.is_zero() && injection.token_claims().next().is_none() {
            ExpiringTokens::LeftAlone
        } else {
            ExpiringTokens::Refreshed
        },
    };
    let button = if options.skip_provider_button { ProviderButton::Skipped } else { ProviderButton::Shown };
    let state = if options.encode_state { StateEncoding::Base64 } else { StateEncoding::Plain };
    let gate = Gate {
        ingress,
        routes: routes(options),
        redirects,
        sign_in: SignIn { provider, htpasswd, bearer, button, state },
        sessions: Sessions {
            keeper,
            csrf,
            refresh: RefreshDesk::new(schedule),
            lifetime,
            kept_from_applications: options.strip_own_cookies.then(|| OwnCookies::of(&options.cookie_name)),
        },
        access: access.access,
        injection,
        upstreams,
        pages,
        telemetry: Telemetry { logs, metrics: Arc::new(metrics) },
        https: listeners.https,
    };
    Ok((Assembled { gate, watches }, listeners))
}

/// The main provider, and those whose bearer tokens are accepted.
async fn contact(
    provided: Provided,
    options: &Options,
    problems: &mut Problems<'_>,
) -> Option<(Option<Provider>, Option<Bearer>)> {
    let Provided::Provider { main, extra } = provided else { return Some((None, None)) };
    let mend = "correct the provider's options; --oidc-issuer-url is compared letter by letter";
    let main = problems.take("oidc-issuer-url", Provider::connect(*main).await, mend)?;
    if !options.skip_jwt_bearer_tokens {
        return Some((Some(main), None));
    }
    let mut issuers = Vec::new();
    for config in extra {
        let mend = "correct the issuer's address";
        issuers.push(problems.take("extra-jwt-issuers", Provider::connect(config).await, mend)?);
    }
    let on_refusal = if options.bearer_token_login_fallback { OnRefusal::TryNext } else { OnRefusal::Forbid };
    let tokens = BearerTokens::new(Some(main.clone()), issuers);
    Some((Some(main), Some(Bearer { tokens, on_refusal })))
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
    }
}

fn watches(files: &WatchedFiles, access: &Compiled, htpasswd: Option<&Arc<Htpasswd>>) -> Vec<WatchHandle> {
    let mut watches = Vec::new();
    if let Some(list) = access.emails.clone() {
        let replace = move |text: String| {
            list.replace(EmailFile::parse(&text));
            Ok(())
        };
        watches.push(spawn_watch(files.emails.clone(), replace));
    }
    if let Some(htpasswd) = htpasswd.filter(|_| !files.htpasswd.is_empty()) {
        watches.push(htpasswd.watch(&files.htpasswd));
    }
    watches
}
