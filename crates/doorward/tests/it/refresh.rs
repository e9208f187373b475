//! Keeping a session fresh: once, for everybody who asks, and never at the cost of a session that is still good.

use std::{collections::BTreeMap, thread, time::Duration};

use doorward_testkit::{Browser, Endpoint, Fault, Refresh};
use serde_json::{Value, json};

use crate::support::{Stage, at_once};

/// Sessions are due from the next full second on. Waiting longer would do no harm.
pub(crate) const SHORT: &str = "--cookie-refresh=1ms";

pub(crate) fn wait_until_due() {
    thread::sleep(Duration::from_millis(1100));
}

fn user_info(browser: &mut Browser) -> Value {
    browser.get("/oauth2/userinfo").json()
}

#[test]
fn c22_parallel_requests_refresh_once_and_all_get_in() {
    let stage = Stage::new(&[SHORT]);
    stage.provider.set(|knobs| knobs.refresh = Refresh::Rotating);
    let browser = stage.logged_in();
    wait_until_due();
    let ask = || browser.clone().get("/page").status;
    let statuses: Vec<u16> = thread::scope(|scope| {
        let threads: Vec<_> = (0..10).map(|_| scope.spawn(ask)).collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    });
    assert_eq!(statuses, [200; 10]);
    assert_eq!((stage.provider.count(Endpoint::Refresh), stage.provider.reuses()), (1, 0));
    // A request that was under way with the old cookie.
    assert_eq!(ask(), 200);
    assert_eq!((stage.provider.count(Endpoint::Refresh), stage.provider.reuses()), (1, 0));
}

#[test]
fn cve_2026_71326_two_people_refreshed_at_once_keep_their_own_identities() {
    let stage = Stage::new(&[SHORT]);
    let people: BTreeMap<String, Browser> = (0..6)
        .map(|number| {
            let email = format!("person{number}@example.com");
            stage.provider.set(|knobs| {
                knobs.claim("sub", format!("sub-{number}"));
                knobs.claim("email", email.as_str());
            });
            (email, stage.logged_in())
        })
        .collect();
    // Refreshed ID tokens would all name the last person.
    stage.provider.set(|knobs| knobs.refreshed_id_token = false);
    wait_until_due();
    thread::scope(|scope| {
        for (email, browser) in &people {
            for _ in 0..3 {
                scope.spawn(move || assert_eq!(user_info(&mut browser.clone())["email"], *email));
            }
        }
    });
    assert_eq!(stage.provider.count(Endpoint::Refresh), people.len());
}

#[test]
fn a_refresh_brings_new_claims() {
    let stage = Stage::new(&[SHORT]);
    let mut browser = stage.logged_in();
    stage.provider.set(|knobs| knobs.claim("groups", json!(["newcomers"])));
    wait_until_due();
    assert_eq!(user_info(&mut browser)["groups"], json!(["newcomers"]));
}

#[test]
fn somebody_who_left_the_group_is_out_after_the_refresh() {
    let stage = Stage::new(&[SHORT, "--allowed-group=staff"]);
    let mut browser = stage.logged_in();
    assert_eq!(browser.get("/page").status, 200);
    stage.provider.set(|knobs| knobs.claim("groups", json!(["guests"])));
    wait_until_due();
    assert_eq!(browser.get("/page").status, 403);
    assert_eq!(browser.get("/oauth2/auth").status, 401);
}

#[test]
fn a16_a_refresh_never_changes_who_somebody_is() {
    let stage = Stage::new(&[SHORT]);
    let mut browser = stage.logged_in();
    stage.provider.set(|knobs| {
        knobs.claim("sub", "sub-of-another");
        knobs.claim("email", "boss@example.com");
    });
    wait_until_due();
    let answer = browser.get("/oauth2/userinfo");
    let kept = answer.status == 200 && answer.json()["email"] == "jane@example.com";
    assert!(kept || answer.status == 401, "{} {}", answer.status, answer.text());
    stage.doorward.wait_for_log("sub");
}

