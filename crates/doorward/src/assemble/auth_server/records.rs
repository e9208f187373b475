//! Where the built-in server keeps its records, and the key that seals what is secret among them.

use std::{
    fs::{self, OpenOptions},
    io::{self, Write as _},
    os::unix::fs::OpenOptionsExt as _,
    path::PathBuf,
};

use aws_lc_rs::rand;
use base64_simd::STANDARD;
use doorward_accounts::SealKey;
use doorward_core::{Secret, SecretString};
use doorward_options::structured::own::{AuthServer, RecordStore};
use doorward_store::{Authorities, RecordsConfig, RecordsPrefix, RedisConfig, RedisServers, RedisUrl};

use crate::assemble::{
    problems::Problems,
    sessions::{redis_cluster, redis_urls},
};

/// Where records are kept if nobody says where.
const FILE: &str = "doorward.db";

/// Where records are kept, and what seals them. Equal if nothing has to be opened anew.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct RecordsPlan {
    pub(crate) records: RecordsConfig,
    pub(crate) seal: Seal,
}

impl RecordsPlan {
    /// Records that end with the process.
    pub(crate) const fn passing() -> Self {
        Self { records: RecordsConfig::Memory, seal: Seal::Passing }
    }
}

/// Where the key comes from.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Seal {
    /// From a file that the operator made.
    Given(Secret<Vec<u8>>),
    /// From a file beside the records, made at the first start.
    Beside(PathBuf),
    /// As short-lived as records in memory.
    Passing,
}

pub(crate) fn records(server: &AuthServer, problems: &mut Problems<'_>) -> Option<RecordsPlan> {
    let records = store(&server.store, problems);
    let given = given_key(server, problems);
    let (records, given) = (records?, given?);
    let seal = match (given, &records) {
        (Some(key), _) => Seal::Given(key),
        (None, RecordsConfig::Embedded { path }) => {
            let mut name = path.as_os_str().to_owned();
            name.push(".key");
            Seal::Beside(name.into())
        }
        (None, RecordsConfig::Memory) => Seal::Passing,
        (None, RecordsConfig::Redis { .. }) => {
            let message = "missing setting: all who share the store have to seal with the same key";
            problems.add("authServer.secretKeyFile", message, KEY_MEND);
            return None;
        }
    };
    Some(RecordsPlan { records, seal })
}

const KEY_MEND: &str = "make one with: (umask 077; openssl rand -base64 48 > seal.key)";

fn store(store: &RecordStore, problems: &mut Problems<'_>) -> Option<RecordsConfig> {
    let RecordStore { kind, path, url, sentinel, cluster, ca_file } = store;
    let is_for_redis =
        !url.expose().is_empty() || sentinel.is_some() || !cluster.is_empty() || !ca_file.is_empty();
    match kind.as_str() {
        "" | "embedded" if !is_for_redis => {
            let path = if path.is_empty() { FILE } else { path };
            Some(RecordsConfig::Embedded { path: path.into() })
        }
        "memory" if !is_for_redis && path.is_empty() => Some(RecordsConfig::Memory),
        "redis" if path.is_empty() => redis(store, problems),
        "" | "embedded" | "memory" | "redis" => {
            let message = "path belongs to embedded, and everything else to redis";
            problems.add("authServer.store", message, "write what belongs to the type, and nothing else");
            None
        }
        _ => super::unknown("authServer.store.type", "write embedded, redis or memory", problems),
    }
}

fn redis(store: &RecordStore, problems: &mut Problems<'_>) -> Option<RecordsConfig> {
    let (servers, is_tls) = servers(store, problems)?;
    let mut config = RedisConfig::new(servers);
    if !store.ca_file.is_empty() && !is_tls {
        let message = "Redis has no certificate that could be checked: the url does not ask for TLS";
        problems.add("authServer.store.caFile", message, "take it away, or write rediss:// in the url");
    }
    if !store.ca_file.is_empty() {
        let path = &store.ca_file;
        let read = problems.read(path).map_err(|error| format!("{path:?} cannot be read: {error}"));
        let read = read.and_then(|pem| {
            Authorities::from_pem(&pem).map_err(|error| format!("the file {path:?} {error}"))
        });
        let mend = "name a PEM file with the certificate of the authority that signed the one of Redis";
        config.tls.authorities = Some(problems.take("authServer.store.caFile", read, mend)?);
    }
    Some(RecordsConfig::Redis { servers: Box::new(config), prefix: RecordsPrefix::default() })
}

