use doorward_core::{
    ClientIp, Target,
    request::{Hop, Scheme},
};
use http::HeaderValue;

use super::*;
use crate::{Config, Preflight, WithoutAddress};

fn config() -> Config {
    Config {
        preflight: Preflight::NeedsLogin,
        skip_auth_regex: vec![],
        skip_auth_routes: vec![],
        trusted_ips: vec![],
        email_domains: vec!["example.com".to_owned()],
        authenticated_emails: None,
        without_address: WithoutAddress::Refused,
        allowed_groups: vec![],
        groups_by_provider: vec![],
        anonymous_paths: vec![],
    }
}

fn routes(entries: &[&str]) -> Policy {
    let skip_auth_routes = entries.iter().map(|&entry| entry.to_owned()).collect();
    Policy::compile(Config { skip_auth_routes, ..config() }).unwrap()
}

fn facts(request: &str) -> RequestFacts {
    let (method, uri) = request.split_once(' ').unwrap();
    RequestFacts {
        method: method.parse().unwrap(),
        host: HeaderValue::from_static("app.test"),
        scheme: Some(Scheme::Https),
        target: Target::new(uri.parse().unwrap()),
        original: None,
        original_method: None,
        client: ClientIp::Known("10.0.0.1".parse().unwrap()),
        hop: Hop::Direct,
    }
}

fn identity(email: &str, groups: &[&str]) -> Identity {
    Identity {
        user: "u".to_owned(),
        email: email.to_owned(),
        groups: groups.iter().map(|&group| group.to_owned()).collect(),
        ..Identity::default()
    }
}

fn text(verdict: &Verdict) -> String {
    match verdict {
        Verdict::Permit(permit) => match permit.grounds() {
            Grounds::Rule(rule) => format!("rule {rule}"),
            open => open.to_string(),
        },
        Verdict::Login => "login".to_owned(),
        Verdict::Deny(denial) => denial.to_string(),
    }
}

#[track_caller]
fn anonymous(policy: &Policy, request: &str, expected: &str) {
    for who in [Attempt::NotPresented, Attempt::Refused] {
        assert_eq!(text(&policy.decide(&facts(request), Judged::Own, who)), expected, "{request} {who:?}");
    }
}

#[test]
fn routes_open_their_method_and_path_only() {
    let first = "public route skip-auth-route[0]";
    for (entry, request, expected) in [
        ("GET=^/api", "GET /api/x", first),
        ("GET=^/api", "POST /api/x", "login"),
        ("GET=^/api", "HEAD /api/x", "login"),
        ("GET=^/api", "GET /other", "login"),
        ("post=^/hook", "POST /hook/1", first),
        ("!=^/admin", "GET /", first),
        ("!=^/admin", "GET /x/admin", first),
        ("!=^/admin", "GET /admin", "login"),
        ("!=^/admin", "POST /admin/x", "login"),
        ("GET!=^/api", "GET /home", first),
        ("GET!=^/api", "GET /api/x", "login"),
        ("GET!=^/api", "POST /home", "login"),
        ("^/a$", "GET /ab", "login"),
        ("/open$", "GET /open?x=1", first),
        ("/open$", "GET /closed?/open", "login"),
        ("/open$", "GET /closed?x=/open", "login"),
        ("^/a b$", "GET /a%20b", first),
        ("^/ü$", "GET /%C3%BC", first),
        ("^/api/", "GET /api/group%2Fname", first),
        ("^/x?a=b", "GET /xa", "login"),
    ] {
        anonymous(&routes(&[entry]), request, expected);
    }
}

#[test]
fn several_routes_add_up() {
    let policy = routes(&["^/a$", "^/b$"]);
    anonymous(&policy, "GET /a", "public route skip-auth-route[0]");
    anonymous(&policy, "GET /b", "public route skip-auth-route[1]");
    anonymous(&policy, "GET /c", "login");
}

