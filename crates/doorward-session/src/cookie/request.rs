//! The cookies of a request, found again by scanning each time: nothing is copied or collected.

use http::header::{COOKIE, HeaderMap};
use memchr::memchr;

/// The cookies of a request, over all its Cookie lines. Only the first `MAX_BYTES` of them are looked at.
#[derive(Clone, Debug)]
pub struct RequestCookies<'a> {
    headers: &'a HeaderMap,
}

impl<'a> RequestCookies<'a> {
    /// The cookies in these headers.
    pub fn new(headers: &'a HeaderMap) -> Self {
        Self { headers }
    }

    /// The value of the first cookie called `name`, without quotes around it.
    pub fn get(&self, name: &str) -> Option<&'a [u8]> {
        self.all(name).next()
    }

    /// The values of all cookies called `name`, in order.
    pub fn all<'n>(&self, name: &'n str) -> impl Iterator<Item = &'a [u8]> + use<'a, 'n> {
        self.iter().filter(move |(other, _)| *other == name.as_bytes()).map(|(_, value)| value)
    }

    /// Names and values in order. A piece without `=` is no cookie.
    pub fn iter(&self) -> impl Iterator<Item = (&'a [u8], &'a [u8])> + use<'a> {
        let lines = self.headers.get_all(COOKIE).iter().map(http::HeaderValue::as_bytes);
        let within_limit = lines.scan(MAX_BYTES, |left, line| {
            *left = left.checked_sub(line.len())?;
            Some(line)
        });
        within_limit.flat_map(|line| Pieces { rest: Some(line) }).filter_map(name_and_value)
    }
}

/// A line cut at its semicolons.
struct Pieces<'a> {
    rest: Option<&'a [u8]>,
}

impl<'a> Iterator for Pieces<'a> {
    type Item = &'a [u8];

    fn next(&mut self) -> Option<&'a [u8]> {
        let rest = self.rest.take()?;
        let Some((piece, tail)) = memchr(b';', rest).and_then(|at| rest.split_at_checked(at)) else {
            return Some(rest);
        };
        self.rest = tail.get(1..);
        Some(piece)
    }
}

fn name_and_value(piece: &[u8]) -> Option<(&[u8], &[u8])> {
    let piece = piece.trim_ascii();
    let (name, value) = piece.split_at_checked(memchr(b'=', piece)?)?;
    let value = match value.get(1..)? {
        [b'"', inner @ .., b'"'] => inner,
        value => value,
    };
    Some((name.trim_ascii_end(), value))
}

/// Bounds the work a request can cause; servers refuse such headers long before.
pub(crate) const MAX_BYTES: usize = 256 * 1024;

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(lines: &[&str]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for line in lines {
            headers.append(COOKIE, line.parse().unwrap());
        }
        headers
    }

    #[track_caller]
    fn check(lines: &[&str], expected: &[(&str, &str)]) {
        let headers = headers(lines);
        let text = |bytes| std::str::from_utf8(bytes).unwrap();
        let found: Vec<_> =
            RequestCookies::new(&headers).iter().map(|(name, value)| (text(name), text(value))).collect();
        assert_eq!(found, expected);
    }

    #[test]
    fn cookies_are_pieces_with_an_equals_sign() {
        check(&[], &[]);
        check(&[""], &[]);
        check(&["a=1"], &[("a", "1")]);
        check(&["a=1; b=2;c=3"], &[("a", "1"), ("b", "2"), ("c", "3")]);
        check(&["a=1;; ;b;=3;c="], &[("a", "1"), ("", "3"), ("c", "")]);
        check(&[" a = x=y "], &[("a", " x=y")]);
        check(&["a=\"q\"; b=\"; c=\"\""], &[("a", "q"), ("b", "\""), ("c", "")]);
    }

    #[test]
    fn several_lines_are_one_list_and_the_first_of_a_name_counts() {
        check(&["a=1", "b=2; a=3"], &[("a", "1"), ("b", "2"), ("a", "3")]);
        let headers = headers(&["b=2; aa=0", "a=1; a=3"]);
        let cookies = RequestCookies::new(&headers);
        assert_eq!(cookies.get("a"), Some(&b"1"[..]));
        assert_eq!(cookies.all("a").count(), 2);
        assert_eq!(cookies.get("A"), None);
        assert_eq!(cookies.get(""), None);
    }

    #[test]
    fn lines_beyond_the_limit_are_not_looked_at() {
        let long = format!("a={}", "x".repeat(MAX_BYTES));
        let headers = headers(&["b=1", &long, "c=2"]);
        let cookies = RequestCookies::new(&headers);
        assert!(cookies.get("b").is_some());
        assert!(cookies.get("a").is_none());
        assert!(cookies.get("c").is_none());
    }
}
