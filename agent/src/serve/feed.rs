//! The site that hosp-tui reads: the newest snapshot, or one a second for as long as the reader keeps up.

use std::convert::Infallible;
use std::sync::Arc;

use bytes::Bytes;
use futures_util::stream;
use http_body_util::{BodyExt as _, StreamBody};
use hyper::body::{Frame, Incoming};
use hyper::{Method, Request, Response, StatusCode};
use prometheus::IntGauge;
use tokio::sync::watch;

use super::Site;
use super::reply::{self, Body};
use crate::owner::Handle;
use crate::tick::Tick;

/// `/v1/snapshot`, `/v1/feed` and `/healthz`.
#[derive(Debug)]
pub struct FeedSite {
    owner: Handle,
    readers: IntGauge,
}

/// Counts one reader for as long as it lives.
struct Reader(IntGauge);

impl FeedSite {
    /// Shows what `owner` publishes; `readers` tells how many follow it.
    pub fn new(owner: Handle, readers: IntGauge) -> Self {
        Self { owner, readers }
    }

    /// The newest tick, or the first one if there is none yet. `None` when the owner ended before that.
    async fn newest(ticks: &mut watch::Receiver<Option<Arc<Tick>>>) -> Option<Arc<Tick>> {
        ticks.wait_for(Option::is_some).await.ok()?.clone()
    }

    /// One line for each tick. The channel holds only the newest: a reader that is busy misses the ones between,
    /// and costs nobody anything. It ends with the owner, after the last tick.
    fn follow(&self) -> Body {
        self.readers.inc();
        let start = (self.owner.ticks(), Reader(self.readers.clone()), true);
        let lines = stream::unfold(start, |(mut ticks, reader, first)| async move {
            let tick = if first {
                Self::newest(&mut ticks).await?
            } else {
                ticks.changed().await.ok()?;
                ticks.borrow_and_update().clone()?
            };
            let line: Bytes = tick.line().await;
            Some((Ok::<_, Infallible>(Frame::data(line)), (ticks, reader, false)))
        });
        StreamBody::new(lines).boxed_unsync()
    }
}

impl Drop for Reader {
    fn drop(&mut self) {
        self.0.dec();
    }
}

impl Site for FeedSite {
    async fn answer(&self, request: Request<Incoming>) -> Response<Body> {
        let path = request.uri().path();
        if let Some(refused) =
            reply::refuse(request.method(), path, &["/v1/snapshot", "/v1/feed", "/healthz"])
        {
            return refused;
        }
        match path {
            "/v1/feed" if request.method() == Method::HEAD => {
                reply::ok("application/x-ndjson", reply::whole(Bytes::new()))
            }
            "/v1/feed" => reply::ok("application/x-ndjson", self.follow()),
            "/v1/snapshot" => match Self::newest(&mut self.owner.ticks()).await {
                Some(tick) => reply::ok("application/json", reply::whole(tick.line().await)),
                None => reply::text(StatusCode::SERVICE_UNAVAILABLE, "the agent is stopping\n"),
            },
            _ => reply::text(StatusCode::OK, "ok\n"),
        }
    }
}
