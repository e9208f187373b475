//! A provider that means harm, or is broken in the worst way: whatever it answers meets a limit, ends in a page and in a
//! line of the log that names the cause, and memory stays within bounds.

use doorward_testkit::{Endpoint, Fault, Launch};
use serde_json::{Value, json};

use crate::support::{PROGRAM, Stage, assert_login_accepted, assert_login_refused, at_once, parts};

/// Far above what the process needs, and far below what the answers here would fill.
const MEMORY: u64 = 200 * 1024 * 1024;

const DEEP: &str = "[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[";

/// What goes wrong below the answer itself, and what the log says of it.
const TRANSPORT: &[(Fault, &str)] = &[
    (Fault::Hang, "did not answer in time"),
    (Fault::Drip, "did not answer in time"),
    (Fault::EndlessInterim, "did not answer in time"),
    (Fault::Close, "cannot be reached"),
    (Fault::EndlessBody, "longer than anybody reads"),
    (Fault::GzipBomb, "longer than anybody reads"),
    (Fault::EndlessHeaders, "cannot be reached"),
    (Fault::Raw(b"\0\0\x12\x04\0\0\0\0\0"), "cannot be reached"),
    (Fault::Raw(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n{"), "cannot be reached"),
    (Fault::Raw(b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n{}"), "cannot be reached"),
    (
        Fault::Raw(b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 4\r\n\r\n\x1f\x8b\0\0"),
        "cannot be reached",
    ),
    (
        Fault::Raw(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nffffffffffffffff0\r\n"),
        "cannot be reached",
    ),
];

/// The login fails with a page, the log names the cause, and afterwards all is as before.
#[track_caller]
fn assert_survived(stage: &mut Stage, endpoint: Endpoint, fault: Fault, cause: &str) {
    stage.provider.fail(endpoint, fault);
    let why = format!("{endpoint:?} {}", format!("{fault:?}").chars().take(80).collect::<String>());
    let page = assert_login_refused(stage, &why);
    assert!(page.header("content-type").starts_with("text/html"), "{why}");
    stage.doorward.wait_for_log(cause);
    stage.provider.mend(endpoint);
    stage.doorward.assert_alive();
    let peak = stage.doorward.peak_memory();
    assert!(peak < MEMORY, "{why}: {peak} bytes");
    for line in stage.doorward.log().lines() {
        assert!(line.len() < 2000, "{why}: {line}");
    }
}

fn without_email(stage: &Stage) {
    stage.provider.set(|knobs| knobs.claim("email", Value::Null));
}

#[test]
fn a_token_endpoint_that_breaks_the_transport() {
    at_once(TRANSPORT, |&(fault, cause)| {
        let mut stage = Stage::new(&[]);
        assert_survived(&mut stage, Endpoint::Token, fault, cause);
        assert_login_accepted(&stage, &format!("after {cause}"));
    });
}

#[test]
fn a_userinfo_endpoint_that_breaks_the_transport() {
    at_once(TRANSPORT, |&(fault, cause)| {
        let mut stage = Stage::new(&[]);
        without_email(&stage);
        assert_survived(&mut stage, Endpoint::UserInfo, fault, cause);
    });
}

#[test]
fn keys_that_break_the_transport() {
    at_once(TRANSPORT, |&(fault, cause)| {
        let mut stage = Stage::new(&[]);
        assert_survived(&mut stage, Endpoint::Keys, fault, cause);
    });
}

#[test]
fn tokens_of_wrong_types() {
    let html = "<!doctype html><title>Welcome</title><form>Log in</form>";
    let deep: &str = format!("{{\"access_token\":{DEEP}").leak();
    let answers = [
        (Fault::Json(html), "neither a JSON object nor a form"),
        (Fault::Json("[]"), "neither a JSON object nor a form"),
        (Fault::Json("null"), "neither a JSON object nor a form"),
        (Fault::Json(""), "neither a JSON object nor a form"),
        (Fault::Json(deep), "neither a JSON object nor a form"),
        (
            Fault::Json("{\"access_token\":\"a\",\"id_token\":\"\\ud800\"}"),
            "neither a JSON object nor a form",
        ),
        (
            Fault::Raw(b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\n{\"\xff\":1"),
            "neither a JSON object nor a form",
        ),
        (Fault::Json("{}"), "no access_token"),
        (Fault::Json("{\"access_token\":7}"), "access_token is not a text"),
        (Fault::Json("{\"access_token\":{\"a\":[]}}"), "access_token is not a text"),
        (Fault::Json("{\"access_token\":\"a\",\"id_token\":[\"x\"]}"), "id_token is not a text"),
        (Fault::Json("{\"access_token\":\"a\",\"refresh_token\":false}"), "refresh_token is not a text"),
        (Fault::Json("{\"access_token\":\"a\",\"expires_in\":\"soon\"}"), "expires_in is not a number"),
        (Fault::Json("{\"access_token\":\"a\",\"expires_in\":[]}"), "expires_in is not a number"),
        (Fault::Json("{\"access_token\":\"a\",\"expires_in\":1e999}"), "neither a JSON object nor a form"),
        (Fault::Json("{\"access_token\":\"a\",\"id_token\":\"a.b.c\"}"), "malformed"),
        (Fault::Json("{\"access_token\":\"a\",\"id_token\":\"...\"}"), "malformed"),
        (Fault::Json("{\"error\":{\"a\":1},\"access_token\":\"a\"}"), "no id_token"),
        (Fault::Status(500, "{\"error\":7}"), "status 500"),
    ];
    let mut stage = Stage::new(&[]);
    for (fault, cause) in answers {
        assert_survived(&mut stage, Endpoint::Token, fault, cause);
    }
    assert_login_accepted(&stage, "after all of them");
}

#[test]
fn userinfo_of_wrong_types() {
    let deep: &str = format!("{{\"email\":{DEEP}").leak();
    let answers = [
        (Fault::Json("<html>"), "userinfo answer is not a JSON object"),
        (Fault::Json("[1]"), "userinfo answer is not a JSON object"),
        (Fault::Json(deep), "userinfo answer is not a JSON object"),
        (Fault::Json("{\"sub\":7,\"email\":\"x@example.com\"}"), "about somebody else"),
        (Fault::Json("{\"sub\":[\"sub-1\"],\"email\":\"x@example.com\"}"), "about somebody else"),
        (Fault::Json("{\"sub\":\"sub-1\",\"email\":{\"a\":1}}"), "email"),
    ];
    let mut stage = Stage::new(&[]);
    without_email(&stage);
    for (fault, cause) in answers {
        assert_survived(&mut stage, Endpoint::UserInfo, fault, cause);
    }
}

#[test]
fn key_sets_of_wrong_types_and_sizes() {
    let key = json!({ "kty": "EC", "crv": "P-256", "x": "AAAA", "y": "AAAA", "kid": "k" }).to_string();
    let many: &str = format!("{{\"keys\":[{}]}}", vec![key.as_str(); 10_000].join(",")).leak();
    let modulus = "f".repeat(900_000);
    let giant: &str =
        json!({ "keys": [{ "kty": "RSA", "kid": "rsa-1", "n": modulus, "e": "AQAB" }] }).to_string().leak();
    let deep: &str = format!("{{\"keys\":{DEEP}").leak();
    let answers = [
        (Fault::Json(many), "more than 200 keys"),
        (Fault::Json(giant), "signature of the token is wrong"),
        (Fault::Json(deep), "not a JSON object with a list named keys"),
        (Fault::Json("<html>"), "not a JSON object with a list named keys"),
        (Fault::Json("{\"keys\":{\"kty\":\"RSA\"}}"), "not a JSON object with a list named keys"),
        (
            Fault::Json("{\"keys\":[1,\"a\",null,[],{\"kty\":[]},{\"kty\":\"RSA\",\"n\":7,\"e\":{}}]}"),
            "no key of the provider",
        ),
        (
            Fault::Json("{\"keys\":[{\"kty\":\"oct\",\"kid\":\"rsa-1\",\"k\":\"AAAA\"}]}"),
            "no key of the provider",
        ),
    ];
    at_once(&answers, |&(fault, cause)| {
        let mut stage = Stage::new(&[]);
        assert_survived(&mut stage, Endpoint::Keys, fault, cause);
    });
}

#[test]
fn metadata_of_wrong_types() {
    let wrong =
        [json!(7), json!([]), json!({}), json!("x"), json!(""), json!(false), json!("javascript:alert(1)")];
    for member in ["authorization_endpoint", "token_endpoint", "jwks_uri", "userinfo_endpoint"] {
        at_once(&wrong, |value| {
            let prepare = |provider: &doorward_testkit::Provider| {
                provider.set(|knobs| _ = knobs.discovery.insert(member.into(), value.clone()));
            };
            let mut stage = Stage::before(prepare, |launch| launch);
            stage.doorward.wait_for_log(&format!("the {member} in the metadata is not a URL"));
            assert_eq!(stage.browser().get("/oauth2/start").status, 503, "{member} {value}");
            stage.doorward.assert_alive();
        });
    }
}

#[test]
fn lists_of_wrong_types_in_the_metadata_are_as_good_as_absent() {
    let names = [
        "id_token_signing_alg_values_supported",
        "code_challenge_methods_supported",
        "token_endpoint_auth_methods_supported",
        "prompt_values_supported",
        "authorization_response_iss_parameter_supported",
    ];
    for value in [json!(7), json!({ "a": 1 }), json!("RS256"), json!([[], {}, 7, null])] {
        let prepare = |provider: &doorward_testkit::Provider| {
            provider.set(|knobs| {
                knobs.discovery.extend(names.map(|name| (name.to_owned(), value.clone())));
            });
        };
        let stage = Stage::before(prepare, |launch| launch);
        assert_login_accepted(&stage, &value.to_string());
    }
}

#[test]
fn a_redirect_never_carries_a_code_a_token_or_a_secret_away() {
    for endpoint in [Endpoint::Token, Endpoint::UserInfo, Endpoint::Keys] {
        for status in [301, 302, 303, 307, 308] {
            let mut stage = Stage::new(&[]);
            let target: &str = format!("{}/internal", stage.echo.url()).leak();
            without_email(&stage);
            let cause = match endpoint {
                Endpoint::Keys => "redirects to another place",
                Endpoint::UserInfo => "answered with status 3",
                _ => "a redirect, which is not followed",
            };
            assert_survived(&mut stage, endpoint, Fault::Redirect(status, target), cause);
            assert!(stage.echo.seen().is_empty(), "{endpoint:?} {status}: {:?}", stage.echo.seen());
        }
    }
}

#[test]
fn a_circle_of_redirects_ends() {
    let mut stage = Stage::new(&[]);
    assert_survived(&mut stage, Endpoint::Keys, Fault::Redirect(302, "/keys"), "redirects to another place");
    assert!(stage.provider.count(Endpoint::Keys) <= 8, "{}", stage.provider.count(Endpoint::Keys));
}

#[test]
fn discovery_that_leads_elsewhere_is_not_followed() {
    for target in [
        "http://127.0.0.1:1/",
        "http://[::1]/",
        "http://169.254.169.254/latest",
        "file:///etc/passwd",
        "//evil.example",
    ] {
        let (provider, echo) = parts();
        provider.fail(Endpoint::Discovery, Fault::Redirect(302, target));
        let mut doorward = Launch::new(PROGRAM, &provider, &echo).start();
        doorward.wait_for_log("redirects to another place");
        assert_eq!(doorward.browser().get("/ready").status, 503, "{target}");
        doorward.assert_alive();
    }
}
