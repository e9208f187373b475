//! Finds the master with the help of sentinels.
//!
//! The client's own way to do so needs a user who may ask for `ROLE`, which rules out users without dangerous
//! commands; here that question is optional. All sentinels are asked at once, so that a dead one delays nobody.
//!
//! An old master may go on for ten seconds and take writes that nobody will ever read, until the sentinels tell it that
//! it is one no more. So they are asked again every second for as long as a connection is used.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use ::redis::aio::MultiplexedConnection;
use ::redis::io::AsyncDNSResolver;
use ::redis::{Client, RedisConnectionInfo, RedisError, RedisFuture, RedisResult, Role, cmd};
use tokio::task::JoinSet;

use super::failure::{Login, classify, unavailable};
use super::target::{Timeouts, client};
use super::tls::Transport;
use super::url::{Endpoint, Scheme};
use crate::StoreError;

/// Sentinels and how to speak to the server they name.
pub(super) struct Sentinels {
    pub(super) peers: Vec<Client>,
    pub(super) master: String,
    pub(super) login: RedisConnectionInfo,
    pub(super) transport: Transport,
    /// A name that the certificates of servers may hold instead of their own: the reference expects the host of the
    /// last sentinel's URL in all of them.
    pub(super) common_name: Option<String>,
    pub(super) timeouts: Timeouts,
}

/// Where a sentinel says the master is.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Place {
    host: String,
    port: u16,
}

/// Looks out for another master until it is dropped.
pub(super) struct Watch {
    is_another: Arc<AtomicBool>,
    /// One for each sentinel; they end with this.
    _rounds: JoinSet<()>,
}

impl Watch {
    pub(super) fn sees_another_master(&self) -> bool {
        self.is_another.load(Ordering::Relaxed)
    }
}

impl Sentinels {
    /// Connects to the master. A sentinel may be behind the others, so what the server says about itself counts.
    pub(super) async fn connect(&self) -> Result<(MultiplexedConnection, Watch), StoreError> {
        let mut answers = self.ask();
        let mut tried = Vec::new();
        let mut failure = unavailable("no sentinel (redis_sentinel_connection_urls) answers");
        while let Some(answer) = answers.join_next().await {
            match answer {
                Ok(Ok(place)) if tried.contains(&place) => {}
                Ok(Ok(place)) => {
                    match self.connect_to(&place).await {
                        Ok(connection) => return Ok((connection, self.watch(&place))),
                        Err(error) => failure = error,
                    }
                    tried.push(place);
                }
                // What a server said is more telling.
                Ok(Err(error)) if tried.is_empty() => failure = error,
                Ok(Err(_)) | Err(_) => {}
            }
        }
        Err(failure)
    }

    /// The answers of all sentinels as they come.
    fn ask(&self) -> JoinSet<Result<Place, StoreError>> {
        let mut answers = JoinSet::new();
        for sentinel in &self.peers {
            let (sentinel, master, timeouts) = (sentinel.clone(), self.master.clone(), self.timeouts);
            answers.spawn(async move { ask(&sentinel, &master, timeouts).await });
        }
        answers
    }

    fn watch(&self, place: &Place) -> Watch {
        let (mut rounds, is_another) = (JoinSet::new(), Arc::new(AtomicBool::new(false)));
        for sentinel in &self.peers {
            let (sentinel, master, place) = (sentinel.clone(), self.master.clone(), place.clone());
            let (timeouts, is_another) = (self.timeouts, Arc::clone(&is_another));
            rounds.spawn(async move {
                until_another(&sentinel, &master, &place, timeouts).await;
                is_another.store(true, Ordering::Relaxed);
            });
        }
        Watch { is_another, _rounds: rounds }
    }

    async fn connect_to(&self, place: &Place) -> Result<MultiplexedConnection, StoreError> {
        let mut connection = match self.connect_as(place, &place.host).await {
            Err(error) if error.is_unavailable() => match self.other_name(place) {
                Some(name) => self.connect_as(place, name).await?,
                None => return Err(error),
            },
            connected => connected?,
        };
        let role: RedisResult<Role> = cmd("ROLE").query_async(&mut connection).await;
        match role {
            Ok(Role::Primary { .. }) => Ok(connection),
            Ok(_) => Err(unavailable("the sentinels name a server that is no master yet")),
            Err(error) if error.is_io_error() => Err(classify(&error, Login::Server)),
            // Not everybody may ask.
            Err(_) => Ok(connection),
        }
    }

    fn other_name(&self, place: &Place) -> Option<&str> {
        let name = self.common_name.as_deref()?;
        (matches!(self.transport, Transport::Verified(_)) && name != place.host).then_some(name)
    }

    /// Connects to a server whose certificate is to hold `name`.
    async fn connect_as(&self, place: &Place, name: &str) -> Result<MultiplexedConnection, StoreError> {
        let endpoint = Endpoint::Tcp { host: name.to_owned(), port: place.port, scheme: Scheme::Redis };
        let client = client(&endpoint, self.login.clone(), &self.transport)?;
        let mut settings = self.timeouts.settings();
        if name != place.host {
            settings = settings.set_dns_resolver(Always(place.clone()));
        }
        let connected = client.get_multiplexed_async_connection_with_config(&settings).await;
        connected.map_err(|error| classify(&error, Login::Server))
    }
}

async fn ask(sentinel: &Client, master: &str, timeouts: Timeouts) -> Result<Place, StoreError> {
    let failed = |error: RedisError| classify(&error, Login::Sentinel);
    let mut connection = timeouts.connect(sentinel).await.map_err(failed)?;
    match place_of(&mut connection, master).await.map_err(failed)? {
        Some(place) => Ok(place),
        None => Err(unavailable("the sentinels know no master of this name (redis_sentinel_master_name)")),
    }
}

async fn place_of(sentinel: &mut MultiplexedConnection, master: &str) -> RedisResult<Option<Place>> {
    let mut question = cmd("SENTINEL");
    question.arg("get-master-addr-by-name").arg(master);
    let place: Option<(String, u16)> = question.query_async(sentinel).await?;
    Ok(place.map(|(host, port)| Place { host, port }))
}

/// Returns when this sentinel says that the master is elsewhere. One that does not answer says nothing.
async fn until_another(sentinel: &Client, master: &str, known: &Place, timeouts: Timeouts) {
    let mut open = None;
    loop {
        tokio::time::sleep(ROUND).await;
        if open.is_none() {
            open = timeouts.connect(sentinel).await.ok();
        }
        let Some(connection) = &mut open else { continue };
        match place_of(connection, master).await {
            Ok(Some(place)) if place != *known => return,
            Ok(_) => {}
            Err(_) => open = None,
        }
    }
}

/// Resolves every name to one place.
struct Always(Place);

impl AsyncDNSResolver for Always {
    fn resolve<'a, 'b: 'a>(
        &'a self,
        _: &'b str,
        _: u16,
    ) -> RedisFuture<'a, Box<dyn Iterator<Item = SocketAddr> + Send + 'a>> {
        Box::pin(async {
            let found = tokio::net::lookup_host((self.0.host.as_str(), self.0.port)).await?;
            Ok(Box::new(found) as Box<dyn Iterator<Item = SocketAddr> + Send>)
        })
    }
}

const ROUND: Duration = Duration::from_secs(1);
