mod bitbucket;
mod github;
mod gitlab;

use doorward_core::{Identity, Tokens};
use serde_json::{Value, json};

use super::*;
use crate::{
    BearerError, Config, Discovery, Grant, KeySource, NonceCheck, RedeemError, RefreshError,
    provider::{Provider, Validity},
    testing::{Fake, Reply, callback, now},
};

/// A provider of a kind whose every endpoint is on loopback.
async fn provider(fake: &Fake, kind: ProviderKind) -> Provider {
    provider_with(fake, kind, |_| ()).await
}

async fn provider_with(fake: &Fake, kind: ProviderKind, change: impl FnOnce(&mut Config)) -> Provider {
    let at = |path: &str| Some(format!("{}{path}", fake.base));
    let mut config = Config {
        kind,
        issuer: String::new(),
        discovery: Discovery::Skip,
        keys: KeySource::None,
        nonce: NonceCheck::Off,
        login_url: at("/authorize"),
        redeem_url: at("/token"),
        profile_url: at("/profile"),
        validate_url: at("/validate"),
        ..fake.config()
    };
    change(&mut config);
    Provider::connect(config).await.unwrap()
}

async fn login(fake: &Fake, kind: ProviderKind) -> Result<Grant, RedeemError> {
    login_with(fake, kind, |_| ()).await
}

async fn login_with(
    fake: &Fake,
    kind: ProviderKind,
    change: impl FnOnce(&mut Config),
) -> Result<Grant, RedeemError> {
    let tokens = json!({"access_token": "at", "refresh_token": "rt", "expires_in": 60, "id_token": "x.y.z"});
    fake.says("/token", Reply::json(200, &tokens));
    provider_with(fake, kind, change).await.redeem(callback("c0de"), "http://app/cb", now()).await
}

fn of_email(email: &str) -> Identity {
    Identity { email: email.to_owned(), ..Identity::default() }
}

/// The fault of a login that an API's answer spoilt.
#[track_caller]
fn fault(login: Result<Grant, RedeemError>) -> ApiFault {
    match login.unwrap_err() {
        RedeemError::Vendor(VendorError::Api { fault, .. }) => fault,
        other => panic!("{other:?}"),
    }
}

type IsFault = fn(&ApiFault) -> bool;

/// Answers of any API that say nothing, and what they are taken for.
fn faults() -> Vec<(Reply, IsFault)> {
    let limited =
        |headers: &str| Reply::Full { status: 403, headers: headers.to_owned(), body: b"{}".to_vec() };
    vec![
        (Reply::status(401), |fault| *fault == ApiFault::Status(401)),
        (Reply::status(500), |fault| *fault == ApiFault::Status(500)),
        (Reply::status(429), |fault| *fault == ApiFault::RateLimited),
        (limited("X-RateLimit-Remaining: 0\r\n"), |fault| *fault == ApiFault::RateLimited),
        (limited("X-RateLimit-Remaining: 57\r\n"), |fault| *fault == ApiFault::Status(403)),
        (limited("Retry-After: 60\r\n"), |fault| *fault == ApiFault::RateLimited),
        (Reply::redirect("http://169.254.169.254/"), |fault| *fault == ApiFault::Http(HttpError::Redirected)),
        (Reply::Flood, |fault| *fault == ApiFault::Http(HttpError::TooLong)),
        (Reply::typed(200, "application/json", "<html>"), |fault| matches!(fault, ApiFault::Malformed(_))),
        (Reply::typed(200, "application/json", ""), |fault| matches!(fault, ApiFault::Malformed(_))),
        (Reply::typed(200, "application/json", "[".repeat(5000)), |fault| {
            matches!(fault, ApiFault::Malformed(_))
        }),
    ]
}

fn named(user: &str, email: &str, groups: &[&str]) -> Identity {
    let groups = groups.iter().map(|group| (*group).to_owned()).collect();
    Identity { user: user.to_owned(), groups, ..of_email(email) }
}

/// Kinds that ask for one document, what a good one says, and whom it names.
fn profiles() -> [(ProviderKind, Value, Identity); 6] {
    let jane = "jane@example.com";
    [
        (
            ProviderKind::DigitalOcean,
            json!({"account": {"email": jane, "uuid": "b6fr89dbf6d9156cace5f3c78dc9851d957381ef",
                "email_verified": true, "status": "active"}}),
            of_email(jane),
        ),
        (ProviderKind::Facebook, json!({"id": "10158", "name": "Jane", "email": jane}), of_email(jane)),
        (
            ProviderKind::LinkedIn,
            json!({"elements": [{"handle": "urn:li:emailAddress:3775708763",
                "handle~": {"emailAddress": jane}}]}),
            of_email(jane),
        ),
        (
            ProviderKind::Keycloak,
            json!({"sub": "f:1", "email": jane, "email_verified": true, "preferred_username": "jane",
                "groups": ["/staff", "a,admins"]}),
            Identity { preferred_username: "jane".into(), ..named("jane", jane, &["/staff", "a,admins"]) },
        ),
        (
            ProviderKind::Nextcloud,
            json!({"ocs": {"meta": {"status": "ok", "statuscode": 100}, "data": {"enabled": true, "id": "jane",
                "email": jane, "displayname": "Jane", "groups": ["admin", "", "a,b\u{1}"]}}}),
            named("jane", jane, &["admin", "a,b\u{1}"]),
        ),
        (
            ProviderKind::SourceHut,
            json!({"data": {"me": {"username": "jane", "email": jane}}}),
            Identity { preferred_username: "jane".into(), ..named("jane", jane, &[]) },
        ),
    ]
}

