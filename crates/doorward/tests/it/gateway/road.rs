//! The road of a request on a route: what is believed, what goes on and what stays, what the log says.

use doorward_testkit::{Browser, Echo, Request, free_address};
use serde_json::json;

use super::{Gated, bearer};

const PUBLIC: &str = "authenticate: anonymous, authorize: {public: true}";

#[test]
fn what_a_client_is_known_by_stays_here_unless_the_route_passes_it_on() {
    let gated = Gated::new(&format!(
        "    sources: {{type: jwt, issuer: ISSUER, audiences: [api], identitySource: ['$$request.header.X-Api-Token', '$$request.querystring.jwt', '$$request.cookie.jwt']}}
  routes:
    - {{id: kept, match: {{path: /kept/}}, upstream: UPSTREAM, authenticate: [sources, jwt]}}
    - {{id: passed, match: {{path: /passed/}}, upstream: UPSTREAM, authenticate: jwt, credential: passthrough}}
    - {{id: open, match: {{path: /open/}}, upstream: UPSTREAM, {PUBLIC}}}
"
    ));
    let jwt = gated.jwt(&json!({"sub": "svc"}));
    let cookie = format!("a=1; jwt={jwt}; b=2");
    for request in [
        bearer(Request::get("/kept/x?a=%20+&b"), &jwt),
        Request::get("/kept/x?a=%20+&b").header("X-Api-Token", &jwt),
        Request::get(&format!("/kept/x?jwt={jwt}&a=%20+&b")),
        Request::get(&format!("/kept/x?a=%20+&%6Awt={jwt}&b")),
        Request::get("/kept/x?a=%20+&b").header("Cookie", &cookie),
    ] {
        let said = format!("{request:?}");
        assert_eq!(gated.ask(request).status, 200, "{said}: {}", gated.doorward.log());
        let seen = gated.echo.seen().pop().unwrap();
        assert_eq!(seen.target, "/kept/x?a=%20+&b", "{said}");
        assert!(!format!("{seen:?}").contains(&jwt), "{said}");
    }
    assert_eq!(gated.echo.seen().pop().unwrap().headers.first("cookie"), "a=1; b=2");
    let seen = gated.with_token("/passed/x", &jwt).echoed();
    assert_eq!(seen.all("authorization"), [format!("Bearer {jwt}")]);
    let request = Request::get("/open/x").basic("app", "own");
    assert!(!gated.ask(request).echoed().has("authorization"), "nobody in particular has no credential");
    let offer = "base64url.bearer.authorization.k8s.io.c2hhMjU2fnA5, chat";
    let seen = gated.ask(Request::get("/open/x").header("Sec-WebSocket-Protocol", offer)).echoed();
    assert_eq!(seen.all("sec-websocket-protocol"), ["chat"], "a token among the subprotocols is one, too");
    assert!(!gated.doorward.log().contains(&jwt));
}

#[test]
fn no_session_cookie_reaches_an_application_behind_a_route() {
    let gated =
        Gated::new("  routes: [{id: people, match: {path: /}, upstream: UPSTREAM, authenticate: session}]\n");
    let mut person = gated.doorward.browser().logged_in();
    let answer = person.send(Request::get("/x"));
    assert_eq!(answer.status, 200, "{}", gated.doorward.log());
    let seen = answer.echoed();
    assert!(!seen.has("cookie"), "{seen:?}");
    assert_eq!(seen.all("x-forwarded-email").len(), 1);
}

#[test]
fn people_are_led_to_the_login_and_programs_are_told() {
    let gated = Gated::new(
        "  routes:
    - {id: people, match: {path: /people/}, upstream: UPSTREAM, authenticate: [jwt, session], errorFormat: aws}
    - {id: programs, match: {path: /programs/}, upstream: UPSTREAM, authenticate: jwt}
    - {id: members, match: {path: /members/}, upstream: UPSTREAM, authenticate: session, authorize: {groups: {any: [nobody-is-in-it]}}}
",
    );
    let html = |path: &str| Request::get(path).header("Accept", "text/html");
    for path in ["/people/x", "/members/x"] {
        let page = gated.ask(html(path));
        assert!(page.status == 403 || page.status == 302, "{path}: {}", page.status);
        assert_eq!(page.header("www-authenticate"), "", "{path}");
    }
    assert_eq!(gated.ask(html("/programs/x")).status, 401);
    let answer = gated.ask(Request::get("/people/x"));
    assert_eq!((answer.status, answer.text().as_str()), (401, "{\"message\":\"Unauthorized\"}"));
    let bad = gated.ask(bearer(html("/people/x"), "no.token.here"));
    assert_eq!(bad.status, 401, "a bad credential is told as one");
    let mut person = gated.doorward.browser().logged_in();
    assert_eq!(person.send(html("/people/x")).status, 200);
    assert_eq!(person.send(html("/members/x")).status, 403, "signing in again would not help");
}

