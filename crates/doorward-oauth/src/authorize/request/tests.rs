use super::*;
use crate::config::{Issuer, Resource, ScopeRestriction, TokenFormat};

const CHALLENGE: &str = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM";
/// What every request of the public client needs.
const APP: &str = "client_id=app&redirect_uri=https%3A%2F%2Fapp.example%2Fcb&response_type=code&scope=openid";

fn config() -> Config {
    let uri = |uri: &str| vec![uri.to_owned()];
    let app = Client { redirect_uris: uri("https://app.example/cb"), ..Client::new("app") };
    let two = Client {
        redirect_uris: vec!["https://two.example/a".to_owned(), "https://two.example/b".to_owned()],
        default_scopes: Scopes::parse("user:info").unwrap(),
        plain_pkce: PlainPkce::Allowed,
        scope_restrictions: vec![ScopeRestriction::Literals(vec![
            "openid".to_owned(),
            "user:info".to_owned(),
        ])],
        ..Client::new("two")
    };
    let machine = Client {
        redirect_uris: uri("https://machine.example/cb"),
        grant_types: vec![GrantType::ClientCredentials],
        ..Client::new("machine")
    };
    let secret = Client {
        secrets: vec![crate::config::ClientSecret::of("s")],
        redirect_uris: uri("https://secret.example/cb"),
        default_scopes: Scopes::parse("user:info").unwrap(),
        ..Client::new("secret")
    };
    let disabled = Client {
        standing: crate::config::ClientStanding::Disabled,
        redirect_uris: uri("https://disabled.example/cb"),
        ..Client::new("disabled")
    };
    let mut config = Config::new(Issuer::parse("https://auth.example.com").unwrap());
    config.clients = vec![app, two, machine, secret, disabled];
    config.resources = vec![Resource {
        uri: "https://orders".to_owned(),
        scopes: vec!["orders:read".to_owned()],
        format: TokenFormat::Jwt,
    }];
    config
}

/// What becomes of a query: `ok`, `400 <code>`, or where the client is told what.
fn outcome(query: &str) -> String {
    let config = config();
    let clients = config.all_clients().into_iter().map(|client| (client.id.clone(), client)).collect();
    let registry = Registry { config: &config, clients: &clients };
    let Ok(params) = Params::of_text(query) else { return "400 unreadable".to_owned() };
    match Request::read(&params, registry) {
        Ok(request) => format!("ok {}", request.scopes),
        Err(Refused::Here(fault)) => format!("400 {}", fault.code.name()),
        Err(Refused::There(reply, fault)) => format!("{:?} {}", reply.mode, fault.code.name()),
    }
}

#[track_caller]
fn check(query: &str, expected: &str) {
    assert_eq!(outcome(query), expected, "{query}");
}

#[test]
fn nothing_leads_anywhere_before_client_and_redirect_uri_are_known() {
    check("", "400 unauthorized_client");
    check("client_id=", "400 unauthorized_client");
    check("client_id=nobody&redirect_uri=https%3A%2F%2Fapp.example%2Fcb", "400 unauthorized_client");
    check("client_id=disabled&redirect_uri=https%3A%2F%2Fdisabled.example%2Fcb", "400 unauthorized_client");
    check("client_id=app&redirect_uri=https%3A%2F%2Fevil.example%2F", "400 invalid_request");
    check("client_id=app&redirect_uri=https%3A%2F%2Fapp.example%2Fcb%23x", "400 invalid_request");
    check("client_id=app&redirect_uri=https%3A%2F%2Fapp.example%2Fcb%0d%0aX", "400 invalid_request");
    check("client_id=two&response_type=code", "400 invalid_request");
    check("client_id=app&response_type=code&scope=email+openid", "400 invalid_request");
    check(
        &format!("{APP}&code_challenge={CHALLENGE}&code_challenge_method=S256&idp=nobody"),
        "400 invalid_request",
    );
    check(&format!("{APP}&state={}", "x".repeat(9000)), "400 invalid_request");
}

#[test]
fn a_parameter_that_is_there_twice_leads_nowhere() {
    for twice in
        ["client_id=app", "state=1&state=2", "scope=openid", "nonce&nonce=", "n%6Fnce=1&nonce=2", "x=1&x=1"]
    {
        check(&format!("{APP}&{twice}"), "400 unreadable");
    }
    check(&format!("{APP}&state=%00"), "400 unreadable");
    check(&format!("{APP}&state=%ff"), "400 unreadable");
}

