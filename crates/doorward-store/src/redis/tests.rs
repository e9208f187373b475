//! Against real servers, started here on free ports; without `redis-server` these tests fail. What every store has to
//! do is in `crate::tests`; here is what only Redis can do wrong.

use std::net::{Ipv4Addr, TcpListener};
use std::time::Duration;

use doorward_testkit::{Cluster, Redis, Security, Watched};

use super::*;
use crate::Store;
use crate::tests::{Form, MINUTE, connect};

fn single(url: impl AsRef<str>) -> RedisConfig {
    RedisConfig::new(RedisServers::Single(url.as_ref().parse().unwrap()))
}

async fn open(redis: &Redis) -> Store {
    connect(single(redis.url())).await.unwrap()
}

fn inner(store: &Store) -> &RedisStore {
    let Store::Redis(redis) = store else { panic!("not Redis") };
    redis
}

/// Waits until the store answers again.
async fn recovered(store: &Store) {
    for _ in 0..800 {
        match store.set("recovered", b"", None).await {
            Err(error) if error.is_unavailable() => tokio::time::sleep(Duration::from_millis(25)).await,
            done => return done.unwrap(),
        }
    }
    panic!("the store stays unavailable");
}

#[tokio::test]
async fn lifetimes_are_whole_seconds_or_milliseconds_or_absent() {
    let server = Redis::start(&[]);
    let store = open(&server).await;
    let table = [
        (Some(MINUTE), 59_000..=60_000),
        (Some(Duration::from_millis(59_500)), 58_000..=59_500),
        (Some(Duration::from_hours(876_600)), 3_155_759_000_000..=3_155_760_000_000),
        (None, -1..=-1),
    ];
    let lock = Held { key: "l", token: "t", ttl: MINUTE };
    store.try_lock(lock.key, lock.token, MINUTE).await.unwrap();
    for (ttl, expected) in table {
        store.set("k", b"v", ttl).await.unwrap();
        let left: i64 = inner(&store).run(cmd("PTTL").arg("k")).await.unwrap();
        assert!(expected.contains(&left), "{ttl:?} {left}");
        assert_eq!(store.replace_under(lock, "k", b"w", ttl).await, Ok(Replaced::Done));
        let left: i64 = inner(&store).run(cmd("PTTL").arg("k")).await.unwrap();
        assert!(expected.contains(&left), "{ttl:?} {left}");
    }
    store.set("k", b"v", Some(Duration::ZERO)).await.unwrap();
}

#[tokio::test]
async fn a_lock_taken_the_way_of_the_reference_keeps_us_out() {
    for form in Form::all_of_redis() {
        let store = form.store().await;
        let mut theirs = cmd("SET");
        theirs.arg("l").arg("theirs").arg("NX").arg("PX").arg(60_000);
        let _: () = inner(&store).run(&theirs).await.unwrap();
        assert_eq!(store.try_lock("l", "a", MINUTE).await, Ok(false));
        assert_eq!(store.unlock("l", "theirs").await, Ok(true));
    }
}

#[tokio::test]
async fn a_dead_server_is_noticed_and_a_returning_one_is_used_at_once() {
    let mut server = Redis::start(&[]);
    let store = open(&server).await;
    store.ping().await.unwrap();
    server.stop();
    for _ in 0..3 {
        assert!(store.ping().await.unwrap_err().is_unavailable());
        assert!(store.get("k").await.unwrap_err().is_unavailable());
    }
    server.start_again();
    recovered(&store).await;
    // A restart between two commands is not even visible.
    server.stop();
    server.start_again();
    server.cli(&["set", "k", "v"]);
    assert_eq!(store.get("k").await.unwrap().as_deref(), Some(&b"v"[..]));
}

