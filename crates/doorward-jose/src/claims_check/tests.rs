use serde_json::json;

use super::*;

const NOW: i64 = 1_700_000_000;

fn claims(value: Value) -> Claims {
    match value {
        Value::Object(claims) => claims,
        other => panic!("{other}"),
    }
}

#[track_caller]
fn times(value: &Value, expected: Result<i64, ClaimError>) {
    let now = Timestamp { seconds: NOW, nanos: 500_000_000 };
    let outcome = check_times(&claims(value.clone()), now);
    assert_eq!(outcome, expected.map(Timestamp::from_seconds), "{value}");
}

#[test]
fn a_token_lives_until_its_last_second_without_leeway() {
    times(&json!({"exp": NOW + 1}), Ok(NOW + 1));
    times(&json!({"exp": NOW}), Err(ClaimError::Expired));
    times(&json!({"exp": NOW - 600}), Err(ClaimError::Expired));
    times(&json!({"exp": 0}), Err(ClaimError::Expired));
    times(&json!({}), Err(ClaimError::NoExpiry));
    times(&json!({"exp": null}), Err(ClaimError::NoExpiry));
    times(&json!({"exp": 1_700_000_010.9}), Ok(NOW + 10));
}

#[test]
fn an_impossible_time_is_no_time() {
    for exp in [json!("1800000000"), json!(1e300), json!(-5), json!(u64::MAX), json!([NOW]), json!(true)] {
        times(&json!({ "exp": exp }), Err(ClaimError::Malformed("exp")));
    }
    times(&json!({"exp": NOW + 9, "nbf": "soon"}), Err(ClaimError::Malformed("nbf")));
}

#[test]
fn not_before_has_five_minutes_of_leeway() {
    times(&json!({"exp": NOW + 900, "nbf": NOW + 290}), Ok(NOW + 900));
    times(&json!({"exp": NOW + 900, "nbf": NOW + 400}), Err(ClaimError::NotYetValid));
}

#[test]
fn b04_a_lifetime_has_an_end_and_begins_before_now_give_or_take_the_leeway() {
    let leeway = Duration::from_secs(30);
    let good = |start: i64, end: i64| {
        Ok(Lifetime { start: Timestamp::from_seconds(start), end: Timestamp::from_seconds(end) })
    };
    for (value, expected) in [
        (json!({"exp": NOW + 60}), good(0, NOW + 60)),
        (json!({"exp": NOW - 29}), good(0, NOW - 29)),
        (json!({"exp": NOW - 30}), Err(ClaimError::Expired)),
        (json!({}), Err(ClaimError::NoExpiry)),
        (json!({"exp": NOW + 60, "nbf": NOW + 30}), good(NOW + 30, NOW + 60)),
        (json!({"exp": NOW + 60, "nbf": NOW + 31}), Err(ClaimError::NotYetValid)),
        (json!({"exp": NOW + 60, "iat": NOW + 30, "nbf": NOW - 5}), good(NOW + 30, NOW + 60)),
        (json!({"exp": NOW + 60, "iat": NOW + 31}), Err(ClaimError::IssuedInFuture)),
        (json!({"exp": NOW + 60, "iat": "now"}), Err(ClaimError::Malformed("iat"))),
        (json!({"exp": 1e300}), Err(ClaimError::Malformed("exp"))),
        (json!({"exp": (NOW + 60).to_string()}), Err(ClaimError::Malformed("exp"))),
    ] {
        let now = Timestamp::from_seconds(NOW);
        assert_eq!(check_lifetime(&claims(value.clone()), leeway, now), expected, "{value}");
    }
}

#[test]
fn the_issuer_is_compared_letter_by_letter() {
    let expected = "https://id.example/realm";
    for (found, accepted) in [
        (json!(expected), true),
        (json!("https://id.example/realm/"), false),
        (json!("HTTPS://id.example/realm"), false),
        (json!([expected]), false),
        (json!(null), false),
    ] {
        assert_eq!(check_issuer(&claims(json!({"iss": found})), expected).is_ok(), accepted, "{found}");
    }
    let google = claims(json!({"iss": "accounts.google.com"}));
    assert_eq!(check_issuer(&google, "https://accounts.google.com"), Ok(()));
    assert!(check_issuer(&google, expected).is_err());
}

fn rule(claims: &[&str], extra: &[&str]) -> AudienceRule {
    let owned = |names: &[&str]| names.iter().map(|&name| name.to_owned()).collect::<Vec<_>>();
    AudienceRule::new(&owned(claims), "conf-client", &owned(extra))
}

#[test]
fn the_first_audience_claim_that_exists_decides() {
    let (usual, wider, two, none) =
        (rule(&["aud"], &[]), rule(&["aud"], &["account"]), rule(&["azp", "aud"], &[]), rule(&[], &[]));
    for (rule, value, accepted) in [
        (&usual, json!({"aud": "conf-client"}), true),
        (&usual, json!({"aud": ["account", "conf-client"]}), true),
        (&usual, json!({"aud": "account"}), false),
        (&usual, json!({"aud": "account conf-client"}), false),
        (&usual, json!({"aud": [["conf-client"]]}), false),
        (&usual, json!({"aud": {"conf-client": true}}), false),
        (&usual, json!({"aud": 5}), false),
        (&usual, json!({"aud": []}), false),
        (&usual, json!({}), false),
        (&wider, json!({"aud": "account"}), true),
        (&two, json!({"aud": "conf-client"}), true),
        (&two, json!({"azp": "other", "aud": "conf-client"}), false),
        (&none, json!({"aud": "conf-client"}), false),
    ] {
        assert_eq!(rule.check(&claims(value.clone())).is_ok(), accepted, "{value}");
    }
}

#[test]
fn a_wrong_audience_names_claim_values_expectation_and_mend() {
    let error =
        rule(&["aud"], &["b", "a"]).check(&claims(json!({"aud": ["account", "br\noker"]}))).unwrap_err();
    assert_eq!(
        error.to_string(),
        "audience from claim aud with value [account br\u{fffd}oker] does not match with any of allowed audiences \
         map[a:{} b:{} conf-client:{}]; add an audience mapper for conf-client at the provider, or accept this \
         audience with --oidc-extra-audience=account"
    );
    let single = rule(&["aud"], &[]).check(&claims(json!({"aud": "account"}))).unwrap_err().to_string();
    assert!(single.contains(
        "audience from claim aud with value [account] does not match with any of allowed audiences map[conf-client:{}]"
    ));
}

#[test]
fn a_nonce_must_be_there_and_be_ours() {
    for (value, expected) in [
        (json!({"nonce": "n"}), Ok(())),
        (json!({"nonce": "m"}), Err(ClaimError::WrongNonce)),
        (json!({"nonce": ["n"]}), Err(ClaimError::WrongNonce)),
        (json!({}), Err(ClaimError::NoNonce)),
    ] {
        assert_eq!(check_nonce(&claims(value), "n"), expected);
    }
    assert_eq!(check_nonce(&claims(json!({"nonce": ""})), ""), Err(ClaimError::WrongNonce));
}