#[test]
fn two_credentials_in_one_place_and_acting_as_somebody_else_are_refused() {
    let gated = Gated::new(&format!(
        "  routes:
    - {{id: known, match: {{path: /known/}}, upstream: UPSTREAM, authenticate: jwt}}
    - {{id: open, match: {{path: /open/}}, upstream: UPSTREAM, {PUBLIC}}}
"
    ));
    let jwt = gated.jwt(&json!({"sub": "svc"}));
    let twice = bearer(bearer(Request::get("/known/x"), &jwt), &jwt);
    assert_eq!(gated.ask(twice).status, 400);
    for path in ["/known/x", "/open/x"] {
        for name in ["Impersonate-User", "impersonate_group", "Impersonate-Extra-Scopes"] {
            let request = bearer(Request::get(path), &jwt).header(name, "root");
            let request = if path == "/open/x" { Request::get(path).header(name, "root") } else { request };
            assert_eq!(gated.ask(request).status, 403, "{path} {name}");
        }
    }
    assert!(gated.echo.seen().is_empty());
}

#[test]
fn routes_go_before_the_upstreams_of_the_options() {
    let legacy = Echo::start();
    let gated = Gated::launch(
        &format!("  routes: [{{id: open, match: {{path: /open/}}, upstream: UPSTREAM, {PUBLIC}}}]\n"),
        |launch| launch.flag(&format!("--upstream={}", legacy.url())),
    );
    assert_eq!(gated.ask(Request::get("/open/x")).status, 200);
    assert_eq!((gated.echo.seen().len(), legacy.seen().len()), (1, 0));
    let mut person = gated.doorward.browser().logged_in();
    assert_eq!(person.get("/elsewhere").status, 200);
    assert_eq!((gated.echo.seen().len(), legacy.seen().len()), (1, 1));
    assert_eq!(gated.ask(Request::get("/elsewhere")).status, 401, "the rules of the options");
    assert_eq!(gated.ask(Request::get("/ping")).status, 200);
}

#[test]
fn an_application_that_is_down_is_told_in_the_form_of_the_route() {
    let gated = Gated::new(
        &"  routes:
    - {id: aws, match: {path: /aws/}, upstream: 'http://DOWN', authenticate: anonymous, authorize: {public: true}, errorFormat: aws}
    - {id: auto, match: {path: /auto/}, upstream: 'http://DOWN', authenticate: anonymous, authorize: {public: true}}
"
        .replace("DOWN", &free_address().to_string()),
    );
    let answer = gated.ask(Request::get("/aws/x"));
    assert_eq!((answer.status, answer.text().as_str()), (502, "{\"message\":\"Bad Gateway\"}"));
    let answer = gated.ask(Request::get("/auto/x").header("Accept", "text/html"));
    assert_eq!(answer.status, 502);
    assert!(answer.header("content-type").starts_with("text/html"));
    assert_eq!(gated.ask(Request::get("/auto/x")).json()["code"], 502);
}

#[test]
fn a_login_that_is_too_weak_or_too_old_is_asked_for_again() {
    let gated = Gated::new(
        "  routes:
    - {id: strong, match: {path: /strong/}, upstream: UPSTREAM, authenticate: [jwt, session], stepUp: {acr: [gold], maxAge: 5m}}
    - {id: any, match: {path: /any/}, upstream: UPSTREAM, authenticate: [jwt, session]}
",
    );
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs();
    for (claims, expected) in [
        (json!({"acr": "gold", "auth_time": now}), 200),
        (json!({"acr": "silver", "auth_time": now}), 401),
        (json!({"acr": "gold", "auth_time": now - 1000}), 401),
        (json!({"acr": "gold"}), 401),
    ] {
        let answer = gated.with_token("/strong/x", &gated.jwt(&claims));
        assert_eq!(answer.status, expected, "{claims}");
        if expected == 401 {
            let challenge = answer.header("www-authenticate");
            for part in
                ["error=\"insufficient_user_authentication\"", "acr_values=\"gold\"", "max_age=\"300\""]
            {
                assert!(challenge.contains(part), "{challenge}");
            }
        }
    }
    assert_eq!(gated.with_token("/any/x", &gated.jwt(&json!({}))).status, 200);
}

#[test]
fn people_are_led_to_the_login_that_a_route_asks_for() {
    let gated = Gated::new(
        "  routes:
    - {id: strong, match: {path: /strong/}, upstream: UPSTREAM, authenticate: session, stepUp: {acr: [gold, silver]}}
",
    );
    let page = |path: &str| Request::get(path).header("Accept", "text/html");
    let answer = gated.ask(page("/strong/x"));
    assert_eq!(answer.status, 302, "{}", gated.doorward.log());
    assert!(answer.location().contains("acr_values=gold+silver"), "{}", answer.location());
    gated.provider.set(|knobs| knobs.claim("acr", "silver"));
    let mut person = gated.doorward.browser().logged_in();
    assert_eq!(person.send(page("/strong/x")).status, 200, "{}", gated.doorward.log());
}

