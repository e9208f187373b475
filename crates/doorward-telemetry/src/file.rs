//! The log file: it is set aside when it reaches its size, and what was set aside is compressed and deleted by age
//! and number. Names are those operators know: `base-2006-01-02T15-04-05.000.ext`, with `.gz` when compressed.
//! A failing rotation never loses a line: the old file just grows.

use std::{
    ffi::OsStr,
    fs::{self, File, OpenOptions, Permissions},
    io::{self, Write as _},
    os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _},
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
    thread,
    time::Duration,
};

use doorward_core::Timestamp;
use flate2::{Compression, write::GzEncoder};

use crate::{
    clock,
    logs::{LogFile, Rotated, TimeZone},
};

const MEGABYTE: u64 = 1024 * 1024;
const DEFAULT_SIZE_MB: u64 = 100;
const DAY: u64 = 24 * 60 * 60;
/// Log lines name users and addresses: nobody but the owner reads a new file.
const PRIVATE: u32 = 0o600;

#[derive(Debug)]
pub(crate) struct RotatingFile {
    file: File,
    size: u64,
    limit: u64,
    shelf: Arc<Shelf>,
}

/// The set-aside files beside the log file, and what is to happen to them.
#[derive(Debug)]
struct Shelf {
    path: PathBuf,
    rules: LogFile,
    zone: TimeZone,
    /// Held while the shelf is tidied, so that two rotations in a row do not compress the same file.
    tidying: Mutex<()>,
}

impl RotatingFile {
    /// Opens the file for appending, and makes it and its folder where they are missing.
    pub(crate) fn open(rules: &LogFile, zone: TimeZone) -> io::Result<Self> {
        if let Some(folder) = rules.path.parent().filter(|folder| !folder.as_os_str().is_empty()) {
            fs::create_dir_all(folder)?;
        }
        let file = open(&rules.path, PRIVATE)?;
        let size = file.metadata()?.len();
        let megabytes = if rules.max_size_mb == 0 { DEFAULT_SIZE_MB } else { rules.max_size_mb.into() };
        let shelf = Shelf { path: rules.path.clone(), rules: rules.clone(), zone, tidying: Mutex::new(()) };
        Ok(Self { file, size, limit: megabytes * MEGABYTE, shelf: Arc::new(shelf) })
    }

    pub(crate) fn write_line(&mut self, line: &[u8], now: Timestamp) {
        let length = line.len() as u64;
        if self.size > 0 && self.size.saturating_add(length) > self.limit {
            self.rotate(now);
        }
        if self.file.write_all(line).is_ok() {
            self.size = self.size.saturating_add(length);
        }
    }

    fn rotate(&mut self, now: Timestamp) {
        let Ok(file) = self.shelf.set_aside(&self.file, now) else { return };
        self.file = file;
        self.size = 0;
        let tidied = Arc::clone(&self.shelf);
        // Compressing takes seconds and must not hold up requests. Should the thread not start, the next rotation tidies.
        drop(thread::Builder::new().name("log-rotation".to_owned()).spawn(move || tidied.tidy(now)));
    }
}

fn open(path: &Path, mode: u32) -> io::Result<File> {
    OpenOptions::new().append(true).create(true).mode(mode).open(path)
}

impl Shelf {
    /// Renames the current file and opens a new one with the same permissions.
    fn set_aside(&self, current: &File, now: Timestamp) -> io::Result<File> {
        let mode = current.metadata()?.permissions().mode();
        let aside = self.free_name(now);
        fs::rename(&self.path, &aside)?;
        open(&self.path, mode).inspect_err(|_| drop(fs::rename(&aside, &self.path)))
    }

    /// A name that is not taken: two rotations within one millisecond would else overwrite each other's file.
    fn free_name(&self, now: Timestamp) -> PathBuf {
        let (base, extension) = self.name_parts();
        let mut at = now;
        loop {
            let name = format!("{base}{}{extension}", clock::file_name_time(at, self.zone));
            let path = self.path.with_file_name(&name);
            if !path.exists() && !self.path.with_file_name(format!("{name}.gz")).exists() {
                return path;
            }
            at = at.saturating_add(Duration::from_millis(1));
        }
    }

