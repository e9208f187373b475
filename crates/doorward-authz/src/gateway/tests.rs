use std::fmt::Write as _;

use doorward_core::{ClientIp, RequestFacts, Target, request::Hop};
use http::{HeaderMap, HeaderName, HeaderValue, Method};

use super::*;
use crate::{Judged, Networks};

/// A route for everybody: `host path` or `path`.
fn route(id: &str, place: &str) -> Route {
    let (hosts, path) = match place.split_once(' ') {
        Some((host, path)) => (vec![host.parse().unwrap()], path),
        None => (vec![], place),
    };
    Route {
        id: RuleId::new(id),
        matches: Match {
            hosts,
            path: path.parse().unwrap(),
            methods: vec![],
            headers: vec![],
            query: vec![],
            websocket: WebSocketMatch::Any,
            clients: None,
        },
        authorize: Expression::Public,
        upstreams: vec![],
        step_up: None,
    }
}

fn facts(method: &str, host: &'static str, target: &str) -> RequestFacts {
    RequestFacts {
        method: method.parse().unwrap(),
        host: HeaderValue::from_static(host),
        scheme: None,
        target: Target::new(target.parse().unwrap()),
        original: None,
        original_method: None,
        client: ClientIp::Known("203.0.113.9".parse().unwrap()),
        hop: Hop::Direct,
    }
}

/// What a search says: an id with parameters, `-`, or `?`. Explanations have to say the same where the path is clear.
fn found(routes: &Routes, facts: &RequestFacts, headers: &HeaderMap, exchange: Exchange) -> String {
    let asked = Asked { facts, judged: Judged::Own, headers, exchange };
    let explained = routes.explain(&asked);
    match routes.find(&asked) {
        Search::NotFound => "-".to_owned(),
        Search::Unclear(Unclear::Path | Unclear::PathForPolicies | Unclear::Method) => "?".to_owned(),
        Search::Unclear(unclear) => {
            assert_eq!(explained.last().map(|(_, fit)| fit), Some(&Fit::Unclear(unclear)));
            "?".to_owned()
        }
        Search::Found(found) => {
            assert_eq!(routes.iter().nth(found.place).map(|route| &route.id), Some(&found.route.id));
            assert_eq!(explained.last(), Some(&(found.route, Fit::Found)));
            let mut text = found.route.id.to_string();
            for (name, value) in &found.params {
                let _ = write!(text, " {name}={value}");
            }
            text
        }
    }
}

#[track_caller]
fn check(routes: &Routes, host: &'static str, target: &str, expected: &str) {
    let facts = facts("GET", host, target);
    assert_eq!(found(routes, &facts, &HeaderMap::new(), Exchange::Plain), expected, "{host} {target}");
}

#[test]
fn the_first_route_in_order_that_matches_decides() {
    let routes = Routes::new(vec![
        route("new", "/orders/new"),
        route("order", "/orders/{id}"),
        route("lines", "/orders/{id}/lines/{line}"),
        route("api", "api.example.com /v1/"),
        route("below", "*.example.com /v1/{rest...}"),
        route("deep", "*.b.example.com /v2/"),
        route("files", "/files/{rest...}"),
        route("static", "/static/"),
    ])
    .unwrap();
    check(&routes, "x.test", "/orders/new", "new");
    check(&routes, "x.test", "/orders/7?x=1", "order id=7");
    check(&routes, "x.test", "/orders/a%20b", "order id=a b");
    check(&routes, "x.test", "/orders/7/lines/2", "lines id=7 line=2");
    check(&routes, "x.test", "/orders/7/lines", "-");
    check(&routes, "x.test", "/orders", "-");
    check(&routes, "x.test", "/orders/", "-");
    check(&routes, "x.test", "/ORDERS/7", "-");
    check(&routes, "API.example.com.:8443", "/v1/x", "api");
    check(&routes, "web.example.com", "/v1/x/y", "below rest=x/y");
    check(&routes, "example.com", "/v1/x", "-");
    check(&routes, "a.b.example.com", "/v2/x", "deep");
    check(&routes, "b.example.com", "/v2/x", "-");
    check(&routes, "evil-example.com", "/v1/x", "-");
    check(&routes, "", "/v1/x", "-");
    check(&routes, "x.test", "/files/a/b/meta", "files rest=a/b/meta");
    check(&routes, "x.test", "/static", "static");
    check(&routes, "x.test", "/staticx", "-");
}

