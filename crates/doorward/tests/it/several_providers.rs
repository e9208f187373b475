//! Several identity providers on one instance: nobody's login, session, code, token or group ever counts as another's. The
//! configuration is that of docs/several-providers.md.

use doorward_testkit::{
    Answer, Browser, Doorward, Echo, Endpoint, Fault, Launch, Provider, Redis, Request, SetCookie,
    page::{block, fill},
};
use serde_json::{Value, json};

use crate::{
    logouts::logout_token,
    refresh::{SHORT, wait_until_due},
    support::{BOB, PROGRAM, SESSION, brings_session, encoded},
};

struct Several {
    // Dropped first: it looks for the provider's secrets in its log.
    doorward: Doorward,
    staff: Provider,
    partner: Provider,
    echo: Echo,
}

/// The configuration of the page, with providers that are there.
fn yaml((staff, partner): (&Provider, &Provider), echo: &Echo, launch: &Launch) -> String {
    let text = block("several-providers.md", "block: providers");
    fill(
        &text,
        &[
            ("clientID: doorward\n", &format!("clientID: {}\n", Provider::CLIENT_ID)),
            ("clientID: app-of-example\n", &format!("clientID: {}\n", Provider::CLIENT_ID)),
            ("/etc/doorward", &launch.folder()),
            ("0.0.0.0:4180", &launch.address.to_string()),
            ("https://id.example.com/realms/staff", &staff.issuer()),
            ("https://login.partner.example", &partner.issuer()),
            ("http://127.0.0.1:8080", &echo.url()),
        ],
    )
}

/// Nothing of the usual flags that the file says.
fn launch(staff: &Provider, echo: &Echo) -> Launch {
    let said = [
        "http-address",
        "provider",
        "oidc-issuer-url",
        "client-id",
        "client-secret",
        "upstream",
        "email-domain",
    ];
    let launch = Launch::new(PROGRAM, staff, echo);
    let launch = said.into_iter().fold(launch, Launch::without);
    let launch = launch.private_file("staff-secret", Provider::CLIENT_SECRET);
    launch.private_file("partner-secret", Provider::CLIENT_SECRET)
}

impl Several {
    fn new(flags: &[&str]) -> Self {
        Self::launch(|launch| launch.flags(flags.iter().copied()), |yaml| yaml)
    }

    fn launch(change: impl FnOnce(Launch) -> Launch, edit: impl FnOnce(String) -> String) -> Self {
        let (staff, partner, echo) = (Provider::start(), Provider::start(), Echo::start());
        staff.set(|knobs| knobs.claim("groups", json!(["employees"])));
        partner.set(|knobs| {
            knobs.claim("groups", json!(["example-project"]));
            knobs.claim("sub", "sub-of-partner");
            knobs.claim("email", "paul@partner.example");
        });
        let launch = change(launch(&staff, &echo));
        let yaml = edit(yaml((&staff, &partner), &echo, &launch));
        let launch = launch.file("doorward.yaml", &yaml).flag("--doorward-config={file:doorward.yaml}");
        let doorward = launch.start();
        Self { doorward, staff, partner, echo }
    }

    fn browser(&self) -> Browser {
        self.doorward.browser()
    }

    /// The answer of the callback to a login at one of them.
    #[track_caller]
    fn login(&self, id: &str) -> (Browser, Answer) {
        let mut browser = self.browser();
        let start = browser.get(&format!("/oauth2/start?provider={id}&rd=/"));
        assert_eq!(start.status, 302, "{}", start.text());
        let callback = browser.authorize(start.location());
        let answer = browser.get(&callback);
        (browser, answer)
    }

    #[track_caller]
    fn logged_in(&self, id: &str) -> Browser {
        let (browser, answer) = self.login(id);
        assert_eq!(answer.status, 302, "{}\n{}", answer.text(), self.doorward.log());
        browser
    }

    /// The same configuration without one of the providers.
    fn without_partner(&self) -> String {
        let yaml = self.doorward.read("doorward.yaml");
        let (before, rest) = yaml.split_once("  - id: partner\n").unwrap();
        let (_, after) = rest.split_once("gateway:\n").unwrap();
        format!("{before}gateway:\n{after}")
    }
}

fn is_in(browser: &Browser) -> bool {
    match browser.clone().get("/oauth2/auth").status {
        202 => true,
        401 => false,
        status => panic!("{status}"),
    }
}