#[test]
fn no_spelling_of_a_path_opens_more_than_its_readings() {
    for (entry, path) in [
        ("^/public", "/public/%2e%2e/admin"),
        ("^/public", "/public/..%2fadmin"),
        ("^/public", "/public/%252e%252e/admin"),
        ("^/public", "/public/%252e%252e%252fadmin"),
        ("^/public", "/public/..;/admin"),
        ("^/public", "/public/..%5cadmin"),
        ("^/public", "/public\\..\\admin"),
        ("^/public", "/public/%c0%ae%c0%ae/admin"),
        ("^/public", "/public/../admin"),
        ("^/public", "/public/./admin"),
        ("^/public", "/public/%252e%252e/admin/%25252e%25252e/%25252e%25252e/public"),
        ("^/public", "/public/.%0a./admin"),
        ("^/public", "/public/.%0d./x"),
        ("^/public", "/public/..%ff"),
        ("^/public", "/public/..%ff/admin"),
        ("^/public", "/public/caf%e9"),
        ("^/public", "/public/x%00"),
        ("^/public", "/public/%EF%BC%8E%EF%BC%8E/admin"),
        ("^/public", "/public/\u{ff0e}\u{ff0e}\u{ff0f}admin"),
        ("^/public", "/public/%E2%80%A5/admin"),
        ("^/public", "/public/.%E2%80%8B./admin"),
        ("/public$", "/admin%23/public"),
        ("/public$", "/admin%00/public"),
        ("/public$", "/admin%3f/public"),
        (r"\.css$", "/admin;.css"),
        (r"\.css$", "/admin%3b.css"),
        (r"\.css$", "/admin%23.css"),
        ("^/a/b$", "/a%2fb"),
        ("!=^/admin", "//admin"),
        ("!=^/admin", "/x/%2e%2e/admin"),
        ("!=^/admin", "/./admin"),
        ("!=^/admin", "/;/admin"),
        ("!=^/admin", "/%2fadmin"),
        ("!=^/admin", "/%5cadmin"),
        ("!=^/admin", "/%61dmin"),
        ("!=^/admin", "/%2561dmin"),
        ("!=^/admin", "/%0aadmin"),
        ("!=^/admin", "/%09/admin"),
        ("!=^/admin", "/%20/admin"),
        ("!=^/admin", "/%20admin"),
        ("!=^/admin", "/%2520admin"),
        ("!=^/admin", "/%00/admin"),
        ("!=^/admin", "/ad%7fmin"),
        ("!=^/admin", "/%C2%A0admin"),
        ("!=^/admin", "/%EF%BD%81dmin"),
        ("!=^/admin", "/\u{ff41}dmin"),
        ("!=^/admin", "/%EF%BC%8Fadmin"),
        ("!=^/admin", "/%EF%BC%8561dmin"),
        ("!=^/admin$", "/admin%20"),
        ("!=^/admin$", "/admin;x"),
        ("!=^/admin$", "/admin%00"),
        ("!=^/admin$", "/admin%23x"),
        ("!=^/admin$", "/admin%3fx"),
    ] {
        anonymous(&routes(&[entry]), &format!("GET {path}"), "login");
    }
}

#[test]
fn an_odd_path_stays_open_where_all_readings_are() {
    for (entry, path) in [
        ("^/public", "/public/a//b"),
        ("^/public", "/public/a;v=1"),
        ("^/public", "/public/100%25"),
        ("^/public", "/public/%252F"),
        ("^/public", "/public/caf%C3%A9"),
        ("^/public", "/public/a%20b"),
        ("^/public", "/public/%E4%BD%95%EF%BC%9F"),
        ("^/public", "/public/a%0Ab"),
        ("!=^/admin", "/a//b"),
        ("!=^/admin", "/x%20/y"),
    ] {
        anonymous(&routes(&[entry]), &format!("GET {path}"), "public route skip-auth-route[0]");
    }
}

#[test]
fn odd_paths_are_no_harm_to_somebody_known() {
    let alice = identity("alice@example.com", &[]);
    let who = Attempt::Accepted(Who { identity: &alice, provenance: Provenance::Provider, provider: None });
    for request in ["GET /public/%2e%2e/admin", "GET //x", "GET /a;b"] {
        let verdict = routes(&["^/public"]).decide(&facts(request), Judged::Own, who);
        assert_eq!(text(&verdict), "rule default", "{request}");
    }
}

