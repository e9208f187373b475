//! All routes in configured order, and the search for the one that a request belongs to.
//!
//! The search is cheap also with a thousand of them: an index by host and segments of the path names the few routes that
//! could be meant, and of these the first whose other conditions hold is it.

use std::collections::HashMap;

use doorward_core::{PathParameters, RuleId};

use super::{
    Route,
    expression::Expression,
    host::Reach,
    matching::{Asked, Holds, Mismatch, Unclear},
    template::{End, PathTemplate, Segment},
};
use crate::readings::{Readings, readings};

/// The routes of one configuration.
#[derive(Clone, Debug, Default)]
pub struct Routes {
    routes: Vec<Route>,
    index: Index,
}

/// What a search came to.
#[derive(Clone, Debug)]
pub enum Search<'a> {
    Found(Found<'a>),
    /// It is a request to no route.
    NotFound,
    /// It can be read as one route's request or as another's: to be refused with 400.
    Unclear(Unclear),
}

/// The route of a request.
#[derive(Clone, Debug)]
pub struct Found<'a> {
    /// Its place in the configured order, from 0.
    pub place: usize,
    pub route: &'a Route,
    /// What the template's parameters are in the decoded path.
    pub params: PathParameters,
}

/// How a request fits one of the routes, for explanations.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fit {
    Found,
    Unclear(Unclear),
    Mismatch(Mismatch),
}

impl Routes {
    /// `routes` in order: the first that matches decides.
    ///
    /// # Errors
    /// All that is wrong: ids that are used twice, routes that no request can reach, conditions that ask for nothing,
    /// policies that choose an upstream.
    pub fn new(routes: Vec<Route>) -> Result<Self, Vec<InvalidRoute>> {
        let mut faults = Vec::new();
        let mut places: HashMap<&str, usize> = HashMap::new();
        for (place, route) in routes.iter().enumerate() {
            let mut complain = |fault| faults.push(InvalidRoute { place, id: route.id.clone(), fault });
            if places.insert(route.id.as_str(), place).is_some() {
                complain(RouteFault::DuplicateId);
            }
            if route.matches.is_impossible() {
                complain(RouteFault::Impossible);
            } else if let Some(earlier) =
                routes.iter().take(place).find(|it| it.matches.covers(&route.matches))
            {
                complain(RouteFault::Unreachable { behind: earlier.id.clone() });
            }
            if let Some(name) = route.authorize.first_empty() {
                complain(RouteFault::AsksForNothing(name));
            }
            for (upstream, when) in route.upstreams.iter().enumerate() {
                if let Some(name) = when.first_empty() {
                    complain(RouteFault::AsksForNothing(name));
                }
                if when.policies().next().is_some() {
                    complain(RouteFault::PolicyChoosesUpstream);
                }
                if matches!(when, Expression::Public) && upstream + 1 < route.upstreams.len() {
                    complain(RouteFault::UpstreamNeverChosen { upstream: upstream + 1 });
                    break;
                }
            }
        }
        if !faults.is_empty() {
            return Err(faults);
        }
        let index = Index::new(&routes);
        Ok(Self { routes, index })
    }

    pub fn is_empty(&self) -> bool {
        self.routes.is_empty()
    }

    pub fn len(&self) -> usize {
        self.routes.len()
    }

    pub fn iter(&self) -> impl ExactSizeIterator<Item = &Route> {
        self.routes.iter()
    }

