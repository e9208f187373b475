//! Options of cookies and of the session store.

use std::{sync::Arc, time::Duration};

use doorward_options::{Options, format_duration};
use doorward_server::inject::Injection;
use doorward_session::{
    CookieConfig, CookieName, CookieSecret, CookieTransport, CsrfKeeper, Keeper, PerRequest, SameSite,
    ScriptAccess, StoredTokens,
};
use doorward_store::{RedisConfig, Store};

use super::{problems::Problems, provider::secret_or_file};

/// How sessions will be kept.
#[derive(Debug)]
pub(crate) struct Keeping {
    cookies: CookieConfig,
    store: StoreChoice,
}

#[derive(Debug)]
enum StoreChoice {
    Cookie,
    Redis(Box<RedisConfig>),
}

impl Keeping {
    /// `--cookie-expire`, unless it is unlimited.
    pub(crate) fn lifetime(&self) -> Option<Duration> {
        Some(self.cookies.expire).filter(|expire| !expire.is_zero())
    }
}

pub(crate) fn config(
    options: &Options,
    injection: &Injection,
    problems: &mut Problems<'_>,
) -> Option<Keeping> {
    let secret = secret(options, problems);
    let mend = "write letters, digits and the characters !#$%&'*+-.^_`|~, at most 256";
    let name = problems.take("cookie-name", CookieName::try_from(options.cookie_name.clone()), mend);
    let same_site = same_site("cookie-samesite", &options.cookie_samesite, problems);
    let csrf_same_site = same_site_or_unset(&options.cookie_csrf_samesite, problems);
    periods(options, problems);
    minimal(options, injection, problems);
    let csrf_limit =
        natural("cookie-csrf-per-request-limit", options.cookie_csrf_per_request_limit, problems);
    let store = store(options, problems);
    let cookies = CookieConfig {
        name: name?,
        path: options.cookie_path.clone(),
        domains: options.cookie_domains.clone(),
        transport: if options.cookie_secure { CookieTransport::HttpsOnly } else { CookieTransport::Any },
        script_access: if options.cookie_httponly { ScriptAccess::Forbidden } else { ScriptAccess::Allowed },
        same_site: same_site?,
        expire: options.cookie_expire,
        csrf_expire: options.cookie_csrf_expire,
        csrf_same_site: csrf_same_site?,
        csrf_per_request: if options.cookie_csrf_per_request {
            PerRequest::Separate
        } else {
            PerRequest::Shared
        },
        csrf_limit: csrf_limit?,
        stored_tokens: if options.session_cookie_minimal { StoredTokens::None } else { StoredTokens::All },
        secret: secret?,
    };
    Some(Keeping { cookies, store: store? })
}

fn secret(options: &Options, problems: &mut Problems<'_>) -> Option<CookieSecret> {
    const MEND: &str = "make one with: openssl rand -base64 32 | tr -- '+/' '-_'";
    if options.cookie_secret.expose().is_empty() && options.cookie_secret_file.is_empty() {
        problems.add("cookie-secret", "missing setting: cookie-secret or cookie-secret-file", MEND);
        return None;
    }
    let written = secret_or_file(&options.cookie_secret, &options.cookie_secret_file);
    let text = problems.take("cookie-secret-file", written, MEND)?;
    let option =
        if options.cookie_secret.expose().is_empty() { "cookie-secret-file" } else { "cookie-secret" };
    let secret = problems.take(option, CookieSecret::try_from(text.expose().as_bytes()), MEND)?;
    if secret.is_ambiguous() {
        problems.notice(
            "The cookie secret can be read as plain text and as base64. It is used as oauth2-proxy uses it: decoded, \
             which makes a shorter key than its length suggests. A new one made with openssl rand is better."
        );
    }
    Some(secret)
}

fn same_site(option: &str, text: &str, problems: &mut Problems<'_>) -> Option<SameSite> {
    match text {
        "" => Some(SameSite::Unset),
        "lax" => Some(SameSite::Lax),
        "strict" => Some(SameSite::Strict),
        "none" => Some(SameSite::None),
        other => {
            problems.add(
                option,
                format!("{other:?} is no SameSite value"),
                "write lax, strict, none or nothing",
            );
            None
        }
    }
}

