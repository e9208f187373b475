use serde_json::json;

use super::*;
use crate::testing::Fake;

fn object(value: Value) -> Claims {
    match value {
        Value::Object(claims) => claims,
        other => panic!("{other}"),
    }
}

async fn names(change: impl Fn(&mut Config)) -> ClaimNames {
    let mut config = Fake::start().await.config();
    change(&mut config);
    ClaimNames::new(&config)
}

#[test]
fn a_literal_name_goes_before_a_dotted_path_and_null_is_absent() {
    let claims = object(json!({"a.b": 1, "a": {"b": 2, "c": {"d": 3}, "n": null}, "l": [1], "x": null}));
    for (name, expected) in [
        ("a.b", Some(json!(1))),
        ("a.c.d", Some(json!(3))),
        ("a.c", Some(json!({"d": 3}))),
        ("a.n", None),
        ("a.z", None),
        ("l.0", None),
        ("x", None),
        ("", None),
        (".", None),
    ] {
        assert_eq!(lookup(&claims, name).cloned(), expected, "{name}");
    }
}

#[test]
fn values_become_text_as_the_reference_does() {
    for (value, expected) in [
        (json!("x"), "x"),
        (json!(5), "5"),
        (json!(5.0), "5"),
        (json!(-1.5), "-1.5"),
        (json!(true), "true"),
        (json!({"a": 1}), "{\"a\":1}"),
        (json!(["x", 1]), "[\"x\",1]"),
    ] {
        assert_eq!(as_text(&value), expected);
    }
    for (value, expected) in [
        (json!(["a", 5, {"a": 1}, null, true]), vec!["a", "5", "{\"a\":1}", "true"]),
        (json!("solo"), vec!["solo"]),
        (json!({"a": 1}), vec!["{\"a\":1}"]),
        (json!([]), vec![]),
    ] {
        assert_eq!(as_list(&value), expected);
    }
}

#[tokio::test]
async fn an_unverified_address_is_refused_only_where_it_counts() {
    let strict = names(|_| ()).await;
    let lax = names(|config| config.email_verification = EmailVerification::Ignored).await;
    let other = names(|config| config.email_claim = "upn".to_owned()).await;
    for (verified, accepted) in [
        (json!(true), true),
        (json!("true"), true),
        (json!(1), true),
        (json!(null), true),
        (json!(false), false),
        (json!("false"), false),
        (json!("False"), false),
        (json!(0), false),
        (json!("perhaps"), false),
        (json!([true]), false),
    ] {
        let claims = object(json!({"sub": "u", "email": "a@b", "upn": "u@p", "email_verified": verified}));
        assert_eq!(strict.identity(&claims, None).is_ok(), accepted, "{verified}");
        assert!(lax.identity(&claims, None).is_ok(), "{verified}");
        assert_eq!(other.identity(&claims, None).unwrap().email, "u@p");
    }
}

#[tokio::test]
async fn userinfo_fills_only_what_the_id_token_lacks() {
    let names =
        names(|config| config.additional_claims = vec!["team.name".to_owned(), "none".to_owned()]).await;
    let id = object(json!({"sub": "u", "groups": ["g"]}));
    let profile = object(json!({"sub": "evil", "groups": ["evil"], "email": "a@b", "team": {"name": ["t"]}}));
    let identity = names.identity(&id, Some(&profile)).unwrap();
    assert_eq!(
        (identity.user.as_str(), identity.email.as_str(), identity.groups),
        ("u", "a@b", vec!["g".to_owned()])
    );
    assert_eq!(identity.additional, BTreeMap::from([("team.name".to_owned(), json!(["t"]))]));
    assert!(!names.are_all_in(&id));
    assert_eq!(names.identity(&id, None), Err(IdentifyError::EmailMissing));
    let unverified = object(json!({"email": "a@b", "email_verified": false}));
    assert_eq!(names.identity(&id, Some(&unverified)), Err(IdentifyError::EmailUnverified));
}

