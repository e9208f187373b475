//! Keeping sessions fresh: when a session is due, one refresh runs and everybody who asked meanwhile gets its result.
//!
//! Refresh tokens may be usable once only, so the same session must never be refreshed twice at a time: a slot per
//! session joins the requests of this process, the keeper's lock joins processes. The refresh runs in a task of its
//! own, so that a client who goes away cannot abort it half-way. A finished slot is kept for a while: requests that
//! were sent with the old cookie still find the new session, and a failing provider is not asked again at once.
//!
//! A sign-out or a new login ends a session for the desk too: no refresh of it, under way or finished, is handed out
//! any more. That is remembered for a while and by this process only. A session in a store is safe beyond that, because
//! it is saved only where it still is.

use std::{
    collections::{HashMap, VecDeque},
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use doorward_core::Timestamp;
use doorward_session::{Session, SessionKey};
use http::HeaderValue;
use tokio::sync::watch;

use crate::tunnels::{Close, TunnelKey, Tunnels};

/// Settings and slots.
#[derive(Debug)]
pub struct RefreshDesk {
    pub schedule: Schedule,
    slots: Arc<Mutex<Slots>>,
    tunnels: Arc<Tunnels>,
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
    /// The session, the cookies to send with the answer, and the key it has from now on.
    Kept { session: Arc<Session>, set_cookies: Arc<[HeaderValue]>, key: SessionKey },
    /// The session is over and has been removed; these cookies say so. There are none where a sign-out or another login
    /// ended it: those have told the browser already.
    Ended { set_cookies: Arc<[HeaderValue]>, why: End },
}

/// Why a session is over. For logs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// Its time or that of its tokens is up, and nothing could renew it.
    Expired,
    /// The provider no longer knows this login, or has given it to somebody else.
    Refused,
    /// The validate URL says no.
    NotValidated,
    /// The store no longer holds it.
    Gone,
    /// A sign-out or another login came first.
    ByVisitor,
    /// `--session-max-lifetime` is up.
    TooOld,
    /// Nobody used it for `--session-idle-timeout`.
    Unused,
    /// The provider or an administrator ended it.
    ByOthers,
    /// It comes from a provider that is not configured.
    ProviderGone,
}

impl fmt::Display for End {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Expired => "the session has expired and could not be refreshed",
            Self::Refused => "the provider refused to refresh the session",
            Self::NotValidated => "the validate URL refused the token of the session",
            Self::Gone => "the session is not in the store any more",
            Self::ByVisitor => "the session was ended by a sign-out or another login",
            Self::TooOld => "its login is longer ago than --session-max-lifetime",
            Self::Unused => "the session was not used for --session-idle-timeout",
            Self::ProviderGone => "the provider of the session is not configured any more",
            Self::ByOthers => "the session was ended by the provider or an administrator",
        })
    }
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
/// The same where it was only written down that the session is in use.
const LATE_NOTES: Duration = Duration::from_millis(500);
/// How long it is remembered that a session was ended: longer than any refresh takes, and longer than a finished one
/// answers.
const ENDED: Duration = Duration::from_mins(2);
/// A session that is ended again and again is noted anew only after this long.
const NOTED_ANEW: Duration = Duration::from_mins(1);
/// So many ended sessions are remembered; the oldest are forgotten first.
const MAX_ENDED: usize = 32 * 1024;
/// How long a failed refresh is not tried again while the session is still good.
const BACK_OFF: Duration = Duration::from_secs(30);
/// Tokens count as expiring this long before their end, or in the last tenth of a shorter life.
const EXPIRY_MARGIN: Duration = Duration::from_secs(30);

