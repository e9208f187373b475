//! Who is let in: e-mail addresses, groups, roles, passwords; and that every restriction restricts.

use doorward_testkit::{Launch, Request, eventually};
use serde_json::{Value, json};

use crate::support::{BOB, CAROL, PROGRAM, Stage, assert_login_accepted, assert_login_refused, parts};

#[test]
fn a1b_a_restriction_that_would_not_be_enforced_stops_the_start() {
    let (provider, echo) = parts();
    for (flags, named) in [
        (&["--provider=oidc", "--allowed-role=x"][..], "allowed-role"),
        (&["--provider=oidc", "--keycloak-group=x"], "keycloak-group"),
        (&["--provider=keycloak-oidc", "--keycloak-group=x"], "keycloak-group"),
        (&["--provider=oidc", "--google-group=x"], "google-group"),
        (&["--provider=oidc", "--gitlab-group=x"], "gitlab-group"),
        (&["--provider=oidc", "--gitlab-project=x"], "gitlab-project"),
        (&["--provider=oidc", "--github-org=x"], "github-org"),
        (&["--provider=oidc", "--github-team=x"], "github-team"),
        (&["--provider=oidc", "--github-repo=x/y"], "github-repo"),
        (&["--provider=oidc", "--github-user=x"], "github-user"),
        (&["--provider=oidc", "--bitbucket-team=x"], "bitbucket-team"),
        (&["--provider=oidc", "--bitbucket-repository=x/y"], "bitbucket-repository"),
        (&["--provider=github", "--gitlab-group=x"], "gitlab-group"),
        (&["--provider=gitlab", "--github-team=x:y"], "github-team"),
        (&["--provider=github", "--allowed-role=x"], "allowed-role"),
        (&["--provider=oidc", "--entra-id-allowed-tenant=x"], "entra-id-allowed-tenant"),
    ] {
        let launch = Launch::new(PROGRAM, &provider, &echo).without("provider").flags(flags.iter().copied());
        let exit = launch.fail();
        assert_eq!(exit.code, Some(1), "{flags:?}");
        assert!(exit.output.contains(named), "{flags:?}: {}", exit.output);
    }
}

#[test]
fn only_members_of_an_allowed_group_get_in() {
    let stage = Stage::new(&["--allowed-group=staff", "--allowed-group=board"]);
    for (groups, admitted) in [
        (json!(["staff"]), true),
        (json!(["guests", "board"]), true),
        (json!("staff"), true),
        (json!(["guests"]), false),
        (json!([]), false),
        (Value::Null, false),
        (json!(["Staff"]), false),
        (json!(["staff2", "xstaff"]), false),
        (json!([["staff"]]), false),
        (json!(["staff,guests"]), false),
        (json!({ "staff": true }), false),
    ] {
        stage.provider.set(|knobs| knobs.claim("groups", groups.clone()));
        let why = format!("groups are {groups}");
        if admitted { assert_login_accepted(&stage, &why) } else { _ = assert_login_refused(&stage, &why) }
    }
}

#[test]
fn only_holders_of_an_allowed_role_get_in() {
    let with_roles = |roles: &[&str], client_roles: &[&str]| json!({ "realm_access": { "roles": roles }, "resource_access": { "app": { "roles": client_roles } } });
    let stage = Stage::launch(|launch| {
        launch.without("provider").flags([
            "--provider=keycloak-oidc",
            "--allowed-role=admin",
            "--allowed-role=app:boss",
        ])
    });
    for (access, admitted) in [
        (with_roles(&["admin"], &[]), true),
        (with_roles(&[], &["boss"]), true),
        (with_roles(&["user"], &["admin"]), false),
        (with_roles(&["boss"], &[]), false),
        (with_roles(&[], &[]), false),
    ] {
        let Value::Object(members) = access.clone() else { unreachable!() };
        stage.provider.set(|knobs| knobs.access_claims = Some(members));
        let why = access.to_string();
        if admitted { assert_login_accepted(&stage, &why) } else { _ = assert_login_refused(&stage, &why) }
    }
}

#[test]
fn groups_named_role_by_the_provider_are_no_roles() {
    let stage = Stage::launch(|launch| {
        launch.without("provider").flags(["--provider=keycloak-oidc", "--allowed-role=admin"])
    });
    stage.provider.set(|knobs| {
        knobs.access_claims = Some(serde_json::Map::new());
        knobs.claim("groups", json!(["admin", "/role/admin"]));
    });
    assert_login_refused(&stage, "a group is not a role");
}

