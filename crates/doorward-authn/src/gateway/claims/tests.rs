use serde_json::json;

use super::*;

fn described(claims: Value, names: &ClaimNames) -> Result<Principal, String> {
    let Value::Object(claims) = claims else { panic!("{claims}") };
    let authenticator: Arc<str> = "issuer".into();
    principal(claims, names, About { authenticator: &authenticator, credential: "c".into(), expires: None })
}

#[test]
fn b10_scopes_are_those_of_both_claims_in_all_their_forms() {
    for (claims, expected) in [
        (json!({"scope": "orders:read orders:write"}), &["orders:read", "orders:write"][..]),
        (json!({"scp": ["orders:read"]}), &["orders:read"]),
        (json!({"scp": "orders:read"}), &["orders:read"]),
        (json!({"scp": "a b"}), &["a", "b"]),
        (json!({"scope": "a b", "scp": ["b", "c"]}), &["a", "b", "c"]),
        (json!({"scope": ["a", 5, "b c"]}), &["a", "b", "c"]),
        (json!({"scope": "  a  "}), &["a"]),
        (json!({"scope": 5, "scp": null}), &[]),
        (json!({}), &[]),
    ] {
        let Value::Object(claims) = claims else { panic!() };
        assert_eq!(scopes(&claims), expected, "{claims:?}");
    }
}

#[test]
fn somebody_is_who_the_named_claims_say() {
    let claims = json!({
        "sub": "u-1", "preferred_username": "alice", "upn": {"name": "alice@corp"}, "groups": ["dev", "system:masters"],
        "realm_access": {"roles": ["admin", 7]}, "email": "a@b.c", "client_id": "web", "azp": "other", "sid": "s-1",
        "act": {"sub": "client:svc"},
    });
    let user = described(claims.clone(), &ClaimNames::default()).unwrap();
    assert_eq!((user.user.name.as_str(), user.user.uid.as_str()), ("u-1", "u-1"));
    assert_eq!(user.user.groups, ["dev", "system:authenticated"]);
    assert_eq!((user.email.as_str(), user.client_id.as_str()), ("a@b.c", "web"));
    assert_eq!((user.session.as_deref(), user.actor), (Some("s-1"), Some(json!({"sub": "client:svc"}))));
    let names = ClaimNames {
        user: "upn.name".into(),
        groups: "realm_access.roles".into(),
        email: "preferred_username".into(),
    };
    let user = described(claims, &names).unwrap();
    assert_eq!((user.user.name.as_str(), user.user.uid.as_str()), ("alice@corp", "u-1"));
    assert_eq!(
        (user.user.groups.join(" "), user.email),
        ("admin system:authenticated".into(), "alice".into())
    );
}

#[test]
fn nobody_is_called_what_is_empty_reserved_or_unreadable() {
    for sub in [
        json!(null),
        json!(""),
        json!(5),
        json!(["u"]),
        json!("system:admin"),
        json!("system:anonymous"),
        json!("a\nb"),
    ] {
        assert!(described(json!({"sub": sub}), &ClaimNames::default()).is_err(), "{sub}");
    }
}

#[test]
fn no_name_of_somebodys_own_choice_is_that_of_a_client() {
    let chosen = ClaimNames { user: "preferred_username".into(), ..ClaimNames::default() };
    let claims = |name: &str| json!({"sub": name, "preferred_username": name});
    assert!(described(claims("client:web"), &chosen).is_err());
    assert_eq!(described(claims("clients"), &chosen).unwrap().user.name, "clients");
    // Its issuer gives out the subject, and says so of clients in their own name.
    assert_eq!(described(claims("client:web"), &ClaimNames::default()).unwrap().user.name, "client:web");
}

#[test]
fn an_address_that_the_issuer_calls_unverified_is_none() {
    for (verified, expected) in [
        (json!(null), "a@b.c"),
        (json!(true), "a@b.c"),
        (json!("true"), "a@b.c"),
        (json!(false), ""),
        (json!("false"), ""),
        (json!("no"), ""),
    ] {
        let claims = json!({"sub": "u", "email": "a@b.c", "email_verified": verified});
        assert_eq!(described(claims, &ClaimNames::default()).unwrap().email, expected, "{verified}");
    }
    let odd = json!({"sub": "u", "email": "a@b.c\r\nX-Admin: 1"});
    assert_eq!(described(odd, &ClaimNames::default()).unwrap().email, "");
}

#[test]
fn required_claims_are_there_and_have_one_of_the_values() {
    let claims = json!({"sub": "u", "tenant": "acme", "amr": ["pwd", "otp"], "org": {"id": 7}, "none": null});
    let user = described(claims, &ClaimNames::default()).unwrap();
    let one_of = |values: &[Value]| ClaimTest::OneOf(values.to_vec());
    let matches = |text: &str| ClaimTest::Matches(PathPattern::parse(text).unwrap());
    for (name, test, holds) in [
        ("tenant", ClaimTest::Present, true),
        ("tenant", one_of(&[json!("acme"), json!("other")]), true),
        ("tenant", one_of(&[json!("Acme")]), false),
        ("tenant", one_of(&[]), false),
        ("tenant", matches("^ac"), true),
        ("tenant", matches("^me"), false),
        ("amr", one_of(&[json!("otp")]), true),
        ("amr", one_of(&[json!("hwk")]), false),
        ("org.id", one_of(&[json!(7)]), true),
        ("org.id", one_of(&[json!("7")]), false),
        ("org.id", matches("7"), false),
        ("none", ClaimTest::Present, false),
        ("none", ClaimTest::Absent, true),
        ("tenant", ClaimTest::Absent, false),
        ("missing", one_of(&[json!(null)]), false),
    ] {
        let required = [RequiredClaim { name: name.to_owned(), test: test.clone() }];
        assert_eq!(check_required(&user, &required).is_ok(), holds, "{name} {test:?}");
    }
}
