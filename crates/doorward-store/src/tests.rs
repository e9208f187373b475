//! What every store does, in whatever form.

use std::time::Duration;

use doorward_testkit::{Cluster, Redis, Security, Watched};

use crate::*;

pub(crate) const MINUTE: Duration = Duration::from_mins(1);

/// A store and what it is kept in.
#[derive(Debug)]
pub(crate) enum Form {
    Memory,
    Single(Redis),
    Sentinel(Box<Watched>),
    Cluster(Box<Cluster>),
}

impl Form {
    fn all() -> Vec<Self> {
        std::iter::once(Self::Memory).chain(Self::all_of_redis()).collect()
    }

    pub(crate) fn all_of_redis() -> Vec<Self> {
        vec![
            Self::Single(Redis::start(&[])),
            Self::Single(Redis::start_with(Security::Tls, &[])),
            Self::Sentinel(Box::new(Watched::start(Security::Plain))),
            // Its servers are named by address, its certificates by host.
            Self::Sentinel(Box::new(Watched::start(Security::Tls))),
            Self::Cluster(Box::new(Cluster::start(Security::Plain))),
            Self::Cluster(Box::new(Cluster::start(Security::Tls))),
        ]
    }

    pub(crate) async fn store(&self) -> Store {
        let mut config = match self {
            Self::Memory => return Store::memory(MemoryLimits::default()),
            Self::Single(redis) => RedisConfig::new(RedisServers::Single(redis.url().parse().unwrap())),
            Self::Sentinel(watched) => Self::of_watched(watched),
            Self::Cluster(cluster) => Self::of_cluster(cluster),
        };
        if self.is_encrypted() {
            config.tls.authorities = Some(Authorities::from_pem(Redis::AUTHORITY.as_bytes()).unwrap());
        }
        connect(config).await.unwrap_or_else(|error| panic!("{self:?}: {error}"))
    }

    fn is_encrypted(&self) -> bool {
        let server = match self {
            Self::Memory => return false,
            Self::Single(redis) => redis,
            Self::Sentinel(watched) => &watched.sentinel,
            Self::Cluster(cluster) => &cluster.nodes[0],
        };
        server.url().starts_with("rediss:")
    }

    pub(crate) fn of_watched(watched: &Watched) -> RedisConfig {
        let mut config = RedisConfig::new(RedisServers::Sentinel {
            urls: vec![watched.sentinel.url().parse().unwrap()],
            master: Watched::NAME.to_owned(),
            password: Some(Watched::SENTINEL_PASSWORD.into()),
        });
        config.password = Some(Watched::PASSWORD.into());
        config
    }

    /// Only one of the servers is known beforehand.
    pub(crate) fn of_cluster(cluster: &Cluster) -> RedisConfig {
        RedisConfig::new(RedisServers::Cluster(vec![cluster.nodes[1].url().parse().unwrap()]))
    }
}

/// Connects, waiting for servers that have just been started.
pub(crate) async fn connect(config: RedisConfig) -> Result<Store, StoreError> {
    for _ in 0..400 {
        match Store::connect_redis(config.clone()).await {
            Err(error) if error.is_unavailable() => tokio::time::sleep(Duration::from_millis(25)).await,
            done => return done,
        }
    }
    Store::connect_redis(config).await
}

/// One law after the other for each form: starting servers takes longer than all of this.
#[tokio::test]
async fn every_form_of_store_keeps_the_same_laws() {
    for form in Form::all() {
        println!("{form:?}");
        let store = form.store().await;
        values_are_kept_returned_and_removed(&store).await;
        only_the_holder_extends_or_gives_back_a_lock(&store).await;
        only_what_is_there_is_replaced(&store).await;
        who_has_lost_the_lock_replaces_nothing(&store).await;
    }
}

async fn values_are_kept_returned_and_removed(store: &Store) {
    // On a cluster these lie on different servers.
    for key in ["k1", "k2", "k3", "k4"] {
        assert_eq!(store.get(key).await, Ok(None));
        store.set(key, b"a\0\xff", Some(MINUTE)).await.unwrap();
        assert_eq!(store.get(key).await.unwrap().as_deref(), Some(&b"a\0\xff"[..]));
        store.set(key, b"b", None).await.unwrap();
        assert_eq!(store.get(key).await.unwrap().as_deref(), Some(&b"b"[..]));
        store.delete(key).await.unwrap();
        store.delete(key).await.unwrap();
        assert_eq!(store.get(key).await, Ok(None));
    }
    store.ping().await.unwrap();
    store.probe("name").await.unwrap();
}

async fn only_the_holder_extends_or_gives_back_a_lock(store: &Store) {
    assert_eq!(store.try_lock("l", "a", MINUTE).await, Ok(true));
    assert_eq!(store.try_lock("l", "a", MINUTE).await, Ok(true));
    assert_eq!(store.try_lock("l", "b", MINUTE).await, Ok(false));
    assert_eq!(store.extend_lock("l", "b", MINUTE).await, Ok(false));
    assert_eq!(store.unlock("l", "b").await, Ok(false));
    assert_eq!(store.extend_lock("l", "a", 10 * MINUTE).await, Ok(true));
    assert_eq!(store.get("l").await.unwrap().as_deref(), Some(&b"a"[..]), "as the reference has it");
    assert_eq!(store.unlock("l", "a").await, Ok(true));
    assert_eq!(store.unlock("l", "a").await, Ok(false));
    assert_eq!(store.extend_lock("l", "a", MINUTE).await, Ok(false));
}

