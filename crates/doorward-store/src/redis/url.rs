//! URLs of Redis servers as the reference's client reads them (wire-formats, section 7). Pure.

use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use doorward_core::SecretString;
use percent_encoding::percent_decode_str;
use url::Url;

/// One server: where it is, whom it lets in, and what else its URL asks for.
///
/// `redis://[user:password@]host[:port][/database]`, `rediss://…` for TLS, or `unix://[user:password@]/path`, each
/// with settings such as `?db=1&dial_timeout=2s`.
#[derive(Clone, Debug, PartialEq)]
pub struct RedisUrl {
    pub(super) endpoint: Endpoint,
    pub(super) username: Option<String>,
    pub(super) password: Option<SecretString>,
    pub(super) database: i64,
    pub(super) connect_timeout: Option<Duration>,
    pub(super) response_timeout: Option<Duration>,
    pub(super) idle_timeout: Option<Duration>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Endpoint {
    Tcp { host: String, port: u16, scheme: Scheme },
    Unix(PathBuf),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Scheme {
    Redis,
    Rediss { skip_verify: bool },
}

/// Why a text is no URL of a Redis server. It never repeats the text, which may hold a password.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidRedisUrl {
    #[error("cannot be read as a URL")]
    Url,
    #[error("begins neither with redis:// nor with rediss:// nor with unix://")]
    Scheme,
    #[error("names no number of a database after the host")]
    Database,
    #[error("names no socket")]
    Socket,
    #[error("has a setting after the question mark that is unknown or given twice")]
    UnknownSetting,
    #[error("has a setting after the question mark that cannot be read: {0}")]
    Setting(&'static str),
}

impl FromStr for RedisUrl {
    type Err = InvalidRedisUrl;

    fn from_str(text: &str) -> Result<Self, InvalidRedisUrl> {
        match text.strip_prefix("unix://") {
            Some(rest) => Self::unix(rest),
            None => Self::tcp(text),
        }
    }
}

impl RedisUrl {
    /// Whether it is a socket of this machine.
    pub const fn is_unix(&self) -> bool {
        matches!(self.endpoint, Endpoint::Unix(_))
    }

    /// Whether both are spoken to in the same way: TLS or none, certificates checked or not.
    pub fn is_as_safe_as(&self, other: &Self) -> bool {
        match (&self.endpoint, &other.endpoint) {
            (Endpoint::Tcp { scheme, .. }, Endpoint::Tcp { scheme: other, .. }) => scheme == other,
            (Endpoint::Unix(_), Endpoint::Unix(_)) => true,
            (Endpoint::Tcp { .. }, Endpoint::Unix(_)) | (Endpoint::Unix(_), Endpoint::Tcp { .. }) => false,
        }
    }

    /// The host, if its certificate is to hold its name.
    pub(super) fn tls_host(&self) -> Option<String> {
        match &self.endpoint {
            Endpoint::Tcp { host, scheme: Scheme::Rediss { .. }, .. } => Some(host.clone()),
            _ => None,
        }
    }

    fn tcp(text: &str) -> Result<Self, InvalidRedisUrl> {
        let url = Url::parse(text).map_err(|_| InvalidRedisUrl::Url)?;
        let scheme = match url.scheme() {
            "redis" => Scheme::Redis,
            "rediss" => Scheme::Rediss { skip_verify: false },
            _ => return Err(InvalidRedisUrl::Scheme),
        };
        let host = match url.host() {
            // As the reference's client has it.
            None | Some(url::Host::Domain("")) => "localhost".to_owned(),
            Some(url::Host::Ipv6(address)) => address.to_string(),
            Some(host) => host.to_string(),
        };
        let mut found = Self::at(Endpoint::Tcp { host, port: url.port().unwrap_or(DEFAULT_PORT), scheme });
        found.log_in(url.username(), url.password().unwrap_or_default())?;
        found.database = match url.path().trim_matches('/') {
            "" => 0,
            number => database(number).ok_or(InvalidRedisUrl::Database)?,
        };
        found.settings(url.query().unwrap_or_default())?;
        Ok(found)
    }

    /// A user before an empty host is more than a URL parser accepts.
    fn unix(rest: &str) -> Result<Self, InvalidRedisUrl> {
        let slash = rest.find('/').ok_or(InvalidRedisUrl::Socket)?;
        let (authority, path) = rest.split_at_checked(slash).ok_or(InvalidRedisUrl::Socket)?;
        let (path, query) = path.split_once('?').unwrap_or((path, ""));
        if path == "/" {
            return Err(InvalidRedisUrl::Socket);
        }
        let mut found = Self::at(Endpoint::Unix(decoded(path)?.into()));
        if let Some(credentials) = authority.strip_suffix('@') {
            let (user, password) = credentials.split_once(':').unwrap_or((credentials, ""));
            found.log_in(user, password)?;
        } else if !authority.is_empty() {
            return Err(InvalidRedisUrl::Socket);
        }
        found.settings(query)?;
        Ok(found)
    }

    const fn at(endpoint: Endpoint) -> Self {
        Self {
            endpoint,
            username: None,
            password: None,
            database: 0,
            connect_timeout: None,
            response_timeout: None,
            idle_timeout: None,
        }
    }

    fn log_in(&mut self, user: &str, password: &str) -> Result<(), InvalidRedisUrl> {
        self.username = Some(decoded(user)?).filter(|user| !user.is_empty());
        self.password = Some(decoded(password)?).filter(|password| !password.is_empty()).map(Into::into);
        Ok(())
    }

    fn settings(&mut self, query: &str) -> Result<(), InvalidRedisUrl> {
        let mut seen = Vec::new();
        for (name, value) in url::form_urlencoded::parse(query.as_bytes()) {
            if seen.contains(&name) {
                return Err(InvalidRedisUrl::UnknownSetting);
            }
            self.setting(&name, &value)?;
            seen.push(name);
        }
        Ok(())
    }

    fn setting(&mut self, name: &str, value: &str) -> Result<(), InvalidRedisUrl> {
        match name {
            "db" => self.database = database(value).ok_or(InvalidRedisUrl::Setting("db"))?,
            "dial_timeout" => self.connect_timeout = time("dial_timeout", value)?,
            "read_timeout" => self.response_timeout = time("read_timeout", value)?,
            "conn_max_idle_time" => self.idle_timeout = time("conn_max_idle_time", value)?,
            "idle_timeout" => self.idle_timeout = time("idle_timeout", value)?,
            "skip_verify" => self.skip_verify(value)?,
            name if WITHOUT_EFFECT.contains(&name) => {}
            _ => return Err(InvalidRedisUrl::UnknownSetting),
        }
        Ok(())
    }

    fn skip_verify(&mut self, value: &str) -> Result<(), InvalidRedisUrl> {
        let Endpoint::Tcp { scheme: Scheme::Rediss { skip_verify }, .. } = &mut self.endpoint else {
            return Err(InvalidRedisUrl::UnknownSetting);
        };
        *skip_verify = match value {
            "true" | "1" => true,
            "false" | "0" | "" => false,
            _ => return Err(InvalidRedisUrl::Setting("skip_verify")),
        };
        Ok(())
    }
}

fn decoded(text: &str) -> Result<String, InvalidRedisUrl> {
    Ok(percent_decode_str(text).decode_utf8().map_err(|_| InvalidRedisUrl::Url)?.into_owned())
}

fn database(text: &str) -> Option<i64> {
    text.parse::<u32>().ok().map(i64::from)
}

/// A whole number of seconds or a sum such as `1m30s`; nothing and zero leave the setting alone.
fn time(name: &'static str, text: &str) -> Result<Option<Duration>, InvalidRedisUrl> {
    let read = match text.parse::<u32>() {
        Ok(seconds) => Some(Duration::from_secs(seconds.into())),
        Err(_) => sum_of_times(text),
    };
    Ok(Some(read.ok_or(InvalidRedisUrl::Setting(name))?).filter(|time| !time.is_zero()))
}

fn sum_of_times(mut text: &str) -> Option<Duration> {
    let mut sum = Duration::ZERO;
    while !text.is_empty() {
        let digits = text.find(|character: char| !character.is_ascii_digit() && character != '.')?;
        let (number, rest) = text.split_at_checked(digits)?;
        let letters = rest.find(|character: char| !character.is_ascii_lowercase()).unwrap_or(rest.len());
        let (unit, rest) = rest.split_at_checked(letters)?;
        let seconds = match unit {
            "ms" => 0.001,
            "s" => 1.0,
            "m" => 60.0,
            "h" => 3600.0,
            _ => return None,
        };
        let part = Duration::try_from_secs_f64(number.parse::<f64>().ok()? * seconds).ok()?;
        sum = sum.checked_add(part)?;
        text = rest;
    }
    Some(sum)
}

const DEFAULT_PORT: u16 = 6379;
/// Settings of the reference's pool of connections and of its repetitions, and what nobody reads. There is one
/// connection here, and a lost one is replaced at once.
const WITHOUT_EFFECT: [&str; 16] = [
    "protocol",
    "client_name",
    "max_retries",
    "min_retry_backoff",
    "max_retry_backoff",
    "write_timeout",
    "pool_fifo",
    "pool_size",
    "pool_timeout",
    "min_idle_conns",
    "max_idle_conns",
    "max_active_conns",
    "max_concurrent_dials",
    "conn_max_lifetime",
    "conn_max_lifetime_jitter",
    "max_conn_age",
];

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(text: &str) -> Option<String> {
        let RedisUrl { endpoint, username, password, database, .. } = text.parse().ok()?;
        let place = match endpoint {
            Endpoint::Tcp { host, port, scheme: Scheme::Redis } => format!("{host}:{port}"),
            Endpoint::Tcp { host, port, .. } => format!("{host}:{port} tls"),
            Endpoint::Unix(path) => path.to_string_lossy().into_owned(),
        };
        let password = password.map(SecretString::into_exposed).unwrap_or_default();
        Some(format!("{place} {} {password} {database}", username.unwrap_or_default()))
    }

    #[test]
    fn every_form_of_url_is_understood() {
        let table = [
            ("redis://h", "h:6379   0"),
            ("redis://", "localhost:6379   0"),
            ("redis://h:7/3", "h:7   3"),
            ("redis://h/3?db=4", "h:6379   4"),
            ("redis://:p%40w@h", "h:6379  p@w 0"),
            ("redis://u:p@h:7/", "h:7 u p 0"),
            ("redis://[::1]:7", "::1:7   0"),
            ("rediss://u:p@h/2", "h:6379 tls u p 2"),
            ("rediss://h?skip_verify=true", "h:6379 tls   0"),
            ("unix:///run/r.sock", "/run/r.sock   0"),
            ("unix:///run/r.sock?db=5", "/run/r.sock   5"),
            ("unix://u:p@/run/r.sock?db=5", "/run/r.sock u p 5"),
            ("unix://:p%2F@/run/r.sock", "/run/r.sock  p/ 0"),
        ];
        for (url, expected) in table {
            assert_eq!(shown(url).as_deref(), Some(expected), "{url}");
        }
    }

    #[test]
    fn what_is_no_redis_url_is_refused_without_being_repeated() {
        let table = [
            ("", InvalidRedisUrl::Url),
            ("h:6379", InvalidRedisUrl::Scheme),
            ("http://secret", InvalidRedisUrl::Scheme),
            ("redis://h:secret", InvalidRedisUrl::Url),
            ("redis://h/secret", InvalidRedisUrl::Database),
            ("redis://h/1/secret", InvalidRedisUrl::Database),
            ("redis://h?db=-1", InvalidRedisUrl::Setting("db")),
            ("redis://h?secret=1", InvalidRedisUrl::UnknownSetting),
            ("redis://h?user=secret", InvalidRedisUrl::UnknownSetting),
            ("redis://h?db=1&db=2", InvalidRedisUrl::UnknownSetting),
            ("redis://h?skip_verify=true", InvalidRedisUrl::UnknownSetting),
            ("redis://h?dial_timeout=secret", InvalidRedisUrl::Setting("dial_timeout")),
            ("unix://secret", InvalidRedisUrl::Socket),
            ("unix://secret/x", InvalidRedisUrl::Socket),
            ("unix:///", InvalidRedisUrl::Socket),
        ];
        for (url, expected) in table {
            let error = url.parse::<RedisUrl>().unwrap_err();
            assert_eq!(error, expected, "{url}");
            assert!(!error.to_string().contains("secret"), "{error}");
        }
    }

    #[test]
    fn times_are_read_as_the_reference_reads_them() {
        let table = [
            ("5", Some(5_000)),
            ("1.5s", Some(1_500)),
            ("1m30s", Some(90_000)),
            ("250ms", Some(250)),
            ("2h", Some(7_200_000)),
            ("0", None),
            ("", None),
        ];
        for (text, milliseconds) in table {
            let url: RedisUrl =
                format!("redis://h?dial_timeout={text}&idle_timeout={text}&pool_size=9").parse().unwrap();
            let expected = milliseconds.map(Duration::from_millis);
            assert_eq!((url.connect_timeout, url.idle_timeout), (expected, expected), "{text}");
        }
        for text in ["-1", "1", "s", "1d", "1s2", ".", "1e400s"] {
            let read = format!("redis://h?read_timeout={text}").parse::<RedisUrl>();
            assert_eq!(read.is_ok(), text == "1", "{text}");
        }
    }

    #[test]
    fn a_password_is_never_shown() {
        let url: RedisUrl = "redis://user:hidden@h".parse().unwrap();
        assert!(!format!("{url:?}").contains("hidden"));
    }
}
