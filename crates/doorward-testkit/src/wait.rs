//! Waiting for a condition instead of for a time.

use std::{
    thread,
    time::{Duration, Instant},
};

/// Generous, because a loaded machine may be slow; it only passes in full when a test fails.
const LIMIT: Duration = Duration::from_secs(20);
const PAUSE: Duration = Duration::from_millis(15);

/// Asks again and again until there is a value. Fails the test, naming `what`, when there is none in 20 s.
#[track_caller]
pub fn until<T>(what: &str, mut ask: impl FnMut() -> Option<T>) -> T {
    let end = Instant::now() + LIMIT;
    loop {
        if let Some(value) = ask() {
            return value;
        }
        assert!(Instant::now() < end, "waited in vain: {what}");
        thread::sleep(PAUSE);
    }
}

/// Waits until something is true.
#[track_caller]
pub fn eventually(what: &str, mut ask: impl FnMut() -> bool) {
    until(what, || ask().then_some(()));
}
