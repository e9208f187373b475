//! Points in time. Nothing here reads a clock: callers pass `now`.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// Seconds and nanoseconds since the Unix epoch, as precise as the session formats store them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timestamp {
    pub seconds: i64,
    /// Always below 1,000,000,000.
    pub nanos: u32,
}

impl Timestamp {
    pub const fn from_seconds(seconds: i64) -> Self {
        Self { seconds, nanos: 0 }
    }

    /// The same instant without the fraction of its second.
    #[must_use]
    pub const fn truncated(self) -> Self {
        Self { seconds: self.seconds, nanos: 0 }
    }

    /// This instant moved into the future; it stops at the end of representable time.
    #[must_use]
    pub fn saturating_add(self, by: Duration) -> Self {
        let nanos = self.nanos + by.subsec_nanos();
        let carry = i64::from(nanos >= 1_000_000_000);
        let whole = i64::try_from(by.as_secs()).unwrap_or(i64::MAX);
        Self {
            seconds: self.seconds.saturating_add(whole).saturating_add(carry),
            nanos: if carry == 1 { nanos - 1_000_000_000 } else { nanos },
        }
    }

    /// How long after `earlier` this instant is; zero if it is not after.
    pub fn since(self, earlier: Self) -> Duration {
        if self <= earlier {
            return Duration::ZERO;
        }
        let mut seconds = self.seconds.saturating_sub(earlier.seconds);
        let mut nanos = i64::from(self.nanos) - i64::from(earlier.nanos);
        if nanos < 0 {
            seconds -= 1;
            nanos += 1_000_000_000;
        }
        Duration::new(u64::try_from(seconds).unwrap_or(0), u32::try_from(nanos).unwrap_or(0))
    }
}

impl From<SystemTime> for Timestamp {
    fn from(time: SystemTime) -> Self {
        match time.duration_since(UNIX_EPOCH) {
            Ok(after) => Self {
                seconds: i64::try_from(after.as_secs()).unwrap_or(i64::MAX),
                nanos: after.subsec_nanos(),
            },
            Err(before) => {
                Self::from_seconds(-i64::try_from(before.duration().as_secs()).unwrap_or(i64::MAX) - 1)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_between_timestamps_borrow_from_the_second() {
        let early = Timestamp { seconds: 10, nanos: 900_000_000 };
        let late = Timestamp { seconds: 12, nanos: 100_000_000 };
        assert_eq!(late.since(early), Duration::from_millis(1200));
        assert_eq!(early.since(late), Duration::ZERO);
        assert_eq!(early.saturating_add(Duration::from_millis(1200)), late);
    }
}