#[test]
fn addresses_are_compared_as_a_whole() {
    let stage = Stage::launch(|launch| {
        launch.without("email-domain").flags(["--email-domain=example.com", "--email-domain=.sub.example"])
    });
    for (email, admitted) in [
        ("jane@example.com", true),
        ("Jane@Example.COM", true),
        ("jane@a.sub.example", true),
        ("jane@sub.example", false),
        ("jane@evilexample.com", false),
        ("jane@example.com.evil.example", false),
        ("jane@evil.example@example.com", false),
        ("jane@example.com@evil.example", false),
        ("\"jane@evil.example\"@example.com", false),
        ("@example.com", false),
        ("example.com", false),
        ("jane", false),
        ("jane@example.com.", false),
        ("jane@example.com\0", false),
        ("jane@evil.example\0@example.com", false),
        ("jane@evil.example\n@example.com", false),
        ("jane@evil.example,x@example.com", false),
        ("jane@evil.example x@example.com", false),
        ("jane@exa\u{43c}ple.com", false),
        ("jane@example\u{3002}com", false),
        ("jane\u{ff20}example.com", false),
        ("<jane@evil.example> jane@example.com", false),
    ] {
        stage.provider.set(|knobs| knobs.claim("email", email));
        let why = format!("{email:?}");
        if admitted { assert_login_accepted(&stage, &why) } else { _ = assert_login_refused(&stage, &why) }
    }
}

#[test]
fn an_address_that_is_not_verified_is_no_address() {
    let stage = Stage::new(&[]);
    for value in [json!(false), json!("false")] {
        stage.provider.set(|knobs| knobs.claim("email_verified", value.clone()));
        assert_login_refused(&stage, &value.to_string());
    }
    stage.provider.set(|knobs| {
        knobs.claim("email", Value::Null);
        knobs.claim("email_verified", Value::Null);
        knobs.user_info.insert("email".into(), "jane@example.com".into());
        knobs.user_info.insert("email_verified".into(), false.into());
    });
    assert_login_refused(&stage, "userinfo says so");
}

#[test]
fn a25_without_an_address_nobody_passes_an_email_rule() {
    let stage = Stage::launch(|launch| launch.without("email-domain").flag("--email-domain=example.com"));
    stage.provider.set(|knobs| knobs.claim("email", Value::Null));
    assert_login_refused(&stage, "no address at all");
    stage.provider.set(|knobs| knobs.claim("email", ""));
    assert_login_refused(&stage, "an empty address");
}

#[test]
fn c19_an_account_without_a_usable_address_is_told_so() {
    let stage = Stage::new(&[]);
    for (claim, value, said) in [
        ("email", Value::Null, "gave no e-mail address"),
        ("email_verified", json!(false), "is not verified"),
    ] {
        stage.provider.set(|knobs| {
            knobs.claims = serde_json::Map::new();
            knobs.claim(claim, value.clone());
        });
        let answer = assert_login_refused(&stage, said);
        // The status is that of the reference; the words are not.
        assert_eq!(answer.status, 500, "{said}");
        assert!(answer.text().contains(said), "{}", answer.text());
    }
}

#[test]
fn a_session_from_before_a_rule_was_made_stricter_is_denied() {
    let stage = Stage::new(&[]);
    let browser = stage.logged_in();
    for flags in [&["--allowed-group=board"][..], &["--authenticated-emails-file={file:emails}"]] {
        let strict = Launch::new(PROGRAM, &stage.provider, &stage.echo)
            .without("email-domain")
            .file("emails", "boss@example.com\n")
            .flag("--email-domain=example.org")
            .flags(flags.iter().copied())
            .start();
        let mut visitor = strict.browser();
        visitor.cookies = browser.cookies.clone();
        assert_eq!(visitor.clone().get("/page").status, 403, "{flags:?}");
        assert_eq!(visitor.get("/oauth2/auth").status, 401, "{flags:?}");
    }
    assert!(stage.echo.seen().is_empty());
}

#[test]
fn c20_the_list_of_addresses_is_read_line_by_line() {
    let emails =
        "# people\n jane@example.com , Jane, 12\n\nJOE@example.com\r\n\"x\"@example.com\nlast@example.com";
    let stage = Stage::launch(|launch| {
        launch
            .without("email-domain")
            .file("emails", emails)
            .flag("--authenticated-emails-file={file:emails}")
    });
    for (email, admitted) in [
        ("jane@example.com", true),
        ("joe@example.com", true),
        ("last@example.com", true),
        ("jane", false),
        ("12@example.com", false),
        ("mallory@example.com", false),
    ] {
        stage.provider.set(|knobs| knobs.claim("email", email));
        if admitted { assert_login_accepted(&stage, email) } else { _ = assert_login_refused(&stage, email) }
    }
}