#[test]
fn of_many_rules_the_first_that_holds_decides_whatever_its_kind() {
    let mut entries: Vec<String> = (0..1000).map(|place| format!("^/p{place}/")).collect();
    entries.extend(["POST=^/p7/".to_owned(), "POST!=^/p".to_owned(), "^/q".to_owned()]);
    let entries: Vec<&str> = entries.iter().map(String::as_str).collect();
    let policy = routes(&entries);
    for (request, expected) in [
        ("GET /p0/", "public route skip-auth-route[0]"),
        ("GET /p999/x", "public route skip-auth-route[999]"),
        ("POST /p7/", "public route skip-auth-route[7]"),
        ("POST /q", "public route skip-auth-route[1001]"),
        ("GET /q", "public route skip-auth-route[1002]"),
        ("GET /r", "login"),
    ] {
        let verdict = policy.decide(&facts(request), Judged::Own, Attempt::NotPresented);
        assert_eq!(text(&verdict), expected, "{request}");
    }
}

#[test]
fn a_rule_that_demands_cannot_be_dodged_by_spelling() {
    let policy = Policy::compile(Config { email_domains: vec!["*".to_owned()], ..config() }).unwrap();
    let admins = Requirement {
        id: RuleId::new("admins"),
        groups: GroupRule::any_of(vec!["admins".to_owned()]).into(),
        ..policy.default.clone()
    };
    let rule = RouteRule {
        id: RuleId::new("admin-area"),
        matches: RouteMatch {
            methods: MethodMatch::Any,
            path: PathMatch::Found(PathPattern::parse("^/admin").unwrap()),
            client: ClientMatch::Any,
        },
        access: Access::Require(admins),
    };
    let policy = Policy::new(vec![rule], policy.default).unwrap();
    let bob = identity("bob@example.com", &["staff"]);
    let who = Attempt::Accepted(Who { identity: &bob, provenance: Provenance::Provider, provider: None });
    for (path, expected) in [
        ("/", "rule default"),
        ("/admin", "no allowed group (rule admins)"),
        ("//admin", "no allowed group (rule admins)"),
        ("/x/%2e%2e/admin", "no allowed group (rule admins)"),
        ("/;x/admin", "no allowed group (rule admins)"),
    ] {
        let verdict = policy.decide(&facts(&format!("GET {path}")), Judged::Own, who);
        assert_eq!(text(&verdict), expected, "{path}");
    }
}

#[test]
fn preflight_opens_options_only() {
    let policy = Policy::compile(Config { preflight: Preflight::Open, ..config() }).unwrap();
    anonymous(&policy, "OPTIONS /api", "preflight request");
    anonymous(&policy, "OPTIONS /a/%2e%2e/b", "preflight request");
    anonymous(&policy, "GET /api", "login");
    anonymous(&routes(&[]), "OPTIONS /api", "login");
}

#[test]
fn trusted_networks_need_a_known_client() {
    let trusted_ips = vec!["10.0.0.0/8".to_owned(), "0.0.0.0/32".to_owned()];
    let policy = Policy::compile(Config { trusted_ips, ..config() }).unwrap();
    for (client, expected) in [
        (ClientIp::Known("10.9.9.9".parse().unwrap()), "trusted network trusted-ip[0]"),
        (ClientIp::Known("::ffff:10.9.9.9".parse().unwrap()), "trusted network trusted-ip[0]"),
        (ClientIp::Known("172.16.0.1".parse().unwrap()), "login"),
        (ClientIp::Unknown, "login"),
    ] {
        let facts = RequestFacts { client, ..facts("GET /x/%2e%2e/y") };
        assert_eq!(text(&policy.decide(&facts, Judged::Own, Attempt::NotPresented)), expected, "{client:?}");
    }
}

#[test]
fn the_original_target_counts_only_for_questions_about_it() {
    let policy = routes(&["^/open"]);
    let facts =
        RequestFacts { original: Some(Target::new("/open".parse().unwrap())), ..facts("GET /closed") };
    let ask = |judged| text(&policy.decide(&facts, judged, Attempt::NotPresented));
    assert_eq!(ask(Judged::Own), "login");
    assert_eq!(ask(Judged::Original), "public route skip-auth-route[0]");
}

