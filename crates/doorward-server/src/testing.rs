//! What tests of several modules need.

use std::{
    pin::Pin,
    task::{Context, Poll},
};

use bytes::Bytes;
use doorward_net::BodyError;
use http_body::Frame;

/// A body of which nothing ever comes.
pub(crate) struct Silent;

impl http_body::Body for Silent {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        Poll::Pending
    }
}
