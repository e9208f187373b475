//! Tokens that are bound to a key (RFC 7800): they are worth something only together with it. Whoever else holds one
//! has found or stolen it. What is looked at is the request at hand, and never what was kept of another. Pure.

use aws_lc_rs::digest::{SHA256, digest};
use serde_json::{Map, Value};

use crate::x509::Shown;

/// The claim that names the key (RFC 7800 section 3.1).
const CONFIRMATION: &str = "cnf";
/// The hash of a client certificate (RFC 8705 section 3.1).
const CERTIFICATE: &str = "x5t#S256";

/// Why a token does not count for whoever brought it. The texts are for logs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Unbound {
    #[error(
        "the token is bound to a client certificate (cnf, x5t#S256), and the client showed none; the listener has to ask \
         for certificates, or a proxy in front to hand them on"
    )]
    NoCertificate,
    #[error("the token is bound to a client certificate (cnf, x5t#S256), and the client showed another one")]
    OtherCertificate,
    #[error(
        "the token is bound to a key (cnf) in a way that is not verified here, as that of DPoP; let its issuer bind it \
         to the client certificate, or to nothing"
    )]
    UnknownMethod,
}

/// Whether the one who brought a token with these claims, and showed these certificates, may use it.
pub(crate) fn check(claims: &Map<String, Value>, shown: Option<&Shown>) -> Result<(), Unbound> {
    let Some(confirmation) = claims.get(CONFIRMATION).filter(|value| !value.is_null()) else { return Ok(()) };
    // Another method beside the one that is known may be a second key.
    let members = confirmation.as_object().filter(|members| members.len() == 1);
    let Some(hash) = members.and_then(|members| members.get(CERTIFICATE)?.as_str()) else {
        return Err(Unbound::UnknownMethod);
    };
    let leaf = shown.map(Shown::leaf).filter(|leaf| !leaf.is_empty()).ok_or(Unbound::NoCertificate)?;
    let own = base64_simd::URL_SAFE_NO_PAD.encode_to_string(digest(&SHA256, leaf));
    if own == hash { Ok(()) } else { Err(Unbound::OtherCertificate) }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_bound_token_counts_with_its_certificate_only() {
        let shown = |leaf: &[u8]| Shown::new([leaf.to_vec(), b"issuer".to_vec()].into());
        let mine = base64_simd::URL_SAFE_NO_PAD.encode_to_string(digest(&SHA256, b"mine"));
        let nothing = base64_simd::URL_SAFE_NO_PAD.encode_to_string(digest(&SHA256, b""));
        for (confirmation, leaf, expected) in [
            (json!(null), None, Ok(())),
            (json!({ "x5t#S256": mine }), Some("mine"), Ok(())),
            (json!({ "x5t#S256": mine }), Some("other"), Err(Unbound::OtherCertificate)),
            (json!({ "x5t#S256": mine }), Some("issuer"), Err(Unbound::OtherCertificate)),
            (json!({ "x5t#S256": mine }), None, Err(Unbound::NoCertificate)),
            (json!({ "x5t#S256": nothing }), Some(""), Err(Unbound::NoCertificate)),
            (json!({ "x5t#S256": format!("{mine}=") }), Some("mine"), Err(Unbound::OtherCertificate)),
            (json!({ "x5t#S256": [mine] }), Some("mine"), Err(Unbound::UnknownMethod)),
            (json!({ "x5t#S256": mine, "jkt": "x" }), Some("mine"), Err(Unbound::UnknownMethod)),
            (json!({ "x5t#s256": mine }), Some("mine"), Err(Unbound::UnknownMethod)),
            (json!({ "jkt": "x" }), Some("mine"), Err(Unbound::UnknownMethod)),
            (json!({ "jwk": {} }), None, Err(Unbound::UnknownMethod)),
            (json!({}), Some("mine"), Err(Unbound::UnknownMethod)),
            (json!([{ "x5t#S256": mine }]), Some("mine"), Err(Unbound::UnknownMethod)),
            (json!(false), None, Err(Unbound::UnknownMethod)),
        ] {
            let claims = json!({ "cnf": confirmation });
            let shown = leaf.and_then(|leaf| shown(leaf.as_bytes()));
            assert_eq!(check(claims.as_object().unwrap(), shown.as_deref()), expected, "{claims} {leaf:?}");
        }
        assert_eq!(check(&Map::new(), None), Ok(()));
    }
}
