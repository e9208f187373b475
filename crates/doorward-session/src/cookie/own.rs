//! The cookies that are ours, for those who must not see them.

use http::{HeaderMap, HeaderValue, header::COOKIE};

use super::split::part_index;

/// Recognises our cookies by name: session, its parts, and those of logins under way and lately finished.
#[derive(Clone, Debug)]
pub struct OwnCookies {
    session: String,
}

impl OwnCookies {
    /// Those that belong to the session cookie of this name.
    pub fn of(session: &str) -> Self {
        Self { session: session.to_owned() }
    }

    /// Takes ours out of a request and leaves all others as they were written.
    pub fn remove_from(&self, headers: &mut HeaderMap) {
        let kept: Vec<HeaderValue> =
            headers.get_all(COOKIE).iter().filter_map(|line| self.others(line)).collect();
        headers.remove(COOKIE);
        for line in kept {
            headers.append(COOKIE, line);
        }
    }

    fn others(&self, line: &HeaderValue) -> Option<HeaderValue> {
        let pieces = || line.as_bytes().split(|byte| *byte == b';').map(<[u8]>::trim_ascii);
        if !pieces().any(|piece| self.is_ours(piece)) {
            return Some(line.clone());
        }
        let others: Vec<&[u8]> = pieces().filter(|piece| !self.is_ours(piece)).collect();
        HeaderValue::from_bytes(&others.join(&b"; "[..])).ok().filter(|line| !line.is_empty())
    }

    fn is_ours(&self, piece: &[u8]) -> bool {
        let name = piece.split(|byte| *byte == b'=').next().unwrap_or(piece).trim_ascii_end();
        let login = name
            .strip_prefix(self.session.as_bytes())
            .is_some_and(|rest| rest.first() == Some(&b'_') && rest.ends_with(b"_csrf"));
        let round = name.strip_prefix(self.session.as_bytes()) == Some(&b"_loop"[..]);
        login || round || name == self.session.as_bytes() || part_index(name, &self.session).is_some()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn our_cookies_go_and_all_others_stay_as_they_were() {
        for (line, expected) in [
            ("a=1; _s=x; b=\"2;\"", Some("a=1; b=\"2; \"")),
            ("a=1;b=2;  c", Some("a=1;b=2;  c")),
            ("_s=x", None),
            ("_s_0=x; _s_1=y; _s_csrf=z; _s_loop=1.2; _s_AAAAAAAA_csrf=z; _s", None),
            ("_s_x=1; _sx=2; x_s=3; _s_=4; _scsrf=5", Some("_s_x=1; _sx=2; x_s=3; _s_=4; _scsrf=5")),
        ] {
            let mut headers = HeaderMap::new();
            headers.append(COOKIE, HeaderValue::from_static(line));
            OwnCookies::of("_s").remove_from(&mut headers);
            let left = headers.get(COOKIE).map(|line| line.to_str().unwrap());
            assert_eq!(left, expected, "{line}");
        }
    }
}
