//! Introspection, revocation and userinfo: what tokens are worth, and that they can be taken back.

use doorward_accounts::{NewCode, Standing};
use serde_json::{Value, json};

use crate::{
    Call,
    testing::{ISSUER, NOW, TestServer, call, document, later, text},
};

fn ask(token: &str) -> Call {
    call("POST", "/oauth/introspect").form(format!("token={token}").as_bytes()).basic("other", "other-secret")
}

fn take_back(token: &str) -> Call {
    call("POST", "/oauth/revoke").form(format!("token={token}").as_bytes()).basic("web", "web-secret")
}

async fn is_active(test: &TestServer, call: Call) -> bool {
    let (status, document) = test.post(call).await;
    assert_eq!(status, 200, "{document}");
    if document["active"] == json!(false) {
        // Nothing else is told.
        assert_eq!(document, json!({ "active": false }));
    }
    document["active"].as_bool().unwrap()
}

async fn userinfo(test: &TestServer, token: &str) -> (u16, String, Value) {
    let answer = test.send(call("GET", "/oauth/userinfo").bearer(token)).await;
    let challenge = answer.headers().get("www-authenticate").map_or("", |value| value.to_str().unwrap());
    (answer.status().as_u16(), challenge.to_owned(), document(&answer))
}

async fn for_resource(test: &TestServer, resource: &str) -> Value {
    test.tokens_of(NewCode {
        audience: vec![resource.to_owned()],
        ..test.new_code("web", "openid orders:read")
    })
    .await
}

#[tokio::test]
async fn e7_a50_introspection_tells_what_a_good_token_says() {
    let test = TestServer::start().await;
    let tokens = test.tokens("openid orders:read").await;
    let (status, told) = test.post(ask(text(&tokens, "access_token"))).await;
    let jti = text(&told, "jti").to_owned();
    assert_eq!(
        (status, told),
        (
            200,
            json!({
                "active": true,
                "scope": "openid orders:read",
                "client_id": "web",
                "username": "alice",
                "token_type": "Bearer",
                "exp": NOW.seconds + 86_400,
                "iat": NOW.seconds,
                "nbf": NOW.seconds,
                "sub": test.alice.uid,
                "aud": [ISSUER],
                "iss": ISSUER,
                "jti": jti,
                "groups": ["readers"],
            })
        )
    );
    // A refresh token is the business of its own client alone.
    let refresh = text(&tokens, "refresh_token");
    assert!(!is_active(&test, ask(refresh)).await);
    let own = call("POST", "/oauth/introspect")
        .form(format!("token={refresh}").as_bytes())
        .basic("web", "web-secret");
    let (_, told) = test.post(own).await;
    assert_eq!((text(&told, "client_id"), text(&told, "username")), ("web", "alice"));
}

#[tokio::test]
async fn a50_everything_else_is_inactive_and_nothing_more() {
    let test = TestServer::start().await;
    let tokens = test.tokens("openid orders:read").await;
    let access = text(&tokens, "access_token").to_owned();
    let code = test.code("web", "openid").await;
    let long = "x".repeat(20_000);
    for (name, token) in [
        ("unknown", "sha256~aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"),
        ("a code", code.expose()),
        ("an ID token", text(&tokens, "id_token")),
        ("nonsense", "a.b.c"),
        ("very long", &long),
    ] {
        assert!(!is_active(&test, ask(token)).await, "{name}");
    }
    assert!(!is_active(&test, ask(&access).at(later(86_400))).await, "expired");
    // Meant for another resource: the asker serves only the first.
    let orders = for_resource(&test, "https://orders").await;
    let bills = for_resource(&test, "https://bills").await;
    assert!(is_active(&test, ask(text(&orders, "access_token"))).await);
    assert!(!is_active(&test, ask(text(&bills, "access_token"))).await);
    // Of a user who may not come in any more.
    let disable = |user: &mut doorward_accounts::User| user.standing = Standing::Disabled;
    test.accounts.change_user("alice", disable, NOW).await.unwrap();
    assert!(!is_active(&test, ask(&access)).await, "disabled");
}

