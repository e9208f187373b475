//! `gateway.routes`: which requests, who may, and where they go. Every name in them is resolved here.

use std::{sync::Arc, time::Duration};

use doorward_authz::{
    Networks,
    gateway::{
        Expression, HostPattern, InvalidRoute, Match, PathTemplate, Route, RouteFault, Routes, StepUp,
        WebSocketMatch,
    },
};
use doorward_core::RuleId;
use doorward_gateway::{HandleForm, HandlesConfig};
use doorward_options::structured::{
    Provider,
    own::gateway::{self as own, OneOrMore, Route as Written, WebSocket},
};
use doorward_policy::Policies;
use doorward_server::{
    api::{ErrorFormat, IdentityForm},
    gateway::ExposeCredentials,
};
use doorward_upstream::UpstreamConfig;
use http::{HeaderName, Method};

use super::{authenticators, conditions, conditions::Known, credentials, parts, upstreams};
use crate::assemble::{auth_server::SignInAt, problems::Problems};

/// The most of a body that a policy may see: it is kept in memory for as long as the policy thinks.
const MOST_BODY: usize = 1024 * 1024;

/// What is done with the requests of a route, before the store is open.
#[derive(Debug)]
pub(super) struct Planned {
    /// Places among all authenticators.
    pub(super) authenticate: Vec<usize>,
    /// Ids of those whose sessions count; `None`: of all.
    pub(super) providers: Option<Vec<Arc<str>>>,
    pub(super) upstreams: Vec<UpstreamConfig>,
    pub(super) credential: String,
    pub(super) audience: String,
    pub(super) max_scopes: Option<Vec<String>>,
    pub(super) identity: IdentityForm,
    pub(super) errors: ErrorFormat,
    pub(super) with_body: Option<usize>,
    pub(super) expose: ExposeCredentials,
    /// With the place where it stands.
    pub(super) token_responses: Option<(String, HandlesConfig)>,
    pub(super) max_connection_age: Option<Duration>,
}

impl Planned {
    /// For questions that belong to no route.
    pub(super) fn of_questions(
        authenticate: impl Iterator<Item = usize>,
        errors: ErrorFormat,
        identity: IdentityForm,
    ) -> Self {
        Self {
            authenticate: authenticate.collect(),
            providers: None,
            upstreams: Vec::new(),
            credential: credentials::FORWARDED.to_owned(),
            audience: String::new(),
            max_scopes: None,
            identity,
            errors,
            with_body: None,
            expose: ExposeCredentials::Never,
            token_responses: None,
            max_connection_age: None,
        }
    }
}

/// What routes may name, and what holds where they say nothing.
#[derive(Clone, Copy, Debug)]
pub(super) struct Around<'a> {
    pub(super) authenticators: &'a [authenticators::Planned],
    pub(super) credentials: &'a [credentials::Planned],
    /// `None` if some of them are wrong, which has been told.
    pub(super) policies: Option<&'a Policies>,
    pub(super) policy_names: &'a [&'a str],
    /// Names of authenticators and credentials that are written, sound or not.
    pub(super) written: (&'a [&'a str], &'a [&'a str]),
    pub(super) errors: ErrorFormat,
    pub(super) identity: &'a IdentityForm,
    pub(super) sign_in: SignInAt,
    pub(super) providers: &'a [Provider],
}

/// All routes, if they are sound.
pub(super) fn routes(
    written: &[Written],
    around: Around<'_>,
    problems: &mut Problems<'_>,
) -> Option<(Routes, Vec<Planned>)> {
    let before = problems.count();
    let mut routes = Vec::new();
    let mut planned = Vec::new();
    for (index, written) in written.iter().enumerate() {
        let place = format!("gateway.routes[{index}]");
        if let Some((route, plan)) = route(&place, written, around, problems) {
            routes.push((index, route));
            planned.push(plan);
        }
    }
    let are_all = routes.len() == written.len();
    let (indices, routes): (Vec<usize>, Vec<Route>) = routes.into_iter().unzip();
    let routes = Routes::new(routes).map_err(|faults| {
        for InvalidRoute { place, id, fault } in faults {
            let index = indices.get(place).copied().unwrap_or_default();
            let text = fault.to_string();
            let (message, mend) = text.split_once("; ").unwrap_or((&text, "correct it"));
            let place = format!("gateway.routes[{index}]{}", key_of(&fault));
            problems.add(&place, format!("route {id}: {message}"), mend);
        }
    });
    let routes = routes.ok().filter(|_| are_all && problems.count() == before)?;
    Some((routes, planned))
}

