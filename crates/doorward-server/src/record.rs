//! What is written down about a request: its log line and its metrics, once the last byte has been sent.

use std::{
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::Instant,
};

use bytes::Bytes;
use doorward_net::{Body, BodyError, Peer};
use doorward_session::Session;
use doorward_telemetry::{AuthLine, ClientField, InFlight, Logs, Metrics, RequestLine};
use http::{HeaderValue, Method, Response, StatusCode, Uri, Version, header::USER_AGENT};
use http_body::{Frame, SizeHint};

pub use doorward_telemetry::AuthStatus;

use crate::{
    gate::Gate,
    ingress::{Arrival, Forwarded, RequestId},
};

/// Notes about a request in flight. Dropping it writes them down, so that aborted requests are seen as well.
#[derive(Debug)]
pub struct Record {
    logs: Arc<Logs>,
    metrics: Arc<Metrics>,
    counted: Option<InFlight>,
    visible: Visibility,
    started: Instant,
    now: doorward_core::Timestamp,
    client: Client,
    method: Method,
    uri: Uri,
    version: Version,
    host: HeaderValue,
    user_agent: Option<HeaderValue>,
    request_id: RequestId,
    session: Option<Arc<Session>>,
    upstream: Option<Arc<str>>,
    status: StatusCode,
    size: u64,
}

/// Whether a request appears in the request log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Visibility {
    Logged,
    /// Without its query, which holds secrets.
    PathOnly,
    Silent,
}

/// The client as the log shows it.
#[derive(Clone, Debug)]
enum Client {
    Peer(Peer),
    Address(doorward_core::ClientIp, Peer),
}

impl Client {
    fn of(gate: &Gate, arrival: &Arrival) -> Self {
        match gate.ingress.forwarded {
            Forwarded::Ignored => Self::Peer(arrival.connection.peer),
            Forwarded::From { .. } => Self::Address(arrival.facts.client, arrival.connection.peer),
        }
    }

    fn field(&self) -> ClientField {
        match self {
            Self::Peer(Peer::Ip(address)) => ClientField::Peer(*address),
            Self::Address(ip, peer) => match (ip.known(), peer) {
                (Some(address), _) => ClientField::Ip(address),
                (None, Peer::Ip(address)) => ClientField::Ip(address.ip()),
                (None, Peer::Unix) => ClientField::UnixPeer,
            },
            Self::Peer(Peer::Unix) => ClientField::UnixPeer,
        }
    }
}

impl Record {
    pub fn begin(gate: &Gate, arrival: &Arrival, visible: Visibility) -> Box<Self> {
        Box::new(Self {
            logs: Arc::clone(&gate.telemetry.logs),
            metrics: Arc::clone(&gate.telemetry.metrics),
            counted: None,
            visible,
            started: Instant::now(),
            now: arrival.now,
            client: Client::of(gate, arrival),
            method: arrival.facts.method.clone(),
            uri: arrival.facts.target.uri().clone(),
            version: arrival.request.version(),
            host: arrival.facts.host.clone(),
            user_agent: arrival.headers().get(USER_AGENT).cloned(),
            request_id: arrival.request_id.clone(),
            session: None,
            upstream: None,
            status: StatusCode::OK,
            size: 0,
        })
    }

    /// From here on the request counts in the metrics; health checks and redirects to https do not.
    pub fn count(&mut self) {
        self.counted = Some(self.metrics.begin());
    }

    pub fn identify(&mut self, session: &Arc<Session>) {
        self.session = Some(Arc::clone(session));
    }

    pub fn route(&mut self, upstream: Arc<str>) {
        self.upstream = Some(upstream);
    }

    /// Ties the record to the answer's body.
    pub fn finish(mut self: Box<Self>, response: Response<Body>) -> Response<Recorded> {
        self.status = response.status();
        response.map(|body| Recorded { body, record: Some(self) })
    }
}

impl Drop for Record {
    fn drop(&mut self) {
        let duration = self.started.elapsed();
        if self.counted.take().is_some() {
            self.metrics.observe(self.status, &self.method, duration);
        }
        if self.visible == Visibility::Silent {
            return;
        }
        let path = percent_encoding::percent_decode_str(self.uri.path()).decode_utf8_lossy();
        if !self.logs.wants_request(&path) {
            return;
        }
        self.logs.request(&RequestLine {
            client: self.client.field(),
            host: self.host.as_bytes(),
            method: &self.method,
            uri: match self.visible {
                Visibility::PathOnly => self.uri.path(),
                _ => self.uri.path_and_query().map_or("/", http::uri::PathAndQuery::as_str),
            },
            path: &path,
            protocol: self.version,
            user_agent: self.user_agent.as_ref().map_or(b"", HeaderValue::as_bytes),
            username: self.session.as_ref().map_or("", |session| session.identity.display_name()),
            request_id: self.request_id.value().as_bytes(),
            upstream: self.upstream.as_deref().unwrap_or(""),
            status: self.status.as_u16(),
            size: self.size,
            started: self.now,
            duration,
        });
    }
}

/// An answer's body that counts its bytes for the record.
#[derive(Debug)]
pub struct Recorded {
    body: Body,
    /// Boxed, as the engine moves the body about.
    record: Option<Box<Record>>,
}

impl Recorded {
    /// An answer that appears in no log and no metric.
    pub fn unrecorded(response: Response<Body>) -> Response<Self> {
        response.map(|body| Self { body, record: None })
    }
}

impl http_body::Body for Recorded {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        let this = self.get_mut();
        let polled = Pin::new(&mut this.body).poll_frame(context);
        if let Poll::Ready(Some(Ok(frame))) = &polled
            && let Some(data) = frame.data_ref()
            && let Some(record) = &mut this.record
        {
            record.size += data.len() as u64;
        }
        polled
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

impl Gate {
    /// Writes a line to the authentication log.
    pub fn log_auth(&self, arrival: &Arrival, status: AuthStatus, username: &str, message: &str) {
        self.telemetry.logs.auth(&AuthLine {
            client: Client::of(self, arrival).field(),
            host: arrival.facts.host.as_bytes(),
            method: &arrival.facts.method,
            protocol: arrival.request.version(),
            request_id: arrival.request_id.value().as_bytes(),
            user_agent: arrival.headers().get(USER_AGENT).map_or(b"", HeaderValue::as_bytes),
            username,
            at: arrival.now,
            status,
            message,
        });
    }
}