#[tokio::test]
async fn a_cluster_of_which_one_or_all_servers_were_down_is_used_again() {
    let mut cluster = Cluster::start(Security::Plain);
    // Who has to wait in vain does so for a second only.
    let url = format!("{}?read_timeout=1s", cluster.nodes[1].url());
    let servers = RedisServers::Cluster(vec![url.parse().unwrap()]);
    let store = connect(RedisConfig::new(servers)).await.unwrap();
    // Names of which each node has some.
    let keys: Vec<String> = (0..30).map(|number| format!("key-{number}")).collect();
    for number in 0..3 {
        let lost = keys.iter().find(|key| cluster.owner(key) == number).unwrap();
        cluster.nodes[number].stop();
        assert!(store.get(lost).await.unwrap_err().is_unavailable());
        cluster.nodes[number].start_again();
        for key in &keys {
            while let Err(error) = store.set(key, b"v", None).await {
                assert!(error.is_unavailable(), "{error}");
                tokio::time::sleep(Duration::from_millis(25)).await;
            }
        }
    }
    for node in &mut cluster.nodes {
        node.stop();
    }
    assert!(store.ping().await.unwrap_err().is_unavailable());
    assert!(store.get("k").await.unwrap_err().is_unavailable());
    for node in &mut cluster.nodes {
        node.start_again();
    }
    recovered(&store).await;
}

#[tokio::test]
async fn redirections_in_a_cluster_are_followed() {
    let cluster = Cluster::start(Security::Plain);
    let store = connect(Form::of_cluster(&cluster)).await.unwrap();
    let from = cluster.owner("k");
    let to = (from + 1) % 3;
    cluster.begin_move("k", to);
    // The old node answers ASK: there is no such key with it.
    store.set("k", b"new", Some(MINUTE)).await.unwrap();
    assert_eq!(store.get("k").await.unwrap().as_deref(), Some(&b"new"[..]));
    assert_eq!(cluster.nodes[to].keys(), ["k"]);
    assert_eq!(cluster.owner("k"), from);
    cluster.finish_move("k", to);
    // Now it answers MOVED.
    assert_eq!(store.get("k").await.unwrap().as_deref(), Some(&b"new"[..]));
    assert_eq!(cluster.owner("k"), to);
}

