//! A gateway where nobody signs in: no provider, no cookie secret, no built-in server.

use doorward_testkit::{Echo, Launch, Provider, Request};
use serde_json::json;

use super::Gated;
use crate::support::PROGRAM;

const ROUTES: &str = "gateway:
  authenticators:
    jwt: {type: jwt, issuer: ISSUER, audiences: [api]}
  routes:
    - {id: orders, match: {path: /orders/}, upstream: UPSTREAM, authenticate: jwt, errorFormat: aws}
    - {id: pages, match: {path: /pages/}, upstream: UPSTREAM, authenticate: jwt}
    - {id: open, match: {path: /open/}, upstream: UPSTREAM, authenticate: [jwt, anonymous], authorize: {public: true}}
";
const OFF: &str = "authServer: {enabled: false}\n";

fn launch(provider: &Provider, echo: &Echo, text: &str) -> Launch {
    let text = text.replace("ISSUER", &provider.issuer()).replace("UPSTREAM", &echo.url());
    Launch::bare(PROGRAM).file("doorward.yaml", &text).flag("--doorward-config={file:doorward.yaml}")
}

#[test]
fn a_gateway_of_tokens_starts_without_any_sign_in() {
    for server in ["", OFF] {
        let (provider, echo) = (Provider::start(), Echo::start());
        let doorward = launch(&provider, &echo, &format!("{server}{ROUTES}")).start();
        let gated = Gated { doorward, provider, echo };
        let jwt = gated.jwt(&json!({"sub": "svc"}));
        for path in ["/orders/x", "/pages/x", "/open/x"] {
            let seen = gated.with_token(path, &jwt);
            assert_eq!(seen.status, 200, "{path}: {}", gated.doorward.log());
            assert_eq!(seen.echoed().all("x-forwarded-user"), ["svc"], "{path}");
        }
        assert_eq!(gated.ask(Request::get("/open/x")).status, 200);
        for (path, expected) in [("/ping", 200), ("/ready", 200), ("/elsewhere", 404)] {
            assert_eq!(gated.ask(Request::get(path)).status, expected, "{path}");
        }
    }
}

#[test]
fn where_nobody_signs_in_no_browser_is_led_to_a_login() {
    let (provider, echo) = (Provider::start(), Echo::start());
    let doorward = launch(&provider, &echo, ROUTES).start();
    let gated = Gated { doorward, provider, echo };
    let of_person = |path: &str| gated.ask(Request::get(path).header("Accept", "text/html"));
    for (path, kind) in [("/orders/x", "application/json"), ("/pages/x", "text/html")] {
        let answer = of_person(path);
        assert_eq!((answer.status, answer.header("www-authenticate")), (401, "Bearer"), "{path}");
        assert!(answer.header("content-type").starts_with(kind), "{path}: {}", answer.header("content-type"));
        assert_eq!((answer.header("location"), answer.header("set-cookie")), ("", ""), "{path}");
        assert!(!answer.text().contains("/oauth2/start"), "{path}: {}", answer.text());
    }
    for (path, expected) in [
        ("/oauth2/start", 404),
        ("/oauth2/start?rd=/orders/x", 404),
        ("/oauth2/sign_in", 404),
        ("/oauth2/callback?code=x&state=y", 404),
        ("/oauth2/auth", 401),
    ] {
        let answer = of_person(path);
        assert_eq!((answer.status, answer.header("location")), (expected, ""), "{path}");
    }
    assert!(gated.echo.seen().is_empty());
}

#[test]
fn routes_change_at_a_reload_where_nobody_signs_in() {
    let (provider, echo) = (Provider::start(), Echo::start());
    let doorward = launch(&provider, &echo, ROUTES).start();
    let gated = Gated { doorward, provider, echo };
    let jwt = gated.jwt(&json!({}));
    assert_eq!(gated.with_token("/new/x", &jwt).status, 404);
    let text = ROUTES.replace("/pages/", "/new/");
    let text = text.replace("ISSUER", &gated.provider.issuer()).replace("UPSTREAM", &gated.echo.url());
    gated.doorward.reload_with("doorward.yaml", &text);
    assert_eq!(gated.with_token("/new/x", &jwt).status, 200);
}

#[test]
fn who_asks_for_people_is_told_how_they_can_sign_in() {
    let (provider, echo) = (Provider::start(), Echo::start());
    let with_session = ROUTES.replace(
        "path: /pages/}, upstream: UPSTREAM, authenticate: jwt",
        "path: /pages/}, upstream: UPSTREAM, authenticate: [jwt, session]",
    );
    assert_ne!(with_session, ROUTES);
    let off = |text: &str| format!("{OFF}{text}");
    for (text, flags, expected) in [
        (off(&with_session), vec![], "gateway.routes[1].authenticate[1]"),
        (off(&with_session), vec![], "write authServer.enabled: true, configure a provider"),
        // Whoever sets something about a provider means to have one.
        (off(ROUTES), vec!["--provider=oidc"], "client-id"),
        (off(ROUTES), vec!["--client-id=x"], "cookie-secret"),
        (off(ROUTES), vec!["--upstream=http://127.0.0.1:9"], "cookie-secret"),
        (off(ROUTES), vec!["--skip-jwt-bearer-tokens"], "cookie-secret"),
    ] {
        let exit = launch(&provider, &echo, &text).flags(flags.clone()).fail();
        assert_eq!(exit.code, Some(1), "{flags:?}: {}", exit.output);
        assert!(exit.output.contains(expected), "{expected} {flags:?}: {}", exit.output);
    }
}
