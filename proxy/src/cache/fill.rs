//! Collecting an answer's body for the cache while it streams to the client.

use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use http::{HeaderMap, StatusCode};

use super::key::Key;
use super::store::{Generation, Meta, Stored};
use crate::shared::Shared;

/// An answer on its way into the cache. Dropped before [`Fill::finish`], it leaves nothing behind: a body that is
/// cut is never stored.
#[derive(Debug)]
pub struct Fill {
    shared: Arc<Shared>,
    key: Key,
    asked: Generation,
    status: StatusCode,
    headers: HeaderMap,
    meta: Meta,
    chunks: Vec<Bytes>,
    /// Bytes that may still come.
    room: u64,
}

impl Fill {
    /// An answer with `headers` as clients will get them from the cache. `None` when the cache is off.
    pub fn begin(
        shared: &Arc<Shared>,
        key: Key,
        asked: Generation,
        (status, headers): (StatusCode, HeaderMap),
        meta: Meta,
    ) -> Option<Self> {
        let room = shared.cache.as_ref()?.largest();
        Some(Self { shared: shared.clone(), key, asked, status, headers, meta, chunks: Vec::new(), room })
    }

    /// Takes note of a piece of the body; `false` when the body has become too large to be stored.
    #[must_use]
    pub fn push(&mut self, chunk: &Bytes) -> bool {
        let Some(room) = self.room.checked_sub(chunk.len() as u64) else { return false };
        self.room = room;
        self.chunks.push(chunk.clone());
        true
    }

    /// Stores the answer: its body has ended as it should.
    pub fn finish(self) {
        let Some(cache) = &self.shared.cache else { return };
        // One copy, so that nothing of the buffers it was read into is kept alive.
        let mut body = BytesMut::with_capacity(self.chunks.iter().map(Bytes::len).sum());
        self.chunks.iter().for_each(|chunk| body.extend_from_slice(chunk));
        let stored = Stored::new(self.status, &self.headers, body.freeze(), self.meta);
        if cache.insert(self.key, stored, self.asked) {
            self.shared.metrics.stored.inc();
        }
    }
}
