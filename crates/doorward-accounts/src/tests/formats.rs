//! What stands in a store outlives the program that wrote it. If one of these cannot be read any more, those who come
//! from the version before lose it.

use serde::de::DeserializeOwned;

use super::*;

/// As the first version wrote them; hashes are of no meaning.
const RECORDS: [(&str, &str); 9] = [
    (
        "user/alice",
        r#"{"name":"alice","uid":"u1","full_name":"Alice","email":"a@example.com","email_verified":true,"identities":["local:alice"],"groups":{"":["ops"],"local":["dev"]},"standing":"Active","password":null,"uid_source":"Random","created":1000000,"updated":1000000}"#,
    ),
    ("identity/local:alice", r#"{"user":"alice","uid":"u1"}"#),
    (
        "code/sha256~fresh",
        r#"{"Fresh":{"code":{"client":"client","subject":{"User":{"name":"alice","uid":"u1"}},"scopes":["openid"],"audience":[],"redirect":{"Only":"https://client.example/cb"},"challenge":{"method":"S256","value":"E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM"},"login":{"auth_time":5,"amr":["pwd"],"session":"s","nonce":"n"},"rules":{"access":{"secs":60,"nanos":0},"inactivity":null},"refreshing":"Allowed"},"expires":1000300}}"#,
    ),
    ("code/sha256~used", r#"{"Used":{"family":"f1"}}"#),
    (
        "token/sha256~t1",
        r#"{"name":"sha256~t1","family":"f1","client":"client","subject":{"User":{"name":"alice","uid":"u1"}},"scopes":["openid"],"audience":[],"session":null,"created":1000000,"expires_in":86400,"inactivity":{"timeout":300,"until":300}}"#,
    ),
    (
        "family/f1",
        r#"{"client":"client","subject":{"User":{"name":"alice","uid":"u1"}},"scopes":["openid"],"audience":[],"login":{"auth_time":5,"amr":[],"session":null,"nonce":null},"ends":1086400,"access":"sha256~t1","refresh":{"current":"rt~r1","idle_ends":1600000,"ends":1900000,"previous":{"name":"rt~r0","at":1000000,"answer":"x"}}}"#,
    ),
    (
        "session/h1",
        r#"{"sid":"s","subject":{"User":{"name":"alice","uid":"u1"}},"provider":"local","amr":["pwd"],"auth_time":1000000,"seen":1000000}"#,
    ),
    ("consent/alice/client", r#"{"uid":"u1","scopes":["openid"]}"#),
    ("signing-keys", r#"[{"kid":"k","alg":"EdDSA","sealed":"x","signs_from":1000000,"ends":null}]"#),
];

/// Reads a record as what it is, and writes it again.
fn rewritten(key: &str, value: &str) -> String {
    fn by<T: DeserializeOwned + serde::Serialize>(value: &str) -> String {
        serde_json::to_string(&serde_json::from_str::<T>(value).unwrap()).unwrap()
    }
    match key.split('/').next().unwrap() {
        "user" => by::<User>(value),
        "identity" => by::<crate::users::Identity>(value),
        "code" => by::<code::Code>(value),
        "token" => by::<AccessToken>(value),
        "family" => by::<grants::Family>(value),
        "session" => by::<Session>(value),
        "consent" => by::<consents::Consent>(value),
        "signing-keys" => by::<Vec<crate::keys::StoredKey>>(value),
        other => panic!("{other}"),
    }
}

#[test]
fn records_of_the_first_version_are_read_and_written_alike() {
    for (key, value) in RECORDS {
        assert_eq!(rewritten(key, value), value, "{key}");
    }
}

#[tokio::test]
async fn records_of_the_first_version_still_count() {
    let accounts = accounts();
    for (key, value) in RECORDS {
        let transaction = doorward_store::Transaction::new().put(key, value.into(), None);
        accounts.commit(transaction, NOW).await.unwrap();
    }
    let user = accounts.user("alice", NOW).await.unwrap().unwrap();
    assert_eq!(user.all_groups(), ["dev", "ops"]);
    let subject = Subject::of_user(&user);
    assert_eq!(accounts.consented(&subject, "client", NOW).await.unwrap(), scopes("openid"));
    let login = ProviderLogin {
        provider: "local".to_owned(),
        user_name: "alice".to_owned(),
        ..ProviderLogin::default()
    };
    assert_eq!(accounts.sign_in(&login, MappingMethod::Lookup, NOW).await.unwrap().uid, "u1");
    // The code is `sha256~` and forty-three times the letter a.
    let code = format!("sha256~{}", "a".repeat(43));
    let name = TokenName::of_access(&code).unwrap();
    let value = RECORDS[2].1;
    let transaction = doorward_store::Transaction::new().put(&records::key::code(name), value.into(), None);
    accounts.commit(transaction, NOW).await.unwrap();
    let redemption = Redemption {
        client: "client",
        redirect_uri: None,
        verifier: Some("dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk"),
        audience: None,
    };
    let redeemed = accounts.redeem_code(&code, &redemption, NOW).await.unwrap();
    assert_eq!(redeemed.issued.token.expires_in, Some(60));
    assert_eq!(redeemed.login.nonce.as_deref(), Some("n"));
}