    /// The first route that a request belongs to. The path that is compared is the decoded form of the one that will be
    /// forwarded; where others could take that for another path, the route has to be the same for all of them.
    pub fn find(&self, asked: &Asked<'_>) -> Search<'_> {
        let host = asked.host();
        let Some(target) = asked.target() else {
            return self.unclear(&host, Unclear::Unnamed);
        };
        if asked.method().as_str().bytes().any(|byte| byte.is_ascii_lowercase()) {
            return self.unclear(&host, Unclear::Method);
        }
        match readings(target) {
            Readings::One(path) => match self.first(asked, &host, path) {
                First::Place(place) => self.found(place, path),
                First::Nothing => Search::NotFound,
                First::Unclear(unclear) => Search::Unclear(unclear),
            },
            Readings::Unclear => self.unclear(&host, Unclear::Path),
            Readings::Several(paths) => match self.first_for_all(asked, &host, &paths) {
                First::Place(place) => self.found(place, target.path()),
                First::Nothing => Search::NotFound,
                First::Unclear(unclear) => Search::Unclear(unclear),
            },
        }
    }

    /// How a request fits each route, in order, up to the one that [`Self::find`] finds. Reads the path as
    /// applications do first; for explanations alone.
    pub fn explain(&self, asked: &Asked<'_>) -> Vec<(&Route, Fit)> {
        let host = asked.host();
        let path = asked.target().map(doorward_core::Target::path).unwrap_or_default();
        let mut fits = Vec::new();
        for route in &self.routes {
            let fit = if !route.matches.holds_for_host(&host) {
                Fit::Mismatch(Mismatch::Host)
            } else if !route.matches.path.holds(path) {
                Fit::Mismatch(Mismatch::Path)
            } else {
                match route.matches.holds_besides(asked) {
                    Holds::Yes => Fit::Found,
                    Holds::No(mismatch) => Fit::Mismatch(mismatch),
                    Holds::Unclear(unclear) => Fit::Unclear(unclear),
                }
            };
            let is_last = !matches!(fit, Fit::Mismatch(_));
            fits.push((route, fit));
            if is_last {
                break;
            }
        }
        fits
    }

    fn found(&self, place: usize, path: &str) -> Search<'_> {
        let Some(route) = self.routes.get(place) else { return Search::NotFound };
        Search::Found(Found { place, route, params: route.matches.path.parameters(path) })
    }

    /// A request to a host that no route is about is none of our business, however it reads.
    fn unclear(&self, host: &str, unclear: Unclear) -> Search<'_> {
        if self.routes.iter().any(|route| route.matches.holds_for_host(host)) {
            Search::Unclear(unclear)
        } else {
            Search::NotFound
        }
    }

    fn first(&self, asked: &Asked<'_>, host: &str, path: &str) -> First {
        for place in self.index.candidates(host, path) {
            let Some(route) = self.routes.get(place) else { continue };
            match route.matches.holds_besides(asked) {
                Holds::Yes => return First::Place(place),
                Holds::No(_) => (),
                Holds::Unclear(unclear) => return First::Unclear(unclear),
            }
        }
        First::Nothing
    }

    /// One route for all readings, or none. Where readings differ in their slashes, or a policy would have to choose
    /// among them, the request is refused.
    fn first_for_all(
        &self,
        asked: &Asked<'_>,
        host: &str,
        paths: &std::collections::BTreeSet<String>,
    ) -> First {
        let mut common = None;
        for path in paths {
            match (self.first(asked, host, path), &common) {
                (First::Unclear(unclear), _) => return First::Unclear(unclear),
                (first, None) => common = Some(first),
                (first, Some(common)) if first == *common => (),
                _ => return First::Unclear(Unclear::Path),
            }
        }
        let Some(First::Place(place)) = common else { return First::Nothing };
        let slashes = |path: &String| path.bytes().filter(|byte| *byte == b'/').count();
        let mut counts = paths.iter().map(slashes);
        let first_count = counts.next();
        if counts.any(|count| Some(count) != first_count) || paths.iter().any(|path| path.contains("//")) {
            return First::Unclear(Unclear::Path);
        }
        let asks_policies =
            self.routes.get(place).is_some_and(|route| route.authorize.policies().next().is_some());
        if asks_policies && 1 < paths.len() {
            return First::Unclear(Unclear::PathForPolicies);
        }
        First::Place(place)
    }
}

/// The first route of one reading.
#[derive(Clone, Debug, PartialEq, Eq)]
enum First {
    Place(usize),
    Nothing,
    Unclear(Unclear),
}

/// A route that cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("route {id:?}: {fault}", id = id.as_str())]
pub struct InvalidRoute {
    /// Its place in the configured order, from 0.
    pub place: usize,
    pub id: RuleId,
    pub fault: RouteFault,
}

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RouteFault {
    #[error("another route has the same id; give it one of its own")]
    DuplicateId,
    #[error(
        "no request reaches it, as route {behind} matches all of its requests before; move it up, or make that route \
         narrower"
    )]
    Unreachable { behind: RuleId },
    #[error("no request can match it, as a WebSocket begins with GET; add GET to its methods")]
    Impossible,
    #[error("{0} is empty, which would ask for nothing; name something, or leave it out")]
    AsksForNothing(&'static str),
    #[error("an upstream is chosen without policies; use groups, claims or scopes in `when`")]
    PolicyChoosesUpstream,
    #[error("upstream {upstream} (counted from 0) is never chosen, as the one before it is for everybody")]
    UpstreamNeverChosen { upstream: usize },
}

