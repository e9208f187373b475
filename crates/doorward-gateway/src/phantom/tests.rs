use doorward_core::Principal;

use super::*;
use crate::{
    Credential,
    testing::{ISSUER, NOW, after, alice, header, issuer, lasting, request, texts, token_of, verified},
};

fn phantom(issuer: &Arc<Issuer>, claims: &[&str]) -> Phantom {
    let config = PhantomConfig { claims: texts(claims), ..PhantomConfig::default() };
    Phantom::new(Arc::clone(issuer), config).unwrap()
}

async fn token(phantom: &Phantom, bearer: &Bearer<'_>) -> SecretString {
    token_of(&phantom.make(bearer).await.unwrap())
}

#[tokio::test]
async fn e8_the_application_gets_a_signed_access_token_in_place_of_an_opaque_one() {
    let issuer = issuer();
    let credential = Credential::Jwt(phantom(&issuer, &[]));
    let (alice, most) = (alice(), texts(&["orders:read", "other"]));
    let made = credential.make(&Bearer { max_scopes: Some(&most), ..request(&alice) }).await.unwrap();
    assert_eq!(made.remove, ["authorization"]);
    assert_eq!(made.set[0].0, "authorization");
    let token = token_of(&made);
    let kid = header(&token)["kid"].clone();
    assert_eq!(header(&token), json!({"alg": "ES256", "typ": "at+jwt", "kid": kid}));
    let claims = verified(&issuer, &token).await;
    assert_eq!(claims["iat"], NOW.seconds);
    assert_eq!(claims["exp"], NOW.seconds + 300);
    assert_eq!(
        lasting(claims),
        json!({
            "iss": ISSUER, "sub": "uid-1", "aud": "orders", "client_id": "web", "scope": "orders:read",
            "sid": "sid-1",
        })
    );
}

#[tokio::test]
async fn e9_who_acts_for_somebody_is_named() {
    let issuer = issuer();
    let actor = json!({"sub": "client:orders-svc", "act": {"sub": "client:web"}});
    let principal = Principal { actor: Some(actor.clone()), client_id: "orders-svc".to_owned(), ..alice() };
    let claims = verified(&issuer, &token(&phantom(&issuer, &[]), &request(&principal)).await).await;
    assert_eq!((&claims["act"], &claims["client_id"]), (&actor, &json!("orders-svc")));
}

#[tokio::test]
async fn b12_it_never_outlives_the_credential_nor_five_minutes() {
    let issuer = issuer();
    let phantom = phantom(&issuer, &[]);
    for (expires, expected) in
        [(Some(after(3600)), 300), (Some(after(300)), 300), (Some(after(7)), 7), (None, 300)]
    {
        let principal = Principal { expires, ..alice() };
        let claims = verified(&issuer, &token(&phantom, &request(&principal)).await).await;
        assert_eq!(claims["exp"], NOW.seconds + expected);
    }
    let over = Principal { expires: Some(Timestamp { seconds: NOW.seconds, nanos: 9 }), ..alice() };
    assert_eq!(phantom.make(&request(&over)).await.unwrap_err(), CredentialFault::Over);
    for ttl in [Duration::ZERO, Duration::from_secs(301)] {
        let config = PhantomConfig { ttl, ..PhantomConfig::default() };
        assert_eq!(Phantom::new(Arc::clone(&issuer), config).unwrap_err(), InvalidPhantom::Life);
    }
}

#[tokio::test]
async fn b12_selected_claims_are_said_and_none_says_what_the_gateway_says() {
    let issuer = issuer();
    let names = ["groups", "email", "preferred_username", "authenticator", "realm_access.roles", "unknown"];
    let claims = verified(&issuer, &token(&phantom(&issuer, &names), &request(&alice())).await).await;
    let said = |name: &str| claims.get(name).cloned();
    assert_eq!(said("groups"), Some(json!(["dev", "system:authenticated"])));
    assert_eq!(said("email"), Some(json!("alice@example.com")));
    assert_eq!(said("preferred_username"), Some(json!("al")));
    assert_eq!(said("authenticator"), Some(json!("opaque")));
    assert_eq!(said("realm_access.roles"), Some(json!(["admin"])));
    assert_eq!(said("unknown"), None);
    for name in ["sub", "scope", "act", "authz", "iss", "aud"] {
        let config = PhantomConfig { claims: texts(&[name]), ..PhantomConfig::default() };
        assert!(Phantom::new(Arc::clone(&issuer), config).is_err(), "{name}");
    }
}

#[tokio::test]
async fn b12_a_kept_token_is_given_again_only_where_it_would_say_the_same() {
    let issuer = issuer();
    let phantom = phantom(&issuer, &["groups", "email", "realm_access.roles"]);
    let alice = alice();
    let first = token(&phantom, &request(&alice)).await;
    assert_eq!(token(&phantom, &Bearer { now: after(149), ..request(&alice) }).await, first);
    // Also for another request, by another way.
    assert_eq!(
        token(&phantom, &Bearer { request_id: "other", url: "https://other", ..request(&alice) }).await,
        first
    );
    // An application shall have time to use it, and clocks may be set back.
    assert_ne!(token(&phantom, &Bearer { now: after(150), ..request(&alice) }).await, first);
    let first = token(&phantom, &request(&alice)).await;
    assert_ne!(token(&phantom, &Bearer { now: after(-1), ..request(&alice) }).await, first);
    let first = token(&phantom, &request(&alice)).await;

    let context = json!({"orders": "own"});
    let fewer = texts(&["orders:read"]);
    for other in [
        Bearer { audience: "other", ..request(&alice) },
        Bearer { context: Some(&context), ..request(&alice) },
        Bearer { max_scopes: Some(&fewer), ..request(&alice) },
    ] {
        assert_ne!(token(&phantom, &other).await, first);
    }
    let mut changed = Vec::new();
    let mut change = |make: &dyn Fn(&mut Principal)| {
        let mut principal = alice.clone();
        make(&mut principal);
        changed.push(principal);
    };
    change(&|who| "sha256~another".clone_into(&mut who.credential));
    change(&|who| who.authenticator = "partner".into());
    change(&|who| "uid-2".clone_into(&mut who.user.uid));
    change(&|who| who.user.groups.truncate(1));
    change(&|who| who.scopes.truncate(1));
    change(&|who| who.email.clear());
    change(&|who| who.session = None);
    change(&|who| who.actor = Some(json!({"sub": "bob"})));
    change(&|who| "api".clone_into(&mut who.client_id));
    change(&|who| who.expires = Some(after(200)));
    change(&|who| who.claims["realm_access"]["roles"] = json!([]));
    for other in changed {
        assert_ne!(token(&phantom, &request(&other)).await, first, "{other:?}");
    }
    assert_eq!(token(&phantom, &request(&alice)).await, first);
}

#[tokio::test]
async fn b38_what_a_policy_says_stands_in_the_token() {
    let issuer = issuer();
    let context = json!({"orders": "own", "limits": [1, 2]});
    let alice = alice();
    let bearer = Bearer { context: Some(&context), ..request(&alice) };
    let claims = verified(&issuer, &token(&phantom(&issuer, &[]), &bearer).await).await;
    assert_eq!(claims["authz"], context);
}

#[tokio::test]
async fn without_scopes_none_are_said() {
    let issuer = issuer();
    let none = texts(&["other"]);
    let alice = alice();
    let bearer = Bearer { max_scopes: Some(&none), ..request(&alice) };
    let claims = verified(&issuer, &token(&phantom(&issuer, &[]), &bearer).await).await;
    assert!(!claims.contains_key("scope"));
}
