//! Open `WebSocket`s, and the end of those whose session or credential is over.
//!
//! Whoever lets a request through that may become a `WebSocket` asks [`Tunnels::watch`] for a tether and gives it on with
//! the request (`doorward_upstream::Forwarding`). The connection ends at once when [`Tunnels::end`] is called for its
//! key: at a sign-out, or whatever else ends a session in this process. For everything else, as what other instances do,
//! a check that came with it is asked every [`RECHECK`]. A check that cannot be answered ends nothing.

mod session;

pub(crate) use self::session::tether as tether_of_session;

use std::{
    collections::HashMap,
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use doorward_session::SessionKey;
pub use doorward_upstream::{Close, Tether};
use doorward_upstream::{Hold, tether};

/// How often it is asked whether a connection may go on. With the time for the answer, and for the frame under way, a
/// connection ends less than five seconds after its session.
pub const RECHECK: Duration = Duration::from_secs(2);

/// What ends together.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum TunnelKey {
    Session(SessionKey),
    /// The public name of a token, never the token.
    Token(Arc<str>),
}

/// Whether a connection may go on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Check {
    Good,
    /// Nobody can tell right now. It goes on, and is asked about again.
    Unknown,
    Over(Close),
}

/// The open connections of this process. It goes on when the configuration changes.
#[derive(Default)]
pub struct Tunnels {
    open: Mutex<Open>,
}

#[derive(Default)]
struct Open {
    next: u64,
    by_number: HashMap<u64, Tunnel>,
    by_key: HashMap<TunnelKey, Vec<u64>>,
}

struct Tunnel {
    hold: Arc<Hold>,
    key: Option<TunnelKey>,
}

impl Tunnels {
    /// Watches a connection that is about to be opened. It ends with `key`, if there is one, or when `check` says so.
    /// A task asks, on the current runtime, until the connection is gone or turns out to be none.
    pub fn watch<C, F>(self: &Arc<Self>, key: Option<TunnelKey>, mut check: C) -> Tether
    where
        C: FnMut() -> F + Send + 'static,
        F: Future<Output = Check> + Send,
    {
        let (hold, line) = tether();
        let hold = Arc::new(hold);
        let number = self.open().add(Arc::clone(&hold), key);
        let tunnels = Arc::clone(self);
        tokio::spawn(async move {
            let asked = async {
                loop {
                    tokio::time::sleep(RECHECK).await;
                    if let Check::Over(close) = check().await {
                        hold.end(close);
                        return;
                    }
                }
            };
            tokio::select! {
                () = hold.released() => {}
                () = asked => {}
            }
            tunnels.open().remove(number);
        });
        line
    }

    /// Ends the connections with this key.
    pub fn end(&self, key: &TunnelKey, close: Close) {
        for hold in self.open().of(key) {
            hold.end(close);
        }
    }

    /// What had the one key has the other from now on.
    pub fn rename(&self, before: &TunnelKey, after: &TunnelKey) {
        if before != after {
            self.open().rename(before, after);
        }
    }

    fn open(&self) -> MutexGuard<'_, Open> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Open {
    fn add(&mut self, hold: Arc<Hold>, key: Option<TunnelKey>) -> u64 {
        let number = self.next;
        self.next = number.wrapping_add(1);
        if let Some(key) = &key {
            self.by_key.entry(key.clone()).or_default().push(number);
        }
        self.by_number.insert(number, Tunnel { hold, key });
        number
    }

    fn remove(&mut self, number: u64) {
        let Some(Tunnel { key: Some(key), .. }) = self.by_number.remove(&number) else { return };
        let Some(numbers) = self.by_key.get_mut(&key) else { return };
        numbers.retain(|other| *other != number);
        if numbers.is_empty() {
            self.by_key.remove(&key);
        }
    }

    fn of(&self, key: &TunnelKey) -> Vec<Arc<Hold>> {
        let numbers = self.by_key.get(key).map(Vec::as_slice).unwrap_or_default();
        let tunnels = numbers.iter().filter_map(|number| self.by_number.get(number));
        tunnels.map(|tunnel| Arc::clone(&tunnel.hold)).collect()
    }

    fn rename(&mut self, before: &TunnelKey, after: &TunnelKey) {
        let Some(numbers) = self.by_key.remove(before) else { return };
        for number in &numbers {
            if let Some(tunnel) = self.by_number.get_mut(number) {
                tunnel.key = Some(after.clone());
            }
        }
        self.by_key.entry(after.clone()).or_default().extend(numbers);
    }
}

impl fmt::Debug for Tunnels {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tunnels").field("open", &self.open().by_number.len()).finish()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    fn key(name: &str) -> TunnelKey {
        TunnelKey::Token(name.into())
    }

    /// A tunnel that nobody but its key ends, and which has a close order or not.
    fn watched(tunnels: &Arc<Tunnels>, name: &str) -> Tether {
        tunnels.watch(Some(key(name)), || async { Check::Good })
    }

    #[tokio::test]
    async fn what_has_the_key_ends_and_nothing_else() {
        let tunnels = Arc::new(Tunnels::default());
        let (one, two, other) = (watched(&tunnels, "a"), watched(&tunnels, "a"), watched(&tunnels, "b"));
        tunnels.end(&key("a"), Close::UNAUTHENTICATED);
        tunnels.end(&key("c"), Close::UNAUTHENTICATED);
        assert_eq!(
            [one.order(), two.order(), other.order()],
            [Some(Close::UNAUTHENTICATED), Some(Close::UNAUTHENTICATED), None]
        );
    }

    #[tokio::test]
    async fn a_session_that_was_renamed_takes_its_connections_along() {
        let tunnels = Arc::new(Tunnels::default());
        let (one, two) = (watched(&tunnels, "a"), watched(&tunnels, "b"));
        tunnels.rename(&key("a"), &key("b"));
        tunnels.end(&key("a"), Close::FORBIDDEN);
        assert_eq!(one.order(), None);
        tunnels.end(&key("b"), Close::UNAUTHENTICATED);
        assert_eq!((one.order(), two.order()), (Some(Close::UNAUTHENTICATED), Some(Close::UNAUTHENTICATED)));
    }

    #[tokio::test(start_paused = true)]
    async fn b39_a_check_that_says_no_ends_the_connection_and_one_that_cannot_tell_does_not() {
        let tunnels = Arc::new(Tunnels::default());
        let asked = Arc::new(AtomicUsize::new(0));
        let count = Arc::clone(&asked);
        let held = tunnels.watch(None, move || {
            let answer = match count.fetch_add(1, Ordering::SeqCst) {
                0 => Check::Good,
                1 => Check::Unknown,
                _ => Check::Over(Close::FORBIDDEN),
            };
            async move { answer }
        });
        tokio::time::sleep(RECHECK * 2 + RECHECK / 2).await;
        assert_eq!((held.order(), asked.load(Ordering::SeqCst)), (None, 2));
        tokio::time::sleep(RECHECK).await;
        assert_eq!(held.order(), Some(Close::FORBIDDEN));
    }

    #[tokio::test(start_paused = true)]
    async fn nothing_is_kept_of_connections_that_are_gone() {
        let tunnels = Arc::new(Tunnels::default());
        let (gone, stays) = (watched(&tunnels, "a"), watched(&tunnels, "b"));
        tunnels.rename(&key("a"), &key("c"));
        drop(gone);
        tokio::time::sleep(RECHECK).await;
        let open = tunnels.open();
        assert_eq!((open.by_number.len(), open.by_key.len()), (1, 1));
        drop(stays);
    }
}
