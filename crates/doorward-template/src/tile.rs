//! A neutral mark for something that has a name and no logo: its first letter, on one of a few colours. Logos of providers
//! are trademarks, and a page of ours fetches nothing from others.

/// How many colours style sheets have: their classes are `tile-0` to `tile-5`.
const COLOURS: u32 = 6;

/// A letter and the class of its colour. The same name always looks the same.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tile {
    /// One letter or digit, in upper case; `•` where the name has none.
    pub letter: String,
    /// The class of a style sheet.
    pub class: String,
}

impl Tile {
    /// The mark for `name`.
    pub fn of(name: &str) -> Self {
        let first = name.chars().find(|letter| letter.is_alphanumeric());
        let letter = first.map_or_else(|| "•".to_owned(), |letter| letter.to_uppercase().collect());
        let sum = name.bytes().fold(7_u32, |sum, byte| sum.wrapping_mul(31).wrapping_add(u32::from(byte)));
        Self { letter, class: format!("tile-{}", sum % COLOURS) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_has_one_letter_and_one_colour() {
        for (name, letter) in [
            ("Keycloak", "K"),
            ("google", "G"),
            ("  (x)", "X"),
            ("1Login", "1"),
            ("会社", "会"),
            ("ärger", "Ä"),
            ("שלום", "ש"),
            ("<>\"&", "•"),
            ("", "•"),
        ] {
            let tile = Tile::of(name);
            assert_eq!((tile.letter.as_str(), tile == Tile::of(name)), (letter, true), "{name}");
            let colour = tile.class.strip_prefix("tile-").and_then(|colour| colour.parse::<u32>().ok());
            assert!(colour.is_some_and(|colour| colour < COLOURS), "{tile:?}");
        }
    }
}
