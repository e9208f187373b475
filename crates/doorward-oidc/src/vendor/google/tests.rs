use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use doorward_core::{Identity, Timestamp};
use serde_json::{Value, json};

use super::{
    credentials::{DefaultCredentials, GoogleEndpoints, InvalidGoogleCredentials, ServiceAccount},
    *,
};
use crate::{
    Config, Discovery, EmailVerification, IdentifyError, KeySource, NonceCheck, ProviderKind, RedeemError,
    Validity,
    provider::Provider,
    testing::{Fake, NOW, Reply, Seen, now},
    vendor::tests_of_id_tokens::{Stage, parameter, pem, redeem, refresh},
};

const GROUPS: &str = "/admin/directory/v1/groups";
const ADMIN: &str = "admin@corp.example";
const UNDELEGATED: &str = "Client is unauthorized to retrieve access tokens using this method, or client not authorized for any of the \
     scopes requested.";

fn account_json(fake: &Fake) -> Value {
    json!({
        "type": "service_account", "private_key_id": "key-1", "private_key": pem(),
        "client_email": "robot@project.iam.gserviceaccount.com", "token_uri": format!("{}/sa-token", fake.base),
    })
}

fn account(fake: &Fake) -> ServiceAccount {
    ServiceAccount::parse(account_json(fake).to_string().as_bytes()).unwrap()
}

fn directory(fake: &Fake, credentials: GoogleCredentials) -> GoogleDirectory {
    GoogleDirectory {
        credentials,
        admin_email: ADMIN.to_owned(),
        organization_id: None,
        base: fake.base.clone(),
    }
}

fn kind(groups: &[&str], directory: Option<GoogleDirectory>) -> ProviderKind {
    let groups = groups.iter().map(|group| (*group).to_owned()).collect();
    ProviderKind::Google(Box::new(Google { groups, directory }))
}

/// Google as it is without discovery.
async fn google(stage: &Stage, kind: ProviderKind) -> Provider {
    let at = |path: &str| Some(format!("{}{path}", stage.fake.base));
    let config = Config {
        kind,
        issuer: "https://accounts.google.com".to_owned(),
        discovery: Discovery::Skip,
        nonce: NonceCheck::IfPresent,
        email_verification: EmailVerification::Required,
        login_url: Some(format!("{}/auth?access_type=offline", stage.fake.base)),
        redeem_url: at("/token"),
        validate_url: at("/tokeninfo"),
        keys: KeySource::Url(format!("{}/jwks", stage.fake.base)),
        enabled_algorithms: vec![doorward_jose::Algorithm::EdDsa],
        ..stage.fake.config()
    };
    Provider::connect(config).await.unwrap()
}

/// The ID token of Google with changes.
fn gives(stage: &Stage, changes: Value) {
    let mut claims = json!({
        "iss": "https://accounts.google.com", "groups": null, "preferred_username": null, "nonce": null,
        "email": "a@corp.example", "hd": "corp.example",
    });
    if let (Value::Object(claims), Value::Object(changes)) = (&mut claims, changes) {
        claims.extend(changes);
    }
    stage.gives(claims);
}

fn token_reply() -> Reply {
    Reply::json(200, &json!({"access_token": "dir-token", "expires_in": 3599, "token_type": "Bearer"}))
}

/// A stage with a directory behind a service account.
async fn stage() -> Stage {
    let stage = Stage::new().await;
    gives(&stage, json!({}));
    stage.fake.says("/sa-token", token_reply());
    stage
}

fn by_account(stage: &Stage, groups: &[&str]) -> ProviderKind {
    kind(groups, Some(directory(&stage.fake, GoogleCredentials::ServiceAccount(account(&stage.fake)))))
}

fn member_path(group: &str) -> String {
    format!("{GROUPS}/{group}/hasMember/a@corp.example")
}

fn claims_of(token: &str) -> Value {
    let payload = token.split('.').nth(1).unwrap();
    serde_json::from_slice(&base64_simd::URL_SAFE_NO_PAD.decode_to_vec(payload).unwrap()).unwrap()
}

