//! Which language a page is in: what the reader's browser asks for (`Accept-Language`, RFC 9110 section 12.5.4), or
//! what the operator fixed.

use std::str::FromStr;

/// The languages of the catalogue.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Language {
    /// What is shown where nothing else fits.
    #[default]
    English,
    /// Formal address.
    German,
    /// Formal address.
    Spanish,
    /// Formal address.
    French,
    /// Polite style.
    Japanese,
    /// Formal style.
    Korean,
    /// Simplified characters.
    Chinese,
}

impl Language {
    /// All of them, the default first.
    pub const ALL: [Self; 7] = [
        Self::English,
        Self::German,
        Self::Spanish,
        Self::French,
        Self::Japanese,
        Self::Korean,
        Self::Chinese,
    ];

    /// For the attribute `lang` and `Content-Language` (RFC 5646).
    pub const fn tag(self) -> &'static str {
        match self {
            Self::English => "en",
            Self::German => "de",
            Self::Spanish => "es",
            Self::French => "fr",
            Self::Japanese => "ja",
            Self::Korean => "ko",
            Self::Chinese => "zh",
        }
    }

    /// For the attribute `dir`.
    pub const fn direction(self) -> &'static str {
        match self {
            Self::English
            | Self::German
            | Self::Spanish
            | Self::French
            | Self::Japanese
            | Self::Korean
            | Self::Chinese => "ltr",
        }
    }

    fn of_tag(tag: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|language| language.tag().eq_ignore_ascii_case(tag))
    }

    /// The language for a reader whose browser sent these `Accept-Language` lines. Ranges count by their weight, then in
    /// their order, and fall back from the right (`de-AT` is German, as in RFC 4647 section 3.4). What is weighted 0 is
    /// not shown as long as anything else can be. What cannot be read is skipped; with nothing left it is English.
    pub fn accepted<'a>(lines: impl IntoIterator<Item = &'a str>) -> Self {
        let items = lines.into_iter().flat_map(|line| line.split(','));
        let ranges: Vec<Range<'_>> = items.filter_map(Range::parse).take(MOST_RANGES).collect();
        let is_refused =
            |language: Self| ranges.iter().any(|range| range.weight == 0 && range.is_exactly(language));
        let mut best: Option<(u16, Self)> = None;
        for range in &ranges {
            let found = if range.tag == "*" {
                // Whatever no other range speaks of.
                let is_named = |language| ranges.iter().any(|other| other.language() == Some(language));
                Self::ALL.into_iter().find(|&language| !is_named(language))
            } else {
                range.language().filter(|&language| !is_refused(language))
            };
            if let Some(found) = found
                && best.is_none_or(|(weight, _)| weight < range.weight)
                && range.weight != 0
            {
                best = Some((range.weight, found));
            }
        }
        best.map_or(Self::English, |(_, language)| language)
    }
}

/// More ranges than a browser ever sends.
const MOST_RANGES: usize = 64;

/// A language range and its weight in thousandths.
struct Range<'a> {
    tag: &'a str,
    weight: u16,
}

impl<'a> Range<'a> {
    fn parse(item: &'a str) -> Option<Self> {
        let (tag, parameter) = match item.split_once(';') {
            Some((tag, parameter)) => (tag.trim(), Some(parameter.trim())),
            None => (item.trim(), None),
        };
        let is_subtag = |subtag: &str| {
            (1..=8).contains(&subtag.len()) && subtag.bytes().all(|b| b.is_ascii_alphanumeric())
        };
        let is_range = tag == "*" || tag.split('-').all(is_subtag);
        let weight = match parameter {
            None => Some(1000),
            Some(parameter) => weight(parameter),
        };
        Some(Self { tag, weight: weight? }).filter(|_| is_range)
    }

    fn language(&self) -> Option<Language> {
        Language::of_tag(self.tag.split('-').next().unwrap_or(""))
    }

    fn is_exactly(&self, language: Language) -> bool {
        self.tag.eq_ignore_ascii_case(language.tag())
    }
}

/// `q=0.5` in thousandths (RFC 9110 section 12.4.2).
fn weight(parameter: &str) -> Option<u16> {
    let (name, value) = parameter.split_once('=')?;
    let (whole, fraction) = value.trim_start().split_once('.').unwrap_or((value.trim_start(), ""));
    let is_fraction = fraction.len() <= 3 && fraction.bytes().all(|digit| digit.is_ascii_digit());
    if !name.trim_end().eq_ignore_ascii_case("q") || !is_fraction {
        return None;
    }
    let thousandths: u16 = format!("{fraction:0<3}").parse().ok()?;
    match (whole, thousandths) {
        ("0", thousandths) => Some(thousandths),
        ("1", 0) => Some(1000),
        _ => None,
    }
}

/// How the language of a page is found.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum PageLanguage {
    /// As the reader's browser asks.
    #[default]
    Asked,
    /// The operator says which.
    Fixed(Language),
}

impl PageLanguage {
    /// The language for a reader whose browser sent these `Accept-Language` lines.
    pub fn of<'a>(self, lines: impl IntoIterator<Item = &'a str>) -> Language {
        match self {
            Self::Asked => Language::accepted(lines),
            Self::Fixed(language) => language,
        }
    }
}

/// Not the name of a language of the catalogue.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("it is none of auto, en, de, es, fr, ja, ko and zh")]
pub struct UnknownLanguage;

impl FromStr for PageLanguage {
    type Err = UnknownLanguage;

    /// `auto` (or nothing), or the tag of a language.
    fn from_str(text: &str) -> Result<Self, UnknownLanguage> {
        match text {
            "" | "auto" => Ok(Self::Asked),
            tag => Language::of_tag(tag).map(Self::Fixed).ok_or(UnknownLanguage),
        }
    }
}
