//! The configuration changes while the program runs: it is taken over as a whole or not at all, and nobody is cut off.

use std::{
    fs,
    io::{self, BufRead, BufReader, Read, Write},
    net::{SocketAddr, TcpListener, TcpStream},
    os::unix::fs::symlink,
    sync::atomic::{AtomicBool, AtomicUsize, Ordering},
    thread::{self, ScopedJoinHandle},
};

use doorward_net::{ServerVerification, client_config};
use doorward_testkit::{Browser, Echo, Endpoint, Launch, Provider, Redis, Request, eventually, free_address};
use rustls::{ClientConnection, StreamOwned, pki_types::ServerName};

use crate::support::{BOB, CAROL, PROGRAM, Stage, brings_session, parts};

const CERTIFICATE: &str = include_str!("tls/certificate.pem");
const KEY: &str = include_str!("tls/key.pem");
const OTHER_CERTIFICATE: &str = include_str!("../../../doorward-net/tests/tls/cert.pem");
const OTHER_KEY: &str = include_str!("../../../doorward-net/tests/tls/key.pem");

const SECRETS: [&str; 3] =
    ["the first secret", "the second secret of 24!", "the third secret of 32 bytes ..."];

/// With a TOML file of this text, and whatever else.
fn configured(toml: &str, change: impl FnOnce(Launch) -> Launch) -> Stage {
    Stage::launch(|launch| change(launch.file("doorward.toml", toml).flag("--config={file:doorward.toml}")))
}

fn status(stage: &Stage, target: &str) -> u16 {
    stage.browser().get(target).status
}

#[test]
fn a_changed_file_is_taken_over_and_sighup_reads_it_again() {
    let stage = configured("skip_auth_routes = [\"^/one$\"]", |launch| launch);
    assert_eq!((status(&stage, "/one"), status(&stage, "/two")), (200, 403));
    stage.doorward.reload_with("doorward.toml", "skip_auth_routes = [\"^/two$\"]");
    assert_eq!((status(&stage, "/one"), status(&stage, "/two")), (403, 200));
    stage.doorward.reload();
    assert_eq!((status(&stage, "/one"), status(&stage, "/two")), (403, 200));
}

#[test]
fn a_bad_configuration_is_refused_with_all_its_errors_and_the_next_good_one_is_taken() {
    let mut stage = configured("skip_auth_routes = [\"^/one$\"]", |launch| launch);
    for (bad, named) in [
        ("skip_auth_routes = [\"^/two$\"]\ncookie_samesite = \"sometimes\"\nno_such_key = 1", "no_such_key"),
        ("skip_auth_routes = [\"(\"]\ncookie_name = \"a b\"", "skip-auth-route"),
        ("skip_auth_routes = [\"(\"]\ncookie_name = \"a b c\"", "cookie-name"),
        ("skip_auth_routes = [", "not valid TOML"),
        ("", "nothing is in it any more"),
    ] {
        let before = stage.doorward.log().len();
        stage.doorward.rewrite("doorward.toml", bad);
        let said = || stage.doorward.log().split_off(before);
        eventually("it is refused", || said().contains("Configuration not reloaded"));
        assert!(said().contains(named), "{named}: {}", said());
        assert_eq!((status(&stage, "/one"), status(&stage, "/two")), (200, 403), "{bad}");
        // It is still bad, also for whoever insists.
        let before = stage.doorward.log().len();
        stage.doorward.signal("-HUP");
        eventually("it is refused again", || {
            stage.doorward.log().split_off(before).contains("Configuration not reloaded")
        });
    }
    assert_eq!(stage.doorward.reloads(), 0);
    stage.doorward.reload_with("doorward.toml", "skip_auth_routes = [\"^/two$\"]");
    assert_eq!((status(&stage, "/one"), status(&stage, "/two")), (403, 200));
    stage.doorward.assert_alive();
}