fn user_info(browser: &Browser) -> Value {
    browser.clone().get("/oauth2/userinfo").json()
}

/// What somebody sees who goes to a page.
fn visit(browser: &Browser, target: &str) -> Answer {
    browser.clone().send(Request::get(target).header("Accept", "text/html"))
}

/// The ids of the providers that a page offers, in order.
fn offered(answer: &Answer) -> Vec<String> {
    let text = answer.text();
    let fields = text.split("name=\"provider\" value=\"").skip(1);
    fields.map(|rest| rest.split('"').next().unwrap().to_owned()).collect()
}

#[test]
fn people_choose_where_they_sign_in() {
    let several = Several::new(&[]);
    let mut browser = several.browser();
    for (target, status) in [("/", 403), ("/oauth2/sign_in", 200), ("/oauth2/start?rd=/x", 200)] {
        let page = browser.get(target);
        assert_eq!(
            (page.status, offered(&page)),
            (status, vec!["staff".into(), "partner".into()]),
            "{target}"
        );
        assert!(page.text().contains("Sign in with Partner Inc."), "{}", page.text());
    }
    assert!(browser.get("/oauth2/start?rd=/x").text().contains("name=\"rd\" value=\"/x\""));
    for (id, provider) in [("staff", &several.staff), ("partner", &several.partner)] {
        let start = browser.get(&format!("/oauth2/start?provider={id}&rd=/x"));
        assert!(start.location().starts_with(&format!("{}/authorize?", provider.issuer())), "{id}");
        let callback = browser.authorize(start.location());
        let answer = browser.get(&callback);
        assert_eq!((answer.status, answer.location()), (302, "/x"), "{}", answer.text());
    }
    assert_eq!(user_info(&browser)["email"], "paul@partner.example", "the later login counts");
    several.partner.set(|knobs| knobs.claim("provider_id", "staff"));
    for (id, user) in [("staff", "sub-1"), ("partner", "sub-of-partner")] {
        let mut browser = several.logged_in(id);
        // Also where somebody says so themselves, or a provider does.
        let forged = Request::get("/page").header("X-Forwarded-Provider", "staff");
        let told = browser.send(forged).echoed();
        let told = [told.all("x-forwarded-provider"), told.all("x-forwarded-user")];
        assert_eq!(told, [[id], [user]]);
    }
    for id in ["gone", "Staff", "staff%00", "https://evil.example"] {
        let answer = browser.get(&format!("/oauth2/start?provider={id}&rd=/x"));
        assert_eq!((answer.status, answer.location()), (404, ""), "{id}: nobody is sent elsewhere");
        assert!(answer.set_cookies().is_empty(), "{id}");
    }
    let log = several.doorward.log();
    assert!(log.contains("People choose among 2 providers: staff, partner."), "{log}");
}

#[test]
fn there_is_nothing_to_skip_to_unless_a_request_or_route_names_one_provider() {
    let several = Several::new(&["--skip-provider-button"]);
    let mut browser = several.browser();
    for target in ["/", "/oauth2/sign_in", "/oauth2/start"] {
        assert_eq!(offered(&browser.get(target)), ["staff", "partner"], "{target}");
    }
    for (target, provider) in
        [("/oauth2/sign_in?provider=partner", &several.partner), ("/admin/", &several.staff)]
    {
        let answer = visit(&browser, target);
        assert_eq!(answer.status, 302, "{target}");
        assert!(answer.location().starts_with(&provider.issuer()), "{target}: {}", answer.location());
    }
    assert_eq!(browser.get("/oauth2/sign_in?provider=gone").status, 404);
}

