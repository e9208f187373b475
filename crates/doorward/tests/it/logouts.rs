//! Sessions that others end: the provider by back and front channel, an administrator, a limit; and what a sign-out tells
//! the provider.

use std::time::{SystemTime, UNIX_EPOCH};

use doorward_testkit::{
    Answer, Browser, Call, Echo, Endpoint, Fault, Launch, Provider, Redis, Request, Signature, Token,
    eventually,
    person::{field, here, sign_in, visit},
};
use serde_json::{Map, Value, json};

use crate::{
    support::{CAROL, PROGRAM, SESSION, Stage, encoded},
    tunnels::{assert_closed, is_alive, opened},
};

const EVENT: &str = "http://schemas.openid.net/event/backchannel-logout";

fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs()
}

/// A logout token of the provider, with changes; null removes.
pub(crate) fn logout_token(provider: &Provider, changes: Value) -> String {
    signed(provider, changes, &Token { header: typed("logout+jwt"), ..Token::default() })
}

fn typed(kind: &str) -> Map<String, Value> {
    Map::from_iter([("typ".to_owned(), json!(kind))])
}

fn signed(provider: &Provider, changes: Value, token: &Token) -> String {
    let mut claims = json!({
        "iss": provider.issuer(), "aud": Provider::CLIENT_ID, "iat": now(), "exp": now() + 120,
        "jti": format!("{:?}", SystemTime::now()), "events": { EVENT: {} },
    });
    let Value::Object(changes) = changes else { panic!("members belong to an object") };
    for (name, value) in changes {
        if value.is_null() {
            claims.as_object_mut().unwrap().remove(&name);
        } else {
            claims[name] = value;
        }
    }
    token.sign(&claims)
}

fn post(stage: &Stage, token: &str) -> Answer {
    stage.browser().send(Request::form("/oauth2/backchannel_logout", &[("logout_token", token)]))
}

/// Somebody who has signed in as this subject, in this session of the provider.
fn signed_in(stage: &Stage, subject: &str, sid: &str) -> Browser {
    stage.provider.set(|knobs| {
        knobs.claim("sub", subject);
        knobs.claim("sid", sid);
        knobs.claim("email", format!("{subject}@example.com"));
        knobs.claim("preferred_username", subject);
        knobs.claim("groups", json!(["staff"]));
    });
    stage.logged_in()
}

fn is_in(browser: &Browser) -> bool {
    match browser.clone().get("/oauth2/auth").status {
        202 => true,
        401 => false,
        status => panic!("{status}"),
    }
}

/// The forms in which sessions are kept, with the flags for each.
fn forms() -> ([Redis; 2], Vec<Vec<String>>) {
    let stores = [Redis::start(&[]), Redis::start(&[])];
    let ledger = vec!["--session-ledger-type=redis".to_owned(), stores[1].flags()[1].clone()];
    let flags = stores[0].flags().to_vec();
    (stores, vec![vec![], flags, ledger])
}

fn stage(form: &[String], more: &[&str]) -> Stage {
    let flags: Vec<&str> = form.iter().map(String::as_str).chain(more.iter().copied()).collect();
    Stage::new(&flags)
}

#[test]
fn a_provider_ends_sessions_by_sid_or_subject_and_no_others() {
    let (_redis, forms) = forms();
    for form in forms {
        let stage = stage(&form, &["--backchannel-logout"]);
        let (one, two) = (signed_in(&stage, "alice", "s1"), signed_in(&stage, "alice", "s2"));
        let bob = signed_in(&stage, "bob", "s3");
        let (mut line, mut other) = (opened(&one), opened(&bob));
        let answer = post(&stage, &logout_token(&stage.provider, json!({"sid": "s1", "sub": "alice"})));
        assert_eq!((answer.status, answer.body.len()), (200, 0), "{form:?}: {}", stage.doorward.log());
        assert!(answer.header("cache-control").contains("no-store"));
        assert_eq!((is_in(&one), is_in(&two), is_in(&bob)), (false, true, true), "{form:?}");
        assert_closed(&mut line, 4401);
        // All of a user, and a login afterwards counts again.
        assert_eq!(post(&stage, &logout_token(&stage.provider, json!({"sub": "alice"}))).status, 200);
        assert_eq!((is_in(&two), is_in(&bob)), (false, true), "{form:?}");
        let again = signed_in(&stage, "alice", "s4");
        assert!(is_in(&again), "{form:?}");
        assert!(is_alive(&mut other), "{form:?}");
    }
}