#[test]
fn a_question_about_nothing_is_opened_by_no_rule_about_other_paths() {
    let ask = |entry: &str, path: &str, original: Option<&str>| {
        let original = original.map(|uri| Target::new(uri.parse().unwrap()));
        let facts = RequestFacts { original, ..facts(&format!("GET {path}")) };
        text(&routes(&[entry]).decide(&facts, Judged::Original, Attempt::NotPresented))
    };
    let first = "public route skip-auth-route[0]";
    for (entry, path, original, expected) in [
        ("!=^/admin", "/oauth2/auth", None, "login"),
        ("GET!=^/admin", "/oauth2/auth", None, "login"),
        ("!=^/admin", "/oauth2//auth", None, "login"),
        ("!=^/admin", "/oauth2/%2e/auth", None, "login"),
        ("!=^/admin", "/oauth2/auth", Some("/admin"), "login"),
        ("!=^/admin", "/oauth2/auth", Some("/x"), first),
        ("^/oauth2/auth", "/oauth2/auth", None, first),
        ("^/oauth2/userinfo", "/oauth2/userinfo", None, first),
        ("^/x", "/oauth2/auth", None, "login"),
        ("^/oauth2/auth", "/oauth2/auth", Some("/x"), "login"),
    ] {
        assert_eq!(ask(entry, path, original), expected, "{entry} {path} {original:?}");
    }
}

#[test]
fn the_original_method_counts_only_for_questions_about_it() {
    let ask = |entry: &str, judged, method: Option<Method>| {
        let original = Some(Target::new("/x".parse().unwrap()));
        let facts = RequestFacts { original, original_method: method, ..facts("GET /x") };
        text(&routes(&[entry]).decide(&facts, judged, Attempt::NotPresented))
    };
    let first = "public route skip-auth-route[0]";
    for (entry, judged, method, expected) in [
        ("GET=^/x", Judged::Original, None, first),
        ("GET=^/x", Judged::Original, Some(Method::GET), first),
        ("GET=^/x", Judged::Original, Some(Method::POST), "login"),
        ("POST=^/x", Judged::Original, Some(Method::POST), first),
        ("GET=^/x", Judged::Own, Some(Method::POST), first),
        ("POST=^/x", Judged::Own, Some(Method::POST), "login"),
    ] {
        assert_eq!(ask(entry, judged, method.clone()), expected, "{entry} {judged:?} {method:?}");
    }
}

#[test]
fn rules_that_need_the_original_are_named() {
    let policy = routes(&["^/a", "!=^/b", "GET!=^/c"]);
    let names: Vec<String> = policy.rules_that_need_the_original().map(ToString::to_string).collect();
    assert_eq!(names, ["skip-auth-route[1]", "skip-auth-route[2]"]);
}

#[test]
fn the_requirement_asks_for_address_and_group() {
    let allowed_groups = vec!["ops".to_owned(), "admins".to_owned()];
    let policy = Policy::compile(Config { allowed_groups, ..config() }).unwrap();
    for (email, groups, provenance, expected) in [
        ("a@example.com", &["ops"][..], Provenance::Provider, "rule default"),
        ("a@example.com", &["OPS"], Provenance::Provider, "no allowed group (rule default)"),
        ("a@example.com", &[], Provenance::Provider, "no allowed group (rule default)"),
        ("a@evil.com", &["ops"], Provenance::Provider, "the e-mail address is not allowed (rule default)"),
        ("", &["ops"], Provenance::Provider, "the identity has no e-mail address (rule default)"),
        ("", &["ops"], Provenance::PasswordFile, "rule default"),
        ("", &[], Provenance::PasswordFile, "no allowed group (rule default)"),
        ("bob", &["ops"], Provenance::PasswordFile, "the e-mail address is not allowed (rule default)"),
    ] {
        let identity = identity(email, groups);
        let who = Attempt::Accepted(Who { identity: &identity, provenance, provider: None });
        assert_eq!(text(&policy.decide(&facts("GET /"), Judged::Own, who)), expected, "{email} {groups:?}");
    }
}

