//! Relying parties log in, refresh, revoke and introspect by the book.

use doorward_testkit::{Request, eventually};
use serde_json::{Value, json};

use crate::{
    party::{LIBRARIES, Library, Party},
    person::Person,
    place::{CALLBACK, ORDERS, Place, SECRET, STORES, Store},
};

const OPENID: [&str; 3] = ["openid", "profile", "groups"];
const LASTING: [&str; 3] = ["openid", "profile", "offline_access"];

fn text<'a>(value: &'a Value, name: &str) -> &'a str {
    value[name].as_str().unwrap_or_else(|| panic!("no {name}: {value}"))
}

/// Whether the API takes a token.
fn opens(place: &Place, token: &str) -> bool {
    match place.get_with(token, "/api/thing").status {
        200 => true,
        401 => false,
        other => panic!("{other}"),
    }
}

#[test]
fn a25_every_library_reads_the_metadata_and_it_is_true() {
    let place = Place::new(Store::Embedded);
    for library in LIBRARIES {
        // Making one compares the issuer, and with Authlib both documents.
        Party::new(library, &place, "app");
    }
    let metadata = place.browser().get("/.well-known/oauth-authorization-server").json();
    assert_eq!(metadata["code_challenge_methods_supported"], json!(["S256"]));
    for name in ["scopes_supported", "response_types_supported", "grant_types_supported"] {
        assert!(metadata[name].as_array().is_some_and(|list| !list.is_empty()), "{name}: {metadata}");
    }
    for (name, url) in metadata.as_object().unwrap() {
        if name.ends_with("_endpoint") || name == "jwks_uri" {
            let target = url.as_str().unwrap().strip_prefix(&place.issuer).unwrap();
            let status = place.browser().get(target).status;
            assert!(!matches!(status, 404 | 500..), "{name} {target}: {status}");
        }
    }
}

#[test]
fn a39_every_library_logs_somebody_in() {
    for store in STORES {
        let place = Place::new(store);
        let owner = place.owner_of(&place.token());
        for library in LIBRARIES {
            let mut party = Party::new(library, &place, "app");
            let tokens = party.logs_in(&mut Person::alice(&place), &OPENID);
            let claims = &tokens["claims"];
            assert!(opens(&place, text(&tokens, "access_token")));
            assert_eq!(claims["sub"], owner["metadata"]["uid"], "{claims}");
            let user_info = party.does(&json!({"do": "userinfo"}));
            assert_eq!(user_info["sub"], claims["sub"]);
            assert_eq!(user_info["preferred_username"], "alice", "{user_info}");
            assert!(
                tokens["refresh_token"].as_str().unwrap_or_default().is_empty(),
                "not asked for offline_access"
            );
        }
    }
}

#[test]
fn a38_a_public_client_needs_a_proof_of_the_better_kind() {
    let place = Place::new(Store::Embedded);
    let mut party = Party::with(Library::OpenidClient, &place, json!({"client_id": "page"}));
    let weak = "a".repeat(42);
    let plain = "a".repeat(43);
    for extra in [
        json!({}),
        json!({"code_challenge": plain, "code_challenge_method": "plain"}),
        json!({"code_challenge": plain}),
        json!({"code_challenge": weak, "code_challenge_method": "S256"}),
        json!({"code_challenge_method": "S256"}),
    ] {
        let begun = party.does(&json!({"do": "begin", "scope": OPENID, "pkce": "none", "extra": extra}));
        let callback = Person::alice(&place).visit(text(&begun, "url"));
        let refused = party.is_refused(&json!({"do": "finish", "callback": callback}));
        assert_eq!(refused, "invalid_request", "{extra}");
    }
    let tokens = party.logs_in(&mut Person::alice(&place), &OPENID);
    assert!(opens(&place, text(&tokens, "access_token")));
}

