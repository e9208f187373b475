//! What policies see of a request's body (`withBody`): read within bounds of size and time, and then passed on as it came.

use std::{
    collections::VecDeque,
    pin::Pin,
    task::{Context, Poll},
};

use bytes::{Bytes, BytesMut};
use doorward_net::{Body, BodyError};
use http_body::{Body as _, Frame, SizeHint};
use http_body_util::BodyExt;

use crate::form::{TIME_LIMIT, UnreadableForm};

/// What was seen of a body.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Seen {
    /// Nobody wants to see it, or there is none.
    Nothing,
    Whole(Bytes),
    /// There is more of it than may be seen.
    Truncated,
}

impl Seen {
    pub(crate) fn for_policies(&self) -> doorward_policy::Body<'_> {
        match self {
            Self::Nothing => doorward_policy::Body::NotRead,
            Self::Whole(content) => doorward_policy::Body::Whole(content),
            Self::Truncated => doorward_policy::Body::Truncated,
        }
    }
}

/// Looks at a body of which policies may see `most` bytes, and puts in its place one with the same content. Nothing of a
/// body is read whose stated length is more than that.
pub(crate) async fn look(body: &mut Body, most: usize) -> Result<Seen, UnreadableForm> {
    if body.is_end_stream() {
        return Ok(Seen::Nothing);
    }
    let most_bytes = u64::try_from(most).unwrap_or(u64::MAX);
    if most_bytes < body.size_hint().lower() {
        return Ok(Seen::Truncated);
    }
    let mut replay = Replay { frames: VecDeque::new(), rest: std::mem::take(body) };
    let seen = tokio::time::timeout(TIME_LIMIT, replay.read(most)).await;
    let seen = seen.map_err(|_elapsed| UnreadableForm::Late)?.map_err(|_broken| UnreadableForm::Broken)?;
    *body = match &seen {
        // The usual case: no trailers, and the length is known now.
        Seen::Whole(content) if !replay.has_trailers() => Body::from(content.clone()),
        _ => Body::boxed(replay),
    };
    Ok(seen)
}

/// A body of which the beginning has been read.
struct Replay {
    frames: VecDeque<Frame<Bytes>>,
    rest: Body,
}

impl Replay {
    async fn read(&mut self, most: usize) -> Result<Seen, BodyError> {
        let mut seen = BytesMut::new();
        let mut only = None;
        while let Some(frame) = self.rest.frame().await {
            let frame = frame?;
            let Some(data) = frame.data_ref() else {
                self.frames.push_back(frame);
                continue;
            };
            if most < seen.len() + data.len() {
                self.put_first(seen.freeze());
                self.frames.push_back(frame);
                return Ok(Seen::Truncated);
            }
            only = seen.is_empty().then(|| data.clone());
            seen.extend_from_slice(data);
        }
        let content = only.unwrap_or_else(|| seen.freeze());
        self.put_first(content.clone());
        Ok(Seen::Whole(content))
    }

    /// In one piece: of a body that comes byte by byte, or in pieces of nothing, the frames are much larger than the bytes.
    fn put_first(&mut self, content: Bytes) {
        if !content.is_empty() {
            self.frames.push_front(Frame::data(content));
        }
    }

    fn has_trailers(&self) -> bool {
        self.frames.iter().any(Frame::is_trailers)
    }
}

impl http_body::Body for Replay {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        match self.frames.pop_front() {
            Some(frame) => Poll::Ready(Some(Ok(frame))),
            None => Pin::new(&mut self.rest).poll_frame(cx),
        }
    }

    fn is_end_stream(&self) -> bool {
        self.frames.is_empty() && self.rest.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        let read = self.frames.iter().filter_map(Frame::data_ref).map(|data| data.len() as u64).sum::<u64>();
        let rest = self.rest.size_hint();
        let mut hint = SizeHint::new();
        hint.set_lower(rest.lower().saturating_add(read));
        if let Some(upper) = rest.upper().and_then(|upper| upper.checked_add(read)) {
            hint.set_upper(upper);
        }
        hint
    }
}

#[cfg(test)]
mod tests {
    use http::HeaderMap;

    use super::*;
    use crate::testing::Silent;

    /// Pieces of unstated length, then trailers.
    struct Pieces(VecDeque<Frame<Bytes>>);

    impl Pieces {
        fn body(pieces: &[&'static str], trailers: Option<HeaderMap>) -> Body {
            let data = pieces.iter().map(|piece| Frame::data(Bytes::from_static(piece.as_bytes())));
            Body::boxed(Self(data.chain(trailers.map(Frame::trailers)).collect()))
        }
    }

    impl http_body::Body for Pieces {
        type Data = Bytes;
        type Error = BodyError;

        fn poll_frame(
            mut self: Pin<&mut Self>,
            _: &mut Context<'_>,
        ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
            Poll::Ready(self.0.pop_front().map(Ok))
        }
    }

    #[tokio::test]
    async fn a_body_that_was_looked_at_goes_on_as_it_came() {
        let whole = |text: &'static str| Seen::Whole(Bytes::from_static(text.as_bytes()));
        for (pieces, most, expected) in [
            (&[][..], 5, whole("")),
            (&["ab"], 5, whole("ab")),
            (&["ab", "cd"], 4, whole("abcd")),
            (&["ab", "cd", "e"], 4, Seen::Truncated),
            (&["abcde"], 4, Seen::Truncated),
            (&["a"], 0, Seen::Truncated),
        ] {
            for trailers in [None, Some([(http::header::ETAG, "x".parse().unwrap())].into_iter().collect())] {
                let mut body = Pieces::body(pieces, trailers.clone());
                assert_eq!(look(&mut body, most).await.unwrap(), expected, "{pieces:?}");
                let passed_on = body.collect().await.unwrap();
                assert_eq!(passed_on.trailers(), trailers.as_ref(), "{pieces:?}");
                assert_eq!(passed_on.to_bytes(), pieces.concat(), "{pieces:?}");
            }
        }
    }

    #[tokio::test]
    async fn many_small_pieces_take_no_more_room_than_their_bytes() {
        for (last, expected) in [("", "x".repeat(500)), ("yy", String::new())] {
            let pieces: Vec<&str> = [["x", ""]; 500].concat().into_iter().chain([last]).collect();
            let mut replay = Replay { frames: VecDeque::new(), rest: Pieces::body(&pieces, None) };
            let seen = replay.read(501).await.unwrap();
            let whole = Seen::Whole(Bytes::from(expected));
            assert_eq!(seen, if last.is_empty() { whole } else { Seen::Truncated });
            assert!(replay.frames.len() <= 2, "{}", replay.frames.len());
            assert_eq!(Body::boxed(replay).collect().await.unwrap().to_bytes(), pieces.concat());
        }
    }

    #[tokio::test]
    async fn what_is_too_long_by_its_own_word_or_absent_is_not_read() {
        let mut long = Body::from("abcde");
        assert_eq!(look(&mut long, 4).await.unwrap(), Seen::Truncated);
        assert_eq!(long.collect().await.unwrap().to_bytes(), "abcde");
        assert_eq!(look(&mut Body::Empty, 4).await.unwrap(), Seen::Nothing);
    }

    #[tokio::test(start_paused = true)]
    async fn nobody_waits_forever_for_a_body() {
        assert_eq!(look(&mut Body::boxed(Silent), 4).await, Err(UnreadableForm::Late));
    }
}