#[tokio::test]
async fn google_signs_in_whose_address_it_has_verified() {
    for (changes, outcome) in [
        (json!({}), Ok(())),
        (json!({"iss": "accounts.google.com"}), Ok(())),
        (json!({"email_verified": "true"}), Ok(())),
        (json!({"email_verified": false}), Err(Some(IdentifyError::EmailUnverified))),
        (json!({"email_verified": null}), Err(Some(IdentifyError::EmailUnverified))),
        (json!({"email": null}), Err(Some(IdentifyError::EmailMissing))),
        (json!({"email": ""}), Err(Some(IdentifyError::EmailMissing))),
        (json!({"aud": "another-client"}), Err(None)),
        (json!({"iss": "https://attacker.example"}), Err(None)),
        (json!({"exp": NOW - 1}), Err(None)),
        (json!({"nonce": "of another login"}), Err(None)),
    ] {
        let stage = Stage::new().await;
        gives(&stage, changes.clone());
        let provider = google(&stage, kind(&[], None)).await;
        match (redeem(&provider).await, outcome) {
            (Ok(grant), Ok(())) => {
                assert_eq!(
                    (grant.identity.user.as_str(), grant.identity.email.as_str()),
                    ("u-1", "a@corp.example")
                );
                assert_eq!(grant.tokens.refresh, Some("rt".into()));
                assert!(grant.identity.groups.is_empty());
            }
            (Err(RedeemError::Identify(error)), Err(Some(expected))) => {
                assert_eq!(error, expected, "{changes}");
            }
            (Err(RedeemError::IdToken(_) | RedeemError::Clock { .. }), Err(None)) => (),
            (outcome, _) => panic!("{changes}: {outcome:?}"),
        }
        assert_eq!(parameter(&provider, "access_type").await.as_deref(), Some("offline"));
    }
}

#[tokio::test]
async fn a_token_that_google_did_not_sign_signs_nobody_in() {
    let stage = Stage::new().await;
    gives(&stage, json!({}));
    stage.fake.says("/jwks", Reply::json(200, &json!({"keys": [crate::testing::Signer::new("one").jwk()]})));
    let provider = google(&stage, kind(&[], None)).await;
    assert!(matches!(redeem(&provider).await, Err(RedeemError::IdToken(_))));
}

#[tokio::test]
async fn tokeninfo_gets_the_token_in_the_query() {
    let stage = Stage::new().await;
    let provider = google(&stage, kind(&[], None)).await;
    for (status, validity) in [
        (200, Validity::Valid),
        (400, Validity::Refused { status: 400 }),
        (401, Validity::Refused { status: 401 }),
    ] {
        stage.fake.says("/tokeninfo", Reply::json(status, &json!({})));
        assert_eq!(provider.validate(&"a t+".into(), now()).await, validity);
    }
    let seen = stage.fake.seen("/tokeninfo").remove(0);
    assert!(seen.head.starts_with("GET /tokeninfo?access_token=a+t%2B HTTP"), "{}", seen.head);
    assert_eq!(seen.header("authorization"), None);
}

#[tokio::test]
async fn a_refresh_keeps_the_refresh_token_and_needs_no_id_token() {
    let stage = Stage::new().await;
    gives(&stage, json!({}));
    let provider = google(&stage, kind(&[], None)).await;
    let current = redeem(&provider).await.unwrap().identity;
    stage.gives_no_id_token();
    let refreshed = refresh(&provider, &current).await.unwrap();
    assert_eq!((refreshed.identity, refreshed.tokens.refresh), (Some(current.clone()), Some("rt".into())));
    let gone = json!({"error": "invalid_grant", "error_description": "Token has been expired or revoked."});
    stage.fake.says("/token", Reply::json(400, &gone));
    assert!(refresh(&provider, &current).await.unwrap_err().ends_the_session());
}

