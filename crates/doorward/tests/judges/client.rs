//! Doorward as a client that proves who it is by more than a secret, at oidc-provider. The configurations are those of
//! docs/client-authentication.md.

use std::{
    fs,
    path::Path,
    time::{SystemTime, UNIX_EPOCH},
};

use doorward_jose::ClientKey;
use doorward_testkit::{Answer, Browser, Doorward, Echo, Launch, Request, eventually, free_address};
use serde_json::{Value, json};

use crate::{
    identity_provider::Upstream,
    place::{PROGRAM, SECRET},
};

const PAGE: &str = include_str!("../../../../docs/client-authentication.md");

/// A block of the page.
#[track_caller]
fn block(name: &str) -> &'static str {
    let mark = format!("<!-- block: {name} -->\n```toml\n");
    let rest = PAGE.split_once(&mark).unwrap_or_else(|| panic!("the page has no block {name}")).1;
    rest.split_once("```").unwrap().0
}

fn data(path: &str) -> String {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    fs::read_to_string(root.join(path)).unwrap()
}

fn key_file(name: &str) -> String {
    data(&format!("doorward-jose/tests/data/client_keys/{name}"))
}

/// The public half of a key, as the provider keeps it.
fn public(jwk: &str, changes: &Value) -> Value {
    let mut jwk: Value = serde_json::from_str(&key_file(jwk)).unwrap();
    let members = jwk.as_object_mut().unwrap();
    members.retain(|name, _| ["kty", "n", "e", "crv", "x", "y"].contains(&name.as_str()));
    members.extend(changes.as_object().unwrap().clone());
    jwk
}

/// A provider, an application, and doorward between them.
struct Stage {
    doorward: Doorward,
    upstream: Upstream,
    _echo: Echo,
}

/// What the block of the page is tried with.
struct Trial<'a> {
    block: &'static str,
    /// What is written besides, or in place of a line of the block.
    more: &'a str,
    files: &'a [(&'a str, String)],
    /// More settings of the provider.
    provider: Value,
    flags: &'a [&'a str],
}

impl Trial<'_> {
    fn launch(&self) -> (Launch, Upstream, Echo) {
        let launch = Launch::bare(PROGRAM);
        let callback = format!("http://{}/oauth2/callback", launch.address);
        let upstream = Upstream::with(&callback, &self.provider);
        let echo = Echo::start();
        let replaced = |line: &&str| {
            let key = line.split('=').next().unwrap_or_default().trim();
            !self.more.lines().any(|other| other.split('=').next().unwrap_or_default().trim() == key)
        };
        let lines: Vec<&str> = block(self.block).lines().filter(replaced).collect();
        let folder = launch.folder();
        let text = format!("{}\n{}", lines.join("\n"), self.more);
        let text = text.replace("/etc/doorward", &folder).replace("/var/run/secrets/tokens", &folder);
        let mut launch = launch
            .file("doorward.cfg", &text)
            .flag("--config={file:doorward.cfg}")
            .flag("--provider=oidc")
            .flag(&format!("--oidc-issuer-url={}", upstream.issuer()))
            .flag(&format!("--cookie-secret={}", Launch::COOKIE_SECRET))
            .flag("--cookie-secure=false")
            .flag("--email-domain=*")
            .flag("--scope=openid email")
            .flag("--insecure-oidc-allow-unverified-email")
            .flag(&format!("--upstream={}", echo.url()))
            .flags(self.flags.iter().copied());
        for (name, content) in self.files {
            launch = launch.private_file(name, content);
        }
        (launch, upstream, echo)
    }

    fn start(&self) -> Stage {
        let (launch, upstream, echo) = self.launch();
        upstream.order(&jane());
        Stage { doorward: launch.start(), upstream, _echo: echo }
    }
}

fn jane() -> Value {
    json!({"who": {"sub": "jane", "email": "jane@example.com"}})
}

/// Orders beside who signs in.
fn ordered(more: &Value) -> Value {
    let mut orders = jane();
    orders.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    orders
}

impl Stage {
    /// Goes to the provider and back.
    #[track_caller]
    fn log_in(&self) -> (Browser, Answer) {
        let mut browser = self.doorward.browser();
        let begun = browser.start("/page");
        let callback = self.upstream.sign_in(begun.location());
        let answer = browser.get(&callback);
        (browser, answer)
    }

