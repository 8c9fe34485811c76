//! How long requests lay in the kernel before their server read them, by service: the queueing that no access log sees.

use std::collections::BTreeMap;

use hosp_agent_ebpf::Record;

use crate::names::NameId;

/// Upper bounds of the buckets, in seconds: from a server that waits for its clients to one that is hung.
pub const BOUNDS: [f64; 19] = [
    0.00001, 0.000025, 0.00005, 0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25,
    0.5, 1.0, 2.5, 5.0, 10.0,
];

/// The times of one service's requests.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Unread {
    /// Requests: one bucket for each of [`BOUNDS`] and one for what is longer; not cumulative.
    pub buckets: [u64; BOUNDS.len() + 1],
    /// Sum of the times, in seconds.
    pub sum: f64,
}

/// The times of all services. Belongs to the owner.
#[derive(Debug, Default)]
pub struct Unreads(BTreeMap<NameId, Unread>);

impl Unreads {
    /// Takes in a request of `service`, if the kernel told how long it lay.
    pub fn note(&mut self, record: &Record, service: NameId) {
        if record.unread_ns == 0 {
            return;
        }
        let unread = self.0.entry(service).or_default();
        let seconds = record.unread_ns as f64 / 1e9;
        unread.buckets[BOUNDS.partition_point(|&bound| bound < seconds)] += 1;
        unread.sum += seconds;
    }

    /// The times of every service, with its name by `name`.
    pub fn read<'a, N>(&'a self, name: impl Fn(NameId) -> N + 'a) -> impl Iterator<Item = (N, Unread)> + 'a {
        self.0.iter().map(move |(&service, unread)| (name(service), unread.clone()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::record;

    #[test]
    fn only_requests_whose_time_is_known_are_counted_each_in_its_bucket() {
        let mut unreads = Unreads::default();
        for ns in [0, 10_000, 10_001, 60_000_000_000] {
            unreads.note(&record().unread(ns).build(), NameId::OTHER);
        }
        let all: Vec<_> = unreads.read(|_| ()).collect();
        let [((), unread)] = &all[..] else { panic!("one service") };
        assert_eq!((unread.buckets[0], unread.buckets[1], unread.buckets[19]), (1, 1, 1));
        assert_eq!(unread.buckets.iter().sum::<u64>(), 3);
        assert!((unread.sum - 60.000_020_001).abs() < 1e-9);
    }
}
