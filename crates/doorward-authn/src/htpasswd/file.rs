//! The content of an htpasswd file: rows become entries, or the file is refused as a whole. Error texts name the row
//! and the mend, never its content, which may be a password.

use std::{collections::HashMap, fmt, hint::black_box};

use aws_lc_rs::{constant_time, digest};
use bcrypt::HashParts;

use super::apr1::Apr1;
use crate::basic::Credentials;

/// The dearest bcrypt cost that is accepted; each step doubles the time, and this one takes many seconds.
const HIGHEST_COST: u32 = 18;
const LOWEST_COST: u32 = 4;

/// Whether hashes count that a stolen file gives away soon.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WeakHashes {
    /// `{SHA}` and `$apr1$`.
    Allowed,
    /// `{SHA}` alone, as for `--htpasswd-file`.
    OnlySha,
    Refused,
}

/// The users of a password file, at least one.
#[derive(PartialEq, Eq)]
pub struct Entries {
    users: HashMap<String, Hash>,
    /// The cost of the dearest bcrypt hash.
    highest_cost: Option<u32>,
    /// Whether somebody has an MD5 hash.
    has_md5: bool,
}

#[derive(PartialEq, Eq)]
enum Hash {
    Bcrypt { text: String, cost: u32 },
    Sha1(Vec<u8>),
    Md5(Apr1),
}

impl Entries {
    /// Reads rows of `user:hash`. Empty rows and rows that start with `#` are skipped; of several rows for a user the
    /// last one counts.
    pub fn parse(text: &str) -> Result<Self, InvalidHtpasswd> {
        Self::parse_with(text, WeakHashes::OnlySha)
    }

    /// The same, with a say in which hashes count.
    pub fn parse_with(text: &str, weak: WeakHashes) -> Result<Self, InvalidHtpasswd> {
        let text = text.strip_prefix('\u{feff}').unwrap_or(text);
        let mut users = HashMap::new();
        for (index, row) in text.lines().enumerate() {
            let row = row.trim();
            if row.is_empty() || row.starts_with('#') {
                continue;
            }
            let refuse = |fault| InvalidHtpasswd::Row { line: index + 1, fault };
            let (user, hash) = parse_row(row).map_err(refuse)?;
            match (&hash, weak) {
                (Hash::Sha1(_) | Hash::Md5(_), WeakHashes::Refused) => return Err(refuse(RowFault::Weak)),
                (Hash::Md5(_), WeakHashes::OnlySha) => return Err(refuse(RowFault::Md5)),
                _ => {}
            }
            users.insert(user, hash);
        }
        if users.is_empty() {
            return Err(InvalidHtpasswd::NoUsers);
        }
        let highest_cost = users.values().filter_map(Hash::cost).max();
        let has_md5 = users.values().any(|hash| matches!(hash, Hash::Md5(_)));
        Ok(Self { users, highest_cost, has_md5 })
    }

    /// Whether checking a password takes no noticeable time.
    pub(super) const fn are_cheap(&self) -> bool {
        self.highest_cost.is_none()
    }

    /// Whether the password is that of the user. Takes as long for every failure.
    pub(super) fn verify(&self, credentials: &Credentials) -> bool {
        let password = credentials.password.expose();
        let hash = self.users.get(&credentials.user);
        let right = match hash {
            Some(Hash::Bcrypt { text, .. }) => bcrypt::verify(password, text).unwrap_or(false),
            Some(Hash::Sha1(expected)) => is_sha1_of(password, expected),
            Some(Hash::Md5(expected)) => expected.is_of(password),
            None => is_sha1_of(password, &[0; digest::SHA1_OUTPUT_LEN]) && black_box(false),
        };
        if !right {
            if self.has_md5 && !matches!(hash, Some(Hash::Md5(_))) {
                let _ = black_box(Apr1::of_nothing().is_of(password));
            }
            self.spend_the_rest(hash.and_then(Hash::cost), password);
        }
        right
    }