#[test]
fn a_file_that_goes_away_or_comes_later_is_noticed() {
    let stage = configured("skip_auth_routes = [\"^/one$\"]", |launch| launch);
    let emails = stage.doorward.path("emails");
    let naming = format!("skip_auth_routes = [\"^/two$\"]\nauthenticated_emails_file = {emails:?}");
    stage.doorward.rewrite("doorward.toml", &naming);
    stage.doorward.wait_for_log("authenticated-emails-file");
    assert_eq!(status(&stage, "/one"), 200);
    // The file that the refused configuration lacked.
    stage.doorward.reload_with("emails", "jane@example.com\n");
    assert_eq!(status(&stage, "/two"), 200);
    let before = stage.doorward.log().len();
    fs::remove_file(&emails).unwrap();
    eventually("its loss is told", || {
        stage.doorward.log().split_off(before).contains("authenticated-emails-file")
    });
    assert_eq!(status(&stage, "/two"), 200);
}

#[test]
fn rules_that_become_stricter_bind_the_very_next_request() {
    let stage = configured("allowed_groups = [\"staff\"]", |launch| {
        launch
            .without("email-domain")
            .flag("--email-domain=nowhere.example")
            .file("emails", "jane@example.com\n")
            .file("htpasswd", BOB)
            .flag("--authenticated-emails-file={file:emails}")
            .flag("--htpasswd-file={file:htpasswd}")
            .flag("--htpasswd-user-group=staff")
    });
    let browser = stage.logged_in();
    let mut line = browser.connect().unwrap();
    let mut ask = || browser.clone().send_on(&mut line, Request::get("/oauth2/auth")).unwrap().status;
    let bob = || stage.browser().send(Request::get("/oauth2/auth").basic("bob", "builder")).status;
    assert_eq!((ask(), bob()), (202, 202));
    stage.doorward.reload_with("doorward.toml", "allowed_groups = [\"bosses\"]");
    assert_eq!((ask(), bob()), (401, 401), "on an old connection too");
    stage.doorward.reload_with("doorward.toml", "allowed_groups = [\"staff\"]");
    assert_eq!((ask(), bob()), (202, 202));
    stage.doorward.reload_with("emails", "joe@example.com\n");
    assert_eq!((ask(), bob()), (401, 202));
    stage.doorward.reload_with("htpasswd", CAROL);
    assert_eq!(bob(), 401);
}

#[test]
fn a_swap_of_kubernetes_links_changes_all_files_at_once() {
    let volume = std::env::temp_dir().join(format!("doorward-volume-{}", std::process::id()));
    let version = |name: &str, route: &str, emails: &str| {
        let folder = volume.join(name);
        fs::create_dir_all(&folder).unwrap();
        fs::write(folder.join("doorward.toml"), format!("skip_auth_routes = [\"^/{route}$\"]")).unwrap();
        fs::write(folder.join("emails"), emails).unwrap();
    };
    version("..v1", "one", "jane@example.com\n");
    symlink("..v1", volume.join("..data")).unwrap();
    for name in ["doorward.toml", "emails"] {
        symlink(format!("..data/{name}"), volume.join(name)).unwrap();
    }
    let stage = Stage::launch(|launch| {
        launch
            .without("email-domain")
            .flag(&format!("--config={}", volume.join("doorward.toml").display()))
            .flag(&format!("--authenticated-emails-file={}", volume.join("emails").display()))
    });
    let mut browser = stage.logged_in();
    for (name, route, emails, standing) in
        [("..v2", "two", "joe@example.com\n", 401), ("..v3", "three", "jane@example.com\n", 202)]
    {
        let before = stage.doorward.reloads();
        version(name, route, emails);
        symlink(name, volume.join("..data_tmp")).unwrap();
        fs::rename(volume.join("..data_tmp"), volume.join("..data")).unwrap();
        stage.doorward.wait_for_reloads(before + 1);
        assert_eq!(status(&stage, &format!("/{route}")), 200);
        assert_eq!(browser.clone().get("/oauth2/auth").status, standing);
        assert_eq!(stage.doorward.reloads(), before + 1);
    }
    assert_eq!(browser.get("/page").status, 200);
    drop(stage);
    fs::remove_dir_all(&volume).unwrap();
}