    /// `base-` and `.ext` of the file's name.
    fn name_parts(&self) -> (String, String) {
        let text = |part: Option<&OsStr>| part.unwrap_or_default().to_string_lossy().into_owned();
        let extension = text(self.path.extension());
        let extension = if extension.is_empty() { extension } else { format!(".{extension}") };
        (format!("{}-", text(self.path.file_stem())), extension)
    }

    /// Deletes what is too old or too much, and compresses the rest if asked to. Failures are left for the next time.
    fn tidy(&self, now: Timestamp) {
        let _alone = self.tidying.lock().unwrap_or_else(PoisonError::into_inner);
        let mut times = self.kept_times();
        times.sort_unstable_by(|left, right| right.cmp(left));
        let oldest = match u64::from(self.rules.max_age_days).saturating_mul(DAY) {
            0 => None,
            seconds => {
                let seconds = now.seconds.saturating_sub(i64::try_from(seconds).unwrap_or(i64::MAX));
                Some(clock::file_name_time(Timestamp { seconds, nanos: now.nanos }, self.zone))
            }
        };
        let most = match self.rules.max_backups {
            0 => usize::MAX,
            limit => usize::try_from(limit).unwrap_or(usize::MAX),
        };
        for (position, time) in times.iter().enumerate() {
            let [plain, compressed] = self.files_of(time);
            if position >= most || oldest.as_ref().is_some_and(|oldest| time < oldest) {
                drop(fs::remove_file(plain));
                drop(fs::remove_file(compressed));
            } else if self.rules.rotated == Rotated::Compress && plain.exists() {
                drop(compress(&plain, &compressed));
            }
        }
    }

    fn files_of(&self, time: &str) -> [PathBuf; 2] {
        let (base, extension) = self.name_parts();
        let name = format!("{base}{time}{extension}");
        [self.path.with_file_name(&name), self.path.with_file_name(format!("{name}.gz"))]
    }

    /// The rotation times of all set-aside files, each once. Files with other names are not ours to touch.
    fn kept_times(&self) -> Vec<String> {
        let folder =
            self.path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
        let Ok(entries) = fs::read_dir(folder) else { return Vec::new() };
        let (base, extension) = self.name_parts();
        let mut times: Vec<_> = entries
            .filter_map(|entry| {
                let name = entry.ok()?.file_name().into_string().ok()?;
                let name = name.strip_suffix(".gz").unwrap_or(&name);
                let time = name.strip_prefix(&base)?.strip_suffix(&extension)?;
                is_time(time).then(|| time.to_owned())
            })
            .collect();
        times.sort_unstable();
        times.dedup();
        times
    }
}

/// Whether the text has the form `2006-01-02T15-04-05.000`.
fn is_time(text: &str) -> bool {
    const FORM: &[u8] = b"0000-00-00T00-00-00.000";
    text.len() == FORM.len()
        && text
            .bytes()
            .zip(FORM)
            .all(|(byte, form)| if *form == b'0' { byte.is_ascii_digit() } else { byte == *form })
}

/// Replaces the file by its compressed form. The plain one goes last, so that nothing is lost half-way.
fn compress(plain: &Path, compressed: &Path) -> io::Result<()> {
    let mut source = File::open(plain)?;
    let permissions = Permissions::from_mode(source.metadata()?.permissions().mode());
    let target = OpenOptions::new().write(true).create(true).truncate(true).mode(PRIVATE).open(compressed)?;
    target.set_permissions(permissions)?;
    let mut encoder = GzEncoder::new(target, Compression::default());
    io::copy(&mut source, &mut encoder)
        .and_then(|_| encoder.finish())
        .and_then(|target| target.sync_all())
        .inspect_err(|_| drop(fs::remove_file(compressed)))?;
    fs::remove_file(plain)
}

#[cfg(test)]
pub(crate) mod tests;
