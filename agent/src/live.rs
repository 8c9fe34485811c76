//! Single requests: the newest of the interval, for the live tail.

use std::sync::Arc;

use hosp_agent_ebpf::{Leg, Outcome, Record, flags};

use crate::enrich::address_text;
use crate::series::{Key, server_port};

/// Most requests that ride along with one snapshot.
pub const MAX_LIVE: usize = 64;

/// One request, not yet put into words.
#[derive(Clone, Debug)]
pub struct Live {
    record: Record,
    words: Words,
}

/// The names of a request.
#[derive(Clone, Debug)]
pub struct Words {
    /// Who listens, or who connected.
    pub service: Arc<str>,
    /// Path template.
    pub route: Arc<str>,
    /// Systemd unit, container or cgroup of the socket; empty when not known.
    pub unit: Arc<str>,
}

/// The newest [`MAX_LIVE`] requests of the running interval, and how many there were. Belongs to the owner.
#[derive(Debug, Default)]
pub struct Tail {
    newest: Vec<(Record, Key)>,
    seen: u64,
}

impl Tail {
    /// Notes one request.
    pub fn push(&mut self, record: &Record, key: Key) {
        let at = usize::try_from(self.seen % MAX_LIVE as u64).expect("below MAX_LIVE");
        match self.newest.get_mut(at) {
            Some(oldest) => *oldest = (*record, key),
            None => self.newest.push((*record, key)),
        }
        self.seen += 1;
    }

    /// Ends the interval: its newest requests, oldest first, and how many there were in all. `name` tells their
    /// names.
    pub fn take(&mut self, name: impl Fn(&Record, &Key) -> Words) -> (Vec<Live>, u64) {
        let seen = std::mem::take(&mut self.seen);
        if seen > MAX_LIVE as u64 {
            self.newest.rotate_left(usize::try_from(seen % MAX_LIVE as u64).expect("below MAX_LIVE"));
        }
        let live = self.newest.drain(..).map(|(record, key)| {
            let words = name(&record, &key);
            Live::new(record, words)
        });
        (live.collect(), seen)
    }
}

impl Live {
    /// A request and its names.
    pub fn new(record: Record, words: Words) -> Self {
        Self { record, words }
    }

    /// The request as the feed shows it; `boot_unix_ns` is the wall-clock time at which the kernel's monotonic
    /// clock stood at 0.
    pub fn request(&self, boot_unix_ns: u64) -> hosp_feed::Request {
        let record = &self.record;
        let addr = address_text(&record.remote_addr);
        let peer = match addr.contains(':') {
            true => format!("[{addr}]:{}", record.remote_port),
            false => format!("{addr}:{}", record.remote_port),
        };
        hosp_feed::Request {
            start_unix_ms: boot_unix_ns.saturating_add(record.start_ns) / 1_000_000,
            leg: leg(record.leg()),
            service: self.words.service.to_string(),
            unit: self.words.unit.to_string(),
            peer,
            server_port: server_port(record),
            method: record.method().as_str().to_owned(),
            route: self.words.route.to_string(),
            status: record.status,
            outcome: outcome(record.outcome()),
            ttfb_us: record.ttfb_ns / 1000,
            duration_us: record.duration_ns / 1000,
            unread_us: record.unread_ns / 1000,
            request_bytes: record.request_bytes,
            response_bytes: record.response_bytes,
            srtt_us: record.srtt_us,
            retransmits: u32::from(record.retransmits),
            ordinal: record.ordinal,
            pipelined: record.flags & flags::PIPELINED != 0,
            request_id: (record.request_id != 0).then(|| format!("{:016x}", record.request_id)),
        }
    }
}

/// The feed's word for a leg.
pub fn leg(leg: Leg) -> hosp_feed::Leg {
    match leg {
        Leg::Server => hosp_feed::Leg::Server,
        Leg::Client => hosp_feed::Leg::Client,
    }
}

/// The feed's word for an outcome.
pub fn outcome(outcome: Outcome) -> hosp_feed::Outcome {
    match outcome {
        Outcome::Answered => hosp_feed::Outcome::Answered,
        Outcome::CutBody => hosp_feed::Outcome::CutBody,
        Outcome::ClientReset => hosp_feed::Outcome::ClientReset,
        Outcome::ClientClosed => hosp_feed::Outcome::ClientClosed,
        Outcome::ServerReset => hosp_feed::Outcome::ServerReset,
        Outcome::ServerClosed => hosp_feed::Outcome::ServerClosed,
        Outcome::Aborted => hosp_feed::Outcome::Aborted,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::names::NameId;
    use crate::testing::record;

    fn words() -> Words {
        Words { service: "nginx".into(), route: "/patients/{id}".into(), unit: "nginx.service".into() }
    }

    fn statuses(n: u16) -> (Vec<u16>, u64) {
        let mut tail = Tail::default();
        for status in 0..n {
            let record = record().status(status).build();
            tail.push(&record, Key::new(&record, NameId::OTHER, None, NameId::OTHER));
        }
        let (live, seen) = tail.take(|_, _| words());
        assert!(tail.take(|_, _| words()).0.is_empty(), "the next interval starts empty");
        (live.iter().map(|live| live.request(0).status).collect(), seen)
    }

    #[test]
    fn the_newest_requests_are_kept_oldest_first() {
        assert_eq!(statuses(0), (vec![], 0));
        assert_eq!(statuses(3), (vec![0, 1, 2], 3));
        assert_eq!(statuses(64), ((0..64).collect(), 64));
        assert_eq!(statuses(65), ((1..65).collect(), 65));
        assert_eq!(statuses(200), ((136..200).collect(), 200));
    }

    #[test]
    fn a_request_is_shown_as_it_was() {
        let record = record().path("/patients/7").id(0xabc).build();
        let live = Live::new(record, words());
        let request = live.request(1_700_000_000_000_000_000);
        assert_eq!(request.start_unix_ms, 1_700_000_001_000);
        assert_eq!(request.peer, "192.0.2.7:40000");
        assert_eq!((request.ttfb_us, request.duration_us), (500, 1000));
        assert_eq!((request.service.as_str(), request.unit.as_str()), ("nginx", "nginx.service"));
        assert_eq!(request.request_id.as_deref(), Some("0000000000000abc"));
        assert_eq!(request.route, "/patients/{id}", "never the path itself");
    }
}
