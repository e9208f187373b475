//! Tokens that the gateway has signed in place of others, where they come back to its door: they count as long as what they
//! came from.

use std::sync::Arc;

use doorward_accounts::{DerivedToken, ORIGIN};
use doorward_core::Principal;
use serde_json::Value;

use super::{describe, plain};
use crate::judged::Vouched;

/// Whom a token is about that was signed in place of another.
pub(super) fn of_derived_token(name: &Arc<str>, vouched: Vouched, token: DerivedToken) -> Principal {
    let DerivedToken { mut claims, jti, origin, client, scopes, expires, user, .. } = token;
    claims.remove(ORIGIN);
    let mut say = |name: &str, value: Value| claims.insert(name.to_owned(), value);
    let email = user.map(|user| describe(user, &mut say)).unwrap_or_default();
    Principal {
        email,
        client_id: client,
        scopes: scopes.iter().map(str::to_owned).collect(),
        actor: claims.get("act").cloned(),
        session: claims.get("sid").and_then(Value::as_str).map(str::to_owned),
        // Without an origin, what is made in its place is for applications alone.
        origin: origin.through(&jti).ok().map(|origin| origin.to_claim()),
        claims,
        expires: Some(expires),
        ..plain(name, vouched)
    }
}

#[cfg(test)]
mod tests {
    use doorward_accounts::{
        Accounts, KeySetName, LoginFacts, NewToken, NewUser, Origin, Rules, Scopes, SealKey, Source, Subject,
        TokenRules,
    };
    use doorward_core::Timestamp;
    use doorward_jose::{Algorithm, Claims};
    use doorward_store::Records;
    use serde_json::json;

    use super::*;
    use crate::{
        chain::Opaque,
        gateway::{Authenticator, CookieTokens, Finding, Kind, Presented, Sources},
    };

    const NOW: Timestamp = Timestamp::from_seconds(1_800_000_000);
    const GATEWAY: &str = "https://auth.example.com/gateway";

    fn accounts() -> Arc<Accounts> {
        let seal = SealKey::new(&[7; 32]).unwrap();
        Arc::new(Accounts::new(Arc::new(Records::memory()), seal, Rules::default()))
    }

    /// What the gateway signs for inventory, changed.
    async fn signed(accounts: &Accounts, typ: &str, change: impl FnOnce(&mut Claims)) -> String {
        let claims = json!({
            "iss": GATEWAY, "sub": "uid", "aud": "inventory", "client_id": "orders", "scope": "inventory:read",
            "jti": "id-1", "exp": NOW.seconds + 300, "sid": "s1", "act": { "sub": "client:orders" },
        });
        let mut claims = claims.as_object().unwrap().clone();
        change(&mut claims);
        let keys = accounts.keys_of(KeySetName::Gateway, NOW).await.unwrap();
        keys.sign(Algorithm::Es256, typ, &claims, NOW).unwrap().expose().clone()
    }

    async fn attempt(authenticator: &Authenticator, token: &str) -> Finding {
        let mut headers = http::HeaderMap::new();
        headers.insert("authorization", format!("Bearer {token}").parse().unwrap());
        let presented = Presented {
            headers: &headers,
            query: None,
            certificates: None,
            of_connection: None,
            cookies: CookieTokens::Count,
            now: NOW,
        };
        authenticator.attempt(&presented).await
    }

    #[tokio::test]
    async fn b25_a_token_from_an_exchange_opens_a_door_while_what_it_came_from_would() {
        let accounts = accounts();
        let new = NewUser {
            name: "alice".to_owned(),
            email: "alice@example.com".to_owned(),
            groups: vec!["staff".to_owned()],
            ..NewUser::default()
        };
        let alice = accounts.add_user(new, NOW).await.unwrap();
        let new = NewToken {
            client: "web".to_owned(),
            subject: Subject::of_user(&alice),
            scopes: Scopes::parse("inventory:read orders:read").unwrap(),
            audience: Vec::new(),
            rules: TokenRules::default(),
            login: LoginFacts::default(),
        };
        let first = accounts.issue_token(new, NOW).await.unwrap().token;
        let origin = Origin::new(Source::Token(first.name.clone())).to_claim();
        let opaque = |gateway: Option<&str>, audience: &str| {
            let (accounts, gateway) = (Arc::clone(&accounts), gateway.map(Arc::from));
            let opaque = Opaque { accounts, audiences: vec![audience.to_owned()], gateway };
            Authenticator::new("own".into(), Kind::Opaque(opaque, Sources::default()))
        };
        let door = opaque(Some(GATEWAY), "inventory");
        let add = |claims: &mut Claims| {
            claims.insert("origin".to_owned(), origin.clone());
        };
        let token = signed(&accounts, "at+jwt", add).await;
        let Finding::User(found) = attempt(&door, &token).await else { panic!("nobody is known") };
        assert_eq!((found.user.name.as_str(), &found.user.uid), ("alice", &alice.uid));
        assert!(found.user.groups.contains(&"staff".to_owned()));
        assert_eq!(found.scopes, ["inventory:read"]);
        assert_eq!((found.client_id.as_str(), found.session.as_deref()), ("orders", Some("s1")));
        assert_eq!(found.actor, Some(json!({ "sub": "client:orders" })));
        assert_eq!(found.expires, Some(Timestamp::from_seconds(NOW.seconds + 300)));
        assert_eq!((found.claim("aud"), found.claim("origin")), (Some(&json!("inventory")), None));
        let through = Origin::new(Source::Token(first.name.clone())).through("id-1").unwrap();
        assert_eq!(found.origin, Some(through.to_claim()));

        let other = |name: &'static str, value: Value| {
            let origin = origin.clone();
            move |claims: &mut Claims| {
                claims.insert("origin".to_owned(), origin);
                claims.insert(name.to_owned(), value);
            }
        };
        for (name, token) in [
            ("for applications alone", signed(&accounts, "at+jwt", |_| ()).await),
            ("of another type", signed(&accounts, "gw-id+jwt", add).await),
            ("an ID token", signed(&accounts, "JWT", add).await),
            ("over", signed(&accounts, "at+jwt", other("exp", NOW.seconds.into())).await),
            ("of another issuer", signed(&accounts, "at+jwt", other("iss", "https://x".into())).await),
            ("for others", signed(&accounts, "at+jwt", other("aud", "bills".into())).await),
            ("for nobody", signed(&accounts, "at+jwt", other("aud", json!([]))).await),
            ("of nowhere", signed(&accounts, "at+jwt", other("origin", json!({ "source": "x" }))).await),
        ] {
            assert!(matches!(attempt(&door, &token).await, Finding::Refused(_)), "{name}");
        }
        // Where the gateway is not asked about, and where the token is for others.
        for elsewhere in [opaque(None, "inventory"), opaque(Some(GATEWAY), "orders")] {
            assert!(matches!(attempt(&elsewhere, &token).await, Finding::Refused(_)));
        }
        accounts.revoke_access(&first.name, NOW).await.unwrap();
        assert!(matches!(attempt(&door, &token).await, Finding::Refused(_)));
    }
}