#[tokio::test]
async fn memberships_are_asked_for_group_by_group() {
    let not_a_member = |status| Reply::json(status, &json!({"error": {"code": status, "errors": []}}));
    let is = |is_member: bool| Reply::json(200, &json!({"isMember": is_member}));
    let active = |status: &str| Some(Reply::json(200, &json!({"role": "MEMBER", "status": status})));
    for (asked, looked_up, groups) in [
        (is(true), None, Some(vec!["g@corp.example"])),
        (is(false), None, Some(vec![])),
        (Reply::json(200, &json!({})), None, Some(vec![])),
        (not_a_member(404), None, Some(vec![])),
        // Somebody of another domain.
        (not_a_member(400), active("ACTIVE"), Some(vec!["g@corp.example"])),
        (not_a_member(400), active("SUSPENDED"), Some(vec![])),
        (not_a_member(400), Some(Reply::json(200, &json!({}))), Some(vec![])),
        (not_a_member(400), Some(not_a_member(404)), Some(vec![])),
        (not_a_member(400), Some(Reply::status(500)), None),
        (Reply::json(200, &json!({"isMember": "yes"})), None, None),
        (Reply::typed(200, "text/html", "<html>"), None, None),
        (Reply::status(500), None, None),
        (Reply::status(403), None, None),
    ] {
        let stage = stage().await;
        stage.fake.says(&member_path("g@corp.example"), asked);
        if let Some(reply) = looked_up {
            stage.fake.says(&format!("{GROUPS}/g@corp.example/members/a@corp.example"), reply);
        }
        let provider = google(&stage, by_account(&stage, &["g@corp.example"])).await;
        let outcome = redeem(&provider).await;
        assert_eq!(
            outcome.ok().map(|grant| grant.identity.groups),
            groups.map(|all| all.into_iter().map(str::to_owned).collect())
        );
    }
}

#[tokio::test]
async fn names_never_lead_to_another_place_of_the_directory() {
    let stage = stage().await;
    gives(&stage, json!({"email": "../../users/x?a=b#c@corp.example"}));
    let provider = google(&stage, by_account(&stage, &["g/../h"])).await;
    assert!(redeem(&provider).await.unwrap().identity.groups.is_empty());
    let path = format!("{GROUPS}/g%2F..%2Fh/hasMember/..%2F..%2Fusers%2Fx%3Fa=b%23c@corp.example");
    assert_eq!(stage.fake.count(&path), 1);
}

#[tokio::test]
async fn without_a_list_all_groups_of_the_user_are_read_page_by_page() {
    for (pages, groups) in [(1, Some(2)), (3, Some(6)), (usize::MAX, None)] {
        let stage = stage().await;
        stage.fake.on(GROUPS, move |seen: &Seen| {
            let target = seen.head.split(' ').nth(1).unwrap();
            assert!(
                target.contains("userKey=a%40corp.example") && target.contains("maxResults=200"),
                "{target}"
            );
            let page = target.split("pageToken=p").nth(1).map_or(0, |page| page.parse::<usize>().unwrap());
            let mut body = json!({"groups": [
                {"email": format!("g{page}@corp.example")}, {"email": format!("h{page}@corp.example")},
                {"email": ""}, {"name": "no address"}, 7,
            ]});
            if page + 1 < pages {
                body["nextPageToken"] = format!("p{}", page + 1).into();
            }
            Reply::json(200, &body)
        });
        let provider = google(&stage, by_account(&stage, &[])).await;
        assert_eq!(redeem(&provider).await.ok().map(|grant| grant.identity.groups.len()), groups);
        let seen = stage.fake.seen(GROUPS);
        assert!(seen.len() <= MAX_PAGES);
        assert!(seen.iter().all(|seen| seen.header("authorization").as_deref() == Some("Bearer dir-token")));
        assert_eq!(stage.fake.count("/sa-token"), 1, "one token for all pages");
    }
    // Somebody without groups, and what is not a list.
    for (body, is_good) in
        [(json!({"kind": "admin#directory#groups"}), true), (json!({"groups": 7}), false), (json!([]), false)]
    {
        let stage = stage().await;
        stage.fake.says(GROUPS, Reply::json(200, &body));
        let provider = google(&stage, by_account(&stage, &[])).await;
        assert_eq!(redeem(&provider).await.is_ok(), is_good, "{body}");
    }
}