#[test]
fn a40_a_code_is_good_for_its_client_address_and_proof_only() {
    let place = Place::new(Store::Embedded);
    let mut person = Person::alice(&place);
    let mut party = Party::new(Library::OpenidClient, &place, "app");
    let mut login = |party: &mut Party, pkce: &str| {
        let begun = party.does(&json!({"do": "begin", "scope": OPENID, "pkce": pkce}));
        let callback = person.visit(text(&begun, "url"));
        (begun, callback)
    };
    let (_, callback) = login(&mut party, "");
    let order = json!({"do": "finish", "callback": callback, "verifier": "b".repeat(43)});
    assert_eq!(party.is_refused(&order), "invalid_grant", "another verifier");

    let (_, callback) = login(&mut party, "");
    let elsewhere = callback.replace(CALLBACK, "https://app.example/other");
    let refused = party.is_refused(&json!({"do": "finish", "callback": elsewhere}));
    assert_eq!(refused, "invalid_grant", "another redirect_uri");

    let mut other = Party::new(Library::OpenidClient, &place, "other");
    let (begun, callback) = login(&mut party, "");
    let (state, nonce, verifier) = (&begun["state"], &begun["nonce"], &begun["verifier"]);
    let order =
        json!({"do": "finish", "callback": callback, "state": state, "nonce": nonce, "verifier": verifier});
    assert_eq!(other.is_refused(&order), "invalid_grant", "another client");

    let (_, callback) = login(&mut other, "none");
    let order = json!({"do": "finish", "callback": callback, "verifier": "b".repeat(43)});
    assert_eq!(other.is_refused(&order), "invalid_grant", "a verifier without a challenge");
}

#[test]
fn a42_a_code_that_comes_twice_takes_back_what_it_gave() {
    for store in STORES {
        let place = Place::new(store);
        let mut party = Party::new(Library::OpenidClient, &place, "app");
        let begun = party.begins(&LASTING);
        let finish = json!({"do": "finish", "callback": Person::alice(&place).visit(text(&begun, "url"))});
        let tokens = party.does(&finish);
        assert!(opens(&place, text(&tokens, "access_token")), "{store:?}");
        assert_eq!(party.is_refused(&finish), "invalid_grant", "{store:?}");
        assert!(!opens(&place, text(&tokens, "access_token")), "{store:?}");
        assert_eq!(party.is_refused(&json!({"do": "refresh"})), "invalid_grant", "{store:?}");
    }
}

#[test]
fn a47_prompt_none_shows_no_page_and_max_age_asks_again() {
    let place = Place::new(Store::Embedded);
    let mut person = Person::alice(&place);
    let mut party = Party::new(Library::OpenidClient, &place, "app");
    let silent = json!({"prompt": "none"});
    let begin = |extra: &Value| json!({"do": "begin", "scope": OPENID, "extra": extra});

    let url = party.does(&begin(&silent));
    let refused = party.is_refused(&json!({"do": "finish", "callback": person.visit(text(&url, "url"))}));
    assert_eq!((refused.as_str(), person.signed_in), ("login_required", 0));

    let first = party.logs_in(&mut person, &OPENID);
    let url = party.does(&begin(&silent));
    party.does(&json!({"do": "finish", "callback": person.visit(text(&url, "url"))}));
    assert_eq!(person.signed_in, 1);

    let mut careful = Party::new(Library::OpenidClient, &place, "careful");
    let url = careful.does(&begin(&silent));
    let refused = careful.is_refused(&json!({"do": "finish", "callback": person.visit(text(&url, "url"))}));
    assert_eq!(refused, "consent_required");

    let url = party.does(&begin(&json!({"max_age": "0"})));
    let callback = person.visit(text(&url, "url"));
    let again = party.does(&json!({"do": "finish", "callback": callback, "max_age": 600}));
    assert_eq!(person.signed_in, 2);
    assert!(again["claims"]["auth_time"].as_i64() >= first["claims"]["auth_time"].as_i64(), "{again}");
}

#[test]
fn a48_refreshing_rotates_and_may_only_narrow() {
    for (store, library) in STORES.into_iter().zip([Library::OpenidClient, Library::Authlib]) {
        let place = Place::with(store, without_grace);
        let mut party = Party::new(library, &place, "app");
        let first = party.logs_in(&mut Person::alice(&place), &LASTING);
        let second = party.does(&json!({"do": "refresh", "token": first["refresh_token"]}));
        assert_ne!(first["refresh_token"], second["refresh_token"]);
        assert!(opens(&place, text(&second, "access_token")));

        let narrow = json!({"do": "refresh", "token": second["refresh_token"], "scope": "openid"});
        let third = party.does(&narrow);
        assert_eq!(third["scope"], "openid");
        let wide = json!({"do": "refresh", "token": third["refresh_token"], "scope": "openid groups"});
        assert_eq!(party.is_refused(&wide), "invalid_scope");

        let replayed = json!({"do": "refresh", "token": first["refresh_token"]});
        assert_eq!(party.is_refused(&replayed), "invalid_grant", "{store:?}");
        let newest = json!({"do": "refresh", "token": third["refresh_token"]});
        assert_eq!(party.is_refused(&newest), "invalid_grant", "the family is dead: {store:?}");
        assert!(!opens(&place, text(&third, "access_token")), "{store:?}");
    }
}

