//! Published flaws of other products, the reported case itself where it has a counterpart here. Continues
//! [`crate::published`].

use std::collections::BTreeSet;

use doorward_testkit::{Browser, Endpoint, Fault, Redis, Request, Signature, free_address};
use serde_json::{Map, Value, json};

use crate::{
    refresh::{SHORT, wait_until_due},
    support::{
        BOB, CSRF, SESSION, Stage, assert_login_accepted, assert_login_refused, brings_session, encoded,
    },
};

const TOKENS: &str = "--skip-jwt-bearer-tokens";

fn bearer(token: &str) -> Request {
    Request::get("/oauth2/auth").header("Authorization", &format!("Bearer {token}"))
}

#[test]
fn cve_2021_29651_and_2024_21497_no_page_sends_a_login_abroad() {
    let stage = Stage::new(&["--skip-provider-button"]);
    for target in [
        "/page?rd=https://evil.example",
        "/page?rd=//evil.example/x",
        "/oauth2/sign_in?rd=https://evil.example",
        "/oauth2/start?rd=https://evil.example&rd=//evil.example",
        "/page?pomerium_redirect_uri=https://evil.example&redirect_uri=https://evil.example",
    ] {
        let mut browser = stage.browser();
        let begun = browser.get(target);
        assert_eq!(begun.status, 302, "{target}");
        assert!(begun.location_parameter("redirect_uri").unwrap().contains(&browser.host()), "{target}");
        let callback = browser.authorize(begun.location());
        assert!(browser.get(&callback).location().starts_with('/'), "{target}");
    }
}

#[test]
fn cve_2021_29652_no_parameter_of_a_callback_can_be_changed() {
    let stage = Stage::new(&[]);
    let mut browser = stage.browser();
    let begun = browser.start("/page");
    let callback = browser.authorize(begun.location());
    let sent = begun.location_parameter("state").unwrap();
    let (hash, page) = sent.split_once(':').unwrap();
    let code = stage.provider.codes().pop().unwrap();
    for changed in [
        callback.replace(&encoded(hash), &encoded(&hash.to_ascii_lowercase())),
        callback
            .replace(&encoded(hash), hash.trim_start_matches(|first: char| first.is_ascii_alphanumeric())),
        callback.replace(&encoded(page), &encoded("https://evil.example")).replace(&encoded(hash), "x"),
        callback.replace(&code, "another-code"),
    ] {
        assert_ne!(changed, callback);
        let answer = browser.clone().get(&changed);
        assert!(answer.status >= 400 && !brings_session(&answer), "{changed}: {}", answer.status);
    }
    // Where to go afterwards is the only part that is not bound to the attempt: it stays on this site.
    let elsewhere = callback.replace(&encoded(page), &encoded("https://evil.example"));
    assert_eq!(browser.get(&elsewhere).location(), "/");
}

#[test]
fn cve_2021_39162_frames_after_a_goodbye_do_no_harm() {
    let mut stage = Stage::new(&["--skip-auth-route=.*"]);
    let preface = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".as_slice();
    let settings = b"\0\0\0\x04\0\0\0\0\0".as_slice();
    let goodbye = b"\0\0\x08\x07\0\0\0\0\0\0\0\0\0\0\0\0\0".as_slice();
    let odd_settings = b"\0\0\x06\x04\0\0\0\0\0\0\x04\xff\xff\xff\xff".as_slice();
    for frames in [
        [preface, settings, goodbye, settings].concat(),
        [preface, goodbye, settings, goodbye].concat(),
        [preface, settings, odd_settings, goodbye].concat(),
        [preface, settings, &[goodbye; 100].concat()].concat(),
    ] {
        stage.browser().raw(&frames);
    }
    stage.doorward.assert_alive();
}

#[test]
fn cve_2021_41230_and_ghsa_x883_a_changed_claim_counts_from_the_next_refresh_on() {
    let stage = Stage::new(&[SHORT, "--allowed-group=staff"]);
    let mut browser = stage.logged_in();
    assert_eq!(browser.get("/oauth2/auth").status, 202);
    stage.provider.set(|knobs| knobs.claim("groups", json!([])));
    wait_until_due();
    assert_eq!(browser.get("/oauth2/auth").status, 401);
}