#[tokio::test]
async fn the_service_account_asks_in_the_administrators_name_and_for_the_first_scope_that_is_delegated() {
    let stage = stage().await;
    let asked = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&asked);
    stage.fake.on("/sa-token", move |_| match count.fetch_add(1, Ordering::Relaxed) {
        0 | 1 => Reply::json(401, &json!({"error": "unauthorized_client", "error_description": UNDELEGATED})),
        _ => token_reply(),
    });
    stage.fake.says(GROUPS, Reply::json(200, &json!({})));
    let provider = google(&stage, by_account(&stage, &[])).await;
    redeem(&provider).await.unwrap();
    let scopes: Vec<String> = stage
        .fake
        .seen("/sa-token")
        .iter()
        .map(|seen| {
            assert_eq!(seen.form["grant_type"], "urn:ietf:params:oauth:grant-type:jwt-bearer");
            let claims = claims_of(&seen.form["assertion"]);
            assert_eq!(claims["iss"], "robot@project.iam.gserviceaccount.com");
            assert_eq!(claims["sub"], ADMIN);
            assert_eq!(claims["aud"], format!("{}/sa-token", stage.fake.base));
            assert_eq!((&claims["iat"], &claims["exp"]), (&json!(NOW), &json!(NOW + 3600)));
            claims["scope"].as_str().unwrap().rsplit_once('/').unwrap().1.to_owned()
        })
        .collect();
    assert_eq!(
        scopes,
        [
            "admin.directory.group.member.readonly",
            "admin.directory.group.readonly",
            "admin.directory.group.member"
        ]
    );
    // The token serves until shortly before its end.
    redeem(&provider).await.unwrap();
    assert_eq!(stage.fake.count("/sa-token"), 3);
    let later = Timestamp::from_seconds(NOW + 3599 - 59);
    let shared = provider.shared();
    let ProviderKind::Google(settings) = &shared.config.kind else { panic!() };
    let asking = Asking { http: &shared.http, cache: &shared.directory_token, now: later };
    let identity = Identity { email: "a@corp.example".to_owned(), ..Identity::default() };
    enrich(settings, identity, asking).await.unwrap();
    assert_eq!(stage.fake.count("/sa-token"), 4);
}

#[tokio::test]
async fn without_any_delegation_nobody_signs_in_and_the_log_says_why() {
    let stage = stage().await;
    stage.fake.says(
        "/sa-token",
        Reply::json(401, &json!({"error": "unauthorized_client", "error_description": UNDELEGATED})),
    );
    let provider = google(&stage, by_account(&stage, &[])).await;
    let error = redeem(&provider).await.unwrap_err();
    assert!(error.to_string().contains("delegation"), "{error}");
    assert!(error.to_string().contains("unauthorized_client"), "{error}");
    assert_eq!(stage.fake.count("/sa-token"), 4);
}

#[tokio::test]
async fn a_refresh_asks_again_and_a_fault_of_google_keeps_the_last_known() {
    let stage = stage().await;
    let path = member_path("g");
    stage.fake.says(&path, Reply::json(200, &json!({"isMember": true})));
    let provider = google(&stage, by_account(&stage, &["g"])).await;
    let current = redeem(&provider).await.unwrap().identity;
    assert_eq!(current.groups, ["g"]);
    let limit =
        json!({"error": {"code": 403, "errors": [{"domain": "usageLimits", "reason": "quotaExceeded"}]}});
    for fault in [
        Reply::status(500),
        Reply::status(503),
        Reply::status(429),
        Reply::json(403, &limit),
        Reply::json(200, &json!({"isMember": 1})),
        // The token for the directory is taken back: another is asked for the next time.
        Reply::status(401),
    ] {
        stage.fake.says(&path, fault);
        assert_eq!(refresh(&provider, &current).await.unwrap().identity, None, "as it was");
    }
    assert_eq!(stage.fake.count("/sa-token"), 1);
    // No longer a member, with and without an ID token.
    stage.fake.says(&path, Reply::json(200, &json!({"isMember": false})));
    assert!(refresh(&provider, &current).await.unwrap().identity.unwrap().groups.is_empty());
    assert_eq!(stage.fake.count("/sa-token"), 2);
    stage.gives_no_id_token();
    assert!(refresh(&provider, &current).await.unwrap().identity.unwrap().groups.is_empty());
    // The directory no longer speaks to us: that is no fault that passes.
    stage.fake.says(&path, Reply::json(403, &json!({"error": {"errors": [{"reason": "forbidden"}]}})));
    assert!(refresh(&provider, &current).await.unwrap_err().ends_the_session());
}