/// A connection over TLS, whatever certificate there is.
struct TlsLine(BufReader<StreamOwned<ClientConnection, TcpStream>>);

impl TlsLine {
    fn open(address: SocketAddr) -> io::Result<Self> {
        let config = client_config(ServerVerification::Disabled, None).unwrap();
        let connection = ClientConnection::new(config, ServerName::try_from("localhost").unwrap()).unwrap();
        Ok(Self(BufReader::new(StreamOwned::new(connection, TcpStream::connect(address)?))))
    }

    /// The status line of the answer to a `GET`, whose body is read too.
    fn get(&mut self, target: &str) -> io::Result<String> {
        let request = format!("GET {target} HTTP/1.1\r\nHost: localhost\r\n\r\n");
        self.0.get_mut().write_all(request.as_bytes())?;
        let (mut status, mut length) = (String::new(), 0);
        self.0.read_line(&mut status)?;
        loop {
            let mut line = String::new();
            self.0.read_line(&mut line)?;
            let line = line.trim().to_ascii_lowercase();
            if let Some(value) = line.strip_prefix("content-length:") {
                length = value.trim().parse().unwrap();
            }
            if line.is_empty() {
                break;
            }
        }
        self.0.read_exact(&mut vec![0; length])?;
        Ok(status.trim().to_owned())
    }

    fn certificate(&self) -> Vec<u8> {
        self.0.get_ref().conn.peer_certificates().unwrap()[0].to_vec()
    }
}

#[test]
fn a_new_certificate_is_shown_by_the_next_handshake_and_old_connections_live_on() {
    let (https, metrics) = (free_address(), free_address());
    let (provider, echo) = parts();
    let doorward = Launch::new(PROGRAM, &provider, &echo)
        .file("cert.pem", CERTIFICATE)
        .file("key.pem", KEY)
        .flag(&format!("--https-address={https}"))
        .flag("--tls-cert-file={file:cert.pem}")
        .flag("--tls-key-file={file:key.pem}")
        .flag(&format!("--metrics-address={metrics}"))
        .start_at(metrics);
    let mut old = TlsLine::open(https).unwrap();
    assert_eq!(old.get("/ping").unwrap(), "HTTP/1.1 200 OK");
    // The new certificate does not fit the old key: somebody writes one after the other.
    doorward.rewrite("cert.pem", OTHER_CERTIFICATE);
    doorward.wait_for_log("Configuration not reloaded");
    let mut middle = TlsLine::open(https).unwrap();
    assert_eq!(middle.get("/ping").unwrap(), "HTTP/1.1 200 OK");
    assert_eq!(middle.certificate(), old.certificate());
    doorward.reload_with("key.pem", OTHER_KEY);
    let mut new = TlsLine::open(https).unwrap();
    assert_eq!(new.get("/ping").unwrap(), "HTTP/1.1 200 OK");
    assert_ne!(new.certificate(), old.certificate());
    assert_eq!(old.get("/ping").unwrap(), "HTTP/1.1 200 OK");
    assert_eq!(middle.get("/ping").unwrap(), "HTTP/1.1 200 OK");
}

