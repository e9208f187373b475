use std::{iter::Peekable, str::Chars};

use doorward_core::RuleId;
use http::{HeaderName, HeaderValue, StatusCode};
use serde_json::json;

use super::*;
use crate::gateway::{ClaimTest, Match, PathTemplate, TextPattern, WebSocketMatch};

fn route(authorize: Expression) -> Route {
    Route {
        id: RuleId::new("orders"),
        matches: Match {
            hosts: vec![],
            path: PathTemplate::everything(),
            methods: vec![],
            headers: vec![],
            query: vec![],
            websocket: WebSocketMatch::Any,
            clients: None,
        },
        authorize,
        upstreams: vec![],
        step_up: None,
    }
}

fn alice() -> Principal {
    let mut alice = Principal { authenticator: "jwt".into(), ..Principal::default() };
    alice.user.name = "alice".to_owned();
    alice.user.groups = vec!["dev".to_owned(), "ops".to_owned()];
    alice.scopes = vec!["orders:read".to_owned()];
    let claims = json!({
        "tier": "gold", "level": 3, "verified": true, "roles": ["reader", "writer"], "acr": "mfa",
        "auth_time": 1000, "a.b": "dotted", "a": {"b": "nested", "c": {"d": 1}}, "none": null,
    });
    alice.claims = claims.as_object().cloned().unwrap_or_default();
    alice
}

fn names(names: &[&str]) -> Vec<String> {
    names.iter().map(|&name| name.to_owned()).collect()
}

fn any_scope(scopes: &[&str]) -> Expression {
    Expression::Scopes(Wanted::AnyOf(names(scopes)))
}

/// A condition in letters: `y` and `n` hold and do not; `A`, `D`, `U`, `X` are policies that allow, deny, decide nothing, and
/// cannot be reached; `&(…)`, `|(…)` and `!…` combine.
fn read(text: &mut Peekable<Chars<'_>>) -> Expression {
    let letter = text.next().unwrap();
    let mut group = || {
        assert_eq!(text.next(), Some('('));
        let mut parts = Vec::new();
        while text.next_if_eq(&')').is_none() {
            parts.push(read(text));
        }
        parts
    };
    match letter {
        'y' => Expression::Public,
        'n' => Expression::Users(names(&["nobody"])),
        '&' => Expression::All(group()),
        '|' => Expression::Any(group()),
        '!' => Expression::Not(Box::new(read(text))),
        policy => {
            let place = POLICIES.find(policy).unwrap();
            Expression::Policy { name: policy.to_string().into(), index: PolicyIndex::at(place) }
        }
    }
}

const POLICIES: &str = "ADUXBC";

fn policy(letter: char) -> Result<Decision, PolicyFault> {
    let decision = |verdict| Decision {
        headers: vec![
            (HeaderName::from_static("x-last"), HeaderValue::from_str(&letter.to_string()).unwrap()),
            (
                HeaderName::from_bytes(format!("x-{letter}").as_bytes()).unwrap(),
                HeaderValue::from_static("1"),
            ),
        ],
        context: Some(json!({"last": letter.to_string(), letter.to_string(): 1})),
        ..Decision::plain(verdict)
    };
    match letter {
        'A' | 'B' => Ok(decision(Verdict::Allow)),
        'D' => Ok(Decision { http_status: Some(StatusCode::TOO_MANY_REQUESTS), ..decision(Verdict::Deny) }),
        'C' => Ok(Decision::plain(Verdict::Deny)),
        'X' => Err(PolicyFault::Unreachable("connection refused".to_owned())),
        _ => Err(PolicyFault::Undefined),
    }
}

/// The ruling, and the policies that were asked in order.
fn rule(mut trial: Trial<'_>) -> (Ruling, String) {
    let mut asked = String::new();
    loop {
        match trial.proceed() {
            Next::Ruled(ruling) => return (ruling, asked),
            Next::Ask(index) => {
                let letter = POLICIES.chars().enumerate().find(|(place, _)| PolicyIndex::at(*place) == index);
                let letter = letter.unwrap().1;
                asked.push(letter);
                trial.hear(index, policy(letter));
            }
        }
    }
}

fn word(ruling: &Ruling) -> &'static str {
    match ruling {
        Ruling::Permit(_) => "permit",
        Ruling::Deny(_) => "deny",
        Ruling::StepUp(_) => "step-up",
        Ruling::Fault(fault) if fault.is_unreachable() => "503",
        Ruling::Fault(_) => "403",
    }
}

