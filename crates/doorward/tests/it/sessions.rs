//! The session cookie: whatever is not exactly what we gave out is nothing, and is answered like nothing.

use doorward_testkit::{Browser, Launch, Request, resigned, signed_at};
use serde_json::json;

use crate::support::{CSRF, SESSION, Stage, encoded};

fn with_cookie(stage: &Stage, name: &str, value: &str) -> Browser {
    let mut browser = stage.browser();
    browser.cookies.insert(name.into(), value.into());
    browser
}

/// Every way to ask says no, in the words it has for people without a cookie.
#[track_caller]
fn assert_worthless(stage: &Stage, name: &str, value: &str) {
    for target in ["/oauth2/auth", "/oauth2/userinfo", "/page"] {
        let answer = with_cookie(stage, name, value).get(target);
        let plain = stage.browser().get(target);
        assert_eq!(answer.status, plain.status, "{target} with {value:?}");
        assert_eq!(answer.body.len(), plain.body.len(), "{target} with {value:?}");
    }
}

#[test]
fn a_changed_cookie_is_worth_nothing_wherever_it_was_changed() {
    let stage = Stage::new(&[]);
    let good = stage.logged_in().cookies[SESSION].clone();
    assert_eq!(with_cookie(&stage, SESSION, &good).get("/oauth2/auth").status, 202);
    let mut browser = stage.browser();
    for index in (0..good.len()).step_by(5).chain(good.len() - 60..good.len() - 1) {
        let mut bytes = good.clone().into_bytes();
        bytes[index] = match bytes[index] {
            b'A' => b'B',
            b'|' => b'.',
            b'0' => b'1',
            _ => b'A',
        };
        browser.cookies.insert(SESSION.into(), String::from_utf8(bytes).unwrap());
        let answer = browser.clone().get("/oauth2/auth");
        assert_eq!((answer.status, answer.text().as_str()), (401, "Unauthorized\n"), "changed at {index}");
    }
}

#[test]
fn garbage_in_the_cookie_is_worth_nothing() {
    let stage = Stage::new(&[]);
    let good = stage.logged_in().cookies[SESSION].clone();
    let parts: Vec<&str> = good.split('|').collect();
    let mac = parts[2];
    let ciphertext = parts[0];
    for value in [
        "",
        "x",
        "|",
        "||",
        "|||",
        "a|b|c",
        "%00",
        "null",
        "{}",
        "=====|1|=====",
        good.trim_end_matches('='),
        &good.chars().skip(1).collect::<String>(),
        &good.chars().take(good.len() - 2).collect::<String>(),
        &format!("{good}A"),
        &format!("{good}|x"),
        &format!("{ciphertext}|{}|", parts[1]),
        &format!("{ciphertext}|{}|{}", parts[1], "A".repeat(43)),
        &format!("|{}|{mac}", parts[1]),
        &format!("{ciphertext}||{mac}"),
        &"A".repeat(60_000),
    ] {
        assert_worthless(&stage, SESSION, value);
    }
}

#[test]
fn a13_odd_forms_of_a_signed_value_are_refused_although_the_signature_fits() {
    let stage = Stage::new(&[]);
    let good = stage.logged_in().cookies[SESSION].clone();
    let parts: Vec<&str> = good.split('|').collect();
    let (payload, seconds) = (parts[0], parts[1]);
    let secret = Launch::COOKIE_SECRET;
    assert_eq!(signed_at(secret, SESSION, payload, seconds), good, "we sign as doorward does");
    for odd in [
        format!("0{seconds}"),
        format!("+{seconds}"),
        format!(" {seconds}"),
        format!("{seconds} "),
        String::new(),
    ] {
        assert_worthless(&stage, SESSION, &signed_at(secret, SESSION, payload, &odd));
    }
    // The end of the name may not become the beginning of the value, nor the end of the value that of the time.
    let (digit, rest) = seconds.split_at(1);
    let shifted = signed_at(secret, SESSION, &format!("{payload}{digit}"), rest);
    assert_worthless(&stage, SESSION, &shifted);
    let moved =
        signed_at(secret, SESSION, payload, seconds).replacen(payload, payload.trim_end_matches('='), 1);
    assert!(moved == good || with_cookie(&stage, SESSION, &moved).get("/oauth2/auth").status == 401);
}

#[test]
fn a13_a_secret_that_can_be_read_in_two_ways_is_warned_about() {
    // Thirty-two characters that are also base64 of twenty-four bytes.
    let stage = Stage::new(&[]);
    stage.logged_in();
    let log = stage.doorward.log();
    assert!(log.to_lowercase().contains("cookie secret can be read"), "{log}");
}

