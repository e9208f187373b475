//! Follows small files that change while the program runs.
//!
//! By polling, as this alone works everywhere: it sees files written in place, files moved into place, Kubernetes'
//! swapped symbolic links and network mounts. A change counts once the same content was seen twice, so a file that is
//! just being written is left alone. A file that goes away or does not parse changes nothing; what was loaded stays.

use std::{fs, io, os::unix::fs::MetadataExt as _, path::PathBuf, time::Duration};

use aws_lc_rs::digest;
use tokio::{
    task::{JoinHandle, spawn_blocking},
    time::{MissedTickBehavior, interval},
};

/// How often the file is looked at. A change is noticed within twice this time.
const PERIOD: Duration = Duration::from_millis(250);
/// How many further times a file is read although it looks the same: clocks of file systems are coarse.
const FURTHER_READS: u8 = 8;
const LARGEST_FILE_BYTES: u64 = 64 * 1024 * 1024;

/// Calls `on_change` with the whole text of a file: once at the beginning, so that no change is missed between reading
/// and watching, and after every change. If `on_change` fails, the error is logged and the next change is waited for.
/// Must be called within a tokio runtime.
pub fn spawn_watch(
    path: impl Into<PathBuf>,
    on_change: impl Fn(String) -> Result<(), String> + Send + 'static,
) -> WatchHandle {
    WatchHandle(tokio::spawn(follow(Watched::new(path.into()), on_change)))
}

/// Ends the watch when it is dropped.
#[derive(Debug)]
#[must_use = "dropping the handle ends the watch"]
pub struct WatchHandle(JoinHandle<()>);

impl Drop for WatchHandle {
    fn drop(&mut self) {
        self.0.abort();
    }
}

async fn follow(mut watched: Watched, on_change: impl Fn(String) -> Result<(), String> + Send) {
    let mut ticks = interval(PERIOD);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        // A file system may block for long.
        let look = move || {
            let sight = watched.look();
            (watched, sight)
        };
        let Ok((back, sight)) = spawn_blocking(look).await else {
            tracing::error!("a file is no longer watched, because looking at it failed badly");
            return;
        };
        watched = back;
        let path = watched.path.display();
        match sight {
            Sight::Nothing => (),
            Sight::Unreadable(why) => {
                tracing::warn!(%path, %why, "a watched file could not be read; what was loaded stays");
            }
            Sight::Changed(text) => match on_change(text) {
                Ok(()) => tracing::info!(%path, "a watched file was loaded"),
                Err(why) => tracing::warn!(%path, %why, "a watched file is not valid; what was loaded stays"),
            },
        }
    }
}

/// What one look at the file showed.
#[derive(Debug, PartialEq, Eq)]
enum Sight {
    /// Nothing new.
    Nothing,
    Changed(String),
    /// Reported once, until the file can be read again or fails in another way.
    Unreadable(String),
}

#[derive(Debug)]
struct Watched {
    path: PathBuf,
    stamp: Option<Stamp>,
    further_reads: u8,
    /// The content that was seen last, but not yet twice.
    candidate: Option<Sum>,
    reported: Option<Sum>,
    trouble: Option<String>,
}

type Sum = [u8; digest::SHA256_OUTPUT_LEN];

/// What a changed file usually has different.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Stamp {
    device: u64,
    inode: u64,
    size: u64,
    modified: (i64, i64),
    changed: (i64, i64),
}

impl Watched {
    const fn new(path: PathBuf) -> Self {
        Self { path, stamp: None, further_reads: 0, candidate: None, reported: None, trouble: None }
    }

    fn look(&mut self) -> Sight {
        match self.read_if_needed() {
            Ok(sight) => {
                self.trouble = None;
                sight
            }
            Err(why) => {
                self.stamp = None;
                self.candidate = None;
                let why = why.to_string();
                if self.trouble.as_ref() == Some(&why) {
                    return Sight::Nothing;
                }
                self.trouble = Some(why.clone());
                Sight::Unreadable(why)
            }
        }
    }

    fn read_if_needed(&mut self) -> io::Result<Sight> {
        let metadata = fs::metadata(&self.path)?;
        if !metadata.is_file() {
            return Err(io::Error::other("it is not a file"));
        }
        if LARGEST_FILE_BYTES < metadata.len() {
            return Err(io::Error::other("it is too large"));
        }
        let stamp = Some(Stamp {
            device: metadata.dev(),
            inode: metadata.ino(),
            size: metadata.size(),
            modified: (metadata.mtime(), metadata.mtime_nsec()),
            changed: (metadata.ctime(), metadata.ctime_nsec()),
        });
        if self.stamp != stamp {
            self.stamp = stamp;
            self.further_reads = FURTHER_READS;
        } else if self.further_reads == 0 {
            return Ok(Sight::Nothing);
        } else {
            self.further_reads -= 1;
        }
        Ok(self.compare(&fs::read(&self.path)?))
    }

    fn compare(&mut self, content: &[u8]) -> Sight {
        let mut sum = Sum::default();
        sum.copy_from_slice(digest::digest(&digest::SHA256, content).as_ref());
        if self.reported == Some(sum) {
            self.candidate = None;
            return Sight::Nothing;
        }
        if self.candidate != Some(sum) {
            self.candidate = Some(sum);
            self.further_reads = FURTHER_READS;
            return Sight::Nothing;
        }
        self.candidate = None;
        self.reported = Some(sum);
        match str::from_utf8(content) {
            Ok(text) => Sight::Changed(text.to_owned()),
            Err(_) => Sight::Unreadable("it is not UTF-8 text".to_owned()),
        }
    }
}

#[cfg(test)]
pub(crate) mod tests;
