mod foreign;

use std::time::Duration;

use doorward_accounts::{KeySetName, NewCode, NewUser, Rules, Scopes, Standing, Subject, TokenRules};
use doorward_jose::Claims;
use doorward_store::Records;
use serde_json::{Value, json};

use crate::{
    Call,
    config::{Client, ClientSecret, Config, ExchangeMode, ExchangeRule, GrantType, SubjectIssuer},
    testing::{GATEWAY, ISSUER, NOW, TestServer, call, config, later, text},
};

const ACCESS: &str = "urn:ietf:params:oauth:token-type:access_token";
const JWT: &str = "urn:ietf:params:oauth:token-type:jwt";
const ID: &str = "urn:ietf:params:oauth:token-type:id_token";
const REFRESH: &str = "urn:ietf:params:oauth:token-type:refresh_token";

/// Services, each of which may get tokens for the next; `web` may get some for itself without being named in them.
const CHAIN: [&str; 6] = ["orders", "inventory", "stock", "bills", "ledger", "audit"];

fn exchanging() -> Config {
    let mut config = config();
    let scopes = Scopes::parse("openid profile orders:read inventory:read").unwrap();
    for (name, next) in CHAIN.into_iter().zip(CHAIN.into_iter().skip(1)) {
        config.clients.push(Client {
            secrets: vec![ClientSecret::of(&format!("{name}-secret"))],
            grant_types: vec![GrantType::ClientCredentials],
            ..Client::new(name)
        });
        config.exchange.rules.push(ExchangeRule {
            client: name.to_owned(),
            subject_issuers: vec![SubjectIssuer::Own],
            audiences: vec![next.to_owned()],
            scopes: scopes.clone(),
            mode: ExchangeMode::Delegation,
        });
    }
    config.exchange.rules.push(ExchangeRule {
        client: "web".to_owned(),
        subject_issuers: vec![SubjectIssuer::Own],
        audiences: vec!["orders".to_owned(), "reports".to_owned()],
        scopes,
        mode: ExchangeMode::Impersonation,
    });
    config
}

async fn start() -> TestServer {
    TestServer::over(Records::memory(), exchanging(), Rules::default()).await
}

/// A request of `client` to exchange `token`, with more parameters.
fn exchange(client: &str, (token, kind): (&str, &str), more: &str) -> Call {
    let body = format!(
        "grant_type=urn%3Aietf%3Aparams%3Aoauth%3Agrant-type%3Atoken-exchange&subject_token={token}\
         &subject_token_type={kind}{more}"
    );
    call("POST", "/oauth/token").form(body.as_bytes()).basic(client, &format!("{client}-secret"))
}

/// The token that comes of it.
async fn exchanged(test: &TestServer, call: Call) -> String {
    let (status, answer) = test.post(call).await;
    assert_eq!(status, 200, "{answer}");
    text(&answer, "access_token").to_owned()
}

async fn outcome(test: &TestServer, call: Call) -> (u16, String) {
    let (status, answer) = test.post(call).await;
    (status, answer["error"].as_str().unwrap_or_default().to_owned())
}

fn is(status: u16, error: &str) -> (u16, String) {
    (status, error.to_owned())
}

async fn claims(test: &TestServer, token: &str) -> (String, Claims) {
    let keys = test.accounts.keys_of(KeySetName::Gateway, NOW).await.unwrap();
    let verified = keys.verify(token, NOW).unwrap();
    (verified.token_type().unwrap().to_owned(), verified.into_claims())
}

/// What a client whose tokens they are is told of a token.
async fn told(test: &TestServer, client: &str, token: &str) -> Value {
    let ask = call("POST", "/oauth/introspect").form(format!("token={token}").as_bytes());
    let (status, told) = test.post(ask.basic(client, &format!("{client}-secret"))).await;
    assert_eq!(status, 200);
    told
}

/// Whether the token is active for the client, and a good credential at our door: both, or neither.
async fn counts(test: &TestServer, client: &str, token: &str) -> bool {
    let told = told(test, client, token).await;
    let at_door = test.accounts.validate_derived(token, GATEWAY, NOW).await.is_ok();
    assert_eq!(told["active"], json!(at_door), "{told}");
    if !at_door {
        assert_eq!(told, json!({ "active": false }));
    }
    at_door
}