impl Schedule {
    pub fn due(&self, session: &Session, now: Timestamp) -> Due {
        let Some(created) = session.created_at else { return Due::Fresh };
        let periodic = !self.period.is_zero();
        if periodic && session.age(now).is_some_and(|age| age > self.period) {
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
    ended: Ended,
}

/// The sessions that were ended lately.
#[derive(Debug, Default)]
struct Ended {
    at: HashMap<SessionKey, Timestamp>,
    /// The same in the order of ending.
    order: VecDeque<(Timestamp, SessionKey)>,
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
    /// The provider was not asked; it was only written down that the session is in use.
    Noted,
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
    /// The session was ended by a sign-out or another login.
    Ended,
}

impl RefreshDesk {
    pub fn new(schedule: Schedule) -> Self {
        Self { schedule, slots: Arc::default(), tunnels: Arc::default() }
    }

    /// The same desk by another schedule: what is under way, was finished lately or was ended is known to both.
    #[must_use]
    pub fn rescheduled(&self, schedule: Schedule) -> Self {
        Self { schedule, slots: Arc::clone(&self.slots), tunnels: Arc::clone(&self.tunnels) }
    }

    /// Takes the turn for the session with this key, or joins the one under way.
    pub fn turn(&self, key: SessionKey, now: Timestamp) -> Turn {
        let mut slots = self.slots();
        if slots.ended.holds(&key, now) {
            return Turn::Ended;
        }
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

    /// The open connections of sessions, which end with them.
    pub const fn tunnels(&self) -> &Arc<Tunnels> {
        &self.tunnels
    }

    /// A refresh of the session with this key came to an end: its connections go with what it became.
    pub fn tell_tunnels(&self, before: SessionKey, refreshed: &Refreshed) {
        let before = TunnelKey::Session(before);
        match refreshed {
            Refreshed::Kept { key, .. } => self.tunnels.rename(&before, &TunnelKey::Session(key.clone())),
            Refreshed::Ended { .. } => self.tunnels.end(&before, Close::UNAUTHENTICATED),
        }
    }

    /// Ends sessions: those with these keys, what they have become by a refresh, and what they were before it; and their
    /// open connections.
    pub fn end(&self, keys: Vec<SessionKey>, now: Timestamp) {
        if keys.is_empty() {
            return;
        }
        let mut slots = self.slots();
        let mut line = keys;
        let mut next = 0;
        while let Some(key) = line.get(next).cloned() {
            for other in slots.related(&key) {
                if !line.contains(&other) {
                    line.push(other);
                }
            }
            slots.ended.add(key, now);
            next += 1;
        }
        drop(slots);
        for key in line {
            self.tunnels.end(&TunnelKey::Session(key), Close::UNAUTHENTICATED);
        }
    }

    /// Whether the session with this key was ended lately.
    pub fn has_ended(&self, key: &SessionKey, now: Timestamp) -> bool {
        self.slots().ended.holds(key, now)
    }

    fn slots(&self) -> MutexGuard<'_, Slots> {
        self.slots.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Slots {
    /// The keys that this session had before a refresh, or got by one.
    fn related(&self, key: &SessionKey) -> Vec<SessionKey> {
        let mut found = Vec::new();
        for (before, slot) in &self.by_session {
            let Some(after) = slot.successor() else { continue };
            if before == key {
                found.push(after);
            } else if after == *key {
                found.push(before.clone());
            }
        }
        found
    }
}

impl Ended {
    fn holds(&self, key: &SessionKey, now: Timestamp) -> bool {
        self.at.get(key).is_some_and(|at| now.since(*at) < ENDED)
    }

    fn add(&mut self, key: SessionKey, now: Timestamp) {
        if self.at.get(&key).is_some_and(|at| now.since(*at) < NOTED_ANEW) {
            return;
        }
        while let Some((at, oldest)) =
            self.order.pop_front_if(|(at, _)| now.since(*at) >= ENDED).or_else(|| self.surplus())
        {
            // Unless it was noted anew since.
            if self.at.get(&oldest) == Some(&at) {
                self.at.remove(&oldest);
            }
        }
        self.order.push_back((now, key.clone()));
        self.at.insert(key, now);
    }

    fn surplus(&mut self) -> Option<(Timestamp, SessionKey)> {
        if self.order.len() >= MAX_ENDED { self.order.pop_front() } else { None }
    }
}

impl Slot {
    /// The key that a finished refresh has given to the session.
    fn successor(&self) -> Option<SessionKey> {
        match &*self.outcome.borrow() {
            Some(Outcome { refreshed: Refreshed::Kept { key, .. }, .. }) => Some(key.clone()),
            _ => None,
        }
    }

    fn answers(&self, now: Timestamp) -> bool {
        let age = now.since(self.started);
        match &*self.outcome.borrow() {
            // A refresh that never reported (its task died) is not waited for.
            None => self.outcome.has_changed().is_ok(),
            Some(Outcome { attempt: AttemptResult::Renewed, .. }) => age < LATE_REQUESTS,
            // The old cookie goes on being good, and the session may become due any time.
            Some(Outcome { attempt: AttemptResult::Noted, .. }) => age < LATE_NOTES,
            Some(Outcome { attempt: AttemptResult::Failed, refreshed }) => {
                age < BACK_OFF && refreshed.is_good(now)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use doorward_core::Tokens;
    use doorward_session::{
        CookieConfig, CookieName, CookieSecret, CookieTransport, Keeper, PerRequest, RequestCookies,
        SameSite, ScriptAccess, StoredTokens, Visit,
    };

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

    const NOW: Timestamp = Timestamp::from_seconds(1_800_000_000);

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_seconds(NOW.seconds + seconds)
    }

    fn desk() -> RefreshDesk {
        let tokens = ExpiringTokens::Refreshed;
        RefreshDesk::new(Schedule { period: Duration::from_mins(1), tokens })
    }

    /// Keys as sessions in cookies have them.
    fn keys<const COUNT: usize>() -> [SessionKey; COUNT] {
        std::array::from_fn(|number| key(&number.to_string()))
    }

    fn key(user: &str) -> SessionKey {
        let mut session = session(NOW.seconds, None, None);
        session.identity.user = user.to_owned();
        let headers = http::HeaderMap::new();
        let cookies = RequestCookies::new(&headers);
        let lines = block_on(keeper().create(&session, &Visit { cookies: &cookies, host: "h", now: NOW }))
            .unwrap()
            .set_cookies;
        let cookie = lines[0].to_str().unwrap().split(';').next().unwrap().to_owned();
        let headers = http::HeaderMap::from_iter([(http::header::COOKIE, cookie.parse().unwrap())]);
        keeper().presented(&RequestCookies::new(&headers), NOW)[0].clone()
    }

    fn keeper() -> Keeper {
        Keeper::cookie(&CookieConfig {
            name: CookieName::try_from("n").unwrap(),
            path: "/".to_owned(),
            domains: vec![],
            transport: CookieTransport::HttpsOnly,
            script_access: ScriptAccess::Forbidden,
            same_site: SameSite::Lax,
            expire: Duration::ZERO,
            csrf_expire: Duration::ZERO,
            csrf_same_site: None,
            csrf_per_request: PerRequest::Shared,
            csrf_limit: None,
            stored_tokens: StoredTokens::All,
            secret: CookieSecret::try_from(&b"0123456789abcdef"[..]).unwrap(),
            previous: vec![],
        })
    }

    fn block_on<T>(future: impl Future<Output = T>) -> T {
        tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(future)
    }

    fn renewed(key: &SessionKey) -> Outcome {
        let session = Arc::new(session(NOW.seconds, None, None));
        let refreshed = Refreshed::Kept { session, set_cookies: Arc::default(), key: key.clone() };
        Outcome { refreshed, attempt: AttemptResult::Renewed }
    }

    /// A finished refresh that made one session out of another.
    fn refresh(desk: &RefreshDesk, before: &SessionKey, after: &SessionKey, now: Timestamp) {
        let Turn::Run(report, _) = desk.turn(before.clone(), now) else { panic!("not free") };
        report.send(Some(renewed(after))).unwrap();
    }

    fn is_ended(desk: &RefreshDesk, key: &SessionKey, now: Timestamp) -> bool {
        let ended = matches!(desk.turn(key.clone(), now), Turn::Ended);
        assert_eq!(desk.has_ended(key, now), ended);
        ended
    }

    #[test]
    fn an_ended_session_is_not_refreshed_for_a_while() {
        let [one, other] = keys();
        let desk = desk();
        desk.end(vec![one.clone()], NOW);
        // A request that arrived before the sign-out did.
        for seconds in [-5, 0, 60, 119] {
            assert!(is_ended(&desk, &one, at(seconds)), "{seconds}");
        }
        assert!(!is_ended(&desk, &other, NOW));
        assert!(!is_ended(&desk, &one, at(120)));
    }

    #[test]
    fn ending_a_session_ends_a_refresh_under_way() {
        let [one] = keys();
        let desk = desk();
        let Turn::Run(report, outcome) = desk.turn(one.clone(), NOW) else { panic!() };
        desk.end(vec![one.clone()], at(1));
        assert!(desk.has_ended(&one, NOW), "who runs the refresh sees it");
        report.send(Some(renewed(&one))).unwrap();
        assert!(outcome.borrow().is_some());
        assert!(is_ended(&desk, &one, at(2)), "what it reports is handed out to nobody");
    }

    #[test]
    fn ending_a_session_ends_what_it_was_and_what_it_became() {
        for signed_out in 0..4 {
            let line: [SessionKey; 5] = keys();
            let desk = desk();
            for (step, now) in (0..3).zip(0..) {
                refresh(&desk, &line[step], &line[step + 1], at(now));
            }
            desk.end(vec![line[signed_out].clone()], at(5));
            for key in &line[..4] {
                assert!(is_ended(&desk, key, at(6)), "{signed_out}");
            }
            assert!(!is_ended(&desk, &line[4], at(6)));
        }
    }

    #[test]
    fn ending_a_session_again_prolongs_it_and_the_table_is_bounded() {
        let [one] = keys();
        let desk = desk();
        for seconds in 0..600 {
            desk.end(vec![one.clone()], at(seconds));
        }
        assert!(desk.slots().ended.order.len() <= 3);
        assert!(is_ended(&desk, &one, at(659)), "a minute after the last time");
        assert!(!is_ended(&desk, &one, at(720)));
        // More sessions at one time than are remembered: the oldest make room.
        let mut ended = Ended::default();
        let (oldest, newest) = (key("oldest"), key("newest"));
        ended.add(oldest.clone(), NOW);
        ended.order.extend(std::iter::repeat_n((NOW, one), MAX_ENDED - 1));
        ended.add(newest.clone(), NOW);
        assert_eq!(ended.order.len(), MAX_ENDED);
        assert!(!ended.holds(&oldest, NOW) && ended.holds(&newest, NOW));
        assert_eq!(ended.at.len(), 1);
    }
}
