//! Bodies for fuzzing: each takes any bytes, must not panic, and checks what has to hold of an answer.

use doorward_core::Timestamp;

use crate::{
    Algorithm, AudienceRule, KeySet,
    claims_check::{check_issuer, check_nonce, check_times},
    jws::{looks_like_jws, verify},
    strict_json,
};

/// Public keys whose private halves were thrown away: nobody can sign with them.
const NOBODYS: &[u8] = include_bytes!("fuzz.json");
const ALL: [&str; 9] = ["RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "EdDSA"];

/// A signed token, which is never believed; and claims, as if it had been.
pub fn jwt(bytes: &[u8]) {
    let Ok(token) = str::from_utf8(bytes) else { return };
    let allowed: Vec<Algorithm> = ALL.iter().filter_map(|name| name.parse().ok()).collect();
    let Ok(nobodys) = KeySet::from_jwks(NOBODYS) else { return };
    assert_eq!(nobodys.len(), 3);
    assert!(verify(token, &nobodys, &allowed).is_err());
    let _ = looks_like_jws(token);
    if let Ok(claims) = strict_json::parse_object(bytes) {
        let now = Timestamp::default();
        let _ = (check_times(&claims, now), check_nonce(&claims, "nonce"));
        if check_issuer(&claims, "https://issuer.example").is_ok() {
            assert_eq!(claims.get("iss").and_then(|issuer| issuer.as_str()), Some("https://issuer.example"));
        }
        let rule = AudienceRule::new(&["aud".to_owned()], "client", &[]);
        assert!(rule.check(&claims).is_err() || claims.contains_key("aud"));
    }
}

/// A key set, as JSON and as PEM. Neither holds more keys than one token may be tried with.
pub fn jwks(bytes: &[u8]) {
    if let Ok(keys) = KeySet::from_jwks(bytes) {
        assert!(keys.len() <= 200);
        assert!(verify("e30.e30.AAAA", &keys, &[Algorithm::Rs256]).is_err());
    }
    let _ = KeySet::from_pem(bytes);
}

#[cfg(test)]
mod tests {
    use doorward_testkit::corpus;

    #[test]
    fn a_token_that_nobody_signed_is_never_believed() {
        corpus::run("jwt", super::jwt);
    }

    #[test]
    fn a_key_set_is_read_or_refused() {
        corpus::run("jwks", super::jwks);
    }
}
