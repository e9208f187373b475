//! Options of cookies and of the session store.

use std::{
    sync::Arc,
    time::{Duration, SystemTime},
};

use aws_lc_rs::rand;
use doorward_core::{SecretString, Timestamp};
use doorward_options::{Options, format_duration};
use doorward_server::{gate::SessionLimits, inject::Injection};
use doorward_session::{
    CookieConfig, CookieName, CookieSecret, CookieTransport, CsrfKeeper, Keeper, Ledger, PerRequest,
    PreviousSecret, SameSite, ScriptAccess, StoredTokens, Tickets,
};
use doorward_store::{
    Authorities, MemoryLimits, RedisConfig, RedisServers, RedisUrl, Store, TlsVerification,
};

use super::{problems::Problems, provider::secret_or_file};

/// How sessions will be kept.
#[derive(Debug)]
pub(crate) struct Keeping {
    cookies: CookieConfig,
    current: Current,
    /// Previous secrets that are written down.
    named: Vec<SecretString>,
    store: StoreChoice,
    ledger: LedgerChoice,
}

/// What sessions and logins under way are kept with.
pub(crate) struct Keepers {
    pub sessions: Keeper,
    pub logins: CsrfKeeper,
    pub ledger: Option<Ledger>,
}

/// Where the ledger of sessions is, if there is one.
#[derive(Clone, Debug, PartialEq)]
enum LedgerChoice {
    None,
    /// Where the sessions are.
    WithSessions,
    Memory,
    Redis(Box<RedisConfig>),
}

impl Keeping {
    /// The same without a store, where no session will be looked for.
    pub(crate) fn rehearsed(self) -> Self {
        Self { store: StoreChoice::Cookie, ..self }
    }
}

/// Where the cookie secret comes from.
#[derive(Debug)]
enum Current {
    Written(SecretString),
    /// From the store of the built-in server. Until it is open, one that nobody knows stands in.
    Stored,
    /// Made at random: there are no sessions to be read with it.
    MadeUp(SecretString),
}

/// What happens if nobody wrote a cookie secret.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum MissingSecret {
    Refused,
    /// There is a built-in server, whose store keeps one.
    TakenFromStore,
    /// Nobody signs in.
    MadeUp,
}

#[derive(Clone, Debug, PartialEq)]
enum StoreChoice {
    Cookie,
    Redis(Box<RedisConfig>),
}

/// The open store, if sessions are kept in one, and the cookie secrets: for the configuration that comes next.
#[derive(Clone, Debug)]
pub(crate) struct Kept {
    secrets: Secrets,
    store: Option<(StoreChoice, Arc<Store>)>,
    /// What the ledger is in, if not where the sessions are.
    ledger: Option<(LedgerChoice, Arc<Store>)>,
}

/// Cookie secrets as they are written.
#[derive(Clone, Debug)]
struct Secrets {
    current: SecretString,
    /// Previous ones that were current in this process, and until when.
    retired: Vec<(SecretString, Timestamp)>,
}

impl Secrets {
    /// The current secret of before goes on being read. Once it is named as previous, being named decides: taken from
    /// there it is out.
    fn new(current: SecretString, named: &[SecretString], former: Option<&Self>, now: Timestamp) -> Self {
        let mut retired = former.map_or_else(Vec::new, |former| {
            let latest = (former.current.clone(), now);
            former.retired.iter().cloned().chain([latest]).collect()
        });
        retired.retain(|(secret, _)| *secret != current && !named.contains(secret));
        Self { current, retired }
    }

    /// Forgets secrets under which nothing is read any more. Zero stands for no limit.
    fn forget(&mut self, lifetimes: [Duration; 2], now: Timestamp) {
        if lifetimes.iter().all(|lifetime| !lifetime.is_zero()) {
            let longest = lifetimes.into_iter().max().unwrap_or_default();
            self.retired.retain(|(_, at)| now.since(*at) <= longest + CLOCK_SKEW);
        }
    }
}

/// Clocks and requests under way get this much.
const CLOCK_SKEW: Duration = Duration::from_mins(5);

impl Keeping {
    /// Whether the cookie secret has to come from the store of the built-in server.
    pub(crate) const fn needs_stored_secret(&self) -> bool {
        matches!(self.current, Current::Stored)
    }
}