/// `Some(None)` if logins use the setting of sessions.
#[expect(clippy::option_option, reason = "outer: did it work; inner: is it set")]
fn same_site_or_unset(text: &str, problems: &mut Problems<'_>) -> Option<Option<SameSite>> {
    if text.is_empty() {
        return Some(None);
    }
    same_site("cookie-csrf-samesite", text, problems).map(Some)
}

fn periods(options: &Options, problems: &mut Problems<'_>) {
    if !options.cookie_expire.is_zero() && options.cookie_refresh >= options.cookie_expire {
        let message = format!(
            "cookie_refresh ({:?}) must be less than cookie_expire ({:?})",
            format_duration(options.cookie_refresh),
            format_duration(options.cookie_expire)
        );
        problems.add("cookie-refresh", message, "shorten the refresh period, or lengthen the session");
    }
}

/// A session without tokens can neither be refreshed nor feed headers with them.
fn minimal(options: &Options, injection: &Injection, problems: &mut Problems<'_>) {
    if !options.session_cookie_minimal {
        return;
    }
    if !options.cookie_refresh.is_zero() {
        let message =
            "session_cookie_minimal keeps no refresh token, so cookie_refresh has nothing to work with";
        problems.add("session-cookie-minimal", message, "drop one of the two, or keep sessions in Redis");
    }
    for claim in injection.token_claims() {
        let message = format!("session_cookie_minimal keeps no {claim}, which a header is to carry");
        problems.add("session-cookie-minimal", message, "drop one of the two, or keep sessions in Redis");
    }
}

fn store(options: &Options, problems: &mut Problems<'_>) -> Option<StoreChoice> {
    match options.session_store_type.as_str() {
        "cookie" => Some(StoreChoice::Cookie),
        "redis" => redis(options, problems),
        other => {
            let message = format!("unknown session store type {other:?}");
            problems.add("session-store-type", message, "write cookie or redis");
            None
        }
    }
}

fn redis(options: &Options, problems: &mut Problems<'_>) -> Option<StoreChoice> {
    if options.redis_connection_url.expose().is_empty() {
        let mend = "write redis://host:6379, rediss://host:6379 or unix:///path";
        problems.add("redis-connection-url", "missing setting: redis-connection-url", mend);
        return None;
    }
    let mut config = RedisConfig::new(options.redis_connection_url.clone());
    if !options.redis_username.is_empty() {
        config.username = Some(options.redis_username.clone());
    }
    if !options.redis_password.expose().is_empty() {
        config.password = Some(options.redis_password.clone());
    }
    let idle = natural("redis-connection-idle-timeout", options.redis_connection_idle_timeout, problems)?;
    config.idle_timeout = idle.map(|seconds| Duration::from_secs(seconds as u64));
    Some(StoreChoice::Redis(Box::new(config)))
}

/// A number of which 0 means that there is none.
#[expect(clippy::option_option, reason = "outer: did it work; inner: is there one")]
fn natural(option: &str, number: i64, problems: &mut Problems<'_>) -> Option<Option<usize>> {
    let mend = "write 0 for none, or a number above it";
    let number = usize::try_from(number).map_err(|_| format!("{number} is below zero"));
    problems.take(option, number, mend).map(|number| Some(number).filter(|number| *number > 0))
}

/// Reaches the store, and makes the keepers of sessions and of logins under way.
pub(crate) async fn connect(keeping: Keeping, problems: &mut Problems<'_>) -> Option<(Keeper, CsrfKeeper)> {
    let Keeping { cookies, store } = keeping;
    let csrf = CsrfKeeper::new(&cookies);
    let keeper = match store {
        StoreChoice::Cookie => Keeper::cookie(&cookies),
        StoreChoice::Redis(config) => {
            let mend = "start Redis, or correct address, user and password";
            let store = problems.take("redis-connection-url", Store::connect_redis(*config).await, mend)?;
            let probed = store.probe(cookies.name.as_str()).await;
            problems.take("redis-connection-url", probed, mend)?;
            Keeper::ticket(&cookies, Arc::new(store))
        }
    };
    Some((keeper, csrf))
}
