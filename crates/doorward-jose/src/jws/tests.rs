use aws_lc_rs::{
    encoding::{AsDer, PublicKeyX509Der},
    hmac,
    rand::SystemRandom,
    rsa::KeySize,
    signature::{
        ECDSA_P256_SHA256_FIXED_SIGNING, ECDSA_P384_SHA384_FIXED_SIGNING, ECDSA_P521_SHA512_FIXED_SIGNING,
        EcdsaKeyPair, Ed25519KeyPair, KeyPair, RSA_PKCS1_SHA256, RSA_PSS_SHA256, RsaKeyPair,
    },
};
use serde_json::json;

use super::*;

enum Signer {
    Rsa(RsaKeyPair),
    P256(EcdsaKeyPair),
    P384(EcdsaKeyPair),
    P521(EcdsaKeyPair),
    Ed(Ed25519KeyPair),
}

impl Signer {
    fn rsa() -> Self {
        Self::Rsa(RsaKeyPair::generate(KeySize::Rsa2048).unwrap())
    }

    fn p256() -> Self {
        Self::P256(EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).unwrap())
    }

    fn p384() -> Self {
        Self::P384(EcdsaKeyPair::generate(&ECDSA_P384_SHA384_FIXED_SIGNING).unwrap())
    }

    fn p521() -> Self {
        Self::P521(EcdsaKeyPair::generate(&ECDSA_P521_SHA512_FIXED_SIGNING).unwrap())
    }

    fn ed() -> Self {
        Self::Ed(Ed25519KeyPair::generate().unwrap())
    }

    const fn alg(&self) -> &'static str {
        match self {
            Self::Rsa(_) => "RS256",
            Self::P256(_) => "ES256",
            Self::P384(_) => "ES384",
            Self::P521(_) => "ES512",
            Self::Ed(_) => "EdDSA",
        }
    }

    fn signature(&self, alg: &str, message: &[u8]) -> Vec<u8> {
        let random = SystemRandom::new();
        match self {
            Self::Rsa(pair) => {
                let mut signature = vec![0; pair.public_modulus_len()];
                let encoding: &dyn aws_lc_rs::signature::RsaEncoding =
                    if alg == "PS256" { &RSA_PSS_SHA256 } else { &RSA_PKCS1_SHA256 };
                pair.sign(encoding, &random, message, &mut signature).unwrap();
                signature
            }
            Self::P256(pair) | Self::P384(pair) | Self::P521(pair) => {
                pair.sign(&random, message).unwrap().as_ref().to_vec()
            }
            Self::Ed(pair) => pair.sign(message).as_ref().to_vec(),
        }
    }

    fn token(&self, header: &Value, payload: &Value) -> String {
        let signed = format!("{}.{}", b64(header.to_string()), b64(payload.to_string()));
        let alg = header["alg"].as_str().unwrap_or_default();
        format!("{signed}.{}", b64(self.signature(alg, signed.as_bytes())))
    }

    fn good(&self, kid: &str) -> String {
        self.token(&json!({"alg": self.alg(), "kid": kid}), &json!({"sub": "u"}))
    }

    fn jwk(&self, kid: &str) -> Value {
        match self {
            Self::Rsa(pair) => {
                let public = pair.public_key();
                let n = public.modulus().big_endian_without_leading_zero();
                let e = public.exponent().big_endian_without_leading_zero();
                json!({"kty": "RSA", "use": "sig", "kid": kid, "n": b64(n), "e": b64(e)})
            }
            Self::P256(pair) | Self::P384(pair) | Self::P521(pair) => {
                let point = &pair.public_key().as_ref()[1..];
                let (x, y) = point.split_at(point.len() / 2);
                let crv = match x.len() {
                    32 => "P-256",
                    48 => "P-384",
                    _ => "P-521",
                };
                json!({"kty": "EC", "crv": crv, "kid": kid, "x": b64(x), "y": b64(y)})
            }
            Self::Ed(pair) => {
                json!({"kty": "OKP", "crv": "Ed25519", "kid": kid, "x": b64(pair.public_key().as_ref())})
            }
        }
    }

    fn pem(&self) -> String {
        let der: PublicKeyX509Der<'_> = match self {
            Self::Rsa(pair) => pair.public_key().as_der().unwrap(),
            Self::P256(pair) | Self::P384(pair) | Self::P521(pair) => pair.public_key().as_der().unwrap(),
            Self::Ed(pair) => pair.public_key().as_der().unwrap(),
        };
        let body = base64_simd::STANDARD.encode_to_string(der.as_ref());
        format!("-----BEGIN PUBLIC KEY-----\n{body}\n-----END PUBLIC KEY-----\n")
    }
}