pub(crate) fn config(
    options: &Options,
    injection: &Injection,
    missing: MissingSecret,
    problems: &mut Problems<'_>,
) -> Option<Keeping> {
    let current = secret(options, missing, problems);
    let named = previous_secrets(options, problems);
    let mend = "write letters, digits and the characters !#$%&'*+-.^_`|~, at most 256";
    let name = problems.take("cookie-name", CookieName::try_from(options.cookie_name.clone()), mend);
    let same_site = same_site("cookie-samesite", &options.cookie_samesite, problems);
    let csrf_same_site = same_site_or_unset(&options.cookie_csrf_samesite, problems);
    periods(options, problems);
    minimal(options, injection, problems);
    let csrf_limit =
        natural("cookie-csrf-per-request-limit", options.cookie_csrf_per_request_limit, problems);
    let store = store(options, problems);
    let ledger = ledger(options, problems);
    own_limits(options, problems);
    let (secret, current) = current?;
    let (previous, named) = named?;
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
        secret,
        previous,
    };
    Some(Keeping { cookies, current, named, store: store?, ledger: ledger? })
}

/// The limits that oauth2-proxy does not have. Zero stands for none.
pub(crate) fn limits(options: &Options) -> SessionLimits {
    let limit = |limit: Duration| Some(limit).filter(|limit| !limit.is_zero());
    SessionLimits { idle: limit(options.session_idle_timeout), longest: limit(options.session_max_lifetime) }
}

fn own_limits(options: &Options, problems: &mut Problems<'_>) {
    const LEAST: Duration = Duration::from_secs(10);
    let SessionLimits { idle, longest } = limits(options);
    if idle.is_some_and(|idle| idle < LEAST) {
        let message = "session_idle_timeout is shorter than 10s";
        problems.add("session-idle-timeout", message, "write 10s or more, or 0 for no limit");
    }
    if let (Some(idle), Some(longest)) = (idle, longest)
        && longest <= idle
    {
        let message = "session_max_lifetime is not longer than session_idle_timeout, which then does nothing";
        problems.add("session-max-lifetime", message, "lengthen it, or drop one of the two");
    }
}

/// The ledger of a running server, for commands. It has to be where others reach it.
pub(crate) async fn ledger_for_commands(options: &Options, problems: &mut Problems<'_>) -> Option<Ledger> {
    let mend = "write a name that is a token";
    let name = problems.take("cookie-name", CookieName::try_from(options.cookie_name.clone()), mend);
    let (config, tickets) = match ledger(options, problems)? {
        LedgerChoice::None => {
            let message = "the server notes nothing about sessions with these options";
            problems.add(
                "admin-group",
                message,
                "set it, or backchannel-logout, for the server and for this command",
            );
            return None;
        }
        LedgerChoice::Memory => {
            let message = "what is in the memory of the server cannot be reached";
            problems.add("session-ledger-type", message, "use the API of the server, or write redis");
            return None;
        }
        LedgerChoice::Redis(config) => (config, Tickets::Elsewhere),
        LedgerChoice::WithSessions => match redis(options, problems)? {
            StoreChoice::Redis(config) => (config, Tickets::InStore),
            StoreChoice::Cookie => return None,
        },
    };
    let name = name?;
    let store = reach(&config, &name, problems).await?;
    let lifetime = Some(options.cookie_expire).filter(|expire| !expire.is_zero());
    Some(Ledger::new(store, name, lifetime, tickets))
}

/// There is a ledger if anybody may end the sessions of others.
fn ledger(options: &Options, problems: &mut Problems<'_>) -> Option<LedgerChoice> {
    let is_needed =
        options.backchannel_logout || options.frontchannel_logout || !options.admin_groups.is_empty();
    match (options.session_ledger_type.as_str(), options.session_store_type.as_str()) {
        ("memory" | "redis", _) if !is_needed => Some(LedgerChoice::None),
        ("memory" | "redis", "redis") => Some(LedgerChoice::WithSessions),
        ("memory", _) => Some(LedgerChoice::Memory),
        ("redis", _) => match redis(options, problems)? {
            StoreChoice::Redis(config) => Some(LedgerChoice::Redis(config)),
            StoreChoice::Cookie => None,
        },
        (other, _) => {
            let message = format!("unknown session ledger type {other:?}");
            problems.add("session-ledger-type", message, "write memory or redis");
            None
        }
    }
}

