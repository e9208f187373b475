//! Published flaws of this kind of software, each as a test that it is not ours. The names are those of the reports;
//! where another module looks at the whole class, the test here is the reported case itself.

use doorward_testkit::{Endpoint, Launch, Request};
use serde_json::json;

use crate::support::{
    BOB, SESSION, Stage, assert_login_accepted, assert_login_refused, brings_session, encoded,
};

#[test]
fn cve_2017_1000069_a_login_cannot_be_forced_on_somebody_else() {
    let stage = Stage::new(&[]);
    let mut attacker = stage.browser();
    let begun = attacker.start("/");
    let callback = attacker.authorize(begun.location());
    let answer = stage.browser().get(&callback);
    assert_eq!(answer.status, 403);
    assert!(!brings_session(&answer));
    assert_eq!(stage.provider.count(Endpoint::Token), 0);
}

fn lands_at(stage: &Stage, rd: &str) -> String {
    let mut browser = stage.browser();
    let begun = browser.get(&format!("/oauth2/start?rd={rd}"));
    let callback = browser.authorize(begun.location());
    browser.get(&callback).location().to_owned()
}

#[test]
fn cve_2017_1000070_and_2020_5233_open_redirects() {
    let stage = Stage::new(&[]);
    for rd in ["//evil.example", "http://evil.example", "https://evil.example", "%2F%2Fevil.example"] {
        assert_eq!(lands_at(&stage, rd), "/", "{rd}");
    }
}

#[test]
fn cve_2020_11053_encoded_white_space_before_the_host() {
    let stage = Stage::new(&[]);
    for blank in ["%0a", "%09", "%0d", "%0b", "%0c", "%20", "%00", "%c2%a0", "%e2%80%a8"] {
        for rd in [
            format!("/{blank}/evil.example"),
            format!("{blank}//evil.example"),
            format!("/{blank}{blank}/evil.example"),
        ] {
            let location = lands_at(&stage, &rd);
            assert!(!location.contains("evil.example"), "{rd}: {location}");
        }
    }
}

#[test]
fn cve_2020_4037_backslashes_tabs_and_the_way_through_the_provider() {
    let stage = Stage::new(&[]);
    for rd in [
        "/%5cevil.example",
        "/%5c/evil.example",
        "/%09%5cevil.example",
        "/%5c%09evil.example",
        "/x/..%5c%5cevil.example",
    ] {
        assert_eq!(lands_at(&stage, rd), "/", "{rd}");
    }
}

#[test]
fn cve_2021_21291_2024_52289_and_2026_41569_a_listed_domain_covers_no_similar_one() {
    let stage = Stage::new(&["--whitelist-domain=.example.com", "--whitelist-domain=*.wild.example:*"]);
    for rd in [
        "https://badexample.com",
        "https://bad-example.com/",
        "https://example.com.evil.example",
        "https://badwild.example:1",
        "https://goodXexample.com",
        "https://good.example.community",
        "https://wild.example:1.evil.example",
    ] {
        assert_eq!(lands_at(&stage, &encoded(rd)), "/", "{rd}");
    }
    for rd in ["https://good.example.com", "https://example.com/x", "https://a.wild.example:81/"] {
        assert_eq!(lands_at(&stage, &encoded(rd)), rd);
    }
}

#[test]
fn cve_2021_21411_a_restriction_is_never_ignored() {
    // The flag of that report belongs to a provider that we do not have: it is refused (see access::a1b).
    for flag in ["--allowed-group=nobody", "--email-domain=nobody.example"] {
        let stage = Stage::launch(|launch| {
            launch.without("email-domain").flag(flag).flag("--email-domain=nobody.example")
        });
        assert_login_refused(&stage, flag);
    }
    let stage = Stage::launch(|launch| {
        launch.without("provider").flags(["--provider=keycloak-oidc", "--allowed-role=nobody"])
    });
    stage.provider.set(|knobs| knobs.access_claims = Some(serde_json::Map::new()));
    assert_login_refused(&stage, "--allowed-role");
}