    /// Brings the work of a failure up to that of the dearest hash.
    fn spend_the_rest(&self, spent: Option<u32>, password: &[u8]) {
        let Some(highest) = self.highest_cost else {
            return;
        };
        // Each cost is twice the one below, so one run of every cost from the spent one up makes the difference.
        let runs = match spent {
            Some(cost) => cost..highest,
            None => highest..highest + 1,
        };
        for cost in runs {
            let _ = black_box(bcrypt::hash_with_salt(password, cost, [0; 16]));
        }
    }
}

impl fmt::Debug for Entries {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Entries({} users)", self.users.len())
    }
}

impl Hash {
    const fn cost(&self) -> Option<u32> {
        match self {
            Self::Bcrypt { cost, .. } => Some(*cost),
            Self::Sha1(_) | Self::Md5(_) => None,
        }
    }
}

/// Why a password file is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidHtpasswd {
    #[error("htpasswd file, line {line}: {fault}")]
    Row {
        /// Counted from 1.
        line: usize,
        fault: RowFault,
    },
    #[error("the htpasswd file has no user; add one with `htpasswd -B`")]
    NoUsers,
}

/// What is wrong with a row.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RowFault {
    #[error("there is no colon; write `user:hash`")]
    NoColon,
    #[error("there is more than one colon; write `user:hash` and nothing after it")]
    SeveralColons,
    #[error("there is no user name before the colon; write `user:hash`")]
    NoUser,
    #[error("the password is neither a bcrypt nor a {{SHA}} entry; make it anew with `htpasswd -B`")]
    UnknownHash,
    #[error("MD5 ($apr1$) entries are not supported; make it anew with `htpasswd -B`")]
    Md5,
    #[error("the $apr1$ entry is not complete; make it anew with `htpasswd -B`")]
    Apr1,
    #[error(
        "the {{SHA}} or $apr1$ entry is too weak; make it anew with `htpasswd -B`, or set allowWeakHashes"
    )]
    Weak,
    #[error("the {{SHA}} entry is not 20 bytes in base64; make it anew with `htpasswd -B`")]
    Sha1,
    #[error("the bcrypt entry is not complete; make it anew with `htpasswd -B`")]
    Bcrypt,
    #[error(
        "the bcrypt cost is not between {LOWEST_COST} and {HIGHEST_COST}; make the entry anew with `htpasswd -B`"
    )]
    Cost,
}

fn parse_row(row: &str) -> Result<(String, Hash), RowFault> {
    let (user, hash) = row.split_once(':').ok_or(RowFault::NoColon)?;
    let (user, hash) = (user.trim(), hash.trim());
    if hash.contains(':') {
        return Err(RowFault::SeveralColons);
    }
    if user.is_empty() {
        return Err(RowFault::NoUser);
    }
    Ok((user.to_owned(), parse_hash(hash)?))
}

fn parse_hash(hash: &str) -> Result<Hash, RowFault> {
    if let Some(encoded) = hash.strip_prefix("{SHA}") {
        return match base64_simd::STANDARD.decode_to_vec(encoded) {
            Ok(sum) if sum.len() == digest::SHA1_OUTPUT_LEN => Ok(Hash::Sha1(sum)),
            _ => Err(RowFault::Sha1),
        };
    }
    if let Some(rest) = hash.strip_prefix("$apr1$") {
        return Apr1::parse(rest).map(Hash::Md5).ok_or(RowFault::Apr1);
    }
    if !["$2a$", "$2b$", "$2x$", "$2y$"].iter().any(|version| hash.starts_with(version)) {
        return Err(RowFault::UnknownHash);
    }
    let cost = hash.parse::<HashParts>().map_err(|_| RowFault::Bcrypt)?.get_cost();
    if !(LOWEST_COST..=HIGHEST_COST).contains(&cost) {
        return Err(RowFault::Cost);
    }
    Ok(Hash::Bcrypt { text: hash.to_owned(), cost })
}