#[test]
fn a_refreshed_token_is_verified_like_any_other() {
    let stage = Stage::new(&[SHORT]);
    let mut browser = stage.logged_in();
    stage.provider.set(|knobs| {
        knobs.claim("email", "boss@example.com");
        knobs.id_token.signature = doorward_testkit::Signature::Stranger;
    });
    wait_until_due();
    assert_eq!(user_info(&mut browser)["email"], "jane@example.com");
}

#[test]
fn trouble_at_the_provider_keeps_a_good_session_and_is_not_asked_for_again_at_once() {
    let faults = [
        Fault::Status(500, "oops"),
        Fault::Status(503, r#"{"error":"temporarily_unavailable"}"#),
        // The mistake of an operator, not of the user.
        Fault::Status(401, r#"{"error":"invalid_client"}"#),
        Fault::Malformed,
        Fault::Close,
        Fault::Hang,
        Fault::Drip,
        Fault::GzipBomb,
    ];
    at_once(&faults, |&fault| {
        let stage = Stage::new(&[SHORT]);
        let mut browser = stage.logged_in();
        wait_until_due();
        stage.provider.fail(Endpoint::Refresh, fault);
        for _ in 0..4 {
            assert_eq!(browser.get("/page").status, 200, "{fault:?}");
        }
        // The second call of invalid_client is the other way to authenticate.
        let calls = stage.provider.count(Endpoint::Refresh);
        assert!((1..=2).contains(&calls), "{fault:?}: asked {calls} times");
    });
}

#[test]
fn c15_a_wrong_client_secret_ends_no_session() {
    let stage = Stage::new(&[SHORT]);
    let mut browser = stage.logged_in();
    wait_until_due();
    stage.provider.fail(Endpoint::Refresh, Fault::Status(401, r#"{"error":"invalid_client"}"#));
    assert_eq!(browser.get("/oauth2/auth").status, 202);
    assert!(!browser.cookies.is_empty());
}

#[test]
fn a_refused_refresh_token_ends_the_session() {
    let stage = Stage::new(&[SHORT]);
    let mut browser = stage.logged_in();
    wait_until_due();
    stage.provider.fail(Endpoint::Refresh, Fault::Status(400, r#"{"error":"invalid_grant"}"#));
    assert_eq!(browser.get("/oauth2/auth").status, 401);
    assert!(browser.cookies.is_empty());
}

#[test]
fn c23_signing_out_does_not_ask_for_new_tokens() {
    let stage = Stage::new(&[SHORT]);
    let mut browser = stage.logged_in();
    wait_until_due();
    assert_eq!(browser.get("/oauth2/sign_out").status, 302);
    assert!(browser.cookies.is_empty());
    assert_eq!(stage.provider.count(Endpoint::Refresh), 0);
}

#[test]
fn c23_an_open_page_does_not_ask_for_new_tokens() {
    let stage = Stage::new(&[SHORT, "--skip-auth-route=^/open$"]);
    let mut browser = stage.logged_in();
    wait_until_due();
    assert_eq!(browser.get("/open").status, 200);
    assert_eq!(stage.provider.count(Endpoint::Refresh), 0);
}

#[test]
fn c25_roles_are_not_doubled_by_a_refresh() {
    let stage = Stage::before(
        |provider| {
            let roles = json!({ "roles": ["admin"] });
            provider.set(|knobs| {
                knobs.access_claims = Some([("realm_access".to_owned(), roles)].into_iter().collect());
                knobs.refreshed_id_token = false;
            });
        },
        |launch| launch.without("provider").flag("--provider=keycloak-oidc").flag(SHORT),
    );
    let mut browser = stage.logged_in();
    let before = user_info(&mut browser)["groups"].clone();
    wait_until_due();
    assert_eq!(user_info(&mut browser)["groups"], before);
    assert!(stage.provider.count(Endpoint::Refresh) >= 1);
}
