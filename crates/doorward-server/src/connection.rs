//! From listening sockets to requests: accept, hand over to a worker, speak HTTP, drain at the end.
//!
//! Every worker is a thread with a runtime of its own, and a connection stays with its worker for life. So the request
//! path needs no shared queue, and upstream connections are reused on the thread that opened them. One acceptor per
//! listener deals sockets round-robin, which also spreads unix sockets and inherited ones (`SO_REUSEPORT` cannot).

use std::{
    convert::Infallible,
    io,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
    time::Duration,
};

use arc_swap::ArcSwap;
use doorward_core::request::Scheme;
use doorward_net::{Accepted, Body, HandedOver, Listener, TlsServerConfig, WorkerId, handshake};
use hyper::service::service_fn;
use hyper_util::{
    rt::{TokioExecutor, TokioIo, TokioTimer},
    server::conn::auto::Builder,
};
use tokio::{
    sync::{mpsc, watch},
    task::JoinSet,
};

use crate::{
    gate::{Gate, Limits},
    handle::handle,
    ingress::Connection,
};

/// Sockets waiting to be taken up by one worker; beyond that the kernel's backlog holds them.
const INBOX: usize = 256;
/// Pause after a failed accept: out of file descriptors, say.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);
/// How long a client may take for its TLS handshake.
const HANDSHAKE: Duration = Duration::from_secs(10);

/// An accepted socket on its way to a worker.
struct Job {
    socket: HandedOver,
    tls: Option<TlsServerConfig>,
}

/// The worker threads.
#[derive(Debug)]
pub struct Workers {
    inboxes: Vec<mpsc::Sender<Job>>,
    threads: Vec<thread::JoinHandle<()>>,
    stop: watch::Sender<Phase>,
}

/// Where the life of the process stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    Serving,
    /// No new requests; those under way may finish.
    Draining,
}

impl Workers {
    /// Starts `count` threads that serve with whatever gate is current.
    pub fn start(count: usize, gate: &Arc<ArcSwap<Gate>>, limits: Limits) -> io::Result<Self> {
        let (stop, phase) = watch::channel(Phase::Serving);
        let mut inboxes = Vec::with_capacity(count);
        let mut threads = Vec::with_capacity(count);
        for index in 0..count {
            let (inbox, jobs) = mpsc::channel(INBOX);
            let worker = Worker { id: WorkerId(index), gate: Arc::clone(gate), limits, phase: phase.clone() };
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
            let thread = thread::Builder::new()
                .name(format!("worker-{index}"))
                .spawn(move || runtime.block_on(worker.run(jobs)))?;
            inboxes.push(inbox);
            threads.push(thread);
        }
        Ok(Self { inboxes, threads, stop })
    }

    /// Accepts from this listener until it is dropped.
    pub async fn accept_from(&self, listener: &Listener) -> Infallible {
        let next = AtomicUsize::new(0);
        loop {
            match listener.accept().await.and_then(Accepted::into_std) {
                Ok(socket) => {
                    let index = next.fetch_add(1, Ordering::Relaxed) % self.inboxes.len().max(1);
                    if let Some(inbox) = self.inboxes.get(index) {
                        let _ = inbox.send(Job { socket, tls: listener.tls().cloned() }).await;
                    }
                }
                Err(error) => {
                    tracing::error!("A connection could not be accepted: {error}");
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                }
            }
        }
    }

    /// Lets requests under way finish, within the drain limit, and ends the threads.
    pub async fn drain(self) {
        let Self { inboxes, threads, stop } = self;
        drop(inboxes);
        let _ = stop.send(Phase::Draining);
        let joined = tokio::task::spawn_blocking(move || {
            for thread in threads {
                let _ = thread.join();
            }
        });
        let _ = joined.await;
    }
}

struct Worker {
    id: WorkerId,
    gate: Arc<ArcSwap<Gate>>,
    limits: Limits,
    phase: watch::Receiver<Phase>,
}

impl Worker {
    async fn run(self, mut jobs: mpsc::Receiver<Job>) {
        let mut connections = JoinSet::new();
        while let Some(job) = jobs.recv().await {
            connections.spawn(self.task().serve(job));
            while connections.try_join_next().is_some() {}
        }
        let finished = async { while connections.join_next().await.is_some() {} };
        if tokio::time::timeout(self.limits.drain, finished).await.is_err() {
            tracing::warn!("Some requests did not finish in time and were cut off.");
        }
    }

