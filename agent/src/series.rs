//! The table of series: finds the series of a request, and makes it when it is new and there is room.

mod cells;
mod interval;
mod key;

use std::collections::HashMap;
use std::sync::{Arc, PoisonError, RwLock};

use foldhash::fast::RandomState;

pub use cells::{BOUNDS, Bytes, Cells, Counts, Labels, Sample};
pub use interval::Interval;
pub use key::{Fold, Key, server_port};

/// Every series, in the order in which they appeared. The owner appends; exporters read.
#[derive(Clone, Debug, Default)]
pub struct Shared(Arc<RwLock<Vec<Arc<Cells>>>>);

impl Shared {
    /// The series at this moment.
    pub fn read(&self) -> Vec<Arc<Cells>> {
        self.0.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn push(&self, cells: Arc<Cells>) {
        self.0.write().unwrap_or_else(PoisonError::into_inner).push(cells);
    }
}

/// All series, with the latencies of the running interval. Belongs to the owner.
#[derive(Debug)]
pub struct Table {
    index: HashMap<Key, u32, RandomState>,
    series: Vec<(Arc<Cells>, Interval)>,
    shared: Shared,
    cap: usize,
    folded: u64,
}

impl Table {
    /// An empty table for about `cap` series; see [`Fold::limit`] for how it keeps counting beyond.
    pub fn new(cap: usize, shared: Shared) -> Self {
        Self { index: HashMap::default(), series: Vec::new(), shared, cap, folded: 0 }
    }

    /// Counts one request under `key`; `labels` puts a key into words when its series is new.
    pub fn observe(&mut self, key: Key, sample: Sample, labels: impl FnOnce(&Key) -> Labels) {
        let at = match self.index.get(&key) {
            Some(&at) => at,
            None => self.find_or_add(key, labels),
        };
        let (cells, interval) = &mut self.series[at as usize];
        cells.observe(sample);
        interval.record(sample.duration_ns);
    }

    fn find_or_add(&mut self, key: Key, labels: impl FnOnce(&Key) -> Labels) -> u32 {
        for fold in Fold::ALL {
            let key = key.folded(fold);
            let found = self.index.get(&key).copied();
            if found.is_none() && self.series.len() >= fold.limit(self.cap) {
                continue;
            }
            self.folded += u64::from(fold != Fold::Exact);
            return found.unwrap_or_else(|| self.add(key, labels(&key)));
        }
        unreachable!("the last fold has no limit")
    }

    fn add(&mut self, key: Key, labels: Labels) -> u32 {
        let at = u32::try_from(self.series.len()).expect("the cap is far below 2^32");
        let cells = Arc::new(Cells::new(labels));
        self.shared.push(cells.clone());
        self.series.push((cells, Interval::default()));
        self.index.insert(key, at);
        at
    }

    /// Requests counted under a folded key, because the table was full.
    pub fn folded(&self) -> u64 {
        self.folded
    }

    /// Ends the interval: every series with what happened in it.
    pub fn take_interval(&mut self) -> Vec<(Arc<Cells>, Interval)> {
        self.series.iter_mut().map(|(cells, interval)| (cells.clone(), interval.take())).collect()
    }
}

#[cfg(test)]
mod tests;
