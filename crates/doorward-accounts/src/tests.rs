//! The rules, in memory and, where parallel attempts or crashes matter, also in a file and in Redis.

use std::{
    fs,
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};

use doorward_core::{SecretString, Timestamp};
use doorward_jose::Algorithm;
use doorward_store::{Records, RecordsConfig, RecordsPrefix};
use doorward_testkit::Redis;

use super::*;

mod codes;
mod formats;
mod handles;
mod keys;
mod refreshing;
mod sessions;
mod tokens;
mod users;

/// When the tests begin. No clock has a part in them.
const START: i64 = 1_000_000;

/// So many seconds later.
const fn after(seconds: i64) -> Timestamp {
    Timestamp::from_seconds(START + seconds)
}

const NOW: Timestamp = after(0);

fn rules() -> Rules {
    // RSA keys take their time.
    Rules { algorithms: vec![Algorithm::EdDsa], ..Rules::default() }
}

fn seal_key() -> SealKey {
    SealKey::new(&[b'k'; 32]).unwrap()
}

fn accounts_in(records: &Arc<Records>, rules: Rules) -> Arc<Accounts> {
    Arc::new(Accounts::new(Arc::clone(records), seal_key(), rules))
}

fn accounts() -> Arc<Accounts> {
    accounts_with(rules())
}

fn accounts_with(rules: Rules) -> Arc<Accounts> {
    accounts_in(&Arc::new(Records::memory()), rules)
}

/// A folder that goes with the test.
struct Folder(PathBuf);

impl Folder {
    fn new() -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let path = std::env::temp_dir().join(format!("doorward-accounts-{}-{number}", std::process::id()));
        fs::create_dir_all(&path).unwrap();
        Self(path)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// Redis that answers, and records in it.
async fn in_redis() -> (Redis, Arc<Records>) {
    let redis = Redis::start(&[]);
    let servers = doorward_store::RedisServers::Single(redis.url().parse().unwrap());
    let config = RecordsConfig::Redis {
        servers: Box::new(doorward_store::RedisConfig::new(servers)),
        prefix: RecordsPrefix::default(),
    };
    for _ in 0..400 {
        match Records::open(config.clone()).await {
            Err(error) if error.is_unavailable() => tokio::time::sleep(Duration::from_millis(25)).await,
            opened => return (redis, Arc::new(opened.unwrap())),
        }
    }
    panic!("Redis does not answer")
}

/// Holds a law to every kind of store, each of them empty.
async fn everywhere<F: Future<Output = ()>>(law: impl Fn(Arc<Records>) -> F) {
    law(Arc::new(Records::memory())).await;
    let folder = Folder::new();
    let config = RecordsConfig::Embedded { path: folder.0.join("records.db") };
    law(Arc::new(Records::open(config).await.unwrap())).await;
    let (_redis, records) = in_redis().await;
    law(records).await;
}

/// As many at the same time as `tasks` says.
async fn at_once<T: Send + 'static, F>(tasks: usize, work: impl Fn() -> F) -> Vec<T>
where
    F: Future<Output = T> + Send + 'static,
{
    let running: Vec<_> = (0..tasks).map(|_| tokio::spawn(work())).collect();
    let mut results = Vec::new();
    for task in running {
        results.push(task.await.unwrap());
    }
    results
}

async fn alice(accounts: &Accounts) -> User {
    accounts.add_user(NewUser { name: "alice".to_owned(), ..NewUser::default() }, NOW).await.unwrap()
}

/// Removes the record of a user and nothing else, as if removing what they had been issued had failed.
async fn remove_record(accounts: &Accounts, name: &str) {
    let transaction = doorward_store::Transaction::new().delete(&records::key::user(name));
    accounts.commit(transaction, NOW).await.unwrap();
}

fn scopes(text: &str) -> Scopes {
    Scopes::parse(text).unwrap()
}

/// A grant of a client to itself.
fn grant(user: &User) -> NewToken {
    NewToken {
        client: "client".to_owned(),
        subject: Subject::of_user(user),
        scopes: scopes("openid profile email"),
        audience: Vec::new(),
        rules: TokenRules::default(),
        login: LoginFacts::default(),
    }
}

const REDIRECT: &str = "https://client.example/cb";

fn new_code(user: &User) -> NewCode {
    let NewToken { client, subject, scopes, audience, rules, login } = grant(user);
    NewCode {
        client,
        subject,
        scopes,
        audience,
        redirect: CodeRedirect::Asked(REDIRECT.to_owned()),
        challenge: None,
        login,
        rules,
        refreshing: Refreshing::Allowed,
    }
}

const REDEMPTION: Redemption<'_> =
    Redemption { client: "client", redirect_uri: Some(REDIRECT), verifier: None, audience: None };

const REQUEST: RefreshRequest<'_> = RefreshRequest {
    client: "client",
    scopes: None,
    audience: None,
    rules: TokenRules { access: None, inactivity: None },
};

/// Tokens of a code for a user.
async fn tokens(accounts: &Accounts, user: &User) -> Issued {
    let code = accounts.issue_code(new_code(user), NOW).await.unwrap();
    accounts.redeem_code(code.expose(), &REDEMPTION, NOW).await.unwrap().issued
}

async fn validity(accounts: &Accounts, raw: &SecretString, now: Timestamp) -> Result<(), InvalidToken> {
    accounts.validate(raw.expose(), Activity::Counts, now).await.map(|_| ())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_store_that_is_gone_is_neither_a_yes_nor_a_no() {
    let (redis, records) = in_redis().await;
    let accounts = accounts_in(&records, rules());
    let user = alice(&accounts).await;
    let issued = tokens(&accounts, &user).await;
    let code = accounts.issue_code(new_code(&user), NOW).await.unwrap();
    let (session, _) = accounts
        .open_session(
            NewSession { subject: Subject::of_user(&user), provider: "local".to_owned(), amr: Vec::new() },
            NOW,
        )
        .await
        .unwrap();
    let ring = accounts.keys(NOW).await.unwrap();
    drop(redis);
    let down = |error: &Unavailable| matches!(error, Unavailable::Store(why) if why.is_unavailable());
    assert!(
        matches!(validity(&accounts, &issued.access, NOW).await, Err(InvalidToken::Unavailable(why)) if down(&why))
    );
    let redeemed = accounts.redeem_code(code.expose(), &REDEMPTION, NOW).await;
    assert!(matches!(redeemed, Err(RedeemError::Unavailable(why)) if down(&why)));
    let refreshed = accounts.refresh(issued.refresh.unwrap().expose(), &REQUEST, NOW).await;
    assert!(matches!(refreshed, Err(RefreshError::Unavailable(why)) if down(&why)));
    assert!(down(&accounts.session(session.expose(), NOW).await.unwrap_err()));
    assert!(down(&accounts.user("alice", NOW).await.unwrap_err()));
    // What is signed by others' clocks goes on for a while.
    assert_eq!(accounts.keys(after(120)).await.unwrap().jwks(NOW), ring.jwks(NOW));
    assert!(accounts.keys(after(7200)).await.is_err());
}
