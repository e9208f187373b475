//! Programs that bring a token instead of a cookie (`--skip-jwt-bearer-tokens`).

use doorward_testkit::{Answer, Endpoint, KeyName, Knobs, Provider, Request, Signature, Token};
use serde_json::json;

use crate::{
    support::{SESSION, Stage, brings_session},
    tokens::{forgeries, wrong_claims},
};

const TOKENS: &str = "--skip-jwt-bearer-tokens";

fn ask(stage: &Stage, token: &str) -> Answer {
    let request = Request::get("/oauth2/auth").header("Authorization", &format!("Bearer {token}"));
    stage.browser().send(request)
}

#[test]
fn a_good_token_opens_and_leaves_no_session() {
    let stage = Stage::new(&[TOKENS]);
    let token = stage.provider.id_token();
    let answer = ask(&stage, &token);
    assert_eq!(answer.status, 202);
    assert!(!brings_session(&answer));
    let request = Request::get("/page").header("Authorization", &format!("Bearer {token}"));
    let seen = stage.browser().send(request).echoed();
    assert_eq!(seen.all("x-forwarded-email"), ["jane@example.com"]);
    assert!(!stage.doorward.log().contains(&token));
}

#[test]
fn a_forged_or_foreign_token_opens_nothing() {
    let stage = Stage::new(&[TOKENS]);
    for (name, change) in forgeries() {
        stage.provider.set(|knobs| {
            *knobs = Knobs::default();
            change(knobs);
        });
        assert_eq!(ask(&stage, &stage.provider.id_token()).status, 401, "{name}");
    }
    for (name, value) in wrong_claims() {
        stage.provider.set(|knobs| {
            *knobs = Knobs::default();
            knobs.claim(name, value.clone());
        });
        assert_eq!(ask(&stage, &stage.provider.id_token()).status, 401, "{name} is {value}");
    }
}

#[test]
fn what_is_no_token_opens_nothing() {
    let mut stage = Stage::new(&[TOKENS]);
    let good = stage.provider.id_token();
    let parts: Vec<&str> = good.split('.').collect();
    for value in [
        "Bearer".to_owned(),
        "Bearer ".to_owned(),
        "Bearer x".to_owned(),
        "Bearer eyJ.eyJ.x".to_owned(),
        "Bearer ..".to_owned(),
        format!("Bearer {}.{}.", parts[0], parts[1]),
        format!("Bearer {}.{}", parts[0], parts[1]),
        format!("Bearer {good}.x.y"),
        format!("Bearer {good} {good}"),
        format!("Bearer {good}, Bearer {good}"),
        format!("Token {good}"),
        good.clone(),
        format!("Bearer {}", "eyJ".repeat(20_000)),
    ] {
        let answer = stage.browser().try_send(Request::get("/oauth2/auth").header("Authorization", &value));
        let text: String = value.chars().take(60).collect();
        assert!(answer.is_ok_and(|answer| matches!(answer.status, 401 | 431)), "{text}");
    }
    stage.doorward.assert_alive();
}

#[test]
fn c27_tokens_with_made_up_keys_do_not_make_us_flood_the_provider() {
    let stage = Stage::new(&[TOKENS]);
    for number in 0..30 {
        stage.provider.set(|knobs| {
            knobs.id_token.header.insert("kid".into(), json!(format!("made-up-{number}")));
            knobs.id_token.signature = Signature::Stranger;
        });
        assert_eq!(ask(&stage, &stage.provider.id_token()).status, 401);
    }
    let fetches = stage.provider.count(Endpoint::Keys);
    assert!(fetches <= 4, "{fetches} fetches");
}

#[test]
fn rules_bind_token_holders_too() {
    let stage = Stage::launch(|launch| {
        launch.without("email-domain").flags([TOKENS, "--email-domain=example.com", "--allowed-group=staff"])
    });
    assert_eq!(ask(&stage, &stage.provider.id_token()).status, 202);
    stage.provider.set(|knobs| knobs.claim("groups", json!(["guests"])));
    assert_eq!(ask(&stage, &stage.provider.id_token()).status, 401);
    stage.provider.set(|knobs| {
        knobs.claim("groups", json!(["staff"]));
        knobs.claim("email", "jane@evil.example");
    });
    assert_eq!(ask(&stage, &stage.provider.id_token()).status, 401);
    stage.provider.set(|knobs| {
        knobs.claim("email", "jane@example.com");
        knobs.claim("email_verified", false);
    });
    assert_eq!(ask(&stage, &stage.provider.id_token()).status, 401);
}

#[test]
fn an_unusable_token_hides_no_session_unless_it_was_asked_to() {
    for (flags, status) in [(&[TOKENS][..], 202), (&[TOKENS, "--bearer-token-login-fallback=false"], 403)] {
        let stage = Stage::new(flags);
        let session = stage.logged_in().cookies[SESSION].clone();
        let request = Request::get("/oauth2/auth")
            .header("Cookie", &format!("{SESSION}={session}"))
            .header("Authorization", "Bearer eyJhbGciOiJub25lIn0.eyJzdWIiOiJyb290In0.x");
        let answer = stage.browser().send(request);
        assert_eq!(answer.status, status, "{flags:?}");
        assert!(!answer.headers.has("set-cookie"), "{flags:?}");
    }
}

#[test]
fn tokens_of_another_issuer_count_with_its_keys_and_its_audience_only() {
    let other = Provider::start();
    other.set(|knobs| {
        knobs.published = vec![KeyName::OtherRsa];
        knobs.id_token.key = KeyName::OtherRsa;
        knobs.claim("aud", "their-audience");
    });
    let extra = format!("--extra-jwt-issuers={}=their-audience", other.issuer());
    let stage = Stage::new(&[TOKENS, &extra]);
    let (ours, theirs) = (stage.provider.issuer(), other.issuer());
    let signed_by = |key: KeyName, issuer: &str, audience: &str| {
        let claims = json!({
            "iss": issuer, "aud": audience, "sub": "x", "email": "x@example.com", "exp": 9_999_999_999_u64,
        });
        Token { key, ..Token::default() }.sign(&claims)
    };
    for (key, issuer, audience, status) in [
        (KeyName::Rsa, &ours, Provider::CLIENT_ID, 202),
        (KeyName::OtherRsa, &theirs, "their-audience", 202),
        (KeyName::OtherRsa, &theirs, Provider::CLIENT_ID, 401),
        (KeyName::Rsa, &ours, "their-audience", 401),
        (KeyName::OtherRsa, &ours, Provider::CLIENT_ID, 401),
        (KeyName::OtherRsa, &ours, "their-audience", 401),
        (KeyName::Rsa, &theirs, "their-audience", 401),
        (KeyName::Rsa, &theirs, Provider::CLIENT_ID, 401),
    ] {
        let token = signed_by(key, issuer, audience);
        assert_eq!(ask(&stage, &token).status, status, "{key:?} for {issuer} and {audience}");
    }
}
