use super::*;
use doorward_core::pattern::PathPattern;

use crate::config::{AllowedValue, LoginParameter};
use crate::testing::Fake;

const START: LoginStart<'static> = LoginStart {
    redirect_uri: "http://app.example/oauth2/callback",
    state: "hash:/a b",
    nonce_hash: "n0nce",
    account: AccountChoice::Any,
    wishes: &[],
    demands: &[],
};

async fn bench() -> (Config, Metadata) {
    let fake = Fake::start().await;
    let config =
        Config { keys: crate::KeySource::Url("https://id.example/jwks".to_owned()), ..fake.config() };
    let config = Config { login_url: Some("https://id.example/auth".to_owned()), ..config };
    let written = crate::discovery::Written::parse(&config).unwrap();
    let metadata = Metadata::from_config(&config, &written).unwrap();
    (config, metadata)
}

fn authorization_request(
    config: &Config,
    metadata: &Metadata,
    start: &LoginStart<'_>,
    entropy: &[u8; VERIFIER_BYTES],
) -> Result<AuthorizationRequest, BeginError> {
    Prepared::new(config, metadata, start, entropy).map(Prepared::whole)
}

#[track_caller]
fn check(config: &Config, metadata: &Metadata, start: &LoginStart<'_>, expected: &str) {
    let request = authorization_request(config, metadata, start, &[0; VERIFIER_BYTES]).unwrap();
    assert_eq!(request.url, expected);
}

#[tokio::test]
async fn the_query_is_sorted_and_form_encoded() {
    let (config, metadata) = bench().await;
    check(
        &config,
        &metadata,
        &START,
        "https://id.example/auth?client_id=client&nonce=n0nce\
         &redirect_uri=http%3A%2F%2Fapp.example%2Foauth2%2Fcallback&response_type=code&scope=openid+email\
         &state=hash%3A%2Fa+b",
    );
}

#[tokio::test]
async fn the_query_of_the_login_url_is_kept_but_never_replaces_the_protocol() {
    let (mut config, mut metadata) = bench().await;
    metadata.login =
        Some(Url::parse("https://id.example/auth?tenant=x&state=evil&prompt=none#frag").unwrap());
    config.nonce = NonceCheck::Off;
    config.response_mode = Some("form_post".to_owned());
    config.login_parameters = vec![
        LoginParameter::fixed("prompt", "login"),
        LoginParameter {
            values: vec!["a".to_owned(), "b".to_owned()],
            ..LoginParameter::fixed("acr_values", "")
        },
        LoginParameter::fixed("client_id", "evil"),
    ];
    let start = LoginStart { redirect_uri: "/cb", state: "s", ..START };
    check(
        &config,
        &metadata,
        &start,
        "https://id.example/auth?acr_values=a&acr_values=b&client_id=client&prompt=login&redirect_uri=%2Fcb\
         &response_mode=form_post&response_type=code&scope=openid+email&state=s&tenant=x",
    );
}

#[tokio::test]
async fn another_account_is_asked_for_in_the_providers_words() {
    let (mut config, mut metadata) = bench().await;
    config.login_parameters =
        vec![LoginParameter::fixed("approval_prompt", "force"), LoginParameter::fixed("prompt", "none")];
    for (account, offered, prompt) in [
        (AccountChoice::Another, true, "select_account"),
        (AccountChoice::Another, false, "login"),
        (AccountChoice::Anew, true, "login"),
        (AccountChoice::Anew, false, "login"),
    ] {
        let start = LoginStart { account, ..START };
        metadata.offers_account_choice = offered;
        let url = authorization_request(&config, &metadata, &start, &[0; VERIFIER_BYTES]).unwrap().url;
        assert!(url.contains(&format!("&prompt={prompt}&")) && !url.contains("approval_prompt"), "{url}");
    }
}

/// What was told to the provider does not come from the browser too, where the login URL says it otherwise.
#[tokio::test]
async fn a_reference_goes_alone_but_for_what_the_login_url_has_of_its_own() {
    let (config, mut metadata) = bench().await;
    metadata.login = Some(Url::parse("https://id.example/auth?tenant=x&state=evil&client_id=evil").unwrap());
    let prepared = Prepared::new(&config, &metadata, &START, &[0; VERIFIER_BYTES]).unwrap();
    let told: Vec<&str> = prepared.pairs().map(|(name, _)| name).collect();
    assert_eq!(told, ["client_id", "nonce", "redirect_uri", "response_type", "scope", "state"]);
    assert_eq!(
        prepared.referring("client", "urn:r&x").url,
        "https://id.example/auth?client_id=client&request_uri=urn%3Ar%26x&tenant=x"
    );
}