#[tokio::test]
async fn another_master_is_found_whether_the_old_one_died_or_was_demoted() {
    let mut watched = Watched::start(Security::Plain);
    let store = connect(Form::of_watched(&watched)).await.unwrap();
    store.set("k", b"v", None).await.unwrap();
    while watched.servers.iter().any(|server| server.cli(&["-a", Watched::PASSWORD, "get", "k"]) != "v") {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    // The old one is told much later, and takes everything until then.
    watched.swap();
    while port_of(&store).await != Some(watched.master_port()) {
        tokio::time::sleep(Duration::from_millis(25)).await;
    }
    assert_eq!(store.get("k").await.unwrap().as_deref(), Some(&b"v"[..]));

    while !watched
        .servers
        .iter()
        .any(|server| server.cli(&["-a", Watched::PASSWORD, "info", "replication"]).contains("state=online"))
    {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    let before = watched.master_port();
    watched.kill_master();
    recovered(&store).await;
    assert_ne!(port_of(&store).await.unwrap(), before);
    assert_eq!(store.get("k").await.unwrap().as_deref(), Some(&b"v"[..]));
}

async fn port_of(store: &Store) -> Option<u16> {
    let answer: Vec<String> = inner(store).run(cmd("CONFIG").arg("GET").arg("port")).await.ok()?;
    answer[1].parse().ok()
}

/// Its connections stay open, unlike where a sentinel has demoted it.
#[tokio::test]
async fn a_server_that_takes_no_writes_any_more_is_connected_to_anew() {
    let (master, other) = (Redis::start(&[]), Redis::start(&[]));
    let store = open(&master).await;
    let id = || cmd("CLIENT").arg("ID").clone();
    let first: i64 = inner(&store).run(&id()).await.unwrap();
    let port = other.port().to_string();
    master.cli(&["replicaof", "127.0.0.1", &port]);
    for _ in 0..2 {
        assert!(store.set("k", b"v", None).await.unwrap_err().is_unavailable());
        assert!(store.try_lock("l", "t", MINUTE).await.unwrap_err().is_unavailable(), "in a script too");
    }
    master.cli(&["replicaof", "no", "one"]);
    store.set("k", b"v", None).await.unwrap();
    assert_ne!(inner(&store).run::<i64>(&id()).await.unwrap(), first);
}

#[tokio::test]
async fn sentinels_that_are_dead_or_know_nothing_are_passed_over() {
    let watched = Watched::start(Security::Plain);
    let other = Watched::start(Security::Plain);
    let mut config = Form::of_watched(&watched);
    let RedisServers::Sentinel { urls, .. } = &mut config.servers else { panic!() };
    let alive = urls.remove(0);
    urls.push(closed_port().parse().unwrap());
    let error = Store::connect_redis(config.clone()).await.unwrap_err();
    assert!(error.is_unavailable(), "{error}");
    // A server is no sentinel, and this sentinel watches other servers.
    let RedisServers::Sentinel { urls, .. } = &mut config.servers else { panic!() };
    urls.push(other.servers[0].url().parse().unwrap());
    urls.push(alive);
    connect(config.clone()).await.unwrap().probe("n").await.unwrap();
    let RedisServers::Sentinel { urls, master, .. } = &mut config.servers else { panic!() };
    urls.drain(..2);
    "unknown".clone_into(master);
    let error = Store::connect_redis(config.clone()).await.unwrap_err();
    assert!(error.is_unavailable() && error.to_string().contains("redis_sentinel_master_name"), "{error}");
    let RedisServers::Sentinel { password, .. } = &mut config.servers else { panic!() };
    *password = Some("wrong-word".into());
    let error = Store::connect_redis(config.clone()).await.unwrap_err();
    assert!(error.to_string().contains("redis_sentinel_password"), "{error}");
    assert!(!format!("{error} {error:?} {config:?}").contains("wrong-word"));
}

/// As the reference's users are often made: no dangerous commands, and thus no ROLE and no INFO.
#[tokio::test]
async fn a_user_without_dangerous_commands_is_enough() {
    let watched = Watched::start(Security::Plain);
    for server in &watched.servers {
        let rules = ["on", ">word", "~*", "+@all", "-@dangerous"];
        server.cli(&[&["-a", Watched::PASSWORD, "acl", "setuser", "proxy"][..], &rules].concat());
    }
    let mut config = Form::of_watched(&watched);
    config.username = Some("proxy".to_owned());
    config.password = Some("word".into());
    let store = connect(config).await.unwrap();
    store.probe("n").await.unwrap();
    assert_eq!(store.try_lock("l", "t", MINUTE).await, Ok(true));
}

fn closed_port() -> String {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    format!("redis://:hidden@{}", listener.local_addr().unwrap())
}

#[tokio::test]
async fn a_server_that_is_not_there_is_unavailable() {
    let error = Store::connect_redis(single(closed_port())).await.unwrap_err();
    assert!(error.is_unavailable());
    assert!(!error.to_string().contains("hidden"));
}

#[tokio::test]
async fn a_certificate_is_checked_unless_that_is_waived() {
    let server = Redis::start_with(Security::Tls, &[]);
    let refused = Store::connect_redis(single(server.url())).await.unwrap_err();
    assert!(refused.is_unavailable() && refused.to_string().contains("certificate"), "{refused}");

    let trusted = Some(Authorities::from_pem(Redis::AUTHORITY.as_bytes()).unwrap());
    // The CA file asks for TLS even if the URL does not.
    for url in [server.url(), format!("redis://{}", server.place())] {
        let mut config = single(url);
        config.tls.authorities.clone_from(&trusted);
        connect(config).await.unwrap().probe("n").await.unwrap();
    }
    let mut config = single(format!("rediss://127.0.0.1:{}", server.port()));
    config.tls.authorities = trusted;
    let refused = Store::connect_redis(config.clone()).await.unwrap_err();
    assert!(refused.is_unavailable(), "the certificate holds another name: {refused}");
    config.tls.verification = TlsVerification::Skip;
    connect(config).await.unwrap().probe("n").await.unwrap();
    let url = format!("rediss://127.0.0.1:{}?skip_verify=true", server.port());
    connect(single(url)).await.unwrap().probe("n").await.unwrap();
}

#[tokio::test]
async fn passwords_come_from_the_url_or_the_option_and_are_never_shown() {
    let server = Redis::start(&["--requirepass", "s3cret"]);
    let with_password = single(format!("redis://:s3cret@{}/1", server.place()));
    connect(with_password).await.unwrap().probe("n").await.unwrap();
    let mut config = single(server.url());
    let error = connect(config.clone()).await.unwrap_err();
    assert!(matches!(error, StoreError::CredentialsRefused { .. }), "{error:?}");
    config.password = Some("wrong-word".into());
    let error = connect(config.clone()).await.unwrap_err();
    assert!(matches!(error, StoreError::CredentialsRefused { .. }), "{error:?}");
    assert!(!format!("{error} {error:?} {config:?}").contains("wrong-word"));
    config.password = Some("s3cret".into());
    let store = connect(config).await.unwrap();
    store.ping().await.unwrap();
    assert!(!format!("{store:?}").contains("s3cret"));
}

#[tokio::test]
async fn an_acl_user_may_log_in() {
    let server = Redis::start(&[]);
    server.cli(&["acl", "setuser", "proxy", "on", ">pw1", "~*", "+@all"]);
    let mut config = single(server.url());
    config.username = Some("proxy".to_owned());
    config.password = Some("pw1".into());
    connect(config).await.unwrap().probe("n").await.unwrap();
    let url = format!("redis://proxy:pw1@{}", server.place());
    connect(single(url)).await.unwrap().probe("n").await.unwrap();
}

#[tokio::test]
async fn databases_are_separate() {
    let server = Redis::start(&[]);
    let zero = open(&server).await;
    let three = connect(single(format!("{}/3", server.url()))).await.unwrap();
    three.set("k", b"v", None).await.unwrap();
    assert_eq!(zero.get("k").await, Ok(None));
    assert!(three.get("k").await.unwrap().is_some());
}

#[tokio::test]
async fn a_unix_socket_serves_as_well() {
    let server = Redis::start(&["--unixsocket", "{folder}/r.sock"]);
    let mut config = single(format!("unix://{}?db=2", server.path("r.sock")));
    // There is nobody between us and it.
    config.tls.verification = TlsVerification::Skip;
    connect(config).await.unwrap().probe("n").await.unwrap();
}

#[tokio::test]
async fn an_idle_connection_is_replaced() {
    let server = Redis::start(&[]);
    let mut config = single(server.url());
    config.idle_timeout = Some(Duration::ZERO);
    let store = connect(config).await.unwrap();
    let first: i64 = inner(&store).run(cmd("CLIENT").arg("ID")).await.unwrap();
    let second: i64 = inner(&store).run(cmd("CLIENT").arg("ID")).await.unwrap();
    assert_ne!(first, second);
}

/// Workers come and go; the connection has to survive the one that opened it.
#[test]
fn the_store_may_be_used_from_runtimes_that_end() {
    let home = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let mut server = Redis::start(&[]);
    let store = home.block_on(open(&server));
    let worker = || tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    worker().block_on(store.set("k", b"v", None)).unwrap();
    server.stop();
    server.start_again();
    worker().block_on(recovered(&store));
    let id = || cmd("CLIENT").arg("ID").clone();
    let first: i64 = worker().block_on(inner(&store).run(&id())).unwrap();
    let second: i64 = worker().block_on(inner(&store).run(&id())).unwrap();
    assert_eq!(first, second);
}