#[test]
fn a_code_of_one_provider_is_shown_to_no_other() {
    let several = Several::new(&[]);
    let (staff, partner) = (&several.staff, &several.partner);
    for (own, other, id) in [(staff, partner, "staff"), (partner, staff, "partner")] {
        let mut browser = several.browser();
        let start = browser.get(&format!("/oauth2/start?provider={id}"));
        // The browser is led to the other provider, with everything of the attempt at this one.
        let elsewhere = start.location().replace(&own.issuer(), &other.issuer());
        let callback = browser.authorize(&elsewhere);
        let before = (own.count(Endpoint::Token), other.count(Endpoint::Token));
        let named = format!("{callback}&iss={}", encoded(&other.issuer()));
        let answer = browser.clone().get(&named);
        assert_eq!((answer.status, brings_session(&answer)), (403, false), "{id}");
        assert_eq!(
            (own.count(Endpoint::Token), other.count(Endpoint::Token)),
            before,
            "{id}: nobody sees it"
        );
        // A provider that does not say who it is: the code is worth nothing where the login began.
        let answer = browser.clone().get(&callback);
        assert_eq!((answer.status, brings_session(&answer)), (500, false), "{id}");
        assert_eq!(other.count(Endpoint::Token), before.1, "{id}");
        // And the answer of the right one counts.
        let callback = browser.authorize(start.location());
        let answer = browser.get(&format!("{callback}&iss={}", encoded(&own.issuer())));
        assert_eq!((answer.status, brings_session(&answer)), (302, true), "{id}: {}", answer.text());
    }
}

#[test]
fn an_error_of_another_issuer_is_refused_and_a_late_login_begins_anew_at_its_own_provider() {
    let several = Several::new(&[]);
    let mut browser = several.browser();
    let start = browser.get("/oauth2/start?provider=partner&rd=/x");
    let state = encoded(&start.location_parameter("state").unwrap());
    let wrong = encoded(&several.staff.issuer());
    let answer = browser.get(&format!("/oauth2/callback?error=access_denied&state={state}&iss={wrong}"));
    assert_eq!(answer.status, 403);
    assert!(!answer.text().contains("access_denied"), "{}", answer.text());
    let late = "error=temporarily_unavailable&error_description=authentication_expired";
    let answer = browser.get(&format!("/oauth2/callback?{late}&state={state}"));
    assert_eq!(answer.location(), "/oauth2/start?restarted=true&rd=%2Fx&provider=partner");
    // Of whom nobody knows where it began, people choose.
    let answer = several.browser().get(&format!("/oauth2/callback?code=x&state={state}"));
    assert_eq!(
        (answer.status, answer.header("refresh")),
        (403, "0; url=/oauth2/start?restarted=true&rd=%2Fx")
    );
}

#[test]
fn groups_of_a_provider_admit_its_own_people_alone() {
    let several = Several::new(&[SHORT, "--skip-jwt-bearer-tokens"]);
    let groups = |provider: &Provider, name: &str| provider.set(|knobs| knobs.claim("groups", json!([name])));
    let bearer = |provider: &Provider| {
        let header = format!("Bearer {}", provider.id_token());
        several.browser().send(Request::get("/oauth2/auth").header("Authorization", &header)).status
    };
    for (id, provider, own, foreign) in [
        ("staff", &several.staff, "employees", "example-project"),
        ("partner", &several.partner, "example-project", "employees"),
    ] {
        assert_eq!(bearer(provider), 202, "{id}");
        let mut inside = several.logged_in(id);
        groups(provider, foreign);
        let (_, answer) = several.login(id);
        assert_eq!((answer.status, brings_session(&answer)), (403, false), "{id}");
        assert_ne!(bearer(provider), 202, "{id}");
        // What a refresh brings is judged alike.
        wait_until_due();
        assert_eq!(inside.get("/page").status, 403, "{id}");
        groups(provider, own);
    }
}

#[test]
fn a_session_is_refreshed_and_ended_at_its_own_provider() {
    let several = Several::new(&[SHORT, "--provider-logout", "--revoke-tokens"]);
    let (staff, partner) = (&several.staff, &several.partner);
    for (id, own, other) in [("staff", staff, partner), ("partner", partner, staff)] {
        let mut browser = several.logged_in(id);
        let before = other.count(Endpoint::Refresh);
        wait_until_due();
        assert_eq!(browser.get("/page").status, 200, "{id}");
        assert_eq!((own.count(Endpoint::Refresh), other.count(Endpoint::Refresh)), (1, before), "{id}");
        wait_until_due();
        assert_eq!(browser.get("/page").status, 200, "{id}: it knows its provider after a refresh as well");
        assert_eq!((own.count(Endpoint::Refresh), other.count(Endpoint::Refresh)), (2, before), "{id}");
        let answer = browser.get("/oauth2/sign_out");
        assert!(answer.location().starts_with(&format!("{}/logout?", own.issuer())), "{}", answer.location());
        assert!(!is_in(&browser), "{id}");
    }
}

