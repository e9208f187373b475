//! Password files as Apache's `htpasswd` writes them.

use std::{fs, process::Command};

use doorward_testkit::eventually;

use crate::{
    place::{ALICE, PASSWORD, Place, Store},
    tool,
};

/// Sets a password in the file of the place with these flags.
fn htpasswd(place: &Place, flags: &str, name: &str, password: &str) {
    let file = place.path("users.htpasswd");
    tool::run(Command::new("htpasswd").arg(flags).arg(file).args([name, password])).succeeded();
}

fn gets_in(place: &Place, name: &str, password: &str) -> bool {
    match place.challenge(name, password).status {
        302 => true,
        401 => false,
        other => panic!("{other}"),
    }
}

#[test]
fn a56_weak_hashes_count_only_where_they_are_allowed() {
    let place = Place::with(Store::Embedded, |settings| {
        settings["authServer"]["identityProviders"][0]["allowWeakHashes"] = true.into();
    });
    let weak = [("-bs", "a sha password"), ("-bm", "an md5 password")];
    for (flags, password) in weak {
        htpasswd(&place, flags, "sam", password);
        eventually("the file is read again", || gets_in(&place, "sam", password));
    }

    for (flags, password) in weak {
        let place = Place::new(Store::Embedded);
        htpasswd(&place, flags, "sam", password);
        eventually("the log names the line", || place.doorward.log().contains("htpasswd file, line 2"));
        assert!(!gets_in(&place, "sam", password));
        assert!(gets_in(&place, ALICE, PASSWORD), "the old file counts");
    }
}

#[test]
fn a56_a_file_that_is_edited_counts_at_once_and_a_broken_one_never() {
    let place = Place::new(Store::Embedded);
    assert!(gets_in(&place, ALICE, PASSWORD));
    htpasswd(&place, "-bB", ALICE, "a new password");
    eventually("the new password works", || gets_in(&place, ALICE, "a new password"));
    assert!(!gets_in(&place, ALICE, PASSWORD));
    fs::write(place.path("users.htpasswd"), [0xff, 0xfe, b'x', b':', b'\n', 0]).unwrap();
    eventually("the log says so", || place.doorward.log().contains("users.htpasswd"));
    assert!(gets_in(&place, ALICE, "a new password"));
}
