//! Any keys, any sizes, any snapshots, in any order: nothing panics, and nothing unsafe reaches the terminal.

use std::collections::BTreeMap;
use std::time::Duration;

use hosp_feed::{
    AgentInfo, Books, Cost, Encoded, Latency, Leg, Outcome, ProxyFacts, Request, Series, SeriesKey, Snapshot,
};
use proptest::prelude::*;

use super::*;
use crate::event::Signal;

/// Numbers at the edges more often than in the middle.
fn number() -> impl Strategy<Value = u64> {
    prop_oneof![Just(0), 0..100_000_u64, Just(1 << 53), Just((1 << 53) + 1), Just(u64::MAX), any::<u64>()]
}

fn text() -> impl Strategy<Value = String> {
    prop_oneof![
        "[a-z/{}]{0,12}",
        any::<String>(),
        Just("\u{1b}[2J\u{7}\u{202e}患者\u{301}".to_owned()),
        Just("x".repeat(5_000)),
    ]
}

fn leg() -> impl Strategy<Value = Leg> {
    prop_oneof![Just(Leg::Server), Just(Leg::Client)]
}

fn outcome() -> impl Strategy<Value = Outcome> {
    prop_oneof![
        Just(Outcome::Answered),
        Just(Outcome::CutBody),
        Just(Outcome::ClientReset),
        Just(Outcome::ServerClosed),
        Just(Outcome::Aborted),
    ]
}

fn latency() -> impl Strategy<Value = Option<Encoded>> {
    proptest::option::of(proptest::collection::vec(number(), 0..4).prop_map(|values| {
        let mut latency = Latency::new();
        values.into_iter().for_each(|micros| latency.record(micros));
        latency.encode()
    }))
}

prop_compose! {
    fn series()(
        leg in leg(), service in text(), route in text(), method in text(), status in any::<u16>(),
        outcome in outcome(), total in number(), count in number(), latency in latency(),
    ) -> Series {
        let key = SeriesKey {
            leg, service, server_address: String::new(), server_port: 80, route, method, status, outcome,
        };
        Series { key, total, count, latency }
    }
}

prop_compose! {
    fn request()(
        start_unix_ms in number(), leg in leg(), service in text(), peer in text(), method in text(),
        route in text(), status in any::<u16>(), outcome in outcome(), micros in number(), bytes in number(),
    ) -> Request {
        Request {
            start_unix_ms, leg, service, peer, server_port: 1, method, route, status, outcome, ttfb_us: micros,
            duration_us: micros, request_bytes: bytes, response_bytes: bytes, srtt_us: 0, retransmits: 0, ordinal: 0,
            unit: String::new(), pipelined: false, unread_us: 0, request_id: None,
        }
    }
}

prop_compose! {
    fn snapshot()(
        host in text(), pid in 0_u32..2, seq in number(), unix_ms in number(), interval_ms in number(),
        series in proptest::collection::vec(series(), 0..6), requests in proptest::collection::vec(request(), 0..4),
        kind in text(), n in number(), facts in any::<bool>(), cpu in any::<f64>(),
    ) -> Snapshot {
        let some = BTreeMap::from([(kind, n)]);
        Snapshot {
            version: hosp_feed::VERSION,
            agent: AgentInfo { host, version: "1".into(), pid, started_unix_ms: n },
            seq, unix_ms, interval_ms, series, requests, requests_of: n, attempts: vec![hosp_feed::Attempts { service: "s".into(), requests: [n; 7], attempts: n }],
            services: Vec::new(),
            books: Books { seen: n, open: n, lost: some.clone(), resyncs: n, connections: some.clone(), ..Books::default() },
            proxy: facts.then(|| ProxyFacts { requests: n, cache: some.clone(), retries: some, ..ProxyFacts::default() }),
            cost: Cost { agent_cpu_seconds: cpu, agent_rss_bytes: n, programs: vec![] },
        }
    }
}

fn key() -> impl Strategy<Value = Key> {
    prop_oneof![
        proptest::sample::select(
            crate::update::keys::BINDINGS.iter().flat_map(|b| b.keys).copied().collect::<Vec<_>>()
        ),
        any::<char>().prop_map(Key::Char),
        any::<char>().prop_map(Key::Ctrl),
        any::<u8>().prop_map(Key::Function),
    ]
}

/// An event, or a snapshot that becomes one unless it is refused.
#[derive(Clone, Debug)]
enum Happening {
    Event(Event),
    Snapshot(usize, Box<Snapshot>),
}

fn happening() -> impl Strategy<Value = Happening> {
    let event = |event: BoxedStrategy<Event>| event.prop_map(Happening::Event);
    prop_oneof![
        4 => event(key().prop_map(Event::Key).boxed()),
        1 => event((0_u16..300, 0_u16..100).prop_map(|(w, h)| Event::Resize(Size { width: w, height: h })).boxed()),
        2 => event(Just(Event::Tick).boxed()),
        1 => event((0_usize..4).prop_map(|place| Event::Feed(place, FeedEvent::Connecting)).boxed()),
        1 => event((0_usize..4).prop_map(|place| Event::Feed(place, FeedEvent::Connected)).boxed()),
        1 => event(
            (0_usize..4, text(), number()).prop_map(|(place, reason, ms)| {
                let retry_in = Duration::from_millis(ms);
                Event::Feed(place, FeedEvent::Down { reason: Label::clean(&reason), retry_in })
            }).boxed()
        ),
        1 => event(Just(Event::Signal(Signal::Continue)).boxed()),
        4 => (0_usize..4, snapshot()).prop_map(|(place, snapshot)| Happening::Snapshot(place, Box::new(snapshot))),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

    #[test]
    fn nothing_breaks_the_view(
        happenings in proptest::collection::vec((happening(), 0_u64..40), 0..30),
        ascii in any::<bool>(),
    ) {
        let mut stage = Stage::new(3);
        for (happening, seconds) in happenings {
            stage.now.up += Duration::from_secs(seconds);
            stage.now.unix_ms += seconds * 1000;
            match happening {
                Happening::Event(event) => stage.event(event),
                Happening::Snapshot(place, snapshot) => {
                    if let Ok(reading) = Reading::check(*snapshot) {
                        stage.event(Event::Feed(place, FeedEvent::Reading(Box::new(reading))));
                    }
                }
            }
            let Size { width, height } = stage.state.size;
            let screen = stage.draw(width, height, Look { ascii, depth: Depth::Sixteen });
            prop_assert!(!screen.contains(|c: char| c.is_control() && c != '\n'), "{screen}");
            prop_assert!(!ascii || screen.is_ascii(), "{screen}");
        }
    }
}