#[test]
fn a_login_needs_an_address_even_where_everybody_is_allowed() {
    let policy = Policy::compile(Config { email_domains: vec!["*".to_owned()], ..config() }).unwrap();
    assert!(policy.check_at_login(&identity("plain-user", &[]), None).is_ok());
    let denial = policy.check_at_login(&identity("", &[]), None).unwrap_err();
    assert_eq!(denial.reason, DenialReason::EmailMissing);
}

#[test]
fn a_public_route_passes_whoever_asks() {
    let mallory = identity("mallory@evil.com", &[]);
    let who = Attempt::Accepted(Who { identity: &mallory, provenance: Provenance::Provider, provider: None });
    let verdict = routes(&["^/open"]).decide(&facts("GET /open"), Judged::Own, who);
    assert_eq!(text(&verdict), "public route skip-auth-route[0]");
}

#[test]
fn policies_cross_threads() {
    fn check<T: Send + Sync + 'static>() {}
    check::<Policy>();
    check::<Verdict>();
    check::<crate::Constraints>();
}

fn everybody(anonymous_paths: &[&str], allowed_groups: &[&str]) -> Policy {
    let owned = |names: &[&str]| names.iter().map(ToString::to_string).collect();
    let email_domains = owned(&["*"]);
    let (anonymous_paths, allowed_groups) = (owned(anonymous_paths), owned(allowed_groups));
    Policy::compile(Config { email_domains, allowed_groups, anonymous_paths, ..config() }).unwrap()
}

#[test]
fn requests_are_anonymous_on_their_paths_and_never_with_a_bad_credential() {
    let policy = everybody(&["/healthz", "/public/*"], &["dev"]);
    let path = |index: usize| format!("anonymous, which rule apiAuth.anonymous.paths[{index}] allows");
    for (request, who, expected) in [
        ("GET /healthz", Attempt::NotPresented, path(0)),
        ("GET /%68ealthz", Attempt::NotPresented, path(0)),
        ("GET /public/a", Attempt::NotPresented, path(1)),
        ("GET /healthz", Attempt::Refused, "login".into()),
        ("GET /healthz/x", Attempt::NotPresented, "login".into()),
        ("GET /public", Attempt::NotPresented, "login".into()),
        ("GET /public/%2e%2e/admin", Attempt::NotPresented, "login".into()),
        ("GET /healthz;x", Attempt::NotPresented, "login".into()),
        ("GET /", Attempt::NotPresented, "login".into()),
    ] {
        assert_eq!(text(&policy.decide(&facts(request), Judged::Own, who)), expected, "{request} {who:?}");
    }
    let bob = identity("", &[]);
    let who = Attempt::Accepted(Who { identity: &bob, provenance: Provenance::Credential, provider: None });
    for (request, expected) in
        [("GET /healthz", "rule apiAuth.anonymous.paths[0]"), ("GET /", "no allowed group (rule default)")]
    {
        assert_eq!(text(&policy.decide(&facts(request), Judged::Own, who)), expected, "{request}");
    }
}

#[test]
fn where_anonymous_requests_may_go_everywhere_they_need_what_everybody_needs() {
    let listed = Policy::compile(config()).unwrap();
    for (policy, expected) in [
        (&everybody(&[], &[]), "anonymous, which rule default allows"),
        (&everybody(&[], &["dev"]), "login"),
        (&everybody(&[], &["system:unauthenticated"]), "anonymous, which rule default allows"),
        (&listed, "login"),
    ] {
        let verdict = policy.decide(&facts("GET /x"), Judged::Own, Attempt::Anonymous);
        assert_eq!(text(&verdict), expected);
    }
    let bob = identity("", &["dev"]);
    let who = Attempt::Accepted(Who { identity: &bob, provenance: Provenance::Credential, provider: None });
    for (policy, expected) in [
        (&everybody(&[], &["dev"]), "rule default"),
        (&listed, "the identity has no e-mail address (rule default)"),
    ] {
        assert_eq!(text(&policy.decide(&facts("GET /x"), Judged::Own, who)), expected);
    }
}

