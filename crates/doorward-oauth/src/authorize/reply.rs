//! How an answer gets to the client: through the browser, in the query or fragment of its redirect URI or in a form.
//! Parameters stand in alphabetical order: fabric8 cuts the token out between two of them (norm A3.7).

use std::collections::BTreeMap;

use doorward_core::SecretString;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use url::Url;

/// Tokens stay as they are: fabric8 takes them as they stand in the address.
const OUTSIDE_VALUES: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// Where and how a client gets its answer. The redirect URI is a registered one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Reply {
    pub(super) redirect_uri: String,
    pub(super) mode: Mode,
    pub(super) state: Option<String>,
}

/// `response_mode` (OAuth 2.0 Multiple Response Types, Form Post Response Mode).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mode {
    Query,
    Fragment,
    FormPost,
}

impl Mode {
    pub(super) fn parse(name: &str) -> Option<Self> {
        match name {
            "query" => Some(Self::Query),
            "fragment" => Some(Self::Fragment),
            "form_post" => Some(Self::FormPost),
            _ => None,
        }
    }
}

/// What the browser is given.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Delivery {
    /// 302 to there. It holds codes and tokens.
    Redirect(SecretString),
    /// A page with a form that goes there.
    Form { action: String, fields: Vec<(String, SecretString)> },
}

impl Reply {
    pub(crate) fn redirect_uri(&self) -> &str {
        &self.redirect_uri
    }

    /// The answer with these parameters and those that every answer has: `state`, and who answers (RFC 9207).
    pub(crate) fn deliver(&self, issuer: &str, parameters: &[(&str, &str)]) -> Delivery {
        let mut all: BTreeMap<&str, &str> = parameters.iter().copied().collect();
        all.insert("iss", issuer);
        if let Some(state) = &self.state {
            all.insert("state", state);
        }
        let pair =
            |(name, value): (&&str, &&str)| format!("{name}={}", utf8_percent_encode(value, OUTSIDE_VALUES));
        let encoded = || all.iter().map(pair).collect::<Vec<_>>().join("&");
        let uri = &self.redirect_uri;
        match self.mode {
            Mode::Query if uri.ends_with('?') => Delivery::Redirect(format!("{uri}{}", encoded()).into()),
            Mode::Query if uri.contains('?') => Delivery::Redirect(format!("{uri}&{}", encoded()).into()),
            Mode::Query => Delivery::Redirect(format!("{uri}?{}", encoded()).into()),
            Mode::Fragment => Delivery::Redirect(format!("{uri}#{}", encoded()).into()),
            Mode::FormPost => {
                let field = |(name, value): (&str, &str)| (name.to_owned(), SecretString::from(value));
                Delivery::Form { action: uri.clone(), fields: all.into_iter().map(field).collect() }
            }
        }
    }

    /// What a page has to name in `form-action` if its form ends at the client.
    pub(crate) fn form_target(&self) -> String {
        form_target(&self.redirect_uri)
    }

    /// Where the client is, for people: its host, or what stands for it.
    pub(crate) fn place(&self) -> String {
        place(&self.redirect_uri)
    }
}

/// Where `uri` leads to, for people.
pub(crate) fn place(uri: &str) -> String {
    let Ok(url) = Url::parse(uri) else { return String::new() };
    match (url.host_str(), url.port()) {
        (Some(host), Some(port)) => format!("{host}:{port}"),
        (Some(host), None) if !host.is_empty() => host.to_owned(),
        _ => format!("{}:", url.scheme()),
    }
}

/// What a page has to name in `form-action` if its form ends at `uri`.
pub(crate) fn form_target(uri: &str) -> String {
    let Ok(url) = Url::parse(uri) else { return String::new() };
    let scheme = format!("{}:", url.scheme());
    match url.host() {
        // Policies have no way to write an IPv6 address.
        Some(url::Host::Ipv6(_)) | None => scheme,
        Some(_) if url.origin().is_tuple() => url.origin().ascii_serialization(),
        Some(_) => scheme,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reply(uri: &str, mode: Mode) -> Reply {
        Reply { redirect_uri: uri.to_owned(), mode, state: Some("a b&\r\nX: y".to_owned()) }
    }

    #[test]
    fn parameters_are_in_alphabetical_order_and_cannot_leave_their_place() {
        let state = "state=a%20b%26%0D%0AX%3A%20y";
        let iss = "iss=https%3A%2F%2Fauth.example.com";
        for (uri, mode, expected) in [
            ("https://g/login", Mode::Query, format!("https://g/login?code=c~%2B&{iss}&{state}&z=1")),
            ("https://g/login?a=b", Mode::Query, format!("https://g/login?a=b&code=c~%2B&{iss}&{state}&z=1")),
            ("https://g/login?", Mode::Query, format!("https://g/login?code=c~%2B&{iss}&{state}&z=1")),
            ("https://g/login?a", Mode::Fragment, format!("https://g/login?a#code=c~%2B&{iss}&{state}&z=1")),
        ] {
            let sent = reply(uri, mode).deliver("https://auth.example.com", &[("z", "1"), ("code", "c~+")]);
            assert_eq!(sent, Delivery::Redirect(expected.into()));
        }
        let form = reply("https://g/login", Mode::FormPost).deliver("https://i", &[("code", "c")]);
        let Delivery::Form { action, fields } = form else { panic!("{form:?}") };
        let names: Vec<&str> = fields.iter().map(|(name, _)| name.as_str()).collect();
        assert_eq!((action.as_str(), names.as_slice()), ("https://g/login", &["code", "iss", "state"][..]));
    }

    #[test]
    fn a_page_names_the_place_that_its_form_ends_at() {
        for (uri, target, place) in [
            ("https://g.example:8443/login?x", "https://g.example:8443", "g.example:8443"),
            ("https://g.example/login", "https://g.example", "g.example"),
            ("http://127.0.0.1:4000/cb", "http://127.0.0.1:4000", "127.0.0.1:4000"),
            ("http://[::1]:4000/cb", "http:", "[::1]:4000"),
            ("com.example.app:/cb", "com.example.app:", "com.example.app:"),
            ("myapp://cb/x", "myapp:", "cb"),
        ] {
            let reply = reply(uri, Mode::Query);
            assert_eq!((reply.form_target().as_str(), reply.place().as_str()), (target, place), "{uri}");
        }
    }
}