#[test]
fn no_request_fails_while_the_configuration_changes_twenty_times() {
    let routes = |round: usize| format!("skip_auth_routes = [\"^/open$\", \"^/round{round}$\"]");
    let stage = configured(&routes(0), |launch| launch);
    let browser = stage.logged_in();
    let (stop, answered) = (AtomicBool::new(false), AtomicUsize::new(0));
    thread::scope(|scope| {
        let ask = |keep: bool| {
            let mut browser = browser.clone();
            let mut line = browser.connect().unwrap();
            while !stop.load(Ordering::Relaxed) {
                if !keep {
                    line = browser.connect().unwrap();
                }
                for target in ["/page", "/open", "/oauth2/userinfo"] {
                    let answer = browser.send_on(&mut line, Request::get(target)).unwrap();
                    assert_eq!(answer.status, 200, "{target}: {}", answer.text());
                }
                answered.fetch_add(1, Ordering::Relaxed);
            }
        };
        let askers = [true, true, false, false].map(|keep| scope.spawn(move || ask(keep)));
        for round in 1..=20 {
            stage.doorward.reload_with("doorward.toml", &routes(round));
            let before = answered.load(Ordering::Relaxed);
            eventually("requests are answered", || {
                answered.load(Ordering::Relaxed) > before || askers.iter().any(ScopedJoinHandle::is_finished)
            });
        }
        stop.store(true, Ordering::Relaxed);
        for asker in askers {
            asker.join().unwrap();
        }
    });
    assert_eq!(status(&stage, "/round20"), 200);
}

/// With the first secret in a file, and perhaps Redis.
fn with_secret_file(redis: Option<&Redis>, change: impl FnOnce(Launch) -> Launch) -> Stage {
    Stage::launch(|launch| {
        let flags = redis.into_iter().flat_map(Redis::flags).collect::<Vec<_>>();
        let launch = launch
            .without("cookie-secret")
            .file("secret", SECRETS[0])
            .flag("--cookie-secret-file={file:secret}")
            .flags(flags.iter().map(String::as_str));
        change(launch)
    })
}

#[track_caller]
fn assert_no_secret_in_the_log(stage: &Stage) {
    for secret in SECRETS {
        assert!(!stage.doorward.log().contains(secret));
    }
}

#[test]
fn a_new_cookie_secret_signs_nobody_out_and_seals_every_session_anew() {
    thread::scope(|scope| {
        for redis in [None, Some(Redis::start(&[]))] {
            scope.spawn(move || {
                let stage = with_secret_file(redis.as_ref(), |launch| launch);
                let mut browser = stage.logged_in();
                let mut away = browser.clone();
                let mut login = stage.browser();
                let begun = login.start("/page");
                for secret in &SECRETS[1..] {
                    stage.doorward.reload_with("secret", secret);
                }
                let answer = browser.get("/page");
                assert_eq!(answer.status, 200);
                assert!(brings_session(&answer), "sealed anew");
                assert_ne!(browser.cookies, away.cookies);
                assert_eq!(browser.cookies.len(), 1);
                let answer = browser.get("/page");
                assert_eq!((answer.status, answer.set_cookies()), (200, vec![]), "once is enough");
                // Nothing that is sealed now needs a previous secret.
                let flags = redis.iter().flat_map(Redis::flags).collect::<Vec<_>>();
                let successor = Launch::new(PROGRAM, &stage.provider, &stage.echo)
                    .without("cookie-secret")
                    .flag(&format!("--cookie-secret={}", SECRETS[2]))
                    .flags(flags.iter().map(String::as_str))
                    .start();
                let at_successor = |cookies: &Browser| {
                    let mut browser = successor.browser();
                    browser.cookies.clone_from(&cookies.cookies);
                    browser.get("/oauth2/auth").status
                };
                assert_eq!((at_successor(&browser), at_successor(&away)), (202, 401));
                // A login that began two secrets ago, and somebody who was away as long.
                let callback = login.authorize(begun.location());
                assert_eq!(login.get(&callback).location(), "/page");
                assert_eq!(away.get("/oauth2/auth").status, 202);
                let (old, mut mine) = (browser.clone(), browser);
                assert_eq!(mine.get("/oauth2/sign_out").status, 302);
                if redis.is_some() {
                    assert_eq!(old.clone().get("/oauth2/auth").status, 401);
                    assert_eq!(away.get("/oauth2/auth").status, 401, "it was the same session");
                }
                assert_no_secret_in_the_log(&stage);
            });
        }
    });
}

