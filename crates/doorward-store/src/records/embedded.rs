//! Records in one file on this machine, over redb: whatever was answered is on the disk.
//!
//! Who asks reads a snapshot himself and waits for nobody. Changes go to one thread, which makes all that have come
//! meanwhile in one transaction of the file: many commits wait for the disk once. Whatever the disk refuses is an
//! error for all of them, and the file is opened anew as after a crash.

mod file;
mod writer;

use std::path::PathBuf;
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::sync::{Arc, PoisonError, RwLock, TryLockError};
use std::thread::JoinHandle;
use std::time::Duration;

use doorward_core::Timestamp;
use redb::{Database, ReadOnlyTable, ReadableDatabase as _, TableDefinition};
use tokio::sync::oneshot;

use self::file::Presence;
use self::writer::Writer;
use super::{Committed, Transaction};
use crate::StoreError;

/// Records in a file.
#[derive(Debug)]
pub struct EmbeddedRecords {
    file: Arc<File>,
    /// None only while this is dropped.
    jobs: Option<SyncSender<Job>>,
    writer: Option<JoinHandle<()>>,
}

/// The file, shared by readers and the writer.
#[derive(Debug)]
struct File {
    path: PathBuf,
    /// Or why there is none at the moment. Only the writer takes this for itself, to open the file anew.
    database: RwLock<Result<Database, StoreError>>,
}

/// What the writer is asked for.
enum Job {
    Commit(Commit),
    /// Reading failed: the file has to be opened anew.
    Mend,
}

struct Commit {
    transaction: Transaction,
    now: Timestamp,
    answer: oneshot::Sender<Result<Committed, StoreError>>,
}

/// Seconds and nanoseconds after which a record is not there any more; none: never.
type Expiry = Option<(i64, u32)>;

/// A name changes with what is in the table, so that another version does not misread it.
const RECORDS: TableDefinition<&str, (Expiry, &[u8])> = TableDefinition::new("doorward records 1");
/// What expires, by the second.
const EXPIRIES: TableDefinition<(i64, &str), ()> = TableDefinition::new("doorward expiries 1");

impl EmbeddedRecords {
    pub(super) async fn open(path: PathBuf) -> Result<Self, StoreError> {
        let name = path.display().to_string();
        let opening = tokio::task::spawn_blocking(move || Self::open_now(path)).await;
        // What it reads may be anything; so it may also panic.
        opening.unwrap_or_else(|_| Err(file::damaged(&name)))
    }

    fn open_now(path: PathBuf) -> Result<Self, StoreError> {
        let database = file::open(&path, Presence::MayBeNew)?;
        let file = Arc::new(File { path, database: RwLock::new(Ok(database)) });
        let (jobs, queue) = sync_channel(QUEUE);
        let writer = Self::start(Writer::new(Arc::clone(&file)), queue)?;
        Ok(Self { file, jobs: Some(jobs), writer: Some(writer) })
    }

    fn start(writer: Writer, queue: Receiver<Job>) -> Result<JoinHandle<()>, StoreError> {
        let thread = std::thread::Builder::new().name("records".to_owned());
        thread.spawn(move || writer.run(&queue)).map_err(|error| unavailable(&error))
    }

    pub(super) fn get_many(&self, keys: &[&str], now: Timestamp) -> Result<Vec<Option<Vec<u8>>>, StoreError> {
        let read = self.file.read(|table| {
            let value = |key: &&str| Ok(table.get(*key)?.and_then(|kept| alive(kept.value(), now)));
            keys.iter().map(value).collect()
        });
        self.mend_after(read)
    }

    pub(super) async fn list(
        &self,
        prefix: &str,
        now: Timestamp,
    ) -> Result<Vec<(String, Vec<u8>)>, StoreError> {
        let (file, prefix) = (Arc::clone(&self.file), prefix.to_owned());
        // There may be many.
        let listing = tokio::task::spawn_blocking(move || file.list(&prefix, now)).await;
        self.mend_after(listing.unwrap_or_else(|_| Err(unavailable(&"reading failed"))))
    }

