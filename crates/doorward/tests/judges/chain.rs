//! The same requests to the authenticators of the Kubernetes API server and to doorward: both must see the same user
//! and leave the same headers, except where we deviate on purpose.

use std::{fs, process::Command, sync::OnceLock};

use doorward_testkit::{Echo, free_address};
use serde_json::{Value, json};

use crate::{
    place::{Place, Store},
    tool,
};

/// How the chain is set up; each is judged with all cases.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Setup {
    AnonymousIn,
    AnonymousOut,
    /// Without a front proxy, whose missing certificate is an error of its own in Kubernetes.
    UsersOnly,
}

const SETUPS: [Setup; 3] = [Setup::AnonymousIn, Setup::AnonymousOut, Setup::UsersOnly];

/// What both made of one request.
struct Case {
    setup: Setup,
    name: String,
    kubernetes: Value,
    doorward: Value,
}

fn judge(setup: Setup) -> Vec<Case> {
    let anonymous = setup != Setup::AnonymousOut;
    let application = free_address();
    let place =
        Place::in_front_of(&format!("http://{application}"), Echo::start(), Store::Embedded, |settings| {
            settings["apiAuth"]["anonymous"]["enabled"] = anonymous.into();
            if setup == Setup::UsersOnly {
                settings["apiAuth"].as_object_mut().unwrap().remove("requestHeader");
            }
        });
    let token = place.token();
    let owner = place.owner_of(&token);
    let order = json!({
        "Doorward": place.tls_address,
        "Upstream": application.to_string(),
        "Certificates": place.path(""),
        "Anonymous": anonymous,
        "FrontProxy": setup != Setup::UsersOnly,
        "Good": token,
        "Tokens": {&token: {
            "name": owner["metadata"]["name"],
            "uid": owner["metadata"]["uid"],
            "groups": owner["groups"],
            "extra": {"scopes.authorization.openshift.io": ["user:full"]},
        }},
    });
    let file = place.path("chain.json");
    fs::write(&file, order.to_string()).unwrap();
    let lines = tool::run(Command::new(tool::go_judges()).arg("chain").arg(&file)).lines();
    let read = |mut line: Value| Case {
        setup,
        name: line["case"].as_str().unwrap().to_owned(),
        kubernetes: line["kubernetes"].take(),
        doorward: if line["failure"].is_null() { line["doorward"].take() } else { line["failure"].take() },
    };
    lines.into_iter().map(read).collect()
}

/// All cases of all setups, judged once.
fn cases() -> &'static [Case] {
    static CASES: OnceLock<Vec<Case>> = OnceLock::new();
    CASES.get_or_init(|| SETUPS.into_iter().flat_map(judge).collect())
}

/// Both agree in every case of this law; `expected` changes what Kubernetes says where we deviate.
#[track_caller]
fn agree_except(law: &str, expected: impl Fn(&'static Case) -> Value) {
    let mut judged = 0;
    let mut disagreements = Vec::new();
    for case in cases().iter().filter(|case| case.name.starts_with(law)) {
        let expected = expected(case);
        judged += 1;
        if case.doorward != expected {
            let (setup, name, doorward) = (case.setup, &case.name, &case.doorward);
            disagreements
                .push(format!("{setup:?}, {name}:\n  Kubernetes {expected}\n  doorward   {doorward}"));
        }
    }
    assert!(judged > 0, "no case is about {law}");
    assert!(disagreements.is_empty(), "{}", disagreements.join("\n"));
}

#[track_caller]
fn agree(law: &str) {
    agree_except(law, |case| case.kubernetes.clone());
}

#[test]
fn a01_anonymous_is_somebody_only_where_that_is_switched_on() {
    agree("a01");
    let seen =
        |wanted| cases().iter().find(|case| case.setup == wanted && case.name == "a01 nothing").unwrap();
    assert_eq!(seen(Setup::AnonymousIn).doorward["identity"]["name"], "system:anonymous");
    assert_eq!(seen(Setup::AnonymousOut).doorward["status"], 401);
}

#[test]
fn a03_the_owner_of_a_token_is_who_kubernetes_says() {
    agree("a03");
}

#[test]
fn a04_the_scheme_may_be_in_any_case_and_words_may_follow() {
    agree("a04");
}

#[test]
fn a05_a_bad_token_is_never_anonymous() {
    agree("a05");
}

#[test]
fn a06_what_is_no_bearer_token_is_no_credential() {
    agree("a06");
}

#[test]
fn a09_a_token_among_the_subprotocols_counts_and_is_not_passed_on() {
    agree("a09");
}

#[test]
fn a10_a_token_alone_among_the_subprotocols_is_refused() {
    agree("a10");
}

#[test]
fn a11_malformed_tokens_among_the_subprotocols_are_refused() {
    agree_except("a11", without_the_item);
}

/// Kubernetes passes the header on as it came.
#[test]
fn a12_without_an_upgrade_subprotocols_are_not_read() {
    agree_except("a12", without_the_item);
}

/// Kubernetes passes a bad token among the subprotocols on when another credential was good.
#[test]
fn a13_a_good_bearer_wins_and_the_bad_subprotocol_is_gone() {
    agree_except("a13", without_the_item);
}

#[test]
fn a14_a_certificate_names_user_groups_and_itself() {
    agree("a14");
}

#[test]
fn a15_bad_certificates_are_refused_after_the_handshake() {
    agree("a15");
}

/// Every combination of credentials, besides the plain cases.
#[test]
fn a16_one_good_credential_is_enough() {
    agree_except("a16", |case| without_the_item(judged_without_a_name(case)));
}

#[test]
fn a17_a_certificate_without_a_name_is_no_credential_and_two_uids_are_refused() {
    agree_except("a17", |case| judged_without_a_name(case).kubernetes.clone());
}

/// Kubernetes calls a certificate without a name an error only where a front proxy is configured, whose certificate it
/// is not. Here that is no reason to refuse somebody who claims nothing in the headers of a proxy: what it says of the
/// same request without a front proxy counts.
fn judged_without_a_name(case: &'static Case) -> &'static Case {
    let is_nameless = case.name.contains("without a name") || case.name.contains("\"nobody\"");
    let counts = |other: &&Case| other.setup == Setup::UsersOnly && other.name == case.name;
    let claims_nothing = !case.name.contains("carol") && case.kubernetes["status"] == 401;
    match case.setup {
        Setup::AnonymousIn if is_nameless && claims_nothing => cases().iter().find(counts).unwrap(),
        _ => case,
    }
}

#[test]
fn a18_a_front_proxy_names_the_user_and_its_headers_end_here() {
    agree("a18");
}

#[test]
fn a19_headers_of_a_front_proxy_count_only_with_its_certificate() {
    agree("a19");
}

/// The subprotocol that carries a token goes to no application, whoever won.
fn without_the_item(case: &Case) -> Value {
    let mut expected = case.kubernetes.clone();
    let Some(left) = expected["left"]["Sec-WebSocket-Protocol"].as_array_mut() else {
        return case.kubernetes.clone();
    };
    left.retain(|item| !item.as_str().unwrap_or_default().starts_with("base64url.bearer."));
    let answered = left.first().cloned();
    let facts = expected.as_object_mut().unwrap();
    match answered {
        None => {
            facts.remove("left");
            facts.remove("protocol");
        }
        Some(answered) if case.kubernetes["status"] == 101 => {
            facts.insert("protocol".to_owned(), answered);
        }
        Some(_) => (),
    }
    expected
}