#[tokio::test]
async fn a50_who_proves_nothing_is_told_nothing() {
    let test = TestServer::start().await;
    let tokens = test.tokens("openid").await;
    let access = text(&tokens, "access_token");
    let ask = |more: &str| call("POST", "/oauth/introspect").form(format!("token={access}{more}").as_bytes());
    let allowed =
        call("POST", "/oauth/token").form(b"grant_type=client_credentials").basic("other", "other-secret");
    let (_, allowed) = test.post(allowed).await;
    for (name, call, status, error) in [
        ("nobody", ask(""), 401, "invalid_client"),
        ("a public client", ask("&client_id=spa"), 401, "invalid_client"),
        ("a wrong secret", ask("").basic("other", "x"), 401, "invalid_client"),
        ("a bearer without the scope", ask("").bearer(access), 403, "insufficient_scope"),
        ("a bad bearer", ask("").bearer("x"), 401, "invalid_token"),
        ("a bearer with the scope", ask("").bearer(text(&allowed, "access_token")), 200, ""),
        (
            "no token",
            call("POST", "/oauth/introspect").form(b"x=y").basic("other", "other-secret"),
            400,
            "invalid_request",
        ),
        (
            "a token in the query",
            call("POST", "/oauth/introspect?token=x").form(b"token=x").basic("other", "other-secret"),
            400,
            "invalid_request",
        ),
        ("GET", call("GET", "/oauth/introspect").basic("other", "other-secret"), 405, ""),
    ] {
        let (found, document) = test.post(call).await;
        assert_eq!((found, document["error"].as_str().unwrap_or_default()), (status, error), "{name}");
    }
}

#[tokio::test]
async fn a51_the_answer_can_be_signed() {
    let test = TestServer::start().await;
    let tokens = test.tokens("openid").await;
    for (token, active) in [(text(&tokens, "access_token"), true), ("x", false)] {
        let answer = test.send(ask(token).header("accept", "application/token-introspection+jwt")).await;
        assert_eq!(answer.headers()["content-type"], "application/token-introspection+jwt");
        assert_eq!(answer.headers()["vary"], "Accept");
        let signed = str::from_utf8(answer.body()).unwrap();
        let verified = test.accounts.keys(NOW).await.unwrap().verify(signed, NOW).unwrap();
        assert_eq!(verified.token_type(), Some("token-introspection+jwt"));
        let claims = verified.claims();
        assert_eq!(
            (&claims["iss"], &claims["aud"], &claims["iat"]),
            (&json!(ISSUER), &json!("other"), &json!(NOW.seconds))
        );
        assert_eq!(claims["token_introspection"]["active"], active);
        assert!(!claims.contains_key("sub") && !claims.contains_key("exp"));
        // And it is no token itself.
        assert!(!is_active(&test, ask(signed)).await);
    }
}

#[tokio::test]
async fn a_phantom_token_says_what_the_opaque_one_stands_for() {
    let test = TestServer::start().await;
    let tokens = for_resource(&test, "https://orders").await;
    let ask = |token: &str| ask(token).header("accept", "application/jwt");
    let answer = test.send(ask(text(&tokens, "access_token"))).await;
    assert_eq!(answer.headers()["content-type"], "application/jwt");
    let verified = test.accounts.keys(NOW).await.unwrap();
    let verified = verified.verify(str::from_utf8(answer.body()).unwrap(), NOW).unwrap();
    assert_eq!(verified.token_type(), Some("at+jwt"));
    let claims = verified.claims();
    assert_eq!((&claims["aud"], &claims["exp"]), (&json!("https://orders"), &json!(NOW.seconds + 300)));
    let inactive = test.send(ask("x")).await;
    assert_eq!((inactive.status().as_u16(), inactive.body().len()), (204, 0));
}

#[tokio::test]
async fn a49_what_is_taken_back_is_worth_nothing_from_the_next_request_on() {
    let test = TestServer::start().await;
    let tokens = test.tokens("openid offline_access").await;
    let access = text(&tokens, "access_token");
    assert_eq!(userinfo(&test, access).await.0, 200);
    let answer = test.send(take_back(access)).await;
    assert_eq!((answer.status().as_u16(), answer.body().len()), (200, 0));
    assert_eq!(userinfo(&test, access).await.0, 401);

    // The refresh token is still good, until it is taken back: then all that came of it is gone.
    let refresh = |token: &str| {
        let form = format!("grant_type=refresh_token&refresh_token={token}");
        call("POST", "/oauth/token").form(form.as_bytes()).basic("web", "web-secret")
    };
    let (status, second) = test.post(refresh(text(&tokens, "refresh_token"))).await;
    assert_eq!(status, 200);
    assert_eq!(test.send(take_back(text(&second, "refresh_token"))).await.status(), 200);
    assert_eq!(userinfo(&test, text(&second, "access_token")).await.0, 401);
    assert_eq!(test.post(refresh(text(&second, "refresh_token"))).await.0, 400);
}

#[tokio::test]
async fn a49_unknown_tokens_are_no_error_and_those_of_others_stay() {
    let test = TestServer::start().await;
    let tokens = test.tokens("openid offline_access").await;
    let signed = for_resource(&test, "https://stock").await;
    let foreign =
        |token: &str| call("POST", "/oauth/revoke").form(format!("token={token}&client_id=spa").as_bytes());
    for unknown in ["sha256~aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", "rt~x", "a.b.c", "nonsense"] {
        assert_eq!(test.send(take_back(unknown)).await.status(), 200, "{unknown}");
    }
    for token in
        [text(&tokens, "access_token"), text(&tokens, "refresh_token"), text(&signed, "access_token")]
    {
        let (status, document) = test.post(foreign(token)).await;
        assert_eq!((status, text(&document, "error")), (400, "invalid_request"));
    }
    assert_eq!(userinfo(&test, text(&tokens, "access_token")).await.0, 200);
    for (call, status, error) in [
        (call("POST", "/oauth/revoke").form(b"x=y").basic("web", "web-secret"), 400, "invalid_request"),
        (call("POST", "/oauth/revoke").form(b"token=x"), 401, "invalid_client"),
        (call("POST", "/oauth/revoke?token=x").basic("web", "web-secret"), 400, "invalid_request"),
    ] {
        let (found, document) = test.post(call).await;
        assert_eq!((found, text(&document, "error")), (status, error));
    }
}

