//! One figure after another: what the charts draw.

use std::time::Duration;

use hosp_feed::Leg;

use super::{Data, Figures, SHARES, Window};
use crate::clean::Label;
use crate::history::{Cell, LegCell, Sparse};
use crate::legs::Legs;

/// What the charts draw.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Trend {
    /// Time from one point to the next.
    pub step: Duration,
    /// Oldest first, up to now; `None` where no reading came.
    pub points: Legs<Vec<Option<Point>>>,
}

/// One leg during one step.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Point {
    /// Requests per second.
    pub rate: f64,
    /// Latencies at [`SHARES`], in microseconds; `None` without a request.
    pub quantiles: Option<[u32; SHARES.len()]>,
    /// Requests by status class; see [`LegCell::classes`].
    pub classes: [u64; LegCell::CLASSES],
}

impl Trend {
    /// How far back it reaches.
    pub fn span(&self) -> Duration {
        self.step * u32::try_from(self.points.server.len()).unwrap_or(u32::MAX)
    }

    /// The trend of `service` (of all services where it is `None`) over `window` up to `now`.
    pub(super) fn compute(data: &Data, now: Duration, window: Window, service: Option<&Label>) -> Self {
        let (resolution, count) = window.trend();
        let mut by_age: Vec<Vec<&Cell>> = vec![Vec::new(); count as usize];
        for host in data.known() {
            for (age, cell) in host.history.last(resolution, count, now) {
                by_age[age as usize].push(cell);
            }
        }
        let points = |leg| by_age.iter().rev().map(|cells| point(cells, leg, service)).collect();
        Self { step: resolution.step(), points: Legs::make(points) }
    }
}

/// The cells of several hosts at one moment as one point.
fn point(cells: &[&Cell], leg: Leg, service: Option<&Label>) -> Option<Point> {
    if cells.is_empty() {
        return None;
    }
    let mut point = Point::default();
    let mut latencies = Vec::new();
    for cell in cells {
        let mut sum = LegCell::default();
        for service in Figures::covered(cell, service) {
            sum.count(service.legs.get(leg));
            latencies.push(&service.legs.get(leg).latency);
        }
        point.rate += Figures::rate(sum.tally.ended, cell.covered_ms);
        point.classes.iter_mut().zip(sum.classes).for_each(|(n, more)| *n = n.saturating_add(more));
    }
    point.quantiles = Sparse::merged(latencies).quantiles(SHARES);
    Some(point)
}