fn key_of(fault: &RouteFault) -> String {
    match fault {
        RouteFault::DuplicateId => ".id".to_owned(),
        RouteFault::Unreachable { .. } | RouteFault::Impossible => ".match".to_owned(),
        RouteFault::AsksForNothing(_) => ".authorize".to_owned(),
        RouteFault::PolicyChoosesUpstream => ".upstream".to_owned(),
        RouteFault::UpstreamNeverChosen { upstream } => format!(".upstream[{upstream}]"),
    }
}

fn route(
    place: &str,
    written: &Written,
    around: Around<'_>,
    problems: &mut Problems<'_>,
) -> Option<(Route, Planned)> {
    let id = parts::name(&format!("{place}.id"), &written.id, problems);
    let matches = matches(&format!("{place}.match"), &written.matches, problems);
    let authenticate = authenticate(place, written, around, problems);
    let takes_sessions = authenticate.iter().flatten().any(|(_, one)| one.is_session());
    let providers = providers(place, written, (around, takes_sessions), problems);
    let names: Vec<Arc<str>> = authenticate.iter().flatten().map(|(_, one)| Arc::clone(&one.name)).collect();
    let known =
        Known { policies: around.policies, policy_names: around.policy_names, authenticators: &names };
    let authorize = match &written.authorize {
        None => Some(Expression::AnyoneKnown),
        Some(written) => conditions::expression(&format!("{place}.authorize"), written, known, problems),
    };
    let upstreams = upstreams::upstreams((place, &written.id), written, known, problems);
    let step_up = step_up(place, written.step_up.as_ref(), problems);
    let rest = rest(place, written, around, problems);
    if let (Some(authenticate), Some(authorize)) = (&authenticate, &authorize) {
        anonymous_may(place, written, (authenticate, authorize), problems);
    }
    let (conditions, upstreams) = upstreams?;
    let route = Route {
        id: RuleId::new(&id?),
        matches: matches?,
        authorize: authorize?,
        upstreams: conditions,
        step_up: step_up?,
    };
    let authenticate = authenticate?.into_iter().map(|(index, _)| index).collect();
    Some((route, Planned { authenticate, providers: providers?, upstreams, ..rest? }))
}

/// Nobody anonymous is ever let in where the conditions ask for more.
fn anonymous_may(
    place: &str,
    written: &Written,
    (authenticate, authorize): (&[(usize, &authenticators::Planned)], &Expression),
    problems: &mut Problems<'_>,
) {
    let Some((_, anonymous)) = authenticate.iter().find(|(_, one)| one.is_anonymous()) else { return };
    if authorize.may_hold_for_anonymous(&anonymous.name) {
        return;
    }
    let message = format!("nobody who comes by {:?} can fulfil what authorize asks for", &*anonymous.name);
    let mend = if written.authorize.is_none() {
        "write authorize: {public: true} if everybody may, or take it out of authenticate"
    } else {
        "take it out of authenticate, or let authorize allow it: {any: [{public: true}, ...]}"
    };
    problems.add(&format!("{place}.authenticate"), message, mend);
}

