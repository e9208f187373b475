//! The seeds of the fuzz targets (`fuzz/corpus`), for ordinary tests: each as it is, and changed in many ways. The
//! changes are the same each time, so that a failure can be repeated.

use std::{fs, path::PathBuf, thread};

/// Changed copies of each seed.
const CHANGES: usize = 150;
/// Of a large seed there are fewer, so that tests stay fast.
const CHANGES_OF_LARGE: usize = 10;
const LARGE: usize = 16 * 1024;
/// Inputs without any seed.
const RANDOM: usize = 500;

/// Hands every seed of a target, changed copies of them, and random bytes to the target's body.
#[track_caller]
pub fn run(target: &str, body: impl Fn(&[u8])) {
    let seeds = seeds(target);
    let mut sequence = Sequence(0x9e37_79b9_7f4a_7c15);
    let attempt = |bytes: &[u8]| {
        let _told = Told { target, bytes };
        body(bytes);
    };
    for seed in &seeds {
        attempt(seed);
        for _ in 0..if seed.len() < LARGE { CHANGES } else { CHANGES_OF_LARGE } {
            attempt(&sequence.changed(seed, &seeds));
        }
    }
    for _ in 0..RANDOM {
        let length = sequence.below(200);
        attempt(&sequence.bytes(length));
    }
}

fn seeds(target: &str) -> Vec<Vec<u8>> {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../fuzz/corpus").join(target);
    let entries = fs::read_dir(&folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    let mut paths: Vec<PathBuf> = entries.map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    assert!(!paths.is_empty(), "{} is empty", folder.display());
    paths.iter().map(|path| fs::read(path).unwrap()).collect()
}

/// Shows the input that made a test fail.
struct Told<'a> {
    target: &'a str,
    bytes: &'a [u8],
}

impl Drop for Told<'_> {
    #[expect(clippy::print_stderr, reason = "this is how a test says why it failed")]
    fn drop(&mut self) {
        if thread::panicking() {
            eprintln!("the input of {}: b\"{}\"", self.target, self.bytes.escape_ascii());
        }
    }
}

/// Marsaglia's xorshift: enough to choose changes.
struct Sequence(u64);

impl Sequence {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    fn below(&mut self, limit: usize) -> usize {
        usize::try_from(self.next() % limit.max(1) as u64).unwrap()
    }

    fn byte(&mut self) -> u8 {
        self.next().to_be_bytes()[0]
    }

    fn bytes(&mut self, length: usize) -> Vec<u8> {
        (0..length).map(|_| self.byte()).collect()
    }

    fn changed(&mut self, seed: &[u8], seeds: &[Vec<u8>]) -> Vec<u8> {
        let mut bytes = seed.to_vec();
        for _ in 0..=self.below(4) {
            if bytes.is_empty() {
                bytes.push(self.byte());
            }
            let (at, other) = (self.below(bytes.len()), self.below(bytes.len()));
            let (start, end) = (at.min(other), at.max(other));
            match self.below(7) {
                0 => bytes[at] = self.byte(),
                1 => bytes[at] ^= 1 << self.below(8),
                2 => bytes.insert(at, self.byte()),
                3 => bytes.truncate(at),
                4 => _ = bytes.drain(start..end),
                5 => {
                    let copy = bytes[start..end].to_vec();
                    bytes.splice(at..at, copy);
                }
                _ => {
                    let donor = &seeds[self.below(seeds.len())];
                    let cut = self.below(donor.len());
                    bytes.splice(at.., donor[cut..].iter().copied());
                }
            }
        }
        bytes
    }
}