#[test]
fn cve_2025_54576_the_query_opens_no_path() {
    let stage = Stage::new(&[
        "--skip-auth-route=^/status$",
        "--skip-auth-route=/health$",
        "--skip-auth-regex=/open$",
    ]);
    for target in [
        "/private?x=/status",
        "/private?/health",
        "/private?x=/open",
        "/private?&x=%2Fhealth",
        "/private?x#/health",
    ] {
        let answer = stage.browser().try_send(Request::get(target).header("Accept", "application/json"));
        assert!(answer.is_ok_and(|answer| matches!(answer.status, 400 | 401)), "{target}");
    }
    assert!(stage.echo.seen().is_empty());
}

#[test]
fn cve_2025_64484_underscores_do_not_carry_identity() {
    let stage = Stage::new(&["--skip-auth-route=^/open"]);
    for name in
        ["X_Forwarded_User", "X_FORWARDED_EMAIL", "x-forwarded_groups", "X_Forwarded-Preferred-Username"]
    {
        for browser in [stage.browser(), stage.logged_in()] {
            let seen = browser.clone().send(Request::get("/open").header(name, "forged")).echoed();
            assert!(!seen.0.iter().any(|(_, value)| value.contains("forged")), "{name}");
        }
    }
}

#[test]
fn cve_2026_34457_the_agent_of_a_health_check_opens_nothing() {
    for flags in [&["--ping-user-agent=Probe/1.0"][..], &["--gcp-healthchecks"]] {
        let stage = Stage::new(flags);
        for agent in ["Probe/1.0", "GoogleHC/1.0"] {
            for (target, status) in [
                ("/oauth2/auth", 401),
                ("/oauth2/userinfo", 401),
                ("/page", 403),
                ("/", 403),
                ("/ping/", 403),
            ] {
                let answer = stage.browser().send(Request::get(target).header("User-Agent", agent));
                assert_eq!(answer.status, status, "{flags:?} {agent} {target}");
            }
        }
        assert!(stage.echo.seen().is_empty());
    }
}

#[test]
fn cve_2026_40575_a_stranger_names_no_other_target() {
    let stage =
        Stage::new(&["--reverse-proxy", "--trusted-proxy-ip=127.0.0.2", "--skip-auth-route=^/public$"]);
    let request = Request::get("/oauth2/auth").header("X-Forwarded-Uri", "/public");
    assert_eq!(stage.doorward.browser_from("127.0.0.1").send(request.clone()).status, 401);
    assert_eq!(stage.doorward.browser_from("127.0.0.2").send(request).status, 202);
}

#[test]
fn cve_2026_41059_and_2023_47106_a_fragment_hides_no_path() {
    let closed = ["/foo/secret#/bar", "/foo/secret?#/bar", "/secret#/x", "/secret?x#/y"];
    for (rule, targets) in [
        ("--skip-auth-route=^/foo/.*/bar$", &closed[..2]),
        ("--skip-auth-route=/bar$", &closed[..2]),
        ("--skip-auth-route=!=^/secret", &closed[2..]),
    ] {
        let stage = Stage::new(&[rule]);
        for target in targets {
            let host = stage.browser().host();
            let request = format!("GET {target} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n");
            let answer = stage.browser().raw(request.as_bytes());
            assert!(answer.starts_with("HTTP/1.1 40"), "{rule} {target}: {answer}");
        }
        assert!(stage.echo.seen().is_empty(), "{rule}");
    }
    // An escaped one is part of the path, for the rule and for the application alike.
    let stage = Stage::new(&["--skip-auth-route=!=^/secret"]);
    assert_eq!(stage.browser().get("/secret%23/bar").status, 403);
}

