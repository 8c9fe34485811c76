//! An origin's body on its way to the client: watched for cuts, collected for the cache, its connection
//! given back at the end.

use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use hyper::body::Incoming;
use tokio::time::Instant;

use crate::cache::fill::Fill;
use crate::endpoint::Endpoint;
use crate::pool::{Lease, Member, Pool};
use crate::shared::Shared;
use crate::timer::LazySleep;

/// The origin's body broke off: the client's connection must not end as if it had not.
#[derive(Debug, thiserror::Error)]
pub enum CutBody {
    /// The connection ended or what came was no body.
    #[error("the origin cut its answer off: {0}")]
    Broken(#[source] hyper::Error),
    /// Nothing came for too long.
    #[error("the origin stopped in the middle of its answer for {0:?}")]
    Stalled(Duration),
}

/// A try's place among those under way at its endpoint, given back when dropped.
#[derive(Debug)]
pub struct Place {
    shared: Arc<Shared>,
    member: Rc<Member>,
}

impl Place {
    /// Takes a place at an endpoint.
    pub fn take(shared: &Arc<Shared>, member: Rc<Member>) -> Self {
        member.endpoint.enter();
        Self { shared: shared.clone(), member }
    }

    /// The endpoint, as this worker sees it.
    pub fn member(&self) -> &Rc<Member> {
        &self.member
    }

    /// The endpoint.
    pub fn endpoint(&self) -> &Endpoint {
        &self.member.endpoint
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.member.endpoint.leave();
        self.shared.origins.queue.wake_one();
    }
}

/// An origin's body.
#[derive(Debug)]
pub struct UpstreamBody {
    incoming: Incoming,
    /// The connection it comes on, until the body has ended.
    lease: Option<Lease>,
    pool: Rc<Pool>,
    place: Place,
    /// Boxed: most answers are not stored, and this is the larger half of them.
    fill: Option<Box<Fill>>,
    /// Since when nothing has come; `None` while something does.
    waiting: Option<Instant>,
    stall: Option<LazySleep>,
}

impl UpstreamBody {
    /// The body that comes on `lease`.
    pub fn new(incoming: Incoming, lease: Lease, pool: Rc<Pool>, place: Place) -> Self {
        let mut body =
            Self { incoming, lease: Some(lease), pool, place, fill: None, waiting: None, stall: None };
        body.end_if_over();
        body
    }

    /// Collects the body for the cache from now on.
    pub fn fill(&mut self, fill: Fill) {
        if self.incoming.is_end_stream() {
            fill.finish();
        } else {
            self.fill = Some(Box::new(fill));
        }
    }

    /// Whether the body's end can be told from a cut: not when it ends with its connection.
    pub fn has_framing(&self, head: &http::HeaderMap) -> bool {
        self.incoming.size_hint().exact().is_some() || head.contains_key(http::header::TRANSFER_ENCODING)
    }

    fn end_if_over(&mut self) {
        if self.incoming.is_end_stream() {
            self.end();
        }
    }

    /// The body is here, whole.
    fn end(&mut self) {
        if let Some(lease) = self.lease.take() {
            self.pool.put_back(&self.place.member, lease);
        }
        if let Some(fill) = self.fill.take() {
            fill.finish();
        }
    }

    fn broken(&mut self, error: CutBody) -> Poll<Option<Result<Frame<Bytes>, CutBody>>> {
        self.fill = None;
        self.lease = None;
        self.place.shared.metrics.cut.inc();
        Poll::Ready(Some(Err(error)))
    }

    /// Ready when nothing has come for too long.
    fn poll_stalled(&mut self, cx: &mut Context<'_>) -> Poll<CutBody> {
        let limit = self.place.shared.config.limits.body_idle;
        let deadline = *self.waiting.get_or_insert_with(Instant::now) + limit;
        ready!(self.stall.get_or_insert_with(|| LazySleep::new(deadline)).poll_until(cx, deadline));
        Poll::Ready(CutBody::Stalled(limit))
    }
}

impl Body for UpstreamBody {
    type Data = Bytes;
    type Error = CutBody;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, CutBody>>> {
        // Without its connection the body is over, one way or the other.
        let this = &mut *self;
        let Some(lease) = &this.lease else { return Poll::Ready(None) };
        lease.hush.hold();
        let polled = Pin::new(&mut this.incoming).poll_frame(cx);
        lease.hush.release(!this.incoming.is_end_stream());
        let Poll::Ready(frame) = polled else {
            let error = ready!(self.poll_stalled(cx));
            return self.broken(error);
        };
        match frame {
            Some(Ok(frame)) => {
                self.waiting = None;
                if let (Some(fill), Some(data)) = (&mut self.fill, frame.data_ref())
                    && !fill.push(data)
                {
                    self.fill = None;
                }
                self.end_if_over();
                Poll::Ready(Some(Ok(frame)))
            }
            Some(Err(error)) => self.broken(CutBody::Broken(error)),
            None => {
                self.end();
                Poll::Ready(None)
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        self.incoming.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.incoming.size_hint()
    }
}