/// A group is known by its provider: who is an administrator at one is nobody at the other.
#[test]
fn the_groups_of_a_provider_restrict_its_own_people_and_admit_nobody_elses() {
    let policy = Policy::compile(Config {
        email_domains: vec!["*".to_owned()],
        allowed_groups: vec!["admins".to_owned()],
        groups_by_provider: vec![
            ("main".to_owned(), vec!["admins".to_owned()]),
            ("partner".to_owned(), vec!["friends".to_owned()]),
            ("open".to_owned(), vec![]),
        ],
        ..config()
    })
    .unwrap();
    let (admin, friend, nobody) = (["admins"].as_slice(), ["friends"].as_slice(), [].as_slice());
    for (provider, groups, passes) in [
        (None, admin, true),
        (None, friend, false),
        (Some("main"), admin, true),
        (Some("main"), friend, false),
        (Some("partner"), admin, false),
        (Some("partner"), friend, true),
        (Some("partner"), nobody, false),
        (Some("open"), nobody, true),
        (Some("gone"), admin, false),
        (Some(""), admin, false),
    ] {
        let identity = identity("alice@example.com", groups);
        let who = Who { identity: &identity, provenance: Provenance::Provider, provider };
        let verdict = policy.decide(&facts("GET /x"), Judged::Own, Attempt::Accepted(who));
        assert_eq!(matches!(verdict, Verdict::Permit(_)), passes, "{provider:?} {groups:?}");
        assert_eq!(policy.check_at_login(&identity, provider).is_ok(), passes, "{provider:?} {groups:?}");
    }
}

#[test]
fn an_explanation_names_the_rule_that_decides() {
    let policy = Policy::compile(Config {
        preflight: Preflight::Open,
        skip_auth_regex: vec!["^/static/".to_owned()],
        skip_auth_routes: vec!["GET=^/public".to_owned(), "!=^/(private|public|static|x)".to_owned()],
        trusted_ips: vec!["10.1.0.0/16".to_owned()],
        ..config()
    })
    .unwrap();
    let who = identity("alice@example.com", &[]);
    let attempt = Attempt::Accepted(Who { identity: &who, provenance: Provenance::Provider, provider: None });
    for (request, expected) in [
        ("OPTIONS /x", "skip-auth-preflight: yes"),
        ("GET /static/a", "skip-auth-preflight: no: another method, skip-auth-regex[0]: yes"),
        (
            "GET /public/a",
            "skip-auth-preflight: no: another method, skip-auth-regex[0]: no: another path, skip-auth-route[0]: yes",
        ),
        (
            "POST /public/a",
            "skip-auth-preflight: no: another method, skip-auth-regex[0]: no: another path, \
             skip-auth-route[0]: no: another method, skip-auth-route[1]: no: another path, \
             trusted-ip[0]: no: another client address",
        ),
    ] {
        let facts = facts(request);
        let readings = policy.explain(&facts, Judged::Own);
        let [Reading { path: Some(_), rules }] = readings.as_slice() else { panic!("{readings:?}") };
        let told: Vec<String> = rules.iter().map(|(id, fit)| format!("{id}: {fit}")).collect();
        assert_eq!(told.join(", "), expected, "{request}");
        let found = rules.last().filter(|(_, fit)| *fit == RuleFit::Holds).map(|(id, _)| id);
        match policy.decide(&facts, Judged::Own, attempt) {
            Verdict::Permit(permit) => match permit.grounds() {
                Grounds::Preflight => assert_eq!(found.map(RuleId::as_str), Some("skip-auth-preflight")),
                Grounds::PublicRoute(id) => assert_eq!(found, Some(id)),
                Grounds::Rule(id) => assert_eq!((found, id), (None, policy.default_rule())),
                other => panic!("{other}"),
            },
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(policy.explain(&facts("GET /public/%2e%2e/x"), Judged::Own)[0].path, None);
    assert_eq!(policy.explain(&facts("GET /public/a;b"), Judged::Own).len(), 2);
}