#[test]
fn b34_a_path_that_could_be_another_is_refused() {
    let routes = Routes::new(vec![
        route("admin", "/admin/"),
        route("public", "/public/"),
        route("item", "/item/{name}"),
        route("hosted", "other.test /"),
    ])
    .unwrap();
    for (target, expected) in [
        ("/public/x", "public"),
        ("/public/a%20b", "public"),
        ("/public/%7Ex", "public"),
        ("/public/%C3%BC", "public"),
        ("/public/100%25", "public"),
        ("/public/c%23", "public"),
        ("/public/x;v=1", "public"),
        ("/item/a%23b", "item name=a#b"),
        ("/public/.well-known/x", "public"),
        ("/%61dmin/x", "admin"),
        ("/public/%2e%2e/admin", "?"),
        ("/public/.%2e/admin", "?"),
        ("/public/..;/admin", "?"),
        ("/public/../admin", "?"),
        ("/public/..", "?"),
        ("/public/%252e%252e/admin", "?"),
        ("/public/..%2fadmin", "?"),
        ("/public/a%2fb", "?"),
        ("/public/a%252fb", "?"),
        ("/public/a%5cb", "?"),
        ("/public/a%00b", "?"),
        ("/public/%ff", "?"),
        ("/public/%c0%ae%c0%ae/admin", "?"),
        ("//admin", "?"),
        ("//public/x", "?"),
        ("/public//x", "?"),
        ("/admin;x", "?"),
        ("/admin%3bx", "?"),
        ("/admin%23", "?"),
        ("/;/admin", "?"),
        ("/admin%20", "?"),
        ("/%EF%BD%81dmin", "?"),
        ("/%2561dmin", "?"),
        ("/%2fadmin", "?"),
        ("/elsewhere/a%2fb", "-"),
        ("/elsewhere;x", "-"),
        ("/elsewhere/..%2fx", "?"),
    ] {
        check(&routes, "app.test", target, expected);
    }
    let elsewhere = Routes::new(vec![route("hosted", "other.test /")]).unwrap();
    check(&elsewhere, "app.test", "/public/../admin", "-");
    check(&elsewhere, "OTHER.test", "/public/../admin", "?");
}

#[test]
fn a_question_that_names_no_request_is_refused() {
    let routes = Routes::new(vec![route("all", "/")]).unwrap();
    let mut facts = facts("GET", "app.test", "/oauth2/auth");
    let headers = HeaderMap::new();
    let ask = |facts: &RequestFacts| {
        let asked = Asked { facts, judged: Judged::Original, headers: &headers, exchange: Exchange::Plain };
        matches!(routes.find(&asked), Search::Found(_))
    };
    assert!(!ask(&facts));
    facts.original = Some(Target::new("/x".parse().unwrap()));
    assert!(ask(&facts));
    facts.original = Some(Target::new("//x".parse().unwrap()));
    assert!(!ask(&facts));
}