#[tokio::test]
async fn e9_b22_a_rule_gets_a_client_a_token_in_which_it_is_named() {
    let test = start().await;
    let tokens = test.tokens("openid orders:read inventory:read").await;
    let access = text(&tokens, "access_token");
    let request = exchange("orders", (access, ACCESS), "&audience=inventory&scope=inventory:read");
    let (status, answer) = test.post(request).await;
    let token = text(&answer, "access_token");
    let expected = json!({
        "access_token": token,
        "issued_token_type": ACCESS,
        "token_type": "Bearer",
        "expires_in": 300,
        "scope": "inventory:read",
    });
    assert_eq!((status, &answer), (200, &expected));
    let (kind, claims) = claims(&test, token).await;
    let (jti, origin) = (claims["jti"].clone(), claims["origin"].clone());
    assert_eq!(kind, "at+jwt");
    let expected = json!({
        "iss": GATEWAY,
        "sub": test.alice.uid,
        "aud": "inventory",
        "scope": "inventory:read",
        "client_id": "orders",
        "act": { "sub": "client:orders" },
        "sid": "session-1",
        "iat": NOW.seconds,
        "exp": NOW.seconds + 300,
        "jti": jti,
        "origin": origin,
    });
    assert_eq!(Value::Object(claims), expected);
    let expected = json!({
        "active": true,
        "scope": "inventory:read",
        "client_id": "orders",
        "username": "alice",
        "token_type": "Bearer",
        "iat": NOW.seconds,
        "nbf": NOW.seconds,
        "exp": NOW.seconds + 300,
        "sub": test.alice.uid,
        "aud": ["inventory"],
        "iss": GATEWAY,
        "jti": jti,
        "groups": ["readers"],
        "act": { "sub": "client:orders" },
    });
    assert_eq!(told(&test, "inventory", token).await, expected);
    // Whom it is not for learns nothing; and it opens nothing of the server's own.
    assert_eq!(told(&test, "bills", token).await, json!({ "active": false }));
    let userinfo = test.send(call("GET", "/oauth/userinfo").bearer(token)).await;
    assert_eq!(userinfo.status(), 401);
}

#[tokio::test]
async fn b22_every_kind_of_our_tokens_can_be_exchanged_by_those_whom_it_is_for() {
    let test = start().await;
    let tokens = test.tokens("openid profile orders:read offline_access").await;
    let (access, id, refresh) =
        (text(&tokens, "access_token"), text(&tokens, "id_token"), text(&tokens, "refresh_token"));
    let new = NewCode { audience: vec!["https://stock".to_owned()], ..test.new_code("web", "orders:read") };
    let signed = test.tokens_of(new).await;
    let signed = text(&signed, "access_token");
    let derived = exchanged(&test, exchange("web", (access, ACCESS), "&audience=orders")).await;
    for (name, client, subject, expected) in [
        ("opaque", "web", (access, ACCESS), is(200, "")),
        ("signed", "web", (signed, JWT), is(200, "")),
        ("signed, by its other name", "web", (signed, ACCESS), is(200, "")),
        ("from an exchange", "orders", (&*derived, ACCESS), is(200, "")),
        ("from an exchange, by its other name", "orders", (&*derived, JWT), is(200, "")),
        ("an ID token", "web", (id, ID), is(200, "")),
        ("a refresh token", "web", (refresh, REFRESH), is(200, "")),
        // Of somebody else.
        ("a signed one for others", "orders", (signed, JWT), is(400, "invalid_request")),
        ("an ID token of another client", "orders", (id, ID), is(400, "invalid_request")),
        ("a refresh token of another client", "orders", (refresh, REFRESH), is(400, "invalid_request")),
        ("from an exchange, for others", "bills", (&*derived, ACCESS), is(400, "invalid_request")),
        // Under another name.
        ("opaque as signed", "web", (access, JWT), is(400, "invalid_request")),
        ("an ID token as an access token", "web", (id, ACCESS), is(400, "invalid_request")),
        ("an ID token as just any", "web", (id, JWT), is(400, "invalid_request")),
        ("an access token as an ID token", "web", (signed, ID), is(400, "invalid_request")),
        ("from an exchange as an ID token", "orders", (&*derived, ID), is(400, "invalid_request")),
        ("a refresh token as an access token", "web", (refresh, ACCESS), is(400, "invalid_request")),
        ("an access token as a refresh token", "web", (access, REFRESH), is(400, "invalid_request")),
        ("nonsense", "web", ("x", ACCESS), is(400, "invalid_request")),
    ] {
        let more = if client == "web" { "&audience=reports" } else { "" };
        assert_eq!(outcome(&test, exchange(client, subject, more)).await, expected, "{name}");
    }
}

