//! Parameters of a request: one parse of the query, and one of an urlencoded body. What can be read in two ways is an
//! error and not a choice: a name that occurs twice, letters that are not UTF-8, NUL, another kind of body.

use std::{borrow::Cow, collections::BTreeMap};

use http::{Method, header::CONTENT_TYPE};
use percent_encoding::percent_decode;

use crate::call::{BODY_LIMIT, Call};

/// More parameters than any request of ours has.
const MOST: usize = 100;
/// What may occur several times (RFC 8707 section 2, RFC 8693 section 2.1), where the endpoint knows it.
const LISTS: [&str; 2] = ["resource", "audience"];

/// The parameters of a query or a body, decoded.
#[derive(Clone, Default)]
pub(crate) struct Params(BTreeMap<String, Vec<String>>);

/// Why parameters cannot be read. The texts are for the client; they name parameters of the protocol, and never values.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum InvalidParams {
    #[error("the parameter {0} is there twice; send it once")]
    Repeated(String),
    #[error("a parameter is there twice; send each once")]
    RepeatedUnknown,
    #[error("the parameters are not UTF-8")]
    NotUtf8,
    #[error("a parameter has a NUL character")]
    Nul,
    #[error("there are more than {MOST} parameters")]
    TooMany,
    #[error("there are parameters both in the query and in the body; send them in one of them")]
    Both,
    #[error("parameters belong into the body, not into the query")]
    Query,
    #[error("the body is longer than {BODY_LIMIT} bytes")]
    TooLong,
    #[error("the body is no form; send it as application/x-www-form-urlencoded")]
    ContentType,
}

/// Whether an endpoint takes several resources at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Lists {
    /// `resource` and `audience` may be repeated.
    Taken,
    /// Nothing may.
    Refused,
}

impl Params {
    /// Those of the query.
    pub(crate) fn of_query(call: &Call) -> Result<Self, InvalidParams> {
        Self::parse(call.query.as_deref().unwrap_or_default().as_bytes(), Lists::Refused)
    }

    /// Those of a query that was kept.
    pub(crate) fn of_text(query: &str) -> Result<Self, InvalidParams> {
        Self::parse(query.as_bytes(), Lists::Refused)
    }

    /// All of them, encoded anew as a query.
    pub(crate) fn encoded(&self) -> String {
        form_urlencoded::Serializer::new(String::new()).extend_pairs(self.pairs()).finish()
    }

    /// Those of the body, at endpoints that take none in the query, where they would end up in logs.
    pub(crate) fn of_form(call: &Call, lists: Lists) -> Result<Self, InvalidParams> {
        if call.query.as_deref().is_some_and(|query| !query.is_empty()) {
            return Err(InvalidParams::Query);
        }
        Self::of_body(call, lists)
    }

    /// Those of the body or of the query, as the method has it.
    pub(crate) fn of_page(call: &Call) -> Result<Self, InvalidParams> {
        if call.method == Method::POST { Self::of_body(call, Lists::Refused) } else { Self::of_query(call) }
    }

    /// Those of the body; none if there is no body.
    pub(crate) fn of_body(call: &Call, lists: Lists) -> Result<Self, InvalidParams> {
        if call.body.is_empty() {
            return Ok(Self::default());
        }
        if call.body.len() > BODY_LIMIT {
            return Err(InvalidParams::TooLong);
        }
        if !is_form(call) {
            return Err(InvalidParams::ContentType);
        }
        Self::parse(&call.body, lists)
    }

    fn parse(bytes: &[u8], lists: Lists) -> Result<Self, InvalidParams> {
        // `&` and `=` are ASCII, so that the whole is UTF-8 exactly if every part is.
        let decoded: Cow<'_, [u8]> = percent_decode(bytes).into();
        if str::from_utf8(&decoded).is_err() {
            return Err(InvalidParams::NotUtf8);
        }
        if decoded.contains(&0) {
            return Err(InvalidParams::Nul);
        }
        let mut params: BTreeMap<String, Vec<String>> = BTreeMap::new();
        for (index, (name, value)) in form_urlencoded::parse(bytes).enumerate() {
            if index >= MOST {
                return Err(InvalidParams::TooMany);
            }
            let is_list = lists == Lists::Taken && LISTS.contains(&name.as_ref());
            match params.get_mut(name.as_ref()) {
                None => {
                    params.insert(name.into_owned(), vec![value.into_owned()]);
                }
                Some(values) if is_list => values.push(value.into_owned()),
                Some(_) => return Err(repeated(&name)),
            }
        }
        Ok(Self(params))
    }

    /// The value of a parameter. Without a value it counts as left out (RFC 6749 section 3.1).
    pub(crate) fn get(&self, name: &str) -> Option<&str> {
        self.0.get(name)?.iter().map(String::as_str).find(|value| !value.is_empty())
    }

    /// All values of a parameter that may be repeated.
    pub(crate) fn all(&self, name: &str) -> impl Iterator<Item = &str> {
        self.0.get(name).into_iter().flatten().map(String::as_str).filter(|value| !value.is_empty())
    }

