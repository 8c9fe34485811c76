//! The latencies of one series in one interval, cheap to record and exact to merge.

use hosp_feed::{Encoded, HighestTrackable, Latency};

/// Values kept as they are; beyond this they are folded into a histogram. At four bytes each that is 64 KiB,
/// where a histogram takes up to 150 KiB however few values it holds.
const RAW_MAX: usize = 16 * 1024;

/// The latencies of one series in one interval.
#[derive(Debug, Default)]
pub struct Interval {
    raw_us: Vec<u32>,
    folded: Option<Box<Latency>>,
}

impl Interval {
    /// Counts one duration, given in nanoseconds.
    pub fn record(&mut self, duration_ns: u64) {
        if self.raw_us.len() == RAW_MAX {
            let folded = self.folded.get_or_insert_default();
            self.raw_us.drain(..).for_each(|us| folded.record(us.into()));
        }
        let us = (duration_ns / 1000).clamp(1, HighestTrackable::MICROS);
        self.raw_us.push(u32::try_from(us).expect("120 s in microseconds fit into 32 bits"));
    }

    /// Requests of this interval.
    pub fn count(&self) -> u64 {
        self.raw_us.len() as u64 + self.folded.as_ref().map_or(0, |folded| folded.count())
    }

    /// The interval so far; a new one begins.
    pub fn take(&mut self) -> Self {
        let next = Self { raw_us: Vec::with_capacity(self.raw_us.len().min(1024)), folded: None };
        std::mem::replace(self, next)
    }

    /// The histogram as it travels, made in `scratch`; `None` when there was no request.
    pub fn encode(&self, scratch: &mut Latency) -> Option<Encoded> {
        if self.count() == 0 {
            return None;
        }
        scratch.clear();
        if let Some(folded) = &self.folded {
            scratch.merge(folded);
        }
        self.raw_us.iter().for_each(|&us| scratch.record(us.into()));
        Some(scratch.encode())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn folding_changes_neither_counts_nor_quantiles() {
        let mut interval = Interval::default();
        let mut direct = Latency::new();
        for i in 0..3 * RAW_MAX as u64 + 5 {
            interval.record(i * 1_000_000);
            direct.record((i * 1000).clamp(1, HighestTrackable::MICROS));
        }
        assert_eq!(interval.count(), direct.count());
        let got = interval.encode(&mut Latency::new()).unwrap().decode().unwrap();
        assert!(got.buckets().eq(direct.buckets()));
    }

    #[test]
    fn taking_an_interval_starts_an_empty_one() {
        let mut interval = Interval::default();
        interval.record(5_000);
        assert_eq!(interval.take().count(), 1);
        assert_eq!(interval.count(), 0);
        assert_eq!(interval.encode(&mut Latency::new()), None);
    }
}