#[tokio::test]
async fn the_id_in_the_organisation_becomes_the_preferred_name() {
    for (user, name) in [
        (
            json!({"externalIds": [{"type": "work", "value": "w"}, {"type": "organization", "value": "e-17"}]}),
            Ok("e-17"),
        ),
        (json!({"externalIds": [{"type": "organization", "value": ""}]}), Err("no id")),
        (json!({}), Err("no id")),
        (json!({"externalIds": "e-17"}), Err("no id")),
        (
            json!({"suspended": true, "externalIds": [{"type": "organization", "value": "e"}]}),
            Err("suspended"),
        ),
        (Value::Null, Err("not a JSON object")),
    ] {
        let stage = stage().await;
        stage.fake.says(GROUPS, Reply::json(200, &json!({})));
        stage.fake.says("/admin/directory/v1/users/a@corp.example", Reply::json(200, &user));
        let ProviderKind::Google(mut settings) = by_account(&stage, &[]) else { panic!() };
        settings.directory.as_mut().unwrap().organization_id = Some(UserScope::UserReadonly);
        let provider = google(&stage, ProviderKind::Google(settings)).await;
        match (redeem(&provider).await, name) {
            (Ok(grant), Ok(name)) => assert_eq!(grant.identity.preferred_username, name),
            (Err(error), Err(reason)) => assert!(error.to_string().contains(reason), "{error}"),
            (outcome, _) => panic!("{user}: {outcome:?}"),
        }
        let scope = claims_of(&stage.fake.seen("/sa-token")[0].form["assertion"])["scope"].to_string();
        assert!(
            scope.contains(".readonly https://www.googleapis.com/auth/admin.directory.user.readonly"),
            "{scope}"
        );
    }
}

