//! From a path to its upstream. Upstreams with a rewrite come first, the longest expression before the others. Then the
//! longest path wins, whatever the order of configuration: an exact path first, then the longest prefix. The cost grows
//! with the depth of nested routes and the logarithm of their number only; expressions and paths with variables are
//! tried one after the other.

use std::{
    cmp::Reverse,
    collections::{HashMap, HashSet},
    sync::Arc,
    thread,
};

use doorward_net::{TlsConfigError, tls};
use http::uri::Authority;
use thiserror::Error;

use crate::{
    config::{HttpScheme, PathForm, Target, TlsVerification, UpstreamConfig},
    forward::{Common, Upstream},
    rewrite::InvalidRewrite,
    signature::Signer,
    template::{InvalidTemplate, Template},
};

/// All upstreams of one configuration.
#[derive(Debug, Default)]
pub struct Upstreams {
    all: Box<[Upstream]>,
    form: PathForm,
    /// Those with a rewrite, the longest expression first.
    rewritten: Box<[usize]>,
    /// The longest first.
    templates: Box<[TemplateRoute]>,
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

#[derive(Debug)]
struct TemplateRoute {
    template: Template,
    /// Of the template as written: what decides between routes that match.
    length: usize,
    upstream: usize,
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
    #[error("the upstream {0:?} has no path")]
    NoPath(String),
    #[error("the upstream {id:?} has a path that does not begin with a slash: {path:?}")]
    Path { id: String, path: String },
    #[error("the upstream {id:?} cannot be used: {reason}")]
    Rewrite { id: String, reason: InvalidRewrite },
    #[error("the upstream {id:?} cannot be used: {reason}")]
    Template { id: String, reason: InvalidTemplate },
    #[error(
        "the upstream {0:?} serves files and has a path with variables: write an expression and a rewriteTarget instead"
    )]
    FilesTemplate(String),
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
    pub fn new(configs: Vec<UpstreamConfig>, form: PathForm) -> Result<Self, InvalidUpstreams> {
        check(&configs)?;
        let common = common(&configs, form)?;
        let mut rewritten = Vec::new();
        let mut templates = Vec::new();
        let mut exact = HashMap::new();
        let mut prefixes = Vec::new();
        for (index, config) in configs.iter().enumerate() {
            let path: Box<str> = config.path.as_str().into();
            if config.rewrite.is_some() {
                rewritten.push((path.len(), index));
            } else if Template::is_one(&path) {
                templates.push(TemplateRoute {
                    template: template(config)?,
                    length: path.len(),
                    upstream: index,
                });
            } else if path.ends_with('/') {
                prefixes.push(Prefix { path, upstream: index, parent: None });
            } else {
                exact.insert(path, index);
            }
        }
        rewritten.sort_by_key(|(length, _)| Reverse(*length));
        templates.sort_by_key(|route| Reverse(route.length));
        nest(&mut prefixes);
        let all =
            configs.into_iter().map(|config| Upstream::new(config, &common)).collect::<Result<_, _>>()?;
        Ok(Self {
            all,
            form,
            rewritten: rewritten.into_iter().map(|(_, index)| index).collect(),
            templates: templates.into(),
            exact,
            prefixes: prefixes.into(),
        })
    }

    /// Upstreams that somebody else chooses from, by their place: their paths route nothing. What a path says besides (the
    /// expression of a rewrite, the beginning that files are served below) holds.
    pub fn chosen(configs: Vec<UpstreamConfig>) -> Result<Vec<Upstream>, InvalidUpstreams> {
        let common = common(&configs, PathForm::Decoded)?;
        configs.into_iter().map(|config| Upstream::new(config, &common)).collect()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.all.is_empty()
    }

    /// Signs every request to a server, so that the application can tell that it came through us.
    #[must_use]
    pub fn signed_by(mut self, signer: &Arc<Signer>) -> Self {
        for upstream in &mut self.all {
            upstream.sign_with(signer);
        }
        self
    }

    /// Finds the upstream of a request's target.
    pub fn find(&self, target: &doorward_core::Target) -> Route<'_> {
        let path = match self.form {
            PathForm::Decoded => target.path(),
            PathForm::Raw => target.raw_path(),
        };
        if let Some(upstream) = self.matching(target.path(), path) {
            return Route::Found(upstream);
        }
        if path.ends_with('/') {
            return Route::NotFound;
        }
        if self.matching(&format!("{}/", target.path()), &format!("{path}/")).is_some() {
            return Route::AddSlash;
        }
        Route::NotFound
    }

    /// The upstream of a path, which is given decoded and in the form that is compared.
    fn matching(&self, decoded: &str, path: &str) -> Option<&Upstream> {
        let mut rewritten = self.rewritten.iter().filter_map(|index| self.all.get(*index));
        if let Some(upstream) = rewritten.find(|upstream| upstream.rewrites(decoded)) {
            return Some(upstream);
        }
        let (length, index) = match self.exact.get(path) {
            Some(index) => (path.len(), Some(*index)),
            None => match self.longest_prefix(path) {
                Some(prefix) => (prefix.path.len(), Some(prefix.upstream)),
                None => (0, None),
            },
        };
        let mut longer = self.templates.iter().take_while(|route| length < route.length);
        let index = longer.find(|route| route.template.is_match(path)).map(|route| route.upstream).or(index);
        index.and_then(|index| self.all.get(index))
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
    for UpstreamConfig { id, path, rewrite, .. } in configs {
        if id.is_empty() {
            return Err(InvalidUpstreams::NoId);
        }
        if path.is_empty() {
            return Err(InvalidUpstreams::NoPath(id.clone()));
        }
        if rewrite.is_none() && !path.starts_with('/') {
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

fn template(config: &UpstreamConfig) -> Result<Template, InvalidUpstreams> {
    if matches!(config.target, Target::Files { .. }) {
        return Err(InvalidUpstreams::FilesTemplate(config.id.clone()));
    }
    Template::parse(&config.path)
        .map_err(|reason| InvalidUpstreams::Template { id: config.id.clone(), reason })
}

/// Of the two client configurations for TLS, each is made only if an upstream uses it. A worker is expected for every
/// usable CPU.
fn common(configs: &[UpstreamConfig], form: PathForm) -> Result<Common, TlsConfigError> {
    let needed = |is_so: fn(&TlsVerification) -> bool, how: tls::ServerVerification| {
        let is_needed = configs.iter().any(|config| {
            is_so(&config.tls) && matches!(config.target, Target::Http { scheme: HttpScheme::Https, .. })
        });
        is_needed.then(|| tls::client_config(how, None)).transpose()
    };
    Ok(Common {
        form,
        workers: thread::available_parallelism().map_or(1, usize::from),
        verifying: needed(
            |tls| matches!(tls, TlsVerification::Verify),
            tls::ServerVerification::SystemRoots,
        )?,
        insecure: needed(|tls| matches!(tls, TlsVerification::Insecure), tls::ServerVerification::Disabled)?,
    })
}

#[cfg(test)]
mod tests {
    use http::StatusCode;

    use super::*;
    use crate::config::Rewrite;

    fn upstream(path: &str) -> UpstreamConfig {
        UpstreamConfig::new(path.into(), path.into(), Target::Static { status: StatusCode::OK })
    }

    fn upstreams(paths: &[&str]) -> Upstreams {
        Upstreams::new(paths.iter().map(|path| upstream(path)).collect(), PathForm::Decoded).unwrap()
    }

    fn at(path: &str) -> doorward_core::Target {
        doorward_core::Target::new(path.parse().unwrap_or_default())
    }

    fn name_of(found: &Route<'_>) -> String {
        match found {
            Route::Found(upstream) => upstream.id().to_string(),
            Route::AddSlash => "add a slash".into(),
            Route::NotFound => "not found".into(),
        }
    }

    #[track_caller]
    fn check(paths: &[&str], path: &str, expected: &str) {
        // The order of configuration must not matter.
        let mut reversed = paths.to_vec();
        reversed.reverse();
        for paths in [paths, &reversed] {
            assert_eq!(name_of(&upstreams(paths).find(&at(path))), expected, "{path} in {paths:?}");
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
    fn upstreams_that_others_choose_from_keep_their_places_and_may_share_a_path() {
        let named = |id: &str| UpstreamConfig { id: id.into(), ..upstream("/") };
        let chosen = Upstreams::chosen(vec![named("b"), named("a")]).unwrap();
        assert_eq!(chosen.iter().map(|one| one.id().to_string()).collect::<Vec<_>>(), ["b", "a"]);
    }

    #[test]
    fn every_route_of_a_thousand_is_found() {
        let paths: Vec<String> = (0..1000).map(|number| format!("/service-{number}/")).collect();
        let upstreams = upstreams(&paths.iter().map(String::as_str).collect::<Vec<_>>());
        for path in &paths {
            let Route::Found(found) = upstreams.find(&at(&format!("{path}x"))) else { panic!("{path}") };
            assert_eq!(*found.id(), **path);
        }
        assert!(matches!(upstreams.find(&at("/service-1000/")), Route::NotFound));
    }

    #[track_caller]
    fn check_form(form: PathForm, path: &str, expected: &str) {
        let paths = ["/", "/a/", "/a b/", "/a%2Fb/", "/only%20"];
        let upstreams = Upstreams::new(paths.map(upstream).into(), form).unwrap();
        assert_eq!(name_of(&upstreams.find(&at(path))), expected, "{path} {form:?}");
    }

    #[test]
    fn paths_are_compared_decoded_or_as_they_came() {
        for (path, decoded, raw) in [
            ("/a%2Fb/x", "/a/", "/a%2Fb/"),
            ("/%61/x", "/a/", "/"),
            ("/a%20b/", "/a b/", "/"),
            ("/only%20", "/", "/only%20"),
            ("/a%252Fb/", "/a%2Fb/", "/"),
            ("/a/%2e", "/a/", "/a/"),
        ] {
            check_form(PathForm::Decoded, path, decoded);
            check_form(PathForm::Raw, path, raw);
        }
    }

    fn rewritten(path: &str) -> UpstreamConfig {
        UpstreamConfig { rewrite: Some(Rewrite { target: "/".into() }), ..upstream(path) }
    }

    #[test]
    fn rewrites_come_first_and_the_longer_before_the_shorter() {
        for form in [PathForm::Decoded, PathForm::Raw] {
            let mut configs = vec![
                upstream("/"),
                upstream("/api/v1/very/long"),
                rewritten("^/api/"),
                rewritten("^/api/v[0-9]+/"),
                rewritten("/end$"),
                rewritten("^/b\\x{fc}r/$"),
            ];
            for _ in 0..2 {
                let upstreams = Upstreams::new(configs.clone(), form).unwrap();
                for (path, expected) in [
                    ("/api/v1/very/long", "^/api/v[0-9]+/"),
                    ("/api/x", "^/api/"),
                    ("/api", "/"),
                    ("/%61pi%2Fx", "^/api/"),
                    ("/x/end", "/end$"),
                    ("/b%C3%BCr/", "^/b\\x{fc}r/$"),
                    ("/x", "/"),
                ] {
                    assert_eq!(name_of(&upstreams.find(&at(path))), expected, "{path}");
                }
                configs.reverse();
            }
        }
        let alone = Upstreams::new(vec![rewritten("^/api/")], PathForm::Decoded).unwrap();
        assert_eq!(name_of(&alone.find(&at("/api"))), "add a slash");
        assert_eq!(name_of(&alone.find(&at("/app"))), "not found");
    }

    #[test]
    fn paths_with_variables_take_their_place_by_their_length() {
        let paths = ["/", "/users/", "/users/{id}", "/users/me", "/users/somebody-else", "/{shop}/cart/"];
        check(&paths, "/users/7", "/users/{id}");
        check(&paths, "/users/me", "/users/{id}");
        check(&paths, "/users/somebody-else", "/users/somebody-else");
        check(&paths, "/users/7/x", "/users/");
        check(&paths, "/books/cart/1", "/{shop}/cart/");
        check(&paths, "/users/cart/", "/{shop}/cart/");
        check(&paths, "/books/cart", "/");
        check(&["/{shop}/cart/"], "/books/cart", "add a slash");
        check(&["/{shop}/cart/"], "/books", "not found");
    }

    #[track_caller]
    fn check_invalid(configs: Vec<UpstreamConfig>, part: &str) {
        let error = Upstreams::new(configs, PathForm::Decoded).unwrap_err().to_string();
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
        check_invalid(vec![UpstreamConfig { path: String::new(), ..upstream("x") }], "no path");
        check_invalid(vec![upstream("/{a")], "upstream \"/{a\" cannot be used: its path has a brace");
        check_invalid(vec![rewritten("^/(a")], "upstream \"^/(a\" cannot be used: error compiling regex");
        let rewrite = Some(Rewrite { target: "/$1".into() });
        check_invalid(
            vec![UpstreamConfig { rewrite, ..upstream("^/a") }],
            "upstream \"^/a\" cannot be used: its rewriteTarget",
        );
        let files = Target::Files { directory: "/srv".into() };
        check_invalid(vec![UpstreamConfig { target: files, ..upstream("/{a}/") }], "\"/{a}/\" serves files");
    }
}