#[test]
fn there_are_three_values_and_an_order() {
    for (expression, expected, asked) in [
        ("y", "permit", ""),
        ("n", "deny", ""),
        ("!y", "deny", ""),
        ("!n", "permit", ""),
        ("!!n", "deny", ""),
        ("A", "permit", "A"),
        ("D", "deny", "D"),
        ("U", "403", "U"),
        ("X", "503", "X"),
        ("!A", "deny", "A"),
        ("!D", "permit", "D"),
        ("!U", "403", "U"),
        ("!X", "503", "X"),
        ("!!U", "403", "U"),
        ("&(yy)", "permit", ""),
        ("&(yn)", "deny", ""),
        ("&(nA)", "deny", ""),
        ("&(yAB)", "permit", "AB"),
        ("&(DA)", "deny", "D"),
        ("&(AUn)", "403", "AU"),
        ("&(nU)", "deny", ""),
        ("!&(nU)", "permit", ""),
        ("!&(Un)", "403", "U"),
        ("|(yA)", "permit", ""),
        ("|(nA)", "permit", "A"),
        ("|(DA)", "permit", "DA"),
        ("|(UA)", "permit", "UA"),
        ("|(Uy)", "permit", "U"),
        ("|(UD)", "403", "UD"),
        ("|(UX)", "403", "UX"),
        ("|(XU)", "503", "XU"),
        ("|(nn)", "deny", ""),
        ("!|(nU)", "403", "U"),
        ("!|(DU)", "403", "DU"),
        ("!|(UA)", "deny", "UA"),
        ("&(AAA)", "permit", "A"),
        ("|(&(An)&(AB))", "permit", "AB"),
        ("|(!A&(UA)B)", "permit", "AUB"),
        ("&()", "deny", ""),
        ("|()", "deny", ""),
        ("!&(!y)", "permit", ""),
    ] {
        let route = route(read(&mut expression.chars().peekable()));
        let who = alice();
        let (ruling, order) = rule(route.trial(&who, Timestamp::default()));
        assert_eq!((word(&ruling), order.as_str()), (expected, asked), "{expression}");
    }
}

#[test]
fn b35_not_of_a_broken_policy_lets_nobody_in() {
    for expression in ["!U", "!X", "!!U", "!!!X", "&(y!U)", "|(n!U)", "!|(Un)", "!&(yU)", "!&(U)", "|(!U!X)"]
    {
        let route = route(read(&mut expression.chars().peekable()));
        let (ruling, _) = rule(route.trial(&alice(), Timestamp::default()));
        assert!(matches!(ruling, Ruling::Fault(_)), "{expression}: {ruling:?}");
    }
}

#[test]
fn effects_are_those_of_the_policies_on_which_the_permit_rests() {
    for (expression, headers, context) in [
        ("y", "", None),
        ("A", "x-last=A x-a=1", Some(json!({"last": "A", "A": 1}))),
        ("&(AB)", "x-a=1 x-last=B x-b=1", Some(json!({"last": "B", "A": 1, "B": 1}))),
        ("|(AB)", "x-last=A x-a=1", Some(json!({"last": "A", "A": 1}))),
        ("|(DB)", "x-last=B x-b=1", Some(json!({"last": "B", "B": 1}))),
        ("|(&(An)B)", "x-last=B x-b=1", Some(json!({"last": "B", "B": 1}))),
        ("|(&(AU)B)", "x-last=B x-b=1", Some(json!({"last": "B", "B": 1}))),
        ("&(!D)", "", None),
        ("!!A", "", None),
    ] {
        let route = route(read(&mut expression.chars().peekable()));
        let (ruling, _) = rule(route.trial(&alice(), Timestamp::default()));
        let Ruling::Permit(grant) = ruling else { panic!("{expression}") };
        let pairs = grant.effects.headers.iter();
        let pairs: Vec<_> =
            pairs.map(|(name, value)| format!("{name}={}", value.to_str().unwrap())).collect();
        assert_eq!(pairs.join(" "), headers, "{expression}");
        assert_eq!(grant.effects.context, context, "{expression}");
        assert_eq!(grant.permit.grounds(), &Grounds::Route(RuleId::new("orders")));
    }
}

#[track_caller]
fn denied(authorize: Expression) -> Denial {
    match rule(route(authorize).trial(&alice(), Timestamp::default())).0 {
        Ruling::Deny(denial) => *denial,
        other => panic!("{other:?}"),
    }
}