    #[track_caller]
    fn logged_in(&self) -> Browser {
        let (mut browser, answer) = self.log_in();
        assert_eq!(answer.status, 302, "{}\n{}", answer.text(), self.doorward.log());
        assert_eq!(browser.get("/page").status, 200);
        browser
    }

    #[track_caller]
    fn turned_away(&self, reason: &str) {
        let (mut browser, answer) = self.log_in();
        assert!(answer.status >= 400, "{}", answer.status);
        self.doorward.wait_for_log(reason);
        assert_ne!(browser.get("/page").status, 200);
    }
}

const SECRET_OF_32: &str = "a-secret-of-clients-4711-and-more";

#[test]
fn a_key_proves_who_we_are_at_every_endpoint_and_no_assertion_comes_twice() {
    for (file, jwk, more, algorithm) in [
        ("p256.pem", "p256.jwk", "", "ES256"),
        ("rsa.pem", "rsa.jwk", "", "RS256"),
        ("rsa.pkcs1.pem", "rsa.jwk", "client_key_algorithm = \"PS256\"", "PS256"),
        ("ed25519.jwk", "ed25519.jwk", "client_assertion_audience = \"issuer\"", "EdDSA"),
    ] {
        let known = public(jwk, &json!({"kid": "doorward-1", "alg": algorithm, "use": "sig"}));
        let stage = Trial {
            block: "private-key-jwt",
            more,
            files: &[("client.key", key_file(file))],
            provider: json!({
                "client": {
                    "client_secret": null, "token_endpoint_auth_method": "private_key_jwt",
                    "token_endpoint_auth_signing_alg": algorithm, "jwks": {"keys": [known]},
                    "grant_types": ["authorization_code", "refresh_token"],
                },
                "provider": {
                    "clientAuthMethods": ["private_key_jwt"],
                    "enabledJWA": {"clientAuthSigningAlgValues": ["RS256", "PS256", "ES256", "EdDSA"]},
                    "features": {"revocation": {"enabled": true}, "pushedAuthorizationRequests": {"enabled": true}},
                },
            }),
            flags: &["--revoke-tokens", "--pushed-authorization-requests", "--cookie-refresh=1s"],
        }
        .start();
        let mut browser = stage.logged_in();
        assert!(browser.get("/oauth2/sign_out").status < 400);
        eventually("the token is taken back", || !stage.upstream.seen("/token/revocation").is_empty());
        let mut ids = std::collections::BTreeSet::new();
        for path in ["/request", "/token", "/token/revocation"] {
            for seen in stage.upstream.seen(path) {
                assert!(seen["status"].as_u64().unwrap() < 300, "{algorithm} {seen}");
                assert!(ids.insert(seen["jti"].as_str().unwrap().to_owned()), "{algorithm} {seen}");
                assert_eq!(seen["shown"], false, "{algorithm} {seen}");
            }
        }
        assert!(ids.len() >= 3, "{algorithm} {ids:?}");
    }
}

fn private_key_client(key: &Value) -> Value {
    json!({
        "client": {
            "client_secret": null, "token_endpoint_auth_method": "private_key_jwt",
            "token_endpoint_auth_signing_alg": "ES256", "jwks": {"keys": [key]},
        },
        "provider": {"clientAuthMethods": ["private_key_jwt"]},
    })
}

#[test]
fn a_key_that_the_provider_does_not_know_logs_nobody_in_and_a_new_one_does() {
    let other = json!({
        "kty": "EC", "crv": "P-256", "x": "f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU",
        "y": "x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0", "kid": "doorward-1",
    });
    let stage = Trial {
        block: "private-key-jwt",
        more: "",
        files: &[("client.key", key_file("p256.pem"))],
        provider: private_key_client(&other),
        flags: &[],
    }
    .start();
    stage.turned_away("invalid_client");
}

#[test]
fn a_secret_signs_in_place_of_being_sent() {
    let stage = Trial {
        block: "client-secret-jwt",
        more: "",
        files: &[("client-secret", format!("{SECRET_OF_32}\n"))],
        provider: json!({
            "client": {"client_secret": SECRET_OF_32, "token_endpoint_auth_method": "client_secret_jwt"},
            "provider": {"clientAuthMethods": ["client_secret_jwt"]},
        }),
        flags: &[],
    }
    .start();
    stage.logged_in();
    let seen = stage.upstream.seen("/token");
    assert!(seen.iter().all(|seen| seen["jti"].is_string() && seen["shown"] == false), "{seen:?}");
}

