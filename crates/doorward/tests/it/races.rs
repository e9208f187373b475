//! What happens at the same time as something else: a refresh is under way while somebody signs out or in, the store
//! goes down at a sign-out, the provider's answer to a refresh is about somebody else, and what other sites can make a
//! browser do meanwhile.

use std::{
    io::{Read, Write},
    net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream},
    sync::{
        Arc, Condvar, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    thread::{self, JoinHandle},
};

use doorward_testkit::{Answer, Browser, Endpoint, Provider, Redis, Request, eventually};
use serde_json::{Value, json};

use crate::{
    refresh::{SHORT, wait_until_due},
    support::{BOB, SESSION, Stage, brings_session, encoded},
};

/// Passes everything on to the provider's token endpoint, but answers to a refresh only while it is open.
struct Valve {
    address: SocketAddr,
    open: Switch,
}

type Switch = Arc<(Mutex<bool>, Condvar)>;

impl Valve {
    /// Open, and in front of this provider from now on.
    fn before(provider: &Provider) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let address = listener.local_addr().unwrap();
        let open = Switch::new((Mutex::new(true), Condvar::new()));
        let (switch, port) = (Arc::clone(&open), provider.port());
        thread::spawn(move || {
            for client in listener.incoming().flatten() {
                let Ok(server) = TcpStream::connect((Ipv4Addr::LOCALHOST, port)) else { return };
                connect(client, server, &switch);
            }
        });
        let endpoint = format!("http://{address}/token");
        provider.set(|knobs| _ = knobs.discovery.insert("token_endpoint".to_owned(), endpoint.into()));
        Self { address, open }
    }

    fn close(&self) {
        *self.open.0.lock().unwrap() = false;
    }

    fn open(&self) {
        *self.open.0.lock().unwrap() = true;
        self.open.1.notify_all();
    }
}

impl Drop for Valve {
    fn drop(&mut self) {
        self.open();
        // Wakes the thread that accepts, which ends if the provider is gone.
        let _ = TcpStream::connect(self.address);
    }
}

fn connect(client: TcpStream, server: TcpStream, open: &Switch) {
    let refreshes = Arc::new(AtomicBool::new(false));
    let (asks, open) = (Arc::clone(&refreshes), Arc::clone(open));
    let ends = (client.try_clone().unwrap(), server.try_clone().unwrap());
    thread::spawn(move || {
        pass_on(ends.0, ends.1, |bytes| {
            let text = String::from_utf8_lossy(bytes);
            if text.contains("grant_type=") {
                asks.store(text.contains("grant_type=refresh_token"), Ordering::SeqCst);
            }
        });
    });
    thread::spawn(move || {
        pass_on(server, client, |_| {
            if refreshes.load(Ordering::SeqCst) {
                drop(open.1.wait_while(open.0.lock().unwrap(), |open| !*open).unwrap());
            }
        });
    });
}

fn pass_on(mut from: TcpStream, mut to: TcpStream, before_each: impl Fn(&[u8])) {
    let mut buffer = [0; 16 * 1024];
    while let Ok(length @ 1..) = from.read(&mut buffer) {
        before_each(&buffer[..length]);
        if to.write_all(&buffer[..length]).is_err() {
            break;
        }
    }
    let _ = to.shutdown(Shutdown::Both);
}

/// Somebody whose session is due, and a valve that is closed.
struct Race {
    valve: Valve,
    stage: Stage,
    browser: Browser,
    redis: Option<Redis>,
}

impl Race {
    fn new(redis: Option<Redis>) -> Self {
        let flags = redis.iter().flat_map(Redis::flags).collect::<Vec<_>>();
        let mut valve = None;
        let stage = Stage::before(
            |provider| valve = Some(Valve::before(provider)),
            |launch| launch.flag(SHORT).flags(flags.iter().map(String::as_str)),
        );
        let valve = valve.unwrap();
        let browser = stage.logged_in();
        wait_until_due();
        valve.close();
        Self { valve, stage, browser, redis }
    }

