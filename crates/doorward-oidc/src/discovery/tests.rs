use serde_json::json;

use super::*;
use crate::testing::{Fake, merge};

fn read(config: &Config, document: &Value) -> Result<Metadata, DiscoveryError> {
    let written = Written::parse(config).map_err(DiscoveryError::Lasting)?;
    match document {
        Value::Object(document) => Metadata::read(config, &written, document),
        other => panic!("{other}"),
    }
}

async fn bench() -> (Config, Value) {
    let fake = Fake::start().await;
    (fake.config(), fake.metadata())
}

#[tokio::test]
async fn the_issuer_counts_letter_by_letter_unless_skipped() {
    let (config, document) = bench().await;
    for found in
        [json!(format!("{}/", config.issuer)), json!("https://other.example"), json!(null), json!([1])]
    {
        let mut document = document.clone();
        merge(&mut document, json!({ "issuer": found }));
        let error = read(&config, &document).unwrap_err();
        assert!(matches!(error, DiscoveryError::Lasting(ConnectError::IssuerMismatch { .. })), "{error}");
        assert!(error.to_string().contains("issuer"));
        let lax = Config { issuer_check: IssuerCheck::Skip, ..config.clone() };
        assert!(read(&lax, &document).is_ok());
    }
}

#[tokio::test]
async fn wrong_types_are_failures_or_nothing_and_never_crashes() {
    let (config, document) = bench().await;
    for wrong in [
        json!(5),
        json!([]),
        json!({}),
        json!(true),
        json!("no url"),
        json!("file:///etc/passwd"),
        json!("/relative"),
    ] {
        for name in ["authorization_endpoint", "token_endpoint", "userinfo_endpoint", "jwks_uri"] {
            let mut document = document.clone();
            merge(&mut document, json!({ name: wrong }));
            let error = read(&config, &document).unwrap_err();
            assert!(matches!(error, DiscoveryError::Passing(_)), "{name}: {error}");
        }
    }
    for name in [
        "code_challenge_methods_supported",
        "token_endpoint_auth_methods_supported",
        "prompt_values_supported",
    ] {
        let mut document = document.clone();
        merge(&mut document, json!({ name: {"S256": ["client_secret_post", 5, null]} }));
        assert!(read(&config, &document).is_ok(), "{name}");
    }
}

#[tokio::test]
async fn discovered_endpoints_go_before_written_ones_which_fill_gaps() {
    let (config, mut document) = bench().await;
    let written = Config {
        login_url: Some("https://w.example/login".to_owned()),
        redeem_url: Some("https://w.example/token".to_owned()),
        profile_url: Some("https://w.example/me".to_owned()),
        ..config.clone()
    };
    let metadata = read(&written, &document).unwrap();
    assert_eq!(metadata.redeem.unwrap().path(), "/token");
    assert_eq!(metadata.profile.unwrap().path(), "/userinfo");
    merge(&mut document, json!({"authorization_endpoint": null, "userinfo_endpoint": null}));
    let metadata = read(&written, &document).unwrap();
    assert_eq!(metadata.login.unwrap().as_str(), "https://w.example/login");
    assert_eq!(metadata.profile.unwrap().as_str(), "https://w.example/me");
    assert!(matches!(read(&config, &document), Err(DiscoveryError::Passing(_))));
}

#[test]
fn algorithms_are_what_both_sides_have() {
    use Algorithm::{EdDsa, Es256, Hs256, Rs256};
    for (enabled, offered, expected) in [
        (&[][..], &[][..], Some(vec![Rs256])),
        (&[Es256], &[], Some(vec![Es256])),
        (&[], &["ES256", "none", "HS256", "XY1"], Some(vec![Es256])),
        (&[Rs256, EdDsa], &["ES256", "EdDSA"], Some(vec![EdDsa])),
        (&[Rs256], &["ES256"], None),
        (&[Hs256], &["HS256"], None),
        (&[], &["none"], None),
        (&[Hs256], &[], None),
    ] {
        assert_eq!(algorithms(enabled, offered).ok(), expected, "{enabled:?} {offered:?}");
    }
}

#[test]
fn basic_is_the_way_unless_the_provider_lists_only_others() {
    for (listed, expected) in [
        (&[][..], ClientAuth::Basic),
        (&["client_secret_post", "client_secret_basic"], ClientAuth::Basic),
        (&["client_secret_post"], ClientAuth::Post),
        (&["none"], ClientAuth::Post),
        (&["private_key_jwt"], ClientAuth::Basic),
    ] {
        assert_eq!(client_auth(listed), expected, "{listed:?}");
    }
}

#[test]
fn one_trailing_slash_of_the_issuer_is_dropped() {
    for (issuer, expected) in [
        ("https://id.example", Some("https://id.example/.well-known/openid-configuration")),
        ("https://id.example/realm/", Some("https://id.example/realm/.well-known/openid-configuration")),
        ("id.example", None),
        ("", None),
        ("ftp://id.example", None),
    ] {
        assert_eq!(document_url(issuer).ok().map(String::from).as_deref(), expected, "{issuer}");
    }
}

#[tokio::test]
async fn written_urls_must_be_urls_and_keys_must_come_from_somewhere() {
    let (config, _) = bench().await;
    let bad = Config { validate_url: Some("not a url".to_owned()), ..config.clone() };
    assert!(matches!(Written::parse(&bad), Err(ConnectError::InvalidUrl { name: "validate URL", .. })));
    let written = Written::parse(&config).unwrap();
    assert_eq!(Metadata::from_config(&config, &written).map(|_| ()), Err(ConnectError::NoKeySource));
}