#[test]
fn a_forged_or_repeated_logout_token_ends_nothing() {
    let stage = Stage::new(&["--backchannel-logout"]);
    let alice = signed_in(&stage, "alice", "s1");
    let provider = &stage.provider;
    let with = |signature| {
        let token = Token { header: typed("logout+jwt"), signature, ..Token::default() };
        signed(provider, json!({"sid": "s1"}), &token)
    };
    let mut forged: Vec<String> = [
        Signature::Corrupted,
        Signature::Missing,
        Signature::Unsigned("none"),
        Signature::Unsigned("NONE"),
        Signature::HmacWithPublicKey,
        Signature::EmbeddedKey,
        Signature::Stranger,
        Signature::Zero,
    ]
    .map(with)
    .to_vec();
    for changes in [
        json!({"sid": "s1", "iss": "https://evil.example"}),
        json!({"sid": "s1", "aud": "another-client"}),
        json!({"sid": "s1", "iat": now() - 3600, "exp": null}),
        json!({"sid": "s1", "iat": now() + 3600}),
        json!({"sid": "s1", "exp": now() - 10}),
        json!({"sid": "s1", "jti": null}),
        json!({"sid": "s1", "nonce": "n"}),
        json!({"sid": "s1", "events": {}}),
        json!({"sid": "s1", "events": {EVENT: null}}),
        json!({}),
    ] {
        forged.push(logout_token(provider, changes));
    }
    let at = Token { header: typed("at+jwt"), ..Token::default() };
    forged.extend([signed(provider, json!({"sid": "s1"}), &at), provider.id_token(), "x".to_owned()]);
    for token in &forged {
        let answer = post(&stage, token);
        assert_eq!(answer.status, 400, "{token}");
        assert_eq!(answer.json()["error"], "invalid_request");
    }
    // The right token in the wrong way.
    let good = || logout_token(provider, json!({"sid": "s1"}));
    let path = "/oauth2/backchannel_logout";
    let form = |fields: &[(&str, &str)]| stage.browser().send(Request::form(path, fields)).status;
    assert_eq!(form(&[]), 400);
    assert_eq!(form(&[("logout_token", &good()), ("logout_token", &good())]), 400);
    assert_eq!(stage.browser().get(&format!("{path}?logout_token={}", good())).status, 405);
    let by_query = Request::new("POST", &format!("{path}?logout_token={}", good()));
    assert_eq!(stage.browser().send(by_query).status, 400);
    let json = Request::new("POST", path).header("Content-Type", "application/json").body("{}");
    assert_eq!(stage.browser().send(json).status, 400);
    assert!(is_in(&alice));
    // Once it counts, twice it does not, and nobody learns whether there was such a session.
    let token = logout_token(provider, json!({"sub": "nobody-here"}));
    assert_eq!((post(&stage, &token).status, post(&stage, &token).status), (200, 400));
    assert!(is_in(&alice));
    let log = stage.doorward.log();
    assert!(!log.contains(&token) && !forged.iter().any(|token| token.len() > 9 && log.contains(token)));
}

#[test]
fn a_logout_token_that_cannot_be_checked_or_noted_is_not_taken_for_done() {
    let redis = Redis::start(&[]);
    let [kind, url] = redis.flags();
    let stage = Stage::new(&[&kind, &url, "--backchannel-logout"]);
    let alice = signed_in(&stage, "alice", "s1");
    stage.provider.fail(Endpoint::Keys, Fault::Status(503, "no"));
    let fresh = stage.sibling(&[&kind, &url, "--backchannel-logout"]);
    let token = logout_token(&stage.provider, json!({"sid": "s1"}));
    let request = || Request::form("/oauth2/backchannel_logout", &[("logout_token", &token)]);
    assert_eq!(fresh.browser().send(request()).status, 503);
    stage.provider.mend(Endpoint::Keys);
    assert!(is_in(&alice));
    drop(redis);
    assert_eq!(post(&stage, &token).status, 503);
    assert_eq!(alice.clone().get("/page").status, 500, "neither in nor out");
}

