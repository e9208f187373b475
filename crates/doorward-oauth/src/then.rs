//! Where to go after signing in: a place on this server, as the query or a form names it (norm A3.5). Pure.

use doorward_core::redirect::AllowedHosts;

/// The longest in bytes; the request to the authorization endpoint is part of it.
const LONGEST: usize = 12 * 1024;

/// A target on this server: a path, perhaps with a query. No control characters, no way to another host.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Then(String);

impl Then {
    /// What was asked for if it is safe, else the root.
    pub(crate) fn parse(wanted: Option<&str>) -> Self {
        let safe = |target: &&str| {
            target.len() <= LONGEST
                && target.starts_with('/')
                && target.bytes().all(|byte| byte.is_ascii_graphic())
                && AllowedHosts::default().check(target).is_ok()
        };
        Self(wanted.filter(safe).unwrap_or("/").to_owned())
    }

    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }

    /// The query, if this is the path.
    pub(crate) fn query_of(&self, path: &str) -> Option<&str> {
        self.0.strip_prefix(path)?.strip_prefix('?')
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a46_whatever_could_leave_the_server_leads_to_its_root() {
        let long = format!("/{}", "x".repeat(LONGEST));
        for (wanted, safe) in [
            ("/oauth/authorize?client_id=a&redirect_uri=https%3A%2F%2Fa.example%2F", true),
            ("/", true),
            ("/x?y=//z", false),
            ("/app/page?x=1", true),
            ("//evil.example", false),
            ("/\\evil.example", false),
            ("\\/evil.example", false),
            ("/%0d%0aX", false),
            ("/\r\nX: y", false),
            ("/\tx", false),
            ("/%09/evil.example", false),
            ("https://evil.example", false),
            ("https:evil.example", false),
            ("javascript:alert(1)", false),
            ("evil", false),
            ("/a//b", false),
            ("/../x", false),
            ("/\u{2028}", false),
            (" /x", false),
            ("", false),
            (&long, false),
        ] {
            let expected = if safe { wanted } else { "/" };
            assert_eq!(Then::parse(Some(wanted)).as_str(), expected, "{wanted:?}");
        }
        assert_eq!(Then::parse(None).as_str(), "/");
    }

    #[test]
    fn the_query_belongs_to_the_very_path() {
        let then = Then::parse(Some("/oauth/authorize?a=b"));
        assert_eq!(then.query_of("/oauth/authorize"), Some("a=b"));
        assert_eq!(then.query_of("/oauth/auth"), None);
        assert_eq!(Then::parse(None).query_of("/oauth/authorize"), None);
    }
}
