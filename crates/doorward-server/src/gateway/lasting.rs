//! What outlasts a request: `WebSocket`s and streams of events. They end with the credential that opened them, when that
//! runs out, is taken back or changes hands, and after `maxConnectionAge` (norm B39).

use std::{
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::SystemTime,
};

use bytes::Bytes;
use doorward_accounts::{Activity, InvalidToken, TokenName};
use doorward_authn::{
    gateway::{Authenticator, CookieTokens, Finding, Kind, Presented},
    x509::Shown,
};
use doorward_core::Timestamp;
use doorward_net::{Body, BodyError};
use doorward_session::{LoadError, RequestCookies, SessionKey};
use doorward_upstream::{Tether, asks_for_websocket};
use http::{
    HeaderMap, Response,
    header::{ACCEPT, CONTENT_TYPE},
};
use http_body::{Frame, SizeHint};

use crate::{
    gate::Gate,
    gateway::{
        road::{Case, OnRoute},
        who::Known,
    },
    tunnels::{Check, Close, TunnelKey},
};

const EVENTS: &[u8] = b"text/event-stream";
/// `maxConnectionAge` is over.
const AGED: Close = Close { code: 1008, reason: "the connection has lasted as long as it may" };

/// By what it is told whether a connection may go on.
enum By {
    Session(SessionKey),
    Credential(Arc<Authenticator>),
    /// Nobody in particular has no credential that could end.
    Nobody,
}

/// What has to be known to look again.
struct Recheck {
    gate: Arc<Gate>,
    by: By,
    credential: String,
    headers: HeaderMap,
    query: Option<String>,
    certificates: Option<Arc<Shown>>,
    of_connection: Option<Arc<Shown>>,
    opened: Timestamp,
    expires: Option<Timestamp>,
    ends: Option<Timestamp>,
}

/// The tether of a request that may become a connection which lasts; nothing for others. To be asked for while the headers
/// are still those that came.
pub(crate) fn tether(case: &Case<'_>, on: &OnRoute<'_>, known: &Known) -> Option<Tether> {
    let Case { gate, arrival, .. } = *case;
    let takes_events = arrival.headers().get_all(ACCEPT).iter().any(|accept| is_events(accept.as_bytes()));
    if !asks_for_websocket(&arrival.request) && !takes_events {
        return None;
    }
    let who = &known.principal;
    let by = match &known.key {
        Some(key) => By::Session(key.clone()),
        None if who.is_anonymous() => By::Nobody,
        None => {
            let by = on.plan.authenticate.iter().find(|one| *one.name() == who.authenticator);
            by.map_or(By::Nobody, |by| By::Credential(Arc::clone(by)))
        }
    };
    let ends = on.plan.max_connection_age.map(|age| arrival.now.saturating_add(age));
    if matches!(by, By::Nobody) && ends.is_none() {
        return None;
    }
    let key = match &by {
        By::Session(key) => Some(TunnelKey::Session(key.clone())),
        By::Credential(_) => Some(TunnelKey::Token(who.credential.as_str().into())),
        By::Nobody => None,
    };
    let recheck = Arc::new(Recheck {
        gate: Arc::clone(gate),
        by,
        credential: who.credential.clone(),
        headers: arrival.headers().clone(),
        query: case.target().query().map(ToOwned::to_owned),
        certificates: case.certificates(),
        of_connection: arrival.connection.certificates.clone(),
        opened: arrival.now,
        expires: who.expires,
        ends,
    });
    let check = move || {
        let recheck = Arc::clone(&recheck);
        async move { recheck.run(Timestamp::from(SystemTime::now())).await }
    };
    Some(gate.sessions.refresh.tunnels().watch(key, check))
}

impl Recheck {
    async fn run(&self, now: Timestamp) -> Check {
        if self.ends.is_some_and(|ends| ends <= now) {
            return Check::Over(AGED);
        }
        // What was taken within the leeway of its end is looked at below.
        if self.expires.is_some_and(|expires| self.opened < expires && expires <= now) {
            return Check::Over(Close::UNAUTHENTICATED);
        }
        match &self.by {
            By::Nobody => Check::Good,
            By::Session(key) => self.of_session(key, now).await,
            By::Credential(authenticator) => self.of_credential(authenticator, now).await,
        }
    }

