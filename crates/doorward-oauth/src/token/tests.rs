use std::time::Duration;

use doorward_accounts::{Accounts, Challenge, ChallengeMethod, CodeRedirect, NewCode, Rules};
use doorward_jose::Claims;
use doorward_store::Records;
use serde_json::{Value, json};
use tokio::task::JoinSet;

use crate::{
    Answer, Call,
    testing::{CHALLENGE, ISSUER, NOW, TestServer, VERIFIER, call, config, document, later, redeem, text},
};

const REDIRECT: &str = "https%3A%2F%2Fweb.example.com%2Fcb";

fn form(body: &str) -> Call {
    call("POST", "/oauth/token").form(body.as_bytes()).basic("web", "web-secret")
}

/// Status, `error`, and whether there are tokens.
async fn outcome(test: &TestServer, call: Call) -> (u16, String) {
    let (status, document) = test.post(call).await;
    (status, document["error"].as_str().unwrap_or_default().to_owned())
}

fn is(status: u16, error: &str) -> (u16, String) {
    (status, error.to_owned())
}

async fn claims(accounts: &Accounts, token: &str) -> (Option<String>, Claims) {
    let verified = accounts.keys(NOW).await.unwrap().verify(token, NOW).unwrap();
    (verified.token_type().map(str::to_owned), verified.into_claims())
}

#[tokio::test]
async fn e1_a_code_becomes_a_token_in_the_shape_of_the_reference() {
    let test = TestServer::start().await;
    // Ansible: the challenging client, public, with an empty password, and parameters of the redirect sent along.
    let new = NewCode {
        redirect: CodeRedirect::Only(format!("{ISSUER}/oauth/token/implicit")),
        challenge: None,
        refreshing: doorward_accounts::Refreshing::NotAllowed,
        ..test.new_code("openshift-challenging-client", "user:full")
    };
    let code = test.accounts.issue_code(new, NOW).await.unwrap();
    let body = format!("grant_type=authorization_code&code={}&state=1&iss=x", code.expose());
    let call = call("POST", "/oauth/token").form(body.as_bytes()).basic("openshift-challenging-client", "");
    let answer = test.send(call).await;
    let tokens = document(&answer);
    let access = text(&tokens, "access_token");
    assert_eq!(access.len(), 50);
    assert_eq!(
        tokens,
        json!({ "access_token": access, "token_type": "Bearer", "expires_in": 86_400, "scope": "user:full" })
    );
    assert_eq!(header(&answer, "content-type"), "application/json");
    assert_eq!(header(&answer, "cache-control"), "no-store");
    assert_eq!(header(&answer, "pragma"), "no-cache");
    assert_eq!(header(&answer, "x-content-type-options"), "nosniff");
}

fn header<'a>(answer: &'a Answer, name: &str) -> &'a str {
    answer.headers().get(name).map_or("", |value| value.to_str().unwrap())
}