/// A lost answer may be asked for again for some seconds; here it may not.
fn without_grace(settings: &mut Value) {
    settings["authServer"]["tokens"] = json!({"refreshGrace": "0s"});
}

#[test]
fn a49_revoking_counts_from_the_next_request_on() {
    for store in STORES {
        let place = Place::new(store);
        let mut party = Party::new(Library::OpenidClient, &place, "app");
        let mut other = Party::new(Library::OpenidClient, &place, "other");
        let mut person = Person::alice(&place);

        let tokens = party.logs_in(&mut person, &LASTING);
        let access = text(&tokens, "access_token");
        other.is_refused(&json!({"do": "revoke", "token": access}));
        assert!(opens(&place, access), "unchanged by a stranger");
        party.does(&json!({"do": "revoke", "token": access}));
        assert!(!opens(&place, access), "{store:?}");
        party.does(&json!({"do": "revoke", "token": access}));
        party.does(&json!({"do": "revoke", "token": "sha256~never-seen"}));

        let tokens = party.logs_in(&mut person, &LASTING);
        let refresh = &tokens["refresh_token"];
        party.does(&json!({"do": "revoke", "token": refresh, "hint": "access_token"}));
        assert!(!opens(&place, text(&tokens, "access_token")), "the family is gone: {store:?}");
        assert_eq!(party.is_refused(&json!({"do": "refresh", "token": refresh})), "invalid_grant");
    }
}

#[test]
fn a50_introspection_tells_all_of_a_good_token_and_nothing_of_others() {
    for store in STORES {
        let place = Place::new(store);
        let mut person = Person::alice(&place);
        let mut party = Party::new(Library::OpenidClient, &place, "app");
        let tokens = party.logs_in(&mut person, &OPENID);
        let told = party.does(&json!({"do": "introspect"}));
        let sub = &tokens["claims"]["sub"];
        assert_eq!((&told["active"], &told["sub"]), (&json!(true), sub), "{told}");
        assert_eq!((&told["client_id"], &told["username"]), (&json!("app"), &json!("alice")), "{told}");
        assert_eq!((&told["iss"], &told["token_type"]), (&json!(place.issuer), &json!("Bearer")), "{told}");
        assert_eq!(told["scope"], OPENID.join(" "));
        assert!(told["exp"].as_i64() > told["iat"].as_i64(), "{told}");

        let inactive = json!({"active": false});
        party.does(&json!({"do": "revoke", "token": tokens["access_token"]}));
        assert_eq!(party.does(&json!({"do": "introspect"})), inactive, "revoked");
        assert_eq!(party.does(&json!({"do": "introspect", "token": "nonsense"})), inactive);

        let brief = Party::new(Library::OpenidClient, &place, "brief").logs_in(&mut person, &OPENID);
        let ask = json!({"do": "introspect", "token": brief["access_token"]});
        eventually("a token expires", || party.does(&ask) == inactive);

        let mut worker = Party::new(Library::OpenidClient, &place, "worker");
        let token = worker.does(&json!({"do": "credentials", "parameters": {"resource": ORDERS}}));
        let foreign = json!({"do": "introspect", "token": token["access_token"]});
        assert_eq!(party.does(&foreign), inactive, "for another audience");

        let answer =
            place.send(Request::form("/oauth/introspect", &[("token", text(&tokens, "access_token"))]));
        assert_eq!(answer.status, 401, "without client authentication");
    }
}

#[test]
fn a51_introspection_can_be_signed() {
    let place = Place::new(Store::Embedded);
    let settings = json!({"client_id": "app", "client_secret": SECRET, "signed_introspection": true});
    let mut party = Party::with(Library::OpenidClient, &place, settings);
    party.logs_in(&mut Person::alice(&place), &OPENID);
    // The library checks type, issuer, audience and signature (RFC 9701 section 5).
    let told = party.does(&json!({"do": "introspect"}));
    assert_eq!((&told["active"], &told["username"]), (&json!(true), &json!("alice")), "{told}");
    let other = party.does(&json!({"do": "introspect", "token": "nonsense"}));
    assert_eq!(other["active"], false, "{other}");
}

