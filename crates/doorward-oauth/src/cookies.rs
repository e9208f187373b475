//! The cookies of this server: the session, and one that ties forms and logins to the browser. Over TLS their names begin
//! with `__Host-`, so that no other host can set them (RFC 6265bis section 4.1.3.2). Browsers refuse such cookies over
//! plain http, which a loopback issuer may use; there the names go without.

use aws_lc_rs::{constant_time, digest, rand};
use base64_simd::URL_SAFE_NO_PAD;
use doorward_core::SecretString;
use http::{HeaderMap, HeaderValue, header::COOKIE};

use crate::config::Config;

const HOST_PREFIX: &str = "__Host-";
/// 32 bytes in base64url.
const LENGTH: usize = 43;
/// A browser that sends more under one name is not worth looking at.
const MOST_OF_A_NAME: usize = 4;

/// How cookies are called and marked.
#[derive(Clone, Debug)]
pub(crate) struct Cookies {
    session: String,
    browser: String,
    transport: Transport,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Transport {
    Tls,
    Plain,
}

/// What is known about the browser: a random value in a cookie. Forms carry it too, which no other site can read or
/// guess, and logins at providers return only to the browser that began them.
#[derive(Clone, Debug)]
pub(crate) struct Browser {
    value: SecretString,
    pub(crate) cookie: NewCookie,
}

/// Whether the answer has to set a cookie.
#[derive(Clone, Debug)]
pub(crate) enum NewCookie {
    Set(HeaderValue),
    NotNeeded,
}

impl Cookies {
    pub(crate) fn new(config: &Config) -> Self {
        let name = config.session.cookie_name.as_str();
        if config.issuer.is_https() {
            Self { session: name.to_owned(), browser: "__Host-csrf".to_owned(), transport: Transport::Tls }
        } else {
            let session = name.strip_prefix(HOST_PREFIX).unwrap_or(name).to_owned();
            Self { browser: format!("{session}-csrf"), session, transport: Transport::Plain }
        }
    }

    pub(crate) fn names(&self) -> [&str; 2] {
        [&self.session, &self.browser]
    }

    /// What could be the session of the request. Who can set cookies can set several under one name: then none counts.
    pub(crate) fn session(&self, headers: &HeaderMap) -> Option<SecretString> {
        only(headers, &self.session).filter(|value| value.len() <= 128).map(SecretString::from)
    }

    pub(crate) fn set_session(&self, raw: &SecretString) -> HeaderValue {
        self.cookie(&self.session, raw.expose(), "")
    }

    pub(crate) fn clear_session(&self) -> HeaderValue {
        self.cookie(&self.session, "", "; Max-Age=0")
    }

    /// The browser of the request, as its cookie says; one that has none is given one.
    pub(crate) fn browser(&self, headers: &HeaderMap) -> Result<Browser, NoRandomness> {
        if let Some(value) = self.known_browser(headers) {
            return Ok(Browser { value, cookie: NewCookie::NotNeeded });
        }
        let value = random()?;
        let cookie = NewCookie::Set(self.cookie(&self.browser, &value, ""));
        Ok(Browser { value: value.into(), cookie })
    }

    /// Whether a form comes from a page that we gave to this very browser.
    pub(crate) fn is_from_our_page(&self, headers: &HeaderMap, field: Option<&str>) -> bool {
        let (Some(cookie), Some(field)) = (self.known_browser(headers), field) else { return false };
        constant_time::verify_slices_are_equal(cookie.expose().as_bytes(), field.as_bytes()).is_ok()
    }

    /// What tells browsers apart, for the store; `None` for a browser without the cookie.
    pub(crate) fn fingerprint(&self, headers: &HeaderMap) -> Option<String> {
        self.known_browser(headers).map(|value| fingerprint(&value))
    }

    fn known_browser(&self, headers: &HeaderMap) -> Option<SecretString> {
        let is_ours = |value: &&str| {
            value.len() == LENGTH
                && value.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte))
        };
        only(headers, &self.browser).filter(is_ours).map(SecretString::from)
    }

    fn cookie(&self, name: &str, value: &str, more: &str) -> HeaderValue {
        let secure = match self.transport {
            Transport::Tls => "; Secure",
            Transport::Plain => "",
        };
        let line = format!("{name}={value}; Path=/; HttpOnly; SameSite=Lax{secure}{more}");
        // Names come from the configuration and are checked there, values are letters of ours.
        let mut line = HeaderValue::from_str(&line).unwrap_or(HeaderValue::from_static(""));
        line.set_sensitive(true);
        line
    }
}