#[test]
fn missing_scopes_are_told_where_more_of_them_would_help() {
    let all_scopes = |scopes: &[&str]| Expression::Scopes(Wanted::AllOf(names(scopes)));
    let no_group = || Expression::Groups(Wanted::AnyOf(names(&["admins"])));
    for (authorize, missing, unfulfilled) in [
        (any_scope(&["a", "b"]), &["a", "b"][..], Unfulfilled::Scopes),
        (all_scopes(&["orders:read", "orders:write"]), &["orders:write"], Unfulfilled::Scopes),
        (no_group(), &[], Unfulfilled::Groups),
        (Expression::All(vec![no_group(), any_scope(&["a"])]), &[], Unfulfilled::Groups),
        (Expression::All(vec![any_scope(&["orders:read"]), any_scope(&["a"])]), &["a"], Unfulfilled::Scopes),
        (Expression::Any(vec![any_scope(&["a"]), no_group()]), &["a"], Unfulfilled::Groups),
        (Expression::Not(Box::new(any_scope(&["orders:read"]))), &[], Unfulfilled::Excluded),
        (Expression::Users(names(&["bob"])), &[], Unfulfilled::Users),
        (Expression::Authenticator(vec!["web".into()]), &[], Unfulfilled::Authenticator),
    ] {
        let denial = denied(authorize.clone());
        assert_eq!(denial.missing_scopes, names(missing), "{authorize:?}");
        assert_eq!(denial.unfulfilled, unfulfilled, "{authorize:?}");
    }
    let nested = route(Expression::All(vec![
        any_scope(&["a", "b"]),
        Expression::Any(vec![any_scope(&["b", "c"]), Expression::Public]),
        Expression::Not(Box::new(any_scope(&["d"]))),
    ]));
    assert_eq!(nested.scopes(), ["a", "b", "c"]);
}

#[test]
fn a_policy_that_denies_may_say_how() {
    for (expression, status) in [("D", Some(429)), ("C", None), ("|(DC)", Some(429)), ("|(CD)", Some(429))] {
        let denial = denied(read(&mut expression.chars().peekable()));
        let answer = denial.answer.and_then(|answer| answer.status).map(|status| status.as_u16());
        assert_eq!(answer, status, "{expression}");
        assert!(matches!(denial.unfulfilled, Unfulfilled::Policy(_)), "{expression}");
    }
}

#[test]
fn claims_are_compared_as_what_they_are() {
    let equals = |value: Value| ClaimTest::Equals(value);
    let matches = |expression: &str| ClaimTest::Matches(TextPattern::parse(expression).unwrap());
    for (path, test, expected) in [
        ("tier", equals(json!("gold")), true),
        ("tier", equals(json!("Gold")), false),
        ("tier", ClaimTest::OneOf(vec![json!("silver"), json!("gold")]), true),
        ("level", equals(json!(3)), true),
        ("level", equals(json!("3")), false),
        ("verified", equals(json!(true)), true),
        ("verified", equals(json!("true")), false),
        ("roles", equals(json!("writer")), true),
        ("roles", equals(json!(["reader", "writer"])), true),
        ("roles", ClaimTest::OneOf(vec![json!("admin"), json!("writer")]), true),
        ("roles", matches("w.*"), true),
        ("roles", matches("rit"), false),
        ("tier", matches("go"), false),
        ("level", matches(".*"), false),
        ("missing", equals(Value::Null), false),
        ("none", equals(Value::Null), true),
        ("a.b", equals(json!("dotted")), true),
        ("a.c.d", equals(json!(1)), true),
        ("a.c.x", equals(json!(1)), false),
        ("", equals(json!(1)), false),
    ] {
        let holds = Expression::Claim { path: path.to_owned(), test: test.clone() };
        let route = route(holds);
        let (ruling, _) = rule(route.trial(&alice(), Timestamp::default()));
        assert_eq!(matches!(ruling, Ruling::Permit(_)), expected, "{path} {test}");
    }
}

#[test]
fn the_first_upstream_that_is_for_somebody_is_chosen() {
    let group = |name: &str| Expression::Groups(Wanted::AnyOf(names(&[name])));
    for (upstreams, expected) in [
        (vec![], Some(0)),
        (vec![group("admins"), group("ops"), group("dev"), Expression::Public], Some(1)),
        (vec![group("admins"), Expression::Public], Some(1)),
        (vec![group("admins")], None),
    ] {
        let route = Route { upstreams, ..route(Expression::AnyoneKnown) };
        let chosen = match rule(route.trial(&alice(), Timestamp::default())).0 {
            Ruling::Permit(grant) => Some(grant.upstream),
            Ruling::Deny(denial) if denial.unfulfilled == Unfulfilled::Upstream => None,
            other => panic!("{other:?}"),
        };
        assert_eq!(chosen, expected, "{:?}", route.upstreams);
    }
}