#[tokio::test]
async fn the_profile_says_who_signed_in() {
    for (kind, profile, identity) in profiles() {
        let fake = Fake::start().await;
        fake.says("/profile", Reply::json(200, &profile));
        let grant = login(&fake, kind.clone()).await.unwrap();
        assert_eq!(grant.identity, identity);
        // The reference keeps nothing but the access token, and takes the lifetime of the cookie.
        assert_eq!(grant.tokens, Tokens { access: Some("at".into()), id: None, refresh: None });
        assert_eq!(grant.expires_on, None);
        let asked = fake.seen("/profile").remove(0);
        assert_eq!(asked.header("authorization").as_deref(), Some("Bearer at"));
        assert_eq!(asked.header("accept").as_deref(), Some("application/json"));
        // Our secret goes into the form, as providers of this age want it.
        assert_eq!(fake.seen("/token")[0].form.get("client_secret").map(String::as_str), Some("s3cret+"));
    }
}

#[tokio::test]
async fn a_profile_that_names_nobody_or_nobody_for_certain_is_refused() {
    let missing = IdentifyError::EmailMissing;
    for (kind, place) in [
        (ProviderKind::DigitalOcean, "/account"),
        (ProviderKind::Facebook, ""),
        (ProviderKind::LinkedIn, "/elements/0/handle~0"),
        (ProviderKind::Keycloak, ""),
        (ProviderKind::Nextcloud, "/ocs/data"),
        (ProviderKind::SourceHut, "/data/me"),
    ] {
        let member = if kind == ProviderKind::LinkedIn { "emailAddress" } else { "email" };
        let (_, good, _) = profiles().into_iter().find(|(other, ..)| *other == kind).unwrap();
        for email in [json!(null), json!(""), json!(["jane@example.com"]), json!({}), json!(7), json!(true)] {
            let fake = Fake::start().await;
            let mut profile = good.clone();
            profile.pointer_mut(place).unwrap()[member] = email.clone();
            fake.says("/profile", Reply::json(200, &profile));
            let error = login(&fake, kind.clone()).await.unwrap_err();
            assert_eq!(error, RedeemError::Vendor(missing.clone().into()), "{kind:?} {email}");
        }
    }
    for (kind, profile) in [
        (ProviderKind::Keycloak, json!({"email": "a@b", "email_verified": false})),
        (ProviderKind::Keycloak, json!({"email": "a@b", "email_verified": "true"})),
        (ProviderKind::DigitalOcean, json!({"account": {"email": "a@b", "email_verified": false}})),
    ] {
        let fake = Fake::start().await;
        fake.says("/profile", Reply::json(200, &profile));
        let error = login(&fake, kind).await.unwrap_err();
        assert_eq!(error, RedeemError::Vendor(IdentifyError::EmailUnverified.into()), "{profile}");
    }
}

#[tokio::test]
async fn a_profile_of_another_shape_is_a_fault_of_the_provider() {
    let email = "a@b.example";
    for (kind, profile) in [
        (ProviderKind::Keycloak, json!({"email": email, "groups": "staff"})),
        (ProviderKind::Keycloak, json!({"email": email, "groups": ["staff", ["admins"]]})),
        (ProviderKind::Keycloak, json!({"email": email, "groups": {"staff": true}})),
        (ProviderKind::Nextcloud, json!({"ocs": {"data": {"id": "jane", "email": email, "groups": [1]}}})),
        (ProviderKind::Nextcloud, json!({"ocs": {"data": {"id": ["jane"], "email": email}}})),
        (ProviderKind::Nextcloud, json!({"ocs": {"meta": {"statuscode": 997}, "data": []}})),
        (ProviderKind::SourceHut, json!({"data": null, "errors": [{"message": "no\nscope"}]})),
        (ProviderKind::SourceHut, json!({"data": {"me": {"email": email}}})),
        (ProviderKind::SourceHut, json!([])),
    ] {
        let fake = Fake::start().await;
        fake.says("/profile", Reply::json(200, &profile));
        let fault = fault(login(&fake, kind).await);
        assert!(matches!(fault, ApiFault::Malformed(_)), "{profile}: {fault}");
    }
    for (kind, ..) in profiles() {
        for (reply, expected) in faults() {
            let fake = Fake::start().await;
            fake.says("/profile", reply);
            let fault = fault(login(&fake, kind.clone()).await);
            assert!(expected(&fault), "{kind:?}: {fault:?}");
        }
    }
}

