//! When a session is over although its cookie is good: its limits, and what the ledger knows of it.

use std::time::Duration;

use doorward_authz::Denial;
use doorward_core::Timestamp;
use doorward_oidc::TokenFacts;
use doorward_session::{Names, Session, SessionKey, StoreError};

use crate::{
    gate::{Gate, SessionLimits},
    refresh::End,
};

impl SessionLimits {
    /// Whether a limit is up. A session without a time was never ours, and has none left.
    fn over(&self, session: &Session, now: Timestamp) -> Option<End> {
        let is_past = |since: Option<Timestamp>, limit: Duration| {
            since.is_none_or(|since| since.saturating_add(limit) <= now)
        };
        if self.longest.is_some_and(|longest| is_past(session.since(), longest)) {
            return Some(End::TooOld);
        }
        self.idle.is_some_and(|idle| is_past(session.last_seen(), idle)).then_some(End::Unused)
    }

    /// Whether it is time to write down that the session is in use: ten times within the limit.
    pub(crate) fn wants_note(&self, session: &Session, now: Timestamp) -> bool {
        self.idle
            .is_some_and(|idle| session.last_seen().is_none_or(|seen| seen.saturating_add(idle / 10) <= now))
    }
}

impl Gate {
    /// Why the session is over, if it is.
    ///
    /// # Errors
    /// The ledger cannot be asked: neither a yes nor a no.
    pub(crate) async fn over(&self, session: &Session, now: Timestamp) -> Result<Option<End>, StoreError> {
        if self.sign_in.providers.disowns(session) {
            return Ok(Some(End::ProviderGone));
        }
        if let Some(end) = self.sessions.limits.over(session, now) {
            return Ok(Some(end));
        }
        let Some(ledger) = &self.sessions.ledger else { return Ok(None) };
        let since = session.since().unwrap_or_default();
        let has_ended = Box::pin(ledger.has_ended(&names(session), since)).await?;
        Ok(has_ended.then_some(End::ByOthers))
    }

    /// Whether whom a session describes may have one at all.
    pub(crate) fn check_at_login(&self, session: &Session) -> Result<(), Denial> {
        self.access.policy.check_at_login(&session.identity, session.provider.as_deref())
    }

    /// Puts the times into a session that is made or kept now, as far as anybody looks at them. Without, what is kept is
    /// what oauth2-proxy would keep.
    pub(crate) fn mark(&self, session: &mut Session, now: Timestamp) {
        let SessionLimits { idle, longest } = self.sessions.limits;
        if longest.is_some() || self.sessions.ledger.is_some() {
            session.logged_in_at = session.since().or(Some(now));
        }
        session.seen_at = idle.map(|_| now);
    }

    /// Writes down that there is such a session. That it cannot be listed is no reason to turn anybody away.
    pub(crate) async fn note(&self, key: &SessionKey, session: &Session, now: Timestamp) {
        let Some(ledger) = &self.sessions.ledger else { return };
        if let Err(error) = Box::pin(ledger.note(key, session, &names(session), now)).await {
            tracing::error!("A session could not be listed: {error}");
        }
    }
}

/// What a session may be called by.
fn names(session: &Session) -> Names {
    let TokenFacts { subject, sid } = session.tokens.id.as_ref().map(TokenFacts::of).unwrap_or_default();
    // Where no ID token is kept, the user id is the subject, unless the operator wants it otherwise.
    let subject = subject.or_else(|| Some(session.identity.user.clone()).filter(|user| !user.is_empty()));
    Names::of(session, sid, subject)
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: Duration = Duration::from_hours(1);

    fn at(minutes: i64) -> Timestamp {
        Timestamp::from_seconds(1_800_000_000 + minutes * 60)
    }

    fn session(created: i64, logged_in: Option<i64>, seen: Option<i64>) -> Session {
        Session {
            created_at: Some(at(created)),
            logged_in_at: logged_in.map(at),
            seen_at: seen.map(at),
            ..Session::default()
        }
    }

    #[test]
    fn a_session_is_over_when_a_limit_is_up_and_not_before() {
        let idle = SessionLimits { idle: Some(HOUR), longest: None };
        let longest = SessionLimits { idle: None, longest: Some(HOUR) };
        let none = SessionLimits::default();
        for (limits, session, now, expected) in [
            (idle, session(0, None, None), 59, None),
            (idle, session(0, None, None), 60, Some(End::Unused)),
            (idle, session(0, None, Some(30)), 89, None),
            (idle, session(0, None, Some(30)), 90, Some(End::Unused)),
            // A refresh is a use, by whichever program.
            (idle, session(40, None, Some(0)), 99, None),
            (longest, session(0, None, None), 59, None),
            (longest, session(0, None, None), 60, Some(End::TooOld)),
            // A refresh changes nothing about the login.
            (longest, session(50, Some(0), Some(59)), 59, None),
            (longest, session(50, Some(0), Some(59)), 60, Some(End::TooOld)),
            (none, session(0, Some(0), Some(0)), 1_000_000, None),
            // Without a time there is nothing left of it.
            (idle, Session::default(), 0, Some(End::Unused)),
            (longest, Session::default(), 0, Some(End::TooOld)),
            (none, Session::default(), 0, None),
        ] {
            assert_eq!(limits.over(&session, at(now)), expected, "{limits:?} {session:?} at {now}");
        }
    }

    #[test]
    fn a_use_is_written_down_now_and_then() {
        let limits = SessionLimits { idle: Some(HOUR), longest: None };
        assert!(!limits.wants_note(&session(0, None, None), at(5)));
        assert!(limits.wants_note(&session(0, None, None), at(6)));
        assert!(!limits.wants_note(&session(0, None, Some(6)), at(11)));
        assert!(!SessionLimits::default().wants_note(&session(0, None, None), at(600)));
    }
}
