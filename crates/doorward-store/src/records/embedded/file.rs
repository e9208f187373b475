//! Opens the file, and tells what is wrong with it. A file that is not ours is left as it is.

use std::fs::{self, File, OpenOptions};
use std::io::{self, ErrorKind};
use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _};
use std::path::Path;

use redb::backends::FileBackend;
use redb::{Builder, Database, DatabaseError, StorageError, TableHandle as _};

use super::{EXPIRIES, RECORDS};
use crate::StoreError;

/// Whether there has to be a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Presence {
    MayBeNew,
    /// It was there a moment ago: if it is gone somebody has taken it away, and an empty one would be no mend.
    Expected,
}

/// Opens the file for this process alone. All of it is read once, to find damage now rather than later.
///
/// # Errors
/// `Misconfigured`, with the name of the file and the mend.
pub(super) fn open(path: &Path, presence: Presence) -> Result<Database, StoreError> {
    let name = path.display().to_string();
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    if !folder.is_dir() {
        let folder = folder.display();
        return Err(refused(&format!("the folder {folder} for {name} is not there: create it")));
    }
    let file = open_file(path, folder, presence).map_err(|error| unusable(&name, &error))?;
    let database = Builder::new()
        .set_cache_size(CACHE)
        .set_check_integrity_on_open(true)
        .create_with_backend(FileBackend::new(file).map_err(|error| blame(&name, error))?)
        .map_err(|error| blame(&name, error))?;
    claim(&database, &name)?;
    Ok(database)
}

/// Opens or makes the file. Nobody else may read what is in it.
fn open_file(path: &Path, folder: &Path, presence: Presence) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.read(true).write(true).mode(PRIVATE);
    match options.open(path) {
        Err(error) if error.kind() == ErrorKind::NotFound && presence == Presence::MayBeNew => {
            let file = options.create(true).truncate(false).open(path)?;
            // Its name has to survive a loss of power too.
            File::open(folder)?.sync_all()?;
            Ok(file)
        }
        opened => {
            let file = opened?;
            let mode = file.metadata()?.permissions().mode();
            // Only its owner may change that; on some volumes it belongs to nobody we know.
            if mode & OTHERS != 0 && file.set_permissions(fs::Permissions::from_mode(PRIVATE)).is_err() {
                tracing::warn!(path = %path.display(), "others may read the file of the store");
            }
            Ok(file)
        }
    }
}

/// Makes sure that the file is ours, and that there is something to read.
fn claim(database: &Database, name: &str) -> Result<(), StoreError> {
    let prepare = || {
        let transaction = database.begin_write()?;
        let ours = [RECORDS.name(), EXPIRIES.name()];
        let found: Vec<_> = transaction.list_tables()?.map(|table| table.name().to_owned()).collect();
        if found.iter().any(|name| !ours.contains(&name.as_str())) {
            return Ok(false);
        }
        transaction.open_table(RECORDS)?;
        transaction.open_table(EXPIRIES)?;
        // Waiting for the disk again would make starts slower.
        if found.len() == ours.len() {
            transaction.abort()?;
        } else {
            transaction.commit()?;
        }
        Ok(true)
    };
    match prepare() {
        Ok(true) => Ok(()),
        Ok(false) => Err(foreign(name)),
        Err(error @ redb::Error::Io(_)) => Err(unusable(name, &error)),
        Err(_) => Err(damaged(name)),
    }
}

fn blame(name: &str, error: DatabaseError) -> StoreError {
    match error {
        DatabaseError::DatabaseAlreadyOpen | DatabaseError::LockProtocolMismatch => refused(&format!(
            "another process has {name} open, and it serves one only: stop that one, or keep the records in Redis"
        )),
        DatabaseError::UpgradeRequired(_) => foreign(name),
        DatabaseError::Storage(StorageError::Io(error)) if error.kind() == ErrorKind::InvalidData => {
            foreign(name)
        }
        DatabaseError::Storage(StorageError::Io(error)) => unusable(name, &error),
        _ => damaged(name),
    }
}

fn foreign(name: &str) -> StoreError {
    refused(&format!(
        "{name} was not written by this version of doorward, or its making was interrupted: name another file, or \
         remove this one if nothing in it is needed"
    ))
}

pub(super) fn damaged(name: &str) -> StoreError {
    refused(&format!(
        "{name} is damaged: put a copy of it in its place, or move it away to begin with an empty one (everybody has to \
         sign in again)"
    ))
}

fn unusable(name: &str, error: &impl ToString) -> StoreError {
    refused(&format!("{name} cannot be used: {}", error.to_string()))
}

fn refused(reason: &str) -> StoreError {
    StoreError::Misconfigured { option: "authServer.store.path", reason: reason.to_owned() }
}

/// Bytes of the file that are kept in memory.
const CACHE: usize = 64 * 1024 * 1024;
const PRIVATE: u32 = 0o600;
const OTHERS: u32 = 0o077;
