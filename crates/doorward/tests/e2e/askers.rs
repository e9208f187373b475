//! `docs/integrations/caddy.md` and `haproxy.md`, with a real Caddy and a real `HAProxy`.

use std::fs;

use crate::docs::{block, fill};
use crate::doorward::{Doorward, Launch};
use crate::echo::{Echo, Seen};
use crate::http::{Visitor, empty, get};
use crate::parts::{Redis, keycloak};
use crate::process::{Leashed, Program, find_program, free_port, scratch, until};

/// An application behind a proxy that asks doorward. Dropped in this order.
struct Site {
    _proxy: Leashed,
    _door: Doorward,
    _redis: Redis,
    app: Echo,
    url: String,
}

#[derive(Clone, Copy, Debug)]
enum Asker {
    Caddy,
    HaProxy,
}

const ASKERS: [Asker; 2] = [Asker::Caddy, Asker::HaProxy];

async fn start(asker: Asker) -> Site {
    let (app, redis) = (Echo::start().await, Redis::start().await);
    let (door_port, port) = (free_port(), free_port());
    let (door_address, url) = (format!("127.0.0.1:{door_port}"), format!("http://127.0.0.1:{port}"));
    let page = match asker {
        Asker::Caddy => "caddy.md",
        Asker::HaProxy => "haproxy.md",
    };
    let settings = fill(
        &block(page, "doorward"),
        &[
            ("127.0.0.1:4180", &door_address),
            ("https://keycloak.example.com/realms/doorward", &keycloak().await.issuer),
            ("https://app.example.com", &url),
            ("cookie_secure = true", "cookie_secure = false\nskip_provider_button = true"),
            ("redis://127.0.0.1:6379", &redis.url),
        ],
    );
    let door = Launch::file(&settings, door_port).start().await;
    let application = app.url.trim_start_matches("http://").to_owned();
    let addresses = [("127.0.0.1:4180", door_address.as_str()), ("127.0.0.1:8080", application.as_str())];
    let mut proxy = match asker {
        Asker::Caddy => caddy(&addresses, &url),
        Asker::HaProxy => haproxy(&addresses, port),
    };
    until("the proxy listens", async || {
        proxy.must_run();
        tokio::net::TcpStream::connect(("127.0.0.1", port)).await.ok()
    })
    .await;
    Site { _proxy: proxy, _door: door, _redis: redis, app, url }
}

fn caddy(addresses: &[(&str, &str)], url: &str) -> Leashed {
    let folder = scratch("caddy");
    let text = fill(&block("caddy.md", "Caddyfile"), &[addresses, &[("app.example.com", url)]].concat());
    let file = folder.join("Caddyfile");
    fs::write(&file, format!("{{\n\tadmin off\n}}\n{text}")).expect("the Caddyfile");
    Program::new([&*find_program(&["caddy"]), "run", "--config", &file.to_string_lossy()])
        .variable("HOME", folder.to_string_lossy())
        .start("caddy")
}

fn haproxy(addresses: &[(&str, &str)], port: u16) -> Leashed {
    let folder = scratch("haproxy");
    let script = folder.join("doorward.lua");
    fs::write(&script, fill(&block("haproxy.md", "doorward.lua"), &addresses[..1])).expect("the script");
    let text = fill(
        &block("haproxy.md", "haproxy.cfg"),
        &[
            addresses,
            &[
                ("/etc/haproxy/doorward.lua", &script.to_string_lossy()),
                ("bind :443 ssl crt /etc/haproxy/app.example.com.pem", &format!("bind 127.0.0.1:{port}")),
                ("X-Forwarded-Proto https", "X-Forwarded-Proto http"),
            ],
        ]
        .concat(),
    );
    let file = folder.join("haproxy.cfg");
    fs::write(&file, text).expect("the configuration");
    Program::new([&*find_program(&["haproxy"]), "-f", &file.to_string_lossy(), "-db"]).start("haproxy")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_login_ends_at_the_page_first_asked_for_and_the_application_hears_who_it_is() {
    for asker in ASKERS {
        let site = start(asker).await;
        let page = format!("{}/wiki/page?tab=2&q=a%2Bb", site.url);
        let answer = Visitor::default().log_in(&page, "alice").await;
        assert_eq!((answer.status, answer.url.as_str()), (200, page.as_str()), "{asker:?} {}", answer.body);
        let seen = Seen::from_page(&answer.body);
        assert_eq!(seen.uri, "/wiki/page?tab=2&q=a%2Bb", "{asker:?}");
        assert_eq!(seen.header("x-auth-request-email"), "alice@example.com", "{asker:?}");
        assert!(seen.list("x-auth-request-groups").contains(&"role:auditor"), "{asker:?} {:?}", seen.headers);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_gets_in_without_a_login_and_nobody_says_who_they_are() {
    for asker in ASKERS {
        let site = start(asker).await;
        let mut visitor = Visitor::default();
        for path in ["/", "/x?y=1", "/oauth2/auth"] {
            let request = get(&format!("{}{path}", site.url))
                .header("cookie", "_oauth2_proxy=garbage")
                .header("x-forwarded-uri", "/oauth2/static/x")
                .header("x-auth-request-email", "root@example.com");
            visitor.visit(empty(request)).await;
        }
        assert!(site.app.seen().is_empty(), "{asker:?} {:?}", site.app.seen());
        let mut visitor = Visitor::default();
        visitor.log_in(&site.url, "carol").await;
        let forged = get(&format!("{}/x", site.url))
            .header("x-auth-request-email", "root@example.com")
            .header("x_auth_request_email", "root@example.com")
            .header("x-auth-request-groups", "ops");
        let seen = Seen::from_page(&visitor.visit(empty(forged)).await.body);
        assert_eq!(seen.header("x-auth-request-email"), "carol@elsewhere.example", "{asker:?}");
        assert!(!format!("{:?}", seen.headers).contains("root"), "{asker:?} {:?}", seen.headers);
    }
}
