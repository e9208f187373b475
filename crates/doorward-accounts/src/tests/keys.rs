use doorward_jose::{Claims, KeySet, verify};
use serde_json::{Value, json};

use super::*;

const HOUR: i64 = 3600;
const DAY: i64 = 24 * HOUR;

fn claims(exp: Timestamp) -> Claims {
    let Value::Object(claims) = json!({ "sub": "alice", "exp": exp.seconds }) else { unreachable!() };
    claims
}

fn kids(ring: &KeyRing, now: Timestamp) -> Vec<String> {
    let jwks = ring.jwks(now);
    let keys = jwks["keys"].as_array().unwrap();
    keys.iter().map(|key| key["kid"].as_str().unwrap().to_owned()).collect()
}

async fn sign(accounts: &Accounts, now: Timestamp) -> SecretString {
    let exp = Timestamp::from_seconds(now.seconds + HOUR);
    let ring = accounts.keys(now).await.unwrap();
    ring.sign(Algorithm::EdDsa, "JWT", &claims(exp), now).unwrap()
}

fn kid_of(token: &SecretString) -> String {
    let header = token.expose().split('.').next().unwrap();
    let header = base64_simd::URL_SAFE_NO_PAD.decode_to_vec(header).unwrap();
    serde_json::from_slice::<Value>(&header).unwrap()["kid"].as_str().unwrap().to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn a59_keys_are_published_before_they_sign_and_after_they_signed() {
    everywhere(async |records| {
        let (accounts, other) = (accounts_in(&records, rules()), accounts_in(&records, rules()));
        let first = sign(&accounts, NOW).await;
        assert_eq!(kid_of(&sign(&other, NOW).await), kid_of(&first));
        let Rotation::Published { signs_from } = accounts.rotate_keys(KeySetName::Server, NOW).await.unwrap()
        else {
            panic!("nothing was under way")
        };
        assert!(after(2 * HOUR) <= signs_from && signs_from <= after(3 * HOUR));
        assert_eq!(
            other.rotate_keys(KeySetName::Server, after(60)).await.unwrap(),
            Rotation::UnderWay { signs_from }
        );
        // Every instance publishes the new key within a minute, hours before it signs.
        let ring = other.keys(after(60)).await.unwrap();
        assert_eq!(kids(&ring, after(60)).len(), 2);
        let before = Timestamp::from_seconds(signs_from.seconds - 1);
        let last = sign(&other, before).await;
        assert_eq!(kid_of(&last), kid_of(&first));
        let second = sign(&other, signs_from).await;
        assert_ne!(kid_of(&second), kid_of(&first));
        assert_eq!(kid_of(&sign(&accounts, signs_from).await), kid_of(&second));
        // What the former key signed last verifies until it is over.
        let end = before.seconds + DAY;
        let ring = accounts.keys(Timestamp::from_seconds(end)).await.unwrap();
        for token in [&first, &last, &second] {
            assert!(ring.verify(token.expose(), Timestamp::from_seconds(end)).is_ok());
        }
        let gone = Timestamp::from_seconds(end + HOUR);
        let ring = other.keys(gone).await.unwrap();
        assert_eq!(kids(&ring, gone), [kid_of(&second)]);
        assert!(ring.verify(last.expose(), gone).is_err());
        assert!(ring.verify(second.expose(), gone).is_ok());
        // The next rotation forgets it.
        accounts.rotate_keys(KeySetName::Server, gone).await.unwrap();
        assert_eq!(kids(accounts.keys(gone).await.unwrap().as_ref(), gone).len(), 2);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a59_instances_that_start_at_once_have_the_same_keys() {
    everywhere(async |records| {
        let rings = at_once(5, || {
            let accounts = accounts_in(&records, rules());
            async move { kids(accounts.keys(NOW).await.unwrap().as_ref(), NOW) }
        })
        .await;
        assert_eq!(rings[0].len(), 1);
        assert!(rings.iter().all(|kids| *kids == rings[0]));
        // A restart keeps them, and an algorithm that is added gets a key.
        let more = Rules { algorithms: vec![Algorithm::Es256, Algorithm::EdDsa], ..rules() };
        let ring = accounts_in(&records, more).keys(after(5)).await.unwrap();
        assert!(kids(&ring, after(5)).contains(&rings[0][0]));
        assert_eq!(ring.algorithms(after(5)), [Algorithm::Es256, Algorithm::EdDsa]);
    })
    .await;
}

#[tokio::test]
async fn the_usual_key_is_rsa_and_verifies_as_published() {
    let accounts = accounts_with(Rules::default());
    let ring = accounts.keys(NOW).await.unwrap();
    let token = ring.sign(Algorithm::Rs256, "at+jwt", &claims(after(60)), NOW).unwrap();
    let published = KeySet::from_jwks(&serde_json::to_vec(&ring.jwks(NOW)).unwrap()).unwrap();
    let verified = verify(token.expose(), &published, &[Algorithm::Rs256]).unwrap();
    assert_eq!(verified.token_type(), Some("at+jwt"));
    assert_eq!(ring.jwks(NOW)["keys"][0]["kid"], json!(kid_of(&token)));
    assert_eq!(
        ring.sign(Algorithm::Es256, "JWT", &claims(after(60)), NOW).unwrap_err(),
        SignError::NoKey(Algorithm::Es256)
    );
}

#[tokio::test]
async fn nothing_is_signed_that_outlives_its_key() {
    let accounts = accounts();
    let ring = accounts.keys(NOW).await.unwrap();
    let sign = |claims: &Claims| ring.sign(Algorithm::EdDsa, "JWT", claims, NOW).map(|_| ());
    assert_eq!(sign(&claims(after(DAY))), Ok(()));
    assert_eq!(sign(&claims(after(DAY + 1))), Err(SignError::TooLong));
    assert_eq!(sign(&Claims::new()), Err(SignError::TooLong));
}

#[tokio::test]
async fn another_seal_key_is_told_and_makes_no_new_keys() {
    let records = Arc::new(Records::memory());
    let accounts = accounts_in(&records, rules());
    let before = kids(accounts.keys(NOW).await.unwrap().as_ref(), NOW);
    let secret = accounts.generated_secret("client", NOW).await.unwrap();
    let other_key = SealKey::new(&[b'x'; 32]).unwrap();
    // Also where a key is missing.
    let more = Rules { algorithms: vec![Algorithm::Es256, Algorithm::EdDsa], ..rules() };
    let other = Accounts::new(Arc::clone(&records), other_key, more);
    let error = other.keys(NOW).await.unwrap_err();
    assert_eq!(error, KeysError::Sealed(Unsealable));
    assert!(error.to_string().contains("secretKeyFile"), "{error}");
    assert_eq!(other.rotate_keys(KeySetName::Server, NOW).await, Err(KeysError::Sealed(Unsealable)));
    let error = other.generated_secret("client", NOW).await.unwrap_err();
    assert!(error.to_string().contains("secretKeyFile"), "{error}");
    let again = accounts_in(&records, rules());
    assert_eq!(kids(again.keys(NOW).await.unwrap().as_ref(), NOW), before);
    assert_eq!(again.generated_secret("client", NOW).await, Ok(secret));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_generated_secret_is_the_same_for_all_and_another_by_each_name() {
    everywhere(async |records| {
        let secrets = at_once(10, || {
            let accounts = accounts_in(&records, rules());
            async move { accounts.generated_secret("client", NOW).await.unwrap() }
        })
        .await;
        assert!(secrets.iter().all(|secret| *secret == secrets[0]));
        assert_eq!(secrets[0].expose().len(), 43);
        let other = accounts_in(&records, rules()).generated_secret("other", NOW).await.unwrap();
        assert_ne!(other, secrets[0]);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_key_sets_have_nothing_in_common() {
    everywhere(async |records| {
        let accounts = accounts_in(&records, rules());
        let mine = |set| {
            let accounts = &accounts;
            async move { accounts.keys_of(set, NOW).await.unwrap() }
        };
        assert!(!accounts.has_keys(KeySetName::Gateway, NOW).await.unwrap());
        let (server, gateway) = (mine(KeySetName::Server).await, mine(KeySetName::Gateway).await);
        assert!(accounts.has_keys(KeySetName::Gateway, NOW).await.unwrap());
        assert_eq!(gateway.algorithms(NOW), [Algorithm::Es256]);
        assert_eq!((kids(&server, NOW).len(), kids(&gateway, NOW).len()), (1, 1));
        let token = gateway.sign(Algorithm::Es256, "JWT", &claims(after(60)), NOW).unwrap();
        assert!(gateway.verify(token.expose(), NOW).is_ok() && server.verify(token.expose(), NOW).is_err());
        let token = sign(&accounts, NOW).await;
        assert!(server.verify(token.expose(), NOW).is_ok() && gateway.verify(token.expose(), NOW).is_err());
        // Each is rotated by itself, and other instances see it.
        accounts.rotate_keys(KeySetName::Gateway, NOW).await.unwrap();
        let other = accounts_in(&records, rules());
        let count = async |set| kids(other.keys_of(set, NOW).await.unwrap().as_ref(), NOW).len();
        assert_eq!((count(KeySetName::Server).await, count(KeySetName::Gateway).await), (1, 2));
    })
    .await;
}

#[tokio::test]
async fn a_key_that_is_copied_to_the_other_set_does_not_open_there() {
    let records = Arc::new(Records::memory());
    let rules = Rules { gateway_algorithms: vec![Algorithm::EdDsa], ..rules() };
    let accounts = accounts_in(&records, rules.clone());
    accounts.keys(NOW).await.unwrap();
    let stored = records.get(records::key::SIGNING_KEYS, NOW).await.unwrap().unwrap();
    let copied = doorward_store::Transaction::new().put(records::key::GATEWAY_SIGNING_KEYS, stored, None);
    accounts.commit(copied, NOW).await.unwrap();
    let error = accounts.keys_of(KeySetName::Gateway, NOW).await.unwrap_err();
    assert_eq!(error, KeysError::Sealed(Unsealable));
}

#[tokio::test]
async fn a_clock_that_is_behind_signs_with_the_first_key_too() {
    let accounts = accounts();
    let first = sign(&accounts, NOW).await;
    assert_eq!(kid_of(&sign(&accounts, after(-5)).await), kid_of(&first));
}
