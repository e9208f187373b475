//! The files that a configuration is read from. Whatever reads one does so through [`Files`], which remembers it and
//! what stood in it: so a change is one against what was loaded, and nobody keeps a second list of files.
//!
//! Changes are found by polling, as this alone works everywhere: it sees files written in place, files moved into place,
//! Kubernetes' swapped symbolic links and network mounts. A change counts once all files looked the same twice, so
//! files that are just being written are left alone.

use std::{
    cell::{Cell, RefCell},
    collections::{BTreeMap, BTreeSet},
    fs, io, mem,
    os::unix::fs::MetadataExt as _,
    path::{Path, PathBuf},
    time::Duration,
};

use aws_lc_rs::digest;
use tokio::task::spawn_blocking;

/// How often the files are looked at. A change is noticed within three times this time.
pub(crate) const PERIOD: Duration = Duration::from_millis(250);
/// How many further times a file is read although it looks the same: clocks of file systems are coarse.
const FURTHER_READS: u8 = 8;

/// What stands in a file, or which names in a folder; nothing if it cannot be read.
type Content = Option<Sum>;
type Sum = [u8; digest::SHA256_OUTPUT_LEN];

/// The files that were read, and what stood in them.
#[derive(Debug, Default)]
pub(crate) struct Files {
    contents: RefCell<BTreeMap<PathBuf, Content>>,
    folders: RefCell<BTreeSet<PathBuf>>,
    empty: EmptyConfig,
    found_empty: Cell<bool>,
}

/// Whether a configuration file may have nothing in it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum EmptyConfig {
    #[default]
    Taken,
    /// Something was in it before: it is being written or has been lost, and its restrictions must not go with it.
    Refused,
}

/// A file that was named, or found in a folder that was named.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Below {
    pub(crate) path: PathBuf,
    /// The folders between.
    pub(crate) under: Vec<String>,
}

/// So many files are looked for below a folder, and so deep.
const MOST_BELOW: usize = 10_000;
const DEEPEST: usize = 16;

impl Files {
    pub(crate) fn new(empty: EmptyConfig) -> Self {
        Self { empty, ..Self::default() }
    }

    pub(crate) fn read(&self, path: &Path) -> io::Result<Vec<u8>> {
        let read = fs::read(path);
        self.contents.borrow_mut().insert(path.to_owned(), read.as_deref().ok().map(sum));
        read
    }

    /// The file `path`; of a folder, all files below it whose names have one of these endings, in the order of their
    /// names. From now on a new one is a change. What begins with a dot is left out, which Kubernetes and editors use for
    /// things of their own. Nothing is read yet.
    pub(crate) fn below(&self, path: &Path, endings: &[&str]) -> io::Result<Vec<Below>> {
        let mut found = Vec::new();
        if fs::metadata(path)?.is_dir() {
            self.walk(path, (&[], endings), &mut found)?;
        } else {
            found.push(Below { path: path.to_owned(), under: Vec::new() });
        }
        Ok(found)
    }

    fn walk(
        &self,
        folder: &Path,
        (under, endings): (&[String], &[&str]),
        found: &mut Vec<Below>,
    ) -> io::Result<()> {
        let names = names(folder)?;
        self.contents.borrow_mut().insert(folder.to_owned(), Some(sum_of_names(&names)));
        self.folders.borrow_mut().insert(folder.to_owned());
        if under.len() > DEEPEST {
            return Err(io::Error::other(format!("folders are nested deeper than {DEEPEST}")));
        }
        for name in names {
            let path = folder.join(&name);
            let ends = |ending: &&str| path.extension().is_some_and(|its| its == *ending);
            if fs::metadata(&path)?.is_dir() {
                let under: Vec<String> = under.iter().cloned().chain([name]).collect();
                self.walk(&path, (&under, endings), found)?;
            } else if endings.iter().any(ends) {
                found.push(Below { path, under: under.to_vec() });
            }
            if found.len() > MOST_BELOW {
                return Err(io::Error::other(format!("there are more than {MOST_BELOW} files")));
            }
        }
        Ok(())
    }

    /// A file that holds options.
    pub(crate) fn read_config(&self, path: &Path) -> io::Result<String> {
        let text = self.read_text(path)?;
        if says_nothing(&text) {
            if self.empty == EmptyConfig::Refused {
                return Err(io::Error::other("nothing is in it any more, which is taken at a start only"));
            }
            self.found_empty.set(true);
        }
        Ok(text)
    }

    /// What holds for the next configuration if this one is used.
    pub(crate) fn next_empty(&self) -> EmptyConfig {
        if self.found_empty.get() { EmptyConfig::Taken } else { EmptyConfig::Refused }
    }