    /// A request that waits for a refresh.
    fn request(&self) -> JoinHandle<Answer> {
        let mut browser = self.browser.clone();
        let request = thread::spawn(move || browser.get("/oauth2/userinfo"));
        eventually("the refresh is under way", || self.stage.provider.count(Endpoint::Refresh) == 1);
        request
    }

    /// The session of this browser is over: nothing is kept of the refresh, and nothing brings it back.
    #[track_caller]
    fn assert_over(&self, request: JoinHandle<Answer>) {
        self.valve.open();
        let late = request.join().unwrap();
        assert_eq!(late.status, 401, "{}", late.text());
        assert_eq!(late.set_cookies(), [], "a sign-out or login would be undone");
        let after = self.browser.clone().get("/oauth2/userinfo");
        assert_eq!(after.status, 401, "the old cookie still finds the session");
        assert!(!brings_session(&after));
        assert_eq!(self.stage.provider.count(Endpoint::Refresh), 1);
    }
}

fn on_every_store(check: impl Fn(Race) + Sync) {
    thread::scope(|scope| {
        scope.spawn(|| check(Race::new(None)));
        scope.spawn(|| check(Race::new(Some(Redis::start(&[])))));
    });
}

#[test]
fn a_refresh_under_way_does_not_undo_a_sign_out() {
    on_every_store(|race| {
        let request = race.request();
        let mut browser = race.browser.clone();
        assert_eq!(browser.get("/oauth2/sign_out").status, 302);
        assert!(browser.cookies.is_empty());
        race.assert_over(request);
        if let Some(redis) = &race.redis {
            assert_eq!(redis.keys(), Vec::<String>::new());
        }
    });
}

#[test]
fn a_refresh_under_way_does_not_undo_a_visit_to_the_sign_in_page() {
    on_every_store(|race| {
        let request = race.request();
        assert_eq!(race.browser.clone().get("/oauth2/sign_in").status, 200);
        race.assert_over(request);
    });
}

#[test]
fn a_refresh_under_way_does_not_undo_another_login() {
    on_every_store(|race| {
        let request = race.request();
        let mut browser = race.browser.clone();
        assert_eq!(browser.login("/").status, 302);
        race.assert_over(request);
        assert_eq!(browser.get("/oauth2/auth").status, 202, "the new login stands");
    });
}

#[test]
fn a_refresh_under_way_does_not_undo_a_sign_out_at_another_process() {
    let race = Race::new(Some(Redis::start(&[])));
    let redis = race.redis.as_ref().unwrap();
    let flags = redis.flags();
    let sibling = race.stage.sibling(&[SHORT, &flags[0], &flags[1]]);
    let request = race.request();
    let mut browser = sibling.browser();
    browser.cookies = race.browser.cookies.clone();
    assert_eq!(browser.get("/oauth2/sign_out").status, 302);
    race.valve.open();
    let late = request.join().unwrap();
    assert_eq!(late.status, 401, "{}", late.text());
    assert!(!brings_session(&late));
    assert_eq!(redis.keys(), Vec::<String>::new());
}

#[test]
fn signing_out_after_a_refresh_ends_the_cookie_from_before_it_too() {
    let stage = Stage::new(&[SHORT]);
    let mut browser = stage.logged_in();
    let before = browser.clone();
    wait_until_due();
    assert_eq!(browser.get("/oauth2/userinfo").status, 200);
    assert_ne!(before.cookies[SESSION], browser.cookies[SESSION]);
    assert_eq!(browser.get("/oauth2/sign_out").status, 302);
    let late = before.clone().get("/oauth2/userinfo");
    assert_eq!(late.status, 401);
    assert!(!brings_session(&late));
    assert_eq!(stage.provider.count(Endpoint::Refresh), 1);
}

