use doorward_store::Records;

use super::*;
use crate::testing::{ISSUER, NOW, accounts_in, after, config, issuer};

fn at(issuer: &str, hosts: &[&str], pomerium_keys: PomeriumKeys) -> Issuer {
    let hosts = hosts.iter().map(|host| (*host).to_owned()).collect();
    let config = IssuerConfig { issuer: issuer.to_owned(), hosts, pomerium_keys, ..config() };
    Issuer::new(config, accounts_in(&Arc::new(Records::memory()))).unwrap()
}

#[test]
fn documents_are_where_readers_look() {
    use Document::{Keys, Metadata};
    let plain = at(ISSUER, &[], PomeriumKeys::NotServed);
    let deep = at("https://example.com/a/gateway", &["example.com"], PomeriumKeys::Served);
    for (issuer, host, path, expected) in [
        (&plain, "any", "/gateway/.well-known/openid-configuration", Some(Metadata)),
        (&plain, "any", "/gateway/.well-known/oauth-authorization-server", Some(Metadata)),
        (&plain, "any", "/.well-known/openid-configuration/gateway", Some(Metadata)),
        (&plain, "any", "/.well-known/oauth-authorization-server/gateway", Some(Metadata)),
        (&plain, "any", "/gateway/.well-known/jwks.json", Some(Keys)),
        (&plain, "any", "/gateway/cdn-cgi/access/certs", Some(Keys)),
        (&plain, "any", "/.well-known/openid-configuration", None),
        (&plain, "any", "/.well-known/jwks.json", None),
        (&plain, "any", "/.well-known/pomerium/jwks.json", None),
        (&plain, "any", "/gateway", None),
        (&plain, "any", "/gateway/other", None),
        (&plain, "any", "/gatewayx/.well-known/jwks.json", None),
        (&deep, "EXAMPLE.com:8443", "/a/gateway/.well-known/jwks.json", Some(Keys)),
        (&deep, "example.com.", "/.well-known/openid-configuration/a/gateway", Some(Metadata)),
        (&deep, "other", "/a/gateway/.well-known/jwks.json", None),
        (&deep, "other", "/.well-known/pomerium/jwks.json", Some(Keys)),
    ] {
        assert_eq!(issuer.find(host, path), expected, "{host} {path}");
    }
    for wrong in ["", "gateway", "https://example.com/", "https://example.com/a?b", "https://example.com#a"] {
        let config = IssuerConfig { issuer: wrong.to_owned(), ..config() };
        assert!(Issuer::new(config, accounts_in(&Arc::new(Records::memory()))).is_err(), "{wrong}");
    }
}

async fn document(issuer: &Issuer, document: Document, method: &Method) -> (StatusCode, Value) {
    let answer = issuer.answer(document, method, NOW).await;
    (answer.status(), serde_json::from_slice(answer.body()).unwrap_or_default())
}

#[tokio::test]
async fn b37_metadata_lead_to_public_keys_and_nothing_else() {
    let issuer = issuer();
    let (_, metadata) = document(&issuer, Document::Metadata, &Method::GET).await;
    assert_eq!(metadata["issuer"], ISSUER);
    let uri = metadata["jwks_uri"].as_str().unwrap();
    let path = uri.strip_prefix("https://auth.example.com").unwrap();
    assert_eq!(issuer.find("auth.example.com", path), Some(Document::Keys));
    let (status, keys) = document(&issuer, Document::Keys, &Method::GET).await;
    assert_eq!(status, StatusCode::OK);
    let keys = keys["keys"].as_array().unwrap();
    assert_eq!(keys.len(), 2);
    for key in keys {
        for name in key.as_object().unwrap().keys() {
            let public = ["kid", "alg", "use", "kty", "n", "e", "crv", "x", "y"];
            assert!(public.contains(&name.as_str()), "{name}");
        }
        assert_ne!(key["kty"], "oct");
    }
    let head = issuer.answer(Document::Keys, &Method::HEAD, NOW).await;
    assert_eq!((head.status().as_u16(), head.body().len()), (200, 0));
    assert_eq!(head.headers()["cache-control"], "public, max-age=3600");
    let (status, body) = document(&issuer, Document::Keys, &Method::POST).await;
    assert_eq!((status, body), (StatusCode::METHOD_NOT_ALLOWED, Value::Null));
}

#[tokio::test]
async fn what_it_signs_is_its_own_and_nobody_elses() {
    let issuer = issuer();
    let claims = || Claims::from_iter([("iss".to_owned(), "https://evil".into())]);
    let token = issuer.mint((Algorithm::Es256, ACCESS_TYPE), claims(), after(60), NOW).await.unwrap();
    let verified = issuer.verify(token.expose(), NOW).await.unwrap().unwrap();
    assert_eq!(verified.claims()["iss"], ISSUER);
    assert_eq!(verified.token_type(), Some(ACCESS_TYPE));
    // Not by the keys of the OAuth server, and those are not by the gateway's.
    let server = issuer.accounts().keys(NOW).await.unwrap();
    assert!(server.verify(token.expose(), NOW).is_err());
    let mut other = claims();
    other.insert("iss".to_owned(), ISSUER.into());
    other.insert("exp".to_owned(), after(60).seconds.into());
    let other = server.sign(Algorithm::Rs256, ACCESS_TYPE, &other, NOW).unwrap();
    assert_eq!(issuer.verify(other.expose(), NOW).await, Ok(None));
    // Nothing outlives its key.
    let late = issuer.mint((Algorithm::Es256, ACCESS_TYPE), claims(), after(1_000_000), NOW).await;
    assert_eq!(late, Err(MintError::Sign(SignError::TooLong)));
    let no_key = issuer.mint((Algorithm::EdDsa, ACCESS_TYPE), claims(), after(60), NOW).await;
    assert_eq!(no_key, Err(MintError::Sign(SignError::NoKey(Algorithm::EdDsa))));
}