/// The provider with a listener for certificates, to which its metadata point.
fn with_certificates(client: &Value) -> Value {
    let port = free_address().port();
    let at = |path: &str| format!("https://127.0.0.1:{port}{path}");
    let aliases = json!({"token_endpoint": at("/token"), "userinfo_endpoint": at("/me")});
    json!({
        "client": client,
        "mtls": {
            "port": port, "cert": data("doorward-oidc/tests/data/server.pem"),
            "key": data("doorward-oidc/tests/data/server.key"), "ca": data("doorward-oidc/tests/data/client-ca.pem"),
        },
        "provider": {
            "clientAuthMethods": ["tls_client_auth", "self_signed_tls_client_auth"],
            "discovery": {"mtls_endpoint_aliases": aliases}, "features": {"mTLS": true},
        },
    })
}

#[test]
fn a_certificate_proves_who_we_are_where_the_metadata_say() {
    let ours = data("doorward-oidc/tests/data/client.pem");
    for (more, client) in [
        (
            "",
            json!({"token_endpoint_auth_method": "tls_client_auth", "tls_client_auth_subject_dn": "CN=client"}),
        ),
        (
            "client_auth_method = \"self_signed_tls_client_auth\"",
            json!({"token_endpoint_auth_method": "self_signed_tls_client_auth", "certificate": ours}),
        ),
    ] {
        let mut client = client;
        client["client_secret"] = Value::Null;
        client["tls_client_certificate_bound_access_tokens"] = true.into();
        let files = [
            ("client.pem", ours.clone()),
            ("client-cert.key", data("doorward-oidc/tests/data/client.key")),
            ("ca.pem", data("doorward-oidc/tests/data/ca.pem")),
        ];
        let flags = &["--provider-ca-file={file:ca.pem}"][..];
        let stage = Trial {
            block: "tls-client-auth",
            more,
            files: &files,
            provider: with_certificates(&client),
            flags,
        }
        .start();
        stage.logged_in();
        for path in ["/token", "/me"] {
            let seen = stage.upstream.seen(path);
            assert!(!seen.is_empty() && seen.iter().all(|seen| seen["tls"] == true), "{path} {seen:?}");
        }
    }
}

#[test]
fn a_public_client_says_its_name_alone() {
    let stage = Trial {
        block: "none",
        more: "",
        files: &[],
        provider: json!({
            "client": {"client_secret": null, "token_endpoint_auth_method": "none"},
            "provider": {"clientAuthMethods": ["none"]},
        }),
        flags: &[],
    }
    .start();
    stage.logged_in();
}

#[test]
fn a_login_request_is_pushed_where_it_has_to_be_and_without_that_nobody_is_sent_there() {
    let secret = [("client-secret", SECRET.to_owned())];
    for (more, required) in [("", false), ("pushed_authorization_requests = false", true)] {
        let par = json!({"enabled": true, "requirePushedAuthorizationRequests": required});
        let provider = json!({"provider": {"features": {"pushedAuthorizationRequests": par}}});
        let stage = Trial { block: "pushed", more, files: &secret, provider, flags: &[] }.start();
        stage.logged_in();
        let begun = stage.doorward.browser().start("/page");
        let query = begun.location().split_once('?').unwrap().1.to_owned();
        assert!(query.contains("request_uri=") && !query.contains("state="), "{query}");

        stage.upstream.order(&ordered(&json!({"fail": "/request"})));
        let answer = stage.doorward.browser().send(Request::get("/oauth2/start?rd=/page"));
        assert_eq!((answer.status, answer.location()), (503, ""));
        stage.doorward.wait_for_log("did not take the login request");
    }
}

#[test]
fn a_login_that_is_not_as_strong_or_as_fresh_as_demanded_is_refused() {
    let secret = [("client-secret", SECRET.to_owned())];
    let provider = json!({"provider": {"acrValues": ["urn:example:mfa", "urn:example:pwd"]}});
    let stage = Trial { block: "strength", more: "", files: &secret, provider, flags: &[] }.start();
    stage.upstream.order(&ordered(&json!({"acr": "urn:example:mfa"})));
    stage.logged_in();
    stage.upstream.order(&ordered(&json!({"acr": "urn:example:pwd"})));
    stage.turned_away("demanded is urn:example:mfa");
    let forged = json!({"acr": "urn:example:mfa", "claims": {"auth_time": 1_600_000_000}});
    stage.upstream.order(&ordered(&forged));
    stage.turned_away("at most 900 are accepted");
    stage.upstream.order(&ordered(&json!({"acr": "urn:example:mfa", "claims": {"auth_time": null}})));
    stage.turned_away("(auth_time)");
}