#[test]
fn without_the_options_the_paths_are_the_applications() {
    let stage = Stage::new(&[]);
    for path in ["backchannel_logout", "frontchannel_logout", "admin/sessions", "signed_out"] {
        let answer = stage.logged_in().get(&format!("/oauth2/{path}"));
        assert!(!answer.echoed().0.is_empty(), "{path}");
        assert_eq!(stage.browser().get(&format!("/oauth2/{path}")).status, 403, "{path}");
    }
}

#[test]
fn a_session_keeps_nothing_that_nobody_asked_for() {
    let plain = Stage::new(&[]).logged_in().cookies[SESSION].len();
    let marked = Stage::new(&["--session-idle-timeout=1h", "--session-max-lifetime=2h"]);
    assert!(marked.logged_in().cookies[SESSION].len() > plain);
}

#[test]
fn a_frame_of_the_provider_ends_the_session_that_it_names() {
    let (_redis, forms) = forms();
    for form in forms {
        let stage = stage(&form, &["--frontchannel-logout", "--cookie-samesite=none"]);
        let (mut one, mut two) = (signed_in(&stage, "alice", "s1"), signed_in(&stage, "alice", "s2"));
        let issuer = encoded(&stage.provider.issuer());
        let path = |query: &str| format!("/oauth2/frontchannel_logout{query}");
        // Any page can frame this: without the name of the session nothing happens, whoever's browser it is.
        for query in [
            String::new(),
            format!("?iss={issuer}"),
            "?sid=s1".to_owned(),
            format!("?iss={issuer}&sid="),
            format!("?iss={issuer}&sid=s1&sid=s1"),
            "?iss=https%3A%2F%2Fevil.example&sid=s1".to_owned(),
        ] {
            assert_eq!(one.get(&path(&query)).status, 400, "{query}");
        }
        assert_eq!(one.get(&path(&format!("?iss={issuer}&sid=other"))).status, 200);
        assert!(is_in(&one) && is_in(&two));
        let saved = one.clone();
        let answer = one.get(&path(&format!("?iss={issuer}&sid=s1")));
        assert_eq!(answer.status, 200);
        assert!(answer.header("content-security-policy").contains(&stage.provider.issuer()));
        assert!(!answer.headers.has("x-frame-options"));
        assert!(!one.cookies.contains_key(SESSION) && is_in(&two), "{form:?}");
        // What is in the store is over for every copy; also where the browser sends no cookies to frames.
        let in_store = form.iter().any(|flag| flag == "--session-store-type=redis");
        assert_eq!(is_in(&saved), !in_store, "{form:?}");
        stage.browser().get(&path(&format!("?iss={issuer}&sid=s2")));
        assert_eq!(is_in(&two), !in_store, "{form:?}");
        two.get("/oauth2/sign_out");
    }
}

#[test]
fn strangers_leave_nothing_in_the_store_by_the_front_channel() {
    let redis = Redis::start(&[]);
    let [kind, url] = redis.flags();
    let stage = Stage::new(&[&kind, &url, "--frontchannel-logout"]);
    let issuer = encoded(&stage.provider.issuer());
    for number in 0..20 {
        stage.browser().get(&format!("/oauth2/frontchannel_logout?iss={issuer}&sid=guess-{number}"));
    }
    assert!(redis.keys().is_empty(), "{:?}", redis.keys());
}

fn admin_path(user: &str, rest: &str) -> String {
    format!("/oauth2/admin/sessions?user={}{rest}", encoded(user))
}

fn delete(browser: &Browser, path: &str) -> Answer {
    browser.clone().send(Request::new("DELETE", path))
}

/// A member of the group of administrators.
fn admin(stage: &Stage) -> Browser {
    stage.provider.set(|knobs| {
        knobs.claim("sub", "root");
        knobs.claim("sid", "s0");
        knobs.claim("email", "root@example.com");
        knobs.claim("preferred_username", "root");
        knobs.claim("groups", json!(["staff", "admins"]));
    });
    stage.logged_in()
}

