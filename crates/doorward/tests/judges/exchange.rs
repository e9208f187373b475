//! Services exchange tokens (RFC 8693) by the generic grant of openid-client and by Authlib.

use doorward_testkit::Echo;
use serde_json::{Value, json};

use crate::{
    party::{Library, Party},
    person::Person,
    place::{Place, SECRET, Store},
};

const LIBRARIES: [Library; 2] = [Library::OpenidClient, Library::Authlib];
const ACCESS: &str = "urn:ietf:params:oauth:token-type:access_token";

/// `orders` may get tokens for `inventory`, which lies behind a route of its own.
fn place(store: Store) -> Place {
    let echo = Echo::start();
    let upstream = echo.url();
    Place::in_front_of(&upstream, echo, store, |settings| {
        let clients = settings["authServer"]["clients"].as_array_mut().unwrap();
        for id in ["orders", "inventory"] {
            clients.push(json!({"id": id, "secret": SECRET, "grantTypes": ["client_credentials"],
                "defaultScopes": ["orders:read"]}));
        }
        settings["gateway"] = json!({
            "authenticators": {"own": {"type": "opaque", "audiences": ["inventory"]}},
            "exchangeRules": [{"client": "orders", "subjectIssuers": ["self"], "audiences": ["inventory"],
                "scopes": ["orders:read"], "mode": "delegation"}],
            "routes": [{"id": "inventory", "match": {"path": "/inventory/"}, "upstream": upstream,
                "authenticate": ["own"], "authorize": {"scopes": {"any": ["orders:read"]}}}],
        });
    })
}

fn text<'a>(value: &'a Value, name: &str) -> &'a str {
    value[name].as_str().unwrap_or_else(|| panic!("no {name}: {value}"))
}

fn order(subject: &str, change: impl FnOnce(&mut Value)) -> Value {
    let mut parameters =
        json!({"subject_token": subject, "subject_token_type": ACCESS, "audience": "inventory"});
    change(&mut parameters);
    json!({"do": "grant", "type": "urn:ietf:params:oauth:grant-type:token-exchange", "parameters": parameters})
}

#[test]
fn b22_b25_libraries_exchange_a_token_and_it_ends_with_its_subject() {
    for (library, store) in LIBRARIES.into_iter().zip([Store::Embedded, Store::Redis]) {
        let place = place(store);
        let mut app = Party::new(Library::OpenidClient, &place, "app");
        let tokens = app.logs_in(&mut Person::alice(&place), &["openid", "orders:read"]);
        let subject = text(&tokens, "access_token");
        let mut orders = Party::new(library, &place, "orders");
        let exchanged = orders.does(&order(subject, |_| ()));
        assert_eq!(
            (text(&exchanged, "issued_token_type"), text(&exchanged, "scope")),
            (ACCESS, "orders:read")
        );
        let token = text(&exchanged, "access_token");

        let mut inventory = Party::new(Library::OpenidClient, &place, "inventory");
        let told = inventory.does(&json!({"do": "introspect", "token": token}));
        assert_eq!(told["act"], json!({"sub": "client:orders"}), "{told}");
        assert_eq!((&told["sub"], &told["username"]), (&tokens["claims"]["sub"], &json!("alice")));
        assert_eq!(told["iss"], format!("{}/gateway", place.issuer));
        let opens = || place.get_with(token, "/inventory/7").status;
        assert_eq!(opens(), 200, "{}", place.doorward.log());

        app.does(&json!({"do": "revoke", "token": subject}));
        assert_eq!(opens(), 401);
        assert_eq!(inventory.does(&json!({"do": "introspect", "token": token})), json!({"active": false}));
        assert_eq!(orders.is_refused(&order(subject, |_| ())), "invalid_request");
    }
}

#[test]
fn b23_libraries_are_told_why_nothing_is_exchanged() {
    let place = place(Store::Embedded);
    let mut app = Party::new(Library::OpenidClient, &place, "app");
    let tokens = app.logs_in(&mut Person::alice(&place), &["openid", "orders:read"]);
    let subject = text(&tokens, "access_token");
    for library in LIBRARIES {
        let mut orders = Party::new(library, &place, "orders");
        for (change, code) in [
            (json!({"subject_token_type": "urn:ietf:params:oauth:token-type:saml2"}), "invalid_request"),
            (json!({"actor_token": subject}), "invalid_request"),
            (json!({"audience": "bills"}), "invalid_target"),
            (json!({"scope": "orders:read openid"}), "invalid_scope"),
        ] {
            let asked = order(subject, |parameters| {
                parameters.as_object_mut().unwrap().extend(change.as_object().unwrap().clone());
            });
            assert_eq!(orders.is_refused(&asked), code, "{library:?} {change}");
        }
        let mut other = Party::new(library, &place, "inventory");
        assert_eq!(other.is_refused(&order(subject, |_| ())), "unauthorized_client", "{library:?}");
    }
}
