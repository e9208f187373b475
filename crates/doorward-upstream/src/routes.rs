//! From a path to its upstream. The longest match wins, whatever the order of configuration: an exact path first, then
//! the longest prefix. The cost grows with the depth of nested routes and the logarithm of their number only.

use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
    thread,
};

use doorward_net::{TlsConfigError, tls};
use http::uri::Authority;
use thiserror::Error;

use crate::{
    config::{HttpScheme, Target, TlsVerification, UpstreamConfig},
    forward::{Common, Upstream},
    signature::Signer,
};

/// All upstreams of one configuration.
#[derive(Debug, Default)]
pub struct Upstreams {
    all: Box<[Upstream]>,
    exact: HashMap<Box<str>, usize>,
    /// Sorted by path.
    prefixes: Box<[Prefix]>,
}

#[derive(Debug)]
struct Prefix {
    /// Ends with a slash.
    path: Box<str>,
    upstream: usize,
    /// The longest other prefix that this one lies below.
    parent: Option<usize>,
}

/// Where a path leads.
#[derive(Debug)]
pub enum Route<'a> {
    Found(&'a Upstream),
    /// Nothing is there, but with a slash at the end there would be: redirect.
    AddSlash,
    NotFound,
}

/// Why a set of upstreams cannot be used.
#[derive(Debug, Error)]
pub enum InvalidUpstreams {
    #[error("an upstream has an empty id")]
    NoId,
    #[error("the upstream {id:?} has a path that does not begin with a slash: {path:?}")]
    Path { id: String, path: String },
    #[error("multiple upstreams have the id {0:?}: upstream ids must be unique")]
    DuplicateId(String),
    #[error("multiple upstreams have the path {0:?}: upstream paths must be unique")]
    DuplicatePath(String),
    #[error("the upstream {id:?} has no valid host: {authority}")]
    Host { id: String, authority: Authority },
    #[error("https upstreams cannot be used: {0}")]
    Tls(#[from] TlsConfigError),
}

impl Upstreams {
    /// Checks the set. The system's trusted roots are read only if an upstream needs them.
    pub fn new(configs: Vec<UpstreamConfig>) -> Result<Self, InvalidUpstreams> {
        check(&configs)?;
        let common = common(&configs)?;
        let mut exact = HashMap::new();
        let mut prefixes = Vec::new();
        for (index, config) in configs.iter().enumerate() {
            let path: Box<str> = config.path.as_str().into();
            if path.ends_with('/') {
                prefixes.push(Prefix { path, upstream: index, parent: None });
            } else {
                exact.insert(path, index);
            }
        }
        nest(&mut prefixes);
        let all =
            configs.into_iter().map(|config| Upstream::new(config, &common)).collect::<Result<_, _>>()?;
        Ok(Self { all, exact, prefixes: prefixes.into() })
    }

    /// Signs every request to a server, so that the application can tell that it came through us.
    #[must_use]
    pub fn signed_by(mut self, signer: &Arc<Signer>) -> Self {
        for upstream in &mut self.all {
            upstream.sign_with(signer);
        }
        self
    }

    /// Finds the upstream of a percent-decoded path.
    pub fn find(&self, decoded_path: &str) -> Route<'_> {
        let index = match self.exact.get(decoded_path) {
            Some(index) => Some(*index),
            None => self.longest_prefix(decoded_path).map(|prefix| prefix.upstream),
        };
        if let Some(upstream) = index.and_then(|index| self.all.get(index)) {
            return Route::Found(upstream);
        }
        // A target without any path, as in `http://host`, is not a path to complete.
        if decoded_path.is_empty() || decoded_path.ends_with('/') {
            return Route::NotFound;
        }
        if self.longest_prefix(&format!("{decoded_path}/")).is_some() {
            return Route::AddSlash;
        }
        Route::NotFound
    }

    /// Everything between a prefix of the path and the path itself, in sorted order, begins with that prefix. So the
    /// greatest entry that is not above the path is the match, or lies below it.
    fn longest_prefix(&self, path: &str) -> Option<&Prefix> {
        let above = self.prefixes.partition_point(|prefix| *prefix.path <= *path);
        let mut candidate = above.checked_sub(1);
        while let Some(prefix) = candidate.and_then(|index| self.prefixes.get(index)) {
            if path.starts_with(&*prefix.path) {
                return Some(prefix);
            }
            candidate = prefix.parent;
        }
        None
    }

    pub fn is_empty(&self) -> bool {
        self.all.is_empty()
    }

    pub fn iter(&self) -> impl Iterator<Item = &Upstream> {
        self.all.iter()
    }
}

/// Sorts prefixes and finds the parent of each.
fn nest(prefixes: &mut [Prefix]) {
    prefixes.sort_by(|one, other| one.path.cmp(&other.path));
    let mut open: Vec<(usize, Box<str>)> = Vec::new();
    for (index, prefix) in prefixes.iter_mut().enumerate() {
        while open.last().is_some_and(|(_, path)| !prefix.path.starts_with(&**path)) {
            open.pop();
        }
        prefix.parent = open.last().map(|(parent, _)| *parent);
        open.push((index, prefix.path.clone()));
    }
}

