//! Sessions too long for one cookie (wire-formats, section 4).

use std::borrow::Cow;

use http::HeaderValue;

use super::config::{CookieName, MAX_NAME_BYTES};
use super::request::RequestCookies;
use super::set_cookie::Attributes;
use crate::codec::v7::envelope;

/// The lines that set `value` under `name`, in as many parts as it takes, and the names used.
/// Nothing if it would take more than [`MAX_PARTS`].
pub(crate) fn lines(
    name: &CookieName,
    value: &str,
    attributes: &Attributes,
) -> Option<(Vec<HeaderValue>, Vec<String>)> {
    let name = name.as_str();
    if attributes.length(name, value) <= MAX_LINE_BYTES {
        return Some((vec![attributes.set(name, value)], vec![name.to_owned()]));
    }
    let (mut lines, mut names) = (Vec::new(), Vec::new());
    let mut rest = value;
    while !rest.is_empty() {
        if lines.len() == MAX_PARTS {
            return None;
        }
        let part_name = part_name(name, lines.len());
        let room = MAX_LINE_BYTES.checked_sub(attributes.length(&part_name, "")).filter(|&room| room > 0)?;
        let (part, tail) = rest.split_at_checked(room.min(rest.len()))?;
        lines.push(attributes.set(&part_name, part));
        names.push(part_name);
        rest = tail;
    }
    Some((lines, names))
}

/// The parts of `name` in a request from the first on, as far as there is no gap, put together. Nothing if there are
/// none.
///
/// A name may be there more than once: another site on the same domain can set a cookie under it, which browsers may
/// send before ours. `occurrence` counts from zero and says which of each name to take, the last where there are
/// fewer; nothing if that would be the same as with a smaller number.
pub(crate) fn joined<'a>(
    cookies: &RequestCookies<'a>,
    name: &CookieName,
    occurrence: usize,
) -> Option<Cow<'a, [u8]>> {
    let name = name.as_str();
    let mut parts: [Option<&[u8]>; MAX_PARTS] = [None; MAX_PARTS];
    let mut seen = [0_usize; MAX_PARTS];
    let mut differs = occurrence == 0;
    for (other, value) in cookies.iter() {
        let Some(index) = part_index(other, name) else { continue };
        let (Some(part), Some(seen)) = (parts.get_mut(index), seen.get_mut(index)) else { continue };
        if *seen <= occurrence {
            *part = Some(value);
        }
        differs |= *seen == occurrence;
        *seen += 1;
    }
    if differs { join(&parts) } else { None }
}

/// Whether a cookie called `other` is `name` itself or a part of it, whatever its number.
pub(crate) fn is_ours(other: &[u8], name: &CookieName) -> bool {
    other == name.as_str().as_bytes() || part_index(other, name.as_str()).is_some()
}

fn join<'a>(parts: &[Option<&'a [u8]>]) -> Option<Cow<'a, [u8]>> {
    let present = || parts.iter().map_while(|part| *part);
    let first = present().next()?;
    if parts.get(1).is_none_or(Option::is_none) {
        return Some(first.into());
    }
    let mut joined = Vec::with_capacity(present().map(<[u8]>::len).sum());
    let mut ends = Vec::new();
    for part in present() {
        joined.extend_from_slice(part);
        ends.push(joined.len());
    }
    // A session saved in fewer parts than before may have left a tail in the browser (bugs-not-to-copy, C8). A value
    // says itself where it ends; if that is where a part ends, what follows is such a tail.
    if let Some(end) = envelope::end_of_value(&joined).filter(|end| ends.contains(end)) {
        joined.truncate(end);
    }
    Some(joined.into())
}

fn part_name(name: &str, index: usize) -> String {
    let suffix = format!("_{index}");
    let base = name.get(..MAX_NAME_BYTES.saturating_sub(suffix.len()).min(name.len())).unwrap_or(name);
    format!("{base}{suffix}")
}

/// Which part of `name` a cookie called `other` is.
pub(crate) fn part_index(other: &[u8], name: &str) -> Option<usize> {
    // Nearly every cookie of a request ends here.
    let start = name.len().min(MAX_NAME_BYTES - 20);
    if other.get(..start)? != name.as_bytes().get(..start)? {
        return None;
    }
    let digits = other.iter().rev().take_while(|byte| byte.is_ascii_digit()).count();
    let (base, number) = other.split_at_checked(other.len().checked_sub(digits)?)?;
    let base = base.strip_suffix(b"_")?;
    if number.is_empty() || number.len() > 9 || (number.len() > 1 && number.starts_with(b"0")) {
        return None;
    }
    let room = MAX_NAME_BYTES.checked_sub(number.len() + 1)?;
    if base != name.as_bytes().get(..room.min(name.len()))? {
        return None;
    }
    std::str::from_utf8(number).ok()?.parse().ok()
}

/// The longest Set-Cookie text that every browser takes, with some room.
const MAX_LINE_BYTES: usize = 4000;
/// Servers refuse headers long before that many parts.
pub(crate) const MAX_PARTS: usize = 32;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn part_names_and_numbers_are_each_others_inverse_and_never_too_long() {
        for length in [1, 13, 235, 236, 237, 253, 254, 255, 256] {
            let name = "n".repeat(length);
            for index in [0, 1, 9, 10, 31, 99] {
                let part = part_name(&name, index);
                assert!(part.len() <= MAX_NAME_BYTES);
                assert_eq!(part_index(part.as_bytes(), &name), Some(index), "{length} {index}");
            }
        }
        assert_eq!(part_name("_oauth2_proxy", 3), "_oauth2_proxy_3");
    }

    #[test]
    fn repeated_parts_are_joined_one_occurrence_after_the_other() {
        let line = "n_0=bad; n_0=a; x=1; n_1=bad; n_1=worse; n_1=b; n_3=gap; n=single";
        let headers = http::HeaderMap::from_iter([(http::header::COOKIE, line.parse().unwrap())]);
        let cookies = RequestCookies::new(&headers);
        let name = CookieName::try_from("n").unwrap();
        let text = |occurrence| {
            joined(&cookies, &name, occurrence).map(|text| String::from_utf8(text.into_owned()).unwrap())
        };
        let all: Vec<_> = (0..5).map(text).collect();
        let expected = [Some("badbad"), Some("aworse"), Some("ab"), None, None];
        assert_eq!(all, expected.map(|text| text.map(str::to_owned)));
    }

    #[test]
    fn other_cookies_are_no_parts() {
        for other in
            ["n", "n_", "n_x", "n_0x", "n_00", "n_01", "m_0", "nn_0", "n_-1", "n_0_csrf", "n_9999999999", ""]
        {
            assert_eq!(part_index(other.as_bytes(), "n"), None, "{other}");
        }
    }
}
