//! Which service a view is about: the one whose clients and whose origin are both seen.

use std::collections::BTreeMap;

use crate::{Leg, Series};

/// The service that effective and actual success are about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Focus {
    /// A service seen on both legs, such as a reverse proxy: what its clients got, and what its origin did.
    Service(String),
    /// No service is seen on both legs: each leg stands for itself.
    Everything,
}

impl Focus {
    /// Whether `series` belongs to what the view is about.
    pub fn covers(&self, series: &Series) -> bool {
        match self {
            Self::Service(name) => series.key.service == *name,
            Self::Everything => true,
        }
    }
}

/// Picks the service that answers the most requests among those seen on both legs.
pub fn focus(series: &[Series]) -> Focus {
    let mut by_service: BTreeMap<&str, (u64, u64)> = BTreeMap::new();
    for s in series {
        let (server, client) = by_service.entry(&s.key.service).or_default();
        match s.key.leg {
            Leg::Server => *server = server.saturating_add(s.total),
            Leg::Client => *client = client.saturating_add(s.total),
        }
    }
    by_service
        .into_iter()
        .filter(|(_, (server, client))| *server > 0 && *client > 0)
        .max_by_key(|(_, (server, _))| *server)
        .map_or(Focus::Everything, |(name, _)| Focus::Service(name.to_owned()))
}

/// Requests of one leg: how many ended, how many count towards success, how many succeeded.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// Requests that ended, however.
    pub ended: u64,
    /// Those that count towards the success ratio (not the ones whose client went away).
    pub counted: u64,
    /// Those that succeeded.
    pub succeeded: u64,
}

impl Tally {
    /// Share of successes, 0 to 1; `None` while nothing counts.
    pub fn success(self) -> Option<f64> {
        (self.counted > 0).then(|| self.succeeded as f64 / self.counted as f64)
    }
}

/// Adds up the totals of one leg within `focus`.
pub fn tally(series: &[Series], focus: &Focus, leg: Leg) -> Tally {
    let mut tally = Tally::default();
    for s in series.iter().filter(|s| s.key.leg == leg && focus.covers(s)) {
        tally.ended = tally.ended.saturating_add(s.total);
        if s.key.counts() {
            tally.counted = tally.counted.saturating_add(s.total);
        }
        if s.key.success() {
            tally.succeeded = tally.succeeded.saturating_add(s.total);
        }
    }
    tally
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Outcome, SeriesKey};

    fn series(leg: Leg, service: &str, status: u16, outcome: Outcome, total: u64) -> Series {
        let key = SeriesKey {
            leg,
            service: service.into(),
            server_address: String::new(),
            server_port: 80,
            route: "/".into(),
            method: "GET".into(),
            status,
            outcome,
        };
        Series { key, total, count: 0, latency: None }
    }

    #[test]
    fn the_proxy_between_client_and_origin_is_in_focus() {
        let seen = [
            series(Leg::Client, "wrk", 200, Outcome::Answered, 900),
            series(Leg::Server, "hosp-proxy", 200, Outcome::Answered, 900),
            series(Leg::Client, "hosp-proxy", 200, Outcome::Answered, 800),
            series(Leg::Server, "nginx", 200, Outcome::Answered, 800),
        ];
        assert_eq!(focus(&seen), Focus::Service("hosp-proxy".into()));
    }

    #[test]
    fn a_lone_server_stands_for_itself() {
        assert_eq!(focus(&[series(Leg::Server, "nginx", 200, Outcome::Answered, 1)]), Focus::Everything);
    }

    #[test]
    fn a_client_that_goes_away_is_not_a_failure() {
        let seen = [
            series(Leg::Server, "p", 200, Outcome::Answered, 98),
            series(Leg::Server, "p", 503, Outcome::Answered, 1),
            series(Leg::Server, "p", 200, Outcome::CutBody, 1),
            series(Leg::Server, "p", 0, Outcome::ClientReset, 5),
        ];
        let tally = tally(&seen, &Focus::Everything, Leg::Server);
        assert_eq!(tally, Tally { ended: 105, counted: 100, succeeded: 98 });
    }

    #[test]
    fn totals_beyond_all_counting_stop_at_the_highest() {
        let seen = [0, 1].map(|_| series(Leg::Server, "p", 200, Outcome::Answered, u64::MAX));
        assert_eq!(tally(&seen, &Focus::Everything, Leg::Server).ended, u64::MAX);
        assert_eq!(focus(&seen), Focus::Everything);
    }
}
