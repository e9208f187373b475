//! Whether a redirect URI is one that was registered (RFC 9700 section 2.1, RFC 8252 section 7.3). Pure. Compared are
//! texts, so that no two readers of URLs can differ about what was compared.

use url::Url;

use crate::config::{Client, RedirectMatch};

/// The longest redirect URI in bytes.
const LONGEST: usize = 2048;

/// Whether the client has registered `wanted`.
pub(super) fn is_registered(client: &Client, wanted: &str) -> bool {
    if !is_plain(wanted) {
        return false;
    }
    client.redirect_uris.iter().any(|registered| {
        wanted == registered
            || is_same_but_for_the_port(registered, wanted)
            || (client.redirect_match == RedirectMatch::Prefix && is_below(registered, wanted))
    })
}

/// Visible ASCII without fragment, user information, backslash and dot segments, in whichever spelling.
fn is_plain(wanted: &str) -> bool {
    let authority = wanted.split_once("://").map_or("", |(_, rest)| before(rest, &['/', '?']));
    wanted.len() <= LONGEST
        && wanted.bytes().all(|byte| byte.is_ascii_graphic())
        && !wanted.contains(['#', '\\'])
        && !authority.contains('@')
        && !before(wanted, &['?']).split('/').any(is_dot_segment)
}

fn is_dot_segment(segment: &str) -> bool {
    matches!(segment.to_ascii_lowercase().replace("%2e", ".").as_str(), "." | "..")
}

/// Programs listen on whichever port of the loopback address is free. `localhost` is a name, which may lead elsewhere.
fn is_same_but_for_the_port(registered: &str, wanted: &str) -> bool {
    ["http://127.0.0.1", "http://[::1]"].iter().any(|loopback| {
        let rest = |uri| after_port(str::strip_prefix(uri, loopback)?);
        match (rest(registered), rest(wanted)) {
            (Some(registered), Some(wanted)) => registered == wanted,
            _ => false,
        }
    })
}

/// What follows `:port`, or all of it if no port is there; `None` if it is no port.
fn after_port(rest: &str) -> Option<&str> {
    let Some(rest) = rest.strip_prefix(':') else {
        return (rest.is_empty() || rest.starts_with(['/', '?'])).then_some(rest);
    };
    let port = before(rest, &['/', '?']);
    let is_port =
        port.bytes().all(|byte| byte.is_ascii_digit()) && port.parse::<u16>().is_ok_and(|port| port != 0);
    if is_port { rest.strip_prefix(port) } else { None }
}

/// The rule of OpenShift: same scheme, host and port; the same path or one below it; any query.
fn is_below(registered: &str, wanted: &str) -> bool {
    let (Ok(own), Ok(url)) = (Url::parse(registered), Url::parse(wanted)) else { return false };
    // Only what browsers write as it is written here, so that they go where we looked.
    let is_normal = url.as_str() == wanted || url.as_str().strip_suffix('/') == Some(wanted);
    let lower = url.path().to_ascii_lowercase();
    if !is_normal || lower.contains("%2f") || lower.contains("%5c") {
        return false;
    }
    let origin =
        |url: &Url| (url.scheme().to_owned(), url.host_str().map(str::to_owned), url.port_or_known_default());
    let below = url
        .path()
        .strip_prefix(own.path())
        .is_some_and(|rest| rest.is_empty() || rest.starts_with('/') || own.path().ends_with('/'));
    own.host_str().is_some() && origin(&own) == origin(&url) && below
}

