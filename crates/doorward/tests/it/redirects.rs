//! Wherever somebody may say where to go next, nobody is led off the site.

use doorward_testkit::{Answer, Request};
use url::Url;

use crate::support::{BOB, Stage, encoded};

/// Texts that some browser, some proxy or some parser has taken for another host.
const PAYLOADS: [&str; 72] = [
    "//evil.example",
    "///evil.example",
    "////evil.example/%2f..",
    "//evil.example@ok.example",
    "/\\evil.example",
    "/\\/evil.example",
    "\\\\evil.example",
    "\\/evil.example",
    "/\\\\evil.example",
    "\\evil.example",
    "/\t/evil.example",
    "/\n/evil.example",
    "/\r/evil.example",
    "/\r\n/evil.example",
    "/\u{b}/evil.example",
    "/\u{c}/evil.example",
    "/\u{0}/evil.example",
    "/ /evil.example",
    "/\u{a0}/evil.example",
    "/\t\\evil.example",
    "\t//evil.example",
    " //evil.example",
    "\n//evil.example",
    "\u{1}//evil.example",
    "/%09/evil.example",
    "/%0a/evil.example",
    "/%0d%0aSet-Cookie:%20a=b",
    "/x\r\nSet-Cookie: a=b",
    "/%5cevil.example",
    "/%2f%5cevil.example",
    "/.//evil.example",
    "/..//evil.example",
    "/./\\evil.example",
    "/x/..//evil.example",
    "/;@evil.example",
    "@evil.example",
    ".evil.example",
    ":80@evil.example",
    "evil.example",
    "https:evil.example",
    "https:/evil.example",
    "https:///evil.example",
    "https://evil.example",
    "HTTPS://evil.example",
    "hTTps://ok.example.evil.example",
    "http:\\\\evil.example",
    "https:\\evil.example",
    "https://ok.example@evil.example/",
    "https://user:pw@ok.example/",
    "https://ok.example:pw@evil.example",
    "https://ok.example:80@evil.example",
    "https://ok.example\\@evil.example",
    "https://evil.example\\@ok.example",
    "https://ok.example\\.evil.example",
    "https://evil.example#.ok.example",
    "https://evil.example?.ok.example",
    "https://evil.example/.ok.example",
    "https://evil.example\u{ff0f}.ok.example",
    "https://evil.example\u{2044}.ok.example",
    "https://evil.example%2f.ok.example",
    "https://evil.example\u{3002}ok\u{3002}example.org",
    "https://evilok.example",
    "https://ok.example.evil.example",
    "https://ok.example:443.evil.example",
    "https://ok.example:99",
    "https://[::1]",
    "https://0x7f.1/",
    "javascript:alert(1)",
    "JaVaScRiPt://ok.example/%0aalert(1)",
    "data:text/html,<script>alert(1)</script>",
    "vbscript:x",
    "ftp://ok.example/",
];

/// Fails if a browser that gets this `Location` from us would leave for a host that is not listed.
#[track_caller]
fn assert_stays(stage: &Stage, answer: &Answer, payload: &str) {
    assert_eq!(answer.headers.all("location").len(), 1, "{payload:?}: {}", answer.status);
    assert!(!answer.set_cookies().iter().any(|cookie| cookie.name == "a"), "{payload:?} set a cookie");
    assert_safe(stage, answer.location(), payload);
}

#[track_caller]
fn assert_safe(stage: &Stage, location: &str, payload: &str) {
    assert!(location.bytes().all(|byte| (b'!'..=b'~').contains(&byte)), "{payload:?} gave {location:?}");
    let base = Url::parse(&format!("http://{}/", stage.browser().host())).unwrap();
    let url = base.join(location).unwrap_or_else(|_| panic!("{payload:?} gave {location:?}"));
    let host = url.host_str().unwrap_or_default();
    let listed = host == "ok.example" || host.ends_with(".ok.example") || host == base.host_str().unwrap();
    assert!(listed && matches!(url.scheme(), "http" | "https"), "{payload:?} gave {location:?}");
    assert!(url.username().is_empty() && !location.contains('\\'), "{payload:?} gave {location:?}");
    // Older programs that skip blanks, backslashes or dots in front of a second slash must not be misled either.
    let folded: String =
        location.chars().filter(|character| !matches!(character, '.' | ' ' | '\t')).collect();
    assert!(!folded.starts_with("//"), "{payload:?} gave {location:?}");
}

fn stage() -> Stage {
    Stage::launch(|launch| {
        launch.file("htpasswd", BOB).flags([
            "--htpasswd-file={file:htpasswd}",
            "--whitelist-domain=ok.example",
            "--whitelist-domain=.ok.example",
        ])
    })
}

#[test]
fn a21_a_login_never_ends_on_a_foreign_site() {
    let stage = stage();
    for payload in PAYLOADS {
        let mut browser = stage.browser();
        let answer = browser.login(payload);
        assert_eq!(answer.status, 302, "{payload:?}");
        assert_stays(&stage, &answer, payload);
    }
}

