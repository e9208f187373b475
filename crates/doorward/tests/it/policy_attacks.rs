//! Attacks on who may pass: odd paths, questions about nothing, guessed passwords, and tokens that name nobody.

use std::{
    sync::atomic::{AtomicBool, Ordering},
    thread,
};

use doorward_testkit::{Browser, Endpoint, Fault, Launch, Provider, Request};
use serde_json::{Value, json};

use crate::support::{BOB, CAROL, Stage, assert_login_accepted, assert_login_refused};

fn send_target(browser: &Browser, target: &str) -> String {
    let host = browser.host();
    browser.raw(format!("GET {target} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n").as_bytes())
}

#[test]
fn a_question_about_nothing_is_opened_by_no_rule_about_other_paths() {
    let about = |uri: &str| Request::get("/oauth2/auth").header("X-Forwarded-Uri", uri);
    let direct = Stage::new(&["--skip-auth-route=!=^/admin"]);
    for request in [Request::get("/oauth2/auth"), about("/admin"), about("/other")] {
        assert_eq!(direct.browser().send(request).status, 401, "nobody may name another request");
    }
    assert_eq!(direct.browser().get("/oauth2/userinfo").status, 401);
    assert_eq!(direct.browser().get("/other").status, 200);
    let behind = Stage::new(&["--skip-auth-route=!=^/admin", "--reverse-proxy"]);
    for (request, status) in
        [(Request::get("/oauth2/auth"), 401), (about("/admin"), 401), (about("/other"), 202)]
    {
        assert_eq!(behind.browser().send(request).status, status);
    }
    let own = Stage::new(&["--skip-auth-route=^/oauth2/auth"]);
    assert_eq!(own.browser().get("/oauth2/auth").status, 202);
}

#[test]
fn what_cannot_be_seen_in_a_path_opens_nothing() {
    for (rule, targets) in [
        (
            "--skip-auth-route=^/public",
            &[
                "/public/.%0a./admin",
                "/public/.%0d./x",
                "/public/..%ff",
                "/public/%ef%bc%8e%ef%bc%8e/admin",
                "/public/%ef%bc%8e%ef%bc%8e%ef%bc%8fadmin",
                "/public/%00x",
            ][..],
        ),
        (
            "--skip-auth-route=!=^/admin",
            &[
                "/%0aadmin",
                "/%09/admin",
                "/%20/admin",
                "/%20admin",
                "/%00/admin",
                "/admin%00",
                "/%ef%bd%81dmin",
                "/%ff",
            ],
        ),
    ] {
        let stage = Stage::new(&[rule]);
        for target in targets {
            let answer = send_target(&stage.browser(), target);
            assert!(!answer.starts_with("HTTP/1.1 2"), "{rule} {target}: {answer}");
        }
        assert!(stage.echo.seen().is_empty(), "{rule}: {:?}", stage.echo.seen());
    }
    let stage = Stage::new(&["--skip-auth-route=^/public"]);
    for target in ["/public/a%20b", "/public/caf%C3%A9", "/public/%E4%BD%95%EF%BC%9F"] {
        assert_eq!(stage.browser().get(target).status, 200, "{target}");
    }
}

fn with_passwords() -> Stage {
    Stage::launch(|launch: Launch| {
        launch.file("htpasswd", &format!("{BOB}{CAROL}")).flag("--htpasswd-file={file:htpasswd}")
    })
}

fn tries(mut browser: Browser, user: &str, password: &str) -> u16 {
    browser.send(Request::get("/oauth2/auth").basic(user, password)).status
}

#[test]
fn many_guesses_at_once_are_hardly_looked_at() {
    let stage = with_passwords();
    thread::scope(|scope| {
        for number in 0..100 {
            let browser = stage.browser();
            scope.spawn(move || assert_eq!(tries(browser, "bob", &format!("guess{number}")), 401));
        }
    });
    let log = stage.doorward.log();
    let looked_at = log.matches("not in Htpasswd File").count();
    let unseen = log.matches("too many failed attempts").count();
    assert_eq!(looked_at + unseen, 100, "{log}");
    // A few are free, a few may wait, and the machine may take its time.
    assert!(looked_at < 40, "{looked_at} were looked at");
}

#[test]
fn an_attacker_elsewhere_locks_nobody_out() {
    let stage = with_passwords();
    let over = AtomicBool::new(false);
    thread::scope(|scope| {
        for number in 0..20 {
            let (stage, over) = (&stage, &over);
            scope.spawn(move || {
                let mut guess = 0;
                while !over.load(Ordering::Relaxed) {
                    guess += 1;
                    tries(stage.doorward.browser_from("127.0.0.66"), "bob", &format!("{number}-{guess}"));
                }
            });
        }
        doorward_testkit::eventually("the attack is noticed", || {
            stage.doorward.log().contains("too many failed attempts")
        });
        let owner =
            |number| tries(stage.doorward.browser_from(&format!("127.0.0.{number}")), "bob", "builder");
        let answers: Vec<u16> = (1..=8).map(owner).collect();
        over.store(true, Ordering::Relaxed);
        assert_eq!(answers, [202; 8]);
    });
}

#[test]
fn a_page_of_requests_with_one_password_is_one_try() {
    let stage = with_passwords();
    thread::scope(|scope| {
        for _ in 0..40 {
            let browser = stage.browser();
            scope.spawn(move || assert_eq!(tries(browser, "bob", "builder"), 202));
        }
    });
}

#[test]
fn an_id_token_that_names_nobody_is_no_login() {
    let stage = Stage::new(&["--oidc-email-claim=email"]);
    for (name, value) in [
        ("sub", Value::Null),
        ("sub", json!("")),
        ("sub", json!(["a"])),
        ("sub", json!([])),
        ("sub", json!({ "a": "b" })),
        ("email", json!(["jane@example.com"])),
        ("email", json!({ "a": "jane@example.com" })),
    ] {
        stage.provider.set(|knobs| {
            *knobs = doorward_testkit::Knobs::default();
            knobs.claim(name, value.clone());
        });
        assert_login_refused(&stage, &format!("{name} is {value}"));
    }
    stage.provider.set(|knobs| *knobs = doorward_testkit::Knobs::default());
    assert_login_accepted(&stage, "the usual claims");
}

#[test]
fn a_provider_that_repeats_our_request_does_not_bring_the_secret_into_the_log() {
    // The Base64 of client id and encoded secret.
    let basic = "ZG9vcndhcmQtY2xpZW50OnRoZStzZWNyZXQrb2YrdGhlK2NsaWVudCUyRiUyQiUyNQ==";
    let encoded = crate::support::encoded(Provider::CLIENT_SECRET);
    let words = format!("bad: client_secret={encoded}; Basic {basic}");
    let body = json!({ "error": "invalid_grant", "error_description": words }).to_string();
    let stage = Stage::new(&["--show-debug-on-error"]);
    stage.provider.fail(Endpoint::Token, Fault::Status(400, body.leak()));
    let page = assert_login_refused(&stage, "the code is refused").text();
    let log = stage.doorward.log();
    assert!(log.contains("[secret]"), "{log}");
    for text in [page, log] {
        assert!(!text.contains(&encoded) && !text.contains(basic.trim_end_matches('=')), "{text}");
    }
}
