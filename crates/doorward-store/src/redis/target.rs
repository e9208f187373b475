//! What there is to connect to, and a connection to it.

use std::sync::Arc;
use std::time::Duration;

use ::redis::aio::MultiplexedConnection;
use ::redis::cluster::{ClusterClient, ClusterClientBuilder};
use ::redis::cluster_async::ClusterConnection;
use ::redis::cluster_routing::{RoutingInfo, SingleNodeRoutingInfo};
use ::redis::io::tcp::TcpSettings;
use ::redis::{
    AsyncConnectionConfig, Client, Cmd, ConnectionAddr, FromRedisValue, IntoConnectionInfo as _,
    RedisConnectionInfo, RedisError, TlsMode, from_redis_value,
};

use super::failure::{Login, classify};
use super::sentinel::{Sentinels, Watch};
use super::tls::Transport;
use super::url::{Endpoint, RedisUrl};
use super::{RedisConfig, RedisServers};
use crate::StoreError;

/// Where to connect and as whom.
pub(super) enum Target {
    Single { client: Client, timeouts: Timeouts },
    Sentinel(Sentinels),
    Cluster(ClusterClient),
}

/// Cheap to clone; clones share what is behind it.
#[derive(Clone)]
pub(super) enum Connection {
    Server(MultiplexedConnection),
    /// What the sentinels called the master when it was opened.
    Master(MultiplexedConnection, Arc<Watch>),
    Cluster(ClusterConnection),
}

/// Which server of a cluster is to run a command.
#[derive(Clone, Copy)]
pub(super) enum At {
    ServerOfKey,
    AnyServer,
}

#[derive(Clone, Copy)]
pub(super) struct Timeouts {
    connect: Duration,
    response: Duration,
}

impl Target {
    /// Nothing is connected yet.
    ///
    /// # Errors
    /// `Misconfigured`. What each part of the configuration has to prove it has proved before.
    pub(super) fn new(config: &RedisConfig) -> Result<Self, StoreError> {
        // The client asks for the process-wide provider; if somebody has set one already, that is as good.
        let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
        let last = config.servers.last_url();
        let transport = Transport::new(&config.tls, last);
        let timeouts = Timeouts::of(last);
        match &config.servers {
            RedisServers::Single(url) => {
                let login = login(config, last).set_db(url.database);
                Ok(Self::Single { client: client(&url.endpoint, login, &transport)?, timeouts })
            }
            RedisServers::Sentinel { urls, master, password } => {
                // What the URLs say about users and TLS is about the servers too, what they say about databases is
                // not: so it is in the reference.
                let mut sentinel_login = new_login();
                if let Some(password) = password {
                    sentinel_login = sentinel_login.set_password(password.expose());
                }
                let sentinels =
                    urls.iter().map(|url| client(&url.endpoint, sentinel_login.clone(), &transport));
                Ok(Self::Sentinel(Sentinels {
                    peers: sentinels.collect::<Result<_, _>>()?,
                    master: master.clone(),
                    login: login(config, last),
                    transport,
                    common_name: last.and_then(RedisUrl::tls_host),
                    timeouts,
                }))
            }
            RedisServers::Cluster(urls) => cluster(config, urls, &transport, timeouts).map(Self::Cluster),
        }
    }

    pub(super) async fn connect(&self) -> Result<Connection, StoreError> {
        match self {
            Self::Single { client, timeouts } => {
                let connected = timeouts.connect(client).await;
                connected.map(Connection::Server).map_err(|error| classify(&error, Login::Server))
            }
            Self::Sentinel(sentinels) => {
                let (connection, watch) = sentinels.connect().await?;
                Ok(Connection::Master(connection, Arc::new(watch)))
            }
            Self::Cluster(client) => {
                let connected = client.get_async_connection().await;
                connected.map(Connection::Cluster).map_err(|error| classify(&error, Login::Server))
            }
        }
    }

    /// Whether keys may lie on different servers, so that no script can read or write two of them.
    pub(super) const fn is_divided(&self) -> bool {
        matches!(self, Self::Cluster(_))
    }
}

impl Connection {
    pub(super) async fn run<T: FromRedisValue>(&mut self, command: &Cmd, at: At) -> Result<T, RedisError> {
        match (self, at) {
            (Self::Server(connection) | Self::Master(connection, _), _) => {
                command.query_async(connection).await
            }
            (Self::Cluster(connection), At::ServerOfKey) => command.query_async(connection).await,
            (Self::Cluster(connection), At::AnyServer) => {
                let anywhere = RoutingInfo::SingleNode(SingleNodeRoutingInfo::Random);
                Ok(from_redis_value(connection.route_command(command.clone(), anywhere).await?)?)
            }
        }
    }