    pub(crate) fn read_text(&self, path: &Path) -> io::Result<String> {
        String::from_utf8(self.read(path)?).map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error))
    }
}

/// Whether there are only blanks and comments, as TOML and YAML write them.
fn says_nothing(text: &str) -> bool {
    let text = text.trim_start_matches('\u{feff}');
    text.lines().map(str::trim).all(|line| line.is_empty() || line.starts_with('#') || line == "---")
}

fn sum(content: &[u8]) -> Sum {
    let mut sum = Sum::default();
    sum.copy_from_slice(digest::digest(&digest::SHA256, content).as_ref());
    sum
}

/// What is in a folder, sorted.
fn names(folder: &Path) -> io::Result<Vec<String>> {
    let mut names = Vec::new();
    for entry in fs::read_dir(folder)? {
        let name = entry?.file_name().into_string();
        let name =
            name.map_err(|name| io::Error::other(format!("the name {} is not text", name.display())))?;
        if !name.starts_with('.') {
            names.push(name);
        }
    }
    names.sort();
    Ok(names)
}

fn sum_of_names(names: &[String]) -> Sum {
    // No name holds a slash.
    sum(names.join("/").as_bytes())
}

/// Looks at files for changes.
#[derive(Debug, Default)]
pub(crate) struct Watch {
    files: Vec<Watched>,
    /// What differed when it was looked at last, but has not been seen twice yet.
    candidate: Option<Vec<Content>>,
}

impl Watch {
    /// A change is one against what these files held when they were read.
    pub(crate) fn new(files: Files) -> Self {
        let folders = files.folders.into_inner();
        let watched = |(path, content): (PathBuf, Content)| {
            let kind = if folders.contains(&path) { Kind::Folder } else { Kind::File };
            Watched::new((path, kind), content)
        };
        Self { files: files.contents.into_inner().into_iter().map(watched).collect(), candidate: None }
    }

    /// As [`Watch::new`], for files that were read in vain: those of the configuration in use are watched too.
    pub(crate) fn or_else(&mut self, files: Files) {
        let attempt = Self::new(files);
        let former = mem::replace(self, attempt);
        for watched in former.files {
            if self.files.iter().all(|file| file.path != watched.path) {
                self.files.push(Watched::new((watched.path, watched.kind), watched.seen));
            }
        }
    }

    /// Looks once, and says whether there is a change that has settled. To be waited for to its end.
    pub(crate) async fn look(&mut self) -> bool {
        if self.files.is_empty() {
            return false;
        }
        // A file system may block for long.
        let mut watch = mem::take(self);
        let look = spawn_blocking(move || {
            let changed = watch.look_now();
            (watch, changed)
        });
        let Ok((watch, changed)) = look.await else {
            tracing::error!("Files are no longer watched, because looking at them failed badly.");
            return false;
        };
        *self = watch;
        changed
    }

    /// Whether something has changed, and was the same at the last look.
    fn look_now(&mut self) -> bool {
        for file in &mut self.files {
            file.look();
        }
        if self.files.iter().all(|file| file.seen == file.loaded) {
            self.candidate = None;
            return false;
        }
        let seen: Vec<Content> = self.files.iter().map(|file| file.seen).collect();
        if self.candidate.as_ref() == Some(&seen) {
            return true;
        }
        for file in &mut self.files {
            file.further_reads = FURTHER_READS;
        }
        self.candidate = Some(seen);
        false
    }
}

#[derive(Debug)]
struct Watched {
    path: PathBuf,
    kind: Kind,
    loaded: Content,
    seen: Content,
    stamp: Option<Stamp>,
    further_reads: u8,
}

/// As what it was read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    File,
    Folder,
}

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
    fn new((path, kind): (PathBuf, Kind), loaded: Content) -> Self {
        Self { path, kind, loaded, seen: loaded, stamp: None, further_reads: FURTHER_READS }
    }

    fn look(&mut self) {
        let Ok(metadata) = fs::metadata(&self.path) else {
            self.stamp = None;
            self.seen = None;
            return;
        };
        if metadata.is_dir() && self.kind == Kind::Folder {
            self.seen = names(&self.path).ok().map(|names| sum_of_names(&names));
            return;
        }
        if !metadata.is_file() {
            // A pipe gives its content once: looking at it would take it away, or wait for ever.
            return;
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
            return;
        } else {
            self.further_reads -= 1;
        }
        self.seen = fs::read(&self.path).ok().as_deref().map(sum);
    }
}

#[cfg(test)]
mod tests;
