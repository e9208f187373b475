//! From listening sockets to requests: accept, hand over to a worker, speak HTTP, drain at the end.
//!
//! Every worker is a thread with a runtime of its own, and a connection stays with its worker for life. So the request
//! path needs no shared queue, and upstream connections are reused on the thread that opened them. One acceptor per
//! listener deals sockets round-robin, which also spreads unix sockets and inherited ones (`SO_REUSEPORT` cannot).

use std::{
    convert::Infallible,
    future::poll_fn,
    io,
    pin::{Pin, pin},
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    task::Poll,
    thread,
    time::{Duration, Instant},
};

use arc_swap::ArcSwap;
use doorward_authn::x509::Shown;
use doorward_core::request::Scheme;
use doorward_net::{
    Accepted, Body, Flowing, HandedOver, Held, Listener, Slot, Slots, TlsServerConfig, WorkerId, handshake,
    shown_certificates,
};
use http::{HeaderValue, Request};
use hyper::{body::Incoming, service::service_fn};
use hyper_util::{
    rt::{TokioIo, TokioTimer},
    server::conn::auto::Builder,
};
use tokio::{
    sync::{mpsc, watch},
    task::JoinSet,
};

use crate::{
    ext_authz,
    gate::{Gate, Limits},
    handle::handle,
    ingress::{Connection, Duty},
    presence::{Presence, Roll},
    streams::{Answering, Streams},
};

/// Sockets waiting to be taken up by one worker; beyond that the kernel's backlog holds them.
const INBOX: usize = 256;
/// Pause after a failed accept: out of file descriptors, say.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);
/// How long a client may take for its TLS handshake.
const HANDSHAKE: Duration = Duration::from_secs(10);

/// How long a new connection may take until its first request is there with all its headers.
const FIRST_REQUEST: Duration = Duration::from_secs(20);
/// How long a client may pause while its request's body is read.
const UPLOAD_PAUSE: Duration = Duration::from_secs(75);
/// How long a client may take nothing of what is sent to it.
const DOWNLOAD_PAUSE: Duration = Duration::from_secs(75);
/// While all places are taken, how often idle connections are looked for.
const SHED_EVERY: Duration = Duration::from_millis(100);
/// The part of all places that is cleared at a time.
const SHED_PART: usize = 64;
/// More than the headers of any request with large cookies need: four times what nginx takes by itself. It also bounds what an
/// unfinished request can hold of our memory.
const HEADERS_LIMIT: u32 = 128 * 1024;
/// Open connections to the metrics.
const METRICS_CONNECTIONS: usize = 64;
/// Complaints about trouble that goes on come at most this often.
const COMPLAINTS_EVERY: Duration = Duration::from_secs(1);

/// An accepted socket on its way to a worker.
struct Job {
    socket: HandedOver,
    tls: Option<TlsServerConfig>,
    slot: Slot,
    presence: Arc<Presence>,
    duty: Duty,
}