fn authenticate<'a>(
    place: &str,
    written: &Written,
    around: Around<'a>,
    problems: &mut Problems<'_>,
) -> Option<Vec<(usize, &'a authenticators::Planned)>> {
    let names = match &written.authenticate {
        Some(OneOrMore(names)) if !names.is_empty() => names,
        _ => {
            let mend = "name authenticators, or write [anonymous] if nobody has to say who they are";
            problems.add(&format!("{place}.authenticate"), "missing setting: how people are known", mend);
            return None;
        }
    };
    let mut found = Vec::new();
    for (index, name) in names.iter().enumerate() {
        let place = format!("{place}.authenticate[{index}]");
        let known = around.authenticators.iter().enumerate().find(|(_, one)| *one.name == **name);
        if names.iter().take(index).any(|earlier| earlier == name) {
            problems.add(&place, format!("{name:?} stands here twice"), "take it out once");
        } else if let Some(known) = known {
            if known.1.is_session() && around.sign_in == SignInAt::Nowhere {
                let message = "nobody can sign in: no provider is configured, and the built-in server is off";
                let mend = "write authServer.enabled: true, configure a provider (provider, client-id), or take it out";
                problems.add(&place, message, mend);
            }
            found.push(known);
        } else if !around.written.0.contains(&name.as_str()) {
            let names: Vec<&str> = around.authenticators.iter().map(|one| &*one.name).collect();
            let message = format!("there is no {name:?} below gateway.authenticators");
            problems.add(&place, message, parts::mend_of(name, &names));
        }
    }
    (found.len() == names.len()).then_some(found)
}

