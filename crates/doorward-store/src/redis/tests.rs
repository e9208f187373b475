//! Against real servers, started here on free ports; without `redis-server` these tests fail.

use std::net::{Ipv4Addr, TcpListener};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use super::*;
use crate::Store;

struct Server {
    process: Child,
    port: u16,
    extra: Vec<String>,
}

impl Server {
    fn start(extra: &[&str]) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let port = listener.local_addr().unwrap().port();
        drop(listener);
        let extra = extra.iter().map(|text| (*text).to_owned()).collect::<Vec<_>>();
        Self { process: Self::spawn(port, &extra), port, extra }
    }

    fn spawn(port: u16, extra: &[String]) -> Child {
        let port = port.to_string();
        Command::new("redis-server")
            .args(["--port", &port, "--bind", "127.0.0.1", "--save", "", "--appendonly", "no"])
            .args(extra)
            .stdout(Stdio::null())
            .spawn()
            .expect("these tests need redis-server on the PATH")
    }

    fn stop(&mut self) {
        self.process.kill().unwrap();
        self.process.wait().unwrap();
    }

    fn start_again(&mut self) {
        self.process = Self::spawn(self.port, &self.extra);
    }

    fn url(&self) -> String {
        format!("redis://127.0.0.1:{}", self.port)
    }

    async fn store(&self) -> Store {
        connect(RedisConfig::new(self.url().into())).await.unwrap()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// Connects, waiting for a server that has just been started.
async fn connect(config: RedisConfig) -> Result<Store, StoreError> {
    for _ in 0..200 {
        match Store::connect_redis(config.clone()).await {
            Err(error) if error.is_unavailable() => tokio::time::sleep(Duration::from_millis(25)).await,
            done => return done,
        }
    }
    panic!("the server did not come up");
}

const MINUTE: Duration = Duration::from_mins(1);

#[tokio::test]
async fn values_are_kept_returned_and_removed() {
    let server = Server::start(&[]);
    let store = server.store().await;
    assert_eq!(store.get("k").await, Ok(None));
    store.set("k", b"a\0\xff", Some(MINUTE)).await.unwrap();
    assert_eq!(store.get("k").await.unwrap().as_deref(), Some(&b"a\0\xff"[..]));
    store.set("k", b"b", None).await.unwrap();
    assert_eq!(store.get("k").await.unwrap().as_deref(), Some(&b"b"[..]));
    store.delete("k").await.unwrap();
    store.delete("k").await.unwrap();
    assert_eq!(store.get("k").await, Ok(None));
    store.probe("name").await.unwrap();
}

#[tokio::test]
async fn lifetimes_are_whole_seconds_or_milliseconds_or_absent() {
    let server = Server::start(&[]);
    let store = server.store().await;
    let Store::Redis(redis) = &store else { panic!() };
    let table = [
        (Some(MINUTE), 59_000..=60_000),
        (Some(Duration::from_millis(59_500)), 58_000..=59_500),
        (Some(Duration::from_hours(876_600)), 3_155_759_000_000..=3_155_760_000_000),
        (None, -1..=-1),
    ];
    for (ttl, expected) in table {
        store.set("k", b"v", ttl).await.unwrap();
        let left: i64 = redis.run(cmd("PTTL").arg("k")).await.unwrap();
        assert!(expected.contains(&left), "{ttl:?} {left}");
    }
    store.set("k", b"v", Some(Duration::ZERO)).await.unwrap();
}

#[tokio::test]
async fn only_what_is_there_is_replaced() {
    let server = Server::start(&[]);
    let store = server.store().await;
    let Store::Redis(redis) = &store else { panic!() };
    assert_eq!(store.replace("k", b"1", Some(MINUTE)).await, Ok(false));
    assert_eq!(store.get("k").await, Ok(None));
    store.set("k", b"1", None).await.unwrap();
    assert_eq!(store.replace("k", b"2", Some(MINUTE)).await, Ok(true));
    assert_eq!(store.get("k").await.unwrap().as_deref(), Some(&b"2"[..]));
    let left: i64 = redis.run(cmd("PTTL").arg("k")).await.unwrap();
    assert!((59_000..=60_000).contains(&left), "{left}");
    assert_eq!(store.replace("k", b"3", None).await, Ok(true));
    store.delete("k").await.unwrap();
    assert_eq!(store.replace("k", b"4", None).await, Ok(false));
    assert_eq!(store.get("k").await, Ok(None));
}

#[tokio::test]
async fn only_the_holder_extends_or_gives_back_a_lock() {
    let server = Server::start(&[]);
    let store = server.store().await;
    let Store::Redis(redis) = &store else { panic!() };
    assert_eq!(store.try_lock("l", "a", MINUTE).await, Ok(true));
    assert_eq!(store.try_lock("l", "a", MINUTE).await, Ok(true));
    assert_eq!(store.try_lock("l", "b", MINUTE).await, Ok(false));
    assert_eq!(store.extend_lock("l", "b", MINUTE).await, Ok(false));
    assert_eq!(store.unlock("l", "b").await, Ok(false));
    assert_eq!(store.extend_lock("l", "a", 10 * MINUTE).await, Ok(true));
    let left: i64 = redis.run(cmd("PTTL").arg("l")).await.unwrap();
    assert!(left > 500_000, "{left}");
    assert_eq!(store.unlock("l", "a").await, Ok(true));
    assert_eq!(store.unlock("l", "a").await, Ok(false));
    // A lock taken the reference's way keeps us out.
    let _: () = redis.run(cmd("SET").arg("l").arg("theirs").arg("NX").arg("PX").arg(60_000)).await.unwrap();
    assert_eq!(store.try_lock("l", "a", MINUTE).await, Ok(false));
}

#[tokio::test]
async fn a_dead_server_is_noticed_and_a_returning_one_is_used_at_once() {
    let mut server = Server::start(&[]);
    let store = server.store().await;
    store.ping().await.unwrap();
    server.stop();
    for _ in 0..3 {
        assert!(store.ping().await.unwrap_err().is_unavailable());
        assert!(store.get("k").await.unwrap_err().is_unavailable());
    }
    server.start_again();
    while store.ping().await.is_err() {
        tokio::time::sleep(Duration::from_millis(25)).await;
    }
    // A restart between two commands is not even visible.
    server.stop();
    server.start_again();
    let other = server.store().await;
    other.set("k", b"v", None).await.unwrap();
    assert_eq!(store.get("k").await.unwrap().as_deref(), Some(&b"v"[..]));
}

#[tokio::test]
async fn a_server_that_is_not_there_is_unavailable_and_the_option_is_named() {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let port = listener.local_addr().unwrap().port();
    drop(listener);
    let config = RedisConfig::new(format!("redis://:hidden@127.0.0.1:{port}").into());
    let error = Store::connect_redis(config).await.unwrap_err();
    assert!(error.is_unavailable());
    assert!(error.to_string().contains("redis_connection_url"));
    assert!(!error.to_string().contains("hidden"));
}

#[tokio::test]
async fn passwords_come_from_the_url_or_the_option_and_are_never_shown() {
    let server = Server::start(&["--requirepass", "s3cret"]);
    let with_password = format!("redis://:s3cret@127.0.0.1:{}/1", server.port);
    let store = connect(RedisConfig::new(with_password.into())).await.unwrap();
    store.probe("n").await.unwrap();
    let mut config = RedisConfig::new(server.url().into());
    let error = connect(config.clone()).await.unwrap_err();
    assert!(matches!(error, StoreError::CredentialsRefused { .. }), "{error:?}");
    config.password = Some("wrong-word".into());
    let error = connect(config.clone()).await.unwrap_err();
    assert!(matches!(error, StoreError::CredentialsRefused { .. }), "{error:?}");
    assert!(!format!("{error} {error:?} {config:?} {store:?}").contains("wrong-word"));
    config.password = Some("s3cret".into());
    connect(config).await.unwrap().ping().await.unwrap();
}

#[tokio::test]
async fn an_acl_user_may_log_in() {
    let server = Server::start(&[]);
    let Store::Redis(admin) = server.store().await else { panic!() };
    let mut user = cmd("ACL");
    user.arg("SETUSER").arg("proxy").arg("on").arg(">pw1").arg("~*").arg("+@all");
    let _: () = admin.run(&user).await.unwrap();
    let mut config = RedisConfig::new(server.url().into());
    config.username = Some("proxy".to_owned());
    config.password = Some("pw1".into());
    connect(config).await.unwrap().probe("n").await.unwrap();
}

#[tokio::test]
async fn databases_are_separate() {
    let server = Server::start(&[]);
    let zero = server.store().await;
    let three = connect(RedisConfig::new(format!("{}/3", server.url()).into())).await.unwrap();
    three.set("k", b"v", None).await.unwrap();
    assert_eq!(zero.get("k").await, Ok(None));
    assert!(three.get("k").await.unwrap().is_some());
}

#[tokio::test]
async fn a_unix_socket_serves_as_well() {
    let path: PathBuf = std::env::temp_dir().join(format!("doorward-{}.sock", std::process::id()));
    let path = path.to_str().unwrap();
    let _server = Server::start(&["--unixsocket", path]);
    let store = connect(RedisConfig::new(format!("unix://{path}?db=2").into())).await.unwrap();
    store.probe("n").await.unwrap();
}

#[tokio::test]
async fn an_idle_connection_is_replaced() {
    let server = Server::start(&[]);
    let mut config = RedisConfig::new(server.url().into());
    config.idle_timeout = Some(Duration::ZERO);
    let store = connect(config).await.unwrap();
    let Store::Redis(redis) = &store else { panic!() };
    let first: i64 = redis.run(cmd("CLIENT").arg("ID")).await.unwrap();
    let second: i64 = redis.run(cmd("CLIENT").arg("ID")).await.unwrap();
    assert_ne!(first, second);
}

/// Workers come and go; the connection has to survive the one that opened it.
#[test]
fn the_store_may_be_used_from_runtimes_that_end() {
    let home = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let mut server = Server::start(&[]);
    let store = home.block_on(server.store());
    let worker = || tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    worker().block_on(store.set("k", b"v", None)).unwrap();
    server.stop();
    server.start_again();
    worker().block_on(async {
        while store.ping().await.is_err() {
            tokio::time::sleep(Duration::from_millis(25)).await;
        }
    });
    let Store::Redis(redis) = &store else { panic!() };
    let id = || cmd("CLIENT").arg("ID").clone();
    let first: i64 = worker().block_on(redis.run(&id())).unwrap();
    let second: i64 = worker().block_on(redis.run(&id())).unwrap();
    assert_eq!(first, second);
}

#[test]
fn every_future_is_send() {
    fn send<T: Send>(_: T) {}
    let store = Store::memory(crate::MemoryLimits::default());
    send(Store::connect_redis(RedisConfig::new("redis://h".into())));
    send(store.get("k"));
    send(store.set("k", b"v", None));
    send(store.replace("k", b"v", None));
    send(store.delete("k"));
    send(store.ping());
    send(store.probe("n"));
    send(store.try_lock("k", "t", MINUTE));
    send(store.extend_lock("k", "t", MINUTE));
    send(store.unlock("k", "t"));
}
