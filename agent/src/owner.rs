//! The one thread that owns all state: fetches records, counts them, audits the books, and publishes a tick every second.

use std::io;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use hosp_feed::{AgentInfo, Attempts, ProgramCost, ProxyFacts};
use tokio::sync::{oneshot, watch};

use crate::books::{Audit, Ledger, Taken};
use crate::clock;
use crate::intake::{Intake, Losses};
use crate::source::Source;
use crate::tick::{Facts, Tick};
use crate::unread::Unread;

/// Longest sleep when the kernel's ring stays below its fill mark; also the longest that a scrape waits.
const WAIT: Duration = Duration::from_millis(50);

/// Longest time that a refresh takes. What could not be brought up to date by then is shown as it is.
const REFRESH: Duration = Duration::from_secs(1);

/// Length of an interval.
pub const INTERVAL: Duration = Duration::from_secs(1);

/// Everything that is not a series, at one moment.
#[derive(Clone, Debug, Default)]
pub struct Status {
    /// The kernel's books.
    pub audit: Audit,
    /// What did not fit or was not understood.
    pub losses: Losses,
    /// Attempts by request.
    pub attempts: Vec<Attempts>,
    /// How long requests lay unread, by service; empty unless asked for.
    pub unread: Vec<(Arc<str>, Unread)>,
    /// What the BPF programs cost; empty unless asked for.
    pub programs: Vec<ProgramCost>,
}

/// What readers hold of the owner.
#[derive(Clone, Debug)]
pub struct Handle {
    ticks: watch::Receiver<Option<Arc<Tick>>>,
    status: Arc<Mutex<Status>>,
    asks: Sender<oneshot::Sender<()>>,
}

/// The owner, ready to run.
pub struct Owner<S> {
    source: S,
    intake: Intake,
    ledger: Ledger,
    agent: Arc<AgentInfo>,
    seq: u64,
    proxy: watch::Receiver<Option<Arc<ProxyFacts>>>,
    ticks: watch::Sender<Option<Arc<Tick>>>,
    status: Arc<Mutex<Status>>,
    asks: Receiver<oneshot::Sender<()>>,
}

impl Handle {
    /// The newest tick, and every one to come. `None` until the first interval has ended.
    pub fn ticks(&self) -> watch::Receiver<Option<Arc<Tick>>> {
        self.ticks.clone()
    }

    /// Books and losses as they were at the last audit.
    pub fn status(&self) -> Status {
        self.status.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Has the owner fetch, name and audit now, so that what is read next is up to date. Returns whether it did,
    /// within [`REFRESH`].
    pub async fn refresh(&self) -> bool {
        let (done, wait) = oneshot::channel();
        self.asks.send(done).is_ok() && matches!(tokio::time::timeout(REFRESH, wait).await, Ok(Ok(())))
    }
}

impl<S: Source> Owner<S> {
    /// Brings the parts together.
    pub fn new(
        source: S,
        intake: Intake,
        agent: AgentInfo,
        proxy: watch::Receiver<Option<Arc<ProxyFacts>>>,
    ) -> (Self, Handle) {
        let cpus = thread::available_parallelism().map_or(1, |n| n.get() as u64);
        let (ticks, ticks_reader) = watch::channel(None);
        let (asks_sender, asks) = channel();
        let status = Arc::new(Mutex::new(Status::default()));
        let handle = Handle { ticks: ticks_reader, status: status.clone(), asks: asks_sender };
        let owner = Self {
            source,
            intake,
            ledger: Ledger::new(cpus),
            agent: Arc::new(agent),
            seq: 0,
            proxy,
            ticks,
            status,
            asks,
        };
        (owner, handle)
    }

    /// Runs until `stop` is set; then takes in what is left, publishes a last tick, and ends the feed.
    pub fn run(mut self, stop: &AtomicBool) -> io::Result<()> {
        self.intake.settle();
        let mut began = Instant::now();
        let mut asks: Vec<oneshot::Sender<()>> = Vec::new();
        while !stop.load(Relaxed) {
            let left = INTERVAL.saturating_sub(began.elapsed());
            self.source.wait(WAIT.min(left))?;
            let now = Instant::now();
            self.fetch(now);
            self.intake.poll(now);
            asks.extend(self.asks.try_iter());
            // A name that is being looked up is there in a moment.
            if !asks.is_empty() && !self.intake.holding() {
                self.audit(now);
                for ask in asks.drain(..) {
                    // A scraper that has gone away meanwhile needs no answer.
                    let _ = ask.send(());
                }
            }
            let elapsed = now.duration_since(began);
            if elapsed >= INTERVAL {
                self.tick(now, elapsed);
                began = now;
            }
        }
        let now = Instant::now();
        self.fetch(now);
        self.intake.finish(now);
        let audit = self.tick(now, now.duration_since(began));
        for (leg, books) in audit.legs {
            if let (Some(leg), 1..) = (leg, books.open) {
                tracing::warn!(?leg, requests = books.open, "still open at the end: they make no record");
            }
        }
        Ok(())
    }

    fn fetch(&mut self, now: Instant) {
        self.source.drain(&mut |bytes| self.intake.take(bytes, now));
    }

    /// Reads the counters between two drains, so that records and counters can be held against each other.
    fn audit(&mut self, now: Instant) -> Audit {
        let before = self.intake.taken();
        let (first, second) = (self.source.counters(), self.source.counters());
        self.fetch(now);
        let audit = self.ledger.audit(&first, &second, Taken { before, after: self.intake.taken() });
        let status = Status {
            audit: audit.clone(),
            losses: self.intake.losses(),
            attempts: self.intake.attempts(),
            unread: self.intake.unread(),
            programs: self.source.program_costs(),
        };
        *self.status.lock().unwrap_or_else(PoisonError::into_inner) = status;
        audit
    }

    fn tick(&mut self, now: Instant, interval: Duration) -> Audit {
        let audit = self.audit(now);
        let ended = self.intake.end_interval();
        self.seq += 1;
        let mut cost = clock::cost();
        cost.programs = self.source.program_costs();
        let tick = Tick::new(Facts {
            agent: self.agent.clone(),
            seq: self.seq,
            unix_ns: clock::unix_ns(),
            boot_unix_ns: clock::boot_unix_ns(),
            interval_ms: u64::try_from(interval.as_millis()).unwrap_or(u64::MAX),
            series: ended.series,
            books: audit.books.clone(),
            live: ended.live,
            live_of: ended.live_of,
            attempts: self.intake.attempts(),
            services: self.intake.services(),
            proxy: self.proxy.borrow().clone(),
            cost,
        });
        self.ticks.send_replace(Some(Arc::new(tick)));
        audit
    }
}

#[cfg(test)]
mod tests;
