//! Providers with ID tokens and habits of their own, each from the options to a login and a refresh: Google, Entra ID,
//! azure, ADFS, Cidaas and login.gov. What their APIs answer otherwise stands in tables beside the code.

use std::{cell::OnceCell, collections::BTreeMap};

use base64_simd::URL_SAFE_NO_PAD;
use doorward_testkit::{ClientProof, Endpoint, KeyName, Launch, Provider};
use serde_json::{Value, json};

use crate::{
    refresh::{SHORT, wait_until_due},
    support::{PROGRAM, Stage, assert_login_accepted, assert_login_refused, parts},
};

const MEMBERS: &str = "/v1.0/me/transitiveMemberOf";
const MEMBER: &str = "/admin/directory/v1/groups/staff@corp.example/hasMember/jane@example.com";
/// Endpoints that nobody discovers.
const ENDPOINTS: [&str; 4] = [
    "--login-url={p}/authorize",
    "--redeem-url={p}/token",
    "--oidc-jwks-url={p}/keys",
    "--profile-url={p}/userinfo",
];

/// A stage with a provider of a kind; `{p}` in a flag is where the provider is.
fn stage(kind: &str, flags: &[&str], prepare: impl FnOnce(&Provider)) -> Stage {
    with_files(kind, flags, prepare, |launch, _| launch)
}

fn with_files(
    kind: &str,
    flags: &[&str],
    prepare: impl FnOnce(&Provider),
    files: impl FnOnce(Launch, &str) -> Launch,
) -> Stage {
    let base = OnceCell::new();
    let begin = |provider: &Provider| {
        base.set(provider.issuer()).unwrap();
        prepare(provider);
    };
    Stage::before(begin, |launch| {
        let base = base.get().unwrap();
        let names = flags.iter().filter_map(|flag| flag.strip_prefix("--")?.split('=').next());
        let launch = names.fold(launch.without("provider"), Launch::without);
        let launch = files(launch, base).flag(&format!("--provider={kind}"));
        flags.iter().fold(launch, |launch, flag| launch.flag(&flag.replace("{p}", base)))
    })
}

fn last(stage: &Stage, endpoint: Endpoint) -> BTreeMap<String, String> {
    stage.provider.calls(endpoint).pop().unwrap().parameters
}

#[track_caller]
fn assert_groups(stage: &Stage, groups: &[&str]) {
    assert_eq!(stage.logged_in().get("/oauth2/userinfo").json()["groups"], json!(groups));
}

fn claims_of(token: &str) -> Value {
    let payload = token.split('.').nth(1).unwrap();
    serde_json::from_slice(&URL_SAFE_NO_PAD.decode_to_vec(payload).unwrap()).unwrap()
}

/// Google with a service account for its directory; all is at the provider.
fn google(flags: &[&str]) -> Stage {
    let usual = [
        "--login-url={p}/authorize?access_type=offline",
        "--redeem-url={p}/token",
        "--validate-url={p}/tokeninfo",
        "--oidc-jwks-url={p}/keys",
        "--oidc-issuer-url=https://accounts.google.com",
        "--profile-url={p}",
        "--google-admin-email=admin@corp.example",
        "--google-service-account-json={file:robot.json}",
    ];
    let prepare = |provider: &Provider| {
        provider.set(|knobs| {
            knobs.claim("iss", "https://accounts.google.com");
            knobs.claim("groups", Value::Null);
            knobs.document("/tokeninfo", json!({"expires_in": 3000}));
            knobs.document("/robot", json!({"access_token": "directory", "expires_in": 3599}));
            knobs.document(MEMBER, json!({"isMember": true}));
        });
    };
    with_files("google", &[&usual[..], flags].concat(), prepare, |launch, base| {
        let robot = json!({
            "type": "service_account", "client_email": "robot@project.iam.gserviceaccount.com",
            "private_key": KeyName::OtherRsa.private_pem(), "token_uri": format!("{base}/robot"),
        });
        launch.file("robot.json", &robot.to_string())
    })
}

#[test]
fn google_lets_members_of_a_group_in_as_long_as_they_are_members() {
    let stage = google(&["--google-group=staff@corp.example", "--google-group=other@corp.example", SHORT]);
    assert_groups(&stage, &["staff@corp.example"]);
    assert_eq!(last(&stage, Endpoint::Authorize)["access_type"], "offline");
    assert_eq!(last(&stage, Endpoint::Authorize)["approval_prompt"], "force");
    let mut browser = stage.logged_in();
    // A fault of the directory keeps what was known.
    stage.provider.set(|knobs| _ = knobs.documents.insert(MEMBER.to_owned(), (503, json!({}))));
    wait_until_due();
    assert_eq!(browser.get("/page").status, 200);
    stage.provider.set(|knobs| knobs.document(MEMBER, json!({"isMember": false})));
    wait_until_due();
    // A refresh that failed in part counts as one.
    assert_eq!(browser.get("/page").status, 403);
    assert_login_refused(&stage, "no member any more");
}