fn check(configs: &[UpstreamConfig]) -> Result<(), InvalidUpstreams> {
    let mut ids = HashSet::new();
    let mut paths = HashSet::new();
    for UpstreamConfig { id, path, .. } in configs {
        if id.is_empty() {
            return Err(InvalidUpstreams::NoId);
        }
        if !path.starts_with('/') {
            return Err(InvalidUpstreams::Path { id: id.clone(), path: path.clone() });
        }
        if !paths.insert(path) {
            return Err(InvalidUpstreams::DuplicatePath(path.clone()));
        }
        if !ids.insert(id) {
            return Err(InvalidUpstreams::DuplicateId(id.clone()));
        }
    }
    Ok(())
}

/// Of the two client configurations for TLS, each is made only if an upstream uses it. A worker is expected for every
/// usable CPU.
fn common(configs: &[UpstreamConfig]) -> Result<Common, TlsConfigError> {
    let needed = |verification: TlsVerification, how: tls::ServerVerification| {
        let is_needed = configs.iter().any(|config| {
            config.tls == verification
                && matches!(config.target, Target::Http { scheme: HttpScheme::Https, .. })
        });
        is_needed.then(|| tls::client_config(how)).transpose()
    };
    Ok(Common {
        workers: thread::available_parallelism().map_or(1, usize::from),
        verifying: needed(TlsVerification::Verify, tls::ServerVerification::SystemRoots)?,
        insecure: needed(TlsVerification::Insecure, tls::ServerVerification::Disabled)?,
    })
}

#[cfg(test)]
mod tests {
    use http::StatusCode;

    use super::*;

    fn upstream(path: &str) -> UpstreamConfig {
        UpstreamConfig::new(path.into(), path.into(), Target::Static { status: StatusCode::OK })
    }

    fn upstreams(paths: &[&str]) -> Upstreams {
        Upstreams::new(paths.iter().map(|path| upstream(path)).collect()).unwrap()
    }

    #[track_caller]
    fn check(paths: &[&str], path: &str, expected: &str) {
        // The order of configuration must not matter.
        let mut reversed = paths.to_vec();
        reversed.reverse();
        for paths in [paths, &reversed] {
            let upstreams = upstreams(paths);
            let found = match upstreams.find(path) {
                Route::Found(upstream) => upstream.id(),
                Route::AddSlash => "add a slash".into(),
                Route::NotFound => "not found".into(),
            };
            assert_eq!(&*found, expected, "{path} in {paths:?}");
        }
    }

    #[test]
    fn the_longest_match_wins() {
        let paths = ["/", "/a/", "/a/b/", "/a/b", "/only", "/a/b/c/d/", "/a-b/", "/a!/"];
        check(&paths, "/", "/");
        check(&paths, "/x", "/");
        check(&paths, "/a", "/");
        check(&paths, "/a/", "/a/");
        check(&paths, "/a/x", "/a/");
        check(&paths, "/a/b", "/a/b");
        check(&paths, "/a/b/", "/a/b/");
        check(&paths, "/a/b/c", "/a/b/");
        check(&paths, "/a/b/c/d", "/a/b/");
        check(&paths, "/a/b/c/d/e", "/a/b/c/d/");
        check(&paths, "/a/bb", "/a/");
        check(&paths, "/a/zz/b/c", "/a/");
        check(&paths, "/only", "/only");
        check(&paths, "/only/", "/");
        check(&paths, "/only/x", "/");
        check(&paths, "/ü/ß", "/");
        check(&paths, "", "not found");
    }

    #[test]
    fn a_missing_slash_is_added_only_where_nothing_else_matches() {
        check(&["/app/"], "/app", "add a slash");
        check(&["/app/"], "/app/", "/app/");
        check(&["/app/"], "/apple", "not found");
        check(&["/app/"], "/", "not found");
        check(&["/app/", "/app"], "/app", "/app");
        check(&["/app/", "/"], "/app", "/");
        check(&["/app/", "/app/x/"], "/app/x", "/app/");
        check(&[], "/", "not found");
    }

    #[test]
    fn every_route_of_a_thousand_is_found() {
        let paths: Vec<String> = (0..1000).map(|number| format!("/service-{number}/")).collect();
        let upstreams = upstreams(&paths.iter().map(String::as_str).collect::<Vec<_>>());
        for path in &paths {
            let Route::Found(found) = upstreams.find(&format!("{path}x")) else { panic!("{path}") };
            assert_eq!(*found.id(), **path);
        }
        assert!(matches!(upstreams.find("/service-1000/"), Route::NotFound));
    }

    #[track_caller]
    fn check_invalid(configs: Vec<UpstreamConfig>, part: &str) {
        let error = Upstreams::new(configs).unwrap_err().to_string();
        assert!(error.contains(part) && error.contains("upstream"), "{error}");
    }

    #[test]
    fn a_set_with_a_mistake_is_refused() {
        check_invalid(
            vec![upstream("/"), UpstreamConfig { id: "other".into(), ..upstream("/") }],
            "paths must",
        );
        check_invalid(
            vec![upstream("/a"), UpstreamConfig { path: "/b".into(), ..upstream("/a") }],
            "ids must",
        );
        check_invalid(vec![UpstreamConfig { id: String::new(), ..upstream("/") }], "empty id");
        check_invalid(vec![upstream("a")], "slash");
    }
}
