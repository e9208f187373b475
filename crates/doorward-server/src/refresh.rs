//! Keeping sessions fresh: when a session is due, one refresh runs and everybody who asked meanwhile gets its result.
//!
//! Refresh tokens may be usable once only, so the same session must never be refreshed twice at a time: a slot per
//! session joins the requests of this process, the keeper's lock joins processes. The refresh runs in a task of its
//! own, so that a client who goes away cannot abort it half-way. A finished slot is kept for a while: requests that
//! were sent with the old cookie still find the new session, and a failing provider is not asked again at once.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use doorward_core::Timestamp;
use doorward_session::{Session, SessionKey};
use http::HeaderValue;
use tokio::sync::watch;

/// Settings and slots.
#[derive(Debug)]
pub struct RefreshDesk {
    pub schedule: Schedule,
    slots: Mutex<Slots>,
}

/// When a session is due.
#[derive(Clone, Copy, Debug)]
pub struct Schedule {
    /// `--cookie-refresh`; zero means never.
    pub period: Duration,
    pub tokens: ExpiringTokens,
}

/// Whether tokens about to expire make a session due before its period is over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ExpiringTokens {
    Refreshed,
    /// With `--cookie-refresh=0` and no token passed on, nobody would see the new tokens.
    LeftAlone,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Due {
    Fresh,
    Refresh,
}

/// How a refresh ended.
#[derive(Clone, Debug)]
pub enum Refreshed {
    /// The session, and the cookies to send with the answer.
    Kept { session: Arc<Session>, set_cookies: Arc<[HeaderValue]> },
    /// The session is over and has been removed; these cookies say so.
    Ended { set_cookies: Arc<[HeaderValue]> },
}

impl Refreshed {
    fn is_good(&self, now: Timestamp) -> bool {
        match self {
            Self::Kept { session, .. } => !session.is_expired(now),
            Self::Ended { .. } => true,
        }
    }
}

/// How long a finished refresh answers requests with the old cookie.
const LATE_REQUESTS: Duration = Duration::from_mins(1);
/// How long a failed refresh is not tried again while the session is still good.
const BACK_OFF: Duration = Duration::from_secs(30);
/// Tokens count as expiring this long before their end, or in the last tenth of a shorter life.
const EXPIRY_MARGIN: Duration = Duration::from_secs(30);

impl Schedule {
    pub fn due(&self, session: &Session, now: Timestamp) -> Due {
        let Some(created) = session.created_at else { return Due::Fresh };
        let periodic = !self.period.is_zero();
        if periodic && now.truncated().since(created) > self.period {
            return Due::Refresh;
        }
        if self.tokens == ExpiringTokens::LeftAlone || session.tokens.refresh.is_none() {
            return Due::Fresh;
        }
        match session.expires_on {
            Some(end) if now.saturating_add(EXPIRY_MARGIN.min(end.since(created) / 10)) >= end => {
                Due::Refresh
            }
            _ => Due::Fresh,
        }
    }
}

#[derive(Debug, Default)]
struct Slots {
    by_session: HashMap<SessionKey, Slot>,
    /// Finished slots are swept when the table has grown to this size.
    sweep_at: usize,
}

#[derive(Debug)]
struct Slot {
    outcome: watch::Receiver<Option<Outcome>>,
    started: Timestamp,
}

/// What a slot remembers, and for how long.
#[derive(Clone, Debug)]
pub struct Outcome {
    pub refreshed: Refreshed,
    pub attempt: AttemptResult,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AttemptResult {
    Renewed,
    /// Nothing changed; asking again is pointless for a while.
    Failed,
}

/// What a request finds at the desk.
#[derive(Debug)]
pub enum Turn {
    /// Nobody else is at it: run the refresh and report its outcome through the sender.
    Run(watch::Sender<Option<Outcome>>, watch::Receiver<Option<Outcome>>),
    /// Somebody is, or has just been.
    Wait(watch::Receiver<Option<Outcome>>),
}

impl RefreshDesk {
    pub fn new(schedule: Schedule) -> Self {
        Self { schedule, slots: Mutex::default() }
    }

    /// Takes the turn for the session with this key, or joins the one under way.
    pub fn turn(&self, key: SessionKey, now: Timestamp) -> Turn {
        let mut slots = self.slots.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(slot) = slots.by_session.get(&key)
            && slot.answers(now)
        {
            return Turn::Wait(slot.outcome.clone());
        }
        if slots.by_session.len() >= slots.sweep_at {
            slots.by_session.retain(|_, slot| slot.answers(now));
            slots.sweep_at = (slots.by_session.len() * 2).max(64);
        }
        let (report, outcome) = watch::channel(None);
        slots.by_session.insert(key, Slot { outcome: outcome.clone(), started: now });
        Turn::Run(report, outcome)
    }
}

impl Slot {
    fn answers(&self, now: Timestamp) -> bool {
        let age = now.since(self.started);
        match &*self.outcome.borrow() {
            // A refresh that never reported (its task died) is not waited for.
            None => self.outcome.has_changed().is_ok(),
            Some(Outcome { attempt: AttemptResult::Renewed, .. }) => age < LATE_REQUESTS,
            Some(Outcome { attempt: AttemptResult::Failed, refreshed }) => {
                age < BACK_OFF && refreshed.is_good(now)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use doorward_core::Tokens;

    use super::*;

    fn session(created: i64, expires: Option<i64>, refresh_token: Option<&str>) -> Session {
        Session {
            created_at: Some(Timestamp::from_seconds(created)),
            expires_on: expires.map(Timestamp::from_seconds),
            tokens: Tokens { refresh: refresh_token.map(Into::into), ..Tokens::default() },
            ..Session::default()
        }
    }

    #[track_caller]
    fn check(period: u64, tokens: ExpiringTokens, session: &Session, now: i64, expected: Due) {
        let schedule = Schedule { period: Duration::from_secs(period), tokens };
        assert_eq!(schedule.due(session, Timestamp::from_seconds(now)), expected);
    }

    #[test]
    fn a_session_is_due_after_its_period_or_when_its_tokens_expire() {
        use ExpiringTokens::{LeftAlone, Refreshed};
        check(60, Refreshed, &session(0, None, None), 60, Due::Fresh);
        check(60, Refreshed, &session(0, None, None), 61, Due::Refresh);
        check(0, LeftAlone, &session(0, Some(5), Some("r")), 1000, Due::Fresh);
        check(0, Refreshed, &session(0, Some(3600), Some("r")), 3569, Due::Fresh);
        check(0, Refreshed, &session(0, Some(3600), Some("r")), 3570, Due::Refresh);
        check(0, Refreshed, &session(0, Some(3600), None), 5000, Due::Fresh);
        check(900, Refreshed, &session(0, Some(100), Some("r")), 89, Due::Fresh);
        check(900, Refreshed, &session(0, Some(100), Some("r")), 90, Due::Refresh);
    }
}
