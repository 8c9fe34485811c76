//! Latency histograms, and how they travel.

use std::io::{self, Read as _};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use flate2::read::ZlibDecoder;
use hdrhistogram::Histogram;
use hdrhistogram::serialization::{DeserializeError, Deserializer, Serializer as _, V2DeflateSerializer};
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
    /// Longer than any histogram of this range can be, as it travels or unpacked.
    #[error("a histogram of over {0} bytes: longer than any that an agent writes")]
    TooLong(usize),
    /// Not base64.
    #[error("the histogram is not base64: {0}")]
    Base64(#[from] base64::DecodeError),
    /// Not compressed as HDR's V2 compressed encoding is.
    #[error("the histogram cannot be unpacked: {0}")]
    Packing(#[from] io::Error),
    /// Not a V2 compressed HDR histogram.
    #[error("the histogram is not in HDR's V2 compressed encoding: {0}")]
    Encoding(#[from] hdrhistogram::serialization::DeserializeError),
    /// Of another range or precision.
    #[error("the histogram's range or precision is not that of this feed")]
    Range,
    /// More than anybody can have counted.
    #[error("the histogram counts more than 2^53 requests")]
    Count,
}

impl Default for Latency {
    fn default() -> Self {
        Self::new()
    }
}

impl Latency {
    /// Longest encoded form that [`Encoded::decode`] accepts, in bytes.
    const MAX_ENCODED: usize = 512 * 1024;
    /// Largest sum of counts that [`Encoded::decode`] accepts: 285 years at a million requests per second.
    const MAX_COUNT: u64 = 1 << 53;

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
            return Err(LatencyError::TooLong(Latency::MAX_ENCODED));
        }
        let plain = unpack(&STANDARD.decode(&self.0)?)?;
        check(&plain)?;
        let mut histogram: Histogram<u64> = Deserializer::new().deserialize(&mut plain.as_slice())?;
        if histogram.max() > 2 * HighestTrackable::MICROS {
            return Err(LatencyError::Range);
        }
        if histogram.len() > Latency::MAX_COUNT {
            return Err(LatencyError::Count);
        }
        histogram.auto(true);
        Ok(Latency(histogram))
    }
}

/// First word of the compressed encoding.
const PACKED: u32 = 0x1c84_9314;
/// First word of what is compressed.
const PLAIN: u32 = 0x1c84_9313;
/// Bytes before the counts: two words, the offset and the digits as words, the range, and a factor.
const HEADER: usize = 40;
/// Most bytes of a histogram that is not compressed: a count of 9 bytes for each of the 1,024 buckets of each of
/// the 19 powers of two that hold twice the range, with room to spare.
const MAX_PLAIN: usize = HEADER + 9 * 1024 * 20;

/// Takes the compression off, to a bounded length. hdrhistogram would do it, but as far as it goes.
fn unpack(packed: &[u8]) -> Result<Vec<u8>, LatencyError> {
    let mut packed = packed;
    let mut head = [0; 8];
    packed.read_exact(&mut head)?;
    if head[..4] != PACKED.to_be_bytes() {
        return Err(DeserializeError::InvalidCookie.into());
    }
    let mut plain = Vec::new();
    ZlibDecoder::new(packed).take(MAX_PLAIN as u64 + 1).read_to_end(&mut plain)?;
    if plain.len() > MAX_PLAIN {
        return Err(LatencyError::TooLong(MAX_PLAIN));
    }
    Ok(plain)
}

/// Checks what hdrhistogram believes: the length that the counts are said to have, for which it takes memory before
/// it reads them; the range and precision, which decide the memory for the buckets; and that no count is
/// the one number whose negation overflows.
fn check(plain: &[u8]) -> Result<(), LatencyError> {
    let Some((header, counts)) = plain.split_first_chunk::<HEADER>() else {
        return Err(io::Error::from(io::ErrorKind::UnexpectedEof).into());
    };
    let word = |at: usize| u32::from_be_bytes(header[at..at + 4].try_into().expect("four bytes"));
    let long = |at: usize| u64::from_be_bytes(header[at..at + 8].try_into().expect("eight bytes"));
    if word(0) != PLAIN {
        return Err(DeserializeError::InvalidCookie.into());
    }
    if usize::try_from(word(4)).ok() != Some(counts.len()) {
        return Err(DeserializeError::EncodedArrayTooLong.into());
    }
    let (digits, low, high) = (word(12), long(16), long(24));
    if digits != 3 || low != 1 || high > 2 * HighestTrackable::MICROS {
        return Err(LatencyError::Range);
    }
    // In ZigZag LEB128, only numbers beyond 2^61 have nine such bytes in a row.
    if counts.windows(9).any(|nine| nine == [0xff; 9]) {
        return Err(LatencyError::Count);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use flate2::Compression;
    use flate2::read::ZlibEncoder;
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

    /// What travels when `counts` come with this header.
    fn travelling(said: u32, digits: u32, high: u64, counts: &[u8]) -> Encoded {
        let mut plain = Vec::new();
        plain.extend(PLAIN.to_be_bytes());
        plain.extend(said.to_be_bytes());
        plain.extend(0u32.to_be_bytes());
        plain.extend(digits.to_be_bytes());
        plain.extend(1u64.to_be_bytes());
        plain.extend(high.to_be_bytes());
        plain.extend(1f64.to_be_bytes());
        plain.extend(counts);
        let mut packed = Vec::new();
        ZlibEncoder::new(plain.as_slice(), Compression::best()).read_to_end(&mut packed).unwrap();
        let mut bytes = PACKED.to_be_bytes().to_vec();
        bytes.extend(u32::try_from(packed.len()).unwrap().to_be_bytes());
        bytes.extend(packed);
        Encoded(STANDARD.encode(bytes))
    }

    #[test]
    fn hostile_histograms_are_refused_before_they_take_memory() {
        let said = |counts: &[u8]| u32::try_from(counts.len()).unwrap();
        let high = HighestTrackable::MICROS;
        let two = [0, 4];
        assert_eq!(travelling(said(&two), 3, high, &two).decode().unwrap().count(), 2);

        let refused = |encoded: Encoded| encoded.decode().unwrap_err();
        let four_gib = travelling(u32::MAX, 3, high, &two);
        assert!(matches!(refused(four_gib), LatencyError::Encoding(_)));
        let bomb = vec![0; MAX_PLAIN];
        assert!(matches!(refused(travelling(said(&bomb), 3, high, &bomb)), LatencyError::TooLong(_)));
        assert!(matches!(refused(travelling(said(&two), 5, high, &two)), LatencyError::Range));
        assert!(matches!(refused(travelling(said(&two), 3, u64::MAX, &two)), LatencyError::Range));
        let lowest = [0xff; 9];
        assert!(matches!(refused(travelling(said(&lowest), 3, high, &lowest)), LatencyError::Count));
        let highest = [0xfe, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff];
        assert!(matches!(refused(travelling(said(&highest), 3, high, &highest)), LatencyError::Count));
        assert!(matches!(refused(Encoded(STANDARD.encode(b"short"))), LatencyError::Packing(_)));
    }

    #[test]
    fn the_longest_histogram_is_within_the_bounds() {
        let mut latency = Latency::new();
        let mut micros = 1;
        // Buckets are a 1,024th wide at least: this meets every one of them.
        while micros <= HighestTrackable::MICROS {
            latency.record_n(micros, 1 << 38);
            micros += (micros / 2048).max(1);
        }
        assert!(latency.encode().decode().unwrap() == latency);
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