/// Which servers there are, and whether they are reached by TLS.
fn servers(store: &RecordStore, problems: &mut Problems<'_>) -> Option<(RedisServers, bool)> {
    let is_tls = |url: Option<&SecretString>| url.is_some_and(|url| url.expose().starts_with("rediss:"));
    let texts = |urls: &[SecretString]| urls.iter().map(|url| url.expose().clone()).collect::<Vec<_>>();
    let RecordStore { url, sentinel, cluster, .. } = store;
    match (sentinel, cluster.as_slice()) {
        (None, []) => {
            let read = url.expose().parse::<RedisUrl>().map_err(|error| format!("a URL {error}"));
            let mend = "write redis://[user:password@]host[:port][/database], or rediss://… for TLS";
            let read = problems.take("authServer.store.url", read, mend)?;
            Some((RedisServers::Single(read), is_tls(Some(url))))
        }
        (Some(sentinel), []) if url.expose().is_empty() => {
            let place = "authServer.store.sentinel";
            let urls = redis_urls(&format!("{place}.urls"), &texts(&sentinel.urls), problems);
            if sentinel.master.is_empty() {
                let mend = "write the name that stands in the sentinels' configuration, often mymaster";
                problems.add(&format!("{place}.master"), "missing setting: master", mend);
                return None;
            }
            let password = Some(sentinel.password.clone()).filter(|one| !one.expose().is_empty());
            let master = sentinel.master.clone();
            Some((RedisServers::Sentinel { urls: urls?, master, password }, is_tls(sentinel.urls.last())))
        }
        (None, urls) if url.expose().is_empty() => {
            let servers = redis_cluster("authServer.store.cluster", &texts(urls), problems)?;
            Some((servers, is_tls(urls.last())))
        }
        _ => {
            let message = "url, sentinel and cluster name different servers";
            problems.add("authServer.store", message, "write one of the three");
            None
        }
    }
}

/// `Some(None)` if none is named.
#[expect(clippy::option_option, reason = "outer: did it work; inner: is there one")]
fn given_key(server: &AuthServer, problems: &mut Problems<'_>) -> Option<Option<Secret<Vec<u8>>>> {
    let path = &server.secret_key_file;
    if path.is_empty() {
        return Some(None);
    }
    let place = "authServer.secretKeyFile";
    let content = problems.read_secret(place, path, KEY_MEND)?;
    problems.take(place, SealKey::new(content.expose()).map(drop), KEY_MEND)?;
    Some(Some(content))
}

/// What lies beside the file of a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Beside {
    /// Records that are about to be made.
    First,
    /// Records that were sealed with it.
    Former,
}

/// The key in the file beside the records. It is made if these are the first records; where there are others already, a
/// new one would not open them.
pub(super) fn key_beside(path: &PathBuf, records: Beside) -> Result<Secret<Vec<u8>>, String> {
    match fs::read(path) {
        Ok(content) => Ok(Secret::new(content)),
        Err(error) if error.kind() == io::ErrorKind::NotFound && records == Beside::First => make(path),
        Err(error) => Err(format!(
            "the key {}, which was made with the records, cannot be read: {error}",
            path.display()
        )),
    }
}

pub(super) fn random() -> Result<Secret<Vec<u8>>, String> {
    let mut bytes = [0; 48];
    rand::fill(&mut bytes).map_err(|_| "the system gives no random numbers")?;
    Ok(Secret::new(STANDARD.encode_to_string(bytes).into_bytes()))
}

/// A new key, in a file that nobody else may read. It is on the disk before anything is sealed with it.
fn make(path: &PathBuf) -> Result<Secret<Vec<u8>>, String> {
    let content = random()?;
    let write = || {
        let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
        file.write_all(content.expose())?;
        file.sync_all()
    };
    write().map_err(|error| format!("the key {} cannot be made: {error}", path.display()))?;
    Ok(content)
}
