use std::path::Path;

use super::super::Own;
use super::*;

fn parse(text: &str) -> (Gateway, Vec<String>) {
    let mut errors = Vec::new();
    let (own, _) = Own::parse(Path::new("doorward.yaml"), text, &|_| None, &mut errors);
    (own.gateway.unwrap_or_default(), errors.iter().map(ToString::to_string).collect())
}

#[track_caller]
fn parsed(text: &str) -> Gateway {
    let (gateway, errors) = parse(text);
    assert_eq!(errors, Vec::<String>::new());
    gateway
}

/// The example of the norm.
const FULL: &str = r#"
gateway:
  authenticators:
    opaque: {type: opaque}
    cognito: {type: jwt, issuer: https://idp, audiences: [api], algorithms: [RS256], leeway: 30s, jwksMaxAge: 2h}
    partner: {type: introspection, url: https://p/introspect, clientID: g, clientSecretFile: f, cacheTtl: 30s}
    web: {type: session}
  policies:
    rbac: {type: rego, files: [policy/], data: [roles.json], query: data.http.authz.decision, timeout: 50ms}
    opa: {type: opa, url: "http://127.0.0.1:8181/v1/data/http/authz/decision", timeout: 250ms}
  credentials:
    internal: {type: jwt, ttl: 5m, claims: [groups, email]}
    sts: {type: exchange, tokenURL: https://sts/token, clientID: g, clientSecretFile: f, audience: inventory}
  exchangeRules:
    - {client: orders-svc, subjectIssuers: [self], audiences: [inventory], scopes: [inventory:read], mode: delegation}
  routes:
    - id: orders
      match: {hosts: [api.example.com], path: "/orders/{id}", methods: [GET, POST], websocket: true}
      upstream: http://orders:8080
      authenticate: [opaque, cognito, web]
      authorize: {all: [{scopes: {any: [orders:read]}}, {policy: rbac}]}
      credential: {use: internal, audience: orders}
      errorFormat: aws
"#;

fn words(words: &[&str]) -> Vec<String> {
    words.iter().map(|word| (*word).to_owned()).collect()
}

#[test]
fn the_example_of_the_norm_is_read() {
    let gateway = parsed(FULL);
    let names: Vec<&str> = gateway.authenticators.iter().map(|(name, _)| name).collect();
    assert_eq!(names, ["opaque", "cognito", "partner", "web"]);
    let (_, rbac) = gateway.policies.iter().next().unwrap();
    assert_eq!((rbac.kind.as_str(), rbac.timeout), ("rego", Some(Duration::from_millis(50))));
    assert_eq!(gateway.exchange_rules[0].mode, "delegation");
    let [route] = gateway.routes.as_slice() else { panic!("one route") };
    assert_eq!(route.matches.path, "/orders/{id}");
    assert_eq!(route.matches.websocket, Some(WebSocket::Switch(true)));
    assert_eq!(route.upstream.0[0].url, "http://orders:8080");
    assert_eq!(route.authenticate, Some(OneOrMore(words(&["opaque", "cognito", "web"]))));
    let scopes = AnyOrAll { any: Some(words(&["orders:read"])), all: None };
    let expected = Expression::All(vec![Expression::Scopes(scopes), Expression::Policy("rbac".to_owned())]);
    assert_eq!(route.authorize, Some(expected));
    assert_eq!(
        (route.credential.0.credential.as_str(), route.credential.0.audience.as_str()),
        ("internal", "orders")
    );
}

#[test]
fn short_forms_mean_the_same_as_long_ones() {
    for (short, long) in [
        ("upstream: http://a", "upstream: {url: http://a}"),
        ("upstream: http://a", "upstream: [{url: http://a}]"),
        ("credential: internal", "credential: {use: internal}"),
        ("authenticate: web", "authenticate: [web]"),
        ("authorize: {users: alice}", "authorize: {users: [alice]}"),
        ("authorize: {claims: {a.b: 7}}", "authorize: {claims: {a.b: {equals: 7}}}"),
        ("match: {headers: {X-A: b}}", "match: {headers: {X-A: {equals: b}}}"),
    ] {
        let read = |route: &str| parsed(&format!("gateway:\n  routes:\n  - {route}\n"));
        assert_eq!(read(short), read(long), "{short}");
    }
}

#[test]
fn conditions_nest() {
    let text =
        "gateway: {routes: [{authorize: {not: {any: [{not: {public: true}}, {authenticator: [a]}]}}}]}\n";
    let inner = vec![
        Expression::Not(Box::new(Expression::Public(true))),
        Expression::Authenticator(OneOrMore(words(&["a"]))),
    ];
    let expected = Expression::Not(Box::new(Expression::Any(inner)));
    assert_eq!(parsed(text).routes[0].authorize, Some(expected));
}

#[test]
fn a_mistake_is_told_with_line_and_column() {
    for (text, expected) in [
        (
            "gateway:\n  routes:\n    - id: a\n      paths: /\n",
            "gateway.routes[0].paths: there is no such key (doorward.yaml line 4, column 7); write one of id, match",
        ),
        (
            "gateway:\n  routes:\n    - authorize: {all: [{scope: a}]}\n",
            "gateway.routes[0].authorize.all[0].scope: there is no such key (doorward.yaml line 3, column 26); write one \
             of all, any, not",
        ),
        (
            "gateway:\n  routes:\n    - authorize: {users: [a], groups: {any: [b]}}\n",
            "gateway.routes[0].authorize: a condition has one key only (doorward.yaml line 3, column 18); put several",
        ),
        (
            "gateway:\n  routes:\n    - authenticate: [$NOBODY]\n",
            "gateway.routes[0].authenticate: nothing is left here, because the variable NOBODY is not set (doorward.yaml line",
        ),
        (
            "gateway:\n  routes:\n    - authorize: $NOBODY\n",
            "gateway.routes[0].authorize: nothing is left here, because the variable NOBODY is not set",
        ),
        (
            "gateway:\n  policies:\n    a: {type: rego, file: x}\n",
            "gateway.policies.a.file: there is no such key (doorward.yaml line 3, column 21); write one of type, files",
        ),
    ] {
        let (_, errors) = parse(text);
        assert_eq!(errors.len(), 1, "{text}: {errors:?}");
        assert!(errors[0].starts_with(expected), "{text}:\n{}\n{expected}", errors[0]);
    }
}