#[test]
fn google_with_a_restriction_that_nobody_could_check_does_not_start() {
    let (provider, echo) = parts();
    for (flags, named) in [
        (&["--google-group=g"][..], "google-group"),
        (&["--allowed-group=g"], "allowed-group"),
        (&["--google-group=g", "--google-admin-email=a@b.example"], "google-service-account-json"),
        (&["--google-admin-email=a@b.example", "--google-service-account-json=/nowhere"], "/nowhere"),
        (&["--google-use-application-default-credentials=true"], "google-admin-email"),
        (
            &["--google-use-organization-id=true", "--google-admin-email=a@b.example"],
            "google-service-account-json",
        ),
    ] {
        let launch = Launch::new(PROGRAM, &provider, &echo).without("provider").without("oidc-issuer-url");
        let exit = flags.iter().fold(launch, |launch, flag| launch.flag(flag)).fail();
        assert_eq!(exit.code, Some(1), "{flags:?}");
        assert!(exit.output.contains(named), "{flags:?}: {}", exit.output);
    }
}

/// A token that has no room for groups, of a tenant.
fn of_tenant(provider: &Provider, tenant: &str) {
    provider.set(|knobs| {
        knobs.claim("iss", format!("{}/{tenant}/v2.0", provider.issuer()));
        knobs.claim("groups", Value::Null);
        knobs.claim("_claim_names", json!({"groups": "src1"}));
        knobs.document(MEMBERS, json!({"value": [{"id": "id-of-staff"}]}));
    });
}

#[test]
fn entra_id_lets_people_of_allowed_tenants_in_and_reads_groups_from_graph() {
    let own = [
        "--skip-oidc-discovery=true",
        "--oidc-issuer-url={p}/organizations/v2.0",
        "--entra-id-allowed-tenant=tenant-1",
        "--allowed-group=id-of-staff",
        SHORT,
    ];
    let stage =
        stage("entra-id", &[&ENDPOINTS[..], &own].concat(), |provider| of_tenant(provider, "tenant-1"));
    assert_groups(&stage, &["id-of-staff"]);
    of_tenant(&stage.provider, "tenant-2");
    assert_login_refused(&stage, "of another tenant");
    of_tenant(&stage.provider, "tenant-1");
    let mut browser = stage.logged_in();
    stage.provider.set(|knobs| knobs.document(MEMBERS, json!({"value": []})));
    wait_until_due();
    assert_eq!(browser.get("/page").status, 403, "no member any more");
    assert_login_refused(&stage, "in no group");
}

#[test]
fn entra_id_takes_the_platforms_word_for_a_secret() {
    let base = OnceCell::new();
    let begin = |provider: &Provider| {
        base.set(provider.issuer()).unwrap();
        of_tenant(provider, "tenant-1");
        provider.set(|knobs| knobs.client = ClientProof::Assertion);
    };
    let own = ["--skip-oidc-discovery=true", "--oidc-issuer-url={p}/tenant-1/v2.0"];
    let stage = Stage::before(begin, |launch| {
        let launch = launch.without("provider").without("oidc-issuer-url").without("client-secret");
        let launch = launch.file("token", "platform.says.so\n");
        let path = launch.path("token").display().to_string();
        let launch = launch.variable("AZURE_FEDERATED_TOKEN_FILE", &path);
        let launch = launch.flag("--provider=entra-id").flag("--entra-id-federated-token-auth=true");
        let flags = ENDPOINTS.iter().chain(&own);
        flags.fold(launch, |launch, flag| launch.flag(&flag.replace("{p}", base.get().unwrap())))
    });
    assert_login_accepted(&stage, "by the assertion of the platform");
    assert_eq!(last(&stage, Endpoint::Token)["client_assertion"], "platform.says.so");
    let exit = Launch::new(PROGRAM, &stage.provider, &stage.echo)
        .without("provider")
        .without("client-secret")
        .flag("--provider=entra-id")
        .flag("--entra-id-federated-token-auth=true")
        .fail();
    assert!(exit.output.contains("AZURE_FEDERATED_TOKEN_FILE"), "{}", exit.output);
}