fn b64(bytes: impl AsRef<[u8]>) -> String {
    base64_simd::URL_SAFE_NO_PAD.encode_to_string(bytes.as_ref())
}

fn set(jwks: &[Value]) -> KeySet {
    KeySet::from_jwks(json!({ "keys": jwks }).to_string().as_bytes()).unwrap()
}

const ALL: &[Algorithm] = &Algorithm::ALL;

#[track_caller]
fn refused(token: &str, keys: &KeySet, expected: VerifyError) {
    assert_eq!(verify(token, keys, ALL), Err(expected));
}

#[test]
fn every_kind_of_key_verifies_its_own_signature() {
    for signer in [Signer::rsa(), Signer::p256(), Signer::p384(), Signer::ed()] {
        let expected = json!({"sub": "u"});
        for keys in [set(&[signer.jwk("k")]), KeySet::from_pem(signer.pem().as_bytes()).unwrap()] {
            let verified = verify(&signer.good("k"), &keys, ALL).unwrap();
            assert_eq!(Value::Object(verified.into_claims()), expected, "{}", signer.alg());
        }
    }
    let signer = Signer::p521();
    assert!(verify(&signer.good("k"), &set(&[signer.jwk("k")]), ALL).is_ok());
    let signer = Signer::rsa();
    let token = signer.token(&json!({"alg": "PS256", "typ": "application/AT+jwt"}), &json!({}));
    let verified = verify(&token, &set(&[signer.jwk("k")]), ALL).unwrap();
    assert_eq!(verified.token_type(), Some("at+jwt"));
}

#[test]
fn the_algorithm_is_decided_before_any_key() {
    let signer = Signer::rsa();
    let not_allowed = |alg: &str| VerifyError::AlgorithmNotAllowed { alg: alg.to_owned() };
    for alg in ["none", "None", "HS256", "RS255", ""] {
        let token = signer.token(&json!({"alg": alg, "kid": "unknown"}), &json!({}));
        refused(&token, &set(&[signer.jwk("k")]), not_allowed(alg));
    }
    let narrowed = verify(&signer.good("k"), &set(&[signer.jwk("k")]), &[Algorithm::Es256]);
    assert_eq!(narrowed, Err(not_allowed("RS256")));
    assert_eq!(verify(&signer.good("k"), &set(&[signer.jwk("k")]), &[]), Err(not_allowed("RS256")));
}

#[test]
fn a_public_key_is_never_a_shared_secret() {
    let signer = Signer::rsa();
    let message = format!("{}.{}", b64(r#"{"alg":"HS256"}"#), b64("{}"));
    for secret in [signer.pem().into_bytes(), b"secret".to_vec()] {
        let tag = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, &secret), message.as_bytes());
        let token = format!("{message}.{}", b64(tag.as_ref()));
        let shared = json!({"kty": "oct", "alg": "HS256", "k": b64(&secret)});
        let keys = set(&[signer.jwk("k"), shared]);
        assert_eq!(keys.len(), 1);
        refused(&token, &keys, VerifyError::AlgorithmNotAllowed { alg: "HS256".to_owned() });
    }
}

#[test]
fn keys_inside_the_token_are_ignored() {
    let (ours, theirs) = (Signer::p256(), Signer::p256());
    let header = json!({"alg": "ES256", "kid": "k", "jwk": theirs.jwk("k"),
        "jku": "https://evil.example/jwks", "x5u": "https://evil.example/x5u", "x5c": ["AAAA"]});
    refused(&theirs.token(&header, &json!({})), &set(&[ours.jwk("k")]), VerifyError::BadSignature);
    assert!(verify(&ours.token(&header, &json!({})), &set(&[ours.jwk("k")]), ALL).is_ok());
}

