use std::{
    os::unix::fs::symlink,
    sync::{
        atomic::{AtomicU32, Ordering},
        mpsc,
    },
};

use super::*;

/// A folder of one test's own, gone when the test is over.
pub(crate) struct Scratch(PathBuf);

impl Scratch {
    pub(crate) fn new() -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let folder = std::env::temp_dir().join(format!("doorward-authn-{}-{number}", std::process::id()));
        fs::create_dir_all(&folder).unwrap();
        Self(folder)
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn changed(text: &str) -> Sight {
    Sight::Changed(text.to_owned())
}

#[test]
fn content_counts_when_it_was_seen_twice() {
    let scratch = Scratch::new();
    let path = scratch.path("file");
    let mut watched = Watched::new(path.clone());
    fs::write(&path, "one").unwrap();
    assert_eq!(watched.look(), Sight::Nothing);
    assert_eq!(watched.look(), changed("one"));
    assert_eq!(watched.look(), Sight::Nothing);
    fs::write(&path, "").unwrap();
    assert_eq!(watched.look(), Sight::Nothing);
    fs::write(&path, "tw").unwrap();
    assert_eq!(watched.look(), Sight::Nothing);
    fs::write(&path, "two").unwrap();
    assert_eq!(watched.look(), Sight::Nothing);
    assert_eq!(watched.look(), changed("two"));
}

#[test]
fn a_file_that_goes_away_is_reported_once_and_waited_for() {
    let scratch = Scratch::new();
    let path = scratch.path("file");
    let mut watched = Watched::new(path.clone());
    assert!(matches!(watched.look(), Sight::Unreadable(_)));
    assert_eq!(watched.look(), Sight::Nothing);
    fs::write(&path, "one").unwrap();
    assert_eq!(watched.look(), Sight::Nothing);
    assert_eq!(watched.look(), changed("one"));
    fs::remove_file(&path).unwrap();
    assert!(matches!(watched.look(), Sight::Unreadable(_)));
    fs::write(&path, "one").unwrap();
    assert_eq!((watched.look(), watched.look()), (Sight::Nothing, Sight::Nothing), "the same as before");
    fs::remove_file(&path).unwrap();
    fs::create_dir(&path).unwrap();
    assert!(matches!(watched.look(), Sight::Unreadable(_)));
}

#[test]
fn swapped_links_and_moved_files_are_seen() {
    let scratch = Scratch::new();
    let path = scratch.path("link");
    let folder = path.parent().unwrap().to_owned();
    for version in ["v1", "v2"] {
        fs::create_dir(folder.join(version)).unwrap();
        fs::write(folder.join(version).join("file"), version).unwrap();
    }
    // As Kubernetes mounts configuration: file -> data/file, data -> v1.
    symlink("v1", folder.join("data")).unwrap();
    symlink("data/file", &path).unwrap();
    let mut watched = Watched::new(path);
    assert_eq!((watched.look(), watched.look()), (Sight::Nothing, changed("v1")));
    symlink("v2", folder.join("next")).unwrap();
    fs::rename(folder.join("next"), folder.join("data")).unwrap();
    assert_eq!((watched.look(), watched.look()), (Sight::Nothing, changed("v2")));
    fs::write(folder.join("new"), "v3").unwrap();
    fs::rename(folder.join("new"), folder.join("v2/file")).unwrap();
    assert_eq!((watched.look(), watched.look()), (Sight::Nothing, changed("v3")));
}

#[test]
fn what_is_no_text_is_reported_once() {
    let scratch = Scratch::new();
    let path = scratch.path("file");
    fs::write(&path, b"\xff\xfe").unwrap();
    let mut watched = Watched::new(path.clone());
    assert_eq!(watched.look(), Sight::Nothing);
    assert!(matches!(watched.look(), Sight::Unreadable(_)));
    for _ in 0..10 {
        assert_eq!(watched.look(), Sight::Nothing);
    }
    fs::write(&path, "text").unwrap();
    assert_eq!((watched.look(), watched.look()), (Sight::Nothing, changed("text")));
}

#[test]
fn an_unchanged_file_is_read_no_more_after_a_while() {
    let scratch = Scratch::new();
    let path = scratch.path("file");
    fs::write(&path, "one").unwrap();
    let mut watched = Watched::new(path);
    for _ in 0..=2 * FURTHER_READS {
        watched.look();
    }
    assert_eq!(watched.further_reads, 0);
}

#[tokio::test]
async fn changes_arrive_until_the_handle_is_dropped() {
    let scratch = Scratch::new();
    let path = scratch.path("file");
    fs::write(&path, "one").unwrap();
    let (sender, receiver) = mpsc::channel();
    let handle = spawn_watch(&path, move |text| {
        let answer = if text == "bad" { Err("bad".to_owned()) } else { Ok(()) };
        sender.send(text).map_err(|why| why.to_string()).and(answer)
    });
    let receive = |receiver: mpsc::Receiver<String>| {
        spawn_blocking(move || (receiver.recv_timeout(Duration::from_mins(1)), receiver))
    };
    let (first, receiver) = receive(receiver).await.unwrap();
    assert_eq!(first.as_deref(), Ok("one"));
    fs::write(&path, "bad").unwrap();
    let (second, receiver) = receive(receiver).await.unwrap();
    assert_eq!(second.as_deref(), Ok("bad"));
    fs::write(&path, "three").unwrap();
    let (third, receiver) = receive(receiver).await.unwrap();
    assert_eq!(third.as_deref(), Ok("three"), "a bad version does not end the watch");
    drop(handle);
    let (end, _) = receive(receiver).await.unwrap();
    assert_eq!(end, Err(mpsc::RecvTimeoutError::Disconnected));
}
