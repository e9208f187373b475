//! Real Redis servers: one, a master and its replica watched by a sentinel, a cluster. They end with the test.

use std::{
    fs,
    net::{SocketAddr, TcpStream},
    process::{Child, Command, Stdio},
};

use crate::{
    doorward::{Folder, free_address},
    wait::eventually,
};

/// A server, or a sentinel.
#[derive(Debug)]
pub struct Redis {
    /// None while it is stopped.
    process: Option<Child>,
    kind: Kind,
    address: SocketAddr,
    security: Security,
    flags: Vec<String>,
    folder: Folder,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Server,
    /// Configured by a file, which it rewrites.
    Sentinel,
}

/// How a server is spoken to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Security {
    #[default]
    Plain,
    /// With a certificate for `localhost`, but not for any address, signed by [`Redis::AUTHORITY`].
    Tls,
}

impl Redis {
    /// The certificate of the authority that signed those of all servers.
    pub const AUTHORITY: &'static str = include_str!("redis/authority.pem");

    const CONFIGURATION: &'static str = "sentinel.conf";

    /// A server with nothing in it. Flags are those of `redis-server`; `{folder}` stands for a folder of its own.
    pub fn start(flags: &[&str]) -> Self {
        Self::start_with(Security::Plain, flags)
    }

    pub fn start_with(security: Security, flags: &[&str]) -> Self {
        let mut redis = Self::stopped(Kind::Server, security, flags);
        redis.start_again();
        redis
    }

    fn stopped(kind: Kind, security: Security, flags: &[&str]) -> Self {
        let folder = Folder::new();
        let place = folder.path("");
        let flags = flags.iter().map(|flag| flag.replace("{folder}", &place.to_string_lossy())).collect();
        fs::write(folder.path("server.pem"), include_str!("redis/server.pem")).unwrap();
        fs::write(folder.path("server-key.pem"), include_str!("redis/server-key.pem")).unwrap();
        fs::write(folder.path("authority.pem"), Self::AUTHORITY).unwrap();
        Self { process: None, kind, address: free_address(), security, flags, folder }
    }

    /// A sentinel of this configuration.
    fn sentinel(security: Security, configuration: &str) -> Self {
        let mut redis = Self::stopped(Kind::Sentinel, security, &[]);
        fs::write(redis.folder.path(Self::CONFIGURATION), configuration).unwrap();
        redis.start_again();
        redis
    }

    pub fn start_again(&mut self) {
        let file = |name: &str| self.folder.path(name).to_string_lossy().into_owned();
        let port = self.address.port().to_string();
        let mut command = Command::new("redis-server");
        match self.kind {
            Kind::Server => command.args(["--save", "", "--appendonly", "no"]),
            Kind::Sentinel => command.args([&file(Self::CONFIGURATION), "--sentinel"]),
        };
        command.args(["--bind", "127.0.0.1", "--dir", &file("")]);
        match self.security {
            Security::Plain => command.args(["--port", &port]),
            Security::Tls => command
                .args(["--port", "0", "--tls-port", &port, "--tls-auth-clients", "no"])
                .args(["--tls-cert-file", &file("server.pem"), "--tls-key-file", &file("server-key.pem")])
                .args(["--tls-ca-cert-file", &file("authority.pem")])
                .args(["--tls-replication", "yes", "--tls-cluster", "yes"]),
        };
        let process = command.args(&self.flags).stdout(Stdio::null()).spawn();
        let process = self.process.insert(process.expect("these tests need redis-server on the PATH"));
        eventually("redis listens", || {
            assert_eq!(process.try_wait().unwrap(), None, "redis-server ended at once");
            TcpStream::connect(self.address).is_ok()
        });
    }

    /// Kills it.
    pub fn stop(&mut self) {
        if let Some(mut process) = self.process.take() {
            let _ = process.kill();
            let _ = process.wait();
        }
    }

    pub fn port(&self) -> u16 {
        self.address.port()
    }

