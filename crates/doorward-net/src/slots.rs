//! How many connections may be open at once: fewer than the process has file descriptors for, so that what is open
//! can be served to its end.

use std::{
    io::{self, IoSlice},
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    sync::{OwnedSemaphorePermit, Semaphore},
};

/// However few descriptors there are.
const FEWEST: usize = 8;

/// The places for open connections. Clones share them.
#[derive(Clone, Debug)]
pub struct Slots {
    free: Arc<Semaphore>,
    total: usize,
}

/// One place; free again when dropped.
#[derive(Debug)]
pub struct Slot {
    _permit: OwnedSemaphorePermit,
}

impl Slots {
    /// At most `total` connections.
    pub fn new(total: usize) -> Self {
        let total = total.clamp(1, Semaphore::MAX_PERMITS);
        Self { free: Arc::new(Semaphore::new(total)), total }
    }

    /// As many as the process has file descriptors for. The soft limit, which exists for programs that cannot handle
    /// high numbers (`select`), is raised to the hard one before (getrlimit(2), `RLIMIT_NOFILE`).
    pub fn of_process() -> Self {
        Self::new(connections_within(raise_descriptor_limit()))
    }

    pub const fn total(&self) -> usize {
        self.total
    }

    /// A place, if there is a free one.
    pub fn try_take(&self) -> Option<Slot> {
        Arc::clone(&self.free).try_acquire_owned().ok().map(|permit| Slot { _permit: permit })
    }

    /// Waits for a place.
    pub async fn take(&self) -> Slot {
        match Arc::clone(&self.free).acquire_owned().await {
            Ok(permit) => Slot { _permit: permit },
            // Only a closed semaphore refuses, and nobody closes this one.
            Err(_closed) => std::future::pending().await,
        }
    }
}

/// Raises the soft limit of open files as far as it goes; gives what then holds, `None` for no limit.
fn raise_descriptor_limit() -> Option<u64> {
    let found = getrlimit(Resource::Nofile);
    if found.current == found.maximum {
        return found.current;
    }
    match setrlimit(Resource::Nofile, Rlimit { current: found.maximum, maximum: found.maximum }) {
        Ok(()) => found.maximum,
        Err(error) => {
            tracing::debug!(%error, "The limit of open files was not raised");
            found.current
        }
    }
}

/// A fifth of the descriptors is for everything else, and every connection may need another one to an application.
fn connections_within(descriptors: Option<u64>) -> usize {
    let descriptors = descriptors.map_or(usize::MAX, |limit| usize::try_from(limit).unwrap_or(usize::MAX));
    (descriptors / 5 * 2).max(FEWEST)
}

/// A stream that holds its slot for as long as it lives, also when it becomes a tunnel.
#[derive(Debug)]
pub struct Held<S> {
    stream: S,
    _slot: Slot,
}

impl<S> Held<S> {
    pub const fn new(stream: S, slot: Slot) -> Self {
        Self { stream, _slot: slot }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Held<S> {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_read(cx, buffer)
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Held<S> {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.get_mut().stream).poll_write(cx, bytes)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.get_mut().stream).poll_write_vectored(cx, slices)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn connections_leave_descriptors_for_applications_and_everything_else() {
        for (descriptors, connections) in
            [(Some(1024), 408), (Some(10), FEWEST), (Some(0), FEWEST), (Some(1_048_576), 419_430)]
        {
            assert_eq!(connections_within(descriptors), connections, "{descriptors:?}");
        }
        assert!(Slots::new(connections_within(None)).total() >= 1_000_000);
    }

    #[tokio::test]
    async fn a_slot_is_free_again_when_its_stream_goes() {
        let slots = Slots::new(2);
        let (near, _far) = tokio::io::duplex(1);
        let held = Held::new(near, slots.take().await);
        let second = slots.try_take();
        assert!(second.is_some() && slots.try_take().is_none());
        drop(held);
        assert!(slots.try_take().is_some());
    }
}