#[test]
fn azure_of_both_versions() {
    let first = stage("azure", &["--resource=https://api.example"], |provider| {
        provider.set(|knobs| {
            knobs.claim("email", Value::Null);
            knobs.user_info.insert("userPrincipalName".to_owned(), "jane@corp.example".into());
        });
    });
    assert_eq!(first.logged_in().get("/oauth2/userinfo").json()["email"], "jane@corp.example");
    assert_eq!(last(&first, Endpoint::Authorize)["resource"], "https://api.example");
    assert_eq!(last(&first, Endpoint::Token)["resource"], "https://api.example");
    let second = stage("azure", &["--azure-graph-group-field=displayName"], |provider| {
        provider.set(|knobs| {
            let login = format!("{}/authorize?api=v2.0", provider.issuer());
            knobs.discovery.insert("authorization_endpoint".to_owned(), login.into());
            knobs.document(MEMBERS, json!({"value": [{"id": "1", "displayName": "Security"}]}));
        });
    });
    assert_groups(&second, &["staff", "admins", "Security"]);
    assert_eq!(
        last(&second, Endpoint::Authorize)["scope"],
        format!("openid {}/.default", second.provider.issuer())
    );
}

#[test]
fn adfs_knows_people_by_principal_name_and_returns_the_state_however_it_decodes() {
    let stage = stage("adfs", &["--resource=https://app.example"], |provider| {
        provider.set(|knobs| {
            knobs.claim("email", Value::Null);
            knobs.claim("upn", "jane@corp.example");
        });
    });
    assert_eq!(stage.logged_in().get("/oauth2/userinfo").json()["email"], "jane@corp.example");
    let asked = last(&stage, Endpoint::Authorize);
    assert_eq!(asked["scope"], "https://app.example/openid email profile");
    assert!(asked["state"].bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte)));
}

#[test]
fn cidaas_tells_roles_in_groups() {
    let stage = stage("cidaas", &["--allowed-group=staff:admin", SHORT], |provider| {
        let groups = json!([{"groupId": "staff", "roles": ["admin", "user"]}]);
        provider.set(|knobs| {
            knobs.user_info.insert("groups".to_owned(), groups);
            knobs.user_info.insert("roles".to_owned(), json!(["USER"]));
        });
    });
    assert_groups(&stage, &["staff:admin", "staff:user", "cidaas:USER"]);
    assert_eq!(last(&stage, Endpoint::Authorize)["scope"], "openid email profile roles groups");
    let mut browser = stage.logged_in();
    stage.provider.set(|knobs| _ = knobs.user_info.remove("groups"));
    wait_until_due();
    assert_eq!(browser.get("/page").status, 403, "no member any more");
}

#[test]
fn login_gov_knows_us_by_a_key() {
    let own = [
        "--validate-url={p}/userinfo",
        "--pubjwk-url={p}/keys",
        "--jwt-key-file={file:key.pem}",
        "--client-secret=",
    ];
    let flags: Vec<&str> =
        ENDPOINTS.iter().chain(&own).copied().filter(|flag| !flag.starts_with("--oidc-jwks")).collect();
    let prepare = |provider: &Provider| {
        provider.set(|knobs| {
            knobs.client = ClientProof::Assertion;
            knobs.claim("iss", format!("{}/", provider.issuer()));
            knobs.claim("email", Value::Null);
            knobs.claim("email_verified", Value::Null);
            knobs.user_info.insert("email".to_owned(), "jane@agency.example".into());
            knobs.user_info.insert("email_verified".to_owned(), true.into());
        });
    };
    let stage = with_files("login.gov", &flags, prepare, |launch, _| {
        launch.without("oidc-issuer-url").file("key.pem", &KeyName::OtherRsa.private_pem())
    });
    assert_eq!(stage.logged_in().get("/oauth2/userinfo").json()["email"], "jane@agency.example");
    let first = last(&stage, Endpoint::Authorize);
    assert_eq!(first["acr_values"], "http://idmanagement.gov/ns/assurance/loa/1");
    let assertion = claims_of(&last(&stage, Endpoint::Token)["client_assertion"]);
    assert_eq!(
        (&assertion["iss"], &assertion["sub"]),
        (&json!(Provider::CLIENT_ID), &json!(Provider::CLIENT_ID))
    );
    assert_eq!(assertion["aud"], format!("{}/token", stage.provider.issuer()));
    stage.logged_in();
    assert_ne!(first["nonce"], last(&stage, Endpoint::Authorize)["nonce"], "one for each attempt");
    stage.provider.set(|knobs| _ = knobs.user_info.insert("email_verified".to_owned(), false.into()));
    assert_login_refused(&stage, "an address that nobody verified");
}
