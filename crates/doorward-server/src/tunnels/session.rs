//! `WebSocket`s of people with a stored session: they end with it, and when its owner may not come in any more.

use std::{sync::Arc, time::SystemTime};

use doorward_authz::{Attempt, Judged, Verdict, Who};
use doorward_core::{RequestFacts, Timestamp};
use doorward_session::{LoadError, RequestCookies, SessionKey};
use http::{HeaderMap, header::COOKIE};

use super::{Check, Close, Tether, TunnelKey};
use crate::{
    authenticate::{Known, Standing, Visitor},
    gate::Gate,
    ingress::Arrival,
    refresh::End,
};

/// The tether of a connection that is opened with a stored session; nothing where another credential, or none, opens it.
pub(crate) fn tether(gate: &Arc<Gate>, arrival: &Arrival, visitor: &Visitor) -> Option<Tether> {
    let (Some(key), Standing::Known(Known { provenance, .. })) = (&visitor.key, &visitor.standing) else {
        return None;
    };
    let cookies = arrival.headers().get_all(COOKIE).iter().map(|line| (COOKIE, line.clone()));
    let recheck = Arc::new(Recheck {
        gate: Arc::clone(gate),
        cookies: cookies.collect(),
        facts: arrival.facts.clone(),
        key: key.clone(),
        provenance: *provenance,
    });
    let check = move || {
        let recheck = Arc::clone(&recheck);
        async move { recheck.run(Timestamp::from(SystemTime::now())).await }
    };
    Some(gate.sessions.refresh.tunnels().watch(Some(TunnelKey::Session(key.clone())), check))
}

/// What has to be known to look again.
struct Recheck {
    gate: Arc<Gate>,
    cookies: HeaderMap,
    facts: RequestFacts,
    key: SessionKey,
    provenance: doorward_authz::Provenance,
}

impl Recheck {
    /// Looks at the session as it is kept now. Nothing is refreshed on the way: there is nobody to give a cookie to.
    async fn run(&self, now: Timestamp) -> Check {
        let Self { gate, cookies, facts, key, provenance } = self;
        if gate.sessions.refresh.has_ended(key, now) {
            return Check::Over(Close::UNAUTHENTICATED);
        }
        let session = match gate.sessions.keeper.load(&RequestCookies::new(cookies), now).await {
            Ok(loaded) => loaded.session,
            Err(LoadError::Unavailable(_)) => return Check::Unknown,
            Err(LoadError::Absent | LoadError::Invalid(_)) => return Check::Over(Close::UNAUTHENTICATED),
        };
        match gate.over(&session, now).await {
            // Whoever looks at an open page uses it, but does not prolong the session.
            Ok(None | Some(End::Unused)) => {}
            Ok(Some(_)) => return Check::Over(Close::UNAUTHENTICATED),
            Err(_) => return Check::Unknown,
        }
        let who = Attempt::Accepted(Who {
            identity: &session.identity,
            provenance: *provenance,
            provider: session.provider.as_deref(),
        });
        match gate.access.policy.decide(facts, Judged::Own, who) {
            Verdict::Permit(_) => Check::Good,
            Verdict::Login | Verdict::Deny(_) => Check::Over(Close::FORBIDDEN),
        }
    }
}