#[tokio::test]
async fn b22_the_result_never_outlives_what_it_came_from() {
    let test = start().await;
    let rules = TokenRules { access: Some(Duration::from_secs(400)), ..TokenRules::default() };
    let tokens = test.tokens_of(NewCode { rules, ..test.new_code("web", "orders:read") }).await;
    let access = text(&tokens, "access_token");
    for (seconds, left) in [(0, 300), (99, 300), (150, 250), (399, 1)] {
        let request = exchange("web", (access, ACCESS), "&audience=orders").at(later(seconds));
        let (_, answer) = test.post(request).await;
        assert_eq!(answer["expires_in"], json!(left), "{seconds}");
        let derived = text(&answer, "access_token");
        let request = exchange("orders", (derived, ACCESS), "").at(later(seconds));
        let (_, answer) = test.post(request).await;
        assert_eq!(answer["expires_in"], json!(left), "{seconds}");
    }
    let request = exchange("web", (access, ACCESS), "&audience=orders").at(later(400));
    assert_eq!(outcome(&test, request).await, is(400, "invalid_request"));
}

#[tokio::test]
async fn b22_an_id_token_describes_the_user_to_those_who_may_know() {
    let test = start().await;
    let tokens = test.tokens("openid profile orders:read").await;
    let access = text(&tokens, "access_token");
    let wanted = format!("&audience=inventory&requested_token_type={ID}");
    let (status, answer) = test.post(exchange("orders", (access, ACCESS), &wanted)).await;
    assert_eq!((status, text(&answer, "token_type"), text(&answer, "issued_token_type")), (200, "N_A", ID));
    let (kind, claims) = claims(&test, text(&answer, "access_token")).await;
    assert_eq!(
        (kind.as_str(), &claims["name"], &claims["azp"], claims.get("scope")),
        ("jwt", &json!("Alice Liddell"), &json!("orders"), None)
    );
    // It opens no door, and is not exchanged again.
    assert!(!counts(&test, "inventory", text(&answer, "access_token")).await);
    let again = exchange("inventory", (text(&answer, "access_token"), ID), "");
    assert_eq!(outcome(&test, again).await, is(400, "invalid_request"));
    let plain = test.tokens("orders:read").await;
    let request = exchange("orders", (text(&plain, "access_token"), ACCESS), &wanted);
    assert_eq!(outcome(&test, request).await, is(400, "invalid_scope"));
    let own = call("POST", "/oauth/token").form(b"grant_type=client_credentials&scope=openid");
    assert_eq!(outcome(&test, own.basic("orders", "orders-secret")).await, is(400, "invalid_scope"));
}

#[tokio::test]
async fn b23_what_is_not_allowed_is_told_in_the_words_of_the_standard() {
    let test = start().await;
    let tokens = test.tokens("openid orders:read").await;
    let access = text(&tokens, "access_token");
    let revoked = test.tokens("openid orders:read").await;
    let revoked = text(&revoked, "access_token");
    let take_back = call("POST", "/oauth/revoke").form(format!("token={revoked}").as_bytes());
    assert_eq!(test.send(take_back.basic("web", "web-secret")).await.status(), 200);
    let with = |more: &str| exchange("orders", (access, ACCESS), more);
    let bare = |body: &str| {
        let body = format!("grant_type=urn:ietf:params:oauth:grant-type:token-exchange&{body}");
        call("POST", "/oauth/token").form(body.as_bytes()).basic("orders", "orders-secret")
    };
    let public = {
        let body = format!(
            "grant_type=urn:ietf:params:oauth:grant-type:token-exchange&client_id=spa&subject_token={access}\
             &subject_token_type={ACCESS}&audience=inventory"
        );
        call("POST", "/oauth/token").form(body.as_bytes())
    };
    let half = format!("&actor_token={access}");
    let whole = format!("&actor_token={access}&actor_token_type={ACCESS}");
    let refresh_actor = format!("&actor_token={access}&actor_token_type={REFRESH}");
    for (name, request, expected) in [
        ("no subject", bare(""), is(400, "invalid_request")),
        ("no type", bare(&format!("subject_token={access}")), is(400, "invalid_request")),
        ("no token", bare(&format!("subject_token_type={ACCESS}")), is(400, "invalid_request")),
        ("an unknown type", exchange("orders", (access, "saml2"), ""), is(400, "invalid_request")),
        ("a revoked subject", exchange("orders", (revoked, ACCESS), ""), is(400, "invalid_request")),
        ("an actor without a type", with(&half), is(400, "invalid_request")),
        ("a type without an actor", with(&format!("&actor_token_type={ACCESS}")), is(400, "invalid_request")),
        ("an actor who refreshes", with(&refresh_actor), is(400, "invalid_request")),
        (
            "a refresh token is asked for",
            with(&format!("&requested_token_type={REFRESH}")),
            is(400, "invalid_request"),
        ),
        ("something else is asked for", with("&requested_token_type=x"), is(400, "invalid_request")),
        ("a bad audience", with("&audience=bills"), is(400, "invalid_target")),
        ("a bad one beside a good one", with("&audience=inventory&audience=x"), is(400, "invalid_target")),
        ("a bad resource", with("&resource=https://inventory"), is(400, "invalid_target")),
        ("a wider scope", with("&scope=inventory:read"), is(400, "invalid_scope")),
        ("a scope beside the rule", with("&scope=orders:write"), is(400, "invalid_scope")),
        ("no scope", with("&scope=%22"), is(400, "invalid_scope")),
        ("a client without a rule", exchange("other", (access, ACCESS), ""), is(400, "unauthorized_client")),
        ("a public client", public, is(401, "invalid_client")),
        ("a wrong secret", with("").basic("orders", "x"), is(400, "invalid_request")),
        (
            "an actor where nobody acts",
            { exchange("web", (access, ACCESS), &format!("&audience=orders{whole}")) },
            is(400, "invalid_request"),
        ),
        ("no audience where there are two", exchange("web", (access, ACCESS), ""), is(400, "invalid_target")),
        ("all is well", with("&audience=inventory&scope=orders:read"), is(200, "")),
    ] {
        assert_eq!(outcome(&test, request).await, expected, "{name}");
    }
    let mut wrong = exchange("orders", (access, ACCESS), "");
    wrong.headers.clear();
    let wrong = wrong.header("content-type", "application/x-www-form-urlencoded").basic("orders", "x");
    assert_eq!(outcome(&test, wrong).await, is(401, "invalid_client"));
}