    /// Whether it leads to a server that is the master no more.
    pub(super) fn is_outdated(&self) -> bool {
        matches!(self, Self::Master(_, watch) if watch.sees_another_master())
    }

    /// Whether it mends itself after an error: one for many servers does, and is worth more than a new one.
    pub(super) const fn mends_itself(&self) -> bool {
        matches!(self, Self::Cluster(_))
    }
}

impl Timeouts {
    fn of(url: Option<&RedisUrl>) -> Self {
        Self {
            connect: url.and_then(|url| url.connect_timeout).unwrap_or(CONNECT_TIMEOUT),
            response: url.and_then(|url| url.response_timeout).unwrap_or(RESPONSE_TIMEOUT),
        }
    }

    pub(super) fn settings(self) -> AsyncConnectionConfig {
        AsyncConnectionConfig::new()
            .set_connection_timeout(Some(self.connect))
            .set_response_timeout(Some(self.response))
    }

    pub(super) async fn connect(self, client: &Client) -> Result<MultiplexedConnection, RedisError> {
        client.get_multiplexed_async_connection_with_config(&self.settings()).await
    }
}

/// A client that knows where, how and as whom to connect.
pub(super) fn client(
    endpoint: &Endpoint,
    login: RedisConnectionInfo,
    transport: &Transport,
) -> Result<Client, StoreError> {
    let addr = match (endpoint, transport) {
        (Endpoint::Unix(path), _) => ConnectionAddr::Unix(path.clone()),
        (Endpoint::Tcp { host, port, .. }, Transport::Plain) => ConnectionAddr::Tcp(host.clone(), *port),
        (Endpoint::Tcp { host, port, .. }, Transport::Verified(_) | Transport::Unverified) => {
            let insecure = matches!(transport, Transport::Unverified);
            ConnectionAddr::TcpTls { host: host.clone(), port: *port, insecure, tls_params: None }
        }
    };
    let unusable = |error: RedisError| classify(&error, Login::Server);
    let info = addr.into_connection_info().map_err(unusable)?;
    let info = info.set_redis_settings(login).set_tcp_settings(tcp_settings());
    match (endpoint, transport) {
        (Endpoint::Tcp { .. }, Transport::Verified(Some(certificates))) => {
            Client::build_with_tls(info, certificates.clone()).map_err(unusable)
        }
        _ => Client::open(info).map_err(unusable),
    }
}

fn cluster(
    config: &RedisConfig,
    urls: &[RedisUrl],
    transport: &Transport,
    timeouts: Timeouts,
) -> Result<ClusterClient, StoreError> {
    let nodes = urls.iter().filter_map(|url| match &url.endpoint {
        Endpoint::Tcp { host, port, .. } => Some(ConnectionAddr::Tcp(host.clone(), *port)),
        Endpoint::Unix(_) => None,
    });
    let mut builder = ClusterClientBuilder::new(nodes)
        .connection_timeout(timeouts.connect)
        // This bounds a command with all its redirections and repetitions.
        .response_timeout(timeouts.response)
        .min_retry_wait(10)
        .max_retry_wait(500)
        .tcp_settings(tcp_settings());
    let (username, password) = credentials(config, config.servers.last_url());
    if let Some(username) = username {
        builder = builder.username(username);
    }
    if let Some(password) = password {
        builder = builder.password(password);
    }
    builder = match transport {
        Transport::Plain => builder,
        Transport::Unverified => builder.tls(TlsMode::Insecure),
        Transport::Verified(None) => builder.tls(TlsMode::Secure),
        Transport::Verified(Some(certificates)) => builder.tls(TlsMode::Secure).certs(certificates.clone()),
    };
    builder.build().map_err(|error| classify(&error, Login::Server))
}

fn login(config: &RedisConfig, url: Option<&RedisUrl>) -> RedisConnectionInfo {
    let mut login = new_login();
    let (username, password) = credentials(config, url);
    if let Some(username) = username {
        login = login.set_username(username);
    }
    if let Some(password) = password {
        login = login.set_password(password);
    }
    login
}

/// Who to be: options replace what the URL says.
fn credentials<'a>(
    config: &'a RedisConfig,
    url: Option<&'a RedisUrl>,
) -> (Option<&'a String>, Option<&'a String>) {
    let username = config.username.as_ref().or_else(|| url?.username.as_ref());
    let password = config.password.as_ref().or_else(|| url?.password.as_ref());
    (username, password.map(doorward_core::Secret::expose))
}

fn new_login() -> RedisConnectionInfo {
    RedisConnectionInfo::default().set_skip_set_lib_name()
}

/// Commands are small and somebody waits for each.
fn tcp_settings() -> TcpSettings {
    TcpSettings::default().set_nodelay(true)
}

const CONNECT_TIMEOUT: Duration = Duration::from_secs(3);
const RESPONSE_TIMEOUT: Duration = Duration::from_secs(3);