#[tokio::test]
async fn a40_a_code_is_worth_nothing_to_others_or_otherwise() {
    let test = TestServer::start().await;
    let other_verifier = "x".repeat(43);
    for (name, body, secret, now) in [
        (
            "a wrong verifier",
            format!("&redirect_uri={REDIRECT}&code_verifier={other_verifier}"),
            ("web", "web-secret"),
            NOW,
        ),
        ("no verifier", format!("&redirect_uri={REDIRECT}"), ("web", "web-secret"), NOW),
        (
            "the challenge itself",
            format!("&redirect_uri={REDIRECT}&code_verifier={CHALLENGE}"),
            ("web", "web-secret"),
            NOW,
        ),
        (
            "another redirect",
            format!("&redirect_uri={REDIRECT}x&code_verifier={VERIFIER}"),
            ("web", "web-secret"),
            NOW,
        ),
        ("no redirect", format!("&code_verifier={VERIFIER}"), ("web", "web-secret"), NOW),
        (
            "another client",
            format!("&redirect_uri={REDIRECT}&code_verifier={VERIFIER}&client_id=spa"),
            ("", ""),
            NOW,
        ),
        (
            "too late",
            format!("&redirect_uri={REDIRECT}&code_verifier={VERIFIER}"),
            ("web", "web-secret"),
            later(300),
        ),
    ] {
        let code = test.code("web", "openid").await;
        let body = format!("grant_type=authorization_code&code={}{body}", code.expose());
        let mut request = call("POST", "/oauth/token").form(body.as_bytes()).at(now);
        if !secret.0.is_empty() {
            request = request.basic(secret.0, secret.1);
        }
        let (status, document) = test.post(request).await;
        let expected = json!({ "error": "invalid_grant", "error_description": "the code is not valid" });
        assert_eq!((status, document), (400, expected), "{name}");
    }
    // The downgrade guard: a verifier for a code that has no challenge (RFC 9700 section 4.8.2).
    let new = NewCode { challenge: None, ..test.new_code("web", "openid") };
    let code = test.accounts.issue_code(new, NOW).await.unwrap();
    assert_eq!(outcome(&test, redeem(&code).basic("web", "web-secret")).await, is(400, "invalid_grant"));
    for unknown in ["sha256~aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", "x", "rt~x"] {
        let body = format!("grant_type=authorization_code&code={unknown}");
        assert_eq!(outcome(&test, form(&body)).await, is(400, "invalid_grant"), "{unknown}");
    }
}

