//! Every symptom of docs/troubleshooting.md, provoked: the page says shortly what to do and shows the request id, and the
//! log says under that id what is wrong and how to mend it.

use doorward_testkit::{Answer, Browser, Endpoint, Fault, Launch, Redis, Request, Signature, resigned};
use serde_json::{Value, json};

use crate::support::{CSRF, SESSION, Stage, encoded};

/// What goes wrong, and where it is told.
struct Symptom {
    reason: &'static str,
    flags: &'static [&'static str],
    /// Does what people do, up to the page that tells it.
    act: fn(&Stage) -> Answer,
    /// In the page; empty where the page is not ours.
    told: &'static str,
    /// In the log.
    detail: &'static str,
    mend: &'static str,
}

/// A callback as the provider sends it, in a browser without the cookie of its login.
fn without_cookie(stage: &Stage) -> Request {
    let mut begun = stage.browser();
    let start = begun.start("/page");
    Request::get(&begun.authorize(start.location()))
}

fn lost(stage: &Stage) -> Answer {
    let callback = without_cookie(stage);
    stage.browser().send(callback)
}

/// A login whose login cookie is changed on the way.
fn with_cookie(stage: &Stage, change: impl FnOnce(&str) -> String) -> Answer {
    let mut browser = stage.browser();
    let start = browser.start("/page");
    let callback = browser.authorize(start.location());
    let cookie = change(&browser.cookies[CSRF]);
    browser.cookies.insert(CSRF.to_owned(), cookie);
    browser.get(&callback)
}

/// The provider sends the browser back with this in place of a code.
fn sent_back(stage: &Stage, answer: &str) -> Answer {
    let mut browser = stage.browser();
    let returned = browser.start("/page").location_parameter("state").unwrap();
    browser.get(&format!("/oauth2/callback?{answer}&state={}", encoded(&returned)))
}

fn login(stage: &Stage) -> Answer {
    stage.browser().login("/page")
}

/// A login that ends with an ID token of which one claim is otherwise.
fn with_claim(stage: &Stage, name: &str, value: Value) -> Answer {
    stage.provider.set(|knobs| knobs.claim(name, value));
    login(stage)
}

fn with_fault(stage: &Stage, fault: Fault) -> Answer {
    stage.provider.fail(Endpoint::Token, fault);
    login(stage)
}

fn now() -> u64 {
    std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs()
}

/// Three logins after each of which the browser has this left of its session, and a fourth that begins.
fn in_circles(stage: &Stage, left: fn(&mut Browser)) -> Answer {
    let mut browser = stage.browser();
    for round in 1..=3 {
        assert_eq!(browser.login("/page").status, 302, "round {round}");
        left(&mut browser);
    }
    browser.get("/oauth2/start?rd=/page")
}

const NOT_SENT: &str = "did not send back a cookie of this site";

#[expect(clippy::too_many_lines, reason = "a table")]
fn of_cookies() -> Vec<Symptom> {
    vec![
        Symptom {
            reason: "cookie_needs_https",
            flags: &["--cookie-secure=true"],
            act: lost,
            told: NOT_SENT,
            detail: "over plain http",
            mend: "--cookie-secure=false",
        },
        Symptom {
            reason: "cookie_domain",
            flags: &["--cookie-domain=example.org"],
            act: lost,
            told: NOT_SENT,
            detail: "belongs to none of the cookie domains example.org",
            mend: "--cookie-domain",
        },
        Symptom {
            reason: "cookie_path",
            flags: &["--cookie-path=/app"],
            act: lost,
            told: NOT_SENT,
            detail: "does not lie below the cookie path /app",
            mend: "--cookie-path",
        },
        Symptom {
            reason: "cookie_same_site",
            flags: &["--cookie-samesite=strict"],
            act: lost,
            told: NOT_SENT,
            detail: "SameSite=Strict",
            mend: "lax",
        },
        Symptom {
            reason: "cookie_same_site",
            flags: &["--cookie-samesite=none"],
            act: lost,
            told: NOT_SENT,
            detail: "without Secure",
            mend: "--cookie-secure",
        },
        Symptom {
            reason: "login_elsewhere",
            flags: &["--redirect-url=http://auth.example.com/oauth2/callback"],
            act: |stage| {
                let callback = without_cookie(stage).header("Host", "auth.example.com");
                stage.browser().send(callback)
            },
            told: NOT_SENT,
            detail: "began at another host than auth.example.com",
            mend: "--cookie-domain",
        },
        Symptom {
            reason: "cookie_secret_differs",
            flags: &[],
            act: |stage| {
                with_cookie(stage, |cookie| resigned("another-secret-of-32-characters!", CSRF, cookie, 0))
            },
            told: "does not share its secret",
            detail: "no login cookie that the browser sent is good",
            mend: "the same --cookie-secret",
        },
        Symptom {
            reason: "login_too_slow",
            flags: &[],
            act: |stage| with_cookie(stage, |cookie| resigned(Launch::COOKIE_SECRET, CSRF, cookie, 3600)),
            told: "took too long",
            detail: "no login cookie that the browser sent is good",
            mend: "--cookie-csrf-expire",
        },
        Symptom {
            reason: "csrf_missing",
            flags: &[],
            act: lost,
            told: "its cookie was not sent back",
            detail: "no login cookie",
            mend: "a proxy in front takes cookies out",
        },
        Symptom {
            reason: "csrf_mismatch",
            flags: &[],
            act: |stage| {
                let mut browser = stage.browser();
                let first = browser.start("/page");
                let callback = browser.authorize(first.location());
                browser.start("/other");
                browser.get(&callback)
            },
            told: "begun in another tab",
            detail: "belongs to another login",
            mend: "--cookie-csrf-per-request",
        },
    ]
}