fn secret(
    options: &Options,
    missing: MissingSecret,
    problems: &mut Problems<'_>,
) -> Option<(CookieSecret, Current)> {
    const MEND: &str = "make one with: openssl rand -base64 32 | tr -- '+/' '-_'";
    if options.cookie_secret.expose().is_empty() && options.cookie_secret_file.is_empty() {
        if missing == MissingSecret::Refused {
            problems.add("cookie-secret", "missing setting: cookie-secret or cookie-secret-file", MEND);
            return None;
        }
        let mut unknown = [0; 32];
        let filled = rand::fill(&mut unknown).map_err(|_| "the system gives no random numbers");
        problems.take("cookie-secret", filled, MEND)?;
        let text = SecretString::from(base64_simd::URL_SAFE.encode_to_string(unknown));
        let secret = CookieSecret::try_from(text.expose().as_bytes());
        let secret = problems.take("cookie-secret", secret, MEND)?;
        let current = if missing == MissingSecret::MadeUp { Current::MadeUp(text) } else { Current::Stored };
        return Some((secret, current));
    }
    let written = secret_or_file(&options.cookie_secret, &options.cookie_secret_file, problems);
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
    Some((secret, Current::Written(text)))
}

/// The secrets that were the cookie secret before: from the list, or from the lines of the file.
fn previous_secrets(
    options: &Options,
    problems: &mut Problems<'_>,
) -> Option<(Vec<PreviousSecret>, Vec<SecretString>)> {
    let (list, file) = (options.cookie_secret_previous.expose(), &options.cookie_secret_previous_file);
    let (option, texts) = if !list.is_empty() || file.is_empty() {
        ("cookie-secret-previous", list.clone())
    } else {
        let read =
            problems.read_text(file).map_err(|error| format!("the file {file:?} cannot be read: {error}"));
        let text =
            problems.take("cookie-secret-previous-file", read, "name a file with one secret per line")?;
        let lines = text.lines().filter(|line| !line.is_empty()).map(ToOwned::to_owned);
        ("cookie-secret-previous-file", lines.collect())
    };
    let mend = "write secrets as they stood in cookie-secret, or leave the option out";
    let secrets = texts.iter().map(|text| {
        let secret = problems.take(option, CookieSecret::try_from(text.as_bytes()), mend)?;
        Some(PreviousSecret { secret, retired: None })
    });
    let secrets: Option<Vec<_>> = secrets.collect();
    Some((secrets?, texts.into_iter().map(SecretString::from).collect()))
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
    let servers = redis_servers(options, problems);
    let authorities = redis_authorities(options, problems);
    let idle = natural("redis-connection-idle-timeout", options.redis_connection_idle_timeout, problems);
    let mut config = RedisConfig::new(servers?);
    if !options.redis_username.is_empty() {
        config.username = Some(options.redis_username.clone());
    }
    config.password = set(&options.redis_password);
    config.idle_timeout = idle?.map(|seconds| Duration::from_secs(seconds as u64));
    config.tls.authorities = authorities?;
    if options.redis_insecure_skip_tls_verify {
        config.tls.verification = TlsVerification::Skip;
    }
    Some(StoreChoice::Redis(Box::new(config)))
}

fn redis_servers(options: &Options, problems: &mut Problems<'_>) -> Option<RedisServers> {
    match (options.redis_use_sentinel, options.redis_use_cluster) {
        (false, false) => {
            let url = options.redis_connection_url.expose();
            redis_url("redis-connection-url", url, problems).map(RedisServers::Single)
        }
        (true, false) => {
            let urls = &options.redis_sentinel_connection_urls;
            let urls = redis_urls("redis-sentinel-connection-urls", urls.expose(), problems);
            if options.redis_sentinel_master_name.is_empty() {
                let message = "redis_use_sentinel needs the name of the master";
                let mend = "write the name that stands in the sentinels' configuration, often mymaster";
                problems.add("redis-sentinel-master-name", message, mend);
                return None;
            }
            let master = options.redis_sentinel_master_name.clone();
            let password = set(&options.redis_sentinel_password);
            Some(RedisServers::Sentinel { urls: urls?, master, password })
        }
        (false, true) => {
            let option = "redis-cluster-connection-urls";
            let urls = options.redis_cluster_connection_urls.expose();
            redis_cluster(option, urls, problems)
        }
        (true, true) => {
            let message = "redis_use_sentinel and redis_use_cluster are mutually exclusive";
            problems.add("redis-use-cluster", message, "drop one of the two");
            None
        }
    }
}