#[tokio::test]
async fn userinfo_is_needed_when_any_claim_is_missing() {
    let complete =
        json!({"sub": "u", "email": "e", "email_verified": false, "groups": [], "preferred_username": "p"});
    assert!(names(|_| ()).await.are_all_in(&object(complete.clone())));
    for missing in ["email", "email_verified", "groups", "preferred_username"] {
        let mut claims = object(complete.clone());
        claims.remove(missing);
        assert!(!names(|_| ()).await.are_all_in(&claims), "{missing}");
        let lax = names(|config| config.email_verification = EmailVerification::Ignored).await;
        assert_eq!(lax.are_all_in(&claims), missing == "email_verified");
    }
}

#[tokio::test]
async fn a_bearer_without_address_is_known_by_its_subject() {
    let names = names(|_| ()).await;
    assert_eq!(names.bearer_identity(&object(json!({"sub": "u"}))).unwrap().email, "u");
    assert_eq!(names.bearer_identity(&object(json!({}))), Err(IdentifyError::EmailMissing));
}

#[tokio::test]
async fn whoever_logs_in_has_a_subject_and_an_address_of_text() {
    let names = names(|_| ()).await;
    let not_text = |claim: &str| Err(IdentifyError::NotText { claim: claim.to_owned() });
    let login = |sub: Value, email: Value| {
        let id = object(json!({"sub": sub, "email": email}));
        let profile = object(json!({"sub": "p", "email": "p@b"}));
        names.identity(&id, Some(&profile)).map(|identity| (identity.user, identity.email))
    };
    let known = |user: &str, email: &str| Ok((user.to_owned(), email.to_owned()));
    for (sub, email, expected) in [
        (json!("u"), json!("a@b"), known("u", "a@b")),
        (json!(7), json!("a@b"), known("7", "a@b")),
        (json!("u"), json!(7), known("u", "7")),
        (json!("u"), json!(null), known("u", "p@b")),
        (json!(null), json!("a@b"), Err(IdentifyError::SubjectMissing)),
        (json!(""), json!("a@b"), Err(IdentifyError::SubjectMissing)),
        (json!(["a"]), json!("a@b"), not_text("sub")),
        (json!([]), json!("a@b"), not_text("sub")),
        (json!({"a": 1}), json!("a@b"), not_text("sub")),
        (json!("u"), json!(["a@b"]), not_text("email")),
        (json!("u"), json!({"a": "a@b"}), not_text("email")),
    ] {
        assert_eq!(login(sub.clone(), email.clone()), expected, "{sub} {email}");
    }
    for (claims, expected) in
        [(json!({"sub": ["a"], "email": "a@b"}), "sub"), (json!({"sub": "u", "email": ["a@b"]}), "email")]
    {
        let claim = expected.to_owned();
        assert_eq!(names.bearer_identity(&object(claims)), Err(IdentifyError::NotText { claim }));
    }
}

#[tokio::test]
async fn users_of_our_own_server_go_by_their_names_and_need_no_address() {
    let names = names(|config| config.kind = ProviderKind::Doorward).await;
    let login =
        |claims: Value| names.identity(&object(claims), None).map(|identity| (identity.user, identity.email));
    let known = |user: &str, email: &str| Ok((user.to_owned(), email.to_owned()));
    for (claims, expected) in [
        (json!({"sub": "uid", "preferred_username": "alice"}), known("alice", "")),
        (json!({"sub": "uid", "preferred_username": "alice", "email": "a@b"}), known("alice", "a@b")),
        (json!({"sub": "uid"}), known("uid", "")),
        (json!({"sub": "uid", "preferred_username": ""}), known("uid", "")),
        (json!({"preferred_username": "alice"}), Err(IdentifyError::SubjectMissing)),
    ] {
        assert_eq!(login(claims.clone()), expected, "{claims}");
    }
}
