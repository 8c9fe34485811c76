//! Requests and attempts, in every order in which they can end.

use super::*;
use crate::names::Names;
use crate::testing::record;

struct Bench {
    links: Links,
    now: Instant,
    proxy: NameId,
}

fn bench() -> Bench {
    let proxy = Names::new(10).intern("proxy");
    let mut links = Links::default();
    let now = Instant::now();
    // It is known to be a proxy: it has tried before, without an id.
    links.note(&record().client(([192, 0, 2, 1].into(), 80), 7, "proxy").build(), proxy, now);
    Bench { links, now, proxy }
}

impl Bench {
    fn asked(&mut self, id: u64) {
        self.links.note(&record().id(id).build(), self.proxy, self.now);
    }

    fn tried(&mut self, id: u64) {
        let attempt = record().client(([192, 0, 2, 1].into(), 80), 7, "proxy").id(id).build();
        self.links.note(&attempt, self.proxy, self.now);
    }

    /// Once every attempt has ended.
    fn later(&mut self) -> Attempts {
        self.now += GRACE;
        self.links.poll(self.now);
        let mut counts = self.links.counts(|_| "proxy".into());
        assert_eq!(counts.len(), 1);
        counts.remove(0)
    }
}

#[test]
fn attempts_are_counted_for_each_request_whenever_they_end() {
    let mut bench = bench();
    bench.asked(1);
    bench.tried(2);
    bench.asked(2);
    for _ in 0..3 {
        bench.tried(3);
    }
    bench.asked(3);
    // A hedge that was given up ends after the answer.
    bench.tried(3);
    for _ in 0..9 {
        bench.tried(4);
    }
    bench.asked(4);
    let counts = bench.later();
    assert_eq!((counts.requests, counts.attempts), ([1, 1, 0, 0, 1, 0, 1], 14));
    assert_eq!(counts.total(), 4);
    assert_eq!(bench.links.unlinked(), Unlinked::default());
}

#[test]
fn nothing_is_counted_before_its_attempts_may_have_ended() {
    let mut bench = bench();
    bench.asked(1);
    bench.links.poll(bench.now);
    assert_eq!(bench.links.counts(|_| String::new())[0].total(), 0);
    bench.links.finish();
    assert_eq!(
        bench.links.counts(|_| String::new())[0].total(),
        1,
        "at the end there is nothing to wait for"
    );
}

#[test]
fn what_cannot_be_told_apart_is_not_counted_and_said_so() {
    let mut bench = bench();
    bench.asked(0);
    bench.asked(5);
    bench.tried(5);
    bench.asked(5);
    assert_eq!(bench.later().total(), 0);
    assert_eq!(bench.links.unlinked(), Unlinked { no_id: 1, repeated_id: 2, overflow: 0 });
    // Used again later, an id is as good as any other.
    bench.tried(5);
    bench.asked(5);
    assert_eq!(bench.later().requests[1], 1);
}

#[test]
fn an_origin_has_no_attempts() {
    let origin = Names::new(10).intern("origin");
    let mut links = Links::default();
    links.note(&record().id(1).build(), origin, Instant::now());
    links.finish();
    assert_eq!((links.counts(|_| String::new()), links.unlinked()), (vec![], Unlinked::default()));
}

#[test]
fn a_client_with_ids_leaves_room_for_a_proxy_and_is_forgotten() {
    let mut bench = bench();
    bench.asked(u64::MAX);
    assert_eq!(bench.later().requests[0], 1);
    let mut names = Names::new(10);
    names.intern("proxy");
    let client = names.intern("client");
    for id in 1..=2 * MAX_WAITING as u64 {
        let asks = record().client(([192, 0, 2, 1].into(), 80), 9, "client").id(id).build();
        bench.links.note(&asks, client, bench.now);
    }
    assert_eq!(bench.links.waiting.len(), MAX_WAITING / 2);
    bench.tried(7);
    bench.asked(7);
    assert_eq!(bench.later().requests[1], 1);
    bench.now += PATIENCE;
    bench.links.poll(bench.now);
    assert!(bench.links.waiting.is_empty());
}

#[test]
fn a_proxy_that_is_asked_too_much_is_counted_early_and_not_at_all_last() {
    let mut bench = bench();
    for id in 1..=2 * MAX_WAITING as u64 {
        bench.asked(id);
    }
    assert!(bench.links.waiting.len() <= MAX_WAITING);
    assert_eq!(bench.later().requests[0], 2 * MAX_WAITING as u64);
    for id in 1..=MAX_WAITING as u64 + 5 {
        bench.tried(id);
    }
    bench.asked(u64::MAX);
    assert_eq!(bench.links.unlinked().overflow, 1);
}
