//! Values that browsers and providers send to our own endpoints: the query, and the urlencoded body of a POST.

use doorward_authz::Semicolons;
use http::{Method, header::CONTENT_TYPE};
use http_body_util::{BodyExt, Limited};

use crate::ingress::Arrival;

/// More than any form of ours or any provider's answer needs.
const BODY_LIMIT: usize = 256 * 1024;

/// Decoded name-value pairs: those of the body first, then those of the query.
#[derive(Clone, Debug, Default)]
pub struct Form(Vec<(String, String)>);

/// The body is longer than any form of ours, or broke off.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the form could not be read")]
pub struct UnreadableForm;

impl Form {
    pub fn of_query(query: Option<&str>, semicolons: Semicolons) -> Self {
        let query = query.unwrap_or("");
        let pairs = match semicolons {
            Semicolons::Literal => parse(query.as_bytes()),
            Semicolons::Separators => parse(query.replace(';', "&").as_bytes()),
        };
        Self(pairs)
    }

    /// Reads the body too, if it is an urlencoded form.
    pub async fn read(arrival: &mut Arrival, semicolons: Semicolons) -> Result<Self, UnreadableForm> {
        let mut pairs = Vec::new();
        if arrival.facts.method == Method::POST && is_form(arrival) {
            let body = std::mem::replace(arrival.request.body_mut(), doorward_net::Body::Empty);
            let bytes =
                Limited::new(body, BODY_LIMIT).collect().await.map_err(|_| UnreadableForm)?.to_bytes();
            pairs = parse(&bytes);
        }
        pairs.extend(Self::of_query(arrival.facts.target.query(), semicolons).0);
        Ok(Self(pairs))
    }

    /// The first value of this name, unless it is empty.
    pub fn first<'a>(&'a self, name: &'a str) -> Option<&'a str> {
        self.all(name).next().filter(|value| !value.is_empty())
    }

    /// The value of a parameter that must not be repeated (RFC 6749 section 3.1); `None` if it is missing or repeated.
    pub fn only<'a>(&'a self, name: &'a str) -> Option<&'a str> {
        let mut values = self.all(name);
        let value = values.next()?;
        if values.next().is_some() { None } else { Some(value) }
    }

    pub fn all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        self.0.iter().filter(move |(own, _)| own == name).map(|(_, value)| value.as_str())
    }
}

fn parse(bytes: &[u8]) -> Vec<(String, String)> {
    form_urlencoded::parse(bytes).map(|(name, value)| (name.into_owned(), value.into_owned())).collect()
}

fn is_form(arrival: &Arrival) -> bool {
    let content_type =
        arrival.headers().get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or("");
    let media_type = content_type.split(';').next().unwrap_or("").trim();
    media_type.eq_ignore_ascii_case("application/x-www-form-urlencoded")
}
