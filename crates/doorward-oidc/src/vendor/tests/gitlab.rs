use super::*;
use crate::{EmailVerification, ProfileClaims, testing::Signer};

/// A GitLab below a path, whose ID token is about jane.
struct Lab {
    fake: Fake,
    signer: Signer,
}

impl Lab {
    async fn new() -> Self {
        let (fake, signer) = (Fake::start().await, Signer::new("k1"));
        let id = signer.sign(&fake.claims(json!({
            "sub": "42", "email": "jane@acme.example", "groups": null, "groups_direct": ["acme"],
            "nickname": "jane", "preferred_username": "jane",
        })));
        fake.behaves(
            &signer,
            &json!({"access_token": "at", "id_token": id, "refresh_token": "rt", "expires_in": 7200,
                "token_type": "Bearer"}),
        );
        let mut metadata = fake.metadata();
        metadata["authorization_endpoint"] = format!("{}/git/oauth/authorize", fake.base).into();
        // What the metadata say of userinfo does not count.
        metadata["userinfo_endpoint"] = "http://127.0.0.1:1/userinfo".into();
        fake.says("/.well-known/openid-configuration", Reply::json(200, &metadata));
        let lab = Self { fake, signer };
        lab.user(json!({}));
        lab
    }

    /// What userinfo says, with changes.
    fn user(&self, changes: Value) {
        let mut user = json!({"sub": "42", "name": "Jane", "nickname": "jane", "email": "jane@acme.example",
            "email_verified": true, "groups": ["acme", "acme/core"]});
        crate::testing::merge(&mut user, changes);
        self.fake.says("/git/oauth/userinfo", Reply::json(200, &user));
    }

    async fn provider(&self, projects: &[&str], change: impl FnOnce(&mut Config)) -> Provider {
        let projects = projects.iter().map(|text| Project::parse(text).unwrap()).collect();
        let mut config = Config { kind: ProviderKind::GitLab(GitLab { projects }), ..self.fake.config() };
        change(&mut config);
        Provider::connect(config).await.unwrap()
    }

    async fn enter(&self, projects: &[&str]) -> Result<Grant, RedeemError> {
        self.provider(projects, |_| ()).await.redeem(callback("c0de"), "http://app/cb", now()).await
    }
}

const PROJECT: &str = "/git/api/v4/projects/acme%2Fcore%2Fsite";

fn project(changes: Value) -> Reply {
    let mut document = json!({"id": 3, "path_with_namespace": "acme/core/site", "archived": false,
        "permissions": {"project_access": {"access_level": 30, "notification_level": 3}, "group_access": null}});
    crate::testing::merge(&mut document, changes);
    Reply::json(200, &document)
}

#[tokio::test]
async fn userinfo_of_the_login_host_gives_name_address_and_groups() {
    let lab = Lab::new().await;
    lab.user(json!({"email": "jane@new.example"}));
    let grant = lab.enter(&[]).await.unwrap();
    let jane = named("jane", "jane@new.example", &["acme", "acme/core"]);
    assert_eq!(grant.identity, Identity { preferred_username: "jane".into(), ..jane });
    assert_eq!(grant.tokens.refresh, Some("rt".into()));
    let asked = lab.fake.seen("/git/oauth/userinfo").remove(0);
    assert_eq!(asked.header("authorization").as_deref(), Some("Bearer at"));
}

#[tokio::test]
async fn userinfo_is_asked_even_if_the_profile_is_not() {
    let lab = Lab::new().await;
    let provider = lab.provider(&[], |config| config.profile_claims = ProfileClaims::Skip).await;
    let grant = provider.redeem(callback("c0de"), "http://app/cb", now()).await.unwrap();
    assert_eq!(grant.identity.groups, ["acme", "acme/core"]);
}

#[tokio::test]
async fn the_address_has_to_be_called_verified() {
    for verified in [json!(null), json!(false), json!("true"), json!(1)] {
        let lab = Lab::new().await;
        lab.user(json!({"email_verified": verified}));
        let error = lab.enter(&[]).await.unwrap_err();
        assert_eq!(error, RedeemError::Vendor(IdentifyError::EmailUnverified.into()), "{verified}");
        let ignore = |config: &mut Config| config.email_verification = EmailVerification::Ignored;
        let provider = lab.provider(&[], ignore).await;
        provider.redeem(callback("c0de"), "http://app/cb", now()).await.unwrap();
    }
}

