//! Ending a `WebSocket` from outside. Whoever opens one for somebody keeps the [`Hold`]; the tunnel has the [`Tether`]
//! and ends as soon as it is told to: nothing more goes to the application, the client gets a close frame (RFC 6455
//! section 5.5.1) between two frames of the application, and then the connection ends.

use tokio::sync::watch;

/// Ends a tunnel. Dropping it ends nothing.
#[derive(Debug)]
pub struct Hold {
    order: watch::Sender<Option<Close>>,
}

/// What a tunnel listens to.
#[derive(Clone, Debug)]
pub struct Tether {
    order: watch::Receiver<Option<Close>>,
}

/// What the client of a `WebSocket` is told when it ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Close {
    /// The status code (RFC 6455 section 7.4). Those from 4000 on are for applications.
    pub code: u16,
    /// For people who debug; at most 123 bytes of it are sent.
    pub reason: &'static str,
}

impl Close {
    /// The session or token that the connection was opened with is good no more.
    pub const UNAUTHENTICATED: Self = Self { code: 4401, reason: "signed out" };
    /// It is good, but its owner may not come in any more.
    pub const FORBIDDEN: Self = Self { code: 4403, reason: "not allowed any more" };
}

/// A pair for one tunnel.
pub fn tether() -> (Hold, Tether) {
    let (sender, receiver) = watch::channel(None);
    (Hold { order: sender }, Tether { order: receiver })
}

impl Hold {
    /// Ends the tunnel, now or as soon as it begins. Only the first order counts.
    pub fn end(&self, close: Close) {
        self.order.send_if_modified(|order| {
            let is_first = order.is_none();
            order.get_or_insert(close);
            is_first
        });
    }

    /// Ready when the tunnel is gone, or never came to be.
    pub async fn released(&self) {
        self.order.closed().await;
    }
}

impl Tether {
    /// Whether the tunnel is to end, and what its client will be told.
    pub fn order(&self) -> Option<Close> {
        *self.order.borrow()
    }

    /// Ready when the tunnel is to end; never, if its hold was dropped.
    pub async fn ended(&mut self) -> Close {
        match self.order.wait_for(Option::is_some).await.map(|order| *order) {
            Ok(Some(close)) => close,
            Ok(None) | Err(_) => std::future::pending().await,
        }
    }
}

/// A close frame of a server, which masks nothing (RFC 6455 section 5.1).
pub(crate) fn close_frame(close: Close) -> Vec<u8> {
    const LONGEST_REASON: usize = 123;
    let reason = close.reason.bytes().take(LONGEST_REASON);
    let mut frame = vec![0x88, 0];
    frame.extend(close.code.to_be_bytes());
    frame.extend(reason);
    let length = u8::try_from(frame.len().saturating_sub(2)).unwrap_or(0);
    if let Some(place) = frame.get_mut(1) {
        *place = length;
    }
    frame
}

/// Knows at which byte of what an application sends one frame ends and the next begins (RFC 6455 section 5.2). Reads
/// headers only, and judges nothing: a stream that is no `WebSocket` is merely never at an end that means anything.
#[derive(Debug, Default)]
pub(crate) struct FrameTracker {
    header: Vec<u8>,
    payload: u64,
}

impl FrameTracker {
    /// Whether all bytes so far made whole frames.
    pub(crate) const fn is_between_frames(&self) -> bool {
        self.header.is_empty() && self.payload == 0
    }

    /// How many of these bytes belong to the frame under way, so that what comes after them may wait.
    pub(crate) fn rest_of_frame(&self, bytes: &[u8]) -> usize {
        let mut ahead = Self { header: self.header.clone(), payload: self.payload };
        let mut taken = 0;
        while !ahead.is_between_frames() && taken < bytes.len() {
            taken += ahead.step(bytes.get(taken..).unwrap_or_default());
        }
        taken
    }