#[test]
fn a_sign_out_of_a_session_under_a_previous_secret_is_not_undone() {
    let stage = with_secret_file(None, |launch| launch);
    let mut browser = stage.logged_in();
    stage.doorward.reload_with("secret", SECRETS[1]);
    let late = browser.clone();
    assert_eq!(browser.get("/oauth2/sign_out").status, 302);
    let answer = late.clone().get("/page");
    assert!(!brings_session(&answer), "a request that was under way brings no new cookie");
    assert_ne!(answer.status, 200);
}

#[test]
fn a_password_session_under_a_previous_secret_stays_one() {
    let stage = with_secret_file(None, |launch| {
        launch
            .without("email-domain")
            .flag("--email-domain=nowhere.example")
            .file("htpasswd", BOB)
            .flag("--htpasswd-file={file:htpasswd}")
    });
    let mut browser = stage.browser();
    let form = [("username", "bob"), ("password", "builder"), ("rd", "/page")];
    assert_eq!(browser.send(Request::form("/oauth2/sign_in", &form)).location(), "/page");
    stage.doorward.reload_with("secret", SECRETS[1]);
    for _ in 0..2 {
        assert_eq!(browser.get("/page").status, 200, "such users have no address");
    }
}

#[test]
fn named_previous_secrets_are_read_by_other_instances_until_they_are_taken_away() {
    let stage = with_secret_file(None, |launch| {
        launch.file("previous", "").flag("--cookie-secret-previous-file={file:previous}")
    });
    let mut browser = stage.logged_in();
    let away = browser.clone();
    let instance = |flags: &[&str]| {
        Launch::new(PROGRAM, &stage.provider, &stage.echo)
            .without("cookie-secret")
            .flag(&format!("--cookie-secret={}", SECRETS[1]))
            .flags(flags.iter().copied())
            .start()
    };
    for (flags, standing) in
        [(vec![], 401), (vec![format!("--cookie-secret-previous={},{}", SECRETS[2], SECRETS[0])], 202)]
    {
        let other = instance(&flags.iter().map(String::as_str).collect::<Vec<_>>());
        let mut browser = other.browser();
        browser.cookies.clone_from(&away.cookies);
        assert_eq!(browser.get("/oauth2/auth").status, standing, "{flags:?}");
        assert_eq!(browser.cookies.is_empty(), standing == 401);
        assert_ne!(browser.cookies, away.cookies);
    }
    stage.doorward.reload_with("previous", &format!("{}\n", SECRETS[0]));
    stage.doorward.reload_with("secret", SECRETS[1]);
    assert_eq!(browser.get("/oauth2/auth").status, 202);
    stage.doorward.reload_with("previous", "");
    assert_eq!(browser.get("/oauth2/auth").status, 202, "sealed anew meanwhile");
    assert_eq!(away.clone().get("/oauth2/auth").status, 401, "the first secret is out");
    stage.doorward.rewrite("previous", "of no length\n");
    stage.doorward.wait_for_log("cookie-secret-previous-file: ");
    assert!(!stage.doorward.log().contains("of no length"));
    assert_no_secret_in_the_log(&stage);
}

#[test]
fn provider_and_store_are_not_asked_again_for_what_has_not_changed() {
    let redis = Redis::start(&[]);
    let flags = redis.flags();
    let stage = configured("skip_auth_routes = [\"^/one$\"]", |launch| {
        launch.flags(flags.iter().map(String::as_str)).flag("--skip-jwt-bearer-tokens")
    });
    let mut browser = stage.logged_in();
    let asked = || {
        let connections = redis.cli(&["info", "stats"]);
        let line = connections.lines().find(|line| line.starts_with("total_connections_received:")).unwrap();
        let connections: usize = line.split(':').nth(1).unwrap().trim().parse().unwrap();
        (stage.provider.count(Endpoint::Discovery), stage.provider.count(Endpoint::Keys), connections)
    };
    let before = asked();
    stage.doorward.reload_with("doorward.toml", "skip_auth_routes = [\"^/two$\"]");
    stage.doorward.reload();
    assert_eq!(browser.get("/page").status, 200);
    let token = format!("Bearer {}", stage.provider.id_token());
    assert_eq!(stage.browser().send(Request::get("/page").header("Authorization", &token)).status, 200);
    let (discovery, keys, connections) = asked();
    // The one connection is that of this question.
    assert_eq!((discovery, keys, connections), (before.0, before.1, before.2 + 1));
    stage.doorward.reload_with("doorward.toml", "scope = \"openid email\"");
    assert_eq!(stage.provider.count(Endpoint::Discovery), before.0 + 1);
    assert!(stage.browser().start("/").location().contains("scope=openid+email"));
}

