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

use super::resume::{Resume, Resuming};
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
    /// How to go on should the body break off; boxed with what is known of it by then.
    mend: Option<Box<Mend>>,
}

/// What is known of a body that can be continued.
#[derive(Debug)]
struct Mend {
    state: MendState,
    /// Bytes handed on so far.
    passed: u64,
    /// Bytes still to come that have been handed on before.
    skip: u64,
}

#[derive(Debug)]
enum MendState {
    /// Nothing is wrong.
    Ready(Box<Resume>),
    /// The rest is looked for.
    Resuming(Resuming, CutBody),
    /// There is no other way any more.
    Spent,
}

impl UpstreamBody {
    /// The body that comes on `lease`.
    pub fn new(incoming: Incoming, lease: Lease, pool: Rc<Pool>, place: Place) -> Self {
        let mut body = Self {
            incoming,
            lease: Some(lease),
            pool,
            place,
            fill: None,
            waiting: None,
            stall: None,
            mend: None,
        };
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

    /// Continues the body from now on, should it break off.
    pub fn resume(&mut self, resume: Box<Resume>) {
        if self.lease.is_some() {
            self.mend = Some(Box::new(Mend { state: MendState::Ready(resume), passed: 0, skip: 0 }));
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
        // What was to come again has come shorter: nothing to keep.
        let whole = self.mend.as_ref().is_none_or(|mend| mend.skip == 0);
        if let Some(fill) = self.fill.take()
            && whole
        {
            fill.finish();
        }
    }

    /// The body broke off: looks for the rest, or gives it up.
    fn broken(&mut self, error: CutBody) -> Result<(), CutBody> {
        self.lease = None;
        self.waiting = None;
        if let Some(mend) = &mut self.mend
            && let MendState::Ready(resume) = std::mem::replace(&mut mend.state, MendState::Spent)
        {
            tracing::debug!(%error, "an answer broke off and is looked for elsewhere");
            let resuming = resume.begin(mend.passed, self.place.member());
            mend.state = MendState::Resuming(resuming, error);
            return Ok(());
        }
        self.fill = None;
        self.place.shared.metrics.cut.inc();
        Err(error)
    }

    /// Waits for the rest, if it is looked for.
    fn poll_mended(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), CutBody>> {
        let Some(mend) = &mut self.mend else { return Poll::Ready(Ok(())) };
        let MendState::Resuming(resuming, _) = &mut mend.state else { return Poll::Ready(Ok(())) };
        let (resume, rest) = ready!(resuming.poll(cx));
        let Some(rest) = rest else {
            let MendState::Resuming(_, error) = std::mem::replace(&mut mend.state, MendState::Spent) else {
                unreachable!("it was just polled")
            };
            return Poll::Ready(self.broken(error));
        };
        mend.state = MendState::Ready(Box::new(resume));
        mend.skip = rest.skip;
        (self.incoming, self.lease, self.place) = (rest.incoming, Some(rest.lease), rest.place);
        Poll::Ready(Ok(()))
    }

    /// What is new in a piece.
    fn unseen(&mut self, frame: Frame<Bytes>) -> Frame<Bytes> {
        let Some(mend) = &mut self.mend else { return frame };
        let mut data = match frame.into_data() {
            Ok(data) => data,
            Err(other) => return other,
        };
        let known = data.len().min(usize::try_from(mend.skip).unwrap_or(usize::MAX));
        mend.skip -= known as u64;
        let _ = data.split_to(known);
        mend.passed += data.len() as u64;
        Frame::data(data)
    }

    fn is_resuming(&self) -> bool {
        self.mend.as_ref().is_some_and(|mend| matches!(mend.state, MendState::Resuming(..)))
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
        let this = &mut *self;
        loop {
            if let Err(error) = ready!(this.poll_mended(cx)) {
                return Poll::Ready(Some(Err(error)));
            }
            // Without its connection the body is over, one way or the other.
            let Some(lease) = &this.lease else { return Poll::Ready(None) };
            lease.hush.hold();
            let polled = Pin::new(&mut this.incoming).poll_frame(cx);
            lease.hush.release(!this.incoming.is_end_stream());
            let broken = match polled {
                Poll::Pending => ready!(this.poll_stalled(cx)),
                Poll::Ready(Some(Err(error))) => CutBody::Broken(error),
                Poll::Ready(Some(Ok(frame))) => {
                    this.waiting = None;
                    let frame = this.unseen(frame);
                    if let (Some(fill), Some(data)) = (&mut this.fill, frame.data_ref())
                        && !fill.push(data)
                    {
                        this.fill = None;
                    }
                    this.end_if_over();
                    return Poll::Ready(Some(Ok(frame)));
                }
                Poll::Ready(None) => {
                    this.end();
                    return Poll::Ready(None);
                }
            };
            if let Err(error) = this.broken(broken) {
                return Poll::Ready(Some(Err(error)));
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        !self.is_resuming() && self.incoming.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.incoming.size_hint()
    }
}
