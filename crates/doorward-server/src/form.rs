//! Values that browsers and providers send to our own endpoints: the query, and the urlencoded body of a POST.

use std::time::Duration;

use bytes::Bytes;
use doorward_authz::Semicolons;
use doorward_net::Body;
use http::{Method, StatusCode, header::CONTENT_TYPE};
use http_body_util::{BodyExt, Limited};

use crate::ingress::Arrival;

/// More than any form of ours or any provider's answer needs.
const BODY_LIMIT: usize = 256 * 1024;
/// All of a form must come within this time: browsers send it in one go.
pub(crate) const TIME_LIMIT: Duration = Duration::from_secs(15);

/// Decoded name-value pairs: those of the body first, then those of the query.
#[derive(Clone, Debug, Default)]
pub(crate) struct Form(Vec<(String, String)>);

/// Why the body of a request gives no form.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum UnreadableForm {
    /// It is longer than any form of ours, or broke off.
    #[error("the form could not be read")]
    Broken,
    #[error("the form did not come in time")]
    Late,
}

impl UnreadableForm {
    /// The status of the answer: 408 for a form that came too slowly (RFC 9110 section 15.5.9), else what the endpoint
    /// says of forms that cannot be read.
    pub(crate) const fn status_or(self, otherwise: StatusCode) -> StatusCode {
        match self {
            Self::Broken => otherwise,
            Self::Late => StatusCode::REQUEST_TIMEOUT,
        }
    }
}

impl Form {
    pub(crate) fn of_query(query: Option<&str>, semicolons: Semicolons) -> Self {
        let query = query.unwrap_or("");
        let pairs = match semicolons {
            Semicolons::Literal => parse(query.as_bytes()),
            Semicolons::Separators => parse(query.replace(';', "&").as_bytes()),
        };
        Self(pairs)
    }

    /// Reads the body too, if it is an urlencoded form.
    pub(crate) async fn read(arrival: &mut Arrival, semicolons: Semicolons) -> Result<Self, UnreadableForm> {
        let mut pairs = Vec::new();
        if arrival.facts.method == Method::POST && is_form(arrival) {
            let body = std::mem::replace(arrival.request.body_mut(), Body::Empty);
            pairs = parse(&content(body, BODY_LIMIT, TIME_LIMIT).await?);
        }
        pairs.extend(Self::of_query(arrival.facts.target.query(), semicolons).0);
        Ok(Self(pairs))
    }

    /// All pairs as they came.
    pub(crate) fn into_pairs(self) -> Vec<(String, String)> {
        self.0
    }

    /// The first value of this name, unless it is empty.
    pub(crate) fn first<'a>(&'a self, name: &'a str) -> Option<&'a str> {
        self.all(name).next().filter(|value| !value.is_empty())
    }

    /// The value of a parameter that must not be repeated (RFC 6749 section 3.1); `None` if it is missing or repeated.
    pub(crate) fn only<'a>(&'a self, name: &'a str) -> Option<&'a str> {
        let mut values = self.all(name);
        let value = values.next()?;
        if values.next().is_some() { None } else { Some(value) }
    }

    pub(crate) fn all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        self.0.iter().filter(move |(own, _)| own == name).map(|(_, value)| value.as_str())
    }
}

/// A body of at most `most` bytes, in the time that a form has.
pub(crate) async fn whole(body: Body, most: usize) -> Result<Bytes, UnreadableForm> {
    content(body, most, TIME_LIMIT).await
}

async fn content(body: Body, most: usize, limit: Duration) -> Result<Bytes, UnreadableForm> {
    match tokio::time::timeout(limit, Limited::new(body, most).collect()).await {
        Ok(Ok(collected)) => Ok(collected.to_bytes()),
        Ok(Err(_)) => Err(UnreadableForm::Broken),
        Err(_elapsed) => Err(UnreadableForm::Late),
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::Silent;

    #[tokio::test]
    async fn a_form_is_read_within_bounds_of_size_and_time() {
        let limit = Duration::from_millis(10);
        for (body, expected) in [
            (Body::from("a=b"), Ok(Bytes::from_static(b"a=b"))),
            (Body::Empty, Ok(Bytes::new())),
            (Body::from(vec![b'a'; BODY_LIMIT + 1]), Err(UnreadableForm::Broken)),
            (Body::boxed(Silent), Err(UnreadableForm::Late)),
        ] {
            assert_eq!(content(body, BODY_LIMIT, limit).await, expected);
        }
        assert_eq!(UnreadableForm::Late.status_or(StatusCode::BAD_REQUEST), StatusCode::REQUEST_TIMEOUT);
        assert_eq!(UnreadableForm::Broken.status_or(StatusCode::BAD_REQUEST), StatusCode::BAD_REQUEST);
    }
}