#[test]
fn all_conditions_have_to_hold() {
    let with = |id: &str, change: fn(&mut Match)| {
        let mut route = route(id, "/x");
        change(&mut route.matches);
        route
    };
    let header = HeaderName::from_static("x-env");
    let routes = Routes::new(vec![
        with("inside", |it| it.clients = Some(Networks::parse(&["10.0.0.0/8".to_owned()]).unwrap())),
        with("socket", |it| it.websocket = WebSocketMatch::Only),
        with("header", |it| {
            it.headers = vec![(HeaderName::from_static("x-env"), ValueMatch::Equals("prod".to_owned()))];
        }),
        with("query", |it| {
            it.query = vec![("v".to_owned(), ValueMatch::OneOf(vec!["1".into(), "2".into()]))];
        }),
        with("read", |it| it.methods = vec![Method::GET]),
        with("write", |it| it.methods = vec![Method::POST, Method::from_bytes(b"MERGE").unwrap()]),
        with("plain", |it| it.websocket = WebSocketMatch::Never),
    ])
    .unwrap();
    for (method, target, lines, exchange, expected) in [
        ("GET", "/x", &[][..], Exchange::Plain, "read"),
        ("HEAD", "/x", &[], Exchange::Plain, "read"),
        ("POST", "/x", &[], Exchange::Plain, "write"),
        ("MERGE", "/x", &[], Exchange::Plain, "write"),
        // Some applications take it for POST.
        ("post", "/x", &[], Exchange::Plain, "?"),
        ("Delete", "/x", &[], Exchange::Plain, "?"),
        ("DELETE", "/x", &[], Exchange::Plain, "plain"),
        ("GET", "/x", &[], Exchange::WebSocket, "socket"),
        ("DELETE", "/x", &[], Exchange::WebSocket, "socket"),
        ("GET", "/x", &["prod"], Exchange::Plain, "header"),
        ("GET", "/x", &["prod", "test"], Exchange::Plain, "?"),
        ("GET", "/x?v=2", &[], Exchange::Plain, "query"),
        ("GET", "/x?v=3", &[], Exchange::Plain, "read"),
        ("GET", "/x?v=2&v=3", &[], Exchange::Plain, "?"),
        ("GET", "/x?v=2&v=3", &["prod"], Exchange::Plain, "header"),
    ] {
        let mut headers = HeaderMap::new();
        for line in lines {
            headers.append(&header, HeaderValue::from_static(line));
        }
        let facts = facts(method, "app.test", target);
        assert_eq!(found(&routes, &facts, &headers, exchange), expected, "{method} {target} {lines:?}");
    }
    let mut facts = facts("GET", "app.test", "/x");
    facts.client = ClientIp::Known("10.1.2.3".parse().unwrap());
    assert_eq!(found(&routes, &facts, &HeaderMap::new(), Exchange::Plain), "inside");
    facts.client = ClientIp::Unknown;
    assert_eq!(found(&routes, &facts, &HeaderMap::new(), Exchange::Plain), "read");
}

#[test]
fn a_header_in_another_spelling_chooses_no_other_route() {
    let header = |id: &str, condition: ValueMatch| {
        let mut route = route(id, "/x");
        route.matches.headers = vec![(HeaderName::from_static("x-env"), condition)];
        route
    };
    let equals = |value: &str| ValueMatch::Equals(value.to_owned());
    for (condition, lines, expected) in [
        (equals("prod"), &[("x-env", "prod")][..], "header"),
        (equals("prod"), &[("x_env", "prod")], "?"),
        (equals("prod"), &[("x.env", "test")], "rest"),
        (equals("prod"), &[("x-env", "prod"), ("x_env", "test")], "?"),
        (equals("prod"), &[("x-env", "test"), ("X_Env", "prod")], "?"),
        (equals("prod"), &[("x-env", "prod"), ("x_env", "prod")], "header"),
        (ValueMatch::Absent, &[("x_env", "prod")], "?"),
        (ValueMatch::Present, &[("x_env", "")], "?"),
        (ValueMatch::Present, &[("x_environment", "")], "rest"),
    ] {
        let routes = Routes::new(vec![header("header", condition.clone()), route("rest", "/x")]).unwrap();
        let line = |(name, value): &(&str, &'static str)| {
            (HeaderName::try_from(*name).unwrap(), HeaderValue::from_static(value))
        };
        let headers: HeaderMap = lines.iter().map(line).collect();
        let facts = facts("GET", "app.test", "/x");
        assert_eq!(found(&routes, &facts, &headers, Exchange::Plain), expected, "{condition:?} {lines:?}");
    }
}

#[track_caller]
fn faults(routes: Vec<Route>, expected: &[(&str, RouteFault)]) {
    let found = Routes::new(routes).err().unwrap_or_default();
    let found: Vec<_> = found.iter().map(|fault| (fault.id.as_str(), fault.fault.clone())).collect();
    assert_eq!(found, expected);
}

