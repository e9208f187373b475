//! What keeps a browser from sending our cookies back. Nobody tells: the cookie is just not there. So the settings are
//! compared with how the browser came.

use super::config::{CookieConfig, CookieTransport, SameSite};
use super::request::RequestCookies;
use super::set_cookie::{belongs, without_port};
use super::split::part_index;

/// The settings of our cookies that browsers judge.
#[derive(Clone, Debug)]
pub struct CookieRules {
    name: String,
    path: String,
    domains: Vec<String>,
    transport: CookieTransport,
    session: SameSite,
    login: SameSite,
}

/// Which of our cookies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CookieKind {
    Session,
    Login,
}

/// How a browser comes that should have sent one.
#[derive(Clone, Copy, Debug)]
pub struct Coming<'a> {
    /// `Host`, with or without port.
    pub host: &'a str,
    pub path: &'a str,
    /// Whether it is known to use plain HTTP.
    pub transport: Transport,
    pub way: Way,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Transport {
    PlainHttp,
    /// Or nobody knows.
    Https,
}

/// How another site led here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    Followed,
    /// It sent a form (`response_mode=form_post`).
    Posted,
}

/// Why a browser keeps or sends no cookie of ours.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Obstacle {
    /// `Secure`, and it came over plain HTTP.
    PlainHttp,
    /// The host belongs to none of these domains.
    OtherDomain { domains: Vec<String> },
    /// The path is not below this one.
    OtherPath { path: String },
    /// `SameSite=Strict`, and another site led here.
    Strict,
    /// Not `SameSite=None`, and another site sent a form.
    Posted,
    /// `SameSite=None` without `Secure`, which browsers refuse.
    NoneInsecure,
}

/// What of a session came with a request, by the names of its cookies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Presented {
    Nothing,
    /// Some part of it, and an earlier one not.
    Incomplete,
    Something,
}

impl CookieRules {
    pub fn new(config: &CookieConfig) -> Self {
        Self {
            name: config.name.as_str().to_owned(),
            path: config.path.clone(),
            domains: config.domains.clone(),
            transport: config.transport,
            session: config.same_site,
            login: config.csrf_same_site.unwrap_or(config.same_site),
        }
    }

    /// The name of the session cookie.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// What keeps this browser from sending the cookie, if the settings alone do.
    pub fn obstacle(&self, kind: CookieKind, coming: &Coming<'_>) -> Option<Obstacle> {
        let same_site = match kind {
            CookieKind::Session => self.session,
            CookieKind::Login => self.login,
        };
        let host = without_port(coming.host);
        // Browsers trust their own machine without TLS.
        let is_here = host == "localhost" || host.ends_with(".localhost");
        let is_secure = self.transport == CookieTransport::HttpsOnly;
        if is_secure && coming.transport == Transport::PlainHttp && !is_here {
            Some(Obstacle::PlainHttp)
        } else if !self.covers(host) {
            Some(Obstacle::OtherDomain { domains: self.domains.clone() })
        } else if !is_below(coming.path, &self.path) {
            Some(Obstacle::OtherPath { path: self.path.clone() })
        } else if same_site == SameSite::None && !is_secure {
            Some(Obstacle::NoneInsecure)
        } else if same_site == SameSite::Strict {
            Some(Obstacle::Strict)
        } else if coming.way == Way::Posted && same_site != SameSite::None {
            Some(Obstacle::Posted)
        } else {
            None
        }
    }

    /// Whether one cookie serves both hosts.
    pub fn is_shared(&self, one: &str, other: &str) -> bool {
        let (one, other) = (without_port(one), without_port(other));
        let is_of = |host: &str, domain: &String| belongs(host, domain.trim_start_matches('.'));
        one.eq_ignore_ascii_case(other)
            || self.domains.iter().any(|domain| is_of(one, domain) && is_of(other, domain))
    }

    fn covers(&self, host: &str) -> bool {
        self.domains.is_empty()
            || self.domains.iter().any(|domain| belongs(host, domain.trim_start_matches('.')))
    }