    /// Notes that these bytes were sent.
    pub(crate) fn advance(&mut self, mut bytes: &[u8]) {
        while !bytes.is_empty() {
            let taken = self.step(bytes);
            bytes = bytes.get(taken..).unwrap_or_default();
        }
    }

    /// Takes one byte of a header, or as much of a payload as is there; returns how much.
    fn step(&mut self, bytes: &[u8]) -> usize {
        if self.payload > 0 {
            let taken = usize::try_from(self.payload).unwrap_or(usize::MAX).min(bytes.len());
            self.payload = self.payload.saturating_sub(taken as u64);
            return taken;
        }
        self.header.extend(bytes.first());
        if let Some(payload) = payload_length(&self.header) {
            self.payload = payload;
            self.header.clear();
        }
        1
    }
}

/// The length of the payload, once the header is whole.
fn payload_length(header: &[u8]) -> Option<u64> {
    let second = *header.get(1)?;
    let wide = match second & 0x7f {
        126 => 2,
        127 => 8,
        _ => 0,
    };
    let mask = if second & 0x80 == 0 { 0 } else { 4 };
    if header.len() < 2 + wide + mask {
        return None;
    }
    let length = header.get(2..2 + wide)?.iter().fold(0, |length, byte| (length << 8) | u64::from(*byte));
    Some(if wide == 0 { u64::from(second & 0x7f) } else { length })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frames() -> Vec<Vec<u8>> {
        let with = |header: &[u8], payload: usize| [header, &vec![7; payload]].concat();
        vec![
            with(&[0x81, 0], 0),
            with(&[0x81, 5], 5),
            with(&[0x82, 126, 1, 0], 256),
            with(&[0x82, 127, 0, 0, 0, 0, 0, 1, 0, 0], 65536),
            with(&[0x81, 0x83, 1, 2, 3, 4], 3),
            with(&[0x89, 0x80, 1, 2, 3, 4], 0),
        ]
    }

    #[test]
    fn the_ends_of_frames_are_found_however_the_bytes_come() {
        let stream = frames().concat();
        let mut ends: Vec<usize> = Vec::new();
        for frame in frames() {
            ends.push(ends.last().copied().unwrap_or(0) + frame.len());
        }
        let mut tracker = FrameTracker::default();
        for (at, byte) in stream.iter().enumerate() {
            tracker.advance(&[*byte]);
            assert_eq!(tracker.is_between_frames(), ends.contains(&(at + 1)), "{at}");
        }
        for cut in [1, 2, 3, 6, 9, 100, 264, 300, 60_000] {
            let mut tracker = FrameTracker::default();
            let (before, after) = stream.split_at(cut);
            tracker.advance(before);
            let next = ends.iter().copied().find(|end| *end >= cut).unwrap();
            assert_eq!(tracker.rest_of_frame(after), next - cut, "{cut}");
        }
    }

    #[test]
    fn what_is_no_websocket_is_borne() {
        let mut tracker = FrameTracker::default();
        for length in 0..300 {
            tracker.advance(&vec![0xff; length]);
        }
        assert!(!tracker.is_between_frames());
    }

    #[tokio::test]
    async fn the_first_order_counts_and_a_dropped_hold_orders_nothing() {
        let (hold, mut line) = tether();
        let mut copy = line.clone();
        hold.end(Close::UNAUTHENTICATED);
        hold.end(Close::FORBIDDEN);
        drop(hold);
        assert_eq!((line.ended().await, copy.ended().await.code), (Close::UNAUTHENTICATED, 4401));
        let (hold, mut line) = tether();
        drop(hold);
        tokio::select! {
            biased;
            close = line.ended() => panic!("{close:?}"),
            () = tokio::task::yield_now() => {}
        }
        let (hold, line) = tether();
        drop(line);
        hold.released().await;
    }

    #[test]
    fn a_close_frame_holds_code_and_reason() {
        let frame = close_frame(Close::UNAUTHENTICATED);
        assert_eq!(frame, [&[0x88, 12, 0x11, 0x31][..], b"signed out"].concat());
    }
}