/// Routes by host and path.
#[derive(Clone, Debug, Default)]
struct Index {
    exact: HashMap<String, Tree>,
    /// By the name that the hosts are below.
    below: HashMap<String, Tree>,
    any: Tree,
}

impl Index {
    fn new(routes: &[Route]) -> Self {
        let mut index = Self::default();
        for (place, route) in routes.iter().enumerate() {
            let path = &route.matches.path;
            if route.matches.hosts.is_empty() {
                index.any.add(path, place);
            }
            for host in &route.matches.hosts {
                let trees = match host.reach() {
                    Reach::Exact => &mut index.exact,
                    Reach::Below => &mut index.below,
                };
                trees.entry(host.name().to_owned()).or_default().add(path, place);
            }
        }
        index
    }

    /// The routes whose host and path match, in order.
    fn candidates(&self, host: &str, path: &str) -> Vec<usize> {
        let mut places = Vec::new();
        self.any.collect(path, &mut places);
        if let Some(tree) = self.exact.get(host) {
            tree.collect(path, &mut places);
        }
        if !self.below.is_empty() {
            let mut rest = host;
            while let Some((label, parent)) = rest.split_once('.') {
                // As `HostPattern::holds` has it: what is below has to have a name.
                if let Some(tree) = self.below.get(parent)
                    && !(label.is_empty() && rest.len() == host.len())
                {
                    tree.collect(path, &mut places);
                }
                rest = parent;
            }
        }
        places.sort_unstable();
        places.dedup();
        places
    }
}

/// Path templates, merged by their first segments.
#[derive(Clone, Debug)]
struct Tree {
    /// The first one is the root.
    nodes: Vec<Node>,
}

#[derive(Clone, Debug, Default)]
struct Node {
    literals: HashMap<String, usize>,
    parameter: Option<usize>,
    /// Routes whose template ends here, and those that go on with whatever follows.
    here: Vec<usize>,
    anywhere: Vec<usize>,
}

impl Default for Tree {
    fn default() -> Self {
        Self { nodes: vec![Node::default()] }
    }
}

impl Tree {
    fn add(&mut self, template: &PathTemplate, place: usize) {
        let mut at = 0;
        for segment in template.segments() {
            let next = self.nodes.len();
            let Some(node) = self.nodes.get_mut(at) else { return };
            at = match segment {
                Segment::Literal(text) => *node.literals.entry(text.clone()).or_insert(next),
                Segment::Parameter(_) => *node.parameter.get_or_insert(next),
            };
            if at == next {
                self.nodes.push(Node::default());
            }
        }
        if let Some(node) = self.nodes.get_mut(at) {
            match template.end() {
                End::Here => node.here.push(place),
                End::Anywhere(_) => node.anywhere.push(place),
            }
        }
    }

    fn collect(&self, path: &str, places: &mut Vec<usize>) {
        if let Some(rest) = path.strip_prefix('/') {
            self.collect_from(0, Some(rest), places);
        }
    }

    /// Goes no deeper than templates are long, however long the path is.
    fn collect_from(&self, at: usize, rest: Option<&str>, places: &mut Vec<usize>) {
        let Some(node) = self.nodes.get(at) else { return };
        places.extend_from_slice(&node.anywhere);
        let Some(text) = rest else {
            places.extend_from_slice(&node.here);
            return;
        };
        if node.literals.is_empty() && node.parameter.is_none() {
            return;
        }
        let (segment, rest) = match text.split_once('/') {
            Some((segment, rest)) => (segment, Some(rest)),
            None => (text, None),
        };
        if let Some(next) = node.literals.get(segment) {
            self.collect_from(*next, rest, places);
        }
        if let Some(next) = node.parameter.filter(|_| !segment.is_empty()) {
            self.collect_from(next, rest, places);
        }
    }
}
