//! `doorward explain` says what the server does, and by which rule.

use doorward_testkit::{Browser, Doorward, Echo, Exit, Launch, Request, until};
use serde_json::{Value, json};

use crate::{
    gateway::Gated,
    support::{PROGRAM, Stage},
};

/// Explains a GET of this path at the server's own address.
#[track_caller]
fn explained(doorward: &Doorward, target: &str, words: &[&str]) -> Exit {
    let url = format!("--url=http://{}{target}", doorward.address);
    let mut all = vec!["explain", &url, "--client-ip=127.0.0.1"];
    all.extend_from_slice(words);
    doorward.command(&all)
}

/// The rule that the line of the request names in the log.
fn logged_rule(doorward: &Doorward, target: &str) -> Option<String> {
    let line = until("the request is logged", || {
        let log = doorward.log();
        let lines = log.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
        lines.into_iter().find(|line| line["uri"] == target)
    });
    line["rule"].as_str().map(ToOwned::to_owned)
}

#[test]
fn an_explanation_says_what_the_server_does() {
    let stage = Stage::new(&[
        "--log-format=json",
        "--skip-auth-regex=^/static/",
        "--skip-auth-route=GET=^/open",
        "--trusted-ip=127.0.0.9",
    ]);
    let doorward = &stage.doorward;
    let mut jane = stage.logged_in();
    let known = ["--as=jane", "--email=jane@example.com"];
    let mut nobody = stage.browser();
    let rows: [(&mut Browser, &str, &[&str], Option<i32>); 7] = [
        (&mut jane, "/a", &known, Some(0)),
        (&mut nobody, "/b", &[], Some(3)),
        (&mut stage.browser(), "/open", &[], Some(0)),
        (&mut stage.browser(), "/open/%2561;x", &[], Some(0)),
        (&mut stage.browser(), "/open/..%2fa", &[], Some(3)),
        (&mut stage.browser(), "/static/a?b=1", &[], Some(0)),
        (&mut stage.doorward.browser_from("127.0.0.9"), "/c", &["--client-ip=127.0.0.9"], Some(0)),
    ];
    for (browser, target, words, code) in rows {
        let told = explained(doorward, target, words);
        assert_eq!(told.code, code, "{}", told.output);
        let status = browser.get(target).status;
        assert_eq!(status == 200, code == Some(0), "{target}: {status}, but {}", told.output);
        if let Some(rule) = logged_rule(doorward, target) {
            let decision = told.output.lines().last().unwrap_or_default().to_owned();
            assert!(decision.contains(&rule), "{target}: {rule}, but {decision}");
        }
    }
    for (target, words, code, says) in [
        ("/a?allowed_groups=ops", &known[..], Some(3), "(rule allowed_groups)"),
        ("//a", &[], Some(0), "sent to the path that it means: /a"),
        ("/open/%2e%2e/a", &[], Some(3), "400 Bad Request"),
        ("/oauth2/sign_in", &[], Some(0), "an address of doorward's own"),
        ("/oauth2/auth", &known, Some(0), "rule default is fulfilled"),
        ("/a", &["--group=dev"], Some(1), "--as=USER"),
        ("/a", &["stray"], Some(1), "doorward explain --url=URL"),
    ] {
        let told = explained(doorward, target, words);
        assert_eq!(told.code, code, "{target}: {}", told.output);
        assert!(told.output.contains(says), "{target}: {}", told.output);
    }
}

#[test]
fn an_explanation_needs_neither_the_records_nor_the_provider() {
    let echo = Echo::start();
    let launch = Launch::bare(PROGRAM).flag(&format!("--upstream={}", echo.url()));
    let text = format!("authServer:\n  store: {{path: {}/auth.db}}\n", launch.folder());
    let launch = launch.private_file("doorward.yaml", &text).flag("--doorward-config={file:doorward.yaml}");
    let doorward = launch.start();
    // The server that runs has the file of records to itself.
    let told = explained(&doorward, "/x", &["--as=alice"]);
    assert_eq!(told.code, Some(0), "{}", told.output);
    let told = explained(&doorward, "/oauth/token", &[]);
    assert!(told.output.contains("the built-in OAuth server answers it"), "{}", told.output);
    assert_eq!(doorward.browser().send(Request::get("/x").header("Accept", "application/json")).status, 401);
    let told = explained(&doorward, "/x", &[]);
    assert_eq!(told.code, Some(3), "{}", told.output);
}

