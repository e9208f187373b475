use std::sync::atomic::{AtomicUsize, Ordering};

use doorward_jose::{Algorithm, Demands, KeyId, Types, verify_demanding};
use serde_json::json;

use super::*;
use crate::{
    Trust,
    testing::{Fake, NOW, Reply, Signer, now},
};

const KEYS: &str = "/jwks";
const METADATA: &str = "/.well-known/openid-configuration";

fn http() -> HttpConfig {
    HttpConfig { trust: Trust::Files(Vec::new()), ..HttpConfig::default() }
}

fn discovered(fake: &Fake) -> Arc<IssuerKeys> {
    let issuer = fake.base.clone();
    IssuerKeys::new(IssuerKeysConfig {
        issuer,
        jwks_uri: None,
        max_age: IssuerKeys::LONGEST_AGE,
        http: http(),
    })
    .unwrap()
}

fn written(fake: &Fake, path: &str) -> Arc<IssuerKeys> {
    let jwks_uri = Some(Url::parse(&format!("{}{path}", fake.base)).unwrap());
    let issuer = "https://issuer.example".to_owned();
    IssuerKeys::new(IssuerKeysConfig { issuer, jwks_uri, max_age: IssuerKeys::LONGEST_AGE, http: http() })
        .unwrap()
}

fn publish(fake: &Fake, headers: &str, signers: &[&Signer]) {
    let keys: Vec<_> = signers.iter().map(|signer| signer.jwk()).collect();
    let body = json!({ "keys": keys }).to_string().into_bytes();
    fake.says(KEYS, Reply::Full { status: 200, headers: headers.to_owned(), body });
}

fn knows(keys: &Published, signer: &Signer) -> bool {
    let demands =
        Demands { algorithms: &[Algorithm::EdDsa], key_id: KeyId::Required, types: Types::Not(&[]) };
    verify_demanding(&signer.sign(&json!({})), keys.keys(), demands).is_ok()
}

fn after(seconds: i64) -> Timestamp {
    Timestamp::from_seconds(NOW + seconds)
}

const HOUR: i64 = 3600;

#[tokio::test]
async fn keys_are_found_by_the_metadata_or_where_it_is_written() {
    let (fake, signer) = (Fake::start().await, Signer::new("k"));
    fake.behaves(&signer, &json!({}));
    let keys = discovered(&fake);
    assert!(keys.at_hand(now()).is_none(), "nothing is fetched before it is needed");
    assert!(knows(&keys.current(now()).await.unwrap(), &signer));
    assert!(knows(&keys.at_hand(after(60)).unwrap(), &signer));
    assert_eq!((fake.count(METADATA), fake.count(KEYS)), (1, 1));
    assert!(knows(&written(&fake, KEYS).current(now()).await.unwrap(), &signer));
    assert_eq!((fake.count(METADATA), fake.count(KEYS)), (1, 2));
}

#[tokio::test]
async fn b08_a_failing_issuer_does_no_harm_for_two_hours_more() {
    let (fake, signer) = (Fake::start().await, Signer::new("k"));
    publish(&fake, "", &[&signer]);
    let keys = written(&fake, KEYS);
    keys.current(now()).await.unwrap();
    fake.says(KEYS, Reply::status(500));
    assert!(keys.at_hand(after(2 * HOUR)).is_none(), "they are too old to be used unasked");
    assert!(knows(&keys.current(after(2 * HOUR)).await.unwrap(), &signer));
    let asked = fake.count(KEYS);
    assert!(keys.current(after(2 * HOUR + 29)).await.is_ok());
    assert_eq!(fake.count(KEYS), asked, "nobody is asked again so soon");
    assert!(keys.current(after(4 * HOUR - 1)).await.is_ok());
    assert!(keys.current(after(4 * HOUR)).await.is_err());
    publish(&fake, "", &[&signer]);
    assert!(keys.current(after(4 * HOUR + 40)).await.is_ok());
}

#[tokio::test]
async fn b08_without_any_keys_nobody_can_tell_and_the_issuer_is_asked_once_a_second() {
    let (fake, signer) = (Fake::start().await, Signer::new("k"));
    fake.says(KEYS, Reply::status(503));
    let keys = written(&fake, KEYS);
    for _ in 0..3 {
        let error = keys.current(now()).await.unwrap_err();
        assert!(error.reason.contains("status 503") && error.issuer == "https://issuer.example", "{error}");
    }
    assert_eq!(fake.count(KEYS), 1);
    publish(&fake, "", &[&signer]);
    assert!(keys.current(after(30)).await.is_ok());
}

