//! What is written down about a request: its log line and its metrics, once the last byte has been sent.

use std::{
    borrow::Cow,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::Instant,
};

use bytes::Bytes;
use doorward_core::{Grounds, RuleId};
use doorward_net::{Body, BodyError, Peer};
use doorward_session::Session;
use doorward_telemetry::{AuthLine, ClientField, InFlight, Logs, Metrics, RequestLine};
use http::{HeaderValue, Method, Response, StatusCode, Uri, Version, header::USER_AGENT};
use http_body::{Frame, SizeHint};

pub(crate) use doorward_telemetry::AuthStatus;

use crate::{
    explain::Explanation,
    gate::Gate,
    ingress::{Arrival, Forwarded},
};

/// Notes about a request in flight. Dropping it writes them down, so that aborted requests are seen as well.
#[derive(Debug)]
pub(crate) struct Record {
    metrics: Arc<Metrics>,
    counted: Option<InFlight>,
    started: Instant,
    method: Method,
    status: StatusCode,
    /// The route of the gateway.
    route: Option<RuleId>,
    /// Nothing is gathered for a line that nobody writes.
    line: Option<Line>,
}

/// What the request's log line will show.
#[derive(Debug)]
struct Line {
    logs: Arc<Logs>,
    query: Query,
    /// Names of parameters that may hold a token.
    hidden: Vec<String>,
    now: doorward_core::Timestamp,
    client: Client,
    uri: Uri,
    version: Version,
    host: HeaderValue,
    user_agent: Option<HeaderValue>,
    request_id: HeaderValue,
    session: Option<Arc<Session>>,
    upstream: Option<Arc<str>>,
    size: u64,
    decision: Option<Explanation>,
}

/// Whether a request appears in the request log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Visibility {
    Logged(Query),
    Silent,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Query {
    Shown,
    /// It holds secrets.
    Hidden,
    /// The last part of the path may hold one too.
    HiddenWithName,
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

/// Who sent the request, as all lines show it.
pub(crate) fn shown_client(gate: &Gate, arrival: &Arrival) -> ClientField {
    Client::of(gate, arrival).field()
}

impl Record {
    pub(crate) fn begin(gate: &Gate, arrival: &Arrival, visible: Visibility) -> Box<Self> {
        Box::new(Self {
            metrics: Arc::clone(&gate.telemetry.metrics),
            counted: None,
            started: Instant::now(),
            method: arrival.facts.method.clone(),
            status: StatusCode::OK,
            route: None,
            line: Line::begin(gate, arrival, visible),
        })
    }

    /// From here on the request counts in the metrics; health checks and redirects to https do not.
    pub(crate) fn count(&mut self) {
        self.counted = Some(self.metrics.begin());
    }

    pub(crate) fn identify(&mut self, session: &Arc<Session>) {
        if let Some(line) = &mut self.line {
            line.session = Some(Arc::clone(session));
        }
    }

    /// The request takes a route of the gateway. Of its query, the log leaves out the values of `hidden` parameters.
    pub(crate) fn on_route(&mut self, route: &RuleId, hidden: Vec<String>) {
        self.route = Some(route.clone());
        if let Some(line) = &mut self.line {
            line.hidden = hidden;
        }
    }

    pub(crate) fn route(&mut self, upstream: Arc<str>) {
        if let Some(line) = &mut self.line {
            line.upstream = Some(upstream);
        }
    }

    pub(crate) fn permit(&mut self, grounds: &Grounds) {
        if let Some(line) = &mut self.line {
            line.decision = Some(Explanation::permit(grounds));
        }
    }

    /// As [`Self::permit`], with a word on who it is and by which credential.
    pub(crate) fn permit_to(&mut self, grounds: &Grounds, who: &str) {
        if let Some(line) = &mut self.line {
            line.decision = Some(Explanation::permit(grounds).because(who));
        }
    }

    pub(crate) fn decide(&mut self, explanation: Explanation) {
        if let Some(line) = &mut self.line {
            line.decision = Some(explanation);
        }
    }

    /// Ties the record to the answer's body.
    pub(crate) fn finish(mut self: Box<Self>, response: Response<Body>) -> Response<Recorded> {
        self.status = response.status();
        response.map(|body| Recorded { body, record: Some(self) })
    }
}

impl Line {
    fn begin(gate: &Gate, arrival: &Arrival, visible: Visibility) -> Option<Self> {
        let Visibility::Logged(query) = visible else { return None };
        let logs = &gate.telemetry.logs;
        let uri = arrival.facts.target.uri();
        let path = || percent_encoding::percent_decode_str(uri.path()).decode_utf8_lossy();
        if !logs.wants_request(path) {
            return None;
        }
        Some(Self {
            logs: Arc::clone(logs),
            query,
            hidden: Vec::new(),
            now: arrival.now,
            client: Client::of(gate, arrival),
            uri: uri.clone(),
            version: arrival.request.version(),
            host: arrival.facts.host.clone(),
            user_agent: arrival.headers().get(USER_AGENT).cloned(),
            // Asked for here, so that the one that is made is the same in all lines and on the page.
            request_id: arrival.request_id.value().clone(),
            session: None,
            upstream: None,
            size: 0,
            decision: None,
        })
    }
}

impl Drop for Record {
    fn drop(&mut self) {
        let duration = self.started.elapsed();
        if self.counted.take().is_some() {
            self.metrics.observe(self.status, &self.method, duration);
            if let Some(route) = &self.route {
                self.metrics.routed(route.as_str(), self.status);
            }
        }
        let Some(line) = &self.line else { return };
        let path = line.uri.path();
        let uri = match line.query {
            Query::Hidden => path.into(),
            Query::HiddenWithName => path.rsplit_once('/').map_or("/", |(before, _)| before).into(),
            Query::Shown => without_tokens(&line.uri, &line.hidden),
        };
        line.logs.request(&RequestLine {
            client: line.client.field(),
            host: line.host.as_bytes(),
            method: &self.method,
            uri: &uri,
            protocol: line.version,
            user_agent: line.user_agent.as_ref().map_or(b"", HeaderValue::as_bytes),
            username: line.session.as_ref().map_or("", |session| session.identity.display_name()),
            request_id: line.request_id.as_bytes(),
            upstream: line.upstream.as_deref().unwrap_or(""),
            status: self.status.as_u16(),
            size: line.size,
            started: line.now,
            duration,
            decision: line.decision.as_ref().map(Explanation::words),
        });
    }
}

/// Path and query, without the tokens that clients put there although nobody takes them (RFC 9700 section 4.3.2).
fn without_tokens<'a>(uri: &'a Uri, hidden: &[String]) -> Cow<'a, str> {
    let whole = uri.path_and_query().map_or("/", http::uri::PathAndQuery::as_str);
    let is_token = |pair: &str| {
        let name = pair.split('=').next().unwrap_or_default();
        let is = |wanted: &str| percent_encoding::percent_decode_str(name).eq(wanted.bytes());
        is("access_token") || hidden.iter().any(|hidden| is(hidden))
    };
    match uri.query() {
        Some(query) if query.split('&').any(is_token) => {
            let kept = query.split('&').map(|pair| match pair.split('=').next() {
                Some(name) if is_token(pair) => format!("{name}=hidden"),
                _ => pair.to_owned(),
            });
            format!("{}?{}", uri.path(), kept.collect::<Vec<_>>().join("&")).into()
        }
        _ => whole.into(),
    }
}

