//! What only Redis can do wrong.

use std::io::{Read as _, Write as _};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::atomic::AtomicBool;
use std::thread;

use super::*;

fn at_url(url: &str) -> RecordsConfig {
    redis_config(RedisConfig::new(RedisServers::Single(url.parse().unwrap())))
}

/// Passes bytes on to Redis, and closes the first connection when it has answered a script: nobody learns of it.
fn who_loses_an_answer(to: u16) -> u16 {
    let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let port = listener.local_addr().unwrap().port();
    thread::spawn(move || {
        for (number, client) in listener.incoming().enumerate() {
            let (client, server) = (client.unwrap(), TcpStream::connect(("127.0.0.1", to)).unwrap());
            let asked = [client.try_clone().unwrap(), server.try_clone().unwrap()];
            let answered = [server, client];
            let has_script = Arc::new(AtomicBool::new(false));
            let sees = Arc::clone(&has_script);
            thread::spawn(move || {
                pass_on(asked, |bytes| {
                    if bytes.windows(4).any(|part| part == b"EVAL") {
                        sees.store(true, Ordering::SeqCst);
                    }
                    true
                });
            });
            thread::spawn(move || pass_on(answered, |_| number > 0 || !has_script.load(Ordering::SeqCst)));
        }
    });
    port
}

/// Copies from the first to the second until `may_pass` says no or either end is closed, and closes both.
fn pass_on([mut from, mut to]: [TcpStream; 2], may_pass: impl Fn(&[u8]) -> bool) {
    let mut bytes = vec![0; 65536];
    while let Ok(length @ 1..) = from.read(&mut bytes) {
        if !may_pass(&bytes[..length]) || to.write_all(&bytes[..length]).is_err() {
            break;
        }
    }
    let _ = (from.shutdown(Shutdown::Both), to.shutdown(Shutdown::Both));
}

#[tokio::test]
async fn a_commit_whose_answer_was_lost_is_no_conflict() {
    let redis = Redis::start(&[]);
    let port = who_loses_an_answer(redis.port());
    let records = Records::open(at_url(&format!("redis://127.0.0.1:{port}"))).await.unwrap();
    done(&records, put("a", "1").if_absent("a"), NOW).await;
    conflict(&records, put("a", "1").if_absent("a"), NOW).await;
}

#[tokio::test]
async fn prefixes_keep_installations_apart() {
    let redis = Redis::start(&[]);
    let here = open(&single(&redis)).await;
    let RecordsConfig::Redis { servers, .. } = single(&redis) else { panic!() };
    let there = open(&RecordsConfig::Redis { servers, prefix: "other".parse().unwrap() }).await;
    done(&here, put("a", "1"), NOW).await;
    done(&there, put("a", "2").if_absent("a"), NOW).await;
    assert_eq!(text(&here, "a", NOW).await.as_deref(), Some("1"));
    assert_eq!(names(&there, "", NOW).await, ["a"]);
}

#[tokio::test]
async fn redis_removes_by_itself_what_nobody_sweeps() {
    let redis = Redis::start(&[]);
    let records = open(&single(&redis)).await;
    let soon = at(NOW.seconds + 60);
    done(&records, put("ever", "").put("soon", b"".into(), Some(soon)), NOW).await;
    let left: i64 = redis.cli(&["pttl", "{doorward}:r:soon"]).parse().unwrap();
    assert!((60_000..=360_000).contains(&left), "{left}");
    assert_eq!(redis.cli(&["pttl", "{doorward}:r:ever"]), "-1");
    redis.cli(&["del", "{doorward}:r:soon"]);
    assert_eq!(text(&records, "soon", NOW).await, None);
    assert_eq!(names(&records, "", NOW).await, ["ever"]);
    assert_eq!(redis.cli(&["zrange", "{doorward}:names", "0", "-1"]), "ever");
    assert_eq!(redis.cli(&["zcard", "{doorward}:expiries"]), "0");
}

#[tokio::test]
async fn a_full_redis_is_unavailable_and_changes_nothing() {
    let redis = Redis::start(&[]);
    let records = open(&single(&redis)).await;
    done(&records, put("a", "1").put("b", b"1".into(), None), NOW).await;
    redis.cli(&["config", "set", "maxmemory", "1"]);
    let changes = Transaction::new().if_same("a", b"1").delete("a").put("b", b"2".into(), None);
    assert!(records.commit(changes.clone(), NOW).await.unwrap_err().is_unavailable());
    assert_eq!(records.get_many(&["a", "b"], NOW).await, Ok(vec![Some(b"1".to_vec()); 2]));
    redis.cli(&["config", "set", "maxmemory", "0"]);
    done(&records, changes, NOW).await;
}

#[tokio::test]
async fn what_is_not_ours_is_refused_and_stays() {
    let redis = Redis::start(&[]);
    let records = open(&single(&redis)).await;
    redis.cli(&["rpush", "{doorward}:r:a", "theirs"]);
    let error = records.commit(put("b", "1").if_absent("a"), NOW).await.unwrap_err();
    assert!(matches!(error, StoreError::Refused { .. }), "{error:?}");
    assert_eq!(text(&records, "b", NOW).await, None);
    // Shorter than any record.
    redis.cli(&["set", "{doorward}:r:c", "theirs"]);
    assert_eq!(text(&records, "c", NOW).await, None);
}

#[tokio::test]
async fn a_dead_server_is_unavailable_and_a_returning_one_is_used_at_once() {
    let mut redis = Redis::start(&[]);
    let records = open(&single(&redis)).await;
    redis.stop();
    assert!(records.ping().await.unwrap_err().is_unavailable());
    assert!(records.get("a", NOW).await.unwrap_err().is_unavailable());
    assert!(records.list("a", NOW).await.unwrap_err().is_unavailable());
    assert!(records.commit(put("a", "1"), NOW).await.unwrap_err().is_unavailable());
    redis.start_again();
    while records.ping().await.is_err() {
        tokio::task::yield_now().await;
    }
    done(&records, put("a", "1"), NOW).await;
}

#[tokio::test]
async fn refused_credentials_name_the_option_of_this_store() {
    let redis = Redis::start(&["--requirepass", "s3cret"]);
    let records = open(&at_url(&format!("redis://:s3cret@{}", redis.place()))).await;
    records.ping().await.unwrap();
    let error = Records::open(at_url(&format!("redis://:wrong-word@{}", redis.place()))).await.unwrap_err();
    assert!(
        matches!(error, StoreError::CredentialsRefused { options: "authServer.store.url", .. }),
        "{error:?}"
    );
    assert!(!format!("{error} {error:?} {records:?}").contains("wrong-word"));
}

/// As docs/records.md has it.
#[tokio::test(flavor = "multi_thread")]
async fn a_user_with_a_few_commands_is_enough() {
    let redis = Redis::start(&[]);
    let commands = "+eval +mget +get +set +del +exists +zadd +zrem +zrangebylex +zrangebyscore";
    let rules = ["acl", "setuser", "proxy", "on", ">word", "~{doorward}:*"];
    redis.cli(&[&rules[..], &commands.split(' ').collect::<Vec<_>>()].concat());
    let records = open(&at_url(&format!("redis://proxy:word@{}", redis.place()))).await;
    every_law(&Arc::new(records)).await;
}