#[test]
fn another_provider_is_taken_over_when_it_answers_and_not_before() {
    let (provider, echo) = (Provider::start(), Echo::start());
    let other = Provider::start();
    let (port, issuer) = (other.port(), other.issuer());
    drop(other);
    let toml = |issuer: &str| format!("oidc_issuer_url = \"{issuer}\"");
    let doorward = Launch::new(PROGRAM, &provider, &echo)
        .without("oidc-issuer-url")
        .file("doorward.toml", &toml(&provider.issuer()))
        .flag("--config={file:doorward.toml}")
        .start();
    doorward.rewrite("doorward.toml", &toml(&issuer));
    doorward.wait_for_log("Configuration not reloaded");
    assert!(doorward.log().contains("oidc-issuer-url"));
    assert!(doorward.browser().start("/").location().starts_with(&provider.issuer()));
    assert_eq!(doorward.browser().get("/ready").status, 200);
    let other = Provider::start_at(port);
    doorward.wait_for_reloads(1);
    assert!(doorward.browser().start("/").location().starts_with(&issuer));
    drop((doorward, other));
}

#[test]
fn addresses_that_stay_keep_their_connections_and_others_come_and_go() {
    let [first, second, busy] = [(); 3].map(|()| free_address());
    let taken = TcpListener::bind(busy).unwrap();
    let (provider, echo) = parts();
    let metrics = free_address();
    let toml = |http: SocketAddr| format!("http_address = \"{http}\"\nmetrics_address = \"{metrics}\"");
    let doorward = Launch::new(PROGRAM, &provider, &echo)
        .without("http-address")
        .file("doorward.toml", &toml(first))
        .flag("--config={file:doorward.toml}")
        .start_at(first);
    let mut browser = Browser::new(first).logged_in();
    let mut old = browser.connect().unwrap();
    assert_eq!(browser.send_on(&mut old, Request::get("/page")).unwrap().status, 200);
    doorward.rewrite("doorward.toml", &toml(busy));
    doorward.wait_for_log("Configuration not reloaded");
    assert!(doorward.log().contains(&format!("cannot listen on {busy}")));
    assert_eq!(Browser::new(first).get("/ping").status, 200);
    let counted = Browser::new(metrics).get("/metrics").text();
    assert!(counted.contains("doorward_config_last_reload_successful 0"));
    drop(taken);
    doorward.reload_with("doorward.toml", &toml(second));
    assert_eq!(Browser::new(second).get("/ping").status, 200);
    eventually("the old address is given up", || TcpStream::connect(first).is_err());
    assert_eq!(browser.send_on(&mut old, Request::get("/page")).unwrap().status, 200);
    let counted = Browser::new(metrics).get("/metrics").text();
    let total: u64 = counted
        .lines()
        .filter(|line| line.starts_with("oauth2_proxy_requests_total{"))
        .map(|line| line.rsplit(' ').next().unwrap().parse::<u64>().unwrap())
        .sum();
    assert!(total >= 3, "counters go on: {counted}");
    assert!(counted.contains("doorward_config_last_reload_successful 1"));
}

