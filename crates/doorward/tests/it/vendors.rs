//! Providers that are asked by their own API: a login through each of them, what the application is told, and somebody
//! who is not let in.

use doorward_testkit::{Endpoint, Launch, Provider};
use serde_json::{Value, json};

use crate::support::{PROGRAM, Stage, assert_login_accepted, assert_login_refused, parts};

const JANE: &str = "jane@example.com";

/// A stage at a provider of this type, whose endpoints are the scripted provider's.
fn stage(kind: &str, flags: &[&str], documents: &[(&str, Value)]) -> Stage {
    let (provider, echo) = parts();
    provider
        .set(|knobs| documents.iter().for_each(|(path, document)| knobs.document(path, document.clone())));
    let doorward = of_kind(Launch::new(PROGRAM, &provider, &echo), kind, &provider)
        .flags(
            flags
                .iter()
                .map(|flag| flag.replace("{base}", &provider.issuer()))
                .collect::<Vec<_>>()
                .iter()
                .map(String::as_str),
        )
        .start();
    Stage { doorward, provider, echo }
}

fn of_kind(launch: Launch, kind: &str, provider: &Provider) -> Launch {
    let base = provider.issuer();
    let launch = launch.without("provider").flag(&format!("--provider={kind}"));
    if kind == "gitlab" {
        return launch;
    }
    launch
        .without("oidc-issuer-url")
        .flag(&format!("--login-url={base}/authorize"))
        .flag(&format!("--redeem-url={base}/token"))
}

/// What an application is told of who signs in there.
#[track_caller]
fn assert_told(stage: &Stage, user: &str, email: &str, groups: &str) {
    let mut browser = stage.browser().logged_in();
    let told = browser.get("/").echoed();
    let sent = |name: &str| told.all(name).join("|");
    assert_eq!(sent("x-forwarded-user"), user);
    assert_eq!(sent("x-forwarded-email"), email);
    assert_eq!(sent("x-forwarded-groups"), groups);
}

/// Nobody gets in, and the log says why.
#[track_caller]
fn assert_kept_out(stage: &mut Stage, why: &str) {
    assert_login_refused(stage, why);
    stage.doorward.wait_for_log(why);
}

fn github() -> Vec<(&'static str, Value)> {
    vec![
        ("/user/orgs", json!([{"login": "Acme", "id": 1}])),
        ("/user/teams", json!([{"name": "Core", "slug": "core", "organization": {"login": "Acme"}}])),
        ("/user", json!({"login": "jane", "id": 1})),
        ("/user/emails", json!([{"email": JANE, "primary": true, "verified": true}])),
        ("/repos/acme/site", json!({"private": false, "permissions": {"push": false, "pull": true}})),
    ]
}

#[test]
fn github_admits_a_team_and_names_organisations_and_teams() {
    let api = "--validate-url={base}/";
    let of_team = stage("github", &[api, "--github-org=acme", "--github-team=core,ops"], &github());
    assert_told(&of_team, "jane", JANE, "Acme,Acme:core");
    of_team.provider.set(|knobs| knobs.document("/user/teams", json!([])));
    let mut of_team = of_team;
    assert_kept_out(&mut of_team, "is in none of the organisations, teams and lists");
    let mut of_repository = stage("github", &[api, "--github-repo=acme/site"], &github());
    assert_kept_out(&mut of_repository, "has no part in the repository");
    let push = json!({"private": false, "permissions": {"push": true}});
    of_repository.provider.set(|knobs| knobs.document("/repos/acme/site", push));
    assert_login_accepted(&of_repository, "push access");
    let mut limited = stage("github", &[api, "--allowed-group=Acme:core"], &github());
    assert_login_accepted(&limited, "groups of GitHub are groups");
    limited.provider.set(|knobs| _ = knobs.documents.insert("/user/orgs".into(), (429, json!({}))));
    assert_kept_out(&mut limited, "it allows no more requests for now");
}

#[test]
fn gitlab_needs_one_of_all_groups_and_projects_that_are_written() {
    let user = |groups: &[&str]| json!({"sub": "sub-1", "nickname": "jane42", "email": JANE, "email_verified": true, "groups": groups});
    let project = |level: u64| json!({"archived": false, "permissions": {"project_access": {"access_level": level}, "group_access": null}});
    let flags = ["--gitlab-group=acme/core", "--allowed-group=guests", "--gitlab-project=acme/site=30"];
    let place = "/api/v4/projects/acme%2Fsite";
    let mut stage = stage("gitlab", &flags, &[("/oauth/userinfo", user(&["acme"])), (place, project(30))]);
    assert_told(&stage, "jane42", JANE, "acme,project:acme/site");
    let scope = stage.provider.calls(Endpoint::Authorize)[0].parameters["scope"].clone();
    assert_eq!(scope, "openid email read_api");
    stage.provider.set(|knobs| knobs.document(place, project(20)));
    assert_login_refused(&stage, "neither group nor project");
    for group in ["acme/core", "guests"] {
        stage.provider.set(|knobs| knobs.document("/oauth/userinfo", user(&[group])));
        assert_login_accepted(&stage, group);
    }
    let mut unverified = user(&["guests"]);
    unverified["email_verified"] = false.into();
    stage.provider.set(|knobs| knobs.document("/oauth/userinfo", unverified));
    assert_kept_out(&mut stage, "not verified");
}