#[test]
fn a_route_that_no_request_reaches_is_a_mistake() {
    let behind = |id: &str| RouteFault::Unreachable { behind: RuleId::new(id) };
    faults(vec![route("a", "/x/"), route("b", "/x/y")], &[("b", behind("a"))]);
    faults(vec![route("a", "*.test /"), route("b", "x.test /y")], &[("b", behind("a"))]);
    faults(vec![route("a", "x.test /"), route("b", "/y")], &[]);
    faults(vec![route("a", "/x/y"), route("b", "/x/")], &[]);
    faults(vec![route("a", "/x"), route("a", "/y")], &[("a", RouteFault::DuplicateId)]);
    let narrow = |id: &str, change: fn(&mut Match)| {
        let mut route = route(id, "/x");
        change(&mut route.matches);
        route
    };
    let get = |it: &mut Match| it.methods = vec![Method::GET];
    let head = |it: &mut Match| it.methods = vec![Method::HEAD];
    faults(vec![narrow("get", get), route("all", "/x")], &[]);
    faults(vec![narrow("get", get), narrow("head", head)], &[("head", behind("get"))]);
    faults(vec![route("all", "/x"), narrow("get", get)], &[("get", behind("all"))]);
    let within = |networks: &str| {
        let mut route = route(networks, "/x");
        route.matches.clients = Some(Networks::parse(&[networks.to_owned()]).unwrap());
        route
    };
    faults(vec![within("10.0.0.0/8"), within("10.1.0.0/16")], &[("10.1.0.0/16", behind("10.0.0.0/8"))]);
    faults(vec![within("10.1.0.0/16"), within("10.0.0.0/8"), route("all", "/x")], &[]);
    let with_query = |id: &str, condition: ValueMatch| {
        let mut route = route(id, "/x");
        route.matches.query = vec![("v".to_owned(), condition)];
        route
    };
    let equals = |value: &str| ValueMatch::Equals(value.to_owned());
    faults(
        vec![with_query("any", ValueMatch::Present), with_query("one", equals("1"))],
        &[("one", behind("any"))],
    );
    faults(vec![with_query("one", equals("1")), with_query("two", equals("2"))], &[]);
    faults(vec![with_query("any", ValueMatch::Present), with_query("none", ValueMatch::Absent)], &[]);
    let impossible = narrow("socket", |it| {
        it.websocket = WebSocketMatch::Only;
        it.methods = vec![Method::POST];
    });
    faults(vec![impossible], &[("socket", RouteFault::Impossible)]);
}

#[test]
fn what_asks_for_nothing_is_a_mistake() {
    for (expression, name) in [
        (Expression::All(vec![]), "all"),
        (Expression::Any(vec![]), "any"),
        (Expression::Not(Box::new(Expression::Any(vec![]))), "any"),
        (Expression::All(vec![Expression::Scopes(Wanted::AllOf(vec![]))]), "scopes"),
        (Expression::Groups(Wanted::AnyOf(vec![])), "groups"),
        (Expression::Users(vec![]), "users"),
        (Expression::Authenticator(vec![]), "authenticator"),
        (Expression::Claim { path: "x".into(), test: ClaimTest::OneOf(vec![]) }, "claims"),
    ] {
        let route = Route { authorize: expression, ..route("r", "/") };
        faults(vec![route], &[("r", RouteFault::AsksForNothing(name))]);
    }
    let chosen = Route { upstreams: vec![Expression::Public, Expression::Public], ..route("r", "/") };
    faults(vec![chosen], &[("r", RouteFault::UpstreamNeverChosen { upstream: 1 })]);
}

#[test]
fn a_thousand_routes_are_searched_through_an_index() {
    let mut all = Vec::new();
    for number in 0..1000 {
        all.push(route(&format!("r{number}"), &format!("h{}.test /v{number}/{{id}}", number % 7)));
    }
    all.push(route("rest", "/"));
    let routes = Routes::new(all).unwrap();
    check(&routes, "h6.test", "/v992/x", "rest");
    check(&routes, "h5.test", "/v999/x", "r999 id=x");
    check(&routes, "h5.test", "/v999/x/y", "rest");
    check(&routes, "h5.test", &"/a".repeat(4000), "rest");
}
