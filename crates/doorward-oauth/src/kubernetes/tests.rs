use std::collections::BTreeMap;

use doorward_accounts::{Activity, NewUser, SCOPES_EXTRA};
use doorward_core::UserInfo;
use serde_json::{Value, json};

use crate::{
    Call,
    testing::{ISSUER, NOW, TestServer, call, document, text},
};

const USERS: &str = "/apis/user.openshift.io/v1/users/~";
const OWN: &str = "/apis/oauth.openshift.io/v1/useroauthaccesstokens";
const ANY: &str = "/apis/oauth.openshift.io/v1/oauthaccesstokens";
const TOKEN_REVIEWS: &str = "/apis/authentication.k8s.io/v1/tokenreviews";

fn status(code: u16, reason: &str, message: &str) -> Value {
    json!({
        "kind": "Status",
        "apiVersion": "v1",
        "metadata": {},
        "status": "Failure",
        "message": message,
        "reason": reason,
        "code": code,
    })
}

fn user(name: &str, groups: &[&str]) -> UserInfo {
    let groups = groups.iter().map(|&group| group.to_owned()).collect();
    UserInfo { name: name.to_owned(), uid: format!("uid-{name}"), groups, extra: BTreeMap::new() }
        .authenticated()
}

/// The bearer of a fresh token of alice with these scopes, as the chain finds it; and the token's name.
async fn alice(test: &TestServer, scopes: &str) -> (UserInfo, String, String) {
    let tokens = test.tokens(scopes).await;
    let raw = text(&tokens, "access_token").to_owned();
    let valid = test.accounts.validate(&raw, Activity::DoesNotCount, NOW).await.unwrap();
    (valid.user_info, valid.token.name.as_str().to_owned(), raw)
}

fn post(path: &str, body: &Value) -> Call {
    call("POST", path).header("content-type", "application/json").body(body.to_string().as_bytes())
}

#[tokio::test]
async fn whoami_tells_name_uid_and_groups() {
    let test = TestServer::start().await;
    for scopes in ["user:info", "user:full"] {
        let (caller, ..) = alice(&test, scopes).await;
        let (code, told) = test.post(call("GET", USERS).from(caller)).await;
        assert_eq!(
            (code, told),
            (
                200,
                json!({
                    "kind": "User",
                    "apiVersion": "user.openshift.io/v1",
                    "metadata": { "name": "alice", "uid": test.alice.uid },
                    "fullName": "Alice Liddell",
                    "identities": ["local:alice"],
                    "groups": ["readers", "system:authenticated"],
                })
            )
        );
    }
    let (caller, ..) = alice(&test, "openid").await;
    let (code, told) = test.post(call("GET", USERS).from(caller)).await;
    assert_eq!((code, told), (403, status(403, "Forbidden", "the token lacks the scope user:info")));
    // Somebody of that name with a certificate is another alice.
    let (code, told) = test.post(call("GET", USERS).from(user("alice", &[]))).await;
    assert_eq!((code, &told["identities"], told.get("fullName")), (200, &json!([]), None));
}