/// An answer's body that counts its bytes for the record.
#[derive(Debug)]
pub(crate) struct Recorded {
    body: Body,
    /// Boxed, as the engine moves the body about.
    record: Option<Box<Record>>,
}

impl Recorded {
    /// An answer that appears in no log and no metric.
    pub(crate) fn unrecorded(response: Response<Body>) -> Response<Self> {
        response.map(|body| Self { body, record: None })
    }

    /// Nothing to send; the record stays.
    pub(crate) fn without_content(self) -> Self {
        Self { body: Body::default(), ..self }
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
            && let Some(line) = this.record.as_mut().and_then(|record| record.line.as_mut())
        {
            line.size += data.len() as u64;
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
        self.telemetry.logs.auth(&AuthLine { status, message, ..self.auth_line(arrival, username) });
    }

    /// A line of the authentication log that says nothing yet.
    pub(crate) fn auth_line<'a>(&self, arrival: &'a Arrival, username: &'a str) -> AuthLine<'a> {
        AuthLine {
            client: shown_client(self, arrival),
            host: arrival.facts.host.as_bytes(),
            method: &arrival.facts.method,
            protocol: arrival.request.version(),
            request_id: arrival.request_id.value().as_bytes(),
            user_agent: arrival.headers().get(USER_AGENT).map_or(b"", HeaderValue::as_bytes),
            username,
            at: arrival.now,
            status: AuthStatus::Failure,
            message: "",
            decision: None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a08_a_token_in_a_query_is_not_written_down() {
        for (target, written) in [
            ("/a?b=1&c", "/a?b=1&c"),
            ("/a?x=1&access_token=sha256~x&y", "/a?x=1&access_token=hidden&y"),
            ("/a?access%5ftoken=1&access_token", "/a?access%5ftoken=hidden&access_token=hidden"),
            ("/a?jwt=x&j=1", "/a?jwt=hidden&j=1"),
            ("/access_token=1?", "/access_token=1?"),
            ("/", "/"),
        ] {
            assert_eq!(without_tokens(&target.parse().unwrap(), &["jwt".to_owned()]), written);
        }
    }
}
