//! A line of the feed: any bytes are a snapshot or an error, its sums never overflow, and it can be written again.

use hosp_feed::{Latency, Leg, Snapshot};

/// Reads the snapshot that `bytes` are.
pub(crate) fn check(bytes: &[u8]) {
    let Ok(snapshot) = hosp_feed::decode(bytes) else { return };
    let mut all = Latency::new();
    for series in &snapshot.series {
        if let Some(Ok(latency)) = series.latency.as_ref().map(|encoded| encoded.decode()) {
            all.merge(&latency);
        }
    }
    let focus = hosp_feed::focus(&snapshot.series);
    for leg in [Leg::Server, Leg::Client] {
        let tally = hosp_feed::tally(&snapshot.series, &focus, leg);
        assert!(tally.succeeded <= tally.counted && tally.counted <= tally.ended, "{tally:?}");
        assert!(tally.success().is_none_or(|share| (0.0..=1.0).contains(&share)), "{tally:?}");
    }
    if snapshot.books.balanced() {
        assert!(snapshot.books.lost_total() <= snapshot.books.seen);
    }
    let line = hosp_feed::encode(&snapshot);
    assert_eq!(line.iter().filter(|&&b| b == b'\n').count(), 1, "one snapshot, one line");
    let again = hosp_feed::decode(&line).expect("what was written can be read");
    // The last digit of a fraction may change on the way: costs are for people.
    assert_eq!(Snapshot { cost: again.cost.clone(), ..snapshot }, again);
}