#[test]
fn bitbucket_admits_members_of_the_workspace_who_write_to_the_repository() {
    let documents = [
        ("/2.0/user/emails", json!({"values": [{"email": JANE, "is_primary": true, "is_confirmed": true}]})),
        ("/2.0/workspaces", json!({"values": [{"slug": "acme"}]})),
        ("/2.0/repositories/acme", json!({"values": [{"full_name": "acme/site"}]})),
    ];
    let flags = [
        "--validate-url={base}/2.0/user/emails",
        "--bitbucket-team=acme",
        "--bitbucket-repository=acme/site",
    ];
    let mut stage = stage("bitbucket", &flags, &documents);
    assert_told(&stage, "", JANE, "");
    assert_eq!(stage.provider.calls(Endpoint::Authorize)[0].parameters["scope"], "email team repository");
    stage.provider.set(|knobs| knobs.document("/2.0/repositories/acme", json!({"values": []})));
    assert_kept_out(&mut stage, "may not write to the Bitbucket repository");
    stage.provider.set(|knobs| knobs.document("/2.0/workspaces", json!({"values": [{"slug": "evil"}]})));
    assert_kept_out(&mut stage, "is no member of the Bitbucket workspace");
}

/// Kinds of one document: a login, and then one that the provider says too little for.
fn assert_one_document(kind: &str, good: Value, told: (&str, &str), bad: Value, why: &str) {
    let flags = ["--profile-url={base}/me", "--validate-url={base}/me"];
    let mut stage = stage(kind, &flags, &[("/me", good)]);
    assert_told(&stage, told.0, JANE, told.1);
    stage.provider.set(|knobs| knobs.document("/me", bad));
    assert_kept_out(&mut stage, why);
}

const NO_EMAIL: &str = "set an email";

#[test]
fn facebook_names_an_address() {
    assert_one_document("facebook", json!({"email": JANE}), ("", ""), json!({"id": "1"}), NO_EMAIL);
}

#[test]
fn linkedin_names_an_address() {
    let good = json!({"elements": [{"handle~": {"emailAddress": JANE}}]});
    assert_one_document("linkedin", good, ("", ""), json!({"elements": []}), NO_EMAIL);
}

#[test]
fn digitalocean_names_an_address() {
    let unverified = json!({"account": {"email": JANE, "email_verified": false}});
    let good = json!({"account": {"email": JANE}});
    assert_one_document("digitalocean", good, ("", ""), unverified, "not verified");
}

#[test]
fn nextcloud_names_user_address_and_groups() {
    let of = |id: Value| json!({"ocs": {"data": {"id": id, "email": JANE, "groups": ["admin", "staff"]}}});
    assert_one_document(
        "nextcloud",
        of(json!("jane")),
        ("jane", "admin,staff"),
        of(json!(null)),
        "ocs.data.id",
    );
}

#[test]
fn sourcehut_names_user_and_address() {
    let good = json!({"data": {"me": {"username": "jane", "email": JANE}}});
    assert_one_document("sourcehut", good, ("jane", ""), json!({"errors": []}), "data.me");
}

#[test]
fn the_old_keycloak_needs_one_of_all_groups_that_are_written() {
    let of = |groups: &[&str]| json!({"email": JANE, "preferred_username": "jane", "groups": groups});
    let flags = ["--validate-url={base}/me", "--keycloak-group=/staff", "--allowed-group=/board"];
    let stage = stage("keycloak", &flags, &[("/me", of(&["/staff", "/x"]))]);
    assert_told(&stage, "jane", JANE, "/staff,/x");
    for (groups, admits) in [(&["/board"][..], true), (&["/x"], false), (&["/x,/staff"], false), (&[], false)]
    {
        stage.provider.set(|knobs| knobs.document("/me", of(groups)));
        if admits {
            assert_login_accepted(&stage, "board");
        } else {
            assert_login_refused(&stage, "groups");
        }
    }
}

#[test]
fn what_is_wrong_with_a_kind_of_provider_stops_the_start() {
    let (provider, echo) = parts();
    for (flags, named) in [
        (&["--provider=nextcloud"][..], &["login-url", "redeem-url", "validate-url"][..]),
        (&["--provider=keycloak"], &["login-url", "redeem-url", "validate-url"]),
        (
            &["--provider=github", "--redeem-url=https://ghe.example/x", "--login-url=https://ghe.example/y"],
            &["validate-url"],
        ),
        (
            &["--provider=facebook", "--login-url=https://x.example/"],
            &["redeem-url", "validate-url", "profile-url"],
        ),
        (&["--provider=github", "--github-team=core"], &["github-team"]),
        (&["--provider=github", "--github-repo=acme"], &["github-repo"]),
        (&["--provider=github", "--github-token=abcdef"], &["github-token"]),
        (&["--provider=gitlab", "--gitlab-project=a/b=50"], &["gitlab-project"]),
        (&["--provider=gitlab", "--gitlab-project=a/b=x", "--gitlab-project=c=20"], &["gitlab-project"]),
        (&["--provider=bitbucket", "--bitbucket-repository=acme"], &["bitbucket-repository"]),
    ] {
        let launch = Launch::new(PROGRAM, &provider, &echo).without("provider").flags(flags.iter().copied());
        let exit = launch.fail();
        assert_eq!(exit.code, Some(1), "{flags:?}");
        for option in named {
            let is_told = exit.output.lines().any(|line| line.contains(&format!("{option}: ")));
            assert!(is_told, "{flags:?} {option}: {}", exit.output);
        }
        assert!(!exit.output.contains("abcdef"));
    }
}
