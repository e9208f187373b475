//! What doorward believes of a provider: signatures, keys, issuers, audiences, times.

use doorward_testkit::{Endpoint, Fault, KeyName, Knobs, Launch, Signature};
use serde_json::{Map, Value, json};

use crate::support::{PROGRAM, Stage, assert_login_accepted, assert_login_refused, at_once, parts};

pub(crate) type Change = fn(&mut Knobs);

#[test]
fn every_announced_algorithm_is_accepted() {
    let stage = Stage::new(&[]);
    let algorithms: [(&str, Change); 4] = [
        ("RS256", |knobs| knobs.id_token.key = KeyName::Rsa),
        ("PS256", |knobs| knobs.id_token.algorithm = Some("PS256")),
        ("ES256", |knobs| knobs.id_token.key = KeyName::P256),
        ("EdDSA", |knobs| knobs.id_token.key = KeyName::Ed25519),
    ];
    for (name, change) in algorithms {
        stage.provider.set(|knobs| {
            *knobs = Knobs::default();
            change(knobs);
        });
        assert_login_accepted(&stage, name);
    }
}

fn header(knobs: &mut Knobs, name: &str, value: Value) {
    knobs.id_token.header.insert(name.to_owned(), value);
}

/// Tokens that claim everything rightly and prove nothing.
pub(crate) fn forgeries() -> [(&'static str, Change); 18] {
    [
        ("a flipped bit", |knobs| knobs.id_token.signature = Signature::Corrupted),
        ("no signature", |knobs| knobs.id_token.signature = Signature::Missing),
        ("alg none", |knobs| knobs.id_token.signature = Signature::Unsigned("none")),
        ("alg None", |knobs| knobs.id_token.signature = Signature::Unsigned("None")),
        ("alg NONE", |knobs| knobs.id_token.signature = Signature::Unsigned("NONE")),
        ("no alg", |knobs| knobs.id_token.signature = Signature::Unsigned("")),
        ("the public key as HMAC key", |knobs| knobs.id_token.signature = Signature::HmacWithPublicKey),
        ("the key brought along", |knobs| knobs.id_token.signature = Signature::EmbeddedKey),
        ("a stranger's signature", |knobs| knobs.id_token.signature = Signature::Stranger),
        ("an ECDSA signature of zeros", |knobs| {
            knobs.id_token.key = KeyName::P256;
            knobs.id_token.signature = Signature::Zero;
        }),
        ("an Ed25519 signature of zeros", |knobs| {
            knobs.id_token.key = KeyName::Ed25519;
            knobs.id_token.signature = Signature::Zero;
        }),
        ("an algorithm that does not fit the key", |knobs| header(knobs, "alg", json!("ES256"))),
        ("an algorithm nobody announced", |knobs| header(knobs, "alg", json!("RS1"))),
        ("an unknown critical header", |knobs| {
            header(knobs, "crit", json!(["http://example.com/x"]));
            header(knobs, "http://example.com/x", json!(true));
        }),
        ("kid ../../dev/null", |knobs| {
            knobs.id_token.signature = Signature::HmacWithPublicKey;
            header(knobs, "kid", json!("../../../../dev/null"));
        }),
        ("a key of a stranger's address", |knobs| {
            knobs.id_token.signature = Signature::Stranger;
            header(knobs, "jku", json!("http://127.0.0.1:1/keys"));
            header(knobs, "kid", json!("rsa-2"));
        }),
        ("a key that is not published", |knobs| knobs.id_token.key = KeyName::OtherRsa),
        ("alg twice", |knobs| {
            knobs.id_token.header = Map::from_iter([("alg".to_owned(), json!(["RS256", "none"]))]);
        }),
    ]
}

#[test]
fn a_forged_token_is_no_login() {
    let stage = Stage::new(&[]);
    for (name, change) in forgeries() {
        stage.provider.set(|knobs| {
            *knobs = Knobs::default();
            change(knobs);
        });
        assert_login_refused(&stage, name);
    }
}

/// Claims that make a token somebody else's, or of another time.
pub(crate) fn wrong_claims() -> Vec<(&'static str, Value)> {
    vec![
        ("iss", json!("https://evil.example")),
        ("iss", json!("")),
        ("iss", Value::Null),
        ("iss", json!([])),
        ("aud", json!("another-client")),
        ("aud", json!(["another-client"])),
        ("aud", json!("doorward-client2")),
        ("aud", json!("DOORWARD-CLIENT")),
        ("aud", json!("another-client,doorward-client")),
        ("aud", json!("")),
        ("aud", json!([])),
        ("aud", json!([["doorward-client"]])),
        ("aud", json!({ "doorward-client": true })),
        ("aud", Value::Null),
        ("exp", json!(1_000_000_000)),
        ("exp", json!("9999999999")),
        ("exp", json!(1e300)),
        ("exp", json!(-1)),
        ("exp", Value::Null),
        ("exp", json!(true)),
        ("nbf", json!(9_999_999_999_u64)),
    ]
}

#[test]
fn a_token_with_wrong_claims_is_no_login() {
    let stage = Stage::new(&[]);
    for (name, value) in wrong_claims() {
        stage.provider.set(|knobs| {
            *knobs = Knobs::default();
            knobs.claim(name, value.clone());
        });
        assert_login_refused(&stage, &format!("{name} is {value}"));
    }
}

#[test]
fn a_claim_that_stands_twice_is_not_believed() {
    let stage = Stage::new(&[]);
    stage.provider.set(|knobs| {
        knobs.id_token.payload = Some(|text| text.replacen('{', r#"{"email":"boss@example.com","#, 1));
    });
    assert_login_refused(&stage, "which of the two would count?");
}

#[test]
fn a_list_of_audiences_may_hold_ours() {
    let stage = Stage::new(&[]);
    stage.provider.set(|knobs| knobs.claim("aud", json!(["another-client", "doorward-client"])));
    assert_login_accepted(&stage, "ours is among them");
}

#[test]
fn b2_an_audience_that_is_no_text_is_refused_and_nothing_falls_over() {
    let mut stage = Stage::new(&[]);
    for value in [json!(12), json!([1, 2]), json!({}), json!(true), json!([null])] {
        stage.provider.set(|knobs| knobs.claim("aud", value.clone()));
        assert_login_refused(&stage, &value.to_string());
    }
    stage.doorward.assert_alive();
}

#[test]
fn a_wrong_audience_is_explained_in_log_and_page() {
    let stage = Stage::new(&[]);
    stage.provider.set(|knobs| knobs.claim("aud", "account"));
    let page = assert_login_refused(&stage, "made for another client").text();
    assert!(page.contains("account"), "{page}");
    let expected = "audience from claim aud with value [account] does not match with any of allowed audiences \
                    map[doorward-client:{}]";
    stage.doorward.wait_for_log(expected);
}

#[test]
fn a_new_key_of_the_provider_is_found() {
    let stage = Stage::new(&[]);
    assert_login_accepted(&stage, "the first key");
    stage.provider.set(|knobs| {
        knobs.published = vec![KeyName::OtherRsa];
        knobs.id_token.key = KeyName::OtherRsa;
    });
    assert_login_accepted(&stage, "the second key");
}

#[test]
fn c27_unknown_key_ids_do_not_make_us_flood_the_provider() {
    let stage = Stage::new(&[]);
    assert_login_accepted(&stage, "keys are known");
    for number in 0..25 {
        stage.provider.set(|knobs| header(knobs, "kid", json!(format!("made-up-{number}"))));
        assert_login_refused(&stage, "an unknown key");
    }
    let fetches = stage.provider.count(Endpoint::Keys);
    assert!(fetches <= 4, "{fetches} fetches");
}

#[test]
fn keys_that_cannot_be_had_are_no_reason_to_believe() {
    let faults = [
        Fault::Status(500, "oops"),
        Fault::Status(200, r#"{"keys":[]}"#),
        Fault::Status(200, r#"{"keys":[{"kty":"RSA","kid":"rsa-1","n":"","e":"AQAB"},{"kty":7},null]}"#),
        Fault::Malformed,
        Fault::Close,
        Fault::HugeBody,
        Fault::GzipBomb,
    ];
    at_once(&faults, |&fault| {
        let mut stage = Stage::before(|provider| provider.fail(Endpoint::Keys, fault), |launch| launch);
        assert_login_refused(&stage, &format!("{fault:?}"));
        stage.doorward.assert_alive();
    });
}

#[test]
fn userinfo_that_cannot_be_had_is_no_login_where_it_is_needed() {
    at_once(
        &[Fault::Status(500, "oops"), Fault::Malformed, Fault::HugeBody, Fault::GzipBomb, Fault::Close],
        |&fault| {
            let stage = Stage::new(&[]);
            stage.provider.set(|knobs| knobs.claim("email", Value::Null));
            stage.provider.fail(Endpoint::UserInfo, fault);
            assert_login_refused(&stage, &format!("{fault:?}"));
        },
    );
}

#[test]
fn the_email_of_the_token_is_not_overridden_by_userinfo() {
    let stage = Stage::new(&[]);
    stage.provider.set(|knobs| {
        knobs.claim("groups", Value::Null);
        knobs.user_info.insert("email".into(), "boss@example.com".into());
        knobs.user_info.insert("groups".into(), json!(["from-userinfo"]));
    });
    let info = stage.logged_in().get("/oauth2/userinfo").json();
    assert_eq!(
        (info["email"].clone(), info["groups"].clone()),
        (json!("jane@example.com"), json!(["from-userinfo"]))
    );
}

#[test]
fn a_provider_that_calls_itself_differently_stops_the_start() {
    for issuer in ["https://evil.example", "", "http://127.0.0.1"] {
        let (provider, echo) = parts();
        provider.set(|knobs| _ = knobs.discovery.insert("issuer".into(), issuer.into()));
        let exit = Launch::new(PROGRAM, &provider, &echo).fail();
        assert_eq!(exit.code, Some(1));
        assert!(exit.output.contains("issuer"), "{}", exit.output);
    }
}

#[test]
fn discovery_is_not_followed_to_another_host() {
    // The answer tempts into a place that only the machine itself can reach.
    let (provider, echo) = parts();
    provider.fail(Endpoint::Discovery, Fault::Status(302, "elsewhere"));
    let doorward = Launch::new(PROGRAM, &provider, &echo).start();
    assert_ne!(doorward.browser().get("/ready").status, 200);
    assert!(echo.seen().is_empty());
}

#[test]
fn b5_roles_of_any_shape_are_read_without_falling_over() {
    for access in [
        json!({ "realm_access": { "roles": "admin" } }),
        json!({ "realm_access": { "roles": [1, null, {}] } }),
        json!({ "realm_access": [] }),
        json!({ "realm_access": "x" }),
        json!({ "resource_access": { "app": { "roles": 5 }, "b": 7 } }),
        json!({ "resource_access": [{ "roles": ["admin"] }] }),
    ] {
        let Value::Object(members) = access.clone() else { unreachable!() };
        let mut stage = Stage::before(
            |provider| provider.set(|knobs| knobs.access_claims = Some(members)),
            |launch| launch.without("provider").flags(["--provider=keycloak-oidc", "--allowed-role=boss"]),
        );
        assert_login_refused(&stage, &access.to_string());
        stage.doorward.assert_alive();
    }
}

#[test]
fn an_opaque_access_token_has_no_roles() {
    let mut stage = Stage::launch(|launch| {
        launch.without("provider").flags(["--provider=keycloak-oidc", "--allowed-role=boss"])
    });
    assert_login_refused(&stage, "nobody vouches for a role");
    stage.doorward.assert_alive();
}

#[test]
fn roles_of_an_access_token_of_a_stranger_do_not_count() {
    // The reference reads them without looking at the signature.
    let stage = Stage::before(
        |provider| {
            let roles = json!({ "roles": ["boss"] });
            let claims = json!({ "iss": provider.issuer(), "sub": "sub-1", "exp": 9_999_999_999_u64, "realm_access": roles });
            let forged = doorward_testkit::Token { signature: Signature::Stranger, ..Default::default() }
                .sign(&claims);
            provider.set(|knobs| _ = knobs.token_answer.insert("access_token".into(), forged.into()));
        },
        |launch| launch.without("provider").flags(["--provider=keycloak-oidc", "--allowed-role=boss"]),
    );
    assert_login_refused(&stage, "the access token is not signed by the provider");
}