fn before<'a>(text: &'a str, ends: &[char]) -> &'a str {
    text.split(ends).next().unwrap_or(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn client(uris: &[&str], redirect_match: RedirectMatch) -> Client {
        let redirect_uris = uris.iter().map(|&uri| uri.to_owned()).collect();
        Client { redirect_uris, redirect_match, ..Client::new("app") }
    }

    #[test]
    fn a36_only_the_very_text_that_was_registered_matches() {
        let client = client(&["https://app.example/cb?a=b", "com.example.app:/cb"], RedirectMatch::Exact);
        for (wanted, expected) in [
            ("https://app.example/cb?a=b", true),
            ("com.example.app:/cb", true),
            ("https://app.example/cb", false),
            ("https://app.example/cb?a=b&c=d", false),
            ("https://app.example/cb/?a=b", false),
            ("https://app.example/cb/x?a=b", false),
            ("https://app.example:8443/cb?a=b", false),
            ("https://app.example:443/cb?a=b", false),
            ("https://APP.example/cb?a=b", false),
            ("http://app.example/cb?a=b", false),
            ("https://app.example/cb?a=b#", false),
            ("https://app.example/cb?a=b#x", false),
            ("https://me@app.example/cb?a=b", false),
            ("https://app.example\\@evil.example/cb?a=b", false),
            ("https://evil.example/cb?a=b", false),
            (" https://app.example/cb?a=b", false),
            ("https://app.example/cb?a=b\r\nX: y", false),
            ("", false),
        ] {
            assert_eq!(is_registered(&client, wanted), expected, "{wanted:?}");
        }
    }

    #[test]
    fn a37_loopback_addresses_match_with_any_port() {
        let client = client(&["http://127.0.0.1/callback", "http://[::1]/callback"], RedirectMatch::Exact);
        for (wanted, expected) in [
            ("http://127.0.0.1/callback", true),
            ("http://127.0.0.1:1/callback", true),
            ("http://127.0.0.1:65535/callback", true),
            ("http://[::1]:41234/callback", true),
            ("http://[::1]/callback", true),
            ("http://localhost/callback", false),
            ("http://localhost:41234/callback", false),
            ("http://127.0.0.2:41234/callback", false),
            ("http://127.0.0.1:0/callback", false),
            ("http://127.0.0.1:65536/callback", false),
            ("http://127.0.0.1:/callback", false),
            ("http://127.0.0.1:+1/callback", false),
            ("http://127.0.0.1:80@evil.example/callback", false),
            ("http://127.0.0.1.evil.example/callback", false),
            ("http://127.0.0.1:8/other", false),
            ("http://127.0.0.1:8/callback/x", false),
            ("http://127.0.0.1:8/callback?x", false),
            ("http://127.0.0.1:8/x/../callback", false),
            ("https://127.0.0.1:8/callback", false),
            ("http://2130706433/callback", false),
            ("http://[::ffff:127.0.0.1]/callback", false),
        ] {
            assert_eq!(is_registered(&client, wanted), expected, "{wanted}");
        }
    }

    #[test]
    fn by_prefix_nothing_leaves_the_registered_place() {
        let client = client(
            &["https://app.example/a", "https://dir.example/d/", "https://bare.example"],
            RedirectMatch::Prefix,
        );
        for (wanted, expected) in [
            ("https://app.example/a", true),
            ("https://app.example/a/b", true),
            ("https://app.example/a?x=y", true),
            ("https://dir.example/d/e", true),
            ("https://bare.example", true),
            ("https://bare.example/x", true),
            ("https://app.example/ab", false),
            ("https://app.example/", false),
            ("https://app.example/a/../b", false),
            ("https://app.example/a/%2e%2e/b", false),
            ("https://app.example/a/.%2E/b", false),
            ("https://app.example/a/..%2fb", false),
            ("https://app.example/a/%5c..%5cb", false),
            ("https://app.example/a/b#c", false),
            ("https://app.example:8443/a", false),
            ("https://app.example:443/a", false),
            ("http://app.example/a", false),
            ("https://app.example.evil.example/a", false),
            ("https://bare.example.evil.example/", false),
            ("https://bare.example@evil.example/", false),
            ("https:app.example/a", false),
            ("https://dir.example/d", false),
        ] {
            assert_eq!(is_registered(&client, wanted), expected, "{wanted}");
        }
    }
}