#[tokio::test]
async fn a_part_in_a_project_is_a_group_if_the_level_is_high_enough() {
    let group = "project:acme/core/site";
    for (written, reply, has) in [
        ("acme/core/site", project(json!({})), true),
        ("acme/core/site=30", project(json!({})), true),
        ("acme/core/site=40", project(json!({})), false),
        ("acme/core/site", project_of(&json!({"access_level": 10}), &json!({"access_level": 50})), false),
        ("acme/core/site", project_of(&json!(null), &json!({"access_level": 20})), true),
        ("acme/core/site", project_of(&json!(null), &json!(null)), false),
        ("acme/core/site", project_of(&json!({"access_level": "50"}), &json!(null)), false),
        ("acme/core/site", project_of(&json!({"access_level": -1}), &json!(null)), false),
        ("acme/core/site", project_of(&json!([50]), &json!(null)), false),
        ("acme/core/site", project(json!({"permissions": null})), false),
        ("acme/core/site", project(json!({"archived": true})), false),
        ("acme/core/site", project(json!({"archived": "no"})), false),
        ("acme/core/site", Reply::json(200, &json!([])), false),
        ("acme/core/site", Reply::status(404), false),
        ("acme/core/site", Reply::status(403), false),
    ] {
        let lab = Lab::new().await;
        lab.fake.says(PROJECT, reply);
        let groups = lab.enter(&[written]).await.unwrap().identity.groups;
        assert_eq!(groups.contains(&group.to_owned()), has, "{written} {groups:?}");
        assert_eq!(lab.fake.seen(PROJECT)[0].header("authorization").as_deref(), Some("Bearer at"));
    }
}

fn project_of(own: &Value, group: &Value) -> Reply {
    project(json!({"permissions": {"project_access": own, "group_access": group}}))
}

#[tokio::test]
async fn nobody_brings_a_project_along_as_a_group() {
    let lab = Lab::new().await;
    lab.user(json!({"groups": ["project:acme/core/site", "a,b", "x\u{7}"]}));
    lab.fake.says(PROJECT, Reply::status(404));
    assert_eq!(lab.enter(&["acme/core/site"]).await.unwrap().identity.groups, ["a,b", "x\u{7}"]);
}

#[tokio::test]
async fn an_answer_that_says_nothing_lets_nobody_in() {
    for (reply, expected) in faults() {
        let lab = Lab::new().await;
        lab.fake.says("/git/oauth/userinfo", reply.clone());
        assert!(lab.enter(&[]).await.is_err());
        let is_refusal = matches!(&reply, Reply::Full { status: 403, headers, .. } if headers.contains("57"));
        if !is_refusal {
            lab.user(json!({}));
            lab.fake.says(PROJECT, reply);
            let fault = fault(lab.enter(&["acme/core/site"]).await);
            assert!(expected(&fault), "{fault:?}");
        }
    }
    for changes in [json!({"groups": "acme"}), json!({"groups": [["acme"]]}), json!({"groups": {"acme": 1}})]
    {
        let lab = Lab::new().await;
        lab.user(changes.clone());
        assert!(matches!(fault(lab.enter(&[]).await), ApiFault::Malformed(_)), "{changes}");
    }
    let lab = Lab::new().await;
    lab.user(json!({"sub": "43"}));
    assert!(matches!(lab.enter(&[]).await, Err(RedeemError::Userinfo(_))), "userinfo of somebody else");
    lab.user(json!({"email": ["jane@acme.example"]}));
    assert_eq!(
        lab.enter(&[]).await.unwrap().identity.email,
        "jane@acme.example",
        "that of the ID token stays"
    );
}

#[tokio::test]
async fn a_refresh_reads_groups_and_projects_anew_and_a_fault_keeps_them() {
    let lab = Lab::new().await;
    lab.fake.says(PROJECT, project(json!({})));
    let provider = lab.provider(&["acme/core/site"], |_| ()).await;
    let current = provider.redeem(callback("c0de"), "http://app/cb", now()).await.unwrap().identity;
    assert_eq!(current.groups, ["acme", "acme/core", "project:acme/core/site"]);
    let again = async || provider.refresh(&"rt".into(), &current, now()).await;
    lab.user(json!({"groups": ["acme"]}));
    lab.fake.says(PROJECT, Reply::status(404));
    assert_eq!(again().await.unwrap().identity.unwrap().groups, ["acme"]);
    lab.fake.says(PROJECT, Reply::status(500));
    assert_eq!(again().await.unwrap().identity, None);
    lab.fake.says("/git/oauth/userinfo", Reply::status(503));
    assert_eq!(again().await.unwrap().identity, None);
    lab.user(json!({"email_verified": false}));
    assert!(again().await.unwrap_err().ends_the_session());
    lab.user(json!({}));
    let other = Identity { user: "joe".into(), ..current.clone() };
    assert_eq!(provider.refresh(&"rt".into(), &other, now()).await, Err(RefreshError::OtherSubject));
    let stranger = lab.signer.sign(&lab.fake.claims(json!({"sub": "43", "nickname": "joe"})));
    lab.fake.says("/token", Reply::json(200, &json!({"access_token": "at", "id_token": stranger})));
    assert!(again().await.is_err());
}

#[test]
fn a_project_is_written_with_or_without_a_level() {
    let project = |name: &str, level| Ok(Project { name: name.to_owned(), level });
    for (text, parsed) in [
        ("a/b", project("a/b", 20)),
        ("a/b=10", project("a/b", 10)),
        ("a/b/c=40", project("a/b/c", 40)),
        ("a/b=50", Err(InvalidProject::Level)),
        ("a/b=", Err(InvalidProject::Level)),
        ("a/b=+20", Err(InvalidProject::Level)),
        ("a/b=20=30", Err(InvalidProject::Level)),
        ("=20", Err(InvalidProject::Nameless)),
        ("", Err(InvalidProject::Nameless)),
    ] {
        assert_eq!(Project::parse(text), parsed, "{text}");
    }
}
