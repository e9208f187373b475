//! The thread that writes.

use std::iter;
use std::sync::mpsc::Receiver;
use std::sync::{Arc, PoisonError};
use std::time::{Duration, Instant};

use doorward_core::Timestamp;
use redb::{ReadableTable as _, Table, WriteTransaction};

use super::{Commit, EXPIRIES, Expiry, File, Job, RECORDS, alive, unavailable};
use crate::StoreError;
use crate::records::{Change, Committed, Transaction};

/// Makes the changes that others ask for.
pub(super) struct Writer {
    file: Arc<File>,
    /// When and how the last attempt failed, if it did.
    failure: Option<(Instant, StoreError)>,
}

impl Writer {
    pub(super) const fn new(file: Arc<File>) -> Self {
        Self { file, failure: None }
    }

    /// Works until nobody can ask any more.
    pub(super) fn run(mut self, queue: &Receiver<Job>) {
        while let Ok(first) = queue.recv() {
            self.work(iter::once(first).chain(queue.try_iter()).take(TOGETHER).collect());
        }
    }

    fn work(&mut self, jobs: Vec<Job>) {
        let mut commits = Vec::new();
        let mut result = Ok(());
        for job in jobs {
            match job {
                // Who has gone away wants nothing any more.
                Job::Commit(commit) if commit.answer.is_closed() => {}
                Job::Commit(commit) => commits.push(commit),
                Job::Mend => result = Err(unavailable(&"reading failed")),
            }
        }
        if let Some(failure) = self.recent_failure() {
            return refuse(commits, &failure);
        }
        match result.and_then(|()| self.file.write(&commits)) {
            Ok(outcomes) => {
                self.failure = None;
                for (commit, outcome) in commits.into_iter().zip(outcomes) {
                    let _ = commit.answer.send(Ok(outcome));
                }
            }
            Err(failure) => {
                tracing::error!(%failure, file = %self.file.path.display(), "the store failed");
                refuse(commits, &failure);
                self.file.open_anew();
                self.failure = Some((Instant::now(), failure));
            }
        }
    }

    /// After a failure nothing is tried for a while: what was just opened can be read at least, and each attempt costs
    /// another opening.
    fn recent_failure(&self) -> Option<StoreError> {
        let (when, failure) = self.failure.as_ref()?;
        (when.elapsed() < PAUSE).then(|| failure.clone())
    }
}

fn refuse(commits: Vec<Commit>, failure: &StoreError) {
    for commit in commits {
        let _ = commit.answer.send(Err(failure.clone()));
    }
}

impl File {
    /// Makes these commits one after the other, all in one transaction of the file. On an error none is made, unless
    /// the disk has kept what it said it could not.
    fn write(&self, commits: &[Commit]) -> Result<Vec<Committed>, StoreError> {
        let database = self.database.read().unwrap_or_else(PoisonError::into_inner);
        let database = database.as_ref().map_err(Clone::clone)?;
        let transaction = database.begin_write().map_err(|error| unavailable(&error))?;
        write(transaction, commits).map_err(|error| unavailable(&error))
    }
}

fn write(mut transaction: WriteTransaction, commits: &[Commit]) -> Result<Vec<Committed>, redb::Error> {
    // What is written comes from strangers in part, and the cheaper way trusts a checksum that they could aim at.
    transaction.set_two_phase_commit(true);
    let mut outcomes = Vec::with_capacity(commits.len());
    {
        let records = transaction.open_table(RECORDS)?;
        let mut tables = Tables { records, expiries: transaction.open_table(EXPIRIES)? };
        for commit in commits {
            outcomes.push(tables.commit(&commit.transaction, commit.now)?);
        }
        if let Some(earliest) = commits.iter().map(|commit| commit.now).min() {
            let changes: usize = commits.iter().map(|commit| commit.transaction.changes.len()).sum();
            // More than can have been added, so that nothing piles up.
            tables.sweep(earliest, SWEEP + 2 * changes)?;
        }
    }
    if outcomes.contains(&Committed::Done) {
        transaction.commit()?;
    } else {
        transaction.abort()?;
    }
    Ok(outcomes)
}

struct Tables<'a> {
    records: Table<'a, &'static str, (Expiry, &'static [u8])>,
    expiries: Table<'a, (i64, &'static str), ()>,
}

impl Tables<'_> {
    fn commit(&mut self, transaction: &Transaction, now: Timestamp) -> Result<Committed, redb::Error> {
        for (key, wanted) in &transaction.conditions {
            let found = self.records.get(key.as_str())?.and_then(|kept| alive(kept.value(), now));
            if found != *wanted {
                return Ok(Committed::Conflict);
            }
        }
        for (key, change) in &transaction.changes {
            match change {
                Change::Put { value, expires } => self.put(key, value, *expires)?,
                Change::Delete => self.delete(key)?,
            }
        }
        Ok(Committed::Done)
    }

    fn put(&mut self, key: &str, value: &[u8], expires: Option<Timestamp>) -> Result<(), redb::Error> {
        let expiry = expires.map(|at| (at.seconds, at.nanos));
        let before = self.records.insert(key, (expiry, value))?.and_then(|before| before.value().0);
        self.forget_expiry(key, before)?;
        if let Some((seconds, _)) = expiry {
            self.expiries.insert((seconds, key), ())?;
        }
        Ok(())
    }

    fn delete(&mut self, key: &str) -> Result<(), redb::Error> {
        let before = self.records.remove(key)?.and_then(|before| before.value().0);
        self.forget_expiry(key, before)
    }

    fn forget_expiry(&mut self, key: &str, expiry: Expiry) -> Result<(), redb::Error> {
        if let Some((seconds, _)) = expiry {
            self.expiries.remove((seconds, key))?;
        }
        Ok(())
    }

    /// Removes some of what expired in the seconds before.
    fn sweep(&mut self, now: Timestamp, at_most: usize) -> Result<(), redb::Error> {
        let mut expired = Vec::new();
        for entry in self.expiries.range(..(now.seconds, ""))?.take(at_most) {
            expired.push(entry?.0.value().1.to_owned());
        }
        expired.iter().try_for_each(|key| self.delete(key))
    }
}

/// How many commits are made in one transaction of the file at most.
const TOGETHER: usize = 256;
/// How many expired records are removed at a time at most, besides what is made room for.
const SWEEP: usize = 64;
const PAUSE: Duration = Duration::from_secs(1);