/// Google signs for a service account that a place may act for.
#[tokio::test]
async fn default_credentials_have_google_sign() {
    let stage = stage().await;
    let file = std::env::temp_dir().join(format!("doorward-workload-{}", std::process::id()));
    std::fs::write(&file, "{\"token\": \"workload-token\"}\n").unwrap();
    let at = |path: &str| format!("{}{path}", stage.fake.base);
    let parse = |value: Value| DefaultCredentials::parse(value.to_string().as_bytes()).unwrap();
    let workload = |impersonation: Option<String>| {
        let mut value = json!({
            "type": "external_account", "audience": "//iam.googleapis.com/pool", "token_url": at("/sts"),
            "subject_token_type": "urn:ietf:params:oauth:token-type:jwt",
            "credential_source": {"file": file, "format": {"type": "json", "subject_token_field_name": "token"}},
        });
        if let Some(url) = impersonation {
            value["service_account_impersonation_url"] = url.into();
        }
        parse(value)
    };
    let person =
        json!({"type": "authorized_user", "client_id": "c", "client_secret": "s", "refresh_token": "r"});
    let become_robot = at("/v1/projects/-/serviceAccounts/robot:generateAccessToken");
    let metadata = "/computeMetadata/v1/instance/service-accounts/default";
    for (place, principal, expected) in [
        (DefaultCredentials::MetadataServer, None, "meta@project"),
        (DefaultCredentials::MetadataServer, Some("named@project"), "named@project"),
        (
            DefaultCredentials::ServiceAccount(account(&stage.fake)),
            None,
            "robot@project.iam.gserviceaccount.com",
        ),
        (parse(person), Some("named@project"), "named@project"),
        (workload(None), Some("named@project"), "named@project"),
        (workload(Some(become_robot.clone())), None, "robot"),
    ] {
        let fake = &stage.fake;
        let base_token = || Reply::json(200, &json!({"access_token": "base", "expires_in": 60}));
        fake.says(&format!("{metadata}/token"), base_token());
        fake.says(&format!("{metadata}/email"), Reply::typed(200, "text/plain", "meta@project"));
        fake.says("/sts", base_token());
        fake.says("/sa-token", base_token());
        fake.says(
            "/v1/projects/-/serviceAccounts/robot:generateAccessToken",
            Reply::json(200, &json!({"accessToken": "base"})),
        );
        fake.on("/oauth-token", |seen: &Seen| {
            if seen.form["grant_type"] == "refresh_token" {
                return Reply::json(200, &json!({"access_token": "base", "expires_in": 60}));
            }
            assert_eq!(seen.form["assertion"], "signed-by-google");
            token_reply()
        });
        let sign = format!("/v1/projects/-/serviceAccounts/{expected}:signJwt");
        fake.says(&sign, Reply::json(200, &json!({"keyId": "k", "signedJwt": "signed-by-google"})));
        fake.says(GROUPS, Reply::json(200, &json!({"groups": [{"email": "g@corp.example"}]})));
        let endpoints =
            GoogleEndpoints { token: at("/oauth-token"), iam_credentials: at(""), metadata: at("") };
        let principal = principal.map(str::to_owned);
        let credentials = GoogleCredentials::Impersonation { place: place.clone(), principal, endpoints };
        let provider = google(&stage, kind(&[], Some(directory(fake, credentials)))).await;
        let before = fake.count(&sign);
        let grant = redeem(&provider).await.unwrap();
        assert_eq!(grant.identity.groups, ["g@corp.example"], "{place:?}");
        assert_eq!(fake.count(&sign), before + 1);
        assert_eq!(fake.seen(&sign).pop().unwrap().header("authorization").as_deref(), Some("Bearer base"));
    }
    let exchanged = stage.fake.seen("/sts").remove(0).form;
    assert_eq!(exchanged["subject_token"], "workload-token");
    assert_eq!(
        stage.fake.seen(&format!("{metadata}/token"))[0].header("metadata-flavor").as_deref(),
        Some("Google")
    );
    std::fs::remove_file(file).unwrap();
}

#[test]
fn files_that_hold_no_credentials_are_told() {
    type Invalid = InvalidGoogleCredentials;
    let service = |value: Value| ServiceAccount::parse(value.to_string().as_bytes()).unwrap_err();
    assert_eq!(ServiceAccount::parse(b"-----BEGIN").unwrap_err(), Invalid::NoObject);
    assert_eq!(service(json!({})), Invalid::Missing("private_key"));
    assert!(matches!(service(json!({"private_key": "x"})), Invalid::Key(_)));
    let key = pem();
    assert_eq!(service(json!({"private_key": key})), Invalid::Missing("client_email"));
    let token = json!({"private_key": key, "client_email": "a", "token_uri": "file:///etc/passwd"});
    assert_eq!(service(token), Invalid::Url("token_uri"));
    let place = |value: Value| DefaultCredentials::parse(value.to_string().as_bytes()).unwrap_err();
    assert_eq!(place(json!({"type": "impersonated"})), Invalid::Type("impersonated".to_owned()));
    for source in [json!({}), json!({"url": "http://metadata"}), json!({"executable": {"command": "x"}})] {
        assert_eq!(place(json!({"type": "external_account", "credential_source": source})), Invalid::Source);
    }
}

#[test]
fn no_key_or_token_can_be_printed() {
    let (key, place) = (pem(), "authorized_user");
    let value = json!({"private_key": key, "client_email": "a"});
    let account = ServiceAccount::parse(value.to_string().as_bytes()).unwrap();
    let person = json!({"type": place, "client_id": "c", "client_secret": "hush", "refresh_token": "mum"});
    let person = DefaultCredentials::parse(person.to_string().as_bytes()).unwrap();
    let printed = format!("{account:?} {person:?}");
    for secret in ["hush", "mum", key.lines().nth(1).unwrap()] {
        assert!(!printed.contains(secret), "{printed}");
    }
}
