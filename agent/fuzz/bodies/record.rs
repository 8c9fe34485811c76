//! Records from the kernel's ring: any bytes are a record or an error, and what strangers put into a path stays
//! within the bounds of routes, series and the feed.

use std::sync::Arc;

use hosp_agent::live::{Tail, Words};
use hosp_agent::names::NameId;
use hosp_agent::routes::Routes;
use hosp_agent::series::{Key, Labels, Table};
use hosp_agent_ebpf::{BadRecord, Leg, Method, Outcome, PATH_MAX, Record};

/// Length of a record, in bytes.
const RECORD: usize = size_of::<Record>();
/// Learnt routes that the service may have.
const ROUTES: usize = 4;

/// Takes the records that `bytes` are, one after the other.
pub(crate) fn check(bytes: &[u8]) {
    let mut routes = Routes::new(Vec::new(), ROUTES);
    let mut table = Table::new(64, Default::default());
    let mut tail = Tail::default();
    let mut texts: Vec<Arc<str>> = Vec::new();
    let mut taken = 0;
    for piece in bytes.chunks(RECORD) {
        let record = match Record::decode(piece) {
            Ok(record) => record,
            Err(error) => {
                check_error(error, piece);
                continue;
            }
        };
        assert!(record.path().len() <= PATH_MAX && !record.comm().contains(&0));
        let route = routes.route(NameId::OTHER, "web", &record);
        let text = routes.text(route).clone();
        let plain = |b: u8| b.is_ascii_alphanumeric() || b"-._~!$:+,=/{}*".contains(&b);
        assert!(text.len() <= 267 && text.bytes().all(plain), "{text:?}");
        if !texts.contains(&text) {
            texts.push(text);
        }
        assert!(texts.len() <= ROUTES + 1, "more routes than allowed: {texts:?}");

        let key = Key::new(&record, NameId::OTHER, None, route);
        table.observe(key, (&record).into(), |key| Labels {
            leg: key.leg,
            service: "web".into(),
            address: "".into(),
            port: key.port,
            route: "/".into(),
            method: key.method,
            status: key.status,
            outcome: key.outcome,
        });
        tail.push(&record, key);
        taken += 1;
    }
    let words = Words { service: "web".into(), route: "/".into(), unit: "web.service".into() };
    for live in tail.take(|_, _| words.clone()).0 {
        let request = live.request(u64::MAX);
        assert!(!request.peer.is_empty());
    }
    let counted: u64 = table.take_interval().iter().map(|(_, interval)| interval.count()).sum();
    assert_eq!(counted, taken);
}

/// An error names what is wrong.
fn check_error(error: BadRecord, piece: &[u8]) {
    let wrong = match error {
        BadRecord::Length(len) => len == piece.len() && len != RECORD,
        BadRecord::Leg(n) => Leg::decode(n).is_err() && piece.contains(&n),
        BadRecord::Method(n) => Method::decode(n).is_err() && piece.contains(&n),
        BadRecord::Outcome(n) => Outcome::decode(n).is_err() && piece.contains(&n),
        BadRecord::PathLen(n) => usize::from(n) > PATH_MAX && piece.contains(&n),
    };
    assert!(wrong, "{error} is not so: {}", piece.escape_ascii());
}