#[test]
fn a_change_of_the_list_of_addresses_counts_at_once() {
    let stage = Stage::launch(|launch| {
        launch
            .without("email-domain")
            .file("emails", "jane@example.com\n")
            .flag("--authenticated-emails-file={file:emails}")
    });
    let browser = stage.logged_in();
    stage.doorward.rewrite("emails", "joe@example.com\n");
    eventually("jane is out", || browser.clone().get("/oauth2/auth").status == 401);
    stage.doorward.rewrite("emails", "joe@example.com\njane@example.com\n");
    eventually("jane is in again", || browser.clone().get("/oauth2/auth").status == 202);
}

fn with_passwords(entries: &str, flags: &[&str]) -> Stage {
    Stage::launch(|launch| {
        launch.file("htpasswd", entries).flag("--htpasswd-file={file:htpasswd}").flags(flags.iter().copied())
    })
}

#[test]
fn passwords_open_what_they_should() {
    let stage = with_passwords(&format!("{BOB}{CAROL}"), &[]);
    for (user, password, status) in [
        ("bob", "builder", 202),
        ("carol", "singer", 202),
        ("bob", "singer", 401),
        ("bob", "", 401),
        ("", "", 401),
        ("nobody", "builder", 401),
        ("Bob", "builder", 401),
        ("bob ", "builder", 401),
        ("bob", "builder\0", 401),
        ("bob", "{SHA}9SMYoF5RilWWASry7TjeaKwmpGg=", 401),
        ("bob:", "builder", 401),
    ] {
        let request = Request::get("/oauth2/auth").basic(user, password);
        assert_eq!(stage.browser().send(request).status, status, "{user:?} {password:?}");
    }
    for header in ["Basic", "Basic ", "Basic !!!", "Basic Ym9i", "bearer x", "Basic Ym9iOmJ1aWxkZXI= x", ""] {
        let request = Request::get("/oauth2/auth").header("Authorization", header);
        assert_eq!(stage.browser().send(request).status, 401, "{header:?}");
    }
    assert!(!stage.doorward.log().contains("builder"));
}

#[test]
fn a24_a_wrong_password_and_an_unknown_user_look_alike() {
    let stage = with_passwords(BOB, &[]);
    let answer = |user: &str| {
        let form =
            Request::form("/oauth2/sign_in", &[("username", user), ("password", "wrong"), ("rd", "/")]);
        let answer = stage.browser().send(form);
        (answer.status, answer.text().replace(user, "USER"), answer.set_cookies())
    };
    assert_eq!(answer("bob"), answer("zed"));
    assert_eq!(answer("bob").0, 401);
}

#[test]
fn the_password_form_signs_in() {
    let stage = with_passwords(BOB, &["--htpasswd-user-group=crafts"]);
    let mut browser = stage.browser();
    let form = Request::form(
        "/oauth2/sign_in",
        &[("username", "bob"), ("password", "builder"), ("rd", "/page?x=1")],
    );
    let answer = browser.send(form);
    assert_eq!((answer.status, answer.location()), (302, "/page?x=1"));
    assert_eq!(
        browser.get("/oauth2/userinfo").json(),
        json!({ "user": "bob", "email": "", "groups": ["crafts"] })
    );
}

#[test]
fn password_users_are_bound_by_group_rules_too() {
    let stage = with_passwords(BOB, &["--allowed-group=staff", "--htpasswd-user-group=crafts"]);
    let request = || Request::get("/oauth2/auth").basic("bob", "builder");
    assert_eq!(stage.browser().send(request()).status, 401);
    let stage = with_passwords(BOB, &["--allowed-group=staff", "--htpasswd-user-group=staff"]);
    assert_eq!(stage.browser().send(request()).status, 202);
}

#[test]
fn a_change_of_the_password_file_counts_and_a_broken_one_does_not() {
    let stage = with_passwords(BOB, &[]);
    let status = |user: &str, password: &str| {
        stage.browser().send(Request::get("/oauth2/auth").basic(user, password)).status
    };
    stage.doorward.rewrite("htpasswd", CAROL);
    eventually("carol can sign in", || status("carol", "singer") == 202);
    assert_eq!(status("bob", "builder"), 401);
    stage.doorward.rewrite("htpasswd", "carol:plain text is no hash\n\"");
    stage.doorward.wait_for_log("htpasswd");
    assert_eq!(status("carol", "plain text is no hash"), 401);
}