#[test]
fn a_sign_in_has_to_be_good_and_recent_enough() {
    let acr = |values: &[&str]| StepUp { acr: names(values), max_age: None };
    let within = |seconds| StepUp { acr: vec![], max_age: Some(Duration::from_secs(seconds)) };
    for (step_up, now, expected) in [
        (acr(&["mfa"]), 0, "permit"),
        (acr(&["hw", "mfa"]), 0, "permit"),
        (acr(&["hw"]), 0, "step-up"),
        (acr(&["mf"]), 0, "step-up"),
        (within(60), 1060, "permit"),
        (within(60), 1061, "step-up"),
        (within(0), 1000, "permit"),
        (within(60), 800, "permit"),
        (within(60), 600, "step-up"),
    ] {
        let route = Route { step_up: Some(step_up.clone()), ..route(Expression::AnyoneKnown) };
        let (ruling, _) = rule(route.trial(&alice(), Timestamp::from_seconds(now)));
        assert_eq!(word(&ruling), expected, "{step_up} at {now}");
    }
    let bare = Principal { claims: serde_json::Map::default(), ..alice() };
    for step_up in [acr(&["mfa"]), within(60)] {
        let asking = Route { step_up: Some(step_up), ..route(Expression::AnyoneKnown) };
        assert_eq!(word(&rule(asking.trial(&bare, Timestamp::default())).0), "step-up");
        let closed = Route { authorize: read(&mut "n".chars().peekable()), ..asking };
        assert_eq!(word(&rule(closed.trial(&bare, Timestamp::default())).0), "deny");
    }
}

#[test]
fn nobody_anonymous_passes_unless_the_expression_says_so() {
    let web: Arc<str> = "anonymous".into();
    let nobody = Principal::anonymous(Arc::clone(&web));
    let authenticator = |name: &str| Expression::Authenticator(vec![name.into()]);
    for (authorize, passes, may) in [
        (Expression::Public, true, true),
        (Expression::AnyoneKnown, false, false),
        (any_scope(&["a"]), false, false),
        (authenticator("anonymous"), true, true),
        (authenticator("jwt"), false, false),
        (Expression::Any(vec![any_scope(&["a"]), authenticator("anonymous")]), true, true),
        (Expression::All(vec![any_scope(&["a"]), Expression::Public]), false, false),
        (read(&mut "A".chars().peekable()), true, true),
        (read(&mut "D".chars().peekable()), false, true),
        (read(&mut "!U".chars().peekable()), false, true),
        (read(&mut "&(Dn)".chars().peekable()), false, false),
        (read(&mut "|()".chars().peekable()), false, false),
    ] {
        assert_eq!(authorize.may_hold_for_anonymous(&web), may, "{authorize:?}");
        let route = route(authorize);
        match rule(route.trial(&nobody, Timestamp::default())).0 {
            Ruling::Permit(grant) => {
                assert!(passes, "{:?}", route.authorize);
                assert_eq!(grant.permit.grounds(), &Grounds::Anonymous(RuleId::new("orders")));
            }
            _ => assert!(!passes, "{:?}", route.authorize),
        }
    }
}

#[test]
fn each_step_is_told_with_its_reason() {
    let mut route = route(Expression::All(vec![
        any_scope(&["orders:read"]),
        Expression::Any(vec![
            Expression::Not(Box::new(Expression::Public)),
            read(&mut "D".chars().peekable()),
            read(&mut "U".chars().peekable()),
            read(&mut "A".chars().peekable()),
            Expression::Users(names(&["never reached"])),
        ]),
    ]));
    route.upstreams = vec![Expression::Users(names(&["bob"])), Expression::Public];
    let who = alice();
    let mut trial = route.trial(&who, Timestamp::default()).traced();
    while let Next::Ask(index) = trial.proceed() {
        let letter =
            POLICIES.chars().enumerate().find(|(place, _)| PolicyIndex::at(*place) == index).unwrap().1;
        trial.hear(index, policy(letter));
    }
    let told: Vec<String> = trial
        .steps()
        .iter()
        .map(|step| format!("{}{}: {} {}", "  ".repeat(step.depth), step.what, step.truth, step.why))
        .collect();
    let expected = [
        "all: yes ",
        "  scopes: any of orders:read: yes ",
        "  any: yes ",
        "    not: no what must not hold does",
        "      public: yes ",
        "    policy D: no policy D denies it",
        "    policy U: cannot be judged policy U: the policy decides nothing here: its result is undefined",
        "    policy A: yes ",
        "upstream 0: no the user is not among those named",
        "  users: bob: no the user is not among those named",
        "upstream 1: yes ",
        "  public: yes ",
    ];
    assert_eq!(told, expected, "{told:#?}");
}