    /// The place as it stands in a URL after the user.
    pub fn place(&self) -> String {
        format!("localhost:{}", self.port())
    }

    pub fn url(&self) -> String {
        match self.security {
            Security::Plain => format!("redis://{}", self.place()),
            Security::Tls => format!("rediss://{}", self.place()),
        }
    }

    /// A path in the server's own folder.
    pub fn path(&self, name: &str) -> String {
        self.folder.path(name).to_string_lossy().into_owned()
    }

    /// The path of a file with [`AUTHORITY`](Self::AUTHORITY).
    pub fn authority_file(&self) -> String {
        self.path("authority.pem")
    }

    /// What `redis-cli` prints for this command. Options of its own come first.
    pub fn cli(&self, words: &[&str]) -> String {
        let mut command = Command::new("redis-cli");
        command.args(["-h", "localhost", "-p", &self.port().to_string(), "--raw", "--no-auth-warning"]);
        if self.security == Security::Tls {
            command.args(["--tls", "--cacert", &self.authority_file()]);
        }
        let output = command.args(words).output().expect("these tests need redis-cli on the PATH");
        String::from_utf8_lossy(&output.stdout).trim().to_owned()
    }

    /// Flags that keep sessions here.
    pub fn flags(&self) -> [String; 2] {
        ["--session-store-type=redis".to_owned(), format!("--redis-connection-url={}", self.url())]
    }

    /// The names of all keys.
    pub fn keys(&self) -> Vec<String> {
        self.cli(&["keys", "*"]).lines().filter(|line| !line.is_empty()).map(str::to_owned).collect()
    }
}

impl Drop for Redis {
    fn drop(&mut self) {
        self.stop();
    }
}

/// A master and its replica, watched by a sentinel that replaces a dead master within a few seconds.
#[derive(Debug)]
pub struct Watched {
    pub servers: [Redis; 2],
    pub sentinel: Redis,
}

impl Watched {
    /// What the sentinel calls the master.
    pub const NAME: &'static str = "doorward-master";
    pub const PASSWORD: &'static str = "pass-of-servers";
    pub const SENTINEL_PASSWORD: &'static str = "pass-of-sentinels";

    pub fn start(security: Security) -> Self {
        let mut secret = vec!["--requirepass", Self::PASSWORD, "--masterauth", Self::PASSWORD];
        secret.extend(["--repl-diskless-sync-delay", "0"]);
        let master = Redis::start_with(security, &secret);
        let port = master.port().to_string();
        let replicated = [&secret[..], &["--replicaof", "127.0.0.1", &port]].concat();
        let replica = Redis::start_with(security, &replicated);
        eventually("the replica follows", || {
            master.cli(&["-a", Self::PASSWORD, "info", "replication"]).contains("state=online")
        });
        let (name, password) = (Self::NAME, Self::PASSWORD);
        let sentinel = Redis::sentinel(
            security,
            &format!(
                "requirepass {}\nsentinel monitor {name} 127.0.0.1 {port} 1\nsentinel auth-pass {name} {password}\n\
                 sentinel down-after-milliseconds {name} 500\nsentinel failover-timeout {name} 3000\n",
                Self::SENTINEL_PASSWORD
            ),
        );
        let watched = Self { servers: [master, replica], sentinel };
        eventually("the sentinel knows the replica", || {
            watched.ask(&["sentinel", "replicas", Self::NAME]).contains("slave")
        });
        watched
    }

    /// Kills the master; another one will be chosen.
    pub fn kill_master(&mut self) {
        let master = self.master_port();
        let server = self.servers.iter_mut().find(|server| server.port() == master);
        server.expect("the sentinel names one of the two").stop();
    }

    /// Makes the replica the master although nothing is wrong with the old one, which becomes a replica.
    pub fn swap(&self) {
        let before = self.master_port();
        eventually("the sentinel agrees", || self.ask(&["sentinel", "failover", Self::NAME]) == "OK");
        eventually("there is another master", || self.master_port() != before);
    }

