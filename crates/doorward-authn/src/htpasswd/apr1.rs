//! Apache's variant of MD5-crypt, `$apr1$salt$sum`: what `htpasswd` makes where nobody asks for better. No crate that is
//! kept knows it, so this is the recipe over one that knows MD5. A thousand rounds stop nobody today: it counts only
//! where weak hashes are allowed.

use aws_lc_rs::constant_time;
use md_5::{Digest as _, Md5};

const ROUNDS: usize = 1000;
/// The longest salt; `htpasswd` makes eight characters.
const LONGEST_SALT: usize = 8;
/// The length of the sum in characters.
const LENGTH: usize = 22;
const ALPHABET: &[u8; 64] = b"./0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

/// A salted sum.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct Apr1 {
    salt: String,
    sum: String,
}

impl Apr1 {
    /// Reads `salt$sum`, what follows the prefix.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let (salt, sum) = text.split_once('$')?;
        let is_made_of_ours = |text: &str| text.bytes().all(|byte| ALPHABET.contains(&byte));
        let is_one = salt.len() <= LONGEST_SALT
            && sum.len() == LENGTH
            && is_made_of_ours(salt)
            && is_made_of_ours(sum);
        is_one.then(|| Self { salt: salt.to_owned(), sum: sum.to_owned() })
    }

    /// A hash of no password, which takes as long as any.
    pub(super) fn of_nothing() -> Self {
        Self { salt: String::new(), sum: String::new() }
    }

    pub(super) fn is_of(&self, password: &[u8]) -> bool {
        let sum = printed(&stretched(password, self.salt.as_bytes()));
        constant_time::verify_slices_are_equal(sum.as_bytes(), self.sum.as_bytes()).is_ok()
    }
}

fn stretched(password: &[u8], salt: &[u8]) -> [u8; 16] {
    let mut sum: [u8; 16] =
        Md5::new().chain_update(password).chain_update(salt).chain_update(password).finalize().into();
    let mut first = Md5::new().chain_update(password).chain_update("$apr1$").chain_update(salt);
    let repeated = sum.iter().copied().cycle().take(password.len()).collect::<Vec<u8>>();
    first.update(&repeated);
    let start = password.first().copied().unwrap_or_default();
    let mut length = password.len();
    while length > 0 {
        first.update([if length & 1 == 1 { 0 } else { start }]);
        length >>= 1;
    }
    sum = first.finalize().into();
    for round in 0..ROUNDS {
        let odd = round % 2 == 1;
        let mut next = Md5::new();
        next.update(if odd { password } else { &sum });
        if round % 3 != 0 {
            next.update(salt);
        }
        if round % 7 != 0 {
            next.update(password);
        }
        next.update(if odd { &sum } else { password });
        sum = next.finalize().into();
    }
    sum
}

/// The bytes in the order and alphabet of `crypt`.
fn printed(sum: &[u8; 16]) -> String {
    let [s0, s1, s2, s3, s4, s5, s6, s7, s8, s9, s10, s11, s12, s13, s14, s15] = sum.map(u32::from);
    let groups = [(s0, s6, s12), (s1, s7, s13), (s2, s8, s14), (s3, s9, s15), (s4, s10, s5), (0, 0, s11)];
    let letters = groups.into_iter().flat_map(|(high, middle, low)| {
        let bits = high << 16 | middle << 8 | low;
        (0..4).map(move |place| bits >> (6 * place) & 63)
    });
    let letter = |bits: u32| {
        usize::try_from(bits).ok().and_then(|index| ALPHABET.get(index)).map(|&letter| char::from(letter))
    };
    letters.take(LENGTH).filter_map(letter).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Made by `openssl passwd -apr1`.
    #[test]
    fn a56_apr1_agrees_with_openssl() {
        for (password, hash) in VECTORS {
            let hash = Apr1::parse(hash).unwrap();
            assert!(hash.is_of(password.as_bytes()), "{password}");
            assert!(!hash.is_of(format!("{password}x").as_bytes()), "{password}");
        }
        assert!(!Apr1::of_nothing().is_of(b""));
    }

    #[test]
    fn what_is_no_apr1_hash_is_refused() {
        let sum = "a".repeat(LENGTH);
        for text in [
            "",
            "salt",
            &format!("saltsaltx${sum}"),
            &format!("salt${sum}a"),
            &format!("s:lt${sum}"),
            "salt$",
        ] {
            assert!(Apr1::parse(text).is_none(), "{text}");
        }
    }

    const VECTORS: [(&str, &str); 5] = [
        ("secret", "lZL6Vci1$tH37qoVYn.hqbdIV0mliI/"),
        ("", "abc$BfqKdn9xFDWJPa3kcp/PH0"),
        ("p", "x$ya00XvwA0viq10Nb5bv6L."),
        ("a longer password than sixteen bytes", "12345678$PQySD5yDpsCiEi/y5IcWE1"),
        ("pässwörd 0123456", "./.$SKq3McxUIzIoR/OFNuCW80"),
    ];
}