#[test]
fn cve_2026_40574_an_address_with_two_domains_belongs_to_neither() {
    let stage = Stage::launch(|launch| launch.without("email-domain").flag("--email-domain=company.com"));
    for email in [
        "a@evil.com@company.com",
        "a@company.com@evil.com",
        "a@evil.com%40company.com",
        "a@evil.com,b@company.com",
        "a@company.com.",
    ] {
        stage.provider.set(|knobs| knobs.claim("email", email));
        if email.contains("%40") || email.contains(',') {
            // One "@" only: an odd mailbox of that company at best, never one of another domain.
            continue;
        }
        assert_login_refused(&stage, email);
    }
    stage.provider.set(|knobs| knobs.claim("email", "a@company.com"));
    assert_login_accepted(&stage, "the plain one");
}

#[test]
fn cve_2026_34454_the_sign_in_page_ends_the_session() {
    let stage = Stage::new(&[]);
    let mut browser = stage.logged_in();
    assert_eq!(browser.get("/oauth2/sign_in").status, 200);
    assert!(!browser.cookies.contains_key(SESSION));
    assert_eq!(browser.get("/page").status, 403);
}

#[test]
fn oauth2_proxy_1347_a_refused_upgrade_opens_no_tunnel() {
    let stage = Stage::new(&["--skip-auth-route=^/ws-refused$"]);
    let host = stage.browser().host();
    let upgrade = format!(
        "GET /ws-refused HTTP/1.1\r\nHost: {host}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n"
    );
    let second = format!(
        "GET /closed HTTP/1.1\r\nHost: {host}\r\nX-Forwarded-User: root\r\nConnection: close\r\n\r\n"
    );
    stage.browser().raw(format!("{upgrade}{second}").as_bytes());
    assert_eq!(stage.echo.count("/closed"), 0);
    assert!(stage.echo.seen().iter().all(|seen| !seen.headers.has("x-forwarded-user")));
}

// --- other products ---

#[test]
fn cve_2022_29226_not_every_bearer_is_accepted() {
    let stage = Stage::new(&[]);
    let token = stage.provider.id_token();
    for value in ["Bearer x", "Bearer", "bearer eyJ.eyJ.x", &format!("Bearer {token}")] {
        assert_eq!(
            stage.browser().send(Request::get("/oauth2/auth").header("Authorization", value)).status,
            401,
            "{value}"
        );
    }
    assert_eq!(stage.browser().get("/oauth2/auth?access_token=x").status, 401);
    assert_eq!(
        stage.browser().get(&format!("/oauth2/auth?id_token={token}&access_token={token}")).status,
        401
    );
}

#[test]
fn cve_2026_25748_a_broken_session_is_never_a_yes_without_identity() {
    let stage = Stage::launch(|launch| launch.without("upstream").flag("--upstream=static://202"));
    for cookie in ["x", "a|b|c", "|||", "\"\"", "%", "_oauth2_proxy"] {
        for (target, status) in [("/oauth2/auth", 401), ("/page", 403)] {
            let request = Request::get(target).header("Cookie", &format!("{SESSION}={cookie}"));
            assert_eq!(stage.browser().send(request).status, status, "{target} {cookie}");
        }
    }
}

#[test]
fn cve_2024_47070_an_unreadable_forwarded_address_skips_no_rule() {
    let stage = Stage::new(&[
        "--reverse-proxy",
        "--trusted-ip=192.0.2.0/24",
        "--real-client-ip-header=X-Forwarded-For",
    ]);
    for value in ["x", "192.0.2.1.evil", ",,,", "a, b", "192.0.2.999", "192.0.2.1/24", "\u{e9}"] {
        let request = Request::get("/oauth2/auth").header("X-Forwarded-For", value);
        assert_eq!(stage.browser().send(request).status, 401, "{value}");
    }
}

