//! Who is connected, and who of them does nothing. When all places are taken, those who have been idle for the longest
//! make room: otherwise whoever opens connections and says nothing would keep everybody else out.

use std::{
    sync::{
        Arc, Mutex, OnceLock, PoisonError, Weak,
        atomic::{AtomicU64, AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use tokio::task::AbortHandle;

/// A connection is left alone for so long after it came or was served: its next request may be on its way.
const GRACE: Duration = Duration::from_millis(500);
/// The list is looked through for those who have gone when it has grown to this length, and at each doubling.
const SHORT: usize = 64;

/// All connections that can be closed without harm while nothing is under way on them.
#[derive(Debug)]
pub(crate) struct Roll {
    began: Instant,
    present: Mutex<List>,
}

#[derive(Debug)]
struct List {
    entries: Vec<Weak<Presence>>,
    tidy_at: usize,
}

/// One connection. It leaves the roll when the last clone is dropped.
#[derive(Debug)]
pub(crate) struct Presence {
    began: Instant,
    under_way: AtomicUsize,
    /// In milliseconds since `began`.
    idle_since: AtomicU64,
    task: OnceLock<AbortHandle>,
}

/// A request under way, until it is dropped.
#[derive(Debug)]
pub(crate) struct Busy(Arc<Presence>);

impl Roll {
    pub(crate) fn new(began: Instant) -> Self {
        Self { began, present: Mutex::new(List { entries: Vec::new(), tidy_at: SHORT }) }
    }

    pub(crate) fn enter(&self, now: Instant) -> Arc<Presence> {
        let presence = Arc::new(Presence {
            began: self.began,
            under_way: AtomicUsize::new(0),
            idle_since: AtomicU64::new(0),
            task: OnceLock::new(),
        });
        presence.touch(now);
        let mut list = self.present.lock().unwrap_or_else(PoisonError::into_inner);
        if list.entries.len() >= list.tidy_at {
            list.entries.retain(|entry| entry.strong_count() > 0);
            list.tidy_at = (list.entries.len() * 2).max(SHORT);
        }
        list.entries.push(Arc::downgrade(&presence));
        presence
    }

    /// Ends up to `count` connections, those first that have been idle for the longest.
    pub(crate) fn shed(&self, count: usize, now: Instant) {
        let mut list = self.present.lock().unwrap_or_else(PoisonError::into_inner);
        list.entries.retain(|entry| entry.strong_count() > 0);
        let present = list.entries.iter().filter_map(Weak::upgrade);
        let mut idle: Vec<(Duration, Arc<Presence>)> = present
            .filter_map(|presence| Some((presence.idle_for(now)?, presence)))
            .filter(|(idle_for, _)| *idle_for >= GRACE)
            .collect();
        drop(list);
        idle.sort_unstable_by_key(|(idle_for, _)| std::cmp::Reverse(*idle_for));
        for (_, presence) in idle.into_iter().take(count) {
            if let Some(task) = presence.task.get() {
                task.abort();
            }
        }
    }
}

impl Presence {
    /// Names the task that serves this connection.
    pub(crate) fn served_by(&self, task: AbortHandle) {
        let _ = self.task.set(task);
    }

    /// How long nothing has been under way; `None` if something is.
    pub(crate) fn idle_for(&self, now: Instant) -> Option<Duration> {
        if self.under_way.load(Ordering::Relaxed) > 0 {
            return None;
        }
        let since = Duration::from_millis(self.idle_since.load(Ordering::Relaxed));
        Some(now.saturating_duration_since(self.began).saturating_sub(since))
    }

    pub(crate) fn begin(self: &Arc<Self>) -> Busy {
        self.under_way.fetch_add(1, Ordering::Relaxed);
        Busy(Arc::clone(self))
    }

    fn touch(&self, now: Instant) {
        let passed = now.saturating_duration_since(self.began).as_millis();
        self.idle_since.store(u64::try_from(passed).unwrap_or(u64::MAX), Ordering::Relaxed);
    }
}

impl Drop for Busy {
    fn drop(&mut self) {
        self.0.touch(Instant::now());
        self.0.under_way.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A connection whose task only waits to be ended.
    fn waiting(roll: &Roll, now: Instant) -> (Arc<Presence>, tokio::task::JoinHandle<()>) {
        let presence = roll.enter(now);
        let task = tokio::spawn(std::future::pending());
        presence.served_by(task.abort_handle());
        (presence, task)
    }

    #[tokio::test]
    async fn the_longest_idle_make_room_and_nobody_who_is_served() {
        let began = Instant::now();
        let at = |seconds| began + Duration::from_secs(seconds);
        let roll = Roll::new(began);
        let (first, served) = waiting(&roll, at(0));
        let (_second, oldest) = waiting(&roll, at(1));
        let (_third, younger) = waiting(&roll, at(2));
        let (_fourth, newest) = waiting(&roll, at(10));
        let busy = first.begin();
        roll.shed(1, at(10));
        assert!(oldest.await.unwrap_err().is_cancelled());
        roll.shed(9, at(10));
        assert!(younger.await.unwrap_err().is_cancelled());
        tokio::task::yield_now().await;
        assert!(!served.is_finished() && !newest.is_finished());
        drop(busy);
        roll.shed(9, at(20));
        assert!(served.await.unwrap_err().is_cancelled());
        assert!(newest.await.unwrap_err().is_cancelled());
    }

    #[test]
    fn those_who_have_gone_are_forgotten() {
        let began = Instant::now();
        let roll = Roll::new(began);
        let stayed = roll.enter(began);
        for _ in 0..1000 {
            roll.enter(began);
        }
        assert!(roll.present.lock().unwrap().entries.len() <= SHORT);
        assert_eq!(stayed.idle_for(began + GRACE), Some(GRACE));
    }
}
