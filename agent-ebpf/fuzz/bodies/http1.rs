//! The HTTP/1 state machine on any bytes, in any segments, from both sides.
//!
//! What must hold: it never panics and takes no more steps than promised; `seen = recorded + lost + open` after
//! every event, and nothing is open once the socket is closed; a path is what a client sent, and no more than
//! that; and where no byte is missing, neither the cuts between segments nor retransmissions change anything.

#[path = "http1/script.rs"]
mod script;
#[path = "../../tests/machine/wire.rs"]
#[expect(dead_code, reason = "the rig serves other tests as well")]
mod wire;

use std::fmt;

use hosp_agent_ebpf::{COUNTERS, Counter, LEG_STRIDE, Record, RecordHead};

use script::{Event, Script};
use wire::{Way, Wire};

/// Where both directions begin: close to the end, so that sequence numbers wrap.
const FIRST_SEQ: u32 = u32::MAX - 20;

/// What came of a script: the records without their times, and the kernel's counters.
#[derive(PartialEq)]
struct Outcome {
    records: Vec<Record>,
    counts: [u64; COUNTERS as usize],
}

impl fmt::Debug for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for r in &self.records {
            let (method, path, outcome) = (r.method().as_str(), r.path().escape_ascii(), r.outcome());
            let bytes = (r.request_bytes, r.response_bytes);
            write!(f, "\n  {method} {path}: {} {outcome:?}, bytes {bytes:?}, flags {}", r.status, r.flags)?;
        }
        write!(f, "\n  counters {:?}", &self.counts[..LEG_STRIDE as usize])
    }
}

impl Outcome {
    fn lost_the_place(&self) -> bool {
        self.counts[Counter::Resyncs as usize] > 0
    }
}

/// Plays the script that `bytes` are.
pub(crate) fn check(bytes: &[u8]) {
    let script = Script::parse(bytes);
    let outcome = play(&script);
    if !script.is_lossless() {
        return;
    }
    for (cuts, other) in [("coalesced", script.coalesced()), ("bytewise", script.bytewise())] {
        let again = play(&other);
        // Once the place is lost it is found again at the start of a segment: there the cuts do matter.
        assert_eq!(outcome.lost_the_place(), again.lost_the_place(), "{cuts}: {script:?}");
        if !outcome.lost_the_place() {
            assert_eq!(outcome, again, "{cuts}: {script:?}");
        }
    }
}

fn play(script: &Script) -> Outcome {
    let mut wire =
        if script.mid_stream { Wire::unknown() } else { Wire::new(FIRST_SEQ, FIRST_SEQ.wrapping_add(7)) };
    let mut last: [(u32, &[u8]); 2] = [(FIRST_SEQ, b""); 2];
    for event in &script.events {
        match event {
            Event::Send(way, bytes) => {
                last[*way as usize] = (wire.next_seq(*way), bytes);
                wire.send(*way, bytes);
            }
            Event::Again(way) => {
                let (seq, bytes) = last[*way as usize];
                wire.segment(*way, seq, bytes);
            }
            Event::Miss(way, len) => wire.miss(*way, *len),
            Event::Stray(way, ahead, bytes) => {
                wire.segment(*way, wire.next_seq(*way).wrapping_add(*ahead), bytes);
            }
            Event::End(way, reset) => wire.end(*way, *reset),
            Event::RingFull(full) => wire.host.ring_full = *full,
        }
        assert!(wire.balanced(), "after {event:?} of {script:?}");
    }
    wire.close(false);
    let total = |counters: &mut dyn Iterator<Item = Counter>| counters.map(|c| wire.count(c)).sum::<u64>();
    let recorded = total(&mut Counter::ENDED.into_iter()) - wire.count(Counter::LostRing);
    let lost = total(&mut Counter::LOST.into_iter().map(|(counter, _)| counter));
    assert_eq!(wire.count(Counter::Seen), recorded + lost, "nothing stays open: {script:?}");
    assert_eq!(recorded, wire.host.records.len() as u64, "{script:?}");
    let asked = script.bytes_of(Way::Request);
    wire.host.records.iter().for_each(|record| check_path(record, &asked, script));
    let timeless = |r: &Record| {
        let head = RecordHead { start_ns: 0, ttfb_ns: 0, duration_ns: 0, ..r.head };
        Record { head, ..*r }
    };
    Outcome { records: wire.host.records.iter().map(timeless).collect(), counts: wire.host.counts }
}

/// A path is a piece of what the client sent, ends where a target ends, and nothing lies behind it.
fn check_path(record: &Record, asked: &[u8], script: &Script) {
    let path = record.path();
    assert!(!path.iter().any(|b| b" ?#\n".contains(b)), "{} in {script:?}", path.escape_ascii());
    assert!(record.path[path.len()..].iter().all(|&b| b == 0), "{script:?}");
    assert!(
        path.is_empty() || script.has_strays() || asked.windows(path.len()).any(|piece| piece == path),
        "{} was never sent in {script:?}",
        path.escape_ascii()
    );
}