/// Some servers of a cluster, as they stand under `option`.
pub(crate) fn redis_cluster(
    option: &str,
    written: &[String],
    problems: &mut Problems<'_>,
) -> Option<RedisServers> {
    let urls = redis_urls(option, written, problems)?;
    if urls.iter().any(RedisUrl::is_unix) {
        let message = "the servers of a cluster are reached by TCP, not by a socket";
        problems.add(option, message, "write redis://host:6379 or rediss://host:6379");
        return None;
    }
    Some(RedisServers::Cluster(urls))
}

/// Servers that are spoken to in the same way, as they stand under `option`.
pub(crate) fn redis_urls(
    option: &str,
    written: &[String],
    problems: &mut Problems<'_>,
) -> Option<Vec<RedisUrl>> {
    if written.is_empty() {
        problems.add(option, "no redis urls provided", REDIS_URL_MEND);
        return None;
    }
    // All of them are read before any is given up.
    let read: Vec<_> = written.iter().map(|url| redis_url(option, url, problems)).collect();
    let urls: Vec<_> = read.into_iter().collect::<Option<_>>()?;
    if urls.windows(2).any(|pair| matches!(pair, [one, other] if !one.is_as_safe_as(other))) {
        let message = "some of the URLs ask for TLS or for checked certificates, and others do not";
        problems.add(
            option,
            message,
            "write redis:// or rediss:// for all of them, with the same skip_verify",
        );
        return None;
    }
    Some(urls)
}

fn redis_url(option: &str, written: &str, problems: &mut Problems<'_>) -> Option<RedisUrl> {
    if written.is_empty() {
        problems.add(option, format!("missing setting: {option}"), REDIS_URL_MEND);
        return None;
    }
    let read = written.parse::<RedisUrl>();
    problems.take(option, read.map_err(|error| format!("a URL {error}")), REDIS_URL_MEND)
}

/// `Some(None)` where only those of the system are trusted.
#[expect(clippy::option_option, reason = "outer: did it work; inner: are there any")]
fn redis_authorities(options: &Options, problems: &mut Problems<'_>) -> Option<Option<Authorities>> {
    let path = &options.redis_ca_path;
    if path.is_empty() {
        return Some(None);
    }
    let read = problems.read(path).map_err(|error| format!("{path:?} cannot be read: {error}"));
    let read = read
        .and_then(|pem| Authorities::from_pem(&pem).map_err(|error| format!("the file {path:?} {error}")));
    let mend = "name a readable file with the certificate of the authority that signed the one of Redis, in PEM form";
    problems.take("redis-ca-path", read, mend).map(Some)
}

fn set(secret: &SecretString) -> Option<SecretString> {
    Some(secret.clone()).filter(|secret| !secret.expose().is_empty())
}

const REDIS_URL_MEND: &str =
    "write redis://[user:password@]host[:port][/database], rediss://… for TLS, or unix:///path[?db=number]";

/// A number of which 0 means that there is none.
#[expect(clippy::option_option, reason = "outer: did it work; inner: is there one")]
fn natural(option: &str, number: i64, problems: &mut Problems<'_>) -> Option<Option<usize>> {
    let mend = "write 0 for none, or a number above it";
    let number = usize::try_from(number).map_err(|_| format!("{number} is below zero"));
    problems.take(option, number, mend).map(|number| Some(number).filter(|number| *number > 0))
}

