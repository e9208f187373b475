//! Sessions in Redis: behind sentinels and through a change of the master, in a cluster, by TLS; and what is said about
//! options that cannot work.

use doorward_testkit::{Cluster, Launch, Redis, Security, Watched, eventually};

use crate::support::{PROGRAM, SESSION, Stage, parts};

fn stage(flags: &[String]) -> Stage {
    Stage::new(&flags.iter().map(String::as_str).collect::<Vec<_>>())
}

#[test]
fn a_login_outlives_the_master_that_it_was_stored_with() {
    let mut watched = Watched::start(Security::Plain);
    let stage = stage(&watched.flags());
    let browser = stage.logged_in();
    let keys = |server: &Redis| server.cli(&["-a", Watched::PASSWORD, "keys", "*"]);
    eventually("the replica has the session", || {
        watched.servers.iter().all(|server| !keys(server).is_empty())
    });
    watched.kill_master();
    // Until there is another, nobody is sent to log in again.
    eventually("there is another master", || match browser.clone().get("/page").status {
        200 => true,
        500 => false,
        status => panic!("{status}\n{}", stage.doorward.log()),
    });
    stage.logged_in();
}

#[test]
fn logins_are_spread_over_a_cluster() {
    let cluster = Cluster::start(Security::Tls);
    let authority = format!("--redis-ca-path={}", cluster.nodes[0].authority_file());
    let stage = stage(&[&cluster.flags()[..], &[authority]].concat());
    let browsers: Vec<_> = (0..8).map(|_| stage.logged_in()).collect();
    for browser in &browsers {
        assert_eq!(browser.clone().get("/page").status, 200);
        assert!(browser.cookies[SESSION].len() < 400);
    }
    assert_eq!(cluster.keys().len(), 8);
    for mut browser in browsers {
        browser.get("/oauth2/sign_out");
    }
    assert!(cluster.keys().is_empty());
}

#[test]
fn a_server_without_a_trusted_certificate_stops_the_start() {
    let redis = Redis::start_with(Security::Tls, &[]);
    let (provider, echo) = parts();
    let launch = || {
        let [kind, url] = redis.flags();
        Launch::new(PROGRAM, &provider, &echo).flag(&kind).flag(&url)
    };
    let exit = launch().fail();
    assert_eq!(exit.code, Some(1));
    assert!(
        exit.output.contains("redis-connection-url") && exit.output.contains("certificate"),
        "{}",
        exit.output
    );
    for flag in
        [&format!("--redis-ca-path={}", redis.authority_file()), "--redis-insecure-skip-tls-verify=true"]
    {
        launch().flag(flag).start().browser().logged_in();
    }
}

/// Each row: the flags, and what is said about which option. All of it is said before anything is contacted.
#[test]
fn mistakes_in_the_options_for_redis_are_named() {
    let (provider, echo) = parts();
    let table: [(&[&str], &[&str]); 11] = [
        (&[], &["redis-connection-url: missing setting"]),
        (&["--redis-connection-url=http://hush"], &["redis-connection-url: a URL begins neither"]),
        (&["--redis-connection-url=redis://:hush@h/x"], &["redis-connection-url: a URL names no number"]),
        (
            &["--redis-use-sentinel"],
            &["redis-sentinel-connection-urls: no redis urls provided", "redis-sentinel-master-name: "],
        ),
        (&["--redis-use-cluster"], &["redis-cluster-connection-urls: no redis urls provided"]),
        (
            &["--redis-use-cluster", "--redis-cluster-connection-urls=redis://:hush@h?x=y,unix:/x"],
            &[
                "redis-cluster-connection-urls: a URL has a setting",
                "redis-cluster-connection-urls: a URL begins",
            ],
        ),
        (
            &["--redis-use-cluster", "--redis-cluster-connection-urls=unix:///hush"],
            &["redis-cluster-connection-urls: the servers of a cluster are reached by TCP"],
        ),
        (
            &["--redis-use-cluster", "--redis-cluster-connection-urls=rediss://:hush@a,redis://b"],
            &["redis-cluster-connection-urls: some of the URLs ask for TLS"],
        ),
        (
            &[
                "--redis-use-cluster",
                "--redis-cluster-connection-urls=rediss://a,rediss://b?skip_verify=true",
            ],
            &["redis-cluster-connection-urls: some of the URLs ask for TLS or for checked certificates"],
        ),
        (&["--redis-use-cluster", "--redis-use-sentinel"], &["redis-use-cluster: ", "mutually exclusive"]),
        (
            &[
                "--redis-connection-url=redis://h",
                "--redis-ca-path={file:ca}",
                "--redis-connection-idle-timeout=-1",
            ],
            &["redis-ca-path: the file", "holds no certificate", "redis-connection-idle-timeout: -1"],
        ),
    ];
    for (flags, expected) in table {
        let launch =
            Launch::new(PROGRAM, &provider, &echo).file("ca", "nothing").flag("--session-store-type=redis");
        // Another mistake, to see that all are told together.
        let exit = launch.flags(flags.iter().copied()).flag("--cookie-samesite=odd").fail();
        assert_eq!(exit.code, Some(1), "{flags:?}");
        for text in expected.iter().chain(&["cookie-samesite: "]) {
            assert!(exit.output.contains(text), "{flags:?} {text:?}: {}", exit.output);
        }
        assert!(!exit.output.contains("hush"), "{}", exit.output);
    }
    let launch = Launch::new(PROGRAM, &provider, &echo).flag("--session-store-type=redis");
    let exit = launch.flag("--redis-connection-url=redis://h").flag("--redis-ca-path=/nowhere").fail();
    assert!(exit.output.contains("redis-ca-path: \"/nowhere\" cannot be read"), "{}", exit.output);
}