#[test]
fn administrators_list_and_end_sessions() {
    let redis = Redis::start(&[]);
    let [kind, url] = redis.flags();
    let stage = Stage::new(&[&kind, &url, "--admin-group=admins"]);
    let (one, two) = (signed_in(&stage, "alice", "s1"), signed_in(&stage, "alice", "s2"));
    let bob = signed_in(&stage, "bob", "s3");
    let admin = admin(&stage);
    let list = |user: &str| admin.clone().get(&admin_path(user, "")).json();
    for name in ["alice", "ALICE@example.com"] {
        let found = list(name);
        assert_eq!(
            (found["sessions"].as_array().unwrap().len(), &found["listed"]),
            (2, &json!("all")),
            "{name}"
        );
    }
    let found = list("alice");
    let text = found.to_string();
    for browser in [&one, &two] {
        assert!(!text.contains(&browser.cookies[SESSION]));
    }
    // Nothing in it is a key of the store.
    let ids: Vec<&str> =
        found["sessions"].as_array().unwrap().iter().map(|one| one["id"].as_str().unwrap()).collect();
    assert!(redis.keys().iter().all(|key| !ids.iter().any(|id| key.contains(id))));
    let mut line = opened(&one);
    // One of them; not under the name of somebody else.
    let theirs = delete(&admin, &admin_path("bob", &format!("&id={}", ids[0])));
    assert_eq!(theirs.status, 404);
    assert_eq!(delete(&admin, &admin_path("alice", &format!("&id={}", ids[0]))).status, 204);
    assert_eq!([is_in(&one), is_in(&two)].iter().filter(|is_in| **is_in).count(), 1);
    let ended = delete(&admin, &admin_path("alice", "")).json();
    assert_eq!(ended["ended"], 1);
    assert_closed(&mut line, 4401);
    assert_eq!((is_in(&one), is_in(&two), is_in(&bob), is_in(&admin)), (false, false, true, true));
    assert!(is_in(&signed_in(&stage, "alice", "s9")), "a login afterwards counts");
    // Whoever is not there has no sessions, as has whoever is not signed in.
    assert_eq!(list("nobody")["sessions"], json!([]));
    for bad in
        ["/oauth2/admin/sessions", "/oauth2/admin/sessions?user=", "/oauth2/admin/sessions?user=a&user=b"]
    {
        assert_eq!(admin.clone().get(bad).status, 400, "{bad}");
    }
    assert_eq!(admin.clone().send(Request::new("POST", &admin_path("bob", ""))).status, 405);
    let framed = Request::new("DELETE", &admin_path("bob", ""))
        .header("Sec-Fetch-Site", "cross-site")
        .header("Sec-Fetch-Mode", "cors");
    assert_eq!(admin.clone().send(framed).status, 403);
    assert!(is_in(&bob));
}

#[test]
fn a_command_lists_and_ends_sessions_in_redis() {
    let redis = Redis::start(&[]);
    let [kind, url] = redis.flags();
    let flags = [kind.as_str(), url.as_str(), "--admin-group=admins"];
    let stage = Stage::new(&flags);
    let (one, two) = (signed_in(&stage, "alice", "s1"), signed_in(&stage, "alice", "s2"));
    let bob = signed_in(&stage, "bob", "s3");
    let command = |words: &[&str], flags: &[&str]| {
        let output = std::process::Command::new(PROGRAM).args(words).args(flags).output().unwrap();
        let text = [output.stdout, output.stderr].concat();
        (output.status.success(), String::from_utf8(text).unwrap())
    };
    let (is_done, listed) = command(&["session", "list", "alice@example.com"], &flags);
    assert!(is_done, "{listed}");
    let ids: Vec<&str> = listed.lines().map(|line| line.split(' ').next().unwrap()).collect();
    assert_eq!(ids.len(), 2, "{listed}");
    assert!(command(&["session", "end", "alice", "--id", ids[0]], &flags).0);
    assert!(!command(&["session", "end", "alice", "--id", ids[0]], &flags).0);
    assert_eq!([is_in(&one), is_in(&two)].iter().filter(|is_in| **is_in).count(), 1);
    assert!(command(&["session", "end", "alice"], &flags).0);
    assert_eq!((is_in(&one), is_in(&two), is_in(&bob)), (false, false, true));
    // What it cannot do, and why.
    for (words, flags, expected) in [
        (&["session", "list"][..], &flags[..], "doorward session list USER"),
        (&["session", "end", "alice"], &flags[..2], "admin-group: "),
        (&["session", "end", "alice"], &flags[2..], "session-ledger-type: "),
    ] {
        let (is_done, text) = command(words, flags);
        assert!(!is_done && text.contains(expected), "{text}");
    }
}

