//! What the log says: every refusal is explained by one line, no value of a client breaks a line, no secret is in any.

use std::collections::BTreeSet;

use doorward_testkit::{
    Browser, Endpoint, Fault, Launch, Provider, Redis, Request, Signature, Token, eventually, resigned, until,
};
use serde_json::{Value, json};

use crate::refresh::{SHORT, wait_until_due};
use crate::support::{BOB, CSRF, PROGRAM, SESSION, Stage, encoded};

/// A refusal, and how the log explains it.
struct Case {
    name: &'static str,
    flags: &'static [&'static str],
    /// What has to be there first.
    prepare: fn(&Stage, &mut Browser),
    /// The one request that is refused.
    refused: fn(&Stage, &mut Browser),
    /// Stands in one line of the standard or auth log, and in no other.
    line: &'static str,
    /// Further lines of those logs, which explain nothing: the reference has them.
    further: usize,
    outcome: &'static str,
    reason: &'static str,
}

const LOGIN: &str = "No valid authentication in request. Initiating login.";
const DENIED: &str = "No valid authentication in request. Access Denied.";
const NO_PREPARATION: fn(&Stage, &mut Browser) = |_, _| ();
const NOT_JANE: &str = "the e-mail address is not allowed";

fn get(target: &str) -> impl Fn(&mut Browser) + use<'_> {
    move |browser| drop(browser.get(target))
}

fn token(stage: &Stage, signature: Signature) -> String {
    let claims = json!({
        "iss": stage.provider.issuer(), "aud": Provider::CLIENT_ID, "sub": "x", "email": "x@example.com",
        "iat": 1, "exp": 4_000_000_000_u64,
    });
    Token { signature, ..Token::default() }.sign(&claims)
}

fn with_bearer(stage: &Stage, browser: &mut Browser) {
    let token = format!("Bearer {}", token(stage, Signature::Stranger));
    browser.send(Request::get("/x").header("Authorization", &token));
}

/// Signs in where everybody is welcome.
fn elsewhere(stage: &Stage, browser: &mut Browser) {
    browser.cookies = stage.sibling(&[]).browser().logged_in().cookies;
}

fn signed_in(_: &Stage, browser: &mut Browser) {
    *browser = browser.clone().logged_in();
}

fn callback(stage: &Stage, browser: &mut Browser) {
    let begun = stage.browser().start("/");
    let callback = browser.authorize(begun.location());
    browser.get(&callback);
}

fn whole_login(_: &Stage, browser: &mut Browser) {
    browser.login("/");
}