#[test]
fn cve_2023_35941_bytes_cannot_move_between_the_fields_of_a_signature() {
    let stage = Stage::new(&[]);
    let good = stage.logged_in().cookies[SESSION].clone();
    let parts: Vec<&str> = good.split('|').collect();
    let [payload, seconds, mac] = parts[..] else { panic!("three parts: {good}") };
    let (first, rest) = payload.split_at(1);
    let (digit, seconds_rest) = seconds.split_at(1);
    for (name, value) in [
        (SESSION.to_owned(), format!("{payload}{digit}|{seconds_rest}|{mac}")),
        (SESSION.trim_end_matches('y').to_owned(), format!("y{payload}|{seconds}|{mac}")),
        (format!("{SESSION}{first}"), format!("{rest}|{seconds}|{mac}")),
        (SESSION.to_owned(), format!("{payload}|{seconds}|{mac}|")),
    ] {
        let mut browser = stage.browser();
        browser.cookies.insert(name.clone(), value);
        assert_eq!(browser.get("/oauth2/auth").status, 401, "{name}");
    }
}

#[test]
fn cve_2026_47775_a_tampered_attempt_cookie_tells_nothing() {
    let stage = Stage::new(&[]);
    let mut browser = stage.browser();
    let begun = browser.start("/");
    let callback = browser.authorize(begun.location());
    let good = browser.cookies[crate::support::CSRF].clone();
    let mut told = std::collections::BTreeSet::new();
    for index in (0..good.len()).step_by(11) {
        let mut bytes = good.clone().into_bytes();
        bytes[index] = if bytes[index] == b'A' { b'B' } else { b'A' };
        browser.cookies.insert(crate::support::CSRF.into(), String::from_utf8(bytes).unwrap());
        let answer = browser.clone().get(&callback);
        told.insert((answer.status, answer.body.len()));
    }
    assert_eq!(told.len(), 1, "{told:?}");
    assert_eq!(stage.provider.count(Endpoint::Token), 0);
}

#[test]
fn cve_2022_29228_and_2023_27496_a_callback_without_its_parameters_does_no_harm() {
    let mut stage = Stage::new(&[]);
    for target in [
        "/oauth2/callback",
        "/oauth2/callback?",
        "/oauth2/callback?code",
        "/oauth2/callback?state",
        "/oauth2/callback?state=%ff&code=%ff",
    ] {
        assert!(stage.browser().get(target).status >= 400, "{target}");
    }
    stage.doorward.assert_alive();
}

#[test]
fn cve_2024_45808_escape_sequences_do_not_reach_the_log() {
    let stage = Stage::new(&[]);
    stage
        .browser()
        .send(Request::get("/x%1b%5b2J%0d%0aforged").header("User-Agent", "\u{1b}[2J\u{9b}31m\u{202e}"));
    let log = stage.doorward.log();
    assert!(
        !log.contains(['\u{1b}', '\u{9b}', '\u{202e}'])
            && !log.lines().any(|line| line.starts_with("forged")),
        "{log}"
    );
}

#[test]
fn cve_2023_52430_2024_21496_2026_33525_and_2026_42849_pages_and_state_reflect_no_markup() {
    let stage = Stage::new(&[]);
    let attack = "\"><script>alert(1)</script>";
    for target in [
        "/oauth2/callback?error=",
        "/oauth2/callback?state=",
        "/oauth2/sign_in?rd=/",
        "/page?rd=/",
        "/oauth2/callback?error_description=x&error=",
    ] {
        let page = stage.browser().get(&format!("{target}{}", encoded(attack))).text();
        assert!(!page.contains("<script>alert"), "{target}\n{page}");
    }
    let answer =
        stage.browser().send(Request::get("/page").header("Referer", attack).header("X-Request-Id", attack));
    assert!(!answer.text().contains("<script>alert"));
}

#[test]
fn cve_2025_3891_and_2026_49443_an_empty_post_does_no_harm() {
    let mut stage =
        Stage::launch(|launch| launch.file("htpasswd", BOB).flag("--htpasswd-file={file:htpasswd}"));
    for target in [
        "/oauth2/sign_in",
        "/oauth2/start",
        "/oauth2/callback",
        "/oauth2/sign_out",
        "/oauth2/auth",
        "/oauth2/userinfo",
        "/page",
    ] {
        let empty = Request::new("POST", target)
            .header("Content-Type", "application/x-www-form-urlencoded")
            .header("Content-Length", "0");
        let answer = stage.browser().send(empty);
        assert!(!brings_session(&answer), "{target}");
    }
    stage.doorward.assert_alive();
}