#[tokio::test]
async fn every_kind_asks_in_its_own_way() {
    for (kind, target) in [
        (ProviderKind::LinkedIn, "/profile?q=members&projection=(elements*(handle~))"),
        // HMAC-SHA256 of "at" under "s3cret+".
        (
            ProviderKind::Facebook,
            "/profile?fields=name%2Cemail&appsecret_proof=64a791f6529fdc6b1aa9d0001866d01ee10115e81b7f0ae8e8847843e388249c",
        ),
    ] {
        let fake = Fake::start().await;
        let _ = login(&fake, kind.clone()).await;
        let asked = fake.seen("/profile").remove(0);
        assert_eq!(asked.head.split(' ').nth(1), Some(target));
        let format = (kind == ProviderKind::LinkedIn).then_some("json");
        assert_eq!(asked.header("x-li-format").as_deref(), format);
    }
    let fake = Fake::start().await;
    let _ = login(&fake, ProviderKind::SourceHut).await;
    let asked = fake.seen("/profile").remove(0);
    assert!(asked.head.starts_with("POST ") && asked.form.keys().any(|body| body.contains("username email")));
    assert_eq!(asked.header("content-type").as_deref(), Some("application/json"));
}

#[tokio::test]
async fn without_a_profile_url_the_validate_url_says_it() {
    for (kind, profile, identity) in profiles() {
        let fake = Fake::start().await;
        fake.says("/validate", Reply::json(200, &profile));
        let login = login_with(&fake, kind.clone(), |config| config.profile_url = None).await;
        if matches!(kind, ProviderKind::Keycloak | ProviderKind::Nextcloud) {
            assert_eq!(login.unwrap().identity, identity);
        } else {
            assert!(matches!(fault(login), ApiFault::Malformed(_)), "{kind:?}");
        }
    }
}

#[tokio::test]
async fn a_token_is_validated_as_the_api_is_asked() {
    for (kind, sent) in [
        (ProviderKind::GitHub(GitHub::default()), "token at"),
        (ProviderKind::Bitbucket(Bitbucket::default()), "Bearer at"),
        (ProviderKind::Facebook, "Bearer at"),
    ] {
        let fake = Fake::start().await;
        let provider = provider(&fake, kind.clone()).await;
        for (reply, validity) in [
            (Reply::status(200), Validity::Valid),
            (Reply::status(401), Validity::Refused { status: 401 }),
            (Reply::status(403), Validity::Refused { status: 403 }),
            (Reply::status(429), Validity::Unknown),
            (Reply::status(502), Validity::Unknown),
        ] {
            fake.says("/validate", reply);
            assert_eq!(provider.validate(&"at".into(), now()).await, validity);
        }
        let asked = fake.seen("/validate").remove(0);
        assert_eq!(asked.header("authorization").as_deref(), Some(sent));
        let target = asked.head.split(' ').nth(1).unwrap().to_owned();
        assert_eq!(target.contains("appsecret_proof="), kind == ProviderKind::Facebook);
        assert!(!target.contains("at="), "{target}");
    }
}

#[tokio::test]
async fn reading_anew_replaces_the_identity_and_a_fault_of_the_provider_changes_nothing() {
    let fake = Fake::start().await;
    let of = |profile: Value| Reply::json(200, &profile);
    let tokens = Tokens { access: Some("at".into()), id: None, refresh: None };
    let provider = provider(&fake, ProviderKind::DigitalOcean).await;
    let current = Identity { groups: vec!["g".into()], ..of_email("a@example.com") };
    fake.says("/profile", of(json!({"account": {"email": "a@example.com"}})));
    let refreshed = provider.reread(&tokens, &current).await.unwrap();
    assert_eq!((refreshed.identity, refreshed.tokens), (Some(of_email("a@example.com")), tokens.clone()));
    fake.says("/profile", of(json!({"account": {"email": "b@example.com"}})));
    assert_eq!(provider.reread(&tokens, &current).await, Err(RefreshError::OtherSubject));
    for (reply, ends) in [
        (Reply::status(401), true),
        (Reply::status(404), true),
        (Reply::status(429), false),
        (Reply::status(500), false),
        (Reply::typed(200, "text/html", "<html>"), false),
        (of(json!({"account": {}})), true),
    ] {
        fake.says("/profile", reply);
        let error = provider.reread(&tokens, &current).await.unwrap_err();
        assert_eq!(error.ends_the_session(), ends, "{error}");
    }
}

#[tokio::test]
async fn nobody_signs_in_by_a_token_that_nothing_can_verify() {
    let fake = Fake::start().await;
    let provider = provider(&fake, ProviderKind::DigitalOcean).await;
    let refused = provider.verify_bearer(&"eyJh.eyJh.c2ln".into(), now()).await;
    assert_eq!(refused, Err(BearerError::NotVerifiable));
}