impl Browser {
    /// The value for a form.
    pub(crate) fn field(&self) -> &str {
        self.value.expose()
    }

    pub(crate) fn fingerprint(&self) -> String {
        fingerprint(&self.value)
    }
}

/// 32 random bytes in base64url.
pub(crate) fn random() -> Result<String, NoRandomness> {
    let mut bytes = [0; 32];
    rand::fill(&mut bytes).map_err(|_| NoRandomness)?;
    Ok(URL_SAFE_NO_PAD.encode_to_string(bytes))
}

/// The operating system gives no random bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("no random bytes to be had from the operating system")]
pub(crate) struct NoRandomness;

fn fingerprint(value: &SecretString) -> String {
    URL_SAFE_NO_PAD.encode_to_string(digest::digest(&digest::SHA256, value.expose().as_bytes()))
}

/// The value of the only cookie of that name. Copies that say the same are one.
fn only<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    let lines = headers.get_all(COOKIE).iter().filter_map(|line| line.to_str().ok());
    let pairs = lines.flat_map(|line| line.split(';')).filter_map(|pair| pair.trim().split_once('='));
    let mut values = pairs.filter(|(own, _)| *own == name).map(|(_, value)| value).take(MOST_OF_A_NAME);
    let first = values.next()?;
    values.all(|value| value == first).then_some(first)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Issuer;

    fn cookies(issuer: &str) -> Cookies {
        Cookies::new(&Config::new(Issuer::parse(issuer).unwrap()))
    }

    fn headers(lines: &[&str]) -> HeaderMap {
        lines.iter().map(|line| (COOKIE, HeaderValue::from_str(line).unwrap())).collect()
    }

    #[test]
    fn cookies_belong_to_the_host_wherever_browsers_allow_it() {
        let tls = cookies("https://auth.example.com");
        assert_eq!(
            tls.set_session(&"x".into()).to_str().unwrap(),
            "__Host-doorward-auth=x; Path=/; HttpOnly; SameSite=Lax; Secure"
        );
        let plain = cookies("http://127.0.0.1:4180");
        assert_eq!(
            plain.clear_session().to_str().unwrap(),
            "doorward-auth=; Path=/; HttpOnly; SameSite=Lax; Max-Age=0"
        );
    }

    #[test]
    fn one_session_counts_and_of_several_none() {
        let tls = cookies("https://auth.example.com");
        for (lines, expected) in [
            (&["a=b; __Host-doorward-auth=x"][..], Some("x")),
            (&["__Host-doorward-auth=x; __Host-doorward-auth=x"], Some("x")),
            (&["__Host-doorward-auth=x; __Host-doorward-auth=y"], None),
            (&["__Host-doorward-auth=x", "__Host-doorward-auth=y"], None),
            (&["doorward-auth=x"], None),
            (&["__host-doorward-auth=x"], None),
            (&[], None),
        ] {
            let found = tls.session(&headers(lines)).map(SecretString::into_exposed);
            assert_eq!(found.as_deref(), expected, "{lines:?}");
        }
    }

    #[test]
    fn a45_a_form_counts_only_with_the_value_of_its_own_browser() {
        let tls = cookies("https://auth.example.com");
        let browser = tls.browser(&HeaderMap::new()).unwrap();
        let NewCookie::Set(cookie) = &browser.cookie else { panic!() };
        let line = cookie.to_str().unwrap().split(';').next().unwrap();
        let own = headers(&[line]);
        let other = "A".repeat(LENGTH);
        for (headers, field, expected) in [
            (&own, Some(browser.field()), true),
            (&own, None, false),
            (&own, Some(""), false),
            (&own, Some(other.as_str()), false),
            (&HeaderMap::new(), Some(browser.field()), false),
            (&headers(&["__Host-csrf="]), Some(""), false),
            (&headers(&["__Host-csrf=short"]), Some("short"), false),
            (&headers(&[line, &format!("__Host-csrf={other}")]), Some(browser.field()), false),
        ] {
            assert_eq!(tls.is_from_our_page(headers, field), expected, "{field:?}");
        }
        assert!(matches!(tls.browser(&own).unwrap().cookie, NewCookie::NotNeeded));
        assert_eq!(tls.fingerprint(&own), Some(browser.fingerprint()));
    }
}