#[tokio::test]
async fn a_plain_challenge_is_its_own_verifier() {
    let test = TestServer::start().await;
    let challenge = Challenge { method: ChallengeMethod::Plain, value: VERIFIER.to_owned() };
    let new = NewCode { challenge: Some(challenge), ..test.new_code("web", "openid") };
    let code = test.accounts.issue_code(new, NOW).await.unwrap();
    assert_eq!(outcome(&test, redeem(&code).basic("web", "web-secret")).await, is(200, ""));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a41_one_code_is_redeemed_once_however_many_try() {
    let test = TestServer::start().await;
    test.accounts.keys(NOW).await.unwrap();
    let code = test.code("web", "openid").await;
    let mut tries = JoinSet::new();
    for _ in 0..50 {
        let (test, code) = (test.clone(), code.clone());
        tries.spawn(async move { outcome(&test, redeem(&code).basic("web", "web-secret")).await });
    }
    let outcomes = tries.join_all().await;
    assert_eq!(outcomes.iter().filter(|outcome| outcome.0 == 200).count(), 1);
    assert_eq!(outcomes.iter().filter(|outcome| **outcome == is(400, "invalid_grant")).count(), 49);
}

#[tokio::test]
async fn a42_a_code_that_is_used_twice_takes_its_tokens_back() {
    let test = TestServer::start().await;
    let code = test.code("web", "openid").await;
    let (_, tokens) = test.post(redeem(&code).basic("web", "web-secret")).await;
    assert_eq!(outcome(&test, redeem(&code).basic("web", "web-secret")).await, is(400, "invalid_grant"));
    let answer = test.send(call("GET", "/oauth/userinfo").bearer(text(&tokens, "access_token"))).await;
    assert_eq!(answer.status(), 401);
    assert_eq!(header(&answer, "www-authenticate"), r#"Bearer error="invalid_token""#);
    let refresh = format!("grant_type=refresh_token&refresh_token={}", text(&tokens, "refresh_token"));
    assert_eq!(outcome(&test, form(&refresh)).await, is(400, "invalid_grant"));
}

#[tokio::test]
async fn a48_refresh_tokens_rotate_and_a_copied_one_ends_the_family() {
    let test = TestServer::start().await;
    let refresh =
        |token: &str, more: &str| form(&format!("grant_type=refresh_token&refresh_token={token}{more}"));
    let first = test.tokens("openid profile offline_access").await;
    let old = text(&first, "refresh_token").to_owned();

    let wider = test.post(refresh(&old, "&scope=openid+email")).await;
    assert_eq!((wider.0, text(&wider.1, "error")), (400, "invalid_scope"));
    let (status, second) = test.post(refresh(&old, "&scope=openid")).await;
    assert_eq!((status, text(&second, "scope")), (200, "openid"));
    assert_ne!(text(&second, "refresh_token"), old);
    // A narrower token leaves the grant as wide as it was, and says who the user is, without the nonce.
    let new = text(&second, "refresh_token").to_owned();
    let (_, third) = test.post(refresh(&new, "").at(later(10))).await;
    assert_eq!(text(&third, "scope"), "openid profile offline_access");
    let (_, id_token) = claims(&test.accounts, text(&third, "id_token")).await;
    assert_eq!((id_token.get("nonce"), &id_token["auth_time"]), (None, &json!(NOW.seconds - 60)));

    // Of another client; then a used one, long after: everything of the family ends.
    let foreign = call("POST", "/oauth/token").form(
        format!("grant_type=refresh_token&client_id=spa&refresh_token={}", text(&third, "refresh_token"))
            .as_bytes(),
    );
    assert_eq!(outcome(&test, foreign).await, is(400, "invalid_grant"));
    assert_eq!(outcome(&test, refresh(&old, "").at(later(20))).await, is(400, "invalid_grant"));
    let last = text(&third, "refresh_token");
    assert_eq!(outcome(&test, refresh(last, "").at(later(21))).await, is(400, "invalid_grant"));
    let userinfo = call("GET", "/oauth/userinfo").bearer(text(&third, "access_token")).at(later(21));
    assert_eq!(test.send(userinfo).await.status(), 401);
}

#[tokio::test]
async fn a60_requests_of_the_wrong_shape_are_told_what_is_wrong() {
    let test = TestServer::start().await;
    let twice = "grant_type=authorization_code&grant_type=authorization_code";
    let long = format!("grant_type=authorization_code&code=x&code_verifier={}", "v".repeat(129));
    for (name, request, expected) in [
        ("password", form("grant_type=password&username=a&password=b"), is(400, "unsupported_grant_type")),
        ("assertion", form("grant_type=assertion"), is(400, "unsupported_grant_type")),
        (
            "exchange",
            form("grant_type=urn:ietf:params:oauth:grant-type:token-exchange"),
            is(400, "unauthorized_client"),
        ),
        ("implicit", form("grant_type=implicit"), is(400, "unsupported_grant_type")),
        ("no grant", form("code=x"), is(400, "invalid_request")),
        ("an empty grant", form("grant_type=&code=x"), is(400, "invalid_request")),
        ("no code", form("grant_type=authorization_code"), is(400, "invalid_request")),
        ("no refresh token", form("grant_type=refresh_token"), is(400, "invalid_request")),
        (
            "a short verifier",
            form("grant_type=authorization_code&code=x&code_verifier=abc"),
            is(400, "invalid_request"),
        ),
        ("a long verifier", form(&long), is(400, "invalid_request")),
        ("twice", form(twice), is(400, "invalid_request")),
        (
            "a query",
            call("POST", "/oauth/token?grant_type=authorization_code").form(b"x=y"),
            is(400, "invalid_request"),
        ),
        (
            "json",
            call("POST", "/oauth/token").header("content-type", "application/json").body(b"{}"),
            is(400, "invalid_request"),
        ),
        ("not UTF-8", form("grant_type=%ff"), is(400, "invalid_request")),
        ("NUL", form("grant_type=a%00"), is(400, "invalid_request")),
    ] {
        assert_eq!(outcome(&test, request).await, expected, "{name}");
    }
}

#[tokio::test]
async fn a60_a_client_proves_who_it_is_in_one_way() {
    let test = TestServer::start().await;
    let plain = |body: &str| call("POST", "/oauth/token").form(body.as_bytes());
    for (name, request, expected) in [
        (
            "two methods",
            form("grant_type=client_credentials&client_secret=web-secret"),
            is(400, "invalid_request"),
        ),
        ("two clients", form("grant_type=client_credentials&client_id=spa"), is(400, "invalid_request")),
        (
            "two headers",
            form("grant_type=client_credentials").basic("web", "web-secret"),
            is(400, "invalid_request"),
        ),
        ("no client", plain("grant_type=authorization_code&code=x"), is(401, "invalid_client")),
        (
            "an unknown client",
            plain("grant_type=authorization_code&code=x&client_id=nobody"),
            is(401, "invalid_client"),
        ),
        (
            "a wrong secret",
            plain("grant_type=client_credentials&client_id=web&client_secret=x"),
            is(401, "invalid_client"),
        ),
        ("no secret", plain("grant_type=authorization_code&code=x&client_id=web"), is(401, "invalid_client")),
        (
            "a secret of a public client",
            plain("grant_type=authorization_code&code=x&client_id=spa&client_secret=x"),
            is(401, "invalid_client"),
        ),
        (
            "the id repeated",
            form("grant_type=client_credentials&client_id=web&scope=orders:read"),
            is(200, ""),
        ),
        (
            "in the body",
            plain("grant_type=client_credentials&client_id=web&client_secret=web-secret&scope=orders:read"),
            is(200, ""),
        ),
        (
            "the second secret",
            plain("grant_type=client_credentials&client_id=web&client_secret=web-secret-2&scope=orders:read"),
            is(200, ""),
        ),
        (
            "a grant that is not its own",
            plain("grant_type=client_credentials&client_id=spa"),
            is(400, "unauthorized_client"),
        ),
    ] {
        assert_eq!(outcome(&test, request).await, expected, "{name}");
    }
}

#[tokio::test]
async fn a60_only_post_is_answered_and_the_header_that_was_used_is_named() {
    let test = TestServer::start().await;
    for method in ["GET", "HEAD", "PUT", "DELETE", "OPTIONS"] {
        let answer = test.send(call(method, "/oauth/token")).await;
        assert_eq!((answer.status().as_u16(), header(&answer, "allow")), (405, "POST"), "{method}");
    }
    let basic = |value: &str| {
        call("POST", "/oauth/token").form(b"grant_type=refresh_token").header("authorization", value)
    };
    for (value, status, challenge) in [
        ("Basic d2ViOng=", 401, r#"Basic realm="oauth""#),
        ("Basic bm9ib2R5Og==", 401, r#"Basic realm="oauth""#),
        ("Basic d2ViOg==", 401, r#"Basic realm="oauth""#),
        ("Bearer abc", 401, r#"Basic realm="oauth""#),
        ("Basic %%%", 400, ""),
        ("Basic", 400, ""),
        ("Basic d2Vi", 400, ""),
    ] {
        let answer = test.send(basic(value)).await;
        assert_eq!(
            (answer.status().as_u16(), header(&answer, "www-authenticate")),
            (status, challenge),
            "{value}"
        );
        let error = if status == 401 { "invalid_client" } else { "invalid_request" };
        assert_eq!(text(&document(&answer), "error"), error, "{value}");
    }
    // E6: nothing but the code.
    assert_eq!(document(&test.send(basic("Basic d2ViOng=")).await), json!({ "error": "invalid_client" }));
}

#[tokio::test]
async fn both_halves_of_basic_credentials_are_form_encoded() {
    let mut config = config();
    config.clients[0].secrets.push(crate::config::ClientSecret::of("a b:%+ä"));
    let test = TestServer::over(Records::memory(), config, Rules::default()).await;
    let request = |secret: &str| {
        call("POST", "/oauth/token")
            .form(b"grant_type=client_credentials&scope=orders:read")
            .basic("w%65b", secret)
    };
    assert_eq!(outcome(&test, request("a+b%3A%25%2B%C3%A4")).await, is(200, ""));
    assert_eq!(outcome(&test, request("a b:%+ä")).await, is(401, "invalid_client"));
}

#[tokio::test]
async fn a_generated_secret_is_one_of_its_client() {
    let test = TestServer::start().await;
    let secret = test.accounts.generated_secret(&crate::config::secret_name("proxy"), NOW).await.unwrap();
    let request = |id: &str, secret: &str| {
        call("POST", "/oauth/token").form(b"grant_type=authorization_code&code=x").basic(id, secret)
    };
    assert_eq!(outcome(&test, request("proxy", secret.expose())).await, is(400, "invalid_grant"));
    assert_eq!(outcome(&test, request("proxy", "x")).await, is(401, "invalid_client"));
    assert_eq!(
        outcome(&test, request("openshift-browser-client", secret.expose())).await,
        is(401, "invalid_client")
    );
}

#[tokio::test]
async fn a_client_in_its_own_name_gets_a_token_and_nothing_of_a_user() {
    let test = TestServer::start().await;
    let grant = "grant_type=client_credentials";
    let (status, tokens) = test.post(form(grant)).await;
    assert_eq!((status, text(&tokens, "scope")), (200, "orders:read"));
    assert!(tokens.get("refresh_token").is_none() && tokens.get("id_token").is_none(), "{tokens}");
    let access = text(&tokens, "access_token");
    let userinfo = test.send(call("GET", "/oauth/userinfo").bearer(access)).await;
    assert_eq!(userinfo.status(), 403);
    for (scope, expected) in [
        ("openid", is(400, "invalid_scope")),
        ("orders:read+offline_access", is(400, "invalid_scope")),
        ("nonsense", is(400, "invalid_scope")),
        ("%22", is(400, "invalid_scope")),
        ("orders:read", is(200, "")),
    ] {
        assert_eq!(outcome(&test, form(&format!("{grant}&scope={scope}"))).await, expected, "{scope}");
    }
    // Outside of its restrictions.
    let other = call("POST", "/oauth/token").form(b"grant_type=client_credentials&scope=orders:read");
    assert_eq!(outcome(&test, other.basic("other", "other-secret")).await, is(400, "invalid_scope"));
}

#[tokio::test]
async fn a_token_is_for_the_resources_that_were_asked_for() {
    let test = TestServer::start().await;
    let grant = |resource: &str| form(&format!("grant_type=client_credentials&scope=orders:read&{resource}"));
    for (resource, expected) in [
        ("resource=https://orders", is(200, "")),
        ("audience=https://orders", is(200, "")),
        ("resource=https://stock&resource=https://bills", is(200, "")),
        ("resource=https://unknown", is(400, "invalid_target")),
        ("resource=https://orders&resource=https://unknown", is(400, "invalid_target")),
        ("resource=https://orders&resource=https://stock", is(400, "invalid_target")),
    ] {
        assert_eq!(outcome(&test, grant(resource)).await, expected, "{resource}");
    }
    // A code is for what was asked for when it was issued, or less.
    let new = NewCode { audience: vec!["https://stock".to_owned()], ..test.new_code("web", "openid") };
    let code = test.accounts.issue_code(new.clone(), NOW).await.unwrap();
    let mut request = redeem(&code).basic("web", "web-secret");
    request.body = [request.body.as_ref(), b"&resource=https://orders"].concat().into();
    assert_eq!(outcome(&test, request).await, is(400, "invalid_target"));
}

#[tokio::test]
async fn a_resource_may_want_signed_tokens() {
    let test = TestServer::start().await;
    let new =
        NewCode { audience: vec!["https://stock".to_owned()], ..test.new_code("web", "openid orders:read") };
    let tokens = test.tokens_of(new).await;
    let (kind, claims) = claims(&test.accounts, text(&tokens, "access_token")).await;
    assert_eq!(kind.as_deref(), Some("at+jwt"));
    let jti = claims["jti"].as_str().unwrap();
    assert!(jti.starts_with("sha256~"), "{jti}");
    assert_eq!(
        Value::Object(claims.clone()),
        json!({
            "iss": ISSUER,
            "sub": test.alice.uid,
            "aud": "https://stock",
            "client_id": "web",
            "iat": NOW.seconds,
            "exp": NOW.seconds + 86_400,
            "jti": jti,
            "scope": "openid orders:read",
            "auth_time": NOW.seconds - 60,
            "amr": ["pwd"],
            "sid": "session-1",
            "groups": ["readers"],
        })
    );
    // Signed tokens end, also where others never do.
    let mut config = config();
    config.clients[0].access_token_max_age = Some(Duration::ZERO);
    let test = TestServer::over(Records::memory(), config, Rules::default()).await;
    let request = |more: &str| form(&format!("grant_type=client_credentials&scope=orders:read{more}"));
    let (_, opaque) = test.post(request("")).await;
    let (_, signed) = test.post(request("&resource=https://stock")).await;
    assert_eq!((opaque.get("expires_in"), &signed["expires_in"]), (None, &json!(86_400)));
}

#[tokio::test]
async fn an_id_token_tells_who_signed_in_and_how() {
    let test = TestServer::start().await;
    let tokens = test.tokens("openid profile email groups").await;
    let (kind, claims) = claims(&test.accounts, text(&tokens, "id_token")).await;
    let (at_hash, origin) = (claims["at_hash"].clone(), claims["origin"].clone());
    assert_eq!(kind.as_deref(), Some("jwt"));
    assert_eq!(
        Value::Object(claims),
        json!({
            "iss": ISSUER,
            "sub": test.alice.uid,
            "aud": "web",
            "iat": NOW.seconds,
            "exp": NOW.seconds + 3600,
            "auth_time": NOW.seconds - 60,
            "nonce": "n-1",
            "at_hash": at_hash,
            "origin": origin,
            "amr": ["pwd"],
            "sid": "session-1",
            "name": "Alice Liddell",
            "preferred_username": "alice",
            "updated_at": NOW.seconds,
            "email": "alice@example.com",
            "email_verified": false,
            "groups": ["readers"],
        })
    );
    // Without openid there is none; and it opens nothing.
    assert!(test.tokens("orders:read").await.get("id_token").is_none());
    let userinfo = test.send(call("GET", "/oauth/userinfo").bearer(text(&tokens, "id_token"))).await;
    assert_eq!(userinfo.status(), 401);
}

#[tokio::test]
async fn who_fails_again_and_again_is_slowed_down_and_nobody_else() {
    let test = TestServer::start().await;
    let guess = || {
        call("POST", "/oauth/token").form(b"grant_type=refresh_token&refresh_token=x").basic("web", "guess")
    };
    for _ in 0..100 {
        assert_eq!(outcome(&test, guess()).await, is(401, "invalid_client"));
    }
    let answer = test.send(guess()).await;
    assert_eq!((answer.status().as_u16(), header(&answer, "retry-after")), (429, "10"));
    assert_eq!(text(&document(&answer), "error"), "slow_down");
    let mut elsewhere = form("grant_type=client_credentials&scope=orders:read");
    elsewhere.client = doorward_core::ClientIp::Known([192, 0, 2, 8].into());
    assert_eq!(outcome(&test, elsewhere).await, is(200, ""));
    assert_eq!(outcome(&test, form("grant_type=client_credentials").at(later(10))).await, is(200, ""));
}

#[tokio::test]
async fn a_resource_gets_its_kind_of_token_from_every_grant() {
    let server =
        crate::testing::browser::server(|config| config.resources = crate::testing::config().resources);
    for (resource, begins) in [("https://orders", "sha256~"), ("https://stock", "eyJ")] {
        let target = format!(
            "/oauth/authorize?response_type=token&client_id=openshift-challenging-client&resource={resource}"
        );
        let request = call("GET", &target).basic("bob", "password");
        let answer = server.answer(server.find("any", &request.path).unwrap(), request).await;
        let location = header(&answer, "location");
        assert!(location.contains(&format!("#access_token={begins}")), "{resource}");
    }
}
