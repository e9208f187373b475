use super::*;

/// GitHub's answers about jane, who is in the core team of Acme, and in the organisation other.
async fn hub() -> Fake {
    let fake = Fake::start().await;
    let says = |path: &str, document: Value| fake.says(path, Reply::json(200, &document));
    says("/user/orgs", json!([{"login": "Acme", "id": 1, "url": "https://x"}, {"login": "other", "id": 2}]));
    says(
        "/user/teams",
        json!([{"id": 1, "name": "The Core, really", "slug": "core", "organization": {"login": "Acme"}}]),
    );
    says("/user", json!({"login": "jane", "id": 1, "email": null, "name": "Jane"}));
    says(
        "/user/emails",
        json!([
            {"email": "jane@old.example", "primary": false, "verified": true, "visibility": null},
            {"email": "jane@acme.example", "primary": true, "verified": true, "visibility": "private"},
        ]),
    );
    fake
}

fn at_root(config: &mut Config) {
    let url = config.validate_url.as_ref().unwrap();
    config.validate_url = Some(url.replace("/validate", "/"));
}

async fn enter(fake: &Fake, settings: GitHub) -> Result<Grant, RedeemError> {
    login_with(fake, ProviderKind::GitHub(settings), at_root).await
}

fn repository(token: Option<&str>) -> GitHubRepository {
    GitHubRepository { owner: "acme".into(), name: "site".into(), token: token.map(Into::into) }
}

fn teams(written: &[(&str, &str)]) -> Circle {
    let team = |(organisation, slug): &(&str, &str)| Team {
        organisation: (*organisation).to_owned(),
        slug: (*slug).to_owned(),
    };
    Circle::Teams(written.iter().map(team).collect())
}

#[tokio::test]
async fn somebody_is_their_login_primary_address_organisations_and_teams() {
    let fake = hub().await;
    let grant = enter(&fake, GitHub::default()).await.unwrap();
    assert_eq!(grant.identity, named("jane", "jane@acme.example", &["Acme", "other", "Acme:core"]));
    for path in ["/user/orgs", "/user/teams", "/user", "/user/emails"] {
        let asked = fake.seen(path).remove(0);
        assert_eq!(asked.header("authorization").as_deref(), Some("token at"));
        assert_eq!(asked.header("accept").as_deref(), Some("application/vnd.github.v3+json"));
    }
}

#[tokio::test]
async fn the_circle_and_the_list_of_users_admit_and_refuse() {
    let users = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect::<Vec<String>>();
    let organisation = |name: &str| Circle::Organisation(name.to_owned());
    for (circle, listed, admits) in [
        (Circle::Everybody, users(&[]), true),
        (organisation("Acme"), users(&[]), true),
        (organisation("acme"), users(&[]), true),
        (organisation("Acme:core"), users(&[]), false),
        (organisation("evil"), users(&[]), false),
        (teams(&[("acme", "CORE")]), users(&[]), true),
        (teams(&[("acme", "ops"), ("acme", "core")]), users(&[]), true),
        (teams(&[("acme", "ops")]), users(&[]), false),
        (teams(&[("other", "core")]), users(&[]), false),
        (teams(&[("acme", "The Core, really")]), users(&[]), false),
        (teams(&[]), users(&[]), false),
        // A list alone is all that counts; beside a circle it adds to it.
        (Circle::Everybody, users(&["Jane"]), true),
        (Circle::Everybody, users(&["joe"]), false),
        (organisation("evil"), users(&["jane"]), true),
        (organisation("evil"), users(&["joe"]), false),
        (organisation("Acme"), users(&["joe"]), true),
    ] {
        let fake = hub().await;
        let why = format!("{circle:?} {listed:?}");
        let login = enter(&fake, GitHub { circle, users: listed, repository: None }).await;
        match login {
            Ok(_) => assert!(admits, "{why}"),
            Err(RedeemError::Vendor(VendorError::Restricted(_))) => assert!(!admits, "{why}"),
            Err(other) => panic!("{why}: {other}"),
        }
    }
}

#[tokio::test]
async fn without_a_token_of_its_own_the_repository_is_asked_as_the_user() {
    let of = |document: Value| Reply::json(200, &document);
    for (reply, admits) in [
        (of(json!({"private": false, "permissions": {"push": true, "pull": true}})), true),
        (of(json!({"private": true, "permissions": {"push": false, "pull": true}})), true),
        (of(json!({"private": false, "permissions": {"push": false, "pull": true}})), false),
        (of(json!({"private": true, "permissions": {"pull": false}})), false),
        (of(json!({"private": "true", "permissions": {"pull": "true", "push": 1}})), false),
        (of(json!({"private": true})), false),
        (of(json!([])), false),
        (Reply::status(404), false),
        (Reply::status(403), false),
    ] {
        let fake = hub().await;
        fake.says("/repos/acme/site", reply);
        let login = enter(&fake, GitHub { repository: Some(repository(None)), ..GitHub::default() }).await;
        match login {
            Ok(_) => assert!(admits),
            Err(error) => {
                assert!(!admits && matches!(error, RedeemError::Vendor(VendorError::Restricted(_))));
            }
        }
        assert_eq!(fake.seen("/repos/acme/site")[0].header("authorization").as_deref(), Some("token at"));
    }
}