fn of_circles() -> Vec<Symptom> {
    let circle = |act, detail, mend| Symptom {
        reason: "login_loop",
        flags: &[],
        act,
        told: "goes round in circles",
        detail,
        mend,
    };
    vec![
        circle(
            |stage| in_circles(stage, |browser| _ = browser.cookies.remove(SESSION)),
            "no session cookie comes back",
            "--session-store-type=redis",
        ),
        circle(
            |stage| {
                in_circles(stage, |browser| {
                    let cookie = browser.cookies.remove(SESSION).unwrap();
                    browser.cookies.insert(format!("{SESSION}_1"), cookie);
                })
            },
            "a part of the session cookie is missing",
            "drops large cookies",
        ),
        circle(
            |stage| in_circles(stage, |_| ()),
            "not with the questions of the proxy in front",
            "pass the Cookie header",
        ),
        Symptom {
            flags: &["--cookie-samesite=strict", "--cookie-csrf-samesite=lax", "--skip-provider-button"],
            ..circle(
                |stage| in_circles(stage, |browser| _ = browser.cookies.remove(SESSION)),
                "SameSite=Strict keeps the cookie back",
                "--cookie-samesite",
            )
        },
    ]
}

#[expect(clippy::too_many_lines, reason = "a table")]
fn of_providers() -> Vec<Symptom> {
    vec![
        Symptom {
            reason: "redirect_uri_mismatch",
            flags: &[],
            act: |stage| {
                sent_back(stage, "error=invalid_request&error_description=The+redirect_uri+is+not+registered")
            },
            told: "does not know the address of this site",
            detail: "/oauth2/callback",
            mend: "register this address",
        },
        Symptom {
            reason: "redirect_uri_mismatch",
            flags: &[],
            act: |stage| {
                let words = r#"{"error":"invalid_grant","error_description":"Incorrect redirect_uri"}"#;
                with_fault(stage, Fault::Status(400, words))
            },
            told: "does not know the address of this site",
            detail: "/oauth2/callback",
            mend: "--redirect-url",
        },
        Symptom {
            reason: "client_refused",
            flags: &[],
            act: |stage| with_fault(stage, Fault::Status(401, r#"{"error":"invalid_client"}"#)),
            told: "does not accept this site",
            detail: "401",
            mend: "--client-secret",
        },
        Symptom {
            reason: "pkce_mismatch",
            flags: &["--code-challenge-method=S256"],
            act: |stage| {
                sent_back(stage, "error=invalid_request&error_description=Missing+parameter:+code_challenge")
            },
            told: "asks for something that this site does not do",
            detail: "code_challenge",
            mend: "--code-challenge-method=S256",
        },
        Symptom {
            reason: "code_not_redeemed",
            flags: &[],
            act: |stage| with_fault(stage, Fault::Status(400, r#"{"error":"invalid_grant"}"#)),
            told: "did not accept this sign-in",
            detail: "invalid_grant",
            mend: "a code is good once",
        },
        Symptom {
            reason: "provider_unreachable",
            flags: &[],
            act: |stage| with_fault(stage, Fault::Close),
            told: "cannot be reached",
            detail: "cannot be reached",
            mend: "this machine reaches the provider",
        },
        Symptom {
            reason: "provider_refused",
            flags: &[],
            act: |stage| sent_back(stage, "error=access_denied&error_description=Not+you"),
            told: "Not you",
            detail: "access_denied Not you",
            mend: "assigned to this client",
        },
        Symptom {
            reason: "code_missing",
            flags: &[],
            act: |stage| sent_back(stage, "x=1"),
            told: "sent no code",
            detail: "",
            mend: "answer with a code",
        },
        Symptom {
            reason: "state_malformed",
            flags: &[],
            act: |stage| stage.browser().get("/oauth2/callback?code=x&state=x"),
            told: "is incomplete",
            detail: "",
            mend: "--encode-state",
        },
    ]
}

#[expect(clippy::too_many_lines, reason = "a table")]
fn of_tokens() -> Vec<Symptom> {
    vec![
        Symptom {
            reason: "clock_skew",
            flags: &[],
            act: |stage| {
                stage.provider.set(|knobs| knobs.claim("iat", now() - 900));
                with_claim(stage, "exp", (now() - 600).into())
            },
            told: "The clocks of this site",
            detail: "s ahead of its iat",
            mend: "NTP",
        },
        Symptom {
            reason: "clock_skew",
            flags: &[],
            act: |stage| {
                stage.provider.set(|knobs| knobs.claim("iat", now() + 900));
                with_claim(stage, "nbf", (now() + 900).into())
            },
            told: "The clocks of this site",
            detail: "s behind its iat",
            mend: "NTP",
        },
        Symptom {
            reason: "audience_mismatch",
            flags: &[],
            act: |stage| with_claim(stage, "aud", "account".into()),
            told: "meant for somebody else",
            detail: "[account]",
            mend: "--oidc-extra-audience",
        },
        Symptom {
            reason: "issuer_mismatch",
            flags: &[],
            act: |stage| with_claim(stage, "iss", "https://other.example".into()),
            told: "did not come from the identity provider of this site",
            detail: "https://other.example",
            mend: "--oidc-issuer-url",
        },
        Symptom {
            reason: "nonce_mismatch",
            flags: &[],
            act: |stage| with_claim(stage, "nonce", "another".into()),
            told: "answered another sign-in",
            detail: "nonce",
            mend: "nonce",
        },
        Symptom {
            reason: "login_too_weak",
            flags: &["--required-acr=gold"],
            act: login,
            told: "a stronger or fresher sign-in",
            detail: "gold",
            mend: "--required-acr",
        },
        Symptom {
            reason: "token_not_accepted",
            flags: &[],
            act: |stage| {
                stage.provider.set(|knobs| knobs.id_token.signature = Signature::Corrupted);
                login(stage)
            },
            told: "could not be verified",
            detail: "signature",
            mend: "--oidc-enabled-signing-alg",
        },
        Symptom {
            reason: "email_missing",
            flags: &[],
            act: |stage| with_claim(stage, "email", Value::Null),
            told: "gave no e-mail address",
            detail: "mail",
            mend: "--oidc-email-claim",
        },
        Symptom {
            reason: "email_unverified",
            flags: &[],
            act: |stage| with_claim(stage, "email_verified", false.into()),
            told: "is not verified",
            detail: "verified",
            mend: "--insecure-oidc-allow-unverified-email",
        },
        Symptom {
            reason: "email_not_allowed",
            flags: &["--email-domain=other.example"],
            act: login,
            told: "is not among those allowed here",
            detail: "--email-domain",
            mend: "add the address",
        },
        Symptom {
            reason: "group_missing",
            flags: &["--allowed-group=board"],
            act: |stage| with_claim(stage, "groups", json!(["staff", "makers"])),
            told: "none of the groups",
            detail: "named 2 groups",
            mend: "--oidc-groups-claim",
        },
    ]
}

fn of_sizes() -> Vec<Symptom> {
    vec![
        Symptom {
            reason: "answer_too_large",
            flags: &[],
            act: |stage| {
                let noise = |n: u64| n.wrapping_mul(0x9e37_79b9_7f4a_7c15).rotate_left(31);
                with_claim(stage, "noise", (0..700).map(noise).collect())
            },
            told: "",
            detail: "bytes",
            mend: "proxy_buffer_size",
        },
        Symptom {
            reason: "request_too_large",
            flags: &[],
            act: |stage| stage.logged_in().get("/status/431"),
            told: "",
            detail: "",
            mend: "--strip-own-cookies",
        },
    ]
}

/// In tests of their own, as Redis has to stop.
const OF_STORES: [&str; 2] = ["session_not_saved", "store_unavailable"];

fn symptoms() -> Vec<Symptom> {
    [of_cookies(), of_circles(), of_providers(), of_tokens(), of_sizes()].into_iter().flatten().collect()
}

/// The page tells it shortly, and the log under its id.
#[track_caller]
fn check(stage: &Stage, symptom: &Symptom, page: &Answer) {
    let Symptom { reason, told, detail, mend, .. } = symptom;
    let text = page.text();
    assert!(text.contains(told), "{reason}: {} {text}", page.status);
    // Lines may come after their answers.
    stage.doorward.wait_for_log(&format!("\"reason\":\"{reason}\""));
    let log = stage.doorward.log();
    let lines = log.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
    let explains = |line: &Value| line["reason"] == *reason && line["message"] != "";
    let line = lines.clone().find(|line| explains(line) && line["mend"].is_string());
    let line = line.unwrap_or_else(|| panic!("{reason}: {log}"));
    assert!(line["mend"].as_str().unwrap().contains(mend), "{reason}: {line}");
    assert!(line["detail"].as_str().unwrap_or_default().contains(detail), "{reason}: {line}");
    if told.is_empty() {
        return;
    }
    assert!(text.contains(line["request_id"].as_str().unwrap()), "{reason}: {text}");
    assert!(!text.contains(line["mend"].as_str().unwrap()), "{reason}: the mend is for operators: {text}");
}

#[test]
fn every_symptom_is_explained_in_the_page_and_in_the_log() {
    for symptom in symptoms() {
        let stage = Stage::launch(|launch| {
            let own_domain = symptom.flags.iter().any(|flag| flag.starts_with("--email-domain"));
            let launch = if own_domain { launch.without("email-domain") } else { launch };
            launch.flags(["--errors-to-info-log", "--log-format=json"]).flags(symptom.flags.iter().copied())
        });
        let page = (symptom.act)(&stage);
        check(&stage, &symptom, &page);
    }
}

#[test]
fn a_store_that_fails_is_explained_in_the_page_and_in_the_log() {
    let mut redis = Redis::start(&[]);
    let flags = redis.flags();
    let stage = Stage::launch(|launch| {
        launch.flags(["--errors-to-info-log", "--log-format=json"]).flags(flags.iter().map(String::as_str))
    });
    let mut browser = stage.logged_in();
    let mut other = stage.browser();
    let start = other.start("/page");
    let callback = other.authorize(start.location());
    redis.stop();
    let store = |reason, told| Symptom {
        reason,
        flags: &[],
        act: login,
        told,
        detail: "",
        mend: "--redis-connection-url",
    };
    check(&stage, &store(OF_STORES[0], "could not be kept"), &other.get(&callback));
    check(&stage, &store(OF_STORES[1], "You are still signed in"), &browser.get("/page"));
}

#[test]
fn nobody_is_stopped_whose_session_comes_back_or_who_signs_out_or_has_another_browser() {
    let stage = Stage::new(&[]);
    let mut browser = stage.browser();
    for _ in 0..5 {
        assert_eq!(browser.login("/page").status, 302);
        browser.get("/oauth2/sign_out");
        assert_eq!(stage.browser().login("/page").status, 302);
    }
    for _ in 0..5 {
        assert_eq!(browser.login("/page").status, 302);
        assert_eq!(browser.get("/page").status, 200, "the session comes back");
        assert_eq!(stage.browser().login("/page").status, 302);
    }
    assert!(browser.get("/oauth2/start").location().starts_with(&stage.provider.issuer()));
}

#[test]
fn a_browser_that_was_stopped_may_try_again() {
    let stage = Stage::new(&[]);
    let mut browser = stage.browser();
    for _ in 0..3 {
        browser.login("/page");
        browser.cookies.remove(SESSION);
    }
    let stopped = browser.get("/oauth2/start");
    assert_eq!((stopped.status, stopped.location()), (403, ""));
    assert_eq!(browser.get("/oauth2/start").status, 302);
    let another = Request::get("/oauth2/start?another_account=true");
    assert_eq!(browser.send(another).status, 302);
}

#[test]
fn the_page_has_the_symptoms_of_the_tests_and_no_others() {
    let page = include_str!("../../../../docs/troubleshooting.md");
    let first = |line: &str| Some(line.strip_prefix("| `")?.split_once('`')?.0.to_owned());
    let mut written: Vec<String> = page.lines().filter_map(first).collect();
    let mut provoked: Vec<String> =
        symptoms().iter().map(|symptom| symptom.reason).chain(OF_STORES).map(ToOwned::to_owned).collect();
    for list in [&mut written, &mut provoked] {
        list.sort();
        list.dedup();
    }
    assert_eq!(written, provoked);
    let logging = include_str!("../../../../docs/logging.md");
    for reason in written {
        assert!(logging.contains(&format!("`{reason}`")), "docs/logging.md lacks {reason}");
    }
}