fn is_sha1_of(password: &[u8], expected: &[u8]) -> bool {
    let sum = digest::digest(&digest::SHA1_FOR_LEGACY_USE_ONLY, password);
    constant_time::verify_slices_are_equal(sum.as_ref(), expected).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    const SHA: &str = "{SHA}W6ph5Mm5Pz8GgiULbPgzG37mj9g=";
    const BCRYPT: &str = "$2a$05$ZhF3i5ZnxZp1swkKqFp9/uIyk5lPU7TagdgV7y9lNAe8IrIR7/aIO";

    const MD5: &str = "$apr1$lZL6Vci1$tH37qoVYn.hqbdIV0mliI/";

    #[test]
    fn a56_weak_hashes_count_where_they_are_allowed() {
        let text = format!("bob:{SHA}\ncarol:{MD5}\ndave:{BCRYPT}");
        let entries = Entries::parse_with(&text, WeakHashes::Allowed).unwrap();
        for (user, password, expected) in [
            ("bob", "password", true),
            ("carol", "secret", true),
            ("carol", "Secret", false),
            ("dave", "secret", true),
            ("erin", "secret", false),
        ] {
            let credentials = Credentials::new(user.to_owned(), password.to_owned());
            assert_eq!(entries.verify(&credentials), expected, "{user}");
        }
        let weak = Entries::parse_with(&format!("carol:{MD5}"), WeakHashes::Refused).unwrap_err();
        assert_eq!(weak, InvalidHtpasswd::Row { line: 1, fault: RowFault::Weak });
    }

    #[test]
    fn rows_are_users() {
        let text = format!(
            "\u{feff}# people\nbob:{SHA}\r\n\n  carol : {BCRYPT}  \nb2:{}\ny2:{}\nx2:{}\nbob:{BCRYPT}\n",
            BCRYPT.replace("$2a$", "$2b$"),
            BCRYPT.replace("$2a$", "$2y$"),
            BCRYPT.replace("$2a$", "$2x$"),
        );
        let entries = Entries::parse(&text).unwrap();
        assert_eq!(entries.highest_cost, Some(5));
        for (user, password, expected) in [
            ("bob", "secret", true),
            ("bob", "password", false),
            ("carol", "secret", true),
            ("Carol", "secret", false),
            ("b2", "secret", true),
            ("y2", "secret", true),
            ("x2", "secret", true),
            ("x2", "secret\0", false),
            ("nobody", "secret", false),
            ("", "", false),
        ] {
            let credentials = Credentials::new(user.to_owned(), password.to_owned());
            assert_eq!(entries.verify(&credentials), expected, "{user} {password:?}");
        }
        assert_eq!(format!("{entries:?}"), "Entries(5 users)");
    }

    #[test]
    fn malformed_rows_are_named() {
        let short = BCRYPT.get(..59).unwrap();
        for (row, fault) in [
            ("bob", RowFault::NoColon),
            (":x", RowFault::NoUser),
            ("bob:{SHA}x:y", RowFault::SeveralColons),
            ("bob:", RowFault::UnknownHash),
            ("bob:hunter2", RowFault::UnknownHash),
            ("bob:$apr1$lZL6Vci1$abc", RowFault::Apr1),
            (&format!("bob:{MD5}"), RowFault::Md5),
            ("bob:{SHA}", RowFault::Sha1),
            ("bob:{SHA}W6ph5Mm5", RowFault::Sha1),
            ("bob:$2y$", RowFault::Bcrypt),
            (&format!("bob:{short}"), RowFault::Bcrypt),
            (&format!("bob:{}", BCRYPT.replace("$05$", "$31$")), RowFault::Cost),
            (&format!("bob:{}", BCRYPT.replace("$05$", "$03$")), RowFault::Cost),
        ] {
            let error = Entries::parse(&format!("ok:{SHA}\n{row}\n")).unwrap_err();
            assert_eq!(error, InvalidHtpasswd::Row { line: 2, fault }, "{row}");
            let text = error.to_string();
            assert!(text.starts_with("htpasswd file, line 2: ") && !text.contains("hunter2"), "{text}");
        }
        let weak =
            Entries::parse_with(&format!("carol:{BCRYPT}\nbob:{SHA}"), WeakHashes::Refused).unwrap_err();
        assert_eq!(weak, InvalidHtpasswd::Row { line: 2, fault: RowFault::Weak });
        assert!(Entries::parse_with(&format!("carol:{BCRYPT}"), WeakHashes::Refused).is_ok());
        for empty in ["", "\n\n", "# nobody\n"] {
            assert_eq!(Entries::parse(empty).unwrap_err(), InvalidHtpasswd::NoUsers);
        }
    }
}
