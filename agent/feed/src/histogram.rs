//! Latency histograms, and how they travel.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use hdrhistogram::Histogram;
use hdrhistogram::serialization::{Deserializer, Serializer as _, V2DeflateSerializer};
use serde::{Deserialize, Serialize};

/// Longest latency that a histogram tells apart, in microseconds (120 s); longer ones count as this.
#[derive(Clone, Copy, Debug)]
pub struct HighestTrackable;

impl HighestTrackable {
    /// 120 s in microseconds.
    pub const MICROS: u64 = 120_000_000;
}

/// Latencies in microseconds, from 1 µs to 120 s at 3 significant digits. Merging loses nothing.
#[derive(Clone, Debug, PartialEq)]
pub struct Latency(Histogram<u64>);

/// A [`Latency`] as it travels: HDR's V2 compressed encoding in base64.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Encoded(String);

/// Why bytes from the feed are no latency histogram.
#[derive(Debug, thiserror::Error)]
pub enum LatencyError {
    /// Longer than any histogram of this range can be.
    #[error("a histogram of {0} bytes: longer than any that this agent writes")]
    TooLong(usize),
    /// Not base64.
    #[error("the histogram is not base64: {0}")]
    Base64(#[from] base64::DecodeError),
    /// Not a V2 compressed HDR histogram.
    #[error("the histogram is not in HDR's V2 compressed encoding: {0}")]
    Encoding(#[from] hdrhistogram::serialization::DeserializeError),
    /// Of another range or precision.
    #[error("the histogram's range or precision is not that of this feed")]
    Range,
}

impl Default for Latency {
    fn default() -> Self {
        Self::new()
    }
}

impl Latency {
    /// Longest encoded form that [`Encoded::decode`] accepts, in bytes.
    const MAX_ENCODED: usize = 512 * 1024;

    /// An empty histogram. It grows to at most about 150 KiB, with the longest latency recorded.
    pub fn new() -> Self {
        let mut histogram = Histogram::new(3).expect("3 significant digits are within 0 to 5");
        histogram.auto(true);
        Self(histogram)
    }

    /// Counts one latency, in microseconds.
    pub fn record(&mut self, micros: u64) {
        self.record_n(micros, 1);
    }

    /// Counts `n` requests of one latency, in microseconds.
    pub fn record_n(&mut self, micros: u64, n: u64) {
        self.0
            .record_n(micros.clamp(1, HighestTrackable::MICROS), n)
            .expect("an auto-resizing histogram takes every value up to 120 s");
    }

    /// Forgets everything, keeping the memory.
    pub fn clear(&mut self) {
        self.0.reset();
    }

    /// Adds all of `other`.
    pub fn merge(&mut self, other: &Self) {
        self.0.add(&other.0).expect("an auto-resizing histogram takes another of its range");
    }

    /// Number of latencies counted.
    pub fn count(&self) -> u64 {
        self.0.len()
    }

    /// The latency, in microseconds, below or at which the share `q` (0 to 1) lies; 0 when empty.
    pub fn quantile(&self, q: f64) -> u64 {
        if self.0.is_empty() { 0 } else { self.0.value_at_quantile(q) }
    }

    /// Mean in microseconds; 0 when empty.
    pub fn mean(&self) -> f64 {
        self.0.mean()
    }

    /// Every (latency in microseconds, count) that is not empty, in ascending order.
    pub fn buckets(&self) -> impl Iterator<Item = (u64, u64)> + '_ {
        self.0.iter_recorded().map(|b| (b.value_iterated_to(), b.count_at_value()))
    }

    /// The form that travels.
    pub fn encode(&self) -> Encoded {
        let mut bytes = Vec::new();
        V2DeflateSerializer::new()
            .serialize(&self.0, &mut bytes)
            .expect("a Vec takes every byte, and the counts are below 2^63");
        Encoded(STANDARD.encode(bytes))
    }
}

impl Encoded {
    /// The histogram that travelled. Bytes from outside: everything about them is checked.
    pub fn decode(&self) -> Result<Latency, LatencyError> {
        if self.0.len() > Latency::MAX_ENCODED {
            return Err(LatencyError::TooLong(self.0.len()));
        }
        let bytes = STANDARD.decode(&self.0)?;
        let mut histogram: Histogram<u64> = Deserializer::new().deserialize(&mut bytes.as_slice())?;
        if histogram.sigfig() != 3 || histogram.low() != 1 || histogram.max() > 2 * HighestTrackable::MICROS {
            return Err(LatencyError::Range);
        }
        histogram.auto(true);
        Ok(Latency(histogram))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn what_travels_is_what_was_recorded(values in proptest::collection::vec(0u64..200_000_000, 0..200)) {
            let mut sent = Latency::new();
            values.iter().for_each(|&v| sent.record(v));
            let got = sent.encode().decode().unwrap();
            prop_assert_eq!(got.count(), values.len() as u64);
            prop_assert!(sent.buckets().eq(got.buckets()));
        }

        #[test]
        fn bytes_from_outside_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..400)) {
            let _ = Encoded(STANDARD.encode(&bytes)).decode();
            let _ = Encoded(String::from_utf8_lossy(&bytes).into_owned()).decode();
        }
    }

    #[test]
    fn merging_two_hosts_equals_one_histogram_of_all() {
        let (mut a, mut b, mut all) = (Latency::new(), Latency::new(), Latency::new());
        for v in 1..1000 {
            a.record(v * 10);
            b.record(v * 10_000);
            all.record(v * 10);
            all.record(v * 10_000);
        }
        a.merge(&b);
        assert_eq!(a.quantile(0.99), all.quantile(0.99));
        assert_eq!(a.count(), 1998);
    }

    #[test]
    fn a_latency_beyond_the_range_counts_as_the_longest() {
        let mut h = Latency::new();
        h.record(u64::MAX);
        assert_eq!(h.count(), 1);
        assert!(h.quantile(1.0) >= HighestTrackable::MICROS);
    }
}