/// The worker threads.
#[derive(Debug)]
pub struct Workers {
    inboxes: Vec<mpsc::Sender<Job>>,
    threads: Vec<thread::JoinHandle<()>>,
    stop: watch::Sender<Phase>,
    slots: Slots,
    roll: Roll,
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
        Ok(Self { inboxes, threads, stop, slots: Slots::of_process(), roll: Roll::new(Instant::now()) })
    }

    /// Accepts from this listener until it is dropped. While as many connections are open as the process can bear, idle
    /// ones are closed, and new ones wait in the kernel's backlog.
    pub async fn accept_from(&self, listener: &Listener, duty: Duty) -> Infallible {
        let next = AtomicUsize::new(0);
        let (mut full, mut failed) = (Seldom::default(), Seldom::default());
        loop {
            let slot = self.place(&mut full).await;
            match listener.accept().await.and_then(Accepted::into_std) {
                Ok(socket) => {
                    let index = next.fetch_add(1, Ordering::Relaxed) % self.inboxes.len().max(1);
                    if let Some(inbox) = self.inboxes.get(index) {
                        let presence = self.roll.enter(Instant::now());
                        let _ = inbox.send(Job { socket, tls: listener.tls(), slot, presence, duty }).await;
                    }
                }
                Err(error) => {
                    if failed.is_due(Instant::now()) {
                        tracing::error!("A connection could not be accepted: {error}");
                    }
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                }
            }
        }
    }

    async fn place(&self, full: &mut Seldom) -> Slot {
        if let Some(slot) = self.slots.try_take() {
            return slot;
        }
        let total = self.slots.total();
        loop {
            let now = Instant::now();
            if full.is_due(now) {
                tracing::warn!(
                    "All {total} connections are in use: idle ones are closed, and new ones may have to wait."
                );
            }
            self.roll.shed(total / SHED_PART + 1, now);
            if let Ok(slot) = tokio::time::timeout(SHED_EVERY, self.slots.take()).await {
                return slot;
            }
        }
    }

    /// Lets requests under way finish, within the drain limit, and ends the threads.
    pub async fn drain(self) {
        let Self { inboxes, threads, stop, slots: _, roll: _ } = self;
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

/// Lets something happen now and then.
#[derive(Debug, Default)]
struct Seldom {
    last: Option<Instant>,
}

impl Seldom {
    fn is_due(&mut self, now: Instant) -> bool {
        let due = self.last.is_none_or(|last| now.duration_since(last) >= COMPLAINTS_EVERY);
        if due {
            self.last = Some(now);
        }
        due
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
            let presence = Arc::clone(&job.presence);
            presence.served_by(connections.spawn(self.task().serve(job)));
            while connections.try_join_next().is_some() {}
        }
        let finished = async { while connections.join_next().await.is_some() {} };
        if tokio::time::timeout(self.gate.load().drain, finished).await.is_err() {
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
        let Job { socket, tls, slot, presence, duty } = job;
        let Accepted { socket, peer } = match socket.register() {
            Ok(accepted) => accepted,
            Err(error) => {
                tracing::error!("An accepted connection could not be taken up: {error}");
                return;
            }
        };
        match tls {
            None => {
                let worker = self.worker;
                let connection = Connection { peer, scheme: Scheme::Http, worker, certificates: None, duty };
                self.speak_http(Held::new(socket, slot), connection, presence).await;
            }
            Some(config) => match handshake(socket, &config, HANDSHAKE).await {
                Ok(stream) => {
                    let certificates = shown_certificates(&stream).and_then(Shown::new);
                    let worker = self.worker;
                    let connection = Connection { peer, scheme: Scheme::Https, worker, certificates, duty };
                    self.speak_http(Held::new(stream, slot), connection, presence).await;
                }
                Err(error) => tracing::debug!("A TLS handshake failed: {error}"),
            },
        }
    }

    async fn speak_http<S>(mut self, stream: S, connection: Connection, presence: Arc<Presence>)
    where
        S: tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin + Send + 'static,
    {
        let connection = Arc::new(connection);
        let gate = Arc::clone(&self.gate);
        let begun = Arc::new(AtomicBool::new(false));
        let (has_begun, own) = (Arc::clone(&begun), Arc::clone(&presence));
        let service = service_fn(move |request: Request<Incoming>| {
            has_begun.store(true, Ordering::Relaxed);
            let busy = own.begin();
            let request = if is_grpc(&request) {
                request.map(Body::from)
            } else {
                request.map(|body| Body::upload(body, UPLOAD_PAUSE))
            };
            let (gate, connection) = (gate.load_full(), Arc::clone(&connection));
            async move {
                let answer = match connection.duty {
                    Duty::Carry => handle(gate, connection, request).await,
                    Duty::Tell => Box::pin(ext_authz::answer(gate, connection, request)).await,
                };
                Ok::<_, Infallible>(answer.map(|body| Answering::new(body, busy)))
            }
        });
        let builder = http_builder(self.limits);
        let stream = TokioIo::new(Flowing::new(stream, DOWNLOAD_PAUSE));
        let mut serving = pin!(builder.serve_connection_with_upgrades(stream, service));
        tokio::select! {
            biased;
            start = first_request(serving.as_mut(), &begun, FIRST_REQUEST) => match start {
                Start::Begun => {}
                Start::Ended | Start::Silent => return,
            },
            () = draining(&mut self.phase) => {
                serving.as_mut().graceful_shutdown();
                let _ = serving.await;
                return;
            }
        }
        // Over HTTP/1.1 the engine itself ends idle connections.
        let mut asked_to_end = false;
        loop {
            tokio::select! {
                biased;
                _ = serving.as_mut() => return,
                () = draining(&mut self.phase) => {
                    serving.as_mut().graceful_shutdown();
                    let _ = serving.await;
                    return;
                }
                () = idle(&presence, self.limits.header_read) => {
                    if asked_to_end {
                        return;
                    }
                    serving.as_mut().graceful_shutdown();
                    asked_to_end = true;
                }
            }
        }
    }
}

/// Whether the request's content is a stream of messages, between which both sides may be silent for hours. The client
/// is known to be there by its pings.
fn is_grpc(request: &Request<Incoming>) -> bool {
    let content_type = request.headers().get(http::header::CONTENT_TYPE);
    request.version() == http::Version::HTTP_2
        && content_type.is_some_and(|content| content.as_bytes().starts_with(b"application/grpc"))
}

/// Waits until nothing has been under way for as long as `limit`, and at least for so long.
async fn idle(presence: &Presence, limit: Duration) {
    let mut pause = limit;
    loop {
        tokio::time::sleep(pause).await;
        let idle_for = presence.idle_for(Instant::now()).unwrap_or_default();
        if idle_for >= limit {
            return;
        }
        pause = limit.saturating_sub(idle_for);
    }
}

/// How a connection began.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Start {
    /// The first request is being answered.
    Begun,
    /// It is over already.
    Ended,
    /// No request came in time.
    Silent,
}