#[test]
fn nobody_but_administrators_learns_or_ends_anything() {
    let flags = ["--admin-group=admins", "--skip-auth-route=^/oauth2/admin", "--htpasswd-file={file:users}"];
    let stage = Stage::launch(|launch| launch.file("users", CAROL).flags(flags));
    let alice = signed_in(&stage, "alice", "s1");
    let strangers = stage.browser();
    for user in ["alice", "nobody"] {
        for (who, status) in [(&strangers, 401), (&alice, 403)] {
            let answer = who.clone().get(&admin_path(user, ""));
            assert_eq!(answer.status, status, "{user}");
            let same = who.clone().get(&admin_path("alice", ""));
            assert_eq!(answer.body, same.body, "all users look alike");
            assert_eq!(delete(who, &admin_path(user, "")).status, status);
        }
        let carol = Request::get(&admin_path(user, "")).basic("carol", "singer");
        assert_eq!(stage.browser().send(carol).status, 403);
        let spoofed = Request::get(&admin_path(user, "")).header("X-Forwarded-Groups", "admins");
        assert_eq!(stage.browser().send(spoofed).status, 401);
    }
    assert!(is_in(&alice));
}

#[test]
fn sessions_in_cookies_are_ended_but_not_listed() {
    let stage = Stage::new(&["--admin-group=admins"]);
    let alice = signed_in(&stage, "alice", "s1");
    let admin = admin(&stage);
    let found = admin.clone().get(&admin_path("alice", "")).json();
    assert_eq!((&found["listed"], &found["sessions"]), (&json!("none"), &json!([])));
    assert_eq!(delete(&admin, &admin_path("alice", "")).status, 200);
    assert_eq!((is_in(&alice), is_in(&admin)), (false, true));
}

#[test]
fn a_refresh_does_not_bring_back_what_was_ended() {
    let redis = Redis::start(&[]);
    let url = &redis.flags()[1];
    let ledger = ["--admin-group=admins", "--session-ledger-type=redis", url];
    let stage = Stage::new(&[&ledger[..], &["--cookie-refresh=1s"]].concat());
    // Another instance, which refreshes nothing.
    let beside = stage.sibling(&ledger);
    let mut admin_there = beside.browser();
    admin_there.cookies = admin(&stage).cookies;
    let mut alice = signed_in(&stage, "alice", "s1");
    let before = alice.cookies.clone();
    eventually("the session is refreshed", || {
        alice.get("/page");
        alice.cookies != before
    });
    assert!(is_in(&alice));
    assert_eq!(delete(&admin_there, &admin_path("alice", "")).status, 200);
    assert!(!is_in(&alice));
    let mut old = alice.clone();
    old.cookies = before;
    assert!(!is_in(&old));
}

fn parameters(location: &str) -> std::collections::BTreeMap<String, String> {
    url::Url::parse(location).unwrap().query_pairs().into_owned().collect()
}