    fn task(&self) -> ConnectionTask {
        ConnectionTask {
            worker: self.id,
            gate: Arc::clone(&self.gate),
            limits: self.limits,
            phase: self.phase.clone(),
        }
    }
}

struct ConnectionTask {
    worker: WorkerId,
    gate: Arc<ArcSwap<Gate>>,
    limits: Limits,
    phase: watch::Receiver<Phase>,
}

impl ConnectionTask {
    async fn serve(self, job: Job) {
        let Accepted { socket, peer } = match job.socket.register() {
            Ok(accepted) => accepted,
            Err(error) => {
                tracing::error!("An accepted connection could not be taken up: {error}");
                return;
            }
        };
        match job.tls {
            None => {
                let connection = Connection { peer, scheme: Scheme::Http, worker: self.worker };
                self.speak_http(socket, connection).await;
            }
            Some(config) => match handshake(socket, &config, HANDSHAKE).await {
                Ok(stream) => {
                    let connection = Connection { peer, scheme: Scheme::Https, worker: self.worker };
                    self.speak_http(stream, connection).await;
                }
                Err(error) => tracing::debug!("A TLS handshake failed: {error}"),
            },
        }
    }

    async fn speak_http<S>(mut self, stream: S, connection: Connection)
    where
        S: tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin + Send + 'static,
    {
        let connection = Arc::new(connection);
        let gate = Arc::clone(&self.gate);
        let service = service_fn(move |request| {
            let answer = handle(gate.load_full(), Arc::clone(&connection), request.map(Body::Incoming));
            async move { Ok::<_, Infallible>(answer.await) }
        });
        let builder = http_builder(self.limits);
        let mut serving =
            std::pin::pin!(builder.serve_connection_with_upgrades(TokioIo::new(stream), service));
        tokio::select! {
            _ = serving.as_mut() => {}
            () = draining(&mut self.phase) => {
                serving.as_mut().graceful_shutdown();
                let _ = serving.await;
            }
        }
    }
}

/// Waits until the process is to stop.
async fn draining(phase: &mut watch::Receiver<Phase>) {
    // The process also stops when nobody is left to say so.
    let _ = phase.wait_for(|phase| *phase == Phase::Draining).await;
}

/// HTTP/1.1 and HTTP/2, each with bounds on what a client may hold open.
fn http_builder(limits: Limits) -> Builder<TokioExecutor> {
    let mut builder = Builder::new(TokioExecutor::new());
    builder.http1().timer(TokioTimer::new()).header_read_timeout(limits.header_read).keep_alive(true);
    builder
        .http2()
        .timer(TokioTimer::new())
        .max_concurrent_streams(128)
        .max_header_list_size(64 * 1024)
        .max_pending_accept_reset_streams(20)
        .max_local_error_reset_streams(128)
        .keep_alive_interval(Duration::from_mins(1))
        .keep_alive_timeout(Duration::from_secs(20));
    builder
}

/// Serves the metrics on their own listener, on every path, until dropped.
pub async fn serve_metrics(listener: Listener, gate: Arc<ArcSwap<Gate>>) -> Infallible {
    let mut connections = JoinSet::new();
    loop {
        let Ok(accepted) = listener.accept().await else {
            tokio::time::sleep(ACCEPT_PAUSE).await;
            continue;
        };
        connections.spawn(metrics_connection(accepted, listener.tls().cloned(), Arc::clone(&gate)));
        while connections.try_join_next().is_some() {}
    }
}

async fn metrics_connection(accepted: Accepted, config: Option<TlsServerConfig>, gate: Arc<ArcSwap<Gate>>) {
    let socket = accepted.socket;
    let service = service_fn(move |_request: http::Request<hyper::body::Incoming>| {
        let text = gate.load().telemetry.metrics.render();
        let mut response = http::Response::new(Body::from(text));
        let content_type = http::HeaderValue::from_static("text/plain; version=0.0.4; charset=utf-8");
        response.headers_mut().insert(http::header::CONTENT_TYPE, content_type);
        async move { Ok::<_, Infallible>(response) }
    });
    let mut builder = hyper::server::conn::http1::Builder::new();
    builder.timer(TokioTimer::new()).header_read_timeout(Duration::from_secs(10));
    let _ = match config {
        None => builder.serve_connection(TokioIo::new(socket), service).await,
        Some(config) => match handshake(socket, &config, HANDSHAKE).await {
            Ok(stream) => builder.serve_connection(TokioIo::new(stream), service).await,
            Err(_) => return,
        },
    };
}