#[tokio::test]
async fn b07_a_hundred_who_need_keys_cause_one_fetch() {
    let (fake, old, new) = (Fake::start().await, Signer::new("old"), Signer::new("new"));
    publish(&fake, "", &[&old]);
    let keys = written(&fake, KEYS);
    let all = |ask: fn(Arc<IssuerKeys>) -> tokio::task::JoinHandle<bool>| {
        let tasks: Vec<_> = (0..100).map(|_| ask(Arc::clone(&keys))).collect();
        async move {
            for task in tasks {
                assert!(task.await.unwrap());
            }
        }
    };
    all(|keys| tokio::spawn(async move { keys.current(now()).await.is_ok() })).await;
    assert_eq!(fake.count(KEYS), 1);
    publish(&fake, "", &[&new]);
    all(|keys| {
        tokio::spawn(async move {
            let seen = keys.at_hand(after(1)).unwrap();
            // Some see the new keys at once, for others have fetched them.
            seen.version() == 2
                || keys.newer_than(&seen, after(1)).await.is_some_and(|keys| keys.version() == 2)
        })
    })
    .await;
    assert_eq!(fake.count(KEYS), 2);
    let current = keys.at_hand(after(1)).unwrap();
    assert!(knows(&current, &new) && !knows(&current, &old), "what was withdrawn is gone");
}

#[tokio::test]
async fn b06_an_unknown_key_causes_one_fetch_in_half_a_minute() {
    let (fake, signer) = (Fake::start().await, Signer::new("k"));
    publish(&fake, "", &[&signer]);
    let keys = written(&fake, KEYS);
    let first = keys.current(now()).await.unwrap();
    for (seconds, fetches) in [(0, 1), (1, 2), (2, 2), (30, 2), (31, 3), (32, 3)] {
        let seen = keys.at_hand(after(seconds)).unwrap();
        let newer = keys.newer_than(&seen, after(seconds)).await;
        assert_eq!(fake.count(KEYS), fetches, "{seconds}");
        assert!(
            newer.is_none_or(|newer| newer.version() == first.version()),
            "the same keys are no new version"
        );
    }
    fake.says(KEYS, Reply::status(500));
    let seen = keys.at_hand(after(70)).unwrap();
    assert!(keys.newer_than(&seen, after(70)).await.is_none());
    assert!(keys.newer_than(&seen, after(71)).await.is_none());
    assert_eq!(fake.count(KEYS), 4);
}