#[test]
fn a_sign_out_goes_on_to_the_provider_and_comes_back() {
    let stage = Stage::new(&["--provider-logout"]);
    let mut browser = stage.logged_in();
    let answer = browser.get("/oauth2/sign_out?rd=%2Fbye%3Fx%3D1");
    let issuer = stage.provider.issuer();
    assert!(answer.location().starts_with(&format!("{issuer}/logout?")), "{}", answer.location());
    let sent = parameters(answer.location());
    assert_eq!(sent["client_id"], Provider::CLIENT_ID);
    assert_eq!(sent["state"], "/bye?x=1");
    assert_eq!(sent["post_logout_redirect_uri"], format!("http://{}/oauth2/signed_out", browser.host()));
    assert_eq!(sent["id_token_hint"].split('.').count(), 3);
    assert!(!browser.cookies.contains_key(SESSION));
    let back = browser.get(&format!("/oauth2/signed_out?state={}", encoded(&sent["state"])));
    assert_eq!((back.status, back.location()), (302, "/bye?x=1"));
    // Nobody was signed in: there is nothing to end.
    assert_eq!(browser.get("/oauth2/sign_out?rd=%2Fbye").location(), "/bye");
    // Any page can lead here: then the provider has to ask.
    let from_elsewhere = Request::get("/oauth2/sign_out").header("Sec-Fetch-Site", "cross-site");
    let sent = parameters(stage.logged_in().send(from_elsewhere).location());
    assert!(!sent.contains_key("id_token_hint") && !sent.contains_key("state"), "{sent:?}");
}

#[test]
fn the_way_back_leads_nowhere_that_a_sign_out_would_not() {
    let stage = Stage::new(&["--provider-logout"]);
    for state in [
        "https://evil.example/",
        "//evil.example",
        "/\\evil.example",
        "/a//evil.example",
        "javascript:alert(1)",
        "",
        "/oauth2/sign_out",
    ] {
        let answer = stage.browser().get(&format!("/oauth2/signed_out?state={}", encoded(state)));
        assert_eq!((answer.status, answer.location()), (200, ""), "{state}");
        assert!(answer.text().contains("Signed out"));
        assert_eq!(answer.header("x-frame-options"), "DENY");
    }
    let twice = stage.browser().get("/oauth2/signed_out?state=/a&state=/b");
    assert_eq!(twice.status, 200);
}

#[test]
fn where_the_provider_has_no_such_endpoint_the_sign_out_is_ours_alone() {
    let stage = Stage::before(
        |provider| {
            provider.set(|knobs| _ = knobs.discovery.insert("end_session_endpoint".into(), Value::Null));
        },
        |launch| launch.flag("--provider-logout").flag("--post-logout-redirect-url=https://app.example"),
    );
    assert_eq!(stage.logged_in().get("/oauth2/sign_out?rd=%2Fbye").location(), "/bye");
    stage.doorward.wait_for_log("end_session_endpoint");
}

fn revoking(change: impl FnOnce(&Provider)) -> Stage {
    Stage::before(
        |provider| {
            let endpoint = format!("{}/revoke", provider.issuer());
            provider.set(|knobs| _ = knobs.discovery.insert("revocation_endpoint".into(), endpoint.into()));
            change(provider);
        },
        |launch| launch.flag("--revoke-tokens"),
    )
}

#[test]
fn a_sign_out_takes_the_tokens_back_and_waits_for_nobody() {
    let stage = revoking(|_| {});
    stage.logged_in().get("/oauth2/sign_out");
    eventually("both tokens are taken back", || stage.provider.count(Endpoint::Unknown) == 2);
    let kinds = |call: &Call| call.parameters["token_type_hint"].clone();
    let calls = stage.provider.calls(Endpoint::Unknown);
    assert_eq!(calls.iter().map(kinds).collect::<Vec<_>>(), ["refresh_token", "access_token"]);
    assert!(calls.iter().all(|call| call.method == "POST" && call.headers.has("authorization")));
    // An endpoint that never answers.
    let stage = revoking(|provider| provider.fail(Endpoint::Unknown, Fault::Hang));
    for _ in 0..3 {
        assert_eq!(stage.logged_in().get("/oauth2/sign_out").status, 302);
    }
}

#[test]
fn a_session_is_over_so_long_after_its_login_however_often_it_is_refreshed() {
    let redis = Redis::start(&[]);
    for form in [vec![], redis.flags().to_vec()] {
        let stage = stage(&form, &["--session-max-lifetime=2s", "--cookie-refresh=1s"]);
        let mut browser = stage.logged_in();
        eventually("the login is too old", || browser.get("/oauth2/auth").status == 401);
        assert!(!browser.cookies.contains_key(SESSION), "{form:?}");
        stage.doorward.wait_for_log("--session-max-lifetime");
    }
}

