//! Bodies on their way through: [`replay`] from client to origin, [`upstream`] from origin to client,
//! with [`resume`] where it breaks off, and here what
//! clients get, whoever made it.

pub mod replay;
pub mod resume;
pub mod upstream;

use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};

use crate::record::Record;
use upstream::{CutBody, UpstreamBody};

/// The body of an answer to a client. It carries the request's [`Record`], which is closed when the last byte has
/// been handed on or the client has gone away.
#[derive(Debug)]
pub struct ResponseBody {
    source: Source,
    record: Record,
}

#[derive(Debug)]
enum Source {
    Whole(Option<Bytes>),
    Stream(UpstreamBody),
}

impl ResponseBody {
    /// A body that is here already.
    pub fn whole(bytes: Bytes, record: Record) -> Self {
        Self::new(Source::Whole((!bytes.is_empty()).then_some(bytes)), record)
    }

    /// A body that an origin is still sending.
    pub fn stream(body: UpstreamBody, record: Record) -> Self {
        Self::new(Source::Stream(body), record)
    }

    fn new(source: Source, record: Record) -> Self {
        let mut body = Self { source, record };
        if body.is_end_stream() {
            body.record.complete();
        }
        body
    }
}

impl Body for ResponseBody {
    type Data = Bytes;
    type Error = CutBody;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, CutBody>>> {
        let frame = match &mut self.source {
            Source::Whole(bytes) => bytes.take().map(|bytes| Ok(Frame::data(bytes))),
            Source::Stream(body) => ready!(Pin::new(body).poll_frame(cx)),
        };
        match &frame {
            Some(Ok(frame)) => self.record.sent(frame.data_ref().map_or(0, Bytes::len)),
            Some(Err(_)) => return Poll::Ready(frame),
            None => {}
        }
        if frame.is_none() || self.is_end_stream() {
            self.record.complete();
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        match &self.source {
            Source::Whole(bytes) => bytes.is_none(),
            Source::Stream(body) => body.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.source {
            Source::Whole(bytes) => SizeHint::with_exact(bytes.as_ref().map_or(0, |b| b.len() as u64)),
            Source::Stream(body) => body.size_hint(),
        }
    }
}
