//! Bodies that can be told apart: every byte follows from the request's id.

use bytes::Bytes;
use rand::rngs::SmallRng;
use rand::{Rng as _, SeedableRng as _};

/// Length of what a client posts.
const POSTED: usize = 1024;
/// Length of the answer to a write.
const RECEIPT: usize = 96;

/// What distinguishes the bodies that belong to one id.
const ANSWER: u64 = 0x5bd1_e995_7b7d_1d1d;
const REQUEST: u64 = 0x1b87_3593_cc9e_2d51;
const WRITTEN: u64 = 0x85eb_ca6b_27d4_eb2f;

/// The body of the answer to a read: between half of `longest` and `longest` bytes.
pub(super) fn record(id: u64, longest: usize) -> Bytes {
    let half = longest / 2;
    let more = usize::try_from(spread(id) % (half as u64 + 1)).expect("no more than half");
    bytes(id ^ ANSWER, half + more)
}

/// What a client posts.
pub(super) fn note(id: u64) -> Bytes {
    bytes(id ^ REQUEST, POSTED)
}

/// The body of the answer to a write.
pub(super) fn receipt(id: u64) -> Bytes {
    bytes(id ^ WRITTEN, RECEIPT)
}

/// The strong validator of a record.
pub(super) fn etag(id: u64) -> String {
    format!("\"{:016x}\"", spread(id))
}

/// Mixes `n` over all bits (the finaliser of splitmix64), so that neighbouring ids have nothing in common.
pub(super) const fn spread(n: u64) -> u64 {
    let n = n.wrapping_add(0x9E37_79B9_7F4A_7C15);
    let n = (n ^ (n >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    let n = (n ^ (n >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    n ^ (n >> 31)
}

fn bytes(seed: u64, length: usize) -> Bytes {
    let mut bytes = vec![0; length];
    SmallRng::seed_from_u64(spread(seed)).fill_bytes(&mut bytes);
    bytes.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bodies_are_the_same_each_time_and_differ_between_ids_and_uses() {
        assert_eq!(record(7, 4096), record(7, 4096));
        assert_ne!(record(7, 4096)[..1024], record(8, 4096)[..1024]);
        assert_ne!(record(7, 4096)[..96], receipt(7)[..]);
        assert_ne!(note(7)[..96], receipt(7)[..]);
        assert_ne!(etag(7), etag(8));
    }

    #[test]
    fn lengths_lie_between_half_and_whole() {
        let lengths: Vec<usize> = (0..200).map(|id| record(id, 4096).len()).collect();
        assert!(lengths.iter().all(|length| (2048..=4096).contains(length)));
        assert!(lengths.iter().any(|&length| length != lengths[0]));
    }
}