    /// What of a session came.
    pub fn presented(&self, cookies: &RequestCookies<'_>) -> Presented {
        let mut parts: Vec<usize> = Vec::new();
        for (name, _) in cookies.iter() {
            if name == self.name.as_bytes() {
                return Presented::Something;
            }
            parts.extend(part_index(name, &self.name));
        }
        parts.sort_unstable();
        parts.dedup();
        match parts.last() {
            None => Presented::Nothing,
            Some(last) if last + 1 == parts.len() => Presented::Something,
            Some(_) => Presented::Incomplete,
        }
    }
}

/// RFC 6265 section 5.1.4.
fn is_below(path: &str, cookie_path: &str) -> bool {
    // Browsers take a path that does not begin so for that of the page; who knows which.
    if !cookie_path.starts_with('/') {
        return true;
    }
    path.strip_prefix(cookie_path)
        .is_some_and(|rest| rest.is_empty() || rest.starts_with('/') || cookie_path.ends_with('/'))
}

#[cfg(test)]
mod tests {
    use super::*;

    const LAX: CookieRules = CookieRules {
        name: String::new(),
        path: String::new(),
        domains: Vec::new(),
        transport: CookieTransport::Any,
        session: SameSite::Lax,
        login: SameSite::Lax,
    };

    #[test]
    fn settings_that_keep_a_cookie_away_are_found() {
        let rules = CookieRules { path: "/".to_owned(), ..LAX };
        let coming = Coming {
            host: "app.example.com:8080",
            path: "/oauth2/callback",
            transport: Transport::PlainHttp,
            way: Way::Followed,
        };
        let secure = CookieRules { transport: CookieTransport::HttpsOnly, ..rules.clone() };
        let domain = |name: &str| CookieRules { domains: vec![name.to_owned()], ..rules.clone() };
        let path = |path: &str| CookieRules { path: path.to_owned(), ..rules.clone() };
        let strict = CookieRules { login: SameSite::Strict, ..rules.clone() };
        let none = CookieRules { login: SameSite::None, ..rules.clone() };
        let here = Coming { host: "localhost:1", ..coming };
        let posted = Coming { way: Way::Posted, ..coming };
        for (rules, coming, expected) in [
            (&rules, coming, None),
            (&secure, coming, Some(Obstacle::PlainHttp)),
            (&secure, Coming { transport: Transport::Https, ..coming }, None),
            (&secure, here, None),
            (&domain(".example.com"), coming, None),
            (
                &domain("example.org"),
                coming,
                Some(Obstacle::OtherDomain { domains: vec!["example.org".to_owned()] }),
            ),
            (&path("/oauth2"), coming, None),
            (&path("/oauth"), coming, Some(Obstacle::OtherPath { path: "/oauth".to_owned() })),
            (&strict, coming, Some(Obstacle::Strict)),
            (&none, coming, Some(Obstacle::NoneInsecure)),
            (&rules, posted, Some(Obstacle::Posted)),
        ] {
            assert_eq!(rules.obstacle(CookieKind::Login, &coming), expected, "{rules:?}");
        }
        assert!(domain("example.com").is_shared("a.example.com", "b.example.com:1"));
        assert!(!domain("a.example.com").is_shared("a.example.com", "b.example.com"));
        assert!(rules.is_shared("a.example.com", "A.example.com:8080"));
    }

    #[test]
    fn parts_that_are_missing_are_noticed() {
        let rules = CookieRules { name: "_s".to_owned(), ..LAX };
        for (line, expected) in [
            ("a=1", Presented::Nothing),
            ("_s_csrf=1", Presented::Nothing),
            ("_s=1", Presented::Something),
            ("_s_0=1; _s_1=2", Presented::Something),
            ("_s_1=2", Presented::Incomplete),
            ("_s_0=1; _s_2=2", Presented::Incomplete),
        ] {
            let mut headers = http::HeaderMap::new();
            headers.insert(http::header::COOKIE, http::HeaderValue::from_static(line));
            assert_eq!(rules.presented(&RequestCookies::new(&headers)), expected, "{line}");
        }
    }
}