/// Serves a connection until its first request has come. The HTTP engine's own limit begins only when it knows which
/// version it speaks, and a client may never let it know. Once `begun` is set, nothing of this is left to be polled.
async fn first_request<C: Future>(mut serving: Pin<&mut C>, begun: &AtomicBool, limit: Duration) -> Start {
    let mut limit = pin!(tokio::time::sleep(limit));
    poll_fn(|cx| {
        if serving.as_mut().poll(cx).is_ready() {
            return Poll::Ready(Start::Ended);
        }
        if begun.load(Ordering::Relaxed) {
            return Poll::Ready(Start::Begun);
        }
        limit.as_mut().poll(cx).map(|()| Start::Silent)
    })
    .await
}

/// Waits until the process is to stop.
async fn draining(phase: &mut watch::Receiver<Phase>) {
    // The process also stops when nobody is left to say so.
    let _ = phase.wait_for(|phase| *phase == Phase::Draining).await;
}

/// HTTP/1.1 and HTTP/2, each with bounds on what a client may hold open.
/// What is kept of an answer for a client that does not read it, for each of the streams of an HTTP/2 connection.
const STREAM_BUFFER: usize = 64 * 1024;

fn http_builder(limits: Limits) -> Builder<Streams> {
    let mut builder = Builder::new(Streams { patience: DOWNLOAD_PAUSE });
    builder
        .http1()
        .timer(TokioTimer::new())
        .header_read_timeout(limits.header_read)
        .max_buf_size(HEADERS_LIMIT as usize)
        .keep_alive(true);
    builder
        .http2()
        .timer(TokioTimer::new())
        .max_concurrent_streams(128)
        .max_header_list_size(HEADERS_LIMIT)
        .max_send_buf_size(STREAM_BUFFER)
        .max_pending_accept_reset_streams(20)
        .max_local_error_reset_streams(128)
        .keep_alive_interval(Duration::from_mins(1))
        .keep_alive_timeout(Duration::from_secs(20));
    builder
}

/// Serves the metrics on their own listener, on every path, until dropped.
pub async fn serve_metrics(listener: Arc<Listener>, gate: Arc<ArcSwap<Gate>>) -> Infallible {
    let mut connections = JoinSet::new();
    loop {
        let Ok(accepted) = listener.accept().await else {
            tokio::time::sleep(ACCEPT_PAUSE).await;
            continue;
        };
        while connections.len() >= METRICS_CONNECTIONS {
            connections.join_next().await;
        }
        connections.spawn(metrics_connection(accepted, listener.tls(), Arc::clone(&gate)));
        while connections.try_join_next().is_some() {}
    }
}

