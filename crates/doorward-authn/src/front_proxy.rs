//! Somebody whom a proxy in front has authenticated, and named in headers (Kubernetes' `requestheader` flags). The proxy
//! is believed for its certificate alone: without it, its headers are nobody's.

use std::borrow::Cow;

use doorward_core::{Timestamp, UserInfo};
use http::{HeaderMap, HeaderName, HeaderValue};
use percent_encoding::percent_decode_str;

use crate::x509::{BadCertificate, ClientCa, Shown};

/// A proxy in front, and how it names people.
#[derive(Clone, Debug)]
pub struct FrontProxy {
    pub ca: ClientCa,
    /// Common names that its certificate may have; empty for any.
    pub allowed_names: Vec<String>,
    pub headers: IdentityHeaders,
}

/// The headers that name somebody.
#[derive(Clone, Debug)]
pub struct IdentityHeaders {
    /// The first that is not empty counts.
    pub user: Vec<HeaderName>,
    pub uid: Vec<HeaderName>,
    /// Every value of each is a group.
    pub groups: Vec<HeaderName>,
    /// In lower case, each with a `-` at its end. What follows in a name is a key, percent-encoded.
    pub extra_prefixes: Vec<String>,
}

impl Default for IdentityHeaders {
    /// Those that Kubernetes recommends.
    fn default() -> Self {
        Self {
            user: vec![HeaderName::from_static("x-remote-user")],
            uid: vec![HeaderName::from_static("x-remote-uid")],
            groups: vec![HeaderName::from_static("x-remote-group")],
            extra_prefixes: vec!["x-remote-extra-".to_owned()],
        }
    }
}

/// What a proxy in front says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Said {
    /// Nothing: no certificate came, or no header with a name.
    Nothing,
    /// This, with the reserved groups still in it if it said so.
    User(UserInfo),
    Refused(Disbelieved),
}

/// Why a proxy is not believed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Disbelieved {
    #[error(transparent)]
    Certificate(#[from] BadCertificate),
    #[error("the common name of the proxy's certificate is not among the allowed names")]
    OtherName,
    #[error("a header of the identity came twice, or is not text")]
    Header,
}

impl FrontProxy {
    /// Reads the headers, if the client showed a certificate of a proxy in front.
    pub fn attempt(&self, shown: Option<&Shown>, headers: &HeaderMap, now: Timestamp) -> Said {
        let Some(shown) = shown else { return Said::Nothing };
        match self.headers.read(headers) {
            Ok(None) => Said::Nothing,
            read => match self.check(shown, now).and(read) {
                Ok(user) => user.map_or(Said::Nothing, Said::User),
                Err(why) => Said::Refused(why),
            },
        }
    }

    fn check(&self, shown: &Shown, now: Timestamp) -> Result<(), Disbelieved> {
        let name = shown.subject(&self.ca, now)?.common_name;
        if self.allowed_names.is_empty() || self.allowed_names.contains(&name) {
            Ok(())
        } else {
            Err(Disbelieved::OtherName)
        }
    }
}

impl IdentityHeaders {
    /// Who the headers name; `None` if they have no name.
    pub fn read(&self, headers: &HeaderMap) -> Result<Option<UserInfo>, Disbelieved> {
        let Some(name) = first(headers, &self.user)? else { return Ok(None) };
        let mut user =
            UserInfo { name, uid: first(headers, &self.uid)?.unwrap_or_default(), ..UserInfo::default() };
        for value in self.groups.iter().flat_map(|name| headers.get_all(name)) {
            user.groups.push(text(value)?);
        }
        for (name, value) in headers {
            if let Some(key) = self.extra_key(name.as_str()) {
                let key = percent_decode_str(key).decode_utf8().map_err(|_| Disbelieved::Header)?;
                user.extra.entry(key.into_owned()).or_default().push(text(value)?);
            }
        }
        Ok(Some(user))
    }

    fn extra_key<'a>(&self, name: &'a str) -> Option<&'a str> {
        self.extra_prefixes.iter().find_map(|prefix| name.strip_prefix(prefix.as_str()))
    }

    /// Whether a header belongs to the identity: its name in lower case, with `-` for everything but letters and digits.
    pub fn includes(&self, folded: &str) -> bool {
        [&self.user, &self.uid, &self.groups].into_iter().flatten().any(|name| fold(name.as_str()) == folded)
            || self.extra_prefixes.iter().any(|prefix| folded.starts_with(&*fold(prefix)))
    }
}

/// A name as applications see it that turn everything but letters and digits into one character (CGI, WSGI, PHP).
fn fold(name: &str) -> Cow<'_, str> {
    if name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-') {
        return Cow::Borrowed(name);
    }
    Cow::Owned(name.replace(|character: char| !character.is_ascii_alphanumeric(), "-"))
}

/// The value of the first of these headers that has one. Two lines of it are somebody else's attempt.
fn first(headers: &HeaderMap, names: &[HeaderName]) -> Result<Option<String>, Disbelieved> {
    for name in names {
        let mut values = headers.get_all(name).iter().filter(|value| !value.is_empty());
        if let Some(value) = values.next() {
            return if values.next().is_some() { Err(Disbelieved::Header) } else { text(value).map(Some) };
        }
    }
    Ok(None)
}

fn text(value: &HeaderValue) -> Result<String, Disbelieved> {
    let text = str::from_utf8(value.as_bytes()).map_err(|_| Disbelieved::Header)?;
    Ok(text.trim().to_owned())
}

#[cfg(test)]
mod tests;
