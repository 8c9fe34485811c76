//! Request bodies that can be sent again: streamed as they come, with the first bytes held for a further try.

use std::cell::{Cell, RefCell};
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http::HeaderMap;
use http_body::{Body, Frame, SizeHint};
use hyper::body::Incoming;
use tokio::time::Instant;

/// Why a request's body cannot be sent on.
#[derive(Debug, thiserror::Error)]
pub enum ReplayError {
    /// The client's own body broke off or was malformed.
    #[error("the request's body broke off: {0}")]
    Client(#[source] hyper::Error),
    /// A later try has taken over the body.
    #[error("a later try has taken over the request's body")]
    Superseded,
}

/// A client's body, shared by all tries of its request.
///
/// While no more than the limit has come, everything is held and a new try starts from the beginning. Beyond it
/// what was held is dropped, and the body streams through to the try that is under way: large uploads work,
/// they just cannot be repeated.
#[derive(Clone, Debug)]
pub struct Replay<B = Incoming> {
    inner: Rc<Inner<B>>,
}

#[derive(Debug)]
struct Inner<B> {
    source: RefCell<Source<B>>,
    size: SizeHint,
    /// Which try may read: the one started last.
    reader: Cell<u32>,
    progress: Cell<Instant>,
    /// Whether a try waits for the client to send more.
    starved: Cell<bool>,
    broken: Cell<bool>,
}

#[derive(Debug)]
struct Source<B> {
    body: B,
    held: Vec<Bytes>,
    /// Bytes that may still be held; `None` once there were too many.
    room: Option<usize>,
    trailers: Option<HeaderMap>,
    ended: bool,
}

impl<B> Replay<B>
where
    B: Body<Data = Bytes, Error = hyper::Error> + Unpin,
{
    /// Shares `body`, holding at most `limit` bytes of it.
    pub fn new(body: B, limit: usize, now: Instant) -> Self {
        let size = body.size_hint();
        let source = Source { body, held: Vec::new(), room: Some(limit), trailers: None, ended: false };
        Self {
            inner: Rc::new(Inner {
                source: RefCell::new(source),
                size,
                reader: Cell::new(0),
                progress: Cell::new(now),
                starved: Cell::new(false),
                broken: Cell::new(false),
            }),
        }
    }

    /// Whether a new try would get the whole body.
    pub fn is_replayable(&self) -> bool {
        self.inner.source.borrow().room.is_some() && !self.inner.broken.get()
    }

    /// Whether the client's body broke off.
    pub fn is_broken(&self) -> bool {
        self.inner.broken.get()
    }

    /// When the last piece came from the client.
    pub fn progress(&self) -> Instant {
        self.inner.progress.get()
    }

    /// Whether a try waits for the client to send more: then it is not the origin that takes its time.
    pub fn is_starved(&self) -> bool {
        self.inner.starved.get()
    }

    /// Whether all of it has come.
    pub fn has_ended(&self) -> bool {
        self.inner.source.borrow().ended
    }

    /// The body for one more try, from its beginning; tries before it get no more. Nothing when its beginning is gone:
    /// the try before may have taken more of it than is held, while this one was being prepared.
    pub fn reader(&self) -> Option<Reader<B>> {
        if !self.can_be_read() {
            return None;
        }
        let number = self.inner.reader.get() + 1;
        self.inner.reader.set(number);
        Some(Reader { inner: self.inner.clone(), number, next: 0, emitted: 0, trailers_sent: false })
    }

    /// Whether [`Replay::reader`] would give a body now: the first try always gets one.
    pub fn can_be_read(&self) -> bool {
        self.inner.reader.get() == 0 || self.is_replayable()
    }
}

/// The body of one try.
#[derive(Debug)]
pub struct Reader<B = Incoming> {
    inner: Rc<Inner<B>>,
    number: u32,
    /// Position in what is held.
    next: usize,
    emitted: u64,
    trailers_sent: bool,
}

impl<B> Body for Reader<B>
where
    B: Body<Data = Bytes, Error = hyper::Error> + Unpin,
{
    type Data = Bytes;
    type Error = ReplayError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, ReplayError>>> {
        let inner = self.inner.clone();
        if inner.reader.get() != self.number {
            return Poll::Ready(Some(Err(ReplayError::Superseded)));
        }
        let mut source = inner.source.borrow_mut();
        if let Some(chunk) = source.held.get(self.next) {
            let chunk = chunk.clone();
            self.next += 1;
            self.emitted += chunk.len() as u64;
            return Poll::Ready(Some(Ok(Frame::data(chunk))));
        }
        if !source.ended {
            let polled = Pin::new(&mut source.body).poll_frame(cx);
            inner.starved.set(polled.is_pending());
            match ready!(polled) {
                Some(Ok(frame)) => {
                    inner.progress.set(Instant::now());
                    match frame.into_data() {
                        Ok(chunk) => {
                            self.next += usize::from(source.hold(&chunk));
                            self.emitted += chunk.len() as u64;
                            return Poll::Ready(Some(Ok(Frame::data(chunk))));
                        }
                        Err(frame) => {
                            source.trailers = frame.into_trailers().ok();
                            source.ended = true;
                        }
                    }
                }
                Some(Err(error)) => {
                    inner.broken.set(true);
                    return Poll::Ready(Some(Err(ReplayError::Client(error))));
                }
                None => source.ended = true,
            }
        }
        if std::mem::replace(&mut self.trailers_sent, true) {
            return Poll::Ready(None);
        }
        Poll::Ready(source.trailers.clone().map(|trailers| Ok(Frame::trailers(trailers))))
    }

    fn is_end_stream(&self) -> bool {
        let source = self.inner.source.borrow();
        source.ended && self.next >= source.held.len() && (self.trailers_sent || source.trailers.is_none())
    }

    fn size_hint(&self) -> SizeHint {
        self.inner
            .size
            .exact()
            .map_or_else(SizeHint::default, |n| SizeHint::with_exact(n.saturating_sub(self.emitted)))
    }
}

impl<B> Source<B>
where
    B: Body<Data = Bytes, Error = hyper::Error> + Unpin,
{
    /// Holds a piece if there is room for it, and says whether it did.
    fn hold(&mut self, chunk: &Bytes) -> bool {
        self.ended = self.body.is_end_stream();
        self.room = self.room.and_then(|room| room.checked_sub(chunk.len()));
        if self.room.is_some() {
            self.held.push(chunk.clone());
        } else {
            self.held = Vec::new();
        }
        self.room.is_some()
    }
}

/// The body of one try: nearly always none.
#[derive(Debug)]
pub enum RequestBody {
    /// The request has no body.
    None,
    /// It has one.
    Some(Reader),
}

impl Body for RequestBody {
    type Data = Bytes;
    type Error = ReplayError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, ReplayError>>> {
        match &mut *self {
            Self::None => Poll::Ready(None),
            Self::Some(reader) => Pin::new(reader).poll_frame(cx),
        }
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Self::None => true,
            Self::Some(reader) => reader.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::None => SizeHint::with_exact(0),
            Self::Some(reader) => reader.size_hint(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use http_body_util::BodyExt;
    use proptest::prelude::*;
    use std::collections::VecDeque;

    /// A body of given pieces.
    struct Pieces(VecDeque<Frame<Bytes>>);

    impl Body for Pieces {
        type Data = Bytes;
        type Error = hyper::Error;

        fn poll_frame(
            mut self: Pin<&mut Self>,
            _: &mut Context<'_>,
        ) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
            Poll::Ready(self.0.pop_front().map(Ok))
        }
    }

    fn replay(sizes: &[usize], limit: usize) -> Replay<Pieces> {
        let piece = |(at, size): (usize, &usize)| Frame::data(Bytes::from(vec![at as u8; *size]));
        Replay::new(Pieces(sizes.iter().enumerate().map(piece).collect()), limit, Instant::now())
    }

    fn whole(sizes: &[usize]) -> Vec<u8> {
        sizes.iter().enumerate().flat_map(|(at, size)| vec![at as u8; *size]).collect()
    }

    async fn read(reader: Reader<Pieces>) -> Result<Vec<u8>, ReplayError> {
        Ok(reader.collect().await?.to_bytes().to_vec())
    }

    #[tokio::test]
    async fn a_second_try_gets_the_whole_body_again() {
        let replay = replay(&[3, 4, 5], 12);
        let mut first = replay.reader().unwrap();
        first.frame().await.unwrap().unwrap();
        assert!(replay.is_replayable());
        assert_eq!(read(replay.reader().unwrap()).await.unwrap(), whole(&[3, 4, 5]));
        assert!(matches!(first.frame().await, Some(Err(ReplayError::Superseded))));
    }

    #[tokio::test]
    async fn a_body_beyond_the_limit_streams_through_once() {
        let replay = replay(&[10, 10, 10], 25);
        assert_eq!(read(replay.reader().unwrap()).await.unwrap(), whole(&[10, 10, 10]));
        assert!(!replay.is_replayable());
        assert!(replay.inner.source.borrow().held.is_empty());
        assert!(replay.reader().is_none(), "no later try gets a body without its beginning");
    }

    #[tokio::test]
    async fn trailers_come_with_every_try() {
        let trailers = HeaderMap::from_iter([(http::header::ETAG, http::HeaderValue::from_static("\"a\""))]);
        let pieces = [Frame::data(Bytes::from_static(b"x")), Frame::trailers(trailers.clone())];
        let replay = Replay::new(Pieces(pieces.into_iter().collect()), 10, Instant::now());
        for _ in 0..2 {
            let collected = replay.reader().unwrap().collect().await.unwrap();
            assert_eq!(collected.trailers(), Some(&trailers));
        }
    }

    proptest! {
        #[test]
        fn every_replayable_try_sends_the_same_bytes(
            sizes in proptest::collection::vec(1usize..20, 0..10),
            stops in proptest::collection::vec(0usize..12, 0..4),
            limit in 0usize..150,
        ) {
            let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
            runtime.block_on(async {
                let replay = replay(&sizes, limit);
                for stop in stops {
                    let mut reader = replay.reader().unwrap();
                    for _ in 0..stop {
                        if reader.frame().await.is_none() { break }
                    }
                    if !replay.is_replayable() {
                        return;
                    }
                }
                assert_eq!(read(replay.reader().unwrap()).await.unwrap(), whole(&sizes));
            });
        }
    }
}