async fn only_what_is_there_is_replaced(store: &Store) {
    let lock = Held { key: "k.lock", token: "a", ttl: MINUTE };
    assert_eq!(store.try_lock(lock.key, lock.token, MINUTE).await, Ok(true));
    assert_eq!(store.replace_under(lock, "k", b"1", Some(MINUTE)).await, Ok(Replaced::NothingThere));
    assert_eq!(store.get("k").await, Ok(None));
    store.set("k", b"1", None).await.unwrap();
    assert_eq!(store.replace_under(lock, "k", b"2\0\xff", Some(MINUTE)).await, Ok(Replaced::Done));
    assert_eq!(store.get("k").await.unwrap().as_deref(), Some(&b"2\0\xff"[..]));
    assert_eq!(store.replace_under(lock, "k", b"3", None).await, Ok(Replaced::Done));
    store.delete("k").await.unwrap();
    assert_eq!(store.replace_under(lock, "k", b"4", None).await, Ok(Replaced::NothingThere));
    assert_eq!(store.get("k").await, Ok(None));
    assert_eq!(store.unlock(lock.key, lock.token).await, Ok(true));
}

async fn who_has_lost_the_lock_replaces_nothing(store: &Store) {
    let (lost, later) =
        (Held { key: "k.lock", token: "a", ttl: MINUTE }, Held { key: "k.lock", token: "b", ttl: MINUTE });
    store.set("k", b"old", None).await.unwrap();
    // It ran out.
    assert_eq!(store.try_lock(lost.key, lost.token, MINUTE).await, Ok(true));
    store.delete(lost.key).await.unwrap();
    assert_eq!(store.replace_under(lost, "k", b"stale", None).await, Ok(Replaced::LockLost));
    // Somebody else took it, and is done with it.
    assert_eq!(store.try_lock(later.key, later.token, MINUTE).await, Ok(true));
    assert_eq!(store.replace_under(lost, "k", b"stale", None).await, Ok(Replaced::LockLost));
    assert_eq!(store.replace_under(later, "k", b"new", None).await, Ok(Replaced::Done));
    assert_eq!(store.unlock(later.key, later.token).await, Ok(true));
    assert_eq!(store.replace_under(lost, "k", b"stale", None).await, Ok(Replaced::LockLost));
    assert_eq!(store.get("k").await.unwrap().as_deref(), Some(&b"new"[..]));
    store.delete("k").await.unwrap();
}

#[test]
fn every_future_is_send() {
    fn send<T: Send>(_: T) {}
    let store = Store::memory(MemoryLimits::default());
    let lock = Held { key: "l", token: "t", ttl: MINUTE };
    send(Store::connect_redis(RedisConfig::new(RedisServers::Cluster(vec![]))));
    send(store.get("k"));
    send(store.set("k", b"v", None));
    send(store.replace_under(lock, "k", b"v", None));
    send(store.delete("k"));
    send(store.ping());
    send(store.probe("n"));
    send(store.try_lock("k", "t", MINUTE));
    send(store.extend_lock("k", "t", MINUTE));
    send(store.unlock("k", "t"));
}

#[tokio::test]
async fn a_list_holds_what_has_not_expired_and_not_without_bound() {
    let member = |name: &str, expires| Listed { member: name.to_owned(), expires };
    for form in Form::all() {
        let store = form.store().await;
        assert_eq!(store.list("l", 0).await, Ok(vec![]), "{form:?}");
        for (name, expires) in [("b", 1_800_000_020), ("a", 1_800_000_010), ("b", 1_800_000_030)] {
            store.list_add("l", &member(name, expires), 1_800_000_000, MINUTE).await.unwrap();
        }
        let both = vec![member("a", 1_800_000_010), member("b", 1_800_000_030)];
        assert_eq!(store.list("l", 1_800_000_000).await, Ok(both), "{form:?}");
        assert_eq!(store.list("l", 1_800_000_010).await, Ok(vec![member("b", 1_800_000_030)]), "{form:?}");
        store.list_add("l", &member("c", 1_800_000_090), 1_800_000_050, MINUTE).await.unwrap();
        assert_eq!(store.list("l", 0).await, Ok(vec![member("c", 1_800_000_090)]), "{form:?}");
        store.delete("l").await.unwrap();
        assert_eq!(store.list("l", 0).await, Ok(vec![]), "{form:?}");
    }
    let store = Form::Memory.store().await;
    for number in 0..=MAX_LISTED {
        let number = i64::try_from(number).unwrap();
        store.list_add("l", &member(&number.to_string(), number + 1), 0, MINUTE).await.unwrap();
    }
    let listed = store.list("l", 0).await.unwrap();
    assert_eq!((listed.len(), listed[0].member.as_str()), (MAX_LISTED, "1"));
}

#[tokio::test]
async fn several_values_are_asked_for_at_once() {
    for form in Form::all() {
        let store = form.store().await;
        store.set("{t}.b", b"2", Some(MINUTE)).await.unwrap();
        let keys = ["{t}.a".to_owned(), "{t}.b".to_owned()];
        assert_eq!(store.get_many(&keys).await, Ok(vec![None, Some(b"2".to_vec())]), "{form:?}");
        assert_eq!(store.get_many(&[]).await, Ok(vec![]), "{form:?}");
    }
}