#[test]
fn a_login_may_ask_for_more_than_every_login_and_never_for_less() {
    let strength = |acr: &[&str], max_age: Option<u64>| LoginStrength {
        acr: acr.iter().map(|&acr| acr.to_owned()).collect(),
        max_age: max_age.map(std::time::Duration::from_secs),
    };
    for (strength, own, expected) in [
        (strength(&[], None), &[][..], &[][..]),
        (strength(&["gold", "mfa"], Some(300)), &[], &[("acr_values", "gold mfa"), ("max_age", "300")]),
        (
            strength(&["gold"], Some(300)),
            &[("acr_values", "mfa"), ("max_age", "60")],
            &[("acr_values", "mfa gold"), ("max_age", "60")],
        ),
        (
            strength(&["gold"], Some(60)),
            &[("acr_values", "gold mfa"), ("max_age", "300")],
            &[("acr_values", "gold mfa"), ("max_age", "60")],
        ),
        (strength(&[], None), &[("acr_values", "mfa")], &[("acr_values", "mfa")]),
    ] {
        let own: Vec<(&'static str, String)> =
            own.iter().map(|(name, value): &(&'static str, &str)| (*name, (*value).to_owned())).collect();
        let all = demands(&strength, &own);
        let all: Vec<(&str, &str)> =
            all.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        assert_eq!(all, expected);
    }
}

#[test]
fn only_allowed_wishes_are_granted() {
    let parameter = LoginParameter {
        name: "acr_values".to_owned(),
        values: vec!["gold".to_owned()],
        allowed: vec![
            AllowedValue::Exactly("silver".to_owned()),
            AllowedValue::Matching(PathPattern::parse("^bronze-[0-9]+$").unwrap()),
        ],
    };
    let wishes = |values: &[&str]| -> Vec<(String, String)> {
        values.iter().map(|value| ("acr_values".to_owned(), (*value).to_owned())).collect()
    };
    assert_eq!(parameter.chosen(&wishes(&["silver", "lead", "bronze-1"])), ["silver", "bronze-1"]);
    assert_eq!(parameter.chosen(&wishes(&["lead", "Silver", "bronze-1x"])), ["gold"]);
    assert_eq!(parameter.chosen(&[("other".to_owned(), "silver".to_owned())]), ["gold"]);
    let optional = LoginParameter { values: Vec::new(), ..parameter };
    assert!(optional.chosen(&wishes(&["lead"])).is_empty());
}

#[tokio::test]
async fn pkce_follows_configuration_and_provider() {
    let (mut config, mut metadata) = bench().await;
    for (pkce, offered, method) in [
        (Pkce::Auto, true, Some("S256")),
        (Pkce::Auto, false, None),
        (Pkce::S256, false, Some("S256")),
        (Pkce::Plain, true, Some("plain")),
        (Pkce::Off, true, None),
    ] {
        config.pkce = pkce.clone();
        metadata.offers_s256 = offered;
        let entropy = entropy().unwrap();
        let request = authorization_request(&config, &metadata, &START, &entropy).unwrap();
        let query: std::collections::HashMap<_, _> =
            Url::parse(&request.url).unwrap().query_pairs().into_owned().collect();
        assert_eq!(query.get("code_challenge_method").map(String::as_str), method, "{pkce:?}");
        let verifier = request.verifier.map(SecretString::into_exposed);
        assert_eq!(verifier.as_ref().map(String::len), method.map(|_| 128));
        match (method, verifier) {
            (Some("S256"), Some(verifier)) => assert_eq!(query["code_challenge"], hash(&verifier)),
            (Some(_), Some(verifier)) => assert_eq!(query["code_challenge"], verifier),
            _ => assert!(!query.contains_key("code_challenge")),
        }
    }
    config.pkce = Pkce::Unsupported("S999".to_owned());
    let refused = authorization_request(&config, &metadata, &START, &[0; VERIFIER_BYTES]);
    assert_eq!(refused, Err(BeginError::UnsupportedPkce("S999".to_owned())));
}

#[test]
fn the_challenge_is_that_of_rfc_7636_appendix_b() {
    assert_eq!(
        hash("dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk"),
        "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM"
    );
}

#[test]
fn a_callback_matches_only_the_state_of_its_login() {
    for (kept, returned, matches) in [
        ("abc", "abc", true),
        ("abc", "abd", false),
        ("abc", "ab", false),
        ("abc", "", false),
        ("", "", false),
    ] {
        let pending =
            PendingLogin { state_hash: kept.to_owned(), nonce_hash: "n".to_owned(), verifier: None };
        assert_eq!(pending.accept(returned, "code".into()).is_ok(), matches, "{kept} {returned}");
    }
    let pending =
        PendingLogin { state_hash: "s".into(), nonce_hash: "n".into(), verifier: Some("v3rifier".into()) };
    let matched = pending.accept("s", "c0de".into()).unwrap();
    let shown = format!("{matched:?}");
    assert!(!shown.contains("c0de") && !shown.contains("v3rifier"), "{shown}");
}
