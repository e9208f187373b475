//! Software made for OpenShift logs in with a password: Ansible's `community.okd.openshift_auth` and fabric8's client.

use std::process::Command;

use doorward_testkit::Headers;
use serde_json::{Value, json};

use crate::{
    place::{ALICE, PASSWORD, Place, STORES, Store},
    tool::{self, Ran},
};

/// One run of the module; what it says is JSON.
#[track_caller]
fn ansible(place: &Place, arguments: &Value) -> (Ran, Value) {
    let mut arguments = arguments.clone();
    arguments["host"] = place.issuer.clone().into();
    arguments["ca_cert"] = place.path("servers.pem").to_string_lossy().into();
    let python = tool::installed("python/bin");
    // Not by its script, which names the folder where it was installed: checkouts are moved.
    let mut command = Command::new(python.join("python"));
    command
        .args(["-m", "ansible", "adhoc"])
        .args([
            "localhost",
            "-c",
            "local",
            "-m",
            "community.okd.openshift_auth",
            "-a",
            &arguments.to_string(),
        ])
        .env("ANSIBLE_COLLECTIONS_PATH", tool::installed("ansible_collections").parent().unwrap())
        .env("ANSIBLE_PYTHON_INTERPRETER", python.join("python"))
        .env("ANSIBLE_HOME", place.path("ansible"))
        .env("ANSIBLE_NOCOLOR", "1")
        .env("LC_ALL", "C.UTF-8");
    let ran = tool::run(&mut command);
    let report = ran.output.split_once("=> ").map(|(_, report)| report.to_owned());
    let report = report.unwrap_or_else(|| panic!("{ran:?}"));
    let report = serde_json::Deserializer::from_str(&report).into_iter().next().unwrap().unwrap();
    (ran, report)
}

#[track_caller]
fn fabric8(place: &Place, password: &str) -> Ran {
    let libraries = format!("{}/*", tool::installed("java").display());
    let mut command = Command::new("java");
    command.args(["-XX:TieredStopAtLevel=1", "-cp", &libraries]).arg(tool::sources().join("java/Login.java"));
    command.arg(&place.issuer).arg(place.path("servers.pem"));
    tool::run(command.args([ALICE, password]).env("HOME", place.path("")))
}

#[test]
fn a26_and_a27_ansible_logs_in_with_a_password_and_out_again() {
    for store in STORES {
        let place = Place::new(store);
        let (ran, report) =
            ansible(&place, &json!({"state": "present", "username": ALICE, "password": PASSWORD}));
        ran.succeeded();
        let token = report["openshift_auth"]["api_key"].as_str().unwrap_or_else(|| panic!("{report}"));
        assert!(token.starts_with("sha256~") && token.len() == 50, "{report}");
        assert_eq!(place.get_with(token, "/api/thing").status, 200, "{store:?}");

        let (ran, report) = ansible(&place, &json!({"state": "absent", "api_key": token}));
        ran.succeeded();
        assert_eq!(report["changed"], true);
        assert_eq!(place.get_with(token, "/api/thing").status, 401, "{store:?}");
    }
}

#[test]
fn a28_fabric8_finds_its_token_in_the_fragment() {
    for store in STORES {
        let place = Place::new(store);
        let output = fabric8(&place, PASSWORD).succeeded();
        let user: Value = serde_json::from_str(&output).unwrap_or_else(|_| panic!("{output}"));
        assert_eq!(user["metadata"]["name"], ALICE, "{store:?}");
        assert_eq!(user["metadata"]["uid"], place.owner_of(&place.token())["metadata"]["uid"]);
        assert!(user["groups"].as_array().unwrap().contains(&json!("system:authenticated")), "{user}");
    }
}

#[test]
fn a29_with_a_wrong_password_both_say_so() {
    let place = Place::new(Store::Embedded);
    let (ran, report) = ansible(&place, &json!({"state": "present", "username": ALICE, "password": "no"}));
    ran.failed();
    assert_eq!(report["req_status_code"], 401, "{report}");

    let said = fabric8(&place, "no").failed();
    assert!(said.contains("401") && said.contains("Missing header:[Location]"), "{said}");

    // What Ansible was sent, seen without it.
    let target = "/oauth/authorize?response_type=code&client_id=openshift-challenging-client&state=1\
                  &code_challenge_method=S256";
    let request = doorward_testkit::Request::get(target).header("X-Csrf-Token", "1").basic(ALICE, "no");
    let answer = place.send(request);
    assert_eq!((answer.status, challenge(&answer.headers)), (401, "Basic realm=\"openshift\""));
}

fn challenge(headers: &Headers) -> &str {
    headers.first("www-authenticate")
}