    /// Looks at the session as it is kept now. Nothing is refreshed on the way: there is nobody to give a cookie to.
    async fn of_session(&self, key: &SessionKey, now: Timestamp) -> Check {
        let Self { gate, headers, .. } = self;
        if gate.sessions.refresh.has_ended(key, now) {
            return Check::Over(Close::UNAUTHENTICATED);
        }
        match gate.sessions.keeper.load(&RequestCookies::new(headers), now).await {
            Ok(loaded) if gate.sign_in.providers.disowns(&loaded.session) => {
                Check::Over(Close::UNAUTHENTICATED)
            }
            Ok(loaded) => match gate.check_at_login(&loaded.session) {
                Ok(()) => Check::Good,
                Err(_) => Check::Over(Close::FORBIDDEN),
            },
            Err(LoadError::Unavailable(_)) => Check::Unknown,
            Err(LoadError::Absent | LoadError::Invalid(_)) => Check::Over(Close::UNAUTHENTICATED),
        }
    }

    async fn of_credential(&self, authenticator: &Authenticator, now: Timestamp) -> Check {
        if let (Kind::Opaque(own, _), Some(name)) = (authenticator.kind(), TokenName::parse(&self.credential))
        {
            // Looking on is no use of a token: it would never be unused for too long.
            return match own.accounts.validate_name(&name, Activity::DoesNotCount, now).await {
                Ok(_) => Check::Good,
                Err(InvalidToken::Unavailable(_)) => Check::Unknown,
                Err(_) => Check::Over(Close::UNAUTHENTICATED),
            };
        }
        let presented = Presented {
            headers: &self.headers,
            query: self.query.as_deref(),
            certificates: self.certificates.as_deref(),
            of_connection: self.of_connection.as_deref(),
            cookies: CookieTokens::Count,
            now,
        };
        match authenticator.attempt(&presented).await {
            Finding::User(who) if who.credential == self.credential => Check::Good,
            Finding::User(_) | Finding::Nothing | Finding::Refused(_) => Check::Over(Close::UNAUTHENTICATED),
            Finding::Unavailable(_) => Check::Unknown,
        }
    }
}

fn is_events(media: &[u8]) -> bool {
    media.split(|byte| matches!(byte, b',' | b';')).any(|item| item.trim_ascii().eq_ignore_ascii_case(EVENTS))
}

/// Ties a stream of events to its tether; other answers end by themselves.
pub(crate) fn tie(response: Response<Body>, tether: Option<&Tether>) -> Response<Body> {
    let is_stream = response.headers().get(CONTENT_TYPE).is_some_and(|media| is_events(media.as_bytes()));
    match tether {
        Some(tether) if is_stream => {
            let mut line = tether.clone();
            let over = Box::pin(async move {
                line.ended().await;
            });
            response.map(|content| Body::boxed(Tied { content, over }))
        }
        _ => response,
    }
}

/// An answer that breaks off when its tether says so.
struct Tied {
    content: Body,
    over: Pin<Box<dyn Future<Output = ()> + Send + Sync>>,
}

impl http_body::Body for Tied {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        if self.over.as_mut().poll(cx).is_ready() {
            self.content = Body::Empty;
            return Poll::Ready(None);
        }
        Pin::new(&mut self.content).poll_frame(cx)
    }

    fn is_end_stream(&self) -> bool {
        self.content.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::default()
    }
}

#[cfg(test)]
mod tests {
    use doorward_upstream::tether;
    use http::HeaderValue;
    use http_body_util::BodyExt;

    use super::*;
    use crate::testing::Silent;

    #[tokio::test]
    async fn b39_a_stream_of_events_ends_with_its_tether_and_nothing_else_does() {
        let answer = |media: &'static str| {
            let mut response = Response::new(Body::boxed(Silent));
            response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(media));
            response
        };
        let (hold, line) = tether();
        let tied = tie(answer("text/event-stream; charset=utf-8"), Some(&line));
        let mut other = tie(answer("text/plain"), Some(&line));
        hold.end(Close::UNAUTHENTICATED);
        assert_eq!(tied.collect().await.unwrap().to_bytes(), "");
        tokio::select! {
            biased;
            _ = other.frame() => panic!("it ended"),
            () = tokio::task::yield_now() => {}
        }
        drop(line);
        hold.released().await;
    }

    #[test]
    fn a_stream_of_events_is_one_in_any_spelling() {
        for (media, expected) in [
            ("text/event-stream", true),
            ("text/html, Text/Event-Stream;q=0.5", true),
            ("text/event-stream; charset=utf-8", true),
            ("text/event", false),
            ("*/*", false),
        ] {
            assert_eq!(is_events(media.as_bytes()), expected, "{media}");
        }
    }
}