#[tokio::test]
async fn nobody_is_unauthorized_in_the_words_of_kubernetes() {
    let test = TestServer::start().await;
    let reviews = "/apis/authentication.k8s.io/v1/selfsubjectreviews";
    for (method, path) in [("GET", USERS), ("GET", OWN), ("POST", TOKEN_REVIEWS), ("POST", reviews)] {
        for request in [call(method, path), call(method, path).from(UserInfo::anonymous())] {
            let answer = test.send(request).await;
            assert_eq!(answer.headers()["www-authenticate"], r#"Bearer realm="proxy""#);
            assert_eq!(answer.headers()["content-type"], "application/json");
            assert_eq!(document(&answer), status(401, "Unauthorized", "Unauthorized"), "{path}");
            assert_eq!(answer.status(), 401);
        }
    }
    let answer = test.send(call("PUT", USERS)).await;
    assert_eq!((answer.status().as_u16(), &answer.headers()["allow"]), (405, &"GET".parse().unwrap()));
    assert_eq!(text(&document(&answer), "reason"), "MethodNotAllowed");
    let answer = test.send(call("GET", "/apis/user.openshift.io/v1/users/bob")).await;
    assert_eq!(document(&answer), status(404, "NotFound", "the requested object was not found"));
}

#[tokio::test]
async fn e4_users_see_their_own_tokens_and_take_them_back_by_name() {
    let test = TestServer::start().await;
    let (caller, name, raw) = alice(&test, "user:full").await;
    let (_, listed) = test.post(call("GET", OWN).from(caller.clone())).await;
    assert_eq!(text(&listed, "kind"), "UserOAuthAccessTokenList");
    assert_eq!(
        listed["items"],
        json!([{
            "kind": "UserOAuthAccessToken",
            "apiVersion": "oauth.openshift.io/v1",
            "metadata": { "name": name, "creationTimestamp": "2027-01-15T08:00:00Z" },
            "clientName": "web",
            "expiresIn": 86_400,
            "scopes": ["user:full"],
            "userName": "alice",
            "userUID": test.alice.uid,
        }])
    );
    let own = |method: &str, name: &str| call(method, &format!("{OWN}/{name}")).from(caller.clone());
    assert_eq!(test.post(own("GET", &name)).await.0, 200);
    let (code, told) = test.post(own("DELETE", &name.replace('~', "%7E"))).await;
    let success = json!({ "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success" });
    assert_eq!((code, told), (200, success));
    assert!(test.accounts.validate(&raw, Activity::DoesNotCount, NOW).await.is_err());
    assert_eq!(test.post(own("DELETE", &name)).await.0, 404);
}

#[tokio::test]
async fn what_is_not_there_and_what_belongs_to_others_looks_the_same() {
    let test = TestServer::start().await;
    let (caller, name, raw) = alice(&test, "user:full").await;
    let bob = NewUser { name: "bob".to_owned(), ..NewUser::default() };
    let bob = test.accounts.add_user(bob, NOW).await.unwrap().user_info();
    let missing = status(404, "NotFound", "the requested object was not found");
    let unknown = "sha256~aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa";
    for (path, who) in [(OWN, &caller), (ANY, &caller)] {
        for name in [unknown, &raw, "nonsense", "%ff", "sha256~"] {
            let call = call("DELETE", &format!("{path}/{name}")).from(who.clone());
            let Some(endpoint) = test.server.find("any", &call.path) else { continue };
            let answer = test.server.answer(endpoint, call).await;
            assert_eq!((answer.status().as_u16(), document(&answer)), (404, missing.clone()), "{name}");
        }
    }
    for path in [OWN, ANY] {
        let (code, told) = test.post(call("DELETE", &format!("{path}/{name}")).from(bob.clone())).await;
        assert_eq!((code, told), (404, missing.clone()), "{path}");
    }
    // A token with fewer scopes takes nothing back; who may do everything may take back those of others.
    let (narrow, ..) = alice(&test, "user:info").await;
    assert_eq!(test.post(call("DELETE", &format!("{OWN}/{name}")).from(narrow)).await.0, 403);
    let root = user("root", &["system:masters"]);
    assert_eq!(test.post(call("DELETE", &format!("{OWN}/{name}")).from(root.clone())).await.0, 404);
    assert_eq!(test.post(call("DELETE", &format!("{ANY}/{name}")).from(root)).await.0, 200);
    assert!(test.accounts.validate(&raw, Activity::DoesNotCount, NOW).await.is_err());
}

#[tokio::test]
async fn a24_reviewers_learn_whose_token_it_is_and_others_nothing() {
    let test = TestServer::start().await;
    let (caller, _, raw) = alice(&test, "user:info").await;
    let review = |token: &str, audiences: Value| {
        let spec = if audiences.is_null() {
            json!({ "token": token })
        } else {
            json!({ "token": token, "audiences": audiences })
        };
        post(
            TOKEN_REVIEWS,
            &json!({ "kind": "TokenReview", "apiVersion": "authentication.k8s.io/v1", "spec": spec }),
        )
    };
    let reviewer = user("reviewer", &[]);
    let (code, told) = test.post(review(&raw, Value::Null).from(reviewer.clone())).await;
    assert_eq!(code, 201);
    assert_eq!(
        told,
        json!({
            "kind": "TokenReview",
            "apiVersion": "authentication.k8s.io/v1",
            "metadata": { "creationTimestamp": null },
            "spec": {},
            "status": {
                "authenticated": true,
                "user": {
                    "username": "alice",
                    "uid": test.alice.uid,
                    "groups": ["readers", "system:authenticated"],
                    "extra": { SCOPES_EXTRA: ["user:info"] },
                },
                "audiences": [ISSUER],
            },
        })
    );
    for (token, audiences, expected) in [
        (raw.as_str(), json!([ISSUER, "x"]), true),
        (&raw, json!([]), true),
        (&raw, json!(["https://other"]), false),
        ("nonsense", Value::Null, false),
        ("", Value::Null, false),
        (&"x".repeat(9000), Value::Null, false),
    ] {
        let (code, told) = test.post(review(token, audiences.clone()).from(reviewer.clone())).await;
        assert_eq!((code, &told["status"]["authenticated"]), (201, &json!(expected)), "{audiences}");
        assert!(expected || told["status"] == json!({ "authenticated": false }));
    }
    let (code, told) = test.post(review(&raw, Value::Null).from(caller)).await;
    assert_eq!((code, text(&told, "reason")), (403, "Forbidden"));
    for (kind, body, expected) in [
        ("application/json", &b"{"[..], 400),
        ("application/json", b"{}", 400),
        ("application/json", b"\xff\x00", 400),
        ("application/vnd.kubernetes.protobuf", b"k8s\0", 415),
        ("application/x-www-form-urlencoded", b"token=x", 415),
    ] {
        let call = call("POST", TOKEN_REVIEWS).header("content-type", kind).body(body).from(reviewer.clone());
        assert_eq!(test.post(call).await.0, expected, "{kind}");
    }
}

#[tokio::test]
async fn a23_kubectl_is_told_who_asks_though_its_body_cannot_be_read() {
    let test = TestServer::start().await;
    let (caller, ..) = alice(&test, "user:full").await;
    let request = call("POST", "/apis/authentication.k8s.io/v1/selfsubjectreviews")
        .header("content-type", "application/vnd.kubernetes.protobuf")
        .header("accept", "application/vnd.kubernetes.protobuf,application/json")
        .body(b"k8s\0\n\x2f\n\x18authentication.k8s.io/v1");
    let answer = test.send(request.from(caller)).await;
    assert_eq!(
        (answer.status().as_u16(), &answer.headers()["content-type"]),
        (201, &"application/json".parse().unwrap())
    );
    let told = document(&answer);
    assert_eq!(text(&told, "kind"), "SelfSubjectReview");
    assert_eq!(told["status"]["userInfo"]["username"], "alice");
    assert_eq!(told["status"]["userInfo"]["groups"], json!(["readers", "system:authenticated"]));
}

#[tokio::test]
async fn access_reviews_allow_the_groups_that_may_do_everything_and_nobody_else() {
    let test = TestServer::start().await;
    let reviewer = user("reviewer", &[]);
    let path = "/apis/authorization.k8s.io/v1/subjectaccessreviews";
    let own_path = "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews";
    let review = |spec: Value| post(path, &json!({ "spec": spec }));
    for (spec, code, allowed) in [
        (json!({ "user": "x", "groups": ["system:masters"] }), 201, json!(true)),
        (json!({ "user": "x", "groups": ["others"] }), 201, json!(false)),
        (json!({ "user": "system:masters", "groups": null }), 201, json!(false)),
        (json!({}), 400, Value::Null),
    ] {
        let (found, told) = test.post(review(spec.clone()).from(reviewer.clone())).await;
        assert_eq!((found, told["status"]["allowed"].clone()), (code, allowed), "{spec}");
    }
    assert_eq!(test.post(review(json!({ "user": "x" })).from(user("bob", &[]))).await.0, 403);
    for (groups, scopes, code, allowed) in [
        (&["system:masters"][..], None, 201, json!(true)),
        (&["system:masters"], Some("user:full"), 201, json!(true)),
        (&["system:masters"], Some("user:check-access"), 201, json!(false)),
        (&["system:masters"], Some("user:info"), 403, Value::Null),
        (&[], None, 201, json!(false)),
    ] {
        let mut caller = user("root", groups);
        if let Some(scope) = scopes {
            caller.extra.insert(SCOPES_EXTRA.to_owned(), vec![scope.to_owned()]);
        }
        let (found, told) = test.post(post(own_path, &json!({})).from(caller)).await;
        assert_eq!(
            (found, told["status"].get("allowed").cloned().unwrap_or_default()),
            (code, allowed),
            "{scopes:?}"
        );
    }
}

#[tokio::test]
async fn clients_that_ask_what_there_is_are_told() {
    let test = TestServer::start().await;
    let (code, told) = test.post(call("GET", "/apis/oauth.openshift.io/v1")).await;
    assert_eq!((code, text(&told, "groupVersion")), (200, "oauth.openshift.io/v1"));
    assert_eq!(told["resources"][0]["name"], "useroauthaccesstokens");
}