#[tokio::test]
async fn b24_who_acts_for_whom_is_told_newest_first_and_ends_with_four() {
    let test = start().await;
    let tokens = test.tokens("openid orders:read").await;
    let mut token = text(&tokens, "access_token").to_owned();
    for client in &CHAIN[..4] {
        token = exchanged(&test, exchange(client, (&token, ACCESS), "")).await;
    }
    let (_, claims) = claims(&test, &token).await;
    let expected = json!({
        "sub": "client:bills",
        "act": { "sub": "client:stock", "act": { "sub": "client:inventory", "act": { "sub": "client:orders" } } },
    });
    assert_eq!((&claims["act"], &claims["sub"]), (&expected, &json!(test.alice.uid)));
    let fifth = exchange("ledger", (&token, ACCESS), "");
    assert_eq!(outcome(&test, fifth).await, is(400, "invalid_request"));
}

#[tokio::test]
async fn b24_an_actor_of_its_own_is_named_in_place_of_the_client() {
    let test = start().await;
    let tokens = test.tokens("openid orders:read").await;
    let access = text(&tokens, "access_token");
    let bob = NewUser { name: "bob".to_owned(), ..NewUser::default() };
    let bob = test.accounts.add_user(bob, NOW).await.unwrap();
    let new = NewCode { subject: Subject::of_user(&bob), ..test.new_code("web", "openid") };
    let acting = test.tokens_of(new).await;
    let acting = text(&acting, "access_token");
    let more = format!("&actor_token={acting}&actor_token_type={ACCESS}");
    let token = exchanged(&test, exchange("orders", (access, ACCESS), &more)).await;
    assert_eq!(claims(&test, &token).await.1["act"], json!({ "sub": bob.uid }));
    // Somebody for whom others act does not act: who they are would be lost.
    let delegated = exchanged(&test, exchange("orders", (acting, ACCESS), "")).await;
    let more = format!("&actor_token={delegated}&actor_token_type={ACCESS}");
    let request = exchange("inventory", (&token, ACCESS), &more);
    assert_eq!(outcome(&test, request).await, is(400, "invalid_request"));
    let more = format!("&actor_token=x&actor_token_type={ACCESS}");
    assert_eq!(outcome(&test, exchange("orders", (access, ACCESS), &more)).await, is(400, "invalid_request"));
}