#[test]
fn a_refresh_that_is_about_somebody_else_or_unverified_ends_the_session() {
    let cases: [(&str, Value); 4] = [
        ("sub", json!("sub-of-another")),
        ("email_verified", json!(false)),
        ("email", Value::Null),
        ("email", json!("")),
    ];
    for (claim, value) in cases {
        let stage = Stage::new(&[SHORT]);
        let mut browser = stage.logged_in();
        let before = browser.clone();
        stage.provider.set(|knobs| knobs.claim(claim, value.clone()));
        wait_until_due();
        assert_eq!(browser.get("/oauth2/userinfo").status, 401, "{claim} {value}");
        assert!(browser.cookies.is_empty(), "{claim} {value}");
        assert_eq!(before.clone().get("/oauth2/auth").status, 401, "{claim} {value}");
    }
}

#[test]
fn a_sign_out_that_does_not_reach_the_store_says_so() {
    let mut redis = Redis::start(&[]);
    let flags = redis.flags();
    let stage = Stage::launch(|launch| launch.flags(flags.iter().map(String::as_str)));
    let mut browser = stage.logged_in();
    redis.stop();
    let answer = browser.get("/oauth2/sign_out");
    assert_eq!(answer.status, 500, "{}", answer.text());
    assert!(answer.text().contains("could not be removed"), "{}", answer.text());
    assert!(browser.cookies.is_empty(), "the browser forgets it all the same");
    stage.doorward.wait_for_log("A session could not be removed from the store");
}

#[test]
fn the_id_token_leaves_only_to_other_sites_and_only_if_we_sent_the_browser_there() {
    let stage = Stage::new(&["--whitelist-domain=ok.example"]);
    let away = format!("/oauth2/sign_out?rd={}", encoded("https://ok.example/?t={id_token}"));
    let home = format!("/oauth2/sign_out?rd={}", encoded("/page?t={id_token}"));
    let location = |target: &str, site: &str| {
        let request = Request::get(target);
        let request = if site.is_empty() { request } else { request.header("Sec-Fetch-Site", site) };
        let answer = stage.logged_in().send(request);
        assert_eq!(answer.status, 302);
        answer.location().to_owned()
    };
    for site in ["", "none", "same-origin", "same-site"] {
        assert!(location(&away, site).starts_with("https://ok.example/?t=ey"), "{site}");
        assert_eq!(location(&home, site), "/page?t=", "{site}");
    }
    assert_eq!(location(&away, "cross-site"), "https://ok.example/?t=");
    assert_eq!(location(&home, "cross-site"), "/page?t=");
}

#[test]
fn the_password_form_of_another_site_signs_nobody_in() {
    let stage = Stage::launch(|launch| launch.file("htpasswd", BOB).flag("--htpasswd-file={file:htpasswd}"));
    let own = format!("http://{}", stage.browser().host());
    let sign_in = |headers: &[(&str, &str)]| {
        let fields = [("username", "bob"), ("password", "builder"), ("rd", "/")];
        let form = Request::form("/oauth2/sign_in", &fields);
        let form = headers.iter().fold(form, |form, (name, value)| form.header(name, value));
        let answer = stage.browser().send(form);
        assert_eq!(brings_session(&answer), answer.status == 302, "{headers:?}");
        answer.status
    };
    assert_eq!(sign_in(&[]), 302);
    assert_eq!(sign_in(&[("Origin", &own)]), 302);
    assert_eq!(sign_in(&[("Origin", &own), ("Sec-Fetch-Site", "same-origin")]), 302);
    assert_eq!(sign_in(&[("Origin", "https://evil.example")]), 403);
    assert_eq!(sign_in(&[("Origin", "null")]), 403);
    assert_eq!(sign_in(&[("Sec-Fetch-Site", "cross-site")]), 403);
    assert_eq!(sign_in(&[("Origin", &own), ("Sec-Fetch-Site", "cross-site")]), 403);
}