#[test]
fn a_refusal_has_one_line_and_a_request_names_its_route() {
    let metrics = free_address();
    let gated = Gated::launch(
        "  routes:
    - {id: orders, match: {path: /orders/}, upstream: UPSTREAM, authenticate: jwt, authorize: {scopes: {any: [orders:read]}}}
",
        |launch| launch.flag("--log-format=json").flag(&format!("--metrics-address={metrics}")),
    );
    let (good, poor) = (gated.jwt(&json!({"scope": "orders:read"})), gated.jwt(&json!({})));
    for (answer, status, outcome, reason) in [
        (gated.with_token("/orders/1", &good), 200, "permit", "signed_in"),
        (gated.with_token("/orders/2", &poor), 403, "deny", "scope_missing"),
        (gated.with_token("/orders/3", "a.b.c"), 401, "deny", "credential_refused"),
        (gated.ask(Request::get("/orders/4")), 401, "login", "no_session"),
    ] {
        assert_eq!(answer.status, status);
        let words = [
            "\"stream\":\"request\"".to_owned(),
            format!("\"outcome\":\"{outcome}\""),
            format!("\"reason\":\"{reason}\""),
            "\"rule\":\"orders\"".to_owned(),
        ];
        let is_it = |line: &str| words.iter().all(|word| line.contains(word.as_str()));
        doorward_testkit::eventually("the line of the request", || gated.doorward.log().lines().any(is_it));
        let log = gated.doorward.log();
        let told = log.lines().filter(|line| words[1..].iter().all(|word| line.contains(word.as_str())));
        let others = told.filter(|line| !line.contains("\"stream\":\"request\"")).count();
        assert_eq!(others, usize::from(outcome != "permit"), "{log}");
    }
    let shown = Browser::new(metrics).get("/metrics").text();
    for (code, count) in [(200, 1), (401, 2), (403, 1)] {
        let line = format!("doorward_gateway_requests_total{{code=\"{code}\",route=\"orders\"}} {count}");
        assert!(shown.contains(&line), "{line}: {shown}");
    }
}

#[test]
fn b15_nobody_tells_the_application_another_method_host_or_way() {
    let gated = Gated::new(&format!(
        "  routes:
    - {{id: open, match: {{path: /open/, methods: [GET]}}, upstream: UPSTREAM, {PUBLIC}}}
    - {{id: host, match: {{hosts: [inside.test], path: /}}, upstream: UPSTREAM, authenticate: jwt}}
"
    ));
    let told = [
        "X-HTTP-Method-Override",
        "X_HTTP_Method_Override",
        "X-HTTP-Method",
        "X-Method-Override",
        "Forwarded",
        "X-Forwarded-Host",
        "X-Forwarded-Proto",
        "X-Forwarded-Prefix",
        "X-Forwarded-Uri",
        "X-Forwarded-Method",
        "X-Original-URL",
        "X-Original-Method",
        "X-Rewrite-URL",
        "X-Host",
        "X_Forwarded_Host",
        "X-Real-IP",
        "X-Forwarded-Client-Cert",
        "Client-Cert",
        "X-SSL-Client-Verify",
        "X_Client_Cert",
        "Remote-User",
        "X-Amzn-Oidc-Data",
        "X_WebAuth_User",
    ];
    let request = told.iter().fold(Request::get("/open/x"), |all, name| all.header(name, "evil"));
    let seen = gated.ask(request).echoed();
    assert!(!format!("{seen:?}").contains("evil"), "{seen:?}");
    assert_eq!(gated.ask(Request::get("/open/x").header("X-Beta", "1")).echoed().all("x-beta"), ["1"]);
    // The host that is judged is the one that the application sees.
    let raw = |target: &str, host: &str| {
        gated
            .doorward
            .browser()
            .raw(format!("GET {target} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n").as_bytes())
    };
    assert!(raw("http://app.test/open/x", "inside.test").starts_with("HTTP/1.1 200"));
    assert_eq!(gated.echo.seen().pop().unwrap().headers.all("host"), ["app.test"]);
    assert!(raw("http://inside.test/x", "app.test").starts_with("HTTP/1.1 401"));
}

#[test]
fn b34_a_method_in_small_letters_is_refused() {
    let gated = Gated::new(&format!(
        "  routes:
    - {{id: delete, match: {{path: /, methods: [DELETE]}}, upstream: UPSTREAM, authenticate: jwt}}
    - {{id: rest, match: {{path: /}}, upstream: UPSTREAM, {PUBLIC}}}
"
    ));
    for (method, status) in [("GET", 200), ("DELETE", 401), ("delete", 400), ("Delete", 400), ("PURGE", 200)]
    {
        assert_eq!(gated.ask(Request::new(method, "/x")).status, status, "{method}");
    }
}
