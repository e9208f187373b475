//! Headers that tell the application who somebody is: ours arrive, and nobody else's.

use doorward_testkit::Request;

use crate::support::{SESSION, Stage};

const NAMES: [&str; 10] = [
    "X-Forwarded-User",
    "X-Forwarded-Email",
    "X-Forwarded-Groups",
    "X-Forwarded-Preferred-Username",
    "X-Forwarded-Access-Token",
    "X-Auth-Request-User",
    "X-Auth-Request-Email",
    "X-Auth-Request-Groups",
    "GAP-Auth",
    "GAP-Signature",
];

/// How somebody could write a header name so that an application still reads it as the same one.
fn spellings(name: &str) -> Vec<String> {
    let mixed = name.chars().enumerate().map(|(index, character)| {
        if index % 2 == 0 { character.to_ascii_lowercase() } else { character.to_ascii_uppercase() }
    });
    vec![
        name.to_owned(),
        name.to_lowercase(),
        name.to_uppercase(),
        mixed.collect(),
        name.replace('-', "_"),
        name.to_uppercase().replace('-', "_"),
        name.replacen('-', "_", 1),
    ]
}

/// The values, among all that the application got, under any spelling of this name.
fn heard(seen: &doorward_testkit::Headers, name: &str) -> Vec<String> {
    let folded = |text: &str| text.to_ascii_lowercase().replace('_', "-");
    seen.0.iter().filter(|(own, _)| folded(own) == folded(name)).map(|(_, value)| value.clone()).collect()
}

#[test]
fn a_client_cannot_say_who_it_is_in_any_spelling() {
    let routes =
        ["--skip-auth-route=^/open", "--skip-auth-preflight", "--pass-access-token", "--set-xauthrequest"];
    let flag_sets: [&[&str]; 3] = [
        &[],
        // Nothing of ours is passed on, and still nothing of theirs.
        &["--pass-user-headers=false", "--pass-basic-auth=false"],
        &["--trusted-ip=127.0.0.3"],
    ];
    for flags in flag_sets {
        let stage = Stage::launch(|launch| launch.flags(routes).flags(flags.iter().copied()));
        let signed_in = stage.logged_in();
        let visits = [
            (signed_in.clone(), Request::get("/page")),
            (signed_in, Request::get("/open")),
            (stage.browser(), Request::get("/open")),
            (stage.browser(), Request::new("OPTIONS", "/page")),
            (stage.doorward.browser_from("127.0.0.3"), Request::get("/page")),
        ];
        for (browser, request) in visits {
            for name in NAMES {
                let forged = spellings(name).iter().fold(request.clone(), |request, spelling| {
                    request.header(spelling, "forged").header(spelling, "forged too")
                });
                let answer = browser.clone().send(forged);
                if answer.status == 403 {
                    // Only the flags with a trusted address let that visitor in.
                    continue;
                }
                assert_eq!(answer.status, 200, "{flags:?} {request:?}");
                let values = heard(&answer.echoed(), name);
                assert!(values.iter().all(|value| !value.contains("forged")), "{flags:?} {name}: {values:?}");
                assert!(values.len() <= 1, "{flags:?} {name}: {values:?}");
                let told = answer.headers.all(name);
                assert!(told.iter().all(|value| !value.contains("forged")), "{flags:?} {name}: {told:?}");
            }
        }
    }
}

#[test]
fn a8_identity_headers_are_removed_even_if_we_send_none() {
    let stage = Stage::new(&["--pass-user-headers=false", "--pass-basic-auth=false"]);
    let request =
        Request::get("/page").header("X-Forwarded-User", "root").header("X-Forwarded-Email", "root@x");
    let seen = stage.logged_in().send(request).echoed();
    assert!(!seen.has("x-forwarded-user") && !seen.has("x-forwarded-email"), "{seen:?}");
}

#[test]
fn a9_ours_replaces_the_clients_where_the_clients_may_stay() {
    let stage = Stage::new(&["--skip-auth-strip-headers=false", "--skip-auth-route=^/open"]);
    let request = |target: &str| Request::get(target).header("X-Forwarded-User", "evil");
    let seen = stage.logged_in().send(request("/page")).echoed();
    assert_eq!(seen.all("x-forwarded-user"), ["sub-1"]);
    let seen = stage.browser().send(request("/open")).echoed();
    assert_eq!(seen.all("x-forwarded-user"), ["evil"]);
}

#[test]
fn a10_the_application_cannot_speak_in_our_name() {
    let stage = Stage::new(&["--set-xauthrequest"]);
    let mut browser = stage.logged_in();
    let target = "/answer?X-Auth-Request-User=evil&x-auth-request-email=evil%40x&GAP-Auth=evil&X-Other=kept";
    let answer = browser.get(target);
    assert_eq!(answer.headers.all("x-auth-request-user"), ["sub-1"]);
    assert_eq!(answer.headers.all("x-auth-request-email"), ["jane@example.com"]);
    assert_eq!(answer.headers.all("gap-auth"), ["jane@example.com"]);
    assert_eq!(answer.header("x-other"), "kept");
}

#[test]
fn a_header_named_by_connection_does_not_take_ours_away() {
    let stage = Stage::new(&["--pass-access-token", "--pass-authorization-header"]);
    let browser = stage.logged_in();
    for connection in [
        "close, X-Forwarded-User, X-Forwarded-Email, Authorization",
        "X-FORWARDED-USER,x-forwarded-email,authorization",
        "keep-alive, X-Forwarded-For, x-forwarded-user, X-Forwarded-Email, X-Forwarded-Access-Token, Authorization, Cookie",
    ] {
        let request = Request::get("/page").header("Connection", connection);
        let mut line = browser.connect().unwrap();
        let seen = browser.clone().send_on(&mut line, request).unwrap().echoed();
        assert_eq!(seen.all("x-forwarded-user"), ["sub-1"], "{connection}");
        assert_eq!(seen.all("x-forwarded-email"), ["jane@example.com"], "{connection}");
        assert_eq!(seen.all("x-forwarded-access-token").len(), 1, "{connection}");
        assert!(seen.first("authorization").starts_with("Bearer "), "{connection}");
        assert!(seen.first("x-forwarded-for").contains("127.0.0.1"), "{connection}");
    }
}

