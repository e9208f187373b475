//! The fuzzing bodies over random bytes and over changed vectors. The sequence is the same each time.

use crate::fuzz::BODIES;

struct Sequence(u64);

impl Sequence {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    fn below(&mut self, limit: usize) -> usize {
        usize::try_from(self.next() % limit as u64).unwrap()
    }

    fn byte(&mut self) -> u8 {
        self.next().to_be_bytes()[0]
    }
}

fn try_all(bytes: &[u8]) {
    for body in BODIES {
        body(bytes);
    }
}

fn seeds() -> Vec<Vec<u8>> {
    let vectors = include_str!("../../tests/vectors.json");
    let texts = vectors.split('"').filter(|text| text.len() > 8 && text.len() < 2000);
    let hex = |text: &str| {
        (0..text.len() / 2).map(|at| u8::from_str_radix(text.get(2 * at..2 * at + 2)?, 16).ok()).collect()
    };
    let mut seeds: Vec<Vec<u8>> = texts.clone().map(|text| text.as_bytes().to_vec()).collect();
    seeds.extend(texts.filter_map(hex));
    seeds.push(b"\x04\x22\x4d\x18\x64\x40\xa7\x13\0\0\x80\x82\xa2ca\xd6\xffiU\xc7\x10\xa1u\xa6htuser\0\0\0\0\x77\xbb\xcd\x17".to_vec());
    seeds.push(b"n=1; n_0=a|b; n_1=c; n_2=\"d\"".to_vec());
    seeds
}

#[test]
fn random_bytes_are_refused_without_panic() {
    let mut sequence = Sequence(0x9e37_79b9_7f4a_7c15);
    for _ in 0..4000 {
        let length = sequence.below(200);
        let bytes: Vec<u8> = (0..length).map(|_| sequence.byte()).collect();
        try_all(&bytes);
    }
}

#[test]
fn changed_vectors_are_handled_without_panic() {
    let mut sequence = Sequence(0x2545_f491_4f6c_dd1d);
    for seed in seeds() {
        for _ in 0..20 {
            let mut bytes = seed.clone();
            for _ in 0..=sequence.below(4) {
                let at = sequence.below(bytes.len());
                match sequence.below(4) {
                    0 => bytes[at] = sequence.byte(),
                    1 => bytes.truncate(at + 1),
                    2 => bytes.insert(at, sequence.byte()),
                    _ => bytes[at] ^= 1 << sequence.below(8),
                }
            }
            try_all(&bytes);
        }
    }
}