#[tokio::test]
async fn with_a_token_of_its_own_the_repository_names_its_collaborators() {
    let no: fn(&VendorError) -> bool =
        |error| matches!(error, VendorError::Restricted(_)) && !error.is_passing();
    let unclear: fn(&VendorError) -> bool =
        |error| matches!(error, VendorError::Api { .. }) && error.is_passing();
    for (reply, refused) in [
        (Reply::status(204), None),
        (Reply::status(404), Some(no)),
        // What the token of the configuration may not see says nothing about the user.
        (Reply::status(401), Some(unclear)),
        (Reply::status(403), Some(unclear)),
        (Reply::status(200), Some(unclear)),
        (Reply::status(429), Some(unclear)),
        (Reply::status(500), Some(unclear)),
        (Reply::redirect("/elsewhere"), Some(unclear)),
    ] {
        let fake = hub().await;
        fake.says("/repos/acme/site/collaborators/jane", reply);
        let settings = GitHub { repository: Some(repository(Some("owner"))), ..GitHub::default() };
        match (enter(&fake, settings).await, refused) {
            (Ok(_), None) => (),
            (Err(RedeemError::Vendor(error)), Some(is)) => {
                assert!(is(&error), "{error}");
                assert!(!error.to_string().contains("owner"), "{error}");
            }
            (other, _) => panic!("{other:?}"),
        }
        let asked = fake.seen("/repos/acme/site/collaborators/jane").remove(0);
        assert_eq!(asked.header("authorization").as_deref(), Some("token owner"));
        assert_eq!(fake.seen("/user")[0].header("authorization").as_deref(), Some("token at"));
    }
}

#[tokio::test]
async fn the_repository_counts_besides_the_circle_and_not_for_those_who_are_listed() {
    for (settings, admits) in [
        (GitHub { circle: Circle::Organisation("acme".into()), ..GitHub::default() }, false),
        (GitHub { users: vec!["joe".into()], ..GitHub::default() }, false),
        (GitHub { users: vec!["jane".into()], ..GitHub::default() }, true),
    ] {
        for token in [None, Some("owner")] {
            let fake = hub().await;
            let settings = GitHub { repository: Some(repository(token)), ..settings.clone() };
            assert_eq!(enter(&fake, settings).await.is_ok(), admits);
        }
    }
}

#[tokio::test]
async fn only_the_address_that_is_primary_and_verified_counts() {
    let address = |email: Value, primary: Value, verified: Value| json!({"email": email, "primary": primary, "verified": verified});
    let yes = || json!(true);
    for (emails, error) in [
        (json!([]), IdentifyError::EmailMissing),
        (json!([address(json!("a@b"), json!(false), yes())]), IdentifyError::EmailMissing),
        (json!([address(json!("a@b"), json!("true"), yes())]), IdentifyError::EmailMissing),
        (json!([address(json!(["a@b"]), yes(), yes())]), IdentifyError::EmailMissing),
        (json!([address(json!(""), yes(), yes())]), IdentifyError::EmailMissing),
        (json!([address(json!("a@b"), yes(), json!(false))]), IdentifyError::EmailUnverified),
        (json!([address(json!("a@b"), yes(), json!(null))]), IdentifyError::EmailUnverified),
        (json!([address(json!("a@b"), yes(), json!("true"))]), IdentifyError::EmailUnverified),
    ] {
        let fake = hub().await;
        fake.says("/user/emails", Reply::json(200, &emails));
        let refused = enter(&fake, GitHub::default()).await.unwrap_err();
        assert_eq!(refused, RedeemError::Vendor(error.into()), "{emails}");
    }
}

#[tokio::test]
async fn an_answer_that_says_nothing_is_a_fault_wherever_it_comes() {
    for path in ["/user/orgs", "/user/teams", "/user", "/user/emails"] {
        for (reply, expected) in faults() {
            let fake = hub().await;
            fake.says(path, reply);
            let fault = fault(enter(&fake, GitHub::default()).await);
            assert!(expected(&fault), "{path}: {fault:?}");
        }
    }
    for (path, document) in [
        ("/user/orgs", json!({"message": "Not Found"})),
        ("/user/orgs", json!([{"id": 1}])),
        ("/user/orgs", json!(["acme"])),
        ("/user/orgs", json!([{"login": ["acme"]}])),
        ("/user/orgs", json!([{"login": "acme:core"}])),
        ("/user/teams", json!([{"slug": "core"}])),
        ("/user/teams", json!([{"slug": 1, "organization": {"login": "acme"}}])),
        ("/user/teams", json!([{"name": "core", "organization": {"login": "acme"}}])),
        ("/user", json!({"login": ""})),
        ("/user", json!({"login": 1})),
        ("/user/emails", json!({"email": "a@b", "primary": true, "verified": true})),
    ] {
        let fake = hub().await;
        fake.says(path, Reply::json(200, &document));
        let fault = fault(enter(&fake, GitHub::default()).await);
        assert!(matches!(fault, ApiFault::Malformed(_)), "{path} {document}: {fault:?}");
    }
}

