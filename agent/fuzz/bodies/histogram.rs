//! A latency histogram from outside, as it travels and as it is unpacked: refused, or within its bounds.

use std::io::Read as _;

use base64::{Engine as _, engine::general_purpose::STANDARD};
use flate2::{Compression, read::ZlibEncoder};
use hosp_feed::{Encoded, HighestTrackable, Latency, LatencyError};

/// First word of HDR's V2 compressed encoding.
const PACKED: u32 = 0x1c84_9314;
/// First word of what is compressed.
const PLAIN: u32 = 0x1c84_9313;

/// Reads the histogram that `bytes` are: as base64 text, as what base64 stands for, as what was compressed, and as
/// the mere counts behind a header that is right.
pub(crate) fn check(bytes: &[u8]) {
    let _ = decode(&String::from_utf8_lossy(bytes));
    let _ = decode(&STANDARD.encode(bytes));
    let _ = decode(&packed(bytes));
    let mut plain = Vec::new();
    plain.extend(PLAIN.to_be_bytes());
    plain.extend((bytes.len() as u32).to_be_bytes());
    plain.extend([0, 0, 0, 0, 0, 0, 0, 3]);
    plain.extend(1u64.to_be_bytes());
    plain.extend(HighestTrackable::MICROS.to_be_bytes());
    plain.extend(1f64.to_be_bytes());
    plain.extend(bytes);
    if let Ok(latency) = decode(&packed(&plain)) {
        within_bounds(&latency);
    }
}

fn packed(plain: &[u8]) -> String {
    let mut zlib = Vec::new();
    // Speed matters here, and length does not.
    ZlibEncoder::new(plain, Compression::none()).read_to_end(&mut zlib).expect("a slice can be read");
    let mut packed = PACKED.to_be_bytes().to_vec();
    packed.extend((zlib.len() as u32).to_be_bytes());
    packed.extend(zlib);
    STANDARD.encode(packed)
}

fn decode(text: &str) -> Result<Latency, LatencyError> {
    let encoded: Encoded = serde_json::from_value(text.into()).expect("any text may travel");
    encoded.decode()
}

fn within_bounds(latency: &Latency) {
    let count = latency.count();
    assert!(count <= 1 << 53);
    assert_eq!(latency.buckets().map(|(_, n)| n).sum::<u64>(), count);
    assert!(latency.buckets().is_sorted_by_key(|(micros, _)| micros));
    let (median, highest) = (latency.quantile(0.5), latency.quantile(1.0));
    assert!(median <= highest && highest <= 4 * HighestTrackable::MICROS, "{median} {highest}");
    assert!(latency.mean() >= 0.0);
    let mut twice = latency.clone();
    twice.merge(latency);
    twice.record(u64::MAX);
    assert_eq!(twice.count(), 2 * count + 1);
    assert!(latency.encode().decode().expect("what was written can be read") == *latency);
}