#[test]
fn a_cookie_counts_in_its_time_only() {
    let stage = Stage::new(&["--cookie-expire=1h"]);
    let good = stage.logged_in().cookies[SESSION].clone();
    let at = |age: i64| {
        let now: i64 = good.split('|').nth(1).unwrap().parse().unwrap();
        signed_at(Launch::COOKIE_SECRET, SESSION, good.split('|').next().unwrap(), &(now - age).to_string())
    };
    for (age, status) in [
        (0, 202),
        (3_000, 202),
        (3_700, 401),
        (100_000_000, 401),
        (-200, 202),
        (-600, 401),
        (-100_000_000_000, 401),
    ] {
        assert_eq!(with_cookie(&stage, SESSION, &at(age)).get("/oauth2/auth").status, status, "{age} s old");
    }
    assert_worthless(&stage, SESSION, &resigned(Launch::COOKIE_SECRET, SESSION, &good, 3_700));
}

#[test]
fn a_cookie_made_for_one_purpose_is_worth_nothing_for_another() {
    let stage = Stage::new(&[]);
    let mut browser = stage.logged_in();
    browser.start("/");
    let (session, csrf) = (browser.cookies[SESSION].clone(), browser.cookies[CSRF].clone());
    assert_worthless(&stage, SESSION, &csrf);
    assert_worthless(&stage, "_OAUTH2_PROXY", &session);
    // Well signed, and still not a session.
    let payload = csrf.split('|').next().unwrap();
    let seconds = csrf.split('|').nth(1).unwrap();
    assert_worthless(&stage, SESSION, &signed_at(Launch::COOKIE_SECRET, SESSION, payload, seconds));
    assert_worthless(&stage, SESSION, &signed_at(Launch::COOKIE_SECRET, SESSION, "", seconds));
    assert_worthless(&stage, SESSION, &signed_at(Launch::COOKIE_SECRET, SESSION, "AAAA", seconds));
    let other = stage.sibling(&["--cookie-name=other"]);
    let mut visitor = other.browser();
    visitor.cookies.insert("other".into(), session);
    assert_eq!(visitor.get("/oauth2/auth").status, 401);
}

/// Groups that fill several cookies even after compression.
fn many_groups(count: usize) -> serde_json::Value {
    let name = |number: usize| {
        format!("{:x}", (number as u128 + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15_f39c_c060_5ced_c835))
    };
    json!((0..count).map(name).collect::<Vec<_>>())
}

#[test]
fn c8_what_is_left_of_a_longer_session_does_not_spoil_a_shorter_one() {
    let stage = Stage::new(&[]);
    let mut browser = stage.browser();
    for count in [400, 100, 3, 300, 0, 200, 100] {
        stage.provider.set(|knobs| knobs.claim("groups", many_groups(count)));
        assert_eq!(browser.login("/").status, 302);
        let info = browser.get("/oauth2/userinfo");
        assert_eq!(info.status, 200, "{count} groups, cookies {:?}", browser.cookies.keys());
        assert_eq!(info.json()["groups"].as_array().map_or(0, Vec::len), count);
    }
}

#[test]
fn parts_of_a_session_count_only_all_together() {
    let stage = Stage::new(&[]);
    stage.provider.set(|knobs| knobs.claim("groups", many_groups(400)));
    let whole = stage.logged_in();
    let names: Vec<String> = whole.cookies.keys().filter(|name| name.starts_with(SESSION)).cloned().collect();
    assert!(names.len() >= 3, "{names:?}");
    for name in &names {
        let mut lacking = whole.clone();
        lacking.cookies.remove(name);
        assert_eq!(lacking.get("/oauth2/auth").status, 401, "without {name}");
        let mut changed = whole.clone();
        changed.cookies.insert(name.clone(), "AAAA".into());
        assert_eq!(changed.get("/oauth2/auth").status, 401, "with another {name}");
    }
    let mut swapped = whole.clone();
    swapped.cookies.insert(names[0].clone(), whole.cookies[&names[1]].clone());
    swapped.cookies.insert(names[1].clone(), whole.cookies[&names[0]].clone());
    assert_eq!(swapped.get("/oauth2/auth").status, 401);
}

#[test]
fn thousands_of_cookies_do_no_harm() {
    let mut stage = Stage::new(&[]);
    let good = stage.logged_in().cookies[SESSION].clone();
    let crowd = (0..4000).map(|number| format!("_oauth2_proxy_{number}=AAAA")).collect::<Vec<_>>().join("; ");
    let odd = "_oauth2_proxy_-1=x; _oauth2_proxy_99999999999999999999=x; _oauth2_proxy_00=x; _oauth2_proxy_=x; =; ;;; a; =b; ";
    for cookies in [crowd.clone(), odd.to_owned()] {
        let answer = stage.browser().try_send(Request::get("/oauth2/auth").header("Cookie", &cookies));
        assert!(answer.is_ok_and(|answer| matches!(answer.status, 400 | 401 | 431)), "{}", cookies.len());
    }
    let mixed = format!("{odd}{SESSION}={good}");
    assert_eq!(stage.browser().send(Request::get("/oauth2/auth").header("Cookie", &mixed)).status, 202);
    stage.doorward.assert_alive();
}

