use std::{
    io::Read as _,
    sync::atomic::{AtomicU32, Ordering},
};

use super::*;

/// A folder of this test alone, removed at its end.
pub(crate) struct Folder(PathBuf);

impl Folder {
    pub(crate) fn new(name: &str) -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let unique =
            format!("doorward-log-{}-{}-{name}", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed));
        let path = std::env::temp_dir().join(unique);
        fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    pub(crate) fn path(&self) -> &Path {
        &self.0
    }

    fn names(&self) -> Vec<String> {
        let mut names: Vec<_> = fs::read_dir(&self.0)
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        names
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        drop(fs::remove_dir_all(&self.0));
    }
}

fn rules(folder: &Folder, name: &str) -> LogFile {
    LogFile {
        path: folder.path().join(name),
        max_size_mb: 1,
        max_age_days: 0,
        max_backups: 0,
        rotated: Rotated::Keep,
    }
}

fn open_small(rules: &LogFile) -> RotatingFile {
    let mut file = RotatingFile::open(rules, TimeZone::Utc).unwrap();
    file.limit = 10;
    file
}

const NOON: Timestamp = Timestamp { seconds: 1_795_348_800, nanos: 0 };

fn days(count: i64) -> Timestamp {
    Timestamp::from_seconds(NOON.seconds + count * 86_400)
}

/// Rotates, then tidies in this thread as well, which waits for the background one.
fn rotate(file: &mut RotatingFile, now: Timestamp) {
    file.rotate(now);
    file.shelf.tidy(now);
}

#[test]
fn a_full_file_is_set_aside_under_the_time_of_its_rotation() {
    let folder = Folder::new("full");
    let mut file = open_small(&rules(&folder, "o.log"));
    for line in ["12345\n", "67\n", "next\n", "a line longer than all\n", "x\n"] {
        file.write_line(line.as_bytes(), NOON);
    }
    assert_eq!(
        folder.names(),
        [
            "o-2026-11-22T12-00-00.000.log",
            "o-2026-11-22T12-00-00.001.log",
            "o-2026-11-22T12-00-00.002.log",
            "o.log"
        ]
    );
    let read = |name: &str| fs::read_to_string(folder.path().join(name)).unwrap();
    assert_eq!(read("o-2026-11-22T12-00-00.000.log"), "12345\n67\n");
    assert_eq!(read("o-2026-11-22T12-00-00.001.log"), "next\n");
    assert_eq!(read("o-2026-11-22T12-00-00.002.log"), "a line longer than all\n");
    assert_eq!(read("o.log"), "x\n");
}

#[test]
fn what_was_there_at_the_start_counts() {
    let folder = Folder::new("start");
    let rules = rules(&folder, "o");
    fs::write(&rules.path, "123456789\n").unwrap();
    open_small(&rules).write_line(b"x\n", NOON);
    assert_eq!(folder.names(), ["o", "o-2026-11-22T12-00-00.000"]);
}

#[test]
fn a_new_file_is_private_and_a_rotated_one_keeps_its_permissions() {
    let folder = Folder::new("mode");
    let rules = rules(&folder, "o.log");
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    let mut file = open_small(&rules);
    assert_eq!(mode(&rules.path), 0o600);
    fs::set_permissions(&rules.path, Permissions::from_mode(0o640)).unwrap();
    rotate(&mut file, NOON);
    assert_eq!(mode(&rules.path), 0o640);
}

#[test]
fn only_so_many_files_are_kept() {
    let folder = Folder::new("many");
    let mut file = open_small(&LogFile { max_backups: 2, ..rules(&folder, "o.log") });
    for day in 0..4 {
        rotate(&mut file, days(day));
    }
    assert_eq!(folder.names(), ["o-2026-11-24T12-00-00.000.log", "o-2026-11-25T12-00-00.000.log", "o.log"]);
}

#[test]
fn old_files_are_deleted_and_others_are_left_alone() {
    let folder = Folder::new("old");
    for name in
        ["o-notes.log", "o-2020-01-01T00-00-00.000.txt", "p-2020-01-01T00-00-00.000.log", "o-2020-01-01.log"]
    {
        fs::write(folder.path().join(name), "keep").unwrap();
    }
    fs::write(folder.path().join("o-2020-01-01T00-00-00.000.log.gz"), "go").unwrap();
    let mut file = open_small(&LogFile { max_age_days: 7, ..rules(&folder, "o.log") });
    rotate(&mut file, days(0));
    rotate(&mut file, days(5));
    rotate(&mut file, days(8));
    assert_eq!(
        folder.names(),
        [
            "o-2020-01-01.log",
            "o-2020-01-01T00-00-00.000.txt",
            "o-2026-11-27T12-00-00.000.log",
            "o-2026-11-30T12-00-00.000.log",
            "o-notes.log",
            "o.log",
            "p-2020-01-01T00-00-00.000.log"
        ]
    );
}

#[test]
fn rotated_files_are_compressed_if_asked() {
    let folder = Folder::new("gzip");
    let mut file = open_small(&LogFile { rotated: Rotated::Compress, ..rules(&folder, "o.log") });
    file.write_line(b"a line\n", NOON);
    rotate(&mut file, NOON);
    assert_eq!(folder.names(), ["o-2026-11-22T12-00-00.000.log.gz", "o.log"]);
    let mut text = String::new();
    let compressed = File::open(folder.path().join("o-2026-11-22T12-00-00.000.log.gz")).unwrap();
    flate2::read::GzDecoder::new(compressed).read_to_string(&mut text).unwrap();
    assert_eq!(text, "a line\n");
}

#[test]
fn a_file_that_cannot_be_set_aside_grows() {
    let folder = Folder::new("gone");
    let rules = rules(&folder, "o.log");
    let mut file = open_small(&rules);
    fs::remove_file(&rules.path).unwrap();
    for _ in 0..3 {
        file.write_line(b"123456\n", NOON);
    }
    assert_eq!(file.size, 21);
}
