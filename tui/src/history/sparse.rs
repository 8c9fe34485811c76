//! A latency histogram that keeps only the buckets that are not empty.

use hosp_feed::Latency;

/// A latency histogram that keeps only the buckets that are not empty: 8 bytes each, where a [`Latency`] takes
/// 150 KiB. Quantiles and merging are the same, bucket for bucket.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Sparse {
    /// (highest microsecond of the bucket, count), ascending, each bucket once. Counts stop at `u32::MAX`.
    buckets: Vec<(u32, u32)>,
}

impl From<&Latency> for Sparse {
    fn from(latency: &Latency) -> Self {
        let narrow = |n: u64| u32::try_from(n).unwrap_or(u32::MAX);
        Self::sorted(latency.buckets().map(|(micros, count)| (narrow(micros), narrow(count))).collect())
    }
}

impl Sparse {
    /// A histogram of buckets in any order, with repetitions.
    fn sorted(mut buckets: Vec<(u32, u32)>) -> Self {
        buckets.sort_by_key(|&(micros, _)| micros);
        buckets.dedup_by(|next, kept| {
            let same = next.0 == kept.0;
            if same {
                kept.1 = kept.1.saturating_add(next.1);
            }
            same
        });
        Self { buckets }
    }

    /// One histogram of all of `parts`.
    pub fn merged<'a>(parts: impl IntoIterator<Item = &'a Self>) -> Self {
        // The sort is stable, and so finds the ascending runs that the parts are.
        Self::sorted(parts.into_iter().flat_map(|part| part.buckets.iter().copied()).collect())
    }

    /// Adds all of `other`.
    pub fn merge(&mut self, other: &Self) {
        if self.buckets.is_empty() {
            self.buckets.clone_from(&other.buckets);
        } else if !other.buckets.is_empty() {
            *self = Self::merged([&*self, other]);
        }
    }

    /// The same latencies told apart to 1 part in 64 only, for where there are many histograms: each bucket is
    /// counted at the highest microsecond that agrees with it in the first 7 binary digits.
    pub fn coarse(&self) -> Self {
        let round_up = |micros: u32| {
            let dropped = (u32::BITS - micros.leading_zeros()).saturating_sub(7);
            micros | ((1 << dropped) - 1)
        };
        Self::sorted(self.buckets.iter().map(|&(micros, count)| (round_up(micros), count)).collect())
    }

    /// Whether nothing was counted.
    pub const fn is_empty(&self) -> bool {
        self.buckets.is_empty()
    }

    /// The latencies, in microseconds, at or below which each share of `shares` (above 0, up to 1, ascending) lies;
    /// `None` when empty.
    pub fn quantiles<const N: usize>(&self, shares: [f64; N]) -> Option<[u32; N]> {
        let total: u64 = self.buckets.iter().map(|&(_, count)| u64::from(count)).sum();
        let mut rest = self.buckets.iter();
        let (mut micros, mut below) = (rest.next()?.0, u64::from(self.buckets[0].1));
        Some(shares.map(|share| {
            let rank = ((share * total as f64).ceil() as u64).clamp(1, total);
            while below < rank {
                let Some(&(next, count)) = rest.next() else { break };
                micros = next;
                below += u64::from(count);
            }
            micros
        }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const SHARES: [f64; 5] = [0.001, 0.5, 0.9, 0.99, 1.0];

    fn latency(values: &[u64]) -> Latency {
        let mut latency = Latency::new();
        values.iter().for_each(|&micros| latency.record(micros));
        latency
    }

    #[test]
    fn an_empty_histogram_has_no_quantiles() {
        assert_eq!(Sparse::default().quantiles(SHARES), None);
    }

    proptest! {
        #[test]
        fn merged_quantiles_are_those_of_one_histogram_of_all(
            a in proptest::collection::vec(0_u64..130_000_000, 1..200),
            b in proptest::collection::vec(0_u64..5_000, 0..200),
        ) {
            let (one, two) = (latency(&a), latency(&b));
            let mut sparse = Sparse::from(&one);
            sparse.merge(&Sparse::from(&two));
            let mut all = one;
            all.merge(&two);
            let expect = SHARES.map(|share| all.quantile(share) as u32);
            prop_assert_eq!(sparse.quantiles(SHARES), Some(expect));
        }

        #[test]
        fn coarse_quantiles_are_at_most_a_64th_higher(values in proptest::collection::vec(1_u64..130_000_000, 1..200)) {
            let exact = Sparse::from(&latency(&values));
            let coarse = exact.coarse();
            let pairs = exact.quantiles(SHARES).unwrap().into_iter().zip(coarse.quantiles(SHARES).unwrap());
            for (exact, coarse) in pairs {
                prop_assert!(exact <= coarse && f64::from(coarse - exact) <= f64::from(exact) / 64.0, "{exact} {coarse}");
            }
        }
    }
}