#[expect(clippy::too_many_lines, reason = "a table with a row for each refusal")]
fn cases() -> Vec<Case> {
    let plain = |name, refused, line, outcome, reason| Case {
        name,
        flags: &[],
        prepare: NO_PREPARATION,
        refused,
        line,
        further: 0,
        outcome,
        reason,
    };
    vec![
        plain("no session", |_, browser| get("/x")(browser), LOGIN, "login", "no_session"),
        plain(
            "a program without a session",
            |_, browser| drop(browser.send(Request::get("/x").header("Accept", "application/json"))),
            DENIED,
            "login",
            "no_session",
        ),
        plain("a question without a session", |_, b| get("/oauth2/auth")(b), DENIED, "login", "no_session"),
        plain(
            "a bad signature",
            |_, browser| {
                let cookie = format!("{SESSION}=abc|1700000000|AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=");
                browser.send(Request::get("/x").header("Cookie", &cookie));
            },
            "Error loading cookied session",
            "login",
            "session_not_verified",
        ),
        Case {
            prepare: |stage, browser| {
                signed_in(stage, browser);
                let cookie = browser.cookies.get_mut(SESSION).unwrap();
                *cookie = resigned(Launch::COOKIE_SECRET, SESSION, cookie, 8 * 24 * 3600);
            },
            ..plain("an old session", |_, b| get("/x")(b), "too old", "login", "session_expired")
        },
        Case {
            flags: &[SHORT],
            prepare: |stage, browser| {
                signed_in(stage, browser);
                stage.provider.fail(Endpoint::Refresh, Fault::Status(400, r#"{"error":"invalid_grant"}"#));
                wait_until_due();
            },
            // What the provider said, and whose session it was.
            further: 2,
            ..plain(
                "a refused refresh",
                |_, browser| get("/x")(browser),
                "detail=\"the provider refused to refresh the session\"",
                "login",
                "session_ended",
            )
        },
        Case {
            flags: &["--email-domain=other.example"],
            prepare: elsewhere,
            ..plain(
                "an address that is not allowed",
                |_, b| get("/x")(b),
                NOT_JANE,
                "deny",
                "email_not_allowed",
            )
        },
        Case {
            flags: &["--email-domain=other.example"],
            // [AuthFailure] Invalid authentication via OAuth2: unauthorized
            further: 1,
            ..plain(
                "an address that is not allowed, at login",
                whole_login,
                NOT_JANE,
                "deny",
                "email_not_allowed",
            )
        },
        Case {
            flags: &["--allowed-group=nobody"],
            prepare: elsewhere,
            ..plain("no group", |_, b| get("/oauth2/auth")(b), "no allowed group", "deny", "group_missing")
        },
        Case {
            prepare: signed_in,
            ..plain(
                "a restriction in the query",
                |_, browser| get("/oauth2/auth?allowed_groups=nobody")(browser),
                "rule allowed_groups",
                "deny",
                "query_constraint",
            )
        },
        Case {
            flags: &["--skip-jwt-bearer-tokens"],
            ..plain("a bearer token", with_bearer, "signature", "login", "bearer_refused")
        },
        Case {
            flags: &["--skip-jwt-bearer-tokens", "--bearer-token-login-fallback=false"],
            ..plain("a bearer token and nothing else", with_bearer, "signature", "deny", "bearer_refused")
        },
        Case {
            flags: &["--skip-jwt-bearer-tokens", "--bearer-token-login-fallback=false"],
            ..plain(
                "a header that is no token",
                |_, browser| drop(browser.send(Request::get("/x").header("Authorization", "Digest a"))),
                "neither Bearer nor Basic",
                "deny",
                "bearer_refused",
            )
        },
        plain("no login cookie", callback, "the browser sent no login cookie", "deny", "csrf_missing"),
        Case {
            prepare: |_, browser| drop(browser.start("/mine")),
            ..plain("the callback of another", callback, "CSRF token mismatch", "deny", "csrf_mismatch")
        },
        plain(
            "a callback without state",
            |_, browser| get("/oauth2/callback?code=x")(browser),
            "malformed state parameter",
            "deny",
            "state_malformed",
        ),
        plain(
            "an error of the provider",
            |_, browser| get("/oauth2/callback?error=access_denied&error_description=not+you")(browser),
            "access_denied not you",
            "deny",
            "provider_refused",
        ),
        Case {
            prepare: |stage, _| {
                stage.provider.fail(Endpoint::Token, Fault::Status(400, r#"{"error":"invalid_grant"}"#));
            },
            ..plain("a refused code", whole_login, "invalid_grant", "deny", "code_not_redeemed")
        },
        Case {
            prepare: |stage, _| stage.provider.set(|knobs| knobs.claim("nonce", "another")),
            ..plain("a foreign nonce", whole_login, "Session validation failed", "deny", "nonce_mismatch")
        },
        plain(
            "a host that is none",
            |_, browser| drop(browser.send(Request::get("/x").header("Host", "a b"))),
            "Host is not a host",
            "deny",
            "malformed",
        ),
        plain(
            "encoded dots",
            |_, browser| get("/a/%2e%2e/b")(browser),
            "percent-encoded dot segments",
            "deny",
            "malformed",
        ),
        Case {
            flags: &["--reverse-proxy"],
            ..plain(
                "a forwarded host that is none",
                |_, browser| drop(browser.send(Request::get("/x").header("X-Forwarded-Host", "a, b"))),
                "X-Forwarded-Host is not one host",
                "deny",
                "malformed",
            )
        },
        Case {
            flags: &["--htpasswd-file={file:htpasswd}"],
            ..plain(
                "a wrong password",
                |_, browser| drop(browser.send(Request::get("/x").basic("bob", "wrong"))),
                "[AuthFailure] Invalid authentication via basic auth: not in Htpasswd File",
                "login",
                "password_refused",
            )
        },
        Case {
            flags: &["--htpasswd-file={file:htpasswd}"],
            ..plain(
                "a wrong password in the form",
                |_, browser| {
                    let fields = [("username", "bob"), ("password", "wrong")];
                    browser.send(Request::form("/oauth2/sign_in", &fields));
                },
                "[AuthFailure] Invalid authentication via HtpasswdFile",
                "deny",
                "password_refused",
            )
        },
        Case {
            flags: &["--htpasswd-file={file:htpasswd}"],
            ..plain(
                "a form of another site",
                |_, browser| {
                    let fields = [("username", "bob"), ("password", "builder")];
                    let form = Request::form("/oauth2/sign_in", &fields);
                    browser.send(form.header("Sec-Fetch-Site", "cross-site"));
                },
                "by a page of another site",
                "deny",
                "cross_site_form",
            )
        },
    ]
}

/// Lines of the start and the end, which may come at any time.
const UNRELATED: &[&str] =
    &["\"/ping\"", "a watched file was loaded", "the identity provider is ready", "SIGTERM"];

/// The lines that the program writes from here to its end.
fn lines_of(stage: &mut Stage, act: impl FnOnce(&Stage)) -> Vec<String> {
    // Lines may come after their answers: those of all requests so far are there when that of this one is.
    stage.browser().get("/robots.txt?settled");
    stage.doorward.wait_for_log("/robots.txt?settled");
    let before = stage.doorward.log().len();
    act(stage);
    let log = stage.doorward.whole_log().split_off(before);
    let related = |line: &&str| !UNRELATED.iter().any(|text| line.contains(text));
    log.lines().filter(related).map(ToOwned::to_owned).collect()
}

fn launch(case: &Case, format: &str) -> Stage {
    let format = format!("--log-format={format}");
    Stage::launch(|launch| {
        let own_domain = case.flags.iter().any(|flag| flag.starts_with("--email-domain"));
        let launch = if own_domain { launch.without("email-domain") } else { launch };
        launch
            .file("htpasswd", BOB)
            .flags(["--errors-to-info-log", &format])
            .flags(case.flags.iter().copied())
    })
}

fn happened(case: &Case, format: &str) -> Vec<String> {
    let mut stage = launch(case, format);
    let mut browser = stage.browser();
    (case.prepare)(&stage, &mut browser);
    lines_of(&mut stage, |stage| (case.refused)(stage, &mut browser))
}

/// A line of the request log, in the default template.
fn is_request(line: &str) -> bool {
    [" HTTP/1.1 \"", " HTTP/1.0 \""].iter().any(|protocol| line.contains(protocol))
}

#[test]
fn every_refusal_is_explained_by_one_line_of_text() {
    for case in cases() {
        let lines = happened(&case, "text");
        let told: Vec<_> = lines.iter().filter(|line| !is_request(line)).collect();
        let explaining: Vec<_> = told.iter().filter(|line| line.contains(case.line)).collect();
        let shown = lines.join("\n");
        assert_eq!(explaining.len(), 1, "{}: {shown}", case.name);
        assert_eq!(told.len(), 1 + case.further, "{}: {shown}", case.name);
        let decided: Vec<_> = told.iter().filter(|line| line.contains("outcome=")).collect();
        let words = format!("outcome={} reason={}", case.outcome, case.reason);
        let in_auth_log = explaining[0].contains("[AuthFailure]");
        assert_eq!(decided.len(), usize::from(!in_auth_log), "{}: {shown}", case.name);
        assert!(in_auth_log || decided[0].contains(&words), "{}: {shown}", case.name);
    }
}

#[test]
fn every_refusal_is_explained_by_the_line_of_its_request_in_json() {
    for case in cases() {
        let shown = happened(&case, "json").join("\n");
        let lines: Vec<Value> =
            shown.lines().map(|line| serde_json::from_str(line).expect("an object a line")).collect();
        let of =
            |stream: &str| -> Vec<&Value> { lines.iter().filter(|line| line["stream"] == stream).collect() };
        let decided: Vec<_> = lines.iter().filter(|line| line["outcome"] == case.outcome).collect();
        let is_this = |line: &&Value| line["outcome"] == case.outcome && line["reason"] == case.reason;
        let told = [of("standard"), of("auth")].concat();
        if case.reason == "malformed" {
            assert_eq!(of("request"), Vec::<&Value>::new(), "{}: {shown}", case.name);
            assert_eq!(decided.len(), 1, "{}: {shown}", case.name);
        } else {
            let requests: Vec<_> = of("request").into_iter().filter(is_this).collect();
            assert_eq!(requests.len(), 1, "{}: {shown}", case.name);
            assert_ne!(requests[0]["message"], "", "{}", case.name);
        }
        // A wrong password is told of before it is known what becomes of the request.
        let expected = usize::from(case.line.contains("basic auth")) ^ 1;
        assert_eq!(told.into_iter().filter(is_this).count(), expected, "{}: {shown}", case.name);
    }
}

#[test]
fn the_page_about_logs_has_every_word() {
    let page = include_str!("../../../../docs/logging.md");
    for case in cases() {
        for word in [case.outcome, case.reason] {
            assert!(page.contains(&format!("`{word}`")), "{word}");
        }
    }
}

#[test]
fn a_store_that_is_down_is_the_reason() {
    for format in ["text", "json"] {
        let mut redis = Redis::start(&[]);
        let flags = redis.flags();
        let mut stage = Stage::launch(|launch| {
            let format = format!("--log-format={format}");
            let flags = flags.iter().map(String::as_str);
            launch.flags(["--errors-to-info-log", &format]).flags(flags)
        });
        let mut browser = stage.logged_in();
        redis.stop();
        let lines = lines_of(&mut stage, |_| assert_eq!(browser.get("/x").status, 500));
        let wanted = match format {
            "text" => "outcome=error reason=store_unavailable",
            _ => r#""outcome":"error","reason":"store_unavailable""#,
        };
        let explaining = lines.iter().filter(|line| line.contains(wanted)).count();
        // In JSON the line of the request says so as well.
        assert_eq!(explaining, if format == "json" { 2 } else { 1 }, "{lines:#?}");
    }
}

#[test]
fn what_was_let_in_says_why_in_json() {
    let stage = Stage::new(&["--log-format=json", "--skip-auth-route=^/open", "--trusted-ip=127.0.0.9"]);
    let mut jane = stage.logged_in();
    for (browser, path, reason, rule) in [
        (&mut jane, "/a", "signed_in", "default"),
        (&mut stage.browser(), "/open", "public_route", "skip-auth-route[0]"),
        (&mut stage.doorward.browser_from("127.0.0.9"), "/b", "trusted_network", "trusted-ip"),
    ] {
        assert_eq!(browser.get(path).status, 200, "{path}");
        let line = until("the request is logged", || {
            let log = stage.doorward.log();
            let lines = log.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
            lines.into_iter().find(|line| line["uri"] == path)
        });
        assert_eq!((&line["outcome"], &line["reason"]), (&json!("permit"), &json!(reason)), "{line}");
        assert!(line["rule"].as_str().unwrap().starts_with(rule), "{line}");
        assert_eq!((&line["status"], &line["method"]), (&json!(200), &json!("GET")), "{line}");
        assert!(line["duration"].is_number() && line["size"].is_number(), "{line}");
    }
}

#[test]
fn one_request_has_one_id_in_all_lines_and_on_its_page() {
    let mut stage = Stage::new(&["--log-format=json"]);
    let mut page = String::new();
    let lines = lines_of(&mut stage, |stage| page = stage.browser().get("/oauth2/callback?error=x").text());
    let ids: BTreeSet<String> = lines
        .iter()
        .map(|line| serde_json::from_str::<Value>(line).unwrap()["request_id"].as_str().unwrap().to_owned())
        .collect();
    assert_eq!(ids.len(), 1, "{lines:#?}");
    assert_eq!(lines.len(), 2, "{lines:#?}");
    assert!(ids.iter().all(|id| page.contains(id.as_str())), "{page}");
}

/// Bytes that would begin another line, hide one, or steer a terminal, as far as they can stand in a header.
const EVIL: &str = "x\u{85}y\u{2028}z\u{9b}31m\t\"} [AuthSuccess] {\"stream\":\"auth\"}";

#[test]
fn nobody_can_write_lines_of_his_own() {
    for format in ["text", "json"] {
        let mut stage = Stage::launch(|launch| {
            launch
                .file("htpasswd", BOB)
                .flag("--htpasswd-file={file:htpasswd}")
                .flags([&*format!("--log-format={format}")])
        });
        stage.provider.set(|knobs| {
            knobs.claim("email", "jane\n2026 [AuthSuccess]@example.com");
            knobs.claim("preferred_username", "a\r\nb");
        });
        let lines = lines_of(&mut stage, |stage| {
            let evil = |request: Request| request.header("User-Agent", EVIL).header("X-Request-Id", EVIL);
            stage.browser().send(evil(Request::get("/x%0d%0ay?z=%0a")));
            stage.browser().send(evil(Request::get("/x")).basic("bob [AuthSuccess]\u{85}", "y"));
            let fields = [("username", "bob\r\nAuthSuccess"), ("password", "x")];
            stage.browser().send(evil(Request::form("/oauth2/sign_in", &fields)));
            stage.browser().send(evil(Request::get("/oauth2/callback?error=%0d%0aAuthSuccess&state=%0a")));
            stage.browser().send(evil(Request::get("/x").header("Host", "a\u{85}b")));
            stage.browser().login("/");
        });
        for line in &lines {
            let escaped =
                line.chars().all(|char| char == ' ' || (!char.is_control() && !char.is_whitespace()));
            assert!(escaped, "{line:?}");
            match format {
                "json" => drop(serde_json::from_str::<Value>(line).expect("an object a line")),
                _ => assert!(is_line_of_ours(line), "{line:?}"),
            }
        }
        assert!(lines.len() >= 10, "{lines:#?}");
    }
}

/// Whether a line begins as those of the default templates do.
fn is_line_of_ours(line: &str) -> bool {
    line.starts_with("[20") || line.starts_with("127.0.0.1:")
}

#[test]
fn no_secret_is_in_any_line() {
    let passwords = ["htpasswd-password", "another-password"];
    for format in ["text", "json"] {
        let mut stage = Stage::launch(|launch| {
            launch
                .file("htpasswd", BOB)
                // No variable makes it say more; these are those of other programs.
                .variable("RUST_LOG", "trace")
                .variable("DEBUG", "1")
                .flag("--htpasswd-file={file:htpasswd}")
                .flags([SHORT, "--skip-jwt-bearer-tokens", "--show-debug-on-error"])
                .flags(["--pass-access-token", "--set-authorization-header"])
                .flag(&format!("--log-format={format}"))
        });
        let mut secrets: BTreeSet<String> = passwords.iter().map(ToString::to_string).collect();
        let mut keep = |browser: &Browser| secrets.extend(browser.cookies.values().cloned());

        let mut browser = stage.browser();
        let begun = browser.start("/page");
        let sent = begun.location_parameter("state").unwrap();
        keep(&browser);
        let callback = browser.authorize(begun.location());
        stage.browser().get(&callback);
        browser.get(&callback);
        keep(&browser);
        browser.get("/page");
        wait_until_due();
        browser.get("/page");
        keep(&browser);
        stage.provider.fail(Endpoint::Refresh, Fault::Status(500, "oops"));
        wait_until_due();
        browser.get("/page");
        let session = browser.cookies[SESSION].clone();
        browser.get("/oauth2/sign_out");
        stage.provider.fail(Endpoint::Token, Fault::Status(400, r#"{"error":"invalid_grant"}"#));
        stage.browser().login("/");
        stage.provider.mend(Endpoint::Token);
        let broken = token(&stage, Signature::Corrupted);
        let good = stage.provider.id_token();
        for token in [&broken, &good] {
            stage.browser().send(Request::get("/x").header("Authorization", &format!("Bearer {token}")));
        }
        for password in passwords {
            stage.browser().send(Request::get("/x").basic("bob", password));
            let fields = [("username", "bob"), ("password", password)];
            stage.browser().send(Request::form("/oauth2/sign_in", &fields));
        }
        let half: String = session.chars().take(session.len() / 2).collect();
        for cookie in [format!("{SESSION}={half}"), format!("{CSRF}={half}; {SESSION}_0={half}")] {
            stage.browser().send(Request::get("/x").header("Cookie", &cookie));
            let target = format!("/oauth2/callback?code=the-code&state={}", encoded(&sent));
            stage.browser().send(Request::get(&target).header("Cookie", &cookie));
        }

        secrets.extend([broken, good, half, "the-code".into()]);
        secrets.extend(sent.split(':').next().map(ToOwned::to_owned));
        secrets.extend([Provider::CLIENT_SECRET.to_owned(), Launch::COOKIE_SECRET.to_owned()]);
        // Tokens and codes that the provider gave out are looked for when the program ends.
        secrets.extend(stage.provider.codes());
        let log = stage.doorward.whole_log();
        for secret in secrets {
            assert!(!log.contains(&secret), "{secret}\n{log}");
        }
    }
}

#[test]
fn the_password_of_the_store_is_not_told() {
    for address in ["redis://:the-redis-password@127.0.0.1:9", "redis://:the-redis-password@[bad"] {
        let (provider, echo) = crate::support::parts();
        let launch = Launch::new(PROGRAM, &provider, &echo).flag("--session-store-type=redis");
        let exit = launch.flag(&format!("--redis-connection-url={address}")).flag("--log-format=json").fail();
        assert!(!exit.output.contains("the-redis-password"), "{}", exit.output);
    }
}

#[test]
fn another_form_of_lines_stops_the_start() {
    let exit = Launch::bare(PROGRAM).flag("--log-format=xml").fail();
    assert!(exit.output.contains("log-format") && exit.output.contains("text or json"), "{}", exit.output);
}

#[test]
fn the_start_is_described_in_the_words_of_the_reference() {
    let stage = Stage::launch(|launch| {
        launch
            .file("htpasswd", BOB)
            .flag("--htpasswd-file={file:htpasswd}")
            .flags(["--skip-auth-regex=^/r", "--skip-auth-route=get=^/open", "--skip-auth-route=POST!=^/z"])
            .flags(["--api-route=^/api", "--cookie-refresh=1h", "--cookie-samesite=lax"])
            .flags([
                "--cookie-domain=a.example",
                "--skip-jwt-bearer-tokens",
                "--standard-logging-format={{.Message}}",
            ])
            .without("upstream")
            .flags([
                "--upstream=static://203",
                "--upstream=http://127.0.0.1:9/x/y/",
                "--upstream=file:///tmp/#/f/",
            ])
    });
    let log = stage.doorward.log();
    let issuer = stage.provider.issuer();
    let expected = format!(
        "Performing OIDC Discovery...\n\
         mapping path \"/x/y/\" => upstream \"http://127.0.0.1:9/x/y/\"\n\
         mapping path \"/f/\" => file system \"/tmp/\"\n\
         mapping path \"/\" => static response 203\n\
         Skipping JWT tokens from configured OIDC issuer: \"{issuer}\"\n\
         OAuthProxy configured for OpenID Connect Client ID: {}\n\
         Cookie settings: name:_oauth2_proxy secure(https):false httponly:true expiry:168h0m0s domains:a.example \
         path:/ samesite:lax refresh:after 1h0m0s\n\
         Skipping auth - Method: ALL | Path: ^/r\n\
         Skipping auth - Method: GET | Path: ^/open\n\
         Skipping auth - Method: POST | Path: ^/z\n\
         API route - Path: ^/api\n",
        Provider::CLIENT_ID
    );
    assert!(log.contains(&expected), "{expected}\n{log}");
    assert!(log.contains("using htpasswd file: /"), "{log}");
}

#[test]
fn a_class_that_is_off_is_off_and_all_off_is_said_once() {
    let stage = Stage::new(&["--standard-logging=false", "--auth-logging=false", "--request-logging=false"]);
    stage.logged_in().get("/x");
    let log = stage.doorward.log();
    assert_eq!(log.lines().count(), 1, "{log}");
    let warning = "Warning: Logging disabled. No further logs will be shown.";
    assert!(log.starts_with("[20") && log.trim_end().ends_with(warning), "{log}");
    for (off, gone) in [
        ("--standard-logging=false", "[run.rs"),
        ("--auth-logging=false", "[AuthSuccess]"),
        ("--request-logging=false", "GET"),
    ] {
        let stage = Stage::new(&[off]);
        stage.logged_in();
        eventually("the other classes are there", || {
            let log = stage.doorward.log();
            ["[run.rs", "[AuthSuccess]", "GET"].iter().filter(|word| log.contains(**word)).count() == 2
        });
        assert!(!stage.doorward.log().contains(gone), "{off}\n{}", stage.doorward.log());
    }
}