#[test]
fn constraints_in_the_query_bind_the_session_and_replace_nothing() {
    let stage = Stage::new(&[]);
    let browser = stage.logged_in();
    for (query, status) in [
        ("allowed_groups=staff", 202),
        ("allowed_groups=x,admins", 202),
        ("allowed_groups=x&allowed_groups=staff", 202),
        ("allowed_groups=x", 403),
        ("allowed_groups=Staff", 403),
        ("allowed_emails=jane@example.com", 202),
        ("allowed_emails=joe@example.com", 403),
        ("allowed_email_domains=example.com", 202),
        ("allowed_email_domains=ample.com", 403),
        ("allowed_groups=staff&allowed_emails=joe@example.com", 403),
    ] {
        let target = format!("/oauth2/auth?{query}");
        assert_eq!(browser.clone().get(&target).status, status, "{query}");
        assert_eq!(stage.browser().get(&target).status, 401, "{query} without a session");
    }
}

#[test]
fn c12_and_c31_odd_queries_and_media_types_are_understood() {
    let stage = Stage::new(&[]);
    let mut browser = stage.logged_in();
    for target in ["/?a;b", "/?a=1;b=2&c", "/?%zz", "/?=", "/?&&", "/page?x=%"] {
        let page = browser.get(target);
        assert_eq!((page.status, page.json()["target"].clone()), (200, json!(target)));
        assert_eq!(stage.browser().get(target).status, 403, "{target}");
    }
    for accept in ["application/json;q=0.9", "text/html, application/json; charset=utf-8", "Application/JSON"]
    {
        let answer = stage.browser().send(Request::get("/").header("Accept", accept));
        assert_eq!((answer.status, answer.text().as_str()), (401, "{}"), "{accept}");
    }
}

#[test]
fn c30_only_reading_begins_a_login() {
    let stage = Stage::new(&["--skip-provider-button"]);
    for (method, status) in [("GET", 302), ("HEAD", 302)] {
        let answer = stage.browser().send(Request::new(method, "/page"));
        assert_eq!(answer.status, status, "{method}");
    }
    for method in ["POST", "PUT", "DELETE", "PATCH"] {
        let answer = stage.browser().send(Request::new(method, "/page").body("x=1"));
        assert!(matches!(answer.status, 401 | 403), "{method}: {}", answer.status);
    }
    for (name, value) in [("X-Requested-With", "XMLHttpRequest"), ("Sec-Fetch-Mode", "cors")] {
        let answer = stage.browser().send(Request::get("/page").header(name, value));
        assert_eq!(answer.status, 401, "{name}");
    }
}

#[test]
fn c30_any_request_begins_a_login_where_that_was_asked_for() {
    let stage = Stage::new(&["--skip-provider-button", "--compat=login-for-any-request"]);
    for request in [
        Request::new("POST", "/page").body("x=1"),
        Request::get("/page").header("Sec-Fetch-Mode", "no-cors"),
        Request::get("/page").header("X-Requested-With", "XMLHttpRequest"),
    ] {
        assert_eq!(stage.browser().send(request.clone()).status, 302, "{request:?}");
    }
    assert_eq!(stage.browser().send(Request::get("/page").header("Accept", "application/json")).status, 401);
}

#[test]
fn what_is_open_for_one_method_is_open_for_no_other() {
    let stage = Stage::new(&["--skip-auth-route=GET=^/open$", "--skip-auth-preflight"]);
    let names = ["X-HTTP-Method-Override", "X_HTTP_METHOD_OVERRIDE", "X-HTTP-Method", "X-Method-Override"];
    for request in [Request::get("/open"), Request::new("OPTIONS", "/closed")] {
        let request = names.iter().fold(request, |all, name| all.header(name, "DELETE"));
        let seen = stage.browser().send(request).echoed();
        assert!(!format!("{seen:?}").contains("DELETE"), "{seen:?}");
    }
    let mut alice = stage.browser().logged_in();
    let seen = alice.send(Request::get("/closed").header(names[0], "DELETE")).echoed();
    assert_eq!(seen.all(names[0]), ["DELETE"], "somebody who may everything says what is meant");
}