#[test]
fn an_unused_session_is_over_and_one_in_use_is_written_down() {
    let redis = Redis::start(&[]);
    for form in [vec![], redis.flags().to_vec()] {
        let stage = stage(&form, &["--session-idle-timeout=10s"]);
        let mut used = stage.logged_in();
        let unused = used.clone();
        let sealed = |browser: &Browser| browser.cookies[SESSION].clone();
        if form.is_empty() {
            let before = sealed(&used);
            eventually("the use is written down", || {
                used.get("/oauth2/auth");
                sealed(&used) != before
            });
            eventually("the cookie of before is too old", || {
                unused.clone().get("/oauth2/auth").status == 401
            });
        } else {
            eventually("the use is written down", || {
                used.get("/oauth2/auth").set_cookies().iter().any(|cookie| cookie.name == SESSION)
            });
        }
    }
}

#[test]
fn limits_that_cannot_work_are_named() {
    let (provider, echo) = crate::support::parts();
    let launch =
        |flags: &[&str]| Launch::new(PROGRAM, &provider, &echo).flags(flags.iter().copied()).fail().output;
    for (flags, expected) in [
        (&["--session-idle-timeout=5s"][..], "session-idle-timeout: "),
        (&["--session-idle-timeout=1h", "--session-max-lifetime=30m"], "session-max-lifetime: "),
        (&["--session-ledger-type=file"], "session-ledger-type: "),
        (&["--session-ledger-type=redis", "--backchannel-logout"], "redis-connection-url: "),
        (&["--post-logout-redirect-url=https://"], "post-logout-redirect-url: "),
    ] {
        let output = launch(flags);
        assert!(output.contains(expected), "{flags:?}: {output}");
    }
}

#[test]
fn the_built_in_server_of_another_doorward_ends_what_began_with_its_login() {
    const PASSWORD: &str = "correct horse battery staple";
    let (echo, server, application) = (Echo::start(), Launch::bare(PROGRAM), Launch::bare(PROGRAM));
    let (issuer, ours) =
        (format!("http://{}", server.address), format!("http://{}/oauth2", application.address));
    let settings = format!(
        "authServer:
  enabled: true
  issuer: {issuer}
  store: {{type: memory}}
  bootstrapPasswordFile: {}/password
  identityProviders: [{{name: local, type: static}}]
  clients:
    - {{id: app, secret: a-secret-of-the-application, redirectURIs: ['{ours}/callback'],
       backchannelLogoutURI: '{ours}/backchannel_logout'}}
",
        server.folder()
    );
    let common = [
        format!("--cookie-secret={}", Launch::COOKIE_SECRET),
        "--cookie-secure=false".to_owned(),
        "--email-domain=*".to_owned(),
        format!("--upstream={}", echo.url()),
    ];
    let common = || common.iter().map(String::as_str);
    let server = server
        .private_file("password", PASSWORD)
        .private_file("doorward.yaml", &settings)
        .flags(common())
        .flag("--doorward-config={file:doorward.yaml}")
        .start();
    let application = application
        .flags(common())
        .flag("--provider=oidc")
        .flag(&format!("--oidc-issuer-url={issuer}"))
        .flag("--client-id=app")
        .flag("--client-secret=a-secret-of-the-application")
        .flag(&format!("--redirect-url={ours}/callback"))
        .flag("--scope=openid profile")
        .flag("--oidc-email-claim=sub")
        .flag("--skip-provider-button")
        .flag("--backchannel-logout")
        .start();

    // The same browser, at two addresses.
    let (mut there, mut here_too) = (server.browser(), application.browser());
    assert_eq!(sign_in(&mut there, "admin", PASSWORD).status, 200, "{}", server.log());
    let asked = visit(&mut here_too, "/");
    let agreed = visit(&mut there, &here(asked.location()));
    assert!(agreed.location().starts_with(&ours), "{} {}", agreed.location(), server.log());
    visit(&mut here_too, &here(agreed.location()));
    assert_eq!(visit(&mut here_too, "/").status, 200, "{}", application.log());

    let page = visit(&mut there, "/oauth/logout");
    there.send(Request::form("/oauth/logout", &[("csrf", &field(&page, "csrf"))]));
    eventually("the application has heard of it", || visit(&mut here_too, "/").status != 200);
}
