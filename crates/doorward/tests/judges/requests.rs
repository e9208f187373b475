//! What no judge would send.

use doorward_testkit::Request;

use crate::place::{CALLBACK, Place, Store};

#[test]
fn a07_two_authorization_headers_are_one_too_many() {
    let place = Place::new(Store::Embedded);
    let bearer = format!("Bearer {}", place.token());
    for second in [bearer.as_str(), "Basic eDp5"] {
        let request = Request::get("/api/thing").header("Accept", "application/json");
        let request = request.header("Authorization", &bearer).header("Authorization", second);
        assert_eq!(place.send(request).status, 400);
    }
    assert_eq!(place.echo.count("/api/thing"), 0);
}

#[test]
fn a08_a_token_in_the_query_is_no_credential_and_in_no_log() {
    let mut place = Place::new(Store::Embedded);
    let token = place.token();
    let target = format!("/api/thing?access_token={token}");
    let answer = place.send(Request::get(&target).header("Accept", "application/json"));
    assert_eq!(answer.status, 401);
    let form = Request::form("/api/thing", &[("access_token", &token)]).header("Accept", "application/json");
    assert_eq!(place.send(form).status, 401);
    let log = place.doorward.whole_log();
    assert!(!log.contains(&token), "{log}");
}

#[test]
fn a36_nobody_is_sent_to_an_address_that_is_not_registered() {
    let place = Place::new(Store::Embedded);
    let encoded: String = url::form_urlencoded::byte_serialize(CALLBACK.as_bytes()).collect();
    for (client, address) in [
        ("nobody", encoded.clone()),
        ("", encoded.clone()),
        ("app", encoded.replace("app.example", "evil.example")),
        ("app", encoded.replace("app.example", "app.example%3A8443")),
        ("app", encoded.replace("app.example", "u%40app.example")),
        ("app", encoded.replace("https", "http")),
        ("app", format!("{encoded}%2Fmore")),
        ("app", format!("{encoded}%3Fmore")),
        ("app", format!("{encoded}%23part")),
        ("app", encoded.replace("callback", "x%2F..%2Fcallback")),
        ("app", String::new()),
    ] {
        let target =
            format!("/oauth/authorize?response_type=code&client_id={client}&redirect_uri={address}&state=s");
        let answer = place.browser().get(&target);
        assert_eq!((answer.status, answer.location()), (400, ""), "{client} {address}: {}", answer.text());
    }
}
