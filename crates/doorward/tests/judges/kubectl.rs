//! kubectl, as its users type it.

use std::{fs, process::Command};

use serde_json::{Value, json};

use crate::{
    place::{ALICE, Place, STORES, Store},
    tool::{self, Ran},
};

/// kubectl with nothing but a server, its authority and these words.
#[track_caller]
fn kubectl(place: &Place, words: &[&str]) -> Ran {
    let mut command = Command::new(tool::installed("kubectl"));
    command.env("KUBECONFIG", place.path("no-such-file")).env("HOME", place.path(""));
    command.args(["--server", &place.issuer, "--request-timeout=20s", "--certificate-authority"]);
    tool::run(command.arg(place.path("servers.pem")).args(words))
}

fn with_certificate<'a>(place: &Place, name: &str, words: &[&'a str]) -> Vec<String> {
    let file = |name: &str| place.path(name).to_string_lossy().into_owned();
    let mut all = vec![
        format!("--client-certificate={}", file(&format!("{name}.pem"))),
        format!("--client-key={}", file(&format!("{name}-key.pem"))),
    ];
    all.extend(words.iter().map(|word: &&'a str| (*word).to_owned()));
    all
}

#[track_caller]
fn kubectl_as(place: &Place, certificate: &str, words: &[&str]) -> Ran {
    let words = with_certificate(place, certificate, words);
    kubectl(place, &words.iter().map(String::as_str).collect::<Vec<_>>())
}

/// kubectl asks for a name when it has no credential at all; a scheme that nobody knows here is none either.
const NOTHING: [&str; 2] = ["--username=nobody", "--password=nothing"];

/// The values of a header that reached the application, which is what kubectl printed.
#[track_caller]
fn echoed(page: &str, name: &str) -> Vec<String> {
    let page: Value = serde_json::from_str(page).unwrap();
    let lines = page["headers"].as_array().unwrap().iter();
    let named = lines.filter(|line| line[0].as_str().unwrap().eq_ignore_ascii_case(name));
    named.map(|line| line[1].as_str().unwrap().to_owned()).collect()
}

#[test]
fn a01_kubectl_without_credentials_is_anonymous_where_that_is_switched_on() {
    let place = Place::with(Store::Embedded, |settings| {
        settings["apiAuth"]["anonymous"]["enabled"] = true.into();
    });
    let page = kubectl(&place, &[&NOTHING[..], &["get", "--raw", "/api/thing"]].concat()).succeeded();
    assert_eq!(echoed(&page, "X-Remote-User"), ["system:anonymous"]);
    assert_eq!(echoed(&page, "X-Remote-Group"), ["system:unauthenticated"]);
    let refused = kubectl(&place, &["--token=sha256~bad", "get", "--raw", "/api/thing"]).failed();
    assert!(refused.contains("Unauthorized"), "a05: {refused}");
}

#[test]
fn a02_kubectl_without_credentials_is_told_to_log_in() {
    let place = Place::new(Store::Embedded);
    let refused = kubectl(&place, &[&NOTHING[..], &["get", "--raw", "/api/thing"]].concat()).failed();
    // kubectl knows the reason only from a well-formed Status.
    assert!(refused.contains("You must be logged in to the server (Unauthorized)"), "{refused}");
    assert_eq!(place.echo.count("/api/thing"), 0);
}

#[test]
fn a03_kubectl_with_a_token_is_its_owner_and_the_token_ends_here() {
    for store in STORES {
        let place = Place::new(store);
        let token = format!("--token={}", place.token());
        let page = kubectl(&place, &[&token, "get", "--raw", "/api/thing"]).succeeded();
        assert_eq!(echoed(&page, "X-Remote-User"), [ALICE], "{store:?}");
        assert!(echoed(&page, "X-Remote-Group").contains(&"system:authenticated".to_owned()), "{page}");
        assert!(echoed(&page, "Authorization").is_empty(), "{page}");
    }
}

#[test]
fn a05_kubectl_with_an_unknown_token_is_refused() {
    let place = Place::new(Store::Embedded);
    let refused = kubectl(&place, &["--token=sha256~bad", "get", "--raw", "/api/thing"]).failed();
    assert!(refused.contains("You must be logged in to the server (Unauthorized)"), "{refused}");
}

#[test]
fn a14_kubectl_with_a_certificate_is_who_it_names() {
    let place = Place::new(Store::Embedded);
    let page = kubectl_as(&place, "bob", &["get", "--raw", "/api/thing"]).succeeded();
    assert_eq!(echoed(&page, "X-Remote-User"), ["bob"]);
    assert_eq!(echoed(&page, "X-Remote-Group"), ["dev", "ops", "system:authenticated"]);
}

#[test]
fn a15_kubectl_with_a_bad_certificate_gets_an_answer_and_no_alert() {
    let place = Place::new(Store::Embedded);
    for certificate in ["bob-of-strangers", "bob-of-yesterday", "bob-as-server"] {
        let refused = kubectl_as(&place, certificate, &["get", "--raw", "/api/thing"]).failed();
        assert!(refused.contains("(Unauthorized)"), "{certificate}: {refused}");
    }
}

#[test]
fn a21_impersonation_that_is_off_is_forbidden_and_reaches_nobody() {
    let place = Place::new(Store::Embedded);
    let refused = kubectl_as(&place, "bob", &["--as=carol", "get", "--raw", "/api/thing"]).failed();
    assert!(refused.contains("Forbidden") || refused.contains("forbidden"), "{refused}");
    assert_eq!(place.echo.count("/api/thing"), 0);
}

#[test]
fn a22_impersonation_by_rule_replaces_the_user() {
    let place = Place::with(Store::Embedded, |settings| {
        settings["apiAuth"]["impersonation"] = json!({
            "enabled": true,
            "rules": [{"users": ["bob"], "mayBe": {"users": ["carol"], "groups": ["guests"]}}],
        });
    });
    let words = ["--as=carol", "--as-group=guests", "get", "--raw", "/api/thing"];
    let page = kubectl_as(&place, "bob", &words).succeeded();
    assert_eq!(echoed(&page, "X-Remote-User"), ["carol"]);
    assert_eq!(echoed(&page, "X-Remote-Group"), ["guests", "system:authenticated"]);
    assert!(echoed(&page, "Impersonate-User").is_empty(), "{page}");

    for words in [["--as=dave", "--as-group=guests"], ["--as=carol", "--as-group=system:masters"]] {
        let words = [&words[..], &["get", "--raw", "/api/other"]].concat();
        let refused = kubectl_as(&place, "bob", &words).failed();
        assert!(refused.to_ascii_lowercase().contains("forbidden"), "{words:?}: {refused}");
    }
    assert_eq!(place.echo.count("/api/other"), 0);
}

#[test]
fn a23_kubectl_asks_who_it_is() {
    for store in STORES {
        let place = Place::new(store);
        let token = place.token();
        let owner = place.owner_of(&token);
        let words = [&format!("--token={token}"), "auth", "whoami", "-o", "json"];
        let review: Value = serde_json::from_str(&kubectl(&place, &words).succeeded()).unwrap();
        let user = &review["status"]["userInfo"];
        assert_eq!((&user["username"], &user["uid"]), (&json!(ALICE), &owner["metadata"]["uid"]), "{review}");
        assert!(user["groups"].as_array().unwrap().contains(&json!("system:authenticated")), "{review}");
        let table = kubectl(&place, &[&format!("--token={token}"), "auth", "whoami"]).succeeded();
        assert!(table.contains("Username") && table.contains(ALICE), "{table}");

        let by_certificate = kubectl_as(&place, "bob", &["auth", "whoami", "-o", "json"]).succeeded();
        let review: Value = serde_json::from_str(&by_certificate).unwrap();
        assert_eq!(review["status"]["userInfo"]["username"], "bob", "{review}");
    }
}

/// The webhook authenticator of the Kubernetes API server asks for reviews.
#[test]
fn a24_a_reviewer_learns_whose_a_token_is_and_nobody_else_does() {
    for store in STORES {
        let place = Place::new(store);
        let token = place.token();
        let issuer = place.issuer.as_str();
        let tokens = json!([
            {"Token": token},
            {"Token": "sha256~AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"},
            {"Token": token, "Audiences": ["https://somewhere.example"]},
            {"Token": token, "Audiences": [issuer]},
        ]);
        let reviews = review(&place, "reviewer", &tokens);
        let authenticated: Vec<_> =
            reviews.iter().map(|line| line["authenticated"].as_bool().unwrap()).collect();
        assert_eq!(authenticated, [true, false, false, true], "{reviews:?}");
        let owner = place.owner_of(&token);
        assert_eq!(reviews[0]["identity"]["name"], ALICE);
        assert_eq!(reviews[0]["identity"]["uid"], owner["metadata"]["uid"]);
        assert_eq!(reviews[0]["identity"]["groups"], owner["groups"]);
        assert_eq!(
            reviews[0]["identity"]["extra"]["scopes.authorization.openshift.io"],
            json!(["user:full"])
        );
        assert_eq!(reviews[3]["audiences"], json!([issuer]));

        let others = review(&place, "bob", &json!([{"Token": token}]));
        assert_eq!(others[0]["authenticated"], false);
        let reason = others[0]["error"].as_str().unwrap();
        assert!(reason.starts_with("only reviewers may ask this"), "{reason}");
    }
}

fn review(place: &Place, certificate: &str, tokens: &Value) -> Vec<Value> {
    let settings = json!({
        "Server": place.issuer,
        "Authority": place.path("servers.pem"),
        "Certificate": place.path(&format!("{certificate}.pem")),
        "Key": place.path(&format!("{certificate}-key.pem")),
        "Tokens": tokens,
    });
    let file = place.path("review.json");
    fs::write(&file, settings.to_string()).unwrap();
    tool::run(Command::new(tool::go_judges()).arg("review").arg(&file)).lines()
}