/// Reaches the store, unless it is open already, and makes the keepers of sessions and of logins under way. `stored` is
/// the secret that is used where none is written.
pub(crate) async fn connect(
    keeping: Keeping,
    stored: Option<SecretString>,
    former: Option<&Kept>,
    problems: &mut Problems<'_>,
) -> Option<(Keepers, Kept)> {
    let Keeping { mut cookies, current, named, store: choice, ledger } = keeping;
    let current = match (current, stored) {
        (Current::Written(text), _) => text,
        // One is enough for a process: no reload makes another.
        (Current::MadeUp(text), _) => {
            let text = former.map_or(text, |former| former.secrets.current.clone());
            let secret = CookieSecret::try_from(text.expose().as_bytes());
            cookies.secret = problems.take("cookie-secret", secret, "write a cookie secret")?;
            text
        }
        (Current::Stored, Some(text)) => {
            let secret = CookieSecret::try_from(text.expose().as_bytes());
            cookies.secret = problems.take("cookie-secret", secret, "write a cookie secret")?;
            text
        }
        (Current::Stored, None) => return None,
    };
    let now = Timestamp::from(SystemTime::now());
    let mut secrets = Secrets::new(current, &named, former.map(|former| &former.secrets), now);
    secrets.forget([cookies.expire, cookies.csrf_expire], now);
    cookies.previous.extend(secrets.retired.iter().filter_map(|(secret, at)| {
        let secret = CookieSecret::try_from(secret.expose().as_bytes()).ok()?;
        Some(PreviousSecret { secret, retired: Some(*at) })
    }));
    let csrf = CsrfKeeper::new(&cookies);
    let open = former.and_then(|former| former.store.clone()).filter(|(former, _)| *former == choice);
    let (keeper, store) = match (&choice, open) {
        (StoreChoice::Cookie, _) => (Keeper::cookie(&cookies), None),
        (StoreChoice::Redis(_), Some((_, store))) => {
            (Keeper::ticket(&cookies, Arc::clone(&store)), Some((choice, store)))
        }
        (StoreChoice::Redis(config), None) => {
            let store = reach(config, &cookies.name, problems).await?;
            (Keeper::ticket(&cookies, Arc::clone(&store)), Some((choice, store)))
        }
    };
    let known = former.and_then(|former| former.ledger.clone()).filter(|(former, _)| *former == ledger);
    let beside = match (&ledger, known) {
        (LedgerChoice::None | LedgerChoice::WithSessions, _) => None,
        (LedgerChoice::Memory | LedgerChoice::Redis(_), Some((_, store))) => Some(store),
        (LedgerChoice::Memory, None) => Some(Arc::new(Store::memory(LEDGER_LIMITS))),
        (LedgerChoice::Redis(config), None) => Some(reach(config, &cookies.name, problems).await?),
    };
    let (place, tickets) = match (&beside, &store) {
        (Some(beside), _) => (Some(beside), Tickets::Elsewhere),
        (None, Some((_, store))) if ledger == LedgerChoice::WithSessions => (Some(store), Tickets::InStore),
        (None, _) => (None, Tickets::Elsewhere),
    };
    let lifetime = Some(cookies.expire).filter(|expire| !expire.is_zero());
    let book = place.map(|store| Ledger::new(Arc::clone(store), cookies.name.clone(), lifetime, tickets));
    let keepers = Keepers { sessions: keeper, logins: csrf, ledger: book };
    Some((keepers, Kept { secrets, store, ledger: beside.map(|store| (ledger, store)) }))
}

/// Sessions that somebody ended; of more than these, those that would expire first are forgotten.
const LEDGER_LIMITS: MemoryLimits = MemoryLimits { entries: 100_000, bytes: 64 * 1024 * 1024 };

async fn reach(config: &RedisConfig, name: &CookieName, problems: &mut Problems<'_>) -> Option<Arc<Store>> {
    let option = match config.servers {
        RedisServers::Single(_) => "redis-connection-url",
        RedisServers::Sentinel { .. } => "redis-sentinel-connection-urls",
        RedisServers::Cluster(_) => "redis-cluster-connection-urls",
    };
    let mend = "start Redis, or correct address, user, password and TLS options";
    let store = Store::connect_redis(config.clone()).await;
    let store = problems.take(option, store, mend)?;
    problems.take(option, store.probe(name.as_str()).await, mend)?;
    Some(Arc::new(store))
}
