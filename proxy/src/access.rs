//! The access log: one line of JSON per request on standard output, written by a thread of its own.
//!
//! A worker never waits for it: lines that find the queue full are dropped and counted. Paths are logged
//! without their query, and no header is logged but the request's id.

mod batch;

use std::io::Write;
use std::net::IpAddr;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::time::Duration;

use serde::Serialize;

use crate::metrics::Metrics;
use batch::Batch;

/// Lines that may wait to be written.
const QUEUE: usize = 4096;

/// What is logged of one request.
#[derive(Clone, Debug, Serialize)]
pub struct Line {
    /// When its head was complete, in milliseconds since 1970-01-01T00:00:00Z.
    pub unix_ms: u64,
    /// Its `X-Request-Id`.
    pub request_id: String,
    /// The client's address.
    pub client: IpAddr,
    /// Method.
    pub method: String,
    /// Host asked for; empty when none was.
    pub host: String,
    /// Path, without query.
    pub path: String,
    /// Status answered; 0 when the client went away before an answer.
    pub status: u16,
    /// Whether the answer went out whole.
    pub complete: bool,
    /// Bytes of the answer's body that were passed on.
    pub bytes: u64,
    /// Time from the request's head to the end of its answer, in microseconds.
    pub duration_us: u64,
    /// Tries sent to origins.
    pub attempts: u32,
    /// Each of them, in the order of their ends.
    pub tries: Vec<TryLine>,
    /// What the cache had to say.
    pub cache: &'static str,
}

/// What is logged of one try.
#[derive(Clone, Debug, Serialize)]
pub struct TryLine {
    /// Where it went.
    pub endpoint: String,
    /// `first`, `retry` after one that failed, or `hedge` beside one that is slow.
    pub kind: &'static str,
    /// How it ended, as the metrics' label tells.
    pub outcome: &'static str,
    /// When it began, from the request's head, in microseconds.
    pub start_us: u64,
    /// Time until its answer's head, or until it failed or was given up, in microseconds.
    pub duration_us: u64,
}

/// Longest wait for the last lines to be written when the proxy ends.
const LAST_WORDS: Duration = Duration::from_secs(2);

/// What the thread that writes is told.
#[derive(Debug)]
enum Message {
    Line(Box<Line>),
    /// Everything before this has to be written before the other end hears of it.
    Flush(SyncSender<()>),
}

/// A handle that takes lines.
#[derive(Clone, Debug)]
pub struct AccessLog {
    queue: SyncSender<Message>,
    metrics: Arc<Metrics>,
}

impl AccessLog {
    /// Starts the thread that writes to `out` until every handle is gone.
    pub fn start(out: impl Write + Send + 'static, metrics: Arc<Metrics>) -> std::io::Result<Self> {
        let (queue, messages) = sync_channel(QUEUE);
        std::thread::Builder::new().name("access-log".into()).spawn(move || write_all(&messages, out))?;
        Ok(Self { queue, metrics })
    }

    /// Queues a line, or drops and counts it.
    pub fn write(&self, line: Line) {
        if self.queue.try_send(Message::Line(Box::new(line))).is_err() {
            self.metrics.log_dropped.inc();
        }
    }

    /// Waits, for a moment at most, until what was queued so far is written. Blocks: for the end of the program.
    pub fn flush(&self) {
        let (done, written) = sync_channel(1);
        if self.queue.try_send(Message::Flush(done)).is_err() || written.recv_timeout(LAST_WORDS).is_err() {
            tracing::warn!("the access log's last lines may be missing: its reader is too slow, or gone");
        }
    }
}

/// Writes lines as they come, and flushes whenever none is waiting. Ends when the reader is gone, or every handle.
fn write_all(messages: &Receiver<Message>, out: impl Write) {
    let mut out = Batch::new(out);
    while let Ok(first) = messages.recv() {
        let waiting = std::iter::once(first).chain(std::iter::from_fn(|| messages.try_recv().ok()));
        let mut told = Vec::new();
        for message in waiting {
            match message {
                Message::Line(line) if out.line(|out| Ok(serde_json::to_writer(out, &line)?)).is_err() => {
                    return;
                }
                Message::Line(_) => {}
                Message::Flush(done) => told.push(done),
            }
        }
        if out.flush().is_err() {
            return;
        }
        for done in told {
            // Who asked may have given up.
            let _ = done.send(());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::mpsc::{Sender, channel};

    fn line(path: &str) -> Line {
        Line {
            unix_ms: 0,
            request_id: "1".into(),
            client: "192.0.2.1".parse().unwrap(),
            method: "GET".into(),
            host: "a".into(),
            path: path.into(),
            status: 200,
            complete: true,
            bytes: 0,
            duration_us: 1,
            attempts: 1,
            tries: Vec::new(),
            cache: "miss",
        }
    }

    /// A writer that hands on what it gets, and waits whenever nobody takes it.
    struct Pipe(Sender<Vec<u8>>);

    impl Write for Pipe {
        fn write(&mut self, buf: &[u8]) -> std::io::Result<usize> {
            self.0.send(buf.to_vec()).map_err(std::io::Error::other)?;
            Ok(buf.len())
        }
        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn lines_are_json_and_line_breaks_in_paths_stay_escaped() {
        let (out, written) = channel();
        let log = AccessLog::start(Pipe(out), Arc::default()).unwrap();
        log.write(line("/a\n{\"forged\":1}"));
        drop(log);
        let text: Vec<u8> = written.into_iter().flatten().collect();
        let lines: Vec<&str> = std::str::from_utf8(&text).unwrap().lines().collect();
        assert_eq!(lines.len(), 1);
        let value: serde_json::Value = serde_json::from_str(lines[0]).unwrap();
        assert_eq!(value["path"], "/a\n{\"forged\":1}");
    }

    #[test]
    fn a_reader_that_does_not_read_costs_lines_and_not_time() {
        /// A writer that never comes back.
        struct Stuck(Receiver<()>);
        impl Write for Stuck {
            fn write(&mut self, _: &[u8]) -> std::io::Result<usize> {
                let _ = self.0.recv();
                Err(std::io::Error::other("let go"))
            }
            fn flush(&mut self) -> std::io::Result<()> {
                Ok(())
            }
        }
        let (_hold, stuck) = channel();
        let metrics = Arc::new(Metrics::new());
        let log = AccessLog::start(Stuck(stuck), metrics.clone()).unwrap();
        for _ in 0..3 * QUEUE {
            log.write(line("/some/path/that/fills/the/buffers/soon"));
        }
        assert!(metrics.log_dropped.get() > 0);
    }
}