/// The providers whose sessions count. `Some(None)` if those of all do.
#[expect(clippy::option_option, reason = "outer: did it work; inner: is anything restricted")]
fn providers(
    place: &str,
    written: &Written,
    (around, takes_sessions): (Around<'_>, bool),
    problems: &mut Problems<'_>,
) -> Option<Option<Vec<Arc<str>>>> {
    let Some(OneOrMore(names)) = &written.providers else { return Some(None) };
    let place = format!("{place}.providers");
    let before = problems.count();
    if names.is_empty() {
        problems.add(&place, "no session would count", "name providers, or take it away");
    } else if !takes_sessions {
        let mend = "write session among authenticate, or take it away";
        problems.add(&place, "nobody is known by a session here", mend);
    } else if around.sign_in != SignInAt::Elsewhere {
        let message = "people sign in at the built-in server, and at no provider of the list";
        problems.add(&place, message, "take it away");
    }
    let ids: Vec<&str> = around.providers.iter().map(|provider| provider.id.as_str()).collect();
    for (index, name) in names.iter().enumerate().filter(|(_, name)| !ids.contains(&name.as_str())) {
        let message = format!("there is no provider with the id {name:?}");
        problems.add(&format!("{place}[{index}]"), message, parts::mend_of(name, &ids));
    }
    (problems.count() == before).then(|| Some(names.iter().map(|name| name.as_str().into()).collect()))
}

#[expect(clippy::option_option, reason = "outer: did it work; inner: is anything asked for")]
fn step_up(
    place: &str,
    written: Option<&own::StepUp>,
    problems: &mut Problems<'_>,
) -> Option<Option<StepUp>> {
    let Some(own::StepUp { acr, max_age }) = written else { return Some(None) };
    if acr.0.is_empty() && max_age.is_none() {
        problems.add(
            &format!("{place}.stepUp"),
            "nothing is asked for",
            "write acr or maxAge, or take it away",
        );
        return None;
    }
    Some(Some(StepUp { acr: acr.0.clone(), max_age: *max_age }))
}

/// What is neither matched nor judged.
fn rest(place: &str, written: &Written, around: Around<'_>, problems: &mut Problems<'_>) -> Option<Planned> {
    let credential = credential(place, &written.credential.0, around, problems);
    let errors = errors(&format!("{place}.errorFormat"), &written.error_format, around.errors, problems);
    let identity = identity(place, written, around, problems);
    let with_body = with_body(place, written, problems);
    if written.max_connection_age.is_some_and(|age| age.is_zero()) {
        let place = format!("{place}.maxConnectionAge");
        problems.add(&place, "no connection would last at all", "write a time such as 1h");
    }
    let token_responses = token_responses(place, written, problems);
    let (credential, audience) = credential?;
    Some(Planned {
        authenticate: Vec::new(),
        providers: None,
        upstreams: Vec::new(),
        credential,
        audience,
        max_scopes: written.credential.0.max_scopes.clone(),
        identity: identity?,
        errors: errors?,
        with_body: with_body?,
        expose: if written.expose_credentials {
            ExposeCredentials::ToPolicies
        } else {
            ExposeCredentials::Never
        },
        token_responses: token_responses?,
        max_connection_age: written.max_connection_age,
    })
}

/// What of an application's answers becomes handles.
#[expect(clippy::option_option, reason = "outer: did it work; inner: does anything")]
fn token_responses(
    place: &str,
    written: &Written,
    problems: &mut Problems<'_>,
) -> Option<Option<(String, HandlesConfig)>> {
    let Some(own::TokenResponses { fields, cookies, split_tokens }) = &written.token_responses else {
        return Some(None);
    };
    let place = format!("{place}.tokenResponses");
    let usual = HandlesConfig::default();
    let fields = fields.clone().unwrap_or(usual.fields);
    if fields.is_empty() && cookies.is_empty() {
        problems.add(&place, "nothing becomes a handle", "name fields or cookies, or take it away");
        return None;
    }
    let form = if *split_tokens { HandleForm::Signature } else { HandleForm::Random };
    Some(Some((place, HandlesConfig { fields, cookies: cookies.clone(), form, ..usual })))
}

/// Its name, and for whom it is.
fn credential(
    place: &str,
    written: &own::CredentialUse,
    around: Around<'_>,
    problems: &mut Problems<'_>,
) -> Option<(String, String)> {
    let name = if written.credential.is_empty() { credentials::FORWARDED } else { &written.credential };
    let Some(found) = around.credentials.iter().find(|one| one.name == name) else {
        if !around.written.1.contains(&name) {
            let names: Vec<&str> = around.credentials.iter().map(|one| one.name.as_str()).collect();
            let message = format!("there is no {name:?} below gateway.credentials");
            problems.add(&format!("{place}.credential.use"), message, parts::mend_of(name, &names));
        }
        return None;
    };
    let audience = if written.audience.is_empty() { &found.audience } else { &written.audience };
    if audience.is_empty() && found.needs_audience() {
        let message = "missing setting: for whom the credential is, without which any application could use it \
                       elsewhere";
        problems.add(
            &format!("{place}.credential.audience"),
            message,
            "write how the application calls itself",
        );
        return None;
    }
    Some((found.name.clone(), audience.clone()))
}

/// How failures look.
pub(super) fn errors(
    place: &str,
    written: &str,
    usual: ErrorFormat,
    problems: &mut Problems<'_>,
) -> Option<ErrorFormat> {
    let words = [
        ("", usual),
        ("auto", ErrorFormat::Auto),
        ("aws", ErrorFormat::Aws),
        ("kubernetes", ErrorFormat::Kubernetes),
        ("oauth2", ErrorFormat::OAuth2),
        ("html", ErrorFormat::Html),
    ];
    parts::word(place, written, &words, problems)
}

fn identity(
    place: &str,
    written: &Written,
    around: Around<'_>,
    problems: &mut Problems<'_>,
) -> Option<IdentityForm> {
    let place = format!("{place}.identity");
    match (written.identity.as_str(), around.identity) {
        ("", usual) | ("impersonate", usual @ IdentityForm::Impersonate { .. }) => Some(usual.clone()),
        ("forwarded", _) => Some(IdentityForm::Forwarded),
        ("x-remote", _) => Some(IdentityForm::XRemote),
        ("impersonate", _) => {
            let message = "a Kubernetes API believes this of nobody without a credential";
            problems.add(&place, message, "write apiAuth.identity: impersonate, with apiAuth.impersonate");
            None
        }
        (other, _) => {
            let mend = parts::mend_of(other, &["forwarded", "x-remote", "impersonate"]);
            problems.add(&place, format!("there is no {other:?} here"), mend);
            None
        }
    }
}

#[expect(clippy::option_option, reason = "outer: did it work; inner: do policies see anything")]
fn with_body(place: &str, written: &Written, problems: &mut Problems<'_>) -> Option<Option<usize>> {
    let Some(bytes) = written.with_body else { return Some(None) };
    let Some(bytes) = usize::try_from(bytes).ok().filter(|bytes| *bytes <= MOST_BODY) else {
        let mend = format!("write a number of bytes up to {MOST_BODY}");
        problems.add(&format!("{place}.withBody"), "so much of a body cannot be kept in memory", mend);
        return None;
    };
    Some(Some(bytes).filter(|bytes| *bytes > 0))
}

fn matches(place: &str, written: &own::Match, problems: &mut Problems<'_>) -> Option<Match> {
    let before = problems.count();
    let own::Match { hosts, path, methods, headers, query, websocket, clients } = written;
    let path = if path.is_empty() && !hosts.0.is_empty() {
        Some(PathTemplate::everything())
    } else if path.is_empty() {
        let mend = "write a path such as /orders/, or / for all";
        problems.add(&format!("{place}.path"), "missing setting: which requests the route is for", mend);
        None
    } else {
        problems.take(&format!("{place}.path"), path.parse(), "write /orders, /orders/{id} or /files/")
    };
    let mut host_patterns = Vec::new();
    for (index, host) in hosts.0.iter().enumerate() {
        let place = format!("{place}.hosts[{index}]");
        let mend = "write api.example.com, or *.example.com for all below one";
        host_patterns.extend(problems.take(&place, host.parse::<HostPattern>(), mend));
    }
    let methods: Vec<Method> = methods
        .0
        .iter()
        .enumerate()
        .filter_map(|(index, name)| method(&format!("{place}.methods[{index}]"), name, problems))
        .collect();
    let mut header_matches = Vec::new();
    for (name, test) in headers.iter() {
        let place = format!("{place}.headers.{name}");
        let parsed = HeaderName::from_bytes(name.as_bytes());
        let parsed = parsed.map_err(|_invalid| format!("{name:?} is no header name"));
        let header = problems.take(&place, parsed, "write a header name");
        header_matches.extend(header.zip(conditions::value_match(&place, test, problems)));
    }
    let mut query_matches = Vec::new();
    for (name, test) in query.iter() {
        let test = conditions::value_match(&format!("{place}.query.{name}"), test, problems);
        query_matches.extend(test.map(|test| (name.to_owned(), test)));
    }
    let websocket = websocket_match(&format!("{place}.websocket"), websocket.as_ref(), problems);
    let networks = networks(&format!("{place}.clients"), &clients.0, problems);
    let (path, websocket, clients) = (path?, websocket?, networks?);
    (problems.count() == before).then_some(Match {
        hosts: host_patterns,
        path,
        methods,
        headers: header_matches,
        query: query_matches,
        websocket,
        clients,
    })
}

/// Names of methods count letter by letter (RFC 9110 section 9.1).
fn method(place: &str, name: &str, problems: &mut Problems<'_>) -> Option<Method> {
    let parsed = Method::from_bytes(name.as_bytes()).ok();
    let Some(method) = parsed.filter(|_| !name.bytes().any(|byte| byte.is_ascii_lowercase())) else {
        let message = format!("{name:?} is no method");
        problems.add(place, message, "write it in capitals, such as GET");
        return None;
    };
    Some(method)
}

fn websocket_match(
    place: &str,
    written: Option<&WebSocket>,
    problems: &mut Problems<'_>,
) -> Option<WebSocketMatch> {
    match written {
        None | Some(WebSocket::Switch(true)) => Some(WebSocketMatch::Any),
        Some(WebSocket::Switch(false)) => Some(WebSocketMatch::Never),
        Some(WebSocket::Word(word)) if word == "only" => Some(WebSocketMatch::Only),
        Some(WebSocket::Word(word)) => {
            problems.add(place, format!("there is no {word:?} here"), "write true, false or only");
            None
        }
    }
}

#[expect(clippy::option_option, reason = "outer: did it work; inner: are clients restricted")]
fn networks(place: &str, written: &[String], problems: &mut Problems<'_>) -> Option<Option<Networks>> {
    if written.is_empty() {
        return Some(None);
    }
    let mend = "write addresses such as 192.0.2.1, and networks such as 192.0.2.0/24";
    problems.take(place, Networks::parse(written), mend).map(Some)
}