    /// Who is master in the eyes of the sentinel.
    pub fn master_port(&self) -> u16 {
        let place = self.ask(&["sentinel", "get-master-addr-by-name", Self::NAME]);
        place.lines().last().unwrap().parse().unwrap()
    }

    fn ask(&self, words: &[&str]) -> String {
        self.sentinel.cli(&[&["-a", Self::SENTINEL_PASSWORD], words].concat())
    }

    /// Flags that keep sessions here.
    pub fn flags(&self) -> [String; 6] {
        [
            "--session-store-type=redis".to_owned(),
            "--redis-use-sentinel=true".to_owned(),
            format!("--redis-sentinel-connection-urls={}", self.sentinel.url()),
            format!("--redis-sentinel-master-name={}", Self::NAME),
            format!("--redis-sentinel-password={}", Self::SENTINEL_PASSWORD),
            format!("--redis-password={}", Self::PASSWORD),
        ]
    }
}

/// Three masters that share the keys between them.
#[derive(Debug)]
pub struct Cluster {
    pub nodes: [Redis; 3],
}

impl Cluster {
    pub fn start(security: Security) -> Self {
        let nodes = [(); 3].map(|()| {
            let bus = free_address().port().to_string();
            let flags = [
                &["--cluster-enabled", "yes", "--cluster-port", &bus, "--cluster-node-timeout", "2000"][..],
                &[
                    "--cluster-announce-hostname",
                    "localhost",
                    "--cluster-preferred-endpoint-type",
                    "hostname",
                ],
            ];
            Redis::start_with(security, &flags.concat())
        });
        let places = nodes.each_ref().map(|node| format!("127.0.0.1:{}", node.port()));
        let [a, b, c] = &places;
        let cluster = Self { nodes };
        let said = cluster.nodes[0].cli(&["--cluster", "create", a, b, c, "--cluster-yes"]);
        for node in &cluster.nodes {
            eventually("the cluster is whole", || {
                assert!(!said.contains("[ERR]"), "{said}");
                node.cli(&["cluster", "info"]).contains("cluster_state:ok")
                    && node.cli(&["cluster", "slots"]).matches("localhost").count() >= 3
            });
        }
        cluster
    }

    /// All but the last node stay unnamed: they are to be found.
    pub fn flags(&self) -> [String; 3] {
        [
            "--session-store-type=redis".to_owned(),
            "--redis-use-cluster=true".to_owned(),
            format!("--redis-cluster-connection-urls={}", self.nodes[2].url()),
        ]
    }

    /// The names of all keys.
    pub fn keys(&self) -> Vec<String> {
        self.nodes.iter().flat_map(Redis::keys).collect()
    }

    /// Which node has this key, or would have it.
    pub fn owner(&self, key: &str) -> usize {
        let owns = |node: &Redis| !node.cli(&["get", key]).starts_with("MOVED");
        self.nodes.iter().position(owns).expect("each key has a place")
    }

    /// Starts to move what belongs together with this key: the old node sends whoever asks for something new to the
    /// new one, for that time only.
    pub fn begin_move(&self, key: &str, to: usize) {
        let (from, to) = (&self.nodes[self.owner(key)], &self.nodes[to]);
        let slot = from.cli(&["cluster", "keyslot", key]);
        to.cli(&["cluster", "setslot", &slot, "importing", &from.cli(&["cluster", "myid"])]);
        from.cli(&["cluster", "setslot", &slot, "migrating", &to.cli(&["cluster", "myid"])]);
    }

    /// Ends that: the old node sends everybody to the new one from now on.
    pub fn finish_move(&self, key: &str, to: usize) {
        let to = &self.nodes[to];
        let (slot, id) = (to.cli(&["cluster", "keyslot", key]), to.cli(&["cluster", "myid"]));
        for node in std::iter::once(to).chain(&self.nodes) {
            node.cli(&["cluster", "setslot", &slot, "node", &id]);
        }
    }
}