#[tokio::test]
async fn keys_are_fetched_in_the_background_before_they_are_too_old() {
    let (fake, old, new) = (Fake::start().await, Signer::new("old"), Signer::new("new"));
    publish(&fake, "Cache-Control: public, max-age=100\r\n", &[&old]);
    let keys = written(&fake, KEYS);
    keys.current(now()).await.unwrap();
    assert!(keys.at_hand(after(74)).is_some());
    publish(&fake, "", &[&new]);
    let fetched = AtomicUsize::new(0);
    while keys.at_hand(after(75)).unwrap().version() < 2 {
        assert!(fetched.fetch_add(1, Ordering::Relaxed) < 4000, "nobody fetches");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    assert!(knows(&keys.at_hand(after(75)).unwrap(), &new));
    assert_eq!(fake.count(KEYS), 2);
}

#[tokio::test]
async fn keys_live_as_long_as_their_answer_says_within_bounds() {
    for (headers, seconds) in [
        ("", 2 * HOUR),
        ("Cache-Control: max-age=600\r\n", 600),
        ("Cache-Control: public, Max-Age=\"600\"\r\nAge: 200\r\n", 400),
        ("Cache-Control: max-age=86400\r\n", 2 * HOUR),
        ("Cache-Control: no-store\r\n", 30),
        ("Cache-Control: no-cache, max-age=600\r\n", 30),
        ("Cache-Control: max-age=0\r\n", 30),
        ("Cache-Control: max-age=soon\r\n", 2 * HOUR),
        ("Cache-Control: max-age=99999999999999999999999\r\n", 2 * HOUR),
    ] {
        let (fake, signer) = (Fake::start().await, Signer::new("k"));
        publish(&fake, headers, &[&signer]);
        let keys = written(&fake, KEYS);
        let published = keys.current(now()).await.unwrap();
        assert!(published.is_fresh(after(seconds - 1)) && !published.is_fresh(after(seconds)), "{headers}");
    }
    let (fake, signer) = (Fake::start().await, Signer::new("k"));
    publish(&fake, "", &[&signer]);
    let published = written(&fake, KEYS).current(now()).await.unwrap();
    assert!(!published.is_fresh(after(-61)) && !published.is_usable(after(-61)), "a clock was set back");
    assert!(published.is_fresh(after(-59)));
}

#[tokio::test]
async fn b09_what_is_too_long_elsewhere_or_of_another_is_refused() {
    let (fake, signer) = (Fake::start().await, Signer::new("k"));
    let padded = |length: usize| {
        let mut body = json!({"keys": [signer.jwk()]}).to_string();
        body.push_str(&" ".repeat(length - body.len()));
        Reply::typed(200, "application/json", body)
    };
    fake.says("/longest", padded(150_000));
    fake.says("/longer", padded(150_001));
    fake.says("/flood", Reply::Flood);
    fake.says("/far", Reply::redirect("http://169.254.169.254/latest"));
    fake.says("/near", Reply::redirect("/longest"));
    fake.says("/list", Reply::json(200, &json!([signer.jwk()])));
    for (path, good) in [
        ("/longest", true),
        ("/near", true),
        ("/longer", false),
        ("/flood", false),
        ("/far", false),
        ("/list", false),
        ("/missing", false),
    ] {
        assert_eq!(written(&fake, path).current(now()).await.is_ok(), good, "{path}");
    }
    for (change, reason) in [
        (json!({"issuer": "https://other.example"}), "the issuer \"https://other.example\""),
        (json!({"issuer": format!("{}/", fake.base)}), "the issuer"),
        (json!({"issuer": null}), "the issuer"),
        (json!({"jwks_uri": null}), "no jwks_uri"),
        (json!({"jwks_uri": "http://keys.example/jwks"}), "not an https address"),
        (json!({"jwks_uri": "file:///etc/passwd"}), "not an https address"),
    ] {
        let mut metadata = fake.metadata();
        crate::testing::merge(&mut metadata, change);
        fake.says(METADATA, Reply::json(200, &metadata));
        let error = discovered(&fake).current(now()).await.unwrap_err();
        assert!(error.reason.contains(reason), "{error}");
    }
}

/// The clock stands still but for waiting.
#[tokio::test(start_paused = true)]
async fn b09_an_issuer_that_is_slow_is_left() {
    let fake = Fake::start().await;
    for reply in [Reply::Hang, Reply::Drip] {
        fake.says(KEYS, reply);
        let begin = Instant::now();
        let error = written(&fake, KEYS).current(now()).await.unwrap_err();
        assert!(error.reason.contains("in time"), "{error}");
        assert!(begin.elapsed() <= Duration::from_millis(1600));
    }
}

#[test]
fn b09_keys_come_over_https_or_from_this_machine() {
    for (issuer, jwks_uri, good) in [
        ("https://id.example", None, true),
        ("http://id.example", None, false),
        ("http://127.0.0.1:8080/realm", None, true),
        ("http://[::1]", None, true),
        ("http://localhost", None, true),
        ("http://localhost.example", None, false),
        ("http://127.0.0.1.example", None, false),
        ("id.example", None, false),
        ("urn:anything", Some("https://id.example/keys"), true),
        ("https://id.example", Some("http://id.example/keys"), false),
        ("https://id.example", Some("file:///keys"), false),
    ] {
        let jwks_uri = jwks_uri.map(|url| Url::parse(url).unwrap());
        let issuer = issuer.to_owned();
        let config =
            IssuerKeysConfig { issuer: issuer.clone(), jwks_uri, max_age: Duration::ZERO, http: http() };
        assert_eq!(IssuerKeys::new(config).is_ok(), good, "{issuer}");
    }
    let config = IssuerKeysConfig {
        issuer: "https://id.example".to_owned(),
        jwks_uri: None,
        max_age: Duration::from_hours(3),
        http: http(),
    };
    assert_eq!(IssuerKeys::new(config).unwrap_err(), InvalidIssuerKeys::Age(Duration::from_hours(3)));
}