    /// Whether the parameter is there, be it without a value.
    pub(crate) fn has(&self, name: &str) -> bool {
        self.0.contains_key(name)
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// All parameters in the order of their names, as they came.
    pub(crate) fn pairs(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0
            .iter()
            .flat_map(|(name, values)| values.iter().map(move |value| (name.as_str(), value.as_str())))
    }
}

impl std::fmt::Debug for Params {
    /// Names only: values may be codes and passwords.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_set().entries(self.0.keys()).finish()
    }
}

/// Names that are words are told; others might be a value that slipped.
fn repeated(name: &str) -> InvalidParams {
    let is_word = !name.is_empty()
        && name.len() <= 32
        && name.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_');
    if is_word { InvalidParams::Repeated(name.to_owned()) } else { InvalidParams::RepeatedUnknown }
}

fn is_form(call: &Call) -> bool {
    let mut types = call.headers.get_all(CONTENT_TYPE).iter();
    let (Some(value), None) = (types.next(), types.next()) else { return false };
    let essence = value.to_str().unwrap_or_default().split(';').next().unwrap_or_default();
    essence.trim().eq_ignore_ascii_case("application/x-www-form-urlencoded")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::call;

    fn read(body: &[u8], lists: Lists) -> Result<Vec<(String, String)>, InvalidParams> {
        let params = Params::of_body(&call("POST", "/oauth/token").form(body), lists)?;
        Ok(params.pairs().map(|(name, value)| (name.to_owned(), value.to_owned())).collect())
    }

    #[test]
    fn what_can_be_read_in_two_ways_is_refused() {
        let pair = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        let many = "a&".repeat(101);
        let different = (0..=MOST).map(|number| format!("p{number}=1")).collect::<Vec<_>>().join("&");
        let huge = format!("a={}", "x".repeat(BODY_LIMIT));
        for (body, expected) in [
            (&b""[..], Ok(vec![])),
            (b"b=1&a=x+y%20z&c", Ok(vec![pair("a", "x y z"), pair("b", "1"), pair("c", "")])),
            (b"a=%E2%82%AC", Ok(vec![pair("a", "\u{20ac}")])),
            (b"a=%EF%BF%BD", Ok(vec![pair("a", "\u{fffd}")])),
            (b"code=1&code=1", Err(InvalidParams::Repeated("code".to_owned()))),
            (b"code=1&c%6fde=", Err(InvalidParams::Repeated("code".to_owned()))),
            (b"sha256~x&sha256~x", Err(InvalidParams::RepeatedUnknown)),
            (b"resource=a&resource=b", Err(InvalidParams::Repeated("resource".to_owned()))),
            (b"a=%FF", Err(InvalidParams::NotUtf8)),
            (b"a=\xff", Err(InvalidParams::NotUtf8)),
            (b"a=%E2&b=%82%AC", Err(InvalidParams::NotUtf8)),
            (b"a=%00", Err(InvalidParams::Nul)),
            (b"a=\0", Err(InvalidParams::Nul)),
            (many.as_bytes(), Err(InvalidParams::Repeated("a".to_owned()))),
            (different.as_bytes(), Err(InvalidParams::TooMany)),
            (huge.as_bytes(), Err(InvalidParams::TooLong)),
        ] {
            assert_eq!(read(body, Lists::Refused), expected, "{}", body.escape_ascii());
        }
        let both = vec![pair("resource", "a"), pair("resource", "b")];
        assert_eq!(read(b"resource=a&resource=b", Lists::Taken), Ok(both));
        assert!(read(b"scope=a&scope=b", Lists::Taken).is_err());
    }

    #[test]
    fn only_an_urlencoded_body_is_a_form() {
        for (content_type, expected) in [
            (Some("application/x-www-form-urlencoded"), true),
            (Some("Application/X-WWW-Form-Urlencoded; charset=UTF-8"), true),
            (Some("application/json"), false),
            (Some("multipart/form-data; boundary=x"), false),
            (Some("text/plain"), false),
            (Some(""), false),
            (None, false),
        ] {
            let mut call = call("POST", "/oauth/token").body(b"a=b");
            if let Some(content_type) = content_type {
                call = call.header("content-type", content_type);
            }
            assert_eq!(Params::of_body(&call, Lists::Refused).is_ok(), expected, "{content_type:?}");
        }
        let twice = call("POST", "/oauth/token").form(b"a=b").header("content-type", "application/json");
        assert!(Params::of_body(&twice, Lists::Refused).is_err());
    }

    #[test]
    fn a_parameter_without_a_value_counts_as_left_out() {
        let params = Params::of_query(&call("GET", "/oauth/authorize?scope=&state=x")).unwrap();
        assert_eq!((params.get("scope"), params.get("state"), params.has("scope")), (None, Some("x"), true));
        assert_eq!(format!("{params:?}"), r#"{"scope", "state"}"#);
    }
}