#[test]
fn a_tampered_state_leads_nowhere_else() {
    let stage = stage();
    for payload in PAYLOADS {
        let mut browser = stage.browser();
        let begun = browser.start("/page");
        let callback = browser.authorize(begun.location());
        let sent = encoded(&begun.location_parameter("state").unwrap());
        let hash = sent.split("%3A").next().unwrap();
        let tampered = callback.replace(&sent, &format!("{hash}%3A{}", encoded(payload)));
        assert_ne!(tampered, callback);
        let answer = browser.get(&tampered);
        if answer.status == 302 {
            assert_stays(&stage, &answer, payload);
        } else {
            assert!(answer.status >= 400, "{payload:?}");
        }
    }
}

#[test]
fn neither_sign_in_nor_sign_out_leads_to_a_foreign_site() {
    let stage = stage();
    for payload in PAYLOADS {
        let fields = [("username", "bob"), ("password", "builder"), ("rd", payload)];
        let answer = stage.browser().send(Request::form("/oauth2/sign_in", &fields));
        assert_eq!(answer.status, 302, "{payload:?}");
        assert_stays(&stage, &answer, payload);
        let target = format!("/oauth2/sign_out?rd={}", encoded(payload));
        assert_stays(&stage, &stage.browser().get(&target), payload);
        let answer = stage.browser().send(Request::form("/oauth2/sign_out", &[("rd", payload)]));
        assert_stays(&stage, &answer, payload);
    }
}

#[test]
fn a_wish_by_header_is_looked_at_just_as_closely() {
    let stage = stage();
    for payload in PAYLOADS.iter().filter(|payload| !payload.chars().any(char::is_control)) {
        let answer =
            stage.browser().send(Request::get("/oauth2/sign_out").header("X-Auth-Request-Redirect", payload));
        assert_stays(&stage, &answer, payload);
    }
}

#[test]
fn the_sign_in_page_repeats_no_foreign_target_and_no_markup() {
    let stage = stage();
    for payload in
        PAYLOADS.into_iter().chain(["/\"><script>alert(1)</script>", "/'><img src=x onerror=alert(1)>"])
    {
        for target in ["/page?rd=", "/oauth2/sign_in?rd="] {
            let page = stage.browser().get(&format!("{target}{}", encoded(payload))).text();
            assert!(!page.contains("<script>alert") && !page.contains("<img src=x"), "{payload:?}\n{page}");
            for value in page.split("name=\"rd\" value=\"").skip(1).filter_map(|rest| rest.split('"').next())
            {
                let value = value.replace("&amp;", "&").replace("&#43;", "+");
                let location: String = value.chars().filter(char::is_ascii_graphic).collect();
                assert_safe(&stage, &location, payload);
            }
        }
    }
}

#[test]
fn a18_a_target_that_would_begin_another_login_is_not_taken() {
    let stage = stage();
    for payload in [
        "/oauth2/start",
        "/oauth2/start?rd=/x",
        "/oauth2/callback?error=x",
        "/oauth2/sign_out",
        "/oauth2/%73tart",
        "/oauth2%2fstart",
        "/oauth2",
        "/oauth2/sign_in",
    ] {
        assert_eq!(stage.browser().login(payload).location(), "/", "{payload}");
    }
    assert_eq!(stage.browser().login("/oauth2x").location(), "/oauth2x");
}

#[test]
fn good_targets_are_kept_to_the_letter() {
    let stage = stage();
    for target in [
        "/",
        "/page",
        "/a/b?c=d&e=%2F&f=/g#h",
        "/a%2Fb",
        "https://ok.example/x?y",
        "https://OK.example/",
        "http://sub.ok.example",
    ] {
        assert_eq!(stage.browser().login(target).location(), target);
    }
}

#[test]
fn b1_signing_out_without_a_session_leaves_the_token_out() {
    let mut stage = Stage::new(&["--whitelist-domain=ok.example", "--skip-auth-route=.*"]);
    let target =
        format!("/oauth2/sign_out?rd={}", encoded("https://ok.example/bye?id_token_hint={id_token}&x=1"));
    let answer = stage.browser().get(&target);
    assert_eq!((answer.status, answer.location()), (302, "https://ok.example/bye?id_token_hint=&x=1"));
    let answer = stage.logged_in().get(&target);
    assert!(
        answer.location().starts_with("https://ok.example/bye?id_token_hint=ey"),
        "{}",
        answer.location()
    );
    stage.doorward.assert_alive();
}

#[test]
fn a19_a_redirect_uri_made_of_the_host_is_said_so_and_is_always_one_host() {
    let stage = Stage::new(&[]);
    stage.doorward.wait_for_log("pin it down with --redirect-url");
    for host in ["app.example.com", "app.example.com:8443"] {
        let begun = stage.browser().send(Request::get("/oauth2/start").header("Host", host));
        let expected = format!("http://{host}/oauth2/callback");
        assert_eq!(begun.location_parameter("redirect_uri").unwrap(), expected);
    }
    for host in ["a@b", "a/b", "a,b", "a b", "a?b", "a#b", "a%2fb"] {
        let begun = stage.browser().send(Request::get("/oauth2/start").header("Host", host));
        assert_eq!(begun.status, 400, "{host}");
    }
    let pinned = Stage::new(&["--redirect-url=https://app.example.com/oauth2/callback"]);
    let begun = pinned.browser().send(Request::get("/oauth2/start").header("Host", "other.example"));
    assert_eq!(begun.location_parameter("redirect_uri").unwrap(), "https://app.example.com/oauth2/callback");
    assert!(!pinned.doorward.log().contains("pin it down"));
}