/// Below `gateway`, with an authenticator `jwt` and one `opaque`.
const ROUTES: &str = "
  routes:
    - {id: health, match: {path: /health}, upstream: UPSTREAM, authenticate: [anonymous], authorize: {public: true}}
    - id: orders
      match: {path: '/orders/{id}', methods: [GET]}
      upstream: [{when: {groups: {any: [ops]}}, url: 'UPSTREAM'}, {url: 'UPSTREAM'}]
      authenticate: [opaque, jwt]
      authorize: {all: [{scopes: {any: ['orders:read']}}, {not: {users: [mallory]}}]}
      credential: {use: none}
    - {id: admin, match: {path: /admin/}, upstream: UPSTREAM, authenticate: [jwt], authorize: {groups: {any: [admins]}}, stepUp: {acr: [mfa]}}
";

#[test]
fn a_decision_of_a_route_is_explained_to_its_end() {
    let gated = Gated::launch(ROUTES, |launch| launch.flag("--log-format=json"));
    let doorward = &gated.doorward;
    let alice = |more: &[&'static str]| [&["--as=alice", "--scope=orders:read"][..], more].concat();
    let eve = |more: &[&'static str]| [&["--as=eve", "--group=admins"][..], more].concat();
    let rows: [(&str, Vec<&str>, i32, &[&str]); 10] = [
        ("/health", vec![], 0, &["route       health: yes", "permit: anonymous, which rule health allows"]),
        (
            "/orders/7",
            vec![],
            3,
            &["health: no: another path", "a credential is needed, and none came (route orders)"],
        ),
        (
            "/orders/7",
            alice(&[]),
            0,
            &[
                "route         id is \"7\"",
                "asked       opaque, jwt (in this order)",
                "known       alice by opaque",
                "authorize   all: yes",
                "authorize     scopes: any of orders:read: yes",
                "authorize     not: yes",
                "authorize       users: mallory: no: the user is not among those named",
                "authorize   upstream 0: no: the user is in none of the right groups",
                "authorize   upstream 1: yes",
                "(upstream 1)",
                "credential  none",
                "decision    permit: known, and route orders is fulfilled",
            ],
        ),
        ("/orders/7", alice(&["--authenticator=jwt", "--group=ops"]), 0, &["alice by jwt", "(upstream 0)"]),
        ("/orders/7", alice(&["--authenticator=session"]), 3, &["session is not asked here (route orders)"]),
        ("/orders/7", vec!["--as=bob"], 3, &["missing scopes orders:read", "(route orders)"]),
        (
            "/orders/7",
            alice(&["--method=POST"]),
            3,
            &["orders: no: another method", "404: no route is about it"],
        ),
        ("/orders/a%2fb", alice(&[]), 3, &["400: programs read the path in different ways"]),
        ("/admin/x", eve(&[]), 3, &["a stronger or fresher login is needed", "(route admin)"]),
        (
            "/admin/x",
            eve(&["--claim=acr=mfa"]),
            0,
            &["signed in with acr mfa: yes", "route admin is fulfilled"],
        ),
    ];
    for (target, words, code, says) in rows {
        let told = explained(doorward, target, &words);
        for says in says {
            assert!(told.output.contains(says), "{target} {words:?}: no {says:?} in\n{}", told.output);
        }
        assert_eq!(told.code, Some(code), "{target} {words:?}: {}", told.output);
    }
    let token = gated.jwt(&json!({"scope": "orders:read"}));
    assert_eq!(gated.with_token("/orders/7?a", &token).status, 200);
    assert_eq!(logged_rule(doorward, "/orders/7?a").as_deref(), Some("orders"));
    let token = gated.jwt(&json!({"scope": "other"}));
    assert_eq!(gated.with_token("/orders/7?b", &token).status, 403);
    assert_eq!(logged_rule(doorward, "/orders/7?b").as_deref(), Some("orders"));
}
