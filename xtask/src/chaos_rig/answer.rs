//! The origin's answers: whole or in part, and bodies that end, break off, trickle or stop.

use std::pin::Pin;
use std::time::Duration;

use ::http::{HeaderMap, Response, StatusCode, header};
use bytes::Bytes;
use futures_util::stream::{self, Stream, StreamExt as _};
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt as _, Full, StreamBody};
use hyper::body::Frame;

use super::content::etag;
use super::fate::End;

/// A slow body comes in this many pieces.
const PIECES: usize = 16;
/// Between the last bytes of a body that breaks off and its end, so that the bytes are on their way.
const BEFORE_CUT: Duration = Duration::from_millis(5);

/// How a connection breaks instead of going on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum Break {
    /// By a reset.
    #[error("the connection is to be reset")]
    Reset,
    /// As if it had ended in order.
    #[error("the connection is to end")]
    End,
    /// After some bytes that are no HTTP.
    #[error("the connection is to carry garbage")]
    Garbage,
}

/// An answer's body.
pub(super) type Answer = UnsyncBoxBody<Bytes, Break>;

type Pieces = Pin<Box<dyn Stream<Item = Result<Frame<Bytes>, Break>> + Send>>;

/// One that says no more than its status.
pub(super) fn status(status: u16) -> Response<Answer> {
    respond(status, HeaderMap::new(), whole(Bytes::from_static(b"no more than a status\n")))
}

/// One that asks the client to come again after a second.
pub(super) fn busy(status: u16) -> Response<Answer> {
    let mut headers = HeaderMap::new();
    headers.insert(header::RETRY_AFTER, 1.into());
    respond(status, headers, whole(Bytes::new()))
}

/// The answer to a write.
pub(super) fn receipt(body: Bytes) -> Response<Answer> {
    respond(201, HeaderMap::new(), whole(body))
}

/// The answer to a read, or to the rest of one, whose body ends as `end` says.
pub(super) fn record(id: u64, body: Bytes, asked: &HeaderMap, end: End) -> Response<Answer> {
    let etag = etag(id);
    let mut headers = HeaderMap::new();
    let whole_length = body.len();
    let (status, body) = match rest(asked, &etag).filter(|from| *from < whole_length) {
        None => (200, body),
        Some(from) => {
            let range = format!("bytes {from}-{}/{whole_length}", whole_length - 1);
            headers.insert(header::CONTENT_RANGE, range.parse().expect(VALID));
            (206, body.slice(from..))
        }
    };
    headers.insert(header::ETAG, etag.parse().expect(VALID));
    headers.insert(header::ACCEPT_RANGES, "bytes".parse().expect(VALID));
    headers.insert(header::CONTENT_LENGTH, body.len().into());
    respond(status, headers, ending(body, end))
}

const VALID: &str = "names and values of these headers are valid";

/// From where the client wants the rest, if what it has is still valid (RFC 9110, 13.1.5 and 14.2). Only the
/// form `bytes=N-` is served; any other is answered with the whole, as is allowed.
fn rest(asked: &HeaderMap, etag: &str) -> Option<usize> {
    let text = |name| asked.get(name).and_then(|value: &::http::HeaderValue| value.to_str().ok());
    if text(header::IF_RANGE).is_some_and(|validator| validator != etag) {
        return None;
    }
    text(header::RANGE)?.strip_prefix("bytes=")?.strip_suffix('-')?.parse().ok()
}

fn respond(status: u16, mut headers: HeaderMap, body: Answer) -> Response<Answer> {
    headers.insert(header::CACHE_CONTROL, "no-store".parse().expect(VALID));
    let mut response = Response::new(body);
    *response.status_mut() = StatusCode::from_u16(status).expect("scenarios name valid statuses");
    *response.headers_mut() = headers;
    response
}

fn whole(body: Bytes) -> Answer {
    Full::new(body).map_err(|never| match never {}).boxed_unsync()
}

fn ending(body: Bytes, end: End) -> Answer {
    let pieces: Pieces = match end {
        End::Cut { share, reset } => {
            let cut = async move {
                tokio::time::sleep(BEFORE_CUT).await;
                Err(if reset { Break::Reset } else { Break::End })
            };
            Box::pin(stream::iter([Ok(Frame::data(part(&body, share)))]).chain(stream::once(cut)))
        }
        End::Stalled(share) => {
            Box::pin(stream::iter([Ok(Frame::data(part(&body, share)))]).chain(stream::pending()))
        }
        End::Trickle(time) => {
            let size = body.len().div_ceil(PIECES);
            let pause = time / u32::try_from(PIECES).expect("a few pieces");
            Box::pin(stream::unfold(body, move |mut rest| async move {
                let piece = rest.split_to(size.min(rest.len()));
                if piece.is_empty() {
                    return None;
                }
                tokio::time::sleep(pause).await;
                Some((Ok(Frame::data(piece)), rest))
            }))
        }
        _ => return whole(body),
    };
    StreamBody::new(pieces).boxed_unsync()
}

/// The first `share` of `body`, at least a byte and never all of it.
fn part(body: &Bytes, share: f64) -> Bytes {
    let length = (body.len() as f64 * share) as usize;
    body.slice(..length.clamp(1, body.len() - 1))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(pairs: &[(&'static str, &str)]) -> HeaderMap {
        pairs.iter().map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap())).collect()
    }

    async fn read(response: Response<Answer>) -> (u16, Bytes, bool) {
        let status = response.status().as_u16();
        let mut body = response.into_body();
        let mut got = Vec::new();
        loop {
            match body.frame().await {
                None => return (status, got.into(), true),
                Some(Err(_)) => return (status, got.into(), false),
                Some(Ok(frame)) => got.extend_from_slice(frame.data_ref().unwrap()),
            }
        }
    }

    #[tokio::test]
    async fn the_rest_is_given_only_of_what_the_client_has() {
        let body = Bytes::from_static(b"0123456789");
        let own = etag(7);
        for (headers, status, expect) in [
            (asked(&[]), 200, "0123456789"),
            (asked(&[("range", "bytes=4-")]), 206, "456789"),
            (asked(&[("range", "bytes=4-"), ("if-range", &own)]), 206, "456789"),
            (asked(&[("range", "bytes=4-"), ("if-range", "\"other\"")]), 200, "0123456789"),
            (asked(&[("range", "bytes=10-")]), 200, "0123456789"),
            (asked(&[("range", "lines=4-")]), 200, "0123456789"),
        ] {
            let response = record(7, body.clone(), &headers, End::Served);
            assert_eq!(read(response).await, (status, Bytes::from(expect), true), "{headers:?}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_cut_body_breaks_off_and_a_slow_one_comes_whole() {
        let body = Bytes::from_static(b"0123456789");
        let answer = |end| record(7, body.clone(), &HeaderMap::new(), end);
        let cut = read(answer(End::Cut { share: 0.5, reset: false })).await;
        assert_eq!(cut, (200, Bytes::from_static(b"01234"), false));
        let body_of_pieces = Bytes::from(vec![7; 2000]);
        let start = tokio::time::Instant::now();
        let slow = End::Trickle(Duration::from_secs(8));
        let slow = read(record(7, body_of_pieces.clone(), &HeaderMap::new(), slow)).await;
        assert_eq!((slow, start.elapsed().as_secs()), ((200, body_of_pieces, true), 8));
        let stalled = tokio::time::timeout(Duration::from_secs(900), read(answer(End::Stalled(0.5)))).await;
        assert!(stalled.is_err());
    }
}