fn page(items: &Value, headers: String) -> Reply {
    Reply::Full { status: 200, headers, body: items.to_string().into_bytes() }
}

/// The number of the page that is asked for.
fn asked(seen: &crate::testing::Seen) -> usize {
    let target = seen.head.split(' ').nth(1).unwrap();
    let query = form_urlencoded::parse(target.split_once('?').unwrap().1.as_bytes());
    query.into_owned().find(|(name, _)| name == "page").map_or(1, |(_, number)| number.parse().unwrap())
}

#[tokio::test]
async fn all_pages_are_read_by_link_or_by_count() {
    let fake = hub().await;
    fake.on("/user/orgs", |seen| {
        let number = asked(seen);
        let next = format!("Link: </user/orgs?per_page=100&page={}>; rel=\"next\"\r\n", number + 1);
        let last = "Link: </user/orgs?page=1>; rel=\"first\"\r\n".to_owned();
        page(&json!([{"login": format!("o{number}")}]), if number < 4 { next } else { last })
    });
    fake.on("/user/teams", |seen| {
        let slug = format!("t{}", asked(seen));
        page(&json!([{"slug": slug, "organization": {"login": "o1"}}]), "X-Total-Count: 3\r\n".to_owned())
    });
    let groups = enter(&fake, GitHub::default()).await.unwrap().identity.groups;
    assert_eq!(groups, ["o1", "o2", "o3", "o4", "o1:t1", "o1:t2", "o1:t3"]);
    let first = fake.seen("/user/teams").remove(1);
    assert!(first.head.contains("per_page=100&page=2"), "{}", first.head);
}

#[tokio::test]
async fn a_list_that_cannot_be_read_to_its_end_is_an_error() {
    let elsewhere = Fake::start().await;
    let stranger = format!("Link: <{}/user/orgs?page=2>; rel=\"next\"\r\n", elsewhere.base);
    let for_ever = "Link: </user/orgs?page=1>; rel=\"next\"\r\n".to_owned();
    let many: Vec<Value> = (0..10_001).map(|number| json!({"login": format!("o{number}")})).collect();
    for (items, headers, expected) in [
        (json!([{"login": "acme"}]), stranger, ApiFault::ForeignPage),
        (json!([{"login": "acme"}]), for_ever, ApiFault::TooLong),
        (json!(many), String::new(), ApiFault::TooLong),
    ] {
        let fake = hub().await;
        fake.says("/user/orgs", page(&items, headers));
        assert_eq!(fault(enter(&fake, GitHub::default()).await), expected);
        assert!(fake.count("/user/orgs") <= 100);
    }
    assert_eq!(elsewhere.count("/user/orgs"), 0);
}

#[tokio::test]
async fn gitea_answers_with_names_below_its_versioned_path() {
    for validate in ["/api/v1", "/api/v1/user/emails?x=y", "/api/v12/user"] {
        let fake = Fake::start().await;
        let root = if validate.starts_with("/api/v12") { "/api/v12" } else { "/api/v1" };
        let says =
            |path: &str, document: Value| fake.says(&format!("{root}{path}"), Reply::json(200, &document));
        says(
            "/user/orgs",
            json!([{"id": 1, "name": "acme", "full_name": "Acme Inc", "visibility": "private"}]),
        );
        says("/user/teams", json!([{"id": 1, "name": "Owners", "organization": {"id": 1, "name": "acme"}}]));
        says("/user", json!({"id": 1, "login": "jane", "username": "jane"}));
        says("/user/emails", json!([{"email": "jane@acme.example", "verified": true, "primary": true}]));
        let settings = GitHub { circle: teams(&[("acme", "owners")]), ..GitHub::default() };
        let change = |config: &mut Config| config.validate_url = Some(format!("{}{validate}", fake.base));
        let grant = login_with(&fake, ProviderKind::GitHub(settings), change).await.unwrap();
        assert_eq!(grant.identity, named("jane", "jane@acme.example", &["acme", "acme:Owners"]));
    }
}

#[tokio::test]
async fn reading_anew_asks_for_restrictions_and_groups_again() {
    let fake = hub().await;
    let settings = GitHub { circle: Circle::Organisation("acme".into()), ..GitHub::default() };
    let provider = provider_with(&fake, ProviderKind::GitHub(settings), at_root).await;
    let tokens = Tokens { access: Some("at".into()), id: None, refresh: None };
    let current = named("jane", "jane@acme.example", &["Acme", "gone"]);
    let refreshed = provider.reread(&tokens, &current).await.unwrap();
    assert_eq!(refreshed.identity.unwrap().groups, ["Acme", "other", "Acme:core"]);
    for (reply, ends) in [
        (Reply::status(429), false),
        (Reply::json(200, &json!([{"login": "other"}])), true),
        (Reply::status(401), true),
    ] {
        fake.says("/user/orgs", reply);
        let error = provider.reread(&tokens, &current).await.unwrap_err();
        assert_eq!(error.ends_the_session(), ends, "{error}");
    }
}