#[tokio::test]
async fn a49_a_signed_token_that_is_taken_back_is_refused_until_it_is_over() {
    let test = TestServer::start().await;
    let tokens = for_resource(&test, "https://stock").await;
    let access = text(&tokens, "access_token");
    let web = |token: &str| {
        call("POST", "/oauth/introspect")
            .form(format!("token={token}").as_bytes())
            .basic("stock", "stock-secret")
    };
    let mut config = crate::testing::config();
    config.clients.push(crate::config::Client {
        id: "stock".to_owned(),
        secrets: vec![crate::config::ClientSecret::of("stock-secret")],
        resources: vec!["https://stock".to_owned()],
        ..config.clients[2].clone()
    });
    let server = crate::OAuthServer::new(config, test.accounts.clone()).unwrap();
    let test = TestServer { server: server.into(), ..test };
    assert!(is_active(&test, web(access)).await);
    assert_eq!(test.send(take_back(access)).await.status(), 200);
    assert!(!is_active(&test, web(access)).await);
    let verified = test.accounts.keys(NOW).await.unwrap().verify(access, NOW).unwrap();
    let jti = verified.claims()["jti"].as_str().unwrap().to_owned();
    assert!(test.accounts.is_denied(&jti, later(86_399)).await.unwrap());
    assert!(!test.accounts.is_denied(&jti, later(86_400)).await.unwrap());
}

#[tokio::test]
async fn userinfo_tells_what_the_scopes_say() {
    let test = TestServer::start().await;
    let sub = test.alice.uid.clone();
    for (scopes, expected) in [
        ("openid", json!({ "sub": sub })),
        ("openid email", json!({ "sub": sub, "email": "alice@example.com", "email_verified": false })),
        ("openid groups", json!({ "sub": sub, "groups": ["readers"] })),
        (
            "openid profile",
            json!({ "sub": sub, "name": "Alice Liddell", "preferred_username": "alice", "updated_at": NOW.seconds }),
        ),
    ] {
        let tokens = test.tokens(scopes).await;
        let (status, _, told) = userinfo(&test, text(&tokens, "access_token")).await;
        assert_eq!((status, told), (200, expected), "{scopes}");
    }
}

#[tokio::test]
async fn userinfo_needs_a_good_token_with_openid() {
    let test = TestServer::start().await;
    let plain = test.tokens("orders:read").await;
    let elsewhere = for_resource(&test, "https://orders").await;
    let (status, challenge, told) = userinfo(&test, text(&plain, "access_token")).await;
    assert_eq!((status, challenge.as_str()), (403, r#"Bearer error="insufficient_scope", scope="openid""#));
    assert_eq!(text(&told, "error"), "insufficient_scope");
    let (status, challenge, _) = userinfo(&test, "nonsense").await;
    assert_eq!((status, challenge.as_str()), (401, r#"Bearer error="invalid_token""#));
    let (status, _, _) = userinfo(&test, text(&elsewhere, "access_token")).await;
    assert_eq!(status, 401, "meant for another resource");
    let (status, _, _) = userinfo(&test, &"x".repeat(9000)).await;
    assert_eq!(status, 401, "too long");
    for request in [
        call("GET", "/oauth/userinfo"),
        call("GET", &format!("/oauth/userinfo?access_token={}", text(&plain, "access_token"))),
        call("POST", "/oauth/userinfo")
            .form(format!("access_token={}", text(&plain, "access_token")).as_bytes()),
    ] {
        let answer = test.send(request).await;
        assert_eq!(
            (answer.status().as_u16(), &answer.headers()["www-authenticate"]),
            (401, &"Bearer".parse().unwrap())
        );
        assert_eq!(answer.headers()["access-control-allow-origin"], "*");
    }
    let twice = call("GET", "/oauth/userinfo").bearer("a").bearer("b");
    assert_eq!(test.send(twice).await.status(), 400);
    let preflight = test.send(call("OPTIONS", "/oauth/userinfo")).await;
    assert_eq!(preflight.status(), 204);
    assert_eq!(preflight.headers()["access-control-allow-headers"], "Authorization, Content-Type");
    assert!(!preflight.headers().contains_key("access-control-allow-credentials"));
}