#[test]
fn trailers_cannot_bring_identity() {
    let stage = Stage::new(&["--skip-auth-route=^/open"]);
    let text = format!(
        "POST /open HTTP/1.1\r\nHost: {}\r\nTransfer-Encoding: chunked\r\nTrailer: X-Forwarded-User\r\nConnection: close\r\n\
         \r\n3\r\nabc\r\n0\r\nX-Forwarded-User: forged\r\nX-Forwarded-Email: forged\r\n\r\n",
        stage.browser().host()
    );
    stage.browser().raw(text.as_bytes());
    for seen in stage.echo.seen() {
        assert!(!seen.headers.has("x-forwarded-user") && !seen.headers.has("x-forwarded-email"), "{seen:?}");
    }
}

#[test]
fn a_header_name_with_a_blank_is_not_passed_on() {
    let stage = Stage::new(&["--skip-auth-route=^/open"]);
    for line in [
        "X-Forwarded-User : forged",
        " X-Forwarded-User: forged",
        "X-Forwarded-User\t: forged",
        "X-Forwarded-User\0: f",
    ] {
        let text = format!(
            "GET /open HTTP/1.1\r\nHost: {}\r\nA: b\r\n{line}\r\nConnection: close\r\n\r\n",
            stage.browser().host()
        );
        let answer = stage.browser().raw(text.as_bytes());
        assert!(!answer.contains("forged") && !answer.starts_with("HTTP/1.1 2"), "{line:?}: {answer}");
    }
    assert!(stage.echo.seen().is_empty());
}

#[test]
fn c7_several_cookie_lines_become_one_and_the_session_is_found_in_any() {
    let stage = Stage::new(&[]);
    let session = stage.logged_in().cookies[SESSION].clone();
    let request = Request::get("/page")
        .header("Cookie", "first=1; second=2")
        .header("Cookie", &format!("{SESSION}={session}"))
        .header("Cookie", "third=3");
    let answer = stage.browser().send(request);
    assert_eq!(answer.status, 200);
    let seen = answer.echoed();
    let joined = seen.all("cookie").join("; ");
    assert_eq!(joined, format!("first=1; second=2; {SESSION}={session}; third=3"));
}

#[test]
fn several_values_of_other_headers_stay_apart() {
    let stage = Stage::new(&["--skip-auth-route=^/open"]);
    let seen = stage.browser().send(Request::get("/open").header("X-A", "1, 2").header("X-A", "3")).echoed();
    assert_eq!(seen.all("x-a"), ["1, 2", "3"]);
}

#[test]
fn a_name_that_no_header_can_carry_is_not_sent_and_nothing_is_split() {
    let stage = Stage::new(&["--set-xauthrequest"]);
    stage.provider.set(|knobs| {
        knobs.claim("preferred_username", "jane\r\nX-Forwarded-Email: boss@example.com\r\nSet-Cookie: a=b");
        knobs.claim("groups", serde_json::json!(["a\nb", "x\u{0}y"]));
    });
    let mut browser = stage.browser();
    if browser.login("/").status != 302 {
        return;
    }
    let answer = browser.get("/page");
    assert_eq!(answer.status, 200);
    let seen = answer.echoed();
    assert_eq!(seen.all("x-forwarded-email"), ["jane@example.com"]);
    assert!(!answer.set_cookies().iter().any(|cookie| cookie.name == "a"));
}

#[test]
fn the_answer_to_a_forward_auth_question_names_the_user() {
    let stage = Stage::new(&["--set-xauthrequest"]);
    let mut browser = stage.logged_in();
    let request =
        Request::get("/oauth2/auth").header("X-Auth-Request-User", "root").header("X-Forwarded-User", "root");
    let answer = browser.send(request);
    assert_eq!(answer.status, 202);
    assert_eq!(answer.headers.all("x-auth-request-user"), ["sub-1"]);
    assert_eq!(answer.headers.all("x-auth-request-email"), ["jane@example.com"]);
    assert_eq!(answer.headers.all("x-auth-request-groups"), ["staff,admins"]);
    assert!(answer.body.is_empty());
}

#[test]
fn a11_the_application_does_not_get_our_cookies_where_they_are_held_back() {
    for (flags, expected) in [
        (&[][..], [SESSION, "first", "last", "unrelated_csrf"].as_slice()),
        (&["--strip-own-cookies"], &["first", "last", "unrelated_csrf"]),
    ] {
        let stage = Stage::new(flags);
        let mut browser = stage.logged_in();
        for cookies in [
            format!("first=1; {}; last=3; unrelated_csrf=x", browser.cookie_header()),
            format!("{}; first=1; last=3; unrelated_csrf=x", browser.cookie_header()),
        ] {
            let seen = browser.send(Request::get("/page").header("Cookie", &cookies)).echoed();
            let line = seen.all("cookie").join("; ");
            let mut names: Vec<_> = line.split("; ").filter_map(|piece| piece.split('=').next()).collect();
            names.sort_unstable();
            assert_eq!(names, expected, "{flags:?}");
        }
        let alone = browser.get("/page").echoed();
        assert_eq!(alone.has("cookie"), flags.is_empty(), "{flags:?}");
    }
}