#[test]
fn a_planted_cookie_is_gone_after_the_login() {
    let stage = Stage::new(&[]);
    let attacker = stage.logged_in();
    let mut victim = stage.browser();
    victim.cookies = attacker.cookies.clone();
    stage.provider.set(|knobs| {
        knobs.claim("sub", "victim");
        knobs.claim("email", "victim@example.com");
    });
    assert_eq!(victim.login("/").status, 302);
    assert_ne!(victim.cookies[SESSION], attacker.cookies[SESSION]);
    let email = |browser: &Browser| browser.clone().get("/oauth2/userinfo").json()["email"].clone();
    assert_eq!((email(&victim), email(&attacker)), (json!("victim@example.com"), json!("jane@example.com")));
}

#[test]
fn two_cookies_of_one_name_never_make_somebody_of_two() {
    let stage = Stage::new(&[]);
    let good = stage.logged_in().cookies[SESSION].clone();
    for cookies in
        [format!("{SESSION}=garbage; {SESSION}={good}"), format!("{SESSION}={good}; {SESSION}=garbage")]
    {
        let status = stage.browser().send(Request::get("/oauth2/auth").header("Cookie", &cookies)).status;
        assert!(matches!(status, 202 | 401), "{status}");
    }
}

#[test]
fn cookies_are_deleted_with_the_attributes_they_were_set_with() {
    for flags in [
        &[][..],
        &["--cookie-domain=example.com", "--cookie-path=/app", "--cookie-samesite=strict"],
        &["--cookie-secure=true", "--cookie-name=__Secure-session", "--cookie-samesite=none"],
        &["--cookie-secure=true", "--cookie-name=__Host-session"],
    ] {
        let stage = Stage::launch(|launch| {
            let flags = flags.iter().copied();
            launch
                .without("cookie-secure")
                .flag("--cookie-secure=false")
                .flags(flags)
                .flag("--redirect-url=http://app.example.com/oauth2/callback")
        });
        let mut browser = stage.browser();
        let begun = browser.send(Request::get("/oauth2/start").header("Host", "app.example.com"));
        let callback = browser.authorize(begun.location());
        let answer = browser.send(Request::get(&callback).header("Host", "app.example.com"));
        let set = answer.set_cookies().into_iter().find(|cookie| !cookie.is_deletion()).expect("a session");
        let bye = browser.send(Request::get("/oauth2/sign_out").header("Host", "app.example.com"));
        let gone = bye.set_cookies().into_iter().find(|cookie| cookie.name == set.name).expect("a deletion");
        assert!(gone.is_deletion() && gone.value.is_empty());
        assert_eq!(gone.scope(), set.scope(), "{flags:?}");
        let csrf_set = begun.set_cookies().remove(0);
        let csrf_gone =
            answer.set_cookies().into_iter().find(|cookie| cookie.name == csrf_set.name).expect("a deletion");
        assert_eq!(csrf_gone.scope(), csrf_set.scope(), "{flags:?}");
    }
}

#[test]
fn c10_a_cookie_domain_fits_whole_labels_and_ignores_the_port() {
    let stage = Stage::new(&["--cookie-domain=example.com", "--cookie-domain=x.org"]);
    for (host, domain) in [
        ("app.example.com", "example.com"),
        ("app.example.com:8080", "example.com"),
        ("example.com", "example.com"),
        ("APP.Example.Com", "example.com"),
        ("evilexample.com", "x.org"),
    ] {
        let answer = stage.browser().send(Request::get("/oauth2/start").header("Host", host));
        let scope = answer.set_cookies()[0].scope();
        assert!(scope.contains(&format!("Domain={domain}")), "{host}: {scope}");
    }
}

#[test]
fn signing_out_clears_the_browser() {
    let stage = Stage::new(&[]);
    stage.provider.set(|knobs| knobs.claim("groups", many_groups(400)));
    let mut browser = stage.logged_in();
    assert!(browser.cookies.len() >= 3);
    assert_eq!(browser.get("/oauth2/sign_out").status, 302);
    assert!(browser.cookies.is_empty(), "{:?}", browser.cookies.keys());
    assert_eq!(browser.get("/oauth2/auth").status, 401);
}

#[test]
fn userinfo_tells_no_tokens() {
    let stage = Stage::new(&["--pass-access-token"]);
    let answer = stage.logged_in().get("/oauth2/userinfo");
    let text = answer.text();
    assert!(!text.contains("token") && !text.contains("eyJ"), "{text}");
    assert!(answer.header("cache-control").contains("no-store"));
}

#[test]
fn sessions_survive_an_identical_neighbour_and_no_other_secret() {
    let stage = Stage::new(&[]);
    let cookies = stage.logged_in().cookies;
    let twin = stage.sibling(&[]);
    let stranger = Launch::new(crate::support::PROGRAM, &stage.provider, &stage.echo)
        .without("cookie-secret")
        .flag("--cookie-secret=another-secret-of-32-bytes-total")
        .start();
    for (doorward, status) in [(&twin, 202), (&stranger, 401)] {
        let mut browser = doorward.browser();
        browser.cookies = cookies.clone();
        assert_eq!(browser.get("/oauth2/auth").status, status);
    }
    assert_eq!(stage.browser().get(&format!("/oauth2/auth?x={}", encoded("&"))).status, 401);
}
