//! Notices browsers that go round in circles: they finish a login, and begin another at once, as their session does not come
//! back. The count is with the browser, in a small cookie, which it only gets at the second login within a minute. That
//! it is the second, a table of fixed size knows, by user and browser; what it forgets or confuses costs a cookie.

use std::{
    hash::{BuildHasher as _, RandomState},
    net::IpAddr,
    sync::atomic::{AtomicU64, Ordering},
    time::Duration,
};

use doorward_core::Timestamp;
use doorward_session::RequestCookies;
use http::HeaderValue;

use crate::{
    gate::Gate,
    handle::{Decided, Decision},
    ingress::Arrival,
};

/// So many logins that end well, one after the other, and no page: nobody does that by hand.
const TOO_MANY: u32 = 3;
/// Within this time.
const ROUND_TRIP: Duration = Duration::from_mins(1);
const PLACES: usize = 2048;

/// Who has just finished a login.
#[derive(Debug)]
pub struct Rounds {
    hashing: RandomState,
    /// In each the upper half of a hash, and the seconds since 1970 (modulo 2^32) of the last login.
    places: Box<[AtomicU64]>,
}

impl Default for Rounds {
    fn default() -> Self {
        Self { hashing: RandomState::new(), places: (0..PLACES).map(|_| AtomicU64::new(0)).collect() }
    }
}

impl Rounds {
    /// Notes a login, and tells whether there was one within a minute.
    fn is_second(&self, who: (&str, Option<IpAddr>, Option<&str>), now: Timestamp) -> bool {
        const LOW: u64 = 0xffff_ffff;
        let hash = self.hashing.hash_one(who);
        let index = usize::try_from(hash & LOW).unwrap_or_default() % PLACES;
        let Some(place) = self.places.get(index) else { return false };
        let seconds = now.seconds.cast_unsigned() & LOW;
        let former = place.swap((hash & !LOW) | seconds, Ordering::Relaxed);
        former & !LOW == hash & !LOW && seconds.wrapping_sub(former & LOW) & LOW <= ROUND_TRIP.as_secs()
    }
}

/// What the cookie says: how many logins, since when. `<count>.<seconds since 1970>`; only its own browser gains by
/// changing it.
fn counted(gate: &Gate, arrival: &Arrival) -> Option<(u32, Timestamp)> {
    let cookies = RequestCookies::new(arrival.headers());
    let name = format!("{}_loop", gate.sessions.csrf.rules().name());
    let text = std::str::from_utf8(cookies.all(&name).next()?).ok()?.to_owned();
    let (count, first) = text.split_once('.')?;
    let (count, first) = (count.parse().ok()?, Timestamp::from_seconds(first.parse().ok()?));
    (first <= arrival.now && arrival.now <= first.saturating_add(ROUND_TRIP)).then_some((count, first))
}

fn cookie(gate: &Gate, value: &str, seconds: u64) -> Option<HeaderValue> {
    let name = gate.sessions.csrf.rules().name();
    let line = format!("{name}_loop={value}; Path=/; Max-Age={seconds}; HttpOnly; SameSite=Lax");
    HeaderValue::try_from(line).ok()
}

/// Counts a login of this user that ended well; the cookie to send, if any.
pub(crate) fn count(gate: &Gate, arrival: &Arrival, user: &str) -> Option<HeaderValue> {
    let who = (user, arrival.facts.client.known(), arrival.user_agent());
    let is_second = gate.sessions.rounds.is_second(who, arrival.now);
    let (count, first) = match counted(gate, arrival) {
        Some(counted) => counted,
        None if is_second => (1, arrival.now),
        None => return None,
    };
    cookie(gate, &format!("{}.{}", count.saturating_add(1), first.seconds), ROUND_TRIP.as_secs())
}

/// Forgets the count: somebody signs out, or was told.
pub(crate) fn forget(gate: &Gate, arrival: &Arrival) -> Option<HeaderValue> {
    counted(gate, arrival)?;
    cookie(gate, "", 0)
}

/// Forgets the count once a new session comes back and lets somebody in: only then a cookie is looked for.
pub(crate) fn settled(gate: &Gate, arrival: &Arrival, mut decided: Decided) -> Decided {
    if let Decision::Permitted { visitor, .. } = &decided.decision
        && let Some(created_at) = visitor.session().and_then(|session| session.created_at)
        && arrival.now <= created_at.saturating_add(ROUND_TRIP)
    {
        decided.set_cookies.extend(forget(gate, arrival));
    }
    decided
}

/// How many logins the browser has finished, if it may not begin another.
pub(crate) fn too_many(gate: &Gate, arrival: &Arrival) -> Option<u32> {
    counted(gate, arrival).map(|(count, _)| count).filter(|count| *count >= TOO_MANY)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_second_login_of_the_same_within_a_minute_is_noticed() {
        let rounds = Rounds::default();
        let jane = ("jane", Some(IpAddr::from([192, 0, 2, 1])), Some("Firefox"));
        let at = |seconds| Timestamp::from_seconds(seconds);
        assert!(!rounds.is_second(jane, at(1_800_000_000)));
        assert!(!rounds.is_second(("jane", jane.1, None), at(1_800_000_000)));
        assert!(rounds.is_second(jane, at(1_800_000_060)));
        assert!(!rounds.is_second(jane, at(1_800_000_121)));
        assert!(!rounds.is_second(jane, at(1_800_000_120)), "clocks that go back are no login");
    }
}