#[test]
fn cve_2025_64521_a_deactivated_account_is_out_at_the_next_refresh() {
    let stage = Stage::new(&[SHORT]);
    let mut browser = stage.logged_in();
    stage.provider.fail(
        Endpoint::Refresh,
        Fault::Status(400, r#"{"error":"invalid_grant","error_description":"user disabled"}"#),
    );
    wait_until_due();
    assert_eq!(browser.get("/page").status, 403);
    assert_eq!(browser.get("/oauth2/auth").status, 401);
}

#[test]
fn cve_2022_24797_2025_24030_and_ghsa_m9h4_no_address_tells_the_configuration() {
    let metrics = free_address();
    let stage = Stage::new(&[&format!("--metrics-address={metrics}")]);
    let signed_in = stage.logged_in();
    for target in ["/metrics", "/debug/pprof/cmdline", "/config", "/config_dump", "/oauth2/config", "/stats"]
    {
        assert_eq!(stage.browser().get(target).status, 403, "{target}");
        let text = Browser::new(metrics).get(target).text();
        assert!(text.contains("oauth2_proxy_requests_total"), "{target}: nothing but metrics");
        assert!(!text.contains("jane") && !text.contains(doorward_testkit::Provider::CLIENT_ID), "{target}");
    }
    let quit = Request::new("POST", "/quitquitquit");
    Browser::new(metrics).send(quit.clone());
    assert_eq!(stage.browser().send(quit).status, 403);
    assert_eq!(signed_in.clone().get("/oauth2/auth").status, 202);
}

#[test]
fn cve_2021_32637_2023_33189_2025_66490_2026_33494_and_2026_40912_odd_targets_open_nothing() {
    let stage = Stage::new(&["--skip-auth-route=^/open/", "--skip-auth-route=GET=^/public$"]);
    let host = stage.browser().host();
    for line in [
        "GET /open/%2e%2e/closed HTTP/1.1".to_owned(),
        "GET /open%2f..%2fclosed HTTP/1.1".to_owned(),
        "GET /closed/..%2fopen/ HTTP/1.1".to_owned(),
        "GET /open/../closed HTTP/1.1".to_owned(),
        "GET /closed?/open/ HTTP/1.1".to_owned(),
        "GET /%6fpen/../closed HTTP/1.1".to_owned(),
        "GET /public%2f HTTP/1.1".to_owned(),
        "GET /public%00 HTTP/1.1".to_owned(),
        "POST /public HTTP/1.1\r\nX-HTTP-Method-Override: GET".to_owned(),
        format!("GET http://{host}/closed HTTP/1.1"),
        "GET http://evil.example/closed HTTP/1.1".to_owned(),
        "GET open/closed HTTP/1.1".to_owned(),
        "GET /%zz HTTP/1.1".to_owned(),
        "GET /%c0%afopen/ HTTP/1.1".to_owned(),
    ] {
        let text = format!("{line}\r\nHost: {host}\r\nConnection: close\r\n\r\n");
        let answer = stage.browser().raw(text.as_bytes());
        assert!(!answer.starts_with("HTTP/1.1 2"), "{line}: {answer}");
    }
    assert!(stage.echo.seen().is_empty(), "{:?}", stage.echo.seen());
}

#[test]
fn cve_2024_47616_and_2026_33496_a_token_counts_for_its_audience_only_however_often_it_was_good() {
    let stage = Stage::new(&[TOKENS]);
    let other = doorward_testkit::Launch::new(crate::support::PROGRAM, &stage.provider, &stage.echo)
        .without("client-id")
        .flags(["--client-id=another-client", TOKENS])
        .start();
    let token = stage.provider.id_token();
    for _ in 0..3 {
        assert_eq!(stage.browser().send(bearer(&token)).status, 202);
        assert_eq!(other.browser().send(bearer(&token)).status, 401);
    }
    // What one kind of token proves is not what another is for.
    let mut browser = stage.browser();
    for value in [token.as_str(), &format!("{token}|1|x")] {
        browser.cookies.insert(SESSION.into(), value.into());
        assert_eq!(browser.clone().get("/oauth2/auth").status, 401);
    }
    let session = stage.logged_in().cookies[SESSION].clone();
    assert_eq!(stage.browser().send(bearer(&session)).status, 401);
}

#[test]
fn cve_2021_32701_and_ghsa_qvp4_a_token_that_passed_once_is_judged_again_by_stricter_rules() {
    let stage = Stage::launch(|launch| {
        launch.file("htpasswd", BOB).flags([
            TOKENS,
            "--htpasswd-file={file:htpasswd}",
            "--htpasswd-user-group=crafts",
        ])
    });
    let token = stage.provider.id_token();
    for (query, status) in [
        ("", 202),
        ("?allowed_groups=board", 403),
        ("?allowed_groups=staff", 202),
        ("?allowed_emails=joe@example.com", 403),
    ] {
        let request = Request::get(&format!("/oauth2/auth{query}"));
        let request = request.header("Authorization", &format!("Bearer {token}"));
        assert_eq!(stage.browser().send(request).status, status, "{query}");
    }
    for (query, status) in [("", 202), ("?allowed_groups=board", 403), ("?allowed_groups=crafts", 202)] {
        let request = Request::get(&format!("/oauth2/auth{query}")).basic("bob", "builder");
        assert_eq!(stage.browser().send(request).status, status, "{query}");
    }
}

#[test]
fn cve_2023_28625_and_2024_24814_crafted_cookies_neither_crash_nor_keep_busy() {
    let mut stage = Stage::new(&[]);
    let parts = (0..3000).map(|number| format!("{SESSION}_{number}=A")).collect::<Vec<_>>().join("; ");
    for cookie in [
        "_oauth2_proxy_chunks=99999999",
        "_oauth2_proxy=99999999; _oauth2_proxy_99999999=x",
        "_oauth2_proxy_-1=x; _oauth2_proxy_0=x; _oauth2_proxy_18446744073709551616=x",
        "_oauth2_proxy_0; _oauth2_proxy_1=; =_oauth2_proxy",
        "=; ;=;; ==",
        "_oauth2_proxy=",
        "_oauth2_proxy",
        parts.as_str(),
    ] {
        let request = Request::get("/oauth2/auth").header("Cookie", cookie);
        assert!(matches!(stage.browser().send(request).status, 401 | 431), "{cookie:.60}");
    }
    stage.doorward.assert_alive();
}

#[test]
fn cve_2021_32791_equal_sessions_never_look_alike() {
    let stage = Stage::new(&[]);
    let first_block = |cookie: &str| cookie.chars().take(20).collect::<String>();
    let (mut sessions, mut attempts) = (BTreeSet::new(), BTreeSet::new());
    for _ in 0..8 {
        let mut browser = stage.browser();
        let begun = browser.start("/");
        attempts.insert(first_block(&browser.cookies[CSRF]));
        let callback = browser.authorize(begun.location());
        browser.get(&callback);
        sessions.insert(first_block(&browser.cookies[SESSION]));
    }
    assert_eq!((sessions.len(), attempts.len()), (8, 8));
}

#[test]
fn cve_2021_32785_directives_of_a_format_are_text() {
    let stage = Stage::launch(|launch| launch.file("htpasswd", BOB).flag("--htpasswd-file={file:htpasswd}"));
    let directives = "%s%n%x%d{{.Client}}${0}";
    stage.browser().send(Request::get("/oauth2/auth").basic(directives, "x"));
    stage.browser().send(Request::get("/x").header("User-Agent", directives));
    stage.browser().get(&format!("/oauth2/callback?error={}", encoded(directives)));
    let log = stage.doorward.log();
    assert!(log.matches(directives).count() >= 2, "{log}");
    assert!(!log.contains("%!"), "{log}");
}

#[test]
fn ghsa_59jp_rwph_878r_nothing_of_the_application_is_seen_before_the_login() {
    for flags in [&[][..], &["--skip-provider-button"], &["--auth-request-response-mode=form_post"]] {
        let stage = Stage::new(flags);
        for method in ["GET", "POST", "HEAD", "PUT", "OPTIONS", "DELETE"] {
            let answer = stage.browser().send(Request::new(method, "/answer?X-Protected=1").body("a=b"));
            assert!(matches!(answer.status, 302 | 403), "{flags:?} {method}: {}", answer.status);
            assert!(!answer.headers.has("x-protected") && !answer.text().contains("answer\""));
        }
        assert!(stage.echo.seen().is_empty(), "{flags:?}");
    }
}

#[test]
fn cve_2025_55162_signing_out_deletes_cookies_with_a_prefix() {
    for name in ["__Secure-session", "__Host-session"] {
        let stage = Stage::launch(|launch| {
            launch
                .without("cookie-secure")
                .flag(&format!("--cookie-name={name}"))
                .flag("--redirect-url=http://app.example.com/oauth2/callback")
        });
        let mut browser = stage.logged_in();
        let gone = browser.get("/oauth2/sign_out").set_cookies();
        let deletion = gone.iter().find(|cookie| cookie.name == name).expect("a deletion");
        // A browser ignores lines for such names without Secure, or for __Host- with another path.
        assert!(deletion.is_deletion() && deletion.scope().contains("Secure"), "{deletion:?}");
        assert!(deletion.scope().contains("Path=/"), "{deletion:?}");
    }
}

#[test]
fn cve_2024_45806_headers_of_the_inside_mean_nothing_from_outside() {
    let stage = Stage::new(&["--skip-auth-route=^/open$", "--trusted-ip=10.0.0.1"]);
    let inside = [
        ("X-Envoy-Internal", "true"),
        ("X-Envoy-External-Address", "10.0.0.1"),
        ("X-Forwarded-Access-Token", "x"),
        ("X-Auth-Request-User", "root"),
        ("X-Original-URL", "/open"),
        ("X-Original-URI", "/open"),
        ("X-Rewrite-URL", "/open"),
        ("X-Forwarded-Uri", "/open"),
        ("X-Forwarded-Method", "OPTIONS"),
        ("X-Real-IP", "10.0.0.1"),
    ];
    let forge =
        |request: Request| inside.iter().fold(request, |request, (name, value)| request.header(name, value));
    for (target, status) in [("/closed", 403), ("/oauth2/auth", 401), ("/oauth2/userinfo", 401)] {
        assert_eq!(stage.browser().send(forge(Request::get(target))).status, status, "{target}");
    }
    let seen = stage.browser().send(forge(Request::get("/open"))).echoed();
    for name in ["x-forwarded-access-token", "x-auth-request-user", "x-original-url", "x-rewrite-url"] {
        assert!(!seen.has(name), "{name}");
    }
}

#[test]
fn cve_2024_45809_and_2025_64527_keys_that_cannot_be_fetched_crash_nothing() {
    let faults =
        [Fault::Close, Fault::Malformed, Fault::Status(500, "oops"), Fault::HugeBody, Fault::GzipBomb];
    crate::support::at_once(&faults, |&fault| {
        let mut stage = Stage::new(&[TOKENS]);
        stage.provider.fail(Endpoint::Keys, fault);
        let token = stage.provider.id_token();
        crate::support::at_once(&[0; 6], |_| {
            assert_eq!(stage.browser().send(bearer(&token)).status, 401, "{fault:?}");
        });
        stage.doorward.assert_alive();
    });
}

#[test]
fn cve_2025_64763_after_an_answer_to_an_upgrade_nothing_is_taken_for_a_request() {
    let stage = Stage::new(&["--skip-auth-route=^/ws$"]);
    let host = stage.browser().host();
    let hidden = format!("GET /hidden HTTP/1.1\r\nHost: {host}\r\nX-Forwarded-User: root\r\n\r\n");
    let upgrade =
        format!("GET /ws HTTP/1.1\r\nHost: {host}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n");
    // Sent along before the 101: it belongs to the tunnel, and comes back from the end of it.
    let answer = stage.browser().raw(format!("{upgrade}{hidden}").as_bytes());
    assert!(answer.starts_with("HTTP/1.1 101"), "{answer}");
    assert_eq!(stage.echo.count("/hidden"), 0);
    for line in [format!("CONNECT {host} HTTP/1.1"), "CONNECT /ws HTTP/1.1".to_owned()] {
        let text =
            format!("{line}\r\nHost: {host}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n{hidden}");
        assert!(!stage.browser().raw(text.as_bytes()).starts_with("HTTP/1.1 2"), "{line}");
    }
    assert_eq!(stage.echo.count("/hidden"), 0);
}

#[test]
fn cve_2024_21500_and_2025_24806_guesses_are_counted_together_whichever_way_they_come() {
    let stage = Stage::launch(|launch| launch.file("htpasswd", BOB).flag("--htpasswd-file={file:htpasswd}"));
    crate::support::at_once(&(0..40).collect::<Vec<_>>(), |number| {
        let guess = format!("guess-{number}");
        let status = if number % 2 == 0 {
            stage.browser().send(Request::get("/oauth2/auth").basic("bob", &guess)).status
        } else {
            let fields = [("username", "bob"), ("password", guess.as_str()), ("rd", "/")];
            stage.browser().send(Request::form("/oauth2/sign_in", &fields)).status
        };
        assert_eq!(status, 401);
    });
    stage.doorward.wait_for_log("too many failed attempts");
}

#[test]
fn cve_2026_32595_and_2026_41263_an_unknown_user_is_answered_like_a_known_one() {
    // bcrypt, so that a comparison costs something worth hiding.
    let entry = "bob:$2y$05$LPKMUjHbAD5TOi5XJXKZTOhbjw7bwYsUKA8jfTzqFhgYdQUO6kP3a\n";
    let stage =
        Stage::launch(|launch| launch.file("htpasswd", entry).flag("--htpasswd-file={file:htpasswd}"));
    let answer = |user: &str| {
        let answer = stage.browser().send(Request::get("/oauth2/auth").basic(user, "wrong"));
        (
            answer.status,
            answer.text(),
            answer.headers.0.iter().map(|(name, _)| name.clone()).collect::<Vec<_>>(),
        )
    };
    assert_eq!(answer("bob"), answer("nobody"));
    let log = stage.doorward.log();
    assert_eq!(log.matches("not in Htpasswd File").count(), 2, "{log}");
}

#[test]
fn cve_2024_21492_after_signing_out_a_copied_cookie_is_worth_nothing() {
    let redis = Redis::start(&[]);
    let flags = redis.flags();
    let stage = Stage::launch(|launch| launch.flags(flags.iter().map(String::as_str)));
    let mut browser = stage.logged_in();
    let copy = browser.clone();
    assert_eq!(copy.clone().get("/oauth2/auth").status, 202);
    assert_eq!(browser.get("/oauth2/sign_out").status, 302);
    assert_eq!(copy.clone().get("/oauth2/auth").status, 401);
    assert_eq!(copy.clone().get("/page").status, 403);
    assert_eq!(redis.cli(&["dbsize"]).trim(), "0");
}

#[test]
fn cve_2024_21493_odd_input_crashes_no_endpoint() {
    let mut stage = Stage::launch(|launch| {
        launch.file("htpasswd", BOB).flags([
            "--htpasswd-file={file:htpasswd}",
            TOKENS,
            "--skip-provider-button",
        ])
    });
    for endpoint in ["auth", "userinfo", "sign_in", "sign_out", "start", "callback", "static/x", ""] {
        for method in ["GET", "POST", "HEAD", "TRACE", "X"] {
            for query in ["", "?", "?&&=%", "?rd=%ff%00&state=:::&code=%f0%9f", "?allowed_groups=,,,&rd"] {
                let request = Request::new(method, &format!("/oauth2/{endpoint}{query}"))
                    .header("Content-Type", "multipart/form-data; boundary=")
                    .header("Authorization", "Basic Og==")
                    .header("Cookie", "_oauth2_proxy=\"; _oauth2_proxy_csrf=||")
                    .body("\u{0}=%&--");
                let answer = stage.browser().try_send(request);
                assert!(answer.is_ok(), "{method} {endpoint}{query}: {answer:?}");
            }
        }
    }
    stage.doorward.assert_alive();
    assert!(!stage.doorward.log().contains("panicked"));
}

#[test]
fn cve_2024_21494_an_address_that_a_client_names_is_not_its_own() {
    let stage = Stage::new(&[
        "--reverse-proxy",
        "--trusted-proxy-ip=127.0.0.2",
        "--trusted-ip=10.0.0.1",
        "--real-client-ip-header=X-Forwarded-For",
    ]);
    let request = Request::get("/page").header("X-Forwarded-For", "10.0.0.1");
    assert_eq!(stage.doorward.browser_from("127.0.0.1").send(request).status, 403);
    let log = stage.doorward.log();
    assert!(!log.lines().any(|line| line.starts_with("10.0.0.1")), "{log}");
}

#[test]
fn cve_2024_21495_what_ties_a_login_to_its_browser_cannot_be_guessed() {
    let stage = Stage::new(&[]);
    let mut seen = BTreeSet::new();
    for _ in 0..50 {
        let begun = stage.browser().start("/");
        for name in ["state", "nonce", "code_challenge"] {
            let value = begun.location_parameter(name).unwrap();
            let value = value.split(':').next().unwrap().to_owned();
            assert_eq!(value.len(), 43, "256 bits: {name}");
            assert!(seen.insert(value), "{name} came twice");
        }
    }
}

#[test]
fn cve_2024_21498_and_2024_21499_forwarding_headers_lead_nowhere_and_split_nothing() {
    let stage = Stage::new(&["--reverse-proxy", "--cookie-domain=example.org"]);
    let contacted = stage.provider.calls(Endpoint::Discovery).len();
    for (name, value) in [
        ("X-Forwarded-Host", "169.254.169.254"),
        ("X-Forwarded-Host", "evil.example%0d%0aSet-Cookie: a=b"),
        ("X-Forwarded-Host", "evil.example/x?y#"),
        ("X-Forwarded-Host", "a@evil.example"),
        ("X-Forwarded-Proto", "https%0d%0aSet-Cookie: a=b"),
        ("X-Forwarded-Proto", "javascript"),
        ("X-Forwarded-Proto", "https://evil.example/?"),
    ] {
        let answer = stage.browser().send(Request::get("/oauth2/start").header(name, value));
        assert!(matches!(answer.status, 302 | 400), "{value}: {}", answer.status);
        assert!(answer.set_cookies().iter().all(|cookie| cookie.name == CSRF), "{value}");
        let uri = answer.location_parameter("redirect_uri").unwrap_or_default();
        let good = uri.is_empty() || uri.starts_with("http://") && uri.ends_with("/oauth2/callback");
        assert!(good && !uri.contains(['@', '#', '%', ' ']), "{value}: {uri}");
    }
    assert_eq!(stage.provider.calls(Endpoint::Discovery).len(), contacted);
}

#[test]
fn cve_2026_39858_and_2026_54763_underscores_do_not_carry_forwarding_headers() {
    let stage = Stage::new(&["--reverse-proxy", "--trusted-ip=10.0.0.1", "--skip-auth-route=^/open$"]);
    for (name, value) in [
        ("X_Forwarded_Uri", "/open"),
        ("X_Forwarded-Uri", "/open"),
        ("X_Original_URL", "/open"),
        ("X_Real_IP", "10.0.0.1"),
        ("X_Forwarded_For", "10.0.0.1"),
        ("X_Auth_Request_Redirect", "/open"),
    ] {
        let question = Request::get("/oauth2/auth").header("X-Forwarded-Uri", "/closed").header(name, value);
        assert_eq!(stage.browser().send(question).status, 401, "{name}");
        assert_eq!(stage.browser().send(Request::get("/closed").header(name, value)).status, 403, "{name}");
    }
}

#[test]
fn cve_2026_35051_and_2026_54764_prefix_and_port_of_a_stranger_change_nothing() {
    for flags in [&[][..], &["--reverse-proxy"]] {
        let stage = Stage::new(flags);
        let request = Request::get("/oauth2/start")
            .header("X-Forwarded-Prefix", "//evil.example")
            .header("X-Forwarded-Port", "444");
        let mut browser = stage.browser();
        let begun = browser.send(request);
        let own = format!("http://{}/oauth2/callback", browser.host());
        assert_eq!(begun.location_parameter("redirect_uri").unwrap(), own, "{flags:?}");
        let callback = browser.authorize(begun.location());
        assert_eq!(browser.get(&callback).location(), "/", "{flags:?}");
    }
}

#[test]
fn cve_2026_26998_an_endless_answer_of_the_provider_is_not_kept() {
    let mut stage = Stage::new(&[]);
    for endpoint in [Endpoint::Token, Endpoint::UserInfo] {
        stage.provider.set(|knobs| knobs.claim("email", Value::Null));
        stage.provider.fail(endpoint, Fault::HugeBody);
        assert_login_refused(&stage, &format!("{endpoint:?}"));
        stage.provider.mend(endpoint);
    }
    stage.provider.set(|knobs| knobs.claim("email", "jane@example.com"));
    assert_login_accepted(&stage, "afterwards");
    stage.doorward.assert_alive();
}

/// The list that `mod_auth_openidc` published of its own review in 2026, as far as it concerns a login here.
#[test]
fn mod_auth_openidc_2026_tokens_with_impossible_times_or_no_signature_are_refused() {
    let stage = Stage::new(&[]);
    for exp in [json!(1e300), json!("never"), json!(-1), json!([1]), json!(0.5)] {
        stage.provider.set(|knobs| knobs.claim("exp", exp.clone()));
        assert_login_refused(&stage, &format!("exp is {exp}"));
    }
    stage.provider.set(|knobs| {
        knobs.claims = Map::new();
        *knobs = doorward_testkit::Knobs::default();
        knobs.id_token.signature = Signature::Missing;
    });
    assert_login_refused(&stage, "no signature");
}