#[test]
fn what_is_under_way_goes_on() {
    let stage = configured("skip_auth_routes = [\"^/open$\"]", |launch| launch);
    let browser = stage.logged_in();
    let witness = stage.logged_in();
    let mut events = browser.connect().unwrap();
    let head = |target: &str, more: &str| {
        format!("GET {target} HTTP/1.1\r\nHost: x\r\nCookie: {}\r\n{more}\r\n", browser.cookie_header())
    };
    events.write(head("/sse", "").as_bytes());
    let mut text = String::new();
    while !text.contains("data: first") {
        text.push_str(&String::from_utf8_lossy(&events.read_bytes(1).unwrap()));
    }
    let mut socket = browser.connect().unwrap();
    let upgrade = "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n\
                   Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n";
    socket.write(head("/ws", upgrade).as_bytes());
    assert_eq!(socket.answer("GET").unwrap().status, 101);
    // Neither would be let in any more.
    stage.doorward.reload_with("doorward.toml", "allowed_groups = [\"nobody\"]");
    // Whoever is turned away loses the session, and what is open with it: so another one shows it.
    assert_eq!(witness.clone().get("/sse").status, 403);
    socket.write(b"still here");
    assert_eq!(socket.read_bytes(10).unwrap(), b"still here");
    stage.echo.release();
    assert!(events.rest().contains("data: last"));
}

#[test]
fn pages_and_logs_change_and_a_moved_log_file_is_opened_anew() {
    let stage = configured("", |launch| {
        launch
            .flag("--custom-templates-dir={file:pages}")
            .flag("--logging-filename={file:log}")
            .flag("--errors-to-info-log=true")
    });
    let [pages, log, moved] = ["pages", "log", "moved"].map(|name| stage.doorward.path(name));
    let says = |text: &str| fs::read_to_string(&log).is_ok_and(|log| log.contains(text));
    // The folder was not there, and neither was the file.
    fs::create_dir(&pages).unwrap();
    fs::write(pages.join("sign_in.html"), "<p>first {{.ProxyPrefix}}</p>").unwrap();
    eventually("the page changes", || {
        stage.browser().get("/oauth2/sign_in").text() == "<p>first /oauth2</p>"
    });
    fs::write(pages.join("sign_in.html"), "<p>{{.Nothing").unwrap();
    eventually("the mistake is told", || says("custom-templates-dir"));
    assert_eq!(stage.browser().get("/oauth2/sign_in").text(), "<p>first /oauth2</p>");
    fs::write(pages.join("sign_in.html"), "<p>second</p>").unwrap();
    eventually("the page changes", || stage.browser().get("/oauth2/sign_in").text() == "<p>second</p>");
    fs::rename(&log, &moved).unwrap();
    stage.doorward.signal("-HUP");
    eventually("there is a new log file", || says("Configuration reloaded."));
    stage.doorward.rewrite("doorward.toml", "request_logging_format = \"asked for {{.RequestURI}}\"");
    eventually("lines change", || {
        let _ = stage.browser().get("/page");
        says("asked for \"/page\"") || says("asked for /page")
    });
    stage.doorward.rewrite("doorward.toml", "standard_logging = false");
    eventually("lines end", || {
        let _ = stage.browser().get("/page");
        !says("no such thing") && status(&stage, "/page") == 403
    });
}

#[test]
fn a_refresh_and_a_sign_out_are_remembered_across_a_reload() {
    let stage = configured("", |launch| launch.flag(crate::refresh::SHORT));
    let mut browser = stage.logged_in();
    let thief = browser.clone();
    crate::refresh::wait_until_due();
    assert_eq!(browser.get("/page").status, 200);
    assert_eq!(stage.provider.count(Endpoint::Refresh), 1);
    stage.doorward.reload();
    // The old cookie finds the refreshed session and asks for no second refresh.
    assert_eq!(thief.clone().get("/page").status, 200);
    assert_eq!(stage.provider.count(Endpoint::Refresh), 1);
    assert_eq!(browser.get("/oauth2/sign_out").status, 302);
    stage.doorward.reload();
    assert_ne!(thief.clone().get("/page").status, 200);
}