#[test]
fn a_demanded_extension_is_refused() {
    let signer = Signer::ed();
    for crit in [json!(["b64"]), json!([]), json!("exp"), json!(null)] {
        let token = signer.token(&json!({"alg": "EdDSA", "crit": crit, "b64": false}), &json!({}));
        refused(&token, &set(&[signer.jwk("k")]), VerifyError::CriticalExtension);
    }
}

#[test]
fn the_key_id_chooses_and_without_one_all_keys_are_tried() {
    let (first, second, rsa) = (Signer::ed(), Signer::ed(), Signer::rsa());
    let keys = set(&[first.jwk("1"), rsa.jwk("r"), second.jwk("2")]);
    let without_id = second.token(&json!({"alg": "EdDSA"}), &json!({}));
    assert!(verify(&without_id, &keys, ALL).is_ok());
    assert!(verify(&second.good("2"), &keys, ALL).is_ok());
    refused(&second.good("1"), &keys, VerifyError::BadSignature);
    refused(&second.good("3"), &keys, VerifyError::UnknownKey);
    refused(&second.good("../../etc/passwd"), &keys, VerifyError::UnknownKey);
    refused(&second.good("r"), &keys, VerifyError::KeyDoesNotFit);
    refused(
        &second.token(&json!({"alg": "EdDSA", "kid": 2}), &json!({})),
        &keys,
        VerifyError::Malformed("the key id is not a text"),
    );
}

#[test]
fn a_key_is_used_only_for_what_the_provider_publishes_it_for() {
    let signer = Signer::rsa();
    let with = |name: &str, value: Value| {
        let mut jwk = signer.jwk("k");
        jwk[name] = value;
        set(&[jwk])
    };
    assert!(verify(&signer.good("k"), &with("alg", json!("RS256")), ALL).is_ok());
    refused(&signer.good("k"), &with("alg", json!("PS256")), VerifyError::KeyDoesNotFit);
    for (name, value) in [
        ("alg", json!("RSA-OAEP")),
        ("use", json!("enc")),
        ("key_ops", json!(["encrypt"])),
        ("kty", json!("EC")),
        ("n", json!(5)),
    ] {
        assert_eq!(with(name, value).len(), 0, "{name}");
    }
}

#[test]
fn a_changed_signature_is_wrong() {
    for signer in [Signer::rsa(), Signer::p256(), Signer::p521(), Signer::ed()] {
        let token = signer.good("k");
        let (signed, signature) = token.rsplit_once('.').unwrap();
        let raw = base64_simd::URL_SAFE_NO_PAD.decode_to_vec(signature).unwrap();
        let mut flipped = raw.clone();
        flipped[7] ^= 1;
        let zeros = vec![0; raw.len()];
        for bad in [flipped, zeros, raw[1..].to_vec(), Vec::new()] {
            refused(&format!("{signed}.{}", b64(bad)), &set(&[signer.jwk("k")]), VerifyError::BadSignature);
        }
        refused(&format!("{signed}.@@@"), &set(&[signer.jwk("k")]), VerifyError::BadSignature);
    }
}

#[test]
fn only_the_compact_form_with_one_signature_is_read() {
    let signer = Signer::ed();
    let keys = set(&[signer.jwk("k")]);
    let good = signer.good("k");
    let json_form = json!({"payload": "e30", "signatures": []}).to_string();
    for bad in [
        "",
        ".",
        "..",
        "a.b",
        &format!("{good}.{good}"),
        &format!("{good}.x.y"),
        &json_form,
        &format!(" {good}"),
        &format!("{good}\n"),
        "ü.ü.ü",
    ] {
        assert!(
            matches!(verify(bad, &keys, ALL), Err(VerifyError::Malformed(_) | VerifyError::BadSignature)),
            "{bad}"
        );
    }
    refused(&"a".repeat(MAX_TOKEN_BYTES + 1), &keys, VerifyError::TooLong);
}