#[test]
fn the_response_type_is_checked_before_its_mode_and_the_mode_before_the_challenge() {
    let base = "client_id=app&redirect_uri=https%3A%2F%2Fapp.example%2Fcb";
    for (rest, expected) in [
        ("", "Query invalid_request"),
        ("&response_type=", "Query invalid_request"),
        ("&response_mode=fragment", "Fragment invalid_request"),
        ("&response_mode=form_post", "FormPost invalid_request"),
        ("&response_type=id_token", "Query unsupported_response_type"),
        ("&response_type=code+token", "Query unsupported_response_type"),
        ("&response_type=CODE", "Query unsupported_response_type"),
        ("&response_type=token", "Fragment unauthorized_client"),
        ("&response_type=token&response_mode=query", "Fragment unauthorized_client"),
        ("&response_type=code&response_mode=web_message", "Query invalid_request"),
        ("&response_type=code&response_mode=web_message&request=x", "Query invalid_request"),
        ("&response_type=code&request=x", "Query request_not_supported"),
        ("&response_type=code&request=", "Query request_not_supported"),
        ("&response_type=code&request_uri=https://x", "Query request_uri_not_supported"),
        ("&response_type=code&response_mode=form_post&request_uri=x", "FormPost request_uri_not_supported"),
        ("&response_type=code&scope=nonsense", "Query invalid_request"),
        ("&response_type=id_token&error=access_denied", "Query unsupported_response_type"),
    ] {
        check(&format!("{base}{rest}"), expected);
    }
    check("client_id=machine&response_type=code&scope=user:info", "Query unauthorized_client");
    check(
        "client_id=openshift-challenging-client&response_type=token&response_mode=query",
        "Fragment invalid_request",
    );
    check("client_id=openshift-challenging-client&response_type=token", "ok user:full");
}

#[test]
fn a38_a_public_client_binds_its_code_by_s256() {
    let (short, long) = ("a".repeat(42), "a".repeat(129));
    for (rest, expected) in [
        (String::new(), "Query invalid_request"),
        (format!("&code_challenge={CHALLENGE}"), "Query invalid_request"),
        (format!("&code_challenge={CHALLENGE}&code_challenge_method=plain"), "Query invalid_request"),
        (format!("&code_challenge={CHALLENGE}&code_challenge_method=s256"), "Query invalid_request"),
        (format!("&code_challenge={short}&code_challenge_method=S256"), "Query invalid_request"),
        (format!("&code_challenge={long}&code_challenge_method=S256"), "Query invalid_request"),
        (
            format!("&code_challenge={}%2b&code_challenge_method=S256", "a".repeat(42)),
            "Query invalid_request",
        ),
        ("&code_challenge_method=S256".to_owned(), "Query invalid_request"),
        (format!("&code_challenge={CHALLENGE}&code_challenge_method=S256"), "ok openid"),
        (format!("&code_challenge={}&code_challenge_method=S256", "~".repeat(128)), "ok openid"),
    ] {
        check(&format!("{APP}{rest}"), expected);
    }
    let two = "client_id=two&redirect_uri=https%3A%2F%2Ftwo.example%2Fa&response_type=code";
    check(&format!("{two}&code_challenge={CHALLENGE}"), "ok user:info");
    check(&format!("{two}&code_challenge={CHALLENGE}&code_challenge_method=plain"), "ok user:info");
    check(&format!("{two}&code_challenge={CHALLENGE}&code_challenge_method=other"), "Query invalid_request");
    check("client_id=secret&response_type=code", "ok user:info");
    check("client_id=secret&response_type=code&code_challenge_method=S256", "Query invalid_request");
    check(
        "client_id=openshift-challenging-client&response_type=code&code_challenge_method=S256",
        "ok user:full",
    );
}

#[test]
fn scopes_are_known_and_within_what_the_client_may_have() {
    let two = format!(
        "client_id=two&redirect_uri=https%3A%2F%2Ftwo.example%2Fa&response_type=code&code_challenge={CHALLENGE}"
    );
    let app =
        format!("{}&code_challenge={CHALLENGE}&code_challenge_method=S256", APP.replace("&scope=openid", ""));
    for (query, expected) in [
        (format!("{two}&scope=openid"), "ok openid"),
        (format!("{two}&scope="), "ok user:info"),
        (format!("{two}&scope=openid+openid"), "ok openid"),
        (format!("{two}&scope=openid+nonsense"), "Query invalid_scope"),
        (format!("{two}&scope=openid+user:full"), "Query access_denied"),
        (format!("{two}&scope=openid%22"), "Query invalid_scope"),
        (format!("{two}&scope=openid%0Aprofile"), "Query invalid_scope"),
        (format!("{two}&scope=openid%5C"), "Query invalid_scope"),
        (app.clone(), "Query invalid_scope"),
        (format!("{app}&scope=role:view:shop:!+orders:read"), "ok role:view:shop:! orders:read"),
        (format!("{app}&scope=openid&resource=https%3A%2F%2Forders"), "ok openid"),
        (format!("{app}&scope=openid&resource=https%3A%2F%2Fother"), "Query invalid_target"),
    ] {
        check(&query, expected);
    }
}

#[test]
fn prompt_and_max_age_mean_something_or_are_refused() {
    let app = format!("{APP}&code_challenge={CHALLENGE}&code_challenge_method=S256");
    for (rest, expected) in [
        ("&prompt=none", "ok openid"),
        ("&prompt=login+consent+select_account", "ok openid"),
        ("&prompt=none+login", "Query invalid_request"),
        ("&prompt=create", "Query invalid_request"),
        ("&prompt=", "ok openid"),
        ("&max_age=0", "ok openid"),
        ("&max_age=-1", "Query invalid_request"),
        ("&max_age=%2B1", "Query invalid_request"),
        ("&max_age=99999999999", "Query invalid_request"),
        ("&max_age=1.5", "Query invalid_request"),
        ("&ui_locales=de&login_hint=alice&nonce=n&error=access_denied&unknown=1", "ok openid"),
    ] {
        check(&format!("{app}{rest}"), expected);
    }
}
