//! The request log: one line of JSON for each request, written by a thread of its own that can never slow the owner.

mod file;

use std::io::{self, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, channel, sync_channel};
use std::thread;
use std::time::Duration;

use crate::clock;
use crate::live::Live;

pub use file::LogFile;

/// Most requests that travel to the writer at once.
const BATCH: usize = 512;

/// Most batches that wait for it: some 4 MB of requests. What comes then is dropped.
const QUEUE: usize = 32;

/// How long the end of the agent waits for the last lines to be written.
const DRAIN: Duration = Duration::from_secs(2);

/// The owner's end of the log.
#[derive(Debug)]
pub struct RequestLog {
    batch: Vec<Live>,
    /// `None` only while it is dropped.
    batches: Option<SyncSender<Vec<Live>>>,
    dropped: Arc<AtomicU64>,
    ended: Receiver<()>,
}

impl RequestLog {
    /// Starts the thread that writes to `out`.
    pub fn start(out: impl Write + Send + 'static) -> io::Result<Self> {
        let (batches, queue) = sync_channel(QUEUE);
        let (alive, ended) = channel::<()>();
        let dropped = Arc::new(AtomicU64::new(0));
        let count = dropped.clone();
        thread::Builder::new().name("hosp-log".into()).spawn(move || {
            let _alive = alive;
            write(out, &queue, &count);
        })?;
        Ok(Self { batch: Vec::new(), batches: Some(batches), dropped, ended })
    }

    /// Logs one request, with the next [`Self::flush`] at the latest.
    pub fn push(&mut self, request: Live) {
        self.batch.push(request);
        if self.batch.len() == BATCH {
            self.flush();
        }
    }

    /// Hands what has come together to the writer. When that has too much to do, drops and counts it.
    pub fn flush(&mut self) {
        if self.batch.is_empty() {
            return;
        }
        let batch = std::mem::take(&mut self.batch);
        let requests = batch.len() as u64;
        let sent = self.batches.as_ref().is_some_and(|batches| batches.try_send(batch).is_ok());
        if !sent {
            self.dropped.fetch_add(requests, Relaxed);
        }
    }

    /// Requests that were not logged: the writer was too slow, or the system refused to write.
    pub fn dropped(&self) -> u64 {
        self.dropped.load(Relaxed)
    }
}

impl Drop for RequestLog {
    fn drop(&mut self) {
        self.flush();
        self.batches = None;
        if self.ended.recv_timeout(DRAIN) == Err(RecvTimeoutError::Timeout) {
            tracing::warn!("the last lines of the request log could not be written in time");
        }
    }
}

fn write(mut out: impl Write, queue: &Receiver<Vec<Live>>, dropped: &AtomicU64) {
    let mut lines = Vec::new();
    let mut refused = false;
    for batch in queue {
        lines.clear();
        if refused {
            // What was cut off stays on a line of its own.
            lines.push(b'\n');
        }
        let boot_unix_ns = clock::boot_unix_ns();
        for request in &batch {
            serde_json::to_writer(&mut lines, &request.request(boot_unix_ns))
                .expect("a Vec takes every byte");
            lines.push(b'\n');
        }
        let written = out.write_all(&lines).and_then(|()| out.flush());
        if let Err(error) = &written {
            dropped.fetch_add(batch.len() as u64, Relaxed);
            // Once for each time that it begins: the counter tells the rest.
            if !refused {
                tracing::warn!(%error, "cannot write the request log");
            }
        }
        refused = written.is_err();
    }
}

#[cfg(test)]
mod tests;