#[test]
fn duplicate_names_are_refused_in_header_and_payload() {
    let signer = Signer::ed();
    let keys = set(&[signer.jwk("k")]);
    for (header, payload) in [
        (r#"{"alg":"EdDSA","alg":"none"}"#, "{}"),
        (r#"{"alg":"EdDSA"}"#, r#"{"sub":"a","sub":"b"}"#),
        (r#"{"alg":"EdDSA"}"#, "[]"),
        (r#"{"alg":"EdDSA"}"#, "\u{0}"),
    ] {
        let message = format!("{}.{}", b64(header), b64(payload));
        let token = format!("{message}.{}", b64(signer.signature("EdDSA", message.as_bytes())));
        assert!(matches!(verify(&token, &keys, ALL), Err(VerifyError::Malformed(_))), "{header} {payload}");
    }
}

#[test]
fn no_error_repeats_the_token() {
    let signer = Signer::ed();
    let token = signer.token(&json!({"alg": "EdDSA", "kid": "kid-of-the-token"}), &json!({"sub": "alice"}));
    let error = verify(&token, &set(&[]), ALL).unwrap_err();
    let text = format!("{error} {error:?}");
    assert!(!token.split('.').any(|part| text.contains(part)) && !text.contains("kid-of"));
}

#[test]
fn several_pem_blocks_are_several_keys_and_private_ones_are_not_read() {
    let (first, second) = (Signer::p256(), Signer::rsa());
    let keys = KeySet::from_pem(format!("{}\n{}", first.pem(), second.pem()).as_bytes()).unwrap();
    assert_eq!(keys.len(), 2);
    assert!(verify(&second.good("k"), &keys, ALL).is_ok());
    refused(&Signer::rsa().good("k"), &keys, VerifyError::BadSignature);
}

#[test]
fn b05_b06_a_demanding_reader_takes_the_key_of_that_very_id_and_no_other() {
    let (signer, rsa) = (Signer::p256(), Signer::rsa());
    let mut nameless = signer.jwk("");
    nameless.as_object_mut().unwrap().remove("kid");
    let demands = Demands { algorithms: ALL, key_id: KeyId::Required, types: Types::Not(&["logout+jwt"]) };
    let keys = set(&[nameless, rsa.jwk("r"), signer.jwk("k")]);
    let types = ["at+jwt".to_owned()];
    let only = Demands { types: Types::Only(&types), ..demands };
    for (header, demands, expected) in [
        (json!({"kid": "k"}), demands, None),
        (json!({"kid": "k", "typ": "AT+JWT"}), demands, None),
        (json!({"kid": "k", "typ": "application/at+jwt"}), only, None),
        (json!({}), demands, Some(VerifyError::NoKeyId)),
        (json!({"kid": "other"}), demands, Some(VerifyError::UnknownKey)),
        (json!({"kid": ""}), demands, Some(VerifyError::UnknownKey)),
        (json!({"kid": "r"}), demands, Some(VerifyError::KeyDoesNotFit)),
        (
            json!({"kid": "k", "typ": "logout+jwt"}),
            demands,
            Some(VerifyError::WrongType { typ: "logout+jwt".into() }),
        ),
        (json!({"kid": "k", "typ": "JWT"}), only, Some(VerifyError::WrongType { typ: "jwt".into() })),
        (json!({"kid": "k"}), only, Some(VerifyError::WrongType { typ: String::new() })),
    ] {
        let mut full = header.clone();
        full["alg"] = "ES256".into();
        let token = signer.token(&full, &json!({"sub": "u"}));
        assert_eq!(verify_demanding(&token, &keys, demands).err(), expected, "{header}");
    }
}

#[test]
fn the_issuer_that_a_token_claims_is_read_without_any_key() {
    let signer = Signer::ed();
    let token = |claims: Value| signer.token(&json!({"alg": "EdDSA"}), &claims);
    let claimed = |claims: Value| claimed_issuer(&token(claims));
    assert_eq!(claimed(json!({"iss": "https://id.example"})).as_deref(), Some("https://id.example"));
    assert_eq!(claimed(json!({"iss": ["https://id.example"]})), None);
    assert_eq!(claimed(json!({})), None);
    assert_eq!(claimed_issuer("a.b"), None);
}
