//! Requests for tests, written as they look.

use std::sync::Arc;

use bytes::Bytes;
use doorward_core::{ClientIp, Timestamp};
use http::{HeaderName, HeaderValue};

use crate::call::Call;

/// The present, unless a test says otherwise.
pub(crate) const NOW: Timestamp = Timestamp::from_seconds(1_800_000_000);

/// A request from 192.0.2.7 without headers and body. `target` is path and query.
pub(crate) fn call(method: &str, target: &str) -> Call {
    let (path, query) = match target.split_once('?') {
        Some((path, query)) => (path, Some(query.to_owned())),
        None => (target, None),
    };
    Call {
        method: method.parse().unwrap(),
        path: path.to_owned(),
        query,
        headers: http::HeaderMap::new(),
        body: Bytes::new(),
        client: ClientIp::Known([192, 0, 2, 7].into()),
        certificates: Arc::new([]),
        caller: None,
        now: NOW,
    }
}

impl Call {
    pub(crate) fn header(mut self, name: &str, value: &str) -> Self {
        self.headers.append(HeaderName::try_from(name).unwrap(), HeaderValue::from_str(value).unwrap());
        self
    }

    pub(crate) fn body(mut self, body: &[u8]) -> Self {
        self.body = Bytes::copy_from_slice(body);
        self
    }

    pub(crate) fn form(self, body: &[u8]) -> Self {
        self.header("content-type", "application/x-www-form-urlencoded").body(body)
    }

    pub(crate) fn at(mut self, now: Timestamp) -> Self {
        self.now = now;
        self
    }
}
