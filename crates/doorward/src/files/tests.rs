use std::{
    os::unix::fs::symlink,
    sync::atomic::{AtomicU32, Ordering},
};

use super::*;

/// A folder of one test's own, gone when the test is over.
struct Scratch(PathBuf);

impl Scratch {
    fn new() -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let folder = std::env::temp_dir().join(format!("doorward-files-{}-{number}", std::process::id()));
        fs::create_dir_all(&folder).unwrap();
        Self(folder)
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// A watch over files as they are now.
fn watching(paths: &[&Path]) -> Watch {
    let files = Files::default();
    for path in paths {
        let _ = files.read(path);
    }
    Watch::new(files)
}

#[track_caller]
fn check(watch: &mut Watch, looks: &[bool]) {
    let seen: Vec<bool> = looks.iter().map(|_| watch.look_now()).collect();
    assert_eq!(seen, looks);
}

#[test]
fn a_change_counts_when_it_was_seen_twice() {
    let scratch = Scratch::new();
    let path = scratch.path("file");
    fs::write(&path, "one").unwrap();
    let mut watch = watching(&[&path]);
    check(&mut watch, &[false, false]);
    for text in ["", "tw", "two"] {
        fs::write(&path, text).unwrap();
        check(&mut watch, &[false]);
    }
    check(&mut watch, &[true]);
    fs::write(&path, "tw").unwrap();
    fs::write(&path, "one").unwrap();
    check(&mut watch, &[false, false]);
}

#[test]
fn files_settle_together() {
    let scratch = Scratch::new();
    let (one, other) = (scratch.path("certificate"), scratch.path("key"));
    let mut watch = watching(&[&one, &other]);
    fs::write(&one, "1").unwrap();
    check(&mut watch, &[false]);
    fs::write(&other, "1").unwrap();
    check(&mut watch, &[false, true]);
}

#[test]
fn files_that_come_and_go_are_changes() {
    let scratch = Scratch::new();
    let path = scratch.path("file");
    let mut watch = watching(&[&path]);
    check(&mut watch, &[false, false]);
    fs::write(&path, "one").unwrap();
    check(&mut watch, &[false, true]);
    let mut watch = watching(&[&path]);
    fs::remove_file(&path).unwrap();
    check(&mut watch, &[false]);
    fs::write(&path, "one").unwrap();
    check(&mut watch, &[false, false]);
    fs::remove_file(&path).unwrap();
    fs::create_dir(&path).unwrap();
    check(&mut watch, &[false, false]);
}

#[test]
fn swapped_links_and_moved_files_are_seen() {
    let scratch = Scratch::new();
    let path = scratch.path("link");
    for version in ["v1", "v2"] {
        fs::create_dir(scratch.path(version)).unwrap();
        fs::write(scratch.path(version).join("file"), version).unwrap();
    }
    // As Kubernetes mounts configuration: file -> data/file, data -> v1.
    symlink("v1", scratch.path("data")).unwrap();
    symlink("data/file", &path).unwrap();
    let mut watch = watching(&[&path]);
    symlink("v2", scratch.path("next")).unwrap();
    fs::rename(scratch.path("next"), scratch.path("data")).unwrap();
    check(&mut watch, &[false, true]);
    let mut watch = watching(&[&path]);
    fs::write(scratch.path("new"), "v3").unwrap();
    fs::rename(scratch.path("new"), scratch.path("v2/file")).unwrap();
    check(&mut watch, &[false, true]);
}

#[test]
fn after_a_refused_configuration_its_files_and_those_in_use_are_watched() {
    let scratch = Scratch::new();
    let [config, old, new] = ["config", "old", "new"].map(|name| scratch.path(name));
    fs::write(&config, "names old").unwrap();
    fs::write(&old, "1").unwrap();
    let mut watch = watching(&[&config, &old]);
    fs::write(&config, "names new").unwrap();
    check(&mut watch, &[false, true]);
    let attempt = Files::default();
    let _ = (attempt.read(&config), attempt.read(&new));
    watch.or_else(attempt);
    check(&mut watch, &[false, false]);
    fs::write(&new, "1").unwrap();
    check(&mut watch, &[false, true]);
    fs::remove_file(&new).unwrap();
    fs::write(&old, "2").unwrap();
    check(&mut watch, &[false, true]);
}

#[test]
fn a_configuration_that_was_not_empty_cannot_become_so() {
    let scratch = Scratch::new();
    let path = scratch.path("config");
    for (before, empty_is_taken) in [("x = 1", false), ("", true), ("# nothing\n", true)] {
        for emptied in ["", "\n", "# gone\n  # all\n", " \t\r\n", "\u{feff}", "---\n"] {
            fs::write(&path, before).unwrap();
            let files = Files::default();
            files.read_config(&path).unwrap();
            let files = Files::new(files.next_empty());
            fs::write(&path, emptied).unwrap();
            assert_eq!(files.read_config(&path).is_ok(), empty_is_taken, "{before:?} {emptied:?}");
        }
    }
}

#[test]
fn an_unchanged_file_is_read_no_more_after_a_while() {
    let scratch = Scratch::new();
    let path = scratch.path("file");
    fs::write(&path, "one").unwrap();
    let mut watch = watching(&[&path]);
    check(&mut watch, &[false; 2 * FURTHER_READS as usize]);
    assert_eq!(watch.files[0].further_reads, 0);
}

#[test]
fn a_file_that_comes_or_goes_below_a_folder_is_a_change() {
    let scratch = Scratch::new();
    fs::create_dir(scratch.path("sub")).unwrap();
    for name in ["b.rego", "a.rego", "note.txt", ".hidden.rego", "sub/c.rego"] {
        fs::write(scratch.path(name), name).unwrap();
    }
    let files = Files::default();
    let below = files.below(&scratch.0, &["rego"]).unwrap();
    let found: Vec<_> = below
        .iter()
        .map(|Below { path, under }| (path.strip_prefix(&scratch.0).unwrap(), under.join("/")))
        .collect();
    let expected = [("a.rego", ""), ("b.rego", ""), ("sub/c.rego", "sub")];
    assert_eq!(found, expected.map(|(path, under)| (Path::new(path), under.to_owned())));
    let mut watch = Watch::new(files);
    check(&mut watch, &[false, false]);
    fs::write(scratch.path(".hidden.rego"), "more").unwrap();
    check(&mut watch, &[false, false]);
    fs::write(scratch.path("sub/d.rego"), "d").unwrap();
    check(&mut watch, &[false, true]);
    fs::remove_file(scratch.path("sub/d.rego")).unwrap();
    check(&mut watch, &[false]);
    fs::remove_file(scratch.path("sub/c.rego")).unwrap();
    check(&mut watch, &[false, true]);
    let named = Files::default().below(&scratch.path("note.txt"), &["rego"]).unwrap();
    assert_eq!(named.len(), 1, "a file that is named counts whatever its name");
    assert!(Files::default().below(&scratch.path("none"), &["rego"]).is_err());
}