/// RFC 9068; the token endpoint of A5 makes them for resources that ask for it.
#[test]
fn an_access_token_for_a_resource_is_a_jwt_that_jose_accepts() {
    let place = Place::new(Store::Embedded);
    let mut worker = Party::new(Library::OpenidClient, &place, "worker");
    let token = worker.does(&json!({"do": "credentials", "parameters": {"resource": ORDERS}}));
    let order = json!({"do": "verify_access", "token": token["access_token"], "audience": ORDERS});
    let claims = worker.does(&order);
    assert_eq!(
        (&claims["sub"], &claims["client_id"]),
        (&json!("client:worker"), &json!("worker")),
        "{claims}"
    );
    assert_eq!(claims["scope"], "orders:read");
}

#[test]
fn a59_tokens_of_the_old_and_of_the_new_key_verify_until_the_old_one_is_gone() {
    let mut place = Place::new(Store::Redis);
    let key_ids = |place: &Place| -> Vec<Value> {
        let keys = place.browser().get("/oauth/jwks").json()["keys"].take();
        keys.as_array().unwrap().iter().map(|key| key["kid"].clone()).collect()
    };
    let first = key_ids(&place);
    let mut party = Party::new(Library::OpenidClient, &place, "app");
    let early = party.logs_in(&mut Person::alice(&place), &OPENID);
    let said = place.command(&["keys", "rotate"]);
    assert!(!said.is_empty());

    place = place.later("+4h");
    let both = key_ids(&place);
    assert!(both.len() > first.len() && first.iter().all(|kid| both.contains(kid)), "{first:?} {both:?}");
    for library in [Library::OpenidClient, Library::Authlib] {
        // The party lives in the present, when the first token is still good.
        let mut party = Party::new(library, &place, "app");
        party.does(&json!({"do": "verify", "id_token": early["id_token"]}));
    }
    let mut party = Party::new(Library::OpenidClient, &place, "app");
    let late = party.logs_in(&mut Person::alice(&place), &OPENID);
    party.does(&json!({"do": "verify", "id_token": late["id_token"]}));
    assert_eq!(late["claims"]["sub"], early["claims"]["sub"]);
    assert_ne!(header_of(&late)["kid"], header_of(&early)["kid"]);

    place = place.later("+60d");
    let rest = key_ids(&place);
    assert!(!rest.contains(&header_of(&early)["kid"]) && rest.contains(&header_of(&late)["kid"]), "{rest:?}");
}

fn header_of(tokens: &Value) -> Value {
    let header = text(tokens, "id_token").split('.').next().unwrap();
    serde_json::from_slice(&base64_simd::URL_SAFE_NO_PAD.decode_to_vec(header).unwrap()).unwrap()
}

#[test]
fn a60_what_the_token_endpoint_never_takes() {
    let place = Place::new(Store::Embedded);
    let mut party = Party::new(Library::OpenidClient, &place, "app");
    let password = json!({"username": "alice", "password": "x"});
    let grant = json!({"do": "grant", "type": "password", "parameters": password});
    assert_eq!(party.is_refused(&grant), "unsupported_grant_type");

    let get = place.browser().get("/oauth/token?grant_type=client_credentials");
    assert_eq!((get.status, get.header("allow")), (405, "POST"));
    let fields = [("grant_type", "client_credentials")];
    let in_query = Request::form("/oauth/token?scope=orders:read", &fields).basic("worker", SECRET);
    let twice =
        Request::form("/oauth/token", &[fields[0], ("client_id", "worker"), ("client_secret", SECRET)]);
    for request in [in_query, twice.basic("worker", SECRET)] {
        let answer = place.send(request);
        assert_eq!((answer.status, &answer.json()["error"]), (400, &json!("invalid_request")));
    }
    let other = json!({"client_id": "worker", "client_secret": SECRET, "method": "client_secret_post"});
    let mut by_post = Party::with(Library::OpenidClient, &place, other);
    by_post.does(&json!({"do": "credentials", "parameters": {"scope": "orders:read"}}));
}