#[test]
fn tokens_are_bound_to_our_key_also_where_the_provider_wants_its_nonce() {
    for nonce in [None, Some("0123456789abcdef0123456789abcdef")] {
        let mut dpop = json!({"enabled": true});
        if let Some(nonce) = nonce {
            dpop["nonceSecret"] = nonce.into();
        }
        let stage = Trial {
            block: "dpop",
            more: "",
            files: &[("client-secret", SECRET.to_owned()), ("dpop.key", key_file("p256.pem"))],
            provider: json!({
                "client": {"dpop_bound_access_tokens": true},
                "provider": {"features": {"dPoP": dpop}, "conformIdTokenClaims": true},
            }),
            flags: &[],
        }
        .start();
        stage.logged_in();
        for path in ["/token", "/me"] {
            let seen = stage.upstream.seen(path);
            assert!(seen.iter().any(|seen| seen["status"] == 200 && seen["dpop"] == true), "{path} {seen:?}");
        }
    }
}

#[test]
fn a_key_that_cannot_be_used_is_told_at_start_by_its_option() {
    let nothing = json!({});
    for (name, more, files, expected) in [
        ("private-key-jwt", "", &[][..], "client-key-file: "),
        ("private-key-jwt", "", &[("client.key", key_file("rsa1024.pem"))], "RSA with 2048"),
        ("private-key-jwt", "", &[("client.key", key_file("encrypted.pem"))], "passphrase"),
        ("private-key-jwt", "", &[("client.key", r#"{"kty":"oct","k":"AAAA"}"#.to_owned())], "shared secret"),
        (
            "private-key-jwt",
            "client_key_algorithm = \"none\"",
            &[("client.key", key_file("p256.pem"))],
            "none",
        ),
        (
            "private-key-jwt",
            "client_key_algorithm = \"HS256\"",
            &[("client.key", key_file("p256.pem"))],
            "HS256",
        ),
        ("client-secret-jwt", "", &[("client-secret", "short".to_owned())], "32 bytes"),
        ("tls-client-auth", "", &[], "client-cert-file: "),
        ("assertion-file", "", &[], "client-assertion-file: "),
        ("dpop", "", &[("client-secret", SECRET.to_owned())], "dpop-key-file: "),
        (
            "dpop",
            "",
            &[("client-secret", SECRET.to_owned()), ("dpop.key", key_file("rsa.pem"))],
            "does not offer DPoP with RS256",
        ),
        ("none", "client_auth_method = \"magic\"", &[], "client-auth-method: "),
        ("none", "client_secret = \"unused\"", &[], "client-secret: "),
    ] {
        let trial = Trial { block: name, more, files, provider: nothing.clone(), flags: &[] };
        let (launch, _upstream, _echo) = trial.launch();
        let exit = launch.fail();
        assert_eq!(exit.code, Some(1), "{name} {}", exit.output);
        assert!(exit.output.contains(expected), "{name}: {expected}\n{}", exit.output);
    }
}

#[test]
fn an_assertion_of_somebody_else_is_read_for_every_request() {
    let stage = Trial {
        block: "assertion-file",
        more: "",
        files: &[("idp", "nothing yet".to_owned())],
        provider: private_key_client(&public("p256.jwk", &json!({"kid": "k"}))),
        flags: &[],
    }
    .start();
    stage.turned_away("invalid client_assertion format");
    let key = ClientKey::read(key_file("p256.pem").as_bytes(), None, Some("k")).unwrap();
    let expires = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs() + 600;
    for number in 0..2 {
        let claims = json!({
            "iss": "doorward", "sub": "doorward", "aud": stage.upstream.issuer(), "jti": number.to_string(),
            "exp": expires,
        });
        stage.doorward.rewrite("idp", key.sign("JWT", &claims).unwrap().expose());
        stage.logged_in();
    }
    // The provider takes none twice.
    stage.turned_away("invalid_client");
}