#[test]
fn cve_2026_47203_user_names_are_not_folded() {
    let stage = Stage::launch(|launch| launch.file("htpasswd", BOB).flag("--htpasswd-file={file:htpasswd}"));
    for user in ["Bob", "BOB", "bob ", " bob", "bob\0", "b\u{f6}b"] {
        assert_eq!(
            stage.browser().send(Request::get("/oauth2/auth").basic(user, "builder")).status,
            401,
            "{user:?}"
        );
    }
}

#[test]
fn cve_2021_29456_and_2022_23527_signing_out_leads_nowhere_foreign() {
    let stage = Stage::new(&[]);
    for rd in [
        "https://evil.example",
        "//evil.example",
        "/%5cevil.example",
        "/%09/evil.example",
        "/%2f%5cevil.example",
    ] {
        assert_eq!(stage.browser().get(&format!("/oauth2/sign_out?rd={rd}")).location(), "/", "{rd}");
    }
}

#[test]
fn ghsa_w9mr_28mw_j8hg_cve_2024_45410_and_2026_29054_hop_by_hop_headers_take_no_identity_away() {
    let stage = Stage::new(&[]);
    let browser = stage.logged_in();
    let mut line = browser.connect().unwrap();
    let request = Request::get("/page")
        .header("Connection", "keep-alive, X-Forwarded-User, X-Forwarded-Email, X-Forwarded-Groups");
    let seen = browser.clone().send_on(&mut line, request).unwrap().echoed();
    assert_eq!(seen.all("x-forwarded-user"), ["sub-1"]);
    assert_eq!(seen.all("x-forwarded-groups"), ["staff,admins"]);
}

#[test]
fn cve_2026_33495_a_scheme_named_by_a_stranger_changes_nothing() {
    let stage = Stage::new(&[]);
    let answer = stage.browser().send(Request::get("/oauth2/start").header("X-Forwarded-Proto", "https"));
    assert!(answer.location_parameter("redirect_uri").unwrap().starts_with("http://"));
}

#[test]
fn cve_2024_39315_our_pages_hold_no_tokens() {
    let stage = Stage::new(&["--show-debug-on-error"]);
    let mut browser = stage.logged_in();
    for target in ["/oauth2/userinfo", "/oauth2/sign_in", "/oauth2/callback?error=x"] {
        let text = browser.clone().get(target).text();
        assert!(!text.contains("eyJ"), "{target}");
    }
    assert_eq!(browser.get("/oauth2/userinfo").json()["user"], json!("sub-1"));
}

#[test]
fn cve_2026_71324_connect_poisons_no_pooled_connection() {
    let stage = Stage::new(&["--skip-auth-route=.*"]);
    let host = stage.browser().host();
    crate::support::at_once(&["CONNECT", "TRACE", "PRI"], |method| {
        let text = format!(
            "{method} /open HTTP/1.1\r\nHost: {host}\r\nConnection: keep-alive\r\n\r\nGET /behind HTTP/1.1\r\nHost: {host}\r\nX-Forwarded-User: root\r\n\r\n"
        );
        stage.browser().raw(text.as_bytes());
    });
    assert!(stage.echo.seen().iter().all(|seen| !seen.headers.has("x-forwarded-user")));
    assert_eq!(stage.browser().get("/after").json()["target"], "/after");
}

#[test]
fn cve_2026_54762_a_missing_secret_opens_nothing() {
    let (provider, echo) = crate::support::parts();
    for name in ["cookie-secret", "client-secret", "client-id"] {
        let exit = Launch::new(crate::support::PROGRAM, &provider, &echo).without(name).fail();
        assert_eq!(exit.code, Some(1), "{name}");
        assert!(exit.output.contains(name), "{name}: {}", exit.output);
    }
}
