//! What records do, wherever they are kept.

use std::fs;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use doorward_testkit::{Cluster, Redis, Security, Watched};

use super::*;
use crate::tests::Form;
use crate::{RedisConfig, RedisServers};

mod crash;
mod embedded;
mod redis;

/// A folder that goes with the test.
#[derive(Debug)]
pub(super) struct Folder(PathBuf);

impl Folder {
    pub(super) fn new() -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let path = std::env::temp_dir().join(format!("doorward-records-{}-{number}", std::process::id()));
        fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    pub(super) fn path(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }

    pub(super) fn config(&self) -> RecordsConfig {
        RecordsConfig::Embedded { path: self.path("records.db") }
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

pub(super) fn redis_config(servers: RedisConfig) -> RecordsConfig {
    RecordsConfig::Redis { servers: Box::new(servers), prefix: RecordsPrefix::default() }
}

pub(super) fn single(redis: &Redis) -> RecordsConfig {
    redis_config(RedisConfig::new(RedisServers::Single(redis.url().parse().unwrap())))
}

/// Opens records, waiting for servers that have just been started.
pub(super) async fn open(config: &RecordsConfig) -> Records {
    for _ in 0..400 {
        match Records::open(config.clone()).await {
            Err(error) if error.is_unavailable() => {
                tokio::time::sleep(std::time::Duration::from_millis(25)).await;
            }
            opened => return opened.unwrap(),
        }
    }
    panic!("the store stays unavailable")
}

/// Times are whatever callers say; no clock has a part in these tests.
const fn at(seconds: i64) -> Timestamp {
    Timestamp::from_seconds(seconds)
}

const NOW: Timestamp = at(1_000_000);

fn put(key: &str, value: &str) -> Transaction {
    Transaction::new().put(key, value.into(), None)
}

async fn done(records: &Records, transaction: Transaction, now: Timestamp) {
    assert_eq!(records.commit(transaction, now).await, Ok(Committed::Done));
}

async fn conflict(records: &Records, transaction: Transaction, now: Timestamp) {
    assert_eq!(records.commit(transaction, now).await, Ok(Committed::Conflict));
}

async fn text(records: &Records, key: &str, now: Timestamp) -> Option<String> {
    records.get(key, now).await.unwrap().map(|value| String::from_utf8(value).unwrap())
}

async fn names(records: &Records, prefix: &str, now: Timestamp) -> Vec<String> {
    records.list(prefix, now).await.unwrap().into_iter().map(|(name, _)| name).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn records_in_memory_keep_the_laws() {
    every_law(&Arc::new(Records::memory())).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn records_in_a_file_keep_the_laws() {
    let folder = Folder::new();
    every_law(&Arc::new(open(&folder.config()).await)).await;
    everything_is_there_again(&folder.config()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn records_in_redis_keep_the_laws() {
    let redis = Redis::start(&[]);
    every_law(&Arc::new(open(&single(&redis)).await)).await;
    everything_is_there_again(&single(&redis)).await;
    assert!(redis.keys().iter().all(|key| key.starts_with("{doorward}:")));
}

#[tokio::test(flavor = "multi_thread")]
async fn records_with_a_watched_master_keep_the_laws() {
    let watched = Watched::start(Security::Plain);
    every_law(&Arc::new(open(&redis_config(Form::of_watched(&watched))).await)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn records_in_a_cluster_keep_the_laws() {
    let cluster = Cluster::start(Security::Plain);
    let config = redis_config(Form::of_cluster(&cluster));
    every_law(&Arc::new(open(&config).await)).await;
    everything_is_there_again(&config).await;
}

async fn every_law(records: &Arc<Records>) {
    records.ping().await.unwrap();
    what_is_put_is_there_until_it_is_deleted(records).await;
    conditions_hold_or_nothing_changes(records).await;
    now_decides_what_has_expired(records).await;
    what_has_expired_is_removed_and_nothing_else(records).await;
    lists_are_in_order_and_end_with_the_prefix(records).await;
    values_may_be_large_and_anything(records).await;
    of_many_that_want_the_same_one_succeeds(records).await;
    readers_see_all_of_a_commit_or_nothing(records).await;
    assert_eq!(names(records, "", NOW).await, Vec::<String>::new(), "every law cleans up");
}

async fn what_is_put_is_there_until_it_is_deleted(records: &Records) {
    assert_eq!(records.get_many(&[], NOW).await, Ok(Vec::new()));
    done(records, Transaction::new(), NOW).await;
    done(records, put("a", "1").put("b", b"2".into(), None), NOW).await;
    let found = records.get_many(&["b", "missing", "a", "b"], NOW).await.unwrap();
    assert_eq!(found, [Some(b"2".to_vec()), None, Some(b"1".to_vec()), Some(b"2".to_vec())]);
    done(records, put("a", "3"), NOW).await;
    assert_eq!(text(records, "a", NOW).await.as_deref(), Some("3"));
    done(records, Transaction::new().delete("a").delete("b").delete("missing"), NOW).await;
    assert_eq!(records.get_many(&["a", "b"], NOW).await, Ok(vec![None, None]));
}

async fn conditions_hold_or_nothing_changes(records: &Records) {
    done(records, put("a", "1").if_absent("a").if_absent("b"), NOW).await;
    let table = [
        (Transaction::new().if_absent("a"), Committed::Conflict),
        (Transaction::new().if_same("a", b"2"), Committed::Conflict),
        (Transaction::new().if_same("a", b""), Committed::Conflict),
        (Transaction::new().if_same("b", b""), Committed::Conflict),
        (Transaction::new().if_same("a", b"1").if_same("b", b"1"), Committed::Conflict),
        (Transaction::new().if_absent("b").if_same("a", b"11"), Committed::Conflict),
        (Transaction::new().if_absent("b").if_same("a", b"1"), Committed::Done),
    ];
    for (conditions, expected) in table {
        let changes = conditions.put("a", b"new".into(), None).put("b", b"".into(), None).delete("c");
        assert_eq!(records.commit(changes.clone(), NOW).await, Ok(expected), "{changes:?}");
        let after = if expected == Committed::Done { ["new", ""].map(Some) } else { [Some("1"), None] };
        assert_eq!(text(records, "a", NOW).await.as_deref(), after[0], "{changes:?}");
        assert_eq!(text(records, "b", NOW).await.as_deref(), after[1], "{changes:?}");
    }
    // Nothing and an empty value differ.
    done(records, Transaction::new().if_same("b", b"").delete("a").delete("b"), NOW).await;
}

async fn now_decides_what_has_expired(records: &Records) {
    let ends = Timestamp { seconds: NOW.seconds + 10, nanos: 500 };
    let just_before = Timestamp { nanos: 499, ..ends };
    done(records, Transaction::new().put("e", b"1".into(), Some(ends)), NOW).await;
    for (now, expected) in [(NOW, Some("1")), (just_before, Some("1")), (ends, None), (at(i64::MAX), None)] {
        assert_eq!(text(records, "e", now).await.as_deref(), expected, "{now:?}");
        assert_eq!(names(records, "e", now).await.len(), usize::from(expected.is_some()), "{now:?}");
    }
    conflict(records, put("x", "").if_absent("e"), just_before).await;
    // A later time and no end replace an earlier one.
    let later = Timestamp { seconds: ends.seconds + 10, ..ends };
    done(records, Transaction::new().if_same("e", b"1").put("e", b"2".into(), Some(later)), just_before)
        .await;
    assert_eq!(text(records, "e", ends).await.as_deref(), Some("2"));
    conflict(records, put("x", "").if_same("e", b"2"), later).await;
    done(records, Transaction::new().if_absent("e").put("e", b"3".into(), None), later).await;
    assert_eq!(text(records, "e", at(i64::MAX)).await.as_deref(), Some("3"));
    // What is put too late was never there, and what ends in ages is there.
    done(
        records,
        Transaction::new().put("e", b"4".into(), Some(NOW)).put("f", b"5".into(), Some(at(i64::MAX))),
        NOW,
    )
    .await;
    assert_eq!(text(records, "e", NOW).await, None);
    assert_eq!(text(records, "f", later).await.as_deref(), Some("5"));
    done(records, Transaction::new().delete("e").delete("f"), NOW).await;
}

async fn what_has_expired_is_removed_and_nothing_else(records: &Records) {
    for number in 0..300 {
        let mut changes =
            Transaction::new().put(&format!("s/{number:03}"), b"v".into(), Some(at(number + 10)));
        if number % 3 == 0 {
            // Replaced by what lives longer, or for ever.
            changes = changes.put(&format!("t/{number:03}"), b"v".into(), Some(at(number + 10)));
            let longer = (number % 2 == 0).then_some(at(5000));
            done(records, changes, at(0)).await;
            changes = Transaction::new().put(&format!("t/{number:03}"), b"w".into(), longer);
        }
        done(records, changes, at(0)).await;
    }
    for _ in 0..20 {
        done(records, Transaction::new(), at(1000)).await;
    }
    assert_eq!(names(records, "s/", at(0)).await.len(), 0, "an earlier now does not bring them back");
    assert_eq!(names(records, "t/", at(1000)).await.len(), 100);
    let clean = |changes: Transaction, name: &String| changes.delete(name);
    let all = names(records, "t/", at(0)).await.iter().fold(Transaction::new(), clean);
    done(records, all, at(0)).await;
}

async fn lists_are_in_order_and_end_with_the_prefix(records: &Records) {
    let keys = ["l", "l/", "l/1", "l/10", "l/2", "l/a\0b", "l/~", "l/ä", "l/😀", "l0", "m"];
    let all =
        keys.iter().rev().fold(Transaction::new(), |all, key| all.put(key, key.as_bytes().into(), None));
    done(records, all, NOW).await;
    let table =
        [("", 0..11), ("l", 0..10), ("l/", 1..9), ("l/1", 2..4), ("l/ä", 7..8), ("l/😀", 8..9), ("n", 0..0)];
    for (prefix, range) in table {
        let expected: Vec<_> =
            keys[range].iter().map(|key| ((*key).to_owned(), key.as_bytes().to_vec())).collect();
        assert_eq!(records.list(prefix, NOW).await.unwrap(), expected, "{prefix}");
    }
    let none = keys.iter().fold(Transaction::new(), |none, key| none.delete(key));
    done(records, none, NOW).await;
    // More than is read at a time.
    let many: Vec<String> = (0..1500).map(|number| format!("n/{number:04}")).collect();
    done(records, many.iter().fold(Transaction::new(), |all, key| all.put(key, b"v".into(), None)), NOW)
        .await;
    assert_eq!(names(records, "n/", NOW).await, many);
    done(records, many.iter().fold(Transaction::new(), |all, key| all.delete(key)), NOW).await;
}

async fn values_may_be_large_and_anything(records: &Records) {
    let bytes: Vec<u8> = (0..=u8::MAX).cycle().take(3_000_000).collect();
    let (key, end) = ("k".repeat(2000), Some(at(i64::MAX)));
    done(records, Transaction::new().put(&key, bytes.clone(), end).put("", bytes.clone(), None), NOW).await;
    assert_eq!(records.get_many(&[&key, ""], NOW).await, Ok(vec![Some(bytes.clone()), Some(bytes.clone())]));
    done(records, Transaction::new().if_same(&key, &bytes).if_same("", &bytes).delete(&key).delete(""), NOW)
        .await;
}

async fn of_many_that_want_the_same_one_succeeds(records: &Arc<Records>) {
    for round in 0..10 {
        let (code, token) = (format!("code/{round}"), format!("token/{round}"));
        done(records, put(&code, "c"), NOW).await;
        let mut attempts = tokio::task::JoinSet::new();
        for number in 0..50 {
            let use_up = Transaction::new().if_same(&code, b"c").delete(&code);
            let use_up = use_up.put(&token, format!("{number}").into(), None);
            let records = Arc::clone(records);
            attempts.spawn(async move { (number, records.commit(use_up, NOW).await.unwrap()) });
        }
        let outcomes = attempts.join_all().await;
        let winners: Vec<_> = outcomes.iter().filter(|(_, outcome)| *outcome == Committed::Done).collect();
        assert_eq!(winners.len(), 1, "{winners:?}");
        assert_eq!(text(records, &token, NOW).await, Some(winners[0].0.to_string()));
        done(records, Transaction::new().delete(&token), NOW).await;
    }
}

async fn readers_see_all_of_a_commit_or_nothing(records: &Arc<Records>) {
    done(records, put("x", "0").put("y", b"0".into(), None), NOW).await;
    let writer = tokio::spawn({
        let records = Arc::clone(records);
        async move {
            for number in 1..200 {
                let value = number.to_string();
                done(&records, put("x", &value).put("y", value.into(), None), NOW).await;
            }
        }
    });
    while !writer.is_finished() {
        let seen = records.get_many(&["x", "y"], NOW).await.unwrap();
        assert_eq!(seen[0], seen[1]);
    }
    writer.await.unwrap();
    done(records, Transaction::new().delete("x").delete("y"), NOW).await;
}

async fn everything_is_there_again(config: &RecordsConfig) {
    let end = at(NOW.seconds + 10);
    let records = open(config).await;
    done(&records, put("a", "1").put("b", b"2".into(), Some(end)), NOW).await;
    drop(records);
    let records = open(config).await;
    assert_eq!(names(&records, "", NOW).await, ["a", "b"]);
    assert_eq!(names(&records, "", end).await, ["a"]);
    done(&records, Transaction::new().delete("a"), NOW).await;
    drop(records);
    assert_eq!(names(&open(config).await, "", NOW).await, ["b"]);
}

#[tokio::test]
async fn no_value_is_shown() {
    let folder = Folder::new();
    for records in [Records::memory(), open(&folder.config()).await] {
        let changes = put("key", "s3cret").if_absent("key");
        assert_eq!(format!("{changes:?}"), "Transaction { conditions: [\"key\"], changes: [\"key\"] }");
        done(&records, changes, NOW).await;
        assert!(!format!("{records:?}").contains("115, 51"), "{records:?}");
    }
}

#[test]
fn every_future_is_send() {
    fn send<T: Send>(_: T) {}
    let records = Records::memory();
    send(Records::open(RecordsConfig::Memory));
    send(records.get("k", NOW));
    send(records.get_many(&["k"], NOW));
    send(records.list("k", NOW));
    send(records.commit(Transaction::new(), NOW));
    send(records.ping());
}