    pub(super) async fn commit(
        &self,
        transaction: Transaction,
        now: Timestamp,
    ) -> Result<Committed, StoreError> {
        let (answer, answered) = oneshot::channel();
        self.ask_writer(Job::Commit(Commit { transaction, now, answer }))?;
        match tokio::time::timeout(PATIENCE, answered).await {
            Ok(Ok(committed)) => committed,
            Ok(Err(_)) => Err(writer_ended()),
            Err(_) => Err(unavailable(&"the disk takes too long")),
        }
    }

    pub(super) fn ping(&self) -> Result<(), StoreError> {
        if self.writer.as_ref().is_none_or(JoinHandle::is_finished) {
            return Err(writer_ended());
        }
        self.get_many(&[""], Timestamp::default()).map(|_| ())
    }

    /// Does what a failed write leads to.
    #[cfg(test)]
    pub(super) fn fail(&self) {
        self.file.open_anew();
    }

    fn ask_writer(&self, job: Job) -> Result<(), StoreError> {
        let sent = self.jobs.as_ref().map(|jobs| jobs.try_send(job));
        match sent {
            Some(Ok(())) => Ok(()),
            Some(Err(TrySendError::Full(_))) => {
                Err(unavailable(&"too many changes are waiting for the disk"))
            }
            Some(Err(TrySendError::Disconnected(_))) | None => Err(writer_ended()),
        }
    }

    /// After a failure nothing can be read until the file has been opened anew.
    fn mend_after<T>(&self, read: Result<T, StoreError>) -> Result<T, StoreError> {
        if read.is_err() {
            // If there is no place in the queue the next one asks for it.
            let _ = self.ask_writer(Job::Mend);
        }
        read
    }
}

impl Drop for EmbeddedRecords {
    /// Waits for what was begun, so that the file is free when this is gone.
    fn drop(&mut self) {
        self.jobs = None;
        if let Some(writer) = self.writer.take() {
            let _ = writer.join();
        }
    }
}

impl File {
    fn read<T>(
        &self,
        ask: impl FnOnce(&ReadOnlyTable<&'static str, (Expiry, &'static [u8])>) -> Result<T, redb::Error>,
    ) -> Result<T, StoreError> {
        let database = match self.database.try_read() {
            Ok(database) => database,
            Err(TryLockError::Poisoned(poisoned)) => poisoned.into_inner(),
            Err(TryLockError::WouldBlock) => return Err(being_opened()),
        };
        let database = database.as_ref().map_err(Clone::clone)?;
        let answer = || ask(&database.begin_read()?.open_table(RECORDS)?);
        answer().map_err(|error: redb::Error| unavailable(&error))
    }

    fn list(&self, prefix: &str, now: Timestamp) -> Result<Vec<(String, Vec<u8>)>, StoreError> {
        self.read(|table| {
            let mut found = Vec::new();
            for entry in table.range(prefix..)? {
                let (key, kept) = entry?;
                if !key.value().starts_with(prefix) {
                    break;
                }
                found.extend(alive(kept.value(), now).map(|value| (key.value().to_owned(), value)));
            }
            Ok(found)
        })
    }

    /// Closes the file and opens it again, which mends what a failed write has left behind.
    fn open_anew(&self) {
        let mut database = self.database.write().unwrap_or_else(PoisonError::into_inner);
        // This releases the file.
        *database = Err(being_opened());
        *database = file::open(&self.path, Presence::Expected).map_err(|error| unavailable(&error));
    }
}

/// The value, unless it has expired.
fn alive((expiry, value): (Expiry, &[u8]), now: Timestamp) -> Option<Vec<u8>> {
    expiry.is_none_or(|expiry| (now.seconds, now.nanos) < expiry).then(|| value.to_vec())
}

fn unavailable(reason: &impl ToString) -> StoreError {
    StoreError::Unavailable { reason: reason.to_string() }
}

fn being_opened() -> StoreError {
    unavailable(&"its file is being opened anew after a failure")
}

fn writer_ended() -> StoreError {
    unavailable(&"its writer has ended, which is a mistake in doorward: restart it")
}

impl std::fmt::Debug for Job {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Commit(_) => "Commit",
            Self::Mend => "Mend",
        })
    }
}

/// How many changes may wait for the disk.
const QUEUE: usize = 4096;
/// How long somebody waits for the disk.
const PATIENCE: Duration = Duration::from_secs(10);
