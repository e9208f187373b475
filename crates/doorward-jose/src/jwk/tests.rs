use super::*;

#[test]
fn a_key_set_is_an_object_with_a_list_of_keys() {
    for (json, expected) in [
        ("{\"keys\":[]}", Ok(0)),
        ("{\"keys\":[5,null,\"x\",[],{},{\"kty\":\"AKP\"},{\"kty\":\"RSA\"}]}", Ok(0)),
        ("{\"keys\":{}}", Err(InvalidKeySet::NotAKeySet)),
        ("{}", Err(InvalidKeySet::NotAKeySet)),
        ("[]", Err(InvalidKeySet::NotAKeySet)),
        ("<html>", Err(InvalidKeySet::NotAKeySet)),
    ] {
        assert_eq!(KeySet::from_jwks(json.as_bytes()).map(|keys| keys.len()), expected, "{json}");
    }
    let many = format!("{{\"keys\":[{}1]}}", "1,".repeat(MAX_KEYS));
    assert_eq!(KeySet::from_jwks(many.as_bytes()).map(|keys| keys.len()), Err(InvalidKeySet::TooManyKeys));
}

#[test]
fn a_pem_file_must_hold_a_public_key() {
    for (pem, expected) in [
        ("", InvalidKeySet::NoPublicKey),
        ("-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n", InvalidKeySet::NoPublicKey),
        ("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n", InvalidKeySet::NoPublicKey),
        ("-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n", InvalidKeySet::UnusablePublicKey),
        ("-----BEGIN PUBLIC KEY-----", InvalidKeySet::UnusablePublicKey),
    ] {
        assert_eq!(KeySet::from_pem(pem.as_bytes()).map(|keys| keys.len()), Err(expected), "{pem}");
    }
}
