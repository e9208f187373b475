use super::*;

const EMAILS: &str = "/2.0/user/emails";
const WORKSPACES: &str = "/2.0/workspaces";
const REPOSITORIES: &str = "/2.0/repositories/acme";

/// Bitbucket's answers about jane.
async fn bucket() -> Fake {
    let fake = Fake::start().await;
    let says = |path: &str, values: Value| {
        fake.says(path, Reply::json(200, &json!({"pagelen": 10, "page": 1, "size": 1, "values": values})));
    };
    says(
        EMAILS,
        json!([
            {"email": "jane@old.example", "is_primary": false, "is_confirmed": true, "type": "email"},
            {"email": "jane@acme.example", "is_primary": true, "is_confirmed": true, "type": "email"},
        ]),
    );
    says(WORKSPACES, json!([{"slug": "acme", "name": "Evil Inc", "uuid": "{1}", "type": "workspace"}]));
    says(REPOSITORIES, json!([{"full_name": "acme/site", "name": "site", "type": "repository"}]));
    fake
}

async fn enter(fake: &Fake, settings: Bitbucket) -> Result<Grant, RedeemError> {
    let change = |config: &mut Config| config.validate_url = Some(format!("{}{EMAILS}", fake.base));
    login_with(fake, ProviderKind::Bitbucket(settings), change).await
}

fn member_of(team: &str) -> Bitbucket {
    Bitbucket { team: Some(team.to_owned()), repository: None }
}

fn writer_of(name: &str) -> Bitbucket {
    let repository = BitbucketRepository { workspace: "acme".to_owned(), name: name.to_owned() };
    Bitbucket { team: None, repository: Some(repository) }
}

#[tokio::test]
async fn somebody_is_their_primary_address() {
    let fake = bucket().await;
    assert_eq!(enter(&fake, Bitbucket::default()).await.unwrap().identity, of_email("jane@acme.example"));
    let asked = fake.seen(EMAILS).remove(0);
    // The token is in no address, where logs would keep it.
    assert_eq!(asked.header("authorization").as_deref(), Some("Bearer at"));
    assert!(!asked.head.contains("access_token"));
}

#[tokio::test]
async fn an_address_that_is_not_primary_or_not_confirmed_does_not_count() {
    let unconfirmed = json!([{"email": "a@b", "is_primary": true, "is_confirmed": false}]);
    for (values, error) in [
        (json!([]), IdentifyError::EmailMissing),
        (json!([{"email": "a@b", "is_primary": false}]), IdentifyError::EmailMissing),
        (json!([{"email": "a@b", "is_primary": "true"}]), IdentifyError::EmailMissing),
        (json!([{"email": ["a@b"], "is_primary": true}]), IdentifyError::EmailMissing),
        (unconfirmed, IdentifyError::EmailUnverified),
    ] {
        let fake = bucket().await;
        fake.says(EMAILS, Reply::json(200, &json!({"values": values})));
        let refused = enter(&fake, Bitbucket::default()).await.unwrap_err();
        assert_eq!(refused, RedeemError::Vendor(error.into()), "{values}");
    }
}

#[tokio::test]
async fn workspace_and_repository_both_have_to_be_right() {
    for (settings, admits) in [
        (member_of("acme"), true),
        (member_of("ACME"), true),
        (member_of("Evil Inc"), false),
        (member_of("other"), false),
        (writer_of("site"), true),
        (writer_of("other"), false),
        (Bitbucket { team: Some("acme".into()), ..writer_of("site") }, true),
        (Bitbucket { team: Some("other".into()), ..writer_of("site") }, false),
        (Bitbucket { team: Some("acme".into()), ..writer_of("other") }, false),
    ] {
        let fake = bucket().await;
        let why = format!("{settings:?}");
        match enter(&fake, settings).await {
            Ok(_) => assert!(admits, "{why}"),
            Err(RedeemError::Vendor(VendorError::Restricted(_))) => assert!(!admits, "{why}"),
            Err(other) => panic!("{why}: {other}"),
        }
    }
}

#[tokio::test]
async fn what_is_asked_names_role_and_repository() {
    let fake = bucket().await;
    enter(&fake, Bitbucket { team: Some("acme".into()), ..writer_of("site") }).await.unwrap();
    for (path, query) in [
        (WORKSPACES, "role=member&pagelen=100"),
        (REPOSITORIES, "role=contributor&q=full_name%3D%22acme%2Fsite%22"),
    ] {
        let asked = fake.seen(path).remove(0);
        assert_eq!(asked.head.split(' ').nth(1), Some(format!("{path}?{query}").as_str()));
        assert_eq!(asked.header("authorization").as_deref(), Some("Bearer at"));
    }
}

#[tokio::test]
async fn further_pages_are_read_and_those_elsewhere_are_not() {
    let fake = bucket().await;
    let next = format!("{}/more", fake.base);
    fake.says(WORKSPACES, Reply::json(200, &json!({"values": [{"slug": "a"}], "next": next})));
    fake.says("/more", Reply::json(200, &json!({"values": [{"slug": "b"}]})));
    assert!(enter(&fake, member_of("b")).await.is_ok());
    let elsewhere = Fake::start().await;
    for (next, expected) in [
        (json!(format!("{}/more", elsewhere.base)), ApiFault::ForeignPage),
        (json!(WORKSPACES), ApiFault::TooLong),
        (json!(2), ApiFault::Malformed("the next page has no address".into())),
        (json!("http://"), ApiFault::Malformed("the next page has no address".into())),
    ] {
        fake.says(WORKSPACES, Reply::json(200, &json!({"values": [{"slug": "acme"}], "next": next})));
        assert_eq!(fault(enter(&fake, member_of("acme")).await), expected);
    }
    assert_eq!(elsewhere.count("/more"), 0);
}

#[tokio::test]
async fn an_answer_that_says_nothing_is_a_fault_wherever_it_comes() {
    let settings = || Bitbucket { team: Some("acme".into()), ..writer_of("site") };
    for path in [EMAILS, WORKSPACES, REPOSITORIES] {
        for (reply, expected) in faults() {
            let fake = bucket().await;
            fake.says(path, reply);
            let fault = fault(enter(&fake, settings()).await);
            assert!(expected(&fault), "{path}: {fault:?}");
        }
        for document in [json!([]), json!({"values": {}}), json!({"type": "error"})] {
            let fake = bucket().await;
            fake.says(path, Reply::json(200, &document));
            let fault = fault(enter(&fake, settings()).await);
            assert!(matches!(fault, ApiFault::Malformed(_)), "{path} {document}: {fault:?}");
        }
    }
}