#[tokio::test]
async fn b24_who_alone_may_act_is_heeded_and_handed_on() {
    let test = start().await;
    let issuer = test.server.config.exchange.issuer.clone().unwrap();
    let tokens = test.tokens("openid orders:read").await;
    let derived =
        exchanged(&test, exchange("web", (text(&tokens, "access_token"), ACCESS), "&audience=orders"));
    let (_, claims_of) = claims(&test, &derived.await).await;
    for (may_act, allowed) in [
        (json!({ "sub": "client:orders" }), true),
        (json!({ "sub": "client:orders", "iss": ISSUER }), true),
        (json!({ "sub": "client:orders", "iss": GATEWAY }), true),
        (json!({ "sub": "client:orders", "iss": "https://elsewhere" }), false),
        (json!({ "sub": "client:bills" }), false),
        (json!({ "sub": "client:orders", "scope": "x" }), false),
        (json!({ "iss": ISSUER }), false),
        (json!({}), false),
        (json!("client:orders"), false),
        (json!(["client:orders"]), false),
    ] {
        let mut claims_of = claims_of.clone();
        claims_of.insert("may_act".to_owned(), may_act.clone());
        let kind = (issuer.algorithm(), "at+jwt");
        let subject = issuer.mint(kind, claims_of, later(100), NOW).await.unwrap();
        let request = exchange("orders", (subject.expose(), ACCESS), "");
        let (status, answer) = test.post(request).await;
        assert_eq!(status, if allowed { 200 } else { 400 }, "{may_act} {answer}");
        if allowed {
            let (_, claims) = claims(&test, text(&answer, "access_token")).await;
            assert_eq!(claims["may_act"], may_act);
        }
    }
}

#[tokio::test]
async fn b25_with_the_subject_ends_all_that_came_of_it() {
    for case in
        ["the token", "the refresh token", "the session", "the user", "the user's id", "a token between"]
    {
        let test = start().await;
        let tokens = test.tokens("openid orders:read offline_access").await;
        let of_others = test.tokens("openid orders:read").await;
        let first = exchanged(&test, exchange("orders", (text(&tokens, "access_token"), ACCESS), "")).await;
        let second = exchanged(&test, exchange("inventory", (&first, ACCESS), "")).await;
        let untouched =
            exchanged(&test, exchange("orders", (text(&of_others, "access_token"), ACCESS), "")).await;
        assert!(counts(&test, "inventory", &first).await && counts(&test, "stock", &second).await);
        let take_back = |token: &str, client: &str| {
            let call = call("POST", "/oauth/revoke").form(format!("token={token}").as_bytes());
            call.basic(client, &format!("{client}-secret"))
        };
        let (alone, uid) =
            (matches!(case, "the token" | "the refresh token" | "a token between"), &test.alice.uid);
        match case {
            "the token" => {
                test.send(take_back(text(&tokens, "access_token"), "web")).await;
            }
            "the refresh token" => {
                test.send(take_back(text(&tokens, "refresh_token"), "web")).await;
            }
            "the session" => test.accounts.revoke_all_of_session(uid, "session-1", NOW).await.unwrap(),
            "the user" => {
                test.accounts
                    .change_user("alice", |user| user.standing = Standing::Disabled, NOW)
                    .await
                    .unwrap();
            }
            "the user's id" => test.accounts.remove_user("alice", NOW).await.unwrap(),
            _ => {
                // Only by the client that it was issued to.
                assert_eq!(test.send(take_back(&first, "web")).await.status(), 400);
                assert!(counts(&test, "inventory", &first).await);
                assert_eq!(test.send(take_back(&first, "orders")).await.status(), 200);
            }
        }
        assert!(!counts(&test, "inventory", &first).await, "{case}");
        assert!(!counts(&test, "stock", &second).await, "{case}");
        assert_eq!(counts(&test, "inventory", &untouched).await, alone, "{case}");
        let again = exchange("inventory", (&first, ACCESS), "");
        assert_eq!(outcome(&test, again).await, is(400, "invalid_request"), "{case}");
    }
}

#[tokio::test]
async fn b25_what_came_of_an_id_token_or_a_refresh_token_ends_with_the_grant() {
    let test = start().await;
    for (name, kind) in [("id_token", ID), ("refresh_token", REFRESH)] {
        let tokens = test.tokens("openid orders:read offline_access").await;
        let request = exchange("web", (text(&tokens, name), kind), "&audience=orders");
        let derived = exchanged(&test, request).await;
        assert!(counts(&test, "orders", &derived).await);
        let refresh = format!("token={}", text(&tokens, "refresh_token"));
        let take_back = call("POST", "/oauth/revoke").form(refresh.as_bytes());
        assert_eq!(test.send(take_back.basic("web", "web-secret")).await.status(), 200);
        assert!(!counts(&test, "orders", &derived).await, "{name}");
    }
}
