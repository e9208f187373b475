//! Starting without the provider, stopping in good order, and staying up in between.

use std::thread;

use doorward_testkit::{Echo, Endpoint, Fault, Launch, Provider, Request, eventually};

use crate::support::{PROGRAM, Stage, assert_login_accepted, at_once};

#[test]
fn c26_without_the_provider_we_serve_and_say_so_and_recover() {
    let echo = Echo::start();
    let gone = Provider::start();
    let launch = Launch::new(PROGRAM, &gone, &echo).flag("--skip-auth-route=^/open$");
    let port = gone.port();
    drop(gone);
    let doorward = launch.start();
    let mut browser = doorward.browser();
    assert_eq!(browser.get("/ping").status, 200);
    assert_eq!(browser.get("/ready").status, 503);
    assert_eq!(browser.get("/open").status, 200);
    assert_eq!(browser.get("/page").status, 403);
    assert_eq!(browser.get("/oauth2/auth").status, 401);
    let start = browser.get("/oauth2/start");
    assert_eq!((start.status, start.location()), (503, ""));
    let provider = Provider::start_at(port);
    eventually("the provider is found", || browser.clone().get("/ready").status == 200);
    assert_eq!(browser.login("/page").location(), "/page");
    assert_eq!(browser.get("/page").status, 200);
    drop((doorward, provider));
}

#[test]
fn a_provider_that_answers_nonsense_is_waited_for() {
    let faults = [
        Fault::Status(500, "oops"),
        Fault::Malformed,
        Fault::Close,
        Fault::HugeBody,
        Fault::GzipBomb,
        Fault::Hang,
        Fault::Drip,
    ];
    at_once(&faults, |&fault| {
        let mut stage = Stage::before(|provider| provider.fail(Endpoint::Discovery, fault), |launch| launch);
        let mut browser = stage.browser();
        assert_ne!(browser.get("/ready").status, 200, "{fault:?}");
        assert_eq!(browser.get("/page").status, 403, "{fault:?}");
        stage.provider.mend(Endpoint::Discovery);
        eventually(&format!("recovered from {fault:?}"), || browser.clone().get("/ready").status == 200);
        assert_login_accepted(&stage, &format!("{fault:?}"));
        stage.doorward.assert_alive();
    });
}

#[test]
fn sessions_outlive_trouble_at_the_provider() {
    let stage = Stage::new(&[]);
    let mut browser = stage.logged_in();
    for endpoint in [Endpoint::Discovery, Endpoint::Keys, Endpoint::Token, Endpoint::UserInfo] {
        stage.provider.fail(endpoint, Fault::Close);
    }
    assert_eq!(browser.get("/page").status, 200);
    assert_eq!(browser.get("/ready").status, 200);
    assert_eq!(browser.get("/oauth2/sign_out").status, 302);
}

#[test]
fn a_stop_lets_requests_under_way_finish_and_takes_no_new_ones() {
    let mut stage = Stage::new(&[]);
    let browser = stage.logged_in();
    let mut idle = browser.connect().unwrap();
    assert_eq!(browser.clone().send_on(&mut idle, Request::get("/page")).unwrap().status, 200);
    let waiting = {
        let mut browser = browser.clone();
        thread::spawn(move || browser.get("/held"))
    };
    eventually("the request is under way", || stage.echo.count("/held") == 1);
    stage.doorward.terminate();
    stage.doorward.wait_for_log("SIGTERM");
    eventually("nobody new is let in", || browser.clone().try_send(Request::get("/page")).is_err());
    stage.echo.release();
    let answer = waiting.join().unwrap();
    assert_eq!((answer.status, answer.text().as_str()), (200, "held"));
    assert!(stage.doorward.ended().success());
}

#[test]
fn c33_a_stop_waits_no_longer_than_it_was_told() {
    let mut stage = Stage::new(&["--shutdown-timeout=100ms"]);
    let mut browser = stage.logged_in();
    let waiting = thread::spawn(move || browser.try_send(Request::get("/held")));
    eventually("the request is under way", || stage.echo.count("/held") == 1);
    stage.doorward.terminate();
    assert!(stage.doorward.ended().success());
    assert!(waiting.join().unwrap().is_err(), "the application never answered");
    stage.doorward.wait_for_log("did not finish in time");
}

#[test]
fn a_client_that_leaves_in_the_middle_does_no_harm() {
    let mut stage = Stage::new(&[]);
    let browser = stage.logged_in();
    for text in [
        "",
        "G",
        "GET /page HTTP/1.1\r\nHost: x\r\n",
        "POST /page HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\nhalf",
        "POST /oauth2/sign_in HTTP/1.1\r\nHost: x\r\nContent-Type: application/x-www-form-urlencoded\r\nContent-Length: 100\r\n\r\nusername=",
        "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0garbage",
        "\u{16}\u{3}\u{1}\0\u{ff}",
        "\0\0\0\0",
    ] {
        let mut line = browser.connect().unwrap();
        line.write(
            text.replacen("Host: x", &format!("Host: x\r\nCookie: {}", browser.cookie_header()), 1)
                .as_bytes(),
        );
        drop(line);
    }
    stage.doorward.assert_alive();
    assert_eq!(browser.clone().get("/page").status, 200);
}

#[test]
fn an_endless_form_is_not_read_to_its_end() {
    let mut stage = Stage::new(&[]);
    for target in ["/oauth2/sign_in", "/oauth2/start", "/oauth2/callback", "/oauth2/sign_out"] {
        let form = Request::new("POST", target)
            .header("Content-Type", "application/x-www-form-urlencoded")
            .body(&format!("rd=/&x={}", "a".repeat(3_000_000)));
        if let Ok(answer) = stage.browser().try_send(form) {
            assert!(answer.status >= 400, "{target}: {}", answer.status);
        }
    }
    stage.doorward.assert_alive();
}