#[test]
fn a_cookie_that_a_neighbour_has_set_signs_nobody_out() {
    let redis = Redis::start(&[]);
    let flags = redis.flags();
    for flags in [&[][..], &flags[..]] {
        let stage = Stage::launch(|launch| launch.flags(flags.iter().map(String::as_str)));
        let browser = stage.logged_in();
        let ours = browser.cookie_header();
        for tossed in
            ["_oauth2_proxy=bad", "_oauth2_proxy_0=bad", "_oauth2_proxy=a|1700000000|b; _oauth2_proxy=x"]
        {
            let request = Request::get("/oauth2/auth").header("Cookie", &format!("{tossed}; {ours}"));
            let answer = browser.clone().send(request);
            assert_eq!(answer.status, 202, "{tossed}");
            assert_eq!(answer.set_cookies(), [], "{tossed}");
        }
    }
}

#[test]
fn a18_what_another_site_embeds_signs_nobody_out() {
    let stage = Stage::new(&[]);
    let ask = |target: &str, mode: &str, site: &str| {
        let mut browser = stage.logged_in();
        let request = Request::get(target).header("Sec-Fetch-Mode", mode).header("Sec-Fetch-Site", site);
        let cookies = browser.send(request).set_cookies();
        (cookies.is_empty(), browser.get("/oauth2/auth").status)
    };
    for target in ["/oauth2/sign_out", "/oauth2/sign_out?rd=/page", "/oauth2/sign_in"] {
        for mode in ["no-cors", "cors"] {
            assert_eq!(ask(target, mode, "cross-site"), (true, 202), "{target} {mode}");
        }
        // Somebody follows a link, or a provider signs people out in a frame.
        assert_eq!(ask(target, "navigate", "cross-site"), (false, 401), "{target}");
        assert_eq!(ask(target, "cors", "same-origin"), (false, 401), "{target}");
    }
}

#[test]
fn with_the_store_down_nobody_gets_in() {
    let mut redis = Redis::start(&[]);
    let flags = redis.flags();
    let stage = Stage::launch(|launch| launch.flags(flags.iter().map(String::as_str)));
    let browser = stage.logged_in();
    redis.stop();
    let questions = [
        (Request::get("/oauth2/auth"), 401),
        (Request::get("/oauth2/userinfo"), 503),
        (Request::get("/page"), 500),
        (Request::get("/page").header("Accept", "application/json"), 503),
        (Request::get("/ready"), 500),
    ];
    for (request, accepted) in questions {
        let target = format!("{request:?}");
        let answer = browser.clone().send(request);
        assert_eq!(answer.status, accepted, "{target}");
        assert_eq!(answer.set_cookies(), [], "{target}: a session that cannot be read is not thrown away");
    }
    assert!(stage.echo.seen().is_empty());
}

#[test]
fn b5_a_value_in_the_store_that_is_no_session_is_none() {
    let redis = Redis::start(&[]);
    let flags = redis.flags();
    let mut stage = Stage::launch(|launch| launch.flags(flags.iter().map(String::as_str)));
    for value in ["x", "elevenbytes", "twelve-bytes", "\"\"", "\"\\x00\\xff\\x80\""] {
        let mut browser = stage.logged_in();
        let keys = redis.cli(&["keys", "*"]);
        let key = keys.lines().last().unwrap().trim().to_owned();
        assert!(redis.cli(&["--quoted-input", "set", &key, value]).contains("OK"), "{key}");
        assert_eq!(browser.get("/oauth2/auth").status, 401, "{value}");
        redis.cli(&["flushall"]);
    }
    stage.doorward.assert_alive();
}

#[test]
fn a_provider_that_never_answers_a_sign_out_is_left() {
    let silent = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let url = format!("--backend-logout-url=http://{}/logout", silent.local_addr().unwrap());
    let stage = Stage::new(&[&url]);
    let mut browser = stage.logged_in();
    assert_eq!(browser.get("/oauth2/sign_out").status, 302);
    assert!(browser.cookies.is_empty());
    drop(silent);
}