async fn metrics_connection(accepted: Accepted, config: Option<TlsServerConfig>, gate: Arc<ArcSwap<Gate>>) {
    let socket = accepted.socket;
    let service = service_fn(move |_request: Request<Incoming>| {
        let text = gate.load().telemetry.metrics.render();
        let mut response = http::Response::new(Body::from(text));
        let content_type = HeaderValue::from_static("text/plain; version=0.0.4; charset=utf-8");
        response.headers_mut().insert(http::header::CONTENT_TYPE, content_type);
        async move { Ok::<_, Infallible>(response) }
    });
    let mut builder = hyper::server::conn::http1::Builder::new();
    builder.timer(TokioTimer::new()).header_read_timeout(Duration::from_secs(10));
    let _ = match config {
        None => builder.serve_connection(TokioIo::new(Flowing::new(socket, DOWNLOAD_PAUSE)), service).await,
        Some(config) => match handshake(socket, &config, HANDSHAKE).await {
            Ok(stream) => {
                let stream = Flowing::new(stream, DOWNLOAD_PAUSE);
                builder.serve_connection(TokioIo::new(stream), service).await
            }
            Err(_) => return,
        },
    };
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    use super::*;

    /// What a connection that sends these bytes, and then nothing, has come to after a short while.
    async fn start_of(bytes: &[u8]) -> Start {
        let (near, mut far) = tokio::io::duplex(1024);
        far.write_all(bytes).await.unwrap();
        let begun = Arc::new(AtomicBool::new(false));
        let has_begun = Arc::clone(&begun);
        let service = service_fn(move |_: Request<Incoming>| {
            has_begun.store(true, Ordering::Relaxed);
            async { Ok::<_, Infallible>(http::Response::new(Body::Empty)) }
        });
        let limits = Limits { header_read: Duration::from_mins(1) };
        let builder = http_builder(limits);
        let mut serving = pin!(builder.serve_connection_with_upgrades(TokioIo::new(near), service));
        let start = first_request(serving.as_mut(), &begun, Duration::from_millis(50)).await;
        if start == Start::Begun {
            let mut byte = [0];
            let answered = async { far.read_exact(&mut byte).await.unwrap() };
            tokio::select! {
                _ = serving.as_mut() => panic!("the connection ended with its first request"),
                _ = answered => {}
            }
        }
        start
    }

    #[tokio::test]
    async fn a_connection_without_a_request_is_given_up() {
        const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0";
        for (bytes, expected) in [
            (&b""[..], Start::Silent),
            (b"P", Start::Silent),
            (b"PRI * HT", Start::Silent),
            (PREFACE, Start::Silent),
            (b"GET / HTTP/1.1\r\nHost: a\r\n", Start::Silent),
            (b"GET / HTTP/1.1\r\nHost: a\r\n\r\n", Start::Begun),
            (b"\x16\x03\x01\0\xff\r\n\r\n", Start::Ended),
        ] {
            assert_eq!(start_of(bytes).await, expected, "{:?}", String::from_utf8_lossy(bytes));
        }
    }

    #[tokio::test]
    async fn a_connection_is_idle_when_nothing_was_under_way_for_the_whole_time() {
        let presence = Roll::new(Instant::now()).enter(Instant::now());
        let busy = presence.begin();
        let limit = Duration::from_millis(20);
        assert!(tokio::time::timeout(limit * 4, idle(&presence, limit)).await.is_err());
        drop(busy);
        idle(&presence, limit).await;
        assert!(presence.idle_for(Instant::now()) >= Some(limit));
    }

    #[test]
    fn complaints_come_at_most_once_a_second() {
        let (begin, mut seldom) = (Instant::now(), Seldom::default());
        for (milliseconds, due) in [(0, true), (50, false), (999, false), (1000, true), (1999, false)] {
            assert_eq!(seldom.is_due(begin + Duration::from_millis(milliseconds)), due, "{milliseconds}");
        }
    }
}