#[test]
fn a_provider_in_trouble_is_no_trouble_of_the_others() {
    let several = Several::new(&[SHORT]);
    let (mut at_staff, mut at_partner) = (several.logged_in("staff"), several.logged_in("partner"));
    several.partner.fail(Endpoint::Refresh, Fault::Json(r#"{"error": "invalid_grant"}"#));
    several.partner.fail(Endpoint::Token, Fault::Status(503, "down"));
    wait_until_due();
    assert_eq!(at_staff.get("/page").status, 200);
    assert_eq!(several.login("partner").1.status, 500);
    let _ = several.logged_in("staff");
    several.partner.fail(Endpoint::Refresh, Fault::Status(400, r#"{"error": "invalid_grant"}"#));
    assert_eq!(at_partner.get("/page").status, 403, "its own session is over");
    assert_eq!(at_staff.get("/page").status, 200);
}

#[test]
fn a_logout_token_ends_sessions_of_its_own_provider() {
    let redis = Redis::start(&[]);
    for form in [&[][..], &redis.flags()] {
        let flags: Vec<&str> = form.iter().map(String::as_str).chain(["--backchannel-logout"]).collect();
        let several = Several::new(&flags);
        for provider in [&several.staff, &several.partner] {
            provider.set(|knobs| {
                knobs.claim("sub", "alice");
                knobs.claim("sid", "s1");
            });
        }
        let (at_staff, at_partner) = (several.logged_in("staff"), several.logged_in("partner"));
        let post = |token: &str| {
            several
                .browser()
                .send(Request::form("/oauth2/backchannel_logout", &[("logout_token", token)]))
                .status
        };
        for claims in [json!({"sub": "alice"}), json!({"sid": "s1"})] {
            assert_eq!(post(&logout_token(&several.partner, claims.clone())), 200);
            assert_eq!((is_in(&at_staff), is_in(&at_partner)), (true, false), "{form:?} {claims}");
        }
        let token = logout_token(&several.staff, json!({"sub": "alice"}));
        assert_eq!((post(&token), post(&token)), (200, 400), "and once");
        assert!(!is_in(&at_staff), "{form:?}");
        assert_eq!(post(&logout_token(&several.staff, json!({"sub": "alice", "iss": "https://x"}))), 400);
    }
}

#[test]
fn a_frame_of_one_provider_ends_no_session_of_another() {
    let several = Several::new(&["--frontchannel-logout"]);
    for provider in [&several.staff, &several.partner] {
        provider.set(|knobs| knobs.claim("sid", "s1"));
    }
    for (id, own, other) in
        [("staff", &several.staff, &several.partner), ("partner", &several.partner, &several.staff)]
    {
        let browser = several.logged_in(id);
        let frame = |issuer: &str| {
            let target = format!("/oauth2/frontchannel_logout?iss={}&sid=s1", encoded(issuer));
            browser.clone().get(&target)
        };
        let ends = |answer: &Answer| answer.set_cookies().iter().any(SetCookie::is_deletion);
        let answer = frame(&other.issuer());
        assert_eq!((answer.status, ends(&answer), is_in(&browser)), (200, false, true), "{id}");
        let answer = frame("https://evil.example");
        assert_eq!((answer.status, ends(&answer)), (400, false), "{id}");
        assert!(answer.header("content-security-policy").ends_with("frame-ancestors 'none'"), "{id}");
        let answer = frame(&own.issuer());
        assert_eq!((answer.status, ends(&answer)), (200, true), "{id}");
        let policy = format!("frame-ancestors {}", own.issuer());
        assert!(answer.header("content-security-policy").ends_with(&policy), "{id}");
    }
}

#[test]
fn a_reload_waits_for_a_provider_that_answered_before_and_not_for_a_new_one() {
    let several = Several::new(&[]);
    let text = several.doorward.read("doorward.yaml");
    let gone = Provider::start().issuer();
    several.doorward.rewrite("doorward.yaml", &text.replace(&several.partner.issuer(), &gone));
    several.doorward.wait_for_log("Configuration not reloaded");
    let log = several.doorward.log();
    assert!(log.contains("the provider does not answer, and the old one does"), "{log}");
    let _ = several.logged_in("partner");
    // One more.
    let third = format!(
        "  - {{id: third, provider: oidc, clientID: x, clientSecret: y, oidcConfig: {{issuerURL: '{gone}'}}}}\ngateway:\n"
    );
    several.doorward.reload_with("doorward.yaml", &text.replace("gateway:\n", &third));
    let page = several.browser().get("/oauth2/start");
    assert_eq!(offered(&page), ["staff", "partner", "third"]);
    assert_eq!(several.browser().get("/oauth2/start?provider=third").status, 503);
    let _ = several.logged_in("partner");
}

#[test]
fn a_session_of_a_provider_that_is_gone_is_nobodys() {
    let several = Several::new(&[]);
    let (at_staff, at_partner) = (several.logged_in("staff"), several.logged_in("partner"));
    let mut under_way = several.browser();
    let start = under_way.get("/oauth2/start?provider=partner");
    let callback = under_way.authorize(start.location());
    let both = several.doorward.read("doorward.yaml");
    several.doorward.reload_with("doorward.yaml", &several.without_partner());
    assert_eq!((is_in(&at_staff), is_in(&at_partner)), (true, false));
    let (tokens, refreshed) = (several.staff.count(Endpoint::Token), several.staff.count(Endpoint::Refresh));
    let answer = under_way.get(&callback);
    assert_eq!((answer.status, brings_session(&answer)), (403, false), "the code is for nobody else");
    assert_eq!(several.staff.count(Endpoint::Token), tokens);
    assert_eq!(several.staff.count(Endpoint::Refresh), refreshed);
    // With one provider left, everything is as if there had never been another.
    let start = several.browser().get("/oauth2/start?provider=partner");
    assert!(start.location().starts_with(&several.staff.issuer()));
    several.doorward.reload_with("doorward.yaml", &both);
    assert!(is_in(&at_staff));
    // Whoever takes the id over does not get the sessions of whoever had it: they are refused by the issuer's own checks,
    // and an id that nobody has is nobody's, also where the list is in another order.
    let swapped = both.replace("id: staff", "id: first").replace("providers: [staff]", "providers: [first]");
    several.doorward.reload_with("doorward.yaml", &swapped);
    assert!(!is_in(&at_staff), "it is not the first provider's because of its place");
}

#[test]
fn sessions_of_one_provider_are_the_firsts_and_sessions_of_several_are_no_single_ones() {
    let several = Several::new(&[]);
    // The same cookie secret, and the provider by flags: what oauth2-proxy and older versions know.
    let single = Launch::new(PROGRAM, &several.staff, &several.echo).start();
    let from_before = single.browser().logged_in();
    let mut here = several.browser();
    here.cookies.clone_from(&from_before.cookies);
    assert_eq!((is_in(&here), user_info(&here)["email"].as_str()), (true, Some("jane@example.com")));
    assert_eq!(here.get("/admin/x").status, 200, "it is of the first provider");
    for id in ["staff", "partner"] {
        let mut there = single.browser();
        there.cookies.clone_from(&several.logged_in(id).cookies);
        assert!(there.cookies.contains_key(SESSION));
        assert!(!is_in(&there), "{id}");
    }
}

#[test]
fn a_route_takes_sessions_of_its_providers() {
    let several = Several::new(&[]);
    let (mut at_staff, mut at_partner) = (several.logged_in("staff"), several.logged_in("partner"));
    assert_eq!(at_staff.get("/admin/x").status, 200);
    for browser in [at_partner.clone(), several.browser()] {
        let page = visit(&browser, "/admin/x");
        assert_eq!((page.status, offered(&page)), (403, vec!["staff".to_owned()]), "{}", page.text());
    }
    let program = |browser: &Browser| {
        browser.clone().send(Request::get("/admin/x").header("Accept", "application/json")).status
    };
    assert_eq!((program(&at_partner), program(&several.browser()), program(&at_staff)), (403, 401, 200));
    assert_eq!(at_partner.get("/page").status, 200, "its session is good elsewhere");
    let log = several.doorward.log();
    assert!(log.contains("other_provider"), "{log}");
    // Also where a proxy sends people to the sign-in page.
    assert_eq!(offered(&several.browser().get("/oauth2/sign_in?rd=/admin/x")), ["staff"]);
    assert_eq!(offered(&several.browser().get("/oauth2/start?rd=/admin/x")), ["staff"]);
    assert_eq!(offered(&several.browser().get("/oauth2/start?rd=/page")), ["staff", "partner"]);
    // Somebody who then signs in there comes in.
    let start = at_partner.get("/oauth2/start?provider=staff&rd=/admin/x");
    let callback = at_partner.authorize(start.location());
    assert_eq!(at_partner.get(&callback).location(), "/admin/x");
    assert_eq!(at_partner.get("/admin/x").status, 200);
}

#[test]
fn the_provider_that_somebody_chose_hears_what_the_page_asks_for() {
    let route = "    - {id: strong, match: {path: /strong/}, upstream: UPSTREAM, authenticate: session, stepUp: {acr: [gold]}}\n";
    let several = Several::launch(
        |launch| launch,
        |yaml| {
            let upstream = yaml.split("upstream: ").nth(1).unwrap().split('\n').next().unwrap().to_owned();
            yaml.replace("  routes:\n", &format!("  routes:\n{}", route.replace("UPSTREAM", &upstream)))
        },
    );
    several.partner.set(|knobs| knobs.claim("acr", "gold"));
    let mut browser = several.browser();
    assert_eq!(offered(&visit(&browser, "/strong/x")), ["staff", "partner"]);
    let start = browser.get("/oauth2/start?provider=partner&rd=/strong/x");
    assert_eq!(start.location_parameter("acr_values").as_deref(), Some("gold"));
    let callback = browser.authorize(start.location());
    assert_eq!(browser.get(&callback).location(), "/strong/x");
    assert_eq!(visit(&browser, "/strong/x").status, 200);
    let start = several.browser().get("/oauth2/start?provider=partner&rd=/page");
    assert_eq!(start.location_parameter("acr_values"), None);
}

#[test]
fn passwords_are_of_no_provider() {
    let several = Several::launch(
        |launch| {
            launch
                .file("users", BOB)
                .flag("--htpasswd-file={file:users}")
                .flag("--htpasswd-user-group=employees")
        },
        |yaml| yaml,
    );
    let mut browser = several.browser();
    let form = [("username", "bob"), ("password", "builder"), ("rd", "/")];
    assert_eq!(browser.send(Request::form("/oauth2/sign_in", &form)).status, 302);
    assert_eq!((browser.get("/page").status, browser.get("/admin/x").status), (200, 403));
}

#[test]
fn a_question_of_a_proxy_may_name_providers() {
    let several = Several::launch(
        |launch| {
            let launch = launch
                .file("users", BOB)
                .flag("--htpasswd-file={file:users}")
                .flag("--skip-jwt-bearer-tokens");
            launch.flag("--htpasswd-user-group=employees")
        },
        |yaml| yaml,
    );
    let (mut at_staff, at_partner) = (several.logged_in("staff"), several.logged_in("partner"));
    for (names, staff, partner) in [("staff", 202, 403), ("x,partner", 403, 202), ("gone", 403, 403)] {
        let target = format!("/oauth2/auth?allowed_providers={names}");
        let ask = |browser: &Browser| browser.clone().get(&target).status;
        assert_eq!((ask(&at_staff), ask(&at_partner)), (staff, partner), "{names}");
        let token = format!("Bearer {}", several.partner.id_token());
        let request = Request::get(&target).header("Authorization", &token);
        assert_eq!(several.browser().send(request).status, partner, "{names}");
        let request = Request::get(&target).basic("bob", "builder");
        assert_eq!(several.browser().send(request).status, 403, "{names}: a password is of none");
    }
    assert_eq!(at_staff.get("/page?allowed_providers=partner").status, 200, "it may be the application's");
}

#[test]
fn a_question_of_a_proxy_hears_401_where_another_provider_counts() {
    let several = Several::new(&["--reverse-proxy"]);
    let ask = |browser: &Browser| {
        let question = Request::get("/oauth2/auth").header("X-Forwarded-Uri", "/admin/x");
        browser.clone().send(question).status
    };
    assert_eq!((ask(&several.logged_in("staff")), ask(&several.logged_in("partner"))), (202, 401));
}

#[test]
fn administrators_are_of_the_first_provider_and_see_where_sessions_come_from() {
    let redis = Redis::start(&[]);
    let flags = redis.flags();
    let flags: Vec<&str> = flags.iter().map(String::as_str).chain(["--admin-group=root"]).collect();
    let several = Several::new(&flags);
    let name = "/oauth2/admin/sessions?user=paul%40partner.example";
    several.staff.set(|knobs| knobs.claim("groups", json!(["employees", "root"])));
    several.partner.set(|knobs| knobs.claim("groups", json!(["example-project", "root"])));
    let (mut at_staff, mut at_partner) = (several.logged_in("staff"), several.logged_in("partner"));
    assert_eq!(at_partner.get(name).status, 403);
    let listed = at_staff.get(name).json();
    assert_eq!(listed["sessions"][0]["provider"], "partner", "{listed}");
    let id = listed["sessions"][0]["id"].as_str().unwrap();
    assert_eq!(at_staff.send(Request::new("DELETE", &format!("{name}&id={id}"))).status, 204);
    assert_eq!((is_in(&at_staff), is_in(&at_partner)), (true, false));
}

#[test]
fn one_provider_that_answers_is_enough() {
    let (staff, echo) = (Provider::start(), Echo::start());
    staff.set(|knobs| knobs.claim("groups", json!(["employees"])));
    let gone = Provider::start();
    let launch = launch(&staff, &echo);
    let yaml = yaml((&staff, &gone), &echo, &launch);
    drop(gone);
    let launch = launch.file("doorward.yaml", &yaml).flag("--doorward-config={file:doorward.yaml}");
    let doorward = launch.start();
    let mut browser = doorward.browser();
    assert_eq!(browser.get("/ready").status, 200);
    assert_eq!(browser.get("/oauth2/start?provider=partner").status, 503);
    let start = browser.get("/oauth2/start?provider=staff");
    let callback = browser.authorize(start.location());
    assert_eq!(browser.get(&callback).status, 302);
}

#[test]
fn a_template_that_knows_one_provider_leads_to_a_page_that_knows_all() {
    let template = "<p>{{.ProviderName}}</p><form action=\"{{.ProxyPrefix}}/start\"></form>";
    let knowing = "{{range .Providers}}<i>{{.ID}}: {{.Name}}</i>{{end}}";
    for (template, on_sign_in, on_start) in [
        (template, "<p>Example Corp</p>", "name=\"provider\" value=\"partner\""),
        (knowing, "<i>partner: Partner Inc.</i>", "<i>partner: Partner Inc.</i>"),
    ] {
        let several = Several::launch(
            |launch| {
                let folder = format!("--custom-templates-dir={}", launch.folder());
                launch.file("sign_in.html", template).flag(&folder)
            },
            |yaml| yaml,
        );
        let mut browser = several.browser();
        assert!(browser.get("/oauth2/sign_in").text().contains(on_sign_in));
        assert!(browser.get("/oauth2/start").text().contains(on_start));
    }
}

#[test]
fn mistakes_in_a_further_provider_are_told_with_its_place() {
    for (from, to, place) in [
        ("id: partner", "id: staff", "providers[1].id: multiple providers found with id"),
        (
            "    clientID: doorward-client\n    clientSecretFile: HERE/partner",
            "    clientSecretFile: HERE/partner",
            "providers[1].clientID: ",
        ),
        ("HERE/partner-secret", "HERE/no-secret", "providers[1].clientSecretFile: "),
        ("    oidcConfig: {issuerURL: PARTNER}\n", "", "providers[1].oidcConfig.issuerURL: "),
        ("providers: [staff]", "providers: [stuff]", "gateway.routes[0].providers[0]: "),
        ("providers: [staff]", "providers: []", "gateway.routes[0].providers: "),
        (
            "authenticate: [session]\n",
            "authenticate: [anonymous]\n      authorize: {public: true}\n",
            "gateway.routes[0].providers: ",
        ),
    ] {
        let (staff, partner, echo) = (Provider::start(), Provider::start(), Echo::start());
        let launch = launch(&staff, &echo);
        let (folder, issuer) = (launch.folder(), partner.issuer());
        let text = yaml((&staff, &partner), &echo, &launch);
        let [from, to] = [from, to].map(|text| text.replace("HERE", &folder).replace("PARTNER", &issuer));
        assert!(text.contains(&from), "{from}\n{text}");
        let launch = launch.file("doorward.yaml", &text.replacen(&from, &to, 1));
        let exit = launch.flag("--doorward-config={file:doorward.yaml}").fail();
        assert!(exit.output.contains(place), "{place}\n{}", exit.output);
    }
}
