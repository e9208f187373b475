use std::{fs, path::Path};

use serde_json::json;

use super::*;
use crate::{KeySet, verify};

fn file(name: &str) -> Vec<u8> {
    fs::read(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/client_keys").join(name)).unwrap()
}

fn read(name: &str) -> Result<ClientKey, InvalidClientKey> {
    ClientKey::read(&file(name), None, None)
}

/// Header of a token.
fn header(token: &SecretString) -> Value {
    let part = token.expose().split('.').next().unwrap();
    serde_json::from_slice(&URL_SAFE_NO_PAD.decode_to_vec(part).unwrap()).unwrap()
}

fn verifies(key: &ClientKey, token: &SecretString) {
    let published = json!({"keys": [key.bare_public_jwk()]});
    let set = KeySet::from_jwks(&serde_json::to_vec(&published).unwrap()).unwrap();
    let verified = verify(token.expose(), &set, &[key.algorithm()]).unwrap();
    assert_eq!(verified.claims().get("sub"), Some(&json!("client")));
}

#[test]
fn a_key_is_the_same_in_every_form_and_signs_with_its_algorithm() {
    for (names, algorithm) in [
        (&["rsa.pem", "rsa.pkcs1.pem", "rsa.jwk"][..], Algorithm::Rs256),
        (&["p256.pem", "p256.sec1.pem", "p256.jwk"], Algorithm::Es256),
        (&["ed25519.pem", "ed25519.jwk"], Algorithm::EdDsa),
    ] {
        let first = read(names[0]).unwrap();
        for name in names {
            let key = read(name).unwrap();
            assert_eq!(key.algorithm(), algorithm, "{name}");
            assert_eq!(key, first, "{name}");
            let token = key.sign("JWT", &json!({"sub": "client"})).unwrap();
            assert_eq!(header(&token), json!({"alg": algorithm.name(), "typ": "JWT"}), "{name}");
            verifies(&key, &token);
            assert!(!format!("{key:?}").contains("RsaKeyPair"));
        }
    }
    let pss = ClientKey::read(&file("rsa.pem"), Some(Algorithm::Ps256), None).unwrap();
    let token = pss.sign("JWT", &json!({"sub": "client"})).unwrap();
    assert_eq!(header(&token)["alg"], "PS256");
    verifies(&pss, &token);
    assert_ne!(pss, read("rsa.pem").unwrap());
}

#[test]
fn a_key_is_called_what_was_written_else_what_its_file_says() {
    let named = String::from_utf8(file("p256.jwk")).unwrap().replace("\"kty\"", "\"kid\":\"mine\",\"kty\"");
    for (content, kid, expected) in [
        (named.as_bytes(), None, json!({"kid": "mine"})),
        (named.as_bytes(), Some("theirs"), json!({"kid": "theirs"})),
        (&file("p256.pem"), Some("theirs"), json!({"kid": "theirs"})),
        (
            &file("p256.with-cert.pem"),
            None,
            // As `openssl x509 -outform der | openssl dgst -sha256` says.
            json!({"x5t#S256": "sQPPx51DW1o56S8DUs0kB71jMbrmLzIMpovSKK92O00"}),
        ),
    ] {
        let key = ClientKey::read(content, None, kid).unwrap();
        let mut header = header(&key.sign("JWT", &json!({})).unwrap());
        header.as_object_mut().unwrap().retain(|name, _| !["alg", "typ"].contains(&name.as_str()));
        assert_eq!(header, expected);
    }
}

#[test]
fn a_shown_key_has_nothing_private_and_no_name() {
    for name in ["rsa.jwk", "p256.jwk", "ed25519.jwk"] {
        let key = ClientKey::read(&file(name), None, Some("mine")).unwrap();
        let header = header(&key.sign_showing("dpop+jwt", &json!({})).unwrap());
        let members: Vec<&str> = header.as_object().unwrap().keys().map(String::as_str).collect();
        assert_eq!(members, ["alg", "jwk", "typ"]);
        let public = header["jwk"].as_object().unwrap();
        assert!(public.keys().all(|name| ["kty", "n", "e", "crv", "x", "y"].contains(&name.as_str())));
    }
}

#[test]
fn weak_shared_public_encrypted_and_foreign_keys_are_refused() {
    let public = |name: &str| {
        let mut jwk: Value = serde_json::from_slice(&file(name)).unwrap();
        jwk.as_object_mut().unwrap().remove("d");
        jwk.to_string().into_bytes()
    };
    let with = |name: &str, member: &str, value: Value| {
        let mut jwk: Value = serde_json::from_slice(&file(name)).unwrap();
        jwk[member] = value;
        jwk.to_string().into_bytes()
    };
    for (content, expected) in [
        (file("rsa1024.pem"), InvalidClientKey::Unusable),
        (file("p384.pem"), InvalidClientKey::Unusable),
        (file("encrypted.pem"), InvalidClientKey::Encrypted),
        (public("rsa.jwk"), InvalidClientKey::PublicOnly),
        (with("p256.jwk", "crv", json!("P-384")), InvalidClientKey::Unusable),
        // The public half has to be that of the private one.
        (
            with("ed25519.jwk", "x", json!("11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo")),
            InvalidClientKey::Unusable,
        ),
        (with("rsa.jwk", "d", json!("AQAB")), InvalidClientKey::Unusable),
        (br#"{"kty": "oct", "k": "c2VjcmV0"}"#.to_vec(), InvalidClientKey::Shared),
        (br#"{"keys": []}"#.to_vec(), InvalidClientKey::NoKey),
        (b"-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n".to_vec(), InvalidClientKey::NoKey),
        (b"s3cret".to_vec(), InvalidClientKey::NoKey),
        (vec![0xff, 0xfe], InvalidClientKey::NoKey),
        (with("rsa.jwk", "alg", json!("none")), InvalidClientKey::UnknownAlgorithm("none".to_owned())),
        (
            with("rsa.jwk", "alg", json!("HS256")),
            InvalidClientKey::Algorithm { wanted: Algorithm::Hs256, possible: "RS256 and PS256" },
        ),
        (
            with("p256.jwk", "alg", json!("RS256")),
            InvalidClientKey::Algorithm { wanted: Algorithm::Rs256, possible: "ES256" },
        ),
    ] {
        assert_eq!(ClientKey::read(&content, None, None).unwrap_err(), expected);
    }
}
